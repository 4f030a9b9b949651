"""Support vector machines on arrays of features: scaled, reduced, fitted by scikit-learn, calibrated.

::

    features -> scaler -> main components -> kernel space -> one machine a class -> margins -> softmax

The kernel is exp(-gamma d²), spanned by a sample of the faces (C. Williams, M. Seeger: "Using the Nyström
Method to Speed Up Kernel Machines", NIPS 2000). Each machine minimises the squared hinge loss, one class
against the rest (R.-E. Fan et al.: "LIBLINEAR", JMLR 2008). Margins become probabilities by a softmax whose
temperature and bias are fitted on faces that the machines have not seen (Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import folds
from pyfer.errors import ArgumentError, need
from pyfer.models import OnDone
from pyfer.training.calibration import Calibration as Calibration
from pyfer.training.calibration import calibrate as calibrate
from pyfer.training.settings import SvmSettings

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_Planes = tuple[Doubles, Doubles]
"""Weights (m, c) and biases (c,) of the machines of a head, one column a class."""
_MOST_ROWS = 8000
"""Faces that main components are computed from."""
_JITTER = 1e-3
"""Added to the kernel of each face of the basis with itself, which is 1."""
_CHUNK = 2048
"""Faces that are moved to the kernel's space at once: it bounds what is needed beside the result."""
_LEAST_SIZE = 1e-5
"""A block whose faces differ by less than this share of their length holds rounding errors alone."""


@dataclass(frozen=True, eq=False)
class Scaler:
    """Brings blocks of features to the same size and to their main components.

    Each block loses its mean and is divided by its root mean square length, so that all weigh alike. A block
    that is the same for all faces becomes zeros.
    """

    mean: Floats
    """(d,)"""
    axes: tuple[tuple[slice, Floats], ...]
    """(columns, directions (width, k)) of each block; scaled, so that ``(x - mean) @ directions`` is the
    result. Without components they are a mere factor, shape ()."""

    @property
    def width(self) -> int:
        """How many numbers come out."""
        return sum(part.shape[1] if part.ndim else where.stop - where.start for where, part in self.axes)

    def __call__(self, x: Floats) -> Floats:
        """Return (n, width) for features (n, d)."""
        found = np.empty((len(x), self.width), np.float32)
        for start in range(0, len(x), _CHUNK):  # the copy without the mean can be larger than the result
            left = 0
            for columns, axes in self.axes:
                rows = x[start : start + _CHUNK, columns] - self.mean[columns]
                part = rows @ axes if axes.ndim else rows * axes
                found[start : start + _CHUNK, left : left + part.shape[1]] = part
                left += part.shape[1]
        return found

    @classmethod
    def fit(cls, x: Floats, blocks: Mapping[str, slice], settings: SvmSettings, seed: int = 0) -> Scaler:
        """Learn from features (n, d), whose `blocks` are known by name."""
        rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:_MOST_ROWS])
        mean = np.asarray(x.mean(axis=0, dtype=np.float64), np.float32)
        axes = []
        weights = _weights(blocks, settings)
        for named, weight in zip(blocks.values(), weights, strict=True):
            columns = slice(*named.indices(x.shape[1])[:2])
            block = x[rows, columns]
            noise = _LEAST_SIZE * float(np.sqrt(np.einsum("ij,ij->", block, block) / len(block)))
            block -= mean[columns]
            directions = _directions(block, settings, seed)
            moved = block if directions is None else block @ directions
            size = float(np.sqrt(np.einsum("ij,ij->", moved, moved) / len(moved)))
            factor = np.sqrt(weight) / size if size > noise else 0.0
            part = np.float32(factor) * (np.ones(()) if directions is None else directions)
            axes.append((columns, np.asarray(part, np.float32)))
        return cls(mean, tuple(axes))


def _weights(blocks: Mapping[str, slice], settings: SvmSettings) -> Doubles:
    """Return the share of each block in the mean squared length of a face."""
    if settings.weights and len(settings.weights) != len(blocks):
        raise ArgumentError(
            f"svm.weights={settings.weights!r} must have one number for each of {', '.join(blocks)}"
        )
    weights = np.asarray(settings.weights or [1.0] * len(blocks), np.float64)
    return np.asarray(weights / weights.sum(), np.float64)


def _directions(block: Floats, settings: SvmSettings, seed: int) -> Floats | None:
    """Return the main directions (width, k) of rows (n, width) with mean 0; None keeps the numbers."""
    width = min(settings.components, len(block) - 1, block.shape[1])  # n faces span n - 1 directions
    if not width or (width == block.shape[1] and not settings.whiten):
        return None
    kind = need("sklearn.decomposition", "classic").PCA
    pca: Any = kind(width, svd_solver="randomized", random_state=seed).fit(block)
    deviation = np.sqrt(pca.explained_variance_)
    # components that hardly vary are noise; whitening must not make them as loud as the others
    deviation = np.maximum(deviation, max(float(deviation.max()) * 1e-3, 1e-12))
    return np.asarray((pca.components_ / deviation[:, None] ** settings.whiten).T, np.float32)


@dataclass(frozen=True, eq=False)
class Machine:
    """A fitted machine for one or more heads."""

    scaler: Scaler
    kernel: Kernel | None
    """None for a linear machine."""
    weights: Mapping[str, Doubles]
    """head -> (m, c), as scikit-learn's LinearSVC or SVC found them, one column a class."""
    bias: Mapping[str, Doubles]
    """head -> (c,)"""

    def margins(self, x: Floats) -> dict[str, Floats]:
        """Return head -> (n, c) for features (n, d), as scikit-learn computes them."""
        z = _Space(self.scaler, self.kernel)(x)
        return {head: _decide((w, self.bias[head]), z) for head, w in self.weights.items()}

    def folded(self) -> dict[str, Doubles]:
        """Return head -> weights (m, c) with the kernel's normalisation in them.

        With them ``margins = exp(-gamma d²) @ weights + bias``.
        """
        if self.kernel is None or self.kernel.normal is None:
            return dict(self.weights)
        normal = self.kernel.normal.T
        return {head: normal @ w for head, w in self.weights.items()}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A machine with what was learned on the way to it."""

    machine: Machine
    gamma: float
    c: float
    search: tuple[tuple[float, float, float], ...]
    """(gamma, c, accuracy of the first head on faces of other folds) of each candidate."""
    unseen: Mapping[str, tuple[Floats, Floats]]
    """head -> margins (m, c) and targets (m, c) of faces that were in another fold."""


def fit(
    x: Floats,
    targets: Mapping[str, Floats],
    settings: SvmSettings | None = None,
    *,
    blocks: Mapping[str, slice] | None = None,
    subjects: NDArray[np.str_] | None = None,
    seed: int = 0,
    on_done: OnDone | None = None,
) -> Fitted:
    """Choose gamma and c by folds grouped by subject, then fit on all faces.

    Parameters
    ----------
    x
        (n, d) features.
    targets
        head -> (n, c), rows of shares with sum 1, or 0 where the head has no label. A face whose share of a
        class is 0.3 counts 0.3 for it and 0.7 against it.
    settings
        Kernel, candidates, folds.
    blocks
        Name -> columns of each feature; None takes all as one.
    subjects
        (n,) who is shown; None: nobody is known, every face is its own.
    seed
        Decides the folds, the basis and what is looked at.
    on_done
        Called with (machines fitted, in all).

    Raises
    ------
    ArgumentError
        There are fewer faces than folds, or a class has no face.
    """
    settings = settings or SvmSettings()
    blocks = blocks or {"features": slice(0, x.shape[1])}
    _check_classes(targets)
    rows = _some(targets, settings.search, seed)
    first = next(iter(targets.values()))[rows]
    known, truth = first.any(axis=1), first.argmax(axis=1)
    fold = folds(
        None if subjects is None else subjects[rows], np.where(known, truth, -1), settings.folds, seed
    )
    gammas = settings.gamma if settings.kernel == "rbf" else settings.gamma[:1]
    tick = _Ticks(len(gammas) * settings.folds * (len(settings.c) + 1) + 2, on_done)
    answers: dict[tuple[float, float], dict[str, Floats]] = {
        (gamma, c): {head: np.zeros((len(rows), t.shape[1]), np.float32) for head, t in targets.items()}
        for gamma in gammas
        for c in settings.c
    }
    for gamma in gammas:
        for k in range(settings.folds):
            inside, outside = rows[fold != k], rows[fold == k]
            space = _Space.fit(x[inside], blocks, gamma, settings, seed)
            z, asked = space(x[inside]), space(x[outside])
            tick()
            for c in settings.c:
                for head, target in targets.items():
                    planes = _solved(z, target[inside], c, settings)
                    answers[gamma, c][head][fold == k] = _decide(planes, asked)
                tick()
    score = {
        pair: float((next(iter(given.values())).argmax(axis=1) == truth)[known].mean())
        for pair, given in answers.items()
    }
    gamma, c = max(score, key=lambda pair: score[pair])
    space = _Space.fit(x, blocks, gamma, settings, seed)
    tick()
    machine = _machine(space, x, targets, c, settings)
    tick()
    unseen = {head: (answers[gamma, c][head], t[rows]) for head, t in targets.items()}
    return Fitted(machine, gamma, c, tuple((*pair, score[pair]) for pair in score), unseen)


class _Ticks:
    def __init__(self, total: int, on_done: OnDone | None) -> None:
        self.done, self.total, self.on_done = 0, total, on_done

    def __call__(self) -> None:
        self.done += 1
        if self.on_done is not None:
            self.on_done(self.done, self.total)


def steps(array: NDArray[Any], axis: int) -> Doubles:
    """Return the steps that eight bits need: of columns (1, k) for ``axis=0``, of rows (m, 1) for 1."""
    found = np.abs(array).max(axis=axis, keepdims=True).astype(np.float64) / 127
    return np.asarray(np.maximum(found, 1e-12).astype(np.float32), np.float64)


def rounded(array: NDArray[Any], axis: int) -> Doubles:
    """Return an array (m, k) as eight bits hold it; rounded again it stays as it is."""
    step = steps(array, axis)
    return np.asarray(np.rint(array / step) * step, np.float64)


@dataclass(frozen=True, eq=False)
class Kernel:
    """The kernel exp(-gamma d²) of faces with a basis of faces."""

    basis: Floats
    """(m, k)"""
    gamma: float
    normal: Doubles | None
    """(m, m) lower triangle that makes the basis orthonormal; None leaves the kernel itself, for libsvm."""

    @classmethod
    def spanned(cls, z: Floats, gamma: float, most: int, seed: int) -> Kernel:
        """Choose `most` faces of (n, k) as basis, round them to eight bits, and normalise it.

        Rounded before the machine is fitted, they can be stored as small as that without any loss.

        scikit-learn's Nystroem takes a singular value decomposition: minutes for 4,000 faces, and with
        copies among them weights so large that single precision is no longer enough. A Cholesky decomposition
        spans the same space; `_JITTER` keeps it from telling copies apart.
        """
        triangle = need("scipy.linalg", "classic").solve_triangular
        rows = np.random.default_rng(seed).permutation(len(z))[:most]
        bare = cls(rounded(z[np.sort(rows)], 0).astype(np.float32), gamma, None)
        gram = bare(bare.basis)
        gram.flat[:: len(gram) + 1] += _JITTER
        lower = np.linalg.cholesky(gram)
        return cls(bare.basis, gamma, triangle(lower, np.eye(len(lower)), lower=True))

    def __call__(self, z: Floats) -> Doubles:
        """Return (n, m) for faces (n, k)."""
        kernel = need("sklearn.metrics.pairwise", "classic").rbf_kernel
        found = np.asarray(kernel(z, self.basis, gamma=self.gamma), np.float64)
        return found if self.normal is None else found @ self.normal.T


@dataclass(frozen=True, eq=False)
class _Space:
    """Where the machines are linear."""

    scaler: Scaler
    kernel: Kernel | None

    @classmethod
    def fit(
        cls, x: Floats, blocks: Mapping[str, slice], gamma: float, settings: SvmSettings, seed: int
    ) -> _Space:
        scaler = Scaler.fit(x, blocks, settings, seed)
        if settings.kernel == "linear":
            return cls(scaler, None)
        if not settings.basis:
            return cls(scaler, Kernel(scaler(x), gamma, None))
        return cls(scaler, Kernel.spanned(scaler(x), gamma, settings.basis, seed))

    def __call__(self, x: Floats) -> Doubles:
        """Return (n, m) float64, as liblinear wants it."""
        z = self.scaler(x)
        if self.kernel is None:
            return np.asarray(z, np.float64)
        found = np.empty((len(z), len(self.kernel.basis)))
        for start in range(0, len(z), _CHUNK):
            found[start : start + _CHUNK] = self.kernel(z[start : start + _CHUNK])
        return found


def _machine(
    space: _Space, x: Floats, targets: Mapping[str, Floats], c: float, settings: SvmSettings
) -> Machine:
    z = space(x)
    planes = {head: _solved(z, target, c, settings) for head, target in targets.items()}
    weights, bias = ({head: pair[k] for head, pair in planes.items()} for k in range(2))
    return Machine(space.scaler, space.kernel, weights, bias)


def _solved(z: Doubles, target: Floats, c: float, settings: SvmSettings) -> _Planes:
    """Return the machines of a head for faces (n, m) in the kernel's space."""
    exact = settings.kernel == "rbf" and not settings.basis
    return (_duals if exact else _planes)(z, target, c, settings)


def _duals(kernel: Doubles, target: Floats, c: float, settings: SvmSettings) -> _Planes:
    """Return the exact machines of a head by libsvm (Chang & Lin 2011), for a kernel (n, n) of the faces."""
    kind = need("sklearn.svm", "classic").SVC
    known = np.flatnonzero(target.any(axis=1))
    truth = target[known].argmax(axis=1)
    inner = kernel if len(known) == len(kernel) else kernel[np.ix_(known, known)]
    share = np.bincount(truth, minlength=target.shape[1]) / len(truth)
    weight = np.maximum(share, 1e-6) ** -settings.balance
    size = (weight / (share @ weight))[truth]
    weights, bias = np.zeros((len(kernel), target.shape[1])), np.full(target.shape[1], -1.0)
    for k in np.flatnonzero((share > 0) & (share < 1)):
        machine: Any = kind(C=c, kernel="precomputed", cache_size=1000)
        machine.fit(inner, truth == k, size)
        weights[known[machine.support_], k] = machine.dual_coef_[0]
        bias[k] = machine.intercept_[0]
    bias[share == 1] = 1.0
    return weights, bias


def _planes(z: Doubles, target: Floats, c: float, settings: SvmSettings) -> _Planes:
    """Return the machines of a head for faces (n, m) with shares (n, classes)."""
    kind = need("sklearn.svm", "classic").LinearSVC
    known = target.any(axis=1)
    if not known.all():
        z, target = z[known], target[known]
    weights, bias = np.zeros((z.shape[1], target.shape[1])), np.full(target.shape[1], -1.0)
    share = target.mean(axis=0) if len(target) else np.ones(target.shape[1])
    weight = np.maximum(share, 1e-6) ** -settings.balance
    target = target * (weight / (share @ weight))
    whole = target.sum(axis=1)
    for k, column in enumerate(target.T):
        if not column.any() or (column >= whole).all():  # as in a fold without a rare class: always the same
            bias[k] = 1.0 if column.any() else -1.0
            continue
        rows, sign, size = _examples(z, column, whole)
        # intercept_scaling: liblinear punishes the intercept too, which it should hardly feel
        machine: Any = kind(C=c, dual=False, intercept_scaling=10.0, tol=1e-3, max_iter=300)
        machine.fit(rows, sign, size)
        weights[:, k], bias[k] = machine.coef_[0], machine.intercept_[0]
    return weights, bias


def _examples(
    z: Doubles, part: NDArray[Any], whole: NDArray[Any]
) -> tuple[Doubles, NDArray[np.int64], NDArray[Any]]:
    """Return rows, signs and weights of faces (n, m); the class has `part` of their `whole` weight (n,).

    A face that is partly of the class is there twice.
    """
    partly = np.flatnonzero((part > 0) & (part < whole))
    rows = np.concatenate([z, z[partly]]) if len(partly) else z
    sign = np.where(part > 0, 1, -1)
    size = np.where(part > 0, part, whole)
    return (
        rows,
        np.concatenate([sign, np.full(len(partly), -1)]),
        np.concatenate([size, (whole - part)[partly]]),
    )


def _decide(planes: _Planes, z: Doubles) -> Floats:
    """Return margins (n, c) of faces (n, m)."""
    weights, bias = planes
    return np.asarray(z @ weights + bias, np.float32)


def _check_classes(targets: Mapping[str, Floats]) -> None:
    for head, target in targets.items():
        empty = np.flatnonzero(~(target > 0).any(axis=0)).tolist()
        if target.shape[1] < 2 or empty:
            which = f"; none of {empty}" if empty else ""
            raise ArgumentError(f"targets[{head!r}] must have two or more classes, and faces of each{which}")


def _some(targets: Mapping[str, Floats], most: int, seed: int) -> NDArray[np.intp]:
    """Return rows with a label in any head, `most` of them at most, each class at its share."""
    rows = np.flatnonzero(np.any([target.any(axis=1) for target in targets.values()], axis=0))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])
