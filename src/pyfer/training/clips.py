"""Learning from clips that have one label each: frames of a face on its way to the apex of an expression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pyfer.datasets import Clips
from pyfer.models import Model
from pyfer.streams import Streams, StreamSettings, disturbed
from pyfer.training.loop import Metrics
from pyfer.training.sequences import Frames, Sequences, encoded
from pyfer.training.settings import Settings

MILD = StreamSettings(occlusion=0, false=0, blur=0, noise=0.03)
"""How the views of a clip differ: motion, light and noise."""
PASSES = (0.0, 0.4, 0.5, 0.6)
"""Seconds of the four frames of a clip: made up, as data sets do not say them."""
_WHITE = 255


def views(clips: Clips, encoder: Model, count: int, seed: int) -> Frames:
    """Return clips as an encoder sees them: as they are, mirrored, and `count` times a little moved and lit.

    Clips without their first frame have one frame less. The rows of a clip follow each other.

    Returns
    -------
    `Frames` with n (count + 2) rows and without targets.
    """
    n, t, h, w = clips.frames.shape
    rng = np.random.default_rng(seed)
    times, mask = _clock(clips, count)
    rows = np.zeros((n, count + 2, t, h, w), np.uint8)
    for k, frames in enumerate(clips.frames):
        rows[k, 0], rows[k, 1] = frames, frames[..., ::-1]
        for view in range(count):
            rows[k, view + 2] = disturbed(frames / np.float32(_WHITE), times[0], frames, MILD, rng)
    frames = rows.reshape(-1, t, h, w)
    late = ~mask[:, -1]
    frames[late, :-1] = frames[late, 1:]
    return encoded(Streams(frames, times, mask, {}, {}, np.zeros_like(times)), encoder, np.float32)


def _clock(clips: Clips, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return times and mask of the views, (n (count + 2), t); what a clip lacks is missing at its end."""
    t = clips.frames.shape[1]
    there = np.arange(t) < clips.present.sum(axis=1, keepdims=True)
    mask = np.repeat(there, count + 2, axis=0)
    return np.repeat(np.asarray(PASSES[-t:], np.float32)[None], len(mask), axis=0), mask


def stacked(frames: Frames) -> NDArray[np.float32]:
    """Return what `views` gave as one array, which `frames_of` takes apart again."""
    return np.concatenate([np.asarray(value, np.float32) for value in frames.values], axis=2)


def frames_of(clips: Clips, count: int, columns: NDArray[np.float32], encoder: Model) -> Frames:
    """Return the `views` of clips that `stacked` made one array of."""
    labels = sum(len(head.labels) for head in encoder.spec.heads)
    return Frames((columns[..., :-labels], columns[..., -labels:]), *_clock(clips, count), {})


def still(frames: Frames) -> Frames:
    """Return films that stand still: the apex alone, as many times as there were frames."""
    last = frames.mask.sum(axis=1) - 1
    rows = np.arange(len(frames))
    values = tuple(np.repeat(value[rows, last][:, None], value.shape[1], axis=1) for value in frames.values)
    return replace(frames, values=values)


class Labelled(Sequences):
    """The task of telling the label of clips; validated on nothing, trained to the end of the schedule."""

    def __init__(
        self,
        settings: Settings,
        frames: Frames,
        truth: NDArray[np.int64],
        labels: tuple[str, ...],
        encoder: Model,
    ) -> None:
        self.settings, self.device, self.encoder = settings, torch.device("cpu"), encoder
        self.labels = {head.name: head.labels for head in encoder.spec.heads}
        head = next(iter(settings.loss.heads))
        columns = np.array([self.labels[head].index(name) for name in labels])
        target = np.zeros((*frames.mask.shape, len(self.labels[head])), np.float32)
        target[np.arange(len(frames)), :, columns[truth]] = 1
        target *= frames.mask[..., None]
        target[frames.mask.sum(axis=1) == frames.mask.shape[1], 0] = 0  # the neutral frame says nothing of it
        self.train = self.held = replace(frames, targets={head: target})
        self.steps = max(1, len(frames) // settings.schedule.batch)

    def validate(self, network: nn.Module) -> Metrics:
        """Return a score that lets the last weights be kept."""
        return {"score": 0.0}


@torch.no_grad()
def apex_probabilities(
    network: nn.Module, frames: Frames, head: str, columns: NDArray[np.int64], two_way: bool
) -> NDArray[np.float32]:
    """Return (n, c): what a network says at the last frame, among some columns of a head."""
    network.eval()
    found = np.zeros((len(frames), len(columns)), np.float32)
    last = torch.from_numpy(frames.mask.sum(axis=1) - 1)
    for rows in np.array_split(np.arange(len(frames)), max(1, len(frames) // 256)):
        z = network(*frames.batch(rows, torch.device("cpu"), two_way))[head]
        apex = z[torch.arange(len(rows)), last[torch.from_numpy(rows)]][:, torch.from_numpy(columns)]
        found[rows] = torch.softmax(apex, 1).numpy()
    return found
