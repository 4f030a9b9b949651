"""Emotions: the basic ones with their other names, and new ones as mixtures of them.

The basic emotions are Ekman's six, neutral, and contempt as an eighth (Ekman & Friesen 1986), in the order
of FER+ (Barsoum et al. 2016). Every model says its own labels in its ``model.json``; the names in `BASIC`
are the ones that all of pyFER understands.

Every emotion is a point in the simplex of the basic emotions. They are its corners; a new emotion is a
mixture that a formula gives (see `parse_formula`), and examples may move it::

    Emotion("awe", "fear + 2 surprise").weights     # {'surprise': 0.667, 'fear': 0.333}
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from numbers import Integral, Real

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

NONE = "none of these"
"""The answer for a face that no emotion of the vocabulary explains; no emotion may have this name."""

UNCERTAIN = "uncertain"
"""The answer for a face that cannot be read; no emotion may have this name."""

DOMINANCE = 2.0
"""How much more each part of ``a > b`` weighs than the next.

The ratio 2 : 1 is a convention of this project. Du, Tao & Martinez 2014 say only which emotion dominates,
not by how much.
"""

TOLERANCE = 1e-6
"""Points that differ by no more than this in any weight are the same point."""

LONGEST_NAME = 60
"""Characters a name may have, so that it fits into a table and beside a face."""

Point = tuple[float, ...]
"""Eight weights in the order of `BASIC`."""


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


# --- names -----------------------------------------------------------------------------------------------


def name_key(name: str) -> str:
    """Return what names are compared by: capitals and the width of spaces make no difference."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


def basic_of(name: str) -> str | None:
    """Return the basic emotion that a name or alias stands for, or None."""
    word = name_key(name)
    return word if word in BASIC else ALIASES.get(word)


def checked_name(name: str, what: str = "name") -> str:
    """Return a name for an emotion with single spaces, else as it was written.

    Raises
    ------
    ArgumentError
        It is empty, too long, reserved, or has characters that a formula could not be read with.
    """
    if not isinstance(name, str) or not name.strip():
        raise ArgumentError(f"{what}={name!r} must be a text that is not empty")
    short = " ".join(name.split())
    if len(short) > LONGEST_NAME:
        raise ArgumentError(
            f"{what}={short[:LONGEST_NAME] + '...'!r} has {len(short)} characters, at most {LONGEST_NAME} fit"
        )
    odd = [letter for letter in short if not _fits_a_name(letter)]
    if odd or not re.fullmatch(_NAME, short) or unicodedata.category(short[0])[0] != "L":
        what_is_odd = f"; {odd[0]!r} cannot be in it" if odd else ""
        raise ArgumentError(
            f"{what}={short!r} must begin with a letter and have only letters, digits, spaces, apostrophes, "
            f"and hyphens inside words{what_is_odd}"
        )
    if name_key(short) in (NONE, UNCERTAIN):
        raise ArgumentError(f"{what}={short!r} is what a reading says of a face; choose another name")
    return short


def _fits_a_name(letter: str) -> bool:
    return letter in " -_'’" or unicodedata.category(letter)[0] in "LMN"


# --- formulas --------------------------------------------------------------------------------------------

_WORD = r"[^\s+>*%.\-]+(?:-[^\s+>*%.\-]+)*"  # a hyphen inside a word belongs to it: self-conscious
_NAME = rf"(?![0-9]){_WORD}(?:\s+{_WORD})*"
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TERM = re.compile(
    rf"\s*(?P<operator>[+>-]?)\s*(?:(?P<number>{_NUMBER})\s*(?P<unit>[*%]?)\s*)?(?P<name>{_NAME})?"
)
_HINTS = {
    "(": "there are no parentheses: give the inner part a name of its own and use that name",
    ",": "a decimal number has a point, and '+' joins the parts",
    "=": "the name comes before '=', the formula after it",
    "<": "the emotion that dominates comes first: 'surprise > fear'",
    "−": "a minus is written '-'",
    "*": "the weight comes before the name: '0.5 * fear'",
}
_HINTS |= {")": _HINTS["("], "%": _HINTS["*"], ".": _HINTS["*"]}
_EXAMPLE = "'fear + 2 surprise'"


def parse_formula(formula: str, known: Mapping[str, Emotion] | None = None) -> tuple[Point, Point]:
    """Return what a formula says: a point in the simplex, and what counts against it.

    Parameters
    ----------
    formula
        Parts ``[weight] name`` joined by ``+``, ``-`` and ``>``. A name is a basic emotion, an alias of
        one, or one of `known`, of which the point takes part.

        - ``fear + surprise`` is half of each, ``fear + 2 surprise`` a third and two thirds. A weight is a
          number above 0, also written ``0.7*disgust`` or ``70% disgust``.
        - ``surprise - 0.5 fear``: the signed weights are added for each basic emotion. What is above 0,
          divided by its sum, is the point; what is below 0, divided by the same sum, counts against it. A
          minus has a space on one side at least: ``self-conscious`` is one name.
        - ``disgust > anger``: disgust dominates. Each part of a ``>`` is a sum of its own and weighs half
          of the part before it (`DOMINANCE`): 2/3, 1/3, or of three 4/7, 2/7, 1/7.
    known
        Other emotions by name, which the formula may use.

    Returns
    -------
    tuple
        point, 8 weights of 0 or more with sum 1, and against, 8 weights of 0 or more; in the order of
        `BASIC`.

    Raises
    ------
    ArgumentError
        The formula is empty or cannot be read, names an unknown emotion, or leaves nothing above 0.
    """
    total = [0.0] * len(BASIC)
    for k, group in enumerate(_groups(formula)):
        for i, share in enumerate(_shares(_added(formula, group, known or {}), formula)):
            total[i] += share * DOMINANCE**-k
    signed = _shares(total, formula)
    return tuple(v if v > 0 else 0.0 for v in signed), tuple(-v if v < 0 else 0.0 for v in signed)


def names_in(formula: str) -> tuple[str, ...]:
    """Return the names that a formula uses, as they are written; see `parse_formula` for the errors."""
    return tuple(name for group in _groups(formula) for _, name in group)


def formula_of(point: Sequence[float], against: Sequence[float] = (), digits: int = 2) -> str:
    """Return a formula for a point, such as ``0.5 fear + 0.4 surprise + 0.1 neutral``.

    Parameters
    ----------
    point, against
        8 weights in the order of `BASIC`, as `parse_formula` returns them.
    digits
        Decimals of the weights; a part that they round to 0 is left out.
    """
    text = ""
    for sign, weights in ((" + ", point), (" - ", against)):
        rounded = [(round(float(weight), digits), name) for weight, name in zip(weights, BASIC, strict=False)]
        for weight, name in sorted(rounded, key=lambda part: -part[0]):
            if weight > 0:
                text += sign + (name if weight == 1 else f"{weight!r} {name}")
    return text.removeprefix(" + ")


def _groups(formula: str) -> list[list[tuple[float, str]]]:
    """Return the parts of ``>``, each a list of (signed weight, name)."""
    if not isinstance(formula, str) or not formula.strip():
        raise ArgumentError(f"formula={formula!r} must be a text such as {_EXAMPLE}")
    text = " ".join(formula.split())
    for letter in text:
        if not (_fits_a_name(letter) or letter in "+>*%."):
            raise _unreadable(text, f"{letter!r} is in no formula ({_EXAMPLE} is one)", letter)
    groups: list[list[tuple[float, str]]] = [[]]
    position = 0
    while position < len(text):
        term = _TERM.match(text, position)
        assert term is not None  # each piece of the pattern may be missing
        _check_term(text, term)
        if term["operator"] == ">":
            groups.append([])
        sign = -1.0 if term["operator"] == "-" else 1.0
        groups[-1].append((sign * _weight(text, term), term["name"]))
        position = term.end()
    return groups


def _check_term(text: str, term: re.Match[str]) -> None:
    """Raise an error that says what is wrong with the way a part is written."""
    operator, rest = term["operator"], text[term.end() :]
    if operator and not term.start():
        rule = "; weights are above 0, and what is subtracted comes second: 'surprise - 0.5 fear'"
        raise _unreadable(text, f"it begins with {operator!r}{rule if operator == '-' else ''}")
    if not term["name"]:
        if term["number"]:
            raise _unreadable(text, f"the weight {term['number']} has no emotion after it", rest[:1])
        if operator and not rest:
            raise _unreadable(text, f"it ends with {operator!r}")
        if operator and rest[0] in "+>-":
            raise _unreadable(text, f"{operator!r} and {rest[0]!r} stand in a row; write one of them")
        raise _unreadable(text, f"{rest[0]!r} is in a wrong place", rest[0])
    if term.start() and not operator:
        raise _unreadable(text, f"'+', '-' or '>' is missing before {term[0].strip()!r}")


def _unreadable(formula: str, reason: str, letter: str = "") -> ArgumentError:
    hint = f"; {_HINTS[letter]}" if letter in _HINTS else ""
    return ArgumentError(f"formula={formula!r}: {reason}{hint}")


def _weight(formula: str, term: re.Match[str]) -> float:
    if not term["number"]:
        return 1.0
    weight = float(term["number"]) / (100 if term["unit"] == "%" else 1)
    if not 0 < weight < math.inf:
        raise _unreadable(formula, f"weight={term['number']} of {term['name']!r} must be finite and above 0")
    return weight


def _added(formula: str, terms: list[tuple[float, str]], known: Mapping[str, Emotion]) -> list[float]:
    """Return the 8 signed weights of a sum, scaled so that the largest weight of a part is 1."""
    largest = max(abs(weight) for weight, _ in terms)
    points = [(weight / largest, _point(formula, name, known)) for weight, name in terms]
    return [math.fsum(weight * point[i] for weight, point in points) for i in range(len(BASIC))]


def _point(formula: str, name: str, known: Mapping[str, Emotion]) -> Point:
    basic, key = basic_of(name), name_key(name)
    if basic:
        return _corner(basic)
    found = known.get(key) or next((e for other, e in known.items() if name_key(other) == key), None)
    if found is None:
        raise ArgumentError(f"formula={formula!r}: {name!r} is not known{_hint(name, known)}")
    return found.point


def _hint(name: str, known: Iterable[str]) -> str:
    """Return what may have been meant by an unknown name, and the known ones."""
    key, others = name_key(name), [key for key in dict.fromkeys(map(name_key, known)) if not basic_of(key)]
    if all(basic_of(word) or word in others for word in key.split()):
        hint = "; is a '+' missing?"
    elif all(basic_of(word) or word in others for word in key.split("-")):
        hint = "; to subtract, write spaces around '-'"
    else:
        hint = did_you_mean(key, [*BASIC, *others]) or did_you_mean(key, ALIASES)
    more = f" and {len(others) - 24} more" if len(others) > 24 else ""
    return f"{hint} (known: {', '.join([*BASIC, *others[:24]])}{more})"


def _shares(signed: Sequence[float], formula: str) -> list[float]:
    """Divide signed weights by the sum of those above 0; what only rounding has left becomes 0."""
    signed = [v if abs(v) > 1e-12 else 0.0 for v in signed]
    above = math.fsum(v for v in signed if v > 0)
    if not above:
        raise ArgumentError(f"formula={formula!r}: nothing is left above 0 after the subtraction")
    return [v / above for v in signed]


def _corner(basic: str) -> Point:
    return tuple(float(name == basic) for name in BASIC)


# --- emotions --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Examples:
    """What pictures of an emotion have shown.

    Raises
    ------
    ArgumentError
        A field is outside its range.
    """

    count: int
    """How many examples, 1 or more."""
    point: Point
    """What they and the formula show together: 8 weights in the order of `BASIC`, sum 1."""
    model: str
    """Name of the model that read them."""
    sha256: str
    """Of its network, 64 hexadecimal digits: another network reads the same faces differently."""

    def __post_init__(self) -> None:
        if not _is_number(self.count, Integral) or self.count < 1:
            raise ArgumentError(f"examples: count={self.count!r} must be a whole number, 1 or more")
        if not checked_text(self.model, "examples: model").strip():
            raise ArgumentError(f"examples: model={self.model!r} must be the name of a model")
        if not re.fullmatch("[0-9a-fA-F]{64}", checked_text(self.sha256, "examples: sha256")):
            raise ArgumentError(f"examples: sha256={self.sha256!r} must be 64 hexadecimal digits")
        _set(self, "count", int(self.count))
        _set(self, "sha256", self.sha256.lower())
        _set(self, "point", _checked_point(self.point))


@dataclass(frozen=True)
class Emotion:
    """A basic or new emotion: a point in the simplex of the basic emotions.

    Raises
    ------
    ArgumentError
        A name cannot be used, the formula cannot be read, there is neither a formula nor an example, or a
        new emotion takes the name of a basic one.

    Notes
    -----
    ``dataclasses.replace`` reads the formula again; give it `known` where the formula needs it.
    """

    name: str
    """As it was written, with single spaces; names are compared without regard to capitals."""
    formula: str = ""
    """See `parse_formula`. A basic emotion needs none, nor does one with examples."""
    aliases: tuple[str, ...] = ()
    """Other names for the same emotion."""
    source: str = ""
    """Where the definition is from."""
    note: str = ""
    """Anything for people."""
    validated: bool = False
    """Whether a study of faces has found it as an expression of its own."""
    examples: Examples | None = None
    """What pictures have shown, if there are any."""
    known: InitVar[Mapping[str, Emotion] | None] = None
    """Other emotions by name, which the formula may use."""
    prior: Point | None = field(init=False, repr=False)
    """Point of the formula alone; None where there are only examples."""
    point: Point = field(init=False, repr=False)
    """8 weights of 0 or more with sum 1, in the order of `BASIC`: that of the examples where there are any
    (`pyfer.learning` has taken the formula into account), else `prior`."""
    against: Point = field(init=False, repr=False)
    """8 weights of 0 or more: what the formula subtracts beyond what is there. Evidence of these basic
    emotions counts against this one."""

    def __post_init__(self, known: Mapping[str, Emotion] | None) -> None:
        _set(self, "name", checked_name(self.name))
        try:
            self._check_texts()
            prior, against = self._parsed(known)
            _set(self, "prior", prior)
            _set(self, "against", against)
            _set(self, "point", self._moved())
            self._check_names()
        except ArgumentError as error:
            raise ArgumentError(f"emotion {self.name!r}: {error}") from error

    @property
    def names(self) -> tuple[str, ...]:
        """Name and aliases."""
        return (self.name, *self.aliases)

    @property
    def weights(self) -> dict[str, float]:
        """Basic emotion -> weight, the largest first, without those of weight 0."""
        parts = sorted(zip(BASIC, self.point, strict=True), key=lambda part: -part[1])
        return {name: weight for name, weight in parts if weight > 0}

    def _check_texts(self) -> None:
        _set(self, "aliases", _checked_aliases(self.aliases))
        for what in ("formula", "source", "note"):
            checked_text(getattr(self, what), what)
        _set(self, "formula", " ".join(self.formula.split()))
        if not isinstance(self.validated, bool):
            raise ArgumentError(f"validated={self.validated!r} must be True or False")
        if not isinstance(self.examples, Examples | None):
            raise ArgumentError(f"examples={self.examples!r} must be pyfer.emotions.Examples or None")

    def _parsed(self, known: Mapping[str, Emotion] | None) -> tuple[Point | None, Point]:
        """Return the point of the formula, if there is one, and what counts against it."""
        nothing = (0.0,) * len(BASIC)
        if self.formula:
            return parse_formula(self.formula, known)
        if basic := basic_of(self.name):
            return _corner(basic), nothing
        if self.examples is None:
            raise ArgumentError(f"formula='' must say what it is made of, as in {_EXAMPLE}, or give examples")
        return None, nothing

    def _moved(self) -> Point:
        """Return the point of formula and examples together."""
        if self.examples is None:
            assert self.prior is not None
            return self.prior
        whole = math.fsum(self.examples.point)
        return tuple(v / whole for v in self.examples.point)

    def _check_names(self) -> None:
        seen: set[str] = set()
        for name in self.names:
            basic = basic_of(name)
            if basic and not is_same((self.point, self.against), (_corner(basic), (0.0,) * len(BASIC))):
                raise ArgumentError(
                    f"the name {name!r} is that of the basic emotion {basic}, which nothing can move; "
                    f"{formula_of(self.point, self.against)} needs another name"
                )
            if name_key(name) in seen:
                raise ArgumentError(f"the name {name!r} is there twice; give it once")
            seen.add(name_key(name))


def is_same(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two (point, against) are the same within `TOLERANCE`."""
    pairs = zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True)
    return all(abs(a - b) <= TOLERANCE for a, b in pairs)


def _set(frozen: object, name: str, value: object) -> None:
    """Set a field of a frozen dataclass that is being made."""
    object.__setattr__(frozen, name, value)


def _is_number(value: object, kind: type = Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _checked_aliases(aliases: object) -> tuple[str, ...]:
    if isinstance(aliases, str) or not isinstance(aliases, Iterable):
        raise ArgumentError(f"aliases={aliases!r} must be a tuple of names")
    return tuple(checked_name(alias, "alias") for alias in aliases)


def checked_text(text: object, what: str) -> str:
    """Return a text that can be written to a file."""
    if not isinstance(text, str):
        raise ArgumentError(f"{what}={text!r} must be a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{what}={text!r} must be text that UTF-8 can write: {error.reason}") from error
    return text


def _checked_point(weights: Iterable[float]) -> Point:
    """Return 8 weights as floats; their sum may be off by 0.001, as that of a float32 softmax may."""
    values = tuple(weights) if isinstance(weights, Iterable) else ()
    right = len(values) == len(BASIC) and all(_is_number(v) and 0 <= v < math.inf for v in values)
    if not right or abs(math.fsum(values) - 1) > 1e-3:
        raise ArgumentError(
            f"examples: point={weights!r} must be 8 weights of 0 or more with sum 1 ({', '.join(BASIC)})"
        )
    return tuple(float(v) for v in values)
