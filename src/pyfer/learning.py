"""Emotions from examples: where in the simplex of basic emotions a handful of faces lies.

By Bayes' rule, for k faces with evidence e_1 ... e_k and each point w of a lattice over the simplex::

    p(w | faces) is proportional to  p(w) prod_i exp(composition(w) . (e_i - base))

Each factor is the likelihood ratio of face i, the fitted score without the base rate (`pyfer.evidence`). A
definition is the prior: p(w) falls with the distance from its point, as a normal density of deviation
`SPREAD`, down to a small share everywhere, `DOUBT`: a right definition is hardly moved, a wrong one is given
up when some faces agree on another point. Without a definition all points are alike. What is learned is the
posterior mean: again one point, so a learned emotion is a few lines of text that any model can use, learning
takes milliseconds, and the same faces give the same point.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError
from pyfer.evidence import Evidence, composition

Floats = NDArray[np.float64]

SPREAD = 0.03
"""Deviation of the prior around a definition, in weights (Euclidean). Fitted, see experiments/emotions."""
DOUBT = 1e-6
"""Prior of any other point of the lattice beside that of the definition: it may be altogether wrong. Fitted,
see experiments/emotions."""
_EDGE = (0.2, 0.35, 0.5, 0.65, 0.8)
_STEPS = (0.1, 0.2, 0.35)  # from a definition towards each corner


def lattice(b: int, definition: Floats | None = None) -> Floats:
    """Return points (l, b): corners, five on each edge, middles of triples, and some around a definition."""
    corners = np.eye(b)
    points = list(corners)
    for one, other in combinations(corners, 2):
        points += [share * one + (1 - share) * other for share in _EDGE]
    points += [corners[list(three)].mean(0) for three in combinations(range(b), 3)]
    if definition is not None:
        points.append(definition)
        points += [(1 - step) * definition + step * corner for corner in corners for step in _STEPS]
    return np.unique(np.round(points, 9), axis=0)


def learned_point(
    evidence: Evidence,
    coefficients: NDArray[np.float32],
    definition: tuple[float, ...] | None = None,
    *,
    spread: float = SPREAD,
    doubt: float = DOUBT,
) -> tuple[float, ...]:
    """Return the point that examples show.

    Parameters
    ----------
    evidence
        Of the model that read the examples.
    coefficients
        (k, m) evidence of the k examples, by ``evidence.labels``.
    definition
        8 weights by `BASIC`, the point that was thought before any example; None: there is no definition.
    spread, doubt
        How far the examples may move a definition, and how readily they overrule it: see `SPREAD`, `DOUBT`.

    Returns
    -------
    8 weights by `BASIC` with sum 1.

    Raises
    ------
    ArgumentError
        There is no example, or the definition needs an emotion that the evidence does not know.
    """
    if not len(coefficients):
        raise ArgumentError("examples: there are none; one face or more is needed")
    columns = [BASIC.index(name) for name in evidence.labels]
    center = None
    if definition is not None:
        center = np.asarray(definition, np.float64)[columns]
        if center.sum() < 1 - 1e-6:
            raise ArgumentError(
                f"definition={definition}: it needs an emotion that the model cannot tell "
                f"(it tells {', '.join(evidence.labels)})"
            )
    points = lattice(len(columns), center)
    total = np.sort(np.asarray(coefficients, np.float64) - evidence.base, axis=0).sum(0)  # in no face's order
    log_likelihood = composition(points) @ total
    if center is None:
        mean = _mean(log_likelihood, points)
    else:  # the lattice is no even cover, so its prior mean is not quite the definition: the shift counts
        near = np.exp(-((points - center) ** 2).sum(1) / (2 * spread**2))
        log_prior = np.log(np.maximum(near + doubt, 1e-300))
        mean = center + _mean(log_prior + log_likelihood, points) - _mean(log_prior, points)
    found = np.zeros(len(BASIC))
    found[columns] = np.maximum(mean, 0)
    return tuple(float(weight) for weight in found / found.sum())


def _mean(log_p: Floats, points: Floats) -> Floats:
    p = np.exp(log_p - log_p.max())
    return np.asarray(p @ points / p.sum(), np.float64)
