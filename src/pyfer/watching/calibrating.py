"""The neutral faces of the persons of a film: given, or learned from their first seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyfer.baseline import Baseline
from pyfer.errors import ArgumentError
from pyfer.faces import Faces
from pyfer.models import Output
from pyfer.pipeline import Pipeline
from pyfer.sources import Source, read


class Neutral:
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
