"""Measure what recognition loses between a given crop and a face found in a larger picture.

::

    python benchmarks/geometry.py ../shared/data/fer2013plus --faces 900

The recogniser learned from FER2013's own 48x48 crops; in use it gets crops that the detector and the
alignment make. Here crops of PublicTest are enlarged four times, set into a larger picture, found, aligned
and recognised, beside the same crops given as they are.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from pyfer.datasets import open_data
from pyfer.pipeline import Pipeline

ENLARGED = 192  # pixels: a face that fills a quarter of a small photograph
BORDER = 96


def main() -> None:
    """Print accuracy as given and as found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of fer2013plus")
    parser.add_argument("--faces", type=int, default=900)
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    data = open_data(f"fer2013plus:{options.data}?split=PublicTest&labels=ferplus")[slice(options.faces)]
    truth = data.targets["ferplus"].argmax(1)
    pipeline = Pipeline(options.model, largest=True)
    given = pipeline.predict(list(data.images), crops=True).basic.argmax(1)
    resized = [
        Image.fromarray(crop).resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC) for crop in data.images
    ]
    found = pipeline.predict([np.pad(np.asarray(picture), BORDER, mode="edge") for picture in resized])
    rows, answers = found.source, found.basic.argmax(1)
    table = Table(box=None, header_style="bold")
    for column in ("faces", "found", "accuracy as given", "accuracy as found", "same answer"):
        table.add_column(column, justify="right")
    table.add_row(
        str(len(truth)),
        f"{len(rows) / len(truth):.1%}",
        f"{(given == truth)[rows].mean():.1%}",
        f"{(answers == truth[rows]).mean():.1%}",
        f"{(answers == given[rows]).mean():.1%}",
    )
    Console().print(table)


if __name__ == "__main__":
    main()
