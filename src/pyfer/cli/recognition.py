"""The command ``pyfer predict``: from pictures to the emotions of their faces."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    CropsOption,
    EmotionsOption,
    HeadOption,
    JsonOption,
    ModelOption,
    check_picture,
    check_target,
    reading_of,
    real,
    write,
    write_picture,
)
from pyfer.errors import ArgumentError
from pyfer.terminal import err, shown

_THUMBNAILS = 24  # faces up to which a map shows them themselves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyfer.faces import Detector
    from pyfer.pipeline import Pipeline
    from pyfer.posterior import Explanation
    from pyfer.results import Result
    from pyfer.vocabulary import Vocabulary

PREDICT_EXAMPLES = (
    "Examples:  pyfer predict party.jpg   |   pyfer predict photos/ --csv faces.csv   |   "
    "cat face.png | pyfer predict - --json   |   pyfer predict party.jpg --emotions du2014 --map map.png"
)


def predict(
    sources: Annotated[
        list[str], typer.Argument(help="Pictures, folders, patterns, or - for standard input.")
    ],
    model: ModelOption = None,
    head: HeadOption = None,
    emotions: EmotionsOption = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Answers less probable than this are 'uncertain'.")
    ] = 0.0,
    classes: Annotated[
        str | None, typer.Option(help="Only these basic emotions, as in anger,fear,neutral.")
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="How often emotions are expected: 'uniform', or happiness=3,fear=0.5.")
    ] = None,
    crops: CropsOption = False,
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
    map_: Annotated[
        Path | None, typer.Option("--map", help="Write a map of the faces among the emotions here.")
    ] = None,
    panel: Annotated[
        Path | None, typer.Option(help="Write a picture of each answer's bars here (with --emotions).")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what each answer is made of (with --emotions).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recognise the emotions of the faces in pictures."""
    from pyfer.pipeline import Pipeline
    from pyfer.sources import STDIN, expand, read_stdin

    names = expand(sources)
    marked = [] if picture is None else _picture_paths(names, picture)
    _check_outputs([*names, *marked], csv, map_, panel)
    if emotions is None and (explain or panel is not None):
        raise ArgumentError("explain and panel need --emotions: they say what combined emotions are made of")
    reading = replace(
        reading_of(head, classes, prior), emotions=_vocabulary(emotions, map_), threshold=threshold
    )
    pipeline = Pipeline(model, _detector(yunet, smallest), reading=reading, largest=largest)
    if emotions is not None and pipeline.posterior is not None:
        terminal.show_left_out(pipeline.posterior)
        if over_time := [shown(one.name) for one in pipeline.posterior.vocabulary.successions]:
            line = f"left out, as they need a film (pyfer watch): {', '.join(over_time)}"
            err.print(Text(line, "yellow"), soft_wrap=True)
    # a closed standard input is None
    pictures = [(read_stdin() if sys.stdin else b"") if name == STDIN else name for name in names]
    with terminal.progress("pictures", len(pictures), quiet=len(pictures) < 2) as on_done:
        result = _named(pipeline.predict(pictures, crops=crops, on_done=on_done), names)
    told = result if emotions is not None else _of_basics(result)
    _show(told, _explanations(pipeline, result) if explain else None, as_json=as_json)
    if csv is not None:
        write("csv", csv, told.to_csv().encode())
    if map_ is not None:
        _write_map(pipeline, result, told.emotion, pictures, map_)
    if panel is not None:
        _write_panel(pipeline, result, pictures, panel)
    _write_pictures(told, pictures, marked)
    for entry in result.failed:
        reason = entry.message if entry.message.startswith(entry.name) else f"{entry.name}: {entry.message}"
        err.print(Text.assemble(("failed: ", "bold red"), shown(reason)), soft_wrap=True)
    raise typer.Exit(1 if result.failed else 0)


def _check_outputs(
    taken: Sequence[str | Path], csv: Path | None, map_: Path | None, panel: Path | None
) -> None:
    """Refuse, before any work, files that cannot be written or that two options name."""
    used = real(taken)
    if csv is not None:
        check_target("csv", csv, used)
        used |= real([csv])
    for option, path in (("map", map_), ("panel", panel)):
        if path is not None:
            check_picture(option, path, used)
            used |= real([path])


def _named(result: Result, names: Sequence[str | Path]) -> Result:
    """Return the result with a name for standard input."""
    from pyfer.sources import STDIN

    entries = [
        replace(entry, name="<standard input>") if name == STDIN else entry
        for name, entry in zip(names, result.inputs, strict=True)
    ]
    return replace(result, inputs=tuple(entries))


def _of_basics(result: Result) -> Result:
    """Return what is said without new emotions: a map must not change the answers."""
    return replace(result, answers=(), posterior=None, mixture=None, evidence=None)


def _show(result: Result, explanations: list[Explanation] | None, *, as_json: bool) -> None:
    """Print the result, and what its answers are made of if that is wanted."""
    if as_json:
        print(result.to_json(indent=1) if explanations is None else _json(result, explanations))
        return
    terminal.show_faces(result)
    if explanations is not None:
        terminal.show_explanations(result, explanations)


def _json(result: Result, explanations: list[Explanation]) -> str:
    """Return the JSON of a result with an explanation in each face."""
    tree = json.loads(result.to_json())
    for index, entry in enumerate(tree):
        rows = (row for row, source in enumerate(result.source.tolist()) if source == index)
        for face, row in zip(entry["faces"], rows, strict=True):
            found = json.dumps({"score": explanations[row].score, **asdict(explanations[row])})
            face["explanation"] = json.loads(found, parse_float=lambda v: round(float(v), 6))
    text = json.dumps(tree, indent=1, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()  # half a surrogate, as in Result.to_json


def _vocabulary(emotions: str | None, map_: Path | None) -> Vocabulary | None:
    """Return the emotions in use; a map without any shows the basic ones."""
    from pyfer.vocabulary import load

    if emotions is None:
        return None if map_ is None else load(())
    return load(emotions)


def _explanations(pipeline: Pipeline, result: Result) -> list[Explanation]:
    assert pipeline.posterior is not None
    assert result.evidence is not None
    return pipeline.posterior.explain(result.evidence, result.basic)


def _thumbnails(pictures: list[Any], result: Result) -> NDArray[np.uint8]:
    """Return (n, 64, 64, 3) crops of the faces."""
    import numpy as np

    from pyfer.faces import crop_box
    from pyfer.sources import read

    decoded = {int(index): read(pictures[index]) for index in set(result.source.tolist())}
    return np.stack([crop_box(decoded[face.source], np.array([face.box]), 64)[0] for face in result])


def _write_map(
    pipeline: Pipeline, result: Result, answers: tuple[str, ...], pictures: list[Any], path: Path
) -> None:
    from pyfer.maps import emotion_map

    posterior = pipeline.posterior
    assert posterior is not None
    assert result.mixture is not None
    columns = [result.labels.index(name) for name in posterior.basics]
    points = dict(zip(posterior.vocabulary.names, posterior.points, strict=True))
    picture = emotion_map(
        posterior.basics,
        points,
        result.mixture[:, columns],
        winners=answers,
        crops=_thumbnails(pictures, result) if 0 < len(result) <= _THUMBNAILS else None,
        title="faces among emotions",
    )
    write_picture("map", path, picture)


def _write_panel(pipeline: Pipeline, result: Result, pictures: list[Any], path: Path) -> None:
    """Write the bars of the first faces below each other."""
    from pyfer.maps import emotion_colors, explain_picture, stack

    if not len(result):
        raise ArgumentError(f"panel={str(path)!r} is not written: no face was found")
    posterior = pipeline.posterior
    assert posterior is not None
    points = dict(zip(posterior.vocabulary.names, posterior.points, strict=True))
    colors = emotion_colors(posterior.basics, points)
    first = result[:_THUMBNAILS]
    parts = []
    for face, crop, found in zip(
        first, _thumbnails(pictures, first), _explanations(pipeline, first), strict=True
    ):
        mixed = ", ".join(f"{share:.0%} {name}" for name, share in list(found.mixture.items())[:3])
        notes = [
            f"mixed of {mixed}; distance to {found.emotion}: {found.distance:.2f}",
            f"evidence: {terminal.evidence(found)}",
        ]
        parts.append(explain_picture(crop, face.basic, face.emotions, notes=notes, colors=colors))
    write_picture("panel", path, stack(parts))


def _detector(yunet: Path | None, smallest: float | None) -> Detector | None:
    from pyfer.faces import Mtcnn, YuNet
    from pyfer.models import cores

    if yunet is not None and smallest is not None:
        raise ArgumentError(f"smallest={smallest} is a setting of MTCNN; leave it or --yunet out")
    if yunet is not None:
        return YuNet(yunet)
    return None if smallest is None else Mtcnn(smallest=smallest, threads=cores())


def _picture_paths(names: Sequence[str | Path], target: Path) -> list[Path]:
    """Return where each picture's marked version will be: a file for one, a folder for several."""
    from pyfer.sources import STDIN, SUFFIXES

    taken = real(names)
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
        check_picture("picture", path, taken)
    return paths


def _write_pictures(result: Result, pictures: list[Any], paths: list[Path]) -> None:
    from pyfer.drawing import draw
    from pyfer.sources import read

    for index, path in enumerate(paths):
        if result.inputs[index].status == "ok":
            write_picture("picture", path, draw(read(pictures[index]), result, source=index))
