"""Metrics of probabilities as functions: arrays in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]
BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""


def confusion_matrix(truth: Integers, guess: Integers, classes: int) -> Integers:
    """Return (c, c) counts, row = truth, column = guess."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, guess), 1)
    return counts


def cohen_kappa(counts: Integers) -> float:
    """Return the agreement beyond chance of a (c, c) confusion matrix, 1 at best, 0 by chance (Cohen 1960).

    Where chance alone agrees always (one class in truth and answers) it is 0.
    """
    return float(kappas(counts[None].astype(np.float64))[0])


def kappas(counts: Floats) -> NDArray[np.float64]:
    """Return the kappas (k,) of (k, c, c) confusion matrices."""
    n = np.maximum(counts.sum((1, 2)), 1)
    observed = np.trace(counts, axis1=1, axis2=2) / n
    chance = (counts.sum(1) * counts.sum(2)).sum(1) / n**2
    sure = chance >= 1
    return np.where(sure, 0.0, (observed - chance) / np.where(sure, 1, 1 - chance))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often the answers of each bin of confidence are right: the data of a reliability diagram.

    DeGroot & Fienberg 1983; equal-width bins as in Guo et al. 2017. b bins cover 0..1.
    """

    edges: NDArray[np.float64]
    """(b + 1,) from 0 to 1."""
    confidence: NDArray[np.float64]
    """(b,) mean confidence of the answers in the bin, 0..1; NaN where there is none."""
    accuracy: NDArray[np.float64]
    """(b,) share of them that is right, 0..1; NaN where there is none."""
    count: Integers
    """(b,) answers in the bin."""


def reliability(correct: Floats, confidence: Floats, bins: int = BINS) -> Reliability:
    """Return the reliability of answers: `correct` (n,) is 0 or 1, `confidence` (n,) in 0..1."""
    place = bin_of(confidence, bins)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=each, minlength=bins) for each in (confidence, correct)]
    mean, share = (np.where(count > 0, each / np.maximum(count, 1), np.nan) for each in sums)
    return Reliability(np.linspace(0, 1, bins + 1), mean, share, count.astype(np.int64))


def bin_of(confidence: Floats, bins: int = BINS) -> NDArray[np.intp]:
    """Return (n,) the bin of each confidence; 1 belongs to the last."""
    return np.minimum((confidence * bins).astype(np.intp), bins - 1)


def expected_calibration_error(correct: Floats, confidence: Floats, bins: int = BINS) -> float:
    """Return the ECE in 0..1: |accuracy - confidence| averaged over equal-width bins of confidence.

    Naeini et al. 2015; 15 bins as in Guo et al. 2017. `correct` (n,) is 0 or 1, `confidence` (n,) in 0..1.
    """
    gap = np.bincount(bin_of(confidence, bins), weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


# --- one class against the rest ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Curves:
    """What happens to one class as the threshold on its probability falls; t steps, one a distinct value.

    Both curves start at "nobody": a false and a true positive rate of 0, a precision of 1.
    """

    false_positive: NDArray[np.float64]
    """(t + 1,) share of the others that pass, 0..1, ascending: the x of the ROC curve."""
    true_positive: NDArray[np.float64]
    """(t + 1,) share of the class that passes, 0..1, ascending: the y of ROC, the x of precision-recall."""
    precision: NDArray[np.float64]
    """(t + 1,) share of what passes that is of the class, 0..1."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The faces by falling probability of one class, ready to be counted again for many resamples."""

    order: NDArray[np.intp]
    """(n,) faces, the most probable first."""
    positive: NDArray[np.bool_]
    """(n,) whether each, in that order, is of the class."""
    steps: NDArray[np.intp]
    """(t,) the last face of each run of equal probabilities: they pass together."""

    def areas(self, times: Integers) -> NDArray[np.float64]:
        """Return (k, 2): AUROC and average precision of k resamples, NaN where there is nothing to rank.

        AUROC is the chance that a face of the class has a higher probability than another (Hanley & McNeil
        1982), ties counted half. Average precision is the sum of precision times the step in recall.
        """
        drawn = times[:, self.order]
        true = np.cumsum(drawn * self.positive, axis=1)[:, self.steps].astype(np.float64)
        passed = np.cumsum(drawn, axis=1)[:, self.steps].astype(np.float64)
        false = passed - true
        up, across = np.diff(true, prepend=0.0), np.diff(false, prepend=0.0)
        positives, negatives = true[:, -1], false[:, -1]
        area = (across * (true - up / 2)).sum(1)
        precision = (up * true / np.maximum(passed, 1)).sum(1)
        auroc = np.where(positives * negatives > 0, area / np.maximum(positives * negatives, 1), np.nan)
        return np.column_stack([auroc, np.where(positives > 0, precision / np.maximum(positives, 1), np.nan)])

    def curves(self) -> Curves:
        """Return the curves of the faces as they are."""
        true = np.concatenate([[0], np.cumsum(self.positive)[self.steps]])
        passed = np.concatenate([[0], self.steps + 1])
        negatives = max(int(passed[-1] - true[-1]), 1)
        precision = np.where(passed > 0, true / np.maximum(passed, 1), 1.0)
        return Curves((passed - true) / negatives, true / max(int(true[-1]), 1), precision)


def ranking(probability: Floats, positive: NDArray[np.bool_]) -> Ranking:
    """Rank n faces by the probability (n,) of one class; `positive` (n,) says which are of it."""
    order = np.argsort(-probability, kind="stable")
    falling = probability[order]
    steps = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    return Ranking(order, positive[order], steps)
