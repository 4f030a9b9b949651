"""Parts and folds that keep a person's faces together and every class at its share.

Greedy stratified assignment of groups: the persons with the rarest and the most faces first, each to the part
where it disturbs the wanted counts least. Faces without a person are groups of their own; they come last, to
fill what is left open. This is the idea of scikit-learn's StratifiedGroupKFold, for parts of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyfer.errors import ArgumentError

Counts = NDArray[np.float64]


def split(
    subjects: ArrayLike | None, labels: ArrayLike, shares: Sequence[float], seed: int = 0
) -> NDArray[np.int64]:
    """Deal faces out to parts of given shares; no person is in two of them.

    Parameters
    ----------
    subjects
        (n,) who is shown; "" where it is not known. None: nobody is.
    labels
        (n,) the class of each face, names or numbers.
    shares
        Two or more numbers above 0 with sum 1.
    seed
        0 or more; decides between what is equally good.

    Returns
    -------
    int64 (n,), the part 0..len(shares)-1 of each face. No part is empty. With few persons the shares are
    approached, not met.

    Raises
    ------
    ArgumentError
        A parameter is off, or there are fewer persons than parts.
    """
    wanted = np.asarray(shares, np.float64)
    if wanted.ndim != 1 or len(wanted) < 2 or not (wanted > 0).all() or abs(wanted.sum() - 1) > 1e-6:
        raise ArgumentError(f"shares={list(shares)!r} must be two or more numbers above 0 with sum 1")
    return _dealt(subjects, labels, wanted, seed)


def folds(subjects: ArrayLike | None, labels: ArrayLike, k: int, seed: int = 0) -> NDArray[np.int64]:
    """Deal faces out to `k` folds of about the same size and classes; no person is in two of them.

    Parameters and errors as in `split`.

    Returns
    -------
    int64 (n,), the fold 0..k-1 of each face: train on ``fold != i``, test on ``fold == i``.
    """
    if not isinstance(k, int) or k < 2:
        raise ArgumentError(f"k={k!r} must be a whole number of 2 or more")
    return _dealt(subjects, labels, np.full(k, 1 / k), seed)


def _dealt(subjects: ArrayLike | None, labels: ArrayLike, shares: Counts, seed: int) -> NDArray[np.int64]:
    kinds = np.unique(np.asarray(labels), return_inverse=True)[1].reshape(-1)
    n = len(kinds)
    group = _groups(subjects, n)
    groups = int(group.max(initial=-1)) + 1
    if groups < len(shares):
        raise ArgumentError(f"{groups} persons, or faces without one, cannot fill {len(shares)} parts")
    counts = np.zeros((groups, int(kinds.max()) + 1))
    np.add.at(counts, (group, kinds), 1)
    rng = np.random.default_rng(seed)
    part = np.full(groups, -1, np.int64)
    alone = counts.sum(1) == 1
    there = _deal_persons(part, counts, ~alone, shares, rng)
    _deal_single(part, counts, alone, shares[:, None] * counts.sum(0) - there, rng)
    return part[group]


def _groups(subjects: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the (n,) number of each face's group; a face without a person is one."""
    if subjects is None:
        return np.arange(n)
    names = np.asarray(subjects).astype(str)
    if names.shape != (n,):
        raise ArgumentError(f"subjects has shape {names.shape} for {n} labels; they must be equally many")
    marked = np.where(names == "", [f"\0{k}" for k in range(n)], names) if n else names
    return np.unique(marked, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _deal_persons(
    part: NDArray[np.int64],
    counts: Counts,
    which: NDArray[np.bool_],
    shares: Counts,
    rng: np.random.Generator,
) -> Counts:
    """Set the part of the groups `which`; return the (parts, classes) counts that they make."""
    total = counts.sum(0)
    # The whole counts as a class more, so that parts get their size, too.
    goal = shares[:, None] * np.append(total, total.sum())
    rows = np.column_stack([counts, counts.sum(1)])
    sums = np.zeros_like(goal)
    order = rng.permutation(np.flatnonzero(which))
    order = order[np.argsort(-(counts[order] / total).sum(1), kind="stable")]
    others = int((~which).sum())
    for done, each in enumerate(order):
        row = rows[each]
        # growth of the chi-square distance, sum (count - goal)^2 / goal, for each part
        cost = (row * (2 * (sums - goal) + row) / goal).sum(1)
        empty = sums[:, -1] == 0
        if empty.sum() >= len(order) - done + others:
            cost[~empty] = np.inf
        best = int(cost.argmin())
        part[each] = best
        sums[best] += row
    return np.asarray(sums[:, :-1])


def _deal_single(
    part: NDArray[np.int64],
    counts: Counts,
    which: NDArray[np.bool_],
    lacking: Counts,
    rng: np.random.Generator,
) -> None:
    """Set the part of groups of one face to fill the (parts, classes) faces that are lacking."""
    members = [rng.permutation(np.flatnonzero(which & (column > 0))) for column in counts.T]
    number = np.array([len(found) for found in members])
    lacking = np.maximum(lacking, 0)
    exact = lacking * (number / np.maximum(lacking.sum(0), 1e-12))
    quota = np.floor(exact + 1e-9).astype(np.int64)
    behind = (exact - quota).sum(1)  # what rounding owes to each part
    for c, rest in enumerate(number - quota.sum(0)):
        for _ in range(rest):
            best = int(np.where(exact[:, c] > 0, behind, -np.inf).argmax())
            quota[best, c] += 1
            behind[best] -= 1
    for c, found in enumerate(members):
        part[found] = np.repeat(np.arange(len(quota)), quota[:, c])
    for empty in np.flatnonzero(np.bincount(part, minlength=len(quota)) == 0):
        sizes = np.bincount(part, minlength=len(quota))
        movable = np.flatnonzero(which & (sizes[part] > 1))
        part[movable[sizes[part[movable]].argmax()]] = empty
