"""Streams: short films of one face with a known truth, made from still crops. What they show is synthetic.

A stream moves between stills: it holds one expression, passes to another (a dissolve), holds that one, and so
on, from neutral and back. The crops then move, turn and change their size as tracked faces do; light drifts;
there are noise, blur, things that pass before the face, and false frames (another face, or a piece of the
face, where the tracker slipped). Such a disturbance changes the picture, never the truth.

Two stills of a stream show two persons, as data sets of stills have one picture of each. So that a change of
person is not what a recogniser learns to wait for, some passages lead to another face with the *same* label.
A data set that has several pictures of a person can be used with ``same_person``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import luma
from pyfer.datasets import Clips, FaceData
from pyfer.errors import ArgumentError, DataError

Floats = NDArray[np.float32]
OnDone = Callable[[int, int], None]
"""Progress: called with (streams done, in all)."""
CLEAR = 0.5
"""Share of the votes above which a still has a label that a stream can hold."""
_CHUNK = 4096  # frames warped at a time
_LEAST = {"frames": 2, "rate": 0.1}
"""The least of a range; of others it is 0."""


@dataclass(frozen=True)
class StreamSettings:
    """How streams are made. Pairs are ranges, from which a stream draws evenly."""

    count: int = 4000
    """Streams."""
    frames: tuple[int, int] = (16, 64)
    """Length of a stream."""
    rate: tuple[float, float] = (8.0, 30.0)
    """Frames a second; times jitter by a tenth of the interval."""
    hold: tuple[float, float] = (0.4, 2.0)
    """Seconds that an expression stays."""
    passage: tuple[float, float] = (0.0, 0.5)
    """Seconds from one expression to the next."""
    rare: float = 0.7
    """An emotion comes in proportion to (its number of stills) ** rare: 1 as often as among the stills, 0 all
    alike."""
    same: float = 0.3
    """Share of passages to another face with the same label."""
    motion: float = 1.0
    """Strength of slow motion: 1 moves by about 5 % of the side, turns by 5 degrees, scales by 5 %."""
    jitter: float = 1.0
    """Strength of the tracker's trembling: 1 moves by about 1 % of the side from frame to frame."""
    light: float = 1.0
    """Strength of changes of the light: 1 is a gain of about 20 % over a second."""
    noise: float = 0.04
    """Largest standard deviation of a camera's noise, on pixels of 0..1."""
    blur: float = 0.3
    """Blurred stretches a second."""
    occlusion: float = 0.25
    """Things that pass before the face, a second."""
    false: float = 0.25
    """Stretches of 1 to 3 false frames a second."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                least = _LEAST.get(item.name, 0)
                if not (len(value) == 2 and least <= value[0] <= value[1] < np.inf):
                    raise ArgumentError(f"streams.{item.name}={value!r} must be a range, from {least} up")
            elif not (item.name == "count") <= value < np.inf:
                raise ArgumentError(
                    f"streams.{item.name}={value!r} must be {int(item.name == 'count')} or more"
                )
        if self.hold[1] == 0:
            raise ArgumentError(f"streams.hold={self.hold!r} must end above 0: nothing would be shown")
        for name in ("same", "rare"):
            if getattr(self, name) > 1:
                raise ArgumentError(f"streams.{name}={getattr(self, name)!r} must lie in 0..1")


@dataclass(frozen=True, eq=False)
class Streams:
    """Short films of one face each, of uneven length, filled up at the end."""

    frames: NDArray[np.uint8]
    """(n, t, h, w) gray."""
    times: Floats
    """(n, t) seconds from the stream's start, rising."""
    mask: NDArray[np.bool_]
    """(n, t) whether there is a frame."""
    targets: Mapping[str, Floats]
    """head -> (n, t, c): shares with sum 1, or 0 where there is no label."""
    labels: Mapping[str, tuple[str, ...]]
    """head -> the c label names."""
    stills: Floats
    """(n, t) share of the still that is coming; 0 while one is held. For a look at what was made."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Streams:
        """Return the streams that an index array or a slice selects."""
        targets = {head: target[rows] for head, target in self.targets.items()}
        return Streams(
            self.frames[rows], self.times[rows], self.mask[rows], targets, self.labels, self.stills[rows]
        )

    @property
    def interval(self) -> Floats:
        """(n, t) seconds since the frame before; 0 at the first."""
        return np.diff(self.times, axis=1, prepend=self.times[:, :1]) * self.mask

    def truth(self, head: str) -> NDArray[np.int64]:
        """Return (n, t) index of the label with the largest share."""
        return np.asarray(self.targets[head].argmax(axis=2), np.int64)


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


# --- what is shown ----------------------------------------------------------------------------------------


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


# --- what a camera and a tracker make of it ---------------------------------------------------------------


def disturbed(
    pictures: Floats,
    times: Floats,
    others: NDArray[np.uint8],
    settings: StreamSettings,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return a stream (t, h, w) as a camera and a tracker would give it.

    Parameters
    ----------
    pictures
        (t, h, w) in 0..1, a face that stands still.
    times
        (t,) seconds.
    others
        (m, h, w) faces that false frames are taken from.
    """
    x = warped(pictures, _motion(times, settings, rng))
    for first, last in _stretches(times, settings.occlusion, (0.1, 0.8), rng):
        x[first:last] = _covered(x[first:last], rng)
    for first, last in _stretches(times, settings.false, None, rng):
        x[first:last] = _slipped(x[first:last], others, rng)
    x = _lit(x, times, settings.light, rng)
    for first, last in _stretches(times, settings.blur, (0.1, 0.6), rng):
        x[first:last] = _smeared(x[first:last], rng)
    x = x + settings.noise * rng.random() ** 2 * rng.standard_normal(x.shape, np.float32)
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)


def warped(pictures: Floats, matrices: Floats) -> Floats:
    """Return pictures (t, h, w) seen through matrices (t, 2, 3): output to input, -1..1; edges repeat."""
    t, h, w = pictures.shape
    y, x = np.meshgrid(np.linspace(-1, 1, h, dtype=np.float32), np.linspace(-1, 1, w, dtype=np.float32),
                       indexing="ij")  # fmt: skip
    grid = np.stack([x.ravel(), y.ravel(), np.ones(h * w, np.float32)])  # (3, h w)
    out = np.empty((t, h * w), np.float32)
    for k in range(0, t, _CHUNK):
        spots = matrices[k : k + _CHUNK] @ grid  # (m, 2, h w)
        column = np.clip((spots[:, 0] + 1) * ((w - 1) / 2), 0, w - 1)
        row = np.clip((spots[:, 1] + 1) * ((h - 1) / 2), 0, h - 1)
        c, r = np.minimum(column.astype(np.int32), w - 2), np.minimum(row.astype(np.int32), h - 2)
        u, v = column - c, row - r
        flat = pictures[k : k + _CHUNK].reshape(len(spots), -1)
        here = r * w + c

        def at(offset: int, flat: Floats = flat, here: NDArray[np.int32] = here) -> Floats:
            return np.take_along_axis(flat, here + offset, axis=1)

        upper = at(0) * (1 - u) + at(1) * u
        lower = at(w) * (1 - u) + at(w + 1) * u
        out[k : k + _CHUNK] = upper * (1 - v) + lower * v
    return out.reshape(t, h, w)


def _motion(times: Floats, settings: StreamSettings, rng: np.random.Generator) -> Floats:
    """Return (t, 2, 3): slow waves of place, angle and size, the tracker's trembling, perhaps a mirror."""
    strength = np.array([0.05, 0.05, np.radians(5), 0.05]) * settings.motion * rng.uniform(0.2, 1.6)
    trembling = np.array([0.01, 0.01, np.radians(1), 0.01]) * settings.jitter * rng.uniform(0.2, 1.6)
    slow = _waves(times, 4, rng) * strength[:, None]
    x, y, angle, zoom = slow + trembling[:, None] * rng.standard_normal((4, len(times)))
    cos, sin = np.exp(zoom) * np.cos(angle), np.exp(zoom) * np.sin(angle)
    mirror = rng.choice([-1.0, 1.0])
    rows = [[mirror * cos, -sin, 2 * x], [mirror * sin, cos, 2 * y]]
    return np.moveaxis(np.array(rows), 2, 0).astype(np.float32)


def _waves(times: Floats, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (count, t) smooth curves with a deviation of about 1: three waves of 0.1 to 1.5 Hz each."""
    frequency = rng.uniform(0.1, 1.5, (count, 3, 1))
    phase = rng.uniform(0, 2 * np.pi, (count, 3, 1))
    return np.asarray(np.sin(2 * np.pi * frequency * times + phase).sum(axis=1) * np.sqrt(2 / 3))


def _stretches(
    times: Floats, rate: float, seconds: tuple[float, float] | None, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return (first, last + 1) frames of events, `rate` a second; without `seconds`, of 1 to 3 frames."""
    found = []
    for _ in range(rng.poisson(rate * max(times[-1], 1e-3))):
        first = int(rng.integers(0, len(times)))
        if seconds is None:
            last = first + int(rng.integers(1, 4))
        else:
            last = int(np.searchsorted(times, times[first] + rng.uniform(*seconds), side="right"))
        found.append((first, min(last, len(times))))
    return found


def _covered(x: Floats, rng: np.random.Generator) -> Floats:
    """Return frames with a bar or a blob that moves before the face."""
    t, h, w = x.shape
    size = rng.uniform(0.25, 0.6, 2) * [h, w]
    start, end = rng.uniform(-0.1, 0.9, (2, 2)) * [h, w]
    gray = rng.uniform(0, 1) + 0.1 * rng.standard_normal((h, w))
    path = start + (end - start) * np.linspace(0, 0.4, t)[:, None]
    rows, columns = np.arange(h), np.arange(w)
    down = (rows >= path[:, :1]) & (rows < path[:, :1] + size[0])
    across = (columns >= path[:, 1:]) & (columns < path[:, 1:] + size[1])
    return np.where(down[:, :, None] & across[:, None], gray, x).astype(np.float32)


def _slipped(x: Floats, others: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """Return false frames: another face, or a piece of this one where the tracker slipped."""
    if rng.random() < 0.5:
        return np.repeat(others[rng.integers(len(others))][None] / np.float32(255), len(x), axis=0)
    zoom, turn = np.exp(rng.uniform(-0.5, 0.7)), rng.uniform(-0.6, 0.6)
    shift = rng.uniform(-0.7, 0.7, 2)
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    matrix = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]], np.float32)
    return warped(x, np.repeat(matrix[None], len(x), axis=0))


def _lit(x: Floats, times: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Return frames under a light whose strength, contrast and side drift."""
    gain, gamma, side = _waves(times, 3, rng) * strength * np.array([[0.15], [0.15], [0.2]])
    angle = rng.uniform(0, 2 * np.pi)
    down, across = (np.linspace(-1, 1, size) for size in x.shape[1:])
    ramp = np.cos(angle) * across[None] + np.sin(angle) * down[:, None]
    shaped = np.clip(x, 1e-3, 1) ** np.exp(gamma)[:, None, None]
    light = np.exp(gain)[:, None, None] * (1 + np.clip(side, -0.5, 0.5)[:, None, None] * ramp)
    return np.asarray(shaped * light, np.float32)


def _smeared(x: Floats, rng: np.random.Generator) -> Floats:
    """Return frames blurred by motion: the mean of copies along a line of up to 7 pixels."""
    reach = int(rng.integers(1, 4))
    slope = rng.integers(-1, 2, 2)
    if not slope.any():
        slope = np.array([0, 1])
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    h, w = x.shape[1:]
    starts = [reach + k * slope for k in range(-reach, reach + 1)]
    copies = [padded[:, row : row + h, column : column + w] for row, column in starts]
    return np.asarray(np.mean(copies, axis=0), np.float32)


# --- streams of clips -------------------------------------------------------------------------------------

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
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(clips.present[:, 0])
    places = [_way(settings, rng) for _ in rows]
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
        last = clips.frames.shape[1] - 1
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


def _way(settings: StreamSettings, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return times (t,) and the place (t,) in a clip of four frames: 0 is neutral, 3 the apex."""
    before, apex, after = (rng.uniform(0.7, 1.6) * seconds for seconds in HOLDS)
    rise, fall = rng.uniform(0.5, 1.5, 2) * RISE
    knots = np.cumsum([0, before, rise, apex, fall, after])
    interval = 1 / rng.uniform(*settings.rate)
    times = np.arange(0, knots[-1], interval) * (1 + 0.02 * rng.uniform(-1, 1))
    place = np.interp(times, knots, [0, 0, 3, 3, 0, 0])
    return times.astype(np.float32), place.astype(np.float32)
