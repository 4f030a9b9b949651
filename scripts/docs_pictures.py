"""Draw the pictures of docs/emotions.md and docs/films.md again: maps, bars, overlaps, a timeline.

The faces are drawn (`pyfer.cartoon`): happiness with surprise, sadness with fear, anger. They illustrate and
are no evidence: what the recogniser makes of them is printed as it is.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pyfer.cartoon import blend, cartoon_faces, draw_faces
from pyfer.emotions import BASIC
from pyfer.films import Film, FilmWriter, Span

DOCS = Path(__file__).resolve().parent.parent / "docs"
RATE, SECONDS, SHOWN = 25, 9, 4.2
"""Of the film: frames a second, seconds, and the second that is shown."""
COURSES = {8: ("surprise", "happiness", "neutral"), 7: ("neutral", "sadness", "anger")}
"""Seed of a drawn person -> what the face goes through."""
SUCCESSION = "relief = surprise -> happiness within 2 s"
MIXTURES = ({"happiness": 0.5, "surprise": 0.5}, {"sadness": 0.5, "fear": 0.5}, {"anger": 1.0})


def main() -> None:
    """Write the pictures; with a path, draw the film of two people there and nothing else."""
    if sys.argv[1:]:
        draw_film(Path(sys.argv[1]))
        return
    weights = np.array([[mixture.get(name, 0.0) for name in BASIC] for mixture in MIXTURES], np.float32)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{'-'.join(mixture)}.png" for mixture in MIXTURES]
        for path, face in zip(paths, cartoon_faces(weights, size=160, seed=3), strict=True):
            Image.fromarray(face).save(path)
        map_, panel = DOCS / "emotions-map.png", DOCS / "emotions-panel.png"
        pyfer("predict", *paths, "--crops", "--emotions", "du2014", "--map", map_, "--panel", panel)
    pyfer("emotions", "compare", "du2014", "--output", DOCS / "emotions-overlap.png")
    with tempfile.TemporaryDirectory() as folder:
        film, marked = Path(folder) / "two-people.mp4", Path(folder) / "marked.mp4"
        draw_film(film)
        pyfer("watch", film, "-e", SUCCESSION, "--timeline", DOCS / "timeline.png", "--film", marked)
        with Film(marked, Span(start=SHOWN)) as frames:
            Image.fromarray(next(iter(frames)).image).save(DOCS / "film.png", optimize=True)


def draw_film(path: Path) -> None:
    """Write a film of two drawn people whose faces go through `COURSES`, from neutral and back each time."""
    with FilmWriter(path, rate=RATE) as film:
        for k in range(round(SECONDS * RATE)):
            film.write(
                np.concatenate([face(seed, course, k) for seed, course in COURSES.items()], 1), k / RATE
            )


def face(seed: int, course: Sequence[str], frame: int) -> NDArray[np.uint8]:
    """Return (360, 320, 3): a person, swaying a little, in a frame."""
    part = SECONDS * RATE / len(course)
    name, along = course[min(int(frame / part), len(course) - 1)], frame % part / part
    strength = float(np.clip(1.8 * math.sin(math.pi * along) - 0.4, 0, 1))
    weights = np.zeros((1, len(BASIC)))
    weights[0, BASIC.index("neutral")] = 1 - strength
    weights[0, BASIC.index(name)] += strength
    crop = draw_faces(blend(weights), size=260, seed=seed)[0]
    picture = np.empty((360, 320, 3), np.uint8)
    picture[:] = np.median(crop[:13], axis=(0, 1))
    x, y = 30 + round(12 * math.sin(frame / 19 + seed)), 50 + round(8 * math.sin(frame / 13 + seed))
    picture[y : y + 260, x : x + 260] = crop
    return picture


def pyfer(*words: str | Path) -> None:
    """Run the command."""
    subprocess.run([sys.executable, "-m", "pyfer", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
