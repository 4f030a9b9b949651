"""Handmade features: what a face looks like, in numbers that a support vector machine can use.

A feature turns crops uint8 (n, s, s) gray or (n, s, s, 3) RGB into float32 (n, d)::

    hog = Hog(cell=8)                            its options are checked; feature({"name": "hog", "cell": 8})
    hog(crops)                                   (n, hog.width)
    bank = Bank.fit([hog, "lbp", {"name": "sift", "coding": "fisher"}], crops)
    bank(crops)                                  (n, bank.width); bank.slices says which columns are whose

`KINDS` has them by name, `register` adds one. `picture` shows what a feature sees of a face.
"""

from __future__ import annotations

from pyfer.features.appearance import Color, Pixels
from pyfer.features.bank import Bank
from pyfer.features.base import KINDS, Codebook, Feature, feature, register
from pyfer.features.coding import Sift
from pyfer.features.pictures import picture, sheet
from pyfer.features.registration import Registration
from pyfer.features.shape import Edges, Hog, Landmarks
from pyfer.features.texture import Gabor, Lbp

__all__ = [
    "KINDS",
    "Bank",
    "Codebook",
    "Color",
    "Edges",
    "Feature",
    "Gabor",
    "Hog",
    "Landmarks",
    "Lbp",
    "Pixels",
    "Registration",
    "Sift",
    "feature",
    "picture",
    "register",
    "sheet",
]

for _kind in (Hog, Lbp, Sift, Gabor, Edges, Color, Landmarks, Pixels):
    register(_kind)
