"""The commands ``pyfer data ...`` as a person runs them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pyfer.datasets import CARDS, open_data, readers

Run = Callable[..., Any]


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20), np.uint8)).save(path)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A manifest of 40 faces of 10 persons, two emotions each."""
    lines = ["path,label,subject"]
    for k in range(40):
        picture(tmp_path / f"{k}.png", k)
        lines.append(f"{k}.png,{'fear' if k % 2 else 'joy'},p{k // 4}")
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def broken(faces: Path) -> Path:
    (faces.parent / "3.png").unlink()
    (faces.parent / "4.png").write_bytes(b"no picture")
    return faces


def ids(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["id", "label", "subject"]
    return [row["id"] for row in rows]


# --- list -------------------------------------------------------------------------------------------------


def test_list_has_every_reader_with_its_terms(run: Run) -> None:
    done = run("data", "list")
    assert done.status == 0
    lines = done.out.splitlines()
    assert max(map(len, lines[: lines.index("")])) <= 80  # the table; specs are never broken
    for name in readers():
        assert any(line.startswith(f"{name} ") for line in lines)
        assert f"  {name}:" in done.out
    assert "votes: MIT" in done.out
    assert "www.kdef.se" in done.out


@pytest.mark.parametrize("name", readers())
def test_list_one_reader(run: Run, name: str) -> None:
    done = run("data", "list", name)
    assert done.status == 0
    card = CARDS[name]
    for text in (card.what, card.terms, card.where, *card.layout.splitlines(), "only=FILE.csv"):
        assert text in done.out
    assert ("faces=whole|detect|box" in done.out) == (name not in ("cartoon", "ferplus", "fer2013plus"))


def test_list_of_an_unknown_reader(run: Run) -> None:
    done = run("data", "list", "rafbd")
    assert done.status == 2
    assert "did you mean 'rafdb'" in done.err


# --- check ------------------------------------------------------------------------------------------------


def test_check_of_good_data_is_status_0(run: Run, faces: Path) -> None:
    done = run("data", "check", f"manifest:{faces}", "cartoon:?n=16")
    assert done.status == 0
    assert f"(1) manifest:{faces}: 40 faces" in done.out
    assert "(2) cartoon:?n=16: 16 faces" in done.out
    rows = [line.split() for line in done.out.splitlines()]
    assert ["manifest", "(1)", "(2)"] in rows
    assert ["happiness", "20"] in rows
    assert ["happiness", "2"] in rows
    assert "no problems" in done.out


def test_check_of_bad_data_lists_it_and_is_status_1(run: Run, broken: Path) -> None:
    done = run("data", "check", f"manifest:{broken}")
    assert done.status == 1
    assert "38 faces" in done.out
    assert "missing file: 1" in done.out
    assert "corrupt picture: 1" in done.out
    assert f"  {broken.parent}/3.png: " in done.out
    tree = run("data", "check", f"manifest:{broken}", "--json").tree
    assert tree["kinds"] == {"missing file": 1, "corrupt picture": 1}
    assert tree["parts"][0]["counts"] == {"manifest": {"happiness": 19, "fear": 19}}
    assert [problem["where"] for problem in tree["problems"]] == [
        str(broken.parent / name) for name in ("3.png", "4.png")
    ]


def test_check_prints_some_or_all(run: Run, faces: Path) -> None:
    for k in range(30):
        (faces.parent / f"{k}.png").unlink()
    some = run("data", "check", f"manifest:{faces}").out
    assert "... and 10 more" in some
    assert "/19.png: " in some
    assert "/25.png: " not in some
    assert "/25.png: " in run("data", "check", f"manifest:{faces}", "--all").out


def test_check_sees_a_person_on_both_sides(run: Run, faces: Path) -> None:
    spec = f"manifest:{faces}"
    for name, rows in (("a", "0.png\n5.png"), ("b", "1.png\n9.png")):
        Path(f"{name}.csv").write_text(f"id\n{rows}\n")
    done = run("data", "check", f"{spec}?only=a.csv", f"{spec}?only=b.csv")
    assert done.status == 1
    assert "subject in two splits: 1" in done.out
    assert f"  p0: 1 faces in {spec}?only=a.csv; 1 faces in {spec}?only=b.csv" in done.out


def test_check_wrong_use(run: Run) -> None:
    done = run("data", "check", "kdef:gone")
    assert done.status == 2
    assert "is given out at https://www.kdef.se" in done.err


# --- show -------------------------------------------------------------------------------------------------


def test_show_refuses_bad_data_until_told_to_skip_it(run: Run, broken: Path) -> None:
    done = run("data", "show", f"manifest:{broken}", "-o", "sheet.png")
    assert done.status == 2
    assert "2 faces cannot be read (1 missing file, 1 corrupt picture); 38 can" in done.err
    assert not Path("sheet.png").exists()
    done = run("data", "show", f"manifest:{broken}", "-o", "sheet.png", "--skip-bad")
    assert done.status == 0
    assert done.out == "38 faces: sheet.png\n"
    assert done.err == "left out: 1 missing file, 1 corrupt picture\n"


# --- split ------------------------------------------------------------------------------------------------


def test_split_writes_parts_that_specs_read_back(run: Run, faces: Path) -> None:
    done = run("data", "split", f"manifest:{faces}", "-o", "my parts")
    assert done.status == 0
    assert sorted(path.name for path in Path("my parts").iterdir()) == [
        "test.csv",
        "train.csv",
        "validation.csv",
    ]
    names = [ids(Path("my parts") / f"{name}.csv") for name in ("train", "validation", "test")]
    assert [len(part) for part in names] == [32, 4, 4]
    assert sorted(name for part in names for name in part) == sorted(f"{k}.png" for k in range(40))
    specs = [line.split(maxsplit=1) for line in done.out.splitlines()]
    for (number, spec), part in zip(specs, names, strict=True):
        data = open_data(spec)
        assert int(number) == len(data)
        assert data.ids.tolist() == part
    assert run("data", "check", *(spec for _, spec in specs)).status == 0  # nobody is on both sides


def test_split_with_parts_and_seed(run: Run, faces: Path) -> None:
    spec = f"manifest:{faces}?size=20"
    run("data", "split", spec, "-o", "a", "--parts", "one=0.5,two=0.5")
    first = ids(Path("a/one.csv"))
    assert len(first) == 20
    run("data", "split", spec, "-o", "a", "--parts", "one=0.5,two=0.5", "--seed", 1)  # an older result goes
    assert ids(Path("a/one.csv")) != first
    done = run("data", "split", spec, "-o", "a", "--parts", "one=0.5,two=0.5", "--seed", 0)
    assert ids(Path("a/one.csv")) == first
    assert done.out.splitlines()[0].split() == ["20", f"{spec}&only=a/one.csv"]


def test_split_in_folds(run: Run, faces: Path) -> None:
    done = run("data", "split", f"manifest:{faces}", "-o", "folds", "--folds", 5)
    assert done.status == 0
    assert len(done.out.splitlines()) == 10
    tests = [ids(Path(f"folds/fold{k:02}/test.csv")) for k in range(1, 6)]
    assert [len(part) for part in tests] == [8] * 5
    assert sorted(name for part in tests for name in part) == sorted(f"{k}.png" for k in range(40))
    for k, part in enumerate(tests, start=1):
        assert not set(part) & set(ids(Path(f"folds/fold{k:02}/train.csv")))
        assert len(ids(Path(f"folds/fold{k:02}/train.csv"))) == 32


def test_split_says_that_persons_are_not_known(run: Run) -> None:
    done = run("data", "split", "cartoon:?n=40", "-o", "parts")
    assert done.status == 0
    assert done.err == "the data set names no persons: one may be on both sides\n"


def test_split_may_skip_bad_faces(run: Run, broken: Path) -> None:
    assert run("data", "split", f"manifest:{broken}", "-o", "parts").status == 2
    assert not Path("parts").exists()
    done = run("data", "split", f"manifest:{broken}", "-o", "parts", "--skip-bad")
    assert done.status == 0
    assert "left out: 1 missing file, 1 corrupt picture" in done.err
    train = f"manifest:{broken}?only=parts/train.csv"
    assert len(open_data(train)) == len(ids(Path("parts/train.csv")))  # without --skip-bad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parts", "a=0.5,b=0.6"], "must have two or more shares above 0 with sum 1"),
        (["--parts", "a=1.0"], "must have two or more shares"),
        (["--parts", "a=0.5,a=0.5"], "must be names and shares, each name once"),
        (["--parts", "../a=0.5,b=0.5"], "must be names and shares"),
        (["--parts", "a=0.5.5,b=0.5"], "must be names and shares"),
        (["--parts", "a=0.5,b=0.5", "--folds", "3"], "exclude each other"),
        (["--folds", "11"], "10 persons, or faces without one, cannot fill 11 parts"),
        (["--folds", "1"], "Invalid value for '--folds'"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
    ],
)
def test_split_wrong_use(run: Run, faces: Path, options: list[str], message: str) -> None:
    done = run("data", "split", f"manifest:{faces}", "-o", "parts", *options)
    assert done.status == 2
    assert message in done.err
    assert not Path("parts").exists()


def test_split_replaces_nothing_but_its_own(run: Run) -> None:
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work")
    done = run("data", "split", "cartoon:?n=40", "-o", "full")
    assert done.status == 2
    assert "is a folder with other things in it (thesis.txt)" in done.err
    assert Path("full/thesis.txt").read_text() == "years of work"
