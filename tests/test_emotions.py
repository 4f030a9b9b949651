"""Names of emotions: every usual word leads to one canonical name, anything else to a helpful error."""

from __future__ import annotations

import pytest

from pyfer.emotions import ALIASES, BASIC, canonical, percent
from pyfer.errors import ArgumentError


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
