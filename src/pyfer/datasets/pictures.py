"""From a list of faces to `FaceData`: one loader for all formats that come down to pictures and labels.

A format is a function ``(path, own options) -> Listing``; `Format` makes a reader of it and brings the
options that all of them have: ``split``, ``size``, ``color``, ``faces`` and ``head``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import luma
from pyfer.datasets.data import FaceData, Problem, one_hot
from pyfer.datasets.options import SPLITS, Options, choice, finish, integer, split_name
from pyfer.emotions import BASIC, basic_of
from pyfer.errors import ArgumentError, SourceError, did_you_mean
from pyfer.sources import SUFFIXES, read

if TYPE_CHECKING:
    from pyfer.faces import Detector

OnDone = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""

Box = tuple[float, float, float, float]
"""x0 y0 x1 y1 in pixels."""

COMMON = ("split", "size", "color", "faces", "head")
"""Options of every `Format`."""

CUTS = ("whole", "detect", "box")
"""How a picture becomes a crop: as it is, by MTCNN and five landmarks, or around the box of the list."""

_CHUNK = 512  # pictures handed to the threads at once: a bound on what waits in memory
_AROUND = 0.5  # of a box's sides, added on each side, is where MTCNN looks for the face of that box


@dataclass(frozen=True, eq=False)
class Row:
    """One face of a list."""

    name: str
    """Its id: unique in the data set, and known to the owner of it."""
    picture: Path | bytes | NDArray[np.uint8] | Problem
    """A file, a file's bytes, pixels (h, w) or (h, w, 3), or why there is none of these."""
    label: str
    """One of the labels of the `Listing`; anything else is an unknown label."""
    subject: str = ""
    split: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    box: Box | None = None

    @property
    def where(self) -> str:
        """Return what a message calls it: its file, if it has one."""
        if isinstance(self.picture, Problem):
            return self.picture.where
        return str(self.picture) if isinstance(self.picture, Path) else self.name


@dataclass(frozen=True, eq=False)
class Listing:
    """What a format found at a path, before any picture is read."""

    labels: tuple[str, ...]
    rows: Sequence[Row]
    problems: Sequence[Problem] = ()
    """what is wrong with things that are no rows, such as folders with a foreign name"""
    faces: str = ""
    """One of `CUTS` that suits these pictures, where it is not the format's own."""


@dataclass(frozen=True)
class View:
    """How the faces of a list are looked at: the options of every `Format`."""

    split: str = ""
    """One of `SPLITS`; empty is ``train`` where the list has such a part, else ``all``."""
    size: int = 48
    """Side of the crops, pixels."""
    color: str = "gray"
    faces: str = ""
    """One of `CUTS`; empty is what suits the data set."""
    head: str = ""
    """What to call the head: two data sets of the same labels and head can be joined."""

    @classmethod
    def taken_from(cls, options: Options) -> View:
        """Take the common options out of `options`."""
        if word := options.get("split", ""):
            options["split"] = split_name(word) or word  # FER2013's own names are understood
        view = cls(
            choice(options, "split", "all", SPLITS) if "split" in options else "",
            integer(options, "size", 48),
            choice(options, "color", "gray", ("gray", "rgb")),
            choice(options, "faces", "", CUTS) if "faces" in options else "",
            options.pop("head", ""),
        )
        if not 8 <= view.size <= 1024:
            raise ArgumentError(f"size={view.size} must be 8..1024, the side of the crops in pixels")
        return view


@dataclass(frozen=True)
class Format:
    """A reader made of a function that lists faces; call it with a path and options.

    Parameters
    ----------
    name
        The reader's name, and the name of its head.
    listing
        ``(path, own options) -> Listing``.
    own
        The options of this format alone -> allowed values, the default first.
    faces
        One of `CUTS`: what its pictures need.
    """

    name: str
    listing: Callable[[Path, Mapping[str, str]], Listing]
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faces: str = "whole"

    def __call__(self, path: Path, options: Options) -> FaceData:
        """Return the faces; what cannot be read is in ``left_out``."""
        return self.read(path, options)

    def read(
        self,
        path: Path,
        options: Options,
        only: Collection[str] | None = None,
        on_done: OnDone | None = None,
    ) -> FaceData:
        """Do as a call, for the faces alone whose ids are in `only`."""
        view = View.taken_from(options)
        own = {key: choice(options, key, allowed[0], allowed) for key, allowed in self.own.items()}
        finish(options, self.name, (*self.own, *COMMON, "only"))
        listing = self.listing(path, own)
        view = replace(
            view, faces=view.faces or listing.faces or self.faces, head=view.head or self._head(own)
        )
        return load(listing, view, only, on_done)

    def _head(self, own: Mapping[str, str]) -> str:
        """Return the head's name: a set of other labels is another head."""
        part = own.get("set", "basic")
        return self.name if part == "basic" else f"{self.name}_{part}"


# --- the loader -------------------------------------------------------------------------------------------


def load(
    listing: Listing, view: View, only: Collection[str] | None = None, on_done: OnDone | None = None
) -> FaceData:
    """Return the faces of a list; those that cannot be read are in ``left_out``.

    Raises
    ------
    ArgumentError
        The list has no such split, no boxes, or not the faces that `only` names.
    """
    rows = _in_split(listing.rows, view)
    if view.faces == "box" and rows and not any(row.box for row in rows):
        raise ArgumentError("faces='box' needs a list with boxes; here use faces=whole or faces=detect")
    if only is not None:
        check_known(only, {row.name for row in rows})
        rows = [row for row in rows if row.name in only]
    rows, problems = _sound(rows, listing.labels)
    if only is None:  # else all that is wanted is in the rows
        problems = [*listing.problems, *problems]
    crops, kept = [], []
    for done, (row, crop) in enumerate(zip(rows, _crops(rows, view), strict=True), start=1):
        if isinstance(crop, Problem):
            problems.append(crop)
        else:
            crops.append(crop)
            kept.append(row)
        if on_done is not None:
            on_done(done, len(rows))
    shape = (len(crops), view.size, view.size) + (3,) * (view.color == "rgb")
    return _face_data(np.array(crops, np.uint8).reshape(shape), kept, listing.labels, view.head, problems)


def check_known(only: Collection[str], known: Collection[str]) -> None:
    """Raise `ArgumentError` if some ids are not `known`."""
    if lost := sorted(set(only) - set(known)):
        raise ArgumentError(
            f"only=...: {len(lost)} of {len(only)} ids of the file are not in the data set, such as"
            f" {lost[0]!r}; give it the options, such as split, that the file was made with"
        )


def _in_split(rows: Sequence[Row], view: View) -> list[Row]:
    there = [name for name in SPLITS if any(row.split == name for row in rows)]
    split = view.split or ("train" if "train" in there else "all")
    if split == "all":
        return list(rows)
    if rows and split not in there:
        raise ArgumentError(f"split={split!r} must be one of {', '.join((*there, 'all'))}, the parts it has")
    return [row for row in rows if row.split == split]


def _sound(rows: Sequence[Row], labels: tuple[str, ...]) -> tuple[list[Row], list[Problem]]:
    """Return the rows to read, and what is wrong with the others before they are read."""
    sound, problems, seen = [], [], set()
    for row in rows:
        if row.name in seen:
            problems.append(
                Problem("duplicate file", row.where, "is listed more than once; the first counts")
            )
        elif row.label not in labels:
            hint = did_you_mean(row.label, labels)
            detail = f"label {row.label!r} is none of {', '.join(labels)}{hint}"
            problems.append(Problem("unknown label", row.where, detail))
        else:
            sound.append(row)
        seen.add(row.name)
    return sound, problems


def _crops(rows: Sequence[Row], view: View) -> Iterator[NDArray[np.uint8] | Problem]:
    """Yield a crop, or what is wrong, for each row; several pictures are decoded at once."""
    from pyfer.faces import Mtcnn

    detector = Mtcnn()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(rows), _CHUNK):
            yield from pool.map(lambda row: _crop(row, view, detector), rows[start : start + _CHUNK])


def _crop(row: Row, view: View, detector: Detector) -> NDArray[np.uint8] | Problem:
    """Return the crop (size, size[, 3]) of one face, or what is wrong with it."""
    from pyfer.faces import align, crop_box, crop_whole

    if isinstance(row.picture, Problem):
        return row.picture
    try:
        if isinstance(row.picture, np.ndarray) and _is_crop(row.picture, view):
            return row.picture
        picture = read(row.picture)
        if view.faces == "detect":
            picture = _around(picture, row.box)
            found = detector(picture).largest()
            if not len(found):
                return Problem("no face", row.where, "MTCNN finds none; faces=whole takes it as it is")
            crop = align(picture, found.landmarks, view.size)[0]
        elif view.faces == "box" and row.box:
            crop = crop_box(picture, np.array([row.box]), view.size)[0]
        else:
            crop = crop_whole(picture, view.size)
        return luma(crop) if view.color == "gray" else crop
    except (SourceError, ArgumentError) as error:
        is_missing = isinstance(error, SourceError) and error.kind == "missing"
        return Problem("missing file" if is_missing else "corrupt picture", row.where, str(error))


def _is_crop(pixels: NDArray[np.uint8], view: View) -> bool:
    """Whether pixels are the gray crop that is wanted."""
    return (view.color, view.faces, (view.size, view.size)) == ("gray", "whole", pixels.shape)


def _around(picture: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
    """Return the part of a picture around a box, where there is one."""
    if box is None:
        return picture
    x0, y0, x1, y1 = box
    dx, dy = _AROUND * (x1 - x0), _AROUND * (y1 - y0)
    rows = slice(max(0, round(y0 - dy)), max(0, round(y1 + dy)))
    columns = slice(max(0, round(x0 - dx)), max(0, round(x1 + dx)))
    return np.ascontiguousarray(picture[rows, columns])


def _face_data(
    images: NDArray[np.uint8],
    rows: Sequence[Row],
    labels: tuple[str, ...],
    head: str,
    problems: Sequence[Problem],
) -> FaceData:
    index = np.array([labels.index(row.label) for row in rows], np.int64)
    names = dict.fromkeys(name for row in rows for name in row.groups)
    return FaceData(
        images,
        {head: one_hot(index, len(labels))},
        {head: labels},
        texts(row.name for row in rows),
        _said(row.subject for row in rows),
        groups={name: texts(row.groups.get(name, "") for row in rows) for name in names},
        splits=_said(row.split for row in rows),
        left_out=tuple(problems),
    )


def texts(values: Iterator[str]) -> NDArray[np.str_]:
    """Return (n,) strings; of none, too, an array of strings."""
    return np.array(list(values), np.str_)


def _said(values: Iterator[str]) -> NDArray[np.str_] | None:
    """Return (n,) strings, or None where all are empty."""
    column = texts(values)
    return column if column.any() else None


# --- folders ----------------------------------------------------------------------------------------------


def label_of(word: str) -> str:
    """Return the basic emotion that a word stands for, or the word, which no list of labels will know."""
    return basic_of(word) or word


def subfolders(path: Path) -> list[Path]:
    """Return the folders in a folder, without hidden ones and what a Mac leaves in archives."""
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))


def pictures_in(path: Path) -> list[Path]:
    """Return the pictures in a folder and below, in order."""
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def class_folders(
    root: Path, base: Path, split: str = "", own_names: bool = False
) -> tuple[list[Row], list[Problem], list[str]]:
    """Return rows, problems and labels of folders that are named as emotions.

    Parameters
    ----------
    root
        Has a folder for each class.
    base
        The ids are paths from here.
    split
        Of all these faces.
    own_names
        Folders that are no basic emotion are classes too; else they are a problem.
    """
    rows, problems, labels = [], [], []
    for folder in subfolders(root):
        pictures = pictures_in(folder)
        label = basic_of(folder.name) or (" ".join(folder.name.split()) if own_names else None)
        if label is None:
            detail = f"{folder.name!r} is no basic emotion; {len(pictures)} pictures in it"
            hint = did_you_mean(folder.name.lower(), BASIC)
            problems.append(Problem("unknown label", str(folder), detail + hint))
            continue
        labels.append(label)
        rows += [Row(p.relative_to(base).as_posix(), p, label, split=split) for p in pictures]
    return rows, problems, labels


def split_folders(path: Path) -> dict[str, Path]:
    """Return split -> folder, for folders such as ``train``, ``Val`` or ``train_set``."""
    found: dict[str, Path] = {}
    for folder in subfolders(path):
        name = split_name(folder.name) or split_name(folder.name.split("_")[0])
        if name and name not in found:
            found[name] = folder
    return found
