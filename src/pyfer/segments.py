"""When an emotion begins, is strongest and ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A stretch of a film in which a person shows one emotion. Times are seconds from the film's start."""

    track: int
    """Number of the person, see `pyfer.tracking`."""
    emotion: str
    onset: float
    apex: float
    """When it is most probable."""
    offset: float
    intensity: float
    """Its probability at the apex, 0..1."""
