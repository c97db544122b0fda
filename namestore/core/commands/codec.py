"""Commands to bytes, and what a request is recognised by.

Equal commands have equal bytes, and what was released keeps its bytes: a register without anything
new is written as it always was, under its old kind. What `encode_command` lets through,
`decode_command` takes.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

from namestore.core.commands import fields as f
from namestore.core.commands.fields import MalformedCommand
from namestore.core.commands.kinds import PLAIN_KIND, Kind, is_plain
from namestore.core.commands.values import (
    AbandonPolicy,
    Command,
    Confirm,
    Expire,
    IndexNames,
    Judgement,
    KeepEvents,
    PutNamespace,
    Register,
    RegisterAll,
    RegisterEach,
    RegisterTogether,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.packing import pack


def encode_command(command: Command) -> bytes:
    """The bytes of one command; equal commands have equal bytes.

    Raises:
        MalformedCommand: What `decode_command` would not take. Found here, where the caller can
            still be told, and not by the state machine, where it would stop every node.
    """
    try:
        if type(command) is Register:
            wanted = command.wanted
            if wanted.ttl_ms is None and not wanted.judged:
                plain = (PLAIN_KIND, command.request_id, *_as_written(wanted))
                if is_plain(plain):
                    return pack(plain)
        return pack(_fields(command))
    except (ValueError, OverflowError) as error:  # surrogates in text, numbers beyond 64 bits
        if isinstance(error, MalformedCommand):
            raise
        raise MalformedCommand(f"not a command: {error}") from error


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
            kind = Kind.REGISTER if wanted.ttl_ms is None else Kind.REGISTER_JUDGED
            return fingerprint(pack((kind, request_id, *_asked_fields(wanted))))
        case RegisterAll(request_id, many) if any(map(_is_new, many)):
            plain = all(wanted.ttl_ms is None for wanted in many)
            kind = Kind.REGISTER_ALL if plain else Kind.REGISTER_ALL_JUDGED
            return fingerprint(pack((kind, request_id, list(map(_asked_fields, many)))))
        case RegisterTogether(request_id, names, owner, payload):
            together = [(name, "", owner, payload) for name in names]
            return fingerprint(pack((Kind.REGISTER_ALL, request_id, together)))
        case Rename():
            asked = replace(command, to_name=command.display_name or command.to_name, judged=())
            return fingerprint(pack(rename_fields(replace(asked, display_name=""))))
        case _:
            return fingerprint(data)


def marks(command: Command) -> tuple[bytes, ...]:
    """All marks that one request may have been remembered under: `mark`, and at most one more.

    A name that was not written in its canonical form is marked otherwise where no policy judged it
    than where one did; the former stays as it was released.
    """
    own = mark(command, encode_command(command))
    judgement = (Judgement(1),)
    match command:
        case Register(request_id, wanted) if not _is_new(wanted):
            judged: Command = Register(request_id, replace(wanted, judged=judgement))
        case RegisterAll(request_id, many) if not any(map(_is_new, many)):
            judged = RegisterAll(request_id, tuple(replace(w, judged=judgement) for w in many))
        case _:
            return (own,)
    return own, mark(judged, b"")


# -- to bytes -----------------------------------------------------------------------------------


def _fields(command: Command) -> tuple[Any, ...]:
    match command:
        case Register(request_id, wanted):
            if _is_new(wanted):
                fields = _judged_fields(wanted)
                return (Kind.REGISTER_JUDGED, f.request_id(request_id), *fields)
            return (Kind.REGISTER, f.request_id(request_id), *_wanted_fields(wanted))
        case RegisterEach(request_id, names, owner, payload):
            of_all = (f.names(names), f.text(owner), f.payload(payload))
            return (Kind.REGISTER_EACH, f.batch_id(request_id), *of_all)
        case RegisterTogether(request_id, names, owner, payload):
            of_all = (f.distinct_names(names), f.text(owner), f.payload(payload))
            return (Kind.REGISTER_TOGETHER, f.request_id(request_id), *of_all)
        case RegisterAll(request_id, many):
            f.check_distinct([wanted.name for wanted in many])
            if any(map(_is_new, many)):
                judged = list(map(_judged_fields, many))
                return (Kind.REGISTER_ALL_JUDGED, f.request_id(request_id), judged)
            return (
                Kind.REGISTER_ALL,
                f.request_id(request_id),
                list(map(_wanted_fields, many)),
            )
        case Release(request_id, name, owner, fence):
            return (
                Kind.RELEASE,
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
            return (Kind.CONFIRM, *fields)
        case Update():
            return update_fields(command)
        case Rename():
            f.judged(command.judged)
            return rename_fields(command)
        case PutNamespace(request_id, namespace, policy, version):
            of_space = (f.name(namespace), f.policy(policy), f.fence(version))
            return (Kind.PUT_NAMESPACE, f.request_id(request_id), *of_space)
        case IndexNames(namespace, version, names):
            items = list(map(f.indexed, names))
            f.check_distinct([name for name, _ in items], least=0)
            return (Kind.INDEX_NAMES, f.name(namespace), f.revision(version), items)
        case AbandonPolicy(request_id, namespace, version):
            of_policy = (f.name(namespace), f.revision(version))
            return (Kind.ABANDON_POLICY, f.request_id(request_id), *of_policy)
        case KeepEvents(request_id, count_max, age_ms_max):
            bounds = (f.revision(count_max), f.period_ms(age_ms_max, least=1))
            return (Kind.KEEP_EVENTS, f.request_id(request_id), *bounds)
        case Expire(items):
            ends = [(item.name, item.create_revision, item.expire_time_ms) for item in items]
            f.check_distinct([f.expire_item(end).name for end in ends])
            return (Kind.EXPIRE, ends)
        case _:
            raise MalformedCommand(f"{type(command).__name__} is not a command")


def update_fields(command: Update) -> tuple[Any, ...]:
    """The fields of an update, checked."""
    return (
        Kind.UPDATE,
        f.request_id(command.request_id),
        f.name(command.name),
        f.text(command.owner),
        None if command.payload is None else f.payload(command.payload),
        None if command.new_owner is None else f.text(command.new_owner),
        f.fence(command.create_revision),
    )


def rename_fields(command: Rename) -> tuple[Any, ...]:
    """The fields of a rename, checked but for its judgements."""
    shown = command.display_name if command.display_name != command.to_name else ""
    return (
        Kind.RENAME,
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


def _as_written(wanted: Wanted) -> tuple[str, str, str, bytes]:
    # Mostly the two are the same, and then it is written once.
    shown = wanted.display_name if wanted.display_name != wanted.name else ""
    return (wanted.name, shown, wanted.owner, wanted.payload)


def _wanted_fields(wanted: Wanted) -> tuple[str, str, str, bytes]:
    name, shown, owner, payload = _as_written(wanted)
    return (f.name(name), f.text(shown), f.text(owner), f.payload(payload))


def _judged_fields(wanted: Wanted) -> tuple[Any, ...]:
    judged = [(item.version, item.keys) for item in f.judged(wanted.judged)]
    ttl_ms = None if wanted.ttl_ms is None else f.period_ms(wanted.ttl_ms)
    return (*_wanted_fields(wanted), judged, ttl_ms)


def _asked_fields(wanted: Wanted) -> tuple[Any, ...]:
    shown = wanted.display_name or wanted.name
    fields = (shown, "", wanted.owner, wanted.payload)
    return fields if wanted.ttl_ms is None else (*fields, wanted.ttl_ms)
