"""Names of emotions, formulas, and emotions as points: what can be said, and helpful errors for the rest."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfer.emotions import (
    ALIASES,
    BASIC,
    DOMINANCE,
    NONE,
    UNCERTAIN,
    Emotion,
    Examples,
    canonical,
    formula_of,
    names_in,
    parse_formula,
    percent,
)
from pyfer.errors import ArgumentError

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def test_the_eight_in_the_order_of_ferplus() -> None:
    expected = "neutral happiness surprise sadness anger disgust fear contempt"
    assert " ".join(BASIC) == expected


def test_every_alias_leads_to_a_basic_emotion_and_hides_none() -> None:
    assert set(ALIASES.values()) == set(BASIC)
    assert not set(ALIASES) & set(BASIC)


@pytest.mark.parametrize(
    ("word", "name"),
    [("fear", "fear"), (" Happy ", "happiness"), ("SURPRISED", "surprise"), ("calm", "neutral")],
)
def test_canonical(word: str, name: str) -> None:
    assert canonical(word) == name


def test_known_names_of_a_model_count_not_only_the_basic_ones() -> None:
    assert canonical("Boredom", ("boredom", "anger")) == "boredom"
    assert canonical("angry", ("boredom", "anger")) == "anger"
    for lacking in ("fear", "afraid"):
        with pytest.raises(ArgumentError, match=rf"'{lacking}' is not known.*known: boredom, anger"):
            canonical(lacking, ("boredom", "anger"))


@pytest.mark.parametrize(
    ("word", "hint"), [("suprise", "surprise"), ("hapy", "happy"), ("disgusst", "disgust")]
)
def test_unknown_words_get_the_nearest_one(word: str, hint: str) -> None:
    with pytest.raises(ArgumentError, match=rf"emotion='{word}' is not known; did you mean '{hint}'\?"):
        canonical(word)


def test_an_alias_of_what_the_model_lacks_is_no_hint() -> None:
    with pytest.raises(ArgumentError) as caught:
        canonical("hapy", ("anger", "fear"))
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("word", ["", "   ", None, 3, ["fear"]])
def test_what_is_no_name_is_refused(word: object) -> None:
    with pytest.raises(ArgumentError, match="emotion="):
        canonical(word)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100%"), (0.9972, ">99%"), (0.99, "99%"), (0.5, "50%"), (0.0, "0%")]
)
def test_what_is_not_quite_certain_never_reads_as_certain(share, text):
    assert percent(share) == text


# --- formulas --------------------------------------------------------------------------------------------


def weights(formula: str, known: Mapping[str, Emotion] | None = None) -> dict[str, float]:
    """Return the point of a formula without its zeros."""
    point, _ = parse_formula(formula, known)
    return {name: weight for name, weight in zip(BASIC, point, strict=True) if weight}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("fear", {"fear": 1}),
        ("Joy", {"happiness": 1}),
        ("fear + surprise", {"fear": 1 / 2, "surprise": 1 / 2}),
        ("2 fear + surprise", {"fear": 2 / 3, "surprise": 1 / 3}),
        ("fear+2surprise", {"fear": 1 / 3, "surprise": 2 / 3}),
        ("0.7*disgust + .3 * anger", {"disgust": 0.7, "anger": 0.3}),
        ("70% disgust + 30 % anger", {"disgust": 0.7, "anger": 0.3}),
        ("70% disgust + 0.7 anger", {"disgust": 1 / 2, "anger": 1 / 2}),
        ("2e-1 fear + 2E+0 angry", {"fear": 1 / 11, "anger": 10 / 11}),
        ("fear + afraid + sad", {"fear": 2 / 3, "sadness": 1 / 3}),
        ("1e308 fear + 1e308 joy", {"fear": 1 / 2, "happiness": 1 / 2}),
        ("disgust > anger", {"disgust": 2 / 3, "anger": 1 / 3}),
        ("fear > anger > sad", {"fear": 4 / 7, "anger": 2 / 7, "sadness": 1 / 7}),
        ("3 fear + anger > 5 sad", {"fear": 1 / 2, "anger": 1 / 6, "sadness": 1 / 3}),
        ("9 disgust > anger", {"disgust": 2 / 3, "anger": 1 / 3}),
    ],
)
def test_what_a_formula_says(formula: str, expected: dict[str, float]) -> None:
    assert weights(formula) == pytest.approx(expected)
    assert parse_formula(formula)[1] == (0.0,) * 8


@pytest.mark.parametrize(
    ("formula", "point", "against"),
    [
        ("surprise - 0.5 fear", {"surprise": 1}, {"fear": 0.5}),
        ("surprise + joy - fear", {"surprise": 0.5, "happiness": 0.5}, {"fear": 0.5}),
        ("2 fear + joy - fear", {"fear": 0.5, "happiness": 0.5}, {}),
        ("surprise -fear", {"surprise": 1}, {"fear": 1}),
        ("surprise- fear", {"surprise": 1}, {"fear": 1}),
        (
            "joy - sad > fear - 4 anger",
            {"happiness": 2 / 3, "fear": 1 / 3},
            {"sadness": 2 / 3, "anger": 4 / 3},
        ),
        ("0.1 fear + 0.2 fear - 0.3 fear + joy", {"happiness": 1}, {}),
    ],
)
def test_what_is_subtracted_beyond_what_is_there_counts_against(
    formula: str, point: dict[str, float], against: dict[str, float]
) -> None:
    found = parse_formula(formula)
    for vector, expected in zip(found, (point, against), strict=True):
        assert {n: w for n, w in zip(BASIC, vector, strict=True) if w} == pytest.approx(expected)


def test_dominance_is_two_to_one() -> None:
    assert DOMINANCE == 2
    assert weights("disgust > anger")["disgust"] / weights("disgust > anger")["anger"] == pytest.approx(2)


def test_formulas_can_name_other_emotions() -> None:
    awe = Emotion("Awe", "fear + surprise - sad")
    dread = Emotion("self-conscious dread", "fear > sad")
    known = {"awe": awe, "Self-Conscious  Dread": dread}
    assert weights("AWE + anger", known) == pytest.approx({"fear": 1 / 4, "surprise": 1 / 4, "anger": 1 / 2})
    assert weights("3 self-conscious dread + 3 anger", known)["sadness"] == pytest.approx(1 / 6)
    assert parse_formula("awe + anger", known)[1] == (0.0,) * 8  # its point takes part, nothing else of it
    assert names_in("Awe - 2 self-conscious dread > joy") == ("Awe", "self-conscious dread", "joy")


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", r"formula='' must be a text such as 'fear \+ 2 surprise'"),
        (" ", "must be a text such as"),
        (3, "formula=3 must be a text"),
        ("fear + suprise", r"'suprise' is not known; did you mean 'surprise'\? \(known: neutral, happ"),
        ("fear + aweful", r"'aweful' is not known; did you mean 'awe'\? .*contempt, awe\)"),
        ("angr + fear", r"'angr' is not known; did you mean 'anger'\?"),
        ("fear joy", r"'fear joy' is not known; is a '\+' missing\?"),
        ("fear-joy", "'fear-joy' is not known; to subtract, write spaces around '-'"),
        ("0 fear", "weight=0 of 'fear' must be finite and above 0"),
        ("fear + 0.0 joy", "weight=0.0 of 'joy' must be finite and above 0"),
        ("1e999 fear", "weight=1e999 of 'fear' must be finite"),
        ("-2 fear", "begins with '-'; weights are above 0, and what is subtracted comes second"),
        ("+ fear", r"it begins with '\+'$"),
        ("> fear", "it begins with '>'$"),
        ("fear + 2", "the weight 2 has no emotion after it"),
        ("2 + fear", "the weight 2 has no emotion after it"),
        ("2 3 fear", "the weight 2 has no emotion after it"),
        ("fear + + joy", r"'\+' and '\+' stand in a row; write one of them"),
        ("fear + -0.5 joy", r"'\+' and '-' stand in a row"),
        ("fear - > joy", "'-' and '>' stand in a row"),
        ("fear +", r"it ends with '\+'"),
        ("fear -", "it ends with '-'"),
        ("fear >", "it ends with '>'"),
        ("fear 0.5 joy", r"'\+', '-' or '>' is missing before '.5 joy'"),
        ("(fear + joy) > anger", "no parentheses: give the inner part a name of its own"),
        ("fear > anger)", "no parentheses: give the inner part a name of its own"),
        ("0,5 fear", "',' is in no formula .*; a decimal number has a point"),
        ("fear < joy", "'<' is in no formula .*; the emotion that dominates comes first"),
        ("awe = fear", "'=' is in no formula .*; the name comes before '='"),
        ("fear & joy", r"'&' is in no formula \('fear \+ 2 surprise' is one\)"),
        ("fear − joy", "'−' is in no formula .*; a minus is written '-'"),
        ("fear * 0.5", r"'\*' is in a wrong place; the weight comes before the name: '0.5 \* fear'"),
        ("fear 50%", "'%' is in a wrong place; the weight comes before the name"),
        ("fear - fear", "nothing is left above 0 after the subtraction"),
        ("joy > 0.1 fear + 0.2 fear - 0.3 fear", "nothing is left above 0"),
    ],
)
def test_what_is_wrong_with_a_formula(formula: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason) as caught:
        parse_formula(formula, {"awe": Emotion("awe", "fear + surprise")})
    assert str(caught.value).startswith(f"formula={formula!r}")


def test_of_many_known_emotions_the_first_are_listed() -> None:
    known = {f"emotion {k}": Emotion(f"emotion {k}", "fear + joy") for k in range(100)}
    with pytest.raises(ArgumentError, match="emotion 23 and 76 more"):
        parse_formula("zzz", known)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("fear", "fear"),
        ("surprise > fear", "0.67 surprise + 0.33 fear"),
        ("5 fear + 4 surprise + neutral", "0.5 fear + 0.4 surprise + 0.1 neutral"),
        ("fear + 0.001 joy", "fear"),
        ("surprise - 0.5 fear - sad", "surprise - 1.0 sadness - 0.5 fear"),
    ],
)
def test_formulas_for_people(formula: str, text: str) -> None:
    assert formula_of(*parse_formula(formula)) == text.replace("1.0 ", "")


@QUICK
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*BASIC, *ALIASES]),
            st.floats(1e-9, 1e9),
            st.sampled_from([" + ", " - ", " > "]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_formula_gives_a_point_in_the_simplex(parts: list[tuple[str, float, str]]) -> None:
    formula = "".join(f"{join}{weight!r} {name}" for name, weight, join in parts)[3:]
    try:
        point, against = parse_formula(formula)
    except ArgumentError:
        assert " - " in formula  # without a subtraction, every such formula can be read
        return
    assert len(point) == len(against) == 8
    assert min(point) >= 0
    assert sum(point) == pytest.approx(1, abs=1e-12)
    assert min(against) >= 0
    assert max(against) < math.inf
    assert all(a == 0 or b == 0 for a, b in zip(point, against, strict=True))


points = (
    st.lists(st.floats(0, 1), min_size=8, max_size=8)
    .filter(lambda values: sum(values) > 0.01)
    .map(lambda values: tuple(value / sum(values) for value in values))
)


@QUICK
@given(points, st.lists(st.floats(0, 3), min_size=8, max_size=8))
def test_a_formula_of_a_point_leads_back_to_it(point: tuple[float, ...], negative: list[float]) -> None:
    assert parse_formula(formula_of(point))[0] == pytest.approx(point, abs=0.03)
    against = tuple(0 if p else n for p, n in zip(point, negative, strict=True))
    back = parse_formula(formula_of(point, against, digits=12))
    assert back[0] == pytest.approx(point, abs=1e-9)
    assert back[1] == pytest.approx(against, abs=1e-9)


# --- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("awe", "awe"),
        ("  Happily \t surprised ", "Happily surprised"),
        ("self-conscious", "self-conscious"),
        ("plutchik's contempt", "plutchik's contempt"),
        ("Schadenfreude 2", "Schadenfreude 2"),
        ("Fernweh_ähnlich", "Fernweh_ähnlich"),
        ("もののあはれ", "もののあはれ"),
        ("हर्ष", "हर्ष"),  # with combining marks
        ("x" * 60, "x" * 60),
    ],
)
def test_names_keep_their_spelling(name: str, kept: str) -> None:
    assert Emotion(name, "fear + joy").name == kept
    assert parse_formula(kept, {kept: Emotion(name, "fear + joy")})[0][1] == 0.5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "'' must be a text that is not empty"),
        ("  ", "must be a text that is not empty"),
        (None, "None must be a text"),
        ("x" * 61, "has 61 characters, at most 60 fit"),
        ("a + b", r"'\+' cannot be in it"),
        ("a > b", "'>' cannot be in it"),
        ("a, b", "',' cannot be in it"),
        ("a = b", "'=' cannot be in it"),
        ("a (b)", r"'\(' cannot be in it"),
        ("a\u200bb", r"'\\u200b' cannot be in it"),
        ("a\x00", "cannot be in it"),
        ("3rd degree", "must begin with a letter"),
        ("'tis", "must begin with a letter"),
        ("_x", "must begin with a letter"),
        ("٣x", "must begin with a letter"),
        ("a - b", "hyphens inside words"),
        ("-a", "must begin with a letter"),
        ("a-", "hyphens inside words"),
        ("None of  these", "is what a reading says of a face"),
        ("UNCERTAIN", "is what a reading says of a face"),
    ],
)
def test_names_that_cannot_be_used(name: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=f"^name=.*{reason}"):
        Emotion(name, "fear + joy")
    with pytest.raises(ArgumentError, match=f"emotion 'awe': alias=.*{reason}"):
        Emotion("awe", "fear + joy", aliases=(name,))


def test_the_reserved_names() -> None:
    assert (NONE, UNCERTAIN) == ("none of these", "uncertain")


@pytest.mark.parametrize("name", ["joy", "Happiness", "HAPPY"])
def test_a_basic_emotion_stays_in_its_corner(name: str) -> None:
    assert Emotion(name).weights == {"happiness": 1}
    assert Emotion(name).prior == Emotion(name).point
    assert Emotion(name, "joyful").weights == {"happiness": 1}
    for formula in ("fear", "0.9 joy + 0.1 fear", "joy - fear"):
        with pytest.raises(
            ArgumentError, match=f"emotion '{name}': the name '{name}' is that of the basic emo"
        ):
            Emotion(name, formula)
        with pytest.raises(ArgumentError, match=f"'{name}' is that of .* happiness, which nothing can move"):
            Emotion("bliss", formula, aliases=(name,))
    with pytest.raises(ArgumentError, match="nothing can move"):
        Emotion(name, examples=examples(point=Emotion("fear").point))


# --- emotions --------------------------------------------------------------------------------------------


def examples(**changes: Any) -> Examples:
    fields: dict[str, Any] = {
        "count": 3,
        "point": (0, 0, 1, 0, 0, 0, 0, 0),
        "model": "base",
        "sha256": "0a" * 32,
    }
    return Examples(**(fields | changes))


def test_an_emotion() -> None:
    awe = Emotion("awe", " fear  + 2 surprise ", aliases=["wonder"], source="me")  # type: ignore[arg-type]
    assert awe.formula == "fear + 2 surprise"
    assert awe.point == pytest.approx((0, 0, 2 / 3, 0, 0, 0, 1 / 3, 0))
    assert awe.prior == awe.point
    assert awe.against == (0.0,) * 8
    assert list(awe.weights.items()) == [
        ("surprise", pytest.approx(2 / 3)),
        ("fear", pytest.approx(1 / 3)),
    ]
    assert awe.names == ("awe", "wonder")
    assert not awe.validated
    assert {awe, Emotion("awe", "fear + 2 surprise", ("wonder",), "me")} == {awe}
    assert eval(repr(awe)) == awe
    with pytest.raises(dataclasses.FrozenInstanceError):
        awe.name = "fright"  # type: ignore[misc]


def test_an_emotion_built_on_another() -> None:
    awe = Emotion("awe", "fear + surprise")
    rage = Emotion("angry awe", "awe + anger", known={"awe": awe})
    assert rage.weights == pytest.approx({"anger": 0.5, "fear": 0.25, "surprise": 0.25})
    assert dataclasses.replace(rage, note="x", known={"awe": awe}).point == rage.point


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"formula": ""}, "emotion 'awe': formula='' must say what it is made of, .*, or give examples"),
        ({"formula": 3}, "formula=3 must be a text"),
        ({"formula": "fear +"}, r"emotion 'awe': formula='fear \+': it ends with"),
        ({"formula": "awe + fear"}, "'awe' is not known"),
        ({"aliases": "wonder"}, "aliases='wonder' must be a tuple of names"),
        ({"aliases": None}, "aliases=None must be a tuple of names"),
        ({"aliases": ("wonder", "Wonder")}, "the name 'Wonder' is there twice"),
        ({"aliases": ("AWE",)}, "the name 'AWE' is there twice"),
        ({"source": None}, "source=None must be a text"),
        ({"note": "\udc80"}, "note=.* must be text that UTF-8 can write"),
        ({"validated": "yes"}, "validated='yes' must be True or False"),
        ({"examples": [1]}, r"examples=\[1\] must be pyfer.emotions.Examples or None"),
    ],
)
def test_what_is_wrong_with_an_emotion(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason) as caught:
        Emotion(**{"name": "awe", "formula": "fear + surprise", **changes})
    assert str(caught.value).startswith("emotion 'awe': ")


def test_examples_move_the_point() -> None:
    emotion = Emotion("glee", "fear + joy - sad", examples=examples())
    assert emotion.weights == {"surprise": 1}
    assert emotion.prior == parse_formula("fear + joy")[0]
    assert emotion.against == parse_formula("fear + joy - sad")[1]


def test_examples_without_a_formula() -> None:
    emotion = Emotion("glee", examples=examples(point=(0, 0.3334, 0.6668, 0, 0, 0, 0, 0)))
    assert emotion.prior is None
    assert sum(emotion.point) == pytest.approx(1, abs=1e-12)
    assert emotion.weights == pytest.approx({"surprise": 2 / 3, "happiness": 1 / 3}, abs=1e-4)


def test_examples_from_a_network() -> None:
    probabilities = np.full(8, 0.125, np.float32)
    found = examples(point=probabilities, count=np.int64(4), sha256="AB" * 32)
    assert found == examples(point=(0.125,) * 8, count=4, sha256="ab" * 32)
    assert {type(v) for v in found.point} == {float}
    assert type(found.count) is int


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"count": 0}, "count=0 must be a whole number, 1 or more"),
        ({"count": 1.5}, "count=1.5 must be a whole number"),
        ({"count": True}, "count=True must be a whole number"),
        ({"point": (1, 0)}, "must be 8 weights of 0 or more with sum 1"),
        ({"point": (0.5,) * 8}, "must be 8 weights of 0 or more with sum 1"),
        ({"point": (0.99, 0, 0, 0, 0, 0, 0, 0)}, "must be 8 weights of 0 or more with sum 1"),
        ({"point": (2, -1, 0, 0, 0, 0, 0, 0)}, "must be 8 weights"),
        ({"point": (math.nan,) * 8}, "must be 8 weights"),
        ({"point": None}, "point=None must be 8 weights"),
        ({"point": "happiness"}, "must be 8 weights"),
        ({"model": " "}, "model=' ' must be the name of a model"),
        ({"model": None}, "model=None must be a text"),
        ({"sha256": "12"}, "sha256='12' must be 64 hexadecimal digits"),
        ({"sha256": 12}, "sha256=12 must be a text"),
    ],
)
def test_what_is_wrong_with_examples(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=f"^examples: .*{reason}"):
        examples(**changes)


def test_definitions_need_no_numpy() -> None:
    code = "import sys, pyfer.emotions as e; e.Emotion('awe', 'fear + joy'); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
