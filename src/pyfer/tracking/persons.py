"""Persons of a film: what they look like, and which of the found faces is whose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyfer.errors import ArgumentError
from pyfer.faces import TEMPLATE, Array, Faces, Pixels, align, crop_box
from pyfer.tracking.motion import Motion, apart, overlap

SAME, UNLIKE = 0.8, 0.4
"""Correlation of looks above which two faces are one person wherever they are, below which a face at a lost
person's place is another's. Measured: one person a second apart 0.71 (1st percentile) to 0.94 (median),
different persons of one photograph 0.16 (median) to 0.69 (99th percentile)."""
JUMP = 0.5
"""Distance of a face from where it should be, and growth, in sizes, that no motion explains."""
MISS = 2.0
"""Cost of leaving a person without a face; see `_cost`."""
LOOK, ZOOM = 16, 0.7
"""Side of the look in pixels, and its scale: it sees 1 / 0.7 of a model's crop, with some hair and neck."""


class Person:
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
        if self.elsewhere or apart(self.motion.at(time), box)[0] > JUMP:
            self.motion = Motion(box, time)  # what it did before says nothing any more
        else:
            self.motion.saw(box, time)
        if seen is not None:
            self._looks += 1
            share = max(1 / self._looks, 0.1)  # a mean, later a slow one
            self.look = seen if self.look is None else _unit((1 - share) * self.look + share * seen)
        self.visible, self.counts, self.elsewhere, self.missed = True, True, False, 0


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


def likeness(one: Array | None, other: Array | None, unknown: float) -> float:
    """Return the correlation of two looks; `unknown` where one is not known."""
    return unknown if one is None or other is None else float(one @ other)


def costs(
    people: Sequence[Person], faces: Faces, looks: Sequence[Array | None], time: float
) -> npt.NDArray[np.float64]:
    """Return the cost (p, n) of each found face being each person; infinite where it cannot be."""
    cost = np.full((len(people), len(faces)), np.inf)
    for i, person in enumerate(people):
        expected = person.motion.at(time)
        for k in range(len(faces)):
            cost[i, k] = _cost(person, expected, time, faces.box[k], looks[k])
    return cost


def _cost(person: Person, expected: Array, time: float, box: Array, seen: Array | None) -> float:
    """Return 0 for the very same face in its place, about 0.5 for the next frame's, 2 for any."""
    alike = likeness(person.look, seen, math.nan)
    same = alike >= SAME
    strange = 2 * (0.3 if math.isnan(alike) else 1 - max(alike, 0.0))
    if person.elsewhere:
        return strange if same else math.inf
    near, distance, growth = within_reach(person, expected, time, box)
    if person.visible:
        # whoever was just here and is here, is: a hand may hide the face
        return 1 - overlap(expected, box) + growth + strange if near else math.inf
    if not same and (not near or alike < UNLIKE):
        return math.inf
    return 0.2 + min(distance, 1.0) + min(growth, 0.5) + strange


def within_reach(person: Person, expected: Array, time: float, box: Array) -> tuple[bool, float, float]:
    """Return whether a box is where a person may be, its distance (1: as far as may be) and growth."""
    unseen = time - person.motion.time
    distance, growth = apart(expected, box)
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
