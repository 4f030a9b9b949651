"""Places for words and pictures near their spots, so that none covers another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.maps.paper import Numbers

DOT = 6  # pixels: radius of the mark of an emotion
GAP = DOT + 4  # pixels between its middle and its name
_DISTANCES = np.array([0, 7, 16, 28, 44, 64, 90, 124, 168, 224])  # pixels more: the places tried
_ANGLES = np.linspace(0, 2 * math.pi, 24, endpoint=False)


@dataclass(frozen=True, eq=False)
class Ground:
    """What words lie on, in pixels."""

    bounds: Numbers
    """(2, 2) the corners of the room."""
    marks: Numbers
    """(k, 2) better not covered."""
    faces: Numbers
    """(n, 2) covered where nothing else is free."""


def placed(spots: Numbers, sizes: Numbers, fixed: Numbers, reach: float, ground: Ground) -> Numbers:
    """Return a box (f + m, 4) near each spot, inside the room, off the others if that is possible.

    Each box in turn takes the cheapest of the places around its spot, given where the others are, until
    nothing moves (iterated conditional modes; Besag 1986). Deterministic.

    Parameters
    ----------
    spots
        (f + m, 2) pixels.
    sizes
        (m, 2) width and height of the last m.
    fixed
        (f, 4) the boxes of the first f, which stay.
    reach
        Most pixels between a spot and its box; infinite: anywhere in the room.
    """
    boxes = np.concatenate([fixed, np.full((len(sizes), 4), np.nan)])
    moving = range(len(fixed), len(boxes))
    near = [_around(spots[k], size, reach, ground) for k, size in zip(moving, sizes, strict=True)]
    costs = [_cost(spots[k], choices, ground) for k, choices in zip(moving, near, strict=True)]

    def settle(k: int, choices: Numbers, cost: Numbers) -> None:
        boxes[k] = np.nan
        boxes[k] = choices[np.argmin(cost + _conflicts(spots[k], choices, spots, boxes))]

    for _ in range(6):
        before = boxes.copy()
        for k, choices, cost in zip(moving, near, costs, strict=True):
            settle(k, choices, cost)
        if np.array_equal(before, boxes):
            break
    if reach == math.inf:
        for k in np.flatnonzero(_touching(boxes).any(1)).tolist():
            choices = _anywhere(sizes[k - len(fixed)], ground)
            settle(k, choices, _cost(spots[k], choices, ground))
    return boxes


def _around(spot: Numbers, size: Numbers, reach: float, ground: Ground) -> Numbers:
    """Return boxes (c, 4) around a spot, pushed into the room."""
    toward = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)  # (a, 2)
    away = (_DISTANCES[reach >= _DISTANCES] + GAP)[:, None, None]  # (d, 1, 1)
    return _inside((spot + toward * (away + size / 2)).reshape(-1, 2), size, ground)


def _anywhere(size: Numbers, ground: Ground) -> Numbers:
    """Return boxes (c, 4) all over the room."""
    low, high = ground.bounds
    x, y = np.arange(low[0], high[0], 20), np.arange(low[1], high[1], size[1] + 3)
    return _inside(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) + size / 2, size, ground)


def _inside(middles: Numbers, size: Numbers, ground: Ground) -> Numbers:
    low, high = ground.bounds[0] + size / 2, ground.bounds[1] - size / 2
    middles = np.rint(np.clip(middles, low, np.maximum(low, high)) - size / 2)
    return np.concatenate([middles, middles + size], axis=1)


def _cost(spot: Numbers, choices: Numbers, ground: Ground) -> Numbers:
    """Return what each box (c, 4) costs whatever the others do, in pixels of distance."""
    far = np.hypot(*(nearest(spot, choices) - spot).T)
    far = np.where(far < DOT + 2, GAP + 30, np.maximum(far, GAP))  # half a dot under a picture is ugly
    outward = spot - ground.bounds.mean(0)
    centres = (choices[:, :2] + choices[:, 2:]) / 2 - spot
    lengths = np.maximum(np.hypot(*centres.T), 1) * max(float(np.hypot(*outward)), 1)
    covered = (common(choices, dots(ground.marks)) > 0).sum(1)
    sample = ground.faces[:: len(ground.faces) // 500 + 1]
    crowd = (common(choices, dots(sample)) > 0).sum(1) / (1 + len(sample) / 25)
    return np.asarray(far - 6 * (centres @ outward) / lengths + 300 * covered + 40 * crowd)


def dots(spots: Numbers) -> Numbers:
    """Return the boxes (m, 4) of marks."""
    return np.concatenate([spots - DOT - 2, spots + DOT + 2], axis=1)


def _conflicts(spot: Numbers, choices: Numbers, spots: Numbers, boxes: Numbers) -> Numbers:
    """Return what each box (c, 4) costs because of the boxes and leader lines already there."""
    there = ~np.isnan(boxes[:, 0])
    starts, others = spots[there], boxes[there]
    ends, own = nearest(starts, others), nearest(spot, choices)
    area = common(choices, others + np.array([-3, -2, 3, 2]))
    struck = _struck(np.broadcast_to(spot, own.shape), own, others) + _struck(starts, ends, choices).T
    sides = [
        _side(spot, own[:, None], starts) * _side(spot, own[:, None], ends),
        _side(starts, ends, spot) * _side(starts, ends, own[:, None]),
    ]
    crossed = (sides[0] < 0) & (sides[1] < 0)
    return np.asarray((1e4 * (area > 0) + 10 * area + 150 * struck + 60 * crossed).sum(1))


def _side(a: Numbers, b: Numbers, p: Numbers) -> Numbers:
    """Return > 0 or < 0 for points on the one or the other side of the line from a to b."""
    return np.asarray((b - a)[..., 0] * (p - a)[..., 1] - (b - a)[..., 1] * (p - a)[..., 0])


def nearest(spots: Numbers, boxes: Numbers) -> Numbers:
    """Return the point (m, 2) of each box that is nearest to its spot."""
    return np.asarray(np.clip(spots, boxes[:, :2], boxes[:, 2:]))


def common(a: Numbers, b: Numbers) -> Numbers:
    """Return the areas (m, k) in common of boxes (m, 4) and (k, 4)."""
    width, height = (
        np.minimum(a[:, None, k + 2], b[:, k + 2]) - np.maximum(a[:, None, k], b[:, k]) for k in (0, 1)
    )
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0))


def _struck(starts: Numbers, ends: Numbers, boxes: Numbers) -> NDArray[np.int64]:
    """Return (s, m): 1 where a line from a start to its end (s, 2) meets a box (m, 4), else 0."""
    steps = np.where(starts == ends, 1e-9, ends - starts)[:, None]
    low = (boxes[:, :2] - starts[:, None]) / steps  # (s, m, 2) shares of the way to the walls
    high = (boxes[:, 2:] - starts[:, None]) / steps
    (enter_x, enter_y), (leave_x, leave_y) = np.minimum(low, high).T, np.maximum(low, high).T
    enter, leave = np.maximum(enter_x, enter_y).T, np.minimum(leave_x, leave_y).T
    return np.asarray((enter < leave) & (leave > 0) & (enter < 1), np.int64)


def _touching(boxes: Numbers) -> NDArray[np.bool_]:
    """Return (m, m): whether two different boxes cover each other."""
    return (common(boxes, boxes) > 0) & ~np.eye(len(boxes), dtype=bool)


def apart(boxes: Numbers) -> bool:
    """Whether no box (m, 4) covers another."""
    return not _touching(boxes).any()
