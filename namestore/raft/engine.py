"""One node's consensus, put together: what happens in one turn of the Raft thread, in which order.

The order is the design. Messages come in and change what is buffered; the leader proposes and sends
to the followers; one sync makes all of it durable; only then leaves what speaks for it; then what a
majority holds is committed, applied, answered. Nothing here waits but for the network and the disk.

Applying is total (defect 12): an entry that cannot be applied stops the node before anything of it
is applied (defects 13, 14). There is one replicated entry point, versioned bytes.
"""

from __future__ import annotations

from typing import Any

from namestore.core.commands import decode_entry
from namestore.core.registry import Applied, apply_entry, apply_nothing
from namestore.errors import InvariantViolation, ShuttingDown
from namestore.logs import get_logger
from namestore.raft.changes import Changes
from namestore.raft.following import KIND_COMMANDS, KIND_MEMBERSHIP, KIND_NOTHING
from namestore.raft.membership import Membership, decode_membership
from namestore.raft.proposals import Proposal
from namestore.raft.replica import Changed, MemberInfo, PeerInfo, ReplicaStatus
from namestore.raft.settings import Settings
from namestore.raft.snapshots import MEMBERSHIP_KEY
from namestore.storage.interfaces import LogEntry

_log = get_logger(__name__)

# The longest nap of the Raft thread: deadlines of callers are looked at that often.
_NAP_S_MAX = 0.05


class Engine(Changes):
    """A hardened PySyncObj. Everything but `status` belongs to one thread, the Raft thread.

    Attributes:
        changed: Hears, once a turn, that the state has moved on.
    """

    def __init__(self, transport: Any, settings: Settings) -> None:
        self.changed: Changed | None = None
        # This data directory is part of the cluster; and: it was, until it was removed.
        self._belongs = False
        self.removed = False
        super().__init__(transport, settings)
        self._told_revision = self._state.meta.revision
        self._load_memberships()

    def _onTick(self, timeToWait: float = 0.0) -> None:
        """One turn: hear, decide, make durable, say, commit, apply, answer."""
        self._transport.poll(min(timeToWait, self._nap()) if timeToWait > 0 else 0.0)
        if self._answer_first():
            return
        now = self._clock()
        self._expire(now)
        self._run_elections(now)
        self._advance_change(now)
        self._propose_waiting(now)
        if self.is_leader:
            self._replicate(now)
            self._advance_transfer()
        self._offer_snapshots(now)
        self._sync_and_send_held()
        if self.is_leader:
            self._advance_commit()
        self._apply_committed()
        self._tell_of_changes()
        self._serve_reads(now)
        self._shorten_log()
        self._mark_log(now)

    def _answer_first(self) -> bool:
        """Answers the one whose entry was acknowledged just now, if no other caller waits.

        Who asks for one name at a time waits for little else. The thread that the answer has roused
        may run at once: the next turn begins by waiting for the network. False: this turn goes on.
        """
        others = self._has_work() or self._may_propose() or not self.reads.idle
        if others or not self.is_leader or self._clock() >= self._heartbeat_at:
            return False
        self._advance_commit()
        if self.commit_index != self.applied_index + 1:
            return False  # nothing, or so much that the others must not wait for it
        self._apply_committed()
        self._tell_of_changes()
        return self.applied_index == self.commit_index

    def _nap(self) -> float:
        """How long nothing can be due, unless the network or a caller says otherwise."""
        if self._has_work() or self._may_propose() or self.applied_index < self.commit_index:
            return 0.0
        if not self.is_leader:
            return _NAP_S_MAX
        return min(_NAP_S_MAX, max(0.0, self._heartbeat_at - self._clock()))

    def _has_work(self) -> bool:
        """Callers have come, or something waits to be made durable and said."""
        callers = not (self.proposals.queue.empty and self.reads.empty)
        return callers or self._log.dirty or bool(self._held)

    # -- applying ---------------------------------------------------------------------------

    def _apply_committed(self) -> None:
        """Applies what is committed and synced here, a bounded amount per turn.

        Bounded in time as well, between two entries: meanwhile nothing is heard or said, and a
        leader that is busy applying for longer than an election timeout would not be one any more.
        """
        end = min(self.commit_index, self._log.synced_index)
        budget = self.settings.bounds.apply_bytes
        until = self._clock() + self.settings.timing.heartbeat / 2
        while self.applied_index < end and budget > 0:
            for entry in self._log.entries(self.applied_index + 1, budget):
                if entry.index > end:
                    return
                self._apply(entry)
                budget -= len(entry.command)
                if self._clock() >= until:
                    return

    def _apply(self, entry: LogEntry) -> None:
        kind, meta = entry.command[0], self._state.meta
        if entry.index != meta.applied_index + 1:
            raise InvariantViolation(
                f"entry {entry.index} cannot follow the state at {meta.applied_index}"
            )
        applied: Applied
        if kind == KIND_COMMANDS:
            applied = apply_entry(
                self._state, meta, entry.index, entry.term, decode_entry(entry.command[1:])
            )
        elif kind in (KIND_NOTHING, KIND_MEMBERSHIP):
            applied = apply_nothing(meta, entry.index, entry.term)
            if kind == KIND_MEMBERSHIP:
                applied.changes[MEMBERSHIP_KEY] = entry.command[1:]
                self._membership_applied(decode_membership(entry.command[1:]))
        else:
            raise InvariantViolation(
                f"entry {entry.index} is of kind {kind}, which this version of namestore does not "
                "know; start the node with the version that wrote it, or newer"
            )
        self._state.write(applied.changes, applied.meta)
        self._set_applied(entry.index)
        self._log_time.applied(applied.meta.time_ms)
        self._bytes_since_mark += len(entry.command)
        batch: list[Proposal] = self.proposals.in_log.pop(entry.index, [])
        if batch:  # where nobody waits, nobody makes decisions out of what was decided
            self.proposals.decided(batch, applied.decisions)

    def _tell_of_changes(self) -> None:
        """Also what a snapshot brought in this turn."""
        revision = self._state.meta.revision
        if revision == self._told_revision:
            return
        self._told_revision = revision
        if self.changed is not None:
            try:
                self.changed()
            except Exception:  # noqa: BLE001  a listener's fault must not stop consensus: defect 12
                _log.exception("change.callback.failed")

    def _load_memberships(self) -> None:
        super()._load_memberships()
        (data,) = self._state.get_many([MEMBERSHIP_KEY])
        if data is not None:
            self._membership_applied(decode_membership(data))

    def _membership_applied(self, membership: Membership) -> None:
        self._reconsider_peers()
        if self._counts_us(membership):
            self._belongs = True
            return
        newest = self._membership.get(self.node_id)
        if self._belongs and (newest is None or newest.incarnation):
            self.removed = not self._counts_us(self._membership)

    def _counts_us(self, membership: Membership) -> bool:
        """Whether it means this data directory, not another one under the same id.

        A newcomer that has not caught up yet stands there without its incarnation: that may be
        anybody, and says nothing of us.
        """
        member = membership.get(self.node_id)
        return member is not None and member.incarnation == self.settings.identity.incarnation

    # -- the outside ------------------------------------------------------------------------

    def status(self) -> ReplicaStatus:
        """This node's view. Safe from any thread: it reads fields that change one at a time."""
        now, membership = self._clock(), self._membership
        connected = [peer for peer in self.peers if self.is_connected(peer)]
        has_quorum = membership.majority_of([*connected, self.node_id])
        leads, leader_id, heard_at = self.is_leader, self.leader_id, self._heard_leader_at
        if leads:
            serving = self.commit_index >= self._first_of_term and self._transfer_to is None
        else:
            serving = leader_id is not None and self.is_connected(leader_id)
        age_ms = None if heard_at is None else (now - heard_at) * 1000
        log_time = self._log_time_at if leads else None
        return ReplicaStatus(
            node_id=self.node_id,
            role=self.role,
            leader_id=leader_id,
            term=self.term,
            commit_index=self.commit_index,
            applied_index=self.applied_index,
            last_index=self.log_end,
            has_quorum=has_quorum,
            serving=serving and has_quorum and self.is_voter and not self.is_new,
            heartbeat_age_ms=0.0 if leads else age_ms,
            meta=self._state.meta,
            peers=tuple(self._peer_info(peer) for peer in self.peers),
            members=member_infos(membership),
            log_time_ms=log_time and log_time[0] + int((now - log_time[1]) * 1000),
        )

    def _peer_info(self, peer: str) -> PeerInfo:
        progress = self._progress.get(peer)
        # A match of 0: it was never heard by this leader, so its log may be of any length.
        match = (progress.match or None) if progress is not None and self.is_leader else None
        lag = None if match is None else max(0, self.log_end - match)
        return PeerInfo(peer, self.is_connected(peer), match, lag)

    def answer_everybody(self) -> None:
        """Tells all who wait, and all who come from now on, that this node stops.

        Nobody is told more than is sure: what may be in a log is unknown.
        """
        stopping = ShuttingDown("this node is shutting down; retry at another one")
        self.proposals.fail_all(stopping)
        self.reads.fail_all()
        self._drop_orders(stopping)

    def stop(self) -> None:
        """Answers everybody who waits, then lets go of network and log."""
        self.answer_everybody()
        if self._offer is not None:
            self._offer.checkpoint.release()
        self._doDestroy()


def member_infos(membership: Membership) -> tuple[MemberInfo, ...]:
    """A membership as the status shows it."""
    return tuple(
        MemberInfo(m.node_id, m.raft_address, m.grpc_address, m.voter) for m in membership.members
    )
