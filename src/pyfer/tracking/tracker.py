"""The tracker: when the whole frame is searched, when faces are followed, and who they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pyfer.errors import ArgumentError
from pyfer.faces import SMALLEST, Array, Detector, Faces, Mtcnn, Pixels, check_image
from pyfer.tracking.motion import Scene, apart, overlap
from pyfer.tracking.persons import JUMP, MISS, Person, assigned, costs, likeness, look, within_reach

Numbers = npt.NDArray[np.int64]

SURE = 0.99
"""A face of at least this score counts at once; others when a second search has found them as well."""
REST = 3
"""Frames from a search to an additional one: persons who come and go must not cause one at every frame."""
PATIENCE = 2
"""Searches in a row that may miss a face that can still be followed."""
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
        self._people: list[Person] = []
        self._held: Person | None = None
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
        found: list[Found] = []
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

    def _followed(self, follower: Follower, image: Pixels, time: float) -> list[Found]:
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

    def _searched(self, follower: Follower | None, image: Pixels, time: float) -> list[Found]:
        """Search the whole frame and tell who the found faces are."""
        self._since, self._wanted = 0, False
        faces = self._detector(image)
        looks = [look(image, faces[k]) for k in range(len(faces))]
        known = self._recognised(faces, looks, time)
        found, missed = [], []
        for person, k in zip(self._people, known, strict=True):
            if k >= 0:
                person.found(faces.box[k], time, looks[k])
                found.append(Found(faces[k], person))
            elif person.visible and not person.elsewhere and person.counts and person.missed < PATIENCE:
                person.missed += 1
                missed.append(person)
            else:
                person.visible = False
        new = [k for k in range(len(faces)) if k not in known]
        found += [Found(faces[k], self._welcome(faces[k], time, looks[k])) for k in new]
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
        cost = costs(self._people, faces, looks, time)
        counts = np.array([person.counts for person in self._people], bool)
        known = np.full(len(counts), -1)
        for rows in (np.flatnonzero(counts), np.flatnonzero(~counts)):
            known[rows] = assigned(cost[rows], MISS)
            cost[:, known[known >= 0]] = np.inf
        return [int(k) for k in known]

    def _welcome(self, face: Faces, time: float, seen: Array | None) -> Person:
        """Make the acquaintance of a new person; a doubtful one is looked at again soon.

        Doubtful is a low score, and who turns up where somebody was lost: half hidden, they look strange.
        """
        person = Person(face.box[0], time, seen)
        lost = [other for other in self._people if not other.visible and not other.elsewhere]
        back = any(within_reach(other, other.motion.at(time), time, face.box[0])[0] for other in lost)
        person.counts = self._first or (float(face.score[0]) >= SURE and not back)
        self._wanted |= not person.counts
        self._people.append(person)
        return person

    @staticmethod
    def _found_again(
        follower: Follower, image: Pixels, time: float, missed: list[Person], found: list[Found]
    ) -> list[Found]:
        """Follow those whom a search has missed: it overlooks faces that turn away or shrink."""
        again: list[Found] = []
        for one in _still_there(follower, image, time, missed):
            if all(overlap(one.face.box[0], other.face.box[0]) < 0.3 for other in [*found, *again]):
                one.person.motion.saw(one.face.box[0], time)
                again.append(one)
        for person in missed:
            person.visible = any(one.person is person for one in again)
        return again

    def _answer(self, found: list[Found], ended: tuple[int, ...], search: bool) -> Tracked:
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

    def _largest(self, given: list[Found], search: bool) -> list[Found]:
        held = next((one for one in given if one.person is self._held), None)
        if search and given:
            best = max(given, key=lambda one: float(one.face.area[0]))
            if held is None or best.face.area[0] > LARGER * held.face.area[0]:
                held = best
            self._held = held.person
        return [] if held is None else [held]


@dataclass
class Found:
    """A face in this frame, and whose it is."""

    face: Faces
    person: Person


def _still_there(follower: Follower, image: Pixels, time: float, people: list[Person]) -> list[Found]:
    """Look near the expected places; a face that jumps is not taken for the same."""
    box = np.array([person.motion.at(time) for person in people])
    faces, kept = follower.follow(image, box)
    found = []
    for k, which in enumerate(kept):
        distance, growth = apart(box[which], faces.box[k])
        if distance < JUMP and growth < JUMP:
            found.append(Found(faces[k], people[which]))
    return found


def _without_doubles(image: Pixels, found: list[Found]) -> list[Found]:
    """Where two persons are followed to one face, one is hidden: the one whom it resembles less goes."""
    kept: list[Found] = []
    for one in found:
        rival = next((k for k in kept if overlap(k.face.box[0], one.face.box[0]) > 0.5), None)
        if rival is None:
            kept.append(one)
        else:
            seen = look(image, rival.face)
            if likeness(one.person.look, seen, 0.0) > likeness(rival.person.look, seen, 0.0):
                kept[kept.index(rival)] = one
    return kept


def _joined(faces: list[Faces]) -> Faces:
    if not faces:
        return Faces.empty()
    columns = ("box", "score", "landmarks")
    return Faces(*(np.concatenate([getattr(face, name) for face in faces]) for name in columns))


def _numbers(people: list[Person]) -> tuple[int, ...]:
    return tuple(sorted(person.number for person in people if person.number))
