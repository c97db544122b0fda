"""Fields of commands, each checked the same way on its way into bytes and out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from namestore.core.commands.each import BATCH_ID_BYTES_MAX
from namestore.core.commands.values import ExpireItem, Judgement, UniqueKey
from namestore.core.limits import (
    BATCH_REQUESTS_MAX,
    PAYLOAD_BYTES_MAX,
    PERIOD_MS_MAX,
    REQUEST_ID_BYTES_MAX,
    UNIQUE_KEY_CHARS_MAX,
    UNIQUE_KEYS_MAX,
)
from namestore.core.policies import decode_policy
from namestore.errors import InvariantViolation

# Beyond it a time has no place in the keys of the state (eight bytes) and no meaning on a clock.
TIME_MS_MAX = 2**63 - 1
_KEY_KIND_MAX = 127


class MalformedCommand(ValueError):
    """Not a command of a known kind. Never put into the log."""


def check_distinct(names: Sequence[str], *, least: int = 1) -> None:
    """Refuses too many names, too few, or one twice."""
    if not least <= len(names) <= BATCH_REQUESTS_MAX:
        raise MalformedCommand(f"{len(names)} names in one command")
    if len(set(names)) != len(names):
        raise MalformedCommand("a name twice in one command")


def name(value: Any) -> str:
    """A canonical name, or a namespace: any text but the empty one."""
    checked = text(value)
    if not checked:
        raise MalformedCommand("a name that is empty")
    return checked


def batch_id(value: Any) -> bytes:
    """A request_id that leaves room for the place of a name behind it."""
    if type(value) is not bytes or not 1 <= len(value) <= BATCH_ID_BYTES_MAX:
        raise MalformedCommand("a batch's request_id that is empty, too long, or not bytes")
    return value


def names(value: Any) -> tuple[str, ...]:
    """Canonical names, in order: not too many, and at least one."""
    if type(value) is not tuple or not 1 <= len(value) <= BATCH_REQUESTS_MAX:
        raise MalformedCommand("names that are too many, none, or not a tuple")
    if set(map(type, value)) != {str} or "" in value:
        raise MalformedCommand("a name that is empty, or not text")
    return value


def distinct_names(value: Any) -> tuple[str, ...]:
    """The same, and no name twice."""
    checked = names(value)
    check_distinct(checked)
    return checked


def text(value: Any) -> str:
    """Any text."""
    if type(value) is not str:
        raise MalformedCommand("a field that is not text")
    return value


def payload(value: Any) -> bytes:
    """Bytes of a bounded length."""
    if type(value) is not bytes or len(value) > PAYLOAD_BYTES_MAX:
        raise MalformedCommand("a payload that is too long, or not bytes")
    return value


def request_id(value: Any) -> bytes:
    """Bytes of a bounded length, at least one."""
    if type(value) is not bytes or not 1 <= len(value) <= REQUEST_ID_BYTES_MAX:
        raise MalformedCommand("a request_id that is empty, too long, or not bytes")
    return value


def fence(value: Any) -> int:
    """A revision, or 0."""
    if type(value) is not int or value < 0:
        raise MalformedCommand("a fence that is not a revision")
    return value


def revision(value: Any) -> int:
    """A revision of something that exists, or a number of events."""
    if type(value) is not int or not 1 <= value < 2**63:
        raise MalformedCommand("a field that is not a revision or a number")
    return value


def period_ms(value: Any, *, least: int = 0) -> int:
    """Milliseconds, up to a hundred years."""
    if type(value) is not int or not least <= value <= PERIOD_MS_MAX:
        raise MalformedCommand("a time that is negative, too long, or not a whole number")
    return value


def policy(value: Any) -> bytes:
    """An encoded policy that this program can read."""
    if type(value) is not bytes:
        raise MalformedCommand("a policy that is not bytes")
    try:
        decode_policy(value)
    except InvariantViolation as error:
        raise MalformedCommand(f"a policy in a command: {error}") from error
    return value


def keys(value: Any) -> tuple[UniqueKey, ...]:
    """Unique keys: few, none of them twice."""
    if type(value) is not tuple or len(value) > UNIQUE_KEYS_MAX:
        raise MalformedCommand("unique keys that are too many, or not a tuple")
    for item in value:
        match item:
            case (int(kind), str(key)) if type(kind) is not bool and 0 < kind <= _KEY_KIND_MAX:
                pass
            case _:
                raise MalformedCommand("a unique key that is not a kind and a text")
        if not key or 4 * len(key) > UNIQUE_KEY_CHARS_MAX:
            raise MalformedCommand("a unique key that is empty or too long")
    if len(set(value)) != len(value):
        raise MalformedCommand("a unique key twice")
    return value


def judged(value: Any) -> tuple[Judgement, ...]:
    """Judgements: at most two, of different policies."""
    if type(value) is not tuple or len(value) > 2:
        raise MalformedCommand("judgements that are too many, or not a tuple")
    for item in value:
        if type(item) is not Judgement:
            raise MalformedCommand("a judgement that is none")
        revision(item.version)
        keys(item.keys)
    if len({item.version for item in value}) != len(value):
        raise MalformedCommand("two judgements under one policy")
    return value


def read_judged(value: Any) -> tuple[Judgement, ...]:
    """Judgements from their fields."""
    if type(value) is not tuple:
        raise MalformedCommand("judgements that are not a tuple")
    found = []
    for item in value:
        match item:
            case (int(version), tuple(of_item)):
                found.append(Judgement(version, of_item))
            case _:
                raise MalformedCommand("a judgement that is not a version and keys")
    return judged(tuple(found))


def expire_item(value: Any) -> ExpireItem:
    """What is to expire, from its fields."""
    match value:
        case (of_name, created, int(time_ms)) if type(time_ms) is int and time_ms > 0:
            if time_ms > TIME_MS_MAX:
                raise MalformedCommand("an end that is no time")
            return ExpireItem(name(of_name), revision(created), time_ms)
        case _:
            raise MalformedCommand("an end that is not a name, a revision and a time")


def indexed(value: Any) -> tuple[str, tuple[UniqueKey, ...]]:
    """A name with its keys, from its fields."""
    match value:
        case (of_name, of_keys):
            return name(of_name), keys(of_keys)
        case _:
            raise MalformedCommand("a name to index without all its fields")
