"""Answers over time: segments worked out by hand, onsets, flicker, and what smoothing must not change."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfer import evaluation
from pyfer.errors import ArgumentError
from pyfer.evaluation import (
    TIMING,
    exponential,
    moving_average,
    segment_f1,
    segments_of,
    timing_scores,
)
from pyfer.evaluation.timing import matches

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
WORD = {"n": "neutral", "h": "happiness", "s": "surprise", "f": "fear", "u": "uncertain"}


def labels(text: str) -> list[str]:
    return [WORD[letter] for letter in text]


def clock(n: int, step: float = 0.1) -> Any:
    return np.arange(n) * step


def scores(truth: str, answers: str, **options: Any) -> evaluation.TimingScores:
    return timing_scores([clock(len(truth))], [labels(truth)], [labels(answers)], **options)


# --- segments ---------------------------------------------------------------------------------------------


def test_segments_are_runs_and_each_ends_where_the_next_begins() -> None:
    found = segments_of([0, 1, 2, 5, 6], ["a", "a", "b", "b", "a"])
    assert found == [("a", 0, 2), ("b", 2, 6), ("a", 6, 7)]  # the last frame lasts 1 s, as most do


def test_segments_of_few_frames() -> None:
    assert segments_of([], []) == []
    assert segments_of([3.0], ["a"]) == [("a", 3, 3)]
    assert segments_of([0, 1], np.array([7, 7])) == [(7, 0, 2)]


@QUICK
@given(st.text("nhs", min_size=2, max_size=40))
def test_segments_cover_the_stream_once(text: str) -> None:
    found = segments_of(clock(len(text)), labels(text))
    assert found[0][1] == 0
    assert found[-1][2] == pytest.approx(0.1 * len(text))
    assert all(a[2] == b[1] and a[0] != b[0] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("times", "names", "message"),
    [
        ([0, 1], ["a"], r"labels has shape \(1,\) for times of shape \(2,\)"),
        ([0, 0], ["a", "a"], "each above the one before"),
        ([0, math.nan], ["a", "a"], "finite"),
    ],
)
def test_a_stream_must_be_one(times: Any, names: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        segments_of(times, names)


# --- matches ----------------------------------------------------------------------------------------------


def test_a_match_needs_the_label_and_half_of_the_union() -> None:
    true = [("a", 0.0, 10.0)]
    assert matches(true, [("a", 0.0, 5.0)]) == [(0, 0)]
    assert matches(true, [("a", 0.0, 4.9)]) == []
    assert matches(true, [("a", 5.0, 20.0)]) == []  # 5 of 20 s in common
    assert matches(true, [("b", 0.0, 10.0)]) == []
    assert matches(true, [("a", 0.0, 2.0)], overlap=0.2) == [(0, 0)]
    assert matches(true, [("a", 10.0, 20.0)], overlap=1e-9) == []  # they touch


def test_a_true_segment_is_found_once() -> None:
    true = [("a", 0.0, 10.0), ("a", 20.0, 30.0)]
    found = [("a", 0.0, 9.0), ("a", 9.0, 10.0), ("a", 21.0, 30.0)]
    assert matches(true, found, overlap=0.1) == [(0, 0), (1, 2)]


def test_f1_counts_segments_of_all_streams_together() -> None:
    a, b = ("a", 0.0, 1.0), ("b", 2.0, 3.0)
    found = segment_f1([[a, b], [a], []], [[a], [b], [b]])
    assert (found.precision, found.recall) == (1 / 3, 1 / 3)
    assert segment_f1([[a, b]], [[a]]).f1 == pytest.approx(2 / 3)
    nothing = segment_f1([[a]], [[]])
    assert math.isnan(nothing.precision)
    assert (nothing.recall, nothing.f1) == (0, 0)
    assert math.isnan(segment_f1([[]], [[]]).f1)


@pytest.mark.parametrize("overlap", [0, -1, 1.5, math.nan])
def test_overlap_is_a_share(overlap: float) -> None:
    with pytest.raises(ArgumentError, match=r"overlap=.* must be above 0, at most 1"):
        segment_f1([[("a", 0.0, 1.0)]], [[]], overlap)


def test_as_many_lists_in_both() -> None:
    with pytest.raises(ArgumentError, match="found has 0 streams; truth has 1"):
        segment_f1([[]], [])


# --- scores -----------------------------------------------------------------------------------------------


def test_answers_that_are_the_truth() -> None:
    found = scores("nnhhhnnssn", "nnhhhnnssn")
    assert (found.f1, found.precision, found.recall, found.accuracy) == (1, 1, 1, 1)
    assert (found.onset_error, found.onset_bias) == (0, 0)
    assert found.segments == 2
    assert found.seconds == pytest.approx(1)
    assert found.flicker == found.true_flicker == pytest.approx(4)


def test_onsets_that_come_late_and_early_in_ms() -> None:
    truth = ["nnhhhhhhnn", "nnnnhhhhhn", "nnhhhhhhnn"]
    answer = ["nnnhhhhhnn", "nnhhhhhhhn", "nnnnhhhhhn"]  # 100 late, 200 early, 200 late
    found = timing_scores([clock(10)] * 3, [*map(labels, truth)], [*map(labels, answer)])
    assert found.f1 == 1
    assert found.onset_error == pytest.approx(200)
    assert found.onset_bias == pytest.approx(100 / 3)


def test_flicker_is_changes_a_second() -> None:
    found = scores("nnnnnhhhhh", "nhnhnhhhhh")
    assert found.flicker == pytest.approx(5)
    assert found.true_flicker == pytest.approx(1)
    assert found.accuracy == pytest.approx(0.8)
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == 1


def test_neutral_is_no_segment_and_others_can_be_added() -> None:
    assert math.isnan(scores("nnnn", "nnnn").f1)
    assert math.isnan(scores("nnnn", "nnnn").onset_error)
    assert scores("nnhh", "uuhh").precision == 0.5
    assert scores("nnhh", "uuhh", background=("neutral", "uncertain")).precision == 1
    numbers = timing_scores([clock(4)], [[0, 0, 1, 1]], [[0, 0, 1, 1]], background=0)
    assert numbers.segments == 1


def test_intervals_by_streams() -> None:
    rng = np.random.default_rng(0)
    truth, answers = [], []
    for _ in range(20):
        start = int(rng.integers(5, 15))
        truth.append(labels("n" * start + "h" * 10 + "n" * 5))
        late = int(rng.integers(0, 4))
        found = "n" * (start + late) + "h" * (10 - late) + "n" * 5
        answers.append(labels(found if rng.random() < 0.8 else found.replace("h", "f")))
    times = [clock(len(each)) for each in truth]
    plain, drawn = (timing_scores(times, truth, answers, bootstrap=draws) for draws in (0, 300))
    assert not plain.intervals
    assert math.isnan(plain.interval("f1").low)
    assert plain.interval("f1").value == plain.f1
    for name in TIMING:
        assert getattr(plain, name) == getattr(drawn, name)
    for name in ("f1", "onset_bias", "accuracy"):
        found_interval = drawn.interval(name)
        assert found_interval.low < found_interval.value < found_interval.high
    assert drawn.interval("f1").low > 0.4
    tree = drawn.to_dict()
    assert json.loads(json.dumps(tree)) == tree
    assert tree["intervals"]["f1"] == [drawn.interval("f1").low, drawn.interval("f1").high]
    assert scores("nn", "nn").to_dict()["f1"] is None


@QUICK
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9), st.integers(0, 99))
def test_medians_of_resamples_are_those_of_numpy(values: list[int], seed: int) -> None:
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(values)))
    found = evaluation.timing._medians(np.array(values, float), weights)
    for row, median in zip(weights, found, strict=True):
        drawn = np.repeat(values, row)
        assert median == np.median(drawn) if len(drawn) else math.isnan(median)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], [], []), {}, "have 0, 0 and 0 streams"),
        (([[0, 1]], [["a", "b"]], []), {}, "have 1, 1 and 0 streams"),
        (([[0, 1]], [["a", "b"]], [["a"]]), {}, "labels has shape"),
        (([[0, 1]], [["a", "b"]], [["a", "b"]]), {"bootstrap": -1}, "bootstrap=-1"),
        (([[0, 1]], [["a", "b"]], [["a", "b"]]), {"overlap": 2}, "overlap=2"),
    ],
)
def test_what_does_not_fit_is_said(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        timing_scores(*arguments, **options)


# --- smoothing --------------------------------------------------------------------------------------------


def test_moving_average_by_hand() -> None:
    p = np.array([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    assert np.allclose(moving_average(p, 2)[:, 0], [1, 0.5, 0, 0.5])
    assert np.allclose(moving_average(p, 99)[:, 0], [1, 1 / 2, 1 / 3, 1 / 2])
    assert np.array_equal(moving_average(p, 1), p)


def test_exponential_by_hand() -> None:
    p = np.array([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    assert np.allclose(exponential(p, 0.5)[:, 0], [1, 0.5, 0.25, 0.625])
    assert np.allclose(exponential(p, 0.25)[:, 0], [1, 0.75, 0.5625, 0.671875])
    assert np.array_equal(exponential(p, 1), p)
    assert p[1, 0] == 0  # its own copy


@pytest.mark.parametrize("smooth", [lambda p: moving_average(p, 4), lambda p: exponential(p, 0.3)])
def test_smoothing_is_causal_and_keeps_the_sums(smooth: Any) -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    found = smooth(p)
    assert np.allclose(found.sum(1), 1)
    assert np.allclose(smooth(p[:20]), found[:20])  # the future changes nothing
    assert smooth(p[:0]).shape == (0, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moving_average(np.ones((2, 2)), 0), "frames=0 must be 1 or more"),
        (lambda: exponential(np.ones((2, 2)), 0), "alpha=0 must be above 0"),
        (lambda: exponential(np.ones((2, 2)), 1.1), "alpha=1.1 must be above 0"),
        (lambda: exponential(np.ones(2), 0.5), r"p has shape \(2,\)"),
    ],
)
def test_smoothing_says_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
