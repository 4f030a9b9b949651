"""``pyfer subsets``: from words to tables, files and JSON."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, Run
from PIL import Image

from pyfer.datasets import open_data
from pyfer.emotions import BASIC
from pyfer.models import Model
from pyfer.subsets import Settings, compare, read, study

DATA = "cartoon:?n=64"


def test_the_tables_fit_and_say_what_was_measured(run: Run) -> None:
    done = run("subsets", "tiny", DATA, "--at-least", "60")
    assert done.status == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == f"tiny on {DATA}, prior uniform"
    assert "64 faces: neutral 8, happiness 8" in done.out
    assert "247 subsets on all faces: balanced accuracy in %" in done.out
    found = study(read(Model("tiny"), open_data(DATA)).with_prior("uniform"))
    table = found.table
    for size, count in zip(range(2, 9), (28, 56, 70, 56, 28, 8, 1), strict=True):
        scores = 100 * table.of_size(size).score
        figures = f"{count} {scores.min():.1f} {scores.mean():.1f} {scores.max():.1f}"
        assert f" {size} {figures} " in f" {' '.join(done.out.split())} "
    assert ", ".join(table.best(3).classes) in done.out
    assert "all 8" in done.out
    hardest = found.pairs.row(0)
    line = next(line for line in lines if line.startswith(", ".join(hardest.classes)))
    assert f"{100 * hardest.score:.1f}" in line
    choice = found.largest(0.6)
    assert choice is not None
    assert f"by its score: {', '.join(choice.chosen.classes)}" in done.out
    low, high = (f"{100 * end:.1f}" for end in choice.measured.interval)
    verdict = "holds" if choice.measured.score >= 0.6 else "does not hold"
    assert f"{100 * choice.measured.score:.1f} ({low} .. {high})  {verdict}" in done.out
    assert "few faces, so rough figures: neutral (8)" in done.err


def test_the_answer_is_none_where_nothing_is_told_apart(run: Run) -> None:
    assert "by its score: none" in run("subsets", "tiny", DATA, "--at-least", "100", "--sizes", "7-8").out


def test_json_has_everything_and_nothing_else_is_printed(run: Run) -> None:
    tree = run("subsets", "tiny", DATA, "--json", "--sizes", "2,4", "--by", "accuracy").tree
    assert (tree["model"], tree["data"], tree["prior"], tree["by"]) == ("tiny", DATA, "data", "accuracy")
    assert tree["faces"] == dict.fromkeys(BASIC, 8)
    assert [each["size"] for each in tree["subsets"]] == [2] * 28 + [4] * 70
    answers = read(Model("tiny"), open_data(DATA)).with_prior("data")
    wanted = study(answers, settings=Settings((2, 4), "accuracy"))
    assert tree["pairs"][0] == wanted.pairs.row(0).to_dict()
    assert [each["chosen"]["size"] for each in tree["best"]] == [2, 4]
    best = wanted.best(4)
    assert best is not None
    assert tree["best"][1] == best.to_dict()
    assert set(tree["largest"]) == {"reached", "surely"}
    assert tree["trained"] == {}


def test_a_chart_and_a_table_are_written(run: Run) -> None:
    done = run("subsets", "tiny", DATA, "--sizes", "2-3", "-o", "c.png", "--csv", "all.csv")
    assert done.status == 0
    with Image.open("c.png") as picture:
        assert picture.width == 1200
    with Path("all.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 28 + 56
    tree = run("subsets", "tiny", DATA, "--sizes", "2-3", "--json").tree["subsets"]
    assert [row["classes"] for row in rows] == ["+".join(each["classes"]) for each in tree]
    assert [float(row["balanced_low"]) for row in rows] == pytest.approx(
        [each["balanced_interval"][0] for each in tree], abs=1e-6
    )
    assert rows[0]["n"] == "16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sizes", "1-3"), "must be 2 or more: one class alone is always right"),
        (("--sizes", "two"), "sizes='two' must be numbers such as 2-7"),
        (("--sizes", "7-2"), "from the smaller number to the larger"),
        (("--sizes", "2-9"), "at most 8"),
        (("--by", "acuracy"), "did you mean 'accuracy'?"),
        (("--prior", "unifrom"), "did you mean 'uniform'?"),
        (("--head", "ferpuls"), "did you mean 'ferplus'?"),
        (("-o", "nowhere/c.png"), "there is no folder"),
        (("-o", "c.png", "--csv", "c.png"), "write elsewhere"),
    ],
)
def test_wrong_words_are_one_line_of_advice(run: Run, options: tuple[str, ...], message: str) -> None:
    done = run("subsets", "tiny", DATA, *options)
    assert done.status == 2
    assert message in " ".join(done.err.split())
    assert not list(Path().iterdir())


def test_the_head_that_is_asked_for_speaks(run: Run) -> None:
    done = run("subsets", "tiny", DATA, "--head", "fer2013", "--top", "1")
    assert "120 subsets" in done.out
    assert "all 7" in done.out


def test_what_is_left_out_is_said(run: Run, make_model: MakeModel) -> None:
    labels = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "boredom"]
    make_model("bored", heads=[{"name": "own", "output": "ferplus", "labels": labels}])
    done = run("subsets", Path("..") / "bored", "cartoon:?n=6", "--choose-on", DATA, "--top", "1")
    assert done.status == 0
    assert "left out, as the model does not know them: contempt" in " ".join(done.err.split())
    assert "left out, as no face shows them: fear" in " ".join(done.err.split())
    alone = run("subsets", Path("..") / "bored", "cartoon:?n=6")
    assert alone.status == 2  # six faces of six classes have no halves
    assert "use more faces" in " ".join(alone.err.split())


def test_the_choice_may_be_made_on_other_data(run: Run) -> None:
    other = "cartoon:?n=80&seed=5"
    tree = run("subsets", "tiny", DATA, "--choose-on", other, "--json").tree
    here, there = (read(Model("tiny"), open_data(spec)).with_prior("uniform") for spec in (DATA, other))
    best = study(here, choose_on=there).best(3)
    assert best is not None
    assert tree["best"][1] == best.to_dict()
    assert tree["best"][1]["chosen"]["n"] == 30
    assert f"chosen on {other}, measured on" in run("subsets", "tiny", DATA, "--choose-on", other).out


def test_models_trained_for_a_subset_stand_beside_the_full_one(run: Run, make_model: MakeModel) -> None:
    labels = ["happiness", "x", "y", "sadness", "anger", "z", "v", "w"]
    own: list[dict[str, Any]] = [{"name": "own", "output": "ferplus", "labels": labels}]
    folder = make_model("three", heads=own)
    done = run("subsets", "tiny", DATA, "--trained", folder, "--trained", "tiny", "--head", "ferplus")
    row = next(line.split() for line in done.out.splitlines() if line.startswith("three"))
    full, trained = (read(model, open_data(DATA)) for model in (Model("tiny"), Model(folder)))
    classes = ("happiness", "sadness", "anger")
    pair = [answers.restricted(classes) for answers in (full, trained)]
    found = compare(pair[0].probabilities, pair[1].probabilities, pair[0].truth, classes)
    assert row[1:4] == ["24", *(f"{100 * value:.1f}" for value in found.balanced)]
    assert float(row[-1]) == pytest.approx(found.test.p, rel=0.01)
    same = next(line.split() for line in done.out.splitlines() if line.startswith("tiny  "))
    assert same[4:7] == ["0.0", "[0.0,", "0.0]"]
    tree = run("subsets", "tiny", DATA, "--trained", folder, "--json").tree["trained"]
    assert tree[str(folder)]["classes"] == list(classes)
    assert tree[str(folder)]["balanced"] == pytest.approx(list(found.balanced))
    assert np.isclose(tree[str(folder)]["balanced_gain"]["value"], np.diff(found.balanced)[0])


def test_help_has_an_example(run: Run) -> None:
    done = run("subsets", "--help")
    assert "Example:" in done.out
    assert "subsets.png" in done.out
