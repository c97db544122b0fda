"""Lines of an export in JSON -> what is to be registered, every field that a holder has.

Responsible for one line at a time; see `rows` for the file. Invariant: a field that is there and is
not understood makes the line a `NotARow`, never a row without it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from namestore.core.limits import PAYLOAD_BYTES_MAX

# What only a registry can say; an import begins it anew.
_OF_THE_REGISTRY: Final = {"create_revision", "mod_revision", "create_time"}
_KNOWN: Final = {"name", "display_name", "owner", "payload", "expire_time"} | _OF_THE_REGISTRY


class NotARow(ValueError):
    """The line is no object of an export; the text says why."""


@dataclass(frozen=True, slots=True)
class Fields:
    """One name of an export.

    Attributes:
        name: As it is to be shown.
        ttl: Seconds that are left of a reservation; None: permanent.
    """

    name: str
    owner: str
    payload: bytes
    ttl: float | None


def looks_like_export(text: str) -> bool:
    """True for a line that no list of whole names has: they begin with a small letter."""
    return text.startswith("{")


def read_fields(text: str, now_s: float) -> Fields:
    """The fields of one line.

    Args:
        text: The line.
        now_s: Seconds since the epoch: what is left of a reservation is counted from there.

    Raises:
        NotARow: It is none, or a reservation that is over.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotARow(f"not JSON: {error}") from error
    if not isinstance(values, dict) or "name" not in values:
        raise NotARow("not an object with a name, as export writes it")
    if unknown := sorted(values.keys() - _KNOWN):
        raise NotARow(f"{unknown[0]!a} is no field of an export")
    return Fields(
        _text(values, "display_name") or _text(values, "name"),
        _text(values, "owner"),
        _payload(_text(values, "payload")),
        _left(_text(values, "expire_time"), now_s),
    )


def _text(values: dict[str, Any], field: str) -> str:
    value = values.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotARow(f"{field} is not a text")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise NotARow(f"{field} holds a surrogate, which no text in UTF-8 does")
    return value


def _payload(text: str) -> bytes:
    try:
        payload = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NotARow(f"payload is not base64: {error}") from error
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise NotARow(f"payload has {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are allowed")
    return payload


def _left(text: str, now_s: float) -> float | None:
    if not text:
        return None
    try:
        end = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotARow(f"expire_time is not a time: {error}") from error
    left = (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() - now_s
    if left <= 0:
        raise NotARow(f"it was a reservation and ended at {text}")
    return left
