"""Vocabularies: emotions together, definition files with all their errors, catalogues, the user's own."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfer import vocabulary
from pyfer.emotions import ALIASES, BASIC, Emotion, Examples, basic_of, formula_of, parse_formula
from pyfer.errors import ArgumentError
from pyfer.files import home
from pyfer.successions import Succession
from pyfer.vocabulary import Refused, Vocabulary, catalogue, catalogues, define, forget, load, mine

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "emotions.md"
QUICK = settings(max_examples=40, deadline=None, derandomize=True)
AWE = Emotion("awe", "fear + surprise", source="Ann", note="a note")
RAGE = Emotion("rage", "3 anger + disgust")
SHOWN = Examples(5, (0, 0, 0.4, 0, 0, 0, 0.6, 0), "base", "0a" * 32)


def words(*emotions: Emotion | Succession, **options: Any) -> Vocabulary:
    return Vocabulary(emotions, basics=False, **options)


# --- together --------------------------------------------------------------------------------------------


def test_a_vocabulary() -> None:
    two = Vocabulary([AWE, RAGE], name="two")
    assert two.names == (*BASIC, "awe", "rage")
    assert len(two) == 10
    assert [emotion.name for emotion in two] == list(two.names)
    assert two["AWE"] == AWE
    assert two["joyful"].name == "happiness"
    assert two.known["awe"] == AWE
    assert ("Awe" in two, "scared" in two, AWE in two, "dread" in two, 3 in two) == (1, 1, 1, 0, 0)
    assert two == Vocabulary(iter([AWE, RAGE]), name="two")
    assert hash(two) == hash(Vocabulary([AWE, RAGE], name="two"))
    assert two != Vocabulary([RAGE, AWE], name="two")
    assert two != Vocabulary([AWE, RAGE])
    for other in ({"source": "x"}, {"note": "x"}, {"refused": [Refused("love", "no")]}):
        assert two != Vocabulary([AWE, RAGE], name="two", **other)
    assert two != [AWE, RAGE]
    assert words(AWE).names == ("awe",)
    assert "awe" in repr(two)
    assert pickle.loads(pickle.dumps(two)) == two


def test_points_and_what_counts_against_them() -> None:
    two = words(AWE, Emotion("glee", "joy - 0.5 sad"))
    np.testing.assert_array_equal(two.points, [[0, 0, 0.5, 0, 0, 0, 0.5, 0], [0, 1, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(two.against, [[0] * 8, [0, 0, 0, 0.5, 0, 0, 0, 0]])
    assert two.points.dtype == two.against.dtype == np.float64
    np.testing.assert_array_equal(Vocabulary([]).points, np.eye(8))
    with pytest.raises(ValueError, match="read-only"):
        two.points[0, 0] = 1


def test_a_vocabulary_of_nothing() -> None:
    nothing = words()
    assert (len(nothing), nothing.names, nothing.points.shape, nothing.against.shape) == (
        0,
        (),
        (0, 8),
        (0, 8),
    )
    assert nothing.to_toml() == ""
    assert Vocabulary.from_toml("") == nothing
    with pytest.raises(ArgumentError, match=r"emotion='awe' is not in this vocabulary \(it has none\)"):
        nothing["awe"]


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(
        ArgumentError, match=r"'aw' is not in this .*; did you mean 'awe'\? \(it has awe, rage\)"
    ):
        words(AWE, RAGE)["aw"]
    with pytest.raises(ArgumentError, match="emotion=0 must be a name"):
        words(AWE)[0]  # type: ignore[index]


def test_what_is_defined_twice_counts_once() -> None:
    again = Emotion("Awe", "0.5 fear + 0.5 surprise", aliases=("wonder",), source="Bob")
    assert list(words(AWE, again)) == [Emotion("awe", AWE.formula, ("wonder",), "Ann", "a note")]
    bare = Emotion("awe", "surprise + fear")
    assert words(bare, AWE)["awe"].note == "a note"  # where the first says nothing, the second does


def test_a_declared_alias_joins_two_names() -> None:
    joining = Emotion("awe", "fear + surprise", aliases=("wonder",))
    for emotions in ([joining, Emotion("wonder", AWE.formula)], [Emotion("wonder", AWE.formula), joining]):
        (one,) = words(*emotions)
        assert set(one.names) == {"awe", "wonder"}
    wonder, marvel = Emotion("wonder", AWE.formula), Emotion("marvel", AWE.formula)
    between = Emotion("awe", AWE.formula, aliases=("marvel", "wonder"))
    all_three = words(RAGE, wonder, marvel, between)
    assert all_three.names == ("rage", "wonder")
    assert {all_three[name].name for name in ("wonder", "awe", "marvel")} == {"wonder"}


@pytest.mark.parametrize(
    ("emotions", "reason"),
    [
        (
            [AWE, Emotion("AWE", "fear + joy", source="Bob")],
            r"two emotions have the name 'AWE': 'awe' = 0.5 surprise \+ 0.5 fear \(Ann\), and "
            r"'AWE' = 0.5 happiness \+ 0.5 fear \(Bob\); rename one",
        ),
        (
            [RAGE, Emotion("fury", "anger + fear", aliases=("rage",))],
            "two emotions have the name 'rage': 'rage' = .*, and 'fury' =",
        ),
        (
            [
                Emotion("fury", "anger + fear", aliases=("ire",)),
                Emotion("wrath", "anger + sad", aliases=("Ire",)),
            ],
            "two emotions have the name 'Ire': 'fury' = .*, and 'wrath' =",
        ),
        (
            [AWE, RAGE, Emotion("wonder", "2 fear + 2 surprise")],
            r"'awe' = .* \(Ann\) and 'wonder' = .* are two names for one point, which no picture can tell "
            r"apart; keep one, with aliases = \['wonder'\] or \['awe'\]",
        ),
        (
            [Emotion("a", "50.00001% fear + 50% joy"), Emotion("b", "fear + joy")],
            "'a' = .* and 'b' = .* are two names for one point",
        ),
        (
            [Emotion("bliss", "joy")],
            r"'bliss' is the basic emotion happiness under another name; say so with name = 'happiness' and "
            r"aliases = \['bliss'\]",
        ),
        ([AWE, "rage"], "emotions holds 'rage', must hold pyfer.Emotion objects"),
        ("awe", "emotions holds 'a'"),
    ],
)
@pytest.mark.parametrize("basics", [True, False])
def test_emotions_that_do_not_go_together(emotions: list[Emotion], reason: str, basics: bool) -> None:
    with pytest.raises(ArgumentError, match=reason):
        Vocabulary(emotions, basics=basics)


def test_each_clash_is_listed_once() -> None:
    with pytest.raises(ArgumentError, match=r"emotions: 2 problems.*\n  .*'rage'.*\n  .*'wonder'"):
        words(AWE, RAGE, Emotion("rage", "fear + joy"), Emotion("wonder", AWE.formula))
    with pytest.raises(ArgumentError, match="emotions: 5 problems"):
        words(*(Emotion(f"wonder {k}", AWE.formula) for k in range(6)))


def test_what_counts_against_an_emotion_tells_it_from_another() -> None:
    glee = Emotion("glee", "joy - 0.5 sad")
    assert Vocabulary([AWE, Emotion("wonder", "fear + surprise - anger"), glee]).names[-2:] == (
        "wonder",
        "glee",
    )
    with pytest.raises(ArgumentError, match="two names for one point"):
        words(glee, Emotion("mirth", "2 joy - sad"))


def test_a_basic_emotion_under_another_name_is_its_alias() -> None:
    happy = Emotion("happy", source="Du", note="AU 12", validated=True)
    bliss = Emotion("bliss", "joy", aliases=("joyful",))
    for basics in (True, False):
        one = Vocabulary([happy, bliss], basics=basics)
        assert one.names == (BASIC if basics else ("happiness",))
        assert one["bliss"] == Emotion("happiness", "", ("bliss",), "Du", "AU 12", validated=True)


def test_a_formula_that_names_what_is_not_there_is_written_out() -> None:
    grim = Emotion("grim awe", "awe > anger - sad", known={"awe": AWE}, examples=SHOWN, note="kept")
    assert words(AWE, grim)["grim awe"] == grim
    alone = words(grim)["grim awe"]
    assert alone.formula == formula_of(grim.prior or (), grim.against, digits=9)
    assert alone.point == pytest.approx(grim.point, abs=1e-8)
    assert alone.against == pytest.approx(grim.against, abs=1e-8)
    assert any(alone.against)
    assert (alone.note, alone.examples) == ("kept", SHOWN)
    other = words(Emotion("awe", "joy + surprise"), grim)["grim awe"]  # the name means something else there
    assert other == alone


def test_formulas_that_named_each_other_are_written_out() -> None:
    old = Emotion("rage", "2 anger + fear")
    awe = Emotion("awe", "rage + fear", known={"rage": old})
    rage = Emotion("rage", "awe + 4 anger", known={"awe": Emotion("awe", "fear + joy")})
    both = words(awe, rage)
    assert both["awe"].point == pytest.approx(awe.point, abs=1e-8)
    assert both["rage"].point == pytest.approx(rage.point, abs=1e-8)
    assert Vocabulary.from_toml(both.to_toml()) == both


def test_two_vocabularies_together() -> None:
    love = Refused("love", "it needs trust", "joy + trust")
    one = words(AWE, name="one", source="S", note="n", refused=[love, Refused("hope", "it needs trust")])
    two = words(RAGE, Emotion("Love", "joy + surprise"), name="two", source="S", note="m")
    both = one + two
    assert both == words(
        AWE, RAGE, two["love"], name="one + two", source="S", refused=[Refused("hope", "it needs trust")]
    )
    assert (one + one).name == "one"
    with pytest.raises(ArgumentError, match="two emotions have the name 'awe'"):
        one + words(Emotion("awe", "fear + joy"))
    with pytest.raises(TypeError):
        one + {AWE}  # type: ignore[operator]


def test_refused_names() -> None:
    one = words(AWE, refused=[Refused("Love", "it needs trust", "joy + trust")])
    assert list(one.refused) == ["Love"]
    assert "love" not in one
    with pytest.raises(ArgumentError, match="emotion='LOVE' cannot be expressed: it needs trust"):
        one["LOVE"]
    with pytest.raises(ArgumentError, match="'awe' is both defined and refused; keep one of the two"):
        words(AWE, refused=[Refused("Awe", "no")])
    with pytest.raises(ArgumentError, match="refused 'love': reason='' must say why"):
        Refused("love", "")
    with pytest.raises(ArgumentError, match="must begin with a letter"):
        Refused("3", "no")


def test_what_a_model_with_fewer_labels_can_express() -> None:
    scorn = Emotion("scorn", "contempt + anger")
    shown = Examples(9, (0, 0.96, 0, 0, 0, 0, 0, 0.04), "base", "0a" * 32)
    glee = Emotion("glee", examples=shown)
    all_of_them = Vocabulary(
        [AWE, scorn, glee], name="v", source="s", note="n", refused=[Refused("love", "no")]
    )
    fewer = all_of_them.restricted(["sad", *BASIC[:3], *BASIC[4:7], "boredom"])
    assert fewer.names == (*BASIC[:7], "awe", "glee")
    assert list(fewer.refused) == ["love", "contempt", "scorn"]
    assert (fewer.name, fewer.source, fewer.note) == ("v", "s", "n")
    with pytest.raises(
        ArgumentError, match=r"'scorn' cannot be expressed: it needs contempt, .*\(sad, neutral"
    ):
        fewer["scorn"]
    assert all_of_them.restricted(BASIC) == all_of_them
    assert all_of_them.restricted(["neutral"]).names == ("neutral",)


# --- definition files ------------------------------------------------------------------------------------

FILE = f"""\
name = "mine"
source = "Ann"
note = "two lines,\\none \\"quote\\", one \\\\"

[[emotion]]
name = "awe"
formula = "surprise > fear"
aliases = ["wonder", "marvel"]
source = "Bob"
note = "größer"
validated = true

[emotion.examples]
count = 5
point = {{surprise = 0.4, fear = 0.6}}
model = "base"
sha256 = "{"0a" * 32}"

[[emotion]]
name = "grim awe"
formula = "later + awe"
source = ""

[[emotion]]
name = "later"
formula = "sadness - anger"

[[refused]]
name = "love"
formula = "joy + trust"
reason = "it needs trust"
"""


def test_a_definition_file() -> None:
    v = Vocabulary.from_toml(FILE)
    assert (v.name, v.source, v.note) == ("mine", "Ann", 'two lines,\none "quote", one \\')
    awe = Emotion("awe", "surprise > fear", ("wonder", "marvel"), "Bob", "größer", True, SHOWN)
    later = Emotion("later", "sadness - anger", source="Ann")
    assert list(v) == [awe, Emotion("grim awe", "later + awe", known={"later": later, "awe": awe}), later]
    assert v.refused == {"love": Refused("love", "it needs trust", "joy + trust")}
    assert v.to_toml() == FILE


def test_basic_emotions_in_a_file() -> None:
    bare = Vocabulary([AWE], name="x")
    text = bare.to_toml()
    assert text.startswith('name = "x"\nbasics = true\n\n[[emotion]]\nname = "awe"\n')
    assert Vocabulary.from_toml(text) == bare
    assert Vocabulary.from_toml('[[emotion]]\nname = "Joy"\n').names == ("happiness",)
    few = words(Emotion("fear"), AWE)
    assert Vocabulary.from_toml(few.to_toml()) == few
    told = Vocabulary([Emotion("happy", note="AU 12"), AWE])
    assert 'name = "happiness"\nnote = "AU 12"' in told.to_toml()
    assert Vocabulary.from_toml(told.to_toml()) == told


PROBLEMS = """\
nam = "x"
note = 3
[[emotion]]
name = "a"
formula = "c + fear"
[[emotion]]
name = "b"
formula = "a > joy"
[[emotion]]
name = "c"
formula = "b - anger"
[[emotion]]
name = "d"
formula = "suprise +"
[[emotion]]
name = "on d"
formula = "d + fear"
[[emotion]]
formula = 3
colour = "red"
alises = []
[[emotion]]
name = "f"
formula = "g + fear"
aliases = "f2"
[emotion.examples]
count = 0
point = {surprize = 1.0}
model = "base"
[[emotion]]
name = "g"
formula = "G + fear"
[[emotion]]
name = "h"
formula = "suprise + fear"
[[emotion]]
name = "i"
formula = "fear + joy"
[[emotion]]
name = "j"
formula = "joy + fear"
[[emotion]]
name = "k, l"
formula = "joy + anger"
[[emotion]]
name = "m"
formula = "joy + disgust"
[emotion.examples]
count = 0
point = {joy = 1.0}
model = "base"
sha256 = "x"
[[emotion]]
name = "joy"
formula = "fear"
[[refused]]
name = "i"
reason = "x"
[[refused]]
name = "n"
[[refused]]
name = "o"
reason = " "
"""


def test_all_problems_of_a_file_are_listed_each_with_its_emotion() -> None:
    with pytest.raises(ArgumentError) as caught:
        Vocabulary.from_toml(PROBLEMS, "the file")
    first, *problems = str(caught.value).split("\n  ")
    expected = [
        r"key 'nam' is not known; did you mean 'name'\? \(known: name, source, note, basics,",
        "note=3 must be a text",
        "emotion 'a': the formulas go in a circle: a -> c -> b -> a; write one of them with basic emotions",
        r"emotion 'd': formula='suprise \+': it ends with",
        "emotion number 6: key 'name' is missing",
        "emotion number 6: formula=3 must be a text",
        r"emotion number 6: key 'colour' is not known \(known: name, formula",
        "emotion number 6: key 'alises' is not known; did you mean 'aliases'",
        r"emotion 'f': aliases='f2' must be a list \[...\]",
        "emotion 'f': examples: key 'sha256' is missing",
        "emotion 'g': the formulas go in a circle: g -> g",
        "emotion 'h': formula='suprise .*did you mean 'surprise'",
        "name='k, l' must begin with a letter .*',' cannot be in it",
        "emotion 'm': examples: count=0 must be a whole number, 1 or more",
        "emotion 'joy': the name 'joy' is that of the basic emotion happiness",
        "refused 'n': key 'reason' is missing",
        "refused 'o': reason='' must say why",
        "'i' is both defined and refused",
        "'i' = .* and 'j' = .* are two names for one point",
    ]
    assert first == f"the file: {len(expected)} problems, nothing of it is used"
    for pattern, problem in zip(expected, problems, strict=True):
        assert re.match(pattern, problem), problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = 1", "^text: name=1 must be a text$"),
        ("a = 1\nb =\n", r"^text is not TOML: .*\(at line 2, column 4\)"),
        ("x = " + "[" * 5000, "^text is not TOML"),
        ("basics = 1", "basics=1 must be true or false"),
        ("emotion = 3", "emotion=3 must be a list"),
        ("emotion = [3]", "emotion number 1: 3 must be a table of name, formula"),
        ("refused = [3]", "refused number 1: 3 must be a table of name, formula, reason"),
        ('[[emotion]]\nname = "x"', "^text: emotion 'x': formula='' must say what it is made of"),
        ('[[emotion]]\nname = 3\nformula = "fear"', "emotion number 1: name=3 must be a text"),
        ('[[emotion]]\nname = "x"\naliases = [3]\nformula = "joy + fear"', "alias=3 must be a text"),
        (
            '[[emotion]]\nname = "x"\nvalidated = 1\nformula = "joy + fear"',
            "validated=1 must be true or false",
        ),
        (
            '[[emotion]]\nname = "x"\n[emotion.examples]\ncount = true\npoint = {fear = "1"}\nmodel = "b"\n'
            f'sha256 = "{"0" * 64}"',
            "count=True must be a whole number",
        ),
        (
            '[[emotion]]\nname = "x"\n[emotion.examples]\ncount = 1\npoint = {fear = "1"}\nmodel = "b"\n'
            f'sha256 = "{"0" * 64}"',
            "emotion 'x': examples: point=.* must be 8 weights",
        ),
        (
            '[[emotion]]\nname = "x"\n[emotion.examples]\ncount = 1\npoint = {surprize = 1}\nmodel = "b"\n'
            f'sha256 = "{"0" * 64}"',
            "emotion 'x': examples: point: 'surprize' is no basic emotion; did you mean 'surprise'",
        ),
    ],
)
def test_one_problem_of_a_file(text: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        Vocabulary.from_toml(text)


@pytest.mark.parametrize("order", list(permutations("abcx")))
def test_a_circle_begins_with_the_first_of_the_file(order: tuple[str, ...]) -> None:
    needs = {"a": "b", "b": "c", "c": "a", "x": "c"}  # x hangs on the circle, and is not in it
    text = "".join(f'[[emotion]]\nname = "{name}"\nformula = "{needs[name]} + fear"\n' for name in order)
    first = next(name for name in order if name != "x")
    path = {"a": "a -> b -> c -> a", "b": "b -> c -> a -> b", "c": "c -> a -> b -> c"}[first]
    with pytest.raises(
        ArgumentError, match=f"^text: emotion '{first}': the formulas go in a circle: {path};"
    ):
        Vocabulary.from_toml(text)


def test_a_long_chain_of_emotions_in_the_wrong_order() -> None:
    """Longer than Python can call functions inside each other."""
    tables = [f'[[emotion]]\nname = "e {k}"\nformula = "999 e {k + 1} + anger"\n' for k in range(1500)]
    v = Vocabulary.from_toml("\n".join([*tables, '[[emotion]]\nname = "e 1500"\nformula = "fear + joy"\n']))
    assert v.names == tuple(f"e {k}" for k in range(1501))
    assert v["e 0"].weights["anger"] == pytest.approx(1 - 0.999**1500)
    with pytest.raises(ArgumentError, match=r"a circle: e 0 -> e 1 -> .* -> e 1499 -> e 0"):
        Vocabulary.from_toml("\n".join(tables).replace("e 1500", "e 0"))


def emotions_for(draw: Callable[..., Any], names: list[str]) -> list[Emotion]:
    """Draw emotions whose formulas may name those before them, some with aliases, notes and examples."""
    known: dict[str, Emotion] = {}
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    for k, name in enumerate(names):
        # the weight of anger makes every point another
        parts = [f"{draw(st.integers(1, 9))} {draw(st.sampled_from([*BASIC, *known]))}", f"{k + 20} anger"]
        formula = "fear + joy + " + draw(st.sampled_from([" + ", " > "])).join(parts)
        shares = draw(st.lists(st.integers(0, 50), min_size=8, max_size=8).filter(any))
        point = tuple(share / sum(shares) for share in shares)
        shown = Examples(k + 1, point, draw(texts) + "m", "ab" * 32)
        known[name] = Emotion(
            name,
            formula + draw(st.sampled_from(["", " - 3 disgust", " - contempt"])),
            aliases=draw(st.sampled_from([(), (f"other {name}", f"{name}'s")])),
            source=draw(st.sampled_from(["", "file", "own"])),
            note=draw(texts),
            validated=draw(st.booleans()),
            examples=draw(st.sampled_from([None, shown])),
            known=known,
        )
    return list(known.values())


@QUICK
@given(st.data())
def test_a_written_vocabulary_is_read_back(data: st.DataObject) -> None:
    emotions = emotions_for(data.draw, ["alpha", "beta-ray", "gamma", "delta 4"])
    emotions = data.draw(st.permutations(emotions))[: data.draw(st.integers(0, 4))]
    try:
        v = Vocabulary(
            emotions,
            basics=data.draw(st.booleans()),
            name=data.draw(st.sampled_from(["", "x"])),
            source=data.draw(st.sampled_from(["", "file"])),
            note=data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
            refused=data.draw(
                st.sampled_from([[], [Refused("love", "trust\x7f"), Refused("hope", "x", "a+b")]])
            ),
        )
    except ArgumentError as error:
        assert "one point" in str(error)  # noqa: PT017  (two drawn emotions may be alike)
        return
    text = v.to_toml()
    again = Vocabulary.from_toml(text)
    assert again == v
    assert again.to_toml() == text
    for emotion in emotions:
        np.testing.assert_allclose(v[emotion.name].point, emotion.point, atol=1e-6)


# --- catalogues ------------------------------------------------------------------------------------------

SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


@pytest.mark.parametrize(
    ("name", "count", "refused"),
    [
        ("du2014", 22, 0),
        ("rafdb", 11, 0),
        ("rafce", 14, 0),
        ("cexpr", 7, 0),
        ("pairs", 15, 0),
        ("plutchik", 15, 13),
    ],
)
def test_catalogues(name: str, count: int, refused: int) -> None:
    v = catalogue(name)
    assert (v.name, len(v), len(v.refused)) == (name, count, refused)
    assert v.source
    assert v.note
    assert all(emotion.source == v.source for emotion in v)
    file = Path(vocabulary.__file__).parents[1] / "catalogues" / f"{name}.toml"
    assert v.to_toml() == file.read_text(encoding="utf-8")
    assert catalogue(name) is v


def test_the_catalogues_there_are() -> None:
    assert catalogues() == ("cexpr", "du2014", "pairs", "plutchik", "rafce", "rafdb")
    with pytest.raises(
        ArgumentError, match=r"catalogue='plutchick' must be one of cexpr.*did you mean 'plutchik'"
    ):
        catalogue("plutchick")


def test_du_2014() -> None:
    v = catalogue("du2014")
    assert set(v.names[:7]) == {*BASIC} - {"contempt"}
    assert all(emotion.validated for emotion in v)
    assert v["happy"].note == "'happy' in the paper; AU 12, 25; others 6 (51 %)"
    assert v["angrily disgusted"].weights == {"anger": 0.5, "disgust": 0.5}
    assert v["hatred"].weights == pytest.approx({"anger": 2 / 3, "disgust": 1 / 3})
    assert v["appalled"].weights == pytest.approx({"disgust": 2 / 3, "anger": 1 / 3})
    assert v["fearfully surprised"].weights == {"surprise": 0.5, "fear": 0.5}
    assert v["awed"].weights == pytest.approx({"surprise": 2 / 3, "fear": 1 / 3})


def test_the_lists_of_data_sets_are_of_du_2014() -> None:
    du = catalogue("du2014")
    for name in ("rafdb", "rafce", "cexpr"):
        new = [emotion.name for emotion in catalogue(name) if emotion.name not in du]
        assert new == (["happily fearful", "happily sad"] if name == "rafce" else [])
        for emotion in catalogue(name):
            assert emotion.validated == (emotion.name in du)
            adverb, adjective = emotion.name.split()
            stem = basic_of(adverb.removesuffix("ly")) or basic_of(adverb.removesuffix("ily") + "y")
            assert emotion.weights == {stem: 0.5, basic_of(adjective): 0.5}
    assert set(catalogue("rafdb").names) < set(catalogue("rafce").names)
    assert len(load("du2014, rafdb, rafce, cexpr")) == 8 + 15 + 2


def test_plutchik_and_the_pairs_cover_all_pairs_of_six() -> None:
    pairs = {frozenset(pair) for pair in combinations(SIX, 2)}
    for name in ("plutchik", "pairs"):
        assert {frozenset(emotion.weights) for emotion in catalogue(name)} == pairs
        assert all(set(emotion.weights.values()) == {0.5} for emotion in catalogue(name))
        assert not any(emotion.validated for emotion in catalogue(name))
    assert catalogue("pairs").names == tuple(f"{a} and {b}" for a, b in combinations(SIX, 2))
    plutchik = catalogue("plutchik")
    assert all("a theory of feelings, not validated on faces" in emotion.note for emotion in plutchik)
    for refused in plutchik.refused.values():
        lacking = [name for name in ("trust", "anticipation") if name in refused.formula]
        assert lacking
        assert all(name in refused.reason for name in lacking)
    with pytest.raises(
        ArgumentError, match="'love' cannot be expressed: it needs trust, which is not a basic"
    ):
        load("plutchik")["love"]


def reference_rows() -> list[list[str]]:
    if not REFERENCE.is_file():
        pytest.skip("the reference table lies beside the repository, in ../shared")
    section = (
        REFERENCE.read_text(encoding="utf-8")
        .partition("## Du, Tao & Martinez")[2]
        .partition("(and neutral.)")[0]
    )
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_du_2014_is_the_table_of_the_reference() -> None:
    rows = reference_rows()
    v = catalogue("du2014")
    assert {v[row[0]].name for row in rows} | {"neutral"} == set(v.names)
    for name, pair, units, others in rows:
        expected = f"AU {units}; others {others.replace(')', ' %)')}"
        assert v[name].note.removeprefix(f"'{name}' in the paper; ") == expected
        members, _, dominant = pair.partition(", ")
        if not pair:
            assert v[name].name == ALIASES[name]
            continue
        formula = members.replace("+", " + ")
        if dominant:
            first = dominant.split()[0]
            formula = f"{first} > {next(member for member in members.split('+') if member != first)}"
        assert (v[name].point, v[name].against) == parse_formula(formula)


def test_plutchik_is_the_list_of_the_reference() -> None:
    reference_rows()
    text = (
        REFERENCE.read_text(encoding="utf-8")
        .partition("**Plutchik 1980 dyads**")[2]
        .partition(" Without trust")[0]
    )
    letters = {"J": "happiness", "T": "trust", "F": "fear", "Su": "surprise", "Sa": "sadness", "D": "disgust"}
    letters |= {"A": "anger", "An": "anticipation"}
    dyads = re.findall(r"([a-z]+) ([A-Z][a-z]?)\+([A-Z][a-z]?)", text)
    v = catalogue("plutchik")
    assert len(dyads) == 28
    for name, *pair in dyads:
        members = {letters[letter] for letter in pair}
        if members <= {*SIX}:
            assert set(v["plutchik's contempt" if name == "contempt" else name].weights) == members
        else:
            assert set(v.refused[name].formula.split(" + ")) == members


# --- by name ---------------------------------------------------------------------------------------------


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "things.TOML"
    path.write_text(words(RAGE, name="things", source="S").to_toml(), encoding="utf-8")
    both = load(f" cexpr, {path} ")
    assert both.names == (*BASIC, *catalogue("cexpr").names, "rage")
    assert (both.name, both.source) == ("cexpr + things", "")
    assert load("CEXPR", basics=False) == catalogue("cexpr")
    assert load(path, basics=False) == words(RAGE, name="things", source="S")
    assert load(path).names == load(str(path)).names == (*BASIC, "rage")
    assert load([AWE]) == Vocabulary([AWE])
    assert load(iter([AWE]), basics=False) == words(AWE)
    assert load(AWE, basics=False) == words(AWE)  # type: ignore[arg-type]
    assert load(words(AWE)) == words(AWE)
    assert load("du2014").names[:8] == BASIC
    assert load("du2014")["contempt"].point == Emotion("contempt").point


def test_a_path_with_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "a=b.toml"
    define(AWE, path)
    assert load(str(path), basics=False) == words(AWE)


def test_definitions_on_the_spot() -> None:
    v = load("calm dread = later > neutral, du2014, later = awed + fear")
    assert v["calm dread"].weights == pytest.approx({"fear": 4 / 9, "surprise": 2 / 9, "neutral": 1 / 3})
    assert v["later"].formula == "awed + fear"
    assert v.names[-2:] == ("calm dread", "later")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            "",
            r"^emotions='': '' must be one of cexpr, du2014, .*, mine, a path that ends with .toml, or a",
        ),
        ("cexpr,,du2014", "emotions='cexpr,,du2014': '' must be one of"),
        ("plutchick", "'plutchick' must be one of .*; did you mean 'plutchik'"),
        ("awed", "'awed' must be one of .*; it is an emotion of du2014"),
        (
            "a = 0,5 fear + joy",
            "'5 fear . joy' must be one of .*; a comma separates the parts, so decimals have",
        ),
        ("mine", "emotions='mine': you have defined none yet, '.*emotions.toml' is missing"),
        ("nowhere/x.toml", "emotions='nowhere/x.toml' cannot be read: No such file"),
        ("awe = suprise + fear", r"^emotions='awe = .*': emotion 'awe': .*did you mean 'surprise'"),
        ("= fear", "name='' must be a text that is not empty"),
        ("a = b + joy, b = a + joy", "a circle: a -> b -> a"),
        ("a = ?, b = +", "(?s)2 problems.*emotion 'a'.*emotion 'b'"),
        ("du2014, plutchik", "'fearfully surprised' = .* and 'awe' = .* two names for one point"),
        ("du2014, awed = fear + surprise", "two emotions have the name 'awed'"),
    ],
)
def test_what_cannot_be_loaded(spec: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        load(spec)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match=r"a\.toml' is not text in UTF-8"):
        load(path)
    path.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())  # as written on Windows
    assert load(path, basics=False) == Vocabulary.from_toml(FILE)


# --- the user's own --------------------------------------------------------------------------------------


def test_mine() -> None:
    assert mine() == home() / "emotions.toml"
    assert define(AWE) == mine()
    assert load("mine", basics=False) == words(AWE)
    define(Emotion("grim awe", "awe + anger", known={"awe": AWE}))
    assert load("mine")["grim awe"].weights == {"anger": 0.5, "surprise": 0.25, "fear": 0.25}
    assert forget("GRIM awe").formula == "awe + anger"
    assert load("mine").names == (*BASIC, "awe")
    forget("awe")
    assert load("mine") == Vocabulary([])


def test_defining_leaves_the_rest_to_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.toml"
    path.parent.mkdir()
    text = "# my emotions\n" + FILE.replace('note = "größer"', "note = 'größer' # x") + "# the end\n\n"
    path.write_text(text, encoding="utf-8")
    define(RAGE, path)
    after = path.read_text(encoding="utf-8")
    assert (
        after
        == text.rstrip() + '\n\n[[emotion]]\nname = "rage"\nformula = "3 anger + disgust"\nsource = ""\n'
    )
    define(RAGE, path)  # again: nothing to ask about
    assert load(path, basics=False) == words(
        *Vocabulary.from_toml(FILE),
        RAGE,
        name="mine",
        source="Ann",
        note=Vocabulary.from_toml(FILE).note,
        refused=Vocabulary.from_toml(FILE).refused.values(),
    )
    forget("rage", path)
    assert path.read_text(encoding="utf-8") == FILE
    assert sorted(p.name for p in path.parent.iterdir()) == [".a.toml.lock", "a.toml"]


def test_defining_in_a_file_with_a_list_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('emotion = [{name = "rage", formula = "3 anger + disgust"}]', encoding="utf-8")
    define(AWE, path)
    assert load(path, basics=False) == words(RAGE, AWE)


def test_replacing(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for emotion in (AWE, RAGE, Emotion("grim awe", "awe + anger", known={"awe": AWE})):
        define(emotion, path)
    new = Emotion("Awe", "joy + surprise", examples=SHOWN)
    before = path.read_bytes()
    with pytest.raises(
        ArgumentError, match=r"'awe' = 0.5 surprise \+ 0.5 fear \(Ann\) is in '.*' already; choose"
    ):
        define(new, path)
    assert path.read_bytes() == before
    define(new, path, replace=True)
    v = load(path, basics=False)
    assert v.names == ("Awe", "rage", "grim awe")
    assert v["awe"] == new
    assert v["grim awe"].point == pytest.approx(
        tuple((a + b) / 2 for a, b in zip(new.point, BASIC_ANGER, strict=True))
    )


BASIC_ANGER = Emotion("anger").point


@pytest.mark.parametrize(
    ("emotion", "reason"),
    [
        (
            Emotion("wonder", "surprise + fear"),
            "'wonder' in it|'awe' = .* and 'wonder' = .* two names for one point",
        ),
        (Emotion("dread", "fear + sad", aliases=("awe",)), "two emotions have the name 'awe'"),
        (
            Emotion("x", "hush + fear", known={"hush": Emotion("hush", "calm + joy")}),
            "a.toml' with 'x': emotion 'x': formula='hush . fear': 'hush' is not known",
        ),
        (
            Emotion("x", "awe + anger", known={"awe": Emotion("awe", "joy + fear")}),
            r"'x' = 0.5 anger \+ 0.25 happiness \+ 0.25 fear; among the emotions of '.*' its formula "
            r"'awe \+ anger' is 0.5 anger \+ 0.25 surprise \+ 0.25 fear; write it with basic emotions",
        ),
        (Emotion("love", "joy + sad"), "'love' is both defined and refused"),
    ],
)
def test_what_cannot_be_defined_leaves_the_file(tmp_path: Path, emotion: Emotion, reason: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(words(AWE, refused=[Refused("love", "no")]).to_toml(), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match=reason):
        define(emotion, path)
    assert path.read_bytes() == before


def test_a_file_with_a_problem_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text in ("[[emotion]]\nname = 'x'\nformula = 'suprise'\n", "oops"):
        path.write_text(text, encoding="utf-8")
        for change in (lambda: define(AWE, path), lambda: forget("x", path)):
            with pytest.raises(ArgumentError, match=r"emotions='.*a\.toml'(: emotion 'x'| is not TOML)"):
                change()
        assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aw", r"'aw' is not in this vocabulary; did you mean 'awe'\?"),
        ("wonder", "emotion='wonder' cannot be forgotten: it is an alias of 'awe'"),
        ("fear", "emotion='fear' cannot be forgotten: it is a basic emotion"),
        ("awe", "emotion='awe' cannot be forgotten: 'grim awe', 'more' are built on it; forget them first"),
        ("grim awe", "'more' is built on it; forget that first"),
    ],
)
def test_what_cannot_be_forgotten(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / "a.toml"
    awe = Emotion("awe", "fear + surprise", aliases=("wonder",))
    grim = Emotion("grim awe", "Wonder + anger", known={"wonder": awe})
    more = Emotion("more", "grim awe + awe", known={"awe": awe, "grim awe": grim})
    path.write_text(Vocabulary([awe, grim, more]).to_toml(), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match=reason):
        forget(name, path)
    assert path.read_bytes() == before


def test_forgetting_other_words_for_a_basic_emotion(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    happy = Emotion("happy", aliases=("bliss",))
    for emotion in (happy, Emotion("glee", "joy + surprise")):
        define(emotion, path)
    assert forget("joy", path).names == ("happiness", "bliss")
    assert load(path, basics=False).names == ("glee",)
    define(happy, path)
    define(Emotion("more", "bliss + fear", known={"bliss": happy}), path)
    with pytest.raises(ArgumentError, match="'more' is built on it"):
        forget("joy", path)


def test_forgetting_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"emotion='awe' cannot be forgotten: '.*' is missing"):
        forget("awe", tmp_path / "no" / "a.toml")
    assert not (tmp_path / "no").exists()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"emotions='.*' cannot be written: "):
        define(AWE, tmp_path / "file" / "a.toml")
    (tmp_path / "a.toml").mkdir()
    with pytest.raises(ArgumentError, match="cannot be read: Is a directory"):
        define(AWE, tmp_path / "a.toml")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.toml"
    define(AWE, path)
    before = path.read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    for change in (lambda: define(RAGE, path), lambda: forget("awe", path)):
        with pytest.raises(ArgumentError, match=r"emotions='.*' cannot be written: No space left on device"):
            change()
    assert path.read_bytes() == before


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    code = (
        "import sys, pathlib\n"
        "from pyfer.emotions import Emotion\n"
        "from pyfer.vocabulary import define\n"
        "for k in range(12):\n"
        "    n = 2 * k + int(sys.argv[2])\n"
        "    define(Emotion(f'e {n}', f'fear + {n + 1} joy'), pathlib.Path(sys.argv[1]))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(k)]) for k in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert {*load(path, basics=False).names} == {f"e {n}" for n in range(24)}


# --- emotions over time ----------------------------------------------------------------------------------

RELIEF = Succession("relief", "fear -> happiness within 2 s", ("phew",), "Ann", "a note")
OVER_TIME = """\
name = "x"
source = "Ann"

[[emotion]]
name = "awe"
formula = "fear + surprise"
aliases = ["wonder"]

[[emotion]]
name = "relief"
formula = "fear -> happiness within 2 s"
aliases = ["phew"]
note = "a note"

[[emotion]]
name = "delight"
formula = "wonder -> joy"
source = "Bob"
"""


def test_successions_are_kept_apart() -> None:
    v = Vocabulary([RELIEF, AWE])
    assert v.successions == (RELIEF,)
    assert v.names == (*BASIC, "awe")
    assert len(v) == len(v.points) == 9
    assert "relief" not in v
    assert "relief" not in v.known
    assert (v.definition("PHEW"), v.definition("awe"), v.definition("joy").name) == (RELIEF, AWE, "happiness")
    with pytest.raises(
        ArgumentError, match="emotion='phew' needs a film: it is fear -> happiness within 2 s"
    ):
        v["phew"]
    with pytest.raises(ArgumentError, match="'relif' is not in this vocabulary"):
        v.definition("relif")
    assert "relief (over time)" in repr(v)
    assert v != Vocabulary([AWE])
    assert hash(v) == hash(Vocabulary([AWE, RELIEF]))
    assert pickle.loads(pickle.dumps(v)) == v
    assert Vocabulary([AWE]).successions == ()


def test_steps_get_the_names_that_the_vocabulary_has() -> None:
    delight = Succession("delight", "Awe -> joy", known={"awe": AWE})
    wonder = Emotion("wonder", AWE.formula, aliases=("awe",))
    assert words(delight, wonder).successions[0].steps == ("wonder", "happiness")
    with pytest.raises(ArgumentError, match="emotion 'delight': formula='Awe -> joy': 'Awe' is not known"):
        words(delight, RAGE)
    both = Succession("x", "awe -> wonder", known={"awe": AWE, "wonder": Emotion("wonder", "fear + joy")})
    with pytest.raises(ArgumentError, match="'wonder' follows itself"):
        words(both, wonder)


def test_a_succession_that_is_there_twice_counts_once() -> None:
    again = Succession("Relief", "scared -> happy within 2000 ms", ("ease",))
    (one,) = words(RELIEF, again).successions
    assert one == Succession("relief", RELIEF.formula, ("phew", "ease"), "Ann", "a note")
    ease = Succession("ease", RELIEF.formula)
    assert words(RELIEF, ease).successions == (RELIEF, ease)
    (one,) = words(RELIEF, ease, again).successions
    assert one.names == ("relief", "phew", "ease")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (
            Succession("RELIEF", "fear -> joy", source="Bob"),
            r"two emotions have the name 'RELIEF': 'relief' = fear -> happiness within 2 s \(Ann\), and "
            r"'RELIEF' = fear -> happiness within 3 s \(Bob\); rename one",
        ),
        (Succession("x", "joy -> fear", ("Phew",)), "two emotions have the name 'Phew'"),
        (
            Emotion("phew", "fear + joy"),
            "'phew' = 0.5 happiness . 0.5 fear, and 'relief' = fear -> happiness",
        ),
        (Emotion("x", "fear + joy", ("relief",)), "two emotions have the name 'relief'"),
        (Succession("love", "joy -> fear"), "'love' is both defined and refused"),
    ],
)
def test_successions_that_do_not_go_together(other: Emotion | Succession, reason: str) -> None:
    for basics in (True, False):
        with pytest.raises(ArgumentError, match=reason):
            Vocabulary([RELIEF, AWE, other], basics=basics, refused=[Refused("love", "no")])


def test_a_model_with_fewer_labels_finds_fewer_successions() -> None:
    scorn = Emotion("scorn", "contempt + anger")
    bitter = Succession("bitter", "joy -> scorn", known={"scorn": scorn})
    sneer = Succession("sneer", "joy -> contempt")
    v = Vocabulary([AWE, scorn, RELIEF, bitter, sneer], basics=False)
    fewer = v.restricted(BASIC[:7])
    assert fewer.successions == (RELIEF,)
    assert list(fewer.refused) == ["scorn", "bitter", "sneer"]
    assert fewer.refused["bitter"].reason.startswith("it needs scorn, which the model cannot tell")
    assert v.restricted(BASIC).successions == v.successions
    with pytest.raises(ArgumentError, match="emotions: relief can only be found among emotions of single"):
        words(RELIEF).restricted(BASIC)


def test_successions_in_a_file() -> None:
    v = Vocabulary.from_toml(OVER_TIME)
    assert v.names == ("awe",)
    assert v.successions == (
        RELIEF,
        Succession("delight", "wonder -> joy", source="Bob", known={"wonder": v["awe"]}),
    )
    assert v.successions[1].steps == ("awe", "happiness")
    assert v.to_toml() == OVER_TIME
    alone = words(RELIEF, source="Ann")
    assert Vocabulary.from_toml(alone.to_toml()) == alone
    assert Vocabulary.from_toml(Vocabulary(v.successions[:1]).to_toml()).names == BASIC


def test_all_problems_of_successions_in_a_file_are_listed() -> None:
    def table(name: str, formula: str, more: str = "") -> str:
        return f'[[emotion]]\nname = "{name}"\nformula = "{formula}"\n{more}'

    text = "".join(
        [
            table("broken", "suprise + fear"),
            table("on it", "broken -> joy"),  # one mistake is told once
            table("a", "fear -> happines within 2 s"),
            table("b", "fear -> joy within 2 s", "validated = true\n"),
            table("c", "b -> anger"),
            table("dread", "fear + b"),
            table("d", "fear -> joy within 2"),
            '[[emotion]]\nformula = "fear -> joy"\n',
            table("e", "anger -> joy", 'aliases = "x"\n'),
            table("joy", "anger -> fear"),
            table("f", "f -> fear"),
            table("awe", "fear + surprise"),
            table("AWE", "anger -> fear"),
        ]
    )
    with pytest.raises(ArgumentError) as caught:
        Vocabulary.from_toml(text)
    _, *problems = str(caught.value).split("\n  ")
    expected = [
        "emotion 'broken': formula='suprise . fear': 'suprise' is not known",
        "emotion 'dread': formula='fear . b': 'b' is an emotion over time and can be no part of a mixture",
        "emotion 'a': formula='fear -> happines within 2 s': 'happines' is not known; did you mean 'happin",
        "emotion 'b': key 'validated' is for emotions of a face",
        "emotion 'c': formula='b -> anger': 'b' is an emotion over time and can be no step",
        "emotion 'd': formula='fear -> joy within 2': the unit of 2 is missing",
        "emotion number 8: key 'name' is missing",
        "emotion 'e': aliases='x' must be a list",
        "emotion 'joy': the name 'joy' is that of the basic emotion happiness",
        "emotion 'f': formula='f -> fear': 'f' is an emotion over time and can be no step",
        "two emotions have the name 'AWE': 'awe' = 0.5 surprise . 0.5 fear, and 'AWE' = anger -> fear",
    ]
    for pattern, problem in zip(expected, problems, strict=True):
        assert re.match(pattern, problem), problem


def test_successions_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(OVER_TIME, encoding="utf-8")
    v = load(f"gloom = awe > sad, bliss = phew2 -> joy within 1 s, {path}, phew2 = joy + surprise")
    assert v.names == (*BASIC, "awe", "gloom", "phew2")
    assert [one.name for one in v.successions] == ["relief", "delight", "bliss"]
    assert v.successions[2].steps == ("phew2", "happiness")
    assert load("relief = fear -> joy").names == BASIC
    assert load(RELIEF) == load([RELIEF]) == Vocabulary([RELIEF])  # type: ignore[arg-type]
    assert load([RELIEF, AWE], basics=False) == words(AWE, RELIEF)
    both = words(RELIEF) + words(AWE, refused=[Refused("relief", "no"), Refused("love", "no")])
    assert (both.successions, list(both.refused)) == ((RELIEF,), ["love"])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("x = fear -> happines", "^emotions='x = .*': emotion 'x': .*did you mean 'happiness'"),
        ("x = fear -> joy, y = x + fear", "'y': .*'x' is an emotion over time and can be no part of a mixt"),
        ("x = fear -> joy, y = x -> anger", "emotion 'y': .*'x' is an emotion over time and can be no step"),
        ("x = fear -> joy, x = fear -> anger", "two emotions have the name 'x'"),
        ("x = fear -> joy, x = fear + anger", "two emotions have the name 'x'"),
        ("x = fear -> y, y = suprise + fear", "^[^\n]*: emotion 'y': [^\n]*'suprise' is not known[^\n]*$"),
        ("fear -> joy", "'fear -> joy' must be one of .*; give it a name: 'relief = fear -> happiness'"),
        ("x = fear -> joy within 2,5 s", "a comma separates the parts, so decimals have a point|unit of 2"),
    ],
)
def test_successions_that_cannot_be_loaded(spec: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        load(spec)


def test_define_and_forget_a_succession() -> None:
    define(AWE)
    delight = Succession("delight", "awe -> joy", known={"awe": AWE})
    assert define(delight) == mine()
    define(delight)  # again, the same
    assert load("mine").successions == (delight,)
    assert 'formula = "awe -> joy"' in mine().read_text()
    for other in (Succession("delight", "fear -> joy"), Emotion("Delight", "fear + joy")):
        with pytest.raises(ArgumentError, match=r"'delight' = awe -> happiness within 3 s is in .* already"):
            define(other)
    with pytest.raises(ArgumentError, match=r"'awe' = .* is in .* already; choose another name"):
        define(Succession("awe", "fear -> joy"))
    with pytest.raises(ArgumentError, match="'awe' cannot be forgotten: 'delight' is built on it; forget th"):
        forget("awe")
    with pytest.raises(ArgumentError, match="'gloom' is not known"):
        define(Succession("x", "gloom -> joy", known={"gloom": Emotion("gloom", "sad + fear")}))
    define(Succession("delight", "fear -> joy"), replace=True)
    assert load("mine").successions[0].steps == ("fear", "happiness")
    assert forget("awe") == AWE
    assert forget("DELIGHT").name == "delight"
    assert load("mine", basics=False) == words()


@QUICK
@given(st.data())
def test_a_written_vocabulary_of_successions_is_read_back(data: st.DataObject) -> None:
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    steps = st.sampled_from(["anger", "awe", "wonder", "joy", "rage"])
    known = words(AWE, RAGE, Emotion("wonder", "fear + joy")).known
    successions = []
    for k in range(data.draw(st.integers(0, 3))):
        first, second = data.draw(st.lists(steps, min_size=2, max_size=2, unique=True))
        formula = f"{first} -> {second} -> {first}" + data.draw(st.sampled_from(["", " within 500ms"]))
        aliases = data.draw(st.sampled_from([(), (f"other {k}",)]))
        source = data.draw(st.sampled_from(["", "file", "own"]))
        successions.append(Succession(f"s {k}", formula, aliases, source, data.draw(texts), known=known))
    source, basics = data.draw(st.sampled_from(["", "file"])), data.draw(st.booleans())
    v = Vocabulary([*known.values(), *successions], basics=basics, source=source)
    again = Vocabulary.from_toml(v.to_toml())
    assert again == v
    assert again.successions == tuple(successions)
    assert again.to_toml() == v.to_toml()
