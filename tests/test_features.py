"""Handmade features: what holds for every kind, what each measures, banks and their files, pictures."""

from __future__ import annotations

import json
import pickle
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.cartoon import cartoon_faces
from pyfer.crops import Crops, luma
from pyfer.errors import ArgumentError, MissingExtraError, ModelError
from pyfer.faces import TEMPLATE
from pyfer.features import (
    KINDS,
    Bank,
    Codebook,
    Color,
    Edges,
    Feature,
    Gabor,
    Hog,
    Landmarks,
    Lbp,
    Pixels,
    Sift,
    base,
    coding,
    feature,
    picture,
    register,
    sheet,
)

for library in ("skimage", "cv2", "sklearn"):
    pytest.importorskip(library)

QUICK = settings(max_examples=25, deadline=None, derandomize=True)
WORDS = Sift(coding="words", words=6, cells=2, step=8)
FISHER = Sift(coding="fisher", words=3, components=5, step=8, root=True)
PLAIN = [
    *(kind() for kind in KINDS.values()),
    Hog(size=32, cell=6, block=3, orientations=5),
    Lbp(radius=2, cells=5, root=True),
    Sift(size=40, patch=(8, 16), step=8, root=True),
    Gabor(size=33, wavelengths=(3, 6.5), orientations=4, cells=3),
    Edges(cells=5),
    Color(space="lab", bins=5, cells=2),
    Color(space="gray", cells=4),
]
"""Features that learn nothing: all kinds as they are, and with other options."""
each_plain = pytest.mark.parametrize("one", PLAIN, ids=lambda one: f"{one.kind}-{one.width}")
each_coded = pytest.mark.parametrize(
    "one", [WORDS, replace(WORDS, presence=True), FISHER], ids=lambda one: f"{one.coding}-{one.presence}"
)


@pytest.fixture(scope="module")
def faces() -> Crops:
    """Twelve drawn faces, colour, 48 x 48."""
    return cartoon_faces(np.eye(8)[np.arange(12) % 8], size=48)


@pytest.fixture(scope="module")
def bank(faces: Crops) -> Bank:
    """Both codings that learn, and one feature that does not."""
    return Bank.fit([WORDS, FISHER, "edges?cells=2"], faces)


def noise(n: int, size: int, seed: int = 0) -> Crops:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), np.uint8)


def slope(degrees: float, size: int = 48) -> Crops:
    """One crop that becomes brighter to one side; degrees against the clock, 0 is the right."""
    y, x = np.mgrid[:size, :size]
    height = np.cos(np.radians(degrees)) * x - np.sin(np.radians(degrees)) * y
    height -= height.min()
    return np.rint(200 * height / height.max()).astype(np.uint8)[None]


# --- what holds for every kind ----------------------------------------------------------------------------


@each_plain
def test_any_crops_give_finite_numbers(one: Feature) -> None:
    @QUICK
    @given(st.integers(16, 96), st.booleans(), st.sampled_from(["noise", "black", "white"]))
    def holds(size: int, colour: bool, what: str) -> None:
        crops = {"noise": noise(2, size), "black": np.zeros((2, size, size), np.uint8)}.get(
            what, np.full((2, size, size), 255, np.uint8)
        )
        if colour:
            crops = np.stack([crops, crops[::-1], crops], axis=-1)
        found = one(crops)
        assert found.shape == (2, one.width)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()

    holds()


@each_plain
def test_a_batch_is_its_crops(one: Feature, faces: Crops) -> None:
    found = one(faces[:5])
    assert np.abs(found[0] - found[1]).max() > 1e-3  # it sees something
    single = np.concatenate([one(faces[k : k + 1]) for k in range(5)])
    np.testing.assert_allclose(found, single, atol=1e-5)
    assert one(faces[:0]).shape == (0, one.width)


@each_plain
def test_colour_counts_for_color_alone(one: Feature, faces: Crops) -> None:
    same = np.allclose(one(faces), one(luma(faces)), atol=1e-6)
    assert same == (one.kind not in ("color", "landmarks") or getattr(one, "space", "") == "gray")


@each_plain
def test_mirror_makes_left_and_right_alike(one: Feature, faces: Crops) -> None:
    even = replace(one, mirror=True)
    other = np.ascontiguousarray(faces[:, :, ::-1])
    assert np.array_equal(even(faces), even(other))
    np.testing.assert_allclose(even(faces), (one(faces) + one(other)) / 2, atol=1e-6)
    assert even.width == one.width


@pytest.mark.parametrize("one", [Hog(), Sift(), Sift(root=True), Gabor(), Edges(), Lbp(), Pixels()])
def test_brightness_does_not_matter(one: Feature) -> None:
    dark = noise(3, 48) // 3 + 20
    found = one(dark)
    near = 4e-3 if one.kind == "sift" else 1e-4  # OpenCV rounds to 1/512
    np.testing.assert_allclose(one(dark + 90), found, atol=near)


@pytest.mark.parametrize("one", PLAIN[:8], ids=lambda one: one.kind)
def test_settings_come_back(one: Feature) -> None:
    """Also from JSON and TOML, where tuples are lists and some floats look like whole numbers."""
    tree = one.to_dict()
    assert tree["name"] == one.kind
    assert feature(tree) == feature(json.loads(json.dumps(tree))) == feature(one.kind) == one
    lines = (f"{key} = {json.dumps(value)}" for key, value in tree.items())
    assert feature(tomllib.loads("\n".join(lines))) == one


def test_a_line_of_options_is_read() -> None:
    assert feature("hog?cell=6&size=64&mirror=true") == Hog(cell=6, size=64, mirror=True)
    assert feature("sift?patch=[8,16]&coding=words") == Sift(patch=(8, 16), coding="words")
    assert feature({"name": "sift", "patch": 24}) == Sift(patch=(24.0,))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("hogg", r"feature='hogg' must be one of hog, lbp, .*; did you mean 'hog'\?"),
        ({"cell": 8}, "feature=None must be one of"),
        (
            "hog?cel=8",
            r"hog: option 'cel' is not known; did you mean 'cell'\? \(known: mirror, registered, size",
        ),
        ("hog?cell", r"feature='hog\?cell' must be NAME\?OPTION=VALUE"),
        ("hog?cell=1", "hog: cell=1 must be a whole number of 2..128"),
        ("hog?cell=8.5", "hog: cell=8.5 must be a whole number"),
        ("hog?cell=true", "hog: cell=True must be a whole number"),
        ("hog?cell=[8,9]", r"hog: cell=\[8, 9\] must be a whole number"),
        ("hog?cell=30", "hog: cell=30 must be so small that a block fits in 48"),
        ("hog?mirror=1", "hog: mirror=1 must be true or false"),
        ("lbp?cells=50&size=20", "lbp: cells=50 must be at most size=20"),
        ("edges?weak=3", "edges: weak=3.0 must be at most strong=1.5"),
        ("edges?cells=60", "edges: cells=60 must be at most size=48"),
        ("gabor?cells=30", "gabor: cells=30 must be at most 24, half of size"),
        ("gabor?wavelengths=[4,1]", r"wavelengths=\[4, 1\] must be a number of 2.0..128.0, or a list"),
        ("gabor?wavelengths=[]", r"gabor: wavelengths=\[\] must be"),
        ("color?space=hsl", r"color: space='hsl' must be one of hsv, lab, gray; did you mean 'hsv'\?"),
        ("color?cells=60", "color: cells=60 must be at most size=48"),
        ("sift?coding=word", r"sift: coding='word' must be one of grid, words, fisher; did you mean 'words'"),
        ("sift?step=50", "sift: step=50 must be below size=48"),
        ("sift?cells=20&size=16", "sift: cells=20 must be at most size=16"),
        ("landmarks?score=nan", "landmarks: score='nan' must be a number of 0.0..1.0"),
        ("landmarks?score=NaN", "landmarks: score=nan must be a number of 0.0..1.0"),
    ],
)
def test_wrong_settings_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        feature(wrong)


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        (np.zeros((1, 48, 48)), "crops=float64 must be a uint8 array"),
        ([[1]], "crops=list must be a uint8 array"),
        (
            np.zeros((48, 48), np.uint8),
            r"crops of shape \(48, 48\) must be .*; give one crop as crops\[None\]",
        ),
        (np.zeros((1, 48, 40), np.uint8), r"crops of shape \(1, 48, 40\)"),
        (np.zeros((1, 48, 48, 4), np.uint8), r"crops of shape \(1, 48, 48, 4\)"),
    ],
)
def test_wrong_crops_are_refused(crops: Any, message: str) -> None:
    for taken in (Hog(), Bank(["pixels"]), lambda crops: Bank.fit("pixels", crops)):
        with pytest.raises(ArgumentError, match=message):
            taken(crops)


@pytest.mark.parametrize("module", ["skimage.feature", "cv2"])
def test_a_missing_library_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    one = Hog() if module.startswith("skimage") else Sift()
    with pytest.raises(MissingExtraError, match=r"io-pyfer\[classic\]"):
        one(noise(1, 48))


@dataclass(frozen=True, kw_only=True)
class Mean(Feature):
    """A kind of one's own: the mean gray level."""

    kind: ClassVar[str] = "mean"
    sees: ClassVar[str] = "brightness"
    paper: ClassVar[str] = "this test"
    times: float = base.ranged(1.0, 0.0, 9.0)

    @property
    def width(self) -> int:
        return 1

    def describe(self, crops: Crops, codebook: Codebook) -> NDArray[np.float32]:
        return np.float32(self.times) * crops.reshape(len(crops), -1).mean(axis=1, keepdims=True)


def test_a_kind_of_ones_own_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_KINDS", dict(base._KINDS))
    monkeypatch.setattr(base, "KINDS", base._KINDS)
    assert register(Mean) is Mean
    assert Bank("mean?times=2")(np.full((3, 20, 20), 7, np.uint8)).tolist() == [[14.0]] * 3
    assert picture(Mean(), noise(1, 20)[0]).shape[2] == 3  # drawn as numbers


# --- what each measures -----------------------------------------------------------------------------------


def test_hog_is_that_of_scikit_image(faces: Crops) -> None:
    from skimage.feature import hog

    gray = luma(faces)
    plain = [hog(crop, 8, (8, 8), (2, 2), block_norm="L2-Hys") for crop in gray]
    np.testing.assert_allclose(Hog()(faces), plain, atol=1e-6)
    finer = [hog(crop, 9, (6, 6), (3, 3), block_norm="L2-Hys") for crop in gray]
    np.testing.assert_allclose(Hog(cell=6, block=3, orientations=9)(faces), finer, atol=1e-6)


def test_lbp_histograms_are_shares_of_uniform_codes(faces: Crops) -> None:
    from skimage.feature import local_binary_pattern

    one = Lbp(cells=4)
    shares = one(faces).reshape(-1, 4, 4, 59)
    np.testing.assert_allclose(shares.sum(axis=3), 1, atol=1e-5)
    gray = luma(faces)[3]
    codes = local_binary_pattern(gray, 8, 1, "nri_uniform")
    inner = np.bincount(codes[12:24, 12:24].astype(int).ravel(), minlength=59) / 144
    np.testing.assert_allclose(shares[3, 1, 1], inner, atol=1e-6)
    np.testing.assert_allclose(one(faces), replace(one, root=True)(faces) ** 2, atol=1e-6)


def test_lbp_knows_nothing_of_what_is_outside() -> None:
    """A slope is the same pattern nearly everywhere, and at the right edge it is flat to the right."""
    codes = Lbp().codes(slope(0))
    assert len(np.unique(codes[0, :, 1:-1])) <= 3
    assert (codes[:, 0] == codes[:, 20]).all()


@pytest.mark.parametrize("degrees", range(0, 360, 45))
def test_sift_descriptors_are_upright_and_ordered(degrees: int) -> None:
    """Directions run against the clock from the right; the gradient points to what is brighter."""
    found = Sift().descriptors(slope(degrees))[0].reshape(11, 11, 4, 4, 8)
    assert found[5, 5].sum(axis=(0, 1)).argmax() == degrees // 45
    spot = np.zeros((1, 48, 48), np.uint8)
    spot[:, 14:17, 28:31] = 255  # up and right of the point in the middle, 23.5
    rows = Sift().descriptors(spot)[0].reshape(11, 11, 4, 4, 8)[5, 5].sum(axis=2)
    assert np.unravel_index(rows.argmax(), rows.shape) == (0, 3)


def test_sift_points_come_patch_by_patch() -> None:
    one = Sift(size=40, patch=(8, 16), step=10)
    assert one.points()[:4].tolist() == [[9.5, 9.5, 8], [19.5, 9.5, 8], [29.5, 9.5, 8], [9.5, 19.5, 8]]
    assert one.width == 2 * 9 * 128
    crops = noise(2, 40)
    alone = [replace(one, patch=(patch,))(crops) for patch in (8, 16)]
    np.testing.assert_allclose(one(crops), np.concatenate(alone, axis=1), atol=1e-6)
    assert not np.allclose(alone[0], alone[1], atol=0.05)


def test_sift_descriptors_have_length_one() -> None:
    for one in (Sift(), Sift(root=True)):
        length = np.linalg.norm(one.descriptors(noise(2, 48)), axis=2)
        np.testing.assert_allclose(length, 1, atol=0.01)  # OpenCV rounds to whole numbers of 0..255
    plain, root = Sift()(noise(2, 48)).reshape(-1, 128), Sift(root=True)(noise(2, 48)).reshape(-1, 128)
    np.testing.assert_allclose(root**2, plain / plain.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("angle", range(4))
def test_gabor_answers_to_its_wave(angle: int) -> None:
    """A wave of 8 pixels excites the filter of its length and direction, evenly."""
    y, x = np.mgrid[:48, :48]
    theta = angle * np.pi / 4
    wave = np.sin(2 * np.pi * (np.cos(theta) * x + np.sin(theta) * y) / 8)
    crops = np.rint(128 + 100 * wave).astype(np.uint8)[None]
    one = Gabor(wavelengths=(4, 8, 16), orientations=4, cells=4)
    means, spreads = one(crops).reshape(3, 4, 2, 4, 4).transpose(2, 0, 1, 3, 4)
    middle = means[..., 1:3, 1:3].mean(axis=(2, 3))
    assert np.unravel_index(middle.argmax(), (3, 4)) == (1, angle)
    assert spreads[1, angle, 1:3, 1:3].max() < 0.1 * middle.max()


def test_gabor_is_a_convolution_of_the_mirrored_crop() -> None:
    from scipy.ndimage import convolve
    from skimage.filters import gabor_kernel

    crops = noise(1, 32)
    one = Gabor(size=32, wavelengths=(5,), orientations=3)
    kernel = gabor_kernel(1 / 5, np.pi / 3)
    values = crops[0] / 255 - (np.r_[crops[0], crops[0][::-1]] / 255).mean()  # without its mean
    real, imaginary = (convolve(values, part, mode="reflect") for part in (kernel.real, kernel.imag))
    wanted = np.hypot(real, imaginary)[::2, ::2]
    np.testing.assert_allclose(list(one.magnitudes(crops))[1][0], wanted, atol=1e-5)


def test_edges_are_where_the_picture_changes() -> None:
    crops = np.zeros((1, 48, 48), np.uint8)
    crops[:, :, 20:] = 200
    strength, density = Edges(cells=3)(crops).reshape(2, 3, 3)
    assert strength[:, 1].min() > 0.04
    assert strength[:, [0, 2]].max() < 1e-6
    assert density[:, 1] == pytest.approx(1 / 16)  # one column of the sixteen
    assert density[:, [0, 2]].max() == 0
    steps = Edges().maps(slope(0))[0, 0, 24, 10:40]
    assert steps * 255 == pytest.approx(200 / 47, abs=0.5)  # gray levels a pixel


def test_contrast_does_not_matter_for_the_density_of_edges(faces: Crops) -> None:
    gray = luma(faces)
    one = Edges()
    strong, weak = (one(crops)[:, one.width // 2 :] for crops in (gray // 2 * 2, gray // 2))
    assert np.abs(strong - weak).mean() < 0.1 * strong.mean()


def test_color_tells_red_from_blue_and_gray_is_a_histogram() -> None:
    crops = np.zeros((2, 48, 48, 3), np.uint8)
    crops[0, ..., 0] = crops[1, ..., 2] = 255
    hue, saturation, value = Color(cells=1)(crops).reshape(2, 3, 8).swapaxes(0, 1)
    assert hue.argmax(axis=1).tolist() == [0, 5]  # red is at 0, blue at two thirds of the circle
    assert saturation.argmax(axis=1).tolist() == value.argmax(axis=1).tolist() == [7, 7]
    gray = noise(2, 48)
    levels = Color(cells=2)(gray).reshape(2, 3, 2, 2, 8)
    assert (levels[:, :2, ..., 0] == 1).all()  # no hue, no saturation
    np.testing.assert_allclose(levels[:, 2].reshape(2, -1), Color(space="gray", cells=2)(gray), atol=1e-6)
    first = np.bincount(gray[0, :24, :24].ravel() // 32, minlength=8) / 24**2
    np.testing.assert_allclose(levels[0, 2, 0, 0], first, atol=1e-6)


def test_landmarks_are_found_in_a_face_and_measured(faces: Crops) -> None:
    one = Landmarks()
    points, found = one.points(faces)
    assert found.sum() >= 10
    assert np.abs(points - TEMPLATE).max() < 0.15
    assert (points[:, 0, 0] < points[:, 1, 0]).all()
    assert (points[:, 3, 1] > points[:, 2, 1]).all()
    numbers = one(faces)
    left = points[:, 3] - points[:, 0]  # left eye to left corner of the mouth, the third pair
    eyes = points[:, 1] - points[:, 0]
    apart = np.linalg.norm(eyes, axis=1)
    np.testing.assert_allclose(numbers[:, 1], np.linalg.norm(left, axis=1) / apart, rtol=1e-5)
    cross = eyes[:, 0] * left[:, 1] - eyes[:, 1] * left[:, 0]
    angle = np.arctan2(cross, (eyes * left).sum(axis=1))
    np.testing.assert_allclose(numbers[:, 10], angle, rtol=1e-5)
    assert (numbers[:, -1] == found).all()


def test_without_a_face_the_template_stands_in() -> None:
    points, found = Landmarks().points(np.full((2, 30, 30), 90, np.uint8))
    assert not found.any()
    assert np.array_equal(points, np.broadcast_to(TEMPLATE, (2, 5, 2)))
    assert Landmarks()(np.full((2, 30, 30), 90, np.uint8))[:, -1].tolist() == [0, 0]


def test_pixels_are_standardised(faces: Crops) -> None:
    found = Pixels(size=20)(faces)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-4)
    assert np.abs(Pixels()(np.full((1, 48, 48), 200, np.uint8))).max() < 1e-3  # flat: nothing is blown up


# --- codings ----------------------------------------------------------------------------------------------


def fitted(one: Sift, crops: Crops, seed: int = 0) -> Codebook:
    return one.learn(crops, seed)


@each_coded
def test_coded_features_have_length_one_and_hold_for_flat_crops(one: Sift, faces: Crops) -> None:
    book = fitted(one, faces)
    assert {name: array.shape for name, array in book.items()} == one.codebook_shapes()
    found = one(faces, book)
    assert found.shape == (12, one.width)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.isfinite(one(np.zeros((1, 48, 48), np.uint8), book)).all()
    again = one.learn(faces, 0)
    assert all(np.array_equal(book[name], again[name]) for name in book)


def test_words_are_the_nearest_centres_of_each_cell(faces: Crops) -> None:
    book = fitted(WORDS, faces)
    centres = book["centres"]
    found = WORDS.descriptors(faces[:1])[0].reshape(5, 5, 128)  # points 7.5, 15.5, .. 39.5: two cells a side
    counts = np.zeros((2, 2, 6))
    for row in range(5):
        for column in range(5):
            nearest = np.linalg.norm(centres - found[row, column], axis=1).argmin()
            cell = (row * 8 + 7.5) >= 24, (column * 8 + 7.5) >= 24
            counts[int(cell[0]), int(cell[1]), nearest] += 1
    wanted = np.sqrt(counts.ravel()) / np.sqrt(counts.sum())
    np.testing.assert_allclose(WORDS(faces[:1], book)[0], wanted, atol=1e-6)
    there = replace(WORDS, presence=True)(faces[:1], book)[0]
    np.testing.assert_allclose(there, (wanted > 0) / np.sqrt((wanted > 0).sum()), atol=1e-6)


def test_a_fisher_vector_is_the_gradient_of_the_likelihood() -> None:
    """Numerically, by moving each mean and deviation of the mixture; before roots and length."""
    rng = np.random.default_rng(3)
    k, d, p = 3, 4, 7
    weights = rng.dirichlet(np.ones(k))
    means, deviation = rng.normal(size=(k, d)), rng.uniform(0.5, 1.5, (k, d))
    rows = rng.normal(size=(p, d))

    def likelihood(means: NDArray[np.float64], deviation: NDArray[np.float64]) -> float:
        z = (rows[:, None] - means) / deviation
        density = np.exp(-0.5 * (z**2).sum(axis=2)) / np.prod(deviation, axis=1)
        return float(np.log(density @ weights).mean())

    gradient = np.empty((2, k, d))
    for index in np.ndindex(k, d):
        move = np.zeros((k, d))
        move[index] = 1e-5
        for part, both in enumerate((((move, 0), (-move, 0)), ((0, move), (0, -move)))):
            up, down = (likelihood(means + a, deviation + b) for a, b in both)
            gradient[part][index] = (up - down) / 2e-5
    # Perronnin's normalisation: Fisher information w / s² of a mean, 2 w / s² of a deviation
    gradient *= deviation / np.sqrt(weights)[:, None] * np.array([1, np.sqrt(0.5)])[:, None, None]
    wanted = np.sign(gradient) * np.sqrt(np.abs(gradient))
    wanted /= np.linalg.norm(wanted)
    arrays = {"weights": weights, "means": means, "variances": deviation**2}
    book = {name: array.astype(np.float32) for name, array in arrays.items()}
    found = coding.fisher_vectors(rows[None].astype(np.float32), book)
    np.testing.assert_allclose(found[0], wanted.ravel(), atol=2e-4)
    share = coding.posteriors(rows.astype(np.float32), book)
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-5)


def test_the_order_of_descriptors_does_not_matter_for_fisher(faces: Crops) -> None:
    book = fitted(FISHER, faces)
    rows = FISHER._reduced(FISHER.descriptors(faces), book)
    order = np.random.default_rng(0).permutation(rows.shape[1])
    once, again = (coding.fisher_vectors(each, book) for each in (rows, rows[:, order]))
    np.testing.assert_allclose(once, again, atol=1e-4)


def test_fisher_appends_the_place_of_a_point(faces: Crops) -> None:
    book = fitted(FISHER, faces)
    rows = FISHER._reduced(FISHER.descriptors(faces), book)
    assert rows.shape == (12, 25, 7)
    assert rows[0, 1, 5:] == pytest.approx([15.5 / 48 - 0.5, 7.5 / 48 - 0.5])
    middle = rows[..., :5].reshape(-1, 5)
    np.testing.assert_allclose(middle.mean(axis=0), 0, atol=1e-3)  # PCA was fitted on these
    covariance = np.cov(middle.T)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-4)


@each_coded
def test_faces_that_are_all_alike_are_learned_from_as_well(one: Sift) -> None:
    for crops in (np.zeros((3, 48, 48), np.uint8), np.repeat(noise(1, 48), 3, axis=0)):
        assert np.isfinite(Bank.fit(one, crops)(crops)).all()


def test_too_few_crops_for_a_codebook_are_refused(faces: Crops) -> None:
    with pytest.raises(ArgumentError, match="sift: 2 crops have 50 descriptors, words needs 60 or more"):
        Bank.fit(replace(WORDS, words=60), faces[:2])


def test_what_was_not_learned_is_asked_for(faces: Crops) -> None:
    with pytest.raises(ArgumentError, match="it has learned nothing yet"):
        Bank([WORDS])
    with pytest.raises(ArgumentError, match="codebook=None must be what was learned"):
        WORDS(faces)


# --- banks ------------------------------------------------------------------------------------------------


def test_a_bank_puts_features_side_by_side(faces: Crops) -> None:
    two = Bank([Hog(), "pixels?size=8", {"name": "hog", "cell": 12}])
    assert two.slices == {"hog": slice(0, 800), "pixels": slice(800, 864), "hog-2": slice(864, 1152)}
    found = two(faces)
    assert found.shape == (12, two.width) == (12, 1152)
    assert np.array_equal(found[:, two.slices["hog-2"]], Hog(cell=12)(faces))
    assert [each["name"] for each in two.to_dicts()] == ["hog", "pixels", "hog"]
    assert Bank(two.to_dicts()).features == two.features


def test_a_bank_works_in_batches_and_tells_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfer.features.bank.BATCH", 5)
    crops, told = noise(12, 16), []
    found = Bank("pixels?size=16")(crops, lambda done, n: told.append((done, n)))
    assert told == [(5, 12), (10, 12), (12, 12)]
    assert np.array_equal(found, Pixels(size=16)(crops))
    fits: list[tuple[int, int]] = []
    Bank.fit(["pixels", "hog"], crops, on_done=lambda done, n: fits.append((done, n)))
    assert fits == [(1, 2), (2, 2)]


def test_the_seed_decides_what_is_learned(faces: Crops, bank: Bank) -> None:
    assert np.array_equal(Bank.fit(bank.features, faces)(faces), bank(faces))
    assert not np.array_equal(Bank.fit(bank.features, faces, seed=1)(faces), bank(faces))


def test_a_bank_comes_back_from_its_file(bank: Bank, faces: Crops, tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    bank.save(path)
    for loaded in (Bank.load(path), Bank.load(path, bank.to_dicts()), Bank.load(str(path), bank.features)):
        assert loaded.features == bank.features
        assert np.array_equal(loaded(faces), bank(faces))
    with pytest.raises(ModelError, match=r"was made for \[\{'name': 'sift'.*not for \[\{'name': 'hog'"):
        Bank.load(path, ["hog"])


def damaged(content: bytes, bank: Bank, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"features\.npz' is no feature file, or is damaged"):
        Bank.load(path, bank.features)


def test_a_damaged_file_is_a_model_error(bank: Bank, tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    bank.save(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    broken = (
        b"",
        b"hello",
        whole[:middle],
        whole[:middle] + bytes(len(whole) - middle),
        pickle.dumps({}),
    )
    for content in broken:
        damaged(content, bank, path)
    path.unlink()
    with pytest.raises(ModelError, match="is no feature file"):
        Bank.load(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("0.centres", lambda a: a[:3]),
        ("0.centres", lambda a: a * np.nan),
        ("0.centres", lambda a: a.astype(np.complex64)),
        ("1.variances", lambda a: -a),
        ("1.weights", lambda a: 0 * a),
        ("1.means", None),
        ("settings", lambda a: np.array('{"features": [{}], "registration": null}')),
        ("settings", lambda a: np.array('{"features": [{"name": "hog"}]}')),
        ("settings", lambda a: np.array("[{}]")),
        ("settings", lambda a: np.array("nothing")),
        ("settings", lambda a: np.array([{"name": "hog"}], object)),
    ],
)
def test_arrays_that_do_not_fit_are_a_model_error(name: str, change: Any, bank: Bank, tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    bank.save(path)
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    np.savez(path, **arrays)
    damaged(path.read_bytes(), bank, path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), r"features=\[\] must name one or more of hog, lbp"),
        ((["hog", "pixels"], [{}]), "codebooks has 1 entries, must have one for each of 2"),
        (([WORDS], [{"centres": np.zeros((6, 3), np.float32)}]), r"'centres' is float32\(6, 3\), must be"),
    ],
)
def test_a_bank_checks_its_parts(arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Bank(*arguments)


# --- pictures ---------------------------------------------------------------------------------------------


@each_plain
def test_a_picture_shows_the_face_and_what_is_seen(one: Feature, faces: Crops) -> None:
    drawn = picture(one, faces[0])
    other = picture(one, faces[2])
    assert drawn.dtype == np.uint8
    assert drawn.shape == other.shape == (466, 842, 3)
    seen = np.s_[14:414, 428:828]
    assert drawn[seen].std() > 10
    assert (drawn[seen] != other[seen]).any()  # another face looks different
    caption = np.s_[418:460, 428:]
    assert np.array_equal(drawn[caption], other[caption])
    assert np.ptp(drawn[caption]) > 150


def test_a_picture_takes_gray_and_flat_crops() -> None:
    for one in PLAIN:
        assert picture(one, np.full((40, 40), 90, np.uint8)).shape == (466, 842, 3)


def test_a_sheet_has_a_tile_for_each(faces: Crops) -> None:
    drawn = sheet(list(KINDS), faces[0])
    assert len(KINDS) == 9
    assert drawn.shape == (1422, 956, 3)  # ten tiles, three in a row
    assert sheet("hog", faces[0]).shape == (366, 956, 3)
    for wrong in (faces, faces[0, 0, 0], [1]):
        with pytest.raises(ArgumentError, match="must be one crop"):
            sheet("hog", wrong)  # type: ignore[arg-type]


def test_the_glyphs_of_hog_follow_the_edges() -> None:
    """Left to right the brightness rises, so edges are upright: what is drawn is high, not wide."""
    drawn = picture(Hog(orientations=9), slope(0)[0])[14:414, 428:828].astype(int)
    glyph = drawn[133:200, 133:200, 0] > 180  # one cell in the middle
    rows, columns = np.nonzero(glyph)
    assert np.ptp(rows) > 3 * np.ptp(columns)
