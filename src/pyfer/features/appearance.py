"""Features of appearance: colours, and the pixels themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyfer.crops import Crops, standard
from pyfer.errors import need
from pyfer.features.base import Codebook, Feature, Floats, chosen, flat, gray, histograms, ranged, rgb


@dataclass(frozen=True, kw_only=True)
class Color(Feature):
    """Histograms of colours on a grid, each channel for itself.

    M. Swain, D. Ballard: "Color Indexing", IJCV 1991. A gray crop has no hue and no saturation, so what it
    tells is the histogram of its gray levels, in the last channel of ``hsv`` or the first of ``lab``.
    Colours say more about light and skin than about expressions; they are here to show that.

    Width: ``channels bins cells²``, 216.
    """

    kind: ClassVar[str] = "color"
    sees: ClassVar[str] = "colours, or gray levels"
    paper: ClassVar[str] = "Swain & Ballard 1991"

    size: int = ranged(48, 16, 512)
    """Crops are resized to this side, pixels."""
    space: str = chosen("hsv", "lab", "gray")
    """``hsv``, ``lab`` (CIE L*a*b*) or ``gray`` (one channel)."""
    bins: int = ranged(8, 2, 256)
    """Bins of a channel."""
    cells: int = ranged(3, 1, 64)
    """Cells along a side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.cells <= self.size, "cells", f"at most size={self.size}")

    @property
    def channels(self) -> int:
        """Channels of the colour space."""
        return 1 if self.space == "gray" else 3

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return self.channels * self.bins * self.cells**2

    def converted(self, crops: Crops) -> Crops:
        """Return uint8 (n, size, size, channels), every channel over 0..255."""
        if self.space == "gray":
            return gray(crops, self.size)[..., None]
        cv2 = need("cv2", "classic")
        code = cv2.COLOR_RGB2HSV_FULL if self.space == "hsv" else cv2.COLOR_RGB2LAB
        tall = rgb(crops, self.size).reshape(-1, self.size, 3)  # all crops at once, as one high picture
        return np.asarray(cv2.cvtColor(tall, code), np.uint8).reshape(-1, self.size, self.size, 3)

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width): channel by channel, a histogram with sum 1 for each cell, row by row."""
        level = self.converted(crops).astype(np.intp) * self.bins // 256
        parts = [flat(histograms(level[..., k], self.bins, self.cells)) for k in range(self.channels)]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, kw_only=True)
class Pixels(Feature):
    """The gray levels, standardised: mean 0 and deviation 1 for each crop (`pyfer.crops.standard`).

    What all features are to be compared with: M. Turk, A. Pentland: "Eigenfaces for Recognition", 1991,
    began with nothing else.

    Width: ``size²``, 1024.
    """

    kind: ClassVar[str] = "pixels"
    sees: ClassVar[str] = "gray levels, standardised"
    paper: ClassVar[str] = "Turk & Pentland 1991"

    size: int = ranged(32, 4, 256)
    """Crops are resized to this side, pixels."""

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return self.size**2

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width), row by row."""
        return flat(standard(np.asarray(gray(crops, self.size) / 255, np.float32)))
