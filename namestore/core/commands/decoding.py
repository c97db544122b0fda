"""Commands from bytes, checked field by field: what is not a command ends in `MalformedCommand`."""

from __future__ import annotations

from typing import Any

import msgpack

from namestore.core.commands import fields as f
from namestore.core.commands.codec import rename_fields, update_fields
from namestore.core.commands.fields import MalformedCommand
from namestore.core.commands.kinds import Kind, is_plain
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
    RegisterEach,
    RegisterTogether,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.limits import REQUEST_ID_BYTES_MAX

# Of the kinds that are about many names: how many fields stand before these.
_BEFORE_NAMES = {
    bytes((kind,)): before
    for kind, before in (
        (Kind.REGISTER_ALL, 2),
        (Kind.REGISTER_ALL_JUDGED, 2),
        (Kind.REGISTER_EACH, 2),
        (Kind.REGISTER_TOGETHER, 2),
        (Kind.EXPIRE, 1),
        (Kind.INDEX_NAMES, 3),
    )
}
# Of the array, the kind, the longest request_id (a namespace and a version are shorter), and the
# array of names.
_HEAD_BYTES = 1 + 1 + 2 + REQUEST_ID_BYTES_MAX + 3


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


def names_asked(data: bytes) -> int:
    """How many names a command is about, from its first bytes: what deciding it costs.

    Args:
        data: From `encode_command`: not what another node says it is.
    """
    before = _BEFORE_NAMES.get(data[1:2])
    if before is None:
        return 1
    head = msgpack.Unpacker()
    head.feed(data[:_HEAD_BYTES])
    head.read_array_header()
    for _ in range(before):
        head.skip()
    return head.read_array_header()


def command_of(fields: tuple[Any, ...]) -> Command:
    """The command with these fields, each of them checked.

    Raises:
        MalformedCommand: There is none.
    """
    if is_plain(fields):
        _, request_id, name, shown, owner, payload = fields
        return Register(request_id, Wanted(name, shown or name, owner, payload))
    match fields:
        case (Kind.REGISTER, request_id, *rest):
            return Register(f.request_id(request_id), _wanted(tuple(rest)))
        case (Kind.REGISTER_JUDGED, request_id, *rest):
            return Register(f.request_id(request_id), _wanted_judged(tuple(rest)))
        case (Kind.REGISTER_EACH, rid, names, owner, payload):
            of_all = f.names(names), f.text(owner), f.payload(payload)
            return RegisterEach(f.batch_id(rid), *of_all)
        case (Kind.REGISTER_TOGETHER, rid, names, owner, payload):
            together = f.distinct_names(names), f.text(owner), f.payload(payload)
            return RegisterTogether(f.request_id(rid), *together)
        case (Kind.REGISTER_ALL, request_id, tuple(many)):
            return _register_all(request_id, tuple(map(_wanted, many)))
        case (Kind.REGISTER_ALL_JUDGED, request_id, tuple(many)):
            return _register_all(request_id, tuple(map(_wanted_judged, many)))
        case (Kind.RELEASE, request_id, name, owner, fence):
            return Release(f.request_id(request_id), f.name(name), f.text(owner), f.fence(fence))
        case _:
            return _decode_later(fields)


def _decode_later(fields: tuple[Any, ...]) -> Command:
    match fields:
        case (Kind.CONFIRM, rid, name, owner, fence):
            return Confirm(f.request_id(rid), f.name(name), f.text(owner), f.fence(fence))
        case (Kind.UPDATE, rid, name, owner, payload, new_owner, fence):
            update = Update(rid, name, owner, payload, new_owner, fence)
            update_fields(update)
            return update
        case (Kind.RENAME, rid, from_name, to_name, shown, owner, judged, fence):
            shown = f.text(shown) or to_name
            rename = Rename(rid, from_name, to_name, shown, owner, f.read_judged(judged), fence)
            rename_fields(rename)
            return rename
        case (Kind.EXPIRE, tuple(ends)):
            items = tuple(map(f.expire_item, ends))
            f.check_distinct([item.name for item in items])
            return Expire(items)
        case (Kind.PUT_NAMESPACE, rid, namespace, policy, version):
            space = f.name(namespace), f.policy(policy), f.fence(version)
            return PutNamespace(f.request_id(rid), *space)
        case (Kind.INDEX_NAMES, namespace, version, tuple(names)):
            indexed = tuple(map(f.indexed, names))
            f.check_distinct([name for name, _ in indexed], least=0)
            return IndexNames(f.name(namespace), f.revision(version), indexed)
        case (Kind.ABANDON_POLICY, rid, namespace, version):
            return AbandonPolicy(f.request_id(rid), f.name(namespace), f.revision(version))
        case (Kind.KEEP_EVENTS, rid, count_max, age_ms_max):
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
    name, shown, owner, payload, judged, ttl_ms = fields
    return Wanted(
        f.name(name),
        f.text(shown) or name,
        f.text(owner),
        f.payload(payload),
        f.read_judged(judged),
        None if ttl_ms is None else f.period_ms(ttl_ms),
    )
