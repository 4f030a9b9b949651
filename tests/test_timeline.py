"""The picture of a film: heights that are shares, places that are times, words to read, no growth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.drawing import COLORS
from pyfer.emotions import BASIC, NONE
from pyfer.errors import ArgumentError
from pyfer.maps import Timeline, paper, timeline
from pyfer.segments import Segment

Pictures = NDArray[np.uint8]
QUICK = settings(max_examples=25, deadline=None, derandomize=True)
PURPLE = (255, 0, 255)  # nothing else has this colour
TWENTY = (*BASIC, *(f"disgustedly surprised {k}" for k in range(11)), NONE)
LEFT = paper.PAD + timeline._GUTTER


def row(names: tuple[str, ...] = BASIC, **shares: float) -> NDArray[np.float64]:
    """Return answers (1, v)."""
    p = np.array([[shares.get(name, 0.0) for name in names]])
    return np.asarray(p / p.sum())


def at(picture: Pictures, colour: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where (h, w) the picture has a colour."""
    return np.asarray(np.abs(picture.astype(int) - colour).max(2) <= 2)


def film(
    persons: int, seconds: float, names: tuple[str, ...] = BASIC, *, faces: bool = True, frames: int = 300
) -> tuple[Timeline, list[Segment]]:
    """Return a film in which each person goes through three emotions, and the segments."""
    rng = np.random.default_rng(persons)
    found = Timeline(names)
    who = np.arange(1, persons + 1)
    shown = rng.integers(1, len(names), (persons, 3))
    for k in range(frames):
        p = np.full((persons, len(names)), 0.005)
        p[np.arange(persons), shown[:, min(k * 3 // frames, 2)]] = 1
        p = rng.dirichlet(np.ones(len(names)), persons) * 0.3 + 0.7 * p / p.sum(1, keepdims=True)
        crops = rng.integers(0, 255, (persons, 8, 8, 3), dtype=np.uint8) if faces else None
        found.add(k * seconds / frames, who, p, crops)
    third = seconds / 3
    segments = [
        Segment(i + 1, names[shown[i, j]], j * third, (j + 0.4) * third, (j + 1) * third, 0.8)
        for i in range(persons)
        for j in range(3)
    ]
    return found, segments


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[float, float, float, float]]]:
    """All that is written, with its box in pixels."""
    seen: list[tuple[str, tuple[float, float, float, float]]] = []
    write = timeline._Sheet._write

    def noted(self: Any, place: Any, text: str, size: int, ink: Any, anchor: str) -> None:
        if text:
            seen.append((text, self.canvas.textbbox(place, text, font=paper.letters(size), anchor=anchor)))
            assert size >= 13
        write(self, place, text, size, ink, anchor)

    monkeypatch.setattr(timeline._Sheet, "_write", noted)
    return seen


# --- the band ---------------------------------------------------------------------------------------------


def test_heights_are_shares_and_the_first_answer_is_at_the_bottom() -> None:
    found = Timeline(BASIC)
    for k in range(50):
        found.add(k / 25, [3], row(neutral=0.25, happiness=0.75))
    picture = found.picture()
    for x in (LEFT, 600, 1200 - paper.PAD - 11):
        gray, yellow = (
            np.flatnonzero(at(picture, COLORS[name])[40:, x]) for name in ("neutral", "happiness")
        )
        assert (len(gray), len(yellow)) == (13, 39)  # of 52 pixels
        assert gray.min() == yellow.max() + 1
    assert not at(picture, COLORS["happiness"])[40:, :LEFT].any()


def test_places_are_times() -> None:
    found = Timeline(BASIC)
    for k in range(100):
        found.add(10 + k / 10, [1], row(fear=1) if k < 25 else row(anger=1))
    picture = found.picture()
    width = 1200 - paper.PAD - 10 - LEFT
    xs = np.flatnonzero(at(picture, COLORS["fear"])[80])
    assert xs[0] == LEFT
    assert xs[-1] == pytest.approx(LEFT + width / 4, abs=8)  # a frame is 11 pixels


@pytest.mark.parametrize("step", [0.04, 1.0, 30.0])
def test_where_a_person_is_not_seen_the_band_is_dark(step: float) -> None:
    found = Timeline(BASIC)
    for k in range(100):
        there = k < 25 or k >= 75 or k == 50
        found.add(k * step, [1] if there else [], row(fear=1) if there else np.zeros((0, 8)))
    band = at(found.picture(), COLORS["fear"])[80, LEFT : 1200 - paper.PAD - 10]
    changes = np.flatnonzero(np.diff(band.astype(int))) / len(band)
    assert changes == pytest.approx([0.25, 0.5, 0.51, 0.75], abs=0.006)


def test_a_short_absence_is_drawn_over() -> None:
    found = Timeline(BASIC)
    for k in range(100):
        there = k % 10 != 5
        found.add(k / 25, [1] if there else [], row(fear=1) if there else np.zeros((0, 8)))
    assert at(found.picture(), COLORS["fear"])[80, LEFT : 1200 - paper.PAD - 10].all()


def test_a_glimpse_in_a_long_film_shows() -> None:
    found = Timeline(BASIC)
    found.add(0, [], np.zeros((0, 8)))
    found.add(3600, [1], row(fear=1))
    for k in range(1000):
        found.add(3601 + 3.6 * k, [], np.zeros((0, 8)))
    assert 2 <= at(found.picture(), COLORS["fear"])[80].sum() <= 12


def test_rare_answers_are_others() -> None:
    found = Timeline(BASIC)
    found.add(0, [1], row(fear=0.9, anger=0.06, disgust=0.04))
    picture = found.picture()
    assert at(picture, COLORS["fear"]).any()
    assert not at(picture, COLORS["anger"]).any()
    assert at(picture, timeline._OTHERS)[40:].sum(0).max() == pytest.approx(5, abs=1)


def test_colours_can_be_given_and_new_names_differ() -> None:
    names = ("neutral", "awe", "pride", "envy")
    plain, given = Timeline(names), Timeline(names, colors={"awe": PURPLE})
    assert len({*plain.colors.values()}) == 4
    assert given.colors["awe"] == PURPLE
    assert given.colors["neutral"] == COLORS["neutral"]
    given.add(0, [1], row(names, awe=1))
    assert at(given.picture(), PURPLE).sum() > 50_000


# --- faces ------------------------------------------------------------------------------------------------


def test_the_face_at_the_apex_stands_above_it() -> None:
    found = Timeline(BASIC)
    for k in range(100):
        top = k == 60
        crops = np.full((1, 16, 16, 3), PURPLE if top else (0, 40, 0), np.uint8)
        found.add(k / 10, [1], row(fear=0.9 if top else 0.6, neutral=0.1 if top else 0.4), crops)
    picture = found.picture(segments=[Segment(1, "fear", 5, 6, 7, 0.9)])
    y, x = np.nonzero(at(picture, PURPLE))
    assert (y.max() - y.min() + 1, x.max() - x.min() + 1) == (64, 64)
    middle = LEFT + 0.605 * (1200 - paper.PAD - 10 - LEFT)
    assert (x.max() + x.min()) / 2 == pytest.approx(middle, abs=2)
    assert y.max() < np.nonzero(at(picture, COLORS["neutral"])[40:, 400])[0].min() + 40


def test_a_face_at_an_apex_goes_before_a_clearer_one_beside_it() -> None:
    found = Timeline(BASIC)
    for k in range(100):
        crops = np.full((1, 16, 16, 3), PURPLE if k == 60 else (0, 40, 0), np.uint8)
        fear = {54: 0.9, 60: 0.7}.get(k, 0.0)
        found.add(k / 10, [1], row(fear=fear, neutral=1 - fear), crops)
    assert at(found.picture(segments=[Segment(1, "fear", 5.8, 6, 6.2, 0.7)]), PURPLE).sum() == 64 * 64
    assert not at(found.picture(), PURPLE).any()


def test_of_each_stretch_the_face_that_shows_most_is_kept() -> None:
    person = timeline._Person(1, 0.0)
    crop = np.zeros((4, 4), np.uint8)
    scores = np.random.default_rng(0).random(1000)
    for k, score in enumerate(scores):
        person.keep(k / 10, score, 0, crop)
    kept = person.portraits
    assert 8 <= len(kept) <= timeline.FACES
    for k, each in kept.items():
        inside = scores[round(k * person.stretch * 10) : round((k + 1) * person.stretch * 10)]
        assert each.score == inside.max()
        assert each.crop.shape == (64, 64, 3)


def test_a_face_at_rest_shows_least() -> None:
    found = Timeline(BASIC)
    for k, p in enumerate([row(neutral=1), row(neutral=0.5, fear=0.5), row(neutral=0.9, fear=0.1)]):
        found.add(k / 25, [1], p, np.full((1, 4, 4, 3), 10 * k, np.uint8))
    (kept,) = found._people[1].portraits.values()
    assert kept.crop[0, 0, 0] == 10


def test_faces_do_not_cover_each_other() -> None:
    found, segments = film(1, 60)
    at_ = timeline._Scale(0, 60, LEFT, 1176)
    shares = timeline._shares(found._people[1], at_, found._bin, 0.2)
    places = [x for x, _ in timeline._spread(timeline._Row(found._people[1], shares, 0.2, segments, []), at_)]
    assert len(places) >= 4
    assert min(np.diff(sorted(places))) >= 64
    assert min(places) >= LEFT
    assert max(places) <= 1176 - 64


# --- memory -----------------------------------------------------------------------------------------------


def test_hours_take_no_more_memory_than_minutes() -> None:
    found = Timeline(BASIC)
    crop = np.zeros((1, 4, 4, 3), np.uint8)
    for k in range(9000):
        found.add(k * 1.2, [1], row(happiness=1) if k < 4500 else row(fear=1), crop)
    person = found._people[1]
    assert timeline.BINS / 2 <= len(person.bins) <= timeline.BINS
    assert max(person.bins) < timeline.BINS
    assert len(person.portraits) <= timeline.FACES
    assert sum(float(each[-1]) for each in person.bins.values()) == 9000  # no frame is lost
    picture = found.picture()
    yellow, purple = (at(picture, COLORS[name])[160, LEFT:].sum() for name in ("happiness", "fear"))
    assert yellow == pytest.approx(purple, abs=4)
    assert yellow > 500


@QUICK
@given(st.lists(st.floats(0, 500), min_size=1, max_size=60), st.integers(0, 9))
def test_bins_hold_every_frame_whatever_the_times(steps: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(steps)
    p = rng.dirichlet(np.ones(3), len(times))
    found = Timeline(("a", "b", "c"))
    for time, each in zip(times.tolist(), p, strict=True):
        found.add(time, [1], each[None])
    total = sum(np.asarray(each, float) for each in found._people[1].bins.values())
    assert np.allclose(total, [*p.sum(0), (times - times[0]).sum(), len(times)], rtol=1e-4, atol=1e-3)
    assert all(0 <= k < timeline.BINS for k in found._people[1].bins)
    assert found.picture(480).shape[1] == 480


def test_of_many_persons_those_seen_longest_are_drawn(words: Any) -> None:
    found = Timeline(BASIC)
    for k in range(200):  # each for a moment, but 500 and 501
        here = [k, 500, 501][: 3 if k % 2 else 2]
        found.add(k, here, np.repeat(row(fear=1), len(here), axis=0))
    assert len(found._people) <= 50
    found.picture()
    texts = [text for text, _ in words]
    drawn = [text for text in texts if text.startswith("person ")]
    assert len(drawn) == timeline.PERSONS
    assert {"person 500", "person 501"} <= set(drawn)
    assert "190 more, seen more briefly, are left out" in texts
    assert "seen 3:20" in texts


def test_persons_are_in_the_order_they_came(words: Any) -> None:
    found = Timeline(BASIC)
    for k in range(30):
        found.add(k, [9] if k < 5 else [9, 2], np.repeat(row(fear=1), 1 if k < 5 else 2, axis=0))
    found.picture()
    assert [text for text, _ in words if text.startswith("person")] == ["person 9", "person 2"]


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("persons", "seconds", "names", "width"),
    [
        (1, 3.0, BASIC, 1200),
        (2, 7200.0, TWENTY, 1200),
        (5, 95.0, TWENTY, 480),
        (13, 600.0, BASIC, 2400),
        (1, 200_000.0, BASIC, 480),
    ],
)
def test_words_are_in_the_picture_and_off_each_other(
    persons: int, seconds: float, names: tuple[str, ...], width: int, words: Any
) -> None:
    found, segments = film(persons, seconds, names)
    long = "a film with a very long name " * 9
    picture = found.picture(width, segments=segments, successions=segments[1:3], title=long)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (width, 3)
    boxes = np.array([box for _, box in words])
    assert (boxes[:, :2] >= 1).all()
    assert (boxes[:, 2] <= width - 1).all()
    assert (boxes[:, 3] <= len(picture) - 1).all()
    for i, (a, b) in enumerate(zip(boxes, [text for text, _ in words], strict=True)):
        for other in boxes[i + 1 :]:
            apart = a[0] >= other[2] or other[0] >= a[2] or a[1] >= other[3] or other[1] >= a[3]
            assert apart, (b, a, other)
    assert np.array_equal(picture[-2:], np.broadcast_to(paper.PANEL, (2, width, 3)))


def test_segments_and_successions_are_named(words: Any) -> None:
    found, _ = film(1, 60)
    marks = [Segment(1, "fear", 0, 5, 20, 0.9), Segment(2, "anger", 0, 5, 20, 0.9)]
    relief = Segment(1, "relief", 0, 5, 40, 0.9)
    found.picture(segments=marks, successions=[relief])
    after = [text for text, _ in words]
    after = after[after.index("person 1") :]  # the legend is before
    assert [text for text in after if text in ("fear", "anger", "relief")] == ["fear", "relief"]


def test_a_segment_is_a_line_from_onset_to_offset_in_its_colour() -> None:
    found = Timeline(BASIC)
    for k in range(100):
        found.add(k / 10, [1], row(neutral=1))
    picture = found.picture(segments=[Segment(1, "fear", 2.5, 4, 5, 0.9)])
    line = at(picture, COLORS["fear"])[60:]
    y = line.sum(1).argmax()
    xs = np.flatnonzero(line[y])
    width = 1200 - paper.PAD - 10 - LEFT
    assert [xs[0] - LEFT, xs[-1] - LEFT] == pytest.approx([width / 4, width / 2], abs=2)


def test_of_segments_without_room_the_weightiest_are_named(words: Any) -> None:
    found = Timeline(BASIC)
    for k in range(100):
        found.add(36 * k, [1], row(fear=0.5, neutral=0.5))
    marks = [Segment(1, "fear", k, k + 0.5, k + 1 + (k == 1800), 0.9) for k in range(0, 3600, 2)]
    found.picture(segments=marks)
    named = [box for text, box in words if text == "fear"][1:]  # the first is the legend's
    assert 10 < len(named) < 40
    assert any(box[0] < LEFT + 523 < box[2] for box in named)


@pytest.mark.parametrize(
    ("time", "step", "text"),
    [
        (0, 1, "0:00"), (59.7, 1, "1:00"), (61, 1, "1:01"), (3661, 1, "1:01:01"),
        (1.25, 0.1, "0:01.2"), (59.96, 0.1, "1:00.0"), (90000, 1, "25:00:00"),
    ],
)  # fmt: skip
def test_times_read_as_minutes_and_seconds(time: float, step: float, text: str) -> None:
    assert timeline._clock(time, step) == text


# --- edges ------------------------------------------------------------------------------------------------


def test_a_film_without_faces_or_frames(words: Any) -> None:
    found = Timeline(BASIC)
    assert found.picture().shape[1] == 1200
    for k in range(10):
        found.add(k, np.zeros(0, int), np.zeros((0, 8)), np.zeros((0, 4, 4, 3), np.uint8))
    found.picture(segments=[Segment(1, "fear", 0, 1, 2, 0.5)])
    assert [text for text, _ in words].count("no face was seen") == 2


def test_a_still() -> None:
    found = Timeline(BASIC)
    found.add(3600.5, [7], row(fear=1))
    assert at(found.picture(), COLORS["fear"])[80, LEFT : 1200 - paper.PAD - 10].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan, [1], row(fear=1)), "time=nan must be a finite number"),
        ((0, [1, 2], row(fear=1)), r"p has shape \(1, 8\); 2 tracks and 8 names need \(2, 8\)"),
        ((0, [1], row(fear=1), np.zeros((2, 4, 4, 3), np.uint8)), "crops has shape"),
        ((0, [1], row(fear=1), np.zeros((1, 4, 4, 3))), "need uint8"),
    ],
)
def test_frames_must_fit(arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Timeline(BASIC).add(*arguments)


def test_names_and_width_must_fit() -> None:
    with pytest.raises(ArgumentError, match="must hold one answer or more"):
        Timeline(())
    for width in (100, 10_000):
        with pytest.raises(ArgumentError, match=rf"width={width} must be 480 \.\. 8000"):
            Timeline(BASIC).picture(width)
