"""How good probabilities are: accuracy, recall, calibration, each with an interval. Arrays in, numbers out.

::

    metrics      confusion, kappa, calibration error, curves
    intervals    Interval, bootstrap: by faces or by persons
    scores       Scores, score: all numbers of one model
    comparison   McNemar's test and differences of two models; groups of persons
    timing       segments, onsets and flicker of answers over time
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
from pyfer.evaluation.timing import (
    TIMING,
    SegmentF1,
    TimingScores,
    exponential,
    moving_average,
    segment_f1,
    segments_of,
    timing_scores,
)

__all__ = [
    "HEADLINE",
    "PER_CLASS",
    "TIMING",
    "Comparison",
    "Curves",
    "Grouping",
    "Interval",
    "McNemar",
    "Predictions",
    "Reliability",
    "Scores",
    "SegmentF1",
    "TimingScores",
    "bootstrap",
    "by_group",
    "cohen_kappa",
    "compare",
    "confusion_matrix",
    "evaluate",
    "expected_calibration_error",
    "exponential",
    "fit_temperature",
    "mcnemar",
    "moving_average",
    "predictions",
    "ranking",
    "reliability",
    "score",
    "segment_f1",
    "segments_of",
    "timing_scores",
]
