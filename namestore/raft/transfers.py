"""Leadership handed from one node to another, and who waits for it (Raft thesis, 3.10).

The protocol itself stands in `elections`; here is what an operator, or a node that drains, hears of
it. Invariant: whoever waits is answered once, at the latest at the deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from namestore.errors import (
    ChangeUnderWay,
    InvalidRequest,
    NamestoreError,
    NoLeader,
    OutcomeUnknown,
)
from namestore.raft.orders import OrderAnswer
from namestore.raft.requests import Requests
from namestore.raft.settings import Settings

OrderDone = Callable[[OrderAnswer], None]


class Transfers(Requests):
    """The layer of transfers, on the node that leads."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._transfers: list[tuple[float, int, OrderDone]] = []
        super().__init__(transport, settings)

    def _transfer(self, node_id: str, deadline: float, done: OrderDone) -> None:
        target = node_id or self._most_caught_up()
        if target == self.node_id:
            done(self.node_id)
        elif target is None:
            done(NoLeader("no other voting member is connected; retry once one is"))
        elif target not in self._membership.voters:
            done(InvalidRequest(f"{target} is not a voting member", field="node_id"))
        elif self._transfer_to not in (None, target):
            done(ChangeUnderWay(f"leadership is on its way to {self._transfer_to}"))
        else:
            self._transfers.append((deadline, self.term, done))
            if self._transfer_to is None:
                self._begin_transfer(target)

    def _most_caught_up(self) -> str | None:
        connected = [
            (progress.match, peer)
            for peer, progress in self._progress.items()
            if self.is_connected(peer) and peer in self._membership.voters
        ]
        return max(connected)[1] if connected else None

    def _finish_transfers(self, now: float) -> None:
        """A transfer is done when a newer term has a leader; what is late is answered."""
        for waiting in list(self._transfers):
            deadline, term, done = waiting
            if self.term > term and self.leader_id is not None:
                done(self.leader_id)
            elif now >= deadline or (self.is_leader and self._transfer_to is None):
                done(OutcomeUnknown("leadership was not taken over in time; look at the status"))
            else:
                continue
            self._transfers.remove(waiting)

    def _drop_transfers(self, error: NamestoreError) -> None:
        """The node stops: nobody is left waiting."""
        waiting, self._transfers = self._transfers, []
        for _, _, done in waiting:
            done(error)
