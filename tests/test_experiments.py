"""The experiments on combined emotions, on made-up outputs of a network. No number of theirs is checked."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pyfer.blends import PAIRS, Blends, find, mean_rule
from pyfer.datasets import FaceData
from pyfer.emotions import BASIC
from pyfer.evidence import Evidence, composition, size
from pyfer.models import Output

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "emotions"
N = 900
"""Faces of the made-up data."""
PAIR = PAIRS.index(("surprise", "fear"))


@pytest.fixture
def scorers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("scorers")
    monkeypatch.setattr(module, "SYNTHETIC", 30)
    return module


@pytest.fixture
def ablation(scorers: ModuleType) -> ModuleType:
    return importlib.import_module("ablation")


@pytest.fixture
def shrinkage(scorers: ModuleType) -> ModuleType:
    return importlib.import_module("shrinkage")


def readings(kind: str, features: int) -> Evidence:
    """Return evidence whose score is sum w_i x_i, with x the first eight features."""
    weight = np.zeros((features, size(8)), np.float32)
    weight[:8, :8] = np.eye(8)
    nothing = np.zeros(size(8), np.float32)
    return Evidence(BASIC, kind, weight, nothing, nothing, np.zeros((1, size(8)), np.float32))


def mixtures(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n points: half of them basic emotions, half mixtures of two in all shares."""
    points = np.eye(8)[np.arange(n) % 8]
    others = np.eye(8)[rng.integers(1, 8, n)]
    share = np.where(np.arange(n) % 2, rng.choice([0.2, 0.5, 0.8], n), 1.0)[:, None]
    return share * points[rng.permutation(n)] + (1 - share) * others


@pytest.fixture
def outputs(scorers: ModuleType, ablation: ModuleType) -> SimpleNamespace:
    """Outputs of a network that reads mixtures well, with the splits of FER+."""
    rng = np.random.default_rng(0)
    points = mixtures(N, rng)
    votes = np.zeros((len(points), 10), np.float32)
    votes[:, :8] = rng.multinomial(10, 0.97 * points + 0.03 / 8)
    embedding = np.abs(np.hstack([3 * points, points @ rng.normal(size=(8, 8))])) + rng.uniform(
        0, 0.4, (N, 16)
    )
    logits = np.log(0.02 + points) + rng.normal(0, 0.3, points.shape)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    faces = scorers.Faces(votes, p.astype(np.float32), embedding.astype(np.float32))
    split = np.repeat([0, 1, 2], N // 3)
    return ablation.Outputs(faces, split, np.arange(N) < 30)


def test_formulas_by_hand(scorers: ModuleType) -> None:
    p = np.array([[0.05, 0.05, 0.40, 0.05, 0.05, 0.05, 0.30, 0.05]], np.float32)
    m = SimpleNamespace(faces=scorers.Faces(np.zeros((1, 10), np.float32), p, p))
    pair, single = scorers.B + PAIR, BASIC.index("surprise")
    assert scorers.mean(m)[0, [single, pair]] == pytest.approx([0.4, 0.35])
    assert scorers.geometric_mean(m)[0, [single, pair]] == pytest.approx([0.4, np.sqrt(0.12)])
    divergence = 0.5 * np.log(0.5 / 0.4) + 0.5 * np.log(0.5 / 0.3)
    assert scorers.divergence(m)[0, [single, pair]] == pytest.approx([np.log(0.4), -divergence])
    assert scorers.bhattacharyya(m)[0, pair] == pytest.approx(np.sqrt(0.2) + np.sqrt(0.15))
    same = SimpleNamespace(
        faces=scorers.Faces(m.faces.votes, scorers._SOFTENED[[pair]].astype(np.float32), p)
    )
    cosine = scorers.cosine_of_logits(same)[0]
    assert cosine.argmax() == pair
    assert cosine[pair] == pytest.approx(1)


def test_votes_speak_for_emotions_of_the_vocabulary(scorers: ModuleType) -> None:
    votes = np.zeros((3, 8), np.float32)
    votes[0, 1] = 10
    votes[1, [2, 6]] = 5
    votes[2, [0, 3]] = 5  # between neutral and sadness, which is no emotion of the vocabulary
    target = scorers.vocabulary_target(votes)
    assert target[0].argmax() == 1
    assert target[1].argmax() == scorers.B + PAIR
    assert (target[:2].max(1) > 0.9).all()
    assert target[2].sum() < 0.1
    assert (target.sum(1) <= 1 + 1e-9).all()


def test_weights_of_terms_are_found_again(scorers: ModuleType) -> None:
    terms = np.random.default_rng(0).normal(size=(3, 500, 6)) * np.array([1, 20, 0.1])[:, None, None]
    target = scorers.posterior(np.tensordot([2, -0.1, 5], terms, 1) + 1.0)
    assert scorers.fitted_weights(terms, target, 1.0) == pytest.approx([2, -0.1, 5], rel=1e-6)


def test_every_rule_finds_pairs_and_sees_only_what_it_may(
    scorers: ModuleType, ablation: ModuleType, outputs: SimpleNamespace
) -> None:
    blends = find(outputs.faces.votes)
    assert len(blends.rows) > 100
    m = ablation.material(outputs, readings("embedding", 16), readings("probabilities", 8), True)
    fitted = m.train | m.tune
    assert not fitted[blends.rows].any()
    assert not fitted[:30].any()  # copies of test faces
    assert m.train.sum() > 150 < m.tune.sum()
    faces = outputs.faces
    noise = np.random.default_rng(1).dirichlet(np.ones(8), N).astype(np.float32)
    changed = scorers.Faces(
        faces.votes,
        np.where(fitted[:, None], faces.probabilities, noise),
        np.where(fitted[:, None], faces.embedding, np.float32(0.5)),
    )
    other = scorers.Material(changed, m.train, m.tune, m.evidence, m.from_probabilities)
    for name, scorer in scorers.SCORERS.items():
        scores = scorer(m)
        assert scores.shape == (N, 29), name
        assert np.isfinite(scores).all(), name
        assert (scores[blends.rows, 8:].argmax(1) == blends.pair).mean() > 0.7, name
        p, beta, _ = scorers.calibrated(scores, m)
        untrained = scorers.Material(faces, np.zeros(N, bool), m.tune, m.evidence, m.from_probabilities)
        assert scorers.calibrated(scores, untrained)[1] == beta, name
        assert beta > 0, name
        assert p[blends.rows, 8:].sum(1).mean() > 0.2 + p[blends.single, 8:].sum(1).mean(), name
        assert scorer(other)[fitted] == pytest.approx(scores[fitted]), name


def test_prototypes_do_not_depend_on_where_zero_is(
    scorers: ModuleType, ablation: ModuleType, outputs: SimpleNamespace
) -> None:
    faces = outputs.faces
    moved = scorers.Faces(faces.votes, faces.probabilities, (np.sqrt(faces.embedding) + 3) ** 2)
    for name in ("prototypes, distance", "prototypes, cosine"):
        m = ablation.material(outputs, readings("embedding", 16), readings("probabilities", 8), True)
        other = scorers.Material(moved, m.train, m.tune, m.evidence, m.from_probabilities)
        assert scorers.SCORERS[name](other) == pytest.approx(scorers.SCORERS[name](m), abs=0.02, rel=1e-3), (
            name
        )


def test_rules_that_only_sort_probabilities_name_the_same_pair(
    scorers: ModuleType, ablation: ModuleType, outputs: SimpleNamespace
) -> None:
    m = ablation.material(outputs, readings("embedding", 16), readings("probabilities", 8), True)
    wanted = mean_rule(outputs.faces.probabilities, BASIC)[0].argmax(1)
    for name in (
        "mean",
        "geometric mean",
        "-KL(w, p)",
        "Bhattacharyya",
        "cosine of logits",
        "evidence from p",
    ):
        assert (scorers.SCORERS[name](m)[:, 8:].argmax(1) == wanted).mean() > 0.99, name


def test_the_network_is_taken_at_its_word(ablation: ModuleType) -> None:
    def spec(*train: str) -> SimpleNamespace:
        return SimpleNamespace(about={"training": {"data": {"train": list(train)}}})

    assert ablation.is_zero_shot(spec("fer2013plus:x?split=Training&blends=drop"))
    assert not ablation.is_zero_shot(spec("fer2013plus:x?split=Training"))
    assert not ablation.is_zero_shot(spec("fer2013plus:x?blends=drop", "fer2013plus:y"))
    assert not ablation.is_zero_shot(SimpleNamespace(about={}))


@pytest.mark.parametrize("zero_shot", [True, False])
def test_the_report(
    ablation: ModuleType,
    outputs: SimpleNamespace,
    zero_shot: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    m = ablation.material(outputs, readings("embedding", 16), readings("probabilities", 8), zero_shot)
    assert (m.train | m.tune)[find(outputs.faces.votes).rows].any() != zero_shot
    found = ablation.rules(m)
    chosen: dict[str, Blends] = ablation.selections(outputs, zero_shot)
    assert len(chosen) == (4 if zero_shot else 1)
    for name, blends in chosen.items():
        both = outputs.split[np.concatenate([blends.rows, blends.single])]
        assert set(both) == ({2} if name == "PrivateTest" else {0, 1} if name == "development" else {0, 1, 2})
        assert (outputs.split[blends.single] > 0).all()  # the network was not trained on them
    results = {name: ablation.judged(found, blends, 20) for name, blends in chosen.items()}
    spec = SimpleNamespace(sha256="0" * 64, evidence="1" * 64)
    ablation.report(
        SimpleNamespace(name="made up", spec=spec), zero_shot, found, results, tmp_path / "a.json"
    )
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 110
    assert ("trained on the blends" in printed) != zero_shot
    tree = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    rules = tree["sets"]["PrivateTest"]["rules"]
    assert set(rules) == set(found)
    assert rules["mean rule"]["minus_mean_rule"]["macro_f1"] == {"value": 0, "low": 0, "high": 0}
    assert rules["mean rule"]["auroc"] != rules["mean, calibrated"]["auroc"]
    assert rules["the most frequent pair"]["auroc"]["value"] == 0.5


def made_up_blends(shrinkage: ModuleType) -> SimpleNamespace:
    """Return 30 blends of each of six pairs, whose evidence is what the even mixture would best explain."""
    rng = np.random.default_rng(0)
    pair = np.repeat([PAIRS.index(p) for p in PAIRS if "contempt" not in p and "disgust" not in p][:6], 30)
    points = np.eye(8)[shrinkage._MEMBERS[pair]].mean(1)
    votes = rng.multinomial(10, points).astype(np.float32)
    coefficients = 4 * composition(points) + rng.normal(0, 1.0, (len(pair), size(8)))
    return shrinkage.Blended(
        pair.astype(np.int64), votes, coefficients.astype(np.float32), readings("embedding", 16)
    )


def test_examples_correct_a_wrong_definition(shrinkage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinkage, "ROUNDS", {5: 3, 0: 2})
    blended = made_up_blends(shrinkage)
    alone = shrinkage.learned(blended, 5, 0, None)
    assert alone["accuracy"] > 0.9
    right = shrinkage.corrected(blended, 5, 0, shrinkage.even, 0.1)
    assert [right["accuracy"], right["log_loss"]] == pytest.approx([alone["accuracy"], alone["log_loss"]])
    untouched = shrinkage.learned(blended, 5, 10, 1e-4)
    assert untouched["log_loss"] == pytest.approx(alone["log_loss"], abs=1e-3)
    unlearned = shrinkage.learned(blended, 5, 10, 0.2, power=1e-9)
    assert unlearned["log_loss"] == pytest.approx(alone["log_loss"], abs=1e-3)
    assert shrinkage.learned(blended, 5, 10, None)["accuracy"] > 0.8
    wrong = [shrinkage.corrected(blended, 5, k, shrinkage.wrong_member, 0.2)["recall"] for k in (0, 10)]
    assert wrong[1] > wrong[0] + 0.2


def test_powers_and_definitions_count(shrinkage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinkage, "ROUNDS", {5: 3, 0: 2})
    blended = made_up_blends(shrinkage)
    rows = np.arange(5)
    silent = [blended.learned(rows + start, None, 0.1, power=1e-9) for start in (0, 60)]
    assert silent[0] == pytest.approx(silent[1], abs=1e-6)
    assert np.abs(blended.learned(rows, None, 0.1) - silent[0]).sum() > 0.5
    without = shrinkage.learned(blended, 5, 5, None)
    with_one = shrinkage.learned(blended, 5, 5, 0.1)
    monkeypatch.setattr(shrinkage, "even", lambda blended, way, ways: np.eye(8)[0])
    assert shrinkage.learned(blended, 5, 5, None) == without
    assert shrinkage.learned(blended, 5, 5, 0.1)["log_loss"] > with_one["log_loss"] + 0.01


def test_wrong_definitions_are_wrong(shrinkage: ModuleType) -> None:
    blended = made_up_blends(shrinkage)
    ways = np.unique(blended.pair)
    rivals = {frozenset(shrinkage._MEMBERS[way]) for way in ways}
    for way in ways:
        point = shrinkage.wrong_member(blended, way, ways)
        assert frozenset(np.flatnonzero(point)) not in rivals
        assert len(set(np.flatnonzero(point)) & set(shrinkage._MEMBERS[way])) == 1
        point = shrinkage.reversed_shares(blended, way, ways)
        votes = blended.votes[blended.pair == way].sum(0)
        assert set(np.flatnonzero(point)) == set(shrinkage._MEMBERS[way])
        assert votes[point.argmax()] == votes[shrinkage._MEMBERS[way]].min()


def test_shrinkage_prints_and_writes(
    shrinkage: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shrinkage, "ROUNDS", {5: 1, 0: 1})
    monkeypatch.setattr(shrinkage, "SHOTS", (1, 10))
    monkeypatch.setattr(shrinkage, "POWERS", (1.0, 0.5))
    shrinkage.run("made up", made_up_blends(shrinkage), tmp_path / "s.json")
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 110
    tree = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    costs = tree["log_loss_minus_no_examples"]
    alone = tree["5-way"]["powers"]["1.0"]["definition alone"]["log_loss"]
    learned = [
        tree[ways]["powers"]["1.0"][f"0.1, {k}"]["log_loss"]
        - tree[ways]["powers"]["1.0"]["definition alone"]["log_loss"]
        for ways in ("5-way", "all-way")
        for k in (1, 10)
    ]
    assert alone > 0
    assert costs["all right, tau 1.0"]["0.1"] == pytest.approx(np.mean(learned), abs=1e-4)
    assert costs["one: one wrong member"]["0.4"] < 0  # examples help where the definition is wrong


def test_both_read_a_model(
    ablation: ModuleType, shrinkage: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Columns of a head in another order come out in the order of BASIC."""
    order = [3, 0, 1, 2, 4, 5, 7, 6]
    p = np.random.default_rng(0).dirichlet(np.ones(8), 40).astype(np.float32)

    class Backwards:
        name = "backwards"
        spec = SimpleNamespace(
            head=lambda name: SimpleNamespace(name="ferplus", labels=[BASIC[k] for k in order])
        )
        evidence = readings("probabilities", 8)

        def __call__(self, crops: np.ndarray) -> Output:
            rows = crops[:, 0, 0].astype(np.int64)
            return Output({"ferplus": p[rows][:, order]}, p[rows])

    def faces(spec: str) -> FaceData:
        rows = np.arange(40) if "Training" in spec else np.arange(30, 40)
        rows = rows[5:] if "leaks=drop" in spec else rows
        votes = np.zeros((len(rows), 10), np.float32)
        votes[:, [2, 6]] = 5
        images = np.broadcast_to(rows[:, None, None], (len(rows), 2, 2)).astype(np.uint8)
        return FaceData(images, {}, {}, np.array([f"{k}" for k in rows]), votes={"ferplus": votes})

    monkeypatch.setattr(ablation, "open_data", faces)
    monkeypatch.setattr(shrinkage, "open_data", faces)
    outputs = ablation.read(Backwards(), "x")
    assert outputs.faces.probabilities[:40] == pytest.approx(p)
    assert outputs.leak[:6].tolist() == [True] * 5 + [False]
    assert outputs.split.tolist() == [0] * 40 + [1] * 10 + [2] * 10
    blended = shrinkage.read(Backwards(), "x")
    assert set(blended.pair) == {PAIR}
    assert blended.coefficients[:, :8] == pytest.approx(
        np.log(np.maximum(np.concatenate([p[5:], p[35:]]), 1e-4)), abs=1e-3
    )
