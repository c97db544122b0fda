"""The messages between nodes: their bytes, and what is not one of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namestore.raft.transport.messages import RAFT_ROWS, MalformedMessage, decode, encode
from namestore.raft.transport.schema import BOOL, UINT, MessageType, Schema, list_of

SHA = bytes(range(32))
GOLDEN: dict[str, tuple[dict[str, Any], str]] = {
    "request_vote": (
        {
            "term": 7,
            "last_log_index": 300,
            "last_log_term": 6,
            "pre_vote": True,
            "transfer": False,
        },
        "961007cd012c06c3c2",
    ),
    "vote_result": ({"term": 7, "granted": True, "pre_vote": False}, "941107c3c2"),
    "append_entries": (
        {
            "term": 7,
            "prev_index": 9,
            "prev_term": 6,
            "commit_index": 8,
            "read_round": 3,
            "entries": [[6, b"a"], [7, b"b"]],
        },
        "97120709060803929206c401619207c40162",
    ),
    "append_result": (
        {
            "term": 7,
            "success": False,
            "index": 0,
            "hint_index": 5,
            "hint_term": 4,
            "read_round": 3,
            "clock_ms": 1,
        },
        "981307c20005040301",
    ),
    "timeout_now": ({"term": 7}, "921407"),
    "forward": (
        {"request": 1, "timeout_ms": 5000, "commands": [b"x", b"y"]},
        "941501cd138892c40178c40179",
    ),
    "forward_result": ({"request": 1, "status": 0, "decisions": [b"z"]}, "9416010091c4017a"),
    "read_index": ({"request": 2}, "921702"),
    "read_index_result": ({"request": 2, "term": 7, "status": 1, "index": 8}, "951802070108"),
    "snapshot_offer": (
        {
            "term": 7,
            "snapshot_id": b"s",
            "last_index": 9,
            "last_term": 6,
            "files": [["a.sst", 10, SHA]],
        },
        "961907c4017309069193a5612e7373740ac420" + SHA.hex(),
    ),
    "snapshot_fetch": (
        {"term": 7, "snapshot_id": b"s", "file": 0, "offset": 4, "length": 6},
        "961a07c40173000406",
    ),
    "snapshot_chunk": (
        {
            "term": 7,
            "snapshot_id": b"s",
            "file": 0,
            "offset": 4,
            "data": b"d",
            "crc": 0xFFFFFFFF,
        },
        "971b07c401730004c40164ceffffffff",
    ),
    "snapshot_result": (
        {"term": 7, "snapshot_id": b"s", "last_index": 9, "installed": True},
        "951c07c4017309c3",
    ),
    "order": (
        {"request": 7, "timeout_ms": 300, "known_index": 9, "body": b"abc"},
        "951f07cd012c09c403616263",
    ),
    "order_result": ({"request": 7, "body": b"abc"}, "931e07c403616263"),
}


def test_every_type_has_golden_bytes() -> None:
    """A row without its bytes written down could change unseen."""
    assert {row.name for row in RAFT_ROWS} == set(GOLDEN)


@pytest.mark.parametrize("name", tuple(GOLDEN))
def test_bytes_are_those_that_were_released(name: str) -> None:
    """Nodes of two versions talk to each other: these bytes stay."""
    fields, golden = GOLDEN[name]
    message = {"type": name, **fields}
    assert encode(message).hex() == golden
    assert decode(bytes.fromhex(golden)) == message


def wrong_values(value: Any) -> list[Any]:
    """Neighbours of a right value that are not of its kind."""
    if isinstance(value, bool):
        return [0, 1, None, "true"]
    if isinstance(value, int):
        return [-1, 1 << 63, True, 1.0, "1", None, b"1"]
    if isinstance(value, bytes):
        return ["text", 1, None, [1], bytes(17 << 20)]
    return [None, 1, b"", {}, [1], [[1]], [None], [[1, 2, 3, 4]], [b"x"] * 16_385]


@pytest.mark.parametrize("name", tuple(GOLDEN))
def test_a_field_of_another_kind_is_refused(name: str) -> None:
    """Exact types and ranges, for each field of each type, where it is made."""
    fields, _ = GOLDEN[name]
    for field, value in fields.items():
        for wrong in wrong_values(value):
            with pytest.raises(MalformedMessage):
                encode({"type": name, **fields, field: wrong})


@pytest.mark.parametrize("name", tuple(GOLDEN))
def test_fields_too_many_or_too_few_are_refused(name: str) -> None:
    """Exactly the row's fields, by name when sent and by number when received."""
    fields, golden = GOLDEN[name]
    with pytest.raises(MalformedMessage, match="unknown fields more"):
        encode({"type": name, **fields, "more": 1})
    for field in fields:
        with pytest.raises(MalformedMessage, match=f"'{field}' is missing"):
            encode({"type": name, **{k: v for k, v in fields.items() if k != field}})
    body = bytes.fromhex(golden)
    for other in (bytes([body[0] + 1]) + body[1:] + b"\x01", body + b"\x01", body[:-1]):
        with pytest.raises(MalformedMessage):
            decode(other)


@pytest.mark.parametrize("name", ("../x", "/x", "a/b", "a\\b", "..", ".", "", "a\0b", "é" * 128))
def test_a_snapshot_file_name_leads_nowhere_else(name: str) -> None:
    """The receiver writes a file of that name: it must stay in the directory."""
    fields, _ = GOLDEN["snapshot_offer"]
    with pytest.raises(MalformedMessage, match="plain file name"):
        encode({"type": "snapshot_offer", **fields, "files": [[name, 1, SHA]]})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(body: bytes) -> None:
    """Nothing else ever comes out of a decoder that strangers feed."""
    try:
        message = decode(body)
    except MalformedMessage:
        return
    assert decode(encode(message)) == message


@given(st.sampled_from(sorted(GOLDEN)), st.data())
def test_a_changed_byte_is_a_message_or_malformed(name: str, data: st.DataObject) -> None:
    """The same, close to real messages, where the decoder gets further."""
    body = bytearray.fromhex(GOLDEN[name][1])
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = decode(bytes(body))
    except MalformedMessage:
        return
    assert decode(encode(message)) == message


def test_a_table_with_a_code_or_name_twice_is_refused() -> None:
    """Two types under one code could not be told apart."""
    one = MessageType(1, "one", (("x", UINT),))
    for other in (MessageType(1, "two", ()), MessageType(2, "one", ())):
        with pytest.raises(ValueError, match="share"):
            Schema((one, other), 100)


def test_a_body_has_a_bound_in_both_directions() -> None:
    """What one side may not send the other does not take."""
    rows = (MessageType(1, "one", (("x", list_of(BOOL)),)),)
    long = {"type": "one", "x": [True] * 10}
    body = Schema(rows, 100).encode(long)
    with pytest.raises(MalformedMessage, match="at most 8"):
        Schema(rows, 8).encode(long)
    with pytest.raises(MalformedMessage, match="at most 8"):
        Schema(rows, 8).decode(body)
