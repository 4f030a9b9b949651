"""The scores of one model on one labelled set, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.evaluation.intervals import Interval, bootstrap, clusters, plain
from pyfer.evaluation.metrics import (
    BINS,
    Reliability,
    bin_of,
    confusion_matrix,
    kappas,
    ranking,
    reliability,
)

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

HEADLINE = (
    "accuracy",
    "macro_recall",
    "macro_precision",
    "macro_f1",
    "top2",
    "kappa",
    "macro_auroc",
    "macro_average_precision",
    "ece",
    "nll",
    "brier",
)
"""Numbers of a whole set, in this order wherever they are listed."""
PER_CLASS = ("recall", "precision", "f1", "auroc", "average_precision")
"""Numbers of each class."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Metrics of one model on one labelled set; shares lie in 0..1."""

    labels: tuple[str, ...]
    n: int
    accuracy: float
    macro_recall: float
    """Mean recall over the classes that occur (balanced accuracy)."""
    macro_precision: float
    macro_f1: float
    top2: float
    """Share of the faces whose true label is one of the two most probable."""
    kappa: float
    """Agreement beyond chance, at most 1 (Cohen 1960)."""
    macro_auroc: float
    """Mean over the classes; NaN where no class has both faces of it and others."""
    macro_average_precision: float
    ece: float
    nll: float
    """Mean negative log-likelihood of the true label, in nats."""
    brier: float
    """Mean squared error of the probabilities, summed over the classes: 0..2 (Brier 1950)."""
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    f1: tuple[float, ...]
    auroc: tuple[float, ...]
    """Chance that a face of the class has a higher probability of it than another face; one against the
    rest. NaN where the set has no such face, or no other."""
    average_precision: tuple[float, ...]
    """Area under the precision-recall curve, one class against the rest; NaN where the class is absent."""
    confusion: Integers
    """(c, c), row = truth."""
    reliability: Reliability
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """`HEADLINE` name -> 95 % interval, if resamples were asked for."""
    class_intervals: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)
    """`PER_CLASS` name -> c intervals, if resamples were asked for."""

    def interval(self, name: str, label: str | None = None) -> Interval:
        """Return a number, of one class where `label` is given, with its interval (NaN without resamples)."""
        if label is None:
            value: float = getattr(self, name)
            return self.intervals.get(name, Interval(value, np.nan, np.nan))
        k = self.labels.index(label)
        of_class = self.class_intervals.get(name)
        return of_class[k] if of_class else Interval(getattr(self, name)[k], np.nan, np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them; what is not defined is None."""

        def by_label(values: Any) -> dict[str, Any]:
            return dict(zip(self.labels, values, strict=True))

        bounds: dict[str, Any] = dict(self.intervals)
        bounds |= {name: by_label(each) for name, each in self.class_intervals.items()}
        tree: dict[str, Any] = {"labels": self.labels, "n": self.n}
        tree |= {name: getattr(self, name) for name in HEADLINE}
        tree |= {name: by_label(getattr(self, name)) for name in PER_CLASS}
        tree |= {"confusion": self.confusion, "reliability": asdict(self.reliability), "intervals": bounds}
        found: dict[str, Any] = plain(tree)
        return found


def score(
    probabilities: Floats,
    truth: Integers,
    labels: tuple[str, ...],
    *,
    subjects: NDArray[np.str_] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> Scores:
    """Score probabilities against true labels.

    Parameters
    ----------
    probabilities
        (n, c), rows sum to 1.
    truth
        (n,) indices of the true labels.
    labels
        The c labels.
    subjects
        (n,) who is shown. Resamples then draw persons, not faces.
    bootstrap
        Resamples for 95 % intervals; 0 makes none, 1000 are plenty.
    seed
        Seed of the resamples.

    Notes
    -----
    Macro averages go over the classes that occur in `truth`. In a resample, too: what it lacks, it does not
    count.
    """
    judge, many = judge_of(*checked(probabilities, truth, labels)), bootstrap
    if many < 0:
        raise ArgumentError(f"bootstrap={many} must be 0 (no intervals) or more; 1000 are plenty")
    n, c = probabilities.shape
    population = clusters(subjects, n)
    if many:
        found = _bootstrap(judge, [population], draws=many, seed=seed)
    else:
        found = [Interval(float(x), np.nan, np.nan) for x in judge(np.ones((1, n), np.int64))[0]]
    head, rest = found[: len(HEADLINE)], found[len(HEADLINE) :]
    of_class = {name: tuple(rest[k * c : (k + 1) * c]) for k, name in enumerate(PER_CLASS)}
    counted = ("recall", "precision", "f1")  # 0 for a class that does not occur, the others are not defined
    numbers: dict[str, Any] = {name: each.value for name, each in zip(HEADLINE, head, strict=True)}
    for name, values in of_class.items():
        numbers[name] = tuple(
            0.0 if name in counted and np.isnan(each.value) else each.value for each in values
        )
    guess = probabilities.argmax(1).astype(np.int64)
    return Scores(
        labels=labels,
        n=n,
        **numbers,
        confusion=confusion_matrix(truth, guess, c),
        reliability=reliability((guess == truth).astype(float), probabilities.max(1)),
        intervals=dict(zip(HEADLINE, head, strict=True)) if many else {},
        class_intervals=of_class if many else {},
    )


_bootstrap = bootstrap  # `score` has a parameter of that name


def checked(probabilities: Floats, truth: Integers, labels: tuple[str, ...]) -> tuple[Floats, Integers]:
    """Return probabilities and truth, or raise `ArgumentError` where they do not fit."""
    if probabilities.shape != (len(truth), len(labels)):
        raise ArgumentError(
            f"probabilities has shape {probabilities.shape}; {len(truth)} labels of {len(labels)} classes"
            f" need {(len(truth), len(labels))}"
        )
    if not len(truth):
        raise ArgumentError("truth is empty; there must be at least one labelled face to score")
    return probabilities, truth


def judge_of(p: Floats, truth: Integers) -> Callable[[Integers], NDArray[np.float64]]:
    """Prepare answers so that a matrix product and a running sum a class measure many resamples.

    The columns of what is returned, (k, 11 + 5c), are `HEADLINE` and then `PER_CLASS`, a class at a time.
    """
    n, c = p.shape
    guess, confidence = p.argmax(1), p.max(1).astype(np.float64)
    true_p = p[np.arange(n), truth].astype(np.float64)
    right = (guess == truth).astype(np.float64)
    cells = np.eye(c * c)[truth * c + guess]
    gaps = np.eye(BINS)[bin_of(confidence)] * (right - confidence)[:, None]
    sums = (
        (p > true_p[:, None].astype(p.dtype)).sum(1) < 2,
        -np.log(np.maximum(true_p, 1e-12)),
        (p.astype(np.float64) ** 2).sum(1) - 2 * true_p + 1,  # |p - e|^2 with e the unit vector of the truth
    )
    marks = np.column_stack([cells, gaps, *sums])
    ranked = [ranking(p[:, k], truth == k) for k in range(c)]

    def judge(times: Integers) -> NDArray[np.float64]:
        found = times @ marks
        counts, gap, means = np.split(found, [c * c, c * c + BINS], axis=1)
        total = np.maximum(times.sum(1), 1)
        shares = _shares(counts.reshape(-1, c, c))
        areas = np.stack([each.areas(times) for each in ranked], axis=2)  # (k, 2, c)
        top2, nll, brier = (means / total[:, None]).T
        ece = np.abs(gap).sum(1) / total
        head = (*shares.macro, top2, shares.kappa, _mean(areas[:, 0]), _mean(areas[:, 1]), ece, nll, brier)
        return np.column_stack([*head, *shares.of_class, areas[:, 0], areas[:, 1]])

    return judge


@dataclass(frozen=True, eq=False)
class _Shares:
    """What follows from k confusion matrices."""

    macro: tuple[NDArray[np.float64], ...]
    """Accuracy, mean recall, mean precision, mean F1: (k,) each."""
    kappa: NDArray[np.float64]
    of_class: tuple[NDArray[np.float64], ...]
    """Recall, precision, F1: (k, c) each; recall and F1 are NaN for a class that does not occur."""


def _shares(counts: NDArray[np.float64]) -> _Shares:
    hits = np.diagonal(counts, axis1=1, axis2=2)
    support, claimed = counts.sum(2), counts.sum(1)
    seen = support > 0
    recall = np.where(seen, hits / np.maximum(support, 1), np.nan)
    precision = hits / np.maximum(claimed, 1)
    f1 = np.where(seen, 2 * hits / np.maximum(support + claimed, 1), np.nan)
    accuracy = hits.sum(1) / np.maximum(support.sum(1), 1)
    macro = (accuracy, _mean(recall), _mean(np.where(seen, precision, np.nan)), _mean(f1))
    return _Shares(macro, kappas(counts), (recall, precision, f1))


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means (k,) of the rows of (k, c) without their NaN; NaN where a row has nothing else."""
    known = ~np.isnan(values)
    number = known.sum(1)
    return np.where(number > 0, np.where(known, values, 0).sum(1) / np.maximum(number, 1), np.nan)
