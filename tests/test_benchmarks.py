"""The counting of the benchmarks. Nothing here is timed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

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
