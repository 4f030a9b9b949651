"""Emotions over time: formulas with arrows, and finding them in a film's segments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfer.emotions import BASIC, Emotion
from pyfer.errors import ArgumentError
from pyfer.segments import Segment
from pyfer.successions import (
    WITHIN,
    Finder,
    Succession,
    formula_over_time,
    is_succession,
    parse_succession,
    steps_in,
)

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
AWE = Emotion("Awe", "fear + surprise", aliases=("wonder",))
KNOWN = {"awe": AWE, "wonder": AWE}
RELIEF = Succession("relief", "fear -> happiness within 2 s")
MOVING = [name for name in BASIC if name != "neutral"]


# --- formulas --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "steps", "within"),
    [
        ("surprise -> happiness within 2 s", ("surprise", "happiness"), 2),
        ("surprise->happiness", ("surprise", "happiness"), WITHIN),
        ("  Scared  ->  JOY within 500ms ", ("fear", "happiness"), 0.5),
        ("fear -> surprise -> happiness within 5 s", ("fear", "surprise", "happiness"), 5),
        ("fear -> joy -> fear within .5s", ("fear", "happiness", "fear"), 0.5),
        ("fear -> wonder within 1e1 s", ("fear", "Awe"), 10),
        ("AWE -> anger within 2. s", ("Awe", "anger"), 2),
    ],
)
def test_what_a_formula_says(formula: str, steps: tuple[str, ...], within: float) -> None:
    assert parse_succession(formula, KNOWN) == (steps, within)
    assert is_succession(formula)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "formula='' must be a text such as 'fear -> happiness within 2 s'"),
        (3, "formula=3 must be a text"),
        ("fear", "formula='fear': it has no '->' between two emotions"),
        ("fear - > joy", "it has no '->'"),
        ("fear + surprise", "it has no '->'"),
        ("-> joy", "it begins with '->'"),
        ("fear ->", "there is no emotion after the last '->'"),
        ("fear -> within 2 s", "there is no emotion after the last '->'"),
        ("fear -> -> joy", "two '->' stand in a row"),
        ("fear -> joy within", "'within' has no number after it; write 'within 2 s' or 'within 500 ms'"),
        ("fear -> joy within s", "'s' after 'within' is no time; write 'within 2 s'"),
        ("fear -> joy within two s", "'two s' after 'within' is no time"),
        ("fear -> joy within -2 s", "'-2 s' after 'within' is no time"),
        ("fear -> joy within 2", "the unit of 2 is missing; write 'within 2 s'"),
        ("fear -> joy within 2 min", "the unit 'min' is not known; write 'within 2 s'"),
        ("fear -> joy within 2,5 s", "'2,5 s' after 'within': a decimal number has a point"),
        ("fear -> joy within 0 s", "within=0 s must be finite and above 0"),
        ("fear -> joy within 1e999 s", "within=1e999 s must be finite and above 0"),
        (
            "fear within 2 s -> joy",
            "'fear within 2 s' is not known; 'within' comes once, after the last step",
        ),
        ("fear -> joy 2 s", "'joy 2 s' is not known; is 'within' missing before the time?"),
        (
            "fear + anger -> joy",
            r"the step 'fear \+ anger' must be .* give a mixture a name of its own first",
        ),
        ("fear -> anger > joy", "the step 'anger > joy' must be the name of one emotion"),
        ("fear --> joy", "the step 'fear -' must be the name of one emotion"),
        ("2 fear -> joy", "the step '2 fear' must be"),
        ("fear -> calm", "'calm' can be no step: neutral is what lies between emotions"),
        ("joy -> happiness", "'happiness' follows itself"),
        ("awe -> wonder -> joy", "'Awe' follows itself"),
        ("suprise -> joy", r"'suprise' is not known; did you mean 'surprise'\? \(known: happiness, .*, awe"),
        ("fear -> awee", "'awee' is not known; did you mean 'awe'"),
        ("fear -> happyy", r"did you mean 'happy'\?"),
    ],
)
def test_formulas_that_cannot_be_read(formula: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason) as caught:
        parse_succession(formula, KNOWN)
    assert repr(formula) in str(caught.value)


def test_a_mixture_is_no_succession() -> None:
    for formula in ("fear > joy", "fear - joy", "fear - 0.5 joy > anger", None, 3):
        assert not is_succession(formula)


def test_the_steps_of_a_formula_are_read_even_from_a_wrong_one() -> None:
    assert steps_in("A -> b c->d within 2 s") == ("A", "b c", "d")
    assert steps_in("-> x -> within") == ("", "x", "")
    assert steps_in("fear -> peace within within 2 s") == ("fear", "peace")


@QUICK
@given(
    st.lists(st.sampled_from([*MOVING, "Awe"]), min_size=2, max_size=5),
    st.floats(1e-6, 1e6) | st.integers(1, 60),
)
def test_a_written_formula_is_read_back(steps: list[str], within: float) -> None:
    if any(a == b for a, b in pairwise(steps)):
        return
    text = formula_over_time(steps, within)
    assert parse_succession(text, KNOWN) == (tuple(steps), within)
    assert steps_in(text) == tuple(steps)


# --- successions -----------------------------------------------------------------------------------------


def test_a_succession() -> None:
    one = Succession("  my  relief ", " scared ->  joy ", ["phew"], "Ann", "a note")  # type: ignore[arg-type]
    assert (one.name, one.formula, one.aliases, one.source, one.note) == (
        *("my relief", "scared -> joy", ("phew",), "Ann", "a note"),
    )
    assert (one.names, one.steps, one.within) == (("my relief", "phew"), ("fear", "happiness"), WITHIN)
    assert one == replace(one)
    assert hash(one) == hash(replace(one))
    assert formula_over_time(RELIEF.steps, RELIEF.within) == RELIEF.formula


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (("joy", "fear -> anger"), "^emotion 'joy': the name 'joy' is that of the basic emotion happiness"),
        (("x", "fear -> anger", ("sad",)), "the name 'sad' is that of the basic emotion sadness"),
        (("x", "fear -> anger", ("y", "X")), "^emotion 'x': the name 'X' is there twice"),
        (("x", "fear -> anger", "y"), "aliases='y' must be a tuple"),
        (("x", "fear -> anger", ("1",)), "alias='1' must begin with a letter"),
        (("uncertain", "fear -> anger"), "choose another name"),
        (("x -> y", "fear -> anger"), "'>' cannot be in it"),
        (("x", 3), "^emotion 'x': formula=3 must be a text"),
        (("x", "fear -> anger", (), 3), "source=3 must be a text"),
        (("x", "fear -> anger", (), "", "\ud800"), "note=.* must be text that UTF-8 can write"),
        (("x", "fear -> awe"), "^emotion 'x': formula='fear -> awe': 'awe' is not known"),
    ],
)
def test_successions_that_cannot_be(values: tuple[object, ...], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        Succession(*values)  # type: ignore[arg-type]


def test_steps_that_a_recogniser_lacks() -> None:
    one = Succession("x", "fear -> awe -> joy -> awe", known=KNOWN)
    assert one.lacking(["awe", "happiness"]) == ("fear",)
    assert one.lacking(["fear", "happiness"]) == ("Awe",)
    assert one.lacking((*BASIC, "AWE")) == ()


# --- finding them ----------------------------------------------------------------------------------------


def film(*parts: tuple[str, float, float], track: int = 1) -> list[Segment]:
    """Return segments from (emotion, onset, offset)."""
    return [Segment(track, emotion, a, (a + b) / 2, b, 0.5) for emotion, a, b in parts]


def found(segments: Sequence[Segment], *successions: Succession) -> list[tuple[str, float, float]]:
    return [(s.emotion, s.onset, s.offset) for s in Finder(successions or [RELIEF]).add(segments)]


def test_what_is_found() -> None:
    first, second = film(("fear", 1, 2), ("happiness", 3, 5))
    finder = Finder([RELIEF])
    assert finder.add([replace(first, intensity=0.9)]) == []
    (one,) = finder.add([replace(second, intensity=0.4)])
    assert one == Segment(1, "relief", 1, 4, 5, one.intensity)
    assert one.intensity == pytest.approx(0.6)
    assert finder.add([]) == []


@pytest.mark.parametrize(
    ("parts", "n"),
    [
        ([("happiness", 1, 2), ("fear", 3, 5)], 0),  # the order counts
        ([("fear", 1, 2), ("happiness", 4, 5)], 1),
        ([("fear", 1, 2), ("happiness", 4.01, 5)], 0),  # too late
        ([("fear", 1, 9), ("happiness", 9, 9.5)], 1),  # only the pause counts, not how long a step is
        ([("fear", 1, 2), ("happiness", 1.5, 3)], 0),  # at the same time
        ([("fear", 1, 2), ("anger", 2.1, 2.3), ("happiness", 2.4, 3)], 0),  # another story
        ([("fear", 1, 2), ("fear", 2.5, 3), ("happiness", 3, 4)], 1),
        ([("fear", 1, 2), ("happiness", 3, 4), ("happiness", 5, 6)], 1),
        ([("fear", 1, 2), ("happiness", 3, 4), ("fear", 5, 6), ("happiness", 6, 7)], 2),
    ],
)
def test_order_pauses_and_what_lies_between(parts: list[tuple[str, float, float]], n: int) -> None:
    assert len(found(film(*parts))) == n


def test_three_steps_each_within_the_time_after_the_one_before() -> None:
    three = Succession("phew", "fear -> surprise -> happiness within 1 s")
    parts = [("fear", 0, 1), ("surprise", 2, 3), ("happiness", 4, 5)]
    assert found(film(*parts), three) == [("phew", 0, 5)]
    late = [("fear", 0, 1), ("surprise", 2.1, 3), ("happiness", 4, 5)]
    assert found(film(*late), three) == []
    assert found(film(*parts[1:]), three) == []
    (one,) = Finder([three]).add(
        [replace(s, intensity=x) for s, x in zip(film(*parts), (1, 0.5, 0.25), strict=True)]
    )
    assert one.intensity == pytest.approx(0.5)


def test_several_are_found_at_once_and_a_segment_may_serve_twice() -> None:
    joyride = Succession("joyride", "awe -> joy -> awe", known=KNOWN)
    after = Succession("after", "happiness -> awe", known=KNOWN)
    parts = [("awe", 0, 1), ("happiness", 1, 2), ("AWE", 2, 3), ("happiness", 3, 4), ("awe", 4, 5)]
    assert found(film(*parts), joyride, after) == [
        *(("joyride", 0, 3), ("after", 1, 3), ("joyride", 2, 5), ("after", 3, 5)),
    ]


def test_everybody_has_a_story_of_their_own() -> None:
    a, b = film(("fear", 1, 2), track=1), film(("happiness", 2, 3), track=2)
    assert found([*a, *b]) == []
    assert found([*a, *b, *film(("happiness", 3, 4), track=1)]) == [("relief", 1, 4)]


def test_who_has_left_is_forgotten() -> None:
    finder = Finder([RELIEF])
    both = [*film(("fear", 1, 2), track=1), *film(("fear", 1, 2), track=2)]
    then = [*film(("happiness", 3, 4), track=1), *film(("happiness", 3, 4), track=2)]
    finder.add(both)
    finder.finish([1, 99])
    assert [s.track for s in finder.add(then)] == [2]
    finder.add(both)
    finder.finish()
    assert finder.add(then) == []
    for track in range(1300):
        finder.add(film(*[("fear", k, k + 1) for k in range(3)], track=track))
        if track == 600:
            finder.add(film(("fear", 4, 5), track=0))
    assert len(finder._last) <= 1000
    then = [*film(("happiness", 6, 7), track=0), *film(("happiness", 3, 4), track=1)]
    assert [s.track for s in finder.add(then)] == [0]  # seen again in between, the other was not
    assert max(map(len, finder._last.values())) == 2


def test_a_finder_of_nothing() -> None:
    assert Finder([]).add(film(("fear", 1, 2), ("happiness", 3, 4))) == []
    with pytest.raises(ArgumentError, match=re.escape("successions holds 'relief', must hold")):
        Finder(["relief"])  # type: ignore[list-item]


@st.composite
def stories(draw: st.DrawFn) -> list[Segment]:
    """Draw segments of two people in order."""
    told = []
    for track in (1, 2):
        time = 0.0
        for _ in range(draw(st.integers(0, 8))):
            start = time + draw(st.sampled_from([0.0, 0.5, 2.5]))
            time = start + draw(st.sampled_from([0.2, 1.0]))
            told.append(
                Segment(track, draw(st.sampled_from(MOVING[:3])), start, start, time, draw(st.floats(0, 1)))
            )
    return sorted(told, key=lambda s: s.offset)


@QUICK
@given(stories(), st.integers(0, 16))
def test_order_counts_and_chunks_do_not(story: list[Segment], cut: int) -> None:
    pair = Succession("pair", "happiness -> surprise within 2 s")
    back = Succession("back", "surprise -> happiness within 2 s")
    whole = Finder([pair, back]).add(story)
    finder = Finder([pair, back])
    assert finder.add(story[:cut]) + finder.add(story[cut:]) == whole
    count = 0
    for track in (1, 2):
        mine = [s for s in story if s.track == track]
        for a, b in pairwise(mine):
            name = {("happiness", "surprise"): "pair", ("surprise", "happiness"): "back"}.get(
                (a.emotion, b.emotion)
            )
            if name and b.onset - a.offset <= 2:
                count += 1
                assert any(
                    (s.emotion, s.track, s.onset, s.offset) == (name, track, a.onset, b.offset) for s in whole
                )
    assert count == len(whole)
    turned = [replace(s, onset=-s.offset, offset=-s.onset, apex=-s.apex) for s in reversed(story)]
    turned.sort(key=lambda s: s.offset)
    swapped = {"pair": "back", "back": "pair"}
    expected = sorted((swapped[s.emotion], s.track, -s.offset, -s.onset) for s in whole)
    assert (
        sorted((s.emotion, s.track, s.onset, s.offset) for s in Finder([pair, back]).add(turned)) == expected
    )
