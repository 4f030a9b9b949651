"""Films out: pictures as they come, the sound of another film beside them.

The file is playable up to the last two seconds or so even when the program is killed: MP4 and QuickTime are
written in fragments (made one film at the end where the library can), Matroska and WebM are built that way.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from pyfer.errors import ArgumentError, SourceError, did_you_mean, need
from pyfer.films.decoding import Pixels
from pyfer.films.sound import Sound

ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
"""Endings of films that can be written."""

TICKS = 60_000
"""Time stamps a second: any frame rate fits to 9 microseconds, and MPEG-4 takes no more than 65,535."""

_KEY_SECONDS = 2
"""Seconds from one key picture to the next: what a killed program loses, and how exactly players seek."""
_AT_ONCE = {"flush_packets": "1"}
_FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
_HYBRID = ("hybrid_fragmented", (61, 7))
"""The flag that joins the fragments in the end, and the libavformat (of FFmpeg 7.1) that knows it."""


class FilmWriter:
    """Writes a film while its pictures come; a context manager.

    Pictures are H.264 (in WebM VP9; MPEG-4 where the library has no H.264), 4:2:0. The first picture decides
    the size: later ones of another size are fitted into it, with black bars. Odd sizes get one more row or
    column. The film begins at `start`: a picture of time `t` is shown at ``t - start``.

    The file appears with the first picture; without any there is none.

    Parameters
    ----------
    path
        Ending in one of `ENDINGS`. A file that is there is written over.
    rate
        Frames a second, about; the times of the pictures are what counts.
    sound_of
        A film whose sound is kept: copied as it is where the container takes it, else encoded anew.
    start, end
        Seconds of `sound_of` between which the sound is taken. It never goes on after the last picture.

    Raises
    ------
    ArgumentError
        The ending is unknown, there is no such folder, or `rate`, `start`, `end` break a rule.
    MissingExtraError
        PyAV is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float | None = None,
        sound_of: str | os.PathLike[str] | None = None,
        start: float = 0.0,
        end: float | None = None,
    ) -> None:
        self.path = check_path(path)
        if rate is not None and not 0 < rate <= 1000:
            raise ArgumentError(f"rate={rate!r} must be a number of frames a second, more than 0, up to 1000")
        if not (math.isfinite(start) and start >= 0) or (end is not None and not end > start):
            raise ArgumentError(f"start={start!r}, end={end!r} must be seconds, and the end later or None")
        self._av = need("av", "video")
        self._rate = rate or 25.0
        self._start = start
        self._sound_of = sound_of
        self._end = math.inf if end is None else end
        self._sound: Sound | None = None
        self._container: Any = None
        self._stream: Any = None
        self._last = -1
        self._closed = False

    def write(self, image: Pixels, time: float) -> None:
        """Add a picture, uint8 (h, w, 3) RGB, that is shown from `time` (seconds, not before the last) on.

        Raises
        ------
        ArgumentError
            The writer is closed, or the picture is none.
        """
        if self._closed:
            raise ArgumentError(f"{self.path}: the film is closed; nothing can be added")
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ArgumentError(f"image of shape {image.shape}, {image.dtype} must be uint8 (h, w, 3) RGB")
        if self._container is None:
            self._open(*image.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(
            fitted(image, self._stream.width, self._stream.height), format="rgb24"
        )
        ticks = max(round((time - self._start) * TICKS), 0, self._last + 1)
        frame.pts, frame.time_base, self._last = ticks, Fraction(1, TICKS), ticks
        frame.duration = round(TICKS / self._rate)
        self._container.mux(self._stream.encode(frame))
        if self._sound is not None:
            self._sound.copy_until(ticks / TICKS)

    def close(self) -> None:
        """Write what is still on its way and close the file; as often as one likes."""
        if self._closed:
            return
        self._closed = True
        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode())
            if self._sound is not None:
                self._sound.finish((self._last / TICKS) + 1 / self._rate)
        finally:
            if self._sound is not None:
                self._sound.close()
            self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, height: int, width: int) -> None:
        """Begin the file, now that the size is known."""
        self._container = self._av.open(str(self.path), "w", options=self._container_options())
        codec, options = self._codec()
        stream = self._container.add_stream(codec, rate=Fraction(self._rate).limit_denominator(1001))
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = options
        context = stream.codec_context
        stream.time_base = context.time_base = Fraction(1, TICKS)
        context.gop_size = max(1, round(_KEY_SECONDS * self._rate))
        context.max_b_frames = 0  # decoded in the order they are shown: time stamps begin at 0
        self._stream = stream
        if self._sound_of is not None:
            try:
                self._sound = Sound(self._sound_of, self._container, self._start, self._end)
            except SourceError:
                self._sound = None  # a film whose sound cannot be read loses its sound, not its pictures

    def _container_options(self) -> dict[str, str]:
        if self.path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
            return {**_AT_ONCE, "cluster_time_limit": "1000"}  # ms that are kept in memory
        hybrid, since = _HYBRID
        knows = self._av.library_versions["libavformat"][:2] >= since
        return {**_AT_ONCE, "movflags": f"{_FRAGMENTS}+{hybrid}" if knows else _FRAGMENTS}

    def _codec(self) -> tuple[str, dict[str, str]]:
        """Return the encoder and its options."""
        if self.path.suffix.lower() == ".webm":
            return "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "32", "b": "0"}
        if "libx264" in self._av.codecs_available:
            return "libx264", {"preset": "veryfast", "crf": "20"}
        return "mpeg4", {"qscale": "3"}


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a film that can be written, or raise `ArgumentError`: before any work is done."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        near = did_you_mean(path.suffix.lower(), ENDINGS)
        raise ArgumentError(f"{path}: a film ends in {', '.join(ENDINGS)}{near}")
    if not path.parent.is_dir():
        raise ArgumentError(f"{path}: there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir():
        raise ArgumentError(f"{path}: is a folder; name a file")
    return path


def fitted(image: Pixels, width: int, height: int) -> Pixels:
    """Return a picture in exactly this size: as it is, with an edge repeated, or between black bars."""
    high, wide = image.shape[:2]
    if (high, wide) == (height, width):
        return np.ascontiguousarray(image)
    if 0 <= height - high <= 1 and 0 <= width - wide <= 1:
        return np.pad(image, ((0, height - high), (0, width - wide), (0, 0)), mode="edge")
    scale = min(width / wide, height / high)
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    sheet = Image.new("RGB", (width, height))
    place = ((width - size[0]) // 2, (height - size[1]) // 2)
    sheet.paste(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR), place)
    return np.asarray(sheet)
