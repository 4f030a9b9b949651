"""pyFER: emotions in pictures of faces, offline, with probabilities that mean something.

>>> import pyfer
>>> result = pyfer.predict("party.jpg")          # doctest: +SKIP
>>> result[0].emotion, result[0].basic           # doctest: +SKIP

The names below are the public surface. They are imported when first used, so ``import pyfer`` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pyfer.drawing import draw as draw
    from pyfer.emotions import BASIC as BASIC
    from pyfer.emotions import Emotion as Emotion
    from pyfer.errors import PyferError as PyferError
    from pyfer.errors import SourceError as SourceError
    from pyfer.faces import Detector as Detector
    from pyfer.faces import Faces as Faces
    from pyfer.faces import Mtcnn as Mtcnn
    from pyfer.faces import YuNet as YuNet
    from pyfer.models import Model as Model
    from pyfer.pipeline import Pipeline as Pipeline
    from pyfer.pipeline import Reading as Reading
    from pyfer.pipeline import predict as predict
    from pyfer.results import Face as Face
    from pyfer.results import Result as Result
    from pyfer.sources import read as read
    from pyfer.vocabulary import Vocabulary as Vocabulary
    from pyfer.watching import Watching as Watching
    from pyfer.watching import watch as watch

_HOMES = {
    "BASIC": "emotions",
    "Detector": "faces",
    "Emotion": "emotions",
    "Face": "results",
    "Faces": "faces",
    "Model": "models",
    "Mtcnn": "faces",
    "Pipeline": "pipeline",
    "PyferError": "errors",
    "Reading": "pipeline",
    "Result": "results",
    "SourceError": "errors",
    "Vocabulary": "vocabulary",
    "Watching": "watching",
    "YuNet": "faces",
    "draw": "drawing",
    "predict": "pipeline",
    "read": "sources",
    "watch": "watching",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pyfer' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pyfer.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
