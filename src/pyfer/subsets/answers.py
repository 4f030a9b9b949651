"""What a model says about labelled faces: probabilities beside the truth, under a class prior."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import FaceData
from pyfer.emotions import canonical
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.evaluation import predictions
from pyfer.models import OnDone, Recogniser, shares
from pyfer.pipeline import Reading

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

PRIORS = ("uniform", "data", "model")
"""Class priors: all alike, the frequencies of the data, what the model's head speaks for."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says about n labelled faces."""

    probabilities: NDArray[np.floating[Any]]
    """(n, c), rows sum to 1."""
    truth: Integers
    """(n,) index of the true label, 0..c-1."""
    labels: tuple[str, ...]
    prior: tuple[float, ...] = ()
    """(c,) class prior that the probabilities speak for; empty means uniform."""
    subjects: NDArray[np.str_] | None = None
    """(n,) who is shown; an empty name is nobody else's."""
    unknown: tuple[str, ...] = ()
    """Labels of the data that the model does not know; their faces are not here."""

    def __post_init__(self) -> None:
        check(self.probabilities, self.truth, self.labels, self.subjects)

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, rows: Mask | Integers) -> Answers:
        subjects = None if self.subjects is None else self.subjects[rows]
        return replace(
            self, probabilities=self.probabilities[rows], truth=self.truth[rows], subjects=subjects
        )

    @property
    def counts(self) -> dict[str, int]:
        """Label -> faces."""
        found = np.bincount(self.truth, minlength=len(self.labels)).tolist()
        return dict(zip(self.labels, found, strict=True))

    def with_prior(self, prior: str) -> Answers:
        """Return the answers under another class prior, one of `PRIORS` (Bayes' rule, as `pyfer.Reading`).

        Parameters
        ----------
        prior
            ``uniform`` makes balanced accuracy largest, ``data`` (the frequencies of these faces) accuracy;
            ``model`` changes nothing.
        """
        if prior not in PRIORS:
            raise ArgumentError(
                f"prior={prior!r} must be one of {', '.join(PRIORS)}{did_you_mean(prior, PRIORS)}"
            )
        if prior == "model":
            return self
        # a label without a face is in no subset, but its weight must not be 0
        counts = np.maximum(list(self.counts.values()), 1.0)
        wanted = np.ones(len(self.labels)) if prior == "uniform" else counts
        weights = wanted / np.asarray(self.prior or np.ones(len(self.labels)))
        return replace(
            self,
            probabilities=shares(self.probabilities * weights),
            prior=tuple((wanted / wanted.sum()).tolist()),
        )

    def restricted(self, classes: Iterable[str]) -> Answers:
        """Return the faces of some classes with probabilities of these alone, in the order of `labels`."""
        wanted = {canonical(name, self.labels) for name in classes}
        columns = np.array([k for k, name in enumerate(self.labels) if name in wanted], np.int64)
        if len(columns) < 2:
            raise ArgumentError(f"classes={sorted(wanted)} must be two or more of {', '.join(self.labels)}")
        rows = np.flatnonzero(np.isin(self.truth, columns))
        return replace(
            self[rows],
            probabilities=shares(self.probabilities[np.ix_(rows, columns)]),
            truth=np.searchsorted(columns, self.truth[rows]).astype(np.int64),
            labels=tuple(self.labels[k] for k in columns.tolist()),
            prior=tuple(self.prior[k] for k in columns.tolist()) if self.prior else (),
        )


def read(
    model: Recogniser,
    data: FaceData,
    *,
    head: str | None = None,
    on_done: OnDone | None = None,
) -> Answers:
    """Return what a model says about the labelled faces of a data set, in the labels that both have.

    Parameters
    ----------
    model
        A loaded model, or what is like one.
    data
        Face crops. A face's truth is the label with more than half of its share; faces without one, and
        faces of labels that the model does not know, are left out.
    head
        Head of the model that speaks; None: the one named as the data's labels, or the model's first. The
        data's labels are those of this name, or its first.
    on_done
        Called now and then with (faces done, faces in all).

    Raises
    ------
    ArgumentError
        The model has no such head, or shares fewer than two labels with the data.
    """
    asked = head if head is not None and head in data.labels else next(iter(data.labels))
    names = [one.name for one in model.spec.heads]
    wanted = asked if head is None or head in data.labels else head
    speaker = model.spec.head(wanted if wanted in names or wanted != asked else None)
    named = data.labels[asked]
    shared = [k for k, name in enumerate(named) if name in speaker.labels]
    if len(shared) < 2:
        raise ArgumentError(
            f"model {model.spec.name!r} and the data must share two or more labels; head {speaker.name!r} "
            f"knows {', '.join(speaker.labels)}, the data {', '.join(named)}"
        )
    target = data.targets[asked]
    rows = (target.max(1) > 0.5) & np.isin(target.argmax(1), shared)
    labels = tuple(named[k] for k in shared)
    found = predictions(
        model,
        data[rows].of_classes(labels),
        Reading(head=speaker.name),
        head=asked,
        on_done=on_done,
    )
    return Answers(
        found.probabilities,
        found.truth,
        labels,
        tuple(speaker.prior[speaker.labels.index(name)] for name in labels) if speaker.prior else (),
        found.subjects,
        tuple(name for name in named if name not in labels),
    )


def check(
    probabilities: NDArray[Any], truth: NDArray[Any], labels: Sequence[str], subjects: NDArray[Any] | None
) -> None:
    """Raise `ArgumentError` where the arrays do not fit each other."""
    n, c = len(truth), len(labels)
    if probabilities.shape != (n, c):
        raise ArgumentError(
            f"probabilities has shape {probabilities.shape}; {n} truths of {c} labels need {(n, c)}"
        )
    if subjects is not None and len(subjects) != n:
        raise ArgumentError(f"subjects has {len(subjects)} rows for {n} truths; they must be equal")
    if n and (truth.min() < 0 or truth.max() >= c):
        raise ArgumentError(f"truth holds {truth.min()}..{truth.max()}; it must be an index of {c} labels")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise ArgumentError("probabilities must be finite numbers, 0 or more")
