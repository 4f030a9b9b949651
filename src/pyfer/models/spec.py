"""What ``model.json`` says, checked; the numbers of a head.

``model.json`` says everything that is needed to run the network, so a foreign ONNX file runs after one is
written beside it. Its keys::

    format        1
    name          letters, digits, - and _ (also the name of the folder when it is installed)
    kind          cnn | svm | rnn | foreign: what made it; nothing is derived from it
    file          the ONNX file in this folder, usually model.onnx
    sha256        of that file; checked at every load
    window        frames of one prediction. 1: stills. Above 1 with a state: the length of the sequences that
                  it learned from (it goes on for ever). Above 1 without: it takes that many frames at once,
                  looks both ways, and answers for each
    state         what it remembers of a person from frame to frame: list of {"name", "shape"}; the ONNX input
                  NAME (n, *shape) is zeros at first, and the output next_NAME each time after
    encoder       {"model", "sha256"}: an installed model whose answers are the input, instead of pictures
    input         see `pyfer.crops.Preprocessing`: size, color, layout, scale, mean, std, filter, ...
    crop          {"align": true} by landmarks, or {"align": false, "margin": 0.2} by the box
    heads         one or more of {"name", "output", "labels", "activation", "temperature", "bias",
                  "prior"}
    embedding     name of the output with the embedding, or null
    evidence      sha256 of evidence.npz beside it (see `pyfer.evidence`), or left out
    features      sha256 of features.npz beside it (a `pyfer.features.Bank`), whose numbers the ONNX file
                  takes; left out where it takes the crops themselves
    about         anything for people: data, licence, scores, training recipe

A head's ``activation`` is ``logits`` (softmax is applied here, after division by ``temperature`` and
addition of ``bias``) or ``probabilities``. Its ``prior`` is the class prior its probabilities speak for
(uniform when left out). The first head is the default. With an encoder, ``input`` and ``crop`` are the
encoder's and may be left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer import evidence
from pyfer.crops import Preprocessing
from pyfer.emotions import ALIASES
from pyfer.errors import ArgumentError, ModelError, PyferError, did_you_mean
from pyfer.models.folders import find_encoder

FEATURES = "features.npz"
EMBEDDING, PROBABILITIES = "embedding", "probabilities"
"""Inputs of a network with an encoder: float32 (n, e), and (n, c): its heads, calibrated, side by side."""
INTERVAL = "interval"
"""Input, where a network has it: float32 (n, 1), seconds since the person's frame before; 0 at the first."""
MASK = "mask"
"""Input of a network that looks both ways: float32 (n, window), 1 for a frame and 0 for padding."""
_RESERVED = (EMBEDDING, PROBABILITIES, INTERVAL, MASK)
_KEYS = (
    "format",
    "name",
    "kind",
    "file",
    "sha256",
    "window",
    "state",
    "encoder",
    "input",
    "crop",
    "heads",
    "embedding",
    "evidence",
    "features",
    "about",
)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return row-wise softmax of (n, c), shifted by the row maximum so that nothing overflows."""
    z = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True), np.float32)


def shares(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows (n, c) divided by their sums; negative values count as 0, a row of zeros as all alike."""
    positive = np.maximum(values, 1e-300, dtype=np.float64)  # nothing in float32, so zeros stay zeros
    return np.asarray(positive / positive.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Head:
    """One set of labels that a network speaks."""

    name: str
    output: str
    """Name of the ONNX output."""
    labels: tuple[str, ...]
    """Canonical where there is a canonical name, as the model says otherwise."""
    activation: str = "logits"
    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    """Added to the logits after the temperature, one a label; empty means none."""
    prior: tuple[float, ...] = ()
    """Class prior that the probabilities speak for; empty means uniform."""

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ModelError(f"head {self.name!r}: labels={self.labels} must be two or more different names")
        if self.activation not in ("logits", "probabilities"):
            raise ModelError(
                f"head {self.name!r}: activation={self.activation!r} must be logits or probabilities"
            )
        if not 0 < self.temperature < np.inf:
            raise ModelError(f"head {self.name!r}: temperature={self.temperature} must be finite and above 0")
        if self.activation == "probabilities" and self.temperature != 1:
            raise ModelError(
                f"head {self.name!r}: temperature={self.temperature} is for logits; leave it out or at 1"
            )
        self._check_column("prior", self.prior, 0)
        self._check_column("bias", self.bias, -np.inf)
        if self.activation == "probabilities" and self.bias:
            raise ModelError(f"head {self.name!r}: bias={self.bias} is for logits; leave it out")

    def _check_column(self, name: str, values: tuple[float, ...], above: float) -> None:
        if values and not (len(values) == len(self.labels) and all(above < v < np.inf for v in values)):
            rule = "must have one finite value" + (" above 0" if above == 0 else "")
            raise ModelError(f"head {self.name!r}: {name}={values} {rule} for each label")

    def probabilities(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, c) rows that sum to 1 from the network's raw output (n, c)."""
        if self.activation == "logits":
            logits = output / self.temperature
            return softmax(logits + np.asarray(self.bias, np.float32) if self.bias else logits)
        return shares(output)


@dataclass(frozen=True)
class State:
    """Something that a network remembers of a person from frame to frame."""

    name: str
    """Of the ONNX input."""
    shape: tuple[int, ...]
    """Of one person's, without the first axis."""

    def __post_init__(self) -> None:
        if not self.name or self.name in _RESERVED:
            raise ModelError(f"state name={self.name!r} must be a name other than {', '.join(_RESERVED)}")
        if not self.shape or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self.shape):
            raise ModelError(f"state {self.name!r}: shape={self.shape} must be whole numbers of 1 or more")

    @property
    def output(self) -> str:
        """Name of the ONNX output with what is remembered next."""
        return f"next_{self.name}"


@dataclass(frozen=True)
class Encoder:
    """The model whose answers another one takes instead of pictures."""

    model: str
    """Name of an installed model, or a folder (relative to the model's own)."""
    sha256: str
    """Of its network; another is refused."""


@dataclass(frozen=True)
class Spec:
    """What ``model.json`` says, checked."""

    name: str
    kind: str
    file: str
    sha256: str
    window: int
    input: Preprocessing
    align: bool
    margin: float
    heads: tuple[Head, ...]
    embedding: str | None = None
    evidence: str | None = None
    features: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    state: tuple[State, ...] = ()
    encoder: Encoder | None = None

    @property
    def causal(self) -> bool:
        """Whether it goes frame by frame: it needs no later frame for an answer."""
        return self.window == 1 or bool(self.state)

    def head(self, name: str | None = None) -> Head:
        """Return the head called `name`, or the default one."""
        if name is None:
            return self.heads[0]
        for head in self.heads:
            if head.name == name:
                return head
        names = [head.name for head in self.heads]
        raise ArgumentError(
            f"head={name!r} is not a head of model {self.name!r} (it has {', '.join(names)})"
            + did_you_mean(name, names)
        )


def read_spec(folder: Path) -> Spec:
    """Read and check ``model.json`` of a folder, and that of its encoder, without loading a network.

    Raises
    ------
    ModelError
        There is no ``model.json``, it breaks a rule, or the encoder is missing, another one, or unfit.
    """
    path = folder / "model.json"
    tree = _tree(path)
    try:
        wanted = _encoder(tree)
        return _spec(tree, wanted, None if wanted is None else _spec_of_encoder(wanted, folder))
    except PyferError as error:
        raise ModelError(f"{str(path)!r}: {error}") from error


def _tree(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{str(path.parent)!r} is not a model folder: {path.name} cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is not JSON: {error}") from error
    if not isinstance(tree, dict) or tree.get("format") != 1:
        raise ModelError(f"{str(path)!r}: format must be 1 (the only one this version knows)")
    return tree


def _encoder(tree: dict[str, Any]) -> Encoder | None:
    if tree.get("encoder") is None:
        return None
    found = _check_keys("encoder key", _get(tree, "encoder", dict), ("model", "sha256"))
    model = _get(found, "model", str)
    if not model:
        raise ModelError("encoder model='' must be the name of an installed model")
    return Encoder(model, _digest(found, "sha256", "model.onnx"))


def _spec_of_encoder(wanted: Encoder, folder: Path) -> Spec:
    """Return what the encoder's ``model.json`` says, which must be that of the very network `wanted`."""
    path = find_encoder(wanted.model, folder) / "model.json"
    tree = _tree(path)
    for key in ("encoder", "features", "state"):  # of a chain, each could be the cause of what is seen
        if tree.get(key):
            raise ModelError(
                f"encoder model={wanted.model!r} has {key!r}; it must be a network that sees pictures"
            )
    found = _spec(tree)
    if found.window != 1:
        raise ModelError(f"encoder model={wanted.model!r} has window={found.window}, must be 1: stills")
    if found.sha256 != wanted.sha256:
        raise ModelError(
            f"encoder model={wanted.model!r} has sha256 {found.sha256[:12]}..., but this model was trained "
            f"with {wanted.sha256[:12]}...; install that version, or train again"
        )
    return found


def _spec(tree: dict[str, Any], wanted: Encoder | None = None, encoder: Spec | None = None) -> Spec:
    _check_keys("key", tree, _KEYS)
    name, file = (_get(tree, key, str) for key in ("name", "file"))
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
        raise ModelError(f"name={name!r} must be letters, digits, '-' and '_'")
    if Path(file).name != file or file in ("", ".."):
        raise ModelError(f"file={file!r} must be a file in the model folder itself")
    window, state = _sequence(tree)
    input_, align, margin = _seen(tree, encoder)
    heads = tuple(_head(head) for head in _get(tree, "heads", list))
    if not heads or len({head.name for head in heads}) < len(heads):
        raise ModelError("heads must be a list of one or more, with different names")
    return Spec(
        name=name,
        kind=_get(tree, "kind", str),
        file=file,
        sha256=_digest(tree, "sha256", file),
        window=window,
        input=input_,
        align=align,
        margin=margin,
        heads=heads,
        embedding=None if tree.get("embedding") is None else _get(tree, "embedding", str),
        evidence=None if tree.get("evidence") is None else _digest(tree, "evidence", evidence.FILE),
        features=None if tree.get("features") is None else _digest(tree, "features", FEATURES),
        about=_get(tree, "about", dict, {}),
        state=state,
        encoder=wanted,
    )


def _sequence(tree: dict[str, Any]) -> tuple[int, tuple[State, ...]]:
    """Return how many frames a prediction has, and what is remembered from one to the next."""
    window: int = _get(tree, "window", int, 1)
    if window < 1:
        raise ModelError(f"window={window} must be 1 (stills) or more, a number of frames")
    state = []
    for each in [] if tree.get("state") is None else _get(tree, "state", list):
        if not isinstance(each, dict):
            raise ModelError(f"state holds {each!r}, must be objects with name and shape")
        _check_keys("state key", each, ("name", "shape"))
        state.append(State(_get(each, "name", str), tuple(_get(each, "shape", list))))
    if len({each.name for each in state}) < len(state):
        raise ModelError("state must be a list with different names")
    if state and window == 1:
        raise ModelError(
            "window=1 is for stills; with a state it must be the length of the sequences it learned from"
        )
    return window, tuple(state)


def _seen(tree: dict[str, Any], encoder: Spec | None) -> tuple[Preprocessing, bool, float]:
    """Return what is done to crops, whether they are aligned, and the margin; an encoder says it for both."""
    if encoder is not None:
        if tree.get("features") is not None:
            raise ModelError("features and encoder exclude each other: either says what the network takes")
        tree = {
            "input": encoder.input.to_dict(),
            "crop": {"align": encoder.align, "margin": encoder.margin},
            **{key: tree[key] for key in ("input", "crop") if key in tree},
        }
    crop = _check_keys("crop key", _get(tree, "crop", dict, {}), ("align", "margin"))
    align, margin = _get(crop, "align", bool, True), float(_get(crop, "margin", float, 0.0))
    if not -0.5 < margin <= 2:
        raise ModelError(f"margin={margin} must lie in -0.5..2, fractions of the box")
    input_ = Preprocessing.from_dict(_get(tree, "input", dict))
    if encoder is not None and input_ != encoder.input:
        raise ModelError("input must be that of the encoder; leave it out")
    if encoder is not None and (align, margin) != (encoder.align, encoder.margin):
        raise ModelError("crop must be that of the encoder; leave it out")
    if tree.get("features") is not None and (input_.dtype, input_.layout) != ("uint8", "nhwc"):
        raise ModelError(
            "features need input dtype 'uint8', layout 'nhwc' and scale 1: they take gray levels"
        )
    return input_, align, margin


def _head(tree: object) -> Head:
    if not isinstance(tree, dict):
        raise ModelError(f"heads holds {tree!r}, must be objects with name, output and labels")
    _check_keys("head key", tree, tuple(Head.__dataclass_fields__))
    labels = _get(tree, "labels", list)
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise ModelError(f"labels={labels!r} must be names")
    words = (label.strip().lower() for label in labels)
    return Head(
        name=_get(tree, "name", str),
        output=_get(tree, "output", str),
        labels=tuple(ALIASES.get(word, word) for word in words),
        activation=_get(tree, "activation", str, "logits"),
        temperature=float(_get(tree, "temperature", float, 1.0)),
        bias=_numbers(tree, "bias"),
        prior=_numbers(tree, "prior"),
    )


def _numbers(tree: dict[str, Any], key: str) -> tuple[float, ...]:
    return tuple(float(_get({key: value}, key, float)) for value in _get(tree, key, list, []))


_JSON = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_JSON |= {list: "a list [...]", dict: "an object {...}"}


def _digest(tree: dict[str, Any], key: str, file: str) -> str:
    digest: str = _get(tree, key, str).lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ModelError(f"{key}={digest!r} must be 64 hexadecimal digits; 'sha256sum {file}' prints them")
    return digest


def _check_keys(what: str, tree: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    for key in tree:
        if key not in known:
            raise ModelError(f"{what} {key!r} is not known{did_you_mean(key, known)}")
    return tree


def _get(tree: dict[str, Any], key: str, kind: type, default: Any = None) -> Any:
    """Return `key` of a JSON object, which must be of `kind`; there is no default where it is None."""
    if key not in tree and default is None:
        raise ModelError(f"key {key!r} is missing")
    value = tree.get(key, default)
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise ModelError(f"{key}={value!r} must be {_JSON[kind]}")
    return value
