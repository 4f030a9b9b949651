"""The page is one file that says every number, escapes every text, and asks nothing of the network."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pyfer.audit import Audit
from pyfer.emotions import BASIC
from pyfer.evaluation import Curves, by_group, compare, ranking, score
from pyfer.models import softmax
from pyfer.report import Report, Rival, page, write
from pyfer.report.charts import MOST_POINTS, share, thinned, whisker
from pyfer.report.style import class_colors, sheet

EVIL = '<b>&"bored"</b>'
LABELS = (*BASIC[:4], EVIL, "a rather long name of an emotion")
VOID = {"meta", "br", "img", "link", "input", "hr"}


def whole_report(n: int = 500) -> Report:
    rng = np.random.default_rng(3)
    truth = rng.choice(5, n)  # the last class never occurs
    z = rng.normal(size=(n, 6))
    z[np.arange(n), truth] += 2
    p, q = softmax(z), softmax(z + rng.normal(size=z.shape))
    pairs = np.stack([np.arange(4), np.arange(4)], axis=1)
    found = Audit(
        900, n, pairs[:1], pairs[1:], np.full(3, 0.8, np.float32), np.zeros(3, bool), 0.65, ("S1",), (), ()
    )
    return Report(
        model="tiny <1>",
        data="cartoon:?n=500&seed=3",
        scores=score(p, truth, LABELS, bootstrap=50),
        curves={name: ranking(p[:, k], truth == k).curves() for k, name in enumerate(LABELS)},
        groups=by_group(p, truth, {"a<ge": np.array(["<20", "20+"])[rng.integers(0, 2, n)]}, draws=50),
        rival=Rival("other", score(q, truth, LABELS, bootstrap=50), compare(p, q, truth, draws=50)),
        audit=found,
        clean=score(p[4:], truth[4:], LABELS, bootstrap=50),
        provenance={"sha256": "ab" * 32, "command": "pyfer evaluate 'x' <y>", "date": "2026-01-02"},
    )


@pytest.fixture(scope="module")
def report() -> Report:
    return whole_report()


def said(value: float) -> str:
    """Return a share as `Reader.text` has it: with plain spaces."""
    return " ".join(share(value).split())


class Reader(HTMLParser):
    """Gathers texts and attributes, and checks that every element is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_else(report: Report) -> None:
    html = page(report)
    reader = read(html)
    assert not {"script", "link", "img", "iframe", "object", "image", "base", "a"} & set(reader.tags)
    assert not [a for a in reader.attributes if a[1] in ("src", "href", "srcset", "xlink:href", "data")]
    assert not [a for a in reader.attributes if a[1].startswith("on")]
    assert not re.search(r"https?:|//\w|@import|url\(", html)
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert ("meta", "content", "width=device-width, initial-scale=1") in reader.attributes


def test_every_text_is_escaped(report: Report) -> None:
    html = page(report)
    assert EVIL not in html
    assert "<20" not in html
    assert "<y>" not in html
    reader = read(html)
    assert EVIL in reader.text
    assert "tiny <1>" in reader.text
    assert "pyfer evaluate 'x' <y>" in reader.text


def test_the_numbers_are_there(report: Report) -> None:
    text = read(page(report)).text
    s = report.scores
    for name in ("accuracy", "macro_recall", "macro_f1", "macro_precision", "top2"):
        value = s.interval(name)
        assert said(value.value) in text
        assert f"{100 * value.low:.1f} – {said(value.high)}" in text
    for name in ("kappa", "macro_auroc", "macro_average_precision", "ece", "nll", "brier"):
        value = s.interval(name)
        assert f"{value.value:.3f} {value.low:.3f} – {value.high:.3f}" in text
    for k, label in enumerate(LABELS[:5]):
        for j, other in enumerate(LABELS):
            count, total = s.confusion[k, j], s.confusion[k].sum()
            assert f"truth {label}, answer {other}: {count} of {total}" in text
        for name in ("recall", "precision", "f1"):
            assert f"{label}: {name} {said(getattr(s, name)[k])}" in text
        assert f"{s.auroc[k]:.3f}" in text
        assert f"{s.average_precision[k]:.3f}" in text
    for k in np.flatnonzero(s.reliability.count):
        assert f"{said(s.reliability.accuracy[k])} right of {s.reliability.count[k]}" in text
    assert f"{s.n}" in text
    assert "ab" * 32 in text
    assert "2026-01-02" in text


def test_groups_rival_and_leaks_have_their_sections(report: Report) -> None:
    text = read(page(report)).text
    (grouping,) = report.groups
    for group in grouping.groups:
        assert f"{group.name} {group.n} {said(group.accuracy.value)}" in text
    assert grouping.gap is not None
    assert f"{100 * grouping.gap.difference.value:+.1f}" in text
    assert report.rival is not None
    found = report.rival.comparison
    assert f"{found.both_right} {found.test.only_first}" in text
    assert f"{found.test.only_second} {found.both_wrong}" in text
    assert f"{100 * found.difference['accuracy'].value:+.1f}" in text
    assert "McNemar" in text
    assert "Leak. 4 of 500 test faces (0.8%) have a copy among the 900 training faces" in text
    assert "persons in training and in the test: 1 (S1)" in text
    assert "without the copied faces (496 remain)" in text


def test_what_was_not_asked_for_is_not_there(report: Report) -> None:
    bare = Report("tiny", "cartoon:", report.scores, audit="not looked for (--audit off)")
    reader = read(page(bare))
    assert "Leaks between training and test: not looked for (--audit off)." in reader.text
    for title in ("McNemar", "Against", "false positive rate", "By a"):
        assert title not in reader.text
    assert set(bare.to_dict()) & {"against", "curves", "without_copies"} == set()


def test_without_intervals_there_are_no_bounds(report: Report) -> None:
    plain = replace(report.scores, intervals={}, class_intervals={})
    text = read(page(Report("tiny", "cartoon:", plain))).text
    assert said(plain.accuracy) in text
    assert not re.search(r"\bnan\b", text)
    assert " – " not in text


def test_the_drawings_are_xml_with_finite_numbers(report: Report) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page(report), re.DOTALL)
    assert len(drawings) >= 11 + 5
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter():
            for name in ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "cx", "cy"):
                if name in element.attrib:
                    assert -1 <= float(element.attrib[name]) <= max(width, height)
            for corner in element.attrib.get("points", "").split():
                x, y = map(float, corner.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height


def test_a_whisker_shows_value_and_interval() -> None:
    from pyfer.evaluation import Interval

    root = ElementTree.fromstring(whisker(Interval(0.5, 0.25, 0.75)))
    dot = root.find("circle")
    assert dot is not None
    assert float(dot.attrib["cx"]) == 100
    box = root.findall("rect")[1].attrib
    assert (float(box["x"]), float(box["width"])) == (52, 96)
    alone = ElementTree.fromstring(whisker(Interval(0.5, np.nan, np.nan)))
    assert len(alone.findall("rect")) == 1


def test_a_thinned_curve_stays_near_the_whole() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(5000) < 0.1
    curve = ranking(rng.normal(size=5000) + 2 * truth, truth).curves()
    thin = thinned(curve)
    assert len(thin.precision) <= MOST_POINTS
    assert (thin.false_positive[0], thin.true_positive[-1]) == (0, 1)
    assert set(thin.false_positive.tolist()) <= set(curve.false_positive.tolist())
    steps = np.hypot(np.diff(thin.false_positive), np.diff(thin.true_positive))
    assert steps.max() < 0.03
    short = Curves(*(np.linspace(0, 1, 5) for _ in range(3)))
    assert thinned(short) is short


def luminance(color: str) -> float:
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_colours_can_be_seen_in_the_light_and_in_the_dark() -> None:
    labels = (*BASIC, *(f"new {k}" for k in range(6)))
    colors = class_colors(labels)
    assert len(set(colors)) == len(labels)
    light, dark = sheet(colors).split("@media screen", 1)
    for k in range(len(labels)):
        day, night = (re.findall(rf"--c{k}:(#[0-9a-f]{{6}})", part)[0] for part in (light, dark))
        assert 1.05 / (luminance(day) + 0.05) >= 3  # WCAG 2.1, 1.4.11: 3 to 1 for graphics, on white
        assert (luminance(night) + 0.05) / (luminance("#1a1d23") + 0.05) >= 3


def test_both_files_are_written_and_hold_the_same(report: Report, tmp_path: Path) -> None:
    html, beside = write(report, tmp_path / "a.html")
    assert html.read_text(encoding="utf-8") == page(report)
    assert beside == tmp_path / "a.json"
    tree = json.loads(beside.read_text(encoding="utf-8"))
    assert tree["accuracy"] == report.scores.accuracy
    assert tree["model"] == "tiny <1>"
    assert tree["audit"]["copied_test"] == 4
    assert tree["audit"]["near"] == [[k, k] for k in (1, 2, 3)]
    assert tree["without_copies"]["n"] == 496
    assert tree["against"]["mcnemar"]["p"] == report.rival.comparison.test.p if report.rival else False
    assert len(tree["curves"]["neutral"]["precision"]) <= MOST_POINTS
    assert tree["auroc"]["a rather long name of an emotion"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json"]


def test_the_same_report_is_the_same_page() -> None:
    assert page(whole_report()) == page(whole_report())


def test_eleven_foreign_classes_fit() -> None:
    names = tuple(f"disgustedly surprised {k}" for k in range(11))
    rng = np.random.default_rng(0)
    p = softmax(rng.normal(size=(40, 11)))
    read(page(Report("m", "d", score(p, rng.integers(0, 11, 40), names))))
