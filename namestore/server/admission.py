"""What a node lets wait: beyond it a call is refused at once, before any work is done for it.

A queue that grows without bound answers nobody in time; a caller who is told OVERLOADED knows
that nothing was done. Two things bound it: how much waits, and how long the oldest has waited. The
second finds the right length by itself, on a fast machine and on a slow one: what is admitted is
answered while its caller still listens, so that the node does no work for nobody.

Invariants: what was admitted is released once. While little waits nobody is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from namestore.config import LimitsConfig
from namestore.errors import Overloaded

# Clients of ours ask elsewhere after a second without an answer.
WAIT_SECONDS_MAX = 0.5
# As many names as fit into one call. Fewer are never too many, however long they take.
NAMES_ALWAYS = 1000


@dataclass(slots=True, eq=False)
class Ticket:
    """What a call adds to what waits, and since when."""

    names: int
    size_bytes: int
    since: float
    released: bool = False


class Admission:
    """Counts what waits. Belongs to one thread.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, limits: LimitsConfig, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._names = 0
        self._bytes = 0
        # Oldest first. Those released out of turn are dropped when they come to the head.
        self._tickets: deque[Ticket] = deque()

    def admit(self, names: int, size_bytes: int) -> Ticket:
        """Takes a call in; give the ticket back to `release`.

        Raises:
            Overloaded: It would exceed a limit; nothing was counted.
        """
        now = self._clock()
        self._check(names, size_bytes, now)
        ticket = Ticket(names, size_bytes, now)
        self._tickets.append(ticket)
        self._names += names
        self._bytes += size_bytes
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Gives back what `admit` took."""
        ticket.released = True
        self._names -= ticket.names
        self._bytes -= ticket.size_bytes
        while self._tickets and self._tickets[0].released:
            self._tickets.popleft()

    def _check(self, names: int, size_bytes: int, now: float) -> None:
        if self._names + names > self._limits.pending_commands_max:
            raise Overloaded(
                f"{self._names} names are waiting to be answered here, "
                f"at most {self._limits.pending_commands_max} may; back off and try again"
            )
        if self._bytes + size_bytes > self._limits.pending_bytes_max:
            raise Overloaded(
                f"{self._bytes} bytes of requests are waiting to be answered here, "
                f"at most {self._limits.pending_bytes_max} may; back off and try again"
            )
        if self._names >= NAMES_ALWAYS and now - self._tickets[0].since > WAIT_SECONDS_MAX:
            raise Overloaded(
                f"{self._names} names are waiting to be answered here, the oldest of them for "
                f"{now - self._tickets[0].since:.1f} s; back off and try again"
            )
