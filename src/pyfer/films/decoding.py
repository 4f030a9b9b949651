"""Where frames come from: films and cameras through PyAV, animations and stills through Pillow.

Each class opens its source, or raises `SourceError`, and yields `Raw` frames from the beginning of a span.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyfer import sources
from pyfer.errors import SourceError, need
from pyfer.films.frames import TICK, Decoder, Pixels, Raw, head_of, reason
from pyfer.films.pictures import Pictures

__all__ = [
    "Camera",
    "Decoder",
    "FilmFile",
    "Pictures",
    "Pixels",
    "Raw",
    "device_of",
    "head_of",
    "open_source",
    "opened",
    "turned",
]

USUAL_RATE = 25.0
"""Frames a second where a film does not say it: the rate of European television."""
_PATIENCE = 200
"""Packets in a row that give no picture before a film counts as broken."""
_BACK = 1.0
"""Seconds that a time stamp goes back by where two films were joined (MPEG-TS, VOB) and it counts anew."""
_THREADS = 8
"""Most decoding threads: each holds frames of its own, and more bring little."""


# --- film files -------------------------------------------------------------------------------------------


class FilmFile(Decoder):
    """A film in a file, decoded by PyAV.

    Damaged packets are left out and noted in `trouble`; the film goes on where the next picture can be read.
    """

    def __init__(self, name: str, limit_pixels: int) -> None:
        self.name = name
        self._limit = limit_pixels
        self._av = need("av", "video")
        self._errors = (self._av.error.FFmpegError, ValueError)
        self._container = opened(self._av, name, f"file:{name}")
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """Find the pictures among the streams and decode the first: it says what no header says."""
        pictures = [s for s in self._container.streams.video if not _is_cover(self._av, s)]
        self.has_sound = bool(self._container.streams.audio)
        if not pictures:
            what = "has sound and no picture" if self.has_sound else "has no picture"
            raise SourceError(f"{self.name}: the film {what}", "unsupported")
        self._stream = pictures[0]
        context = self._stream.codec_context
        if context is None:
            raise SourceError(f"{self.name}: PyAV has no decoder for this film", "unsupported")
        _check_size(self.name, context.width, context.height, self._limit)
        self._stream.thread_type = "SLICE" if self.live else "AUTO"  # whole frames in threads come late
        context.thread_count = min(_THREADS, len(os.sched_getaffinity(0)) if _LINUX else os.cpu_count() or 1)
        self.rate = _rate_of(self._stream)
        self.duration = _duration_of(self._container, self._stream)
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._last: float | None = None
        self._joined = 0.0  # seconds before the part of a joined film whose time stamps count now
        self._decoded = self._all()
        first = next(self._decoded, None)
        if first is None:
            why = "no picture in it can be decoded; copy it again from where it came"
            raise SourceError(f"{self.name}: {why}", "truncated")
        self._first: Any = first
        self.width, self.height = first.width, first.height
        if _turn(self._av, first)[0]:
            self.width, self.height = self.height, self.width
        begins = self._stream.start_time
        self._origin = begins if begins is not None else first.pts or 0

    def frames(self, start: float) -> Iterator[Raw]:
        """See `Decoder.frames`. Where the film is entered in the middle, numbers are counted by the rate."""
        sought = start > 0 and self._seek(start)
        index = None if sought else 0
        for frame in self._decoded if sought else self._with_first():
            when = self._time_of(frame)
            index = round(when * (self.rate or USUAL_RATE)) if index is None else index
            if when >= start - TICK:
                _check_size(self.name, frame.width, frame.height, self._limit)
                yield Raw(index, when, lambda frame=frame: self._pixels(frame))  # type: ignore[misc]
            index += 1
        self._look_back()

    def close(self) -> None:
        """Close the file."""
        self._first = None
        self._container.close()

    def _with_first(self) -> Iterator[Any]:
        first, self._first = self._first, None
        yield first
        yield from self._decoded

    def _all(self) -> Iterator[Any]:
        """Yield PyAV's frames; what cannot be decoded is left out, what cannot be read ends the film."""
        barren = 0
        packets = self._container.demux(self._stream)
        while barren < _PATIENCE:
            try:
                packet = next(packets, None)
            except self._errors as error:
                self._note(f"cannot be read on ({reason(error)})")
                packet = None
            try:
                # Without a packet: what is still in the decoder. At an orderly end that is nothing.
                frames = self._stream.codec_context.decode(None) if packet is None else packet.decode()
            except self._errors as error:
                if not isinstance(error, self._av.error.EOFError):
                    self._note(f"is damaged ({reason(error)})")
                frames = []
            barren = 0 if frames else barren + 1
            yield from frames
            if packet is None:
                return
        self._note("holds no more pictures that can be decoded")

    def _note(self, what: str) -> None:
        """Keep the first thing that went wrong."""
        self.trouble = self.trouble or f"{self.name}: the film {what} after {self._last or 0:.2f} s"

    def _seek(self, start: float) -> bool:
        """Go to the last key picture before `start`; return False where a film cannot do that."""
        if self._first.pts is None:
            return False  # without time stamps nobody knows where one lands
        try:
            offset = self._origin + math.floor(start / self._stream.time_base)
            self._container.seek(offset, stream=self._stream, backward=True)
        except self._errors:
            return False
        self._decoded, self._first = self._all(), None
        return True

    def _time_of(self, frame: Any) -> float:
        """Return the seconds of a frame since the first; never less than those of the frame before."""
        following = 0.0 if self._last is None else self._last + 1 / (self.rate or USUAL_RATE)
        if frame.pts is None:
            when = following
        else:
            when = float((frame.pts - self._origin) * (frame.time_base or self._stream.time_base))
            when += self._joined
            if when < following - _BACK:
                self._joined += following - when
                when = following
        self._last = max(self._last or 0.0, when)
        return self._last

    def _pixels(self, frame: Any) -> Pixels:
        rgb: Pixels = self._reformatter.reformat(frame, format="rgb24").to_ndarray()
        return turned(rgb, *_turn(self._av, frame))

    def _look_back(self) -> None:
        """Note a film that ended well before its header says."""
        if self.trouble is None and self.duration is not None:
            missing = self.duration - (self._last or 0) - 2 / (self.rate or USUAL_RATE)
            if missing > 0.5:
                self._note(f"of {self.duration:.2f} s is cut short: it ends")


class Camera(FilmFile):
    """A camera: times are those of the clock, from its first picture on."""

    live = True

    def __init__(self, number: int, limit_pixels: int) -> None:
        self.name = f"camera:{number}"
        self._limit = limit_pixels
        self._av = need("av", "video")
        self._errors = (self._av.error.FFmpegError, ValueError)
        device, kind, options = device_of(self._av, number)
        self._container = opened(self._av, self.name, device, kind, options)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self.duration = None

    def frames(self, start: float) -> Iterator[Raw]:
        """See `Decoder.frames`."""
        began = time.monotonic()
        for index, frame in enumerate(self._with_first()):
            self._last = time.monotonic() - began
            if self._last >= start:
                yield Raw(index, self._last, lambda frame=frame: self._pixels(frame))  # type: ignore[misc]
        self._note("is over: the camera gives no more pictures")


_LINUX = hasattr(os, "sched_getaffinity")
_LOCAL = {"protocol_whitelist": "file"}
"""A film must not make the decoder open an address in the network (playlists can)."""


def opened(
    av: Any, name: str, place: str, device: str | None = None, options: dict[str, str] | None = None
) -> Any:
    """Open a container (or a `device` of that format), or say in one sentence why it cannot be opened."""
    try:
        chosen = _LOCAL if device is None else options
        return av.open(place, format=device, options=chosen, metadata_errors="replace")
    except MemoryError:
        raise
    except Exception as error:  # hostile files make demuxers raise nearly anything
        if device is not None:
            raise SourceError(
                f"{name}: there is no such camera, or another program has it ({reason(error)}); "
                "look at what is plugged in, or name another: camera:1",
                "missing" if isinstance(error, FileNotFoundError) else "unreadable",
            ) from error
        raise _not_a_film(name, error) from error


def _not_a_film(name: str, error: Exception) -> SourceError:
    """Return the error for a file that no demuxer opens."""
    with Path(name).open("rb") as stream:
        head = stream.read(16)
    begins_well = head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF")
    if begins_well:
        what = "the film is cut short or damaged; copy it again from where it came"
        return SourceError(f"{name}: {what}", "truncated")
    return SourceError(f"{name}: is not a film that PyAV can read ({reason(error)})", "unreadable")


def device_of(av: Any, number: int) -> tuple[str, str, dict[str, str]]:
    """Return name, format and options of a camera on this system, for ``av.open``."""
    if sys.platform == "darwin":
        return f"{number}:none", "avfoundation", {"framerate": "30"}
    if sys.platform == "win32":
        found = [d for d in av.device.enumerate_input_devices("dshow") if "video" in d.media_types]
        if number >= len(found):
            raise SourceError(f"camera:{number}: there are {len(found)} cameras here", "missing")
        return f"video={found[number].name}", "dshow", {}
    return f"/dev/video{number}", "v4l2", {}


def _is_cover(av: Any, stream: Any) -> bool:
    """Whether a stream of pictures is the cover of a record."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _rate_of(stream: Any) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def _duration_of(container: Any, stream: Any) -> float | None:
    """Return the seconds of the pictures; those of the whole file only where no sound makes it longer."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    written = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if written:  # as Matroska has it, for each stream
        hours, minutes, seconds = written.groups()
        begins = float((stream.start_time or 0) * stream.time_base)
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - begins
    if container.duration and not container.streams.audio:
        return float(container.duration) / 1e6  # AV_TIME_BASE: microseconds
    return None


def _check_size(name: str, width: int, height: int, limit_pixels: int) -> None:
    if width * height > limit_pixels:
        raise SourceError(
            f"{name}: frames of {width} x {height} pixels are more than limit_pixels={limit_pixels}; "
            "shrink the film first",
            "too_large",
        )


# --- upright ----------------------------------------------------------------------------------------------

Turn = tuple[bool, bool, bool]
"""What makes a picture upright: swap x and y, then mirror in x, then mirror in y."""


def _turn(av: Any, frame: Any) -> Turn:
    """Return what the display matrix of a frame asks for.

    The matrix (ISO/IEC 14496-12, 8.3.2) takes a stored point to ``(a x + c y, b x + d y)``, and lies in the
    frame as nine integers a b u c d v x y w. Only quarter turns and mirrors are applied.
    """
    # Not frame.side_data: the frame keeps that, and it the frame, so hundreds wait for the garbage collector.
    data = av.sidedata.sidedata.SideDataContainer(frame).get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def turned(image: Pixels, swap: bool, mirror_x: bool, mirror_y: bool) -> Pixels:
    """Return a picture (h, w, 3) with x and y swapped, then mirrored; if neither, the same array."""
    if not (swap or mirror_x or mirror_y):
        return image
    view = image.transpose(1, 0, 2) if swap else image
    view = view[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1]
    upright = np.empty(view.shape, np.uint8)
    for channel in range(3):  # three times as fast as all at once
        upright[..., channel] = view[..., channel]
    return upright


# --- which ------------------------------------------------------------------------------------------------

_CAMERA = re.compile(r"camera(?::(\d+))?|/dev/video(\d+)")


def open_source(source: str | os.PathLike[str] | int, limit_pixels: int) -> Decoder:
    """Open a camera (a number, ``camera``, ``camera:1``, ``/dev/video1``) or a file."""
    name = f"camera:{source}" if isinstance(source, int) else os.fspath(source)
    camera = _CAMERA.fullmatch(name)
    if camera:
        return Camera(int(camera[1] or camera[2] or 0), limit_pixels)
    head = head_of(name)
    kind = sources.picture_format(head)
    if kind is not None:
        return Pictures(name, limit_pixels)
    if sources.is_text(head):
        raise SourceError(f"{name}: is a text file, not a film", "unreadable")
    return FilmFile(name, limit_pixels)
