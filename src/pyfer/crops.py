"""Image preprocessing between aligned face crops and the network: arrays in, arrays out, a batch at a time.

::

    crops uint8 (n, s, s) | (n, s, s, 3)
      -> gray or colour -> lighting filter -> oval mask -> size      uint8
      -> scale -> standardise, or mean and std -> layout              float32 (n, c, size, size)

`Preprocessing` holds the settings of the whole way; it is the ``input`` object of a model's ``model.json``,
so a model always gets the pictures it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pyfer.errors import ArgumentError, did_you_mean

Crops = NDArray[np.uint8]
"""(n, s, s) gray or (n, s, s, 3) colour."""

STANDARD_FLOOR = 1e-2
"""Least deviation, on pixels of 0..1, that per-image standardisation divides by.

About 2.5 of 255 gray levels, the noise of a camera: a flat crop becomes zeros, not blown-up noise.
"""

MID_GRAY = 128
"""What `mask_background` puts outside the oval."""

CLAHE_TILES = 4
"""Tiles a side: 12 x 12 pixels in a 48 x 48 crop, about an eye or a mouth corner."""

CLAHE_CLIP = 0.01
"""Most pixels in one of the 256 bins of a tile, as a share of the tile (the default of scikit-image)."""

GAMMA_RANGE = (0.4, 2.5)
"""Bounds of the automatic exponent: beyond them the noise of nearly black crops is all that is left."""

_LUMA = (19595, 38470, 7471)
"""BT.601 weights 0.299, 0.587, 0.114 in 1/65536, as in Pillow's ``convert("L")``."""


# --- gray -------------------------------------------------------------------------------------------------


def luma(crops: Crops) -> Crops:
    """Return the gray version (..., h, w) of RGB pictures (..., h, w, 3).

    BT.601 luma in fixed point, ``(19595 R + 38470 G + 7471 B + 32768) >> 16``: rounded to nearest, bit for
    bit what Pillow's ``convert("L")`` gives.
    """
    total = np.multiply(crops[..., 0], _LUMA[0], dtype=np.uint32)
    total += np.multiply(crops[..., 1], _LUMA[1], dtype=np.uint32)
    total += np.multiply(crops[..., 2], _LUMA[2], dtype=np.uint32)
    total += 32768
    total >>= 16
    return total.astype(np.uint8)


# --- lighting filters: uint8 in, uint8 out, same shape ----------------------------------------------------


def none(crops: Crops) -> Crops:
    """Return `crops` as they are."""
    return crops


def equalize(crops: Crops) -> Crops:
    """Spread the gray levels of each crop evenly over 0..255 (histogram equalisation).

    ``round(255 (C(v) - C(v0)) / (n - C(v0)))`` with the cumulative histogram C and the darkest level v0 of
    the crop (Gonzalez & Woods, Digital Image Processing, 3.3). A flat crop stays as it is. Colour crops
    change in luma only.
    """
    return _on_luma(crops, _equalize)


def clahe(crops: Crops) -> Crops:
    """Equalise each crop tile by tile with limited contrast (CLAHE; Zuiderveld 1994, Graphics Gems IV).

    `CLAHE_TILES` x `CLAHE_TILES` tiles; a bin holds at most `CLAHE_CLIP` of the tile's pixels and the
    excess is spread over all bins; pixels between tile centres blend the mappings of the four nearest
    tiles bilinearly. Colour crops change in luma only.
    """
    return _on_luma(crops, _clahe)


def gamma(crops: Crops, value: float | None = None) -> Crops:
    """Raise each crop's brightness (0..1) to the power `value`; below 1 brightens, above 1 darkens.

    Without a `value` each crop gets its own, ``log 0.5 / log mean`` within `GAMMA_RANGE`, which brings its
    mean gray to about 0.5. Colour crops change in luma only.

    Raises
    ------
    ArgumentError
        `value` is not a positive number.
    """
    if value is not None:
        _check_gamma(value)
    return _on_luma(crops, lambda gray: _gamma(gray, value))


FILTERS: Mapping[str, Callable[[Crops], Crops]] = {
    "none": none,
    "equalize": equalize,
    "clahe": clahe,
    "gamma": gamma,
}
"""Name -> lighting filter. Each takes and gives uint8 (n, s, s) or (n, s, s, 3)."""


def _on_luma(crops: Crops, gray_filter: Callable[[Crops], Crops]) -> Crops:
    """Apply a gray filter; on colour, shift the three channels by what the filter does to the luma.

    Equal shifts of R, G and B change Y of YCbCr and leave Cb and Cr alone, so hues hold.
    """
    _check_crops(crops)
    if crops.size == 0:
        return crops
    if crops.ndim == 3:
        return gray_filter(crops)
    gray = luma(crops)
    shift = gray_filter(gray).astype(np.int16) - gray
    return np.clip(crops + shift[..., None], 0, 255).astype(np.uint8)


def _equalize(gray: Crops) -> Crops:
    n, pixels = len(gray), gray[0].size
    counts = _histograms(gray, np.arange(n)[:, None, None], n)
    below = counts.cumsum(axis=1)
    darkest = np.take_along_axis(below, (counts > 0).argmax(axis=1)[:, None], axis=1)  # (n, 1)
    rest = pixels - darkest
    table = np.rint((below - darkest) * (255.0 / np.maximum(rest, 1)))
    table = np.where(rest > 0, table, np.arange(256))
    return _look_up(gray, np.clip(table, 0, 255).astype(np.uint8))


def _gamma(gray: Crops, value: float | None) -> Crops:
    mean = np.clip(gray.mean(axis=(1, 2)) / 255, 1e-3, 1 - 1e-3)
    power = np.clip(math.log(0.5) / np.log(mean), *GAMMA_RANGE)
    if value is not None:
        power[:] = value
    level = np.arange(256) / 255
    return _look_up(gray, np.rint(255 * level ** power[:, None]).astype(np.uint8))


def _clahe(gray: Crops) -> Crops:
    n, height, width = gray.shape
    tile_y, tile_x = -(-height // CLAHE_TILES), -(-width // CLAHE_TILES)
    spare = ((0, 0), (0, tile_y * CLAHE_TILES - height), (0, tile_x * CLAHE_TILES - width))
    padded = np.pad(gray, spare, mode="symmetric")
    tile = np.arange(padded.shape[1])[:, None] // tile_y * CLAHE_TILES + np.arange(padded.shape[2]) // tile_x
    groups = np.arange(n)[:, None, None] * CLAHE_TILES**2 + tile  # (n, h, w): the tile of each pixel
    counts = _histograms(padded, groups, n * CLAHE_TILES**2) / (tile_y * tile_x)
    excess = np.maximum(counts - CLAHE_CLIP, 0).sum(axis=1, keepdims=True)
    table = (255 * (np.minimum(counts, CLAHE_CLIP) + excess / 256).cumsum(axis=1)).astype(np.float32)

    y0, y1, fraction_y = _tile_neighbours(height, tile_y)
    x0, x1, fraction_x = _tile_neighbours(width, tile_x)
    first = np.arange(n)[:, None, None] * CLAHE_TILES**2
    flat = table.ravel()

    def mapped(row: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.float32]:
        index = (first + row[:, None] * CLAHE_TILES + column) * 256 + gray
        return cast("NDArray[np.float32]", flat[index])

    top = mapped(y0, x0) * (1 - fraction_x) + mapped(y0, x1) * fraction_x
    bottom = mapped(y1, x0) * (1 - fraction_x) + mapped(y1, x1) * fraction_x
    blend = top * (1 - fraction_y[:, None]) + bottom * fraction_y[:, None]
    return np.clip(np.rint(blend), 0, 255).astype(np.uint8)


def _tile_neighbours(
    length: int, tile: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return, for each pixel of an axis, the tile centres before and after it and how far between it lies."""
    position = (np.arange(length) + 0.5) / tile - 0.5
    before = np.floor(position).astype(np.intp)
    fraction = (position - before).astype(np.float32)
    last = CLAHE_TILES - 1
    return np.clip(before, 0, last), np.clip(before + 1, 0, last), fraction


def _histograms(gray: Crops, groups: NDArray[np.intp], n_groups: int) -> NDArray[np.intp]:
    """Return (n_groups, 256) counts of gray levels; `groups` says the group of each pixel."""
    counts = np.bincount((groups * 256 + gray).ravel(), minlength=n_groups * 256)
    return counts.reshape(n_groups, 256)


def _look_up(gray: Crops, table: NDArray[np.uint8]) -> Crops:
    """Map each crop (n, s, s) through its own row of `table` (n, 256)."""
    index = np.arange(len(gray))[:, None, None] * 256 + gray
    return cast("Crops", table.ravel()[index])


# --- background -------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def oval_mask(size: int) -> NDArray[np.float32]:
    """Return a soft-edged face oval, float32 (size, size) of 0..1: 1 inside, 0 in the corners. Read-only.

    A centred ellipse of 0.86 x 1.0 of the crop, the shape of a face aligned to fill it; the edge falls
    linearly over 8 % of the crop, so that it adds no contour of its own to find.
    """
    place = (np.arange(size) + 0.5) / size - 0.5
    radius = np.hypot(place / 0.43, place[:, None] / 0.5)  # 1 on the ellipse
    mask = np.clip((1 - radius) / 0.16 + 0.5, 0, 1).astype(np.float32)
    mask.setflags(write=False)
    return mask


def mask_background(crops: Crops) -> Crops:
    """Replace what lies outside the face oval of uint8 crops (n, s, s) or (n, s, s, 3) by mid gray."""
    _check_crops(crops)
    mask = oval_mask(crops.shape[1])
    if crops.ndim == 4:
        mask = mask[..., None]
    blend: NDArray[np.float32] = (crops.astype(np.float32) - MID_GRAY) * mask + MID_GRAY
    return np.rint(blend).astype(np.uint8)


def resize(crops: Crops, size: int) -> Crops:
    """Return uint8 crops (n, size, size[, 3]), bilinear with antialiasing as in Pillow."""
    if crops.shape[1] == size:
        return crops
    out = np.empty((len(crops), size, size, *crops.shape[3:]), np.uint8)
    for k, crop in enumerate(crops):
        out[k] = Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR)
    return out


# --- the whole way ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preprocessing:
    """How crops become the input of a network; the ``input`` object of ``model.json``.

    Calling it with uint8 crops (n, s, s) or (n, s, s, 3) RGB gives (n, c, size, size), or
    (n, size, size, c) for the layout ``nhwc``.
    """

    size: int = 48
    """Side of the network's input in pixels, 16..1024."""
    color: str = "gray"
    """``gray`` (one channel), ``rgb`` or ``bgr``. Gray crops are repeated for a colour network."""
    layout: str = "nchw"
    """``nchw`` or ``nhwc``."""
    scale: float = 1 / 255
    """Factor on the gray levels 0..255."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted after scaling: one number, or one for each channel in the order of `color`."""
    std: tuple[float, ...] = (1.0,)
    """Divided by after `mean`: one positive number, or one for each channel."""
    filter: str = "none"
    """Lighting filter, a name of `FILTERS`."""
    gamma: float | None = None
    """Exponent of the filter ``gamma``; None lets each crop have its own."""
    mask: bool = False
    """Whether the background outside the face oval becomes mid gray."""
    standard: bool = False
    """Whether each crop is standardised after scaling: ``(x - mean) / max(std, STANDARD_FLOOR)`` with the
    mean and the population deviation of all its pixels and channels, instead of `mean` and `std`."""
    dtype: str = "float32"
    """``float32``, or ``uint8`` for a network that takes the gray levels themselves (scale 1)."""

    def __post_init__(self) -> None:
        _check_integer("size", self.size, 16, 1024)
        _check_choice("color", self.color, ("gray", "rgb", "bgr"))
        _check_choice("layout", self.layout, ("nchw", "nhwc"))
        _check_choice("filter", self.filter, tuple(FILTERS))
        _check_choice("dtype", self.dtype, ("float32", "uint8"))
        object.__setattr__(self, "scale", _number("scale", self.scale, positive=True))
        object.__setattr__(self, "mean", self._per_channel("mean", self.mean))
        object.__setattr__(self, "std", self._per_channel("std", self.std, positive=True))
        for name in ("mask", "standard"):
            if not isinstance(getattr(self, name), bool):
                raise ArgumentError(f"{name}={getattr(self, name)!r} must be true or false")
        self._check_together()

    def _per_channel(self, name: str, values: object, *, positive: bool = False) -> tuple[float, ...]:
        n = self.channels
        if not isinstance(values, (tuple, list)) or len(values) not in (1, n):
            rule = f"a list of one number, or of {n} for color={self.color!r}"
            raise ArgumentError(f"{name}={values!r} must be {rule}")
        return tuple(_number(name, value, positive=positive) for value in values)

    def _check_together(self) -> None:
        """Refuse settings that would silently undo or ignore each other."""
        if self.gamma is not None:
            _check_gamma(self.gamma)
            if self.filter != "gamma":
                raise ArgumentError(f"gamma={self.gamma} needs filter='gamma', not {self.filter!r}")
        plain = not any(self.mean) and set(self.std) == {1.0}
        if self.standard and not plain:
            raise ArgumentError(
                f"mean={self.mean} and std={self.std} have no effect with standard=true; leave them out"
            )
        if self.dtype == "uint8" and (self.standard or not plain or self.scale != 1):
            raise ArgumentError(
                "dtype='uint8' gives the gray levels as they are; it needs scale=1 and no normalisation"
            )

    @property
    def channels(self) -> int:
        """Channels of the network's input: 1 or 3."""
        return 1 if self.color == "gray" else 3

    @classmethod
    def from_dict(cls, settings: Mapping[str, object]) -> Preprocessing:
        """Return the preprocessing that the ``input`` object of a ``model.json`` describes.

        Raises
        ------
        ArgumentError
            A key is unknown (the message names the nearest one), or a value breaks its rule.
        """
        known = [field.name for field in fields(cls)]
        for key in settings:
            if key not in known:
                hint = did_you_mean(str(key), known)
                raise ArgumentError(f"input key {key!r} is not known{hint} (known: {', '.join(known)})")
        return cls(**cast("dict[str, Any]", dict(settings)))

    def to_dict(self) -> dict[str, object]:
        """Return all settings as plain JSON values; `from_dict` reads them back."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def __call__(self, crops: Crops) -> NDArray[np.float32] | NDArray[np.uint8]:
        """Return the network's input for uint8 `crops` (n, s, s) gray or (n, s, s, 3) RGB.

        Returns
        -------
        array
            (n, c, size, size) or (n, size, size, c), C-contiguous, of `dtype`.

        Raises
        ------
        ArgumentError
            `crops` has another shape or dtype.
        """
        _check_crops(crops)
        if crops.ndim == 4 and self.color == "gray":
            crops = luma(crops)
        crops = gamma(crops, self.gamma) if self.filter == "gamma" else FILTERS[self.filter](crops)
        if self.mask:
            crops = mask_background(crops)
        x: NDArray[Any] = self._channels(resize(crops, self.size))
        if self.dtype == "float32":
            x = self._normal(x)
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if self.layout == "nchw" else x)

    def _channels(self, crops: Crops) -> Crops:
        """Return crops (n, s, s[, 3]) as (n, s, s, c) in the order of `color`; a view."""
        if crops.ndim == 3:
            return np.broadcast_to(crops[..., None], (*crops.shape, self.channels))
        return crops[..., ::-1] if self.color == "bgr" else crops

    def _normal(self, crops: Crops) -> NDArray[np.float32]:
        """Return crops (n, s, s, c) scaled, then standardised or brought to `mean` and `std`."""
        x = np.multiply(crops, np.float32(self.scale), dtype=np.float32)
        if self.standard:
            return standard(x)
        if any(self.mean):
            x -= np.array(self.mean, np.float32)
        if set(self.std) != {1.0}:
            x /= np.array(self.std, np.float32)
        return x


def standard(x: NDArray[np.float32], floor: float = STANDARD_FLOOR) -> NDArray[np.float32]:
    """Give each crop of float32 `x` (n, ...) mean 0 and deviation 1: ``(x - mean) / max(std, floor)``.

    Mean and population deviation are those of all pixels and channels of the crop.
    """
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    flat = flat - flat.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.einsum("ij,ij->i", flat, flat) / flat.shape[1])
    flat /= np.maximum(deviation, floor)[:, None]
    return cast("NDArray[np.float32]", flat.reshape(x.shape))


# --- rules ------------------------------------------------------------------------------------------------


def _check_crops(crops: Crops) -> None:
    shape: tuple[int, ...] = getattr(crops, "shape", ())
    if not isinstance(crops, np.ndarray) or crops.dtype != np.uint8:
        raise ArgumentError(
            f"crops={type(crops).__name__} {getattr(crops, 'dtype', '')} must be a uint8 array of 0..255"
        )
    square = crops.ndim in (3, 4) and shape[1] == shape[2] > 0
    if not square or (crops.ndim == 4 and shape[3] != 3):
        raise ArgumentError(
            f"crops of shape {shape} must be (n, s, s) gray or (n, s, s, 3) RGB; give one crop as crops[None]"
        )


def _check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = did_you_mean(str(value), known)
        raise ArgumentError(f"{name}={value!r} must be one of {', '.join(known)}{hint}")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise ArgumentError(f"{name}={value!r} must be a whole number of {low}..{high}")


def _number(name: str, value: object, *, positive: bool = False) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (positive and cast("float", value) <= 0):
        raise ArgumentError(f"{name}={value!r} must be a {'positive ' if positive else ''}finite number")
    return float(cast("float", value))


def _check_gamma(value: object) -> None:
    _number("gamma", value, positive=True)
