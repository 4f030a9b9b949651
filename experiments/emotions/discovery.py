"""How far the mixtures that `pyfer emotions discover` finds agree with the annotators' votes.

::

    python experiments/emotions/discovery.py MODEL DATA [--split PublicTest]

For each mixture found among the faces of a split, without their labels: the share of its faces with two
votes or more for each of its emotions, and the same for all faces. Then the faces with 8 or
more of 10 votes for one emotion, where nothing should be found.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from pyfer.datasets import open_data
from pyfer.discovery import discover
from pyfer.emotions import BASIC
from pyfer.models import Model
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary


def report(
    title: str, posterior: Posterior, evidence: NDArray[np.float32], votes: NDArray[np.float32]
) -> None:
    """Print what is found among some faces."""
    result = discover(posterior, evidence)
    print(f"{title}: {len(evidence)} faces, {result.unexplained:.1%} unexplained; found {len(result.found)}")
    for one in result.found:
        both = (votes[:, np.flatnonzero(np.array(one.point) > 0.15)] >= 2).all(1)
        print(f"  {one.name:26} {one.formula:38} n {one.count:4} votes for both {both[one.rows].mean():4.0%} "
              f"(at random {both.mean():.1%})")  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Discovered mixtures against votes.")
    parser.add_argument("model")
    parser.add_argument("data", help="folder of FER2013 with FER+ votes")
    parser.add_argument("--split", default="PublicTest", choices=("PublicTest", "PrivateTest"))
    arguments = parser.parse_args()
    model = Model(arguments.model)
    faces = open_data(f"fer2013plus:{arguments.data}?split={arguments.split}&leaks=keep")
    posterior = Posterior(Vocabulary([]), model.evidence, model.labels)
    output = model(faces.images)
    evidence = posterior.coefficients(output.probabilities[model.spec.head().name], output.embedding)
    votes = faces.votes["ferplus"][:, : len(BASIC)]
    report(arguments.split, posterior, evidence, votes)
    single = votes.max(1) >= 8
    report("single emotions only", posterior, evidence[single], votes[single])


if __name__ == "__main__":
    main()
