"""Settings of a training run: frozen dataclasses read from one TOML file, every key checked."""

from __future__ import annotations

import re
import tomllib
import typing
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from pyfer.errors import ArgumentError, did_you_mean
from pyfer.streams import StreamSettings

KINDS = ("cnn", "svm", "rnn")
"""Kinds of models that can be trained."""


def _check(*rules: tuple[str, object, bool, str]) -> None:
    """Raise for the first of (name, value, whether the rule holds, the rule) that does not hold."""
    for name, value, holds, rule in rules:
        if not holds:
            raise ArgumentError(f"{name}={value!r} {rule}")


@dataclass(frozen=True)
class DataSettings:
    """Which faces are learned from."""

    train: tuple[str, ...]
    """Data sets to learn from, as `pyfer.datasets.open_data` names them."""
    validation: str = ""
    """Data set for every choice: early stop, temperature, thresholds. Never a test set. An SVM can do without
    (empty): it is then calibrated by what it said about faces of folds that it had not seen."""
    classes: tuple[str, ...] = ()
    """Learn and validate these emotions alone; empty takes all that the data have labels for."""
    skip_bad: bool = False
    """Leave out faces that cannot be read, instead of stopping before anything is learned."""
    rare_power: float = 0.3
    """A face is drawn in proportion to (share of its class) ** -rare_power; 0 draws all alike."""

    def __post_init__(self) -> None:
        _check(
            ("data.train", self.train, bool(self.train), "must name at least one data set"),
            ("data.rare_power", self.rare_power, 0 <= self.rare_power <= 1, "must be in 0..1"),
        )


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the network (see `pyfer.training.network`)."""

    widths: tuple[int, ...] = (48, 96, 192)
    """Channels of each stage. The stem and each stage but the first halve the picture."""
    blocks: tuple[int, ...] = (2, 2, 2)
    """Residual blocks of each stage."""
    dropout: float = 0.2
    """Share of the embedding dropped in training."""
    start: str = ""
    """Folder of a finished run of the same shape whose weights are the start; empty starts from noise."""

    def __post_init__(self) -> None:
        same = len(self.blocks) == len(self.widths) and min(self.blocks, default=0) >= 1
        _check(
            ("network.widths", self.widths, min(self.widths, default=0) >= 8, "must be numbers of 8 or more"),
            (
                "network.blocks",
                self.blocks,
                same,
                "must be as many as network.widths, 1 or more each",
            ),
            ("network.dropout", self.dropout, 0 <= self.dropout < 1, "must be in 0..1, below 1"),
        )


@dataclass(frozen=True)
class ScheduleSettings:
    """How long and how fast."""

    epochs: int = 60
    """Passes over the training faces."""
    batch: int = 128
    """Faces a step."""
    rate: float = 0.1
    """Highest learning rate; linear warm-up, then half a cosine down to zero."""
    warmup: float = 3.0
    """Epochs of warm-up."""
    decay: float = 5e-4
    """Weight decay (not on biases and normalisation)."""
    sizes: tuple[tuple[float, int], ...] = ((0.0, 32), (0.5, 40), (0.75, 48))
    """(from this share of the epochs, crop side in pixels): small crops first save half the time."""
    average: float = 0.999
    """Decay of the moving average of the weights, per step; the average is what is kept."""
    validate_every: int = 2
    """Epochs between validations."""
    patience: int = 0
    """Stop after this many validations without a better score; 0 never stops early."""
    precision: str = "auto"
    """float32, bfloat16, or auto: bfloat16 where the processor has the instructions for it."""

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.sizes]
        ordered = bool(starts) and starts[0] == 0 and starts == sorted(starts) and starts[-1] < 1
        formats = ("auto", "float32", "bfloat16")
        _check(
            ("schedule.epochs", self.epochs, self.epochs >= 1, "must be 1 or more"),
            ("schedule.batch", self.batch, self.batch >= 2, "must be 2 or more"),
            ("schedule.rate", self.rate, self.rate > 0, "must be above 0"),
            ("schedule.warmup", self.warmup, self.warmup >= 0, "must be 0 or more"),
            ("schedule.decay", self.decay, self.decay >= 0, "must be 0 or more"),
            ("schedule.sizes", self.sizes, ordered, "must start at 0.0 and go up, below 1.0"),
            ("schedule.average", self.average, 0 <= self.average < 1, "must be in 0..1, below 1"),
            ("schedule.validate_every", self.validate_every, self.validate_every >= 1, "must be 1 or more"),
            ("schedule.patience", self.patience, self.patience >= 0, "must be 0 or more"),
            ("schedule.precision", self.precision, self.precision in formats, f"must be one of {formats}"),
        )


@dataclass(frozen=True)
class LossSettings:
    """What is minimised: a weighted sum of the heads' cross-entropies with soft targets."""

    heads: dict[str, float] = field(default_factory=lambda: {"ferplus": 1.0, "fer2013": 0.6})
    """Weight of each head."""
    smoothing: float = 0.05
    """Label smoothing (Szegedy et al. 2016)."""
    teachers: tuple[str, ...] = ()
    """Folders of finished runs whose averaged answer is part of the target (Hinton et al. 2015). They see
    the very crops that the network sees (Beyer et al. 2022)."""
    teaching: float = 0.5
    """Share of the teachers' answer in the target; faces without a label are learned from it alone."""

    def __post_init__(self) -> None:
        heavy = bool(self.heads) and min(self.heads.values()) > 0
        _check(
            ("loss.heads", self.heads, heavy, "must name at least one head, with weights above 0"),
            ("loss.smoothing", self.smoothing, 0 <= self.smoothing < 1, "must be in 0..1, below 1"),
            ("loss.teaching", self.teaching, 0 <= self.teaching <= 1, "must be in 0..1"),
        )


@dataclass(frozen=True)
class AugmentSettings:
    """How far a training face may be changed; all ranges are symmetric unless said otherwise."""

    flip: float = 0.5
    """Probability of a mirror image."""
    rotation: float = 20.0
    """Degrees."""
    shift: float = 0.1
    """Share of the side."""
    scale: float = 0.15
    """Log-uniform factor exp(+-scale)."""
    aspect: float = 0.06
    """Log-uniform stretch of width against height."""
    brightness: float = 0.1
    """Added to values in 0..1."""
    contrast: float = 0.25
    """Factor exp(+-contrast) around the mean."""
    gamma: float = 0.3
    """Exponent exp(+-gamma)."""
    light: float = 0.25
    """A linear light ramp across the face, up to this share."""
    noise: float = 0.03
    """Largest standard deviation of Gaussian noise (drawn with a bias to little)."""
    blur: float = 0.2
    """Probability of a batch to lose resolution (down to half and back)."""
    compression: float = 0.1
    """Probability of a JPEG round trip (quality 15 to 75)."""
    erasing: float = 0.3
    """Probability of an erased rectangle (Zhong et al. 2020)."""
    mixup: float = 0.25
    """Probability of a batch to be mixed (Zhang et al. 2018)."""
    cutmix: float = 0.1
    """Probability of a batch to be cut and pasted (Yun et al. 2019)."""

    def __post_init__(self) -> None:
        chances = ("flip", "blur", "compression", "erasing", "mixup", "cutmix")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in chances:
                _check((f"augment.{item.name}", value, 0 <= value <= 1, "must be a probability, 0..1"))
            else:
                _check((f"augment.{item.name}", value, value >= 0, "must be 0 or more"))
        both = self.mixup + self.cutmix
        _check(("augment.mixup + augment.cutmix", both, both <= 1, "must be 1 or less in sum"))


@dataclass(frozen=True)
class ExportSettings:
    """How the finished network is written."""

    eight_bit: bool = True
    """Round the convolutions to eight bits: a quarter of the size, 2 to 3 times as fast."""
    tilt: float = 0.0
    """How far the answers move from the training data's class prior (0) to all classes alike (1): the logits
    get ``-tilt * log(prior)`` (Menon et al. 2021). More recall for rare classes, less accuracy on data
    like the training data."""

    def __post_init__(self) -> None:
        _check(("export.tilt", self.tilt, 0 <= self.tilt <= 1, "must be in 0..1"))


@dataclass(frozen=True)
class FeatureSettings:
    """What a machine that cannot see is told of a face (see `pyfer.features`)."""

    bank: tuple[dict[str, Any], ...] = ()
    """The features, as ``{name = "hog", cell = 6}``; what is left out is the default."""
    registration: dict[str, Any] = field(default_factory=dict)
    """Options of `pyfer.features.Registration`."""
    registered: bool = True
    """Whether crops are registered by their landmarks first."""


@dataclass(frozen=True)
class SvmSettings:
    """A support vector machine, one against the rest, with squared hinge loss (see `pyfer.training.svm`)."""

    heads: tuple[str, ...] = ()
    """Heads of the data to learn; empty takes all. The first is the model's default."""
    components: int = 400
    """Main components of each feature that are kept; 0 keeps the numbers as they are."""
    whiten: float = 0.0
    """Components are divided by their deviation to this power: 0 leaves it, 1 makes all alike."""
    kernel: str = "rbf"
    """``rbf`` or ``linear``."""
    basis: int = 4000
    """Faces that span the kernel's space (Nystroem). 0 takes all and asks libsvm for the exact machine, which
    needs n² numbers of memory, makes a large model, and knows a face's largest share alone."""
    weights: tuple[float, ...] = ()
    """How much each feature counts in d²; empty: all alike."""
    gamma: tuple[float, ...] = (1.0,)
    """Candidates for exp(-gamma d²), where the mean d² of two faces is 2."""
    c: tuple[float, ...] = (0.3, 1.0)
    """Candidates for the weight of the loss."""
    folds: int = 5
    """Folds, grouped by subject, that choose among the candidates, and calibrate without validation data."""
    search: int = 6000
    """Most faces that the choice looks at."""
    balance: float = 0.0
    """Weight of a class: (its share) ** -balance."""

    def __post_init__(self) -> None:
        fair = {
            name: bool(values) and all(1e-6 <= value <= 1e6 for value in values)
            for name, values in (("gamma", self.gamma), ("c", self.c))
        }
        _check(
            ("svm.components", self.components, self.components >= 0, "must be 0 or more"),
            ("svm.whiten", self.whiten, 0 <= self.whiten <= 1, "must be in 0..1"),
            ("svm.kernel", self.kernel, self.kernel in ("rbf", "linear"), "must be 'rbf' or 'linear'"),
            ("svm.basis", self.basis, self.basis >= 10 or self.basis == 0, "must be 0, or 10 or more"),
            ("svm.weights", self.weights, min(self.weights, default=1) > 0, "must be numbers above 0"),
            ("svm.gamma", self.gamma, fair["gamma"], "must be one or more numbers of 1e-6..1e6"),
            ("svm.c", self.c, fair["c"], "must be one or more numbers of 1e-6..1e6"),
            ("svm.folds", self.folds, self.folds >= 2, "must be 2 or more"),
            ("svm.search", self.search, self.search >= 50, "must be 50 or more"),
            ("svm.balance", self.balance, 0 <= self.balance <= 1, "must be in 0..1"),
        )


@dataclass(frozen=True)
class RecurrentSettings:
    """A recurrent network over the frames of a film (see `pyfer.training.recurrent`)."""

    cell: str = "gru"
    """``gru`` or ``lstm`` over an encoder's answers, or ``convlstm`` over the frames themselves."""
    encoder: str = "base"
    """Model whose embeddings and probabilities are the frames; it stays as it is. None for a ConvLSTM."""
    width: int = 64
    """Numbers (``convlstm``: channels) of the hidden state."""
    inner: int = 64
    """Numbers (``convlstm``: channels) that go into the recurrent layer."""
    dropout: float = 0.1
    """Share of its input that is dropped in training."""
    steady: float = 0.0
    """What answers that change from frame to frame cost, beside the cross-entropy."""
    inertia: float = 2.0
    """Added to a label's logit for each unit of probability that the frame before gave it, in nats: an answer
    that has been said is easier to say again, as staying in a state of a hidden Markov model. 0 for
    none. Not there in training."""
    direct: bool = False
    """What is said may also hang on the embedding, and on its change, without the hidden state between."""
    two_way: bool = False
    """Look at later frames too: for finished films, as many frames at once as a stream has at most."""

    def __post_init__(self) -> None:
        cells = ("gru", "lstm", "convlstm")
        frames = self.cell == "convlstm"
        _check(
            ("rnn.cell", self.cell, self.cell in cells, f"must be one of {', '.join(cells)}"),
            ("rnn.width", self.width, self.width >= 4 and self.width % 4 == 0, "must be a multiple of 4"),
            ("rnn.inner", self.inner, self.inner >= 16 and self.inner % 16 == 0, "must be a multiple of 16"),
            ("rnn.dropout", self.dropout, 0 <= self.dropout < 1, "must be in 0..1, below 1"),
            ("rnn.inertia", self.inertia, 0 <= self.inertia <= 5, "must be in 0..5"),
            ("rnn.steady", self.steady, self.steady >= 0, "must be 0 or more"),
            ("rnn.two_way", self.two_way, not (self.two_way and frames), "must be false for a ConvLSTM"),
            ("rnn.encoder", self.encoder, frames or bool(self.encoder), "must name a model"),
        )


@dataclass(frozen=True)
class Settings:
    """One training run."""

    name: str
    """Name of the run and of the model folder."""
    data: DataSettings
    kind: str = "cnn"
    """Kind of model: ``cnn`` (network, schedule, loss and augment count), ``svm`` (features and svm) or
    ``rnn`` (rnn, streams, schedule and loss)."""
    seed: int = 0
    """Seed of everything random."""
    network: NetworkSettings = NetworkSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = AugmentSettings()
    export: ExportSettings = ExportSettings()
    features: FeatureSettings = field(default_factory=FeatureSettings)
    svm: SvmSettings = SvmSettings()
    rnn: RecurrentSettings = RecurrentSettings()
    streams: StreamSettings = field(default_factory=StreamSettings)

    def __post_init__(self) -> None:
        stride = 2 ** len(self.network.widths)
        sides = [side for _, side in self.schedule.sizes]
        fit = all(side % stride == 0 and 16 <= side <= 1024 for side in sides)
        named = bool(re.fullmatch(r"[A-Za-z0-9][\w-]*", self.name))
        _check(
            ("name", self.name, named, "must be letters, digits, '-' and '_'"),
            ("kind", self.kind, self.kind in KINDS, f"must be one of {', '.join(KINDS)}"),
            (
                "data.validation",
                self.data.validation,
                bool(self.data.validation) or self.kind == "svm",
                f"must name a data set for kind = {self.kind!r}",
            ),
            (
                "features.bank",
                self.features.bank,
                bool(self.features.bank) == (self.kind == "svm"),
                "must name one or more features for kind = 'svm', and none for other kinds",
            ),
            ("seed", self.seed, self.seed >= 0, "must be 0 or more"),
            (
                "schedule.sizes",
                self.schedule.sizes,
                fit,
                f"must have sides of 16..1024 that are multiples of {stride}, as {len(self.network.widths)}"
                " stages need",
            ),
        )


def load_settings(path: str | Path) -> Settings:
    """Read a run's settings from a TOML file.

    Raises
    ------
    ArgumentError
        The file is missing or not TOML, a key is unknown (with the nearest known one), or a value has the
        wrong type or lies outside its range.
    """
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"settings={str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ArgumentError(f"settings={str(path)!r} is not TOML: {error}") from error
    settings = _build(Settings, tree, "")
    assert isinstance(settings, Settings)
    return settings


def settings_from_dict(tree: dict[str, Any]) -> Settings:
    """Build settings from a plain tree (as `to_dict` makes it)."""
    settings = _build(Settings, tree, "")
    assert isinstance(settings, Settings)
    return settings


def to_dict(settings: Settings) -> dict[str, Any]:
    """Return the settings as a plain tree."""
    return asdict(settings)


def _build(cls: type[Any], tree: dict[str, Any], prefix: str) -> object:
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in known:
            raise ArgumentError(
                f"settings key {prefix + key!r} is not known{did_you_mean(key, known)}"
                f" (known: {', '.join(known)})"
            )
        values[key] = _convert(hints[key], value, prefix + key)
    lacking = [
        prefix + f.name
        for f in fields(cls)
        if f.name not in values and f.default is MISSING and f.default_factory is MISSING
    ]
    if lacking:
        raise ArgumentError(f"settings lack {', '.join(lacking)}; see docs/training.md for an example")
    return cls(**values)


def _convert(hint: Any, value: Any, name: str) -> object:
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ArgumentError(f"settings key {name!r} must be a section")
        return _build(hint, value, name + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_convert(k, v, name) for k, v in zip(kinds, value, strict=True))
    elif origin is dict and isinstance(value, dict):
        if arguments[1] is Any:  # checked by whom they are for
            return value
        return {str(k): _convert(arguments[1], v, f"{name}.{k}") for k, v in value.items()}
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise ArgumentError(f"settings key {name}={value!r} must be {_TOML.get(origin or hint, 'another type')}")


_TOML = {
    tuple: "a list, such as [1, 2]",
    dict: 'a table, such as {name = "hog"}',
    str: 'a text, such as "base"',
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
