"""Clips: a few frames of a face on its way from neutral to the apex of an expression, one label each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets.ckplus import CKPLUS_LABELS
from pyfer.datasets.options import arrays, table
from pyfer.datasets.registry import parsed
from pyfer.errors import ArgumentError, DataError


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of t frames; all arrays have the same length n."""

    frames: NDArray[np.uint8]
    """(n, t, h, w) gray: the neutral first frame, then the last ones; the last of all is the apex."""
    present: NDArray[np.bool_]
    """(n, t) whether there is such a frame."""
    truth: NDArray[np.int64]
    """(n,) index of the label."""
    labels: tuple[str, ...]
    subjects: NDArray[np.str_]
    """(n,) who is shown."""
    spec: str = ""
    """What `open_clips` opened them with."""

    def __len__(self) -> int:
        return len(self.frames)


def open_clips(spec: str) -> Clips:
    """Open the sequences of CK+ (Lucey et al. 2010) as ``ckplus:PATH``, where PATH has ``sequences.npz``.

    Composed neutral clips are left out: they are no sequences.

    Raises
    ------
    ArgumentError
        The reader is another: no other data set of clips is known. Or there is an option: clips have none.
    DataError
        The folder does not hold ``sequences.npz`` and ``labels.csv`` that fit.
    """
    reader, path, options = parsed(spec)
    if reader != "ckplus":
        raise ArgumentError(f"clips={spec!r} must be of the reader ckplus, the only one that knows sequences")
    if options:
        raise ArgumentError(f"clips={spec!r} must have no options; write ckplus:PATH alone")
    rows = table(path / "labels.csv", ("clip_id", "subject", "label", "composed_neutral"))
    frames, present = arrays(path / "sequences.npz", "frames", "present")
    if not len(rows) == len(frames) == len(present):
        raise DataError(
            f"{path}: labels.csv has {len(rows)} rows, sequences.npz has {len(frames)} sequences in "
            f"frames and {len(present)} in present; must be equal"
        )
    if frames.ndim != 4 or present.shape != frames.shape[:2]:
        raise DataError(
            f"{path}/sequences.npz: frames has shape {frames.shape} and present {present.shape}; must be "
            "(n, t, h, w) and (n, t)"
        )
    kept = [k for k, row in enumerate(rows) if row["composed_neutral"] != "1"]
    if not kept:
        raise DataError(f"{path}/labels.csv has no sequence: all {len(rows)} rows are composed neutral clips")
    strange = sorted({rows[k]["label"] for k in kept} - set(CKPLUS_LABELS))
    if strange:
        raise DataError(f"{path}/labels.csv: label={strange[0]!r} must be one of {', '.join(CKPLUS_LABELS)}")
    return Clips(
        frames[kept],
        present[kept].astype(bool),
        np.array([CKPLUS_LABELS.index(rows[k]["label"]) for k in kept], np.int64),
        CKPLUS_LABELS,
        np.array([rows[k]["subject"] for k in kept], np.str_),
        spec,
    )
