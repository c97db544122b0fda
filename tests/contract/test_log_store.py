"""What every log keeps to: the one on disk and its fake."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from namestore.errors import DiskFailed, InvariantViolation, StorageError
from namestore.storage.interfaces import LogEntry, LogStore
from namestore.storage.log import WalLog
from namestore.storage.log_segments import LogLimits
from tests.support.memory_stores import MemoryLog


class _Real:
    """Logs on disk. Letting go of the files is what the next process finds after a crash."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "log"
        WalLog.create(self.directory)
        self.log: LogStore = self._open()

    def restart(self) -> LogStore:
        assert isinstance(self.log, WalLog)
        if self.log._segments is not None:
            self.log._segments.close()
        self.log = self._open()
        return self.log

    def _open(self) -> WalLog:
        return WalLog.open(self.directory, LogLimits(1000, 1000))  # most reads go to the disk


class _Fake:
    def __init__(self, directory: Path) -> None:
        del directory
        self.log: LogStore = MemoryLog()

    def restart(self) -> LogStore:
        assert isinstance(self.log, MemoryLog)
        self.log.crash()
        return self.log


@pytest.fixture(params=(_Real, _Fake))
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Real | _Fake]:
    machine: _Real | _Fake = request.param(tmp_path)
    yield machine
    machine.log.close()


def _run(first: int, last: int, term: int = 1) -> list[LogEntry]:
    return [LogEntry(b"%d of %d" % (index, term), index, term) for index in range(first, last + 1)]


def _summary(log: LogStore) -> tuple[object, ...]:
    return (
        log.first_index,
        log.last_index,
        log.last_term,
        log.term,
        log.voted_for,
        log.entries(log.first_index, 10**9),
        [log.term_at(index) for index in range(log.first_index - 2, log.last_index + 2)],
    )


def test_a_new_log_is_empty(machine: _Real | _Fake) -> None:
    """Before the first entry: indexes 1 to 0, term 0, no vote, nothing to sync."""
    log = machine.log
    assert (log.first_index, log.last_index, log.last_term) == (1, 0, 0)
    assert (log.term, log.voted_for, log.commit_index, log.synced_index) == (0, None, 0, 0)
    assert not log.dirty
    assert log.entries(1, 100) == []
    assert [log.term_at(index) for index in (-1, 0, 1)] == [None, 0, None]


def test_changes_are_seen_at_once_and_durable_after_sync(machine: _Real | _Fake) -> None:
    """Reads see what is buffered; `synced_index` follows with `sync`, and survives a crash."""
    log = machine.log
    log.append(_run(1, 50))
    log.append(_run(51, 60, term=2))
    log.save_vote(2, "n1")
    assert log.dirty
    assert (log.last_index, log.last_term, log.synced_index) == (60, 2, 0)
    assert log.entries(49, 10**6) == _run(49, 50) + _run(51, 60, term=2)
    log.sync()
    assert (log.dirty, log.synced_index) == (False, 60)
    before = _summary(log)
    assert _summary(machine.restart()) == before


def test_a_crash_takes_everything_since_the_last_sync(machine: _Real | _Fake) -> None:
    """All of it or nothing: entries, vote, truncation and dropping together."""
    log = machine.log
    log.append(_run(1, 30))
    log.save_vote(1, "n2")
    log.save_commit(10)
    log.sync()
    before = _summary(log)
    log.drop_through(5)
    log.truncate_from(20)
    log.append(_run(20, 25, term=3))
    log.save_vote(3, "n3")
    assert _summary(log) != before
    assert _summary(machine.restart()) == before
    assert machine.log.synced_index == 30


def test_truncated_entries_are_gone_for_good(machine: _Real | _Fake) -> None:
    """What replaced them is what a restart finds; what came after them is not back."""
    log = machine.log
    log.append(_run(1, 30))
    log.sync()
    log.truncate_from(11)
    assert (log.last_index, log.synced_index, log.term_at(11)) == (10, 10, None)
    log.append(_run(11, 12, term=4))
    log.sync()
    log = machine.restart()
    assert log.entries(10, 10**6) == _run(10, 10) + _run(11, 12, term=4)
    assert log.last_index == 12
    log.append(_run(13, 13, term=4))
    log.sync()
    assert machine.restart().last_index == 13


def test_truncating_everything_leaves_the_term_before(machine: _Real | _Fake) -> None:
    """An emptied log still knows the entry before its first."""
    log = machine.log
    log.append(_run(1, 9, term=2))
    log.save_commit(4)
    log.drop_through(4)
    log.truncate_from(5)
    assert (log.first_index, log.last_index, log.last_term) == (5, 4, 2)
    log.sync()
    log = machine.restart()
    assert (log.first_index, log.last_index, log.last_term, log.commit_index) == (5, 4, 2, 4)


def test_truncating_beyond_the_end_changes_nothing(machine: _Real | _Fake) -> None:
    """There is nothing to remove and nothing to sync."""
    machine.log.append(_run(1, 3))
    machine.log.sync()
    machine.log.truncate_from(4)
    assert (machine.log.last_index, machine.log.dirty) == (3, False)


def test_committed_entries_are_never_removed(machine: _Real | _Fake) -> None:
    """Removing an entry at or below the commit index stops the node instead."""
    log = machine.log
    log.append(_run(1, 10))
    log.save_commit(7)
    with pytest.raises(InvariantViolation):
        log.truncate_from(7)
    assert log.last_index == 10
    log.truncate_from(8)
    assert log.last_index == 7


def test_dropping_keeps_the_last_dropped_term(machine: _Real | _Fake) -> None:
    """`first_index - 1` still has a term, everything before has none and cannot be read."""
    log = machine.log
    log.append(_run(1, 20, term=3))
    log.append(_run(21, 40, term=4))
    log.save_commit(40)
    log.sync()
    log.drop_through(20)
    log.sync()
    for _ in range(2):
        assert (log.first_index, log.last_index) == (21, 40)
        assert [log.term_at(index) for index in (19, 20, 21)] == [None, 3, 4]
        with pytest.raises(ValueError, match="dropped"):
            log.entries(20, 100)
        assert len(log.entries(21, 10**6)) == 20
        log = machine.restart()


def test_dropping_entries_that_were_not_synced_yet(machine: _Real | _Fake) -> None:
    """Append, commit, drop and then one sync: the log goes on after what was dropped."""
    log = machine.log
    log.append(_run(1, 10))
    log.save_commit(8)
    log.drop_through(6)
    log.append(_run(11, 12))
    log.sync()
    log = machine.restart()
    assert log.entries(7, 10**6) == _run(7, 12)
    assert (log.first_index, log.term_at(6)) == (7, 1)


def test_dropping_twice_or_before_the_start_changes_nothing(machine: _Real | _Fake) -> None:
    """What is dropped is dropped."""
    log = machine.log
    log.append(_run(1, 10))
    log.save_commit(10)
    log.drop_through(6)
    log.sync()
    log.drop_through(6)
    log.drop_through(2)
    assert (log.first_index, log.dirty) == (7, False)


def test_entries_that_are_not_committed_cannot_be_dropped(machine: _Real | _Fake) -> None:
    """Only what was committed can be in a snapshot."""
    machine.log.append(_run(1, 10))
    machine.log.save_commit(5)
    with pytest.raises(InvariantViolation):
        machine.log.drop_through(6)


def test_reset_goes_on_after_a_snapshot(machine: _Real | _Fake) -> None:
    """Old entries on either side of the snapshot's index are gone; new ones follow it."""
    log = machine.log
    log.append(_run(1, 100))
    log.save_commit(20)
    log.sync()
    log.reset(50, 7)
    assert (log.first_index, log.last_index, log.last_term, log.commit_index) == (51, 50, 7, 50)
    log.append(_run(51, 52, term=8))
    log.sync()
    log = machine.restart()
    assert (log.first_index, log.commit_index, log.synced_index) == (51, 50, 52)
    assert log.entries(51, 10**6) == _run(51, 52, term=8)
    assert [log.term_at(index) for index in (49, 50, 51, 53)] == [None, 7, 8, None]


def test_reset_never_goes_behind_the_commit_index(machine: _Real | _Fake) -> None:
    """A snapshot older than what is committed replaces nothing."""
    machine.log.append(_run(1, 10))
    machine.log.save_commit(8)
    with pytest.raises(InvariantViolation):
        machine.log.reset(7, 1)


def test_entries_fit_into_the_bytes_asked_for(machine: _Real | _Fake) -> None:
    """As many as fit, but at least one; none beyond the end; same on disk and in memory."""
    log = machine.log
    log.append([LogEntry(b"x" * 100, index, 1) for index in range(1, 31)])
    log.sync()
    for start in (1, 15, 25):
        assert [entry.index for entry in log.entries(start, 250)] == [start, start + 1]
        assert [entry.index for entry in log.entries(start, 200)] == [start, start + 1]
        assert [entry.index for entry in log.entries(start, 1)] == [start]
    assert [entry.index for entry in log.entries(30, 1000)] == [30]
    assert log.entries(31, 1000) == []


@pytest.mark.parametrize(
    "bad",
    (
        [LogEntry(b"", 5, 1)],
        [LogEntry(b"", 3, 1)],
        [LogEntry(b"", 4, 1), LogEntry(b"", 6, 1)],
        [LogEntry(b"", 4, 0)],
    ),
)
def test_entries_must_follow_on(machine: _Real | _Fake, bad: list[LogEntry]) -> None:
    """No gap, no repetition, no term that goes back; nothing of such a run is taken."""
    machine.log.append(_run(1, 3))
    with pytest.raises(InvariantViolation):
        machine.log.append(bad)
    assert machine.log.last_index == 3


def test_votes_are_not_taken_back(machine: _Real | _Fake) -> None:
    """One vote a term, and terms only grow."""
    log = machine.log
    log.save_vote(3, None)
    log.save_vote(3, "n1")
    log.sync()
    log = machine.restart()
    assert (log.term, log.voted_for) == (3, "n1")
    log.save_vote(3, "n1")
    assert not log.dirty
    for term, voted_for in ((3, "n2"), (3, None), (2, "n1")):
        with pytest.raises(InvariantViolation):
            log.save_vote(term, voted_for)
    log.save_vote(4, None)
    assert (log.term, log.voted_for, log.dirty) == (4, None, True)


def test_the_commit_index_needs_no_sync_of_its_own(machine: _Real | _Fake) -> None:
    """It is not dirt; it reaches the disk together with the next change."""
    log = machine.log
    log.append(_run(1, 10))
    log.sync()
    log.save_commit(4)
    assert (log.commit_index, log.dirty) == (4, False)
    log.append(_run(11, 11))
    log.sync()
    assert machine.restart().commit_index == 4


def test_the_commit_index_stays_within_the_log_and_goes_forward(machine: _Real | _Fake) -> None:
    """Neither beyond the last entry nor backwards."""
    log = machine.log
    log.append(_run(1, 10))
    log.save_commit(4)
    for index in (11, 3):
        with pytest.raises(InvariantViolation):
            log.save_commit(index)
    assert log.commit_index == 4


def test_a_closed_log_refuses_and_closes_twice(machine: _Real | _Fake) -> None:
    """Nothing is read or written after `close`."""
    machine.log.close()
    machine.log.close()
    for call in (machine.log.sync, lambda: machine.log.entries(1, 1)):
        with pytest.raises(StorageError):
            call()


def test_a_failed_disk_is_never_tried_again() -> None:
    """After DiskFailed every call refuses, and what was synced before is what is left."""
    log = MemoryLog()
    log.append(_run(1, 3))
    log.sync()
    log.append(_run(4, 5))
    log.disk_fails = True
    with pytest.raises(DiskFailed):
        log.sync()
    log.disk_fails = False
    for call in (log.sync, lambda: log.append(_run(6, 6)), lambda: log.term_at(1)):
        with pytest.raises(DiskFailed):
            call()
    log.crash()
    assert log.last_index == 3


@pytest.mark.parametrize("seed", range(8))
def test_random_histories_end_alike(tmp_path: Path, seed: int) -> None:
    """The log on disk and the fake agree after every step of a long random history."""
    rng = random.Random(seed)
    real, fake = _Real(tmp_path), _Fake(tmp_path)
    for _ in range(150):
        step = _random_step(rng, fake.log)
        for machine in (real, fake):
            if step is None:
                machine.restart()
            else:
                step(machine.log)
        assert _summary(real.log) == _summary(fake.log)
        assert real.log.synced_index == fake.log.synced_index
        assert real.log.commit_index == fake.log.commit_index
        assert real.log.dirty == fake.log.dirty
    real.log.close()


def _random_step(rng: random.Random, log: LogStore) -> Callable[[LogStore], None] | None:
    """Something a Raft could do to a log in this position; None: crash and restart."""
    kind = rng.randrange(9)
    if kind <= 2:
        term = max(log.last_term, log.term) + (rng.random() < 0.1)
        run = [
            LogEntry(rng.randbytes(rng.choice((5, 300, 5000))), log.last_index + 1 + n, term)
            for n in range(rng.randrange(1, 12))
        ]
        return lambda target: target.append(run)
    if kind == 3:
        term = log.term + 1
        return lambda target: target.save_vote(term, "n1")
    if kind == 4:
        commit = rng.randint(log.commit_index, log.last_index)
        return lambda target: target.save_commit(commit)
    if kind == 5 and log.last_index > log.commit_index:
        cut = rng.randint(log.commit_index + 1, log.last_index)
        return lambda target: target.truncate_from(cut)
    if kind == 6 and log.commit_index >= log.first_index:
        drop = rng.randint(log.first_index, log.commit_index)
        return lambda target: target.drop_through(drop)
    if kind == 7:
        if rng.random() < 0.6:
            return None
        index, term = log.commit_index + rng.randrange(20), log.last_term + 1
        return lambda target: target.reset(index, term)
    return lambda target: target.sync()
