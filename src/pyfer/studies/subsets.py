"""Fewer classes, easier ones and harder ones: what every subset of the emotions is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.evaluation import Interval, bootstrap
from pyfer.evaluation.intervals import clusters
from pyfer.maps.plots import line_chart
from pyfer.models import Model
from pyfer.studies.bench import Columns, columns, crossvalidated, registered, svm, trained, turned
from pyfer.studies.common import (
    DRAWS,
    Check,
    Floats,
    Integers,
    Outcome,
    Row,
    Setup,
    Study,
    ends,
    mean,
    points,
)
from pyfer.studies.faces import Faces, lab, wild
from pyfer.studies.learners import FEATURE
from pyfer.subsets import Answers, Settings, Table, measure, read
from pyfer.subsets.table import judged, rates

CLAIM = (
    "Fewer and more distinguishable classes are easier to tell apart; anger and disgust are hard, for they "
    "share what the face does (Jack, Garrod & Schyns 2014)."
)
HARD = ("anger", "disgust")
SETS: tuple[tuple[str, ...], ...] = (
    ("anger", "disgust"),
    ("fear", "surprise"),
    ("happiness", "sadness"),
    ("anger", "sadness"),
    ("happiness", "sadness", "surprise"),
    ("anger", "disgust", "fear"),
    ("anger", "fear", "sadness"),
    ("anger", "happiness", "sadness", "surprise"),
    ("anger", "disgust", "fear", "sadness"),
    ("anger", "fear", "happiness", "sadness", "surprise"),
)
"""Subsets that a machine is trained for, easy and hard ones; chosen before anything was measured."""
FEW = 3
"""Classes of the small subsets that are set against all classes."""
SHOWN = 4
"""Pairs shown at each end."""
FOLDS = 10


@dataclass(frozen=True, eq=False)
class Case:
    """What one method says of the faces of one place."""

    method: str
    place: str
    answers: Answers

    @property
    def name(self) -> str:
        """As in a legend."""
        return f"{self.method} {self.place}"

    @cached_property
    def even(self) -> Answers:
        """The answers where every class is expected to be as frequent: they make mean recall largest."""
        return self.answers.with_prior("uniform")

    @cached_property
    def table(self) -> Table:
        """All subsets, measured."""
        return measure(
            self.even.probabilities,
            self.even.truth,
            self.even.labels,
            subjects=self.even.subjects,
            settings=Settings(resamples=500),
        )


@dataclass(frozen=True, eq=False)
class Both:
    """A machine that knows all classes, restricted to some, beside one trained for these."""

    place: str
    classes: tuple[str, ...]
    rows: Integers
    """(m,) which of the n faces of the place they are."""
    hits: NDArray[np.bool_]
    """(2, m): restricted, trained."""


def run(setup: Setup) -> Outcome:
    """Measure every subset for two methods in two places; train machines for some of them."""
    there, here = wild(setup.wild, setup.seed), lab(setup.lab)
    train = there.train.sample(setup.sized(6000, 1000), setup.seed)
    test = there.test.sample(setup.sized(len(there.test), 300), setup.seed)
    pair = columns(setup, FEATURE, registered(setup, train.images), registered(setup, test.images))
    flat = turned(setup, FEATURE, registered(setup, here.images))
    outside, inside = partial(_in_wild, setup, pair, train, test), partial(_in_lab, setup, flat, here)
    cases = (
        Case("SVM", "in the wild", _answers(outside(test.labels), test, train)),
        Case("SVM", "in the lab", _answers(inside(here.labels), here, here)),
        Case("CNN", "in the wild", read(Model(), test.data, head=test.head)),
        Case("CNN", "in the lab", read(Model(), here.data)),
    )
    some = SETS[:: setup.sized(1, 4)]
    both = [*_both(cases[0], outside, some), *_both(cases[1], inside, some)]
    rows = [row for case in cases for row in (*_size_rows(setup, case), *_pair_rows(case))]
    return Outcome(
        (*rows, *_class_rows(setup, cases), *_both_rows(setup, cases, both)),
        _sentences(cases),
        _chart(setup, cases),
        _settings(setup, train, test, here),
        tuple(_checks(setup, cases, both)),
    )


# --- answers ----------------------------------------------------------------------------------------------

Ask = Callable[[Sequence[str]], Columns]
"""Some classes -> probabilities (m, k) of the faces of these, from a machine that was trained for them."""


def _only(faces: Faces, classes: Sequence[str]) -> tuple[NDArray[np.bool_], Integers]:
    """Return which faces (n,) are of some classes, and their truth as an index of `classes`."""
    place = np.array([list(classes).index(x) if x in classes else -1 for x in faces.labels])[faces.truth]
    return place >= 0, place[place >= 0].astype(np.int64)


def _in_wild(
    setup: Setup, pair: tuple[Columns, Columns], train: Faces, test: Faces, classes: Sequence[str]
) -> Columns:
    (some, truth), (asked, _) = _only(train, classes), _only(test, classes)
    settings = svm(setup, "rbf", (1.0, 3.0))
    x = {"sift": (pair[0][some], pair[1][asked])}
    return trained(setup, x, truth, settings, what=" ".join(classes))


def _in_lab(setup: Setup, flat: Columns, faces: Faces, classes: Sequence[str]) -> Columns:
    some, _ = _only(faces, classes)
    data = faces.data[some].of_classes(classes) if len(classes) < len(faces.labels) else faces.data
    part = replace(faces, data=data)
    settings = svm(setup, "linear", (3.0,))
    found = crossvalidated(setup, {"sift": flat[some]}, part, settings, k=FOLDS, what=" ".join(classes))
    return found[:, [part.labels.index(name) for name in classes]]


def _answers(probabilities: Columns, faces: Faces, learned: Faces) -> Answers:
    """Return answers; they speak for how frequent the classes were among the faces learned."""
    share = np.bincount(learned.truth, minlength=len(faces.labels)) / len(learned)
    return Answers(probabilities, faces.truth, faces.labels, tuple(share.tolist()), faces.subjects)


def _both(case: Case, ask: Ask, sets: Sequence[tuple[str, ...]]) -> Iterator[Both]:
    """Yield each set of classes that the place has, both ways."""
    answers = case.answers
    for wanted in sets:
        classes = tuple(name for name in answers.labels if name in wanted)
        if len(classes) < len(wanted):
            continue
        columns_ = [answers.labels.index(name) for name in classes]
        rows = np.flatnonzero(np.isin(answers.truth, columns_))
        restricted = answers.restricted(classes)
        hits = [p.argmax(axis=1) == restricted.truth for p in (restricted.probabilities, ask(classes))]
        yield Both(case.place, classes, rows, np.stack(hits))


# --- numbers ----------------------------------------------------------------------------------------------


def combined(setup: Setup, case: Case, weights: Floats) -> list[Interval]:
    """Return q weighted sums of the mean recalls of the m subsets of `case.table`, for weights (m, q)."""
    answers, members = case.even, case.table.members
    rate = rates(
        judged(answers.probabilities, answers.truth, members, "balanced").hits, answers.truth, members
    )
    found = bootstrap(
        lambda times: rate(times)[1] @ weights,
        [clusters(answers.subjects, len(answers))],
        draws=DRAWS // 4,
        seed=setup.seed,
    )
    return [each.scaled(100) for each in found]


def above_chance(size: Any) -> Any:
    """Return the factor a and the number b that turn mean recall r of `size` classes to ``a r - b``.

    It is 0 for guesses and 1 where all is right (Cohen's kappa of classes that are as frequent).
    """
    return 1 / (1 - 1 / size), 1 / (size - 1)


def _even_weights(mask: NDArray[np.bool_]) -> Floats:
    return np.asarray(mask / max(int(mask.sum()), 1), np.float64)


def _recall_gap(setup: Setup, case: Case) -> Interval:
    """Return the mean recall of the other classes less that of `HARD`, all classes being possible."""
    answers = case.even
    right = answers.probabilities.argmax(axis=1) == answers.truth
    member = np.eye(len(answers.labels))[answers.truth]
    hard = np.array([name in HARD for name in answers.labels])

    def measure_(times: Integers) -> Floats:
        total, found = times @ member, times @ (member * right[:, None])
        there, recall = total > 0, found / np.maximum(total, 1)
        gap = np.zeros(len(times))
        for some, sign in ((~hard, 1), (hard, -1)):
            count = there[:, some].sum(axis=1)  # a resample may lack a class; one that lacks all says nothing
            gap += sign * np.where(count > 0, recall[:, some].sum(axis=1) / np.maximum(count, 1), np.nan)
        return gap[:, None]

    population = [clusters(answers.subjects, len(answers))]
    return bootstrap(measure_, population, draws=DRAWS, seed=setup.seed)[0].scaled(100)


def _checks(setup: Setup, cases: Sequence[Case], both: Sequence[Both]) -> Iterator[Check]:
    for case in cases:
        size, place = case.table.size, f"for the {case.name}"
        few, everything = _even_weights(size == FEW), _even_weights(size == size.max())
        factors = [above_chance(k) for k in (FEW, int(size.max()))]
        fair = factors[0][0] * few - factors[1][0] * everything
        plain, corrected = combined(setup, case, np.stack([few - everything, fair], axis=1))
        shift = 100 * (factors[1][1] - factors[0][1])
        moved = Interval(corrected.value + shift, corrected.low + shift, corrected.high + shift)
        yield Check(f"{FEW} classes are easier than all {size.max()}", place, plain)
        yield Check(f"{FEW} classes are easier than all {size.max()}, chance taken off", place, moved)
        if set(HARD) <= set(case.table.labels):
            yield Check(
                "Anger and disgust are recognised less often than others", place, _recall_gap(setup, case)
            )
            pairs = _even_weights(size == 2) - _is_hard_pair(case.table)
            (gap,) = combined(setup, case, pairs[:, None])
            yield Check("Anger against disgust is harder than other pairs", place, gap)
    for case in cases:
        some = [each for each in both if each.place == case.place]
        if case.method == "SVM" and some:
            gain = mean(_gains(some, len(case.answers)), case.answers.subjects, setup.seed)
            yield Check("A machine trained for the subset beats the restricted one", case.place, gain)


def _is_hard_pair(table: Table) -> Floats:
    names = [table.names(k) for k in range(len(table))]
    return np.array([float(set(each) == set(HARD)) for each in names])


def _gains(some: Sequence[Both], n: int) -> Floats:
    """Return (n,) whose mean is the mean, over subsets, of what training for them gains."""
    found = np.zeros(n)
    for each in some:
        gain = each.hits[1].astype(np.float64) - each.hits[0]
        found[each.rows] += gain * n / len(each.rows) / len(some)
    return found


# --- tables, words, picture -------------------------------------------------------------------------------


def _by_size(setup: Setup, case: Case) -> list[tuple[int, Interval]]:
    size = case.table.size
    sizes = sorted(set(size.tolist()))
    weights = np.stack([_even_weights(size == k) for k in sizes], axis=1)
    return list(zip(sizes, combined(setup, case, weights), strict=True))


def _size_rows(setup: Setup, case: Case) -> Iterator[Row]:
    for size, each in _by_size(setup, case):
        factor, shift = above_chance(size)
        best, worst = case.table.best(size), case.table.of_size(size)[::-1].row(0)
        yield Row(
            f"number of classes, {case.name}",
            f"{size}",
            {
                "mean of the subsets": each,
                "chance taken off": factor * each.value - 100 * shift,
                "best subset": f"{100 * best.score:.1f} {', '.join(best.classes)}",
                "worst": f"{100 * worst.score:.1f} {', '.join(worst.classes)}",
            },
        )


def _pair_rows(case: Case) -> Iterator[Row]:
    pairs = list(case.table.pairs())
    shown = pairs if len(pairs) <= 2 * SHOWN else [*pairs[:SHOWN], *pairs[-SHOWN:]]
    for rank, pair in enumerate(pairs, start=1):
        if pair in shown or set(pair.classes) == set(HARD):
            low, high = pair.balanced_interval
            value = Interval(100 * pair.balanced, 100 * low, 100 * high)
            yield Row(
                f"pairs, hardest first, {case.name}",
                f"{rank}. {' and '.join(pair.classes)}",
                {"mean recall": value, "faces": pair.n},
            )


def _class_rows(setup: Setup, cases: Sequence[Case]) -> Iterator[Row]:
    """Yield for each class its recall among all, and how easy triples with it and without it are."""
    for case in cases:
        table, truth = case.table, case.even.truth
        right = case.even.probabilities.argmax(axis=1) == truth
        triples = table.size == FEW
        for k, label in enumerate(table.labels):
            rows = truth == k
            if not rows.any():
                continue
            subjects = None if case.even.subjects is None else case.even.subjects[rows]
            cells: dict[str, Any] = {"recall": mean(right[rows], subjects, setup.seed)}
            for name, mask in (("with", table.members[:, k]), ("without", ~table.members[:, k])):
                if (triples & mask).any():
                    cells[f"{FEW} classes {name} it"] = float(100 * table.balanced[triples & mask].mean())
            yield Row(f"classes, {case.name}", label, cells)


def _both_rows(setup: Setup, cases: Sequence[Case], both: Sequence[Both]) -> Iterator[Row]:
    subjects = {case.place: case.answers.subjects for case in cases if case.method == "SVM"}
    for each in both:
        names = subjects[each.place]
        known = None if names is None else names[each.rows]
        gain = mean(each.hits[1].astype(np.float64) - each.hits[0], known, setup.seed)
        yield Row(
            f"SVM {each.place}: restricted, and trained for the subset",
            ", ".join(each.classes),
            {
                "faces": len(each.rows),
                "restricted": float(100 * each.hits[0].mean()),
                "trained": float(100 * each.hits[1].mean()),
                "gain": points(gain),
            },
        )


def _sentences(cases: Sequence[Case]) -> tuple[str, ...]:
    said = []
    for case in cases:
        pairs = list(case.table.pairs())
        rank = [set(pair.classes) == set(HARD) for pair in pairs]
        text = (
            f"{case.name}: hardest pair {' and '.join(pairs[0].classes)} ({100 * pairs[0].score:.0f} %), "
            f"easiest {' and '.join(pairs[-1].classes)} ({100 * pairs[-1].score:.0f} %)"
        )
        if any(rank):
            text += f"; anger and disgust are number {rank.index(True) + 1} of {len(pairs)}, hardest first"
        said.append(f"{text}.")
    said.append(
        "Fewer classes are easier to guess, too; 'chance taken off' is 0 for guesses and 100 where all is "
        "right. The CNN never saw the faces of the lab."
    )
    return tuple(said)


def _chart(setup: Setup, cases: Sequence[Case]) -> NDArray[np.uint8]:
    series: dict[str, list[tuple[float, tuple[float, float, float]]]] = {
        case.name: [(float(size), ends(each)) for size, each in _by_size(setup, case)] for case in cases
    }
    sizes = sorted({x for line in series.values() for x, _ in line})
    series["guesses"] = [(x, (100 / x, 100 / x, 100 / x)) for x in sizes]
    return line_chart(
        series,
        title="All subsets of so many classes: mean recall, their mean",
        x_name="classes",
        y_name="per cent",
    )


def _settings(setup: Setup, train: Faces, test: Faces, here: Faces) -> dict[str, Any]:
    return {
        "wild": test.spec,
        "lab": here.spec,
        "faces of the wild": f"{len(train)} to learn from, {len(test)} to measure on",
        "faces of the lab": f"{len(here)}, {FOLDS} folds by person",
        "SVM": "SIFT of registered crops; RBF in the wild, C by inner folds; linear in the lab, C = 3",
        "CNN": "the one that ships; it never saw the faces of the lab",
        "measure": "mean recall of the classes, every class expected to be as frequent",
        "restricted and trained": "share of right answers, classes as frequent as in the data",
        "seed": setup.seed,
    }


STUDY = Study("subsets", CLAIM, run)
