"""The commands ``pyfer emotions learn | discover | fit | benchmark``: what faces say about emotions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    CropsOption,
    EmotionsOption,
    FileOption,
    JsonOption,
    ModelOption,
    NameArgument,
    check_folder,
    check_target,
    model_names,
    real,
    warn_of_rivals,
    write,
    write_picture,
)
from pyfer.errors import ArgumentError, PyferError
from pyfer.terminal import err, out, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyfer.discovery import Discovery
    from pyfer.emotions import Emotion
    from pyfer.models import Model
    from pyfer.results import Result

_OVERRULED = 0.3  # distance from the formula beyond which it is worth saying that examples moved it
_SHEET, _SIDE = 48, 96  # faces of a contact sheet, pixels of each
_DEFINITIONS = "emotions.toml"  # what a result of `discover` is known by
_LISTED = 5  # pictures that a message names

LEARN_EXAMPLE = "Example:  pyfer emotions learn awe photos/awe/*.jpg --formula 'fear + surprise'"


def learn(
    name: NameArgument,
    faces: Annotated[list[str], typer.Argument(help="Pictures or folders; the largest face of each counts.")],
    formula: Annotated[str, typer.Option(help="What it is thought to be made of; examples refine it.")] = "",
    crops: CropsOption = False,
    model: ModelOption = None,
    file: FileOption = None,
) -> None:
    """Learn an emotion from examples, with or without a formula; learned again, it is learned anew."""
    from pyfer.emotions import Emotion, Examples, formula_of
    from pyfer.models import Model
    from pyfer.sources import expand
    from pyfer.vocabulary import define, load, mine

    path = file or mine()
    known = load(path, basics=False).known if path.exists() else {}
    before = _before(name, known)
    formula = formula or (before.formula if before else "")
    prior = Emotion(name, formula, known=known) if formula else None
    loaded = Model(model)
    _check_tellable(prior, loaded)
    point, count = _learned(expand(faces), loaded, prior, crops=crops)
    learned = Examples(count, point, loaded.name, loaded.spec.sha256)
    emotion = (
        Emotion(name, formula, examples=learned, known=known)
        if before is None
        else replace(before, formula=formula, examples=learned, known=known)
    )
    define(emotion, path, replace=True)
    alone = f" (the formula alone: {formula_of(prior.point, prior.against)})" if prior else ""
    out.print(
        f"{emotion.name} = {formula_of(emotion.point, emotion.against)}, from "
        f"{'1 face' if count == 1 else f'{count} faces'}{alone}  ({path})",
        soft_wrap=True,
    )
    if prior is not None and _apart(prior.point, emotion.point) > _OVERRULED:
        terminal.err.print(
            Text(
                "the faces have overruled the formula: they agree on something else, or on nothing", "yellow"
            )
        )
    warn_of_rivals(emotion, path, loaded)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """Return half the sum of absolute differences of two points, 0..1."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2


def _before(name: str, known: Mapping[str, Emotion]) -> Emotion | None:
    """Return the emotion as it was defined before, of which all but the examples is kept."""
    from pyfer.emotions import basic_of, checked_name, name_key

    checked_name(name)
    if basic := basic_of(name):
        raise ArgumentError(
            f"name={name!r} is that of the basic emotion {basic}, which nothing can move; choose another name"
        )
    return known.get(name_key(name))


def _check_tellable(prior: Emotion | None, model: Model) -> None:
    """Refuse, before any work, a formula that needs an emotion the model does not tell."""
    labels = model.spec.head().labels
    lacking = [basic for basic in (prior.weights if prior else ()) if basic not in labels]
    if prior and lacking:
        raise ArgumentError(
            f"formula={prior.formula!r} needs {', '.join(lacking)}, which model {model.name!r} cannot tell "
            f"(it tells {', '.join(labels)})"
        )


def _learned(
    pictures: Sequence[str | Path], model: Model, prior: Emotion | None, *, crops: bool
) -> tuple[tuple[float, ...], int]:
    """Return the point that the largest face of each picture shows, and how many faces there were."""
    from pyfer.learning import learned_point
    from pyfer.pipeline import Pipeline, Reading

    pipeline = Pipeline(model, reading=Reading(emotions=()), largest=True)
    with terminal.progress("examples", len(pictures), quiet=len(pictures) < 2) as on_done:
        result = pipeline.predict(pictures, crops=crops, on_done=on_done)
    _refuse_pictures_without_faces(result)
    assert pipeline.posterior is not None
    assert result.evidence is not None
    point = learned_point(pipeline.posterior.evidence, result.evidence, prior.point if prior else None)
    return point, len(result)


def _refuse_pictures_without_faces(result: Result) -> None:
    """Refuse to learn from less than was given."""
    with_faces = set(result.source.tolist())
    lacking = [entry for k, entry in enumerate(result.inputs) if k not in with_faces]
    if not lacking:
        return
    bad = [
        entry.message
        if entry.message.startswith(entry.name)
        else f"{entry.name}: {entry.message or 'no face'}"
        for entry in lacking
    ]
    rule = "leave them out"
    if any(entry.status == "ok" for entry in lacking):
        rule += ", or say --crops if each picture is one face"
    more = [f"and {len(bad) - _LISTED} more"] if len(bad) > _LISTED else []
    raise ArgumentError(
        f"examples: {len(bad)} of {len(result.inputs)} cannot be used, so nothing was learned; {rule}"
        + "".join(f"\n  {shown(line)}" for line in bad[:_LISTED] + more)
    )


DISCOVER_EXAMPLE = "Example:  pyfer emotions discover photos/ -o found/"


def discover(
    sources: Annotated[list[str], typer.Argument(help="Folders or pictures, unlabelled.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the contact sheets and the definition file."),
    ] = None,
    emotions: EmotionsOption = None,
    crops: CropsOption = False,
    model: ModelOption = None,
    least: Annotated[int, typer.Option(min=2, help="Faces that a mixture must explain.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Find recurring mixtures that no known emotion explains (known: the basics, and --emotions)."""
    from pyfer.discovery import discover as find_mixtures
    from pyfer.pipeline import Pipeline, Reading
    from pyfer.sources import expand

    names = expand(sources)
    if output is not None:
        _check_output(output, names, emotions)
    pipeline = Pipeline(model, reading=Reading(emotions=emotions or ()))
    assert pipeline.posterior is not None
    terminal.show_left_out(pipeline.posterior)
    with terminal.progress("pictures", len(names), quiet=len(names) < 2) as on_done:
        result = pipeline.predict(names, crops=crops, on_done=on_done)
    assert result.evidence is not None
    found = find_mixtures(pipeline.posterior, result.evidence, least=least)
    if as_json:
        print(json.dumps(_tree(found, result), indent=1))
    else:
        terminal.show_discovery(found)
    if output is not None:
        written = f"nothing; {output} is as it was"
        if found.found:
            written = _write_discovery(found, names, result, output, crops=crops)
        (err if as_json else out).print(f"written: {written}", soft_wrap=True)
    for entry in result.failed:
        err.print(Text.assemble(("failed: ", "bold red"), shown(entry.message)), soft_wrap=True)
    raise typer.Exit(1 if result.failed else 0)


def _tree(found: Discovery, result: Result) -> dict[str, Any]:
    return {
        "faces": found.faces,
        "unexplained": found.unexplained,
        "reason": found.reason,
        "found": [
            {
                "name": one.name,
                "formula": one.formula,
                "count": one.count,
                "share": one.share,
                "faces": [result.inputs[result.source[row]].name for row in one.rows.tolist()],
            }
            for one in found.found
        ],
        "failed": [entry.message for entry in result.failed],
    }


def _check_output(output: Path, names: Sequence[str | Path], emotions: str | None) -> None:
    """Refuse, before any work, a folder that is read by this command or has other things in it."""
    check_folder("output", output, "an older discovery", _older(output))
    taken = real([*names, *(part.strip() for part in (emotions or "").split(","))])
    if taken & real([output / name for name in (_DEFINITIONS, *_older(output))]):
        raise ArgumentError(f"output={str(output)!r} is read by this command already; write elsewhere")


def _older(output: Path) -> set[str]:
    """Return the names of the files that an older discovery has left in a folder."""
    from pyfer.discovery import SOURCE
    from pyfer.vocabulary import load

    try:
        older = load(output / _DEFINITIONS, basics=False)
    except PyferError:
        return set()
    return {_DEFINITIONS, *map(_sheet, older.names)} if older.source == SOURCE else set()


def _sheet(name: str) -> str:
    return f"{name.replace(' ', '-')}.png"


def _write_discovery(
    found: Discovery, names: Sequence[str | Path], result: Result, output: Path, *, crops: bool
) -> str:
    """Write definitions and a contact sheet for each mixture, all or nothing; return what was written."""
    from pyfer.files import replace_folder

    try:
        with replace_folder(output.resolve()) as fresh:
            write("output", fresh / _DEFINITIONS, found.vocabulary().to_toml().encode())
            for one in found.found:
                rows = one.rows[:_SHEET].tolist()
                write_picture("output", fresh / _sheet(one.name), _contact(rows, names, result, crops))
    except OSError as error:
        raise ArgumentError(f"output={str(output)!r} cannot be written: {error.strerror or error}") from error
    sheets = "1 contact sheet" if len(found.found) == 1 else f"{len(found.found)} contact sheets"
    return f"{output / _DEFINITIONS} and {sheets}; use it with --emotions {output / _DEFINITIONS}"


def _contact(
    rows: Sequence[int], names: Sequence[str | Path], result: Result, crops: bool
) -> NDArray[np.uint8]:
    """Return the faces of some rows with what each would be called among the basic emotions."""
    import numpy as np

    from pyfer.drawing import contact_sheet
    from pyfer.emotions import percent
    from pyfer.faces import crop_box
    from pyfer.sources import read

    faces = [result[row] for row in rows]
    margin = 0 if crops else 0.1
    pictures = [
        crop_box(read(names[face.source]), np.array([face.box]), _SIDE, margin=margin)[0] for face in faces
    ]
    best = [max(face.basic.items(), key=lambda item: item[1]) for face in faces]
    captions = [f"{name} {percent(p)}" for name, p in best]
    return contact_sheet([np.stack(pictures)], captions)


FIT_EXAMPLE = (
    "Example:  pyfer emotions fit runs/mine/model 'fer2013plus:DIR?split=Training' "
    "'fer2013plus:DIR?split=PublicTest' -o mine"
)


def fit(
    model: Annotated[str, typer.Argument(help="Installed model or folder.", autocompletion=model_names)],
    train: Annotated[str, typer.Argument(help="Faces with votes to fit on, see 'pyfer data list'.")],
    reference: Annotated[str, typer.Argument(help="Other faces with votes: base rates, comparisons.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model folder to write.")],
    any_model: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Read probabilities only; writes an evidence file for any model."
        ),
    ] = False,
) -> None:
    """Fit what reads new emotions out of a model, and write the model with it."""
    from pyfer.errors import need
    from pyfer.evidence import save
    from pyfer.models import Model

    need("torch", "train")
    from pyfer.training.evidence import attach
    from pyfer.training.evidence import fit as fit_evidence

    if any_model:
        check_target("output", output)
    else:
        is_model = (output / "model.json").is_file()
        files = {each.name for each in output.iterdir() if each.is_file()} if is_model else set()
        check_folder("output", output, "a model", files)
    loaded = Model(model)
    with terminal.progress("faces", 1) as on_done:
        kind = "probabilities" if any_model else "embedding"
        found = fit_evidence(loaded, train, reference, kind=kind, on_done=on_done)
    if any_model:
        save(found.evidence, output)
    else:
        attach(loaded.folder, found.evidence, output)
    out.print(
        f"fitted on {found.faces} faces: {found.loss:.4f} nats on the reference (the votes' own entropy: "
        f"{found.entropy:.4f})\nwritten: {output}",
        soft_wrap=True,
    )


BENCHMARK_EXAMPLE = "Example:  pyfer emotions benchmark base --data ../shared/data/fer2013plus"


def benchmark(
    model: Annotated[str, typer.Argument(help="Installed model or folder.", autocompletion=model_names)],
    data: Annotated[Path, typer.Option("--data", help="Folder of FER2013 with FER+ votes.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the JSON report here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on FER+ blends: zero-shot and product tables, examples, calibration."""
    from pyfer.benchmark import benchmark as run_benchmark
    from pyfer.models import Model

    if output is not None:
        check_target("output", output)
    loaded = Model(model)
    with terminal.progress("faces", 1) as on_done:
        report = run_benchmark(loaded, data, on_done=on_done)
    text = json.dumps({"data": str(data), **report.to_dict()}, indent=1)
    if output is not None:
        write("output", output, text.encode())
    if as_json:
        print(text)
    else:
        terminal.show_benchmark(report)
