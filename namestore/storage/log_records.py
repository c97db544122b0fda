"""Records of the log, and the entries in them, as bytes; the layout is told in `log_format`."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgpack

from namestore.storage.interfaces import LogEntry
from namestore.storage.log_format import BadRecord, LogMeta

RECORD_MAGIC = b"\xd7rec"

_RECORD_HEAD = struct.Struct(">4sIQIIIII")
_ENTRY_HEAD = struct.Struct(">IIQ")
_INDEX_AND_TERM = struct.Struct(">QQ")
# Where what the checksum covers begins.
_COVERED_AT = 8
# Whatever claims to have more is none: what is searched may be chosen by a caller.
_FIELDS_BYTES_MAX = 1024

ENTRY_HEAD_BYTES = _ENTRY_HEAD.size


class LogRecord(NamedTuple):
    """A record as it was found.

    Attributes:
        sequence: Its number.
        checksum: Its own.
        previous: That of the record it was written behind.
        meta: As it is from this record on.
        offsets: Where each added entry begins, from the beginning of the segment.
        end: Where the next record begins.
    """

    sequence: int
    checksum: int
    previous: int
    meta: LogMeta
    offsets: list[int]
    end: int


def encode_record(
    log_id: int, sequence: int, previous: int, meta: LogMeta, added: Sequence[LogEntry]
) -> tuple[bytes, int, list[int]]:
    """A record, its checksum, and where in it each of its entries begins.

    Args:
        log_id: Of the log.
        sequence: Its number.
        previous: The checksum of the record before it; 0: there is none.
        meta: As it is from now on.
        added: The last of them is the meta's `last_index`.
    """
    fields: bytes = msgpack.packb(tuple(meta))
    parts = [b"", fields]
    offsets = []
    offset = _RECORD_HEAD.size + len(fields)
    contents = 0
    for command, index, term in added:
        head = _ENTRY_HEAD.pack(_entry_checksum(index, term, command), len(command), term)
        contents = zlib.crc32(head, contents)
        parts += (head, command)
        offsets.append(offset)
        offset += ENTRY_HEAD_BYTES + len(command)
    size = offset - _RECORD_HEAD.size - len(fields)
    numbers = sequence, previous, contents, len(fields), len(added), size
    unsigned = _RECORD_HEAD.pack(RECORD_MAGIC, 0, *numbers)
    checksum = _record_checksum(log_id, unsigned, fields)
    parts[0] = _RECORD_HEAD.pack(RECORD_MAGIC, checksum, *numbers)
    return b"".join(parts), checksum, offsets


def decode_record(log_id: int, data: bytes, at: int) -> LogRecord:
    """The record that begins at `at`, with everything it holds checked.

    Raises:
        BadRecord: What is there is not a whole record of that log.
    """
    head = _decode_record_head(log_id, data, at)
    offset = at + _RECORD_HEAD.size + head.fields_bytes
    end = offset + head.size
    if end > len(data):
        raise BadRecord(f"it ends within record {head.sequence}")
    offsets, contents = [], 0
    for index in range(head.meta.last_index - head.added + 1, head.meta.last_index + 1):
        offsets.append(offset)
        command = decode_entry(index, data, offset, end).command
        contents = zlib.crc32(data[offset : offset + ENTRY_HEAD_BYTES], contents)
        offset += ENTRY_HEAD_BYTES + len(command)
    if (offset, contents) != (end, head.contents):
        raise BadRecord(f"record {head.sequence} does not hold the entries it was written with")
    return LogRecord(head.sequence, head.checksum, head.previous, head.meta, offsets, end)


def find_record_after(log_id: int, data: bytes, at: int, sequence: int) -> int | None:
    """The number of some record beyond `at` that is not older than `sequence`; None: there is none.

    What a record holds is not looked at: that it was begun shows that those before it were whole.
    """
    while (at := data.find(RECORD_MAGIC, at + 1)) >= 0:
        try:
            found = _decode_record_head(log_id, data, at).sequence
        except BadRecord:
            continue
        if found >= sequence:
            return found
    return None


class _RecordHead(NamedTuple):
    """What stands before the entries of a record."""

    meta: LogMeta
    checksum: int
    sequence: int
    previous: int
    contents: int
    fields_bytes: int
    added: int
    size: int


def _decode_record_head(log_id: int, data: bytes, at: int) -> _RecordHead:
    if len(data) - at < _RECORD_HEAD.size:
        raise BadRecord("it ends within a record")
    magic, checksum, *numbers = _RECORD_HEAD.unpack_from(data, at)
    fields_bytes: int = numbers[3]
    if magic == RECORD_MAGIC and fields_bytes <= _FIELDS_BYTES_MAX:
        head = data[at : at + _RECORD_HEAD.size]
        fields = data[at + _RECORD_HEAD.size : at + _RECORD_HEAD.size + fields_bytes]
        if checksum == _record_checksum(log_id, head, fields):
            return _RecordHead(_decode_fields(fields), checksum, *numbers)
    raise BadRecord(f"what stands at byte {at} is no record of this log")


def _decode_fields(fields: bytes) -> LogMeta:
    try:
        return LogMeta(*msgpack.unpackb(fields))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadRecord(f"term, vote and indexes cannot be read: {error}") from error


def _record_checksum(log_id: int, head: bytes, fields: bytes) -> int:
    covered = zlib.crc32(head[_COVERED_AT:], zlib.crc32(log_id.to_bytes(8, "big")))
    return zlib.crc32(fields, covered)


# -- entries ----------------------------------------------------------------------------------


def decode_entry(index: int, data: bytes, at: int, end: int) -> LogEntry:
    """The entry that begins at `at` and ends before `end`, against its checksum.

    Raises:
        BadRecord: It is not what was written there as the entry at `index`.
    """
    if end - at < ENTRY_HEAD_BYTES:
        raise BadRecord(f"entry {index} is short of its header")
    checksum, size, term = _ENTRY_HEAD.unpack_from(data, at)
    begin = at + ENTRY_HEAD_BYTES
    command = data[begin : begin + size]
    if begin + size > end or checksum != _entry_checksum(index, term, command):
        raise BadRecord(f"entry {index} does not match its checksum")
    return LogEntry(command, index, term)


def entry_bytes(data: bytes) -> int:
    """How long the entry is, its header included, that begins with `data`; 0: that is too short."""
    if len(data) < ENTRY_HEAD_BYTES:
        return 0
    size: int = _ENTRY_HEAD.unpack_from(data)[1]
    return ENTRY_HEAD_BYTES + size


def _entry_checksum(index: int, term: int, command: bytes) -> int:
    return zlib.crc32(command, zlib.crc32(_INDEX_AND_TERM.pack(index, term)))
