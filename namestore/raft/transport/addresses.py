"""host:port texts, and what they resolve to, without ever holding up the Raft thread.

Numeric addresses are resolved in place; names on a thread of their own, fresh at every dial,
because where a node is may change while it is away.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from namestore.errors import ConfigError


class SocketAddress(NamedTuple):
    """What `socket.connect` needs."""

    family: int
    address: tuple[Any, ...]

    @property
    def is_loopback(self) -> bool:
        """It never leaves this machine."""
        return ipaddress.ip_address(str(self.address[0]).partition("%")[0]).is_loopback


Lookup = Callable[[str, int], list[SocketAddress]]


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port". Raises ConfigError."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"raft address {address!r}: expected host:port, such as 10.0.0.1:7201")
    return host, int(port)


def look_up(host: str, port: int) -> list[SocketAddress]:
    """Every address of a host, as the system's resolver has them now. May block for long."""
    return _look_up(host, port, 0)


def numeric(host: str, port: int) -> list[SocketAddress] | None:
    """The address itself when `host` is one; None when it is a name. Never blocks."""
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return None


def _look_up(host: str, port: int, flags: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    unique = dict.fromkeys(SocketAddress(family, addr) for family, _, _, _, addr in found)
    return list(unique)


class Answer(NamedTuple):
    """What became of a lookup. `found` is empty when it failed, and `problem` says how."""

    host: str
    port: int
    found: list[SocketAddress]
    problem: str


class Resolver:
    """Looks names up beside the Raft thread, one lookup per host and port at a time.

    Args:
        wake: Called on the helper thread once an answer can be taken.
        lookup: Blocks; raises OSError.
    """

    def __init__(self, wake: Callable[[], None], lookup: Lookup = look_up) -> None:
        self._wake = wake
        self._lookup = lookup
        self._under_way: set[tuple[str, int]] = set()
        self._answers: SimpleQueue[Answer] = SimpleQueue()

    def request(self, host: str, port: int) -> None:
        """Starts a lookup unless the same one is still under way."""
        if (host, port) in self._under_way:
            return
        self._under_way.add((host, port))
        # Daemonic: a name server that never answers must not keep the process from ending.
        threading.Thread(
            target=self._run, args=(host, port), name=f"resolve {host}", daemon=True
        ).start()

    def _run(self, host: str, port: int) -> None:
        try:
            answer = Answer(host, port, self._lookup(host, port), "")
        except (OSError, UnicodeError) as error:
            answer = Answer(host, port, [], f"cannot resolve {host}: {error}")
        self._answers.put(answer)
        self._wake()

    def answers(self) -> list[Answer]:
        """Those that came since the last call. Raft thread only."""
        taken: list[Answer] = []
        while True:
            try:
                answer = self._answers.get_nowait()
            except Empty:
                return taken
            self._under_way.discard((answer.host, answer.port))
            taken.append(answer)
