"""Studies of films: small parts by hand, whole runs on drawn faces in the forms of CK+ and FER2013."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pyfer.datasets
from pyfer.baseline import SHARE, logs_of
from pyfer.cartoon import cartoon_faces
from pyfer.crops import luma
from pyfer.datasets import CKPLUS_LABELS, Clips, folds, open_clips, open_data
from pyfer.emotions import BASIC
from pyfer.evaluation import TimingScores, exponential, moving_average, timing_scores
from pyfer.models import Model
from pyfer.streams import Streams, StreamSettings, make_streams
from pyfer.studies import Outcome, Setup, baseline, context, find, timing
from pyfer.studies.common import readme

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("sklearn")
pytest.importorskip("cv2")
pytest.importorskip("skimage")

import pyfer.training.clips as learning  # noqa: E402
import pyfer.training.loop as loop  # noqa: E402

PERSONS = 12
SHOWN = ("fear", "anger")
"""What each drawn person shows. The shipped network takes most drawn neutral faces for surprised ones, and so
these two: just what a person's own neutral face should mend."""
FILES = {"Training": "train.npz", "PublicTest": "public_test.npz", "PrivateTest": "private_test.npz"}
VOTES = (*BASIC, "unknown", "not_face")


def drawn(emotion: str, share: float) -> NDArray[np.uint8]:
    """Return the faces of all persons (n, 48, 48) with so much of an emotion, the rest neutral."""
    weights = np.zeros((PERSONS, 8))
    weights[:, BASIC.index(emotion)] = share
    weights[:, 0] += 1 - share
    return luma(cartoon_faces(weights, seed=3, variation=0.05))


@pytest.fixture(scope="module")
def ck(tmp_path_factory: pytest.TempPathFactory) -> str:
    """CK+ with 12 persons, two clips each, of which one lacks its first frame."""
    folder = tmp_path_factory.mktemp("data") / "ckplus"
    folder.mkdir()
    films = [np.stack([drawn(name, share) for share in (0, 0.5, 0.75, 1)], axis=1) for name in SHOWN]
    present = np.ones((len(SHOWN) * PERSONS, 4), np.uint8)
    present[3, 0] = 0
    np.savez(folder / "sequences.npz", frames=np.concatenate(films), present=present)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("clip_id", "subject", "label", "composed_neutral"))
        writer.writerows((f"S{k:02}_{name}", f"S{k:02}", name, 0) for name in SHOWN for k in range(PERSONS))
    return f"ckplus:{folder}"


@pytest.fixture(scope="module")
def fer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """FER2013 with FER+ votes: all persons with four faces each, in each of its parts."""
    folder = tmp_path_factory.mktemp("data") / "fer2013plus"
    folder.mkdir()
    names = ("neutral", "happiness", "surprise", "fear")
    faces = np.concatenate([drawn(name, 1.0) for name in names])
    delta = np.diff(faces, axis=2, prepend=np.uint8(0)).astype(np.uint8)
    rows = []
    for part, (split, file) in enumerate(FILES.items()):
        numbers = 1000 * part + np.arange(len(faces))
        np.savez(folder / file, delta=delta, row=numbers)
        for k, number in enumerate(numbers):
            name = names[k // PERSONS]
            counts = [9 if vote == name else 0 for vote in VOTES]
            rows.append((number, split, name, name, number, 0, *counts))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        columns = ("row", "split", "fer2013_label", "ferplus_majority", "dup_group", "train_leaks_test")
        writer.writerow((*columns, *(f"v_{name}" for name in VOTES)))
        writer.writerows(rows)
    return f"fer2013plus:{folder}"


@pytest.fixture
def setup(ck: str, fer: str, tmp_path: Path) -> Setup:
    return Setup(fer, ck, quick=True, cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def clips(ck: str) -> Clips:
    return open_clips(ck)


def table(outcome: Outcome) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(row.part, row.name): row.cells for row in outcome.rows}


def is_drawn(outcome: Outcome) -> bool:
    """Whether the picture is one, and the report can be written."""
    assert readme(find("context"), outcome).count("\n| ") > 4
    return outcome.chart.shape[1:] == (1200, 3) and len(np.unique(outcome.chart)) > 20


# --- baseline ---------------------------------------------------------------------------------------------


def test_a_baseline_helps_drawn_faces_and_is_kept(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = find("baseline").run(setup)
    rows = {name: cells for (_, name), cells in table(outcome).items()}
    assert list(rows) == ["nothing", "one's own", "a stranger's", "the mean of the others",
                          f"one's own, share {SHARE:g}"]  # fmt: skip
    assert rows["nothing"]["share taken off"] == "0.00"
    assert rows[f"one's own, share {SHARE:g}"]["share taken off"] == f"{SHARE:.2f}"
    own, nothing = rows["one's own"]["7 classes"], rows["nothing"]["7 classes"]
    assert own.value > nothing.value + 20
    gain = next(check for check in outcome.checks if check.claim.endswith("helps among 7 classes"))
    assert gain.difference.value == pytest.approx(own.value - nothing.value)
    assert gain.verdict == "holds"
    assert outcome.settings["clips"] == "23 of 24, those with their neutral first frame"
    assert outcome.settings["neutral faces"].startswith("2 views")
    assert is_drawn(outcome)
    monkeypatch.setattr(Model, "__call__", None)  # what it said is kept
    assert table(find("baseline").run(setup)) == table(outcome)


def test_the_right_answers_are_those_of_the_model(setup: Setup, clips: Clips) -> None:
    outcome = find("baseline").run(setup)
    kept = clips.present[:, 0]
    p = Model("base").__call__(clips.frames[kept, -1]).probabilities["ferplus"]
    names = np.array([CKPLUS_LABELS[k] for k in clips.truth[kept]])
    seven = np.array(BASIC)[1:][p[:, 1:].argmax(axis=1)] == names
    eight = np.array(BASIC)[p.argmax(axis=1)] == names
    cells = table(outcome)["at the apex", "nothing"]
    assert cells["7 classes"].value == pytest.approx(100 * seven.mean())
    assert cells["8 with neutral"].value == pytest.approx(100 * eight.mean())


def test_no_fold_has_a_say_in_its_own_share() -> None:
    rng = np.random.default_rng(0)
    n = 200
    apex, neutral = (rng.dirichlet(np.ones(8), n).astype(np.float32) for _ in range(2))
    truth, fold = rng.integers(1, 8, n), np.arange(n) % 10
    before, share = baseline._chosen(apex, logs_of(neutral), truth, fold)
    other = truth.copy()
    other[fold == 4] = rng.integers(1, 8, int((fold == 4).sum()))
    after, _ = baseline._chosen(apex, logs_of(neutral), other, fold)
    np.testing.assert_array_equal(after[fold == 4], before[fold == 4])
    assert share == pytest.approx(np.mean([_best(apex, neutral, truth, fold != k) for k in range(10)]))


def _best(
    apex: NDArray[np.float32], neutral: NDArray[np.float32], truth: NDArray[np.int64], rows: NDArray[np.bool_]
) -> float:
    """Return the share with the most right answers in some rows, the smallest of equals."""
    right = [
        ((np.log(apex) - share * logs_of(neutral))[:, 1:].argmax(axis=1) + 1 == truth)[rows].sum()
        for share in baseline.SHARES
    ]
    return baseline.SHARES[int(np.argmax(right))]


def test_with_nothing_taken_off_the_answers_stay() -> None:
    apex = np.random.default_rng(0).dirichlet(np.ones(8), 20).astype(np.float32)
    found, share = baseline._chosen(
        apex, np.zeros((20, 8), np.float32), np.ones(20, np.int64), np.arange(20) % 10
    )
    assert share == 0
    np.testing.assert_array_equal(found, apex)


def test_a_stranger_is_somebody_else() -> None:
    subjects = np.repeat([f"p{k}" for k in range(6)], 5)
    rows = baseline._strangers(subjects, 0)
    assert (subjects[rows] != subjects).all()
    assert len(np.unique(rows)) > 10
    assert not np.array_equal(rows, baseline._strangers(subjects, 1))


def test_a_resting_face_is_measured_against_another_view_of_itself() -> None:
    """Two views, one that says neutral for sure, one that says sadness."""
    sure, sad = np.array([0.9, 0.1]), np.array([0.3, 0.7])
    views = np.array([[sure, sad]])  # (1 clip, 2 views, 2 labels)
    p = np.stack([np.concatenate([views[:, :1], views], axis=1)] * 2, axis=2).astype(np.float32)
    logs = np.zeros((1, 2), np.float32)
    assert baseline._resting(p, logs, 0.5, own=False).tolist() == [[True, False]]
    # 0.9 / 0.3 against 0.1 / 0.7: neutral; 0.3 / 0.9 against 0.7 / 0.1: sadness
    assert baseline._resting(p, logs, 1.0, own=True).tolist() == [[True, False]]
    both = p.copy()
    both[:, 1:] = sad  # a face that always rests sadly: what is left is nothing, and the first label is it
    assert baseline._resting(both, logs, 0.9, own=True).tolist() == [[False, False]]
    assert baseline._resting(both, logs_of(np.array([[0.1, 0.9]])), 0.9, own=False).tolist() == [[True, True]]


# --- context ----------------------------------------------------------------------------------------------


def test_every_answer_is_of_networks_that_saw_nobody_of_the_fold(
    setup: Setup, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the arms differ in what they see: a film, or the apex standing still."""
    seen: list[NDArray[Any]] = []
    trained: list[NDArray[Any]] = []
    asked: list[NDArray[Any]] = []

    def train(settings: Any, folder: Path, task: Any) -> None:
        trained.append(task.train.values[0])
        (folder / "seed").write_text(str(settings.seed))

    def answer(network: Any, frames: Any, head: str, columns: Any, two_way: bool) -> NDArray[np.float32]:
        asked.append(frames.values[0])
        return np.full((len(frames), len(columns)), 0.5, np.float32)

    real = context._seen

    def spied(*arguments: Any) -> Any:
        frames = real(*arguments)
        seen.append(frames.values[0])
        return frames

    monkeypatch.setattr(context, "_seen", spied)
    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr(loop, "load_network", lambda folder: [int((folder / "seed").read_text())])
    monkeypatch.setattr(learning, "apex_probabilities", answer)
    for stands in (False, True):
        trained.clear()
        asked.clear()
        p = context._answers(setup, clips, "gru", stands, 500, "what")
        whose = {row[-2].tobytes(): k // 6 for k, row in enumerate(seen[-1])}  # the apex, or before it
        whose |= {row[-1].tobytes(): k // 6 for k, row in enumerate(seen[-1]) if row[-1].any()}
        fold = folds(clips.subjects, clips.truth, 10, 500)
        for k, (learned, queried) in enumerate(zip(trained, asked, strict=True)):
            inside = {whose[row[-2].tobytes()] for row in learned}
            outside = {whose[row[-2].tobytes()] for row in queried}
            assert not set(clips.subjects[list(inside)]) & set(clips.subjects[list(outside)])
            assert outside == set(np.flatnonzero(fold == k).tolist())
            assert len(queried) == 2 * len(outside)  # as it is, and mirrored
            assert len(learned) == 6 * len(inside)  # and four views
        assert all((row == row[:1]).all() for part in asked for row in part) == stands
        np.testing.assert_allclose(p, 0.5)


def test_answers_are_kept_for_the_same_run_alone(
    setup: Setup, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def answers(*arguments: Any) -> NDArray[np.float32]:
        calls.append(1)
        return np.eye(7, dtype=np.float32)[clips.truth]

    def run(setup: Setup, clips: Clips = clips) -> int:
        calls.clear()
        found = context._hits(setup, clips, "GRU, the apex alone", [500])
        assert found.shape == (1, 24)
        return len(calls)

    monkeypatch.setattr(context, "_answers", answers)
    assert run(setup) == 1
    assert run(setup) == 0
    assert run(replace(setup, seed=1)) == 1  # other views
    assert run(setup, replace(clips, subjects=clips.subjects[::-1])) == 1  # other folds
    full = replace(setup, quick=False)
    assert run(full) == 1
    monkeypatch.setattr(context, "EPOCHS", 7)
    assert run(full) == 1
    monkeypatch.setattr(context, "ENSEMBLE", 3)
    assert run(full) == 1


def test_context_runs_on_drawn_clips(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = ("GRU, the apex alone", "LSTM, neutral to apex")
    monkeypatch.setattr(context, "_hits", _stubbed(context._hits, set(arms)))
    outcome = find("context").run(setup)
    rows = {name: cells for (_, name), cells in table(outcome).items()}
    assert list(rows) == [*context.ARMS, "HOG and SVM, the apex alone", "HOG and SVM, four frames"]
    for name in ("GRU, the apex alone", "HOG and SVM, the apex alone", "HOG and SVM, four frames"):
        assert rows[name]["accuracy"].value > 60, name
    assert rows["LSTM, neutral to apex"]["accuracy"].value > 0  # so little training is not enough
    assert rows["GRU, neutral to apex"]["accuracy"].value == 100
    for cells in rows.values():
        assert cells["mean recall"] == pytest.approx(cells["accuracy"].value)  # as many of each
    assert outcome.settings["persons"] == PERSONS
    assert "4 views" in outcome.settings["to learn from"]
    assert outcome.settings["folds"].startswith("10, by person, 1 deals")
    assert is_drawn(outcome)
    monkeypatch.setattr(loop, "train", None)  # all is kept
    assert table(find("context").run(setup)) == table(outcome)


def _stubbed(real: Any, names: set[str]) -> Any:
    """Return `_hits` that trains for some names alone; for others all is right."""

    def hits(setup: Setup, clips: Clips, name: str, deals: list[int]) -> NDArray[np.bool_]:
        if name in names:
            found: NDArray[np.bool_] = real(setup, clips, name, deals)
            return found
        return np.ones((len(deals), len(clips)), bool)

    return hits


def test_claims_and_tests_of_context_by_hand(setup: Setup, clips: Clips) -> None:
    hits = {name: np.zeros((2, 24), bool) for name in context.ARMS}
    hits["GRU, neutral to apex"][:, :20] = True
    hits["GRU, the apex alone"][:, 4:12] = True
    hits["GRU, the apex alone"][1, 23] = True
    hits |= {"HOG and SVM, the apex alone": np.ones((2, 24), bool)}
    hits |= {"HOG and SVM, four frames": np.zeros((2, 24), bool)}
    goal, way, lstm, frames = context._checks(setup, hits, clips)
    assert goal.difference.value == pytest.approx(100 * 20 / 24 - 96)
    assert way.difference.value == pytest.approx(100 * 11.5 / 24)
    assert (way.verdict, lstm.verdict) == ("holds", "cannot be told here")
    assert (frames.verdict, frames.difference.value) == ("is contradicted", -100)
    (told,) = context._sentences(hits, [7, 8])
    assert "deal 7: 12 right with the film alone, 0 with the apex alone, p = 0.00" in told
    assert "deal 8: 12 right with the film alone, 1 with the apex alone" in told


# --- timing -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streams() -> Streams:
    data = open_data("cartoon:?n=64&seed=3")
    return make_streams(data, "ferplus", StreamSettings(count=36, frames=(6, 24), rate=(10.0, 20.0)), seed=4)


def noisy(streams: Streams, strength: float) -> list[NDArray[np.float32]]:
    """Return the truth of each stream as probabilities with noise from frame to frame."""
    rng = np.random.default_rng(0)
    found = []
    for target, n in zip(streams.targets["ferplus"], streams.mask.sum(axis=1), strict=True):
        p = target[:n] + strength * rng.random((n, 8))
        found.append(np.asarray(p / p.sum(axis=1, keepdims=True), np.float32))
    return found


def test_what_a_model_says_of_streams_is_what_it_says_of_each(
    setup: Setup, streams: Streams, tiny_model: Model
) -> None:
    told: list[tuple[str, int, int]] = []
    setup = replace(setup, say=lambda *words: told.append(words))
    found = timing._said(setup, tiny_model, streams)
    assert len(found) == 36  # more than go side by side
    for k, n in enumerate(streams.mask.sum(axis=1)):
        alone = tiny_model.film(streams.frames[k, :n], streams.times[k, :n]).probabilities["ferplus"]
        np.testing.assert_allclose(found[k], alone, atol=1e-5)
    assert told == [("tiny on 36 streams", 32, 36), ("tiny on 36 streams", 36, 36)]


def test_the_truth_itself_is_without_fault_and_neutral_is_no_segment(streams: Streams) -> None:
    exact = timing._timed(streams, noisy(streams, 0))
    assert (exact.f1, exact.accuracy, exact.onset_error, exact.onset_bias) == (1, 1, 0, 0)
    assert exact.flicker == exact.true_flicker > 0
    lengths = streams.mask.sum(axis=1)
    neutral = timing._timed(streams, [np.eye(8)[np.zeros(n, int)] for n in lengths])
    assert neutral.recall == 0
    assert np.isnan(neutral.precision) or neutral.precision == 0


def test_rivals_are_the_best_of_their_kind_on_the_streams_to_choose_on(
    setup: Setup, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int, int]] = []

    def stills(setup: Setup, split: str, count: int, seed: int) -> Streams:
        asked.append((split, count, seed))
        return streams

    p = noisy(streams, 3.0)
    monkeypatch.setattr(timing, "_stills", stills)
    monkeypatch.setattr(timing, "_said", lambda *_: p)
    chosen = timing._rivals(setup, 5)
    assert asked == [("PublicTest", 5, timing.CHOOSING)]
    lengths, truth = streams.mask.sum(axis=1), streams.truth("ferplus")

    def f1(smooth: Any) -> float:
        return timing_scores(
            [streams.times[i, :n] for i, n in enumerate(lengths)],
            [truth[i, :n] for i, n in enumerate(lengths)],
            [smooth(each).argmax(axis=1) for each in p],
            background=0,
        ).f1

    average, smoothing, *_ = chosen.items()
    best = max(timing.WINDOWS, key=lambda k: f1(lambda p: moving_average(p, frames=k)))
    assert average[0] == f"moving average, {best} frames"
    rate = max(timing.RATES, key=lambda a: f1(lambda p: exponential(p, alpha=a)))
    assert smoothing[0] == f"exponential smoothing, {rate:g}"
    for name, smooth in chosen.items():
        assert f1(smooth) > f1(lambda p: p), name
    assert f1(average[1]) == f1(lambda p: moving_average(p, frames=best))


def test_inertia_makes_what_was_said_easier_to_say_again() -> None:
    p = np.array([[0.9, 0.1], [0.45, 0.55], [0.45, 0.55], [0.1, 0.9]], np.float32)
    assert timing._steadied(p, rate=1.0, inertia=0.0).argmax(axis=1).tolist() == [0, 1, 1, 1]
    found = timing._steadied(p, rate=1.0, inertia=1.0)
    assert found.argmax(axis=1).tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(found[0], p[0], atol=1e-6)  # nothing was said before
    odds = np.log(found[1, 0] / found[1, 1])
    assert odds == pytest.approx(np.log(0.45 / 0.55) + 0.9 - 0.1, abs=1e-4)


def some(clips: Clips, n: int) -> Clips:
    """Return the first n clips."""
    return replace(
        clips,
        frames=clips.frames[:n],
        present=clips.present[:n],
        truth=clips.truth[:n],
        subjects=clips.subjects[:n],
    )


def scores(f1: float, onset: float, flicker: float) -> TimingScores:
    return TimingScores(5, 60.0, 9, f1, f1, f1, onset, 0.0, flicker, 0.8, 0.9)


def test_what_is_won_and_lost_is_said() -> None:
    """Answers that change less often flicker less; the truth's own number stands beside it."""
    found = {
        "film": scores(0.6, 100.0, 0.9),
        "frames": scores(0.3, 90.0, 4.0),
        "slow": scores(0.7, 150.0, 1.0),
        "best": scores(0.9, 50.0, 0.8),
        "worst": scores(0.1, 500.0, 9.0),
        "blind": scores(0.0, float("nan"), 0.9),
    }
    (told,) = timing._sentences({"here": found})
    assert told.startswith("The film model on here (the truth changes 0.80 times a second): ")
    assert "against frames it is better in segment F1, flicker, worse in onset error" in told
    assert "against slow it is better in onset error, flicker, worse in segment F1" in told
    assert "against best it is better in nothing, worse in segment F1, onset error, flicker" in told
    assert "against worst it is better in segment F1, onset error, flicker, worse in nothing" in told
    assert "against blind it is better in segment F1, onset error, worse in flicker" in told


def test_timing_runs_on_drawn_faces(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setup, "sized", lambda self, full, quick: 6)
    monkeypatch.setattr(timing, "open_clips", lambda spec: some(open_clips(spec), 8))
    opened: list[str] = []
    real = pyfer.datasets.open_data

    def spied(spec: str) -> Any:
        opened.append(spec)
        return real(spec)

    monkeypatch.setattr(pyfer.datasets, "open_data", spied)
    outcome = find("timing").run(setup)
    assert opened == [f"{setup.wild}?split={split}" for split in ("PublicTest", "PrivateTest")]
    rows = table(outcome)
    assert outcome.parts == ("streams of stills", "streams of CK+ clips")
    for part in outcome.parts:
        names = [name for where, name in rows if where == part]
        assert names[:2] == ["film model (GRU)", "each frame alone"]
        assert [name.split(",")[0] for name in names[2:4]] == ["moving average", "exponential smoothing"]
    clips = "streams of CK+ clips"
    assert float(rows[clips, "film model (GRU)"]["changes a second"]) < float(
        rows[clips, "each frame alone"]["changes a second"]
    )
    found = rows["streams of stills", "film model (GRU)"]
    assert 0 < found["frames right"].low <= found["frames right"].value <= 100
    assert outcome.settings["streams"] == "6 streams of stills, 7 streams of CK+ clips"
    assert len(outcome.sentences) == 2
    assert is_drawn(outcome)
