"""CK+, the extended Cohn-Kanade data set (Lucey et al. 2010), in four forms.

593 sequences of 123 persons, from a neutral face to the apex of an expression; 327 have an emotion.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyfer.datasets.data import Problem
from pyfer.datasets.fer2013 import FER2013_LABELS, list_pixels
from pyfer.datasets.options import arrays, table
from pyfer.datasets.pictures import Listing, Row, class_folders, pictures_in, subfolders
from pyfer.emotions import BASIC
from pyfer.errors import DataError

CKPLUS_LABELS = (*FER2013_LABELS[1:], "contempt")

CKPLUS_CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
"""The numbers 0..7 in the files of the folder ``Emotion``."""

CKEXTENDED_CODES = (
    *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    "contempt",
)
"""The numbers 0..7 in ``ckextended.csv``: FER2013's, then contempt."""


def list_ckplus(path: Path, own: Mapping[str, str]) -> Listing:
    """List CK+ in the form that lies at `path`; ``neutral=1`` adds neutral faces, an eighth class.

    - ``labels.csv`` and ``sequences.npz``, crops of 48 x 48: the last frames; neutral faces are composed
      from first frames.
    - ``cohn-kanade-images/S005/001/*.png`` and ``Emotion/S005/001/*_emotion.txt``, as the owner gives it
      out: the last frame of each labelled sequence; with neutral, its first frame too.
    - ``ckextended.csv``: pixels of 48 x 48, no persons.
    - Folders ``anger``, ``contempt``, ...: crops of 48 x 48, three frames a sequence.
    """
    neutral = own["neutral"] == "1"
    images = next(iter(path.glob("**/cohn-kanade-images")), None) if path.is_dir() else None
    inner = next((p for p in (path, *subfolders(path)) if (p / "contempt").is_dir()), None)
    table_of_pixels = path if path.suffix == ".csv" else path / "ckextended.csv"
    if (path / "labels.csv").is_file():
        listing = _compact(path, neutral)
    elif images is not None:
        listing = _original(images, neutral)
    elif table_of_pixels.is_file():
        listing = list_pixels(table_of_pixels, CKEXTENDED_CODES, BASIC)
    elif inner is not None:
        rows, problems, _ = class_folders(inner, path)
        named = [Row(row.name, row.picture, row.label, Path(row.name).name.split("_")[0]) for row in rows]
        listing = Listing(BASIC, named, problems)
    else:
        raise DataError(
            f"{path}/labels.csv is missing, and so are cohn-kanade-images with Emotion, ckextended.csv and"
            " folders named as emotions"
        )
    if neutral:
        return listing
    rows = [row for row in listing.rows if row.label != "neutral"]
    return Listing(CKPLUS_LABELS, rows, listing.problems, listing.faces)


def _compact(path: Path, neutral: bool) -> Listing:
    rows = table(path / "labels.csv", ("clip_id", "subject", "label", "composed_neutral"))
    (frames,) = arrays(path / "sequences.npz", "frames")
    if len(rows) != len(frames):
        raise DataError(f"{path}/labels.csv has {len(rows)} rows for {len(frames)} images; must be equal")
    images = np.ascontiguousarray(frames[:, -1])  # the apex frame
    kept = [(row, image) for row, image in zip(rows, images, strict=True) if _wanted(row, neutral)]
    return Listing(BASIC, [Row(r["clip_id"], image, r["label"], r["subject"]) for r, image in kept])


def _wanted(row: dict[str, str], neutral: bool) -> bool:
    return neutral or row["composed_neutral"] != "1"


def _original(images: Path, neutral: bool) -> Listing:
    base = images.parent
    rows, problems = [], []
    for file in sorted(base.glob("**/*_emotion.txt")):
        subject, take = file.name.split("_")[:2]
        frames = pictures_in(images / subject / take)
        if not frames:
            problems.append(Problem("missing file", str(images / subject / take), f"frames of {file.name}"))
            continue
        label = _emotion(file)
        rows.append(Row(frames[-1].relative_to(base).as_posix(), frames[-1], label, subject))
        if neutral:
            rows.append(Row(frames[0].relative_to(base).as_posix(), frames[0], "neutral", subject))
    if not rows and not problems:
        raise DataError(f"{base}/Emotion is missing: it has the labels, as S005/001/..._emotion.txt")
    return Listing(BASIC, rows, problems, faces="detect")


def _emotion(file: Path) -> str:
    """Return the label in a file that holds a number such as ``3.0000000e+00``."""
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    try:
        code = float(text)
    except ValueError:
        return text
    return CKPLUS_CODES[int(code)] if code in range(len(CKPLUS_CODES)) else text
