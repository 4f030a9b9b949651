"""The command: exit status, what goes to standard output and what to standard error, files that it writes."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Done, MakeModel, Run, describe
from numpy.typing import NDArray
from PIL import Image
from rich.cells import cell_len

import pyfer
from pyfer import models, terminal
from pyfer.cli.common import model_names
from pyfer.emotions import BASIC
from pyfer.evaluation import evaluate
from pyfer.models import Model, add


def look(path: Path | str) -> tuple[str | None, NDArray[np.uint8]]:
    """Return the format of a picture file and its pixels."""
    with Image.open(path) as image:
        return image.format, np.asarray(image)


def process(*arguments: object, stdin: bytes = b"", cwd: Path | None = None, **environment: str) -> Done:
    """Run the command as a real process."""
    command = [sys.executable, "-W", "error", "-m", "pyfer", *map(str, arguments)]
    env = {**os.environ, **environment}
    done = subprocess.run(
        command, input=stdin, capture_output=True, cwd=cwd, env=env, timeout=120, check=False
    )
    result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.err
    return result


# --- predict: inputs and exit status ----------------------------------------------------------------------


def test_json_of_a_picture_is_alone_on_standard_output(run: Run, portrait: Path) -> None:
    done = run("predict", portrait, "-m", "tiny", "--json")
    assert (done.status, done.err) == (0, "")
    (entry,) = done.tree
    assert set(entry) == {"source", "status", "message", "faces"}
    assert (entry["source"], entry["status"]) == (str(portrait), "ok")
    (face,) = entry["faces"]
    assert set(face) == {"box", "score", "landmarks", "emotion", "basic", "emotions"}
    assert set(face["basic"]) == set(BASIC)
    assert sum(face["basic"].values()) == pytest.approx(1, abs=1e-4)
    assert face["emotion"] == next(iter(face["emotions"]))


def test_the_command_and_the_library_agree(run: Run, portrait: Path, tiny: Path) -> None:
    shown = run("predict", portrait, "-m", "tiny", "--json").tree[0]["faces"]
    assert shown == [face.to_dict() for face in pyfer.predict(portrait, model=tiny)]


def test_a_missing_picture_is_status_1_and_listed_and_the_others_are_fine(run: Run, portrait: Path) -> None:
    done = run("predict", portrait, "gone.jpg", portrait, "-m", "tiny", "--json")
    assert done.status == 1
    assert [(e["status"], len(e["faces"])) for e in done.tree] == [("ok", 1), ("missing", 0), ("ok", 1)]
    assert done.err == "failed: gone.jpg: there is no such file\n"


def test_all_inputs_failed(run: Run) -> None:
    Path("empty.jpg").touch()
    done = run("predict", "empty.jpg", "gone.jpg", "-m", "tiny")
    assert done.status == 1
    assert re.search(r"empty.jpg\s+empty", done.out)
    assert re.search(r"gone.jpg\s+missing", done.out)
    assert done.err.count("failed:") == 2


def test_a_folder_and_a_pattern_and_standard_input(run: Run, portrait: Path) -> None:
    (Path("photos") / "deeper").mkdir(parents=True)
    for name in ("b.png", "a.png", "deeper/c.png"):
        shutil.copy(portrait, Path("photos") / name)
    Path("photos/notes.txt").write_text("no picture")
    names = ["photos/a.png", "photos/b.png", "photos/deeper/c.png"]
    done = run("predict", "photos", "-m", "tiny", "--json")
    assert [(e["source"], len(e["faces"])) for e in done.tree] == [(name, 1) for name in names]
    done = run("predict", "photos/*.png", "-", "-m", "tiny", "--json", stdin=portrait.read_bytes())
    assert done.status == 0
    assert [e["source"] for e in done.tree] == [*names[:2], "<standard input>"]
    assert all(len(e["faces"]) == 1 for e in done.tree)


def test_nothing_on_standard_input_and_an_empty_folder(run: Run) -> None:
    Path("empty").mkdir()
    done = run("predict", "-", "empty", "no*match", "-m", "tiny", "--json")
    assert done.status == 1
    assert [e["status"] for e in done.tree] == ["empty", "directory", "missing"]
    assert "failed: <standard input>: the bytes are empty" in done.err


def test_a_closed_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch, portrait: Path) -> None:
    command = f"exec {sys.executable} -m pyfer predict - -m tiny <&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr


def test_crops_need_no_detection(run: Run) -> None:
    Image.fromarray(np.full((30, 40, 3), 99, np.uint8)).save("crop.png")
    assert run("predict", "crop.png", "-m", "tiny", "--json").tree[0]["faces"] == []
    (face,) = run("predict", "crop.png", "-m", "tiny", "--crops", "--json").tree[0]["faces"]
    assert face["box"] == [0, 0, 40, 30]
    assert face["landmarks"] == []


def test_largest_and_smallest(run: Run, portrait: Path) -> None:
    face = look(portrait)[1]
    small = np.asarray(Image.fromarray(face).resize((50, 50)))
    sheet = np.full((160, 260, 3), 128, np.uint8)
    sheet[:, :160], sheet[:50, 170:220] = face, small
    Image.fromarray(sheet).save("two.png")

    def widths(*options: object) -> list[float]:
        faces = run("predict", "two.png", "-m", "tiny", "--json", *options).tree[0]["faces"]
        return [f["box"][2] - f["box"][0] for f in faces]

    both = widths()
    assert len(both) == 2
    assert widths("--largest") == both[:1]
    assert widths("--smallest", 70) == pytest.approx(both[:1], rel=0.2)


def test_head_classes_and_prior(run: Run, portrait: Path) -> None:
    def face(*options: str) -> Any:
        return run("predict", portrait, "-m", "tiny", "--json", *options).tree[0]["faces"][0]["basic"]

    assert list(face("--head", "fer2013")) == list(BASIC[:7])
    some = face("--classes", "joy,anger, Neutral")
    assert list(some) == ["neutral", "happiness", "anger"]
    plain, fearful = face(), face("--prior", "fear=1000, happy=2")
    assert fearful["fear"] > 10 * plain["fear"]
    ratio = (fearful["fear"] / plain["fear"]) / (fearful["neutral"] / plain["neutral"])
    assert ratio == pytest.approx(1000, rel=0.02)
    assert face("--prior", "uniform") == pytest.approx(plain, abs=1e-5)  # tiny's prior is uniform


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "tinny"], "model='tinny' is neither an installed model .*; did you mean 'tiny'"),
        (["--model", "tiny", "--head", "ferpluss"], "did you mean 'ferplus'"),
        (["--model", "tiny", "--classes", "suprise,fear"], "'suprise' is not known; did you mean 'surprise'"),
        (["--model", "tiny", "--classes", ""], r"classes=\(\) must name two or more"),
        (["--model", "tiny", "--prior", "fear"], "prior='fear' must be 'uniform' or weights by name"),
        (["--model", "tiny", "--prior", "fear=x"], "prior='fear=x' must look like happiness=3,fear=0.5"),
        (["--model", "tiny", "--prior", "fear=-1"], r"prior\['fear'\]=-1.0 must be a finite number above 0"),
        (["--model", "tiny", "--prior", "fear=inf"], r"prior\['fear'\]=inf must be"),
        (["--model", "tiny", "--smallest", "3"], "smallest=3.0 must be at least 12 px"),
        (["--model", "tiny", "--yunet", "gone.onnx"], "gone.onnx is not a file"),
        (["--model", "tiny", "--yunet", "x", "--smallest", "40"], "smallest=40.0 is a setting of MTCNN"),
        (["--model", "tiny", "--csv", "gone/a.csv"], "csv='gone/a.csv' .*there is no folder 'gone'"),
        (["--model", "tiny", "--csv", "."], "csv='.' is a folder; name a file"),
        (["--model", "tiny", "--picture", "gone/a.png"], "picture='gone/a.png' .*there is no folder 'gone'"),
        (["--model", "tiny", "--picture", "a.txt"], "picture='a.txt' must end in .png, .jpg"),
        (["--no-such-option"], "No such option: --no-such-option"),
        (["--modle", "tiny"], "No such option: --modle .*--model"),
        (["--smallest", "big"], "'--smallest'"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_wrong_use_is_status_2_with_one_sentence(
    run: Run, portrait: Path, options: list[str], message: str
) -> None:
    done = run("predict", portrait, *options)
    assert done.status == 2
    assert done.out == ""
    assert re.search(message, done.err.replace("\n", " "))


def test_no_arguments_are_wrong_use_with_help(run: Run) -> None:
    for arguments, verb in (([], "predict"), (["models"], "verify"), (["data"], "show")):
        done = run(*arguments)
        assert done.status == 2
        assert verb in done.out + done.err
    assert run("predict").status == run("nosuch").status == 2


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"pyfer {pyfer.__version__}\n"
    for arguments in (
        ["-h"],
        ["predict", "-h"],
        ["evaluate", "--help"],
        ["models", "-h"],
        ["data", "show", "-h"],
    ):
        done = run(*arguments)
        assert done.status == 0
        assert "Usage" in done.out


# --- predict: the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_the_table_fits_the_terminal_and_always_says_picture_and_emotion(
    run: Run, portrait: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    folder = Path("a-folder-with-quite-a-long-name" * 3)
    folder.mkdir()
    shutil.copy(portrait, folder / "face.png")
    Image.fromarray(np.full((50, 50, 3), 99, np.uint8)).save("nobody.png")
    monkeypatch.setattr(terminal.out, "_width", width)
    face = run("predict", folder, "-m", "tiny", "--json").tree[0]["faces"][0]
    lines = run("predict", folder, "nobody.png", "gone.png", "-m", "tiny").out.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == 4
    title, first, second, third = lines
    assert title.split()[:2] == ["picture", "emotion"]
    assert "face.png" in first
    assert f"{face['emotion']} {face['basic'][face['emotion']]:.0%}" in first
    assert second.split() == ["nobody.png", "no", "face"]
    assert third.split() == ["gone.png", "missing"]
    runner_up = list(face["emotions"])[1]
    assert (runner_up in first) == (width >= 60)
    assert ("━" in first) == (width >= 80)
    assert (" ".join(f"{v:.0f}" for v in face["box"]) in first) == (width == 200)


def test_odd_file_names_are_shown_as_they_are_and_steer_nothing(run: Run, portrait: Path) -> None:
    names = ["[bold]a[/x].png", ":smile:.png", "日本語の写真.png", "e\x1b[31mvil\n.png", "caf\udce9.png"]
    Path("[bold]a[").mkdir()
    for name in names:
        shutil.copy(portrait, name)
    done = run("predict", *names, "gone[/b]\udce9.png", "-m", "tiny")
    assert done.status == 1
    for name in ("[bold]a[/x].png", ":smile:.png", "日本語の写真.png", "e?[31mvil?.png", "caf?.png"):
        assert name in done.out
    assert "failed: gone[/b]?.png: there is no folder 'gone['" in done.err
    assert "\x1b" not in done.out + done.err
    done = run("predict", *names, "-m", "tiny", "--json", "--csv", "a.csv")
    assert [entry["source"] for entry in done.tree] == names
    assert len(list(csv.reader(io.StringIO(Path("a.csv").read_text())))) == 6


def test_a_failed_input_is_named_once_in_its_line(run: Run) -> None:
    done = run("predict", "-", "gone.png", "-m", "tiny", stdin=b"no picture")
    first, second = done.err.splitlines()
    assert first.startswith("failed: <standard input>: ")
    assert second == "failed: gone.png: there is no such file"


# --- predict: files ---------------------------------------------------------------------------------------


def test_csv_has_a_row_a_face_and_one_for_each_other_input(run: Run, portrait: Path) -> None:
    Image.fromarray(np.full((50, 50, 3), 99, np.uint8)).save("nobody.png")
    done = run("predict", portrait, "nobody.png", "gone.png", "-m", "tiny", "--csv", "a.csv", "--json")
    assert done.status == 1
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["ok", "no face", "missing"]
    face = done.tree[0]["faces"][0]
    assert float(rows[0]["happiness"]) == pytest.approx(face["basic"]["happiness"], abs=1e-5)
    assert [path.name for path in Path().iterdir() if path.suffix == ".csv"] == ["a.csv"]


def test_a_marked_picture(run: Run, portrait: Path, tiny: Path) -> None:
    assert run("predict", portrait, "-m", "tiny", "--picture", "marked.png").status == 0
    expected = pyfer.draw(pyfer.read(portrait), pyfer.predict(portrait, model=tiny))
    np.testing.assert_array_equal(look("marked.png")[1], expected)
    assert run("predict", portrait, "-m", "tiny", "--picture", "marked.jpg").status == 0
    assert look("marked.jpg")[0] == "JPEG"
    assert sorted(path.name for path in Path().iterdir()) == ["marked.jpg", "marked.png"]


def test_marked_pictures_of_several_go_to_a_folder_and_none_replaces_another(
    run: Run, portrait: Path
) -> None:
    for folder in ("one", "two"):
        Path(folder).mkdir()
        shutil.copy(portrait, f"{folder}/a.png")
    shutil.copy(portrait, "a-2.png")
    done = run(
        "predict", "a-2.png", "one", "two", "gone.png", "-", "-m", "tiny", "--picture", "out/marked",
        stdin=portrait.read_bytes(),
    )  # fmt: skip
    assert done.status == 1
    names = sorted(path.name for path in Path("out/marked").iterdir())
    assert names == ["a-2.png", "a-3.png", "a.png", "standard-input.png"]
    assert all(look(path)[1].shape == (480, 480, 3) for path in Path("out/marked").iterdir())


def test_each_picture_gets_its_own_marks(run: Run, portrait: Path) -> None:
    nobody = np.full((500, 500, 3), 99, np.uint8)
    Image.fromarray(nobody).save("nobody.png")
    run("predict", portrait, "nobody.png", "-m", "tiny", "--picture", "out")
    np.testing.assert_array_equal(look("out/nobody.png")[1], nobody)
    assert look("out/portrait.png")[1].shape == (480, 480, 3)


def test_one_picture_into_a_folder_that_exists_or_has_no_ending(run: Run, portrait: Path) -> None:
    Path("there.d").mkdir()
    for target in ("there.d", "new"):
        assert run("predict", portrait, "-m", "tiny", "--picture", target).status == 0
        assert [path.name for path in Path(target).iterdir()] == ["portrait.png"]


def test_marks_are_never_written_over_the_pictures_themselves(run: Run, portrait: Path) -> None:
    shutil.copy(portrait, "a.png")
    shutil.copy(portrait, "b.png")
    Path("link.png").symlink_to("a.png")
    before = Path("a.png").read_bytes()
    for arguments in (
        ["a.png", "--picture", "a.png"],
        ["a.png", "--picture", "./a.png"],
        ["a.png", "--picture", "link.png"],
        ["a.png", "b.png", "--picture", "."],
        ["a.png", "--csv", "a.png"],
    ):
        done = run("predict", *arguments, "-m", "tiny")
        assert done.status == 2
        assert "is read or written by this command already" in done.err
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes() == before


def test_a_folder_for_pictures_where_a_file_is(run: Run, portrait: Path) -> None:
    Path("file").touch()
    done = run("predict", portrait, portrait, "-m", "tiny", "--picture", "file")
    assert done.status == 2
    assert "picture='file' is no folder: File exists" in done.err


@pytest.mark.parametrize("option", ["--csv", "--picture"])
def test_a_disk_that_takes_nothing_is_status_2_after_the_answer(
    run: Run, portrait: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    done = run("predict", portrait, "-m", "tiny", "--json", option, "a.png")
    assert done.status == 2
    assert len(done.tree[0]["faces"]) == 1
    assert f"{option[2:]}='a.png' cannot be written: No space left on device" in done.err
    assert list(Path().iterdir()) == []


# --- evaluate ---------------------------------------------------------------------------------------------


def test_evaluate_json_has_the_numbers_of_the_library(run: Run, tiny_model: Model) -> None:
    done = run("evaluate", "tiny", "cartoon:?n=64&seed=3", "--json")
    assert (done.status, done.err) == (0, "")
    assert {"accuracy", "macro_f1", "ece", "n", "confusion", "labels"} <= set(done.tree)
    scores = evaluate(tiny_model, pyfer.datasets.open_data("cartoon:?n=64&seed=3"))
    assert done.tree["n"] == 64
    assert done.tree["labels"] == list(BASIC)
    assert done.tree["confusion"] == scores.confusion.tolist()
    assert done.tree["accuracy"] == pytest.approx(scores.accuracy)
    assert done.tree["ece"] == pytest.approx(scores.ece, abs=1e-5)


def test_evaluate_head_and_flip(run: Run) -> None:
    seven = run("evaluate", "tiny", "cartoon:?n=64", "--head", "fer2013", "--json").tree
    assert seven["labels"] == list(BASIC[:7])
    assert seven["n"] == 56
    flipped = run("evaluate", "tiny", "cartoon:?n=64", "--head", "fer2013", "--flip", "--json").tree
    assert flipped["flip"] is True
    assert flipped["nll"] != seven["nll"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_evaluate_table_fits_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(terminal.out, "_width", width)
    scores = run("evaluate", "tiny", "cartoon:?n=64", "--json").tree
    lines = run("evaluate", "tiny", "cartoon:?n=64").out.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert f"accuracy {scores['accuracy']:.4f}" in "\n".join(lines)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split() and line.split()[0] in BASIC}
    for k, name in enumerate(BASIC):
        counts = [str(count) for count in scores["confusion"][k]]
        assert rows[name] == [*counts, f"{scores['recall'][name]:.1%}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch", "cartoon:"], "model='nosuch' is neither an installed model"),
        (["tiny", "cartons:"], "did you mean 'cartoon'"),
        (["tiny", "fer2013plus:gone"], "gone/labels.csv is missing"),
        (["tiny", "cartoon:?n=8&sized=3"], "'sized' is not an option of cartoon .*did you mean 'size'"),
        (["tiny", "cartoon:?n=8", "--head", "x"], "labels='x' is not a head of this data set"),
        (["tiny"], "Missing argument"),
    ],
)
def test_evaluate_wrong_use(run: Run, arguments: list[str], message: str) -> None:
    done = run("evaluate", *arguments)
    assert (done.status, done.out) == (2, "")
    assert re.search(message, done.err)


# --- models -----------------------------------------------------------------------------------------------


def test_models_list_show_verify(run: Run, home: Path, tmp_path: Path) -> None:
    folder = home / "models" / "tiny"
    (folder / "README.md").write_bytes(b"# A tiny card\n\nnot in UTF-8: \xff\n")
    done = run("models", "list")
    assert done.status == 0
    assert "tiny  cnn, 48x48 gray" in done.out
    assert "ferplus (8), fer2013 (7)" in done.out
    assert str(folder) in done.out
    done = run("models", "show", "tiny")
    assert done.status == 0
    assert "A tiny card" in done.out
    assert '"sha256"' in done.out
    done = run("models", "verify", "tiny")
    assert done.status == 0
    assert done.out.startswith("tiny: ok, sha256 ")
    assert "neutral, happiness, surprise" in done.out


def test_the_default_is_marked_in_the_list(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny, tmp_path / "shipped" / "base")
    describe(tmp_path / "shipped" / "base")
    monkeypatch.setattr(models, "_SHIPPED", tmp_path / "shipped")
    assert "base (default)  cnn" in run("models", "list").out
    assert "tiny (default)" not in run("models", "list").out


def test_a_damaged_model_is_listed_and_fails_the_check(run: Run, home: Path) -> None:
    (home / "models" / "tiny" / "model.onnx").write_bytes(b"damaged")
    done = run("models", "verify")
    assert done.status == 1
    assert "tiny: model" in done.err
    assert "is damaged" in done.err
    (home / "models" / "tiny" / "model.json").write_text("{")
    done = run("models", "list")
    assert done.status == 0
    assert "tiny  damaged: " in done.out
    assert run("models", "show", "tiny").status == 2


def test_models_verify_of_an_unknown_one_is_wrong_use(run: Run) -> None:
    done = run("models", "verify", "tinny")
    assert done.status == 2
    assert "did you mean 'tiny'" in done.err
    assert run("models", "show", "tinny").status == 2


def test_models_add(run: Run, make_model: MakeModel, home: Path, portrait: Path) -> None:
    done = run("models", "add", make_model("mine"))
    assert done.status == 0
    assert done.out == f"installed: {home / 'models' / 'mine'}\n"
    assert run("predict", portrait, "-m", "mine").status == 0
    assert "mine" in run("models", "list").out
    done = run("models", "add", make_model("bad", sha256="0" * 64))
    assert done.status == 2
    assert "is damaged" in done.err
    assert run("models", "add", "gone").status == 2


def test_the_shell_completes_names_of_models(run: Run) -> None:
    assert model_names("ti") == ["tiny"]
    assert model_names("x") == []


# --- data -------------------------------------------------------------------------------------------------


def test_data_list(run: Run) -> None:
    done = run("data", "list")
    assert done.status == 0
    for name in ("cartoon", "ckplus", "fer2013plus", "blends=keep|drop|only"):
        assert name in done.out.replace("\n", "")


def test_data_show(run: Run) -> None:
    done = run("data", "show", "cartoon", "-n", 12)
    assert done.status == 0
    assert done.out == "12 faces: sheet.png\n"
    first = look("sheet.png")[1]
    run("data", "show", "cartoon", "-n", 12, "--seed", 1, "-o", "other.png")
    second = look("other.png")[1]
    assert first.shape == second.shape
    assert (first != second).mean() > 0.2
    name = "a[bold]:smile:.png"
    assert run("data", "show", "cartoon:?n=2", "-o", name).out == f"2 faces: {name}\n"
    assert sorted(path.name for path in Path().iterdir()) == [name, "other.png", "sheet.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cartoon", "-n", "0"], "Invalid value for '-n'"),
        (["cartoon", "--seed", "-1"], "Invalid value for '--seed'"),
        (["cartoon", "-o", "gone/a.png"], "output='gone/a.png' .*there is no folder 'gone'"),
        (["cartoon", "-o", "a.txt"], "output='a.txt' must end in"),
        (["nosuch"], "data='nosuch' must be READER:PATH"),
        (["ckplus:gone"], "gone/labels.csv is missing"),
    ],
)
def test_data_show_wrong_use(run: Run, arguments: list[str], message: str) -> None:
    done = run("data", "show", *arguments)
    assert done.status == 2
    assert re.search(message, done.err)


# --- train ------------------------------------------------------------------------------------------------


def test_train_without_torch_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = run("train", str(Path(__file__).parents[1] / "examples" / "toy.toml"))
    assert done.status == 2
    assert "torch is not installed: pip install 'io-pyfer[train]'" in done.err


def test_the_history_of_a_run_without_a_validation_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_history([])
    terminal.show_history([{"epoch": 1, "loss": 0.5}])
    assert capsys.readouterr().out == ""
    terminal.show_history([{"epoch": 2, "loss": 0.25, "score": 0.5, "seconds": 3}])
    assert "0.2500" in capsys.readouterr().out


# --- as a real process ------------------------------------------------------------------------------------


@pytest.fixture
def place(tiny: Path, tmp_path: Path, portrait: Path) -> Path:
    add(tiny)
    shutil.copy(portrait, tmp_path / "face.png")
    return tmp_path


def test_a_process_reads_standard_input_and_writes_json(place: Path, portrait: Path) -> None:
    done = process("predict", "-", "-m", "tiny", "--json", stdin=portrait.read_bytes(), cwd=place)
    assert (done.status, done.err) == (0, "")
    assert len(done.tree[0]["faces"]) == 1


def test_a_process_with_a_narrow_terminal_in_ascii(place: Path) -> None:
    shutil.copy(place / "face.png", place / "grün.png")
    arguments = ["predict", "face.png", "gone.png", "grün.png", "-m", "tiny"]
    done = process(*arguments, cwd=place, COLUMNS="60", PYTHONIOENCODING="ascii")
    assert done.status == 1
    assert "face.png" in done.out
    assert r"gr\xfcn.png" in done.out
    assert all(len(line) <= 60 for line in done.out.splitlines())
    assert done.err.startswith("failed: gone.png: there is no such file")


def test_the_table_can_go_to_standard_output(place: Path) -> None:
    done = process("predict", "face.png", "-m", "tiny", "--csv", "/dev/stdout", cwd=place)
    assert done.status == 0
    assert "source,status,x0,y0" in done.out


def test_the_installed_command_is_the_same(place: Path) -> None:
    command = Path(sys.executable).with_name("pyfer")
    if not command.exists():
        pytest.skip("the package is not installed beside this python")
    done = subprocess.run(
        [command, "predict", "face.png", "-m", "tinny"], capture_output=True, cwd=place, check=False
    )
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"did you mean 'tiny'?" in done.stderr


def test_a_reader_that_goes_away_is_no_traceback(place: Path) -> None:
    command = [sys.executable, "-m", "pyfer", "models", "show", "tiny"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""


def test_an_interrupt_is_status_130_without_a_traceback(place: Path) -> None:
    code = (
        "import sys; from pyfer import cli, sources; print('ready', file=sys.stderr, flush=True); cli.main()"
    )
    command = [sys.executable, "-c", code, "predict", "-", "-m", "tiny"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == b"ready\n"
        time.sleep(1.5)  # by now it waits for a picture that does not come
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert b"Traceback" not in err


def test_an_array_of_results_survives_the_pipe_between_two_processes(
    place: Path, astronaut: NDArray[np.uint8]
) -> None:
    """As in ``pyfer predict ... --json | other``: UTF-8, one document, whatever the locale."""
    name = "grüße-北京.png"
    shutil.copy(place / "face.png", place / name)
    done = process("predict", name, "-m", "tiny", "--json", cwd=place, LC_ALL="C.UTF-8")
    assert done.tree[0]["source"] == name


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--picture", "m.png"], "is one file for 2 pictures; name a folder"),
        (["--csv", "-"], "'-' is no file"),
        (["--picture", "out", "--csv", "out/a.png"], "is read or written by this command"),
    ],
)
def test_targets_that_would_lose_something_are_refused(
    run: Run, portrait: Path, options: list[str], rule: str
) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(portrait, name)
    done = run("predict", "a.png", "b.png", *options, "-m", "tiny")
    assert done.status == 2
    assert rule in done.err
    assert not Path("m.png").exists()
    assert not Path("-").exists()


def test_verify_reads_the_evidence_too(run: Run, make_model: MakeModel) -> None:
    folder = make_model("broken", evidence=hashlib.sha256(b"no evidence").hexdigest())
    (folder / "evidence.npz").write_bytes(b"no evidence")
    done = run("models", "verify", folder)
    assert done.status == 1
    assert "no evidence file" in done.err


def test_training_replaces_no_folder_but_a_model(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("dear")
    toy = str(Path(__file__).parents[1] / "examples" / "toy.toml")
    done = run("train", toy, "--run", str(tmp_path / "run"), "--export", str(mine.parent))
    assert done.status == 2
    assert "is a folder with other things in it (notes.txt)" in done.err
    assert mine.read_text() == "dear"
