"""The report of an evaluation: everything that is known of it, as JSON and as one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from pyfer.audit import Audit
from pyfer.evaluation import Comparison, Curves, Grouping, Interval, Scores
from pyfer.evaluation.intervals import plain
from pyfer.report import charts
from pyfer.report.charts import bounds, share, whisker
from pyfer.report.style import class_colors, sheet


@dataclass(frozen=True, eq=False)
class Rival:
    """Another model on the same faces."""

    model: str
    scores: Scores
    comparison: Comparison
    """The model of the report minus this one."""


@dataclass(frozen=True, eq=False)
class Report:
    """All that an evaluation found."""

    model: str
    data: str
    """What names the faces, ``READER:PATH?OPTION=VALUE``."""
    scores: Scores
    curves: Mapping[str, Curves] = field(default_factory=dict)
    """Label -> its curves."""
    persons: int | None = None
    """How many persons are shown, where the data set names them; the intervals then draw persons."""
    groups: tuple[Grouping, ...] = ()
    rival: Rival | None = None
    audit: Audit | str = "not looked for"
    """What was found, or why nothing was."""
    clean: Scores | None = None
    """Scores of the faces without a copy in training, where others have one."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where all this comes from, as name -> text: model's sha256, command, version, date."""

    def to_dict(self, *, full: bool = False) -> dict[str, Any]:
        """Return plain lists and numbers; what is long, curves and copies, only where `full`."""
        audit = self.audit
        tree: dict[str, Any] = {
            "model": self.model,
            "data": self.data,
            **self.scores.to_dict(),
            "persons": self.persons,
            "groups": [each.to_dict() for each in self.groups],
            "audit": {"skipped": audit} if isinstance(audit, str) else audit.to_dict(rows=full),
            "provenance": dict(self.provenance),
        }
        if self.clean is not None:
            tree["without_copies"] = self.clean.to_dict()
        if self.rival is not None:
            told = {"model": self.rival.model, "scores": self.rival.scores.to_dict()}
            tree["against"] = {**told, **self.rival.comparison.to_dict()}
        if full:
            thin = {label: asdict(charts.thinned(curve)) for label, curve in self.curves.items()}
            tree["curves"] = plain(thin)
        return tree


_HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("accuracy", "Accuracy", "share"),
    ("macro_recall", "Balanced accuracy", "share"),
    ("macro_f1", "Macro F1", "share"),
    ("macro_precision", "Macro precision", "share"),
    ("top2", "Top-2 accuracy", "share"),
    ("kappa", "Cohen’s kappa", "number"),
    ("macro_auroc", "AUROC, macro", "number"),
    ("macro_average_precision", "Average precision, macro", "number"),
    ("ece", "Calibration error (ECE)", "number"),
    ("nll", "Log loss (NLL), nats", "number"),
    ("brier", "Brier score", "number"),
)
_MOST = {"nll": 3.0, "brier": 2.0}  # right end of a card's track; the others end at 1
_LOWER = {"ece", "nll", "brier"}  # the smaller the better
_PLOT = "plot"  # the head of a column of pictures, which telephones have no room for


def page(report: Report) -> str:
    """Return the report as one HTML page that needs nothing else: no script, no file, no network."""
    parts = (
        _head(report),
        _banner(report.audit),
        _cards(report.scores),
        f'<div class="board">{_board(report)}</div>',
        _foot(report),
    )
    title = escape(f"{report.model}: evaluation")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{sheet(class_colors(report.scores.labels))}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def without_copies(clean: Scores | None) -> list[str]:
    """Return a sentence on the faces that training has not seen, if there are others."""
    if clean is None:
        return []
    told = f"accuracy {clean.interval('accuracy').scaled(100)} %, macro F1 {100 * clean.macro_f1:.1f} %"
    return [f"without the copied faces ({clean.n:,} remain): {told}"]


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _head(report: Report) -> str:
    scores, persons = report.scores, report.persons
    facts = [("faces", f"{scores.n:,}"), ("classes", str(len(scores.labels)))]
    if persons is not None:
        facts.append(("persons", f"{persons:,}"))
    facts += [(name, report.provenance[name]) for name in ("date", "version") if name in report.provenance]
    told = "".join(f"<span>{escape(name)} <b>{escape(value)}</b></span>" for name, value in facts)
    return (
        f'<header><p class="eyebrow">pyFER evaluation</p><h1>{escape(report.model)}</h1>'
        f'<p>measured on <code>{escape(report.data)}</code></p><div class="facts">{told}</div></header>'
    )


def _banner(audit: Audit | str) -> str:
    if isinstance(audit, str):
        return f'<p class="banner mute">Leaks between training and test: {escape(audit)}.</p>'
    first = escape(audit.sentences()[0])
    if audit.leaks:
        told = escape(audit.sentences()[0] if len(audit.copied_test) else audit.sentences()[1])
        return f'<p class="banner warn"><b>Leak.</b> {told[:1].upper() + told[1:]}. Details below.</p>'
    return f'<p class="banner fine">{first[:1].upper() + first[1:]}.</p>'


def _cards(scores: Scores) -> str:
    parts = []
    for name, title, kind in _HEADLINES:
        value = scores.interval(name)
        shown: Callable[[float], str] = share if kind == "share" else _number
        color = "var(--soft)" if name in _LOWER else "var(--accent)"
        track = whisker(value, min(0.0, value.value), _MOST.get(name, 1.0), color)
        told = bounds(value, shown) or "&nbsp;"
        parts.append(
            f'<div class="card{" first" if name == "accuracy" else ""}"><div class="name">{title}</div>'
            f'<div class="value">{shown(value.value)}</div><div class="bounds">{told}</div>{track}</div>'
        )
    return f'<div class="cards">{"".join(parts)}</div>'


def _section(title: str, note: str, body: str, *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    told = f'<p class="note">{note}</p>' if note else ""
    return f"<section{kind}><h2>{escape(title)}</h2>{told}{body}</section>"


def _scroll(body: str) -> str:
    return f'<div class="scroll">{body}</div>'


def _board(report: Report) -> str:
    scores = report.scores
    note = "Row: truth, column: answer, in % of the row. Point at a cell for the counts."
    bars = "From top to bottom recall, precision and F1, with 95 % intervals."
    squares = [
        _section(
            "Reliability",
            "Bars on the dashed line are honest; red is what they lack or have too much. Below, the answers.",
            f'<div class="square">{charts.reliability_diagram(scores.reliability)}</div>',
        )
    ]
    if report.curves:
        squares += _curves(scores, {label: charts.thinned(each) for label, each in report.curves.items()})
    parts = [
        _section("Confusion matrix", note, _scroll(charts.confusion(scores))),
        _section("Classes", bars, _scroll(charts.class_bars(scores))),
        f'<div class="trio">{"".join(squares)}</div>',
    ]
    if report.rival is not None:
        parts.append(_against(report.model, report.rival))
    parts += [_group(grouping) for grouping in report.groups]
    if not isinstance(report.audit, str):
        lines = report.audit.sentences() + without_copies(report.clean)
        told = "".join(f"<li>{escape(each)}</li>" for each in lines)
        note = "Test faces that were trained on are no test. Copies are found by fine detail, also mirrored."
        parts.append(_section("Leaks", note, f'<ul class="plain">{told}</ul>'))
    parts.append(_provenance(report.provenance))
    return "".join(parts)


def _curves(scores: Scores, curves: Mapping[str, Curves]) -> list[str]:
    roc, precision = charts.roc(curves), charts.precision_recall(curves)
    return [
        _section(
            "ROC",
            "Each class against all others; the number is the area under its curve, AUROC.",
            f'<div class="square">{roc}</div>{_legend(scores, "auroc")}',
        ),
        _section(
            "Precision and recall",
            "Each class against all others; the number is the average precision.",
            f'<div class="square">{precision}</div>{_legend(scores, "average_precision")}',
        ),
    ]


def _legend(scores: Scores, name: str) -> str:
    parts = []
    for k, label in enumerate(scores.labels):
        value = scores.interval(name, label)
        told = f"{_number(value.value)} {f'({bounds(value, _number)})' if bounds(value, _number) else ''}"
        parts.append(
            f'<li title="{escape(f"{label} {told}".strip())}"><i style="background:var(--c{k})"></i>'
            f"{escape(label)} <span>{_number(value.value)}</span></li>"
        )
    return f'<ul class="legend">{"".join(parts)}</ul>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells are HTML."""
    top = "".join(f"<th>{head}</th>" if head != _PLOT else '<th class="plot"></th>' for head in heads)
    body = "".join(
        "<tr>" + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return _scroll(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")


def _plot(value: Interval, low: float = 0, high: float = 1) -> str:
    return f'<td class="plot">{whisker(value, low, high)}</td>'


def _group(grouping: Grouping) -> str:
    rows = [
        [
            escape(each.name),
            f"{each.n:,}",
            share(each.accuracy.value),
            bounds(each.accuracy),
            _plot(each.accuracy),
            _number(each.ece),
        ]
        for each in grouping.groups
    ]
    notes = []
    if grouping.gap is not None:
        gap = grouping.gap
        notes.append(
            f"Largest gap: {escape(gap.better)} over {escape(gap.worse)} by "
            f"<b>{_points(gap.difference.value)}</b> ({_point_bounds(gap.difference)}) percentage points; "
            "chosen on these faces, so rather too large than too small."
        )
    if grouping.unsaid:
        notes.append(f"Of {grouping.unsaid:,} faces the group is not said.")
    if grouping.others:
        notes.append(f"{grouping.others:,} faces are in smaller groups, not shown.")
    heads = (escape(grouping.name), "faces", "accuracy", "95 %", _PLOT, "ECE")
    return _section(f"By {grouping.name}", " ".join(notes), _table(heads, rows), wide=True)


def _points(value: float) -> str:
    """Return a difference of shares in percentage points, always with its sign."""
    return "–" if value != value else f"{100 * value:+.1f}".replace("-", "−")


def _point_bounds(value: Interval) -> str:
    return f"{_points(value.low)} to {_points(value.high)}"


def _against(name: str, rival: Rival) -> str:
    found, test = rival.comparison, rival.comparison.test
    a, b = escape(name), escape(rival.model)
    counts = _table(
        ("", f"{b} right", f"{b} wrong"),
        [
            [f"{a} right", f"{found.both_right:,}", f"<td><b>{test.only_first:,}</b></td>"],
            [f"{a} wrong", f"<td><b>{test.only_second:,}</b></td>", f"{found.both_wrong:,}"],
        ],
    )
    kind = "exact binomial" if test.statistic is None else f"χ² = {test.statistic:.2f}, 1 degree of freedom"
    p = "p &lt; 0.0001" if test.p < 1e-4 else f"p = {test.p:.4f}"
    rows = []
    for key, title, kind_of in _HEADLINES:
        value, other = found.difference[key], getattr(rival.scores, key)
        is_share = kind_of == "share"
        shown: Callable[[float], str] = _points if is_share else _signed
        told = share(other) if is_share else _number(other)
        low, high = shown(value.low), shown(value.high)
        rows.append(
            [escape(title), told, f"<b>{shown(value.value)}</b>", f"{low} to {high}", _difference(value)]
        )
    note = (
        f"McNemar’s test on the faces that only one of both gets right: {p} ({kind}). Differences are "
        f"{a} minus {b}, shares in percentage points; both are judged on the same resamples."
    )
    table = _table(("", b, "difference", "95 %", _PLOT), rows)
    return _section(f"Against {rival.model}", note, f"{counts}<h3>Differences</h3>{table}", wide=True)


def _signed(value: float) -> str:
    return "–" if value != value else f"{value:+.3f}".replace("-", "−")


def _difference(value: Interval) -> str:
    reach = max([abs(x) for x in (value.value, value.low, value.high) if x == x], default=0.0)
    scale = next((s for s in (0.02, 0.1, 0.5, 2.5) if reach <= s), 10.0)
    return _plot(value, -scale, scale)


def _provenance(provenance: Mapping[str, str]) -> str:
    rows = [
        [escape(name), f'<td class="long"><code>{escape(value)}</code></td>']
        for name, value in provenance.items()
    ]
    return _section("Provenance", "What made these numbers, and the command that prints them again.",
                    _table(("", ""), rows) if rows else "", wide=True)  # fmt: skip


def _foot(report: Report) -> str:
    unit = "faces" if report.persons is None else "persons, with all their faces"
    told = (
        f"Intervals are 95 % percentile bootstrap intervals: {unit} drawn with replacement. ECE, log loss "
        "and Brier score are better when smaller. Macro means go over the classes that occur. No picture of "
        "the data is in this page."
    )
    return f"<footer>{told}</footer>"
