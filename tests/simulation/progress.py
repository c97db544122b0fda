"""How far a long command is: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

_TERMINAL_EVERY_S, _PIPE_EVERY_S = 0.5, 15.0


class Progress:
    """Lines that stay, and one of them that does not."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._every = _TERMINAL_EVERY_S if self._terminal else _PIPE_EVERY_S
        self._told_at = time.monotonic()
        self._shown = 0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def going(self, text: str) -> None:
        """How far it is; mostly not worth a line."""
        now = time.monotonic()
        if now - self._told_at < self._every:
            return
        self._told_at = now
        if not self._terminal:
            self.say(f"... {text}")
            return
        self._clear()
        sys.stdout.write(f"... {text}")
        sys.stdout.flush()
        self._shown = len(text) + 4

    def _clear(self) -> None:
        if self._shown:
            sys.stdout.write("\r" + " " * self._shown + "\r")
            self._shown = 0
