"""The plain card of a model that was just trained: what the run knows about itself."""

from __future__ import annotations

from pyfer.datasets import open_data
from pyfer.evaluation import evaluate
from pyfer.models import Model
from pyfer.training.settings import Settings


def plain_card(model: Model, settings: Settings) -> str:
    """Return a model card that says what the run knows about itself."""
    lines = [f"# {model.name}", "", "Trained by `pyfer train` on:", ""]
    lines += [f"- `{spec}`" for spec in settings.data.train]
    if settings.data.classes:
        lines += ["", f"It knows these classes alone: {', '.join(settings.data.classes)}."]
    if not settings.data.validation:
        return "\n".join([*lines, "", "It was calibrated on training faces of other folds."]) + "\n"
    lines += [
        "",
        f"The calibration was made on `{settings.data.validation}`, so these figures of it are optimistic:",
        "",
    ]
    validation = open_data(settings.data.validation)
    if settings.data.classes:
        validation = validation.of_classes(settings.data.classes)
    lines += ["| head | faces | accuracy | macro-recall | ECE |", "| --- | --- | --- | --- | --- |"]
    for head in model.spec.heads:
        s = evaluate(model, validation, head=head.name)
        lines.append(f"| {head.name} | {s.n} | {s.accuracy:.3f} | {s.macro_recall:.3f} | {s.ece:.3f} |")
    return "\n".join(lines) + "\n"
