"""Streams that move between stills: they hold one expression, pass to another, and so on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import luma
from pyfer.datasets import FaceData
from pyfer.errors import DataError
from pyfer.streams.data import Floats, OnDone, Streams, StreamSettings
from pyfer.streams.disturbing import disturbed

CLEAR = 0.5
"""Share of the votes above which a still has a label that a stream can hold."""


def make_streams(
    data: FaceData,
    head: str,
    settings: StreamSettings | None = None,
    seed: int = 0,
    on_done: OnDone | None = None,
) -> Streams:
    """Make streams from stills.

    Parameters
    ----------
    data
        Still crops. Those where a label of `head` has more than `CLEAR` of the shares are used.
    head
        Which labels decide what a stream holds; ``neutral`` must be one of them.
    settings
        How they are made.
    seed
        Of everything random.
    on_done
        Called with (streams done, in all).

    Raises
    ------
    DataError
        The labels lack neutral, or there are no stills of neutral or of another emotion.
    """
    settings = settings or StreamSettings()
    rng = np.random.default_rng(seed)
    pools = _pools(data, head)
    images = luma(data.images) if data.images.ndim == 4 else data.images
    n, longest = settings.count, settings.frames[1]
    shape = images.shape[1:]
    made = Streams(
        np.zeros((n, longest, *shape), np.uint8),
        np.zeros((n, longest), np.float32),
        np.zeros((n, longest), bool),
        {h: np.zeros((n, longest, len(names)), np.float32) for h, names in data.labels.items()},
        dict(data.labels),
        np.zeros((n, longest), np.float32),
    )
    for k in range(n):
        times = _times(settings, rng)
        t = len(times)
        here, there, share = _course(times, pools, data.labels[head].index("neutral"), settings, rng)
        made.times[k], made.mask[k, :t] = np.pad(times, (0, longest - t), mode="edge"), True
        made.stills[k, :t] = share
        for h, target in data.targets.items():
            made.targets[h][k, :t] = _mixed(target[here], target[there], share)
        pictures = _dissolved(images, here, there, share)
        made.frames[k, :t] = disturbed(pictures, times, images, settings, rng)
        if on_done is not None:
            on_done(k + 1, n)
    return made


def _pools(data: FaceData, head: str) -> dict[int, NDArray[np.int64]]:
    """Return label -> rows of the stills that show it clearly."""
    if head not in data.targets or "neutral" not in data.labels[head]:
        raise DataError(f"head={head!r}: streams begin and end neutral, so its labels must have neutral")
    target = data.targets[head]
    clear = target.max(axis=1) > CLEAR
    best = target.argmax(axis=1)
    pools = {k: np.flatnonzero(clear & (best == k)) for k in range(target.shape[1])}
    pools = {k: rows for k, rows in pools.items() if len(rows)}
    neutral = data.labels[head].index("neutral")
    if neutral not in pools or len(pools) < 2:
        raise DataError(f"head={head!r}: streams need stills of neutral and of another emotion")
    return pools


def _times(settings: StreamSettings, rng: np.random.Generator) -> Floats:
    """Return (t,) rising times from 0."""
    t = int(rng.integers(settings.frames[0], settings.frames[1] + 1))
    interval = 1 / rng.uniform(*settings.rate)
    steps = interval * (1 + 0.1 * rng.uniform(-1, 1, t - 1))
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.float32)


def _course(
    times: Floats,
    pools: Mapping[int, NDArray[np.int64]],
    neutral: int,
    settings: StreamSettings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return for each frame the row of the still that is held, the row of the next one, and its share."""
    here, there = np.zeros(len(times), np.int64), np.zeros(len(times), np.int64)
    share = np.zeros(len(times), np.float32)
    weights = {k: len(rows) ** settings.rare for k, rows in pools.items() if k != neutral}
    label = neutral if rng.random() < 0.7 else _drawn(weights, rng)
    row, start = int(rng.choice(pools[label])), -rng.uniform(0, settings.hold[1])
    while start <= times[-1]:
        if rng.random() < settings.same:
            following = label
        elif label != neutral and rng.random() < 0.6:
            following = neutral
        else:
            following = _drawn({k: w for k, w in weights.items() if k != label} or weights, rng)
        upcoming = int(rng.choice(pools[following]))
        leave = start + rng.uniform(*settings.hold)
        arrive = leave + max(rng.uniform(*settings.passage), 1e-3)
        now = (times >= start) & (times < arrive)
        here[now], there[now] = row, upcoming
        share[now] = np.clip((times[now] - leave) / (arrive - leave), 0, 1)
        label, row, start = following, upcoming, arrive
    return here, there, share


def _drawn(weights: Mapping[int, float], rng: np.random.Generator) -> int:
    """Return a key, in proportion to its weight."""
    shares = np.array(list(weights.values()))
    return int(rng.choice(list(weights), p=shares / shares.sum()))


def _mixed(here: Floats, there: Floats, share: Floats) -> Floats:
    """Return targets (t, c) on the way between two; without a label if either has none."""
    known = (here.any(axis=1) | (share == 1)) & (there.any(axis=1) | (share == 0))
    mixed = here * (1 - share[:, None]) + there * share[:, None]
    return np.asarray(mixed * known[:, None], np.float32)


def _dissolved(
    images: NDArray[np.uint8], here: NDArray[np.int64], there: NDArray[np.int64], share: Floats
) -> Floats:
    """Return (t, h, w) in 0..1: the still that is held, and the next one shining through."""
    s = share[:, None, None]
    return np.asarray((images[here] * (1 - s) + images[there] * s) / 255, np.float32)
