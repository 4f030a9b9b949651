"""Every subset of some classes, measured: arrays in, a table out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import canonical
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.evaluation import bootstrap
from pyfer.evaluation.intervals import clusters
from pyfer.models import shares
from pyfer.subsets.answers import Floats, Integers, Mask, check

Interval = tuple[float, float]

MEASURES = ("balanced", "accuracy")
"""What subsets can be ranked by: mean recall of the classes (every class counts alike), or share of faces."""
MOST = 5000
"""Subsets that can be measured at once; ten classes have 1,013."""
_BINS = 15  # of the calibration error, as in pyfer.evaluation


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    sizes: tuple[int, ...] | None = None
    """Numbers of classes, each 2 or more; None is all, from 2 to all classes together."""
    by: str = "balanced"
    """One of `MEASURES`: what ranks the subsets, and what `Table.score` is."""
    resamples: int = 1000
    """Draws of each interval."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in MEASURES:
            raise ArgumentError(
                f"by={self.by!r} must be one of {', '.join(MEASURES)}{did_you_mean(self.by, MEASURES)}"
            )
        if self.sizes is not None and (not self.sizes or min(self.sizes) < 2):
            raise ArgumentError(f"sizes={self.sizes} must be 2 or more: one class alone is always right")
        if self.resamples < 10:
            raise ArgumentError(f"resamples={self.resamples} must be 10 or more")


@dataclass(frozen=True)
class Subset:
    """How well the classes of one subset are told apart; shares lie in 0..1, intervals hold 95 %."""

    classes: tuple[str, ...]
    n: int
    """Faces whose truth is one of the classes."""
    accuracy: float
    accuracy_interval: Interval
    balanced: float
    """Balanced accuracy: mean recall of the classes."""
    balanced_interval: Interval
    macro_f1: float
    ece: float
    """Expected calibration error of the renormalised probabilities. Ranked by balanced accuracy, every
    class weighs alike in it; ranked by accuracy, every face."""
    by: str = "balanced"

    @property
    def score(self) -> float:
        """What it is ranked by."""
        return self.balanced if self.by == "balanced" else self.accuracy

    @property
    def interval(self) -> Interval:
        """Of `score`."""
        return self.balanced_interval if self.by == "balanced" else self.accuracy_interval

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them."""
        tree = {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }
        del tree["by"]
        return {"size": len(self.classes), **tree}


@dataclass(frozen=True, eq=False)
class Table:
    """m subsets of c classes, measured on the same faces; ``table[rows]`` selects. Fields as in `Subset`."""

    labels: tuple[str, ...]
    by: str
    members: Mask
    """(m, c) which classes each subset has."""
    n: Integers
    """(m,), as all below."""
    accuracy: Floats
    accuracy_interval: Floats
    """(m, 2) low and high."""
    balanced: Floats
    balanced_interval: Floats
    """(m, 2)."""
    macro_f1: Floats
    ece: Floats

    def __post_init__(self) -> None:
        m = len(self.members)
        if self.members.shape != (m, len(self.labels)):
            raise ArgumentError(
                f"members has shape {self.members.shape}; {len(self.labels)} labels need (m, c)"
            )
        for column in fields(self)[3:]:
            wanted = (m, 2) if column.name.endswith("interval") else (m,)
            if (shape := getattr(self, column.name).shape) != wanted:
                raise ArgumentError(f"{column.name} has shape {shape}; {m} subsets need {wanted}")

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, rows: Mask | Integers | slice) -> Table:
        return replace(self, **{c.name: getattr(self, c.name)[rows] for c in fields(self)[2:]})

    def __iter__(self) -> Iterator[Subset]:
        return (self.row(k) for k in range(len(self)))

    @property
    def size(self) -> Integers:
        """(m,) number of classes."""
        return np.asarray(self.members.sum(1), np.int64)

    @property
    def score(self) -> Floats:
        """(m,) what the subsets are ranked by."""
        return self.balanced if self.by == "balanced" else self.accuracy

    @property
    def interval(self) -> Floats:
        """(m, 2) of `score`."""
        return self.balanced_interval if self.by == "balanced" else self.accuracy_interval

    def row(self, k: int) -> Subset:
        """Return one subset."""
        columns = {c.name: getattr(self, c.name)[k].tolist() for c in fields(self)[3:]}
        columns = {name: tuple(v) if isinstance(v, list) else v for name, v in columns.items()}
        return Subset(self.names(k), by=self.by, **columns)

    def of(self, classes: Iterable[str]) -> Subset:
        """Return the subset of these classes; `ArgumentError` where it is not in the table."""
        wanted = {canonical(name, self.labels) for name in classes}
        for k in range(len(self)):
            if set(self.names(k)) == wanted:
                return self.row(k)
        raise ArgumentError(
            f"classes={sorted(wanted)} are no subset of this table (sizes {_listed(self.size)})"
        )

    def of_size(self, size: int) -> Table:
        """Return the subsets of `size` classes, best first."""
        rows = np.flatnonzero(self.size == size)
        if not len(rows):
            raise ArgumentError(f"size={size} is not in this table; it has sizes {_listed(self.size)}")
        return self[rows[np.argsort(-self.score[rows], kind="stable")]]

    def best(self, size: int) -> Subset:
        """Return the best subset of `size` classes: the first of equal ones."""
        return self.of_size(size).row(0)

    def pairs(self) -> Table:
        """Return the subsets of two classes, hardest first."""
        return self.of_size(2)[::-1]

    def largest(self, at_least: float = 0.95, *, surely: bool = False) -> Subset | None:
        """Return the largest subset with a score of `at_least`, the best of these; None where there is none.

        With `surely`, the lower end of its interval must reach `at_least`.
        """
        if not 0 < at_least <= 1:
            raise ArgumentError(f"at_least={at_least!r} must be a share, above 0 and at most 1")
        reached = self[(self.interval[:, 0] if surely else self.score) >= at_least]
        return reached.best(int(reached.size.max())) if len(reached) else None

    def names(self, k: int) -> tuple[str, ...]:
        """Return the classes of one subset."""
        return tuple(name for name, there in zip(self.labels, self.members[k], strict=True) if there)


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted({int(value) for value in values}))) or "none"


# --- measuring --------------------------------------------------------------------------------------------


def measure(
    probabilities: NDArray[np.floating[Any]],
    truth: Integers,
    labels: Sequence[str],
    *,
    subjects: NDArray[np.str_] | None = None,
    settings: Settings | None = None,
) -> Table:
    """Measure every subset of the classes.

    Parameters
    ----------
    probabilities
        (n, c), not negative, under the class prior that is wanted (see `Answers.with_prior`).
    truth
        (n,) index of the true label, 0..c-1. Labels without a face are in no subset.
    labels
        c names.
    subjects
        (n,) who is shown; persons are resampled then, not faces.
    settings
        See `Settings`.

    Returns
    -------
    table
        Sorted by size, then in the order of the labels. ECE has 15 bins of equal width (Guo et al. 2017).

    Notes
    -----
    Intervals are percentiles of a bootstrap over faces or persons (Efron 1979). Where hardly a face is wrong,
    resamples hold no error either, and such an interval is too short; so each end is the outer one of this
    bootstrap and of Jeffreys' posterior of the recalls, Beta(right + 1/2, wrong + 1/2) (Brown, Cai & DasGupta
    2001; Brodersen et al. 2010 do so for balanced accuracy, with a flat prior).
    """
    settings = settings or Settings()
    check(probabilities, truth, labels, subjects)
    members = _members(np.bincount(truth, minlength=len(labels)) > 0, settings.sizes)
    hits, confusion, ece = judged(probabilities, truth, members, settings.by)
    right = np.diagonal(confusion, axis1=1, axis2=2)  # (m, c)
    support, claimed = confusion.sum(2), confusion.sum(1)
    n, size = support.sum(1), members.sum(1)
    accuracy, balanced = right.sum(1) / n, (right / np.maximum(support, 1)).sum(1) / size
    rate = rates(hits, truth, members)
    drawn = bootstrap(
        lambda times: np.concatenate(rate(times), axis=1),
        [clusters(subjects, len(truth))],
        draws=settings.resamples,
        seed=settings.seed,
    )
    first = np.array([(each.low, each.high) for each in drawn]).reshape(2, -1, 2)
    second = _posterior(right, support, members, settings)
    point = np.stack([accuracy, balanced])
    low = np.fmin(np.fmin(first[..., 0], second[..., 0]), point)  # fmin: NaN where no resample has a face
    high = np.fmax(np.fmax(first[..., 1], second[..., 1]), point)
    intervals = np.stack([low, high], axis=-1)
    return Table(
        labels=tuple(labels),
        by=settings.by,
        members=members,
        n=n,
        accuracy=accuracy,
        accuracy_interval=intervals[0],
        balanced=balanced,
        balanced_interval=intervals[1],
        macro_f1=(2 * right / np.maximum(support + claimed, 1)).sum(1) / size,
        ece=ece,
    )


def check_size(classes: int) -> None:
    """Raise `ArgumentError` where faces of so few classes are there that nothing is to be told apart."""
    if classes < 2:
        raise ArgumentError(f"faces of {classes} classes are there; it takes faces of two classes or more")


def _members(there: Mask, sizes: tuple[int, ...] | None) -> Mask:
    """Return (m, c) masks of all subsets of the classes that are there."""
    known = np.flatnonzero(there).tolist()
    check_size(len(known))
    wanted = sorted(set(sizes)) if sizes else range(2, len(known) + 1)
    if wanted[-1] > len(known):
        raise ArgumentError(f"sizes={sizes} must be at most {len(known)}, the classes that have faces")
    if (m := sum(math.comb(len(known), size) for size in wanted)) > MOST:
        raise ArgumentError(
            f"sizes={sizes} of {len(known)} classes are {m} subsets, {MOST} at most; ask for fewer"
        )
    chosen = [rows for size in wanted for rows in combinations(known, size)]
    masks = np.zeros((m, len(there)), bool)
    for mask, rows in zip(masks, chosen, strict=True):
        mask[list(rows)] = True
    return masks


class Judged(NamedTuple):
    """How m subsets judge n faces."""

    hits: Mask
    """(m, n) right; False for faces of other classes."""
    confusion: Integers
    """(m, c, c), row = truth."""
    ece: Floats
    """(m,)."""


def judged(p: NDArray[np.floating[Any]], truth: Integers, members: Mask, by: str) -> Judged:
    """Return what each subset (m, c) says about probabilities (n, c)."""
    m, c = members.shape
    hits, ece = np.zeros((m, len(truth)), bool), np.zeros(m)
    confusion = np.zeros((m, c, c), np.int64)
    counts = np.bincount(truth, minlength=c)
    weights = 1 / np.maximum(counts, 1)[truth] if by == "balanced" else np.ones(len(truth))
    for k, mask in enumerate(members):
        columns, rows = np.flatnonzero(mask), np.flatnonzero(mask[truth])
        q = p[np.ix_(rows, columns)]
        guess = columns[q.argmax(1)]
        hit = guess == truth[rows]
        hits[k, rows] = hit
        confusion[k] = np.bincount(truth[rows] * c + guess, minlength=c * c).reshape(c, c)
        confidence = shares(q).max(1)
        place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
        gap = np.bincount(place, weights=weights[rows] * (hit - confidence))
        ece[k] = np.abs(gap).sum() / weights[rows].sum()
    return Judged(hits, confusion, ece)


Rates = Callable[[NDArray[Any]], tuple[Floats, Floats]]


def rates(hits: Mask, truth: Integers, members: Mask) -> Rates:
    """Return a function from how often k resamples hold each face (k, n) to two rates (k, m).

    These are accuracy and balanced accuracy; NaN where a resample holds no face of a subset.
    """
    classes = [np.flatnonzero(truth == k) for k in range(members.shape[1])]
    right = [hits[:, rows].T.astype(np.float32) for rows in classes]  # (n_k, m); counts below 2^24 are exact

    def of(times: NDArray[Any]) -> tuple[Floats, Floats]:
        shape = (len(times), len(members))
        faces, count, recalls, seen = (np.zeros(shape) for _ in range(4))
        for k, rows in enumerate(classes):
            times_k = times[:, rows].astype(np.float32)
            good = (times_k @ right[k]).astype(np.float64)  # (k, m)
            total = times_k.sum(1, keepdims=True, dtype=np.float64)  # (k, 1)
            faces += good
            count += total * members[:, k]
            recalls += good / np.maximum(total, 1)
            seen += (total > 0) * members[:, k]
        none = np.full(shape, np.nan)
        return (
            np.divide(faces, count, out=none.copy(), where=count > 0),
            np.divide(recalls, seen, out=none, where=seen > 0),
        )

    return of


def _posterior(right: Integers, support: Integers, members: Mask, settings: Settings) -> Floats:
    """Return (2, m, 2) intervals of accuracy and balanced accuracy from Jeffreys' posterior."""
    rng, draws, wrong = np.random.default_rng(settings.seed), settings.resamples, support - right
    accuracy = rng.beta(right.sum(1) + 0.5, wrong.sum(1) + 0.5, (draws, len(right)))
    recalls = np.zeros_like(accuracy)
    for k in range(right.shape[1]):
        rows = np.flatnonzero(members[:, k])
        recalls[:, rows] += rng.beta(right[rows, k] + 0.5, wrong[rows, k] + 0.5, (draws, len(rows)))
    ends = [np.quantile(each, [0.025, 0.975], axis=0).T for each in (accuracy, recalls / members.sum(1))]
    return np.stack(ends)
