"""Whether a log and a state belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.errors import DiskDamaged
from namestore.storage.interfaces import LogEntry
from namestore.storage.reconcile import reconcile
from tests.support.memory_stores import MemoryLog, MemoryState


def _log(first: int, last: int, term: int = 1, commit: int | None = None) -> MemoryLog:
    log = MemoryLog()
    if first > 1:
        log.reset(first - 1, term)
    log.append([LogEntry(b"x", index, term) for index in range(first, last + 1)])
    log.save_commit(log.commit_index if commit is None else commit)
    log.sync()
    return log


def _state(applied: int, term: int = 1) -> MemoryState:
    state = MemoryState()
    if applied:
        meta = StateMeta(applied_index=applied, applied_term=term)
        state.write({META_KEY: encode_meta(meta)}, meta)
        state.flush()
    return state


def _installed(applied: int, term: int = 1) -> MemoryState:
    """A state that is the snapshot it was installed from."""
    state = MemoryState()
    source = _state(applied, term).checkpoint()
    state.disk.directories[Path("in")] = {"table": source.read(0, 0, source.files()[0].size)}
    state.install(Path("in"))
    return state


@pytest.mark.parametrize(
    ("log", "applied"),
    (
        (MemoryLog(), 0),
        (_log(1, 10), 0),
        (_log(1, 10), 10),
        (_log(4, 10), 3),
        (_log(4, 3), 3),
    ),
)
def test_a_state_within_its_log_is_fine(log: MemoryLog, applied: int) -> None:
    """From just before the first entry to the last one; the log itself does not change."""
    before = log.first_index, log.last_index
    reconcile(log, _state(applied))
    assert (log.first_index, log.last_index) == before
    assert log.commit_index >= applied


def test_what_was_applied_was_committed() -> None:
    """A commit index that had not reached the disk is put right."""
    log = _log(1, 10, commit=2)
    reconcile(log, _state(7))
    assert log.commit_index == 7


def test_a_gap_is_refused() -> None:
    """The entries between state and log are nowhere: replaying is impossible."""
    with pytest.raises(DiskDamaged, match=r"ends at entry 2, and the log begins at 4.*--wipe"):
        reconcile(_log(4, 10), _state(2))


@pytest.mark.parametrize("log", (_log(1, 10), _log(1, 10, term=2), MemoryLog()))
def test_the_log_goes_on_from_an_installed_snapshot(log: MemoryLog) -> None:
    """A crash between installing a snapshot and telling the log: it is told now, durably."""
    reconcile(log, _installed(20, term=3))
    log.crash()
    assert (log.first_index, log.last_index, log.last_term) == (21, 20, 3)
    assert log.commit_index == 20


def test_a_snapshot_replaces_entries_of_another_term() -> None:
    """An uncommitted tail that contradicts the snapshot goes."""
    log = _log(1, 10, term=1, commit=3)
    reconcile(log, _installed(8, term=2))
    assert (log.first_index, log.last_index, log.last_term) == (9, 8, 2)


def test_entries_after_a_snapshot_that_agrees_are_kept() -> None:
    """Raft paper, figure 13, step 6: the same entry in the log means that what follows is good."""
    log = _log(1, 10, commit=3)
    reconcile(log, _installed(8))
    assert (log.first_index, log.last_index, log.commit_index) == (1, 10, 8)


def test_a_log_that_lost_its_end_is_refused() -> None:
    """Without a snapshot, a state ahead of its log means that the log was tampered with."""
    with pytest.raises(DiskDamaged, match="applied entry 12 of term 1"):
        reconcile(_log(1, 10), _state(12))


def test_other_entries_than_those_applied_are_refused() -> None:
    """The same index with another term: not the log that made this state."""
    with pytest.raises(DiskDamaged, match="applied entry 8 of term 2"):
        reconcile(_log(1, 10, term=3), _state(8, term=2))


def test_a_snapshot_against_committed_entries_is_refused() -> None:
    """Two committed entries at one index: somebody's disk is wrong, and nobody knows whose."""
    with pytest.raises(DiskDamaged, match="committed it with term 1"):
        reconcile(_log(1, 10, commit=9), _installed(8, term=2))
