"""Random identities of requests, drawn many at a time.

A single draw costs a system call, and hands the interpreter to another thread meanwhile: under load
that is most of what a request costs its caller.

Invariant: no bytes are handed out twice. A forked child begins with nothing drawn, as it would
otherwise hand out what its parent does.
"""

from __future__ import annotations

import os
import threading

REQUEST_ID_BYTES = 16
_DRAWN_AT_ONCE = 256

_lock = threading.Lock()
_drawn: list[bytes] = []


def draw_request_id() -> bytes:
    """Sixteen random bytes, from the operating system. Any thread."""
    while True:
        try:
            return _drawn.pop()  # one step: no two threads get the same
        except IndexError:
            _draw()


def _draw() -> None:
    with _lock:
        if not _drawn:
            data = os.urandom(REQUEST_ID_BYTES * _DRAWN_AT_ONCE)
            _drawn.extend(
                data[start : start + REQUEST_ID_BYTES]
                for start in range(0, len(data), REQUEST_ID_BYTES)
            )


def _begin_anew() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _drawn.clear()


os.register_at_fork(after_in_child=_begin_anew)
