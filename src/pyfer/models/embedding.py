"""The embedding of a network as a feature, for machines that learn from what it sees."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pyfer.errors import ArgumentError, ModelError
from pyfer.features import Codebook, Feature, register
from pyfer.models.folders import DEFAULT_MODEL, find
from pyfer.models.runtime import Model
from pyfer.models.spec import read_spec


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
