"""What all features share: checked options, their way to a dictionary and back, grids of cells."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pyfer.crops import Crops, luma, resize
from pyfer.errors import ArgumentError, did_you_mean

Floats = NDArray[np.float32]
Codebook = Mapping[str, Floats]
"""What a feature has learned from faces: named arrays; nothing for most."""
_K = TypeVar("_K", bound="type[Feature]")


def ranged(default: Any, low: float, high: float) -> Any:
    """Return a field for a number of `low`..`high`, or for several where `default` is a tuple."""
    return field(default=default, metadata={"range": (low, high)})


def chosen(default: str, *known: str) -> Any:
    """Return a field for one of the words `known`."""
    return field(default=default, metadata={"known": (default, *known)})


@dataclass(frozen=True, kw_only=True)
class Feature(ABC):
    """One way to describe faces; a kind is a frozen dataclass whose fields are its options.

    A kind says its `kind`, `sees` and `paper`, its `width`, and has `describe`. One that learns from faces
    also has `learns` and `learn`.

    Raises
    ------
    ArgumentError
        An option breaks its rule.
    """

    kind: ClassVar[str]
    """Its name in settings and in `KINDS`."""
    sees: ClassVar[str]
    """What it measures, in a few words."""
    paper: ClassVar[str]
    """Who described it, and when."""
    mirror: bool = False
    """Whether to take the mean of the features of the crop and of its mirror image: left and right no longer
    differ. For a linear machine it is as if the mirror images had been among the examples."""
    registered: bool = True
    """Whether it takes the registered crops of a `Bank` that registers, or the crops as they are."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, bool):
                self.require(isinstance(value, bool), option.name, "true or false")
            elif "known" in option.metadata:
                known = option.metadata["known"]
                hint = did_you_mean(str(value), known)
                self.require(value in known, option.name, f"one of {', '.join(known)}{hint}")
            elif "range" in option.metadata:
                entries = self._numbers(option.name, option.default, *option.metadata["range"])
                several = isinstance(option.default, tuple)
                object.__setattr__(self, option.name, entries if several else entries[0])

    def _numbers(self, name: str, default: Any, low: float, high: float) -> tuple[Any, ...]:
        """Return the checked numbers of an option; only an option of several may have a list."""
        value, several = getattr(self, name), isinstance(default, tuple)
        entries = tuple(value) if several and isinstance(value, (list, tuple)) else (value,)
        whole = isinstance(default, int)
        rule = (
            f"{'a whole' if whole else 'a'} number of {low}..{high}{', or a list of them' if several else ''}"
        )
        types = (int,) if whole else (int, float)
        right = (isinstance(e, types) and not isinstance(e, bool) and low <= e <= high for e in entries)
        self.require(bool(entries) and all(right), name, rule)
        return entries if whole else tuple(float(entry) for entry in entries)

    def require(self, right: bool, name: str, rule: str) -> None:
        """Raise `ArgumentError` with the name and value of an option unless it is `right`."""
        if not right:
            raise ArgumentError(f"{self.kind}: {name}={getattr(self, name)!r} must be {rule}")

    @property
    @abstractmethod
    def width(self) -> int:
        """How many numbers a face gets."""

    @property
    def learns(self) -> bool:
        """Whether it needs a codebook, learned from faces."""
        return False

    def learn(self, crops: Crops, seed: int = 0) -> Codebook:
        """Return what `describe` needs beside the crops (n, s, s[, 3])."""
        return {}

    def pinned(self) -> Feature:
        """Return the feature with the versions of what it depends on, which a `Bank` keeps in its file."""
        return self

    def codebook_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the arrays that `learn` gives, by name."""
        return {}

    @abstractmethod
    def describe(self, crops: Crops, codebook: Codebook) -> Floats:
        """Return (n, width) for checked crops (n, s, s[, 3]), n at least 1."""

    def __call__(self, crops: Crops, codebook: Codebook | None = None) -> Floats:
        """Return float32 (n, width) for crops uint8 (n, s, s) gray or (n, s, s, 3) RGB.

        All n are worked on at once; `Bank` takes many in batches.

        Raises
        ------
        ArgumentError
            The crops are no such array, or the codebook is missing.
        MissingExtraError
            A library it needs is not installed.
        """
        check_crops(crops)
        if self.learns and not codebook:
            raise ArgumentError(f"{self.kind}: codebook=None must be what was learned; use Bank.fit")
        if not len(crops):
            return np.zeros((0, self.width), np.float32)
        found = self.describe(crops, codebook or {})
        if self.mirror:
            found = found + self.describe(np.ascontiguousarray(crops[:, :, ::-1]), codebook or {})
            found *= np.float32(0.5)
        return np.ascontiguousarray(found, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return name and options as plain JSON and TOML values; `feature` reads them back."""
        options = ((option.name, getattr(self, option.name)) for option in fields(self))
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in options}
        return {"name": self.kind, **plain}


_KINDS: dict[str, type[Feature]] = {}
KINDS: Mapping[str, type[Feature]] = MappingProxyType(_KINDS)
"""Name -> kind of feature."""


def register(kind: _K) -> _K:
    """Make a kind of feature known by its name; also as a decorator of the class."""
    _KINDS[kind.kind] = kind
    return kind


Setting = Feature | str | Mapping[str, Any]
"""What describes a feature, see `feature`."""
Settings = Setting | Iterable[Setting]


def feature(settings: Setting) -> Feature:
    """Return the feature that settings describe.

    Parameters
    ----------
    settings
        A dictionary as of `Feature.to_dict`, ``{"name": "hog", "cell": 6}``, where what is left out is the
        default; the same in one line, ``"hog?cell=6&size=64"``; or a feature, which is returned.

    Raises
    ------
    ArgumentError
        The name or an option is unknown, or a value breaks its rule.
    """
    if isinstance(settings, Feature):
        return settings
    options = _parsed(settings) if isinstance(settings, str) else dict(settings)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in KINDS:
        hint = did_you_mean(str(name), KINDS)
        raise ArgumentError(f"feature={name!r} must be one of {', '.join(KINDS)}{hint}")
    known = [option.name for option in fields(KINDS[name])]
    for key in options:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise ArgumentError(f"{name}: option {key!r} is not known{hint} (known: {', '.join(known)})")
    return KINDS[name](**options)


def features_of(settings: Settings) -> tuple[Feature, ...]:
    """Return the features that settings describe, one or several."""
    several = [settings] if isinstance(settings, (Feature, str, Mapping)) else settings
    found = tuple(feature(each) for each in several)
    if not found:
        raise ArgumentError(f"features={settings!r} must name one or more of {', '.join(KINDS)}")
    return found


def _parsed(line: str) -> dict[str, Any]:
    """Return the dictionary that ``"hog?cell=6&size=64"`` stands for; values are JSON, or words."""
    name, _, rest = line.partition("?")
    options: dict[str, Any] = {"name": name}
    for part in rest.split("&") if rest else ():
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ArgumentError(f"feature={line!r} must be NAME?OPTION=VALUE&..., such as hog?cell=6")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def check_crops(crops: Crops) -> None:
    """Raise `ArgumentError` unless crops are uint8 (n, s, s) or (n, s, s, 3)."""
    if not isinstance(crops, np.ndarray) or crops.dtype != np.uint8:
        kind = getattr(crops, "dtype", type(crops).__name__)
        raise ArgumentError(f"crops={kind} must be a uint8 array of 0..255")
    shape = crops.shape
    square = crops.ndim in (3, 4) and shape[1] == shape[2] > 0
    if not square or (crops.ndim == 4 and shape[3] != 3):
        raise ArgumentError(
            f"crops of shape {shape} must be (n, s, s) gray or (n, s, s, 3) RGB; give one crop as crops[None]"
        )


def gray(crops: Crops, size: int) -> Crops:
    """Return gray crops (n, size, size)."""
    return resize(luma(crops) if crops.ndim == 4 else crops, size)


def rgb(crops: Crops, size: int) -> Crops:
    """Return colour crops (n, size, size, 3); gray ones are repeated."""
    small = resize(crops, size)
    return small if small.ndim == 4 else np.repeat(small[..., None], 3, axis=3)


def cell_of(size: int, cells: int) -> NDArray[np.intp]:
    """Return (size,): which of `cells` equal parts of an axis each pixel is in."""
    return np.arange(size) * cells // size


def pooled(maps: Floats, cells: int) -> Floats:
    """Return the means (..., cells, cells) over the cells of maps (..., s, s)."""
    part = cell_of(maps.shape[-1], cells)
    share = (part == np.arange(cells)[:, None]).astype(np.float32)  # (cells, s)
    share /= share.sum(axis=1, keepdims=True)
    return cast("Floats", share @ maps @ share.T)


def histograms(values: NDArray[np.integer], bins: int, cells: int) -> Floats:
    """Return the shares (n, cells, cells, bins), sum 1 in each cell, of values 0..bins-1 (n, s, s)."""
    n, size = len(values), values.shape[1]
    part = cell_of(size, cells)
    cell = part[:, None] * cells + part
    index = (np.arange(n)[:, None, None] * cells**2 + cell) * bins + values
    counts = np.bincount(index.ravel(), minlength=n * cells**2 * bins).reshape(n, cells, cells, bins)
    return np.asarray(counts / counts.sum(axis=3, keepdims=True), np.float32)


def unit(rows: Floats) -> Floats:
    """Return rows (..., d) divided by their Euclidean length; a row of zeros stays one."""
    length = np.sqrt(np.einsum("...d,...d->...", rows, rows))[..., None]
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


def flat(values: NDArray[Any]) -> Floats:
    """Return (n, d) float32 of (n, ...)."""
    return np.asarray(values, np.float32).reshape(len(values), math.prod(values.shape[1:]))
