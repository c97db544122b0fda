"""Ports on the loopback interface: finding free ones, and who holds one that is taken.

Not responsible for keeping a port: between the finding and the node's own bind somebody else may
take it, and the node then says so and ends.
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

from namestore.localcluster.identity import command_line

HOST = "127.0.0.1"
_FREE_PORT_MIN = 10_240
_LINUX_EPHEMERAL_MIN = 32_768
_TCP_LISTEN = "0A"


def free_ports(count: int, avoid: Collection[int] = ()) -> list[int]:
    """That many ports nobody listens on, drawn at random so that two callers rarely meet.

    They lie below the range the system takes outgoing connections' ports from: a node that is down
    would else lose its port to any client's connection, and one that calls a dead peer's port from
    that same port would be connected to itself.
    """
    draw = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = draw.randrange(_FREE_PORT_MIN, _ephemeral_min())
        if port not in found and port not in avoid and not is_taken(port):
            found.append(port)
    return found


def is_taken(port: int, host: str = HOST) -> bool:
    """Somebody listens there, so that a node could not."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a server binds: connections of the past in TIME_WAIT do not stand in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def holder_of(port: int) -> tuple[int, list[str]] | None:
    """The process that listens on the port and its arguments, where the system lets us see it."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and inodes & set(_socket_inodes(entry)):
            return int(entry.name), command_line(int(entry.name))
    return None


def _ephemeral_min() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return _LINUX_EPHEMERAL_MIN
    return max(int(text.split()[0]), _FREE_PORT_MIN + 1_000)


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            # proc(5): local address as hex, remote address, state, …, inode.
            if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _socket_inodes(process: Path) -> Iterator[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return  # ended meanwhile, or another user's
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]
