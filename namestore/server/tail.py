"""The newest changes of the registry, read and translated once for all who follow it closely.

Not responsible for what a watcher wants, nor for those who are behind: they read the state at their
own pace. Invariants: the changes in it have no gap; it holds no more of them than it may, however
many watchers there are and however slow they read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from namestore.core.events import Event
from namestore.rpc.events import event_message
from namestore.v1 import registry_pb2 as pb

EVENTS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Change:
    """One change as it goes to watchers.

    Attributes:
        subject: What a watcher's prefix is compared with: the name; of a policy, what the names
            of its namespace begin with.
        message: Shared by all watchers: never changed.
    """

    subject: str
    message: pb.Event


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the feed, ready for one watcher.

    Attributes:
        messages: What that watcher wants of it.
        next_revision: The first one that was not looked at.
        caught_up: There was nothing more.
    """

    messages: Sequence[pb.Event]
    next_revision: int
    caught_up: bool


def subject_of(event: Event) -> str:
    """What a prefix is compared with."""
    return event.name if event.record is not None else f"{event.name}:"


def change_of(event: Event) -> Change:
    """What watchers are sent of an event."""
    return Change(subject_of(event), event_message(event))


class Tail:
    """Changes from `first` up to `next_revision`, which is not in it yet. One thread."""

    def __init__(self, next_revision: int) -> None:
        self._changes: deque[Change] = deque(maxlen=EVENTS_MAX)
        self.next_revision = next_revision

    @property
    def first(self) -> int:
        """The oldest revision that can be taken from here; nothing may have come of it yet."""
        return self.next_revision - len(self._changes)

    def extend(self, changes: Iterable[Change]) -> None:
        """Adds what comes next; the oldest make room."""
        for change in changes:
            self._changes.append(change)
            self.next_revision += 1

    def part(self, from_revision: int, prefix: str) -> Part:
        """All there is from a revision on that is not before `first`."""
        newer = islice(self._changes, max(0, from_revision - self.first), None)
        messages = [change.message for change in newer if change.subject.startswith(prefix)]
        next_revision = max(from_revision, self.next_revision)
        return Part(messages, next_revision, caught_up=from_revision <= self.next_revision)
