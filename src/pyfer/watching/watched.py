"""A film frame by frame, with what its faces show, and who was seen."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.faces import Detector
from pyfer.films import Ending, Film, Span
from pyfer.models import Output, Recogniser
from pyfer.pipeline import Emotions, Pipeline, Reading
from pyfer.results import Result
from pyfer.segments import Segment, Segmentation, Segmenter
from pyfer.sources import Source
from pyfer.successions import Finder
from pyfer.tracking import Tracker, Tracking
from pyfer.watching.calibrating import Neutral
from pyfer.watching.recognising import Seen, Steps, Windows

FILM_MODEL = "film"
"""Model for films where none is named: the one that ships."""


@dataclass(frozen=True)
class Watching:
    """How a film is watched."""

    span: Span = field(default_factory=Span)
    """Which frames."""
    tracking: Tracking = field(default_factory=Tracking)
    """How faces are searched and followed."""
    segmentation: Segmentation = field(default_factory=Segmentation)
    """When an emotion begins and ends."""
    calibrate: float | Source | None = None
    """A person's neutral face to take off (see `pyfer.baseline`): the first so many seconds that each person
    is seen, or a picture of the one person who is there. None takes nothing off."""

    def __post_init__(self) -> None:
        seconds = self.calibrate
        if isinstance(seconds, (int, float)) and not (0 < seconds < math.inf):
            raise ArgumentError(f"calibrate={seconds!r} must be a number of seconds above 0, or a picture")


@dataclass(frozen=True, eq=False)
class WatchedFrame:
    """A frame, and what its faces show."""

    index: int
    """Number of the frame in the film, from 0."""
    time: float
    """Seconds from the film's start."""
    image: NDArray[np.uint8]
    """(h, w, 3) RGB, upright."""
    result: Result
    """One row a face; `Result.track` says who is who."""
    crops: NDArray[np.uint8]
    """(n, s, s, 3) the faces as the model saw them."""
    segments: tuple[Segment, ...] = ()
    """What is known to have ended by now: segments of emotions, and emotions over time. What lasts to the end
    of the film is in `Watch.segments` alone."""


@dataclass
class Person:
    """Somebody in a film."""

    track: int
    first: float
    """Seconds of the first frame with this face."""
    last: float
    """Seconds of the newest one."""
    total: NDArray[np.float64]
    """(v,) sum of the answers' probabilities over the frames."""
    frames: int = 0
    seconds: float = 0.0
    """For how long the face was seen: from each frame with it to the next, where no other lies between."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """(v,) mean probability of each answer of `Watch.names`."""
        return np.asarray(self.total / max(self.frames, 1), np.float64)


class Watch:
    """One way through a film; an iterator of `WatchedFrame` and a context manager.

    A loop over it closes the film when it is left, also early.

    Parameters
    ----------
    source
        A film or a camera, as `pyfer.films.Film` takes them.
    pipeline
        Model and reading; None is the model for films that ships.
    settings
        How it is watched.
    detector
        Any ``image -> Faces``; None is MTCNN.

    Attributes
    ----------
    film
        The open film: size, rate, duration, about how many frames will come.
    segments
        What was found so far, in the order of the ends.
    people
        Number -> `Person`, of all that were seen.

    Raises
    ------
    SourceError
        The film cannot be read. Damage further on ends the frames instead, and `ending` tells.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | int,
        pipeline: Pipeline | None = None,
        settings: Watching | None = None,
        *,
        detector: Detector | None = None,
    ) -> None:
        self.settings = settings or Watching()
        self.pipeline = pipeline or Pipeline(FILM_MODEL, threads=1)
        self.segments: list[Segment] = []
        self.people: dict[int, Person] = {}
        spec = self.pipeline.model.spec
        self._recogniser = Steps(self.pipeline) if spec.causal else Windows(self.pipeline)
        self._tracker = Tracker(detector, self.settings.tracking)
        self._segmenter = Segmenter(self.names, self.settings.segmentation)
        posterior = self.pipeline.posterior
        self._finder = Finder(() if posterior is None else posterior.vocabulary.successions)
        self._neutral = Neutral(self.pipeline, self.settings.calibrate)
        self._before: tuple[float, set[int]] = (0.0, set())  # time and persons of the frame before
        self._stopped = False
        self.film = Film(source, self.settings.span)  # last: where anything else is wrong, nothing is open
        self._frames = self._watched()

    @property
    def names(self) -> tuple[str, ...]:
        """The answers that a face can get."""
        return self.pipeline.film_answers

    @property
    def ending(self) -> Ending:
        """How reading the film ended."""
        return self.film.ending

    def __iter__(self) -> Iterator[WatchedFrame]:
        # a generator that nothing else holds: a loop that is left drops it, and it closes the film
        try:
            yield from self._frames
        finally:
            self.close()

    def __next__(self) -> WatchedFrame:
        return next(self._frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Read no further frame; those that a model which looks both ways still holds do come.

        May be called from a signal handler or another thread.
        """
        self._stopped = True

    def close(self) -> None:
        """Stop at once; what was found stays, and segments that had not ended end here.

        For the thread that reads the frames; others call `stop`. A `Watch` that was read or closed has no
        frames left.
        """
        self._frames.close()
        self.film.close()
        self._end(None)

    def _watched(self) -> Generator[WatchedFrame, None, None]:
        for frame in self.film:
            tracked = self._tracker(frame.image, frame.time)
            seen = Seen(frame, tracked, self.pipeline.crops(frame.image, tracked.faces))
            for done, output in self._recogniser(seen):
                yield self._told(done, output)
            if self._stopped:
                break
        for done, output in self._recogniser.finish():
            yield self._told(done, output)
        self._end(None)

    def _told(self, seen: Seen, output: Output) -> WatchedFrame:
        """Return a frame with what a model says of its faces."""
        frame, track = seen.frame, seen.tracked.track
        without = self._neutral(track, frame.time, output)
        result = self.pipeline.told(output, seen.tracked.faces, track, self.film.name, without)
        p = result.choices[1]
        self._meet(frame.time, track.tolist(), p)
        ended = self._kept(self._segmenter.add(frame.time, track, p))
        ended += self._end(seen.tracked.ended)
        return WatchedFrame(frame.index, frame.time, frame.image, result, seen.crops, tuple(ended))

    def _meet(self, time: float, numbers: Sequence[int], p: NDArray[np.float32]) -> None:
        """Remember who was seen, and what they showed."""
        before, there = self._before
        for row, number in enumerate(numbers):
            person = self.people.get(number)
            if person is None:
                person = self.people[number] = Person(number, time, time, np.zeros(p.shape[1]))
            if number in there:
                person.seconds += time - before
            person.last, person.frames = time, person.frames + 1
            person.total += p[row]
        self._before = (time, set(numbers))

    def _kept(self, segments: Sequence[Segment]) -> list[Segment]:
        """Keep segments that are sure enough, and the emotions over time that they complete."""
        sure = [one for one in segments if one.intensity >= self.pipeline.reading.threshold]
        found = [*sure, *self._finder.add(sure)]
        self.segments += found
        return found

    def _end(self, tracks: Sequence[int] | None) -> list[Segment]:
        """End what persons show who are gone; None: all of them."""
        found = self._kept(self._segmenter.finish(tracks))
        self._finder.finish(tracks)
        for number in tracks or ():
            self._neutral.forget(number)
        return found


def watch(
    source: str | os.PathLike[str] | int,
    *,
    model: str | Path | Recogniser | None = None,
    emotions: Emotions | None = None,
    classes: Sequence[str] | None = None,
    settings: Watching | None = None,
) -> Watch:
    """Watch a film or a camera: an iterator of `WatchedFrame`, in constant memory.

    Parameters
    ----------
    source
        A film, ``"camera"``, or the number of a camera.
    model
        Name of an installed model or a model folder; None is the one for films that ships.
    emotions
        New emotions, as for `pyfer.predict`, and emotions over time: ``"fear -> happiness within 2 s"``.
    classes
        Only these basic emotions are possible.
    settings
        Which frames, how faces are tracked, segments, and a neutral face to take off.

    Raises
    ------
    SourceError
        The film cannot be read.
    ArgumentError, ModelError
        A parameter or the model is wrong.
    MissingExtraError
        PyAV is not installed.

    Examples
    --------
    >>> for frame in pyfer.watch("film.mp4"):                        # doctest: +SKIP
    ...     print(f"{frame.time:.2f}", frame.result.emotion)         # doctest: +SKIP
    """
    if classes is not None:
        classes = (classes,) if isinstance(classes, str) else tuple(classes)
    reading = Reading(classes=classes, emotions=emotions)
    named = FILM_MODEL if model is None else model
    return Watch(source, Pipeline(named, reading=reading, threads=1), settings)
