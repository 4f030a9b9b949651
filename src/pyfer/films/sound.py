"""The sound of one film, taken into another."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from pyfer.errors import need
from pyfer.films.decoding import head_of, opened


class Sound:
    """Reads the sound of a film in step with the pictures that are written.

    Parameters
    ----------
    source
        A film file. Without sound in it nothing is written.
    container
        PyAV's output, with the stream of pictures in it already.
    start, end
        Seconds between which the sound is taken; `start` becomes 0.

    Raises
    ------
    SourceError
        The file cannot be opened.
    """

    def __init__(
        self, source: str | os.PathLike[str], container: Any, start: float, end: float = math.inf
    ) -> None:
        self._av = need("av", "video")
        self._errors: tuple[type[BaseException], ...] = (self._av.error.FFmpegError, ValueError)
        name = os.fspath(source)
        head_of(name)  # says what is wrong with a file that is none
        self._source = opened(self._av, name, f"file:{name}")
        self._container = container
        self._start, self._end = start, end
        self._copied: Any = None
        self._encoded: Any = None
        self._last: int | None = None
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None
        streams = self._source.streams.audio
        if streams:
            self._begin(streams[0])

    def copy_until(self, time: float) -> None:
        """Write the sound up to `time`, in seconds of the new film."""
        self._write(min(time, self._end - self._start))

    def finish(self, time: float) -> None:
        """Write the sound up to `time`, the end of the pictures, and what the encoder holds."""
        self.copy_until(time)
        if self._encoded is not None:
            self._container.mux(self._encoded.encode())

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _begin(self, stream: Any) -> None:
        """Decide whether packets can go as they are, and find the place where to begin."""
        self._stream = stream
        name = stream.codec_context.codec.canonical_name
        if name in self._container.supported_codecs:
            self._copied = self._container.add_stream_from_template(stream)
        else:
            codec = "libopus" if "webm" in self._container.format.name else "aac"
            rate = 48_000 if codec == "libopus" else stream.codec_context.sample_rate
            self._encoded = self._container.add_stream(codec, rate=rate)
            self._encoded.layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        self._zero = self._start + _begin_of_pictures(self._source)
        if self._start > 0:
            with contextlib.suppress(*self._errors):  # else from the beginning: slower, and the same
                self._source.seek(math.floor(self._zero / stream.time_base), stream=stream)
        self._packets = self._source.demux(stream)

    def _write(self, limit: float) -> None:
        """Write packets that begin before `limit` seconds of the new film."""
        while True:
            packet = self._waiting or self._next()
            if packet is None:
                return
            self._waiting = packet
            time = float(packet.pts * packet.time_base) - self._zero
            if time >= limit - 1e-6:
                return
            self._waiting = None
            if time + float((packet.duration or 0) * packet.time_base) / 2 >= 0:
                self._copy(packet) if self._copied is not None else self._encode(packet)

    def _next(self) -> Any:
        """Return the next packet that has a time; None at the end, be it a sudden one."""
        with contextlib.suppress(*self._errors):  # that the film is damaged, its pictures say
            for packet in self._packets:
                if packet.pts is not None and packet.size:
                    return packet
        return None

    def _copy(self, packet: Any) -> None:
        """Pass a packet on, shifted; times must grow from 0 on."""
        shift = round(self._zero / packet.time_base)
        least = 0 if self._last is None else self._last + 1
        self._last = packet.pts = packet.dts = max(packet.pts - shift, least)
        packet.stream = self._copied
        self._container.mux(packet)

    def _encode(self, packet: Any) -> None:
        try:
            frames = packet.decode()
        except self._errors:
            return
        for frame in frames:
            if frame.pts is None:
                continue
            base = frame.time_base or Fraction(1, frame.sample_rate)
            frame.pts = max(frame.pts - round(self._zero / base), 0)
            self._container.mux(self._encoded.encode(frame))


def _begin_of_pictures(source: Any) -> float:
    """Return the seconds of the first picture, by which all times of a film are counted."""
    for stream in source.streams.video:
        if stream.start_time is not None:
            return float(stream.start_time * stream.time_base)
    return 0.0
