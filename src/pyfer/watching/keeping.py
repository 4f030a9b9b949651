"""What a film shows, kept while it runs: tables, the marked film, a window, and what a timeline needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyfer.drawing import draw
from pyfer.films import FilmWriter, Window
from pyfer.maps import Timeline, emotion_colors
from pyfer.sinks import Sink, open_sink
from pyfer.watching.watched import Watch, WatchedFrame


class Keeper:
    """Writes the frames of a `Watch`; a context manager.

    Left by an exception it closes all files, and marks the tables as stopped.

    Parameters
    ----------
    watch
        Where the frames come from.
    tables
        Files for `pyfer.sinks.open_sink`.
    film
        File for the marked film, with the sound of the one that is watched; see `pyfer.films.FilmWriter`.
    timeline
        Whether to remember what `timeline` draws.
    window
        Whether to show the marked film; a film goes no faster than it would be played.

    Raises
    ------
    ArgumentError
        A file cannot be written, or there is no screen.
    """

    def __init__(
        self,
        watch: Watch,
        *,
        tables: Sequence[Path] = (),
        film: Path | None = None,
        timeline: bool = False,
        window: bool = False,
    ) -> None:
        self.frames = 0
        self._watch = watch
        self._began = time.monotonic()
        self._first: float | None = None
        self._timeline = Timeline(watch.names, colors=_colors(watch)) if timeline else None
        self._writer: FilmWriter | None = None
        self._window: Window | None = None
        with ExitStack() as stack:
            self._sinks: list[Sink] = [stack.enter_context(open_sink(path)) for path in tables]
            if film is not None:
                self._writer = stack.enter_context(_writer(watch, film))
            if window:
                self._window = stack.enter_context(Window(f"{watch.film.name} - pyFER"))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """Since the beginning, by the clock."""
        return time.monotonic() - self._began

    def write(self, frame: WatchedFrame) -> bool:
        """Write what a frame shows; return False once the user has closed the window.

        Raises
        ------
        OSError
            It cannot be written, such as on a full disk.
        """
        self.frames += 1
        self._first = frame.time if self._first is None else self._first
        for sink in self._sinks:
            sink.write(frame.index, frame.time, frame.result)
        if self._timeline is not None and frame.result.track is not None:
            self._timeline.add(frame.time, frame.result.track, frame.result.choices[1], frame.crops)
        if self._writer is None and self._window is None:
            return True
        marked = draw(frame.image, frame.result)
        if self._writer is not None:
            self._writer.write(marked, frame.time)
        if self._window is None:
            return True
        if not self._watch.film.live:
            time.sleep(min(max(frame.time - self._first - self.seconds, 0.0), 1.0))
        return self._window.show(marked)

    def close(self, status: str, message: str = "") -> None:
        """Close all files; the tables are marked with any status but ``ok``, see `pyfer.sinks.Sink.close`.

        Raises
        ------
        OSError
            One cannot be written, such as on a full disk. The others are closed all the same.
        """
        with ExitStack() as stack:
            stack.callback(self._stack.close)
            for sink in self._sinks:
                stack.callback(sink.close, status, message)

    def timeline(self, title: str = "") -> NDArray[np.uint8]:
        """Return the picture (h, w, 3) of who showed what when; see `pyfer.maps.Timeline`."""
        drawn = self._timeline or Timeline(self._watch.names)
        posterior = self._watch.pipeline.posterior
        later = set() if posterior is None else {one.name for one in posterior.vocabulary.successions}
        found = self._watch.segments
        return drawn.picture(
            segments=[one for one in found if one.emotion not in later],
            successions=[one for one in found if one.emotion in later],
            title=title,
        )


def _writer(watch: Watch, path: Path) -> FilmWriter:
    film, span = watch.film, watch.settings.span
    return FilmWriter(
        path,
        rate=None if film.rate is None else min(film.rate / span.every, 1000),
        sound_of=film.name if film.has_sound and not film.live else None,
        start=span.start,
        end=span.end,
    )


def _colors(watch: Watch) -> dict[str, tuple[int, int, int]] | None:
    """Return the colours of the answers as maps have them; None where they are the basic emotions."""
    posterior = watch.pipeline.posterior
    if posterior is None or watch.names == watch.pipeline.labels:
        return None
    points = dict(zip(posterior.vocabulary.names, posterior.points, strict=True))
    return emotion_colors(posterior.basics, points)
