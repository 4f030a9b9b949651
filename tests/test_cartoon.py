"""Cartoon faces: the same for the same seed, different people, and emotions that can be told apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pyfer.cartoon import FEATURES, PROTOTYPES, blend, cartoon_faces, cartoon_scene, draw_faces
from pyfer.crops import Preprocessing
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError

PURE = np.eye(len(BASIC))


def pixels(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Standardised gray pixels, (n, size * size)."""
    return Preprocessing(standard=True)(crops).reshape(len(crops), -1).astype(np.float32)


def test_shape_and_range() -> None:
    for size in (16, 48, 112):
        crops = cartoon_faces(PURE, size=size)
        assert crops.shape == (8, size, size, 3)
        assert crops.dtype == np.uint8
        assert (crops.std(axis=(1, 2, 3)) > 10).all()
    assert cartoon_faces(np.empty((0, 8))).shape == (0, 48, 48, 3)


def test_same_seed_same_faces() -> None:
    np.testing.assert_array_equal(cartoon_faces(PURE, seed=5), cartoon_faces(PURE, seed=5))
    assert (cartoon_faces(PURE, seed=5) != cartoon_faces(PURE, seed=6)).any(axis=(1, 2, 3)).all()


def test_a_face_does_not_depend_on_its_batch() -> None:
    whole = cartoon_faces(PURE, seed=2)
    np.testing.assert_array_equal(cartoon_faces(PURE[:3], seed=2), whole[:3])
    other = PURE.copy()
    other[:7] = PURE[0]
    np.testing.assert_array_equal(cartoon_faces(other, seed=2)[7], whole[7])


def test_first_draw_is_what_it_was() -> None:
    # Guards seeds in other people's tests: this changes only when faces are meant to look different.
    mean = cartoon_faces(PURE, seed=0).mean(axis=(1, 2, 3))
    assert mean.tolist() == pytest.approx(FIRST_MEANS, abs=1.5)


FIRST_MEANS = [78.8, 107.7, 84.2, 100.6, 130.6, 110.1, 132.4, 115.8]


def test_people_differ() -> None:
    crops = cartoon_faces(np.tile(PURE[:1], (20, 1)), variation=0)
    assert len(np.unique(crops.reshape(20, -1), axis=0)) == 20


def test_each_feature_shows() -> None:
    neutral = draw_faces(np.zeros((1, len(FEATURES))), seed=1).astype(int)
    for k, name in enumerate(FEATURES):
        row = np.zeros((1, len(FEATURES)))
        row[0, k] = 1
        change = np.abs(draw_faces(row, seed=1) - neutral)
        assert change.max() > 40, name
        assert (change.max(axis=3) > 10).mean() < 0.4, f"{name} changes more than the face"


def test_features_are_clipped() -> None:
    wild = np.full((1, len(FEATURES)), 9.0)
    np.testing.assert_array_equal(draw_faces(wild), draw_faces(np.ones_like(wild)))


def test_blend() -> None:
    np.testing.assert_allclose(blend(PURE), PROTOTYPES)
    np.testing.assert_allclose(blend(PURE * 7), PROTOTYPES)
    half = blend(0.5 * PURE[[1]] + 0.5 * PURE[[2]])
    np.testing.assert_allclose(half, PROTOTYPES[[1, 2]].mean(axis=0, keepdims=True))
    assert np.abs(PROTOTYPES).max() <= 1
    gaps = np.linalg.norm(PROTOTYPES[:, None] - PROTOTYPES[None], axis=2) + 9 * np.eye(8)
    assert gaps.min() > 1


def test_blended_faces_lie_between() -> None:
    weights = np.array([[0, 1, 0, 0, 0, 0, 0, 0], [0, 0.5, 0, 0.5, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0]])
    person = [draw_faces(blend(weights[[k]]), seed=4).astype(float) for k in range(3)]
    apart = np.linalg.norm(person[0] - person[2])
    assert 0 < np.linalg.norm(person[1] - person[0]) < apart
    assert 0 < np.linalg.norm(person[1] - person[2]) < apart


def test_eight_emotions_can_be_told_apart() -> None:
    """A linear classifier on pixels, trained on some people and tested on others; chance is 1/8."""
    labels = np.tile(np.arange(8), 100)
    train, test = (pixels(cartoon_faces(PURE[labels], seed=seed)) for seed in (1, 2))
    # Ridge regression to one-hot targets in its dual form
    kernel = train @ train.T + 300 * np.eye(len(train))
    weights = train.T @ np.linalg.solve(kernel, PURE[labels] - 1 / 8)
    answers = (test @ weights).argmax(axis=1)
    assert (answers == labels).mean() > 0.75
    assert all((answers[labels == k] == k).mean() > 0.5 for k in range(8))


@pytest.mark.parametrize(
    ("weights", "rule"),
    [
        (np.ones(8), "(n, 8)"),
        (np.ones((2, 7)), "(n, 8)"),
        (np.zeros((1, 8)), "more than 0"),
        (-PURE, "not negative"),
        (PURE * np.nan, "finite"),
    ],
)
def test_weight_rules(weights: NDArray[np.float64], rule: str) -> None:
    with pytest.raises(ArgumentError, match="weights") as caught:
        cartoon_faces(weights)
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("options", "name"), [({"size": 7}, "size=7"), ({"size": 4.5}, "size=4.5"), ({"seed": -1}, "seed=-1")]
)
def test_other_rules(options: dict[str, int], name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        cartoon_faces(PURE, **options)
    with pytest.raises(ArgumentError, match=name):
        draw_faces(PROTOTYPES, **options)


def test_feature_rules() -> None:
    with pytest.raises(ArgumentError, match="features"):
        draw_faces(np.zeros((1, 3)))
    with pytest.raises(ArgumentError, match="features"):
        draw_faces(np.full_like(PROTOTYPES, np.inf))


# --- scenes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2, 5, 12])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (300, 600)])
def test_scene(k: int, width: int, height: int) -> None:
    scene = cartoon_scene(PURE[np.arange(k) % 8], width=width, height=height, seed=k)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert scene.boxes.shape == (k, 4)
    assert scene.landmarks.shape == (k, 5, 2)
    x0, y0, x1, y1 = scene.boxes.T
    assert ((x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height) & (x1 - x0 > 20)).all()
    for i in range(k):
        inside = (scene.landmarks[i] > scene.boxes[i, :2]) & (scene.landmarks[i] < scene.boxes[i, 2:])
        assert inside.all()
        left, right, nose, left_mouth, right_mouth = scene.landmarks[i]
        assert left[0] < nose[0] < right[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left[1], right[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
        for j in range(i):
            apart = (x1[i] <= x0[j]) | (x1[j] <= x0[i]) | (y1[i] <= y0[j]) | (y1[j] <= y0[i])
            assert apart


def test_scene_is_deterministic_and_shows_the_faces() -> None:
    empty, one, again = (cartoon_scene(w, seed=3) for w in (PURE[:0], PURE[:1], PURE[:1]))
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.boxes, again.boxes)
    assert cartoon_scene([], seed=3).image.shape == empty.image.shape
    # The pupils are dark and lie between brighter lids and skin: landmarks are where the face is.
    gray = one.image.mean(axis=2)
    for x, y in one.landmarks[0, :2]:
        near = gray[int(y) - 12 : int(y) + 12, int(x) - 12 : int(x) + 12]
        assert gray[int(y), int(x)] < near.mean() - 15


def test_scene_too_small() -> None:
    for width, height in ((40, 400), (640, 0), (100, 100)):
        with pytest.raises(ArgumentError, match="too small"):
            cartoon_scene(PURE, width=width, height=height)
