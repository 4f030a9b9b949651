"""Watching films: with a scripted detector and models whose answers are known, and with the real ones."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, write_graph
from filming import astronaut_film, write_film
from numpy.typing import NDArray
from onnx import helper

import pyfer
from pyfer.baseline import Baseline, logs_of
from pyfer.drawing import COLORS
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, SourceError
from pyfer.faces import TEMPLATE, Faces
from pyfer.files import sha256
from pyfer.films import Span
from pyfer.models import Model, Output, Spec
from pyfer.models.spec import read_spec
from pyfer.pipeline import Pipeline, Reading
from pyfer.results import Input, Result
from pyfer.tracking import Tracking
from pyfer.watching import Watch, WatchedFrame, Watching
from pyfer.watching.recognising import Steps

pytest.importorskip("av")

RATE = 25
WIDTH, HEIGHT, SIDE = 320, 240, 60
PLACES = ((30, 60), (200, 100))
"""Left upper corners of two persons' faces."""
SHARE = 0.97
"""Probability that `Bright` gives its answer; of less, new emotions would make "none of these"."""
FILMS = Path(__file__).resolve().parents[2] / "shared" / "samples" / "films"

People = dict[int, str]
"""Place -> emotion of the face that is there."""


class Bright:
    """A recogniser for stills: how bright a face is says what it shows."""

    def __init__(self, folder: Path) -> None:
        self.spec: Spec = read_spec(folder)

    def __call__(self, crops: NDArray[np.uint8]) -> Output:
        level = crops[:, 8:-8, 8:-8].mean((1, 2, 3)) if len(crops) else np.zeros(0)
        p = np.full((len(crops), 8), (1 - SHARE) / 7, np.float32)
        p[np.arange(len(crops)), np.clip(np.rint((level - 16) / 30).astype(int), 0, 7)] = SHARE
        return Output({"ferplus": p, "fer2013": np.zeros((len(crops), 7), np.float32)}, None)


def picture(people: People, noise: int = 0) -> NDArray[np.uint8]:
    """Draw a gray wall with a square for each face, as bright as its emotion; `noise` seeds a texture."""
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    for place, emotion in people.items():
        x, y = PLACES[place]
        square = np.full((SIDE, SIDE), 16 + 30 * BASIC.index(emotion), np.uint8)
        if noise:
            rng = np.random.default_rng([noise, place])
            square = rng.integers(0, 256, (6, 6)).repeat(10, 0).repeat(10, 1).astype(np.uint8)
        frame[y : y + SIDE, x : x + SIDE] = square[..., None]
    return frame


class Script:
    """A detector that is asked at every frame and says where people are by the script."""

    def __init__(self, plan: Sequence[People]) -> None:
        self._plan = iter(plan)

    def __call__(self, image: NDArray[np.uint8]) -> Faces:
        corners = np.array([PLACES[place] for place in next(self._plan)], np.float32).reshape(-1, 2)
        marks = (corners[:, None] + SIDE * TEMPLATE).astype(np.float32)
        return Faces(
            np.concatenate([corners, corners + SIDE], 1), np.full(len(corners), 0.999, np.float32), marks
        )


def plan_of(*parts: tuple[int, People]) -> list[People]:
    """Return who is there in each frame: (frames, people) one after the other."""
    return [people for count, people in parts for _ in range(count)]


def film_of(path: Path, plan: Sequence[People], *, noisy: bool = False) -> Path:
    return write_film(path, [picture(people, noisy * (1 + k)) for k, people in enumerate(plan)], rate=RATE)


Watched = Callable[..., Watch]


@pytest.fixture
def watched(tmp_path: Path, tiny: Path) -> Watched:
    """Return a function that begins to watch a film of a plan."""

    def begin(plan: Sequence[People], model: Any = None, *, noisy: bool = False, **options: Any) -> Watch:
        reading = Reading(**options.pop("reading", {}))
        settings = Watching(**{"tracking": Tracking(gap=0.1), **options})
        film = film_of(tmp_path / "film.mkv", plan, noisy=noisy)
        return Watch(film, Pipeline(model or Bright(tiny), reading=reading), settings, detector=Script(plan))

    return begin


def by_person(frames: Sequence[WatchedFrame]) -> dict[int, list[tuple[WatchedFrame, int]]]:
    """Return number -> frames with this person, and the row of the face."""
    found: dict[int, list[tuple[WatchedFrame, int]]] = {}
    for frame in frames:
        assert frame.result.track is not None
        for row, number in enumerate(frame.result.track.tolist()):
            found.setdefault(number, []).append((frame, row))
    return found


def whole_film(model: Model, seen: Sequence[tuple[WatchedFrame, int]]) -> NDArray[np.float32]:
    """Return what a model says of one person's faces (t, c) as a film of their own."""
    output = model.film(
        np.stack([frame.crops[row] for frame, row in seen]), [frame.time for frame, _ in seen]
    )
    return output.probabilities[model.spec.heads[0].name]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "pyfer-film"]


# --- who shows what ---------------------------------------------------------------------------------------


def test_frames_come_with_number_time_picture_faces_and_persons(watched: Watched) -> None:
    plan = plan_of((4, {0: "anger"}), (4, {0: "anger", 1: "fear"}), (2, {}))
    frames = list(watched(plan))
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time for frame in frames] == pytest.approx([k / RATE for k in range(10)], abs=1e-3)
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert [frame.result.emotion for frame in frames] == [
        *[("anger",)] * 4,
        *[("anger", "fear")] * 4,
        *[()] * 2,
    ]
    tracks = [None if frame.result.track is None else frame.result.track.tolist() for frame in frames]
    assert tracks == [[1]] * 4 + [[1, 2]] * 4 + [[]] * 2
    assert [len(frame.crops) for frame in frames] == [1] * 4 + [2] * 4 + [0] * 2
    assert frames[0].result.inputs[0].name.endswith("film.mkv")


def test_each_person_has_a_memory_until_they_are_gone(watched: Watched, make_rnn: MakeModel) -> None:
    model = Model(make_rnn())
    plan = plan_of(
        (5, {0: "fear"}), (9, {0: "fear", 1: "fear"}), (6, {1: "fear"}), (5, {0: "fear", 1: "fear"})
    )
    watch = watched(plan, model, noisy=True)
    people = by_person(list(watch))
    assert {number: len(seen) for number, seen in people.items()} == {1: 14, 2: 20, 3: 5}
    for seen in people.values():
        shown = np.stack([frame.result.basic[row] for frame, row in seen])
        np.testing.assert_allclose(shown, whole_film(model, seen), atol=1e-5)
        alone = model(np.stack([frame.crops[row] for frame, row in seen])).probabilities["ferplus"]
        assert np.abs(shown - alone).max() > 0.1  # the memory matters
    assert isinstance(watch._recogniser, Steps)
    assert set(watch._recogniser._memories) == {2, 3}  # nothing is kept of who is gone


def test_a_person_who_is_back_within_the_gap_is_remembered(watched: Watched, make_rnn: MakeModel) -> None:
    model = Model(make_rnn())
    plan = plan_of((5, {0: "fear"}), (4, {}), (5, {0: "fear"}))
    ((number, seen),) = by_person(list(watched(plan, model, tracking=Tracking(gap=1)))).items()
    assert (number, len(seen)) == (1, 10)
    shown = np.stack([frame.result.basic[row] for frame, row in seen])
    np.testing.assert_allclose(shown, whole_film(model, seen), atol=1e-5)
    # this model's embedding counts the seconds since the frame before
    embeddings = [frame.result.embedding[row] for frame, row in seen if frame.result.embedding is not None]
    away = np.subtract(embeddings[5], embeddings[4]).mean()
    assert away == pytest.approx(4 / RATE, abs=0.04)


WINDOW, REACH = 8, 2


@pytest.fixture
def both_ways(make_rnn: MakeModel) -> Model:
    """A model that sees, of each frame, also the two before and the two after."""
    folder = make_rnn("smoother")
    write_graph(
        folder / "model.onnx",
        [
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["probabilities", "wide"], ["there"]),
            helper.make_node("Transpose", ["there"], ["turned"], perm=[0, 2, 1]),
            helper.make_node("Conv", ["turned", "kernel"], ["sums"], group=15, pads=[REACH, REACH]),
            helper.make_node("Transpose", ["sums"], ["answer"], perm=[0, 2, 1]),
        ],
        {"probabilities": ["n", WINDOW, 15], "mask": ["n", WINDOW]},
        {"answer": ["n", WINDOW, 15]},
        {"kernel": np.full((15, 1, 5), 3, np.float32), "last": np.array([-1])},
    )
    tree = json.loads((folder / "model.json").read_text())
    del tree["state"], tree["embedding"]
    labels = [*BASIC, *(f"other {k}" for k in range(7))]
    heads = [{"name": "all", "output": "answer", "labels": labels}]
    tree |= {"window": WINDOW, "sha256": sha256(folder / "model.onnx"), "heads": heads}
    (folder / "model.json").write_text(json.dumps(tree))
    return Model(folder)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 12, 13, 24, 25])
def test_a_model_that_looks_both_ways_says_what_it_says_of_the_whole_film(
    watched: Watched, both_ways: Model, length: int
) -> None:
    assert not both_ways.spec.causal
    frames = list(watched([{0: "fear"}] * length, both_ways, noisy=True))
    assert [frame.index for frame in frames] == list(range(length))
    (seen,) = by_person(frames).values()
    shown = np.stack([frame.result.basic[row] for frame, row in seen])
    np.testing.assert_allclose(shown, whole_film(both_ways, seen), atol=1e-5)


def test_a_model_that_looks_both_ways_with_people_who_come_and_go(watched: Watched, both_ways: Model) -> None:
    plan = plan_of((10, {}), (6, {0: "fear"}), (12, {0: "fear", 1: "fear"}), (9, {}), (3, {1: "fear"}))
    frames = list(watched(plan, both_ways, noisy=True))
    assert [len(frame.result) for frame in frames] == [len(people) for people in plan]
    people = by_person(frames)
    assert {number: len(seen) for number, seen in people.items()} == {1: 18, 2: 12, 3: 3}
    shown = np.stack([frame.result.basic[row] for frame, row in people[3]])
    np.testing.assert_allclose(shown, whole_film(both_ways, people[3]), atol=1e-5)


def test_stop_lets_the_frames_through_that_wait(watched: Watched, both_ways: Model) -> None:
    watch = watched([{0: "fear"}] * 60, both_ways)
    frames = list(itertools.islice(watch._frames, 3))
    watch.stop()
    frames += watch
    assert [frame.index for frame in frames] == list(range(9))  # a window, and the frame that set it off
    assert watch.ending.status == "stopped"
    assert not threads()


def test_a_recogniser_that_looks_both_ways_must_be_a_model(
    tiny: Path, both_ways: Model, tmp_path: Path
) -> None:
    strange = Bright(tiny)
    strange.spec = both_ways.spec
    with pytest.raises(ArgumentError, match=r"looks both ways and is no pyfer\.Model"):
        Watch(film_of(tmp_path / "film.mkv", [{}]), Pipeline(strange))


# --- segments, successions, persons -----------------------------------------------------------------------

STORY = plan_of(
    (10, {0: "neutral"}),
    (15, {0: "surprise"}),
    (8, {0: "neutral"}),
    (15, {0: "happiness"}),
    (10, {0: "neutral"}),
    (15, {0: "anger"}),
)


def test_segments_come_with_the_frame_that_shows_their_end(watched: Watched) -> None:
    watch = watched(STORY)
    told = {frame.index: frame.segments for frame in watch if frame.segments}
    assert [(s.track, s.emotion, round(s.onset * RATE), round(s.offset * RATE)) for s in watch.segments] == [
        (1, "surprise", 10, 24),
        (1, "happiness", 33, 47),
        (1, "anger", 58, 72),
    ]
    assert [s.intensity for s in watch.segments] == pytest.approx([SHARE] * 3, abs=1e-5)
    # 0.2 s without it end an emotion; the last one lasts to the end
    assert [(k, s.emotion) for k, (s,) in told.items()] == [(30, "surprise"), (53, "happiness")]
    assert watch.ending.status == "ok"


def test_emotions_over_time_are_segments_too(watched: Watched) -> None:
    spec = "relief = surprise -> happiness within 1 s, spite = surprise -> happiness within 100 ms"
    watch = watched(STORY, reading={"emotions": spec})
    told = [s.emotion for frame in watch for s in frame.segments]
    assert told == ["surprise", "happiness", "relief"]
    relief = watch.segments[2]
    assert (round(relief.onset * RATE), round(relief.offset * RATE)) == (10, 47)


def test_unsure_answers_make_no_segments(watched: Watched) -> None:
    watch = watched(STORY, reading={"threshold": SHARE + 0.02})
    assert {frame.result.emotion for frame in watch} == {("uncertain",)}
    assert watch.segments == []
    surer = watched(STORY, reading={"threshold": SHARE - 0.02})
    assert {emotion for frame in surer for emotion in frame.result.emotion} == {
        *("neutral", "surprise", "happiness", "anger")
    }
    assert len(surer.segments) == 3


def test_persons_are_remembered(watched: Watched) -> None:
    plan = plan_of((10, {0: "anger"}), (10, {0: "fear", 1: "fear"}), (10, {1: "fear"}), (5, {0: "anger"}))
    watch = watched(plan)
    assert len(list(watch)) == 35
    people = watch.people
    assert {n: p.frames for n, p in people.items()} == {1: 20, 2: 20, 3: 5}
    assert [round(people[n].first * RATE) for n in (1, 2, 3)] == [0, 10, 30]
    assert [round(people[n].last * RATE) for n in (1, 2, 3)] == [19, 29, 34]
    assert [people[n].seconds * RATE for n in (1, 2, 3)] == pytest.approx([19, 19, 4], abs=0.1)
    assert people[1].mean.sum() == pytest.approx(1, abs=1e-5)
    rest = (1 - SHARE) / 7
    mean = dict(zip(watch.names, people[1].mean.tolist(), strict=True))
    assert mean["anger"] == pytest.approx((SHARE + rest) / 2, abs=1e-5)
    assert mean["fear"] == pytest.approx(mean["anger"], abs=1e-5)


# --- a neutral face ---------------------------------------------------------------------------------------


def test_the_first_seconds_of_each_person_are_taken_off(watched: Watched) -> None:
    plan = plan_of(
        (10, {0: "sadness"}), (10, {0: "sadness", 1: "anger"}), (20, {0: "happiness", 1: "happiness"})
    )
    frames = list(watched(plan, calibrate=0.4))
    plain = list(watched(plan))
    for number, neutral in ((1, "sadness"), (2, "anger")):
        seen, raw = by_person(frames)[number], by_person(plain)[number]
        p = np.stack([frame.result.basic[row] for frame, row in seen])
        before = np.stack([frame.result.basic[row] for frame, row in raw])
        assert before[0].argmax() == BASIC.index(neutral)
        np.testing.assert_allclose(p[:10], before[:10], atol=1e-6)
        without = Baseline(logs_of(before[:10]).mean(0, keepdims=True))
        np.testing.assert_allclose(p[10:], without(before[10:]), atol=1e-5)
        assert np.abs(p[10:] - before[10:]).max() > 1e-3


def test_a_neutral_face_is_taken_off_new_emotions_too(tmp_path: Path) -> None:
    """Their evidence is read from an embedding, which knows of no neutral face."""
    plan: list[People] = [{0: "happiness"}] * 8
    film = film_of(tmp_path / "film.mkv", plan)

    def answers(calibrate: float | None) -> NDArray[np.float32]:
        pipeline = Pipeline(reading=Reading(emotions="awe = fear + surprise"), threads=1)
        assert pipeline.posterior is not None
        assert pipeline.posterior.evidence.kind == "embedding"
        settings = Watching(calibrate=calibrate)
        frames = list(Watch(film, pipeline, settings, detector=Script(plan)))
        return np.concatenate([frame.result.choices[1] for frame in frames])

    plain, without = answers(None), answers(0.1)
    np.testing.assert_allclose(without[:2], plain[:2], atol=1e-6)
    assert np.abs(without[4:] - plain[4:]).max() > 0.05
    np.testing.assert_allclose(without.sum(axis=1), 1, atol=1e-5)


def test_an_emotion_over_time_changes_nothing_of_the_faces(tmp_path: Path) -> None:
    """What is read off segments must find those that are found without it."""
    plan: list[People] = [{0: "sadness"}] * 10 + [{0: "happiness"}] * 10
    film = film_of(tmp_path / "film.mkv", plan)

    def watched_with(emotions: str | None) -> Watch:
        pipeline = Pipeline(reading=Reading(emotions=emotions), threads=1)
        watch = Watch(film, pipeline, detector=Script(plan))
        list(watch)
        return watch

    plain, over_time = watched_with(None), watched_with("relief = fear -> happiness")
    assert over_time.names == plain.names
    np.testing.assert_array_equal(over_time.people[1].mean, plain.people[1].mean)
    assert "none of these" in watched_with("awe = fear + surprise, thrill = awe -> fear").names


def test_a_neutral_picture_is_taken_off_from_the_first_frame(tiny: Path, tmp_path: Path) -> None:
    plan: list[People] = [{0: "happiness"}] * 5
    pipeline = Pipeline(Bright(tiny), Script([{0: "sadness"}]))
    film = film_of(tmp_path / "film.mkv", plan)
    settings = Watching(calibrate=picture({0: "sadness"}))
    (frame, *_) = Watch(film, pipeline, settings, detector=Script(plan))
    rest = np.full((1, 8), (1 - SHARE) / 7, np.float32)
    happy, sad = rest.copy(), rest.copy()
    happy[0, 1] = sad[0, 3] = SHARE
    np.testing.assert_allclose(frame.result.basic, Baseline(logs_of(sad))(happy), atol=1e-5)


def test_a_picture_without_a_face_is_no_neutral_one(tiny: Path, tmp_path: Path) -> None:
    film = film_of(tmp_path / "film.mkv", [{}])
    with pytest.raises(ArgumentError, match="there is no face in the picture"):
        Watch(film, Pipeline(Bright(tiny), Script([{}])), Watching(calibrate=picture({})))
    assert not threads()


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
def test_seconds_to_calibrate_are_above_0(seconds: float) -> None:
    with pytest.raises(
        ArgumentError, match=r"calibrate=.* must be a number of seconds above 0, or a picture"
    ):
        Watching(calibrate=seconds)


# --- how it ends ------------------------------------------------------------------------------------------


def test_a_loop_that_is_left_early_closes_the_film(watched: Watched) -> None:
    for frame in watched([{0: "fear"}] * 50):
        assert threads()
        if frame.index == 3:
            break
    assert not threads()
    watch = watched([{0: "fear"}] * 50)
    for frame in watch:
        if frame.index == 10:
            break
    assert not threads()
    assert [segment.emotion for segment in watch.segments] == ["fear"]  # ended where the loop was left
    assert (watch.ending.status, list(watch)) == ("stopped", [])


def test_what_was_found_stays_when_a_film_is_stopped(watched: Watched) -> None:
    with watched(STORY) as watch:
        for frame in watch:
            if frame.index == 20:
                watch.stop()
    assert frame.index == 20
    assert [(s.emotion, round(s.offset * RATE)) for s in watch.segments] == [("surprise", 20)]
    assert watch.people[1].frames == 21
    assert watch.ending.status == "stopped"
    with watched(STORY) as watch:
        for _ in range(16):
            next(watch)
    assert [(s.emotion, round(s.offset * RATE)) for s in watch.segments] == [("surprise", 15)]
    watch.close()
    assert len(watch.segments) == 1
    assert not threads()


def test_a_film_that_is_cut_short_gives_what_there_is(tiny: Path, tmp_path: Path) -> None:
    plan: list[People] = [{0: "anger"}] * 100
    path = film_of(tmp_path / "film.mkv", plan, noisy=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    watch = Watch(path, Pipeline(Bright(tiny)), detector=Script(plan))
    assert 20 < len(list(watch)) < 80
    assert watch.ending.status == "truncated"
    assert watch.people[1].frames > 20


def test_what_is_no_film_is_said_at_once(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        pyfer.watch(tmp_path / "gone.mp4", model=tiny)
    with pytest.raises(ArgumentError, match="start"):
        Watch(film_of(tmp_path / "film.mkv", [{}]), Pipeline(Bright(tiny)), Watching(Span(start=9)))


# --- the marked frame -------------------------------------------------------------------------------------


def result_of(
    boxes: Sequence[tuple[int, int, int, int]], p: Sequence[Sequence[float]], **columns: Any
) -> Result:
    n = len(boxes)
    return Result(
        tuple(BASIC),
        np.array(p, np.float32).reshape(n, 8),
        np.array(boxes, np.float32).reshape(n, 4),
        np.ones(n, np.float32),
        np.full((n, 5, 2), np.nan, np.float32),
        np.zeros(n, np.int64),
        (Input("film"),),
        **{"track": np.arange(1, n + 1), **columns},
    )


WALL = np.full((360, 640, 3), 100, np.uint8)
BOX = (200, 100, 320, 250)


def marked(box: tuple[int, int, int, int], p: Sequence[float], **columns: Any) -> NDArray[np.bool_]:
    """Return where marks are (h, w)."""
    return np.asarray((pyfer.draw(WALL, result_of([box], [p], **columns)) != WALL).any(2))


def corners_of(marks: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.flatnonzero(marks.any(1)), np.flatnonzero(marks.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def test_marks_of_a_film_keep_their_places_whatever_a_face_shows() -> None:
    places = [corners_of(marked(BOX, p)) for p in [*np.eye(8).tolist(), [1 / 8] * 8]]
    assert all(place == places[0] for place in places)
    unsure = marked(BOX, [1 / 8] * 8, threshold=0.9)
    assert corners_of(unsure) == places[0]


def test_a_marked_film_keeps_its_size_whoever_is_there() -> None:
    boxes = [(40 * k, 100, 40 * k + 30, 140) for k in range(9)]
    assert pyfer.draw(WALL, result_of(boxes, [[1 / 8] * 8] * 9)).shape == WALL.shape
    assert pyfer.draw(WALL, result_of([], [])).shape == WALL.shape


def test_the_number_of_a_person_is_on_the_label() -> None:
    one, two = (
        pyfer.draw(WALL, result_of([BOX], [[1 / 8] * 8], track=np.array([number]))) for number in (1, 2)
    )
    changed = (one != two).any(2)
    x0, y0, x1, y1 = corners_of(changed)
    assert BOX[0] <= x0 < x1 < BOX[0] + 20
    assert BOX[1] - 30 < y0 < y1 < BOX[1]


def test_the_line_below_a_label_is_made_of_the_shares() -> None:
    p = np.zeros(8)
    p[[BASIC.index("happiness"), BASIC.index("anger")]] = 0.75, 0.25
    row = pyfer.draw(WALL, result_of([BOX], [p.tolist()]))[BOX[1] - 2]
    lengths = [int((row == COLORS[name]).all(1).sum()) for name in ("happiness", "anger")]
    assert sum(lengths) == pytest.approx(BOX[2] - BOX[0], abs=3)
    assert lengths[0] == pytest.approx(3 * lengths[1], abs=3)


@pytest.mark.parametrize("box", [(0, 0, 80, 90), (600, 330, 640, 360), (-20, -9, 30, 20), (0, 0, 640, 360)])
def test_marks_stay_in_the_frame(box: tuple[int, int, int, int]) -> None:
    marks = marked(box, [1 / 8] * 8)
    x0, y0, x1, y1 = corners_of(marks)
    assert x1 - x0 >= 50  # a label of full width
    assert y1 - y0 >= 20


# --- the public function, with the real detector ----------------------------------------------------------


def test_watch_with_everything_real(tiny: Path, tmp_path: Path) -> None:
    film = astronaut_film(tmp_path / "film.mp4", seconds=0.6)
    settings = Watching(span=Span(every=3, start=0.1))
    frames = list(pyfer.watch(film, model=tiny, settings=settings, classes=["anger", "fear"]))
    assert [frame.index for frame in frames] == [3, 6, 9, 12]
    assert all(frame.result.labels == ("anger", "fear") for frame in frames)
    assert [len(frame.result) for frame in frames] == [1] * 4
    marked = pyfer.draw(frames[0].image, frames[0].result)
    assert marked.shape == (480, 640, 3)  # a small film is enlarged


@pytest.mark.parametrize("name", ["single_face.mp4", "vfr.mp4", "no_face.mp4"])
def test_sample_films(name: str, tiny: Path) -> None:
    if not (FILMS / name).exists():
        pytest.skip("the sample films are not beside the repository")
    settings = Watching(span=Span(every=4))
    with pyfer.watch(FILMS / name, model=tiny, settings=settings) as watch:
        frames = list(watch)
    assert watch.ending.status == "ok"
    assert len(watch.people) == (name != "no_face.mp4")
    for before, after in itertools.pairwise(frames):
        assert before.time < after.time
    assert len(frames) > 15
