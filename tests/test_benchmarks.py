"""The counting of the benchmarks. Nothing here is timed."""

from __future__ import annotations

import gc
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import MakeModel
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pyfer.films import Film
from pyfer.pipeline import Pipeline

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("speed")


def network(nodes: list[NodeProto], **constants: np.ndarray) -> ModelProto:
    """Return a graph from x (batch, 4, 10, 10) to y with a free batch size."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 10, 10])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def ones(*shape: int, kind: str = "float32") -> np.ndarray:
    return np.ones(shape, kind)


def convolution(x: str, w: str, y: str, **attributes: object) -> NodeProto:
    return helper.make_node("Conv", [x, w], [y], **attributes)


FULL = 8 * 4 * 9 * 8 * 8  # 8 of 4 channels, kernel 3x3, output 8x8
DENSE = 512 * 7


def test_convolutions_and_dense_layers_are_counted(speed: ModuleType) -> None:
    nodes = [
        convolution("x", "full", "a"),
        convolution("a", "depthwise", "b", group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "dense"], ["y"], transB=1),
    ]
    model = network(nodes, full=ones(8, 4, 3, 3), depthwise=ones(8, 1, 3, 3), dense=ones(7, 512))
    assert speed.multiply_adds(model) == FULL + 8 * 9 * 8 * 8 + DENSE
    assert speed.precision(model) == "fp32"


def test_matrix_product_is_counted(speed: ModuleType) -> None:
    model = network([helper.make_node("MatMul", ["x", "w"], ["y"])], w=ones(10, 3))
    assert speed.multiply_adds(model) == 4 * 10 * 3 * 10


def test_quantised_network_counts_as_much(speed: ModuleType) -> None:
    scales = {"s": np.float32(0.1) * ones(), "z": np.zeros((), "int8")}
    quantised = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wd"]),
    ]
    model = network([*quantised, convolution("xd", "wd", "y")], w=ones(8, 4, 3, 3, kind="int8"), **scales)
    assert speed.multiply_adds(model) == FULL
    assert speed.precision(model) == "int8"


def test_integer_convolution_counts_as_much(speed: ModuleType) -> None:
    scales = {"s": np.float32(0.1) * ones(), "z": np.zeros((), "int8")}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("QLinearConv", ["xq", "s", "z", "w", "s", "z", "s", "z"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "s", "z"], ["y"]),
    ]
    model = network(nodes, w=ones(8, 4, 3, 3, kind="int8"), **scales)
    assert speed.multiply_adds(model) == FULL


def test_target_can_be_a_ceiling_or_a_floor(speed: ModuleType) -> None:
    samples = [3.0, 1.0, 2.0]
    assert speed.Figure.of("a", samples, "ms").met is None
    assert speed.Figure.of("a", samples, "ms", target=2.0).met
    assert not speed.Figure.of("a", samples, "ms", target=1.5).met
    assert speed.Figure.of("a", samples, "x", target=1.5, at_least=True).met


def test_core_of_the_installation_has_no_extra(speed: ModuleType) -> None:
    names = set(speed.core("io-pyfer"))
    assert {"io-pyfer", "numpy", "pillow", "onnxruntime"} <= names
    assert not names & {"torch", "scikit-learn", "scikit-image", "opencv-python-headless", "pandas"}


# --- films ------------------------------------------------------------------------------------------------


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("av")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("films")


@pytest.fixture
def short(films: ModuleType, tmp_path: Path) -> Path:
    """Return a film of 12 frames."""
    path: Path = films.astronaut(tmp_path / "short.mp4", seconds=0.5, size=(320, 180))
    return path


def test_what_a_part_calls_counts_for_that_alone(films: ModuleType) -> None:
    times = iter([0.0, 1.0, 4.0, 10.0, 20.0, 21.0])
    clock = films.Clock(lambda: next(times))
    with clock("outer"), clock("inner"):
        pass
    with clock("outer"):
        pass
    assert clock.seconds == {"inner": 3.0, "outer": 10.0 - 3.0 + 1.0}


def test_the_astronaut_goes_round(films: ModuleType) -> None:
    frames = [frame.astype(int) for frame in films.panned(seconds=2.0, size=(160, 90))]
    steps = [float(np.abs(a - b).mean()) for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert len(frames) == 2 * films.RATE
    assert min(steps) > 0  # it moves
    assert steps[-1] < 1.5 * max(steps[:-1])  # the end fits to the beginning


def test_a_film_is_repeated_packet_by_packet(films: ModuleType, short: Path, tmp_path: Path) -> None:
    long = films.repeated(short, tmp_path / "long.mp4", 30)
    with Film(short) as one, Film(long) as other:
        pictures, repeats = [frame.image for frame in one], list(other)
    assert len(pictures) == 12
    assert [frame.time for frame in repeats] == pytest.approx([k / films.RATE for k in range(30)], abs=1e-3)
    for k, frame in enumerate(repeats):
        assert np.array_equal(frame.image, pictures[k % 12]), k
    assert other.ending.status == "ok"


def test_every_part_of_watching_is_counted(films: ModuleType, short: Path, make_rnn: MakeModel) -> None:
    before = {(owner, name): getattr(owner, name) for group in films.PARTS.values() for owner, name in group}
    steps = Film.__iter__
    spent = films.spent(short, Pipeline(make_rnn(), threads=1))
    assert set(spent) == {"wait", *films.PARTS, "rest"}
    assert all(value > 0 for value in spent.values()), spent
    assert Film.__iter__ is steps
    assert before == {place: getattr(*place) for place in before}


def test_growth_is_counted_from_a_frame_on(films: ModuleType) -> None:
    found = [(100, 50.0), (500, 80.0), (600, 99.0), (700, 91.0)]
    assert films.growth(found) == (80.0, 11.0, 19.0)
    with pytest.raises(ValueError, match="frame of 800 or more"):
        films.growth(found, first=800)


def test_memory_is_looked_at_while_everything_is_written(
    films: ModuleType, short: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "STEP", 5)
    monkeypatch.setattr(films, "resident", iter([1.0, 2.0]).__next__)
    assert films.sizes(short, Pipeline(tiny, threads=1), tmp_path) == [(5, 1.0), (10, 2.0)]
    assert len((tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()) == 12
    assert len((tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()) >= 13  # with its head


def test_every_output_has_its_figure(films: ModuleType, short: Path, tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    effort = films.Effort(turns=1, frames=0)
    figures = list(films.outputs(short, Pipeline(tiny, threads=1), effort, tmp_path))
    assert [figure.name.split(",")[0] for figure in figures] == [
        "JSON lines",
        "CSV",
        "Parquet",
        "timeline",
        *["annotated film"] * 2,
    ]
    assert all(figure.value > 0 for figure in figures)
    assert {"out.jsonl", "out.csv", "out.parquet", "out.mp4"} <= {path.name for path in tmp_path.iterdir()}


def test_frames_are_freed_without_the_garbage_collector(films: ModuleType, tmp_path: Path) -> None:
    """Where they wait for it, a film takes hundreds of frames more than it needs."""
    av = importlib.import_module("av")
    film = films.astronaut(tmp_path / "film.mp4", seconds=2.0, size=(160, 90))
    gc.collect()
    gc.disable()
    try:
        with Film(film) as frames:
            count = sum(1 for _ in frames)
        waiting = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert count == 48
    assert waiting < 10
