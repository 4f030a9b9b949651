"""Films in and out: times, order, size, damage, cameras, sound, threads that end, and a window."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filming import (
    astronaut_frames,
    cartoon_film,
    number_of,
    numbered_frames,
    write_film,
    write_tone,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pyfer import errors
from pyfer.errors import ArgumentError, MissingExtraError, SourceError
from pyfer.films import ENDINGS, Film, FilmWriter, Span, Window, decoding
from pyfer.films.ahead import Ahead
from pyfer.films.decoding import turned
from pyfer.films.writing import fitted

av = pytest.importorskip("av")

SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "films"
CONTAINERS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts")
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def sample(name: str) -> Path:
    if not (SAMPLES / name).is_file():
        pytest.skip(f"the sample film {name} is not there")
    return SAMPLES / name


def seen(source: str | Path, span: Span | None = None) -> list[tuple[int, float, int]]:
    """Return index, time and the number that is written in each frame of a film of `numbered_frames`."""
    return [(f.index, f.time, number_of(f.image)) for f in Film(source, span)]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("pyfer")]


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    assert not threads()


@pytest.fixture(scope="session")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 numbered frames at 25 a second, as MP4, with a key picture every 10."""
    return write_film(tmp_path_factory.mktemp("films") / "numbered.mp4", numbered_frames(32))


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 seconds of a cartoon face with a tone of 440 Hz."""
    return cartoon_film(tmp_path_factory.mktemp("films") / "spoken.mp4", seconds=6, size=(96, 96), sound=True)


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", CONTAINERS)
def test_a_film_gives_its_frames_in_order_with_their_times(ending: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / f"film{ending}", numbered_frames(12), rate=20)
    with Film(path) as film:
        assert (film.name, film.width, film.height, film.live) == (str(path), 64, 48, False)
        assert film.rate == pytest.approx(20)
        assert not film.has_sound
        frames = list(film)
    assert [(f.index, number_of(f.image)) for f in frames] == [(k, k) for k in range(12)]
    assert [f.time for f in frames] == pytest.approx([k / 20 for k in range(12)], abs=6e-4)
    assert {(f.image.shape, f.image.dtype.name) for f in frames} == {((48, 64, 3), "uint8")}
    assert frames[0].image.flags.c_contiguous
    assert film.ending.status == "ok"
    assert film.ending.time == pytest.approx(11 / 20, abs=6e-4)


def test_colours_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 220
    (frame,) = Film(write_film(tmp_path / "red.mp4", [red]))
    assert np.abs(frame.image.mean(axis=(0, 1)) - (220, 0, 0)).max() < 8


def test_what_a_film_says_before_it_is_read(spoken: Path) -> None:
    with Film(spoken) as film:
        assert film.has_sound
        assert film.duration == pytest.approx(6)
        assert film.frames == 150
    with Film(spoken, Span(every=7, start=1, end=4)) as film:
        assert film.frames == len(list(Film(spoken, Span(every=7, start=1, end=4)))) == 11


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@QUICK
@given(steps=st.lists(st.integers(5, 900), min_size=1, max_size=15))
def test_variable_frame_rates_keep_their_times(ending: str, steps: list[int], tmp_path: Path) -> None:
    times = [ms / 1000 for ms in itertools.accumulate([0, *steps])]
    path = write_film(tmp_path / f"film{ending}", numbered_frames(len(times)), times=times)
    assert [t for _, t, _ in seen(path)] == pytest.approx(times, abs=6e-4)


@QUICK
@given(
    every=st.integers(1, 9),
    start=st.floats(0, 1.2),
    length=st.none() | st.floats(0.05, 1.5),
)
def test_a_span_is_a_slice_of_the_whole(
    every: int, start: float, length: float | None, numbered: Path
) -> None:
    end = None if length is None else start + length
    whole = [(k, k / 25, k) for k in range(32)]
    inside = [f for f in whole if start - 5e-4 <= f[1] < (end or 9) - 5e-4]
    film = Film(numbered, Span(every, start, end))
    frames = [(f.index, f.time, number_of(f.image)) for f in film]
    assert frames == [pytest.approx(f) for f in inside[::every]]
    assert film.ending.status == "ok"


def test_a_film_is_entered_in_the_middle_without_decoding_what_is_before(tmp_path: Path) -> None:
    path = write_film(tmp_path / "long.mkv", numbered_frames(32) * 40, rate=25)
    film = Film(path, Span(start=50, end=50.2))
    decoded = []
    reformat, film._decoder._time_of = film._decoder._time_of, lambda f: decoded.append(f) or reformat(f)  # type: ignore[attr-defined]
    assert [(f.index, number_of(f.image)) for f in film] == [(k, k % 32) for k in range(1250, 1255)]
    assert len(decoded) < 300  # up to a key picture (250 frames apart at most), not 1250


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pictures_stand_upright(rotation: int, tmp_path: Path) -> None:
    shown = astronaut_frames(seconds=0.1, size=(160, 96))
    film = Film(write_film(tmp_path / "turned.mp4", shown, rotation=rotation))
    assert (film.width, film.height) == (160, 96)
    for frame, picture in zip(film, shown, strict=True):
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - picture).mean() < 4


def test_the_sample_with_a_rotation_is_turned_as_it_says() -> None:
    """The file's matrix takes the right edge to the top."""
    film = Film(sample("rot.mp4"), Span(end=0.03))
    assert (film.width, film.height) == (360, 640)
    (frame,) = film
    with av.open(str(sample("rot.mp4"))) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(frame.image, np.rot90(stored))


@given(swap=st.booleans(), x=st.booleans(), y=st.booleans(), shape=st.tuples(*[st.integers(1, 5)] * 2))
def test_turning_is_a_turn(swap: bool, x: bool, y: bool, shape: tuple[int, int]) -> None:
    image = np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
    expected = image.swapaxes(0, 1) if swap else image
    expected = np.fliplr(expected) if x else expected
    expected = np.flipud(expected) if y else expected
    assert np.array_equal(turned(image, swap, x, y), expected)


def test_frames_may_change_their_size(tmp_path: Path) -> None:
    """A raw stream has no time stamps either: they come from the rate, also with a start."""
    one = write_film(tmp_path / "one.h264", numbered_frames(10))
    two = write_film(tmp_path / "two.h264", numbered_frames(20, (96, 64))[10:])
    both = tmp_path / "both.h264"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    frames = list(Film(both))
    assert [f.image.shape[:2] for f in frames] == [(48, 64)] * 10 + [(64, 96)] * 10
    assert [f.time for f in frames] == pytest.approx([k / 25 for k in range(20)])
    assert seen(both, Span(start=0.2, every=5)) == [(k, pytest.approx(k / 25), k) for k in (5, 10, 15)]


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("face_noface.mov", 169, (960, 540)),
        ("fer_test.mp4", 115, (596, 336)),
        ("no_face.mp4", 95, (960, 540)),
        ("single_face.mp4", 72, (640, 360)),
        ("vfr.mp4", 140, (640, 360)),
    ],
)
def test_sample_films_are_read_whole(name: str, frames: int, size: tuple[int, int]) -> None:
    film = Film(sample(name))
    assert (film.width, film.height) == size
    times = [frame.time for frame in film]
    assert len(times) == frames
    assert times == sorted(times)
    assert film.ending.status == "ok"


def test_a_still_is_a_film_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    Image.fromarray(numbered_frames(8)[7]).save(path)
    film = Film(path)
    assert (film.width, film.height, film.frames) == (64, 48, 1)
    assert [(f.index, f.time, number_of(f.image)) for f in film] == [(0, 0.0, 7)]
    assert film.ending.status == "ok"


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_an_animation_is_a_film(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"moving{ending}"
    first, *rest = [Image.fromarray(frame) for frame in numbered_frames(4)]
    first.save(path, save_all=True, append_images=rest, duration=[200, 300, 50, 100], lossless=True)
    film = Film(path)
    assert film.duration == pytest.approx(0.65)
    assert [(f.index, round(f.time, 6), number_of(f.image)) for f in film] == [
        (0, 0.0, 0), (1, 0.2, 1), (2, 0.5, 2), (3, 0.55, 3)
    ]  # fmt: skip
    assert seen(path, Span(start=0.3))[0][0] == 2
    assert seen(path, Span(start=0.54))[0][0] == 3


def test_time_goes_on_where_two_films_were_joined(tmp_path: Path) -> None:
    """The time stamps of the second part begin anew."""
    parts = [write_film(tmp_path / f"{k}.ts", numbered_frames(30)) for k in range(2)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    times = [frame.time for frame in Film(path)]
    assert len(times) == 60
    assert times[59] > 2
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.02


# --- what is no film --------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_an_error_with_a_kind(
    numbered: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = numbered.read_bytes()
    contents = {
        "empty.mp4": (b"", "empty"),
        "notes.mp4": (b"Dear diary,\n" * 50, "unreadable"),
        "list.m3u8": (b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n", "unreadable"),
        "zeros.mp4": (bytes(300_000), "unreadable"),
        "zeros.h264": (bytes(300_000), "unreadable"),
        "noise.mp4": (np.random.default_rng(0).bytes(300_000), "unreadable"),
        "no_index.mp4": (whole[: whole.index(b"moov")], "truncated"),
        "head.mp4": (whole[:100], "truncated"),
    }
    for name, (content, kind) in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SourceError, match=name) as caught:
            Film(path)
        assert caught.value.kind == kind, name
    assert capfd.readouterr() == ("", "")  # libav keeps its comments to itself


def test_other_things_that_are_no_film(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "holiday.mp4").touch()
    cases = {
        tmp_path: "directory",
        tmp_path / "holidays.mp4": "missing",
        tmp_path / "gone" / "x.mp4": "missing",
        tmp_path / "pipe.mp4": "unsupported",
        "https://example.org/x.mp4": "unsupported",
        "rtsp://example.org/x": "unsupported",
        "": "missing",
        "a\0b.mp4": "unreadable",
    }
    for source, kind in cases.items():
        with pytest.raises(SourceError) as caught:
            Film(source)
        assert caught.value.kind == kind, source
    with pytest.raises(SourceError, match=r"did you mean 'holiday\.mp4'"):
        Film(tmp_path / "holidays.mp4")
    with pytest.raises(SourceError, match="sound and no picture"):
        Film(write_tone(tmp_path / "tone.m4a"))


def test_wrong_arguments_are_named(numbered: Path) -> None:
    for wrong in (True, -1, None, 1.5):
        with pytest.raises(ArgumentError, match="source="):
            Film(wrong)  # type: ignore[arg-type]
    for span in ({"every": 0}, {"every": 1.5}, {"start": -1.0}, {"start": float("nan")}, {"end": 0.0}):
        with pytest.raises(ArgumentError, match=next(iter(span))):
            Span(**span)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"start=2.* film of 1.28 s"):
        Film(numbered, Span(start=2))


def test_too_many_pixels_are_refused_from_the_header(numbered: Path) -> None:
    assert len(list(Film(numbered, limit_pixels=64 * 48))) == 32
    with pytest.raises(SourceError, match="64 x 48") as caught:
        Film(numbered, limit_pixels=64 * 48 - 1)
    assert caught.value.kind == "too_large"


def test_a_frame_that_grows_too_large_ends_the_film(tmp_path: Path) -> None:
    both = tmp_path / "both.h264"
    small = write_film(tmp_path / "one.h264", numbered_frames(10))
    large = write_film(tmp_path / "two.h264", numbered_frames(10, (96, 64)))
    both.write_bytes(small.read_bytes() + large.read_bytes())
    film = Film(both, limit_pixels=64 * 48)
    assert len(list(film)) == 10
    assert film.ending.status == "truncated"
    assert "96 x 64" in film.ending.message


def test_without_pyav_the_extra_is_named(numbered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> Any:
        raise ImportError(module)

    monkeypatch.setattr(errors.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"io-pyfer\[video\]"):
        Film(numbered)


# --- damage in the middle ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_a_film_that_is_cut_short_gives_what_it_has(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut{ending}"
    with FilmWriter(path, rate=25) as writer:  # its MP4 has the index in front or in fragments
        for k, frame in enumerate(astronaut_frames(seconds=4, size=(160, 96))):
            writer.write(frame, k / 25)
    whole = path.read_bytes()
    if ending == ".mp4":
        remuxed = tmp_path / "front.mp4"
        remux(path, remuxed, {"movflags": "faststart"})
        path, whole = remuxed, remuxed.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    film = Film(path)
    frames = list(film)
    assert 30 < len(frames) < 90
    assert film.ending.status == "truncated"
    assert f"after {frames[-1].time:.2f} s" in film.ending.message
    assert film.ending.time == frames[-1].time


def remux(source: Path, target: Path, options: dict[str, str]) -> None:
    """Copy the pictures of a film into another container."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)


def test_a_damaged_place_is_left_out_and_told(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", astronaut_frames(seconds=4, size=(160, 96)))
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(data)
    film = Film(path)
    frames = list(film)
    assert 60 < len(frames) <= 100
    assert frames[-1].time > 3.5  # it goes on behind the damage
    assert film.ending.status == "truncated"
    assert "damaged" in film.ending.message


@QUICK
@given(cut=st.floats(0.05, 1), place=st.floats(0, 1), noise=st.binary(min_size=0, max_size=300))
def test_no_damage_makes_it_hang_or_raise_anything_else(
    cut: float, place: float, noise: bytes, numbered: Path, tmp_path: Path
) -> None:
    data = bytearray(numbered.read_bytes())
    at = int(place * len(data))
    data[at : at + len(noise)] = noise
    path = tmp_path / "hurt.mp4"
    path.write_bytes(data[: max(1, int(cut * len(data)))])
    with contextlib.suppress(SourceError):  # nothing else
        times = [frame.time for frame in Film(path)]
        assert times == sorted(times)


# --- threads ----------------------------------------------------------------------------------------------


def test_the_thread_ends_whatever_the_taker_does(numbered: Path) -> None:
    with Film(numbered) as film:
        for frame in film:
            if frame.index == 3:
                break
    assert not threads()
    assert film.ending.status == "stopped"
    assert "after 0.12 s" in film.ending.message

    def stumble() -> None:
        with Film(numbered) as film:
            for _ in film:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert not threads()

    frames = iter(Film(numbered))
    next(frames)
    assert threads()
    del frames
    gc.collect()
    assert not threads()

    film = Film(numbered)
    frames = iter(film)
    next(frames)
    film.close()
    film.close()
    assert not threads()
    assert list(frames) == []
    assert film.ending.status == "stopped"


def test_a_film_is_read_once(numbered: Path) -> None:
    film = Film(numbered)
    assert film.ending.status == "stopped"
    assert len(list(film)) == 32
    with pytest.raises(ArgumentError, match="open it again"):
        iter(film)
    closed = Film(numbered)
    closed.close()
    with pytest.raises(ArgumentError, match="open it again"):
        iter(closed)


@given(items=st.lists(st.integers(), max_size=40), room=st.integers(1, 5))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_everything_arrives_in_order(items: list[int], room: int) -> None:
    assert list(Ahead(items, room=room)) == items


def test_no_more_than_a_few_frames_wait() -> None:
    made: list[int] = []
    ahead = Ahead((made.append(k) or k for k in itertools.count()), room=3)  # type: ignore[func-returns-value]
    taken = iter(ahead)
    assert [next(taken) for _ in range(5)] == list(range(5))
    time.sleep(0.1)
    assert len(made) == 5 + 3 + 1  # one in the hand
    assert ahead.close()
    assert not ahead.close.__self__._waiting  # type: ignore[attr-defined]


def test_an_error_in_the_thread_reaches_the_taker_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    taken = iter(Ahead(items()))
    assert next(taken) == 1
    with pytest.raises(KeyError, match="lost"):
        next(taken)


def test_decoding_goes_on_while_the_taker_works() -> None:
    def slow() -> Iterator[int]:
        for k in range(10):
            time.sleep(0.02)
            yield k

    began = time.perf_counter()
    for _ in Ahead(slow()):
        time.sleep(0.02)
    assert time.perf_counter() - began < 0.34  # 0.4 one after the other


# --- cameras ----------------------------------------------------------------------------------------------


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A camera of 50 numbered frames a second; the list tells which was asked for."""
    picture = "nullsrc=s=64x48:r=50,geq=lum='16+(4+8*mod(N,32))*219/255':cb=128:cr=128,realtime"
    asked: list[int] = []

    def device(_: Any, number: int) -> tuple[str, str, dict[str, str]]:
        asked.append(number)
        return picture, "lavfi", {}

    monkeypatch.setattr(decoding, "device_of", device)
    return asked


def test_a_camera_gives_the_newest_frame_by_the_clock(camera: list[int]) -> None:
    began = time.monotonic()
    with Film("camera", Span(end=0.6)) as film:
        assert (film.live, film.duration, film.name) == (True, None, "camera:0")
        assert film.frames == 30
        taken = []
        for frame in film:
            taken.append((frame.index, frame.time, time.monotonic() - began, number_of(frame.image)))
            time.sleep(0.1)
    assert 0.5 < time.monotonic() - began < 1.5
    index, times, clock, number = (np.array(column) for column in zip(*taken, strict=True))
    assert (np.diff(index)[:-1] >= 3).all()  # slow takers lose frames and do not lag
    assert np.abs(clock - times - (clock - times).min()).max() < 0.1
    assert (number == index % 32).all()
    assert film.ending.status == "ok"


@pytest.mark.parametrize(
    ("source", "number"), [("camera", 0), ("camera:2", 2), (3, 3), ("/dev/video4", 4), (0, 0)]
)
def test_cameras_have_several_names(source: str | int, number: int, camera: list[int]) -> None:
    with Film(source) as film:
        assert film.name == f"camera:{number}"
        next(iter(film))
    assert camera == [number]
    assert film.ending.status == "stopped"


def test_a_camera_that_is_not_there_is_said(tmp_path: Path) -> None:
    if Path("/dev/video97").exists() or not sys.platform.startswith("linux"):
        pytest.skip("the name of a camera that is not there is known on Linux only")
    with pytest.raises(SourceError, match=r"camera:97: there is no such camera") as caught:
        Film("camera:97")
    assert caught.value.kind == "missing"


# --- writing ----------------------------------------------------------------------------------------------


def pictures(path: Path) -> list[tuple[float, int]]:
    return [(f.time, number_of(f.image)) for f in Film(path)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read_again(ending: str, tmp_path: Path) -> None:
    times = [0, 0.1, 0.15, 0.5, 0.9]
    path = tmp_path / f"out{ending}"
    with FilmWriter(path, rate=10) as writer:
        for frame, when in zip(numbered_frames(5), times, strict=True):
            writer.write(frame, when)
    assert [t for t, _ in pictures(path)] == pytest.approx(times, abs=1.1e-3)
    assert [k for _, k in pictures(path)] == list(range(5))
    assert Film(path).duration == pytest.approx(
        1.0, abs=0.01
    )  # the last one is shown as long as the rate says


def test_an_ending_is_refused_before_any_work(tmp_path: Path) -> None:
    for name, words in {
        "out.mp3": "did you mean '.mp4'",
        "out": r"ends in \.mp4",
        "gone/out.mp4": "there is no folder",
    }.items():
        with pytest.raises(ArgumentError, match=words):
            FilmWriter(tmp_path / name)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ArgumentError, match="is a folder"):
        FilmWriter(tmp_path / "folder.mp4")
    for wrong in ({"rate": 0}, {"start": -1}, {"start": 2, "end": 1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            FilmWriter(tmp_path / "out.mp4", **wrong)  # type: ignore[arg-type]


def test_pictures_of_other_sizes_are_fitted_in(tmp_path: Path) -> None:
    path = tmp_path / "sizes.mp4"
    with FilmWriter(path, rate=10) as writer:
        writer.write(np.full((47, 63, 3), 200, np.uint8), 0.0)
        writer.write(np.full((200, 50, 3), 200, np.uint8), 0.1)
        with pytest.raises(ArgumentError, match="uint8"):
            writer.write(np.zeros((4, 4), np.uint8), 0.2)
    first, second = (f.image for f in Film(path))
    assert first.shape == second.shape == (48, 64, 3)
    assert first.min() > 190  # no dark edge where the picture was odd
    assert second[:, :20].max() < 20  # black bars
    assert second[24, 32].min() > 190


@given(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 20)] * 2))
def test_a_fitted_picture_has_the_size(shape: tuple[int, int], half: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 255, np.uint8)
    out = fitted(image, 2 * half[0], 2 * half[1])
    assert out.shape == (2 * half[1], 2 * half[0], 3)
    assert out.max() == 255


def test_no_pictures_make_no_file_and_a_closed_film_takes_none(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with FilmWriter(path) as writer:
        pass
    assert not path.exists()
    with pytest.raises(ArgumentError, match="closed"):
        writer.write(numbered_frames(1)[0], 0.0)


def test_times_that_stand_still_are_pulled_apart(tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    with FilmWriter(path, rate=10, start=5) as writer:
        for k, frame in enumerate(numbered_frames(4)):
            writer.write(frame, 5.0 if k < 3 else 5.5)
    assert [t for t, _ in pictures(path)] == pytest.approx([0, 0, 0, 0.5], abs=1e-3)


def test_without_h264_pictures_are_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    path = tmp_path / "old.mp4"
    with FilmWriter(path, rate=25) as writer:
        for k, frame in enumerate(numbered_frames(8)):
            writer.write(frame, k * 1001 / 24000)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "mpeg4"
    assert pictures(path) == [(pytest.approx(k * 1001 / 24000, abs=1e-5), k) for k in range(8)]


def test_an_exception_leaves_a_film_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "half.mp4"

    def interrupted() -> None:
        with FilmWriter(path, rate=25) as writer:
            for k, frame in enumerate(numbered_frames(32)):
                if k == 20:
                    raise KeyboardInterrupt
                writer.write(frame, k / 25)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert pictures(path) == [(pytest.approx(k / 25, abs=1e-3), k) for k in range(20)]


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_killed_program_leaves_a_film(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"killed{ending}"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from filming import astronaut_frames
from pyfer.films import FilmWriter
writer = FilmWriter({str(path)!r}, rate=25)
for k, frame in enumerate(astronaut_frames(seconds=10, size=(160, 96))):
    writer.write(frame, k / 25)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    times = [frame.time for frame in Film(path)]
    assert len(times) >= 100  # 2 s from key to key, and what the encoder looks ahead


# --- sound ------------------------------------------------------------------------------------------------


def heard(path: Path) -> tuple[float, NDArray[np.float64], str]:
    """Return when the sound begins, its samples (mono, 48 kHz), and the codec."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=48_000)
    with av.open(str(path)) as container:
        codec = container.streams.audio[0].codec_context.codec.canonical_name
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return frames[0].time, np.concatenate([f.to_ndarray()[0] for f in frames]).astype(float), codec


@pytest.mark.parametrize(
    ("ending", "codec"), [(".mp4", "aac"), (".mkv", "aac"), (".mov", "aac"), (".webm", "opus")]
)
@pytest.mark.parametrize(("start", "end"), [(0.0, None), (1.503, 3.5)])
def test_the_sound_is_kept_in_step(
    ending: str, codec: str, start: float, end: float | None, spoken: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"out{ending}"
    with FilmWriter(path, rate=25, sound_of=spoken, start=start, end=end) as writer:
        for frame in Film(spoken, Span(start=start, end=end)):
            writer.write(frame.image, frame.time)
    begins, wave, is_codec = heard(path)
    assert is_codec == codec
    assert begins < 0.03
    assert len(wave) / 48_000 == pytest.approx((end or 6.0) - start, abs=0.06)
    # The tone's phase tells which moment of the source is heard: after `begins` comes `start` + `begins`.
    t = begins + start + np.arange(len(wave)) / 48_000
    middle = slice(9_600, 48_000)
    angle = np.angle(np.sum(wave[middle] * np.exp(-2j * np.pi * 440 * t[middle])) * 1j)
    assert abs(angle) / (2 * np.pi * 440) < 1.05e-3 if codec == "aac" else True  # Matroska counts in ms


def test_copied_sound_is_the_same_bytes(spoken: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with FilmWriter(path, rate=25, sound_of=spoken) as writer:
        for frame in Film(spoken):
            writer.write(frame.image, frame.time)

    def packets(film: Path) -> list[bytes]:
        with av.open(str(film)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    old, new = packets(spoken), packets(path)
    assert len(new) >= len(old) - 2
    assert set(new) <= set(old)


def test_the_sound_ends_with_the_pictures(spoken: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    with FilmWriter(path, rate=25, sound_of=spoken) as writer:
        for frame in Film(spoken, Span(end=2.0)):
            writer.write(frame.image, frame.time)
    assert len(heard(path)[1]) / 48_000 == pytest.approx(2.0, abs=0.05)


def test_a_film_without_sound_or_without_a_file_costs_no_pictures(numbered: Path, tmp_path: Path) -> None:
    for source in (numbered, tmp_path / "gone.mp4"):
        with FilmWriter(tmp_path / "out.mp4", rate=25, sound_of=source) as writer:
            for k, frame in enumerate(numbered_frames(5)):
                writer.write(frame, k / 25)
        assert len(pictures(tmp_path / "out.mp4")) == 5
        assert not Film(tmp_path / "out.mp4").has_sound


# --- window -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """A screen of 400 x 300 pixels that nobody sees; its name for DISPLAY."""
    pytest.importorskip("tkinter")
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed")
    command = [program, "-displayfd", "1", "-screen", "0", "400x300x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            number = server.stdout.readline().decode().strip()
            if not number:
                pytest.skip("Xvfb does not start here")
            yield f":{number}"
        finally:
            server.kill()


def in_window(body: str, screen: str) -> None:
    """Run Python lines with a window in a process of their own: Xlib ends its process with the screen."""
    code = """
import gc, threading
import numpy as np
from pyfer.films import Window

picture = np.zeros((80, 120, 3), np.uint8)
picture[..., 0] = 255


def press(window, key):
    window._root.focus_force()
    window._root.update()
    window._root.event_generate(key)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + body],
        env={**os.environ, "DISPLAY": screen},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_window_shows_pictures(screen: str) -> None:
    body = f"""
from PIL import ImageGrab, features

assert Window.available() is None
with Window("test") as window:
    assert window.show(picture)
    assert window.show(picture[..., ::-1])  # now blue
    assert (window._photo.width(), window._photo.height()) == (120, 80)
    if features.check("xcb"):
        shot = np.asarray(ImageGrab.grab(xdisplay={screen!r}).convert("RGB"))
        assert (shot == (0, 0, 255)).all(axis=2).sum() == 120 * 80
    assert window.show(np.zeros((1200, 1600, 3), np.uint8))  # larger than the screen
    assert (window._photo.width(), window._photo.height()) == (360, 270)
"""
    in_window(body, screen)


def test_keys_and_the_button_end_a_window(screen: str) -> None:
    body = """
for key in ("q", "<Escape>"):
    with Window() as window:
        assert window.show(picture)
        press(window, "<x>")
        assert window.show(picture)
        press(window, key)
        assert not window.show(picture)
        assert not window.show(picture)
with Window() as window:
    assert window.show(picture)
    window._root.tk.call(window._root.protocol("WM_DELETE_WINDOW"))
    assert not window.show(picture)
window.close()
assert not window.show(picture)
"""
    in_window(body, screen)


def test_a_closed_window_is_not_collected_by_another_thread(screen: str) -> None:
    """Tcl would abort the program."""
    body = """
gc.disable()
Window.available()
with Window() as window:
    assert window.show(picture)
window.itself = window  # so that only the collector finds it
del window
other = threading.Thread(target=gc.collect)
other.start()
other.join()
"""
    in_window(body, screen)


def test_without_a_screen_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("other systems always have a screen")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "DISPLAY" in (Window.available() or "")
    with pytest.raises(ArgumentError, match="no window can be opened"):
        Window()
    monkeypatch.setenv("DISPLAY", ":987")
    assert "cannot be used" in (Window.available() or "")


def test_a_missing_tkinter_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert "tkinter is missing" in (Window.available() or "")
