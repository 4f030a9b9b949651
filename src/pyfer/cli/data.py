"""The commands ``pyfer data ...``: the readers of labelled faces, and a look at what they read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pyfer.cli.common import DataArgument, check_picture, write_picture
from pyfer.terminal import out

app = typer.Typer(no_args_is_help=True, help="Labelled data sets: list the readers, look at faces.")


@app.command("list")
def data_list() -> None:
    """List the readers, with an example of each."""
    from pyfer.datasets import EXAMPLES, readers

    table = Table(box=None, header_style="bold")
    table.add_column("reader")
    table.add_column("example and options", overflow="fold")
    for name in readers():
        table.add_row(name, EXAMPLES.get(name, ""))
    out.print(table)


@app.command("show", epilog="Example:  pyfer data show 'cartoon:?n=64' --augment -o sheet.png")
def data_show(
    data: DataArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("sheet.png"),
    n: Annotated[int, typer.Option("-n", min=1, max=400, help="How many faces.")] = 48,
    seed: Annotated[int, typer.Option(min=0, help="Which faces, and which changes.")] = 0,
    augment: Annotated[bool, typer.Option("--augment", help="Beside each face, what training sees.")] = False,
    settings: Annotated[Path | None, typer.Option(help="Training settings with the augmentation.")] = None,
) -> None:
    """Write a contact sheet of faces with their labels (research pictures: keep it to yourself)."""
    import numpy as np

    from pyfer.datasets import open_data
    from pyfer.drawing import contact_sheet

    check_picture("output", output)
    faces = open_data(data)
    rows = np.sort(np.random.default_rng(seed).permutation(len(faces))[:n])
    faces = faces[rows]
    head = next(iter(faces.targets))
    target = faces.targets[head]
    names = [faces.labels[head][k] if t.any() else "-" for k, t in zip(target.argmax(1), target, strict=True)]
    pairs = [faces.images]
    if augment:
        from pyfer.errors import need

        need("torch", "train")
        from pyfer.training.augment import preview
        from pyfer.training.settings import AugmentSettings, load_settings

        chosen = load_settings(settings).augment if settings else AugmentSettings()
        pairs.append(preview(faces.images, chosen, seed))
    write_picture("output", output, contact_sheet(pairs, names))
    out.print(f"{len(faces)} faces: {output}", soft_wrap=True)
