"""Annotated pictures: boxes, names and bars, readable at any picture size and on any background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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
_PANEL = (22, 24, 28)
_TEXT = (255, 255, 255)
_FAINT = (176, 180, 188)
_SMALLEST = 10  # pixels: letters below this cannot be read


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels of one picture's marks."""

    line: int
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    small: ImageFont.FreeTypeFont | ImageFont.ImageFont
    row: int
    panel: int


Box = tuple[int, int, int, int]


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

    Notes
    -----
    Every face gets a box and its emotion. Bars for the leading emotions are drawn where they cover neither
    another face nor another panel. A picture smaller than 480 pixels is enlarged first so that letters fit.
    """
    faces = [face for face in result[result.source == source]]
    scale = max(1, -(-480 // max(picture.shape[:2])))
    image = Image.fromarray(picture).resize((picture.shape[1] * scale, picture.shape[0] * scale))
    boxes = [_scaled(face, scale, image.size) for face in faces]
    layout = _layout(image.size)
    canvas = ImageDraw.Draw(image, "RGBA")
    taken: list[Box] = list(boxes)
    order = sorted(range(len(faces)), key=lambda k: -_area(boxes[k]))
    for k in order:
        colour = COLORS.get(faces[k].emotion, _OTHER)
        canvas.rectangle(boxes[k], outline=(0, 0, 0, 160), width=layout.line + 2)
        canvas.rectangle(boxes[k], outline=colour, width=layout.line)
    for k in order:
        taken.append(_label(canvas, boxes[k], faces[k], layout, taken[len(faces) :]))
    for k in order:
        place = _panel_place(boxes[k], layout, image.size, [t for t in taken if t != boxes[k]], faces[k])
        if place is not None:
            taken.append(place)
            _bars(canvas, place, faces[k], layout)
    return np.asarray(image)


def _scaled(face: Face, scale: int, size: tuple[int, int]) -> Box:
    x0, y0, x1, y1 = (round(v * scale) for v in face.box)
    return max(x0, 0), max(y0, 0), min(x1, size[0] - 1), min(y1, size[1] - 1)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _layout(size: tuple[int, int]) -> _Layout:
    side = (size[0] * size[1]) ** 0.5
    letters = max(_SMALLEST + 3, round(side / 42))
    small = max(_SMALLEST, round(letters * 0.8))
    return _Layout(
        line=max(2, round(side / 320)),
        font=ImageFont.load_default(letters),
        small=ImageFont.load_default(small),
        row=round(small * 1.45),
        panel=round(small * 12.5),
    )


def _label(canvas: ImageDraw.ImageDraw, box: Box, face: Face, layout: _Layout, others: list[Box]) -> Box:
    """Write name and probability above the box, or below or inside it where there is no room."""
    text = f"{face.emotion} {face.emotions[face.emotion]:.0%}"
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=layout.font)
    pad = max(2, round((bottom - top) * 0.35))
    width, height = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    x = max(0, min(box[0], canvas.im.size[0] - width))
    tops = [box[1] - height, box[3], box[1] + layout.line]
    fitting = [y for y in tops if 0 <= y <= canvas.im.size[1] - height]
    free = [y for y in fitting if not _overlap((x, y, x + width, y + height), others)]
    y = (free or fitting or [0])[0]
    colour = COLORS.get(face.emotion, _OTHER)
    canvas.rectangle((x, y, x + width, y + height), fill=(*_PANEL, 225))
    canvas.rectangle((x, y, x + max(2, pad // 2), y + height), fill=colour)
    canvas.text((x + pad - left + 1, y + pad - top), text, font=layout.font, fill=_TEXT)
    return x, y, x + width, y + height


def _panel_place(
    box: Box, layout: _Layout, size: tuple[int, int], taken: list[Box], face: Face
) -> Box | None:
    """Return where the bars of a face fit without covering anything, or None."""
    rows = len(_leading(face))
    width, height = layout.panel, layout.row * rows + layout.row // 2
    gap = layout.line * 2
    spots = [
        (box[2] + gap, box[1]),
        (box[0] - gap - width, box[1]),
        (box[0], box[3] + gap),
        (box[2] - width, box[3] + gap),
        (box[0], box[1] - gap - height),
    ]
    for x, y in spots:
        y = min(y, size[1] - height - 1)
        place = (x, y, x + width, y + height)
        inside = x >= 0 and y >= 0 and place[2] < size[0] and place[3] < size[1]
        if inside and not _overlap(place, [*taken, box]):
            return place
    return None


def _overlap(a: Box, others: list[Box]) -> bool:
    return any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in others)


def _leading(face: Face) -> list[tuple[str, float]]:
    """Return the emotions worth a bar: at most five, of 2 % or more (the first in any case)."""
    items = list(face.emotions.items())[:5]
    return [items[0], *((name, p) for name, p in items[1:] if p >= 0.02)]


def _bars(canvas: ImageDraw.ImageDraw, place: Box, face: Face, layout: _Layout) -> None:
    canvas.rectangle(place, fill=(*_PANEL, 205))
    pad = layout.row // 3
    names = round(layout.panel * 0.45)
    room = layout.panel - names - 2 * pad
    for k, (name, p) in enumerate(_leading(face)):
        y = place[1] + pad // 2 + k * layout.row
        middle = y + layout.row // 2
        canvas.text(
            (place[0] + pad, middle), name, font=layout.small, fill=_TEXT if not k else _FAINT, anchor="lm"
        )
        x = place[0] + pad + names
        thick = max(2, layout.row // 4)
        canvas.rectangle((x, middle - thick, x + room, middle + thick), fill=(255, 255, 255, 36))
        end = x + max(1, round(room * p))
        canvas.rectangle((x, middle - thick, end, middle + thick), fill=COLORS.get(name, _OTHER))


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
    return np.asarray(sheet)
