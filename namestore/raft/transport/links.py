"""All open links of a transport and the selector that watches them.

It moves bytes and tells which links have something; what follows from that is the transport's
business. A link that breaks while bytes are moved is remembered in `lost`, never dropped on the
spot, so that nothing is called back from within a write.
"""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from namestore.raft.transport.connection import ConnectionLost
from namestore.raft.transport.link import Link

_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


class _Watched(Protocol):
    def fileno(self) -> int: ...


class Ready(NamedTuple):
    """What one round of the selector found."""

    sources: set[str]
    links: list[Link]


class LinkSet:
    """The links, in the order in which they were made."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._interest: dict[Link, int] = {}
        self._touched: dict[Link, None] = {}
        self.lost: dict[Link, str] = {}
        self._turn = 0

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._interest))

    def __contains__(self, link: Link) -> bool:
        return link in self._interest

    def watch(self, source: _Watched, name: str) -> None:
        """Reports `name` among the ready sources when `source` can be read."""
        self._selector.register(source, _READ, name)

    def unwatch(self, source: _Watched) -> None:
        """Ends `watch`."""
        self._selector.unregister(source)

    def add(self, link: Link) -> None:
        """Takes a new link, and what it already wants to send."""
        self._interest[link] = _READ | _WRITE
        self._selector.register(link, _READ | _WRITE, link)
        self.touch(link)

    def discard(self, link: Link) -> None:
        """Closes a link and forgets it."""
        if self._interest.pop(link, None) is not None:
            self._selector.unregister(link)
        self._touched.pop(link, None)
        self.lost.pop(link, None)
        link.connection.close()

    def touch(self, link: Link) -> None:
        """`write_touched` will look at it: something was queued."""
        self._touched[link] = None

    def select(self, wait_s: float) -> Ready:
        """One round of the selector. Links come in an order that is fair over time."""
        sources: set[str] = set()
        links: list[Link] = []
        for key, events in self._selector.select(wait_s):
            if isinstance(key.data, str):
                sources.add(key.data)
                continue
            if events & _READ or key.data.connection.connecting:
                links.append(key.data)
            if events & _WRITE:
                self.touch(key.data)
        self._turn += 1
        start = self._turn % len(links) if links else 0
        return Ready(sources, links[start:] + links[:start])

    def write_touched(self) -> None:
        """Sends what can be sent on links where that may have changed. Calls nobody back."""
        touched, self._touched = self._touched, {}
        for link in touched:
            if link in self.lost or link not in self._interest:
                continue
            try:
                link.write()
            except ConnectionLost as error:
                self.lost[link] = str(error)
                continue
            wanted = _READ | _WRITE if link.connection.wants_write else _READ
            if wanted != self._interest[link]:
                self._interest[link] = wanted
                self._selector.modify(link, wanted, link)

    def close(self) -> None:
        """Closes every link and the selector. May be called twice."""
        for link in list(self._interest):
            self.discard(link)
        self._selector.close()
