"""The commands ``pyfer data ...``: the readers of labelled faces, what is wrong with data, parts of it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import typer
from rich.table import Table
from rich.text import Text

from pyfer.cli.common import DataArgument, JsonOption, check_folder, check_picture, write_picture
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.terminal import err, out, progress, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyfer.datasets import FaceData, Problem, Report
    from pyfer.streams import Streams

app = typer.Typer(
    no_args_is_help=True, help="Labelled data sets: list the readers, check, look at faces, make parts."
)

SkipBadOption = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out faces that cannot be read, and say how many.")
]
PARTS = "train=0.8,validation=0.1,test=0.1"
_LISTED = 20  # problems of a kind that are printed unless all are wanted


def reader_names(incomplete: str) -> list[str]:
    """Return the readers whose name begins so: what the shell offers to complete."""
    from pyfer.datasets import readers

    return [name for name in readers() if name.startswith(incomplete)]


# --- list -------------------------------------------------------------------------------------------------


@app.command("list", epilog="Example:  pyfer data list rafdb")
def data_list(
    name: Annotated[
        str | None, typer.Argument(help="One reader: all about it.", autocompletion=reader_names)
    ] = None,
) -> None:
    """List the readers: what they read, where the owner gives it out, under which terms, an example."""
    from pyfer.datasets import CARDS, EXAMPLES, readers

    if name is not None:
        _show_reader(name)
        return
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for title in ("reader", "what", "faces", "terms", "where"):
        table.add_column(title, overflow="fold")
    for each in readers():
        card = CARDS.get(each)
        host = (urlsplit(card.where).netloc or card.where) if card else ""
        cells = (card.what, card.faces, card.terms, host) if card else ("", "", "", "")
        table.add_row(*map(Text, (each, *cells)))
    out.print(table)
    out.print("\nspecs, with the options of each reader (the first is the default):", style="italic")
    for each in readers():
        out.print(Text("  " + (EXAMPLES.get(each) or f"{each}:PATH")), soft_wrap=True)
    more = "pyfer data list READER says how the files must lie, and the full address; nothing is downloaded"
    out.print(f"\n{more}", soft_wrap=True)


def _show_reader(name: str) -> None:
    from pyfer.datasets import CARDS, EXAMPLES, common_options, readers

    if name not in readers():
        known = readers()
        raise ArgumentError(f"name={name!r} must be one of {', '.join(known)}{did_you_mean(name, known)}")
    lines = [("spec", EXAMPLES.get(name) or f"{name}:PATH")]
    if card := CARDS.get(name):
        lines += [("what", card.what), ("faces", card.faces), ("terms", card.terms), ("where", card.where)]
    about = {
        "split": "split=train|validation|test|all",
        "size": "size=48",
        "color": "color=gray|rgb",
        "faces": "faces=whole|detect|box",
        "head": "head=NAME",
        "only": "only=FILE.csv",
    }
    lines.append(("also", "  ".join(about[option] for option in common_options(name))))
    for title, text in lines:
        out.print(Text.assemble((f"{title:<8}", "bold"), text), soft_wrap=True)
    if card and card.layout:
        out.print(Text("files", "bold"))
        out.print(Text("\n".join("  " + line for line in card.layout.splitlines())), soft_wrap=True)


# --- check ------------------------------------------------------------------------------------------------


@app.command(
    "check", epilog="Example:  pyfer data check 'rafdb:RAF-DB?split=train' 'rafdb:RAF-DB?split=test'"
)
def data_check(
    data: Annotated[list[str], typer.Argument(help="One or more READER:PATH?OPTION=VALUE&...")],
    every: Annotated[bool, typer.Option("--all", help="Print every problem, not only the first 20.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read data sets that are used together and list what is wrong; exit status 1 if anything is.

    Missing and damaged pictures, unknown labels, pictures without a face, files that occur twice, classes
    without a face, persons in two splits; and how many faces each class has.
    """
    from pyfer.datasets import check

    with progress("faces", 1, quiet=as_json) as on_done:
        report = check(data, on_done=on_done)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        _show_counts(report)
        _show_problems(report, every)
    if report.faults:
        raise typer.Exit(1)


def _show_counts(report: Report) -> None:
    """Print a table for each head: faces of each class in each split."""
    for k, part in enumerate(report.parts, start=1):
        name = f"{part.split} of {part.spec}" if part.split else part.spec
        out.print(Text(f"({k}) {shown(name)}: {part.faces} faces"), soft_wrap=True)
    for head in dict.fromkeys(head for part in report.parts for head in part.counts):
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        table.add_column(Text(head))
        for k in range(len(report.parts)):
            table.add_column(f"({k + 1})", justify="right")
        for label in dict.fromkeys(x for part in report.parts for x in part.counts.get(head, {})):
            numbers = [part.counts.get(head, {}).get(label) for part in report.parts]
            table.add_row(Text(shown(label)), *("" if n is None else str(n) for n in numbers))
        out.print()
        out.print(table)


def _show_problems(report: Report, every: bool) -> None:
    out.print()
    if not report.problems:
        out.print("no problems")
    for kind, number in report.kinds.items():
        found = [problem for problem in report.problems if problem.kind == kind]
        out.print(Text(f"{kind}: {number}", "" if kind == "no emotion" else "bold red"))
        for problem in found if every else found[:_LISTED]:
            out.print(Text(f"  {shown(problem.where)}: {shown(problem.detail)}"), soft_wrap=True)
        if not every and number > _LISTED:
            out.print(f"  ... and {number - _LISTED} more: --all prints them, --json too")


# --- show -------------------------------------------------------------------------------------------------


@app.command("show", epilog="Example:  pyfer data show 'cartoon:?n=64' --augment -o sheet.png")
def data_show(
    data: DataArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("sheet.png"),
    n: Annotated[int, typer.Option("-n", min=1, max=400, help="How many faces.")] = 48,
    seed: Annotated[int, typer.Option(min=0, help="Which faces, and which changes.")] = 0,
    augment: Annotated[bool, typer.Option("--augment", help="Beside each face, what training sees.")] = False,
    settings: Annotated[Path | None, typer.Option(help="Training settings with the augmentation.")] = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Write a contact sheet of faces with their labels (research pictures: keep it to yourself)."""
    import numpy as np

    from pyfer.drawing import contact_sheet

    check_picture("output", output)
    faces = _opened(data, skip_bad)
    rows = np.sort(np.random.default_rng(seed).permutation(len(faces))[:n])
    faces = faces[rows]
    names = [name or "-" for name in _labels(faces)]
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


def _opened(data: str, skip_bad: bool) -> FaceData:
    """Open a data set with a bar of progress; say on standard error what was left out."""
    from pyfer.datasets import open_data

    with progress("faces", 1) as on_done:
        faces = open_data(data, skip_bad=skip_bad, on_done=on_done)
    if faces.left_out:
        err.print(Text(f"left out: {_counted(faces.left_out)}", "yellow"), soft_wrap=True)
    return faces


def _counted(problems: tuple[Problem, ...]) -> str:
    """Return how many problems of each kind there are; of remarks, what they say."""
    kinds = dict.fromkeys(problem.kind for problem in problems if problem.is_bad)
    counts = [f"{sum(p.kind == kind for p in problems)} {kind}" for kind in kinds]
    return ", ".join([*counts, *(p.detail for p in problems if not p.is_bad)])


def _labels(faces: FaceData) -> list[str]:
    """Return the label with the largest share in the first head for each face, "" where it has none."""
    head, target = next(iter(faces.targets.items()))
    names = faces.labels[head]
    return [names[k] if row.any() else "" for k, row in zip(target.argmax(1), target, strict=True)]


# --- streams ----------------------------------------------------------------------------------------------


@app.command(
    "streams", epilog="Example:  pyfer data streams 'cartoon:?n=400' -o sheet.png --count 8 --seed 1"
)
def data_streams(
    data: DataArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("streams.png"),
    count: Annotated[int, typer.Option(min=1, max=100, help="How many streams, a row each.")] = 8,
    every: Annotated[int, typer.Option(min=1, help="Show one frame in so many.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    settings: Annotated[Path | None, typer.Option(help="Training settings with [streams] and heads.")] = None,
    head: Annotated[str | None, typer.Option(help="Labels that streams go by (default: the first).")] = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Write a picture of the streams that a recurrent network learns from, made of stills.

    A row is a stream. The line over a frame has the colours of its labels, with their shares. (Of research
    pictures: keep it to yourself.)
    """
    from dataclasses import replace

    from pyfer.errors import DataError
    from pyfer.streams import StreamSettings, make_streams

    check_picture("output", output)
    chosen, wanted = StreamSettings(), head
    if settings is not None:
        from pyfer.training.settings import load_settings

        loaded = load_settings(settings)
        chosen, wanted = loaded.streams, head or next(iter(loaded.loss.heads))
    faces = _opened(data, skip_bad)
    by = wanted or next(iter(faces.targets))
    if by not in faces.targets:
        known = ", ".join(faces.targets)
        raise DataError(f"head={by!r} must be one of the data's: {known}{did_you_mean(by, faces.targets)}")
    made = make_streams(faces, by, replace(chosen, count=count), seed)
    write_picture("output", output, _sheet_of(made, by, every))
    out.print(f"{count} streams: {output}", soft_wrap=True)


_FRAME, _LINE, _GAP = 64, 6, 8  # pixels: side of a frame, height of its line, space around rows and keys


def _sheet_of(streams: Streams, head: str, every: int) -> NDArray[np.uint8]:
    """Return a picture (h, w, 3): a row a stream, lines over the frames in the colours of their labels."""
    import numpy as np
    from PIL import Image, ImageDraw

    from pyfer.maps import emotion_colors
    from pyfer.maps.paper import FAINT, PANEL, TRACK, fitted, letters

    names = streams.labels[head]
    inks = list(emotion_colors(names, {}).values())
    high, step = _LINE + _FRAME + _GAP, _FRAME + 2
    most = -(-int(streams.mask.sum(axis=1).max()) // every)
    width = max(most * step, 560) + 2 * _GAP
    sheet = Image.new("RGB", (width, len(streams) * high + 40), PANEL)
    canvas = ImageDraw.Draw(sheet)
    for i, frames in enumerate(streams.frames):
        top = _GAP + i * high
        for k, t in enumerate(np.flatnonzero(streams.mask[i])[::every].tolist()):
            x, target = _GAP + k * step, streams.targets[head][i, t]
            canvas.rectangle((x, top, x + _FRAME - 1, top + _LINE - 2), TRACK)  # where there is no label
            edges = [0, *np.rint(np.cumsum(target) * _FRAME).astype(int).tolist()]
            for ink, left, right in zip(inks, edges[:-1], edges[1:], strict=True):
                if right > left:
                    canvas.rectangle((x + left, top, x + right - 1, top + _LINE - 2), ink)
            sheet.paste(fitted(frames[t], _FRAME), (x, top + _LINE))
    left, bottom, font = float(_GAP), sheet.height - 14, letters(12)
    for name, ink in zip(names, inks, strict=True):
        canvas.rectangle((left, bottom - 10, left + 10, bottom), ink)
        canvas.text((left + 15, bottom - 12), shown(name), font=font, fill=FAINT)
        left += 15 + font.getlength(shown(name)) + _GAP
    return np.asarray(sheet)


# --- split ------------------------------------------------------------------------------------------------


@app.command("split", epilog="Example:  pyfer data split 'kdef:KDEF' -o parts --parts train=0.7,test=0.3")
def data_split(
    data: DataArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    parts: Annotated[
        str | None, typer.Option(help=f"Names and shares with sum 1 (default: {PARTS}).")
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Instead: folds, a train and a test each.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which of the equally good ways.")] = 0,
    skip_bad: SkipBadOption = False,
) -> None:
    """Divide a data set: no person on two sides, every class at its share as far as persons allow.

    Writes tables of ids (id, label, subject); the option only=FILE.csv of every reader reads them back.
    """
    from pyfer import datasets

    if parts is not None and folds is not None:
        raise ArgumentError(f"parts={parts!r} and folds={folds} exclude each other")
    shares = _shares(parts or PARTS)
    names = [f"fold{k:02}" for k in range(1, folds + 1)] if folds else list(shares)
    older = set(names) if folds else {f"{name}.csv" for name in names}
    check_folder("output", output, "an older result", older)
    faces = _opened(data, skip_bad)
    labels = _labels(faces)
    if faces.subjects is None:
        told = "the data set names no persons: one may be on both sides"
        err.print(Text(told, "yellow"), soft_wrap=True)
    if folds:
        part = datasets.folds(faces.subjects, labels, folds, seed)
        masks = {f"{name}/train": part != k for k, name in enumerate(names)}
        masks |= {f"{name}/test": part == k for k, name in enumerate(names)}
    else:
        part = datasets.split(faces.subjects, labels, list(shares.values()), seed)
        masks = {name: part == k for k, name in enumerate(names)}
    _write_parts(output, faces, labels, masks)
    for name, mask in sorted(masks.items()) if folds else masks.items():
        only = quote(f"{output.as_posix()}/{name}.csv", safe="/:")
        spec = f"{data}{'&' if '?' in data else '?'}only={only}"
        out.print(Text(f"{mask.sum():>7}  {spec}"), soft_wrap=True)


def _shares(text: str) -> dict[str, float]:
    """Return name -> share of ``train=0.8,test=0.2``."""
    shares: dict[str, float] = {}
    for item in text.split(","):
        found = re.fullmatch(r"\s*([A-Za-z0-9_-]+)\s*=\s*([0-9.]+)\s*", item)
        try:
            name, share = (found[1], float(found[2])) if found else ("", 0.0)
        except ValueError:
            name, share = "", 0.0
        if not name or name in shares:
            raise ArgumentError(f"parts={text!r} must be names and shares, each name once, such as {PARTS}")
        shares[name] = share
    if len(shares) < 2 or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ArgumentError(f"parts={text!r} must have two or more shares above 0 with sum 1")
    return shares


def _write_parts(
    output: Path, faces: FaceData, labels: list[str], masks: dict[str, NDArray[np.bool_]]
) -> None:
    """Write a table for each part, all of them or none."""
    from pyfer.files import replace_folder

    subjects = [""] * len(faces) if faces.subjects is None else faces.subjects.tolist()
    rows = list(zip(faces.ids.tolist(), labels, subjects, strict=True))
    try:
        with replace_folder(output) as folder:
            for name, mask in masks.items():
                stream = io.StringIO()
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(("id", "label", "subject"))
                writer.writerows(row for row, is_in in zip(rows, mask, strict=True) if is_in)
                path = folder / f"{name}.csv"
                path.parent.mkdir(exist_ok=True)
                path.write_text(stream.getvalue(), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"output={str(output)!r} cannot be written: {reason}") from error
