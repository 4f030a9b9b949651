"""Every subset of some classes as a dot: how many classes against how well they are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from pyfer.drawing import COLORS
from pyfer.emotions import percent
from pyfer.errors import ArgumentError
from pyfer.maps.paper import (
    FAINT,
    GRAY,
    OTHER,
    PANEL,
    TEXT,
    TRACK,
    Color,
    Numbers,
    Picture,
    heat,
    letters,
    numbers,
    short,
)

# All lengths are in pixels of a canvas twice as large as the picture: shrinking it makes edges smooth.
_WIDTH = 2400
_PAD = 36
_LEFT = 230  # names of the classes, numbers of the axis
_PLOT = 1500  # right end of the plot
_TOP = 120
_FLOOR = 900  # bottom of the plot
_ROW = 46  # a class in the table below it
_DOT = 7  # radius
_LEAST_SPAN = 0.1
_NAMES = 200
_BAD: Color = (238, 130, 84)
_GOOD: Color = OTHER
_MOST_PAIRS = 6
_MOST_LABELS = 12


@dataclass(frozen=True, eq=False)
class _Dots:
    """What is drawn."""

    labels: tuple[str, ...]
    members: NDArray[np.bool_]
    score: Numbers
    at_least: float
    low: float
    """Score at the bottom of the plot."""

    @cached_property
    def size(self) -> NDArray[np.int64]:
        return np.asarray(self.members.sum(1), np.int64)

    @cached_property
    def sizes(self) -> list[int]:
        return sorted(set(self.size.tolist()))

    def rows(self, size: int) -> NDArray[np.int64]:
        """Return the subsets of a size, best first."""
        rows = np.flatnonzero(self.size == size)
        return rows[np.argsort(-self.score[rows], kind="stable")]

    def y(self, score: float) -> float:
        return _FLOOR - (score - self.low) / (1 - self.low) * (_FLOOR - _TOP)

    def x(self, size: int) -> float:
        """Return the middle of a size's column."""
        return _LEFT + (self.sizes.index(size) + 0.5) * self.column

    @property
    def column(self) -> float:
        return (_PLOT - _LEFT) / len(self.sizes)


def subset_chart(
    labels: Sequence[str],
    members: NDArray[np.bool_],
    score: ArrayLike,
    pairs: ArrayLike,
    *,
    at_least: float = 0.95,
    title: str = "",
) -> Picture:
    """Draw how well every subset of some classes is told apart.

    Parameters
    ----------
    labels
        c class names, 2..12.
    members
        (m, c) which classes each subset has.
    score
        (m,) how well these are told apart, 0..1.
    pairs
        (c, c) the same for each two classes; what lies below the diagonal is drawn, NaN is left out.
    at_least
        Where the line of the score that is wanted lies, 0..1.
    title
        One line.

    Returns
    -------
    picture
        RGB uint8 (h, 1200, 3). Left, a dot a subset, with the mean of each size; below it, which classes the
        best and the worst have. Right, the pairs: the brighter, the harder.

    Raises
    ------
    ArgumentError
        The shapes do not fit, or a score is not in 0..1.
    """
    dots = _checked(labels, members, score, at_least)
    apart = numbers("pairs", pairs)
    c = len(labels)
    low = np.tril_indices(c, -1)
    if apart.shape != (c, c) or not ((apart[low] >= 0) & (apart[low] <= 1) | np.isnan(apart[low])).all():
        raise ArgumentError(f"pairs of shape {apart.shape} must be ({c}, {c}) with numbers in 0..1 or NaN")
    height = max(_FLOOR + 110 + c * _ROW + 80, 1300)
    image = Image.new("RGB", (_WIDTH, height), PANEL)
    canvas = ImageDraw.Draw(image)
    canvas.text((_PAD, 34), short(title, letters(34), _WIDTH - 2 * _PAD), font=letters(34), fill=TEXT)
    _axes(canvas, dots)
    for size in dots.sizes:
        _column(canvas, dots, size)
    _means(canvas, dots)
    _extremes(canvas, dots)
    _triangle(canvas, dots.labels, apart)
    _hardest(canvas, dots.labels, apart)
    return np.array(image.resize((_WIDTH // 2, height // 2), Image.Resampling.LANCZOS))


def _checked(labels: Sequence[str], members: NDArray[np.bool_], score: ArrayLike, at_least: float) -> _Dots:
    values, masks = numbers("score", score), np.asarray(members, bool)
    c = len(labels)
    if not 2 <= c <= _MOST_LABELS or masks.ndim != 2 or masks.shape[1] != c or not len(masks):
        raise ArgumentError(
            f"members of shape {masks.shape} with {c} labels must be (m, c), 2..{_MOST_LABELS} labels"
        )
    if values.shape != (len(masks),) or not ((values >= 0) & (values <= 1)).all():
        raise ArgumentError(f"score of shape {values.shape} must be ({len(masks)},) numbers in 0..1")
    if not 0 < at_least <= 1:
        raise ArgumentError(f"at_least={at_least!r} must be a share, above 0 and at most 1")
    least = min(float(values.min()) - 0.02, at_least - 0.02, 1 - _LEAST_SPAN)
    return _Dots(tuple(labels), masks, values, at_least, max(0.0, np.floor(least * 20) / 20))


# --- the plot ---------------------------------------------------------------------------------------------


def _axes(canvas: ImageDraw.ImageDraw, dots: _Dots) -> None:
    step = 0.05 if dots.low >= 0.5 else 0.1
    for value in np.arange(np.ceil(dots.low / step - 1e-9) * step, 1 + 1e-9, step).tolist():
        y = dots.y(value)
        canvas.line((_LEFT, y, _PLOT, y), fill=TRACK, width=2)
        if abs(y - dots.y(dots.at_least)) > 20:
            canvas.text((_LEFT - 16, y), f"{value:.0%}", font=letters(24), fill=GRAY, anchor="rm")
    y = dots.y(dots.at_least)
    for x in range(_LEFT, _PLOT, 20):
        canvas.line((x, y, min(x + 11, _PLOT), y), fill=_GOOD, width=3)
    canvas.text((_LEFT - 16, y), f"{100 * dots.at_least:g}%", font=letters(26), fill=_GOOD, anchor="rm")


def _column(canvas: ImageDraw.ImageDraw, dots: _Dots, size: int) -> None:
    """Draw the subsets of one size, those of about the same score beside each other."""
    rows = dots.rows(size)
    height = np.array([dots.y(value) for value in dots.score[rows].tolist()])
    level = np.round(height / (2 * _DOT + 1)).astype(int)
    room = dots.column - 4 * _DOT
    for each in np.unique(level):
        here = rows[level == each]
        step = min(2 * _DOT + 2, room / len(here))
        for k, row in enumerate(here.tolist()):
            # the first in the middle, the next ones left and right of it
            side = (k + 1) // 2 * (1 if k % 2 else -1)
            reached = dots.score[row] >= dots.at_least
            _dot(
                canvas, dots.x(size) + side * step, dots.y(float(dots.score[row])), _GOOD if reached else GRAY
            )
    label = f"{size} classes"
    canvas.text((dots.x(size), _FLOOR + 24), label, font=letters(26), fill=FAINT, anchor="mt")


def _dot(
    canvas: ImageDraw.ImageDraw, x: float, y: float, fill: Color | None, ring: Color | None = None
) -> None:
    radius = _DOT if ring is None else _DOT + 3
    box = (x - radius, y - radius, x + radius, y + radius)
    canvas.ellipse(box, fill=fill or PANEL, outline=ring, width=4 if ring else 0)


def _means(canvas: ImageDraw.ImageDraw, dots: _Dots) -> None:
    """Draw a line through the means of the sizes, and the scores of the best and the worst."""
    spots = [(dots.x(size), dots.y(float(dots.score[dots.rows(size)].mean()))) for size in dots.sizes]
    canvas.line(spots, fill=TEXT, width=3)
    for x, y in spots:
        canvas.rectangle((x - 20, y - 3, x + 20, y + 3), fill=TEXT)
    canvas.text((spots[-1][0] + 28, spots[-1][1]), "mean", font=letters(22), fill=TEXT, anchor="lm")
    for size in dots.sizes:
        rows = dots.rows(size)
        best, worst = float(dots.score[rows[0]]), float(dots.score[rows[-1]])
        spot = (dots.x(size), dots.y(best) - 14)
        canvas.text(spot, f"{100 * best:.1f}", font=letters(24), fill=_GOOD, anchor="mb")
        if len(rows) > 1:
            spot = (dots.x(size), dots.y(worst) + 14)
            canvas.text(spot, f"{100 * worst:.1f}", font=letters(24), fill=_BAD, anchor="mt")


def _extremes(canvas: ImageDraw.ImageDraw, dots: _Dots) -> None:
    """Draw below the plot which classes the best and the worst subset of each size have."""
    top = _FLOOR + 120
    font = letters(26)
    for k, name in enumerate(dots.labels):
        y = top + k * _ROW
        fill = COLORS.get(name, OTHER)
        canvas.text((_LEFT - 16, y), short(name, font, _NAMES), font=font, fill=fill, anchor="rm")
        canvas.line((_LEFT, y, _PLOT, y), fill=TRACK, width=2)
    bottom = top + len(dots.labels) * _ROW
    for size in dots.sizes:
        rows = dots.rows(size)
        for row, shift, word, color in ((rows[0], -1, "best", _GOOD), (rows[-1], 1, "worst", _BAD))[
            : len(rows)
        ]:
            x = dots.x(size) + (shift * min(34, dots.column / 4) if len(rows) > 1 else 0)
            inside = np.flatnonzero(dots.members[row])
            canvas.line((x, top + inside[0] * _ROW, x, top + inside[-1] * _ROW), fill=color, width=4)
            for k in inside.tolist():
                fill = COLORS.get(dots.labels[k], OTHER)
                canvas.ellipse((x - 12, top + k * _ROW - 12, x + 12, top + k * _ROW + 12), fill=fill)
            canvas.text((x, bottom), word, font=letters(22), fill=color, anchor="mm")


# --- the pairs --------------------------------------------------------------------------------------------

_CORNER = (1790, 190)
_CELL_ROOM = 560


def _triangle(canvas: ImageDraw.ImageDraw, labels: tuple[str, ...], apart: Numbers) -> None:
    """Draw the pairs as a triangle, the name of each column at its top end."""
    cell = min(90, _CELL_ROOM // (len(labels) - 1))
    x0, y0 = _CORNER
    font = letters(26)
    words = "each pair alone, in %: the brighter, the harder"
    canvas.text((_PLOT + 90, y0 - cell / 2 - 42), words, font=letters(26), fill=FAINT, anchor="lm")
    worst = max(0.1, 1 - float(np.nanmin(apart[np.tril_indices(len(labels), -1)], initial=1)))
    for i, name in enumerate(labels):
        fill = COLORS.get(name, OTHER)
        word = short(name, font, _NAMES)
        if i:
            canvas.text((x0 - 14, y0 + (i - 0.5) * cell), word, font=font, fill=fill, anchor="rm")
        if i < len(labels) - 1:
            spot = (x0 + i * cell + (8 if i else 0), y0 + (i - 0.5) * cell)
            canvas.text(spot, word, font=font, fill=fill, anchor="lm")
        for j in range(i):
            x, y = x0 + j * cell, y0 + (i - 1) * cell
            if np.isnan(apart[i, j]):
                canvas.rectangle((x, y, x + cell - 4, y + cell - 4), outline=TRACK, width=2)
                continue
            share = (1 - float(apart[i, j])) / worst
            canvas.rectangle((x, y, x + cell - 4, y + cell - 4), fill=heat(share))
            text = percent(float(apart[i, j])).rstrip("%")
            ink = PANEL if share > 0.6 else TEXT
            canvas.text(
                (x + cell / 2 - 2, y + cell / 2 - 2), text, font=letters(cell * 0.36), fill=ink, anchor="mm"
            )


def _hardest(canvas: ImageDraw.ImageDraw, labels: tuple[str, ...], apart: Numbers) -> None:
    """List the hardest pairs, with bars for what goes wrong."""
    rows, columns = np.tril_indices(len(labels), -1)
    known = ~np.isnan(apart[rows, columns])
    rows, columns = rows[known], columns[known]
    order = np.argsort(apart[rows, columns], kind="stable")[:_MOST_PAIRS]
    x, y, font = _PLOT + 90, _CORNER[1] + _CELL_ROOM + 110, letters(26)
    canvas.text((x, y), "hardest pairs: wrong answers", font=font, fill=FAINT, anchor="lm")
    worst = max(0.1, 1 - float(apart[rows, columns].min(initial=1)))
    for k, (i, j) in enumerate(zip(rows[order].tolist(), columns[order].tolist(), strict=True)):
        line = y + 52 * (k + 1)
        wrong = 1 - float(apart[i, j])
        text = short(f"{labels[j]}, {labels[i]}", font, 330)
        canvas.text((x, line), text, font=font, fill=TEXT, anchor="lm")
        canvas.rectangle(
            (x + 350, line - 12, x + 350 + 310 * wrong / worst, line + 12), fill=heat(wrong / worst)
        )
        spot = (x + 350 + 310 * wrong / worst + 14, line)
        canvas.text(spot, f"{wrong:.1%}", font=font, fill=FAINT, anchor="lm")
