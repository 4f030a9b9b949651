"""``pyfer study``: from a name to tables, a report and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Run

import pyfer.studies as room
from pyfer.evaluation import Interval
from pyfer.studies import Check, Outcome, Row, Setup, Study, common
from pyfer.studies.common import LAB, WILD

asked: list[Setup] = []


def _study(setup: Setup) -> Outcome:
    asked.append(setup)
    setup.say("faces", 1, 2)
    gain = Interval(float(setup.seed), setup.seed - 1.5, setup.seed + 1.5)
    return Outcome(
        rows=(Row("in the wild", "hog", {"accuracy, %": Interval(61.5, 59.0, 63.5), "faces": 3579}),),
        sentences=("Each doubling brings 2.5 points.",),
        chart=np.zeros((8, 8, 3), np.uint8),
        settings={"wild": setup.wild},
        checks=(Check("registration helps", "in the wild", gain),),
    )


@pytest.fixture(autouse=True)
def _mine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked.clear()
    known = (Study("mine", "It helps, they say.", _study), *common.studies())
    for module in (common, room):
        monkeypatch.setattr(module, "studies", lambda: known)


def test_a_study_prints_its_tables_and_verdicts_and_writes_three_files(run: Run) -> None:
    done = run("study", "mine", "--seed", "4")
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\nhog 61.5 [59.0, 63.5] 3,579" in done.out
    assert "holds" in done.out
    assert "registration helps in the wild (+4.0 [+2.5, +5.5])" in " ".join(done.out.split())
    assert "Each doubling brings 2.5 points." in done.out
    folder = Path("experiments/studies/mine")
    assert {path.name for path in folder.iterdir()} == {"README.md", "chart.png", "result.json"}
    assert "pyfer study mine --seed 4" in (folder / "README.md").read_text()
    assert asked == [Setup(WILD, LAB, seed=4, say=asked[0].say)]


def test_options_reach_the_study_and_the_report(run: Run) -> None:
    done = run("study", "mine", "--wild", "cartoon:?n=9", "--lab", "cartoon:", "--quick", "-o", "there")
    assert done.status == 0
    assert (asked[0].wild, asked[0].lab, asked[0].quick) == ("cartoon:?n=9", "cartoon:", True)
    text = Path("there/README.md").read_text()
    assert "pyfer study mine --wild 'cartoon:?n=9' --lab cartoon: --quick" in text
    assert "cannot be told here" in done.out


def test_json_is_the_result_and_nothing_else(run: Run) -> None:
    tree = run("study", "mine", "--json", "-o", "there", "--seed", "9").tree
    assert tree == json.loads(Path("there/result.json").read_text())
    assert tree["checks"][0]["verdict"] == "holds"


def test_an_older_study_is_replaced_and_anything_else_is_not(run: Run) -> None:
    for _ in range(2):
        assert run("study", "mine", "-o", "there").status == 0
    Path("there/notes.txt").write_text("mine")
    asked.clear()
    done = run("study", "mine", "-o", "there")
    assert done.status == 2
    assert "notes.txt" in done.err
    assert not asked  # said before the work


def test_the_list(run: Run) -> None:
    out = run("study", "list").out
    assert "mine  It helps, they say." in out
    assert "\ndatasize " in out
    names = [each["study"] for each in run("study", "list", "--json").tree]
    assert {"features", "preprocessing", "datasize"} <= set(names)


def test_an_unknown_name_is_told(run: Run) -> None:
    done = run("study", "datasizes")
    assert done.status == 2
    assert "did you mean 'datasize'?" in done.err
