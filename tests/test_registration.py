"""Registration: faces that are turned, shifted and of different size come to the same place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pyfer import mtcnn
from pyfer.cartoon import cartoon_faces
from pyfer.crops import Crops, luma
from pyfer.errors import ArgumentError, ModelError
from pyfer.faces import TEMPLATE, Mtcnn, align
from pyfer.features import Bank, Registration, registration
from pyfer.features.registration import CENTRE, LOOKS, MIRRORED, WINDOWS

cv2 = pytest.importorskip("cv2")

ONE = Registration(windows=1)


@pytest.fixture(scope="module")
def faces() -> Crops:
    """Six drawn faces, colour, 48 x 48, that the network sees."""
    return cartoon_faces(np.eye(8)[[0, 1, 3, 4, 5, 7]], size=48, seed=2)


@pytest.fixture(scope="module")
def portrait_crop(astronaut: NDArray[np.uint8]) -> Crops:
    """A real face, as the pipeline cuts it out, 96 x 96."""
    return align(astronaut, Mtcnn()(astronaut).largest().landmarks, 96)


def moved(crops: Crops, degrees: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> Crops:
    """Return the crops turned around their middle, larger or smaller, and shifted to the right (shares)."""
    side = crops.shape[1]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, scale)
    matrix[0, 2] += shift * side
    flags = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    return np.stack([cv2.warpAffine(crop, matrix, (side, side), **flags) for crop in crops])


# --- landmarks --------------------------------------------------------------------------------------------


def test_landmarks_are_those_of_each_window_alone(faces: Crops) -> None:
    """One run of the network for all windows; here a run for each, pasted by Pillow, not by OpenCV."""
    seen = []
    for side, shift in WINDOWS:
        for mirrored in (False, True):
            images = faces[:, :, ::-1] if mirrored else faces
            x, y = (0.5 - side / 2 + shift) * 48, (0.5 - side / 2) * 48
            wide = [np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="edge") for image in images]
            box = (x + 8, y + 8, x + 8 + side * 48, y + 8 + side * 48)
            method = Image.Transform.EXTENT
            cut = [
                Image.fromarray(w).transform((48, 48), method, box, Image.Resampling.BILINEAR) for w in wide
            ]
            marks = mtcnn.load().onet.run(None, {"image": np.stack(cut)})[2]
            marks = marks * side + (x / 48, y / 48)
            if mirrored:
                marks = marks[:, MIRRORED] * (-1, 1) + (1, 0)
            seen.append(marks)
    points, found = Registration().landmarks(faces)
    assert found.sum() >= 5
    np.testing.assert_allclose(points, np.median(seen, axis=0), atol=2e-3)


def test_windows_show_the_same_places() -> None:
    """A spot is where the window says it is: no half pixel is lost on the way."""
    y, x = np.mgrid[:48, :48]
    for centre in ((20.0, 26.0), (30.5, 18.0)):
        spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 18)
        images = np.repeat(np.rint(250 * spot).astype(np.uint8)[None, ..., None], 3, axis=3)
        for window in WINDOWS:
            view = registration._window(images, *window)[0, ..., 0].astype(float)
            there = np.array([(view * axis).sum() / view.sum() for axis in (x, y)])
            share = (there + 0.5) / 48 * window[0] + registration._corner(*window)
            np.testing.assert_allclose(share * 48 - 0.5, centre, atol=0.03)


def test_many_faces_are_looked_at_in_parts(faces: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    class Onet:
        def run(self, names: None, inputs: dict[str, Any]) -> Any:
            sizes.append(len(inputs["image"]))
            return whole.run(names, inputs)

    class Networks:
        onet = Onet()

    whole, sizes = mtcnn.load().onet, []
    monkeypatch.setattr(mtcnn, "load", Networks)
    many = np.concatenate([faces] * 4)
    points, found = Registration(windows=5).landmarks(many)
    assert sizes == [160, 80]
    assert max(sizes) <= LOOKS
    assert points.shape == (24, 5, 2)
    assert found.shape == (24,)
    np.testing.assert_allclose(points[18:], points[:6], atol=1e-5)


def test_the_mirror_image_has_mirrored_landmarks(faces: Crops) -> None:
    points, found = Registration().landmarks(faces)
    other, also = Registration().landmarks(np.ascontiguousarray(faces[:, :, ::-1]))
    assert (found == also).all()
    np.testing.assert_allclose(other[:, MIRRORED] * (-1, 1) + (1, 0), points, atol=1e-5)


# --- crops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"degrees": 12}, {"degrees": -9}, {"scale": 0.88}, {"shift": 0.06}])
def test_a_moved_face_comes_to_the_same_place(portrait_crop: Crops, change: dict[str, float]) -> None:
    one = Registration(size=64)
    straight, back = one(portrait_crop), one(moved(portrait_crop, **change))
    middle = np.s_[:, 12:52, 12:52]
    before = Registration(size=64, stiffness=1e6)
    raw = np.abs(portrait_crop.astype(int) - moved(portrait_crop, **change)).mean()
    assert np.abs(straight[middle].astype(int) - back[middle]).mean() < 0.5 * raw
    similar = np.abs(
        before(portrait_crop)[middle].astype(int) - before(moved(portrait_crop, **change))[middle]
    )
    assert similar.mean() < 0.6 * raw


def test_landmarks_come_as_near_to_the_template_as_stiffness_lets_them(portrait_crop: Crops) -> None:
    """Without any they are where least squares puts them; with much it is a similarity."""
    target = (TEMPLATE - CENTRE) * 1.35 + CENTRE
    points = Registration().landmarks(portrait_crop)[0]
    known = np.column_stack([points[0], np.ones(5)])
    best = known @ np.linalg.lstsq(known, target, rcond=None)[0]
    places = {}
    for stiffness in (1e-9, 0.013, 1e6):
        matrix = registration._towards(points, target, stiffness)[0]
        places[stiffness] = points[0] @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(places[1e-9], best, atol=1e-5)
    stiff = matrix[:, :2]
    np.testing.assert_allclose(stiff @ stiff.T, np.eye(2) * np.linalg.det(stiff), atol=1e-5)
    far = [float(((place - target) ** 2).sum()) for place in places.values()]
    assert far[0] < far[1] < far[2]
    seen, found = Registration()(portrait_crop), Registration().landmarks(portrait_crop)[1]
    assert found.all()
    there = Registration().landmarks(seen)[0]
    assert np.abs(there - places[0.013]).mean() < 0.03  # the picture went where the points went


@pytest.mark.parametrize("side", [30, 48, 200])
def test_without_a_face_a_crop_is_only_zoomed(side: int) -> None:
    """Around the centre, by `zoom`, whatever the sizes."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    ramp = np.rint(np.stack([255 * x, 255 * y, 0 * x], axis=-1)).astype(np.uint8)[None]
    found = Registration(size=40, zoom=2.0)(ramp)[0, ..., :2].astype(float)
    grid = (np.mgrid[:40, :40] + 0.5) / 40
    wanted = (np.stack([grid[1], grid[0]], axis=-1) - CENTRE) / 2 + CENTRE
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(found[inner] / 255, wanted[inner], atol=0.012)


def test_large_crops_are_made_smaller_without_patterns() -> None:
    """Stripes of one pixel are gray from afar."""
    stripes = np.zeros((1, 480, 480), np.uint8)
    stripes[:, :, ::2] = 255
    found = Registration(size=32, zoom=1.0)(stripes)
    assert np.abs(found.astype(int) - 128).max() <= 2


@pytest.mark.parametrize("colour", [True, False])
def test_shapes_and_parts(faces: Crops, colour: bool) -> None:
    crops = faces if colour else luma(faces)
    found = ONE(crops)
    assert found.dtype == np.uint8
    assert found.shape == (6, 64, 64, 3)[: found.ndim] == (6, 64, 64, *crops.shape[3:])
    for k in (0, 5):
        assert np.abs(ONE(crops[k : k + 1])[0].astype(int) - found[k]).max() <= 1
    assert ONE(crops[:0]).shape == (0, 64, 64, *crops.shape[3:])
    assert ONE.landmarks(crops[:0])[0].shape == (0, 5, 2)


def test_points_in_one_place_are_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    class Networks:
        class onet:  # noqa: N801
            @staticmethod
            def run(names: None, inputs: dict[str, Any]) -> Any:
                n = len(inputs["image"])
                return None, np.ones(n, np.float32), np.full((n, 5, 2), 0.5, np.float32)

    monkeypatch.setattr(mtcnn, "load", Networks)
    crops = np.zeros((2, 48, 48), np.uint8)
    assert not ONE.landmarks(crops)[1].any()
    assert ONE(crops).shape == (2, 64, 64)  # no division by nothing


# --- settings ---------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(16, 512), st.floats(0.5, 3), st.floats(1e-6, 1e6), st.integers(1, 5))
def test_settings_come_back(size: int, zoom: float, stiffness: float, windows: int) -> None:
    one = Registration(size=size, zoom=zoom, stiffness=stiffness, windows=windows)
    assert Registration.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size=8 must be a whole number of 16..512"),
        ({"size": 48.0}, "size=48.0 must be a whole number"),
        ({"windows": True}, "windows=True must be a whole number of 1..5"),
        ({"windows": 6}, "windows=6 must be"),
        ({"zoom": float("nan")}, "zoom=nan must be a number of 0.5..3"),
        ({"zoom": "1"}, "zoom='1' must be"),
        ({"stiffness": 0}, "stiffness=0 must be a number above 0"),
        ({"stifness": 1}, r"'stifness' is not known; did you mean 'stiffness'\? \(known: size, zoom"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Registration.from_dict(options)


# --- in a bank --------------------------------------------------------------------------------------------


def test_a_bank_registers_for_those_who_want_it(faces: Crops, tmp_path: Any) -> None:
    bank = Bank.fit(["pixels?size=16", "landmarks"], faces, registration=ONE)
    found = bank(faces)
    plain, there = Bank(["pixels?size=16", "landmarks"]), bank.slices
    assert np.array_equal(found[:, there["landmarks"]], plain(faces)[:, there["landmarks"]])
    assert np.array_equal(found[:, there["pixels"]], Bank("pixels?size=16")(ONE(faces)))
    bank.save(tmp_path / "features.npz")
    loaded = Bank.load(tmp_path / "features.npz")
    assert loaded.registration == ONE
    assert np.array_equal(loaded(faces), found)
    assert loaded.fingerprint() == bank.fingerprint()


def test_codebooks_are_learned_from_registered_crops(faces: Crops) -> None:
    words = "sift?coding=words&words=5&step=12&cells=2"
    book = Bank.fit(words, faces, registration=ONE).codebooks[0]["centres"]
    assert np.array_equal(book, Bank.fit(words, ONE(faces)).codebooks[0]["centres"])
    assert not np.array_equal(book, Bank.fit(words, faces).codebooks[0]["centres"])


def test_a_fingerprint_is_of_all_that_decides(faces: Crops) -> None:
    words = {"name": "sift", "coding": "words", "words": 5, "step": 12}
    banks = [
        Bank("hog"),
        Bank("hog?cell=6"),
        Bank("hog", registration=ONE),
        Bank("hog", registration=Registration(windows=2)),
        Bank.fit(words, faces),
        Bank.fit(words, faces, seed=1),
    ]
    assert len({bank.fingerprint() for bank in banks}) == len(banks)
    assert Bank("hog").fingerprint() == banks[0].fingerprint()


def test_a_file_with_a_wrong_registration_is_damaged(tmp_path: Any) -> None:
    path = tmp_path / "features.npz"
    np.savez(path, settings=json.dumps({"features": [{"name": "hog"}], "registration": {"size": 3}}))
    with pytest.raises(ModelError, match=r"is damaged: registration: size=3 must be"):
        Bank.load(path)
