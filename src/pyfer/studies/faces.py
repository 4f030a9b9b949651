"""The two places a study looks at: faces of the wild and faces of a laboratory, with one label each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import FaceData, open_data, split
from pyfer.errors import ArgumentError
from pyfer.studies.common import Integers, Names

_CHOOSING = {"fer2013plus": ("Training", "PublicTest"), "ferplus": ("train", "validation")}
"""Readers whose owner keeps a part for scores: parts to train on and to measure on. A study compares many
things, so the part for scores is never read."""
_SHARES = (0.7, 0.3)
"""Train and test of a set without such parts."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces with a clear label each."""

    data: FaceData
    head: str
    """The head of `data` that the labels are of."""
    spec: str
    """What `open_data` opens it with; it may have more faces than these."""

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: NDArray[np.bool_] | Integers) -> Faces:
        return replace(self, data=self.data[rows])

    @property
    def images(self) -> NDArray[np.uint8]:
        """(n, s, s) or (n, s, s, 3)."""
        return self.data.images

    @property
    def labels(self) -> tuple[str, ...]:
        """The c classes."""
        return self.data.labels[self.head]

    @property
    def truth(self) -> Integers:
        """(n,) index of the label."""
        return np.asarray(self.data.targets[self.head].argmax(axis=1), np.int64)

    @property
    def subjects(self) -> Names | None:
        """(n,) who is shown, where that is known."""
        return self.data.subjects

    def sample(self, most: int, seed: int = 0) -> Faces:
        """Return at most so many faces, drawn at random: each class at about its share."""
        if most >= len(self):
            return self
        return self[np.sort(np.random.default_rng(seed).permutation(len(self))[:most])]


@dataclass(frozen=True, eq=False)
class Wild:
    """Faces of the wild to train on, and others to measure on."""

    train: Faces
    test: Faces


def wild(spec: str, seed: int = 0) -> Wild:
    """Open faces of the wild.

    FER2013 with FER+ is read with FER2013's labels: trained on Training, measured on PublicTest (the reader
    ``ferplus``: train and validation). The options ``split`` and ``labels`` are so given. Any other set is
    dealt out 70 to 30, persons kept together; faces that its owner put in a part for tests are left out.

    Raises
    ------
    ArgumentError
        The spec names a split itself.
    """
    reader, _, rest = spec.partition(":")
    options = dict(parse_qsl(rest.partition("?")[2], keep_blank_values=True))
    if reader in _CHOOSING:
        if "split" in options:
            raise ArgumentError(
                f"wild={spec!r} must not name a split; a study trains on {_CHOOSING[reader][0]} and measures "
                f"on {_CHOOSING[reader][1]}"
            )
        if "labels" not in options:
            spec = with_option(spec, "labels=fer2013")
        parts = (opened(with_option(spec, f"split={name}")) for name in _CHOOSING[reader])
        return Wild(*parts)
    faces = opened(spec)
    if faces.data.splits is not None:
        faces = faces[faces.data.splits != "test"]
    part = split(faces.subjects, faces.truth, _SHARES, seed)
    return Wild(faces[part == 0], faces[part == 1])


def lab(spec: str) -> Faces:
    """Open faces of a laboratory: all of them, for folds by person."""
    return opened(spec)


def opened(spec: str) -> Faces:
    """Return the faces of a data set that have a clear label of its first head."""
    data = open_data(spec)
    head = next(iter(data.labels))
    data = data[data.targets[head].max(axis=1) > 0.5]
    if len(np.unique(data.targets[head].argmax(axis=1))) < 2:
        raise ArgumentError(f"data={spec!r} has faces of fewer than two classes; a study needs two or more")
    return Faces(data, head, spec)


def with_option(spec: str, option: str) -> str:
    """Return a spec with one more option, ``NAME=VALUE``."""
    return f"{spec}{'&' if '?' in spec else '?'}{option}"
