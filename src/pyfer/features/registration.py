"""Registration of crops: five landmarks come to the same place, so that a cell is the same part of a face.

Crops of the wild show faces turned, shifted and of different size; handmade features stand or fall with it
(`pyfer study features` says by how much). Where no face is seen, the template's points stand in: such a crop
is only zoomed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer import mtcnn
from pyfer.crops import Crops, resize
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
LEAST_SPAN = 1e-3
"""Points that lie closer together than this share of the side are no face; no similarity moves them apart."""
LOOKS = 160
"""Pictures that the network looks at in one run: it keeps about 0.5 MB for each."""


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
            ("size", _whole(self.size) and 16 <= self.size <= 512, "a whole number of 16..512"),
            ("zoom", _number(self.zoom) and 0.5 <= self.zoom <= 3, "a number of 0.5..3"),
            ("stiffness", _number(self.stiffness) and 0 < self.stiffness <= 1e6, "a number above 0"),
            ("windows", _whole(self.windows) and 1 <= self.windows <= len(WINDOWS), "a whole number of 1..5"),
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
        step = max(1, LOOKS // (2 * self.windows))
        parts = [self._landmarks(crops[k : k + step]) for k in range(0, len(crops), step)]
        none = np.zeros((0, 5, 2)), np.zeros(0, bool)
        points, found = (np.concatenate(part) for part in zip(none, *parts, strict=True))
        return points, found

    def _landmarks(self, crops: Crops) -> tuple[Points, NDArray[np.bool_]]:
        images = rgb(crops, mtcnn.ONET)
        both = (images, np.ascontiguousarray(images[:, :, ::-1]))
        views = [_window(side, *WINDOWS[k]) for k in range(self.windows) for side in both]
        _, score, marks = mtcnn.load().onet.run(None, {"image": np.concatenate(views)})
        seen = marks.astype(np.float64).reshape(self.windows, 2, len(crops), 5, 2)  # window, mirror
        for k, (side, shift) in enumerate(WINDOWS[: self.windows]):
            seen[k] = seen[k] * side + _corner(side, shift)
        seen[:, 1, ..., 0] = 1 - seen[:, 1, ..., 0]
        seen[:, 1] = seen[:, 1][:, :, MIRRORED]
        places = seen.reshape(2 * self.windows, len(crops), 5, 2)
        found = np.median(places, axis=0)
        spread = np.abs(places - found).mean(axis=(0, 2, 3))
        span = np.ptp(found, axis=1).max(axis=1)
        sure = score.reshape(2 * self.windows, -1).mean(axis=0) > LEAST_SCORE
        return found, sure & (spread < LARGEST_SPREAD) & (span > LEAST_SPAN)

    def __call__(self, crops: Crops) -> Crops:
        """Return registered crops uint8 (n, size, size[, 3]) for uint8 (n, s, s[, 3])."""
        cv2 = need("cv2", "classic")
        points, found = self.landmarks(crops)
        points[~found] = TEMPLATE
        target = (TEMPLATE - CENTRE) * self.zoom + CENTRE
        move = _towards(points, target, self.stiffness)
        if crops.shape[1] > 2 * self.size:
            crops = resize(crops, 2 * self.size)  # fewer pixels than it has would make patterns of their own
        # a pixel's centre lies at a half: x' = A x + b in shares becomes size / s A (x + .5) + size b - .5
        ratio = self.size / crops.shape[1]
        linear = move[:, :, :2] * ratio
        shift = move[:, :, 2] * self.size - 0.5 + 0.5 * linear.sum(axis=2)
        matrix = np.concatenate([linear, shift[..., None]], axis=2)
        out = np.empty((len(crops), self.size, self.size, *crops.shape[3:]), np.uint8)
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


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _corner(side: float, shift: float) -> tuple[float, float]:
    """Return x and y of a window's upper left corner, as shares of the crop's side."""
    return 0.5 - side / 2 + shift, 0.5 - side / 2


def _window(images: Crops, side: float, shift: float) -> Crops:
    """Return what a window sees of pictures (n, s, s, 3), at the same size."""
    if (side, shift) == (1.0, 0.0):
        return images
    cv2 = need("cv2", "classic")
    size = images.shape[1]
    # pixel k has its centre at (k + .5) / size: a window moves centres, not corners
    x, y = ((0.5 - corner * size) / side - 0.5 for corner in _corner(side, shift))
    matrix = np.array([[1 / side, 0, x], [0, 1 / side, y]])
    edge = cv2.BORDER_REPLICATE
    return np.stack([cv2.warpAffine(image, matrix, (size, size), borderMode=edge) for image in images])


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
