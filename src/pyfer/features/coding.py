"""Dense SIFT descriptors: as they are, as a bag of words, or as a Fisher vector."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import Crops
from pyfer.errors import ArgumentError, need
from pyfer.features.base import Codebook, Feature, Floats, cell_of, chosen, flat, gray, ranged, unit

DEPTH = 128
"""Numbers of a SIFT descriptor: 4 x 4 parts of the patch, 8 directions."""
SAMPLES = 100_000
"""Most descriptors a codebook is learned from."""
ROUNDS = 30
"""Most rounds of expectation and maximisation."""
_LEAST_VARIANCE = 1e-5  # of a component; descriptors of flat patches are all alike
_LENGTH = 512.0  # OpenCV gives descriptors of this length


@dataclass(frozen=True, kw_only=True)
class Sift(Feature):
    """SIFT descriptors on a grid of points, all upright, computed by OpenCV.

    D. Lowe: "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004. What becomes of them:

    ``grid``
        All of them, one after the other.
    ``words``
        How often each of k-means' `words` occurs in each of ``cells x cells`` parts of the face (or whether,
        `presence`: R. Ionescu, M. Popescu, C. Grozea 2013, "Local Learning to Improve Bag of Visual Words
        Model for Facial Expression Recognition"); square roots, divided by their length.
    ``fisher``
        The improved Fisher vector (F. Perronnin, J. Sánchez, T. Mensink, ECCV 2010): how the means and the
        variances of a Gaussian mixture of `words` components would have to move to fit this face; signed
        square roots, divided by their length. Descriptors are first reduced to `components` by PCA, and
        their place x, y is appended (K. Simonyan et al.: "Fisher Vector Faces in the Wild", BMVC 2013).

    Width: grid ``128 patches points``, 15488; words ``words cells²``; fisher ``2 words (components + 2)``.
    """

    kind: ClassVar[str] = "sift"
    sees: ClassVar[str] = "directions of edges around points"
    paper: ClassVar[str] = "Lowe 2004"

    size: int = ranged(48, 16, 512)
    """Crops are resized to this side, pixels."""
    patch: tuple[float, ...] = ranged((16.0,), 4.0, 256.0)
    """Side of the square that a descriptor sees, pixels; several for several scales."""
    step: int = ranged(4, 1, 128)
    """From point to point, pixels."""
    blur: float = ranged(1.6, 0.1, 10.0)
    """Deviation of the Gaussian before the gradients, pixels: 1.6 is Lowe's, for pictures much larger than
    crops; 0.5 keeps what a crop has."""
    root: bool = False
    """RootSIFT: square roots of shares (R. Arandjelović, A. Zisserman, CVPR 2012)."""
    coding: str = chosen("grid", "words", "fisher")
    """What becomes of the descriptors: ``grid``, ``words`` or ``fisher``."""
    words: int = ranged(256, 2, 20_000)
    """Words of the bag, or components of the mixture."""
    cells: int = ranged(4, 1, 32)
    """Parts along a side, for ``words``."""
    presence: bool = False
    """Whether a word occurs, not how often, for ``words``."""
    components: int = ranged(64, 1, DEPTH)
    """Numbers that PCA leaves of a descriptor, for ``fisher``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.step < self.size, "step", f"below size={self.size}")
        self.require(self.cells <= self.size, "cells", f"at most size={self.size}")

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        if self.coding == "grid":
            return len(self.points()) * DEPTH
        return (
            self.words * self.cells**2 if self.coding == "words" else 2 * self.words * (self.components + 2)
        )

    @property
    def learns(self) -> bool:
        """Whether it needs a codebook, learned from faces."""
        return self.coding != "grid"

    def points(self) -> Floats:
        """Return x, y and patch (p, 3) of the points in pixels: patch by patch, row by row."""
        place = np.arange(self.step, self.size, self.step) - 0.5
        patch, y, x = np.meshgrid(self.patch, place, place, indexing="ij")
        return np.stack([x, y, patch], axis=-1).reshape(-1, 3).astype(np.float32)

    def descriptors(self, crops: Crops) -> Floats:
        """Return (n, p, 128): 4 rows, 4 columns, 8 directions against the clock from the right; length 1."""
        cv2 = need("cv2", "classic")
        # a descriptor has 4 bins of 1.5 times the keypoint's size; octave 0 spares the doubled picture
        keys = [cv2.KeyPoint(x, y, patch / 6, 0.0, 0, 0) for x, y, patch in self.points().tolist()]
        sift = cv2.SIFT_create(sigma=self.blur)
        found = np.empty((len(crops), len(keys), DEPTH), np.float32)
        for k, crop in enumerate(gray(crops, self.size)):
            found[k] = sift.compute(crop, keys)[1]
        if self.root:
            found /= np.maximum(found.sum(axis=2, keepdims=True), 1e-12)
            return np.sqrt(found, out=found)
        found /= _LENGTH
        return found

    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width)."""
        found = self.descriptors(crops)
        if self.coding == "grid":
            return flat(found)
        if self.coding == "words":
            return self._counts(found, codebook["centres"])
        return fisher_vectors(self._reduced(found, codebook), codebook)

    def _counts(self, found: Floats, centres: Floats) -> Floats:
        """Return what words are in which cells, (n, width), of descriptors (n, p, 128)."""
        word = (found @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=2)  # (n, p): the nearest
        n = len(found)
        part = cell_of(self.size, self.cells)
        x, y = self.points()[:, :2].astype(np.intp).T
        index = (part[y] * self.cells + part[x]) * self.words + word
        index += np.arange(n)[:, None] * self.width
        counts = np.bincount(index.ravel(), minlength=n * self.width).reshape(n, self.width)
        values = counts > 0 if self.presence else np.sqrt(counts)
        return unit(values.astype(np.float32))

    def _reduced(self, found: Floats, codebook: Codebook) -> Floats:
        """Return descriptors (n, p, 128) as (n, p, components + 2): PCA, then x and y in -0.5..0.5."""
        place = self.points()[:, :2] / self.size - 0.5
        place = np.broadcast_to(place, (*found.shape[:2], 2))
        return np.concatenate([(found - codebook["mean"]) @ codebook["basis"], place], axis=2)

    # --- learning -----------------------------------------------------------------------------------------

    def codebook_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the arrays that `learn` gives, by name."""
        if self.coding == "grid":
            return {}
        if self.coding == "words":
            return {"centres": (self.words, DEPTH)}
        depth = self.components + 2
        return {
            "mean": (DEPTH,),
            "basis": (DEPTH, self.components),
            "weights": (self.words,),
            "means": (self.words, depth),
            "variances": (self.words, depth),
        }

    def learn(self, crops: Crops, seed: int = 0) -> Codebook:
        """Return the words, or PCA and mixture, of the descriptors of some of the crops.

        Raises
        ------
        ArgumentError
            There are fewer descriptors than words or components.
        """
        if not self.learns:
            return {}
        per_crop = len(self.points())
        least = max(self.words, self.components if self.coding == "fisher" else 0)
        if len(crops) * per_crop < least:
            raise ArgumentError(
                f"{self.kind}: {len(crops)} crops have {len(crops) * per_crop} descriptors, "
                f"{self.coding} needs {least} or more; give more crops, or fewer words"
            )
        some = np.random.default_rng(seed).permutation(len(crops))[: -(-SAMPLES // per_crop)]
        found = self.descriptors(crops[np.sort(some)])
        if self.coding == "words":
            return {"centres": _words(found.reshape(-1, DEPTH), self.words, seed)}
        axes = _axes(found.reshape(-1, DEPTH), self.components, seed)
        reduced = self._reduced(found, axes)
        return axes | _mixture(reduced.reshape(-1, self.components + 2), self.words, seed)


def _axes(rows: Floats, components: int, seed: int) -> dict[str, Floats]:
    """Return the mean (d,) of rows (m, d) and the basis (d, components) of their main directions."""
    kind = need("sklearn.decomposition", "classic").PCA
    pca: Any = kind(components, svd_solver="covariance_eigh", random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows that are all alike have no variance to share out
        pca.fit(rows)
    return {"mean": pca.mean_.astype(np.float32), "basis": pca.components_.T.astype(np.float32)}


def _words(rows: Floats, words: int, seed: int) -> Floats:
    """Return the centres (words, d) of k-means on rows (m, d)."""
    kind = need("sklearn.cluster", "classic").MiniBatchKMeans
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different rows than words: some are then the same
        means = kind(words, random_state=seed, batch_size=max(4096, 4 * words), n_init=1).fit(rows)
    return np.asarray(means.cluster_centers_, np.float32)


def _mixture(rows: Floats, components: int, seed: int) -> dict[str, Floats]:
    """Return weights, means and variances of a Gaussian mixture, diagonal, that starts at k-means."""
    kind = need("sklearn.mixture", "classic").GaussianMixture
    start = {
        "means_init": _words(rows, components, seed),
        "weights_init": np.full(components, 1 / components),
        "precisions_init": np.full((components, rows.shape[1]), 1 / (rows.var() + _LEAST_VARIANCE)),
    }
    mixture: Any = kind(
        components,
        covariance_type="diag",
        reg_covar=_LEAST_VARIANCE,
        max_iter=ROUNDS,
        random_state=seed,
        **start,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it could go on: a codebook need not be the best
        mixture.fit(rows)
    arrays = {"weights": mixture.weights_, "means": mixture.means_, "variances": mixture.covariances_}
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def posteriors(rows: Floats, codebook: Codebook) -> Floats:
    """Return which component of the mixture rows (..., d) come from: shares (..., k), sum 1."""
    means, variances = codebook["means"], codebook["variances"]
    constant = np.log(np.maximum(codebook["weights"], 1e-12)) - 0.5 * (
        np.log(variances).sum(axis=1) + (means**2 / variances).sum(axis=1)
    )
    score = rows @ (means / variances).T - 0.5 * rows**2 @ (1 / variances).T + constant
    score -= score.max(axis=-1, keepdims=True)
    share: NDArray[np.float32] = np.exp(score)
    share /= share.sum(axis=-1, keepdims=True)
    return share


def fisher_vectors(rows: Floats, codebook: Codebook) -> Floats:
    """Return the improved Fisher vectors (n, 2 k d) of sets of p rows (n, p, d).

    Perronnin et al. 2010, with x normalised by component: means ``sum_p g (x - m) / s / (p sqrt(w))``, then
    variances ``sum_p g ((x - m)² / s² - 1) / (p sqrt(2 w))``; signed square roots, length 1.
    """
    n, p, _ = rows.shape
    weights, means = np.maximum(codebook["weights"], 1e-12), codebook["means"]
    deviation = np.sqrt(codebook["variances"])
    share = posteriors(rows, codebook).swapaxes(1, 2)  # (n, k, p)
    mass = share.sum(axis=2)[..., None]  # (n, k, 1)
    first, second = share @ rows, share @ rows**2  # (n, k, d)
    root = np.sqrt(weights)[:, None]
    to_means = (first - mass * means) / (deviation * root * p)
    spread = second - 2 * first * means + mass * (means**2 - deviation**2)
    to_variances = spread / (deviation**2 * root * np.float32(np.sqrt(2)) * p)
    found = np.concatenate([to_means.reshape(n, -1), to_variances.reshape(n, -1)], axis=1)
    return unit((np.sign(found) * np.sqrt(np.abs(found))).astype(np.float32))
