"""What every source of frames has in common: frames that wait to be decoded, and a file to look into."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyfer import sources
from pyfer.errors import SourceError

Pixels = NDArray[np.uint8]

TICK = 5e-4
"""Seconds that a time stamp may be rounded by: Matroska counts milliseconds."""


@dataclass(frozen=True)
class Raw:
    """A frame that may still have to be decoded: its number, its seconds, and what gives the pixels."""

    index: int
    time: float
    pixels: Callable[[], Pixels]


class Decoder:
    """What every source of frames knows about itself."""

    name = ""
    width = 0
    """Pixels of the upright picture."""
    height = 0
    rate: float | None = None
    """Frames a second, on average."""
    duration: float | None = None
    """Seconds."""
    live = False
    has_sound = False
    trouble: str | None = None
    """What went wrong on the way: a sentence."""

    def frames(self, start: float) -> Iterator[Raw]:
        """Yield the frames from `start` seconds on, in order of time. Once."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the source back."""


def head_of(name: str) -> bytes:
    """Return the first bytes of a file, or say in one sentence why there is no film in it."""
    if not name:
        raise SourceError("the path is empty: name a film or a camera", "missing")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", name):
        raise SourceError(f"{name}: pyFER uses no network; download the film first", "unsupported")
    path = Path(name)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{name}: is a folder; name a film", "directory")
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{name}: is a device or pipe, not a film", "unsupported")
        if status.st_size == 0:
            raise SourceError(f"{name}: the file is empty", "empty")
        with path.open("rb") as stream:
            return stream.read(512)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(sources.missing(path, name), "missing") from None
    except SourceError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"{name!r}: cannot be opened ({reason(error)})", "unreadable") from error


def reason(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
