"""Vocabularies: emotions that are used together, from definition files, catalogues and the user's own.

A definition file is TOML. It is checked whole before anything of it is used::

    name = "mine"                       # name, source and note may be left out
    basics = true                       # the eight basic emotions come first; false when left out

    [[emotion]]
    name = "awe"
    formula = "surprise > fear"         # see pyfer.emotions.parse_formula; may name others of this file
    aliases = ["wonder"]
    source = "..."                      # that of the file when left out
    note = "..."
    validated = true                    # a study of faces has found it as an expression of its own

    [emotion.examples]                  # when it was learned from pictures
    count = 5
    point = {fear = 0.6, surprise = 0.4}
    model = "base"
    sha256 = "..."

    [[emotion]]                         # over time, see pyfer.successions.parse_succession
    name = "relief"
    formula = "fear -> happiness within 2 s"

    [[refused]]                         # what cannot be expressed
    name = "love"
    formula = "joy + trust"
    reason = "it needs trust, which is not a basic emotion here"
"""

from __future__ import annotations

from pyfer.vocabulary.collection import NEGLIGIBLE as NEGLIGIBLE
from pyfer.vocabulary.collection import Vocabulary as Vocabulary
from pyfer.vocabulary.definitions import Refused as Refused
from pyfer.vocabulary.store import MINE as MINE
from pyfer.vocabulary.store import catalogue as catalogue
from pyfer.vocabulary.store import catalogues as catalogues
from pyfer.vocabulary.store import define as define
from pyfer.vocabulary.store import forget as forget
from pyfer.vocabulary.store import load as load
from pyfer.vocabulary.store import mine as mine
