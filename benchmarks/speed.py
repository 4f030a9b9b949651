"""Measure how fast pyFER is, with what it needs to start and to be installed, and print one table.

::

    python benchmarks/speed.py                 # a few minutes; leave the machine alone meanwhile
    python benchmarks/speed.py --quick         # under a minute, rough
    python benchmarks/speed.py --json --picture FILE

- **Stages**: one thread, the picture (NASA's portrait of an astronaut unless told) fitted to 640x480.
- **Network**: the shipped recogniser alone, crops already preprocessed. Its share of the machine's peak is
  2 x multiply-adds x faces/s over the peak with as many threads in this run: the best float32 matrix product
  of numpy and of onnxruntime. Both, because numpy's OpenBLAS takes kernels of half the width on processors
  that it does not know (110 against 215 GFLOP/s measured), and a share of that would flatter. It is the peak
  of float32: a network of 8-bit integers can exceed 100 % of it.
- **Reference**: EfficientNet-B0 at 224x224 (`reference.py`; random weights, its speed is what matters), the
  shape of the best small peer, in the same onnxruntime with the same options. The two take turns, so that a
  machine that slows down slows both; the ratio is taken turn by turn.
- **New emotions**: what scoring 100 emotions adds to the network's time, in turns with it.
- **Start**: whole processes, files in the page cache, bytecode written. `import pyfer` is the wall time
  beyond that of a bare interpreter.
- **Installation**: what the records of pyFER's core dependencies list, and theirs, and so on.

Every figure is a median with its least and greatest; each repeat is a mean over a window of time.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from packaging.requirements import Requirement
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table
from rich.text import Text

import pyfer
from pyfer import faces
from pyfer.emotions import BASIC, Emotion
from pyfer.models import Model
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary

HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parent / "out" / "efficientnet_b0.onnx"
SIZE = 640, 480
BATCHES = 1, 32
THREADS = 1, 2
MATRIX = 1536  # side of the matrices that measure the peak

# What the figures are held against: the project's own aims.
DETECT_MS, IMPORT_S, COLD_S, RATIO = 25.0, 0.3, 1.5, 10.0
VOCABULARY = 5.0  # per cent of the network's time

Call = Callable[[], object]


# --- figures ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    repeats: int
    window: float
    """Seconds of a repeat, at least one call."""


FULL, QUICK = Effort(9, 0.3), Effort(3, 0.05)


@dataclass(frozen=True)
class Figure:
    """One row of the table: a median with its least and greatest."""

    name: str
    value: float
    least: float
    greatest: float
    unit: str
    note: str = ""
    target: float | None = None
    at_least: bool = False
    """Whether the target is a floor instead of a ceiling."""

    @classmethod
    def of(cls, name: str, samples: list[float], unit: str, note: str = "", **target: Any) -> Figure:
        """Return the figure of repeated measurements."""
        return cls(name, statistics.median(samples), min(samples), max(samples), unit, note, **target)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def seconds(call: Call, effort: Effort) -> float:
    """Return the mean seconds of a call over one window."""
    start = time.perf_counter()
    count = 0
    while True:
        call()
        count += 1
        taken = time.perf_counter() - start
        if taken >= effort.window:
            return taken / count


def counted(n: int, noun: str) -> str:
    """Return ``1 face`` or ``2 faces``."""
    return f"{n} {noun}{'s' * (n != 1)}"


def in_turns(calls: list[Call], effort: Effort) -> list[list[float]]:
    """Return for each call its seconds in each repeat; the calls take turns. One turn before warms up."""
    for call in calls:
        call()
    turns = [[seconds(call, effort) for call in calls] for _ in range(effort.repeats)]
    return [list(column) for column in zip(*turns, strict=True)]


# --- stages -------------------------------------------------------------------------------------------------


def encoded(picture: Path | None) -> bytes:
    """Return the picture, or the astronaut, as a JPEG of 640x480; what is cut away is at the bottom."""
    if picture is None:
        from skimage import data

        astronaut: Callable[[], npt.NDArray[np.uint8]] = data.astronaut
        image = Image.fromarray(astronaut())
    else:
        image = Image.fromarray(pyfer.read(picture))
    stream = io.BytesIO()
    ImageOps.fit(image, SIZE, Image.Resampling.LANCZOS, centering=(0.5, 0)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def stages(photo: Path, model: Model, effort: Effort) -> Iterator[Figure]:
    """Yield the milliseconds of each stage; those after detection are for one face."""
    image = pyfer.read(photo)
    detector = pyfer.Mtcnn(threads=1)
    pipeline = pyfer.Pipeline(model, detector)
    found = detector(image)
    if not len(found):
        raise SystemExit(f"{photo}: no face is found in the picture, so there is nothing to measure")
    size, n = model.spec.input.size, len(found)
    crops = faces.align(image, found.landmarks, size)
    steps: list[tuple[str, Call, int]] = [
        ("read and decode JPEG", lambda: pyfer.read(photo), 1),
        ("detect", lambda: detector(image), 1),
        ("align, per face", lambda: faces.align(image, found.landmarks, size), n),
        ("preprocess, per face", lambda: model.spec.input(crops), n),
        ("network, per face", runner(model, 1, model.spec.input(crops)), n),
        ("all, picture in memory", lambda: pipeline.predict(image), 1),
    ]
    for name, call, share in steps:
        (samples,) = in_turns([call], effort)
        ms = [1000 * s / share for s in samples]
        aim = {"target": DETECT_MS} if name == "detect" else {}
        note = f"{counted(n, 'face')}, 1 thread" if name in ("detect", "all, picture in memory") else ""
        yield Figure.of(name, ms, "ms", note, **aim)


# --- networks -----------------------------------------------------------------------------------------------


def session(network: Path | bytes, threads: int) -> Any:
    """Return a session with the options that `pyfer.Model` uses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def runner(model: Model, threads: int, batch: npt.NDArray[Any]) -> Call:
    """Return a call that runs the model's network on a preprocessed batch."""
    network = session(model.folder / model.spec.file, threads)
    wanted = [head.output for head in model.spec.heads]
    wanted += [model.spec.embedding] if model.spec.embedding else []
    feed = {network.get_inputs()[0].name: batch}
    return lambda: network.run(wanted, feed)


def faces_of(model: Model, n: int) -> npt.NDArray[Any]:
    """Return a preprocessed batch of n noisy crops (speed does not depend on what they show)."""
    size = model.spec.input.size
    crops = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    return model.spec.input(crops)


def reference_runner(threads: int, n: int) -> Call:
    """Return a call that runs EfficientNet-B0 on n pictures of 224x224; its file is made at first use."""
    script = HERE / "reference.py"
    if not REFERENCE.is_file() or REFERENCE.stat().st_mtime < script.stat().st_mtime:
        REFERENCE.parent.mkdir(exist_ok=True)
        part = REFERENCE.with_name("part.onnx")
        code = f"from pathlib import Path; from reference import *; write_reference(Path({str(part)!r}))"
        subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, capture_output=True)
        part.replace(REFERENCE)
    network = session(REFERENCE, threads)
    pictures = np.random.default_rng(0).standard_normal((n, 3, 224, 224), np.float32)
    return lambda: network.run(None, {network.get_inputs()[0].name: pictures})


WEIGHT = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
PRODUCT = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}


def shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the shape of every tensor of a graph for a batch of one (free dimensions are 1)."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                dimension.dim_value = 1
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True).graph
    known = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        known[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return known


def multiply_adds(model: onnx.ModelProto) -> int:
    """Return the multiply-adds of a network for one face: those of its convolutions and matrix products.

    Whether weights are stored as floats, as 8-bit integers that are dequantised (QDQ) or used as integers
    does not change the count.
    """
    known, total = shapes(model), 0
    for node in model.graph.node:
        if node.op_type in WEIGHT:
            weight = known[node.input[WEIGHT[node.op_type]]]  # (out, in / groups, k, k)
            total += prod(known[node.output[0]]) * prod(weight[1:])
        elif node.op_type in PRODUCT:
            left = known[node.input[0]]
            turned = any(a.name == "transA" and a.i for a in node.attribute)
            total += prod(known[node.output[0]]) * left[0 if turned else -1]
    return total


def precision(model: onnx.ModelProto) -> str:
    """Return ``int8`` if the graph quantises anything, else ``fp32``."""
    quantised = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"}
    return "int8" if any(node.op_type in quantised for node in model.graph.node) else "fp32"


def numpy_peak(threads: int, effort: Effort) -> float:
    """Return the best GFLOP/s of numpy's float32 matrix product, in a process with so many threads."""
    code = (
        "import time, numpy as np\n"
        f"a = np.random.default_rng(0).standard_normal(({MATRIX}, {MATRIX}), np.float32)\n"
        "times = [time.perf_counter()]\n"
        f"for _ in range({3 * effort.repeats + 1}): a @ a; times.append(time.perf_counter())\n"
        "print(np.diff(times).min())"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    return 2e-9 * MATRIX**3 / float(done.stdout)


def onnxruntime_peak(threads: int, effort: Effort) -> float:
    """Return the best GFLOP/s of onnxruntime's float32 matrix product."""
    names = ("a", "b", "c")
    a, b, c = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [MATRIX, MATRIX]) for name in names
    )
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["a", "b"], ["c"])], "peak", [a, b], [c])
    opset = [onnx.helper.make_opsetid("", 17)]
    product = session(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString(), threads
    )
    matrix = np.random.default_rng(0).standard_normal((MATRIX, MATRIX), np.float32)
    feed = {"a": matrix, "b": matrix}
    (samples,) = in_turns([lambda: product.run(None, feed)], Effort(3 * effort.repeats, 0))
    return 2e-9 * MATRIX**3 / min(samples)


def peak(threads: int, effort: Effort) -> Figure:
    """Return the machine's peak: the best GFLOP/s of a float32 matrix product."""
    mine, theirs = numpy_peak(threads, effort), onnxruntime_peak(threads, effort)
    best = max(mine, theirs)
    name = f"matrix product, {counted(threads, 'thread')}"
    return Figure(name, best, best, best, "GFLOP/s", f"fp32 peak; numpy {mine:.0f}, onnxruntime {theirs:.0f}")


def throughput(model: Model, effort: Effort) -> Iterator[Figure]:
    """Yield the network's faces/s at each batch and number of threads, with its share of the peak."""
    graph = onnx.load(model.folder / model.spec.file)
    gigaflop = 2e-9 * multiply_adds(graph)
    size = f"{precision(graph)}, {500 * gigaflop:.1f} M multiply-adds"
    for threads in THREADS:
        crowded = f" (only {counted(cores(), 'core')})" if threads > cores() else ""
        most = peak(threads, effort)
        yield most
        for n in BATCHES:
            (samples,) = in_turns([runner(model, threads, faces_of(model, n))], effort)
            rates = [n / s for s in samples]
            work = statistics.median(rates) * gigaflop  # GFLOP/s
            note = f"{size}: {work:.0f} GFLOP/s, {work / most.value:.0%} of peak{crowded}"
            yield Figure.of(f"network, batch {n}, {counted(threads, 'thread')}", rates, "faces/s", note)


def against_reference(model: Model, effort: Effort) -> Iterator[Figure]:
    """Yield the reference's pictures/s and how many times faster our network is, on one thread."""
    for n in BATCHES:
        ours, theirs = in_turns([runner(model, 1, faces_of(model, n)), reference_runner(1, n)], effort)
        rates = [n / s for s in theirs]
        yield Figure.of(
            f"EfficientNet-B0 224x224, batch {n}", rates, "faces/s", "1 thread, in turns with ours"
        )
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        name = f"network / EfficientNet-B0, batch {n}"
        note = f"1 thread; ours {n / statistics.median(ours):.0f} faces/s in the same turns"
        yield Figure.of(name, ratios, "x", note, target=RATIO, at_least=True)


def new_emotions(model: Model, effort: Effort) -> Iterator[Figure]:
    """Yield what a vocabulary of 100 emotions adds to the network's time for 32 faces, in per cent."""
    rng = np.random.default_rng(0)
    letters = "abcdefghij"
    mixtures = [
        Emotion(
            f"mixture {one}{other}",
            " + ".join(f"{w:.6f} {name}" for w, name in zip(weights, BASIC, strict=True)),
        )
        for (one, other), weights in zip(
            product(letters, repeat=2), rng.dirichlet(np.ones(8), 92), strict=False
        )
    ]
    posterior = Posterior(Vocabulary(mixtures), model.evidence, model.labels)
    crops = rng.integers(0, 256, (32, model.spec.input.size, model.spec.input.size, 3), np.uint8)
    output = model(crops)
    p = output.probabilities[model.spec.head().name]

    def scored() -> None:
        evidence = posterior.coefficients(p, output.embedding)
        posterior(evidence, p)
        posterior.mixtures(evidence)

    network, scoring = in_turns([runner(model, 1, model.spec.input(crops)), scored], effort)
    shares = [100 * b / a for a, b in zip(network, scoring, strict=True)]
    note = f"{len(posterior.names) - 1} emotions: {statistics.median(scoring) * 1e6 / 32:.1f} us a face"
    yield Figure.of("new emotions / network, batch 32", shares, "%", note, target=VOCABULARY)


# --- start and installation ---------------------------------------------------------------------------------


def fresh(*command: str | Path) -> str:
    """Run a process that may write bytecode, as a user's does; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [str(c) for c in command], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def python(code: str) -> str:
    """Run code in a process of its own."""
    return fresh(sys.executable, "-c", code)


def start(photo: Path, model: Model, effort: Effort) -> Iterator[Figure]:
    """Yield the time of ``import pyfer``, of the names behind it, and of a whole ``pyfer predict``."""
    once = Effort(effort.repeats, 0)
    names = ("pass", "import pyfer", "from pyfer import predict")
    bare, light, heavy = in_turns([partial(python, code) for code in names], once)
    outside = "torch sklearn pandas scipy cv2 onnx fastapi"
    code = "import sys, pyfer; pyfer.predict; print([m for m in {!r}.split() if m in sys.modules])"
    loaded = python(code.format(outside)).strip()
    note = f"beyond a bare interpreter ({statistics.median(bare):.2f} s)"
    extra = [b - a for a, b in zip(bare, light, strict=True)]
    yield Figure.of("import pyfer", extra, "s", note, target=IMPORT_S)
    extra = [b - a for a, b in zip(bare, heavy, strict=True)]
    yield Figure.of("from pyfer import predict", extra, "s", f"heavy extras imported: {loaded}")
    command = shutil.which("pyfer", path=str(Path(sys.executable).parent))
    call = [command] if command else [sys.executable, "-c", "from pyfer.cli import main; main()"]
    (whole,) = in_turns([lambda: fresh(*call, "predict", photo, "--model", model.folder)], once)
    yield Figure.of("pyfer predict photo.jpg", whole, "s", "whole process, 640x480", target=COLD_S)


def core(name: str) -> dict[str, Distribution]:
    """Return the installed distributions that a distribution needs without extras, itself included."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # needed on other systems only
        if package.name in found:
            continue
        found[package.name] = package
        needs = map(Requirement, package.requires or [])
        waiting += [n.name for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]
    return found


def megabytes(package: Distribution) -> float:
    """Return the size of a distribution's files; of pyFER's, that of its folder (it may be editable)."""
    if package.name == "io-pyfer":
        files = [p for p in Path(pyfer.__file__).parent.rglob("*") if p.suffix != ".pyc" and p.is_file()]
    else:
        files = [Path(str(package.locate_file(file))) for file in package.files or []]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def installation() -> Iterator[Figure]:
    """Yield the size of pyFER and of everything it needs."""
    sizes = {name: megabytes(package) for name, package in core("io-pyfer").items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:4]
    own, total = sizes["io-pyfer"], sum(sizes.values())
    yield Figure("pyfer's own files", own, own, own, "MB", "code and weights")
    note = f"{len(sizes)} packages: " + ", ".join(f"{name} {sizes[name]:.0f}" for name in largest)
    yield Figure("with all core dependencies", total, total, total, "MB", note)


# --- report -------------------------------------------------------------------------------------------------


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    packages = {name: version(name) for name in ("onnxruntime", "numpy", "pillow")}
    return {"cores": cores(), "load": load, "python": platform.python_version(), **packages}


def measure(model: Model, picture: Path | None, effort: Effort) -> Iterator[Figure]:
    """Yield every figure, in the order of the table."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(encoded(picture))
        yield from stages(photo, model, effort)
        yield from throughput(model, effort)
        yield from against_reference(model, effort)
        yield from new_emotions(model, effort)
        yield from start(photo, model, effort)
    yield from installation()


def number(value: float) -> str:
    """Return three digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(figures: list[Figure], caption: str) -> Table:
    """Return the table that is printed."""
    sheet = Table(box=None, pad_edge=False, header_style="bold", caption=caption, caption_justify="left")
    sheet.add_column("figure", no_wrap=True)
    sheet.add_column("median", justify="right", no_wrap=True)
    sheet.add_column("least-greatest", justify="right", no_wrap=True)
    sheet.add_column("unit", no_wrap=True)
    sheet.add_column("target", no_wrap=True)
    sheet.add_column("note", overflow="fold", style="dim")
    for f in figures:
        spread = "" if f.least == f.greatest else f"{number(f.least)}-{number(f.greatest)}"
        aim = Text("")
        if f.target is not None:
            verdict = ("met", "green") if f.met else ("missed", "bold red")
            aim = Text.assemble(f"{'>=' if f.at_least else '<='} {number(f.target)} ", verdict)
        sheet.add_row(f.name, number(f.value), spread, f.unit, aim, f.note)
    return sheet


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed, start and size of pyFER in one table.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="photograph instead of the astronaut")
    parser.add_argument(
        "--model", metavar="MODEL", help="installed model or folder (default: the shipped one)"
    )
    parser.add_argument("--quick", action="store_true", help="a rough run in under a minute")
    arguments = parser.parse_args()
    about = machine()
    model = Model(arguments.model, threads=1)
    figures = list(measure(model, arguments.picture, QUICK if arguments.quick else FULL))
    if arguments.json:
        rows = [{**asdict(figure), "met": figure.met} for figure in figures]
        print(json.dumps({"machine": about, "model": model.name, "figures": rows}, indent=1))
        return
    caption = f"model {model.name}; " + ", ".join(f"{k} {v}" for k, v in about.items())
    caption += "\nAn int8 network can exceed 100 % of the fp32 peak."
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(figures, caption))


if __name__ == "__main__":
    main()
