"""Two models on the same faces, and one model on groups of persons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.evaluation.intervals import Interval, bootstrap, clusters, plain
from pyfer.evaluation.metrics import expected_calibration_error
from pyfer.evaluation.scores import HEADLINE, checked, judge_of

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

EXACT = 25
"""Discordant pairs from which the chi-squared approximation serves; below, the binomial is summed."""
SMALL = 20
"""Faces that a group needs to take part in the largest gap: of fewer, chance alone makes gaps."""
MOST = 24
"""Groups of one kind that are measured, the largest first: more are names, not groups."""


# --- two models -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class McNemar:
    """McNemar's test (1947) of two classifiers on the same faces."""

    only_first: int
    """Faces that the first alone gets right."""
    only_second: int
    statistic: float | None
    """Chi-squared with continuity correction (Edwards 1948), 1 degree of freedom; None for the exact test."""
    p: float
    """Probability of so uneven a split, or a more uneven one, if both are equally good; two-sided."""


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """Test whether two classifiers differ, from how often just one of them is right.

    Below `EXACT` discordant faces the binomial distribution is summed; from there on it is
    (abs(b - c) - 1)^2 / (b + c), whose tail with one degree of freedom is erfc(sqrt(x / 2)).
    """
    if only_first < 0 or only_second < 0:
        raise ArgumentError(
            f"only_first={only_first} and only_second={only_second} must be counts, 0 or more"
        )
    n, fewer = only_first + only_second, min(only_first, only_second)
    if n < EXACT:
        tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
        return McNemar(only_first, only_second, None, min(1.0, 2 * tail))
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / n
    return McNemar(only_first, only_second, statistic, math.erfc(math.sqrt(statistic / 2)))


@dataclass(frozen=True)
class Comparison:
    """One model against another on the same n faces."""

    n: int
    both_right: int
    both_wrong: int
    test: McNemar
    difference: Mapping[str, Interval]
    """`HEADLINE` name -> first minus second, by a paired bootstrap: both judged on the same resamples."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as JSON wants them."""
        tree: dict[str, Any] = plain(
            {
                "n": self.n,
                "both_right": self.both_right,
                "both_wrong": self.both_wrong,
                "mcnemar": asdict(self.test),
                "difference": {name: asdict(each) for name, each in self.difference.items()},
            }
        )
        return tree


def compare(
    first: Floats,
    second: Floats,
    truth: Integers,
    *,
    subjects: NDArray[np.str_] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the probabilities (n, c) of two models for the same faces with true labels (n,).

    `subjects`, `draws` and `seed` are those of `pyfer.evaluation.score` (there ``bootstrap``).
    """
    if first.shape != second.shape:
        raise ArgumentError(
            f"first has shape {first.shape}, second {second.shape}; compare on the same faces and labels"
        )
    labels = tuple(map(str, range(first.shape[1])))
    judges = [judge_of(*checked(each, truth, labels)) for each in (first, second)]
    one, two = (each.argmax(1) == truth for each in (first, second))

    def gain(times: Integers) -> NDArray[np.float64]:
        a, b = (judge(times)[:, : len(HEADLINE)] for judge in judges)
        return a - b

    found = bootstrap(gain, [clusters(subjects, len(truth))], draws=draws, seed=seed)
    return Comparison(
        n=len(truth),
        both_right=int((one & two).sum()),
        both_wrong=int((~one & ~two).sum()),
        test=mcnemar(int((one & ~two).sum()), int((two & ~one).sum())),
        difference=dict(zip(HEADLINE, found, strict=True)),
    )


# --- groups of persons ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """One group of persons."""

    name: str
    n: int
    accuracy: Interval
    ece: float
    """Biased upwards in a small group: with few answers in a bin chance alone makes gaps."""


@dataclass(frozen=True)
class Gap:
    """The largest difference in accuracy between two groups of at least `SMALL` faces."""

    better: str
    worse: str
    difference: Interval
    """The two groups are those with the most different accuracy among these faces, so that the difference is
    too large rather than too small where there are many groups."""


@dataclass(frozen=True)
class Grouping:
    """A model measured on each group of one kind."""

    name: str
    groups: tuple[Group, ...]
    """Largest first."""
    unsaid: int
    """Faces of which the data set does not say the group."""
    others: int
    """Faces in groups beyond the `MOST` largest."""
    gap: Gap | None
    """None where fewer than two groups are large enough."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as JSON wants them."""
        tree: dict[str, Any] = plain(asdict(self))
        return tree


def by_group(
    probabilities: Floats,
    truth: Integers,
    groups: Mapping[str, NDArray[np.str_]],
    *,
    subjects: NDArray[np.str_] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[Grouping, ...]:
    """Measure a model on each group of persons.

    Parameters
    ----------
    probabilities, truth
        (n, c) and (n,), as in `pyfer.evaluation.score`.
    groups
        What is known of the persons, as ``"age"`` -> (n,) names of groups; ``""`` where it is not said.
    subjects, draws, seed
        As in `compare`.
    """
    right = (probabilities.argmax(1) == truth).astype(np.float64)
    confidence = probabilities.max(1).astype(np.float64)
    population = clusters(subjects, len(truth))
    return tuple(
        _grouping(name, np.asarray(values), right, confidence, (population, draws, seed))
        for name, values in groups.items()
        if (np.asarray(values) != "").any()
    )


def _grouping(
    kind: str,
    values: NDArray[np.str_],
    right: Floats,
    confidence: Floats,
    resampling: tuple[int | Integers, int, int],
) -> Grouping:
    population, draws, seed = resampling
    names, counts = np.unique(values[values != ""], return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:MOST]
    member = values[:, None] == names[largest]  # (n, g)
    marks = np.column_stack([member, member * right[:, None]]).astype(np.float64)
    share = right @ member / counts[largest]
    able = np.flatnonzero(counts[largest] >= SMALL)
    best, worst = (able[share[able].argmax()], able[share[able].argmin()]) if len(able) > 1 else (0, 0)

    def measure(times: Integers) -> NDArray[np.float64]:
        n, hits = np.split(times @ marks, 2, axis=1)
        accuracy = np.where(n > 0, hits / np.maximum(n, 1), np.nan)
        return np.column_stack([accuracy, accuracy[:, best] - accuracy[:, worst]])

    *intervals, difference = bootstrap(measure, [population], draws=draws, seed=seed)
    found = tuple(
        Group(str(name), int(count), interval, expected_calibration_error(right[rows], confidence[rows]))
        for name, count, interval, rows in zip(
            names[largest], counts[largest], intervals, member.T, strict=True
        )
    )
    gap = Gap(found[best].name, found[worst].name, difference) if len(able) > 1 else None
    return Grouping(kind, found, int((values == "").sum()), int(counts.sum() - counts[largest].sum()), gap)
