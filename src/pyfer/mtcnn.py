"""The cascade of MTCNN: three small networks that propose, refine and finish boxes of faces.

K. Zhang, Z. Zhang, Z. Li, Y. Qiao: "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", IEEE Signal Processing Letters 2016. PNet proposes windows of 12 px in a pyramid of
the picture, RNet looks at each again with 24 px, ONet with 48 px and adds five landmarks. The networks come
from ``scripts/build_mtcnn.py``; `pyfer.faces.Mtcnn` is the detector made of them.

Boxes are float32 (n, 4), x0 y0 x1 y1 in pixels of the picture, x1 and y1 exclusive.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from pyfer.errors import ArgumentError, ModelError

Array = npt.NDArray[np.float32]

FOLDER = Path(__file__).parent / "weights" / "mtcnn"
SHA256 = {
    "pnet": "61d0b3e3dbd0264a06cfdd194766b1905725afbe47e6de28a39c81d3527cacb7",
    "rnet": "a07f93dc917dc1b1678cfe05ea2be24e88b9c1c0f000268badef0e464ea2e0a3",
    "onet": "4260546c350db1d2f6eea7afb1407e8be0678fca1f3c30691c40218dfa86e62a",
}
WINDOW, STRIDE = 12, 2  # PNet's window and step, pixels
RNET, ONET = 24, 48  # side of the other networks' pictures, pixels
MAX_PROPOSALS = 600  # bounds the cost of wallpaper and noise; photographs have 20 to 150
GRAY = (127, 127, 127)  # nearly zero for the networks: what lies outside the picture


@dataclass(frozen=True)
class Cascade:
    """Inner settings of the cascade; all lie between 0 and 1.

    Parameters
    ----------
    factor
        Scale from one level of the pyramid to the next (0.709: half the area, as in the paper's code).
    proposal, refinement
        Least score to pass PNet and RNet (0.6, 0.7 in the paper's code).
    overlap
        Largest intersection over union of two of PNet's boxes on one level; 0.7 is used everywhere else.
    """

    factor: float = 0.709
    proposal: float = 0.6
    refinement: float = 0.7
    overlap: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < 1:
                raise ArgumentError(f"{field.name}={value!r} must lie between 0 and 1")


@dataclass(frozen=True)
class Networks:
    """The three networks as onnxruntime sessions; pictures go in as uint8 (n, h, w, 3) RGB."""

    pnet: Any
    rnet: Any
    onet: Any


@functools.cache  # opening takes 20 ms; detectors with equal settings share the sessions
def load(threads: int = 1, folder: Path = FOLDER) -> Networks:
    """Open the networks, each with `threads` threads; `ModelError` if a file is not the one we ship."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # patterns are kept per input shape, and every picture has its own
    sessions = {}
    for name, expected in SHA256.items():
        path = folder / f"{name}.onnx"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror}): install io-pyfer again") from error
        if hashlib.sha256(data).hexdigest() != expected:
            raise ModelError(f"{path} is damaged or foreign (sha256 differs): install io-pyfer again")
        sessions[name] = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return Networks(**sessions)


def halvings(picture: Image.Image, smallest: int = ONET, most: int = sys.maxsize) -> list[Image.Image]:
    """Return the picture, its half, quarter, ... while the short side is at least `smallest` px.

    Pixel i of level k is the mean of pixels ``[i 2^k, (i+1) 2^k)``: coordinates shrink by exactly 2^k. There
    are no more than `most` besides the picture.
    """
    levels = [picture]
    while min(levels[-1].size) >= 2 * smallest and len(levels) <= most:
        levels.append(levels[-1].reduce(2))
    return levels


Place = tuple[list[Image.Image], Array]
"""A part of a picture in its `halvings`, and its first pixel: x y x y."""


def surroundings(image: npt.NDArray[np.uint8], box: Array) -> Place:
    """Cut out what lies within half a side of a square `box` (4,): the halvings of all cost more than ONet.

    The first pixel is a multiple of each halving's pixels, so that `windows` sees what it sees of the whole.
    """
    side = float(box[2] - box[0])
    halves = int(np.log2(max(side / RNET, 1)))
    step = 2**halves
    limit = np.array([image.shape[1], image.shape[0]])
    first = np.clip(np.floor(box[:2] - side / 2), 0, limit - 1).astype(int) // step * step
    last = np.clip(np.ceil(box[2:] + side / 2), first + 1, limit).astype(int)
    levels = [Image.fromarray(image[first[1] : last[1], first[0] : last[0]])]
    for _ in range(halves):  # as many as `windows` may ask for, however little of the face is in the picture
        levels.append(levels[-1].reduce(2))
    return levels, np.tile(first, 2).astype(np.float32)


def close_ups(places: list[Place], box: Array, size: int) -> npt.NDArray[np.uint8]:
    """Return `windows` of square boxes (n, 4), each in the part of the picture around it."""
    cuts = [
        windows(levels, one[None] - first, size) for (levels, first), one in zip(places, box, strict=True)
    ]
    return np.concatenate(cuts)


def detect(
    networks: Networks, image: npt.NDArray[np.uint8], smallest: float, score: float, cascade: Cascade
) -> tuple[Array, Array, Array]:
    """Find faces of at least `smallest` px in `image` uint8 (h, w, 3) RGB.

    Returns
    -------
    box (n, 4) in pixels, may reach out of the picture; score (n,) at least `score`; landmarks (n, 5, 2) in
    pixels: left eye, right eye, nose, left and right mouth corner as seen in the picture. Best score first.
    """
    levels = halvings(Image.fromarray(image))
    box = propose(networks.pnet, levels, smallest, cascade)
    if len(box):
        offset, found = networks.rnet.run(None, {"image": windows(levels, box, RNET)})
        passed = found >= cascade.refinement
        box, found = shifted(box[passed], offset[passed]), found[passed]
        box = squared(box[distinct(box, found, 0.7)])
    if not len(box):
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
    box, found, marks = finish(networks.onet, box, windows(levels, box, ONET))
    passed = found >= score
    box, found, marks = box[passed], found[passed], marks[passed]
    keep = distinct(box, found, 0.7, of_smaller=True)
    return box[keep], found[keep], marks[keep]


def follow(networks: Networks, image: npt.NDArray[np.uint8], box: Array) -> tuple[Array, Array, Array]:
    """Look again at faces that are known to be near `box` (n, 4), in pixels of `image` uint8 (h, w, 3) RGB.

    RNet and ONet as in `detect`, once each, without PNet's search: 0.6 ms for a face. RNet's score is not
    asked for: who calls this has seen the face, ONet alone says whether it still is there.

    Returns
    -------
    box (n, 4), score (n,) and landmarks (n, 5, 2) as of `detect`, for each given box.
    """
    if not len(box):
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
    box = squared(box)
    places = [surroundings(image, one) for one in box]
    offset, _ = networks.rnet.run(None, {"image": close_ups(places, box, RNET)})
    box = squared(shifted(box, offset))
    return finish(networks.onet, box, close_ups(places, box, ONET))


def finish(onet: Any, box: Array, pixels: npt.NDArray[np.uint8]) -> tuple[Array, Array, Array]:
    """Return ONet's boxes (n, 4), scores (n,) and landmarks (n, 5, 2) for square boxes and their windows."""
    offset, score, marks = onet.run(None, {"image": pixels})
    marks = box[:, None, :2] + marks * (box[:, 2:] - box[:, :2])[:, None]
    return shifted(box, offset), score, marks


def propose(pnet: Any, levels: list[Image.Image], smallest: float, cascade: Cascade) -> Array:
    """Return square boxes (n, 4) that PNet takes for faces of at least `smallest` px, best first."""
    width, height = levels[0].size
    boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    scale = WINDOW / smallest
    while min(width, height) * scale >= WINDOW:
        size = round(width * scale), round(height * scale)
        half = min(max(0, int(np.log2(1 / scale))), len(levels) - 1)
        extent = (0, 0, width / 2**half, height / 2**half)
        small = levels[half].resize(size, Image.Resampling.BILINEAR, extent)
        box, score = propose_at(pnet, np.asarray(small), cascade)
        boxes.append(box * np.tile(np.array([width / size[0], height / size[1]], np.float32), 2))
        scores.append(score)
        scale *= cascade.factor
    box, score = best(np.concatenate(boxes), np.concatenate(scores))
    return squared(box[distinct(box, score, 0.7)])


def propose_at(pnet: Any, image: npt.NDArray[np.uint8], cascade: Cascade) -> tuple[Array, Array]:
    """Return PNet's boxes (n, 4) in pixels of `image` (h, w, 3) and their scores (n,), best first."""
    offset, score = (output[0] for output in pnet.run(None, {"image": image[None]}))
    row, column = np.nonzero(score >= cascade.proposal)
    corner = np.stack([column, row], axis=1).astype(np.float32) * STRIDE
    box, found = best(
        np.concatenate([corner, corner + WINDOW, offset[:, row, column].T], axis=1), score[row, column]
    )
    keep = distinct(box[:, :4], found, cascade.overlap)
    return shifted(box[keep, :4], box[keep, 4:]), found[keep]


def best(rows: Array, score: Array) -> tuple[Array, Array]:
    """Return the `MAX_PROPOSALS` best rows and their scores."""
    order = np.argsort(-score, kind="stable")[:MAX_PROPOSALS]
    return rows[order], score[order]


def distinct(box: Array, score: Array, limit: float, of_smaller: bool = False) -> npt.NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes to keep, best first.

    A box goes if a better one that stays shares more than `limit` of their union, or `of_smaller`: of the
    smaller box (a face inside a face is one face).
    """
    order = np.argsort(-score, kind="stable")
    x0, y0, x1, y1 = box[order].T
    area = (x1 - x0) * (y1 - y0)
    wide = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    high = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    whole = np.minimum(area[:, None], area) if of_smaller else area[:, None] + area - shared
    clash = shared > limit * whole
    keep = np.ones(len(order), bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~clash[i, i + 1 :]
    return order[keep]


def shifted(box: Array, offset: Array) -> Array:
    """Move each side of `box` (n, 4) by `offset` (n, 4), in fractions of the box's width or height."""
    return box + offset * np.tile(box[:, 2:] - box[:, :2], 2)


def squared(box: Array) -> Array:
    """Grow the shorter side of each box (n, 4) around its centre."""
    half = (box[:, 2:] - box[:, :2]).max(axis=1, keepdims=True) / 2
    centre = (box[:, :2] + box[:, 2:]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def windows(levels: list[Image.Image], box: Array, size: int) -> npt.NDArray[np.uint8]:
    """Cut square boxes (n, 4) out and scale them to uint8 (n, size, size, 3), gray outside the picture."""
    pixels = np.empty((len(box), size, size, 3), np.uint8)
    # the halving that leaves one to two pixels for each one wanted: no aliasing, one cost for all faces
    ratio = np.maximum((box[:, 2] - box[:, 0]) / size, 1)
    half = np.minimum(np.log2(ratio).astype(int), len(levels) - 1)
    extents = (box / 2.0 ** half[:, None]).tolist()
    for i, (level, extent) in enumerate(zip(half, extents, strict=True)):
        cut = levels[level].transform(
            (size, size), Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR, fillcolor=GRAY
        )
        pixels[i] = np.asarray(cut)
    return pixels
