"""Learning from stills: a convolutional network, crops that are changed anew each time, teachers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from pyfer.datasets import FaceData
from pyfer.errors import TrainingError
from pyfer.evaluation import score
from pyfer.models import softmax
from pyfer.training.augment import augment, plain
from pyfer.training.data import TrainingData
from pyfer.training.loop import Batch, Metrics, heads_loss, load_network, precision
from pyfer.training.network import Network
from pyfer.training.settings import ScheduleSettings, Settings


class Stills:
    """The task (see `pyfer.training.loop.Task`) of telling emotions from single crops."""

    def __init__(self, settings: Settings, data: TrainingData, device: torch.device) -> None:
        learned, schedule = data.train, settings.schedule
        if len(learned) < schedule.batch:
            raise TrainingError(
                f"schedule.batch={schedule.batch} is larger than the {len(learned)} training faces"
            )
        self.settings, self.held, self.device = settings, data.held, device
        heads = settings.loss.heads
        self.labels = {head: learned.labels[head] for head in heads}
        self.images = torch.from_numpy(learned.images).to(device)  # (n, h, w) uint8
        self.targets = {head: torch.from_numpy(learned.targets[head]).to(device) for head in heads}
        main = next(iter(heads))
        self.weights = sampling_weights(learned.targets[main], settings.data.rare_power)
        self.steps = len(learned) // schedule.batch
        self.teachers = tuple(_teacher(Path(p), self.labels).to(device) for p in settings.loss.teachers)

    def network(self) -> Network:
        """Return the network before it has learned anything, or as another run has left it."""
        network = Network(self.settings.network, {head: len(names) for head, names in self.labels.items()})
        if self.settings.network.start:
            _start_from(network, Path(self.settings.network.start))
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return stochastic gradient descent with Nesterov's momentum; only matrices decay."""
        s = self.settings.schedule
        matrices = [p for p in network.parameters() if p.ndim > 1]
        vectors = [p for p in network.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": s.decay}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=s.rate, momentum=0.9, nesterov=True)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """Yield changed crops (b, 1, s, s) and their targets."""
        schedule = self.settings.schedule
        size, dtype = crop_size(schedule, epoch), precision(schedule, self.device)
        for rows in _batches(self.weights, self.steps, schedule.batch, generator):
            targets = {head: t[rows] for head, t in self.targets.items()}
            x, y = augment(self.images[rows], targets, size, self.settings.augment, generator)
            x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
                y = _taught(self.teachers, x, y, self.settings.loss.teaching)
            yield (x,), y

    def loss(self, output: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of the heads' cross-entropies."""
        return heads_loss(output, targets, self.settings.loss)

    def validate(self, network: nn.Module) -> Metrics:
        """Return the metrics on the validation faces."""
        schedule = self.settings.schedule
        return validate(network, self.held, precision(schedule, self.device), schedule.sizes[-1][1])


def sampling_weights(targets: np.ndarray[Any, np.dtype[np.float32]], power: float) -> Tensor:
    """Return (n,) weights with mean 1: (share of the face's classes) ** -power, so rare ones come oftener."""
    labelled = targets.sum(1) > 0
    share = targets[labelled].mean(0)
    per_class = np.where(share > 0, np.maximum(share, 1e-6) ** -power, 0)
    weights = np.where(labelled, targets @ per_class, np.median(targets[labelled] @ per_class))
    return torch.from_numpy(weights / weights.mean())


def crop_size(schedule: ScheduleSettings, epoch: int) -> int:
    """Return the side of the crops in this epoch (counted from 0)."""
    share = epoch / schedule.epochs
    return [side for start, side in schedule.sizes if share >= start][-1]


def validate(network: nn.Module, data: FaceData, dtype: torch.dtype, size: int) -> Metrics:
    """Return accuracy, macro-recall and log-loss of each head, and their summary ``score``.

    The crops have the `size` of the last epochs, so early validations of small crops look worse than they
    are. The truth of a face is the label that holds more than half of its votes; others are left out.
    """
    logits = predict_logits(network, data, dtype, size)
    metrics: Metrics = {}
    for head, z in logits.items():
        target = data.targets[head]
        clear = target.max(1) > 0.5
        scores = score(softmax(z[clear]), target[clear].argmax(1), data.labels[head])
        metrics |= {
            f"{head}.accuracy": scores.accuracy,
            f"{head}.macro_recall": scores.macro_recall,
            f"{head}.nll": scores.nll,
        }
    metrics["score"] = float(np.mean([metrics[f"{head}.accuracy"] for head in logits]))
    return metrics


@torch.no_grad()
def predict_logits(
    network: nn.Module, data: FaceData, dtype: torch.dtype = torch.float32, size: int = 48
) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return head -> logits (n, c) of the heads that `data` has, without augmentation."""
    device = next(network.parameters()).device
    network.eval()
    parts: list[dict[str, Tensor]] = []
    for chunk in torch.split(torch.from_numpy(data.images), 256):
        x = plain(chunk.to(device), size).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            parts.append(network(x))
    heads = [h for h in parts[0] if h in data.targets]
    return {h: torch.cat([p[h] for p in parts]).float().cpu().numpy() for h in heads}


def _teacher(folder: Path, labels: dict[str, tuple[str, ...]]) -> nn.Module:
    """Return the network of a finished run that speaks the same labels."""
    network, _, theirs = load_network(folder)
    for head, names in labels.items():
        if theirs.get(head) != names:
            told = f"{head!r} has {theirs[head]}" if head in theirs else f"there is no {head!r}"
            raise TrainingError(f"loss.teachers={str(folder)!r} must have the labels {names}: {told}")
    return network


def _start_from(network: Network, folder: Path) -> None:
    try:
        network.load_state_dict(load_network(folder)[0].state_dict())
    except RuntimeError as error:
        raise TrainingError(
            f"network.start={str(folder)!r} is a network of another shape: {error}"
        ) from error


def _batches(weights: Tensor, steps: int, batch: int, generator: Generator) -> Iterator[Tensor]:
    """Yield row indices of each batch: systematic resampling, so a weight of w means w or so visits."""
    n = steps * batch
    ends = torch.cumsum(weights, 0) / weights.sum() * n
    picks = torch.arange(n) + torch.rand(1, generator=generator)
    rows = torch.searchsorted(ends, picks.to(ends.dtype)).clamp(max=len(weights) - 1)
    yield from torch.split(rows[torch.randperm(n, generator=generator)], batch)


@torch.no_grad()
def _taught(
    teachers: tuple[nn.Module, ...], x: Tensor, y: dict[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Return targets of which `share` is the teachers' mean answer (all of it where there is no label)."""
    if not teachers:
        return y
    answers = [teacher(x) for teacher in teachers]
    mixed = {}
    for head, target in y.items():
        answer = torch.stack([torch.softmax(a[head].float(), 1) for a in answers]).mean(0)
        labelled = target.sum(1, keepdim=True) > 0
        mixed[head] = torch.where(labelled, (1 - share) * target + share * answer, answer)
    return mixed
