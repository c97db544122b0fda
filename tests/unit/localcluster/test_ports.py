"""A port in use is noticed, and whoever uses it is named."""

from __future__ import annotations

import os
import socket

from namestore.localcluster.ports import free_ports, holder_of, is_taken


def test_taken_port_and_its_holder_are_found() -> None:
    """Somebody listens: taken, by this very process. Nobody listens any more: free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        holder = holder_of(port)

        assert is_taken(port)
        assert holder is not None
        assert holder[0] == os.getpid()
    assert not is_taken(port)
    assert holder_of(port) is None


def test_free_ports_are_free_and_different() -> None:
    """Below the range of outgoing connections, each once, none of those to be avoided."""
    first = free_ports(6)
    second = free_ports(6, avoid=first)

    assert len({*first, *second}) == 12
    assert not any(is_taken(port) for port in first)
    assert all(1024 < port < 32_768 for port in first)
