"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def eventually(
    probe: Callable[[], _Found], what: str, timeout: float = 30.0, every: float = 0.05
) -> _Found:
    """The first true value that `probe()` gives. Fails, naming `what`, after `timeout` seconds.

    The bound is generous on purpose: it ends a test that hangs, it measures nothing.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() >= deadline:
            message = f"not within {timeout:g} s: {what} (last seen: {found!r})"
            raise AssertionError(message)
        time.sleep(every)
