"""Many small line charts side by side, all with one scale: accuracy against how bad the faces are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pyfer.errors import ArgumentError
from pyfer.maps.paper import FAINT, PAD, PANEL, TEXT, TRACK, Color, Picture, letters, short
from pyfer.maps.plots import INKS, WIDTH, Estimate

COLUMNS = 4
_HIGH, _ROOM = 150, 62  # pixels: of a panel's field, and around it for title and numbers
_LEFT = 40  # pixels for the numbers at the left of a panel
_HEAD, _BAND = 74, 34  # pixels: title and legend, the heading of a group
_FINE = 2  # drawn so many times larger and averaged: smooth edges
_STEP = 20  # per cent between lines


@dataclass(frozen=True)
class Panel:
    """One small chart."""

    title: str
    ticks: tuple[str, ...]
    """p words below the axis."""
    lines: Mapping[str, Sequence[Estimate]]
    """Series -> p estimates (value, low, high) in per cent."""

    def __post_init__(self) -> None:
        for name, line in self.lines.items():
            if len(line) != len(self.ticks):
                raise ArgumentError(f"lines[{name!r}] has {len(line)} points for {len(self.ticks)} ticks")


def panels(groups: Mapping[str, Sequence[Panel]], title: str = "") -> Picture:
    """Draw small charts, `COLUMNS` in a row, under a heading for each group.

    Parameters
    ----------
    groups
        Heading -> charts, one or more; all are drawn on 0..100 per cent. A series has one colour in all.
    title
        A line at the top.

    Returns
    -------
    picture
        RGB uint8 (h, 1200, 3).

    Raises
    ------
    ArgumentError
        There is nothing to draw, or there are more series than colours.
    """
    names = list(dict.fromkeys(name for some in groups.values() for each in some for name in each.lines))
    if not 1 <= len(names) <= len(INKS):
        raise ArgumentError(f"series={names} must be 1..{len(INKS)} series")
    inks = dict(zip(names, INKS, strict=False))
    rows = {heading: -(-len(some) // COLUMNS) for heading, some in groups.items()}
    height = _HEAD + sum(_BAND + count * (_HIGH + _ROOM) for count in rows.values()) + PAD
    image = Image.new("RGB", (WIDTH * _FINE, height * _FINE), PANEL)
    canvas = ImageDraw.Draw(image)
    _text(canvas, (PAD, PAD + 10), title, 20, "lm")
    x = float(PAD)
    for name, ink in inks.items():
        _box(canvas, (x, PAD + 34, x + 18, PAD + 46), ink)
        _text(canvas, (x + 26, PAD + 40), name, 16, "lm")
        x += 52 + letters(16).getlength(name)
    top = float(_HEAD)
    for heading, some in groups.items():
        _text(canvas, (PAD, top + _BAND / 2), heading, 18, "lm")
        for k, each in enumerate(some):
            row, column = divmod(k, COLUMNS)
            wide = (WIDTH - 2 * PAD) / COLUMNS
            corner = (PAD + column * wide + _LEFT, top + _BAND + row * (_HIGH + _ROOM) + 26)
            _panel(canvas, each, corner, wide - _LEFT - 12, inks)
        top += _BAND + rows[heading] * (_HIGH + _ROOM)
    return np.array(image.resize((WIDTH, height), Image.Resampling.BOX))


def _panel(
    canvas: ImageDraw.ImageDraw,
    panel: Panel,
    corner: tuple[float, float],
    wide: float,
    inks: Mapping[str, Color],
) -> None:
    x0, y0 = corner
    _text(canvas, (x0, y0 - 13), short(panel.title, letters(15), wide), 15, "lm")
    for level in range(0, 101, _STEP):
        y = y0 + _HIGH * (1 - level / 100)
        _line(canvas, [(x0, y), (x0 + wide, y)], TRACK)
        if level % (2 * _STEP) == 0:
            _text(canvas, (x0 - 6, y), str(level), 13, "rm", FAINT)
    place = [x0 + wide * (k + 0.5) / len(panel.ticks) for k in range(len(panel.ticks))]
    for x, tick in zip(place, panel.ticks, strict=True):
        _text(canvas, (x, y0 + _HIGH + 12), tick, 13, "mm", FAINT)
    for number, (name, line) in enumerate(panel.lines.items()):
        spots = [x + 4 * (number - (len(panel.lines) - 1) / 2) for x in place]
        _line(
            canvas, [(x, y0 + _HIGH * (1 - e[0] / 100)) for x, e in zip(spots, line, strict=True)], inks[name]
        )
        for x, (value, low, high) in zip(spots, line, strict=True):
            _line(canvas, [(x, y0 + _HIGH * (1 - end / 100)) for end in (low, high)], inks[name])
            y = y0 + _HIGH * (1 - value / 100)
            _box(canvas, (x - 3, y - 3, x + 3, y + 3), inks[name])


def _line(canvas: ImageDraw.ImageDraw, spots: Sequence[tuple[float, float]], ink: Color) -> None:
    canvas.line([(x * _FINE, y * _FINE) for x, y in spots], ink, 2 * _FINE)


def _box(canvas: ImageDraw.ImageDraw, corners: tuple[float, float, float, float], ink: Color) -> None:
    x0, y0, x1, y1 = (x * _FINE for x in corners)
    canvas.rectangle((x0, y0, x1, y1), ink)


def _text(
    canvas: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    anchor: str,
    ink: Color = TEXT,
) -> None:
    at = (place[0] * _FINE, place[1] * _FINE)
    canvas.text(at, text, font=letters(size * _FINE), fill=ink, anchor=anchor)
