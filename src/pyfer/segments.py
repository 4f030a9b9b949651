"""When an emotion begins, is strongest and ends.

A film gives a probability for each answer, person and frame. What people want to read is a list of
segments: *this person was surprised from 2.1 to 3.4 s, most at 2.8 s*. `Segmenter` makes it while the film
runs, and remembers no more than what is still open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import NONE
from pyfer.errors import ArgumentError

_ROUNDING = 1e-9  # seconds; five frames of 1/25 s are not exactly 0.2 s


@dataclass(frozen=True)
class Segment:
    """A stretch of a film in which a person shows one emotion. Times are seconds from the film's start."""

    track: int
    """Number of the person, see `pyfer.tracking`."""
    emotion: str
    onset: float
    apex: float
    """When it is most probable."""
    offset: float
    intensity: float
    """Its probability at the apex, 0..1."""


@dataclass(frozen=True)
class Segmentation:
    """What counts as a segment. All numbers are conventions of this project.

    Raises
    ------
    ArgumentError
        A field is outside its range.
    """

    shortest: float = 0.2
    """Seconds for which an emotion must be the most probable answer, from the first such frame to the last
    without those in between that it loses; 0 or more. A single frame, as of a still picture, lasts 0 s: it
    is a segment only if this is 0."""
    bridge: float = 0.2
    """Seconds, 0 or more. A segment ends where its emotion has not been the most probable answer, or its
    person has not been seen, for longer than this, from the last frame with it to the next; a shorter
    interruption is bridged."""
    margin: float = 1.5
    """How many times as probable as the answer that stands a new one must be at least once for the change to
    count; 1 or more, where 1 is plain argmax.

    With argmax alone, two answers that are about equally probable change places with the noise of each
    frame. Two thresholds, one to go and one to come back, need noise that crosses the whole band between
    them (hysteresis: Schmitt 1938; Canny 1986 for edges). The thresholds are a ratio of two answers and no
    fixed probabilities, as the winner of thirty emotions may have no more than 0.2. Changes are dated to
    the frame where the winner changed, so the margin makes them surer but not later."""
    rest: tuple[str, ...] = ("neutral", NONE)
    """Answers that have no segments of their own."""

    def __post_init__(self) -> None:
        for name, least in (("shortest", 0), ("bridge", 0), ("margin", 1)):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not least <= value < math.inf
            ):
                unit = "a ratio" if name == "margin" else "seconds"
                raise ArgumentError(f"segmentation: {name}={value!r} must be {unit}, {least} or more")
        rest: object = self.rest
        if not isinstance(rest, tuple) or not all(isinstance(name, str) for name in rest):
            raise ArgumentError(f"segmentation: rest={rest!r} must be a tuple of names")


@dataclass
class _Run:
    """Frames that an emotion has won, so far."""

    emotion: int
    onset: float
    last: float  # the newest frame it has won
    apex: float
    peak: float = -1.0
    won: float = 0.0  # seconds between neighbouring frames that it has both won
    decisive: bool = False

    def extend(self, time: float, seconds: float, p: float) -> None:
        self.last = time
        self.won += seconds
        if p > self.peak:
            self.apex, self.peak = time, p

    def segment(self, track: int, names: Sequence[str]) -> Segment:
        return Segment(track, names[self.emotion], self.onset, self.apex, self.last, self.peak)


@dataclass
class _Person:
    """What is open of a person."""

    frame: int = -1  # number of the newest frame with this person
    time: float = 0.0
    winner: int = -1
    held: _Run | None = None  # the segment that stands
    left: bool = False  # whether another answer was clearly ahead of it since its last frame
    runs: dict[int, _Run] = field(default_factory=dict)  # emotions that may follow; all after held.last


class Segmenter:
    """Turns probabilities into segments, frame after frame.

    An emotion that becomes the most probable answer begins a segment if it stays so for
    ``settings.shortest`` seconds and is clearly ahead once (``settings.margin``). The segment ends at the
    last frame where it was the most probable answer, once it has not been for ``settings.bridge`` seconds
    or another segment follows. Segments of a person never overlap. Frames may come at irregular times; an
    interruption needs a frame that shows it, so a film of one frame a second works too.

    Parameters
    ----------
    names
        The v answers whose probabilities are given, as in `pyfer.posterior.Posterior.names`.
    settings
        What counts as a segment.

    Raises
    ------
    ArgumentError
        A name is there twice, or there is none.
    """

    def __init__(self, names: Iterable[str], settings: Segmentation | None = None) -> None:
        self.names = tuple(names)
        self.settings = settings or Segmentation()
        if not self.names or len(set(self.names)) < len(self.names):
            raise ArgumentError(f"names={self.names} must be one or more different names")
        self._rest = [k for k, name in enumerate(self.names) if name in self.settings.rest]
        self._people: dict[int, _Person] = {}
        self._frame = 0
        self._time = -math.inf

    def add(self, time: float, track: NDArray[np.integer], p: NDArray[np.floating]) -> list[Segment]:
        """Take one frame and return the segments that are known to have ended by now.

        Parameters
        ----------
        time
            Seconds from the film's start, never less than before.
        track
            (n,) numbers of the persons in this frame, each once. Frames without faces count too: n = 0.
        p
            (n, v) probabilities of the answers, rows sum to 1.

        Raises
        ------
        ArgumentError
            A shape is off, the time goes back, a person is there twice, or a probability is no number.
        """
        track, p = np.asarray(track), np.asarray(p)
        self._check(time, track, p)
        self._time = float(time)
        self._frame += 1
        winners, best = p.argmax(1).tolist() if len(p) else [], p.max(1, initial=0.0).tolist()
        resting = p[:, self._rest].max(1, initial=0.0).tolist()
        late = self._time - self.settings.bridge - _ROUNDING
        here = {*track.tolist()}
        ended = self.finish(
            number
            for number, one in self._people.items()
            if one.time < late and (one.frame < self._frame - 1 or number not in here)
        )
        for k, number in enumerate(track.tolist()):
            person = self._people.setdefault(number, _Person())
            held = -1 if person.held is None else person.held.emotion
            if run := self._step(person, winners[k], best[k], (float(p[k, held]), resting[k])):
                ended.append(run.segment(number, self.names))
        return ended

    def finish(self, tracks: Iterable[int] | None = None) -> list[Segment]:
        """Close what is open of some persons, or of all, and return their segments.

        What has not yet lasted long enough to be a segment is dropped.
        """
        numbers = list(self._people) if tracks is None else [int(number) for number in tracks]
        people = [(number, self._people.pop(number)) for number in numbers if number in self._people]
        return [one.held.segment(number, self.names) for number, one in people if one.held]

    def _step(self, person: _Person, winner: int, p: float, standing: tuple[float, float]) -> _Run | None:
        """Take a person's most probable answer, and return the run that has ended with it.

        `standing` are the probabilities of the open segment's emotion, if there is one, and of rest.
        """
        time, held = self._time, person.held
        again = person.winner == winner and person.frame == self._frame - 1
        seconds = time - person.time if again else 0.0
        person.frame, person.time, person.winner = self._frame, time, winner
        if held:
            lost = winner != held.emotion
            person.left |= lost and p >= self.settings.margin * standing[0]
            if person.left and not self._is_bridged(held):
                person.held = None
            elif not lost:
                held.extend(time, seconds, p)
                person.left = False
                person.runs.clear()  # they were interruptions
                return None
        if winner not in self._rest:
            self._challenge(person, winner, p, seconds if again else None, standing[person.held is None])
        return held if held is not person.held else None

    def _challenge(
        self, person: _Person, winner: int, p: float, seconds: float | None, standing: float
    ) -> None:
        """Let an emotion that is not the standing one win a frame; in the end it stands."""
        run = person.runs.get(winner)
        if run is None or (seconds is None and not self._is_bridged(run)):
            run = person.runs[winner] = _Run(winner, self._time, self._time, self._time)
        run.extend(self._time, seconds or 0.0, p)
        run.decisive |= p >= self.settings.margin * standing
        if run.decisive and run.won >= self.settings.shortest - _ROUNDING:
            person.held, person.left = run, False
            person.runs.clear()

    def _is_bridged(self, run: _Run) -> bool:
        return self._time - run.last <= self.settings.bridge + _ROUNDING

    def _check(self, time: float, track: NDArray[np.integer], p: NDArray[np.floating]) -> None:
        if not (math.isfinite(time) and time >= self._time):
            raise ArgumentError(
                f"time={time!r} must be seconds, not before {self._time}, that of the last frame"
            )
        n = len(track) if track.ndim == 1 else -1
        if p.shape != (n, len(self.names)):
            raise ArgumentError(
                f"p of shape {p.shape} must be ({max(n, 0)}, {len(self.names)}): a row a track, "
                "a column a name"
            )
        if len(set(track.tolist())) < len(track):
            raise ArgumentError(f"track={track.tolist()} must name each person of a frame once")
        if not np.isfinite(p).all():
            raise ArgumentError("p holds what is no number; leave out faces that were not recognised")
