"""Where faces are and should be, and whether the film shows another scene.

Boxes are (4,) x0 y0 x1 y1 in pixels, times seconds.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pyfer.faces import Array, Pixels

CUT = 24.0
"""Mean absolute difference of two frames (gray values of 256, `Scene`) above which the film is cut."""


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


def apart(one: Array, other: Array) -> tuple[float, float]:
    """Return the distance of the centres in mean sizes, and the absolute log ratio of the sizes."""
    first, second = _state(one)[0], _state(other)[0]
    size = math.exp((first[2] + second[2]) / 2)
    distance = math.hypot(first[0] - second[0], first[1] - second[1])
    return distance / size, abs(float(first[2] - second[2]))
