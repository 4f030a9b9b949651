"""Marked pictures: the marks are there, readable, where they belong, whatever the size and the number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import pyfer
from pyfer import drawing, terminal
from pyfer.cartoon import cartoon_scene
from pyfer.drawing import COLORS, contact_sheet, draw
from pyfer.emotions import BASIC, NONE, UNCERTAIN
from pyfer.errors import ArgumentError
from pyfer.results import Input, Result
from pyfer.vocabulary import load

Boxes = list[tuple[float, float, float, float]]


def result_of(
    boxes: Boxes, emotions: list[str] | None = None, labels: tuple[str, ...] = BASIC, inputs: int = 1
) -> Result:
    """Faces at `boxes` of the first input; each `emotions` with 60 %, the others sharing the rest."""
    n = len(boxes)
    emotions = emotions or ["happiness"] * n
    basic = np.full((n, len(labels)), 0.4 / (len(labels) - 1), np.float32)
    basic[np.arange(n), [labels.index(name) for name in emotions]] = 0.6
    return Result(
        labels,
        basic,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(n, np.float32),
        np.zeros((n, 5, 2), np.float32),
        np.zeros(n, np.int64),
        tuple(Input(f"{k}.jpg") for k in range(inputs)),
    )


def plain(height: int, width: int, level: int = 90) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((before != after).any(2))


def has(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((picture == np.array(colour)).all(2))


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is drawn, in order: ("label" or "bars", place, face)."""
    seen: list[Any] = []
    label, bars = drawing._label, drawing._bars

    def watched_label(canvas: Any, box: Any, face: Any, *rest: Any) -> Any:
        place = label(canvas, box, face, *rest)
        seen.append(("label", place, face))
        return place

    def watched_bars(canvas: Any, place: Any, face: Any, *rest: Any) -> None:
        seen.append(("bars", place, face))
        bars(canvas, place, face, *rest)

    monkeypatch.setattr(drawing, "_label", watched_label)
    monkeypatch.setattr(drawing, "_bars", watched_bars)
    return seen


def overlap(a: Any, b: Any) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


# --- one face ---------------------------------------------------------------------------------------------


def test_the_box_has_the_colour_of_the_emotion() -> None:
    before = plain(600, 800)
    for emotion, colour in COLORS.items():
        after = draw(before, result_of([(300, 200, 420, 360)], [emotion]))
        assert after.shape == before.shape
        assert after.dtype == np.uint8
        edge = has(after, colour)
        for point in ((200, 360), (360, 360), (280, 300), (280, 420)):
            assert edge[point], (emotion, point)
        assert not changed(before, after)[230:330, 330:390].any()  # the face itself stays free


def test_every_basic_emotion_has_a_colour_of_its_own() -> None:
    assert set(COLORS) == set(BASIC)
    colours = np.array(list(COLORS.values()), float)
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert distance[~np.eye(8, dtype=bool)].min() > 60


def test_name_and_bars_stand_beside_the_face(panels: list[Any]) -> None:
    before = plain(600, 800)
    box = (300, 200, 420, 360)
    after = draw(before, result_of([box], ["fear"]))
    kinds = [kind for kind, _, _ in panels]
    assert kinds == ["label", "bars"]
    for _, place, _ in panels:
        assert not overlap(place, box)
        inside = after[place[1] : place[3], place[0] : place[2]]
        assert (inside.max(2) > 240).any()  # letters are light
        assert np.median(inside) < 90  # on dark
    label, bars = panels[0][1], panels[1][1]
    assert label[3] == box[1]
    assert has(after[bars[1] : bars[3], bars[0] : bars[2]], COLORS["fear"]).sum() > 100


def test_the_picture_given_is_not_touched_and_the_copy_may_be() -> None:
    before = plain(600, 800)
    before.setflags(write=False)
    after = draw(before, result_of([(300, 200, 420, 360)]))
    after[0, 0] = 1
    assert (before == 90).all()


def test_a_face_found_by_the_pipeline_is_marked(astronaut: NDArray[np.uint8], tiny_model: Any) -> None:
    result = pyfer.predict(astronaut, model=tiny_model)
    marks = changed(astronaut, pyfer.draw(astronaut, result))
    x0, y0, x1, y1 = (round(v) for v in result[0].box)
    assert marks[y0, x0:x1].mean() > 0.9
    assert marks[y1, x0:x1].mean() > 0.9
    assert 0.005 < marks.mean() < 0.15


def test_among_several_faces_a_certain_one_needs_no_bars(panels: list[Any]) -> None:
    result = result_of([(100, 200, 200, 320), (500, 200, 600, 320)], ["fear", "anger"])
    certain = result.basic.copy()
    certain[0] = np.eye(8)[6]
    draw(plain(600, 800), replace(result, basic=certain))
    assert [(kind, face.emotion) for kind, _, face in panels if kind == "bars"] == [("bars", "anger")]
    panels.clear()
    draw(plain(600, 800), replace(result, basic=certain)[:1])
    assert [kind for kind, _, _ in panels] == ["label", "bars"]


def test_labels_of_a_foreign_model_are_drawn_too_long_ones_beside_their_bars(panels: list[Any]) -> None:
    labels = ("fearfully surprised", "happily disgusted", "calmness")
    after = draw(plain(600, 800), result_of([(300, 200, 420, 360)], ["fearfully surprised"], labels))
    _, place, face = panels[-1]
    assert face.emotion == "fearfully surprised"
    part = after[place[1] : place[3], place[0] : place[2]]
    letters = np.flatnonzero((part.min(2) > 200).any(0))
    bar = np.flatnonzero(has(part, drawing._OTHER).any(0))
    assert letters.max() < bar.min()


# --- many faces, all sizes --------------------------------------------------------------------------------


def crowd(columns: int, rows: int, cell: int, face: int) -> Boxes:
    return [
        (x * cell + 10, y * cell + 30, x * cell + 10 + face, y * cell + 30 + face)
        for y in range(rows)
        for x in range(columns)
    ]


def test_in_a_crowd_no_label_and_no_bars_cover_a_face(panels: list[Any]) -> None:
    boxes = crowd(6, 4, 150, 60)
    draw(plain(640, 920), result_of(boxes, [BASIC[k % 8] for k in range(24)]))
    assert [kind for kind, _, _ in panels].count("label") == 24
    places = [place for _, place, _ in panels]
    for place in places:
        assert not any(overlap(place, box) for box in boxes)
    for k, place in enumerate(places):
        assert not any(overlap(place, other) for other in places[:k])


def test_a_label_avoids_the_face_above(panels: list[Any]) -> None:
    upper, lower = (300.0, 100.0, 400.0, 230.0), (310.0, 235.0, 410.0, 365.0)
    draw(plain(600, 800), result_of([upper, lower]))
    labels = [place for kind, place, _ in panels if kind == "label"]
    assert not any(overlap(place, box) for place in labels for box in (upper, lower))
    assert not overlap(*labels)


def test_small_faces_make_the_picture_larger_so_that_names_fit(panels: list[Any]) -> None:
    boxes = crowd(12, 6, 40, 12)
    after = draw(plain(280, 500), result_of(boxes))
    assert after.shape == (840, 1500, 3)
    labels = [place for kind, place, _ in panels if kind == "label"]
    assert len(labels) == 72
    assert min(place[3] - place[1] for place in labels) >= 10
    assert not any(overlap(a, b) for k, a in enumerate(labels) for b in labels[:k])


def test_faces_that_lie_on_each_other_are_all_drawn() -> None:
    boxes: Boxes = [(100 + 5 * k, 100 + 5 * k, 300 + 5 * k, 300 + 5 * k) for k in range(8)]
    emotions = list(BASIC)
    after = draw(plain(600, 800), result_of(boxes, emotions))
    for k, emotion in enumerate(emotions):
        assert has(after, COLORS[emotion]).sum() > 200, (k, emotion)


@pytest.mark.parametrize("side", [1, 16, 64, 200, 479])
def test_a_small_picture_is_enlarged(side: int) -> None:
    after = draw(plain(side, side), result_of([(0.25 * side, 0.25 * side, 0.75 * side, 0.75 * side)]))
    assert 480 <= after.shape[0] == after.shape[1] < 960
    assert changed(plain(*after.shape[:2]), after).any()


def test_a_picture_of_ordinary_size_keeps_it() -> None:
    assert draw(plain(480, 640), result_of([(100, 100, 200, 200)])).shape == (480, 640, 3)


def test_letters_grow_with_the_picture(panels: list[Any]) -> None:
    for scale in (1, 6):
        draw(
            plain(500 * scale, 700 * scale), result_of([(200 * scale, 150 * scale, 330 * scale, 300 * scale)])
        )
    small, large = (place[3] - place[1] for kind, place, _ in panels if kind == "label")
    assert 4 < large / small < 8


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 100, 100),
        (700, 500, 800, 600),
        (0, 0, 800, 600),
        (-50, -50, 60, 60),
        (790, 590, 900, 700),
        (900, 700, 1000, 800),
        (-100, 200, -50, 300),
        (400, 300, 400.4, 300.4),
    ],
    ids=str,
)
def test_faces_at_and_beyond_the_border(box: tuple[float, float, float, float], panels: list[Any]) -> None:
    before = plain(600, 800)
    assert changed(before, draw(before, result_of([box]))).any()
    for _, place, _ in panels:
        assert place[0] >= 0
        assert place[1] >= 0
        assert place[2] <= 800
        assert place[3] <= 600


def test_the_box_of_a_face_that_is_cut_by_the_border_is_closed_there() -> None:
    after = has(draw(plain(600, 800), result_of([(700, 300, 900, 500)])), COLORS["happiness"])
    assert after[310:490, 799].all()
    assert after[310:490, 700].all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (3, 700), (700, 3)])
def test_pictures_without_room_for_a_name(shape: tuple[int, int]) -> None:
    after = draw(plain(*shape), result_of([(0, 0, shape[1], shape[0])]))
    assert changed(plain(*after.shape[:2]), after).any()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(*[st.integers(-50, 350)] * 2, *[st.integers(0, 200)] * 2).map(
            lambda v: (float(v[0]), float(v[1]), float(v[0] + v[2]), float(v[1] + v[3]))
        ),
        max_size=6,
    ),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_no_boxes_make_drawing_fail(boxes: Boxes, height: int, width: int) -> None:
    after = draw(plain(height, width), result_of(boxes))
    assert after.shape[0] % height == after.shape[1] % width == 0


def test_a_huge_picture() -> None:
    after = draw(plain(3000, 4000), result_of([(1000, 1000, 1500, 1600)]))
    assert after.shape == (3000, 4000, 3)
    assert has(after, COLORS["happiness"]).sum() > 3000


# --- new emotions -----------------------------------------------------------------------------------------

LONG = "disgustedly surprised"
BOX = (300.0, 200.0, 420.0, 360.0)


def with_new(
    boxes: Boxes,
    best: list[str],
    *,
    share: float = 0.6,
    then: str = "",
    threshold: float = 0.0,
    names: tuple[str, ...] | None = None,
) -> Result:
    """Faces read with new emotions: `best` with `share`, `then` with half of what is left."""
    vocabulary = load("du2014")
    names = (*vocabulary.names, NONE) if names is None else names
    p = np.zeros((len(best), len(names)))
    p[np.arange(len(best)), [names.index(name) for name in best]] = share
    if then:
        p[:, names.index(then)] = (1 - share) / 2
    p += np.where(p == 0, (1 - p.sum(1, keepdims=True)) / (p == 0).sum(1, keepdims=True), 0)
    points = dict(zip(vocabulary.names, vocabulary.points, strict=True))
    return replace(
        result_of(boxes),
        answers=names,
        posterior=p,
        mixture=np.array([points.get(name, np.full(8, 1 / 8)) for name in best]),
        evidence=np.zeros((len(best), 36), np.float32),
        threshold=threshold,
    )


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are written, in order."""
    texts: list[str] = []
    text = drawing.ImageDraw.ImageDraw.text

    def watched(self: Any, where: Any, what: str, *rest: Any, **options: Any) -> None:
        texts.append(what)
        text(self, where, what, *rest, **options)

    monkeypatch.setattr(drawing.ImageDraw.ImageDraw, "text", watched)
    return texts


def test_a_new_emotion_has_the_colours_of_what_the_face_is_mixed_of(written: list[str]) -> None:
    after = draw(plain(600, 800), with_new([BOX], ["happily surprised"], then="awed"))
    red, green, blue = (int(v) for v in after[280, 300])
    mean = (np.array(COLORS["happiness"]) + np.array(COLORS["surprise"])) / 2
    np.testing.assert_allclose((red, green, blue), mean, atol=1)
    assert written[:3] == ["happily surprised 60%", "happily surprised", "awed"]
    assert has(after, (red, green, blue))[:, 421:].sum() > 100  # its bar has the same colour
    assert has(after, drawing._OTHER)[:, 421:].sum() > 50  # of the other new emotion that is not known


def test_every_emotion_of_a_catalogue_is_drawn_in_a_colour_that_can_be_seen() -> None:
    for name in load("du2014").names:
        face = with_new([BOX], [name])[0]
        color = np.array(drawing._color(name, face), float)
        assert np.linalg.norm(color - drawing._PANEL) > 120, name
        if name in BASIC:
            assert tuple(color) == COLORS[name]


def test_without_a_mixture_a_new_emotion_has_the_colour_of_foreign_ones() -> None:
    result = replace(with_new([BOX], ["awed"]), mixture=None)
    assert has(draw(plain(600, 800), result), drawing._OTHER)[200:360, 300].all()
    foreign = replace(with_new([BOX], ["awed"])[0], mixture={"boredom": 1.0})
    assert drawing._color("awed", foreign) == drawing._OTHER


@pytest.mark.parametrize(
    ("result", "label", "first"),
    [
        (with_new([BOX], ["awed"], threshold=0.7), "uncertain: awed 60%", "awed"),
        (with_new([BOX], [NONE], then="awed"), "uncertain: awed 20%", NONE),
        (replace(result_of([BOX], ["fear"]), threshold=0.7), "uncertain: fear 60%", "fear"),
    ],
    ids=["threshold", "none of these", "basic"],
)
def test_an_uncertain_face_is_gray_and_says_what_it_may_be(
    result: Result, label: str, first: str, written: list[str]
) -> None:
    assert result.emotion == (UNCERTAIN,)
    after = draw(plain(600, 800), result)
    gray = np.array(drawing._UNKNOWN)
    assert np.ptp(gray) < 25
    assert has(after, drawing._UNKNOWN)[200:360, 300].all()
    assert written[0] == label
    assert written[1] == first  # the first bar


def test_gray_is_no_emotions_colour() -> None:
    for color in (*COLORS.values(), drawing._OTHER, drawing._PANEL):
        assert np.linalg.norm(np.subtract(color, drawing._UNKNOWN)) > 50


def test_a_small_uncertain_face_says_only_that(written: list[str]) -> None:
    draw(plain(480, 640), with_new([(300, 200, 336, 236)], ["happily disgusted"], threshold=0.9))
    assert written[0] == UNCERTAIN


def test_a_long_name_beside_a_small_face_stands_on_two_lines(written: list[str], panels: list[Any]) -> None:
    after = draw(plain(480, 640), with_new([(300, 200, 345, 250)], [LONG]))
    assert written[0].replace("\n", " ") in (LONG, f"{LONG} 60%")
    assert written[0].startswith("disgustedly\nsurprised")
    place = panels[0][1]
    assert place[2] - place[0] <= 2 * 45
    marks = changed(plain(480, 640), after)
    for x0, y0, x1, y1 in (place, (298, 198, 348, 253), *[place for _, place, _ in panels[1:]]):
        marks[y0 : y1 + 1, x0 : x1 + 1] = False
    assert not marks.any()  # both lines stand on the label
    light = (after[place[1] : place[3], place[0] : place[2]] > 240).all(2).any(1)
    assert 2 <= np.flatnonzero(light)[0] <= 8
    assert 2 <= np.flatnonzero(light[::-1])[0] <= 8


def test_labels_that_would_cover_each_other_are_made_narrower(written: list[str], panels: list[Any]) -> None:
    boxes = [(20.0 + 110 * k, 200.0, 120.0 + 110 * k, 320.0) for k in range(6)]
    draw(plain(600, 800), with_new(boxes, [LONG] * 6))
    labels = [place for kind, place, _ in panels if kind == "label"]
    texts = [text for text in written if text.startswith("disgustedly")]
    assert texts[-1] == f"{LONG} 60%"  # beyond the last there is room
    assert sum(text == "disgustedly\nsurprised 60%" for text in texts) == 5
    for k, place in enumerate(labels):
        assert not any(overlap(place, box) for box in boxes)
        assert not any(overlap(place, other) for other in labels[:k])


def test_a_face_that_fills_the_picture_has_room_for_all_that_is_to_say(written: list[str]) -> None:
    draw(plain(160, 160), with_new([(0, 0, 160, 160)], [NONE], then="fearfully surprised"))
    assert written == ["uncertain: fearfully surprised 20%"]


def test_a_label_on_its_own_face_is_as_small_as_it_can_be(written: list[str]) -> None:
    """Faces on all sides leave no room but on the face itself."""
    boxes = [
        (10.0 + 102 * x, 10.0 + 102 * y, 110.0 + 102 * x, 110.0 + 102 * y) for y in range(3) for x in range(3)
    ]
    draw(plain(400, 480), with_new([boxes[4], *boxes[:4], *boxes[5:]], ["happily disgusted"] * 9))
    assert written[0] in ("happily\ndisgusted", "happily disgusted")


@pytest.mark.parametrize("threshold", [0.0, 0.9])
def test_in_a_crowd_no_long_name_covers_a_face_or_another_name(panels: list[Any], threshold: float) -> None:
    names = load("du2014").names
    boxes = crowd(6, 4, 150, 60)
    best = [names[k % len(names)] for k in range(24)]
    draw(plain(640, 920), with_new(boxes, best, threshold=threshold))
    places = [place for _, place, _ in panels]
    assert len(places) >= 24
    for k, place in enumerate(places):
        assert not any(overlap(place, box) for box in boxes)
        assert not any(overlap(place, other) for other in places[:k])


@pytest.mark.parametrize(("side", "height"), [(60, 60), (160, 90), (500, 500), (490, 2500), (1500, 1500)])
@pytest.mark.parametrize("name", [LONG, "a name of exactly sixty letters which a definition may have"])
def test_no_name_is_cut_off_at_the_border(
    side: int, height: int, name: str, panels: list[Any], written: list[str]
) -> None:
    names = (*BASIC, name, "rather long as well", NONE)
    for x, width in ((0.0, 0.3), (0.4, 0.3), (0.7, 0.3), (0.05, 0.9)):
        box = (x * side, 0.3 * height, (x + width) * side, 0.7 * height)
        result = with_new([box], [name], then="rather long as well", names=names)
        after = draw(plain(height, side), result)
        for _, place, _ in panels:
            assert 0 <= place[0] < place[2] <= after.shape[1]
            assert 0 <= place[1] < place[3] <= after.shape[0]
        assert name in " ".join(written).replace("\n", " ")
        panels.clear()
        written.clear()


def test_long_names_stand_beside_their_bars(panels: list[Any]) -> None:
    after = draw(plain(600, 800), with_new([BOX], [LONG], then="fearfully disgusted"))
    kind, place, _ = panels[-1]
    assert kind == "bars"
    part = after[place[1] : place[3], place[0] : place[2]]
    letters = np.flatnonzero((part.min(2) > 200).any(0))
    bars = np.flatnonzero(has(part, drawing._OTHER).any(0))
    assert letters.max() < bars.min()


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("awed\xa060%", 2, "awed\xa060%"),
        ("fearfully surprised\xa060%", 1, "fearfully surprised\xa060%"),
        ("fearfully surprised\xa060%", 2, "fearfully\nsurprised\xa060%"),
        ("uncertain: fearfully surprised\xa07%", 2, "uncertain:\nfearfully surprised\xa07%"),
        ("uncertain: fearfully surprised\xa07%", 3, "uncertain:\nfearfully\nsurprised\xa07%"),
        ("self-conscious smile", 3, "self-conscious\nsmile"),
        ("shy self-conscious", 2, "shy\nself-conscious"),
        ("a b c d", 2, "a b\nc d"),
    ],
)
def test_texts_are_broken_between_words(text: str, lines: int, expected: str) -> None:
    assert drawing._on_lines(text, lines).split() == expected.split()
    assert drawing._on_lines(text, lines).count("\n") <= lines - 1
    widest = max(map(len, drawing._on_lines(text, lines).split("\n")))
    assert widest <= max(map(len, expected.split("\n")))


def test_bars_beside_a_face_at_the_lower_border_move_up(panels: list[Any]) -> None:
    draw(plain(600, 800), with_new([(300, 555, 380, 597)], ["awed"], then="sadly fearful"))
    kind, place, _ = panels[-1]
    assert kind == "bars"
    assert place[0] > 380
    assert 590 < place[3] < 600


def test_the_astronaut_with_new_emotions(astronaut: NDArray[np.uint8]) -> None:
    result = pyfer.predict(astronaut, emotions="du2014")
    x0, y0, x1, y1 = (round(v) for v in result[0].box)
    for each, colour in ((result, COLORS["happiness"]), (replace(result, threshold=1.0), drawing._UNKNOWN)):
        after = draw(astronaut, each)
        edges = has(after, colour)
        assert edges[y0 : y1 + 1, x0].all()
        assert edges[y1, x0 : x1 + 1].all()
        assert not changed(astronaut, after)[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].any()


# --- lines in the terminal --------------------------------------------------------------------------------


def lines_of(result: Result, width: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    terminal.show_faces(result)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    return lines


@pytest.fixture(params=[30, 40, 60, 80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(terminal.out, "_width", request.param)
    return int(request.param)


def test_a_line_says_the_new_emotion(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    result = with_new([BOX] * 2, ["awed", LONG], then="sadly fearful")
    lines = lines_of(result, width, capsys)
    assert lines[0].split()[:2] == ["picture", "emotion"]
    assert lines[1].startswith("0.jpg    awed 60%")
    assert f"  {LONG}" in lines[2]
    assert (f"{LONG} 60%" in lines[2]) == (width >= 40)
    assert ("sadly fearful 20%" in lines[1]) == (width >= 60)


def test_a_line_of_an_uncertain_face(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    torn = with_new([BOX], [NONE], then="angrily surprised", share=0.5)
    unsure = with_new([BOX], ["happily surprised"], threshold=0.9)
    for result, said in ((torn, "angrily surprised 25%"), (unsure, "happily surprised 60%")):
        line = lines_of(result, width, capsys)[1]
        full = f"uncertain: {said}"
        assert (full in line) == (9 + len(full) <= width)
        assert "uncertain" in line
        assert ("none of these" in line) == (result is torn and width >= 40)
        assert line.count(said) <= 1


def test_without_room_for_what_a_face_may_be_nothing_less_probable_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.out, "_width", 44)
    result = with_new([BOX], ["happily surprised"], then="awed", threshold=0.9)
    result = replace(result, inputs=(Input("a-name-of-30-letters-or-so.jpg"),))
    assert lines_of(result, 44, capsys)[1].split() == ["…ers-or-so.jpg", "uncertain"]


def test_a_long_emotion_takes_room_from_the_name_of_the_picture(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = replace(with_new([BOX], [LONG]), inputs=(Input("holidays/2024/IMG_2034.jpg"),))
    line = lines_of(result, width, capsys)[1]
    assert LONG in line
    assert "34.jpg" in line


def test_the_longest_name_keeps_its_beginning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a name of exactly sixty letters which a definition may have"
    result = with_new([BOX], [name], names=(*BASIC, name, NONE))
    for width in (30, 60, 75, 90):
        monkeypatch.setattr(terminal.out, "_width", width)
        line = lines_of(result, width, capsys)[1]
        if width < 70:
            assert line == f"0.jpg    {name[: width - 10]}".rstrip() + "…"
        else:
            assert f"{name} 60%" in line


def test_a_basic_emotion_below_the_threshold(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    result = replace(result_of([BOX], ["fear"]), threshold=0.9)
    line = lines_of(result, width, capsys)[1]
    assert "uncertain: fear 60%" in line
    assert line.count("fear") == 1


def test_the_bar_of_an_uncertain_face_has_a_colour_of_its_own() -> None:
    face = with_new([BOX], ["awed"])[0]
    for emotion, colour in (("awed", "green"), (UNCERTAIN, "yellow")):
        details = terminal._details(replace(face, emotion=emotion), "awed 60%", 60)
        assert {span.style for span in details.spans} == {colour, "dim"}


def test_names_in_wide_letters_keep_the_table_straight(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.cells import cell_len

    monkeypatch.setattr(terminal.out, "_width", 150)
    names = (*BASIC, "悲喜交加", "驚き", NONE)
    result = with_new([BOX] * 2, ["悲喜交加", "fear"], then="驚き", names=names)
    for narrow in range(22, 110):
        monkeypatch.setattr(terminal.out, "_width", narrow)
        terminal.show_faces(result)
        for line in capsys.readouterr().out.splitlines()[1:]:
            assert cell_len(line) <= narrow
            assert line.count("驚き") == line.count("驚き 20%")
            assert line.endswith(("%", "─", "━", "300 200 420 360"))  # nothing is cut off
    monkeypatch.setattr(terminal.out, "_width", 150)
    terminal.show_faces(result)
    title, first, second = capsys.readouterr().out.splitlines()
    assert "悲喜交加 60%" in first
    place = title.index("box")
    for line in (first, second):
        before, _, _ = line.partition("300 200")
        assert cell_len(before) == place


# --- which faces ------------------------------------------------------------------------------------------


def test_an_empty_result_leaves_the_picture_as_it_is() -> None:
    before = cartoon_scene(np.eye(8)[:2], width=640, height=480).image
    np.testing.assert_array_equal(draw(before, result_of([])), before)


def test_only_the_faces_of_the_chosen_input_are_drawn() -> None:
    result = result_of([(100, 100, 200, 200)], inputs=2)
    before = plain(480, 640)
    assert changed(before, draw(before, result)).any()
    assert not changed(before, draw(before, result, source=1)).any()


@pytest.mark.parametrize("source", [-1, 1, 7])
def test_an_input_that_is_not_there_is_an_error(source: int) -> None:
    with pytest.raises(ArgumentError, match=rf"source={source} must lie in 0..0"):
        draw(plain(480, 640), result_of([]), source=source)


@pytest.mark.parametrize(
    "picture",
    [*(np.zeros(shape, np.uint8) for shape in ((4, 4), (4, 4, 4), (0, 4, 3))), np.zeros((4, 4, 3)), 3],
    ids=["gray", "rgba", "empty", "float", "number"],
)
def test_what_is_no_picture_is_an_error(picture: Any) -> None:
    with pytest.raises(ArgumentError, match=r"picture of shape .* must be uint8 \(h, w, 3\)"):
        draw(picture, result_of([]))


# --- contact sheets ---------------------------------------------------------------------------------------


def test_a_sheet_shows_every_crop_with_its_caption() -> None:
    levels = np.arange(10, 250, 24, dtype=np.uint8)
    crops = np.broadcast_to(levels[:, None, None], (10, 48, 48))
    sheet = contact_sheet([crops], ["x"] * 10)
    assert sheet.dtype == np.uint8
    for level in levels:
        assert has(sheet, (level, level, level)).sum() == 96 * 96
    empty = contact_sheet([crops], [""] * 10)
    assert changed(empty, sheet).any()


def test_versions_stand_side_by_side_in_gray_and_colour() -> None:
    gray = np.full((3, 48, 48), 50, np.uint8)
    red = np.zeros((3, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    sheet = contact_sheet([gray, red], ["a", "b", "c"], side=64)
    first, second = has(sheet, (50, 50, 50)), has(sheet, (200, 0, 0))
    assert first.sum() == second.sum() == 3 * 64 * 64
    assert np.flatnonzero(second.any(0)).min() == np.flatnonzero(first.any(0)).min() + 64


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_sheets_of_any_number(n: int) -> None:
    sheet = contact_sheet([np.full((n, 48, 48), 200, np.uint8)], ["x"] * n, side=20)
    assert has(sheet, (200, 200, 200)).sum() == n * 400


@pytest.mark.parametrize("versions", [[], [np.zeros((3, 8, 8), np.uint8)]], ids=["none", "three"])
def test_sheets_that_do_not_fit_their_captions_are_refused(versions: Any) -> None:
    with pytest.raises(ArgumentError, match="2 captions need 2 in each"):
        contact_sheet(versions, ["a", "b"])
