"""A change feed as the client reads it: find a node, open the stream, translate its messages.

Not responsible for going on after a broken feed: only the caller knows which events it has dealt
with. Invariant: events come in the order of their revisions, none skipped between two of them.
"""

from __future__ import annotations

from typing import Self

from namestore.client.drivers import Driver
from namestore.client.methods import STATUS, WATCH
from namestore.client.network import NoAnswer, Operation
from namestore.client.requests import checked_owner, checked_revision
from namestore.client.session import Session, call
from namestore.client.values import NameEvent, event_from
from namestore.errors import Unavailable
from namestore.v1.cluster_pb2 import StatusRequest
from namestore.v1.registry_pb2 import WatchRequest


def find_node(session: Session, timeout: float | None) -> Operation[str]:
    """An endpoint where a node answers just now."""
    yield from call(session, STATUS, StatusRequest(), session.seconds(timeout))
    return session.endpoints.pick(session.clock())


def watch_request(prefix: str, from_revision: int) -> WatchRequest:
    """Raises `InvalidRequest` for what cannot be sent."""
    return WatchRequest(
        prefix=checked_owner(prefix, "prefix"),
        from_revision=checked_revision(from_revision, "from_revision"),
    )


class Feed:
    """An open change feed. Used by one thread at a time."""

    def __init__(self, driver: Driver, endpoint: str, request: WatchRequest) -> None:
        self._messages, self._cancel = driver.open_stream(endpoint, WATCH, request)

    def next_event(self) -> NameEvent:
        """Waits for the next event.

        Raises:
            NamestoreError: Stated by the server; `Unavailable` when the feed broke.
        """
        try:
            message = next(self._messages, None)
        except NoAnswer as failure:
            raise Unavailable(f"the feed broke: {failure}") from failure
        if message is None:
            raise Unavailable("the feed ended: the node closed it")
        return event_from(message)  # type: ignore[arg-type]  # WATCH says what comes

    def close(self) -> None:
        """Ends the feed. May be called twice, and from another thread."""
        self._cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
