"""The newest entries of the log, kept in memory.

Followers that keep up are answered from here, so that replication rarely reads the disk. Entries
that are not on the disk yet are never let go; the others leave, oldest first, once all together
exceed the budget of bytes. It holds an unbroken run of indexes that ends at the log's last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from namestore.storage.interfaces import LogEntry

# What an entry costs beside its command: the tuple, two integers and its slot in the list.
_ENTRY_OVERHEAD_BYTES = 160


class LogTail:
    """An unbroken run of entries, appended at one end and forgotten at the other."""

    def __init__(self, bytes_max: int, next_index: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        # Entries before `_head` were let go; the list is cut once they are the larger part, so
        # that letting go costs a constant amount each.
        self._entries: list[LogEntry] = []
        self._head = 0
        self._first_index = next_index  # of _entries[_head]; the next one to come when empty

    @property
    def first_index(self) -> int:
        """Of the oldest entry held; the index that would come next when none is."""
        return self._first_index

    def get(self, index: int) -> LogEntry | None:
        """The entry at `index`, when it is held."""
        at = self._head + index - self._first_index
        if index < self._first_index or at >= len(self._entries):
            return None
        return self._entries[at]

    def run(self, start: int, stop: int) -> Sequence[LogEntry]:
        """The entries from `start` to just before `stop`, all of which must be held."""
        offset = self._head - self._first_index
        return self._entries[start + offset : stop + offset]

    def extend(self, entries: Sequence[LogEntry]) -> None:
        """Adds entries that follow on."""
        self._entries.extend(entries)
        self._bytes += sum(_cost(entry) for entry in entries)

    def cut_from(self, index: int) -> None:
        """Removes the entries from `index` on; they need not be held."""
        at = self._head + max(index - self._first_index, 0)
        self._bytes -= sum(_cost(entry) for entry in self._entries[at:])
        del self._entries[at:]
        self._first_index = min(self._first_index, index)

    def restart(self, next_index: int) -> None:
        """Forgets everything; `next_index` comes next."""
        self._entries, self._head, self._bytes = [], 0, 0
        self._first_index = next_index

    def shrink(self, keep_from: int) -> None:
        """Lets the oldest go until the budget is kept; never one at `keep_from` or after."""
        while self._bytes > self._bytes_max and self._first_index < keep_from:
            if self._head >= len(self._entries):
                break
            self._bytes -= _cost(self._entries[self._head])
            self._head += 1
            self._first_index += 1
        if self._head > len(self._entries) // 2:
            del self._entries[: self._head]
            self._head = 0


def _cost(entry: LogEntry) -> int:
    return len(entry.command) + _ENTRY_OVERHEAD_BYTES


def take(
    entries: Iterable[LogEntry], room: int, found: list[LogEntry]
) -> tuple[list[LogEntry], int]:
    """Adds entries to `found` while they fit into `room` bytes, but at least one in all.

    None is fetched once the room is used up.
    """
    for entry in entries:
        room -= len(entry.command)
        if room < 0 and found:
            break
        found.append(entry)
        if room <= 0:
            break
    return found, room
