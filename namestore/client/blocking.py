"""The blocking face of the client.

Holds no logic: every method names an operation and runs it. `asynchronous` is its twin; a test
compares the two, method by method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Concatenate, ParamSpec, Self, TypeVar

from namestore.client import exporting, operations, posts, watching
from namestore.client.drivers import BlockingDriver
from namestore.client.exporting import Export
from namestore.client.feeds import Feed
from namestore.client.life import BlockingLife
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


class NameStore(BlockingLife):
    """A client of a namestore cluster. Thread-safe; one for the whole process is enough.

    Make it after a fork, not before. Inside a running event loop it works, but blocks the loop:
    `namestore.aio.NameStore` is meant for there.

    Every method raises, beside what it states: `InvalidRequest` (change the request),
    `Unavailable` (certainly not applied), `AccessDenied`, `ClientMisuse` (closed, or made before a
    fork), `ConfigError` (the endpoints belong to different clusters); writes also `OutcomeUnknown`,
    whose `request_id`, given to the same call again, asks what became of it.

    What many of them take: `owner`, who holds a name, and must be the same at every later change.
    `timeout`, seconds for everything a call does, retries included; None: that of the client.
    `request_id`, of an earlier call whose outcome is unknown; None: a request of its own.

    Args:
        endpoints: "host:port,host:port", or a sequence of host:port. Any nodes of one cluster.
        timeout: Seconds that a call may take unless it says otherwise.

    Raises:
        ConfigError: Endpoints that are none.
    """

    DRIVER = BlockingDriver

    def register(
        self,
        name: str,
        owner: str = "",
        payload: bytes = b"",
        *,
        ttl: float | timedelta | None = None,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> RegisterResult:
        """Takes a name if nobody holds it. Being taken is an answer: the result is then false.

        After `ttl` seconds the name is free again by itself, unless confirmed; None: never; 0: the
        time that the namespace's policy says. The record's `expire_time` says what came of it.

        Retry: with the `request_id` of the `OutcomeUnknown`.
        """
        return self._run(operations.register, name, owner, payload, ttl, request_id, timeout)

    def register_many(
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
        """Takes many names: each for itself, or all of them or none. One result each, in order.

        More than 1000 go in parts, one after the other (all or nothing: at most 1000). If a part
        fails, the error's `metadata["decided"]` counts the names before it, which were decided.

        `names` holds names, pairs of name and owner, or `NewName`; the other arguments fill in
        what these leave open. `ttl` is as for `register`.

        Retry: the same names in the same order, with the `request_id` of the `OutcomeUnknown`.
        """
        return self._run(
            operations.register_many,
            names,
            owner,
            payload,
            ttl,
            all_or_nothing,
            request_id,
            timeout,
        )

    def register_slug(
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
        """Takes a slug for a post, and returns the record: its name is the permalink.

        Args:
            prefix: What comes before the slug: "post:".
            slug: Chosen by the author, and tried once; if it looks like a SHA (7 to 40 of 0-9 and
                a-f) it is tried first and then regenerated. None: generated.
            owner: Who will hold it.
            payload: At most 1 KiB.
            short: Generate the shortest free abbreviation of a SHA, from 7 digits up, instead of
                all 40.
            attempts: How many slugs are tried at most.
            timeout: Seconds for all of them together.

        Raises:
            NameTaken: The chosen slug was refused; `record` is the one in the way.
            SlugsExhausted: Every slug tried was refused.

        Retry: `register` with the `name` and `request_id` in the metadata of `OutcomeUnknown`.
        """
        return self._run(
            posts.register_slug, prefix, slug, owner, payload, short, attempts, timeout
        )

    def lookup(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> NameRecord | None:
        """Who holds a name; None: nobody. `stale`: one node's state, which may lag."""
        return self._run(operations.lookup, name, stale, timeout)

    def resolve(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> LookupResult:
        """Who holds a name; if nobody, and its last holder renamed it, under which name it is now.

        The latter only where the namespace's policy redirects. `stale`: as for `lookup`.
        """
        return self._run(operations.resolve, name, stale, timeout)

    def contains(self, name: str, *, stale: bool = False, timeout: float | None = None) -> bool:
        """Whether somebody holds a name. `stale`: by one node's state, which may lag."""
        return self._run(operations.contains, name, stale, timeout)

    def __contains__(self, name: str) -> bool:
        return self.contains(name)

    def lookup_many(
        self, names: Iterable[str], *, stale: bool = False, timeout: float | None = None
    ) -> Found:
        """Who holds each name, in order; each 1000 of them at one revision."""
        return self._run(operations.lookup_many, names, stale, timeout)

    def release(
        self,
        name: str,
        owner: str = "",
        *,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> int:
        """Gives a name back. Returns the revision from which on it is free.

        With a `create_revision`, only that very holding is released.

        Raises:
            NameNotFound, NotOwner, StaleFence: It was not released.

        Retry: with the `request_id` of the `OutcomeUnknown`.
        """
        return self._run(operations.release, name, owner, create_revision, request_id, timeout)

    def list(
        self, prefix: str = "", *, stale: bool = False, timeout: float | None = None
    ) -> Iterator[NameRecord]:
        """The records whose names begin with `prefix`, in byte order, read page by page.

        One held throughout appears exactly once; a name registered or released meanwhile may or
        may not: `export` gives all as of one revision. `timeout` is for each page.
        """
        token = ""
        while True:
            records, token = self._run(operations.list_page, prefix, token, stale, timeout)
            yield from records
            if not token:
                return

    def export(self, prefix: str = "", *, timeout: float | None = None) -> Export:
        """The records whose names begin with `prefix`, as all of them were at one revision.

        That is `list` as a picture: its `revision` and `time` say of which moment, which is not
        before the call, and iterating it gives every record that was held then, in byte order.
        `timeout` is for its beginning. A node holds a picture for 15 minutes at most.

            with names.export("user:") as export:
                for record in export: ...

        Raises:
            Unavailable: It could not begin, or (while it is iterated) broke off: begin another.
        """
        return Export(self._run(exporting.begin, prefix, timeout))

    def watch(
        self,
        prefix: str = "",
        *,
        from_revision: int = 0,
        squash: bool = False,
        timeout: float | None = None,
    ) -> Feed:
        """What changed since `from_revision` (0: from now on), then what changes, without end.

        Every change of a name that begins with `prefix` once, in the order of the revisions. It
        goes on by itself when its node is lost, from where it was, for as long as it takes to find
        another one.

            with names.watch("user:", from_revision=seen + 1) as feed:
                for event in feed: ...

        It has begun when this returns: later changes are in it. `feed.revision` says how far it
        is; `feed.close()` ends it, also from another thread.

        Args:
            prefix: Of the canonical names.
            from_revision: The first revision wanted.
            squash: Of what was missed, tell only the latest change of each name, until
                `feed.caught_up`.
            timeout: Seconds for finding a node to begin with, not for the events.

        Raises:
            RevisionCompacted: The feed reaches back to `metadata["oldest_revision"]` only: read the
                names anew, and follow from there. At the beginning, or in the middle where events
                are taken too slowly.
            Unavailable: No node was found to begin with.
        """
        feed = watching.following(prefix, from_revision, squash)
        return Feed(self._driver, self._session, feed, timeout)

    def status(self, endpoint: str | None = None, *, timeout: float | None = None) -> Statuses:
        """The status of each endpoint's node, asked all at once; of one, if `endpoint` is given.

        Never raises because a node is away: its entry holds the error instead.
        """
        return self._run(operations.status, endpoint, timeout)

    def close(self) -> None:
        """Closes the connections. Calls under way fail. May be called twice."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(
        self,
        operation: Callable[Concatenate[Session, ParametersT], Operation[ResultT]],
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> ResultT:
        return self._driver.run(operation(self._session, *args, **kwargs))
