"""Every error pyFER raises on purpose.

::

    PyferError
    ├── ArgumentError   (also ValueError)   a parameter is off: name, value, rule, what to do
    ├── SourceError     (also OSError)      a picture cannot be read; ``kind`` says why in one word
    ├── ModelError                          a model folder is damaged, foreign or unknown
    ├── DataError                           a data set is missing, damaged or does not fit
    │   └── BadDataError                    some of its faces cannot be read; ``problems`` lists them
    ├── TrainingError                       a training run cannot start or go on
    └── MissingExtraError (also ImportError) an optional part is not installed

A bad *argument* raises. A bad *file* among many becomes a row with a status (see `pyfer.results`).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType


class PyferError(Exception):
    """Root of all errors raised on purpose by pyFER."""


class ArgumentError(PyferError, ValueError):
    """A parameter is wrong; the message says its name, its value and the rule."""


class SourceError(PyferError, OSError):
    """A picture cannot be read.

    Parameters
    ----------
    message
        One sentence for the person: which source, what is wrong, what to do.
    kind
        One word for programs: ``missing``, ``empty``, ``directory``, ``unreadable``, ``truncated``,
        ``too_large``, ``unsupported``.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message)
        self.kind = kind


class ModelError(PyferError):
    """A model folder is damaged, foreign or unknown."""


class DataError(PyferError):
    """A data set is missing, damaged or does not fit the task."""


class BadDataError(DataError):
    """Some faces of a data set cannot be read, and nobody said to leave them out.

    Parameters
    ----------
    message
        Counts of each kind of problem, the first places, and what to do.
    problems
        All of them, as `pyfer.datasets.Problem`.
    """

    def __init__(self, message: str, problems: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class TrainingError(PyferError):
    """A training run cannot start or go on."""


class MissingExtraError(PyferError, ImportError):
    """An optional part is not installed; the message names the extra."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for a near match of `value` in `known`, else an empty string."""
    near = difflib.get_close_matches(value, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def need(module: str, extra: str) -> ModuleType:
    """Import `module` or raise `MissingExtraError` naming the `extra` that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module.split('.')[0]} is not installed: pip install 'io-pyfer[{extra}]' brings it"
        ) from error
