"""Frames on a byte stream: four bytes of length, big-endian, then the body.

It knows nothing of what a body means. Invariant: memory follows the bytes that arrived, never the
length that was declared, and a declared length beyond the limit ends the stream at once.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct(">I")
# Enough for a hello or a refusal, and all that a stranger may declare.
GREETING_BYTES_MAX = 4 * 1024
# A TLS handshake or alert record, which as a length would be far beyond any limit.
_TLS_BEGINNINGS = (b"\x16\x03", b"\x15\x03")


class MalformedFrame(ValueError):
    """The stream cannot be cut into frames any further."""


def frame(body: bytes) -> bytes:
    """The body with its length in front."""
    return HEADER.pack(len(body)) + body


class FrameReader:
    """Cuts a stream into bodies, however it was split on the way.

    Attributes:
        body_bytes_max: May be raised between two frames, once a peer has proved itself.
    """

    def __init__(self, body_bytes_max: int = GREETING_BYTES_MAX) -> None:
        self.body_bytes_max = body_bytes_max
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Bytes held and not yet handed out."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> None:
        """Takes the next bytes of the stream; keeps none of `data` itself."""
        self._buffer += data

    def clear(self) -> None:
        """Forgets what is held."""
        self._buffer.clear()

    @property
    def has_frame(self) -> bool:
        """`next_frame` would return a body or raise."""
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return False
        (length,) = HEADER.unpack_from(buffer)
        return not 0 < length <= self.body_bytes_max or len(buffer) >= HEADER.size + length

    def next_frame(self) -> bytes | None:
        """The next whole body, or None until more arrives.

        Raises:
            MalformedFrame: The length in front is zero or beyond `body_bytes_max`.
        """
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(buffer)
        if not 0 < length <= self.body_bytes_max:
            if bytes(buffer[:2]) in _TLS_BEGINNINGS:
                raise MalformedFrame("TLS is spoken there, and none here")
            raise MalformedFrame(f"a frame of {length} bytes; 1 to {self.body_bytes_max} are taken")
        end = HEADER.size + length
        if len(buffer) < end:
            return None
        body = bytes(memoryview(buffer)[HEADER.size : end])
        del buffer[:end]
        return body
