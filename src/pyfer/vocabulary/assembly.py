"""Putting emotions together: repeated definitions, clashes, formulas that name each other, steps."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import (
    BASIC,
    TOLERANCE,
    Emotion,
    Point,
    basic_of,
    formula_of,
    is_same,
    name_key,
    names_in,
)
from pyfer.errors import ArgumentError
from pyfer.successions import Succession, formula_over_time, is_succession, steps_in

Draft = dict[str, Any]
"""What `Emotion` takes, by the names of its fields."""

Definition = Emotion | Succession
"""What a name of a definition file stands for."""


def key_of(name: str) -> str:
    """Return what a name is found by: aliases of basic emotions lead to those."""
    return basic_of(name) or name_key(name)


@cache
def bare() -> tuple[Emotion, ...]:
    """Return the basic emotions with nothing said about them."""
    return tuple(Emotion(basic) for basic in BASIC)


def rows_of(points: list[Point]) -> NDArray[np.float64]:
    """Return points as the rows of a matrix (k, 8) that cannot be written to."""
    rows = np.array(points, np.float64).reshape(len(points), len(BASIC))
    rows.flags.writeable = False
    return rows


def listed(where: str, problems: list[str]) -> str:
    """Return the text of one error for one or more problems."""
    if len(problems) == 1:
        return f"{where}: {problems[0]}"
    return "\n  ".join([f"{where}: {len(problems)} problems, nothing of it is used", *problems])


def meaning(emotion: Definition) -> str:
    """Return what an emotion comes to: its mixture of basic ones, or its steps."""
    if isinstance(emotion, Succession):
        return formula_over_time(emotion.steps, emotion.within)
    return formula_of(emotion.point, emotion.against)


def described(emotion: Definition) -> str:
    """Return an emotion for an error that names two of them."""
    source = f" ({emotion.source})" if emotion.source else ""
    return f"{emotion.name!r} = {meaning(emotion)}{source}"


def same(one: Definition, other: Definition) -> bool:
    """Whether no face, or no film, can tell two emotions apart."""
    if isinstance(one, Succession) or isinstance(other, Succession):
        return isinstance(one, Succession) and isinstance(other, Succession) and _same_steps(one, other)
    return is_same((one.point, one.against), (other.point, other.against))


def _same_steps(one: Succession, other: Succession) -> bool:
    return (one.steps, one.within) == (other.steps, other.within)


def assembled(emotions: list[Emotion], refused: Container[str] = ()) -> tuple[list[Emotion], list[str]]:
    """Return the emotions with repeated definitions merged, and what is wrong with them as a set.

    No emotion may have a name whose key is in `refused`.
    """
    kept: dict[int, Emotion] = {}
    owner: dict[str, int] = {}
    problems = []
    for k, given in enumerate(emotions):
        if not isinstance(given, Emotion):
            raise ArgumentError(f"emotions holds {given!r}, must hold pyfer.Emotion objects")
        emotion, problem = _as_basic(given)
        mine = [key_of(name) for name in emotion.names]
        others = sorted({owner[key] for key in mine if key in owner})
        clash = next((kept[j] for j in others if not same(kept[j], emotion)), None)
        if clash:
            shared = next(name for name in emotion.names if key_of(name) in {*map(key_of, clash.names)})
            problem = (
                f"two emotions have the name {shared!r}: {described(clash)}, and {described(emotion)}; "
                "rename one"
            )
        if problem:
            problems.append(problem)
            continue
        place = others[0] if others else k
        for j in others:
            emotion = _merged(kept.pop(j), emotion) if j == place else _merged(emotion, kept.pop(j))
        kept[place] = emotion
        owner |= {key_of(name): place for name in emotion.names}
    result = [kept[k] for k in sorted(kept)]
    both = [name for one in result for name in one.names if key_of(name) in refused]
    problems += [f"{name!r} is both defined and refused; keep one of the two" for name in both]
    return result, problems + _at_one_point(result)


def _as_basic(emotion: Emotion) -> tuple[Emotion, str]:
    """Return an emotion at a corner under the name of that basic emotion, or a problem."""
    corner = next((basic for basic in bare() if same(basic, emotion)), None)
    if corner is None:
        return emotion, ""
    if corner.name not in map(basic_of, emotion.names):
        return emotion, (
            f"{emotion.name!r} is the basic emotion {corner.name} under another name; say so with "
            f"name = {corner.name!r} and aliases = [{emotion.name!r}]"
        )
    return _changed(emotion, name=corner.name, names=emotion.names), ""


def _merged(first: Emotion, second: Emotion) -> Emotion:
    """Return one emotion of two at one point: the first, unless nothing is known about it."""
    leading = first if first.source or first.note or first.validated or first.examples else second
    return _changed(leading, name=first.name, names=(*first.names, *second.names))


def _changed(emotion: Emotion, name: str, names: Iterable[str]) -> Emotion:
    """Return an emotion under another name; its formula is not read again."""
    aliases: dict[str, str] = {}
    for other in names:
        if not basic_of(other) and name_key(other) != name_key(name):
            aliases.setdefault(name_key(other), other)
    twin = copy.copy(emotion)  # dataclasses.replace would read it again, without those it names
    vars(twin).update(name=name, aliases=tuple(aliases.values()))
    return twin


def _at_one_point(emotions: list[Emotion]) -> list[str]:
    both = np.hstack([rows_of([e.point for e in emotions]), rows_of([e.against for e in emotions])])
    problems = []
    for k in range(1, len(both)):
        for j in np.flatnonzero((np.abs(both[:k] - both[k]) <= TOLERANCE).all(1))[:1]:
            one, other = emotions[j], emotions[k]
            problems.append(
                f"{described(one)} and {described(other)} are two names for one point, which no picture "
                f"can tell apart; keep one, with aliases = [{other.name!r}] or [{one.name!r}]"
            )
    return problems


def self_contained(emotions: list[Emotion]) -> list[Emotion]:
    """Write formulas out that say something else, or nothing, with these emotions alone."""
    nested = {k for k, e in enumerate(emotions) if e.formula and not all(map(basic_of, names_in(e.formula)))}
    while nested:
        drafts = {k: _draft(emotion) for k, emotion in enumerate(emotions)}
        built, problems = resolved(drafts, {})
        odd = [k for k in nested if k in problems or (k in built and not _same_prior(built[k], emotions[k]))]
        if not odd:
            return [built[k] for k in range(len(emotions))]
        for k in odd:
            prior, against = emotions[k].prior, emotions[k].against
            assert prior is not None  # it has a formula
            drafts[k]["formula"] = formula_of(prior, against, digits=9)
            emotions = [*emotions[:k], Emotion(**drafts[k]), *emotions[k + 1 :]]
        nested -= set(odd)
    return emotions


def _same_prior(one: Emotion, other: Emotion) -> bool:
    return is_same((one.prior or (), one.against), (other.prior or (), other.against))


def _draft(emotion: Emotion) -> Draft:
    return {one.name: getattr(emotion, one.name) for one in fields(emotion) if one.init}


def resolved(
    drafts: Mapping[int, Draft], known: Mapping[str, Emotion], broken: Iterable[int] = ()
) -> tuple[dict[int, Emotion], dict[int, str]]:
    """Build emotions whose formulas name each other, in any order.

    Returns
    -------
    tuple
        emotions, and problems by the number of the draft. What builds on a problem (or on a draft in
        `broken`) is in neither.
    """
    owner: dict[str, int] = {}
    needs: dict[int, set[int]] = {}
    problems: dict[int, str] = {}
    for k, draft in drafts.items():
        for name in (draft["name"], *draft.get("aliases", ())):
            owner.setdefault(key_of(str(name)), k)
    for k, draft in drafts.items():
        try:
            used = names_in(draft["formula"]) if draft["formula"] else ()
        except ArgumentError as error:
            used, problems[k] = (), f"emotion {draft['name']!r}: {error}"
        needs[k] = {owner[key_of(name)] for name in used if key_of(name) in owner and not basic_of(name)}
    names = {k: draft["name"] for k, draft in drafts.items()}
    built: dict[int, Emotion] = {}
    pool = {name_key(name): emotion for name, emotion in known.items()}
    for k in _ordered(needs, names, problems):
        if k in problems or k in broken or not needs[k] <= built.keys():
            continue
        try:
            built[k] = Emotion(**drafts[k], known=pool)
        except ArgumentError as error:
            problems[k] = str(error)
        else:
            pool |= {name_key(name): built[k] for name in built[k].names}
    return built, problems


def _ordered(needs: Mapping[int, set[int]], names: Mapping[int, str], problems: dict[int, str]) -> list[int]:
    """Return the order to build in; each circle becomes a problem of its first member."""
    graph = dict(needs)
    while True:
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = error.args[1][:0:-1]  # graphlib goes from what is needed to what needs it
            start = circle.index(min(circle))
            circle = circle[start:] + circle[:start]
            path = " -> ".join(names[k] for k in (*circle, circle[0]))
            problems[circle[0]] = (
                f"emotion {names[circle[0]]!r}: the formulas go in a circle: {path}; write one of them with "
                "basic emotions"
            )
            graph |= {k: set() for k in circle}


# --- emotions over time ----------------------------------------------------------------------------------


def sequenced(
    successions: Iterable[Succession], known: Mapping[str, Emotion], refused: Container[str] = ()
) -> tuple[list[Succession], list[str]]:
    """Return the successions over a vocabulary's emotions, and what is wrong with them as a set.

    Repeated definitions count once; steps get the names that the vocabulary has for them.

    Parameters
    ----------
    successions
        As they were given.
    known
        Emotions by the `key_of` of their names.
    refused
        Keys that no succession may have as a name.
    """
    kept: dict[str, Succession] = {}
    problems = []
    for given in successions:
        try:
            one = replace(given, known=known)
        except ArgumentError as error:
            problems.append(str(error))
            continue
        clashes = [(name, kept.get(key_of(name)) or known.get(key_of(name))) for name in one.names]
        clash = next(((name, other) for name, other in clashes if other and not same(one, other)), None)
        if clash:
            problems.append(
                f"two emotions have the name {clash[0]!r}: {described(clash[1])}, and {described(one)}; "
                "rename one"
            )
        elif both := [name for name in one.names if key_of(name) in refused]:
            problems.append(f"{both[0]!r} is both defined and refused; keep one of the two")
        else:
            same_ones = [kept[key] for key in map(key_of, one.names) if key in kept]
            one = _renamed([*same_ones, one], known)
            kept |= {key_of(name): one for name in one.names}
    return list(dict.fromkeys(kept.values())), problems


def _renamed(successions: list[Succession], known: Mapping[str, Emotion]) -> Succession:
    """Return the first of some that are the same, with the names of all."""
    first = successions[0]
    names = {name_key(name): name for one in reversed(successions) for name in reversed(one.names)}
    del names[name_key(first.name)]
    return replace(first, aliases=tuple(reversed(names.values())), known=known)


def built_on_time(formula: str, over_time: Container[str]) -> str:
    """Return what is wrong with a formula that uses an emotion over time (their keys), or nothing."""
    part = "step" if is_succession(formula) else "part of a mixture"
    try:
        names = steps_in(formula) if is_succession(formula) else names_in(formula) if formula else ()
    except ArgumentError:
        return ""  # whoever reads it says so
    wrong = [name for name in names if key_of(name) in over_time and not basic_of(name)]
    return f"formula={formula!r}: {wrong[0]!r} is an emotion over time and can be no {part}" if wrong else ""
