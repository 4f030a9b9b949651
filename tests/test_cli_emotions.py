"""``pyfer emotions ...`` and the options of ``pyfer predict`` for new emotions, from words to files."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, Run
from numpy.typing import NDArray
from PIL import Image
from rich.cells import cell_len
from test_benchmark import drawn_faces, write_fer

import pyfer
from pyfer import benchmark, terminal
from pyfer.blends import Interval
from pyfer.cartoon import cartoon_faces
from pyfer.discovery import Discovery, Mixture
from pyfer.emotions import BASIC, NONE, UNCERTAIN
from pyfer.errors import ArgumentError
from pyfer.learning import learned_point
from pyfer.models import Model
from pyfer.pipeline import Pipeline, Reading
from pyfer.vocabulary import catalogues, load, mine


def wide(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    for console in (terminal.out, terminal.err):
        monkeypatch.setattr(console, "_width", columns)


def draw(folder: str, weights: NDArray[np.float64], seed: int = 0) -> list[str]:
    """Write a picture of a cartoon face for each mixture, and return their names."""
    Path(folder).mkdir(exist_ok=True)
    names = []
    for k, face in enumerate(cartoon_faces(weights, seed=seed)):
        names.append(f"{folder}/{k:03}.png")
        Image.fromarray(face).save(names[-1])
    return names


def mixed(n: int, **weights: float) -> NDArray[np.float64]:
    return np.tile([weights.get(name, 0.0) for name in BASIC], (n, 1))


GOOD = """
name = "mine"

[[emotion]]
name = "grim"
formula = "anger + disgust"

[[emotion]]
name = "grimmer"
formula = "anger > disgust"

[[emotion]]
name = "smirk"
formula = "contempt + happiness - sadness"
aliases = ["gloat"]
"""


@pytest.fixture
def good(run: Run) -> Path:
    """A definition file in the folder where the command runs."""
    Path("good.toml").write_text(GOOD, encoding="utf-8")
    return Path("good.toml")


@pytest.fixture
def lacking(make_model: MakeModel) -> Path:
    """A model that does not tell contempt."""
    head = {"name": "fer2013", "output": "fer2013", "labels": list(BASIC[:7])}
    return make_model("lacking", heads=[head])


# --- list and show ---------------------------------------------------------------------------------------


def test_list_shows_every_catalogue_and_ones_own(run: Run) -> None:
    done = run("emotions", "list", "--json")
    assert (done.status, list(done.tree)) == (0, list(catalogues()))
    run("emotions", "define", "awe", "fear + 2 surprise", "--alias", "wonder", "--note", "a note")
    tree = run("emotions", "list", "--json").tree
    assert list(tree) == [*catalogues(), "mine"]
    (awe,) = tree["mine"]
    assert (awe["name"], awe["aliases"], awe["formula"], awe["note"], awe["examples"]) == (
        *("awe", ["wonder"], "fear + 2 surprise", "a note", 0),
    )
    assert awe["weights"] == pytest.approx({"surprise": 2 / 3, "fear": 1 / 3})
    table = run("emotions", "list").out
    assert re.search(r"du2014\s+22\s+22\s+Du", table)
    assert re.search(r"mine\s+1\s+0\s+your own", table)


def test_list_of_a_catalogue_says_what_is_not_expressible(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wide(monkeypatch, 60)
    done = run("emotions", "list", "plutchik")
    assert re.search(r"^ *awe +0\.5 surprise \+ 0\.5 fear +no *$", done.out, re.MULTILINE)
    assert re.search(r"not expressible: love, .*\(it needs trust", done.out)
    assert run("emotions", "list", "plutchik", "--json").tree[0]["name"] == "awe"
    assert "smirk" not in done.out


def test_list_of_what_a_formula_subtracts(run: Run, good: Path) -> None:
    smirk = run("emotions", "list", good, "--json").tree[2]
    assert smirk["against"] == {"sadness": 0.5}
    assert "0.5 sadness" in run("emotions", "list", good).out


@pytest.mark.parametrize(
    ("name", "message"),
    [("dutchik", "did you mean 'plutchik'"), ("mine", "you have defined none yet"), ("gone.toml", "No such")],
)
def test_list_of_what_is_not_there(run: Run, name: str, message: str) -> None:
    done = run("emotions", "list", name)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_show_looks_everywhere_and_says_what_is_hard_to_tell_apart(run: Run) -> None:
    run("emotions", "define", "hatred", "anger + 3 disgust", "--source", "my \x1b[31mthesis")
    done = run("emotions", "show", "HATRED")
    mine_, du = done.out.split("hatred  [du2014]")
    assert mine_.startswith("hatred  [mine]")
    assert "source: my ?[31mthesis" in mine_
    assert "formula: anger > disgust" in du
    assert "validated on faces: yes" in du
    assert re.search(r"anger +\S+ 0\.67\n +disgust +\S+ 0\.33\n", du)
    close = {
        name: float(value)
        for name, value in re.findall(
            r"([a-z ]+) \((0\.\d\d)\)", du[du.index("hard to tell") :].split("from: ")[1]
        )
    }
    reader = Pipeline(reading=Reading(emotions="du2014")).posterior
    assert reader is not None
    row = reader.overlap()[reader.vocabulary.names.index("hatred")]
    expected = {n: v for n, v in zip(reader.names, row, strict=False) if v >= 0.8 and n != "hatred"}
    assert {name.strip(): value for name, value in close.items()} == pytest.approx(expected, abs=0.006)
    assert "validated on faces: no" in run("emotions", "show", "hatred", "--in", "mine").out


def test_show_of_a_basic_emotion_that_no_catalogue_has(run: Run) -> None:
    done = run("emotions", "show", "contempt")
    assert (done.status, done.out.splitlines()[0]) == (0, "contempt  [basic]")
    assert "0.50" in run("emotions", "show", "guilt").out
    assert run("emotions", "show", "joy").out.startswith("happiness  [du2014]")


def test_show_of_examples_and_of_what_is_subtracted(run: Run) -> None:
    names = draw("faces", mixed(2, fear=0.5, surprise=0.5))
    run("emotions", "learn", "odd", *names, "--crops", "-m", "tiny", "--formula", "fear + anger - sadness")
    done = run("emotions", "show", "odd")
    assert "learned from 2 faces read by the model tiny" in done.out
    assert "without sadness (0.50)" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["love"], "'love' of plutchik cannot be expressed: it needs trust"),
        (["haterd"], "none of .*; did you mean 'hatred'"),
        (["awe", "--in", "du2014"], "'awe' is not in du2014; did you mean 'awed'"),
        (["awe", "--in", "nowhere"], "'nowhere' must be one of"),
        ([""], "'' is in none of"),
    ],
)
def test_show_of_what_is_not_there(run: Run, arguments: list[str], message: str) -> None:
    done = run("emotions", "show", *arguments)
    assert (done.status, done.out) == (2, "")
    assert re.search(message, done.err)


# --- check and compare -----------------------------------------------------------------------------------


def test_check_counts_and_warns_of_what_is_close(run: Run, good: Path, monkeypatch: Any) -> None:
    wide(monkeypatch, 60)
    done = run("emotions", "check", good)
    assert (done.status, done.err) == (0, "")
    first, *others = done.out.splitlines()
    assert first == "good.toml: 3 emotions, well defined"
    assert [re.sub(r"0\.\d\d", "0.", line) for line in others] == [
        "  grim and grimmer are hard to tell apart (overlap 0.)"
    ]
    assert run("emotions", "check", "rafdb").out.startswith("rafdb: 11 emotions")


def test_check_says_what_a_model_leaves_out(run: Run, good: Path, lacking: Path) -> None:
    done = run("emotions", "check", good, "-m", lacking)
    assert (done.status, done.out.splitlines()[0]) == (0, "good.toml: 3 emotions, well defined")
    assert re.fullmatch(r"left out, as only neutral, .*fear can be told apart here: smirk\n", done.err)


def test_check_lists_every_mistake_of_a_file(run: Run) -> None:
    Path("bad.toml").write_text(
        'colour = "red"\n[[emotion]]\nname = "awe"\nformula = "surprse > fear"\n'
        '[[emotion]]\nname = "fury"\nformula = "anger > "\n[[emotion]]\nformula = "fear"\n'
        '[[emotion]]\nname = "joy"\nformula = "fear + anger"\n'
    )
    done = run("emotions", "check", "bad.toml")
    assert (done.status, done.out) == (2, "")
    first, *problems = done.err.splitlines()
    assert "5 problems" in first
    words = ("colour", "surprise", "ends with '>'", "'name' is missing", "happiness")
    assert len(problems) == len(words)
    for word in words:
        assert sum(word in problem for problem in problems) >= 1


def test_check_of_files_that_say_nothing(run: Run) -> None:
    Path("empty.toml").touch()
    Path("folder.toml").mkdir()
    for name in ("empty.toml", "folder.toml", "gone.toml", "mine"):
        done = run("emotions", "check", name)
        assert (done.status, done.out) == (2, "")
        assert name in done.err


def test_compare_sorts_pairs_and_agrees_with_the_posterior(run: Run, good: Path) -> None:
    done = run("emotions", "compare", good)
    lines = [re.fullmatch(r"(0\.\d\d) \S+  (.*?) / (.*?)(  hard.*)?", line) for line in done.out.splitlines()]
    assert all(lines)
    found = [(float(m[1]), {m[2], m[3]}, bool(m[4])) for m in lines if m]
    assert [value for value, _, _ in found] == sorted((value for value, _, _ in found), reverse=True)
    assert len(found) == 3
    assert (found[0][1], [hard for _, _, hard in found]) == ({"grim", "grimmer"}, [True, False, False])
    reader = Pipeline(reading=Reading(emotions=load(good, basics=False))).posterior
    assert reader is not None
    assert found[0][0] == pytest.approx(reader.overlap()[0, 1], abs=0.006)


def test_compare_takes_aliases_and_definitions_on_the_spot(run: Run) -> None:
    done = run("emotions", "compare", "joy", "Hatred", "dread = fear + hatred")
    names = {name for line in done.out.splitlines() for name in line[19:].split(" / ")}
    assert names == {"happiness", "hatred", "dread"}
    assert len(done.out.splitlines()) == 3


def test_compare_draws_a_chart_and_prints_the_closest_twenty(run: Run) -> None:
    done = run("emotions", "compare", "du2014", "-o", "chart.png")
    lines = done.out.splitlines()
    assert (done.status, len(lines)) == (0, 22)
    assert lines[-2:] == ["(the 20 closest of 231 pairs)", "chart: chart.png"]
    with Image.open("chart.png") as chart:
        assert chart.format == "PNG"
        assert min(chart.size) > 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hatred"], r"name two or more"),
        (["joy", "happiness"], r"name two or more"),
        (["awe = fear + surprise"], r"name two or more"),
        (["hatred", "appaled"], r"did you mean 'appalled'"),
        (["love", "hatred"], r"it needs trust"),
        (["grim", "hatred", "--in", "good.toml"], r"'hatred' is not in good\.toml"),
        (["nowhere.toml"], r"No such file"),
        (["hatred", "appalled", "-o", "gone/it.png"], r"output='gone/it\.png' .* no folder"),
        (["hatred", "appalled", "-o", "it.txt"], r"must end in \.png"),
    ],
)
def test_compare_refuses(run: Run, good: Path, arguments: list[str], message: str) -> None:
    done = run("emotions", "compare", *arguments)
    assert (done.status, done.out) == (2, "")
    assert re.search(message, done.err)


def test_compare_of_less_than_two_that_the_model_tells(run: Run, good: Path, lacking: Path) -> None:
    done = run("emotions", "compare", "grim", "smirk", "--in", good, "-m", lacking)
    assert (done.status, done.out) == (2, "")
    assert "here: smirk\n" in done.err
    assert "the model can only tell grim" in done.err


# --- emotions over time ----------------------------------------------------------------------------------


def test_an_emotion_over_time_from_definition_to_its_end(run: Run, portrait: Path) -> None:
    done = run("emotions", "define", "relief", "scared -> joy within 2s", "--alias", "phew", "--note", "n")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"relief = fear -> happiness within 2 s  ({mine()}; over time, so only in films)\n"
    assert load("mine").successions[0].names == ("relief", "phew")
    run("emotions", "define", "awe", "fear + surprise")
    shown = run("emotions", "show", "Phew").out
    assert shown.splitlines() == [
        "relief (phew)  [mine]",
        "  formula: scared -> joy within 2s",
        "  note: n",
        "  steps: fear, then happiness",
        "  over time, so only in films; a step begins at most 2 s after the one before has ended",
    ]
    assert run("emotions", "check", mine()).out.splitlines()[0].endswith("2 emotions, well defined")
    assert "over time, so only in films: relief" in run("emotions", "check", "mine").out
    (entry,) = run("predict", portrait, "-e", "mine", "-m", "tiny", "--json").tree
    assert "awe" in entry["faces"][0]["emotions"]
    assert "relief" not in entry["faces"][0]["emotions"]
    assert run("emotions", "forget", "phew").status == 2  # an alias
    assert run("emotions", "forget", "relief").out == f"forgotten: relief  ({mine()})\n"
    assert load("mine").successions == ()


def test_emotions_over_time_are_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wide(monkeypatch, 120)
    run("emotions", "define", "relief", "fear -> joy within 500 ms", "--alias", "phew", "--source", "me")
    assert re.search(r"mine\s+1\s+0\s+your own", run("emotions", "list").out)
    row = run("emotions", "list", "mine").out.splitlines()[-1]
    assert re.fullmatch(
        r" *relief \(phew\) +fear -> happiness within 0\.5 s +over time, so only in films *", row
    )
    (tree,) = run("emotions", "list", "mine", "--json").tree
    assert tree == {
        "name": "relief",
        "aliases": ["phew"],
        "formula": "fear -> joy within 500 ms",
        "steps": ["fear", "happiness"],
        "within": 0.5,
        "source": "me",
        "note": "",
    }


def test_a_file_of_nothing_but_emotions_over_time(run: Run, portrait: Path) -> None:
    run("emotions", "define", "relief", "fear -> joy", "-f", "x.toml")
    done = run("emotions", "check", "x.toml")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "x.toml: 1 emotion, well defined",
        "  over time, so only in films: relief",
    ]
    for spec in ("x.toml", "relief = fear -> joy within 2 s"):
        (entry,) = run("predict", portrait, "-e", spec, "-m", "tiny", "--json").tree
        assert set(entry["faces"][0]["emotions"]) == {*BASIC, NONE}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["define", "x", "fear -> happines"], "emotion 'x': .*did you mean 'happiness'"),
        (["define", "x", "fear -> joy within"], "'within' has no number after it"),
        (["define", "x", "fear + joy -> anger"], "give a mixture a name of its own first"),
        (["define", "joy", "fear -> anger"], "basic emotion happiness"),
        (
            ["define", "x", "relief + fear"],
            "'relief' is an emotion over time and can be no part of a mixture",
        ),
        (["define", "x", "relief -> fear"], "'relief' is an emotion over time and can be no step"),
        (["define", "relief", "fear -> anger"], "is in .* already; .* \\(--replace\\)"),
        (["define", "phew", "fear + anger"], "two emotions have the name 'phew'"),
        (["compare", "relief", "joy"], "'relief' is an emotion over time, which no face shows"),
        (["compare", "joy", "x = fear -> joy"], "'x = fear -> joy' is an emotion over time"),
        (["compare", "mine"], "name two or more"),
        (["show", "relif"], "did you mean 'relief'"),
    ],
)
def test_emotions_over_time_that_cannot_be(run: Run, arguments: list[str], message: str) -> None:
    run("emotions", "define", "relief", "fear -> joy", "--alias", "phew")
    before = mine().read_text()
    done = run("emotions", *arguments)
    assert (done.status, done.out) == (2, "")
    assert re.search(message, done.err)
    assert mine().read_text() == before


# --- define and forget -----------------------------------------------------------------------------------


def test_define_use_and_forget(run: Run, portrait: Path) -> None:
    done = run("emotions", "define", "awe", "fear + 2 surprise", "--alias", "wonder", "--source", "me")
    assert (done.status, done.out) == (0, f"awe = 0.67 surprise + 0.33 fear  ({mine()})\n")
    (table,) = tomllib.loads(mine().read_text())["emotion"]
    assert table == {"name": "awe", "formula": "fear + 2 surprise", "aliases": ["wonder"], "source": "me"}
    (entry,) = run("predict", portrait, "-e", "mine", "-m", "tiny", "--json").tree
    assert "awe" in entry["faces"][0]["emotions"]
    done = run("emotions", "forget", "awe")
    assert (done.status, done.out) == (0, f"forgotten: awe  ({mine()})\n")
    assert run("emotions", "forget", "awe").status == 2
    assert "'awe'" in run("emotions", "forget", "awe").err


def test_define_again_says_how_to_replace(run: Run) -> None:
    run("emotions", "define", "awe", "fear + 2 surprise")
    done = run("emotions", "define", "awe", "fear + surprise")
    assert done.status == 2
    assert "--replace" in done.err
    assert "replace=True" not in done.err
    assert load("mine")["awe"].formula == "fear + 2 surprise"
    assert run("emotions", "define", "awe", "fear + surprise", "--replace").status == 0
    assert load("mine")["awe"].formula == "fear + surprise"


def test_define_builds_on_the_file_and_warns_of_rivals_in_it(run: Run) -> None:
    assert run("emotions", "define", "grim", "anger + disgust", "-f", "other.toml").err == ""
    done = run("emotions", "define", "grimmer", "grim + 0.4 anger", "-f", "other.toml")
    assert done.out.startswith("grimmer = 0.64 anger + 0.36 disgust")
    assert re.fullmatch(r"hard to tell from grim in faces \(overlap 0\.9\d\)\n", done.err)
    weak = run("emotions", "define", "content", "happiness + 0.1 neutral", "-f", "other.toml")
    assert "hard to tell from happiness in faces" in weak.err
    assert "are built on it" in run("emotions", "forget", "grim", "-f", "other.toml").err.replace("is", "are")
    assert not mine().exists()


@pytest.mark.parametrize(
    ("name", "formula", "message"),
    [
        ("joy", "fear + anger", "basic emotion happiness"),
        ("uncertain", "fear + anger", "choose another name"),
        ("1x", "fear + anger", "begin with a letter"),
        ("fury", "anger > disgst", "did you mean 'disgust'"),
        ("fury", "", "formula=''"),
        ("fury", "anger - anger", "nothing is left"),
    ],
)
def test_define_refuses_and_writes_nothing(run: Run, name: str, formula: str, message: str) -> None:
    done = run("emotions", "define", name, formula)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert not mine().exists()


# --- learn -----------------------------------------------------------------------------------------------


def test_learn_writes_the_point_that_the_faces_show(run: Run) -> None:
    names = draw("faces", mixed(12, fear=0.5, surprise=0.5))
    done = run("emotions", "learn", "awe", "faces", "--crops")
    assert done.status == 0
    assert re.search(r"^awe = .*, from 12 faces  \(", done.out)
    awe = load("mine")["awe"]
    model = Model()
    pipeline = Pipeline(model, reading=Reading(emotions=()))
    result = pipeline.predict(names, crops=True)
    assert pipeline.posterior is not None
    assert result.evidence is not None
    assert awe.point == pytest.approx(learned_point(pipeline.posterior.evidence, result.evidence), abs=1e-6)
    assert awe.examples is not None
    assert (awe.examples.count, awe.examples.model) == (12, model.name)
    assert awe.examples.sha256 == model.spec.sha256


def test_learn_says_when_the_faces_overrule_the_formula(run: Run) -> None:
    draw("faces", mixed(10, happiness=1.0))
    assert (
        "overruled"
        in run("emotions", "learn", "gloom", "faces", "--crops", "--formula", "sadness + fear").err
    )
    assert (
        "overruled"
        not in run("emotions", "learn", "glee", "faces", "--crops", "--formula", "2 joy + fear").err
    )


def test_learning_again_is_anew_and_keeps_what_was_said(run: Run) -> None:
    named = ("--alias", "wonder", "--source", "me", "--note", "hm")
    run("emotions", "define", "awe", "fear + surprise - sadness", *named)
    draw("faces", mixed(10, fear=0.5, surprise=0.5))
    done = run("emotions", "learn", "Wonder", "faces", "--crops")
    assert "(the formula alone: 0.5 surprise + 0.5 fear - 0.5 sadness)" in done.out
    first = load("mine")["awe"]
    assert (first.formula, first.aliases, first.source, first.note) == (
        *("fear + surprise - sadness", ("wonder",), "me", "hm"),
    )
    assert first.against[BASIC.index("sadness")] == 0.5
    run("emotions", "learn", "awe", "faces/000.png", "--crops")
    second = load("mine")["awe"]
    assert second.examples is not None
    assert second.examples.count == 1
    assert second.formula == "fear + surprise - sadness"
    run("emotions", "learn", "awe", "faces", "--crops")
    assert load("mine")["awe"] == first  # not moved by what was learned between
    assert len(load("mine", basics=False)) == 1


def test_learn_needs_a_face_in_every_picture(run: Run, portrait: Path) -> None:
    Path("blank.png").write_bytes(b"")
    Image.new("RGB", (80, 80)).save("black.png")
    gone = [f"gone{k}.jpg" for k in range(5)]
    done = run("emotions", "learn", "awe", portrait, "black.png", "blank.png", *gone)
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines() == [
        "error: examples: 7 of 8 cannot be used, so nothing was learned; leave them out, or say --crops if "
        "each picture is one face",
        "  black.png: no face",
        "  blank.png: the file is empty",
        *(f"  {name}: there is no such file" for name in gone[:3]),
        "  and 2 more",
    ]
    assert not mine().exists()
    assert "--crops" not in run("emotions", "learn", "awe", "gone.jpg").err
    assert run("emotions", "learn", "awe", portrait).status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["happiness", "gone.jpg"], "basic emotion happiness, which nothing can move; choose"),
        (["9x", "gone.jpg"], "begin with a letter"),
        (["x", "gone.jpg", "--formula", "hapiness + fear"], "did you mean 'happiness'"),
        (["x", "gone.jpg", "-m", "nowhere"], "neither an installed model"),
    ],
)
def test_learn_refuses_before_it_reads_pictures(run: Run, arguments: list[str], message: str) -> None:
    done = run("emotions", "learn", *arguments)
    assert done.status == 2
    assert message in done.err
    assert "no such file" not in done.err


def test_learn_refuses_a_formula_that_the_model_cannot_tell(run: Run, lacking: Path) -> None:
    done = run("emotions", "learn", "x", "gone.jpg", "--formula", "contempt + anger", "-m", lacking)
    assert done.status == 2
    assert "'contempt + anger' needs contempt, which model 'lacking' cannot tell" in done.err


# --- predict ---------------------------------------------------------------------------------------------


def test_predict_and_the_library_agree_on_new_emotions(run: Run, portrait: Path, tiny: Path) -> None:
    done = run("predict", portrait, "-m", "tiny", "--json", "--emotions", "rafdb, awe = fear > surprise")
    assert (done.status, done.err) == (0, "")
    result = pyfer.predict(portrait, model=tiny, emotions="rafdb, awe = fear > surprise")
    assert done.tree[0]["faces"] == [face.to_dict() for face in result]
    assert {"awe", "sadly angry", NONE} <= set(done.tree[0]["faces"][0]["emotions"])


def test_threshold_makes_answers_uncertain(run: Run, portrait: Path) -> None:
    options = (portrait, "--emotions", "du2014", "--explain")
    (sure,) = run("predict", *options, "--json").tree[0]["faces"]
    assert sure["emotion"] == "happiness"
    below = ("--threshold", round(sure["emotions"]["happiness"] - 0.001, 4))
    assert run("predict", *options, *below, "--json").tree[0]["faces"] == [sure]
    (face,) = run("predict", *options, "--threshold", 1, "--json").tree[0]["faces"]
    assert face == {**sure, "emotion": UNCERTAIN}
    assert "uncertain: below the threshold 1" in run("predict", *options, "--threshold", 1).out
    for value in ("2", "-0.1", "nan", "high"):
        done = run("predict", *options, "--threshold", value)
        assert (done.status, done.out) == (2, "")
        assert "--threshold" in done.err


def test_none_of_these_is_given_as_the_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = draw("faces", mixed(1, anger=0.5, disgust=0.5))
    face = run("predict", name, "--crops", "-m", "tiny", "-e", "x = fear + happiness", "--json").tree[0][
        "faces"
    ][0]
    assert next(iter(face["emotions"])) == NONE  # of this seed
    assert face["emotion"] == UNCERTAIN
    out = run("predict", name, "--crops", "-m", "tiny", "-e", "x = fear + happiness", "--explain").out
    assert re.search(r"uncertain: none of these \d\d% is more probable", out)


def test_json_holds_the_explanation_of_each_face(run: Run, portrait: Path) -> None:
    Path("empty.jpg").touch()
    names = draw("faces", mixed(2, fear=0.5, surprise=0.5))
    options = ("--crops", "-m", "tiny", "--emotions", "du2014", "--json")
    done = run("predict", names[0], "empty.jpg", names[1], *options, "--explain")
    assert done.status == 1
    assert done.err == "failed: empty.jpg: the file is empty\n"
    plain = run("predict", names[0], "empty.jpg", names[1], *options).tree
    scores = []
    for entry, other in zip(done.tree, plain, strict=True):
        for face, plain_face in zip(entry["faces"], other["faces"], strict=True):
            found = face.pop("explanation")
            assert face == plain_face
            best = next(name for name in face["emotions"] if name != NONE)
            assert found["emotion"] == best
            assert found["posterior"] == face["emotions"][best]
            assert found["mixture"] == face["mixture"]
            parts = sum(part["alone"] + part["together"] for part in found["parts"])
            assert found["score"] == pytest.approx(parts, abs=1e-5)
            scores.append(found["score"])
    assert len(set(scores)) == 2


def test_explanation_for_people(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = draw("faces", mixed(1, fear=0.5, surprise=0.5))
    options = ("--crops", "-m", "tiny", "--emotions", "du2014", "--explain")
    (face,) = run("predict", name, *options, "--json").tree[0]["faces"]
    found = face["explanation"]
    wide(monkeypatch, 60)
    done = run("predict", name, *options)
    assert done.err == ""
    title, *lines = done.out.split("\n\n")[1].splitlines()
    assert title.startswith(f"{name}: {found['emotion']} ")
    assert all(cell_len(line) <= 60 for line in lines[:-2])
    alone = "".join(f"{part['basic']} {part['alone']:+.1f}, " for part in found["parts"])
    together = sum(part["together"] for part in found["parts"])
    company = f"their company {together:+.1f}" if len(found["parts"]) > 1 else ""
    assert lines[-2] == f"  evidence (nats): {alone}{company}".removesuffix(", ")
    assert f"{found['distance']:.2f} (0..1)" in lines[-1]
    shown = [rival for rival, p in found["rivals"].items() if p >= 0.005]
    assert [rival in lines[-1] for rival in found["rivals"]] == [r in shown for r in found["rivals"]]


def test_explain_needs_emotions(run: Run, portrait: Path) -> None:
    done = run("predict", portrait, "--explain")
    assert (done.status, done.out) == (2, "")
    assert "explain and panel need --emotions" in done.err


def test_the_panel_is_a_picture_of_the_bars(run: Run, portrait: Path, tmp_path: Path) -> None:
    done = run("predict", portrait, "-e", "du2014", "--panel", tmp_path / "panel.png")
    assert done.status == 0
    with Image.open(tmp_path / "panel.png") as picture:
        width, height = picture.size
    assert width > 600
    assert height > 200
    assert run("predict", portrait, "--panel", tmp_path / "other.png").status == 2
    both = ("--map", tmp_path / "one.png", "--panel", tmp_path / "one.png")
    assert "written by this command already" in run("predict", portrait, "-e", "du2014", *both).err
    assert not (tmp_path / "one.png").exists()


def test_predict_says_what_needs_a_film(run: Run, portrait: Path) -> None:
    done = run("predict", portrait, "-m", "tiny", "-e", "relief = fear -> happiness, awe = fear + surprise")
    assert done.status == 0
    assert done.err == "left out, as they need a film (pyfer watch): relief\n"
    assert portrait.name in done.out


@pytest.mark.parametrize("extra", [[], ["--json"], ["--explain"]])
def test_predict_says_what_is_left_out(
    run: Run, good: Path, lacking: Path, portrait: Path, extra: list[str]
) -> None:
    done = run("predict", portrait, "-m", lacking, "-e", good, *extra)
    assert done.status == 0
    assert done.err.count("left out") == 1
    assert done.err.endswith("here: smirk\n")
    assert "contempt" not in done.err
    if extra == ["--json"]:
        assert {"grim", "grimmer"} <= set(done.tree[0]["faces"][0]["emotions"])
    done = run("predict", portrait, "-m", "tiny", "-e", good, "--classes", "anger,disgust,fear", *extra)
    assert re.fullmatch(r"left out, as only anger, disgust, fear .*: smirk\n", done.err)


@pytest.mark.parametrize(
    ("emotions", "message"),
    [
        ("du2014x", "did you mean 'du2014'"),
        ("", "must be one of"),
        ("mine", "you have defined none yet"),
        ("x = fear", "basic emotion"),
        ("x = fear + 2 surprise,y = 2 surprise + fear", "two names for one point"),
        ("gone.toml", "No such file"),
    ],
)
def test_predict_refuses_emotions_that_are_none(
    run: Run, portrait: Path, emotions: str, message: str
) -> None:
    done = run("predict", portrait, "-m", "tiny", "--emotions", emotions)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_a_map_shows_the_faces_and_changes_no_answer(run: Run, portrait: Path) -> None:
    plain = run("predict", portrait, "-m", "tiny", "--json")
    done = run("predict", portrait, "-m", "tiny", "--json", "--map", "map.png", "--csv", "mapped.csv")
    assert (done.status, done.tree, done.err) == (0, plain.tree, "")
    run("predict", portrait, "-m", "tiny", "--csv", "plain.csv")
    assert Path("mapped.csv").read_text() == Path("plain.csv").read_text()
    run("predict", portrait, "-m", "tiny", "--emotions", "du2014", "--map", "more.png")
    Image.new("RGB", (80, 80)).save("black.png")
    assert run("predict", "black.png", "-m", "tiny", "--map", "nobody.png").status == 0
    maps = []
    for name in ("map.png", "more.png", "nobody.png"):
        with Image.open(name) as picture:
            assert picture.size[0] >= 600
            maps.append(np.asarray(picture.convert("RGB")))
    assert (maps[0] != maps[1]).any()
    assert (maps[0] != maps[2]).any()


@pytest.mark.parametrize("target", ["gone/map.png", "map.txt", ".", "portrait.png", "table.png"])
def test_a_map_is_refused_before_any_work(run: Run, portrait: Path, target: str) -> None:
    Path("portrait.png").write_bytes(portrait.read_bytes())
    done = run("predict", "portrait.png", "-m", "tiny", "--csv", "table.png", "--map", target)
    assert (done.status, done.out) == (2, "")
    assert f"map='{target}'" in done.err
    assert not Path("table.png").exists()
    assert Path("portrait.png").read_bytes() == portrait.read_bytes()


# --- discover --------------------------------------------------------------------------------------------


@pytest.fixture
def mixtures(run: Run) -> str:
    """A folder of drawn faces, in which the shipped model sees one mixture."""
    draw("mixtures", mixed(24, happiness=0.5, surprise=0.5), seed=1)
    return "mixtures"


def test_discover_finds_and_writes_what_others_can_use(run: Run, mixtures: str) -> None:
    done = run("emotions", "discover", mixtures, "--crops", "-o", "found")
    assert (done.status, done.err) == (0, "")
    found = load("found/emotions.toml", basics=False)
    assert len(found) >= 1
    assert done.out.startswith("24 faces, of which about ")
    sheets = {f"{name.replace(' ', '-')}.png" for name in found.names}
    assert {path.name for path in Path("found").iterdir()} == {"emotions.toml", *sheets}
    for name in sheets:
        with Image.open(Path("found") / name) as sheet:
            assert min(sheet.size) > 90
    for emotion in found:
        assert emotion.name in done.out
        assert emotion.formula in done.out
    (entry,) = run("predict", "mixtures/000.png", "--crops", "-e", "found/emotions.toml", "--json").tree
    assert set(found.names) <= set(entry["faces"][0]["emotions"])


def test_discover_prints_json_alone(run: Run, mixtures: str) -> None:
    done = run("emotions", "discover", mixtures, "gone.png", "--crops", "--json", "-o", "found")
    assert done.status == 1
    tree = done.tree
    assert (tree["faces"], tree["reason"]) == (24, "")
    assert len(tree["failed"]) == 1
    for one in tree["found"]:
        assert len(one["faces"]) == len(set(one["faces"])) == one["count"] >= 12
        assert all(Path(name).exists() for name in one["faces"])
    assert "written: found/emotions.toml" in done.err
    assert "failed: gone.png: there is no such file" in done.err
    assert Path("found/emotions.toml").exists()


def test_discover_replaces_an_older_result_and_nothing_else(run: Run, mixtures: str) -> None:
    options = ("--crops", "-o", "found")
    Path("found").mkdir()
    older = Discovery((Mixture("gone by", "fear + anger", (0,) * 8, 1, np.zeros(1, int), 1, 1, 1),), 1, 1)
    Path("found/emotions.toml").write_text(older.vocabulary().to_toml())
    Path("found/gone-by.png").touch()
    assert run("emotions", "discover", mixtures, *options).status == 0
    names = load("found/emotions.toml", basics=False).names
    after = {path.name for path in Path("found").iterdir()}
    assert after == {"emotions.toml", *(f"{name.replace(' ', '-')}.png" for name in names)}
    assert "gone by" not in names
    Path("found/notes.txt").write_text("mine")
    done = run("emotions", "discover", mixtures, *options)
    assert (done.status, done.out) == (2, "")
    assert "other things in it (notes.txt)" in done.err
    assert {path.name for path in Path("found").iterdir()} == {*after, "notes.txt"}


@pytest.mark.parametrize("target", ["mixtures", "mixtures/000.png"])
def test_discover_refuses_to_write_over_what_is_not_its_own(run: Run, mixtures: str, target: str) -> None:
    before = sorted(Path(mixtures).iterdir())
    done = run("emotions", "discover", mixtures, "--crops", "-o", target)
    assert (done.status, done.out) == (2, "")
    assert f"output='{target}' is a " in done.err
    assert sorted(Path(mixtures).iterdir()) == before


def test_discover_does_not_replace_what_it_reads(run: Run, mixtures: str) -> None:
    run("emotions", "discover", mixtures, "--crops", "-o", "found")
    text = Path("found/emotions.toml").read_text()
    done = run("emotions", "discover", mixtures, "--crops", "-o", "found", "-e", "found/emotions.toml")
    assert done.status == 2
    assert "is read by this command already" in done.err
    known = run("emotions", "discover", mixtures, "--crops", "-e", "found/emotions.toml", "-o", "more")
    assert known.status == 0
    assert "nothing found: " in known.out
    assert Path("found/emotions.toml").read_text() == text


def test_discover_where_nothing_is_to_be_found_leaves_the_older_result(run: Run, mixtures: str) -> None:
    run("emotions", "discover", mixtures, "--crops", "-o", "found")
    text = Path("found/emotions.toml").read_text()
    draw("plain", mixed(3, happiness=1))
    done = run("emotions", "discover", "plain", "--crops", "-o", "found")
    assert done.status == 0
    assert done.out.splitlines()[0] == "3 faces"
    assert "written: nothing; found is as it was" in done.out
    assert Path("found/emotions.toml").read_text() == text
    Path("nobody").mkdir()
    done = run("emotions", "discover", "nobody", "-o", "other")
    assert (done.status, done.out.splitlines()[0]) == (1, "no faces")
    assert not Path("other").exists()
    done = run("emotions", "discover", "plain", "--crops", "--json", "--emotions", "du2014")
    assert done.tree["found"] == []
    assert "too few" in done.tree["reason"]


def test_a_discovery_that_cannot_be_written_whole_leaves_the_older_one(
    run: Run, mixtures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyfer.cli import studies

    run("emotions", "discover", mixtures, "--crops", "-o", "found")
    before = {path.name: path.read_bytes() for path in Path("found").iterdir()}
    here = {path.name for path in Path().iterdir()}

    def full(option: str, path: Path, picture: NDArray[np.uint8]) -> None:
        raise ArgumentError(f"{option}: no space left")

    monkeypatch.setattr(studies, "write_picture", full)
    done = run("emotions", "discover", mixtures, "--crops", "-o", "found")
    assert done.status == 2
    assert "no space left" in done.err
    assert {path.name: path.read_bytes() for path in Path("found").iterdir()} == before
    assert {path.name for path in Path().iterdir()} == here


# --- fit and benchmark -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fer(tmp_path_factory.mktemp("data") / "fer", drawn_faces())


def test_fit_gives_a_model_evidence_of_its_own(run: Run, fer: Path) -> None:
    pytest.importorskip("torch")
    spec = f"fer2013plus:{fer}?leaks=keep&split="
    done = run("emotions", "fit", "tiny", f"{spec}Training", f"{spec}PublicTest", "-o", "fitted")
    assert (done.status, done.err) == (0, "")
    assert re.search(r"fitted on \d\d+ faces: \d", done.out)
    fitted = Model("fitted")
    assert fitted.evidence.kind == "embedding"
    before = np.array(fitted.evidence.weight)
    again = run("emotions", "fit", "fitted", f"{spec}Training", f"{spec}PublicTest", "-o", "fitted")
    assert again.status == 0
    assert np.allclose(Model("fitted").evidence.weight, before, rtol=1e-3, atol=1e-5)
    options = ("--probabilities", "-o", "any.npz")
    assert run("emotions", "fit", "tiny", f"{spec}Training", f"{spec}PublicTest", *options).status == 0
    assert Path("any.npz").stat().st_size > 1000


def test_fit_replaces_models_only(run: Run, fer: Path) -> None:
    pytest.importorskip("torch")
    draw("album", mixed(2, happiness=1))
    done = run("emotions", "fit", "tiny", f"fer2013plus:{fer}", f"fer2013plus:{fer}", "-o", "album")
    assert done.status == 2
    assert "output='album' is a folder with other things in it (000.png, 001.png)" in done.err
    assert len(list(Path("album").iterdir())) == 2


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rounds and resamples: this is about words, not figures."""
    whole = benchmark.benchmark
    monkeypatch.setattr(benchmark, "_DRAWS", 20)
    monkeypatch.setattr(benchmark, "benchmark", lambda *a, **options: whole(*a, **{**options, "rounds": 2}))


def test_benchmark_writes_and_prints_one_report(run: Run, fer: Path, quick: None) -> None:
    done = run("emotions", "benchmark", "tiny", "--data", fer, "--json", "-o", "report.json")
    assert (done.status, done.err) == (0, "")
    assert done.tree == json.loads(Path("report.json").read_text())
    assert (done.tree["data"], done.tree["model"], done.tree["held_out"]) == (str(fer), "tiny", False)


def test_benchmark_tables_fit_the_terminal(run: Run, fer: Path, quick: None) -> None:
    done = run("emotions", "benchmark", "tiny", "--data", fer)
    assert (done.status, done.err) == (0, "")
    report = benchmark.benchmark(Model("tiny"), fer)
    lines = done.out.splitlines()
    rows = [line for line in lines if line.startswith(("pyFER", "mean rule", "difference"))]
    assert len(rows) == 12
    assert str(report.product.ours.top_pair.scaled(100)) in rows[6]
    assert f"{report.product.mean_rule.auroc:.3f}" in rows[7]
    tables = [line for line in lines if re.match(r"(pyFER|mean rule|difference| *\d+ +\d)", line)]
    assert len(tables) == 12 + 8
    assert all(cell_len(line) <= 80 for line in tables)
    assert "NOT zero-shot" in done.out
    assert f"ECE {report.reliability.ece:.3f}" in done.out


def test_an_interval_has_no_negative_zero() -> None:
    assert terminal._interval(Interval(-0.04, -0.06, 0.01)) == "0.0 [-0.1, 0.0]"
    assert terminal._interval(Interval(-0.0004, -0.01, -0.0), 3) == "0.000 [-0.010, 0.000]"


def test_benchmark_refuses(run: Run, fer: Path, lacking: Path) -> None:
    done = run("emotions", "benchmark", "tiny", "--data", "nowhere")
    assert (done.status, done.out) == (2, "")
    assert "labels.csv is missing" in done.err
    assert "does not tell contempt" in run("emotions", "benchmark", lacking, "--data", fer).err
    assert "no folder" in run("emotions", "benchmark", "tiny", "--data", fer, "-o", "gone/x.json").err


# --- help ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["list", "show", "check", "compare", "define", "learn", "forget", "discover", "fit", "benchmark"],
)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    done = run("emotions", command, "--help")
    assert done.status == 0
    assert re.search(rf"Examples?: +pyfer emotions {command} ", done.out)
    assert command in run("emotions", "--help").out
