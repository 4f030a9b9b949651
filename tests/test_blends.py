"""The benchmark of combined emotions, against values worked out by hand, brute force and the real counts."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.blends import (
    ELEVEN,
    PAIRS,
    SUPPORT,
    Interval,
    Scored,
    accuracy_at,
    compare,
    coverage_curve,
    episodes,
    find,
    mean_rule,
    measure,
    pair_name,
)
from pyfer.datasets import one_hot, open_data
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError
from pyfer.evaluation import intervals

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
QUICK = settings(max_examples=40, deadline=None, derandomize=True)
NAMES = [pair_name(pair) for pair in PAIRS]
INDEX = {name: k for k, name in enumerate(NAMES)}
TABLE = {  # the reference table: all of FER+, PrivateTest
    "fear+surprise": (651, 71),
    "happiness+surprise": (473, 50),
    "anger+surprise": (200, 18),
    "anger+sadness": (153, 15),
    "fear+sadness": (118, 17),
    "anger+disgust": (97, 11),
    "anger+happiness": (96, 10),
    "anger+fear": (54, 9),
    "happiness+sadness": (48, 4),
    "disgust+sadness": (35, 5),
    "sadness+surprise": (25, 1),
}
RARE = (71, 12)


def index(*names: str) -> NDArray[np.int64]:
    return np.array([INDEX[name] for name in names], np.int64)


def said(*names: str) -> NDArray[np.float32]:
    """Pair scores of a scorer that names these pairs."""
    return one_hot(index(*names), len(PAIRS))


def votes(*faces: dict[str, int]) -> NDArray[np.float32]:
    columns = (*BASIC, "unknown", "not_face")
    return np.array([[face.get(name, 0) for name in columns] for face in faces], np.float32)


def random_case(seed: int, m: int = 30, s: int = 40) -> tuple[Scored, NDArray[np.int64]]:
    """A scorer that is right now and then; blend scores are coarse, so there are ties."""
    rng = np.random.default_rng(seed)
    pair = rng.choice(index("fear+surprise", "anger+sadness", "disgust+sadness", "contempt+fear"), m)
    scores = rng.normal(size=(m, len(PAIRS))) + 2 * one_hot(pair, len(PAIRS))
    return Scored(scores, rng.integers(2, 9, m) / 8, rng.integers(0, 7, s) / 8), pair


# --- pairs ------------------------------------------------------------------------------------------------


def test_the_pairs_are_those_of_the_seven_emotions_in_basic_order() -> None:
    assert len(PAIRS) == len(set(NAMES)) == 21
    assert PAIRS[0] == ("happiness", "surprise")
    assert PAIRS[-1] == ("fear", "contempt")
    places = [(BASIC.index(a), BASIC.index(b)) for a, b in PAIRS]
    assert places == sorted(places)
    assert all(0 < a < b for a, b in places)


def test_the_eleven_are_pairs_by_frequency() -> None:
    assert set(ELEVEN) <= set(PAIRS)
    assert [pair_name(pair) for pair in ELEVEN] == list(TABLE)
    counts = [TABLE[pair_name(pair)][0] for pair in ELEVEN]
    assert counts == sorted(counts, reverse=True)


def test_the_name_of_a_pair_is_alphabetical() -> None:
    assert pair_name(("surprise", "fear")) == pair_name(("fear", "surprise")) == "fear+surprise"


# --- blends and single-emotion faces ----------------------------------------------------------------------


def test_find_by_hand() -> None:
    found = find(
        votes(
            {"neutral": 9, "fear": 1},  # neutral is no single emotion
            {"surprise": 3, "fear": 6, "neutral": 1},
            {"fear": 8, "anger": 2},
            {"fear": 7, "anger": 2, "sadness": 1},  # neither
            {"contempt": 4, "anger": 6},
            {"contempt": 10},
            {"unknown": 9, "fear": 1},
            {"happiness": 4, "sadness": 4, "not_face": 2},
        )
    )
    assert found.rows.tolist() == [1, 4, 7]
    assert [NAMES[k] for k in found.pair] == ["fear+surprise", "anger+contempt", "happiness+sadness"]
    assert found.single.tolist() == [2, 5]


def test_every_pair_is_found_as_itself() -> None:
    found = find(votes(*({a: 5, b: 4} for a, b in PAIRS)))
    assert found.pair.tolist() == found.rows.tolist() == list(range(21))


def test_the_stricter_variant_needs_more_votes() -> None:
    faces = votes({"fear": 5, "anger": 3}, {"fear": 4, "anger": 4}, {"fear": 4, "anger": 4, "sadness": 1})
    assert find(faces).rows.tolist() == [0, 1, 2]
    assert find(faces, least=4).rows.tolist() == [1, 2]
    assert find(faces, least=5).rows.tolist() == []


def test_no_blend_is_an_empty_answer() -> None:
    found = find(votes({"neutral": 10}))
    assert (len(found.rows), len(found.pair), len(found.single)) == (0, 0, 0)


def test_votes_of_another_shape_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"votes has shape \(3, 8\); it must be \(n, 10\)"):
        find(np.zeros((3, 8)))
    with pytest.raises(ArgumentError, match="least=1 must be 2 or more"):
        find(np.zeros((3, 10)), least=1)


def test_choose_takes_the_rows_that_are_measured() -> None:
    found = find(votes({"fear": 9}, {"fear": 5, "anger": 5}, {"neutral": 10}, {"anger": 9}))
    scores = np.arange(4 * 21).reshape(4, 21).astype(float)
    scored = found.choose(scores, np.array([0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_array_equal(scored.pair_scores, scores[[1]])
    assert scored.blend_score.tolist() == [0.2]
    assert scored.single_score.tolist() == [0.1, 0.4]


# --- the mean rule ----------------------------------------------------------------------------------------


def test_the_mean_rule_by_hand() -> None:
    p = np.array([[0.5, 0.0, 0.2, 0.0, 0.0, 0.0, 0.3, 0.0], [0.1, 0.9, 0, 0, 0, 0, 0, 0]])
    pair_scores, blend_score = mean_rule(p, BASIC)
    assert pair_scores[0, INDEX["fear+surprise"]] == pytest.approx(0.25)
    assert pair_scores[0, INDEX["anger+fear"]] == pytest.approx(0.15)
    assert pair_scores[0, INDEX["anger+contempt"]] == 0
    assert pair_scores.shape == (2, 21)
    assert blend_score == pytest.approx([0.3, 0.1])  # neutral is one of the basics


def test_the_mean_rule_of_a_network_with_other_labels() -> None:
    p = np.array([[0.6, 0.1, 0.3]])
    pair_scores, blend_score = mean_rule(p, ["Angry", "neutral", "joy"])
    assert pair_scores[0, INDEX["anger+happiness"]] == pytest.approx(0.45)
    assert pair_scores[0, INDEX["anger+fear"]] == pytest.approx(0.3)  # fear counts 0
    assert pair_scores[0, INDEX["contempt+fear"]] == 0
    assert blend_score == pytest.approx([0.3])
    assert mean_rule(np.ones((1, 1)), ["fear"])[1].tolist() == [0]  # the seven others count 0


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((2, 3), BASIC, r"p has shape \(2, 3\); it must be \(n, b\)"),
        ((8,), BASIC, r"p has shape \(8,\)"),
        ((2, 2), ("joy", "happiness"), "with b different labels, not .'happiness', 'happiness'"),
        ((2, 2), ("joy", "unknown"), "emotion='unknown' is not known"),
    ],
)
def test_what_is_not_a_networks_answer_is_refused(shape: Any, labels: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        mean_rule(np.zeros(shape), labels)


# --- metrics ----------------------------------------------------------------------------------------------

TRUTH = index(
    "fear+surprise", "fear+surprise", "fear+surprise", "anger+sadness", "anger+fear", "contempt+fear"
)
ANSWERS = said(
    "fear+surprise", "fear+surprise", "anger+sadness", "anger+sadness", "anger+contempt", "anger+sadness"
)
BY_HAND = Scored(ANSWERS, np.array([0.9, 0.8, 0.5, 0.5, 0.3, 0.1]), np.array([0.5, 0.2]))


def test_metrics_by_hand() -> None:
    s = measure(BY_HAND, TRUTH, draws=50)
    assert (s.n, s.singles) == (6, 2)
    assert s.top_pair.value == pytest.approx(3 / 6)
    # fear+surprise: 2 of 3 found, no false alarm; anger+sadness: 1 of 1 found, two false alarms, one of them
    # a rare pair; anger+fear: taken for a rare pair; the eight others do not occur
    f1 = {"fear+surprise": 4 / 5, "anger+sadness": 2 / 4, "anger+fear": 0}
    assert s.f1.tolist() == pytest.approx([f1.get(pair_name(p), np.nan) for p in ELEVEN], nan_ok=True)
    assert s.macro_f1.value == pytest.approx((4 / 5 + 2 / 4 + 0) / 3)
    # above .5: 2, equal: 2, above .2: 5
    assert s.auroc.value == pytest.approx((2 + 2 / 2 + 5) / 12)
    counts = {"fear+surprise": 3, "anger+sadness": 1, "anger+fear": 1, "contempt+fear": 1}
    assert s.counts.tolist() == [counts.get(name, 0) for name in NAMES]
    assert s.confusion.sum() == 6
    assert s.confusion[INDEX["fear+surprise"], INDEX["anger+sadness"]] == 1
    assert s.confusion[INDEX["contempt+fear"], INDEX["anger+sadness"]] == 1


def test_of_equal_scores_the_first_pair_counts() -> None:
    scored = replace(BY_HAND, pair_scores=np.zeros((6, 21)))
    assert measure(scored, np.zeros(6, np.int64), draws=1).top_pair.value == 1


def test_perfect_answers_are_certain() -> None:
    pair = index(*TABLE, *TABLE, "contempt+fear")
    scored = Scored(one_hot(pair, 21), np.linspace(0.5, 1, 23), np.linspace(0, 0.4, 9))
    s = measure(scored, pair, draws=200)
    for interval in (s.top_pair, s.macro_f1, s.auroc):  # also in resamples that lack a pair
        assert (interval.value, interval.low, interval.high) == (1, 1, 1)
    assert s.f1.tolist() == [1] * 11
    wrong = Scored(np.roll(one_hot(pair, 21), 1, axis=1), -scored.blend_score, scored.single_score)
    s = measure(wrong, pair, draws=50)
    assert (s.top_pair.high, s.auroc.high) == (0, 0)


def test_metrics_without_any_of_the_eleven() -> None:
    s = measure(replace(BY_HAND, pair_scores=said(*["contempt+fear"] * 6)), index(*["contempt+fear"] * 6))
    assert s.top_pair.value == 1
    assert (s.macro_f1.value, s.macro_f1.high) == (0, 0)
    assert np.isnan(s.f1).all()


def naive(scored: Scored, pair: NDArray[np.int64]) -> tuple[float, float, float]:
    """The three metrics by their definitions."""
    guess = scored.pair_scores.argmax(1)
    f1 = []
    for name in TABLE:
        named, true = guess == INDEX[name], pair == INDEX[name]
        if true.any():
            recall = named[true].mean()
            precision = true[named].mean() if named.any() else 0
            f1.append(2 * precision * recall / (precision + recall) if recall else 0)
    couples = scored.blend_score[:, None], scored.single_score[None, :]
    above, equal = np.greater(*couples).mean(), np.equal(*couples).mean()
    return float((guess == pair).mean()), sum(f1) / max(len(f1), 1), float(above + equal / 2)


def resampled(scored: Scored, rows: NDArray[np.int64], single: NDArray[np.int64]) -> Scored:
    return Scored(scored.pair_scores[rows], scored.blend_score[rows], scored.single_score[single])


@QUICK
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30))
def test_metrics_are_those_of_their_definitions(seed: int, m: int, s: int) -> None:
    scored, pair = random_case(seed, m, s)
    found = measure(scored, pair, draws=1)
    values = (found.top_pair.value, found.macro_f1.value, found.auroc.value)
    assert values == pytest.approx(naive(scored, pair), abs=1e-12)


@QUICK
@given(st.integers(0, 2**31))
def test_auroc_sees_only_the_order(seed: int) -> None:
    scored, pair = random_case(seed)
    before = measure(scored, pair, draws=20).auroc
    bent = replace(
        scored, blend_score=np.exp(3 * scored.blend_score), single_score=np.exp(3 * scored.single_score)
    )
    assert measure(bent, pair, draws=20).auroc == before
    turned = replace(scored, blend_score=-scored.blend_score, single_score=-scored.single_score)
    assert measure(turned, pair, draws=20).auroc.value == pytest.approx(1 - before.value)


@QUICK
@given(st.integers(0, 2**31))
def test_the_order_of_the_faces_changes_no_metric(seed: int) -> None:
    scored, pair = random_case(seed)
    rng = np.random.default_rng(seed)
    rows, single = rng.permutation(len(pair)), rng.permutation(len(scored.single_score))
    a, b = measure(scored, pair, draws=1), measure(resampled(scored, rows, single), pair[rows], draws=1)
    for name in ("top_pair", "macro_f1", "auroc"):
        assert getattr(a, name).value == pytest.approx(getattr(b, name).value)


def test_impossible_is_a_score_and_unknown_is_none() -> None:
    scores = np.where(BY_HAND.pair_scores > 0, 0, -np.inf)
    scored = Scored(scores, np.array([np.inf, 1, 1, 1, 1, -np.inf]), np.array([-np.inf, 0]))
    s = measure(scored, TRUTH, draws=5)
    assert s.top_pair.value == pytest.approx(3 / 6)
    assert s.auroc.value == pytest.approx((5 + 5.5) / 12)
    with pytest.raises(ArgumentError, match="blend_score has NaN"):
        replace(BY_HAND, blend_score=np.full(6, np.nan))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair_scores": np.zeros((6, 11))}, r"pair_scores has shape \(6, 11\); 6 blends .* need \(6, 21\)"),
        ({"blend_score": np.zeros(5)}, r"blend_score has shape \(5,\); 6 blends .* need \(6,\)"),
        ({"single_score": np.zeros((4, 2))}, r"single_score has shape \(4, 2\).* need \(4,\)"),
        ({"single_score": np.zeros(0)}, "at least one of each"),
        ({"pair_scores": np.zeros((0, 21)), "blend_score": np.zeros(0)}, "at least one of each"),
    ],
)
def test_scores_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        replace(BY_HAND, **changes)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (TRUTH[:5], r"pair=int64\(5,\) must be integers \(6,\)"),
        (TRUTH.astype(float), r"pair=float64\(6,\) must be integers"),
        (TRUTH + 3, r"pair=.*23 must lie in 0..20"),
        (TRUTH - 20, r"pair=-.* must lie in 0..20"),
    ],
)
def test_truth_that_does_not_fit_is_refused(pair: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        measure(BY_HAND, pair)
    with pytest.raises(ArgumentError, match=message):
        compare(BY_HAND, BY_HAND, pair)


def test_scores_as_json() -> None:
    tree = json.loads(json.dumps(measure(BY_HAND, TRUTH, draws=9).to_dict(), allow_nan=False))
    assert tree["top_pair"]["value"] == 0.5
    assert set(tree["auroc"]) == {"value", "low", "high"}
    assert tree["f1"]["fear+surprise"] == pytest.approx(0.8)
    assert tree["f1"]["sadness+surprise"] is None
    assert list(tree["f1"]) == list(TABLE)
    assert tree["counts"]["contempt+fear"] == 1
    assert tree["confusion"][tree["pairs"].index("fear+surprise")][INDEX["fear+surprise"]] == 2
    difference = json.loads(json.dumps(compare(BY_HAND, BY_HAND, TRUTH, draws=9).to_dict()))
    assert difference["macro_f1"] == {"value": 0, "low": 0, "high": 0}


# --- intervals --------------------------------------------------------------------------------------------


def test_an_interval_reads_as_in_the_tables() -> None:
    interval = Interval(0.5871, 0.5508, 0.62)
    assert str(interval.scaled(100)) == "58.7 [55.1, 62.0]"
    assert f"{interval:.3f}" == "0.587 [0.551, 0.620]"


def brute_force(
    a: Scored, b: Scored | None, pair: NDArray[np.int64], draws: int, seed: int
) -> NDArray[np.float64]:
    """The bootstrap as in the textbook: draw faces, measure, repeat; (2, 3) low and high."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        rows = rng.integers(0, len(pair), len(pair))
        single = rng.integers(0, len(a.single_score), len(a.single_score))
        value = np.array(naive(resampled(a, rows, single), pair[rows]))
        if b is not None:
            value -= naive(resampled(b, rows, single), pair[rows])
        values.append(value)
    return np.asarray(np.percentile(values, [2.5, 97.5], axis=0))


def test_intervals_are_those_of_the_textbook() -> None:
    scored, pair = random_case(3, m=50, s=30)
    found = measure(scored, pair, draws=4000, seed=1)
    expected = brute_force(scored, None, pair, draws=1000, seed=2)
    intervals = (found.top_pair, found.macro_f1, found.auroc)
    np.testing.assert_allclose([i.low for i in intervals], expected[0], atol=0.025)
    np.testing.assert_allclose([i.high for i in intervals], expected[1], atol=0.025)
    assert all(i.high - i.low > 0.1 for i in intervals)


def test_each_resample_is_measured_by_the_definitions() -> None:
    """The resamples are counts; laid out as faces they must give the same percentiles to the last digit."""
    scored, pair = random_case(4, m=12, s=9)
    rng = np.random.default_rng(7)
    values = []
    for size in (intervals.CHUNK, 6):
        times = intervals.times(rng, size, 12), intervals.times(rng, size, 9)
        for rows, single in zip(*times, strict=True):
            assert (rows.sum(), single.sum()) == (12, 9)
            rows, single = np.repeat(np.arange(12), rows), np.repeat(np.arange(9), single)
            values.append(naive(resampled(scored, rows, single), pair[rows]))
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    found = measure(scored, pair, draws=intervals.CHUNK + 6, seed=7)
    for k, interval in enumerate((found.top_pair, found.macro_f1, found.auroc)):
        assert (interval.low, interval.high) == pytest.approx((low[k], high[k]), abs=1e-12)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = np.zeros(2)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        right = rng.random(150) < 0.6
        pair = index(*["fear+surprise"] * 150)
        answers = one_hot(np.where(right, pair, pair + 1), 21)
        s = measure(Scored(answers, rng.normal(size=150) + 1, rng.normal(size=200)), pair, draws=200)
        # the difference of two standard normals, one moved by 1, is positive with chance Phi(1 / sqrt(2))
        for k, (interval, true) in enumerate(((s.top_pair, 0.6), (s.auroc, 0.7602))):
            assert interval.low <= interval.value <= interval.high
            held[k] += interval.low <= true <= interval.high
    assert (held >= 88).all()
    assert (held < 100).all()


def test_the_seed_decides_the_resamples() -> None:
    scored, pair = random_case(5)
    first = measure(scored, pair, draws=100, seed=1)
    assert measure(scored, pair, draws=100, seed=1).auroc == first.auroc
    assert measure(scored, pair, draws=100, seed=2).auroc != first.auroc
    with pytest.raises(ArgumentError, match="draws=0 must be 1 or more"):
        measure(scored, pair, draws=0)


def test_a_benchmark_of_full_size_takes_seconds() -> None:
    rng = np.random.default_rng(0)
    pair = rng.integers(0, 21, 2021)
    scored = Scored(rng.normal(size=(2021, 21)), rng.normal(size=2021), rng.normal(size=13_000))
    start = time.process_time()
    found = measure(scored, pair, draws=500)
    assert time.process_time() - start < 3  # a quarter of the draws; about 0.2 s on a core of 2023
    assert found.auroc.high - found.auroc.low == pytest.approx(0.027, abs=0.006)  # Hanley & McNeil's error


# --- comparison -------------------------------------------------------------------------------------------


def test_a_comparison_is_a_difference_with_a_paired_interval() -> None:
    b, pair = random_case(6, m=50, s=30)
    better = b.pair_scores + one_hot(pair, 21) * np.random.default_rng(1).integers(0, 3, (50, 1))
    a = Scored(better, b.blend_score + 0.1, b.single_score)
    found = compare(a, b, pair, draws=4000)
    expected = brute_force(a, b, pair, draws=1000, seed=3)
    for k, name in enumerate(("top_pair", "macro_f1", "auroc")):
        of_a, of_b, interval = (getattr(x, name) for x in (measure(a, pair), measure(b, pair), found))
        assert interval.value == pytest.approx(of_a.value - of_b.value)
        assert interval.value > 0
        assert (interval.low, interval.high) == pytest.approx(tuple(expected[:, k]), abs=0.025)
        unpaired = np.hypot(of_a.high - of_a.low, of_b.high - of_b.low)
        assert interval.high - interval.low < 0.8 * unpaired
        swapped = getattr(compare(b, a, pair, draws=4000), name)
        assert (swapped.low, swapped.high) == pytest.approx((-interval.high, -interval.low))


def test_a_scorer_is_as_good_as_itself() -> None:
    scored, pair = random_case(7)
    found = compare(scored, scored, pair, draws=100)
    for interval in (found.top_pair, found.macro_f1, found.auroc):
        assert interval == Interval(0, 0, 0)


def test_other_faces_are_no_comparison() -> None:
    scored, pair = random_case(8)
    with pytest.raises(ArgumentError, match=r"single_score has shapes \(40,\) and \(39,\)"):
        compare(scored, replace(scored, single_score=scored.single_score[1:]), pair)
    with pytest.raises(ArgumentError, match=r"pair_scores has shapes \(30, 21\) and \(29, 21\)"):
        compare(scored, resampled(scored, np.arange(29), np.arange(40)), pair)


# --- few shots --------------------------------------------------------------------------------------------

FULL = np.random.default_rng(0).permutation(
    np.repeat(index(*TABLE, "contempt+fear"), [*(n for n, _ in TABLE.values()), 20])
)


@pytest.mark.parametrize("ways", [5, None])
@pytest.mark.parametrize("shots", [1, 10])
def test_a_round_is_honest(ways: int | None, shots: int) -> None:
    rounds = list(episodes(FULL, ways=ways, shots=shots, count=20, seed=0))
    assert len(rounds) == 20
    for e in rounds:
        w = ways or 11
        assert e.ways.shape == (w,)
        assert len(set(e.ways.tolist())) == w
        assert e.support.shape == (w, shots)
        assert (FULL[e.support] == e.ways[:, None]).all()
        assert (FULL[e.query] == e.ways[e.truth]).all()
        shown = [*e.support.ravel().tolist(), *e.query.tolist()]
        assert len(set(shown)) == len(shown)  # no face twice, none both shown and asked
        assert np.bincount(e.truth).tolist() == [15] * w
    assert len({tuple(sorted(e.query.tolist())) for e in rounds}) == 20


@pytest.mark.parametrize("ways", [5, None])
def test_more_shots_change_neither_pairs_nor_queries(ways: int | None) -> None:
    ladder = {
        k: list(episodes(FULL, ways=ways, shots=k, count=5, seed=3, queries=10)) for k in (1, 2, 5, SUPPORT)
    }
    for k, rounds in ladder.items():
        for few, most in zip(rounds, ladder[SUPPORT], strict=True):
            for name in ("ways", "query", "truth"):
                np.testing.assert_array_equal(getattr(few, name), getattr(most, name))
            np.testing.assert_array_equal(few.support, most.support[:, :k])


def test_the_seed_decides_the_rounds() -> None:
    a, b, c = (next(episodes(FULL, ways=5, shots=1, count=9, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.query, b.query)
    assert a.query.tolist() != c.query.tolist()


def test_five_ways_are_drawn_among_all_pairs_with_enough_faces() -> None:
    seen = Counter(k for e in episodes(FULL, ways=5, shots=1, count=300, seed=0) for k in e.ways.tolist())
    assert set(seen) == set(index(*TABLE).tolist())  # ten and fifteen: the rare pair has only 20
    assert min(seen.values()) > 100  # 5 of 11, 300 times: 136 each
    wide = episodes(FULL, ways=5, shots=1, count=50, seed=0, queries=5)
    assert INDEX["contempt+fear"] in {k for e in wide for k in e.ways.tolist()}


def test_all_ways_are_those_of_the_eleven_with_a_face_to_ask() -> None:
    pair = np.repeat(index(*list(TABLE)[:3], "contempt+fear"), [40, 11, 10, 30])
    (e,) = episodes(pair, ways=None, shots=2, count=1, seed=0)
    assert [NAMES[k] for k in e.ways] == list(TABLE)[:2]  # ten faces leave none to ask
    assert np.bincount(e.truth).tolist() == [15, 1]
    (e,) = episodes(pair, ways=None, shots=2, count=1, seed=0, queries=1000)
    assert np.bincount(e.truth).tolist() == [30, 1]  # all that is left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": 0}, "shots=0 must be 1 to 10"),
        ({"shots": 11}, "shots=11 must be 1 to 10"),
        ({"count": 0}, "count=0 must be 1 or more"),
        ({"queries": 0}, "queries=0 must be 1 or more"),
        ({"ways": 12}, "ways=12 needs 2 pairs or more, and 11 have the 25 blends"),
        ({"ways": 1}, "ways=1 needs 2 pairs or more"),
        ({"queries": 200}, "ways=5 needs 2 pairs or more, and 2 have the 210 blends.*fewer ways or queries"),
        ({"pair": FULL[:0], "ways": None}, "ways=None needs 2 pairs or more, and 0 have the 11 blends"),
        ({"pair": FULL + 9}, r"must lie in 0..20"),
    ],
)
def test_rounds_that_cannot_be_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    settings = {"pair": FULL, "ways": 5, "shots": 5, "count": 3, "seed": 0, **options}
    with pytest.raises(ArgumentError, match=message):
        episodes(settings.pop("pair"), **settings)


# --- answering only when sure -----------------------------------------------------------------------------


def test_coverage_by_hand() -> None:
    confidence, correct = np.array([0.5, 0.9, 0.7, 0.7, 0.2]), np.array([0, 1, 1, 0, 1])
    coverage, accuracy = coverage_curve(confidence, correct)
    assert coverage.tolist() == pytest.approx([1 / 5, 3 / 5, 4 / 5, 1])  # the two .7 pass together
    assert accuracy.tolist() == pytest.approx([1, 2 / 3, 2 / 4, 3 / 5])
    shares = {0.05: 1, 0.2: 1, 0.21: 2 / 3, 0.1 + 0.2 + 0.3: 2 / 3, 0.8: 2 / 4, 0.81: 3 / 5, 1: 3 / 5}
    for share, expected in shares.items():
        assert accuracy_at(coverage, accuracy, share) == pytest.approx(expected)


@QUICK
@given(st.integers(0, 2**31), st.integers(1, 30))
def test_what_holds_for_all_curves(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, correct = rng.integers(0, 6, n) / 5, rng.random(n) < 0.5
    coverage, accuracy = coverage_curve(confidence, correct)
    thresholds = sorted(set(confidence.tolist()), reverse=True)
    assert coverage.tolist() == pytest.approx([np.mean(confidence >= t) for t in thresholds])
    assert accuracy.tolist() == pytest.approx([correct[confidence >= t].mean() for t in thresholds])
    assert accuracy_at(coverage, accuracy, 1) == pytest.approx(correct.mean())


def test_endless_confidence_is_a_threshold() -> None:
    coverage, _ = coverage_curve(np.array([np.inf, np.inf, 0, -np.inf]), np.ones(4))
    assert coverage.tolist() == [0.5, 0.75, 1]


def test_a_curve_of_nothing_or_of_unequal_columns_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"confidence\(3,\) and correct\(2,\) must have one entry"):
        coverage_curve(np.zeros(3), np.zeros(2))
    with pytest.raises(ArgumentError, match="must have one entry an answer"):
        coverage_curve(np.zeros(0), np.zeros(0))
    with pytest.raises(ArgumentError, match="confidence has NaN"):
        coverage_curve(np.array([np.nan]), np.ones(1))
    for share in (0, 1.5):
        with pytest.raises(ArgumentError, match="must lie above 0 and not above 1"):
            accuracy_at(np.ones(1), np.ones(1), share)


# --- the real ones, where they are ------------------------------------------------------------------------


def test_counts_of_the_reference_table() -> None:
    path = DATA / "fer2013plus"
    if not (path / "labels.csv").is_file():
        pytest.skip(f"the data set fer2013plus is not at {DATA}")
    splits = ("Training", "PublicTest", "PrivateTest")
    parts = [open_data(f"fer2013plus:{path}?split={name}&leaks=keep").votes["ferplus"] for name in splits]
    assert [len(find(part).rows) for part in parts] == [1593, 205, 223]
    everything, private = find(np.concatenate(parts)), find(parts[2])
    counts = [Counter(NAMES[k] for k in found.pair) for found in (everything, private)]
    for name, expected in TABLE.items():
        assert tuple(c[name] for c in counts) == expected, name
    assert tuple(sum(c.values()) - sum(c[name] for name in TABLE) for c in counts) == RARE
    assert len(find(np.concatenate(parts), least=4).rows) == 754
    assert len(everything.single) == 12_790
