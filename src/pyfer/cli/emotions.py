"""The commands ``pyfer emotions ...`` on definitions: list, show, check, compare, define, forget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    CLOSE,
    FileOption,
    JsonOption,
    ModelOption,
    NameArgument,
    catalogue_names,
    check_picture,
    posterior_of,
    rivals,
    warn_of_rivals,
    write_picture,
)
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.terminal import out, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyfer.emotions import Emotion
    from pyfer.successions import Succession
    from pyfer.vocabulary import Vocabulary

app = typer.Typer(
    no_args_is_help=True,
    help="New emotions as combinations of basic ones: catalogues, definitions, learning, discovery.",
)

_BASIC = "basic"  # where an emotion is from that is in no catalogue
_OVER_TIME = "over time, so only in films"  # what is said of an emotion that no picture shows
_MOST = 20  # pairs that a comparison prints

CatalogueArgument = Annotated[
    str | None,
    typer.Argument(help="Catalogue, file or definition (default: all).", autocompletion=catalogue_names),
]

InOption = Annotated[
    str | None,
    typer.Option("--in", help="Catalogue or file (default: all).", autocompletion=catalogue_names),
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
        refused = f"; {len(vocabulary.refused)} more are not expressible" if vocabulary.refused else ""
        source = shown(vocabulary.source) or ("your own" if name == MINE else "")
        count = len(vocabulary) + len(vocabulary.successions)
        table.add_row(name, str(count), str(validated), source + refused)
    out.print(table)
    out.print("\nUse one:  pyfer predict photo.jpg --emotions du2014", style="dim", soft_wrap=True)


def _tree(vocabulary: Vocabulary) -> list[dict[str, object]]:
    from pyfer.emotions import BASIC

    still: list[dict[str, object]] = [
        {
            "name": e.name,
            "aliases": list(e.aliases),
            "formula": e.formula,
            "weights": e.weights,
            "against": {basic: weight for basic, weight in zip(BASIC, e.against, strict=True) if weight},
            "examples": e.examples.count if e.examples else 0,
            "source": e.source,
            "note": e.note,
            "validated": e.validated,
        }
        for e in vocabulary
    ]
    return still + [
        {
            "name": s.name,
            "aliases": list(s.aliases),
            "formula": s.formula,
            "steps": list(s.steps),
            "within": s.within,
            "source": s.source,
            "note": s.note,
        }
        for s in vocabulary.successions
    ]


def _show_vocabulary(vocabulary: Vocabulary, as_json: bool) -> None:
    from pyfer.emotions import formula_of
    from pyfer.successions import formula_over_time

    if as_json:
        print(json.dumps(_tree(vocabulary), indent=1))
        return
    table = Table(box=None, header_style="bold")
    for title in ("emotion", "is", "validated\non faces"):
        table.add_column(title, overflow="fold")
    for emotion in vocabulary:
        name = Text.assemble(shown(emotion.name), (_aliases(emotion), "dim"))
        table.add_row(name, formula_of(emotion.point, emotion.against), "yes" if emotion.validated else "no")
    for one in vocabulary.successions:
        name = Text.assemble(shown(one.name), (_aliases(one), "dim"))
        table.add_row(name, formula_over_time(one.steps, one.within), _OVER_TIME)
    out.print(table)
    by_reason: dict[str, list[str]] = {}
    for refused in vocabulary.refused.values():
        by_reason.setdefault(refused.reason, []).append(refused.name)
    for reason, names in by_reason.items():
        line = f"not expressible: {', '.join(map(shown, names))} ({shown(reason)})"
        out.print(Text(line, "dim"), soft_wrap=True)


def _aliases(emotion: Emotion | Succession) -> str:
    return f" ({', '.join(map(shown, emotion.aliases))})" if emotion.aliases else ""


@app.command("show", epilog="Example:  pyfer emotions show awe --in plutchik")
def emotions_show(name: NameArgument, where: InOption = None, model: ModelOption = None) -> None:
    """Show what an emotion is made of, where that is from, and what a face of it is hard to tell from."""
    from pyfer.models import Model
    from pyfer.successions import Succession

    found = _found(name, where)
    loaded = Model(model)
    for place, vocabulary in found.items():
        emotion = vocabulary.definition(name)
        out.print(Text.assemble((emotion.name, "bold"), (_aliases(emotion), "dim"), f"  [{place}]"))
        if not isinstance(emotion, Succession):
            _show_bars(emotion)
        for title in ("formula", "source", "note"):
            if text := getattr(emotion, title):
                out.print(Text.assemble((f"  {title}: ", "dim"), shown(text)), soft_wrap=True)
        if isinstance(emotion, Succession):
            _show_steps(emotion)
            continue
        if place != _BASIC:
            out.print(Text(f"  validated on faces: {'yes' if emotion.validated else 'no'}", "dim"))
        if one := emotion.examples:
            faces = "1 face" if one.count == 1 else f"{one.count} faces"
            out.print(Text(f"  learned from {faces} read by the model {shown(one.model)}", "dim"))
        close = rivals(emotion.name, _with_basics(vocabulary), loaded)
        if close:
            listed = ", ".join(f"{shown(other)} ({value:.2f})" for other, value in close.items())
            out.print(Text(f"  hard to tell from: {listed}", "yellow"), soft_wrap=True)


def _show_steps(succession: Succession) -> None:
    steps = ", then ".join(map(shown, succession.steps))
    out.print(Text.assemble(("  steps: ", "dim"), steps), soft_wrap=True)
    line = f"  {_OVER_TIME}; a step begins at most {succession.within:g} s after the one before has ended"
    out.print(Text(line, "dim"), soft_wrap=True)


def _with_basics(vocabulary: Vocabulary) -> Vocabulary:
    """Return the emotions of a catalogue beside all the basic ones, as in use."""
    from pyfer.vocabulary import Vocabulary

    return Vocabulary(vocabulary)  # those over time have no place among them


def _places(where: str | None) -> dict[str, Vocabulary]:
    """Return the catalogues that are searched, the user's own first."""
    from pyfer.vocabulary import MINE, catalogues, load, mine

    names = [where] if where else [*([MINE] if mine().exists() else []), *catalogues()]
    return {name: load(name, basics=False) for name in names}


def _found(name: str, where: str | None) -> dict[str, Vocabulary]:
    """Return where an emotion is defined; a basic one that is in no catalogue is known all the same."""
    from pyfer.emotions import basic_of
    from pyfer.vocabulary import load

    places = _places(where)
    found = {place: vocabulary for place, vocabulary in places.items() if _has(vocabulary, name)}
    if not found and basic_of(name) and where is None:
        return {_BASIC: load(())}
    if not found:
        raise _unknown(name, places)
    return found


def _has(vocabulary: Vocabulary, name: str) -> bool:
    """Whether a name is that of an emotion, or of one over time."""
    from pyfer.emotions import name_key

    return name in vocabulary or name_key(name) in _over_time(vocabulary)


def _over_time(vocabulary: Vocabulary) -> dict[str, Succession]:
    from pyfer.emotions import name_key

    return {name_key(name): one for one in vocabulary.successions for name in one.names}


def _unknown(name: str, places: Mapping[str, Vocabulary]) -> ArgumentError:
    """Return why an emotion is not there: it cannot be expressed, or nobody has defined it."""
    from pyfer.emotions import BASIC, name_key

    for place, vocabulary in places.items():
        for one in vocabulary.refused.values():
            if name_key(one.name) == name_key(name):
                return ArgumentError(f"emotion={name!r} of {place} cannot be expressed: {one.reason}")
    known = {*BASIC, *(key for found in places.values() for key in (*found.known, *_over_time(found)))}
    where = f"none of {', '.join(places)}" if len(places) > 1 else f"not in {', '.join(places)}"
    verb = "is in" if len(places) > 1 else "is"
    return ArgumentError(f"emotion={name!r} {verb} {where}{did_you_mean(name_key(name), known)}")


def _show_bars(emotion: Emotion) -> None:
    from pyfer.emotions import BASIC

    for basic, weight in emotion.weights.items():
        out.print(Text.assemble(f"  {basic:<10}", terminal.bar(weight), f" {weight:.2f}"))
    for basic, weight in zip(BASIC, emotion.against, strict=True):
        if weight:
            out.print(Text(f"  without {basic} ({weight:.2f})", "dim"))


@app.command("check", epilog="Examples:  pyfer emotions check mine.toml   |   pyfer emotions check mine")
def emotions_check(
    file: Annotated[
        str, typer.Argument(help="Definition file, or a catalogue.", autocompletion=catalogue_names)
    ],
    model: ModelOption = None,
) -> None:
    """Check a definition file whole, and say which of its emotions a model can hardly tell apart."""
    import numpy as np

    from pyfer.vocabulary import MINE, catalogues, load

    vocabulary = load(file if file in (MINE, *catalogues()) else Path(file), basics=False)
    total = len(vocabulary) + len(vocabulary.successions)
    if not total:
        raise ArgumentError(f"file={file!r} defines no emotion")
    posterior = posterior_of(_with_basics(vocabulary), model)
    count = "1 emotion" if total == 1 else f"{total} emotions"
    out.print(f"{shown(file)}: {count}, well defined", soft_wrap=True)
    if over_time := [shown(one.name) for one in vocabulary.successions]:
        out.print(f"  {_OVER_TIME}: {', '.join(over_time)}", soft_wrap=True)
    terminal.show_left_out(posterior)
    overlap, names = posterior.overlap(), posterior.vocabulary.names
    close = [(float(overlap[i, j]), names[i], names[j]) for i, j in np.argwhere(np.triu(overlap, 1) >= CLOSE)]
    for value, one, other in sorted(close, reverse=True):
        line = f"  {one} and {other} are hard to tell apart (overlap {value:.2f})"
        out.print(Text(line, "yellow"), soft_wrap=True)


@app.command(
    "compare",
    epilog="Examples:  pyfer emotions compare hatred appalled   |   pyfer emotions compare du2014 -o it.png",
)
def emotions_compare(
    names: Annotated[
        list[str],
        typer.Argument(help="Two or more emotions or definitions ('awe = fear + joy'), or one catalogue."),
    ],
    where: InOption = None,
    model: ModelOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a chart here.")] = None,
) -> None:
    """Say how hard emotions are to tell apart in faces: 0 never taken for each other, 1 the same."""
    import numpy as np

    if output is not None:
        check_picture("output", output)
    posterior = posterior_of(_chosen(names, where), model)
    terminal.show_left_out(posterior)
    overlap, used = posterior.overlap(), posterior.vocabulary.names
    if len(used) < 2:
        raise ArgumentError(f"names={names}: of these the model can only tell {used[0]}; name two or more")
    couples = zip(*np.triu_indices(len(used), 1), strict=True)
    pairs = sorted(((float(overlap[i, j]), i, j) for i, j in couples), reverse=True)
    for value, i, j in pairs[:_MOST]:
        line = Text.assemble((f"{value:.2f} ", "bold"), terminal.bar(value), f"  {used[i]} / {used[j]}")
        out.print(line.append("  hard to tell apart" if value >= CLOSE else "", "yellow"), soft_wrap=True)
    if len(pairs) > _MOST:
        out.print(f"(the {_MOST} closest of {len(pairs)} pairs)", style="dim")
    if output is not None:
        from pyfer.maps import separability_chart

        write_picture("output", output, separability_chart(used, overlap))
        out.print(f"chart: {output}", soft_wrap=True)


def _chosen(names: list[str], where: str | None) -> Vocabulary:
    """Return the vocabulary of the emotions named, or of one catalogue."""
    from pyfer.emotions import Emotion
    from pyfer.successions import is_succession
    from pyfer.vocabulary import Vocabulary, load

    places = _places(where)
    everything: dict[str, Emotion] = dict(load(()).known)
    for vocabulary in places.values():
        everything = {**vocabulary.known, **everything}
    if len(names) == 1 and _named(names[0], everything) is None and "=" not in names[0]:
        chosen = load(names[0], basics=False)
    else:
        emotions = []
        for name in names:
            if is_succession(name) or any(
                _has(found, name) and name not in found for found in places.values()
            ):
                raise ArgumentError(f"names={names}: {name!r} is an emotion over time, which no face shows")
            if "=" in name:
                title, _, formula = name.partition("=")
                emotions.append(Emotion(title.strip(), formula.strip(), known=everything))
            elif (emotion := _named(name, everything)) is not None:
                emotions.append(emotion)
            else:
                raise _unknown(name, places)
        chosen = Vocabulary(emotions, basics=False)
    if len(chosen) < 2:
        raise ArgumentError(f"names={names}: name two or more different emotions, or a catalogue of several")
    return chosen


def _named(name: str, known: Mapping[str, Emotion]) -> Emotion | None:
    from pyfer.emotions import basic_of, name_key

    return known.get(basic_of(name) or name_key(name))


# --- defining --------------------------------------------------------------------------------------------


@app.command(
    "define",
    epilog="Examples:  pyfer emotions define awe 'fear + 2 surprise'   |   ... define fury 'anger > disgust'"
    "   |   ... define relief 'fear -> happiness within 2 s'",
)
def emotions_define(
    name: NameArgument,
    formula: Annotated[
        str, typer.Argument(help="'fear + surprise', '0.7 disgust + 0.3 anger', 'a > b', 'a -> b'.")
    ],
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
    from pyfer.successions import Succession, formula_over_time, is_succession
    from pyfer.vocabulary import Vocabulary, define, load, mine
    from pyfer.vocabulary.assembly import built_on_time

    path = file or mine()
    old = load(path, basics=False) if path.exists() else Vocabulary((), basics=False)
    if fault := built_on_time(formula, _over_time(old)):
        raise ArgumentError(f"emotion {name!r}: {fault}")
    kind = Succession if is_succession(formula) else Emotion
    emotion = kind(name, formula, tuple(alias or ()), source, note, known=old.known)
    try:
        define(emotion, path, replace=replace)
    except ArgumentError as error:
        raise ArgumentError(str(error).replace("(replace=True)", "(--replace)")) from error
    if isinstance(emotion, Succession):
        meaning = formula_over_time(emotion.steps, emotion.within)
        out.print(f"{emotion.name} = {meaning}  ({path}; {_OVER_TIME})", soft_wrap=True)
        return
    out.print(f"{emotion.name} = {formula_of(emotion.point, emotion.against)}  ({path})", soft_wrap=True)
    warn_of_rivals(emotion, path)


@app.command("forget", epilog="Example:  pyfer emotions forget awe")
def emotions_forget(name: NameArgument, file: FileOption = None) -> None:
    """Take an emotion out of your own file."""
    from pyfer.vocabulary import forget, mine

    gone = forget(name, file)
    out.print(f"forgotten: {gone.name}  ({file or mine()})", soft_wrap=True)
