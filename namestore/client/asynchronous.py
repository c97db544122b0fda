"""The asyncio face of the client.

Holds no logic: every method names an operation and runs it. `blocking` is its twin, and documents
what each call means; a test compares the two, method by method.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from namestore.client import exporting, operations, posts, watching
from namestore.client.drivers import AsyncDriver
from namestore.client.exporting import AsyncExport
from namestore.client.feeds import AsyncFeed
from namestore.client.life import AsyncLife
from namestore.client.network import Operation
from namestore.client.session import Session
from namestore.client.values import (
    EndpointStatus,
    LookupResult,
    NameRecord,
    NewName,
    RegisterResult,
)

ResultT = TypeVar("ResultT")
ParametersT = ParamSpec("ParametersT")

# `list` names a method below.
Results = list[RegisterResult]
Found = list[NameRecord | None]
Statuses = list[EndpointStatus]


class NameStore(AsyncLife):
    """`namestore.NameStore` for asyncio: the same calls, awaited. `list` and `watch` are iterated.

    May be shared by several event loops and threads. Cancelling a write does not undo it: whether
    it was applied is then unknown. Made as its twin is: endpoints, and a timeout in seconds.

        async with NameStore("127.0.0.1:7101") as names:
            if await names.contains("user:alice"): ...
    """

    DRIVER = AsyncDriver

    async def register(
        self,
        name: str,
        owner: str = "",
        payload: bytes = b"",
        *,
        ttl: float | timedelta | None = None,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> RegisterResult:
        """Takes a name if nobody holds it; see `namestore.NameStore.register`."""
        return await self._run(operations.register, name, owner, payload, ttl, request_id, timeout)

    async def register_many(
        self,
        names: Iterable[str | tuple[str, str] | NewName],
        owner: str = "",
        payload: bytes = b"",
        *,
        ttl: float | timedelta | None = None,
        all_or_nothing: bool = False,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> Results:
        """Takes many names; see `namestore.NameStore.register_many`."""
        return await self._run(
            operations.register_many,
            names,
            owner,
            payload,
            ttl,
            all_or_nothing,
            request_id,
            timeout,
        )

    async def register_slug(
        self,
        prefix: str,
        slug: str | None = None,
        owner: str = "",
        payload: bytes = b"",
        *,
        short: bool = False,
        attempts: int = 16,
        timeout: float | None = None,
    ) -> NameRecord:
        """Takes a slug for a post; see `namestore.NameStore.register_slug`."""
        return await self._run(
            posts.register_slug, prefix, slug, owner, payload, short, attempts, timeout
        )

    async def lookup(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> NameRecord | None:
        """Who holds a name; see `namestore.NameStore.lookup`."""
        return await self._run(operations.lookup, name, stale, timeout)

    async def resolve(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> LookupResult:
        """Who holds a name, and where a renamed one went; see `namestore.NameStore.resolve`."""
        return await self._run(operations.resolve, name, stale, timeout)

    async def contains(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> bool:
        """Whether somebody holds a name; see `namestore.NameStore.contains`."""
        return await self._run(operations.contains, name, stale, timeout)

    async def lookup_many(
        self, names: Iterable[str], *, stale: bool = False, timeout: float | None = None
    ) -> Found:
        """Who holds each name; see `namestore.NameStore.lookup_many`."""
        return await self._run(operations.lookup_many, names, stale, timeout)

    async def release(
        self,
        name: str,
        owner: str = "",
        *,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> int:
        """Gives a name back; see `namestore.NameStore.release`."""
        return await self._run(
            operations.release, name, owner, create_revision, request_id, timeout
        )

    async def list(
        self, prefix: str = "", *, stale: bool = False, timeout: float | None = None
    ) -> AsyncIterator[NameRecord]:
        """The records whose names begin with `prefix`; see `namestore.NameStore.list`."""
        token = ""
        while True:
            records, token = await self._run(operations.list_page, prefix, token, stale, timeout)
            for record in records:
                yield record
            if not token:
                return

    async def export(self, prefix: str = "", *, timeout: float | None = None) -> AsyncExport:
        """Every record, as of one revision; see `namestore.NameStore.export`."""
        return AsyncExport(await self._run(exporting.begin, prefix, timeout))

    def watch(
        self,
        prefix: str = "",
        *,
        from_revision: int = 0,
        squash: bool = False,
        timeout: float | None = None,
    ) -> AsyncFeed:
        """What changes, to be entered or iterated; see `namestore.NameStore.watch`."""
        feed = watching.following(prefix, from_revision, squash)
        return AsyncFeed(self._driver, self._session, feed, timeout)

    async def status(
        self, endpoint: str | None = None, *, timeout: float | None = None
    ) -> Statuses:
        """The status of each endpoint's node; see `namestore.NameStore.status`."""
        return await self._run(operations.status, endpoint, timeout)

    async def close(self) -> None:
        """Closes the connections. Calls under way fail. May be called twice."""
        await asyncio.to_thread(self._driver.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _run(
        self,
        operation: Callable[Concatenate[Session, ParametersT], Operation[ResultT]],
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Coroutine[Any, Any, ResultT]:
        return self._driver.run(operation(self._session, *args, **kwargs))
