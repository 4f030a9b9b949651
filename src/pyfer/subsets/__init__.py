"""Which emotions a model can tell apart: every subset of its classes, measured and ranked.

For each subset only the faces whose truth lies in it count, and the model's probabilities are restricted to
it and renormalised: an answer outside of the subset is impossible. That is the posterior of the smaller
question only under a class prior that fits it, so the prior is set before (see `Answers.with_prior`)::

    answers = read(Model("base"), open_data("ckplus:../shared/data/ckplus")).with_prior("uniform")
    found = study(answers)
    print(found.table.best(3), found.largest(0.95))

The best of many subsets, measured on the faces it was chosen on, looks better than it is. `study` chooses on
some faces and measures on others.

::

    answers     read: what a model says about labelled faces, under a class prior
    table       measure: every subset, with intervals
    study       study: chosen on some faces, measured on others; compare: a model trained for a subset
"""

from pyfer.subsets.answers import PRIORS, Answers, read
from pyfer.subsets.study import Choice, Comparison, Study, compare, halves, study
from pyfer.subsets.table import MEASURES, Settings, Subset, Table, measure

__all__ = [
    "MEASURES",
    "PRIORS",
    "Answers",
    "Choice",
    "Comparison",
    "Settings",
    "Study",
    "Subset",
    "Table",
    "compare",
    "halves",
    "measure",
    "read",
    "study",
]
