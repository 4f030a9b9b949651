"""Count what the face detectors find in a folder of photographs, and how long they take.

::

    python benchmarks/detection.py ../shared/samples
    python benchmarks/detection.py ../shared/samples --yunet ../shared/samples/models/yunet_n_640_640.onnx

The folder has ``photos/`` and ``faces.csv`` (photo, kind, x0, y0, x1, y1). A found box matches a listed one
if their intersection over union is at least 0.4, or if its centre lies in the listed box and the ratio of
their sides (roots of the areas) is 0.4 to 2.5: the list is a consensus of detectors, and some of its boxes
are far larger than the face. Each box is matched once, best overlap first. "others" are found boxes without
a match; among them are true faces in the background that the list leaves out.

The defaults of `pyfer.faces.Mtcnn` were chosen on these same photographs, so its numbers flatter it a little.
Time: median and least over the first portraits, fitted to 640x480, one thread, best of several runs each.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from pyfer.faces import Detector, Mtcnn, YuNet

Boxes = npt.NDArray[np.float64]
TIMED, REPEATS = 12, 7


@dataclass
class Photo:
    """A photograph, its kind (portrait, group, crowd, no face) and its listed boxes."""

    image: npt.NDArray[np.uint8]
    kind: str
    rows: list[list[float]] = field(default_factory=list)

    @property
    def boxes(self) -> Boxes:
        """Listed boxes (n, 4)."""
        return np.array(self.rows, np.float64).reshape(-1, 4)


def read(folder: Path) -> list[Photo]:
    """Return the photographs of a samples folder."""
    photos: dict[str, Photo] = {}
    with (folder / "faces.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            name = row["photo"]
            if name not in photos:
                image = np.asarray(Image.open(folder / "photos" / name).convert("RGB"))
                photos[name] = Photo(image, row["kind"])
            if row["x0"]:
                photos[name].rows.append([float(row[key]) for key in ("x0", "y0", "x1", "y1")])
    return list(photos.values())


def matched(listed: Boxes, found: Boxes) -> int:
    """Return how many of the listed boxes (n, 4) are found (m, 4); each counts once."""
    if not (len(listed) and len(found)):
        return 0
    a, b = listed[:, None], found[None]
    shared = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0).prod(-1)
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    iou = shared / (area_a + area_b - shared)
    centre = (b[..., :2] + b[..., 2:]) / 2
    inside = ((centre >= a[..., :2]) & (centre <= a[..., 2:])).all(-1)
    ratio = np.sqrt(area_b / area_a)
    fit = np.where((iou >= 0.4) | (inside & (ratio >= 0.4) & (ratio <= 2.5)), iou, 0)
    count = 0
    while fit.max() > 0:
        i, j = np.unravel_index(fit.argmax(), fit.shape)
        fit[i], fit[:, j] = 0, 0
        count += 1
    return count


def milliseconds(detector: Detector, photos: list[Photo]) -> tuple[float, float]:
    """Return the median and the least time of a 640x480 portrait."""
    best = []
    for photo in [p for p in photos if p.kind == "portrait"][:TIMED]:
        image = np.asarray(ImageOps.fit(Image.fromarray(photo.image), (640, 480)))
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            detector(image)
            times.append(time.perf_counter() - start)
        best.append(1000 * min(times))
    return float(np.median(best)), min(best)


def report(name: str, detector: Detector, photos: list[Photo]) -> None:
    """Print the table of one detector."""
    totals: dict[str, npt.NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, np.int64))
    for photo in photos:
        found = detector(photo.image).box.astype(np.float64)
        hits = matched(photo.boxes, found)
        totals[photo.kind] += [1, len(photo.boxes), hits, len(found) - hits]
    median, least = milliseconds(detector, photos)
    print(f"{name}: {median:.1f} ms (least {least:.1f}) for a portrait at 640x480")
    print(f"  {'':10} {'photos':>6} {'faces':>6} {'found':>6} {'others':>6}")
    for kind, counts in totals.items():
        print(f"  {kind:10} " + " ".join(f"{count:6d}" for count in counts))


def main() -> None:
    """Print a table for each detector asked for."""
    parser = argparse.ArgumentParser(description="Recall, other boxes and time of the face detectors.")
    parser.add_argument("samples", type=Path, help="folder with faces.csv and photos/")
    parser.add_argument("--yunet", type=Path, metavar="FILE", help="measure YuNet too, from this file")
    parser.add_argument("--smallest", type=float, metavar="PX", help="least size of a face for MTCNN")
    arguments = parser.parse_args()
    photos = read(arguments.samples)
    report("mtcnn", Mtcnn(smallest=arguments.smallest), photos)
    if arguments.yunet:
        report("yunet", YuNet(arguments.yunet), photos)


if __name__ == "__main__":
    main()
