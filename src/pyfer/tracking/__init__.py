"""Who is who in a film: faces are searched every few frames, followed between, and keep their numbers.

::

    tracker = Tracker()
    for time, image in film:
        tracked = tracker(image, time)     # tracked.faces, tracked.track: the number of each face's person

A search (detection) is the dear part, so it happens every `Tracking.every` frames, and at once where the film
is cut or a person is lost. Between, a detector that can ``follow`` (`pyfer.faces.Mtcnn`) looks near the
places where the faces should be by now; any other detector is asked at every frame.

Found faces are given to known persons at the least total cost (`assigned`, exact) of place, size and look.
The place to expect is that of a g-h (alpha-beta) filter; the look is a small registered picture in colour,
compared by correlation. Constants were chosen on films of one face and on photographs of many; see
`SAME`.
"""

from __future__ import annotations

from pyfer.tracking.motion import CUT, Motion, Scene, overlap
from pyfer.tracking.persons import MISS, SAME, UNLIKE, assigned, look
from pyfer.tracking.tracker import Follower, Tracked, Tracker, Tracking

__all__ = [
    "CUT",
    "MISS",
    "SAME",
    "UNLIKE",
    "Follower",
    "Motion",
    "Scene",
    "Tracked",
    "Tracker",
    "Tracking",
    "assigned",
    "look",
    "overlap",
]
