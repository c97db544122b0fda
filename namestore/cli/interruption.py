"""Ctrl-C where it does no harm: between two steps, never in the middle of the accounts.

The first interrupt ends a wait for input at once, and anything else at its next safe point. The
second ends the program there and then.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Final

_NOTICE: Final = b"\ninterrupted: waiting for the answers under way (Ctrl-C again: end at once)\n"


def _notify() -> None:
    # Not through sys.stderr: its buffer may be in the middle of a write that this interrupted.
    with suppress(OSError):  # closed or full: the interrupt counts all the same
        os.write(2, _NOTICE)


class Interruption:
    """Holds SIGINT back while it is entered.

    Attributes:
        requested: An interrupt came.
    """

    def __init__(self, notify: Callable[[], None] = _notify) -> None:
        self.requested = False
        self._notify = notify
        self._reading = False
        self._previous: Any = None

    def __enter__(self) -> Interruption:
        # Elsewhere than on the main thread Python delivers no signals, and allows no handler.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Marks what may be broken off anywhere, such as waiting for input.

        Raises:
            KeyboardInterrupt: On an interrupt meanwhile, or one that came before.
        """
        self._reading = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._reading = False

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if not again:
            self._notify()
        if again or self._reading:
            raise KeyboardInterrupt
