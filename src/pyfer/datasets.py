"""Data sets of labelled faces, opened by a one-line name.

A data set is named ``READER:PATH?OPTION=VALUE&...``, for example::

    fer2013plus:../shared/data/fer2013plus?split=PrivateTest&labels=ferplus
    ckplus:../shared/data/ckplus?neutral=1
    cartoon:?n=400&seed=3

Readers never download. A new reader is one function ``(path, options) -> FaceData`` passed to `register`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC, canonical
from pyfer.errors import ArgumentError, DataError, did_you_mean

FER2013_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
CKPLUS_LABELS = (*FER2013_LABELS[1:], "contempt")


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

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim not in (3, 4):
            raise DataError(f"images={self.images.dtype}{self.images.shape} must be uint8 (n, h, w[, 3])")
        columns: dict[str, Any] = {"ids": self.ids, "subjects": self.subjects, **self.targets}
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


Options = dict[str, str]
Reader = Callable[[Path, Options], FaceData]
_READERS: dict[str, Reader] = {}


EXAMPLES: dict[str, str] = {}
"""Reader -> a line that shows its options."""


def register(name: str, reader: Reader, example: str = "") -> None:
    """Make `reader` known as `name` (the word before the colon), with an example for ``pyfer data list``."""
    _READERS[name] = reader
    EXAMPLES[name] = example


def readers() -> tuple[str, ...]:
    """Return the names of all known readers."""
    return tuple(sorted(_READERS))


def open_data(spec: str) -> FaceData:
    """Open the data set that `spec` names, ``READER:PATH?OPTION=VALUE&...``.

    Raises
    ------
    ArgumentError
        The reader or an option is unknown, or a value is not allowed.
    DataError
        The path is missing or what lies there is damaged.
    """
    name, _, rest = spec.partition(":")
    if name not in _READERS:
        raise ArgumentError(
            f"data={spec!r} must be READER:PATH?OPTION=VALUE with READER one of {', '.join(readers())}"
            + did_you_mean(name, _READERS)
        )
    path, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=False))
    data = _READERS[name](Path(path), options)
    if not len(data):
        raise DataError(f"data={spec!r} selects no faces")
    return data


def concatenate(parts: list[FaceData]) -> FaceData:
    """Join data sets of one picture shape; a head that a part lacks is 'no label' there.

    Votes are kept for the heads for which all parts have them, subjects if all parts name them: there is no
    value that says 'not asked'.

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
    subjects = [p.subjects for p in parts if p.subjects is not None]
    return FaceData(
        np.concatenate([p.images for p in parts]),
        targets,
        labels,
        np.concatenate([p.ids for p in parts]),
        np.concatenate(subjects) if len(subjects) == len(parts) else None,
        _joint_votes(parts),
        _joint_groups(parts),
    )


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


def _choice(options: Options, name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = options.pop(name, default)
    if value not in allowed:
        raise ArgumentError(
            f"{name}={value!r} must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}"
        )
    return value


def _integer(options: Options, name: str, default: int) -> int:
    text = options.pop(name, str(default))
    if not text.isdecimal():
        raise ArgumentError(f"{name}={text!r} must be a whole number, 0 or more")
    return int(text)


def _finish(options: Options, reader: str, known: tuple[str, ...]) -> None:
    for name in options:
        raise ArgumentError(
            f"{name!r} is not an option of {reader} (known: {', '.join(known)}){did_you_mean(name, known)}"
        )


def _table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.is_file():
        raise DataError(f"{path} is missing; it lists the faces of this data set")
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            table = list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a table in UTF-8: {error}") from error
    lacking = [name for name in columns if table and table[0].get(name) is None]
    if lacking or not table:
        raise DataError(
            f"{path} lacks {', '.join(lacking) or 'rows'}; it is not of this data set, or damaged"
        )
    return table


def _arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"{path} is missing; the pictures of this data set should lie there")
    try:
        with path.open("rb") as stream, np.load(stream) as stored:  # np.load forgets to close a damaged file
            return [stored[name] for name in names]
    except Exception as error:  # zip, zlib and numpy have many errors for a damaged file
        raise DataError(f"{path} is damaged or not of this data set: {error}") from error


# --- FER2013 with FER+ votes -----------------------------------------------------------------------------

_VOTES = tuple(f"v_{name}" for name in (*BASIC, "unknown", "not_face"))
_FER2013PLUS = ("row", "split", "fer2013_label", "ferplus_majority", "train_leaks_test", *_VOTES)
_SPLIT_FILES = {"Training": "train.npz", "PublicTest": "public_test.npz", "PrivateTest": "private_test.npz"}


def ferplus_targets(votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (n, 10) FER+ votes (8 emotions, unknown, not-face) into (n, 8) label distributions.

    Single votes are dropped as noise, as in Barsoum et al. 2016. A face that most annotators could not
    read (unknown or not-face hold at least half of what is left) gets an all-zero row.
    """
    kept = np.where(votes <= 1, 0, votes)
    emotions = kept[:, :8]
    total = emotions.sum(1, keepdims=True)
    readable = total[:, 0] > kept[:, 8:].sum(1)
    share = np.divide(emotions, total, out=np.zeros_like(emotions), where=total > 0)
    return np.asarray(share * readable[:, None], np.float32)


def blend_pairs(votes: NDArray[np.float32], least: int = 3) -> NDArray[np.bool_]:
    """Return (n, 8) masks with the two emotions of each *blend*, all False where a face is none.

    A blend has exactly two non-neutral emotions with at least `least` of ten votes each, at most 1 vote for
    every other emotion (neutral too) and at most 5 for not-face.
    """
    if least < 2:
        raise ArgumentError(f"least={least} must be 2 or more; one vote is what the other emotions may have")
    emotions = votes[:, :8]
    strong = emotions >= least
    clean = np.where(strong, 0, emotions).max(1) <= 1
    blend = clean & ~strong[:, 0] & (strong.sum(1) == 2) & (votes[:, 9] <= 5)
    return np.asarray(strong & blend[:, None], np.bool_)


def _read_fer2013plus(path: Path, options: Options) -> FaceData:
    split = _choice(options, "split", "Training", (*_SPLIT_FILES, "all"))
    if split == "all":
        parts = [_read_fer2013plus(path, {**options, "split": name}) for name in _SPLIT_FILES]
        return concatenate(parts)
    heads = _choice(options, "labels", "both", ("both", "ferplus", "fer2013"))
    leaks = _choice(options, "leaks", "drop", ("drop", "keep"))
    blends = _choice(options, "blends", "keep", ("keep", "drop", "only"))
    _finish(options, "fer2013plus", ("split", "labels", "leaks", "blends"))
    table = [row for row in _table(path / "labels.csv", _FER2013PLUS) if row["split"] == split]
    archive = path / _SPLIT_FILES[split]
    delta, rows = _arrays(archive, "delta", "row")
    images = np.cumsum(delta, axis=2, dtype=np.uint8)
    order = {int(row): k for k, row in enumerate(rows)}
    try:
        images = images[[order[int(row["row"])] for row in table]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{archive} has no picture for row {error} of labels.csv") from error
    data = _fer2013plus_faces(images, table, split, hard=heads == "ferplus")
    keep = np.ones(len(data), bool)
    if leaks == "drop":
        keep &= np.array([row["train_leaks_test"] != "1" for row in table])
    if blends != "keep":
        is_blend = blend_pairs(data.votes["ferplus"]).any(1)
        keep &= is_blend if blends == "only" else ~is_blend
    data = data[keep]
    if heads == "both":
        return data
    data = data.labelled(heads)
    return replace(data, targets={heads: data.targets[heads]}, labels={heads: data.labels[heads]})


def _fer2013plus_faces(
    images: NDArray[np.uint8], table: list[dict[str, str]], split: str, hard: bool
) -> FaceData:
    try:
        votes = np.array([[row[c] for c in _VOTES] for row in table], np.float32).reshape(len(table), 10)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels.csv holds votes that are not numbers: {error}") from error
    if hard:  # the paper's majority rule, as the data set's own column states it
        ferplus = one_hot(_index(table, "ferplus_majority", BASIC), len(BASIC))
    else:
        ferplus = ferplus_targets(votes)
    fer2013 = one_hot(_index(table, "fer2013_label", FER2013_LABELS), len(FER2013_LABELS))
    return FaceData(
        images,
        {"ferplus": ferplus, "fer2013": fer2013},
        {"ferplus": BASIC, "fer2013": FER2013_LABELS},
        np.array([f"{split}/{row['row']}" for row in table]),
        votes={"ferplus": votes},
    )


def _index(table: list[dict[str, str]], column: str, labels: tuple[str, ...]) -> NDArray[np.int64]:
    position = {name: k for k, name in enumerate(labels)}
    return np.array([position.get(row[column], -1) for row in table], np.int64)


# --- CK+ -------------------------------------------------------------------------------------------------


def _read_ckplus(path: Path, options: Options) -> FaceData:
    neutral = _choice(options, "neutral", "0", ("0", "1"))
    _finish(options, "ckplus", ("neutral",))
    table = _table(path / "labels.csv", ("clip_id", "subject", "label", "composed_neutral"))
    (frames,) = _arrays(path / "sequences.npz", "frames")
    images = np.ascontiguousarray(frames[:, -1])  # the apex frame
    labels = BASIC if neutral == "1" else CKPLUS_LABELS
    composed = np.array([row["composed_neutral"] == "1" for row in table])
    data = FaceData(
        images,
        {"ckplus": one_hot(_index(table, "label", labels), len(labels))},
        {"ckplus": labels},
        np.array([row["clip_id"] for row in table]),
        subjects=np.array([row["subject"] for row in table]),
    )
    return data if neutral == "1" else data[~composed].labelled("ckplus")


# --- cartoon faces ---------------------------------------------------------------------------------------


def _read_cartoon(path: Path, options: Options) -> FaceData:
    """Drawn faces: pure emotions, equally often; FER2013's seven labels as a second head."""
    from pyfer.cartoon import cartoon_faces

    n, seed, size = (_integer(options, k, d) for k, d in (("n", 400), ("seed", 0), ("size", 48)))
    _finish(options, "cartoon", ("n", "seed", "size"))
    index = np.arange(n) % len(BASIC)
    weights = one_hot(index, len(BASIC))
    colour = cartoon_faces(weights, size=size, seed=seed)
    gray = np.rint(colour @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return FaceData(
        gray,
        {"ferplus": weights, "fer2013": one_hot(np.where(index < 7, index, -1), 7)},
        {"ferplus": BASIC, "fer2013": FER2013_LABELS},
        np.array([f"cartoon/{seed}/{k}" for k in range(n)]),
    )


register(
    "fer2013plus",
    _read_fer2013plus,
    "fer2013plus:FOLDER?split=Training|PublicTest|PrivateTest|all&labels=both|ferplus|fer2013"
    "&leaks=drop|keep&blends=keep|drop|only",
)
register("ckplus", _read_ckplus, "ckplus:FOLDER?neutral=0|1")
register("cartoon", _read_cartoon, "cartoon:?n=400&seed=0&size=48")
