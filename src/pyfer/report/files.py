"""A report's two files."""

from __future__ import annotations

import json
from pathlib import Path

from pyfer.files import replace_file
from pyfer.report.document import Report, page


def write(report: Report, path: Path) -> tuple[Path, Path]:
    """Write the page to `path` and everything that is in it, as JSON, beside it; return both paths.

    Each file is written whole or not at all.
    """
    beside = path.with_suffix(".json")
    tree = json.dumps(report.to_dict(full=True), indent=1, allow_nan=False)
    replace_file(beside, (tree + "\n").encode())
    replace_file(path, page(report).encode())
    return path, beside
