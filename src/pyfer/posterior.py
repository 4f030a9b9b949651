"""From a face's evidence to a posterior over a vocabulary, and what that posterior is made of.

Every emotion k of a vocabulary is a point w_k; for a face with evidence e (`pyfer.evidence`)::

    p(k | face)    is proportional to  prior(w_k) exp(composition(w_k) . e) prod_i (1 - p_i) ** against_ki
    p(none | face) is proportional to  the same, summed over the grid's mixtures that no w_k is near to

so basic and new emotions compete in one posterior that sums to 1, and what no known emotion explains goes to
"none of these". Mixtures with neutral are no part of that: they are weak expressions of an emotion, not other
emotions. The p_i are the face's basic probabilities; ``against`` is what a formula subtracts (``happiness +
sadness - anger``): the chance that the face does not show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC, NONE
from pyfer.errors import ArgumentError
from pyfer.evidence import EDGE_PRIOR, Evidence, composition, grid
from pyfer.vocabulary import Vocabulary

Floats = NDArray[np.float64]

NEAR = 0.65
"""A grid mixture is explained by an emotion if their weights differ by no more than this in all (2 is the
most there can be): a corner speaks for 70:30 mixtures with it, an even pair for all three of the two."""
_CERTAIN = 1 - 1e-6  # so that a certain contrary emotion leaves a finite logarithm


@dataclass(frozen=True)
class Part:
    """What one basic emotion adds to the score of an emotion."""

    basic: str
    weight: float
    """In the emotion's point."""
    alone: float
    """w_i e_i: what speaks for this basic emotion, in nats."""
    together: float
    """Its halves of the pairs' 4 w_i w_j e_ij: what speaks for its company, in nats."""


@dataclass(frozen=True)
class Explanation:
    """Why a face got its answer."""

    emotion: str
    """The emotion explained."""
    posterior: float
    rivals: dict[str, float]
    """The other most probable answers, best first -> posterior."""
    distance: float
    """Between the face's mixture and the emotion's point: half the sum of absolute differences, 0..1."""
    mixture: dict[str, float]
    """What the face seems to be mixed of (mean of the posterior over the grid), largest first."""
    parts: tuple[Part, ...]
    """Largest first; they add up to the score."""

    @property
    def score(self) -> float:
        """Score of the emotion in nats; only differences to rivals' scores mean anything."""
        return sum(part.alone + part.together for part in self.parts)


class Posterior:
    """Reads evidence as a posterior over a vocabulary.

    Parameters
    ----------
    vocabulary
        The emotions in use. What the labels cannot express is left out, see `left_out`.
    evidence
        Of the model.
    labels
        Emotions that the model's probabilities speak of and that are possible.
    prior
        Weight of each of the labels, (b,); None: each emotion is as frequent as among the faces of the fit.
        With weights that are all equal, every emotion of the vocabulary is equally likely beforehand.

    Raises
    ------
    ArgumentError
        Nothing of the vocabulary can be expressed.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        evidence: Evidence,
        labels: tuple[str, ...],
        prior: Floats | None = None,
    ) -> None:
        self.basics = tuple(name for name in labels if name in evidence.labels)
        if len(self.basics) < 2:
            raise ArgumentError(
                f"emotions: the model tells {', '.join(labels)}; two or more of {', '.join(evidence.labels)} "
                "are needed to place new emotions among them"
            )
        usable = vocabulary.restricted(self.basics)
        asked = (*vocabulary.names, *(one.name for one in vocabulary.successions))
        there = {*usable.names, *(one.name for one in usable.successions)}
        self.left_out = tuple(name for name in asked if name not in there)
        if not len(usable):
            raise ArgumentError(
                f"emotions: none of {', '.join(vocabulary.names)} can be made of {', '.join(self.basics)}"
            )
        self.vocabulary = usable
        self._columns = [labels.index(name) for name in self.basics]
        self.evidence = evidence.restricted(self.basics)
        self._shift = self._prior_shift(prior)
        columns = [BASIC.index(name) for name in self.basics]
        held = usable.points[:, columns]
        self.points: Floats = held / held.sum(1, keepdims=True)
        self.compositions = composition(self.points)
        self._against = usable.against[:, columns]
        points, weights = grid(len(self.basics))
        self._grid, self._grid_compositions = points, composition(points)
        self._grid_log_prior = np.log(weights / weights.max())
        mixed = self.points.max(1) < 1 - 1e-6
        self._log_prior = np.log(np.where(mixed & (prior is None), EDGE_PRIOR, 1.0))
        self._unknown = self._unexplained()

    @property
    def names(self) -> tuple[str, ...]:
        """The answers: the emotions in the vocabulary's order, then "none of these"."""
        return (*self.vocabulary.names, NONE)

    def coefficients(
        self, probabilities: NDArray[np.float32], embedding: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the evidence (n, m) of faces, from probabilities (n, labels) and embeddings (n, e).

        It does not depend on the wanted prior, which counts when it is read.
        """
        return self.evidence(probabilities[:, self._columns], embedding)

    def lifted(self, coefficients: NDArray[np.float32], nats: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the evidence (n, m) with `nats` (n, labels) added to what speaks for each basic emotion.

        As with a wanted prior, a mixture gets of each as much as it has of it.
        """
        lifted = coefficients.copy()
        lifted[:, : len(self.basics)] += nats[:, self._columns]
        return lifted

    def __call__(
        self, coefficients: NDArray[np.float32], probabilities: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the posterior (n, k + 1), rows sum to 1, columns as `names`."""
        shifted = coefficients + self._shift
        z = shifted @ self.compositions.T + self._log_prior
        if self._against.any():
            present = np.minimum(probabilities[:, self._columns], _CERTAIN)
            z = z + np.log1p(-present) @ self._against.T
        others = shifted @ self._grid_compositions[self._unknown].T + self._grid_log_prior[self._unknown]
        z = np.concatenate([z, others], axis=1)
        p = np.exp(z - z.max(1, keepdims=True))
        k = len(self.points)
        p = np.concatenate([p[:, :k], p[:, k:].sum(1, keepdims=True)], axis=1)
        return np.asarray(p / p.sum(1, keepdims=True), np.float32)

    def mixtures(self, coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, b) what each face seems to be mixed of: the mean of the posterior over the grid."""
        z = (coefficients + self._shift) @ self._grid_compositions.T + self._grid_log_prior
        p = np.exp(z - z.max(1, keepdims=True))
        return np.asarray(p / p.sum(1, keepdims=True) @ self._grid, np.float32)

    def explain(
        self, coefficients: NDArray[np.float32], probabilities: NDArray[np.float32], rivals: int = 3
    ) -> list[Explanation]:
        """Return for each face why its most probable emotion is that."""
        posterior = self(coefficients, probabilities)
        mixtures = self.mixtures(coefficients)
        return [
            self._explanation(e, p, mixture, rivals)
            for e, p, mixture in zip(coefficients + self._shift, posterior, mixtures, strict=True)
        ]

    def overlap(self) -> NDArray[np.float64]:
        """Return (k, k) how hard two emotions are to tell apart: 0 always told, 1 never.

        Entry (a, b) is twice the chance that a face of a is taken for b when only the two are possible and
        equally likely beforehand (the Bayes posterior's expectation), made symmetric; estimated on the
        reference faces of the evidence, each weighted by how likely a shows like that.
        """
        reference = np.asarray(self.evidence.reference, np.float64)
        z = reference @ self._grid_compositions.T + self._grid_log_prior
        total = np.logaddexp.reduce(z, axis=1, keepdims=True)
        likely = np.exp(reference @ self.compositions.T - total)
        likely /= likely.sum(0)  # (r, k): each emotion's faces among the reference
        both = likely[:, :, None] + likely[:, None, :]
        taken = np.divide(
            likely[:, :, None] * likely[:, None, :], both, where=both > 0, out=np.zeros_like(both)
        )
        return np.asarray(2 * taken.sum(0), np.float64)

    def _unexplained(self) -> NDArray[np.int64]:
        """Return which grid mixtures belong to "none of these"."""
        apart = np.abs(self._grid[:, None] - self.points[None]).sum(2).min(1) > NEAR + 1e-9
        if "neutral" in self.basics:
            neutral = self._grid[:, self.basics.index("neutral")]
            apart &= (neutral == 0) | (neutral == 1)  # a neutral face itself may well be none of these
        return np.flatnonzero(apart)

    def _prior_shift(self, prior: Floats | None) -> NDArray[np.float32]:
        """Return what to add to evidence so that a wanted prior counts instead of the base rates."""
        if prior is None:
            return np.zeros_like(self.evidence.base)
        shift = -self.evidence.base.astype(np.float64)
        shift[: len(self.basics)] += np.log(prior[self._columns])
        return np.asarray(shift, np.float32)

    def _explanation(
        self,
        e: NDArray[np.float32],
        p: NDArray[np.float32],
        mixture: NDArray[np.float32],
        rivals: int,
    ) -> Explanation:
        best = int(p[:-1].argmax())
        point = self.points[best]
        b = len(point)
        first, second = np.triu_indices(b, 1)
        pairs = 4 * point[first] * point[second] * e[b:]
        together = np.bincount(first, pairs / 2, b) + np.bincount(second, pairs / 2, b)
        parts = [
            Part(name, float(w), float(w * a), float(t))
            for name, w, a, t in zip(self.basics, point, e[:b], together, strict=True)
            if w > 0
        ]
        order = [int(k) for k in np.argsort(-p) if k != best][:rivals]
        named = sorted(zip(self.basics, map(float, mixture), strict=True), key=lambda item: -item[1])
        return Explanation(
            emotion=self.names[best],
            posterior=float(p[best]),
            rivals={self.names[k]: float(p[k]) for k in order},
            distance=float(np.abs(point - mixture).sum() / 2),
            mixture=dict(named),
            parts=tuple(sorted(parts, key=lambda part: -abs(part.alone + part.together))),
        )
