"""Subsets chosen on some faces and measured on others, and models trained for a subset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.evaluation import Interval, McNemar, bootstrap, mcnemar
from pyfer.evaluation.intervals import clusters
from pyfer.subsets.answers import Answers, Integers, Mask, check
from pyfer.subsets.table import Settings, Subset, Table, check_size, judged, measure, rates


@dataclass(frozen=True)
class Choice:
    """A subset that was chosen on some faces, and how it does on others."""

    chosen: Subset
    """As it looked where it was chosen: too good, the more so the more subsets there were."""
    measured: Subset
    """As it is on faces that had no say in the choice."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them."""
        return {"chosen": self.chosen.to_dict(), "measured": self.measured.to_dict()}


@dataclass(frozen=True, eq=False)
class Study:
    """Every subset on all faces, and again on the faces for the choice and on those for the measurement."""

    table: Table
    """On all faces: good for a look at all subsets, too good for the best ones."""
    pairs: Table
    """The subsets of two classes on all faces, hardest first."""
    choosing: Table
    """The subsets to choose from, on the faces for the choice."""
    measuring: Table
    """The same subsets and perhaps others, on the faces for the measurement."""

    def best(self, size: int) -> Choice | None:
        """Return the best subset of `size` classes; None where none has faces on both sides."""
        return self._measured(self.choosing.best(size)) if size in self.choosing.size else None

    def largest(self, at_least: float = 0.95, *, surely: bool = False) -> Choice | None:
        """Return the choice of `Table.largest`; None where no subset reaches `at_least`."""
        chosen = self.choosing.largest(at_least, surely=surely)
        return self._measured(chosen) if chosen else None

    def _measured(self, chosen: Subset) -> Choice:
        return Choice(chosen, self.measuring.of(chosen.classes))


def study(answers: Answers, *, choose_on: Answers | None = None, settings: Settings | None = None) -> Study:
    """Measure every subset, and choose the best ones on other faces than they are judged by.

    Parameters
    ----------
    answers
        What a model says about the faces, under the class prior that is wanted.
    choose_on
        What it says about the faces to choose on; None: one half of `answers` is for the choice and the
        other for the measurement, see `halves`.
    settings
        See `Settings`.

    Raises
    ------
    ArgumentError
        There are too few faces: each side needs some of the same two classes.
    """
    settings = settings or Settings()
    table = _measured(answers, settings)
    if choose_on is None:
        half = halves(answers.truth, answers.subjects, seed=settings.seed)
        choosing, measuring = (_measured_part(answers[rows], settings) for rows in (half, ~half))
    else:
        choosing, measuring = _measured_part(choose_on, settings), table
    known = {frozenset(measuring.names(k)) for k in range(len(measuring))}
    both = [frozenset(choosing.names(k)) in known for k in range(len(choosing))]
    if not any(both):
        raise ArgumentError(
            "no subset has faces both to choose on and to measure on; use more faces, or other sizes"
        )
    pairs = table if 2 in table.size else _measured(answers, replace(settings, sizes=(2,)))
    return Study(table, pairs.pairs(), choosing[np.array(both)], measuring)


def _measured(answers: Answers, settings: Settings) -> Table:
    return measure(
        answers.probabilities, answers.truth, answers.labels, subjects=answers.subjects, settings=settings
    )


def _measured_part(answers: Answers, settings: Settings) -> Table:
    """Measure the faces of one side, which may lack classes: only the sizes that it allows."""
    there = len(np.unique(answers.truth))
    sizes = settings.sizes and tuple(size for size in settings.sizes if size <= there)
    if there < 2 or sizes == ():
        raise ArgumentError(
            f"one side of the choice has faces of {there} classes, too few for these sizes; use more faces"
        )
    return _measured(answers, replace(settings, sizes=sizes))


def halves(truth: Integers, subjects: NDArray[np.str_] | None = None, *, seed: int = 0) -> Mask:
    """Return (n,) True for about one half of the faces of each class; no person is on both sides.

    Persons are dealt out in random order, those with the most faces first; each goes where the shares of the
    classes come out more even.
    """
    rng = np.random.default_rng(seed)
    found = clusters(subjects, len(truth))
    persons = np.arange(found) if isinstance(found, int) else found
    weight = 1 / np.maximum(np.bincount(truth), 1)
    faces = np.zeros((int(persons.max(initial=-1)) + 1, len(weight)))
    np.add.at(faces, (persons, truth), weight[truth])
    order = rng.permutation(len(faces))
    order = order[np.argsort(-np.bincount(persons)[order], kind="stable")]
    lead, first = np.zeros(len(weight)), np.zeros(len(faces), bool)
    for person in order.tolist():
        other = float(lead @ faces[person])
        first[person] = other < 0 or (abs(other) < 1e-12 and rng.random() < 0.5)
        lead += faces[person] if first[person] else -faces[person]
    return first[persons]


# --- a model trained for a subset -------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """A model that knows more classes, restricted to some, beside one trained for these: on the same faces.

    A gain is what the trained one has more, with an interval that holds 95 %.
    """

    classes: tuple[str, ...]
    n: int
    accuracy: tuple[float, float]
    """Of the full model and of the trained one, as are all pairs below."""
    balanced: tuple[float, float]
    accuracy_gain: Interval
    balanced_gain: Interval
    test: McNemar
    """Whether both are right equally often; it takes faces for independent, which those of one person are
    not quite."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them."""
        return asdict(self)


def compare(
    full: NDArray[np.floating[Any]],
    trained: NDArray[np.floating[Any]],
    truth: Integers,
    classes: Sequence[str],
    *,
    subjects: NDArray[np.str_] | None = None,
    settings: Settings | None = None,
) -> Comparison:
    """Compare two models on the faces of a subset.

    Parameters
    ----------
    full, trained
        (n, k) probabilities of the same faces, of the k classes alone (`Answers.restricted`).
    truth
        (n,) index of the true label, 0..k-1.
    classes
        k names.
    subjects
        (n,) who is shown; persons are resampled then, not faces.
    settings
        Resamples and seed.

    Notes
    -----
    The intervals are percentiles of a paired bootstrap (Efron 1979): both models are judged on each resample.
    """
    settings = settings or Settings()
    for each in (full, trained):
        check(each, truth, classes, subjects)
    there = np.bincount(truth, minlength=len(classes)) > 0
    check_size(int(there.sum()))
    everyone = np.ones((1, len(classes)), bool)
    hits = np.concatenate([judged(each, truth, everyone, settings.by).hits for each in (full, trained)])
    rate = rates(hits, truth, np.stack([there, there]))
    gains = bootstrap(
        lambda times: np.stack([pair[:, 1] - pair[:, 0] for pair in rate(times)], axis=1),
        [clusters(subjects, len(truth))],
        draws=settings.resamples,
        seed=settings.seed,
    )
    accuracy, balanced = (pair[0].tolist() for pair in rate(np.ones((1, len(truth)))))
    test = mcnemar(int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum()))
    return Comparison(
        classes=tuple(classes),
        n=len(truth),
        accuracy=(accuracy[0], accuracy[1]),
        balanced=(balanced[0], balanced[1]),
        accuracy_gain=gains[0],
        balanced_gain=gains[1],
        test=test,
    )
