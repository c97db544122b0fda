"""The log's time: how late a leader says it is when it proposes an entry.

Expiry, hold-back and the memory of outcomes all go by it, so one wrong clock must not set it. Every
acknowledgement of a follower says what that node's wall clock shows, and a leader believes no more
than what a majority of the voters' clocks, its own among them, have passed. Between two leaders'
readings the monotonic clock carries it on, so that clocks set back do not stop it; while it is
ahead of them it is slewed, so that a monotonic clock that runs fast does not take it away.

It decides nothing: the state machine takes the latest time that any applied entry carried.

Invariants: a minority of clocks, however wrong, never takes the log's time ahead of the others, and
behind them only while some of these were not heard; within one leadership it never runs backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

# While it is ahead of a majority's clocks it goes on by this part less: hardly to be felt, and a
# hundred times more than clocks run fast.
_SLEW = 10


class LogTime:
    """A leader's idea of the time. Belongs to the Raft thread.

    Args:
        clock: Monotonic seconds.
        wall_clock_ms: This node's wall clock, milliseconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float], wall_clock_ms: Callable[[], int]) -> None:
        self._clock = clock
        self._wall_clock_ms = wall_clock_ms
        self._base_ms = 0  # by which the log's time is ahead of our monotonic clock
        self._slewed_at_ms = self._elapsed_ms()
        # By which each node's wall clock is ahead of our monotonic one. The way here took time, so
        # what is noted is a little less than the truth: late, never early.
        self._ahead_ms: dict[str, int] = {}

    def begin(self, last_ms: int) -> None:
        """This node begins to lead, and has applied entries up to that time of the log."""
        self._slewed_at_ms = self._elapsed_ms()
        self._base_ms = last_ms - self._slewed_at_ms
        self._ahead_ms.clear()

    def applied(self, time_ms: int) -> None:
        """The log stands at that time now; a leader may have had entries still to apply."""
        elapsed_ms = self._elapsed_ms()
        if time_ms - elapsed_ms > self._base_ms:
            self._base_ms, self._slewed_at_ms = time_ms - elapsed_ms, elapsed_ms

    def heard(self, node_id: str, wall_clock_ms: int) -> None:
        """A follower said what its wall clock shows."""
        self._ahead_ms[node_id] = wall_clock_ms - self._elapsed_ms()

    def now_ms(self, own_id: str, voters: Collection[str], quorum: int) -> int | None:
        """Milliseconds since the epoch, for an entry that is proposed now.

        None: fewer than `quorum` of the voters have said what time it is, so nobody can tell.
        """
        elapsed_ms = self._elapsed_ms()
        self._ahead_ms[own_id] = self._wall_clock_ms() - elapsed_ms
        known = sorted((self._ahead_ms[v] for v in voters if v in self._ahead_ms), reverse=True)
        if len(known) < quorum:
            return None
        back_ms = (elapsed_ms - self._slewed_at_ms) // _SLEW
        self._slewed_at_ms += back_ms * _SLEW
        self._base_ms = max(self._base_ms - back_ms, known[quorum - 1])
        return max(0, self._base_ms + elapsed_ms)

    def _elapsed_ms(self) -> int:
        return int(self._clock() * 1000)
