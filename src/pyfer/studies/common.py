"""What all studies share: what a study is, what it gives, intervals, and files made from its numbers."""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pyfer.errors import ArgumentError, did_you_mean
from pyfer.evaluation import Interval, bootstrap
from pyfer.evaluation.intervals import clusters, plain
from pyfer.files import replace_folder

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Names = NDArray[np.str_]
Say = Callable[[str, int, int], None]
"""Told of progress: (what is being done, done, in all)."""
Value = Interval | float | int | str

WILD = "fer2013plus:../shared/data/fer2013plus"
LAB = "ckplus:../shared/data/ckplus"
CACHE = Path("runs/studies")
"""Where features and answers are kept, so that a study that was stopped, or is run again, costs little."""
FILES = ("README.md", "chart.png", "result.json")
DRAWS = 2000
"""Resamples of an interval: those here are means, so many cost little."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Setup:
    """What a study is run on."""

    wild: str = WILD
    """Faces of the wild, see `pyfer.studies.faces.wild`."""
    lab: str = LAB
    """Faces of a laboratory, see `pyfer.studies.faces.lab`."""
    quick: bool = False
    """Whether small samples shall do: a rough answer in about a minute."""
    seed: int = 0
    """Of samples, folds, codebooks and resamples."""
    cache: Path = CACHE
    say: Say = silent

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ArgumentError(f"seed={self.seed!r} must be a whole number, 0 or more")

    def sized(self, full: int, quick: int) -> int:
        """Return `quick` for a quick run, else `full`."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    part: str
    """The table it belongs to, which is its heading too: ``in the wild``."""
    name: str
    cells: Mapping[str, Value]
    """Column -> number; an `Interval` is in per cent or points."""


@dataclass(frozen=True)
class Check:
    """A claim tried in one place: it says that `difference` is above 0."""

    claim: str
    """As a sentence without its end: ``HOG is better than LBP``."""
    place: str
    """``in the wild``, ``in the lab``."""
    difference: Interval
    """What is measured, in points of accuracy (per cent)."""

    @property
    def verdict(self) -> str:
        """``holds``, ``is contradicted``, or ``cannot be told here`` where the interval has 0 in it."""
        if self.difference.low > 0:
            return "holds"
        return "is contradicted" if self.difference.high < 0 else "cannot be told here"

    @property
    def sentence(self) -> str:
        """The claim, the verdict and the number."""
        return f"{self.claim}: {self.verdict} {self.place} ({points(self.difference)} points)."

    @property
    def short(self) -> str:
        """The claim, where, and the number: for a list of claims of one verdict."""
        return f"{self.claim} {self.place} ({points(self.difference)})"


_VERDICTS = {
    "holds": "Holds, by so many points",
    "is contradicted": "Contradicted",
    "cannot be told here": "Cannot be told here, as the interval has 0 in it",
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found."""

    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    """What the numbers say, beside the `checks`; made from the numbers."""
    chart: NDArray[np.uint8]
    """RGB (h, w, 3)."""
    settings: Mapping[str, Any]
    """What it was measured on, and how, as JSON wants it."""
    checks: tuple[Check, ...] = ()
    """The claims that were tried."""

    @property
    def paragraph(self) -> str:
        """Checks and sentences as text: what holds, what does not, what cannot be told."""
        return " ".join([*self.verdicts(), *self.sentences])

    def verdicts(self) -> Iterator[str]:
        """Yield a sentence for each verdict, with the claims that have it."""
        for verdict, words in _VERDICTS.items():
            same = [check.short for check in self.checks if check.verdict == verdict]
            if same:
                yield f"{words}: {'; '.join(same)}."

    @property
    def parts(self) -> tuple[str, ...]:
        """Headings of the tables, in order."""
        return tuple(dict.fromkeys(row.part for row in self.rows))

    def table(self, part: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the columns of a table and its lines, all as text; a cell that a row lacks is empty."""
        rows = [row for row in self.rows if row.part == part]
        columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
        return ("", *columns), [
            (row.name, *(said(row.cells[name]) if name in row.cells else "" for name in columns))
            for row in rows
        ]

    def to_dict(self, study: Study) -> dict[str, Any]:
        """Return everything but the picture, as JSON wants it."""
        rows = [{"part": r.part, "name": r.name, **{k: _plain(v) for k, v in r.cells.items()}}
                for r in self.rows]  # fmt: skip
        checks = [
            {"claim": c.claim, "place": c.place, "difference": _plain(c.difference), "verdict": c.verdict}
            for c in self.checks
        ]
        tree: dict[str, Any] = plain(
            {
                "study": study.name,
                "claim": study.claim,
                "settings": dict(self.settings),
                "checks": checks,
                "sentences": list(self.sentences),
                "rows": rows,
            }
        )
        return tree


@dataclass(frozen=True)
class Study:
    """A question about emotions in faces, and how to answer it."""

    name: str
    claim: str
    """What the literature says, in a sentence or two, with its source."""
    run: Callable[[Setup], Outcome] = field(repr=False)


def studies() -> tuple[Study, ...]:
    """Return all studies: the modules of this room that have a ``STUDY``."""
    import pyfer.studies as room

    names = sorted(module.name for module in pkgutil.iter_modules(room.__path__))
    modules = (importlib.import_module(f"{room.__name__}.{name}") for name in names)
    return tuple(module.STUDY for module in modules if hasattr(module, "STUDY"))


def find(name: str) -> Study:
    """Return the study called `name`; raise `ArgumentError` where there is none."""
    known = {study.name: study for study in studies()}
    if name not in known:
        raise ArgumentError(
            f"study={name!r} must be one of {', '.join(known)}, or list{did_you_mean(name, known)}"
        )
    return known[name]


# --- numbers ----------------------------------------------------------------------------------------------


def mean(values: Any, subjects: Names | None = None, seed: int = 0) -> Interval:
    """Return the mean of (n,) values in per cent, with its interval; of persons where `subjects` are named.

    Of ``answers == truth`` it is the accuracy; of the difference of two such arrays, the paired difference
    of two methods on the same faces, in points.
    """
    column = np.asarray(values, np.float64)

    def measure(times: Integers) -> Floats:
        return np.asarray((times @ column / times.sum(axis=1))[:, None])

    return bootstrap(measure, [clusters(subjects, len(column))], draws=DRAWS, seed=seed)[0].scaled(100)


def macro_recall(answers: Any, truth: Integers, subjects: Names | None = None, seed: int = 0) -> Interval:
    """Return the mean recall of the classes that occur, in per cent, with its interval."""
    member = np.eye(int(truth.max()) + 1)[truth]  # (n, c)
    marks = np.concatenate([member, member * (np.asarray(answers) == truth)[:, None]], axis=1)

    def measure(times: Integers) -> Floats:
        total, right = np.split(times @ marks, 2, axis=1)
        there = total > 0
        recall = np.where(there, right / np.maximum(total, 1), 0).sum(axis=1) / there.sum(axis=1)
        return np.asarray(recall)[:, None]

    return bootstrap(measure, [clusters(subjects, len(truth))], draws=DRAWS, seed=seed)[0].scaled(100)


def row_of_deals(part: str, name: str, accuracy: Interval, hits: NDArray[np.bool_], truth: Integers) -> Row:
    """Return the line of a method that was measured with several deals: hits (deals, n), truth (n,)."""
    each = 100 * hits.mean(axis=1)
    recall = [hits[:, truth == k].mean() for k in np.unique(truth)]
    cells: dict[str, Value] = {
        "accuracy": accuracy,
        "lowest deal": float(each.min()),
        "highest deal": float(each.max()),
        "mean recall": float(100 * np.mean(recall)),
    }
    return Row(part, name, cells)


def points(difference: Interval) -> str:
    """Return a difference in points with its signs: ``+3.1 [+1.0, +5.2]``."""
    texts = (format(round(x, 1) + 0.0, "+.1f") for x in (difference.value, difference.low, difference.high))
    value, low, high = (text.replace("+0.0", "0.0") for text in texts)
    return f"{value} [{low}, {high}]"


def said(value: Value) -> str:
    """Return a cell as text."""
    if isinstance(value, Interval):
        return str(value)
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else value


def ends(interval: Interval) -> tuple[float, float, float]:
    """Return value, low and high: what the charts of `pyfer.maps.plots` take."""
    return interval.value, interval.low, interval.high


def _plain(value: Value) -> Any:
    if isinstance(value, Interval):
        return {"value": value.value, "low": value.low, "high": value.high}
    return value


# --- files ------------------------------------------------------------------------------------------------


def write(study: Study, outcome: Outcome, folder: Path, command: str = "") -> None:
    """Write ``README.md``, ``chart.png`` and ``result.json``; an older folder is replaced whole.

    `command` is what made them, for the reader.
    """
    stream = io.BytesIO()
    Image.fromarray(outcome.chart).save(stream, "PNG", optimize=True)
    with replace_folder(folder) as work:
        tree = json.dumps(outcome.to_dict(study), indent=1)
        (work / "result.json").write_text(tree + "\n", encoding="utf-8")
        (work / "chart.png").write_bytes(stream.getvalue())
        (work / "README.md").write_text(readme(study, outcome, command), encoding="utf-8")


def readme(study: Study, outcome: Outcome, command: str = "") -> str:
    """Return the report as Markdown: the claim, what came out, the tables."""
    return "\n".join(_lines(study, outcome, command or f"pyfer study {study.name}")) + "\n"


def _lines(study: Study, outcome: Outcome, command: str) -> Iterator[str]:
    yield from (f"# Study: {study.name}", "", f"**The claim.** {study.claim}", "")
    yield from ("```", command, "```", "", "![what was measured](chart.png)", "")
    if outcome.checks:
        yield from ("## What came out", "")
        yield from _markdown(
            ("claim", "where", "difference, points", "verdict"),
            [(c.claim, c.place, points(c.difference), c.verdict) for c in outcome.checks],
            words=True,
        )
        yield ""
    for text in (*outcome.verdicts(), " ".join(outcome.sentences)):
        yield from (text, "") if text else ()
    yield from (
        "Intervals hold 95 %: a bootstrap over faces, over persons where they are named. They are not "
        "widened for the many comparisons, so one in twenty is expected to miss.",
        "",
    )
    for part in outcome.parts:
        columns, rows = outcome.table(part)
        yield from (f"## {part[:1].upper()}{part[1:]}", "", *_markdown(columns, rows), "")
    yield from ("## Measured on", "")
    yield from (f"- {name}: {_value(value)}" for name, value in outcome.settings.items())


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> Iterator[str]:
    """Yield the lines of a table; numbers stand to the right, `words` to the left."""
    yield f"| {' | '.join(columns)} |"
    yield f"| --- |{(' --- |' if words else ' ---: |') * (len(columns) - 1)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _value(value: Any) -> str:
    is_spec = isinstance(value, str) and ":" in value and " " not in value
    return f"`{value}`" if is_spec else str(value)
