"""Registration of crops: five landmarks come to the same place, so that a cell is the same part of a face.

Crops of the wild show faces turned, shifted and of different size; handmade features stand or fall with it
(`pyfer study features` says by how much). A crop in which no face is seen is only resized.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer import mtcnn
from pyfer.crops import Crops
from pyfer.errors import ArgumentError, did_you_mean, need
from pyfer.faces import TEMPLATE, similarity
from pyfer.features.base import check_crops, rgb

Points = NDArray[np.float64]
CENTRE = np.array([0.5, 0.56])
"""What stays where it is when the template is zoomed: between nose and eyes, as shares of the side."""
WINDOWS = ((1.0, 0.0), (1.15, 0.0), (0.9, 0.0), (1.0, 0.05), (1.0, -0.05))
"""Windows that the network looks at, (side, shift to the right) as shares of the crop's side: the median of
what it says is steadier than one answer."""
MIRRORED = (1, 0, 2, 4, 3)
"""Which landmark is which in the mirror image."""
LEAST_SCORE = 0.5
LARGEST_SPREAD = 0.055
"""A face is there if the windows believe so, and their points differ by less than this share of the side."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Moves crops so that eyes, nose and mouth come to lie on a template.

    The last network of MTCNN (Zhang et al. 2016) points at five landmarks in some windows of the crop and of
    its mirror image; a similarity (Umeyama 1991) brings their medians as near to the template as it can. An
    affine rest (shear, stretch) follows as far as `stiffness` lets it: ridge regression.
    """

    size: int = 64
    """Side of the registered crops, pixels."""
    zoom: float = 1.35
    """How much larger than the template of `pyfer.faces` the face shall be."""
    stiffness: float = 0.013
    """Penalty on shear and stretch, in squared sides of the crop; a large one leaves the similarity alone."""
    windows: int = 5
    """How many of the windows are looked at, 1..5; each costs a run of the network, twice."""

    def __post_init__(self) -> None:
        rules: tuple[tuple[str, bool, str], ...] = (
            ("size", isinstance(self.size, int) and 16 <= self.size <= 512, "a whole number of 16..512"),
            ("zoom", _number(self.zoom) and 0.5 <= self.zoom <= 3, "a number of 0.5..3"),
            ("stiffness", _number(self.stiffness) and 0 < self.stiffness <= 1e6, "a number above 0"),
            ("windows", isinstance(self.windows, int) and 1 <= self.windows <= len(WINDOWS), "one of 1..5"),
        )
        for name, right, rule in rules:
            if not right:
                raise ArgumentError(f"registration: {name}={getattr(self, name)!r} must be {rule}")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Registration:
        """Return the registration that `to_dict` described; keys left out are the defaults."""
        known = [option.name for option in fields(cls)]
        for key in settings:
            if key not in known:
                hint = did_you_mean(str(key), known)
                raise ArgumentError(f"registration: {key!r} is not known{hint} (known: {', '.join(known)})")
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def landmarks(self, crops: Crops) -> tuple[Points, NDArray[np.bool_]]:
        """Return landmarks (n, 5, 2), x y as shares of the side, and whether a face is there (n,)."""
        check_crops(crops)
        images = rgb(crops, mtcnn.ONET)
        seen = [
            _look(images[:, :, ::-1] if k % 2 else images, *WINDOWS[k // 2]) for k in range(2 * self.windows)
        ]
        for points, _ in seen[1::2]:
            points[..., 0] = 1 - points[..., 0]
        places = np.stack([p[:, MIRRORED] if k % 2 else p for k, (p, _) in enumerate(seen)])
        found = np.median(places, axis=0)
        spread = np.abs(places - found).mean(axis=(0, 2, 3))
        score = np.mean([s for _, s in seen], axis=0)
        return found, (score > LEAST_SCORE) & (spread < LARGEST_SPREAD)

    def __call__(self, crops: Crops) -> Crops:
        """Return registered crops uint8 (n, size, size[, 3]) for uint8 (n, s, s[, 3])."""
        cv2 = need("cv2", "classic")
        out = np.empty((len(crops), self.size, self.size, *crops.shape[3:]), np.uint8)
        if not len(crops):
            return out
        points, found = self.landmarks(crops)
        points[~found] = TEMPLATE
        target = (TEMPLATE - CENTRE) * self.zoom + CENTRE
        move = _towards(points, target, self.stiffness)
        # a pixel's centre lies at a half: x' = A x + b in shares becomes size / s A (x + .5) + size b - .5
        ratio = self.size / crops.shape[1]
        linear = move[:, :, :2] * ratio
        shift = move[:, :, 2] * self.size - 0.5 + 0.5 * linear.sum(axis=2)
        matrix = np.concatenate([linear, shift[..., None]], axis=2)
        for k, crop in enumerate(crops):
            out[k] = cv2.warpAffine(
                crop,
                matrix[k],
                (self.size, self.size),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return out


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _look(images: Crops, side: float, shift: float) -> tuple[Points, NDArray[np.float32]]:
    """Return points (n, 5, 2) as shares of the whole, and scores (n,), of one window of each picture."""
    cv2 = need("cv2", "classic")
    size = mtcnn.ONET
    x0, y0 = 0.5 - side / 2 + shift, 0.5 - side / 2
    if (side, shift) != (1.0, 0.0):
        matrix = np.array([[1 / side, 0, -x0 * size / side], [0, 1 / side, -y0 * size / side]])
        images = np.stack(
            [
                cv2.warpAffine(
                    np.ascontiguousarray(image), matrix, (size, size), borderMode=cv2.BORDER_REPLICATE
                )
                for image in images
            ]
        )
    _, score, marks = mtcnn.load().onet.run(None, {"image": np.ascontiguousarray(images)})
    return marks.astype(np.float64) * side + (x0, y0), score


def _towards(source: Points, target: Points, stiffness: float) -> Points:
    """Return (n, 2, 3): the similarity from points (n, 5, 2) to (5, 2), plus a stiff affine rest."""
    move = similarity(source, target)
    rest = target - (source @ move[:, :, :2].swapaxes(1, 2) + move[:, None, :, 2])  # (n, 5, 2)
    centre = source.mean(axis=1, keepdims=True)
    arms = source - centre
    gram = arms.swapaxes(1, 2) @ arms + stiffness * np.eye(2)
    stretch = np.linalg.solve(gram, arms.swapaxes(1, 2) @ rest).swapaxes(1, 2)  # (n, 2, 2); rest has mean 0
    move[:, :, :2] += stretch
    move[:, :, 2] -= (stretch @ centre.swapaxes(1, 2))[..., 0]
    return move
