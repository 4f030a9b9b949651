"""Crops made worse on purpose, at several strengths: light, pose, things before the face, sharpness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import Crops, gamma, resize
from pyfer.errors import ArgumentError, need
from pyfer.faces import TEMPLATE

Points = NDArray[np.float64]
"""(n, 5, 2) landmarks, x y as shares of the side: eyes, nose, corners of the mouth."""
Change = Callable[[Crops, Points, float], Crops]

COVER = 0
"""Gray level of what covers a face: black, as sunglasses and bars are."""
_EYES, _MOUTH = slice(0, 2), slice(3, 5)
_AROUND = {"eyes": (1.15, 0.34), "mouth": (1.1, 0.5)}
"""Half the width and half the height of a cover at strength 1, in distances of the two points."""


@dataclass(frozen=True)
class Degradation:
    """One way to make crops worse."""

    name: str
    unit: str
    """What the strength is."""
    strengths: tuple[float, ...]
    """From mild to strong; what strength 0 would be is the crop itself."""
    change: Change

    def __call__(self, crops: Crops, strength: float, points: Points | None = None) -> Crops:
        """Return crops uint8 (n, s, s[, 3]) made worse; `points` None takes the places of aligned faces.

        Raises
        ------
        ArgumentError
            `points` are not those of n faces.
        """
        if points is None:
            points = np.broadcast_to(TEMPLATE, (len(crops), *TEMPLATE.shape))
        if points.shape != (len(crops), *TEMPLATE.shape):
            raise ArgumentError(f"points has shape {points.shape}; {len(crops)} crops need five x y each")
        return self.change(crops, points, strength)


def _side_light(crops: Crops, points: Points, strength: float) -> Crops:
    """Multiply by a line that goes from 1 + strength at the left to 1 - strength at the right."""
    ramp = 1 + strength * np.linspace(1, -1, crops.shape[2])
    ramp = ramp[:, None] if crops.ndim == 4 else ramp
    return np.asarray(np.clip(np.rint(crops * ramp), 0, 255), np.uint8)


def _dark(crops: Crops, points: Points, strength: float) -> Crops:
    return gamma(crops, strength)


def _turned(crops: Crops, points: Points, strength: float) -> Crops:
    """Turn about the middle by so many degrees, every other crop the other way."""
    cv2 = need("cv2", "classic")
    size, found = crops.shape[1], np.empty_like(crops)
    middle = ((size - 1) / 2, (size - 1) / 2)
    for k, crop in enumerate(crops):
        matrix = cv2.getRotationMatrix2D(middle, strength if k % 2 else -strength, 1.0)
        found[k] = cv2.warpAffine(crop, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return found


def _covered(which: str, rows: slice, crops: Crops, points: Points, strength: float) -> Crops:
    """Cover the two points `rows`: the strength is the share of the full cover's width and height."""
    first, second = points[:, rows].swapaxes(0, 1)
    half = np.linalg.norm(second - first, axis=1)[:, None] * _AROUND[which] * strength
    middle = (first + second) / 2
    return _boxes(crops, middle - half, middle + half)


def _patch(crops: Crops, points: Points, strength: float) -> Crops:
    """Cover a square with a side of `strength` crops at a random place, the same for as many crops."""
    low = np.random.default_rng(len(crops)).uniform(0, 1 - strength, (len(crops), 2))
    return _boxes(crops, low, low + strength)


def _boxes(crops: Crops, low: NDArray[np.float64], high: NDArray[np.float64]) -> Crops:
    found, size = crops.copy(), crops.shape[1]
    corners = np.rint(np.clip(np.concatenate([low, high], axis=1), 0, 1) * size).astype(int)
    for crop, (x0, y0, x1, y1) in zip(found, corners, strict=True):
        crop[y0:y1, x0:x1] = COVER
    return found


def _blurred(crops: Crops, points: Points, strength: float) -> Crops:
    """Blur with a Gaussian whose deviation is `strength` per cent of the side."""
    cv2 = need("cv2", "classic")
    deviation = strength / 100 * crops.shape[1]
    return np.stack([cv2.GaussianBlur(crop, (0, 0), deviation) for crop in crops])


def _coarse(crops: Crops, points: Points, strength: float) -> Crops:
    """Shrink to a side of `strength` pixels and enlarge again."""
    return resize(resize(crops, round(strength)), crops.shape[1])


_ALL = (
    Degradation("side light", "plus and minus", (0.3, 0.6, 0.9), _side_light),
    Degradation("dark", "exponent gamma", (1.5, 2.5, 4.0), _dark),
    Degradation("rotation", "degrees", (10.0, 20.0, 40.0), _turned),
    Degradation("eyes covered", "share", (0.4, 0.7, 1.0), partial(_covered, "eyes", _EYES)),
    Degradation("mouth covered", "share", (0.4, 0.7, 1.0), partial(_covered, "mouth", _MOUTH)),
    Degradation("square covered", "share of the side", (0.2, 0.35, 0.5), _patch),
    Degradation("blur", "per cent of side", (2.0, 4.0, 7.0), _blurred),
    Degradation("low resolution", "pixels of the side", (24.0, 16.0, 10.0), _coarse),
)
DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType({each.name: each for each in _ALL})
"""Name -> way to make crops worse."""
