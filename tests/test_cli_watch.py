"""The command ``pyfer watch``: its options, what it writes and prints, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, Run
from filming import Pixels, cartoon_film, cartoon_frames, numbered_frames, write_film, write_tone
from numpy.typing import NDArray
from PIL import Image

from pyfer import films, terminal
from pyfer.cli.watching import _neutral, _seconds
from pyfer.errors import ArgumentError, SourceError
from pyfer.films.decoding import FilmFile
from pyfer.watching import keeping

av = pytest.importorskip("av")

FILMS = Path(__file__).resolve().parents[2] / "shared" / "samples" / "films"
FRAMES = 30


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two cartoon faces, 1.2 s with sound. Not to be changed."""
    path = tmp_path_factory.mktemp("films") / "people.mp4"
    return cartoon_film(path, seconds=FRAMES / 25, size=(400, 200), faces=2, sound=True)


@pytest.fixture(scope="session")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "nobody.mp4", numbered_frames(10, (160, 120)))


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of one minute, which takes much longer than a test waits. Not to be changed."""
    frames = cartoon_frames(seconds=2, size=(240, 200)) * 30
    return write_film(tmp_path_factory.mktemp("films") / "long.mkv", frames, sound=True)


def lines_of(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def rows_of(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def count_of(path: Path | str) -> tuple[int, bool]:
    """Return how many pictures a film has, and whether it has sound."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0)), bool(container.streams.audio)


def width_of(path: Path | str) -> int:
    with Image.open(path) as image:
        return image.width


# --- what is written --------------------------------------------------------------------------------------


def test_every_output_of_a_film(run: Run, people: Path) -> None:
    done = run(
        *("watch", people, "-m", "tiny", "-o", "a.csv", "-o", "a.jsonl", "-o", "a.parquet"),
        *("--film", "marked.mp4", "--timeline", "line.png", "--segments", "segments.csv"),
    )
    assert (done.status, done.err) == (0, "")
    assert {path.name for path in Path().iterdir()} == {
        *("a.csv", "a.jsonl", "a.parquet", "marked.mp4", "line.png", "segments.csv")
    }
    lines, rows = lines_of("a.jsonl"), rows_of("a.csv")
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert {row["track"] for row in rows} == {"1", "2"}
    assert len(rows) == sum(max(1, len(line["faces"])) for line in lines)
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_metadata("a.parquet").num_rows == len(rows)
    assert count_of("marked.mp4") == (FRAMES, True)
    assert width_of("line.png") == 1200
    header, *found = Path("segments.csv").read_text().splitlines()
    assert header == "track,emotion,onset,apex,offset,intensity"
    assert found
    assert f"{FRAMES} frames" in done.out
    title, *_ = (line for line in done.out.splitlines() if line.startswith("person"))
    assert title.split() == ["person", "emotion", "onset", "apex", "offset", "intensity"]


def test_json_lines_are_those_of_the_table_and_an_end(run: Run, people: Path) -> None:
    done = run("watch", people, "-m", "tiny", "--json", "-o", "a.jsonl", "--segments", "segments.csv")
    assert (done.status, done.err) == (0, "")
    *frames, end = done.out.splitlines()
    assert frames == Path("a.jsonl").read_text(encoding="utf-8").splitlines()
    tree = json.loads(end)
    assert set(tree) == {"status", "message", "segments", "people"}
    assert tree["status"] == "ok"
    rows = rows_of("segments.csv")
    assert [(s["track"], s["emotion"]) for s in tree["segments"]] == [
        (int(row["track"]), row["emotion"]) for row in rows
    ]
    assert [person["track"] for person in tree["people"]] == [1, 2]
    for person in tree["people"]:
        seen = [f for f in map(json.loads, frames) if any(x["track"] == person["track"] for x in f["faces"])]
        assert person["frames"] == len(seen)
        assert (person["first"], person["last"]) == (seen[0]["time"], seen[-1]["time"])
        assert sum(person["emotions"].values()) == pytest.approx(1, abs=1e-4)


def test_marks_are_on_the_faces_of_the_film(run: Run, people: Path) -> None:
    run("watch", people, "-m", "tiny", "--film", "marked.mkv", "-o", "a.jsonl", "--to", "0.2")
    plain, marked = pictures_of(people)[3], pictures_of("marked.mkv")[3]
    assert marked.shape == (400, 800, 3)  # a small film is enlarged
    enlarged = np.asarray(Image.fromarray(plain).resize((800, 400)))
    changed = np.abs(marked.astype(int) - enlarged).max(2) > 30
    for face in lines_of("a.jsonl")[3]["faces"]:
        x0, y0, x1, y1 = (round(2 * v) for v in face["box"])
        assert changed[y0 + 20 : y1 - 20, x0 : x0 + 2].mean() > 0.8  # the left side of the box
        assert changed[(y0 + y1) // 2 - 10 :, (x0 + x1) // 2 - 10 :][:20, :20].mean() < 0.2  # not the face


def pictures_of(path: Path | str) -> list[Pixels]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_film_without_a_face(run: Run, nobody: Path) -> None:
    done = run("watch", nobody, "-m", "tiny", "-o", "a.csv", "--segments", "s.csv", "--timeline", "l.png")
    assert done.status == 0
    assert done.out.splitlines()[1:] == ["no face was seen"]
    assert [row["status"] for row in rows_of("a.csv")] == ["no face"] * 10
    assert rows_of("s.csv") == []
    assert Path("l.png").exists()
    end = json.loads(run("watch", nobody, "-m", "tiny", "--json").out.splitlines()[-1])
    assert (end["segments"], end["people"]) == ([], [])


# --- which frames, which faces, which answers -------------------------------------------------------------


def frames_with(run: Run, film: Path, *options: object) -> list[dict[str, Any]]:
    done = run("watch", film, "-m", "tiny", "--json", *options)
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()[:-1]]


def test_every_from_and_to(run: Run, people: Path) -> None:
    frames = frames_with(run, people, "--every", 4, "--from", "0.2", "--to", "0:00.8")
    assert [frame["frame"] for frame in frames] == [5, 9, 13, 17]
    assert frames[0]["time"] == pytest.approx(0.2, abs=1e-3)


def test_largest(run: Run, people: Path) -> None:
    frames = frames_with(run, people, "--largest", "--to", "0.4")
    assert {len(frame["faces"]) for frame in frames} == {1}
    assert len({frame["faces"][0]["track"] for frame in frames}) == 1


def test_smallest(run: Run, people: Path) -> None:
    assert all(not frame["faces"] for frame in frames_with(run, people, "--smallest", 180, "--to", "0.3"))


def test_classes_prior_and_head(run: Run, people: Path) -> None:
    (frame,) = frames_with(run, people, "--classes", "anger,fear", "--to", "0.02")
    assert set(frame["faces"][0]["basic"]) == {"anger", "fear"}
    (sure,) = frames_with(run, people, "--prior", "fear=1000", "--to", "0.02")
    assert {face["emotion"] for face in sure["faces"]} == {"fear"}
    (other,) = frames_with(run, people, "--head", "fer2013", "--to", "0.02")
    assert len(other["faces"][0]["basic"]) == 7
    (unsure,) = frames_with(run, people, "--threshold", 1, "--to", "0.02")
    assert {face["emotion"] for face in unsure["faces"]} == {"uncertain"}


def test_new_emotions_and_those_over_time(run: Run, people: Path) -> None:
    spec = "awe = fear + surprise, relief = fear -> happiness within 2 s"
    (frame,) = frames_with(run, people, "-e", spec, "--to", "0.02")
    assert "awe" in frame["faces"][0]["emotions"]
    assert "relief" not in frame["faces"][0]["emotions"]


@pytest.mark.parametrize("detect_every", [1, 10])
def test_detect_every(run: Run, people: Path, detect_every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyfer.faces import Mtcnn

    searched = []
    search = Mtcnn.__call__

    def counted(self: Mtcnn, image: NDArray[np.uint8]) -> Any:
        searched.append(image.shape)
        return search(self, image)

    monkeypatch.setattr(Mtcnn, "__call__", counted)
    assert len(frames_with(run, people, "--detect-every", detect_every)) == FRAMES
    assert (len(searched) == FRAMES) == (detect_every == 1)


def test_gap(run: Run, tmp_path: Path) -> None:
    frames = cartoon_frames(seconds=0.4, size=(240, 240))
    path = write_film(tmp_path / "away.mp4", [*frames, *[np.full_like(frames[0], 128)] * 8, *frames])
    tracks = {}
    for gap in (0.1, 1.0):
        seen = frames_with(run, path, "--gap", gap)
        tracks[gap] = {face["track"] for frame in seen for face in frame["faces"]}
    assert tracks == {0.1: {1, 2}, 1.0: {1}}


def test_calibrate(run: Run, people: Path) -> None:
    plain = frames_with(run, people, "--to", "0.4")
    later = frames_with(run, people, "--to", "0.4", "--calibrate", "0.2s")
    changed = [
        any(
            abs(a["basic"]["fear"] - b["basic"]["fear"]) > 1e-3
            for a, b in zip(x["faces"], y["faces"], strict=True)
        )
        for x, y in zip(plain, later, strict=True)
    ]
    assert not any(changed[:5])
    assert all(changed[6:])
    Image.fromarray(pictures_of(people)[0]).save("neutral.png")
    (first, *_) = frames_with(run, people, "--to", "0.04", "--calibrate", "neutral.png")
    assert first["faces"][0]["basic"] != plain[0]["faces"][0]["basic"]


def test_a_recurrent_model(run: Run, people: Path, make_rnn: MakeModel) -> None:
    make_rnn()
    done = run("watch", people, "-m", make_rnn(), "--json", "--to", "0.4")
    first, *_, last, _ = map(json.loads, done.out.splitlines())
    sure = [max(frame["faces"][0]["basic"].values()) for frame in (first, last)]
    assert sure[1] > sure[0] + 0.1  # evidence adds up


def test_times_of_a_variable_rate(run: Run, tmp_path: Path) -> None:
    times = [0, 0.05, 0.3, 0.35, 1.0]
    path = write_film(tmp_path / "vfr.mp4", cartoon_frames(seconds=0.2, size=(160, 160)), times=times)
    assert [frame["time"] for frame in frames_with(run, path)] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1:30", 90), ("0:01:30.5", 90.5), ("1:00:00", 3600), (".5", 0.5)],
)
def test_times_in_words(text: str, seconds: float) -> None:
    assert _seconds("from", text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1:60", "1:60:00", "1:2:3:4", "1e3", "nan", "1m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"from=.* must be seconds, min:s or h:min:s"):
        _seconds("from", text)


def test_what_calibrate_may_be(tmp_path: Path) -> None:
    assert _neutral(None) is None
    assert (_neutral("3"), _neutral("3s"), _neutral("0:03")) == (3, 3, 3)
    assert _neutral("neutral.jpg") == Path("neutral.jpg")


# --- what is printed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80])
def test_tables_fit_the_terminal(run: Run, people: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.out, "_width", width)
    out = run("watch", people, "-m", "tiny", "-e", "du2014").out
    assert max(map(len, out.splitlines())) <= width
    assert "Traceback" not in out


def test_only_the_last_segments_are_printed(run: Run, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfer.cli.watching._LAST", 1)
    run("watch", people, "-m", "tiny", "--segments", "all.csv")
    found = rows_of("all.csv")
    assert len(found) > 1
    out = run("watch", people, "-m", "tiny").out
    assert f"and {len(found) - 1} before these; --segments FILE.csv keeps all" in out
    assert "more briefly" not in out
    monkeypatch.setattr("pyfer.cli.watching._MOST", 1)
    assert "and 1 more, seen more briefly" in run("watch", people, "-m", "tiny").out


def test_progress_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    with terminal.film_progress(10) as say:
        say(5, 2.0)
    assert capsys.readouterr().err == ""
    for total, told in ((10, "5 of 10 frames, 1:02"), (None, "5 frames, 1:02")):
        monkeypatch.setattr(terminal, "err", Console(stderr=True, force_terminal=True, width=100))
        with terminal.film_progress(total) as say:
            say(5, 62.0)
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "digits", "text"),
    [(0, 2, "0:00.00"), (59.999, 2, "1:00.00"), (61.5, 0, "1:02"), (3725.25, 2, "1:02:05.25")],
)
def test_clock(seconds: float, digits: int, text: str) -> None:
    assert terminal.clock(seconds, digits) == text


# --- how it ends ------------------------------------------------------------------------------------------


def test_a_film_that_is_cut_short_is_status_1_and_its_outputs_are_marked(run: Run, long: Path) -> None:
    Path("cut.mkv").write_bytes(long.read_bytes()[: long.stat().st_size // 6])
    done = run(
        *(
            "watch",
            "cut.mkv",
            "-m",
            "tiny",
            "--every",
            "10",
            "-o",
            "a.csv",
            "-o",
            "a.jsonl",
            "-o",
            "a.parquet",
        ),
        *("--film", "marked.mp4", "--timeline", "line.png"),
    )
    assert done.status == 1
    assert done.err.startswith("failed: cut.mkv: ")
    assert done.err.count("\n") == 1
    assert "person" in done.out
    *frames, end = lines_of("a.jsonl")
    assert (end["status"], end["message"]) == ("truncated", done.err[8:-1])
    assert rows_of("a.csv")[-1]["status"] == "truncated"
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_metadata("a.parquet").metadata[b"pyfer.status"] == b"truncated"
    assert count_of("marked.mp4")[0] == len(frames) > 3
    assert Path("line.png").exists()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path, "there is no such file"),
        (lambda path: (path.touch(), path)[1], "the file is empty"),
        (
            lambda path: (path.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 50), path)[1],
            "cut short or damaged",
        ),
        (lambda path: (path.write_text("text"), path)[1], "is a text file, not a film"),
        (write_tone, "has sound and no picture"),
    ],
)
def test_what_is_no_film_is_one_line(run: Run, make: Callable[[Path], Path], told: str) -> None:
    make(Path("film.mp4"))
    done = run("watch", "film.mp4", "-m", "tiny", "-o", "a.csv")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("failed: film.mp4: ")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert not Path("a.csv").exists()
    tree = json.loads(run("watch", "film.mp4", "-m", "tiny", "--json").out)
    assert tree["status"] != "ok"
    assert told in tree["message"]


def process(*arguments: object, cwd: Path, home: Path) -> subprocess.Popen[bytes]:
    """Start the command as a real process."""
    command = [sys.executable, "-W", "error", "-m", "pyfer", "watch", *map(str, arguments)]
    env = {**os.environ, "PYFER_HOME": str(home)}
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.02)


def test_ctrl_c_leaves_whole_and_marked_outputs(tiny: Path, long: Path, tmp_path: Path, home: Path) -> None:
    table = tmp_path / "a.jsonl"
    running = process(
        *(long, "-m", tiny, "-o", "a.jsonl", "-o", "a.csv", "-o", "a.parquet"),
        *("--film", "marked.mp4", "--timeline", "line.png", "--segments", "segments.csv"),
        cwd=tmp_path,
        home=home,
    )
    wait_for(lambda: table.exists() and table.read_bytes().count(b"\n") > 20)
    running.send_signal(signal.SIGINT)
    out, err = (text.decode() for text in running.communicate(timeout=60))
    assert running.returncode == 130
    assert err.startswith("stopped: ")
    assert "Traceback" not in err
    assert "person" in out
    *frames, end = lines_of(table)
    assert end["status"] == "stopped"
    assert [frame["frame"] for frame in frames] == list(range(len(frames)))
    assert 20 < len(frames) < 1500
    *rows, last = rows_of(tmp_path / "a.csv")
    assert last["status"] == "stopped"
    assert int(rows[-1]["frame"]) == len(frames) - 1
    parquet = pytest.importorskip("pyarrow.parquet")
    metadata = parquet.read_metadata(tmp_path / "a.parquet")
    assert metadata.metadata[b"pyfer.status"] == b"stopped"
    assert metadata.num_rows == len(rows) + 1
    assert count_of(tmp_path / "marked.mp4") == (len(frames), True)
    assert width_of(tmp_path / "line.png") == 1200
    assert (tmp_path / "segments.csv").exists()
    assert not list(tmp_path.glob(".*"))  # no half files


def test_sigterm_and_a_reader_who_leaves(tiny: Path, long: Path, tmp_path: Path, home: Path) -> None:
    running = process(long, "-m", tiny, "--json", "-o", "a.csv", cwd=tmp_path, home=home)
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["frame"] == 0
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 143
    assert json.loads(out.splitlines()[-1])["status"] == "stopped"
    assert rows_of(tmp_path / "a.csv")[-1]["status"] == "stopped"

    running = process(long, "-m", tiny, "--json", "-o", "b.csv", cwd=tmp_path, home=home)
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=60) == 0
    assert running.stderr is not None
    assert running.stderr.read() == b""
    running.stderr.close()
    assert rows_of(tmp_path / "b.csv")[-1]["status"] == "stopped"


# --- wrong use --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-o", "a.cvs"), "output='a.cvs' must end in .jsonl, .csv or .parquet; did you mean '.csv'?"),
        (("-o", "gone/a.csv"), "there is no folder 'gone'"),
        (("-o", "a.csv", "-o", "./a.csv"), "is read or written by this command already"),
        (("-o", "a.csv", "--segments", "a.csv"), "is read or written by this command already"),
        (("--film", "people.mp4"), "film='people.mp4' is read or written by this command already"),
        (("--film", "a.mp5"), "a film ends in .mp4"),
        (("--timeline", "a.txt"), "timeline='a.txt' must end in .png"),
        (("--from", "soon"), "from='soon' must be seconds"),
        (("--from", "0.5", "--to", "0.5"), "to='0.5' must be later than from='0.5'"),
        (("--from", "100"), "100.0 must lie in the film"),
        (("--calibrate", "0"), "calibrate=0.0 must be a number of seconds above 0"),
        (("--model", "gone"), "is neither an installed model"),
        (("--emotions", "sad + "), "emotions"),
    ],
)
def test_wrong_use_is_said_before_any_work(
    run: Run, people: Path, options: tuple[str, ...], told: str
) -> None:
    shutil.copy(people, "people.mp4")
    before = Path("people.mp4").read_bytes()
    done = run("watch", "people.mp4", "-m", "tiny", *options)
    assert done.status == 2
    assert told in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["people.mp4"]
    assert Path("people.mp4").read_bytes() == before


def test_a_neutral_picture_must_be_one(run: Run, people: Path) -> None:
    done = run("watch", people, "-m", "tiny", "--calibrate", "gone.jpg")
    assert done.err == "failed: gone.jpg: there is no such file\n"
    Image.new("RGB", (99, 99)).save("wall.png")
    done = run("watch", people, "-m", "tiny", "--calibrate", "wall.png")
    assert done.status == 2
    assert "there is no face in the picture" in done.err


def test_predict_names_the_command_for_films(run: Run, people: Path) -> None:
    done = run("predict", people, "-m", "tiny")
    assert done.status == 1
    assert f"is a film; to go through it: pyfer watch {people}" in done.err


# --- window and camera ------------------------------------------------------------------------------------


class Screen:
    """Stands in for a window; closed by its user after some pictures."""

    shown: list[Pixels]
    patience = 10**9

    def __init__(self, title: str) -> None:
        Screen.shown = []

    @staticmethod
    def available() -> None:
        return None

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *reason: object) -> None:
        pass

    def show(self, image: Pixels) -> bool:
        Screen.shown.append(image)
        return len(Screen.shown) < Screen.patience


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> type[Screen]:
    monkeypatch.setattr(films, "Window", Screen)
    monkeypatch.setattr(keeping, "Window", Screen)
    monkeypatch.setattr(Screen, "patience", 10**9)
    return Screen


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films.Window, "available", staticmethod(lambda: "there is no screen"))


@pytest.fixture
def camera(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that sees the film `people`, as fast as it can be decoded."""

    def opened(source: object, limit: int) -> FilmFile:
        if str(source) != "camera":
            raise SourceError(f"{source}: there is no such camera", "missing")
        decoder = FilmFile(str(people), limit)
        decoder.live, decoder.name, decoder.duration = True, "camera:0", None
        return decoder

    monkeypatch.setattr("pyfer.films.reading.open_source", opened)


def test_a_film_is_shown_if_that_is_wanted(run: Run, people: Path, screen: type[Screen]) -> None:
    began = time.monotonic()
    assert run("watch", people, "-m", "tiny", "--show", "--to", "0.4").status == 0
    assert len(screen.shown) == 10
    assert time.monotonic() - began > 0.36  # no faster than it is played
    screen.shown = []
    assert run("watch", people, "-m", "tiny", "--to", "0.2").status == 0
    assert not screen.shown


def test_closing_the_window_stops_the_film(run: Run, people: Path, screen: type[Screen]) -> None:
    screen.patience = 3
    done = run("watch", people, "-m", "tiny", "--show", "-o", "a.jsonl")
    assert (done.status, done.err) == (0, "")
    *frames, end = lines_of("a.jsonl")
    assert (len(frames), end["status"]) == (3, "stopped")


@pytest.mark.usefixtures("camera")
def test_a_camera_is_shown_until_its_window_is_closed(run: Run, screen: type[Screen]) -> None:
    screen.patience = 2
    done = run("watch", "camera", "-m", "tiny", "-o", "a.jsonl")
    assert (done.status, done.err) == (0, "")
    lines = lines_of("a.jsonl")
    assert len(lines) == len(screen.shown) <= 2
    assert all("frame" in line for line in lines)


@pytest.mark.usefixtures("camera", "no_screen")
def test_without_a_screen_a_camera_needs_files(run: Run) -> None:
    done = run("watch", "camera", "-m", "tiny")
    assert done.status == 2
    assert "a camera without a window (there is no screen) is of no use without a file" in done.err
    done = run("watch", "camera", "-m", "tiny", "-o", "a.jsonl")
    assert lines_of("a.jsonl")[0]["source"] == "camera:0"
    done = run("watch", "camera:7", "-m", "tiny", "--json")
    assert (done.status, done.tree["status"]) == (1, "missing")


@pytest.mark.usefixtures("camera")
def test_a_camera_that_is_not_shown_needs_files(run: Run) -> None:
    done = run("watch", "camera", "-m", "tiny", "--no-show")
    assert done.status == 2
    assert "--no-show" in done.err


@pytest.mark.usefixtures("no_screen")
def test_a_film_without_the_screen_that_was_wanted_goes_on(run: Run, people: Path) -> None:
    done = run("watch", people, "-m", "tiny", "--show", "-o", "a.csv", "--to", "0.2")
    assert done.status == 0
    assert done.err == "no window: there is no screen; going on without\n"
    assert rows_of("a.csv")


# --- sample films -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fer_test.mp4", "face_noface.mov", "rot.mp4"])
def test_sample_films(run: Run, name: str) -> None:
    if not (FILMS / name).exists():
        pytest.skip("the sample films are not beside the repository")
    done = run(
        "watch", FILMS / name, "-m", "tiny", "--every", "5", "--film", "marked.mp4", "--timeline", "l.png"
    )
    assert (done.status, done.err) == (0, "")
    assert count_of("marked.mp4")[0] > 10
