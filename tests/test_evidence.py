"""Evidence: compositions and the grid, the linear reading of a network, and its file."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer import evidence as module
from pyfer.blends import ELEVEN
from pyfer.emotions import BASIC
from pyfer.errors import ModelError
from pyfer.evidence import (
    EDGE_PRIOR,
    NOISE,
    Evidence,
    composition,
    features,
    grid,
    load,
    of_any_model,
    save,
    size,
    votes_posterior,
)

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
some_basics = st.permutations(BASIC).flatmap(lambda names: st.integers(2, 8).map(lambda k: tuple(names[:k])))


def made(kind: str = "probabilities", labels: tuple[str, ...] = BASIC, *, seed: int = 0) -> Evidence:
    """Evidence of random numbers; for an embedding of 5."""
    rng = np.random.default_rng(seed)
    m = size(len(labels))

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(size=shape).astype(np.float32)

    rows = len(labels) if kind == "probabilities" else 5
    return Evidence(labels, kind, normal(rows, m), normal(m), normal(m), normal(7, m))


def shares(n: int, b: int = 8, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).dirichlet(np.ones(b), n).astype(np.float32)


# --- compositions and the grid ----------------------------------------------------------------------------


@QUICK
@given(st.integers(2, 8), st.integers(0, 10_000))
def test_a_composition_is_the_weights_and_then_the_pairs(b: int, seed: int) -> None:
    points = np.random.default_rng(seed).dirichlet(np.ones(b), 3)
    found = composition(points)
    assert found.shape == (3, size(b))
    for w, row in zip(points, found, strict=True):
        expected = [*w, *(4 * w[i] * w[j] for i, j in combinations(range(b), 2))]
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_corners_have_no_pairs_and_an_even_pair_has_one_whole() -> None:
    corners = composition(np.eye(8))
    np.testing.assert_array_equal(corners[:, :8], np.eye(8))
    assert not corners[:, 8:].any()
    even = composition((np.eye(8)[2] + np.eye(8)[6])[None] / 2)[0]
    assert even[8:].tolist() == [float(pair == (2, 6)) for pair in combinations(range(8), 2)]


def test_the_composition_of_no_points_and_of_float32_ones() -> None:
    assert composition(np.zeros((0, 8))).shape == (0, 36)
    assert composition(np.eye(3, dtype=np.float32)).dtype == np.float64


@pytest.mark.parametrize("b", [2, 3, 7, 8])
def test_the_grid_is_corners_and_three_points_on_each_edge(b: int) -> None:
    points, prior = grid(b)
    assert points.shape == (b + 3 * b * (b - 1) // 2, b)
    assert prior.shape == (len(points),)
    np.testing.assert_allclose(points.sum(1), 1)
    np.testing.assert_allclose(prior.sum(), 1)
    np.testing.assert_array_equal(points[:b], np.eye(b))
    assert len(np.unique(points, axis=0)) == len(points)
    assert ((points[b:] > 0).sum(1) == 2).all()
    assert set(points[b:][points[b:] > 0].round(6)) == {0.3, 0.5, 0.7}
    np.testing.assert_allclose(prior[b:] / prior[0], EDGE_PRIOR)


def test_the_grid_is_one_for_all_and_cannot_be_changed() -> None:
    assert grid(8)[0] is grid(8)[0]
    for column in grid(8):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0


# --- votes -----------------------------------------------------------------------------------------------


def test_votes_say_where_on_the_grid_a_face_lies() -> None:
    votes = np.zeros((4, 8), np.float32)
    votes[0, 3] = votes[1, [2, 6]] = votes[2, 2] = 5
    votes[2, 6] = 2
    p = votes_posterior(votes)
    np.testing.assert_allclose(p.sum(1), 1)
    points, prior = grid(8)
    assert points[p[0].argmax()].tolist() == np.eye(8)[3].tolist()
    np.testing.assert_allclose(points[p[1].argmax()][[2, 6]], 0.5)
    np.testing.assert_allclose(points[p[2].argmax()][[2, 6]], [0.7, 0.3])
    np.testing.assert_allclose(p[3], prior)  # no votes: what was known before
    noisy = (1 - NOISE) * points + NOISE / 8
    by_hand = prior * np.prod(noisy ** votes[1], axis=1)
    np.testing.assert_allclose(p[1], by_hand / by_hand.sum(), rtol=1e-6)


# --- reading ----------------------------------------------------------------------------------------------


def test_evidence_is_linear_in_the_logarithms_of_probabilities() -> None:
    mine, p = made(), np.maximum(shares(4), 0.001)
    expected = np.log(p.astype(np.float64)) @ mine.weight + mine.bias
    found = mine(p, None)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_evidence_is_linear_in_the_roots_of_the_embedding() -> None:
    mine = made("embedding")
    embedding = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    expected = np.sqrt(np.maximum(embedding, 0)) @ mine.weight + mine.bias
    np.testing.assert_allclose(mine(shares(4), embedding), expected, rtol=1e-5, atol=1e-5)


def test_no_probability_is_too_small_to_read() -> None:
    sure = np.eye(8, dtype=np.float32)
    assert np.isfinite(features("probabilities", sure, None)).all()
    less = np.where(sure > 0, 1, 1e-6).astype(np.float32)
    np.testing.assert_array_equal(
        features("probabilities", sure, None), features("probabilities", less, None)
    )


def test_no_faces_have_no_evidence() -> None:
    assert made()(np.zeros((0, 8), np.float32), None).shape == (0, 36)


def test_an_embedding_that_is_missing_or_another_models_is_refused() -> None:
    with pytest.raises(ModelError, match="reads the embedding, but the model gives none"):
        made("embedding")(shares(2), None)
    with pytest.raises(ModelError, match="reads 5 values of the embedding, the model gives 6"):
        made("embedding")(shares(2), np.zeros((2, 6), np.float32))
    with pytest.raises(ModelError, match="reads 8 values of the probabilities, the model gives 7"):
        made()(shares(2, 7), None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "logits"}, "kind='logits' must be one of embedding, probabilities"),
        ({"weight": np.zeros((5, 36), np.float32)}, r"weight of float32\(5, 36\) must be .* \(8, 36\)"),
        ({"weight": np.zeros((8, 28), np.float32)}, r"weight of float32\(8, 28\)"),
        ({"weight": np.float32(1)}, r"weight of float32\(\)"),
        ({"bias": np.zeros(35, np.float32)}, r"bias of float32\(35,\) must be finite float32 \(36,\)"),
        ({"base": np.zeros(36)}, r"base of float64\(36,\)"),
        ({"base": np.full(36, np.nan, np.float32)}, r"base of float32\(36,\) must be finite"),
        ({"reference": np.zeros(36, np.float32)}, r"reference of float32\(36,\)"),
        ({"reference": np.full((2, 36), np.inf, np.float32)}, "reference of .* must be finite"),
        ({"labels": BASIC[:7]}, r"weight of float32\(8, 36\) must be finite float32 \(7, 28\)"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(made(), **changes)


# --- some of the emotions ---------------------------------------------------------------------------------


@QUICK
@given(some_basics, st.sampled_from(["embedding", "probabilities"]), st.integers(0, 10_000))
def test_restricted_scores_mixtures_of_the_kept_ones_as_before(
    labels: tuple[str, ...], kind: str, seed: int
) -> None:
    """By brute force: the score of every mixture without the dropped emotions, in the full evidence."""
    whole = made(kind, seed=seed)
    part = whole.restricted(labels)
    assert part.labels == labels
    rng = np.random.default_rng(seed)
    inside = rng.dirichlet(np.ones(len(labels)), 6)
    columns = [BASIC.index(name) for name in labels]
    points = np.zeros((6, 8))
    points[:, columns] = inside
    for column in ("bias", "base", "reference"):
        np.testing.assert_allclose(
            composition(inside) @ getattr(part, column).T,
            composition(points) @ getattr(whole, column).T,
            atol=1e-5,
        )
    p, embedding = np.ones((3, 8), np.float32), rng.random((3, 5)).astype(np.float32)
    p[:, columns] = shares(3, len(labels), seed)  # the logarithm of 1 is 0: the others say nothing
    np.testing.assert_allclose(
        part(p[:, columns], embedding) @ composition(inside).T,
        whole(p, embedding) @ composition(points).T,
        atol=1e-3,
    )


def test_restricted_to_all_is_the_same_object() -> None:
    mine = made()
    assert mine.restricted(BASIC) is mine


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["embedding", "probabilities"])
def test_a_file_holds_all_of_it(tmp_path: Path, kind: str) -> None:
    mine = made(kind, ("fear", "neutral", "anger"))
    save(mine, tmp_path / "e.npz")
    again = load(tmp_path / "e.npz")
    assert (again.labels, again.kind) == (mine.labels, mine.kind)
    for column in ("weight", "bias", "base"):
        np.testing.assert_array_equal(getattr(again, column), getattr(mine, column))
    np.testing.assert_allclose(again.reference, mine.reference, rtol=1e-3)  # kept with less digits
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


def test_the_same_evidence_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(made(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an evidence file in which some arrays differ, or (None) are missing."""

    def write(**changes: Any) -> Path:
        mine = made()
        arrays = {name: getattr(mine, name) for name in ("weight", "bias", "base", "reference")}
        arrays |= {"labels": np.array(BASIC), "kind": np.array("probabilities"), **changes}
        path = tmp_path / "evidence.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": None}, "weight is not a file in the archive"),
        ({"kind": None}, "kind is not a file in the archive"),
        ({"kind": np.array("logits")}, "kind='logits' must be one of"),
        ({"weight": np.zeros((8, 28))}, r"weight of float32\(8, 28\)"),
        ({"weight": np.array(3.0)}, r"weight of float32\(\)"),
        ({"bias": np.full(36, np.nan)}, "bias of .* must be finite"),
        ({"bias": np.full(36, 1e300)}, "bias of .* must be finite"),
        ({"bias": np.zeros(36, complex)}, "Cannot cast"),
        ({"bias": np.array(["1"] * 36)}, "Cannot cast"),
        ({"labels": np.array("fear")}, "iteration over a 0-d array"),
        ({"labels": np.array([*BASIC[:7], "boredom"])}, "must be different basic emotions"),
        ({"labels": np.array([*BASIC[:7], "fear"])}, "must be different basic emotions"),
        ({"labels": np.array(BASIC[:7])}, r"must be finite float32 \(7, 28\)"),
    ],
)
def test_a_file_of_wrong_arrays_is_refused_by_name(
    stored: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    path = stored(**changes)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_damaged_file_is_an_error_of_ours_or_has_what_was_written(tmp_path: Path) -> None:
    """Files that were cut off, or have other bytes in them, at 300 places."""
    path = tmp_path / "e.npz"
    mine = made("probabilities", BASIC[:3])
    save(mine, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for k in range(300):
        place = int(rng.integers(len(whole)))
        other = bytes(rng.integers(0, 256, 4, np.uint8))
        path.write_bytes(whole[:place] if k % 2 else whole[:place] + other + whole[place + 4 :])
        try:
            found = load(path)
        except ModelError:
            refused += 1
        else:
            np.testing.assert_array_equal(found.weight, mine.weight)
    assert refused > 200


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"<html>", None], ids=repr)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "e.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"e\.npz' is no evidence file, or is damaged"):
        load(path)


def test_an_array_alone_is_no_evidence_file(tmp_path: Path) -> None:
    with (tmp_path / "e.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(ModelError, match="is no evidence file"):
        load(tmp_path / "e.npz")


class Trap:
    """What runs a program when it is unpickled: it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path, stored: Callable[..., Path]) -> None:
    sprung = tmp_path / "sprung"
    plain = tmp_path / "plain.npz"
    plain.write_bytes(pickle.dumps(Trap(sprung)))
    for path in (plain, stored(bias=np.array([Trap(sprung)] * 36, object))):
        with pytest.raises(ModelError, match="is no evidence file"):
            load(path)
        assert not sprung.exists()
    pickle.loads(plain.read_bytes())
    assert sprung.exists()  # the trap works


# --- the file that ships ----------------------------------------------------------------------------------


def test_the_evidence_of_any_model_reads_probabilities_of_all_basic_emotions() -> None:
    mine = of_any_model()
    assert mine is of_any_model()
    assert (mine.labels, mine.kind) == (BASIC, "probabilities")
    assert len(mine.reference) >= 100
    sure = np.where(np.eye(8) > 0, 0.93, 0.01).astype(np.float32)
    score = mine(sure, None) @ composition(np.eye(8)).T
    assert score.argmax(1).tolist() == list(range(8))


def test_the_evidence_of_any_model_finds_both_of_two() -> None:
    """Halves of two emotions are read as a mixture of these two, for all pairs that faces often show."""
    points, prior = grid(8)
    p = np.full((len(ELEVEN), 8), 0.01, np.float32)
    for row, pair in zip(p, ELEVEN, strict=True):
        row[[BASIC.index(name) for name in pair]] = 0.47
    z = of_any_model()(p, None) @ composition(points[8:]).T + np.log(prior[8:])
    named = [{BASIC[k] for k in np.flatnonzero(w)} for w in points[8:][z.argmax(1)]]
    assert named == [set(pair) for pair in ELEVEN]


def test_the_name_of_the_file_is_that_of_the_shipped_one() -> None:
    assert module._ANY.name == module.FILE == "evidence.npz"
