"""Measure how fast films are watched, how much memory that takes, and what each output adds.

::

    python benchmarks/films.py                       # some minutes, most of them for the memory
    python benchmarks/films.py --quick               # half a minute, rough
    python benchmarks/films.py --only speed --film FILE --model FOLDER

The film is H.264 of 640x360 at 24 frames/s unless told: NASA's portrait of an astronaut (public domain),
panned and zoomed so that its end fits to its beginning, with one face in every frame.

- **Speed**: whole films through `pyfer.watching.Watch` with its default settings, from the first frame to
  the last; opening networks and film is not counted. Searching for faces at every fifth frame (the default)
  and at every frame take turns, so that a machine that slows down slows both; the ratio is taken turn by
  turn.
- **Parts**: what a frame spends where, measured in runs of their own (watching the clock takes time too).
  Decoding goes on in a thread of its own; "wait" is what is left to wait for, with a single core nearly all
  of it. "decode alone" has nothing else to do.
- **Memory**: resident set while one film of 20,000 frames is watched, with JSON lines, CSV and timeline
  written at the same time. That film repeats the packets of the short one, nothing is encoded anew. What it
  takes until frame 500 is what networks and libraries need; the growth after it is what is held against the
  goal.
- **Outputs**: what each output adds to a frame. The annotated film is drawn and encoded.

Figures are medians with least and greatest, but memory, which is measured once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from speed import Figure, counted, machine, number, table

from pyfer.drawing import draw
from pyfer.errors import ModelError
from pyfer.films import Film, FilmWriter
from pyfer.maps.timeline import Timeline
from pyfer.models import Model, find
from pyfer.pipeline import Pipeline
from pyfer.segments import Segmenter
from pyfer.sinks import open_sink
from pyfer.successions import Finder
from pyfer.tracking import Tracker, Tracking
from pyfer.watching import FILM_MODEL, Watch, WatchedFrame, Watching

Pixels = npt.NDArray[np.uint8]

SIZE, RATE, SECONDS = (640, 360), 24, 10
FIRST, LAST = 500, 20_000
"""Frames between which memory may grow."""
STEP = 100
"""Frames from one look at the memory to the next."""

# What the figures are held against: the project's own aims, for two cores.
FRAMES_S, REAL_TIME, GROWTH_MB = 60.0, 5.0, 30.0

PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    "track": ((Tracker, "__call__"),),
    "align": ((Pipeline, "crops"),),
    "encoder": ((Model, "__call__"),),
    "step": ((Pipeline, "step"),),
    "result": ((Pipeline, "told"),),
    "segments": ((Segmenter, "add"), (Segmenter, "finish"), (Finder, "add"), (Finder, "finish")),
}
"""Parts of watching and the methods they are, without what these call of other parts."""
WAIT, REST = "wait", "rest"


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    turns: int
    frames: int
    """Frames of the film whose memory is measured."""


FULL, QUICK = Effort(7, LAST), Effort(2, 2000)


# --- films --------------------------------------------------------------------------------------------------


def panned(seconds: float = SECONDS, size: tuple[int, int] = SIZE) -> Iterator[Pixels]:
    """Yield frames (h, w, 3) of a pan and zoom over the astronaut; the last one is followed by the first."""
    from skimage import data

    photo = np.asarray(data.astronaut())  # type: ignore[no-untyped-call]  # 512x512, the face at (224, 115)
    picture = Image.fromarray(photo)
    count = max(1, round(seconds * RATE))
    width, height = size
    for k in range(count):
        turn = 2 * math.pi * k / count
        high = 240 * (1 + 0.15 * math.sin(2 * turn))  # pixels of the photograph that are seen
        wide = high * width / height
        x = np.clip(224 + 25 * math.sin(3 * turn) - wide / 2, 0, 512 - wide)
        y = np.clip(130 + 15 * math.sin(4 * turn) - high / 2, 0, 512 - high)
        yield np.asarray(picture.resize(size, Image.Resampling.BILINEAR, (x, y, x + wide, y + high)))


def astronaut(path: Path, seconds: float = SECONDS, size: tuple[int, int] = SIZE) -> Path:
    """Write the film of the astronaut and return its path."""
    with FilmWriter(path, rate=RATE) as writer:
        for index, frame in enumerate(panned(seconds, size)):
            writer.write(frame, index / RATE)
    return path


def repeated(film: Path, path: Path, frames: int) -> Path:
    """Write a film of so many frames that shows the pictures of another again and again, packet by packet.

    The pictures are copied as they are encoded, so that a film of hours is made in a second.
    """
    import av

    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        begin = min(packet.dts or 0 for packet in packets)
        rate = stream.average_rate or Fraction(RATE)
        length = round(len(packets) / rate / (stream.time_base or Fraction(1, 1000)))
        written = 0
        while written < frames:
            shift = written // len(packets) * length - begin
            for packet in packets[: frames - written]:
                twin = av.Packet(bytes(packet))
                twin.pts, twin.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
                twin.duration, twin.time_base = packet.duration, packet.time_base
                twin.is_keyframe, twin.stream = packet.is_keyframe, copy
                target.mux(twin)
            written += len(packets)
    return path


# --- speed --------------------------------------------------------------------------------------------------


def watch(film: Path, pipeline: Pipeline, every: int | None = None) -> Watch:
    """Return a watch with the default settings, but for how often faces are searched."""
    tracking = Tracking() if every is None else Tracking(every=every)
    return Watch(film, pipeline, Watching(tracking=tracking))


def once(film: Path, pipeline: Pipeline, every: int | None = None) -> tuple[float, int, int]:
    """Watch a film; return its seconds, frames, and frames with a face."""
    frames = seen = 0
    with watch(film, pipeline, every) as watching:
        start = time.perf_counter()
        for frame in watching:
            frames += 1
            seen += len(frame.result) > 0
        taken = time.perf_counter() - start
    if not frames:
        raise SystemExit(f"{film}: there is no frame in the film, so there is nothing to measure")
    return taken, frames, seen


def speed(film: Path, pipeline: Pipeline, effort: Effort) -> Iterator[Figure]:
    """Yield frames/s and times real time, with faces searched by default and at every frame."""
    _, frames, seen = once(film, pipeline)  # warms up
    turns = [(once(film, pipeline)[0], once(film, pipeline, 1)[0]) for _ in range(effort.turns)]
    default, each = ([frames / taken for taken in column] for column in zip(*turns, strict=True))
    note = f"search every {Tracking().every} frames; {counted(frames, 'frame')}, {seen} with a face"
    yield Figure.of("watch", default, "frames/s", note, target=FRAMES_S, at_least=True)
    times = [rate / RATE for rate in default]
    yield Figure.of("watch / real time", times, "x", f"{RATE} frames/s", target=REAL_TIME, at_least=True)
    yield Figure.of("watch, search every frame", each, "frames/s", "in turns with the default")
    ratios = [a / b for a, b in zip(default, each, strict=True)]
    yield Figure.of("default / search every frame", ratios, "x", "turn by turn")


# --- parts --------------------------------------------------------------------------------------------------


class Clock:
    """Adds up the seconds of parts; what a part calls of another counts for that one alone."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._now = now
        self._inside: list[float] = []  # of the parts that run now: seconds of what they called

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the seconds of a block for `part`."""
        start = self._now()
        self._inside.append(0.0)
        try:
            yield
        finally:
            taken = self._now() - start
            self.seconds[part] += taken - self._inside.pop()
            if self._inside:
                self._inside[-1] += taken

    def timed(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that counts for `part`."""

        def counted_method(*arguments: Any, **options: Any) -> Any:
            with self(part):
                return method(*arguments, **options)

        return counted_method

    def waited(self, frames: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return an ``__iter__`` whose steps count as waiting."""

        def steps(film: Film) -> Iterator[Any]:
            source, nothing = iter(frames(film)), object()
            try:
                while True:
                    with self(WAIT):
                        frame = next(source, nothing)
                    if frame is nothing:
                        return
                    yield frame
            finally:
                getattr(source, "close", lambda: None)()

        return steps


@contextmanager
def measured(clock: Clock) -> Iterator[None]:
    """Let the methods of `PARTS` and the steps of a film count on a clock."""
    with ExitStack() as undo:
        for part, methods in PARTS.items():
            for owner, name in methods:
                method = getattr(owner, name)
                undo.callback(setattr, owner, name, method)
                setattr(owner, name, clock.timed(part, method))
        frames = Film.__iter__
        undo.callback(setattr, Film, "__iter__", frames)
        Film.__iter__ = clock.waited(frames)  # type: ignore[method-assign]
        yield


def spent(film: Path, pipeline: Pipeline, every: int | None = None) -> dict[str, float]:
    """Watch a film once; return the milliseconds a frame that each part took, and the rest."""
    clock = Clock()
    with measured(clock):
        taken, frames, _ = once(film, pipeline, every)
    parts = {part: 1000 * clock.seconds[part] / frames for part in (WAIT, *PARTS)}
    return parts | {REST: 1000 * taken / frames - sum(parts.values())}


def decoded(film: Path) -> float:
    """Decode a film; return milliseconds a frame."""
    start = time.perf_counter()
    with Film(film) as frames:
        count = sum(1 for _ in frames)
    return 1000 * (time.perf_counter() - start) / count


def parts(film: Path, pipeline: Pipeline, effort: Effort) -> Iterator[Figure]:
    """Yield the milliseconds of a frame in each part."""
    turns = [(decoded(film), spent(film, pipeline), spent(film, pipeline, 1)) for _ in range(effort.turns)]
    alone, default, each = zip(*turns, strict=True)
    total = statistics.median(sum(turn.values()) for turn in default)
    yield Figure.of("decode alone", list(alone), "ms", "a frame, as all of these")
    for part in (WAIT, *PARTS, REST):
        samples = [turn[part] for turn in default]
        note = f"{statistics.median(samples) / total:.0%} of {total:.2f}"
        yield Figure.of(part, samples, "ms", note + _about(part))
    yield Figure.of("track, search every frame", [turn["track"] for turn in each], "ms")


def _about(part: str) -> str:
    return {WAIT: "; for the thread that decodes", "step": "; without the encoder"}.get(part, "")


# --- memory -------------------------------------------------------------------------------------------------


def resident() -> float:
    """Return the megabytes of this process that lie in memory; NaN on systems that do not tell that way."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return math.nan
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def sizes(film: Path, pipeline: Pipeline, folder: Path) -> list[tuple[int, float]]:
    """Watch a film and write everything but the annotated film; return (frame, megabytes) on the way."""
    found = []
    with watch(film, pipeline) as watching, ExitStack() as files:
        sinks = [files.enter_context(open_sink(folder / f"all{end}")) for end in (".jsonl", ".csv")]
        timeline = Timeline(watching.names)
        for done, frame in enumerate(watching, start=1):
            for sink in sinks:
                sink.write(frame.index, frame.time, frame.result)
            added(timeline, frame)
            if done % STEP == 0:
                found.append((done, resident()))
    timeline.picture(segments=watching.segments)
    return found


def growth(found: Sequence[tuple[int, float]], first: int = FIRST) -> tuple[float, float, float]:
    """Return megabytes at frame `first` or the next that is known, how many more at the end, and at most."""
    after = [megabytes for frame, megabytes in found if frame >= first]
    if not after:
        raise ValueError(f"found holds no frame of {first} or more; watch a longer film")
    return after[0], after[-1] - after[0], max(after) - after[0]


def memory(film: Path, pipeline: Pipeline, effort: Effort, folder: Path) -> Iterator[Figure]:
    """Yield the resident set at frame 500 and how it grows after it."""
    start = time.perf_counter()
    found = sizes(repeated(film, folder / f"long{film.suffix}", effort.frames), pipeline, folder)
    taken = time.perf_counter() - start
    before, more, most = growth(found)
    last = found[-1][0]
    yield Figure(f"memory at frame {FIRST}", before, before, before, "MB", "networks and libraries included")
    note = f"at most {most:.1f}; {last / taken:.0f} frames/s with JSON lines, CSV and timeline"
    name = f"growth to frame {last}"
    yield Figure(name, more, more, more, "MB", note, target=GROWTH_MB)


# --- outputs ------------------------------------------------------------------------------------------------


def added(timeline: Timeline, frame: WatchedFrame) -> None:
    """Add a frame to a timeline."""
    track = frame.result.track
    assert track is not None  # results of films have it
    timeline.add(frame.time, track, frame.result.choices[1], frame.crops)


def per_frame(frames: Sequence[WatchedFrame], call: Callable[[WatchedFrame], object]) -> float:
    """Return the mean milliseconds of a call."""
    start = time.perf_counter()
    for frame in frames:
        call(frame)
    return 1000 * (time.perf_counter() - start) / len(frames)


def outputs(film: Path, pipeline: Pipeline, effort: Effort, folder: Path) -> Iterator[Figure]:
    """Yield the milliseconds a frame that each output takes."""
    with watch(film, pipeline) as watching:
        frames = list(islice(watching, 120))
        names = watching.names
    height, width = frames[0].image.shape[:2]
    for name in ("JSON lines", "CSV", "Parquet"):
        path = folder / f"out.{'jsonl' if name == 'JSON lines' else name.lower()}"
        samples = []
        for _ in range(effort.turns):
            start = time.perf_counter()
            with open_sink(path) as sink:
                for frame in frames:
                    sink.write(frame.index, frame.time, frame.result)
            samples.append(1000 * (time.perf_counter() - start) / len(frames))
        yield Figure.of(name, samples, "ms", "a frame, opened and closed")
    samples = []
    for _ in range(effort.turns):
        timeline = Timeline(names)
        samples.append(per_frame(frames, lambda frame, t=timeline: added(t, frame)))  # type: ignore[misc]
    yield Figure.of("timeline", samples, "ms", "a frame")
    drawn = [per_frame(frames, lambda frame: draw(frame.image, frame.result)) for _ in range(effort.turns)]
    yield Figure.of("annotated film, drawing", drawn, "ms", "a frame")
    encoded = []
    for _ in range(effort.turns):
        with FilmWriter(folder / "out.mp4", rate=RATE) as writer:
            encoded.append(per_frame(frames, lambda f, w=writer: w.write(f.image, f.time)))  # type: ignore[misc]
    yield Figure.of("annotated film, encoding", encoded, "ms", f"a frame of {width}x{height}")


# --- report -------------------------------------------------------------------------------------------------

ALL = ("memory", "speed", "outputs")


def measure(film: Path, pipeline: Pipeline, effort: Effort, only: Sequence[str]) -> Iterator[Figure]:
    """Yield every figure that is asked for; memory first, before anything else has taken some."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if "memory" in only:
            yield from memory(film, pipeline, effort, folder)
        if "speed" in only:
            yield from speed(film, pipeline, effort)
            yield from parts(film, pipeline, effort)
        if "outputs" in only:
            yield from outputs(film, pipeline, effort, folder)


def default_model() -> str | None:
    """Return the model for films where it is installed, else None: the one for stills."""
    try:
        find(FILM_MODEL)
    except ModelError:
        return None
    return FILM_MODEL


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Speed and memory of watching films, in one table.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--film", type=Path, metavar="FILE", help="film instead of the astronaut")
    parser.add_argument(
        "--model", metavar="MODEL", help="installed model or folder (default: the one for films)"
    )
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, help="measure these alone")
    parser.add_argument("--quick", action="store_true", help="a rough run, memory over a short film")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    told, about = arguments(), machine()
    effort = QUICK if told.quick else FULL
    pipeline = Pipeline(told.model or default_model(), threads=1)
    with tempfile.TemporaryDirectory() as folder:
        film = told.film or astronaut(Path(folder) / "astronaut.mp4")
        figures = list(measure(film, pipeline, effort, told.only))
    name = pipeline.model.spec.name
    if told.json:
        rows = [{**asdict(figure), "met": figure.met} for figure in figures]
        print(json.dumps({"machine": about, "model": name, "figures": rows}, indent=1))
        return
    caption = f"model {name}; " + ", ".join(f"{k} {v}" for k, v in about.items())
    caption += f"\nThe goals are those for two cores; this run had {number(about['cores'])}."
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(figures, caption))


if __name__ == "__main__":
    main()
