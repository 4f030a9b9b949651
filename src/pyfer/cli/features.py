"""The commands ``pyfer features ...``: the handmade features, and a look at what they see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pyfer.cli.common import CropsOption, check_picture, real, write_picture
from pyfer.terminal import err, out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

app = typer.Typer(no_args_is_help=True, help="Handmade features for support vector machines: list, show.")
ALL = "all"
SIDE = 256
"""Pixels of a face that is shown; each feature sees its own size of it."""


def feature_names(incomplete: str) -> list[str]:
    """Return the features whose name begins so: what the shell offers to complete."""
    from pyfer.models import KINDS

    return [name for name in (*KINDS, ALL) if name.startswith(incomplete)]


@app.command("list")
def features_list() -> None:
    """List the features: what they measure, how many numbers a face gets, their options."""
    from pyfer.models import KINDS

    table = Table(box=None, header_style="bold")
    table.add_column("feature")
    table.add_column("measures", overflow="fold")
    table.add_column("numbers", justify="right")
    table.add_column("source", overflow="fold")
    for name, kind in KINDS.items():
        table.add_row(name, kind.sees, str(kind().width), kind.paper)
    out.print(table)
    out.print("\noptions and their defaults", style="italic")
    for name, kind in KINDS.items():
        options = kind().to_dict().items()
        line = "&".join(f"{key}={_plain(value)}" for key, value in options if key != "name")
        out.print(Text.assemble((name, "bold"), f"?{line}"), soft_wrap=True)


def _plain(value: object) -> str:
    """Return a value as it is written in a line of options."""
    if isinstance(value, list):
        inner = ",".join(_plain(each) for each in value)
        return inner if len(value) == 1 else f"[{inner}]"
    return (
        f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    )


@app.command("show", epilog="Example:  pyfer features show portrait.jpg --feature 'hog?cell=6' -o hog.png")
def features_show(
    photo: Annotated[str, typer.Argument(help="Picture; its largest face is shown.")],
    feature: Annotated[
        str,
        typer.Option("--feature", "-f", help="NAME?OPTION=VALUE&..., or all.", autocompletion=feature_names),
    ] = ALL,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("features.png"),
    crops: CropsOption = False,
) -> None:
    """Draw what a feature sees of a face."""
    from pyfer.features import feature as parsed
    from pyfer.features import picture, sheet
    from pyfer.models import KINDS

    kinds = None if feature == ALL else parsed(feature)
    check_picture("output", output, real([photo]))
    crop = _crop(photo, crops)
    drawn = sheet(list(KINDS), crop) if kinds is None else picture(kinds, crop)
    write_picture("output", output, drawn)
    out.print(f"{feature}: {output}", soft_wrap=True)


def _crop(photo: str, whole: bool) -> NDArray[np.uint8]:
    """Return the largest face of a photo, or the whole of it, RGB uint8 (SIDE, SIDE, 3)."""
    from pyfer.faces import Mtcnn, align, crop_whole
    from pyfer.sources import read

    image = read(photo)
    if whole:
        return crop_whole(image, SIDE)
    found = Mtcnn()(image).largest()
    if not len(found):
        err.print(Text("no face found: the whole picture is shown", "yellow"), soft_wrap=True)
        return crop_whole(image, SIDE)
    crop: NDArray[np.uint8] = align(image, found.landmarks, SIDE)[0]
    return crop
