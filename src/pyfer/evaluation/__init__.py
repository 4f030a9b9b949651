"""How good probabilities are: accuracy, recall, calibration, each with an interval. Arrays in, numbers out.

::

    metrics      confusion, kappa, calibration error, curves
    intervals    Interval, bootstrap: by faces or by persons
    scores       Scores, score: all numbers of one model
    comparison   McNemar's test and differences of two models; groups of persons
    predicting   predictions, evaluate: a model on a data set
    calibration  fit_temperature
"""

from pyfer.evaluation.calibration import fit_temperature
from pyfer.evaluation.comparison import Comparison, Grouping, McNemar, by_group, compare, mcnemar
from pyfer.evaluation.intervals import Interval, bootstrap
from pyfer.evaluation.metrics import (
    Curves,
    Reliability,
    cohen_kappa,
    confusion_matrix,
    expected_calibration_error,
    ranking,
    reliability,
)
from pyfer.evaluation.predicting import Predictions, evaluate, predictions
from pyfer.evaluation.scores import HEADLINE, PER_CLASS, Scores, score

__all__ = [
    "HEADLINE",
    "PER_CLASS",
    "Comparison",
    "Curves",
    "Grouping",
    "Interval",
    "McNemar",
    "Predictions",
    "Reliability",
    "Scores",
    "bootstrap",
    "by_group",
    "cohen_kappa",
    "compare",
    "confusion_matrix",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "mcnemar",
    "predictions",
    "ranking",
    "reliability",
    "score",
]
