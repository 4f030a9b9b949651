"""Faces keep their numbers: with a scripted detector whose answers are known, and with the real one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pyfer.errors import ArgumentError
from pyfer.faces import TEMPLATE, Faces, Mtcnn
from pyfer.tracking import MISS, Motion, Scene, Tracker, Tracking, assigned, look, overlap

FILMS = Path(__file__).resolve().parents[2] / "shared" / "samples" / "films"
RATE = 25
HEIGHT, WIDTH = 360, 640
COLOURS = ((220, 60, 40), (40, 90, 220), (60, 200, 90), (230, 220, 60))

Face = tuple[float, float, float]
"""Centre x, y and side, pixels."""


def patterned(who: int) -> np.ndarray:
    """A picture (32, 32, 3) of its own for each person."""
    rng = np.random.default_rng([who, 5])
    tiles = rng.integers(0, 256, (4, 4, 1)) * np.array(COLOURS[who % 4]) / 255
    return np.asarray(Image.fromarray(tiles.astype(np.uint8)).resize((32, 32), Image.Resampling.BILINEAR))


def frame_of(people: dict[int, Face], size: tuple[int, int] = (WIDTH, HEIGHT), gray: int = 90) -> np.ndarray:
    """A gray wall with patterned squares, later ones in front."""
    sheet = Image.new("RGB", size, (gray, gray, gray))
    for who, (x, y, side) in people.items():
        square = Image.fromarray(patterned(who)).resize((round(side), round(side)))
        sheet.paste(square, (round(x - side / 2), round(y - side / 2)))
    return np.asarray(sheet)


def blended(share: float, place: Face) -> np.ndarray:
    """Somebody who is person 0, and by a share person 1."""
    one, two = (Image.fromarray(frame_of({who: place})) for who in (0, 1))
    return np.asarray(Image.blend(one, two, share))


def faces_of(places: Sequence[Face], score: float = 0.999, landmarks: bool = True) -> Faces:
    if not places:
        return Faces.empty()
    x, y, side = np.array(places, np.float32).T
    box = np.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2], axis=1)
    marks = box[:, None, :2] + TEMPLATE * side[:, None, None]
    return Faces(
        box, np.full(len(places), score), marks if landmarks else np.full((len(places), 5, 2), np.nan)
    )


class Scripted:
    """Finds at each call what the script says; cannot follow."""

    def __init__(self, script: Sequence[Faces]) -> None:
        self.script, self.calls = script, 0

    def __call__(self, image: np.ndarray) -> Faces:
        self.calls += 1
        return self.script[self.calls - 1]


class Following:
    """Sees the faces of the frame that `now` holds; follows them if they are near enough."""

    def __init__(self) -> None:
        self.now, self.searches, self.follows = Faces.empty(), 0, 0

    def __call__(self, image: np.ndarray) -> Faces:
        self.searches += 1
        return self.now

    def follow(self, image: np.ndarray, box: np.ndarray) -> tuple[Faces, np.ndarray]:
        self.follows += 1
        pairs = []
        for i, one in enumerate(box):
            near = [overlap(one, other) for other in self.now.box]
            if near and max(near) > 0.3:
                pairs.append((i, int(np.argmax(near))))
        return self.now[[k for _, k in pairs]], np.array([i for i, _ in pairs], np.intp)


def walk(start: Face, end: Face, frames: int) -> list[Face]:
    return [tuple(row) for row in np.linspace(start, end, frames)]


def numbers_of(
    script: list[dict[int, Face]], shown: list[set[int]], settings: Tracking | None = None, **kind
):
    """Track people whose faces are found in the frames where they are shown; return who had which number."""
    answers = [faces_of([p[who] for who in sorted(s)], **kind) for p, s in zip(script, shown, strict=True)]
    tracker = Tracker(Scripted(answers), settings)
    given = []
    for k, people in enumerate(script):
        tracked = tracker(frame_of(people), k / RATE)
        assert len(tracked.faces) == len(tracked.track)
        assert tracked.track.dtype == np.int64
        assert sorted(set(tracked.track.tolist())) == tracked.track.tolist()
        boxes = {who: faces_of([people[who]]).box[0] for who in shown[k]}
        given.append(
            {
                next(who for who, box in boxes.items() if np.allclose(box, face)): number
                for face, number in zip(tracked.faces.box, tracked.track.tolist(), strict=True)
            }
        )
    return given


# --- one frame --------------------------------------------------------------------------------------------


def test_a_film_of_one_frame_gives_its_faces_at_once_the_largest_first():
    faces = faces_of([(100, 100, 40), (300, 200, 90)], score=0.81)
    tracker = Tracker(Scripted([faces]))
    tracked = tracker(frame_of({}), 0.0)
    assert tracked.track.tolist() == [1, 2]
    np.testing.assert_array_equal(tracked.faces.box, faces.box[[1, 0]])
    assert tracked.detected
    assert tracked.ended == ()
    assert tracker.finish() == (1, 2)
    assert tracker.finish() == ()


def test_a_frame_without_faces_is_empty():
    tracked = Tracker(Scripted([Faces.empty()]))(frame_of({}), 3.5)
    assert len(tracked.faces) == 0
    assert tracked.track.shape == (0,)


@pytest.mark.parametrize("image", [[[0]], np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3))])
def test_wrong_pictures_are_refused(image):
    with pytest.raises(ArgumentError, match=r"image (is|has)"):
        Tracker()(image, 0.0)


@pytest.mark.parametrize("time", [0.9, float("nan"), float("inf")])
def test_time_does_not_go_back(time):
    tracker = Tracker(Scripted([Faces.empty()] * 3))
    tracker(frame_of({}), 1.0)
    tracker(frame_of({}), 1.0)
    with pytest.raises(ArgumentError, match="time="):
        tracker(frame_of({}), time)


@pytest.mark.parametrize(
    "wrong",
    [{"every": 0}, {"every": 2.5}, {"gap": -1}, {"gap": float("nan")}, {"smallest": 0}, {"smallest": 2}],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ArgumentError, match=f"{next(iter(wrong))}="):
        Tracking(**wrong)


# --- identity, with a scripted detector -------------------------------------------------------------------


@pytest.mark.parametrize("landmarks", [True, False])
@pytest.mark.parametrize("frames", [20, 50, 120])
@pytest.mark.parametrize("apart", [0, 30])
def test_two_who_pass_each_other_keep_their_numbers(frames, apart, landmarks):
    """While they overlap, the one behind is not found."""
    script = [
        {0: left, 1: right}
        for left, right in zip(
            walk((80, 180, 80), (560, 180, 80), frames),
            walk((560, 180 + apart, 70), (80, 180 + apart, 70), frames),
            strict=True,
        )
    ]
    shown = [{0, 1} if abs(p[0][0] - p[1][0]) > 60 else {1} for p in script]
    given = numbers_of(script, shown, landmarks=landmarks)
    before, after = given[0], given[-1]
    assert set(before.values()) == {1, 2}
    assert after == before
    assert {number for row in given for number in row.values()} == {1, 2}


def test_two_of_the_same_look_pass_each_other_by_their_motion():
    """No look to go by: a blank frame."""
    ways = zip(walk((80, 180, 60), (560, 180, 60), 40), walk((560, 200, 60), (80, 200, 60), 40), strict=True)
    tracker = Tracker(Scripted([faces_of(pair) for pair in ways]))
    for k in range(40):
        tracked = tracker(frame_of({}), k / RATE)
        assert tracked.track.tolist() == [1, 2]
    assert tracked.faces.box[0, 0] > tracked.faces.box[1, 0] + 400


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 4),
    missing=st.lists(st.tuples(st.integers(2, 28), st.integers(0, 3)), max_size=12),
)
@settings(max_examples=15, deadline=None)
def test_faces_that_are_missed_now_and_then_keep_their_numbers(seed, count, missing):
    rng = np.random.default_rng(seed)
    ways = []
    for who in range(count):  # each in a lane of its own, to and fro
        y, side = 45 + 90 * who, rng.uniform(40, 80)
        ways.append(walk((rng.uniform(60, 580), y, side), (rng.uniform(60, 580), y, side), 30))
    script = [{who: ways[who][k] for who in range(count)} for k in range(30)]
    shown = [set(range(count)) - {who for at, who in missing if at == k} for k in range(30)]
    given = numbers_of(script, shown)
    for row in given:
        assert row == {who: given[0][who] for who in row}
    assert [set(row) for row in given] == shown


@pytest.mark.parametrize(("pause", "number"), [(10, 1), (24, 1), (30, 2), (80, 2)])
def test_who_comes_back_within_the_gap_is_the_same(pause, number):
    place = {0: (200.0, 150.0, 80.0)}
    script = [place] * (20 + pause)
    shown = [{0}] * 10 + [set()] * pause + [{0}] * 10
    given = numbers_of(script, shown)
    assert given[-1] == {0: number}
    assert numbers_of(script, shown, Tracking(gap=10))[-1] == {0: 1}


def test_who_comes_back_elsewhere_is_known_by_the_look_another_is_not():
    for who, number in ((0, 1), (1, 2)):
        script = [{0: (100.0, 100.0, 80.0)}] * 10 + [{who: (500.0, 250.0, 80.0)}] * 20
        shown = [{0}] * 10 + [set()] * 10 + [{who}] * 10
        assert numbers_of(script, shown)[-1] == {who: number}


def test_another_in_the_place_of_one_who_left_is_another():
    script = [{0: (100.0, 100.0, 80.0)}] * 10 + [{1: (110.0, 100.0, 80.0)}] * 15
    shown = [{0}] * 10 + [set()] * 5 + [{1}] * 10
    assert numbers_of(script, shown)[-1] == {1: 2}


def test_a_rather_strange_face_in_the_place_of_one_who_left_is_another():
    place = (100.0, 100.0, 80.0)
    first, then = (blended(share, place) for share in (0.0, 0.6))
    alike = look(first, faces_of([place])) @ look(then, faces_of([place]))
    assert 0.15 < alike < 0.35, "neither the same nor wholly different"
    there = faces_of([place])
    tracker = Tracker(Scripted([there] * 5 + [Faces.empty()] * 5 + [there] * 5))
    given = [tracker(first if k < 10 else then, k / RATE).track.tolist() for k in range(15)]
    assert given == [[1]] * 5 + [[]] * 6 + [[2]] * 4


def test_who_comes_out_from_behind_looks_strange_at_first():
    """Half hidden, then less: the old number, not a new one."""
    place, later = (100.0, 100.0, 80.0), (150.0, 100.0, 80.0)
    script = [faces_of([place])] * 5 + [Faces.empty()] * 5 + [faces_of([later])] * 3
    frames = [blended(0.0, place)] * 10 + [blended(share, later) for share in (0.62, 0.45, 0.0)]
    tracker = Tracker(Scripted(script))
    given = [tracker(frame, k / RATE).track.tolist() for k, frame in enumerate(frames)]
    assert given == [[1]] * 5 + [[]] * 6 + [[1]] * 2


def test_a_face_far_away_is_a_new_person():
    tracker = Tracker(Scripted([faces_of([(100, 100, 60)]), *[faces_of([(500, 300, 60)])] * 3]))
    assert [tracker(frame_of({}), k / RATE).track.tolist() for k in range(4)] == [[1], [2], [2], [2]]


def test_the_end_of_a_person_is_told_once():
    there = [faces_of([(100, 100, 60)])] * 5
    tracker = Tracker(Scripted(there + [Faces.empty()] * 40))
    ended = [tracker(frame_of({}), k / RATE).ended for k in range(45)]
    assert [(k, e) for k, e in enumerate(ended) if e] == [(30, (1,))]  # last seen at 4, a second is 25 frames
    assert tracker.finish() == ()


@pytest.mark.parametrize(("score", "at_once"), [(0.85, False), (0.995, True)])
def test_a_doubtful_face_counts_when_it_is_found_twice(score, at_once):
    one, two = (100, 100, 60), (400, 200, 60)
    script = [faces_of([one])] * 3 + [faces_of([one, two], score)] * 3
    tracker = Tracker(Scripted(script))
    given = [tracker(frame_of({}), k / RATE).track.tolist() for k in range(6)]
    assert given == [[1]] * 3 + ([[1, 2]] * 3 if at_once else [[1], [1, 2], [1, 2]])


@given(places=st.lists(st.tuples(st.integers(40, 600), st.integers(40, 320)), min_size=20, max_size=20))
@settings(max_examples=12, deadline=None)
def test_false_faces_of_one_frame_never_count(places):
    steady = (320.0, 180.0, 100.0)
    script = [faces_of([steady])]
    for k, (x, y) in enumerate(places):
        false = [(x, y, 30.0)] if k % 2 == 0 else []
        script.append(faces_of([steady, *false], score=0.9))
    tracker = Tracker(Scripted(script))
    for k in range(len(script)):
        tracked = tracker(frame_of({}), k / RATE)
        assert tracked.track.tolist() == [1]
        np.testing.assert_array_equal(tracked.faces.box, faces_of([steady]).box)


def test_numbers_go_up_and_memory_does_not():
    script = [faces_of([(60 + 500 * (k // 10 % 2), 60 + 40 * (k // 20 % 6), 50)]) for k in range(300)]
    tracker = Tracker(Scripted(script), Tracking(gap=0.1))
    ended = []
    for k in range(300):
        ended += tracker(frame_of({}), k / RATE).ended
        assert len(tracker._people) <= 2
    assert [*ended, *tracker.finish()] == list(range(1, 31))


# --- the film ---------------------------------------------------------------------------------------------


def test_a_cut_ends_everybody_but_who_looks_the_same():
    spot, moved = (200.0, 150.0, 80.0), (420.0, 140.0, 80.0)
    for who, where, number in ((0, spot, 1), (0, moved, 1), (1, spot, 2)):
        detector = Following()
        tracker = Tracker(detector, Tracking(every=50))
        for k in range(6):
            after = k >= 4
            people = {who: where} if after else {0: spot}
            detector.now = faces_of(list(people.values()))
            frame = frame_of(people).copy()
            frame[240:] = 255 if after else 90
            tracked = tracker(frame, k / RATE)
            assert tracked.detected == (k in (0, 4))
        assert tracked.track.tolist() == [number]


def test_scene_tells_cuts_from_motion_and_light():
    scene = Scene()
    moving = [frame_of({0: (200 + 8 * k, 150, 120)}) for k in range(10)]
    assert not any(scene.changed(image) for image in moving)
    assert not scene.changed(np.minimum(moving[-1].astype(int) + 15, 255).astype(np.uint8))
    assert scene.changed(frame_of({}, gray=200))
    assert not scene.changed(frame_of({}, gray=200))
    assert scene.changed(frame_of({}, size=(320, 240), gray=200))
    assert not Scene().changed(np.zeros((1, 1, 3), np.uint8))


def test_the_size_of_frames_may_change():
    detector = Following()
    tracker = Tracker(detector)
    given = []
    for k in range(20):
        size = (WIDTH, HEIGHT) if k < 10 else (WIDTH // 2, HEIGHT // 2)
        people = {0: (200.0, 150.0, 80.0) if k < 10 else (100.0, 75.0, 40.0)}
        detector.now = faces_of(list(people.values()))
        given.append(tracker(frame_of(people, size), k / RATE).track.tolist())
    assert given == [[1]] * 20


def test_search_every_kth_frame_and_follow_between():
    detector = Following()
    tracker = Tracker(detector, Tracking(every=4))
    searched = []
    for k, place in enumerate(walk((100, 100, 60), (300, 200, 90), 20)):
        detector.now = faces_of([place])
        tracked = tracker(frame_of({}), k / RATE)
        np.testing.assert_array_equal(tracked.faces.box, detector.now.box)
        assert tracked.track.tolist() == [1]
        searched.append(tracked.detected)
    assert searched == [True, False, False, False] * 5
    assert (detector.searches, detector.follows) == (5, 15)


@pytest.mark.parametrize("every", [1, 3])
def test_who_cannot_follow_is_asked_at_every_frame(every):
    detector = Scripted([faces_of([(100, 100, 60)])] * 6)
    tracker = Tracker(detector, Tracking(every=every))
    assert all(tracker(frame_of({}), k / RATE).detected for k in range(6))
    assert detector.calls == 6


def test_a_lost_face_is_searched_at_once_but_not_in_every_frame():
    detector = Following()
    tracker = Tracker(detector, Tracking(every=20))
    searched = []
    for k in range(60):
        far = (100, 100, 60) if k < 6 else (500, 300, 60)  # jumps
        detector.now = faces_of([far] if k < 30 else [])
        if tracker(frame_of({0: far}), k / RATE).detected:
            searched.append(k)
    assert searched == [0, 6, 26, 30, 50]


def test_a_face_that_cannot_be_followed_costs_a_search_every_few_frames():
    class Slippery(Following):
        def follow(self, image, box):
            return Faces.empty(), np.zeros(0, np.intp)

    detector = Slippery()
    detector.now = faces_of([(100, 100, 60)])
    tracker = Tracker(detector, Tracking(every=10))
    searched = [tracker(frame_of({}), k / RATE).detected for k in range(30)]
    assert searched == [True, False, False] * 10


def test_a_face_that_searches_miss_is_followed_for_a_while():
    class Blind(Following):
        def __call__(self, image):
            super().__call__(image)
            return self.now if self.searches == 1 else Faces.empty()

    detector = Blind()
    detector.now = faces_of([(100, 100, 60)])
    tracker = Tracker(detector, Tracking(every=5))
    given = [tracker(frame_of({}), k / RATE).track.tolist() for k in range(25)]
    assert given == [[1]] * 15 + [[]] * 10


@pytest.mark.parametrize("front", [0, 1])
def test_two_followed_to_one_face_are_one(front):
    """The one behind vanishes: following snaps to the face in front, which keeps its own number."""
    detector = Following()
    tracker = Tracker(detector, Tracking(every=100))
    people = {0: (200.0, 150.0, 100.0), 1: (245.0, 150.0, 98.0)}
    for k in range(3):
        shown = [0, 1] if k < 2 else [front]
        detector.now = faces_of([people[who] for who in shown])
        tracked = tracker(frame_of({who: people[who] for who in shown}), k / RATE)
    assert not tracked.detected
    assert tracked.track.tolist() == [front + 1]


def test_only_the_largest_face():
    detector = Following()
    tracker = Tracker(detector, Tracking(largest=True, every=5))
    given = []
    for k in range(40):
        side = 60 + 4 * max(0, k - 10)  # grows past the other
        detector.now = faces_of([(150, 180, 100), (450, 180, side)])
        tracked = tracker(frame_of({}), k / RATE)
        assert len(tracked.track) == 1
        given += tracked.track.tolist()
    change = given.index(2)
    assert given == [1] * change + [2] * (40 - change)
    assert change == 30, "the first search at which it has 1.5 times the area"
    assert tracker.finish() == (1, 2)


def test_the_same_film_gives_the_same_numbers():
    rng = np.random.default_rng(3)
    script = [
        faces_of([(x, y, 50) for x, y in rng.uniform(60, 300, (rng.integers(0, 6), 2))]) for _ in range(60)
    ]
    runs = [
        [t.track.tolist() for tracker in [Tracker(Scripted(script))]
         for t in (tracker(frame_of({}), k / RATE) for k in range(60))]
        for _ in range(2)
    ]  # fmt: skip
    assert runs[0] == runs[1]


# --- parts ------------------------------------------------------------------------------------------------


@given(
    shape=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    seed=st.integers(0, 10_000),
    barred=st.floats(0, 0.9),
)
@settings(max_examples=100, deadline=None)
def test_assignment_is_the_best_there_is(shape, seed, barred):
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0, 3, shape)
    cost[rng.random(shape) < barred] = np.inf

    def total(columns):
        return sum(cost[i, k] if k >= 0 else MISS for i, k in enumerate(columns))

    def valid(columns):
        taken = [k for k in columns if k >= 0]
        return len(taken) == len(set(taken))

    found = assigned(cost, MISS)
    assert len(found) == shape[0]
    assert valid(found)
    every = filter(valid, itertools.product(range(-1, shape[1]), repeat=shape[0]))
    assert total(found) == pytest.approx(min(map(total, every)))


def test_many_faces_are_assigned_quickly_and_right():
    rng = np.random.default_rng(0)
    order = rng.permutation(40)
    cost = rng.uniform(0.5, 3, (40, 40))
    cost[np.arange(40), order] = 0.1
    assert assigned(cost, MISS) == order.tolist()


def test_motion_foresees_a_steady_walk_and_zoom():
    ways = walk((100, 100, 50), (300, 200, 100), 26)
    motion = Motion(faces_of([ways[0]]).box[0], 0.0)
    for k in range(1, 21):
        motion.saw(faces_of([ways[k]]).box[0], k / RATE)
    assert overlap(motion.at(21 / RATE), faces_of([ways[21]]).box[0]) > 0.95
    assert overlap(motion.at(25 / RATE), faces_of([ways[25]]).box[0]) > 0.85
    late = motion.at(1000.0)
    assert np.isfinite(late).all()
    assert overlap(late, motion.at(1001.0)) > 0.99, "nobody walks on for ever"


def test_motion_knows_uneven_times():
    motion = Motion(faces_of([(100, 100, 50)]).box[0], 0.0)
    for time in (0.04, 0.2, 0.2, 0.5, 0.51):
        motion.saw(faces_of([(100 + 200 * time, 100, 50)]).box[0], time)
    np.testing.assert_allclose(motion.at(0.6), faces_of([(220, 100, 50)]).box[0], atol=4)


def test_a_look_belongs_to_a_person_not_to_place_size_or_light():
    one = look(frame_of({0: (200, 150, 80)}), faces_of([(200, 150, 80)]))
    moved = look(frame_of({0: (420, 200, 120)}, gray=90) // 2, faces_of([(420, 200, 120)]))
    other = look(frame_of({1: (200, 150, 80)}), faces_of([(200, 150, 80)]))
    assert one @ moved > 0.9
    assert one @ other < 0.5
    assert look(frame_of({}), faces_of([(200, 150, 80)])) is None
    assert look(frame_of({}), faces_of([(-900, 150, 80)])) is None, "out of the picture"


# --- the real detector ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heads(astronaut) -> list[tuple[Image.Image, Image.Image]]:
    """Two heads to paste, with their masks: the astronaut, and her mirrored in other light."""
    head = astronaut[20:200, 130:310]
    y, x = np.mgrid[:180, :180]
    mask = Image.fromarray((255 * (((x - 93) / 62) ** 2 + ((y - 95) / 85) ** 2 < 1)).astype(np.uint8))
    tinted = np.clip(head[:, ::-1] * np.array([0.55, 0.6, 0.75]), 0, 255).astype(np.uint8)
    return [(Image.fromarray(head), mask), (Image.fromarray(tinted), mask)]


def pasted(heads, places: dict[int, Face]) -> np.ndarray:
    rough = np.random.default_rng(0).integers(60, 160, (9, 16, 3), dtype=np.uint8)
    sheet = Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    for who, (x, y, side) in places.items():
        size = round(side), round(side)
        head, mask = (picture.resize(size) for picture in heads[who])
        sheet.paste(head, (round(x - side / 2), round(y - side / 2)), mask)
    return np.asarray(sheet)


def test_faces_cross_and_keep_their_numbers(heads):
    tracker = Tracker()
    for k, (one, two) in enumerate(
        zip(
            walk((100, 180, 180), (540, 180, 180), 40),
            walk((540, 180, 150), (100, 180, 150), 40),
            strict=True,
        )
    ):
        tracked = tracker(pasted(heads, {1: two, 0: one}), k / RATE)
        middles = tracked.faces.box[:, [0, 2]].mean(axis=1)
        if len(middles) == 2:
            np.testing.assert_allclose(middles, [one[0], two[0]], atol=30)
        assert set(tracked.track.tolist()) <= {1, 2}
    assert len(middles) == 2


def test_following_does_not_drift(astronaut):
    """120 frames from one search, as the face moves and is zoomed, against a search of each frame."""
    detector = Mtcnn(smallest=40)
    tracker = Tracker(detector, Tracking(every=1000))
    picture, compared = Image.fromarray(astronaut), 0
    for k in range(120):
        t = 2 * np.pi * k / 120
        zoom = 1.3 + 0.4 * np.sin(2 * t)
        x, y, w = 230 + 40 * np.sin(2 * t), 140 + 25 * np.cos(t), 420 / zoom
        extent = (x - w / 2, y - w * 9 / 32, x + w / 2, y + w * 9 / 32)
        view = picture.transform((WIDTH, HEIGHT), Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR)
        frame = np.asarray(view)
        tracked = tracker(frame, k / RATE)
        assert tracked.track.tolist() == [1]
        assert tracked.detected == (k == 0)
        if k % 10 == 9:
            found = detector(frame)
            assert overlap(tracked.faces.box[0], found.box[0]) > 0.8
            apart = np.linalg.norm(tracked.faces.landmarks[0] - found.landmarks[0], axis=1).mean()
            assert apart < 0.03 * np.sqrt(found.area[0])
            compared += 1
    assert compared == 12


def test_the_least_size_fits_the_frame(heads):
    for size, smallest in (((640, 360), 40), ((320, 180), 20), ((1280, 720), 80)):
        tracker = Tracker(threads=2)
        tracker(np.zeros((size[1], size[0], 3), np.uint8), 0.0)
        assert isinstance(tracker._detector, Mtcnn)
        assert tracker._detector.smallest == pytest.approx(smallest)
        assert tracker._detector.threads == 2
    frame = pasted(heads, {0: (200, 180, 180)})
    assert len(Tracker()(frame, 0.0).track) == 1
    assert len(Tracker(settings=Tracking(smallest=0.4))(frame, 0.0).track) == 0


@pytest.mark.parametrize(
    ("name", "present"),
    [("single_face.mp4", (72, 72)), ("face_noface.mov", (70, 74)), ("no_face.mp4", (0, 0))],
)
def test_films_of_one_person(name, present):
    if not (FILMS / name).exists():
        pytest.skip("../shared/samples/films is not there")
    av = pytest.importorskip("av")
    tracker, given, ended = Tracker(), [], []
    with av.open(str(FILMS / name)) as film:
        for frame in film.decode(film.streams.video[0]):
            tracked = tracker(frame.to_ndarray(format="rgb24"), frame.time)
            given += tracked.track.tolist()
            ended += tracked.ended
    assert set(given) <= {1}
    assert present[0] <= len(given) <= present[1]
    assert ended == ([1] if name == "face_noface.mov" else [])
