"""The command ``pyfer study``: claims of the literature, tried again on data of one's own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pyfer.cli.common import JsonOption, check_folder
from pyfer.errors import ArgumentError
from pyfer.terminal import err, out, stages

if TYPE_CHECKING:
    from pyfer.studies import Outcome, Study

STUDY_EXAMPLE = "Example:  pyfer study features --quick -o out/features"
_COLOURS = {"holds": "green", "is contradicted": "red", "cannot be told here": "yellow"}


def study_names(incomplete: str) -> list[str]:
    """Return the studies whose name begins so: what the shell offers to complete."""
    from pyfer.studies import studies

    return [name for name in ("list", *(study.name for study in studies())) if name.startswith(incomplete)]


def study(
    name: Annotated[str, typer.Argument(help="Which study, or 'list'.", autocompletion=study_names)],
    wild: Annotated[
        str | None,
        typer.Option(help="Faces of the wild, READER:PATH. Default: FER2013 with FER+ in ../shared/data."),
    ] = None,
    lab: Annotated[
        str | None, typer.Option(help="Faces of a laboratory. Default: CK+ in ../shared/data.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small samples: a rough answer, soon.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, folds and intervals.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write (default: experiments/studies/NAME)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try claims of the literature again: numbers, a picture and a report made from the numbers."""
    from pyfer.studies import Setup, find, studies, write
    from pyfer.studies.common import FILES, LAB, WILD

    if name == "list":
        _list(studies(), as_json)
        return
    chosen = find(name)
    folder = Path("experiments/studies", name) if output is None else output
    check_folder("output", folder, "a study", set(FILES))
    with stages() as say:
        outcome = chosen.run(Setup(wild or WILD, lab or LAB, quick, seed, say=say))
    try:
        write(chosen, outcome, folder, _command(name, wild, lab, quick, seed))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"output={str(folder)!r} cannot be written: {reason}") from error
    if as_json:
        print(json.dumps(outcome.to_dict(chosen), indent=1))
        return
    _show(chosen, outcome)
    err.print(Text(f"written: {', '.join(FILES)} in {folder}", "dim"), soft_wrap=True)


def _command(name: str, wild: str | None, lab: str | None, quick: bool, seed: int) -> str:
    """Return the command that makes the same numbers."""
    words = ["pyfer", "study", name]
    for option, value in (("--wild", wild), ("--lab", lab)):
        words += [option, value] if value is not None else []
    words += ["--quick"] if quick else []
    words += ["--seed", str(seed)] if seed else []
    return shlex.join(words)


def _list(known: tuple[Study, ...], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"study": study.name, "claim": study.claim} for study in known], indent=1))
        return
    for study in known:
        out.print(Text.assemble((study.name, "bold"), f"  {study.claim}"), soft_wrap=False)


def _show(study: Study, outcome: Outcome) -> None:
    """Print the tables, the verdicts and the paragraph."""
    for part in outcome.parts:
        columns, rows = outcome.table(part)
        out.print(f"\n{part}", style="italic", soft_wrap=True)
        table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        for k, column in enumerate(columns):
            table.add_column(column, justify="right" if k else "left")
        for row in rows:
            table.add_row(*row)
        out.print(table)
    out.print(f"\n{study.claim}", style="italic")
    for check in outcome.checks:
        out.print(Text.assemble((f"{check.verdict:19}", _COLOURS[check.verdict]), f"  {check.short}"))
    for sentence in outcome.sentences:
        out.print(f"\n{sentence}")
