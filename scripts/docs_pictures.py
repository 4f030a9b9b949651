"""Draw the pictures of docs/emotions.md again: a map, the bars of three faces, a table of overlaps.

The faces are drawn (`pyfer.cartoon`): happiness with surprise, sadness with fear, anger. They illustrate and
are no evidence: what the recogniser makes of them is printed as it is.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from pyfer.cartoon import cartoon_faces
from pyfer.emotions import BASIC

DOCS = Path(__file__).resolve().parent.parent / "docs"
MIXTURES = ({"happiness": 0.5, "surprise": 0.5}, {"sadness": 0.5, "fear": 0.5}, {"anger": 1.0})


def main() -> None:
    """Write the pictures."""
    weights = np.array([[mixture.get(name, 0.0) for name in BASIC] for mixture in MIXTURES], np.float32)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{'-'.join(mixture)}.png" for mixture in MIXTURES]
        for path, face in zip(paths, cartoon_faces(weights, size=160, seed=3), strict=True):
            Image.fromarray(face).save(path)
        map_, panel = DOCS / "emotions-map.png", DOCS / "emotions-panel.png"
        pyfer("predict", *paths, "--crops", "--emotions", "du2014", "--map", map_, "--panel", panel)
    pyfer("emotions", "compare", "du2014", "--output", DOCS / "emotions-overlap.png")


def pyfer(*words: str | Path) -> None:
    """Run the command."""
    subprocess.run([sys.executable, "-m", "pyfer", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
