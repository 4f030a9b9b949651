"""Metrics against values worked out by hand, and against what must hold for all numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import pyfer
from pyfer import evaluation
from pyfer.datasets import FaceData, one_hot
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError
from pyfer.evaluation import (
    confusion_matrix,
    evaluate,
    expected_calibration_error,
    fit_temperature,
    predictions,
    score,
)
from pyfer.models import Model, softmax

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
LABELS = ("a", "b", "c")
# five faces: truth a a a b b, answers a a b b a; nothing is ever c
P = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])
TRUTH = np.array([0, 0, 0, 1, 1])


# --- metrics ----------------------------------------------------------------------------------------------


def test_metrics_by_hand() -> None:
    s = score(P, TRUTH, LABELS)
    assert s.n == 5
    np.testing.assert_array_equal(s.confusion, [[2, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert s.accuracy == pytest.approx(3 / 5)
    assert s.recall == pytest.approx((2 / 3, 1 / 2, 0))
    assert s.precision == pytest.approx((2 / 3, 1 / 2, 0))
    assert s.macro_recall == pytest.approx((2 / 3 + 1 / 2) / 2)  # c does not occur
    assert s.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert s.nll == pytest.approx(-np.log([0.8, 0.6, 0.3, 0.7, 0.1]).mean())
    assert s.top2 == pytest.approx(4 / 5)  # b is third for the last face
    # confidences .8 .6 .5 .7 .5 fall into five bins but the two .5, of which none is right
    assert s.ece == pytest.approx((0.2 + 0.4 + 0.3 + 1.0) / 5)


def test_f1_is_not_the_mean_of_precision_and_recall() -> None:
    p = one_hot(np.array([0, 0, 0, 1]), 2)  # answers a a a b for truth a b b b
    s = score(p, np.array([0, 1, 1, 1]), ("a", "b"))
    assert s.precision == pytest.approx((1 / 3, 1))
    assert s.recall == pytest.approx((1, 1 / 3))
    assert s.macro_f1 == pytest.approx(0.5)


def test_confusion_has_truth_in_rows() -> None:
    counts = confusion_matrix(np.array([0, 0, 1]), np.array([2, 2, 1]), 3)
    np.testing.assert_array_equal(counts, [[0, 0, 2], [0, 1, 0], [0, 0, 0]])


def test_perfect_answers() -> None:
    truth = np.array([0, 1, 2, 1])
    s = score(one_hot(truth, 3), truth, LABELS)
    assert (s.accuracy, s.macro_recall, s.macro_f1, s.top2) == (1, 1, 1, 1)
    assert s.ece == pytest.approx(0)
    assert s.nll == pytest.approx(0)


def test_certain_and_wrong_costs_much_but_not_infinity() -> None:
    s = score(one_hot(np.array([0, 0]), 2), np.array([1, 1]), ("a", "b"))
    assert s.nll == pytest.approx(-np.log(1e-12))
    assert s.ece == pytest.approx(1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    seed, n, c = draw(st.integers(0, 2**31)), draw(st.integers(1, 40)), draw(st.integers(2, 6))
    rng = np.random.default_rng(seed)
    return softmax(3 * rng.normal(size=(n, c))), rng.integers(0, c, n)


@QUICK
@given(cases())
def test_what_holds_for_all_answers(case: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    p, truth = case
    labels = tuple("abcdef"[: p.shape[1]])
    s = score(p, truth, labels)
    assert s.confusion.sum() == s.n == len(truth)
    assert s.accuracy == pytest.approx(np.trace(s.confusion) / s.n)
    for value in (s.accuracy, s.macro_recall, s.macro_f1, s.ece, s.top2, *s.recall, *s.precision):
        assert 0 <= value <= 1
    assert s.top2 >= s.accuracy
    assert abs(p.max(1).mean() - s.accuracy) <= s.ece + 1e-6  # bins can only add to the overall gap
    order = np.random.default_rng(0).permutation(len(truth))
    shuffled = score(p[order], truth[order], labels)
    assert (shuffled.macro_f1, shuffled.nll) == pytest.approx((s.macro_f1, s.nll))
    turned = np.roll(np.arange(p.shape[1]), 1)  # other names for the classes change no average
    renamed = score(p[:, np.argsort(turned)], turned[truth], labels)
    assert (renamed.macro_f1, renamed.macro_recall) == pytest.approx((s.macro_f1, s.macro_recall))


def test_scores_as_json() -> None:
    tree = json.loads(json.dumps(score(P, TRUTH, LABELS).to_dict()))
    assert {"accuracy", "macro_f1", "ece", "n", "confusion", "labels"} <= set(tree)
    assert tree["confusion"] == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert tree["recall"]["a"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("p", "truth", "message"),
    [
        (P[:, :2], TRUTH, r"probabilities has shape \(5, 2\); 5 labels of 3 classes need \(5, 3\)"),
        (P[:4], TRUTH, r"probabilities has shape \(4, 3\)"),
        (P[:0], TRUTH[:0], "truth is empty"),
    ],
)
def test_what_does_not_fit_is_refused(p: Any, truth: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        score(p, truth, LABELS)


# --- calibration ------------------------------------------------------------------------------------------


def test_ece_of_perfectly_calibrated_answers_is_nearly_zero() -> None:
    rng = np.random.default_rng(1)
    p = softmax(1.5 * rng.normal(size=(50_000, 8)))
    truth = (p.cumsum(1) > rng.random(len(p))[:, None]).argmax(1)  # drawn from the answers themselves
    s = score(p, truth, BASIC)
    assert s.ece < 0.01
    sharp = softmax(np.log(p) * 2)
    assert score(sharp, truth, BASIC).ece > 0.1


def test_ece_by_hand() -> None:
    correct, confidence = np.array([1.0, 0, 1, 1]), np.array([0.9, 0.9, 0.2, 1.0])
    # two bins: {.2} is off by .8, {.9 .9 1} is right in 2 of 3 with a confidence of 2.8 / 3
    assert expected_calibration_error(correct, confidence, bins=2) == pytest.approx(0.8 / 4 + 0.8 / 4)
    assert expected_calibration_error(correct, correct) == 0
    certain = np.array([1.0, 0.95])  # both in the last of 15 bins, where they cancel in part
    assert expected_calibration_error(np.array([0.0, 1]), certain) == pytest.approx(0.95 / 2)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_fit_temperature_recovers_a_known_one(temperature: float) -> None:
    rng = np.random.default_rng(2)
    logits = 2 * rng.normal(size=(20_000, 8))
    p = softmax(logits)
    truth = (p.cumsum(1) > rng.random(len(p))[:, None]).argmax(1)
    fitted = fit_temperature(logits * temperature, one_hot(truth, 8))
    assert fitted == pytest.approx(temperature, rel=0.05)
    assert fit_temperature(logits * temperature, p) == pytest.approx(temperature, rel=1e-3)  # soft targets
    # a constant added to each face's logits is no information
    shift = rng.normal(size=(len(p), 1)) * 50
    assert fit_temperature(logits * temperature + shift, p) == pytest.approx(temperature, rel=1e-3)


def test_fit_temperature_beside_a_bias() -> None:
    rng = np.random.default_rng(3)
    logits, bias = 2 * rng.normal(size=(5_000, 4)), np.array([1.0, -1, 0.5, 0])
    p = softmax(logits / 1.7 + bias)
    assert fit_temperature(logits, p, bias) == pytest.approx(1.7, rel=1e-3)
    assert fit_temperature(logits, p) != pytest.approx(1.7, rel=1e-2)


def test_fit_temperature_of_logits_far_beyond_float_range() -> None:
    logits = np.array([[2000.0, 0], [0, 2000.0], [2000.0, 0]], np.float32)
    targets = one_hot(np.array([0, 1, 1]), 2)  # one of three certain answers is wrong
    assert fit_temperature(logits, targets) == pytest.approx(np.exp(3), rel=1e-3)  # the end of its range


# --- a model on a data set --------------------------------------------------------------------------------


def faces(n: int = 60, seed: int = 0) -> FaceData:
    rng = np.random.default_rng(seed)
    return FaceData(
        rng.integers(0, 256, (n, 48, 48), np.uint8),
        {
            "ferplus": one_hot(rng.integers(0, 8, n), 8),
            "fer2013": one_hot(rng.integers(-1, 7, n), 7),  # -1: without a label
        },
        {"ferplus": BASIC, "fer2013": BASIC[:7]},
        np.array([str(k) for k in range(n)]),
    )


def test_evaluate_scores_the_models_own_answers(tiny_model: Model) -> None:
    data = faces()
    s = evaluate(tiny_model, data)
    p = tiny_model(data.images).probabilities["ferplus"]
    truth = data.targets["ferplus"].argmax(1)
    assert s.accuracy == pytest.approx((p.argmax(1) == truth).mean())
    assert s.nll == pytest.approx(-np.log(p[np.arange(60), truth]).mean(), rel=1e-4)
    assert s.labels == BASIC


def test_evaluate_uses_the_head_of_the_same_name_and_leaves_out_what_has_no_label(tiny_model: Model) -> None:
    data = faces()
    s = evaluate(tiny_model, data, head="fer2013")
    target = data.targets["fer2013"]
    seen = target.any(1)
    assert 0 < seen.sum() < 60
    assert s.n == seen.sum()
    guess = tiny_model(data.images).probabilities["fer2013"].argmax(1)
    assert s.accuracy == pytest.approx((guess == target.argmax(1))[seen].mean())


def test_only_faces_with_a_clear_label_count(tiny_model: Model) -> None:
    data = faces(4)
    targets = np.zeros((4, 8), np.float32)
    targets[0, 0], targets[1, :2], targets[2, :2] = 1, 0.5, (0.4, 0.6)
    clear = FaceData(data.images, {"ferplus": targets}, {"ferplus": BASIC}, data.ids)
    s = evaluate(tiny_model, clear)
    assert s.n == 2
    np.testing.assert_array_equal(s.confusion.sum(1), [1, 1, 0, 0, 0, 0, 0, 0])


def test_labels_that_the_data_lacks_are_ruled_out(tiny_model: Model) -> None:
    data = faces()
    pair = FaceData(
        data.images,
        {"other": one_hot(np.arange(60) % 2, 2)},
        {"other": ("fear", "anger")},  # another order than the model's
        data.ids,
    )
    s = evaluate(tiny_model, pair)
    p = tiny_model(data.images).probabilities["ferplus"][:, [6, 4]]
    assert s.labels == ("fear", "anger")
    assert s.accuracy == pytest.approx((p.argmax(1) == np.arange(60) % 2).mean())
    assert s.nll == pytest.approx(
        -np.log((p / p.sum(1, keepdims=True))[np.arange(60), np.arange(60) % 2]).mean(), rel=1e-4
    )


def test_a_label_that_the_model_lacks_is_an_error(tiny_model: Model) -> None:
    data = faces(4)
    bored = FaceData(data.images, {"x": one_hot(np.zeros(4, int), 2)}, {"x": ("boredom", "fear")}, data.ids)
    with pytest.raises(ArgumentError, match="model 'tiny' does not know the labels boredom of this data set"):
        evaluate(tiny_model, bored)


def test_a_head_that_the_data_lacks_is_an_error(tiny_model: Model) -> None:
    with pytest.raises(ArgumentError, match="labels='ferplos' is not a head of this data set"):
        evaluate(tiny_model, faces(4), head="ferplos")


def test_no_face_with_a_clear_label_is_an_error(tiny_model: Model) -> None:
    data = faces(4)
    for share in (0.0, 0.125):  # without a label; torn between all
        targets = np.full((4, 8), share, np.float32)
        torn = FaceData(data.images, {"ferplus": targets}, {"ferplus": BASIC}, data.ids)
        with pytest.raises(ArgumentError, match="there must be at least one labelled face to score"):
            evaluate(tiny_model, torn)


def test_many_faces_are_reported_as_they_are_done(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    data = faces(60)
    whole = evaluate(tiny_model, data)
    monkeypatch.setattr(evaluation.predicting, "CHUNK", 25)
    done: list[tuple[int, int]] = []
    parts = evaluate(tiny_model, data, on_done=lambda k, n: done.append((k, n)))
    assert done == [(25, 60), (50, 60), (60, 60)]
    assert parts.nll == pytest.approx(whole.nll)
    np.testing.assert_array_equal(parts.confusion, whole.confusion)


def test_flip_averages_with_the_mirror_image(tiny_model: Model) -> None:
    data = faces()
    mirrored = FaceData(data.images[:, :, ::-1].copy(), data.targets, data.labels, data.ids)
    plain, flipped = (evaluate(tiny_model, data, flip=f) for f in (False, True))
    assert flipped.nll != pytest.approx(plain.nll)
    assert flipped.nll == pytest.approx(evaluate(tiny_model, mirrored, flip=True).nll)
    p = [tiny_model(d.images).probabilities["ferplus"] for d in (data, mirrored)]
    truth = data.targets["ferplus"].argmax(1)
    assert flipped.accuracy == pytest.approx((sum(p).argmax(1) == truth).mean())


def test_a_model_that_rules_out_the_truth_is_scored_without_a_warning(make_model: MakeModel) -> None:
    heads = [{"name": "ferplus", "output": "ferplus", "labels": list(BASIC), "temperature": 1e-3}]
    model = Model(make_model(heads=heads))  # so sure that most probabilities are 0
    data = faces()
    pair = FaceData(data.images, {"x": one_hot(np.arange(60) % 2, 2)}, {"x": ("fear", "anger")}, data.ids)
    s = evaluate(model, pair)
    assert np.isfinite([s.accuracy, s.nll, s.ece]).all()


# --- the other numbers ------------------------------------------------------------------------------------


def random_answers(seed: int = 5, n: int = 300, c: int = 5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Answers that know something, with ties: rounded to two digits before they are shares again."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(c, n, p=np.arange(1, c + 1) / np.arange(1, c + 1).sum())
    z = rng.normal(size=(n, c))
    z[np.arange(n), truth] += 1
    p = np.round(softmax(z).astype(float), 2) + 0.001
    return p / p.sum(1, keepdims=True), truth


def test_all_metrics_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    p, truth = random_answers()
    guess = p.argmax(1)
    s = score(p, truth, tuple("abcde"))
    assert s.accuracy == pytest.approx(metrics.accuracy_score(truth, guess))
    assert s.macro_recall == pytest.approx(metrics.balanced_accuracy_score(truth, guess))
    for name in ("recall", "precision", "f1"):
        of_class = getattr(metrics, f"{name}_score")(truth, guess, average=None)
        assert getattr(s, name) == pytest.approx(of_class)
        assert getattr(s, f"macro_{name}") == pytest.approx(of_class.mean())
    assert s.kappa == pytest.approx(metrics.cohen_kappa_score(truth, guess))
    assert evaluation.cohen_kappa(s.confusion) == pytest.approx(s.kappa)
    assert s.nll == pytest.approx(metrics.log_loss(truth, p), rel=1e-4)
    assert s.top2 == pytest.approx(metrics.top_k_accuracy_score(truth, p, k=2), abs=0.02)  # ties
    np.testing.assert_array_equal(s.confusion, metrics.confusion_matrix(truth, guess))
    for k in range(5):
        assert s.auroc[k] == pytest.approx(metrics.roc_auc_score(truth == k, p[:, k]))
        assert s.average_precision[k] == pytest.approx(metrics.average_precision_score(truth == k, p[:, k]))
    assert s.macro_auroc == pytest.approx(metrics.roc_auc_score(truth, p, multi_class="ovr"))
    assert s.macro_average_precision == pytest.approx(np.mean(s.average_precision))


def test_brier_by_hand() -> None:
    assert score(P, TRUTH, LABELS).brier == pytest.approx(
        np.mean([(p - np.eye(3)[t]) @ (p - np.eye(3)[t]) for p, t in zip(P, TRUTH, strict=True)])
    )


def test_curves_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    p, truth = random_answers()
    curves = evaluation.ranking(p[:, 1], truth == 1).curves()
    x, y, _ = metrics.roc_curve(truth == 1, p[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(curves.false_positive, x)
    np.testing.assert_allclose(curves.true_positive, y)
    precision, recall, _ = metrics.precision_recall_curve(truth == 1, p[:, 1])
    np.testing.assert_allclose(curves.precision, precision[::-1])
    np.testing.assert_allclose(curves.true_positive, recall[::-1])


def test_reliability_is_what_the_calibration_error_sums() -> None:
    p, truth = random_answers()
    right = (p.argmax(1) == truth).astype(float)
    found = evaluation.reliability(right, p.max(1))
    assert found.count.sum() == len(truth)
    gap = np.nansum(np.abs(found.accuracy - found.confidence) * found.count) / len(truth)
    assert gap == pytest.approx(score(p, truth, tuple("abcde")).ece, abs=1e-6)
    known = found.count > 0
    assert np.isnan(found.accuracy[~known]).all()
    inside = found.confidence[known]
    assert ((found.edges[:-1][known] <= inside + 1e-6) & (inside <= found.edges[1:][known] + 1e-6)).all()


def test_what_a_missing_class_leaves_undefined_is_null_in_json() -> None:
    s = score(P, TRUTH, LABELS, bootstrap=20)
    assert np.isnan(s.auroc[2])
    assert s.macro_auroc == pytest.approx(np.mean(s.auroc[:2]))
    tree = json.loads(json.dumps(s.to_dict(), allow_nan=False))
    assert tree["auroc"]["c"] is None
    assert tree["intervals"]["auroc"]["c"] == [None, None]
    assert tree["intervals"]["recall"]["a"][0] <= tree["recall"]["a"] <= tree["intervals"]["recall"]["a"][1]
    lonely = score(P[:1], TRUTH[:1], LABELS)  # one face: nothing to rank
    assert lonely.to_dict()["macro_auroc"] is None


# --- intervals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("persons", [60, 7])
def test_resamples_are_measured_by_the_definitions(persons: int) -> None:
    """A resample is counts; laid out as faces, each number must be that of `score`."""
    p, truth = random_answers(n=60)
    person = np.arange(60) % persons
    person[: 20 if persons < 60 else 0] = 0  # one has more pictures than the others
    labels = tuple("abcde")
    subjects = np.array([f"{k:02d}" for k in person])
    found = score(p, truth, labels, bootstrap=40, seed=3, subjects=subjects)
    rng = np.random.default_rng(3)
    values: dict[str, list[float]] = {name: [] for name in evaluation.HEADLINE}
    for counts in evaluation.intervals.times(rng, 40, persons):
        rows = np.concatenate([np.tile(np.flatnonzero(person == k), n) for k, n in enumerate(counts)])
        one = score(p[rows], truth[rows], labels)
        for name, each in values.items():
            each.append(getattr(one, name))
    for name, each in values.items():
        low, high = np.percentile(each, [2.5, 97.5])
        assert (found.intervals[name].low, found.intervals[name].high) == pytest.approx((low, high))
        assert found.intervals[name].value == getattr(found, name)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = []
    for k in range(150):
        right = rng.random(150) < 0.7
        found = score(
            one_hot(np.where(right, 0, 1), 2), np.zeros(150, int), ("a", "b"), bootstrap=200, seed=k
        )
        held.append(found.intervals["accuracy"].low <= 0.7 <= found.intervals["accuracy"].high)
    assert 0.88 <= np.mean(held) <= 0.99


def test_persons_are_drawn_whole() -> None:
    """Ten pictures of each person, all right or all wrong: as much as one picture of each."""
    rng = np.random.default_rng(0)
    right = rng.random(40) < 0.7
    one = one_hot(np.where(right, 0, 1), 2)
    many, people = np.repeat(one, 10, axis=0), np.repeat([f"{k:02d}" for k in range(40)], 10)
    truth = np.zeros(400, int)

    def width(**options: Any) -> float:
        found = score(many, truth, ("a", "b"), bootstrap=500, **options).intervals["accuracy"]
        return found.high - found.low

    single = score(one, truth[:40], ("a", "b"), bootstrap=500).intervals["accuracy"]
    assert width(subjects=people) == pytest.approx(single.high - single.low)
    assert width() < 0.5 * width(subjects=people)
    nobody = np.full(400, "")  # a face whose person is not said stands for itself
    assert width(subjects=nobody) == pytest.approx(width())


def test_seed_and_number_of_resamples() -> None:
    p, truth = random_answers(n=50)
    labels = tuple("abcde")
    a, b, c = (score(p, truth, labels, bootstrap=30, seed=seed).intervals for seed in (1, 1, 2))
    assert a == b != c
    assert score(p, truth, labels).intervals == {}
    with pytest.raises(ArgumentError, match="bootstrap=-1 must be 0"):
        score(p, truth, labels, bootstrap=-1)
    with pytest.raises(ArgumentError, match=r"subjects has shape \(3,\); 50 faces need \(50,\)"):
        score(p, truth, labels, bootstrap=2, subjects=np.array(["a", "b", "c"]))


# --- two models -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only_first", "only_second", "statistic", "p"),
    [
        (121, 59, 61**2 / 180, 5.450e-6),  # Edwards 1948: (|b - c| - 1)^2 / (b + c)
        (12, 13, 0.0, 1.0),
        (10, 15, 16 / 25, 0.4237),
        (1, 9, None, 22 / 1024),  # the sign test: 2 (1 + 10) / 2^10
        (0, 0, None, 1.0),
        (12, 12, None, 1.0),
    ],
)
def test_mcnemar(only_first: int, only_second: int, statistic: float | None, p: float) -> None:
    found = evaluation.mcnemar(only_first, only_second)
    assert found.statistic == (None if statistic is None else pytest.approx(statistic))
    assert found.p == pytest.approx(p, rel=1e-3)
    assert evaluation.mcnemar(only_second, only_first).p == found.p


def test_compare_counts_and_differences() -> None:
    p, truth = random_answers(seed=5)
    q, _ = random_answers(seed=5)
    q = np.where((np.arange(300) % 10 == 0)[:, None], np.roll(q, 1, axis=1), q)  # worse on one in ten
    found = evaluation.compare(p, q, truth, draws=200)
    right = [each.argmax(1) == truth for each in (p, q)]
    assert found.test.only_first == (right[0] & ~right[1]).sum()
    assert found.both_right + found.both_wrong + found.test.only_first + found.test.only_second == 300
    gain = found.difference["accuracy"]
    assert gain.value == pytest.approx(right[0].mean() - right[1].mean())
    assert gain.low <= gain.value <= gain.high
    alone = score(p, truth, tuple("abcde"), bootstrap=200).intervals["accuracy"]
    assert gain.high - gain.low < alone.high - alone.low  # the same faces: most of the doubt is shared
    assert json.loads(json.dumps(found.to_dict()))["mcnemar"]["p"] == found.test.p
    same = evaluation.compare(p, p, truth, draws=20)
    assert same.test.p == 1
    assert same.difference["nll"] == evaluation.Interval(0, 0, 0)
    with pytest.raises(ArgumentError, match="compare on the same faces"):
        evaluation.compare(p, q[:5], truth)


# --- groups -----------------------------------------------------------------------------------------------


def test_groups_and_their_largest_gap() -> None:
    n = 400
    age = np.array(["old", "young", "middle", ""])[np.arange(n) % 4]
    age[:4] = "few"
    truth = np.zeros(n, int)
    wrong = (age == "old") & (np.arange(n) % 8 == 0) | (age == "few")
    p = one_hot(np.where(wrong, 1, 0), 2) * 0.8 + 0.1
    (found,) = evaluation.by_group(p, truth, {"age": age, "sex": np.full(n, "")}, draws=200)
    assert (found.name, found.unsaid, found.others) == ("age", 99, 0)
    named = {each.name: each for each in found.groups}
    assert [each.n for each in found.groups] == sorted((each.n for each in found.groups), reverse=True)
    assert named["old"].accuracy.value == pytest.approx(1 - wrong[age == "old"].mean())
    assert named["old"].accuracy.low < named["old"].accuracy.value < named["old"].accuracy.high
    assert named["young"].ece == pytest.approx(0.1)
    assert found.gap is not None
    assert (found.gap.worse, found.gap.better) == ("old", "middle")  # "few" is too small to count
    assert found.gap.difference.value == pytest.approx(1 - named["old"].accuracy.value)
    assert found.gap.difference.low > 0


def test_too_many_groups_are_cut_and_small_ones_make_no_gap() -> None:
    names = np.array([f"g{k:02d}" for k in range(50)] + ["g00"])
    p = one_hot(np.zeros(51, int), 2)
    (found,) = evaluation.by_group(p, np.zeros(51, int), {"town": names}, draws=5)
    assert found.groups[0].name == "g00"
    assert len(found.groups) == evaluation.comparison.MOST
    assert found.others == 50 - evaluation.comparison.MOST
    assert found.gap is None


# --- predictions ------------------------------------------------------------------------------------------


def test_predictions_restrict_faces_and_answers_to_classes(tiny_model: Model) -> None:
    data = faces()
    found = predictions(tiny_model, data, pyfer.Reading(classes=("anger", "fear", "happy")))
    assert set(found.labels) == {"anger", "fear", "happiness"}
    truth = data.targets["ferplus"].argmax(1)
    rows = np.flatnonzero(np.isin(truth, [BASIC.index(name) for name in found.labels]))
    assert found.faces.ids.tolist() == data.ids[rows].tolist()
    p = tiny_model(data.images[rows]).probabilities["ferplus"]
    p = p[:, [BASIC.index(name) for name in found.labels]]
    np.testing.assert_allclose(found.probabilities, p / p.sum(1, keepdims=True), rtol=1e-5)


def test_predictions_under_another_prior(make_model: MakeModel) -> None:
    heads = [{"name": "ferplus", "output": "ferplus", "labels": list(BASIC), "prior": [0.3] + [0.1] * 7}]
    model = Model(make_model(heads=heads))
    data = faces()
    plain, even = (predictions(model, data, pyfer.Reading(prior=p)).probabilities for p in (None, "uniform"))
    odds = (even[:, 0] / even[:, 1]) / (plain[:, 0] / plain[:, 1])
    np.testing.assert_allclose(odds, 1 / 3, rtol=1e-4)  # neutral was three times as frequent


def test_the_head_of_the_reading_speaks(tiny_model: Model) -> None:
    data = faces()
    found = predictions(tiny_model, data, pyfer.Reading(head="ferplus"), head="fer2013")
    seen = data.targets["fer2013"].any(1)
    p = tiny_model(data.images[seen]).probabilities["ferplus"][:, :7]
    np.testing.assert_allclose(found.probabilities, p / p.sum(1, keepdims=True), rtol=1e-5)


def test_predictions_keep_persons_and_groups(tiny_model: Model) -> None:
    data = replace(
        faces(),
        subjects=np.array([f"s{k % 7}" for k in range(60)]),
        groups={"age": np.array(["a", "b"] * 30)},
    )
    found = predictions(tiny_model, data, head="fer2013")
    seen = data.targets["fer2013"].any(1)
    assert found.subjects is not None
    assert found.subjects.tolist() == [f"s{k % 7}" for k in np.flatnonzero(seen)]
    assert found.groups["age"].tolist() == np.array(["a", "b"] * 30)[seen].tolist()
    by_person = found.score(bootstrap=50).intervals["nll"]
    by_face = score(found.probabilities, found.truth, found.labels, bootstrap=50).intervals["nll"]
    assert by_person != by_face
