"""A feed of changes that goes on by itself: where it stands, and what to do when a stream breaks.

Yields effects and performs none; `feeds` is what applications hold. A node that says nothing for
too long, not even how far it is, is taken for lost, and another one is asked to go on.

Invariant: events are handed out in the order of their revisions, each once, and none that is wanted
is left out, whichever nodes they came from; a feed that cannot keep that raises.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from namestore.client.flow import Flow
from namestore.client.methods import WATCH
from namestore.client.network import NoAnswer, Operation, Sleep, Take
from namestore.client.requests import checked_owner, checked_revision
from namestore.client.retry import Backoff, Verdict, verdict
from namestore.client.session import Session, opened
from namestore.client.values import NameEvent, event_from
from namestore.errors import (
    InvariantViolation,
    NamestoreError,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from namestore.v1 import registry_pb2 as registry

# How often a node with nothing to send says how far it is, and how long its silence is borne.
PROGRESS_MS = 2_000
SILENCE_SECONDS = 7.0
# Of one message: what was missed comes many times faster.
EVENTS_MAX = 256
# One round of looking for a node, after the feed has begun; a feed that is closed hears of it then.
_RESUME_SECONDS = 2.0

_log = logging.getLogger("namestore.client")


@dataclass(slots=True)
class Following:
    """One feed. Used by one thread at a time, but for `end`.

    Attributes:
        prefix: Of the names wanted.
        next_revision: The first one that is still wanted; 0: from now on, as nobody said yet when
            that was.
        squash: What a later change of the same name replaced is not wanted, until it has caught up.
        resumes: How often it went on at a node after a break.
        ended: It was closed.
    """

    prefix: str
    next_revision: int
    squash: bool
    resumes: int = 0
    ended: bool = False
    _flow: Flow | None = None
    _heard: deque[registry.Event] = field(default_factory=deque)

    def request(self) -> registry.WatchRequest:
        """What to ask a node for now."""
        return registry.WatchRequest(
            prefix=self.prefix,
            from_revision=self.next_revision,
            squash=self.squash,
            progress_ms=PROGRESS_MS,
            events_max=EVENTS_MAX,
        )

    @property
    def flow(self) -> Flow | None:
        """The stream it reads; None: it has none."""
        return self._flow

    def adopt(self, flow: Flow, first: registry.Event) -> None:
        """Goes on with a stream that has begun."""
        self._flow = flow
        self.hear(first)
        if self.ended:  # meanwhile
            self.let_go()

    def hear(self, message: registry.Event) -> None:
        """Takes note of what its stream said."""
        if message.kind == registry.Event.PROGRESS:
            self.next_revision = max(self.next_revision, message.revision + 1)
            self.squash = self.squash and not message.caught_up
        else:
            self._heard.append(message)
            self._heard.extend(message.more)

    def next_heard(self) -> NameEvent | None:
        """The next event that was heard; None: there is none. Raises as `handed_out`."""
        return self.handed_out(self._heard.popleft()) if self._heard else None

    def handed_out(self, event: registry.Event) -> NameEvent:
        """An event as applications see it, which is dealt with from now on.

        Raises:
            InvariantViolation: A node sent what was not wanted any more.
        """
        if event.revision < self.next_revision:
            raise InvariantViolation(
                f"a node sent revision {event.revision} to a feed that wants "
                f"{self.next_revision} next"
            )
        self.next_revision = event.revision + 1
        return event_from(event)

    def let_go(self) -> None:
        """Gives its stream up; the next one goes on behind what was heard."""
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()

    def end(self) -> None:
        """Ends the feed; whoever waits for an event is told. Any thread, also twice."""
        self.ended = True
        flow = self._flow
        if flow is not None:
            flow.close()


def following(prefix: str, from_revision: int, squash: bool) -> Following:
    """A feed that has not begun. Raises `InvalidRequest` for what cannot be asked for."""
    return Following(
        checked_owner(prefix, "prefix"), checked_revision(from_revision, "from_revision"), squash
    )


def begin(session: Session, feed: Following, timeout: float | None) -> Operation[None]:
    """Opens the feed's first stream, within a call's time. Afterwards "from now on" is settled."""
    yield from _open(session, feed, session.seconds(timeout))


def next_event(session: Session, feed: Following) -> Operation[NameEvent | None]:
    """The next event, however long it takes; None: the feed was closed.

    Raises:
        NamestoreError: What no other node and no other attempt would change.
    """
    while not feed.ended:
        event = feed.next_heard()
        if event is not None:
            return event
        if feed.flow is None:
            yield from _resume(session, feed)
        else:
            yield from _hear(session, feed, feed.flow)
    feed.let_go()
    return None


def _hear(session: Session, feed: Following, flow: Flow) -> Operation[None]:
    """Waits for what the stream says next, or gives it up."""
    try:
        message = yield Take(flow, SILENCE_SECONDS)
    except (NamestoreError, NoAnswer) as failure:
        feed.let_go()
        if feed.ended:
            return
        if verdict(failure) is Verdict.GIVE_UP:
            raise
        _log.info("feed.broke endpoint=%s %s", flow.endpoint, failure)
        if not isinstance(failure, Overloaded):  # which is about this feed, not about its node
            session.endpoints.note_failure(flow.endpoint, session.clock())
    else:
        feed.hear(message)


def _resume(session: Session, feed: Following) -> Operation[None]:
    """Goes on at whichever node takes it, for as long as that takes."""
    backoff = Backoff(session.random)
    while not feed.ended:
        try:
            yield from _open(session, feed, _RESUME_SECONDS)
            feed.resumes += 1
            return
        except (Unavailable, OutcomeUnknown) as error:
            _log.info("feed.waits %s", error)
            yield Sleep(backoff.next_wait())


def _open(session: Session, feed: Following, timeout: float) -> Operation[None]:
    flow, first = yield from opened(session, WATCH, feed.request(), timeout, anywhere=True)
    feed.adopt(flow, first)
