"""What Raft nodes say to each other: the table of message types, and their bytes.

A new message is a new row with a new code; a row that was ever released keeps its code and its
fields for good, and `PROTOCOL_VERSION` of `hello` moves when that cannot be kept.
It knows nothing of connections, and not what a message means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namestore.raft.transport.schema import (
    BOOL,
    U32,
    UINT,
    Kind,
    MalformedMessage,
    Message,
    MessageType,
    Schema,
    blob,
    list_of,
    row_of,
)

__all__ = ["MESSAGE_BYTES_MAX", "RAFT_ROWS", "MalformedMessage", "Message", "decode", "encode"]

# The largest body between two nodes; one log entry (its limit is configured) fits many times over.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

# An operator's order, or what became of it: a few addresses, or a whole membership.
ORDER_BYTES_MAX = 256 * 1024

# What it is for stands in its first byte.
_COMMAND = blob(MESSAGE_BYTES_MAX, bytes_min=1)
_SNAPSHOT_ID = blob(64, bytes_min=1)
_FILES_MAX = 4096


def _is_plain_file_name(value: object) -> bool:
    """A receiver joins it to a directory: it must not lead out of there."""
    if type(value) is not str or not 1 <= len(value.encode("utf-8", "replace")) <= 255:
        return False
    return value not in (".", "..") and not any(c in value for c in "/\\\0")


_FILE_NAME = Kind("a plain file name", _is_plain_file_name)

# Indexes in `append_entries` are implicit: prev_index + 1, prev_index + 2, …
RAFT_ROWS = (
    MessageType(
        16,
        "request_vote",
        (
            ("term", UINT),
            ("last_log_index", UINT),
            ("last_log_term", UINT),
            ("pre_vote", BOOL),
            ("transfer", BOOL),
        ),
    ),
    MessageType(17, "vote_result", (("term", UINT), ("granted", BOOL), ("pre_vote", BOOL))),
    MessageType(
        18,
        "append_entries",
        (
            ("term", UINT),
            ("prev_index", UINT),
            ("prev_term", UINT),
            ("commit_index", UINT),
            ("read_round", UINT),
            ("entries", list_of(row_of(UINT, _COMMAND))),
        ),
    ),
    MessageType(
        19,
        "append_result",
        (
            ("term", UINT),
            ("success", BOOL),
            ("index", UINT),
            ("hint_index", UINT),
            ("hint_term", UINT),
            ("read_round", UINT),
            ("clock_ms", UINT),
        ),
    ),
    MessageType(20, "timeout_now", (("term", UINT),)),
    MessageType(
        21,
        "forward",
        (("request", UINT), ("timeout_ms", UINT), ("commands", list_of(_COMMAND))),
    ),
    MessageType(
        22,
        "forward_result",
        (("request", UINT), ("status", UINT), ("decisions", list_of(_COMMAND))),
    ),
    MessageType(23, "read_index", (("request", UINT),)),
    MessageType(
        24,
        "read_index_result",
        (("request", UINT), ("term", UINT), ("status", UINT), ("index", UINT)),
    ),
    MessageType(
        25,
        "snapshot_offer",
        (
            ("term", UINT),
            ("snapshot_id", _SNAPSHOT_ID),
            ("last_index", UINT),
            ("last_term", UINT),
            ("files", list_of(row_of(_FILE_NAME, UINT, blob(32, bytes_min=32)), _FILES_MAX)),
        ),
    ),
    MessageType(
        26,
        "snapshot_fetch",
        (
            ("term", UINT),
            ("snapshot_id", _SNAPSHOT_ID),
            ("file", UINT),
            ("offset", UINT),
            ("length", UINT),
        ),
    ),
    MessageType(
        27,
        "snapshot_chunk",
        (
            ("term", UINT),
            ("snapshot_id", _SNAPSHOT_ID),
            ("file", UINT),
            ("offset", UINT),
            ("data", blob(MESSAGE_BYTES_MAX)),
            ("crc", U32),
        ),
    ),
    MessageType(
        28,
        "snapshot_result",
        (
            ("term", UINT),
            ("snapshot_id", _SNAPSHOT_ID),
            ("last_index", UINT),
            ("installed", BOOL),
        ),
    ),
    # 29 was an order that did not say what its giver's node knew: not used again.
    MessageType(
        31,
        "order",
        (
            ("request", UINT),
            ("timeout_ms", UINT),
            ("known_index", UINT),
            ("body", blob(ORDER_BYTES_MAX)),
        ),
    ),
    MessageType(30, "order_result", (("request", UINT), ("body", blob(ORDER_BYTES_MAX)))),
)

_SCHEMA = Schema(RAFT_ROWS, MESSAGE_BYTES_MAX)


def encode(message: Mapping[str, Any]) -> bytes:
    """The bytes of a Raft message; the same message always gives the same bytes.

    Raises:
        MalformedMessage: Not exactly the fields of its type, or more than MESSAGE_BYTES_MAX.
    """
    return _SCHEMA.encode(message)


def decode(body: bytes) -> Message:
    """The Raft message in these bytes, which may come from anybody.

    Raises:
        MalformedMessage: They are anything else than exactly one well-formed message.
    """
    return _SCHEMA.decode(body)
