"""Why a label is refused: one reason for programs, one sentence for people.

A refusal that lies in the label itself is an `InvalidName` whose metadata carries the reason; it is
made here, so that all of them say the same things in the same way.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum

from namestore.errors import InvalidName


class Reason(StrEnum):
    """What is wrong with a label. The words may be shown to programs: never re-used."""

    EMPTY = "EMPTY"
    TOO_SHORT = "TOO_SHORT"
    TOO_LONG = "TOO_LONG"
    FORBIDDEN_CHARACTER = "FORBIDDEN_CHARACTER"
    BAD_FORM = "BAD_FORM"
    MIXED_SCRIPTS = "MIXED_SCRIPTS"
    NOTHING_VISIBLE = "NOTHING_VISIBLE"
    NOT_STABLE = "NOT_STABLE"
    RESERVED_WORD = "RESERVED_WORD"


def invalid(reason: Reason, message: str) -> InvalidName:
    """To be raised; the reason is in `metadata["reason"]`."""
    return InvalidName(message, field="name", reason=reason.value)


def invalid_character(text: str, position: int, rule: str) -> InvalidName:
    """For the character at `position` (from 0); `rule` is a clause that says what may be."""
    char = text[position]
    return invalid(
        Reason.FORBIDDEN_CHARACTER,
        f"{shown(text)} holds {described(char)} at position {position + 1}; {rule}",
    )


def described(char: str) -> str:
    """A character as a message may name it, without writing anything that is not plain ASCII."""
    if char == " ":
        return "a space"
    if "!" <= char <= "~":
        return f"'{char}'"
    name = unicodedata.name(char, "a character without a name")
    return f"U+{ord(char):04X} ({name})"


def shown(text: str) -> str:
    """The text as a message may hold it: escaped, and not longer than a line."""
    found = ascii(text)
    return found if len(found) <= 80 else found[:77] + "...'"
