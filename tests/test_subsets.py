"""Subsets of the classes: against brute force, on perfect and on blind models, and where they are chosen."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from conftest import MakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.datasets import FaceData, one_hot, open_data
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError
from pyfer.evaluation import expected_calibration_error, score
from pyfer.maps import subset_chart
from pyfer.models import Model
from pyfer.subsets import Answers, Settings, compare, halves, measure, read, study

LETTERS = ("a", "b", "c", "d", "e")
QUICK = Settings(resamples=50)


def noisy(
    n: int, c: int, strength: float = 1.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities (n, c) that know something of the truth (n,), which has all classes."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(c), rng.integers(0, c, n - c)]) if n >= c else np.arange(n)
    logits = rng.normal(size=(n, c)) + strength * np.eye(c)[truth]
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True), truth.astype(np.int64)


def answers_of(
    p: NDArray[np.float64], truth: NDArray[np.int64], labels: tuple[str, ...] = LETTERS
) -> Answers:
    return Answers(p, truth, labels[: p.shape[1]])


# --- the table --------------------------------------------------------------------------------------------


def test_every_subset_is_measured_as_if_it_were_alone() -> None:
    p, truth = noisy(150, 5)
    table = measure(p, truth, LETTERS, settings=Settings(by="accuracy", resamples=20))
    wanted = [rows for size in range(2, 6) for rows in combinations(range(5), size)]
    assert [tuple(np.flatnonzero(mask)) for mask in table.members] == wanted
    for subset, rows in zip(table, wanted, strict=True):
        inside = np.isin(truth, rows)
        part = p[inside][:, list(rows)]
        part = part / part.sum(1, keepdims=True)
        true = np.searchsorted(rows, truth[inside])
        alone = score(part, true, tuple(LETTERS[k] for k in rows))
        assert subset.classes == alone.labels
        assert subset.n == alone.n
        assert subset.accuracy == pytest.approx(alone.accuracy)
        assert subset.balanced == pytest.approx(alone.macro_recall)
        assert subset.macro_f1 == pytest.approx(alone.macro_f1)
        assert subset.ece == pytest.approx(alone.ece)
        assert subset.score == subset.accuracy
        assert subset.interval == subset.accuracy_interval


def test_ranked_by_balanced_accuracy_every_class_weighs_alike_in_the_calibration_error() -> None:
    p, truth = noisy(60, 2, seed=4)
    truth[10:] = 0
    (one,) = measure(p, truth, ("a", "b"), settings=QUICK)
    times = np.where(truth == 0, (truth == 1).sum(), (truth == 0).sum())  # each class as often
    rows = np.repeat(np.arange(60), times)
    q = p / p.sum(1, keepdims=True)
    hit = (q.argmax(1) == truth).astype(float)
    assert one.ece == pytest.approx(expected_calibration_error(hit[rows], q.max(1)[rows]), abs=1e-6)
    assert one.score == one.balanced


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(6, 40))
def test_restricting_does_not_depend_on_the_scale_of_a_row(seed: int, c: int, n: int) -> None:
    p, truth = noisy(n, c, seed=seed)
    scale = np.random.default_rng(seed).uniform(0.01, 100, (n, 1))
    tables = [measure(each, truth, LETTERS[:c], settings=Settings(resamples=10)) for each in (p, p * scale)]
    for name in ("accuracy", "balanced", "macro_f1", "accuracy_interval", "balanced_interval"):
        assert np.array_equal(getattr(tables[0], name), getattr(tables[1], name))
    for table in tables:
        for k, mask in enumerate(table.members):
            naive = [
                max(np.flatnonzero(mask), key=lambda j: p[i, j]) == truth[i]
                for i in range(n)
                if mask[truth[i]]
            ]
            assert table.accuracy[k] == pytest.approx(np.mean(naive))
            assert table.n[k] == len(naive)
        for point, interval in (
            (table.accuracy, table.accuracy_interval),
            (table.balanced, table.balanced_interval),
        ):
            assert (interval[:, 0] <= point).all()
            assert (point <= interval[:, 1]).all()
            assert (interval >= 0).all()
            assert (interval <= 1).all()


def test_a_perfect_model_tells_all_apart_but_few_faces_do_not_prove_it() -> None:
    truth = np.repeat(np.arange(8), 10)
    table = measure(np.eye(8)[truth], truth, BASIC, settings=QUICK)
    assert len(table) == 247
    for column in (table.accuracy, table.balanced, table.macro_f1):
        assert (column == 1).all()
    assert np.abs(table.ece).max() < 1e-6
    largest = table.largest(0.95)
    assert largest is not None
    assert largest.classes == BASIC
    assert (table.interval[:, 1] == 1).all()
    # of ten faces without an error, the exact lower bound of a recall is 0.69
    assert (table.interval[:, 0] < 0.96).all()
    assert table.largest(0.97, surely=True) is None
    many = measure(np.eye(2)[truth % 2].repeat(50, 0), (truth % 2).repeat(50), ("a", "b"), settings=QUICK)
    assert many.largest(0.97, surely=True) is not None


def test_there_are_as_many_subsets_as_asked_for() -> None:
    p, truth = noisy(40, 8)
    assert len(measure(p, truth, BASIC, settings=Settings(tuple(range(2, 8)), resamples=10))) == 246
    table = measure(p, truth, BASIC, settings=Settings((3, 5), resamples=10))
    assert len(table) == 56 + 56
    assert set(table.size.tolist()) == {3, 5}
    ten = tuple("abcdefghij")
    p, truth = noisy(40, 10)
    assert len(measure(p, truth, ten, settings=Settings(resamples=10))) == 1013


def test_a_class_without_a_face_is_in_no_subset() -> None:
    p, truth = noisy(50, 5)
    keep = truth != 2
    table = measure(p[keep], truth[keep], LETTERS, settings=QUICK)
    assert len(table) == 11
    assert not table.members[:, 2].any()
    assert table.of(("a", "b", "d", "e")).n == keep.sum()
    with pytest.raises(ArgumentError, match=r"'c'.*no subset"):
        table.of(("a", "c"))


def test_rows_are_ranked_selected_and_found() -> None:
    p, truth = noisy(200, 5, 0.6, seed=2)
    table = measure(p, truth, LETTERS, settings=QUICK)
    threes = table.of_size(3)
    assert (np.diff(threes.score) <= 0).all()
    assert table.best(3) == threes.row(0)
    assert table.best(3).score == table.score[table.size == 3].max()
    pairs = table.pairs()
    assert (np.diff(pairs.score) >= 0).all()
    assert set(pairs.size.tolist()) == {2}
    assert table.of(["e", "B"]).classes == ("b", "e")
    assert table[table.size == 4][:2].row(1) == table.row(int(np.flatnonzero(table.size == 4)[1]))
    at_least = float(np.sort(table.score)[-4])
    largest = table.largest(at_least)
    assert largest is not None
    assert len(largest.classes) == table.size[table.score >= at_least].max()
    assert largest.score == table.score[(table.size == len(largest.classes))].max()
    surely = table.largest(float(table.interval[:, 0].max()), surely=True)
    assert surely is not None
    assert surely.interval[0] == table.interval[:, 0].max()
    assert json.loads(json.dumps(surely.to_dict()))["classes"] == list(surely.classes)
    for wrong in (lambda: table.of_size(6), lambda: table.largest(95), lambda: table.of(["a"])):
        with pytest.raises(ArgumentError):
            wrong()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (1, 2)}, r"sizes=\(1, 2\) must be 2 or more"),
        ({"sizes": ()}, "must be 2 or more"),
        ({"by": "acuracy"}, "did you mean 'accuracy'"),
        ({"resamples": 0}, "resamples=0"),
    ],
)
def test_settings_say_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Settings(**change)  # type: ignore[arg-type]


def test_arrays_that_do_not_fit_are_refused() -> None:
    p, truth = noisy(20, 3)
    labels = LETTERS[:3]
    with pytest.raises(ArgumentError, match=r"probabilities has shape \(20, 3\); 20 truths of 2 labels"):
        measure(p, truth, LETTERS[:2])
    with pytest.raises(ArgumentError, match="index of 3 labels"):
        measure(p, truth + 1, labels)
    with pytest.raises(ArgumentError, match="finite"):
        measure(p * np.nan, truth, labels)
    with pytest.raises(ArgumentError, match="subjects has 2 rows"):
        measure(p, truth, labels, subjects=np.array(["x", "y"]))
    with pytest.raises(ArgumentError, match="faces of 1 classes"):
        measure(p, truth * 0, labels)
    with pytest.raises(ArgumentError, match="at most 3"):
        measure(p, truth, labels, settings=Settings((4,)))
    with pytest.raises(ArgumentError, match="subsets, 5000 at most"):
        measure(np.ones((13, 13)), np.arange(13), list("abcdefghijklm"))


# --- intervals --------------------------------------------------------------------------------------------


def test_intervals_hold_the_true_value_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    recalls, truth = np.array([0.97, 0.8]), np.repeat([0, 1], [30, 90])
    right = rng.random((200, 120)) < recalls[truth]
    inside = np.zeros(2)
    for hits in right:
        p = np.where((np.arange(2) == truth[:, None]) == hits[:, None], 0.9, 0.1)
        (one,) = measure(p, truth, ("a", "b"), settings=Settings(resamples=200))
        inside += (
            one.balanced_interval[0] <= recalls.mean() <= one.balanced_interval[1],
            one.accuracy_interval[0] <= recalls[truth].mean() <= one.accuracy_interval[1],
        )
    assert (inside >= 0.93 * 200).all()
    assert (inside <= 199).all()  # not by being as wide as can be


def test_pictures_of_one_person_count_as_one_witness() -> None:
    p, truth = noisy(80, 2, seed=1)
    p, truth = p.repeat(6, 0), truth.repeat(6)
    persons = np.arange(80).repeat(6).astype(str)

    def width(subjects: NDArray[np.str_] | None) -> float:
        (one,) = measure(p, truth, ("a", "b"), subjects=subjects, settings=Settings(resamples=400))
        return one.accuracy_interval[1] - one.accuracy_interval[0]

    assert width(persons) == pytest.approx(6**0.5 * width(None), rel=0.2)
    assert width(np.full(480, "")) == width(None)  # who has no name is nobody else
    assert width(None) == width(None)


# --- priors -----------------------------------------------------------------------------------------------


def test_a_prior_is_exchanged_by_bayes_rule() -> None:
    p, truth = noisy(30, 3)
    answers = Answers(p, truth, LETTERS[:3], (0.7, 0.2, 0.1))
    uniform = p / [0.7, 0.2, 0.1]
    assert answers.with_prior("uniform").probabilities == pytest.approx(
        uniform / uniform.sum(1, keepdims=True)
    )
    assert answers.with_prior("uniform").prior == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert answers.with_prior("model") is answers
    counts = np.bincount(truth)
    data = uniform * counts
    assert answers.with_prior("data").probabilities == pytest.approx(data / data.sum(1, keepdims=True))
    assert answers.with_prior("data").prior == pytest.approx(counts / 30)
    there_and_back = answers.with_prior("data").with_prior("uniform")
    assert there_and_back.probabilities == pytest.approx(answers.with_prior("uniform").probabilities)
    with pytest.raises(ArgumentError, match="did you mean 'uniform'"):
        answers.with_prior("unifrom")


def test_the_uniform_prior_is_best_for_balanced_accuracy_and_that_of_the_data_for_accuracy() -> None:
    rng = np.random.default_rng(3)
    prior = np.array([0.8, 0.15, 0.05])
    truth = rng.choice(3, 4000, p=prior)
    x = rng.normal(size=4000) + 1.2 * truth
    likelihood = np.exp(-0.5 * (x[:, None] - 1.2 * np.arange(3)) ** 2)
    odd = likelihood * [0.1, 0.6, 0.3]  # what the model was trained on
    answers = Answers(odd / odd.sum(1, keepdims=True), truth, LETTERS[:3], (0.1, 0.6, 0.3))

    def whole(prior: str) -> tuple[float, float]:
        changed = answers.with_prior(prior)
        one = measure(changed.probabilities, truth, changed.labels, settings=QUICK).best(3)
        return one.balanced, one.accuracy

    results = {prior: whole(prior) for prior in ("uniform", "data", "model")}
    assert max(results, key=lambda name: results[name][0]) == "uniform"
    assert max(results, key=lambda name: results[name][1]) == "data"


def test_answers_are_restricted_to_some_classes() -> None:
    p, truth = noisy(40, 5)
    answers = Answers(p, truth, LETTERS, (0.2,) * 5, np.arange(40).astype(str))
    part = answers.restricted(["d", "b"])
    inside = np.isin(truth, [1, 3])
    assert part.labels == ("b", "d")
    assert (part.truth == (truth[inside] == 3)).all()
    assert part.probabilities == pytest.approx(
        p[inside][:, [1, 3]] / p[inside][:, [1, 3]].sum(1, keepdims=True)
    )
    assert part.subjects is not None
    assert (part.subjects == np.flatnonzero(inside).astype(str)).all()
    assert part.prior == (0.2, 0.2)
    with pytest.raises(ArgumentError, match="two or more"):
        answers.restricted(["a"])


# --- the choice -------------------------------------------------------------------------------------------


def test_halves_are_even_in_every_class_and_part_no_person() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 301, p=[0.6, 0.3, 0.08, 0.02])
    half = halves(truth)
    assert (np.abs(np.bincount(truth[half], minlength=4) - np.bincount(truth[~half], minlength=4)) <= 1).all()
    assert (half != halves(truth, seed=1)).any()
    assert (half == halves(truth)).all()
    subjects = rng.integers(0, 60, 301).astype(str)
    half = halves(truth, subjects)
    assert not set(subjects[half]) & set(subjects[~half])
    sides = np.stack([np.bincount(truth[rows], minlength=4) for rows in (half, ~half)])
    assert (sides[:, :3].min(0) >= 0.4 * sides[:, :3].sum(0)).all()


def test_a_blind_model_shows_its_luck_only_where_it_was_chosen() -> None:
    rng = np.random.default_rng(5)
    truth = np.arange(400) % 8
    lucky, sober = [], []
    for _ in range(5):
        found = study(Answers(rng.dirichlet(np.ones(8), 400), truth, BASIC), settings=QUICK)
        for size in range(2, 8):
            choice = found.best(size)
            assert choice is not None
            assert choice.chosen.classes == choice.measured.classes
            assert choice.chosen.n + choice.measured.n == found.table.of(choice.chosen.classes).n
            lucky.append(choice.chosen.score * size)
            sober.append(choice.measured.score * size)
    assert np.mean(lucky) > 1.2
    assert np.mean(sober) == pytest.approx(1, abs=0.05)


def test_the_largest_subset_is_chosen_on_one_side_and_measured_on_the_other() -> None:
    p, truth = noisy(600, 5, 3.0)
    found = study(answers_of(p, truth), settings=QUICK)
    at_least = float(np.median(found.choosing.score))
    choice = found.largest(at_least)
    assert choice is not None
    assert choice.chosen == found.choosing.largest(at_least)
    assert choice.measured == found.measuring.of(choice.chosen.classes)
    surely = found.largest(at_least, surely=True)
    assert surely is None or len(surely.chosen.classes) <= len(choice.chosen.classes)
    assert found.largest(1.0, surely=True) is None
    assert json.dumps(choice.to_dict())


def test_other_data_may_decide_though_its_classes_stand_in_another_order() -> None:
    p, truth = noisy(120, 4, 2.0)
    q, other = noisy(150, 5, 2.0, seed=9)
    here = Answers(p, truth, ("a", "b", "c", "d"))
    there = Answers(q, other, ("d", "e", "b", "a", "c"))
    found = study(here, choose_on=there, settings=QUICK)
    assert found.measuring is found.table
    assert len(found.choosing) == 11  # nothing with e
    best = found.best(3)
    assert best is not None
    assert set(best.chosen.classes) == set(best.measured.classes)
    assert best.chosen.score == pytest.approx(max(s.score for s in found.choosing if len(s.classes) == 3))
    assert found.best(5) is None


def test_a_class_with_one_face_cannot_be_chosen() -> None:
    p, truth = noisy(100, 4, 2.0)
    truth[truth == 3] = 0
    truth[50] = 3
    found = study(answers_of(p, truth), settings=QUICK)
    assert found.best(4) is None
    assert found.table.best(4).n == 100
    assert not any("d" in subset.classes for subset in found.choosing)
    with pytest.raises(ArgumentError, match="too few"):
        study(answers_of(p[[0, 1]], np.array([0, 1])), settings=QUICK)


def test_pairs_are_there_whatever_sizes_were_asked_for() -> None:
    p, truth = noisy(100, 4)
    found = study(answers_of(p, truth), settings=Settings((3,), resamples=20))
    assert set(found.table.size.tolist()) == {3}
    assert len(found.pairs) == 6
    assert (np.diff(found.pairs.score) >= 0).all()


# --- a model trained for a subset -------------------------------------------------------------------------


def test_two_models_are_compared_face_by_face() -> None:
    truth = np.repeat([0, 1], [60, 20])
    right = np.ones((2, 80), bool)
    right[0, :12] = False  # the full model errs here,
    right[1, 78:] = False  # the trained one there
    p = [np.where((np.arange(2) == truth[:, None]) == hits[:, None], 0.8, 0.2) for hits in right]
    found = compare(p[0], p[1], truth, ("a", "b"), settings=Settings(resamples=400))
    assert found.n == 80
    assert found.accuracy == pytest.approx((68 / 80, 78 / 80))
    assert found.balanced == pytest.approx(((48 / 60 + 1) / 2, (1 + 18 / 20) / 2))
    assert found.accuracy_gain.value == pytest.approx(10 / 80)
    assert found.accuracy_gain.low > 0
    assert found.balanced_gain.value == pytest.approx(0.05)
    assert found.balanced_gain.low < 0 < found.balanced_gain.high
    assert (found.test.only_first, found.test.only_second) == (2, 12)
    assert found.test.p == pytest.approx(0.01294, abs=1e-5)  # 2 (1 + 14 + 91) / 2^14
    assert json.dumps(found.to_dict())
    same = compare(p[0], p[0], truth, ("a", "b"))
    assert same.test.p == 1
    assert (same.accuracy_gain.value, same.accuracy_gain.low, same.accuracy_gain.high) == (0, 0, 0)
    with pytest.raises(ArgumentError, match="shape"):
        compare(p[0], p[1][:, :1], truth, ("a", "b"))
    with pytest.raises(ArgumentError, match="faces of 1 classes"):
        compare(p[0], p[1], truth * 0, ("a", "b"))


# --- from a model and data --------------------------------------------------------------------------------


def test_a_model_reads_the_labels_that_it_shares_with_the_data(tiny_model: Model) -> None:
    data = open_data("cartoon:?n=24")
    answers = read(tiny_model, data)
    said = tiny_model(data.images).probabilities["ferplus"]
    assert answers.labels == BASIC
    assert answers.probabilities == pytest.approx(said, abs=1e-6)
    assert (answers.truth == np.arange(24) % 8).all()
    assert answers.counts == dict.fromkeys(BASIC, 3)
    other = read(tiny_model, data, head="fer2013")
    assert len(other) == 21  # no face of contempt
    assert other.labels == BASIC[:7]
    seen: list[tuple[int, int]] = []
    read(tiny_model, data, on_done=lambda done, n: seen.append((done, n)))
    assert seen[-1] == (24, 24)
    with pytest.raises(ArgumentError, match="did you mean 'ferplus'"):
        read(tiny_model, data, head="ferpuls")


def test_labels_that_the_model_does_not_know_are_left_out(make_model: MakeModel) -> None:
    words = ["joy?", "disgust", "anger", "sadness", "fear", "x", "y", "surprise"]
    prior = [0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    model = Model(make_model(heads=[{"name": "own", "output": "ferplus", "labels": words, "prior": prior}]))
    data = open_data("cartoon:?n=16")
    answers = read(model, data)
    assert answers.labels == ("surprise", "sadness", "anger", "disgust", "fear")
    assert answers.unknown == ("neutral", "happiness", "contempt")
    assert len(answers) == 10
    assert answers.prior == pytest.approx((0.1,) * 5)
    said = model(data.images).probabilities["own"]
    inside = np.isin(np.arange(16) % 8, [2, 3, 4, 5, 6])
    wanted = said[inside][:, [7, 3, 2, 1, 4]]
    assert answers.probabilities == pytest.approx(wanted / wanted.sum(1, keepdims=True), abs=1e-6)
    torn = FaceData(
        data.images[:1],
        {"own": np.array([[0.4, 0.2, 0.4]], np.float32)},
        {"own": ("fear", "anger", "neutral")},
        data.ids[:1],
    )
    both = FaceData(
        data.images[:1], {"own": np.array([[0.6, 0.2, 0.2]], np.float32)}, torn.labels, data.ids[:1]
    )
    with pytest.raises(ArgumentError, match="no face with a clear"):
        read(model, torn)  # two thirds of what the model knows are not most of the face
    assert read(model, both).counts == {"fear": 1, "anger": 0}
    few = [{"name": "own", "output": "ferplus", "labels": [*"abcdefg", "fear"]}]
    with pytest.raises(ArgumentError, match="share two or more labels"):
        read(Model(make_model("few", heads=few)), data)


def test_a_face_without_a_clear_label_is_left_out(tiny_model: Model) -> None:
    images = np.zeros((3, 48, 48), np.uint8)
    target = one_hot(np.array([0, 1, 2]), 8)
    target[1] = [0.5, 0.5, 0, 0, 0, 0, 0, 0]
    data = FaceData(images, {"ferplus": target}, {"ferplus": BASIC}, np.array(["x", "y", "z"]))
    assert read(tiny_model, data).truth.tolist() == [0, 2]


# --- the picture ------------------------------------------------------------------------------------------


def chart(c: int, scores: NDArray[np.float64] | float, **options: object) -> NDArray[np.uint8]:
    rows = [each for size in range(2, c + 1) for each in combinations(range(c), size)]
    members = np.zeros((len(rows), c), bool)
    for mask, each in zip(members, rows, strict=True):
        mask[list(each)] = True
    pairs = np.full((c, c), 0.99)
    pairs[1, 0] = 0.8
    score = np.broadcast_to(np.asarray(scores, float), (len(rows),))
    labels = (*BASIC, "awe", "pride", "shame", "guilt")[:c]
    return subset_chart(labels, members, score, pairs, **options)  # type: ignore[arg-type]


def near(picture: NDArray[np.uint8], color: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - color).max(-1) < 12).sum())


@pytest.mark.parametrize("c", [2, 3, 8, 12])
def test_a_chart_is_1200_pixels_wide_whatever_the_number_of_classes(c: int) -> None:
    picture = chart(c, 0.9)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (1200, 3)
    assert (picture == chart(c, 0.9)).all()


def test_dots_above_the_line_have_its_colour_and_the_hardest_pair_is_the_brightest() -> None:
    good = (120, 200, 220)
    spread = np.linspace(0.9, 0.94, 11)  # dots beside, not on, each other
    below = chart(4, spread)
    assert near(chart(4, spread, at_least=0.8), good) > near(below, good) + 200
    assert near(chart(4, spread + 0.055), good) > near(below, good) + 200
    brightest = (252, 222, 144)
    assert near(below, brightest) > 1000
    x, y = 1790 // 2 + 6, 190 // 2 + 6
    assert near(below[y : y + 2, x : x + 2], brightest) == 4
    assert near(below[y + 45 : y + 47, x : x + 2], brightest) == 0


def test_a_subset_moves_up_with_its_score() -> None:
    gray = (134, 138, 146)

    def height(score: float) -> float:
        picture = chart(2, np.array([score]), at_least=0.99)[60:455, 120:745]
        return float(np.nonzero((np.abs(picture.astype(int) - gray).max(-1) < 12).any(1))[0].mean())

    assert height(0.6) > height(0.61) + 3


def test_a_chart_refuses_what_does_not_fit() -> None:
    members = np.ones((1, 2), bool)
    pairs = np.full((2, 2), 0.9)
    cases = [
        ((["a"], members[:, :1], [0.9], pairs), "members"),
        ((["a", "b"], members, [0.9, 0.8], pairs), "score"),
        ((["a", "b"], members, [1.2], pairs), "score"),
        ((["a", "b"], members, [0.9], pairs[:1]), "pairs"),
        ((["a", "b"], members, [0.9], pairs + 1), "pairs"),
    ]
    for arguments, name in cases:
        with pytest.raises(ArgumentError, match=name):
            subset_chart(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="at_least"):
        subset_chart(["a", "b"], members, [0.9], pairs, at_least=95)
