"""Which handmade feature tells emotions apart, and whether they add anything to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.evaluation import Interval
from pyfer.maps.plots import bar_chart
from pyfer.studies.bench import (
    BASIS,
    Columns,
    columns,
    crossvalidated,
    fused,
    network,
    registered,
    svm,
    trained,
    turned,
)
from pyfer.studies.common import Check, Outcome, Row, Setup, Study, ends, macro_recall, mean
from pyfer.studies.faces import Faces, lab, wild

Hits = NDArray[np.bool_]

CLAIM = (
    "HOG beats LBP (Carcagnì et al. 2015); combined features beat single ones; handmade features, "
    "registered, rival a network, and beside a network they add to it (Georgescu, Ionescu & Popescu 2018)."
)
_DENSE = {"name": "sift", "size": 64, "patch": [21], "blur": 0.5, "root": True, "mirror": True}
KINDS: dict[str, dict[str, Any]] = {
    "hog": {"name": "hog", "size": 64, "mirror": True},
    "lbp": {"name": "lbp", "size": 64, "cells": 8, "mirror": True},
    "sift grid": {**_DENSE, "step": 6},
    "sift words": {**_DENSE, "step": 4, "coding": "words", "words": 512},
    "sift fisher": {**_DENSE, "step": 4, "coding": "fisher", "words": 64},
    "gabor": {"name": "gabor", "size": 64, "cells": 8, "mirror": True},
    "edges": {"name": "edges", "size": 64, "cells": 8, "mirror": True},
    "gray histogram": {"name": "color", "space": "gray", "bins": 16, "mirror": True},
    "landmarks": {"name": "landmarks"},
    "pixels": {"name": "pixels", "mirror": True},
    "embedding": {"name": "embedding"},
}
"""Each kind of feature, at the scale of a registered crop of 64 pixels. All that depends on the side of the
face is averaged with its mirror image."""
PLAIN = ("hog", "lbp", "sift grid")
"""Measured without registration too."""
UNREGISTERED = "{}, not registered"
CLASSIC = tuple(name for name in KINDS if name not in ("embedding", "gray histogram", "landmarks"))
"""All that are worth combining: the two others see hardly anything of an emotion."""
FOUR, ALL = "hog + lbp + sift + gabor", "all handmade"
WITH_EMBEDDING = f"embedding + {FOUR}"
_FOUR = ("hog", "lbp", "sift grid", "gabor")
COMBINED: dict[str, tuple[str, ...]] = {
    "hog + lbp": ("hog", "lbp"),
    FOUR: _FOUR,
    ALL: CLASSIC,
    "embedding + hog": ("embedding", "hog"),
    WITH_EMBEDDING: ("embedding", *_FOUR),
}
NETWORK, FUSION = "network, its own head", "network and the four, fused"
KERNELS = ("linear", "rbf")


@dataclass(frozen=True, eq=False)
class Found:
    """What was answered in one place."""

    place: str
    faces: Faces
    widths: Mapping[str, int]
    answers: Mapping[tuple[str, str], Columns]
    """(method, kernel) -> probabilities (n, c); the kernel is empty for what has none."""

    def hits(self, name: str, kernel: str = "rbf") -> Hits:
        """Return (n,) whether a method is right."""
        key = (name, kernel) if (name, kernel) in self.answers else (name, "")
        return np.asarray(self.answers[key].argmax(axis=1) == self.faces.truth)

    def gain(self, first: str, second: str) -> Interval:
        """Return how much better the first is, in points."""
        one, two = (self.hits(name).astype(float) for name in (first, second))
        return mean(one - two, self.faces.subjects)

    @property
    def names(self) -> tuple[str, ...]:
        """All methods, in order."""
        return tuple(dict.fromkeys(name for name, _ in self.answers))

    @property
    def best(self) -> str:
        """The best single handmade feature here, by the RBF machine."""
        return self.best_of([name for name in KINDS if name != "embedding"])

    def best_of(self, names: Sequence[str]) -> str:
        """Return the best of some methods, by the RBF machine; those that were not tried do not count."""
        tried = [name for name in names if name in self.names]
        return max(tried, key=lambda name: float(self.hits(name).mean()))


def kinds(setup: Setup) -> dict[str, dict[str, Any]]:
    """Return `KINDS`, of a quick study with fewer words."""
    return {
        name: {**settings, "words": 32} if setup.quick and "words" in settings else settings
        for name, settings in KINDS.items()
    }


def run(setup: Setup) -> Outcome:
    """Measure every feature, some combinations and the network, in both places."""
    places = wild(setup.wild, setup.seed)
    train = places.train.sample(setup.sized(6000, 600), setup.seed)
    test = places.test.sample(setup.sized(len(places.test), 400), setup.seed)
    posed = lab(setup.lab).sample(setup.sized(1000, 120), setup.seed)
    found = (_in_the_wild(setup, train, test), _in_the_lab(setup, posed, train))
    rows = tuple(row for each in found for row in _rows(each))
    settings = {
        "wild": f"`{setup.wild}`, {len(train):,} faces to train on, {len(test):,} others to measure on",
        "lab": f"`{setup.lab}`, {len(posed):,} faces, {_folds(setup)} folds by person",
        "network": "base; it was trained on the whole of FER2013 Training with FER+, and chosen on "
        "PublicTest. The lab's faces it has never seen (zero-shot); the machines there learned from faces of "
        "the same laboratory",
        "machines": f"exp(-d²) with {BASIS} basis faces, or linear; C by folds of the training faces; at "
        "most 400 components a feature in the wild",
        "codebooks": "of words and Fisher vectors are learned from the wild training faces, in the lab too",
        "seed": setup.seed,
    }
    return Outcome(rows, _sentences(found), _chart(found), settings, _checks(found))


def _folds(setup: Setup) -> int:
    return setup.sized(10, 5)


def _in_the_wild(setup: Setup, train: Faces, test: Faces) -> Found:
    raw = (train.images, test.images)
    moved = (registered(setup, raw[0]), registered(setup, raw[1]))
    x = {
        name: columns(setup, settings, *(raw if name in ("landmarks", "embedding") else moved))
        for name, settings in kinds(setup).items()
    }
    x |= {UNREGISTERED.format(name): columns(setup, KINDS[name], *raw) for name in PLAIN}
    answers: dict[tuple[str, str], Columns] = {}
    for name, parts in _methods(x).items():
        for kernel in _kernels(name):
            settings = svm(setup, kernel)
            what, classes = f"{name}, {kernel}", len(train.labels)
            answers[name, kernel] = trained(setup, parts, train.truth, settings, what, classes)
    widths = {name: pair[0].shape[1] for name, pair in x.items()}
    return _with_network(setup, Found("in the wild", test, widths, answers))


def _in_the_lab(setup: Setup, faces: Faces, learn_from: Faces) -> Found:
    moved, others = registered(setup, faces.images), registered(setup, learn_from.images)
    x = {
        name: turned(setup, settings, faces.images if name in ("landmarks", "embedding") else moved, others)
        for name, settings in kinds(setup).items()
    }
    x |= {
        UNREGISTERED.format(name): turned(setup, KINDS[name], faces.images, learn_from.images)
        for name in PLAIN
    }
    answers: dict[tuple[str, str], Columns] = {}
    for name, parts in _methods(x).items():
        for kernel in _kernels(name):
            settings = svm(setup, kernel, (1.0, 10.0, 100.0))
            answers[name, kernel] = crossvalidated(
                setup, parts, faces, settings, k=_folds(setup), what=f"{name}, {kernel}"
            )
    widths = {name: part.shape[1] for name, part in x.items()}
    return _with_network(setup, Found("in the lab", faces, widths, answers))


def _methods(x: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return method -> its features by name: each alone, then combinations."""
    single = {name: {name: part} for name, part in x.items()}
    return single | {name: {each: x[each] for each in parts} for name, parts in COMBINED.items()}


def _kernels(name: str) -> tuple[str, ...]:
    """Return the machines that are worth their time: both for single features."""
    return KERNELS if name in KINDS else ("rbf",)


def _with_network(setup: Setup, found: Found) -> Found:
    """Add the network's own answers, and their mixture with those of a machine."""
    own = network(setup, found.faces)
    both = fused(own, found.answers[FOUR, "rbf"], found.faces)
    return Found(
        found.place, found.faces, found.widths, {**found.answers, (NETWORK, ""): own, (FUSION, ""): both}
    )


# --- what it says -----------------------------------------------------------------------------------------


def _rows(found: Found) -> list[Row]:
    rows = []
    truth, subjects = found.faces.truth, found.faces.subjects
    for name in found.names:
        kernels = [kernel for kernel in KERNELS if (name, kernel) in found.answers]
        cells: dict[str, Any] = {
            f"{kernel}, %": mean(found.hits(name, kernel), subjects) for kernel in kernels
        }
        if not kernels:
            cells = {"rbf, %": mean(found.hits(name), subjects)}
        answers = found.answers[(name, "rbf") if kernels else (name, "")].argmax(axis=1)
        cells["macro-recall (rbf), %"] = macro_recall(answers, truth, subjects)
        rows.append(Row(found.place, name, cells))
    return rows


def _checks(found: tuple[Found, ...]) -> tuple[Check, ...]:
    checks = []
    for each in found:
        who = f"the {'' if each.place == 'in the wild' else 'zero-shot '}network"
        claims = (
            ("HOG is better than LBP", "hog", "lbp"),
            ("registration helps HOG", "hog", UNREGISTERED.format("hog")),
            ("registration helps LBP", "lbp", UNREGISTERED.format("lbp")),
            ("registration helps SIFT", "sift grid", UNREGISTERED.format("sift grid")),
            (
                "HOG, LBP, SIFT and Gabor together are better than the best of the four",
                FOUR,
                each.best_of(_FOUR),
            ),
            ("all handmade features together are better than the best alone", ALL, each.best),
            (f"{who} is better than a machine on these four", NETWORK, FOUR),
            ("these four add to the network's embedding", WITH_EMBEDDING, "embedding"),
            (f"a machine on these four adds to the answers of {who}", FUSION, NETWORK),
            (f"the answers of {who} add to a machine on these four", FUSION, FOUR),
        )
        checks += [Check(text, each.place, each.gain(a, b)) for text, a, b in claims]
    return tuple(checks)


def _sentences(found: tuple[Found, ...]) -> tuple[str, ...]:
    return tuple(_best(each) for each in found) + tuple(_curved(each) for each in found)


def _best(found: Found) -> str:
    """Say which single feature is best, and which cannot be told from it."""
    best = found.best
    single = [name for name in KINDS if name != "embedding" and name != best]
    equal = [name for name in single if found.gain(best, name).low <= 0]
    rest = f"{', '.join(equal)} cannot be told from it" if equal else "all others are surely worse"
    share = mean(found.hits(best), found.faces.subjects)
    worst = min(single, key=lambda name: float(found.hits(name).mean()))
    return (
        f"The best single handmade feature {found.place} is {best} with {share} %; {rest}. The worst "
        f"is {worst} with {mean(found.hits(worst), found.faces.subjects)} %."
    )


def _curved(found: Found) -> str:
    """Say for how many features the curved kernel pays."""
    subjects = found.faces.subjects
    names = [name for name in found.names if (name, "linear") in found.answers]
    gains = {
        name: mean(found.hits(name, "rbf").astype(float) - found.hits(name, "linear"), subjects)
        for name in names
    }
    better = sum(gain.low > 0 for gain in gains.values())
    worse = sum(gain.high < 0 for gain in gains.values())
    return (
        f"The RBF machine is surely better than the linear one for {better} and surely worse for {worse} of "
        f"{len(names)} sets of features {found.place}."
    )


def _chart(found: tuple[Found, ...]) -> NDArray[np.uint8]:
    names = found[0].names
    series = {
        each.place: [ends(mean(each.hits(name), each.faces.subjects)) for name in names] for each in found
    }
    marks = {each.place: float(100 * each.hits(NETWORK).mean()) for each in found}
    title = "accuracy of features with an RBF machine; dashed: the network's own head"
    return bar_chart(names, series, title=title, unit="accuracy, %", marks=marks)


STUDY = Study("features", CLAIM, run)
