"""Bars that explain one face, and a table of how far definitions overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from pyfer.drawing import COLORS
from pyfer.emotions import NONE, UNCERTAIN, percent
from pyfer.errors import ArgumentError
from pyfer.maps.paper import (
    FAINT,
    GRAY,
    OTHER,
    PAD,
    PANEL,
    TEXT,
    TRACK,
    Color,
    Font,
    Picture,
    fitted,
    heat,
    letters,
    numbers,
    short,
    wrapped,
)

_MOST_NAMES = 100
_MOST_NOTES = 6  # lines
_MOST_ANSWERS = 8
_GUTTER = 24  # pixels between the parts of a panel


def explain_picture(
    crop: NDArray[np.uint8],
    basics: Mapping[str, float],
    posterior: Mapping[str, float],
    *,
    notes: Sequence[str] = (),
    colors: Mapping[str, Color] | None = None,
) -> Picture:
    """Draw one face with what was found in it: its basic emotions and the leading answers.

    Parameters
    ----------
    crop
        uint8 (h, w) or (h, w, 3).
    basics
        Basic emotion -> probability 0..1; drawn in the order given, so that faces can be compared.
    posterior
        Emotion of the vocabulary -> probability 0..1; the best eight are drawn, best first. What is no
        emotion (`pyfer.emotions.NONE` and `UNCERTAIN`) is gray.
    notes
        Sentences for below, wrapped to the width; at most six lines are shown.
    colors
        Name -> RGB of the bars, as `emotion_colors` gives; without them only basic emotions have their own.

    Returns
    -------
    picture
        RGB uint8 (h, w, 3).

    Raises
    ------
    ArgumentError
        `crop` is no such array, or a probability is none.
    """
    shape: tuple[int, ...] = getattr(crop, "shape", ())
    fits = len(shape) in (2, 3) and 0 not in shape and shape[2:] in ((), (3,))
    if getattr(crop, "dtype", None) != np.uint8 or not fits:
        raise ArgumentError(f"crop of shape {shape} must be uint8 (h, w) or (h, w, 3)")
    known = {**COLORS, **(colors or {}), NONE: GRAY, UNCERTAIN: GRAY}
    best = dict(sorted(posterior.items(), key=lambda item: -item[1])[:_MOST_ANSWERS])
    parts = (
        fitted(crop, 200),
        _table("basic emotions", basics, known, "happiness"),
        _table("best explanations", best, known, "disgustedly surprised"),
    )
    width = sum(part.width for part in parts) + 2 * PAD + 2 * _GUTTER
    font = letters(13)
    lines = wrapped([notes] if isinstance(notes, str) else notes, font, width - 2 * PAD, _MOST_NOTES)
    top = max(part.height for part in parts) + 2 * PAD
    image = Image.new("RGB", (width, top + (len(lines) * 19 + PAD - 4 if lines else 0)), PANEL)
    x = PAD
    for part in parts:
        image.paste(part, (x, PAD))
        x += part.width + _GUTTER
    canvas = ImageDraw.Draw(image)
    for k, text in enumerate(lines):
        canvas.text((PAD, top + k * 19 - 4), text, font=font, fill=FAINT)
    return np.array(image)


def stack(pictures: Sequence[Picture]) -> Picture:
    """Return pictures (h, w, 3) below each other, as wide as the widest: RGB uint8.

    Raises
    ------
    ArgumentError
        There is no picture, or one is no uint8 (h, w, 3).
    """
    for k, picture in enumerate(pictures):
        shape: tuple[int, ...] = getattr(picture, "shape", ())
        if getattr(picture, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise ArgumentError(f"pictures[{k}] of shape {shape} must be uint8 (h, w, 3)")
    if not len(pictures):
        raise ArgumentError("pictures=[] must hold at least one picture")
    width = max(picture.shape[1] for picture in pictures)
    sheet = np.empty((sum(len(picture) for picture in pictures), width, 3), np.uint8)
    sheet[:] = PANEL
    top = 0
    for picture in pictures:
        sheet[top : top + len(picture), : picture.shape[1]] = picture
        top += len(picture)
    return sheet


def _table(head: str, rows: Mapping[str, float], colors: Mapping[str, Color], usual: str) -> Image.Image:
    """Return bars with names before and percentages behind them.

    The names get as much room as a `usual` long one needs, so that panels of several faces are alike.
    """
    for name, p in rows.items():
        if not 0 <= p <= 1:
            raise ArgumentError(f"{head}: {name}={p!r} must be a probability, 0..1")
    font, bar, row = letters(14), 150, 24
    texts = [short(name, font, 260) for name in rows]
    names = math.ceil(max(font.getlength(text) for text in [usual, *texts])) + 10
    image = Image.new("RGB", (names + bar + 48, 24 + row * len(rows)), PANEL)
    canvas = ImageDraw.Draw(image)
    canvas.text((0, 8), head, font=letters(12), fill=GRAY, anchor="lm")
    best = max(rows.values(), default=0)
    for k, (text, (name, p)) in enumerate(zip(texts, rows.items(), strict=True)):
        y = 24 + row * k + row // 2
        fill = TEXT if p == best else FAINT
        canvas.text((0, y), text, font=font, fill=fill, anchor="lm")
        canvas.rectangle((names, y - 6, names + bar - 1, y + 6), fill=TRACK)
        if p > 0:
            end = names + max(1, round(bar * p)) - 1
            canvas.rectangle((names, y - 6, end, y + 6), fill=colors.get(name, OTHER))
        canvas.text((names + bar + 8, y), percent(p), font=font, fill=fill, anchor="lm")
    return image


def separability_chart(names: Sequence[str], overlap: ArrayLike) -> Picture:
    """Draw how far definitions overlap, as a triangle of coloured cells.

    Parameters
    ----------
    names
        k definitions, 2..100; letters and numbers are easy to read up to 40.
    overlap
        (k, k) with 0 (always told apart) .. 1 (the same); what lies below the diagonal is drawn.

    Returns
    -------
    picture
        RGB uint8 (h, w, 3). Rows have their names at the left, columns at their top.

    Raises
    ------
    ArgumentError
        The shape does not fit, or a number is not in 0..1.
    """
    k = len(names)
    values = numbers("overlap", overlap)
    if not 2 <= k <= _MOST_NAMES or values.shape != (k, k):
        raise ArgumentError(
            f"overlap of shape {values.shape} with {k} names must be (k, k), 2..{_MOST_NAMES} names"
        )
    low = np.tril_indices(k, -1)
    if not ((values[low] >= 0) & (values[low] <= 1)).all():
        raise ArgumentError("overlap must have numbers in 0..1 below its diagonal")
    cell = max(14, min(60, 840 // k))
    font = letters(max(11, min(15, cell * 0.55)))
    words = [short(name, font, 240) for name in names]
    longest = np.array([font.getlength(word) for word in words])
    slant = longest * math.sqrt(0.5) + 14  # a name at 45 degrees
    left = math.ceil(longest[1:].max()) + 2 * PAD
    reach = np.arange(k - 1) * cell
    top = math.ceil(max((slant[:-1] - reach).max(), 0)) + PAD
    width = math.ceil(max((left + reach + cell / 2 + slant[:-1]).max(), left + 300)) + PAD
    image = Image.new("RGB", (width, top + (k - 1) * cell + 64), PANEL)
    canvas = ImageDraw.Draw(image)
    for row, column in zip(*(indices.tolist() for indices in low), strict=True):
        _cell(canvas, (left + column * cell, top + (row - 1) * cell), cell, float(values[row, column]))
    for i, word in enumerate(words):
        if i:
            canvas.text((left - 8, top + (i - 0.5) * cell), word, font=font, fill=TEXT, anchor="rm")
        if i < k - 1:
            _slanted(image, (left + (i + 0.5) * cell, top + i * cell - 6), word, font)
    _scale(canvas, left, top + (k - 1) * cell + 20)
    return np.array(image)


def _cell(canvas: ImageDraw.ImageDraw, place: tuple[int, int], side: int, value: float) -> None:
    x, y = place
    canvas.rectangle((x, y, x + side - 2, y + side - 2), fill=heat(value))
    font = letters(max(10, min(15, side * 0.36)))
    text = {"0.00": "0", "1.00": "1"}.get(f"{value:.2f}", f"{value:.2f}"[1:])
    if font.getlength(text) <= side - 3:
        fill = PANEL if value > 0.6 else TEXT if value >= 0.05 else GRAY
        canvas.text((x + side / 2 - 1, y + side / 2 - 1), text, font=font, fill=fill, anchor="mm")


def _slanted(image: Image.Image, place: tuple[float, float], text: str, font: Font) -> None:
    """Write a text that rises to the right from `place`."""
    width, height = math.ceil(font.getlength(text)), 20
    mask = Image.new("L", (2 * width, height))
    ImageDraw.Draw(mask).text((width, height / 2), text, font=font, fill=255, anchor="lm")
    mask = mask.rotate(45, Image.Resampling.BICUBIC, expand=True)  # its middle is where the text begins
    corner = (round(place[0] - mask.width / 2), round(place[1] - mask.height / 2))
    image.paste(TEXT, corner, mask)


def _scale(canvas: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """Draw what the colours mean."""
    font = letters(12)
    for k in range(200):
        canvas.line((x + k, y, x + k, y + 9), fill=heat(k / 199))
    for value in (0, 0.5, 1):
        canvas.text((x + 200 * value, y + 13), f"{value:g}", font=font, fill=FAINT, anchor="mt")
    canvas.text((x + 212, y + 5), "overlap", font=font, fill=FAINT, anchor="lm")
