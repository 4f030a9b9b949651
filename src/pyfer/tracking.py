"""Who is who in a film: faces are searched every few frames, followed between, and keep their numbers.

::

    tracker = Tracker()
    for time, image in film:
        tracked = tracker(image, time)     # tracked.faces, tracked.track: the number of each face's person

A search (detection) is the dear part, so it happens every `Tracking.every` frames, and at once where the film
is cut or a person is lost. Between, a detector that can ``follow`` (`pyfer.faces.Mtcnn`) looks near the
places where the faces should be by now; any other detector is asked at every frame.

Found faces are given to known persons at the least total cost (`assigned`, exact) of place, size and look.
The place to expect is that of a g-h (alpha-beta) filter; the look is a small registered picture in colour,
compared by correlation. Constants were chosen on films of one face and on photographs of many; see
`SAME`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pyfer.errors import ArgumentError
from pyfer.faces import (
    SMALLEST,
    TEMPLATE,
    Array,
    Detector,
    Faces,
    Mtcnn,
    Pixels,
    align,
    check_image,
    crop_box,
)

Numbers = npt.NDArray[np.int64]

SURE = 0.99
"""A face of at least this score counts at once; others when a second search has found them as well."""
SAME, UNLIKE = 0.8, 0.4
"""Correlation of looks above which two faces are one person wherever they are, below which a face at a lost
person's place is another's. Measured: one person a second apart 0.71 (1st percentile) to 0.94 (median),
different persons of one photograph 0.16 (median) to 0.69 (99th percentile)."""
CUT = 24.0
"""Mean absolute difference of two frames (gray values of 256, `Scene`) above which the film is cut."""
REST = 3
"""Frames from a search to an additional one: persons who come and go must not cause one at every frame."""
PATIENCE = 2
"""Searches in a row that may miss a face that can still be followed."""
JUMP = 0.5
"""Distance of a face from where it should be, and growth, in sizes, that no motion explains."""
MISS = 2.0
"""Cost of leaving a person without a face; see `_cost`."""
LOOK, ZOOM = 16, 0.7
"""Side of the look in pixels, and its scale: it sees 1 / 0.7 of a model's crop, with some hair and neck."""
LARGER = 1.5
"""With `Tracking.largest`, times the area another face must have to take the place of the one followed."""


@runtime_checkable
class Follower(Protocol):
    """A detector that can look again at faces it has found."""

    def follow(self, image: Pixels, box: Array) -> tuple[Faces, npt.NDArray[np.intp]]:
        """Return the faces still there near `box` (n, 4), in its order, and their indices in it."""
        ...


@dataclass(frozen=True)
class Tracking:
    """Settings of a `Tracker`.

    Parameters
    ----------
    every
        Frames from one search to the next, at least 1. New faces are noticed so late.
    gap
        Seconds for which the number of a lost person is kept.
    largest
        Give the largest face only. It stays the one until another has 1.5 times its area.
    smallest
        Least size of a face for the detector that comes with the package, as a fraction of the geometric
        mean of the picture's width and height (1/12: 40 px at 640x360, 120 px at 1920x1080), but at least 20
        px. Half the size is up to four times the work.
    """

    every: int = 5
    gap: float = 1.0
    largest: bool = False
    smallest: float = 1 / 12

    def __post_init__(self) -> None:
        if not (isinstance(self.every, int) and self.every >= 1):
            raise ArgumentError(f"every={self.every!r} must be a whole number of frames, at least 1")
        if not 0 <= self.gap < math.inf:
            raise ArgumentError(f"gap={self.gap!r} must be a number of seconds, at least 0")
        if not 0 < self.smallest < 1:
            raise ArgumentError(f"smallest={self.smallest!r} must be a fraction of the picture, in (0, 1)")


@dataclass(frozen=True, eq=False)
class Tracked:
    """Faces of one frame.

    Parameters
    ----------
    faces
        Those seen in this frame, in the order of their numbers.
    track
        int64 (n,), the numbers of their persons: 1, 2, ... in the order of appearance (of those that
        appear together, the largest face first).
    ended
        Numbers of the persons who will not come back, each told once.
    detected
        Whether this frame was searched.
    """

    faces: Faces
    track: Numbers
    ended: tuple[int, ...] = ()
    detected: bool = True


class Tracker:
    """Finds the faces of a film frame by frame and knows who is who.

    Not for several threads at once. The memory it takes does not grow with the film.

    Parameters
    ----------
    detector
        Any function from a picture to `Faces`; what it keeps between calls is its own affair. ``None``:
        `pyfer.faces.Mtcnn`, its least size fitting the frames.
    settings
        See `Tracking`.
    threads
        Threads of the detector that is made here; 0 is one: reading and recognising take the other cores.
    """

    def __init__(
        self, detector: Detector | None = None, settings: Tracking | None = None, threads: int = 0
    ) -> None:
        self.settings = settings or Tracking()
        self._own = detector is None
        self._detector: Detector = detector or Mtcnn(threads=threads or 1)
        self._shape: tuple[int, ...] = ()
        self._scene = Scene()
        self._people: list[_Person] = []
        self._held: _Person | None = None
        self._time = -math.inf
        self._since = self.settings.every  # frames since the last search
        self._wanted = False  # a search, as soon as it may be
        self._first = True
        self._count = 0

    def __call__(self, image: Pixels, time: float) -> Tracked:
        """Return the faces of the next frame.

        Parameters
        ----------
        image
            uint8 (h, w, 3) RGB; the size may differ from the last frame's.
        time
            Seconds, not less than the last frame's.

        Raises
        ------
        ArgumentError
            The picture is not one, or time goes back.
        """
        check_image(image)
        if not (math.isfinite(time) and time >= self._time):
            raise ArgumentError(
                f"time={time!r} must be a number of seconds, not before the last {self._time}"
            )
        self._fit(image)
        cut = self._scene.changed(image)
        ended = self._forget(time)
        for person in self._people:
            person.elsewhere |= cut
        self._time, self._since = time, self._since + 1
        follower = self._detector if isinstance(self._detector, Follower) else None
        search = follower is None or cut or self._since >= self.settings.every
        found: list[_Found] = []
        if not search and follower is not None:
            found = self._followed(follower, image, time)
            search = self._wanted and self._since >= REST
        if search:
            found = self._searched(follower, image, time)
        return self._answer(found, ended, search)

    def finish(self) -> tuple[int, ...]:
        """Forget all persons; return the numbers of those who had not ended. The film may start again."""
        numbers = _numbers(self._people)
        self._people, self._held, self._scene = [], None, Scene()
        self._time, self._since, self._wanted, self._first = -math.inf, self.settings.every, False, True
        return numbers

    def _fit(self, image: Pixels) -> None:
        """Give our own detector the least size that fits the frame."""
        if self._own and isinstance(self._detector, Mtcnn) and image.shape != self._shape:
            side = math.sqrt(image.shape[0] * image.shape[1])
            smallest = max(SMALLEST, self.settings.smallest * side)
            self._detector = replace(self._detector, smallest=smallest)
            self._shape = image.shape

    def _forget(self, time: float) -> tuple[int, ...]:
        """Drop persons who are lost for too long; return their numbers."""
        gone = [p for p in self._people if not p.visible and time - p.motion.time > self.settings.gap]
        self._people = [person for person in self._people if person not in gone]
        return _numbers(gone)

    # --- looking ------------------------------------------------------------------------------------------

    def _followed(self, follower: Follower, image: Pixels, time: float) -> list[_Found]:
        """Look for the persons of the last frame near their places."""
        people = [person for person in self._people if person.visible]
        if self.settings.largest:
            people = [person for person in people if person is self._held]
        if not people:
            return []
        found = _still_there(follower, image, time, people)
        found = _without_doubles(image, found)
        for person in people:
            person.visible = any(one.person is person for one in found)
        for one in found:
            one.person.motion.saw(one.face.box[0], time)
        self._wanted |= not all(person.visible for person in people)
        self._people = [person for person in self._people if person.visible or person.counts]
        return found

    def _searched(self, follower: Follower | None, image: Pixels, time: float) -> list[_Found]:
        """Search the whole frame and tell who the found faces are."""
        self._since, self._wanted = 0, False
        faces = self._detector(image)
        looks = [look(image, faces[k]) for k in range(len(faces))]
        known = self._recognised(faces, looks, time)
        found, missed = [], []
        for person, k in zip(self._people, known, strict=True):
            if k >= 0:
                person.found(faces.box[k], time, looks[k])
                found.append(_Found(faces[k], person))
            elif person.visible and not person.elsewhere and person.counts and person.missed < PATIENCE:
                person.missed += 1
                missed.append(person)
            else:
                person.visible = False
        new = [k for k in range(len(faces)) if k not in known]
        found += [_Found(faces[k], self._welcome(faces[k], time, looks[k])) for k in new]
        if follower is not None and missed:
            found += self._found_again(follower, image, time, missed, found)
        else:
            for person in missed:
                person.visible = False
        self._people = [person for person in self._people if person.visible or person.counts]
        self._first = False
        return found

    def _recognised(self, faces: Faces, looks: Sequence[Array | None], time: float) -> list[int]:
        """Return the found face of each person, or -1.

        Those who count choose first: a doubtful face may turn out to be somebody who was lost.
        """
        cost = _costs(self._people, faces, looks, time)
        counts = np.array([person.counts for person in self._people], bool)
        known = np.full(len(counts), -1)
        for rows in (np.flatnonzero(counts), np.flatnonzero(~counts)):
            known[rows] = assigned(cost[rows], MISS)
            cost[:, known[known >= 0]] = np.inf
        return [int(k) for k in known]

    def _welcome(self, face: Faces, time: float, seen: Array | None) -> _Person:
        """Make the acquaintance of a new person; a doubtful one is looked at again soon.

        Doubtful is a low score, and who turns up where somebody was lost: half hidden, they look strange.
        """
        person = _Person(face.box[0], time, seen)
        lost = [other for other in self._people if not other.visible and not other.elsewhere]
        back = any(_near(other, other.motion.at(time), time, face.box[0])[0] for other in lost)
        person.counts = self._first or (float(face.score[0]) >= SURE and not back)
        self._wanted |= not person.counts
        self._people.append(person)
        return person

    @staticmethod
    def _found_again(
        follower: Follower, image: Pixels, time: float, missed: list[_Person], found: list[_Found]
    ) -> list[_Found]:
        """Follow those whom a search has missed: it overlooks faces that turn away or shrink."""
        again: list[_Found] = []
        for one in _still_there(follower, image, time, missed):
            if all(overlap(one.face.box[0], other.face.box[0]) < 0.3 for other in [*found, *again]):
                one.person.motion.saw(one.face.box[0], time)
                again.append(one)
        for person in missed:
            person.visible = any(one.person is person for one in again)
        return again

    def _answer(self, found: list[_Found], ended: tuple[int, ...], search: bool) -> Tracked:
        given = [one for one in found if one.person.counts]
        if self.settings.largest:
            given = self._largest(given, search)
        for one in sorted(given, key=lambda one: -float(one.face.area[0])):
            if not one.person.number:
                self._count += 1
                one.person.number = self._count
        given.sort(key=lambda one: one.person.number)
        track = np.array([one.person.number for one in given], np.int64)
        return Tracked(_joined([one.face for one in given]), track, ended, search)

    def _largest(self, given: list[_Found], search: bool) -> list[_Found]:
        held = next((one for one in given if one.person is self._held), None)
        if search and given:
            best = max(given, key=lambda one: float(one.face.area[0]))
            if held is None or best.face.area[0] > LARGER * held.face.area[0]:
                held = best
            self._held = held.person
        return [] if held is None else [held]


class Scene:
    """Tells a cut of the film: the whole picture changes from one frame to the next, or its size does."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._tiny: Array = np.zeros((18, 32), np.float32)

    def changed(self, image: Pixels) -> bool:
        """Whether `image` uint8 (h, w, 3) begins another scene than the last one's; not at the first."""
        last, shape = self._tiny, self._shape
        row = np.arange(72) * image.shape[0] // 72
        column = np.arange(128) * image.shape[1] // 128
        # green stands for gray; 16 samples a cell, so that fine patterns do not flicker
        samples = image[row[:, None], column, 1].astype(np.float32).reshape(18, 4, 32, 4)
        self._tiny, self._shape = samples.mean(axis=(1, 3)), image.shape
        if not shape:
            return False
        return shape != image.shape or float(np.abs(self._tiny - last).mean()) > CUT


class Motion:
    """Where a face should be: a g-h (alpha-beta) filter of its centre and of the logarithm of its size.

    The gains are those of a growing memory (least squares of all that was seen) until they fall to the
    steady ones (E. Brookner: "Tracking and Kalman Filtering Made Easy", 1998, ch. 1), g = 0.6 and h = g^2 /
    (2 - g) after T. R. Benedict and G. W. Bordner (IRE Transactions on Automatic Control, 1962). Nobody walks
    on for ever: not seen for 0.2 s, a face slows down, with a time constant of half a second.

    Parameters
    ----------
    box
        (4,) x0 y0 x1 y1 in pixels.
    time
        Seconds.
    """

    GAIN, STEADY, SLOWS = 0.6, 0.2, 0.5

    def __init__(self, box: Array, time: float) -> None:
        self.time = time
        self._count = 1
        self._state, self._half = _state(box)
        self._speed = np.zeros(3)

    def at(self, time: float) -> Array:
        """Return the expected box (4,) at a time, seconds."""
        x, y, size = self._ahead(time - self.time)
        half = self._half * math.exp(size - self._state[2])
        return np.array([x - half[0], y - half[1], x + half[0], y + half[1]], np.float32)

    def saw(self, box: Array, time: float) -> None:
        """Learn where the face was at a time not before the last."""
        state, self._half = _state(box)
        passed = time - self.time
        if passed <= 0:  # the same frame again
            self._state = state
            return
        n = self._count
        g = max(self.GAIN, 2 * (2 * n + 1) / ((n + 1) * (n + 2)))
        h = max(self.GAIN**2 / (2 - self.GAIN), 6 / ((n + 1) * (n + 2)))
        error = state - self._ahead(passed)
        self._speed = self._speed + h * error / self._way(passed)
        self._state = state - (1 - g) * error
        self._half = self._half * math.exp(self._state[2] - state[2])
        self.time, self._count = time, n + 1

    def _ahead(self, passed: float) -> npt.NDArray[np.float64]:
        ahead: npt.NDArray[np.float64] = self._state + self._speed * self._way(passed)
        ahead[2] = np.clip(ahead[2], self._state[2] - 0.7, self._state[2] + 0.7)  # half to double the size
        return ahead

    def _way(self, passed: float) -> float:
        """Return the seconds at full speed that are as far as `passed` seconds of one who slows down."""
        beyond = max(passed - self.STEADY, 0.0)
        return min(passed, self.STEADY) + self.SLOWS * (1 - math.exp(-beyond / self.SLOWS))


class _Person:
    """One who was seen; ``number`` is 0 until their face is given to the caller."""

    def __init__(self, box: Array, time: float, seen: Array | None) -> None:
        self.motion = Motion(box, time)
        self.look = seen
        self.number = 0
        self.visible = True  # at the last look
        self.counts = False
        self.elsewhere = False  # the film was cut since
        self.missed = 0  # searches in a row
        self._looks = 1

    def found(self, box: Array, time: float, seen: Array | None) -> None:
        """Remember what a search has found of this person."""
        if self.elsewhere or _apart(self.motion.at(time), box)[0] > JUMP:
            self.motion = Motion(box, time)  # what it did before says nothing any more
        else:
            self.motion.saw(box, time)
        if seen is not None:
            self._looks += 1
            share = max(1 / self._looks, 0.1)  # a mean, later a slow one
            self.look = seen if self.look is None else _unit((1 - share) * self.look + share * seen)
        self.visible, self.counts, self.elsewhere, self.missed = True, True, False, 0


@dataclass
class _Found:
    face: Faces
    person: _Person


def _still_there(follower: Follower, image: Pixels, time: float, people: list[_Person]) -> list[_Found]:
    """Look near the expected places; a face that jumps is not taken for the same."""
    box = np.array([person.motion.at(time) for person in people])
    faces, kept = follower.follow(image, box)
    found = []
    for k, which in enumerate(kept):
        distance, growth = _apart(box[which], faces.box[k])
        if distance < JUMP and growth < JUMP:
            found.append(_Found(faces[k], people[which]))
    return found


def _without_doubles(image: Pixels, found: list[_Found]) -> list[_Found]:
    """Where two persons are followed to one face, one is hidden: the one whom it resembles less goes."""
    kept: list[_Found] = []
    for one in found:
        rival = next((k for k in kept if overlap(k.face.box[0], one.face.box[0]) > 0.5), None)
        if rival is None:
            kept.append(one)
        else:
            seen = look(image, rival.face)
            if _alike(one.person.look, seen, 0.0) > _alike(rival.person.look, seen, 0.0):
                kept[kept.index(rival)] = one
    return kept


def look(image: Pixels, face: Faces) -> Array | None:
    """Return a small upright picture (768,) of one face in colour, of mean 0, length 1; None if blank."""
    x0, y0, x1, y1 = face.box[0]
    reach = max(x1 - x0, y1 - y0)
    limit = np.array([image.shape[1], image.shape[0]])
    first = np.clip(np.floor([x0 - reach, y0 - reach]), 0, limit - 1).astype(int)
    last = np.clip(np.ceil([x1 + reach, y1 + reach]), first + 1, limit).astype(int)
    part = image[first[1] : last[1], first[0] : last[0]]  # shrinking the whole frame would cost more
    try:
        crop = align(part, face.landmarks - first, LOOK, template=0.5 + ZOOM * (TEMPLATE - 0.5))
    except ArgumentError:  # landmarks that are not known, or that coincide
        crop = crop_box(part, face.box - np.tile(first, 2), LOOK, margin=0.2)
    return _unit(crop[0].astype(np.float32).ravel())


def _unit(values: Array) -> Array | None:
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 1e-3 else None


def _alike(one: Array | None, other: Array | None, unknown: float) -> float:
    return unknown if one is None or other is None else float(one @ other)


def _costs(
    people: Sequence[_Person], faces: Faces, looks: Sequence[Array | None], time: float
) -> npt.NDArray[np.float64]:
    """Return the cost (p, n) of each found face being each person; infinite where it cannot be."""
    cost = np.full((len(people), len(faces)), np.inf)
    for i, person in enumerate(people):
        expected = person.motion.at(time)
        for k in range(len(faces)):
            cost[i, k] = _cost(person, expected, time, faces.box[k], looks[k])
    return cost


def _cost(person: _Person, expected: Array, time: float, box: Array, seen: Array | None) -> float:
    """Return 0 for the very same face in its place, about 0.5 for the next frame's, 2 for any."""
    alike = _alike(person.look, seen, math.nan)
    same = alike >= SAME
    strange = 2 * (0.3 if math.isnan(alike) else 1 - max(alike, 0.0))
    if person.elsewhere:
        return strange if same else math.inf
    near, distance, growth = _near(person, expected, time, box)
    if person.visible:
        # whoever was just here and is here, is: a hand may hide the face
        return 1 - overlap(expected, box) + growth + strange if near else math.inf
    if not same and (not near or alike < UNLIKE):
        return math.inf
    return 0.2 + min(distance, 1.0) + min(growth, 0.5) + strange


def _near(person: _Person, expected: Array, time: float, box: Array) -> tuple[bool, float, float]:
    """Return whether a box is where a person may be, its distance (1: as far as may be) and growth."""
    unseen = time - person.motion.time
    distance, growth = _apart(expected, box)
    reach = min(0.7 + unseen, 2.5)
    return distance <= reach and growth <= 0.5 + 0.5 * min(unseen, 1.0), distance / reach, growth


def assigned(cost: npt.NDArray[np.float64], miss: float) -> list[int]:
    """Return the column of each row, or -1, at the least total cost; each column is given once.

    Exact: the Hungarian method (H. W. Kuhn 1955) by shortest augmenting paths (R. Jonker, A. Volgenant 1987).
    SciPy's is no faster for some faces, and SciPy is no part of the core.

    Parameters
    ----------
    cost
        (p, n); infinite where a pair cannot be.
    miss
        What a row without a column costs.
    """
    rows, columns = cost.shape
    # a column of its own for each row that goes without
    table = np.concatenate([np.minimum(cost, 1e6), np.full((rows, rows), miss)], axis=1)
    owner = np.full(columns + rows, -1)
    row_price, column_price = np.zeros(rows), np.zeros(columns + rows)
    for row in range(rows):
        least = np.full(columns + rows, np.inf)
        before = np.full(columns + rows, -1)
        done = np.zeros(columns + rows, bool)
        column, current = -1, row
        while True:
            slack = table[current] - row_price[current] - column_price
            better = ~done & (slack < least)
            least[better], before[better] = slack[better], column
            step_to = int(np.argmin(np.where(done, np.inf, least)))
            step = least[step_to]
            row_price[row] += step
            row_price[owner[done]] += step
            column_price[done] -= step
            least[~done] -= step
            column = step_to
            done[column] = True
            if owner[column] < 0:
                break
            current = int(owner[column])
        while column >= 0:
            previous = int(before[column])
            owner[column] = owner[previous] if previous >= 0 else row
            column = previous
    return [int(np.flatnonzero(owner == row)[0]) if row in owner[:columns] else -1 for row in range(rows)]


def overlap(one: Array, other: Array) -> float:
    """Return the intersection over union of two boxes (4,), 0..1."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(float(wide), 0.0) * max(float(high), 0.0)
    areas = float((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]))
    return shared / (areas - shared)


def _state(box: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return centre and log size (3,) of a box (4,), and half its width and height (2,)."""
    low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
    half = (high - low) / 2
    return np.array([*(low + half), 0.5 * math.log(4 * half[0] * half[1])]), half


def _apart(one: Array, other: Array) -> tuple[float, float]:
    """Return the distance of the centres in mean sizes, and the absolute log ratio of the sizes."""
    first, second = _state(one)[0], _state(other)[0]
    size = math.exp((first[2] + second[2]) / 2)
    distance = math.hypot(first[0] - second[0], first[1] - second[1])
    return distance / size, abs(float(first[2] - second[2]))


def _joined(faces: list[Faces]) -> Faces:
    if not faces:
        return Faces.empty()
    columns = ("box", "score", "landmarks")
    return Faces(*(np.concatenate([getattr(face, name) for face in faces]) for name in columns))


def _numbers(people: list[_Person]) -> tuple[int, ...]:
    return tuple(sorted(person.number for person in people if person.number))
