"""A log that says each thing once in a while: peers can make a node fail at the same often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_KEYS_MAX = 256


class QuietLog:
    """Passes an event on unless the same one was passed on less than `interval_s` ago.

    Args:
        log: A structlog logger, or what is like one.
        clock: Monotonic seconds.
        interval_s: For each (event, subject).
    """

    def __init__(self, log: Any, clock: Callable[[], float], interval_s: float = 5.0) -> None:
        self._log = log
        self._clock = clock
        self._interval_s = interval_s
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def warning(self, event: str, subject: str, **details: object) -> None:
        """Logs, or counts what it did not log; the count comes with the next one."""
        now = self._clock()
        last, left_out = self._seen.pop((event, subject), (None, 0))
        if last is not None and now - last < self._interval_s:
            self._seen[event, subject] = (last, left_out + 1)
            return
        self._seen[event, subject] = (now, 0)
        while len(self._seen) > _KEYS_MAX:
            self._seen.popitem(last=False)
        if left_out:
            details["left_out"] = left_out
        self._log.warning(event, **details)
