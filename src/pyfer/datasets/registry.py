"""The readers by name, and `open_data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from pyfer.datasets.cards import CARDS, Card
from pyfer.datasets.ckplus import list_ckplus
from pyfer.datasets.data import BAD, FaceData, Problem
from pyfer.datasets.fer2013 import list_fer2013, read_fer2013plus, read_ferplus
from pyfer.datasets.options import Options, table
from pyfer.datasets.own import WHICH_LABELS, list_folders, list_manifest, read_cartoon
from pyfer.datasets.pictures import COMMON, Format, OnDone, check_known
from pyfer.datasets.posed import ANGLES, list_jaffe, list_kdef
from pyfer.datasets.wild import list_affectnet, list_expw, list_lfw, list_rafdb, list_sfew
from pyfer.errors import ArgumentError, BadDataError, DataError, did_you_mean

Reader = Callable[[Path, Options], FaceData]
_READERS: dict[str, Reader] = {}

EXAMPLES: dict[str, str] = {}
"""Reader -> a line that shows its options."""

_SHOWN = 3  # places of each kind of problem in a message


def register(name: str, reader: Reader, example: str = "", card: Card | None = None) -> None:
    """Make `reader` known as `name` (the word before the colon), with what ``pyfer data list`` says of it."""
    _READERS[name] = reader
    EXAMPLES[name] = example
    if card is not None:
        CARDS[name] = card


def readers() -> tuple[str, ...]:
    """Return the names of all known readers."""
    return tuple(sorted(_READERS))


def common_options(name: str) -> tuple[str, ...]:
    """Return the options that are common to readers and that the reader `name` understands."""
    return (*COMMON, "only") if isinstance(_READERS[name], Format) else ("only",)


def parsed(spec: str) -> tuple[str, Path, Options]:
    """Return the reader's name, the path and the options of a spec.

    Raises
    ------
    ArgumentError
        There is no such reader.
    """
    name, _, rest = spec.partition(":")
    if name not in _READERS:
        raise ArgumentError(
            f"data={spec!r} must be READER:PATH?OPTION=VALUE with READER one of {', '.join(readers())}"
            + did_you_mean(name, _READERS)
        )
    path, _, query = rest.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=False)
    names = [key for key, _ in pairs]
    for key in names:
        if names.count(key) > 1:
            raise ArgumentError(f"data={spec!r} gives {key!r} twice or more; give it once")
    return name, Path(path), dict(pairs)


def open_data(spec: str, *, skip_bad: bool = False, on_done: OnDone | None = None) -> FaceData:
    """Open the data set that `spec` names, ``READER:PATH?OPTION=VALUE&...``.

    Parameters
    ----------
    spec
        The option ``only=FILE.csv``, which all readers have, keeps the faces whose ids are in the column
        ``id`` of that file: a part that ``pyfer data split`` made.
    skip_bad
        Leave out faces that cannot be read; ``left_out`` of the result says which, and why.
    on_done
        Called after each picture with (done, in all), by the readers of picture files.

    Raises
    ------
    ArgumentError
        The reader or an option is unknown, or a value is not allowed.
    BadDataError
        Some faces cannot be read and `skip_bad` is not set.
    DataError
        The path is missing or what lies there is damaged, or no face is left.
    """
    data = read_all(spec, on_done)
    bad = [problem for problem in data.left_out if problem.is_bad]
    if bad and not skip_bad:
        raise BadDataError(_complaint(spec, len(data), bad), bad)
    if not len(data):
        raise DataError(f"data={spec!r} selects no faces" + (f"; {len(bad)} are bad" if bad else ""))
    return data


def read_all(spec: str, on_done: OnDone | None = None) -> FaceData:
    """Do as `open_data`, but return what can be read, be it nothing."""
    name, path, options = parsed(spec)
    only = _ids(Path(options.pop("only"))) if "only" in options else None
    reader = _READERS[name]
    try:
        if isinstance(reader, Format):
            return reader.read(path, options, only, on_done)
        data = reader(path, options)
    except DataError as error:
        if name not in CARDS:
            raise
        raise DataError(f"{error}{CARDS[name].hint}") from error
    if only is None:
        return data
    ids = data.ids.tolist()
    check_known(only, set(ids))
    return replace(data[np.array([each in only for each in ids], bool)], left_out=())


def _ids(file: Path) -> frozenset[str]:
    return frozenset(row["id"] for row in table(file, ("id",)))


def _complaint(spec: str, n: int, bad: list[Problem]) -> str:
    """Return what `BadDataError` says: counts by kind, the first places, what to do."""
    kinds = {kind: [p for p in bad if p.kind == kind] for kind in BAD}
    counts = ", ".join(f"{len(found)} {kind}" for kind, found in kinds.items() if found)
    lines = [f"data={spec!r}: {len(bad)} faces cannot be read ({counts}); {n} can"]
    for kind, found in kinds.items():
        lines += [f"  {kind}: {p.where}: {p.detail}" for p in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"  {kind}: ... and {len(found) - _SHOWN} more")
    lines.append(f"go on without them with --skip-bad; all of them: pyfer data check {spec!r}")
    return "\n".join(lines)


# --- the readers that come with the package ---------------------------------------------------------------

_FORMATS = (
    Format("fer2013", list_fer2013),
    Format("ckplus", list_ckplus, {"neutral": ("0", "1")}),
    Format("jaffe", list_jaffe, faces="detect"),
    Format("kdef", list_kdef, {"angle": ANGLES}, faces="detect"),
    Format("rafdb", list_rafdb, {"set": ("basic", "compound")}),
    Format("affectnet", list_affectnet),
    Format("expw", list_expw, faces="box"),
    Format("sfew", list_sfew),
    Format("lfw_expressions", list_lfw),
    Format("folders", list_folders, {"labels": WHICH_LABELS}),
    Format("manifest", list_manifest, {"labels": WHICH_LABELS}),
)

for _format in _FORMATS:
    _place = "FILE.csv" if _format.name == "manifest" else "FOLDER"
    _own = "&".join(f"{_key}={'|'.join(_values)}" for _key, _values in _format.own.items())
    register(_format.name, _format, f"{_format.name}:{_place}" + (f"?{_own}" if _own else ""))
register(
    "fer2013plus",
    read_fer2013plus,
    "fer2013plus:FOLDER?split=Training|PublicTest|PrivateTest|all&labels=both|ferplus|fer2013"
    "&leaks=drop|keep&blends=keep|drop|only",
)
register(
    "ferplus",
    read_ferplus,
    "ferplus:FOLDER?split=train|validation|test|all&labels=both|ferplus|fer2013&blends=keep|drop|only",
)
register("cartoon", read_cartoon, "cartoon:?n=400&seed=0&size=48")
