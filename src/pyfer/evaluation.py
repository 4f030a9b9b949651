"""How good probabilities are: accuracy, recall, F1, calibration. Arrays in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import FaceData
from pyfer.errors import ArgumentError
from pyfer.models import Model, OnDone, shares

CHUNK = 512
"""Faces between two calls of ``on_done``: about half a second."""
Floats = NDArray[np.floating]


def confusion_matrix(truth: NDArray[np.int64], guess: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return (c, c) counts, row = truth, column = guess."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, guess), 1)
    return counts


def expected_calibration_error(correct: Floats, confidence: Floats, bins: int = 15) -> float:
    """Return the ECE in 0..1: |accuracy - confidence| averaged over equal-width bins of confidence.

    Naeini et al. 2015; 15 bins as in Guo et al. 2017. `correct` (n,) is 0 or 1, `confidence` (n,) in 0..1.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


@dataclass(frozen=True, eq=False)
class Scores:
    """Metrics of one model on one labelled set; shares lie in 0..1."""

    labels: tuple[str, ...]
    n: int
    accuracy: float
    macro_recall: float
    """Mean recall over the classes that occur (balanced accuracy)."""
    macro_f1: float
    ece: float
    nll: float
    """Mean negative log-likelihood of the true label, in nats."""
    top2: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    confusion: NDArray[np.int64]
    """(c, c), row = truth."""

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, as JSON wants them."""
        return {
            "labels": list(self.labels),
            "n": self.n,
            "accuracy": self.accuracy,
            "macro_recall": self.macro_recall,
            "macro_f1": self.macro_f1,
            "ece": self.ece,
            "nll": self.nll,
            "top2": self.top2,
            "recall": dict(zip(self.labels, self.recall, strict=True)),
            "precision": dict(zip(self.labels, self.precision, strict=True)),
            "confusion": self.confusion.tolist(),
        }


def score(probabilities: Floats, truth: NDArray[np.int64], labels: tuple[str, ...]) -> Scores:
    """Score (n, c) probabilities against (n,) true label indices.

    Macro averages go over the classes that occur in `truth`.
    """
    if probabilities.shape != (len(truth), len(labels)):
        raise ArgumentError(
            f"probabilities has shape {probabilities.shape}; {len(truth)} labels of {len(labels)} classes"
            f" need {(len(truth), len(labels))}"
        )
    if not len(truth):
        raise ArgumentError("truth is empty; there must be at least one labelled face to score")
    guess = probabilities.argmax(1).astype(np.int64)
    counts = confusion_matrix(truth, guess, len(labels))
    hits = np.diag(counts).astype(float)
    support, claimed = counts.sum(1), counts.sum(0)
    recall = hits / np.maximum(support, 1)
    precision = hits / np.maximum(claimed, 1)
    f1 = 2 * hits / np.maximum(support + claimed, 1)
    seen = support > 0
    true_probability = probabilities[np.arange(len(truth)), truth]
    rank = (probabilities > true_probability[:, None]).sum(1)
    return Scores(
        labels=labels,
        n=len(truth),
        accuracy=float((guess == truth).mean()),
        macro_recall=float(recall[seen].mean()),
        macro_f1=float(f1[seen].mean()),
        ece=expected_calibration_error((guess == truth).astype(float), probabilities.max(1)),
        nll=float(-np.log(np.maximum(true_probability, 1e-12)).mean()),
        top2=float((rank < 2).mean()),
        recall=tuple(float(x) for x in recall),
        precision=tuple(float(x) for x in precision),
        confusion=counts,
    )


def fit_temperature(logits: Floats, targets: Floats, bias: Floats | float = 0.0) -> float:
    """Return the T > 0 for which softmax(logits / T + bias) fits `targets` best (Guo et al. 2017).

    Parameters
    ----------
    logits
        (n, c).
    targets
        (n, c), rows that sum to 1 (one-hot labels or label distributions).
    bias
        (c,), what is added to the logits after division by T.

    Notes
    -----
    The cross-entropy is convex in 1/T, so a golden-section search over log T in -3..3 finds its minimum.
    """

    def loss(log_temperature: float) -> float:
        z = np.asarray(logits, np.float64) / np.exp(log_temperature) + bias
        z = z - z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return float(-(targets * log_p).sum(axis=1).mean())

    low, high, ratio = -3.0, 3.0, (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def evaluate(
    model: Model,
    data: FaceData,
    *,
    head: str | None = None,
    flip: bool = False,
    on_done: OnDone | None = None,
) -> Scores:
    """Score a model on the labelled faces of a data set.

    Parameters
    ----------
    model
        A loaded model.
    data
        Face crops with labels. A face's truth is the label with more than half of its share; faces
        without one are left out.
    head
        Head of the data's labels to score; None takes the only one, or the first.
    flip
        Average the probabilities of each crop and its mirror image (twice the cost).
    on_done
        Called now and then with (faces done, faces in all).

    Notes
    -----
    The model's head of the same name speaks, or its default head. Labels that the data set does not have are
    ruled out (their probability goes to the others), so all models are judged on the same question.

    Raises
    ------
    ArgumentError
        The data set has a label that the model does not know.
    """
    head = head or next(iter(data.labels))
    data = data.labelled(head)
    labels = data.labels[head]
    names = [h.name for h in model.spec.heads]
    speaker = model.spec.head(head if head in names else None)
    unknown = [name for name in labels if name not in speaker.labels]
    if unknown:
        raise ArgumentError(
            f"model {model.name!r} does not know the labels {', '.join(unknown)} of this data set"
        )
    parts = [np.zeros((0, len(speaker.labels)), np.float32)]
    for start in range(0, len(data), CHUNK):
        images = data.images[start : start + CHUNK]
        p = model(images).probabilities[speaker.name]
        if flip:
            p = p + model(np.ascontiguousarray(images[:, :, ::-1])).probabilities[speaker.name]
        parts.append(p)
        if on_done is not None:
            on_done(start + len(images), len(data))
    p = shares(np.concatenate(parts)[:, [speaker.labels.index(name) for name in labels]])
    target = data.targets[head]
    clear = target.max(1) > 0.5
    return score(p[clear], target[clear].argmax(1).astype(np.int64), labels)
