"""Films for the tests: written with PyAV, of moving cartoon faces or of the astronaut, with known answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pyfer.cartoon import blend, draw_faces
from pyfer.emotions import BASIC

Pixels = NDArray[np.uint8]
TICKS = 90_000
"""Time stamps a second: fine enough for any rate."""
SAMPLES = 48_000
"""Sound samples a second."""
PERSONS = (8, 7, 4, 10)
"""Seeds of cartoon faces that MTCNN finds with every expression."""


def write_film(
    path: Path,
    frames: Iterable[Pixels],
    *,
    rate: float = 25,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    sound: bool = False,
    codec: str | None = None,
) -> Path:
    """Write a film and return its path; the ending of the name decides the container.

    Parameters
    ----------
    frames
        uint8 (h, w, 3) RGB of even sizes, as a player shall show them.
    rate
        Frames a second, where there are no `times`.
    times
        Seconds of each frame, increasing: a variable frame rate.
    rotation
        0, 90, 180 or 270: pictures are stored turned clockwise by so many degrees, and marked so, as a phone
        does; players turn them back.
    sound
        Whether a sine tone of 440 Hz lasts as long as the pictures.
    codec
        Of the pictures; H.264 (in WebM VP9, in AVI MPEG-4) if not said.
    """
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [np.ascontiguousarray(np.rot90(frame, -rotation // 90)) for frame in frames]
    usual = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(path.suffix, "libx264")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec or usual, rate=Fraction(rate).limit_denominator(1001))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        if (codec or usual) == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "18"}
        if (codec or usual) == "libvpx-vp9":
            stream.options = {"deadline": "realtime", "cpu-used": "8"}
        if rotation:
            stream.set_display_rotation(rotation)
        tone = _add_sound(container, "libopus" if path.suffix == ".webm" else "aac") if sound else None
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[index] * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone is not None:
            last = times[-1] + 1 / rate if times is not None else len(pictures) / rate
            _write_tone(container, tone, last)
    return path


def _add_sound(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=SAMPLES)
    stream.layout = "mono"
    return stream


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    """Write a sine of 440 Hz as mono sound."""
    import av

    wave = 0.3 * np.sin(2 * np.pi * 440 / SAMPLES * np.arange(round(seconds * SAMPLES)))
    for start in range(0, len(wave), 960):
        block = wave[start : start + 960].astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLES, start, Fraction(1, SAMPLES)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_tone(path: Path, seconds: float = 1.0) -> Path:
    """Write a file with a sine tone and no picture."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        _write_tone(container, _add_sound(container, "aac"), seconds)
    return path


# --- what is in the pictures ------------------------------------------------------------------------------


def swing(index: int, count: int) -> float:
    """Return 0..1: how strong an expression is in frame `index` of `count`: nothing, onset, apex, offset."""
    return float(np.clip(1.6 * math.sin(math.pi * index / max(count - 1, 1)) - 0.4, 0, 1))


def cartoon_frames(
    *,
    seconds: float = 2.0,
    rate: float = 25,
    size: tuple[int, int] = (320, 240),
    emotions: Sequence[str] = ("happiness",),
    faces: int = 1,
    motion: float = 1.0,
) -> list[Pixels]:
    """Draw moving cartoon faces that go from neutral to each of the emotions in turn and back.

    Parameters
    ----------
    size
        Width and height in pixels.
    emotions
        Names of `pyfer.emotions.BASIC`; each gets an equal part of the `seconds`.
    faces
        How many people stand side by side, up to four; all of them feel the same.
    motion
        How far they sway: 0 not at all, 1 about a tenth of the place they have.

    Returns
    -------
    list
        uint8 (h, w, 3) RGB. MTCNN finds each face in nearly every frame where it is 70 pixels high or more.
    """
    width, height = size
    place = width / faces
    side = int(0.85 * min(place, height))
    count = max(1, round(seconds * rate))
    part = max(1, -(-count // len(emotions)))
    frames = []
    for k in range(count):
        weights = np.zeros((1, len(BASIC)))
        strength = swing(k % part, part)
        weights[0, BASIC.index("neutral")] = 1 - strength
        weights[0, BASIC.index(emotions[k // part])] += strength
        frame = np.empty((height, width, 3), np.uint8)
        for person in range(faces):
            crop = draw_faces(blend(weights), size=side, seed=PERSONS[person])[0]
            left, right = round(person * place), round((person + 1) * place)
            frame[:, left:right] = np.median(crop[: side // 20 + 1], axis=(0, 1))
            angle = 2 * math.pi * k / (2 * rate) + person
            spare = np.array([right - left - side, height - side]) / 2
            shift = motion * np.minimum(spare, 0.1 * side) * (math.sin(angle), math.sin(1.3 * angle))
            x, y = np.floor(spare + shift).astype(int)
            frame[y : y + side, left + x : left + x + side] = crop
        frames.append(frame)
    return frames


def cartoon_film(
    path: Path,
    *,
    seconds: float = 2.0,
    size: tuple[int, int] = (320, 240),
    rate: float = 25,
    emotions: Sequence[str] = ("happiness",),
    faces: int = 1,
    sound: bool = False,
) -> Path:
    """Write a film of `cartoon_frames`."""
    frames = cartoon_frames(seconds=seconds, rate=rate, size=size, emotions=emotions, faces=faces)
    return write_film(path, frames, rate=rate, sound=sound)


def astronaut_frames(
    *, seconds: float = 1.0, rate: float = 25, size: tuple[int, int] = (320, 240)
) -> list[Pixels]:
    """Pan and zoom over the photograph of the astronaut; one face in every frame, about a third as high."""
    picture = Image.fromarray(np.asarray(pytest.importorskip("skimage.data").astronaut()))
    count = max(1, round(seconds * rate))
    width, height = size
    frames = []
    for k in range(count):
        turn = math.sin(2 * math.pi * k / (2 * rate))
        high = 260 * (1 + 0.15 * turn)  # pixels of the photograph that are seen
        wide = min(high * width / height, 512)
        high = wide * height / width
        x0 = np.clip(224 + 20 * math.sin(2 * math.pi * k / (3 * rate)) - wide / 2, 0, 512 - wide)
        y0 = np.clip(128 - high / 2, 0, 512 - high)
        seen = picture.resize(size, Image.Resampling.BILINEAR, (x0, y0, x0 + wide, y0 + high))
        frames.append(np.asarray(seen))
    return frames


def astronaut_film(
    path: Path,
    *,
    seconds: float = 1.0,
    size: tuple[int, int] = (320, 240),
    rate: float = 25,
    sound: bool = False,
) -> Path:
    """Write a film of `astronaut_frames`."""
    return write_film(path, astronaut_frames(seconds=seconds, rate=rate, size=size), rate=rate, sound=sound)


def numbered_frames(count: int, size: tuple[int, int] = (64, 48)) -> list[Pixels]:
    """Return plain gray frames whose brightness tells their number, see `number_of`; up to 32."""
    width, height = size
    return [np.full((height, width, 3), 4 + 8 * (k % 32), np.uint8) for k in range(count)]


def number_of(image: Pixels) -> int:
    """Return the number (0..31) of a frame of `numbered_frames` after any codec."""
    return round((float(image.mean()) - 4) / 8)
