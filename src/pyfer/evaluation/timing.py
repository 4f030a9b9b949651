"""Scores of answers over time, for streams whose truth is known: segments, onsets, flicker.

A stream is a film of one person: ascending times in seconds (t,), and a label for each frame (t,), names or
integers. A frame lasts until the next one begins; the last one lasts as long as the others do (the median).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyfer.errors import ArgumentError
from pyfer.evaluation.intervals import Interval, bootstrap, plain

Floats = NDArray[np.floating]
Stretch = tuple[Hashable, float, float]
"""Label, onset, offset in seconds; a `pyfer.segments.Segment` s is ``(s.emotion, s.onset, s.offset)``."""

TIMING = (
    "f1",
    "precision",
    "recall",
    "onset_error",
    "onset_bias",
    "flicker",
    "true_flicker",
    "accuracy",
)
"""Numbers of `TimingScores`, in this order wherever they are listed."""


@dataclass(frozen=True)
class TimingScores:
    """How well answers follow the truth in time, over all streams together (micro); see `timing_scores`.

    What is not defined is NaN: F1 where neither truth nor answers have a segment, onsets where none match.
    """

    streams: int
    seconds: float
    """Of all streams together."""
    segments: int
    """True segments, without the background."""
    f1: float
    """Of segments, 0..1."""
    precision: float
    recall: float
    onset_error: float
    """Median distance of found and true onsets of segments that match, in ms."""
    onset_bias: float
    """Mean of found minus true onset, in ms: above 0 answers come late."""
    flicker: float
    """How often the answer changes, a second."""
    true_flicker: float
    """How often the truth changes, a second: what flicker should be."""
    accuracy: float
    """Share of the frames whose answer is right, background and all, 0..1."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """`TIMING` name -> 95 % interval over streams, if resamples were asked for."""

    def interval(self, name: str) -> Interval:
        """Return a number of `TIMING` with its interval (NaN without resamples)."""
        return self.intervals.get(name, Interval(getattr(self, name), np.nan, np.nan))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as JSON wants them; what is not defined is None."""
        tree = {name: getattr(self, name) for name in ("streams", "seconds", "segments", *TIMING)}
        found: dict[str, Any] = plain(tree | {"intervals": dict(self.intervals)})
        return found


@dataclass(frozen=True)
class SegmentF1:
    """How many segments are found, and how many of the found are true; NaN where there is none to count."""

    precision: float
    recall: float
    f1: float


def segments_of(times: ArrayLike, labels: ArrayLike) -> list[Stretch]:
    """Return the runs of equal labels as (label, onset, offset).

    Parameters
    ----------
    times
        (t,) seconds, ascending.
    labels
        (t,) names or integers.

    Returns
    -------
    segments
        In their order; each ends where the next begins. A stream of one frame has one of length 0.

    Raises
    ------
    ArgumentError
        The lengths differ, or the times are not ascending finite numbers.
    """
    at, names = _stream(times, labels)
    if not len(at):
        return []
    first = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    edges = [*at[first].tolist(), _end(at)]
    return list(zip(names[first].tolist(), edges[:-1], edges[1:], strict=True))


def matches(
    truth: Sequence[Stretch], found: Sequence[Stretch], overlap: float = 0.5
) -> list[tuple[int, int]]:
    """Return which found segment is which true one, as pairs (index in truth, index in found).

    Each found segment, in turn, is compared with the true one of its label that it has most in common with.
    They match where the intersection is at least `overlap` (0..1) of the union and no other has matched that
    one before (Lea, Flynn, Vidal, Reiter & Hager 2017, 'Temporal Convolutional Networks for Action
    Segmentation and Detection', CVPR: F1@50 is `overlap` 0.5).

    Raises
    ------
    ArgumentError
        `overlap` is not in 0..1.
    """
    if not 0 < overlap <= 1:
        raise ArgumentError(f"overlap={overlap} must be above 0, at most 1; 0.5 is usual")
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for j, each in enumerate(found):
        shares = [_common(other, each) if other[0] == each[0] else -1.0 for other in truth]
        i = int(np.argmax(shares)) if shares else -1
        if i >= 0 and shares[i] >= overlap and i not in taken:
            taken.add(i)
            pairs.append((i, j))
    return pairs


def segment_f1(
    truth: Sequence[Sequence[Stretch]], found: Sequence[Sequence[Stretch]], overlap: float = 0.5
) -> SegmentF1:
    """Return precision, recall and F1 of the segments of all streams together.

    Parameters
    ----------
    truth, found
        The segments of each stream, without the background; both have one list a stream.
    overlap
        Least intersection over union of a match; see `matches`.

    Raises
    ------
    ArgumentError
        There are not as many lists in both, or `overlap` is not in 0..1.
    """
    if len(truth) != len(found):
        raise ArgumentError(f"found has {len(found)} streams; truth has {len(truth)}: give one list a stream")
    hits = sum(len(matches(a, b, overlap)) for a, b in zip(truth, found, strict=True))
    counts = np.array([[hits, sum(map(len, found)), sum(map(len, truth))]], float)
    precision, recall, f1 = (float(x) for x in _shares(counts)[0])
    return SegmentF1(precision, recall, f1)


def timing_scores(
    times: Sequence[ArrayLike],
    truth: Sequence[ArrayLike],
    answers: Sequence[ArrayLike],
    *,
    background: str | int | Collection[Hashable] = "neutral",
    overlap: float = 0.5,
    bootstrap: int = 0,
) -> TimingScores:
    """Score the answers of streams against their truth.

    Parameters
    ----------
    times
        For each of s streams its times (t,), in seconds, ascending.
    truth, answers
        For each stream (t,) labels.
    background
        The label, or labels, that are no segments: neither found nor missed. They count for flicker and
        accuracy like any other.
    overlap
        Least intersection over union of a match; see `matches`.
    bootstrap
        Resamples of streams for 95 % intervals; 0 makes none, 1000 are plenty.

    Raises
    ------
    ArgumentError
        There is no stream, the lengths differ, or times are not ascending.
    """
    if not len(times) == len(truth) == len(answers) or not len(times):
        raise ArgumentError(
            f"times, truth and answers have {len(times)}, {len(truth)} and {len(answers)} streams;"
            " give as many of each, one or more"
        )
    if bootstrap < 0:
        raise ArgumentError(f"bootstrap={bootstrap} must be 0 (no intervals) or more; 1000 are plenty")
    single = isinstance(background, (str, int))
    quiet: set[Any] = {background} if single else set(background)  # type: ignore[arg-type]
    streams = [_measured(*each, quiet, overlap) for each in zip(times, truth, answers, strict=True)]
    sums = np.array([each.sums for each in streams])
    late = np.concatenate([each.late for each in streams])
    owner = np.repeat(np.arange(len(streams)), [len(each.late) for each in streams])

    def measure(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the numbers (k, 8) of resamples that hold each stream (k, s) times."""
        hits, found, true, changes, true_changes, right, frames, seconds = (drawn @ sums).T
        shares = _shares(np.column_stack([hits, found, true]))[:, [2, 0, 1]]
        weights = drawn[:, owner]
        rates = [_ratio(each, seconds) for each in (changes, true_changes)]
        bias = _ratio(weights @ late, weights.sum(1))
        return np.column_stack([shares, _medians(np.abs(late), weights), bias, *rates, _ratio(right, frames)])

    if bootstrap:
        numbers = _bootstrap(measure, [len(streams)], draws=bootstrap)
    else:
        ones = np.ones((1, len(streams)), np.int64)
        numbers = [Interval(float(x), np.nan, np.nan) for x in measure(ones)[0]]
    named = dict(zip(TIMING, numbers, strict=True))
    return TimingScores(
        streams=len(streams),
        seconds=float(sums[:, -1].sum()),
        segments=int(sums[:, 2].sum()),
        **{name: each.value for name, each in named.items()},
        intervals=named if bootstrap else {},
    )


_bootstrap = bootstrap  # `timing_scores` has a parameter of that name


# --- rivals of a network with a memory --------------------------------------------------------------------


def moving_average(p: ArrayLike, frames: int) -> NDArray[np.float64]:
    """Return the mean of each row and the ones before it, `frames` in all: causal, rows still sum to 1.

    Parameters
    ----------
    p
        (t, c) probabilities of a stream. The first rows have fewer before them.
    frames
        1 or more; 1 leaves them as they are.

    Raises
    ------
    ArgumentError
        `p` is no such table, or `frames` is below 1.
    """
    rows = _table(p)
    if frames < 1:
        raise ArgumentError(f"frames={frames} must be 1 or more")
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    end = np.arange(1, len(rows) + 1)
    start = np.maximum(end - frames, 0)
    return np.asarray((total[end] - total[start]) / (end - start)[:, None])


def exponential(p: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return exponentially smoothed rows (Brown 1959): s[0] = p[0], s[t] = alpha p[t] + (1 - alpha) s[t-1].

    Causal, and rows still sum to 1. A step is a frame, whatever time it takes.

    Parameters
    ----------
    p
        (t, c) probabilities of a stream.
    alpha
        Weight of the newest row, above 0, at most 1; 1 leaves them as they are.

    Raises
    ------
    ArgumentError
        `p` is no such table, or `alpha` is not in its range.
    """
    rows = _table(p)
    if not 0 < alpha <= 1:
        raise ArgumentError(f"alpha={alpha} must be above 0, at most 1")
    smooth = rows.copy()
    for k in range(1, len(rows)):
        smooth[k] = alpha * rows[k] + (1 - alpha) * smooth[k - 1]
    return smooth


# --- parts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Measured:
    """What one stream adds to the numbers."""

    sums: tuple[float, ...]
    """Matches, found and true segments, changes of answers and truth, frames right, frames, seconds."""
    late: Floats
    """(m,) found minus true onset of each match, in ms."""


def _measured(
    times: ArrayLike, truth: ArrayLike, answers: ArrayLike, quiet: set[Any], overlap: float
) -> _Measured:
    at, true_names = _stream(times, truth)
    _, names = _stream(times, answers)
    all_true, all_found = segments_of(at, true_names), segments_of(at, names)
    true, found = ([each for each in every if each[0] not in quiet] for every in (all_true, all_found))
    pairs = matches(true, found, overlap)
    late = np.array([1000 * (found[j][1] - true[i][1]) for i, j in pairs], float)
    changes = [max(len(every) - 1, 0) for every in (all_found, all_true)]
    right = int((true_names == names).sum())
    seconds = _end(at) - float(at[0]) if len(at) else 0.0
    return _Measured((len(pairs), len(found), len(true), *changes, right, len(at), seconds), late)


def _stream(times: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[Any]]:
    at, names = np.asarray(times, float), np.asarray(labels)
    if at.ndim != 1 or names.shape != at.shape:
        raise ArgumentError(f"labels has shape {names.shape} for times of shape {at.shape}; both are (t,)")
    if not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise ArgumentError("times must be finite seconds, each above the one before")
    return at, names


def _end(at: Floats) -> float:
    """Return when the last frame ends: it lasts as long as the others."""
    return float(at[-1] + (np.median(np.diff(at)) if len(at) > 1 else 0.0))


def _common(a: Stretch, b: Stretch) -> float:
    """Return the intersection over the union of two stretches of time."""
    union = max(a[2], b[2]) - min(a[1], b[1])
    if union == 0:
        return 1.0  # one frame alone: it is the other
    inside = max(min(a[2], b[2]) - max(a[1], b[1]), 0.0)
    return inside / (a[2] - a[1] + b[2] - b[1] - inside) if inside else 0.0


def _shares(counts: Floats) -> Floats:
    """Return precision, recall and F1 (k, 3) of matches, found and true segments (k, 3)."""
    hits, found, true = counts.T
    return np.column_stack([_ratio(hits, found), _ratio(hits, true), _ratio(2 * hits, found + true)])


def _ratio(a: Floats, b: Floats) -> Floats:
    """Return a / b (k,), NaN where b is 0."""
    return np.where(b > 0, a / np.where(b > 0, b, 1), np.nan)


def _medians(values: Floats, weights: NDArray[np.int64]) -> Floats:
    """Return the medians (k,) of values (m,) that occur so many times (k, m); NaN where none occurs."""
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values)
    count = weights[:, order].cumsum(1)
    total = count[:, -1]
    low, high = (values[order][(count > at[:, None]).argmax(1)] for at in ((total - 1) // 2, total // 2))
    return np.where(total > 0, (low + high) / 2, np.nan)


def _table(p: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(p, np.float64)
    if rows.ndim != 2:
        raise ArgumentError(f"p has shape {rows.shape}; it must be (t, c), a row a frame")
    return rows
