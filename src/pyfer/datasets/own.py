"""Faces of one's own: a folder a class, or a table; and drawn faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pyfer.datasets.data import FaceData, Problem, one_hot
from pyfer.datasets.fer2013 import FER2013_LABELS
from pyfer.datasets.options import Options, finish, integer, split_name, table
from pyfer.datasets.pictures import Box, Listing, Row, class_folders, label_of, split_folders
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, DataError, need

WHICH_LABELS = ("present", "basic", "any")
"""Labels of the head: the basic emotions that occur, all eight, or whatever names there are."""

_SIDES = ("x0", "y0", "x1", "y1")


def list_folders(path: Path, own: Mapping[str, str]) -> Listing:
    """List a folder a class, named as an emotion or by another word for it, perhaps in folders ``train``, ...

    Other names are a problem; with ``labels=any`` they are classes.
    """
    if not path.is_dir():
        raise DataError(f"{path} is missing, or no folder; it should have a folder for each class")
    any_name = own["labels"] == "any"
    parts: Mapping[str, Path] = split_folders(path) or {"": path}
    found = [class_folders(folder, path, split, any_name) for split, folder in parts.items()]
    rows = [row for part, _, _ in found for row in part]
    problems = [problem for _, part, _ in found for problem in part]
    names = [name for _, _, part in found for name in part]
    if not rows and not problems:
        raise DataError(f"{path} has no pictures in folders named as emotions (anger, happy, ...)")
    return Listing(_labels(names, own["labels"]), rows, problems)


def _labels(names: Sequence[str], which: str) -> tuple[str, ...]:
    """Return the labels of a head: basic emotions in their order, then others by name."""
    if which == "basic":
        return BASIC
    basic = tuple(name for name in BASIC if name in names)
    others = sorted(set(names) - set(BASIC)) if which == "any" else []
    return (*basic, *others)


# --- a table ----------------------------------------------------------------------------------------------


def list_manifest(path: Path, own: Mapping[str, str]) -> Listing:
    """List a CSV or Parquet file with the columns ``path`` and ``label``; paths count from its folder.

    Columns that may be there: ``id``, ``subject``, ``split``, the box ``x0``, ``y0``, ``x1``, ``y1`` in
    pixels. Every other column is a group of the person, such as ``age``.
    """
    entries = _entries(path)
    groups = [name for name in entries[0] if name not in ("id", "path", "label", "subject", "split", *_SIDES)]
    often = Counter(entry["path"] for entry in entries)
    any_name = own["labels"] == "any"
    rows = []
    for entry in entries:
        label = label_of(entry["label"])
        picture: Path | Problem = path.parent / entry["path"]
        texts = [entry.get(side, "") for side in _SIDES]
        box = _box(texts)
        if any(texts) and box is None:
            detail = f"box {', '.join(texts)} must be x0 y0 x1 y1 with x0 < x1 and y0 < y1"
            picture = Problem("corrupt picture", str(path.parent / entry["path"]), detail)
        shared = (
            f"#{','.join(texts)}" if any(texts) and often[entry["path"]] > 1 else ""
        )  # several faces in it
        rows.append(
            Row(
                entry.get("id") or entry["path"] + shared,
                picture,
                label,
                entry.get("subject", ""),
                split_name(entry.get("split", "")) or entry.get("split", ""),
                {name: entry[name] for name in groups},
                box,
            )
        )
    names = [row.label for row in rows if row.label in BASIC or (any_name and row.label)]
    faces = "box" if any(row.box for row in rows) else "whole"
    return Listing(_labels(names, own["labels"]), rows, faces=faces)


def _entries(path: Path) -> list[dict[str, str]]:
    """Return the rows of a manifest, all values as texts."""
    if path.suffix.lower() != ".parquet":
        rows = table(path, ("path", "label"))
        return [{key: (value or "").strip() for key, value in row.items() if key} for row in rows]
    if not path.is_file():
        raise DataError(f"{path} is missing; it lists the faces of this data set")
    parquet = need("pyarrow.parquet", "parquet")
    try:
        stored = parquet.read_table(path).to_pylist()
    except Exception as error:  # pyarrow has its own tree of errors, and OSError
        raise DataError(f"{path} is no Parquet file, or damaged: {error}") from error
    lacking = [name for name in ("path", "label") if not stored or name not in stored[0]]
    if lacking:
        raise DataError(f"{path} lacks {', '.join(lacking) if stored else 'rows'}")
    return [
        {key: "" if value is None else str(value).strip() for key, value in row.items()} for row in stored
    ]


def _box(texts: Sequence[str]) -> Box | None:
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        return None
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


# --- cartoon faces ----------------------------------------------------------------------------------------


_MOST_PIXELS = 1_000_000_000
"""Drawn at once: they have to fit in memory."""


def read_cartoon(path: Path, options: Options) -> FaceData:
    """Drawn faces: pure emotions, equally often; FER2013's seven labels as a second head."""
    from pyfer.cartoon import cartoon_faces

    n, seed, size = (integer(options, k, d) for k, d in (("n", 400), ("seed", 0), ("size", 48)))
    finish(options, "cartoon", ("n", "seed", "size", "only"))
    if n * size**2 > _MOST_PIXELS:
        raise ArgumentError(f"n={n} faces of size={size} must have {_MOST_PIXELS:,} pixels at most in all")
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
