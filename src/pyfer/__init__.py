"""pyFER: emotions in pictures of faces, offline."""

__version__ = "0.1.0"
