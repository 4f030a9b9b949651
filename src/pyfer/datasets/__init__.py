"""Data sets of labelled faces, opened by a one-line name.

A data set is named ``READER:PATH?OPTION=VALUE&...``, for example::

    fer2013plus:../shared/data/fer2013plus?split=PrivateTest&labels=ferplus
    rafdb:/data/RAF-DB?split=test&size=64&color=rgb
    folders:my/faces?only=parts/train.csv
    cartoon:?n=400&seed=3

Readers never download. A new reader is one function ``(path, options) -> FaceData`` passed to `register`.
`check` says whether data sets are fit for use, `split` and `folds` divide them without dividing a person.

::

    registry ── cards           readers by name, open_data, register
    ├── fer2013, ckplus, posed, wild, own     a function for each format: path -> Listing (or FaceData)
    ├── pictures                from a Listing to FaceData: one loader
    └── options, data           options and tables; FaceData, Problem
    checks, splits              what is wrong; parts and folds
"""

from pyfer.datasets.cards import CARDS, Card
from pyfer.datasets.checks import Part, Report, check
from pyfer.datasets.ckplus import CKPLUS_LABELS
from pyfer.datasets.clips import Clips, open_clips
from pyfer.datasets.data import BAD, REMARKS, FaceData, Problem, concatenate, one_hot
from pyfer.datasets.fer2013 import FER2013_LABELS, blend_pairs, ferplus_majority, ferplus_targets
from pyfer.datasets.options import Options
from pyfer.datasets.pictures import Format, Listing, Row
from pyfer.datasets.registry import (
    _READERS as _READERS,
)
from pyfer.datasets.registry import (
    EXAMPLES,
    Reader,
    common_options,
    open_data,
    parsed,
    readers,
    register,
)
from pyfer.datasets.splits import folds, split

__all__ = [
    "BAD",
    "CARDS",
    "CKPLUS_LABELS",
    "EXAMPLES",
    "FER2013_LABELS",
    "REMARKS",
    "Card",
    "Clips",
    "FaceData",
    "Format",
    "Listing",
    "Options",
    "Part",
    "Problem",
    "Reader",
    "Report",
    "Row",
    "blend_pairs",
    "check",
    "common_options",
    "concatenate",
    "ferplus_majority",
    "ferplus_targets",
    "folds",
    "one_hot",
    "open_clips",
    "open_data",
    "parsed",
    "readers",
    "register",
    "split",
]
