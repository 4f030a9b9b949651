"""What a model says about a labelled data set, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import FaceData
from pyfer.errors import ArgumentError
from pyfer.evaluation.scores import Scores, score
from pyfer.models import Head, OnDone, Recogniser, shares

if TYPE_CHECKING:
    from pyfer.pipeline import Reading

CHUNK = 512
"""Faces between two calls of ``on_done``: about half a second."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's probabilities for the faces of a data set that have a clear label."""

    probabilities: NDArray[np.float32]
    """(n, c), rows sum to 1."""
    truth: NDArray[np.int64]
    """(n,) indices of the true labels."""
    labels: tuple[str, ...]
    """The c labels of the data set, in its order."""
    faces: FaceData
    """The n faces, for their names and pictures."""
    subjects: NDArray[np.str_] | None = None
    """(n,) who is shown, where the data set says so."""
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    """What is known of the persons, as ``"age"`` -> (n,) names of groups; empty where it is not said."""

    def score(self, *, bootstrap: int = 0, seed: int = 0) -> Scores:
        """Return the scores, with intervals from so many resamples (see `score`)."""
        return score(
            self.probabilities,
            self.truth,
            self.labels,
            subjects=self.subjects,
            bootstrap=bootstrap,
            seed=seed,
        )


def predictions(
    model: Recogniser,
    data: FaceData,
    reading: Reading | None = None,
    *,
    head: str | None = None,
    flip: bool = False,
    on_done: OnDone | None = None,
) -> Predictions:
    """Let a model look at the labelled faces of a data set.

    Parameters
    ----------
    model
        A loaded model.
    data
        Face crops with labels. A face's truth is the label with more than half of its share; faces
        without one are left out.
    reading
        How the probabilities are read (`pyfer.Reading`): its ``classes`` restrict the faces and the answers,
        its ``prior`` says how often each emotion is to be expected, its ``head`` which of the model's heads
        speaks. Emotions and threshold make no difference here.
    head
        Head of the data's labels; None takes the only one, or the first.
    flip
        Average the probabilities of each crop and its mirror image (twice the cost).
    on_done
        Called now and then with (faces done, faces in all).

    Notes
    -----
    The model's head of the same name speaks, or its default head. Labels that the data set does not have are
    ruled out (their probability goes to the others), so all models are judged on the same question.

    Raises
    ------
    ArgumentError
        The data set has a label that the model does not know, or no face with a clear label.
    """
    if reading is not None and reading.classes is not None:
        data = data.of_classes(reading.classes)
    head = head or next(iter(data.labels))
    data = data.labelled(head)
    target = data.targets[head]
    clear = target.max(1, initial=0) > 0.5
    data, target = data[clear], target[clear]
    if not len(data):
        raise ArgumentError(
            f"data has no face with a clear {head} label; there must be at least one labelled face to score"
        )
    speaker = _speaker(model, head, reading)
    columns = _columns(model, speaker, data.labels[head])
    factor: Any = 1.0 if reading is None else reading.factor(speaker)
    p = _answers(model, speaker.name, data.images, flip, on_done) * factor
    truth = target.argmax(1).astype(np.int64)
    return Predictions(shares(p[:, columns]), truth, data.labels[head], data, data.subjects, data.groups)


def evaluate(
    model: Recogniser,
    data: FaceData,
    *,
    head: str | None = None,
    flip: bool = False,
    bootstrap: int = 0,
    on_done: OnDone | None = None,
) -> Scores:
    """Score a model on the labelled faces of a data set; `predictions` and `score` in one step.

    The parameters are theirs.
    """
    return predictions(model, data, head=head, flip=flip, on_done=on_done).score(bootstrap=bootstrap)


def _speaker(model: Recogniser, head: str, reading: Reading | None) -> Head:
    """Return the head of the model that answers."""
    if reading is not None and reading.head is not None:
        return model.spec.head(reading.head)
    names = [each.name for each in model.spec.heads]
    return model.spec.head(head if head in names else None)


def _columns(model: Recogniser, speaker: Head, labels: tuple[str, ...]) -> list[int]:
    """Return where the labels of the data stand in the answers."""
    unknown = [name for name in labels if name not in speaker.labels]
    if unknown:
        raise ArgumentError(
            f"model {model.spec.name!r} does not know the labels {', '.join(unknown)} of this data set; "
            f"--classes restricts both to what is known ({', '.join(speaker.labels)})"
        )
    return [speaker.labels.index(name) for name in labels]


def _answers(
    model: Recogniser, speaker: str, images: NDArray[np.uint8], flip: bool, on_done: OnDone | None
) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        p = model(some).probabilities[speaker]
        if flip:
            p = p + model(np.ascontiguousarray(some[:, :, ::-1])).probabilities[speaker]
        parts.append(p)
        if on_done is not None:
            on_done(start + len(some), len(images))
    return np.concatenate(parts)
