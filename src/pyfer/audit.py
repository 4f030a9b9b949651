"""Leaks between training and test faces: copies, near copies, the same persons, contradictory labels.

A model that has seen a test face is scored for its memory. `audit` looks for what counts as seen::

    for sentence in audit(open_data(training), open_data(test)).sentences():
        print(sentence)

Near copies are found in two steps. Thumbnails of 16 x 16, standardised, propose for each face its nearest
neighbour on the other side, also mirrored: one matrix product. What is alike enough is then looked at
closely: fine detail (the picture less its blurred self) of 48 x 48 pixels is correlated at each shift of up
to 3 pixels. Two persons may have the same thumbnail, hardly the same detail.

The thresholds come from FER2013, 28,561 Training against 7,153 test pictures: the correlation of detail falls
into two heaps, with a valley from 0.6 to 0.7 (docs/evaluation.md has the figures).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import FaceData
from pyfer.errors import ArgumentError

NEAR = 0.7
"""Correlation of fine detail from which two pictures are copies: the right end of the valley between the two
heaps, as aligned faces of two persons reach 0.68 now and then."""
ALIKE = 0.85
"""Correlation of thumbnails from which two pictures are looked at closely; copies shifted by 3 of 48 pixels
stay above it mostly."""
_SIDE, _THUMB = 48, 16
_SHIFT = 3  # pixels of 48
_BLUR = 9  # pixels of 48, side of the box whose mean is taken away
_CHUNK = 1024  # pictures looked at together
_CELLS = 30_000_000  # of a table of likenesses, 120 MB
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Audit:
    """What training and test faces have in common."""

    train: int
    """Training faces looked at."""
    test: int
    """Test faces looked at."""
    exact: Rows
    """(k, 2) rows of the training and of the test set whose pixels are the same."""
    near: Rows
    """(m, 2) rows of pictures that are nearly the same, without those of `exact`."""
    likeness: Floats
    """(m,) correlation of their fine detail, `threshold`..1."""
    mirrored: NDArray[np.bool_]
    """(m,) whether one of them is turned around."""
    threshold: float
    subjects: tuple[str, ...] | None
    """Persons on both sides; None where one of the sets does not name persons."""
    train_conflicts: tuple[tuple[str, ...], ...]
    """Names of training faces with the same pixels and different labels."""
    test_conflicts: tuple[tuple[str, ...], ...]

    @property
    def copied_test(self) -> Rows:
        """Rows of the test faces that training has, exactly or nearly."""
        return np.unique(np.concatenate([self.exact[:, 1], self.near[:, 1]]))

    @property
    def copied_train(self) -> Rows:
        """Rows of the training faces that are in the test set: what to leave out."""
        return np.unique(np.concatenate([self.exact[:, 0], self.near[:, 0]]))

    @property
    def leaks(self) -> bool:
        """Whether a test face, or a person, is in training."""
        return bool(len(self.exact) or len(self.near) or self.subjects)

    def sentences(self) -> list[str]:
        """Return what was found for people, the gravest first."""
        lines = []
        if copies := len(self.copied_test):
            exact = len(np.unique(self.exact[:, 1]))
            lines.append(
                f"{copies:,} of {self.test:,} test faces ({copies / self.test:.1%}) have a copy among the "
                f"{self.train:,} training faces: {exact:,} exact, {copies - exact:,} nearly the same; "
                f"training faces concerned: {len(self.copied_train):,}"
            )
        else:
            lines.append(f"no copy of the {self.test:,} test faces among the {self.train:,} training faces")
        if self.subjects:
            some = ", ".join(self.subjects[:5]) + (", ..." if len(self.subjects) > 5 else "")
            lines.append(f"persons in training and in the test: {len(self.subjects):,} ({some})")
        elif self.subjects is not None:
            lines.append("no person is on both sides")
        for name, conflicts in (("training", self.train_conflicts), ("test", self.test_conflicts)):
            if conflicts:
                lines.append(
                    f"pictures of the {name} set that are there with different labels: {len(conflicts):,}, "
                    f"such as {', '.join(conflicts[0][:3])}"
                )
        return lines

    def to_dict(self, *, rows: bool = True) -> dict[str, Any]:
        """Return counts, and the rows that are copies if asked for, as JSON wants them."""
        tree: dict[str, Any] = {
            "train": self.train,
            "test": self.test,
            "leaks": self.leaks,
            "copied_test": len(self.copied_test),
            "copied_train": len(self.copied_train),
            "threshold": self.threshold,
            "subjects": None if self.subjects is None else list(self.subjects),
            "train_conflicts": [list(names) for names in self.train_conflicts],
            "test_conflicts": [list(names) for names in self.test_conflicts],
        }
        if rows:
            tree["exact"], tree["near"] = self.exact.tolist(), self.near.tolist()
            tree["likeness"] = [round(x, 4) for x in self.likeness.tolist()]
        return tree


def audit(train: FaceData, test: FaceData, *, near: float = NEAR) -> Audit:
    """Look for leaks between training and test faces.

    Parameters
    ----------
    train, test
        Face crops, gray or RGB, of any size. Labels and subjects are looked at where they are.
    near
        Correlation of fine detail from which two pictures are copies, above 0 up to 1. 1 finds exact copies
        alone.

    Notes
    -----
    For each face the one most similar face of the other side is looked at: enough to know which faces are
    concerned, not to list all couples. 28,561 against 7,153 faces take a few seconds.
    """
    if not 0 < near <= 1:
        raise ArgumentError(f"near={near} must lie above 0 and not above 1; {NEAR} tells copies from others")
    exact = _exact(train.images, test.images)
    pairs, likeness, mirrored = _near(train.images, test.images, near) if near < 1 else _no_pairs()
    equal = set(map(tuple, exact.tolist()))
    others = np.array([tuple(pair) not in equal for pair in pairs.tolist()], bool)
    shared = None
    if train.subjects is not None and test.subjects is not None:
        shared = tuple(sorted((set(train.subjects.tolist()) & set(test.subjects.tolist())) - {""}))
    return Audit(
        train=len(train),
        test=len(test),
        exact=exact,
        near=pairs[others],
        likeness=likeness[others],
        mirrored=mirrored[others],
        threshold=near,
        subjects=shared,
        train_conflicts=_conflicts(train),
        test_conflicts=_conflicts(test),
    )


# --- the same pixels --------------------------------------------------------------------------------------


def _keys(images: NDArray[np.uint8]) -> list[bytes]:
    """Return a fingerprint of the pixels of each picture."""
    shape = str(images.shape[1:]).encode()
    return [hashlib.blake2b(image.tobytes(), digest_size=16, key=shape).digest() for image in images]


def _exact(train: NDArray[np.uint8], test: NDArray[np.uint8]) -> Rows:
    """Return (k, 2): each picture that is on both sides with the first one that is equal to it."""
    a, b = _keys(train), _keys(test)
    first_a, first_b = ({key: row for row, key in reversed(list(enumerate(each)))} for each in (a, b))
    pairs = {(row, first_b[key]) for row, key in enumerate(a) if key in first_b}
    pairs |= {(first_a[key], row) for row, key in enumerate(b) if key in first_a}
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _conflicts(data: FaceData) -> tuple[tuple[str, ...], ...]:
    """Return the names of faces with the same pixels whose labels, of any head, differ."""
    places: dict[bytes, list[int]] = {}
    for row, key in enumerate(_keys(data.images)):
        places.setdefault(key, []).append(row)
    found = []
    for rows in (each for each in places.values() if len(each) > 1):
        for target in data.targets.values():
            labelled = target[rows][target[rows].any(1)]
            if len(set(labelled.argmax(1).tolist())) > 1:
                found.append(tuple(str(data.ids[row]) for row in rows))
                break
    return tuple(found)


# --- nearly the same --------------------------------------------------------------------------------------


def _no_pairs() -> tuple[Rows, Floats, NDArray[np.bool_]]:
    return np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(0, bool)


def _near(
    train: NDArray[np.uint8], test: NDArray[np.uint8], least: float
) -> tuple[Rows, Floats, NDArray[np.bool_]]:
    """Return the pairs (m, 2), how alike their detail is, and whether one of them is mirrored."""
    pairs, mirrored = _candidates(_thumbnails(train), _thumbnails(test))
    likeness = np.concatenate(
        [np.zeros(0, np.float32)]
        + [
            _likeness(_gray(train[rows[:, 0]], _SIDE), _gray(test[rows[:, 1]], _SIDE), turned)
            for rows, turned in _chunks(_step(train, test), pairs, mirrored)
        ]
    )
    keep = likeness >= least
    return pairs[keep], likeness[keep], mirrored[keep]


def _step(*sets: NDArray[np.uint8]) -> int:
    """Return how many pictures are looked at together: fewer of large ones, for the memory's sake."""
    pixels = max(int(np.prod(images.shape[1:])) for images in sets)
    return max(1, _CHUNK * _SIDE**2 // max(pixels, _SIDE**2))


def _chunks(step: int, *columns: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    for start in range(0, len(columns[0]), step):
        yield tuple(column[start : start + step] for column in columns)


def _averages(size: int, side: int) -> Floats:
    """Return (side, size) weights that take the means of `side` equal parts of `size` pixels."""
    edges = np.linspace(0, size, side + 1)
    pixel = np.arange(size)
    parts = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    parts = np.maximum(parts, 0)
    return np.asarray(parts / parts.sum(1, keepdims=True), np.float32)


def _gray(images: NDArray[np.uint8], side: int) -> Floats:
    """Return (n, side, side) gray of pictures of any size."""
    gray = images.astype(np.float32) if images.ndim == 3 else images @ _LUMA
    height, width = gray.shape[1:]
    if (height, width) == (side, side):
        return gray
    return np.asarray(_averages(height, side) @ gray @ _averages(width, side).T, np.float32)


def _standard(values: Floats) -> Floats:
    """Return rows (n, d) with mean 0 and length 1; of a flat picture zeros, which are like nothing."""
    flat = values.reshape(len(values), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3), np.float32)


def _thumbnails(images: NDArray[np.uint8]) -> Floats:
    """Return (n, 256) standardised thumbnails."""
    parts = [_standard(_gray(some, _THUMB)) for (some,) in _chunks(_step(images), images)]
    return np.concatenate([np.zeros((0, _THUMB * _THUMB), np.float32), *parts])


def _candidates(train: Floats, test: Floats) -> tuple[Rows, NDArray[np.bool_]]:
    """Return couples (k, 2) of nearest neighbours that are `ALIKE`, and which have the test picture mirrored.

    Neighbours are looked for from either side: that a face is the nearest of another is no mutual thing.
    """
    rows = np.arange(len(train))
    couples: dict[tuple[int, int], bool] = {}
    best = np.full(len(train), -1.0, np.float32)
    nearest, turned = np.zeros((2, len(train)), np.int64)
    step = max(1, min(_CHUNK, _CELLS // max(len(train), 1)))
    for start in range(0, len(test), step):
        block = test[start : start + step]
        flipped = block.reshape(-1, _THUMB, _THUMB)[:, :, ::-1].reshape(len(block), -1)
        for mirror, thumbs in enumerate((block, flipped)):
            alike = train @ thumbs.T  # (n, block)
            other = alike.argmax(1)
            value = alike[rows, other]
            better = value > best
            best[better], nearest[better], turned[better] = value[better], other[better] + start, mirror
            first = alike.argmax(0)
            for k in np.flatnonzero(alike[first, np.arange(len(block))] >= ALIKE):
                couples.setdefault((int(first[k]), start + int(k)), bool(mirror))
    for row in np.flatnonzero(best >= ALIKE):
        couples.setdefault((int(row), int(nearest[row])), bool(turned[row]))
    ordered = sorted(couples)
    pairs = np.array(ordered, np.int64).reshape(-1, 2)
    return pairs, np.array([couples[pair] for pair in ordered], bool)


def _detail(gray: Floats) -> Floats:
    """Return pictures (n, s, s) less their means over boxes of 9 x 9: what a thumbnail does not show."""
    half = _BLUR // 2
    padded = np.pad(gray, ((0, 0), (half + 1, half), (half + 1, half)), mode="edge")
    total = padded.cumsum(1, np.float64).cumsum(2)
    k = _BLUR
    box = total[:, k:, k:] - total[:, :-k, k:] - total[:, k:, :-k] + total[:, :-k, :-k]
    return np.asarray(gray - box / k**2, np.float32)


def _likeness(a: Floats, b: Floats, mirrored: NDArray[np.bool_]) -> Floats:
    """Return (n,) the best correlation of the detail of a and b (n, 48, 48) over small shifts of b."""
    a, b = _detail(a), _detail(np.where(mirrored[:, None, None], b[:, :, ::-1], b))
    inner = _SIDE - 2 * _SHIFT
    middle = _standard(a[:, _SHIFT:-_SHIFT, _SHIFT:-_SHIFT])
    best = np.full(len(a), -1.0, np.float32)
    for dy in range(2 * _SHIFT + 1):
        for dx in range(2 * _SHIFT + 1):
            moved = _standard(b[:, dy : dy + inner, dx : dx + inner])
            best = np.maximum(best, np.einsum("nd,nd->n", middle, moved))
    return best
