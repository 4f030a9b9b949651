"""The commands ``pyfer models ...``: the installed recognisers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pyfer.cli.common import model_names
from pyfer.errors import PyferError
from pyfer.terminal import err, out

if TYPE_CHECKING:
    from pyfer.models import Spec

app = typer.Typer(no_args_is_help=True, help="Installed recognisers: list, show, add, verify.")


@app.command("list")
def models_list() -> None:
    """List the installed models."""
    from pyfer.models import DEFAULT_MODEL, installed, read_spec

    for name, folder in installed():
        label = Text.assemble((name, "bold"), " (default)" if name == DEFAULT_MODEL else "")
        try:
            spec = read_spec(folder)
        except PyferError as error:
            out.print(Text.assemble(label, ("  damaged: ", "red"), str(error)), soft_wrap=True)
            continue
        heads = ", ".join(f"{head.name} ({len(head.labels)})" for head in spec.heads)
        path = folder / spec.file
        size = path.stat().st_size / 1e6 if path.is_file() else 0.0
        shape = f"{spec.input.size}x{spec.input.size} {spec.input.color}"
        out.print(
            Text.assemble(label, f"  {spec.kind}, {shape}, {size:.1f} MB, labels: {heads}"), soft_wrap=True
        )
        if films := _films(spec):
            out.print(Text(f"  {films}"), soft_wrap=True)
        out.print(Text(f"  {folder}", "dim"), soft_wrap=True)


@app.command("show")
def models_show(
    model: Annotated[str, typer.Argument(help="Installed model or folder.", autocompletion=model_names)],
) -> None:
    """Show a model's card and description."""
    from rich.markdown import Markdown

    from pyfer.models import find, read_spec

    folder = find(model)
    spec = read_spec(folder)
    card = folder / "README.md"
    if card.is_file():
        out.print(Markdown(card.read_text(encoding="utf-8", errors="replace")))
    if films := _films(spec):
        out.print(Text(films), soft_wrap=True)
    out.print_json((folder / "model.json").read_text(encoding="utf-8"))


@app.command("add")
def models_add(folder: Annotated[Path, typer.Argument(help="Model folder; see docs/models.md.")]) -> None:
    """Check a model folder and install it under its name."""
    from pyfer.models import add

    out.print(f"installed: {add(folder)}", soft_wrap=True)


@app.command("verify")
def models_verify(
    model: Annotated[
        str | None, typer.Argument(help="Model or folder (default: all).", autocompletion=model_names)
    ] = None,
) -> None:
    """Check the hash of each model and run it once."""
    from pyfer.models import Model, find, installed

    failed = False
    for name, folder in [(model, find(model))] if model else installed():
        try:
            loaded = Model(folder)
            _ = loaded.evidence  # its file must be whole, too
        except PyferError as error:
            failed = True
            err.print(Text.assemble((f"{name}: ", "bold red"), str(error)), soft_wrap=True)
        else:
            labels = ", ".join(loaded.labels)
            out.print(f"{name}: ok, sha256 {loaded.spec.sha256[:16]}, labels {labels}", soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


def _films(spec: Spec) -> str:
    """Return how a model goes through films and what it looks at; nothing for pictures one by one."""
    words = []
    if spec.state:
        state = ", ".join(f"{each.name} ({'x'.join(map(str, each.shape))})" for each in spec.state)
        words.append(f"frame by frame, window {spec.window}, state: {state}")
    elif not spec.causal:
        words.append(f"both ways, window {spec.window}")
    if spec.encoder is not None:
        words.append(f"encoder: {spec.encoder.model} ({spec.encoder.sha256[:12]})")
    return "; ".join(words)
