"""CK+ once more: whether the way to an expression is worth more than its apex."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import Clips, folds, open_clips
from pyfer.evaluation import mcnemar
from pyfer.features import Bank
from pyfer.maps.plots import bar_chart
from pyfer.models import Model, find
from pyfer.studies.bench import cached, crossvalidated, digest, svm
from pyfer.studies.common import Check, Outcome, Setup, Study, ends, mean, row_of_deals
from pyfer.studies.faces import Faces, lab

VIEWS = 20
"""Slightly changed copies of each clip to learn from; the answers are of the clip as it is, and mirrored."""
EPOCHS = 5
ENSEMBLE = 2
"""Networks from different noise whose answers are averaged, so that less is a matter of chance."""
ENCODER = "base"
ARMS: dict[str, tuple[str, bool]] = {
    "GRU, the apex alone": ("gru", True),
    "GRU, neutral to apex": ("gru", False),
    "LSTM, the apex alone": ("lstm", True),
    "LSTM, neutral to apex": ("lstm", False),
}
"""Row of the table -> cell, and whether the film stands still at the apex."""
GOAL = 96.0
FIRST_DEAL = 500
"""Seed of the first deal of folds: none of those that anything was compared on before."""
PLACE = "in the lab"


def run(setup: Setup) -> Outcome:
    """Measure films and stills with the same encoder, network and folds."""
    clips = open_clips(setup.lab)
    deals = [FIRST_DEAL + setup.seed + k for k in range(setup.sized(3, 1))]
    hits = {name: _hits(setup, clips, name, deals) for name in ARMS}
    hits |= _handmade(setup, clips, deals)
    accuracy = {name: mean(found.mean(axis=0), clips.subjects, setup.seed) for name, found in hits.items()}
    rows = [row_of_deals("clips", name, accuracy[name], found, clips.truth) for name, found in hits.items()]
    chart = bar_chart(
        list(hits),
        {"right answers": [ends(accuracy[name]) for name in hits]},
        title="CK+, ten folds by person: the apex, and the way to it",
        unit="per cent of clips",
        marks={f"goal: {GOAL:g}": GOAL},
    )
    return Outcome(tuple(rows), _sentences(hits, deals), chart, _settings(setup, clips, deals),
                   _checks(setup, hits, clips))  # fmt: skip


def _views(setup: Setup) -> int:
    return setup.sized(VIEWS, 4)


def _epochs(setup: Setup) -> int:
    return setup.sized(EPOCHS, 2)


def _networks(setup: Setup) -> int:
    return setup.sized(ENSEMBLE, 1)


def _hits(setup: Setup, clips: Clips, name: str, deals: list[int]) -> NDArray[np.bool_]:
    """Return (deals, n): whether networks that saw nobody of a clip's fold give the right answer."""
    cell, stands = ARMS[name]
    sha256 = Model(find(ENCODER)).spec.sha256
    found = []
    for k, deal in enumerate(deals):
        key = {"what": "context", "arm": name, "deal": deal, "seed": setup.seed, "views": _views(setup),
               "epochs": _epochs(setup), "networks": _networks(setup), "encoder": sha256,
               "clips": digest(clips.frames, clips.truth, np.char.encode(clips.subjects))}  # fmt: skip
        what = f"{name}, deal {k + 1}"
        p = cached(setup, key, partial(_answers, setup, clips, cell, stands, deal, what))
        found.append(p.argmax(axis=1) == clips.truth)
    return np.stack(found)


def _answers(
    setup: Setup, clips: Clips, cell: str, stands: bool, deal: int, what: str
) -> NDArray[np.float32]:
    """Return (n, c): the answers for each clip of networks that were trained on the other folds."""
    from pyfer.training.clips import Labelled, apex_probabilities, still
    from pyfer.training.loop import load_network, train

    encoder = Model(ENCODER, threads=1)
    count = _views(setup)
    seen = _seen(setup, clips, encoder, count)
    seen = still(seen) if stands else seen
    fold = folds(clips.subjects, clips.truth, 10, deal)
    head = encoder.spec.heads[0]
    columns = np.array([head.labels.index(name) for name in clips.labels])
    p = np.zeros((len(clips), len(columns)), np.float32)
    clip = np.arange(len(seen)) // (count + 2)
    plain = np.arange(len(seen)) % (count + 2) < 2
    networks = _networks(setup)
    for k in range(10):
        learn, ask = fold[clip] != k, np.flatnonzero((fold[clip] == k) & plain)
        for network in range(networks):
            settings = _training(setup, clips, head.name, cell, 100 * deal + 10 * k + network)
            task = Labelled(settings, seen[learn], clips.truth[clip[learn]], clips.labels, encoder)
            with TemporaryDirectory() as folder:
                train(settings, Path(folder), task=task)
                trained = load_network(Path(folder))[0]
            answers = apex_probabilities(trained, seen[ask], head.name, columns, two_way=False)
            np.add.at(p, clip[ask], answers)
            setup.say(what, networks * k + network + 1, 10 * networks)
    return np.asarray(p / (2 * networks), np.float32)


def _seen(setup: Setup, clips: Clips, encoder: Model, count: int) -> Any:
    """Return the views of the clips through the encoder; they are made once."""
    from pyfer.training.clips import frames_of, stacked, views

    key = {"what": "views of clips", "count": count, "seed": setup.seed, "encoder": encoder.spec.sha256,
           "clips": digest(clips.frames)}  # fmt: skip
    found = cached(setup, key, lambda: stacked(views(clips, encoder, count, setup.seed)))
    return frames_of(clips, count, found, encoder)


def _training(setup: Setup, clips: Clips, head: str, cell: str, seed: int) -> Any:
    """Return the settings of one network."""
    from pyfer.training.settings import (
        DataSettings,
        LossSettings,
        RecurrentSettings,
        ScheduleSettings,
        Settings,
    )

    epochs = _epochs(setup)
    return Settings(
        name="context",
        data=DataSettings(train=(clips.spec,), validation=clips.spec),
        kind="rnn",
        seed=seed,
        rnn=RecurrentSettings(
            cell=cell, encoder=ENCODER, width=32, inner=32, dropout=0.5, inertia=0, direct=True
        ),
        schedule=ScheduleSettings(
            epochs=epochs, batch=64, rate=3e-3, warmup=0.5, decay=1e-2, average=0.99, validate_every=epochs
        ),
        loss=LossSettings(heads={head: 1.0}, smoothing=0.05),
    )


def _handmade(setup: Setup, clips: Clips, deals: list[int]) -> dict[str, NDArray[np.bool_]]:
    """Return the same of linear machines on HOG: of the apex, and of four frames side by side."""
    faces: Faces = lab(setup.lab)
    settings = svm(setup, "linear", (1.0, 10.0))
    hog = Bank("hog")
    parts = [cached(setup, {"what": "hog of clips", "frame": k, "clips": digest(clips.frames)},
                    partial(hog, clips.frames[:, k])) for k in range(clips.frames.shape[1])]  # fmt: skip
    sets = {"HOG and SVM, the apex alone": parts[-1:], "HOG and SVM, four frames": parts}
    found = {}
    for name, columns in sets.items():
        named = {str(k): column for k, column in enumerate(columns)}
        answers = [
            crossvalidated(replace(setup, seed=deal), named, faces, settings, what=name).argmax(axis=1)
            for deal in deals
        ]
        found[name] = np.stack([answer == faces.truth for answer in answers])
    return found


def _checks(setup: Setup, hits: dict[str, NDArray[np.bool_]], clips: Clips) -> tuple[Check, ...]:
    right = {name: found.mean(axis=0) for name, found in hits.items()}

    def check(claim: str, difference: Any) -> Check:
        return Check(claim, PLACE, mean(difference, clips.subjects, setup.seed))

    return (
        check(f"A GRU that sees the way to the apex is above {GOAL:g} %",
              right["GRU, neutral to apex"] - GOAL / 100),
        check("A GRU is better with the way than with the apex alone",
              right["GRU, neutral to apex"] - right["GRU, the apex alone"]),
        check("An LSTM is better with the way than with the apex alone",
              right["LSTM, neutral to apex"] - right["LSTM, the apex alone"]),
        check("An SVM on HOG is better with four frames than with one",
              right["HOG and SVM, four frames"] - right["HOG and SVM, the apex alone"]),
    )  # fmt: skip


def _sentences(hits: dict[str, NDArray[np.bool_]], deals: list[int]) -> tuple[str, ...]:
    found = hits["GRU, neutral to apex"], hits["GRU, the apex alone"]
    tests = [mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) for a, b in zip(*found, strict=True)]
    told = "; ".join(
        f"deal {deal}: {test.only_first} right with the film alone, {test.only_second} with the apex alone, "
        f"p = {test.p:.2f}"
        for deal, test in zip(deals, tests, strict=True)
    )
    return (f"McNemar's test, film against apex: {told}.",)


def _settings(setup: Setup, clips: Clips, deals: list[int]) -> dict[str, Any]:
    return {
        "data": clips.spec,
        "clips": len(clips),
        "persons": len(np.unique(clips.subjects)),
        "folds": f"10, by person, {len(deals)} deals (seeds {deals[0]} to {deals[-1]})",
        "network": f"GRU or LSTM of 32 over the embeddings and probabilities of {ENCODER!r}, which never saw "
        f"these faces; {_networks(setup)} a fold, the answers averaged; {_epochs(setup)} epochs",
        "apex alone": "the same network and training; the film stands still at the apex",
        "to learn from": f"each clip, its mirror image, {_views(setup)} views with motion, light and noise "
        "made up",
    }


STUDY = Study(
    "context",
    "A face in a film is not a heap of stills: the frames before the apex tell more than the apex alone (on "
    "CK+, Lucey et al. 2010, sequence models report 97 % and more).",
    run,
)
