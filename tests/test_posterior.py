"""The posterior over a vocabulary: its formula, "none of these", priors, explanations and overlaps."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import pyfer
from pyfer.emotions import BASIC, NONE, Emotion
from pyfer.errors import ArgumentError
from pyfer.evidence import EDGE_PRIOR, FILE, Evidence, composition, grid, load, of_any_model, size
from pyfer.posterior import NEAR, Posterior
from pyfer.vocabulary import Vocabulary, catalogue
from pyfer.vocabulary import load as vocabulary_of

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
Floats = NDArray[np.float32]
PAIRS = list(combinations(range(8), 2))
SHIPPED = Path(pyfer.__file__).parent / "weights" / "base" / FILE
EVERY_PAIR = Vocabulary([Emotion(f"{a} with {b}", f"{a} + {b}") for a, b in combinations(BASIC, 2)])
seeds = st.integers(0, 100_000)


def made(labels: tuple[str, ...] = BASIC, seed: int = 0) -> Evidence:
    """Evidence that reads nothing but has base rates and faces to compare with."""
    rng = np.random.default_rng(seed)
    b, m = len(labels), size(len(labels))
    weight, bias = np.zeros((b, m), np.float32), np.zeros(m, np.float32)
    base, reference = (rng.normal(size=shape).astype(np.float32) for shape in ((m,), (50, m)))
    return Evidence(labels, "probabilities", weight, bias, base, reference)


@cache
def posterior(emotions: str | Vocabulary = "du2014", labels: tuple[str, ...] = BASIC) -> Posterior:
    return Posterior(vocabulary_of(emotions), made(), labels)


def faces(n: int, m: int = 36, seed: int = 0, scale: float = 3) -> Floats:
    return (scale * np.random.default_rng(seed).normal(size=(n, m))).astype(np.float32)


def shares(n: int, b: int = 8, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.ones(b), n).astype(np.float32)


def coefficients_of(*named: str, **pairs: float) -> Floats:
    """Return evidence (1, 36) in which emotions and pairs (``fear_surprise=8``) have a value, others 0."""
    e = np.zeros((1, 36), np.float32)
    for name in named:
        e[0, BASIC.index(name)] = 6
    for pair, value in pairs.items():
        i, j = sorted(BASIC.index(name) for name in pair.split("_"))
        e[0, 8 + PAIRS.index((i, j))] = value
    return e


def best(mine: Posterior, coefficients: Floats) -> str:
    return mine.names[int(mine(coefficients, shares(len(coefficients)))[0].argmax())]


# --- the formula ------------------------------------------------------------------------------------------


def by_hand(emotions: list[Emotion], e: Floats, p: Floats) -> list[float]:
    """Return the posterior of one face as the module's docstring says it, in plain loops."""

    def score(w: list[float]) -> float:
        alone = sum(w[i] * float(e[i]) for i in range(8))
        return alone + sum(4 * w[i] * w[j] * float(e[8 + k]) for k, (i, j) in enumerate(PAIRS))

    terms = []
    for emotion in emotions:
        prior = 1.0 if max(emotion.point) > 1 - 1e-6 else EDGE_PRIOR
        absent = math.prod((1 - float(p[i])) ** emotion.against[i] for i in range(8))
        terms.append(prior * math.exp(score(list(emotion.point))) * absent)
    none = 0.0
    for i in range(8):
        for j in range(i, 8):
            for share in (0.3, 0.5, 0.7) if j > i else (1.0,):
                w = [0.0] * 8
                w[i] += share
                w[j] += 1 - share
                apart = min(sum(abs(a - b) for a, b in zip(w, x.point, strict=True)) for x in emotions)
                weak = i == 0 and j > 0  # a little of an emotion in a neutral face
                if apart > NEAR + 1e-9 and not weak:
                    none += (EDGE_PRIOR if j > i else 1.0) * math.exp(score(w))
    total = sum(terms) + none
    return [value / total for value in (*terms, none)]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seeds)
def test_it_is_the_formula_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    formulas = [
        "fear + surprise",
        "2 anger + disgust",
        "happiness + sadness - 0.5 anger",
        "fear + 0.7 sadness + neutral - contempt",
        "surprise - 2 fear",
    ]
    emotions = [Emotion(f"emotion {'abcde'[k]}", f) for k, f in enumerate(formulas)]
    emotions = [emotions[k] for k in rng.permutation(5)[: rng.integers(1, 6)]]
    vocabulary = Vocabulary(emotions, basics=bool(rng.integers(2)))
    mine = Posterior(vocabulary, made(), BASIC)
    e, p = faces(3, seed=seed), shares(3, seed=seed)
    expected = [by_hand(list(vocabulary), *face) for face in zip(e, p, strict=True)]
    np.testing.assert_allclose(mine(e, p), expected, rtol=1e-4, atol=1e-6)


@QUICK
@given(seeds, st.sampled_from([0.0, 1.0, 30.0, 1e4]), st.sampled_from(["du2014", "pairs", "a = fear - joy"]))
def test_rows_are_distributions_whatever_the_evidence(seed: int, scale: float, emotions: str) -> None:
    mine = posterior(emotions)
    e = faces(4, seed=seed, scale=scale)
    p = mine(e, np.eye(8, dtype=np.float32)[:4])
    assert p.dtype == np.float32
    assert p.shape == (4, len(mine.vocabulary) + 1)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    mixture = mine.mixtures(e)
    assert mixture.shape == (4, 8)
    assert (mixture >= 0).all()
    np.testing.assert_allclose(mixture.sum(1), 1, atol=1e-5)


def test_no_faces_have_no_rows() -> None:
    mine = posterior()
    nobody = np.zeros((0, 8), np.float32)
    e = mine.coefficients(nobody, None)
    assert e.shape == (0, 36)
    assert mine(e, nobody).shape == (0, len(mine.names))
    assert mine.mixtures(e).shape == (0, 8)
    assert mine.explain(e, nobody) == []


@QUICK
@given(seeds)
def test_the_order_of_the_vocabulary_does_not_matter(seed: int) -> None:
    emotions = list(catalogue("du2014"))
    order = np.random.default_rng(seed).permutation(len(emotions))
    one = Posterior(Vocabulary(emotions, basics=False), made(), BASIC)
    other = Posterior(Vocabulary([emotions[k] for k in order], basics=False), made(), BASIC)
    assert set(one.names) == set(other.names)
    assert one.names[-1] == other.names[-1] == NONE
    e, p = faces(4, seed=seed), shares(4, seed=seed)
    columns = [other.names.index(name) for name in one.names]
    np.testing.assert_allclose(one(e, p), other(e, p)[:, columns], rtol=1e-5, atol=1e-7)


@QUICK
@given(seeds)
def test_a_face_does_not_depend_on_the_others(seed: int) -> None:
    mine, e, p = posterior(), faces(5, seed=seed), shares(5, seed=seed)
    np.testing.assert_allclose(mine(e, p)[2:3], mine(e[2:3], p[2:3]), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(mine.mixtures(e)[2:3], mine.mixtures(e[2:3]), rtol=1e-5, atol=1e-7)


@QUICK
@given(seeds)
def test_between_basic_emotions_only_their_own_evidence_counts(seed: int) -> None:
    mine, e = posterior(Vocabulary([])), faces(3, seed=seed, scale=1)
    p = mine(e, shares(3))
    assert mine.names == (*BASIC, NONE)
    alone = np.exp(e[:, :8].astype(np.float64))
    np.testing.assert_allclose(
        p[:, :8] / p[:, :8].sum(1, keepdims=True), alone / alone.sum(1, keepdims=True), rtol=1e-4
    )


@QUICK
@given(st.floats(0, 1), st.floats(0.05, 4))
def test_what_is_subtracted_lowers_the_odds_by_the_chance_that_it_is_absent(p: float, weight: float) -> None:
    mine = posterior(Vocabulary([Emotion("odd", f"happiness + surprise - {weight:.4f} fear")]))
    against = mine.vocabulary["odd"].against[BASIC.index("fear")]
    assert against == pytest.approx(weight / 2, abs=1e-4)
    shown = np.zeros((2, 8), np.float32)
    shown[:, 6] = 0, p
    e, column = faces(1, scale=1).repeat(2, 0), mine.names.index("odd")
    found = mine(e, shown).astype(np.float64)
    odds = found[:, column] / found[:, 0]  # against an emotion that nothing is subtracted from
    assert odds[1] / odds[0] == pytest.approx((1 - min(p, 1 - 1e-6)) ** against, rel=1e-3, abs=1e-6)
    others = [k for k in range(len(mine.names)) if k != column]
    np.testing.assert_allclose(found[1, others] * found[0, 0], found[0, others] * found[1, 0], rtol=1e-4)


@QUICK
@given(seeds)
def test_a_mixture_is_the_mean_of_the_posterior_over_the_grid(seed: int) -> None:
    points, prior = grid(8)
    for e, found in zip(faces(3, seed=seed), posterior().mixtures(faces(3, seed=seed)), strict=True):
        p = prior * np.exp(composition(points) @ e.astype(np.float64))
        np.testing.assert_allclose(found, p @ points / p.sum(), rtol=1e-3, atol=1e-6)


# --- blends and none of these -----------------------------------------------------------------------------


@pytest.mark.parametrize("pair", list(combinations(BASIC, 2)), ids="+".join)
def test_evidence_for_two_together_is_their_blend(pair: tuple[str, str]) -> None:
    mine = posterior(EVERY_PAIR)
    e = coefficients_of(**{"_".join(pair): 9.0})
    found = mine.vocabulary[best(mine, e)]
    assert found.weights == {pair[0]: 0.5, pair[1]: 0.5}
    assert dict(zip(BASIC, mine.mixtures(e)[0], strict=True))[pair[0]] == pytest.approx(0.5, abs=0.1)


def test_two_alone_are_no_blend() -> None:
    """The mean of two that the face may be is no reason to say that it is both."""
    mine = posterior("pairs")
    p = dict(zip(mine.names, mine(coefficients_of("fear", "surprise"), shares(1))[0], strict=True))
    pair = next(e.name for e in mine.vocabulary if e.weights == {"surprise": 0.5, "fear": 0.5})
    assert p["fear"] == pytest.approx(p["surprise"])
    assert p["fear"] > 2 * p[pair]


def test_dominance_decides_between_emotions_of_the_same_two() -> None:
    mine = posterior("du2014")
    together = {"anger_disgust": 6.0}
    assert best(mine, coefficients_of(**together)) == "angrily disgusted"
    assert best(mine, coefficients_of("anger", **together)) == "hatred"
    assert best(mine, coefficients_of("disgust", **together)) == "appalled"


def test_what_no_emotion_explains_is_none_of_these() -> None:
    e = coefficients_of(fear_surprise=9)
    assert best(posterior(Vocabulary([])), e) == NONE
    assert best(posterior("bittersweet = happiness + sadness"), e) == NONE
    assert best(posterior("awe = fear + surprise"), e) == "awe"


def test_a_weak_expression_is_not_none_of_these() -> None:
    assert best(posterior(Vocabulary([])), coefficients_of("fear", fear_neutral=9)) == "fear"
    named = "uneasy = neutral + fear"
    assert best(posterior(named), coefficients_of("fear", fear_neutral=9)) == "uneasy"


def test_a_neutral_face_is_none_of_emotions_without_neutral() -> None:
    awe = Vocabulary([Emotion("awe", "fear + surprise")], basics=False)
    assert best(posterior(awe), coefficients_of("neutral")) == NONE


def test_a_mixture_beyond_the_reach_of_an_emotion_stays_none_of_these() -> None:
    """85:15 differs from 50:50 by 0.7 in all, from a pure emotion by 0.3."""
    assert best(posterior("mostly = 0.85 fear + 0.15 surprise"), coefficients_of(fear_surprise=9)) == NONE
    assert best(posterior("rather = 0.8 fear + 0.2 surprise"), coefficients_of(fear_surprise=9)) == "rather"


def test_with_every_pair_nothing_is_left_for_none_of_these() -> None:
    every = posterior(EVERY_PAIR)
    assert len(every.vocabulary) == 36
    assert (every(faces(20, scale=9), shares(20))[:, -1] == 0).all()
    assert (posterior("pairs")(faces(20), shares(20))[:, -1] > 0).all()  # some pairs are missing


def test_a_new_emotion_takes_from_none_of_these_alone() -> None:
    e, p = faces(50), shares(50)
    before, after = posterior(Vocabulary([]))(e, p), posterior("awe = fear + surprise")(e, p)
    assert (after[:, -1] / after[:, 0] < before[:, -1] / before[:, 0] + 1e-6).all()
    assert (after[:, -1] * before[:, 0] < 0.9 * before[:, -1] * after[:, 0]).any()
    for k in range(1, 8):  # between the others nothing changes
        np.testing.assert_allclose(
            after[:, k] * before[:, 0], before[:, k] * after[:, 0], rtol=1e-3, atol=1e-7
        )


# --- what the model can tell ------------------------------------------------------------------------------


def test_what_needs_an_emotion_that_the_model_lacks_is_left_out() -> None:
    mine = posterior("sneer = contempt + disgust, awe = fear + surprise", BASIC[:7])
    assert mine.left_out == ("contempt", "sneer")
    assert mine.names == (*BASIC[:7], "awe", NONE)
    assert posterior("awe = fear + surprise").left_out == ()


def test_labels_in_any_order_and_foreign_ones_among_them() -> None:
    labels = ("boredom", "fear", "surprise", "neutral", "anger")
    mine = posterior("awe = fear + surprise - anger", labels)
    assert mine.basics == labels[1:]
    p = shares(3, 5)
    full = np.ones((3, 8), np.float32)
    full[:, [BASIC.index(name) for name in mine.basics]] = p[:, 1:]
    whole = Posterior(vocabulary_of("awe = fear + surprise - anger"), of_any_model(), BASIC)
    part = Posterior(vocabulary_of("awe = fear + surprise - anger"), of_any_model(), labels)
    e, e_whole = part.coefficients(p, None), whole.coefficients(full, None)
    assert e.shape == (3, 10)
    found = dict(zip(part.names, part(e, p).T, strict=True))
    expected = dict(zip(whole.names, whole(e_whole, np.minimum(full, 1)).T, strict=True))
    for name in (*labels[1:], "awe"):  # one face, the same odds
        odds = found[name] / found["fear"], expected[name] / expected["fear"]
        np.testing.assert_allclose(*odds, rtol=1e-3, atol=1e-7)


def test_a_learned_emotion_with_a_trace_of_what_is_lacking_stays() -> None:
    mine = posterior("mine = 48 fear + 48 surprise + 4 contempt", BASIC[:7])
    np.testing.assert_allclose(mine.points[mine.names.index("mine")].sum(), 1)
    assert mine.points.shape == (8, 7)


def test_classes_restrict_what_is_possible() -> None:
    mine = posterior("du2014", ("happiness", "surprise", "fear"))
    blends = ("happily surprised", "fearfully surprised", "awed")
    assert set(mine.names) == {"happiness", "surprise", "fear", *blends, NONE}
    assert mine(faces(3, 6), shares(3, 3)).shape == (3, 7)
    assert mine.mixtures(faces(3, 6)).shape == (3, 3)


@pytest.mark.parametrize(
    ("emotions", "labels", "message"),
    [
        (
            "du2014",
            ("fear", "boredom"),
            "the model tells fear, boredom; two or more of neutral, .* are needed",
        ),
        ("du2014", ("awake", "asleep"), "the model tells awake, asleep; two or more"),
        (Vocabulary([Emotion("awe", "fear + surprise")], basics=False), ("anger", "fear"), "none of awe can"),
    ],
)
def test_nothing_to_tell_is_an_error(
    emotions: str | Vocabulary, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        posterior(emotions, labels)


# --- priors -----------------------------------------------------------------------------------------------


def test_with_a_uniform_prior_emotions_of_equal_likelihood_are_equally_probable() -> None:
    """Evidence that is the base rate says nothing of the face."""
    vocabulary = vocabulary_of("du2014")
    silent = made()
    silent.bias[:] = silent.base
    p = shares(1)
    even = Posterior(vocabulary, silent, BASIC, np.ones(8))
    found = even(even.coefficients(p, None), p)[0, :-1]
    np.testing.assert_allclose(found, found[0], rtol=1e-4)
    as_fitted = Posterior(vocabulary, silent, BASIC)
    found = as_fitted(as_fitted.coefficients(p, None), p)[0, :-1]
    np.testing.assert_allclose(np.log(found[:8] / found[0]), silent.base[:8] - silent.base[0], atol=1e-3)
    assert np.ptp(np.log(found)) > 1


@QUICK
@given(st.lists(st.floats(0.01, 100), min_size=8, max_size=8), seeds)
def test_weights_of_a_prior_are_bayes_rule(weights: list[float], seed: int) -> None:
    """The odds of basic emotions are multiplied by their weights, those of a blend by the geometric mean."""
    vocabulary, ones = vocabulary_of("awe = fear + surprise"), np.ones(8)
    p, prior = shares(3, seed=seed), np.array(weights)
    odds = []
    for each in (ones, prior):
        mine = Posterior(vocabulary, of_any_model(), BASIC, each)
        found = mine(mine.coefficients(p, None), p).astype(np.float64)
        odds.append(np.log(found[:, :9]) - np.log(found[:, :1]))
    awe = np.sqrt(prior[2] * prior[6])
    np.testing.assert_allclose(
        odds[1] - odds[0], np.log([[*prior, awe]] / prior[0]) * np.ones((3, 1)), atol=0.01
    )


def test_only_ratios_of_a_prior_count() -> None:
    p, prior = shares(4), np.arange(1.0, 9)
    answers = []
    for each in (prior, 7 * prior):
        mine = Posterior(vocabulary_of("du2014"), of_any_model(), BASIC, each)
        answers.append(mine(mine.coefficients(p, None), p))
    np.testing.assert_allclose(*answers, atol=1e-5)


# --- explanations -----------------------------------------------------------------------------------------


@QUICK
@given(seeds, st.integers(0, 5))
def test_an_explanation_adds_up(seed: int, rivals: int) -> None:
    mine, e, p = posterior(), faces(4, seed=seed), shares(4, seed=seed)
    found, mixtures = mine(e, p), mine.mixtures(e)
    for k, said in enumerate(mine.explain(e, p, rivals)):
        best = int(found[k, :-1].argmax())
        assert said.emotion == mine.names[best] != NONE
        assert said.posterior == pytest.approx(float(found[k, best]))
        score = float(composition(mine.points[best : best + 1])[0] @ e[k])
        assert sum(part.alone + part.together for part in said.parts) == pytest.approx(score, abs=1e-3)
        assert said.score == pytest.approx(score, abs=1e-3)
        weights = {part.basic: part.weight for part in said.parts}
        assert weights == pytest.approx(mine.vocabulary[said.emotion].weights)
        sizes = [abs(part.alone + part.together) for part in said.parts]
        assert sizes == sorted(sizes, reverse=True)
        assert len(said.rivals) == rivals
        others = sorted((float(v) for j, v in enumerate(found[k]) if j != best), reverse=True)
        assert list(said.rivals.values()) == pytest.approx(others[:rivals])
        assert said.emotion not in said.rivals
        assert list(said.mixture.values()) == sorted(said.mixture.values(), reverse=True)
        assert said.mixture == pytest.approx(dict(zip(BASIC, mixtures[k].tolist(), strict=True)))
        apart = np.abs(mine.points[best] - mixtures[k]).sum() / 2
        assert said.distance == pytest.approx(float(apart), abs=1e-5)
        assert 0 <= said.distance <= 1


def test_an_explanation_says_what_speaks_for_each_alone_and_for_both_together() -> None:
    e = coefficients_of("fear", fear_surprise=8)
    said = posterior("awe = fear + surprise").explain(e, shares(1))[0]
    assert said.emotion == "awe"
    parts = {part.basic: part for part in said.parts}
    assert (parts["fear"].alone, parts["surprise"].alone) == (3, 0)
    assert (parts["fear"].together, parts["surprise"].together) == (4, 4)
    assert said.parts[0].basic == "fear"


def test_a_face_that_is_none_of_these_is_explained_by_the_best_emotion() -> None:
    said = posterior(Vocabulary([])).explain(coefficients_of(fear_surprise=9), shares(1))[0]
    assert next(iter(said.rivals)) == NONE
    assert said.rivals[NONE] > said.posterior
    assert said.emotion in BASIC


# --- overlap ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("emotions", ["du2014", "pairs", "awe = fear + surprise"])
def test_overlaps_are_symmetric_shares_with_one_on_the_diagonal(emotions: str) -> None:
    for evidence in (made(), of_any_model()):
        mine = Posterior(vocabulary_of(emotions), evidence, BASIC)
        found = mine.overlap()
        assert found.shape == (len(mine.vocabulary),) * 2
        np.testing.assert_allclose(found, found.T, atol=1e-12)
        np.testing.assert_allclose(np.diag(found), 1, atol=1e-9)
        assert found.min() >= 0
        assert found.max() <= 1 + 1e-9


def test_an_overlap_is_the_chance_to_be_taken_for_the_other() -> None:
    """In plain loops: each reference face shows an emotion with weight likelihood / total."""
    mine, (points, prior) = posterior("awe = fear + surprise, shame = fear + disgust"), grid(8)
    reference = made().reference.astype(np.float64)
    likely = []
    for e in reference:
        total = sum(w * math.exp(composition(g[None])[0] @ e) for g, w in zip(points, prior, strict=True))
        likely.append([math.exp(c @ e) / total for c in mine.compositions])
    shown = np.array(likely) / np.sum(likely, axis=0)
    found = mine.overlap()
    for a, b in combinations(range(len(mine.vocabulary)), 2):
        taken = sum(row[a] * row[b] / (row[a] + row[b]) for row in shown)
        assert found[a, b] == pytest.approx(2 * taken, rel=1e-6)


@pytest.mark.parametrize("file", [None, SHIPPED], ids=["any model", "base"])
def test_emotions_of_the_same_two_overlap_more_than_others(file: Path | None) -> None:
    if file is not None and not file.exists():
        pytest.skip("the shipped model has no evidence file")
    mine = Posterior(vocabulary_of("du2014"), of_any_model() if file is None else load(file), BASIC)
    found = mine.overlap()

    def between(one: str, other: str) -> float:
        return float(found[mine.names.index(one), mine.names.index(other)])

    assert between("hatred", "appalled") > 2 * between("happily surprised", "sadly angry")
    assert between("hatred", "angrily disgusted") > between("hatred", "appalled")
    assert between("happiness", "sadness") < 0.1
    assert between("awed", "fearfully surprised") > between("awed", "fear") > between("awed", "anger")
