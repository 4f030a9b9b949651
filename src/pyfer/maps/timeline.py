"""A film in one picture: for each person a band of what the face shows, over time.

A film may be hours long, so `Timeline` keeps no frames: answers are summed in bins of time that are joined
in pairs when there are too many, and only a few faces of each person are kept.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from pyfer.drawing import COLORS
from pyfer.emotions import NONE, UNCERTAIN
from pyfer.errors import ArgumentError
from pyfer.maps.paper import (
    FAINT,
    GRAY,
    PAD,
    PANEL,
    TEXT,
    TRACK,
    Color,
    Font,
    Numbers,
    Picture,
    letters,
    short,
)
from pyfer.segments import Segment

BINS = 2000
"""Bins of time at most; more than a picture has columns."""
PERSONS = 12
"""Persons drawn at most: those seen longest."""
FACES = 16
"""Faces of a person kept at most."""
_KEPT = 48  # persons kept at most, so that of those seen longest none is missing
_FIRST_BIN = 0.02  # seconds: below the frame of any common film
_FIRST_STRETCH = 0.5  # seconds from which one face is kept, at first
_SIDE = 64  # pixels: faces
_BAND = 52  # pixels: height of a band
_GUTTER = 116  # pixels: names of persons
_LINE = 22  # pixels: names of segments
_FINE = 2  # bands are drawn so many times larger and averaged: smooth edges
_REST = ("neutral", NONE, UNCERTAIN)
_NAMED = 0.1  # an emotion whose share never gets there is one of the "others"
_OTHERS: Color = (92, 97, 106)
_LEAST = 3 * _FINE  # columns of a glimpse
_AWAY: Color = (29, 32, 37)
_GAP = 0.25  # seconds; a shorter absence is drawn over
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, eq=False)
class _Portrait:
    time: float
    score: float
    """Of the most probable answer but those of a face at rest."""
    answer: int
    crop: NDArray[np.uint8]


@dataclass(eq=False)
class _Person:
    track: int
    first: float
    seen: int = 0
    """Frames."""
    bins: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """Number of a bin -> (v + 2,) sums of the answers, of the times since the film's start, and how many."""
    portraits: dict[int, _Portrait] = field(default_factory=dict)
    """Number of a stretch of time -> the face that shows most."""
    stretch: float = _FIRST_STRETCH

    def widen(self) -> None:
        """Join bins in pairs."""
        joined: dict[int, NDArray[np.float32]] = {}
        for k, sums in self.bins.items():
            joined[k // 2] = joined[k // 2] + sums if k // 2 in joined else sums
        self.bins = joined

    def keep(self, time: float, score: float, answer: int, crop: NDArray[np.uint8]) -> None:
        """Keep a face if it shows more than the others of its stretch."""
        k = int(max(time - self.first, 0) / self.stretch)
        if k in self.portraits and self.portraits[k].score >= score:
            return
        self.portraits[k] = _Portrait(time, score, answer, _reduced(crop))
        while len(self.portraits) > FACES:
            self.stretch *= 2
            joined: dict[int, _Portrait] = {}
            for j, each in self.portraits.items():
                if j // 2 not in joined or joined[j // 2].score < each.score:
                    joined[j // 2] = each
            self.portraits = joined


class Timeline:
    """What the persons of a film show over time, in bounded memory.

    Parameters
    ----------
    names
        The v answers, basic emotions first, as `pyfer.Result.choices` has them.
    colors
        Name -> RGB, as `emotion_colors` gives. Without it a basic emotion has its own colour, and others
        some that differ.
    """

    def __init__(self, names: Sequence[str], *, colors: Mapping[str, Color] | None = None) -> None:
        self.names = tuple(names)
        if not self.names:
            raise ArgumentError("names=() must hold one answer or more")
        given = {**COLORS, NONE: GRAY, UNCERTAIN: GRAY, **(colors or {})}
        self.colors = {name: given.get(name) or _spare(k) for k, name in enumerate(self.names)}
        self._moving = np.array([name not in _REST for name in self.names])
        self._people: dict[int, _Person] = {}
        self._forgotten: set[int] = set()
        self._frames = 0
        self._start = self._stop = math.nan
        self._bin = _FIRST_BIN

    def add(
        self, time: float, track: ArrayLike, p: ArrayLike, crops: NDArray[np.uint8] | None = None
    ) -> None:
        """Add a frame, also one without a face.

        Parameters
        ----------
        time
            Seconds from the film's start.
        track
            (n,) numbers of the persons.
        p
            (n, v) probabilities by `names`.
        crops
            uint8 (n, s, s, 3) or (n, s, s): the faces; a few of them are kept.

        Raises
        ------
        ArgumentError
            A shape does not fit, or the time is no number.
        """
        who, shares = np.asarray(track, np.int64).reshape(-1), np.asarray(p, np.float32)
        if not math.isfinite(time):
            raise ArgumentError(f"time={time} must be a finite number of seconds")
        if shares.shape != (len(who), len(self.names)) and len(who):
            raise ArgumentError(
                f"p has shape {shares.shape}; {len(who)} tracks and {len(self.names)} names need"
                f" {(len(who), len(self.names))}"
            )
        if crops is not None and (crops.dtype != np.uint8 or crops.ndim < 3 or len(crops) != len(who)):
            raise ArgumentError(f"crops has shape {crops.shape}; {len(who)} faces need uint8 (n, s, s, 3)")
        if not self._frames:
            self._start = self._stop = time
        self._frames += 1
        self._stop = max(self._stop, time)
        k = self._bin_of(time)
        moving = np.where(self._moving, shares, 0) if self._moving.any() else shares
        for row, number in enumerate(who.tolist()):
            person = self._people.get(number) or self._welcome(number, time, who)
            person.seen += 1
            sums = np.append(shares[row], np.array([time - self._start, 1], np.float32))
            person.bins[k] = person.bins[k] + sums if k in person.bins else sums
            if crops is not None:
                best = int(moving[row].argmax())
                person.keep(time, float(moving[row, best]), int(shares[row].argmax()), crops[row])

    def _bin_of(self, time: float) -> int:
        while time - self._start >= BINS * self._bin:
            self._bin *= 2
            for person in self._people.values():
                person.widen()
        return int(max(time - self._start, 0) / self._bin)

    def _welcome(self, number: int, time: float, here: NDArray[np.int64]) -> _Person:
        """Begin with a new person; the one seen most briefly is forgotten where there are too many."""
        gone = [each for track, each in self._people.items() if track not in here]
        if len(self._people) >= _KEPT and gone:
            briefest = min(gone, key=lambda person: person.seen).track
            del self._people[briefest]
            self._forgotten.add(briefest)
        self._people[number] = person = _Person(number, time)
        return person

    def picture(
        self,
        width: int = 1200,
        *,
        segments: Iterable[Segment] = (),
        successions: Iterable[Segment] = (),
        title: str = "",
    ) -> Picture:
        """Draw what was added.

        Parameters
        ----------
        width
            Pixels, 480 .. 8000.
        segments
            Marked below the bands, with names where there is room; faces stand at their apexes.
        successions
            Emotions over time, marked below the segments.
        title
            A line at the top.

        Returns
        -------
        picture
            RGB uint8 (h, width, 3): persons in the order they came, each a band whose heights are the shares
            of the answers, with faces above and segments below; dark where the person is not seen.

        Raises
        ------
        ArgumentError
            `width` is not in its range.
        """
        if not 480 <= width <= 8000:
            raise ArgumentError(f"width={width} must be 480 .. 8000 pixels")
        longest = sorted(self._people.values(), key=lambda person: -person.seen)[:PERSONS]
        people = sorted(longest, key=lambda person: (person.first, person.track))
        step = (self._stop - self._start) / max(self._frames - 1, 1) if self._frames else 1.0
        step = step or self._bin  # a still
        start, stop = (self._start, self._stop) if self._frames else (0.0, 0.0)
        at = _Scale(start, stop + max(step, self._bin), PAD + _GUTTER, width - PAD - 10)
        marks = [list(segments), list(successions)]
        rows = [
            _Row(person, _shares(person, at, self._bin, step), step, *(_of(person, each) for each in marks))
            for person in people
        ]
        palette, legend = self._palette(rows)
        left_out = len(self._forgotten.union(self._people)) - len(people)
        return _Sheet(at, rows, palette).drawn(title, legend, left_out)

    def _palette(self, rows: Sequence[_Row]) -> tuple[dict[str, Color], list[tuple[str, Color]]]:
        """Return the colours of all names, and those that the legend explains."""
        peaks = np.max([row.shares.max(0) for row in rows], axis=0) if rows else np.zeros(len(self.names))
        marked = {mark.emotion for row in rows for mark in row.segments}
        named = [n for n, peak in zip(self.names, peaks, strict=True) if peak >= _NAMED or n in marked]
        palette = {name: self.colors[name] if name in named else _OTHERS for name in self.names}
        legend = [(name, palette[name]) for name in named]
        if rows and len(named) < len(self.names):
            legend.append(("others", _OTHERS))
        return palette, legend


def _reduced(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(crop).convert("RGB")
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))


def _spare(k: int) -> Color:
    """Return a colour for the k-th name: steps of the golden angle differ from all before."""
    r, g, b = colorsys.hls_to_rgb((0.47 + k * 0.381966) % 1, 0.66, 0.6)
    return round(255 * r), round(255 * g), round(255 * b)


def _of(person: _Person, marks: Iterable[Segment]) -> list[Segment]:
    return [mark for mark in marks if mark.track == person.track]


# --- drawing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """Seconds along pixels."""

    low: float
    high: float
    left: int
    right: int

    def __call__(self, time: float) -> float:
        share = (time - self.low) / (self.high - self.low)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def ticks(self, font: Font) -> list[tuple[float, str]]:
        """Return round times and how they read, as many as have room."""
        for step in _STEPS:
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if (last - first) * 30 > self.right - self.left:
                continue
            found = [(k * step, _clock(k * step, step)) for k in range(first, last + 1)]
            room = step / (self.high - self.low) * (self.right - self.left) - 28
            if max((font.getlength(text) for _, text in found), default=0) <= room:
                break
        return found


@dataclass(frozen=True, eq=False)
class _Row:
    """What is drawn of one person."""

    person: _Person
    shares: Numbers
    """(w, v) of each fine column; rows of zeros where the person is not seen."""
    step: float
    """Seconds of a frame."""
    segments: list[Segment]
    successions: list[Segment]

    @property
    def above(self) -> int:
        """Pixels above the band."""
        return _SIDE + 9 if self.person.portraits else 0

    @property
    def height(self) -> int:
        return self.above + _BAND + _LINE * (bool(self.segments) + bool(self.successions)) + 22


def _shares(person: _Person, at: _Scale, wide: float, step: float) -> Numbers:
    """Return the mean answers (w, v) of each fine column, 0 where the person is not seen."""
    keys = np.array(sorted(person.bins))
    sums = np.stack([person.bins[k] for k in keys.tolist()]).astype(float)
    means = sums[:, :-1] / sums[:, -1:]  # (k, v + 1)
    long = max(wide, step)  # what one bin stands for
    middles = at.low + means[:, -1] + step / 2
    scale = (at.right - at.left) * _FINE / (at.high - at.low)
    columns = at.low + (np.arange((at.right - at.left) * _FINE) + 0.5) / scale
    found = np.zeros((len(columns), means.shape[1] - 1))
    breaks = np.flatnonzero(np.diff(middles) > max(_GAP, 2.5 * long)) + 1
    for run in np.split(np.arange(len(keys)), breaks):
        first, last = (middles[[run[0], run[-1]]] + [-long / 2, long / 2] - at.low) * scale
        i = min(max(round(first), 0), len(columns) - _LEAST)
        j = max(round(last), i + _LEAST)  # however short, it shows
        here = columns[i:j]
        found[i:j] = np.stack([np.interp(here, middles[run], p) for p in means[run, :-1].T], axis=1)
    return found


class _Sheet:
    """The picture while it is drawn."""

    def __init__(self, at: _Scale, rows: Sequence[_Row], palette: Mapping[str, Color]) -> None:
        self.at, self.rows, self.palette = at, rows, palette
        self.width = at.right + PAD + 10

    def drawn(self, title: str, legend: Sequence[tuple[str, Color]], left_out: int) -> Picture:
        places, y = _flow([name for name, _ in legend], self.width, PAD + (34 if title else 4))
        top = y + (34 if legend else 10)
        bottom = top + (sum(row.height for row in self.rows) or 60)
        notes = []
        if left_out:
            notes.append(f"{left_out} more, seen more briefly, {'is' if left_out == 1 else 'are'} left out")
        self.image = Image.new("RGB", (self.width, bottom + 34 + 24 * len(notes) + 4), PANEL)
        self.canvas = ImageDraw.Draw(self.image)
        self._write((PAD, PAD + 10), short(title, letters(20), self.width - 2 * PAD), 20, TEXT, "lm")
        for (name, ink), (x, line, room) in zip(legend, places, strict=True):
            self.canvas.rectangle((x, line - 6, x + 15, line + 6), fill=ink)
            self._write((x + 23, line), short(name, letters(15), room), 15, TEXT, "lm")
        self._axis(top, bottom)
        for row in self.rows:
            self._row(row, top)
            top += row.height
        if not self.rows:
            self._write(((self.at.left + self.at.right) / 2, top + 30), "no face was seen", 16, FAINT, "mm")
        for k, note in enumerate(notes):
            self._write((self.at.left, bottom + 40 + 24 * k), note, 14, FAINT, "lm")
        return np.array(self.image)

    def _write(self, place: tuple[float, float], text: str, size: int, ink: Color, anchor: str) -> None:
        self.canvas.text(place, text, font=letters(size), fill=ink, anchor=anchor)

    def _axis(self, top: int, bottom: int) -> None:
        for time, text in self.at.ticks(letters(14)):
            x = round(self.at(time))
            self.canvas.line((x, top, x, bottom), fill=TRACK)
            half = letters(14).getlength(text) / 2
            self._write((min(x, self.width - 3 - half), bottom + 16), text, 14, FAINT, "mm")
        unit = "h:min:s" if self.at.high >= 3600 else "min:s"
        self._write((PAD, bottom + 16), unit, 14, GRAY, "lm")

    def _row(self, row: _Row, y: int) -> None:
        top = y + row.above
        seconds = row.person.seen * row.step
        self._write((PAD, top + 17), f"person {row.person.track}", 16, TEXT, "lm")
        self._write((PAD, top + 37), f"seen {_clock(seconds, 1 if seconds >= 10 else 0.1)}", 13, FAINT, "lm")
        self.image.paste(Image.fromarray(_band(row.shares, list(self.palette.values()))), (self.at.left, top))
        for x, portrait in _spread(row, self.at):
            ink = list(self.palette.values())[portrait.answer]
            spot = min(max(round(self.at(portrait.time + row.step / 2)), x + 1), x + _SIDE - 2)
            self.canvas.line((spot, y + _SIDE, spot, top - 1), fill=ink, width=2)
            self.canvas.rectangle((x - 2, y - 2, x + _SIDE + 1, y + _SIDE + 1), fill=ink)
            self.image.paste(Image.fromarray(portrait.crop), (x, y))
        below = top + _BAND + 4
        for marks in (row.segments, row.successions):
            if marks:
                self._marks(marks, below)
                below += _LINE

    def _marks(self, marks: Sequence[Segment], y: int) -> None:
        """Draw segments as lines with a tick at the apex, and the names that have room, weightiest first."""
        font = letters(13)
        taken: list[tuple[float, float]] = []
        for mark in sorted(marks, key=lambda mark: mark.intensity * (mark.offset - mark.onset), reverse=True):
            first, last = self.at(mark.onset), max(self.at(mark.offset), self.at(mark.onset) + 1)
            ink = self.palette.get(mark.emotion, FAINT)
            self.canvas.rectangle((first, y, last, y + 3), fill=ink)
            if last - first > 8:
                self.canvas.line((self.at(mark.apex), y - 3, self.at(mark.apex), y + 3), fill=TEXT, width=2)
            text = short(mark.emotion, font, self.at.right - self.at.left)
            half = font.getlength(text) / 2
            middle = min(max((first + last) / 2, self.at.left + half), self.at.right - half)
            span = (middle - half - 5, middle + half + 5)
            if all(span[1] <= low or span[0] >= high for low, high in taken):
                taken.append(span)
                self._write((middle, y + 12), text, 13, ink, "mm")


def _band(shares: Numbers, inks: Sequence[Color]) -> Picture:
    """Return the stacked band (h, w, 3) of shares (fine w, v), the first answer at the bottom."""
    levels = 1 - (np.arange(_BAND * _FINE) + 0.5) / (_BAND * _FINE)
    edges = np.cumsum(shares, axis=1)
    which = np.zeros((len(levels), len(shares)), np.intp)
    for edge in edges.T[:-1]:
        which += edge < levels[:, None]
    fine = np.array(inks, np.float32)[which]
    fine[:, edges[:, -1] == 0] = _AWAY
    fine = fine.reshape(_BAND, _FINE, -1, _FINE, 3).mean((1, 3))
    return np.asarray(np.rint(fine), np.uint8)


def _spread(row: _Row, at: _Scale) -> list[tuple[int, _Portrait]]:
    """Return faces that have room beside each other, those at apexes first, with their left ends."""
    known = sorted(row.person.portraits.values(), key=lambda each: -each.score)
    order = []
    for mark in sorted(row.segments, key=lambda mark: -mark.intensity):
        inside = [each for each in known if mark.onset <= each.time <= mark.offset]
        order += [min(inside, key=lambda each: abs(each.time - mark.apex))] if inside else []
    found: list[tuple[int, _Portrait]] = []
    for each in dict.fromkeys([*order, *known]):
        x = round(min(max(at(each.time + row.step / 2) - _SIDE / 2, at.left + 2), at.right - _SIDE - 2))
        if all(abs(x - other) >= _SIDE + 8 for other, _ in found):
            found.append((x, each))
    return found


def _flow(names: Sequence[str], width: int, top: int) -> tuple[list[tuple[int, int, float]], int]:
    """Return x, y and room of each name of a legend in as many lines as it takes, and the last line's y."""
    font, x, y = letters(15), PAD, top + 10
    places = []
    for name in names:
        room = min(font.getlength(name), width - 2 * PAD - 23)
        if x > PAD and x + 23 + room > width - PAD:
            x, y = PAD, y + 24
        places.append((x, y, room))
        x += math.ceil(23 + room + 24)
    return places, y


def _clock(time: float, step: float) -> str:
    """Return a time as min:s or h:min:s, with a tenth where steps are below a second."""
    tenths = round(time * 10)
    minutes, rest = divmod(tenths if step < 1 else round(time) * 10, 600)
    seconds = f"{rest / 10:04.1f}" if step < 1 else f"{rest // 10:02d}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
