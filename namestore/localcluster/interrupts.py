"""Ctrl-C at the wrong moment: between starting a process and remembering it.

Responsible for holding an interrupt back over such a stretch, and for treating SIGTERM and SIGHUP
as an interrupt. Invariant: an interrupt that was held back is raised at the end of the stretch,
never lost.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HeldInterrupts:
    """What came in while interrupts were held back."""

    def __init__(self) -> None:
        self.pending = False


@contextmanager
def interrupts_held() -> Iterator[HeldInterrupts]:
    """Holds KeyboardInterrupt (and SIGTERM, SIGHUP) back until the block is over.

    Signals reach Python handlers in the main thread only; in any other thread this does nothing.
    The signals are not masked: a process started inside would inherit the mask.
    """
    held = HeldInterrupts()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return

    def remember(number: int, frame: FrameType | None) -> None:
        held.pending = True

    previous = {number: signal.signal(number, remember) for number in _SIGNALS}
    try:
        yield held
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if held.pending:
        raise KeyboardInterrupt


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Has SIGTERM and SIGHUP raise KeyboardInterrupt, so that one clean-up path serves all."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
