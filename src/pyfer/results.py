"""What recognition returns: a columnar `Result` with one row a face, and `Face`, one such row."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import NONE, UNCERTAIN
from pyfer.errors import ArgumentError, need

_COLUMNS: tuple[str, ...] = ("basic", "box", "score", "landmarks", "source", "embedding", "posterior")
_COLUMNS += ("mixture", "evidence", "track")


@dataclass(frozen=True)
class Input:
    """One picture that was asked about, and what became of it."""

    name: str
    """Path, or a description such as ``<array 480x640>``."""
    status: str = "ok"
    """``ok``, or why it could not be read in one word (see `pyfer.errors.SourceError`)."""
    message: str = ""
    """The reason in a sentence; empty when all is well."""


@dataclass(frozen=True)
class Face:
    """One recognised face."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the upright picture."""
    score: float
    """How sure the detector is that this is a face, 0..1."""
    landmarks: tuple[tuple[float, float], ...]
    """Eyes, nose, mouth corners in pixels, left to right as seen; empty for a given crop."""
    emotion: str
    """The most probable emotion of the vocabulary in use, or ``"uncertain"``; see `Result.emotion`."""
    basic: dict[str, float]
    """Probability of each basic emotion; sums to 1."""
    emotions: dict[str, float]
    """Posterior over the vocabulary in use, best first; sums to 1. New emotions bring ``"none of these"``."""
    source: int
    """Index of the input picture."""
    mixture: dict[str, float] | None = None
    """What the face seems to be mixed of, where new emotions are in use; sums to 1."""
    track: int | None = None
    """Number of the person in a film, see `pyfer.tracking`; None in pictures."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them."""
        return (
            ({} if self.track is None else {"track": self.track})
            | {
                "box": [round(v, 1) for v in self.box],
                "score": round(self.score, 4),
                "landmarks": [[round(x, 1), round(y, 1)] for x, y in self.landmarks],
                "emotion": self.emotion,
                "basic": {k: round(v, 6) for k, v in self.basic.items()},
                "emotions": {k: round(v, 6) for k, v in self.emotions.items()},
            }
            | ({} if self.mixture is None else {"mixture": {k: round(v, 6) for k, v in self.mixture.items()}})
        )


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """All faces of all inputs; every column has one entry a face.

    ``len(result)`` is the number of faces, ``result[0]`` a `Face`, ``result[mask]`` a smaller `Result`.
    """

    labels: tuple[str, ...]
    """The b basic emotions, in the model's order."""
    basic: NDArray[np.float32]
    """(n, b) probabilities, rows sum to 1."""
    box: NDArray[np.float32]
    """(n, 4) x0 y0 x1 y1 in pixels."""
    score: NDArray[np.float32]
    """(n,) detection score, 0..1."""
    landmarks: NDArray[np.float32]
    """(n, 5, 2) pixels; NaN where the picture was given as a crop."""
    source: NDArray[np.int64]
    """(n,) index into `inputs`."""
    inputs: tuple[Input, ...]
    """Every input in the order given, also those without a face and those that failed."""
    embedding: NDArray[np.float32] | None = None
    """(n, e) where the model has one."""
    answers: tuple[str, ...] = ()
    """The k emotions of the vocabulary in use, and ``"none of these"``; empty: the basic ones, `labels`."""
    posterior: NDArray[np.float32] | None = None
    """(n, k + 1) by `answers`, rows sum to 1; None where the basic emotions are all there is."""
    mixture: NDArray[np.float32] | None = None
    """(n, b) what each face seems to be mixed of, by `labels`, rows sum to 1."""
    evidence: NDArray[np.float32] | None = None
    """(n, m) see `pyfer.evidence`."""
    threshold: float = 0.0
    """Least probability of an answer; see `emotion`."""
    track: NDArray[np.int64] | None = None
    """(n,) number of the person in a film, the same as long as the film shows the face; None in pictures."""

    def __post_init__(self) -> None:
        n, b = len(self.source), len(self.labels)
        shapes = {"source": (n,), "basic": (n, b), "box": (n, 4), "score": (n,), "landmarks": (n, 5, 2)}
        if self.posterior is not None:
            shapes["posterior"] = (n, len(self.answers))
        elif self.answers:
            raise ArgumentError(f"answers={self.answers} need a posterior; leave them out or give both")
        if self.mixture is not None:
            shapes["mixture"] = (n, b)
        for name, shape in shapes.items():
            column = np.asarray(getattr(self, name), np.int64 if name == "source" else np.float32)
            if column.shape != shape:
                raise ArgumentError(f"{name} has shape {column.shape}; {n} faces need {shape}")
            object.__setattr__(self, name, column)
        for name in ("embedding", "evidence", "track"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ArgumentError(f"{name} has {len(column)} rows for {n} faces")
        if n and (self.source.min() < 0 or self.source.max() >= len(self.inputs)):
            raise ArgumentError(
                f"source={self.source} must lie in 0..{len(self.inputs) - 1}, the indices of the inputs"
            )
        for name in ("basic", "posterior", "mixture"):
            p = getattr(self, name)
            if p is not None and not ((p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-3)):
                raise ArgumentError(f"{name} must have rows of probabilities: 0 or more, with sum 1")

    def __repr__(self) -> str:
        counts = Counter(self.emotion).most_common()
        found = ", ".join(f"{name} {n}" for name, n in counts) or "no faces"
        failed = f"; {len(self.failed)} failed" if self.failed else ""
        return f"<Result: {len(self)} faces in {len(self.inputs)} inputs: {found}{failed}>"

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, rows: int | np.integer) -> Face: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[Any] | list[int] | list[bool]) -> Result: ...
    def __getitem__(
        self, rows: int | np.integer | slice | NDArray[Any] | list[int] | list[bool]
    ) -> Face | Result:
        """Return one `Face` (an integer) or the `Result` of a slice, a mask or an index array."""
        if isinstance(rows, (int, np.integer)):
            return self._face(int(rows))
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows if rows.size else rows.astype(np.intp)  # [] is float for numpy
        columns: dict[str, Any] = {
            name: None if (column := getattr(self, name)) is None else column[rows] for name in _COLUMNS
        }
        return replace(self, **columns)

    def __iter__(self) -> Iterator[Face]:
        return (self._face(row) for row in range(len(self)))

    @property
    def emotion(self) -> tuple[str, ...]:
        """The answer for each face.

        The most probable emotion of the vocabulary in use; ``"uncertain"`` where its probability is below
        `threshold`, or where ``"none of these"`` is the most probable.
        """
        names, p = self.choices
        return tuple(self._answer(names[k], row[k]) for k, row in zip(p.argmax(1), p, strict=True))

    def _answer(self, name: str, p: float) -> str:
        # as float32, in which probabilities are: float64 would find 0.7 below 0.7
        return UNCERTAIN if name == NONE or np.float32(p) < np.float32(self.threshold) else name

    @property
    def choices(self) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """The v possible answers and their probabilities (n, v)."""
        return (self.labels, self.basic) if self.posterior is None else (self.answers, self.posterior)

    @property
    def failed(self) -> tuple[Input, ...]:
        """The inputs that could not be read."""
        return tuple(entry for entry in self.inputs if entry.status != "ok")

    def _face(self, row: int) -> Face:
        basic = {name: float(p) for name, p in zip(self.labels, self.basic[row], strict=True)}
        names, p = self.choices
        posterior = sorted(zip(names, map(float, p[row]), strict=True), key=lambda item: -item[1])
        mixture = None if self.mixture is None else map(float, self.mixture[row])
        points = self.landmarks[row]
        x0, y0, x1, y1 = (float(v) for v in self.box[row])
        return Face(
            box=(x0, y0, x1, y1),
            score=float(self.score[row]),
            landmarks=() if np.isnan(points).any() else tuple((float(x), float(y)) for x, y in points),
            emotion=self._answer(*posterior[0]),
            basic=basic,
            emotions=dict(posterior),
            source=int(self.source[row]),
            mixture=None if mixture is None else dict(zip(self.labels, mixture, strict=True)),
            track=None if self.track is None else int(self.track[row]),
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one plain dictionary a face, with the name of its picture under ``source``."""
        return [{"source": self.inputs[face.source].name, **face.to_dict()} for face in self]

    def to_json(self, indent: int | None = None) -> str:
        """Return a JSON array with an object an *input*: ``{"source", "status", "message", "faces"}``."""
        faces: list[list[dict[str, Any]]] = [[] for _ in self.inputs]
        for face in self:
            faces[face.source].append(face.to_dict())
        tree = [
            {"source": entry.name, "status": entry.status, "message": entry.message, "faces": found}
            for entry, found in zip(self.inputs, faces, strict=True)
        ]
        text = json.dumps(tree, indent=indent, ensure_ascii=False)
        return text.encode(errors="backslashreplace").decode()  # half a surrogate: a file name not in UTF-8

    def to_columns(self) -> dict[str, list[Any]]:
        """Return a flat table as columns: source, status, box, score, emotion, one column an emotion.

        The basic emotions' columns are their probabilities by themselves, those of new emotions and of
        "none of these" are the posterior over the vocabulary.
        An input without a face, or that failed, has one row with empty cells, so nothing is lost.
        """
        rows = list(self.to_rows())
        return {name: [row[k] for row in rows] for k, name in enumerate(self.column_names())}

    def column_names(self, taken: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the names of the columns of `to_columns`.

        An emotion that has the name of another column, or one of those `taken`, is ``name (emotion)``.
        """
        fixed = ("source", "status", "x0", "y0", "x1", "y1", "score", "emotion")
        emotions = (*self.labels, *self._new)
        return (*fixed, *(f"{name} (emotion)" if name in (*fixed, *taken) else name for name in emotions))

    def to_rows(self) -> Iterator[list[Any]]:
        """Yield the rows of `to_columns`, an input after the other; an empty cell is None."""
        rows_of: list[list[int]] = [[] for _ in self.inputs]
        for row, index in enumerate(self.source.tolist()):
            rows_of[index].append(row)
        emotion, new = self.emotion, [self.answers.index(name) for name in self._new]
        for entry, rows in zip(self.inputs, rows_of, strict=True):
            status = entry.status if entry.status != "ok" or rows else "no face"
            for row in rows:
                numbers = [*self.box[row].tolist(), float(self.score[row])]
                values = [entry.name, status, *numbers, emotion[row], *self.basic[row].tolist()]
                if self.posterior is not None:
                    values += self.posterior[row, new].tolist()
                yield values
            if not rows:
                yield [entry.name, status, *[None] * (6 + len(self.labels) + len(new))]

    @property
    def _new(self) -> tuple[str, ...]:
        """The answers that are no basic emotions."""
        return tuple(name for name in self.answers if name not in self.labels)

    def to_csv(self) -> str:
        """Return the table of `to_columns` as CSV text."""
        columns = self.to_columns()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in row])
        return text.getvalue().encode(errors="backslashreplace").decode()

    def to_table(self) -> Any:
        """Return the table of `to_columns` as a pandas DataFrame.

        Raises
        ------
        MissingExtraError
            pandas is not installed; `to_columns` gives the same without it.
        """
        return need("pandas", "pandas").DataFrame(self.to_columns())
