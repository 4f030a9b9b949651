"""Margins of machines become probabilities: a softmax with temperature and bias (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.models import softmax

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """How margins become probabilities: softmax(margins / temperature + bias)."""

    temperature: float
    bias: Floats
    """(c,), mean 0."""
    prior: Floats
    """(c,) the class prior that the probabilities speak for."""

    def __call__(self, margins: Floats) -> Floats:
        """Return (n, c) probabilities."""
        return softmax(margins / np.float32(self.temperature) + self.bias)


def calibrate(margins: Floats, targets: Floats) -> Calibration:
    """Fit temperature and bias on margins (n, c) of faces that the machine has not seen, targets (n, c).

    They minimise the cross-entropy, which is convex in 1 / temperature and bias; so the mean probability of
    each class becomes its share. Classes without a face count as if one in 10,000 had it. The temperature
    stays in exp(-3)..exp(3).

    Raises
    ------
    ArgumentError
        No face has a label.
    """
    known = targets.any(axis=1)
    if not known.any():
        raise ArgumentError(f"targets of shape {targets.shape} must have a label for one face or more")
    prior = np.maximum(targets[known].mean(axis=0, dtype=np.float64), 1e-4)
    prior /= prior.sum()
    centred = margins[known].astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    best = _newton(centred, np.append((targets[known] * centred).sum(axis=1).mean(), prior))
    bias = best[1:] - best[1:].mean()
    return Calibration(float(1 / best[0]), np.asarray(bias, np.float32), np.asarray(prior, np.float32))


_RATE = (float(np.exp(-3)), float(np.exp(3)))
"""Range of 1 / temperature, as that of `fit_temperature`."""


def _newton(m: Doubles, pull: Doubles) -> Doubles:
    """Return rate s and bias b, (1 + c,), that minimise mean log sum exp(s m + b) - pull @ (s, b)."""

    def loss(place: Doubles) -> tuple[float, Doubles]:
        z = place[0] * m + place[1:]
        top = z.max(axis=1, keepdims=True)
        p = np.exp(z - top)
        total = p.sum(axis=1, keepdims=True)
        return float((top + np.log(total)).mean() - pull @ place), p / total

    place = np.append(1.0, np.zeros(m.shape[1]))
    value, p = loss(place)
    for _ in range(200):
        slope, curve = _derivatives(m, p)
        slope -= pull
        free = np.ones(len(place), bool)
        free[0] = place[0] > _RATE[0] if slope[0] > 0 else place[0] < _RATE[1]
        if np.abs(slope[free]).max() < 1e-8:
            break
        step = np.zeros(len(place))
        step[free] = np.linalg.solve(curve[np.ix_(free, free)] + 1e-7 * np.eye(free.sum()), slope[free])
        step *= min(1.0, 5 / float(np.abs(step).max()))  # where all are sure the loss is nearly flat
        for _ in range(40):
            after = place - step
            after[0] = np.clip(after[0], *_RATE)
            lower, p_after = loss(after)
            if lower <= value:
                place, value, p = after, lower, p_after
                break
            step /= 2
        else:
            break
    return place


def _derivatives(m: Doubles, p: Doubles) -> tuple[Doubles, Doubles]:
    """Return gradient (1 + c,) and Hessian of the mean log sum exp, for its softmax p (n, c)."""
    mean = (p * m).sum(axis=1, keepdims=True)  # (n, 1)
    share = p.mean(axis=0)
    curve = np.empty((m.shape[1] + 1, m.shape[1] + 1))
    curve[0, 0] = (p * (m - mean) ** 2).sum(axis=1).mean()
    curve[0, 1:] = curve[1:, 0] = (p * (m - mean)).mean(axis=0)
    curve[1:, 1:] = np.diag(share) - p.T @ p / len(p)
    return np.append(mean.mean(), share), curve
