"""The benchmark of combined emotions, run on a model: FER+ blends by two protocols, examples, calibration.

*Zero-shot*: all 2,021 blends of FER+, for a network (and its evidence) that never saw one in training.
*Product*: the 223 blends of PrivateTest, for a model that may have trained on the votes of Training. Both
stand beside the rule of the mean on the same network outputs. Faces of a single emotion, which blends are
told apart from, are those of PublicTest and PrivateTest (zero-shot) or of PrivateTest (product): no network
trained on them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.blends import (
    PAIRS,
    BlendScores,
    Comparison,
    Episode,
    Interval,
    Scored,
    accuracy_at,
    compare,
    coverage_curve,
    episodes,
    find,
    mean_rule,
    measure,
)
from pyfer.datasets import FaceData, open_data
from pyfer.emotions import BASIC, Emotion
from pyfer.errors import ArgumentError
from pyfer.evaluation import expected_calibration_error
from pyfer.evidence import composition, grid, votes_posterior
from pyfer.learning import learned_point
from pyfer.models import Model, OnDone
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary

SHOTS = (1, 2, 5, 10)
"""Examples of each emotion in the curves."""
SHARES = (1.0, 0.9, 0.8, 0.7, 0.5)
"""Coverages that the accuracy is given for."""
_CLEAR_VOTES = 8  # of ten, for one emotion: its truth is clear
_LEAST_VOTES = 4
_CHUNK = 512
_DRAWS = 2000


@dataclass(frozen=True)
class Table:
    """One protocol's figures, each with a 95 % bootstrap interval."""

    ours: BlendScores
    mean_rule: BlendScores
    gain: Comparison
    """Ours less the mean rule, paired."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers: ours at the top, the mean rule and the gain inside."""
        return {**self.ours.to_dict(), "mean_rule": self.mean_rule.to_dict(), "gain": self.gain.to_dict()}


@dataclass(frozen=True)
class Curve:
    """Accuracy of few-shot rounds among equally likely pairs, for one number of examples."""

    ways: int
    shots: int
    formula: Interval
    """The definition alone, without examples."""
    refined: Interval
    """The definition and the examples."""
    gain: Interval
    """Refined less formula, paired by rounds."""
    examples: Interval
    """The examples alone."""


@dataclass(frozen=True)
class Reliability:
    """How far the posterior over the basics and all pairs can be believed, on faces whose truth is clear."""

    n: int
    accuracy: float
    ece: float
    """Expected calibration error, 15 bins."""
    votes_ece: float
    """The same on all faces with four votes or more, ambiguous ones too: the truth of an answer is the share
    that the votes' own posterior over the vocabulary gives it."""
    answered: dict[float, float]
    """Share of faces answered (the surest ones) -> accuracy among them."""
    none_auroc: float
    """AUROC of "none of these" for blends against single emotions where only the basics are known."""


@dataclass(frozen=True)
class Report:
    """What `benchmark` found."""

    model: str
    held_out: bool
    """Whether the model's own description says that no blend was in its training: else the first table is
    no zero-shot result."""
    zero_shot: Table
    zero_shot_strict: Table
    """The same where both emotions have 4 votes or more."""
    product: Table
    product_strict: Table
    curves: tuple[Curve, ...]
    reliability: Reliability
    """On PrivateTest."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them."""
        tables = {
            name: getattr(self, name).to_dict()
            for name in ("zero_shot", "zero_shot_strict", "product", "product_strict")
        }
        return {
            "model": self.model,
            "held_out": self.held_out,
            **tables,
            "curves": [asdict(curve) for curve in self.curves],
            "reliability": asdict(self.reliability),
        }


@dataclass(frozen=True)
class _Faces:
    """What the network says of faces with votes."""

    votes: NDArray[np.float32]  # (n, 10)
    split: NDArray[np.str_]  # (n,)
    p: NDArray[np.float32]  # (n, b)
    labels: tuple[str, ...]
    evidence: NDArray[np.float32]  # (n, m)

    def where(self, mask: NDArray[np.bool_]) -> _Faces:
        return _Faces(self.votes[mask], self.split[mask], self.p[mask], self.labels, self.evidence[mask])


def pairs_vocabulary() -> Vocabulary:
    """Return the eight basic emotions and all 21 pairs of those that are not neutral."""
    return Vocabulary([Emotion(f"{a} and {b}", f"{a} + {b}") for a, b in PAIRS])


def benchmark(model: Model, path: str | Path, *, rounds: int = 200, on_done: OnDone | None = None) -> Report:
    """Run the benchmark.

    Parameters
    ----------
    model
        A model whose default head tells the eight basic emotions.
    path
        Folder of FER2013 with FER+ votes, see ``pyfer data list``.
    rounds
        Few-shot rounds of each kind.
    on_done
        Called now and then with (faces read, faces in all).

    Raises
    ------
    DataError
        The folder is not that data set.
    ArgumentError
        The model lacks one of the basic emotions.
    """
    faces = _read(model, open_data(f"fer2013plus:{path}?split=all&leaks=keep"), on_done)
    posterior = Posterior(pairs_vocabulary(), model.evidence, faces.labels)
    private = faces.where(faces.split == "PrivateTest")
    unseen = faces.split != "Training"
    return Report(
        model=model.name,
        held_out=_held_out(model),
        zero_shot=_table(faces, posterior, unseen, 3),
        zero_shot_strict=_table(faces, posterior, unseen, 4),
        product=_table(private, posterior, np.ones(len(private.p), bool), 3),
        product_strict=_table(private, posterior, np.ones(len(private.p), bool), 4),
        curves=_curves(faces, posterior, rounds),
        reliability=_reliability(private, posterior, model),
    )


def _read(model: Model, data: FaceData, on_done: OnDone | None) -> _Faces:
    head = model.spec.head()
    lacking = [name for name in BASIC if name not in head.labels]
    if lacking:
        raise ArgumentError(
            f"model {model.name!r} does not tell {', '.join(lacking)}; the benchmark asks for all pairs"
        )
    posterior = Posterior(pairs_vocabulary(), model.evidence, head.labels)
    p, evidence = [], []
    for start in range(0, len(data), _CHUNK):
        output = model(data.images[start : start + _CHUNK])
        p.append(output.probabilities[head.name])
        evidence.append(posterior.coefficients(p[-1], output.embedding))
        if on_done is not None:
            on_done(min(start + _CHUNK, len(data)), len(data))
    split = np.array([name.partition("/")[0] for name in data.ids.tolist()])
    return _Faces(data.votes["ferplus"], split, np.concatenate(p), head.labels, np.concatenate(evidence))


def _held_out(model: Model) -> bool:
    training = model.spec.about.get("training", {})
    specs = training.get("data", {}).get("train", []) if isinstance(training, dict) else []
    return bool(specs) and all("blends=drop" in str(spec) for spec in specs)


def _pair_columns(posterior: Posterior) -> list[int]:
    return [posterior.names.index(f"{a} and {b}") for a, b in PAIRS]


def _table(faces: _Faces, posterior: Posterior, unseen: NDArray[np.bool_], least: int) -> Table:
    """Measure the posterior over the pairs, and the mean rule, on the blends of some faces."""
    found = find(faces.votes, least)
    single = found.single[unseen[found.single]]
    columns = _pair_columns(posterior)
    p = posterior(faces.evidence, faces.p)[:, columns].astype(np.float64)

    def chosen(pairs: NDArray[np.float64], blend: NDArray[np.float64]) -> Scored:
        return Scored(pairs[found.rows], blend[found.rows], blend[single])

    ours = chosen(p, p.sum(1))
    mean = chosen(*mean_rule(faces.p, faces.labels))
    return Table(
        measure(ours, found.pair, draws=_DRAWS),
        measure(mean, found.pair, draws=_DRAWS),
        compare(ours, mean, found.pair, draws=_DRAWS),
    )


# --- examples --------------------------------------------------------------------------------------------


def _curves(faces: _Faces, posterior: Posterior, rounds: int) -> tuple[Curve, ...]:
    """Measure few-shot rounds: five pairs, and all that have enough faces, each pair equally likely."""
    found = find(faces.votes)
    evidence = faces.evidence[found.rows]
    curves = []
    for ways in (5, None):
        for shots in SHOTS:
            drawn = episodes(found.pair, ways=ways, shots=shots, count=rounds, seed=0)
            accuracy = np.array([_round(episode, evidence, posterior) for episode in drawn])  # (rounds, 3)
            formula, refined, alone = accuracy.T
            curves.append(
                Curve(
                    ways=ways or len(set(found.pair.tolist()) & _able(found.pair)),
                    shots=shots,
                    formula=_interval(formula),
                    refined=_interval(refined),
                    gain=_interval(refined - formula),
                    examples=_interval(alone),
                )
            )
    return tuple(curves)


def _able(pair: NDArray[np.int64]) -> set[int]:
    """Return the pairs that take part when all do."""
    (episode,) = episodes(pair, ways=None, shots=1, count=1, seed=0)
    return set(episode.ways.tolist())


def _round(episode: Episode, evidence: NDArray[np.float32], posterior: Posterior) -> tuple[float, ...]:
    """Return the accuracy by definitions, by definitions and examples, and by examples."""
    definitions = np.array([_definition(k) for k in episode.ways.tolist()])
    support = [evidence[rows] for rows in episode.support]
    refined = [
        learned_point(posterior.evidence, e, tuple(d)) for e, d in zip(support, definitions, strict=True)
    ]
    alone = [learned_point(posterior.evidence, e) for e in support]
    query = evidence[episode.query] - posterior.evidence.base  # every pair equally likely beforehand
    columns = [BASIC.index(name) for name in posterior.basics]

    def accuracy(points: NDArray[np.float64]) -> float:
        return float(((query @ composition(points[:, columns]).T).argmax(1) == episode.truth).mean())

    return accuracy(definitions), accuracy(np.array(refined)), accuracy(np.array(alone))


def _definition(pair: int) -> NDArray[np.float64]:
    return np.array([0.5 if name in PAIRS[pair] else 0.0 for name in BASIC])


def _interval(values: NDArray[np.float64]) -> Interval:
    """Return the mean over rounds with its bootstrap interval."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (_DRAWS, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


# --- calibration -----------------------------------------------------------------------------------------


def _reliability(faces: _Faces, posterior: Posterior, model: Model) -> Reliability:
    found = find(faces.votes)
    truth = np.full(len(faces.p), -1)
    most = faces.votes[:, : len(BASIC)]
    clear = most.max(1) >= _CLEAR_VOTES
    names = np.array([posterior.names.index(name) for name in BASIC])
    truth[clear] = names[most[clear].argmax(1)]
    truth[found.rows] = np.array(_pair_columns(posterior))[found.pair]
    known = truth >= 0
    p = posterior(faces.evidence[known], faces.p[known])
    confidence, right = p.max(1).astype(np.float64), p.argmax(1) == truth[known]
    curve = coverage_curve(confidence, right)
    basics = Posterior(Vocabulary([]), model.evidence, faces.labels)
    pairs, _ = mean_rule(faces.p, faces.labels)
    none = basics(faces.evidence, faces.p)[:, -1].astype(np.float64)
    return Reliability(
        n=int(known.sum()),
        accuracy=float(right.mean()),
        ece=expected_calibration_error(right.astype(np.float64), confidence),
        votes_ece=_votes_ece(faces, posterior),
        answered={share: accuracy_at(*curve, share) for share in SHARES},
        none_auroc=measure(found.choose(pairs, none), found.pair, draws=1).auroc.value,
    )


def _votes_ece(faces: _Faces, posterior: Posterior) -> float:
    """Compare the answers' probabilities with what the votes alone say about the same points."""
    votes = faces.votes[:, : len(BASIC)]
    voted = votes.sum(1) >= _LEAST_VOTES
    points, _ = grid(len(BASIC))
    order = [BASIC.index(name) for name in posterior.basics]
    same = np.abs(points[:, order][:, None] - posterior.points[None]).sum(2) < 1e-9  # (g, k)
    truth = votes_posterior(votes[voted]) @ same
    truth /= truth.sum(1, keepdims=True)
    p = posterior(faces.evidence[voted], faces.p[voted])[:, :-1].astype(np.float64)
    best = p.argmax(1)
    rows = np.arange(len(best))
    return expected_calibration_error(truth[rows, best], p[rows, best])
