"""Page tokens of List: where a page ended, opaque to callers and checked when it comes back.

A token is a hint about a place, not a secret and not a snapshot: whoever changes one is told so.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from hashlib import blake2b

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.errors import InvalidRequest

_VERSION = b"\x01"
_CHECK_BYTES = 8
_PREFIX_BYTES_MAX = 33 + LABEL_BYTES_MAX
_PREFIX_CHARS_MAX = 33 + 2 * LABEL_BYTES_MAX
_TOKEN_CHARS_MAX = 1024


def canonical_prefix(prefix: str) -> str:
    """The prefix in the form in which names are kept (NFC).

    Raises:
        InvalidRequest: Longer than any name.
    """
    if len(prefix) <= _PREFIX_CHARS_MAX:
        prefix = unicodedata.normalize("NFC", prefix)
        if len(prefix.encode()) <= _PREFIX_BYTES_MAX:
            return prefix
    raise InvalidRequest("prefix is longer than any name", field="prefix")


def write_token(last_name: str, prefix: str) -> str:
    """The token of the page after the one that ended with `last_name`."""
    name = last_name.encode()
    return base64.urlsafe_b64encode(_VERSION + _check(name, prefix) + name).decode().rstrip("=")


def read_token(token: str, prefix: str) -> str:
    """The last name of the page before.

    Raises:
        InvalidRequest: Not a token from `write_token` for this prefix.
    """
    try:
        if len(token) > _TOKEN_CHARS_MAX:
            raise ValueError("too long")
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        name = data[1 + _CHECK_BYTES :]
        if data[:1] != _VERSION or data[1 : 1 + _CHECK_BYTES] != _check(name, prefix):
            raise ValueError("not written here")
        return name.decode()
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            "page_token is not the next_page_token of a List with this prefix", field="page_token"
        ) from None


def _check(name: bytes, prefix: str) -> bytes:
    bound = len(name).to_bytes(4, "big") + name + prefix.encode()
    return blake2b(bound, digest_size=_CHECK_BYTES, person=b"namestore-page").digest()
