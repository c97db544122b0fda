"""Commands to bytes and back.

Equal commands have equal bytes, and what was released keeps its bytes: a register without anything
new is written as it always was, under its old kind. What `encode_command` lets through,
`decode_command` takes.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from hashlib import blake2b
from typing import Any

import msgpack

from namestore.core.commands import fields as f
from namestore.core.commands.fields import MalformedCommand
from namestore.core.commands.values import (
    AbandonPolicy,
    Command,
    Confirm,
    Expire,
    IndexNames,
    KeepEvents,
    PutNamespace,
    Register,
    RegisterAll,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.packing import pack


class _Kind(IntEnum):
    """What a command begins with. The numbers are stored: never re-used."""

    REGISTER = 1
    REGISTER_ALL = 2
    RELEASE = 3
    REGISTER_JUDGED = 4
    REGISTER_ALL_JUDGED = 5
    CONFIRM = 6
    UPDATE = 7
    RENAME = 8
    EXPIRE = 9
    PUT_NAMESPACE = 10
    INDEX_NAMES = 11
    ABANDON_POLICY = 12
    KEEP_EVENTS = 13


# Of a register without anything new: kind, request_id, name, what was written (empty: the name),
# owner, payload.
PlainFields = tuple[int, bytes, str, str, str, bytes]
PLAIN_KIND = _Kind.REGISTER.value


def encode_command(command: Command) -> bytes:
    """The bytes of one command; equal commands have equal bytes.

    Raises:
        MalformedCommand: What `decode_command` would not take. Found here, where the caller can
            still be told, and not by the state machine, where it would stop every node.
    """
    try:
        return pack(_fields(command))
    except (ValueError, OverflowError) as error:  # surrogates in text, numbers beyond 64 bits
        if isinstance(error, MalformedCommand):
            raise
        raise MalformedCommand(f"not a command: {error}") from error


def decode_command(data: bytes) -> Command:
    """The reverse of `encode_command`, checked field by field.

    Raises:
        MalformedCommand: Not what `encode_command` writes.
    """
    return command_of(read_fields(data))


def read_fields(data: bytes) -> tuple[Any, ...]:
    """The fields of one command, of which only the first was looked at: it is a number.

    Raises:
        MalformedCommand: Not the bytes of such a thing.
    """
    try:
        fields = msgpack.unpackb(data, use_list=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedCommand(f"not a command: {error}") from error
    if type(fields) is not tuple or not fields or type(fields[0]) is not int:
        raise MalformedCommand("not a command: it does not begin with a kind")
    return fields


def command_of(fields: tuple[Any, ...]) -> Command:
    """The command with these fields, each of them checked.

    Raises:
        MalformedCommand: There is none.
    """
    match fields:
        case (_Kind.REGISTER, request_id, *rest):
            return Register(f.request_id(request_id), _wanted(tuple(rest)))
        case (_Kind.REGISTER_JUDGED, request_id, *rest):
            return Register(f.request_id(request_id), _wanted_judged(tuple(rest)))
        case (_Kind.REGISTER_ALL, request_id, tuple(many)):
            return _register_all(request_id, tuple(map(_wanted, many)))
        case (_Kind.REGISTER_ALL_JUDGED, request_id, tuple(many)):
            return _register_all(request_id, tuple(map(_wanted_judged, many)))
        case (_Kind.RELEASE, request_id, name, owner, fence):
            return Release(f.request_id(request_id), f.name(name), f.text(owner), f.fence(fence))
        case _:
            return _decode_later(fields)


def fingerprint(command: bytes) -> bytes:
    """Eight bytes that tell two commands under one request_id apart."""
    return blake2b(command, digest_size=8).digest()


def mark(command: Command, data: bytes) -> bytes:
    """The fingerprint of what was asked, whatever it was judged to be.

    A retry may be judged under another policy than the request it repeats; it is still the same
    request. What was asked under a policy has the mark of the same request without one.
    """
    if type(command) is Register and not _is_new(command.wanted):
        return fingerprint(data)
    match command:
        case Register(request_id, wanted):
            kind = _Kind.REGISTER if wanted.ttl_ms is None else _Kind.REGISTER_JUDGED
            return fingerprint(pack((kind, request_id, *_asked_fields(wanted))))
        case RegisterAll(request_id, many) if any(map(_is_new, many)):
            plain = all(wanted.ttl_ms is None for wanted in many)
            kind = _Kind.REGISTER_ALL if plain else _Kind.REGISTER_ALL_JUDGED
            return fingerprint(pack((kind, request_id, list(map(_asked_fields, many)))))
        case Rename():
            asked = replace(command, to_name=command.display_name or command.to_name, judged=())
            return fingerprint(pack(_rename_fields(replace(asked, display_name=""))))
        case _:
            return fingerprint(data)


# -- to bytes -----------------------------------------------------------------------------------


def _fields(command: Command) -> tuple[Any, ...]:
    match command:
        case Register(request_id, wanted):
            if _is_new(wanted):
                fields = _judged_fields(wanted)
                return (_Kind.REGISTER_JUDGED, f.request_id(request_id), *fields)
            return (_Kind.REGISTER, f.request_id(request_id), *_wanted_fields(wanted))
        case RegisterAll(request_id, many):
            f.check_distinct([wanted.name for wanted in many])
            if any(map(_is_new, many)):
                of_all = list(map(_judged_fields, many))
                return (_Kind.REGISTER_ALL_JUDGED, f.request_id(request_id), of_all)
            return (
                _Kind.REGISTER_ALL,
                f.request_id(request_id),
                list(map(_wanted_fields, many)),
            )
        case Release(request_id, name, owner, fence):
            return (
                _Kind.RELEASE,
                f.request_id(request_id),
                f.name(name),
                f.text(owner),
                f.fence(fence),
            )
        case _:
            return _later_fields(command)


def _later_fields(command: Command) -> tuple[Any, ...]:
    match command:
        case Confirm(request_id, name, owner, fence):
            fields = (f.request_id(request_id), f.name(name), f.text(owner), f.fence(fence))
            return (_Kind.CONFIRM, *fields)
        case Update():
            return _update_fields(command)
        case Rename():
            f.judged(command.judged)
            return _rename_fields(command)
        case PutNamespace(request_id, namespace, policy, version):
            of_space = (f.name(namespace), f.policy(policy), f.fence(version))
            return (_Kind.PUT_NAMESPACE, f.request_id(request_id), *of_space)
        case IndexNames(namespace, version, names):
            items = list(map(f.indexed, names))
            f.check_distinct([name for name, _ in items], least=0)
            return (_Kind.INDEX_NAMES, f.name(namespace), f.revision(version), items)
        case AbandonPolicy(request_id, namespace, version):
            of_policy = (f.name(namespace), f.revision(version))
            return (_Kind.ABANDON_POLICY, f.request_id(request_id), *of_policy)
        case KeepEvents(request_id, count_max, age_ms_max):
            bounds = (f.revision(count_max), f.period_ms(age_ms_max, least=1))
            return (_Kind.KEEP_EVENTS, f.request_id(request_id), *bounds)
        case Expire(items):
            ends = [(item.name, item.create_revision, item.expire_time_ms) for item in items]
            f.check_distinct([f.expire_item(end).name for end in ends])
            return (_Kind.EXPIRE, ends)
        case _:
            raise MalformedCommand(f"{type(command).__name__} is not a command")


def _update_fields(command: Update) -> tuple[Any, ...]:
    return (
        _Kind.UPDATE,
        f.request_id(command.request_id),
        f.name(command.name),
        f.text(command.owner),
        None if command.payload is None else f.payload(command.payload),
        None if command.new_owner is None else f.text(command.new_owner),
        f.fence(command.create_revision),
    )


def _rename_fields(command: Rename) -> tuple[Any, ...]:
    shown = command.display_name if command.display_name != command.to_name else ""
    return (
        _Kind.RENAME,
        f.request_id(command.request_id),
        f.name(command.from_name),
        f.name(command.to_name),
        f.text(shown),
        f.text(command.owner),
        [(item.version, item.keys) for item in command.judged],
        f.fence(command.create_revision),
    )


def _is_new(wanted: Wanted) -> bool:
    """It says more than the first version of a register could."""
    return bool(wanted.judged) or wanted.ttl_ms is not None


def _wanted_fields(wanted: Wanted) -> tuple[str, str, str, bytes]:
    # Mostly the two are the same, and then it is written once.
    shown = wanted.display_name if wanted.display_name != wanted.name else ""
    return (f.name(wanted.name), f.text(shown), f.text(wanted.owner), f.payload(wanted.payload))


def _judged_fields(wanted: Wanted) -> tuple[Any, ...]:
    judged = [(item.version, item.keys) for item in f.judged(wanted.judged)]
    ttl_ms = None if wanted.ttl_ms is None else f.period_ms(wanted.ttl_ms)
    return (*_wanted_fields(wanted), judged, ttl_ms)


def _asked_fields(wanted: Wanted) -> tuple[Any, ...]:
    shown = wanted.display_name or wanted.name
    fields = (shown, "", wanted.owner, wanted.payload)
    return fields if wanted.ttl_ms is None else (*fields, wanted.ttl_ms)


# -- from bytes ---------------------------------------------------------------------------------


def _decode_later(fields: tuple[Any, ...]) -> Command:
    match fields:
        case (_Kind.CONFIRM, rid, name, owner, fence):
            return Confirm(f.request_id(rid), f.name(name), f.text(owner), f.fence(fence))
        case (_Kind.UPDATE, rid, name, owner, payload, new_owner, fence):
            update = Update(rid, name, owner, payload, new_owner, fence)
            _update_fields(update)
            return update
        case (_Kind.RENAME, rid, from_name, to_name, shown, owner, judged, fence):
            shown = f.text(shown) or to_name
            rename = Rename(rid, from_name, to_name, shown, owner, f.read_judged(judged), fence)
            _rename_fields(rename)
            return rename
        case (_Kind.EXPIRE, tuple(ends)):
            items = tuple(map(f.expire_item, ends))
            f.check_distinct([item.name for item in items])
            return Expire(items)
        case (_Kind.PUT_NAMESPACE, rid, namespace, policy, version):
            space = f.name(namespace), f.policy(policy), f.fence(version)
            return PutNamespace(f.request_id(rid), *space)
        case (_Kind.INDEX_NAMES, namespace, version, tuple(names)):
            indexed = tuple(map(f.indexed, names))
            f.check_distinct([name for name, _ in indexed], least=0)
            return IndexNames(f.name(namespace), f.revision(version), indexed)
        case (_Kind.ABANDON_POLICY, rid, namespace, version):
            return AbandonPolicy(f.request_id(rid), f.name(namespace), f.revision(version))
        case (_Kind.KEEP_EVENTS, rid, count_max, age_ms_max):
            bounds = f.revision(count_max), f.period_ms(age_ms_max, least=1)
            return KeepEvents(f.request_id(rid), *bounds)
        case _:
            raise MalformedCommand(
                f"command kind {fields[0]} with {len(fields)} fields is not known here"
            )


def _register_all(request_id: Any, wanted: tuple[Wanted, ...]) -> RegisterAll:
    f.check_distinct([item.name for item in wanted])
    return RegisterAll(f.request_id(request_id), wanted)


def _wanted(fields: Any) -> Wanted:
    if type(fields) is not tuple or len(fields) != 4:
        raise MalformedCommand("a name asked for without all its fields")
    name, shown, owner, payload = fields
    return Wanted(f.name(name), f.text(shown) or name, f.text(owner), f.payload(payload))


def _wanted_judged(fields: Any) -> Wanted:
    if type(fields) is not tuple or len(fields) != 6:
        raise MalformedCommand("a name asked for without all its fields")
    *plain, judged, ttl_ms = fields
    return replace(
        _wanted(tuple(plain)),
        judged=f.read_judged(judged),
        ttl_ms=None if ttl_ms is None else f.period_ms(ttl_ms),
    )
