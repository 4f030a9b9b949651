"""A map of the simplex of basic emotions: where emotions and faces lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from pyfer.drawing import COLORS
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
    Numbers,
    Picture,
    fitted,
    letters,
    numbers,
    short,
    wrapped,
)
from pyfer.maps.places import DOT, GAP, Ground, apart, common, dots, nearest, placed

RING: tuple[str, ...] = ("happiness", "surprise", "fear", "sadness", "anger", "disgust", "contempt")
"""The order of the corners of a map, clockwise from the top; neutral lies in the middle.

Of all circular orders it is the one whose neighbours blend most often: fear+surprise 651,
happiness+surprise 473, anger+sadness 153, fear+sadness 118 and anger+disgust 97 of the 2,021 pictures whose
FER+ votes (Barsoum et al. 2016) split between two emotions."""

_EDGE: Color = (74, 79, 89)
_MOST_NAMES = 100
_LARGEST = 4  # times 1000 x 800 pixels; a hundred long names need a quarter of it
_FINE = 2  # lines and dots are drawn so many times larger and averaged: smooth edges
_THUMBNAILS = ((1.0, 96), (1.0, 80), (1.0, 64), (1.2, 80), (1.2, 64), (1.4, 64), (1.4, 52))
"""Sizes of the map and sides of the thumbnails in pixels, as they are tried."""
_FILLED = 0.2  # share of a map that thumbnails may cover
_HEAP = 3  # pixels: faces that lie nearer to each other than that are one heap
_WIDEST = 56  # pixels: radius of the largest heap
_LINE = 13  # pixels: a line below a thumbnail
_FARTHEST = 150  # pixels between a thumbnail and its spot; farther, the map cannot be read


@dataclass(frozen=True, eq=False)
class _Content:
    """What a map shows."""

    labels: tuple[str, ...]
    words: tuple[str, ...]
    """The m names: those of the vocabulary, then the basic emotions that it lacks."""
    mixtures: Numbers
    """(m, b)."""
    known: int
    """How many of the words are of the vocabulary."""
    faces: Numbers
    """(n, b)."""
    winners: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Scene:
    """Where it lies, in pixels."""

    size: tuple[int, int]
    anchors: Numbers
    """(b, 2)."""
    spots: Numbers
    """(m, 2), or (m + n, 2) with thumbnails: where words and thumbnails belong."""
    boxes: Numbers
    """(m, 4) or (m + n, 4) x0 y0 x1 y1 of the words, then of the thumbnails with their captions."""
    side: int
    """Of the thumbnails; 0 for dots."""


def emotion_map(
    labels: Sequence[str],
    emotions: Mapping[str, ArrayLike],
    faces: ArrayLike,
    *,
    winners: Sequence[str] | None = None,
    crops: NDArray[np.uint8] | None = None,
    title: str = "",
) -> Picture:
    """Draw emotions and faces on a map of the simplex of basic emotions.

    Parameters
    ----------
    labels
        The b basic emotions, two or more, in the model's order.
    emotions
        Name -> (b,) weights with sum 1, at most 100: the points of the vocabulary. A basic emotion lies at
        its corner, a combined one between the corners it is made of.
    faces
        (n, b) rows with sum 1: the mixture that each face shows. No rows: the map of a vocabulary.
    winners
        n names, one a face, that colour its dot: those of `pyfer.drawing.COLORS`, for a combined emotion
        the blend of its components' colours, and gray for a name that is in neither list, such as
        `pyfer.emotions.NONE`. Without them, the largest basic emotion decides.
    crops
        uint8 (n, s, s) or (n, s, s, 3): shown beside the dots, with the winner's name, if there is room for
        all of them within 150 pixels of their spots (few faces); otherwise the dots stand alone.
    title
        A line at the top.

    Returns
    -------
    picture
        RGB uint8 (h, w, 3); 1000 x 800 pixels, larger for many emotions or to make room for `crops`.

    Raises
    ------
    ArgumentError
        A shape does not fit, rows are no probabilities, or there are too many emotions.

    Notes
    -----
    Each basic emotion has an anchor: neutral in the middle, the others at the corners of a regular polygon
    in the order of `RING` (labels unknown there follow in their own order). A point lies at the mean of the
    anchors weighted by its mixture (RadViz; Hoffman, Grinstein, Marx, Grosse & Stanley 1997, 'DNA visual
    and analytic data mining', IEEE Visualization, pp. 437-441).

    Dots that coincide are spread over a disc around their spot, of 56 pixels at most, so that a heap shows.

    **Two different mixtures can fall on one spot**: b - 1 dimensions do not go into two. A neutral face and
    one that mixes opposite corners both lie in the middle. Distances on the map are a hint; the bars of
    `explain_picture` and the table of `separability_chart` have the numbers.
    """
    content = _content(labels, emotions, faces, winners)
    if crops is not None:
        _check_crops(crops, len(content.faces))
    colors = emotion_colors(labels, emotions)
    scene = _arranged(content, thumbnails=crops is not None)
    image = _backdrop(scene, content, colors)
    canvas = ImageDraw.Draw(image, "RGBA")
    for k, word in enumerate(content.words):
        fill = FAINT if k >= content.known else colors[word] if word in content.labels else TEXT
        _write(canvas, _label(word, content.labels), scene.boxes[k], fill)
    if crops is not None and scene.side:
        _paste(image, scene, crops, content, colors)
    width, height = scene.size
    if title:
        font = letters(20)
        canvas.text((PAD, 11), short(title, font, width - 2 * PAD), font=font, fill=TEXT)
    if n := len(content.faces):
        text = f"{n:,} {'face' if n == 1 else 'faces'}"
        spot = (width - PAD, height - PAD)
        canvas.text(spot, text, font=letters(14), fill=FAINT, anchor="rs")
    return np.array(image)


def emotion_colors(labels: Sequence[str], emotions: Mapping[str, ArrayLike]) -> dict[str, Color]:
    """Return a colour for each basic and each combined emotion.

    Parameters
    ----------
    labels
        The b basic emotions.
    emotions
        Name -> (b,) weights with sum 1.

    Returns
    -------
    colors
        Name -> RGB 0..255: `pyfer.drawing.COLORS` for `labels`, for the others the mean of those colours
        with the emotion's weights.

    Raises
    ------
    ArgumentError
        The shapes do not fit, or weights are no shares.
    """
    _check_labels(labels)
    base = {label: COLORS.get(label, OTHER) for label in labels}
    mixed = _shares("emotions", list(emotions.values()), len(labels)) @ np.array(list(base.values()), float)
    blends = {name: (round(r), round(g), round(b)) for name, (r, g, b) in zip(emotions, mixed, strict=True)}
    return blends | base


def _content(
    labels: Sequence[str],
    emotions: Mapping[str, ArrayLike],
    faces: ArrayLike,
    winners: Sequence[str] | None,
) -> _Content:
    _check_labels(labels)
    b = len(labels)
    lacking = [label for label in labels if label not in emotions]
    words = (*emotions, *lacking)
    if len(words) > _MOST_NAMES:
        raise ArgumentError(
            f"emotions has {len(words)} names with the basic ones; a map holds {_MOST_NAMES}: draw fewer"
        )
    weights = _shares("emotions", list(emotions.values()), b)
    corners = np.eye(b)[[list(labels).index(label) for label in lacking]].reshape(-1, b)
    rows = _shares("faces", faces, b)
    names = tuple(winners) if winners is not None else tuple(labels[int(k)] for k in rows.argmax(1))
    if len(names) != len(rows):
        raise ArgumentError(f"winners has {len(names)} names for {len(rows)} faces; give one a face")
    mixtures = np.concatenate([weights, corners])
    return _Content(tuple(labels), words, mixtures, len(emotions), rows, names)


def _check_labels(labels: Sequence[str]) -> None:
    if isinstance(labels, str) or len(labels) < 2 or len(set(labels)) < len(labels):
        raise ArgumentError(f"labels={labels!r} must be two or more different names of basic emotions")


def _shares(name: str, values: Any, b: int) -> Numbers:
    """Return `values` as (n, b) rows of shares with sum 1."""
    rows = numbers(name, values)
    rows = rows.reshape(0, b) if not rows.size else rows
    if rows.ndim != 2 or rows.shape[1] != b:
        raise ArgumentError(f"{name} of shape {rows.shape} must be (n, {b}): rows with one share a label")
    if not ((rows >= 0).all() and np.allclose(rows.sum(1), 1, atol=1e-3)):
        raise ArgumentError(f"{name} must have rows of shares: 0 or more, with sum 1")
    return rows


def _check_crops(crops: NDArray[np.uint8], n: int) -> None:
    shape: tuple[int, ...] = getattr(crops, "shape", ())
    fits = len(shape) in (3, 4) and shape[0] == n and 0 not in shape[1:] and shape[3:] in ((), (3,))
    if getattr(crops, "dtype", None) != np.uint8 or not fits:
        raise ArgumentError(f"crops of shape {shape} must be uint8 (n, s, s) or (n, s, s, 3), n={n} faces")


def _anchors(labels: Sequence[str]) -> Numbers:
    """Return the (b, 2) anchors: neutral at 0, the others on the unit circle, clockwise from the top."""
    ring = [name for name in RING if name in labels]
    ring += [name for name in labels if name not in RING and name != "neutral"]
    start = math.pi if len(ring) == 2 else -math.pi / 2  # a pair lies on a level line
    angles = {name: start + 2 * math.pi * k / len(ring) for k, name in enumerate(ring)}
    return np.array([(math.cos(angles[n]), math.sin(angles[n])) if n in angles else (0, 0) for n in labels])


def _arranged(content: _Content, *, thumbnails: bool) -> _Scene:
    """Return the map at a size where no word covers another, with thumbnails if they fit."""
    grown = max(1.0, min(1.5, math.sqrt(len(content.words) / 30)))
    scene = _scene(content, grown)
    while not apart(scene.boxes) and grown < _LARGEST:  # a crowd of long names: more room
        grown *= 1.15
        scene = _scene(content, grown)
    scenes = {1.0: scene}
    for larger, side in _THUMBNAILS if thumbnails else ():
        if len(content.faces) * side * (side + 2 * _LINE) <= _FILLED * math.prod(scene.size) * larger**2:
            if larger not in scenes:
                scenes[larger] = _scene(content, grown * larger)
            tried = _with_thumbnails(scenes[larger], content, side)
            m = len(content.words)
            if apart(tried.boxes) and not common(tried.boxes[m:], dots(tried.spots[:m])).any():
                return tried
    return scene


def _scene(content: _Content, grown: float) -> _Scene:
    """Return the map of one size."""
    width, height = round(1000 * grown), round(800 * grown)
    radius = min((height - 130) / 2, width / 2 - 190)
    middle = np.array([width / 2, height / 2 + 12 + 0.025 * radius])  # a polygon on its side is less high
    anchors = middle + radius * _anchors(content.labels)
    spots = content.mixtures @ anchors
    scene = _Scene((width, height), anchors, spots, np.empty((0, 4)), 0)
    sizes = np.array([_label_size(word, content.labels) for word in content.words], float)
    ground = _ground(scene, _spread(content.faces @ anchors))
    return replace(scene, boxes=placed(spots, sizes, scene.boxes, math.inf, ground))


def _with_thumbnails(scene: _Scene, content: _Content, side: int) -> _Scene:
    """Return the scene with a thumbnail of one side near the spot of each face."""
    faces = content.faces @ scene.anchors
    captions = [_caption(word, side) for word in content.winners]
    sizes = np.array([(max(side, wide), side + 2 + _LINE * len(lines)) for lines, wide in captions], float)
    spots = np.concatenate([scene.spots, faces])
    boxes = placed(spots, sizes, scene.boxes, _FARTHEST, _ground(scene, faces))
    return replace(scene, spots=spots, boxes=boxes, side=side)


def _ground(scene: _Scene, faces: Numbers) -> Ground:
    width, height = scene.size
    return Ground(np.array([[PAD, 42], [width - PAD, height - 34]]), scene.spots, faces)


def _frames(scene: _Scene, m: int) -> Numbers:
    """Return the boxes (m, 4) of the words, then those of the thumbnails without their captions."""
    frames = scene.boxes.copy()
    frames[m:, 0] = np.rint((frames[m:, 0] + frames[m:, 2] - scene.side) / 2)
    frames[m:, 2:] = frames[m:, :2] + scene.side
    return frames


def _backdrop(scene: _Scene, content: _Content, colors: Mapping[str, Color]) -> Image.Image:
    """Return the picture without words: polygon, spokes, dots of faces, leader lines, marks."""
    image = Image.new("RGB", (scene.size[0] * _FINE, scene.size[1] * _FINE), PANEL)
    canvas = ImageDraw.Draw(image, "RGBA")

    def line(start: Numbers, end: Numbers, fill: tuple[int, ...], width: int) -> None:
        canvas.line([*(start * _FINE), *(end * _FINE)], fill=fill, width=width)

    def disc(spot: list[float], radius: float, fill: Any, outline: Any = None) -> None:
        x, y = spot
        box = [_FINE * v for v in (x - radius, y - radius, x + radius, y + radius)]
        canvas.ellipse(box, fill, outline, round(2.5 * _FINE))

    unit = _anchors(content.labels)
    corners = np.flatnonzero(unit.any(1))
    corners = corners[np.argsort(np.arctan2(unit[corners, 1], unit[corners, 0]))]
    middle = scene.anchors[corners].mean(0)
    for k in corners:
        line(middle, scene.anchors[k], TRACK, _FINE)
    for j, k in zip(corners, np.roll(corners, -1), strict=True):
        line(scene.anchors[j], scene.anchors[k], _EDGE, _FINE + 1)
    marks = list(zip(content.words, scene.spots[: len(content.words)].tolist(), strict=True))
    for _, spot in marks:
        disc(spot, DOT, PANEL)
    faces = content.faces @ scene.anchors
    radius, alpha = _face_radius(len(faces)), round(min(230, 330 / max(len(faces), 1) ** 0.18))
    for word, spot in zip(content.winners, (faces if scene.side else _spread(faces)).tolist(), strict=True):
        disc(spot, radius, (*colors.get(word, GRAY), alpha))
    ends = nearest(scene.spots, _frames(scene, len(content.words)))
    for start, end in zip(scene.spots, ends, strict=True):
        if math.dist(start, end) > GAP + 5:
            line(start, end, (*FAINT, 150), _FINE)
    for number, (word, spot) in enumerate(marks):
        disc(spot, DOT + 1.5, None, PANEL)
        disc(spot, DOT, None, colors[word] if number < content.known else _EDGE)
    return image.resize(scene.size, Image.Resampling.BOX)


def _face_radius(n: int) -> float:
    """Return the radius in pixels of each of n dots."""
    return float(min(6, 14 / max(n, 1) ** 0.2))


def _spread(spots: Numbers) -> Numbers:
    """Return the spots (n, 2) with those that coincide laid out as a disc, so that a heap can be seen.

    The k-th face of a heap lies at k golden angles and a distance that grows with the root of k, as the
    seeds of a sunflower do (Vogel 1979): the area of the disc tells how many there are.
    """
    _, heap, counts = np.unique(np.rint(spots / _HEAP), axis=0, return_inverse=True, return_counts=True)
    heap = heap.reshape(-1)
    order = np.argsort(heap, kind="stable")
    rank = np.empty(len(spots))
    rank[order] = np.arange(len(spots)) - (np.cumsum(counts) - counts)[heap[order]]
    step = np.minimum(0.6 * _face_radius(len(spots)), _WIDEST / np.sqrt(counts))
    away = step[heap] * np.sqrt(rank)
    angle = rank * math.pi * (3 - math.sqrt(5))
    return np.asarray(spots + away[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _label(word: str, labels: Sequence[str]) -> tuple[str, Font]:
    """Return the text of a name on the map, and its letters: larger for a basic emotion."""
    font = letters(18 if word in labels else 14)
    return short(word, font, 260), font


def _label_size(word: str, labels: Sequence[str]) -> tuple[float, float]:
    text, font = _label(word, labels)
    return math.ceil(font.getlength(text)) + 6, 24 if word in labels else 19


def _caption(word: str, side: int) -> tuple[list[str], int]:
    """Return the one or two lines below a thumbnail, and the width of the longer in pixels."""
    font = letters(11)
    lines = wrapped([word], font, max(side, 90), 2)
    return lines, math.ceil(max((font.getlength(line) for line in lines), default=0)) + 4


def _write(canvas: ImageDraw.ImageDraw, label: tuple[str, Font], box: Numbers, fill: Color) -> None:
    x0, y0, x1, y1 = (float(v) for v in box)
    canvas.rectangle((x0, y0, x1, y1), fill=(*PANEL, 190))  # dots below do not trouble the letters
    canvas.text(((x0 + x1) / 2, (y0 + y1) / 2), label[0], font=label[1], fill=fill, anchor="mm")


def _paste(
    image: Image.Image,
    scene: _Scene,
    crops: NDArray[np.uint8],
    content: _Content,
    colors: Mapping[str, Color],
) -> None:
    """Draw the thumbnails, each in a frame of its winner's colour with the name below."""
    canvas = ImageDraw.Draw(image, "RGBA")
    font = letters(11)
    m = len(content.words)
    for crop, word, frame, box in zip(
        crops, content.winners, _frames(scene, m)[m:], scene.boxes[m:], strict=True
    ):
        left, top, right, bottom = (int(v) for v in frame)
        color = colors.get(word, GRAY)
        for k, line in enumerate(_caption(word, scene.side)[0]):
            half = font.getlength(line) / 2 + 2
            middle, y = (box[0] + box[2]) / 2, bottom + 1 + _LINE * k
            _write(canvas, (line, font), np.array([middle - half, y, middle + half, y + _LINE]), color)
        image.paste(fitted(crop, scene.side), (left, top))
        canvas.rectangle((left, top, right - 1, bottom - 1), outline=color, width=2)
