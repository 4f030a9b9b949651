"""Discovery finds what was planted in made-up evidence, and nothing where there is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer import discovery
from pyfer.discovery import Discovery, discover
from pyfer.emotions import BASIC, Emotion, parse_formula
from pyfer.errors import ArgumentError
from pyfer.evidence import Evidence, composition, grid, size
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary, load

CLEAR = 6.0
"""How far each single emotion is from nothing at all, in deviations of the noise."""
SINGLE = dict.fromkeys(BASIC, 100)
"""Faces of single emotions: formula -> how many."""
BLENDS = {"fear + surprise": 70, "0.65 anger + 0.35 sadness": 50}


def evidence_of(labels: tuple[str, ...] = BASIC) -> Evidence:
    """Return evidence with base rates of its own; its features are never used."""
    m = size(len(labels))
    base = np.linspace(-2, 1, m, dtype=np.float32)
    return Evidence(labels, "embedding", np.zeros((1, m), np.float32), base * 0, base, base[None])


def posterior_of(known: str = "", labels: tuple[str, ...] = BASIC, prior: bool = False) -> Posterior:
    vocabulary = load(known) if known else Vocabulary([])
    weights = np.linspace(1, 2, len(labels)) if prior else None
    return Posterior(vocabulary, evidence_of(labels), labels, weights)


def faces(
    counts: Mapping[str, int],
    labels: tuple[str, ...] = BASIC,
    *,
    seed: int = 0,
    clear: float = CLEAR,
) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Draw faces: evidence (n, m) and the formula that each was drawn from (n,).

    A face of the mixture w shows x, normal around ``s w`` with deviation 1, so its log-likelihood is
    ``s x . w - s**2 |w|**2 / 2`` up to a constant, which is just what a composition can say, as
    ``|w|**2 = 1 - 2 sum_{i<j} w_i w_j``.
    """
    rng = np.random.default_rng(seed)
    formulas = np.repeat(list(counts), list(counts.values()))
    columns = [BASIC.index(name) for name in labels]
    points = np.array([parse_formula(formula)[0] for formula in formulas]).reshape(-1, len(BASIC))[:, columns]
    b = len(labels)
    x = clear * points + rng.normal(size=points.shape)
    drawn = np.full((len(points), size(b)), clear**2 / 4)
    drawn[:, :b] = clear * x - clear**2 / 2
    order = rng.permutation(len(points))
    return np.asarray(drawn + evidence_of(labels).base, np.float32)[order], formulas[order]


@cache
def planted() -> tuple[Discovery, NDArray[np.float32], NDArray[np.str_]]:
    coefficients, truth = faces(SINGLE | BLENDS)
    return discover(posterior_of(), coefficients), coefficients, truth


def names(found: Discovery) -> list[str]:
    return [one.name for one in found.found]


# --- what is there is found ------------------------------------------------------------------------------


def test_planted_mixtures_are_found_the_most_frequent_first() -> None:
    found, _, truth = planted()
    assert names(found) == ["fear and surprise", "mostly anger with some sadness"]
    assert found.faces == len(truth) == 920
    assert found.reason == ""
    assert found.unexplained == pytest.approx(120 / 920, abs=0.03)


def test_each_has_its_faces_and_its_point() -> None:
    found, _, truth = planted()
    for one, (formula, count) in zip(found.found, BLENDS.items(), strict=True):
        assert one.count == len(one.rows) == len(set(one.rows.tolist()))
        assert one.count == pytest.approx(count, rel=0.1 if one.name == "fear and surprise" else 0.35)
        assert one.share == pytest.approx(one.count / 920, rel=0.1)
        assert (truth[one.rows] == formula).mean() > 0.85
        assert (truth[one.rows[: one.count // 2]] == formula).mean() > 0.95  # the typical ones come first
        assert np.abs(np.subtract(one.point, parse_formula(formula)[0])).max() < 0.1
        assert one.deviance > 50


def test_strength_is_what_the_evidence_itself_says_of_the_faces() -> None:
    found, coefficients, _ = planted()
    points, prior = grid(8)
    z = coefficients @ composition(points).T + np.log(prior)
    p = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    both = (points[:, [BASIC.index("fear"), BASIC.index("surprise")]] > 0).all(1)
    one = found.found[0]
    assert one.strength == pytest.approx(p[one.rows][:, both].sum(1).mean(), rel=1e-4)
    assert one.strength > 0.6


def test_the_formula_says_the_point() -> None:
    for one in planted()[0].found:
        assert parse_formula(one.formula)[0] == pytest.approx(one.point, abs=1e-12)
        assert sum(one.point) == pytest.approx(1)


def test_a_mixture_of_three_is_found_where_no_pair_of_it_is_enough() -> None:
    labels = ("neutral", "happiness", "surprise", "anger", "fear")
    coefficients, _ = faces(dict.fromkeys(labels, 100) | {"anger + fear + surprise": 80}, labels, clear=6)
    found = discover(posterior_of(labels=labels), coefficients)
    assert names(found) == ["anger and fear and surprise"]
    assert found.found[0].count == pytest.approx(80, rel=0.25)


def test_mixtures_of_three_that_are_not_there_take_nothing_from_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, coefficients, _ = planted()
    even = discovery._even
    monkeypatch.setattr(discovery, "_even", lambda posterior, k: even(posterior, k)[: None if k == 2 else 0])
    pairs_only = discover(posterior_of(), coefficients)
    assert [(one.count, one.deviance) for one in pairs_only.found] == [
        (one.count, one.deviance) for one in found.found
    ]


def test_pairs_are_no_mixture_of_three() -> None:
    pairs = {"anger + fear": 60, "anger + surprise": 60, "fear + surprise": 60}
    coefficients, _ = faces(SINGLE | pairs, clear=5)
    assert names(discover(posterior_of(), coefficients)) != []
    assert all(np.count_nonzero(one.point) == 2 for one in discover(posterior_of(), coefficients).found)


def test_a_model_of_fewer_emotions_in_another_order() -> None:
    labels = ("fear", "surprise", "happiness", "neutral", "anger")
    coefficients, _ = faces(dict.fromkeys(labels, 100) | {"0.6 happiness + 0.4 anger": 60}, labels)
    (one,) = discover(posterior_of(labels=labels), coefficients).found
    assert one.name == "anger and happiness"
    assert one.point[BASIC.index("happiness")] == pytest.approx(0.6, abs=0.08)
    assert one.point[BASIC.index("anger")] == pytest.approx(0.4, abs=0.08)


def test_a_model_without_neutral() -> None:
    labels = ("fear", "surprise", "happiness")
    coefficients, _ = faces(dict.fromkeys(labels, 100) | {"fear + happiness": 60}, labels)
    assert names(discover(posterior_of(labels=labels), coefficients)) == ["fear and happiness"]


# --- what is not there is not found ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_single_emotions_are_no_mixture(seed: int) -> None:
    coefficients, _ = faces(dict.fromkeys(BASIC, 150), seed=seed, clear=2.5)
    found = discover(posterior_of(), coefficients)
    assert found.found == ()
    assert "no mixture recurs" in found.reason
    assert found.unexplained < 0.06


@pytest.mark.parametrize("seed", [0, 1])
def test_chance_is_no_mixture(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand faces of single emotions a few lie between two by chance: what the deviance is for."""
    monkeypatch.setattr(discovery, "LEAST_SHARE", 0.0)
    coefficients, _ = faces(dict.fromkeys(BASIC, 150), seed=seed, clear=4)
    found = discover(posterior_of(), coefficients, least=2)
    assert found.found == ()
    assert any("what is known explains its faces about as well" in why for why in found.left_out.values())


def test_weak_expressions_are_no_new_emotions() -> None:
    weak = {f"neutral + {name}": 60 for name in BASIC[1:]}
    found = discover(posterior_of(), faces(SINGLE | weak)[0])
    assert found.found == ()
    assert found.unexplained < 0.03


def test_a_trace_of_another_emotion_makes_no_new_one() -> None:
    assert discover(posterior_of(), faces(SINGLE | {"0.9 anger + 0.1 sadness": 100})[0]).found == ()


def test_faces_that_look_like_a_known_emotion_are_that() -> None:
    """Where the evidence says that a mixture is very rare, a doubtful face shows the single emotion."""
    coefficients, _ = faces(SINGLE | {"anger + sadness": 60}, clear=3.5)
    found = discover(posterior_of(), coefficients)
    assert names(found) == ["anger and sadness"]
    rare = evidence_of()
    first, second = np.triu_indices(8, 1)
    both = (first == BASIC.index("sadness")) & (second == BASIC.index("anger"))
    base = rare.base - 8 * np.concatenate([np.zeros(8), both]).astype(np.float32)
    posterior = Posterior(Vocabulary([]), replace(rare, base=base), BASIC)
    found = discover(posterior, coefficients + (base - rare.base))
    assert found.found == ()
    assert "look too much like what is known" in found.left_out["anger and sadness"]


def test_what_is_known_is_not_found_again() -> None:
    coefficients = planted()[1]
    found = discover(posterior_of("dread = fear + surprise"), coefficients)
    assert names(found) == ["mostly anger with some sadness"]
    assert found.unexplained < planted()[0].unexplained - 0.04
    assert discover(posterior_of("pairs"), coefficients).found == ()


def test_what_was_found_is_known_afterwards() -> None:
    found, coefficients, _ = planted()
    known = Posterior(found.vocabulary() + Vocabulary([]), evidence_of(), BASIC)
    assert discover(known, coefficients).found == ()


def test_a_vocabulary_without_the_basic_emotions_does_not_make_them_new() -> None:
    vocabulary = Vocabulary([Emotion("dread", "fear + surprise")], basics=False)
    found = discover(Posterior(vocabulary, evidence_of(), BASIC), planted()[1])
    assert names(found) == ["mostly anger with some sadness"]
    labels = ("fear", "surprise", "happiness", "anger")  # without neutral no weak ones stand in for them
    coefficients, _ = faces(dict.fromkeys(labels, 100) | {"anger + happiness": 60}, labels)
    (one,) = discover(Posterior(vocabulary, evidence_of(labels), labels), coefficients).found
    assert one.name == "anger and happiness"
    assert one.count == pytest.approx(60, rel=0.1)


def test_where_all_is_known_it_says_so() -> None:
    labels = ("neutral", "fear", "surprise")
    coefficients, _ = faces(dict.fromkeys(labels, 30), labels)
    found = discover(posterior_of("dread = fear + surprise", labels), coefficients)
    assert found.found == ()
    assert "leave no mixture" in found.reason


def test_a_mixture_needs_enough_faces() -> None:
    found = discover(posterior_of(), planted()[1], least=64)
    assert names(found) == ["fear and surprise"]
    assert names(discover(posterior_of(), planted()[1], least=200)) == []


def test_a_mixture_needs_its_share_of_many_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    coefficients = faces(dict.fromkeys(BASIC, 500) | {"fear + surprise": 16})[0]
    found = discover(posterior_of(), coefficients)
    assert found.found == ()
    assert found.left_out["fear and surprise"] == "about 18 faces show it, and 21 are needed"
    monkeypatch.setattr(discovery, "LEAST_SHARE", 0.0)
    assert names(discover(posterior_of(), coefficients)) == ["fear and surprise"]


@pytest.mark.parametrize("n", [0, 1, 11])
def test_too_few_faces(n: int) -> None:
    found = discover(posterior_of(), planted()[1][:n])
    assert (found.found, found.faces, found.unexplained) == ((), n, 0.0)
    assert found.reason == f"{n} faces are too few; one mixture needs 12 (least=12)"
    assert len(found.vocabulary()) == 0


# --- the same faces give the same answer -----------------------------------------------------------------


def test_the_order_of_the_faces_makes_no_difference() -> None:
    found, coefficients, _ = planted()
    order = np.random.default_rng(1).permutation(len(coefficients))
    other = discover(posterior_of(), coefficients[order])
    assert other.unexplained == found.unexplained
    assert other.left_out == found.left_out
    for one, same in zip(found.found, other.found, strict=True):
        assert order[same.rows].tolist() == one.rows.tolist()
        for what in ("name", "formula", "point", "count", "share", "strength", "deviance"):
            assert getattr(one, what) == getattr(same, what), what


def test_a_prior_makes_no_difference() -> None:
    found, coefficients, _ = planted()
    posterior, p = posterior_of(prior=True), np.full((len(coefficients), 8), 0.125, np.float32)
    assert np.abs(posterior(coefficients, p) - posterior_of()(coefficients, p)).max() > 0.1
    other = discover(posterior, coefficients)
    for one, same in zip(found.found, other.found, strict=True):
        assert (same.name, same.rows.tolist()) == (one.name, one.rows.tolist())
        assert same.deviance == pytest.approx(one.deviance, rel=1e-3)


# --- names and definitions -------------------------------------------------------------------------------


def test_the_definitions_can_be_written_and_read() -> None:
    found = planted()[0]
    vocabulary = found.vocabulary()
    assert vocabulary.names == ("fear and surprise", "mostly anger with some sadness")
    again = Vocabulary.from_toml(vocabulary.to_toml())
    assert again == vocabulary
    for emotion, one in zip(again, found.found, strict=True):
        assert emotion.note == f"found in {one.count} of 920 faces, not validated"
        assert emotion.source == "pyfer emotions discover"
        assert not emotion.validated
        assert emotion.point == one.point


def test_a_name_that_is_taken_gets_a_number() -> None:
    posterior = posterior_of(
        "Fear and surprise = happiness + contempt, fear and surprise 2 = happiness + fear"
    )
    found = discover(posterior, planted()[1])
    assert names(found)[0] == "fear and surprise 3"
    assert Emotion("other", "fear and surprise 3 + anger", known=found.vocabulary().known).weights


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("surprise + fear", "fear and surprise"),
        ("0.55 surprise + 0.45 fear", "fear and surprise"),
        ("0.56 surprise + 0.44 fear", "mostly surprise with some fear"),
        ("surprise + fear + anger", "anger and fear and surprise"),
        ("0.45 surprise + 0.3 fear + 0.25 anger", "mostly surprise with some fear and anger"),
        ("0.6 contempt + 0.2 happiness + 0.2 surprise", "mostly contempt with some happiness and surprise"),
    ],
)
def test_names(formula: str, name: str) -> None:
    weights = Emotion("some", formula).weights
    assert discovery._name(weights) == Emotion(name, formula).name == name


# --- arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("least", [0, -1, 2.5, True, "12", None])
def test_least_is_a_whole_number(least: object) -> None:
    with pytest.raises(ArgumentError, match=r"least=.* must be a whole number of faces, 1 or more"):
        discover(posterior_of(), planted()[1], least=least)  # type: ignore[arg-type]


def test_least_may_be_of_numpy() -> None:
    assert names(discover(posterior_of(), planted()[1], least=np.int64(12))) == names(planted()[0])


@pytest.mark.parametrize("shape", [(36,), (20, 35), (20, 8), (20, 36, 1)])
def test_coefficients_fit_the_posterior(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"coefficients has shape .*; it must be \(n, 36\) for neutral, "):
        discover(posterior_of(), np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coefficients_are_finite(value: float) -> None:
    coefficients = planted()[1].copy()
    coefficients[7, 3] = value
    with pytest.raises(ArgumentError, match="coefficients has NaN or infinity in row 7"):
        discover(posterior_of(), coefficients)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 200),
    spread=st.sampled_from([0.0, 1.0, 5.0, 50.0, 1e4]),
    least=st.integers(1, 20),
)
def test_whatever_the_evidence_the_answer_is_sound(seed: int, n: int, spread: float, least: int) -> None:
    coefficients = np.random.default_rng(seed).normal(0, spread, (n, 36)).astype(np.float32)
    found = discover(posterior_of(), coefficients, least=least)
    rows = np.concatenate([np.zeros(0, np.int64), *[one.rows for one in found.found]])
    assert len(set(rows.tolist())) == len(rows)  # a face belongs to one mixture
    assert set(rows.tolist()) <= set(range(n))
    assert [one.count for one in found.found] == sorted((one.count for one in found.found), reverse=True)
    assert bool(found.reason) != bool(found.found)
    assert 0 <= found.unexplained <= 1
    assert not set(found.left_out) & set(names(found))
    for one in found.found:
        assert one.count >= least
        assert 0 < one.strength <= 1
        assert 0 < one.share <= 1
        assert one.point[BASIC.index("neutral")] == 0
    assert len(found.vocabulary()) == len(found.found)
