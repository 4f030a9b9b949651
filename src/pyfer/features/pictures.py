"""What each feature sees of a face, drawn: face left, what is seen right, a caption below."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pyfer.crops import Crops, resize
from pyfer.errors import ArgumentError
from pyfer.features.appearance import Color, Pixels
from pyfer.features.base import Feature, Settings, check_crops, features_of, gray, histograms, rgb
from pyfer.features.coding import DEPTH, Sift
from pyfer.features.shape import PAIRS, Edges, Hog, Landmarks
from pyfer.features.texture import CODES, Gabor, Lbp, kernel_of

Picture = NDArray[np.uint8]
"""RGB (h, w, 3)."""
Ink = tuple[int, int, int]

_PANEL: Ink = (22, 24, 28)  # as in pyfer.drawing, like the next two
_TEXT: Ink = (255, 255, 255)
_FAINT: Ink = (176, 180, 188)
_WARM: Ink = (255, 190, 90)
_COOL: Ink = (120, 200, 220)
_HEAT = np.array([(34, 37, 43), (45, 56, 92), (88, 66, 132), (168, 76, 124), (238, 130, 84), (252, 222, 144)])
_SIDE = 400  # pixels a face is shown at
_TILE = 300  # the same, on a sheet
_COLUMNS = 3
_PAD = 14
_CAPTION = 52
_FINE = 2  # drawn so many times larger and averaged: smooth lines


def picture(feature: Feature, crop: NDArray[np.uint8]) -> Picture:
    """Return a picture of what a feature sees of one face: RGB uint8.

    Parameters
    ----------
    feature
        Of any kind; one that is not known here is drawn as its numbers.
    crop
        uint8 (s, s) gray or (s, s, 3) RGB; large ones look better, the feature sees its own size anyway.

    Raises
    ------
    ArgumentError
        The crop is no such array.
    """
    _check(crop)
    return _tiled([_face(crop, _SIDE), _seen(feature, crop, _SIDE)], [("face", ""), _words(feature)], 2)


def sheet(features: Settings, crop: NDArray[np.uint8]) -> Picture:
    """Return a picture of what several features see of one face uint8 (s, s[, 3]): RGB uint8.

    Raises
    ------
    ArgumentError
        A feature is unknown, or the crop is no such array.
    """
    _check(crop)
    kinds = features_of(features)
    tiles = [_face(crop, _TILE), *(_seen(kind, crop, _TILE) for kind in kinds)]
    return _tiled(tiles, [("face", ""), *map(_words, kinds)], _COLUMNS)


def _check(crop: Any) -> None:
    if not isinstance(crop, np.ndarray) or crop.ndim not in (2, 3):
        raise ArgumentError(f"crop of shape {np.shape(crop)} must be one crop, (s, s) or (s, s, 3)")
    check_crops(crop[None])


def _words(feature: Feature) -> tuple[str, str]:
    return f"{feature.kind}: {feature.sees}", f"{feature.paper}, {feature.width:,} numbers"


def _tiled(tiles: list[Image.Image], captions: list[tuple[str, str]], columns: int) -> Picture:
    """Return tiles of one size with their captions, row by row."""
    side = tiles[0].width
    rows = -(-len(tiles) // columns)
    size = columns * (side + _PAD) + _PAD, rows * (side + _CAPTION) + _PAD
    page = Image.new("RGB", size, _PANEL)
    canvas = ImageDraw.Draw(page)
    large, small = (ImageFont.load_default(height) for height in (17, 13))
    for k, (tile, (title, note)) in enumerate(zip(tiles, captions, strict=True)):
        x, y = _PAD + k % columns * (side + _PAD), _PAD + k // columns * (side + _CAPTION)
        page.paste(tile, (x, y))
        canvas.text((x, y + side + 4), title, font=large, fill=_TEXT)
        canvas.text((x, y + side + 26), note, font=small, fill=_FAINT)
    return np.array(page)


def _face(crop: NDArray[np.uint8], side: int) -> Image.Image:
    return Image.fromarray(crop).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def _seen(feature: Feature, crop: NDArray[np.uint8], side: int) -> Image.Image:
    draw = _DRAWN.get(type(feature), _numbers)
    return draw(feature, crop[None], side)


def _dimmed(crops: Crops, size: int, side: int) -> Image.Image:
    """Return the face as a background, in the resolution that the feature sees."""
    dark = (gray(crops, size)[0] * 0.4).astype(np.uint8)
    return Image.fromarray(dark).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def _blocks(pixels: NDArray[Any], side: int) -> Image.Image:
    """Return a small picture (h, w, 3) enlarged without blur, in a square."""
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    scale = side / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    square = Image.new("RGB", (side, side), _PANEL)
    square.paste(image.resize(size, Image.Resampling.NEAREST), ((side - size[0]) // 2, (side - size[1]) // 2))
    return square


def _heat(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colours (..., 3) of values, from the least to the largest."""
    low, high = float(np.min(values)), float(np.max(values))
    place = (np.asarray(values, float) - low) / max(high - low, 1e-12) * (len(_HEAT) - 1)
    channels = [np.interp(place, np.arange(len(_HEAT)), _HEAT[:, k]) for k in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), np.uint8)


# --- one kind each ----------------------------------------------------------------------------------------


def _hog(feature: Hog, crops: Crops, side: int) -> Image.Image:
    """Draw in each cell the edges across its gradients, the brighter the stronger."""
    blocks = feature.blocks(crops)[0]  # (rows, columns, block, block, orientations)
    b, (rows, columns) = feature.block, blocks.shape[:2]
    total = np.zeros((rows + b - 1, columns + b - 1, feature.orientations))
    times = np.zeros(total.shape[:2])
    for i in range(b):
        for j in range(b):
            total[i : i + rows, j : j + columns] += blocks[:, :, i, j]
            times[i : i + rows, j : j + columns] += 1
    weights = total / times[..., None]
    weights /= max(weights.max(), 1e-12)
    scale = side * _FINE / feature.size
    image = _dimmed(crops, feature.size, side * _FINE)
    canvas = ImageDraw.Draw(image, "RGBA")
    angles = (np.arange(feature.orientations) + 0.5) * np.pi / feature.orientations
    radius = 0.48 * feature.cell * scale
    for row, column, k in np.argwhere(weights > 0.04).tolist():
        x, y = (column + 0.5) * feature.cell * scale, (row + 0.5) * feature.cell * scale
        dx, dy = radius * math.sin(angles[k]), -radius * math.cos(angles[k])
        ink = (*_WARM, round(255 * weights[row, column, k]))
        canvas.line((x - dx, y - dy, x + dx, y + dy), ink, width=2 * _FINE)
    return image.resize((side, side), Image.Resampling.BOX)


def _sift(feature: Sift, crops: Crops, side: int) -> Image.Image:
    """Draw all points, and the gradients of those descriptors that do not overlap."""
    points, found = feature.points(), feature.descriptors(crops)[0]
    scale, patch = side * _FINE / feature.size, min(feature.patch)
    image = _dimmed(crops, feature.size, side * _FINE)
    canvas = ImageDraw.Draw(image, "RGBA")
    for x, y, _ in points.tolist():
        px, py, r = (x + 0.5) * scale, (y + 0.5) * scale, 1.5 * _FINE
        canvas.ellipse((px - r, py - r, px + r, py + r), (*_COOL, 150))
    apart = _apart(np.unique(points[:, 0]), patch, feature.size)
    for (x, y, own), descriptor in zip(points.tolist(), found, strict=True):
        if own == patch and x in apart and y in apart:
            corner = (x + 0.5 - patch / 2) * scale, (y + 0.5 - patch / 2) * scale
            _star(canvas, descriptor.reshape(4, 4, DEPTH // 16), corner, patch * scale)
    return image.resize((side, side), Image.Resampling.BOX)


def _apart(places: NDArray[np.float32], patch: float, size: int) -> set[float]:
    """Return coordinates of points whose patches lie in the picture, side by side."""
    kept: list[float] = []
    for place in places.tolist():
        inside = patch / 2 <= place + 0.5 <= size - patch / 2
        if inside and (not kept or place - kept[-1] >= patch):
            kept.append(place)
    return set(kept or places.tolist()[len(places) // 2 : len(places) // 2 + 1])


def _star(
    canvas: ImageDraw.ImageDraw, bins: NDArray[np.float32], corner: tuple[float, float], side: float
) -> None:
    """Draw one descriptor (4, 4, 8): a square, and in each part rays along the gradients."""
    x0, y0 = corner
    canvas.rectangle((x0, y0, x0 + side, y0 + side), outline=(*_COOL, 200), width=_FINE)
    length = side / 8 / max(float(bins.max()), 1e-12) ** 0.5  # roots: what is weak can be seen
    for row, column, k in np.ndindex(bins.shape):
        x, y = x0 + (column + 0.5) * side / 4, y0 + (row + 0.5) * side / 4
        ray, angle = length * float(bins[row, column, k]) ** 0.5, k * math.pi / 4  # against the clock
        end = (x + ray * math.cos(angle), y - ray * math.sin(angle))
        canvas.line((x, y, *end), (*_WARM, 255), width=2 * _FINE)


def _lbp(feature: Lbp, crops: Crops, side: int) -> Image.Image:
    """Draw the codes: the hue says where the brighter neighbours are, brightness how many they are."""
    palette = np.empty((CODES, 3))
    palette[0], palette[CODES - 2], palette[CODES - 1] = _TEXT, _HEAT[0], (96, 100, 106)
    for code in range(1, CODES - 2):
        ones, turn = divmod(code - 1, 8)
        middle = ((8 - turn) % 8 + ones / 2) / 8  # of the run of brighter neighbours, in turns
        palette[code] = np.multiply(255, colorsys.hsv_to_rgb(middle % 1, 0.6, 1 - 0.09 * ones))
    return _blocks(palette[feature.codes(crops)[0]], side)


def _gabor(feature: Gabor, crops: Crops, side: int) -> Image.Image:
    """Draw a column for each direction; for each wavelength the filters, and below what they answer."""
    rows, columns = 2 * len(feature.wavelengths), feature.orientations
    room = side // max(rows, columns)
    left, top = (side - columns * room) // 2, (side - rows * room) // 2
    image = Image.new("RGB", (side, side), _PANEL)
    for k, found in enumerate(feature.magnitudes(crops)):
        row, column = divmod(k, columns)
        kernel = _framed(kernel_of(feature.wavelengths[row], column * np.pi / columns).real, feature.size)
        wave = np.rint(127.5 + 110 * kernel / np.abs(kernel).max()).astype(np.uint8)
        for below, tile in enumerate(
            (Image.fromarray(wave).convert("RGB"), Image.fromarray(_heat(found[0])))
        ):
            small = tile.resize((room - 2, room - 2), Image.Resampling.BICUBIC)
            image.paste(small, (left + column * room, top + (2 * row + below) * room))
    return image


def _framed(kernel: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the middle (size, size) of a filter, so that all are shown at the scale of the face."""
    rows, columns = (max(0, size - side) // 2 + 1 for side in kernel.shape)
    wide = np.pad(kernel, ((rows, rows), (columns, columns)))
    top, left = ((side - size) // 2 for side in wide.shape)
    return wide[top : top + size, left : left + size]


def _edges(feature: Edges, crops: Crops, side: int) -> Image.Image:
    """Draw the gradients' strength, and the edges on top."""
    strength, edges = feature.maps(crops)[0]
    colors = np.repeat((255 * strength / max(float(strength.max()), 1e-12))[..., None], 3, axis=2)
    colors[edges > 0] = _WARM
    return _blocks(colors, side)


def _color(feature: Color, crops: Crops, side: int) -> Image.Image:
    """Draw the histograms of the whole face, a row of bars for each channel."""
    level = feature.converted(crops).astype(np.intp) * feature.bins // 256
    names = {"hsv": ("hue", "saturation", "value"), "lab": ("L*", "a*", "b*"), "gray": ("gray",)}
    image = Image.new("RGB", (side, side), _PANEL)
    canvas = ImageDraw.Draw(image)
    high = side / feature.channels
    for channel, name in enumerate(names[feature.space]):
        shares = histograms(level[..., channel], feature.bins, 1).ravel()
        floor, room = (channel + 1) * high - 8, high - 36
        canvas.text((4, channel * high + 4), name, font=ImageFont.load_default(14), fill=_FAINT)
        for k, share in enumerate(shares.tolist()):
            x0, x1 = (round(side * place / feature.bins) for place in (k, k + 1))
            top = round(floor - max(2.0, room * share / float(shares.max())))
            canvas.rectangle(
                (x0 + 1, top, max(x0 + 1, x1 - 2), round(floor)), _hue(name, (k + 0.5) / feature.bins)
            )
    return image


def _hue(channel: str, place: float) -> Ink:
    """Return the colour of a bar: `place` is where in the channel's range it stands, 0..1."""
    ends = {"saturation": ((200, 200, 200), (235, 70, 60)), "a*": ((40, 170, 120), (225, 70, 130))}
    ends["b*"] = ((70, 110, 235), (240, 205, 60))
    if channel == "hue":
        r, g, b = (round(255 * value) for value in colorsys.hsv_to_rgb(place, 0.75, 0.95))
        return r, g, b
    first, last = ends.get(channel, ((60, 60, 60), (250, 250, 250)))
    r, g, b = (round(a + (z - a) * place) for a, z in zip(first, last, strict=True))
    return r, g, b


def _landmarks(feature: Landmarks, crops: Crops, side: int) -> Image.Image:
    """Draw the points and the lines that are measured; cool where the template stands in."""
    points, found = feature.points(crops)
    place = points[0] * side * _FINE
    image = Image.fromarray(np.rint(rgb(resize(crops, side * _FINE), side * _FINE)[0] * 0.6).astype(np.uint8))
    canvas = ImageDraw.Draw(image, "RGBA")
    ink = _WARM if found[0] else _COOL
    for first, second in ((0, 1), *PAIRS):
        canvas.line((*place[first], *place[second]), (*ink, 130), width=2 * _FINE)
    for x, y in place.tolist():
        canvas.ellipse(
            (x - 6 * _FINE, y - 6 * _FINE, x + 6 * _FINE, y + 6 * _FINE), (*ink, 255), (*_PANEL, 255)
        )
    return image.resize((side, side), Image.Resampling.BOX)


def _pixels(feature: Pixels, crops: Crops, side: int) -> Image.Image:
    """Draw the standardised levels, two and a half deviations either way."""
    levels = feature(crops).reshape(feature.size, feature.size)
    shades = np.clip(127.5 + 51 * levels, 0, 255)
    return _blocks(np.repeat(shades[..., None], 3, axis=2), side)


def _numbers(feature: Feature, crops: Crops, side: int) -> Image.Image:
    """Draw the numbers themselves, row by row in a square."""
    values = feature(crops)[0]
    edge = math.isqrt(len(values) - 1) + 1
    square = np.full(edge**2, values.min())
    square[: len(values)] = values
    return _blocks(_heat(square.reshape(edge, edge)), side)


_DRAWN: dict[type[Feature], Callable[[Any, Crops, int], Image.Image]] = {
    Hog: _hog,
    Lbp: _lbp,
    Sift: _sift,
    Gabor: _gabor,
    Edges: _edges,
    Color: _color,
    Landmarks: _landmarks,
    Pixels: _pixels,
}
