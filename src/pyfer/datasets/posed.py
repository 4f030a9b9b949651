"""Posed expressions from the laboratory whose file names say who shows what: JAFFE and KDEF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyfer.datasets.data import Problem
from pyfer.datasets.fer2013 import FER2013_LABELS
from pyfer.datasets.pictures import Listing, Row, pictures_in
from pyfer.errors import DataError

JAFFE_CODES = {
    "NE": "neutral",
    "HA": "happiness",
    "SA": "sadness",
    "SU": "surprise",
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
}
"""Letters in ``KA.AN1.39.tiff``."""

KDEF_CODES = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
"""Letters in ``AF01AFS.JPG``, after session, gender and person."""

ANGLES = ("S", "all", "HL", "HR", "FL", "FR")
"""KDEF's cameras: straight, half left and right, full left and right."""

_JAFFE = re.compile(r"(?P<subject>[A-Z]{2})\.(?P<code>[A-Z]{2})\d*\.\d+\.\w+", re.IGNORECASE)
_KDEF = re.compile(
    r"[AB](?P<gender>[FM])(?P<person>\d\d)(?P<code>[A-Z]{2})(?P<angle>S|HL|HR|FL|FR)\.\w+", re.IGNORECASE
)


def list_jaffe(path: Path, own: Mapping[str, str]) -> Listing:
    """List the 213 pictures of JAFFE (Lyons, Kamachi & Gyoba 1998): ten Japanese women, seven expressions.

    A file ``KA.AN1.39.tiff`` is person KA, anger, its first picture.
    """
    rows, problems = [], []
    for file in _pictures(path, "KA.AN1.39.tiff"):
        found = _JAFFE.fullmatch(file.name)
        if not found:
            problems.append(_odd(file, "KA.AN1.39.tiff"))
            continue
        label = JAFFE_CODES.get(found["code"].upper(), found["code"])
        rows.append(Row(file.relative_to(path).as_posix(), file, label, found["subject"].upper()))
    return Listing(FER2013_LABELS, rows, problems)


def list_kdef(path: Path, own: Mapping[str, str]) -> Listing:
    """List KDEF (Lundqvist, Flykt & Oehman 1998): 70 persons, seven expressions, five angles, two sessions.

    A file ``AF01AFS.JPG`` is session A, female, person 01, afraid, straight. Both sessions show the same
    persons, so the subject is ``F01``. Group: gender.
    """
    rows, problems = [], []
    for file in _pictures(path, "AF01AFS.JPG"):
        found = _KDEF.fullmatch(file.name)
        if not found:
            problems.append(_odd(file, "AF01AFS.JPG"))
        elif own["angle"] in ("all", found["angle"].upper()):
            gender = found["gender"].upper()
            label = KDEF_CODES.get(found["code"].upper(), found["code"])
            groups = {"gender": "female" if gender == "F" else "male"}
            rows.append(
                Row(file.relative_to(path).as_posix(), file, label, gender + found["person"], groups=groups)
            )
    return Listing(FER2013_LABELS, rows, problems)


def _pictures(path: Path, example: str) -> Iterable[Path]:
    if not (found := pictures_in(path)):
        raise DataError(f"{path} has no pictures named as {example}")
    return found


def _odd(file: Path, example: str) -> Problem:
    return Problem("unknown label", str(file), f"the name is not of the form {example}")
