"""One page about an evaluation, for people (HTML, self-contained) and for programs (JSON).

::

    style       the style sheet, light and dark; a colour a class
    charts      SVG: bars, heat map, reliability, ROC, precision-recall
    document    Report, page
    files       write: both files, whole or not at all
"""

from pyfer.report.document import Report, Rival, page, without_copies
from pyfer.report.files import write

__all__ = ["Report", "Rival", "page", "without_copies", "write"]
