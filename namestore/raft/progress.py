"""What a leader knows of one follower's log, and how much it has under way to it.

Invariants: match < next_index; match never goes back within a leader's term; after a disconnect
or a rejection the follower is probed with one message at a time until an answer places it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum


class Phase(Enum):
    """How entries are sent to a follower."""

    PROBE = "probe"  # its log is not known: one message, then wait for the answer
    REPLICATE = "replicate"  # its log is known: stream within the window
    SNAPSHOT = "snapshot"  # it needs entries that are gone: it fetches a snapshot


class Progress:
    """A leader's book on one follower (Raft paper, figure 2: nextIndex and matchIndex).

    Attributes:
        match: The follower holds our log up to here, durably: it said so in this term.
        next_index: The next entry to send.
        read_round: The newest confirmation round it has answered.
        answered_at: When it last answered in this term; `clock` seconds.
    """

    __slots__ = (
        "_in_flight",
        "_in_flight_bytes",
        "answered_at",
        "match",
        "next_index",
        "phase",
        "probe_sent",
        "read_round",
    )

    def __init__(self, next_index: int, now: float) -> None:
        self.match = 0
        self.next_index = next_index
        self.phase = Phase.PROBE
        self.probe_sent = False
        self.read_round = 0
        self.answered_at = now
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0

    def may_send(self, bytes_max: int, messages_max: int) -> bool:
        """Whether another message with entries may leave now."""
        if self.phase is Phase.REPLICATE:
            return self._in_flight_bytes < bytes_max and len(self._in_flight) < messages_max
        return self.phase is Phase.PROBE and not self.probe_sent

    def sent(self, last_index: int, size: int) -> None:
        """A message with entries up to `last_index` has left."""
        if self.phase is Phase.REPLICATE:
            self.next_index = last_index + 1
            self._in_flight.append((last_index, size))
            self._in_flight_bytes += size
        else:
            self.probe_sent = True

    def acknowledged(self, index: int) -> None:
        """The follower holds our log up to `index`, durably."""
        self.match = max(self.match, index)
        if self.phase is not Phase.REPLICATE:
            self._become(Phase.REPLICATE, self.match + 1)
            return
        self.next_index = max(self.next_index, self.match + 1)
        while self._in_flight and self._in_flight[0][0] <= self.match:
            self._in_flight_bytes -= self._in_flight.popleft()[1]

    def rejected(self, prev_index: int, next_index: int) -> bool:
        """The follower's log does not hold `prev_index` as ours does; try from `next_index`.

        Returns:
            False when the answer is to an older message and says nothing new: such an answer
            must not move the next index back (two rejections of one gap would send the same
            entries twice), nor ever below what is known to match.
        """
        if self.phase is Phase.SNAPSHOT:
            return False
        if prev_index <= self.match:
            return False
        if self.phase is Phase.PROBE and prev_index != self.next_index - 1:
            return False
        self._become(Phase.PROBE, max(self.match + 1, min(next_index, prev_index)))
        return True

    def lost_contact(self) -> None:
        """What was under way may be lost: find out where the follower stands."""
        if self.phase is not Phase.SNAPSHOT:
            self._become(Phase.PROBE, self.match + 1)
        self.probe_sent = False

    def needs_snapshot(self) -> None:
        """The entries it needs are gone."""
        self._become(Phase.SNAPSHOT, self.next_index)

    def installed(self, index: int) -> None:
        """It holds a snapshot of our committed entries up to `index`."""
        self.match = max(self.match, index)
        self._become(Phase.PROBE, self.match + 1)

    def _become(self, phase: Phase, next_index: int) -> None:
        self.phase = phase
        self.next_index = next_index
        self.probe_sent = False
        self._in_flight.clear()
        self._in_flight_bytes = 0
