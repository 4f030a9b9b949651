"""Support vector machines on arrays: what scikit-learn says, who is held out, what calibration promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.training.settings import SvmSettings

pytest.importorskip("sklearn")

from pyfer.training import machine
from pyfer.training.machine import Fitted, Scaler, calibrate, fit

SMALL = SvmSettings(components=6, basis=30, c=(1.0,), folds=2, search=200)
LINEAR = replace(SMALL, kernel="linear", components=0)
Floats = NDArray[np.float32]


def one_hot(truth: NDArray[np.int64], classes: int = 3) -> Floats:
    return np.eye(classes, dtype=np.float32)[truth]


def clouds(n: int = 90, seed: int = 0, noise: float = 0.7) -> tuple[Floats, NDArray[np.int64]]:
    """Return (n, 12) features of three classes in two blocks of 8 and 4, and the classes."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    centres = np.random.default_rng(9).normal(size=(3, 12))
    return (centres[truth] + noise * rng.normal(size=(n, 12))).astype(np.float32), truth


BLOCKS = {"a": slice(0, 8), "b": slice(8, 12)}


def fitted(chosen: SvmSettings = SMALL, **options: Any) -> Fitted:
    x, truth = clouds()
    return fit(x, {"answer": one_hot(truth)}, chosen, blocks=BLOCKS, **options)


# --- what scikit-learn says -------------------------------------------------------------------------------


def test_a_linear_machine_is_scikit_learns_on_scaled_features() -> None:
    from sklearn.svm import LinearSVC

    x, truth = clouds()
    found = fitted(LINEAR).machine
    z = x.astype(np.float64) - x.mean(axis=0)
    for columns in BLOCKS.values():
        z[:, columns] /= np.sqrt(2 * (z[:, columns] ** 2).sum(axis=1).mean())
    new, _ = clouds(20, seed=5)
    asked = found.scaler(new).astype(np.float64)
    np.testing.assert_allclose(found.scaler(x), z, atol=1e-5)
    for k in range(3):
        other = LinearSVC(C=1.0, dual=False, intercept_scaling=10.0, tol=1e-5).fit(z, truth == k)
        margins = found.margins(new)["answer"][:, k]
        np.testing.assert_allclose(margins, other.decision_function(asked), atol=2e-2)


def test_with_all_faces_as_basis_the_kernel_is_exact() -> None:
    """Then it is the machine of a precomputed kernel: K alpha + b for some alpha."""
    x, _ = clouds()
    found = fitted(replace(SMALL, basis=90)).machine
    z = found.scaler(x)
    far = ((z[:, None].astype(float) - z[None]) ** 2).sum(axis=2)
    assert far[~np.eye(90, dtype=bool)].mean() == pytest.approx(2 * 90 / 89, rel=2e-2)  # as the settings say
    inner = found.kernel(z)
    np.testing.assert_allclose(inner @ inner.T, np.exp(-far), atol=3e-3)
    basis = found.kernel.basis
    kernel = np.exp(-((z[:, None].astype(float) - basis[None]) ** 2).sum(axis=2))
    margins = kernel @ found.folded()["answer"] + found.bias["answer"]
    np.testing.assert_allclose(found.margins(x)["answer"], margins, atol=2e-3)
    assert (margins.argmax(axis=1) == clouds()[1]).mean() > 0.95


def test_many_faces_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    found, x = fitted().machine, clouds()[0]
    whole = found.margins(x)["answer"]
    monkeypatch.setattr(machine, "_CHUNK", 7)
    np.testing.assert_allclose(found.margins(x)["answer"], whole, atol=1e-5)


def test_the_same_seed_gives_the_same_machine() -> None:
    one, two, other = fitted(seed=1), fitted(seed=1), fitted(seed=2)
    assert np.array_equal(one.machine.weights["answer"], two.machine.weights["answer"])
    assert np.array_equal(one.unseen["answer"][0], two.unseen["answer"][0])
    assert not np.array_equal(one.machine.weights["answer"], other.machine.weights["answer"])


# --- scaling ----------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(-3, 3), st.sampled_from(["rbf", "linear"]))
def test_the_units_of_a_feature_do_not_matter(a: float, b: float, offset: float, kernel: str) -> None:
    x, truth = clouds(60)
    chosen = replace(SMALL, kernel=kernel)
    other = x.astype(np.float64)
    other[:, :8] = 10**a * (other[:, :8] + offset)
    other[:, 8:] *= 10**b
    margins = [
        fit(each, {"answer": one_hot(truth)}, chosen, blocks=BLOCKS).machine.margins(each)["answer"]
        for each in (x, other.astype(np.float32))
    ]
    np.testing.assert_allclose(margins[0], margins[1], atol=0.03)


@pytest.mark.parametrize("whiten", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("components", [0, 3, 400])
def test_blocks_weigh_alike(components: int, whiten: float) -> None:
    x, _ = clouds()
    scaler = Scaler.fit(x, BLOCKS, replace(SMALL, components=components, whiten=whiten))
    z = scaler(x)
    width = min(components or 12, 8), min(components or 12, 4)
    assert z.shape == (90, sum(width)) == (90, scaler.width)
    for part in np.split(z, [width[0]], axis=1):
        assert (part**2).sum(axis=1).mean() == pytest.approx(0.5, rel=1e-3)
        if components and whiten == 1:  # also where all components are kept
            np.testing.assert_allclose(part.std(axis=0), part.std(), rtol=2e-2)


def test_a_block_that_is_always_the_same_says_nothing() -> None:
    """Rounding errors must not be blown up to the size of the others."""
    x, truth = clouds()
    for constant in (0.0, 1 / 3, 1e4):
        rounding = 1 + 1e-7 * np.random.default_rng(1).normal(size=(90, 5))
        dull = np.concatenate([x, constant * rounding], axis=1).astype(np.float32)
        found = fit(dull, {"answer": one_hot(truth)}, SMALL, blocks={**BLOCKS, "dull": slice(12, 17)})
        z = found.machine.scaler(dull)
        assert np.abs(z[:, 10:]).max() == 0
        assert np.abs(z[:, :10]).max() > 0.1


def test_fewer_faces_than_components_do_not_make_noise_loud() -> None:
    x, _ = clouds(8)
    scaler = Scaler.fit(x, {"all": slice(None)}, SvmSettings(whiten=1.0))
    assert np.abs(scaler(clouds(50, seed=3)[0])).max() < 200  # the eighth component is rounding alone
    assert np.isfinite(scaler(x)).all()


def test_wide_blocks_that_are_kept_need_no_matrix() -> None:
    scaler = Scaler.fit(np.ones((4, 50_000), np.float32), {"wide": slice(0, 50_000)}, LINEAR)
    assert scaler.axes[0][1].shape == ()


# --- folds ------------------------------------------------------------------------------------------------


def test_nobody_is_in_two_folds() -> None:
    """Who is shown is plain to see, and each person has one label for no reason: a leak would show."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 6)
    x = (3 * rng.normal(size=(30, 20))[person] + 0.1 * rng.normal(size=(180, 20))).astype(np.float32)
    targets = {"answer": one_hot(rng.permutation(30)[person] % 3)}
    chosen = replace(SMALL, components=0, basis=180)
    names = np.array([f"p{k}" for k in person])
    grouped = fit(x, targets, chosen, subjects=names)
    assert grouped.search[0][2] < 0.6
    assert fit(x, targets, chosen).search[0][2] > 0.95  # the trap works
    margins, truth = grouped.unseen["answer"]
    assert (margins.argmax(axis=1) == truth.argmax(axis=1)).mean() == pytest.approx(grouped.search[0][2])


def test_candidates_are_chosen_by_faces_of_other_folds() -> None:
    ticks: list[tuple[int, int]] = []
    chosen = replace(SMALL, gamma=(1.0, 300.0), c=(1.0, 1e-5))
    found = fitted(chosen, on_done=lambda done, total: ticks.append((done, total)))
    assert [pair[:2] for pair in found.search] == [(1.0, 1.0), (1.0, 1e-5), (300.0, 1.0), (300.0, 1e-5)]
    best = max(found.search, key=lambda each: each[2])
    assert (found.gamma, found.c) == best[:2]
    assert found.search[2][2] < found.search[0][2]  # with gamma 300 nobody is like anybody
    assert ticks == [(k + 1, 14) for k in range(14)]
    assert len(fitted(replace(chosen, kernel="linear")).search) == 2  # it has no gamma


def test_a_class_may_lack_in_a_fold() -> None:
    """All its faces are of one person: who learns without that person never answers it."""
    x, truth = clouds()
    names = np.where(truth == 2, "only", [f"p{k % 7}" for k in range(90)])
    found = fit(x, {"answer": one_hot(truth)}, SMALL, subjects=names)
    assert (found.unseen["answer"][0][truth == 2, 2] == -1).all()
    assert found.machine.margins(x)["answer"][truth == 2, 2].mean() > 0


# --- labels -----------------------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None, derandomize=True)
@given(arrays(np.int8, (40, 3), elements=st.integers(0, 2)), st.floats(0, 1))
def test_a_share_counts_as_so_many_faces(counts: NDArray[np.int8], balance: float) -> None:
    """Four faces in four rows are one row with quarters, and a fourth of the loss each."""
    counts = counts.astype(np.int64)
    counts[:, 0] += 4 - np.minimum(counts.sum(axis=1), 4)
    counts[counts.sum(axis=1) > 4] = (4, 0, 0)
    counts[:3] = 4 * np.eye(3)
    z = np.random.default_rng(1).normal(size=(40, 5))
    chosen = replace(SMALL, balance=balance)
    soft = machine._planes(z, (counts / 4).astype(np.float32), 1.0, chosen)
    rows, classes = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    hard = machine._planes(z[rows], one_hot(classes), 0.25, chosen)
    for one, other in zip(soft, hard, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-2)


def test_heads_may_be_known_of_different_faces() -> None:
    """Two data sets, each with labels of its own: no face has both."""
    x, truth = clouds(180)
    first, second = one_hot(truth), one_hot((truth + 1) % 3)
    first[::2], second[1::2] = 0, 0
    found = fit(x, {"first": first, "second": second}, SMALL)
    margins = found.machine.margins(x)
    assert (margins["first"].argmax(axis=1) == truth).mean() > 0.9
    assert (margins["second"].argmax(axis=1) == (truth + 1) % 3).mean() > 0.9
    for _, target in found.unseen.values():
        assert 60 < target.any(axis=1).sum() <= 90
    alone = fit(x[1::2], {"first": first[1::2]}, SMALL)
    assert (alone.machine.margins(x)["first"].argmax(axis=1) == truth).mean() > 0.9


def test_balance_speaks_for_the_rare() -> None:
    x, truth = clouds(300, noise=3.0)
    keep = (truth != 2) | (np.arange(300) % 8 == 2)
    x, truth = x[keep], truth[keep]
    answers = [
        fit(x, {"answer": one_hot(truth)}, replace(LINEAR, balance=balance)).machine.margins(x)["answer"]
        for balance in (0.0, 1.0)
    ]
    share = [(each.argmax(axis=1) == 2).mean() for each in answers]
    assert share[1] > 2 * share[0]


@pytest.mark.parametrize(
    ("truth", "classes", "message"),
    [
        (np.zeros(40, int), 3, r"faces of each; none of \[1, 2\]"),
        (np.zeros(40, int), 1, "must have two or more classes"),
        (np.arange(40) % 2, 3, r"none of \[2\]"),
    ],
)
def test_classes_without_a_face_are_named(truth: NDArray[np.int64], classes: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        fit(clouds(40)[0], {"answer": one_hot(truth, classes)}, SMALL)


def test_fewer_persons_than_folds_are_refused() -> None:
    x, truth = clouds(30)
    with pytest.raises(ArgumentError, match=r"1 persons, .* cannot fill 2 parts"):
        fit(x, {"answer": one_hot(truth)}, SMALL, subjects=np.full(30, "me"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c": ()}, r"svm.c=\(\) must be one or more numbers of 1e-6..1e6"),
        ({"c": (1.0, float("nan"))}, "svm.c=.* must be"),
        ({"gamma": (float("inf"),)}, "svm.gamma=.* must be"),
        ({"gamma": (0.0, 1.0)}, "svm.gamma="),
        ({"kernel": "poly"}, "svm.kernel='poly' must be 'rbf' or 'linear'"),
        ({"folds": 1}, "svm.folds=1"),
        ({"whiten": 2.0}, "svm.whiten=2.0"),
        ({"components": -1}, "svm.components=-1"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        SvmSettings(**options)


# --- probabilities ----------------------------------------------------------------------------------------


def loss(margins: Floats, targets: Floats, temperature: float, bias: NDArray[np.floating]) -> float:
    z = margins.astype(np.float64) / temperature + bias
    z -= z.max(axis=1, keepdims=True)
    return float(-(targets * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))).sum(axis=1).mean())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(2, 8), st.floats(-1.5, 1.5), st.floats(0, 4), st.booleans())
def test_calibration_is_the_best_there_is(seed: int, c: int, size: float, skill: float, soft: bool) -> None:
    """The mean probability of a class is its share, and no other temperature or bias fits better."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 200))
    truth = rng.choice(c, n, p=rng.dirichlet(np.full(c, 0.5)))
    targets = rng.dirichlet(np.ones(c), n).astype(np.float32) if soft else one_hot(truth, c)
    targets[::7] = 0
    margins = (10**size * (rng.normal(size=(n, c)) + skill * targets + rng.normal(size=c))).astype(np.float32)
    found = calibrate(margins, targets)
    p = found(margins)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    known = targets.any(axis=1)
    np.testing.assert_allclose(p[known].mean(axis=0), found.prior, atol=2e-4)
    np.testing.assert_allclose(found.prior, np.maximum(targets[known].mean(axis=0), 1e-4), rtol=1e-2)
    assert found.bias.mean() == pytest.approx(0, abs=1e-4)
    if (targets[known].sum(axis=0) > 0).all():
        least = loss(margins[known], targets[known], found.temperature, found.bias)
        for k in range(c + 1):
            for step in (-0.05, 0.05):
                bias, temperature = found.bias.astype(float), found.temperature
                if k == c:
                    temperature = float(np.clip(temperature * np.exp(step), np.exp(-3), np.exp(3)))
                else:
                    bias[k] += step
                assert loss(margins[known], targets[known], temperature, bias) >= least - 1e-5


def test_calibration_finds_what_was_done_to_the_margins() -> None:
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(40_000, 4))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    bias = np.array([1.0, -0.5, 0.0, -0.5])
    found = calibrate((3 * (z - bias)).astype(np.float32), p.astype(np.float32))
    assert found.temperature == pytest.approx(3, rel=1e-3)
    np.testing.assert_allclose(found.bias, bias, atol=1e-3)


def test_calibration_needs_a_label() -> None:
    with pytest.raises(ArgumentError, match="must have a label for one face or more"):
        calibrate(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32))
