"""What a model that was just trained says of itself: its plain card, and ``about`` in ``model.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyfer
from pyfer.evaluation import evaluate
from pyfer.models import Model
from pyfer.training.data import TrainingData
from pyfer.training.settings import Settings, to_dict


def about(settings: Settings, left_out: Mapping[str, Mapping[str, int]] | None = None) -> dict[str, Any]:
    """Return the key ``about`` of ``model.json``: who made it, from which settings, without which faces."""
    tree: dict[str, Any] = {"made_by": f"pyfer {pyfer.__version__}", "training": to_dict(settings)}
    return tree | {"left_out": left_out} if left_out else tree


def plain_card(model: Model, settings: Settings, data: TrainingData) -> str:
    """Return a model card that says what the run knows about itself."""
    lines = [f"# {model.name}", "", "Trained by `pyfer train` on:", ""]
    lines += [f"- `{spec}`" for spec in settings.data.train]
    if settings.data.classes:
        lines += ["", f"It knows these classes alone: {', '.join(settings.data.classes)}."]
    lines += _remarks(data)
    if data.validation is None:
        return "\n".join([*lines, "", "It was calibrated on training faces of other folds."]) + "\n"
    lines += [
        "",
        f"The calibration was made on `{settings.data.validation}`, so these figures of it are optimistic:",
        "",
    ]
    lines += ["| head | faces | accuracy | macro-recall | ECE |", "| --- | --- | --- | --- | --- |"]
    for head in model.spec.heads:
        s = evaluate(model, data.validation, head=head.name)
        lines.append(f"| {head.name} | {s.n} | {s.accuracy:.3f} | {s.macro_recall:.3f} | {s.ece:.3f} |")
    return "\n".join(lines) + "\n"


def _remarks(data: TrainingData) -> list[str]:
    """Return lines on what was left out, and on what makes the figures too good."""
    lines = [
        f"Left out of the {part} data, as they could not be read: "
        + ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        + "."
        for part, kinds in data.left_out.items()
    ]
    counts = Counter(problem.kind for problem in data.warnings)
    if counts:
        lines.append("Mind: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()) + ".")
    return [part for line in lines for part in ("", line)]
