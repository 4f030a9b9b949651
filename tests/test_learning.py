"""Emotions from examples: what moves a point, how far, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.emotions import BASIC, Point, parse_formula
from pyfer.errors import ArgumentError
from pyfer.evidence import Evidence, composition, of_any_model, size
from pyfer.learning import lattice, learned_point

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
Floats = NDArray[np.float32]
seeds = st.integers(0, 100_000)


def made(labels: tuple[str, ...] = BASIC, seed: int = 0) -> Evidence:
    """Evidence that reads nothing but has base rates."""
    b, m = len(labels), size(len(labels))
    base = np.random.default_rng(seed).normal(size=m).astype(np.float32)
    weight, bias, reference = (np.zeros(shape, np.float32) for shape in ((b, m), (m,), (0, m)))
    return Evidence(labels, "probabilities", weight, bias, base, reference)


def point(formula: str) -> Point:
    return parse_formula(formula)[0]


def faces_of(evidence: Evidence, formula: str, n: int, scale: float = 3, seed: int = 0) -> Floats:
    """Return evidence of n faces that show a mixture: what its composition says, base rate and noise."""
    columns = [BASIC.index(name) for name in evidence.labels]
    signal = scale * composition(np.array(point(formula))[None, columns])
    noise = np.random.default_rng(seed).normal(size=(n, len(evidence.base)))
    return np.asarray(evidence.base + signal + 0.3 * noise, np.float32)


def share(weights: Point, name: str) -> float:
    return weights[BASIC.index(name)]


# --- the lattice ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [2, 3, 7, 8])
def test_the_lattice_covers_corners_edges_and_triples(b: int) -> None:
    points = lattice(b)
    assert len(points) == b + 5 * b * (b - 1) // 2 + b * (b - 1) * (b - 2) // 6
    assert len(np.unique(points, axis=0)) == len(points)
    assert (points >= 0).all()
    np.testing.assert_allclose(points.sum(1), 1, atol=1e-8)
    rows = {tuple(row) for row in points.tolist()}
    assert {tuple(row) for row in np.eye(b).tolist()} <= rows


def test_around_a_definition_the_lattice_is_finer() -> None:
    center = np.array(point("fear + 2 surprise"))
    points = lattice(8, center)
    apart = np.abs(points - center).sum(1)
    assert apart.min() < 1e-8
    assert ((apart > 1e-8) & (apart < 0.25)).sum() >= 8
    assert len(points) > len(lattice(8)) + 20


# --- what is learned --------------------------------------------------------------------------------------


@QUICK
@given(seeds, st.integers(1, 6), st.booleans(), st.floats(0.01, 1))
def test_what_is_learned_is_a_point(seed: int, n: int, defined: bool, spread: float) -> None:
    rng = np.random.default_rng(seed)
    definition = tuple(rng.dirichlet(np.full(8, 0.4)).tolist()) if defined else None
    coefficients = rng.normal(scale=rng.choice([0.1, 3, 100]), size=(n, 36)).astype(np.float32)
    found = learned_point(made(), coefficients, definition, spread=spread)
    assert len(found) == 8
    assert all(type(weight) is float and weight >= 0 for weight in found)
    assert sum(found) == pytest.approx(1, abs=1e-9)


@QUICK
@given(st.lists(st.floats(0, 1), min_size=8, max_size=8).filter(lambda w: sum(w) > 0.1), st.integers(1, 5))
def test_faces_that_say_nothing_leave_a_definition_where_it_is(weights: list[float], n: int) -> None:
    definition = tuple(w / sum(weights) for w in weights)
    evidence = made()
    found = learned_point(evidence, np.tile(evidence.base, (n, 1)), definition)
    np.testing.assert_allclose(found, definition, atol=1e-9)


def test_without_a_definition_faces_that_say_nothing_prefer_no_emotion() -> None:
    evidence = made()
    np.testing.assert_allclose(learned_point(evidence, evidence.base[None]), 1 / 8, atol=1e-9)


@pytest.mark.parametrize("formula", ["fear", "anger + disgust", "happiness + sadness", "contempt + neutral"])
def test_without_a_definition_examples_show_their_own_mixture(formula: str) -> None:
    evidence = made()
    found = learned_point(evidence, faces_of(evidence, formula, 8))
    np.testing.assert_allclose(found, point(formula), atol=0.1)


@pytest.mark.parametrize("definition", ["fear + surprise", "sadness", "happiness + anger + contempt"])
@pytest.mark.parametrize("shown", ["anger + disgust", "happiness", "neutral + sadness"])
def test_many_examples_win_over_a_definition(definition: str, shown: str) -> None:
    evidence = made()
    found = learned_point(evidence, faces_of(evidence, shown, 2000), point(definition))
    np.testing.assert_allclose(found, point(shown), atol=0.1)


def test_each_example_moves_a_definition_further() -> None:
    evidence = made()
    faces = faces_of(evidence, "happiness", 12)
    definition = point("happiness + surprise")
    found = [
        share(learned_point(evidence, faces[:k], definition, spread=0.1), "happiness") for k in (1, 3, 6, 12)
    ]
    assert 0.5 < found[0] < 0.56
    assert found == sorted(found)
    assert found[-1] > 0.62


def test_a_definition_that_is_trusted_more_moves_less() -> None:
    evidence = made()
    faces, definition = faces_of(evidence, "happiness", 4), point("happiness + surprise")
    near, far = (
        share(learned_point(evidence, faces, definition, spread=spread), "happiness")
        for spread in (0.05, 0.5)
    )
    assert 0.5 <= near < far - 0.1


def test_examples_of_the_definition_itself_confirm_it() -> None:
    evidence = made()
    definition = point("fear + surprise")
    found = learned_point(evidence, faces_of(evidence, "fear + surprise", 5), definition)
    np.testing.assert_allclose(found, definition, atol=0.05)


def test_how_often_an_emotion_is_the_answer_does_not_count() -> None:
    """Frequent emotions would draw all that is learned to them."""
    evidence = made()
    other = replace(evidence, base=evidence.base + 5 * np.eye(36, dtype=np.float32)[6])
    faces = faces_of(evidence, "fear + surprise", 3)
    again = faces + other.base - evidence.base
    for definition in (None, point("fear")):
        expected = learned_point(evidence, faces, definition, spread=0.2)
        np.testing.assert_allclose(learned_point(other, again, definition, spread=0.2), expected, atol=1e-5)
        wrong = learned_point(other, faces, definition, spread=0.2)
        assert np.abs(np.subtract(wrong, expected)).max() > 0.01


# --- what must not matter ---------------------------------------------------------------------------------


@QUICK
@given(seeds, st.booleans())
def test_learning_again_in_any_order_is_the_same_to_the_last_bit(seed: int, defined: bool) -> None:
    """As after forgetting an emotion and giving the same pictures again."""
    rng = np.random.default_rng(seed)
    faces = (rng.normal(size=(9, 36)) * 10 ** rng.uniform(-9, 0.5, (9, 1))).astype(np.float32)
    definition = point("sadness > fear") if defined else None
    first = learned_point(made(), faces, definition, spread=0.2)
    assert learned_point(made(), faces.copy(), definition, spread=0.2) == first
    assert learned_point(made(), faces[rng.permutation(9)], definition, spread=0.2) == first


@QUICK
@given(seeds)
def test_the_order_of_the_models_labels_does_not_matter(seed: int) -> None:
    whole = made()
    order = tuple(BASIC[k] for k in np.random.default_rng(seed).permutation(8))
    other = whole.restricted(order)
    faces = np.random.default_rng(seed).normal(scale=2, size=(3, 36)).astype(np.float32)
    turned = replace(whole, reference=faces).restricted(order).reference
    definition = point("fear + 2 surprise")
    for each in (None, definition):
        np.testing.assert_allclose(
            learned_point(other, turned, each), learned_point(whole, faces, each), atol=1e-6
        )


def test_arguments_are_not_changed() -> None:
    evidence, faces = made(), faces_of(made(), "fear", 3)
    before = faces.copy()
    faces.flags.writeable = False
    learned_point(evidence, faces, point("anger"))
    np.testing.assert_array_equal(faces, before)


# --- models with fewer emotions, and errors ---------------------------------------------------------------


def test_a_model_without_contempt_learns_what_it_can_tell() -> None:
    evidence = made(BASIC[:7])
    found = learned_point(evidence, faces_of(evidence, "fear + surprise", 5), point("fear + surprise"))
    assert len(found) == 8
    assert share(found, "contempt") == 0
    with pytest.raises(ArgumentError, match="needs an emotion that the model cannot tell"):
        learned_point(evidence, faces_of(evidence, "fear", 5), point("disgust + contempt"))


@pytest.mark.parametrize("definition", [None, point("fear")])
def test_no_example_is_an_error(definition: Point | None) -> None:
    with pytest.raises(ArgumentError, match="examples: there are none; one face or more"):
        learned_point(made(), np.zeros((0, 36), np.float32), definition)


def test_the_evidence_that_ships_learns_a_blend_from_probabilities() -> None:
    evidence = of_any_model()
    p = np.tile(np.array([0.04, 0.46, 0.46, 0.005, 0.01, 0.002, 0.02, 0.003], np.float32), (5, 1))
    p[:, 1:3] += np.array([[0.0], [0.1], [-0.1], [0.04], [-0.04]], np.float32) * np.array([1, -1])
    found = learned_point(evidence, evidence(p, None))
    assert share(found, "happiness") + share(found, "surprise") > 0.8
    assert min(share(found, "happiness"), share(found, "surprise")) > 0.25
