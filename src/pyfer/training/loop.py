"""The training loop: one for all networks, the same on CPU and CUDA, resumable after being killed.

A run is a folder: ``settings.json``, ``metrics.jsonl`` (one line an epoch), ``checkpoint.pt`` (everything
needed to go on), ``best.pt`` (the averaged weights with the best validation). All that is random is drawn
from (seed, epoch), so a run that was killed repeats the broken epoch and ends with the same numbers.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pyfer.datasets import FaceData
from pyfer.errors import TrainingError
from pyfer.evaluation import score
from pyfer.files import replace_file
from pyfer.models import softmax
from pyfer.training.augment import augment, plain
from pyfer.training.data import TrainingData, opened
from pyfer.training.network import Network
from pyfer.training.settings import ScheduleSettings, Settings, settings_from_dict, to_dict

Metrics = dict[str, float]
OnStep = Callable[[int, int, Metrics], None]
"""Called after each step with (steps done, steps in all, latest metrics)."""


@dataclass
class _Run:
    """All that changes while a run goes on, and all that a checkpoint holds."""

    network: Network
    average: Network
    optimizer: torch.optim.SGD
    teachers: tuple[Network, ...] = ()
    epoch: int = 0
    best: float = -math.inf
    stale: int = 0

    def state(self, settings: Settings) -> dict[str, Any]:
        return {
            "settings": json.dumps(to_dict(settings)),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
            "stale": self.stale,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.best, self.stale = state["epoch"], state["best"], state["stale"]


@dataclass(frozen=True)
class _Faces:
    """The training faces, where the network is."""

    images: Tensor  # (n, h, w) uint8
    targets: dict[str, Tensor]
    weights: Tensor  # (n,) how often each is drawn, mean 1
    steps: int  # batches an epoch


def train(
    settings: Settings, folder: Path, on_step: OnStep | None = None, data: TrainingData | None = None
) -> list[Metrics]:
    """Train as `settings` say, in `folder`; go on where an earlier call with equal settings was killed.

    Parameters
    ----------
    settings
        With ``kind = "cnn"``.
    folder
        Folder of the run.
    on_step
        Called after each step.
    data
        What `opened` gave for these settings; None opens it here.

    Returns
    -------
    One dictionary of metrics an epoch.

    Raises
    ------
    TrainingError
        `folder` holds a run with other settings, or the loss is no longer a finite number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    both = data or opened(settings)
    learned, held = both.train, both.held
    _check(settings, learned)
    folder.mkdir(parents=True, exist_ok=True)
    run, history = _start(settings, learned, folder, device)
    schedule = settings.schedule
    faces = _Faces(
        torch.from_numpy(learned.images).to(device),
        {h: torch.from_numpy(learned.targets[h]).to(device) for h in settings.loss.heads},
        sampling_weights(learned.targets[_main_head(settings)], settings.data.rare_power),
        len(learned) // schedule.batch,
    )
    while run.epoch < schedule.epochs and not 0 < schedule.patience <= run.stale:
        started = time.perf_counter()
        latest = history[-1] if history else {}
        metrics: Metrics = {"epoch": run.epoch + 1, "loss": _epoch(run, settings, faces, latest, on_step)}
        run.epoch += 1
        if run.epoch % schedule.validate_every == 0 or run.epoch == schedule.epochs:
            size = schedule.sizes[-1][1]
            metrics |= validate(run.average, held, precision(schedule, device), size)
            _keep_best(run, metrics, folder)
        metrics["seconds"] = time.perf_counter() - started
        history.append(metrics)
        _save(run, settings, history, folder)
    return history


def _epoch(run: _Run, settings: Settings, faces: _Faces, latest: Metrics, on_step: OnStep | None) -> float:
    """Pass over the training faces once; return the mean loss."""
    schedule = settings.schedule
    seed = settings.seed * 1_000_003 + run.epoch
    generator = Generator().manual_seed(seed)
    torch.manual_seed(seed)  # dropout
    size = crop_size(schedule, run.epoch)
    loss = 0.0
    for step, rows in enumerate(_batches(faces.weights, faces.steps, schedule.batch, generator)):
        targets = {head: t[rows] for head, t in faces.targets.items()}
        x, y = augment(faces.images[rows], targets, size, settings.augment, generator)
        loss += _step(run, settings, x, y, run.epoch + step / faces.steps)
        if on_step is not None:
            on_step(run.epoch * faces.steps + step + 1, schedule.epochs * faces.steps, latest)
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in epoch {run.epoch + 1}; lower schedule.rate")
    return loss / faces.steps


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


def precision(schedule: ScheduleSettings, device: torch.device) -> torch.dtype:
    """Return the number format of the forward pass."""
    if schedule.precision == "auto":
        cuda = device.type == "cuda" and torch.cuda.is_bf16_supported()
        # Without the instructions bfloat16 is emulated, 13 times slower than float32 on an AVX2 machine.
        # torch has no public name for the question; a release without this one gets float32.
        asked = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        cpu = device.type == "cpu" and bool(asked())
        return torch.bfloat16 if cuda or cpu else torch.float32
    return torch.bfloat16 if schedule.precision == "bfloat16" else torch.float32


def validate(network: Network, data: FaceData, dtype: torch.dtype, size: int) -> Metrics:
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
    network: Network, data: FaceData, dtype: torch.dtype = torch.float32, size: int = 48
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


def load_network(folder: Path) -> tuple[Network, Settings, dict[str, tuple[str, ...]]]:
    """Return the best averaged network of the run in `folder`, its settings, and its heads' labels."""
    path = folder / "best.pt"
    if not path.is_file():
        raise TrainingError(f"{folder} holds no trained network ({path.name} is missing); train first")
    state = _load_torch(path, torch.device("cpu"))
    settings = settings_from_dict(json.loads(state["settings"]))
    labels = {head: tuple(names) for head, names in json.loads(state["labels"]).items()}
    network = Network(settings.network, {head: len(names) for head, names in labels.items()})
    network.load_state_dict(state["network"])
    return network.eval(), settings, labels


def _main_head(settings: Settings) -> str:
    return next(iter(settings.loss.heads))


def _check(settings: Settings, data: FaceData) -> None:
    if len(data) < settings.schedule.batch:
        raise TrainingError(
            f"schedule.batch={settings.schedule.batch} is larger than the {len(data)} training faces"
        )


def _start(
    settings: Settings, data: FaceData, folder: Path, device: torch.device
) -> tuple[_Run, list[Metrics]]:
    torch.manual_seed(settings.seed)
    labels = {head: data.labels[head] for head in settings.loss.heads}
    network = Network(settings.network, {head: len(names) for head, names in labels.items()})
    if settings.network.start:
        _start_from(network, Path(settings.network.start))
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    s = settings.schedule
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": s.decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=s.rate, momentum=0.9, nesterov=True)
    average = copy.deepcopy(network).requires_grad_(False)
    teachers = tuple(_teacher(Path(path), labels).to(device) for path in settings.loss.teachers)
    run = _Run(network, average, optimizer, teachers)
    history: list[Metrics] = []
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file():
        state = _load_torch(checkpoint, device)
        stored = settings_from_dict(json.loads(state["settings"]))
        same = replace(stored.data, skip_bad=settings.data.skip_bad)
        if replace(stored, name=settings.name, export=settings.export, data=same) != settings:
            raise TrainingError(
                f"{folder} holds a run with other settings; give another folder, or remove this one"
            )
        run.load(state)
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        history = [json.loads(line) for line in lines[: run.epoch]]
    replace_file(folder / "settings.json", json.dumps(to_dict(settings), indent=2).encode())
    replace_file(folder / "labels.json", json.dumps(labels).encode())
    return run, history


def _teacher(folder: Path, labels: dict[str, tuple[str, ...]]) -> Network:
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


def _step(run: _Run, settings: Settings, x: Tensor, y: dict[str, Tensor], epoch: float) -> float:
    s, device = settings.schedule, x.device
    for group in run.optimizer.param_groups:
        group["lr"] = s.rate * _rate_factor(epoch, s)
    run.network.train()
    dtype = precision(s, device)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        output = run.network(x)
        y = _taught(run.teachers, x, y, settings.loss.teaching)
    parts = [
        weight * soft_cross_entropy(output[head], y[head], settings.loss.smoothing)
        for head, weight in settings.loss.heads.items()
    ]
    loss = torch.stack(parts).sum()
    run.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimizer.step()
    _move_average(run.average, run.network, min(s.average, (1 + 200 * epoch) / (10 + 200 * epoch)))
    return float(loss.detach())


@torch.no_grad()
def _taught(
    teachers: tuple[Network, ...], x: Tensor, y: dict[str, Tensor], share: float
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


def _rate_factor(epoch: float, s: ScheduleSettings) -> float:
    if epoch < s.warmup:
        return max(epoch / s.warmup, 1e-2)
    return 0.5 * (1 + math.cos(math.pi * (epoch - s.warmup) / max(s.epochs - s.warmup, 1e-9)))


def soft_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy over the rows of `targets` (b, c) that are not all zero."""
    known = targets.sum(1)
    smooth = (1 - smoothing) * targets + smoothing / targets.shape[1] * known[:, None]
    rows = -(smooth * F.log_softmax(logits.float(), 1)).sum(1)
    return rows.sum() / known.sum().clamp(min=1)


@torch.no_grad()
def _move_average(average: Network, network: Network, decay: float) -> None:
    """Move the averaged weights (and batch statistics) towards the network's."""
    mine, theirs = average.state_dict(), network.state_dict()
    floats = [k for k, v in mine.items() if v.is_floating_point()]
    torch._foreach_lerp_([mine[k] for k in floats], [theirs[k] for k in floats], 1 - decay)


def _keep_best(run: _Run, metrics: Metrics, folder: Path) -> None:
    run.stale += 1
    if metrics["score"] > run.best:
        run.best, run.stale = metrics["score"], 0
        state = {
            "settings": (folder / "settings.json").read_text(),
            "labels": (folder / "labels.json").read_text(),
            "network": run.average.state_dict(),
        }
        _save_torch(state, folder / "best.pt")


def _save(run: _Run, settings: Settings, history: list[Metrics], folder: Path) -> None:
    # The metrics go first: a checkpoint never knows of an epoch that the metrics lack.
    replace_file(folder / "metrics.jsonl", "".join(json.dumps(m) + "\n" for m in history).encode())
    _save_torch(run.state(settings), folder / "checkpoint.pt")


def _load_torch(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except Exception as error:  # zip, pickle and torch have many errors for a damaged file
        raise TrainingError(f"{path} is damaged or of another program; remove it to start anew") from error
    return state


def _save_torch(state: dict[str, Any], path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)
