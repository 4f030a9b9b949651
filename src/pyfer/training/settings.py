"""Settings of a training run: frozen dataclasses read from one TOML file, every key checked."""

from __future__ import annotations

import tomllib
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from pyfer.errors import ArgumentError, did_you_mean


@dataclass(frozen=True)
class DataSettings:
    """Which faces are learned from."""

    train: tuple[str, ...]
    """Data sets to learn from, as `pyfer.datasets.open_data` names them."""
    validation: str
    """Data set for every choice: early stop, temperature, thresholds. Never a test set."""
    rare_power: float = 0.3
    """A face is drawn in proportion to (share of its class) ** -rare_power; 0 draws all alike."""


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the network (see `pyfer.training.network`)."""

    widths: tuple[int, ...] = (48, 96, 192)
    """Channels of each stage; each stage halves the picture."""
    blocks: tuple[int, ...] = (2, 2, 2)
    """Residual blocks of each stage."""
    dropout: float = 0.2
    """Share of the embedding dropped in training."""
    start: str = ""
    """Folder of a finished run of the same shape whose weights are the start; empty starts from noise."""


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


@dataclass(frozen=True)
class ExportSettings:
    """How the finished network is written."""

    eight_bit: bool = True
    """Round the convolutions to eight bits: a quarter of the size, 2 to 3 times as fast."""
    tilt: float = 0.0
    """How far the answers move from the training data's class prior (0) to all classes alike (1): the logits
    get ``-tilt * log(prior)`` (Menon et al. 2021). More recall for rare classes, less accuracy on data
    like the training data."""


@dataclass(frozen=True)
class Settings:
    """One training run."""

    name: str
    """Name of the run and of the model folder."""
    data: DataSettings
    kind: str = "cnn"
    """Kind of model; ``cnn`` is the one there is."""
    seed: int = 0
    """Seed of everything random."""
    network: NetworkSettings = NetworkSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = AugmentSettings()
    export: ExportSettings = ExportSettings()

    def __post_init__(self) -> None:
        s = self.schedule
        rules = (
            ("kind", self.kind, self.kind == "cnn", "must be 'cnn'"),
            ("schedule.epochs", s.epochs, s.epochs >= 1, "must be 1 or more"),
            ("schedule.batch", s.batch, s.batch >= 2, "must be 2 or more"),
            ("schedule.rate", s.rate, s.rate > 0, "must be above 0"),
            ("schedule.average", s.average, 0 <= s.average < 1, "must be in 0..1, below 1"),
            ("schedule.validate_every", s.validate_every, s.validate_every >= 1, "must be 1 or more"),
            (
                "schedule.precision",
                s.precision,
                s.precision in ("auto", "float32", "bfloat16"),
                "must be auto, float32 or bfloat16",
            ),
            (
                "schedule.sizes",
                s.sizes,
                bool(s.sizes) and s.sizes[0][0] == 0 and all(n % 8 == 0 for _, n in s.sizes),
                "must start at 0.0, with sides that are multiples of 8",
            ),
            (
                "network.blocks",
                self.network.blocks,
                len(self.network.blocks) == len(self.network.widths),
                "must have as many entries as network.widths",
            ),
            ("export.tilt", self.export.tilt, 0 <= self.export.tilt <= 1, "must be in 0..1"),
            ("loss.teaching", self.loss.teaching, 0 <= self.loss.teaching <= 1, "must be in 0..1"),
            ("loss.heads", self.loss.heads, bool(self.loss.heads), "must name at least one head"),
        )
        for name, value, holds, rule in rules:
            if not holds:
                raise ArgumentError(f"{name}={value!r} {rule}")


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
    try:
        return cls(**values)
    except TypeError as error:
        raise ArgumentError(f"settings section {prefix or 'top'!r} is incomplete: {error}") from error


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
        return {str(k): _convert(arguments[1], v, f"{name}.{k}") for k, v in value.items()}
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise ArgumentError(f"settings key {name}={value!r} must be of type {getattr(hint, '__name__', hint)}")
