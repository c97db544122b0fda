"""Rouses a thread that waits in a selector. Any thread may; many times at once count as one."""

from __future__ import annotations

import socket
import threading


class Waker:
    """A socket pair whose one end becomes readable when `wake` is called."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._lock = threading.Lock()
        self._pending = False
        self._closed = False

    def fileno(self) -> int:
        """What the selector watches for reading."""
        return self._receiver.fileno()

    def wake(self) -> None:
        """Makes the present or the next wait end at once. Thread-safe; never blocks."""
        with self._lock:
            if self._pending or self._closed:
                return
            self._pending = True
            self._sender.send(b"\0")

    def clear(self) -> None:
        """Called by the thread that was roused, before it looks at what there is to do."""
        with self._lock:
            if self._pending and not self._closed:
                self._receiver.recv(16)
                self._pending = False

    def close(self) -> None:
        """Later calls of `wake` do nothing. May be called twice."""
        with self._lock:
            self._closed = True
            self._receiver.close()
            self._sender.close()
