"""The commands ``pyfer train`` and ``pyfer evaluate``: make a recogniser, measure one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from pyfer import terminal
from pyfer.cli.common import DataArgument, JsonOption, model_names
from pyfer.terminal import out

TRAIN_EXAMPLE = "Example:  pyfer train examples/toy.toml --run runs/toy"
EVALUATE_EXAMPLE = (
    "Example:  pyfer evaluate base 'fer2013plus:../shared/data/fer2013plus?split=PrivateTest&labels=ferplus'"
)


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
    from pyfer.errors import need

    need("torch", "train")
    from pyfer.training.export import export
    from pyfer.training.loop import train as run_training
    from pyfer.training.settings import load_settings

    loaded = load_settings(settings)
    folder = run or Path("runs") / loaded.name
    with terminal.progress(f"training {loaded.name}", 1) as on_done:
        history = run_training(loaded, folder, lambda done, total, _: on_done(done, total))
    terminal.show_history(history)
    eight = loaded.export.eight_bit
    with terminal.err.status("exporting: ONNX, eight bits, calibration"):
        exported = export(folder, export_to or folder / "model", settings=loaded)
    out.print(
        f"model: {exported.folder} (torch and ONNX differ by {exported.difference:.1g}"
        + (f"; {exported.same_answer:.1%} of answers unchanged by rounding to eight bits)" if eight else ")"),
        soft_wrap=True,
    )


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Installed model or model folder.", autocompletion=model_names)
    ],
    data: DataArgument,
    head: Annotated[
        str | None, typer.Option(help="Which labels of the data set (default: its first).")
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Average with the mirror image; twice the cost.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labelled faces: accuracy, recall, F1, calibration, confusion."""
    from pyfer.datasets import open_data
    from pyfer.evaluation import evaluate as measure
    from pyfer.models import Model

    loaded = Model(model)
    faces = open_data(data)
    with terminal.progress("faces", len(faces)) as on_done:
        scores = measure(loaded, faces, head=head, flip=flip, on_done=on_done)
    if as_json:
        print(json.dumps({"model": loaded.name, "data": data, "flip": flip, **scores.to_dict()}, indent=1))
        return
    out.print(f"{loaded.name} on {data}: {scores.n} faces", soft_wrap=True)
    terminal.show_scores(scores)
