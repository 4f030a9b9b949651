"""Streams with a known truth: whether a recurrent network follows it better than smoothing does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import Clips, FaceData, open_clips
from pyfer.evaluation import (
    Interval,
    TimingScores,
    bootstrap,
    exponential,
    moving_average,
    segments_of,
    timing_scores,
)
from pyfer.evaluation.intervals import clusters
from pyfer.evaluation.timing import matches
from pyfer.maps.plots import bar_chart
from pyfer.models import Model, softmax
from pyfer.streams import Streams, StreamSettings, make_streams, streams_of_clips
from pyfer.studies.common import Check, Names, Outcome, Row, Setup, Study
from pyfer.studies.faces import with_option

FILM, BOTH, ENCODER = "film", "film-both", "base"
WINDOWS = (3, 5, 7, 9, 13)
"""Candidates of the moving average, in frames."""
RATES = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1)
"""Candidates of exponential smoothing: the share of a new frame."""
INERTIAS = (1.0, 2.0, 3.0)
"""Candidates of the inertia of a smoothing that is given what the film model has (its ``rnn.inertia``)."""
STILLS, CLIPS = "streams of stills", "streams of CK+ clips"
HEAD = "ferplus"
CHOOSING, MEASURING = 71, 72
"""Seeds of the streams that the rivals' settings are chosen on, and of those that all are measured on."""
Smooth = Callable[[NDArray[np.float32]], NDArray[np.floating]]


def run(setup: Setup) -> Outcome:
    """Choose the rivals' settings on streams of PublicTest; measure on streams of PrivateTest and of CK+."""
    count = setup.sized(1000, 60)
    chosen = _rivals(setup, count)
    clips = open_clips(setup.lab)
    parts: dict[str, Streams] = {
        STILLS: _stills(setup, "PrivateTest", count, MEASURING),
        CLIPS: _clips(setup, clips),
    }
    subjects = {CLIPS: clips.subjects[clips.present[:, 0]]}
    answers = {place: _answers(setup, streams, chosen) for place, streams in parts.items()}
    scores = {
        place: {name: _timed(parts[place], p, 1000) for name, p in found.items()}
        for place, found in answers.items()
    }
    checks = [
        check
        for place, found in answers.items()
        for check in _checks(parts[place], found, place, subjects.get(place), setup.seed)
    ]
    rows = [_row(place, name, one) for place, found in scores.items() for name, one in found.items()]
    first = scores[STILLS]
    chart = bar_chart(
        list(first),
        {place: [_ends(found[name].interval("f1")) for name in found] for place, found in scores.items()},
        title="Streams with a known truth: segments found (F1, overlap 0.5)",
        unit="per cent",
    )
    told = tuple(_sentences(scores))
    return Outcome(tuple(rows), told, chart, _settings(parts, chosen), tuple(checks))


def _stills(setup: Setup, split: str, count: int, seed: int) -> Streams:
    from pyfer.datasets import open_data

    data: FaceData = open_data(with_option(setup.wild, f"split={split}"))

    def on_done(done: int, total: int) -> None:
        setup.say(f"streams of {split}", done, total)

    return make_streams(data, HEAD, StreamSettings(count=count), seed + setup.seed, on_done)


def _clips(setup: Setup, clips: Clips) -> Streams:
    """Return a stream of each clip that begins neutral: neutral, the expression, neutral again."""
    labels = Model(ENCODER).spec.head(HEAD).labels
    return streams_of_clips(clips, labels, StreamSettings(), MEASURING + setup.seed, HEAD)


def _said(setup: Setup, model: Model, streams: Streams) -> list[NDArray[np.float32]]:
    """Return what a model says of each stream, (t, c)."""
    lengths = streams.mask.sum(axis=1)
    found: list[NDArray[np.float32]] = []
    for k in range(0, len(streams), 32):
        rows = range(k, min(k + 32, len(streams)))
        crops = [streams.frames[i, : lengths[i]] for i in rows]
        outputs = model.films(crops, [streams.times[i, : lengths[i]] for i in rows])
        found += [output.probabilities[HEAD] for output in outputs]
        setup.say(f"{model.name} on {len(streams)} streams", min(k + 32, len(streams)), len(streams))
    return found


def _rivals(setup: Setup, count: int) -> dict[str, Smooth]:
    """Return the ways to smooth, each with the setting of the best F1 on streams of PublicTest."""
    streams = _stills(setup, "PublicTest", count, CHOOSING)
    said = _said(setup, Model(ENCODER, threads=1), streams)
    averages: dict[str, Smooth] = {
        f"moving average, {k} frames": partial(moving_average, frames=k) for k in WINDOWS
    }
    smoothings: dict[str, Smooth] = {
        f"exponential smoothing, {rate:g}": partial(exponential, alpha=rate) for rate in RATES
    }
    steady: dict[str, Smooth] = {
        f"exponential smoothing, {rate:g}, inertia {k:g}": partial(_steadied, rate=rate, inertia=k)
        for rate in RATES
        for k in INERTIAS
    }
    every = {**averages, **smoothings, **steady}

    def f1(name: str) -> float:
        return _timed(streams, [every[name](p) for p in said]).f1

    return {name: every[name] for name in (max(kind, key=f1) for kind in (averages, smoothings, steady))}


def _steadied(p: NDArray[np.float32], rate: float, inertia: float) -> NDArray[np.floating]:
    """Return (t, c): smoothed probabilities that lean to the answer before, as the film model's do."""
    logs = np.log(np.maximum(exponential(p, rate), 1e-6))
    steps = [softmax(logs[:1])]
    for row in logs[1:]:
        steps.append(softmax(row[None] + inertia * steps[-1]))
    return np.concatenate(steps)


def _answers(setup: Setup, streams: Streams, rivals: dict[str, Smooth]) -> dict[str, list[Any]]:
    """Return name -> probabilities (t, c) of each stream: the recurrent model's, its rivals', both ways."""
    frames = _said(setup, Model(ENCODER, threads=1), streams)
    answers: dict[str, list[Any]] = {"film model (GRU)": _said(setup, Model(FILM, threads=1), streams)}
    answers["each frame alone"] = frames
    answers |= {name: [smooth(p) for p in frames] for name, smooth in rivals.items()}
    answers["both ways (film-both)"] = _said(setup, Model(BOTH, threads=1), streams)
    return answers


def _checks(
    streams: Streams, answers: dict[str, list[Any]], place: str, subjects: Names | None, seed: int
) -> Iterator[Check]:
    """Yield for each rival the claim that the film model finds segments better: a paired bootstrap."""
    (_, ours), *others = ((name, _counts(streams, p)) for name, p in answers.items())
    for name, theirs in others[:-1]:
        both = np.concatenate([ours, theirs], axis=1)

        def measure(times: NDArray[np.int64], both: NDArray[np.float64] = both) -> NDArray[np.float64]:
            total = times @ both
            f1 = 2 * total[:, 0::2] / np.maximum(total[:, 1::2], 1)
            return f1[:, :1] - f1[:, 1:]

        population = clusters(subjects, len(streams))
        difference = bootstrap(measure, [population], draws=2000, seed=seed)[0]
        claim = f"The film model finds segments better than {name}"
        yield Check(claim, f"on {place}", difference.scaled(100))


def _counts(streams: Streams, p: list[Any]) -> NDArray[np.float64]:
    """Return (n, 2): segments found rightly, and those found and true together."""
    neutral, truth = streams.labels[HEAD].index("neutral"), streams.truth(HEAD)
    rows = []
    for i, each in enumerate(p):
        times = streams.times[i, : len(each)]
        true, found = (
            [one for one in segments_of(times, labels) if one[0] != neutral]
            for labels in (truth[i, : len(each)], each.argmax(axis=1))
        )
        rows.append((len(matches(true, found)), len(true) + len(found)))
    return np.array(rows, np.float64)


def _timed(streams: Streams, p: list[Any], draws: int = 0) -> TimingScores:
    lengths = streams.mask.sum(axis=1)
    truth = streams.truth(HEAD)
    return timing_scores(
        [streams.times[i, :n] for i, n in enumerate(lengths)],
        [truth[i, :n] for i, n in enumerate(lengths)],
        [each.argmax(axis=1) for each in p],
        background=streams.labels[HEAD].index("neutral"),
        bootstrap=draws,
    )


def _ends(interval: Interval) -> tuple[float, float, float]:
    return 100 * interval.value, 100 * interval.low, 100 * interval.high


def _row(place: str, name: str, found: TimingScores) -> Row:
    return Row(
        place,
        name,
        {
            "segment F1": found.interval("f1").scaled(100),
            "onset error, ms": found.interval("onset_error"),
            "onset late by, ms": found.onset_bias,
            "changes a second": f"{found.flicker:.2f}",
            "frames right": found.interval("accuracy").scaled(100),
        },
    )


def _sentences(scores: dict[str, dict[str, TimingScores]]) -> list[str]:
    """Return for each place what the film model wins and loses; made from the numbers."""
    said = []
    for place, found in scores.items():
        (_, ours), *others = found.items()
        told = []
        for name, theirs in others:
            marks = [
                ("segment F1", ours.f1 > theirs.f1),
                ("onset error", not ours.onset_error > theirs.onset_error),  # NaN: they found no segment
                ("flicker", ours.flicker < theirs.flicker),
            ]
            won = ", ".join(what for what, is_better in marks if is_better) or "nothing"
            lost = ", ".join(what for what, is_better in marks if not is_better) or "nothing"
            told.append(f"against {name} it is better in {won}, worse in {lost}")
        said.append(f"The film model on {place} (the truth changes {ours.true_flicker:.2f} times a second): "
                    f"{'; '.join(told)}.")  # fmt: skip
    return said


def _settings(parts: dict[str, Streams], chosen: dict[str, Smooth]) -> dict[str, Any]:
    return {
        "synthetic": "motion, trembling, light, noise, blur, occlusion and false frames; of the streams of "
        "stills also the passages, which join pictures of different persons; CK+ clips are real persons, the "
        "frames between theirs are dissolves",
        "streams": ", ".join(f"{len(streams)} {place}" for place, streams in parts.items()),
        "rivals": f"smooth what {ENCODER!r} says of each frame; chosen on streams of PublicTest by segment "
        f"F1: {'; '.join(chosen)}",
        "film models": f"{FILM!r} (GRU) and {BOTH!r} (GRU both ways: it sees later frames too, so it is for "
        "finished films alone), trained on streams of Training",
        "intervals": "of the differences over persons where they are named (CK+); of the tables over streams",
        "onset error": "of the segments that were found; frames alone find few, and those begin on time",
    }


STUDY = Study(
    "timing",
    "Context from earlier frames helps: a recurrent network finds when emotions begin and end better than "
    "single frames, and than smoothing them.",
    run,
)
