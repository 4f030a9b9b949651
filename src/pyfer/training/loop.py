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
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pyfer.errors import TrainingError
from pyfer.files import replace_file
from pyfer.training.data import TrainingData, opened
from pyfer.training.network import Network
from pyfer.training.recurrent import built
from pyfer.training.settings import LossSettings, ScheduleSettings, Settings, settings_from_dict, to_dict

Metrics = dict[str, float]
Batch = tuple[tuple[Tensor, ...], dict[str, Tensor]]
"""What a network takes, and head -> targets (..., c): rows sum to 1, or 0 where there is nothing to learn."""
OnStep = Callable[[int, int, Metrics], None]
"""Called after each step with (steps done, steps in all, latest metrics)."""
OnStage = Callable[[str, int, int], None]
"""Called while data are prepared with (what is done, how much of it, of how much)."""


class Task(Protocol):
    """What is learned, and from what: `pyfer.training.stills.Stills` or `.sequences.Sequences`."""

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Labels of the network's heads."""
        ...

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        ...

    def network(self) -> nn.Module:
        """Return the network at the start, on the task's device."""
        ...

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return what moves its weights."""
        ...

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """Yield the batches of an epoch; all that is random is drawn from the generator."""
        ...

    def loss(self, output: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Return what is minimised, for one batch."""
        ...

    def validate(self, network: nn.Module) -> Metrics:
        """Return metrics on validation data, with ``score``, by which the best weights are kept."""
        ...


@dataclass
class _Run:
    """All that changes while a run goes on, and all that a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
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


def train(
    settings: Settings,
    folder: Path,
    on_step: OnStep | None = None,
    data: TrainingData | None = None,
    on_stage: OnStage | None = None,
    task: Task | None = None,
) -> list[Metrics]:
    """Train as `settings` say, in `folder`; go on where an earlier call with equal settings was killed.

    Parameters
    ----------
    settings
        With ``kind = "cnn"`` or ``"rnn"``.
    folder
        Folder of the run.
    on_step
        Called after each step.
    data
        What `opened` gave for these settings; None opens it here.
    on_stage
        Called while streams are made and encoded (``kind = "rnn"``), before the first step.
    task
        What is learned; None is what the settings say, from the data that they name.

    Returns
    -------
    One dictionary of metrics an epoch.

    Raises
    ------
    TrainingError
        `folder` holds a run with other settings, or the loss is no longer a finite number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    state = _checkpoint(settings, folder, device)  # before anything in the folder is replaced
    task = task or _task(settings, data or opened(settings), folder, device, on_stage)
    run, history = _start(settings, task, folder, state)
    schedule = settings.schedule
    while run.epoch < schedule.epochs and not 0 < schedule.patience <= run.stale:
        started = time.perf_counter()
        latest = history[-1] if history else {}
        metrics: Metrics = {"epoch": run.epoch + 1, "loss": _epoch(run, settings, task, latest, on_step)}
        run.epoch += 1
        if run.epoch % schedule.validate_every == 0 or run.epoch == schedule.epochs:
            metrics |= task.validate(run.average)
            _keep_best(run, metrics, folder)
        metrics["seconds"] = time.perf_counter() - started
        history.append(metrics)
        _save(run, settings, history, folder)
    return history


def _task(
    settings: Settings, data: TrainingData, folder: Path, device: torch.device, on_stage: OnStage | None
) -> Task:
    from pyfer.training.sequences import Sequences  # both know this module
    from pyfer.training.stills import Stills

    if settings.kind == "rnn":
        return Sequences(settings, data, folder, device, on_stage)
    return Stills(settings, data, device)


def _epoch(run: _Run, settings: Settings, task: Task, latest: Metrics, on_step: OnStep | None) -> float:
    """Pass over the training data once; return the mean loss."""
    seed = settings.seed * 1_000_003 + run.epoch
    generator = Generator().manual_seed(seed)
    torch.manual_seed(seed)  # dropout
    loss = 0.0
    for step, batch in enumerate(task.batches(run.epoch, generator)):
        loss += _step(run, settings.schedule, task, batch, run.epoch + step / task.steps)
        if on_step is not None:
            on_step(run.epoch * task.steps + step + 1, settings.schedule.epochs * task.steps, latest)
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in epoch {run.epoch + 1}; lower schedule.rate")
    return loss / task.steps


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


def load_network(folder: Path) -> tuple[nn.Module, Settings, dict[str, tuple[str, ...]]]:
    """Return the best averaged network of the run in `folder`, its settings, and its heads' labels."""
    path = folder / "best.pt"
    if not path.is_file():
        raise TrainingError(f"{folder} holds no trained network ({path.name} is missing); train first")
    state = _load_torch(path, torch.device("cpu"))
    settings = settings_from_dict(json.loads(state["settings"]))
    labels = {head: tuple(names) for head, names in json.loads(state["labels"]).items()}
    heads = {head: len(names) for head, names in labels.items()}
    network = built(settings, heads) if settings.kind == "rnn" else Network(settings.network, heads)
    network.load_state_dict(state["network"])
    return network.eval(), settings, labels


def _checkpoint(settings: Settings, folder: Path, device: torch.device) -> dict[str, Any] | None:
    """Return what an earlier call with these settings has left, if there was one."""
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.is_file():
        return None
    state = _load_torch(checkpoint, device)
    stored = settings_from_dict(json.loads(state["settings"]))
    same = replace(stored.data, skip_bad=settings.data.skip_bad)
    if replace(stored, name=settings.name, export=settings.export, data=same) != settings:
        raise TrainingError(
            f"{folder} holds a run with other settings; give another folder, or remove this one"
        )
    return state


def _start(
    settings: Settings, task: Task, folder: Path, state: dict[str, Any] | None
) -> tuple[_Run, list[Metrics]]:
    network = task.network()
    average = copy.deepcopy(network).requires_grad_(False)
    run = _Run(network, average, task.optimizer(network))
    history: list[Metrics] = []
    if state is not None:
        run.load(state)
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        history = [json.loads(line) for line in lines[: run.epoch]]
    replace_file(folder / "settings.json", json.dumps(to_dict(settings), indent=2).encode())
    replace_file(folder / "labels.json", json.dumps(task.labels).encode())
    return run, history


def _step(run: _Run, s: ScheduleSettings, task: Task, batch: Batch, epoch: float) -> float:
    x, y = batch
    device = x[0].device
    for group in run.optimizer.param_groups:
        group["lr"] = s.rate * _rate_factor(epoch, s)
    run.network.train()
    dtype = precision(s, device)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        output = run.network(*x)
    loss = task.loss(output, y)
    run.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimizer.step()
    _move_average(run.average, run.network, min(s.average, (1 + 200 * epoch) / (10 + 200 * epoch)))
    return float(loss.detach())


def _rate_factor(epoch: float, s: ScheduleSettings) -> float:
    if epoch < s.warmup:
        return max(epoch / s.warmup, 1e-2)
    return 0.5 * (1 + math.cos(math.pi * (epoch - s.warmup) / max(s.epochs - s.warmup, 1e-9)))


def heads_loss(output: dict[str, Tensor], targets: dict[str, Tensor], settings: LossSettings) -> Tensor:
    """Return the weighted sum of the heads' cross-entropies."""
    parts = [
        weight * soft_cross_entropy(output[head], targets[head], settings.smoothing)
        for head, weight in settings.heads.items()
    ]
    return torch.stack(parts).sum()


def soft_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy over the rows of `targets` (..., c) that are not all zero."""
    known = targets.sum(-1)
    smooth = (1 - smoothing) * targets + smoothing / targets.shape[-1] * known[..., None]
    rows = -(smooth * F.log_softmax(logits.float(), -1)).sum(-1)
    return rows.sum() / known.sum().clamp(min=1)


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
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
