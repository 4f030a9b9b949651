"""What readers share: options of a spec, tables and arrays that may be damaged, splits by many names."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError, DataError, did_you_mean

Options = dict[str, str]
"""Option -> value, as a spec says them; a reader takes out what it knows."""

SPLITS = ("train", "validation", "test", "all")
"""What the option ``split`` may say, for all readers but `fer2013plus`, which has the names of FER2013."""

_SPLIT_WORDS = {
    "train": r"train(ing)?",
    "validation": r"val(id(ation)?)?|dev(elopment)?|public_?test",
    "test": r"test(ing)?|private_?test",
}
"""Split -> words for it; FER2013's PublicTest was there to choose, PrivateTest to score."""


def split_name(word: str) -> str:
    """Return ``train``, ``validation`` or ``test`` for a word such as ``Val`` or ``PrivateTest``, else ""."""
    for name, words in _SPLIT_WORDS.items():
        if re.fullmatch(words, word.strip(), re.IGNORECASE):
            return name
    return ""


def choice(options: Options, name: str, default: str, allowed: tuple[str, ...]) -> str:
    """Take the option `name` out of `options`; raise `ArgumentError` where its value is not allowed."""
    value = options.pop(name, default)
    if value not in allowed:
        raise ArgumentError(
            f"{name}={value!r} must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}"
        )
    return value


def integer(options: Options, name: str, default: int) -> int:
    """Take the option `name`, a whole number of 0 or more, out of `options`."""
    text = options.pop(name, str(default))
    if not text.isdecimal():
        raise ArgumentError(f"{name}={text!r} must be a whole number, 0 or more")
    return int(text)


def finish(options: Options, reader: str, known: tuple[str, ...]) -> None:
    """Raise `ArgumentError` if an option is left that no one took."""
    for name in options:
        raise ArgumentError(
            f"{name!r} is not an option of {reader} (known: {', '.join(known)}){did_you_mean(name, known)}"
        )


def table(path: Path, columns: tuple[str, ...], *, lean: bool = False) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has at least these columns, or raise `DataError`.

    With `lean`, the rows have no other columns: a long table takes less memory.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; it lists the faces of this data set")
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows: list[dict[str, Any]] = [
                {name: line.get(name) for name in columns} if lean else line
                for line in csv.DictReader(handle)
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a table in UTF-8: {error}") from error
    lacking = [name for name in columns if rows and rows[0].get(name) is None]
    if lacking or not rows:
        raise DataError(
            f"{path} lacks {', '.join(lacking) or 'rows'}; it is not of this data set, or damaged"
        )
    return rows


def arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Return arrays of an ``.npz`` file, or raise `DataError`."""
    if not path.is_file():
        raise DataError(f"{path} is missing; the pictures of this data set should lie there")
    try:
        with path.open("rb") as stream, np.load(stream) as stored:  # np.load forgets to close a damaged file
            return [stored[name] for name in names]
    except Exception as error:  # zip, zlib and numpy have many errors for a damaged file
        raise DataError(f"{path} is damaged or not of this data set: {error}") from error
