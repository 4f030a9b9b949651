"""Studies of the lab, of the wild and of subsets: small parts by hand, whole runs on drawn faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyfer.cartoon import cartoon_faces
from pyfer.datasets import FaceData, one_hot
from pyfer.errors import ArgumentError
from pyfer.evaluation import Interval
from pyfer.faces import TEMPLATE
from pyfer.maps.plots import INKS
from pyfer.studies import Outcome, Setup, ckplus, find, labwild, learners, subsets
from pyfer.studies.common import mean, row_of_deals
from pyfer.studies.degrade import DEGRADATIONS, Degradation
from pyfer.studies.faces import Faces, lab
from pyfer.studies.panels import Panel, panels
from pyfer.subsets import Answers
from pyfer.training.settings import load_settings

pytest.importorskip("sklearn")
pytest.importorskip("cv2")
pytest.importorskip("skimage")

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments" / "ckplus"
ABC = ("anger", "disgust", "fear")


@pytest.fixture
def crops() -> np.ndarray:
    return cartoon_faces(np.eye(8), seed=1)[..., 0]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A quick run on faces that are drawn: 64 of the wild, 40 of the lab."""
    return Setup(
        wild="cartoon:?n=64&seed=1", lab="cartoon:?n=40&seed=2", quick=True, cache=tmp_path / "cache"
    )


def data(truth: list[int], labels: tuple[str, ...], subjects: list[str] | None = None) -> Faces:
    n = len(truth)
    images = np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8)
    target = one_hot(np.array(truth), len(labels))
    names = None if subjects is None else np.array(subjects)
    ids = np.array([f"f{k}" for k in range(n)])
    return Faces(FaceData(images, {"h": target}, {"h": labels}, ids, names), "h", "nowhere:")


# --- faces made worse -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("color", [False, True], ids=["gray", "rgb"])
def test_stronger_is_worse(name: str, color: bool, crops: np.ndarray) -> None:
    before = np.repeat(crops[..., None], 3, axis=3) if color else crops
    kept = before.copy()
    each = DEGRADATIONS[name]
    found = [each(before, strength) for strength in each.strengths]
    assert np.array_equal(before, kept)
    assert all(one.shape == before.shape and one.dtype == np.uint8 for one in found)
    change = [np.abs(one.astype(float) - before).mean() for one in found]
    assert 0 < change[0] < change[1] < change[2]


def test_side_light_and_dark_by_hand() -> None:
    flat = np.full((1, 11, 11), 100, np.uint8)
    lit = DEGRADATIONS["side light"](flat, 0.5)[0]
    assert (lit[:, [0, 5, 10]] == (150, 100, 50)).all()
    dark = DEGRADATIONS["dark"](flat, 2.0)[0]
    assert (dark == round(255 * (100 / 255) ** 2)).all()


def test_rotation_turns_every_other_crop_the_other_way(crops: np.ndarray) -> None:
    two = crops[[0, 0]]
    turned = DEGRADATIONS["rotation"](two, 90.0)
    assert np.abs(turned[0].astype(int) - np.rot90(two[0], -1)).max() <= 1
    assert np.abs(turned[1].astype(int) - np.rot90(two[1])).max() <= 1


@pytest.mark.parametrize(("name", "hidden", "seen"), [("eyes covered", (0, 1), (3, 4)),
                                                      ("mouth covered", (3, 4), (0, 1))])  # fmt: skip
def test_a_cover_lies_where_the_landmarks_are(name: str, hidden: tuple[int], seen: tuple[int]) -> None:
    white = np.full((2, 100, 100), 255, np.uint8)
    low = TEMPLATE * 0.5 + 0.4
    found = DEGRADATIONS[name](white, 1.0, np.stack([TEMPLATE, low]))
    for crop, marks in zip(found, (TEMPLATE, low), strict=True):
        x, y = (100 * marks).astype(int).T
        assert (crop[y[list(hidden)], x[list(hidden)]] == 0).all()
        assert (crop[y[list(seen)], x[list(seen)]] == 255).all()
    whole = DEGRADATIONS[name](white, 1.0)
    assert np.array_equal(whole[0], found[0])
    half = DEGRADATIONS[name](white, 0.5)
    assert (half == 0).sum() == pytest.approx((whole == 0).sum() / 4, rel=0.1)


def test_a_square_covers_its_share_and_stays() -> None:
    white = np.full((5, 100, 100), 255, np.uint8)
    found = DEGRADATIONS["square covered"](white, 0.3)
    assert (found == 0).sum(axis=(1, 2)) == pytest.approx(900, rel=0.08)
    assert np.array_equal(found, DEGRADATIONS["square covered"](white, 0.3))
    assert not np.array_equal(found[0], found[1])


def test_points_must_be_those_of_the_crops(crops: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match=r"points has shape \(2, 5, 2\); 8 crops"):
        DEGRADATIONS["blur"](crops, 2.0, np.zeros((2, 5, 2)))


# --- small charts -----------------------------------------------------------------------------------------


def heights(picture: np.ndarray, ink: tuple[int, int, int], columns: slice) -> np.ndarray:
    """Return the rows, below the legend, in which a colour is."""
    rows = np.flatnonzero((picture[:, columns] == ink).all(axis=2).any(axis=1))
    return rows[rows > 74]


def test_panels_draw_a_value_at_its_height_in_its_place() -> None:
    def panel(value: float) -> Panel:
        return Panel("t", ("a", "b"), {"one": [(value, value, value)] * 2})

    picture = panels({"first": [panel(100), panel(0)], "second": [panel(0)]}, "title")
    assert picture.shape[1] == 1200
    left, right = slice(0, 300), slice(300, 600)
    top = heights(picture, INKS[0], left)
    zero = heights(picture, INKS[0], right)
    assert zero.mean() - top[top < 300].mean() == pytest.approx(150, abs=2)
    assert (top > 300).any()  # the second group lies below


def test_panels_refuse_what_cannot_be_drawn() -> None:
    with pytest.raises(ArgumentError, match=r"must be 1\.\.8 series"):
        panels({})
    with pytest.raises(ArgumentError, match="has 1 points for 2 ticks"):
        Panel("t", ("a", "b"), {"one": [(1.0, 1.0, 1.0)]})


# --- ckplus -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kinds"), [("classic", 3), ("embedding", 4)])
def test_the_settings_on_file_are_those_of_the_study(name: str, kinds: int) -> None:
    settings = load_settings(EXPERIMENTS / f"{name}.toml")
    wanted = [*ckplus.CLASSIC.values(), ckplus.EMBEDDING][:kinds]
    assert list(settings.features.bank) == [{**one, "mirror": True} for one in wanted]
    assert settings.features.registration == {"zoom": ckplus.ZOOM}
    assert settings.svm.kernel == "linear"
    assert settings.svm.c == ckplus.C


def test_every_set_of_ckplus_has_its_features(setup: Setup) -> None:
    faces = lab(setup.lab)
    found = ckplus.features(setup, faces)
    assert {part for own in ckplus.SETS.values() for part in own} == set(found)
    assert all(len(x) == len(faces) for x in found.values())
    assert set(ckplus.GOALS) <= set(ckplus.SETS)


def test_ckplus_runs_and_says_whether_goals_are_met(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ckplus, "C", (1.0,))
    outcome = find("ckplus").run(setup)
    rows = {row.name: row.cells for row in outcome.rows}
    assert list(rows) == list(ckplus.SETS)
    accuracy = rows["classic"]["accuracy"]
    assert isinstance(accuracy, Interval)
    assert accuracy.value > 50  # eight classes
    goal = outcome.checks[0]
    assert goal.difference.value == pytest.approx(accuracy.value - 91)
    assert ("reach" if accuracy.value >= 91 else "miss") in outcome.sentences[0]
    assert "seeds 300 to 300" in outcome.settings["folds"]


def test_a_tie_with_a_goal_is_told_from_several_deals() -> None:
    faces = data([0, 1, 0, 1], ("anger", "fear"))
    hits = np.array([[True, True, True, False], [True, False, False, False]])
    row = row_of_deals("features", "x", Interval(0, 0, 0), hits, faces.truth)
    assert row.cells["lowest deal"] == 25
    assert row.cells["highest deal"] == 75
    assert row.cells["mean recall"] == pytest.approx(100 * (3 / 4 + 1 / 4) / 2)


# --- labwild ----------------------------------------------------------------------------------------------


def test_a_difference_of_two_places_by_hand() -> None:
    first, second = np.array([1, 1, 1, 0]), np.array([0, 1])
    found = labwild.between(first, second, (None, None))
    assert found.value == pytest.approx(25)
    assert found.low < 25 < found.high
    same = labwild.between(np.ones(4), np.zeros(3), (None, np.array(["a", "a", "b"])))
    assert (same.low, same.value, same.high) == (100, 100, 100)


def test_a_guest_is_judged_on_the_common_classes_alone() -> None:
    faces = data([0, 1, 2, 1], ("anger", "neutral", "fear"))
    home = np.zeros((1, 4, 3), np.float32)
    home[0, :, 1] = 0.9  # neutral, which the guest does not know
    home[0, :, 0] = [0.06, 0.06, 0.04, 0.06]
    home[0, :, 2] = [0.04, 0.04, 0.06, 0.04]
    guest = np.array([[0.1, 0.2, 0.7]] * 4, np.float32)  # its labels: contempt, anger, fear
    test = labwild.Test(
        faces,
        (labwild.AS_IS,),
        {"SVM": home},
        {"guest": (guest, ("contempt", "anger", "fear"))},
    )
    answer, truth, some = test.common("SVM", ("fear", "anger"))
    assert some.tolist() == [True, False, True, False]
    assert truth.tolist() == [1, 0]
    assert answer.tolist() == [1, 0]
    assert test.common("guest", ("fear", "anger"))[0].tolist() == [0, 0]
    assert test.hits("SVM").tolist() == [[False, True, False, True]]


def test_what_being_made_worse_costs_by_hand() -> None:
    faces = data([0, 1], ("anger", "fear"))
    right = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]], [[0, 1], [1, 0]]], np.float32)
    made = (labwild.AS_IS, ("blur", 1.0), ("blur", 2.0))
    test = labwild.Test(faces, made, {"SVM": right}, {})
    assert test.rows("blur") == [1, 2]
    assert labwild._losses(test, "SVM").tolist() == [0.5, 1.0]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a whole run cheap."""
    few: dict[str, Degradation] = {name: DEGRADATIONS[name] for name in ("blur", "eyes covered")}
    monkeypatch.setattr(labwild, "DEGRADATIONS", few)
    monkeypatch.setattr(labwild, "FOLDS", 2)
    monkeypatch.setattr(learners, "QUICK_EPOCHS", 1)


def test_labwild_runs_on_drawn_faces(setup: Setup, small: None) -> None:
    outcome = find("labwild").run(setup)
    assert outcome.chart.shape[1] == 1200
    table = {(row.part, row.name): row.cells for row in outcome.rows}
    inside, outside = "faces in the lab", "faces in the wild"
    for method in ("SVM", "small CNN", "shipped CNN", "SVM from the wild"):
        assert (inside, method) in table
    for method in ("SVM", "shipped CNN", "SVM from the lab", "small CNN from the lab"):
        assert (outside, method) in table
    assert "its classes" not in table[inside, "SVM from the wild"]
    accuracy = table[inside, "SVM"]["its classes"]
    assert isinstance(accuracy, Interval)
    assert accuracy.value > 40  # eight classes
    assert table[f"{inside}, made worse", "as they are"]["SVM"] == accuracy
    assert set(table[f"{outside}, made worse", "blur 7"]) == {"SVM", "shipped CNN"}
    claims = {check.claim: check for check in outcome.checks}
    beaten = claims["The SVM beats a small CNN trained on the same faces"].difference
    other = table[inside, "small CNN"]["its classes"]
    assert isinstance(other, Interval)
    assert beaten.value == pytest.approx(accuracy.value - other.value)
    assert "eyes covered" in outcome.paragraph or "blur" in outcome.paragraph
    _same_again(setup, outcome)


def _same_again(setup: Setup, outcome: Outcome) -> None:
    """A second run takes all answers from the cache."""
    said: list[str] = []
    again = find("labwild").run(replace(setup, say=lambda what, done, total: said.append(what)))
    assert again.paragraph == outcome.paragraph
    assert said == []


def test_labwild_needs_common_classes(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labwild, "lab", lambda spec: data([0, 1] * 8, ("awe", "anger")))
    with pytest.raises(ArgumentError, match="must share two classes or more"):
        find("labwild").run(setup)


# --- subsets ----------------------------------------------------------------------------------------------


def answers(n: int = 90, subjects: bool = False) -> Answers:
    """Return answers that mix up anger and disgust, and never fear."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 3
    p = np.full((n, 3), 0.02)
    p[np.arange(n), truth] = 0.8
    wrong = (truth < 2) & (rng.random(n) < 0.5)
    p[wrong] = p[wrong][:, [1, 0, 2]]
    names = np.array([f"p{k // 6}" for k in range(n)]) if subjects else None
    return Answers(p / p.sum(1, keepdims=True), truth, ABC, (), names)


@pytest.mark.parametrize("subjects", [False, True])
def test_weighted_subsets_are_those_of_the_table(setup: Setup, subjects: bool) -> None:
    case = subsets.Case("SVM", "in the lab", answers(subjects=subjects))
    table = case.table
    weights = np.stack([np.eye(len(table))[0], np.full(len(table), 0.25)], axis=1)
    first, all_ = subsets.combined(setup, case, weights)
    assert first.value == pytest.approx(100 * table.balanced[0])
    assert all_.value == pytest.approx(100 * table.balanced.sum() / 4)
    assert all_.low < all_.value < all_.high
    sizes = dict(subsets._by_size(setup, case))
    assert sizes[2].value == pytest.approx(100 * table.balanced[table.size == 2].mean())


@pytest.mark.parametrize("size", [2, 3, 7])
def test_what_is_left_when_chance_is_taken_off(size: int) -> None:
    factor, shift = subsets.above_chance(size)
    assert factor / size - shift == pytest.approx(0)
    assert factor - shift == pytest.approx(1)


def test_checks_find_the_hard_pair(setup: Setup) -> None:
    case = subsets.Case("CNN", "in the wild", answers(300))
    checks = {check.claim: check for check in subsets._checks(setup, [case], [])}
    assert checks["Anger against disgust is harder than other pairs"].verdict == "holds"
    assert checks["Anger and disgust are recognised less often than others"].verdict == "holds"
    recall = [float((case.even.probabilities.argmax(1) == k)[case.even.truth == k].mean()) for k in range(3)]
    gap = checks["Anger and disgust are recognised less often than others"].difference
    assert gap.value == pytest.approx(100 * (recall[2] - (recall[0] + recall[1]) / 2))
    same = checks["3 classes are easier than all 3, chance taken off"].difference
    assert (same.low, same.value, same.high) == pytest.approx((0, 0, 0), abs=1e-9)


def test_a_class_that_resamples_lack_gives_no_warning(setup: Setup) -> None:
    truth = np.array([0, 2, 2, 2, 2])  # one anger, no disgust
    p = np.eye(3)[[0, 2, 2, 2, 1]]
    found = subsets._recall_gap(setup, subsets.Case("CNN", "there", Answers(p, truth, ABC)))
    assert found.value == pytest.approx(75 - 100)
    assert np.isfinite([found.low, found.high]).all()


def test_gains_of_several_subsets_are_a_mean_of_means() -> None:
    some = [
        subsets.Both("p", ("a", "b"), np.array([0, 1]), np.array([[True, False], [True, True]])),
        subsets.Both("p", ("a", "c"), np.array([1, 2, 3, 4]), np.array([[True] * 4, [True] * 3 + [False]])),
    ]
    gains = subsets._gains(some, 5)
    assert gains.mean() == pytest.approx((0.5 - 0.25) / 2)
    assert mean(gains).value == pytest.approx(12.5)


def test_classes_are_numbered_in_the_order_asked_for() -> None:
    some, truth = subsets._only(data([0, 1, 2, 2], ABC), ("fear", "anger"))
    assert some.tolist() == [True, False, True, True]
    assert truth.tolist() == [1, 0, 0]


def test_subsets_run_on_drawn_faces(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsets, "SETS", (("fear", "surprise"), ("awe", "fear")))
    monkeypatch.setattr(subsets, "FOLDS", 2)
    outcome = find("subsets").run(setup)
    rows: dict[tuple[str, str], Any] = {(row.part, row.name): row.cells for row in outcome.rows}
    for case in ("SVM in the wild", "SVM in the lab", "CNN in the wild", "CNN in the lab"):
        assert rows[f"number of classes, {case}", "8"]["best subset"].count(",") == 7
        assert any(part.startswith("pairs") and part.endswith(case) for part, _ in rows)
    trained = {part: name for part, name in rows if "trained for the subset" in part}
    assert set(trained.values()) == {"surprise, fear"}  # awe is no class of these faces
    assert len(trained) == 2
    assert {check.place for check in outcome.checks} >= {"in the wild", "in the lab"}
