"""What is wrong with a data set, or with several that will be used together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyfer.datasets.data import FaceData, Problem
from pyfer.datasets.pictures import OnDone
from pyfer.datasets.registry import parsed, read_all
from pyfer.errors import ArgumentError


@dataclass(frozen=True)
class Part:
    """The faces of one split of one spec."""

    spec: str
    split: str
    """The owner's name for it, or "" where there is none."""
    faces: int
    counts: dict[str, dict[str, int]]
    """head -> label -> faces whose largest share it is."""


@dataclass(frozen=True)
class Report:
    """What `check` found."""

    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The problems without mere remarks (faces that the owner labelled as no emotion)."""
        return tuple(problem for problem in self.problems if problem.kind != "no emotion")

    @property
    def kinds(self) -> dict[str, int]:
        """Kind of problem -> how many."""
        return dict(Counter(problem.kind for problem in self.problems))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON has."""
        return {
            "parts": [vars(part) for part in self.parts],
            "kinds": self.kinds,
            "problems": [vars(problem) for problem in self.problems],
        }


def check(specs: Sequence[str], *, on_done: OnDone | None = None) -> Report:
    """Read data sets that will be used together, such as training and validation, and list what is wrong.

    Beside the faces that cannot be read: classes without a face in a spec, persons who are in two splits or
    specs of one data set, and pictures that occur twice, within a spec or across specs.

    Parameters
    ----------
    specs
        One or more, as for `open_data`.
    on_done
        Called after each picture of a spec with (done, in all).

    Raises
    ------
    ArgumentError
        No spec, or one that is wrong.
    DataError
        A path is missing, or what lies there is damaged as a whole.
    """
    if not specs:
        raise ArgumentError("specs is empty; name one data set or more")
    data = [read_all(spec, on_done) for spec in specs]
    parts = [part for spec, faces in zip(specs, data, strict=True) for part in _parts(spec, faces)]
    problems = [problem for faces in data for problem in faces.left_out]
    for spec, faces in zip(specs, data, strict=True):
        problems += _empty_classes(spec, faces)
    problems += _crossing_subjects(specs, data)
    problems += _same_pictures(specs, data)
    return Report(tuple(parts), tuple(problems))


def _parts(spec: str, faces: FaceData) -> list[Part]:
    splits = np.full(len(faces), "") if faces.splits is None else faces.splits
    names = list(dict.fromkeys(splits.tolist())) or [""]
    return [Part(spec, name, int((splits == name).sum()), _counts(faces[splits == name])) for name in names]


def _counts(faces: FaceData) -> dict[str, dict[str, int]]:
    """Return head -> label -> how many faces have it as the largest share."""
    found = {}
    for head, target in faces.targets.items():
        best = target.argmax(1)[target.any(1)]
        number = np.bincount(best, minlength=target.shape[1]).tolist()
        found[head] = dict(zip(faces.labels[head], number, strict=True))
    return found


def _empty_classes(spec: str, faces: FaceData) -> list[Problem]:
    return [
        Problem("empty class", spec, f"no face of {label!r} (head {head!r})")
        for head, counts in _counts(faces).items()
        for label, number in counts.items()
        if not number
    ]


def _crossing_subjects(specs: Sequence[str], data: Sequence[FaceData]) -> list[Problem]:
    """Return the persons of one data set who are in two splits, or in two specs."""
    places: dict[tuple[str, str], dict[str, int]] = {}
    for spec, faces in zip(specs, data, strict=True):
        if faces.subjects is None:
            continue
        name, path, _ = parsed(spec)
        home = f"{name}:{(path.parent if path.is_file() else path).resolve()}"  # names are of one data set
        splits = np.full(len(faces), "") if faces.splits is None else faces.splits
        for subject, part in zip(faces.subjects.tolist(), splits.tolist(), strict=True):
            if subject:
                here = places.setdefault((home, subject), {})
                key = _called(spec, part)
                here[key] = here.get(key, 0) + 1
    return [
        Problem(
            "subject in two splits", subject, "; ".join(f"{n} faces in {key}" for key, n in there.items())
        )
        for (_, subject), there in places.items()
        if len(there) > 1
    ]


def _called(spec: str, split: str) -> str:
    return f"{split} of {spec}" if split else spec


def _same_pictures(specs: Sequence[str], data: Sequence[FaceData]) -> list[Problem]:
    """Return the faces whose crops are, pixel for pixel, those of an earlier face."""
    first: dict[bytes, tuple[int, str]] = {}
    problems = []
    for k, faces in enumerate(data):
        for name, image in zip(faces.ids.tolist(), faces.images, strict=True):
            key = image.tobytes()
            where, other = first.setdefault(key, (k, name))
            if (where, other) != (k, name):
                place = "the same data set" if where == k else specs[where]
                problems.append(Problem("duplicate file", name, f"same pixels as {other} of {place}"))
    return problems
