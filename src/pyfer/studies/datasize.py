"""How much more faces help: learning curves of a machine on features and of a small network."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.evaluation import Interval
from pyfer.files import replace_file
from pyfer.maps.plots import line_chart
from pyfer.models import softmax
from pyfer.studies.bench import cached, columns, digest, network, registered, svm, trained
from pyfer.studies.common import Check, Floats, Integers, Outcome, Row, Setup, Study, ends, mean, points
from pyfer.studies.faces import Faces, wild, with_option

if TYPE_CHECKING:
    from pyfer.training.settings import Settings

CLAIM = (
    "Recognition grows with the logarithm of the number of training faces (Sun et al. 2017, for networks and "
    "objects); a network that starts from noise needs more of them than a machine on handmade features, and "
    "gains more."
)
SIZES = (500, 1000, 2000, 4000, 8000)
"""Training faces; the whole set is the last size."""
QUICK_SIZES = (150, 300, 600)
SEEDS = 3
"""Draws of training faces at every size but the last, where there is one draw: all."""
SIFT = {"name": "sift", "size": 64, "patch": [21], "step": 8, "blur": 0.5, "root": True, "mirror": True}
MACHINE, NETWORK, REFERENCE = "SVM on SIFT", "small network", "base, trained longer on more labels"
_SEEN = 320_000
"""Faces that a small network sees in training, whatever the size: few faces more often. So the curve shows
what more faces bring, not what more training does."""
_QUICK_SEEN = 6000


@dataclass(frozen=True, eq=False)
class Curve:
    """How often each face was answered right after learning from so many faces."""

    hits: Mapping[int, NDArray[np.float64]]
    """Training faces -> (k, n) 0 or 1, a row a draw."""

    def right(self, size: int) -> Floats:
        """Return (n,) the share of draws after which each face is answered right."""
        return np.asarray(self.hits[size].mean(axis=0), np.float64)


def run(setup: Setup) -> Outcome:
    """Measure both at every size."""
    places = wild(setup.wild, setup.seed)
    test = places.test.sample(setup.sized(len(places.test), 400), setup.seed)
    whole = places.train.sample(setup.sized(len(places.train), QUICK_SIZES[-1]), setup.seed)
    sizes = _sizes(len(whole), QUICK_SIZES if setup.quick else SIZES)
    draws = {size: _draws(len(whole), size, setup) for size in sizes}
    curves = {
        MACHINE: Curve({size: _machine(setup, whole, each, test) for size, each in draws.items()}),
        NETWORK: Curve({size: _small(setup, whole[each[0]], test) for size, each in draws.items()}),
    }
    base = network(setup, test).argmax(axis=1) == test.truth
    rows = _rows(curves, base, test)
    settings = {
        "wild": f"`{setup.wild}`, {len(whole):,} faces to train on, {len(test):,} others to measure on",
        "machine": f"SIFT on registered crops, {_machine_text(setup, sizes[-1])}; the mean of "
        f"{len(draws[sizes[0]])} draws of faces but at the last size",
        "network": "16, 32 and 64 channels, crops of 32 pixels not registered, one draw; whatever the size, "
        f"it sees about {setup.sized(_SEEN, _QUICK_SEEN):,} faces in training, few faces more often",
        "reference": "base: 64, 128 and 256 channels at 48 pixels, 73 epochs, FER+ votes beside the labels, "
        "two teachers; chosen on PublicTest",
        "seed": setup.seed,
    }
    return Outcome(
        rows, _sentences(curves, test), _chart(curves, base, test), settings, _checks(curves, test)
    )


def _sizes(whole: int, wanted: Sequence[int]) -> tuple[int, ...]:
    sizes = (*(size for size in wanted if size < whole), whole)
    if len(sizes) < 2:
        raise ArgumentError(f"wild has {whole} faces to train on; a learning curve needs over {wanted[0]}")
    return sizes


def _draws(whole: int, size: int, setup: Setup) -> list[Integers]:
    """Return which faces each draw has; of all faces there is one draw."""
    if size == whole:
        return [np.arange(whole)]
    seeds = range(setup.seed * SEEDS, setup.seed * SEEDS + setup.sized(SEEDS, 2))
    return [np.sort(np.random.default_rng(seed).permutation(whole)[:size]) for seed in seeds]


def _machine_text(setup: Setup, largest: int) -> str:
    return f"exp(-d²) with up to {_basis(setup, largest):,} basis faces"


def _basis(setup: Setup, size: int) -> int:
    return min(setup.sized(1000, 300), max(size // 2, 10))


def _machine(setup: Setup, whole: Faces, draws: Sequence[Integers], test: Faces) -> Floats:
    """Return (k, n) whether a machine is right after each draw."""
    moved, seen = registered(setup, whole.images), registered(setup, test.images)
    hits = []
    for rows in draws:
        pair = columns(setup, SIFT, moved[rows], seen)
        settings = replace(svm(setup), basis=_basis(setup, len(rows)))
        truth = whole.truth[rows]
        answers = trained(setup, {"sift": pair}, truth, settings, f"{len(rows):,} faces")
        hits.append(answers.argmax(axis=1) == test.truth)
    return np.array(hits, np.float64)


# --- the small network ------------------------------------------------------------------------------------


def _small(setup: Setup, train: Faces, test: Faces) -> Floats:
    """Train a small network from noise; return (1, n) whether it is right."""
    from pyfer.training.loop import load_network
    from pyfer.training.loop import train as fit
    from pyfer.training.stills import predict_logits

    tag = digest(train.images)[:16]
    settings = _settings(setup, train, test, tag)
    key = {"what": "small network", "settings": asdict(settings), "test": digest(test.images)}

    def compute() -> NDArray[Any]:
        folder = setup.cache / f"network-{digest(np.frombuffer(repr(settings).encode(), np.uint8))[:16]}"
        what = f"network, {len(train):,} faces"
        fit(settings, folder, lambda done, total, _: setup.say(what, done, total))
        side = settings.schedule.sizes[-1][1]
        logits = predict_logits(load_network(folder)[0], test.data, size=side)
        return softmax(logits[test.head])

    return np.asarray(cached(setup, key, compute).argmax(axis=1) == test.truth, np.float64)[None]


def _settings(setup: Setup, train: Faces, test: Faces, tag: str) -> Settings:
    from pyfer.training.settings import (
        AugmentSettings,
        DataSettings,
        LossSettings,
        NetworkSettings,
        ScheduleSettings,
        Settings,
    )

    epochs = max(round(setup.sized(_SEEN, _QUICK_SEEN) / len(train)), 1)
    batch = max(min(64, len(train) // 8), 2)
    return Settings(
        name="small",
        data=DataSettings((_only(setup, train, tag),), _only(setup, test, digest(test.images)[:16])),
        seed=setup.seed,
        network=NetworkSettings((16, 32, 64), (1, 1, 1), 0.1),
        schedule=ScheduleSettings(
            epochs=epochs, batch=batch, rate=0.1, sizes=((0.0, 32),), average=0.99, validate_every=epochs
        ),
        loss=LossSettings(heads={train.head: 1.0}),
        augment=AugmentSettings(mixup=0.0, cutmix=0.0, erasing=0.1, noise=0.02, blur=0.0, compression=0.0),
    )


def _only(setup: Setup, faces: Faces, tag: str) -> str:
    """Write the names of faces to a file, and return the spec that opens these faces alone."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id"])
    writer.writerows([each] for each in faces.data.ids.tolist())
    path = Path(setup.cache) / f"faces-{tag}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, stream.getvalue().encode())
    return with_option(faces.spec, f"only={quote(str(path))}")


# --- what it says -----------------------------------------------------------------------------------------


def _rows(curves: Mapping[str, Curve], base: NDArray[np.bool_], test: Faces) -> tuple[Row, ...]:
    rows = []
    for name, curve in curves.items():
        for size, hits in curve.hits.items():
            draws = 100 * hits.mean(axis=1)
            cells: dict[str, Any] = {
                "accuracy, %": mean(curve.right(size), test.subjects),
                "draws": len(draws),
                "lowest draw": float(draws.min()),
                "highest draw": float(draws.max()),
            }
            rows.append(Row(name, f"{size:,} faces", cells))
    rows.append(Row("for comparison", REFERENCE, {"accuracy, %": mean(base, test.subjects)}))
    return tuple(rows)


def slope(curve: Curve, test: Faces, sizes: Sequence[int]) -> Interval:
    """Return what twice as many faces bring in points: least squares over the logarithm of the sizes."""
    return mean(_rise(curve, sizes), test.subjects)


def _rise(curve: Curve, sizes: Sequence[int]) -> Floats:
    """Return (n,) the slope of each face; their mean is that of the curve."""
    x = np.log2(sizes)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return np.asarray(weights @ np.stack([curve.right(size) for size in sizes]))


def _checks(curves: Mapping[str, Curve], test: Faces) -> tuple[Check, ...]:
    machine, small = curves[MACHINE], curves[NETWORK]
    sizes = tuple(machine.hits)
    least, most = sizes[0], sizes[-1]

    def gain(first: Floats, second: Floats) -> Interval:
        return mean(first - second, test.subjects)

    last = sizes[-2]
    claims = {
        f"the machine gains from more than {last:,} faces": gain(machine.right(most), machine.right(last)),
        f"the small network gains from more than {last:,} faces": gain(small.right(most), small.right(last)),
        f"with {least:,} faces the machine is ahead": gain(machine.right(least), small.right(least)),
        f"with {most:,} faces the small network is ahead": gain(small.right(most), machine.right(most)),
        "the small network gains more by a doubling than the machine": gain(
            _rise(small, sizes), _rise(machine, sizes)
        ),
    }
    return tuple(Check(text, "in the wild", difference) for text, difference in claims.items())


def _sentences(curves: Mapping[str, Curve], test: Faces) -> tuple[str, ...]:
    return tuple(_growth(name, curve, test) for name, curve in curves.items())


def _growth(name: str, curve: Curve, test: Faces) -> str:
    """Say what a doubling brings, and whether it brings less and less."""
    sizes = tuple(curve.hits)
    text = f"Each doubling of the faces brings the {name} {points(slope(curve, test, sizes))} points"
    if len(sizes) < 4:
        return f"{text}."
    half = len(sizes) // 2
    early, late = (slope(curve, test, part) for part in (sizes[: half + 1], sizes[half:]))
    shape = "less" if late.value < early.value else "not less"
    return (
        f"{text}: {points(early)} up to {sizes[half]:,} faces, {points(late)} from there on, so {shape} at "
        "the end of the curve than at its beginning."
    )


def _chart(curves: Mapping[str, Curve], base: NDArray[np.bool_], test: Faces) -> NDArray[np.uint8]:
    series = {
        name: [(size, ends(mean(curve.right(size), test.subjects))) for size in curve.hits]
        for name, curve in curves.items()
    }
    return line_chart(
        series,
        title="what more training faces bring",
        x_name="training faces",
        y_name="accuracy, %",
        log=True,
        marks={REFERENCE: float(100 * base.mean())},
    )


STUDY = Study("datasize", CLAIM, run)
