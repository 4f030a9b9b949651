"""Several features as one: fitted, concatenated, kept in a file."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyfer.crops import Crops
from pyfer.errors import ArgumentError, ModelError
from pyfer.features.base import Codebook, Feature, Floats, Settings, check_crops, features_of
from pyfer.features.registration import Registration
from pyfer.files import replace_file

OnDone = Callable[[int, int], None]
MOST = 4096
"""Crops that codebooks are learned from at most, where they have to be registered first."""
BATCH = 128
"""Crops that are worked on at once: it bounds the memory of Fisher vectors.

One thread does it. Two on two cores were hardly faster: the work on a crop of 48 x 48 pixels is mostly
Python's own, which one thread at a time can do.
"""


@dataclass(frozen=True, eq=False, init=False)
class Bank:
    """Features side by side, with what they have learned.

    ``Bank([Hog(), "lbp"])`` is ready at once; features that learn need `Bank.fit` or `Bank.load`.

    Parameters
    ----------
    features
        Features, or settings as `pyfer.features.feature` takes them.
    codebooks
        What each feature has learned; left out where none learns.
    registration
        Moves the faces of the crops to the same place first; None takes the crops as they are.

    Raises
    ------
    ArgumentError
        There is no feature, a setting is wrong, or a codebook is missing or has the wrong shape.
    """

    features: tuple[Feature, ...]
    """The features, in the order of their columns."""
    registration: Registration | None
    """How crops are registered first, for the features that want it; None leaves them as they are."""
    codebooks: tuple[Codebook, ...] = field(repr=False)
    """What each has learned: named arrays, float32; nothing for most."""

    def __init__(
        self,
        features: Settings,
        codebooks: Sequence[Codebook] = (),
        registration: Registration | None = None,
    ) -> None:
        kinds = features_of(features)
        books = tuple(dict(book) for book in codebooks) or ({},) * len(kinds)
        if len(books) != len(kinds):
            raise ArgumentError(f"codebooks has {len(books)} entries, must have one for each of {len(kinds)}")
        for kind, book in zip(kinds, books, strict=True):
            _check(kind, book)
        object.__setattr__(self, "features", kinds)
        object.__setattr__(self, "registration", registration)
        object.__setattr__(self, "codebooks", books)

    @classmethod
    def fit(
        cls,
        features: Settings,
        crops: Crops,
        seed: int = 0,
        on_done: OnDone | None = None,
        registration: Registration | None = None,
    ) -> Bank:
        """Return the bank of features that have learned from crops uint8 (n, s, s[, 3]), the same for a seed.

        Parameters
        ----------
        features
            As of `Bank`.
        crops
            Training faces; without them only features that learn nothing will do.
        seed
            Decides which faces are looked at and where k-means begins.
        on_done
            Called after each feature with (done, in all).
        registration
            As of `Bank`.

        Raises
        ------
        ArgumentError
            A setting is wrong, or there are too few crops for a codebook.
        """
        check_crops(crops)
        kinds = tuple(kind.pinned() for kind in features_of(features))
        some = crops
        if registration is not None and any(kind.learns and kind.registered for kind in kinds):
            chosen = np.random.default_rng(seed).permutation(len(crops))[:MOST]
            some = registration(crops[np.sort(chosen)])
        books = []
        for k, kind in enumerate(kinds):
            books.append(kind.learn(some if kind.registered else crops, seed) if kind.learns else {})
            if on_done is not None:
                on_done(k + 1, len(kinds))
        return cls(kinds, books, registration)

    def __call__(self, crops: Crops, on_done: OnDone | None = None) -> Floats:
        """Return float32 (n, width) for crops uint8 (n, s, s) gray or (n, s, s, 3) RGB.

        `on_done` is called after each batch with (done, in all).
        """
        check_crops(crops)
        found = np.empty((len(crops), self.width), np.float32)
        parts = list(zip(self.features, self.codebooks, self.slices.values(), strict=True))
        for start in range(0, len(crops), BATCH):
            stop = min(start + BATCH, len(crops))
            some = registered = crops[start:stop]
            if self.registration is not None and any(kind.registered for kind in self.features):
                registered = self.registration(some)
            for kind, book, columns in parts:
                found[start:stop, columns] = kind(registered if kind.registered else some, book)
            if on_done is not None:
                on_done(stop, len(crops))
        return found

    @property
    def width(self) -> int:
        """How many numbers a face gets."""
        return sum(kind.width for kind in self.features)

    @property
    def slices(self) -> dict[str, slice]:
        """Name of a feature -> its columns; the second of a kind is called ``hog-2``."""
        found: dict[str, slice] = {}
        start = 0
        for k, kind in enumerate(self.features):
            earlier = sum(other.kind == kind.kind for other in self.features[:k])
            name = f"{kind.kind}-{earlier + 1}" if earlier else kind.kind
            found[name] = slice(start, start + kind.width)
            start += kind.width
        return found

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the settings as plain JSON and TOML values; `Bank` and `Bank.load` read them back."""
        return [kind.to_dict() for kind in self.features]

    def fingerprint(self) -> str:
        """Return the SHA-256 of settings and codebooks: two banks with the same one say the same."""
        digest = hashlib.sha256(self._settings().encode())
        for book in self.codebooks:
            for name in sorted(book):
                digest.update(np.ascontiguousarray(book[name]).data)
        return digest.hexdigest()

    def _settings(self) -> str:
        moved = None if self.registration is None else self.registration.to_dict()
        return json.dumps({"features": self.to_dicts(), "registration": moved})

    def save(self, path: str | Path) -> None:
        """Write settings and codebooks to one ``.npz`` file, whole or not at all."""
        arrays: dict[str, Any] = {
            f"{k}.{name}": book[name] for k, book in enumerate(self.codebooks) for name in book
        }
        stream = io.BytesIO()
        np.savez_compressed(stream, settings=np.array(self._settings()), **arrays)
        replace_file(Path(path), stream.getvalue())

    @classmethod
    def load(cls, path: str | Path, features: Settings | None = None) -> Bank:
        """Read a bank from a file of `save`.

        Parameters
        ----------
        path
            The file.
        features
            What it must have been made for, as of `Bank`; None takes what the file says.

        Raises
        ------
        ModelError
            It is missing, damaged, or made for other features.
        """
        try:
            with Path(path).open("rb") as stream:
                if stream.read(2) != b"PK":  # numpy would advise to unpickle it
                    raise ValueError("it is no archive of arrays; copy it again")
                stream.seek(0)
                with np.load(stream) as stored:
                    settings = json.loads(str(stored["settings"]))
                    bank = cls._from(settings, {name: stored[name] for name in stored.files})
        except _DAMAGED as error:
            raise ModelError(f"{str(path)!r} is no feature file, or is damaged: {error}") from error
        if features is not None:
            wanted = [kind.pinned().to_dict() for kind in features_of(features)]
            if wanted != bank.to_dicts():
                raise ModelError(f"{str(path)!r} was made for {bank.to_dicts()}, not for {wanted}")
        return bank

    @classmethod
    def _from(cls, settings: Any, arrays: Mapping[str, Any]) -> Bank:
        if not isinstance(settings, dict) or not {"features", "registration"} <= settings.keys():
            raise ValueError("it lacks the settings of its features")
        kinds = features_of(settings["features"])
        moved = settings["registration"]
        books = [
            {
                name: arrays[f"{k}.{name}"].astype(np.float32, casting="same_kind")
                for name in kind.codebook_shapes()
            }
            for k, kind in enumerate(kinds)
        ]
        return cls(kinds, books, None if moved is None else Registration.from_dict(moved))


_DAMAGED = (OSError, KeyError, ValueError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


def _check(kind: Feature, book: Codebook) -> None:
    """Refuse a codebook that is not that of a feature."""
    shapes = kind.codebook_shapes()
    if shapes and not book:
        raise ArgumentError(f"{kind.kind}: it has learned nothing yet; use Bank.fit, or Bank.load")
    for name, shape in shapes.items():
        array = book.get(name)
        if array is None or array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            what = "nothing" if array is None else f"{array.dtype}{array.shape}"
            raise ArgumentError(f"{kind.kind}: codebook {name!r} is {what}, must be finite float32 {shape}")
    for name in ("weights", "variances"):
        if name in shapes and not (book[name] > 0).all():
            raise ArgumentError(f"{kind.kind}: codebook {name!r} must be above 0")
