"""Features and machines for studies, kept in a folder so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import pyfer
from pyfer.datasets import folds
from pyfer.errors import ModelError
from pyfer.evaluation import predictions
from pyfer.features import Bank, Registration
from pyfer.features.base import Feature, Setting, feature
from pyfer.files import replace_file
from pyfer.models import Model
from pyfer.studies.common import Integers, Names, Setup
from pyfer.studies.faces import Faces

if TYPE_CHECKING:
    from pyfer.training.settings import SvmSettings

Columns = NDArray[np.float32]
Crops = NDArray[np.uint8]
BASIS = 800
"""Faces that span the kernel's space."""
_AXES_FROM = 3000
"""Training faces that main components are computed from."""
_CHUNK = 512
_MAKERS: tuple[str, ...] = (
    *("crops.py", "mtcnn.py", "models/*.py", "features/*.py", "training/*.py", "streams/*.py"),
    *("datasets/clips.py", "studies/bench.py", "studies/context.py"),
)


# --- what is kept -----------------------------------------------------------------------------------------


def cached(setup: Setup, key: Mapping[str, Any], compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return the array that an earlier run kept under `key`, or compute and keep it."""
    path = _path(setup, key, "npy")
    try:
        with path.open("rb") as stream:
            return np.asarray(np.load(stream))
    except (OSError, ValueError, EOFError):  # not there, or damaged: it is made anew
        found = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, found)
    replace_file(path, content.getvalue())
    return found


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a fingerprint of the code that makes what is kept: another code must not find it."""
    root = Path(pyfer.__file__).parent
    rooms = (path for room in _MAKERS for path in sorted(root.glob(room)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in rooms)).hexdigest()


def _path(setup: Setup, key: Mapping[str, Any], ending: str) -> Path:
    text = json.dumps({"code": _code(), **key}, sort_keys=True)
    return setup.cache / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.{ending}"


def digest(*arrays: NDArray[Any] | None) -> str:
    """Return a fingerprint of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        if array is not None:
            found.update(f"{array.dtype}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).view(np.uint8).data)
    return found.hexdigest()


# --- crops ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Seen(Registration):
    """A registration whose landmarks were found before: several ways to move crops, one look at them."""

    points: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 5, 2)), compare=False)
    found: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), compare=False)

    def landmarks(self, crops: Crops) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return self.points.copy(), self.found


def registered(setup: Setup, crops: Crops, source: Crops | None = None, **options: Any) -> Crops:
    """Return registered crops (n, size, size[, 3]).

    Parameters
    ----------
    setup
        Where landmarks are kept.
    crops
        uint8 (n, s, s[, 3]).
    source
        The crops that landmarks are looked for in, where `crops` are a filtered version of them.
    options
        Those of `pyfer.features.Registration`.
    """
    seen = _landmarks(setup, crops if source is None else source)
    move = _Seen(**options, points=seen[:, :10].reshape(-1, 5, 2), found=seen[:, 10] > 0)
    return move(crops)


def _landmarks(setup: Setup, crops: Crops) -> NDArray[np.float64]:
    """Return (n, 11): five points, and whether there is a face."""

    def compute() -> NDArray[Any]:
        look = Registration()
        parts = []
        for start in range(0, len(crops), _CHUNK):
            points, found = look.landmarks(crops[start : start + _CHUNK])
            parts.append(np.column_stack([points.reshape(-1, 10), found]))
            setup.say("landmarks", min(start + _CHUNK, len(crops)), len(crops))
        return np.concatenate(parts)

    return cached(setup, {"what": "landmarks", "crops": digest(crops)}, compute)


# --- features ---------------------------------------------------------------------------------------------


def _bank(setup: Setup, kind: Feature, crops: Crops) -> Bank:
    """Return a feature that has learned from crops; what it learned is kept."""
    if not kind.learns:
        return Bank(kind)
    key = {"what": "bank", "feature": kind.to_dict(), "seed": setup.seed, "crops": digest(crops)}
    path = _path(setup, key, "npz")
    try:
        return Bank.load(path, kind)
    except ModelError:  # not there, or damaged: it is made anew
        setup.say(f"words of {kind.kind}", 0, 1)
        bank = Bank.fit(kind, crops, setup.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    bank.save(path)
    setup.say(f"words of {kind.kind}", 1, 1)
    return bank


def columns(
    setup: Setup, settings: Setting, train: Crops, test: Crops, components: int = 400
) -> tuple[Columns, Columns]:
    """Return one feature of faces to train on and to measure on, (n, k) and (m, k).

    Codebooks and main components (`components` at most) are learned from `train`, the components from 3,000
    of them at most. The mean squared length is 1, so that several features side by side weigh alike.
    """
    kind = feature(settings)
    key = {"what": "columns", "feature": kind.to_dict(), "components": components, "seed": setup.seed}

    def compute() -> NDArray[Any]:
        from pyfer.training.machine import Scaler
        from pyfer.training.settings import SvmSettings

        bank = _bank(setup, kind, train)
        x = bank(train, lambda done, total: setup.say(f"{kind.kind}, to train on", done, total))
        y = bank(test, lambda done, total: setup.say(f"{kind.kind}, to measure on", done, total))
        some = np.random.default_rng(setup.seed).permutation(len(x))[:_AXES_FROM]
        scaler = Scaler.fit(
            x[some], {"all": slice(0, x.shape[1])}, SvmSettings(components=components), setup.seed
        )
        return np.concatenate([scaler(x), scaler(y)])

    both = cached(setup, {**key, "train": digest(train), "test": digest(test)}, compute)
    return both[: len(train)], both[len(train) :]


def turned(setup: Setup, settings: Setting, crops: Crops, learn_from: Crops | None = None) -> Columns:
    """Return one feature of few faces, (n, at most n), turned so that no more columns are left than needed.

    Turning keeps all distances and products, and so changes no machine; it tells nothing of one face to
    another. Codebooks are learned from `learn_from`, which must be other faces.
    """
    kind = feature(settings)
    key = {"what": "turned", "feature": kind.to_dict(), "seed": setup.seed, "crops": digest(crops)}

    def compute() -> NDArray[Any]:
        bank = _bank(setup, kind, crops if learn_from is None else learn_from)
        x = bank(crops, lambda done, total: setup.say(f"{kind.kind}, of the lab", done, total))
        wide = x.astype(np.float64)
        if wide.shape[1] > len(wide):
            values, vectors = np.linalg.eigh(wide @ wide.T)
            wide = vectors * np.sqrt(np.maximum(values, 0))
        return np.asarray(wide, np.float32)

    learned = digest(learn_from) if kind.learns else ""
    return cached(setup, {**key, "learned": learned}, compute)


def beside(parts: Mapping[str, Columns]) -> tuple[Columns, dict[str, slice]]:
    """Return features side by side, and where each stands."""
    places, start = {}, 0
    for name, part in parts.items():
        places[name] = slice(start, start + part.shape[1])
        start += part.shape[1]
    return np.concatenate(list(parts.values()), axis=1), places


# --- machines ---------------------------------------------------------------------------------------------


def svm(setup: Setup, kernel: str = "rbf", c: tuple[float, ...] = (0.3, 1.0, 3.0)) -> SvmSettings:
    """Return settings for a machine on `columns` or `turned` features, which are reduced already."""
    from pyfer.training.settings import SvmSettings

    return SvmSettings(
        components=0, kernel=kernel, basis=setup.sized(BASIS, 300), gamma=(1.0,), c=c, folds=2, search=3000
    )


def trained(
    setup: Setup,
    x: Mapping[str, tuple[Columns, Columns]],
    truth: Integers,
    settings: SvmSettings,
    what: str = "",
    classes: int = 0,
) -> Columns:
    """Return probabilities (m, c) of faces that a machine has not seen.

    Parameters
    ----------
    setup
        Where they are kept; seed.
    x
        Name -> a feature of the n faces to train on and of the m others, as of `columns`.
    truth
        (n,) classes 0..c-1; one without a face gets the probability 0.
    settings
        Candidates are chosen, and margins calibrated, by folds of the n faces.
    what
        What is fitted, for the progress.
    classes
        c, where the last classes may have no face.
    """
    known, blocks = beside({name: pair[0] for name, pair in x.items()})
    asked, _ = beside({name: pair[1] for name, pair in x.items()})
    key = {"what": "trained", "svm": asdict(settings), "seed": setup.seed, "blocks": str(blocks)}
    key["arrays"] = digest(known, asked, truth)

    def compute() -> NDArray[Any]:
        return _fitted(setup, _Examples(known, truth, blocks), asked, settings, classes, what)

    return cached(setup, key, compute)


def crossvalidated(
    setup: Setup,
    x: Mapping[str, Columns],
    faces: Faces,
    settings: SvmSettings,
    *,
    k: int = 10,
    what: str = "",
) -> Columns:
    """Return probabilities (n, c), each face's from a machine that saw nobody of its fold.

    `x` has features (n, d) of the faces by name, as of `turned`. Candidates are chosen by inner folds,
    grouped by person as the outer ones are.
    """
    columns_, blocks = beside(x)
    truth, subjects = faces.truth, faces.subjects
    key = {"what": "folds", "svm": asdict(settings), "seed": setup.seed, "k": k, "blocks": str(blocks)}
    key["arrays"] = digest(columns_, truth) + digest(None if subjects is None else np.char.encode(subjects))

    def compute() -> NDArray[Any]:
        fold = folds(subjects, truth, k, setup.seed)
        classes = len(faces.labels)
        found = np.zeros((len(truth), classes), np.float32)
        for number in range(k):
            inside, outside = fold != number, fold == number
            names = None if subjects is None else subjects[inside]
            examples = _Examples(columns_[inside], truth[inside], blocks, names)
            found[outside] = _fitted(setup, examples, columns_[outside], settings, classes)
            setup.say(f"folds: {what}", number + 1, k)
        return found

    return cached(setup, key, compute)


@dataclass(frozen=True, eq=False)
class _Examples:
    """Faces that a machine learns from."""

    x: Columns
    truth: Integers
    blocks: Mapping[str, slice]
    subjects: Names | None = None


def _fitted(
    setup: Setup, examples: _Examples, asked: Columns, settings: SvmSettings, classes: int, what: str = ""
) -> Columns:
    """Return probabilities (m, c) of the faces `asked` from a machine that learned from the examples."""
    from pyfer.training.machine import calibrate, fit

    # a small sample may lack a rare class: it is then no answer, with a probability of 0
    known, place = np.unique(examples.truth, return_inverse=True)
    targets = np.eye(len(known), dtype=np.float32)[place.reshape(-1)]
    fitted = fit(
        examples.x,
        {"answer": targets},
        settings,
        blocks=examples.blocks,
        subjects=examples.subjects,
        seed=setup.seed,
        on_done=(lambda done, total: setup.say(f"machine: {what}", done, total)) if what else None,
    )
    calibration = calibrate(*fitted.unseen["answer"])
    found = np.zeros((len(asked), max(classes, int(known[-1]) + 1)), np.float32)
    found[:, known] = calibration(fitted.machine.margins(asked)["answer"])
    return found


def network(setup: Setup, faces: Faces, model: str | None = None, *, flip: bool = False) -> Columns:
    """Return probabilities (n, c) of a CNN, by its own head, for the classes of the faces."""
    loaded = Model(model)
    key = {"what": "network", "model": loaded.spec.sha256, "flip": flip, "labels": list(faces.labels)}

    def compute() -> NDArray[Any]:
        def tell(done: int, total: int) -> None:
            setup.say(f"network {loaded.name}", done, total)

        return predictions(loaded, faces.data, head=faces.head, flip=flip, on_done=tell).probabilities

    return cached(setup, {**key, "crops": digest(faces.images)}, compute)


def fused(
    first: Columns, second: Columns, faces: Faces, weights: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
) -> Columns:
    """Return the weighted geometric mean of two methods' probabilities, rows summing to 1.

    The weight of the second is chosen on one half of the faces for the other half, and the other way round:
    no face has a say in its own weight. 0 leaves the second out.
    """
    log = [np.log(np.maximum(p, 1e-6)) for p in (first, second)]
    mixed = [(1 - w) * log[0] + w * log[1] for w in weights]
    right = np.stack([m.argmax(axis=1) == faces.truth for m in mixed])
    half = folds(faces.subjects, faces.truth, 2)
    found = np.empty_like(log[0])
    for k in (0, 1):
        best = int(right[:, half != k].mean(axis=1).argmax())
        found[half == k] = mixed[best][half == k]
    shares = np.exp(found - found.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)
