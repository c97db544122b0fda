"""How the calls of the last minute went: the figures `Cluster.Status` reports.

Not a history and not per method. Invariant: memory does not grow with the number of calls.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass

from namestore.errors import NamestoreError, OutcomeUnknown, Unavailable

WINDOW_SECONDS = 60


@dataclass(slots=True)
class _Second:
    """The calls that ended within one second of the clock."""

    second: int = -1
    calls: int = 0
    errors: int = 0
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Over the window.

    Attributes:
        calls: That ended within it.
        response_time_ms_mean: 0 when there was none.
        error_rate: Share of calls that ended in an error of the server's own making, 0 to 1.
    """

    calls: int
    response_time_ms_mean: float
    error_rate: float


class CallMetrics:
    """A ring of one bucket for each second of the window. Belongs to one thread.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ring = [_Second() for _ in range(WINDOW_SECONDS)]

    def record(self, duration: float, *, failed: bool, calls: int = 1) -> None:
        """Counts a call, or several that were one work, that have just ended.

        Args:
            duration: Seconds it took.
            failed: By the server's own making; a refusal of the request is none.
            calls: How many of them.
        """
        second = int(self._clock())
        bucket = self._ring[second % WINDOW_SECONDS]
        if bucket.second != second:
            bucket.second, bucket.calls, bucket.errors, bucket.duration = second, 0, 0, 0.0
        bucket.calls += calls
        bucket.errors += calls if failed else 0
        bucket.duration += duration * calls

    def figures(self) -> CallFigures:
        """The window that ends now."""
        now = int(self._clock())
        recent = [bucket for bucket in self._ring if now - WINDOW_SECONDS < bucket.second <= now]
        calls = sum(bucket.calls for bucket in recent)
        if not calls:
            return CallFigures(0, 0.0, 0.0)
        duration = sum(bucket.duration for bucket in recent)
        errors = sum(bucket.errors for bucket in recent)
        return CallFigures(calls, duration * 1000 / calls, errors / calls)


class Measured:
    """Around calls that are one work: counts them when they end. Begun when it is made.

    A class and no generator, as it is on the way of every call.

    Args:
        clock: That of the metrics.
        calls: How many.
        ended: Called at the end, with `calls`.
    """

    __slots__ = ("_calls", "_clock", "_ended", "_metrics", "_started")

    def __init__(
        self,
        metrics: CallMetrics,
        clock: Callable[[], float],
        calls: int,
        ended: Callable[[int], None],
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._calls = calls
        self._ended = ended
        self._started = clock()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        failed = kind is not None and _is_ours(kind)
        self._metrics.record(self._clock() - self._started, failed=failed, calls=self._calls)
        self._ended(self._calls)


def _is_ours(kind: type[BaseException]) -> bool:
    """The server's own making: no refusal of a request, and no caller who gave up."""
    if issubclass(kind, NamestoreError):
        return issubclass(kind, (Unavailable, OutcomeUnknown))
    return not issubclass(kind, CancelledError)
