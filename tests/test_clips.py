"""Clips: how they are opened, the streams that are made along them, and what is learned from them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyfer.cartoon import cartoon_faces
from pyfer.datasets import CKPLUS_LABELS, Clips, open_clips, open_data
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, DataError
from pyfer.models import Model
from pyfer.streams import Streams, StreamSettings, streams_of_clips

CK = Path(__file__).resolve().parents[2] / "shared" / "data" / "ckplus"
EVENTS = ("motion", "jitter", "light", "noise", "blur", "occlusion", "false")
CALM = StreamSettings(**dict.fromkeys(EVENTS, 0.0))
ROWS = [
    ("S1_001", "S1", "fear", 0),
    ("S1_002", "S1", "neutral", 1),
    ("S2_001", "S2", "contempt", 0),
    ("S3_001", "S3", "anger", 0),
]
"""Name, person, label, whether it is a composed neutral clip."""
GRAYS = np.array([0, 60, 120, 180])
"""Of the frames of a plain clip: the gray is 60 times the place in the clip."""


def pictures(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, 4, 48, 48), np.uint8)


def write(folder: Path, rows: list[tuple[str, str, str, int]], **columns: NDArray[Any]) -> str:
    """Write ``labels.csv`` and ``sequences.npz``; return the spec. `columns` replace arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("clip_id", "subject", "label", "composed_neutral"))
        writer.writerows(rows)
    present = np.ones((len(rows), 4), np.uint8)
    present[-1, 0] = 0
    arrays = {"frames": pictures(len(rows)), "present": present} | columns
    np.savez(folder / "sequences.npz", **arrays)
    return f"ckplus:{folder}"


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return write(tmp_path / "ck", ROWS)


def plain(labels: tuple[str, ...] = ("happiness", "fear"), n: int = 40, late: int = 0) -> Clips:
    """Return clips of one gray a frame, `GRAYS`, labels in turn; the last `late` lack their first frame."""
    frames = np.broadcast_to(GRAYS.astype(np.uint8)[:, None, None], (n, 4, 6, 6)).copy()
    present = np.ones((n, 4), bool)
    present[n - late :, 0] = False
    names = np.array([f"p{k // 2}" for k in range(n)])
    return Clips(frames, present, np.arange(n) % len(labels), labels, names, "plain:")


def drawn(n: int = 6, late: int = 1) -> Clips:
    """Return clips of cartoon faces on their way from neutral to happiness or fear, each another person."""
    truth = np.arange(n) % 2
    whole = np.zeros((n, 8))
    whole[np.arange(n), np.array([BASIC.index("happiness"), BASIC.index("fear")])[truth]] = 1
    stages = [share * whole + (1 - share) * np.eye(8)[[0]] for share in (0, 0.5, 0.75, 1)]
    frames = np.stack([cartoon_faces(stage, seed=2, variation=0)[..., 0] for stage in stages], axis=1)
    clips = plain(n=n, late=late)
    return replace(clips, frames=np.ascontiguousarray(frames))


# --- opening them -----------------------------------------------------------------------------------------


def test_clips_are_opened_without_the_composed_ones(spec: str) -> None:
    clips = open_clips(spec)
    assert len(clips) == 3
    assert clips.labels == CKPLUS_LABELS
    assert [clips.labels[k] for k in clips.truth] == ["fear", "contempt", "anger"]
    assert clips.subjects.tolist() == ["S1", "S2", "S3"]
    assert clips.present.dtype == bool
    assert clips.present.tolist() == [[True] * 4, [True] * 4, [False, True, True, True]]
    np.testing.assert_array_equal(clips.frames, pictures(4)[[0, 2, 3]])
    assert clips.spec == spec


def test_their_last_frames_are_the_faces_of_the_same_data_set(spec: str) -> None:
    """A study sets answers for clips beside answers for faces, row by row."""
    clips, faces = open_clips(spec), open_data(spec)
    assert faces.subjects is not None
    (head,) = faces.labels
    np.testing.assert_array_equal(clips.frames[:, -1], faces.images)
    assert clips.subjects.tolist() == faces.subjects.tolist()
    assert clips.labels == faces.labels[head]
    np.testing.assert_array_equal(clips.truth, faces.targets[head].argmax(axis=1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("cartoon:?n=8", "must be of the reader ckplus"),
        ("ckplsu:x", "did you mean 'ckplus'"),
        ("ckplus:x?neutral=1", "must have no options"),
    ],
)
def test_a_spec_that_names_no_clips(wrong: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        open_clips(wrong)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            ROWS[:3],
            {"frames": pictures(4)},
            "3 rows, sequences.npz has 4 sequences in frames and 3",
        ),
        (ROWS, {"present": np.ones((5, 4))}, "4 sequences in frames and 5 in present; must be equal"),
        (ROWS, {"present": np.ones((4, 3))}, r"present \(4, 3\); must be \(n, t, h, w\) and \(n, t\)"),
        (ROWS, {"frames": pictures(4)[:, 0]}, r"frames has shape \(4, 48, 48\)"),
        ([*ROWS[:3], ("S4_001", "S4", "awe", 0)], {}, "label='awe' must be one of happiness, surprise"),
        ([ROWS[1]], {}, "has no sequence: all 1 rows are composed"),
    ],
)
def test_files_that_do_not_fit(
    rows: list[tuple[str, str, str, int]], columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        open_clips(write(tmp_path / "ck", rows, **columns))


@pytest.mark.parametrize("name", ["labels.csv", "sequences.npz"])
def test_files_that_are_missing_or_damaged(name: str, spec: str) -> None:
    file = Path(spec.partition(":")[2]) / name
    file.write_bytes(b"\xff\xfe nothing of use")
    with pytest.raises(DataError, match=name):
        open_clips(spec)
    file.unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        open_clips(spec)


@pytest.mark.skipif(not CK.is_dir(), reason="the research data are not there (../shared/data)")
def test_the_real_clips() -> None:
    clips = open_clips(f"ckplus:{CK}")
    assert clips.frames.shape == (287, 4, 48, 48)
    assert clips.present[:, 1:].all()  # only the neutral first frame may be missing
    assert int(clips.present[:, 0].sum()) == 278
    counts = np.bincount(clips.truth, minlength=7).tolist()
    faces = open_data(f"ckplus:{CK}").targets["ckplus"]
    assert counts == faces.sum(axis=0).tolist()
    apart = np.abs(np.diff(clips.frames[clips.present[:, 0]].astype(float), axis=1)).mean(axis=(0, 2, 3))
    assert apart[0] > 2 * apart[1:].max()  # most of the way lies between neutral and the last frames


# --- streams along them -----------------------------------------------------------------------------------


def made(clips: Clips, settings: StreamSettings = CALM, seed: int = 0) -> Streams:
    return streams_of_clips(clips, BASIC, settings, seed, "ferplus")


def test_a_stream_goes_from_neutral_to_the_apex_and_back() -> None:
    clips = plain()
    streams = made(clips)
    truth = streams.truth("ferplus")
    for k, n in enumerate(streams.mask.sum(axis=1)):
        place = streams.frames[k, :n, 0, 0] / 60
        expression = BASIC.index(clips.labels[clips.truth[k]])
        assert set(truth[k, :n].tolist()) == {0, expression}
        at_apex = np.flatnonzero(place == 3)
        seconds = streams.times[k, at_apex[-1]] - streams.times[k, at_apex[0]]
        assert 0.3 < seconds < 1.4  # 0.8 s, more or less
        assert place[0] == place[n - 1] == 0
        assert (np.diff(place[: at_apex[0] + 1]) >= 0).all()
        assert (np.diff(place[at_apex[-1] : n]) <= 0).all()
        sure = np.abs(place - 0.5) > 0.02  # the gray is rounded
        assert ((truth[k, :n] == expression) == (place >= 0.5))[sure].all()
    assert streams.labels == {"ferplus": BASIC}


def test_frames_between_are_dissolves_of_the_same_clip() -> None:
    clips = plain(n=2)
    clips.frames[1] = 255 - clips.frames[1]
    one, other = made(clips).frames[..., 0, 0].astype(int)
    assert set(one[one > 0].tolist()) - set(GRAYS.tolist())  # grays that no frame has
    assert (one <= 180).all()
    assert (other[made(clips).mask[1]] >= 75).all()


def test_a_stream_has_times_a_mask_and_one_label_a_frame() -> None:
    streams = made(plain(), replace(CALM, rate=(10.0, 20.0)))
    lengths = streams.mask.sum(axis=1)
    assert len(set(lengths.tolist())) > 5
    assert lengths.max() == streams.frames.shape[1]
    for k, n in enumerate(lengths):
        steps = np.diff(streams.times[k, :n])
        assert streams.times[k, 0] == 0
        assert 1 / 20.5 < steps.min() <= steps.max() < 1 / 9.5
        assert streams.mask[k, :n].all()
        assert (streams.targets["ferplus"][k, :n].sum(axis=1) == 1).all()
        assert not streams.targets["ferplus"][k, n:].any()
        assert not streams.frames[k, n:].any()
        assert not streams.interval[k, n:].any()


def test_clips_without_a_neutral_first_frame_make_no_stream() -> None:
    clips = plain(("happiness", "fear"), n=10, late=4)
    clips.frames[6:] = 255
    streams = made(clips)
    assert len(streams) == 6
    assert streams.frames.max() == 180


def test_the_seed_decides_and_disturbances_never_touch_the_truth() -> None:
    clips = drawn(4, late=0)
    rough = [made(clips, StreamSettings(), seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(rough[0].frames, rough[1].frames)
    assert rough[0].mask.shape != rough[2].mask.shape or (rough[0].times != rough[2].times).any()
    calm = made(clips, CALM, 1)
    np.testing.assert_array_equal(calm.targets["ferplus"], rough[0].targets["ferplus"])
    np.testing.assert_array_equal(calm.times, rough[0].times)
    change = np.abs(calm.frames.astype(float) - rough[0].frames).mean(axis=(2, 3))
    assert (change[calm.mask] > 1).mean() > 0.9


def test_clips_of_another_length_reach_their_apex() -> None:
    clips = plain(n=4)
    short = replace(clips, frames=clips.frames[:, [0, 3]], present=clips.present[:, :2])
    streams = made(short)
    assert (streams.frames.max(axis=(1, 2, 3)) == 180).all()


def test_streams_that_cannot_be_made() -> None:
    with pytest.raises(ArgumentError, match="'neutral' is missing"):
        streams_of_clips(plain(), BASIC[1:], CALM, 0, "h")
    with pytest.raises(ArgumentError, match="'awe' is missing"):
        made(plain(("awe", "fear")))
    with pytest.raises(DataError, match="none of 4 has its neutral first frame"):
        made(plain(n=4, late=4))


# --- learning from them -----------------------------------------------------------------------------------

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from pyfer.training import clips as learning  # noqa: E402
from pyfer.training.loop import load_network, train  # noqa: E402
from pyfer.training.sequences import Frames  # noqa: E402
from pyfer.training.settings import (  # noqa: E402
    DataSettings,
    LossSettings,
    RecurrentSettings,
    ScheduleSettings,
    Settings,
)

COUNT = 3


@pytest.fixture(scope="module")
def clips() -> Clips:
    return drawn()


@pytest.fixture(scope="module")
def seen(clips: Clips, tiny_model: Model) -> Frames:
    return learning.views(clips, tiny_model, COUNT, seed=5)


def test_views_are_the_clip_its_mirror_image_and_changed_copies(
    clips: Clips, seen: Frames, tiny_model: Model
) -> None:
    embedding = seen.values[0].reshape(len(clips), COUNT + 2, 4, -1).astype(float)
    for view, frames in ((0, clips.frames), (1, clips.frames[..., ::-1])):
        for k in range(5):
            expected = tiny_model(np.ascontiguousarray(frames[k])).embedding
            np.testing.assert_allclose(embedding[k, view], expected, atol=1e-4)
    changed = embedding[:5, 2:]
    assert (np.abs(changed - embedding[:5, :1]).max(axis=(2, 3)) > 0.01).all()
    assert np.abs(changed[:, 0] - changed[:, 1]).max() > 0.01  # no two alike
    assert np.abs(np.diff(np.sort(seen.values[1].sum(axis=-1)[seen.mask]))).max() < 1e-4  # two heads each


def test_a_clip_without_its_first_frame_is_shorter(clips: Clips, seen: Frames, tiny_model: Model) -> None:
    mask = seen.mask.reshape(len(clips), COUNT + 2, 4)
    assert mask[:5].all()
    assert (mask[5] == [True, True, True, False]).all()
    late = seen.values[0].reshape(len(clips), COUNT + 2, 4, -1)[5, 0]
    expected = tiny_model(np.ascontiguousarray(clips.frames[5, 1:])).embedding
    np.testing.assert_allclose(late[:3], expected, atol=1e-4)
    assert not late[3].any()


def test_views_hang_on_the_seed_alone(clips: Clips, seen: Frames, tiny_model: Model) -> None:
    again = learning.views(clips, tiny_model, COUNT, seed=5)
    other = learning.views(clips, tiny_model, COUNT, seed=6)
    np.testing.assert_array_equal(again.values[0], seen.values[0])
    assert not np.array_equal(other.values[0], seen.values[0])


def test_views_can_be_kept_as_one_array(clips: Clips, seen: Frames, tiny_model: Model) -> None:
    found = learning.frames_of(clips, COUNT, learning.stacked(seen), tiny_model)
    for one, other in zip(found.values, seen.values, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.mask, seen.mask)
    np.testing.assert_array_equal(found.times, seen.times)


def test_a_still_film_shows_the_apex_alone(seen: Frames) -> None:
    found = learning.still(seen)
    for one, other in zip(found.values, seen.values, strict=True):
        for k, n in enumerate(seen.mask.sum(axis=1)):
            np.testing.assert_array_equal(one[k, :n], np.repeat(other[k, n - 1][None], n, axis=0))
    np.testing.assert_array_equal(found.mask, seen.mask)
    np.testing.assert_array_equal(found.times, seen.times)


def settings(tiny: Path, **schedule: Any) -> Settings:
    return Settings(
        name="clips",
        data=DataSettings(train=("plain:",), validation="plain:"),
        kind="rnn",
        seed=3,
        rnn=RecurrentSettings(encoder=str(tiny), width=16, inner=16, dropout=0.0, inertia=0, direct=True),
        schedule=ScheduleSettings(**{"epochs": 4, "batch": 8, "rate": 1e-2, "validate_every": 4} | schedule),
        loss=LossSettings(heads={"ferplus": 1.0}),
    )


def test_every_frame_but_the_neutral_one_has_the_label(
    clips: Clips, seen: Frames, tiny: Path, tiny_model: Model
) -> None:
    truth = np.repeat(clips.truth, COUNT + 2)
    task = learning.Labelled(settings(tiny), seen, truth, clips.labels, tiny_model)
    target = task.train.targets["ferplus"].reshape(len(clips), COUNT + 2, 4, 8)
    for k in range(len(clips)):
        expected = np.zeros((4, 8))
        expected[:, BASIC.index(clips.labels[clips.truth[k]])] = 1
        expected[3 if k == 5 else 0] = 0  # where nothing is seen, and where neutral is
        assert (target[k] == expected).all()
    assert task.steps == len(seen) // 8


class Echo(torch.nn.Module):
    """Says the embedding of the frame as logits."""

    def forward(self, embedding: Any, *others: Any) -> dict[str, Any]:
        return {"h": embedding}


def test_the_answer_is_that_of_the_last_frame_there_is() -> None:
    n = 700  # more than are asked for at a time
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 4, 6)).astype(np.float32)
    mask = np.ones((n, 4), bool)
    mask[rng.random(n) < 0.3, 3] = False
    mask[:300, 3] = False  # a run of films that are short
    frames = Frames((z, z[..., :2]), np.zeros((n, 4), np.float32), mask, {})
    columns = np.array([4, 1, 5])
    found = learning.apex_probabilities(Echo(), frames, "h", columns, two_way=False)
    last = z[np.arange(n), mask.sum(axis=1) - 1][:, columns].astype(float)
    expected = np.exp(last) / np.exp(last).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def only_the_way_tells(n: int = 64) -> tuple[Frames, NDArray[np.int64]]:
    """Return films whose apexes are all alike: which way was taken is seen in the frames before."""
    rng = np.random.default_rng(1)
    truth = np.arange(n) % 2
    embedding = 0.1 * rng.normal(size=(n, 4, 4)).astype(np.float32)
    embedding[:, 1:3, 0] += np.array([-2, 2])[truth, None]
    embedding[:, 3] = 0.5
    said = np.full((n, 4, 15), 1 / 8, np.float32)
    said[..., 8:] = 1 / 7
    times = np.repeat(np.asarray(learning.PASSES, np.float32)[None], n, axis=0)
    return Frames((embedding, said), times, np.ones((n, 4), bool), {}), truth


@pytest.mark.parametrize("stands", [False, True], ids=["the way", "the apex alone"])
def test_what_the_frames_before_tell_is_learned(
    stands: bool, tiny: Path, tiny_model: Model, tmp_path: Path
) -> None:
    frames, truth = only_the_way_tells()
    frames = learning.still(frames) if stands else frames
    chosen = settings(tiny, epochs=16, validate_every=16, average=0.9)
    learn, ask = np.arange(32), np.arange(32, 64)
    task = learning.Labelled(chosen, frames[learn], truth[learn], ("happiness", "fear"), tiny_model)
    train(chosen, tmp_path / "run", task=task)
    columns = np.array([BASIC.index("happiness"), BASIC.index("fear")])
    p = learning.apex_probabilities(
        load_network(tmp_path / "run")[0], frames[ask], "ferplus", columns, two_way=False
    )
    right = float((p.argmax(axis=1) == truth[ask]).mean())
    assert right == 0.5 if stands else right > 0.9
