"""The commands ``pyfer emotions discover | fit | benchmark``: what many faces say about emotions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    CropsOption,
    EmotionsOption,
    JsonOption,
    ModelOption,
    check_target,
    model_names,
    write,
    write_picture,
)
from pyfer.terminal import out, shown

if TYPE_CHECKING:
    from pyfer.discovery import Discovery
    from pyfer.results import Result

_SHEET, _SIDE = 48, 96  # faces of a contact sheet, pixels of each

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
    pipeline = Pipeline(model, reading=Reading(emotions=emotions or ()))
    with terminal.progress("pictures", len(names)) as on_done:
        result = pipeline.predict(names, crops=crops, on_done=on_done)
    assert pipeline.posterior is not None
    assert result.evidence is not None
    found = find_mixtures(pipeline.posterior, result.evidence, least=least)
    if as_json:
        print(
            json.dumps(
                {"faces": found.faces, "unexplained": found.unexplained, "found": _mixtures(found, result)}
            )
        )
    else:
        terminal.show_discovery(found)
    if output is not None and found.found:
        _write_discovery(found, names, result, output, crops=crops)
    for entry in result.failed:
        terminal.err.print(Text(f"failed: {shown(entry.message)}", "red"), soft_wrap=True)
    raise typer.Exit(1 if result.failed else 0)


def _mixtures(found: Discovery, result: Result) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "formula": one.formula,
            "count": one.count,
            "share": one.share,
            "faces": [result.inputs[result.source[row]].name for row in one.rows.tolist()],
        }
        for one in found.found
    ]


def _write_discovery(
    found: Discovery, names: Sequence[str | Path], result: Result, output: Path, *, crops: bool
) -> None:
    """Write a definition file, and a contact sheet for each mixture with its most typical faces."""
    import numpy as np

    from pyfer.drawing import contact_sheet
    from pyfer.faces import crop_box
    from pyfer.sources import read

    output.mkdir(parents=True, exist_ok=True)
    write("output", output / "emotions.toml", found.vocabulary().to_toml().encode())
    for one in found.found:
        faces = [result[int(row)] for row in one.rows[:_SHEET]]
        crops_ = [
            crop_box(read(names[face.source]), np.array([face.box]), _SIDE, margin=0 if crops else 0.1)[0]
            for face in faces
        ]
        captions = [f"{face.emotion} {max(face.basic.values()):.0%}"[:16] for face in faces]
        path = output / f"{one.name.replace(' ', '-')}.png"
        write_picture("output", path, contact_sheet([np.stack(crops_)], captions))
    out.print(f"written: {output}/emotions.toml and {len(found.found)} contact sheets", soft_wrap=True)


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
