"""Write tests/reference/base.json: what the shipped model says today, for the tests to compare with.

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

TARGET = Path(__file__).parent.parent / "tests" / "reference" / "base.json"


def main() -> None:
    """Recognise the astronaut and sixteen drawn faces with both heads, and store the probabilities."""
    drawn = cartoon_faces(np.eye(len(BASIC), dtype=np.float32)[np.arange(16) % 8], size=48, seed=7)
    answers = {}
    for head in ("ferplus", "fer2013"):
        pipeline = Pipeline(reading=Reading(head=head))
        photograph = pipeline.predict(np.asarray(astronaut()))  # type: ignore[no-untyped-call]
        faces = pipeline.predict(list(drawn), crops=True)
        answers[head] = {
            "labels": list(pipeline.labels),
            "astronaut": np.round(photograph.basic.astype(float), 5).tolist(),
            "drawn": np.round(faces.basic.astype(float), 5).tolist(),
        }
    answers["box"] = np.round(photograph.box.astype(float), 1).tolist()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(answers) + "\n")
    print(TARGET)


if __name__ == "__main__":
    main()
