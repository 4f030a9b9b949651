"""Intervals by the bootstrap: how far a number would move if other faces had been measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError

Integers = NDArray[np.int64]
Measure = Callable[..., NDArray[np.float64]]
"""How often k resamples hold each unit of one or more populations, (k, n) each -> (k, q) metrics."""

CHUNK = 64
"""Resamples drawn at a time: tens of megabytes at full size."""
LEVEL = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % percentile bootstrap interval (Efron 1979; Efron & Tibshirani 1993, ch. 13).

    ``str()`` gives one decimal, ``58.7 [55.1, 62.0]``; ``f"{interval:.3f}"`` as many as it says.
    """

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        value, low, high = (format(x, spec or ".1f") for x in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    def __str__(self) -> str:
        return format(self)

    def scaled(self, factor: float) -> Interval:
        """Return the interval times `factor` > 0, for example 100 to speak in per cent."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def bootstrap(
    measure: Measure, populations: Sequence[int | Integers], *, draws: int, seed: int = 0
) -> list[Interval]:
    """Return the q metrics of `measure` with their intervals.

    Parameters
    ----------
    measure
        Takes (k, n) counts for each population, how often each of k resamples holds each unit, and returns
        (k, q) metrics. NaN means that a resample has none of what a metric needs; it does not count.
    populations
        For each population its size n, if every unit is drawn by itself; or (n,) integers, the number of
        the cluster that each unit belongs to, 0 .. m - 1: whole clusters are drawn, since units that belong
        together (pictures of one person) say less than as many that do not (Field & Welsh 2007).
    draws
        Resamples, with replacement; 1000 give a steady interval.
    seed
        Seed of the resamples; the same seed draws the same units whatever is measured.
    """
    if draws < 1:
        raise ArgumentError(f"draws={draws} must be 1 or more; 1000 give a steady interval")
    rng = np.random.default_rng(seed)
    chunks = [min(CHUNK, draws - start) for start in range(0, draws, CHUNK)]
    drawn = np.concatenate([measure(*(_times_of(rng, k, each) for each in populations)) for k in chunks])
    sizes = [each if isinstance(each, int) else len(each) for each in populations]
    value = measure(*(np.ones((1, n), np.int64) for n in sizes))[0]
    low, high = _percentiles(drawn)
    return [Interval(*map(float, numbers)) for numbers in zip(value, low, high, strict=True)]


def times(rng: np.random.Generator, draws: int, n: int) -> Integers:
    """Return (draws, n): how often each of n units is in each of `draws` resamples of n units."""
    units = rng.integers(0, n, (draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(units.ravel(), minlength=draws * n).reshape(draws, n)


def clusters(subjects: NDArray[np.str_] | None, n: int) -> int | Integers:
    """Return what `bootstrap` takes as the population of n faces: persons, or n where none are named.

    A face whose person is not said (``""``) is a person of its own.
    """
    if subjects is None:
        return n
    names = np.asarray(subjects)
    if names.shape != (n,):
        raise ArgumentError(f"subjects has shape {names.shape}; {n} faces need ({n},)")
    _, index = np.unique(names, return_inverse=True)
    alone = names == ""
    index = np.where(alone, index.max(initial=0) + 1 + np.arange(n), index)
    return np.asarray(np.unique(index, return_inverse=True)[1], np.int64)


def _times_of(rng: np.random.Generator, draws: int, population: int | Integers) -> Integers:
    if isinstance(population, int):
        return times(rng, draws, population)
    return times(rng, draws, int(population.max()) + 1)[:, population]


def _percentiles(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (2, q) bounds of (k, q) values, NaN where no resample has the metric."""
    known = ~np.isnan(drawn)
    if known.all():
        return np.asarray(np.quantile(drawn, LEVEL, axis=0))
    bounds = np.full((2, drawn.shape[1]), np.nan)
    for column in np.flatnonzero(known.any(0)):
        bounds[:, column] = np.quantile(drawn[known[:, column], column], LEVEL)
    return bounds


def plain(value: Any) -> Any:
    """Return numbers, arrays, intervals and mappings as JSON wants them; what is no number is null."""
    if isinstance(value, Interval):
        return [plain(value.low), plain(value.high)]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
