"""From the faces of frames to what a model says: frame by frame, or in windows that look both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.films import Frame
from pyfer.models import Memory, Model, Output
from pyfer.pipeline import Pipeline
from pyfer.tracking import Tracked


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame before anything is known of its emotions."""

    frame: Frame
    tracked: Tracked
    crops: NDArray[np.uint8]


class Steps:
    """Recognises frame by frame, with a memory of each person."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._memories: dict[int, tuple[Memory | None, float]] = {}

    def __call__(self, seen: Seen) -> Iterator[tuple[Seen, Output]]:
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

    def finish(self) -> Iterator[tuple[Seen, Output]]:
        """Yield what is left: nothing."""
        yield from ()


class Windows:
    """Recognises with a model that looks both ways: a quarter of a window of frames later.

    It holds a window of frames. When they are there it tells about the middle ones (at the film's beginning
    also about the first quarter), and keeps the last half: a quarter that it has told about, to look back to,
    and one that it has not.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        model = pipeline.model
        if not isinstance(model, Model):
            raise ArgumentError(
                "model looks both ways and is no pyfer.Model: give it a state and step(), or make it a folder"
            )
        self._model = model
        self._window = model.spec.window
        self._held: list[Seen] = []
        self._told = 0

    def __call__(self, seen: Seen) -> Iterator[tuple[Seen, Output]]:
        """Yield the frames that can be told about now."""
        if len(self._held) == self._window:  # and not the film's last: that window is told to its end
            yield from self._tell(self._window - self._window // 4)
            gone = self._window - self._window // 2
            self._held, self._told = self._held[gone:], self._told - gone
        self._held.append(seen)

    def finish(self) -> Iterator[tuple[Seen, Output]]:
        """Yield what is left."""
        yield from self._tell(len(self._held))
        self._held, self._told = [], 0

    def _tell(self, until: int) -> Iterator[tuple[Seen, Output]]:
        if until <= self._told:
            return
        places: dict[int, list[tuple[int, int]]] = {}
        for k, seen in enumerate(self._held):
            for row, number in enumerate(seen.tracked.track.tolist()):
                places.setdefault(number, []).append((k, row))
        films = [np.stack([self._held[k].crops[row] for k, row in own]) for own in places.values()]
        times = [[self._held[k].frame.time for k, _ in own] for own in places.values()]
        outputs = self._model.films(films, times)
        said = {
            place: _row(output, t)
            for own, output in zip(places.values(), outputs, strict=True)
            for t, place in enumerate(own)
        }
        nobody = self._model(self._held[0].crops[:0])
        for k in range(self._told, until):
            seen = self._held[k]
            rows = [said[k, row] for row in range(len(seen.crops))]
            yield seen, _together(rows) if rows else nobody
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
