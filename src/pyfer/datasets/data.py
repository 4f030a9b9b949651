"""Face crops with what is known about them, and what is wrong with a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import canonical
from pyfer.errors import ArgumentError, DataError

BAD = ("missing file", "corrupt picture", "unknown label", "no face", "duplicate file")
"""Kinds of `Problem` that concern one face: a data set that has them is not opened unless told so."""

REMARKS = ("subject in two splits", "empty class", "no emotion")
"""Kinds of `Problem` that concern the data set: faces are read all the same. ``no emotion`` counts faces that
the owner of the data set labelled as none, and is no fault."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a face or with a data set, see `BAD` and `REMARKS`."""

    kind: str
    """One of `BAD` or `REMARKS`."""
    where: str
    """The file, or the face's name where it has no file of its own."""
    detail: str = ""
    """What is wrong, in a sentence."""

    def __post_init__(self) -> None:
        if self.kind not in (*BAD, *REMARKS):
            raise ArgumentError(f"kind={self.kind!r} must be one of {', '.join((*BAD, *REMARKS))}")

    @property
    def is_bad(self) -> bool:
        """Whether a face could not be read because of it."""
        return self.kind in BAD


@dataclass(frozen=True, eq=False)
class FaceData:
    """Face crops with what is known about them; all arrays have the same length n.

    A *head* is one way of labelling: FER+ votes and FER2013's own labels are two heads of one data set.
    """

    images: NDArray[np.uint8]
    """(n, h, w) gray or (n, h, w, 3) RGB."""
    targets: Mapping[str, NDArray[np.float32]]
    """head -> (n, c); each row sums to 1, or to 0 where the head has no label for that face."""
    labels: Mapping[str, tuple[str, ...]]
    """head -> the c label names."""
    ids: NDArray[np.str_]
    """(n,) a name for each face that the owner of the data set would recognise."""
    subjects: NDArray[np.str_] | None = None
    """(n,) who is shown, where the data set says so."""
    votes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """head -> (n, c) raw votes of annotators, where there are any."""
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    """what is known of the persons, as ``"age"`` -> (n,) names of groups; empty where it is not said."""
    splits: NDArray[np.str_] | None = None
    """(n,) the part that the owner puts each face in, such as ``train``, where there are such parts."""
    left_out: tuple[Problem, ...] = ()
    """what could not be read and is not among the faces."""

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim not in (3, 4):
            raise DataError(f"images={self.images.dtype}{self.images.shape} must be uint8 (n, h, w[, 3])")
        columns: dict[str, Any] = {"ids": self.ids, "subjects": self.subjects, **self.targets}
        columns["splits"] = self.splits
        columns |= {f"votes of {head}": votes for head, votes in self.votes.items()}
        columns |= {f"group {name}": group for name, group in self.groups.items()}
        for name, column in columns.items():
            if column is not None and len(column) != n:
                raise DataError(f"{name} has {len(column)} rows for {n} images; they must be equal")
        for head, target in self.targets.items():
            if target.shape[1] != len(self.labels.get(head, ())):
                raise DataError(
                    f"targets[{head!r}] has {target.shape[1]} columns, labels {self.labels.get(head)}"
                )
            total = target.sum(1)
            if not (
                (target >= 0).all() and np.isclose(total, np.rint(np.minimum(total, 1)), atol=1e-3).all()
            ):
                raise DataError(f"targets[{head!r}] must have rows of shares with sum 1, or 0 for no label")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> FaceData:
        """Return the faces that a mask, an index array or a slice selects."""
        return replace(
            self,
            images=self.images[rows],
            targets={h: t[rows] for h, t in self.targets.items()},
            ids=self.ids[rows],
            subjects=None if self.subjects is None else self.subjects[rows],
            votes={h: v[rows] for h, v in self.votes.items()},
            groups={name: group[rows] for name, group in self.groups.items()},
            splits=None if self.splits is None else self.splits[rows],
        )

    def of_classes(self, classes: Sequence[str]) -> FaceData:
        """Return the faces of some classes: each head keeps these labels, and its shares sum to 1 again.

        A face's label is the class with the largest share; faces that have another label, in all heads, are
        left out. Heads that know fewer than two of the classes go.

        Raises
        ------
        ArgumentError
            No head knows two of the classes.
        """
        known = dict.fromkeys(name for names in self.labels.values() for name in names)
        wanted = {canonical(name, known) for name in classes}
        targets, labels = {}, {}
        for head, names in self.labels.items():
            columns = [k for k, name in enumerate(names) if name in wanted]
            if len(columns) < 2:
                continue
            target = self.targets[head]
            part = target[:, columns]
            total = part.sum(1, keepdims=True)
            is_one = (part.max(1) >= target.max(1)) & (total[:, 0] > 0)
            targets[head] = np.where(is_one[:, None], part / np.maximum(total, 1e-9), 0).astype(np.float32)
            labels[head] = tuple(names[k] for k in columns)
        if not targets:
            raise ArgumentError(
                f"classes={classes!r} must name two or more of the labels of one head: "
                + "; ".join(f"{head} has {', '.join(names)}" for head, names in self.labels.items())
            )
        some = np.any([target.any(1) for target in targets.values()], axis=0)
        return replace(self, targets=targets, labels=labels, votes={})[some]

    def labelled(self, head: str) -> FaceData:
        """Return the faces that `head` has a label for."""
        if head not in self.targets:
            raise ArgumentError(
                f"labels={head!r} is not a head of this data set; it has {', '.join(self.targets)}"
            )
        return self[self.targets[head].sum(1) > 0]


def concatenate(parts: list[FaceData]) -> FaceData:
    """Join data sets of one picture shape; a head that a part lacks is 'no label' there.

    Votes are kept for the heads for which all parts have them, subjects and splits if all parts name them:
    there is no value that says 'not asked'.

    Raises
    ------
    DataError
        The pictures, the labels of a head or the votes for it differ in shape or names.
    """
    labels = {head: names for part in parts for head, names in part.labels.items()}
    for part in parts:
        for head, names in part.labels.items():
            if names != labels[head]:
                raise DataError(
                    f"head {head!r} has labels {names} in one data set, {labels[head]} in another"
                )
    shapes = {part.images.shape[1:] for part in parts}
    if len(shapes) != 1:
        raise DataError(f"pictures have different shapes {sorted(shapes)}; join data sets of one shape")
    targets = {
        head: np.concatenate([p.targets.get(head, np.zeros((len(p), len(names)), np.float32)) for p in parts])
        for head, names in labels.items()
    }
    return FaceData(
        np.concatenate([p.images for p in parts]),
        targets,
        labels,
        np.concatenate([p.ids for p in parts]),
        _of_all([p.subjects for p in parts]),
        _joint_votes(parts),
        _joint_groups(parts),
        _of_all([p.splits for p in parts]),
        tuple(problem for p in parts for problem in p.left_out),
    )


def _of_all(columns: Sequence[NDArray[np.str_] | None]) -> NDArray[np.str_] | None:
    """Return the joint column if every part has one."""
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def _joint_groups(parts: list[FaceData]) -> dict[str, NDArray[np.str_]]:
    """Return the groups that any part names; a part that does not name them says nothing."""
    names = dict.fromkeys(name for part in parts for name in part.groups)
    return {
        name: np.concatenate([part.groups.get(name, np.full(len(part), "")) for part in parts])
        for name in names
    }


def _joint_votes(parts: list[FaceData]) -> dict[str, NDArray[np.float32]]:
    joint = {}
    for head in parts[0].votes:
        columns = [p.votes[head] for p in parts if head in p.votes]
        widths = {column.shape[1:] for column in columns}
        if len(columns) == len(parts):
            if len(widths) != 1:
                raise DataError(f"votes of {head!r} have different widths {sorted(widths)} in the data sets")
            joint[head] = np.concatenate(columns)
    return joint


def one_hot(index: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return (n, classes) float32 rows with a 1 at `index` (n,); all zero where the index is negative."""
    rows = np.zeros((len(index), classes), np.float32)
    known = index >= 0
    rows[np.flatnonzero(known), index[known]] = 1
    return rows
