"""What streams are, and the settings that they are made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError

Floats = NDArray[np.float32]
OnDone = Callable[[int, int], None]
"""Progress: called with (streams done, in all)."""
_LEAST = {"frames": 2, "rate": 0.1}
"""The least of a range; of others it is 0."""


@dataclass(frozen=True)
class StreamSettings:
    """How streams are made. Pairs are ranges, from which a stream draws evenly."""

    count: int = 4000
    """Streams."""
    frames: tuple[int, int] = (16, 64)
    """Length of a stream."""
    rate: tuple[float, float] = (8.0, 30.0)
    """Frames a second; times jitter by a tenth of the interval."""
    hold: tuple[float, float] = (0.4, 2.0)
    """Seconds that an expression stays."""
    passage: tuple[float, float] = (0.0, 0.5)
    """Seconds from one expression to the next."""
    rare: float = 0.7
    """An emotion comes in proportion to (its number of stills) ** rare: 1 as often as among the stills, 0 all
    alike."""
    same: float = 0.3
    """Share of passages to another face with the same label."""
    motion: float = 1.0
    """Strength of slow motion: 1 moves by about 5 % of the side, turns by 5 degrees, scales by 5 %."""
    jitter: float = 1.0
    """Strength of the tracker's trembling: 1 moves by about 1 % of the side from frame to frame."""
    light: float = 1.0
    """Strength of changes of the light: 1 is a gain of about 20 % over a second."""
    noise: float = 0.04
    """Largest standard deviation of a camera's noise, on pixels of 0..1."""
    blur: float = 0.3
    """Blurred stretches a second."""
    occlusion: float = 0.25
    """Things that pass before the face, a second."""
    false: float = 0.25
    """Stretches of 1 to 3 false frames a second."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                least = _LEAST.get(item.name, 0)
                if not (len(value) == 2 and least <= value[0] <= value[1] < np.inf):
                    raise ArgumentError(f"streams.{item.name}={value!r} must be a range, from {least} up")
            elif not (item.name == "count") <= value < np.inf:
                raise ArgumentError(
                    f"streams.{item.name}={value!r} must be {int(item.name == 'count')} or more"
                )
        if self.hold[1] == 0:
            raise ArgumentError(f"streams.hold={self.hold!r} must end above 0: nothing would be shown")
        for name in ("same", "rare"):
            if getattr(self, name) > 1:
                raise ArgumentError(f"streams.{name}={getattr(self, name)!r} must lie in 0..1")


@dataclass(frozen=True, eq=False)
class Streams:
    """Short films of one face each, of uneven length, filled up at the end."""

    frames: NDArray[np.uint8]
    """(n, t, h, w) gray."""
    times: Floats
    """(n, t) seconds from the stream's start, rising."""
    mask: NDArray[np.bool_]
    """(n, t) whether there is a frame."""
    targets: Mapping[str, Floats]
    """head -> (n, t, c): shares with sum 1, or 0 where there is no label."""
    labels: Mapping[str, tuple[str, ...]]
    """head -> the c label names."""
    stills: Floats
    """(n, t) share of the still that is coming; 0 while one is held. For a look at what was made."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Streams:
        """Return the streams that an index array or a slice selects."""
        targets = {head: target[rows] for head, target in self.targets.items()}
        return Streams(
            self.frames[rows], self.times[rows], self.mask[rows], targets, self.labels, self.stills[rows]
        )

    @property
    def interval(self) -> Floats:
        """(n, t) seconds since the frame before; 0 at the first."""
        return np.diff(self.times, axis=1, prepend=self.times[:, :1]) * self.mask

    def truth(self, head: str) -> NDArray[np.int64]:
        """Return (n, t) index of the label with the largest share."""
        return np.asarray(self.targets[head].argmax(axis=2), np.int64)
