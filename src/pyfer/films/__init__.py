"""Films and cameras: read frame by frame, written as they come, shown in a window."""

from __future__ import annotations

from pyfer.films.reading import Ending, Film, Frame, Span
from pyfer.films.window import Window
from pyfer.films.writing import ENDINGS, FilmWriter

__all__ = ["ENDINGS", "Ending", "Film", "FilmWriter", "Frame", "Span", "Window"]
