"""The commands ``pyfer evaluate`` and ``pyfer data audit``: measure a recogniser, look for leaks."""

from __future__ import annotations

import csv
import io
import json
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pyfer import terminal
from pyfer.cli.common import (
    DataArgument,
    JsonOption,
    check_folder,
    check_target,
    model_names,
    reading_of,
    real,
    write,
)
from pyfer.errors import ArgumentError, PyferError
from pyfer.terminal import err, out, shown

if TYPE_CHECKING:
    from pyfer.audit import Audit
    from pyfer.datasets import FaceData
    from pyfer.evaluation import Comparison, Grouping, Interval, Predictions
    from pyfer.models import Model
    from pyfer.report import Report, Rival

EVALUATE_EXAMPLE = (
    "Examples:\n\n  pyfer evaluate base 'ckplus:../shared/data/ckplus' --report ckplus.html\n\n"
    "  pyfer evaluate base 'cartoon:?n=400' --classes anger,fear,neutral --against ./mine"
)
AUDIT_EXAMPLE = "Example:  pyfer data audit 'cartoon:?seed=1' 'cartoon:?seed=2' --csv copies.csv"
_ERRORS = ("errors.csv", "errors.png", "README.txt")
_SHOWN = 60  # wrong answers on the sheet
_README = """\
These pictures are research data: keep them to yourself, do not publish or pass them on.

errors.png  the most confident wrong answers: truth > answer, probability
errors.csv  all wrong answers
"""


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Installed model or model folder.", autocompletion=model_names)
    ],
    data: DataArgument,
    head: Annotated[
        str | None, typer.Option(help="Which labels of the data set (default: its first).")
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Average with the mirror image; twice the cost.")
    ] = False,
    classes: Annotated[
        str | None, typer.Option(help="Only these emotions, of faces and answers: anger,fear.")
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="How often each is to be expected: uniform, or fear=3,anger=0.5.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another model, compared on the same faces.", autocompletion=model_names),
    ] = None,
    audit: Annotated[
        str,
        typer.Option(help="Look for copies of training faces: auto, off, or the training data READER:PATH."),
    ] = "auto",
    report: Annotated[
        Path | None, typer.Option(help="Page to write, FILE.html; FILE.json is written beside it.")
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(help="Folder for the worst errors with their pictures; private.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples for the 95 % intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out faces that cannot be read.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labelled faces: accuracy, recall, calibration, confusion, with intervals."""
    from pyfer.datasets import open_data
    from pyfer.evaluation import predictions
    from pyfer.models import Model

    _check_targets(report, errors)
    reading = reading_of(None, classes, prior)
    loaded = [Model(name) for name in (model, against) if name is not None]
    faces = open_data(data, skip_bad=skip_bad)
    found = []
    for each in loaded:
        with terminal.progress(each.name, len(faces)) as on_done:
            found.append(predictions(each, faces, reading, head=head, flip=flip, on_done=on_done))
    settings = {"flip": flip, "head": head, "classes": classes, "prior": prior, "seed": seed}
    leaks = _audit(audit, loaded[0], found[0].faces)
    result = _report(data, loaded, found, leaks, {**settings, "resamples": resamples})
    if report is not None:
        _write_report(report, result)
    if errors is not None:
        _write_errors(errors, found[0])
    if as_json:
        print(json.dumps({**result.to_dict(), "flip": flip}, indent=1, allow_nan=False))
        return
    _show(result)


def audit_command(
    train: Annotated[str, typer.Argument(help="Training faces, READER:PATH?OPTION=VALUE&...")],
    test: Annotated[str, typer.Argument(help="Test faces, the same way.")],
    near: Annotated[
        float | None, typer.Option(help="Correlation of fine detail of a copy; 1: exact copies alone.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="List the copies in this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for test faces that training has seen: copies, near copies, persons. Exit status 1: there are."""
    from pyfer.audit import NEAR, audit
    from pyfer.datasets import open_data

    if csv_file is not None:
        check_target("csv", csv_file)
    sides = open_data(train), open_data(test)
    with err.status("comparing"):
        found = audit(*sides, near=NEAR if near is None else near)
    if csv_file is not None:
        write("csv", csv_file, _copies(found, *sides))
    if as_json:
        print(json.dumps({"train_data": train, "test_data": test, **found.to_dict()}, indent=1))
    else:
        _show_audit(found, out)
    raise typer.Exit(1 if found.leaks else 0)


# --- what is asked ----------------------------------------------------------------------------------------


def _check_targets(report: Path | None, errors: Path | None) -> None:
    """Refuse before any work what could not be written after it."""
    if report is not None:
        if report.suffix.lower() not in (".html", ".htm"):
            raise ArgumentError(
                f"report={str(report)!r} must end in .html; the numbers go to .json beside it"
            )
        check_target("report", report)
        check_target("report", report.with_suffix(".json"), real([report]))
    if errors is not None:
        check_folder("errors", errors, "an older folder of errors", set(_ERRORS))


def _training_data(model: Model) -> list[str]:
    """Return what a model says it was trained on."""
    tree: Any = model.spec.about
    for key in ("training", "data", "train"):
        tree = tree.get(key) if isinstance(tree, dict) else None
    specs = [tree] if isinstance(tree, str) else tree
    return [each for each in specs if isinstance(each, str)] if isinstance(specs, list) else []


def _audit(asked: str, model: Model, faces: FaceData) -> Audit | str:
    """Return what is in training and in the test, or why nothing could be looked for."""
    from pyfer.audit import audit
    from pyfer.datasets import concatenate, open_data

    if asked == "off":
        return "not looked for (--audit off)"
    specs = _training_data(model) if asked == "auto" else [asked]
    if not specs:
        return f"not looked for: model {model.name} does not say what it was trained on (--audit SPEC)"
    try:
        train = concatenate([open_data(spec) for spec in specs])
    except (PyferError, OSError) as error:
        if asked != "auto":
            raise
        return f"not looked for: the training data cannot be opened here ({error})"
    with err.status("looking for leaks"):
        return audit(train, faces)


# --- what is found ----------------------------------------------------------------------------------------


def _report(
    data: str,
    loaded: list[Model],
    found: list[Predictions],
    leaks: Audit | str,
    settings: dict[str, Any],
) -> Report:
    from pyfer.evaluation import by_group, ranking
    from pyfer.report import Report

    first = found[0]
    p, truth, draws, seed = first.probabilities, first.truth, settings["resamples"], settings["seed"]
    subjects = first.subjects
    return Report(
        model=loaded[0].name,
        data=data,
        scores=first.score(bootstrap=draws, seed=seed),
        curves={name: ranking(p[:, k], truth == k).curves() for k, name in enumerate(first.labels)},
        persons=None if subjects is None else len(set(subjects.tolist()) - {""}),
        groups=by_group(p, truth, first.groups, subjects=subjects, draws=draws, seed=seed),
        rival=_rival(loaded[1], found, draws, seed) if len(loaded) > 1 else None,
        audit=leaks,
        clean=_clean(first, leaks, draws, seed),
        provenance=_provenance(loaded, data, settings),
    )


def _rival(model: Model, found: list[Predictions], draws: int, seed: int) -> Rival:
    from pyfer.evaluation import compare
    from pyfer.report import Rival

    first, second = found
    comparison = compare(
        first.probabilities,
        second.probabilities,
        first.truth,
        subjects=first.subjects,
        draws=draws,
        seed=seed,
    )
    return Rival(model.name, second.score(bootstrap=draws, seed=seed), comparison)


def _clean(found: Predictions, leaks: Audit | str, draws: int, seed: int) -> Any:
    """Return the scores of the faces that have no copy in training, if others have one."""
    import numpy as np

    from pyfer.evaluation import score

    if isinstance(leaks, str) or not len(leaks.copied_test):
        return None
    kept = np.setdiff1d(np.arange(len(found.truth)), leaks.copied_test)
    if not len(kept):
        return None
    subjects = None if found.subjects is None else found.subjects[kept]
    p, truth = found.probabilities[kept], found.truth[kept]
    return score(p, truth, found.labels, subjects=subjects, bootstrap=draws, seed=seed)


def _provenance(loaded: list[Model], data: str, settings: dict[str, Any]) -> dict[str, str]:
    """Return where the numbers come from; the date is that of now."""
    import pyfer

    told = {"model": loaded[0].name, "sha256": loaded[0].spec.sha256}
    if len(loaded) > 1:
        told |= {"against": loaded[1].name, "sha256 of that": loaded[1].spec.sha256}
    told["data"] = data
    if trained := _training_data(loaded[0]):
        told["trained on"] = ", ".join(trained)
    told |= {name: str(value) for name, value in settings.items() if value not in (None, False)}
    told["command"] = shlex.join(["pyfer", *sys.argv[1:]])
    told["version"] = f"pyfer {pyfer.__version__}"
    told["date"] = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return told


# --- files ------------------------------------------------------------------------------------------------


def _write_report(path: Path, result: Report) -> None:
    from pyfer.report import write as write_files

    try:
        page, beside = write_files(result, path)
    except OSError as error:
        raise ArgumentError(f"report={str(path)!r} cannot be written: {error.strerror or error}") from error
    err.print(f"report: {page}, {beside}", soft_wrap=True)


def _write_errors(path: Path, found: Predictions) -> None:
    """Write the worst errors into a folder that only its owner can open."""
    import numpy as np
    from PIL import Image

    from pyfer.drawing import contact_sheet
    from pyfer.emotions import percent
    from pyfer.files import replace_folder

    p, guess = found.probabilities, found.probabilities.argmax(1)
    wrong = np.flatnonzero(guess != found.truth)
    wrong = wrong[np.argsort(-p[wrong, guess[wrong]], kind="stable")]
    rows = [
        (str(found.faces.ids[k]), found.labels[found.truth[k]], found.labels[guess[k]], float(p[k, guess[k]]))
        for k in wrong
    ]
    with replace_folder(path) as fresh:
        fresh.chmod(0o700)
        (fresh / "README.txt").write_text(_README, encoding="utf-8")
        table = _table(("id", "truth", "answer", "probability"), [(*r[:3], f"{r[3]:.4f}") for r in rows])
        (fresh / "errors.csv").write_bytes(table)
        if rows:
            captions = [f"{shown(t)} > {shown(a)} {percent(share)}" for _, t, a, share in rows[:_SHOWN]]
            sheet = contact_sheet([found.faces.images[wrong[:_SHOWN]]], captions, side=176)
            Image.fromarray(sheet).save(fresh / "errors.png")
    err.print(f"{len(rows)} wrong answers: {path} (research data, for you alone)", soft_wrap=True)


def _copies(found: Audit, train: FaceData, test: FaceData) -> bytes:
    """Return a table of the copies."""
    import numpy as np

    pairs = np.concatenate([found.exact, found.near]).tolist()
    alike = [1.0] * len(found.exact) + found.likeness.tolist()
    turned = [False] * len(found.exact) + found.mirrored.tolist()
    rows = [
        (str(train.ids[a]), str(test.ids[b]), "exact" if k < len(found.exact) else "near", f"{r:.3f}", int(m))
        for k, ((a, b), r, m) in enumerate(zip(pairs, alike, turned, strict=True))
    ]
    return _table(("train", "test", "kind", "likeness", "mirrored"), rows)


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return stream.getvalue().encode()


# --- what is printed --------------------------------------------------------------------------------------


def _show(result: Report) -> None:
    from pyfer.report import without_copies

    if isinstance(result.audit, str):
        err.print(Text(f"leaks: {result.audit}", "dim"), soft_wrap=True)
    else:
        _show_audit(result.audit, err)
        for line in without_copies(result.clean):
            err.print(Text(line, "yellow"), soft_wrap=True)
    out.print(f"{result.model} on {result.data}: {result.scores.n} faces", soft_wrap=True)
    terminal.show_scores(result.scores)
    for grouping in result.groups:
        _show_group(grouping)
    if result.rival is not None:
        _show_comparison(result.model, result.rival.model, result.rival.comparison)


def _show_audit(found: Audit, where: Any) -> None:
    style = "yellow" if found.leaks else "dim"
    for line in found.sentences():
        where.print(Text(shown(line), style), soft_wrap=True)


def _percent(value: Interval) -> str:
    return f"{value.scaled(100):.1f}"


def _show_group(grouping: Grouping) -> None:
    out.print(f"\nby {shown(grouping.name)}: accuracy in %", style="italic")
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in ("", "faces", "accuracy", "ECE"):
        table.add_column(column, justify="right" if column else "left", overflow="ellipsis", no_wrap=True)
    for each in grouping.groups:
        table.add_row(shown(each.name), str(each.n), _percent(each.accuracy), f"{each.ece:.3f}")
    out.print(table)
    if grouping.gap is not None:
        gap = grouping.gap
        told = f"largest gap: {gap.better} over {gap.worse}, {_percent(gap.difference)} points"
        out.print(shown(told))
    for number, what in ((grouping.unsaid, "say no group"), (grouping.others, "are in smaller groups")):
        if number:
            out.print(f"{number} faces {what}")


def _show_comparison(name: str, other: str, found: Comparison) -> None:
    test = found.test
    out.print(f"\n{shown(name)} against {shown(other)}, the same {found.n} faces", style="italic")
    out.print(
        f"both right {found.both_right}  only {shown(name)} {test.only_first}  "
        f"only {shown(other)} {test.only_second}  both wrong {found.both_wrong}"
    )
    kind = "exact binomial" if test.statistic is None else f"chi2 {test.statistic:.2f}, 1 df"
    out.print(f"McNemar: p {'< 0.0001' if test.p < 1e-4 else f'= {test.p:.4f}'} ({kind})")
    for key in ("accuracy", "macro_recall", "macro_f1"):
        out.print(f"{key} {_percent(found.difference[key])} points")
    out.print(f"ece {found.difference['ece']:.4f}  nll {found.difference['nll']:.4f}")
