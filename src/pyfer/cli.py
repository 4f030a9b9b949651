"""The command ``pyfer``. Exit status: 0 done, 1 some inputs failed (each listed), 2 wrong use."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pyfer import terminal
from pyfer.errors import ArgumentError, PyferError
from pyfer.terminal import err, out, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyfer.faces import Detector
    from pyfer.pipeline import Reading
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


def _model_names(incomplete: str) -> list[str]:
    from pyfer.models import installed

    return [name for name, _ in installed() if name.startswith(incomplete)]


ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Installed model or model folder.", autocompletion=_model_names),
]
HeadOption = Annotated[str | None, typer.Option(help="Which of the model's sets of labels speaks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


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
    from pyfer.pipeline import Pipeline
    from pyfer.sources import STDIN, expand, read_stdin

    names = expand(sources)
    marked = [] if picture is None else _picture_paths(names, picture)
    if csv is not None:
        _check_target("csv", csv, _real([*names, *marked]))
    pipeline = Pipeline(
        model, _detector(yunet, smallest), reading=_reading(head, classes, prior), largest=largest
    )
    # a closed standard input is None
    pictures = [(read_stdin() if sys.stdin else b"") if name == STDIN else name for name in names]
    with terminal.progress("pictures", len(pictures), quiet=len(pictures) < 2) as on_done:
        result = pipeline.predict(pictures, crops=crops, on_done=on_done)
    entries = [
        replace(entry, name="<standard input>") if name == STDIN else entry
        for name, entry in zip(names, result.inputs, strict=True)
    ]
    result = replace(result, inputs=tuple(entries))
    if as_json:
        print(result.to_json(indent=1))
    else:
        terminal.show_faces(result)
    if csv is not None:
        _write("csv", csv, result.to_csv().encode())
    _write_pictures(result, pictures, marked)
    for entry in result.failed:
        reason = entry.message if entry.message.startswith(entry.name) else f"{entry.name}: {entry.message}"
        err.print(Text.assemble(("failed: ", "bold red"), shown(reason)), soft_wrap=True)
    raise typer.Exit(1 if result.failed else 0)


def _detector(yunet: Path | None, smallest: float | None) -> Detector | None:
    from pyfer.faces import Mtcnn, YuNet
    from pyfer.models import cores

    if yunet is not None and smallest is not None:
        raise ArgumentError(f"smallest={smallest} is a setting of MTCNN; leave it or --yunet out")
    if yunet is not None:
        return YuNet(yunet)
    return None if smallest is None else Mtcnn(smallest=smallest, threads=cores())


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


def _real(names: Sequence[str | Path]) -> set[str]:
    return {os.path.realpath(name) for name in names}


def _check_target(option: str, path: Path, taken: Set[str] = frozenset()) -> None:
    """Refuse, before any work, to write where there is no folder or over a file that is `taken`.

    Taken are the real paths of the pictures to read and of the other files to write.
    """
    if str(path) == "-":
        raise ArgumentError(f"{option}='-' is no file; to print the results, use --json")
    if path.is_dir() or not path.parent.is_dir():
        rule = (
            "is a folder" if path.is_dir() else f"cannot be written: there is no folder {str(path.parent)!r}"
        )
        raise ArgumentError(f"{option}={str(path)!r} {rule}; name a file")
    if os.path.realpath(path) in taken:
        raise ArgumentError(
            f"{option}={str(path)!r} is read or written by this command already; write elsewhere"
        )


def _write(option: str, path: Path, content: bytes) -> None:
    from pyfer.files import replace_file

    try:
        replace_file(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"{option}={str(path)!r} cannot be written: {reason}") from error


def _picture_paths(names: Sequence[str | Path], target: Path) -> list[Path]:
    """Return where each picture's marked version will be: a file for one, a folder for several."""
    from pyfer.sources import STDIN, SUFFIXES

    taken = _real(names)
    if len(names) == 1 and target.suffix and not target.is_dir():
        paths = [target]
    elif target.suffix.lower() in SUFFIXES and not target.is_dir():
        raise ArgumentError(f"picture={str(target)!r} is one file for {len(names)} pictures; name a folder")
    else:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArgumentError(f"picture={str(target)!r} is no folder: {error.strerror}") from error
        paths = []
        used: set[str] = set()
        for name in names:
            stem = "standard-input" if name == STDIN else Path(name).stem
            stems = (stem if k == 1 else f"{stem}-{k}" for k in itertools.count(1))
            free = next(candidate for candidate in stems if candidate not in used)
            used.add(free)
            paths.append(target / f"{free}.png")
    for path in paths:
        _check_picture("picture", path, taken)
    return paths


def _check_picture(option: str, path: Path, taken: Set[str] = frozenset()) -> str:
    """Do as `_check_target`, and return Pillow's name of the format that the file's ending stands for."""
    from PIL import Image

    _check_target(option, path, taken)
    form = Image.registered_extensions().get(path.suffix.lower(), "")
    if form not in Image.SAVE:
        raise ArgumentError(f"{option}={str(path)!r} must end in .png, .jpg, .webp or the like")
    return form


def _write_pictures(result: Result, pictures: list[Any], paths: list[Path]) -> None:
    from pyfer.drawing import draw
    from pyfer.sources import read

    for index, path in enumerate(paths):
        if result.inputs[index].status == "ok":
            _write_picture("picture", path, draw(read(pictures[index]), result, source=index))


def _write_picture(option: str, path: Path, picture: NDArray[np.uint8]) -> None:
    from PIL import Image

    stream = io.BytesIO()
    try:
        Image.fromarray(picture).save(stream, _check_picture(option, path))
    except (OSError, ValueError) as error:  # such as a side of more pixels than the format can have
        raise ArgumentError(f"{option}={str(path)!r} cannot be written: {error}") from error
    _write(option, path, stream.getvalue())


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
    faces = open_data(data)
    with terminal.progress("faces", len(faces)) as on_done:
        scores = measure(loaded, faces, head=head, flip=flip, on_done=on_done)
    if as_json:
        print(json.dumps({"model": loaded.name, "data": data, "flip": flip, **scores.to_dict()}, indent=1))
        return
    out.print(f"{loaded.name} on {data}: {scores.n} faces", soft_wrap=True)
    terminal.show_scores(scores)


# --- models ----------------------------------------------------------------------------------------------


@models_app.command("list")
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
        out.print(Text(f"  {folder}", "dim"), soft_wrap=True)


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
        out.print(Markdown(card.read_text(encoding="utf-8", errors="replace")))
    out.print_json((folder / "model.json").read_text(encoding="utf-8"))


@models_app.command("add")
def models_add(folder: Annotated[Path, typer.Argument(help="Model folder; see docs/models.md.")]) -> None:
    """Check a model folder and install it under its name."""
    from pyfer.models import add

    out.print(f"installed: {add(folder)}", soft_wrap=True)


@models_app.command("verify")
def models_verify(
    model: Annotated[
        str | None, typer.Argument(help="Model or folder (default: all).", autocompletion=_model_names)
    ] = None,
) -> None:
    """Check the hash of each model and run it once."""
    from pyfer.models import Model, find, installed

    failed = False
    for name, folder in [(model, find(model))] if model else installed():
        try:
            loaded = Model(folder)
        except PyferError as error:
            failed = True
            err.print(Text.assemble((f"{name}: ", "bold red"), str(error)), soft_wrap=True)
        else:
            labels = ", ".join(loaded.labels)
            out.print(f"{name}: ok, sha256 {loaded.spec.sha256[:16]}, labels {labels}", soft_wrap=True)
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
    seed: Annotated[int, typer.Option(min=0, help="Which faces, and which changes.")] = 0,
    augment: Annotated[bool, typer.Option("--augment", help="Beside each face, what training sees.")] = False,
    settings: Annotated[Path | None, typer.Option(help="Training settings with the augmentation.")] = None,
) -> None:
    """Write a contact sheet of faces with their labels (research pictures: keep it to yourself)."""
    import numpy as np

    from pyfer.datasets import open_data
    from pyfer.drawing import contact_sheet

    _check_picture("output", output)
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
    _write_picture("output", output, contact_sheet(pairs, names))
    out.print(f"{len(faces)} faces: {output}", soft_wrap=True)
