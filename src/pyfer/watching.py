"""Watching a film: read, track, recognise frame by frame, and tell when emotions begin and end.

A `Watch` goes through a film or a camera once, in constant memory::

    with pyfer.watch("film.mp4") as watch:
        for frame in watch:                       # WatchedFrame: index, time, image, result, segments
            print(frame.time, frame.result.emotion)
    watch.segments, watch.people, watch.ending

A model with memory takes one step a frame and person. One that looks both ways waits for the frames that
follow, so its frames come later than they are read; one for stills answers for each frame by itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyfer.baseline import Baseline
from pyfer.errors import ArgumentError
from pyfer.faces import Detector, Faces
from pyfer.films import Ending, Film, Frame, Span
from pyfer.models import Memory, Model, Output, Recogniser
from pyfer.pipeline import Emotions, Pipeline, Reading
from pyfer.results import Result
from pyfer.segments import Segment, Segmentation, Segmenter
from pyfer.sources import Source, read
from pyfer.successions import Finder
from pyfer.tracking import Tracked, Tracker, Tracking

FILM_MODEL = "film"
"""Model for films where none is named: the one that ships."""
_THUMBNAIL = 64


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
    """What has ended with this frame: segments of emotions, and emotions over time."""


@dataclass
class Person:
    """Somebody in a film."""

    track: int
    first: float
    """Seconds of the first frame with this face."""
    last: float
    frames: int = 0
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Sum of the answers' probabilities over the frames."""


class Watch:
    """One way through a film; an iterator of `WatchedFrame` and a context manager.

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
        self.film = Film(source, self.settings.span)
        self.segments: list[Segment] = []
        self.people: dict[int, Person] = {}
        self._tracker = Tracker(detector, self.settings.tracking)
        self._neutral = _Neutral(self.pipeline, self.settings.calibrate)
        self._segmenter = Segmenter(self.names, self.settings.segmentation)
        posterior = self.pipeline.posterior
        self._finder = Finder(() if posterior is None else posterior.vocabulary.successions)
        spec = self.pipeline.model.spec
        self._recogniser = _Steps(self.pipeline) if spec.causal else _Windows(self.pipeline)
        self._frames = self._watched()

    @property
    def names(self) -> tuple[str, ...]:
        """The answers that a face can get."""
        posterior = self.pipeline.posterior
        return self.pipeline.labels if posterior is None else posterior.names

    @property
    def ending(self) -> Ending:
        """How reading the film ended."""
        return self.film.ending

    def __iter__(self) -> Iterator[WatchedFrame]:
        return self._frames

    def __next__(self) -> WatchedFrame:
        return next(self._frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop; what was found stays, and segments that had not ended end here."""
        self._frames.close()
        self.film.close()
        self._end(None)

    def _watched(self) -> Iterator[WatchedFrame]:
        for frame in self.film:
            tracked = self._tracker(frame.image, frame.time)
            seen = _Seen(frame, tracked, self.pipeline.crops(frame.image, tracked.faces))
            for done, output in self._recogniser(seen):
                yield self._told(done, output)
        last: WatchedFrame | None = None
        for done, output in self._recogniser.finish():
            if last is not None:
                yield last
            last = self._told(done, output)
        ended = self._end(None)
        if last is not None:
            yield replace(last, segments=(*last.segments, *ended))

    def _told(self, seen: _Seen, output: Output) -> WatchedFrame:
        """Return a frame with what a model says of its faces."""
        frame, track = seen.frame, seen.tracked.track
        without = self._neutral(track, frame.time, output)
        result = self.pipeline.told(output, seen.tracked.faces, track, self.film.name, without)
        p = result.choices[1]
        for row, number in enumerate(track.tolist()):
            person = self.people.setdefault(
                number, Person(number, frame.time, frame.time, 0, np.zeros(p.shape[1]))
            )
            person.last, person.frames = frame.time, person.frames + 1
            person.total += p[row]
        ended = self._kept(self._segmenter.add(frame.time, track, p))
        ended += self._end(seen.tracked.ended)
        return WatchedFrame(frame.index, frame.time, frame.image, result, seen.crops, tuple(ended))

    def _kept(self, segments: Sequence[Segment]) -> list[Segment]:
        """Keep segments, and the emotions over time that they complete."""
        found = [*segments, *self._finder.add(segments)]
        self.segments += found
        return found

    def _end(self, tracks: Sequence[int] | None) -> list[Segment]:
        """End what persons show who are gone; None: all of them."""
        found = self._kept(self._segmenter.finish(tracks))
        self._finder.finish(tracks)
        for number in tracks or ():
            self._neutral.forget(number)
        return found


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame before anything is known of its emotions."""

    frame: Frame
    tracked: Tracked
    crops: NDArray[np.uint8]


class _Steps:
    """Recognises frame by frame, with a memory of each person."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._memories: dict[int, tuple[Memory | None, float]] = {}

    def __call__(self, seen: _Seen) -> Iterator[tuple[_Seen, Output]]:
        """Yield the frames that can be told about now: this one."""
        time, numbers = seen.frame.time, seen.tracked.track.tolist()
        known = [self._memories.get(number, (None, time)) for number in numbers]
        output, after = self._pipeline.step(
            seen.crops, [memory for memory, _ in known], [time - before for _, before in known]
        )
        self._memories |= {number: (memory, time) for number, memory in zip(numbers, after, strict=True)}
        for number in seen.tracked.ended:
            self._memories.pop(number, None)
        yield seen, output

    def finish(self) -> Iterator[tuple[_Seen, Output]]:
        """Yield what is left: nothing."""
        yield from ()


class _Windows:
    """Recognises with a model that looks both ways: a quarter of a window of frames later.

    It holds a window of frames. When they are there it tells about the middle ones (at the film's beginning
    also about the first quarter), and keeps the last half: a quarter that it has told about, to look back to,
    and one that it has not.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        model = pipeline.model
        assert isinstance(model, Model)  # only a `Model` can look both ways
        self._model = model
        self._window = model.spec.window
        self._held: list[_Seen] = []
        self._told = 0

    def __call__(self, seen: _Seen) -> Iterator[tuple[_Seen, Output]]:
        """Yield the frames that can be told about now."""
        self._held.append(seen)
        if len(self._held) >= self._window:
            yield from self._tell(self._window - self._window // 4)
            gone = len(self._held) - self._window // 2
            self._held, self._told = self._held[gone:], self._told - gone

    def finish(self) -> Iterator[tuple[_Seen, Output]]:
        """Yield what is left."""
        yield from self._tell(len(self._held))
        self._held, self._told = [], 0

    def _tell(self, until: int) -> Iterator[tuple[_Seen, Output]]:
        places: dict[int, list[tuple[int, int]]] = {}
        for k, seen in enumerate(self._held):
            for row, number in enumerate(seen.tracked.track.tolist()):
                places.setdefault(number, []).append((k, row))
        films = [np.stack([self._held[k].crops[row] for k, row in own]) for own in places.values()]
        times = [[self._held[k].frame.time for k, _ in own] for own in places.values()]
        outputs = dict(zip(places, self._model.films(films, times), strict=True))
        nobody = self._model(np.zeros((0, *self._held[0].crops.shape[1:]), np.uint8)) if self._held else None
        for k in range(self._told, until):
            numbers = self._held[k].tracked.track.tolist()
            rows = [_row(outputs[number], places[number].index((k, i))) for i, number in enumerate(numbers)]
            assert nobody is not None
            yield self._held[k], _together(rows) if rows else nobody
        self._told = until


def _row(output: Output, k: int) -> Output:
    embedding = None if output.embedding is None else output.embedding[k : k + 1]
    return Output({head: p[k : k + 1] for head, p in output.probabilities.items()}, embedding)


def _together(rows: Sequence[Output]) -> Output:
    embeddings = [row.embedding for row in rows if row.embedding is not None]
    return Output(
        {head: np.concatenate([row.probabilities[head] for row in rows]) for head in rows[0].probabilities},
        np.concatenate(embeddings) if embeddings else None,
    )


class _Neutral:
    """The neutral faces of the persons of a film: given as a picture, or the first seconds of each."""

    def __init__(self, pipeline: Pipeline, calibrate: float | Source | None) -> None:
        self._pipeline = pipeline
        self._seconds = float(calibrate) if isinstance(calibrate, (int, float)) else 0.0
        self._given = None if calibrate is None or self._seconds else _of_picture(pipeline, calibrate)
        self._sums: dict[int, tuple[float, int, NDArray[np.float32]]] = {}

    def __call__(self, track: NDArray[np.int64], time: float, output: Output) -> Baseline | None:
        """Return what is to be taken off the faces of a frame, and learn from those of the first seconds."""
        if self._given is not None:
            return Baseline(np.repeat(self._given, len(track), axis=0))
        if not self._seconds or not len(track):
            return None
        logs = self._pipeline.neutral(output)
        off = np.zeros_like(logs)
        for row, number in enumerate(track.tolist()):
            since, count, total = self._sums.get(number, (time, 0, np.zeros_like(logs[row])))
            if time - since < self._seconds:
                self._sums[number] = (since, count + 1, total + logs[row])
            else:
                off[row] = total / count
        return Baseline(off)

    def forget(self, number: int) -> None:
        """Forget a person who is gone."""
        self._sums.pop(number, None)


def _of_picture(pipeline: Pipeline, picture: object) -> NDArray[np.float32]:
    """Return (1, c) of the largest face of a picture."""
    image = read(picture)  # type: ignore[arg-type]
    faces: Faces = pipeline.detector(image).largest()
    if not len(faces):
        raise ArgumentError("calibrate: there is no face in the picture; give one of the neutral face")
    return pipeline.neutral(pipeline.model(pipeline.crops(image, faces)))


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
    return Watch(source, Pipeline(model or FILM_MODEL, reading=reading, threads=1), settings)
