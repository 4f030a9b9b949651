"""What a film gives, written frame by frame while the film runs: JSON lines, CSV or Parquet.

::

    with open_sink("answers.csv") as sink:
        for frame in pyfer.watch("film.mp4"):
            sink.write(frame.index, frame.time, frame.result)

Every frame leaves something: a row (CSV, Parquet) for each face, or one with the status ``no face`` and
empty cells; one object (JSON lines) with a list of faces. A file that lacks the film's end says so in its
last row or line. Memory does not grow with the film.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pyfer.errors import ArgumentError, did_you_mean, need
from pyfer.results import Result

OK = "ok"
TRUNCATED = "truncated"
STOPPED = "stopped"
"""How a film ends: well, too early, or because somebody stopped it; also any other word for why."""

SUFFIXES: tuple[str, ...] = (".jsonl", ".ndjson", ".csv", ".parquet")
GROUP = 4096
"""Rows of a Parquet row group: a few megabytes that are held until they are written."""

_OWN = ("frame", "time", "track")  # columns that a table of pictures does not have
_NUMBERS = ("x0", "y0", "x1", "y1", "score")


class Sink(ABC):
    """A file that takes the results of a film's frames; see `open_sink`.

    A context manager: left by an exception, the file is closed as ``stopped``, with the exception's name.
    """

    def __init__(self, path: Path, source: str | None) -> None:
        self.path = path
        self._source = source
        self._scheme: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._closed = False

    def write(self, index: int, time: float, result: Result) -> None:
        """Write what one frame shows.

        Parameters
        ----------
        index
            Number of the frame in the film.
        time
            Seconds from the film's start.
        result
            The frame's faces: a result of one input. All frames have the same emotions.

        Raises
        ------
        ArgumentError
            The sink is closed, the time is none, or the result is not of one frame with those emotions.
        OSError
            It cannot be written, such as on a full disk.
        """
        if self._closed:
            raise ArgumentError(f"{str(self.path)!r} is closed; write before close()")
        if not math.isfinite(time):
            raise ArgumentError(f"time={time} of frame {index} must be a finite number of seconds")
        if len(result.inputs) != 1:
            raise ArgumentError(f"result has {len(result.inputs)} inputs; a frame is one")
        scheme = (result.labels, result.answers)
        if self._scheme is None:
            self._source = _clean(result.inputs[0].name if self._source is None else self._source)
            with self._named():
                self._begin(result)
            self._scheme = scheme
        elif scheme != self._scheme:
            raise ArgumentError(
                f"result of frame {index} has the emotions {scheme}; the frames before have {self._scheme}"
            )
        with self._named():
            self._put(int(index), round(float(time), 6), result)

    def close(self, status: str = OK, message: str = "") -> None:
        """Write the end, once; closing again changes nothing.

        Parameters
        ----------
        status
            ``ok``: nothing is added. Anything else becomes the status of one more row or line:
            ``truncated``, ``stopped``.
        message
            Why, in a sentence; for JSON lines and Parquet. A row of CSV has the status alone.

        Raises
        ------
        OSError
            It cannot be written, such as on a full disk.
        """
        if self._closed:
            return
        self._closed = True
        with self._named():
            self._end(status, message)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say in errors which file it is."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        name, text = type(error).__name__, str(error)
        try:
            self.close(STOPPED, f"{name}: {text}" if text else name)
        except OSError as second:  # such as on a full disk: the first error says what happened
            error.add_note(f"{str(self.path)!r} could not be closed: {second}")

    @abstractmethod
    def _begin(self, result: Result) -> None:
        """Do what the first frame's emotions allow."""

    @abstractmethod
    def _put(self, index: int, time: float, result: Result) -> None:
        """Write a frame."""

    @abstractmethod
    def _end(self, status: str, message: str) -> None:
        """Mark the end where it is not ok, and close the file."""


def open_sink(path: str | Path, *, source: str | None = None) -> Sink:
    """Open a file for what a film's frames give, in the format of its ending.

    Parameters
    ----------
    path
        ``.jsonl`` or ``.ndjson``: a JSON object a frame, ``{"source", "frame", "time", "status", "faces"}``
        with faces as `pyfer.Face.to_dict` gives them. ``.csv`` and ``.parquet``: a row a face, with the
        columns of `pyfer.Result.to_columns` and ``frame``, ``time``, ``track``. A file there is replaced.
    source
        Name of the film in every row; without it, the name of the results' input.

    Returns
    -------
    sink
        Takes frames with `Sink.write`. JSON lines and CSV can be followed while the film runs: every frame
        is there as soon as it is written, in whole lines. Parquet lies in a hidden file beside `path` until
        it is closed, since a Parquet file without its end cannot be read.

    Raises
    ------
    ArgumentError
        The ending is another, or the path cannot be written.
    MissingExtraError
        It is Parquet, and pyarrow is not installed.

    Notes
    -----
    A file that ends with anything but ``ok`` has one more row or line with that status, all else empty: the
    object ``{"source", "status", "message"}``, a row of CSV or Parquet. In a Parquet file the key-value
    metadata ``pyfer.status`` and ``pyfer.message`` say it too, so that nobody needs to read all rows.
    """
    path = Path(path)
    kinds: dict[str, type[Sink]] = dict(zip(SUFFIXES, (_Lines, _Lines, _Csv, _Parquet), strict=True))
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        hint = did_you_mean(path.suffix.lower(), SUFFIXES)
        raise ArgumentError(
            f"path={str(path)!r} must end in .jsonl (or .ndjson), .csv or .parquet"
            f"{hint or '; the ending says the format'}"
        )
    try:
        return kind(path, source)
    except OSError as error:
        raise ArgumentError(f"path={str(path)!r} cannot be written: {error.strerror or error}") from error


def _clean(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate is a file name in another code."""
    return text.encode(errors="backslashreplace").decode()


def _columns(result: Result | None) -> tuple[str, ...]:
    """Return the names of a table's columns; those of the emotions are known from the first frame on."""
    if result is None:
        return ("source", "status", *_OWN, *_NUMBERS, "emotion")
    first, second, *rest = result.column_names(taken=_OWN)
    return (first, second, *_OWN, *rest)


def _rows(source: str | None, index: int, time: float, result: Result) -> Iterable[list[Any]]:
    tracks = [None] * len(result) if result.track is None else result.track.tolist()
    for track, (_, status, *rest) in zip(tracks or [None], result.to_rows(), strict=True):
        yield [source, status, index, time, track, *rest]


# --- lines of text ----------------------------------------------------------------------------------------


class _Text(Sink):
    """A file of lines, each frame's in one call: a reader, also after a kill, sees whole lines."""

    def __init__(self, path: Path, source: str | None) -> None:
        super().__init__(path, source)
        self._stream = path.open("wb", buffering=0)

    def _line(self, text: str) -> None:
        rest = memoryview(_clean(text).encode())
        done = 0
        try:
            while rest:
                n = self._stream.write(rest) or 0
                done, rest = done + n, rest[n:]
        except OSError:
            if done and self._stream.seekable():  # a full disk took half a line
                self._stream.seek(-done, io.SEEK_CUR)
                self._stream.truncate()
            raise

    def _end(self, status: str, message: str) -> None:
        try:
            self._finish(status, message)
        finally:
            self._stream.close()

    @abstractmethod
    def _finish(self, status: str, message: str) -> None:
        """Write the last line, if there is one."""


class _Lines(_Text):
    """JSON lines: an object a frame."""

    def _begin(self, result: Result) -> None:
        pass

    def _put(self, index: int, time: float, result: Result) -> None:
        entry = result.inputs[0]
        status = entry.status if entry.status != OK or len(result) else "no face"
        tree: dict[str, Any] = {"source": self._source, "frame": index, "time": time, "status": status}
        if entry.message:
            tree["message"] = entry.message
        self._object(tree | {"faces": [face.to_dict() for face in result]})

    def _finish(self, status: str, message: str) -> None:
        if status != OK:
            self._object({"source": self._source, "status": status, "message": message})

    def _object(self, tree: Mapping[str, Any]) -> None:
        self._line(json.dumps(tree, ensure_ascii=False, separators=(",", ":")) + "\n")


class _Csv(_Text):
    """A row of comma-separated values a face."""

    def _begin(self, result: Result | None) -> None:
        self._write_rows([list(_columns(result))])
        self._width = len(_columns(result))

    def _put(self, index: int, time: float, result: Result) -> None:
        self._write_rows(
            [*row[:3], f"{row[3]:.6f}", *(f"{v:.6g}" if isinstance(v, float) else v for v in row[4:])]
            for row in _rows(self._source, index, time, result)
        )

    def _finish(self, status: str, message: str) -> None:
        if self._scheme is None:
            self._begin(None)
        if status != OK:
            self._write_rows([[self._source, status, *[None] * (self._width - 2)]])

    def _write_rows(self, rows: Iterable[list[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._line(text.getvalue())


# --- columns ----------------------------------------------------------------------------------------------


class _Parquet(Sink):
    """Row groups of bounded size in a hidden file, which takes its name when it is complete."""

    def __init__(self, path: Path, source: str | None) -> None:
        super().__init__(path, source)
        self._arrow, self._parquet = need("pyarrow", "parquet"), need("pyarrow.parquet", "parquet")
        plain = not path.exists() or path.is_file()
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        self._target = path.resolve()  # a link is followed
        hidden = self._target.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
        self._place = hidden if plain else path  # a pipe is written to, never replaced
        self._stream = self._place.open("xb" if plain else "wb")
        self._writer: Any = None
        self._waiting: list[list[Any]] = []

    def _begin(self, result: Result | None) -> None:
        arrow = self._arrow
        kinds = {"source": arrow.string(), "status": arrow.string(), "frame": arrow.int64()}
        kinds |= {"time": arrow.float64(), "track": arrow.int64(), "emotion": arrow.string()}
        self._schema = arrow.schema([(name, kinds.get(name, arrow.float32())) for name in _columns(result)])
        self._writer = self._parquet.ParquetWriter(self._stream, self._schema)

    def _put(self, index: int, time: float, result: Result) -> None:
        self._waiting += _rows(self._source, index, time, result)
        if len(self._waiting) >= GROUP:
            self._write_group()

    def _write_group(self) -> None:
        columns = zip(*self._waiting, strict=True)
        arrays = [
            self._array(values, field.type) for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting = []

    def _array(self, values: Sequence[Any], kind: Any) -> Any:
        """Return a column from its buffers: ``pyarrow.array`` would import pandas, which is 50 MB."""
        known = np.array([value is not None for value in values])
        if kind == self._arrow.string():
            texts = [(value or "").encode() for value in values]
            ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
            parts = [ends, b"".join(texts)]
        else:
            numbers = [0 if value is None else value for value in values]
            parts = [np.array(numbers, kind.to_pandas_dtype())]
        parts = [np.packbits(known, bitorder="little"), *parts]  # bit 0: an empty cell
        buffers = [self._arrow.py_buffer(part) for part in parts]
        return self._arrow.Array.from_buffers(kind, len(values), buffers)

    def _end(self, status: str, message: str) -> None:
        try:
            if self._writer is None:
                self._begin(None)
            if status != OK:
                self._waiting.append([self._source, status, *[None] * (len(self._schema) - 2)])
                marks = {"pyfer.status": status, "pyfer.message": _clean(message)}
                self._writer.add_key_value_metadata(marks)
            if self._waiting:
                self._write_group()
            self._writer.close()
            self._stream.close()
            if self._place != self.path:
                self._place.replace(self._target)
        except BaseException:
            with contextlib.suppress(OSError):  # a full disk refuses what is left, too
                self._stream.close()
            if self._place != self.path:
                self._place.unlink(missing_ok=True)
            raise
