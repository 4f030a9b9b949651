"""The temperature that makes probabilities honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def fit_temperature(logits: Floats, targets: Floats, bias: Floats | float = 0.0) -> float:
    """Return the T > 0 for which softmax(logits / T + bias) fits `targets` best (Guo et al. 2017).

    Parameters
    ----------
    logits
        (n, c).
    targets
        (n, c), rows that sum to 1 (one-hot labels or label distributions).
    bias
        (c,), what is added to the logits after division by T.

    Notes
    -----
    The cross-entropy is convex in 1/T, so a golden-section search over log T in -3..3 finds its minimum.
    """

    def loss(log_temperature: float) -> float:
        z = np.asarray(logits, np.float64) / np.exp(log_temperature) + bias
        z = z - z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return float(-(targets * log_p).sum(axis=1).mean())

    low, high, ratio = -3.0, 3.0, (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))
