"""Write tests/reference/: what the shipped models say today, for the tests to compare with.

Run it when a new model ships, and look at the difference before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyfer.cartoon import cartoon_faces
from pyfer.crops import luma
from pyfer.emotions import BASIC
from pyfer.models import Model
from pyfer.pipeline import Pipeline, Reading

TARGET = Path(__file__).parent.parent / "tests" / "reference"
MODELS = ("base", "svm")
FILM_MODELS = ("film", "film-both")
SHOWN = ("happiness", "surprise", "sadness")
"""What the persons of `films` show."""
FRAMES = 40


def main() -> None:
    """Store the answers of each model."""
    TARGET.mkdir(exist_ok=True)
    for name in (*MODELS, *FILM_MODELS):
        answers = answers_of(name) if name in MODELS else answers_to_films(name)
        (TARGET / f"{name}.json").write_text(json.dumps(answers) + "\n")
        print(TARGET / f"{name}.json")


def answers_of(name: str) -> dict[str, object]:
    """Recognise the astronaut and sixteen drawn faces with both heads; return the probabilities."""
    from skimage.data import astronaut

    drawn = cartoon_faces(np.eye(len(BASIC), dtype=np.float32)[np.arange(16) % 8], size=48, seed=7)
    answers: dict[str, object] = {}
    for head in ("ferplus", "fer2013"):
        pipeline = Pipeline(name, reading=Reading(head=head))
        photograph = pipeline.predict(np.asarray(astronaut()))  # type: ignore[no-untyped-call]
        faces = pipeline.predict(list(drawn), crops=True)
        answers[head] = {
            "labels": list(pipeline.labels),
            "astronaut": np.round(photograph.basic.astype(float), 5).tolist(),
            "drawn": np.round(faces.basic.astype(float), 5).tolist(),
        }
    answers["box"] = np.round(photograph.box.astype(float), 1).tolist()
    return answers


def answers_to_films(name: str) -> dict[str, object]:
    """Recognise the frames of drawn films with both heads; return the probabilities (films, t, c)."""
    model, (crops, times) = Model(name, threads=1), films()
    said = [model.film(film, clock) for film, clock in zip(crops, times, strict=True)]
    return {
        head.name: {
            "labels": list(head.labels),
            "drawn": [np.round(each.probabilities[head.name].astype(float), 5).tolist() for each in said],
        }
        for head in model.spec.heads
    }


def films() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Draw films with noise, neutral to an expression and back; gray (n, t, 48, 48), seconds (n, t).

    Two frames of each are false: the face of the next person.
    """
    rng = np.random.default_rng(7)
    n = len(SHOWN)
    way = np.interp(np.arange(FRAMES), [0, 8, 12, 26, 30], [0, 0, 1, 1, 0])
    whole, neutral = np.eye(len(BASIC))[[BASIC.index(name) for name in SHOWN]], np.eye(len(BASIC))[[0] * n]
    frames = [luma(cartoon_faces(s * whole + (1 - s) * neutral, seed=7, variation=0)) for s in way]
    crops = np.stack(frames, axis=1)  # (n, t, 48, 48)
    crops[:, 18:20] = np.roll(crops, 1, axis=0)[:, 18:20]
    noisy = crops + rng.normal(0, 6, crops.shape)
    times = np.cumsum(rng.uniform(0.03, 0.05, crops.shape[:2]), axis=1)
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8), times


if __name__ == "__main__":
    main()
