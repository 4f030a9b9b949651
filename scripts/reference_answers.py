"""Write tests/reference/: what the shipped models say today, for the tests to compare with.

Run it when a new model ships, and look at the difference before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from skimage.data import astronaut

from pyfer.cartoon import cartoon_faces
from pyfer.emotions import BASIC
from pyfer.pipeline import Pipeline, Reading

TARGET = Path(__file__).parent.parent / "tests" / "reference"
MODELS = ("base", "svm")


def main() -> None:
    """Store the answers of each model."""
    TARGET.mkdir(exist_ok=True)
    for name in MODELS:
        (TARGET / f"{name}.json").write_text(json.dumps(answers_of(name)) + "\n")
        print(TARGET / f"{name}.json")


def answers_of(name: str) -> dict[str, object]:
    """Recognise the astronaut and sixteen drawn faces with both heads; return the probabilities."""
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


if __name__ == "__main__":
    main()
