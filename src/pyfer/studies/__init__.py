"""Studies: claims of the literature, tried again on data sets of one's own.

::

    common      Study, Setup, Outcome, Row, Check: what a study is and what it gives; intervals; files
    faces       the two places a study looks at: faces of the wild, faces of the laboratory
    bench       features, registered crops and machines on them, kept between runs
    NAME        one module a study, which has a `STUDY`

A study is a module in this room with a `Study` called ``STUDY``; `studies` finds it by itself.
"""

from pyfer.studies.common import Check, Outcome, Row, Setup, Study, find, studies, write

__all__ = ["Check", "Outcome", "Row", "Setup", "Study", "find", "studies", "write"]
