"""Copies in every disguise are found, and nothing else; persons and contradictory labels are told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pyfer import audit as auditing
from pyfer.audit import audit
from pyfer.datasets import FaceData, one_hot, open_data
from pyfer.errors import ArgumentError

Pictures = NDArray[np.uint8]
FER = Path(__file__).resolve().parents[2] / "shared" / "data" / "fer2013plus"


def textures(n: int, seed: int, side: int = 64) -> Pictures:
    """Pictures with an oval in the middle, as faces have, and detail of their own: (n, side, side)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    oval = 90.0 * (x**2 / 0.5 + y**2 / 0.8 < 1)
    noise = np.fft.rfft2(rng.normal(size=(n, side, side)))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    smooth = np.fft.irfft2(noise / (frequency + 0.03), s=(side, side))  # about 1 / f, as photographs are
    smooth *= 30 / smooth.std(axis=(1, 2), keepdims=True)
    return np.clip(80 + oval + smooth, 0, 255).astype(np.uint8)


def data(images: Pictures, **more: object) -> FaceData:
    n = len(images)
    known = FaceData(
        images,
        {"x": one_hot(np.zeros(n, int), 2)},
        {"x": ("a", "b")},
        np.array([f"face{k}" for k in range(n)]),
    )
    return replace(known, **more)  # type: ignore[arg-type]


def jpeg(images: Pictures, quality: int) -> Pictures:
    out = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        out.append(np.asarray(Image.open(stream)))
    return np.stack(out)


WIDE = textures(30, seed=1)
MIDDLE = WIDE[:, 8:56, 8:56]
DISGUISES: dict[str, Callable[[], Pictures]] = {
    "shifted": lambda: WIDE[:, 9:57, 7:55],
    "shifted by two": lambda: WIDE[:, 10:58, 8:56],
    "brighter": lambda: (MIDDLE * 0.7 + 60).astype(np.uint8),
    "mirrored": lambda: MIDDLE[:, :, ::-1],
    "JPEG": lambda: jpeg(MIDDLE, 40),
    "noisy": lambda: (
        (MIDDLE + np.random.default_rng(0).normal(0, 4, MIDDLE.shape)).clip(0, 255).astype(np.uint8)
    ),
    "half the size": lambda: MIDDLE.reshape(30, 24, 2, 24, 2).mean((2, 4)).astype(np.uint8),
    "in colour": lambda: np.repeat(MIDDLE[..., None], 3, axis=3),
    "mirrored, brighter, JPEG": lambda: jpeg((MIDDLE[:, :, ::-1] * 0.8 + 30).astype(np.uint8), 60),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_copies_are_found_in_every_disguise(disguise: str) -> None:
    copies = np.ascontiguousarray(DISGUISES[disguise]())
    rows = np.array([3, 8, 21])
    if copies.shape[1:] == (48, 48):  # among others that are no copies
        test = np.concatenate([textures(20, seed=2, side=48), copies[rows]])
    else:
        test = copies[rows]
    found = audit(data(MIDDLE), data(test))
    assert found.leaks
    assert not len(found.exact)
    first = len(test) - 3
    assert found.near.tolist() == [[int(row), first + k] for k, row in enumerate(rows)]
    assert found.copied_test.tolist() == [first, first + 1, first + 2]
    assert found.copied_train.tolist() == rows.tolist()
    assert found.mirrored.tolist() == ["mirrored" in disguise] * 3
    assert ((found.likeness >= auditing.NEAR) & (found.likeness <= 1 + 1e-5)).all()


def test_other_pictures_are_no_copies() -> None:
    found = audit(data(textures(300, seed=3, side=48)), data(textures(300, seed=4, side=48)))
    assert not found.leaks
    assert found.copied_test.tolist() == found.copied_train.tolist() == []
    assert found.sentences() == ["no copy of the 300 test faces among the 300 training faces"]


def test_flat_pictures_are_like_nothing() -> None:
    flat = np.full((3, 48, 48), 128, np.uint8)
    flat[1] = 90
    found = audit(data(flat[:1]), data(flat[1:]))
    assert (len(found.near), found.exact.tolist()) == (0, [[0, 1]])


def test_exact_copies_are_listed_from_both_sides_and_once() -> None:
    train = np.concatenate([MIDDLE[:4], MIDDLE[1:2]])  # 1 and 4 are equal
    test = np.concatenate([MIDDLE[10:12], MIDDLE[[1, 3, 1]]])
    for near in (1.0, 0.7):
        found = audit(data(train), data(test), near=near)
        assert sorted(found.exact.tolist()) == [[1, 2], [1, 4], [3, 3], [4, 2]]
        assert found.near.tolist() == []
        assert found.copied_test.tolist() == [2, 3, 4]
        assert found.copied_train.tolist() == [1, 3, 4]
    assert found.sentences()[0] == (
        "3 of 5 test faces (60.0%) have a copy among the 5 training faces: 3 exact, 0 nearly the same; "
        "training faces concerned: 3"
    )


def test_the_same_bytes_in_another_shape_are_another_picture() -> None:
    a = textures(1, seed=0, side=48)
    found = audit(data(a), data(a.reshape(1, 24, 96)), near=1.0)
    assert not found.leaks


def test_persons_on_both_sides() -> None:
    a, b = (textures(4, seed=k, side=48) for k in (1, 2))
    train = data(a, subjects=np.array(["S1", "S2", "", "S3"]))
    test = data(b, subjects=np.array(["S3", "S9", "", "S1"]))
    found = audit(train, test)
    assert found.subjects == ("S1", "S3")
    assert found.leaks
    assert found.sentences()[1] == "persons in training and in the test: 2 (S1, S3)"
    assert audit(data(a), test).subjects is None
    apart = audit(train, data(b, subjects=np.array(["S8"] * 4)))
    assert (apart.subjects, apart.leaks) == ((), False)
    assert "no person is on both sides" in apart.sentences()


def test_the_same_picture_with_two_labels() -> None:
    images = MIDDLE[[0, 1, 0, 1, 2]]
    targets = {"x": one_hot(np.array([0, 0, 1, -1, 1]), 2)}  # 1 has a label once: no contradiction
    found = audit(data(images, targets=targets), data(MIDDLE[10:12]))
    assert found.train_conflicts == (("face0", "face2"),)
    assert found.test_conflicts == ()
    assert not found.leaks
    assert (
        "pictures of the training set that are there with different labels: 1, such as face0"
        in found.sentences()[1]
    )


def test_audit_as_json() -> None:
    found = audit(data(MIDDLE), data(np.ascontiguousarray(MIDDLE[:5, :, ::-1])))
    tree = json.loads(json.dumps(found.to_dict()))
    assert (tree["train"], tree["test"], tree["copied_test"], tree["leaks"]) == (30, 5, 5, True)
    assert tree["near"] == [[k, k] for k in range(5)]
    assert "near" not in found.to_dict(rows=False)


@pytest.mark.parametrize("near", [0, -1, 1.5, float("nan")])
def test_near_must_be_a_correlation(near: float) -> None:
    with pytest.raises(ArgumentError, match=r"near=.* must lie above 0 and not above 1"):
        audit(data(MIDDLE), data(MIDDLE), near=near)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = data(MIDDLE), data(np.ascontiguousarray(WIDE[::-1, 9:57, 7:55]))
    whole = audit(train, test)
    monkeypatch.setattr(auditing, "_CHUNK", 7)
    parts = audit(train, test)
    assert len(whole.near) == 30
    assert parts.near.tolist() == whole.near.tolist()
    np.testing.assert_allclose(parts.likeness, whole.likeness, rtol=1e-5)


@pytest.mark.skipif(not FER.is_dir(), reason="needs ../shared/data/fer2013plus")
def test_most_flagged_leaks_of_fer2013_are_found() -> None:
    """A part of it: the flagged Training rows against PrivateTest, among as many that are not flagged."""
    with (FER / "labels.csv").open(newline="") as handle:
        flagged = {
            f"Training/{row['row']}" for row in csv.DictReader(handle) if row["train_leaks_test"] == "1"
        }
    train = open_data(f"fer2013plus:{FER}?leaks=keep")
    is_flagged = np.isin(train.ids, list(flagged))
    others = np.flatnonzero(~is_flagged)[:: (~is_flagged).sum() // is_flagged.sum()]
    rows = np.concatenate([np.flatnonzero(is_flagged), others])
    train, is_flagged = train[rows], is_flagged[rows]
    found = audit(train, open_data(f"fer2013plus:{FER}?split=PrivateTest"))
    copied = np.zeros(len(train), bool)
    copied[found.copied_train] = True
    assert 280 <= len(np.unique(found.exact[:, 1])) <= 300  # the data's own count is 288
    assert copied[is_flagged].mean() > 0.35  # the others are copies of PublicTest
    assert copied[~is_flagged].mean() < 0.02
