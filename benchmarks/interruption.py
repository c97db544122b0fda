"""Ctrl-C and SIGTERM: raised at once, and asked for again where the exception went lost.

An exception out of a signal handler is dropped when it meets a callback of a C library or a
destructor. Invariant: whoever asked once is heard at the next `check` at the latest.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import NoReturn

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
    """Ends the process with 130; what was broken off may have left threads to wait for."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + signal.SIGINT)


def _interrupt(number: int, frame: object) -> NoReturn:
    _asked.set()
    raise KeyboardInterrupt
