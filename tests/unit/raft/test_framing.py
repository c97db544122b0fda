"""Cutting a stream of bytes into frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namestore.raft.transport.framing import FrameReader, MalformedFrame, frame


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.integers(1, 60))
def test_frames_come_out_however_the_stream_was_split(bodies: list[bytes], step: int) -> None:
    """TCP keeps bytes, not boundaries."""
    stream = b"".join(map(frame, bodies))
    reader, found = FrameReader(), []
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        while reader.has_frame:
            found.append(reader.next_frame())
        assert reader.next_frame() is None
    assert found == bodies
    assert len(reader) == 0


@pytest.mark.parametrize("length", (0, 101, 0xFFFFFFFF))
def test_a_length_beyond_the_limit_ends_the_stream_at_once(length: int) -> None:
    """The body is not waited for: what was declared is enough."""
    reader = FrameReader(100)
    reader.feed(length.to_bytes(4, "big"))
    assert reader.has_frame
    with pytest.raises(MalformedFrame, match=f"{length} bytes"):
        reader.next_frame()


def test_the_limit_holds_from_the_next_frame_on() -> None:
    """After its hello a peer may say more, also when the bytes came together."""
    reader = FrameReader(10)
    reader.feed(frame(b"hello") + frame(bytes(100)))
    assert reader.next_frame() == b"hello"
    reader.body_bytes_max = 100
    assert reader.next_frame() == bytes(100)


def test_tls_in_place_of_frames_is_named() -> None:
    """The commonest mistake of a configuration gets its own sentence."""
    reader = FrameReader()
    reader.feed(b"\x16\x03\x01\x02\x00\x01")
    with pytest.raises(MalformedFrame, match="TLS is spoken there"):
        reader.next_frame()
