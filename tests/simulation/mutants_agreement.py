"""Deliberate faults in what is agreed on: elections, replication, and what must be durable before.

Every class is the engine with one rule broken. They reach into private parts on purpose, and some
switch off a guard that would have stopped the node in production: it is the checkers outside that
have to notice. Nothing here is part of namestore.
"""

from __future__ import annotations

from typing import Any

from namestore.raft.engine import Engine

Message = dict[str, Any]


# -- durability -------------------------------------------------------------------------------


class SaysBeforeSync(Engine):
    """Acknowledgements and votes leave before the sync."""

    def _sync_and_send_held(self) -> None:
        held, self._held = self._held, []
        for node_id, message in held:
            self._send(node_id, message)
        super()._sync_and_send_held()


class VoteNotKept(Engine):
    """A vote is remembered in memory only."""

    def _set_term(self, term: int, voted_for: str | None) -> None:
        real = self._log.save_vote
        self._log.save_vote = lambda term, voted_for: real(term, None)  # type: ignore[method-assign]
        super()._set_term(term, voted_for)
        self._log.save_vote = real  # type: ignore[method-assign]


def _forget_vote(engine: Any) -> None:
    engine._SyncObj__votedForNodeId = None
    engine._log._voted_for = None


class VoteForgotten(Engine):
    """A restarted node has forgotten its vote, and gives another."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        _forget_vote(self)


class CountsUnsynced(Engine):
    """The leader counts itself before its own sync, which it puts off."""

    _put_off = 0
    _really_synced: int | None = None

    def _sync_and_send_held(self) -> None:
        log: Any = self._log
        self._put_off += 1
        if not self.is_leader or self._held or self._put_off % 20 == 0:
            if self._really_synced is not None:
                log._stored_index, self._really_synced = self._really_synced, None
            super()._sync_and_send_held()
        elif self._log.dirty:
            if self._really_synced is None:
                self._really_synced = log._stored_index
            log._stored_index = log.last_index


class ShortensTooEarly(Engine):
    """The log drops entries that only the volatile part of the state has."""

    def _shorten_log(self) -> None:
        if self.applied_index - self._log.first_index > 2 * self.settings.bounds.log_entries:
            self._log.drop_through(self.applied_index)


# -- elections --------------------------------------------------------------------------------


class VotesTwice(Engine):
    """Every candidate of the term gets the vote of a follower."""

    def _on_request_vote(self, peer: str, message: Message) -> None:
        if not message["pre_vote"] and not self.is_candidate and not self.is_leader:
            _forget_vote(self)
        super()._on_request_vote(peer, message)


class VotesForAnyLog(Engine):
    """A candidate gets the vote although it lacks entries."""

    def _log_is_behind(self, message: Message) -> bool:
        return True


class TrustsOldLeader(Engine):
    """What a leader of an older term sends is taken."""

    def _on_append_entries(self, peer: str, message: Message) -> None:
        if message["term"] < self.term and not self.is_leader:
            message = message | {"term": self.term}
        super()._on_append_entries(peer, message)


# -- replication ------------------------------------------------------------------------------


class CountsOldAnswers(Engine):
    """Answers of an older term count."""

    def _on_append_result(self, peer: str, message: Message) -> None:
        if message["term"] < self.term:
            message = message | {"term": self.term}
        super()._on_append_result(peer, message)


class CutsOnEveryAppend(Engine):
    """What lies behind every append is cut off, conflict or not."""

    def _store(self, prev_index: int, entries: list[tuple[int, bytes]]) -> None:
        if self.commit_index <= prev_index < self._log.last_index:
            self._cut_tail(prev_index + 1)
        super()._store(prev_index, entries)


class CutsCommitted(Engine):
    """As above, and committed entries are no exception."""

    def _on_append_entries(self, peer: str, message: Message) -> None:
        after, log = message["prev_index"] + 1, self._log
        if message["entries"] and log.first_index < after <= log.last_index:
            base: Any = log
            base._commit_index = after - 1
            log.truncate_from(after)
            self._SyncObj__raftCommitIndex = min(self.commit_index, after - 1)
        super()._on_append_entries(peer, message)


class CommitsWhatItHas(Engine):
    """A follower takes the leader's commit index for its own log, verified or not."""

    def _verified(self, peer: str, index: int, message: Message) -> None:
        super()._verified(peer, index, message)
        self._set_commit(min(message["commit_index"], self._log.last_index))


class AcknowledgesWhatItHas(Engine):
    """A follower acknowledges its whole log, not what was compared."""

    def _verified(self, peer: str, index: int, message: Message) -> None:
        super()._verified(peer, self._log.last_index, message)


class CommitsOlderTerms(Engine):
    """A new leader commits entries of older terms by counting."""

    def _advance_commit(self) -> None:
        match = {peer: progress.match for peer, progress in self._progress.items()}
        match[self.node_id] = self._log.synced_index
        self._set_commit(self._membership.quorum_index(match))
