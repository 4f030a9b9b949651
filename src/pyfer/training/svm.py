"""The way from data to a support vector machine in a model folder: features, `fit`, ONNX, calibration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import Crops, Preprocessing
from pyfer.datasets import FaceData
from pyfer.errors import TrainingError, need
from pyfer.features import Bank, Registration, feature
from pyfer.files import replace_file, replace_folder, sha256
from pyfer.models import FEATURES, Model
from pyfer.training.card import about, plain_card
from pyfer.training.data import TrainingData, empty_classes, opened
from pyfer.training.machine import Calibration, Fitted, Kernel, Machine, calibrate, fit, rounded, steps
from pyfer.training.settings import Settings

Floats = NDArray[np.float32]
Say = Callable[[str, int, int], None]
"""Told of progress: (what is being done, done, in all)."""
AGREEMENT = 0.02
"""Largest difference of margins between scikit-learn and the ONNX file; half precision alone gives 0.005."""
SAME_ANSWER = 0.99
"""Least share of validation faces for which both give the same answer."""
_LARGE = 10_000
"""Arrays of more numbers than this are kept in half precision where that is precise enough."""
_SHOWN = 2000
"""Faces that the comparison of ONNX and scikit-learn looks at."""


@dataclass(frozen=True)
class Exported:
    """What training wrote, and how near the ONNX file is to scikit-learn."""

    folder: Path
    difference: float
    """Largest difference of margins."""
    same_answer: float
    """Share of faces with the same answer."""
    fitted: Fitted


def train(
    settings: Settings,
    run: Path,
    folder: Path,
    say: Say | None = None,
    data: TrainingData | None = None,
) -> Exported:
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
    data
        What `opened` gave for these settings; None opens it here.

    Raises
    ------
    TrainingError
        A class has no training face, or the exported machine does not agree with scikit-learn.
    """
    need("sklearn", "classic")
    need("onnx", "classic")
    say = say or _silent
    _checked(settings)
    data = data or opened(settings)
    _check_classes(data)
    prepare = _input(data.train)
    bank, x = features_of(settings, data.train, run, say)
    targets = {head: data.train.targets[head] for head in data.heads}
    fitted = fit(
        x,
        targets,
        settings.svm,
        blocks=bank.slices,
        subjects=data.train.subjects,
        seed=settings.seed,
        on_done=lambda done, total: say("fitting", done, total),
    )
    seen = fitted.unseen
    if data.validation is not None:
        crops = _prepared(prepare, data.validation.images)
        margins = fitted.machine.margins(_features(bank, crops, run, "validation", say))
        seen = {head: (margins[head], data.validation.targets[head]) for head in targets}
    calibration = {head: calibrate(margins, clear(target)) for head, (margins, target) in seen.items()}
    with replace_folder(folder) as work:
        writer = _Writer(work, settings, bank, fitted.machine, prepare, data)
        difference, same = writer.write(calibration)
        replace_file(work / "README.md", plain_card(Model(work), settings, data).encode())
    return Exported(folder, difference, same, fitted)


def clear(targets: Floats) -> Floats:
    """Return targets (n, c) as they are scored: 1 for a label with more than half of the votes, or none.

    The networks are calibrated on the same faces.
    """
    return np.asarray(targets > 0.5, np.float32)


def _checked(settings: Settings) -> None:
    """Raise for a wrong feature or registration, before data are read."""
    for one in settings.features.bank:
        feature(one)
    Registration.from_dict(settings.features.registration)


def _check_classes(data: TrainingData) -> None:
    for head in data.heads:
        if empty := empty_classes(data.train, head):
            raise TrainingError(
                f"no training face shows {', '.join(empty)} (head {head!r}); name the classes to learn in "
                "data.classes, or the heads in svm.heads"
            )


def _input(data: FaceData) -> Preprocessing:
    """Return how the model's crops are made: as large as the training faces, and gray if they are."""
    color = "rgb" if data.images.ndim == 4 else "gray"
    return Preprocessing(size=data.images.shape[1], color=color, layout="nhwc", scale=1.0, dtype="uint8")


def _prepared(prepare: Preprocessing, images: Crops) -> Crops:
    """Return what the model makes of crops before it looks for features."""
    x = np.asarray(prepare(images), np.uint8)
    return x[..., 0] if x.shape[-1] == 1 else x


def _silent(what: str, done: int, total: int) -> None:
    pass


def features_of(settings: Settings, data: FaceData, run: Path, say: Say) -> tuple[Bank, Floats]:
    """Return the bank of features that has learned from `data`, and what it says of these faces, (n, d)."""
    chosen = settings.features
    registration = Registration.from_dict(chosen.registration) if chosen.registered else None
    crops = _prepared(_input(data), data.images)
    bank = Bank.fit(
        chosen.bank,
        crops,
        settings.seed,
        lambda done, total: say("codebooks", done, total),
        registration,
    )
    return bank, _features(bank, crops, run, "training", say)


def _features(bank: Bank, crops: Crops, run: Path, name: str, say: Say) -> Floats:
    """Return the features (n, d) of faces, from the run's folder if they are there already."""
    run.mkdir(parents=True, exist_ok=True)
    path = run / f"{name}-features.npy"
    mark = run / f"{name}-features.json"
    key = json.dumps({"bank": bank.fingerprint(), "faces": _digest(crops)})
    if mark.exists() and path.exists() and mark.read_text(encoding="utf-8") == key:
        return np.asarray(np.load(path, mmap_mode="r"))
    found = bank(crops, lambda done, total: say(f"features of {name} faces", done, total))
    mark.unlink(missing_ok=True)
    np.save(path, found)
    replace_file(mark, key.encode())
    return found


def _digest(crops: Crops) -> str:
    return f"{crops.shape} {hashlib.sha256(np.ascontiguousarray(crops).data).hexdigest()}"


# --- the model folder -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Writer:
    """Writes a machine as a model folder."""

    folder: Path
    settings: Settings
    bank: Bank
    machine: Machine
    prepare: Preprocessing
    data: TrainingData

    def write(self, calibration: Mapping[str, Calibration]) -> tuple[float, float]:
        """Write all but the card; return the largest difference of margins, and the share of equal answers.

        Large arrays are in eight bits, half or single precision: the least that keeps the margins.
        """
        self.bank.save(self.folder / FEATURES)
        crops = (self.data.validation or self.data.train).images[:_SHOWN]
        theirs = self.machine.margins(self.bank(_prepared(self.prepare, crops)))
        smallest = (np.int8,) if self.settings.export.eight_bit else ()
        for large in (*smallest, np.float16, np.float32):
            (self.folder / "model.onnx").write_bytes(_onnx(self.machine, large))
            self._describe({})  # without calibration, the logarithms of its answers are margins
            found = Model(self.folder)(crops).probabilities
            difference, same = _compared(found, theirs, calibration)
            if difference <= AGREEMENT and same >= SAME_ANSWER:
                self._describe(calibration)
                return difference, same
        raise TrainingError(
            f"the ONNX file differs from scikit-learn by {difference:.2g} (at most {AGREEMENT}) and gives "
            f"the same answer for {same:.1%} of faces (at least {SAME_ANSWER:.1%}); not exported"
        )

    def _describe(self, calibration: Mapping[str, Calibration]) -> None:
        """Write ``model.json``."""
        path = self.folder / "model.onnx"
        labels = self.data.train.labels
        tree = {
            "format": 1,
            "name": self.settings.name,
            "kind": self.settings.kind,
            "file": path.name,
            "sha256": sha256(path),
            "window": 1,
            "input": self.prepare.to_dict(),
            "crop": {"align": True},
            "heads": [
                {"name": head, "output": head, "labels": list(labels[head])} | _numbers(calibration.get(head))
                for head in self.machine.weights
            ],
            "features": sha256(self.folder / FEATURES),
            "about": about(self.settings, self.data.left_out) | {"features": self.bank.to_dicts()},
        }
        replace_file(self.folder / "model.json", (json.dumps(tree, indent=2) + "\n").encode())


def _numbers(found: Calibration | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "temperature": round(found.temperature, 5),
        "bias": [round(float(b), 5) for b in found.bias],
        "prior": [round(float(q), 5) for q in found.prior],
    }


def _compared(
    found: Mapping[str, Floats], theirs: Mapping[str, Floats], calibration: Mapping[str, Calibration]
) -> tuple[float, float]:
    """Return the largest difference of margins, and the share of equal answers.

    What was found are softmaxes of margins, which give them back up to a constant in each row.
    """
    difference, same = 0.0, 1.0
    for head, expected in theirs.items():
        mine = np.log(np.maximum(found[head], 1e-37))
        mine = mine - mine.mean(axis=1, keepdims=True)
        wanted = expected - expected.mean(axis=1, keepdims=True)
        difference = max(difference, float(np.abs(mine - wanted).max(initial=0)))
        answers = (calibration[head](margins).argmax(axis=1) for margins in (mine, wanted))
        same = min(same, float(np.equal(*answers).mean()))
    return difference, same


def _onnx(machine: Machine, large: type[np.number[Any]]) -> bytes:
    """Return the ONNX file of a machine: features (n, d) in, margins (n, c) of each head out."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(large)
    z = graph.scaled(machine)
    if machine.kernel is not None:
        z = graph.kernel(z, machine.kernel)
    outputs = []
    for head, weights in machine.folded().items():
        bias = graph.constant(f"{head}.bias", machine.bias[head])
        graph.node("Gemm", [z, graph.constant(f"{head}.weights", weights, coarse=False), bias], head)
        outputs.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, ["n", weights.shape[1]]))
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", len(machine.scaler.mean)])]
    whole = helper.make_graph(graph.nodes, "svm", inputs, outputs, graph.stored)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@dataclass(frozen=True)
class _Graph:
    """Nodes and constants of an ONNX graph, as they come."""

    large: type[np.number[Any]]
    """How large arrays are kept; they are widened when they are loaded."""
    nodes: list[Any] = field(default_factory=list)
    stored: list[Any] = field(default_factory=list)

    def node(self, kind: str, inputs: list[str], output: str, **options: Any) -> str:
        """Add a node with one output, and return that."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    def kept(self, array: NDArray[Any], axis: int = 0) -> NDArray[np.float64]:
        """Return what is left of the values of an array in the file; eight bits have steps along `axis`."""
        if array.size > _LARGE and self.large is np.int8:
            return rounded(array, axis)
        with np.errstate(over="ignore"):  # too large for half precision: the comparison will notice
            return array.astype(self.large if array.size > _LARGE else np.float32).astype(np.float64)

    def constant(self, name: str, array: NDArray[Any], axis: int = 0, coarse: bool = True) -> str:
        """Add a constant, float32 to those who use it, and return its name; a large one may be `coarse`."""
        from onnx import TensorProto, numpy_helper

        wide = array.size <= _LARGE or self.large is np.float32 or not coarse
        if not wide and self.large is np.int8:
            scale = steps(array, axis)
            self.stored.append(numpy_helper.from_array(np.rint(array / scale).astype(np.int8), name))
            self.stored.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
            cast = self.node("Cast", [name], f"{name}.cast", to=TensorProto.FLOAT)
            return self.node("Mul", [cast, f"{name}.scale"], f"{name}.wide")
        values = array.astype(np.float32 if wide else np.float16)
        self.stored.append(numpy_helper.from_array(values, name))
        return name if wide else self.node("Cast", [name], f"{name}.wide", to=TensorProto.FLOAT)

    def scaled(self, machine: Machine) -> str:
        """Add the scaler; return the name of its result (n, k)."""
        from onnx import numpy_helper

        parts = []
        for k, (columns, axes) in enumerate(machine.scaler.axes):
            for name, number in (("start", columns.start), ("stop", columns.stop), ("axis", 1)):
                self.stored.append(numpy_helper.from_array(np.array([number], np.int64), f"{name}.{k}"))
            block = self.node("Slice", ["input", f"start.{k}", f"stop.{k}", f"axis.{k}"], f"block.{k}")
            product = self.node(
                "MatMul" if axes.ndim else "Mul", [block, self.constant(f"axes.{k}", axes)], f"product.{k}"
            )
            mean = np.asarray(machine.scaler.mean[columns], np.float64)
            moved = mean @ self.kept(axes) if axes.ndim else mean * self.kept(axes)
            parts.append(self.node("Sub", [product, self.constant(f"shift.{k}", moved)], f"part.{k}"))
        return self.node("Concat", parts, "scaled", axis=1)

    def kernel(self, z: str, kernel: Kernel) -> str:
        """Add exp(-gamma d²) to each face of the basis; return the name of the result (n, m)."""
        basis = self.kept(kernel.basis.T, axis=1)  # (k, m)
        square = self.node("ReduceSumSquare", [z], "square", axes=[1], keepdims=1)
        both = self.node("Add", [square, self.constant("squares", (basis**2).sum(axis=0))], "both")
        cross = self.node("MatMul", [z, self.constant("basis", kernel.basis.T, axis=1)], "cross")
        twice = self.node("Mul", [cross, self.constant("two", np.array(2.0))], "twice")
        far = self.node("Sub", [both, twice], "far")
        rate = self.constant("minus_gamma", np.array(-kernel.gamma))
        return self.node("Exp", [self.node("Mul", [far, rate], "exponent")], "kernel")
