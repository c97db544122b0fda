"""The seams to the disk: what the engine needs of a log and of a state, as contracts.

Each has an in-memory fake under tests/support that keeps what was synced apart from what was not;
one contract suite runs on the fake and on the real thing.

Both belong to one thread, the Raft thread, except where a method says otherwise. A write or sync
that fails raises `DiskFailed`; after that the object refuses every further call: what reached the
disk is not known, and the process must stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from namestore.core.state import StateMeta, StateReader


class LogEntry(NamedTuple):
    """One entry of the Raft log, laid out as PySyncObj lays it out.

    Attributes:
        command: One byte of kind, then what the kind holds.
        index: 1 for the first entry ever, then one more each.
        term: Of the leader that made it.
    """

    command: bytes
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int


class LogStore(Protocol):
    """The Raft log and what Raft must not forget beside it (Raft paper, figure 2).

    Changes are buffered, seen by every read at once, and on stable storage only after `sync`:
    all of them or, after a crash, none of those since the last one. Indexes have no gap:
    `first_index <= index <= last_index`, and `first_index == last_index + 1` when empty.
    """

    @property
    def first_index(self) -> int:
        """Of the oldest entry kept."""
        ...

    @property
    def last_index(self) -> int:
        """Of the newest entry; `first_index - 1` when there is none."""
        ...

    @property
    def last_term(self) -> int:
        """Of the newest entry, or of the one just before `first_index` when there is none."""
        ...

    @property
    def term(self) -> int:
        """The current term."""
        ...

    @property
    def voted_for(self) -> str | None:
        """The node voted for in the current term."""
        ...

    @property
    def commit_index(self) -> int:
        """The last entry known to be committed when this was saved; never beyond `last_index`."""
        ...

    @property
    def dirty(self) -> bool:
        """Something was changed since the last `sync`."""
        ...

    @property
    def synced_index(self) -> int:
        """The newest entry that is on stable storage; at most `last_index`."""
        ...

    def term_at(self, index: int) -> int | None:
        """Of the entry at `index`, from `first_index - 1` to `last_index`; elsewhere None."""
        ...

    def entries(self, start: int, bytes_max: int) -> list[LogEntry]:
        """From `start` on, until their commands exceed `bytes_max` together; at least one.

        Empty when `start` is beyond `last_index`.

        Raises:
            DiskDamaged: An entry does not match its checksum.
            ValueError: `start` was dropped.
        """
        ...

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Adds entries that follow `last_index` without a gap. Buffered."""
        ...

    def truncate_from(self, index: int) -> None:
        """Removes the entries from `index` on. Buffered.

        Raises `InvariantViolation`: one of them is at or below `commit_index`.
        """
        ...

    def drop_through(self, index: int) -> None:
        """Forgets the entries up to and including `index`, keeping its term. Buffered.

        The cost now does not depend on how many they are; their space comes back bit by bit.
        """
        ...

    def reset(self, index: int, term: int) -> None:
        """Forgets every entry; the log goes on after (`index`, `term`), which is committed.

        Buffered. Used when a snapshot replaces the log.
        """
        ...

    def save_vote(self, term: int, voted_for: str | None) -> None:
        """Sets the current term and the vote given in it. Buffered. Terms never go back."""
        ...

    def save_commit(self, index: int) -> None:
        """Sets the commit index; at most `last_index`, never backwards. Needs no `sync`."""
        ...

    def sync(self) -> None:
        """Puts every buffered change on stable storage, in one atomic step.

        Releases the interpreter lock while it waits. Free when nothing is dirty.

        Raises `DiskFailed`: nothing can be said about what reached the disk: stop.
        """
        ...

    def mark(self) -> None:
        """Notes durably how far the log is synced: what is lost of it from now on is missed.

        A write that nobody waits for; free when nothing is new. Raises as `sync`.
        """
        ...

    def close(self) -> None:
        """Marks, and lets go of the files. May be called twice. Raises as `sync`."""
        ...


class CheckpointFile(NamedTuple):
    """One file of a checkpoint. `name` is a plain file name; `checksum` is its SHA-256."""

    name: str
    size: int
    checksum: bytes


class Checkpoint(Protocol):
    """A frozen copy of the state at one index, as plain files. May be read from any thread."""

    @property
    def meta(self) -> StateMeta:
        """Where the copy stands; `applied_index` and `applied_term` name the snapshot."""
        ...

    @property
    def path(self) -> Path:
        """The directory that holds the files."""
        ...

    def files(self) -> list[CheckpointFile]:
        """What it consists of. Any thread but the Raft thread.

        Reads everything the first time, to make the checksums, and to find damage before it is
        handed on.

        Raises:
            DiskDamaged: It is not what was written: no other node may have it.
        """
        ...

    def read(self, file: int, offset: int, length: int) -> bytes:
        """A piece of the file at that place of `files()`; shorter at its end."""
        ...

    def release(self) -> None:
        """The copy may be removed once everybody who holds it has released it."""
        ...


class StateStore(Protocol):
    """The registry's state: sorted keys and values, changed in atomic steps.

    A change is visible at once and durable later: after a crash the state is the one after some
    earlier change, whole, and the log replays the rest. `durable_index` says how far it is sure.
    """

    @property
    def meta(self) -> StateMeta:
        """Of the last change. Safe to read from any thread."""
        ...

    @property
    def durable_index(self) -> int:
        """Entries up to this one need no replay after a crash: the log may forget them."""
        ...

    @property
    def installed_index(self) -> int:
        """Where the snapshot stood that `install` put in last; 0: none. Durable with it.

        After a crash it tells a log that was about to be replaced from one that lost entries.
        """
        ...

    def write(self, changes: Mapping[bytes, bytes | None], meta: StateMeta) -> None:
        """Makes all changes in one atomic step (None deletes). `changes` holds the meta as well.

        Raises `DiskFailed`: the process must stop.
        """
        ...

    def view(self) -> AbstractContextManager[StateView]:
        """An unchanging picture of the state. Any thread; cheap; close it soon."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As `StateReader`, of the present state."""
        ...

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As `StateReader`, of the present state."""
        ...

    def flush(self) -> None:
        """Makes everything written so far durable and moves `durable_index` up to it."""
        ...

    def checkpoint(self) -> Checkpoint:
        """Freezes the present state as files, at a cost that does not grow with it."""
        ...

    def install(self, directory: Path) -> None:
        """Replaces the whole state by a verified checkpoint's files, atomically, and moves them.

        Views taken before stay valid. A crash at any point leaves the old state or the new one.

        Raises `DiskDamaged`: `directory` cannot be opened as a state; the old one stays.
        """
        ...

    def close(self) -> None:
        """Flushes and lets go. May be called twice."""
        ...


class StateView(StateReader, Protocol):
    """A picture of the state at `meta`."""

    @property
    def meta(self) -> StateMeta:
        """Where this picture stands."""
        ...


class IncomingSnapshot(Protocol):
    """A snapshot from another node while it arrives, piece by piece, and survives a restart."""

    def begin(self, snapshot_id: bytes, files: Sequence[CheckpointFile]) -> None:
        """Expects these files. What arrived of the same snapshot before is kept, all else removed.

        Raises ValueError: a name that is not a plain file name, or a name twice.
        """
        ...

    def wanted(self) -> tuple[int, int, int] | None:
        """The next piece to ask for: file, offset, bytes left of it. None: everything is there."""
        ...

    def write(self, file: int, offset: int, data: bytes) -> bool:
        """Stores a piece. False, and nothing done: it is not the one that is wanted."""
        ...

    def verify(self) -> bool:
        """Lengths and checksums are as announced, and everything is on stable storage.

        Any thread. False: the arrival is discarded and may begin again.
        """
        ...

    @property
    def directory(self) -> Path:
        """Where the files are."""
        ...

    def discard(self) -> None:
        """Removes what arrived."""
        ...
