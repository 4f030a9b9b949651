"""The look of a report: one style sheet, light and dark, for screens, telephones and paper."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from pyfer.drawing import COLORS

Color = tuple[int, int, int]

_DARKEST = 0.30
"""Relative luminance (WCAG 2) that a colour may have on white: lighter lines are hard to see."""

_LIGHT = """
--page:#f6f6f4;--card:#fff;--ink:#1a1c20;--soft:#5c6370;--line:#e3e4e6;--grid:#eceef0;--track:#eceef1;
--accent:#2f5fd0;--heat:#2f5fd0;--on-heat:#fff;--warn:#8a4b00;--warn-page:#fff4df;--warn-line:#f0c987;
--fine:#1d6b45;--fine-page:#e9f6ef;--fine-line:#b5dec8;--gap:#d9485f;
"""
_DARK = """
--page:#121418;--card:#1a1d23;--ink:#eceef2;--soft:#9aa2b1;--line:#2b2f38;--grid:#262a32;--track:#2a2f38;
--accent:#7da2ff;--heat:#5f8bff;--on-heat:#fff;--warn:#ffcf87;--warn-page:#33270f;--warn-line:#6b5220;
--fine:#8fdcb4;--fine-page:#12291f;--fine-line:#2a5a44;--gap:#ff7a8c;
"""

_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,"Noto Sans","DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1180px;margin:0 auto;padding:clamp(1rem,3vw,2.5rem)}
header{margin-bottom:1.5rem}
.eyebrow{font-size:.75rem;letter-spacing:.09em;text-transform:uppercase;color:var(--soft);margin:0}
h1{font-size:clamp(1.7rem,4vw,2.4rem);line-height:1.15;margin:.2rem 0 .4rem;letter-spacing:-.02em;
overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:0 0 .15rem;letter-spacing:-.005em}
h3{font-size:.9rem;margin:1.2rem 0 .4rem}
p{margin:.25rem 0}
code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
overflow-wrap:anywhere}
.soft,.note{color:var(--soft)}
.note{font-size:.84rem;margin:0 0 .9rem;max-width:68ch}
.facts{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;font-size:.9rem;color:var(--soft);margin-top:.5rem}
.facts b{color:var(--ink);font-weight:600}
.banner{border:1px solid var(--line);border-radius:12px;padding:.75rem 1rem;
margin:0 0 1.25rem;font-size:.92rem}
.banner.warn{background:var(--warn-page);border-color:var(--warn-line);color:var(--warn)}
.banner.fine{background:var(--fine-page);border-color:var(--fine-line);color:var(--fine)}
.banner.mute{color:var(--soft);background:var(--card)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:.75rem;margin-bottom:1.25rem}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:14px}
.card{padding:.8rem .95rem .75rem}
.card .name{font-size:.8rem;color:var(--soft)}
.card .value{font-size:1.65rem;font-weight:650;letter-spacing:-.02em;line-height:1.2}
.card .bounds{font-size:.78rem;color:var(--soft);min-height:1.2em}
.card.first{grid-column:span 2}
.card.first .value{font-size:2.7rem;color:var(--accent)}
.card svg{margin-top:.35rem}
.board{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1.25rem}
section{padding:1.1rem 1.2rem 1.2rem;min-width:0}
section.wide,.trio{grid-column:1/-1}
.trio{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:1.25rem}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
svg{display:block;width:100%;height:auto}
svg text{font-family:inherit;fill:var(--ink);font-size:12px}
svg .soft{fill:var(--soft)}
svg .small{font-size:11px}
svg .tiny{font-size:10px}
svg .grid{stroke:var(--grid);stroke-width:1}
svg .axis{stroke:var(--soft);stroke-width:1}
svg .ideal{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 4;fill:none}
svg .whisker{stroke:var(--ink);stroke-width:1.3;opacity:.8}
svg .track{fill:var(--track)}
svg .curve{fill:none;stroke-width:1.8;stroke-linejoin:round}
svg .on{fill:var(--on-heat)}
.legend{display:grid;grid-template-columns:repeat(auto-fill,minmax(140px,1fr));gap:.15rem .9rem;
font-size:.82rem;margin:.7rem 0 0;padding:0;list-style:none}
.legend i{display:inline-block;width:.75em;height:.75em;border-radius:3px;margin-right:.5em}
.legend span{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:right;padding:.34rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:.78rem}
th:first-child,td:first-child{text-align:left}
tbody tr:last-child td{border-bottom:0}
td.plot,th.plot{width:38%;min-width:150px}
td.long{white-space:normal;text-align:left;overflow-wrap:anywhere}
.square{max-width:27rem}
ul.plain{margin:.3rem 0 0;padding-left:1.1rem;font-size:.92rem}
footer{color:var(--soft);font-size:.8rem;margin-top:1.5rem}
@media (max-width:520px){
section{padding:.9rem .9rem 1rem}
.card.first{grid-column:1/-1}
.cards{grid-template-columns:repeat(2,minmax(0,1fr))}
.scroll>svg{min-width:330px}
td.plot,th.plot{display:none}
table{font-size:.8rem}
th,td{padding:.34rem .3rem;white-space:normal}
}
@media print{
body{font-size:11.5px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
main{max-width:none;padding:0}
.card,section,.banner{break-inside:avoid}
.board{grid-template-columns:1fr 1fr;gap:.8rem}
.trio{grid-template-columns:1fr 1fr 1fr;gap:.8rem}
.legend{grid-template-columns:1fr 1fr}
.cards{grid-template-columns:repeat(4,minmax(0,1fr));gap:.5rem}
.card .value{font-size:1.3rem}
.card.first .value{font-size:1.8rem}
.scroll{overflow:visible}
@page{margin:14mm}
}
"""


def sheet(colors: Sequence[Color]) -> str:
    """Return the style sheet; the colour of class k is ``var(--c0)``, ``var(--c1)``, ..."""
    light = "".join(f"--c{k}:{_hex(_darker(color))};" for k, color in enumerate(colors))
    dark = "".join(f"--c{k}:{_hex(color)};" for k, color in enumerate(colors))
    return (
        f":root{{color-scheme:light dark;{_LIGHT}{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}{dark}}}}}\n{_RULES}"
    )


def class_colors(labels: Sequence[str]) -> tuple[Color, ...]:
    """Return a colour a label: that of the emotion, or one of evenly spaced hues."""
    foreign = [label for label in labels if label not in COLORS]
    hues = {name: colorsys.hls_to_rgb(k / len(foreign), 0.62, 0.55) for k, name in enumerate(foreign)}
    return tuple(COLORS.get(label) or _bytes(hues[label]) for label in labels)


def _bytes(color: tuple[float, float, float]) -> Color:
    r, g, b = (round(255 * part) for part in color)
    return r, g, b


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _luminance(color: Color) -> float:
    linear = [(c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _darker(color: Color) -> Color:
    """Return a colour that is dark enough to be seen on white."""
    while _luminance(color) > _DARKEST:
        r, g, b = (int(part * 0.96) for part in color)
        color = r, g, b
    return color
