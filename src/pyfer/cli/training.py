"""The command ``pyfer train``: make a recogniser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyfer import terminal
from pyfer.terminal import out

if TYPE_CHECKING:
    from pyfer.training.settings import Settings

TRAIN_EXAMPLE = "Example:  pyfer train examples/toy.toml --run runs/toy"


def train(
    settings: Annotated[Path, typer.Argument(help="Settings of the run, a TOML file.")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run (default: runs/NAME).")] = None,
    export_to: Annotated[
        Path | None, typer.Option("--export", help="Model folder to write (default: RUN/model).")
    ] = None,
) -> None:
    """Train a recogniser; started again after being stopped, it goes on where it was."""
    # Idle threads that spin starve the working ones on a busy machine (measured: 2100 ms a step against 14).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from pyfer.training.settings import load_settings

    loaded = load_settings(settings)
    folder = run or Path("runs") / loaded.name
    target = export_to or folder / "model"
    if loaded.kind == "svm":
        _train_svm(loaded, folder, target)
    else:
        _train_cnn(loaded, folder, target)


def _train_cnn(settings: Settings, folder: Path, target: Path) -> None:
    from pyfer.errors import need

    need("torch", "train")
    from pyfer.training.export import export
    from pyfer.training.loop import train as run_training

    with terminal.progress(f"training {settings.name}", 1) as on_done:
        history = run_training(settings, folder, lambda done, total, _: on_done(done, total))
    terminal.show_history(history)
    eight = settings.export.eight_bit
    with terminal.err.status("exporting: ONNX, eight bits, calibration"):
        exported = export(folder, target, settings=settings)
    out.print(
        f"model: {exported.folder} (torch and ONNX differ by {exported.difference:.1g}"
        + (f"; {exported.same_answer:.1%} of answers unchanged by rounding to eight bits)" if eight else ")"),
        soft_wrap=True,
    )


def _train_svm(settings: Settings, folder: Path, target: Path) -> None:
    from rich.table import Table

    from pyfer.training.svm import train as fit_svm

    with terminal.stages() as say:
        exported = fit_svm(settings, folder, target, say)
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
