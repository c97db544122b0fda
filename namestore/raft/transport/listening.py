"""The port where other nodes reach this one: binding it safely, and accepting with measure."""

from __future__ import annotations

import errno
import socket

from namestore.errors import ConfigError
from namestore.raft.transport.addresses import look_up, split_address
from namestore.raft.transport.links import LinkSet

_ACCEPTS_MAX = 16
_BACKLOG = 128
_PAUSE_S = 0.1
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Exhausted(Exception):
    """The system has no descriptor or memory for another connection: try again a little later."""


def listen(address: str, network_allowed: bool) -> socket.socket:
    """A listening, non-blocking socket. Looks the host up, so it may block for a moment.

    Args:
        address: host:port; port 0 takes any free one.
        network_allowed: False: only addresses that never leave this machine.

    Raises:
        ConfigError: The address cannot be used; the message says what to do.
    """
    host, port = split_address(address)
    try:
        target = look_up(host, port)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"raft address {address}: {host!r} cannot be resolved ({error}); "
            "give a host name or address of this machine"
        ) from error
    if not network_allowed and not target.is_loopback:
        raise ConfigError(
            f"raft address {address}: without [tls] nodes only listen on loopback, since anybody "
            "who reaches the port could speak for a node; configure [tls], or set "
            "allow_insecure_network = true in a network you trust"
        )
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        # Restart while old connections linger; never SO_REUSEPORT: two nodes would share the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target.address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(_bind_message(address, error)) from error
    sock.setblocking(False)
    return sock


def _bind_message(address: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"raft address {address}: the port is in use by another process; stop that process, "
            "or give this node another `raft` port in every node's configuration"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"raft address {address}: not an address of this machine; give one of its own"
    return f"raft address {address}: cannot listen there ({error.strerror}); give another address"


def accept_some(listener: socket.socket) -> list[tuple[socket.socket, str]]:
    """Connections that wait and the hosts they come from, a few at a time.

    Never blocks. Raises Exhausted.
    """
    accepted: list[tuple[socket.socket, str]] = []
    while len(accepted) < _ACCEPTS_MAX:
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno in _SCARCE and not accepted:
                raise Exhausted(str(error.strerror)) from error
            break  # one that was gone before it was accepted; the rest is for the next round
        accepted.append((sock, str(address[0])))
    return accepted


def bound_address(listener: socket.socket) -> str:
    """host:port as bound, with the port that was taken for port 0."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Door:
    """The listening socket of a node: closed, open, or shut for a moment.

    Args:
        address: host:port to listen on.
        links: Reports "door" when somebody waits outside.
    """

    SOURCE = "door"

    def __init__(self, address: str, network_allowed: bool, links: LinkSet) -> None:
        self._address = address
        self._network_allowed = network_allowed
        self._links = links
        self._listener: socket.socket | None = None
        self._reopens_at = float("inf")

    @property
    def is_open(self) -> bool:
        """The port is bound."""
        return self._listener is not None

    @property
    def address(self) -> str:
        """As bound, or as given."""
        return self._address if self._listener is None else bound_address(self._listener)

    def open(self) -> None:
        """Binds and listens. Raises ConfigError."""
        self._listener = listen(self._address, self._network_allowed)
        self._links.watch(self._listener, self.SOURCE)

    def accept(self, now: float) -> list[tuple[socket.socket, str]]:
        """Who waits outside; shut for a moment when the system cannot take any more.

        Raises:
            Exhausted: It was shut; `reopen` ends that.
        """
        if self._listener is None:
            return []
        try:
            return accept_some(self._listener)
        except Exhausted:
            # Otherwise the selector would report the same connection again and again.
            self._links.unwatch(self._listener)
            self._reopens_at = now + _PAUSE_S
            raise

    def due(self) -> float:
        """When `reopen` has something to do."""
        return self._reopens_at

    def reopen(self, now: float) -> None:
        """Accepts again once the moment is over."""
        if now >= self._reopens_at and self._listener is not None:
            self._reopens_at = float("inf")
            self._links.watch(self._listener, self.SOURCE)

    def close(self) -> None:
        """Lets go of the port. May be called twice."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
