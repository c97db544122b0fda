"""What a name is: `<namespace>:<label>`, checked and brought to canonical form.

Done once, by the node that takes the call, before the log: the Unicode tables are those of the
running Python, and two nodes on two Pythons could differ. The state machine only ever compares
bytes.
"""

from __future__ import annotations

import re
import unicodedata

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.errors import InvalidName

_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ASCII_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}:[\x20-\x7e]{1,512}")
_REFUSED_CATEGORIES = {
    "Cc": "a control character",
    "Cs": "a surrogate",
    "Cn": "an unassigned code point",
}


def is_plain_name(text: str) -> bool:
    """It is a canonical name, and all ASCII. False: it may be one all the same."""
    return _ASCII_NAME.fullmatch(text) is not None


def canonical_name(text: str) -> str:
    """Returns the canonical form of `text`: NFC, case kept.

    Canonicalising a canonical name changes nothing.

    Raises:
        InvalidName: Not a name; the message says what is wrong and where.
    """
    if is_plain_name(text):
        return text
    namespace, colon, label = text.partition(":")
    if not text:
        raise InvalidName("a name is empty; it should look like user:alice", field="name")
    if not colon:
        raise InvalidName(
            f"{_shown(text)} has no namespace; write <namespace>:<label>, such as user:alice",
            field="name",
        )
    if not _NAMESPACE.fullmatch(namespace):
        raise InvalidName(
            f"{_shown(namespace)} is not a namespace: 1 to 32 of a-z, 0-9 and -, "
            "beginning with a letter",
            field="name",
        )
    return f"{namespace}:{canonical_label(label)}"


def canonical_label(text: str) -> str:
    """Returns the canonical form of what follows the namespace: NFC, case kept.

    Raises:
        InvalidName: Not a label; the message says what is wrong and where.
    """
    label = unicodedata.normalize("NFC", text)
    _check_code_points(label)
    size = len(label.encode())
    if not 1 <= size <= LABEL_BYTES_MAX:
        raise InvalidName(
            f"the label {_shown(text)} has {size} bytes of UTF-8; "
            f"1 to {LABEL_BYTES_MAX} are allowed",
            field="name",
        )
    return label


def _check_code_points(label: str) -> None:
    for position, char in enumerate(label):
        finding = _REFUSED_CATEGORIES.get(unicodedata.category(char))
        if finding:
            raise InvalidName(
                f"the label holds {finding}, U+{ord(char):04X}, at position {position + 1}",
                field="name",
            )


def _shown(text: str) -> str:
    """The text as a message may hold it: escaped, and not longer than a line."""
    shown = ascii(text)
    return shown if len(shown) <= 80 else shown[:77] + "...'"
