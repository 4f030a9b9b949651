"""Studies: their numbers, what is made of them, and each study from faces to files on cartoons."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pyfer.datasets import open_data
from pyfer.errors import ArgumentError
from pyfer.evaluation import Interval, predictions
from pyfer.features import Bank, Registration
from pyfer.maps.plots import INKS, bar_chart, line_chart
from pyfer.models import Model
from pyfer.studies import (
    Check,
    Outcome,
    Row,
    Setup,
    Study,
    bench,
    datasize,
    features,
    find,
    preprocessing,
    studies,
    write,
)
from pyfer.studies import faces as places
from pyfer.studies.common import macro_recall, mean, points, readme

pytest.importorskip("sklearn")
pytest.importorskip("cv2")
pytest.importorskip("skimage")

HOG = {"name": "hog", "size": 32}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup("cartoon:?n=120", "cartoon:?n=48&seed=3", quick=True, cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def cartoons() -> places.Faces:
    return places.opened("cartoon:?n=64&seed=5")


# --- verdicts and numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 3.0, "holds"),
        (-3.0, -0.5, "is contradicted"),
        (-1.0, 2.0, "cannot be told here"),
        (0.0, 2.0, "cannot be told here"),
        (-2.0, 0.0, "cannot be told here"),
    ],
)
def test_the_verdict_follows_from_the_interval(low: float, high: float, verdict: str) -> None:
    check = Check("a beats b", "in the lab", Interval((low + high) / 2, low, high))
    assert check.verdict == verdict
    assert check.sentence.startswith(f"a beats b: {verdict} in the lab (")


def test_points_have_signs_and_no_negative_zero() -> None:
    assert points(Interval(3.14, -0.04, 5.2)) == "+3.1 [0.0, +5.2]"
    assert points(Interval(-10.0, -10.04, 0.0)) == "-10.0 [-10.0, 0.0]"


def test_the_mean_is_in_per_cent_and_persons_are_drawn_whole() -> None:
    right = np.repeat([True, True, False, True], 25)
    persons = np.repeat(["a", "b", "c", "d"], 25)
    alone, grouped = mean(right), mean(right, persons)
    assert alone.value == grouped.value == 75
    assert 60 < alone.low < alone.high < 90
    assert grouped.low <= 50
    assert grouped.high == 100
    shades = np.random.default_rng(0).random(50)
    assert mean(shades) == mean(shades)
    assert mean(shades, seed=1) != mean(shades)


def test_a_paired_difference_is_that_of_the_same_faces() -> None:
    one = np.array([True] * 30 + [False] * 10)
    gain = mean(one.astype(float) - one)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)  # equal answers differ in no resample


def test_macro_recall_counts_classes_alike_and_only_those_that_occur() -> None:
    truth = np.array([0, 0, 0, 0, 2, 2])
    answers = np.array([0, 0, 0, 1, 2, 1])
    assert macro_recall(answers, truth).value == pytest.approx(100 * (0.75 + 0.5) / 2)


# --- places -----------------------------------------------------------------------------------------------


def test_a_set_without_parts_is_dealt_out() -> None:
    found = places.wild("cartoon:?n=100")
    assert (len(found.train), len(found.test)) == (70, 30)
    assert not set(found.train.data.ids) & set(found.test.data.ids)
    again = places.wild("cartoon:?n=100", seed=1)
    assert set(again.test.data.ids) != set(found.test.data.ids)


def test_fer2013_is_measured_on_public_test_and_private_test_is_never_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def fake(spec: str) -> Any:
        asked.append(spec)
        return open_data("cartoon:?n=16")

    monkeypatch.setattr(places, "open_data", fake)
    places.wild("fer2013plus:some/where")
    assert asked == [
        f"fer2013plus:some/where?labels=fer2013&split={part}" for part in ("Training", "PublicTest")
    ]
    asked.clear()
    places.wild("ferplus:x?labels=ferplus")
    assert asked == [f"ferplus:x?labels=ferplus&split={part}" for part in ("train", "validation")]
    with pytest.raises(ArgumentError, match="must not name a split"):
        places.wild("fer2013plus:x?split=PrivateTest")


def test_a_part_for_tests_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_data("cartoon:?n=40")
    splits = np.array(["train"] * 30 + ["test"] * 10)
    monkeypatch.setattr(places, "open_data", lambda spec: replace(data, splits=splits))
    found = places.wild("mine:")
    seen = {*found.train.data.ids.tolist(), *found.test.data.ids.tolist()}
    assert seen == set(data.ids[:30].tolist())


def test_a_sample_is_drawn_by_its_seed_and_keeps_the_order(cartoons: places.Faces) -> None:
    some = cartoons.sample(20, seed=2)
    assert len(some) == 20
    number = [int(each.rsplit("/")[-1]) for each in some.data.ids]
    assert number == sorted(number)
    assert (some.data.ids == cartoons.sample(20, seed=2).data.ids).all()
    assert (some.data.ids != cartoons.sample(20, seed=3).data.ids).any()
    assert cartoons.sample(1000) is cartoons


def test_one_class_is_no_data() -> None:
    with pytest.raises(ArgumentError, match="fewer than two classes"):
        places.opened("cartoon:?n=1")


# --- the bench --------------------------------------------------------------------------------------------


def test_what_was_computed_is_kept_and_a_damaged_file_is_made_anew(setup: Setup) -> None:
    calls: list[int] = []

    def compute() -> Any:
        calls.append(1)
        return np.arange(3.0)

    for _ in range(2):
        assert bench.cached(setup, {"a": 1}, compute).tolist() == [0, 1, 2]
    assert len(calls) == 1
    bench.cached(setup, {"a": 2}, compute)
    assert len(calls) == 2
    for path in setup.cache.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert bench.cached(setup, {"a": 1}, compute).tolist() == [0, 1, 2]
    assert len(calls) == 3


def test_registered_crops_are_those_of_the_registration(
    setup: Setup, cartoons: places.Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = cartoons.images[:6]
    options: dict[str, Any] = {"size": 40, "zoom": 1.1, "stiffness": 1e6}
    assert (bench.registered(setup, crops, **options) == Registration(**options)(crops)).all()
    monkeypatch.setattr(Registration, "landmarks", lambda self, crops: 1 / 0)  # they are known by now
    dark = (crops // 2).astype(np.uint8)
    moved = bench.registered(setup, dark, crops, **options)
    assert np.abs(moved.astype(int) - bench.registered(setup, crops, **options) / 2).max() < 4


def test_columns_learn_from_training_faces_alone(setup: Setup, cartoons: places.Faces) -> None:
    train, test = cartoons.images[:40], cartoons.images[40:]
    words = {"name": "sift", "coding": "words", "words": 8, "step": 12}
    for settings in (HOG, words):
        x, y = bench.columns(setup, settings, train, test, components=10)
        again, _ = bench.columns(setup, settings, train, test[:5] // 2, components=10)
        assert x.shape == (40, 10)
        assert y.shape == (24, 10)
        assert (x == again).all()
        assert float((x**2).sum(axis=1).mean()) == pytest.approx(1, abs=0.02)


def test_turning_keeps_all_distances(setup: Setup, cartoons: places.Faces) -> None:
    crops = cartoons.images[:12]
    wide, turned = Bank(HOG)(crops), bench.turned(setup, HOG, crops)
    assert wide.shape[1] > turned.shape[1] == 12
    assert turned @ turned.T == pytest.approx(wide @ wide.T, abs=1e-4)


def test_a_machine_answers_faces_that_it_has_not_seen(setup: Setup) -> None:
    found = places.wild("cartoon:?n=160")
    x = {"hog": bench.columns(setup, HOG, found.train.images, found.test.images)}
    answers = bench.trained(setup, x, found.train.truth, bench.svm(setup))
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (answers.argmax(axis=1) == found.test.truth).mean() > 0.6  # an eighth by chance


def test_a_class_without_a_face_is_no_answer(setup: Setup, cartoons: places.Faces) -> None:
    x = bench.columns(setup, HOG, cartoons.images, cartoons.images)
    some = (cartoons.truth != 3) & (cartoons.truth != 7)
    part = {"hog": (x[0][some], x[1])}
    answers = bench.trained(setup, part, cartoons.truth[some], bench.svm(setup), classes=8)
    assert answers.shape == (64, 8)
    assert (answers[:, [3, 7]] == 0).all()
    assert (answers.argmax(axis=1) == cartoons.truth)[some].all()


def test_no_machine_has_seen_the_persons_it_is_asked_about(setup: Setup, cartoons: places.Faces) -> None:
    """Columns that say who it is, and an emotion for each person: only those who know them can answer."""
    person = np.arange(64) // 4
    truth = person % 2
    x = {"who": np.eye(16, dtype=np.float32)[person]}
    data = replace(
        cartoons.data,
        targets={"mood": np.eye(2, dtype=np.float32)[truth]},
        labels={"mood": ("happiness", "sadness")},
        votes={},
    )
    strangers = places.Faces(data, "mood", "cartoon:")
    known = replace(strangers, data=replace(data, subjects=person.astype(str)))

    def accuracy(faces: places.Faces) -> float:
        answers = bench.crossvalidated(setup, x, faces, bench.svm(setup, "linear"), k=4)
        return float((answers.argmax(axis=1) == truth).mean())

    assert accuracy(strangers) == 1
    assert accuracy(known) <= 0.75


def test_a_network_answers_for_the_labels_of_the_data(setup: Setup, cartoons: places.Faces) -> None:
    some = cartoons[np.arange(8)]
    wanted = predictions(Model(), some.data, flip=True).probabilities
    assert bench.network(setup, some, flip=True) == pytest.approx(wanted)
    assert not np.allclose(bench.network(setup, some), wanted)


def test_fusion_takes_what_helps_and_leaves_what_does_not(cartoons: places.Faces) -> None:
    rng = np.random.default_rng(0)
    truth = cartoons.truth
    noise = rng.dirichlet(np.ones(8), len(truth)).astype(np.float32)
    good = (0.6 * np.eye(8)[truth] + 0.4 * noise).astype(np.float32)
    helped = bench.fused(noise, good, cartoons)
    assert helped.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (helped.argmax(axis=1) == truth).mean() > 0.9
    sharp = np.where(np.eye(8)[(truth + 1) % 8] > 0, 0.97, 0.03 / 7).astype(np.float32)  # sure, and wrong
    assert (bench.fused(good, sharp, cartoons).argmax(axis=1) == good.argmax(axis=1)).all()


def test_no_face_has_a_say_in_its_own_weight(cartoons: places.Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half is answered alike, whether its own labels are those of the one method or of the other."""
    rng = np.random.default_rng(1)
    half = np.arange(64) % 2
    monkeypatch.setattr(bench, "folds", lambda subjects, truth, k: half)
    first, second = (rng.dirichlet(np.ones(8), 64).astype(np.float32) for _ in range(2))
    found = []
    for favoured in (first, second):
        answer = np.where(half == 0, favoured.argmax(axis=1), cartoons.truth)
        target = {cartoons.head: np.eye(8, dtype=np.float32)[answer]}
        found.append(
            bench.fused(first, second, replace(cartoons, data=replace(cartoons.data, targets=target)))
        )
    one, two = found
    assert (one[half == 0] == two[half == 0]).all()
    assert (one[half == 1] != two[half == 1]).any()  # they have a say in that of the others


# --- studies ----------------------------------------------------------------------------------------------


def test_studies_are_found_by_name() -> None:
    known = {study.name: study for study in studies()}
    assert {"features", "preprocessing", "datasize"} <= set(known)
    assert all(len(study.claim.split()) > 5 for study in known.values())
    assert find("features") is features.STUDY
    with pytest.raises(ArgumentError, match=r"study='feature' must be one of .*did you mean 'features'"):
        find("feature")


def _outcome(low: float) -> Outcome:
    gain = Interval(low + 1, low, low + 2)
    rows = (Row("in the wild", "a|b", {"accuracy, %": gain, "faces": 1234}), Row("in the wild", "c", {}))
    return Outcome(
        rows, ("It is so.",), np.zeros((4, 4, 3), np.uint8), {"wild": "x:y"}, (Check("a", "here", gain),)
    )


def test_the_report_is_made_from_the_numbers(tmp_path: Path) -> None:
    study = Study("mine", "What they say.", lambda setup: _outcome(1.0))
    folder = tmp_path / "deep" / "mine"
    for low, words in ((1.0, "Holds"), (-5.0, "Contradicted"), (-1.0, "Cannot be told here")):
        write(study, _outcome(low), folder, "pyfer study mine --seed 3")
        assert sorted(path.name for path in folder.iterdir()) == ["README.md", "chart.png", "result.json"]
        text = (folder / "README.md").read_text()
        assert words in text
        assert sum(word in text for word in ("Holds,", "Contradicted:", "Cannot be told here,")) == 1
        assert "pyfer study mine --seed 3" in text
        tree = json.loads((folder / "result.json").read_text())
        assert tree["checks"][0]["difference"]["low"] == low
        assert tree["rows"][0]["faces"] == 1234
        with Image.open(folder / "chart.png") as picture:
            assert picture.size == (4, 4)
    lines = text.splitlines()
    assert "| a/b | 0.0 [-1.0, 1.0] | 1,234 |" in lines
    assert "| c |  |  |" in lines
    assert "`x:y`" in readme(study, _outcome(0.0))


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ArgumentError, match="seed=-1"):
        Setup(seed=-1)


def _run(study: Study, setup: Setup, tmp_path: Path) -> Outcome:
    outcome = study.run(setup)
    write(study, outcome, tmp_path / "out")
    assert outcome.chart.shape[1:] == (1200, 3)
    json.dumps(outcome.to_dict(study), allow_nan=False)
    return outcome


def _hurry(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose among one machine, and deal the lab out to two folds."""
    monkeypatch.setattr(module, "svm", lambda setup, kernel="rbf", c=(): bench.svm(setup, kernel, (3.0,)))
    monkeypatch.setattr(module, "_folds", lambda setup: 2)


def test_the_study_of_features(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ({"name": "sift", "size": 32, "step": 12}, {"name": "lbp", "size": 32})
    small = {"hog": HOG, "lbp": few[1], "sift grid": few[0], "embedding": features.KINDS["embedding"]}
    monkeypatch.setattr(features, "KINDS", small)
    _hurry(features, monkeypatch)
    pairs = {
        features.FOUR: ("hog", "lbp"),
        features.ALL: ("hog", "lbp", "sift grid"),
        features.WITH_EMBEDDING: ("embedding", "hog"),
    }
    monkeypatch.setattr(features, "COMBINED", pairs)
    outcome = _run(features.STUDY, setup, tmp_path)
    plain = [features.UNREGISTERED.format(name) for name in ("hog", "lbp", "sift grid")]
    methods = [*small, *plain, *pairs]
    for part in ("in the wild", "in the lab"):
        names = [row.name for row in outcome.rows if row.part == part]
        assert names == [*methods, features.NETWORK, features.FUSION]
    hog = next(row for row in outcome.rows if (row.part, row.name) == ("in the wild", "hog"))
    rbf = hog.cells["rbf, %"]
    assert isinstance(rbf, Interval)
    assert rbf.value > 40  # 12.5 by chance
    started = sorted(setup.cache.iterdir())
    again = features.STUDY.run(setup)
    assert again.rows == outcome.rows
    assert sorted(setup.cache.iterdir()) == started


def test_what_is_said_of_features_follows_from_the_answers(cartoons: places.Faces) -> None:
    right = np.eye(8)[cartoons.truth]
    wrong = np.roll(right, 1, axis=1)
    half = np.where(np.arange(64)[:, None] % 2 == 0, right, wrong)
    names = (*features.KINDS, *(features.UNREGISTERED.format(name) for name in features.PLAIN))
    names = (*names, *features.COMBINED, features.NETWORK, features.FUSION)
    good = ("hog", "sift grid", features.FOUR, features.NETWORK)
    answers = {(name, "rbf"): (right if name in good else half).astype(np.float32) for name in names}
    found = features.Found("in the lab", cartoons, {}, answers)
    verdicts = {check.claim: check.verdict for check in features._checks((found,))}
    assert verdicts["HOG is better than LBP"] == "holds"
    assert verdicts["registration helps LBP"] == "cannot be told here"
    assert verdicts["HOG, LBP, SIFT and Gabor together are better than the best of the four"] == (
        "cannot be told here"
    )
    assert verdicts["all handmade features together are better than the best alone"] == "is contradicted"
    assert (
        verdicts["a machine on these four adds to the answers of the zero-shot network"] == "is contradicted"
    )
    sentence = features._best(found)
    assert "in the lab is hog with 100.0 [100.0, 100.0] %; sift grid cannot be told from it" in sentence
    assert "with 50.0" in sentence


def test_the_study_of_preprocessing(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("baseline", "light: gamma", "not registered", "mean with the mirror image", "size 24")
    ways = {name: preprocessing.WAYS[name] for name in names}
    monkeypatch.setattr(preprocessing, "WAYS", ways)
    monkeypatch.setattr(preprocessing, "NETWORK_WAYS", names[:2])
    claims = {"registration helps HOG": ("baseline", "not registered")}
    monkeypatch.setattr(preprocessing, "_CLAIMS", claims)
    _hurry(preprocessing, monkeypatch)
    outcome = _run(preprocessing.STUDY, setup, tmp_path)
    rows = {(row.part, row.name): row.cells for row in outcome.rows}
    base, plain = (rows["HOG, in the wild", name]["accuracy, %"] for name in ("baseline", "not registered"))
    gain = rows["HOG, in the wild", "not registered"]["against the baseline, points"]
    assert isinstance(base, Interval)
    assert isinstance(plain, Interval)
    assert isinstance(gain, Interval)
    assert gain.value == pytest.approx(plain.value - base.value)
    assert outcome.checks[0].difference.value == pytest.approx(-gain.value)


@pytest.mark.parametrize("name", list(preprocessing.WAYS))
def test_a_way_changes_one_thing_of_the_baseline(name: str, setup: Setup, cartoons: places.Faces) -> None:
    way, base = preprocessing.WAYS[name], preprocessing.WAYS["baseline"]
    crops = cartoons.images[:3]
    changed = [key for key in vars(base) if getattr(way, key) != getattr(base, key)]
    assert len(changed) == (name != "baseline")
    prepared = way(setup, crops)
    assert prepared.shape == (3, *2 * (way.size if way.registered else crops.shape[1],))
    features_width = Bank(way.feature)(prepared).shape[1]
    assert features_width == Bank(base.feature)(crops).shape[1]  # the same cells at any size
    if name not in ("baseline", "mean with the mirror image") and way.size == base.size:
        assert (prepared != base(setup, crops)).any()


@pytest.fixture
def short_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[int, ...]], None]:
    pytest.importorskip("torch")

    def shorten(sizes: tuple[int, ...]) -> None:
        monkeypatch.setattr(datasize, "QUICK_SIZES", sizes)
        monkeypatch.setattr(datasize, "_QUICK_SEEN", 150)
        monkeypatch.setattr(datasize, "SIFT", {"name": "hog", "size": 32})

    return shorten


def test_the_study_of_data_size(
    setup: Setup, tmp_path: Path, short_network: Callable[[tuple[int, ...]], None]
) -> None:
    short_network((24, 48, 84))
    outcome = _run(datasize.STUDY, setup, tmp_path)
    names = [(row.part, row.name) for row in outcome.rows]
    sizes = [f"{size} faces" for size in (24, 48, 84)]
    wanted = [(part, size) for part in (datasize.MACHINE, datasize.NETWORK) for size in sizes]
    assert names == [*wanted, ("for comparison", datasize.REFERENCE)]
    draws = [row.cells["draws"] for row in outcome.rows[:6]]
    assert draws == [2, 2, 1, 1, 1, 1]
    first, last = (outcome.rows[k].cells["accuracy, %"] for k in (0, 2))
    assert isinstance(first, Interval)
    assert isinstance(last, Interval)
    assert last.value > first.value


def test_the_small_network_learns_from_the_faces_it_is_given(setup: Setup, cartoons: places.Faces) -> None:
    some = cartoons[np.array([3, 9, 30])]
    again = places.opened(datasize._only(setup, some, "tag"))
    assert (again.data.ids == some.data.ids).all()
    assert (again.images == some.images).all()


def test_the_slope_is_points_by_doubling(cartoons: places.Faces) -> None:
    sizes = (10, 20, 40, 80)
    hits = {size: np.full((2, 64), 0.3 + 0.05 * k) for k, size in enumerate(sizes)}
    found = datasize.slope(datasize.Curve(hits), cartoons, sizes)
    assert found.value == pytest.approx(5)
    assert "+5.0 [+5.0, +5.0] points" in datasize._growth("machine", datasize.Curve(hits), cartoons)
    late = {**hits, 80: np.full((2, 64), 0.2)}
    assert "so less at the end" in datasize._growth("machine", datasize.Curve(late), cartoons)


def test_too_few_faces_make_no_curve(setup: Setup) -> None:
    with pytest.raises(ArgumentError, match="a learning curve needs over 150"):
        datasize.STUDY.run(replace(setup, wild="cartoon:?n=100"))


# --- charts -----------------------------------------------------------------------------------------------


def _runs(picture: Any, ink: tuple[int, int, int]) -> Any:
    """Return (h,) how many pixels of a colour each row has."""
    return (np.abs(picture.astype(int) - ink).max(axis=2) < 3).sum(axis=1)


def test_bars_are_as_long_as_their_numbers() -> None:
    series = {"wild": [(80, 80, 80), (40, 40, 40), None], "lab": [(20, 15, 25), None, (60, 60, 60)]}
    picture = bar_chart(["a", "b", "c"], series, title="t", unit="%", marks={"m": 90.0})
    assert picture.shape[1:] == (1200, 3)
    wild, lab = (_runs(picture[80:], ink) for ink in INKS[:2])
    starts = np.flatnonzero(np.diff((wild > 50).astype(int), prepend=0) == 1)
    assert len(starts) == 2
    longest, second = (int(wild[start : start + 10].max()) for start in starts)
    assert second / longest == pytest.approx(0.5, abs=0.03)
    assert lab.max() / longest == pytest.approx(0.75, abs=0.03)
    assert len(bar_chart(["a"], {"wild": [(1, 0, 2)]})) < len(picture)


def test_negative_bars_point_to_the_left() -> None:
    picture = bar_chart(["a", "b"], {"x": [(5.0, 4.0, 6.0), (-5.0, -6.0, -4.0)]})
    rows, columns = np.nonzero(np.abs(picture[60:].astype(int) - INKS[0]).max(axis=2) < 3)
    middle = (rows.min() + rows.max()) / 2
    assert columns[rows < middle].min() >= columns[rows > middle].max() - 3


def test_lines_go_up_and_logarithms_are_even() -> None:
    points_ = [(10.0, (1.0, 0.9, 1.1)), (100.0, (2.0, 1.9, 2.1)), (1000.0, (3.0, 2.9, 3.1))]

    def dots(log: bool) -> Any:
        picture = line_chart({"x": points_}, log=log, x_name="n", y_name="y")
        assert picture.shape == (640, 1200, 3)
        mask = np.abs(picture[70:].astype(int) - INKS[0]).max(axis=2) < 3
        columns = np.flatnonzero(mask.sum(axis=0) > 12)
        groups = np.split(columns, np.flatnonzero(np.diff(columns) > 20) + 1)
        return [(g.mean(), np.nonzero(mask[:, g])[0].mean()) for g in groups]

    (x0, y0), (x1, y1), (x2, y2) = dots(log=True)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=4)
    assert y0 > y1 > y2
    (x0, _), (x1, _), (x2, _) = dots(log=False)
    assert (x1 - x0) / (x2 - x0) == pytest.approx(90 / 990, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bar_chart(["a"], {}), "1..8 series"),
        (lambda: bar_chart(["a"], {"x": [None]}), "a number to draw"),
        (lambda: bar_chart(["a", "b"], {"x": [(1, 1, 1)]}), "1 values for 2 names"),
        (lambda: bar_chart(["a"], {"x": [(1, np.nan, 1)]}), "three finite numbers"),
        (lambda: line_chart({"x": [(0.0, (1, 1, 1))]}, log=True), "above 0"),
        (lambda: line_chart({"x": []}), "a number to draw"),
    ],
)
def test_a_chart_of_nothing_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
