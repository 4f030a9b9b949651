"""A thread that works a few items ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.2
"""Seconds of one wait: where a wait without an end cannot be broken by Ctrl-C, this one can."""
_FAREWELL = 5.0
"""Most seconds that `close` waits for the thread; a camera may hang in its driver for longer."""


class Ahead(Generic[Item]):
    """Runs an iterable in a thread of its own, up to `room` items ahead; iterable once.

    An error of the iterable is raised to the taker, after the items that came before it.

    Parameters
    ----------
    items
        What to run. Its ``close`` method (generators have one) runs in the thread, at the end.
    room
        Most items that wait.
    newest
        Whether items that nobody took in time are dropped for newer ones (live), rather than waited for.
    """

    def __init__(self, items: Iterable[Item], *, room: int = 4, newest: bool = False) -> None:
        self._items = items
        self._waiting: deque[Item] = deque(maxlen=1 if newest else room)
        self._newest = newest
        self._changed = threading.Condition()
        self._done = self._stopped = False
        self._error: BaseException | None = None
        # A daemon: a driver that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="pyfer-film", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                while not self._waiting and not self._done and not self._stopped:
                    self._changed.wait(_PATIENCE)
                if not self._waiting or self._stopped:
                    break
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None and not self._stopped:
            raise self._error

    def close(self) -> bool:
        """Stop the thread; return whether it has ended. To be called as often as one likes."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(_FAREWELL)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as error:  # raised to the taker instead
            self._error = error
        finally:
            getattr(self._items, "close", lambda: None)()
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        """Leave an item for the taker; return False when nobody wants any more."""
        with self._changed:
            while not self._newest and len(self._waiting) == self._waiting.maxlen and not self._stopped:
                self._changed.wait(_PATIENCE)
            if self._stopped:
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True
