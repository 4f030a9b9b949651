"""The basic emotions: canonical names, their order, and the other words people use for them.

Ekman's six, neutral, and contempt as an eighth (Ekman & Friesen 1986), in the order of FER+
(Barsoum et al. 2016). Every model says its own labels in its ``model.json``; the names below are the
ones that all of pyFER understands.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyfer.errors import ArgumentError, did_you_mean

BASIC: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
"""Canonical names in canonical order."""

ALIASES: dict[str, str] = {
    "afraid": "fear",
    "angry": "anger",
    "calm": "neutral",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "sad": "sadness",
    "scared": "fear",
    "surprised": "surprise",
}
"""Other words accepted on input -> canonical name."""


def canonical(name: str, known: Iterable[str] = BASIC) -> str:
    """Return the canonical form of `name`, which must be one of `known` (or an alias of one).

    Raises
    ------
    ArgumentError
        `name` is unknown; the message lists the known names and the nearest match.
    """
    known = tuple(known)
    if not isinstance(name, str):
        raise ArgumentError(f"emotion={name!r} must be a name (known: {', '.join(known)})")
    word = name.strip().lower()
    if word in known:
        return word
    if ALIASES.get(word) in known:
        return ALIASES[word]
    hint = did_you_mean(word, known) or did_you_mean(word, [a for a, b in ALIASES.items() if b in known])
    raise ArgumentError(f"emotion={name!r} is not known{hint} (known: {', '.join(known)})")


def percent(share: float) -> str:
    """Return a probability for people; what is not quite certain never reads ``100%``."""
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
