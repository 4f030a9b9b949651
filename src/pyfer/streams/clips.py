"""Streams along the frames of real clips: neutral, the expression, neutral again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import Clips
from pyfer.errors import ArgumentError, DataError
from pyfer.streams.data import Floats, Streams, StreamSettings
from pyfer.streams.disturbing import disturbed

HOLDS = (0.4, 0.8, 0.8)
"""Seconds of neutral, the apex, and neutral again in a stream of a clip."""
RISE = 0.3
"""Seconds from neutral to the last frames before the apex, and back."""


def streams_of_clips(
    clips: Clips, labels: tuple[str, ...], settings: StreamSettings, seed: int, head: str
) -> Streams:
    """Return a stream of each clip that begins neutral: neutral, the expression, neutral again.

    The person is real and the same all the way; the frames between those of the clip are dissolves, and the
    way back is the way there. Everything else is as in `make_streams`.

    Parameters
    ----------
    clips
        With their neutral first frames.
    labels
        Of the targets; all labels of the clips and ``neutral`` must be among them.
    settings
        What disturbs; ``count``, ``frames``, ``hold``, ``passage``, ``same`` and ``rare`` do not count.
    seed
        Of everything random.
    head
        What the labels are called.

    Raises
    ------
    ArgumentError
        `labels` lacks neutral, or a label of the clips.
    DataError
        No clip has its neutral first frame.
    """
    rng = np.random.default_rng(seed)
    rows = _whole(clips, labels)
    last = clips.frames.shape[1] - 1
    places = [_way(settings, rng, last) for _ in rows]
    longest = max(len(times) for times, _ in places)
    n, shape = len(rows), clips.frames.shape[2:]
    made = Streams(
        np.zeros((n, longest, *shape), np.uint8),
        np.zeros((n, longest), np.float32),
        np.zeros((n, longest), bool),
        {head: np.zeros((n, longest, len(labels)), np.float32)},
        {head: labels},
        np.zeros((n, longest), np.float32),
    )
    neutral = labels.index("neutral")
    for k, (row, (times, place)) in enumerate(zip(rows, places, strict=True)):
        t = len(times)
        below = np.minimum(place.astype(np.int64), last - 1)
        share = (place - below).astype(np.float32)[:, None, None]
        frames = clips.frames[row].astype(np.float32) / 255
        pictures = frames[below] * (1 - share) + frames[below + 1] * share
        made.times[k], made.mask[k, :t] = np.pad(times, (0, longest - t), mode="edge"), True
        made.stills[k, :t] = share[:, 0, 0]
        shown = np.where(place >= 0.5, labels.index(clips.labels[clips.truth[row]]), neutral)
        made.targets[head][k, np.arange(t), shown] = 1
        made.frames[k, :t] = disturbed(pictures, times, clips.frames[rng.integers(len(clips))], settings, rng)
    return made


def _whole(clips: Clips, labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the rows of the clips with their neutral first frame, if all can be named with `labels`."""
    lacking = [name for name in ("neutral", *clips.labels) if name not in labels]
    if lacking:
        raise ArgumentError(
            f"labels={labels} must have neutral and all labels of the clips; {lacking[0]!r} is missing"
        )
    rows = np.flatnonzero(clips.present[:, 0])
    if not len(rows):
        raise DataError(f"clips {clips.spec!r}: none of {len(clips)} has its neutral first frame")
    return rows


def _way(settings: StreamSettings, rng: np.random.Generator, last: int) -> tuple[Floats, Floats]:
    """Return times (t,) and the place (t,) in a clip: 0 is its neutral first frame, `last` the apex."""
    before, apex, after = (rng.uniform(0.7, 1.6) * seconds for seconds in HOLDS)
    rise, fall = rng.uniform(0.5, 1.5, 2) * RISE
    knots = np.cumsum([0, before, rise, apex, fall, after])
    interval = 1 / rng.uniform(*settings.rate)
    times = np.arange(0, knots[-1], interval) * (1 + 0.02 * rng.uniform(-1, 1))
    place = np.interp(times, knots, [0, 0, last, last, 0, 0])
    return times.astype(np.float32), place.astype(np.float32)
