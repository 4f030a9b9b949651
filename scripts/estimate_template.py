"""Estimate where the pictures of FER2013 have the eyes, the nose and the mouth.

::

    python scripts/estimate_template.py ../shared/data/fer2013plus

Recognisers are trained on FER2013's 48x48 crops as they are, so faces in photographs have to be aligned to
the same geometry: the printed numbers are `pyfer.faces.TEMPLATE`. A seeded sample of the training pictures
is enlarged four times and padded with its edge pixels; faces that MTCNN gives a score of at least 0.95
count. The template is the median, made symmetric; the spread is the median absolute deviation times 1.4826
(the standard deviation of a normal distribution). Both are in fractions of the crop's side.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pyfer.faces import Mtcnn

SIDE, ENLARGED, BORDER = 48, 4, 24  # pixels; the border is in pixels of the small picture
MIRRORED = [1, 0, 2, 4, 3]  # order of the landmarks in the mirror


def find(pictures: npt.NDArray[np.uint8], detector: Mtcnn) -> npt.NDArray[np.float64]:
    """Return landmarks (m, 5, 2) in fractions of the side for the pictures (n, 48, 48) with a clear face."""
    found = []
    padded = np.pad(pictures, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)), mode="edge")
    size = padded.shape[1] * ENLARGED
    for picture in padded:
        large = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC).convert("RGB")
        faces = detector(np.asarray(large)).largest()
        if len(faces):
            found.append((faces.landmarks[0].astype(np.float64) / ENLARGED - BORDER) / SIDE)
    return np.array(found).reshape(-1, 5, 2)


def symmetric(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean of points (5, 2) and their mirror image."""
    mirrored = points[MIRRORED] * [-1, 1] + [1, 0]
    mean: npt.NDArray[np.float64] = (points + mirrored) / 2
    return mean


def main() -> None:
    """Print the template and its spread."""
    parser = argparse.ArgumentParser(description="Estimate the geometry of FER2013's pictures.")
    parser.add_argument("data", type=Path, help="folder with train.npz")
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with np.load(arguments.data / "train.npz") as archive:
        delta = archive["delta"]
    chosen = np.random.default_rng(arguments.seed).choice(len(delta), arguments.pictures, replace=False)
    pictures = np.cumsum(delta[chosen], axis=2, dtype=np.uint8)
    found = find(pictures, Mtcnn(smallest=64, score=0.95))
    template = symmetric(np.median(found, axis=0))
    spread = 1.4826 * np.median(np.abs(found - np.median(found, axis=0)), axis=0)
    print(f"{len(found)} of {len(pictures)} pictures\ntemplate {template.round(4).tolist()}")
    print(f"spread   {spread.round(4).tolist()}\nmedian   {np.median(found, axis=0).round(4).tolist()}")


if __name__ == "__main__":
    main()
