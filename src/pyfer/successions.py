"""Emotions over time: ``fear -> happiness within 2 s`` is not ``fear + happiness``.

A mixture is seen in one face. A succession is told by two or more segments of a person's film, one after the
other: being startled is fear, being relieved is fear and *then* happiness. So a succession has no point in
the simplex of the basic emotions, competes with none of them, and cannot be seen in a still picture::

    relief = Succession("relief", "fear -> happiness within 2 s")
    finder = Finder([relief])
    finder.add(segments)                            # segments of the emotion "relief"
"""

from __future__ import annotations

import itertools
import math
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field

from pyfer.emotions import ALIASES, BASIC, Emotion, basic_of, checked_name, checked_text, name_key
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.segments import Segment

ARROW = "->"
"""What makes a formula one of an emotion over time."""

WITHIN = 3.0
"""Seconds that may pass between two steps where a formula does not say. A convention of this project."""

_MOST_PEOPLE = 1000  # whose last segments are remembered; the one not seen for longest is forgotten
_ROUNDING = 1e-9  # seconds
_EXAMPLE = "'fear -> happiness within 2 s'"
_LIMIT = re.compile(r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>.*)")
_UNITS = {"s": 1.0, "ms": 0.001}


def is_succession(formula: object) -> bool:
    """Whether a formula is that of an emotion over time, well written or not."""
    return isinstance(formula, str) and ARROW in formula


def parse_succession(
    formula: str, known: Mapping[str, Emotion] | None = None
) -> tuple[tuple[str, ...], float]:
    """Return what a formula over time says: the emotions that follow each other, and how soon.

    Parameters
    ----------
    formula
        Two or more steps joined by ``->``, then ``within`` and a number of ``s`` or ``ms``, or nothing
        (`WITHIN`). A step is a basic emotion, an alias of one, or one of `known`; not neutral, which is
        what lies between emotions, and not the same emotion twice in a row.
    known
        Other emotions by name or alias.

    Returns
    -------
    tuple
        steps, names as the basic emotions and `known` have them, and seconds, above 0: the longest pause
        between the end of a step and the beginning of the next, the same for each pair of neighbours.

    Raises
    ------
    ArgumentError
        The formula cannot be read, or a step is unknown or cannot be one.
    """
    if not isinstance(formula, str) or not formula.strip():
        raise ArgumentError(f"formula={formula!r} must be a text such as {_EXAMPLE}")
    text = " ".join(formula.split())
    if ARROW not in text:
        raise _unreadable(text, f"it has no '->' between two emotions, as {_EXAMPLE} has")
    _, found, limit = _divided(text.rpartition(ARROW)[2].strip())
    within = _seconds(text, limit.strip()) if found else WITHIN
    parts = steps_in(text)
    steps = [_step(text, part, k, len(parts) - 1, known or {}) for k, part in enumerate(parts)]
    for one, other in itertools.pairwise(steps):
        if name_key(one) == name_key(other):
            raise _unreadable(text, f"{one!r} follows itself; segments of one emotion that are close are one")
    return tuple(steps), within


def steps_in(formula: str) -> tuple[str, ...]:
    """Return the steps of a formula as they are written, right or wrong; see `parse_succession`."""
    *parts, end = map(str.strip, formula.split(ARROW))
    return (*parts, _divided(end)[0])


def formula_over_time(steps: Iterable[str], within: float = WITHIN) -> str:
    """Return the formula of steps and seconds, such as ``fear -> happiness within 2 s``."""
    return f"{f' {ARROW} '.join(steps)} within {repr(float(within)).removesuffix('.0')} s"


def _divided(end: str) -> tuple[str, str, str]:
    """Return the last step, the word ``within`` or nothing, and what comes after it."""
    place = re.search(r"(?:^|(?<=\s))within(?=\s|[0-9.]|$)", end)
    return (end[: place.start()].strip(), "within", end[place.end() :]) if place else (end, "", "")


def _unreadable(formula: str, reason: str) -> ArgumentError:
    return ArgumentError(f"formula={formula!r}: {reason}")


def _seconds(formula: str, limit: str) -> float:
    """Return the seconds of what comes after ``within``."""
    example = "write 'within 2 s' or 'within 500 ms'"
    if not limit:
        raise _unreadable(formula, f"'within' has no number after it; {example}")
    match = _LIMIT.fullmatch(limit)
    if match is None:
        raise _unreadable(formula, f"{limit!r} after 'within' is no time; {example}")
    number, unit = match["number"], match["unit"].strip()
    if unit not in _UNITS:
        if unit.startswith(","):
            raise _unreadable(formula, f"{limit!r} after 'within': a decimal number has a point")
        wrong = f"the unit {unit!r} is not known" if unit else f"the unit of {number} is missing"
        raise _unreadable(formula, f"{wrong}; {example}")
    seconds = float(number) * _UNITS[unit]
    if not 0 < seconds < math.inf:
        raise _unreadable(formula, f"within={number} {unit} must be finite and above 0")
    return seconds


def _step(formula: str, part: str, k: int, last: int, known: Mapping[str, Emotion]) -> str:
    """Return the name of step `k`, as the vocabulary writes it."""
    if not part:
        places = {0: "it begins with '->'", last: "there is no emotion after the last '->'"}
        raise _unreadable(formula, places.get(k, "two '->' stand in a row; an emotion is missing between"))
    if re.search(r"[+>*%]|(?:^|\s)-|-(?:\s|$)|^[0-9.]", part):
        raise _unreadable(
            formula,
            f"the step {part!r} must be the name of one emotion; give a mixture a name of its own first, and "
            "write '->' without a space in it",
        )
    key, basic = name_key(part), basic_of(part)
    if basic == "neutral":
        raise _unreadable(formula, f"{part!r} can be no step: neutral is what lies between emotions")
    if basic:
        return basic
    found = known.get(key) or next((e for other, e in known.items() if name_key(other) == key), None)
    if found is None:
        raise _unreadable(formula, f"{part!r} is not known{_hint(key, known)}")
    return found.name


def _hint(key: str, known: Iterable[str]) -> str:
    """Return what may have been meant by an unknown step, and the known ones."""
    words = key.split()
    if "within" in words:
        return "; 'within' comes once, after the last step"
    if words[-1] in _UNITS or any(word[0].isdigit() for word in words):
        return "; is 'within' missing before the time?"
    names = [name for name in dict.fromkeys([*BASIC, *map(name_key, known)]) if name != "neutral"]
    more = f" and {len(names) - 24} more" if len(names) > 24 else ""
    hint = did_you_mean(key, names) or did_you_mean(key, ALIASES)
    return f"{hint} (known: {', '.join(names[:24])}{more})"


@dataclass(frozen=True)
class Succession:
    """An emotion over time: emotions that a person shows one after the other.

    Raises
    ------
    ArgumentError
        A name cannot be used or is that of a basic emotion, or the formula cannot be read.
    """

    name: str
    """As it was written, with single spaces; names are compared without regard to capitals."""
    formula: str
    """See `parse_succession`."""
    aliases: tuple[str, ...] = ()
    source: str = ""
    """Where the definition is from."""
    note: str = ""
    """Anything for people."""
    known: InitVar[Mapping[str, Emotion] | None] = None
    """New emotions by name, which the formula may use."""
    steps: tuple[str, ...] = field(init=False, repr=False)
    """Two or more emotions in their order, by the names that their segments have."""
    within: float = field(init=False, repr=False)
    """The next step begins at most so many seconds after the one before has ended."""

    def __post_init__(self, known: Mapping[str, Emotion] | None) -> None:
        _set(self, "name", checked_name(self.name))
        try:
            self._check_names()
            for what in ("formula", "source", "note"):
                checked_text(getattr(self, what), what)
            _set(self, "formula", " ".join(self.formula.split()))
            steps, within = parse_succession(self.formula, known)
        except ArgumentError as error:
            raise ArgumentError(f"emotion {self.name!r}: {error}") from error
        _set(self, "steps", steps)
        _set(self, "within", within)

    @property
    def names(self) -> tuple[str, ...]:
        """Name and aliases."""
        return (self.name, *self.aliases)

    def lacking(self, answers: Iterable[str]) -> tuple[str, ...]:
        """Return the steps that are none of a recogniser's `answers`: it will never be found among them."""
        have = {name_key(answer) for answer in answers}
        return tuple(step for step in dict.fromkeys(self.steps) if name_key(step) not in have)

    def _check_names(self) -> None:
        aliases: object = self.aliases
        if isinstance(aliases, str) or not isinstance(aliases, Iterable):
            raise ArgumentError(f"aliases={aliases!r} must be a tuple of names")
        _set(self, "aliases", tuple(checked_name(alias, "alias") for alias in aliases))
        seen: set[str] = set()
        for name in self.names:
            if basic := basic_of(name):
                raise ArgumentError(f"the name {name!r} is that of the basic emotion {basic}; choose another")
            if name_key(name) in seen:
                raise ArgumentError(f"the name {name!r} is there twice; give it once")
            seen.add(name_key(name))


def _set(frozen: object, name: str, value: object) -> None:
    """Set a field of a frozen dataclass that is being made."""
    object.__setattr__(frozen, name, value)


class Finder:
    """Finds successions in the segments of a film, while it runs.

    The steps must be neighbours among a person's segments: with another emotion in between it is another
    story, as what follows then follows that one. Neutral, which has no segments, may lie between them for
    as long as `Succession.within` allows. Emotions that overlap do not follow each other.

    Parameters
    ----------
    successions
        What to look for.
    """

    def __init__(self, successions: Iterable[Succession]) -> None:
        self.successions = tuple(successions)
        for one in self.successions:
            if not isinstance(one, Succession):
                raise ArgumentError(
                    f"successions holds {one!r}, must hold pyfer.successions.Succession objects"
                )
        self._steps = [tuple(map(name_key, one.steps)) for one in self.successions]
        self._longest = max(map(len, self._steps), default=0)
        self._last: OrderedDict[int, deque[Segment]] = OrderedDict()

    def add(self, segments: Iterable[Segment]) -> list[Segment]:
        """Take segments, those of each person in their order, and return the successions they complete.

        Returns
        -------
        list of `Segment`
            emotion: the name of the succession; onset: that of the first step; apex and offset: those of
            the last step; intensity: the geometric mean of the steps' intensities, as all of them have to
            be there.
        """
        return [found for segment in segments for found in self._add(segment)]

    def finish(self, tracks: Iterable[int] | None = None) -> None:
        """Forget what some persons, or all, have shown."""
        for track in list(self._last) if tracks is None else tracks:
            self._last.pop(int(track), None)

    def _add(self, segment: Segment) -> list[Segment]:
        last = self._last.setdefault(segment.track, deque(maxlen=self._longest))
        self._last.move_to_end(segment.track)
        if len(self._last) > _MOST_PEOPLE:
            self._last.popitem(last=False)
        last.append(segment)
        shown = list(last)
        found = []
        for succession, steps in zip(self.successions, self._steps, strict=True):
            parts = shown[-len(steps) :]
            if tuple(name_key(part.emotion) for part in parts) == steps and _follow(parts, succession.within):
                found.append(_joined(succession.name, parts))
        return found


def _follow(parts: list[Segment], within: float) -> bool:
    """Whether each segment begins when the one before has ended, and soon."""
    pauses = [after.onset - before.offset for before, after in itertools.pairwise(parts)]
    return all(-_ROUNDING <= pause <= within + _ROUNDING for pause in pauses)


def _joined(name: str, parts: list[Segment]) -> Segment:
    first, last = parts[0], parts[-1]
    intensity = math.prod(part.intensity for part in parts) ** (1 / len(parts))
    return Segment(last.track, name, first.onset, last.apex, last.offset, intensity)
