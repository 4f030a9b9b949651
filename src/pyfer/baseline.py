"""A person's own neutral face, taken off: resting faces can look sad or angry and are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError
from pyfer.models import softmax

SHARE = 0.7
"""Of the neutral face's log-probabilities that is taken off; chosen on CK+, see `pyfer study baseline`."""
LEAST = 1e-4
"""Least probability whose logarithm is taken."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """What n faces say when they rest.

    ``p`` becomes proportional to ``p / p0 ** share``, with p0 the geometric mean of the probabilities of the
    neutral face: what the resting face explains does not count again.
    """

    logs: NDArray[np.float32]
    """(n, c) mean log-probabilities of the neutral faces; a row of zeros takes nothing off."""
    share: float = SHARE
    """0 takes nothing off; 1 leaves nothing of a face that rests, all emotions alike."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ArgumentError(f"share={self.share!r} must lie in 0..1")

    def __call__(self, p: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (n, c) without the baseline."""
        return softmax(logs_of(p) + self.taken)

    @property
    def taken(self) -> NDArray[np.float32]:
        """(n, c) what is added to log-probabilities, in nats."""
        return np.asarray(-self.share * self.logs, np.float32)


def logs_of(p: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the logarithms of probabilities, none below that of `LEAST`."""
    return np.asarray(np.log(np.maximum(p, LEAST)), np.float32)
