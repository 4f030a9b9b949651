"""The commands ``pyfer emotions ...`` on definitions: list, show, check, compare, define, learn, forget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    CropsOption,
    JsonOption,
    ModelOption,
    catalogue_names,
    check_picture,
    write_picture,
)
from pyfer.errors import ArgumentError
from pyfer.terminal import err, out, shown

if TYPE_CHECKING:
    from pyfer.emotions import Emotion
    from pyfer.posterior import Posterior
    from pyfer.results import Result
    from pyfer.vocabulary import Vocabulary

app = typer.Typer(
    no_args_is_help=True,
    help="New emotions as combinations of basic ones: catalogues, definitions, learning, discovery.",
)

_CLOSE = 0.8  # overlap from which two definitions are hard to tell apart: 40 of 100 faces go astray

FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Definition file (default: your own, 'mine').")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the emotion.")]


CatalogueArgument = Annotated[
    str | None,
    typer.Argument(help="Catalogue, file or definition (default: all).", autocompletion=catalogue_names),
]


# --- looking ---------------------------------------------------------------------------------------------


@app.command("list", epilog="Examples:  pyfer emotions list   |   pyfer emotions list du2014")
def emotions_list(catalogue: CatalogueArgument = None, as_json: JsonOption = False) -> None:
    """List the catalogues, or the emotions of one with their formulas."""
    from pyfer.vocabulary import MINE, catalogues, load, mine

    if catalogue is not None:
        _show_vocabulary(load(catalogue, basics=False), as_json)
        return
    names = [*catalogues(), *([MINE] if mine().exists() else [])]
    found = {name: load(name, basics=False) for name in names}
    if as_json:
        print(json.dumps({name: _tree(vocabulary) for name, vocabulary in found.items()}, indent=1))
        return
    table = Table(box=None, header_style="bold")
    for title in ("catalogue", "emotions", "validated", "source"):
        table.add_column(title, justify="right" if title in ("emotions", "validated") else "left")
    for name, vocabulary in found.items():
        validated = sum(emotion.validated for emotion in vocabulary)
        refused = f" (+{len(vocabulary.refused)} not expressible)" if vocabulary.refused else ""
        source = shown(vocabulary.source) or ("your own" if name == MINE else "")
        table.add_row(name, str(len(vocabulary)), str(validated), source + refused)
    out.print(table)
    out.print("\nUse one:  pyfer predict photo.jpg --emotions du2014", style="dim")


def _tree(vocabulary: Vocabulary) -> list[dict[str, object]]:
    return [
        {"name": e.name, "weights": e.weights, "formula": e.formula, "validated": e.validated}
        for e in vocabulary
    ]


def _show_vocabulary(vocabulary: Vocabulary, as_json: bool) -> None:
    from pyfer.emotions import formula_of

    if as_json:
        print(json.dumps(_tree(vocabulary), indent=1))
        return
    table = Table(box=None, header_style="bold")
    for title in ("emotion", "is", "validated on faces"):
        table.add_column(title, overflow="fold")
    for emotion in vocabulary:
        name = Text.assemble(shown(emotion.name), (_aliases(emotion), "dim"))
        table.add_row(name, formula_of(emotion.point, emotion.against), "yes" if emotion.validated else "no")
    out.print(table)
    by_reason: dict[str, list[str]] = {}
    for refused in vocabulary.refused.values():
        by_reason.setdefault(refused.reason, []).append(refused.name)
    for reason, names in by_reason.items():
        out.print(Text(f"not expressible: {', '.join(names)}: {reason}", "dim"), soft_wrap=True)


def _aliases(emotion: Emotion) -> str:
    return f" ({', '.join(map(shown, emotion.aliases))})" if emotion.aliases else ""


@app.command("show", epilog="Example:  pyfer emotions show awe --in plutchik")
def emotions_show(
    name: NameArgument,
    where: Annotated[
        str | None,
        typer.Option("--in", help="Catalogue or file (default: all).", autocompletion=catalogue_names),
    ] = None,
) -> None:
    """Show what an emotion is made of, where that is from, and what a face of it is hard to tell from."""
    from pyfer.vocabulary import MINE, catalogues, load, mine

    places = [where] if where else [*([MINE] if mine().exists() else []), *catalogues()]
    found = [(place, vocabulary) for place in places if name in (vocabulary := load(place, basics=False))]
    for place in places:
        vocabulary = load(place, basics=False)
        reasons = {one.name.lower(): one for one in vocabulary.refused.values()}
        if not found and name.lower() in reasons:
            raise ArgumentError(f"emotion={name!r} of {place}: {reasons[name.lower()].reason}")
    if not found:
        whole = {known for place in places for known in load(place, basics=False).names}
        from pyfer.errors import did_you_mean

        raise ArgumentError(f"emotion={name!r} is in none of {', '.join(places)}{did_you_mean(name, whole)}")
    for place, vocabulary in found:
        emotion = vocabulary[name]
        out.print(Text.assemble((emotion.name, "bold"), (_aliases(emotion), "dim"), f"  [{place}]"))
        _show_bars(emotion)
        for title in ("formula", "source", "note"):
            if text := getattr(emotion, title):
                out.print(Text.assemble((f"  {title}: ", "dim"), shown(text)), soft_wrap=True)
        out.print(Text(f"  validated on faces: {'yes' if emotion.validated else 'no'}", "dim"))
        if emotion.examples is not None:
            out.print(
                Text(f"  learned from {emotion.examples.count} faces by {emotion.examples.model}", "dim")
            )


def _show_bars(emotion: Emotion) -> None:
    for basic, weight in emotion.weights.items():
        out.print(Text.assemble(f"  {basic:<10}", terminal.bar(weight), f" {weight:.2f}"))
    for basic, weight in zip(_basics(), emotion.against, strict=True):
        if weight:
            out.print(Text(f"  without {basic} ({weight:.2f})", "dim"))


def _basics() -> tuple[str, ...]:
    from pyfer.emotions import BASIC

    return BASIC


@app.command("check", epilog="Example:  pyfer emotions check mine.toml")
def emotions_check(
    file: Annotated[Path, typer.Argument(help="Definition file.")], model: ModelOption = None
) -> None:
    """Check a definition file whole, and say which of its emotions a model can hardly tell apart."""
    import numpy as np

    from pyfer.vocabulary import load

    vocabulary = load(file, basics=True)
    posterior = _posterior(vocabulary, model)
    overlap = posterior.overlap()
    names = posterior.vocabulary.names
    new = [k for k, name in enumerate(names) if name not in _basics()]
    out.print(f"{file}: {len(new)} emotions, all well defined", soft_wrap=True)
    for name in posterior.left_out:
        out.print(Text(f"  {name}: this model cannot tell its components, it will be left out", "yellow"))
    close = [
        (float(overlap[i, j]), names[i], names[j]) for i, j in np.argwhere(np.triu(overlap, 1) >= _CLOSE)
    ]
    for value, one, other in sorted(close, reverse=True):
        out.print(Text(f"  {one} and {other} are hard to tell apart (overlap {value:.2f})", "yellow"))


def _posterior(vocabulary: Vocabulary, model: str | None) -> Posterior:
    from pyfer.pipeline import Pipeline, Reading

    posterior = Pipeline(model, reading=Reading(emotions=vocabulary)).posterior
    assert posterior is not None
    return posterior


@app.command(
    "compare",
    epilog="Examples:  pyfer emotions compare hatred appalled   |   pyfer emotions compare du2014 -o it.png",
)
def emotions_compare(
    names: Annotated[list[str], typer.Argument(help="Two or more emotions, or one catalogue or file.")],
    where: Annotated[
        str | None,
        typer.Option("--in", help="Catalogue or file they are in.", autocompletion=catalogue_names),
    ] = None,
    model: ModelOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a chart here.")] = None,
) -> None:
    """Say how hard emotions are to tell apart in faces: 0 never taken for each other, 1 the same."""
    import numpy as np

    if output is not None:
        check_picture("output", output)
    vocabulary = _chosen(names, where)
    posterior = _posterior(vocabulary, model)
    overlap, used = posterior.overlap(), posterior.vocabulary.names
    if output is not None:
        from pyfer.maps import separability_chart

        write_picture("output", output, separability_chart(used, overlap))
        out.print(f"chart: {output}", soft_wrap=True)
    pairs = sorted(
        ((float(overlap[i, j]), i, j) for i, j in zip(*np.triu_indices(len(used), 1), strict=True))
    )
    for value, i, j in reversed(pairs[-20:]):
        verdict = ("hard to tell apart", "yellow") if value >= _CLOSE else ("", "")
        out.print(
            Text.assemble(f"{used[i]} / {used[j]}: overlap ", (f"{value:.2f}", "bold"), "  ", verdict),
            soft_wrap=True,
        )
    if len(pairs) > 20:
        out.print(f"(the 20 closest of {len(pairs)} pairs)", style="dim")


def _chosen(names: list[str], where: str | None) -> Vocabulary:
    """Return the vocabulary of the emotions named, or of one catalogue."""
    from pyfer.vocabulary import MINE, Vocabulary, catalogues, load, mine

    if len(names) == 1:
        return load(names[0], basics=False)
    known: dict[str, Emotion] = {}
    for place in [where] if where else [*([MINE] if mine().exists() else []), *catalogues()]:
        for name, emotion in load(place, basics=False).known.items():
            known.setdefault(name, emotion)
    everything = {**load([]).known, **known}
    lookup = {name.lower(): emotion for name, emotion in everything.items()}
    from pyfer.errors import did_you_mean

    for name in names:
        if name.lower() not in lookup:
            raise ArgumentError(f"emotion={name!r} is not known{did_you_mean(name.lower(), lookup)}")
    return Vocabulary([lookup[name.lower()] for name in names], basics=False)


# --- defining and learning -------------------------------------------------------------------------------


@app.command(
    "define",
    epilog="Examples:  pyfer emotions define awe 'fear + 2 surprise'   |   ... define fury 'anger > disgust'",
)
def emotions_define(
    name: NameArgument,
    formula: Annotated[str, typer.Argument(help="'fear + surprise', '0.7 disgust + 0.3 anger', 'a > b'.")],
    alias: Annotated[list[str] | None, typer.Option(help="Another name; may be repeated.")] = None,
    source: Annotated[str, typer.Option(help="Where the definition is from.")] = "",
    note: Annotated[str, typer.Option(help="Anything for people.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an emotion so named.")
    ] = False,
    file: FileOption = None,
) -> None:
    """Define an emotion by a formula and keep it in your own file."""
    from pyfer.emotions import Emotion, formula_of
    from pyfer.vocabulary import define, load, mine

    path = file or mine()
    known = load(path, basics=False).known if path.exists() else {}
    emotion = Emotion(name, formula, tuple(alias or ()), source, note, known=known)
    define(emotion, path, replace=replace)
    out.print(f"{emotion.name} = {formula_of(emotion.point, emotion.against)}  ({path})", soft_wrap=True)
    _warn_of_rivals(emotion)


def _warn_of_rivals(emotion: Emotion) -> None:
    """Say which basic emotion a new one is hard to tell from."""
    from pyfer.vocabulary import Vocabulary

    posterior = _posterior(Vocabulary([emotion]), None)
    overlap = posterior.overlap()[-1][:-1]
    for name, value in zip(posterior.vocabulary.names, overlap.tolist(), strict=False):
        if value >= _CLOSE:
            err.print(Text(f"hard to tell from {name} in faces (overlap {value:.2f})", "yellow"))


@app.command(
    "learn", epilog="Example:  pyfer emotions learn awe photos/awe/*.jpg --formula 'fear + surprise'"
)
def emotions_learn(
    name: NameArgument,
    faces: Annotated[list[str], typer.Argument(help="Pictures or folders; the largest face of each counts.")],
    formula: Annotated[str, typer.Option(help="What it is thought to be made of; examples refine it.")] = "",
    crops: CropsOption = False,
    model: ModelOption = None,
    file: FileOption = None,
) -> None:
    """Learn an emotion from examples, with or without a formula; learned again, it is learned anew."""
    from pyfer.emotions import Emotion, Examples, formula_of
    from pyfer.learning import learned_point
    from pyfer.models import Model
    from pyfer.pipeline import Pipeline, Reading
    from pyfer.sources import expand
    from pyfer.vocabulary import define, load, mine

    path = file or mine()
    known = load(path, basics=False).known if path.exists() else {}
    formula = formula or _formula_of_before(name, known)
    prior = Emotion(name, formula, known=known) if formula else None
    pictures = expand(faces)
    loaded = Model(model)
    pipeline = Pipeline(loaded, reading=Reading(emotions=()), largest=True)
    with terminal.progress("examples", len(pictures), quiet=len(pictures) < 2) as on_done:
        result = pipeline.predict(pictures, crops=crops, on_done=on_done)
    _refuse_pictures_without_faces(result)
    assert pipeline.posterior is not None
    assert result.evidence is not None
    point = learned_point(pipeline.posterior.evidence, result.evidence, prior.point if prior else None)
    learned = Examples(len(result), point, loaded.name, loaded.spec.sha256)
    emotion = Emotion(name, formula, examples=learned, known=known)
    define(emotion, path, replace=True)
    before = f" (the formula alone: {formula_of(prior.point)})" if prior else ""
    out.print(
        f"{emotion.name} = {formula_of(emotion.point)}, from {len(result)} faces{before}  ({path})",
        soft_wrap=True,
    )
    _warn_of_rivals(emotion)


def _formula_of_before(name: str, known: object) -> str:
    """Return the formula an emotion was defined by, so that learning keeps it."""
    from collections.abc import Mapping

    assert isinstance(known, Mapping)
    before = {key.lower(): emotion for key, emotion in known.items()}.get(name.lower())
    return before.formula if before is not None else ""


def _refuse_pictures_without_faces(result: Result) -> None:
    """Refuse to learn from less than was given."""
    with_faces = set(result.source.tolist())
    bad = [
        f"{shown(entry.name)}: {entry.message or 'no face found'}"
        for k, entry in enumerate(result.inputs)
        if k not in with_faces
    ]
    if bad:
        raise ArgumentError(
            f"examples: {len(bad)} of {len(result.inputs)} pictures show no face, so nothing was learned; "
            f"leave them out, or say --crops if each picture is one face: {'; '.join(bad[:5])}"
        )


@app.command("forget", epilog="Example:  pyfer emotions forget awe")
def emotions_forget(name: NameArgument, file: FileOption = None) -> None:
    """Take an emotion out of your own file."""
    from pyfer.vocabulary import forget, mine

    gone = forget(name, file)
    out.print(f"forgotten: {gone.name}  ({file or mine()})", soft_wrap=True)
