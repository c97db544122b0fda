"""Ctrl-C and SIGTERM: raised at once, and asked for again where the exception went lost.

An exception out of a signal handler is dropped when it meets a callback of a C library or a
destructor. Invariant: whoever asked once is heard at the next `check` at the latest.
"""

from __future__ import annotations

import signal
import threading
from typing import NoReturn

from namestore.streams import end_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_asked = threading.Event()


def listen() -> None:
    """Installs the handlers. SIGINT's too: a shell's `&` leaves it ignored."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def check() -> None:
    """Raises KeyboardInterrupt if somebody asked for the end."""
    if _asked.is_set():
        raise KeyboardInterrupt


def leave() -> NoReturn:
    """Ends the process with 130."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end_process(128 + signal.SIGINT)


def _interrupt(number: int, frame: object) -> NoReturn:
    _asked.set()
    raise KeyboardInterrupt
