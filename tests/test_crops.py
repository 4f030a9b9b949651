"""Preprocessing: exact where a formula is exact, invariant where the stage promises it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage import exposure

from pyfer.crops import (
    FILTERS,
    MID_GRAY,
    STANDARD_FLOOR,
    Preprocessing,
    clahe,
    equalize,
    gamma,
    luma,
    mask_background,
    oval_mask,
    resize,
    standard,
)
from pyfer.errors import ArgumentError

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def faces(n: int = 5, size: int = 48, *, colour: bool = False, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random blobs in uneven light, with the gray levels of a photograph rather than of noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    shape = (n, 1, 1, 3) if colour else (n, 1, 1)
    y, x = (y[..., None], x[..., None]) if colour else (y, x)
    waves = sum(
        rng.uniform(10, 30, shape) * np.sin(rng.uniform(2, 20, shape) * x + rng.uniform(2, 20, shape) * y)
        for _ in range(4)
    )
    light = rng.uniform(60, 120, shape) + rng.uniform(-40, 60, shape) * x
    return np.clip(light + waves + rng.normal(0, 3, np.shape(waves)), 0, 255).astype(np.uint8)


GRAY, COLOUR = faces(), faces(colour=True)
BATCHES = [GRAY, COLOUR]

crops_strategy = st.builds(
    lambda n, size, colour, seed, low, high: (
        np.random.default_rng(seed)
        .integers(min(low, high), max(low, high) + 1, (n, size, size, 3)[: 4 if colour else 3])
        .astype(np.uint8)
    ),
    st.integers(0, 4),
    st.integers(1, 40),
    st.booleans(),
    st.integers(0, 999),
    st.integers(0, 255),
    st.integers(0, 255),
)


# --- gray -------------------------------------------------------------------------------------------------


def test_luma_is_that_of_pillow() -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(
        1, -1, len(levels), 3
    )
    expected = np.asarray(Image.fromarray(cube[0]).convert("L"))
    np.testing.assert_array_equal(luma(cube)[0], expected)
    assert luma(np.full((1, 2, 2, 3), 255, np.uint8)).max() == 255


# --- filters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
@QUICK
@given(crops_strategy)
def test_filters_keep_shape_and_dtype_and_treat_crops_alone(name: str, crops: NDArray[np.uint8]) -> None:
    before = crops.copy()
    out = FILTERS[name](crops)
    assert out.shape == crops.shape
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(crops, before)
    for k in range(len(crops)):
        np.testing.assert_array_equal(FILTERS[name](crops[k : k + 1])[0], out[k])


@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_order_and_hue(name: str) -> None:
    if name != "clahe":  # a local filter may turn levels of different places around
        levels = np.unique(GRAY[0])
        mapped = FILTERS[name](GRAY)[0]
        assert (np.diff([mapped[GRAY[0] == v].mean() for v in levels]) >= 0).all()
    out = FILTERS[name](COLOUR).astype(int)
    inside = ((out > 0) & (out < 255)).all(axis=3)
    assert inside.mean() > 0.5
    for a, b in ((0, 1), (1, 2)):  # the same shift for R, G and B
        difference = out[..., a] - out[..., b]
        np.testing.assert_array_equal(
            difference[inside], (COLOUR[..., a].astype(int) - COLOUR[..., b])[inside]
        )


@pytest.mark.parametrize("name", FILTERS)
def test_colour_filters_are_gray_filters_of_the_luma(name: str) -> None:
    out = FILTERS[name](COLOUR)
    inside = ((out > 0) & (out < 255)).all(axis=3)
    wanted = FILTERS[name](luma(COLOUR)).astype(int)
    assert np.abs(luma(out).astype(int) - wanted)[inside].max() <= 1


def test_equalize_spreads_levels_evenly() -> None:
    out = equalize(GRAY)
    for crop in out:
        assert crop.min() == 0
        assert crop.max() == 255
        share = np.histogram(crop, bins=8, range=(0, 256))[0] / crop.size
        np.testing.assert_allclose(share, 1 / 8, atol=0.05)
    pillow = np.stack([np.asarray(ImageOps.equalize(Image.fromarray(crop))) for crop in GRAY])
    assert np.abs(out.astype(int) - pillow).max() <= 6  # Pillow rounds its steps down


@pytest.mark.parametrize("level", [0, 7, 255])
def test_flat_crops_stay_flat(level: int) -> None:
    flat = np.full((2, 9, 9), level, np.uint8)
    np.testing.assert_array_equal(equalize(flat), flat)
    for name in FILTERS:
        assert len(np.unique(FILTERS[name](flat))) == 1


def test_equalize_does_not_see_brightness_and_contrast() -> None:
    even = GRAY // 2
    np.testing.assert_array_equal(equalize(even), equalize(even + 90))
    np.testing.assert_array_equal(equalize(even), equalize(even * 2))


def test_clahe_agrees_with_scikit_image() -> None:
    # In large tiles and over the full range: scikit-image stretches its input first and cuts its clip limit
    # down to whole pixels, which in the tiles of a 48 x 48 crop is most of it.
    crops = faces(6, 112).astype(float)
    low, high = crops.min(axis=(1, 2), keepdims=True), crops.max(axis=(1, 2), keepdims=True)
    crops = (255 * (crops - low) / (high - low)).astype(np.uint8)
    for before, after in zip(crops, clahe(crops), strict=True):
        peer = 255 * exposure.equalize_adapthist(before, kernel_size=28, clip_limit=0.01)
        assert np.corrcoef(after.ravel(), peer.ravel())[0, 1] > 0.985
        assert np.abs(after - peer).mean() < 0.8 * np.abs(before - peer).mean()
        assert after.std() > 1.05 * before.std()


@pytest.mark.parametrize("size", [1, 2, 5, 48, 50])
def test_clahe_of_any_size(size: int) -> None:
    crops = faces(2, size)
    assert clahe(crops).shape == crops.shape


def test_clahe_evens_out_light_from_one_side() -> None:
    texture = np.random.default_rng(3).normal(0, 6, (1, 48, 48))
    crops = np.clip(40 + 150 * np.linspace(0, 1, 48) ** 2 + texture, 0, 255).astype(np.uint8)

    def imbalance(x: NDArray[np.uint8]) -> float:
        return float(x[..., 24:].mean() - x[..., :24].mean()) / float(x.std())

    assert imbalance(clahe(crops)) < 0.9 * imbalance(crops)


def test_clahe_has_no_seams_at_tiles() -> None:
    ramp = np.broadcast_to(np.linspace(20, 235, 48).astype(np.uint8), (1, 48, 48))
    steps = np.abs(np.diff(clahe(ramp)[0].astype(int), axis=1))
    assert steps.max() <= 20


def test_gamma() -> None:
    level = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    np.testing.assert_array_equal(gamma(level, 1.0), level)
    np.testing.assert_array_equal(gamma(level, 2.0), np.rint((level / 255.0) ** 2 * 255).astype(np.uint8))
    np.testing.assert_array_equal(FILTERS["gamma"](level), gamma(level))


@pytest.mark.parametrize("factor", [0.45, 1.0, 1.5])
def test_gamma_brings_the_mean_to_the_middle(factor: float) -> None:
    crops = np.clip(GRAY * factor, 0, 255).astype(np.uint8)
    before, after = (x.mean(axis=(1, 2)) / 255 for x in (crops, gamma(crops)))
    np.testing.assert_allclose(after, 0.5, atol=0.12)
    assert (np.abs(after - 0.5) <= np.abs(before - 0.5) + 0.01).all()


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "2", True])
def test_gamma_rule(value: float) -> None:
    with pytest.raises(ArgumentError, match="gamma="):
        gamma(GRAY, value)


# --- mask, size, standard ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 48, 113])
def test_oval_mask(size: int) -> None:
    mask = oval_mask(size)
    assert mask.shape == (size, size)
    assert mask.dtype == np.float32
    assert mask[size // 2, size // 2] == 1
    assert mask[0, 0] == mask[0, -1] == mask[-1, 0] == mask[-1, -1] == 0
    assert ((mask >= 0) & (mask <= 1)).all()
    assert ((mask > 0) & (mask < 1)).any()  # a soft edge
    np.testing.assert_array_equal(mask, mask[:, ::-1])
    assert 0.5 < mask.mean() < 0.75
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = 1


@pytest.mark.parametrize("crops", BATCHES)
def test_mask_background(crops: NDArray[np.uint8]) -> None:
    out = mask_background(crops)
    mask = oval_mask(48)
    np.testing.assert_array_equal(out[:, mask == 1], crops[:, mask == 1])
    assert (out[:, mask == 0] == MID_GRAY).all()


@pytest.mark.parametrize("crops", BATCHES)
@pytest.mark.parametrize("size", [16, 48, 64])
def test_resize(crops: NDArray[np.uint8], size: int) -> None:
    out = resize(crops, size)
    assert out.shape == (len(crops), size, size, *crops.shape[3:])
    np.testing.assert_allclose(out.mean(axis=(1, 2)), crops.mean(axis=(1, 2)), atol=3)


def test_resize_is_antialiased() -> None:
    stripes = np.zeros((1, 96, 96), np.uint8)
    stripes[:, :, ::2] = 255
    inner = resize(stripes, 24)[0, :, 2:-2].astype(int)
    assert np.abs(inner - 127).max() < 10


@QUICK
@given(crops_strategy)
def test_standard_has_mean_0_and_deviation_1(crops: NDArray[np.uint8]) -> None:
    out = standard(crops.astype(np.float32) / 255)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    for before, after in zip(crops, out, strict=True):
        deviation = before.std() / 255
        assert abs(after.mean(dtype=np.float64)) < 1e-4
        assert after.std(dtype=np.float64) == pytest.approx(min(deviation / STANDARD_FLOOR, 1), abs=1e-3)


def test_flat_crop_becomes_zeros() -> None:
    process = Preprocessing(standard=True)
    for level in (0, 77, 255):
        np.testing.assert_allclose(process(np.full((1, 48, 48), level, np.uint8)), 0, atol=1e-4)
    noise = np.random.default_rng(0).integers(99, 102, (1, 48, 48)).astype(np.uint8)
    assert np.abs(process(noise)).max() < 0.5


@QUICK
@given(st.integers(0, 99), st.integers(0, 80), st.sampled_from([1, 2]))
def test_standard_does_not_see_brightness_and_contrast(seed: int, shift: int, factor: int) -> None:
    crops = np.random.default_rng(seed).integers(0, 80, (2, 48, 48)).astype(np.uint8)
    process = Preprocessing(standard=True)
    np.testing.assert_allclose(process(crops), process(crops * np.uint8(factor) + np.uint8(shift)), atol=1e-3)


# --- the whole way ----------------------------------------------------------------------------------------

SETTINGS = [
    Preprocessing(),
    Preprocessing(standard=True),
    Preprocessing(standard=True, filter="clahe", mask=True, size=40),
    Preprocessing(size=64, color="rgb", mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)),
    Preprocessing(size=32, color="bgr", layout="nhwc", filter="equalize"),
    Preprocessing(color="rgb", standard=True, filter="gamma", gamma=0.7),
    Preprocessing(color="bgr", dtype="uint8", scale=1, layout="nhwc"),
    Preprocessing(filter="gamma", mean=(0.5,), std=(0.25,), scale=1 / 128),
]


@pytest.mark.parametrize("process", SETTINGS)
@pytest.mark.parametrize("crops", BATCHES)
def test_shape_dtype_and_batch_equals_one_by_one(process: Preprocessing, crops: NDArray[np.uint8]) -> None:
    before = crops.copy()
    out = process(crops)
    s, c = process.size, process.channels
    assert out.shape == ((5, c, s, s) if process.layout == "nchw" else (5, s, s, c))
    assert out.dtype == process.dtype
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(crops, before)
    for k in range(5):
        np.testing.assert_allclose(process(crops[k : k + 1])[0], out[k], atol=1e-6)
    assert process(crops[:0]).shape == (0, *out.shape[1:])


@pytest.mark.parametrize("process", SETTINGS)
def test_dict_round_trip_through_json(process: Preprocessing) -> None:
    settings = json.loads(json.dumps(process.to_dict()))
    again = Preprocessing.from_dict(settings)
    assert again == process
    assert hash(again) == hash(process)
    np.testing.assert_array_equal(again(COLOUR), process(COLOUR))


def test_defaults_fill_what_a_dict_leaves_out() -> None:
    assert Preprocessing.from_dict({}) == Preprocessing()
    assert Preprocessing.from_dict({"mean": [0], "std": [1], "scale": 1}) == Preprocessing(scale=1.0)


def test_gray_values() -> None:
    np.testing.assert_allclose(Preprocessing()(GRAY)[:, 0], GRAY / 255, atol=1e-6)
    np.testing.assert_allclose(Preprocessing()(COLOUR)[:, 0], luma(COLOUR) / 255, atol=1e-6)
    expected = (GRAY / 128 - 0.5) / 0.25
    np.testing.assert_allclose(
        Preprocessing(mean=(0.5,), std=(0.25,), scale=1 / 128)(GRAY)[:, 0], expected, atol=1e-5
    )


def test_colour_values() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    expected = ((COLOUR / 255 - mean) / std).transpose(0, 3, 1, 2)
    rgb = Preprocessing(color="rgb", mean=mean, std=std)
    np.testing.assert_allclose(rgb(COLOUR), expected, atol=1e-5)
    # mean and std are in the order of the channels that the network sees
    bgr = Preprocessing(color="bgr", mean=mean[::-1], std=std[::-1])
    np.testing.assert_allclose(bgr(COLOUR), expected[:, ::-1], atol=1e-5)
    np.testing.assert_array_equal(replace(rgb, layout="nhwc")(COLOUR), rgb(COLOUR).transpose(0, 2, 3, 1))
    repeated = Preprocessing(color="rgb", dtype="uint8", scale=1)(GRAY)
    np.testing.assert_array_equal(repeated, np.repeat(GRAY[:, None], 3, axis=1))


def test_standard_over_all_channels_of_a_crop() -> None:
    out = Preprocessing(color="rgb", standard=True)(COLOUR).astype(np.float64)
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), 1, atol=1e-4)
    x = COLOUR.transpose(0, 3, 1, 2) / 255
    expected = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_gamma_setting_is_used() -> None:
    out = Preprocessing(filter="gamma", gamma=2.0, dtype="uint8", scale=1)(GRAY)
    np.testing.assert_array_equal(out[:, 0], gamma(GRAY, 2.0))


def test_stages_run_in_order() -> None:
    process = Preprocessing(size=32, filter="equalize", mask=True, color="gray", dtype="uint8", scale=1)
    expected = resize(mask_background(equalize(luma(COLOUR))), 32)
    np.testing.assert_array_equal(process(COLOUR)[:, 0], expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 15}, "size=15 must be a whole number of 16..1024"),
        ({"size": 1025}, "size=1025"),
        ({"size": 48.0}, "size=48.0"),
        ({"size": True}, "size=True"),
        ({"color": "grey"}, "did you mean 'gray'"),
        ({"layout": "nchv"}, "did you mean 'nchw'"),
        ({"filter": "clae"}, "did you mean 'clahe'"),
        ({"dtype": "float16"}, "must be one of float32, uint8"),
        ({"scale": 0}, "scale=0 must be a positive"),
        ({"scale": float("nan")}, "scale=nan"),
        ({"mean": [0.5, 0.5]}, "one number, or of 1"),
        ({"mean": 0.5}, "must be a list"),
        ({"mean": ["a"]}, "mean='a'"),
        ({"color": "rgb", "std": [1, 0, 1]}, "std=0 must be a positive"),
        ({"mask": 1}, "mask=1 must be true or false"),
        ({"standard": "yes"}, "standard='yes'"),
        ({"standard": True, "mean": [0.5]}, "no effect"),
        ({"gamma": 2.0}, "needs filter='gamma'"),
        ({"gamma": -1, "filter": "gamma"}, "gamma=-1"),
        ({"dtype": "uint8"}, "scale=1"),
        ({"dtype": "uint8", "scale": 1, "standard": True}, "scale=1"),
        ({"standart": True}, "did you mean 'standard'"),
        ({"colour": "rgb"}, "did you mean 'color'"),
    ],
)
def test_rules(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Preprocessing.from_dict(settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 3), np.uint8),
        np.zeros((2, 48, 40), np.uint8),
        np.zeros((2, 48, 48, 4), np.uint8),
        np.zeros((2, 0, 0), np.uint8),
        np.zeros((2, 48, 48), np.float32),
        [[1]],
    ],
)
@pytest.mark.parametrize("call", [Preprocessing(), equalize, clahe, gamma, mask_background])
def test_crop_rules(call: Preprocessing, crops: NDArray[np.uint8]) -> None:
    with pytest.raises(ArgumentError, match=r"crops.*must be"):
        call(crops)
