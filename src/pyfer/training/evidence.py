"""Fitting the evidence of a model (`pyfer.evidence`) to annotators' votes.

The evidence is fitted so that its posterior over a grid of mixtures agrees with that of the annotators'
votes (`pyfer.evidence.votes_posterior`): multinomial logistic regression on soft targets, with weight decay,
by L-BFGS (Liu & Nocedal 1989). It is convex: the same data give the same numbers up to rounding.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from pyfer.datasets import FaceData, open_data
from pyfer.emotions import BASIC
from pyfer.errors import DataError, ModelError
from pyfer.evidence import FILE, Evidence, composition, features, grid, save, size, votes_posterior
from pyfer.files import replace_file, replace_folder, sha256
from pyfer.models import Model, OnDone, Output

LEAST_VOTES = 4
"""Faces with fewer votes for an emotion (the rest: unknown, no face) are left out."""
REFERENCE = 512
"""Faces whose evidence is kept with the fit, to compare definitions with."""
_HEAD = "ferplus"  # the votes that there are
_CHUNK = 1024


@dataclass(frozen=True)
class Fit:
    """A fitted evidence and how well it predicts."""

    evidence: Evidence
    faces: int
    """Faces fitted on."""
    loss: float
    """Mean cross-entropy in nats to the votes' posterior, on the reference faces."""
    entropy: float
    """Mean entropy of that posterior, the least that the loss could be."""


def fit(
    model: Model,
    train: str,
    reference: str,
    *,
    kind: str = "embedding",
    decay: float = 1e-3,
    on_done: OnDone | None = None,
) -> Fit:
    """Fit the evidence of a model.

    Parameters
    ----------
    model
        The model; it must have an embedding unless `kind` is ``probabilities``.
    train, reference
        Data sets with FER+ votes, see `pyfer.datasets.open_data`: to fit on, and to see how often each
        mixture is the answer. The reference should be faces that the network was not trained on.
    kind
        ``embedding`` or ``probabilities``, see `pyfer.evidence.Evidence`.
    decay
        Weight of the squared coefficients of standardised features in the loss.
    on_done
        Called now and then with (faces read, faces in all).

    Raises
    ------
    DataError
        A data set has no votes.
    ModelError
        The model has no embedding, or its probabilities lack a basic emotion, where `kind` needs them.
    """
    faces, others = (_voted(open_data(spec), spec) for spec in (train, reference))
    total = len(faces) + len(others)
    progress = on_done or (lambda done, n: None)
    x = _features(_read(model, faces, 0, total, progress), model, kind)
    weight, bias = _regress(x, votes_posterior(_emotions(faces)), decay)
    coefficients = _features(_read(model, others, len(faces), total, progress), model, kind) @ weight + bias
    points, prior = grid(len(BASIC))
    z = coefficients @ composition(points).T + np.log(prior)
    log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    target = votes_posterior(_emotions(others))
    rows = np.random.default_rng(0).permutation(len(others))[:REFERENCE]
    rate = np.log(np.exp(log_p).mean(0) / prior)  # how often each mixture is the answer
    base = np.linalg.lstsq(composition(points), rate, rcond=None)[0]
    arrays = [np.asarray(a, np.float32) for a in (weight, bias, base, coefficients[np.sort(rows)])]
    return Fit(
        Evidence(BASIC, kind, *arrays),
        len(faces),
        float(-(target * log_p).sum(1).mean()),
        float(-(target * np.log(np.maximum(target, 1e-300))).sum(1).mean()),
    )


def _voted(data: FaceData, spec: str) -> FaceData:
    if _HEAD not in data.votes:
        raise DataError(f"data={spec!r} has no votes of annotators; evidence is fitted to FER+ votes")
    return data[_emotions(data).sum(1) >= LEAST_VOTES]


def _emotions(data: FaceData) -> NDArray[np.float32]:
    return data.votes[_HEAD][:, : len(BASIC)]


def _read(model: Model, data: FaceData, before: int, total: int, on_done: OnDone) -> list[Output]:
    outputs = []
    for start in range(0, len(data), _CHUNK):
        outputs.append(model(data.images[start : start + _CHUNK]))
        on_done(before + min(start + _CHUNK, len(data)), total)
    return outputs


def _features(outputs: list[Output], model: Model, kind: str) -> NDArray[np.float64]:
    """Return (n, d), what `Evidence` would multiply: an evidence whose weight is the identity gives it."""
    head = model.spec.head()
    lacking = [name for name in BASIC if name not in head.labels]
    if lacking and kind == "probabilities":
        raise ModelError(
            f"model {model.name!r} does not tell {', '.join(lacking)}; evidence on probabilities needs "
            f"{', '.join(BASIC)}"
        )
    order = [head.labels.index(name) for name in BASIC if name in head.labels]
    p = np.concatenate([output.probabilities[head.name] for output in outputs])[:, order]
    embeddings = [output.embedding for output in outputs if output.embedding is not None]
    embedding = np.concatenate(embeddings) if embeddings else None
    return np.asarray(features(kind, p, embedding), np.float64)


def _regress(
    features: NDArray[np.float64], target: NDArray[np.float64], decay: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight (d, m) and bias (m,) of the fit, for features as they are."""
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    x = torch.tensor((features - mean) / deviation, dtype=torch.float32)
    points, prior = grid(len(BASIC))
    y = torch.tensor(target, dtype=torch.float32)
    compositions = torch.tensor(composition(points).T, dtype=torch.float32)  # (m, g)
    log_prior = torch.tensor(np.log(prior), dtype=torch.float32)
    weight = torch.zeros(x.shape[1], size(len(BASIC)), requires_grad=True)
    bias = torch.zeros(size(len(BASIC)), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=100, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        z = (x @ weight + bias) @ compositions + log_prior
        loss = -(y * F.log_softmax(z, 1)).sum(1).mean() + decay * (weight**2).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = weight.detach().numpy().astype(np.float64) / deviation[:, None]
    return found, bias.detach().numpy() - mean @ found


def attach(model: Path, found: Evidence, folder: Path) -> Path:
    """Write a copy of a model folder with this evidence as `folder`, which is replaced whole if it exists."""
    with replace_folder(folder) as fresh:
        for path in model.iterdir():
            if path.is_file():
                shutil.copy2(path, fresh / path.name)
        save(found, fresh / FILE)
        described = json.loads((fresh / "model.json").read_text(encoding="utf-8"))
        described["evidence"] = sha256(fresh / FILE)
        replace_file(fresh / "model.json", (json.dumps(described, indent=2) + "\n").encode())
        Model(fresh)  # it must load
    return folder
