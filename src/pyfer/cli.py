"""The command ``pyfer``. Exit status: 0 done, 1 some inputs failed (each listed), 2 wrong use."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pyfer.errors import ArgumentError, PyferError

if TYPE_CHECKING:
    from pyfer.pipeline import OnDone, Reading
    from pyfer.results import Result

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Emotions in pictures of faces, offline.\n\nExample: pyfer predict party.jpg --picture marked.png",
)
models_app = typer.Typer(no_args_is_help=True, help="Installed recognisers: list, show, add, verify.")
data_app = typer.Typer(no_args_is_help=True, help="Labelled data sets: list the readers, look at faces.")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")
out = Console()
err = Console(stderr=True)


def main() -> None:
    """Run the command; errors raised on purpose become one line and exit status 2."""
    try:
        app()
    except PyferError as error:
        err.print(Text.assemble(("error: ", "bold red"), str(error)))
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        import pyfer

        out.print(f"pyfer {pyfer.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    pass


def _model_names(incomplete: str) -> list[str]:
    from pyfer.models import installed

    return [name for name, _ in installed() if name.startswith(incomplete)]


ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Installed model or model folder.", autocompletion=_model_names),
]
HeadOption = Annotated[str | None, typer.Option(help="Which of the model's sets of labels speaks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@contextmanager
def _progress(what: str, total: int, quiet: bool = False) -> Iterator[OnDone]:
    """Show a bar with the time left on standard error, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, n: progress.update(task, completed=done, total=n)


# --- predict ---------------------------------------------------------------------------------------------


@app.command(
    epilog="Examples:  pyfer predict party.jpg   |   pyfer predict photos/ --csv faces.csv   |   "
    "cat face.png | pyfer predict - --json"
)
def predict(
    sources: Annotated[
        list[str], typer.Argument(help="Pictures, folders, patterns, or - for standard input.")
    ],
    model: ModelOption = None,
    head: HeadOption = None,
    classes: Annotated[
        str | None, typer.Option(help="Only these emotions, as in anger,fear,neutral.")
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="How often emotions are expected: 'uniform', or happiness=3,fear=0.5.")
    ] = None,
    crops: Annotated[bool, typer.Option("--crops", help="Each picture is one face already.")] = False,
    largest: Annotated[bool, typer.Option("--largest", help="Only the largest face of a picture.")] = False,
    smallest: Annotated[
        float | None,
        typer.Option(help="Smallest face in pixels (default: 4.5 % of the picture, 20 or more)."),
    ] = None,
    yunet: Annotated[Path | None, typer.Option(help="Detect with YuNet from this file (OpenCV).")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the marked picture here (a folder for several).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a table, one row a face.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Recognise the emotions of the faces in pictures."""
    from pyfer import files, sources as reading_room
    from pyfer.faces import Detector, Mtcnn, YuNet
    from pyfer.pipeline import Pipeline

    names = reading_room.expand(sources)
    detector: Detector | None = None
    if yunet is not None:
        detector = YuNet(yunet)
    elif smallest is not None:
        detector = Mtcnn(smallest=smallest, threads=os.cpu_count() or 1)
    pipeline = Pipeline(model, detector, reading=_reading(head, classes, prior), largest=largest)
    pictures = [reading_room.read_stdin() if name == reading_room.STDIN else name for name in names]
    with _progress("pictures", len(pictures), quiet=len(pictures) < 2) as on_done:
        result = pipeline.predict(pictures, crops=crops, on_done=on_done)
    entries = [
        replace(entry, name="<standard input>") if name == reading_room.STDIN else entry
        for name, entry in zip(names, result.inputs, strict=True)
    ]
    result = replace(result, inputs=tuple(entries))
    if picture is not None:
        _write_pictures(result, pictures, picture)
    if csv is not None:
        files.replace_file(csv, result.to_csv().encode())
    if as_json:
        print(result.to_json(indent=1))
    else:
        _show(result)
    for entry in result.failed:
        err.print(Text.assemble(("failed: ", "bold red"), f"{entry.name}: {entry.message}"), soft_wrap=True)
    raise typer.Exit(1 if result.failed else 0)


def _reading(head: str | None, classes: str | None, prior: str | None) -> Reading:
    from pyfer.pipeline import Reading

    weights: str | dict[str, float] | None = prior
    if prior is not None and "=" in prior:
        try:
            weights = {name: float(w) for name, _, w in (part.partition("=") for part in prior.split(","))}
        except ValueError:
            raise ArgumentError(
                f"prior={prior!r} must look like happiness=3,fear=0.5, or be 'uniform'"
            ) from None
    chosen = None if classes is None else tuple(part for part in classes.split(",") if part.strip())
    return Reading(head, chosen, weights)


def _show(result: Result) -> None:
    """Print one row a face; inputs without a face, or that failed, have a row too."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture", overflow="ellipsis", no_wrap=True, ratio=2)
    table.add_column("box", no_wrap=True, style="dim")
    table.add_column("emotion", no_wrap=True)
    table.add_column("", no_wrap=True, width=12)
    table.add_column("next", overflow="ellipsis", no_wrap=True, style="dim", ratio=2)
    rows_of: dict[int, list[Any]] = {}
    for face in result:
        rows_of.setdefault(face.source, []).append(face)
    for index, entry in enumerate(result.inputs):
        if entry.status != "ok":
            table.add_row(entry.name, "", Text(entry.status, "red"), "", "")
        elif index not in rows_of:
            table.add_row(entry.name, "", Text("no face", "dim"), "", "")
        for face in rows_of.get(index, []):
            first, *others = face.emotions.items()
            box = " ".join(f"{v:.0f}" for v in face.box)
            following = ", ".join(f"{name} {p:.0%}" for name, p in others[:3] if p >= 0.005)
            table.add_row(entry.name, box, f"{first[0]} {first[1]:.0%}", _bar(first[1]), following)
    out.print(table)


def _bar(share: float, width: int = 12) -> Text:
    full = round(share * width)
    return Text.assemble(("━" * full, "green"), ("━" * (width - full), "dim"))


def _write_pictures(result: Result, pictures: list[Any], target: Path) -> None:
    from PIL import Image

    from pyfer.drawing import draw
    from pyfer.sources import read

    several = len(pictures) > 1 or target.is_dir()
    if several:
        target.mkdir(parents=True, exist_ok=True)
    used: set[str] = set()
    for index, (picture, entry) in enumerate(zip(pictures, result.inputs, strict=True)):
        if entry.status != "ok":
            continue
        path = target
        if several:
            stem = Path(entry.name).stem if isinstance(picture, (str, Path)) else "standard-input"
            name = stem if stem not in used else f"{stem}-{index}"
            used.add(name)
            path = target / f"{name}.png"
        try:
            Image.fromarray(draw(read(picture), result, source=index)).save(path)
        except (OSError, ValueError) as error:
            raise ArgumentError(f"picture={str(path)!r} cannot be written: {error}") from error


# --- training and evaluation -----------------------------------------------------------------------------


@app.command(epilog="Example:  pyfer train examples/toy.toml --run runs/toy")
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
    with _progress(f"training {loaded.name}", 1) as on_done:
        history = run_training(loaded, folder, lambda done, total, _: on_done(done, total))
    _show_history(history)
    exported = export(folder, export_to or folder / "model")
    out.print(
        f"model: {exported.folder} (torch and ONNX differ by {exported.difference:.1g}; "
        f"{exported.same_answer:.1%} of answers unchanged by rounding)",
        highlight=False,
        soft_wrap=True,
    )


def _show_history(history: list[dict[str, float]]) -> None:
    validated = [m for m in history if "score" in m]
    table = Table(box=None, header_style="bold", title="validation", title_justify="left")
    names = [k for k in validated[-1] if k not in ("seconds", "score")]
    for name in names:
        table.add_column(name.replace(".", "\n"), justify="right")
    for metrics in validated[-8:]:
        table.add_row(*(f"{metrics[k]:.0f}" if k == "epoch" else f"{metrics[k]:.4f}" for k in names))
    out.print(table)


@app.command(
    epilog="Example:  pyfer evaluate base 'fer2013plus:../shared/data/fer2013plus"
    "?split=PrivateTest&labels=ferplus'"
)
def evaluate(
    model: Annotated[
        str, typer.Argument(help="Installed model or model folder.", autocompletion=_model_names)
    ],
    data: Annotated[str, typer.Argument(help="READER:PATH?OPTION=VALUE&..., see 'pyfer data list'.")],
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
    scores = measure(loaded, open_data(data), head=head, flip=flip)
    if as_json:
        print(json.dumps({"model": loaded.name, "data": data, "flip": flip, **scores.to_dict()}, indent=1))
        return
    out.print(f"{loaded.name} on {data}", highlight=False, soft_wrap=True)
    summary = ("accuracy", "macro_recall", "macro_f1", "top2", "ece", "nll")
    line = "  ".join(f"{name} {getattr(scores, name):.4f}" for name in summary)
    out.print(f"n {scores.n}  {line}", highlight=False, soft_wrap=True)
    table = Table(box=None, header_style="bold", title="row: truth, column: answer", title_justify="left")
    table.add_column("")
    for name in scores.labels:
        table.add_column(name[:8], justify="right", no_wrap=True)
    table.add_column("recall", justify="right")
    for k, name in enumerate(scores.labels):
        cells = [
            Text(str(count), "bold green" if j == k else ("dim" if not count else ""))
            for j, count in enumerate(scores.confusion[k].tolist())
        ]
        table.add_row(name, *cells, f"{scores.recall[k]:.1%}")
    out.print(table)


# --- models ----------------------------------------------------------------------------------------------


@models_app.command("list")
def models_list() -> None:
    """List the installed models."""
    from pyfer.models import DEFAULT_MODEL, installed, read_spec

    table = Table(box=None, header_style="bold")
    for column in ("name", "kind", "input", "heads", "size", "folder"):
        table.add_column(column, overflow="fold" if column == "folder" else "ellipsis")
    for name, folder in installed():
        try:
            spec = read_spec(folder)
        except PyferError as error:
            table.add_row(name, Text("damaged", "red"), "", "", "", str(error))
            continue
        heads = ", ".join(f"{h.name} ({len(h.labels)})" for h in spec.heads)
        size = (folder / spec.file).stat().st_size / 1e6 if (folder / spec.file).is_file() else 0.0
        label = f"{name} (default)" if name == DEFAULT_MODEL else name
        shape = f"{spec.input.size}x{spec.input.size} {spec.input.color}"
        table.add_row(label, spec.kind, shape, heads, f"{size:.1f} MB", str(folder))
    out.print(table)


@models_app.command("show")
def models_show(
    model: Annotated[str, typer.Argument(help="Installed model or folder.", autocompletion=_model_names)],
) -> None:
    """Show a model's card and description."""
    from rich.markdown import Markdown

    from pyfer.models import find, read_spec

    folder = find(model)
    read_spec(folder)
    card = folder / "README.md"
    if card.is_file():
        out.print(Markdown(card.read_text(encoding="utf-8")))
    out.print_json((folder / "model.json").read_text(encoding="utf-8"))


@models_app.command("add")
def models_add(folder: Annotated[Path, typer.Argument(help="Model folder; see docs/models.md.")]) -> None:
    """Check a model folder and install it under its name."""
    from pyfer.models import add

    out.print(f"installed: {add(folder)}", highlight=False, soft_wrap=True)


@models_app.command("verify")
def models_verify(
    model: Annotated[
        str | None, typer.Argument(help="Model or folder (default: all).", autocompletion=_model_names)
    ] = None,
) -> None:
    """Check the hash of each model and run it once."""
    from pyfer.models import Model, installed

    failed = False
    for name in [model] if model else [name for name, _ in installed()]:
        try:
            loaded = Model(name)
            out.print(f"{name}: ok, sha256 {loaded.spec.sha256[:16]}, labels {', '.join(loaded.labels)}")
        except PyferError as error:
            failed = True
            err.print(Text.assemble((f"{name}: ", "bold red"), str(error)), soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


# --- data ------------------------------------------------------------------------------------------------


@data_app.command("list")
def data_list() -> None:
    """List the readers, with an example of each."""
    from pyfer.datasets import EXAMPLES, readers

    table = Table(box=None, header_style="bold")
    table.add_column("reader")
    table.add_column("example and options", overflow="fold")
    for name in readers():
        table.add_row(name, EXAMPLES.get(name, ""))
    out.print(table)


@data_app.command("show", epilog="Example:  pyfer data show 'cartoon:?n=64' --augment -o sheet.png")
def data_show(
    data: Annotated[str, typer.Argument(help="READER:PATH?OPTION=VALUE&..., see 'pyfer data list'.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("sheet.png"),
    n: Annotated[int, typer.Option("-n", min=1, max=400, help="How many faces.")] = 48,
    seed: Annotated[int, typer.Option(help="Which faces, and which changes.")] = 0,
    augment: Annotated[bool, typer.Option("--augment", help="Beside each face, what training sees.")] = False,
    settings: Annotated[Path | None, typer.Option(help="Training settings with the augmentation.")] = None,
) -> None:
    """Write a contact sheet of faces with their labels (research pictures: keep it to yourself)."""
    import numpy as np
    from PIL import Image

    from pyfer.datasets import open_data
    from pyfer.drawing import contact_sheet

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
    Image.fromarray(contact_sheet(pairs, names)).save(output)
    out.print(f"{len(faces)} faces: {output}", highlight=False, soft_wrap=True)
