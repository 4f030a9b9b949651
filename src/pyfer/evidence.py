"""Evidence: how well each mixture of basic emotions explains a face, as one linear reading of a network.

A point w of the simplex of b basic emotions (a mixture, weights that sum to 1) is described by its
*composition*, m = b (b + 1) / 2 numbers: the weights w_i, then 4 w_i w_j for each pair i < j, which is 1
for an even mixture of two. A face gives m *evidence* coefficients e, and::

    score(w) = composition(w) . e = sum_i w_i e_i + sum_{i<j} 4 w_i w_j e_ij

so e_i is what speaks for emotion i, and e_ij what speaks for i and j *together*, beyond the mean of both.
That second part is what the rule of the mean lacks. The coefficients are linear in features of the network,
fitted so that softmax(score + log prior) over a grid of mixtures agrees with what ten annotators' votes say
about where in the simplex each face lies (`pyfer.training.evidence`). No example of a mixture is needed to
score it: the grid only has single emotions and pairs, and any point has a composition.

An evidence file (``evidence.npz``) lies in the model's folder; models without one are read through their
probabilities alone by the file that ships in the package.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC
from pyfer.errors import ModelError
from pyfer.files import replace_file

Floats = NDArray[np.float64]

FILE = "evidence.npz"
"""Name of the file in a model folder."""
SHARES = (0.3, 0.5, 0.7)
"""Where on the edge between two emotions the grid has points."""
NOISE = 0.04
"""Share of votes that are cast at random."""
EDGE_PRIOR = 0.15
"""Prior of each grid point on an edge, relative to a corner's: votes are rarely split by design."""
_FLOOR = 1e-4  # probabilities below this say no more than this
_ANY = Path(__file__).parent / "weights" / FILE
_KINDS = ("embedding", "probabilities")


def composition(points: NDArray[np.floating]) -> Floats:
    """Return compositions (k, b (b + 1) / 2) of points (k, b): weights, then 4 w_i w_j by pairs."""
    points = np.asarray(points, np.float64)
    first, second = np.triu_indices(points.shape[1], 1)
    return np.concatenate([points, 4 * points[:, first] * points[:, second]], axis=1)


@lru_cache(maxsize=8)
def grid(b: int) -> tuple[Floats, Floats]:
    """Return the mixtures that stand for the whole simplex: points (g, b) and their prior (g,), sum 1.

    The b corners, and on each edge the mixtures 30:70, 50:50, 70:30.
    """
    edges = []
    for i, j in combinations(range(b), 2):
        for share in SHARES:
            point = np.zeros(b)
            point[i], point[j] = share, 1 - share
            edges.append(point)
    points = np.concatenate([np.eye(b), np.array(edges).reshape(-1, b)])
    prior = np.concatenate([np.ones(b), np.full(len(edges), EDGE_PRIOR)])
    prior /= prior.sum()
    for kept in (points, prior):
        kept.flags.writeable = False  # all callers get the same ones
    return points, prior


@dataclass(frozen=True, eq=False)
class Evidence:
    """What turns a network's outputs into evidence coefficients.

    Features are the square roots of the embedding (what is negative counts as 0), which tames its long
    tails, or the logarithms of the probabilities where a model has nothing else.
    """

    labels: tuple[str, ...]
    """The b basic emotions that the coefficients speak of."""
    kind: str
    """``embedding`` or ``probabilities``: what the features are made of."""
    weight: NDArray[np.float32]
    """(d, m)."""
    bias: NDArray[np.float32]
    """(m,)."""
    base: NDArray[np.float32]
    """(m,) coefficients of how often: ``composition(w) . base`` is about the logarithm of the share of
    reference faces that the mixture w explains, divided by its prior. Taken away, all are equally likely."""
    reference: NDArray[np.float32]
    """(r, m) evidence of faces that were not fitted on, to compare definitions with."""

    def __post_init__(self) -> None:
        b, m = len(self.labels), size(len(self.labels))
        rows = (b,) if self.kind == "probabilities" else self.weight.shape[:1]
        shapes = {
            "weight": (*rows, m),
            "bias": (m,),
            "base": (m,),
            "reference": (*self.reference.shape[:1], m),
        }
        if self.kind not in _KINDS:
            raise ModelError(f"evidence: kind={self.kind!r} must be one of {', '.join(_KINDS)}")
        for name, shape in shapes.items():
            column = getattr(self, name)
            if column.shape != shape or column.dtype != np.float32 or not np.isfinite(column).all():
                raise ModelError(
                    f"evidence: {name} of {column.dtype}{column.shape} must be finite float32 {shape}"
                )

    def __call__(
        self, probabilities: NDArray[np.float32], embedding: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return (n, m) coefficients of n faces; `probabilities` are (n, b), by `labels`."""
        x = features(self.kind, probabilities, embedding)
        if x.shape[1:] != self.weight.shape[:1]:
            raise ModelError(
                f"evidence: it reads {len(self.weight)} values of the {self.kind}, the model gives "
                f"{x.shape[1]}; it was fitted to another model"
            )
        return np.asarray(x @ self.weight + self.bias, np.float32)

    def restricted(self, labels: tuple[str, ...]) -> Evidence:
        """Return the same for some of the labels only, in the order given."""
        if labels == self.labels:
            return self
        b = len(self.labels)
        position = {pair: b + k for k, pair in enumerate(combinations(range(b), 2))}
        index = [self.labels.index(name) for name in labels]
        columns = index + [position[min(i, j), max(i, j)] for i, j in combinations(index, 2)]
        rows = index if self.kind == "probabilities" else slice(None)
        return replace(
            self,
            labels=labels,
            weight=self.weight[rows][:, columns],
            bias=self.bias[columns],
            base=self.base[columns],
            reference=self.reference[:, columns],
        )


def features(
    kind: str, probabilities: NDArray[np.float32], embedding: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return the features (n, d) that evidence of this kind is linear in."""
    if kind == "probabilities":
        return np.log(np.maximum(probabilities, _FLOOR))
    if embedding is None:
        raise ModelError("evidence: it reads the embedding, but the model gives none")
    return np.sqrt(np.maximum(embedding, 0))


def votes_posterior(votes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n, g) shares: where on the grid the votes (n, b) for the basic emotions place each face.

    Votes are draws from a face's mixture g with a little noise, so p(g | v) is proportional to
    ``prior(g) prod_i ((1 - NOISE) g_i + NOISE / b) ** v_i``.
    """
    points, prior = grid(votes.shape[1])
    log_p = votes @ np.log((1 - NOISE) * points + NOISE / votes.shape[1]).T + np.log(prior)
    log_p -= log_p.max(1, keepdims=True)
    p = np.exp(log_p)
    return np.asarray(p / p.sum(1, keepdims=True), np.float64)


def size(b: int) -> int:
    """Return how many coefficients b basic emotions have."""
    return b * (b + 1) // 2


def save(evidence: Evidence, path: Path) -> None:
    """Write an evidence file, atomically."""
    stream = io.BytesIO()
    arrays = {name: getattr(evidence, name) for name in ("weight", "bias", "base")}
    np.savez_compressed(
        stream,
        labels=np.array(evidence.labels),
        kind=np.array(evidence.kind),
        reference=evidence.reference.astype(np.float16),  # to compare with, not to compute on
        **arrays,
    )
    replace_file(path, stream.getvalue())


def load(path: Path) -> Evidence:
    """Read an evidence file.

    Raises
    ------
    ModelError
        It is missing, damaged, or its arrays do not fit together.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as stored, np.errstate(over="ignore"):
            arrays = {name: stored[name].astype(np.float32, casting="same_kind") for name in _ARRAYS}
            labels, kind = tuple(map(str, stored["labels"])), str(stored["kind"])
    except _DAMAGED as error:
        raise ModelError(f"{str(path)!r} is no evidence file, or is damaged: {error}") from error
    unknown = [name for name in labels if name not in BASIC]
    if unknown or len(set(labels)) < len(labels):
        raise ModelError(f"{str(path)!r}: labels={labels} must be different basic emotions")
    try:
        return Evidence(labels, kind, **arrays)
    except ModelError as error:
        raise ModelError(f"{str(path)!r}: {error}") from error


_ARRAYS = ("weight", "bias", "base", "reference")
_DAMAGED = (OSError, KeyError, ValueError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


@lru_cache(maxsize=1)
def of_any_model() -> Evidence:
    """Return the evidence that reads probabilities alone, for models without an evidence file."""
    return load(_ANY)
