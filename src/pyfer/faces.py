"""Faces in pictures: detection and alignment.

A detector is anything that turns a picture into `Faces`; `Mtcnn` comes with the package, `YuNet` is for
those who have its file. `align` turns the five landmarks of each face into an upright crop, `crop_whole`
takes a picture that is a face crop already.

Pictures are uint8 (h, w, 3) RGB. Coordinates are pixels from the left and the top; pixel i covers i to i + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from pyfer import mtcnn
from pyfer.errors import ArgumentError, ModelError, need

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

RELATIVE_SIZE = 0.045  # default least size of a face: fraction of sqrt(width x height) of its picture
SMALLEST = 20.0  # pixels; below, MTCNN guesses
FINEST = 0.012  # bound on the cost: PNet never sees more than (12 / 0.012)^2 = 1 million pixels at once


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of one picture, as columns of equal length; ``faces[mask]`` and ``faces[indices]`` are `Faces`.

    Parameters
    ----------
    box
        float32 (n, 4): x0 y0 x1 y1 in pixels, x0 < x1 and y0 < y1.
    score
        float32 (n,) in [0, 1], the detector's belief.
    landmarks
        float32 (n, 5, 2), x y in pixels: left eye, right eye, nose, left and right mouth corner *as seen in
        the picture* (in an upright face, left has the smaller x).

    Raises
    ------
    ArgumentError
        Wrong shapes or lengths, values that are not finite, scores out of range, boxes without area.
    """

    box: Array
    score: Array
    landmarks: Array

    def __post_init__(self) -> None:
        count = len(self.score)
        for name, shape in (("box", (count, 4)), ("score", (count,)), ("landmarks", (count, 5, 2))):
            column = np.asarray(getattr(self, name), np.float32)
            if column.shape != shape:
                raise ArgumentError(f"{name} has shape {column.shape}, must be {shape} for {count} faces")
            if not np.isfinite(column).all():
                raise ArgumentError(f"{name} holds a value that is not finite")
            object.__setattr__(self, name, column)
        if ((self.score < 0) | (self.score > 1)).any():
            raise ArgumentError(f"score={self.score} must lie in [0, 1]")
        if (self.box[:, :2] >= self.box[:, 2:]).any():
            raise ArgumentError("box must be x0 y0 x1 y1 with x0 < x1 and y0 < y1")

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(
        self, index: int | slice | Sequence[int] | Sequence[bool] | npt.NDArray[np.integer | np.bool_]
    ) -> Faces:
        """Return the chosen faces; an integer gives `Faces` of length one."""
        if not isinstance(index, slice):
            index = np.atleast_1d(np.asarray(index))
            index = index if index.size else index.astype(np.intp)  # [] is float for numpy
        return Faces(self.box[index], self.score[index], self.landmarks[index])

    @classmethod
    def empty(cls) -> Faces:
        """Return no face."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))  # type: ignore[arg-type]

    def largest(self) -> Faces:
        """Return the face with the largest box alone, or no face if there is none."""
        return self[np.argsort(-self.area, kind="stable")[:1]]

    @property
    def area(self) -> Array:
        """Areas of the boxes (n,), in square pixels."""
        return np.prod(self.box[:, 2:] - self.box[:, :2], axis=1)


class Detector(Protocol):
    """Anything that finds faces."""

    def __call__(self, image: Pixels) -> Faces:
        """Return the faces in `image` uint8 (h, w, 3) RGB; `Faces.empty()` if there are none."""
        ...


@dataclass(frozen=True)
class Mtcnn:
    """The detector that comes with the package (Zhang et al. 2016; see `pyfer.mtcnn`).

    Boxes are clipped to the picture, landmarks are not. The largest face comes first. The networks are opened
    at the first call and shared by all detectors with as many threads.

    Parameters
    ----------
    smallest
        Least size of a face in pixels, the geometric mean of its width and height; about 12 times more work
        for a third of it. ``None``: 0.045 of the geometric mean of the picture's width and height (25 px at
        640x480), but at least 20 px, which makes the cost the same for pictures of all sizes. Sizes below
        0.012 of the picture are raised to it to bound the cost.
    score
        Least score of a face, between 0 and 1. 0.8 finds blurred and half hidden faces, 0.95 only clear ones.
    threads
        Threads of onnxruntime; 1 is best where several pictures are worked on at once.
    cascade
        Inner settings.
    """

    smallest: float | None = None
    score: float = 0.8
    threads: int = 1
    cascade: mtcnn.Cascade = field(default_factory=mtcnn.Cascade)

    def __post_init__(self) -> None:
        if self.smallest is not None and not self.smallest >= mtcnn.WINDOW:
            raise ArgumentError(f"smallest={self.smallest!r} must be at least {mtcnn.WINDOW} px, or None")
        if not 0 < self.score < 1:
            raise ArgumentError(f"score={self.score!r} must lie between 0 and 1")
        if self.threads < 1:
            raise ArgumentError(f"threads={self.threads!r} must be a positive integer")

    def __call__(self, image: Pixels) -> Faces:
        """Return the faces in `image` uint8 (h, w, 3) RGB, largest first."""
        _check(image)
        extent = float(np.sqrt(image.shape[0] * image.shape[1]))
        smallest = max(RELATIVE_SIZE * extent, SMALLEST) if self.smallest is None else self.smallest
        found = mtcnn.detect(
            mtcnn.load(self.threads), image, max(smallest, FINEST * extent), self.score, self.cascade
        )
        return _sorted(image, *found)


class YuNet:
    """YuNet by way of OpenCV: faster in crowds, but its file does not come with the package.

    W. Wu, H. Peng, S. Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023.
    Boxes are clipped to the picture, landmarks are not. The largest face comes first.

    Parameters
    ----------
    path
        The model's file, such as ``yunet_n_640_640.onnx`` or OpenCV's ``face_detection_yunet_2023mar.onnx``.
    score
        Least score of a face, between 0 and 1.
    longest
        Larger pictures are shrunk to this many pixels on the long side; faces below 10 px are then lost.

    Raises
    ------
    MissingExtraError
        OpenCV is not installed.
    ModelError
        OpenCV cannot read the file.
    """

    def __init__(self, path: str | Path, *, score: float = 0.6, longest: int = 640) -> None:
        cv2 = need("cv2", "yunet")
        if not 0 < score < 1:
            raise ArgumentError(f"score={score!r} must lie between 0 and 1")
        if longest < 32:
            raise ArgumentError(f"longest={longest!r} must be at least 32 pixels")
        if not Path(path).is_file():
            raise ModelError(f"{path} is not a file: download YuNet from https://github.com/opencv/opencv_zoo")
        try:
            self._network: Any = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score)
        except cv2.error as error:
            raise ModelError(f"{path} is not a YuNet model that this OpenCV reads: {error.err}") from error
        self._longest = longest

    def __call__(self, image: Pixels) -> Faces:
        """Return the faces in `image` uint8 (h, w, 3) RGB, largest first."""
        _check(image)
        height, width = image.shape[:2]
        shrink = min(1.0, self._longest / max(height, width))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        self._network.setInputSize(size)
        rows = self._network.detect(np.ascontiguousarray(small[..., ::-1]))[1]
        if rows is None:
            return Faces.empty()
        # columns: x y w h, five landmarks as x y (the person's right eye is left in the picture), score
        scale = np.array([width / size[0], height / size[1]], np.float32)
        corner, side, marks = rows[:, :2], rows[:, 2:4], rows[:, 4:14].reshape(-1, 5, 2)
        box = np.concatenate([corner, corner + side], axis=1) * np.tile(scale, 2)
        return _sorted(image, box, np.clip(rows[:, 14], 0, 1), marks * scale)


def _check(image: Pixels) -> None:
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8):
        kind = getattr(image, "dtype", type(image).__name__)
        raise ArgumentError(f"image is {kind}, must be a numpy array of uint8")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ArgumentError(f"image has shape {image.shape}, must be (h, w, 3) RGB with h, w >= 1")


def _sorted(image: Pixels, box: Array, score: Array, landmarks: Array) -> Faces:
    """Clip the boxes to the picture, drop those without a pixel in it, put the largest first."""
    height, width = image.shape[:2]
    box = np.clip(box, 0, np.array([width, height, width, height], np.float32))
    inside = (box[:, 2:] - box[:, :2] >= 1).all(axis=1)
    faces = Faces(box[inside], score[inside], landmarks[inside])
    return faces[np.argsort(-faces.area, kind="stable")]


# Where FER2013's crops have the landmarks, in fractions of the crop's side. Made by
#   python scripts/estimate_template.py ../shared/data/fer2013plus
TEMPLATE: npt.NDArray[np.float64] = np.array(
    [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float64
)
TEMPLATE.setflags(write=False)


def align(
    image: Pixels,
    landmarks: npt.NDArray[np.floating],
    size: int,
    *,
    template: npt.NDArray[np.floating] = TEMPLATE,
) -> Pixels:
    """Return upright crops of faces, their landmarks moved as close to the template as a similarity can.

    Shrinking averages over all pixels that fall into one (no aliasing); outside the picture its edge pixels
    are repeated.

    Parameters
    ----------
    image
        uint8 (h, w, 3) RGB.
    landmarks
        (n, 5, 2) in pixels, as in `Faces`.
    size
        Side of the crops, pixels.
    template
        (5, 2): where the landmarks should be, in fractions of the crop's side.

    Returns
    -------
    uint8 (n, size, size, 3).
    """
    _check(image)
    _check_size(size)
    matrix = similarity(landmarks, np.asarray(template, np.float64) * size)
    crops = np.empty((len(matrix), size, size, 3), np.uint8)
    if not len(matrix):
        return crops
    ratio = 1 / np.hypot(matrix[:, 0, 0], matrix[:, 1, 0])  # pixels of the picture for one of the crop
    levels = [np.asarray(level) for level in mtcnn.halvings(Image.fromarray(image))]
    half = np.minimum(np.log2(np.maximum(ratio, 1)).astype(int), len(levels) - 1)
    for crop, forward, level, pixels in zip(crops, matrix, half, ratio / 2.0**half, strict=True):
        fine = max(1, int(np.ceil(2 * pixels))) if pixels > 1 else 1  # samples for each pixel and axis
        crop[:] = _sampled(levels[level], forward / 2.0**level, size, fine)
    return crops
