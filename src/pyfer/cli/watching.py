"""The command ``pyfer watch``: from a film or a camera to who showed what, and when."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.table import Table
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    EmotionsOption,
    HeadOption,
    ModelOption,
    check_picture,
    check_target,
    reading_of,
    real,
    write,
    write_picture,
)
from pyfer.emotions import percent
from pyfer.errors import ArgumentError, SourceError, did_you_mean, need
from pyfer.terminal import clock, err, out, shown

if TYPE_CHECKING:
    from pyfer.films import Ending
    from pyfer.pipeline import Reading
    from pyfer.segments import Segment
    from pyfer.watching import Keeper, Person, Watch, WatchedFrame, Watching

WATCH_EXAMPLES = (
    "Examples:  pyfer watch film.mp4   |   pyfer watch film.mp4 -o faces.csv --film marked.mp4   |   "
    "pyfer watch film.mp4 -e 'relief = fear -> happiness within 2 s' --timeline film.png   |   "
    "pyfer watch camera --calibrate 3s"
)
_LAST = 20  # segments that are printed
_MOST = 12  # persons that are printed: those seen longest
_HANGS = 3.0  # seconds without a frame after which Ctrl-C does not wait for the next
_CAMERA = re.compile(r"camera(:\d+)?|/dev/video\d+")


def watch(
    source: Annotated[str, typer.Argument(metavar="FILM|camera[:N]", help="A film, or a camera.")],
    model: ModelOption = None,
    head: HeadOption = None,
    emotions: EmotionsOption = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Answers less probable than this are 'uncertain'.")
    ] = 0.0,
    classes: Annotated[
        str | None, typer.Option(help="Only these basic emotions, as in anger,fear,neutral.")
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="How often emotions are expected: 'uniform', or happiness=3,fear=0.5.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Look at every so many frames.")] = 1,
    detect_every: Annotated[
        int, typer.Option(min=1, help="Search for faces every so many of these; follow them between.")
    ] = 5,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From here on: 90, 1:30 or 0:01:30.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to here.")] = None,
    largest: Annotated[bool, typer.Option("--largest", help="Only the largest face.")] = False,
    smallest: Annotated[
        float | None, typer.Option(help="Smallest face in pixels (default: a twelfth of the picture).")
    ] = None,
    gap: Annotated[
        float, typer.Option(min=0, help="Seconds for which a person who is not seen stays the same person.")
    ] = 1.0,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|PICTURE",
            help="Take neutral faces off: each person's first seconds (3s), or a picture (neutral.jpg).",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Write all answers: .jsonl, .csv or .parquet; repeatable."),
    ] = None,
    film: Annotated[Path | None, typer.Option(help="Write the marked film here, sound kept.")] = None,
    timeline: Annotated[Path | None, typer.Option(help="Write a picture of who showed what when.")] = None,
    segments: Annotated[Path | None, typer.Option(help="Write a table of the segments (CSV) here.")] = None,
    show: Annotated[
        bool | None, typer.Option("--show/--no-show", help="A live window (default: for a camera).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines and nothing else.")] = False,
) -> None:
    """Watch a film or a camera: who shows which emotion, from when to when."""
    from pyfer.films import Span
    from pyfer.tracking import Tracking
    from pyfer.watching import Watching

    targets = _Targets(tuple(output or ()), film, timeline, segments, as_json)
    targets.check(source)
    live = _CAMERA.fullmatch(source) is not None
    window = _may_show(live if show is None else show, live and not targets, asked=show is True)
    first, last = _seconds("from", start) or 0.0, _seconds("to", end)
    if last is not None and last <= first:
        raise ArgumentError(f"to={end!r} must be later than from={start or '0'!r}")
    tracking = Tracking(every=detect_every, gap=gap, largest=largest)
    settings = Watching(Span(every, first, last), tracking, calibrate=_neutral(calibrate))
    reading = replace(reading_of(head, classes, prior), emotions=_vocabulary(emotions), threshold=threshold)
    try:
        watching = _opened(source, model, reading, settings, smallest)
    except SourceError as error:
        if as_json:
            print(
                json.dumps(
                    {"status": error.kind, "message": _clean(str(error)), "segments": [], "people": []}
                )
            )
        _failed(str(error))
        raise typer.Exit(1) from None
    status = _run(watching, targets, window)
    raise typer.Exit(status)


# --- the words of the options -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Targets:
    """What is to be written."""

    tables: tuple[Path, ...]
    film: Path | None
    timeline: Path | None
    segments: Path | None
    as_json: bool

    def __bool__(self) -> bool:
        return bool(self.tables or self.film or self.timeline or self.segments or self.as_json)

    def check(self, source: str) -> None:
        """Refuse, before any work, files that cannot be written, or that two options name."""
        from pyfer.films.writing import check_path
        from pyfer.sinks import SUFFIXES

        used = real([source])
        for path in self.tables:
            suffix = path.suffix.lower()
            if suffix not in SUFFIXES:
                hint = did_you_mean(suffix, SUFFIXES) or "; the ending says the format"
                raise ArgumentError(f"output={str(path)!r} must end in .jsonl, .csv or .parquet{hint}")
            check_target("output", path, used)
            used |= real([path])
            if suffix == ".parquet":
                need("pyarrow", "parquet")
        if self.film is not None:
            check_path(self.film)
            check_target("film", self.film, used)
            used |= real([self.film])
        if self.timeline is not None:
            check_picture("timeline", self.timeline, used)
            used |= real([self.timeline])
        if self.segments is not None:
            check_target("segments", self.segments, used)


def _seconds(option: str, text: str | None) -> float | None:
    """Return the seconds of ``90``, ``90s``, ``1:30`` or ``0:01:30``."""
    if text is None:
        return None
    parts = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)\s*s?", text.strip())
    if parts is None or (parts[2] and float(parts[3]) >= 60) or (parts[1] and int(parts[2]) >= 60):
        raise ArgumentError(
            f"{option}={text!r} must be seconds, min:s or h:min:s, such as 90, 1:30 or 0:01:30"
        )
    hours, minutes, seconds = parts.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def _neutral(text: str | None) -> float | Path | None:
    """Return the seconds or the picture of ``--calibrate``."""
    if text is None:
        return None
    if re.fullmatch(r"[\d.:]+\s*s?", text.strip()) and not Path(text).is_file():
        return _seconds("calibrate", text)
    return Path(text)


def _vocabulary(emotions: str | None) -> Any:
    from pyfer.vocabulary import load

    return None if emotions is None else load(emotions)


def _may_show(wanted: bool, alone: bool, *, asked: bool) -> bool:
    """Return whether there will be a window; raise `ArgumentError` where there would be nothing at all."""
    from pyfer.films import Window

    reason = Window.available() if wanted else "--no-show says so"
    if reason is None:
        return True
    if alone:
        raise ArgumentError(
            f"a camera without a window ({reason}) is of no use without a file: add -o faces.csv, --film "
            "marked.mp4, --timeline film.png, --segments emotions.csv or --json"
        )
    if asked:
        err.print(Text(f"no window: {reason}; going on without", "yellow"), soft_wrap=True)
    return False


def _opened(
    source: str, model: str | None, reading: Reading, settings: Watching, smallest: float | None
) -> Watch:
    from pyfer.faces import Mtcnn
    from pyfer.pipeline import Pipeline
    from pyfer.watching import FILM_MODEL, Watch

    pipeline = Pipeline(model or FILM_MODEL, reading=reading, threads=1)
    if reading.emotions is not None and pipeline.posterior is not None:
        terminal.show_left_out(pipeline.posterior)
    detector = None if smallest is None else Mtcnn(smallest=smallest, threads=1)
    return Watch(source, pipeline, settings, detector=detector)


# --- the film runs ------------------------------------------------------------------------------------------


def _run(watch: Watch, targets: _Targets, window: bool) -> int:
    """Go through the film, write and print what it shows, and return the exit status."""
    from pyfer.watching import Keeper

    closed = False  # by the user, who looked or read enough
    full: OSError | None = None  # a disk, mostly
    kept = targets.timeline is not None
    with (
        watch,
        Keeper(watch, tables=targets.tables, film=targets.film, timeline=kept, window=window) as keeper,
        _Stopping(watch) as stopping,
    ):
        with terminal.film_progress(watch.film.frames, quiet=window) as say:
            try:
                for frame in watch:
                    stopping.beat()
                    going = keeper.write(frame) and (not targets.as_json or _say(_frame_tree(frame)))
                    if not going:
                        closed = True
                        watch.stop()
                    say(keeper.frames, frame.time)
            except (KeyboardInterrupt, OSError) as error:
                full = error if isinstance(error, OSError) else None
                watch.close()
        stopping.finish()
        ending = watch.ending
        if closed and watch.film.live and ending.status == "stopped":
            ending = replace(ending, status="ok")  # closing the window is how a camera ends
        if full is not None:
            ending = replace(ending, status="stopped", message=f"{ending.message}: {full}")
        try:
            keeper.close(ending.status, "" if ending.status == "ok" else ending.message)
        except OSError as error:  # the other files are whole all the same
            full = full or error
        _finish(watch, keeper, targets, ending)
    return _status(ending, stopping, closed=closed, full=full)


def _status(ending: Ending, stopping: _Stopping, *, closed: bool, full: OSError | None) -> int:
    """Say how it ended where that is not well, and return the exit status."""
    if full is not None:
        _failed(f"cannot be written: {full}")
        return 1
    if ending.status == "truncated":
        _failed(ending.message)
        return 1
    if ending.status == "stopped" and not closed:
        err.print(Text.assemble(("stopped: ", "bold yellow"), shown(ending.message)), soft_wrap=True)
        return 128 + (stopping.number or signal.SIGINT)
    return 0


def _finish(watch: Watch, keeper: Keeper, targets: _Targets, ending: Ending) -> None:
    """Write and print what needs the whole film, or as much as there is."""
    if targets.segments is not None:
        write("segments", targets.segments, _segment_table(watch.segments).encode())
    if targets.timeline is not None:
        mark = "" if ending.status == "ok" else f" ({ending.status})"
        title = shown(Path(watch.film.name).name) + mark
        write_picture("timeline", targets.timeline, keeper.timeline(title))
    if targets.as_json:
        _say(_end_tree(watch, ending))
        return
    frames = f"{keeper.frames} frame{'s' * (keeper.frames != 1)}"
    speed = f"{keeper.frames / max(keeper.seconds, 1e-3):.0f} a second"
    out.print(Text(f"{frames} up to {clock(ending.time)}, {speed}", "dim"), soft_wrap=True)
    if not watch.people:
        out.print("no face was seen")
        return
    _show_segments(watch.segments)
    _show_people(watch)


class _Stopping:
    """Makes Ctrl-C and SIGTERM end the film after the frame at hand, so that all that is written is whole.

    At once, by a KeyboardInterrupt, where they come again, or where no frame has come for a while. While the
    files are finished the first one is ignored: who presses Ctrl-C twice must not lose them.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._beat = time.monotonic()
        self._finishes = self._ignored = False
        self.number: int | None = None
        """Of the signal that came."""

    def beat(self) -> None:
        """Say that a frame has come."""
        self._beat = time.monotonic()

    def finish(self) -> None:
        """Say that no more frames will come."""
        self._finishes = True

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._finishes and not self._ignored:
            self._ignored = True
            return
        again, self.number = self.number is not None, number
        self._watch.stop()
        if again or time.monotonic() - self._beat > _HANGS:
            raise KeyboardInterrupt


# --- text -------------------------------------------------------------------------------------------------


def _say(tree: dict[str, Any]) -> bool:
    """Print an object as one line, at once; return False where nobody reads any more."""
    try:
        print(_clean(json.dumps(tree, ensure_ascii=False, separators=(",", ":"))), flush=True)
    except BrokenPipeError:
        # Python writes what is left at its end, and would complain (docs.python.org, note on SIGPIPE)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _clean(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()  # half a surrogate, as in Result.to_json


def _frame_tree(frame: WatchedFrame) -> dict[str, Any]:
    """Return a frame as a line of `pyfer.sinks` has it."""
    return {
        "source": frame.result.inputs[0].name,
        "frame": frame.index,
        "time": round(frame.time, 6),
        "status": "ok" if len(frame.result) else "no face",
        "faces": [face.to_dict() for face in frame.result],
    }


def _end_tree(watch: Watch, ending: Ending) -> dict[str, Any]:
    people = [
        {
            "track": person.track,
            "first": round(person.first, 6),
            "last": round(person.last, 6),
            "seconds": round(person.seconds, 6),
            "frames": person.frames,
            "emotions": {name: round(share, 6) for name, share in _shares(watch, person)},
        }
        for person in watch.people.values()
    ]
    segments = [
        {key: round(v, 6) if isinstance(v, float) else v for key, v in asdict(one).items()}
        for one in watch.segments
    ]
    return {"status": ending.status, "message": ending.message, "segments": segments, "people": people}


def _segment_table(segments: Sequence[Segment]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["track", "emotion", "onset", "apex", "offset", "intensity"])
    for one in segments:
        times = [f"{v:.6f}" for v in (one.onset, one.apex, one.offset)]
        writer.writerow([one.track, one.emotion, *times, f"{one.intensity:.6g}"])
    return _clean(text.getvalue())


def _shares(watch: Watch, person: Person) -> list[tuple[str, float]]:
    """Return the answers with their mean probabilities, the largest first."""
    return sorted(zip(watch.names, person.mean.tolist(), strict=True), key=lambda item: -item[1])


def _failed(message: str) -> None:
    err.print(Text.assemble(("failed: ", "bold red"), shown(message)), soft_wrap=True)


def _show_segments(segments: Sequence[Segment]) -> None:
    if not segments:
        out.print("no emotion lasted long enough to be a segment")
        return
    table = _table("person", "emotion", "onset", "apex", "offset", "intensity")
    for one in segments[-_LAST:]:
        times = (clock(v) for v in (one.onset, one.apex, one.offset))
        table.add_row(str(one.track), shown(one.emotion), *times, percent(one.intensity))
    out.print(table)
    if len(segments) > _LAST:
        out.print(f"and {len(segments) - _LAST} before these; --segments FILE.csv keeps all", soft_wrap=True)


def _show_people(watch: Watch) -> None:
    longest = sorted(watch.people.values(), key=lambda person: -person.frames)
    out.print()
    table = _table("person", "emotions", "seen", "from", "to")
    for person in sorted(longest[:_MOST], key=lambda person: person.track):
        shares = ", ".join(
            f"{shown(name)} {percent(p)}" for name, p in _shares(watch, person)[:3] if p >= 0.005
        )
        times = (clock(v) for v in (person.seconds, person.first, person.last))
        table.add_row(str(person.track), shares, *times)
    out.print(table)
    if len(longest) > _MOST:
        out.print(f"and {len(longest) - _MOST} more, seen more briefly", soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        wide = column.startswith("emotion")
        table.add_column(column, justify="left" if wide else "right", no_wrap=not wide, overflow="fold")
    return table
