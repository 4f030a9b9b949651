"""Learning from streams made of stills, of uneven length, seen through an encoder or as they are."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from pyfer.datasets import FaceData
from pyfer.errors import TrainingError, did_you_mean
from pyfer.evaluation import timing_scores
from pyfer.models import Model
from pyfer.streams import OnDone, Streams, make_streams
from pyfer.training.augment import standard
from pyfer.training.data import TrainingData
from pyfer.training.loop import Batch, Metrics, OnStage, heads_loss
from pyfer.training.recurrent import built, encoder_of
from pyfer.training.settings import Settings

FURTHEST = 4.0
"""Change of a log-probability between two frames beyond which more costs no more (Farha & Gall 2019)."""
VALIDATION_SEED = 1_000_000
"""Added to the seed of the streams that are made from validation faces."""
VALIDATION_STREAMS = 800
"""Most streams of validation faces."""
_AT_ONCE = 32  # streams that are encoded together


class Sequences:
    """The task (see `pyfer.training.loop.Task`) of telling emotions from a face's frames, one by one."""

    def __init__(
        self,
        settings: Settings,
        data: TrainingData,
        folder: Path,
        device: torch.device,
        on_stage: OnStage | None = None,
    ) -> None:
        self.settings, self.device, self.on_stage = settings, device, on_stage
        count, schedule = settings.streams.count, settings.schedule
        if count < schedule.batch:
            raise TrainingError(f"schedule.batch={schedule.batch} is larger than streams.count={count}")
        self.encoder = None if settings.rnn.cell == "convlstm" else encoder_of(settings)
        self.labels = _labels(settings, data, self.encoder)
        if self.encoder is None:
            _check_size(schedule.sizes[-1][1], data)
        self.train = self._made(data.train, folder / "training.npz", 0, count)
        held = min(count, VALIDATION_STREAMS)
        self.held = self._made(data.held, folder / "validation.npz", VALIDATION_SEED, held)
        self.steps = len(self.train) // schedule.batch

    def network(self) -> nn.Module:
        """Return the network before it has learned anything."""
        heads = {head: len(names) for head, names in self.labels.items()}
        return built(self.settings, heads).to(self.device)

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
        s = self.settings.schedule
        return torch.optim.AdamW(network.parameters(), lr=s.rate, weight_decay=s.decay)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """Yield streams in a new order, as long as the longest of each batch, and their targets."""
        order = torch.randperm(len(self.train), generator=generator)
        for rows in torch.split(
            order[: self.steps * self.settings.schedule.batch], self.settings.schedule.batch
        ):
            x = self.train.batch(rows.numpy(), self.device, self.settings.rnn.two_way)
            yield x, self.train.taught(rows.numpy(), self.device, self.settings.loss.heads)

    def loss(self, output: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Return the cross-entropy of the frames, and what answers cost that change from frame to frame.

        The second part is the mean squared change of log-probabilities, none counted beyond `FURTHEST`, times
        ``rnn.steady`` (Farha & Gall: "MS-TCN", CVPR 2019, equation 6).
        """
        loss = heads_loss(output, targets, self.settings.loss)
        head = next(iter(self.settings.loss.heads))
        logs = torch.log_softmax(output[head].float(), -1)
        change = (logs[:, 1:] - logs[:, :-1].detach()).abs().clamp(max=FURTHEST) ** 2
        known = targets[head].any(-1)[:, 1:]
        return loss + self.settings.rnn.steady * (change.mean(-1) * known).sum() / known.sum().clamp(min=1)

    def validate(self, network: nn.Module) -> Metrics:
        """Return frame accuracy, segment F1 and flicker of the first head; ``score`` is the mean of two."""
        head = next(iter(self.settings.loss.heads))
        answers = self.answers(network, head)
        names, found = self.labels[head], self.held
        lengths = found.mask.sum(axis=1)
        truth = found.targets[head].argmax(axis=2)
        scores = timing_scores(
            [t[:n] for t, n in zip(found.times, lengths, strict=True)],
            [t[:n] for t, n in zip(truth, lengths, strict=True)],
            [a[:n] for a, n in zip(answers, lengths, strict=True)],
            background=names.index("neutral"),
        )
        return {
            f"{head}.accuracy": scores.accuracy,
            f"{head}.segment_f1": scores.f1,
            f"{head}.flicker": scores.flicker,
            "score": (scores.accuracy + scores.f1) / 2,
        }

    @torch.no_grad()
    def answers(self, network: nn.Module, head: str) -> NDArray[np.int64]:
        """Return (n, t) the most probable label of each validation frame."""
        network.eval()
        found = np.zeros(self.held.mask.shape, np.int64)
        for rows in np.array_split(np.arange(len(self.held)), max(1, len(self.held) // 64)):
            z = network(*self.held.batch(rows, self.device, self.settings.rnn.two_way))[head]
            found[rows, : z.shape[1]] = z.argmax(-1).cpu().numpy()
        return found

    def _made(self, data: FaceData, path: Path, seed: int, count: int) -> Frames:
        """Return the streams of one part, made and seen through the encoder once a run."""
        settings = self.settings
        digest = "" if self.encoder is None else self.encoder.spec.sha256
        head, seed = next(iter(settings.loss.heads)), settings.seed + seed
        key = json.dumps([asdict(settings.streams), asdict(settings.data), head, seed, count, digest])
        if path.is_file() and (stored := _loaded(path, key)) is not None:
            return stored
        wanted = replace(settings.streams, count=count)
        streams = make_streams(data, head, wanted, seed, self._stage(f"making {path.stem} streams"))
        frames = encoded(streams, self.encoder, on_done=self._stage(f"encoding {path.stem} streams"))
        _store(frames, path, key)
        return frames

    def _stage(self, what: str) -> OnDone:
        return lambda done, total: self.on_stage(what, done, total) if self.on_stage else None


def _labels(settings: Settings, data: TrainingData, encoder: Model | None) -> dict[str, tuple[str, ...]]:
    """Return the labels of the network's heads: those of the encoder, where there is one."""
    heads, found = tuple(settings.loss.heads), data.train.labels
    for head in heads:
        if head not in found or head not in data.held.labels:
            raise TrainingError(
                f"loss.heads={head!r} must be a head of the training and the validation data; they have "
                f"{', '.join(found)} and {', '.join(data.held.labels)}{did_you_mean(head, found)}"
            )
    if encoder is None:
        return {head: found[head] for head in heads}
    labels = {head.name: head.labels for head in encoder.spec.heads}
    for head in heads:
        if head not in labels:
            raise TrainingError(
                f"loss.heads={head!r} must be a head of the encoder {encoder.name!r}, which has "
                f"{', '.join(labels)}{did_you_mean(head, labels)}"
            )
        if labels[head] != found[head]:
            raise TrainingError(
                f"loss.heads={head!r} has the labels {found[head]} in the data, but {labels[head]} in the "
                f"encoder {encoder.name!r}"
            )
    return labels


def _check_size(side: int, data: TrainingData) -> None:
    """Raise unless crops are as large as the network that sees them takes them."""
    for part in (data.train, data.held):
        h, w = part.images.shape[1:3]
        if (h, w) != (side, side):
            raise TrainingError(
                f"schedule.sizes ends with crops of {side} x {side} pixels, but the data have crops of "
                f"{w} x {h}; a ConvLSTM takes them as they are, so both must be the same"
            )


@dataclass(frozen=True, eq=False)
class Frames:
    """Streams as a network takes them; all but `values` as in `pyfer.streams.Streams`."""

    values: tuple[NDArray[np.generic], ...]
    """Of an encoder: embeddings (n, t, e), probabilities float32 (n, t, c); else crops (n, t, s, s)."""
    times: NDArray[np.float32]
    mask: NDArray[np.bool_]
    targets: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Frames:
        """Return the streams that a mask or an index array selects."""
        return Frames(
            tuple(value[rows] for value in self.values),
            self.times[rows],
            self.mask[rows],
            {head: target[rows] for head, target in self.targets.items()},
        )

    def batch(self, rows: NDArray[np.int64], device: torch.device, two_way: bool) -> tuple[Tensor, ...]:
        """Return what the network takes of some streams, cut to the longest of them."""
        longest = int(self.mask[rows].sum(axis=1).max())

        def cut(column: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(column[rows, :longest])).to(device)

        if len(self.values) == 1:
            crops = cut(self.values[0])
            seen = standard(crops.flatten(0, 1)[:, None].float() / 255)
            return (seen.reshape(*crops.shape[:2], *seen.shape[1:]),)
        interval = np.diff(self.times, axis=1, prepend=self.times[:, :1])
        known = (cut(self.values[0]).float(), cut(self.values[1]), cut(interval)[..., None])
        return (*known, cut(self.mask).float()) if two_way else known

    def taught(
        self, rows: NDArray[np.int64], device: torch.device, heads: Iterable[str]
    ) -> dict[str, Tensor]:
        """Return head -> targets (n, t, c) of some streams, cut to the longest of them."""
        longest = int(self.mask[rows].sum(axis=1).max())
        return {head: torch.from_numpy(self.targets[head][rows, :longest]).to(device) for head in heads}


def encoded(
    streams: Streams,
    encoder: Model | None,
    dtype: type[np.floating] = np.float16,
    on_done: OnDone | None = None,
) -> Frames:
    """Return streams seen through an encoder (embeddings as `dtype`), or as they are.

    `on_done` is called with (streams done, in all).
    """
    values: tuple[NDArray[np.generic], ...] = (streams.frames,)
    if encoder is not None:
        assert encoder.spec.embedding is not None
        n, t = streams.mask.shape
        embedding = np.zeros((n, t, encoder.widths[encoder.spec.embedding]), dtype)
        probabilities = np.zeros((n, t, sum(len(head.labels) for head in encoder.spec.heads)), np.float32)
        for k in range(0, n, _AT_ONCE):
            part = slice(k, k + _AT_ONCE)
            there = streams.mask[part]
            output = encoder(streams.frames[part][there])
            assert output.embedding is not None
            embedding[part][there] = output.embedding
            probabilities[part][there] = np.concatenate(list(output.probabilities.values()), axis=1)
            if on_done is not None:
                on_done(min(k + _AT_ONCE, n), n)
        values = (embedding, probabilities)
    return Frames(values, streams.times, streams.mask, dict(streams.targets))


def _store(frames: Frames, path: Path, key: str) -> None:
    columns: dict[str, Any] = {f"value_{k}": value for k, value in enumerate(frames.values)}
    columns |= {f"target_{head}": target for head, target in frames.targets.items()}
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, key=key, times=frames.times, mask=frames.mask, **columns)
    temporary.replace(path)


def _loaded(path: Path, key: str) -> Frames | None:
    """Return what `_store` has written for the same key."""
    try:
        with path.open("rb") as stream, np.load(stream) as stored:  # else numpy leaves a bad file open
            if str(stored["key"]) != key:
                return None
            names = sorted(name for name in stored.files if name.startswith("value_"))
            targets = {
                name.removeprefix("target_"): stored[name]
                for name in stored.files
                if name.startswith("target_")
            }
            return Frames(tuple(stored[name] for name in names), stored["times"], stored["mask"], targets)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
