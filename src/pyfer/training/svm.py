"""The way from data to a support vector machine in a model folder: features, `fit`, ONNX, calibration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyfer
from pyfer.crops import Preprocessing
from pyfer.datasets import FaceData, concatenate, open_data
from pyfer.errors import TrainingError, need
from pyfer.features import Bank, Registration
from pyfer.files import replace_file, replace_folder, sha256
from pyfer.models import FEATURES, Model
from pyfer.training.card import plain_card
from pyfer.training.machine import Calibration, Fitted, Machine, calibrate, fit
from pyfer.training.settings import Settings, to_dict

Floats = NDArray[np.float32]
Say = Callable[[str, int, int], None]
"""Told of progress: (what is being done, done, in all)."""
AGREEMENT = 0.02
"""Largest difference of margins between scikit-learn and the ONNX file, which is in half precision."""
SAME_ANSWER = 0.995
"""Least share of validation faces for which both give the same answer."""


@dataclass(frozen=True)
class Exported:
    """What training wrote, and how near the ONNX file is to scikit-learn."""

    folder: Path
    difference: float
    """Largest difference of margins."""
    same_answer: float
    """Share of faces with the same answer."""
    fitted: Fitted


def train(settings: Settings, run: Path, folder: Path, say: Say | None = None) -> Exported:
    """Fit the machine of `settings` and write it as a model folder.

    Parameters
    ----------
    settings
        With ``kind = "svm"``.
    run
        Folder where the features are kept, for the next training with the same ones.
    folder
        The model folder; replaced whole if it exists, and only when all checks passed.
    say
        Told of the progress.

    Raises
    ------
    TrainingError
        The exported machine does not agree with scikit-learn.
    """
    need("sklearn", "classic")
    need("onnx", "classic")
    say = say or _silent
    train_data = _opened(settings, *settings.data.train)
    held = _opened(settings, settings.data.validation) if settings.data.validation else None
    bank, x = features_of(settings, train_data, run, say)
    targets = {head: train_data.targets[head] for head in _heads(settings, train_data)}
    fitted = fit(
        x,
        targets,
        settings.svm,
        blocks=bank.slices,
        subjects=train_data.subjects,
        seed=settings.seed,
        on_done=lambda done, total: say("fitting", done, total),
    )
    if held is None:
        seen, sample = fitted.unseen, train_data.images[:256]
    else:
        margins = fitted.machine.margins(_features(bank, held, run, "validation", say))
        seen = {head: (margins[head], held.targets[head]) for head in targets}
        sample = held.images
    calibration = {head: calibrate(*pair) for head, pair in seen.items()}
    with replace_folder(folder) as work:
        write(work, settings, bank, fitted.machine, calibration, train_data.labels)
        difference, same = _compare(Model(work), bank, fitted.machine, sample[:2000])
        replace_file(work / "README.md", plain_card(Model(work), settings).encode())
    return Exported(folder, difference, same, fitted)


def _silent(what: str, done: int, total: int) -> None:
    pass


def _opened(settings: Settings, *specs: str) -> FaceData:
    data = concatenate([open_data(spec) for spec in specs])
    return data.of_classes(settings.data.classes) if settings.data.classes else data


def _heads(settings: Settings, data: FaceData) -> tuple[str, ...]:
    heads = settings.svm.heads or tuple(data.targets)
    for head in heads:
        data.labelled(head)  # says which heads there are
    return heads


def features_of(settings: Settings, data: FaceData, run: Path, say: Say) -> tuple[Bank, Floats]:
    """Return the bank of features that has learned from `data`, and what it says of these faces, (n, d)."""
    chosen = settings.features
    registration = Registration.from_dict(chosen.registration) if chosen.registered else None
    bank = Bank.fit(
        chosen.bank,
        data.images,
        settings.seed,
        lambda done, total: say("codebooks", done, total),
        registration,
    )
    return bank, _features(bank, data, run, "training", say)


def _features(bank: Bank, data: FaceData, run: Path, name: str, say: Say) -> Floats:
    """Return the features (n, d) of faces, from the run's folder if they are there already."""
    run.mkdir(parents=True, exist_ok=True)
    path = run / f"{name}-features.npy"
    mark = run / f"{name}-features.json"
    key = json.dumps({"bank": bank.fingerprint(), "faces": _digest(data)})
    if mark.exists() and path.exists() and mark.read_text(encoding="utf-8") == key:
        return np.asarray(np.load(path, mmap_mode="r"))
    found = bank(data.images, lambda done, total: say(f"features of {name} faces", done, total))
    mark.unlink(missing_ok=True)
    np.save(path, found)
    replace_file(mark, key.encode())
    return found


def _digest(data: FaceData) -> str:
    return hashlib.sha256(np.ascontiguousarray(data.images).data).hexdigest()


def write(
    folder: Path,
    settings: Settings,
    bank: Bank,
    machine: Machine,
    calibration: Mapping[str, Calibration],
    labels: Mapping[str, tuple[str, ...]],
) -> None:
    """Write ``model.onnx``, ``features.npz`` and ``model.json`` of a machine."""
    path = folder / "model.onnx"
    path.write_bytes(_graph(machine))
    bank.save(folder / FEATURES)
    heads = [
        {
            "name": head,
            "output": head,
            "labels": list(labels[head]),
            "temperature": round(found.temperature, 5),
            "bias": [round(float(b), 5) for b in found.bias],
            "prior": [round(float(q), 5) for q in found.prior],
        }
        for head, found in calibration.items()
    ]
    size = 48
    tree = {
        "format": 1,
        "name": settings.name,
        "kind": "svm",
        "file": path.name,
        "sha256": sha256(path),
        "window": 1,
        "input": Preprocessing(size=size, color="gray", layout="nhwc", scale=1.0, dtype="uint8").to_dict(),
        "crop": {"align": True},
        "heads": heads,
        "features": sha256(folder / FEATURES),
        "about": {
            "made_by": f"pyfer {pyfer.__version__}",
            "features": bank.to_dicts(),
            "training": to_dict(settings),
        },
    }
    replace_file(folder / "model.json", (json.dumps(tree, indent=2) + "\n").encode())


def _graph(machine: Machine) -> bytes:
    """Return the ONNX file of a machine: features (n, d) in, margins (n, c) of each head out.

    Large arrays are kept in half precision and widened when they are loaded.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    stored: list[Any] = []

    def constant(name: str, array: NDArray[Any]) -> str:
        half = array.size > 10_000
        stored.append(numpy_helper.from_array(array.astype(np.float16 if half else np.float32), name))
        if not half:
            return name
        nodes.append(helper.make_node("Cast", [name], [f"{name}.wide"], to=TensorProto.FLOAT))
        return f"{name}.wide"

    def step(kind: str, inputs: list[str], output: str, **options: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    scaler, parts = machine.scaler, machine.arrays()
    parts_of_x = []
    for k, (columns, axes) in enumerate(scaler.axes):
        stored.append(numpy_helper.from_array(np.array([columns.start], np.int64), f"start.{k}"))
        stored.append(numpy_helper.from_array(np.array([columns.stop], np.int64), f"stop.{k}"))
        stored.append(numpy_helper.from_array(np.array([1], np.int64), f"axis.{k}"))
        block = step("Slice", ["input", f"start.{k}", f"stop.{k}", f"axis.{k}"], f"block.{k}")
        product = step("MatMul", [block, constant(f"axes.{k}", axes)], f"product.{k}")
        shift = constant(f"shift.{k}", scaler.mean[columns].astype(np.float64) @ _half(axes))
        parts_of_x.append(step("Sub", [product, shift], f"part.{k}"))
    z = step("Concat", parts_of_x, "z", axis=1) if len(parts_of_x) > 1 else parts_of_x[0]
    if "basis" in parts:
        basis = _half(parts["basis"])
        square = step("ReduceSumSquare", [z], "square", axes=[1], keepdims=1)
        cross = step("MatMul", [z, constant("basis", basis.T)], "cross")
        twice = step("Mul", [cross, constant("two", np.array(2.0))], "twice")
        far = step(
            "Sub", [step("Add", [square, constant("squares", (basis**2).sum(1))], "sum"), twice], "far"
        )
        scaled = step("Mul", [far, constant("minus_gamma", np.array(-parts["gamma"]))], "scaled")
        z = step("Exp", [scaled], "kernel")
    outputs = []
    for head, weights in parts["weights"].items():
        step(
            "Gemm",
            [z, constant(f"{head}.weights", weights), constant(f"{head}.bias", parts["bias"][head])],
            head,
        )
        outputs.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, ["n", weights.shape[1]]))
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", len(scaler.mean)])]
    graph = helper.make_graph(nodes, "svm", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _half(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values that are left of a large array in half precision."""
    kept = array.astype(np.float16) if array.size > 10_000 else array.astype(np.float32)
    return np.asarray(kept, np.float64)


def _compare(model: Model, bank: Bank, machine: Machine, crops: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the largest difference of margins, and the share of equal answers, ONNX against scikit-learn."""
    theirs = machine.margins(bank(crops))
    mine = model(crops).probabilities
    difference, same = 0.0, 1.0
    for head in model.spec.heads:
        bias = np.asarray(head.bias or 0.0, np.float32)
        # probabilities give margins up to a constant in each row
        back = (np.log(np.maximum(mine[head.name], 1e-30)) - bias) * head.temperature
        expected = theirs[head.name]
        gap = (back - back.mean(1, keepdims=True)) - (expected - expected.mean(1, keepdims=True))
        difference = max(difference, float(np.abs(gap).max()))
        wanted = (expected / head.temperature + bias).argmax(1)
        same = min(same, float((mine[head.name].argmax(1) == wanted).mean()))
    if difference > AGREEMENT or same < SAME_ANSWER:
        raise TrainingError(
            f"the ONNX file differs from scikit-learn by {difference:.2g} (at most {AGREEMENT}) and gives "
            f"the same answer for {same:.1%} of faces (at least {SAME_ANSWER:.1%}); not exported"
        )
    return difference, same
