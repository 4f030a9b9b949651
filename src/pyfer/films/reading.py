"""Films and cameras in, upright RGB frames with their times out.

::

    with Film("film.mp4", Span(every=5, start=10.0)) as film:
        for frame in film:
            frame.index, frame.time, frame.image
    film.ending

Frames are decoded in a thread of their own, a few ahead, so that decoding goes on while the taker works.
Nothing is kept: a film of hours needs the memory of one of seconds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from pyfer.errors import ArgumentError, SourceError
from pyfer.films.ahead import Ahead
from pyfer.films.decoding import Pixels, Raw, open_source
from pyfer.sources import LIMIT_PIXELS

_ROOM = 4
"""Frames decoded ahead."""
_ROOM_BYTES = 64_000_000
"""Most memory for them, where frames are large; one always fits."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a film."""

    index: int
    """Its number among the source's frames, from 0, whether all of them are taken or not."""
    time: float
    """Seconds from the film's first picture by its own time stamps (of a camera: by the clock)."""
    image: Pixels
    """uint8 (h, w, 3) RGB, upright."""


@dataclass(frozen=True)
class Span:
    """Which frames of a film are taken."""

    every: int = 1
    """Every so many frames, counted from the first that is taken."""
    start: float = 0.0
    """Seconds from the film's start."""
    end: float | None = None
    """Seconds from the film's start, not included; None is the whole film."""

    def __post_init__(self) -> None:
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise ArgumentError(f"every={self.every!r} must be a whole number of 1 or more")
        if not (math.isfinite(self.start) and self.start >= 0):
            raise ArgumentError(f"start={self.start!r} must be 0 seconds or more")
        if self.end is not None and not self.end > self.start:
            raise ArgumentError(f"end={self.end!r} must be later than start={self.start!r}, or None")


@dataclass(frozen=True)
class Ending:
    """How reading a film ended."""

    status: Literal["ok", "truncated", "stopped"]
    """``ok``: all that was asked for came. ``truncated``: the film is damaged or cut short; what could be
    read came. ``stopped``: whoever took the frames stopped."""
    message: str
    """A sentence."""
    time: float
    """Seconds of the last frame that was taken."""


class Film:
    """A film file, an animation, a still (one frame) or a camera, to be iterated once.

    Parameters
    ----------
    source
        A path; or a camera: ``"camera"``, ``"camera:1"``, ``"/dev/video1"`` or its number. A camera is live:
        each frame is the newest there is, and those that nobody took in time are dropped.
    span
        Which frames.
    limit_pixels
        Most pixels of a frame.

    Attributes
    ----------
    name
        The source in words.
    width, height
        Pixels of the first frame, upright; later ones may differ.
    rate
        Frames a second on average, or None.
    duration
        Seconds of all of the film, or None (a camera, or the film does not say).
    live
        Whether it is a camera.
    has_sound
        Whether the file has sound.

    Raises
    ------
    SourceError
        It cannot be read, is no film, has no picture, is too large, or there is no such camera; ``kind`` says
        which. Damage further on raises nothing: the frames end, and `ending` says why.
    ArgumentError
        `span` starts after the film's end.
    MissingExtraError
        PyAV is not installed (stills and animations do not need it).
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | int,
        span: Span | None = None,
        *,
        limit_pixels: int = LIMIT_PIXELS,
    ) -> None:
        if isinstance(source, bool) or not isinstance(source, (str, os.PathLike, int)):
            raise ArgumentError(f"source={source!r} must be a path, or the number of a camera")
        if isinstance(source, int) and source < 0:
            raise ArgumentError(f"source={source!r} must be the number of a camera: 0 or more")
        self.span = span or Span()
        self._ahead: Ahead[Raw | Frame] | None = None
        self._closed = False
        self._decoder = open_source(source, limit_pixels)
        self.name = self._decoder.name
        self.width, self.height = self._decoder.width, self._decoder.height
        self.rate, self.duration = self._decoder.rate, self._decoder.duration
        self.live, self.has_sound = self._decoder.live, self._decoder.has_sound
        self.ending = Ending("stopped", f"{self.name}: nothing was read yet", 0.0)
        if self.duration is not None and self.span.start >= self.duration:
            self._decoder.close()
            raise ArgumentError(f"start={self.span.start} must lie in the film of {self.duration:.2f} s")

    @property
    def frames(self) -> int | None:
        """About how many frames will come; None where nobody can know."""
        if self.rate is None:
            return None
        end = min(self.span.end or math.inf, self.duration or math.inf)
        if math.isinf(end):
            return None
        return max(1, math.ceil(round((end - self.span.start) * self.rate) / self.span.every))

    def __iter__(self) -> Iterator[Frame]:
        if self._ahead is not None or self._closed:
            raise ArgumentError(f"{self.name} was read or closed already; open it again")
        size = max(1, self.width * self.height * 3)
        room = min(_ROOM, max(1, _ROOM_BYTES // size))
        self._ahead = Ahead(self._wanted(), room=room, newest=self.live)
        return self._taken(self._ahead)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding and close the source; also in the middle, and as often as one likes."""
        self._closed = True
        if self._ahead is None or self._ahead.close():
            self._decoder.close()  # else the thread hangs in a driver, and the source with it

    def _wanted(self) -> Iterator[Raw | Frame]:
        """Yield what the span asks for; in the thread. Pixels of a live source are made by the taker."""
        first = None
        for raw in self._decoder.frames(self.span.start):
            if self.span.end is not None and raw.time >= self.span.end - _TICK:
                return
            first = raw.index if first is None else first
            if (raw.index - first) % self.span.every == 0:
                yield raw if self.live else Frame(raw.index, raw.time, raw.pixels())

    def _taken(self, ahead: Ahead[Raw | Frame]) -> Iterator[Frame]:
        """Yield frames to the taker, and say in `ending` how that ended."""
        last = self.span.start
        trouble: str | None = None
        done = False
        try:
            for item in ahead:
                last = item.time
                yield item if isinstance(item, Frame) else Frame(item.index, item.time, item.pixels())
            done = not self._closed
            trouble = self._decoder.trouble
        except SourceError as error:
            done, trouble = True, str(error)
        finally:
            self.close()
            self.ending = self._ended(done, trouble, last)

    def _ended(self, done: bool, trouble: str | None, last: float) -> Ending:
        if not done:
            return Ending("stopped", f"{self.name}: stopped after {last:.2f} s", last)
        if trouble is not None:
            return Ending("truncated", trouble, last)
        return Ending("ok", f"{self.name}: read to its end", last)


_TICK = 5e-4
"""Seconds that a time stamp may be rounded by: Matroska counts milliseconds."""
