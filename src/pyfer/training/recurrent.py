"""Recurrent networks: what a face showed before helps to read what it shows now.

Two of them, both a step a frame, with a memory that starts at zero:

- `Filter` looks at what a convolutional network (its encoder) says of each frame: embedding and
  probabilities. A GRU (Cho et al. 2014) or LSTM (Hochreiter & Schmidhuber 1997) decides how much of the new
  frame to believe and how much of what was there: exponential smoothing with learned, changing weights. At
  the first frame it says what its encoder says, so a still picture is read alike with and without it. It
  smooths the embedding too, so what reads that (combined emotions) gains as well.
- `ConvLstm` looks at the frames themselves (Shi et al. 2015: the gates are convolutions).

Shapes: b faces, t frames, e numbers of an embedding, c labels of all heads together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyfer.errors import TrainingError
from pyfer.models import Model
from pyfer.training.network import Block
from pyfer.training.settings import RecurrentSettings, Settings

LEAST = 1e-3
"""Least probability whose logarithm is taken."""
SLOW, FAST = 0.15, 0.5
"""Share of a new frame in the two fixed smoothings; what a frame is compared with."""
_LEAST_INTERVAL = 1e-2  # seconds, whose logarithm is taken

Outputs = dict[str, Tensor]


class Recurrent(nn.Module):
    """What both have in common: one step, and all steps of a film at once."""

    inputs: tuple[str, ...]
    """Names of what a step takes, besides the memory."""
    memory: tuple[int, ...]
    """Shape of one face's memory."""
    two_way = False

    def step(self, values: tuple[Tensor, ...], memory: Tensor) -> tuple[Outputs, Tensor]:
        """Return the outputs for one frame of each of b faces, and their new memories (b, ...)."""
        raise NotImplementedError

    def forward(self, *values: Tensor) -> Outputs:
        """Return {head: logits (b, t, c), ..., "embedding": (b, t, e)} of films: what steps give."""
        raise NotImplementedError


class Filter(Recurrent):
    """GRU or LSTM over what an encoder says of each frame.

    Parameters
    ----------
    settings
        Cell, width, whether it looks both ways.
    embedding
        Numbers of the encoder's embedding.
    heads
        The encoder's heads, name -> number of labels: `probabilities` are theirs side by side.
    """

    inputs: tuple[str, ...] = ("embedding", "probabilities", "interval")

    def __init__(self, settings: RecurrentSettings, embedding: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.heads, self.size, self.two_way = dict(heads), embedding, settings.two_way
        self.inertia = settings.inertia
        if self.two_way:
            self.inputs = (*Filter.inputs, "mask")
        ways, labels = 2 if self.two_way else 1, sum(heads.values())
        passes = [Pass(settings, embedding, labels) for _ in range(ways)]
        self.passes = nn.ModuleList(passes)
        self.own = passes[0].memory
        """Numbers that a pass remembers; the answer follows them."""
        self.dropout = nn.Dropout(settings.dropout)
        self.blind = nn.Dropout(0.5)  # what it says must not hang on single numbers of the embedding
        self.direct = settings.direct
        self.norm = nn.LayerNorm(embedding) if self.direct else nn.Identity()
        seen = 2 * embedding if self.direct else 0
        self.change = nn.Linear(ways * settings.width + seen, labels)
        nn.init.zeros_(self.change.weight)  # what the encoder says is the start
        nn.init.zeros_(self.change.bias)
        self.memory = (self.own + labels,)
        self.temperature = dict.fromkeys(heads, 1.0)
        """Divides the logits of a head from the second frame on: at the first, the encoder's own counts."""

    def forward(self, *values: Tensor) -> Outputs:
        """Return {head: logits (b, t, c), ..., "embedding": (b, t, e)} of whole films.

        Parameters
        ----------
        values
            embedding (b, t, e), probabilities (b, t, c), interval (b, t, 1) in seconds; and if it looks both
            ways, mask (b, t): 1 for a frame, 0 for what fills up at the end.
        """
        frames, interval = _frames(*values[:2]), values[2]
        memory = frames.new_zeros((len(frames), self.own))
        hidden, smooth, novel, _ = self.passes[0](frames, interval, memory)
        begun = torch.ones_like(interval)
        begun[:, 0] = 0
        if self.two_way:
            back = _reversed(values[3])  # (b, t) the place of each frame when the film runs backwards
            ahead, passed = _taken(frames, back), _until(interval, back)
            found = [_taken(x, back) for x in self.passes[1](ahead, passed, memory)[:3]]
            hidden, novel = torch.cat([hidden, found[0]], -1), torch.cat([novel, found[2]], -1)
            smooth = (smooth + found[1]) / 2
            alone = values[3].sum(1) < 2  # nothing before or after: as a still
            begun = torch.where(alone[:, None, None], torch.zeros_like(begun), torch.ones_like(begun))
        logits = self._changed(frames, hidden, smooth, novel, begun)
        return self._spoken(self._steadied(logits, begun), smooth, begun)

    def step(self, values: tuple[Tensor, ...], memory: Tensor) -> tuple[Outputs, Tensor]:
        """Return the outputs for one frame of each face, and the memories (b, m)."""
        frames, interval = _frames(values[0], values[1])[:, None], values[2][:, None]
        own, answer = torch.split(memory, [self.own, sum(self.heads.values())], 1)
        begun = own[:, -1:, None]
        hidden, smooth, novel, own = self.passes[0](frames, interval, own)
        logits = self._changed(frames, hidden, smooth, novel, begun)[:, 0]
        logits = logits + self.inertia * begun[:, 0] * answer
        memory = torch.cat([own, self._answer(logits)], 1)
        return self._spoken(logits, smooth[:, 0], begun[:, 0]), memory

    def _changed(
        self, frames: Tensor, hidden: Tensor, smooth: Tensor, novel: Tensor, begun: Tensor
    ) -> Tensor:
        """Return (b, t, c): the smoothed log-probabilities, and what the course of the film adds to them."""
        seen = self.dropout(hidden)
        if self.direct:
            now = frames[..., : self.size]
            told = torch.cat([self.norm(now), self.norm(now) - self.norm(now - novel[..., : self.size])], -1)
            seen = torch.cat([seen, self.blind(told)], -1)
        added: Tensor = self.change(seen)
        return smooth[..., self.size :] + begun * added

    def _steadied(self, logits: Tensor, begun: Tensor) -> Tensor:
        """Return logits (b, t, c), the answer before added: what has been said is easier to say again."""
        if self.training or not self.inertia:  # a network that learns with it learns to work against it
            return logits
        steps = [logits[:, 0]]
        for k in range(1, logits.shape[1]):
            steps += [logits[:, k] + self.inertia * begun[:, k] * self._answer(steps[-1])]
        return torch.stack(steps, 1)

    def _answer(self, logits: Tensor) -> Tensor:
        parts = torch.split(logits, list(self.heads.values()), -1)
        return torch.cat([torch.softmax(part, -1) for part in parts], -1)

    def _spoken(self, logits: Tensor, smooth: Tensor, begun: Tensor) -> Outputs:
        parts = zip(self.heads, torch.split(logits, list(self.heads.values()), -1), strict=True)
        spoken = {name: part / (1 + begun * (self.temperature[name] - 1)) for name, part in parts}
        return spoken | {"embedding": smooth[..., : self.size]}


class Pass(nn.Module):
    """One way through a film: two fixed smoothings tell what is new; a GRU or LSTM steers a third.

    The steered one is ``s <- s + g (x - s)``, with a gate g of 0..1 for the embedding and one for the
    log-probabilities; at the first frame s = x.
    """

    def __init__(self, settings: RecurrentSettings, embedding: int, labels: int) -> None:
        super().__init__()
        self.size, self.numbers = embedding, embedding + labels
        self.norm = nn.LayerNorm(embedding)
        self.blind = nn.Dropout(0.4)
        self.view = nn.Linear(embedding, 32)
        self.inner = nn.Linear(32 + 2 * labels + 5, settings.inner)
        self.dropout = nn.Dropout(settings.dropout)
        layer = nn.LSTM if settings.cell == "lstm" else nn.GRU
        self.layer = layer(settings.inner, settings.width, batch_first=True)
        self.gate = nn.Linear(settings.width, 2)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -1.0)  # believes about a quarter of a new frame
        self.hidden = settings.width * (2 if settings.cell == "lstm" else 1)
        self.memory = self.hidden + 3 * self.numbers + 1

    def forward(
        self, frames: Tensor, interval: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Go through frames (b, t, n), embedding and log-probabilities.

        Returns
        -------
        Hidden states (b, t, width), smoothed frames (b, t, n), how far the embedding is from what it was
        (b, t, e), and the new memory (b, m).
        """
        n = self.numbers
        state, smooth, slow, fast, begun = torch.split(memory, [self.hidden, n, n, n, 1], 1)
        slow, before = _smoothed(frames, slow, begun, SLOW)
        fast, just = _smoothed(frames, fast, begun, FAST)
        hidden, state = self._run(self._seen(frames, interval, before, just), state)
        gates = torch.sigmoid(self.gate(hidden))
        wide = (gates[..., :1].expand(-1, -1, self.size), gates[..., 1:].expand(-1, -1, n - self.size))
        smooth, steps = _steered(frames, torch.cat(wide, -1), smooth, begun)
        memory = torch.cat([state, smooth, slow, fast, torch.ones_like(begun)], 1)
        return hidden, steps, frames[..., : self.size] - before[..., : self.size], memory

    def _seen(self, frames: Tensor, interval: Tensor, before: Tensor, just: Tensor) -> Tensor:
        """Return what the recurrent layer takes, (b, t, inner)."""
        embedding, logs = frames[..., : self.size], frames[..., self.size :]
        novelty = [torch.log(interval.clamp(min=_LEAST_INTERVAL))]
        for past in (before, just):
            turned = 1 - torch.cosine_similarity(embedding, past[..., : self.size], -1)
            novelty += [4 * turned[..., None], (logs - past[..., self.size :]).abs().mean(-1, keepdim=True)]
        view = self.view(self.blind(self.norm(embedding)))
        x = torch.cat([view, logs / 2, before[..., self.size :] / 2, *novelty], -1)
        inner: Tensor = self.dropout(F.relu(self.inner(x)))
        return inner

    def _run(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.layer, nn.LSTM):
            shown, cell = (part[None].contiguous() for part in torch.chunk(state, 2, 1))
            hidden, (shown, cell) = self.layer(x, (shown, cell))
            return hidden, torch.cat([shown[0], cell[0]], 1)
        hidden, last = self.layer(x, state[None].contiguous())
        return hidden, last[0]


def _frames(embedding: Tensor, probabilities: Tensor) -> Tensor:
    """Return embedding and log-probabilities side by side."""
    return torch.cat([embedding, torch.log(probabilities.clamp(min=LEAST))], -1)


def _smoothed(frames: Tensor, past: Tensor, begun: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Return the mean after the last frame (b, n), and that before each frame (b, t, n)."""
    steps = []
    for k in range(frames.shape[1]):
        past = begun * past + (1 - begun) * frames[:, k]
        steps.append(past)
        past = past + rate * (frames[:, k] - past)
        begun = torch.ones_like(begun)
    return past, torch.stack(steps, 1)


def _steered(frames: Tensor, gates: Tensor, smooth: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smoothed numbers after the last frame (b, n), and at each frame (b, t, n)."""
    steps = []
    for k in range(frames.shape[1]):
        gate = gates[:, k] * begun + (1 - begun)
        smooth = smooth + gate * (frames[:, k] - smooth)
        begun = torch.ones_like(begun)
        steps.append(smooth)
    return smooth, torch.stack(steps, 1)


def _until(interval: Tensor, back: Tensor) -> Tensor:
    """Return the intervals (b, t, 1) when the film runs backwards: the first frame has none before it."""
    following = torch.cat([interval[:, 1:], torch.zeros_like(interval[:, :1])], 1)
    passed = _taken(following, back)
    passed[:, 0] = 0
    return passed


class ConvLstm(Recurrent):
    """Convolutional LSTM over the frames themselves.

    Parameters
    ----------
    settings
        ``width`` channels of the memory, ``inner`` of what leads to it.
    heads
        head name -> number of labels.
    side
        Pixels of a crop's side, a multiple of 4.
    """

    inputs = ("input",)

    def __init__(self, settings: RecurrentSettings, heads: Mapping[str, int], side: int) -> None:
        super().__init__()
        inner, width = settings.inner, settings.width
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),  # (b, 4, 24, 24)
            nn.Conv2d(4, inner // 2, 3, 1, 1, bias=False),
            nn.BatchNorm2d(inner // 2),
            nn.ReLU(),
            Block(inner // 2, inner, 2),  # (b, inner, 12, 12)
        )
        self.gates = nn.Conv2d(inner + width, 4 * width, 3, 1, 1)
        self.after = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width, 1))  # (b, ., 6, 6)
        self.dropout = nn.Dropout(settings.dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width, count) for name, count in heads.items()})
        self.width = width
        self.memory = (2 * width, side // 4, side // 4)
        assert self.gates.bias is not None
        with torch.no_grad():
            self.gates.bias[width : 2 * width] = 1.0  # remember at first (Jozefowicz et al. 2015)

    def forward(self, *values: Tensor) -> Outputs:
        """Return {head: logits (b, t, c), ..., "embedding": (b, t, e)} of frames (b, t, 1, s, s)."""
        (frames,) = values
        b, t = frames.shape[:2]
        seen = self.stem(frames.flatten(0, 1))  # all frames at once
        seen = seen.reshape(b, t, *seen.shape[1:])
        memory = frames.new_zeros((b, *self.memory))
        shown = []
        for k in range(t):
            memory = self._remembered(seen[:, k], memory)
            shown.append(memory[:, : self.width])
        outputs = self._spoken(torch.stack(shown, 1).flatten(0, 1))
        return {name: value.reshape(b, t, -1) for name, value in outputs.items()}

    def step(self, values: tuple[Tensor, ...], memory: Tensor) -> tuple[Outputs, Tensor]:
        """Return the outputs for one frame (b, 1, s, s) of each face, and the memories (b, 2 w, s/4, s/4)."""
        memory = self._remembered(self.stem(values[0]), memory)
        return self._spoken(memory[:, : self.width]), memory

    def _remembered(self, seen: Tensor, memory: Tensor) -> Tensor:
        """Return shown and cell state, (b, 2 w, h, w): Shi et al. 2015, equation 3, without peepholes."""
        shown, cell = torch.chunk(memory, 2, 1)
        entry, keep, exit_, new = torch.chunk(self.gates(torch.cat([seen, shown], 1)), 4, 1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(entry) * torch.tanh(new)
        return torch.cat([torch.sigmoid(exit_) * torch.tanh(cell), cell], 1)

    def _spoken(self, shown: Tensor) -> Outputs:
        embedding = self.after(shown).mean((2, 3))
        dropped = self.dropout(embedding)
        return {name: head(dropped) for name, head in self.heads.items()} | {"embedding": embedding}


def built(settings: Settings, heads: Mapping[str, int]) -> Filter | ConvLstm:
    """Return the network that settings of kind ``rnn`` describe, with these heads (name -> labels).

    Raises
    ------
    TrainingError
        The heads are not those of the encoder.
    """
    if settings.rnn.cell == "convlstm":
        return ConvLstm(settings.rnn, heads, settings.schedule.sizes[-1][1])
    encoder = encoder_of(settings)
    theirs = {head.name: len(head.labels) for head in encoder.spec.heads}
    if dict(heads) != theirs:
        raise TrainingError(f"heads={dict(heads)} must be those of the encoder {encoder.name!r}: {theirs}")
    assert encoder.spec.embedding is not None
    return Filter(settings.rnn, encoder.widths[encoder.spec.embedding], heads)


def encoder_of(settings: Settings) -> Model:
    """Return the model whose answers a `Filter` reads.

    Raises
    ------
    TrainingError
        It has no embedding.
    """
    encoder = Model(settings.rnn.encoder, threads=torch.get_num_threads())
    if encoder.spec.embedding is None or encoder.spec.window != 1:
        raise TrainingError(
            f"rnn.encoder={settings.rnn.encoder!r} must be a model of stills with an embedding"
        )
    return encoder


def _reversed(mask: Tensor) -> Tensor:
    """Return (b, t) indices that turn the frames of each film around and leave what fills up at the end."""
    places = torch.arange(mask.shape[1], device=mask.device)[None]
    back = mask.sum(1, keepdim=True).long() - 1 - places
    return torch.where(back >= 0, back, places)


def _taken(x: Tensor, places: Tensor) -> Tensor:
    return torch.gather(x, 1, places[..., None].expand(-1, -1, x.shape[-1]))
