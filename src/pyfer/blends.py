"""The benchmark of combined emotions: which faces are *blends*, and how well a scorer finds their pair.

A blend is a face whose annotators split between two emotions (`pyfer.datasets.blend_pairs`). A scorer, of
whatever kind, gives each face a number for every pair of emotions and one number for "is a blend at all";
the functions below measure these numbers::

    blends = find(data.votes["ferplus"])
    scored = blends.choose(*mean_rule(probabilities, labels))
    print(measure(scored, blends.pair).top_pair.scaled(100))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import blend_pairs
from pyfer.emotions import BASIC, canonical
from pyfer.errors import ArgumentError
from pyfer.evaluation.intervals import Interval as Interval
from pyfer.evaluation.intervals import bootstrap
from pyfer.evaluation.metrics import confusion_matrix

Pair = tuple[str, str]
Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

PAIRS: tuple[Pair, ...] = tuple(combinations(BASIC[1:], 2))
"""The 21 pairs of the seven emotions that are not neutral, in BASIC order; so are the two of each pair."""

ELEVEN: tuple[Pair, ...] = (
    ("surprise", "fear"),
    ("happiness", "surprise"),
    ("surprise", "anger"),
    ("sadness", "anger"),
    ("sadness", "fear"),
    ("anger", "disgust"),
    ("happiness", "anger"),
    ("anger", "fear"),
    ("happiness", "sadness"),
    ("sadness", "disgust"),
    ("surprise", "sadness"),
)
"""The pairs with at least 25 blends in all of FER+, the most frequent first."""

SINGLE_VOTES = 8
"""Votes of ten that one emotion needs for a *single-emotion* face, what blends are told apart from."""
SUPPORT = 10
"""Faces of each pair that an episode sets aside as examples, the most shots there can be."""
_MEMBERS = np.array([[BASIC.index(name) for name in pair] for pair in PAIRS])
_ELEVEN = np.array([PAIRS.index(pair) for pair in ELEVEN])


def pair_name(pair: Pair) -> str:
    """Return the name of a pair for people, members in alphabetical order: ``fear+surprise``."""
    return "+".join(sorted(pair))


# --- the faces -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scored:
    """What a scorer says about m blends and s single-emotion faces; any real numbers, larger is surer."""

    pair_scores: Floats
    """(m, 21) a score for each of `PAIRS`; of equal best ones the first counts."""
    blend_score: Floats
    """(m,) how much each blend looks like a blend of whatever pair."""
    single_score: Floats
    """(s,) the same for the single-emotion faces."""

    def __post_init__(self) -> None:
        m, s = len(self.pair_scores), len(self.single_score)
        shapes = {"pair_scores": (m, len(PAIRS)), "blend_score": (m,), "single_score": (s,)}
        for name, shape in shapes.items():
            column = np.asarray(getattr(self, name), np.float64)
            if column.shape != shape or not column.size:
                raise ArgumentError(
                    f"{name} has shape {column.shape}; {m} blends and {s} single-emotion faces need {shape},"
                    " at least one of each"
                )
            if np.isnan(column).any():
                raise ArgumentError(f"{name} has NaN; every score must be a number (-inf for impossible)")
            object.__setattr__(self, name, column)


@dataclass(frozen=True, eq=False)
class Blends:
    """The blends and the single-emotion faces among n faces."""

    rows: Integers
    """(m,) which of the n faces are blends, ascending."""
    pair: Integers
    """(m,) index of their pair in `PAIRS`."""
    single: Integers
    """(s,) which of the n faces show a single emotion, ascending."""

    def choose(self, pair_scores: Floats, blend_score: Floats) -> Scored:
        """Pick out of scores for all n faces, (n, 21) and (n,), those that are measured."""
        return Scored(pair_scores[self.rows], blend_score[self.rows], blend_score[self.single])


def find(votes: NDArray[np.floating[Any]], least: int = 3) -> Blends:
    """Find the blends and the single-emotion faces.

    Parameters
    ----------
    votes
        (n, 10) FER+ votes: the eight of `BASIC`, unknown, not-face.
    least
        Votes that each of the two emotions of a blend must have. A split of votes may be disagreement
        rather than a blended face; 4 is the stricter variant.

    Notes
    -----
    A single-emotion face has one emotion, not neutral, with at least `SINGLE_VOTES` of the ten votes.
    """
    if votes.ndim != 2 or votes.shape[1] != len(BASIC) + 2:
        raise ArgumentError(
            f"votes has shape {votes.shape}; it must be (n, {len(BASIC) + 2}): the eight basic emotions,"
            " unknown, not-face"
        )
    mask = blend_pairs(np.asarray(votes, np.float32), least)
    rows = np.flatnonzero(mask.any(1))
    pair = mask[rows][:, _MEMBERS].all(2).argmax(1)
    single = np.flatnonzero(votes[:, 1 : len(BASIC)].max(1) >= SINGLE_VOTES)
    return Blends(rows.astype(np.int64), pair.astype(np.int64), single.astype(np.int64))


def mean_rule(p: Floats, labels: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score faces by the mean rule, which every other scorer has to beat.

    Parameters
    ----------
    p
        (n, b) probabilities of a network.
    labels
        Its b labels: names of basic emotions or their aliases. A basic emotion that the network lacks has
        probability 0.

    Returns
    -------
    pair_scores
        (n, 21) the mean (p_a + p_b) / 2 of each pair, 0..0.5: HSEmotion's rule of the 7th ABAW competition
        (2024).
    blend_score
        (n,) the second-highest probability among all basic emotions, neutral too, 0..0.5. The mean itself
        cannot serve: it is high for a face of one certain emotion.

    Notes
    -----
    The networks of other projects were measured so: the mean rule for the pair, the second-highest
    probability for AUROC.
    """
    names = [canonical(label) for label in labels]
    if p.ndim != 2 or p.shape[1] != len(names) or len(set(names)) != len(names):
        raise ArgumentError(f"p has shape {p.shape}; it must be (n, b) with b different labels, not {names}")
    basic = np.zeros((len(p), len(BASIC)))
    basic[:, [BASIC.index(name) for name in names]] = p
    return basic[:, _MEMBERS].mean(2), np.sort(basic, axis=1)[:, -2]


# --- metrics ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BlendScores:
    """How well a scorer does on the blends; shares lie in 0..1."""

    n: int
    """Blends."""
    singles: int
    """Single-emotion faces, the other side of `auroc`."""
    top_pair: Interval
    """Share of the blends whose best-scoring pair, among all 21, is the right one."""
    macro_f1: Interval
    """Mean F1 over those of the `ELEVEN` that occur. A pair that is never named counts 0; so does a blend
    that is taken for one of the ten rare pairs. A rare blend taken for one of the eleven is a false alarm."""
    auroc: Interval
    """Chance that a blend has a higher blend score than a single-emotion face; ties count half."""
    f1: NDArray[np.float64]
    """(11,) for each of the `ELEVEN`; NaN where no blend has that pair."""
    counts: Integers
    """(21,) blends of each of `PAIRS`."""
    confusion: Integers
    """(21, 21), row = truth."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as JSON wants them."""
        eleven, names = map(pair_name, ELEVEN), [pair_name(pair) for pair in PAIRS]
        f1 = [None if np.isnan(x) else x for x in self.f1.tolist()]
        return {
            "n": self.n,
            "singles": self.singles,
            "top_pair": asdict(self.top_pair),
            "macro_f1": asdict(self.macro_f1),
            "auroc": asdict(self.auroc),
            "f1": dict(zip(eleven, f1, strict=True)),
            "counts": dict(zip(names, self.counts.tolist(), strict=True)),
            "pairs": names,
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True)
class Comparison:
    """By how much one scorer is better than another on the same faces; shares, -1..1."""

    top_pair: Interval
    macro_f1: Interval
    auroc: Interval

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Return plain numbers, as JSON wants them."""
        return asdict(self)


def measure(scored: Scored, pair: Integers, *, draws: int = 2000, seed: int = 0) -> BlendScores:
    """Measure a scorer on m blends and s single-emotion faces.

    Parameters
    ----------
    scored
        What the scorer says.
    pair
        (m,) index of the true pair of each blend in `PAIRS`.
    draws
        Resamples for the intervals: blends and single-emotion faces are drawn with replacement,
        independently of each other. A pair that a resample lacks does not count in its macro-F1.
    seed
        Seed of the resamples; the same seed draws the same faces for every scorer.
    """
    pair = _checked(pair, len(scored.pair_scores))
    top_pair, macro_f1, auroc = _intervals([_judge(scored, pair)], scored, draws, seed)
    counts = confusion_matrix(pair, scored.pair_scores.argmax(1).astype(np.int64), len(PAIRS))
    support = counts.sum(1)
    f1 = _f1(np.diag(counts)[_ELEVEN], support[_ELEVEN], counts.sum(0)[_ELEVEN])
    return BlendScores(
        n=len(pair),
        singles=len(scored.single_score),
        top_pair=top_pair,
        macro_f1=macro_f1,
        auroc=auroc,
        f1=np.where(support[_ELEVEN] > 0, f1, np.nan),
        counts=support,
        confusion=counts,
    )


def compare(a: Scored, b: Scored, pair: Integers, *, draws: int = 2000, seed: int = 0) -> Comparison:
    """Return metrics of `a` minus metrics of `b`, by a paired bootstrap: both judged on the same resamples.

    `pair`, `draws` and `seed` are those of `measure`. The same faces must stand in the same rows of both.
    """
    for name in ("pair_scores", "single_score"):
        shapes = getattr(a, name).shape, getattr(b, name).shape
        if shapes[0] != shapes[1]:
            raise ArgumentError(f"{name} has shapes {shapes[0]} and {shapes[1]}; compare on the same faces")
    pair = _checked(pair, len(a.pair_scores))
    return Comparison(*_intervals([_judge(a, pair), _judge(b, pair)], a, draws, seed))


_Judge = Callable[[Integers, Integers], NDArray[np.float64]]
"""How often k resamples hold each blend (k, m) and each single-emotion face (k, s) -> (k, 3) metrics."""


def _checked(pair: Integers, m: int | None = None) -> Integers:
    pair = np.asarray(pair)
    if pair.ndim != 1 or not np.issubdtype(pair.dtype, np.integer) or m not in (None, len(pair)):
        raise ArgumentError(
            f"pair={pair.dtype}{pair.shape} must be integers ({m or 'm'},), the pair of each blend"
        )
    if len(pair) and (pair.min() < 0 or pair.max() >= len(PAIRS)):
        raise ArgumentError(
            f"pair={pair.min()}..{pair.max()} must lie in 0..{len(PAIRS) - 1}, indices of PAIRS"
        )
    return pair.astype(np.int64)


def _f1(hits: Floats | Integers, support: Floats | Integers, claimed: Floats | Integers) -> Floats:
    return 2 * hits / np.maximum(support + claimed, 1)


def _judge(scored: Scored, pair: Integers) -> _Judge:
    """Prepare a scorer's answers so that one matrix product and one running sum measure many resamples."""
    guess = scored.pair_scores.argmax(1)
    true, named = pair[:, None] == _ELEVEN, guess[:, None] == _ELEVEN
    marks = np.column_stack([true & named, true, named, guess == pair]).astype(np.float64)  # (m, 34)
    order = np.argsort(scored.single_score)
    singles = scored.single_score[order]
    below = np.searchsorted(singles, scored.blend_score, "left")  # single faces that a blend is above
    up_to = np.searchsorted(singles, scored.blend_score, "right")  # and those equal to it

    def judge(blend_times: Integers, single_times: Integers) -> NDArray[np.float64]:
        sums = blend_times @ marks
        hits, support, claimed, right = np.split(sums, np.arange(1, 4) * len(ELEVEN), axis=1)
        occurs = support > 0
        macro_f1 = (_f1(hits, support, claimed) * occurs).sum(1) / np.maximum(occurs.sum(1), 1)
        running = np.zeros((len(single_times), len(order) + 1), np.int64)
        np.cumsum(single_times[:, order], axis=1, out=running[:, 1:])
        # Mann-Whitney: the area is the share of (blend, single) couples in the right order
        # (Hanley & McNeil 1982); doubled, so that halves stay whole numbers
        twice = (blend_times * (running[:, below] + running[:, up_to])).sum(1)
        auroc = twice / (2 * len(pair) * len(order))
        return np.column_stack([right[:, 0] / len(pair), macro_f1, auroc])

    return judge


def _intervals(judges: list[_Judge], like: Scored, draws: int, seed: int) -> list[Interval]:
    """Return the three metrics of the first judge, minus those of the second if there is one."""
    if draws < 1:
        raise ArgumentError(f"draws={draws} must be 1 or more; 2000 give a steady interval")
    m, s = len(like.blend_score), len(like.single_score)

    def values(*times: Integers) -> NDArray[np.float64]:
        first, *others = (judge(*times) for judge in judges)
        return first - others[0] if others else first

    return bootstrap(values, (m, s), draws=draws, seed=seed)


# --- learning a pair from few faces ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Episode:
    """One round of few-shot recognition (Vinyals et al. 2016): w pairs, examples, and faces to recognise."""

    ways: Integers
    """(w,) indices of the pairs in `PAIRS`."""
    support: Integers
    """(w, shots) example faces of each way, as positions among the blends."""
    query: Integers
    """(q,) faces to recognise, as positions among the blends; none of them in `support`."""
    truth: Integers
    """(q,) the right answers, as positions in `ways`."""


def episodes(
    pair: Integers, *, ways: int | None, shots: int, count: int, seed: int, queries: int = 15
) -> Iterator[Episode]:
    """Draw few-shot rounds from blends.

    Parameters
    ----------
    pair
        (m,) index of the pair of each blend in `PAIRS`.
    ways
        Pairs of a round, drawn anew each time among all pairs that have `SUPPORT` + `queries` blends. None
        takes the `ELEVEN`, without those that have no more than `SUPPORT` blends.
    shots
        Examples of each pair, 1..`SUPPORT`.
    count
        Rounds.
    seed
        Seed of the rounds.
    queries
        Faces to recognise of each pair, 15 as in Snell et al. 2017. With `ways` None they are the most: a
        pair with fewer left gives all it has.

    Notes
    -----
    Each pair sets `SUPPORT` faces aside, of which the first `shots` are shown. So for one seed the pairs,
    the queries and the order are the same for every number of shots, and more shots add to the fewer.

    Raises
    ------
    ArgumentError
        A number is out of its range, or too few pairs have enough blends.
    """
    pair = _checked(pair)
    ranges = {"shots": (shots, SUPPORT), "count": (count, None), "queries": (queries, None)}
    for name, (value, most) in ranges.items():
        if value < 1 or (most is not None and value > most):
            raise ArgumentError(f"{name}={value} must be {f'1 to {most}' if most else '1 or more'}")
    enough = SUPPORT + (1 if ways is None else queries)
    sizes = np.bincount(pair, minlength=len(PAIRS))
    able = np.array([k for k in (_ELEVEN if ways is None else range(len(PAIRS))) if sizes[k] >= enough])
    if not 2 <= (len(able) if ways is None else ways) <= len(able):
        raise ArgumentError(
            f"ways={ways} needs 2 pairs or more, and {len(able)} have the {enough} blends that a round takes;"
            " ask for fewer ways or queries, or give more blends"
        )
    faces = {k: np.flatnonzero(pair == k) for k in able.tolist()}

    def rounds() -> Iterator[Episode]:
        rng = np.random.default_rng(seed)
        for _ in range(count):
            chosen = able if ways is None else rng.choice(able, ways, replace=False)
            drawn = [rng.permutation(faces[k])[: SUPPORT + queries] for k in chosen.tolist()]
            asked = [rows[SUPPORT:] for rows in drawn]
            yield Episode(
                ways=chosen,
                support=np.stack([rows[:shots] for rows in drawn]),
                query=np.concatenate(asked),
                truth=np.repeat(np.arange(len(asked)), [len(rows) for rows in asked]),
            )

    return rounds()


# --- answering only when sure ----------------------------------------------------------------------------


def coverage_curve(
    confidence: Floats, correct: Floats | NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what remains, and how right it is, when answers below a threshold of confidence are withheld.

    The accuracy-coverage curve of selective classification (El-Yaniv & Wiener 2010).

    Parameters
    ----------
    confidence
        (n,) any numbers, larger is surer.
    correct
        (n,) 0 or 1 for each answer.

    Returns
    -------
    coverage
        (t,) share of the faces that are answered, 0..1, for each of the t distinct confidences as the
        threshold, from the strictest to the one that all pass; ascending, the last is 1.
    accuracy
        (t,) share of right answers among them, 0..1.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not confidence.size:
        raise ArgumentError(
            f"confidence{confidence.shape} and correct{correct.shape} must have one entry an answer"
        )
    if np.isnan(confidence).any():
        raise ArgumentError("confidence has NaN; every confidence must be a number")
    order = np.argsort(-confidence)
    falling = confidence[order]
    steps = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))  # equal ones pass together
    answered = steps + 1
    return answered / len(order), correct[order].cumsum()[steps] / answered


def accuracy_at(coverage: Floats, accuracy: Floats, share: float) -> float:
    """Return the accuracy when at least `share` (above 0, up to 1) of the faces are answered.

    `coverage` and `accuracy` are those of `coverage_curve`; the strictest threshold that lets so many pass
    counts.
    """
    if not 0 < share <= 1:
        raise ArgumentError(f"share={share} must lie above 0 and not above 1")
    return float(accuracy[np.searchsorted(coverage, share - 1e-9)])  # 0.1 * 3 is a little above 0.3
