"""What is a name, what is refused, and with which words."""

from __future__ import annotations

import pytest

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.core.names import canonical_name
from namestore.errors import InvalidName


@pytest.mark.parametrize(
    "text",
    (
        "user:alice",
        "user:Alice",
        "user:julian:post:hello",
        "a:b",
        "post:with space",
        "u2-x:" + "x" * LABEL_BYTES_MAX,
        "user:" + "é" * (LABEL_BYTES_MAX // 2),
        "a" + "b" * 31 + ":x",
        "user::",
        "user:日本",
    ),
)
def test_canonical_name_keeps_what_is_canonical(text: str) -> None:
    """Case, further colons and spaces stay; NFC text stays."""
    assert canonical_name(text) == text


def test_canonical_name_composes() -> None:
    """Two spellings of one text are one name: NFC."""
    assert canonical_name("user:e\u0301") == canonical_name("user:\u00e9") == "user:\u00e9"


def test_canonical_name_measures_the_canonical_form() -> None:
    """The limit holds for what is stored, not for how it was spelt."""
    spelt = "user:" + "e\u0301" * (LABEL_BYTES_MAX // 2)
    assert len(canonical_name(spelt).encode()) == len("user:") + LABEL_BYTES_MAX


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("", "empty"),
        ("alice", "no namespace"),
        (":alice", "is not a namespace"),
        ("User:alice", "is not a namespace"),
        ("1user:alice", "is not a namespace"),
        ("user_x:alice", "is not a namespace"),
        ("usér:alice", "is not a namespace"),
        ("user\n:alice", "is not a namespace"),
        ("a" * 33 + ":x", "is not a namespace"),
        ("user:", "has 0 bytes"),
        ("user:" + "x" * (LABEL_BYTES_MAX + 1), "has 513 bytes"),
        ("user:" + "é" * (LABEL_BYTES_MAX // 2 + 1), "has 514 bytes"),
        ("user:a\n", "a control character, U+000A, at position 2"),
        ("user:\x7f", "a control character, U+007F"),
        ("user:\x00", "a control character, U+0000"),
        ("user:a\ud800", "a surrogate, U+D800, at position 2"),
        ("user:\uffff", "an unassigned code point, U+FFFF"),
        ("user:\u0378", "an unassigned code point, U+0378"),
    ),
)
def test_canonical_name_refuses(text: str, words: str) -> None:
    """What is refused is told apart, in words that say what to change; the field is `name`."""
    with pytest.raises(InvalidName) as caught:
        canonical_name(text)
    assert words in caught.value.message
    assert caught.value.metadata == {"field": "name"}


def test_refusal_fits_a_line_and_holds_no_raw_text() -> None:
    """A hostile name cannot flood or colour a log through the message about it."""
    with pytest.raises(InvalidName) as caught:
        canonical_name("\x1b[31m" * 10_000)
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()
