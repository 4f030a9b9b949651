"""Watching a film: read, track, recognise frame by frame, and tell when emotions begin and end.

A `Watch` goes through a film or a camera once, in constant memory::

    with pyfer.watch("film.mp4") as watch:
        for frame in watch:                       # WatchedFrame: index, time, image, result, segments
            print(frame.time, frame.result.emotion)
    watch.segments, watch.people, watch.ending

A model with memory takes one step a frame and person. One that looks both ways waits for the frames that
follow, so its frames come later than they are read; one for stills answers for each frame by itself.
"""

from __future__ import annotations

from pyfer.watching.keeping import Keeper
from pyfer.watching.watched import FILM_MODEL, Person, Watch, WatchedFrame, Watching, watch

__all__ = ["FILM_MODEL", "Keeper", "Person", "Watch", "WatchedFrame", "Watching", "watch"]
