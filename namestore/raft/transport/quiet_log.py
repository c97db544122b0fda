"""A log that says each thing once in a while: peers can make a node fail at the same often.

What goes on and on is said ever less often. It keeps at most a fixed number of subjects in mind.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_KEYS_MAX = 256
# The pause between two lines of the same grows up to so many times the first.
_PAUSE_FACTOR_MAX = 64


class QuietLog:
    """Passes an event on unless the same one was passed on a moment ago.

    Args:
        log: A structlog logger, or what is like one.
        clock: Monotonic seconds.
        interval_s: The first pause of an (event, subject); each further one is twice as long, until
            nothing happened for four of them.
    """

    def __init__(self, log: Any, clock: Callable[[], float], interval_s: float = 5.0) -> None:
        self._log = log
        self._clock = clock
        self._interval_s = interval_s
        # When it was said last, how often it was left out since, and how long the pause is.
        self._seen: OrderedDict[tuple[str, str], tuple[float, int, float]] = OrderedDict()

    def warning(self, event: str, subject: str, **details: object) -> None:
        """Logs, or counts what it did not log; the count comes with the next one."""
        now, pause = self._clock(), self._interval_s
        last, left_out, running = self._seen.pop((event, subject), (None, 0, 0.0))
        if last is not None and now - last < running:
            self._seen[event, subject] = (last, left_out + 1, running)
            return
        if last is not None and now - last < 4 * running:
            pause = min(2 * running, _PAUSE_FACTOR_MAX * self._interval_s)
        self._seen[event, subject] = (now, 0, pause)
        while len(self._seen) > _KEYS_MAX:
            self._seen.popitem(last=False)
        if left_out:
            details["left_out"] = left_out
        self._log.warning(event, **details)
