"""Definition files as text: TOML to emotions with all its problems, and back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pyfer.emotions import BASIC, Emotion, Examples, basic_of, checked_name
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.successions import Succession, is_succession, steps_in
from pyfer.vocabulary.assembly import Definition, Draft, built_on_time, key_of, resolved

FILE_KEYS = {"name": str, "source": str, "note": str, "basics": bool, "emotion": list, "refused": list}
EMOTION_KEYS = {
    "name": str,
    "formula": str,
    "aliases": list,
    "source": str,
    "note": str,
    "validated": bool,
    "examples": dict,
}
_OF_A_FACE = ("validated", "examples")  # keys that mean nothing for an emotion over time
_EXAMPLES = {"count": int, "point": dict, "model": str, "sha256": str}
REFUSED_KEYS = {"name": str, "formula": str, "reason": str}
_TOML = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
_TOML |= {list: "a list [...]", dict: "a table"}


@dataclass(frozen=True)
class Refused:
    """An emotion that cannot be expressed, and why."""

    name: str
    reason: str
    formula: str = ""
    """What it would be made of; not read."""

    def __post_init__(self) -> None:
        checked_name(self.name)
        if not self.reason.strip():
            raise ArgumentError(f"refused {self.name!r}: reason='' must say why it cannot be expressed")


def parsed(text: str, where: str) -> dict[str, Any]:
    """Return the tree of a TOML text; the error says the line."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ArgumentError(f"{where} is not TOML: {error}") from error


def faults_of(table: object, kinds: Mapping[str, type], needed: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with the keys of a table and with the kinds of their values."""
    if not isinstance(table, dict):
        return [f"{table!r} must be a table of {', '.join(kinds)}"]
    faults = [f"key {key!r} is missing" for key in needed if key not in table]
    for key, value in table.items():
        if key not in kinds:
            faults.append(f"key {key!r} is not known{did_you_mean(key, kinds)} (known: {', '.join(kinds)})")
            continue
        fitting = (int, float) if kinds[key] is float else kinds[key]
        if not isinstance(value, fitting) or (isinstance(value, bool) and kinds[key] is not bool):
            faults.append(f"{key}={value!r} must be {_TOML[kinds[key]]}")
    return faults


def read_emotions(tables: list[Any], source: str) -> tuple[list[Emotion], list[str]]:
    """Return the emotions of a file, but those over time, and its problems, both in the file's order."""
    problems: dict[int, list[str]] = {}
    drafts: dict[int, Draft] = {}
    over_time = {key for table in tables if _is_over_time(table) for key in _keys(table)}
    for k, table in enumerate(tables):
        if _is_over_time(table):
            continue
        drafts[k] = {"name": f"number {k + 1}", "formula": ""}
        faults = faults_of(table, EMOTION_KEYS, ["name"])
        if isinstance(table, dict):
            fitting = {
                key: value for key, value in table.items() if not faults_of({key: value}, EMOTION_KEYS)
            }
            drafts[k] |= {"source": source} | fitting
            drafts[k]["examples"], more = _examples(fitting.get("examples"))
            mixed = built_on_time(drafts[k]["formula"], over_time - _keys(table))
            faults += [*more, *([mixed] if mixed else [])]
        problems[k] = [f"{_who('emotion', k, table)}: {fault}" for fault in faults]
    built, more_problems = resolved(drafts, {}, {k for k, faults in problems.items() if faults})
    for k, problem in more_problems.items():
        problems[k].append(problem)
    return [built[k] for k in sorted(built)], [one for some in problems.values() for one in some]


def _is_over_time(table: object) -> bool:
    return isinstance(table, dict) and is_succession(table.get("formula"))


def _keys(table: object) -> set[str]:
    """Return what the names of a table are found by; no basic emotion can be defined wrongly."""
    if not isinstance(table, dict):
        return set()
    aliases = table["aliases"] if isinstance(table.get("aliases"), list) else []
    names = [name for name in (table.get("name"), *aliases) if isinstance(name, str)]
    return {key_of(name) for name in names if not basic_of(name)}


def read_successions(
    tables: list[Any], source: str, emotions: Iterable[Emotion]
) -> tuple[list[Succession], list[str]]:
    """Return the emotions over time of a file and the problems with them.

    Those with a step that the file defines wrongly are in neither: that step is a problem already.
    """
    known = {key_of(name): emotion for emotion in emotions for name in emotion.names}
    over_time = {key for table in tables if _is_over_time(table) for key in _keys(table)} - known.keys()
    broken = {key for table in tables for key in _keys(table)} - over_time - known.keys()
    found, problems = [], []
    for k, table in enumerate(tables):
        if not _is_over_time(table):
            continue
        faults = faults_of(table, EMOTION_KEYS, ["name"])
        faults += [f"key {key!r} is for emotions of a face" for key in _OF_A_FACE if key in table]
        if faults:
            problems += [f"{_who('emotion', k, table)}: {fault}" for fault in faults]
        elif not broken & {*map(key_of, steps_in(table["formula"]))}:
            try:
                found.append(succession({"source": source} | table, known, over_time))
            except ArgumentError as error:
                problems.append(str(error))
    return found, problems


def succession(draft: Draft, known: Mapping[str, Emotion], over_time: Container[str]) -> Succession:
    """Build an emotion over time, of which no step may be one of those `over_time` (their keys)."""
    if fault := built_on_time(draft["formula"], over_time):
        raise ArgumentError(f"emotion {draft['name']!r}: {fault}")
    return Succession(**draft, known=known)


def _who(section: str, k: int, table: object) -> str:
    name = table.get("name") if isinstance(table, dict) else None
    return f"{section} {name!r}" if isinstance(name, str) else f"{section} number {k + 1}"


def _examples(table: object) -> tuple[Examples | None, list[str]]:
    if table is None:
        return None, []
    faults = [f"examples: {fault}" for fault in faults_of(table, _EXAMPLES, _EXAMPLES)]
    if faults or not isinstance(table, dict):
        return None, faults
    weights = dict.fromkeys(BASIC, 0.0)
    for name, weight in table["point"].items():
        if not basic_of(name):
            known = f"{did_you_mean(name, BASIC)} (known: {', '.join(BASIC)})"
            faults.append(f"examples: point: {name!r} is no basic emotion{known}")
        weights[basic_of(name) or name] = weight
    try:
        return (None if faults else Examples(**{**table, "point": tuple(weights.values())})), faults
    except ArgumentError as error:
        return None, [str(error)]


def read_refused(tables: list[Any]) -> tuple[list[Refused], list[str]]:
    """Return what a file refuses, and the problems with it."""
    refused, problems = [], []
    for k, table in enumerate(tables):
        faults = faults_of(table, REFUSED_KEYS, ["name", "reason"])
        problems += [f"{_who('refused', k, table)}: {fault}" for fault in faults]
        if not faults:
            try:
                refused.append(Refused(**table))
            except ArgumentError as error:
                problems.append(str(error))
    return refused, problems


def table_of(emotion: Definition, source: str) -> dict[str, Any]:
    """Return an emotion as a table of a file with that source; what the file says anyway is left out."""
    table: dict[str, Any] = {"name": emotion.name}
    defaults: dict[str, Any] = {
        "formula": "",
        "aliases": (),
        "source": source,
        "note": "",
        "validated": False,
    }
    table |= {
        key: getattr(emotion, key)
        for key in defaults
        if getattr(emotion, key, defaults[key]) != defaults[key]
    }
    if isinstance(emotion, Emotion) and emotion.examples:
        examples = {one.name: getattr(emotion.examples, one.name) for one in fields(emotion.examples)}
        shares = zip(BASIC, emotion.examples.point, strict=True)
        table["examples"] = {**examples, "point": {basic: share for basic, share in shares if share}}
    return table


def written(tree: Mapping[str, Any]) -> str:
    """Return the TOML of a definition file: fixed order of keys, a block for each emotion."""
    header = "".join(f"{key} = {_toml(tree[key])}\n" for key in ("name", "source", "note") if tree.get(key))
    header += "basics = true\n" if tree.get("basics") else ""
    blocks = [block("emotion", table, EMOTION_KEYS) for table in tree.get("emotion", ())]
    blocks += [block("refused", table, REFUSED_KEYS) for table in tree.get("refused", ())]
    return "\n".join([*([header] if header else []), *blocks])


def block(section: str, table: Mapping[str, Any], kinds: Mapping[str, type]) -> str:
    """Return one ``[[section]]`` of a definition file, its keys in the order of `kinds`."""
    lines = [f"{key} = {_toml(table[key])}" for key in kinds if key in table and key != "examples"]
    if "examples" in table:
        lines += [f"\n[{section}.examples]"]
        lines += [f"{key} = {_toml(table['examples'][key])}" for key in _EXAMPLES if key in table["examples"]]
    return "\n".join([f"[[{section}]]", *lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, str):  # TOML's escapes are JSON's, and DEL besides
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value)
