"""A person's own neutral face, taken off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.baseline import LEAST, SHARE, Baseline, logs_of
from pyfer.errors import ArgumentError

Rows = NDArray[np.float32]


def rows(seed: int, n: int = 5, c: int = 7) -> Rows:
    """Return probabilities (n, c), none below `LEAST`."""
    p = np.random.default_rng(seed).dirichlet(np.ones(c), n) + 2 * LEAST
    return np.asarray(p / p.sum(axis=1, keepdims=True), np.float32)


def odds(p: Rows) -> Rows:
    """Return the log-odds of each label against the first."""
    return np.log(p / p[:, :1])


def test_the_resting_face_itself_says_nothing_at_a_share_of_one() -> None:
    rest = rows(0)
    np.testing.assert_allclose(Baseline(logs_of(rest), 1.0)(rest), 1 / 7, atol=1e-6)


def test_a_share_of_nought_changes_nothing() -> None:
    p = rows(1)
    np.testing.assert_allclose(Baseline(logs_of(rows(0)), 0.0)(p), p, atol=1e-6)


def test_a_row_of_zeros_takes_nothing_off() -> None:
    """So a person without a neutral face stands beside persons who have one."""
    p, logs = rows(1), logs_of(rows(0))
    logs[2] = 0
    found = Baseline(logs)(p)
    np.testing.assert_allclose(found[2], p[2], atol=1e-6)
    assert np.abs(found[3] - p[3]).max() > 0.01


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_odds_are_divided_by_a_power_of_the_odds_at_rest(seed: int, share: float) -> None:
    """``p / p0 ** share``, up to what makes the sum 1."""
    p, rest = rows(seed), rows(seed + 1)
    found = Baseline(logs_of(rest), share)(p)
    assert found.shape == p.shape
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(odds(found), odds(p) - share * odds(rest), atol=1e-3)


@given(st.integers(0, 10_000), st.floats(-5, 5), st.permutations(range(7)))
def test_what_does_not_count(seed: int, added: float, order: list[int]) -> None:
    """The size of the neutral face's probabilities (a mean of logarithms has no sum), the labels' order."""
    p, logs = rows(seed), logs_of(rows(seed + 1))
    expected = Baseline(logs)(p)
    np.testing.assert_allclose(Baseline(logs + np.float32(added))(p), expected, atol=1e-5)
    np.testing.assert_allclose(Baseline(logs[:, order])(p[:, order]), expected[:, order], atol=1e-5)


def test_a_face_that_looks_angry_at_rest_is_not_angry() -> None:
    rest = np.array([[0.3, 0.1, 0.6]], np.float32)  # neutral, happiness, anger
    baseline = Baseline(logs_of(rest))
    assert baseline.share == SHARE
    assert baseline(rest).argmax() == 2  # of most of it: 0.7
    assert baseline(np.array([[0.5, 0.1, 0.4]], np.float32)).argmax() == 0
    smile = np.array([[0.2, 0.35, 0.45]], np.float32)
    assert smile.argmax() == 2
    assert baseline(smile).argmax() == 1


def test_nought_is_no_certainty() -> None:
    """Neither a label that the resting face excludes nor one that the face excludes becomes all or NaN."""
    rest = np.array([[1.0, 0.0, 0.0]], np.float32)
    logs = logs_of(rest)
    np.testing.assert_allclose(logs, np.log([[1, LEAST, LEAST]]), rtol=1e-6)
    found = Baseline(logs, 1.0)(np.array([[0.9, 0.1, 0.0]], np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], np.array([0.9, 1000, 1]) / 1001.9, rtol=1e-4)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_of_its_range(share: float) -> None:
    with pytest.raises(ArgumentError, match=r"share=.* must lie in 0..1"):
        Baseline(logs_of(rows(0)), share)


def test_nothing_is_no_error() -> None:
    assert Baseline(np.zeros((0, 7), np.float32))(np.zeros((0, 7), np.float32)).shape == (0, 7)
