"""What must hold after every turn of every node, checked from outside.

Independent of the code under test: it keeps its own book of terms, of committed entries and of
applied states, and compares every node with it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from namestore.raft.replica import Role


class Violation(AssertionError):
    """An invariant of the design does not hold."""


class Watch:
    """The checker of invariants.

    Attributes:
        leaders: Who led in each term.
        committed: Index to (term, digest of the command), as first seen committed anywhere.
        states: Index to digest of the whole state there, as first seen applied anywhere.
    """

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        self.committed: dict[int, tuple[int, bytes]] = {}
        self.states: dict[int, bytes] = {}
        self.elections = 0
        self.messages = 0
        self.snapshots = 0
        self._seen_commit: dict[tuple[str, int], int] = {}
        self._seen_state: dict[tuple[str, int], int] = {}

    def turned(self, host: Any) -> None:
        """A node finished a turn."""
        engine, log = host.engine, host.log
        if engine.role is Role.LEADER:
            known = self.leaders.setdefault(engine.term, host.node_id)
            if known != host.node_id:
                raise Violation(f"term {engine.term} has two leaders: {known}, {host.node_id}")
        life = (host.node_id, host.lives)
        seen = self._seen_commit.get(life, 0)
        if engine.commit_index > seen:
            for index in range(max(seen + 1, log.first_index), engine.commit_index + 1):
                self._check_committed(host, index)
            self._seen_commit[life] = engine.commit_index
        if host.state.meta.applied_index > engine.commit_index:
            raise Violation(f"{host.node_id} applied beyond its commit index")
        applied = host.state.meta.applied_index
        if applied > self._seen_state.get(life, -1):
            self._seen_state[life] = applied
            digest = state_digest(host.state)
            if self.states.setdefault(applied, digest) != digest:
                raise Violation(f"{host.node_id} has another state at {applied} than others had")

    def _check_committed(self, host: Any, index: int) -> None:
        entry = host.log.entries(index, 1)[0]
        mark = (entry.term, hashlib.blake2b(entry.command, digest_size=8).digest())
        if self.committed.setdefault(index, mark) != mark:
            raise Violation(f"entry {index} was committed, and {host.node_id} commits another")

    def said(self, host: Any, target: str, message: dict[str, Any]) -> None:
        """A message leaves: whatever it speaks for must be durable by now."""
        self.messages += 1
        kind, log = message["type"], host.log
        if log.durable_vote[0] > message.get("term", 0):
            return  # a newer term is durable: what was held of the old one binds nobody any more
        if kind == "append_result" and message["success"]:
            if log.durable_last_index < message["index"]:
                raise Violation(f"{host.node_id} acknowledged {message['index']} before its sync")
        elif kind == "request_vote" and not message["pre_vote"]:
            self.elections += 1
            if log.durable_vote != (message["term"], host.node_id):
                raise Violation(f"{host.node_id} asked for votes before its own was durable")
        elif kind == "vote_result" and message["granted"] and not message["pre_vote"]:
            if log.durable_vote != (message["term"], target):
                raise Violation(f"{host.node_id} gave a vote that was not durable")
        elif kind == "snapshot_result":
            self.snapshots += 1

    def died(self, host: Any) -> None:
        """A node was killed: what it had acknowledged must still be there; see `said`."""

    def fatal(self, host: Any, error: Exception) -> None:
        """A node stopped itself: in a simulation without damaged files it never has to."""
        raise Violation(f"{host.node_id} stopped itself: {error!r}") from error


def state_digest(state: Any) -> bytes:
    """Of every key and value of a state."""
    digest = hashlib.blake2b(digest_size=16)
    for key, value in state.scan(b"", b""):
        digest.update(len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value)
    return digest.digest()
