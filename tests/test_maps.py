"""Pictures that explain combined emotions: what lies where, that words can be read, that nothing is cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer import drawing
from pyfer.cartoon import cartoon_faces
from pyfer.drawing import COLORS
from pyfer.emotions import BASIC, NONE, UNCERTAIN
from pyfer.errors import ArgumentError
from pyfer.maps import (
    RING,
    charts,
    emotion_colors,
    emotion_map,
    explain_picture,
    paper,
    places,
    separability_chart,
    simplex,
    stack,
)

Pictures = NDArray[np.uint8]
PURPLE = (255, 0, 255)  # nothing else has this colour
NO_FACES = np.zeros((0, 8))
EVEN = np.full((3, 8), 1 / 8)
ADVERBS = {
    "happiness": "happily", "surprise": "surprisedly", "sadness": "sadly", "anger": "angrily",
    "disgust": "disgustedly", "fear": "fearfully", "contempt": "contemptuously",
}  # fmt: skip


def mix(**shares: float) -> NDArray[np.float64]:
    row = np.array([shares.get(name, 0.0) for name in BASIC])
    return np.asarray(row / row.sum())


CORNERS: dict[str, Any] = {name: mix(**{name: 1}) for name in BASIC}
THREE = CORNERS | {
    "awe": mix(fear=0.4, surprise=0.6),
    "bittersweet": mix(happiness=0.5, sadness=0.5),
    "hatred": mix(anger=0.65, disgust=0.35),
}
PAIRS = CORNERS | {
    f"{ADVERBS[a]} {b}": mix(**{a: 0.5, b: 0.5}) for a, b in itertools.combinations(BASIC[1:], 2)
}
SIXTY = PAIRS | {
    f"disgustedly surprised {k}": np.random.default_rng(k).dirichlet(np.full(8, 0.7)) for k in range(31)
}
ONE_SPOT = CORNERS | {f"a rather long name, number {k}": mix(neutral=0.9, fear=0.1) for k in range(24)}
VOCABULARIES: dict[str, dict[str, Any]] = {
    "corners": CORNERS, "three": THREE, "pairs": PAIRS, "sixty": SIXTY, "one spot": ONE_SPOT, "none": {},
}  # fmt: skip


def faces_near(emotions: Mapping[str, Any], n: int, seed: int = 0) -> tuple[NDArray[np.float64], list[str]]:
    """Return n mixtures (n, 8) around the emotions, and which they are near."""
    rng = np.random.default_rng(seed)
    names = [list(emotions)[k] for k in rng.integers(0, len(emotions), n)]
    return np.array([rng.dirichlet(30 * np.asarray(emotions[name]) + 0.2) for name in names]), names


def arranged(
    emotions: Mapping[str, Any], faces: Any = NO_FACES, winners: Any = None, *, thumbnails: bool = False
) -> simplex._Scene:
    content = simplex._content(BASIC, emotions, faces, winners)
    return simplex._arranged(content, thumbnails=thumbnails)


def at(picture: Pictures, colour: tuple[int, ...], tolerance: int = 0) -> NDArray[np.bool_]:
    """Return where (h, w) the picture has a colour."""
    return np.asarray(np.abs(picture.astype(int) - colour).max(2) <= tolerance)


def assert_nothing_is_cut(picture: Pictures) -> None:
    """Nothing reaches the border."""
    for side in (picture[:3], picture[-3:], picture[:, :3], picture[:, -3:]):
        assert at(side, paper.PANEL).all()


# --- projection -------------------------------------------------------------------------------------------


def test_neighbours_on_the_ring_are_the_emotions_that_blend_most_often() -> None:
    counts = {  # pictures of FER+ whose votes split between two emotions
        ("fear", "surprise"): 651, ("happiness", "surprise"): 473, ("anger", "surprise"): 200,
        ("anger", "sadness"): 153, ("fear", "sadness"): 118, ("anger", "disgust"): 97,
        ("anger", "happiness"): 96, ("anger", "fear"): 54, ("happiness", "sadness"): 48,
        ("disgust", "sadness"): 35, ("sadness", "surprise"): 25,
    }  # fmt: skip

    def score(ring: tuple[str, ...]) -> int:
        neighbours = zip(ring, (*ring[1:], ring[0]), strict=True)
        return sum(counts.get((min(pair), max(pair)), 0) for pair in neighbours)

    assert set(RING) == set(BASIC) - {"neutral"}
    assert score(RING) == max(score((RING[0], *rest)) for rest in itertools.permutations(RING[1:]))


def test_neutral_is_in_the_middle_of_a_regular_polygon() -> None:
    anchors = dict(zip(BASIC, simplex._anchors(BASIC), strict=True))
    assert np.allclose(anchors["neutral"], 0)
    ring = np.array([anchors[name] for name in RING])
    assert np.allclose(ring[0], (0, -1))  # the top; y points down
    assert np.allclose(np.hypot(*ring.T), 1)
    turned = np.array([[0, -1], [1, 0]])
    angle = 2 * math.pi / 7
    clockwise = np.eye(2) * math.cos(angle) + turned * math.sin(angle)
    assert np.allclose(ring @ clockwise.T, np.roll(ring, -1, axis=0))


def test_other_sets_of_labels_have_anchors_too() -> None:
    assert np.allclose(simplex._anchors(["sadness", "happiness"]), [(1, 0), (-1, 0)])
    labels = ["pain", "neutral", "fear", "boredom"]
    pain, neutral, fear, boredom = simplex._anchors(labels)
    assert np.allclose(neutral, 0)
    assert np.allclose(fear, (0, -1))  # known ones first, clockwise from the top
    assert pain[0] > 0.8
    assert boredom[0] < -0.8


def test_corners_are_at_their_anchors_and_mixtures_at_the_weighted_mean() -> None:
    scene = arranged(THREE)
    assert np.allclose(scene.spots[:8], scene.anchors)
    awe = 0.4 * scene.anchors[BASIC.index("fear")] + 0.6 * scene.anchors[BASIC.index("surprise")]
    assert np.allclose(scene.spots[8], awe)
    faces = np.random.default_rng(0).dirichlet(np.ones(8), 5)
    scene = arranged(THREE, faces, thumbnails=True)
    assert scene.side
    assert np.allclose(scene.spots[11:], faces @ scene.anchors)


def test_two_mixtures_on_one_spot_and_the_text_says_so() -> None:
    scene = arranged(CORNERS | {"all": mix(**dict.fromkeys(RING, 1.0))})
    assert np.allclose(scene.spots[8], scene.anchors[0])
    assert "Two different mixtures can fall on one spot" in (emotion_map.__doc__ or "")


# --- places of words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n"), [*((name, 0) for name in VOCABULARIES), ("three", 300), ("pairs", 300)]
)
def test_words_are_in_the_picture_and_off_each_other(
    name: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, ...]] = []
    write = simplex._write

    def watched(canvas: Any, label: Any, box: Any, fill: Any) -> None:
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        seen.append(canvas.textbbox(middle, label[0], font=label[1], anchor="mm"))
        write(canvas, label, box, fill)

    scenes: list[simplex._Scene] = []
    arrange = simplex._arranged
    monkeypatch.setattr(simplex, "_write", watched)
    monkeypatch.setattr(simplex, "_arranged", lambda *a, **k: scenes.append(arrange(*a, **k)) or scenes[0])
    emotions = VOCABULARIES[name]
    faces, winners = faces_near(emotions or CORNERS, n)
    picture = emotion_map(BASIC, emotions, faces, winners=winners, title="A title")
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert abs(picture.shape[1] - 1.25 * picture.shape[0]) < 2
    assert len(seen) == len({*BASIC, *emotions})
    boxes = np.array(seen)
    assert places.apart(boxes)
    assert (boxes[:, :2] > 3).all()
    assert (boxes[:, 2:] < np.array(picture.shape[1::-1]) - 3).all()
    assert_nothing_is_cut(picture)
    scene = scenes[0]
    assert places.apart(scene.boxes)
    assert (boxes[:, :2] >= scene.boxes[:, :2] - 1).all()  # the letters fill the place kept for them
    assert (boxes[:, 2:] <= scene.boxes[:, 2:] + 1).all()


def test_a_word_covers_no_mark() -> None:
    for emotions in (THREE, PAIRS):
        scene = arranged(emotions)
        marks = places.dots(scene.spots) + np.array([2, 2, -2, -2])
        assert not places.common(scene.boxes, marks).any()


def test_an_endless_name_is_cut() -> None:
    scene = arranged({"W" * 60: EVEN[0]})
    assert 200 < scene.boxes[0, 2] - scene.boxes[0, 0] < 270
    assert_nothing_is_cut(emotion_map(BASIC, {"W" * 60: CORNERS["fear"]}, NO_FACES))


def test_names_lie_close_where_there_is_room() -> None:
    for emotions in (THREE, PAIRS):
        scene = arranged(emotions)
        far = np.hypot(*(places.nearest(scene.spots, scene.boxes) - scene.spots).T)
        assert far.max() < 16  # no leader line needed


def test_a_word_that_is_moved_away_has_a_leader_line() -> None:
    scene = arranged(ONE_SPOT)
    ends = places.nearest(scene.spots, scene.boxes)
    far = np.hypot(*(ends - scene.spots).T)
    k = int(far.argmax())
    assert far[k] > 60
    picture = emotion_map(BASIC, ONE_SPOT, NO_FACES)
    x, y = np.rint(scene.spots[k] + 0.9 * (ends[k] - scene.spots[k])).astype(int)
    assert picture[y - 1 : y + 2, x - 1 : x + 2].max() > 100


def test_many_emotions_get_a_larger_picture() -> None:
    assert arranged(THREE).size == (1000, 800)
    assert 1300 < arranged(SIXTY).size[0] < 1600


@given(
    spots=st.lists(st.tuples(st.floats(0, 600), st.floats(0, 400)), min_size=1, max_size=12),
    width=st.integers(20, 150),
    fixed=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_places_are_inside_apart_and_the_same_again(
    spots: list[tuple[float, float]], width: int, fixed: int
) -> None:
    points = np.array(spots)
    fixed = min(fixed, len(points))
    boxes = np.array([(10, 10 + 30 * k, 60, 30 + 30 * k) for k in range(fixed)], float).reshape(-1, 4)
    sizes = np.full((len(points) - fixed, 2), (width, 20.0))
    ground = places.Ground(np.array([[0.0, 0.0], [600.0, 400.0]]), points, points)
    placed = places.placed(points, sizes, boxes, math.inf, ground)
    assert placed.shape == (len(points), 4)
    assert np.array_equal(placed[:fixed], boxes)
    assert np.allclose(placed[fixed:, 2:] - placed[fixed:, :2], sizes)
    assert (placed[:, :2] >= 0).all()
    assert (placed[:, 2:] <= (600, 400)).all()
    assert places.apart(placed)
    assert np.array_equal(placed, places.placed(points, sizes, boxes, math.inf, ground))


def test_a_crowd_on_one_spot_spreads_over_the_room() -> None:
    points = np.full((50, 2), 200.0)
    ground = places.Ground(np.array([[0.0, 0.0], [600.0, 400.0]]), points[:1], points[:0])
    placed = places.placed(points, np.full((50, 2), (110.0, 20.0)), np.empty((0, 4)), math.inf, ground)
    assert places.apart(placed)


def test_words_without_room_make_the_picture_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplex, "_label_size", lambda word, labels: (360, 160))
    scene = arranged(THREE)
    assert scene.size[0] > 1100
    assert places.apart(scene.boxes)


def test_lines_that_meet_boxes() -> None:
    starts, ends = (
        np.array([[0.0, 0.0], [0.0, 5.0], [4.0, 4.0]]),
        np.array([[10.0, 10.0], [10.0, 5.0], [4.0, 4.0]]),
    )
    boxes = np.array([[3.0, 3.0, 5.0, 5.5], [6.0, 0.0, 9.0, 2.0], [11.0, 11.0, 12.0, 12.0]])
    assert places._struck(starts, ends, boxes).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_leader_lines_that_cross_cost_more() -> None:
    spots = np.array([[0.0, 0.0], [0.0, 100.0]])
    boxes = np.array([[100.0, 90, 120, 110], [np.nan] * 4])
    over, under = [100.0, -10, 120, 10], [100.0, 190, 120, 210]
    costs = places._conflicts(spots[1], np.array([over, under]), spots, boxes)
    assert costs[0] > costs[1] == 0


def test_a_line_through_another_word_costs_more_either_way() -> None:
    spots = np.array([[0.0, 0.0], [0.0, 100.0]])
    boxes = np.array([[100.0, -10, 120, 10], [np.nan] * 4])
    beyond, on, free = [190.0, -105, 210, -85], [40.0, -10, 60, 10], [100.0, 90, 120, 110]
    costs = places._conflicts(spots[1], np.array([beyond, on, free]), spots, boxes)
    assert costs[0] >= 150  # its line would run through the word that is there
    assert costs[1] >= 150  # it would lie on the line of the other
    assert costs[2] == 0


# --- map --------------------------------------------------------------------------------------------------


def test_the_same_map_again() -> None:
    faces, winners = faces_near(THREE, 50)
    before = faces.copy()
    first, again = (emotion_map(BASIC, THREE, faces, winners=winners, title="x") for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(faces, before)


def test_marks_have_the_colours_of_their_emotions() -> None:
    picture = emotion_map(BASIC, THREE, NO_FACES)
    scene = arranged(THREE)
    for (name, colour), (x, y) in zip(emotion_colors(BASIC, THREE).items(), by_name(scene), strict=True):
        near = picture[round(y) - 8 : round(y) + 9, round(x) - 8 : round(x) + 9]
        assert at(near, colour, 3).any(), name


def by_name(scene: simplex._Scene) -> NDArray[np.float64]:
    """Return the spots in the order of `emotion_colors`."""
    order = [list(THREE).index(name) for name in emotion_colors(BASIC, THREE)]
    return np.asarray(scene.spots[order])


def test_colours_are_blends() -> None:
    colors = emotion_colors(("happiness", "fear", "pain"), {"dread": [0.5, 0.5, 0.0], "fear": [0.2, 0.8, 0]})
    assert colors["fear"] == COLORS["fear"]
    assert colors["pain"] == paper.OTHER
    expected = np.mean([COLORS["happiness"], COLORS["fear"]], axis=0)
    assert np.abs(colors["dread"] - expected).max() <= 0.5
    assert all(isinstance(level, int) for color in colors.values() for level in color)


def face_pixel(winner: str | None, n: int = 1) -> NDArray[np.uint8]:
    row = mix(neutral=0.4, sadness=0.6)
    faces = np.tile(mix(neutral=0.4, happiness=0.6), (n, 1))
    faces[0] = row
    winners = None if winner is None else [winner] * n
    x, y = np.rint(row @ arranged(CORNERS).anchors).astype(int)
    return np.asarray(emotion_map(BASIC, CORNERS | THREE, faces, winners=winners)[y, x])


def test_a_face_has_the_colour_of_its_winner() -> None:
    def towards(pixel: NDArray[np.uint8], colour: tuple[int, ...]) -> float:
        """Return how near to a colour the way from the panel has led."""
        way = np.array(colour) - paper.PANEL
        return float((pixel - np.array(paper.PANEL)) @ way / (way @ way))

    assert 0.8 < towards(face_pixel("anger"), COLORS["anger"]) < 1
    assert np.array_equal(face_pixel(None), face_pixel("sadness"))  # the largest
    blend = emotion_colors(BASIC, THREE)["bittersweet"]
    assert np.abs(face_pixel("bittersweet") - (0.9 * np.array(blend) + 0.1 * np.array(paper.PANEL))).max() < 3
    for nobody in (NONE, UNCERTAIN):
        assert 0.8 < towards(face_pixel(nobody), paper.GRAY) < 1
    assert 0.2 < towards(face_pixel("anger", 3000), COLORS["anger"]) < 0.6  # translucent in a crowd


def test_a_heap_of_faces_is_a_disc_that_grows_with_their_number() -> None:
    def seen(n: int) -> int:
        faces = np.tile(mix(fear=1), (n, 1))
        picture = emotion_map(BASIC, CORNERS, faces)[:700]  # without the number of faces
        return int((picture != emotion_map(BASIC, CORNERS, NO_FACES)[:700]).any(2).sum())

    areas = [seen(n) for n in (1, 100, 400, 3000)]
    assert areas[1] > areas[0] + 300
    assert areas[2] > 1.8 * areas[1]
    assert areas[3] < math.pi * 64**2
    spots = np.concatenate([np.tile([[100.0, 50.0]], (200, 1)), [[100.2, 49.9], [300.0, 80.0]]])
    spread = simplex._spread(spots)
    assert np.array_equal(spread[[0, 201]], spots[[0, 201]])  # alone, or the first: exactly there
    assert math.dist(spread[200], spots[200]) > 5  # so near that it is of the heap
    assert np.abs(spread[:200].mean(0) - spots[0]).max() < 1
    assert len(np.unique(np.rint(spread[:200]), axis=0)) > 150
    assert simplex._spread(np.zeros((0, 2))).shape == (0, 2)


def test_the_corner_says_how_many_faces() -> None:
    corner = (slice(-40, None), slice(-150, None))
    empty = emotion_map(BASIC, CORNERS, NO_FACES)[corner]
    assert at(empty, paper.PANEL).all()
    texts = [emotion_map(BASIC, CORNERS, np.tile(mix(neutral=1), (n, 1)))[corner] for n in (1, 2, 1200)]
    ink = [int((~at(text, paper.PANEL)).sum()) for text in texts]
    assert 0 < ink[0] < ink[1] < ink[2]
    left = [int(np.flatnonzero((~at(text, paper.PANEL)).any(0))[0]) for text in texts]
    assert left[0] - left[1] > 6  # 1 face, 2 faces


def test_a_title_is_cut_rather_than_lost() -> None:
    plain = emotion_map(BASIC, CORNERS, NO_FACES)
    for title in ("Short", "A title that is far too long " * 9):
        picture = emotion_map(BASIC, CORNERS, NO_FACES, title=title)
        assert not np.array_equal(plain[:42], picture[:42])
        assert np.array_equal(plain[42:], picture[42:])
        assert_nothing_is_cut(picture)


def test_an_emotion_that_examples_have_moved_and_one_that_is_not_asked_for() -> None:
    moved = {"happiness": mix(happiness=0.7, neutral=0.3)}
    scene = arranged(moved)
    assert len(scene.boxes) == 8  # every corner has its name
    assert np.allclose(scene.spots[0], 0.7 * scene.anchors[1] + 0.3 * scene.anchors[0])
    picture = emotion_map(BASIC, moved, NO_FACES)
    assert at(picture, COLORS["happiness"]).any()
    assert not at(picture, COLORS["anger"], 8).any()  # written faintly


@pytest.mark.parametrize("labels", [BASIC[1:], BASIC[:2], ("fear", "sadness"), ("pain", "neutral", "joy")])
def test_other_labels_can_be_drawn(labels: tuple[str, ...]) -> None:
    faces = np.random.default_rng(0).dirichlet(np.ones(len(labels)), 20)
    picture = emotion_map(labels, {"even": np.full(len(labels), 1 / len(labels))}, faces)
    assert picture.shape == (800, 1000, 3)
    assert_nothing_is_cut(picture)


# --- thumbnails -------------------------------------------------------------------------------------------


def purple(n: int, side: int = 32) -> Pictures:
    return np.full((n, side, side, 3), PURPLE, np.uint8)


@pytest.mark.parametrize(("emotions", "n"), [(THREE, 1), (THREE, 12), (PAIRS, 12), (THREE, 30)])
def test_few_faces_are_shown(emotions: dict[str, Any], n: int) -> None:
    faces, winners = faces_near(emotions, n)
    scene = arranged(emotions, faces, winners, thumbnails=True)
    assert scene.side >= 52
    assert places.apart(scene.boxes)  # no face covers a face or a word
    m = len(emotions)
    assert not places.common(scene.boxes[m:], places.dots(scene.spots[:m])).any()
    far = np.hypot(*(places.nearest(scene.spots[m:], scene.boxes[m:]) - scene.spots[m:]).T)
    assert far.max() <= 170
    picture = emotion_map(BASIC, emotions, faces, winners=winners, crops=purple(n))
    assert picture.shape[1::-1] == scene.size
    inner = (scene.side - 4) ** 2  # without the frame
    assert at(picture, PURPLE).sum() == n * inner
    assert_nothing_is_cut(picture)


def test_a_dozen_faces_with_one_emotion_fit() -> None:
    faces = np.tile(mix(happiness=0.97, neutral=0.03), (12, 1))
    assert arranged(THREE, faces, thumbnails=True).side


def test_faces_that_would_cover_each_other_are_dots() -> None:
    faces = np.tile(mix(fear=0.9, sadness=0.1), (25, 1))
    scene = arranged(THREE, faces, thumbnails=True)
    assert places.apart(scene.boxes)
    assert scene.side == 0


def test_many_faces_are_dots() -> None:
    faces, winners = faces_near(THREE, 400)
    with_crops = emotion_map(BASIC, THREE, faces, winners=winners, crops=purple(400, 8))
    assert np.array_equal(with_crops, emotion_map(BASIC, THREE, faces, winners=winners))
    assert not at(with_crops, PURPLE).any()


def test_a_thumbnail_has_a_frame_and_a_name_in_its_winners_colour() -> None:
    faces = mix(neutral=0.5, disgust=0.5)[None]
    picture = emotion_map(BASIC, {}, faces, winners=["contempt"], crops=purple(1))
    where = np.argwhere(at(picture, PURPLE))
    (y0, x0), (y1, x1) = where.min(0), where.max(0)
    frame = COLORS["contempt"]
    assert at(picture[y0 - 2 : y1 + 3, x0 - 2 : x0], frame).all()
    assert at(picture[y1 + 1 : y1 + 3, x0 - 2 : x1 + 3], frame).all()
    assert at(picture[y1 + 5 : y1 + 18, x0:x1], frame, 60).any()


def test_gray_crops_and_the_right_crop_at_the_right_face() -> None:
    faces = np.stack([mix(happiness=1), mix(sadness=1)])
    crops = np.stack([np.full((20, 20), level, np.uint8) for level in (250, 7)])
    picture = emotion_map(BASIC, {}, faces, crops=crops)
    bright, black = (np.argwhere(at(picture, (level,) * 3)) for level in (250, 7))
    assert len(bright) == len(black) > 2000
    assert bright[:, 0].max() < black[:, 0].min()  # happiness is at the top


def test_long_names_below_thumbnails_take_two_lines() -> None:
    lines, width = simplex._caption("disgustedly surprised", 64)
    assert lines == ["disgustedly", "surprised"]
    assert width <= 94
    assert simplex._caption("awe", 64)[0] == ["awe"]
    assert len(simplex._caption("one two three four five six seven", 52)[0]) == 2
    assert simplex._caption("", 52) == ([""], 4)


def test_drawn_faces_go_in() -> None:
    faces, winners = faces_near(THREE, 4)
    crops = cartoon_faces(faces, size=40, seed=1)
    assert emotion_map(BASIC, THREE, faces, winners=winners, crops=crops).shape == (800, 1000, 3)


# --- wrong arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("happiness",)}, r"labels=\('happiness',\) must be two or more"),
        ({"labels": ("fear", "fear")}, "different names"),
        ({"labels": "fear"}, "labels='fear' must be"),
        ({"emotions": {"awe": [0.5, 0.5]}}, r"emotions of shape \(1, 2\) must be \(n, 8\)"),
        ({"emotions": {"awe": [0.5] * 8}}, "emotions must have rows of shares"),
        ({"emotions": {"awe": [1], "fear": [1, 2]}}, "emotions must be a table of numbers"),
        ({"emotions": {str(k): EVEN[0] for k in range(93)}}, "emotions has 101 names .* 100: draw fewer"),
        ({"faces": EVEN[:, :7]}, r"faces of shape \(3, 7\) must be \(n, 8\)"),
        ({"faces": EVEN[0]}, r"faces of shape \(8,\)"),
        ({"faces": EVEN * 2}, "faces must have rows of shares: 0 or more, with sum 1"),
        ({"faces": EVEN * np.nan}, "faces must have rows of shares"),
        ({"faces": EVEN - [1, -1, 0, 0, 0, 0, 0, 0]}, "faces must have rows of shares"),
        ({"faces": [["a"] * 8]}, "faces must be a table of numbers"),
        ({"winners": ["awe"]}, "winners has 1 names for 3 faces"),
        ({"crops": purple(2)}, r"crops of shape \(2, 32, 32, 3\) must be uint8 .*n=3 faces"),
        ({"crops": purple(3) / 255}, "crops of shape .* must be uint8"),
        ({"crops": purple(3)[..., :2]}, "crops of shape"),
        ({"crops": purple(3)[:, 0, 0]}, "crops of shape"),
        ({"crops": purple(3)[:, :0]}, "crops of shape"),
        ({"crops": [1, 2, 3]}, "crops of shape"),
    ],
)
def test_a_wrong_argument_is_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"labels": BASIC, "emotions": CORNERS, "faces": EVEN} | change
    with pytest.raises(ArgumentError, match=message):
        emotion_map(
            arguments["labels"],
            arguments["emotions"],
            arguments["faces"],
            winners=arguments.get("winners"),
            crops=arguments.get("crops"),
        )


def test_a_hundred_names_are_allowed() -> None:
    emotions = {f"emotion {k}": EVEN[0] for k in range(92)}
    assert len(simplex._content(BASIC, emotions, NO_FACES, None).words) == 100


# --- one face ---------------------------------------------------------------------------------------------

BASICS = dict(zip(BASIC, (0.02, 0.5, 0.1, 0.3, 0.05, 0.02, 0.01, 0.0), strict=True))


def bars_of(picture: Pictures, colour: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (row, width) of the bars that have a colour, from the top, left half before right half."""
    found: list[tuple[int, int]] = []
    for part in (picture[:, 220:520], picture[:, 520:]):
        hits = at(part, colour)
        rows = np.flatnonzero(hits.any(1))
        groups = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
        found += [(int(g[0]), int(hits[g[6]].sum())) for g in groups if len(g) >= 10]  # fewer: a letter
    return found


def test_bars_are_as_long_as_probabilities() -> None:
    crop = purple(1)[0]
    picture = explain_picture(crop, BASICS, {"sadness": 0.8, "awe": 0.15, NONE: 0.05})
    assert picture.dtype == np.uint8
    assert at(picture, PURPLE).sum() == 200 * 200
    (row, width), *more = bars_of(picture, COLORS["happiness"])
    assert width == 75  # of 150
    assert not more
    (basic_row, basic), (best_row, best) = bars_of(picture, COLORS["sadness"])
    assert (basic, best) == (45, 120)
    assert basic_row > row > best_row  # order of the labels at the left, best first at the right
    (awe_row, awe), (none_row, none) = bars_of(picture, paper.OTHER)[0], bars_of(picture, paper.GRAY)[0]
    assert best_row < awe_row < none_row
    assert (awe, none) == (round(22.5), round(7.5))
    assert not bars_of(picture, COLORS["contempt"])  # nothing
    assert_nothing_is_cut(picture)


def test_the_best_eight_answers_best_first() -> None:
    posterior = {f"emotion {k}": (k + 1) / 66 for k in range(11)}
    picture = explain_picture(purple(1)[0], {"fear": 1.0}, posterior)
    widths = [width for _, width in bars_of(picture, paper.OTHER)]
    assert widths == [max(1, round(150 * (k + 1) / 66)) for k in range(10, 2, -1)]


def test_given_colours_are_used_but_not_for_no_emotion() -> None:
    colors = {"awe": (1, 200, 3), NONE: PURPLE, "fear": (250, 250, 3)}
    picture = explain_picture(
        np.zeros((9, 9), np.uint8), {"fear": 0.5}, {"awe": 0.6, NONE: 0.2, UNCERTAIN: 0.1}, colors=colors
    )
    assert bars_of(picture, (1, 200, 3))
    assert bars_of(picture, (250, 250, 3))
    assert not at(picture, PURPLE).any()
    assert [width for _, width in bars_of(picture, paper.GRAY)] == [30, 15]


def test_notes_are_wrapped_into_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    crop = np.zeros((48, 48), np.uint8)
    plain = explain_picture(crop, BASICS, BASICS)
    sentence = "fear and surprise are close to awe, " * 5
    for notes in (("short",), (sentence, "second"), ("x" * 400,), [sentence] * 9):
        picture = explain_picture(crop, BASICS, BASICS, notes=notes)
        assert picture.shape[1] == plain.shape[1]
        assert len(plain) < len(picture) <= len(plain) + 6 * 19 + 14
        assert np.array_equal(picture[: len(plain) - 14], plain[:-14])
        assert not at(picture[len(plain) :], paper.PANEL).all()
        assert_nothing_is_cut(picture)
    one = explain_picture(crop, BASICS, BASICS, notes="one sentence")
    assert np.array_equal(one, explain_picture(crop, BASICS, BASICS, notes=["one sentence"]))


def test_panels_of_several_faces_are_alike() -> None:
    faces = [
        explain_picture(np.full(shape, 90, np.uint8), BASICS, {name: 0.9, NONE: 0.1})
        for shape, name in (((48, 48), "awe"), ((480, 480, 3), "disgustedly surprised"))
    ]
    assert faces[0].shape == faces[1].shape
    assert np.array_equal(faces[0][:, 220:520], faces[1][:, 220:520])


@pytest.mark.parametrize("shape", [(10, 40), (40, 10, 3), (1, 1), (300, 200, 3)])
def test_a_crop_of_any_shape_keeps_its_proportions(shape: tuple[int, ...]) -> None:
    crop = np.full((*shape[:2], 3), PURPLE, np.uint8)
    hits = np.argwhere(at(explain_picture(crop, BASICS, BASICS), PURPLE))
    height, width = np.ptp(hits, axis=0) + 1
    assert max(height, width) == 200
    assert abs(height / width - shape[0] / shape[1]) < 0.02


@pytest.mark.parametrize(
    "crop",
    [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8), "x"],
)
def test_a_wrong_crop_is_named(crop: Any) -> None:
    with pytest.raises(ArgumentError, match=r"crop of shape .* must be uint8"):
        explain_picture(crop, BASICS, BASICS)


@pytest.mark.parametrize("p", [-0.1, 1.01, math.nan])
def test_a_wrong_probability_is_named(p: float) -> None:
    crop = np.zeros((4, 4), np.uint8)
    with pytest.raises(ArgumentError, match=r"basic emotions: fear=.* must be a probability, 0..1"):
        explain_picture(crop, {"fear": p}, BASICS)
    with pytest.raises(ArgumentError, match="best explanations: awe="):
        explain_picture(crop, BASICS, {"awe": p})


def test_pictures_are_stacked_at_the_left() -> None:
    top, bottom = np.full((4, 9, 3), 50, np.uint8), np.full((2, 5, 3), 99, np.uint8)
    sheet = stack([top, bottom])
    assert sheet.shape == (6, 9, 3)
    assert np.array_equal(sheet[:4], top)
    assert np.array_equal(sheet[4:, :5], bottom)
    assert at(sheet[4:, 5:], paper.PANEL).all()
    sheet[:] = 0
    assert top.min() == 50
    with pytest.raises(ArgumentError, match=r"pictures=\[\] must hold at least one"):
        stack([])
    with pytest.raises(ArgumentError, match=r"pictures\[1\] of shape \(4, 9\) must be uint8"):
        stack([top, top[..., 0]])
    with pytest.raises(ArgumentError, match=r"pictures\[0\]"):
        stack([top.astype(float)])  # type: ignore[list-item]


# --- table ------------------------------------------------------------------------------------------------


def cell_places(picture: Pictures, value: float) -> NDArray[np.intp]:
    """Return the corners (m, 2) y x of cells with a colour; the legend below is left out."""
    hits = at(picture[:-50], charts.heat(value))
    above = np.roll(hits, 1, axis=0)
    before = np.roll(hits, 1, axis=1)
    solid = hits & np.roll(hits, -1, axis=0) & np.roll(hits, -1, axis=1)
    return np.argwhere(solid & ~above & ~before)


def test_the_cell_of_two_definitions() -> None:
    overlap = np.zeros((5, 5))
    overlap[3, 1] = 1
    overlap[1, 3] = 0.5  # above the diagonal: not read
    names = ["fear", "surprise", "awe", "fearfully surprised", "shock"]
    picture = separability_chart(names, overlap)
    assert picture.dtype == np.uint8
    (y, x), *more = cell_places(picture, 1)
    assert not more
    left, top = cell_places(picture, 0)[:, 1].min(), cell_places(picture, 0)[:, 0].min()
    assert (y - top, x - left) == (2 * 60, 1 * 60)  # rows begin with the second name
    assert not len(cell_places(picture, 0.5))
    assert_nothing_is_cut(picture)


def test_more_overlap_is_brighter() -> None:
    light = [np.dot(charts.heat(v), (0.299, 0.587, 0.114)) for v in np.linspace(0, 1, 21)]
    assert (np.diff(light) > 0).all()


def test_numbers_are_in_the_cells_where_they_fit() -> None:
    def ink(k: int) -> int:
        picture = separability_chart(["x"] * k, np.full((k, k), 0.3))
        hits = at(picture[:-60], paper.TEXT, 40)
        cells = at(picture[:-60], charts.heat(0.3))
        inside = cells.cumsum(1).astype(bool) & cells[:, ::-1].cumsum(1)[:, ::-1].astype(bool)
        return int((hits & inside).sum())

    assert ink(4) > 0
    assert ink(40) > 0
    assert ink(70) == 0


@pytest.mark.parametrize("k", [2, 3, 11, 22, 40, 60])
def test_names_are_not_cut(k: int) -> None:
    names = [("disgustedly surprised", "awe", "a name that has no end " * 9)[j % 3] for j in range(k)]
    overlap = np.random.default_rng(0).random((k, k))
    picture = separability_chart(names, overlap)
    assert_nothing_is_cut(picture)
    assert max(picture.shape) < 1900
    assert np.array_equal(picture, separability_chart(names, overlap))


def test_a_row_has_its_name_at_the_left_and_a_column_above() -> None:
    zeros = np.zeros((3, 3))
    base = separability_chart(["onon", "onon", "onon"], zeros)
    changed = [
        np.argwhere((base != separability_chart(names, zeros)).any(2))
        for names in (["nono", "onon", "onon"], ["onon", "onon", "nono"])  # as wide
    ]
    first, last = changed
    left = cell_places(base, 0)[:, 1].min()
    assert first[:, 1].min() >= left  # of the first, only the column is drawn
    assert first[:, 0].max() < cell_places(base, 0)[:, 0].min()
    assert last[:, 1].max() < left  # of the last, only the row
    cells = at(base[:-50], charts.heat(0))[:, left + 1]
    tops = np.flatnonzero(cells & ~np.roll(cells, 1))
    assert len(tops) == 2
    assert tops[1] < last[:, 0].min() < last[:, 0].max() < tops[1] + 60


@pytest.mark.parametrize(
    ("names", "overlap", "message"),
    [
        (["a"], [[1]], r"overlap of shape \(1, 1\) with 1 names"),
        (["a", "b"], np.zeros((3, 3)), r"overlap of shape \(3, 3\) with 2 names must be \(k, k\)"),
        (["a", "b"], np.zeros((2, 3)), r"overlap of shape \(2, 3\)"),
        (["a"] * 101, np.zeros((101, 101)), r"2\.\.100 names"),
        (["a", "b"], [[1, 0], [1.2, 1]], "overlap must have numbers in 0..1"),
        (["a", "b"], [[1, 0], [math.nan, 1]], "overlap must have numbers in 0..1"),
        (["a", "b"], [[1], [1, 2]], "overlap must be a table of numbers"),
    ],
)
def test_a_wrong_overlap_is_named(names: list[str], overlap: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        separability_chart(names, overlap)


# --- letters ----------------------------------------------------------------------------------------------


def test_the_panel_looks_as_elsewhere() -> None:
    ours = (paper.OTHER, paper.PANEL, paper.TEXT, paper.FAINT)
    assert ours == (drawing._OTHER, drawing._PANEL, drawing._TEXT, drawing._FAINT)


@given(text=st.text(max_size=60), width=st.integers(20, 200))
@settings(max_examples=60, deadline=None)
def test_a_short_text_is_no_wider_than_asked(text: str, width: int) -> None:
    font = paper.letters(14)
    cut = paper.short(text, font, width)
    assert font.getlength(cut) <= width
    assert "\n" not in cut
    if cut.isascii() and not cut.endswith("…"):
        assert cut == cut.strip()


def test_what_fits_stays_and_what_does_not_says_so() -> None:
    font = paper.letters(14)
    assert paper.short(" happily \n surprised ", font, 500) == "happily surprised"
    assert paper.short("happily surprised", font, 60).endswith("…")
    assert paper.short("Rührung", font, 500) == "Ruhrung"  # not a box in place of a letter


@given(words=st.lists(st.text("abc ", max_size=30), max_size=8), width=st.integers(40, 200))
@settings(max_examples=60, deadline=None)
def test_wrapped_lines_are_no_wider_and_lose_no_word(words: list[str], width: int) -> None:
    font = paper.letters(13)
    lines = paper.wrapped(words, font, width, 99)
    assert all(font.getlength(line) <= width for line in lines)
    if not any("…" in line for line in lines):
        assert " ".join(lines).split() == " ".join(words).split()
    few = paper.wrapped(words, font, width, 2)
    assert few == lines if len(lines) <= 2 else (len(few) == 2 and few[-1].endswith("…"))
    assert all(font.getlength(line) <= width for line in few)
