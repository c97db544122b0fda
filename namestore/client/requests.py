"""Requests as they go over the wire, built from what an application passes.

Refuses only what cannot be sent at all; whether a name is one is the server's to say, by its
tables. Invariant: a write request carries a request_id, drawn here once unless the caller gave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from math import ceil
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from namestore.core.limits import REQUEST_ID_BYTES_MAX
from namestore.errors import InvalidName, InvalidRequest
from namestore.rpc.identities import draw_request_id
from namestore.v1 import registry_pb2 as registry

Name = TypeVar("Name")

_REVISION_MAX = 2**64 - 1
_TTL_SECONDS_MAX = 1_000_000_000


def drawn_request_id(given: object) -> bytes:
    """The caller's request_id, or a fresh random one.

    Raises:
        InvalidRequest: An empty or too long one.
    """
    if given is None:
        return draw_request_id()
    if not isinstance(given, bytes) or not 1 <= len(given) <= REQUEST_ID_BYTES_MAX:
        raise InvalidRequest(
            f"request_id must be 1 to {REQUEST_ID_BYTES_MAX} bytes", field="request_id"
        )
    return given


def identity_of(request: Message) -> dict[str, str]:
    """What tells a request from others: its request_id in hexadecimal, and its name, if any."""
    request_id: bytes = getattr(request, "request_id", b"")
    name: str = getattr(request, "name", "")
    identity = {"request_id": request_id.hex(), "name": name}
    return {key: value for key, value in identity.items() if value}


def checked_name(name: str) -> str:
    """The name, if it can be sent.

    Raises:
        InvalidName: Not text, or text that has no UTF-8.
    """
    return _checked_text(name, "name", InvalidName)


def checked_timeout(timeout: object) -> float:
    """Raises `InvalidRequest` unless `timeout` is a positive number of seconds."""
    if not isinstance(timeout, (int, float)) or not timeout > 0:
        raise InvalidRequest(f"timeout is {timeout!r}; it must be above 0 seconds", field="timeout")
    return min(float(timeout), 1e6)


def checked_revision(revision: object, field: str = "create_revision") -> int:
    """Raises `InvalidRequest` unless `revision` is a whole number that a revision can be."""
    if not isinstance(revision, int) or not 0 <= revision <= _REVISION_MAX:
        raise InvalidRequest(
            f"{field} is {revision!r}; it must be 0 or a revision, which is at most "
            f"{_REVISION_MAX}",
            field=field,
        )
    return revision


def register_request(
    name: str,
    owner: str,
    payload: bytes,
    ttl: float | timedelta | None,
    request_id: bytes,
) -> registry.RegisterRequest:
    """A Register request. Raises `InvalidRequest` for what cannot be sent."""
    return registry.RegisterRequest(
        name=checked_name(name),
        owner=checked_owner(owner),
        request_id=request_id,
        ttl=_duration(ttl),
        payload=checked_payload(payload),
    )


def checked_names(names: Iterable[str]) -> Sequence[str]:
    """Many names. Raises `InvalidRequest` for what cannot be sent."""
    wanted = several(names)
    try:
        "".join(wanted).encode()
    except (TypeError, UnicodeEncodeError):  # then one of them is not what it should be
        for name in wanted:
            checked_name(name)
    return wanted


def several(names: Iterable[Name]) -> list[Name]:
    """What was given instead of one name. Raises `InvalidRequest` for a single text."""
    if isinstance(names, (str, bytes)):
        raise InvalidRequest("names is a single text; give a list of names", field="names")
    try:
        return list(names)
    except TypeError:
        raise InvalidRequest(
            f"names is {type(names).__name__}; give a list of names", field="names"
        ) from None


def checked_owner(owner: str, field: str = "owner") -> str:
    """Raises `InvalidRequest` unless `owner` is text that has UTF-8."""
    return _checked_text(owner, field, InvalidRequest)


def checked_payload(payload: bytes) -> bytes:
    """Raises `InvalidRequest` unless `payload` is bytes."""
    if not isinstance(payload, bytes):
        raise InvalidRequest(
            f"payload is {type(payload).__name__}; it must be bytes", field="payload"
        )
    return payload


def consistency(stale: bool) -> registry.Consistency.ValueType:
    """What a read asks for."""
    return registry.STALE if stale else registry.LINEARIZABLE


def _checked_text(text: str, field: str, error: type[InvalidRequest]) -> str:
    if not isinstance(text, str):
        raise error(f"{field} is {type(text).__name__}; it must be a str", field=field)
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise error(
            f"{field} holds a surrogate at position {cause.start + 1}; it has no UTF-8", field=field
        ) from cause
    return text


def _duration(ttl: float | timedelta | None) -> Duration | None:
    if ttl is None:
        return None
    seconds: object = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= _TTL_SECONDS_MAX:
        raise InvalidRequest(
            f"ttl is {ttl!r}; it must be 0 to {_TTL_SECONDS_MAX:,} seconds", field="ttl"
        )
    duration = Duration()
    duration.FromMilliseconds(ceil(seconds * 1000))
    return duration
