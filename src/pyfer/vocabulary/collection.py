"""The class `Vocabulary`: emotions that are used together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC, Emotion, basic_of, checked_text
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.vocabulary.assembly import assembled, bare, key_of, listed, rows_of, self_contained
from pyfer.vocabulary.definitions import (
    FILE_KEYS,
    Refused,
    faults_of,
    parsed,
    read_emotions,
    read_refused,
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
        could decide between them. All such problems are listed.
    """

    def __init__(
        self,
        emotions: Iterable[Emotion],
        *,
        basics: bool = True,
        name: str = "",
        source: str = "",
        note: str = "",
        refused: Iterable[Refused] = (),
    ) -> None:
        self._refused = {key_of(one.name): one for one in refused}
        kept, problems = assembled([*bare(), *emotions] if basics else list(emotions), self._refused)
        if problems:
            raise ArgumentError(listed("emotions", problems))
        self.name = checked_text(name, "name")
        self.source = checked_text(source, "source")
        self.note = checked_text(note, "note")
        self._emotions = tuple(self_contained(kept))
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
        raise ArgumentError(
            f"emotion={name!r} is not in this vocabulary{did_you_mean(key, self._index)} "
            f"(it has {', '.join(self.names) or 'none'})"
        )

    def __add__(self, other: Vocabulary) -> Vocabulary:
        """Return both together; what one refuses and the other defines is defined."""
        return joined([self, other]) if isinstance(other, Vocabulary) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        return f"<Vocabulary {self.name!r} of {len(self)}: {', '.join(self.names)}>"

    def _content(self) -> tuple[object, ...]:
        return (self._emotions, self.name, self.source, self.note, tuple(self._refused.values()))

    def restricted(self, labels: Iterable[str]) -> Vocabulary:
        """Return what can be expressed over the labels of a model; `refused` has the others, with reasons.

        An emotion stays if the labels hold all of its point but `NEGLIGIBLE`; whoever scores it divides by
        the share that they hold.
        """
        labels = (labels,) if isinstance(labels, str) else tuple(labels)
        have = {basic_of(label) for label in labels}
        out: dict[str, Refused] = {}
        for emotion in self._emotions:
            lacking = {basic: share for basic, share in emotion.weights.items() if basic not in have}
            if sum(lacking.values()) > NEGLIGIBLE:
                reason = f"it needs {', '.join(lacking)}, which the model cannot tell ({', '.join(labels)})"
                out[emotion.name] = Refused(emotion.name, reason, emotion.formula)
        return Vocabulary(
            [emotion for emotion in self._emotions if emotion.name not in out],
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
        problems += more + most
        problems += assembled(emotions, {key_of(one.name): one for one in refused})[1]
        if problems:
            raise ArgumentError(listed(where, problems))
        header = {key: tree[key] for key in ("name", "source", "note") if key in tree}
        return cls(emotions, basics=tree.get("basics", False), refused=refused, **header)


def joined(parts: list[Vocabulary], more: Iterable[Emotion] = (), basics: bool = False) -> Vocabulary:
    """Return vocabularies and `more` emotions as one; see `Vocabulary` for the errors."""
    emotions = [emotion for part in parts for emotion in part] + list(more)
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
