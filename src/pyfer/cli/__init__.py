"""The command ``pyfer``. Exit status: 0 done, 1 some inputs failed (each listed), 2 wrong use."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer
from rich.text import Text

from pyfer.cli import (
    data,
    emotions,
    evaluation,
    features,
    models,
    recognition,
    studies,
    study,
    subsets,
    training,
    watching,
)
from pyfer.errors import PyferError
from pyfer.terminal import err, out

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Emotions in pictures of faces, offline.\n\nExample: pyfer predict party.jpg --picture marked.png",
)
# in the order of the help
app.command(epilog=recognition.PREDICT_EXAMPLES)(recognition.predict)
app.command(epilog=watching.WATCH_EXAMPLES)(watching.watch)
app.command(epilog=training.TRAIN_EXAMPLE)(training.train)
app.command(epilog=evaluation.EVALUATE_EXAMPLE)(evaluation.evaluate)
app.command(epilog=subsets.SUBSETS_EXAMPLE)(subsets.subsets)
app.command(epilog=study.STUDY_EXAMPLE)(study.study)
emotions.app.command("learn", epilog=studies.LEARN_EXAMPLE)(studies.learn)
emotions.app.command("discover", epilog=studies.DISCOVER_EXAMPLE)(studies.discover)
emotions.app.command("fit", epilog=studies.FIT_EXAMPLE)(studies.fit)
emotions.app.command("benchmark", epilog=studies.BENCHMARK_EXAMPLE)(studies.benchmark)
data.app.command("audit", epilog=evaluation.AUDIT_EXAMPLE)(evaluation.audit_command)
app.add_typer(emotions.app, name="emotions")
app.add_typer(models.app, name="models")
app.add_typer(features.app, name="features")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command; errors become one line and exit status 2, never a traceback for a wrong file."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no bar, or odd name, must end in an error
    try:
        app()
    except (PyferError, OSError) as error:
        err.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        import pyfer

        out.print(f"pyfer {pyfer.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    pass
