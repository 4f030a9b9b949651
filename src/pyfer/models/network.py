"""The ONNX file of a model: open, run by onnxruntime on the CPU, and checked against its ``model.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ModelError
from pyfer.models.spec import EMBEDDING, INTERVAL, MASK, PROBABILITIES, Spec

Array = NDArray[Any]
Arrays = dict[str, Array]
"""What goes into a network or comes out of it, by name; first axis n."""

BATCH = 64
"""Crops a run of the network: larger batches gain nothing on a CPU and cost memory."""


def cores() -> int:
    """Return how many cores this process may use, which in a container can be fewer than the machine has.

    More threads than that make onnxruntime several times slower: they spin and take turns.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare C++ exceptions of many kinds
        raise ModelError(f"{str(path)!r} is not an ONNX file that onnxruntime can load: {error}") from error


class Network:
    """An open ONNX file that has the inputs and outputs of its spec.

    Parameters
    ----------
    path
        The file; its hash is not looked at.
    spec
        What it must do.
    threads
        Threads of one run; 0 means one for each core that this process may use.

    Raises
    ------
    ModelError
        It is no ONNX file, or its inputs and outputs are not those of the spec.
    """

    def __init__(self, path: Path, spec: Spec, threads: int = 0) -> None:
        self.spec = spec
        self._session = _session(path, threads)
        self._inputs = [each.name for each in self._session.get_inputs()]
        self.seen = self._sees()
        """Names of the inputs that hold what is seen: crops, their features, or an encoder's answers."""
        self.takes_interval = INTERVAL in self._inputs and INTERVAL not in self.seen
        shapes = {each.name: each.shape for each in self._session.get_inputs()}
        first = (shapes[self.seen[0]] or [None])[0]
        self.batch = first if isinstance(first, int) else 0
        """Rows of every run, for networks that take no other number; 0: any."""
        self._answers = self._said()
        self._outputs = [*self._answers, *(state.output for state in spec.state)]
        self.widths: dict[str, int] = {}
        """Output -> how many values it has for a frame; known after `check`."""

    @property
    def two_way(self) -> bool:
        """Whether it takes a window of frames at once."""
        return not self.spec.causal

    def _error(self, text: str) -> ModelError:
        return ModelError(f"model {self.spec.name!r}: {text}")

    def _sees(self) -> tuple[str, ...]:
        """Return the inputs that hold what is seen; the others must be what a network of this kind has."""
        names, spec = self._inputs, self.spec
        needed = [state.name for state in spec.state] + ([MASK] if self.two_way else [])
        for name in needed:
            if name not in names:
                raise self._error(f"its ONNX file has no input {name!r}, only {', '.join(names) or 'none'}")
        plain = spec.window == 1 and spec.encoder is None  # takes pictures alone, whatever their name
        free = [name for name in names if name not in needed and (plain or name != INTERVAL)]
        if spec.encoder is None:
            if len(free) != 1:
                besides = "" if plain else f" besides {', '.join([*needed, INTERVAL])}"
                raise self._error(f"its ONNX file has {len(free)} inputs{besides}, must have one")
            return (free[0],)
        for name in free:
            if name not in (EMBEDDING, PROBABILITIES):
                raise self._error(
                    f"its ONNX file has the input {name!r}, must have {EMBEDDING}, {PROBABILITIES} or "
                    f"both of the encoder, besides {', '.join([*needed, INTERVAL])}"
                )
        if not free:
            raise self._error(f"its ONNX file has neither the input {EMBEDDING} nor {PROBABILITIES}")
        return tuple(free)

    def _said(self) -> list[str]:
        """Return the outputs with answers; they and those with states must be there."""
        available = [output.name for output in self._session.get_outputs()]
        spec = self.spec
        answers = [h.output for h in spec.heads] + ([spec.embedding] if spec.embedding else [])
        for name in [*answers, *(state.output for state in spec.state)]:
            if name not in available:
                raise self._error(f"its ONNX file has no output {name!r}, only {', '.join(available)}")
        return list(dict.fromkeys(answers))

    # --- running --------------------------------------------------------------------------------------------

    def __call__(
        self, seen: Mapping[str, Array], memory: Arrays, interval: Array, mask: Array | None = None
    ) -> tuple[Arrays, Arrays]:
        """Return what it says, and what it remembers then.

        Parameters
        ----------
        seen
            Input -> (n, ...), or (n, window, ...) where it looks both ways; others are ignored.
        memory
            State -> (n, *shape); empty where it has none.
        interval
            (n,) or (n, window) seconds since the frame before; used where the file takes them.
        mask
            (n, window), for one that looks both ways.

        Returns
        -------
        Output -> (n, c) or (n, window, c), and state -> (n, *shape).

        Raises
        ------
        ModelError
            What it remembers is not finite.
        """
        feeds = {name: seen[name] for name in self.seen} | memory
        if self.takes_interval:
            feeds[INTERVAL] = np.asarray(interval, np.float32)[..., None]
        if mask is not None:
            feeds[MASK] = mask
        n = len(feeds[self.seen[0]])
        if not self.batch or n == self.batch:
            values = self._run(feeds)
        else:
            parts = [self._part(feeds, k, n) for k in range(0, n, self.batch)]
            values = [np.concatenate(column) for column in zip(*parts, strict=True)]
        said = dict(zip(self._answers, values, strict=False))
        after = {
            state.name: value
            for state, value in zip(self.spec.state, values[len(self._answers) :], strict=True)
        }
        for name, value in after.items():
            if not np.isfinite(value).all():
                raise self._error(f"output 'next_{name}' holds values that are not finite")
        return said, after

    def _run(self, feeds: Arrays) -> list[Array]:
        """Return the outputs (n, c), (n, window, c) and states (n, *shape) of one run, float32."""
        n = len(feeds[self.seen[0]])
        values = self._session.run(self._outputs, feeds)
        answers = len(self._answers)
        shape = (n, self.spec.window, -1) if self.two_way else (n, -1)
        return [
            np.asarray(value, np.float32).reshape(shape if k < answers else value.shape)
            for k, value in enumerate(values)
        ]

    def _part(self, feeds: Arrays, start: int, n: int) -> list[Array]:
        """Return the outputs for the rows from `start`; where too few are left, the last one repeats."""
        stop = min(start + self.batch, n)
        rows = np.minimum(np.arange(start, start + self.batch), stop - 1)
        return [value[: stop - start] for value in self._run({k: v[rows] for k, v in feeds.items()})]

    def blank_memory(self, n: int) -> Arrays:
        """Return what it remembers of n persons whom it never saw: state -> zeros (n, *shape)."""
        return {state.name: np.zeros((n, *state.shape), np.float32) for state in self.spec.state}

    def widened(self, seen: Array) -> Array:
        """Return (n, window, ...) of (n, ...): n films of one frame, padded with zeros."""
        rest = np.zeros((len(seen), self.spec.window - 1, *seen.shape[1:]), seen.dtype)
        return np.concatenate([seen[:, None], rest], axis=1)

    def mask_of_one(self, n: int) -> NDArray[np.float32]:
        """Return the mask (n, window) of n films of one frame."""
        mask = np.zeros((n, self.spec.window), np.float32)
        mask[:, 0] = 1
        return mask

    # --- checking -------------------------------------------------------------------------------------------

    def check(self, seen: Mapping[str, Array]) -> None:
        """Run it once on what blank crops give: shapes and labels must fit, else it is refused.

        Parameters
        ----------
        seen
            Input -> (n, ...); n is `batch` where that is set. For one that looks both ways these are n films
            of one frame each.
        """
        spec = self.spec
        n = len(next(iter(seen.values())))
        feeds = {name: seen[name] for name in self.seen} | self.blank_memory(n)
        if self.two_way:
            feeds = {name: self.widened(value) for name, value in feeds.items()}
            feeds[MASK] = self.mask_of_one(n)
        if self.takes_interval:
            feeds[INTERVAL] = np.zeros((n, spec.window, 1) if self.two_way else (n, 1), np.float32)
        try:
            values = dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))
            if self.two_way:
                widths = {name: values[name].shape[-1] for name in self._answers}
            else:
                widths = {name: values[name].reshape(n, -1).shape[1] for name in self._answers}
        except Exception as error:  # onnxruntime raises bare C++ exceptions of many kinds
            raise self._error(f"its ONNX file does not take the input of model.json: {error}") from error
        self.widths = widths
        self._check_labels()
        if spec.window > 1:
            self._check_sequence(values, n)

    def _check_labels(self) -> None:
        for head in self.spec.heads:
            if (width := self.widths[head.output]) != len(head.labels):
                raise self._error(
                    f"output {head.output!r} has {width} values, model.json gives {len(head.labels)} labels"
                )

    def _check_sequence(self, values: Mapping[str, Array], n: int) -> None:
        """Check what still networks are not asked: exact shapes, and finite values for blank crops."""
        frames = (self.spec.window,) if self.two_way else ()
        wanted = {name: (n, *frames, self.widths[name]) for name in self._answers}
        wanted |= {state.output: (n, *state.shape) for state in self.spec.state}
        for name, shape in wanted.items():
            if values[name].shape != shape:
                raise self._error(f"output {name!r} has shape {values[name].shape}, must be {shape}")
            if values[name].dtype != np.float32:
                raise self._error(f"output {name!r} is {values[name].dtype}, must be float32")
            if not np.isfinite(values[name]).all():
                raise self._error(f"output {name!r} holds values that are not finite")
