"""What the pictures of this package share: colours, letters, crops of faces."""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from pyfer.errors import ArgumentError

Picture = NDArray[np.uint8]
"""RGB (h, w, 3)."""
Numbers = NDArray[np.float64]
Color = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

OTHER: Color = (120, 200, 220)  # as in pyfer.drawing, like the next three
PANEL: Color = (22, 24, 28)
TEXT: Color = (255, 255, 255)
FAINT: Color = (176, 180, 188)
GRAY: Color = (134, 138, 146)  # an answer that is no emotion
TRACK: Color = (42, 46, 53)
PAD = 14  # pixels between the contents and the border


_HEAT = ((34, 37, 43), (45, 56, 92), (88, 66, 132), (168, 76, 124), (238, 130, 84), (252, 222, 144))


def heat(value: float) -> Color:
    """Return a colour for 0..1, dark to bright."""
    stops = np.linspace(0, 1, len(_HEAT))
    r, g, b = (round(float(np.interp(value, stops, [color[k] for color in _HEAT]))) for k in range(3))
    return r, g, b


@lru_cache(maxsize=16)
def letters(size: float) -> Font:
    """Return letters of a height in pixels."""
    return ImageFont.load_default(size)


def numbers(name: str, values: Any) -> Numbers:
    """Return `values` as an array; `name` is for the message."""
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a table of numbers with rows of one length") from None


def fitted(crop: NDArray[np.uint8], side: int) -> Image.Image:
    """Return a crop whose longer side has so many pixels."""
    image = Image.fromarray(crop).convert("RGB")
    scale = side / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def short(text: str, font: Font, width: float) -> str:
    """Return a text in one line, cut where it is wider than `width` pixels.

    Accents are left out: Pillow's own letters are those of English.
    """
    decomposed = unicodedata.normalize("NFD", " ".join(text.split()))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    if font.getlength(plain) <= width:
        return plain

    def cut(n: int) -> str:
        return plain[:n].rstrip() + "…"

    fitting = bisect.bisect_right(range(len(plain)), width, key=lambda n: font.getlength(cut(n)))
    return cut(max(fitting - 1, 0))


def wrapped(texts: Iterable[str], font: Font, width: float, most: int) -> list[str]:
    """Return at most `most` lines no wider than `width` pixels; a word longer than a line is cut."""
    lines = []
    for text in texts:
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = short(longer, font, width)
        lines.append(line)
    if len(lines) > most:
        lines = [*lines[: most - 1], short(lines[most - 1] + " …", font, width)]
    return lines
