"""When emotions begin and end: short ones, interruptions, noise, people who leave, irregular times."""

from __future__ import annotations

import copy
import time as clock
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyfer.emotions import NONE
from pyfer.errors import ArgumentError
from pyfer.segments import Segment, Segmentation, Segmenter

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
NAMES = ("neutral", "happiness", "surprise", NONE)
LETTERS = {"n": 0, "h": 1, "s": 2, "0": 3}
RATE = 25
PLAIN = Segmentation(margin=1)


def rows(word: str, sure: float = 0.7) -> NDArray[np.float64]:
    """Return probabilities (n, 4): a letter a frame says which answer is the most probable."""
    p = np.full((len(word), 4), (1 - sure) / 3)
    p[range(len(word)), [LETTERS[letter] for letter in word]] = sure
    return p


def run(
    p: NDArray[np.float64],
    options: Segmentation | None = None,
    times: Sequence[float] | None = None,
    seen: Sequence[bool] | None = None,
    names: Sequence[str] = NAMES,
) -> list[Segment]:
    """Return the segments of one person, number 7, who is in the frames that are `seen`."""
    segmenter = Segmenter(names, options)
    found = []
    for k, row in enumerate(p):
        here = seen is None or seen[k]
        time = k / RATE if times is None else times[k]
        found += segmenter.add(time, np.array([7] if here else [], int), row[None][: int(here)])
    return found + segmenter.finish()


def told(segments: list[Segment]) -> list[tuple[str, int, int]]:
    """Return emotion, first and last frame of segments of a film of `RATE` frames a second."""
    return [(s.emotion[0], round(s.onset * RATE), round(s.offset * RATE)) for s in segments]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("nnnhhhhhhhhnnnnnnnn", [("h", 3, 10)]),
        ("nnnhhhhhnnnnnnnn", []),  # five frames at 25 a second last 0.16 s
        ("nnnhhhhhhnnnnnnnn", [("h", 3, 8)]),
        ("000hhhhhh00000000", [("h", 3, 8)]),  # "none of these" is rest as well
        ("nhhhhhhnnnnhhhhhhn", [("h", 1, 16)]),  # an interruption of 0.2 s
        ("nhhhhhhnnnnnhhhhhhn", [("h", 1, 6), ("h", 12, 17)]),
        ("hhhhhhssssssshhhhhh", [("h", 0, 5), ("s", 6, 12), ("h", 13, 18)]),
        ("hhhhhhssshhhhhhnn", [("h", 0, 14)]),
        ("hhhhhhssnnsshhhhhhh", [("h", 0, 5), ("h", 12, 18)]),  # nobody wins the 0.28 s between
        ("hhhhhhsssnnssssss", [("h", 0, 5), ("s", 6, 16)]),
        ("hnhnhnhnhnhnhnhnhnhnhn", []),  # a flicker is no happiness
        ("nnhhhnhhhhnnnnnnnnn", [("h", 2, 9)]),  # one false frame, and the frames around it count
        ("hhhhhhssshsssshhhhhhh", [("h", 0, 20)]),  # two interruptions do not add up
        ("nhhhhnnnnnnnnnhhhhnnnnnn", []),  # nor do two that are far apart
        ("nnnnnnnnnnnn", []),
        ("hhhhhh", [("h", 0, 5)]),  # still there at the end
        ("nnnnhhh", []),
        ("", []),
    ],
)
def test_onset_and_offset(word: str, expected: list[tuple[str, int, int]]) -> None:
    for options in (None, PLAIN):
        assert told(run(rows(word), options)) == expected


def test_apex_and_intensity() -> None:
    p = rows("nnhhhhhhhhnnnnnnnnn")
    p[5] = [0.1, 0.85, 0.03, 0.02]
    p[10] = [0.96, 0.04, 0, 0]
    (segment,) = run(p)
    assert segment == Segment(7, "happiness", 2 / RATE, 5 / RATE, 9 / RATE, 0.85)


def test_a_still_picture_has_a_segment_only_on_request() -> None:
    assert run(rows("h")) == []
    assert told(run(rows("h"), Segmentation(shortest=0))) == [("h", 0, 0)]
    assert told(run(rows("nhn"), Segmentation(shortest=0, bridge=0))) == [("h", 1, 1)]


def ratios(*values: float) -> NDArray[np.float64]:
    """Return probabilities of happiness and neutral whose ratio is given for each frame."""
    p = np.zeros((len(values), 4))
    p[:, 1] = np.array(values) / (1 + np.array(values))
    p[:, 0] = 1 - p[:, 1]
    return p


def test_an_emotion_that_is_never_clearly_ahead_is_none() -> None:
    hardly, clearly = [0.5] * 3 + [1.4] * 10 + [0.5] * 8, [0.5] * 3 + [1.4] * 9 + [1.6] + [0.5] * 8
    assert run(ratios(*hardly)) == []
    assert told(run(ratios(*hardly), PLAIN)) == [("h", 3, 12)]
    assert told(run(ratios(*clearly))) == [("h", 3, 12)]  # dated to when it came to be the most probable


def test_an_emotion_that_is_hardly_behind_goes_on() -> None:
    p = ratios(*[2.0] * 8, *[0.8] * 10, *[2.0] * 8, *[0.8] * 10, *[0.5] * 2)
    assert told(run(p)) == [("h", 0, 25)]  # it ends where it was last ahead
    assert told(run(p, PLAIN)) == [("h", 0, 7), ("h", 18, 25)]


def test_noise_at_the_border_does_not_break_a_segment() -> None:
    noise = np.random.default_rng(0).normal(0, 0.12, 400)
    level = np.repeat([-1.5, 1.0, 0.0, 1.0, -1.5], 80)  # log ratio: neutral, happy, undecided, happy, neutral
    p = ratios(*np.exp(level + noise))
    (segment,) = run(p, Segmentation(bridge=0))
    assert told([segment]) == [("h", 80, 319)]
    assert len(run(p, Segmentation(bridge=0, margin=1, shortest=0))) > 10


def test_two_emotions_that_are_hard_to_tell_apart_do_not_hide_each_other() -> None:
    p = np.tile([0.1, 0.44, 0.46, 0.0], (40, 1))
    p[::3, 1:3] = [0.46, 0.44]
    (segment,) = run(p)
    assert (segment.emotion, segment.onset) == ("surprise", 1 / RATE)


def test_an_emotion_follows_another_only_when_it_is_clearly_ahead_of_it() -> None:
    hardly, clearly = [0.1, 0.44, 0.46, 0.0], [0.1, 0.35, 0.55, 0.0]
    p = np.array([[0.1, 0.8, 0.1, 0.0]] * 10 + [hardly] * 20)
    assert told(run(p)) == [("h", 0, 9)]
    assert told(run(np.array([*p, clearly]))) == [("h", 0, 9), ("s", 10, 30)]


def test_who_is_gone_for_long_begins_anew() -> None:
    here = [True] * 10 + [False] * 4 + [True] * 10 + [False] * 5 + [True] * 10
    assert told(run(rows("h" * 39), seen=here)) == [("h", 0, 23), ("h", 29, 38)]


def test_a_segment_is_told_as_soon_as_it_is_known_to_be_over() -> None:
    segmenter = Segmenter(NAMES)
    word = "hhhhhhnnnnnnnn"
    ended = [k for k, row in enumerate(rows(word)) if segmenter.add(k / RATE, np.array([1]), row[None])]
    assert ended == [11]  # last at 5; from 6 on it is not there, at 11 for more than 0.2 s
    for k in range(6):
        assert segmenter.add(1 + k / RATE, np.array([1]), rows("h")) == []
    nobody = [k for k in range(6, 20) if segmenter.add(1 + k / RATE, np.array([], int), np.zeros((0, 4)))]
    assert nobody == [11]


def test_a_film_of_few_and_irregular_frames() -> None:
    assert told(run(rows("nhhhnn"), times=range(6))) == [("h", 25, 75)]
    assert run(rows("nhnhnh"), times=range(6)) == []
    times = [0, 0.5, 0.51, 0.52, 0.75, 0.76, 1.4, 1.41]
    (segment,) = run(rows("nhhhhnnn"), times=times)
    assert (segment.onset, segment.offset) == (0.5, 0.75)
    assert told(run(rows("hhh"), times=[1, 1, 1.2])) == [("h", 25, 30)]  # two frames may have one time


def test_neutral_may_have_segments_too() -> None:
    options = Segmentation(rest=(NONE,))
    assert told(run(rows("nnnnnnnhhhhhhhhhnnnnnnn"), options)) == [("n", 0, 6), ("h", 7, 15), ("n", 16, 22)]


def test_finish_closes_some_or_all() -> None:
    segmenter = Segmenter(NAMES)
    for k in range(8):
        assert segmenter.add(k / RATE, np.array([3, 1, 2]), rows("hsn")) == []
    first = segmenter.finish([1, 99])
    assert [(s.track, s.emotion) for s in first] == [(1, "surprise")]
    assert [(s.track, s.emotion) for s in segmenter.finish()] == [(3, "happiness")]
    assert segmenter.finish() == []


def test_memory_is_that_of_who_is_there() -> None:
    segmenter = Segmenter(NAMES)
    for k in range(3000):
        segmenter.add(k / RATE, np.array([k]), rows("h"))
    assert len(segmenter._people) <= 6
    assert all(len(person.runs) <= len(NAMES) for person in segmenter._people.values())


def test_a_face_costs_little() -> None:
    segmenter = Segmenter([f"e{k}" for k in range(30)])
    p = np.random.default_rng(0).dirichlet(np.ones(30), (200, 20))
    start = clock.perf_counter()
    for k in range(200):
        segmenter.add(k / RATE, np.arange(20), p[k])
    assert (clock.perf_counter() - start) / 4000 < 0.0005  # ten times what it needs here


# --- whatever comes --------------------------------------------------------------------------------------


@st.composite
def films(draw: st.DrawFn) -> tuple[list[float], NDArray[np.float64], list[list[bool]], Segmentation]:
    """Draw times, probabilities (frames, 2 people, 4), who is there, and settings."""
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    steps = rng.choice([0.0, 0.02, 0.04, 0.3], n, p=[0.05, 0.35, 0.5, 0.1])
    logits = rng.normal(0, draw(st.floats(0.1, 4)), (n, 2, 4)).repeat(draw(st.integers(1, 9)), 0)[:n]
    p = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    there = (rng.random((n, 2)) < draw(st.sampled_from([1, 0.9, 0.5]))).tolist()
    number = st.sampled_from([0.0, 0.04, 0.1, 0.2, 0.5])
    return (
        np.cumsum(steps).tolist(),
        p,
        there,
        Segmentation(draw(number), draw(number), draw(st.sampled_from([1.0, 1.5, 3.0]))),
    )


def played(
    segmenter: Segmenter, times: list[float], p: NDArray[np.float64], there: list[list[bool]]
) -> list[Segment]:
    found = []
    for time, row, here in zip(times, p, there, strict=True):
        found += segmenter.add(time, np.flatnonzero(here), row[np.flatnonzero(here)])
    return found


@QUICK
@given(films())
def test_segments_of_a_person_are_in_order_and_apart(
    film: tuple[list[float], NDArray[np.float64], list[list[bool]], Segmentation],
) -> None:
    times, p, there, options = film
    segmenter = Segmenter(NAMES, options)
    found = played(segmenter, times, p, there) + segmenter.finish()
    for person in (0, 1):
        mine = [s for s in found if s.track == person]
        at = {
            (t, e): v[k]
            for t, row in zip(times, p, strict=True)
            for v in row[[person]]
            for k, e in enumerate(NAMES)
        }
        for s in mine:
            assert s.emotion in ("happiness", "surprise")
            assert s.onset <= s.apex <= s.offset
            assert s.offset - s.onset >= options.shortest - 1e-9
            assert {s.onset, s.apex, s.offset} <= {*times}
            assert 0.25 < s.intensity <= 1
            if len({*times}) == len(times):
                assert s.intensity == at[s.apex, s.emotion]
        for one, other in pairwise(mine):
            assert one.offset <= other.onset
            if one.emotion == other.emotion:
                assert other.onset - one.offset > 0


@QUICK
@given(films(), st.integers(0, 60))
def test_nothing_depends_on_where_a_film_is_cut_or_on_others(
    film: tuple[list[float], NDArray[np.float64], list[list[bool]], Segmentation], cut: int
) -> None:
    times, p, there, options = film
    whole = Segmenter(NAMES, options)
    expected = played(whole, times, p, there) + whole.finish()
    first = Segmenter(NAMES, options)
    found = played(first, times[:cut], p[:cut], there[:cut])
    second = copy.deepcopy(first)
    first.finish()
    found += played(second, times[cut:], p[cut:], there[cut:]) + second.finish()
    assert found == expected
    alone = Segmenter(NAMES, options)
    of_one = played(alone, times, p, [[here[0], False] for here in there]) + alone.finish()
    assert of_one == [s for s in expected if s.track == 0]


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shortest": -1}, "segmentation: shortest=-1 must be seconds, 0 or more"),
        ({"bridge": float("nan")}, "bridge=nan must be seconds"),
        ({"bridge": "1"}, "bridge='1' must be seconds"),
        ({"shortest": True}, "shortest=True must be"),
        ({"margin": 0.5}, "margin=0.5 must be a ratio, 1 or more"),
        ({"rest": "neutral"}, "rest='neutral' must be a tuple of names"),
        ({"rest": (1,)}, "must be a tuple of names"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        Segmentation(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [(), ("joy", "joy")])
def test_names_that_cannot_be(names: tuple[str, ...]) -> None:
    with pytest.raises(ArgumentError, match="must be one or more different names"):
        Segmenter(names)


@pytest.mark.parametrize(
    ("time", "track", "p", "reason"),
    [
        (0.9, [1], rows("h"), r"time=0.9 must be seconds, not before 1.0"),
        (float("nan"), [1], rows("h"), "time=nan must be seconds"),
        (1, [1, 2], rows("h"), r"p of shape \(1, 4\) must be \(2, 4\): a row a track"),
        (1, [1], rows("h")[:, :3], r"\(1, 3\) must be \(1, 4\)"),
        (1, 1, rows("h"), "a row a track"),
        (1, [1, 1], rows("hh"), r"track=\[1, 1\] must name each person"),
        (1, [1], rows("h") * np.nan, "p holds what is no number"),
    ],
)
def test_frames_that_cannot_be(time: float, track: object, p: NDArray[np.float64], reason: str) -> None:
    segmenter = Segmenter(NAMES)
    segmenter.add(1.0, np.array([1]), rows("h"))
    with pytest.raises(ArgumentError, match=reason):
        segmenter.add(time, np.array(track), p)
