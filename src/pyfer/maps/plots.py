"""Plain charts with intervals: bars by name, lines by size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pyfer.errors import ArgumentError
from pyfer.maps.paper import FAINT, GRAY, PAD, PANEL, TEXT, TRACK, Color, Picture, letters, short

Estimate = tuple[float, float, float]
"""Value, low and high end of its interval."""

WIDTH = 1200
INKS: tuple[Color, ...] = (
    *((94, 156, 255), (255, 138, 48), (124, 196, 92), (181, 126, 240)),
    *((244, 81, 81), (64, 196, 190), (255, 202, 40), (189, 189, 189)),
)
"""Colours of the series, in this order; a legend names them."""
_FINE = 2  # drawn so many times larger and averaged: smooth edges
_BAR, _GAP = 13, 12  # pixels: a bar, and between groups of bars
_NAMES = 330  # pixels that names may take
_VALUE = 56  # pixels for a number beside its bar
_HEIGHT = 640  # pixels of a line chart
_TICKS = 6  # about so many numbers along an axis


def bar_chart(
    names: Sequence[str],
    series: Mapping[str, Sequence[Estimate | None]],
    *,
    title: str = "",
    unit: str = "",
    marks: Mapping[str, float] | None = None,
) -> Picture:
    """Draw a group of horizontal bars for each name, a bar a series, with intervals.

    Parameters
    ----------
    names
        g groups, from the top.
    series
        Name -> g estimates (value, low, high), None where there is none; 1..8 series. Bars begin at 0, so
        differences may point to either side.
    title
        A line at the top.
    unit
        What the numbers are in, below the axis.
    marks
        Name -> value: dashed lines to compare with, such as another method. One that is named as a series
        has its colour.

    Returns
    -------
    picture
        RGB uint8 (h, 1200, 3).

    Raises
    ------
    ArgumentError
        There is nothing to draw, a series has another length, or a number is none.
    """
    for name, values in series.items():
        if len(values) != len(names):
            raise ArgumentError(f"series[{name!r}] has {len(values)} values for {len(names)} names")
    marks = marks or {}
    known = [each for values in series.values() for each in values if each is not None]
    _check(series, known)
    font = letters(16)
    words = [short(name, font, _NAMES) for name in names]
    left = PAD + math.ceil(max(font.getlength(word) for word in words)) + 12
    group = _BAR * len(series) + _GAP
    top = _head(title) + _GAP
    height = top + group * len(names) + 62
    ends = [0.0, *(x for each in known for x in each), *marks.values()]
    axis = _Axis.over(min(ends), max(ends), (left, WIDTH - PAD - _VALUE))
    sheet = _Sheet(WIDTH, height)
    _grid(sheet, axis, (top - 4, height - 54), unit)
    inks = dict(zip(series, INKS, strict=False))
    for row, word in enumerate(words):
        middle = top + row * group + (group - _GAP) / 2
        sheet.text((left - 10, middle), word, 16, TEXT, "rm")
        for k, (name, values) in enumerate(series.items()):
            if (each := values[row]) is not None:
                _bar(sheet, axis, top + row * group + k * _BAR, each, inks[name])
    for name, value in marks.items():
        sheet.dashed((axis(value), top - 4), (axis(value), height - 54), inks.get(name, FAINT))
    sheet.head(title, _legend(inks, marks))
    return sheet.picture()


def line_chart(
    series: Mapping[str, Sequence[tuple[float, Estimate]]],
    *,
    title: str = "",
    x_name: str = "",
    y_name: str = "",
    log: bool = False,
    marks: Mapping[str, float] | None = None,
) -> Picture:
    """Draw a line for each series, with an interval at each of its points.

    Parameters
    ----------
    series
        Name -> points (x, (value, low, high)), 1..8 series; drawn from the smallest x to the largest.
    title, x_name, y_name
        What it is; what goes to the right, and up.
    log
        Whether the same factor is the same way along x; then x must be above 0.
    marks
        Name -> value: dashed lines across.

    Returns
    -------
    picture
        RGB uint8 (640, 1200, 3).

    Raises
    ------
    ArgumentError
        There is nothing to draw, or a number is none, or not above 0 where `log` needs it.
    """
    marks = marks or {}
    known = [each for points in series.values() for _, each in points]
    _check(series, known)
    places = sorted({x for points in series.values() for x, _ in points})
    if not np.isfinite(places).all() or (log and places[0] <= 0):
        raise ArgumentError(f"x={places[0]!r} must be a finite number{' above 0' if log else ''}")
    ends = [*(x for each in known for x in each), *marks.values()]
    top, bottom = _head(title) + (38 if y_name else 16), _HEIGHT - 66
    up = _Axis.over(min(ends), max(ends), (bottom, top))
    scale = np.log if log else np.asarray
    low, high = float(scale(places[0])), float(scale(places[-1]))
    spare = (high - low) * 0.04 or 1.0
    right = _Axis(low - spare, high + spare, (PAD + 58, WIDTH - PAD), ())
    sheet = _Sheet(WIDTH, _HEIGHT)
    for value in up.ticks:
        sheet.line((right.span[0], up(value)), (right.span[1], up(value)), TRACK)
        sheet.text((right.span[0] - 8, up(value)), f"{value:g}", 15, FAINT, "rm")
    _places(sheet, places, lambda x: right(float(scale(x))), bottom)
    inks = dict(zip(series, INKS, strict=False))
    for name, value in marks.items():
        sheet.dashed((right.span[0], up(value)), (right.span[1], up(value)), inks.get(name, FAINT))
    for k, (name, points) in enumerate(series.items()):
        shift = 5 * (k - (len(series) - 1) / 2)  # so that intervals at one place stand side by side
        spots = [(right(float(scale(x))) + shift, each) for x, each in sorted(points)]
        _line(sheet, up, spots, inks[name])
    sheet.text(((right.span[0] + right.span[1]) / 2, _HEIGHT - 18), x_name, 16, FAINT, "mm")
    sheet.text((PAD, top - 12), y_name, 15, FAINT, "lb")
    sheet.head(title, _legend(inks, marks))
    return sheet.picture()


def _check(series: Mapping[str, object], known: Sequence[Estimate]) -> None:
    if not known or not 1 <= len(series) <= len(INKS):
        raise ArgumentError(f"series={list(series)} must be 1..{len(INKS)} series with a number to draw")
    if not all(len(each) == 3 and np.isfinite(each).all() for each in known):
        raise ArgumentError("series must hold estimates of three finite numbers: value, low, high")


def _head(title: str) -> int:
    """Return the height of title and legend."""
    return PAD + (30 if title else 0) + 30


def _legend(inks: Mapping[str, Color], marks: Mapping[str, float]) -> list[tuple[str, Color, bool]]:
    """Return names, colours, and whether it is a dashed line."""
    lines = [(name, inks.get(name, FAINT), True) for name in marks if name not in inks]
    return [*((name, ink, False) for name, ink in inks.items()), *lines]


@dataclass(frozen=True)
class _Axis:
    """Numbers along a line of pixels."""

    low: float
    high: float
    span: tuple[float, float]
    """Pixels of `low` and `high`."""
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, low: float, high: float, span: tuple[float, float]) -> _Axis:
        """Return an axis of round numbers that has both."""
        wide = max(high - low, 1e-9)
        step = 10.0 ** math.floor(math.log10(wide / _TICKS))
        step *= next(k for k in (1, 2, 5, 10) if wide / (step * k) <= _TICKS)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = tuple(round(k * step, 10) for k in range(first, last + 1))
        return cls(ticks[0], ticks[-1] if len(ticks) > 1 else ticks[0] + step, span, ticks)

    def __call__(self, value: float) -> float:
        return self.span[0] + (value - self.low) / (self.high - self.low) * (self.span[1] - self.span[0])


class _Sheet:
    """A picture that is drawn larger than it will be; all places are in final pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.image = Image.new("RGB", (width * _FINE, height * _FINE), PANEL)
        self.canvas = ImageDraw.Draw(self.image)
        self.texts: list[tuple[tuple[float, float], str, int, Color, str]] = []

    def line(self, start: tuple[float, float], end: tuple[float, float], ink: Color, width: int = 1) -> None:
        places = [round(x * _FINE) for x in (*start, *end)]
        self.canvas.line(places, ink, width * _FINE)

    def dashed(self, start: tuple[float, float], end: tuple[float, float], ink: Color) -> None:
        length = math.dist(start, end)
        for at in range(0, int(length), 12):
            parts = [at / length, min(at + 7, length) / length]
            a, b = ((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in parts)
            self.line(a, b, ink, 2)

    def box(self, corners: tuple[float, float, float, float], ink: Color) -> None:
        x0, y0, x1, y1 = corners
        places = [round(x * _FINE) for x in (min(x0, x1), y0, max(x0, x1), y1)]
        self.canvas.rectangle(places, ink)

    def dot(self, place: tuple[float, float], ink: Color) -> None:
        x, y = (each * _FINE for each in place)
        self.canvas.ellipse((x - 5 * _FINE, y - 5 * _FINE, x + 5 * _FINE, y + 5 * _FINE), ink)

    def text(self, place: tuple[float, float], text: str, size: int, ink: Color, anchor: str) -> None:
        self.texts.append((place, text, size, ink, anchor))

    def head(self, title: str, legend: Sequence[tuple[str, Color, bool]]) -> None:
        """Write the title, and the legend below it."""
        if title:
            self.text((PAD, PAD + 12), short(title, letters(20), self.size[0] - 2 * PAD), 20, TEXT, "lm")
        x, y = float(PAD), PAD + (30 if title else 0) + 14.0
        room = (self.size[0] - 2 * PAD) / len(legend) - 52
        for name, ink, dashed in legend:
            if dashed:
                self.dashed((x, y), (x + 20, y), ink)
            else:
                self.box((x, y - 6, x + 18, y + 6), ink)
            word = short(name, letters(16), room)
            self.text((x + 26, y), word, 16, TEXT, "lm")
            x += 52 + letters(16).getlength(word)

    def picture(self) -> Picture:
        """Return it at its size, letters on top."""
        image = self.image.resize(self.size, Image.Resampling.BOX)
        canvas = ImageDraw.Draw(image)
        for place, text, size, ink, anchor in self.texts:
            canvas.text(place, text, font=letters(size), fill=ink, anchor=anchor)
        return np.array(image)


def _grid(sheet: _Sheet, axis: _Axis, rows: tuple[float, float], unit: str) -> None:
    for value in axis.ticks:
        sheet.line((axis(value), rows[0]), (axis(value), rows[1]), GRAY if value == 0 else TRACK)
        sheet.text((axis(value), rows[1] + 16), f"{value:g}", 15, FAINT, "mm")
    sheet.text(((axis.span[0] + axis.span[1]) / 2, rows[1] + 38), unit, 15, FAINT, "mm")


def _bar(sheet: _Sheet, axis: _Axis, y: float, each: Estimate, ink: Color) -> None:
    value, low, high = each
    middle = y + _BAR / 2 - 1
    sheet.box((axis(0), y, axis(value), y + _BAR - 3), ink)
    sheet.line((axis(low), middle), (axis(high), middle), TEXT, 2)
    for end in (low, high):
        sheet.line((axis(end), middle - 4), (axis(end), middle + 4), TEXT, 2)
    sheet.text((max(axis(max(low, value, high)), axis(0)) + 7, middle), f"{value:.1f}", 13, TEXT, "lm")


def _line(sheet: _Sheet, up: _Axis, spots: Sequence[tuple[float, Estimate]], ink: Color) -> None:
    places = [(x, up(each[0])) for x, each in spots]
    for start, end in itertools.pairwise(places):
        sheet.line(start, end, ink, 2)
    for (x, (_, low, high)), place in zip(spots, places, strict=True):
        sheet.line((x, up(low)), (x, up(high)), ink, 2)
        for tip in (low, high):
            sheet.line((x - 5, up(tip)), (x + 5, up(tip)), ink, 2)
        sheet.dot(place, ink)


def _places(sheet: _Sheet, places: Sequence[float], at: Callable[[float], float], bottom: float) -> None:
    """Write the numbers along x; one that would touch the number before it is left out."""
    font, free = letters(15), -math.inf
    for x in places:
        text = f"{x:,g}" if abs(x) < 1e6 else f"{x:.3g}"
        half = font.getlength(text) / 2
        sheet.line((at(x), bottom), (at(x), bottom + 6), GRAY)
        if at(x) - half > free:
            sheet.text((at(x), bottom + 18), text, 15, FAINT, "mm")
            free = at(x) + half + 8
