"""What a film gives, on disk: every frame, whole lines, an end that is marked, and nothing that grows."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyfer import sinks
from pyfer.emotions import NONE
from pyfer.errors import ArgumentError, MissingExtraError
from pyfer.results import Input, Result
from pyfer.sinks import Sink, open_sink

LABELS = ("neutral", "happiness", "fear")
FIXED = ["source", "status", "frame", "time", "track", "x0", "y0", "x1", "y1", "score", "emotion"]
KINDS = ("jsonl", "csv", "parquet")


def frame(*tracks: int, **changes: Any) -> Result:
    """A frame with these persons, each 70 % happy."""
    n = len(tracks)
    columns: dict[str, Any] = {
        "labels": LABELS,
        "basic": np.tile([0.2, 0.7, 0.1], (n, 1)),
        "box": np.tile([10.25, 20, 50, 60], (n, 1)),
        "score": np.full(n, 0.99),
        "landmarks": np.full((n, 5, 2), 7.0),
        "source": np.zeros(n, np.int64),
        "inputs": (Input("film.mp4"),),
        "track": np.array(tracks, np.int64),
    }
    return Result(**{**columns, **changes})


def write(path: Path, *frames: Result, end: tuple[str, ...] = ()) -> Path:
    with open_sink(path) as sink:
        for k, each in enumerate(frames):
            sink.write(k, k / 24, each)
        sink.close(*end)
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(path: Path) -> list[dict[str, Any]]:
    """Return the rows; an empty cell is None, numbers of CSV are numbers."""
    if path.suffix.lower() == ".parquet":
        found = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
        return [dict(row) for row in found]

    def cell(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text or None

    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: cell(text) for name, text in row.items()} for row in csv.DictReader(stream)]


# --- what is in it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet", "CSV", "Parquet"])
def test_a_row_a_face_and_a_frame_without_one_has_a_row_too(tmp_path: Path, ending: str) -> None:
    rows = table(write(tmp_path / f"out.{ending}", frame(4, 9), frame(), frame(9)))
    assert list(rows[0]) == [*FIXED, *LABELS]
    assert [(row["frame"], row["track"], row["status"]) for row in rows] == [
        (0, 4, "ok"), (0, 9, "ok"), (1, None, "no face"), (2, 9, "ok"),
    ]  # fmt: skip
    assert [row["source"] for row in rows] == ["film.mp4"] * 4
    assert rows[3]["time"] == pytest.approx(2 / 24, abs=1e-6)
    assert rows[0]["emotion"] == "happiness"
    assert [rows[0][name] for name in ("x0", "score", *LABELS)] == pytest.approx([10.25, 0.99, 0.2, 0.7, 0.1])
    assert all(rows[2][name] is None for name in FIXED[4:] + list(LABELS))


@pytest.mark.parametrize("ending", ["jsonl", "ndjson"])
def test_an_object_a_frame(tmp_path: Path, ending: str) -> None:
    found = lines(write(tmp_path / f"out.{ending}", frame(4, 9), frame()))
    assert found[0]["faces"] == [face.to_dict() for face in frame(4, 9)]
    assert [face["track"] for face in found[0]["faces"]] == [4, 9]
    assert {key: found[0][key] for key in ("source", "frame", "time", "status")} == {
        "source": "film.mp4", "frame": 0, "time": 0, "status": "ok",
    }  # fmt: skip
    assert found[1] == {"source": "film.mp4", "frame": 1, "time": 0.041667, "status": "no face", "faces": []}


def test_a_frame_that_failed_says_why(tmp_path: Path) -> None:
    failed = frame(inputs=(Input("film.mp4", "damaged", "frame 0 is damaged"),))
    assert lines(write(tmp_path / "a.jsonl", failed))[0]["message"] == "frame 0 is damaged"
    assert table(write(tmp_path / "a.csv", failed))[0]["status"] == "damaged"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_new_emotions_have_columns_and_no_name_is_there_twice(tmp_path: Path, ending: str) -> None:
    answers = (*LABELS, "time", "score", NONE)
    new = frame(3, answers=answers, posterior=np.array([[0.1, 0.1, 0.1, 0.4, 0.2, 0.1]]))
    row = table(write(tmp_path / f"out.{ending}", new))[0]
    assert list(row) == [*FIXED, *LABELS, "time (emotion)", "score (emotion)", NONE]
    assert (row["time"], row["emotion"]) == (0, "time")
    assert row["time (emotion)"] == pytest.approx(0.4)
    assert row["score"] == pytest.approx(0.99)


@pytest.mark.parametrize("kind", KINDS)
def test_faces_without_numbers_and_another_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    with open_sink(path, source="die Straße \udcff.mp4") as sink:
        sink.write(0, 0, frame(1, 2, track=None))
    rows = lines(path) if kind == "jsonl" else table(path)
    assert {row["source"] for row in rows} == {r"die Straße \udcff.mp4"}
    faces = rows[0]["faces"] if kind == "jsonl" else rows
    assert [face.get("track") for face in faces] == [None, None]


def test_times_of_long_films_keep_their_fractions(tmp_path: Path) -> None:
    for kind in KINDS:
        with open_sink(tmp_path / f"out.{kind}") as sink:
            sink.write(240_001, 36000.041666, frame(1))
    assert lines(tmp_path / "out.jsonl")[0]["time"] == 36000.041666
    assert [table(tmp_path / f"out.{kind}")[0]["time"] for kind in KINDS[1:]] == [36000.041666] * 2


# --- the end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_end_is_marked_in_a_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    last = table(write(path, frame(1), end=("truncated", "the film ends early")))[-1]
    assert (last.pop("source"), last.pop("status")) == ("film.mp4", "truncated")
    assert set(last.values()) == {None}
    assert [row["status"] for row in table(write(path, frame(1)))] == ["ok"]


def test_the_end_is_marked_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    last = lines(write(path, frame(1), end=("stopped", "you pressed Ctrl-C")))[-1]
    assert last == {"source": "film.mp4", "status": "stopped", "message": "you pressed Ctrl-C"}
    assert len(lines(write(path, frame(1), end=("ok",)))) == 1


def test_parquet_says_the_end_in_its_metadata(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write(tmp_path / "out.parquet", frame(1), end=("truncated", "the film ends early"))
    marks = parquet.read_metadata(path).metadata
    assert (marks[b"pyfer.status"], marks[b"pyfer.message"]) == (b"truncated", b"the film ends early")
    write(path, frame(1))
    assert b"pyfer.status" not in (parquet.read_metadata(path).metadata or {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), ValueError("odd")])
def test_an_exception_closes_the_file_and_marks_it(tmp_path: Path, kind: str, stop: BaseException) -> None:
    path = tmp_path / f"out.{kind}"

    def interrupted() -> None:
        with open_sink(path) as sink:
            sink.write(0, 0, frame(1))
            raise stop

    with pytest.raises(type(stop)):
        interrupted()
    rows = lines(path) if kind == "jsonl" else table(path)
    assert [row["status"] for row in rows] == ["ok", "stopped"]
    if kind == "jsonl":
        assert rows[-1]["message"] in ("KeyboardInterrupt", "ValueError: odd")
    assert [each.name for each in tmp_path.iterdir() if each.name != "home"] == [path.name]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_film_without_frames_leaves_an_empty_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    assert table(write(path)) == []
    if kind == "csv":
        assert path.read_text() == ",".join(FIXED) + "\n"
    else:
        assert pytest.importorskip("pyarrow.parquet").read_schema(path).names == FIXED
    with open_sink(path, source="a.mp4") as sink:
        sink.close("truncated")
    assert [(row["source"], row["status"]) for row in table(path)] == [("a.mp4", "truncated")]


def test_a_film_without_frames_leaves_no_lines(tmp_path: Path) -> None:
    assert lines(write(tmp_path / "out.jsonl")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_end_counts_and_nothing_comes_after_it(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"out.{kind}", frame(1), end=("stopped",))
    before = path.read_bytes()
    sink = open_sink(path)
    sink.write(0, 0, frame(1))
    sink.close("stopped")
    sink.close("truncated")
    assert path.read_bytes() == before
    with pytest.raises(ArgumentError, match="is closed"):
        sink.write(1, 1, frame(1))


# --- while it runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "heads"), [("jsonl", 0), ("csv", 1)])
def test_another_program_can_follow_it(tmp_path: Path, kind: str, heads: int) -> None:
    path = tmp_path / f"out.{kind}"
    with open_sink(path) as sink:
        for k in range(5):
            sink.write(k, k, frame(1, 2) if kind == "csv" else frame(1))
            text = path.read_text()
            assert text.endswith("\n")
            assert text.count("\n") == heads + (k + 1) * (2 if kind == "csv" else 1)


def test_a_frame_is_written_in_one_call(tmp_path: Path) -> None:
    """So a kill between two calls leaves whole lines."""
    calls: list[bytes] = []
    for kind in KINDS[:2]:
        sink: Any = open_sink(tmp_path / f"out.{kind}")
        stream = sink._stream

        class Spy:
            def write(self, data: Any, to: Any = stream) -> int:
                calls.append(bytes(data))
                return int(to.write(data))

            def close(self, to: Any = stream) -> None:
                to.close()

        sink._stream = Spy()
        sink.write(0, 0, frame(1, 2, 3))
        sink.write(1, 1, frame(1, 2, 3))
        sink.close()
    assert len(calls) == 2 + 3  # CSV has a head
    assert all(call.endswith(b"\n") for call in calls)


def test_parquet_appears_when_it_is_complete(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "out.parquet"
    path.write_bytes(b"an older file")
    sink = open_sink(path)
    sink.write(0, 0, frame(1))
    assert path.read_bytes() == b"an older file"
    hidden = [each.name for each in tmp_path.iterdir() if each.name.startswith(".out.parquet.")]
    assert len(hidden) == 1
    sink.close()
    assert len(table(path)) == 1


def test_row_groups_are_bounded_and_what_waits_is_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(sinks, "GROUP", 10)
    path = tmp_path / "out.parquet"
    sink: Any = open_sink(path)
    for k in range(17):
        sink.write(k, k, frame(1, 2))
        assert len(sink._waiting) < 10
    sink.close("stopped")
    found = parquet.ParquetFile(path).metadata
    assert [found.row_group(k).num_rows for k in range(found.num_row_groups)] == [10, 10, 10, 5]
    assert [row["frame"] for row in table(path)] == [*np.repeat(np.arange(17), 2).tolist(), None]
    assert [row["track"] for row in table(path)][:4] == [1, 2, 1, 2]


# --- what cannot be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.json", r"must end in \.jsonl \(or \.ndjson\), \.csv or \.parquet; did you mean '\.jsonl'"),
        ("out", r"path='.*out' must end in \.jsonl .*, \.csv or \.parquet; the ending says"),
        ("out.parket", "did you mean '.parquet'"),
    ],
)
def test_an_ending_says_the_format(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        open_sink(tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ArgumentError, match=r"path='.*' cannot be written: No such file"):
        open_sink(tmp_path / "nowhere" / f"out.{kind}")
    (tmp_path / f"folder.{kind}").mkdir()
    with pytest.raises(ArgumentError, match="cannot be written: "):
        open_sink(tmp_path / f"folder.{kind}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_an_error_and_not_two(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    path.symlink_to("/dev/full")

    def fill() -> None:
        with open_sink(path) as sink:
            sink.write(0, 0, frame(1))

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert path.is_symlink()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_disk_that_fills_up_in_the_middle_of_a_line_keeps_whole_ones(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    sink: Any = open_sink(path)
    sink.write(0, 0, frame(1))
    before = path.read_bytes()
    stream, calls = sink._stream, []

    class Full:
        def write(self, data: Any) -> int:
            calls.append(len(data))
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            return int(stream.write(data[:20]) if len(calls) == 1 else stream.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(stream, name)

    sink._stream = Full()
    with pytest.raises(OSError, match="No space left"):
        sink.write(1, 1, frame(1))
    assert path.read_bytes() == before
    sink.close("stopped")  # somebody has made room
    assert path.read_bytes().startswith(before)
    assert b"stopped" in path.read_bytes()[len(before) : len(before) + 50]


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_is_followed(tmp_path: Path, kind: str) -> None:
    path, real = tmp_path / f"out.{kind}", tmp_path / f"real.{kind}"
    path.symlink_to(real)
    write(path, frame(1))
    assert path.is_symlink()
    assert real.stat().st_size > 50


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"io-pyfer\[parquet\]"):
        open_sink(tmp_path / "out.parquet")
    assert not list(tmp_path.glob(".out*"))


def test_parquet_imports_no_pandas(tmp_path: Path) -> None:
    """It would be 50 MB and half a second in the middle of a film."""
    pytest.importorskip("pyarrow")
    code = "import sys; sys.path[:0] = [{here!r}]; import test_sinks as t; from pathlib import Path\n"
    code += "t.write(Path({path!r}), t.frame(1), t.frame()); sys.exit('pandas' in sys.modules)"
    code = code.format(here=str(Path(__file__).parent), path=str(tmp_path / "out.parquet"))
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0


def closing(act: Callable[[Sink], None], path: Path) -> None:
    with open_sink(path) as sink:
        act(sink)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda sink: sink.write(3, float("nan"), frame(1)), "time=nan of frame 3"),
        (lambda sink: sink.write(0, 0, frame(inputs=(Input("a"), Input("b")))), "result has 2 inputs"),
        (
            lambda sink: [
                sink.write(0, 0, frame(1)),
                sink.write(1, 1, frame(1, labels=("neutral", "joy", "fear"))),
            ],
            "result of frame 1 has the emotions",
        ),
    ],
)
def test_frames_must_fit(tmp_path: Path, act: Callable[[Sink], None], message: str) -> None:
    for kind in KINDS:
        with pytest.raises(ArgumentError, match=message):
            closing(act, tmp_path / f"out.{kind}")
