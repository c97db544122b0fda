"""Changes of the registry <-> the wire: what a Watch asks for, and the events it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from namestore.core.events import Event
from namestore.rpc import pages
from namestore.rpc.responses import fill_record, fill_time
from namestore.v1 import registry_pb2 as pb

PROGRESS_MS_MIN = 100
PROGRESS_MS_MAX = 60_000
# Of the largest events, this many are well below what stock clients take in one message.
EVENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants to follow.

    Attributes:
        prefix: In the form in which names are kept.
        from_revision: The first one wanted; 0: from now on.
        squash: Only the latest change of each name, until the feed has caught up.
        progress_s: Seconds after which to say how far the feed is; 0: never.
        events_max: Of one message; 1 <= events_max.
    """

    prefix: str
    from_revision: int
    squash: bool
    progress_s: float
    events_max: int = 1


def wanted(request: pb.WatchRequest) -> Wanted:
    """What a Watch asks for. Raises `InvalidRequest`."""
    progress_ms = request.progress_ms
    if progress_ms:
        progress_ms = min(max(progress_ms, PROGRESS_MS_MIN), PROGRESS_MS_MAX)
    return Wanted(
        pages.canonical_prefix(request.prefix),
        request.from_revision,
        request.squash,
        progress_ms / 1000,
        min(max(request.events_max, 1), EVENTS_MAX),
    )


def event_message(event: Event) -> pb.Event:
    """A change as callers see it."""
    # The numbers are the same on purpose; a test compares the names.
    message = pb.Event(revision=event.revision, kind=pb.Event.Kind.ValueType(event.kind))
    fill_time(message.time, event.time_ms)
    if event.record is None:
        message.namespace = event.name
    else:
        fill_record(message.record, event.record)
    if event.other:
        message.other_name = event.other
    return message


def gathered(events: Sequence[pb.Event], events_max: int) -> Iterator[pb.Event]:
    """The same events in messages of so many; those that are given are not changed."""
    if events_max == 1:
        yield from events
        return
    for start in range(0, len(events), events_max):
        message = pb.Event()
        message.CopyFrom(events[start])
        message.more.extend(events[start + 1 : start + events_max])
        yield message


def progress_message(revision: int, *, caught_up: bool) -> pb.Event:
    """How far a feed is."""
    return pb.Event(revision=revision, kind=pb.Event.PROGRESS, caught_up=caught_up)
