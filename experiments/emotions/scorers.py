"""The formulas for combined emotions that `ablation.py` compares: outputs of a network in, scores out.

Each scorer gives every face a number for each emotion of one vocabulary: the 8 basic emotions and the 21 even
pairs of `pyfer.blends.PAIRS`. Only differences within a face mean anything. None of them sees a blend before
it is scored, if `Material.train` and `Material.tune` leave the blends out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma

import numpy as np
import torch
from numpy.typing import NDArray

from pyfer.blends import PAIRS
from pyfer.emotions import BASIC, Emotion
from pyfer.evidence import NOISE, Evidence, composition, features, grid, votes_posterior
from pyfer.posterior import Posterior
from pyfer.training.evidence import LEAST_VOTES
from pyfer.vocabulary import Vocabulary

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

B = len(BASIC)
MEMBERS = np.array([[BASIC.index(name) for name in pair] for pair in PAIRS])
POINTS: Floats = np.concatenate([np.eye(B), np.eye(B)[MEMBERS].mean(1)])
"""(29, 8) the vocabulary: 8 basic emotions, then the even mixtures of `PAIRS`."""
FLOOR = 1e-4
"""Probabilities below this say no more than this, as in `pyfer.evidence`."""
CLEAR = 8
"""Votes of ten for one emotion that make a face one of that emotion alone, as in the benchmark."""
SHRINKAGE = 0.6
"""Share of the mean variance in the covariance of prototypes: about the best for them of 0.1 to 0.9."""
DECAY = 1e-3
"""Weight of the squared coefficients in regressions, as in `pyfer.training.evidence`."""
MIXUP_DECAY = 1e-2
"""The same for synthetic faces, better for them than 0.001."""
SYNTHETIC = 400
"""Synthetic faces of each of the 29 emotions. Even mixtures: with 30:70 and 70:30 as well they do worse."""
_SOFTENED = (1 - NOISE) * POINTS + NOISE / B


@dataclass(frozen=True, eq=False)
class Faces:
    """What a network says about n faces, and what annotators said."""

    votes: NDArray[np.float32]
    """(n, 10) as `pyfer.blends.find` takes them."""
    probabilities: NDArray[np.float32]
    """(n, 8) by `BASIC`."""
    embedding: NDArray[np.float32]
    """(n, e)."""

    def __len__(self) -> int:
        return len(self.votes)

    def __getitem__(self, rows: Mask) -> Faces:
        return Faces(self.votes[rows], self.probabilities[rows], self.embedding[rows])

    @property
    def emotions(self) -> NDArray[np.float32]:
        """(n, 8) votes for the basic emotions."""
        return self.votes[:, :B]

    @property
    def log_p(self) -> Floats:
        """(n, 8) logarithms of the probabilities, none below `FLOOR`."""
        return np.log(np.maximum(self.probabilities.astype(np.float64), FLOOR))

    @property
    def features(self) -> Floats:
        """(n, e) square roots of the embedding, what all rules that read the embedding read."""
        return np.asarray(features("embedding", self.probabilities, self.embedding), np.float64)


@dataclass(frozen=True, eq=False)
class Material:
    """What a scorer may use."""

    faces: Faces
    """All n faces, every one of which gets scores."""
    train: Mask
    """(n,) faces of Training to fit on."""
    tune: Mask
    """(n,) faces of PublicTest to fit a few numbers on."""
    evidence: Evidence
    """Of the model, from its embedding."""
    from_probabilities: Evidence
    """The same from the probabilities alone."""


Scorer = Callable[[Material], Floats]


# --- formulas over the probabilities: nothing is fitted ---------------------------------------------------


def mean(m: Material) -> Floats:
    """Return sum w_i p_i: the mean rule, (p_a + p_b) / 2 for a pair."""
    return np.asarray(m.faces.probabilities @ POINTS.T, np.float64)


def geometric_mean(m: Material) -> Floats:
    """Return exp sum w_i log p_i, an "and"."""
    return np.asarray(np.exp(m.faces.log_p @ POINTS.T))


def divergence(m: Material) -> Floats:
    """Return -KL(w, p) (Kullback & Leibler 1951)."""
    entropy = np.where(POINTS > 0, -POINTS * np.log(np.maximum(POINTS, FLOOR)), 0.0).sum(1)
    return np.asarray(m.faces.log_p @ POINTS.T + entropy)


def bhattacharyya(m: Material) -> Floats:
    """Return sum sqrt(w_i p_i) (Bhattacharyya 1943)."""
    return np.sqrt(m.faces.probabilities.astype(np.float64)) @ np.sqrt(POINTS).T


def cosine_of_logits(m: Material) -> Floats:
    """Return the cosine of centred log p and the centred logarithm of w, which has `NOISE` as annotators."""
    return _cosine(_centered(m.faces.log_p), _centered(np.log(_SOFTENED)))


def _centered(rows: Floats) -> Floats:
    return np.asarray(rows - rows.mean(1, keepdims=True))


def _cosine(x: Floats, y: Floats) -> Floats:
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    return np.asarray(x @ y.T / np.maximum(lengths, 1e-12))


# --- Dirichlet posterior ----------------------------------------------------------------------------------


def dirichlet(m: Material) -> Floats:
    """Return log pi_k + log Dir(p; kappa w_k + epsilon), all three fitted to the votes of `Material.tune`."""
    return fitted_dirichlet(m)[0]


def fitted_dirichlet(m: Material) -> tuple[Floats, float, float]:
    """Return the scores, kappa and epsilon.

    kappa and epsilon are found by a search along each, on a logarithmic scale that gets finer; for each of
    their values pi is the most likely one.
    """
    target, log_p = vocabulary_target(m.faces[m.tune].emotions), m.faces[m.tune].log_p

    def loss(kappa: float, epsilon: float) -> float:
        z = _log_dirichlet(log_p, kappa, epsilon)
        return cross_entropy(target, z + _log_pi(z, target))

    best = [4.0, 0.25]
    least = loss(*best)
    for step in (2.0, 1.3, 1.1):
        moved = True
        while moved:
            moved = False
            for k in (0, 1):
                for factor in (step, 1 / step):
                    tried = list(best)
                    tried[k] *= factor
                    if (found := loss(*tried)) < least - 1e-6:
                        best, least, moved = tried, found, True
    log_pi = _log_pi(_log_dirichlet(log_p, *best), target)
    return _log_dirichlet(m.faces.log_p, *best) + log_pi, best[0], best[1]


def _log_dirichlet(log_p: Floats, kappa: float, epsilon: float) -> Floats:
    alpha = kappa * POINTS + epsilon
    gammas = np.array([lgamma(row.sum()) - sum(map(lgamma, row)) for row in alpha])
    return np.asarray(log_p @ (alpha - 1).T + gammas)


def _log_pi(z: Floats, target: Floats) -> Floats:
    """Return the log prior (29,) under which the posterior names each emotion as often as the votes do."""
    log_pi, wanted = np.zeros(z.shape[1]), np.log(target.sum(0))
    for _ in range(40):  # iterative scaling, Darroch & Ratcliff 1972
        log_pi += wanted - np.log(target.sum(1) @ posterior(z + log_pi))
    return log_pi


# --- rules that read the embedding ------------------------------------------------------------------------


def prototype_distance(m: Material) -> Floats:
    """Return minus half the squared distance to sum w_i mu_i where the spread within emotions is white."""
    x, prototypes = _whitened(m)
    squares = (x**2).sum(1)[:, None] + (prototypes**2).sum(1) - 2 * x @ prototypes.T
    return np.asarray(-squares / 2)


def prototype_cosine(m: Material) -> Floats:
    """Return the cosine of a face and sum w_i mu_i, both seen from the mean of the basic emotions."""
    x, prototypes = _whitened(m)
    center = prototypes[:B].mean(0)
    return _cosine(x - center, prototypes - center)


def _whitened(m: Material) -> tuple[Floats, Floats]:
    """Return all faces (n, e) and the 29 composed prototypes (29, e)."""
    x, label = _clear(m)
    means = np.stack([x[label == k].mean(0) for k in range(B)])
    within = np.cov((x - means[label]).T)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    half = np.linalg.cholesky(np.linalg.inv(within))
    return m.faces.features @ half, POINTS @ means @ half


def _clear(m: Material) -> tuple[Floats, NDArray[np.int64]]:
    """Return the features and the emotion of the faces of `Material.train` that show one emotion alone."""
    faces = m.faces[m.train]
    clear = faces.emotions.max(1) >= CLEAR
    return faces.features[clear], faces.emotions[clear].argmax(1).astype(np.int64)


def mixup_head(m: Material) -> Floats:
    """Return logits of a head that was trained on mixed embeddings of two clear faces (Zhang et al. 2018)."""
    x, label = _clear(m)
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(label == k) for k in range(B)]
    mixed = [x[rng.choice(rows[k], SYNTHETIC)] for k in range(B)]
    for a, b in MEMBERS:
        mixed.append((x[rng.choice(rows[a], SYNTHETIC)] + x[rng.choice(rows[b], SYNTHETIC)]) / 2)
    target = np.repeat(np.eye(len(POINTS)), SYNTHETIC, axis=0)
    weight, bias = regression(np.concatenate(mixed), target, MIXUP_DECAY)
    return np.asarray(m.faces.features @ weight + bias)


def votes_regression(m: Material) -> Floats:
    """Return the mean rule over shares of votes that a regression predicts from the embedding."""
    faces = m.faces[m.train]
    target = faces.emotions / faces.emotions.sum(1, keepdims=True)
    weight, bias = regression(faces.features, target.astype(np.float64))
    return np.asarray(posterior(m.faces.features @ weight + bias) @ POINTS.T)


def regression(x: Floats, target: Floats, decay: float = DECAY) -> tuple[Floats, Floats]:
    """Return weight (d, c) and bias (c,) of multinomial logistic regression on soft targets (n, c)."""
    center, deviation = x.mean(0), x.std(0) + 1e-6
    z = torch.tensor((x - center) / deviation, dtype=torch.float32)
    y = torch.tensor(target, dtype=torch.float32)
    weight = torch.zeros(z.shape[1], y.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        log_q = torch.log_softmax(z @ weight + bias, 1)
        loss = -(y * log_q).sum(1).mean() + decay * (weight**2).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = weight.detach().numpy().astype(np.float64) / deviation[:, None]
    return found, bias.detach().numpy() - center @ found


# --- evidence ---------------------------------------------------------------------------------------------


def evidence(m: Material) -> Floats:
    """Return composition(w) . e, what ships."""
    return np.asarray(_read(m, m.evidence) @ composition(POINTS).T)


def evidence_of_probabilities(m: Material) -> Floats:
    """Return the same where the evidence reads probabilities alone."""
    return np.asarray(_read(m, m.from_probabilities) @ composition(POINTS).T)


def evidence_without_base(m: Material) -> Floats:
    """Return composition(w) . (e - base): as if all emotions were equally frequent."""
    return np.asarray((_read(m, m.evidence) - m.evidence.base) @ composition(POINTS).T)


def evidence_with_log_p(m: Material) -> Floats:
    """Return a composition(w) . e + t sum w_i log p_i + o for mixtures, see `fitted_mixture`."""
    return fitted_mixture(m)[0]


def fitted_mixture(m: Material) -> tuple[Floats, dict[str, float]]:
    """Return the scores of `evidence_with_log_p`, and a, t and o.

    The three numbers are fitted to what the votes of `Material.tune`, faces that the network was not
    trained on, say about the grid of mixtures that evidence is fitted to. The first two terms are linear in
    composition(w), so they are evidence again: a e, with t log p_i added to e_i. The third is a prior.
    """
    points, prior = grid(B)
    tune = m.faces[m.tune]
    terms = _mixture_terms(tune, np.asarray(m.evidence(tune.probabilities, tune.embedding)), points)
    a, t, o = fitted_weights(terms, votes_posterior(tune.emotions), np.log(prior))
    scores = np.tensordot([a, t, o], _mixture_terms(m.faces, _read(m, m.evidence), POINTS), 1)
    return scores, {"a": float(a), "t": float(t), "o": float(o)}


def _mixture_terms(faces: Faces, coefficients: Floats, points: Floats) -> Floats:
    """Return the three terms (3, n, points)."""
    scores = coefficients @ composition(points).T
    mixed = np.broadcast_to(points.max(1) < 1, scores.shape)
    return np.stack([scores, faces.log_p @ points.T, mixed])


def shipped_posterior(m: Material) -> Floats:
    """Return (n, 29) of `pyfer.posterior` as it ships; the rest to 1 is "none of these"."""
    pairs = [Emotion(" and ".join(pair), " + ".join(pair)) for pair in PAIRS]
    read = Posterior(Vocabulary(pairs), m.evidence, BASIC)
    p = m.faces.probabilities
    return np.asarray(read(read.coefficients(p, m.faces.embedding), p)[:, :-1], np.float64)


def _read(m: Material, reader: Evidence) -> Floats:
    return np.asarray(reader(m.faces.probabilities, m.faces.embedding), np.float64)


# --- from scores to a posterior ---------------------------------------------------------------------------


def posterior(z: Floats) -> Floats:
    """Return row-wise softmax."""
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def vocabulary_target(emotions: NDArray[np.float32]) -> Floats:
    """Return (n, 29) how far votes (n, 8) speak for each emotion of the vocabulary.

    It is the posterior over the grid that evidence is fitted to, summed over each edge. What lies between
    neutral and another emotion is in no pair; it is left out, so a row may sum to less than 1, and counts
    by its sum.
    """
    shares, points = votes_posterior(emotions), grid(B)[0]
    member = points[:, None, :] > 0
    same = (member == (POINTS > 0)[None]).all(2)  # (g, 29)
    return np.asarray(shares @ same)


def cross_entropy(target: Floats, z: Floats) -> float:
    """Return the cross-entropy in nats of softmax(z) to votes, a mean over all that `target` (n, c) holds."""
    log_q = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    return float(-(target * log_q).sum() / target.sum())


def calibrated(scores: Floats, m: Material) -> tuple[Floats, float, float]:
    """Return softmax(beta score + offset of the pairs) (n, 29), beta and offset.

    Both numbers are fitted to the votes of `Material.tune`.
    """
    is_pair = np.broadcast_to(np.arange(len(POINTS)) >= B, scores.shape).astype(np.float64)
    terms, target = np.stack([scores, is_pair]), vocabulary_target(m.faces[m.tune].emotions)
    beta, offset = fitted_weights(terms[:, m.tune], target)
    return posterior(beta * scores + offset * is_pair), float(beta), float(offset)


def fitted_weights(terms: Floats, target: Floats, constant: Floats | float = 0.0) -> Floats:
    """Return the weights (k,) with which softmax(weights . terms + constant) is nearest to votes.

    Terms are (k, n, c), `target` (n, c); nearest in cross-entropy, which is convex in the weights. By
    Newton's method.
    """
    scale = terms.std((1, 2))
    terms = terms / scale[:, None, None]
    weight, found = target.sum(1), np.zeros(len(terms))

    def z(at: Floats) -> Floats:
        return np.asarray(np.tensordot(at, terms, 1) + constant)

    for _ in range(50):
        p = posterior(z(found))
        middle = (p * terms).sum(2)  # (k, n)
        gradient = (middle * weight - (target * terms).sum(2)).sum(1)
        second = np.stack([((weight[:, None] * p * term) * terms).sum((1, 2)) for term in terms])
        step = np.linalg.solve(second - (weight * middle) @ middle.T, gradient)
        while cross_entropy(target, z(found - step)) > cross_entropy(target, z(found)) + 1e-12:
            step /= 2  # too far from the start
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(found / scale)


def usable(faces: Faces) -> Mask:
    """Return which faces have enough votes for an emotion to fit on, by the rule of the evidence."""
    return np.asarray(faces.emotions.sum(1) >= LEAST_VOTES, np.bool_)


SCORERS: dict[str, Scorer] = {
    "mean": mean,
    "geometric mean": geometric_mean,
    "-KL(w, p)": divergence,
    "Bhattacharyya": bhattacharyya,
    "cosine of logits": cosine_of_logits,
    "Dirichlet": dirichlet,
    "prototypes, distance": prototype_distance,
    "prototypes, cosine": prototype_cosine,
    "mixup head": mixup_head,
    "votes regression": votes_regression,
    "evidence": evidence,
    "evidence from p": evidence_of_probabilities,
    "evidence / base rate": evidence_without_base,
    "evidence + log p": evidence_with_log_p,
}
"""Name in the tables -> scorer."""
