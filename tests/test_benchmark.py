"""The benchmark of combined emotions: its figures against plain counting on made-up faces."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyfer import benchmark
from pyfer.benchmark import Report, pairs_vocabulary
from pyfer.blends import PAIRS, episodes
from pyfer.emotions import BASIC, NONE
from pyfer.errors import ArgumentError, DataError
from pyfer.evidence import Evidence, grid, of_any_model, votes_posterior
from pyfer.models import Head, Model, Output, Spec
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary

LABELS = BASIC[::-1]  # the network's order, on purpose not that of the votes
ECE_BINS = 15
VOTES = (*BASIC, "unknown", "not_face")
FILES = {"Training": "train.npz", "PublicTest": "public_test.npz", "PrivateTest": "private_test.npz"}
LARGE = ("fear+surprise", "happiness+surprise", "anger+surprise", "anger+sadness", "fear+sadness")
"""Pairs with enough faces for rounds of five."""
SMALL, RARE = "anger+happiness", "contempt+disgust"
"""A pair with enough for rounds of all, and one of the ten that macro-F1 leaves out."""
STRICT, LOOSE = (5, 5), (6, 3)
CHUNK, ROUNDS = 64, 6


@dataclass(frozen=True)
class Drawn:
    """One made-up face: its votes, and what the network will say of it."""

    split: str
    votes: dict[str, int]
    leak: bool
    said: tuple[int, ...]  # eight bytes by LABELS, which are written into the picture

    @property
    def pair(self) -> str | None:
        """The blend by the rule of the benchmark, in the words of its definition."""
        two = sorted(name for name in BASIC if self.votes.get(name, 0) >= 3)
        others = max([0, *(n for name, n in self.votes.items() if name in BASIC and name not in two)])
        return "+".join(two) if len(two) == 2 and "neutral" not in two and others <= 1 else None

    @property
    def single(self) -> str | None:
        """The emotion that eight of ten saw, neutral too."""
        return next((name for name in BASIC if self.votes.get(name, 0) >= 8), None)

    @property
    def p(self) -> NDArray[np.float64]:
        q = np.array(self.said, np.float64) + 1
        return q / q.sum()


def drawn_faces() -> list[Drawn]:
    """Return faces of every kind in every split; the network is right about most."""
    rng = np.random.default_rng(7)
    kinds: list[tuple[dict[str, int], int]] = []
    for pair, count in [*((pair, 26) for pair in LARGE), (SMALL, 12), (RARE, 6)]:
        one, other = pair.split("+")
        for k in range(count):
            more, less = LOOSE if k % 4 == 1 else STRICT
            kinds.append(({one: more, other: less} | ({"neutral": 1} if k % 4 == 1 else {}), k))
    kinds += [({name: 8, "neutral": 1, "unknown": 1}, k) for name in BASIC[1:7] for k in range(12)]
    kinds += [({"neutral": 9, "sadness": 1}, k) for k in range(6)]
    kinds += [({"neutral": 4, "sadness": 3, "fear": 3}, k) for k in range(6)]  # nothing clear
    kinds += [({"surprise": 3, "unknown": 7}, k) for k in range(6)]  # hardly a vote for an emotion
    faces = []
    for votes, k in kinds:
        share = rng.dirichlet([0.35 + 0.8 * votes.get(name, 0) for name in LABELS])
        said = tuple(int(255 * value / share.max()) for value in share)
        faces.append(Drawn(tuple(FILES)[k % 3], votes, k % 6 == 0, said))
    return sorted(faces, key=lambda face: tuple(FILES).index(face.split))


def write_fer(folder: Path, faces: list[Drawn]) -> Path:
    """Write a folder of FER2013 with FER+ votes, as ``fer2013plus`` reads it."""
    folder.mkdir()
    rows: list[dict[str, Any]] = [
        {"row": k, "split": face.split, "fer2013_label": "neutral", "ferplus_majority": ""}
        | {f"v_{name}": face.votes.get(name, 0) for name in VOTES}
        | {"dup_group": k, "train_leaks_test": int(face.leak)}
        for k, face in enumerate(faces)
    ]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for split, file in FILES.items():
        numbers = np.array([k for k, face in enumerate(faces) if face.split == split])[::-1]
        images = np.random.default_rng(0).integers(0, 256, (len(numbers), 48, 48), np.uint8)
        images[:, 0, : len(LABELS)] = [faces[k].said for k in numbers]
        delta = np.diff(images, axis=2, prepend=np.uint8(0)).astype(np.uint8)  # wraps around at 256
        np.savez(folder / file, delta=delta, row=numbers)
    return folder


@dataclass
class Reader:
    """In a network's place: says what is written in the first pixels."""

    spec: Spec
    evidence: Evidence
    name: str = "reader"
    """Its only head tells `LABELS`, in any order."""

    def __call__(self, crops: NDArray[np.uint8]) -> Output:
        assert crops.shape[1:] == (48, 48)
        assert len(crops) <= CHUNK
        q = crops[:, 0, : len(LABELS)].astype(np.float32) + 1
        columns = [LABELS.index(name) for name in self.spec.head().labels]
        return Output({"ferplus": (q / q.sum(1, keepdims=True))[:, columns]}, None)


@dataclass
class Case:
    """Faces, the model, what the benchmark said of them, and what it told on the way."""

    faces: list[Drawn]
    folder: Path
    model: Any
    report: Report
    told: list[tuple[int, int]]

    def read(self, vocabulary: Vocabulary, faces: list[Drawn]) -> NDArray[np.float32]:
        """Return the posterior over a vocabulary for some faces."""
        posterior = Posterior(vocabulary, self.model.evidence, LABELS)
        p = np.array([face.p for face in faces], np.float32)
        return posterior(posterior.coefficients(p, None), p)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Case:
    faces = drawn_faces()
    folder = write_fer(tmp_path_factory.mktemp("data") / "fer", faces)
    spec = replace(tiny_model.spec, heads=(Head("ferplus", "ferplus", LABELS),), about={})
    return run(Reader(spec, of_any_model()), faces, folder)


@pytest.fixture(scope="module")
def ordered(case: Case) -> Case:
    """The same with labels in the usual order."""
    return run(labelled(case.model, BASIC), case.faces, case.folder)


def run(model: Any, faces: list[Drawn], folder: Path) -> Case:
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_CHUNK", CHUNK)
        report = benchmark.benchmark(
            model, folder, rounds=ROUNDS, on_done=lambda done, n: told.append((done, n))
        )
    return Case(faces, folder, model, report, told)


def labelled(model: Any, labels: tuple[str, ...]) -> Any:
    return replace(model, spec=replace(model.spec, heads=(Head("ferplus", "ferplus", labels),)))


NAMES = [f"{a} and {b}" for a, b in PAIRS]
SORTED = ["+".join(sorted(pair)) for pair in PAIRS]


def chosen(case: Case, table: str) -> tuple[list[Drawn], list[Drawn]]:
    """Return the blends and the single emotions that a table is about, by the protocol's words."""
    private = [face for face in case.faces if face.split == "PrivateTest"]
    faces = case.faces if table.startswith("zero") else private
    blends = [face for face in faces if face.pair]
    if table.endswith("strict"):
        blends = [face for face in blends if min(face.votes[name] for name in face.pair.split("+")) >= 4]
    unseen = [face for face in faces if face.split != "Training"]
    return blends, [face for face in unseen if face.single not in (None, "neutral")]


TABLES = ("zero_shot", "zero_shot_strict", "product", "product_strict")


def test_the_made_up_faces_are_no_easy_case(case: Case) -> None:
    assert {face.split for face in case.faces} == set(FILES)
    assert any(face.leak for face in case.faces)
    shares = [getattr(case.report, table).ours.top_pair.value for table in TABLES]
    assert all(0.3 < share < 0.95 for share in shares)
    assert len(set(shares)) == len(TABLES)


# --- the tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_about_the_faces_of_its_protocol(case: Case, table: str) -> None:
    blends, singles = chosen(case, table)
    found = getattr(case.report, table)
    for row in (found.ours, found.mean_rule):
        assert (row.n, row.singles) == (len(blends), len(singles))
        assert dict(zip(SORTED, row.counts.tolist(), strict=True)) == {
            name: Counter(face.pair for face in blends)[name] for name in SORTED
        }


@pytest.mark.parametrize("table", TABLES)
def test_top_pair_and_auroc_of_the_posterior(case: Case, table: str) -> None:
    blends, singles = chosen(case, table)
    ours = getattr(case.report, table).ours
    columns = [pairs_vocabulary().names.index(name) for name in NAMES]
    blend, single = (case.read(pairs_vocabulary(), faces)[:, columns] for faces in (blends, singles))
    right = [SORTED[k] == face.pair for k, face in zip(blend.argmax(1), blends, strict=True)]
    assert ours.top_pair.value == pytest.approx(np.mean(right))
    assert ours.auroc.value == pytest.approx(area(blend.sum(1), single.sum(1)), abs=1e-4)
    assert ours.top_pair.low < ours.top_pair.value < ours.top_pair.high


@pytest.mark.parametrize("table", TABLES)
def test_top_pair_and_auroc_of_the_mean_rule(case: Case, table: str) -> None:
    blends, singles = chosen(case, table)
    mean = getattr(case.report, table).mean_rule
    columns = {name: k for k, name in enumerate(LABELS)}
    right = []
    for face in blends:
        best = max(PAIRS, key=lambda pair: face.p[columns[pair[0]]] + face.p[columns[pair[1]]])
        right.append("+".join(sorted(best)) == face.pair)
    assert mean.top_pair.value == pytest.approx(np.mean(right))
    second = [np.array([np.sort(face.p)[-2] for face in faces]) for faces in (blends, singles)]
    assert mean.auroc.value == pytest.approx(area(*second), abs=1e-4)


@pytest.mark.parametrize("table", TABLES)
def test_the_gain_is_ours_less_the_mean_rule(case: Case, table: str) -> None:
    found = getattr(case.report, table)
    for metric in ("top_pair", "macro_f1", "auroc"):
        ours, mean = getattr(found.ours, metric).value, getattr(found.mean_rule, metric).value
        assert getattr(found.gain, metric).value == pytest.approx(ours - mean)
    assert found.gain.auroc.value != 0


def area(blend: NDArray[Any], single: NDArray[Any]) -> float:
    """Return the AUROC by looking at every couple."""
    return float(((blend[:, None] > single).mean() + (blend[:, None] >= single).mean()) / 2)


@pytest.mark.parametrize(
    ("about", "held_out"),
    [
        ({}, False),
        ({"training": "by hand"}, False),
        ({"training": {"data": {"train": []}}}, False),
        ({"training": {"data": {"train": ["fer2013plus:X?blends=drop", "fer2013plus:Y"]}}}, False),
        ({"training": {"data": {"train": ["fer2013plus:X?blends=drop", "cartoon:?blends=drop"]}}}, True),
    ],
)
def test_a_result_is_zero_shot_if_the_model_says_that_no_blend_was_in_its_training(
    case: Case, about: dict[str, Any], held_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "_CHUNK", CHUNK)
    monkeypatch.setattr(benchmark, "_DRAWS", 2)
    model = replace(case.model, spec=replace(case.model.spec, about=about))
    assert benchmark.benchmark(model, case.folder, rounds=1).held_out is held_out


# --- examples --------------------------------------------------------------------------------------------


def test_curves_are_for_five_pairs_and_for_all_that_have_enough(ordered: Case) -> None:
    assert [(c.ways, c.shots) for c in ordered.report.curves] == [
        (ways, shots) for ways in (5, len(LARGE) + 1) for shots in (1, 2, 5, 10)
    ]


def test_the_formula_alone_does_not_see_the_examples(ordered: Case) -> None:
    assert len({(c.ways, c.formula) for c in ordered.report.curves}) == 2
    five, all_pairs = ordered.report.curves[0], ordered.report.curves[-1]
    assert five.formula.value > all_pairs.formula.value


def test_accuracy_of_formulas_with_all_pairs_equally_likely(ordered: Case) -> None:
    blends = [face for face in ordered.faces if face.pair]
    truth = np.array([SORTED.index(face.pair) for face in blends if face.pair])
    evidence = of_any_model()
    order = [LABELS.index(name) for name in evidence.labels]
    e = evidence(np.array([face.p for face in blends], np.float32)[:, order], None) - evidence.base
    edges = list(combinations(evidence.labels, 2))
    score = []
    for pair in PAIRS:
        first, second = sorted(pair, key=evidence.labels.index)
        alone = e[:, evidence.labels.index(first)] + e[:, evidence.labels.index(second)]
        score.append(alone / 2 + e[:, len(evidence.labels) + edges.index((first, second))])
    table = np.array(score).T
    accuracy = [
        (round_.ways[table[round_.query][:, round_.ways].argmax(1)] == truth[round_.query]).mean()
        for round_ in episodes(truth, ways=5, shots=1, count=ROUNDS, seed=0)
    ]
    assert ordered.report.curves[0].formula.value == pytest.approx(np.mean(accuracy))


def test_examples_help_and_the_gain_is_the_difference(ordered: Case) -> None:
    for c in ordered.report.curves:
        assert c.gain.value == pytest.approx(c.refined.value - c.formula.value)
        assert c.refined.low <= c.refined.value <= c.refined.high
    first, *_, last = ordered.report.curves[:4]
    assert last.examples.value > first.examples.value
    assert any(c.refined != c.formula for c in ordered.report.curves)  # examples do move definitions
    assert first.refined.value > first.examples.value  # one example is worse than one and a definition


def test_the_order_of_the_labels_makes_no_difference_to_the_curves(case: Case, ordered: Case) -> None:
    for one, other in zip(case.report.curves, ordered.report.curves, strict=True):
        assert one.formula.value == pytest.approx(other.formula.value)
        assert one.examples.value == pytest.approx(other.examples.value, abs=0.02)


# --- calibration -----------------------------------------------------------------------------------------


def test_reliability_is_about_private_faces_with_a_clear_truth(case: Case) -> None:
    private = [face for face in case.faces if face.split == "PrivateTest"]
    clear = [face for face in private if face.pair or face.single]
    p = case.read(pairs_vocabulary(), clear)
    names = (*pairs_vocabulary().names, NONE)
    pair_names = dict(zip(SORTED, NAMES, strict=True))
    truth = [pair_names[face.pair] if face.pair else face.single for face in clear]
    right = np.array([names[k] == name for k, name in zip(p.argmax(1), truth, strict=True)])
    found = case.report.reliability
    assert (found.n, found.accuracy) == (len(clear), pytest.approx(right.mean()))
    assert 0 < found.accuracy < 1
    confidence = p.max(1)
    assert found.ece == pytest.approx(calibration_error(right, confidence), abs=1e-5)
    order = np.argsort(-confidence)
    for share in (1.0, 0.9, 0.8, 0.7, 0.5):
        answered = right[order[: int(np.ceil(share * len(clear) - 1e-9))]]
        assert found.answered[share] == pytest.approx(answered.mean())


def test_calibration_against_the_votes_of_all_faces(case: Case) -> None:
    private = [face for face in case.faces if face.split == "PrivateTest"]
    private = [face for face in private if sum(face.votes.get(name, 0) for name in BASIC) >= 4]
    vocabulary = pairs_vocabulary()
    p = case.read(vocabulary, private)[:, :-1]
    votes = np.array([[face.votes.get(name, 0) for name in BASIC] for face in private], np.float32)
    points, _ = grid(len(BASIC))
    places = [int(np.abs(points - emotion.point).sum(1).argmin()) for emotion in vocabulary]
    assert np.allclose(points[places], vocabulary.points)
    shares = [
        row[places[best]] / row[places].sum()
        for row, best in zip(votes_posterior(votes), p.argmax(1), strict=True)
    ]
    expected = calibration_error(np.array(shares), p.max(1))
    assert case.report.reliability.votes_ece == pytest.approx(expected, abs=1e-5)


def calibration_error(truth: NDArray[Any], confidence: NDArray[Any]) -> float:
    """Return the ECE by going through the bins."""
    total = 0.0
    for k in range(ECE_BINS):
        held = (confidence >= k / ECE_BINS) & (confidence < (k + 1) / ECE_BINS)
        total += abs(float(confidence[held].sum()) - float(truth[held].sum()))
    return total / len(truth)


def test_none_of_these_tells_blends_from_single_emotions(case: Case) -> None:
    blends, singles = chosen(case, "product")
    blend, single = (case.read(Vocabulary([]), faces)[:, -1] for faces in (blends, singles))
    assert case.report.reliability.none_auroc == pytest.approx(area(blend, single), abs=1e-4)
    assert 0.5 < case.report.reliability.none_auroc < 1


# --- the whole -------------------------------------------------------------------------------------------


def test_progress_counts_every_face_of_every_split(case: Case) -> None:
    n = len(case.faces)
    assert case.told == [(min(done + CHUNK, n), n) for done in range(0, n, CHUNK)]


def test_the_same_faces_give_the_same_report(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_CHUNK", CHUNK)
    again = benchmark.benchmark(case.model, case.folder, rounds=ROUNDS)
    assert again.to_dict() == case.report.to_dict()


def test_the_report_is_strict_json_with_everything(case: Case) -> None:
    tree = json.loads(json.dumps(case.report.to_dict(), allow_nan=False))
    assert list(tree) == ["model", "held_out", *TABLES, "curves", "reliability"]
    assert tree["model"] == "reader"
    assert tree["product"]["mean_rule"]["top_pair"]["value"] == case.report.product.mean_rule.top_pair.value
    assert tree["product"]["gain"]["auroc"]["low"] == case.report.product.gain.auroc.low
    assert tree["curves"][1]["shots"] == 2
    assert tree["reliability"]["answered"]["0.5"] == case.report.reliability.answered[0.5]


def test_a_model_that_lacks_an_emotion_is_refused(case: Case) -> None:
    model = labelled(case.model, tuple(name for name in LABELS if name != "contempt"))
    with pytest.raises(ArgumentError, match=r"'reader' does not tell contempt; the benchmark asks"):
        benchmark.benchmark(model, case.folder)


def test_a_folder_that_is_not_the_data_set_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv is missing"):
        benchmark.benchmark(case.model, tmp_path)


def test_too_few_faces_of_a_pair_are_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "_CHUNK", CHUNK)
    few = [face for face in case.faces if face.pair != LARGE[0]]
    folder = write_fer(tmp_path / "few", few)
    with pytest.raises(ArgumentError, match="have the 25 blends"):
        benchmark.benchmark(case.model, folder)
