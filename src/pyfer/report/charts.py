"""Charts as SVG: strings that stand in the page itself. Every mark has a ``<title>`` that says its number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from pyfer.evaluation import Curves, Interval, Reliability, Scores

MOST_POINTS = 200
"""Corners of a curve that are kept: more cannot be seen, and make the file large."""
_LEFT, _TOP, _PLOT = 44, 10, 250  # pixels of a square plot: what is left of it, above it, its side


def number(value: float, digits: int = 1) -> str:
    """Return a coordinate without needless zeros."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float, digits: int = 1) -> str:
    """Return a share for people, ``78.3 %``; a dash where there is none."""
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f}\u202f%"


def bounds(interval: Interval, shown: Callable[[float], str] = share) -> str:
    """Return the interval alone, ``76.9 – 79.6 %``, or nothing where there is none."""
    if math.isnan(interval.low):
        return ""
    low, high = shown(interval.low), shown(interval.high)
    return f"{low.removesuffix(chr(0x202F) + '%')} – {high}"


def thinned(curve: Curves) -> Curves:
    """Return a curve with at most `MOST_POINTS` corners, the first and the last among them.

    Corners lie where the threshold passes equal steps of the rates, not of the faces: the steep part near 0
    keeps its shape.
    """
    n = len(curve.precision)
    if n <= MOST_POINTS:
        return curve
    way = np.hypot(np.diff(curve.false_positive), np.diff(curve.true_positive)).cumsum()
    rows = np.searchsorted(way, np.linspace(0, way[-1], MOST_POINTS - 1)[1:-1])
    rows = np.unique(np.concatenate([[0], rows + 1, [n - 1]]))
    return Curves(curve.false_positive[rows], curve.true_positive[rows], curve.precision[rows])


def _svg(width: float, height: float, what: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{escape(what)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{number(x)}" y="{number(y)}"{named}{anchored}>{escape(text)}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    places = " ".join(
        f'{n}="{number(v)}"' for n, v in zip(("x1", "y1", "x2", "y2"), (x0, y0, x1, y1), strict=True)
    )
    return f'<line {places} class="{kind}"/>'


def _rect(box: tuple[float, float, float, float], looks: str, title: str = "") -> str:
    x, y, width, height = map(number, box)
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" {looks}>{inside}</rect>'


# --- intervals --------------------------------------------------------------------------------------------


def whisker(interval: Interval, low: float = 0, high: float = 1, color: str = "var(--accent)") -> str:
    """Draw a number as a dot, its interval as a line, on a track from `low` to `high`."""

    def x(value: float) -> float:
        return 4 + 192 * min(max((value - low) / (high - low), 0), 1)

    parts = [_rect((0, 6, 200, 4), 'rx="2" class="track"')]
    if low < 0 < high:
        parts.append(_line(x(0), 1, x(0), 15, "axis"))
    if not math.isnan(interval.low):
        width = max(x(interval.high) - x(interval.low), 2)
        looks = f'rx="2" fill="{color}" fill-opacity=".45"'
        parts.append(_rect((x(interval.low), 5, width, 6), looks))
    if not math.isnan(interval.value):
        parts.append(f'<circle cx="{number(x(interval.value))}" cy="8" r="4" fill="{color}"/>')
    return _svg(200, 16, f"{interval:.3f}", parts)


def class_bars(scores: Scores) -> str:
    """Draw recall, precision and F1 of each class as bars with their intervals."""
    longest = max(len(label) for label in scores.labels)
    left = min(30 + 6.6 * longest, 190.0)
    bar, row = 250.0, 50
    support = scores.confusion.sum(1)
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(left + bar * tick, 4, left + bar * tick, row * len(scores.labels), "grid"))
        foot = row * len(scores.labels) + 14
        parts.append(_text(left + bar * tick, foot, f"{tick:.0%}", "tiny soft", "middle"))
    for k, label in enumerate(scores.labels):
        y = row * k + 6
        parts += [_text(0, y + 16, _cut(label, 24)), _text(0, y + 30, f"{support[k]:,} faces", "tiny soft")]
        for j, (name, opacity) in enumerate((("recall", 1), ("precision", 0.62), ("f1", 0.32))):
            top, value = y + 13 * j, scores.interval(name, label)
            parts.append(_bar(left, top, bar, value, f"var(--c{k})", f"{label}: {name}", opacity))
            parts.append(_text(left + bar + 8, top + 9, share(value.value), "tiny"))
            parts.append(_text(left + bar + 55, top + 9, {"f1": "F1"}.get(name, name), "tiny soft"))
    return _svg(
        left + bar + 110, row * len(scores.labels) + 18, "recall, precision and F1 of each class", parts
    )


def _bar(x: float, y: float, full: float, value: Interval, color: str, name: str, opacity: float) -> str:
    """Draw one bar with a whisker; a number that is not defined has none."""
    known = 0.0 if math.isnan(value.value) else value.value
    told = f"{name} {share(value.value)} {bounds(value)}".strip()
    parts = [_rect((x, y, full * known, 10), f'rx="2" fill="{color}" fill-opacity="{opacity}"', told)]
    if not math.isnan(value.low):
        a, b = x + full * value.low, x + full * value.high
        parts.append(_line(a, y + 5, b, y + 5, "whisker"))
        parts += [_line(end, y + 2, end, y + 8, "whisker") for end in (a, b)]
    return "".join(parts)


# --- confusion --------------------------------------------------------------------------------------------


def confusion(scores: Scores) -> str:
    """Draw the confusion matrix as a heat map: rows are shares of the truth, counts stand in the tooltips."""
    c = len(scores.labels)
    side = max(26.0, min(50.0, 400 / c))
    left, top = 14 + 6.9 * max(len(_cut(label, 22)) for label in scores.labels), 66.0
    total = scores.confusion.sum(1)
    parts = []
    for k, label in enumerate(scores.labels):
        y = top + side * k
        parts.append(_text(left - 8, y + side / 2 + 4, _cut(label, 22), "small", "end"))
        place = f"translate({number(left + side * (k + 0.5) + 3)} {number(top - 8)}) rotate(-38)"
        parts.append(f'<g transform="{place}">{_text(0, 0, _cut(label, 12), "small")}</g>')
        for j, other in enumerate(scores.labels):
            count = int(scores.confusion[k, j])
            part = count / total[k] if total[k] else 0.0
            title = f"truth {label}, answer {other}: {count:,} of {total[k]:,}"
            parts.append(_cell(left + side * j, y, side, part, title))
    width = max(left + side * c + 44, 360)
    return _svg(width, top + side * c + 4, "confusion matrix", parts)


def _cell(x: float, y: float, side: float, part: float, title: str) -> str:
    filled = f'fill="var(--heat)" fill-opacity="{0.1 + 0.9 * part:.3f}"'
    looks = 'rx="4" ' + (filled if part >= 0.005 else 'class="track"')
    box = _rect((x + 1, y + 1, side - 2, side - 2), looks, title)
    if part < 0.005:
        return box
    kind = ("small" if side > 34 else "tiny") + (" on" if part > 0.5 else "")
    label = _text(x + side / 2, y + side / 2 + 4, f"{100 * part:.0f}", kind, "middle")
    return f'{box}<g pointer-events="none">{label}</g>'  # else the number would hide the tooltip


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# --- squares: reliability, ROC, precision and recall ------------------------------------------------------


def _frame(across: str, up: str) -> list[str]:
    """Return the axes of a plot from 0 to 1 both ways."""
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = _LEFT + _PLOT * tick, _TOP + _PLOT * (1 - tick)
        parts += [_line(x, _TOP, x, _TOP + _PLOT, "grid"), _line(_LEFT, y, _LEFT + _PLOT, y, "grid")]
        parts.append(_text(x, _TOP + _PLOT + 16, number(tick, 2), "tiny soft", "middle"))
        parts.append(_text(_LEFT - 7, y + 3.5, number(tick, 2), "tiny soft", "end"))
    middle = _TOP + _PLOT / 2
    parts.append(_text(_LEFT + _PLOT / 2, _TOP + _PLOT + 33, across, "small soft", "middle"))
    turned = _text(0, 0, up, "small soft", "middle")
    parts.append(f'<g transform="translate(11 {number(middle)}) rotate(-90)">{turned}</g>')
    return parts


def _place(x: float, y: float) -> tuple[float, float]:
    return _LEFT + _PLOT * x, _TOP + _PLOT * (1 - y)


def reliability_diagram(data: Reliability) -> str:
    """Draw how often the answers of each confidence are right; below, how many there are."""
    parts = _frame("confidence", "share that is right")
    most = max(int(data.count.max()), 1)
    floor = _TOP + _PLOT + 96
    for k, count in enumerate(data.count.tolist()):
        if not count:
            continue
        low, high = float(data.edges[k]), float(data.edges[k + 1])
        x, width = _LEFT + _PLOT * low + 1, _PLOT * (high - low) - 2
        accuracy, confidence = float(data.accuracy[k]), float(data.confidence[k])
        title = f"confidence {confidence:.3f}: {share(accuracy)} right of {count:,}"
        top = _place(0, accuracy)[1]
        looks = 'rx="2" fill="var(--accent)" fill-opacity=".8"'
        parts.append(_rect((x, top, width, _TOP + _PLOT - top), looks, title))
        ideal = _place(0, confidence)[1]
        gap = (x, min(top, ideal), width, max(abs(top - ideal), 0.5))
        parts.append(_rect(gap, 'fill="var(--gap)" fill-opacity=".38"', title))
        tall = 44 * count / most
        looks = 'rx="1" fill="var(--soft)" fill-opacity=".55"'
        parts.append(_rect((x, floor - tall, width, tall), looks, title))
    (x0, y0), (x1, y1) = _place(0, 0), _place(1, 1)
    parts.append(_line(x0, y0, x1, y1, "ideal"))
    parts.append(_text(_LEFT - 7, floor - 2, "0", "tiny soft", "end"))
    parts.append(_text(_LEFT - 7, floor - 38, f"{most:,}", "tiny soft", "end"))
    parts.append(_line(_LEFT, floor, _LEFT + _PLOT, floor, "axis"))
    return _svg(_LEFT + _PLOT + 12, floor + 6, "reliability diagram", parts)


def roc(curves: Mapping[str, Curves]) -> str:
    """Draw the ROC curve of each class."""
    parts = _frame("false positive rate", "true positive rate")
    (x0, y0), (x1, y1) = _place(0, 0), _place(1, 1)
    parts.append(_line(x0, y0, x1, y1, "ideal"))
    for k, (label, curve) in enumerate(curves.items()):
        parts.append(_curve(curve.false_positive, curve.true_positive, k, label))
    return _svg(_LEFT + _PLOT + 12, _TOP + _PLOT + 42, "ROC curves", parts)


def precision_recall(curves: Mapping[str, Curves]) -> str:
    """Draw the precision-recall curve of each class."""
    parts = _frame("recall", "precision")
    for k, (label, curve) in enumerate(curves.items()):
        precision = np.append(curve.precision[1:2], curve.precision[1:])  # of "nobody" there is none
        parts.append(_curve(curve.true_positive, precision, k, label))
    return _svg(_LEFT + _PLOT + 12, _TOP + _PLOT + 42, "precision-recall curves", parts)


def _curve(x: NDArray[np.float64], y: NDArray[np.float64], k: int, label: str) -> str:
    if not x[-1] or not y.any():  # a class that does not occur
        return ""
    points = " ".join(
        f"{number(a)},{number(b)}" for a, b in (_place(*each) for each in zip(x, y, strict=True))
    )
    looks = f'class="curve" style="stroke:var(--c{k})"'
    return f'<polyline points="{points}" {looks}><title>{escape(label)}</title></polyline>'
