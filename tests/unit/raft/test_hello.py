"""Greetings and what is said to those who are refused."""

from __future__ import annotations

from namestore.raft.transport.framing import GREETING_BYTES_MAX, FrameReader
from namestore.raft.transport.hello import (
    GREETING,
    Hello,
    hello_frame,
    hello_from,
    printable,
    refusal_frame,
)

HELLO = Hello(1, "c" * 256, "f" * 64, "n" * 256, "a" * 64, fresh=True, raft_address="h" * 300)


def body_of(framed: bytes) -> bytes:
    reader = FrameReader()
    reader.feed(framed)
    body = reader.next_frame()
    assert body is not None
    return body


def test_a_hello_comes_back_as_it_was_and_fits_before_trust() -> None:
    """The longest hello stays within what a stranger may say."""
    body = body_of(hello_frame(HELLO))
    assert len(body) < GREETING_BYTES_MAX
    assert hello_from(GREETING.decode(body)) == HELLO


def test_the_bytes_of_a_hello_are_those_that_were_released() -> None:
    """Even a node of another protocol must be able to read whom it refuses."""
    framed = hello_frame(Hello(1, "demo", "", "n1", "ab", fresh=False, raft_address=""))
    assert framed.hex() == "00000012990101a464656d6fa0a26e31a26162c2a000"


def test_a_refusal_is_shortened_and_cannot_steer_a_terminal() -> None:
    """A reason is a line of print, whoever wrote it."""
    reason = GREETING.decode(body_of(refusal_frame("no\x1b[2J\n\ud800" + "x" * 1000)))["reason"]
    assert reason.startswith("no?[2J??x")
    assert len(reason) == 500
    assert printable("ключ") == "ключ"
