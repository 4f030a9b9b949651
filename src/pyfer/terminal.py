"""What the command ``pyfer`` prints: tables that fit the terminal, and a bar of progress."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pyfer.emotions import BASIC, NONE, UNCERTAIN, percent

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pyfer.benchmark import Curve, Report
    from pyfer.benchmark import Table as BlendTable
    from pyfer.blends import Interval
    from pyfer.discovery import Discovery
    from pyfer.evaluation import Scores
    from pyfer.models import OnDone
    from pyfer.posterior import Explanation, Posterior
    from pyfer.results import Face, Result

out = Console(markup=False, emoji=False, highlight=False)
err = Console(markup=False, emoji=False, highlight=False, stderr=True)
_BAR = 12  # characters of a full bar
_NAME = 14  # characters of a picture's name that are shown anyway
_SHORTEST = 7  # of which a long emotion may leave this
_THEN = 14  # characters below which the emotions that follow are not worth their place
_BOX = 19  # characters of a box of four numbers


def shown(name: str) -> str:
    """Return a name as it can be printed: what would steer the terminal becomes ``?``."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


@contextmanager
def progress(what: str, total: int, quiet: bool = False) -> Iterator[OnDone]:
    """Show a bar with the time left on standard error, where that is a terminal."""
    with stages(quiet) as say:
        say(what, 0, total)
        yield lambda done, n: say(what, done, n)


@contextmanager
def stages(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar with the time left for each stage of a work that has several, named as they come."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def say(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield say


@contextmanager
def film_progress(total: int | None, quiet: bool = False) -> Iterator[Callable[[int, float], None]]:
    """Show on standard error, where that is a terminal, how far a film has come; yields (frames, seconds).

    A bar with frames a second and the time left; where nobody knows how many frames will come, a spinner.
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    known = "" if total is None else f" of {total}"
    words = TextColumn("{task.completed:.0f}" + known + " frames, {task.fields[place]}, {task.fields[rate]}")
    columns = (SpinnerColumn("line"), words) if total is None else (BarColumn(), words, TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("film", total=total, place="", rate="")

        def say(frames: int, seconds: float) -> None:
            rate = f"{bar.tasks[0].speed or 0:.0f} a second"
            bar.update(task, completed=frames, place=clock(seconds, 0), rate=rate)

        yield say


def clock(seconds: float, digits: int = 2) -> str:
    """Return a time as ``min:s`` or ``h:min:s``."""
    ticks = round(seconds * 10**digits)
    minutes, rest = divmod(ticks, 60 * 10**digits)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 10**digits:0{digits + 3 if digits else 2}.{digits}f}"
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


# --- faces ------------------------------------------------------------------------------------------------


def show_faces(result: Result) -> None:
    """Print one line a face; inputs without a face, or that failed, have a line too.

    Name and emotion are always there (of a long name, the end); what the terminal has room for follows: what
    an uncertain face shows most probably, a bar, the next emotions, the box.
    """
    rows = list(_rows(result))
    widest = min(_widest("picture", [name for name, _, _ in rows]), max(_NAME, out.width * 3 // 10))
    least = min(widest, _SHORTEST)
    answers = [
        state if face is None else _answer(face, out.width - widest - 2, out.width - least - 2)
        for _, state, face in rows
    ]
    emotion = _widest("emotion", [answer.plain for answer in answers])
    picture = max(min(widest, out.width - emotion - 2), least)
    room = out.width - picture - emotion - 4
    _print(_line("picture", picture, Text("emotion"), emotion, _titles(room)), "bold")
    for (name, _, face), answer in zip(rows, answers, strict=True):
        details = Text() if face is None else _details(face, answer.plain, room)
        _print(_line(name, picture, answer, emotion, details))


def _rows(result: Result) -> Iterator[tuple[str, Text, Face | None]]:
    """Yield (name of the picture, what is said instead of an emotion, the face if there is one)."""
    faces: list[list[Face]] = [[] for _ in result.inputs]
    for face in result:
        faces[face.source].append(face)
    for entry, found in zip(result.inputs, faces, strict=True):
        for face in found:
            yield shown(entry.name), Text(), face
        if not found:
            state = Text("no face", "dim") if entry.status == "ok" else Text(entry.status, "red")
            yield shown(entry.name), state, None


def _candidate(face: Face) -> tuple[str, float]:
    """Return the most probable emotion, also of an uncertain face."""
    return next(item for item in face.emotions.items() if item[0] != NONE)


def _answer(face: Face, room: int, most: int) -> Text:
    """Return what is said of a face: in `room`, or of an emotion that needs it, in `most`."""
    name, p = _candidate(face)
    if face.emotion == UNCERTAIN:
        full = f"{UNCERTAIN}: {_percent(name, p)}"
        return Text(full if cell_len(full) <= room else UNCERTAIN)
    full = _percent(name, p)
    return Text(full if cell_len(full) <= most else _head(shown(name), most))


def _line(name: str, picture: int, answer: Text, emotion: int, details: Text) -> Text:
    padding = " " * (emotion - cell_len(answer.plain))
    return Text.assemble(_tail(name, picture), "  ", answer, padding, "  ", details)


def _print(line: Text, style: str = "") -> None:
    line.rstrip()
    out.print(line, style=style, no_wrap=True, overflow="crop")


def _widest(title: str, names: list[str]) -> int:
    return max(map(cell_len, [title, *names]))


def _tail(name: str, width: int) -> str:
    """Return the end of a name, exactly `width` characters wide."""
    if cell_len(name) <= width:
        return set_cell_size(name, width)
    while cell_len(name) > width - 1:
        name = name[1:]
    return set_cell_size(_letters("…", "~") + name, width)


def _head(name: str, width: int) -> str:
    """Return a name, or its beginning, in no more than `width` characters."""
    if cell_len(name) <= width:
        return name
    return set_cell_size(name, width - 1).rstrip() + _letters("…", "~")


def _letters(wanted: str, plain: str) -> str:
    """Return `wanted` where the terminal's encoding has it, else `plain`."""
    try:
        wanted.encode(out.encoding)
    except UnicodeEncodeError:
        return plain
    return wanted


def _percent(name: str, share: float) -> str:
    return f"{shown(name)} {percent(share)}"


def _parts(room: int) -> tuple[bool, int, bool]:
    """Return what has room: the bar, so many characters of the emotions that follow, the box."""
    bar = room >= _BAR + 2 + _THEN
    box = room >= _BAR + 2 + 40 + _BOX
    following = room - bar * (_BAR + 2) - box * (_BOX + 2)
    return bar, following if following >= _THEN else 0, box


def _titles(room: int) -> Text:
    bar, following, box = _parts(room)
    then = "then".ljust(following) if following else ""
    return Text(" " * (_BAR + 2) * bar + then + "  box" * box)


def _details(face: Face, answer: str, room: int) -> Text:
    """Return what stands beside the answer."""
    bar, following, box = _parts(room)
    best, share = _candidate(face)
    others = [item for item in face.emotions.items() if item[0] != best or answer == UNCERTAIN]
    full = round(share * _BAR)
    ink, color = _letters("━─", "#."), "yellow" if face.emotion == UNCERTAIN else "green"
    text = Text.assemble((ink[0] * full, color), (ink[1] * (_BAR - full), "dim"), "  ") if bar else Text()
    names = ""
    for name, p in others:
        longer = f"{names}, {_percent(name, p)}" if names else _percent(name, p)
        if p < 0.005 or cell_len(longer) > following:
            break
        names = longer
    corners = " ".join(f"{v:.0f}" for v in face.box)
    return text.append(f"{set_cell_size(names, following)}  {corners}" if box else names, "dim")


# --- scores -----------------------------------------------------------------------------------------------


def show_scores(scores: Scores) -> None:
    """Print the metrics of an evaluation, and the confusion with labels as long as there is room for."""
    names = ("accuracy", "macro_recall", "macro_f1", "top2", "kappa", "macro_auroc", "ece", "nll", "brier")
    texts = [
        f"{name} {scores.interval(name):.4f}" if scores.intervals else f"{name} {getattr(scores, name):.4f}"
        for name in names
    ]
    wide = max(map(len, texts))
    beside = max(1, min(3, (out.width + 2) // (wide + 2)))
    for start in range(0, len(texts), beside):
        out.print("  ".join(f"{text:{wide}}" for text in texts[start : start + beside]).rstrip())
    first = max(map(len, scores.labels))
    width = (out.width - first - len("  recall")) // len(scores.labels) - 1
    width = max(len(str(scores.confusion.max())), min(9, width))
    out.print("\nrow: truth, column: answer", style="italic")
    heads = "".join(f" {name[:width]:>{width}}" for name in scores.labels)
    _print(Text(f"{'':{first}}{heads}  recall"), "bold")
    for k, name in enumerate(scores.labels):
        line = Text(f"{name:{first}}")
        for j, count in enumerate(scores.confusion[k].tolist()):
            line.append(f" {count:>{width}}", "bold green" if j == k else ("" if count else "dim"))
        _print(line.append(f"  {scores.recall[k]:6.1%}"))


def show_history(history: list[dict[str, float]]) -> None:
    """Print the last validations of a training run."""
    validated = [metrics for metrics in history if "score" in metrics]
    if not validated:
        return
    table = Table(box=None, header_style="bold", title="validation", title_justify="left")
    names = [name for name in validated[-1] if name not in ("seconds", "score")]
    for name in names:
        table.add_column(name.replace(".", "\n").replace("macro_", "mean "), justify="right")
    for metrics in validated[-8:]:
        table.add_row(*(f"{metrics[k]:.0f}" if k == "epoch" else f"{metrics[k]:.4f}" for k in names))
    out.print(table)


# --- emotions ---------------------------------------------------------------------------------------------


def bar(share: float, width: int = _BAR) -> Text:
    """Return a bar for a share of 0..1."""
    full = round(min(max(share, 0), 1) * width)
    ink = _letters("━─", "#.")
    return Text.assemble((ink[0] * full, "green"), (ink[1] * (width - full), "dim"))


def show_left_out(posterior: Posterior) -> None:
    """Say on standard error which new emotions the labels in use cannot make."""
    if names := [shown(name) for name in posterior.left_out if name not in BASIC]:
        told = ", ".join(posterior.basics)
        line = f"left out, as only {told} can be told apart here: {', '.join(names)}"
        err.print(Text(line, "yellow"), soft_wrap=True)


def show_explanations(result: Result, explanations: Sequence[Explanation]) -> None:
    """Print for each face what its answer is made of: basics, mixture, the score's parts, the rivals."""
    for face, found in zip(result, explanations, strict=True):
        name = shown(result.inputs[face.source].name)
        answer = Text.assemble((f"\n{name}: ", "dim"), (_percent(found.emotion, found.posterior), "bold"))
        out.print(answer.append(_doubt(face, result.threshold), "yellow"), soft_wrap=True)
        for basic, p in sorted(face.basic.items(), key=lambda item: -item[1]):
            mixed = found.mixture.get(basic, 0.0)
            if p >= 0.01 or mixed >= 0.05:
                parts = (bar(p), f" {percent(p):>4}", (f"   mixture {percent(mixed)}", "dim"))
                out.print(Text.assemble(f"  {basic:<10}", *parts))
        out.print(Text(f"  evidence (nats): {evidence(found)}"), soft_wrap=True)
        rivals = ", ".join(_percent(rival, p) for rival, p in found.rivals.items() if p >= 0.005)
        tail = f"   rivals: {rivals}" if rivals else ""
        out.print(Text(f"  distance to its point: {found.distance:.2f} (0..1){tail}"), soft_wrap=True)


def _doubt(face: Face, threshold: float) -> str:
    """Return why a face is uncertain, if it is."""
    if face.emotion != UNCERTAIN:
        return ""
    best, p = next(iter(face.emotions.items()))
    why = f"{_percent(NONE, p)} is more probable" if best == NONE else f"below the threshold {threshold:g}"
    return f"  uncertain: {why}"


def evidence(found: Explanation) -> str:
    """Return the largest parts of a score, and what speaks for them together."""
    parts = [f"{part.basic} {part.alone:+.1f}" for part in found.parts[:4]]
    if rest := found.parts[4:]:
        parts.append(f"others {sum(part.alone for part in rest):+.1f}")
    if len(found.parts) > 1:
        parts.append(f"their company {sum(part.together for part in found.parts):+.1f}")
    return ", ".join(parts)


def show_benchmark(report: Report) -> None:
    """Print the tables of `pyfer.benchmark`."""
    held = "no blend in its training" if report.held_out else "it may have trained on blends: NOT zero-shot"
    _blend_table(f"zero-shot protocol, all blends ({held})", report.zero_shot)
    _blend_table("the same, four votes or more on both sides", report.zero_shot_strict)
    _blend_table("product protocol, blends of PrivateTest", report.product)
    _blend_table("the same, four votes or more on both sides", report.product_strict)
    for ways in dict.fromkeys(curve.ways for curve in report.curves):
        _curve_table(ways, [curve for curve in report.curves if curve.ways == ways])
    r = report.reliability
    answered = ", ".join(f"{share:.0%}: {accuracy:.1%}" for share, accuracy in r.answered.items())
    lines = (
        f"posterior over 8 basics and 21 pairs, {r.n} PrivateTest faces with a clear truth:",
        f"  right {r.accuracy:.1%}, ECE {r.ece:.3f} (on all faces, against the votes: {r.votes_ece:.3f})",
        f"  right among the surest faces: {answered}",
        f"'none of these', basics known, blend against single emotion: AUROC {r.none_auroc:.3f}",
    )
    out.print("\n" + "\n".join(lines), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    """Print a title, which may be wider than the table, and return the table that stands below it."""
    out.print(f"\n{title}", style="italic", soft_wrap=True)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if not column else "right")
    return table


def _interval(value: Interval, digits: int = 1) -> str:
    """Return an interval for people; what rounds to zero has no sign."""
    return re.sub(r"-(0\.0+)(?![0-9])", r"\1", format(value, f".{digits}f"))


def _blend_table(title: str, found: BlendTable) -> None:
    ours, gain = found.ours, found.gain
    table = _table(
        f"{title}: {ours.n} blends, {ours.singles} single emotions",
        *("", "top pair %", "macro-F1 (11)", "AUROC"),
    )
    for name, row in (("pyFER", ours), ("mean rule", found.mean_rule), ("difference", gain)):
        shares = (_interval(share.scaled(100)) for share in (row.top_pair, row.macro_f1))
        table.add_row(name, *shares, _interval(row.auroc, 3))
    out.print(table)


def _curve_table(ways: int, curves: Sequence[Curve]) -> None:
    table = _table(
        f"learning from examples: accuracy in %, {ways} equally likely pairs",
        *("faces", "formula", "formula + faces", "difference", "faces alone"),
    )
    for c in curves:
        figures = (c.formula, c.refined, c.gain, c.examples)
        table.add_row(str(c.shots), *(_interval(figure.scaled(100)) for figure in figures))
    out.print(table)


def show_discovery(found: Discovery) -> None:
    """Print the recurring mixtures, largest first, or why there are none."""
    faces = "1 face" if found.faces == 1 else f"{found.faces or 'no'} faces"
    share = f", of which about {found.unexplained:.0%} show what no known emotion explains"
    out.print(faces + (share if found.faces and (found.found or found.unexplained) else ""), soft_wrap=True)
    if not found.found:
        out.print(f"nothing found: {found.reason}", soft_wrap=True)
    for one in found.found:
        what = f"  {one.formula}, {one.count} faces, about {percent(min(one.share, 1))}"
        out.print(Text.assemble((one.name, "bold"), what), soft_wrap=True)
