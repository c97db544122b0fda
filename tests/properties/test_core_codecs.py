"""Every value reads back, and no bytes make a decoder end in anything but its own exceptions."""

from __future__ import annotations

from contextlib import suppress

import msgpack
from hypothesis import example, given
from hypothesis import strategies as st

from namestore.core.commands import (
    Command,
    Entry,
    MalformedCommand,
    decode_command,
    decode_entry,
    encode_command,
    encode_entry,
)
from namestore.core.names import canonical_name
from namestore.core.outcomes import Decision, decode_decision, encode_decision
from namestore.core.records import Record, decode_record, encode_record
from namestore.core.state import StateMeta, decode_meta, encode_meta
from namestore.errors import InvalidName, InvariantViolation
from tests.properties.strategies import commands, outcomes, records, revisions
from tests.support.registry_driver import RegistryDriver

# Bytes as they come, and bytes that are MessagePack of the wrong things.
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=9))
    | st.builds(msgpack.Timestamp, st.integers(0, 2**34))
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=20,
)
_tagged = st.builds(
    lambda kind, rest: [kind, *rest], st.integers(0, 16), st.lists(_values, max_size=8)
)
hostile = st.binary(max_size=60) | _values.map(msgpack.packb) | _tagged.map(msgpack.packb)


@given(commands)
def test_command_reads_back(command: Command) -> None:
    """Every command that can be made is encoded and decoded to itself."""
    assert decode_command(encode_command(command)) == command


@given(st.lists(commands, max_size=5))
def test_every_encodable_command_is_applied(batch: list[Command]) -> None:
    """Applying is total: what encode_command lets through never stops a node."""
    registry = RegistryDriver()
    assert len(registry.apply(*batch)) == len(batch)
    assert registry.meta.name_count == len(registry.names())


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.lists(st.binary(max_size=9)))
def test_entry_reads_back(time_ms: int, encoded: list[bytes]) -> None:
    """Every entry that can be made is encoded and decoded to itself."""
    entry = Entry(time_ms, tuple(encoded))
    assert decode_entry(encode_entry(entry)) == entry


@given(records)
def test_record_reads_back(record: Record) -> None:
    """Every record is stored under its name and read back as it was."""
    assert decode_record(record.name, encode_record(record)) == record


@given(st.lists(outcomes, max_size=5).map(tuple))
def test_decision_reads_back(decision: Decision) -> None:
    """Every decision travels between nodes unchanged."""
    assert decode_decision(encode_decision(decision)) == decision


@given(st.builds(StateMeta, *[revisions] * len(StateMeta._fields)))
def test_meta_reads_back(meta: StateMeta) -> None:
    """Where the state stands is read back as written."""
    assert decode_meta(encode_meta(meta)) == meta


@given(hostile)
@example(b"\x01" * 3000)
@example(b"\x91" * 3000)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc7\x0c\xff" + b"\xff" * 12)
def test_decoders_end_in_a_value_or_in_their_own_exception(data: bytes) -> None:
    """Damage and hostile peers meet an exception that says what was damaged, never another one."""
    with suppress(MalformedCommand):
        command = decode_command(data)
        assert decode_command(encode_command(command)) == command
    for decode in (decode_entry, decode_decision, decode_meta):
        with suppress(InvariantViolation):
            decode(data)
        with suppress(InvariantViolation):
            decode(b"\x01" + data)
    with suppress(InvariantViolation):
        decode_record("user:a", data)


@given(st.text(max_size=30) | st.text(max_size=30).map("user:".__add__))
@example("user:\ud800")
@example("user:\u0344")
def test_canonical_name_is_idempotent_and_total(text: str) -> None:
    """Any text is a name or an InvalidName; a canonical name is its own canonical form."""
    with suppress(InvalidName):
        name = canonical_name(text)
        assert canonical_name(name) == name
        assert len(name.encode()) <= 32 + 1 + 512


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).map("user:".__add__))
def test_canonical_name_can_be_logged(text: str) -> None:
    """Whatever is accepted as a name can be put into a command."""
    with suppress(InvalidName):
        canonical_name(text).encode()
