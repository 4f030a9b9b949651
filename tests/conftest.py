"""What the tests share: a network of 2 kB in a real model folder, real pictures, and a home of their own."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pyfer import cli, terminal
from pyfer.emotions import BASIC
from pyfer.files import sha256
from pyfer.models import Model, add

MakeModel = Callable[..., Path]


def write_network(
    path: Path,
    outputs: dict[str, int],
    *,
    side: int = 48,
    channels: int = 1,
    batch: str | int = "n",
    gain: float = 4.0,
    seed: int = 0,
) -> None:
    """Write a network that takes the mean of each of 4 x 4 tiles and gives linear functions of them."""
    rng = np.random.default_rng(seed)
    tile = side // 4
    nodes = [
        helper.make_node("AveragePool", ["input"], ["tiles"], kernel_shape=[tile] * 2, strides=[tile] * 2),
        helper.make_node("Flatten", ["tiles"], ["flat"]),
    ]
    weights = []
    for name, width in outputs.items():
        weight = gain * rng.normal(size=(16 * channels, width)) / np.sqrt(16 * channels)
        bias = rng.normal(size=width)
        for suffix, value in (("w", weight), ("b", bias)):
            weights.append(numpy_helper.from_array(value.astype(np.float32), f"{name}.{suffix}"))
        nodes.append(helper.make_node("Gemm", ["flat", f"{name}.w", f"{name}.b"], [name]))
    shape = [batch, channels, side, side]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, w]) for name, w in outputs.items()],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_graph(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[str | int]],
    outputs: dict[str, list[str | int]],
    constants: dict[str, NDArray[Any]] | None = None,
) -> None:
    """Write a network of these nodes; inputs and outputs are float32, name -> shape."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_adder(path: Path, *, batch: str | int = "n", width: int = 8) -> None:
    """Write a network on the encoder `tiny` that adds up its probabilities, face by face.

    ``answer`` and ``next_memory`` (n, 8) are the memory plus what ferplus says; ``embedding`` (n, 4) is the
    encoder's plus the interval.
    """
    node = helper.make_node
    write_graph(
        path,
        [
            node("Slice", ["probabilities", "zero", "width", "one"], ["new"]),
            node("Add", ["memory", "new"], ["answer"]),
            node("Identity", ["answer"], ["next_memory"]),
            node("Add", ["embedding", "interval"], ["seen"]),
        ],
        {
            "embedding": [batch, 4],
            "probabilities": [batch, 15],
            "interval": [batch, 1],
            "memory": [batch, width],
        },
        {"answer": [batch, 8], "seen": [batch, 4], "next_memory": [batch, width]},
        {"zero": np.array([0]), "width": np.array([8]), "one": np.array([1])},
    )


def describe(folder: Path, **changes: Any) -> None:
    """Write ``model.json`` for the network in `folder`; `changes` replace keys, ... takes them away."""
    tree: dict[str, Any] = {
        "format": 1,
        "name": folder.name,
        "kind": "cnn",
        "file": "model.onnx",
        "sha256": sha256(folder / "model.onnx"),
        "window": 1,
        "input": {"size": 48, "color": "gray", "standard": True},
        "crop": {"align": True},
        "heads": [
            {"name": "ferplus", "output": "ferplus", "labels": list(BASIC), "temperature": 1.5},
            {"name": "fer2013", "output": "fer2013", "labels": list(BASIC[:7])},
        ],
        "embedding": "embedding",
    }
    tree.update(changes)
    tree = {key: value for key, value in tree.items() if value is not ...}
    (folder / "model.json").write_text(json.dumps(tree), encoding="utf-8")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for models, so that what is installed on this machine changes nothing."""
    folder = tmp_path / "home"
    monkeypatch.setenv("PYFER_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model: 48 x 48 gray, heads ferplus (8) and fer2013 (7), an embedding of 4. Not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    write_network(folder / "model.onnx", {"ferplus": 8, "fer2013": 7, "embedding": 4})
    describe(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny: Path) -> Model:
    """The folder `tiny`, loaded."""
    return Model(tiny, threads=1)


@pytest.fixture
def make_model(tmp_path: Path, tiny: Path) -> MakeModel:
    """Return a function that writes a copy of `tiny` whose ``model.json`` differs."""

    def make(place: str = "mine", /, **changes: Any) -> Path:
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes((tiny / "model.onnx").read_bytes())
        describe(folder, **changes)
        return folder

    return make


@pytest.fixture
def make_rnn(tmp_path: Path, tiny: Path) -> MakeModel:
    """Return a function that writes a recurrent model (`write_adder`) on the encoder `tiny`, now installed.

    Its memory is the sum of the probabilities so far, which are its logits; see `write_adder`.
    """
    add(tiny)

    def make(place: str = "adder", /, **changes: Any) -> Path:
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        write_adder(folder / "model.onnx")
        keys: dict[str, Any] = {
            "kind": "rnn",
            "window": 16,
            "state": [{"name": "memory", "shape": [8]}],
            "encoder": {"model": "tiny", "sha256": sha256(tiny / "model.onnx")},
            "input": ...,
            "crop": ...,
            "heads": [{"name": "ferplus", "output": "answer", "labels": list(BASIC)}],
            "embedding": "seen",
        }
        describe(folder, **(keys | changes))
        return folder

    return make


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """A portrait of Eileen Collins by NASA, in the public domain: one face; RGB (512, 512, 3)."""
    return np.asarray(pytest.importorskip("skimage.data").astronaut())


@pytest.fixture(scope="session")
def photo(astronaut: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`astronaut` as a file, not to be changed."""
    path = tmp_path_factory.mktemp("pictures") / "astronaut.png"
    Image.fromarray(astronaut).save(path, compress_level=1)
    return path


@pytest.fixture(scope="session")
def portrait(astronaut: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Head and shoulders of `astronaut`, 160 x 160: one face that is found quickly."""
    path = tmp_path_factory.mktemp("pictures") / "portrait.png"
    Image.fromarray(astronaut[20:180, 145:305]).save(path)
    return path


@dataclass
class Done:
    status: int
    out: str
    err: str

    @property
    def tree(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tiny: Path, tmp_path: Path
) -> Run:
    """Return a function that runs the command in this process, in an empty folder, with `tiny` installed."""
    add(tiny)
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setattr(terminal.out, "_width", 80)
    monkeypatch.setattr(terminal.err, "_width", 80)

    def call(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["pyfer", *map(str, arguments)])
        stream = io.BytesIO(stdin)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream, isatty=lambda: False))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        status = stopped.value.code or 0
        assert isinstance(status, int)
        return Done(status, captured.out, captured.err)

    return call
