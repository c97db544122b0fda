"""Ctrl-C and SIGTERM: raised at once, and asked for again where the exception went lost.

An exception out of a signal handler is dropped when it meets a callback of a C library or a
destructor. Invariant: whoever asked once is heard at the next `check` at the latest.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from namestore.streams import end_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_asked = threading.Event()


def listen() -> None:
    """Installs the handlers. SIGINT's too: a shell's `&` leaves it ignored."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


@contextmanager
def heeded() -> Iterator[None]:
    """Around a whole program: what it cleans up is cleaned up, then the process ends with 130."""
    listen()
    try:
        yield
    except KeyboardInterrupt:
        leave()


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
