"""Linearizable reads share read barriers.

A barrier promises that the state reflects every write answered before the barrier was *issued*.
So a read may only join one that has not been issued yet: an earlier one could miss a write that
was answered just before the read arrived. While a barrier is under way, the reads that arrive
gather for the next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from namestore.errors import NamestoreError, NoLeader, NoQuorum
from namestore.raft.replica import Replica
from namestore.server.bridge import Mailbox, Reply


@dataclass(slots=True)
class _Batch:
    """Reads that wait for the same barrier."""

    deadline: float = 0.0
    replies: list[Reply[None]] = field(default_factory=list)


class ReadBarriers:
    """Issues one barrier at a time. Belongs to the loop of the mailbox."""

    def __init__(self, replica: Replica, mailbox: Mailbox) -> None:
        self._replica = replica
        self._mailbox = mailbox
        self._under_way = False
        self._gathering: _Batch | None = None

    async def wait(self, timeout: float) -> None:
        """Returns once the replica's view reflects every write answered before this call.

        Args:
            timeout: Seconds.

        Raises:
            Unavailable: It cannot be told in time.
        """
        loop = asyncio.get_running_loop()
        batch = self._gathering
        if batch is None:
            batch = self._gathering = _Batch()
            if not self._under_way:
                # At the end of this turn of the loop: reads that arrived together go together.
                loop.call_soon(self._issue)
        reply: Reply[None] = Reply(self._mailbox, timeout, self._late, _nothing)
        batch.replies.append(reply)
        batch.deadline = max(batch.deadline, loop.time() + timeout)
        await reply.future

    def _issue(self) -> None:
        batch, self._gathering = self._gathering, None
        if batch is None or self._under_way:
            return
        timeout = batch.deadline - asyncio.get_running_loop().time()
        self._under_way = True
        barrier: Reply[None] = Reply(self._mailbox, timeout, self._late, _nothing)
        barrier.future.add_done_callback(lambda future: self._passed(future, batch))
        # A little less than its time, so that the replica's own, more exact refusal comes first.
        self._replica.read_barrier(max(0.0, timeout * 0.9), barrier.post)

    def _passed(self, future: asyncio.Future[None], batch: _Batch) -> None:
        self._under_way = False
        error = future.exception()
        for reply in batch.replies:
            reply.settle(error if isinstance(error, NamestoreError) else None)
        if self._gathering is not None:
            self._issue()

    def _late(self) -> NamestoreError:
        if not self._replica.status().has_quorum:
            return NoQuorum("this node reaches no majority of the cluster")
        return NoLeader("no leader confirmed in time that it still leads")


def _nothing() -> None:
    """A barrier holds nothing that would have to be released."""
