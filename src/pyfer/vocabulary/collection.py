"""The class `Vocabulary`: emotions that are used together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC, Emotion, basic_of, checked_text
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.successions import Succession
from pyfer.vocabulary.assembly import (
    Definition,
    assembled,
    bare,
    key_of,
    listed,
    meaning,
    rows_of,
    self_contained,
    sequenced,
)
from pyfer.vocabulary.definitions import (
    FILE_KEYS,
    Refused,
    faults_of,
    parsed,
    read_emotions,
    read_refused,
    read_successions,
    table_of,
    written,
)

NEGLIGIBLE = 0.05
"""Share of an emotion that may lie on basic emotions a model cannot tell. A convention: emotions learned
from examples have a little of everything, which must not bind them to one model."""


class Vocabulary:
    """Emotions that are used together, in order; never changed.

    Parameters
    ----------
    emotions
        The emotions. A definition that is there twice counts once; one that says its name is an alias of
        another, at the same point, becomes that alias. A formula that names an emotion which is not in
        here is written out in basic emotions, so that a vocabulary can be written to a file by itself.
        Emotions over time (`pyfer.successions.Succession`) are kept apart, see `successions`: a face has no
        place among them.
    basics
        Whether the eight basic emotions come first.
    name, source, note
        For people.
    refused
        Emotions that cannot be expressed; asking for one says why.

    Raises
    ------
    ArgumentError
        Two emotions have the same name or alias, or two names stand for the same point, where no picture
        could decide between them; or a step of a succession is not among them. All such problems are listed.
    """

    def __init__(
        self,
        emotions: Iterable[Definition],
        *,
        basics: bool = True,
        name: str = "",
        source: str = "",
        note: str = "",
        refused: Iterable[Refused] = (),
    ) -> None:
        self._refused = {key_of(one.name): one for one in refused}
        still, over_time = _divided(emotions)
        kept, problems = assembled([*bare(), *still] if basics else still, self._refused)
        index = {key_of(one): emotion for emotion in kept for one in emotion.names}
        successions, more = sequenced(over_time, index, self._refused)
        if problems + more:
            raise ArgumentError(listed("emotions", problems + more))
        self.name = checked_text(name, "name")
        self.source = checked_text(source, "source")
        self.note = checked_text(note, "note")
        self._emotions = tuple(self_contained(kept))
        self._successions = tuple(successions)
        self._index = {key_of(one): emotion for emotion in self._emotions for one in emotion.names}
        self._points = rows_of([emotion.point for emotion in self._emotions])
        self._against = rows_of([emotion.against for emotion in self._emotions])

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each emotion."""
        return tuple(emotion.name for emotion in self._emotions)

    @property
    def known(self) -> Mapping[str, Emotion]:
        """Name or alias -> emotion, as `Emotion` takes it for formulas."""
        return MappingProxyType(self._index)

    @property
    def points(self) -> NDArray[np.float64]:
        """(k, 8) weights over `BASIC`, rows sum to 1."""
        return self._points

    @property
    def against(self) -> NDArray[np.float64]:
        """(k, 8) weights of what counts against each emotion, 0 or more."""
        return self._against

    @property
    def successions(self) -> tuple[Succession, ...]:
        """Emotions over time; they have no points, and only a film shows them."""
        return self._successions

    @property
    def refused(self) -> Mapping[str, Refused]:
        """Name -> what cannot be expressed."""
        return MappingProxyType({one.name: one for one in self._refused.values()})

    def __len__(self) -> int:
        return len(self._emotions)

    def __iter__(self) -> Iterator[Emotion]:
        return iter(self._emotions)

    def __contains__(self, name: object) -> bool:
        return key_of(name) in self._index if isinstance(name, str) else name in self._emotions

    def __getitem__(self, name: str) -> Emotion:
        """Return the emotion of a name or alias."""
        if not isinstance(name, str):
            raise ArgumentError(f"emotion={name!r} must be a name")
        key = key_of(name)
        if key in self._index:
            return self._index[key]
        if key in self._refused:
            raise ArgumentError(f"emotion={name!r} cannot be expressed: {self._refused[key].reason}")
        for one in self._successions:
            if key in map(key_of, one.names):
                raise ArgumentError(f"emotion={name!r} needs a film: it is {meaning(one)}")
        raise ArgumentError(
            f"emotion={name!r} is not in this vocabulary{did_you_mean(key, self._index)} "
            f"(it has {', '.join(self.names) or 'none'})"
        )

    def definition(self, name: str) -> Definition:
        """Return the emotion or the succession of a name or alias."""
        over_time = {key_of(name): one for one in self._successions for name in one.names}
        found = over_time.get(key_of(name)) if isinstance(name, str) else None
        return found or self[name]

    def __add__(self, other: Vocabulary) -> Vocabulary:
        """Return both together; what one refuses and the other defines is defined."""
        return joined([self, other]) if isinstance(other, Vocabulary) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        over_time = "".join(f", {one.name} (over time)" for one in self._successions)
        return f"<Vocabulary {self.name!r} of {len(self)}: {', '.join(self.names)}{over_time}>"

    def _content(self) -> tuple[object, ...]:
        header = (self.name, self.source, self.note)
        return (self._emotions, self._successions, *header, tuple(self._refused.values()))

    def restricted(self, labels: Iterable[str]) -> Vocabulary:
        """Return what can be expressed over the labels of a model; `refused` has the others, with reasons.

        An emotion stays if the labels hold all of its point but `NEGLIGIBLE`; whoever scores it divides by
        the share that they hold. A succession stays if its steps do.

        Raises
        ------
        ArgumentError
            There are successions but none of the emotions that they are made of.
        """
        if self._successions and not self._emotions:
            raise ArgumentError(
                f"emotions: {', '.join(one.name for one in self._successions)} can only be found among "
                "emotions of single frames, and there are none; add the basic ones (basics=True)"
            )
        labels = (labels,) if isinstance(labels, str) else tuple(labels)
        have = {basic_of(label) for label in labels}
        out: dict[str, Refused] = {}
        for emotion in self._emotions:
            lacking = {basic: share for basic, share in emotion.weights.items() if basic not in have}
            if sum(lacking.values()) > NEGLIGIBLE:
                reason = f"it needs {', '.join(lacking)}, which the model cannot tell ({', '.join(labels)})"
                out[emotion.name] = Refused(emotion.name, reason, emotion.formula)
        still = [emotion for emotion in self._emotions if emotion.name not in out]
        possible = {basic for basic in have if basic} | {emotion.name for emotion in still}
        for one in self._successions:
            if lost := one.lacking(possible):
                reason = f"it needs {', '.join(lost)}, which the model cannot tell ({', '.join(labels)})"
                out[one.name] = Refused(one.name, reason, one.formula)
        return Vocabulary(
            _together(still, [one for one in self._successions if one.name not in out]),
            basics=False,
            name=self.name,
            source=self.source,
            note=self.note,
            refused=[*self._refused.values(), *out.values()],
        )

    def to_toml(self) -> str:
        """Return a definition file that `from_toml` reads back as the same vocabulary."""
        basics = self.names[: len(BASIC)] == BASIC
        tree: dict[str, Any] = {"name": self.name, "source": self.source, "note": self.note, "basics": basics}
        implied = bare() if basics else ()
        tree["emotion"] = [table_of(one, self.source) for one in self._emotions if one not in implied]
        tree["emotion"] += [table_of(one, self.source) for one in self._successions]
        tree["refused"] = [
            {key: value for key, value in vars(one).items() if value} for one in self._refused.values()
        ]
        return written(tree)

    @classmethod
    def from_toml(cls, text: str, where: str = "text") -> Vocabulary:
        """Read a definition file (see `pyfer.vocabulary`).

        Raises
        ------
        ArgumentError
            Something is wrong in it; all the problems are listed, each with the name of its emotion, after
            `where`.
        """
        tree = parsed(text, where)
        problems = faults_of(tree, FILE_KEYS)
        sections = {key: value for key in ("emotion", "refused") if isinstance(value := tree.get(key), list)}
        source = tree["source"] if isinstance(tree.get("source"), str) else ""
        emotions, more = read_emotions(sections.get("emotion", []), source)
        refused, most = read_refused(sections.get("refused", []))
        successions, others = read_successions(sections.get("emotion", []), source, emotions)
        problems += more + others + most
        keys = {key_of(one.name) for one in refused}
        kept, clashes = assembled(emotions, keys)
        index = {key_of(one): emotion for emotion in kept for one in emotion.names}
        problems += clashes + sequenced(successions, index, keys)[1]
        if problems:
            raise ArgumentError(listed(where, problems))
        header = {key: tree[key] for key in ("name", "source", "note") if key in tree}
        everything = _together(emotions, successions)
        return cls(everything, basics=tree.get("basics", False), refused=refused, **header)


def _together(still: Iterable[Emotion], over_time: Iterable[Succession]) -> list[Definition]:
    return [*still, *over_time]


def _divided(emotions: Iterable[Definition]) -> tuple[list[Emotion], list[Succession]]:
    """Return the emotions of a face, and those over time."""
    still: list[Emotion] = []
    over_time: list[Succession] = []
    for one in emotions:
        if isinstance(one, Succession):
            over_time.append(one)
        else:
            still.append(one)
    return still, over_time


def joined(parts: list[Vocabulary], more: Iterable[Definition] = (), basics: bool = False) -> Vocabulary:
    """Return vocabularies and `more` emotions as one; see `Vocabulary` for the errors."""
    emotions: list[Definition] = [one for part in parts for one in _together(part, part.successions)]
    emotions += more
    defined = {key_of(name) for emotion in emotions for name in emotion.names} | set(BASIC if basics else ())
    sources, notes = {part.source for part in parts}, {part.note for part in parts}
    return Vocabulary(
        emotions,
        basics=basics,
        name=" + ".join(dict.fromkeys(part.name for part in parts if part.name)),
        source=sources.pop() if len(sources) == 1 else "",
        note=notes.pop() if len(notes) == 1 else "",
        refused=[one for part in parts for key, one in part._refused.items() if key not in defined],
    )
