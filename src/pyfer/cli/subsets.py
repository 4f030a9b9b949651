"""The command ``pyfer subsets``: which emotions a model can tell apart."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pyfer.cli.common import (
    DataArgument,
    HeadOption,
    JsonOption,
    check_picture,
    check_target,
    model_names,
    real,
    write,
    write_picture,
)
from pyfer.errors import ArgumentError, did_you_mean
from pyfer.terminal import err, out, progress, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyfer.evaluation import Interval
    from pyfer.subsets import Answers, Comparison, Settings, Study, Subset

SUBSETS_EXAMPLE = "Example:  pyfer subsets base 'ckplus:DIR' --sizes 2-7 --at-least 95 -o subsets.png"
_PAIRS = 6  # of the hardest pairs that are printed
_FEW = 20  # faces of a class below which its recall is a rough guess
_HALF = "one half of the faces"
_MEASURES = {"balanced": "balanced accuracy", "accuracy": "accuracy"}


def subsets(
    model: Annotated[str, typer.Argument(help="Installed model or folder.", autocompletion=model_names)],
    data: DataArgument,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of classes: 2-7, or 2,3,5 (default: all).")
    ] = None,
    at_least: Annotated[float, typer.Option(min=1, max=100, help="The score that is wanted, in %.")] = 95,
    by: Annotated[str, typer.Option(help="balanced (every class counts alike) or accuracy.")] = "balanced",
    prior: Annotated[
        str | None,
        typer.Option(
            help="How often each class is expected: uniform, data (as in DATA), model (as it learned). "
            "Default: uniform with --by balanced, data with --by accuracy."
        ),
    ] = None,
    head: HeadOption = None,
    choose_on: Annotated[
        str | None, typer.Option(help="Other data to choose the best on (default: one half of DATA).")
    ] = None,
    trained: Annotated[
        list[str] | None, typer.Option(help="Model trained for a subset, to compare; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the best of each size to print.")] = 3,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a chart here.")] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="Write every subset here.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the halves and the intervals.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure every subset of the classes: which emotions a model can tell apart."""
    from pyfer.subsets import Settings, study

    settings = Settings(_sizes(sizes), by, seed=seed)
    prior = _prior(prior, by)
    if table is not None:
        check_target("csv", table)
    if output is not None:
        check_picture("output", output, real([table] if table else []))
    answers, *others = _read([model, *(trained or ())], data, head, prior)
    elsewhere = _read([model], choose_on, head, prior)[0] if choose_on else None
    asked = _Asked(
        found=study(answers, choose_on=elsewhere, settings=settings),
        counts=answers.counts,
        unknown=answers.unknown,
        at_least=at_least / 100,
        chosen_on=choose_on or _HALF,
        top=top,
    )
    compared = {
        name: _compared(answers, other, settings) for name, other in zip(trained or (), others, strict=True)
    }
    if table is not None:
        write("csv", table, _csv(asked.found).encode())
    if output is not None:
        write_picture("output", output, _chart(asked, f"{Path(model).name} on {data}"))
    if as_json:
        about = {"model": model, "data": data, "prior": prior, "choose_on": choose_on, "seed": seed}
        found = {name: each.to_dict() for name, each in compared.items()}
        print(json.dumps({**about, **asked.tree(), "trained": found}, indent=1))
        return
    out.print(f"{shown(model)} on {shown(data)}, prior {prior}", soft_wrap=True)
    _show(asked)
    _show_compared(asked, compared)


@dataclass(frozen=True)
class _Asked:
    """What was measured, and how it is to be told."""

    found: Study
    counts: dict[str, int]
    unknown: tuple[str, ...]
    at_least: float
    chosen_on: str
    top: int

    @property
    def by(self) -> str:
        return self.found.table.by

    @property
    def sizes(self) -> list[int]:
        return sorted(set(self.found.table.size.tolist()))

    @property
    def measure(self) -> str:
        return _MEASURES[self.by]

    @property
    def faces(self) -> int:
        return sum(self.counts.values())

    def named(self, classes: Sequence[str]) -> str:
        """Return a subset in few words."""
        known = [name for name, n in self.counts.items() if n]
        missing = [name for name in known if name not in classes]
        if len(missing) >= len(classes):
            return ", ".join(classes)
        return f"all but {', '.join(missing)}" if missing else f"all {len(known)}"

    def tree(self) -> dict[str, Any]:
        """Return it as JSON wants it."""
        found = self.found
        answers = {
            "reached": found.largest(self.at_least),
            "surely": found.largest(self.at_least, surely=True),
        }
        choices = [choice for size in self.sizes if (choice := found.best(size))]
        return {
            "by": self.by,
            "at_least": self.at_least,
            "n": self.faces,
            "faces": self.counts,
            "unknown": list(self.unknown),
            "largest": {name: each and each.to_dict() for name, each in answers.items()},
            "best": [choice.to_dict() for choice in choices],
            "pairs": [pair.to_dict() for pair in found.pairs],
            "subsets": [subset.to_dict() for subset in found.table],
        }


def _sizes(text: str | None) -> tuple[int, ...] | None:
    """Return the numbers that ``2-7`` or ``2,3,5`` name."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,2}(-\d{1,2})?(,\d{1,2}(-\d{1,2})?)*", text.replace(" ", "")):
        raise ArgumentError(f"sizes={text!r} must be numbers such as 2-7 or 2,3,5")
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    if not found:
        raise ArgumentError(f"sizes={text!r} must go from the smaller number to the larger, as in 2-7")
    return tuple(sorted(found))


def _prior(prior: str | None, by: str) -> str:
    from pyfer.subsets import PRIORS

    if prior is None:
        return "uniform" if by == "balanced" else "data"
    if prior not in PRIORS:
        raise ArgumentError(
            f"prior={prior!r} must be one of {', '.join(PRIORS)}{did_you_mean(prior, PRIORS)}"
        )
    return prior


def _read(models: Sequence[str], data: str, head: str | None, prior: str) -> list[Answers]:
    """Return what each model says about a data set, under the class prior that is wanted."""
    from pyfer.datasets import open_data
    from pyfer.models import Model
    from pyfer.subsets import read

    loaded = [Model(name) for name in models]
    faces = open_data(data)
    found = []
    for k, model in enumerate(loaded):
        # the head is one of the first model; another one that has no such head speaks by its own
        known = not k or head in (*(each.name for each in model.spec.heads), *faces.labels)
        with progress("faces", len(faces)) as on_done:
            answers = read(model, faces, head=head if known else None, on_done=on_done)
        found.append(answers.with_prior(prior))
    return found


def _compared(full: Answers, trained: Answers, settings: Settings) -> Comparison:
    """Compare the full model and one trained for a subset, on the classes that both know."""
    from pyfer.subsets import compare

    classes = [name for name in full.labels if name in trained.labels]
    one, two = full.restricted(classes), trained.restricted(classes)
    return compare(
        one.probabilities,
        two.probabilities,
        one.truth,
        one.labels,
        subjects=one.subjects,
        settings=settings,
    )


def _csv(found: Study) -> str:
    """Return every subset as a line."""
    stream = io.StringIO()
    names = [f"{name}{end}" for name in ("accuracy", "balanced") for end in ("", "_low", "_high")]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["size", "classes", "n", *names, "macro_f1", "ece"])
    for each in found.table:
        numbers = [each.accuracy, *each.accuracy_interval, each.balanced, *each.balanced_interval]
        numbers += [each.macro_f1, each.ece]
        writer.writerow([len(each.classes), "+".join(each.classes), each.n, *(f"{x:.6f}" for x in numbers)])
    return stream.getvalue()


def _chart(asked: _Asked, what: str) -> NDArray[np.uint8]:
    import numpy as np

    from pyfer.maps import subset_chart

    table = asked.found.table
    pairs = np.full((len(table.labels), len(table.labels)), np.nan)
    for members, score in zip(asked.found.pairs.members, asked.found.pairs.score, strict=True):
        i, j = np.flatnonzero(members)
        pairs[i, j] = pairs[j, i] = score
    title = f"{asked.measure} of {len(table)} subsets, {asked.faces:,} faces; {what}"
    return subset_chart(table.labels, table.members, table.score, pairs, at_least=asked.at_least, title=title)


# --- tables -----------------------------------------------------------------------------------------------


def _show(asked: _Asked) -> None:
    """Print everything about one model."""
    _show_faces(asked)
    _show_all(asked)
    _show_choices(asked)
    _show_largest(asked)
    table = _table(
        f"hardest pairs, each alone: {asked.measure} in %",
        "",
        asked.by,
        "low .. high",
        "ece",
        "faces",
        left=0,
    )
    for pair in list(asked.found.pairs)[:_PAIRS]:
        table.add_row(", ".join(pair.classes), _score(pair), _ends(pair), f"{pair.ece:.3f}", f"{pair.n:,}")
    out.print(table)


def _show_faces(asked: _Asked) -> None:
    """Print how many faces there are, and say what is left out and what is uncertain."""
    there = ", ".join(f"{shown(name)} {n:,}" for name, n in asked.counts.items() if n)
    out.print(f"{asked.faces:,} faces: {there}")
    if asked.unknown:
        line = f"left out, as the model does not know them: {', '.join(map(shown, asked.unknown))}"
        err.print(Text(line, "yellow"), soft_wrap=True)
    if none := [shown(name) for name, n in asked.counts.items() if not n]:
        err.print(Text(f"left out, as no face shows them: {', '.join(none)}", "yellow"), soft_wrap=True)
    if few := [f"{shown(name)} ({n})" for name, n in asked.counts.items() if 0 < n < _FEW]:
        err.print(Text(f"few faces, so rough figures: {', '.join(few)}", "yellow"), soft_wrap=True)


def _show_all(asked: _Asked) -> None:
    found = asked.found.table
    table = _table(
        f"{len(found)} subsets on all faces: {asked.measure} in %, the best of each size",
        *("size", "subsets", "worst", "mean", "best", "", "best subsets"),
        left=6,
    )
    for size in asked.sizes:
        some = found.of_size(size)
        for k, best in enumerate(list(some[: asked.top])):
            spread = (f"{100 * some.score.min():.1f}", f"{100 * some.score.mean():.1f}")
            first = (str(size), str(len(some)), *spread) if not k else ("",) * 4
            table.add_row(*first, _score(best), "", asked.named(best.classes))
    out.print(table)


def _show_choices(asked: _Asked) -> None:
    other = "the other" if asked.chosen_on == _HALF else "all faces of DATA"
    table = _table(
        f"chosen on {shown(asked.chosen_on)}, measured on {other}: {asked.measure}, %",
        *("size", "chosen", "measured", "low .. high", "", "chosen subset"),
        left=5,
    )
    for size in asked.sizes:
        if choice := asked.found.best(size):
            measured = choice.measured
            table.add_row(
                *(str(size), _score(choice.chosen), _score(measured), _ends(measured), ""),
                asked.named(measured.classes),
            )
    out.print(table)


def _show_largest(asked: _Asked) -> None:
    """Answer the question."""
    wanted = f"{100 * asked.at_least:g} %"
    out.print(f"\nlargest subset with {wanted} {asked.measure}", style="italic", soft_wrap=True)
    for surely, what in ((False, "by its score"), (True, "by the low end of its interval")):
        choice = asked.found.largest(asked.at_least, surely=surely)
        if choice is None:
            out.print(f"{what}: none", style="yellow")
            continue
        measured = choice.measured
        reached = (measured.interval[0] if surely else measured.score) >= asked.at_least
        out.print(
            Text.assemble(f"{what}: ", (", ".join(map(shown, measured.classes)), "bold")), soft_wrap=True
        )
        verdict = "holds" if reached else "does not hold"
        out.print(f"  where it was chosen  {_score(choice.chosen)} ({_ends(choice.chosen)})")
        line = f"  on other faces       {_score(measured)} ({_ends(measured)})  {verdict}"
        out.print(line, style="green" if reached else "yellow")


def _show_compared(asked: _Asked, compared: dict[str, Comparison]) -> None:
    """Print models trained for a subset beside the full one restricted to it."""
    from pyfer.models import find, read_spec

    if not compared:
        return
    table = _table(
        f"trained for a subset, beside the full model restricted to it: {asked.measure}, %",
        *("", "faces", "full", "trained", "difference", "McNemar p"),
        left=0,
    )
    for name, each in compared.items():
        pair, gain = (
            (each.balanced, each.balanced_gain)
            if asked.by == "balanced"
            else (each.accuracy, each.accuracy_gain)
        )
        figures = (f"{100 * value:.1f}" for value in pair)
        table.add_row(read_spec(find(name)).name, f"{each.n:,}", *figures, _gain(gain), f"{each.test.p:.3g}")
        table.add_row(Text(f"  {asked.named(each.classes)}", "dim"))
    out.print(table)


def _table(title: str, *columns: str, left: int) -> Table:
    """Print a title, which may be wider than the table, and return the table; one column is for words."""
    out.print(f"\n{title}", style="italic", soft_wrap=True)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for k, column in enumerate(columns):
        table.add_column(column, justify="left" if k == left else "right")
    return table


def _score(subset: Subset) -> str:
    return f"{100 * subset.score:.1f}"


def _ends(subset: Subset) -> str:
    low, high = subset.interval
    return f"{100 * low:.1f} .. {100 * high:.1f}"


def _gain(gain: Interval) -> str:
    # what rounds to zero has no sign
    return re.sub(r"[-+](0\.0)(?![0-9])", r"\1", format(gain.scaled(100), "+.1f"))
