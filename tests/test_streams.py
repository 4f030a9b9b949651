"""Streams made of stills: what they show, what disturbs them, and that a truth is never disturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pyfer.cartoon import cartoon_faces
from pyfer.datasets import FaceData, open_data
from pyfer.drawing import COLORS
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, DataError
from pyfer.streams import CLEAR, Streams, StreamSettings, disturbed, make_streams, warped

Run = Callable[..., Any]
EVENTS = ("motion", "jitter", "light", "noise", "blur", "occlusion", "false")
CALM = StreamSettings(
    count=24, frames=(8, 30), hold=(0.3, 0.6), passage=(0.1, 0.4), **dict.fromkeys(EVENTS, 0.0)
)
ROUGH = StreamSettings(count=12, frames=(8, 30), hold=(0.3, 0.6))


@pytest.fixture(scope="module")
def stills() -> FaceData:
    return open_data("cartoon:?n=64&seed=3&size=20")


@pytest.fixture(scope="module")
def calm(stills: FaceData) -> Streams:
    return make_streams(stills, "ferplus", CALM, seed=4)


def plain_stills(counts: dict[str, int], side: int = 6) -> FaceData:
    """Return stills of one gray each, a different one for each; labels in the order of `counts`."""
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    grays = np.linspace(5, 250, len(labels)).astype(np.uint8)
    images = np.broadcast_to(grays[:, None, None], (len(labels), side, side)).copy()
    target = np.eye(len(counts), dtype=np.float32)[labels]
    return FaceData(images, {"h": target}, {"h": tuple(counts)}, np.array(list(map(str, grays.tolist()))))


def same(one: Streams, other: Streams) -> bool:
    columns = ("frames", "times", "mask", "stills")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns) and all(
        np.array_equal(target, other.targets[head]) for head, target in one.targets.items()
    )


# --- what is made -----------------------------------------------------------------------------------------


def test_the_seed_decides_everything(stills: FaceData) -> None:
    one, again, other = (make_streams(stills, "ferplus", ROUGH, seed) for seed in (1, 1, 2))
    assert same(one, again)
    assert not np.array_equal(one.frames, other.frames)
    assert not np.array_equal(one.times, other.times)


def test_shapes_lengths_and_times(stills: FaceData) -> None:
    made = make_streams(stills, "ferplus", replace(ROUGH, count=200, frames=(5, 12)), seed=0)
    lengths = made.mask.sum(axis=1)
    assert len(made) == 200
    assert made.frames.shape == (200, 12, 20, 20)
    assert set(lengths.tolist()) == set(range(5, 13))  # all lengths of the range, evenly drawn
    for i, n in enumerate(lengths):
        assert made.mask[i, :n].all()
        assert not made.mask[i, n:].any()
        assert not made.frames[i, n:].any()
        assert not made.interval[i, n:].any()
        assert not any(target[i, n:].any() for target in made.targets.values())
        steps = np.diff(made.times[i, :n])
        assert made.times[i, 0] == 0
        assert (steps > 0).all()
        assert (np.diff(made.times[i, n - 1 :]) == 0).all()
        np.testing.assert_allclose(made.interval[i, 1:n], steps, rtol=1e-6)
        assert steps.max() / steps.min() < 1.1 / 0.9 + 1e-3  # a tenth of the interval
    mean = np.array([made.times[i, n - 1] / (n - 1) for i, n in enumerate(lengths)])
    assert 8 * 0.9 < (1 / mean).min() < 10
    assert 25 < (1 / mean).max() < 30 * 1.1


def test_some_streams_alone(calm: Streams) -> None:
    part = calm[np.array([3, 1])]
    assert len(part) == 2
    np.testing.assert_array_equal(part.frames, calm.frames[[3, 1]])
    np.testing.assert_array_equal(part.truth("ferplus"), calm.truth("ferplus")[[3, 1]])
    assert same(calm[2:3], calm[np.array([2])])


def test_progress_is_told(stills: FaceData) -> None:
    told: list[tuple[int, int]] = []
    make_streams(stills, "ferplus", replace(CALM, count=3), 0, lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


# --- what is shown ----------------------------------------------------------------------------------------


def test_without_disturbance_a_held_still_is_that_still_with_its_target(
    stills: FaceData, calm: Streams
) -> None:
    """Up to a mirror, the whole stream through."""
    held = 0
    for i in range(len(calm)):
        rows = np.flatnonzero(calm.mask[i] & (calm.stills[i] == 0))
        found = []
        for faces in (stills.images, stills.images[:, :, ::-1]):
            apart = np.abs(faces.astype(int)[None] - calm.frames[i, rows].astype(int)[:, None])
            which = apart.max(axis=(2, 3)).argmin(axis=1)
            close = apart.max(axis=(2, 3)).min(axis=1) <= 1
            found.append((which, close))
        which, close = max(found, key=lambda each: each[1].sum())
        assert close.all()
        for head in ("ferplus", "fer2013"):
            np.testing.assert_array_equal(calm.targets[head][i, rows], stills.targets[head][which])
        held += len(rows)
    assert held > 100


def test_a_passage_mixes_pictures_and_targets_alike() -> None:
    """Grays tell which stills are shown: 0 is neutral, 250 another emotion, and nothing else is there."""
    data = plain_stills({"neutral": 1, "joy": 1})
    gray = data.images[:, 0, 0].astype(float)
    made = make_streams(data, "h", replace(CALM, count=60, passage=(0.3, 0.6), same=0.0), seed=2)
    joy = made.targets["h"][..., 1][made.mask]
    shown = made.frames[made.mask].mean(axis=(1, 2))
    np.testing.assert_allclose(shown, gray[0] + joy * (gray[1] - gray[0]), atol=0.6)
    np.testing.assert_allclose(made.targets["h"][made.mask].sum(axis=1), 1, atol=1e-6)
    between = (joy > 0) & (joy < 1)
    assert 0.2 < between.mean() < 0.8
    assert np.histogram(joy[between], 4, (0, 1))[0].min() > 0.1 * between.sum()  # linear in time


def test_a_passage_takes_its_seconds() -> None:
    data = plain_stills({"neutral": 1, "joy": 1})
    settings = replace(CALM, count=40, frames=(60, 60), rate=(30, 30), same=0.0)
    for seconds in (0.2, 0.5):
        made = make_streams(data, "h", replace(settings, hold=(0.4, 0.4), passage=(seconds,) * 2), seed=1)
        share = np.mean((made.stills > 0) & (made.stills < 1))
        assert share == pytest.approx(seconds / (0.4 + seconds), abs=0.05)
    cut = make_streams(data, "h", replace(settings, passage=(0.0, 0.0)), seed=1)
    assert ((cut.stills > 0) & (cut.stills < 1)).mean() < 0.01


def test_frames_without_a_label_in_another_head_have_no_target(stills: FaceData, calm: Streams) -> None:
    """fer2013 has no contempt: neither it nor a passage from or to it has a target there."""
    contempt = calm.targets["ferplus"][..., BASIC.index("contempt")] > 0
    assert contempt.any()
    labelled = calm.targets["fer2013"].any(axis=2)
    np.testing.assert_array_equal(labelled, calm.mask & ~contempt)


def test_rare_emotions_come_as_wanted() -> None:
    data = plain_stills({"neutral": 10, "joy": 80, "fear": 20}, side=2)
    settings = replace(CALM, count=600, frames=(2, 2), hold=(5.0, 5.0), same=0.0)
    for rare, expected in ((0.0, 1.0), (0.5, 2.0), (1.0, 4.0)):
        made = make_streams(data, "h", replace(settings, rare=rare), seed=5)
        joy, fear = (made.truth("h")[:, 0] == k for k in (1, 2))
        assert joy.sum() / fear.sum() == pytest.approx(expected, rel=0.3)
        assert (~joy & ~fear).mean() > 0.5  # neutral comes most


def test_same_is_the_share_of_passages_to_another_face_with_the_same_label() -> None:
    data = plain_stills({"neutral": 30, "joy": 30, "fear": 30}, side=2)
    cuts = replace(CALM, count=150, frames=(60, 60), rate=(30, 30), hold=(0.2, 0.2), passage=(0.0, 0.0))
    for same in (0.0, 0.5, 1.0):
        made = make_streams(data, "h", replace(cuts, same=same), seed=7)
        gray = made.frames[:, :, 0, 0].astype(int)
        moved = np.abs(np.diff(gray, axis=1)) > 1
        kept = np.diff(made.truth("h"), axis=1) == 0
        assert moved.sum() > 500
        assert (moved & kept).sum() / moved.sum() == pytest.approx(same, abs=0.06)
        assert moved[~kept].all()


def test_neutral_is_where_most_streams_begin_and_passages_lead() -> None:
    data = plain_stills({"neutral": 9, "joy": 9, "fear": 9}, side=2)
    cuts = replace(
        CALM, count=300, frames=(60, 60), rate=(30, 30), hold=(0.3, 0.3), passage=(0.0, 0.0), same=0.0
    )
    truth = make_streams(data, "h", cuts, seed=3).truth("h")
    assert 0.3 < (truth == 0).mean() < 0.7
    before, after = truth[:, :-1], truth[:, 1:]
    left = (before != 0) & (after != before)
    assert (after[left] == 0).mean() == pytest.approx(0.6, abs=0.06)
    assert (after[left] != 0).any()  # from one emotion straight to another


def test_stills_without_a_clear_label_are_not_held() -> None:
    data = plain_stills({"neutral": 4, "joy": 4})
    target = data.targets["h"].copy()
    target[0] = target[4] = (CLEAR, CLEAR)
    target[5] = 0
    data = replace(data, targets={"h": target})
    made = make_streams(data, "h", replace(CALM, count=60), seed=1)
    held = made.frames[made.mask & (made.stills == 0)][:, 0, 0].astype(int)
    gray = data.images[:, 0, 0].astype(int)
    shown = {int(k) for k in np.abs(gray - held[:, None]).argmin(axis=1)}
    assert shown == {1, 2, 3, 6, 7}


def test_colour_stills_become_gray() -> None:
    faces = cartoon_faces(np.eye(8), size=20, seed=1)
    target = {"ferplus": np.eye(8, dtype=np.float32)}
    ids = np.array(list("abcdefgh"))
    made = make_streams(FaceData(faces, target, {"ferplus": BASIC}, ids), "ferplus", CALM, seed=1)
    assert made.frames.shape[2:] == (20, 20)
    gray = faces @ np.array([0.299, 0.587, 0.114])
    held = made.frames[made.mask & (made.stills == 0)].mean(axis=(1, 2))
    assert np.abs(gray.mean(axis=(1, 2)) - held[:, None]).min(axis=1).max() < 1


def test_oblong_stills(stills: FaceData) -> None:
    oblong = replace(stills, images=stills.images[:, :, 3:-3])
    made = make_streams(oblong, "ferplus", ROUGH, seed=1)
    assert made.frames.shape[2:] == (20, 14)


@pytest.mark.parametrize(
    ("counts", "head", "message"),
    [
        ({"calm": 3, "joy": 3}, "h", "must have neutral"),
        ({"neutral": 3, "joy": 3}, "k", "head='k'"),
        ({"neutral": 0, "joy": 3}, "h", "stills of neutral and of another"),
        ({"neutral": 3, "joy": 0}, "h", "stills of neutral and of another"),
    ],
)
def test_stills_that_make_no_stream(counts: dict[str, int], head: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_streams(plain_stills(counts), head, CALM)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "streams.count=0 must be 1"),
        ({"frames": (1, 4)}, "from 2 up"),
        ({"frames": (9, 4)}, "must be a range"),
        ({"rate": (0.0, 30.0)}, "streams.rate=.* from 0.1 up"),
        ({"rate": (8.0, np.inf)}, "streams.rate"),
        ({"hold": (0.0, 0.0)}, "streams.hold"),
        ({"passage": (-1.0, 1.0)}, "streams.passage"),
        ({"same": 1.5}, "streams.same=1.5 must lie in 0..1"),
        ({"rare": -0.1}, "streams.rare"),
        ({"noise": float("nan")}, "streams.noise"),
        ({"false": float("inf")}, "streams.false"),
    ],
)
def test_wrong_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        StreamSettings(**changes)


# --- what disturbs ----------------------------------------------------------------------------------------

STRONG = {
    "motion": 2.0,
    "jitter": 2.0,
    "light": 2.0,
    "noise": 0.2,
    "blur": 5.0,
    "occlusion": 5.0,
    "false": 5.0,
}


def film(stills: FaceData, t: int = 200, **changes: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return one still for t frames at 20 frames a second, as it is and disturbed."""
    settings = replace(CALM, **changes)
    still = np.repeat(stills.images[:1], t, axis=0)
    times = np.arange(t, dtype=np.float32) / 20
    rng = np.random.default_rng(11)
    return still, disturbed(still / np.float32(255), times, stills.images, settings, rng)


@pytest.mark.parametrize("name", EVENTS)
def test_each_disturbance_changes_pixels_but_no_target(stills: FaceData, name: str) -> None:
    still, shown = film(stills, **{name: STRONG[name]})
    mirrored = still[:, :, ::-1]
    apart = min(np.abs(shown.astype(int) - each).mean() for each in (still, mirrored))
    assert apart > 2
    made = make_streams(stills, "ferplus", replace(CALM, count=4, **{name: STRONG[name]}), seed=4)
    for i, n in enumerate(made.mask.sum(axis=1)):
        for head, target in made.targets.items():  # those of a still, or on the way between two
            total = target[i, :n].sum(axis=1)
            assert np.isclose(total, 1).all() or head == "fer2013"
            held = target[i, :n][(made.stills[i, :n] == 0) & (total > 0)]
            assert np.isin(held, (0, 1)).all()


def test_nothing_disturbs_at_strength_nought(stills: FaceData) -> None:
    still, shown = film(stills)
    apart = [np.abs(shown.astype(int) - each).max() for each in (still, still[:, :, ::-1])]
    assert min(apart) <= 1


@pytest.mark.parametrize("rate", [0.25, 1.0])
def test_false_frames_come_at_the_rate_that_is_wanted(stills: FaceData, rate: float) -> None:
    """Of 1 to 3 frames; two may touch, so a few less are counted."""
    counts, longest = 0, 0
    still = np.repeat(stills.images[:1], 200, axis=0)
    times = np.arange(200, dtype=np.float32) / 20
    settings, rng = replace(CALM, false=rate), np.random.default_rng(1)
    for _ in range(20):
        shown = disturbed(still / np.float32(255), times, stills.images, settings, rng)
        usual = np.median(shown, axis=0)
        wrong = np.abs(shown - usual).mean(axis=(1, 2)) > 3
        edges = np.flatnonzero(np.diff(np.r_[False, wrong, False].astype(int)))
        counts += len(edges) // 2
        longest = max(longest, *(edges[1::2] - edges[::2]).tolist())
    assert counts / (20 * 10) == pytest.approx(rate, rel=0.35)
    assert longest >= 3


def test_things_pass_before_the_face_at_the_rate_that_is_wanted(stills: FaceData) -> None:
    """Each lasts 0.1 to 0.8 s, 0.45 s in the mean."""
    covered = []
    flat = replace(stills, images=np.full_like(stills.images, 90))
    for seed in range(12):
        settings = replace(CALM, occlusion=0.3)
        still, rng = np.repeat(flat.images[:1], 200, axis=0), np.random.default_rng(seed)
        times = np.arange(200, dtype=np.float32) / 20
        shown = disturbed(still / np.float32(255), times, flat.images, settings, rng)
        covered.append((shown != 90).any(axis=(1, 2)).mean())
        assert (shown == 90).mean(axis=(1, 2)).min() > 0.2  # never the whole face
    assert np.mean(covered) == pytest.approx(0.3 * 0.45, rel=0.5)


def test_the_trembling_is_from_frame_to_frame_and_the_motion_is_slow(stills: FaceData) -> None:
    def steps(shown: NDArray[np.uint8]) -> float:
        """Change between neighbours, against that between frames two seconds apart."""
        x = shown.astype(float)
        return float(np.abs(x[1:] - x[:-1]).mean() / np.abs(x[40:] - x[:-40]).mean())

    assert steps(film(stills, motion=1.0)[1]) < 0.5
    assert steps(film(stills, jitter=1.0)[1]) == pytest.approx(1, abs=0.15)


def test_a_warp_by_nothing_and_by_a_whole_pixel(stills: FaceData) -> None:
    x = stills.images[:3] / np.float32(255)
    matrix = np.repeat(np.array([[[1, 0, 0], [0, 1, 0]]], np.float32), 3, axis=0)
    np.testing.assert_allclose(warped(x, matrix), x, atol=1e-5)
    matrix[:, 0, 2] = 2 / (x.shape[2] - 1)  # a pixel, in units of half the side
    np.testing.assert_allclose(warped(x, matrix)[:, :, :-1], x[:, :, 1:], atol=1e-5)
    np.testing.assert_allclose(warped(x, matrix)[:, :, -1], x[:, :, -1], atol=1e-5)  # edges repeat
    matrix[:, 0] = (-1, 0, 0)
    np.testing.assert_allclose(warped(x, matrix), x[:, :, ::-1], atol=1e-5)


# --- a picture of them ------------------------------------------------------------------------------------


def lines(path: Path) -> NDArray[np.uint8]:
    """Return the colours (rows, width, 3) of the lines over the frames of each row."""
    picture = np.asarray(Image.open(path))
    return picture[9 : picture.shape[0] - 40 : 78]


def test_streams_can_be_looked_at(run: Run) -> None:
    done = run("data", "streams", "cartoon:?n=40&size=24", "-o", "sheet.png", "--count", 5, "--seed", 1)
    assert done.status == 0
    assert "5 streams: sheet.png" in done.out
    made = make_streams(open_data("cartoon:?n=40&size=24"), "ferplus", StreamSettings(count=5), seed=1)
    bars = lines(Path("sheet.png"))
    assert len(bars) == 5
    for i in range(5):
        for k, t in enumerate(range(0, int(made.mask[i].sum()), 3)):
            bar = bars[i, 8 + 66 * k : 8 + 66 * k + 64]
            for label, share in zip(BASIC, made.targets["ferplus"][i, t], strict=True):
                assert (bar == COLORS[label]).all(axis=1).mean() == pytest.approx(share, abs=0.02)
    picture = np.asarray(Image.open("sheet.png"))
    frame = picture[14:78, 8:72]
    expected = np.asarray(Image.fromarray(made.frames[0, 0]).resize((64, 64), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(frame, np.repeat(expected[..., None], 3, axis=2))


def test_streams_as_settings_say(run: Run) -> None:
    text = 'name = "x"\nkind = "rnn"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n'
    Path("run.toml").write_text(text + "[loss.heads]\nfer2013 = 1\n[streams]\nframes = [4, 4]\n")
    every = ("--every", 2, "--count", 2, "-o", "sheet.png")
    done = run("data", "streams", "cartoon:?n=40&size=24", "--settings", "run.toml", *every)
    assert done.status == 0
    bars = lines(Path("sheet.png"))
    faces = (bars[:, 8:] != bars[0, 2]).any(axis=(0, 2))  # not the ground
    assert np.flatnonzero(faces).max() == 66 + 64 - 1  # two frames of four
    teal = COLORS["contempt"]
    assert not (np.asarray(Image.open("sheet.png")) == teal).all(axis=2).any()  # not among fer2013's labels


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--head", "ferplu"), "did you mean 'ferplus'"),
        (("-o", "sheet.txt"), "output"),
        (("--settings", "none.toml"), "cannot be read"),
    ],
)
def test_streams_that_cannot_be_looked_at(run: Run, words: tuple[str, ...], message: str) -> None:
    done = run("data", "streams", "cartoon:?n=40&size=24", *words)
    assert done.status != 0
    assert message in done.err
