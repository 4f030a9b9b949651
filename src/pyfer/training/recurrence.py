"""From a finished run of a recurrent network to a model folder: ONNX with its state in and out, checked.

A causal network is written as one step: a frame and a memory in, answers and the next memory out. One that
looks both ways is written for a whole window. Export refuses unless ONNX and torch agree on streams of
validation faces; temperatures are fitted on those streams too.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyfer.crops import Preprocessing
from pyfer.errors import TrainingError
from pyfer.evaluation import fit_temperature
from pyfer.files import replace_file, replace_folder, sha256
from pyfer.models import Model, installed
from pyfer.streams import Streams, make_streams
from pyfer.training.card import about
from pyfer.training.data import TrainingData, opened
from pyfer.training.export import AGREEMENT, Exported, write_onnx
from pyfer.training.loop import load_network
from pyfer.training.recurrent import Filter, Recurrent, encoder_of
from pyfer.training.sequences import VALIDATION_SEED, VALIDATION_STREAMS, Frames, encoded
from pyfer.training.settings import Settings

MEMORY, SMOOTHED = "memory", "smoothed"
_CHECKED = 16  # streams on which torch and ONNX are compared


class _Step(nn.Module):
    """One step with a tuple of outputs, as ONNX wants it."""

    def __init__(self, network: Recurrent, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the named outputs in order, and the next memory."""
        outputs, memory = self.network.step(values[:-1], values[-1])
        return (*_named(outputs, self.names), memory)


class _Film(nn.Module):
    """A whole window with a tuple of outputs."""

    def __init__(self, network: Recurrent, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the named outputs in order."""
        return _named(self.network(*values), self.names)


def _named(outputs: dict[str, Tensor], names: list[str]) -> tuple[Tensor, ...]:
    """Return outputs in order; what goes in as ``embedding`` must come out under another name."""
    return tuple(outputs["embedding" if name == SMOOTHED else name] for name in names)


def export(
    run: Path,
    folder: Path,
    *,
    settings: Settings | None = None,
    card: str = "",
    data: TrainingData | None = None,
) -> Exported:
    """Write the best network of the run in `run` as a model folder; see `pyfer.training.export.export`.

    Raises
    ------
    TrainingError
        The run has no network, or the exported network does not agree with the trained one.
    """
    network, trained, labels = load_network(run)
    assert isinstance(network, Recurrent)
    settings = trained if settings is None else replace(trained, name=settings.name, export=settings.export)
    data = data or opened(settings)
    streams = validation_streams(settings, data)
    with replace_folder(folder) as work:
        target, names = work / "model.onnx", [*labels, SMOOTHED]
        temperatures = _temperatures(network, settings, streams)
        heads = _heads(labels, temperatures, streams)
        _write(network, names, target, settings)
        _describe(target, settings, network, heads, data)
        model = Model(work, threads=1)
        difference = _difference(network, model, streams)
        replace_file(work / "README.md", (card or _plain_card(settings)).encode())
    return Exported(folder, difference, 1.0)


def validation_streams(settings: Settings, data: TrainingData) -> Streams:
    """Return the streams of validation faces that a run with these settings was validated on."""
    count = min(settings.streams.count, VALIDATION_STREAMS)
    seed = settings.seed + VALIDATION_SEED
    return make_streams(
        data.held, next(iter(settings.loss.heads)), replace(settings.streams, count=count), seed
    )


def _temperatures(network: Recurrent, settings: Settings, streams: Streams) -> dict[str, float]:
    """Return head -> temperature; a `Filter` gets them built in, as at the first frame none counts."""
    frames = encoded(streams, encoder_of(settings) if isinstance(network, Filter) else None)
    said = _logits(network, frames)
    found = {}
    for head in settings.loss.heads:
        target = streams.targets[head]
        clear = streams.mask & (target.max(axis=2) > 0.5)
        clear[:, 0] &= not isinstance(network, Filter)
        truth = (target[clear] == target[clear].max(axis=1, keepdims=True)).astype(np.float32)
        found[head] = round(fit_temperature(said[head][clear], truth, np.zeros(target.shape[2])), 4)
    if isinstance(network, Filter):
        network.temperature |= found
        return dict.fromkeys(found, 1.0)
    return found


@torch.no_grad()
def _logits(network: Recurrent, frames: Frames) -> dict[str, NDArray[np.float32]]:
    """Return head -> logits (n, t, c) of streams, zeros where there is no frame."""
    network.eval()
    said: dict[str, NDArray[np.float32]] = {}
    for rows in np.array_split(np.arange(len(frames)), max(1, len(frames) // 32)):
        outputs = network(*frames.batch(rows, torch.device("cpu"), network.two_way))
        for head, z in outputs.items():
            whole = said.setdefault(head, np.zeros((*frames.mask.shape, z.shape[-1]), np.float32))
            whole[rows, : z.shape[1]] = z.numpy()
    return said


def _write(network: Recurrent, names: list[str], path: Path, settings: Settings) -> None:
    if isinstance(network, Filter):
        numbers = (network.size, sum(network.heads.values()), 1)
        samples = {name: torch.rand(2, k) for name, k in zip(Filter.inputs, numbers, strict=True)}
    else:
        side = settings.schedule.sizes[-1][1]
        samples = {"input": torch.rand(2, 1, side, side)}
    if network.two_way:
        window = settings.streams.frames[1]
        samples = {name: value[:, None].repeat(1, window, 1) for name, value in samples.items()}
        write_onnx(_Film(network, names), samples | {"mask": torch.ones(2, window)}, names, path)
    else:
        samples[MEMORY] = torch.zeros(2, *network.memory)
        write_onnx(_Step(network, names), samples, [*names, f"next_{MEMORY}"], path)


def _heads(
    labels: dict[str, tuple[str, ...]], temperatures: dict[str, float], streams: Streams
) -> list[dict[str, Any]]:
    """Return the ``heads`` of ``model.json``; those that were learned have a temperature and a prior."""
    heads: list[dict[str, Any]] = []
    for head, names in labels.items():
        entry: dict[str, Any] = {"name": head, "output": head, "labels": list(names)}
        if head in temperatures:
            frames = streams.targets[head].sum((0, 1))
            shares = np.maximum(frames / frames.sum(), 1e-4)
            entry |= {
                "temperature": temperatures[head],
                "prior": [round(float(q), 5) for q in shares / shares.sum()],
            }
        heads.append(entry)
    return heads


def _describe(
    path: Path, settings: Settings, network: Recurrent, heads: list[dict[str, Any]], data: TrainingData
) -> None:
    """Write ``model.json`` beside the ONNX file."""
    tree: dict[str, Any] = {
        "format": 1,
        "name": settings.name,
        "kind": settings.kind,
        "file": path.name,
        "sha256": sha256(path),
        "window": settings.streams.frames[1],
    }
    if not network.two_way:
        tree["state"] = [{"name": MEMORY, "shape": list(network.memory)}]
    if isinstance(network, Filter):
        encoder = encoder_of(settings)
        name = settings.rnn.encoder
        if name not in dict(installed()):  # a folder: the model's own place counts, not where it was trained
            name = Path(os.path.relpath(encoder.folder.resolve(), path.parent.resolve())).as_posix()
        tree["encoder"] = {"model": name, "sha256": encoder.spec.sha256}
    else:
        side = settings.schedule.sizes[-1][1]
        tree["input"] = Preprocessing(size=side, color="gray", standard=True).to_dict()
        tree["crop"] = {"align": True}
    tree |= {"heads": heads, "embedding": SMOOTHED, "about": about(settings, data.left_out)}
    replace_file(path.with_name("model.json"), (json.dumps(tree, indent=2) + "\n").encode())


def _difference(network: Recurrent, model: Model, streams: Streams) -> float:
    """Return the largest difference of log-probabilities between torch and ONNX on some streams."""
    rows = np.arange(min(_CHECKED, len(streams)))
    lengths = streams.mask[rows].sum(axis=1)
    crops = [streams.frames[i, :n] for i, n in zip(rows, lengths, strict=True)]
    films = model.films(crops, [streams.times[i, :n] for i, n in zip(rows, lengths, strict=True)])
    said = _logits(network, encoded(streams[rows], model.encoder, np.float32))
    difference = 0.0
    for head in model.spec.heads:
        for i, (n, film) in enumerate(zip(lengths, films, strict=True)):
            z = torch.from_numpy(said[head.name][i, :n]) / head.temperature
            mine = np.log(np.maximum(film.probabilities[head.name], 1e-20))
            difference = max(difference, float(np.abs(mine - torch.log_softmax(z, 1).numpy()).max()))
    if difference > AGREEMENT:
        raise TrainingError(
            f"the ONNX network differs from the trained one by {difference:.2g} (at most {AGREEMENT});"
            " not exported"
        )
    return difference


def _plain_card(settings: Settings) -> str:
    """Return a model card that says what the run knows about itself."""
    streams = settings.streams
    lines = [
        f"# {settings.name}",
        "",
        f"A recurrent network ({settings.rnn.cell}{', both ways' if settings.rnn.two_way else ''}), trained"
        f" by `pyfer train` on {streams.count} synthetic streams made of stills of:",
        "",
        *(f"- `{spec}`" for spec in settings.data.train),
        "",
        "Motion, light, blur, noise, occlusion and false frames are made up; so are the passages from one"
        " expression to another, which join stills of different persons. Its temperature was fitted on"
        f" streams made of `{settings.data.validation}`.",
    ]
    return "\n".join(lines) + "\n"
