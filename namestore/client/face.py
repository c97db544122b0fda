"""What the two faces of the client share: how one is made.

Not responsible for any call. Invariant: a client's endpoints and network never change.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from random import Random
from typing import ClassVar, Generic, Self, TypeVar

from namestore.client.drivers import Driver
from namestore.client.endpoints import Endpoints, parse_endpoints
from namestore.client.grpc_network import GrpcNetwork
from namestore.client.network import Network
from namestore.client.requests import checked_timeout
from namestore.client.session import Session
from namestore.client.sharing import SharingNetwork

DriverT = TypeVar("DriverT", bound=Driver)


class Face(Generic[DriverT]):
    """A client over some network, driven by `DRIVER`; see the faces for what it takes."""

    DRIVER: ClassVar[type[Driver]]

    _driver: DriverT
    _session: Session

    def __init__(self, endpoints: str | Sequence[str], *, timeout: float = 5.0) -> None:
        addresses = parse_endpoints(endpoints)
        seconds = checked_timeout(timeout)
        self._assemble(
            Session(Endpoints(addresses, Random()), seconds), SharingNetwork(GrpcNetwork())
        )

    @classmethod
    def over(cls, network: Network, session: Session, *, close_at_exit: bool = False) -> Self:
        """A client over another network, such as one inside the process.

        `close_at_exit`: the network holds what must not be left to the end of the process.
        """
        client = cls.__new__(cls)
        client._assemble(session, network)
        if close_at_exit:
            client._driver.close_at_exit()
        return client

    def _assemble(self, session: Session, network: Network) -> None:
        self._session = session
        self._driver = self.DRIVER(network)  # type: ignore[assignment]  # DRIVER is DriverT's class
        # The network's threads keep it alive; nothing keeps a client that is forgotten.
        weakref.finalize(self, _close_aside, self._driver).atexit = False


def _close_aside(driver: Driver) -> None:
    """Closes what a forgotten client left, on a thread that holds none of its locks."""
    threading.Thread(target=driver.close, name="namestore-close", daemon=True).start()
