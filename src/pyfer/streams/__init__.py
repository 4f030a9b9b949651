"""Streams: short films of one face with a known truth, made from still crops. What they show is synthetic.

A stream moves between stills: it holds one expression, passes to another (a dissolve), holds that one, and so
on, from neutral and back. The crops then move, turn and change their size as tracked faces do; light drifts;
there are noise, blur, things that pass before the face, and false frames (another face, or a piece of the
face, where the tracker slipped). Such a disturbance changes the picture, never the truth.

Two stills of a stream show two persons, as data sets of stills have one picture of each. So that a change of
person is not what a recogniser learns to wait for, some passages lead to another face with the *same* label.

::

    data        StreamSettings, Streams
    disturbing  what a camera and a tracker make of a face
    stills      make_streams: between stills
    clips       streams_of_clips: along the frames of real clips
"""

from pyfer.streams.clips import streams_of_clips
from pyfer.streams.data import OnDone, Streams, StreamSettings
from pyfer.streams.disturbing import disturbed, warped
from pyfer.streams.stills import CLEAR, make_streams

__all__ = [
    "CLEAR",
    "OnDone",
    "StreamSettings",
    "Streams",
    "disturbed",
    "make_streams",
    "streams_of_clips",
    "warped",
]
