"""What a node lets wait: beyond it a call is refused at once, before any work is done for it.

A queue that grows without bound answers nobody in time; a caller who is told OVERLOADED knows
that nothing was done. Invariant: what was admitted is released once.
"""

from __future__ import annotations

from dataclasses import dataclass

from namestore.config import LimitsConfig
from namestore.errors import Overloaded


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call adds to what waits."""

    names: int
    size_bytes: int


class Admission:
    """Counts what waits. Belongs to one thread."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._names = 0
        self._bytes = 0

    @property
    def waiting(self) -> Cost:
        """What is admitted and not yet released."""
        return Cost(self._names, self._bytes)

    def admit(self, cost: Cost) -> None:
        """Takes a call in.

        Raises:
            Overloaded: It would exceed a limit; nothing was counted.
        """
        if self._names + cost.names > self._limits.pending_commands_max:
            raise Overloaded(
                f"{self._names} names are waiting to be answered here, "
                f"at most {self._limits.pending_commands_max} may; back off and try again"
            )
        if self._bytes + cost.size_bytes > self._limits.pending_bytes_max:
            raise Overloaded(
                f"{self._bytes} bytes of requests are waiting to be answered here, "
                f"at most {self._limits.pending_bytes_max} may; back off and try again"
            )
        self._names += cost.names
        self._bytes += cost.size_bytes

    def release(self, cost: Cost) -> None:
        """Gives back what `admit` took."""
        self._names -= cost.names
        self._bytes -= cost.size_bytes
