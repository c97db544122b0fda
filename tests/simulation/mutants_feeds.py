"""Deliberate faults in the change feed, on the node that serves it and in the client's library.

See `tests.simulation.mutants_agreement`; these are found only where somebody watches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namestore.client.values import event_from
from namestore.client.watching import Following
from namestore.core import reading
from namestore.core.events import ENDS_HOLDING
from namestore.rpc.events import Wanted
from namestore.server import feed, watching
from namestore.v1 import registry_pb2 as pb
from tests.simulation.mutants_callers import Planted

_request = Following.request


_let_go = Following.let_go


def _and_skips(following: Following) -> None:
    if following.flow is not None and not following.ended:
        following.next_revision += 1
    _let_go(following)


class WatchSkipsOnResume(Planted):
    """A feed that goes on at another node leaves out the change it would begin with."""

    replaced = ((Following, "let_go", _and_skips),)


def _from_the_last(following: Following) -> pb.WatchRequest:
    request = _request(following)
    request.from_revision = max(request.from_revision - 1, min(request.from_revision, 1))
    return request


def _taken_as_it_is(following: Following, message: pb.Event) -> Any:
    following.next_revision = message.revision + 1
    return event_from(message)


class WatchRepeats(Planted):
    """A feed that goes on at another node tells the last change once more."""

    replaced = ((Following, "request", _from_the_last), (Following, "handed_out", _taken_as_it_is))


async def _from_the_tail(reader: Any, what: Any, from_revision: int, *, squash: bool) -> Any:
    tail = reader._tail
    if tail is None or squash or from_revision < tail.first:
        return await _part(reader, what, from_revision, squash=squash)
    if reader._replica.meta.revision >= tail.next_revision:
        tail = await reader._read_tail()
    return tail.part(from_revision, what.prefix)


_part = feed.FeedReader.part


class TailSkips(Planted):
    """Who falls behind while the newest changes are read gets these, and not those before."""

    replaced = ((feed.FeedReader, "part", _from_the_tail),)


class SquashForgetsEnds(Planted):
    """Who squashes is not told that a name is nobody's any more."""

    replaced = (
        (
            feed,
            "latest",
            lambda view, events: [
                event for event in _latest(view, events) if event.kind not in ENDS_HOLDING
            ],
        ),
    )


_latest = feed.latest


async def _from_what_is_here(watches: Any, what: Wanted, timeout: float) -> int:
    if what.from_revision:
        return await _first_revision(watches, what, timeout)
    return _next(watches)


def _next(watches: Any) -> int:
    revision: int = watches._replica.meta.revision
    return revision + 1


_first_revision = watching.Watches._first_revision


class NowIsThePast(Planted):
    """A feed from now on begins with what a node that lags has not applied yet."""

    replaced = ((watching.Watches, "_first_revision", _from_what_is_here),)


async def _where_others_are(watches: Any, what: Wanted, timeout: float) -> int:
    return await _first_revision(watches, replace(what, squash=False), timeout)


class SquashWhereOneLags(Planted):
    """Who squashes goes on at a node that does not have yet what replaced the changes left out."""

    replaced = ((watching.Watches, "_first_revision", _where_others_are),)


_events = reading.events


def _from_the_oldest(view: Any, from_revision: int, count: int) -> Any:
    oldest = view.meta.oldest_revision
    found = _events(view, max(from_revision, oldest), count)
    return reading.Events(found.events, 0)


class CompactedUnsaid(Planted):
    """Who wants what is not kept any more is told the rest, as if that were all."""

    replaced = (
        (reading, "events", _from_the_oldest),
        (watching, "check_kept", lambda revision, meta: None),
    )
