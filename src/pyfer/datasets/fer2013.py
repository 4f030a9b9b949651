"""FER2013 in its many forms, and the FER+ votes on it.

FER2013 (Goodfellow et al. 2013, ICML challenges in representation learning): 35,887 crops of 48 x 48 gray
pixels from a web image search. FER+ (Barsoum et al. 2016, ICMI): votes of ten annotators on each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets.data import FaceData, Problem, concatenate, one_hot
from pyfer.datasets.options import (
    SPLITS,
    Options,
    arrays,
    choice,
    finish,
    split_name,
    table,
)
from pyfer.datasets.pictures import Listing, Row, class_folders, split_folders
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, DataError

FER2013_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")

FER2013_CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The numbers 0..6 in the column ``emotion`` of ``fer2013.csv``."""

FERPLUS_COLUMNS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
"""The ten columns of votes in ``fer2013new.csv``; NF is 'not a face'."""

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


def ferplus_majority(votes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the (n,) columns 0..9 that win (n, 10) FER+ votes, -1 where none does.

    Single votes are dropped as noise; the winner has more than half of what is left (Barsoum et al. 2016).
    """
    kept = np.where(votes <= 1, 0, votes)
    return np.where(kept.max(1) > kept.sum(1) / 2, kept.argmax(1), -1).astype(np.int64)


# --- the compact form: labels.csv and arrays --------------------------------------------------------------


def read_fer2013plus(path: Path, options: Options) -> FaceData:
    """Read FER2013 joined row by row with FER+: ``labels.csv`` and an array of pictures for each split."""
    split = choice(options, "split", "Training", (*_SPLIT_FILES, "all"))
    if split == "all":
        parts = [read_fer2013plus(path, {**options, "split": name}) for name in _SPLIT_FILES]
        return concatenate(parts)
    heads, blends = _heads_and_blends(options)
    leaks = choice(options, "leaks", "drop", ("drop", "keep"))
    finish(options, "fer2013plus", ("split", "labels", "leaks", "blends", "only"))
    rows = [row for row in table(path / "labels.csv", _FER2013PLUS) if row["split"] == split]
    archive = path / _SPLIT_FILES[split]
    delta, numbers = arrays(archive, "delta", "row")
    images = np.cumsum(delta, axis=2, dtype=np.uint8)
    order = {int(row): k for k, row in enumerate(numbers)}
    try:
        images = images[[order[int(row["row"])] for row in rows]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{archive} has no picture for row {error} of labels.csv") from error
    data = _voted_faces(images, rows, hard=heads == "ferplus")
    if leaks == "drop":
        is_leak = np.array([row["train_leaks_test"] == "1" for row in rows], bool)
        data = data[~is_leak]
    return _chosen(data, heads, blends)


def _heads_and_blends(options: Options) -> tuple[str, str]:
    heads = choice(options, "labels", "both", ("both", "ferplus", "fer2013"))
    return heads, choice(options, "blends", "keep", ("keep", "drop", "only"))


def _chosen(data: FaceData, heads: str, blends: str) -> FaceData:
    """Return the faces that the options ``labels`` and ``blends`` ask for."""
    if blends != "keep":
        is_blend = blend_pairs(data.votes["ferplus"]).any(1)
        data = data[is_blend == (blends == "only")]
    if heads == "both":
        return data
    data = data.labelled(heads)
    return replace(data, targets={heads: data.targets[heads]}, labels={heads: data.labels[heads]})


def _voted_faces(images: NDArray[np.uint8], rows: list[dict[str, str]], hard: bool) -> FaceData:
    """Return faces with both heads from rows in the format of ``labels.csv``."""
    try:
        votes = np.array([[row[c] for c in _VOTES] for row in rows], np.float32).reshape(len(rows), 10)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels.csv holds votes that are not numbers: {error}") from error
    if hard:  # the paper's majority rule, as the data set's own column states it
        ferplus = one_hot(label_index(rows, "ferplus_majority", BASIC), len(BASIC))
    else:
        ferplus = ferplus_targets(votes)
    fer2013 = one_hot(label_index(rows, "fer2013_label", FER2013_LABELS), len(FER2013_LABELS))
    return FaceData(
        images,
        {"ferplus": ferplus, "fer2013": fer2013},
        {"ferplus": BASIC, "fer2013": FER2013_LABELS},
        np.array([f"{row['split']}/{row['row']}" for row in rows], np.str_),
        votes={"ferplus": votes},
        splits=np.array([split_name(row["split"]) for row in rows], np.str_),
    )


def label_index(rows: list[dict[str, str]], column: str, labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the (n,) places of a column's values in `labels`, -1 for other values."""
    position = {name: k for k, name in enumerate(labels)}
    return np.array([position.get(row[column], -1) for row in rows], np.int64)


# --- fer2013.csv, and the folders made of it --------------------------------------------------------------


def list_fer2013(path: Path, own: Mapping[str, str]) -> Listing:
    """List ``fer2013.csv``, or the form with a folder for each split and class.

    The file has the columns emotion (see `FER2013_CODES`), pixels (2304 numbers) and Usage (Training,
    PublicTest, PrivateTest: here train, validation, test). The folders have PublicTest and PrivateTest in one
    folder ``test``.
    """
    file = path if path.suffix == ".csv" else path / "fer2013.csv"
    if file.is_file():
        return list_pixels(file, FER2013_CODES, FER2013_LABELS)
    parts = split_folders(path)
    if not parts:
        raise DataError(f"{file} is missing, and there are no folders train and test with a folder a class")
    found = [class_folders(folder, path, split) for split, folder in parts.items()]
    rows = [row for part, _, _ in found for row in part]
    return Listing(FER2013_LABELS, rows, [problem for _, part, _ in found for problem in part])


def list_pixels(file: Path, codes: tuple[str, ...], labels: tuple[str, ...]) -> Listing:
    """List a table of pixels: columns emotion (a number: its place in `codes`), pixels and Usage."""
    rows = []
    for name, row in _pixel_rows(file):
        image: NDArray[np.uint8] | Problem
        try:
            image = _pixels(row["pixels"])
        except ValueError as error:
            image = Problem("corrupt picture", f"{file}, {name}", str(error))
        code = row["emotion"].strip()
        known = code.isdecimal() and int(code) < len(codes)
        label = codes[int(code)] if known else code
        rows.append(Row(name, image, label, split=split_name(row["Usage"]) or row["Usage"]))
    return Listing(labels, rows)


def _pixel_rows(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (Usage/row, row) of a table with pixels; the rows count from 0."""
    for k, row in enumerate(table(file, ("emotion", "pixels", "Usage"))):
        yield f"{row['Usage']}/{k}", {key: value or "" for key, value in row.items() if key}


def _pixels(text: str) -> NDArray[np.uint8]:
    """Return a square gray picture from numbers 0..255 with spaces between, or raise ValueError."""
    flat = np.frombuffer(bytes(map(int, text.split())), np.uint8)
    side = round(len(flat) ** 0.5)
    if not side or side * side != len(flat):
        raise ValueError(f"{len(flat)} pixels are no square picture")
    return flat.reshape(side, side)


# --- fer2013.csv with the votes of fer2013new.csv ---------------------------------------------------------


def read_ferplus(path: Path, options: Options) -> FaceData:
    """Read ``fer2013.csv`` with the votes of ``fer2013new.csv``, which has a row for each of its rows.

    Faces that all annotators called 'not a face' are left out, with a remark.
    """
    word = options.pop("split", "train")
    split = choice({"split": split_name(word) or word}, "split", "train", SPLITS)
    heads, blends = _heads_and_blends(options)
    finish(options, "ferplus", ("split", "labels", "blends", "only"))
    votes = table(path / "fer2013new.csv", ("Usage", *FERPLUS_COLUMNS))
    faces = list(_pixel_rows(path / "fer2013.csv"))
    if len(votes) != len(faces) or any(
        a["Usage"] != b["Usage"] for a, (_, b) in zip(votes, faces, strict=True)
    ):
        raise DataError(
            f"{path}/fer2013new.csv has {len(votes)} rows, fer2013.csv {len(faces)}; "
            "they must be equally many, of the same Usage row by row"
        )
    rows, images, problems = _joined(path, faces, votes, split)
    data = _voted_faces(np.array(images, np.uint8).reshape(-1, 48, 48), rows, hard=heads == "ferplus")
    return replace(_chosen(data, heads, blends), left_out=tuple(problems))


def _joined(
    path: Path, faces: list[tuple[str, dict[str, str]]], votes: list[dict[str, str]], split: str
) -> tuple[list[dict[str, str]], list[NDArray[np.uint8]], list[Problem]]:
    """Return rows in the format of ``labels.csv``, their pictures, and what is wrong with others."""
    rows, images, problems, no_faces = [], [], [], 0
    for k, ((name, face), vote) in enumerate(zip(faces, votes, strict=True)):
        if split not in ("all", split_name(face["Usage"])):
            continue
        counts = [vote[column] or "0" for column in FERPLUS_COLUMNS]
        if not all(text.isdecimal() for text in counts):
            problems.append(
                Problem("unknown label", f"{path}/fer2013new.csv, {name}", f"votes {counts} must be numbers")
            )
            continue
        row = np.array([counts], np.float32)
        if row.sum() == row[0, 9]:  # no vote for anything but 'not a face'
            no_faces += 1
            continue
        try:
            image = _pixels(face["pixels"])
            if image.shape != (48, 48):
                raise ValueError(f"{image.size} pixels must be 2304")
        except ValueError as error:
            problems.append(Problem("corrupt picture", f"{path}/fer2013.csv, {name}", str(error)))
            continue
        images.append(image)
        rows.append(_row(k, face, counts, int(ferplus_majority(row)[0])))
    if no_faces:
        detail = f"{no_faces} faces that all annotators called 'not a face'"
        problems.append(Problem("no emotion", f"{path}/fer2013new.csv", detail))
    return rows, images, problems


def _row(k: int, face: dict[str, str], counts: list[str], winner: int) -> dict[str, str]:
    code = face["emotion"].strip()
    return {
        "row": str(k),
        "split": face["Usage"],
        "fer2013_label": FER2013_CODES[int(code)] if code.isdecimal() and int(code) < 7 else code,
        "ferplus_majority": BASIC[winner] if 0 <= winner < len(BASIC) else "",
        **dict(zip(_VOTES, counts, strict=True)),
    }
