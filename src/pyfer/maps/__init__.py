"""Pictures that explain combined emotions: a map of the simplex, bars of one face, a table of overlaps.

::

    simplex     emotion_map: where emotions and faces lie
    charts      explain_picture, stack, separability_chart
    scatter     subset_chart: how well the subsets of some classes are told apart
    timeline    Timeline: a film, a band a person
    places      where words go so that none covers another
    paper       colours and letters
"""

from pyfer.maps.charts import explain_picture, separability_chart, stack
from pyfer.maps.scatter import subset_chart
from pyfer.maps.simplex import RING, emotion_colors, emotion_map
from pyfer.maps.timeline import Timeline

__all__ = [
    "RING",
    "Timeline",
    "emotion_colors",
    "emotion_map",
    "explain_picture",
    "separability_chart",
    "stack",
    "subset_chart",
]
