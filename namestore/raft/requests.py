"""What callers ask of this node, carried to the leader and back.

Replaces PySyncObj's command queue and forwarding (defect 11, and the callers it leaves waiting).
What is not answered in time is asked again, of whoever leads by then, under the same request_ids.
"""

from __future__ import annotations

from typing import Any

from namestore.core.commands import (
    Entry,
    MalformedCommand,
    decode_command,
    encode_entry,
    names_count,
)
from namestore.core.outcomes import Decision, decode_decision, encode_decision
from namestore.errors import (
    NamestoreError,
    NoLeader,
    NoQuorum,
    OutcomeUnknown,
    Overloaded,
)
from namestore.raft.base import Message
from namestore.raft.following import KIND_COMMANDS
from namestore.raft.proposals import Proposal, Proposals
from namestore.raft.read_index import (
    DECIDED,
    LOST,
    MALFORMED,
    NOT_LEADING,
    OVERLOADED,
    ReadIndex,
)
from namestore.raft.settings import Settings

_EXPIRE_EVERY_S = 0.02
# Commands in one message to the leader, unless one caller's are more. Few, as an answer can be
# many times as large: refusals carry the records in the way. What a batch asks for in few bytes is
# bounded by its names.
_FORWARD_BYTES = 32 * 1024
# Such messages that are not answered. What comes meanwhile gathers for the next: a message costs
# both nodes more than the commands in it, as long as they are few.
_FORWARDS_UNDER_WAY_MAX = 4
# Messages from other nodes that are known again when a network repeats them.
_REMEMBERED_FORWARDS = 4096


class Requests(ReadIndex):
    """The layer of callers."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        bounds = settings.bounds
        self.proposals = Proposals(bounds.pending_commands, bounds.pending_bytes)
        self._expire_at = 0.0
        self._taken_in: dict[tuple[str, int], None] = {}
        self._leaderless_since: float | None = settings.seams.clock()
        super().__init__(transport, settings)
        self._handlers |= {
            "forward": self._on_forward,
            "forward_result": self._on_forward_result,
        }

    # -- leaders come and go ----------------------------------------------------------------

    def _leadership_changed(self) -> None:
        super()._leadership_changed()
        if self.leader_id is not None:
            self._leaderless_since = None
        elif self._leaderless_since is None:
            self._leaderless_since = self._clock()
        self.proposals.try_again()
        self.reads.try_again()

    def _expire(self, now: float) -> None:
        """Answers those whose time is up, and those whom nobody will serve soon."""
        if now < self._expire_at:
            return
        self._expire_at = now + _EXPIRE_EVERY_S
        if self.proposals.idle and self.reads.idle:
            return
        why_not = self._why_not()
        patience = 2 * self.settings.timing.election_max
        since = self._leaderless_since
        if since is not None and now - since > patience:
            self.proposals.hurry(now)
            for read in self.reads.waiting:
                read.deadline = min(read.deadline, now)
        held_up = isinstance(why_not, NoLeader) and not self._has_room()
        self.proposals.expire(now, _behind() if held_up else why_not)
        self.reads.expire(now, why_not)
        self.proposals.forward_again(now - self.settings.timing.election_max)
        self.reads.ask_again(now - self.settings.timing.election_max)

    def _why_not(self) -> NamestoreError:
        connected = [peer for peer in self.peers if self.is_connected(peer)]
        if self._membership.majority_of([*connected, self.node_id]):
            return NoLeader(f"node {self.node_id} knows of no leader; retry, here or elsewhere")
        return NoQuorum(
            f"node {self.node_id} reaches {len(connected)} of {len(self.peers)} other nodes, "
            "which is no majority; retry, here or elsewhere"
        )

    # -- proposals --------------------------------------------------------------------------

    def _propose_waiting(self, now: float) -> None:
        proposals = self.proposals
        proposals.take_in()
        if not proposals.waiting or self.leader_id is None or self._transfer_to is not None:
            return
        if self.is_leader:
            time_ms = self._time_ms()
            while proposals.waiting and time_ms is not None and self._has_room():
                self._append_batch(self._next_batch(self.settings.bounds.entry_bytes), time_ms)
        elif self.is_connected(self.leader_id):
            while proposals.waiting and len(proposals.forwarded) < _FORWARDS_UNDER_WAY_MAX:
                batch = self._next_batch(_FORWARD_BYTES)
                if not self._forward(self.leader_id, batch, now):
                    proposals.put_back(batch)
                    break

    def _may_propose(self) -> bool:
        """Proposals wait for nothing but the next turn of this leader."""
        waits = self.is_leader and bool(self.proposals.waiting) and self._transfer_to is None
        return waits and self._log_time_at is not None and self._has_room()

    def _has_room(self) -> bool:
        """So little is not committed yet that this leader may put more into its log.

        Otherwise callers would wait behind what was given up long ago, however often they asked.
        """
        uncommitted = self._log.last_index - self.commit_index
        return not self.is_leader or uncommitted < self.settings.bounds.uncommitted_entries

    def _next_batch(self, bytes_max: int) -> list[Proposal]:
        """The next proposals that fit into one entry, or into one message: at least one."""
        bounds, waiting = self.settings.bounds, self.proposals.waiting
        batch = [waiting.popleft()]
        names, size = batch[0].names, batch[0].size
        while waiting:
            names, size = names + waiting[0].names, size + waiting[0].size
            if names > bounds.entry_names or size > bytes_max:
                break
            batch.append(waiting.popleft())
        return batch

    def _append_batch(self, batch: list[Proposal], time_ms: int) -> None:
        """One log entry for many callers: consensus and disk are paid once for all of them."""
        commands = [command for proposal in batch for command in proposal.commands]
        for proposal in batch:
            proposal.attempted = True
        entry = Entry(time_ms, commands)
        self.proposals.in_log[self._append_own(KIND_COMMANDS, encode_entry(entry))] = batch

    def _forward(self, leader_id: str, batch: list[Proposal], now: float) -> bool:
        number = self._number()
        remaining = max(proposal.deadline for proposal in batch) - now
        message: Message = {
            "type": "forward",
            "request": number,
            "timeout_ms": max(1, int(remaining * 1000)),
            "commands": [command for proposal in batch for command in proposal.commands],
        }
        if not self._send(leader_id, message):
            return False
        for proposal in batch:
            proposal.repeated, proposal.attempted = proposal.attempted, True
        self.proposals.forwarded[number] = (now, batch)
        return True

    def _on_forward(self, peer: str, message: Message) -> None:
        number, commands = message["request"], message["commands"]
        if self._is_repeated(peer, number):
            return  # refusing it would say "certainly not" of the first

        def done(answer: list[Decision] | NamestoreError) -> None:
            self._send(peer, _forward_result(number, answer))

        if not self.is_leader:
            done(NoLeader("not leading"))
            return
        try:
            names = sum(names_count(decode_command(command)) for command in commands)
        except MalformedCommand:
            self._send(peer, _result(number, MALFORMED))
            return
        timeout = min(message["timeout_ms"] / 1000, 3600.0)
        deadline = self._clock() + timeout
        proposal = Proposal(commands, deadline, done, relayed=True, names=names)
        refused = self.proposals.queue.put(proposal)
        if refused is not None:
            done(refused)

    def _is_repeated(self, peer: str, number: int) -> bool:
        """The node's request under that number was here before: it was repeated on its way."""
        if (peer, number) in self._taken_in:
            return True
        self._taken_in[(peer, number)] = None
        if len(self._taken_in) > _REMEMBERED_FORWARDS:
            del self._taken_in[next(iter(self._taken_in))]
        return False

    def _on_forward_result(self, peer: str, message: Message) -> None:
        sent_at, batch = self.proposals.forwarded.pop(message["request"], (0.0, []))
        if not batch:
            return
        if message["status"] in (OVERLOADED, MALFORMED):
            # What was handed on before may be in a log all the same: it is asked again later.
            repeated = [proposal for proposal in batch if proposal.repeated]
            batch = [proposal for proposal in batch if not proposal.repeated]
            if repeated:
                self.proposals.forwarded[message["request"]] = (sent_at, repeated)
        status = message["status"]
        if status == DECIDED:
            decisions = [decode_decision(data) for data in message["decisions"]]
            self.proposals.decided(batch, decisions)
        elif status == OVERLOADED:
            for proposal in batch:
                self.proposals.answer(
                    proposal, Overloaded("the leader has as much waiting as it lets wait; back off")
                )
        elif status == MALFORMED:
            for proposal in batch:
                self.proposals.answer(
                    proposal, NoLeader("the leader runs another version and refused the command")
                )
        else:
            if status == NOT_LEADING and peer == self.leader_id:
                self._leader_stepped_down(peer)
            self.proposals.put_back(batch)


def _behind() -> Overloaded:
    return Overloaded("the leader asks for more than the others keep up with; back off and retry")


def _result(number: int, status: int, decisions: list[bytes] | None = None) -> Message:
    return {
        "type": "forward_result",
        "request": number,
        "status": status,
        "decisions": decisions or [],
    }


def _forward_result(number: int, answer: list[Decision] | NamestoreError) -> Message:
    if isinstance(answer, Overloaded):
        return _result(number, OVERLOADED)
    if isinstance(answer, OutcomeUnknown):
        return _result(number, LOST)
    if isinstance(answer, NamestoreError):
        return _result(number, NOT_LEADING)
    return _result(number, DECIDED, [encode_decision(decision) for decision in answer])
