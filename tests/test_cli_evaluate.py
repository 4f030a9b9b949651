"""``pyfer evaluate`` and the audit command: options, files, what is said of leaks; in the process itself."""

from __future__ import annotations

import csv
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from conftest import MakeModel, Run, write_network
from PIL import Image

import pyfer
from pyfer import datasets, terminal
from pyfer.cli import evaluation
from pyfer.datasets import FaceData, open_data
from pyfer.evaluation import evaluate, predictions
from pyfer.models import Model

CARTOON = "cartoon:?n=64&seed=3"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> str:
    """A reader ``told`` of drawn faces with persons and groups; return a line that opens it."""

    def reader(path: Path, options: dict[str, str]) -> FaceData:
        data = open_data(f"cartoon:?n=80&seed={options.get('seed', 1)}")
        return FaceData(
            data.images,
            data.targets,
            data.labels,
            data.ids,
            np.array([f"S{k // 4}" for k in range(80)]),
            groups={"age": np.array(["young", "old"])[np.arange(80) // 8 % 2]},
        )

    monkeypatch.setitem(datasets._READERS, "told", reader)
    return "told:"


# --- numbers ----------------------------------------------------------------------------------------------


def test_json_has_all_numbers_with_their_intervals(run: Run, tiny_model: Model) -> None:
    tree = run("evaluate", "tiny", CARTOON, "--json", "--resamples", "50", "--seed", "4").tree
    scores = predictions(tiny_model, open_data(CARTOON)).score(bootstrap=50, seed=4)
    for name in pyfer.evaluation.HEADLINE:
        assert tree[name] == pytest.approx(getattr(scores, name), rel=1e-4, abs=1e-5)
        low, high = tree["intervals"][name]
        found = scores.intervals[name]
        assert (low, high) == pytest.approx((found.low, found.high), rel=1e-3, abs=1e-4)
    for name in pyfer.evaluation.PER_CLASS:
        assert tree[name] == pytest.approx(
            dict(zip(scores.labels, getattr(scores, name), strict=True)), abs=1e-4
        )
        assert list(tree["intervals"][name]) == list(scores.labels)
    assert sum(tree["reliability"]["count"]) == 64
    assert tree["provenance"]["sha256"] == tiny_model.spec.sha256
    assert "--seed 4" in tree["provenance"]["command"]
    assert "curves" not in tree


def test_classes_restrict_faces_and_answers(run: Run) -> None:
    tree = run("evaluate", "tiny", CARTOON, "--classes", "happy,fear,anger", "--json").tree
    assert tree["labels"] == ["happiness", "anger", "fear"]
    assert tree["n"] == 24
    assert sum(map(sum, tree["confusion"])) == 24
    done = run("evaluate", "tiny", CARTOON, "--classes", "happyness,fear")
    assert done.status == 2
    assert "did you mean 'happiness'" in done.err


def test_prior_changes_the_answers(run: Run) -> None:
    often, plain = (
        run("evaluate", "tiny", CARTOON, "--json", *more).tree["confusion"]
        for more in (("--prior", "fear=1e6"), ())
    )
    fear = pyfer.emotions.BASIC.index("fear")
    assert sum(row[fear] for row in often) > sum(row[fear] for row in plain)
    done = run("evaluate", "tiny", CARTOON, "--prior", "fear=much")
    assert (done.status, "prior='fear=much' must look like" in done.err) == (2, True)


def test_the_table_has_intervals_and_fits(run: Run, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    tree = run("evaluate", "tiny", told, "--json").tree
    low, high = tree["intervals"]["accuracy"]
    for width in (60, 80, 120):
        monkeypatch.setattr(terminal.out, "_width", width)
        done = run("evaluate", "tiny", told, "--against", "tiny")
        assert f"accuracy {tree['accuracy']:.4f} [{low:.4f}, {high:.4f}]" in done.out
        assert max(map(len, done.out.splitlines())) <= width
        assert re.search(r"young +40 +\d", done.out)
        assert "largest gap" in done.out


def test_persons_and_groups_are_used(run: Run, told: str, tiny_model: Model) -> None:
    tree = run("evaluate", "tiny", told, "--json").tree
    assert tree["persons"] == 20
    found = predictions(tiny_model, open_data(told))
    assert found.subjects is not None
    by_person = found.score(bootstrap=1000).intervals["nll"]
    assert tree["intervals"]["nll"] == pytest.approx([by_person.low, by_person.high], rel=1e-3)
    (grouping,) = tree["groups"]
    assert {each["name"]: each["n"] for each in grouping["groups"]} == {"young": 40, "old": 40}
    right = found.probabilities.argmax(1) == found.truth
    old = found.groups["age"] == "old"
    (row,) = (each for each in grouping["groups"] if each["name"] == "old")
    assert row["accuracy"]["value"] == pytest.approx(right[old].mean())


def test_against_another_model(run: Run, tmp_path: Path, make_model: MakeModel) -> None:
    folder = make_model("other", temperature=...)
    write_network(folder / "model.onnx", {"ferplus": 8, "fer2013": 7, "embedding": 4}, seed=9)
    from conftest import describe

    describe(folder)
    tree = run("evaluate", "tiny", CARTOON, "--against", folder, "--json").tree
    other = evaluate(Model(folder), open_data(CARTOON))
    found = tree["against"]
    assert found["model"] == "other"
    assert found["scores"]["accuracy"] == pytest.approx(other.accuracy)
    test = found["mcnemar"]
    assert test["only_first"] - test["only_second"] == round(64 * (tree["accuracy"] - other.accuracy))
    assert found["difference"]["accuracy"]["value"] == pytest.approx(tree["accuracy"] - other.accuracy)
    done = run("evaluate", "tiny", CARTOON, "--against", folder)
    assert f"only tiny {test['only_first']}" in done.out
    assert "McNemar: p" in done.out


# --- leaks ------------------------------------------------------------------------------------------------


def trained(make_model: MakeModel, *specs: str) -> Path:
    return make_model("mine", about={"training": {"data": {"train": list(specs)}}})


def test_a_model_that_has_seen_the_faces_is_told(run: Run, make_model: MakeModel) -> None:
    folder = trained(make_model, "cartoon:?n=16&seed=3")  # the first 16 of the 64
    done = run("evaluate", folder, CARTOON)
    assert done.status == 0
    assert "test faces (" in done.err
    assert "16 exact" in done.err
    assert "without the copied faces" in done.err
    tree = run("evaluate", folder, CARTOON, "--json").tree
    assert tree["audit"]["leaks"] is True
    assert tree["audit"]["copied_test"] + tree["without_copies"]["n"] == 64
    assert tree["provenance"]["trained on"] == "cartoon:?n=16&seed=3"
    assert "exact" not in tree["audit"]


def test_what_cannot_be_looked_at_is_said_in_one_line(run: Run, make_model: MakeModel) -> None:
    for folder, reason in (
        ("tiny", "does not say what it was trained on"),
        (trained(make_model, "fer2013plus:/nowhere"), "cannot be opened here"),
        (make_model("odd", about={"training": ["?"]}), "does not say what it was trained on"),
    ):
        done = run("evaluate", folder, CARTOON)
        assert (done.status, len(done.err.splitlines())) == (0, 1)
        assert done.err.startswith("leaks: not looked for")
        assert reason in done.err
        assert reason in run("evaluate", folder, CARTOON, "--json").tree["audit"]["skipped"]


def test_audit_off_and_audit_of_given_data(run: Run, make_model: MakeModel) -> None:
    folder = trained(make_model, CARTOON)
    assert run("evaluate", folder, CARTOON, "--audit", "off", "--json").tree["audit"] == {
        "skipped": "not looked for (--audit off)"
    }
    assert run("evaluate", "tiny", CARTOON, "--audit", CARTOON, "--json").tree["audit"]["copied_test"] == 64
    done = run("evaluate", "tiny", CARTOON, "--audit", "cartons:")
    assert (done.status, "did you mean 'cartoon'" in done.err) == (2, True)


@pytest.fixture
def audit_run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    app = typer.Typer()
    app.command()(evaluation.audit_command)

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            app(list(map(str, arguments)))
        return int(stopped.value.code or 0), capfd.readouterr().out

    return call


def test_the_audit_command(audit_run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    train, test, listed = "cartoon:?n=16&seed=3", "cartoon:?n=24&seed=3", tmp_path / "a.csv"
    status, out = audit_run(train, test, "--near", "1", "--csv", listed)
    assert status == 1
    assert "16 of 24 test faces (66.7%) have a copy" in out
    with listed.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["train"] for row in rows] == [f"cartoon/3/{k}" for k in range(16)]
    assert all(row["train"] == row["test"] and row["kind"] == "exact" for row in rows)
    status, out = audit_run(train, test, "--near", "1", "--json")
    assert json.loads(out)["copied_test"] == 16
    status, out = audit_run(train, "cartoon:?n=24&seed=4", "--near", "1")
    assert (status, "no copy of the 24 test faces" in out) == (0, True)


# --- files ------------------------------------------------------------------------------------------------


def test_report_writes_two_files(run: Run) -> None:
    done = run("evaluate", "tiny", CARTOON, "--report", "r.html")
    assert done.status == 0
    assert sorted(path.name for path in Path().iterdir()) == ["r.html", "r.json"]
    tree = json.loads(Path("r.json").read_text())
    html = Path("r.html").read_text(encoding="utf-8")
    assert tree["n"] == 64
    assert f"{100 * tree['accuracy']:.1f}" in html
    assert "pyfer evaluate tiny &#x27;cartoon:?n=64&amp;seed=3&#x27; --report r.html" in html
    assert {"false_positive", "true_positive", "precision"} == set(tree["curves"]["fear"])
    assert "r.html" in done.err


def test_errors_are_for_the_owner_alone(run: Run, tiny_model: Model) -> None:
    done = run("evaluate", "tiny", CARTOON, "--errors", "worst")
    assert done.status == 0
    folder = Path("worst")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "research data" in (folder / "README.txt").read_text()
    with (folder / "errors.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = predictions(tiny_model, open_data(CARTOON))
    wrong = found.probabilities.argmax(1) != found.truth
    assert len(rows) == wrong.sum() > 0
    assert {row["id"] for row in rows} == set(found.faces.ids[wrong])
    sure = [float(row["probability"]) for row in rows]
    assert sure == sorted(sure, reverse=True)
    assert all(row["truth"] != row["answer"] for row in rows)
    with Image.open(folder / "errors.png") as sheet:
        assert sheet.width > 300
    assert run("evaluate", "tiny", CARTOON, "--errors", "worst").status == 0  # an older one is replaced
    (folder / "mine.txt").write_text("precious")
    done = run("evaluate", "tiny", CARTOON, "--errors", "worst")
    assert (done.status, "other things in it (mine.txt)" in done.err) == (2, True)


def test_no_picture_of_the_data_is_in_the_page(run: Run) -> None:
    run("evaluate", "tiny", CARTOON, "--report", "r.html", "--errors", "worst")
    html = Path("r.html").read_text(encoding="utf-8")
    assert not re.search(r"<img|<image|data:image|base64", html)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "r.pdf"], "report='r.pdf' must end in .html"),
        (["--report", "no/r.html"], "report='no/r.html' cannot be written: there is no folder"),
        (["--errors", "file"], "errors='file' is a file; name a folder"),
        (["--against", "nosuch"], "model='nosuch' is neither"),
        (["--classes", "fear"], "classes=.* must name two or more"),
    ],
)
def test_wrong_use_is_refused_before_any_work(run: Run, arguments: list[str], message: str) -> None:
    Path("file").write_text("x")
    done = run("evaluate", "tiny", CARTOON, *arguments)
    assert (done.status, done.out) == (2, "")
    assert re.search(message, done.err)
    assert [path.name for path in Path().iterdir()] == ["file"]
