"""Features of texture: local binary patterns and Gabor filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import Crops
from pyfer.errors import need
from pyfer.features.base import Codebook, Feature, Floats, flat, gray, histograms, pooled, ranged

CODES = 59
"""Uniform patterns of 8 neighbours: 58 with at most two changes around the circle, one for all others."""


@dataclass(frozen=True, kw_only=True)
class Lbp(Feature):
    """Histograms of uniform local binary patterns on a grid.

    T. Ojala, M. Pietikäinen, T. Mäenpää: "Multiresolution Gray-Scale and Rotation Invariant Texture
    Classification with Local Binary Patterns", IEEE PAMI 2002; on a grid of cells for faces: T. Ahonen,
    A. Hadid, M. Pietikäinen: "Face Description with Local Binary Patterns", IEEE PAMI 2006. The codes are
    those of scikit-image (``nri_uniform``, 8 neighbours); the crop's edge pixels are repeated outside.

    Width: ``59 cells²``, 2124.
    """

    kind: ClassVar[str] = "lbp"
    sees: ClassVar[str] = "fine texture"
    paper: ClassVar[str] = "Ojala 2002, Ahonen 2006"

    size: int = ranged(48, 16, 512)
    """Crops are resized to this side, pixels."""
    radius: int = ranged(1, 1, 8)
    """Distance of the neighbours, pixels."""
    cells: int = ranged(6, 1, 64)
    """Cells along a side."""
    root: bool = False
    """Whether to take square roots, so that scalar products compare histograms (Hellinger)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.cells <= self.size, "cells", f"at most size={self.size}")

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return CODES * self.cells**2

    def codes(self, crops: Crops) -> NDArray[np.uint8]:
        """Return the code 0..58 of each pixel, (n, size, size)."""
        pattern = need("skimage.feature", "classic").local_binary_pattern
        edge = self.radius + 1
        padded = np.pad(gray(crops, self.size), ((0, 0), (edge, edge), (edge, edge)), mode="edge")
        found = [pattern(crop, 8, self.radius, "nri_uniform") for crop in padded]
        return np.array(found)[:, edge:-edge, edge:-edge].astype(np.uint8)

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width): a histogram with sum 1 for each cell, row by row."""
        shares = flat(histograms(self.codes(crops), CODES, self.cells))
        return np.sqrt(shares) if self.root else shares


@dataclass(frozen=True, kw_only=True)
class Gabor(Feature):
    """Mean and deviation of the magnitudes of Gabor filters on a grid.

    M. Lyons, S. Akamatsu, M. Kamachi, J. Gyoba: "Coding Facial Expressions with Gabor Wavelets", FG 1998:
    three scales, six orientations. Filters are scikit-image's ``gabor_kernel`` with a bandwidth of one
    octave, without their mean, so that brightness does not matter. Mirror images continue the crop; the
    magnitudes are taken at every second pixel, which is as fine as they vary.

    Width: ``2 wavelengths orientations cells²``, 1296.
    """

    kind: ClassVar[str] = "gabor"
    sees: ClassVar[str] = "waves of few lengths"
    paper: ClassVar[str] = "Lyons et al. 1998"

    size: int = ranged(48, 16, 512)
    """Crops are resized to this side, pixels."""
    wavelengths: tuple[float, ...] = ranged((4.0, 8.0, 16.0), 2.0, 128.0)
    """Lengths of the waves, pixels."""
    orientations: int = ranged(6, 1, 36)
    """Directions over half a turn."""
    cells: int = ranged(6, 1, 64)
    """Cells along a side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(2 * self.cells <= self.size, "cells", f"at most {self.size // 2}, half of size")

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return 2 * len(self.wavelengths) * self.orientations * self.cells**2

    def magnitudes(self, crops: Crops) -> Iterator[Floats]:
        """Yield (n, h, h), h half of size rounded up, for each wavelength and, within it, each direction."""
        fft = need("scipy.fft", "classic")
        n, half = len(crops), (self.size + 1) // 2
        # crop and mirror image, repeated without end: no seams for the filters to find
        around = ((0, 0), (0, self.size), (0, self.size))
        padded = np.pad(gray(crops, self.size).astype(np.float32) / 255, around, mode="symmetric")
        spectrum = fft.fft2(padded)
        for wavelength in self.wavelengths:
            for k in range(self.orientations):
                product = spectrum * _transfer(wavelength, k * np.pi / self.orientations, 2 * self.size)
                # folding a spectrum takes every second pixel, at a quarter of the work
                folded = product.reshape(n, 2, self.size, 2, self.size).mean(axis=(1, 3))
                yield np.abs(fft.ifft2(folded)[:, :half, :half])

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width): for each filter the means, then the deviations, cells row by row."""
        parts = []
        for found in self.magnitudes(crops):
            mean = pooled(found, self.cells)
            spread = np.sqrt(np.maximum(pooled(found**2, self.cells) - mean**2, 0))
            parts += [flat(mean), flat(spread)]
        return np.concatenate(parts, axis=1)


def kernel_of(wavelength: float, angle: float) -> NDArray[np.complex128]:
    """Return a filter for waves of so many pixels that run in a direction (radians), with odd sides."""
    kernel = need("skimage.filters", "classic").gabor_kernel(1 / wavelength, angle)
    return np.asarray(kernel, np.complex128)


@lru_cache(maxsize=256)
def _transfer(wavelength: float, angle: float, size: int) -> NDArray[np.complex64]:
    """Return the filter as it acts on a spectrum, complex64 (size, size); nothing passes at frequency 0."""
    kernel = kernel_of(wavelength, angle)
    canvas = np.zeros((size, size), np.complex128)
    rows, columns = (np.arange(side) - side // 2 for side in kernel.shape)
    np.add.at(canvas, (rows[:, None] % size, columns % size), kernel)  # around: it may be larger
    transfer = np.fft.fft2(canvas)
    transfer[0, 0] = 0
    return transfer.astype(np.complex64)
