"""A window that shows pictures as they come."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from PIL import Image

from pyfer.errors import ArgumentError
from pyfer.films.decoding import Pixels

_SHARE = 0.9
"""Share of the screen that a window takes at most."""
_QUIT = ("q", "Q", "<Escape>")


class Window:
    """A live window (tkinter); to be used from the main thread. A context manager.

    Parameters
    ----------
    title
        What stands above the picture.

    Raises
    ------
    ArgumentError
        There is no screen, or no tkinter; see `available`.
    """

    def __init__(self, title: str = "pyFER") -> None:
        reason = self.available()
        if reason is not None:
            raise ArgumentError(f"no window can be opened: {reason}")
        import tkinter

        self._tk = tkinter
        self._root: Any = tkinter.Tk()
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._quit)
        for key in _QUIT:
            self._root.bind(key, self._quit)
        self._label: Any = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._photo: Any = None
        self._open = True

    @staticmethod
    def available() -> str | None:
        """Return why there can be no window, in a few words; None where there can."""
        try:
            import tkinter

            from PIL import ImageTk  # noqa: F401
        except ImportError:
            return "Python's tkinter is missing (on Debian: apt install python3-tk python3-pil.imagetk)"
        if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
            return "there is no screen (DISPLAY is not set)"
        try:
            tkinter.Tk().destroy()
        except tkinter.TclError as error:
            return f"the screen cannot be used ({error})"
        return None

    def show(self, image: Pixels) -> bool:
        """Show a picture, uint8 (h, w, 3) RGB, shrunk to the screen if it is larger.

        Returns
        -------
        bool
            False once the user closed the window or pressed q or Escape; nothing is shown any more then.
        """
        if not self._open:
            return False
        from PIL import ImageTk

        picture = Image.fromarray(image)
        room = self._root.winfo_screenwidth() * _SHARE, self._root.winfo_screenheight() * _SHARE
        picture.thumbnail((int(room[0]), int(room[1])), Image.Resampling.BILINEAR)
        if self._photo is not None and (self._photo.width(), self._photo.height()) == picture.size:
            self._photo.paste(picture)
        else:
            self._photo = ImageTk.PhotoImage(picture, master=self._root)
            self._label.configure(image=self._photo)
        self._update()
        return self._open

    def close(self) -> None:
        """Take the window away; as often as one likes."""
        self._open = False
        if self._root is not None:
            with contextlib.suppress(self._tk.TclError):  # the screen may have gone first
                self._root.destroy()
            # Tcl aborts the program when its objects are collected in another thread, such as that of a
            # film: they go here and now, whoever keeps this window.
            self._photo = self._label = self._root = None

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _update(self) -> None:
        try:
            self._root.update()
        except self._tk.TclError:  # the screen went away
            self._open = False

    def _quit(self, *event: object) -> None:
        """Remember that the user has had enough; the window goes when the loop that shows says so."""
        self._open = False
