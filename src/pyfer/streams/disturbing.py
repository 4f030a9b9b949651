"""What a camera and a tracker make of a face: motion, light, blur, occlusion, false frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyfer.streams.data import Floats, StreamSettings

_CHUNK = 4096  # frames warped at a time


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
