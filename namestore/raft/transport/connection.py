"""One non-blocking TCP connection that carries frames, with or without TLS.

It moves bytes and cuts frames; who the peer is and what a frame means is `link`'s business.
Invariant: no call blocks, and what is held is bounded: one frame and one read on the way in, the
queue its owner keeps within bounds and one sealed chunk on the way out.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from itertools import islice

from namestore.raft.transport.framing import FrameReader
from namestore.raft.transport.tls import TlsFailed, TlsStream

READ_BYTES = 256 * 1024
_SEAL_BYTES = 64 * 1024
_GATHER_BUFFERS = 64
_WRITE_BYTES = 1024 * 1024


class _Scratch(threading.local):
    """Where a thread's reads arrive. To ask for so many bytes anew costs more than most reads."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_BYTES))


_scratch = _Scratch()


class ConnectionLost(Exception):
    """The connection is of no more use; the text says why."""


class PeerUntrusted(ConnectionLost):
    """TLS failed: one of the two does not accept what the other showed."""


class Connection:
    """A socket, its frames, and what waits to be sent.

    Args:
        sock: Non-blocking; connected, or (`connecting`) on its way.
        tls: None: frames travel in the clear.
        connecting: `connect` has been called and has not yet come to an end.
    """

    def __init__(
        self, sock: socket.socket, tls: TlsStream | None, *, connecting: bool = False
    ) -> None:
        self._sock = sock
        self.tls = tls
        self.connecting = connecting
        self.reader = FrameReader()
        self.bytes_read = 0
        self.bytes_written = 0
        self._clear: deque[bytes] = deque()
        self._ready: deque[bytes | memoryview] = deque()
        self.queued_bytes = 0
        self.ended = False
        self.closed = False

    def fileno(self) -> int:
        """Of the socket; -1 once closed."""
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """There is something the socket has not taken yet (or it is still connecting)."""
        return self.connecting or bool(self._ready) or (bool(self._clear) and self._may_seal)

    @property
    def _may_seal(self) -> bool:
        return self.tls is None or self.tls.ready

    def finish_connect(self) -> None:
        """Called when a connecting socket became writable. Raises ConnectionLost."""
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise ConnectionLost(f"cannot connect: {errno.errorcode.get(code, code)}")
        # A dial to a free local port can meet itself (simultaneous open).
        if self._sock.getsockname() == self._sock.getpeername():
            raise ConnectionLost("cannot connect: nobody listens there")
        self.connecting = False
        if self.tls is not None:
            self._receive_tls(self.tls, b"")

    def queue(self, framed: bytes) -> None:
        """Adds a frame to what `write` sends. Its owner watches `queued_bytes`."""
        self._clear.append(framed)
        self.queued_bytes += len(framed)

    def write(self) -> None:
        """Gives the socket as much as it takes now. Raises ConnectionLost."""
        if self.connecting or self.closed:
            return
        budget = _WRITE_BYTES
        while budget > 0 and self._fill():
            try:
                sent = self._sock.sendmsg(list(islice(self._ready, _GATHER_BUFFERS)))
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise ConnectionLost(f"cannot send: {error.strerror or error}") from error
            budget -= sent
            self.bytes_written += sent
            self._advance(sent)

    def _fill(self) -> bool:
        """Moves clear frames into `_ready`, sealed if need be; False when nothing is there."""
        if self.tls is None:
            while self._clear and len(self._ready) < _GATHER_BUFFERS:
                self._ready.append(self._clear.popleft())
            return bool(self._ready)
        sealed = self.tls.take_sealed()  # of the handshake, or an alert
        if not sealed and not self._ready and self.tls.ready and self._clear:
            chunk = self._take_clear()
            try:
                self.tls.seal(chunk)
            except TlsFailed as error:
                raise ConnectionLost(str(error)) from error
            sealed = self.tls.take_sealed()
            self.queued_bytes -= len(chunk)
        if sealed:
            self.queued_bytes += len(sealed)
            self._ready.append(sealed)
        return bool(self._ready)

    def _take_clear(self) -> bytes:
        taken, size = [], 0
        while self._clear and size < _SEAL_BYTES:
            taken.append(self._clear.popleft())
            size += len(taken[-1])
        return b"".join(taken) if len(taken) > 1 else taken[0]

    def _advance(self, sent: int) -> None:
        self.queued_bytes -= sent
        while sent > 0:
            head = self._ready[0]
            if len(head) > sent:
                self._ready[0] = memoryview(head)[sent:]
                return
            sent -= len(head)
            self._ready.popleft()

    def read(self) -> None:
        """Takes what has arrived, at most READ_BYTES; frames are then in `reader`.

        Sets `ended` when the peer will say nothing more.

        Raises:
            ConnectionLost: It broke, or the peer broke TLS.
        """
        view = _scratch.view
        try:
            size = self._sock.recv_into(view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise ConnectionLost(f"cannot receive: {error.strerror or error}") from error
        self.bytes_read += size
        if not size:
            self.ended = True
        elif self.tls is None:
            self.reader.feed(view[:size])
        else:
            self._receive_tls(self.tls, bytes(view[:size]))

    def _receive_tls(self, tls: TlsStream, data: bytes) -> None:
        try:
            self.reader.feed(tls.receive(data))
        except TlsFailed as error:
            self._send_alert()
            raise PeerUntrusted(str(error)) from error
        self.ended = tls.ended

    def _send_alert(self) -> None:
        """Best effort: it tells the peer's operator why, and nothing depends on it."""
        self._fill()
        self.write()

    def shutdown_write(self) -> None:
        """After the last frame: the peer can read it before it sees the end."""
        if self.tls is not None:
            self.tls.end()
            self.write()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionLost(f"cannot end: {error.strerror or error}") from error

    def close(self) -> None:
        """Lets go of the socket and of everything held. May be called twice."""
        self.closed = True
        self._sock.close()
        self._clear.clear()
        self._ready.clear()
        self.queued_bytes = 0
        self.reader = FrameReader()
