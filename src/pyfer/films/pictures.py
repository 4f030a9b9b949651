"""Frames of a still or an animation, through Pillow: PyAV is not needed for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from PIL import Image

from pyfer import sources
from pyfer.errors import SourceError
from pyfer.films.frames import TICK, Decoder, Pixels, Raw, head_of, reason

_GIF_FRAME = 0.1
"""Seconds of an animation's frame that names none, as browsers have it."""


class Pictures(Decoder):
    """A still, one frame long, or an animation (GIF, WebP, PNG, AVIF), through Pillow."""

    def __init__(self, name: str, limit_pixels: int) -> None:
        self.name = name
        self._limit = limit_pixels
        first = sources.read(name, limit_pixels=limit_pixels)
        self.height, self.width = first.shape[:2]
        self._first = first
        self._image: Image.Image | None = None
        if sources.picture_format(head_of(name)) in ("GIF", "WEBP", "PNG", "AVIF"):
            self._image = Image.open(name)
        self._count = getattr(self._image, "n_frames", 1)
        self.duration = sum(self._lengths())
        self.rate = self._count / self.duration

    def frames(self, start: float) -> Iterator[Raw]:
        """See `Decoder.frames`."""
        when = 0.0
        for index in range(self._count):
            try:
                pixels = self._first if index == 0 else self._frame(index)
            except SourceError as error:
                self.trouble = f"{error}; what is whole ends after {when:.2f} s"
                return
            if when >= start - TICK:
                yield Raw(index, when, lambda pixels=pixels: pixels)  # type: ignore[misc]
            when += self._seconds()

    def close(self) -> None:
        """Close the file."""
        if self._image is not None:
            self._image.close()

    def _lengths(self) -> Iterator[float]:
        """Yield how long each frame is shown: a damaged one as long as those that name no time."""
        for index in range(self._count):
            try:
                if self._image is not None and self._count > 1:
                    self._image.seek(index)
                    self._image.load()  # WebP says it with the pixels only
                yield self._seconds()
            except Exception:  # hostile files make Pillow raise nearly anything; `frames` says what is wrong
                yield _GIF_FRAME
        if self._image is not None and self._count > 1:
            with contextlib.suppress(Exception):
                self._image.seek(0)
                self._image.load()

    def _seconds(self) -> float:
        """Return how long the current frame is shown."""
        told = self._image.info.get("duration", 0) if self._image is not None else 0
        return float(told) / 1000 or _GIF_FRAME

    def _frame(self, index: int) -> Pixels:
        assert self._image is not None  # else there is one frame only
        try:
            self._image.seek(index)
        except Exception as error:  # hostile files make Pillow raise nearly anything
            raise SourceError(
                f"{self.name}: the animation is damaged ({reason(error)})", "truncated"
            ) from error
        return sources.read(self._image, limit_pixels=self._limit)
