"""Annotated pictures: boxes, names and bars, readable at any picture size and on any background."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pyfer.emotions import NONE, UNCERTAIN, percent
from pyfer.errors import ArgumentError
from pyfer.results import Face, Result

COLORS: dict[str, tuple[int, int, int]] = {
    "neutral": (189, 189, 189),
    "happiness": (255, 202, 40),
    "surprise": (255, 138, 48),
    "sadness": (94, 156, 255),
    "anger": (244, 81, 81),
    "disgust": (124, 196, 92),
    "fear": (181, 126, 240),
    "contempt": (64, 196, 190),
}
"""One colour an emotion, told apart also in gray by the name written beside it."""
_OTHER = (120, 200, 220)
_UNKNOWN = (150, 156, 168)
_PANEL = (22, 24, 28)
_TEXT = (255, 255, 255)
_FAINT = (176, 180, 188)
_LEAST, _MOST = 480, 1920  # pixels of the longer side: smaller pictures are enlarged, none beyond the second
_CROWD = 5  # faces
_LEAST_FACE = 36  # pixels: a word beside a smaller face covers its neighbours
_SMALLEST = 10  # pixels: letters below this cannot be read

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels of one picture's marks."""

    size: tuple[int, int]
    line: int
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    small: ImageFont.FreeTypeFont | ImageFont.ImageFont
    row: int
    bar: int


def draw(picture: NDArray[np.uint8], result: Result, *, source: int = 0) -> NDArray[np.uint8]:
    """Return a copy of a picture with its faces marked.

    Parameters
    ----------
    picture
        RGB uint8 (h, w, 3), upright as `pyfer.read` gives it.
    result
        What `pyfer.predict` found.
    source
        Which input of `result` the picture is.

    Raises
    ------
    ArgumentError
        `picture` is no such array, or `result` has no such input.

    Notes
    -----
    Every face gets a box and its emotion; of an uncertain one, where there is room, also what it most
    probably shows. Basic emotions have the colours of `COLORS`; a new emotion has the mean of these by the
    face's mixture, and what is uncertain is gray. Bars for the leading emotions are drawn where they cover
    neither another face nor another panel; among several faces, one that shows a certain emotion needs none.
    A picture with less than 480 pixels, or with many small faces, is enlarged by a whole factor first so
    that letters fit.

    A frame of a film, where `Result.track` says who is who, is marked in a way that does not flicker: sizes
    depend on that of the frame alone, and a label with the person's number stands on its box, over a line of
    the shares of the basic emotions, always in the same order.
    """
    shape: tuple[int, ...] = getattr(picture, "shape", ())
    if getattr(picture, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ArgumentError(f"picture of shape {shape} must be uint8 (h, w, 3), as pyfer.read gives it")
    if not 0 <= source < len(result.inputs):
        raise ArgumentError(
            f"source={source} must lie in 0..{len(result.inputs) - 1}, the inputs of the result"
        )
    faces = sorted(result[result.source == source], key=_area)
    if result.track is not None:
        return _drawn_frame(picture, faces)
    scale = _scale(max(shape[:2]), faces)
    image = Image.fromarray(picture).resize((shape[1] * scale, shape[0] * scale))
    boxes = [_scaled(face, scale, image.size) for face in faces]
    layout = _layout(image.size, boxes)
    canvas = ImageDraw.Draw(image, "RGBA")
    for face, box in zip(faces, boxes, strict=True):
        canvas.rectangle(box, outline=(0, 0, 0, 160), width=layout.line + 2)
        canvas.rectangle(box, outline=_color(face.emotion, face), width=layout.line)
    taken: list[Box] = []
    for k, face in enumerate(faces):
        taken.append(_label(canvas, boxes[k], face, layout, taken, boxes[:k] + boxes[k + 1 :]))
    for k, face in enumerate(faces):
        if len(faces) > 1 and len(_leading(face)) == 1:
            continue  # its label has said it
        place = _panel_place(boxes[k], face, layout, taken, boxes[:k] + boxes[k + 1 :])
        if place is not None:
            taken.append(place)
            _bars(canvas, place, face, layout)
    return np.array(image)


def _drawn_frame(picture: NDArray[np.uint8], faces: list[Face]) -> NDArray[np.uint8]:
    """Return a frame of a film with its faces marked, the largest on top."""
    scale = _scale(max(picture.shape[:2]), [])
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale))
    layout = _layout(image.size, [])
    canvas = ImageDraw.Draw(image, "RGBA")
    for face in reversed(faces):
        box, color = _scaled(face, scale, image.size), _color(face.emotion, face)
        canvas.rectangle(box, outline=(0, 0, 0, 160), width=layout.line + 2)
        canvas.rectangle(box, outline=color, width=layout.line)
        _caption(canvas, box, face, layout)
    return np.array(image)


def _caption(canvas: ImageDraw.ImageDraw, box: Box, face: Face, layout: _Layout) -> None:
    """Write number and emotion on top of a box, over a line of the shares of the basic emotions."""
    name, p = _candidate(face)
    if face.emotion == UNCERTAIN:
        name = UNCERTAIN
    number, certain = f"{face.track} ", f" {percent(p)}"
    pad, line = layout.row // 4, max(3, layout.line * 2)
    wide = box[2] - box[0] + 1 - 2 * pad
    first, end = layout.font.getlength(number), layout.font.getlength(certain)
    middle = layout.font.getlength(name)
    if first + middle + end > max(wide, layout.bar):  # the percentage goes first
        end, certain = 0.0, ""
    width = math.ceil(max(wide, first + middle + end)) + 2 * pad
    height = round(layout.row * 1.25) + line
    x = max(0, min(box[0], layout.size[0] - width))
    y = max(0, min(box[1] - height, layout.size[1] - height))
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=(*_PANEL, 215))
    baseline = y + (height - line) // 2
    canvas.text((x + pad, baseline), number, font=layout.font, fill=_FAINT, anchor="lm")
    canvas.text((x + pad + first, baseline), name, font=layout.font, fill=_TEXT, anchor="lm")
    canvas.text((x + width - pad, baseline), certain, font=layout.font, fill=_FAINT, anchor="rm")
    edge = float(x)
    for basic, share in (face.mixture or face.basic).items():
        last, edge = edge, edge + share * width
        if round(edge) > round(last):
            place = (round(last), y + height - line, round(edge) - 1, y + height - 1)
            canvas.rectangle(place, fill=COLORS.get(basic, _OTHER))


def _area(face: Face) -> float:
    """Return the negative area, so that sorting puts the largest face first."""
    return -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1])


def _scale(longest: int, faces: list[Face]) -> int:
    """Return the whole number a picture is enlarged by."""
    scale = -(-_LEAST // longest)
    if len(faces) >= _CROWD:
        width = max(float(np.median([face.box[2] - face.box[0] for face in faces])), 1.0)
        scale = max(scale, min(math.ceil(_LEAST_FACE / width), _MOST // longest))
    return scale


def _scaled(face: Face, scale: int, size: tuple[int, int]) -> Box:
    x0, x1 = sorted(min(max(round(x * scale), 0), size[0] - 1) for x in face.box[::2])
    y0, y1 = sorted(min(max(round(y * scale), 0), size[1] - 1) for y in face.box[1::2])
    return x0, y0, x1, y1


def _layout(size: tuple[int, int], boxes: list[Box]) -> _Layout:
    side = (size[0] * size[1]) ** 0.5
    letters = max(_SMALLEST + 3.0, side / 42)
    if boxes:  # in a crowd, smaller letters: seven of them are about as wide as a face
        letters = min(letters, 0.21 * float(np.median([box[2] - box[0] for box in boxes])))
    font = max(_SMALLEST + 1, round(letters))
    small = max(_SMALLEST, round(letters * 0.8))
    return _Layout(
        size=size,
        line=max(2, round(side / 320)),
        font=ImageFont.load_default(font),
        small=ImageFont.load_default(small),
        row=round(small * 1.45),
        bar=round(small * 6),
    )


def _candidate(face: Face) -> tuple[str, float]:
    """Return the most probable emotion and its probability, also of an uncertain face."""
    return next(item for item in face.emotions.items() if item[0] != NONE)


def _color(name: str, face: Face) -> tuple[int, int, int]:
    """Return the colour of an answer for a face.

    What a new emotion is made of is not known here, but what the face is: that is near for the emotion that
    explains the face best, and for no other.
    """
    if name in (NONE, UNCERTAIN):
        return _UNKNOWN
    if name in COLORS or face.mixture is None or name != _candidate(face)[0]:
        return COLORS.get(name, _OTHER)
    known = [(share, COLORS[basic]) for basic, share in face.mixture.items() if basic in COLORS]
    whole = sum(share for share, _ in known)
    if not whole:
        return _OTHER
    red, green, blue = (round(sum(share * color[k] for share, color in known) / whole) for k in range(3))
    return red, green, blue


@dataclass(frozen=True)
class _Wording:
    """A text for a label and the room it takes, in pixels."""

    text: str
    start: tuple[int, int]
    """From the label's corner to where the text is to be written."""
    width: int
    height: int


def _label(
    canvas: ImageDraw.ImageDraw, box: Box, face: Face, layout: _Layout, labels: list[Box], faces: list[Box]
) -> Box:
    """Write name and probability above, below or inside the box, wherever the least is covered."""
    wordings = [_measured(canvas, text, layout) for text in _texts(face)]
    room = min(2 * (box[2] - box[0]), layout.size[0])
    fitting = [wording for wording in wordings if wording.width <= room]
    fitting = fitting or [min(wordings, key=lambda wording: wording.width)]
    far = max(wording.width + 2 * wording.height for wording in fitting)
    reach = (box[0] - far, box[1] - far, box[2] + far, box[3] + far)
    labels, faces = ([other for other in others if _covered(reach, [other])] for others in (labels, faces))

    area = max(1, (box[2] - box[0]) * (box[3] - box[1]))

    def cost(choice: tuple[_Wording, Box]) -> tuple[int, int, int]:
        others = 2 * _covered(choice[1], labels) + _covered(choice[1], faces)
        own = -(-10 * _covered(choice[1], [box]) // area)  # tenths: on a large face a word matters little
        return others, own, _beyond(choice[1], box, faces)

    choices = [(wording, place) for wording in fitting for place in _label_places(wording, box, layout)]
    corner = (fitting[-1], (0, 0, fitting[-1].width, fitting[-1].height))
    wording, place = min(choices or [corner], key=cost)
    x0, y0, x1, y1 = place
    canvas.rectangle((x0, y0, x1 - 1, y1 - 1), fill=(*_PANEL, 225))
    canvas.rectangle((x0, y0, x0 + layout.line, y1 - 1), fill=_color(face.emotion, face))
    start = (x0 + wording.start[0], y0 + wording.start[1])
    canvas.text(start, wording.text, font=layout.font, fill=_TEXT, spacing=layout.line)
    return place


def _texts(face: Face) -> list[str]:
    """Return what a label may say, best first: on one line or on several, then without the probability."""
    name, p = _candidate(face)
    full = f"{name}\xa0{percent(p)}"  # this space does not break: no line is a number alone
    if face.emotion == UNCERTAIN:
        full, name = f"{UNCERTAIN}: {full}", UNCERTAIN
    texts = [_on_lines(text, lines) for text in (full, name) for lines in (1, 2, 3)]
    return [text.replace("\xa0", " ") for text in dict.fromkeys(texts)]


def _on_lines(text: str, lines: int) -> str:
    """Break a text between words into at most so many lines, as short as they can be."""
    for width in range(max(map(len, text.split(" "))), len(text)):
        broken = textwrap.wrap(text, width, break_on_hyphens=False)
        if len(broken) <= lines:
            return "\n".join(broken)
    return text


def _measured(canvas: ImageDraw.ImageDraw, text: str, layout: _Layout) -> _Wording:
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=layout.font, spacing=layout.line)
    pad = max(2, round((bottom - top) / (text.count("\n") + 1) * 0.35))
    start = (round(pad - left + 1), round(pad - top))
    return _Wording(text, start, round(right - left) + 2 * pad, round(bottom - top) + 2 * pad)


def _label_places(wording: _Wording, box: Box, layout: _Layout) -> list[Box]:
    """Return where a label may be above, below or in its box without leaving the picture; best first."""
    width, height = wording.width, wording.height
    lefts = [box[0], box[2] - width, (box[0] + box[2] - width) // 2]
    lefts = list(dict.fromkeys(max(0, min(x, layout.size[0] - width)) for x in lefts))
    tops = [box[1] - height, box[3] + 1, box[1] + layout.line, box[3] - layout.line - height]
    tops = [y for y in tops if 0 <= y <= layout.size[1] - height]
    return [(x, y, x + width, y + height) for y in tops for x in lefts]


def _beyond(place: Box, box: Box, faces: list[Box]) -> int:
    """Return the square pixels of others that a label hangs over, or under, so that it would seem theirs."""
    x0, y0, x1, y1 = place
    top, bottom = 2 * y0 - y1, 2 * y1 - y0
    return _covered((x0, top, box[0], bottom), faces) + _covered((box[2], top, x1, bottom), faces)


def _panel_place(box: Box, face: Face, layout: _Layout, taken: list[Box], faces: list[Box]) -> Box | None:
    """Return where the bars of a face fit without covering anything, or None.

    Beside another face they would seem to be of that face, so they keep their distance there.
    """
    rows, names = len(_leading(face)), _names_width(face, layout)
    width, height = names + layout.bar + layout.row, layout.row * rows + layout.row // 2
    gap, far = layout.line * 2, layout.bar // 2
    spots = [
        (box[2] + gap, box[1], far),
        (box[0] - gap - width, box[1], far),
        (box[0], box[3] + gap, gap),
        (box[2] - width, box[3] + gap, gap),
        (box[0], box[1] - gap - height, gap),
    ]
    for x, y, distance in spots:
        y = min(y, layout.size[1] - height - 1)
        place = (x, y, x + width, y + height)
        near = (x - distance, y, place[2] + distance, place[3])
        inside = x >= 0 and y >= 0 and place[2] < layout.size[0] and place[3] < layout.size[1]
        if inside and not _covered(place, [*taken, box]) and not _covered(near, faces):
            return place
    return None


def _covered(a: Box, others: list[Box]) -> int:
    """Return how many square pixels of others a box covers."""
    sides = ((min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])) for b in others)
    return sum(width * height for width, height in sides if width > 0 and height > 0)


def _leading(face: Face) -> list[tuple[str, float]]:
    """Return the emotions worth a bar: at most five, of 2 % or more (the first in any case)."""
    items = list(face.emotions.items())[:5]
    return [items[0], *((name, p) for name, p in items[1:] if p >= 0.02)]


def _names_width(face: Face, layout: _Layout) -> int:
    """Return the pixels that the names beside the bars take; never less than the longest usual one."""
    names = ["happiness", *(name for name, _ in _leading(face))]
    return round(max(layout.small.getlength(name) for name in names))


def _bars(canvas: ImageDraw.ImageDraw, place: Box, face: Face, layout: _Layout) -> None:
    canvas.rectangle(place, fill=(*_PANEL, 205))
    pad = layout.row // 3
    thick = max(2, layout.row // 4)
    x = place[2] - pad - layout.bar
    for k, (name, p) in enumerate(_leading(face)):
        middle = place[1] + layout.row // 4 + k * layout.row + layout.row // 2
        canvas.text(
            (place[0] + pad, middle), name, font=layout.small, fill=_TEXT if not k else _FAINT, anchor="lm"
        )
        canvas.rectangle((x, middle - thick, x + layout.bar, middle + thick), fill=(255, 255, 255, 36))
        end = x + max(1, round(layout.bar * p))
        canvas.rectangle((x, middle - thick, end, middle + thick), fill=_color(name, face))


def contact_sheet(
    versions: list[NDArray[np.uint8]], captions: list[str], side: int = 96
) -> NDArray[np.uint8]:
    """Return a sheet of face crops with a caption under each, RGB uint8 (h, w, 3).

    Parameters
    ----------
    versions
        One or more arrays (n, s, s) or (n, s, s, 3); versions of the same face stand side by side.
    captions
        n short texts.
    side
        Pixels each crop is shown at.
    """
    n, k = len(captions), len(versions)
    if not versions or any(len(version) != n for version in versions):
        raise ArgumentError(f"versions has {[len(v) for v in versions]} crops; {n} captions need {n} in each")
    columns = max(1, min(n, round((n * 1.6 / k) ** 0.5)))
    rows = -(-n // columns)
    gap, text = 8, 16
    cell = (k * side + gap, side + text + gap)
    sheet = Image.new("RGB", (columns * cell[0] + gap, rows * cell[1] + gap), _PANEL)
    canvas = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for index, caption in enumerate(captions):
        x, y = gap + index % columns * cell[0], gap + index // columns * cell[1]
        for j, version in enumerate(versions):
            crop = (
                Image.fromarray(version[index]).convert("RGB").resize((side, side), Image.Resampling.NEAREST)
            )
            sheet.paste(crop, (x + j * side, y))
        canvas.text((x, y + side + 2), caption, font=font, fill=_TEXT)
    return np.array(sheet)
