"""The command ``pyfer train``: make a recogniser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import check_folder
from pyfer.terminal import err, out, shown

if TYPE_CHECKING:
    from pyfer.training.data import TrainingData
    from pyfer.training.settings import Settings

_MODEL_FILES = {"model.onnx", "model.json", "README.md", "features.npz", "evidence.npz"}
_LISTED = 5  # warnings of a kind that are printed
TRAIN_EXAMPLE = "Example:  pyfer train examples/toy.toml --run runs/toy"


def train(
    settings: Annotated[Path, typer.Argument(help="Settings of the run, a TOML file.")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run (default: runs/NAME).")] = None,
    export_to: Annotated[
        Path | None, typer.Option("--export", help="Model folder to write (default: RUN/model).")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out faces that cannot be read, and say how many.")
    ] = False,
) -> None:
    """Train a recogniser; started again after being stopped, it goes on where it was.

    All data are read and checked first: faces that cannot be read stop it, unless they are to be left out.
    """
    # Idle threads that spin starve the working ones on a busy machine (measured: 2100 ms a step against 14).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from dataclasses import replace

    from pyfer.errors import need
    from pyfer.training.settings import load_settings

    loaded = load_settings(settings)
    if skip_bad:
        loaded = replace(loaded, data=replace(loaded.data, skip_bad=True))
    need(*(("sklearn", "classic") if loaded.kind == "svm" else ("torch", "train")))
    folder = run or Path("runs") / loaded.name
    target = export_to or folder / "model"
    check_folder("export", target, "a model", _MODEL_FILES)
    data = _opened(loaded)
    if loaded.kind == "svm":
        _train_svm(loaded, folder, target, data)
    else:
        _train_network(loaded, folder, target, data)


def _opened(settings: Settings) -> TrainingData:
    """Open the data; say on standard error what is left out, and what makes the result worse."""
    from pyfer.training.data import opened

    with terminal.progress("reading faces", 1) as on_done:
        data = opened(settings, on_done)
    for part, kinds in data.left_out.items():
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        err.print(Text(f"left out of the {part} data: {counts}", "yellow"), soft_wrap=True)
    for kind in dict.fromkeys(problem.kind for problem in data.warnings):
        found = [problem for problem in data.warnings if problem.kind == kind]
        err.print(Text(f"warning: {kind}: {len(found)}", "bold yellow"), soft_wrap=True)
        for problem in found[:_LISTED]:
            err.print(Text(f"  {shown(problem.where)}: {shown(problem.detail)}", "yellow"), soft_wrap=True)
        if len(found) > _LISTED:
            err.print(Text(f"  ... and {len(found) - _LISTED} more", "yellow"), soft_wrap=True)
    return data


def _train_network(settings: Settings, folder: Path, target: Path, data: TrainingData) -> None:
    from pyfer.training.loop import train as run_training

    if settings.kind == "rnn":
        from pyfer.training.recurrence import export
    else:
        from pyfer.training.export import export
    what = f"training {settings.name}"
    with terminal.stages() as say:
        history = run_training(settings, folder, lambda done, n, _: say(what, done, n), data, say)
    terminal.show_history(history)
    eight = settings.export.eight_bit and settings.kind == "cnn"  # a recurrent network is small as it is
    with terminal.err.status(f"exporting: ONNX, {'eight bits, ' if eight else ''}calibration"):
        exported = export(folder, target, settings=settings, data=data)
    out.print(
        f"model: {exported.folder} (torch and ONNX differ by {exported.difference:.1g}"
        + (f"; {exported.same_answer:.1%} of answers unchanged by rounding to eight bits)" if eight else ")"),
        soft_wrap=True,
    )


def _train_svm(settings: Settings, folder: Path, target: Path, data: TrainingData) -> None:
    from rich.table import Table

    from pyfer.training.svm import train as fit_svm

    with terminal.stages() as say:
        exported = fit_svm(settings, folder, target, say, data)
    table = Table("gamma", "C", "accuracy on other folds", box=None, header_style="bold")
    for gamma, c, accuracy in exported.fitted.search:
        chosen = (gamma, c) == (exported.fitted.gamma, exported.fitted.c)
        table.add_row(f"{gamma:g}", f"{c:g}", f"{accuracy:.1%}" + (" chosen" if chosen else ""))
    out.print(table)
    out.print(
        f"model: {exported.folder} (scikit-learn and ONNX differ by {exported.difference:.1g};"
        f" {exported.same_answer:.1%} of answers are the same)",
        soft_wrap=True,
    )
