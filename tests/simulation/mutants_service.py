"""Deliberate faults in what is made of it: the state, snapshots, reads, and what callers are told.

See `tests.simulation.mutants_agreement`.
"""

from __future__ import annotations

from typing import Any

from namestore.core.commands import decode_entry
from namestore.core.registry import apply_entry
from namestore.core.state import OUTCOME_PREFIX
from namestore.raft.engine import Engine
from namestore.raft.following import KIND_COMMANDS
from namestore.raft.proposals import Proposal
from namestore.storage.interfaces import LogEntry

Message = dict[str, Any]


class _Forgetful:
    """A state whose remembered outcomes cannot be seen."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def get_many(self, keys: Any) -> list[bytes | None]:
        values = self.state.get_many(keys)
        return [None if k[:1] == OUTCOME_PREFIX else v for k, v in zip(keys, values, strict=True)]

    def scan(self, start: bytes, prefix: bytes) -> Any:
        return self.state.scan(start, prefix)


# -- reads and answers ------------------------------------------------------------------------


class ReadsUnconfirmed(Engine):
    """A leader answers reads without asking whether it still leads."""

    def _finish_round(self) -> None:
        for progress in self._progress.values():
            progress.read_round = self._read_round
        super()._finish_round()


class ReadsTooEarly(Engine):
    """A new leader answers reads before an entry of its own term is committed."""

    def _lead(self) -> None:
        super()._lead()
        self._first_of_term = 0


class ReadsUnapplied(Engine):
    """A follower answers before it has applied as far as the leader said."""

    def _on_read_index_result(self, peer: str, message: Message) -> None:
        super()._on_read_index_result(peer, message | {"index": min(message["index"], 1)})


class SaysCertainlyNot(Engine):
    """A proposal that is in the log, and not decided in time, is called certainly not done."""

    def _append_batch(self, batch: list[Proposal], *arguments: Any) -> None:
        super()._append_batch(batch, *arguments)
        for proposal in batch:
            proposal.attempted = False


# -- state ------------------------------------------------------------------------------------


class AppliesTwice(Engine):
    """After a restart the last entry is applied once more, by one who remembers no request."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        applied = self.applied_index
        if applied >= self._log.first_index:
            entry = self._log.entries(applied, 1)[0]
            if entry.command[0] == KIND_COMMANDS:
                before = self._state.meta._replace(applied_index=applied - 1)
                again = apply_entry(
                    _Forgetful(self._state),
                    before,
                    applied,
                    entry.term,
                    decode_entry(entry.command[1:]),
                )
                self._state.write(again.changes, again.meta)


class SkipsOne(Engine):
    """After a restart one entry is counted as applied, and is not."""

    _skipped = False

    def _apply(self, entry: LogEntry) -> None:
        if self._skipped or entry.index < 20:
            super()._apply(entry)
            return
        self._skipped = True
        real = self._state.write
        self._state.write = lambda changes, meta: real({b"m": changes[b"m"]}, meta)  # type: ignore[method-assign]
        super()._apply(entry)
        self._state.write = real  # type: ignore[method-assign]


class RequestsForgotten(Engine):
    """Nobody remembers what was decided: a retry is decided anew."""

    def _apply(self, entry: LogEntry) -> None:
        real = self._state
        self._state = _WithWrite(real)  # type: ignore[assignment]
        super()._apply(entry)
        self._state = real


class _WithWrite(_Forgetful):
    @property
    def meta(self) -> Any:
        return self.state.meta

    def write(self, changes: Any, meta: Any) -> None:
        self.state.write(changes, meta)


class SnapshotWithoutRequests(Engine):
    """A snapshot carries the names, and not what was decided."""

    def _install(self, arrival: Any) -> None:
        super()._install(arrival)
        outcomes = [key for key, _ in self._state.scan(OUTCOME_PREFIX, OUTCOME_PREFIX)]
        self._state.write(dict.fromkeys(outcomes), self._state.meta)


class SnapshotKeepsLog(Engine):
    """A snapshot replaces the state, and the log keeps its entries, conflicting ones as well."""

    def _install(self, arrival: Any) -> None:
        log: Any = self._log
        real, save_commit = log.reset, log.save_commit
        if self._log.last_index >= arrival.last_index:
            log.reset = lambda index, term: None
        super()._install(arrival)
        log.reset, log.save_commit = real, save_commit
