"""Faces of a laboratory against faces of the wild, for a support vector machine and for networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import folds
from pyfer.errors import ArgumentError
from pyfer.evaluation import Interval, bootstrap
from pyfer.evaluation.intervals import clusters
from pyfer.features import Registration
from pyfer.studies.bench import Columns, Crops, cached, digest
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
    macro_recall,
    mean,
    points,
)
from pyfer.studies.degrade import DEGRADATIONS
from pyfer.studies.faces import Faces, lab, wild
from pyfer.studies.learners import EPOCHS, FEATURE, SMALL, SVM, Answer, Learner, shipped
from pyfer.studies.panels import Panel, panels

CLAIM = (
    "Machines on handmade features do well on posed faces of a laboratory and worse in the wild, where "
    "networks lead (Li & Deng 2020, survey); what is learned in one place does badly in the other."
)
FOLDS = 5
"""In the lab, by person: few, because a network is trained for each."""
BASE = "shipped CNN"
"""Trained on FER2013 with FER+ votes: at home in the wild, a guest in the lab."""
PLACES = ("in the lab", "in the wild")
IN_LAB, IN_WILD = PLACES
Version = tuple[str, float]
"""Degradation, strength; the first of several is the faces as they are."""
AS_IS: Version = ("", 0.0)


@dataclass(frozen=True, eq=False)
class Test:
    """Faces to measure on, and what each method says of them."""

    faces: Faces
    versions: tuple[Version, ...]
    said: Mapping[str, Columns]
    """Method -> probabilities (versions, n, c)."""
    guest: Mapping[str, tuple[Columns, tuple[str, ...]]]
    """Method that learned in the other place -> probabilities (n, k) of the plain faces, its k labels."""

    def rows(self, name: str) -> list[int]:
        """Return which versions are of a degradation."""
        return [k for k, each in enumerate(self.versions) if each[0] == name]

    def hits(self, method: str) -> NDArray[np.bool_]:
        """Return (versions, n): right answers among all classes of the place."""
        return np.asarray(self.said[method].argmax(axis=2) == self.faces.truth)

    def common(self, method: str, classes: Sequence[str]) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """Return answers, truth (m,) as indices of `classes`, and which faces (n,) these are.

        Faces of other classes are left out, and no other class can be the answer.
        """
        p, labels = self.guest.get(method) or (self.said[method][0], self.faces.labels)
        own = np.array([list(classes).index(x) if x in classes else -1 for x in self.faces.labels])
        rows = own[self.faces.truth] >= 0
        answer = p[rows][:, [labels.index(name) for name in classes]].argmax(axis=1)
        return answer.astype(np.int64), own[self.faces.truth[rows]].astype(np.int64), rows


def run(setup: Setup) -> Outcome:
    """Train in both places, and measure in both, on faces as they are and made worse."""
    there, here = wild(setup.wild, setup.seed), lab(setup.lab)
    classes = tuple(name for name in here.labels if name in there.test.labels)
    if len(classes) < 2:
        raise ArgumentError(f"lab={setup.lab!r} and wild={setup.wild!r} must share two classes or more")
    train = there.train.sample(setup.sized(8000, 1200), setup.seed)
    test = there.test.sample(setup.sized(1000, 200), setup.seed)

    @cache
    def machine() -> Answer:  # costly, and wanted in both places
        return SVM.learn(setup, train, SVM.see(setup, train.images))

    tests = {
        IN_LAB: _in_lab(setup, here, train, machine),
        IN_WILD: _in_wild(setup, train, test, here, machine),
    }
    rows = (*_trained_rows(setup, tests, classes), *_degraded_rows(setup, tests))
    return Outcome(
        rows,
        _sentences(setup, tests, classes),
        _chart(setup, tests),
        _settings(setup, tests, train, classes),
        _checks(setup, tests, classes),
    )


# --- answers ----------------------------------------------------------------------------------------------


def versions_of(setup: Setup) -> tuple[Version, ...]:
    """Return which versions of the faces are measured; a quick run takes the strongest alone."""
    first = setup.sized(0, -1)
    made = ((name, x) for name, each in DEGRADATIONS.items() for x in each.strengths[first:])
    return (AS_IS, *made)


def versions(setup: Setup, crops: Crops) -> list[Crops]:
    """Return the crops as they are and each degraded version, as `versions_of` says."""

    def compute() -> NDArray[Any]:
        marks, found = Registration().landmarks(crops)
        return np.column_stack([marks.reshape(-1, 10), found])

    known = cached(setup, {"what": "covers", "crops": digest(crops)}, compute)
    marks = known[:, :10].reshape(-1, 5, 2)
    return [DEGRADATIONS[name](crops, x, marks) if name else crops for name, x in versions_of(setup)]


def _in_lab(setup: Setup, faces: Faces, train: Faces, machine: Callable[[], Answer]) -> Test:
    """Ask methods that learned from the other folds; the guests learned in the wild, from `train`."""
    said = {method.name: _by_folds(setup, method, faces) for method in (SVM, SMALL)}
    said[BASE] = _asked(setup, shipped(faces), faces, BASE)
    key = _key(setup, faces, {"what": "from the wild", "feature": FEATURE, "train": _mark(train)})
    guest = cached(setup, key, lambda: machine()(SVM.see(setup, faces.images)))
    return Test(faces, versions_of(setup), said, {f"{SVM.name} from the wild": (guest, train.labels)})


def _in_wild(setup: Setup, train: Faces, test: Faces, other: Faces, machine: Callable[[], Answer]) -> Test:
    """Ask methods that learned from other faces of the wild; the guests learned from the lab's faces."""
    key = {"what": "wild", "feature": FEATURE, "train": _mark(train)}

    def compute() -> NDArray[Any]:
        return np.stack([machine()(SVM.see(setup, each)) for each in versions(setup, test.images)])

    said = {SVM.name: cached(setup, _key(setup, test, key), compute)}
    said[BASE] = _asked(setup, shipped(test), test, BASE)
    guests = {f"{method.name} from the lab": (_guest(setup, method, other, test), other.labels)
              for method in (SVM, SMALL)}  # fmt: skip
    return Test(test, versions_of(setup), said, guests)


def _by_folds(setup: Setup, method: Learner, faces: Faces) -> Columns:
    def compute() -> NDArray[Any]:
        fold = folds(faces.subjects, faces.truth, FOLDS, setup.seed)
        seen = [method.see(setup, each) for each in versions(setup, faces.images)]
        found = np.zeros((len(seen), len(faces), len(faces.labels)), np.float32)
        for k in range(FOLDS):
            answer = method.learn(setup, faces[fold != k], seen[0][fold != k])
            for version, each in zip(found, seen, strict=True):
                version[fold == k] = answer(each[fold == k])
            setup.say(f"{method.name} in the lab, folds", k + 1, FOLDS)
        return found

    key = {"what": "labwild folds", "method": method.name, "feature": FEATURE, "k": FOLDS}
    return cached(setup, _key(setup, faces, key), compute)


def _asked(setup: Setup, answer: Answer, faces: Faces, name: str) -> Columns:
    def compute() -> NDArray[Any]:
        found = []
        for k, each in enumerate(versions(setup, faces.images)):
            found.append(answer(each))
            setup.say(f"{name}, versions of the faces", k + 1, len(versions_of(setup)))
        return np.stack(found)

    return cached(setup, _key(setup, faces, {"what": "labwild asked", "method": name}), compute)


def _guest(setup: Setup, method: Learner, train: Faces, test: Faces) -> Columns:
    def compute() -> NDArray[Any]:
        answer = method.learn(setup, train, method.see(setup, train.images))
        return answer(method.see(setup, test.images))

    key = {"what": "guest", "method": method.name, "feature": FEATURE}
    return cached(setup, _key(setup, test, {**key, "train": _mark(train)}), compute)


def _key(setup: Setup, faces: Faces, key: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **key,
        **{"seed": setup.seed, "quick": setup.quick, "versions": versions_of(setup)},
        "faces": _mark(faces),
    }


def _mark(faces: Faces) -> str:
    """Return a fingerprint of faces and their labels."""
    return digest(faces.images, faces.truth)


# --- numbers ----------------------------------------------------------------------------------------------


def between(first: Any, second: Any, names: tuple[Any, Any], seed: int = 0) -> Interval:
    """Return the mean of (n,) values less that of (m,) others, of other faces, in points.

    `names` are the persons of both, or None where they are not known.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)

    def measure(times: Integers, others: Integers) -> Floats:
        gap = times @ a / times.sum(axis=1) - others @ b / others.sum(axis=1)
        return np.asarray(gap)[:, None]

    units = [clusters(names[0], len(a)), clusters(names[1], len(b))]
    return bootstrap(measure, units, draws=DRAWS, seed=seed)[0].scaled(100)


def _trained_rows(setup: Setup, tests: Mapping[str, Test], classes: Sequence[str]) -> list[Row]:
    """Return a row for each method in each place."""
    rows = []
    for place, test in tests.items():
        for method in (*test.said, *test.guest):
            answer, truth, some = test.common(method, classes)
            names = None if test.faces.subjects is None else test.faces.subjects[some]
            cells: dict[str, Any] = {}
            if method in test.said:
                cells["its classes"] = mean(test.hits(method)[0], test.faces.subjects, setup.seed)
            cells["common classes"] = mean(answer == truth, names, setup.seed)
            cells["mean recall of these"] = macro_recall(answer, truth, names, setup.seed)
            rows.append(Row(f"faces {place}", method, cells))
    return rows


def _degraded_rows(setup: Setup, tests: Mapping[str, Test]) -> list[Row]:
    return [
        Row(f"faces {place}, made worse", f"{name} {strength:g}" if name else "as they are", {
            method: mean(test.hits(method)[k], test.faces.subjects, setup.seed) for method in test.said})
        for place, test in tests.items()
        for k, (name, strength) in enumerate(test.versions)
    ]  # fmt: skip


def _rival(place: str) -> str:
    """Return the network that learned in a place."""
    return SMALL.name if place == IN_LAB else BASE


def _losses(test: Test, method: str) -> Floats:
    """Return (n,) what being made worse costs: right as it is, less the mean over all other versions."""
    hits = test.hits(method).astype(np.float64)
    return np.asarray(hits[0] - hits[1:].mean(axis=0))


def _leads(tests: Mapping[str, Test]) -> dict[str, Floats]:
    """Return place -> (n,) network right less machine right."""
    return {
        place: test.hits(_rival(place))[0].astype(np.float64) - test.hits(SVM.name)[0]
        for place, test in tests.items()
    }


def _checks(setup: Setup, tests: Mapping[str, Test], classes: Sequence[str]) -> tuple[Check, ...]:
    inside, outside = tests[IN_LAB], tests[IN_WILD]
    names = (outside.faces.subjects, inside.faces.subjects)
    leads = _leads(tests)
    right = {}
    for place, test in tests.items():
        answer, truth, some = test.common(SVM.name, classes)
        right[place] = (answer == truth, None if test.faces.subjects is None else test.faces.subjects[some])
    worse = between(right[IN_LAB][0], right[IN_WILD][0], (right[IN_LAB][1], right[IN_WILD][1]), setup.seed)
    more = between(leads[IN_WILD], leads[IN_LAB], names, setup.seed)
    found = [
        Check("The SVM does worse in the wild than in the lab", "on the common classes", worse),
        Check("The SVM beats a small CNN trained on the same faces", IN_LAB,
              mean(-leads[IN_LAB], inside.faces.subjects, setup.seed)),
        Check("The shipped CNN beats the SVM", IN_WILD,
              mean(leads[IN_WILD], outside.faces.subjects, setup.seed)),
        Check("The CNN's lead is larger in the wild", "against the lab", more),
    ]  # fmt: skip
    for place, test in tests.items():
        cost = _losses(test, SVM.name) - _losses(test, _rival(place))
        claim = f"Faces made worse cost the SVM more than the {_rival(place)}"
        found.append(Check(claim, place, mean(cost, test.faces.subjects, setup.seed)))
    for place, test in tests.items():
        guest = next(iter(test.guest))
        home, truth, some = test.common(SVM.name, classes)
        away, _, _ = test.common(guest, classes)
        subjects = None if test.faces.subjects is None else test.faces.subjects[some]
        gap = (home == truth).astype(np.float64) - (away == truth)
        found.append(
            Check(f"The {guest} does worse than one of the place", place, mean(gap, subjects, setup.seed))
        )
    return tuple(found)


# --- words and picture ------------------------------------------------------------------------------------


def _sentences(setup: Setup, tests: Mapping[str, Test], classes: Sequence[str]) -> tuple[str, ...]:
    said = []
    for place, test in tests.items():
        for method in (SVM.name, _rival(place)):
            cost = {
                name: test.hits(method)[0].mean() - test.hits(method)[test.rows(name)].mean()
                for name in DEGRADATIONS
            }
            hardest, least = max(cost, key=lambda x: cost[x]), min(cost, key=lambda x: cost[x])
            all_ = mean(-_losses(test, method), test.faces.subjects, setup.seed)
            said.append(
                f"{place.capitalize()}, faces made worse move the {method} by {points(all_)} points on "
                f"average: by {-100 * cost[hardest]:+.1f} for {hardest}, "
                f"by {-100 * cost[least]:+.1f} for {least}."
            )
    said.append(
        f"Common classes: {', '.join(classes)}. The shipped CNN has learned from more faces and more votes "
        "than the SVM, and from none of the lab; the small CNN has learned from the lab's few faces alone."
    )
    return tuple(said)


def _chart(setup: Setup, tests: Mapping[str, Test]) -> NDArray[np.uint8]:
    groups = {}
    for place, test in tests.items():
        groups[f"faces {place}: per cent right"] = [
            _panel(setup, test, name) for name in DEGRADATIONS
        ]  # fmt: skip
    return panels(groups, "Faces made worse: left as they are, then ever stronger")


def _panel(setup: Setup, test: Test, name: str) -> Panel:
    rows = [0, *test.rows(name)]
    ticks = ("as is", *(f"{test.versions[k][1]:g}" for k in rows[1:]))
    lines = {
        method: [ends(mean(test.hits(method)[k], test.faces.subjects, setup.seed)) for k in rows]
        for method in test.said
    }
    return Panel(f"{name} ({DEGRADATIONS[name].unit})", ticks, lines)


def _settings(
    setup: Setup, tests: Mapping[str, Test], train: Faces, classes: Sequence[str]
) -> dict[str, Any]:
    inside, outside = (tests[place].faces for place in PLACES)
    return {
        "lab": inside.spec,
        "wild": outside.spec,
        "faces of the lab": f"{len(inside)}, {FOLDS} folds by person",
        "faces of the wild": f"{len(train)} to learn from, {len(outside)} to measure on",
        "SVM": "SIFT on a grid of registered crops, 400 components, RBF; C among 1 and 3 by inner folds",
        "small CNN": f"three residual blocks from noise, {EPOCHS} epochs, changed copies of the faces",
        "classes of the lab": ", ".join(inside.labels),
        "classes of the wild": ", ".join(outside.labels),
        "common classes": ", ".join(classes),
        "seed": setup.seed,
    }


STUDY = Study("labwild", CLAIM, run)
