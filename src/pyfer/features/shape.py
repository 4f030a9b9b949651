"""Features of shape: directions of edges (HOG), edges themselves, the place of five landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pyfer import mtcnn
from pyfer.crops import Crops
from pyfer.errors import need
from pyfer.faces import TEMPLATE
from pyfer.features.base import Codebook, Feature, Floats, flat, gray, pooled, ranged, rgb

PAIRS = tuple(combinations(range(5), 2))[1:]
"""Pairs of landmarks, all but the two eyes, which are the measure."""
_LEAST_EYES = 0.1  # of the crop's side: eyes closer than this are no eyes


@dataclass(frozen=True, kw_only=True)
class Hog(Feature):
    """Histograms of oriented gradients, as scikit-image has them.

    N. Dalal, B. Triggs: "Histograms of Oriented Gradients for Human Detection", CVPR 2005. Blocks of cells
    overlap by all cells but one and are normalised with L2-Hys, as there.

    Width: ``(size // cell - block + 1)² block² orientations``, 800.
    """

    kind: ClassVar[str] = "hog"
    sees: ClassVar[str] = "directions of edges"
    paper: ClassVar[str] = "Dalal & Triggs 2005"

    size: int = ranged(48, 16, 512)
    """Crops are resized to this side, pixels."""
    cell: int = ranged(8, 2, 128)
    """Side of a cell, pixels."""
    block: int = ranged(2, 1, 8)
    """Side of a block, cells."""
    orientations: int = ranged(8, 2, 36)
    """Directions over half a turn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.cell * self.block <= self.size, "cell", f"so small that a block fits in {self.size}"
        )

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return (self.size // self.cell - self.block + 1) ** 2 * self.block**2 * self.orientations

    def blocks(self, crops: Crops) -> Floats:
        """Return (n, rows, columns, block, block, orientations): the cells of each block, normalised."""
        hog = need("skimage.feature", "classic").hog
        cell, block = (self.cell, self.cell), (self.block, self.block)
        found = [
            hog(crop, self.orientations, cell, block, block_norm="L2-Hys", feature_vector=False)
            for crop in gray(crops, self.size)
        ]
        return np.asarray(found, np.float32)

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width), in the order of ``skimage.feature.hog``."""
        return flat(self.blocks(crops))


@dataclass(frozen=True, kw_only=True)
class Edges(Feature):
    """How strong the edges are in each cell, and how many there are.

    The first numbers are mean magnitudes of the Sobel gradient in gray levels a pixel, divided by 255; the
    others are shares of pixels on an edge of Canny's (J. Canny: "A Computational Approach to Edge
    Detection", IEEE PAMI 1986). Canny's two thresholds are multiples of the crop's own mean gradient, so
    that contrast does not matter.

    Width: ``2 cells²``, 128.
    """

    kind: ClassVar[str] = "edges"
    sees: ClassVar[str] = "strength and density of edges"
    paper: ClassVar[str] = "Canny 1986"

    size: int = ranged(48, 16, 512)
    """Crops are resized to this side, pixels."""
    cells: int = ranged(8, 1, 64)
    """Cells along a side."""
    blur: float = ranged(1.0, 0.1, 10.0)
    """Deviation of the Gaussian before the gradient, pixels."""
    strong: float = ranged(1.5, 0.1, 20.0)
    """Gradients above so many times the mean are an edge."""
    weak: float = ranged(0.7, 0.1, 20.0)
    """Those above so many times the mean go on an edge."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.cells <= self.size, "cells", f"at most size={self.size}")
        self.require(self.weak <= self.strong, "weak", f"at most strong={self.strong}")

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return 2 * self.cells**2

    def maps(self, crops: Crops) -> Floats:
        """Return (n, 2, size, size): Sobel magnitudes as a share of 255, and 1 where an edge is."""
        cv2 = need("cv2", "classic")
        found = np.empty((len(crops), 2, self.size, self.size), np.float32)
        for k, crop in enumerate(gray(crops, self.size)):
            smooth = cv2.GaussianBlur(crop, (0, 0), self.blur)
            dx, dy = cv2.Sobel(smooth, cv2.CV_16S, 1, 0), cv2.Sobel(smooth, cv2.CV_16S, 0, 1)
            strength = np.hypot(dx, dy, dtype=np.float32)
            mean = max(float(strength.mean()), 1.0)
            edges = cv2.Canny(dx, dy, self.weak * mean, self.strong * mean, L2gradient=True)
            found[k] = strength / (8 * 255), edges > 0  # Sobel's weights sum to 8
        return found

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width): magnitudes, then densities, cells row by row."""
        return flat(pooled(self.maps(crops), self.cells))


@dataclass(frozen=True, kw_only=True)
class Landmarks(Feature):
    """Distances and directions among five points: eyes, nose, corners of the mouth.

    The last network of MTCNN (Zhang et al. 2016; `pyfer.mtcnn`) finds them in the whole crop. Where it sees
    no face, the points of the template stand in. For each of nine pairs of points: the distance in distances
    of the eyes; then the direction against the line of the eyes, radians; last, 1 where a face was seen.

    Five points say little: wide and narrow mouths, not brows, lids or lips. Work on geometry uses 49 or 68
    (such as Valstar & Pantic 2006, 20 points), and those would need another network.

    Width: 19.
    """

    kind: ClassVar[str] = "landmarks"
    sees: ClassVar[str] = "geometry of five points"
    paper: ClassVar[str] = "Zhang et al. 2016"

    registered: bool = False
    """The place of the points is what it measures: the crops as they are."""
    score: float = ranged(0.5, 0.0, 1.0)
    """Least belief of the network that it sees a face."""

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return 2 * len(PAIRS) + 1

    def points(self, crops: Crops) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return points (n, 5, 2), x y as shares of the crop's side, and whether they were found (n,)."""
        images = rgb(crops, mtcnn.ONET)
        _, score, marks = mtcnn.load().onet.run(None, {"image": images})
        apart = np.linalg.norm(marks[:, 1] - marks[:, 0], axis=1)
        found = (score >= self.score) & (apart >= _LEAST_EYES)
        return np.where(found[:, None, None], marks.astype(np.float64), TEMPLATE), found

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width): distances, directions, whether found."""
        points, found = self.points(crops)
        place = points[..., 0] + 1j * points[..., 1]
        eyes = place[:, 1] - place[:, 0]
        first, second = np.array(PAIRS).T
        line = (place[:, second] - place[:, first]) / eyes[:, None]
        return np.concatenate([np.abs(line), np.angle(line), found[:, None]], axis=1).astype(np.float32)
