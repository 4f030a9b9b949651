"""Vocabularies by name: catalogues, files, definitions on the spot, and the user's own emotions."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pyfer.emotions import BASIC, Emotion, names_in
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.files import home, replace_file
from pyfer.successions import Succession, is_succession
from pyfer.vocabulary.assembly import (
    Definition,
    Draft,
    built_on_time,
    described,
    key_of,
    listed,
    meaning,
    resolved,
    same,
)
from pyfer.vocabulary.collection import Vocabulary, joined
from pyfer.vocabulary.definitions import EMOTION_KEYS, block, succession, table_of, written

if sys.platform != "win32":
    import fcntl

MINE = "mine"
"""What the user's own file is called where a vocabulary is named."""
_CATALOGUES = Path(__file__).parents[1] / "catalogues"


def catalogues() -> tuple[str, ...]:
    """Return the names of the catalogues that ship with pyFER."""
    return tuple(sorted(path.stem for path in _CATALOGUES.glob("*.toml")))


@cache
def catalogue(name: str) -> Vocabulary:
    """Return a catalogue that ships with pyFER: what its file lists, no other basic emotions."""
    if name not in catalogues():
        raise ArgumentError(
            f"catalogue={name!r} must be one of {', '.join(catalogues())}{did_you_mean(name, catalogues())}"
        )
    return _of_file(_CATALOGUES / f"{name}.toml")


def load(spec: str | Path | Vocabulary | Iterable[Definition], *, basics: bool = True) -> Vocabulary:
    """Return the vocabulary that `spec` names.

    Parameters
    ----------
    spec
        A comma-separated list of: the name of a catalogue (see `catalogues`); ``mine``, the user's own
        file; the path of a ``.toml`` file; a definition such as ``awe = fear + surprise`` or ``relief =
        fear -> happiness within 2 s``, which may name emotions of the rest of the list. Or a path, emotions,
        or a vocabulary, which is returned as it is.
    basics
        Whether the eight basic emotions come first, listed or not.

    Raises
    ------
    ArgumentError
        A part is unknown or damaged, or the parts do not go together.
    """
    if isinstance(spec, Vocabulary):
        return spec
    if isinstance(spec, Path):
        return joined([_of_file(spec)], basics=basics)
    if isinstance(spec, Emotion | Succession):
        return Vocabulary([spec], basics=basics)
    if not isinstance(spec, str):
        return Vocabulary(spec, basics=basics)
    parts: list[Vocabulary] = []
    drafts: dict[int, Draft] = {}
    for k, part in enumerate(map(str.strip, spec.split(","))):
        if "=" in part and not part.lower().endswith(".toml"):
            name, _, formula = part.partition("=")
            drafts[k] = {"name": name.strip(), "formula": formula.strip()}
        else:
            parts.append(_part(part, spec))
    return joined(parts, _defined(drafts, parts, spec), basics)


def _defined(drafts: dict[int, Draft], parts: list[Vocabulary], spec: str) -> list[Definition]:
    """Return what a list defines on the spot, in its order; it may build on the parts of the list."""
    later = {k: draft for k, draft in drafts.items() if is_succession(draft["formula"])}
    over_time = {key_of(draft["name"]) for draft in later.values()}
    over_time |= {key_of(name) for part in parts for one in part.successions for name in one.names}
    now = {k: draft for k, draft in drafts.items() if k not in later}
    mixed = {k: built_on_time(draft["formula"], over_time) for k, draft in now.items()}
    problems = {k: f"emotion {now[k]['name']!r}: {fault}" for k, fault in mixed.items() if fault}
    known = {name: emotion for part in parts for name, emotion in part.known.items()}
    built, more = resolved({k: draft for k, draft in now.items() if k not in problems}, known)
    problems |= more
    known |= {key_of(name): emotion for emotion in built.values() for name in emotion.names}
    found: dict[int, Definition] = {**built}
    for k, draft in later.items() if not problems else ():
        try:
            found[k] = succession(draft, known, over_time - known.keys())
        except ArgumentError as error:
            problems[k] = str(error)
    if problems:
        raise ArgumentError(listed(f"emotions={spec!r}", [problems[k] for k in sorted(problems)]))
    return [found[k] for k in sorted(found)]


def _part(part: str, spec: str) -> Vocabulary:
    if part.lower().endswith(".toml"):
        return _of_file(Path(os.path.expanduser(part)))  # noqa: PTH111  (see pyfer.files.home)
    if part.lower() == MINE:
        if not mine().exists():
            raise ArgumentError(f"emotions={MINE!r}: you have defined none yet, {str(mine())!r} is missing")
        return _of_file(mine())
    if part.lower() in catalogues():
        return catalogue(part.lower())
    names = [*catalogues(), MINE]
    homes = [name for name in catalogues() if part and part in catalogue(name)]
    hint = f"; it is an emotion of {', '.join(homes)}" if homes else did_you_mean(part, names)
    hint = "; give it a name: 'relief = fear -> happiness'" if is_succession(part) else hint
    hint = hint if not part[:1].isdigit() else "; a comma separates the parts, so decimals have a point"
    raise ArgumentError(
        f"emotions={spec!r}: {part!r} must be one of {', '.join(names)}, a path that ends with .toml, or a "
        f"definition such as 'awe = fear + surprise'{hint}"
    )


def _of_file(path: Path) -> Vocabulary:
    return Vocabulary.from_toml(_read(path), f"emotions={str(path)!r}")


# --- the user's own emotions -----------------------------------------------------------------------------


def mine() -> Path:
    """Return the file of the user's own emotions; it need not exist."""
    return home() / "emotions.toml"


def define(emotion: Definition, path: Path | None = None, *, replace: bool = False) -> Path:
    """Add an emotion to a definition file, by default the user's own, and return its path.

    Parameters
    ----------
    emotion
        Of a face, or over time. Its formula may name emotions of that file.
    path
        The file; it is made if it is missing.
    replace
        Whether it takes the place of an emotion with that name. Those whose formulas name it follow, and
        comments in the file are lost.

    Raises
    ------
    ArgumentError
        The file has a problem, with the emotion or without it, or cannot be written; then it is as it was.
    """
    path = path or mine()
    with _locked(path):
        text = _read(path) if path.exists() else ""
        old = Vocabulary.from_toml(text, f"emotions={str(path)!r}")
        tree, table = tomllib.loads(text), table_of(emotion, old.source)
        places = [
            k for k, one in enumerate(tree.get("emotion", ())) if key_of(one["name"]) == key_of(emotion.name)
        ]
        if places and not replace and not same(old.definition(emotion.name), emotion):
            raise ArgumentError(
                f"{described(old.definition(emotion.name))} is in {str(path)!r} already; choose another "
                "name, or say that it is to be replaced (replace=True)"
            )
        if places:
            tree["emotion"][places[0]] = table
            tree["emotion"] = [one for k, one in enumerate(tree["emotion"]) if k not in places[1:]]
            text = written(tree)
        elif "emotion" not in tree or "[[emotion]]" in text:  # what is there stays to the letter
            text = text.rstrip() + "\n\n" * bool(text.strip()) + block("emotion", table, EMOTION_KEYS)
        else:
            text = written({**tree, "emotion": [*tree["emotion"], table]})
        both = Vocabulary.from_toml(text, f"emotions={str(path)!r} with {emotion.name!r}")
        new = both.definition(emotion.name)
        if not same(new, emotion):
            raise ArgumentError(
                f"{described(emotion)}; among the emotions of {str(path)!r} its formula "
                f"{emotion.formula!r} is {meaning(new)}; write it with basic emotions"
            )
        _replace(path, text)
    return path


def forget(name: str, path: Path | None = None) -> Definition:
    """Take an emotion out of a definition file, by default the user's own, and return it.

    Raises
    ------
    ArgumentError
        The file is missing, has a problem or cannot be written, no emotion has that name, or another one is
        built on it; then the file is as it was. Comments in the file are lost.
    """
    path = path or mine()
    if not path.exists():
        raise ArgumentError(f"emotion={name!r} cannot be forgotten: {str(path)!r} is missing")
    with _locked(path):
        text = _read(path)
        old = Vocabulary.from_toml(text, f"emotions={str(path)!r}")
        tree, gone = tomllib.loads(text), old.definition(name)
        kept = [one for one in tree.get("emotion", ()) if key_of(one["name"]) != key_of(name)]
        if len(kept) == len(tree.get("emotion", ())):
            raise ArgumentError(
                f"emotion={name!r} cannot be forgotten: it is "
                + (f"an alias of {gone.name!r}" if key_of(gone.name) != key_of(name) else "a basic emotion")
            )
        names = {key_of(one) for one in gone.names} - {*BASIC}
        users = [e.name for e in old if e.formula and names & {*map(key_of, names_in(e.formula))}]
        users += [e.name for e in old.successions if names & {*map(key_of, e.steps)}]
        if users:
            raise ArgumentError(
                f"emotion={name!r} cannot be forgotten: {', '.join(map(repr, users))} "
                + (
                    "is built on it; forget that first"
                    if len(users) == 1
                    else "are built on it; forget them first"
                )
            )
        _replace(path, written({**tree, "emotion": kept}))
    return gone


def _replace(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise ArgumentError(f"emotions={str(path)!r} cannot be written: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a definition file, so that of two processes that change it none is lost.

    The lock is a file of its own, as the definition file is replaced each time. It stays: taking it away
    would let two processes lock two files of that name.
    """
    lock = path.resolve().with_name(f".{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("ab")
    except OSError as error:
        raise ArgumentError(f"emotions={str(path)!r} cannot be written: {error.strerror}") from error
    with stream:
        if sys.platform != "win32":
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(stream, fcntl.LOCK_EX)  # let go when the file is closed
        yield


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows write a mark at the front
    except OSError as error:
        raise ArgumentError(f"emotions={str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ArgumentError(f"emotions={str(path)!r} is not text in UTF-8: {error}") from error
