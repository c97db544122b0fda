"""Ctrl-C at the wrong moment: between starting a process and remembering it.

Responsible for holding an interrupt back over such a stretch, and for treating SIGTERM and SIGHUP
as an interrupt. Invariant: an interrupt that was held back is raised at the end of the stretch,
never lost.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# Enough for a destructor to have ended.
_AGAIN_S = 0.01
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
    """Has SIGTERM and SIGHUP raise KeyboardInterrupt, so that one clean-up path serves all.

    One that meets a destructor, where Python prints and drops whatever is raised, comes again.
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    tell, sys.unraisablehook = sys.unraisablehook, _interrupt_again
    try:
        yield
    finally:
        sys.unraisablehook = tell
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt_again(dropped: sys.UnraisableHookArgs) -> None:
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    again = threading.Timer(_AGAIN_S, _signal_again)
    again.daemon = True
    again.start()


def _signal_again() -> None:
    """A real signal: what the main thread waits for has to end."""
    if sys.unraisablehook is _interrupt_again:  # else nobody is there who would take it
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
