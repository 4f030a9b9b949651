"""Faces from films, the press and the web: RAF-DB, AffectNet, ExpW, SFEW and labelled LFW pictures."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pyfer.datasets.data import Problem
from pyfer.datasets.fer2013 import FER2013_CODES, FER2013_LABELS
from pyfer.datasets.options import split_name, table
from pyfer.datasets.pictures import (
    Box,
    Listing,
    Row,
    class_folders,
    label_of,
    pictures_in,
    split_folders,
    subfolders,
)
from pyfer.emotions import BASIC
from pyfer.errors import DataError

RAFDB_BASIC = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""The numbers 1..7 of RAF-DB's basic part."""

RAFDB_COMPOUND = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
)
"""The numbers 1..11 of RAF-DB's compound part, named as in the catalogues ``rafdb`` and ``du2014``."""

RAFDB_GROUPS = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""The three numbers after the landmarks in ``Annotation/manual/*_manu_attri.txt``."""

AFFECTNET_CODES = (
    *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
    *("none", "uncertain", "no face"),
)
"""The numbers 0..10 of AffectNet; the last three are no emotions."""


# --- RAF-DB -----------------------------------------------------------------------------------------------


def list_rafdb(path: Path, own: Mapping[str, str]) -> Listing:
    """List RAF-DB (Li, Deng & Du 2017), its aligned faces.

    ``EmoLabel/list_patition_label.txt`` (spelled so) has lines ``train_00001.jpg 5``; the pictures are
    ``Image/aligned/train_00001_aligned.jpg``; ``Annotation/manual`` tells gender, race and age.
    """
    root = path / own["set"] if (path / own["set"]).is_dir() else path
    labels = RAFDB_BASIC if own["set"] == "basic" else RAFDB_COMPOUND
    rows = []
    for name, code in _pairs(root / "EmoLabel" / "list_patition_label.txt"):
        stem = Path(name).stem
        picture = root / "Image" / "aligned" / f"{stem}_aligned.jpg"
        known = code.isdecimal() and 1 <= int(code) <= len(labels)
        label = labels[int(code) - 1] if known else code
        groups = _rafdb_groups(root / "Annotation" / "manual" / f"{stem}_manu_attri.txt")
        rows.append(Row(name, picture, label, split=split_name(stem.split("_")[0]), groups=groups))
    order = FER2013_LABELS if own["set"] == "basic" else RAFDB_COMPOUND
    return Listing(order, rows)


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    for number, words in _lines(file):
        if len(words) != 2:
            raise DataError(f"{file}, line {number}: {' '.join(words)!r} must be a file name and a number")
        yield words[0], words[1]


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (number, words) of the lines that are not empty."""
    if not file.is_file():
        raise DataError(f"{file} is missing; it lists the faces of this data set")
    text = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if words := line.split():
            yield number, words


def _rafdb_groups(file: Path) -> dict[str, str]:
    """Return what an annotation says of the person; nothing where there is none or it is of another form."""
    try:
        codes = [int(word) for word in file.read_text(encoding="utf-8").split()[-3:]]
        return {name: values[code] for (name, values), code in zip(RAFDB_GROUPS.items(), codes, strict=True)}
    except (OSError, ValueError, IndexError):
        return {}


# --- AffectNet --------------------------------------------------------------------------------------------


def list_affectnet(path: Path, own: Mapping[str, str]) -> Listing:
    """List AffectNet (Mollahosseini, Hasani & Mahoor 2017), the faces with a manual label.

    Either ``training.csv`` and ``validation.csv`` with the columns subDirectory_filePath, face_x, face_y,
    face_width, face_height and expression, the pictures in ``Manually_Annotated_Images``; or ``train_set``
    and ``val_set`` with ``images/ID.jpg`` and ``annotations/ID_exp.npy``. Expressions 8 to 10 are no
    emotions: their faces are left out, with a remark. Valence and arousal are not read.
    """
    files = [
        file
        for folder in (path, path / "Manually_Annotated_file_lists")
        for name in ("training.csv", "validation.csv")
        if (file := folder / name).is_file()
    ]
    parts = split_folders(path) or {"": path}
    parts = {split: folder for split, folder in parts.items() if (folder / "annotations").is_dir()}
    if files:
        rows = [row for file in files for row in _affectnet_table(path, file)]
    elif parts:
        rows = [row for split, folder in parts.items() for row in _affectnet_arrays(path, split, folder)]
    else:
        raise DataError(
            f"{path}/training.csv is missing, and there is no train_set with images and annotations"
        )
    no_emotion = AFFECTNET_CODES[8:]
    counts = Counter((row.split, row.label) for row in rows if row.label in no_emotion)
    remarks = [
        Problem("no emotion", f"{path} {split}".strip(), f"{n} faces labelled {label!r}")
        for (split, label), n in counts.items()
    ]
    kept = [row for row in rows if row.label not in no_emotion]
    return Listing(BASIC, kept, remarks, faces="box" if files else "whole")


def _affectnet_label(code: str) -> str:
    return AFFECTNET_CODES[int(code)] if code.isdecimal() and int(code) < len(AFFECTNET_CODES) else code


def _affectnet_table(path: Path, file: Path) -> Iterator[Row]:
    folders = (
        path / "Manually_Annotated_Images",
        path / "Manually_Annotated" / "Manually_Annotated_Images",
    )
    base = next((folder for folder in folders if folder.is_dir()), path)
    sides = ("face_x", "face_y", "face_width", "face_height")
    for row in table(file, ("subDirectory_filePath", "expression", *sides), lean=True):
        name = row["subDirectory_filePath"] or ""
        label = _affectnet_label((row["expression"] or "").strip())
        box = _box([row[side] or "" for side in sides])
        yield Row(name, base / name, label, split=split_name(file.stem), box=box)


def _box(texts: list[str]) -> Box | None:
    """Return the box of x, y, width and height; none where they are not numbers or it is empty."""
    try:
        x, y, width, height = map(float, texts)
    except ValueError:
        return None
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _affectnet_arrays(path: Path, split: str, folder: Path) -> Iterator[Row]:
    pictures = {file.stem: file for file in pictures_in(folder / "images")}
    for file in sorted((folder / "annotations").glob("*_exp.npy")):
        stem = file.name.removesuffix("_exp.npy")
        try:
            code = str(np.load(file))  # an array of one text, or of one number
        except (OSError, ValueError, EOFError) as error:
            code = f"in {file.name}: {error}"
        picture = pictures.get(stem, folder / "images" / f"{stem}.jpg")
        yield Row(picture.relative_to(path).as_posix(), picture, _affectnet_label(code), split=split)


# --- ExpW -------------------------------------------------------------------------------------------------


def list_expw(path: Path, own: Mapping[str, str]) -> Listing:
    """List ExpW (Zhang, Luo, Loy & Tang 2018): pictures of the web, with a box for each face.

    ``label.lst`` has lines ``name face_id top left right bottom confidence label``; labels as in FER2013.
    """
    files = [path / folder / "label.lst" for folder in ("label", "", "data/label")]
    file = next((file for file in files if file.is_file()), files[0])
    folders = [path / folder for folder in ("image/origin", "origin", "data/image/origin", "image")]
    base = next((folder for folder in folders if folder.is_dir()), path)
    rows = []
    for number, words in _lines(file):
        try:
            name, face, top, left, right, bottom, _, code = words
            box = (float(left), float(top), float(right), float(bottom))
        except ValueError as error:
            raise DataError(f"{file}, line {number}: {' '.join(words)!r} must have eight words") from error
        known = code.isdecimal() and int(code) < len(FER2013_CODES)
        label = FER2013_CODES[int(code)] if known else code
        rows.append(Row(f"{name}#{face}", base / name, label, box=box))
    return Listing(FER2013_LABELS, rows)


# --- SFEW -------------------------------------------------------------------------------------------------


def list_sfew(path: Path, own: Mapping[str, str]) -> Listing:
    """List SFEW 2.0 (Dhall et al. 2011): frames of films, as aligned faces.

    ``Train/Angry/*.png`` and ``Val/...``; the folders of aligned faces (``Train_Aligned_Faces``) are taken
    where they are, beside or inside the others. The test part has no public labels.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for folder in _aligned_first(path):
        split = split_name(folder.name.split("_")[0])
        if any(row.split == split for row in rows):
            continue
        inner = _aligned_first(folder)
        root = inner[0] if inner else folder
        found, wrong, _ = class_folders(root, path, split)
        rows += found
        problems += wrong
    if not rows and not problems:
        raise DataError(f"{path}/Train is missing, or has no folders named as emotions (Angry, Happy, ...)")
    return Listing(FER2013_LABELS, rows, problems)


def _aligned_first(path: Path) -> list[Path]:
    """Return the folders named as splits, those of aligned faces first."""
    folders = [folder for folder in subfolders(path) if split_name(folder.name.split("_")[0])]
    return sorted(folders, key=lambda folder: ("aligned" not in folder.name.lower(), folder.name))


# --- LFW --------------------------------------------------------------------------------------------------


def list_lfw(path: Path, own: Mapping[str, str]) -> Listing:
    """List pictures of LFW and of films that students labelled.

    ``labels.csv`` (id, file, label, subject, source) and the pictures in ``images.zip``, which is read as it
    is, or in a folder ``images``. The rare labels are unreliable.
    """
    entries = table(path / "labels.csv", ("id", "file", "label", "subject"))
    names = [entry["file"] for entry in entries]
    archive = path / "images.zip"
    stored = _members(archive, names) if archive.is_file() else {}
    folder = path / "images" if not stored else archive
    rows = [
        Row(entry["id"], stored.get(name, folder / name), label_of(entry["label"]), entry["subject"] or "")
        for name, entry in zip(names, entries, strict=True)
    ]
    return Listing(BASIC, rows)


def _members(archive: Path, names: list[str]) -> dict[str, bytes | Problem]:
    """Return the bytes of the files of an archive that are among `names`, or that they are damaged."""
    found: dict[str, bytes | Problem] = {}
    try:
        with zipfile.ZipFile(archive) as stored:
            there = set(stored.namelist())
            for name in names:
                if name in there:
                    try:
                        found[name] = stored.read(name)
                    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
                        found[name] = Problem("corrupt picture", f"{archive}/{name}", str(error))
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{archive} is damaged: {error}") from error
    return found
