"""A loaded model folder: crops in, probabilities and embeddings out, with a memory of persons or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyfer import evidence
from pyfer.errors import ArgumentError, ModelError
from pyfer.evidence import Evidence
from pyfer.features import Bank
from pyfer.files import sha256
from pyfer.models.folders import check_hash, find, find_encoder
from pyfer.models.network import BATCH, Arrays, Network
from pyfer.models.sequences import Crops, Floats, Frames, check_films, steps, windows
from pyfer.models.spec import EMBEDDING, FEATURES, PROBABILITIES, Spec, read_spec

OnDone = Callable[[int, int], None]
"""Progress of a long piece of work: called with (done, in all)."""
Memory = dict[str, NDArray[Any]]
"""What a model remembers of one person: state -> array of its shape. Not to be changed."""


@dataclass(frozen=True)
class Output:
    """What a model says about n crops."""

    probabilities: dict[str, NDArray[np.float32]]
    """head -> (n, c), rows sum to 1."""
    embedding: NDArray[np.float32] | None
    """(n, e), where the model has one; the encoder's, where it has an encoder and none of its own."""


class Recogniser(Protocol):
    """What a pipeline needs of a model: `Model`, or anything of the same shape.

    One that goes through films with a memory has ``step``, too, as `Model` has; see `stepped`.
    """

    @property
    def spec(self) -> Spec:
        """What it takes and says."""
        ...

    def __call__(self, crops: NDArray[np.uint8]) -> Output:
        """Recognise crops (n, s, s, 3) RGB."""
        ...


class Model:
    """A loaded model folder.

    Parameters
    ----------
    folder
        A model folder, or the name of an installed model; None is the one that ships with pyFER.
    threads
        Threads of one run; 0 means one for each core that this process may use.

    Raises
    ------
    ModelError
        The folder is missing, damaged, foreign, or its ONNX file does not do what ``model.json`` says; or its
        encoder is missing, or another one.
    MissingExtraError
        It takes features, and a library that computes them is not installed.
    """

    encoder: Model | None
    """The model whose answers it takes instead of pictures."""

    def __init__(self, folder: str | Path | None = None, *, threads: int = 0) -> None:
        if threads < 0:
            raise ArgumentError(f"threads={threads!r} must be 0 (all cores) or more")
        self.folder = find(folder)
        self._spec = read_spec(self.folder)
        path = self.folder / self.spec.file
        check_hash(path, self.spec.sha256)
        if self.spec.evidence is not None:
            check_hash(self.folder / evidence.FILE, self.spec.evidence)
        self._bank = None
        if self.spec.features is not None:
            check_hash(self.folder / FEATURES, self.spec.features)
            self._bank = Bank.load(self.folder / FEATURES)
        self.encoder = None
        if self.spec.encoder is not None:
            self.encoder = _shared(find_encoder(self.spec.encoder.model, self.folder), threads)
            threads = 1  # next to its encoder it is small, and threads that wait would spin
        self._network = Network(path, self.spec, threads)
        if self.encoder is not None and EMBEDDING in self._network.seen and not self.encoder.spec.embedding:
            raise ModelError(
                f"model {self.name!r}: its ONNX file takes the embedding of its encoder, but model "
                f"{self.encoder.name!r} gives none"
            )
        side = self.spec.input.size
        rows = self._network.batch or (3 if self.spec.window == 2 else 2)  # not to be taken for the window
        self._network.check(self._seen(np.zeros((rows, side, side, 3), np.uint8)))

    @property
    def spec(self) -> Spec:
        """What ``model.json`` says."""
        return self._spec

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.spec.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the default head."""
        return self.spec.heads[0].labels

    @property
    def widths(self) -> dict[str, int]:
        """Output of the ONNX file -> how many values it has for a crop."""
        return self._network.widths

    @cached_property
    def evidence(self) -> Evidence:
        """What reads combined emotions out of its answers: its own file, the encoder's, or the one for any.

        The encoder's counts only where it can read this model: an embedding of another width it cannot.
        """
        if self.spec.evidence is not None:
            return evidence.load(self.folder / evidence.FILE)
        if self.encoder is not None:
            found, own = self.encoder.evidence, self.spec.embedding
            if found.kind != "embedding" or own is None or self.widths[own] == len(found.weight):
                return found
        return evidence.of_any_model()

    # --- stills ---------------------------------------------------------------------------------------------

    def __call__(self, crops: Crops) -> Output:
        """Recognise crops (n, s, s) gray or (n, s, s, 3) RGB, as `crop` and `input` of the spec ask for.

        Each is a face by itself. For a model that goes through films, each is a film of one frame.
        """
        at_once = self.spec.window if self._network.two_way and self.encoder is None else 1
        batch = max(1, BATCH // at_once, self._network.batch)
        parts = [self._stills(crops[k : k + batch]) for k in range(0, max(1, len(crops)), batch)]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _stills(self, crops: Crops) -> Output:
        network, n = self._network, len(crops)
        if not n:
            nothing = {name: np.zeros((0, width), np.float32) for name, width in self.widths.items()}
            return self._output(nothing, {} if self.encoder is None else self._seen(crops))
        seen = self._seen(crops)
        if network.two_way:
            mask = network.mask_of_one(n)
            said, _ = network(
                {name: network.widened(seen[name]) for name in network.seen}, {}, np.zeros_like(mask), mask
            )
            said = {name: value[:, 0] for name, value in said.items()}
        else:
            said, _ = network(seen, network.blank_memory(n), np.zeros(n))
        return self._output(said, seen)

    def _seen(self, crops: Crops) -> Arrays:
        """Return what the network takes of crops (n, s, s[, 3]): input -> (n, ...)."""
        if self.encoder is not None:
            output = self.encoder(crops)
            columns = [output.probabilities[head.name] for head in self.encoder.spec.heads]
            seen = {PROBABILITIES: np.concatenate(columns, axis=1)}
            return seen if output.embedding is None else seen | {EMBEDDING: output.embedding}
        x: NDArray[Any] = self.spec.input(crops)
        if self._bank is not None:
            x = self._bank(x[..., 0] if x.shape[-1] == 1 else x)  # (n, size, size[, 3]) -> (n, width)
        return {self._network.seen[0]: x}

    def _output(self, said: Arrays, seen: Arrays) -> Output:
        """Return what raw outputs (n, c) mean; `seen` is what they answer to."""
        for name, values in said.items():
            if not np.isfinite(values).all():
                raise ModelError(f"model {self.name!r}: output {name!r} holds values that are not finite")
        own = self.spec.embedding
        embedding = said[own] if own else None if self.encoder is None else seen.get(EMBEDDING)
        return Output(
            {head.name: head.probabilities(said[head.output]) for head in self.spec.heads}, embedding
        )

    # --- films ----------------------------------------------------------------------------------------------

    def step(
        self, crops: Crops, memories: Sequence[Memory | None], interval: ArrayLike
    ) -> tuple[Output, list[Memory | None]]:
        """Recognise one frame of each of n persons, in the light of what was seen of them before.

        Parameters
        ----------
        crops
            (n, s, s) gray or (n, s, s, 3) RGB: the face of each person now.
        memories
            What the last step gave for each; None for a person who is seen for the first time.
        interval
            (n,) seconds since the frame before of that person; not looked at where there is no memory.

        Returns
        -------
        What it says, and what it remembers of each person: None if it is a model for stills.

        Raises
        ------
        ArgumentError
            The model looks both ways; the numbers do not fit; a memory is another model's.
        """
        if self._network.two_way:
            raise ArgumentError(
                f"model={self.name!r} takes {self.spec.window} frames at once and looks both ways, so it "
                "cannot go frame by frame; use film(), or a model with a state"
            )
        wait = _waits(len(crops), memories, interval)
        if not self.spec.state or not len(crops):
            return self(crops), [None] * len(crops)
        seen = self._seen(crops)
        said, after = self._network(seen, self._recalled(memories), wait)
        kept: list[Memory | None] = [
            {name: value[i] for name, value in after.items()} for i in range(len(crops))
        ]
        return self._output(said, seen), kept

    def film(self, crops: Crops, times: ArrayLike) -> Output:
        """Recognise the frames of one person: crops (t, s, s[, 3]) at `times` (t,), seconds; see `films`."""
        return self.films([crops], [times])[0]

    def films(self, crops: Sequence[Crops], times: Sequence[ArrayLike]) -> list[Output]:
        """Recognise the frames of many persons, side by side.

        A model with a state takes a step a frame. One that looks both ways takes windows that overlap by
        half, and of each the middle half counts. A model for stills answers for each frame by itself.

        Parameters
        ----------
        crops
            For each person (t, s, s) gray or (t, s, s, 3) RGB, in the order of time; of any length.
        times
            For each person (t,) seconds.

        Returns
        -------
        For each person what the model says, a row a frame.

        Raises
        ------
        ArgumentError
            The numbers do not fit, a time goes back, or crops differ in size.
        """
        clocks = check_films(crops, times)
        if self.spec.window == 1:
            return [self(film) for film in crops]
        answers = None if self.encoder is None else [self._seen(film) for film in crops]
        frames = Frames(crops, self._seen, answers)
        said = (windows if self._network.two_way else steps)(self._network, frames, clocks)
        return [self._output(each, answers[i] if answers else {}) for i, each in enumerate(said)]

    def _recalled(self, memories: Sequence[Memory | None]) -> Arrays:
        """Return state -> (n, *shape): what is remembered of each person, zeros of a new one."""
        recalled = self._network.blank_memory(len(memories))
        for i, memory in enumerate(memories):
            if memory is None:
                continue
            if {name: value.shape for name, value in memory.items()} != self._shapes:
                has = ", ".join(f"{name} {value.shape}" for name, value in memory.items())
                raise ArgumentError(
                    f"memories[{i}] holds {has or 'nothing'}, must be what an earlier step of model "
                    f"{self.name!r} gave, or None"
                )
            for name, value in memory.items():
                recalled[name][i] = value
        return recalled

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {state.name: state.shape for state in self.spec.state}


def stepped(
    recogniser: Recogniser, crops: Crops, memories: Sequence[Memory | None], interval: ArrayLike
) -> tuple[Output, list[Memory | None]]:
    """Take a step with any recogniser; see `Model.step`. One without ``step`` remembers nothing."""
    step = getattr(recogniser, "step", None)
    if step is None:
        return recogniser(crops), [None] * len(crops)
    found: tuple[Output, list[Memory | None]] = step(crops, memories, interval)
    return found


def _waits(n: int, memories: Sequence[Memory | None], interval: ArrayLike) -> Floats:
    """Return the seconds (n,) since each person's frame before, checked; 0 for a new person."""
    wait = np.asarray(interval, np.float64)
    if len(memories) != n or wait.shape != (n,):
        raise ArgumentError(
            f"memories has {len(memories)} persons and interval shape {wait.shape}; there must be one for "
            f"each of the {n} crops"
        )
    known = np.array([memory is not None for memory in memories], bool)
    wait = np.where(known, wait, 0.0)
    if not (np.isfinite(wait) & (wait >= 0)).all():
        raise ArgumentError(f"interval={wait.tolist()} must be finite seconds of 0 or more")
    return wait


def _joined(parts: Sequence[Output]) -> Output:
    embeddings = [part.embedding for part in parts if part.embedding is not None]
    return Output(
        {
            name: np.concatenate([part.probabilities[name] for part in parts])
            for name in parts[0].probabilities
        },
        np.concatenate(embeddings) if embeddings else None,
    )


def _shared(folder: Path, threads: int) -> Model:
    """Return the model in a folder; those who share it share its network, which is open once."""
    check_hash(folder / (spec := read_spec(folder)).file, spec.sha256)
    return _opened(folder.resolve(), sha256(folder / "model.json"), threads)


@lru_cache(maxsize=2)
def _opened(folder: Path, description: str, threads: int) -> Model:
    return Model(folder, threads=threads)
