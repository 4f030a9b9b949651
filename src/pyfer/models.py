"""Recognisers as folders: ``model.onnx``, ``model.json``, a card. SVM, CNN and RNN are one runtime class.

``model.json`` says everything that is needed to run the network, so a foreign ONNX file runs after one is
written beside it. Its keys::

    format        1
    name          letters, digits, - and _ (also the name of the folder when it is installed)
    kind          cnn | svm | rnn | foreign: what made it; nothing is derived from it
    file          the ONNX file in this folder, usually model.onnx
    sha256        of that file; checked at every load
    window        frames a prediction looks at (1 for stills)
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
(uniform when left out). The first head is the default.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pyfer import evidence
from pyfer.crops import Preprocessing
from pyfer.emotions import ALIASES
from pyfer.errors import ArgumentError, ModelError, PyferError, did_you_mean
from pyfer.evidence import Evidence
from pyfer.features import KINDS as KINDS
from pyfer.features import Bank, Codebook, Feature, register
from pyfer.files import home as home
from pyfer.files import replace_folder, sha256

OnDone = Callable[[int, int], None]
"""Progress of a long piece of work: called with (done, in all)."""

DEFAULT_MODEL = "base"
FEATURES = "features.npz"
BATCH = 64
"""Crops a run of the network: larger batches gain nothing on a CPU and cost memory."""
_SHIPPED = Path(__file__).parent / "weights"
_KEYS = (
    "format",
    "name",
    "kind",
    "file",
    "sha256",
    "window",
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


@dataclass(frozen=True)
class Output:
    """What a model says about n crops."""

    probabilities: dict[str, NDArray[np.float32]]
    """head -> (n, c), rows sum to 1."""
    embedding: NDArray[np.float32] | None
    """(n, e), where the model has one."""


class Recogniser(Protocol):
    """What a pipeline needs of a model: `Model`, or anything of the same shape."""

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
        The folder is missing, damaged, foreign, or its ONNX file does not do what ``model.json`` says.
    MissingExtraError
        It takes features, and a library that computes them is not installed.
    """

    def __init__(self, folder: str | Path | None = None, *, threads: int = 0) -> None:
        if threads < 0:
            raise ArgumentError(f"threads={threads!r} must be 0 (all cores) or more")
        self.folder = find(folder)
        self._spec = read_spec(self.folder)
        path = self.folder / self.spec.file
        _check_hash(path, self.spec.sha256)
        if self.spec.evidence is not None:
            _check_hash(self.folder / evidence.FILE, self.spec.evidence)
        self._bank = None
        if self.spec.features is not None:
            _check_hash(self.folder / FEATURES, self.spec.features)
            self._bank = Bank.load(self.folder / FEATURES)
        self._session = _session(path, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ModelError(f"model {self.name!r}: its ONNX file has {len(inputs)} inputs, must have one")
        self._input = inputs[0].name
        first = inputs[0].shape[0] if inputs[0].shape else None
        self._fixed = first if isinstance(first, int) else 0  # foreign networks often take one crop a run
        self._check_outputs()

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

    @cached_property
    def evidence(self) -> Evidence:
        """What reads combined emotions out of its answers: its own file, or the one for any model."""
        if self.spec.evidence is None:
            return evidence.of_any_model()
        return evidence.load(self.folder / evidence.FILE)

    def __call__(self, crops: NDArray[np.uint8]) -> Output:
        """Recognise crops (n, s, s) gray or (n, s, s, 3) RGB, as `crop` and `input` of the spec ask for."""
        step = self._fixed or BATCH
        parts = [self._run(crops[k : k + step]) for k in range(0, len(crops), step)]
        raw = {
            name: np.concatenate([np.zeros((0, width), np.float32), *(part[name] for part in parts)])
            for name, width in self.widths.items()
        }
        for name, values in raw.items():
            if not np.isfinite(values).all():
                raise ModelError(f"model {self.name!r}: output {name!r} holds values that are not finite")
        embedding = self.spec.embedding
        return Output(
            {head.name: head.probabilities(raw[head.output]) for head in self.spec.heads},
            raw[embedding] if embedding else None,
        )

    def _run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the raw outputs (n, c) by name; where the network wants more crops, the last one repeats."""
        n = len(crops)
        x: NDArray[Any] = self.spec.input(crops)
        if self._bank is not None:
            x = self._bank(x[..., 0] if x.shape[-1] == 1 else x)  # (n, size, size[, 3]) -> (n, width)
        if n < self._fixed:
            x = np.concatenate([x, np.repeat(x[-1:], self._fixed - n, axis=0)])
        values = self._session.run(self._outputs, {self._input: x})
        return {
            name: np.asarray(v, np.float32).reshape(len(x), -1)[:n]
            for name, v in zip(self._outputs, values, strict=True)
        }

    def _check_outputs(self) -> None:
        """Two blank crops through the network: names, shapes and labels must fit, else it is refused."""
        available = [output.name for output in self._session.get_outputs()]
        wanted = [h.output for h in self.spec.heads] + ([self.spec.embedding] if self.spec.embedding else [])
        for name in wanted:
            if name not in available:
                raise ModelError(
                    f"model {self.name!r}: its ONNX file has no output {name!r}, only {', '.join(available)}"
                )
        self._outputs = list(dict.fromkeys(wanted))
        side = self.spec.input.size
        try:
            result = self._run(np.zeros((self._fixed or 2, side, side, 3), np.uint8))
        except PyferError:  # of the features: an extra or another model is missing
            raise
        except Exception as error:  # onnxruntime raises bare C++ exceptions of many kinds
            raise ModelError(
                f"model {self.name!r}: its ONNX file does not take the input of model.json: {error}"
            ) from error
        self.widths = {name: values.shape[1] for name, values in result.items()}
        for head in self.spec.heads:
            if (width := self.widths[head.output]) != len(head.labels):
                raise ModelError(
                    f"model {self.name!r}: output {head.output!r} has {width} values, "
                    f"model.json gives {len(head.labels)} labels"
                )


@register
@dataclass(frozen=True, kw_only=True)
class Embedding(Feature):
    """The embedding of a model that is installed: what a network has learned to see, for other machines.

    A. Razavian et al.: "CNN Features off-the-shelf", CVPR-W 2014. It takes crops as they are, not registered.
    A machine that was trained on it needs that very model wherever it runs.

    Width: that of the model's embedding, 256 for ``base``.
    """

    kind: ClassVar[str] = "embedding"
    sees: ClassVar[str] = "what a network has learned"
    paper: ClassVar[str] = "Razavian et al. 2014"

    registered: bool = False
    """Networks are trained on crops as they are."""
    model: str = DEFAULT_MODEL
    """Name of an installed model, or a model folder."""
    sha256: str = ""
    """Of the network; `Bank.fit` fills it in, and another network of that name is then refused."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.model, str) and bool(self.model), "model", "the name of a model")
        right = isinstance(self.sha256, str) and bool(re.fullmatch("([0-9a-f]{64})?", self.sha256))
        self.require(right, "sha256", "64 hexadecimal digits, or empty")

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        model = self._model()
        assert model.spec.embedding is not None
        width: int = model.widths[model.spec.embedding]
        return width

    def pinned(self) -> Embedding:
        """Return it with the sha256 of the network that is there now."""
        return replace(self, sha256=self._model().spec.sha256)

    def describe(self, crops: NDArray[np.uint8], codebook: Codebook) -> NDArray[np.float32]:
        """Return (n, width)."""
        found = self._model()(crops).embedding
        assert found is not None
        return found

    def _model(self) -> Model:
        model = _of_embedding(self.model)
        if self.sha256 not in ("", model.spec.sha256):
            raise ModelError(
                f"embedding: model={self.model!r} has sha256 {model.spec.sha256[:12]}..., but was trained "
                f"with {self.sha256[:12]}...; install that version, or train again"
            )
        return model


@lru_cache(maxsize=2)
def _of_embedding(name: str) -> Model:
    """Return an installed model that gives an embedding, opened once."""
    spec = read_spec(find(name))
    if spec.embedding is None or spec.features is not None:  # one that takes features might need itself
        raise ArgumentError(
            f"embedding: model={name!r} must be a network that gives an embedding, such as {DEFAULT_MODEL!r}"
        )
    return Model(name)


def _check_hash(path: Path, wanted: str) -> None:
    if not path.is_file():
        raise ModelError(f"model {str(path.parent)!r} lacks {path.name!r}, which its model.json names")
    try:
        found = sha256(path)
    except OSError as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if found != wanted:
        raise ModelError(
            f"model {str(path.parent)!r} is damaged: {path.name} has sha256 {found[:12]}..., "
            f"its model.json says {wanted[:12]}...; install it again"
        )


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


def read_spec(folder: Path) -> Spec:
    """Read and check ``model.json`` of a folder, without loading the network."""
    path = folder / "model.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{str(folder)!r} is not a model folder: {path.name} cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is not JSON: {error}") from error
    try:
        return _spec(tree)
    except PyferError as error:
        raise ModelError(f"{str(path)!r}: {error}") from error


def _spec(tree: object) -> Spec:
    if not isinstance(tree, dict) or tree.get("format") != 1:
        raise ModelError("format must be 1 (the only one this version knows)")
    _check_keys("key", tree, _KEYS)
    name, file = (_get(tree, key, str) for key in ("name", "file"))
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
        raise ModelError(f"name={name!r} must be letters, digits, '-' and '_'")
    if Path(file).name != file or file in ("", ".."):
        raise ModelError(f"file={file!r} must be a file in the model folder itself")
    if _get(tree, "window", int, 1) != 1:
        raise ModelError(f"window={tree['window']}: this version runs models that look at one frame")
    crop = _check_keys("crop key", _get(tree, "crop", dict, {}), ("align", "margin"))
    margin = float(_get(crop, "margin", float, 0.0))
    if not -0.5 < margin <= 2:
        raise ModelError(f"margin={margin} must lie in -0.5..2, fractions of the box")
    input_ = Preprocessing.from_dict(_get(tree, "input", dict))
    heads = tuple(_head(head) for head in _get(tree, "heads", list))
    if not heads or len({head.name for head in heads}) < len(heads):
        raise ModelError("heads must be a list of one or more, with different names")
    if tree.get("features") is not None and (input_.dtype, input_.layout) != ("uint8", "nhwc"):
        raise ModelError(
            "features need input dtype 'uint8', layout 'nhwc' and scale 1: they take gray levels"
        )
    return Spec(
        name=name,
        kind=_get(tree, "kind", str),
        file=file,
        sha256=_digest(tree, "sha256", file),
        window=1,
        input=input_,
        align=_get(crop, "align", bool, True),
        margin=margin,
        heads=heads,
        embedding=None if tree.get("embedding") is None else _get(tree, "embedding", str),
        evidence=None if tree.get("evidence") is None else _digest(tree, "evidence", evidence.FILE),
        features=None if tree.get("features") is None else _digest(tree, "features", FEATURES),
        about=_get(tree, "about", dict, {}),
    )


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


# --- where models lie ------------------------------------------------------------------------------------


def installed() -> Iterator[tuple[str, Path]]:
    """Yield (name, folder) of the models that ship and of those added by the user."""
    for root in (_SHIPPED, home() / "models"):
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                # a hidden folder is one that `add` has not finished
                if (folder / "model.json").is_file() and not folder.name.startswith("."):
                    yield folder.name, folder


def find(name: str | Path | None) -> Path:
    """Return the folder of an installed model's name, of a path, or (None) of the default model.

    A string that is both is the installed model; write ``./name`` or pass a `Path` for the folder.
    """
    if name is None:
        name = DEFAULT_MODEL
    known = dict(installed())
    is_folder = os.path.isdir(name)  # noqa: PTH112  (Path.is_dir raises on odd names)
    if str(name) in known and not (is_folder and isinstance(name, Path)):
        return known[str(name)]
    if is_folder:
        return Path(name)
    raise ModelError(
        f"model={str(name)!r} is neither an installed model ({', '.join(known) or 'none'}) nor a folder"
        + did_you_mean(str(name), known)
    )


def add(folder: str | Path) -> Path:
    """Check a model folder whole and install it under its name; return where it lies now.

    Raises
    ------
    ModelError
        The folder does not hold a working model, its name is that of a shipped model, or it cannot be
        written.
    """
    model = Model(Path(folder))
    if (_SHIPPED / model.name).is_dir():
        raise ModelError(f"name={model.name!r} is that of a model that ships with pyFER; choose another name")
    target = home() / "models" / model.name
    try:
        with replace_folder(target) as fresh:
            for path in model.folder.iterdir():
                if path.is_file():
                    shutil.copy2(path, fresh / path.name)
    except OSError as error:
        raise ModelError(f"model {model.name!r} cannot be installed as {str(target)!r}: {error}") from error
    return target
