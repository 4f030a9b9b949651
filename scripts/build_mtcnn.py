"""Build the three MTCNN networks as ONNX from the weights in the installed ``mtcnn`` 1.0.0 wheel.

::

    pip install mtcnn==1.0.0 joblib lz4 onnx
    python scripts/build_mtcnn.py                    # writes src/pyfer/weights/mtcnn

The networks are those of Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task
Cascaded Convolutional Networks", IEEE Signal Processing Letters 2016. The wheel keeps their weights as
pickles, so each file's hash is checked before it is opened. The same wheel gives the same bytes on every run.

All three networks take pictures as they are, ``image`` uint8 (n, h, w, 3) RGB, and give

- ``box`` float32 (n, 4): offsets of x0, y0, x1, y1 from the window, in fractions of the window's side,
- ``score`` float32 (n,): probability of a face,
- ``landmarks`` float32 (n, 5, 2), ONet only: x, y in fractions of the window's side.

PNet looks at every 12-px window of the picture in steps of 2 px, so its outputs have two more axes:
``box`` (n, 4, rows, columns) and ``score`` (n, rows, columns).
"""

from __future__ import annotations

import argparse
import hashlib
import io
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

WHEEL = "mtcnn"
VERSION = "1.0.0"
PICKLES = {  # sha256 of mtcnn/assets/weights/*.lz4 in the wheel
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
POOLS = {"pnet": (2, 0, 0), "rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}  # max-pool window after each convolution
WINDOW: dict[str, tuple[str | int, ...]] = {"pnet": ("h", "w"), "rnet": (24, 24), "onet": (48, 48)}
OPSET, IR_VERSION = 17, 8
FOLDER = Path(__file__).resolve().parents[1] / "src" / "pyfer" / "weights" / "mtcnn"

SOURCE = """\
Where these files are from
==========================
Networks: PNet, RNet and ONet of MTCNN. K. Zhang, Z. Zhang, Z. Li, Y. Qiao: "Joint Face Detection and
          Alignment using Multi-task Cascaded Convolutional Networks", IEEE Signal Processing Letters 2016.
Weights:  the wheel mtcnn {version} on PyPI (https://github.com/ipazc/mtcnn, MIT: see LICENSE).
Made by:  scripts/build_mtcnn.py (numbers unchanged but for three exact rewritings: (x - 127.5) / 128 is
          inside the first convolution, PReLU is written as a x + (1 - a) max(x, 0), and the two-class
          softmax as the logistic function of the difference).

sha256 of the wheel's files
{pickles}

sha256 of these files
{networks}
"""

Array = npt.NDArray[np.float32]


class Graph:
    """A small ONNX graph under construction: nodes and constants, named in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.NDArray[Any]) -> str:
        """Store `value` (floats as float32, integers as int64) and return its name."""
        dtype = np.float32 if value.dtype.kind == "f" else np.int64
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        output = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def affine(self, x: str, weight: Array, bias: Array, group: int = 1, name: str | None = None) -> str:
        """Convolution for (out, in, k, k) weights, dense layer for (in, out) weights."""
        parameters = self.constant(weight), self.constant(bias)
        if weight.ndim == 4:
            return self.op("Conv", x, *parameters, name=name, group=group)
        return self.op("Gemm", x, *parameters, name=name)


def read_weights(wheel: Distribution, name: str) -> list[Array]:
    """Return the arrays of network `name`, in Keras order, after checking the file's hash."""
    data = Path(str(wheel.locate_file(f"mtcnn/assets/weights/{name}.lz4"))).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != PICKLES[name]:
        raise SystemExit(f"{name}.lz4 has sha256 {found}, not {PICKLES[name]}: not unpickling it")
    arrays: list[Array] = joblib.load(io.BytesIO(data))
    return arrays


def pad(array: Array, axis: int, size: int) -> Array:
    """Append zeros along `axis` up to `size`."""
    width = [(0, size - n if i == axis else 0) for i, n in enumerate(array.shape)]
    return np.pad(array, width)


def convolution(graph: Graph, x: str, layer: list[Array], width: int) -> tuple[str, int]:
    """Append convolution and PReLU for the Keras arrays kernel (k, k, in, out), bias, slopes.

    PReLU is written as ``a x + (1 - a) max(x, 0)`` with per-channel (depthwise) convolutions, and channels
    are padded with zeros to a multiple of 16: onnxruntime then keeps the whole network in its blocked
    channel layout, which makes it two to three times faster than with its PRelu operator.

    Returns the output's name and its number of channels, `width` being that of `x`.
    """
    kernel, bias, slope = layer[0].transpose(3, 2, 0, 1), layer[1], layer[2].reshape(-1)
    out = -(-len(bias) // 16) * 16
    kernel = pad(pad(kernel, 1, width), 0, out)
    y = graph.affine(x, kernel, pad(bias, 0, out))
    factor, none = pad(slope, 0, out).reshape(-1, 1, 1, 1), np.zeros(out, np.float32)
    linear = graph.affine(y, factor, none, group=out)
    positive = graph.affine(graph.op("Relu", y), 1 - factor, none, group=out)
    return graph.op("Add", linear, positive), out


def normalised(layer: list[Array]) -> list[Array]:
    """Fold the pixels' ``(x - 127.5) / 128`` into the first convolution (exact: it has no padding)."""
    kernel, bias, slope = layer
    return [kernel / 128, bias - (127.5 / 128) * kernel.sum((0, 1, 2)), slope]


def trunk(graph: Graph, name: str, weights: list[Array]) -> tuple[str, int]:
    """Append everything from the pixels to the last convolution; return its output and channels."""
    x, width = graph.op("Transpose", "image", perm=[0, 3, 1, 2]), 3
    x = graph.op("Cast", x, to=TensorProto.FLOAT)
    for index, pool in enumerate(POOLS[name]):
        layer = weights[3 * index : 3 * index + 3]
        x, width = convolution(graph, x, normalised(layer) if index == 0 else layer, width)
        if pool:  # "same" pads at the end only, as ceil_mode does; where Keras has "valid" nothing is over
            x = graph.op("MaxPool", x, kernel_shape=[pool, pool], strides=[2, 2], ceil_mode=1)
    return x, width


def heads(name: str, weights: list[Array]) -> tuple[Array, Array]:
    """Join the last layers: columns box (4), logit of face against no face (1), landmarks (10, ONet only).

    The two-class softmax is the logistic function of the logits' difference. Keras has the landmarks as
    five x, then five y; here they become x, y pairs. It also lists ONet's landmarks before its classes.
    """
    arrays = [a.reshape(-1, a.shape[-1]) for a in weights]
    kernels, biases = arrays[0::2], [b[0] for b in arrays[1::2]]
    columns = [kernels[0], kernels[-1][:, 1:] - kernels[-1][:, :1]]
    offsets = [biases[0], biases[-1][1:] - biases[-1][:1]]
    if name == "onet":
        pairs = np.arange(10).reshape(2, 5).T.reshape(-1)
        columns.append(kernels[1][:, pairs])
        offsets.append(biases[1][pairs])
    return np.concatenate(columns, 1), np.concatenate(offsets)


def build_pnet(graph: Graph, weights: list[Array]) -> None:
    """Append PNet, whose heads are 1x1 convolutions."""
    x, width = trunk(graph, "pnet", weights)
    kernel, bias = heads("pnet", weights[9:])
    kernel = pad(kernel.T, 1, width)[:, :, None, None]
    x = graph.affine(x, kernel, bias)
    split = graph.constant(np.array([4, 1]))
    graph.nodes.append(helper.make_node("Split", [x, split], ["box", "logit"], axis=1))
    logit = graph.op("Squeeze", "logit", graph.constant(np.array([1])))
    graph.op("Sigmoid", logit, name="score")


def build_dense(graph: Graph, name: str, weights: list[Array]) -> None:
    """Append RNet or ONet, whose heads follow a dense layer."""
    x, width = trunk(graph, name, weights)
    first = 3 * len(POOLS[name])
    kernel, bias, slope = weights[first : first + 3]
    # Keras flattens the 3x3 maps as (x, y, channel), a heritage of Caffe; ONNX as (channel, y, x)
    kernel = kernel.reshape(3, 3, width, -1).transpose(2, 1, 0, 3).reshape(9 * width, -1)
    x = graph.affine(graph.op("Flatten", x), kernel, bias)
    x = graph.op("PRelu", x, graph.constant(slope))
    x = graph.affine(x, *heads(name, weights[first + 3 :]))
    sizes = [4, 1, 10] if name == "onet" else [4, 1]
    outputs = ["box", "logit", "pairs"][: len(sizes)]
    graph.nodes.append(helper.make_node("Split", [x, graph.constant(np.array(sizes))], outputs, axis=1))
    logit = graph.op("Squeeze", "logit", graph.constant(np.array([1])))
    graph.op("Sigmoid", logit, name="score")
    if name == "onet":
        graph.op("Reshape", "pairs", graph.constant(np.array([-1, 5, 2])), name="landmarks")


def build(name: str, weights: list[Array]) -> bytes:
    """Return network `name` as a serialised ONNX model."""
    graph = Graph()
    if name == "pnet":
        build_pnet(graph, weights)
    else:
        build_dense(graph, name, weights)
    maps: list[str | int] = ["rows", "columns"] if name == "pnet" else []
    shapes: dict[str, list[str | int]] = {"box": ["n", 4, *maps], "score": ["n", *maps]}
    if name == "onet":
        shapes["landmarks"] = ["n", 5, 2]
    pixels = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", *WINDOW[name], 3])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, [pixels], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pyfer/scripts/build_mtcnn.py",
    )
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def main() -> None:
    """Build the three networks and write them with SOURCE and LICENSE."""
    parser = argparse.ArgumentParser(description="Build MTCNN's networks from the installed mtcnn wheel.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: %(default)s)")
    out: Path = parser.parse_args().out
    wheel = distribution(WHEEL)
    if wheel.version != VERSION:
        raise SystemExit(f"{WHEEL} {wheel.version} is installed; this script reads {VERSION}")
    out.mkdir(parents=True, exist_ok=True)
    networks = {}
    for name in PICKLES:
        data = build(name, read_weights(wheel, name))
        (out / f"{name}.onnx").write_bytes(data)
        networks[name] = hashlib.sha256(data).hexdigest()
    listed = ["\n".join(f"{h}  {n}" for n, h in table.items()) for table in (PICKLES, networks)]
    source = SOURCE.format(version=VERSION, pickles=listed[0], networks=listed[1])
    (out / "SOURCE").write_text(source, "utf-8")
    licences = [f for f in wheel.files or () if f.name == "LICENSE"]
    (out / "LICENSE").write_text(licences[0].read_text(encoding="utf-8"), "utf-8")
    print(listed[1])


if __name__ == "__main__":
    main()
