"""Fields of requests, each checked against the limits of the contract and named in what is refused.

Invariant: what these functions return is within the limits of `namestore.core.limits`.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from namestore.core.limits import (
    LABEL_BYTES_MAX,
    OWNER_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PERIOD_MS_MAX,
    REQUEST_ID_BYTES_MAX,
)
from namestore.core.names import canonical_name, is_plain_name
from namestore.errors import InvalidName, InvalidRequest

# Composing shrinks a text: at most three code points become one, and the shortest of those has two
# bytes. A text longer than this cannot become a name, and is not worth normalising.
_NAME_CHARS_MAX = 33 + 2 * LABEL_BYTES_MAX
# A character has at most four bytes.
_OWNER_CHARS_MAX = OWNER_BYTES_MAX // 4
_DURATION_SECONDS_MAX = 315_576_000_000
_DURATION_NANOS_MAX = 999_999_999


def within_limits(name: str, owner: str, payload: bytes, request_id: bytes) -> bool:
    """All four are, at a glance: the name is in NFC then. False says nothing.

    Nearly all requests are like that; the others are looked at field by field.
    """
    return (
        len(owner) <= _OWNER_CHARS_MAX
        and len(payload) <= PAYLOAD_BYTES_MAX
        and len(request_id) <= REQUEST_ID_BYTES_MAX
        and is_plain_name(name)
    )


def checked_name(text: str, field: str) -> str:
    """A name in NFC. Raises `InvalidName`."""
    if len(text) > _NAME_CHARS_MAX:
        raise InvalidName(
            f"{field} has {len(text)} characters; "
            f"a label has 1 to {LABEL_BYTES_MAX} bytes of UTF-8",
            field=field,
        )
    try:
        return canonical_name(text)
    except InvalidName as error:
        where = "" if field == "name" else f"{field}: "
        raise InvalidName(where + error.message, field=field) from None


def checked_owner(owner: str, field: str) -> str:
    """An owner. Raises `InvalidRequest`."""
    size = len(owner.encode())
    if size > OWNER_BYTES_MAX:
        raise InvalidRequest(
            f"{field} has {size} bytes of UTF-8; at most {OWNER_BYTES_MAX} are allowed", field=field
        )
    return owner


def checked_payload(payload: bytes, field: str) -> bytes:
    """A payload. Raises `InvalidRequest`."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise InvalidRequest(
            f"{field} has {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are kept", field=field
        )
    return payload


def checked_request_id(
    request_id: bytes, field: str, bytes_max: int = REQUEST_ID_BYTES_MAX
) -> bytes:
    """A request_id, which may be empty: one is drawn then. Raises `InvalidRequest`."""
    if len(request_id) > bytes_max:
        raise InvalidRequest(
            f"{field} has {len(request_id)} bytes; "
            f"at most {bytes_max} are allowed, and 16 random ones serve",
            field=field,
        )
    return request_id


def ttl_ms(ttl: Duration, field: str) -> int:
    """A reservation's time in whole milliseconds, rounded up; 0: as the policy says.

    Raises:
        InvalidRequest: It is negative, or longer than a duration can be.
    """
    if not 0 <= ttl.seconds <= _DURATION_SECONDS_MAX or not 0 <= ttl.nanos <= _DURATION_NANOS_MAX:
        raise InvalidRequest(
            f"{field} must be 0 to {_DURATION_SECONDS_MAX:,} seconds; zero is as long as the "
            "namespace's policy says, and without it a name is registered for ever",
            field=field,
        )
    # Longer than any policy allows is as long as the policy allows.
    return min(ttl.seconds * 1000 - (-ttl.nanos // 1_000_000), PERIOD_MS_MAX)
