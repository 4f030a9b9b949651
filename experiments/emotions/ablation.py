"""Compare formulas for combined emotions on the outputs of one network, and print the tables.

::

    python experiments/emotions/ablation.py MODEL_FOLDER ../shared/data/fer2013plus -o FILE.json

The network reads all FER+ faces once; every rule (`scorers.py`) scores the same outputs. All rules but the
mean rule, which keeps the second-highest probability that other networks were measured with, get their
"is a blend" from ``softmax(beta score + offset of the pairs)`` with two numbers fitted to the votes of
PublicTest; the chance of all pairs together is the blend score.

The protocol follows from what ``model.json`` says about the training:

- **zero-shot**, if every data set in it has ``blends=drop``: nothing here is fitted on a blend, and all
  2,021 are measured. Single-emotion faces are those of PublicTest and PrivateTest; the network knows those
  of Training.
- **product**, if not: the network was trained on the blends of Training, so only PrivateTest is measured,
  and what is fitted here may see blends of Training and PublicTest too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scorers import (
    SCORERS,
    B,
    Faces,
    Floats,
    Mask,
    Material,
    calibrated,
    cross_entropy,
    fitted_dirichlet,
    fitted_mixture,
    shipped_posterior,
    usable,
    vocabulary_target,
)

from pyfer.blends import (
    ELEVEN,
    PAIRS,
    Blends,
    BlendScores,
    Comparison,
    Scored,
    compare,
    find,
    mean_rule,
    measure,
    pair_name,
)
from pyfer.datasets import open_data
from pyfer.emotions import BASIC
from pyfer.errors import PyferError
from pyfer.evidence import Evidence, of_any_model
from pyfer.files import replace_file
from pyfer.models import Model, Spec
from pyfer.training.evidence import fit

SPLITS = ("Training", "PublicTest", "PrivateTest")
HEAD = "ferplus"
MEAN, SHIPPED, FREQUENT = "mean rule", "evidence, as it ships", "the most frequent pair"
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the network says about all faces of FER+."""

    faces: Faces
    split: NDArray[np.int64]
    """(n,) position in `SPLITS`."""
    leak: Mask
    """(n,) faces of Training that are copies of a face of another split."""


@dataclass(frozen=True, eq=False)
class Rule:
    """A scorer's numbers for all faces."""

    pair_scores: Floats
    """(n, 21)."""
    blend_score: Floats
    """(n,)."""
    fitted: dict[str, float]
    """What was fitted for it, and the cross-entropy to the votes of the faces that it was fitted on."""


# --- from a model and a folder to material ----------------------------------------------------------------


def read(model: Model, folder: str) -> Outputs:
    """Read every face of FER+ once."""
    parts, split, leak = [], [], []
    for k, name in enumerate(SPLITS):
        data = open_data(f"fer2013plus:{folder}?split={name}&leaks=keep")
        print(f"reading {name}: {len(data)} faces", file=sys.stderr)
        outputs = [model(data.images[start : start + _CHUNK]) for start in range(0, len(data), _CHUNK)]
        head = model.spec.head(HEAD)
        order = [head.labels.index(emotion) for emotion in BASIC]
        p = np.concatenate([output.probabilities[HEAD] for output in outputs])[:, order]
        embeddings = [output.embedding for output in outputs if output.embedding is not None]
        if not embeddings:
            raise SystemExit(f"model {model.name!r} has no embedding, which half of the rules read")
        parts.append((data.votes[HEAD], p, np.concatenate(embeddings)))
        split.append(np.full(len(data), k))
        clean = open_data(f"fer2013plus:{folder}?split={name}&leaks=drop").ids
        leak.append(~np.isin(data.ids, clean))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Outputs(Faces(*columns), np.concatenate(split), np.concatenate(leak))


def is_zero_shot(spec: Spec) -> bool:
    """Whether the network has seen no blend, by its own account; without one it may have seen them all."""
    train = spec.about.get("training", {}).get("data", {}).get("train", [])
    return bool(train) and all("blends=drop" in data for data in train)


def probability_evidence(model: Model, folder: str, zero_shot: bool) -> Evidence:
    """Return evidence that reads probabilities alone and, in the zero-shot protocol, has seen no blend."""
    if not zero_shot:
        return of_any_model()
    print("fitting evidence from probabilities", file=sys.stderr)
    public = f"fer2013plus:{folder}?split=PublicTest&blends=drop"
    return fit(model, public, public, kind="probabilities").evidence


def material(outputs: Outputs, evidence: Evidence, plain: Evidence, zero_shot: bool) -> Material:
    """Choose the faces that may be fitted on: no copies of test faces, and in zero-shot no blends."""
    fair = usable(outputs.faces) & ~outputs.leak
    if zero_shot:
        fair[find(outputs.faces.votes).rows] = False
    train, tune = fair & (outputs.split == 0), fair & (outputs.split == 1)
    return Material(outputs.faces, train, tune, evidence, plain)


def selections(outputs: Outputs, zero_shot: bool) -> dict[str, Blends]:
    """Return what is measured: name -> blends and single-emotion faces among all faces."""
    votes, split = outputs.faces.votes, outputs.split
    private = chosen(find(votes), split == 2, split == 2)
    if not zero_shot:
        return {"PrivateTest": private}
    return {
        "all": chosen(find(votes), split >= 0, split > 0),
        "development": chosen(find(votes), split < 2, split == 1),
        "PrivateTest": private,
        "all, 4 votes or more on both sides": chosen(find(votes, 4), split >= 0, split > 0),
    }


def chosen(blends: Blends, of_blends: Mask, of_singles: Mask) -> Blends:
    """Return the blends and the single-emotion faces that two masks over all faces leave."""
    kept = of_blends[blends.rows]
    return Blends(blends.rows[kept], blends.pair[kept], blends.single[of_singles[blends.single]])


# --- rules ------------------------------------------------------------------------------------------------


def rules(m: Material) -> dict[str, Rule]:
    """Return all rules by name, the mean rule first."""
    target = vocabulary_target(m.faces[m.tune].emotions)
    found = {MEAN: Rule(*mean_rule(m.faces.probabilities, BASIC), {})}
    for name, scorer in SCORERS.items():
        print(f"scoring: {name}", file=sys.stderr)
        fitted: dict[str, float] = {}
        if name == "Dirichlet":
            scores, fitted["kappa"], fitted["epsilon"] = fitted_dirichlet(m)
        elif name == "evidence + log p":
            scores, fitted = fitted_mixture(m)
        else:
            scores = scorer(m)
        p, fitted["beta"], fitted["offset"] = calibrated(scores, m)
        fitted["cross_entropy"] = cross_entropy(target, np.log(np.maximum(p[m.tune], 1e-300)))
        found["mean, calibrated" if name == "mean" else name] = Rule(scores[:, B:], p[:, B:].sum(1), fitted)
    p = shipped_posterior(m)
    found[SHIPPED] = Rule(p[:, B:], p[:, B:].sum(1), {})
    always = np.tile([float(pair == ELEVEN[0]) for pair in PAIRS], (len(m.faces), 1))
    found[FREQUENT] = Rule(always, np.zeros(len(m.faces)), {})
    return found


@dataclass(frozen=True, eq=False)
class Judged:
    """A rule measured on one selection."""

    scores: BlendScores
    difference: Comparison
    """To the mean rule, on the same faces."""


def judged(found: dict[str, Rule], blends: Blends, draws: int) -> dict[str, Judged]:
    """Measure all rules on a selection."""
    scored: dict[str, Scored] = {
        name: blends.choose(rule.pair_scores, rule.blend_score) for name, rule in found.items()
    }
    return {
        name: Judged(
            measure(one, blends.pair, draws=draws),
            compare(one, scored[MEAN], blends.pair, draws=draws),
        )
        for name, one in scored.items()
    }


# --- tables -----------------------------------------------------------------------------------------------

METRICS = {"top pair": "top_pair", "macro-F1": "macro_f1", "AUROC": "auroc"}


def table(name: str, results: dict[str, Judged]) -> Iterator[str]:
    """Yield the lines of a selection's table: scores, then differences to the mean rule; per cent."""
    first = results[MEAN].scores
    yield f"{name}: {first.n} blends, {first.singles} single-emotion faces"
    for title, what in (("", "scores"), (f"minus {MEAN}", "difference")):
        yield ""
        yield f"{title:24}" + "".join(f"{metric:>22}" for metric in METRICS)
        for rule, result in results.items():
            values = [getattr(getattr(result, what), field).scaled(100) for field in METRICS.values()]
            if what == "scores" or rule != MEAN:
                sign = "" if what == "scores" else "+"
                yield f"{rule:24}" + "".join(f"{format(value, sign + '.1f'):>22}" for value in values)


def per_pair(mean: BlendScores, best: BlendScores, name: str) -> Iterator[str]:
    """Yield the lines of a table of F1 a pair, and of the commonest confusions."""
    yield f"{'pair':22}{'blends':>8}{'F1 ' + MEAN:>16}{'F1 ' + name:>26}"
    for k, pair in enumerate(ELEVEN):
        n = int(best.counts[PAIRS.index(pair)])
        if n:
            yield f"{pair_name(pair):22}{n:8}{100 * mean.f1[k]:16.1f}{100 * best.f1[k]:26.1f}"
    yield ""
    yield f"{'blends of':22}{'taken for':22}{MEAN:>12}{name:>26}"
    wrong = best.confusion * (1 - np.eye(len(PAIRS), dtype=np.int64))
    for cell in np.argsort(-wrong, axis=None, kind="stable")[:10]:
        truth, guess = divmod(int(cell), len(PAIRS))
        names = f"{pair_name(PAIRS[truth]):22}{pair_name(PAIRS[guess]):22}"
        yield f"{names}{mean.confusion[truth, guess]:12}{wrong[truth, guess]:26}"


def winner(results: dict[str, Judged]) -> str:
    """Return the rule with the highest macro-F1, the first of equal ones."""
    return max(results, key=lambda name: results[name].scores.macro_f1.value)


def record(results: dict[str, Judged], best: str) -> dict[str, Any]:
    """Return plain numbers, rounded; confusions only of the mean rule and of the best."""
    tree: dict[str, Any] = {}
    common = ("n", "singles", "counts", "pairs")
    for name, result in results.items():
        entry = result.scores.to_dict()
        tree |= {key: entry.pop(key) for key in common}
        if name not in (MEAN, best):
            del entry["confusion"]
        tree[name] = {**entry, "minus_mean_rule": result.difference.to_dict()}
    rules = {name: tree.pop(name) for name in results}
    return {**tree, "rules": rounded(rules)}


def rounded(tree: Any) -> Any:
    """Return the tree with five digits after the point."""
    if isinstance(tree, dict):
        return {key: rounded(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [rounded(value) for value in tree]
    return round(tree, 5) if isinstance(tree, float) else tree


def main(arguments: list[str] | None = None) -> None:
    """Run the ablation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="model folder with an evidence file")
    parser.add_argument("data", help="folder of fer2013plus")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--draws", type=int, default=2000, help="resamples for the intervals")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        model = Model(given.model, threads=1)
        zero_shot = is_zero_shot(model.spec)
        plain = probability_evidence(model, given.data, zero_shot)
        outputs = read(model, given.data)
    except PyferError as error:
        raise SystemExit(f"ablation: {error}") from error
    found = rules(material(outputs, model.evidence, plain, zero_shot))
    results = {
        name: judged(found, blends, given.draws) for name, blends in selections(outputs, zero_shot).items()
    }
    report(model, zero_shot, found, results, given.output)


def report(
    model: Model,
    zero_shot: bool,
    found: dict[str, Rule],
    results: dict[str, dict[str, Judged]],
    output: Path,
) -> None:
    """Print the tables and write the file."""
    protocol = "zero-shot" if zero_shot else "product"
    print(f"model {model.name}, {protocol} protocol; per cent with 95 % bootstrap intervals")
    if not zero_shot:
        print("The network was trained on the blends of Training, so only those of PrivateTest are measured.")
    for name, result in results.items():
        print("", *table(name, result), sep="\n")
    name, best = next(iter(results)), winner(results["development"]) if zero_shot else SHIPPED
    why = "highest macro-F1 in development" if zero_shot else "nothing is chosen on PrivateTest"
    print("", f"{name}: {best} ({why}) pair by pair", "", sep="\n")
    print(*per_pair(results[name][MEAN].scores, results[name][best].scores, best), sep="\n")
    tree = {
        "model": model.name,
        "sha256": model.spec.sha256,
        "evidence": model.spec.evidence,
        "protocol": protocol,
        "best": best,
        "fitted": rounded({name: rule.fitted for name, rule in found.items() if rule.fitted}),
        "sets": {name: record(result, best) for name, result in results.items()},
    }
    replace_file(output, (json.dumps(tree) + "\n").encode())


if __name__ == "__main__":
    main()
