"""The bytes of the log on disk: one record per entry, and one beside them for the rest.

| key                   | value                                                                |
|-----------------------|----------------------------------------------------------------------|
| one zero byte         | crc32 (4), then MessagePack: `LOG_FORMAT` and the fields of `LogMeta`  |
| index (8, big-endian) | crc32 (4), term (8), command; the crc32 covers index, term, command   |

The index is under the checksum although it is the key, so that a record that turns up at another
place is not taken for the one that belongs there. These bytes are for ever: a change of layout is
a new `LOG_FORMAT`, and the old one stays readable.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, NamedTuple

import msgpack

from namestore.storage.interfaces import LogEntry

LOG_FORMAT = 1

# Sorts before every entry: the indexes begin at 1, in eight bytes.
META_KEY = b"\x00"

_CHECKSUM = struct.Struct(">I")
_INDEX = struct.Struct(">Q")
_TERM = struct.Struct(">Q")
_COMMAND_AT = _CHECKSUM.size + _TERM.size


class LogMeta(NamedTuple):
    """What stands beside the entries.

    Attributes:
        term: The current term.
        voted_for: The node voted for in it.
        commit_index: first_index - 1 <= commit_index <= last_index.
        first_index: Of the oldest entry that counts; older records may still lie about.
        base_term: Of the entry just before `first_index`.
        last_index: Of the newest entry that counts.
    """

    term: int = 0
    voted_for: str | None = None
    commit_index: int = 0
    first_index: int = 1
    base_term: int = 0
    last_index: int = 0


class BadRecord(ValueError):
    """Bytes that are not what was once written. The text is the finding."""


class NewerFormat(ValueError):
    """A layout this program does not know; `found` says which."""

    def __init__(self, found: object) -> None:
        super().__init__(f"format {found}")
        self.found = found


def entry_key(index: int) -> bytes:
    """Where the entry at `index` is kept."""
    return _INDEX.pack(index)


def key_index(key: bytes) -> int:
    """The reverse of `entry_key`."""
    index: int = _INDEX.unpack(key)[0]
    return index


def encode_entry(entry: LogEntry) -> bytes:
    """The record of an entry."""
    term = _TERM.pack(entry.term)
    return _CHECKSUM.pack(_entry_checksum(entry.index, term, entry.command)) + term + entry.command


def decode_entry(index: int, record: bytes) -> LogEntry:
    """The reverse of `encode_entry`.

    Raises:
        BadRecord: The checksum does not match.
    """
    if len(record) < _COMMAND_AT:
        raise BadRecord(f"the record of entry {index} is {len(record)} bytes short of its header")
    term, command = record[_CHECKSUM.size : _COMMAND_AT], record[_COMMAND_AT:]
    if _CHECKSUM.unpack_from(record)[0] != _entry_checksum(index, term, command):
        raise BadRecord(f"entry {index} does not match its checksum")
    return LogEntry(command, index, _TERM.unpack(term)[0])


def encode_log_meta(meta: LogMeta) -> bytes:
    """The record beside the entries."""
    body: bytes = msgpack.packb((LOG_FORMAT, *meta))
    return _CHECKSUM.pack(zlib.crc32(body)) + body


def decode_log_meta(record: bytes) -> LogMeta:
    """The reverse of `encode_log_meta`.

    Raises:
        BadRecord: The checksum does not match, or the numbers contradict each other.
        NewerFormat: Written by a newer version.
    """
    body = record[_CHECKSUM.size :]
    if len(record) <= _CHECKSUM.size or _CHECKSUM.unpack_from(record)[0] != zlib.crc32(body):
        raise BadRecord("the record of term, vote and commit index does not match its checksum")
    fields: Any = msgpack.unpackb(body)
    if fields[0] != LOG_FORMAT:
        raise NewerFormat(fields[0])
    meta = LogMeta(*fields[1:])
    if meta.last_index < meta.commit_index:
        raise BadRecord(
            f"the log ends at {meta.last_index}, but the entries up to {meta.commit_index} were "
            "committed"
        )
    if not 1 <= meta.first_index <= meta.last_index + 1:
        raise BadRecord(f"the log cannot go from {meta.first_index} to {meta.last_index}")
    return meta


def _entry_checksum(index: int, term: bytes, command: bytes) -> int:
    return zlib.crc32(command, zlib.crc32(term, zlib.crc32(_INDEX.pack(index))))
