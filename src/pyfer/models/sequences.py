"""Films of faces through a network: step by step with memory, or in windows that look both ways.

A film is the crops of *one* person, in the order of time. Many films go side by side, whatever their lengths:
one run of the network has a row for each person who is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyfer.errors import ArgumentError
from pyfer.models.network import BATCH, Array, Arrays, Network

Floats = NDArray[np.float64]
Crops = NDArray[np.uint8]
"""(t, s, s) gray or (t, s, s, 3) RGB."""


@dataclass(frozen=True)
class Frames:
    """What is to be seen in films: crops to prepare when they are needed, or an encoder's answers."""

    crops: Sequence[Crops]
    prepare: Callable[[Crops], Arrays]
    """Crops -> what the network takes."""
    answers: Sequence[Arrays] | None = None
    """Of the encoder, a film each; None where the network sees crops, which take less room unprepared."""

    def at(self, films: Sequence[int], t: int) -> Arrays:
        """Return input -> (k, ...): frame `t` of k films."""
        if self.answers is None:
            return self.prepare(np.stack([self.crops[i][t] for i in films]))
        names = self.answers[films[0]]
        return {name: np.stack([self.answers[i][name][t] for i in films]) for name in names}

    def between(self, film: int, start: int, stop: int) -> Arrays:
        """Return input -> (stop - start, ...): some frames of one film."""
        if self.answers is None:
            return self.prepare(self.crops[film][start:stop])
        return {name: value[start:stop] for name, value in self.answers[film].items()}


def check_films(films: Sequence[Crops], times: Sequence[ArrayLike]) -> list[Floats]:
    """Return the times (t,) of each film as float64.

    Raises
    ------
    ArgumentError
        Films and times, or a film's frames and times, differ in number; a time is not finite or before the
        one before it; the crops of the films differ in size.
    """
    if len(films) != len(times):
        raise ArgumentError(f"times has {len(times)} films, must have {len(films)} as crops has")
    if len({film.shape[1:] for film in films}) > 1:
        raise ArgumentError("crops of all films must have the same size and number of colours")
    found = [np.asarray(each, np.float64) for each in times]
    for film, each in zip(films, found, strict=True):
        if each.shape != (len(film),):
            raise ArgumentError(f"times has shape {each.shape}, must be ({len(film)},): one for each crop")
        wrong = np.flatnonzero(~np.isfinite(each) | (np.diff(each, prepend=-np.inf) < 0))
        if len(wrong):
            raise ArgumentError(
                f"times[{wrong[0]}]={each[wrong[0]]} must be finite seconds, not before the frame before it"
            )
    return found


def intervals(times: Floats) -> Floats:
    """Return seconds (t,) since the frame before; 0 at the first."""
    return np.diff(times, prepend=times[:1])


def steps(network: Network, frames: Frames, times: Sequence[Floats]) -> list[Arrays]:
    """Return output -> (t, c) for each film: a step a frame, all films side by side."""
    lengths = [len(each) for each in times]
    said = _empty(network, lengths)
    waits = [intervals(each) for each in times]
    longest_first = sorted((i for i in range(len(lengths)) if lengths[i]), key=lambda i: -lengths[i])
    for k in range(0, len(longest_first), BATCH):
        there = longest_first[k : k + BATCH]
        memory = network.blank_memory(len(there))
        for t in range(lengths[there[0]]):
            while lengths[there[-1]] <= t:  # those that have ended are the last
                there.pop()
            memory = {name: value[: len(there)] for name, value in memory.items()}
            interval = np.array([waits[i][t] for i in there])
            found, memory = network(frames.at(there, t), memory, interval)
            for name, value in found.items():
                for row, i in enumerate(there):
                    said[i][name][t] = value[row]
    return said


def windows(network: Network, frames: Frames, times: Sequence[Floats]) -> list[Arrays]:
    """Return output -> (t, c) for each film: windows that overlap by half, of each the middle half.

    A film's first window is kept from its beginning, its last one to its end, so every frame but those near
    the ends of the film is seen with a quarter of a window before and after it.
    """
    size = network.spec.window
    said = _empty(network, [len(each) for each in times])
    places = [(i, *place) for i, each in enumerate(times) for place in cuts(len(each), size)]
    waits = [intervals(each) for each in times]
    batch = BATCH if frames.answers is not None else max(1, BATCH // size)
    for k in range(0, len(places), batch):
        some = places[k : k + batch]
        seen = [frames.between(i, start, min(start + size, len(waits[i]))) for i, start, _, _ in some]
        interval = np.stack([_padded(waits[i][start : start + size], size) for i, start, _, _ in some])
        mask = np.stack(
            [
                _padded(np.ones(len(waits[i][start : start + size]), np.float32), size)
                for i, start, _, _ in some
            ]
        )
        inputs = {name: np.stack([_padded(each[name], size) for each in seen]) for name in seen[0]}
        found, _ = network(inputs, {}, interval, mask)
        for name, value in found.items():
            for row, (i, start, first, stop) in enumerate(some):
                said[i][name][first:stop] = value[row, first - start : stop - start]
    return said


def cuts(length: int, size: int) -> list[tuple[int, int, int]]:
    """Return (start, first, stop) of the windows of a film: where each begins, and what is kept of it.

    The kept parts follow each other without a gap from 0 to `length`.
    """
    if not length:
        return []
    hop = max(1, size // 2)
    starts = list(range(0, max(length - size, 0) + hop, hop))
    starts = [start for start in starts if start == 0 or start - hop + size < length]
    edges = [0, *(start + (size - hop) // 2 for start in starts[1:]), length]
    return [(start, *edge) for start, edge in zip(starts, pairwise(edges), strict=True)]


def _empty(network: Network, lengths: Sequence[int]) -> list[Arrays]:
    widths = network.widths.items()
    return [{name: np.zeros((t, width), np.float32) for name, width in widths} for t in lengths]


def _padded(values: Array, size: int) -> Array:
    """Return (size, ...): `values` and zeros after them."""
    if len(values) == size:
        return values
    return np.concatenate([values, np.zeros((size - len(values), *values.shape[1:]), values.dtype)])
