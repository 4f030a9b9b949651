"""What each step before the features is worth: lighting, background, size, registration, mirror images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import FILTERS, mask_background
from pyfer.evaluation import Interval
from pyfer.maps.plots import bar_chart
from pyfer.studies.bench import BASIS, columns, crossvalidated, network, registered, svm, trained, turned
from pyfer.studies.common import Check, Outcome, Row, Setup, Study, ends, mean
from pyfer.studies.faces import Faces, lab, wild

Crops = NDArray[np.uint8]
Hits = NDArray[np.bool_]

CLAIM = (
    "Bringing faces to the same place is worth most, evening out the light a little more (Lopes et al. "
    "2017); hiding the background helps too."
)
BASELINE = "baseline"
_PARTS = 6  # HOG cells along a side, whatever the size


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to prepare crops for HOG."""

    filter: str = "none"
    mask: bool = False
    registered: bool = True
    size: int = 48
    """Side of the crops that HOG sees; always six cells a side."""
    mirror: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the registration."""

    def __call__(self, setup: Setup, crops: Crops) -> Crops:
        """Return prepared crops."""
        found = FILTERS[self.filter](crops)
        if self.registered:
            found = registered(setup, found, crops, **{"size": self.size, **self.options})
        return mask_background(found) if self.mask else found

    @property
    def feature(self) -> dict[str, Any]:
        """Settings of HOG."""
        return {"name": "hog", "size": self.size, "cell": self.size // _PARTS, "mirror": self.mirror}


WAYS: dict[str, Way] = {
    BASELINE: Way(),
    "light: equalize": Way(filter="equalize"),
    "light: clahe": Way(filter="clahe"),
    "light: gamma": Way(filter="gamma"),
    "background masked": Way(mask=True),
    "not registered": Way(registered=False),
    "registration: no shear, no stretch": Way(options={"stiffness": 1e6}),
    "registration: zoom 1.0": Way(options={"zoom": 1.0}),
    "registration: zoom 1.2": Way(options={"zoom": 1.2}),
    "registration: zoom 1.5": Way(options={"zoom": 1.5}),
    "size 24": Way(size=24),
    "size 36": Way(size=36),
    "size 72": Way(size=72),
    "size 96": Way(size=96),
    "mean with the mirror image": Way(mirror=True),
}
"""The baseline, and what changes one thing of it."""
NETWORK_WAYS = (BASELINE, *(name for name in WAYS if name.startswith(("light", "background"))))
"""What the network is tried on too, at test time alone: it was trained on crops as they are."""
FLIP = "mean with the mirror image"
_CLAIMS = {
    "registration helps HOG": (BASELINE, "not registered"),
    "shear and stretch add to a similarity": (BASELINE, "registration: no shear, no stretch"),
    "equalised light helps HOG": ("light: equalize", BASELINE),
    "CLAHE helps HOG": ("light: clahe", BASELINE),
    "gamma correction helps HOG": ("light: gamma", BASELINE),
    "hiding the background helps HOG": ("background masked", BASELINE),
    "the mean with the mirror image helps HOG": (FLIP, BASELINE),
}
"""Claim -> what shall be better, and than what."""


@dataclass(frozen=True, eq=False)
class Found:
    """Which faces were answered right, by way."""

    place: str
    faces: Faces
    hits: Mapping[str, Hits]

    def gain(self, first: str, second: str = BASELINE) -> Interval:
        """Return how much better the first is, in points."""
        return mean(self.hits[first].astype(float) - self.hits[second], self.faces.subjects)


def run(setup: Setup) -> Outcome:
    """Measure every way with HOG in both places, and the filters with the network."""
    places = wild(setup.wild, setup.seed)
    train = places.train.sample(setup.sized(4000, 600), setup.seed)
    test = places.test.sample(setup.sized(len(places.test), 400), setup.seed)
    posed = lab(setup.lab).sample(setup.sized(1000, 120), setup.seed)
    few = test.sample(setup.sized(2000, 150), setup.seed)
    found = (_in_the_wild(setup, train, test), _in_the_lab(setup, posed))
    nets = (_network(setup, few, "in the wild"), _network(setup, posed, "in the lab"))
    rows = [row for each in found for row in _rows(each, "HOG, {}")]
    rows += [row for each in nets for row in _rows(each, "the network, {}")]
    settings = {
        "wild": f"`{setup.wild}`, {len(train):,} faces to train on, {len(test):,} others to measure on "
        f"({len(few):,} for the network)",
        "lab": f"`{setup.lab}`, {len(posed):,} faces, {_folds(setup)} folds by person",
        "baseline": "registered crops of 48 pixels, no filter, no mask, no mirror image; each way changes "
        "one thing of it",
        "machines": f"exp(-d²) with {BASIS} basis faces; C by folds of the training faces",
        "network": "base, at test time alone: it was trained on crops as they are, not registered",
        "seed": setup.seed,
    }
    return Outcome(tuple(rows), _sentences(found, nets), _chart(found), settings, _checks(found, nets))


def _folds(setup: Setup) -> int:
    return setup.sized(10, 5)


def _in_the_wild(setup: Setup, train: Faces, test: Faces) -> Found:
    hits = {}
    for name, way in WAYS.items():
        pair = columns(setup, way.feature, way(setup, train.images), way(setup, test.images))
        answers = trained(setup, {"hog": pair}, train.truth, svm(setup), name)
        hits[name] = answers.argmax(axis=1) == test.truth
    return Found("in the wild", test, hits)


def _in_the_lab(setup: Setup, faces: Faces) -> Found:
    hits = {}
    for name, way in WAYS.items():
        x = turned(setup, way.feature, way(setup, faces.images))
        settings = svm(setup, c=(1.0, 10.0, 100.0))
        answers = crossvalidated(setup, {"hog": x}, faces, settings, k=_folds(setup), what=name)
        hits[name] = answers.argmax(axis=1) == faces.truth
    return Found("in the lab", faces, hits)


def _network(setup: Setup, faces: Faces, place: str) -> Found:
    """Let the network look at prepared crops, not registered."""
    hits = {}
    for name in NETWORK_WAYS:
        way = replace(WAYS[name], registered=False)
        prepared = replace(faces, data=replace(faces.data, images=way(setup, faces.images)))
        hits[name] = network(setup, prepared).argmax(axis=1) == faces.truth
    hits[FLIP] = network(setup, faces, flip=True).argmax(axis=1) == faces.truth
    return Found(place, faces, hits)


# --- what it says -----------------------------------------------------------------------------------------


def _rows(found: Found, heading: str) -> list[Row]:
    rows = []
    for name, hits in found.hits.items():
        cells: dict[str, Any] = {"accuracy, %": mean(hits, found.faces.subjects)}
        if name != BASELINE:
            cells["against the baseline, points"] = found.gain(name)
        rows.append(Row(heading.format(found.place), name, cells))
    return rows


def _checks(found: tuple[Found, ...], nets: tuple[Found, ...]) -> tuple[Check, ...]:
    checks = [Check(text, each.place, each.gain(*pair)) for each in found for text, pair in _CLAIMS.items()]
    checks += [
        Check(f"{name.removeprefix('light: ')} at test time helps the network", each.place, each.gain(name))
        for each in nets
        for name in each.hits
        if name != BASELINE
    ]
    return tuple(checks)


def _sentences(found: tuple[Found, ...], nets: tuple[Found, ...]) -> tuple[str, ...]:
    return (*(_matters(each, "HOG") for each in found), *(_matters(each, "the network") for each in nets))


def _matters(found: Found, what: str) -> str:
    """Say what surely changes something, the largest first."""
    gains = {name: found.gain(name) for name in found.hits if name != BASELINE}
    sure = [name for name, gain in gains.items() if gain.low > 0 or gain.high < 0]
    sure.sort(key=lambda name: -abs(gains[name].value))
    names = ", ".join(f"{name} ({gains[name].value:+.1f})" for name in sure) or "nothing"
    return (
        f"Of {len(gains)} changes of the baseline, what surely makes a difference to {what} {found.place}, "
        f"in points: {names}."
    )


def _chart(found: tuple[Found, ...]) -> NDArray[np.uint8]:
    names = [name for name in WAYS if name != BASELINE]
    series = {each.place: [ends(each.gain(name)) for name in names] for each in found}
    title = "HOG with an RBF machine: what changes against the baseline"
    return bar_chart(names, series, title=title, unit="points of accuracy")


STUDY = Study("preprocessing", CLAIM, run)
