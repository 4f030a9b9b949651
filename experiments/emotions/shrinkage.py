"""How far examples should move a definition: fit `SPREAD` and `DOUBT` of `pyfer.learning`, and print why.

::

    python experiments/emotions/shrinkage.py MODEL_FOLDER ../shared/data/fer2013plus -o FILE.json

Few-shot rounds (`pyfer.blends.episodes`) on the blends of Training and PublicTest, without the faces of
Training that are copies of PublicTest or PrivateTest. Each pair of a round is an emotion: its definition is
the even mixture of the two, k faces are its examples, and the remaining faces are told apart by
``composition(point) . (e - base)``, all emotions of the round equally likely beforehand. The model's
evidence must not have seen a blend.

Three kinds of tables: spreads, with and without a definition; the same with the examples' likelihood raised
to a power tau below 1, as if they were fewer; and one emotion of a round with a wrong definition, the others
right and without examples; all these without doubt in the definition. Then what doubt costs and gains at the
spread that ships. The last lines weigh what a spread costs where definitions are right against what it gains
where they are wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.blends import PAIRS, Episode, episodes, find
from pyfer.datasets import concatenate, open_data
from pyfer.emotions import BASIC
from pyfer.errors import PyferError
from pyfer.evidence import Evidence, composition
from pyfer.files import replace_file
from pyfer.learning import SPREAD, learned_point
from pyfer.models import Model

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SPREADS = (0.02, 0.03, 0.05, 0.1, 0.2, 0.4)
DOUBTS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2)
SHOTS = (1, 2, 5, 10)
POWERS = (1.0, 0.5, 0.2)
ROUNDS = {5: 200, 0: 60}
"""Ways of a round (0: all pairs that have enough blends) -> rounds."""
HEAD = "ferplus"
_MEMBERS = np.array([[BASIC.index(name) for name in pair] for pair in PAIRS])


@dataclass(frozen=True, eq=False)
class Blended:
    """The blends to learn from and to tell apart."""

    pair: Integers
    """(m,) position in `PAIRS`."""
    votes: NDArray[np.float32]
    """(m, 8)."""
    coefficients: NDArray[np.float32]
    """(m, 36) evidence."""
    evidence: Evidence

    def learned(
        self,
        rows: Integers,
        definition: Floats | None,
        spread: float,
        power: float = 1.0,
        doubt: float = 0.0,
    ) -> Floats:
        """Return the point (8,) that examples show; their likelihood is raised to `power`."""
        base = self.evidence.base
        shown = base + np.float32(power) * (self.coefficients[rows] - base)
        given = None if definition is None else tuple(map(float, definition))
        point = learned_point(self.evidence, shown, given, spread=spread, doubt=doubt)
        return np.array(point, np.float64)

    def log_p(self, points: Floats, rows: Integers) -> Floats:
        """Return log posteriors (q, w) of faces over w points (w, 8) that are equally likely beforehand."""
        z = (self.coefficients[rows] - self.evidence.base) @ composition(points).T
        return np.asarray(z - np.logaddexp.reduce(z, axis=1, keepdims=True), np.float64)


def read(model: Model, folder: str) -> Blended:
    """Read the blends of Training and PublicTest."""
    options = "&blends=only&leaks=drop"
    data = concatenate(
        [open_data(f"fer2013plus:{folder}?split={s}{options}") for s in ("Training", "PublicTest")]
    )
    head = model.spec.head(HEAD)
    output = model(data.images)
    p = output.probabilities[HEAD][:, [head.labels.index(name) for name in BASIC]]
    if model.evidence.labels != BASIC:
        raise SystemExit(f"evidence speaks of {', '.join(model.evidence.labels)}; all eight are needed")
    pair = find(data.votes[HEAD]).pair
    return Blended(
        pair, data.votes[HEAD][:, : len(BASIC)], model.evidence(p, output.embedding), model.evidence
    )


# --- definitions ------------------------------------------------------------------------------------------


def even(blended: Blended, way: int, ways: Integers) -> Floats:
    """Return the right definition: the even mixture."""
    return np.asarray(np.eye(len(BASIC))[_MEMBERS[way]].mean(0))


def reversed_shares(blended: Blended, way: int, ways: Integers) -> Floats:
    """Return 80:20 with 80 for the one that has fewer votes among the blends of this pair."""
    votes = blended.votes[blended.pair == way][:, _MEMBERS[way]].sum(0)
    point = np.zeros(len(BASIC))
    point[_MEMBERS[way][votes.argsort()]] = 0.8, 0.2
    return point


def wrong_member(blended: Blended, way: int, ways: Integers) -> Floats:
    """Return an even mixture of one member and an emotion that is not in the pair, nor in a rival with it.

    Which one follows from the pair and its rivals alone, but looks random.
    """
    taken = {frozenset(_MEMBERS[other]) for other in ways}
    found = [
        (kept, new)
        for kept in _MEMBERS[way]
        for new in range(1, len(BASIC))
        if new not in _MEMBERS[way] and frozenset((kept, new)) not in taken
    ]
    rng = np.random.default_rng([way, *ways.tolist()])
    return np.asarray(np.eye(len(BASIC))[list(found[rng.integers(len(found))])].mean(0))


Definition = Callable[[Blended, int, Integers], Floats]
DEFINITIONS: dict[str, Definition] = {
    "right (50:50)": even,
    "80:20 the wrong way": reversed_shares,
    "one wrong member": wrong_member,
}


# --- rounds -----------------------------------------------------------------------------------------------


def rounds(blended: Blended, ways: int, shots: int) -> Iterator[Episode]:
    """Yield the rounds; for the same ways they have the same faces, whatever the shots."""
    return episodes(blended.pair, ways=ways or None, shots=shots, count=ROUNDS[ways], seed=1)


def learned(
    blended: Blended, ways: int, shots: int, spread: float | None, power: float = 1.0, doubt: float = 0.0
) -> dict[str, float]:
    """Return accuracy and log-loss of rounds in which all emotions have examples.

    Without a spread there is no definition; with 0 shots there are no examples, only definitions.
    """
    right, loss = [], []
    for episode in rounds(blended, ways, max(shots, 1)):
        points = []
        for way, support in zip(episode.ways.tolist(), episode.support, strict=True):
            definition = even(blended, way, episode.ways)
            if shots:
                given = definition if spread is not None else None
                definition = blended.learned(support, given, spread or 1.0, power, doubt)
            points.append(definition)
        log_p = blended.log_p(np.array(points), episode.query)
        right.append((log_p.argmax(1) == episode.truth).mean())
        loss.append(-log_p[np.arange(len(log_p)), episode.truth].mean())
    error = np.std(right) / np.sqrt(len(right))
    return {"accuracy": float(np.mean(right)), "log_loss": float(np.mean(loss)), "error": float(error)}


def corrected(
    blended: Blended,
    ways: int,
    shots: int,
    definition: Definition | None,
    spread: float,
    doubt: float = 0.0,
) -> dict[str, float]:
    """Return what rounds say where one emotion has `definition` and examples, the others the right formula.

    Each emotion of a round takes its turn. ``recall`` is the share of its faces that are given to it,
    ``accuracy`` that of all faces that are given to the right emotion, ``log_loss`` is of all faces.
    """
    recall, accuracy, loss = [], [], []
    for episode in rounds(blended, ways, max(shots, 1)):
        right = np.array([even(blended, way, episode.ways) for way in episode.ways.tolist()])
        for k, way in enumerate(episode.ways.tolist()):
            point = None if definition is None else definition(blended, way, episode.ways)
            if shots:
                point = blended.learned(episode.support[k], point, spread, doubt=doubt)
            points = right.copy()
            points[k] = point
            log_p = blended.log_p(points, episode.query)
            guess = log_p.argmax(1)
            recall.append((guess[episode.truth == k] == k).mean())
            accuracy.append((guess == episode.truth).mean())
            loss.append(-log_p[np.arange(len(log_p)), episode.truth].mean())
    return {
        "recall": float(np.mean(recall)),
        "accuracy": float(np.mean(accuracy)),
        "log_loss": float(np.mean(loss)),
    }


def spreads(blended: Blended, ways: int, power: float = 1.0) -> dict[str, dict[str, float]]:
    """Return ``"SPREAD, SHOTS"`` -> numbers for all spreads, no definition (None), and definitions alone."""
    found = {"definition alone": learned(blended, ways, 0, None)}
    for spread in (*SPREADS, None):
        for k in SHOTS:
            found[f"{spread}, {k}"] = learned(blended, ways, k, spread, power)
    return found


def wrong(blended: Blended, ways: int) -> dict[str, dict[str, float]]:
    """Return ``"DEFINITION, SPREAD, SHOTS"`` -> numbers; SHOTS 0 is the definition alone."""
    found = {}
    for name, definition in DEFINITIONS.items():
        found[f"{name}, 0"] = corrected(blended, ways, 0, definition, 1.0)
        for spread in SPREADS:
            for k in SHOTS:
                found[f"{name}, {spread}, {k}"] = corrected(blended, ways, k, definition, spread)
    for k in SHOTS:
        found[f"none, {k}"] = corrected(blended, ways, k, None, 1.0)
    return found


def doubtful(blended: Blended, ways: int) -> dict[str, dict[str, float]]:
    """Return ``"DOUBT, SHOTS"`` -> accuracy with right definitions, recall of one with a wrong member."""
    return {
        f"{doubt:g}, {k}": {
            "accuracy": learned(blended, ways, k, SPREAD, doubt=doubt)["accuracy"],
            "recall": corrected(blended, ways, k, wrong_member, SPREAD, doubt)["recall"],
        }
        for doubt in DOUBTS
        for k in SHOTS
    }


# --- tables -----------------------------------------------------------------------------------------------


def spread_table(curve: dict[str, dict[str, float]], power: float) -> Iterator[str]:
    """Yield the lines of a table of accuracy in per cent and log-loss in nats."""
    alone = curve["definition alone"]
    yield f"{f'tau {power}':18}" + "".join(f"{f'k = {k}':>18}" for k in SHOTS)
    yield f"{'definition alone':18}" + _cell(alone)
    for spread in (*SPREADS, None):
        name = "no definition" if spread is None else f"spread {spread}"
        yield f"{name:18}" + "".join(_cell(curve[f"{spread}, {k}"]) for k in SHOTS)


def _cell(numbers: dict[str, float]) -> str:
    return f"{100 * numbers['accuracy']:11.1f} {numbers['log_loss']:6.3f}"


def doubt_table(curve: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a table: accuracy if all definitions are right / recall of a wrong one, per cent."""
    yield f"{'doubt':18}" + "".join(f"{f'k = {k}':>18}" for k in SHOTS)
    for doubt in DOUBTS:
        cells = [curve[f"{doubt:g}, {k}"] for k in SHOTS]
        yield f"{doubt:<18g}" + "".join(
            f"{100 * cell['accuracy']:11.1f} /{100 * cell['recall']:5.1f}" for cell in cells
        )


def wrong_table(curve: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a table: recall of the emotion in question / accuracy of all, per cent."""
    yield f"{'definition':22}{'spread':8}" + "".join(f"{f'k = {k}':>14}" for k in (0, *SHOTS))
    for name in DEFINITIONS:
        for spread in SPREADS:
            cells = [curve[f"{name}, 0"]] + [curve[f"{name}, {spread}, {k}"] for k in SHOTS]
            yield f"{name:22}{spread:<8}" + "".join(map(_shares, cells))
    yield f"{'none':22}{'':8}{'':14}" + "".join(_shares(curve[f"none, {k}"]) for k in SHOTS)


def _shares(numbers: dict[str, float]) -> str:
    return f"{100 * numbers['recall']:7.1f} /{100 * numbers['accuracy']:5.1f}"


def rounded(tree: Any) -> Any:
    """Return the tree with five digits after the point."""
    if isinstance(tree, dict):
        return {key: rounded(value) for key, value in tree.items()}
    return round(tree, 5) if isinstance(tree, float) else tree


def costs(curves: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return what examples change: definitions -> spread -> log-loss minus that without examples.

    `curves` are those of `run`, by ways; numbers are means over ways and shots.
    """
    found: dict[str, dict[str, float]] = {}

    def add(row: str, spread: float, with_them: list[float], without: list[float]) -> None:
        found.setdefault(row, {})[str(spread)] = float(np.mean(with_them) - np.mean(without))

    for spread in SPREADS:
        for power in map(str, POWERS):
            parts = [curve["powers"][power] for curve in curves.values()]
            losses = [part[f"{spread}, {k}"]["log_loss"] for part in parts for k in SHOTS]
            alone = [part["definition alone"]["log_loss"] for part in parts]
            add(f"all right, tau {power}", spread, losses, alone)
        for name in DEFINITIONS:
            parts = [curve["wrong"] for curve in curves.values()]
            losses = [part[f"{name}, {spread}, {k}"]["log_loss"] for part in parts for k in SHOTS]
            add(f"one: {name}", spread, losses, [part[f"{name}, 0"]["log_loss"] for part in parts])
    return found


def cost_table(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a table of `costs`."""
    yield f"{'definitions':28}" + "".join(f"{f'spread {spread}':>13}" for spread in SPREADS)
    for row, values in found.items():
        yield f"{row:28}" + "".join(f"{value:+13.4f}" for value in values.values())


def run(name: str, blended: Blended, output: Path) -> None:
    """Play all rounds, print the tables and write the file."""
    print(f"model {name}, {len(blended.pair)} blends of Training and PublicTest")
    curves: dict[str, Any] = {}
    for ways in ROUNDS:
        what = f"{ways}-way" if ways else "all-way"
        curves[what] = {"rounds": ROUNDS[ways], "powers": {}}
        for power in POWERS:
            print("", f"{what}: accuracy in per cent, log-loss in nats", sep="\n")
            curves[what]["powers"][str(power)] = curve = spreads(blended, ways, power)
            print(*spread_table(curve, power), sep="\n")
        print("", f"{what}, one emotion defined so: its recall / accuracy of all", sep="\n")
        curves[what]["wrong"] = curve = wrong(blended, ways)
        print(*wrong_table(curve), sep="\n")
        print("", f"{what}, spread {SPREAD}: all definitions right / one with a wrong member", sep="\n")
        curves[what]["doubts"] = curve = doubtful(blended, ways)
        print(*doubt_table(curve), sep="\n")
    found = costs(curves)
    print("", "log-loss in nats minus that without examples, mean over ways and k", sep="\n")
    print(*cost_table(found), sep="\n")
    tree = {"model": name, "blends": len(blended.pair), **curves, "log_loss_minus_no_examples": found}
    replace_file(output, (json.dumps(rounded(tree)) + "\n").encode())


def main(arguments: list[str] | None = None) -> None:
    """Read the blends, then `run`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder with an evidence file that has seen no blend")
    parser.add_argument("data", help="folder of fer2013plus")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    try:
        model = Model(given.model, threads=1)
        blended = read(model, given.data)
    except PyferError as error:
        raise SystemExit(f"shrinkage: {error}") from error
    run(model.name, blended, given.output)


if __name__ == "__main__":
    main()
