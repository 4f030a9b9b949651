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
from pyfer.evaluation import fit_temperature
from pyfer.models import OnDone, softmax
from pyfer.training.settings import SvmSettings

Floats = NDArray[np.float32]
_MOST_ROWS = 8000
"""Faces that main components are computed from."""


@dataclass(frozen=True, eq=False)
class Scaler:
    """Brings blocks of features to the same size and to their main components.

    Each block loses its mean and is divided by its root mean square length, so that all weigh alike.
    """

    mean: Floats
    """(d,)"""
    axes: tuple[tuple[slice, Floats], ...]
    """(columns, (width, k)) of each block; scaled, so that ``(x - mean) @ axes`` is the result."""

    def __call__(self, x: Floats) -> Floats:
        """Return (n, k) for features (n, d)."""
        parts = [(x[:, columns] - self.mean[columns]) @ axes for columns, axes in self.axes]
        return np.concatenate(parts, axis=1)

    @classmethod
    def fit(cls, x: Floats, blocks: Mapping[str, slice], settings: SvmSettings, seed: int = 0) -> Scaler:
        """Learn from features (n, d), whose `blocks` are known by name."""
        pca = need("sklearn.decomposition", "classic").PCA
        rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:_MOST_ROWS])
        mean = x.mean(axis=0)
        axes = []
        for columns in blocks.values():
            block = x[rows, columns] - mean[columns]
            width = min(settings.components, *block.shape) if settings.components else 0
            if width and width < block.shape[1]:
                fitted = pca(width, svd_solver="randomized", random_state=seed).fit(block)
                deviation = np.maximum(np.sqrt(fitted.explained_variance_), 1e-6)
                directions = (fitted.components_ / deviation[:, None] ** settings.whiten).T
            else:
                directions = np.eye(block.shape[1])
            directions = np.asarray(directions, np.float32)
            size = np.sqrt(np.mean(((block @ directions) ** 2).sum(axis=1)) * len(blocks))
            axes.append((columns, np.asarray(directions / max(float(size), 1e-9), np.float32)))
        return cls(np.asarray(mean, np.float32), tuple(axes))


@dataclass(frozen=True, eq=False)
class Machine:
    """A fitted machine for one or more heads."""

    scaler: Scaler
    kernel: Any
    """scikit-learn's Nystroem, or None for a linear machine."""
    machines: Mapping[str, Any]
    """head -> a list of scikit-learn's LinearSVC, one a class."""

    def margins(self, x: Floats) -> dict[str, Floats]:
        """Return head -> (n, c) for features (n, d), as scikit-learn computes them."""
        z = self.scaler(x)
        if self.kernel is not None:
            z = self.kernel.transform(z)
        return {
            head: np.stack([m.decision_function(z) for m in each], axis=1).astype(np.float32)
            for head, each in self.machines.items()
        }

    def arrays(self) -> dict[str, Any]:
        """Return what the machine is made of: the basis (m, k) and gamma, and for heads weights and biases.

        Nystroem's normalisation is folded into the weights: ``margins = K(z, basis) @ weights + bias``.
        """
        weights = {head: np.stack([m.coef_[0] for m in each], axis=1) for head, each in self.machines.items()}
        bias = {head: np.array([m.intercept_[0] for m in each]) for head, each in self.machines.items()}
        if self.kernel is None:
            return {"weights": weights, "bias": bias}
        folded = {head: self.kernel.normalization_.T @ w for head, w in weights.items()}
        return {
            "basis": self.kernel.components_,
            "gamma": self.kernel.gamma,
            "weights": folded,
            "bias": bias,
        }


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
    first = next(iter(targets))
    _check_classes(targets)
    candidates = [(gamma, c) for gamma in settings.gamma for c in settings.c]
    tick = _Ticks(len(settings.gamma) * settings.folds * (len(settings.c) + 1) + 2, on_done)
    rows = _some(targets[first], settings.search, seed)
    truth = targets[first][rows].argmax(axis=1)
    fold = folds(None if subjects is None else subjects[rows], truth, settings.folds, seed)
    answers: dict[tuple[float, float], dict[str, Floats]] = {
        pair: {head: np.zeros((len(rows), t.shape[1]), np.float32) for head, t in targets.items()}
        for pair in candidates
    }
    for gamma in settings.gamma:
        for k in range(settings.folds):
            inside, outside = rows[fold != k], rows[fold == k]
            space = _Space.fit(x[inside], blocks, gamma, settings, seed)
            known, asked = space(x[inside]), space(x[outside])
            tick()
            for c in settings.c:
                some = {head: t[inside] for head, t in targets.items()}
                for head, each in _machines(known, some, c, settings).items():
                    answers[gamma, c][head][fold == k] = _decide(each, asked)
                tick()
    labelled = targets[first][rows].sum(axis=1) > 0
    score = {
        pair: float((given[first].argmax(axis=1) == truth)[labelled].mean())
        for pair, given in answers.items()
    }
    gamma, c = max(candidates, key=lambda pair: score[pair])
    space = _Space.fit(x, blocks, gamma, settings, seed)
    tick()
    machine = Machine(space.scaler, space.kernel, _machines(space(x), targets, c, settings))
    tick()
    unseen = {head: (answers[gamma, c][head], t[rows]) for head, t in targets.items()}
    return Fitted(machine, gamma, c, tuple((*pair, score[pair]) for pair in candidates), unseen)


class _Ticks:
    def __init__(self, total: int, on_done: OnDone | None) -> None:
        self.done, self.total, self.on_done = 0, total, on_done

    def __call__(self) -> None:
        self.done += 1
        if self.on_done is not None:
            self.on_done(self.done, self.total)


@dataclass(frozen=True, eq=False)
class _Space:
    """Where the machines are linear."""

    scaler: Scaler
    kernel: Any

    @classmethod
    def fit(
        cls, x: Floats, blocks: Mapping[str, slice], gamma: float, settings: SvmSettings, seed: int
    ) -> _Space:
        scaler = Scaler.fit(x, blocks, settings, seed)
        if settings.kernel == "linear":
            return cls(scaler, None)
        kind = need("sklearn.kernel_approximation", "classic").Nystroem
        basis = min(settings.basis, len(x))
        kernel = kind(kernel="rbf", gamma=gamma, n_components=basis, random_state=seed)
        return cls(scaler, kernel.fit(scaler(x)))

    def __call__(self, x: Floats) -> NDArray[np.float64]:
        """Return (n, m) float64, as liblinear wants it."""
        z = self.scaler(x)
        found = z if self.kernel is None else self.kernel.transform(z)
        return np.asarray(found, np.float64)


def _machines(
    z: NDArray[np.float64], targets: Mapping[str, Floats], c: float, settings: SvmSettings
) -> dict[str, list[Any]]:
    """Return head -> one machine a class."""
    kind = need("sklearn.svm", "classic").LinearSVC
    found: dict[str, list[Any]] = {}
    for head, target in targets.items():
        known = target.sum(axis=1) > 0
        share = target[known].mean(axis=0)
        weight = np.maximum(share, 1e-6) ** -settings.balance
        weight = weight * (share @ weight) ** -1
        rows = z if known.all() else z[known]
        found[head] = []
        for k in range(target.shape[1]):
            x, y, w = _examples(rows, target[known][:, k], target[known] @ weight)
            # intercept_scaling: liblinear punishes the intercept too, which it should hardly feel
            machine = kind(C=c, dual=False, intercept_scaling=10.0, tol=1e-3, max_iter=300)
            found[head].append(machine.fit(x, y, w))
    return found


def _examples(
    z: NDArray[np.float64], share: Floats, weight: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[Any]]:
    """Return rows, signs and weights: a face that is partly of the class is there twice."""
    partly = np.flatnonzero((share > 0) & (share < 1))
    rows = np.concatenate([z, z[partly]]) if len(partly) else z
    sign = np.where(share > 0, 1, -1)
    size = np.where(share > 0, share, 1.0) * weight
    return (
        rows,
        np.concatenate([sign, np.full(len(partly), -1)]),
        np.concatenate([size, (1 - share[partly]) * weight[partly]]),
    )


def _decide(machines: list[Any], z: NDArray[np.float64]) -> Floats:
    return np.stack([m.decision_function(z) for m in machines], axis=1).astype(np.float32)


def _check_classes(targets: Mapping[str, Floats]) -> None:
    for head, target in targets.items():
        some, all_ = (target > 0).any(axis=0), (target[target.sum(axis=1) > 0] >= 1).all(axis=0)
        if not some.all() or all_.any() or target.shape[1] < 2:
            empty = np.flatnonzero(~some).tolist()
            raise ArgumentError(
                f"targets[{head!r}] must have faces of two or more classes, and of each; none of {empty}"
            )


def _some(target: Floats, most: int, seed: int) -> NDArray[np.intp]:
    """Return rows with a label, `most` of them at most, each class at its share."""
    rows = np.flatnonzero(target.sum(axis=1) > 0)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


# --- probabilities -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Calibration:
    """How margins become probabilities: softmax(margins / temperature + bias)."""

    temperature: float
    bias: Floats
    """(c,), mean 0."""
    prior: Floats
    """(c,) the class prior that the probabilities speak for."""

    def __call__(self, margins: Floats) -> Floats:
        """Return (n, c) probabilities."""
        return softmax(margins / np.float32(self.temperature) + self.bias)


def calibrate(margins: Floats, targets: Floats, rounds: int = 30) -> Calibration:
    """Fit temperature and bias on margins (n, c) of faces that the machine has not seen, targets (n, c).

    Alternates the temperature (`fit_temperature`) with the bias that makes the mean probability of each class
    its share, which is what the best bias does.
    """
    known = targets.sum(axis=1) > 0
    margins, targets = margins[known], targets[known]
    prior = np.maximum(targets.mean(axis=0), 1e-4)
    prior = prior / prior.sum()
    bias = np.zeros(margins.shape[1], np.float64)
    temperature = 1.0
    for _ in range(rounds):
        temperature = fit_temperature(margins, targets, bias)
        mean = softmax(margins / temperature + bias).mean(axis=0)
        bias += np.log(prior / np.maximum(mean, 1e-6))
        bias -= bias.mean()
    return Calibration(float(temperature), np.asarray(bias, np.float32), np.asarray(prior, np.float32))
