"""One call, carried through: endpoints tried in turn, safe retries, one deadline over all.

Yields effects and performs none. Not responsible for what a call means; see `operations`.

Before the first request to an endpoint its status is asked. That is harmless whatever happens to
it, and tells three cases apart that a failed write could not: nobody is there, or somebody else
(then the write was certainly not applied, because it was never sent), or a node of the cluster.
After an attempt without an answer the endpoint is asked again.

Invariant: a write is sent more than once only as the same message, under the same request_id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from random import Random
from typing import Any

from google.protobuf.message import Message

from namestore.client.asking import ask_who_leads
from namestore.client.endpoints import Endpoints
from namestore.client.flow import Flow
from namestore.client.methods import STATUS, Method, RequestT, ResponseT
from namestore.client.network import (
    Failure,
    NoAnswer,
    Open,
    Operation,
    Send,
    Silence,
    Sleep,
)
from namestore.client.requests import checked_timeout, identity_of
from namestore.client.retry import (
    Backoff,
    Verdict,
    blames_endpoint,
    may_have_been_applied,
    settles,
    verdict,
    with_finding,
)
from namestore.client.slugs import fresh_sha
from namestore.errors import (
    NamestoreError,
    NotImplementedYet,
    OutcomeUnknown,
    Unavailable,
    Unreachable,
)
from namestore.v1.cluster_pb2 import StatusRequest, StatusResponse

# How long an endpoint may be silent before another one is tried; doubled after each silence, so
# that a cluster that is merely slow gets its answer through.
PATIENCE_SECONDS = 1.0
# Or so many times what answers took lately, if that is longer, and at most half of a call's time:
# asking one slow node after the other the same would make all of them slower.
_PATIENCE_ANSWERS = 3.0
_ANSWER_FORGOTTEN_SHARE = 0.1

_log = logging.getLogger("namestore.client")


@dataclass(slots=True)
class Session:
    """What the calls of one client share.

    Attributes:
        clock: Monotonic, in seconds.
        timeout: Seconds that a call may take unless it says otherwise.
        fresh_sha: Draws the slugs nobody chose.
        answer_seconds: What the slowest of the latest answers took, forgotten little by little.
            Several threads may write it, and losing one of their figures does no harm.
    """

    endpoints: Endpoints
    timeout: float
    clock: Callable[[], float] = time.monotonic
    random: Random = field(default_factory=Random)
    fresh_sha: Callable[[], str] = fresh_sha
    answer_seconds: float = 0.0

    def note_answer_took(self, seconds: float) -> None:
        """An attempt was answered after so long."""
        kept = self.answer_seconds * (1 - _ANSWER_FORGOTTEN_SHARE)
        self.answer_seconds = max(seconds, kept)

    def seconds(self, timeout: float | None) -> float:
        """How long a call may take. Raises `InvalidRequest` for what is no time."""
        return self.timeout if timeout is None else checked_timeout(timeout)


@dataclass(slots=True)
class _Progress:
    """One call so far. Most calls are answered at once, so nothing is made for what may fail.

    Attributes:
        round: Endpoints that failed since the last wait.
        silences: Attempts that ended in silence.
        opens: The request opens a stream, and the first message of that is its answer.
        anywhere: Any node will do, and the leader has enough to do.
        uncertain: An attempt may have been applied.
        was_sent: The latest attempt got as far as the request itself; `ever_sent`: any did.
        details: The last finding about each endpoint, for the message.
    """

    method: Method[Any, Any]
    request: Message
    deadline: float
    timeout: float
    opens: bool = False
    anywhere: bool = False
    round: Set[str] = frozenset()
    silences: int = 0
    uncertain: bool = False
    was_sent: bool = False
    ever_sent: bool = False
    details: Mapping[str, str] | None = None
    foreign: Set[str] = frozenset()
    last: Failure | None = None
    backoff: Backoff | None = None


def call(
    session: Session, method: Method[RequestT, ResponseT], request: RequestT, timeout: float
) -> Operation[ResponseT]:
    """Carries one request through, within `timeout` seconds for everything together.

    Raises:
        NamestoreError: `OutcomeUnknown` (writes only) when an attempt may have been applied; else
            what the server stated last; else `Unreachable`.
    """
    return _carry(session, _Progress(method, request, session.clock() + timeout, timeout))


def opened(
    session: Session,
    method: Method[RequestT, ResponseT],
    request: RequestT,
    timeout: float,
    *,
    anywhere: bool = False,
) -> Operation[tuple[Flow, ResponseT]]:
    """Opens a stream that changes nothing; returns it with its first message, at most so late.

    `anywhere`: at a node that is drawn, as it stays open for long.

    Raises:
        NamestoreError: As `call`. What becomes of the stream later is its user's business.
    """
    deadline = session.clock() + timeout
    progress = _Progress(method, request, deadline, timeout, opens=True, anywhere=anywhere)
    begun: tuple[Flow, ResponseT] = yield from _carry(session, progress)
    return begun


def _carry(session: Session, progress: _Progress) -> Operation[Any]:
    endpoints = session.endpoints
    choose = endpoints.draw if progress.anywhere else endpoints.pick
    while True:
        began = session.clock()
        endpoint = choose(began, progress.round)
        try:
            if progress.opens or not endpoints.is_proven(endpoint):
                response = yield from _attempt(session, progress, endpoint)
            else:
                response = yield _send(session, progress, endpoint, began)
        except (NamestoreError, NoAnswer) as failure:
            wait = _after_failure(session, progress, endpoint, failure)
            if wait:
                yield Sleep(wait)
        else:
            now = session.clock()
            endpoints.note_answer(endpoint)
            if not progress.method.patient:
                session.note_answer_took(now - began)
            if endpoints.asks(now):
                yield from ask_who_leads(endpoints, session.clock)
            return response


def _attempt(session: Session, progress: _Progress, endpoint: str) -> Operation[Any]:
    """One attempt at one endpoint that is more than a message, or has a question before it."""
    progress.was_sent = False
    if not session.endpoints.is_proven(endpoint):
        status: StatusResponse = yield Send(
            endpoint,
            STATUS,
            StatusRequest(),
            _patience(session, progress, _left(session, progress)),
        )
        session.endpoints.note_status(endpoint, status)
    if not progress.opens:
        return (yield _send(session, progress, endpoint, session.clock()))
    progress.was_sent = progress.ever_sent = True
    patience = _patience(session, progress, _left(session, progress))
    return (yield Open(endpoint, progress.method, progress.request, patience))


def _send(session: Session, progress: _Progress, endpoint: str, now: float) -> Send:
    """The request itself."""
    progress.was_sent = progress.ever_sent = True
    left = max(progress.deadline - now, 0.001)
    patience = _patience(session, progress, left)
    return Send(endpoint, progress.method, progress.request, patience, left)


def _left(session: Session, progress: _Progress) -> float:
    return max(progress.deadline - session.clock(), 0.001)


def _patience(session: Session, progress: _Progress, left: float) -> float:
    """Seconds that one attempt may take. With nowhere else to go: all that are left."""
    alone = len(session.endpoints.addresses) == 1
    if alone or (progress.method.patient and progress.was_sent):
        return left
    patience, slow = PATIENCE_SECONDS, session.answer_seconds * _PATIENCE_ANSWERS
    if slow > patience:
        patience = max(patience, min(slow, progress.timeout / 2))
    if progress.silences:
        patience *= 2.0**progress.silences
    return min(left, patience)


def _after_failure(session: Session, progress: _Progress, endpoint: str, failure: Failure) -> float:
    """Takes note of a failed attempt. Returns the seconds to wait before the next, or raises."""
    now = session.clock()
    _take_note(session, progress, endpoint, failure, now)
    decision = verdict(progress.last or failure, uncertain=progress.uncertain)
    if decision is Verdict.GIVE_UP:
        raise _conclusion(progress)
    if progress.foreign == set(session.endpoints.addresses):
        raise _conclusion(progress)
    # A node may have as many streams as it takes while another one has room.
    if decision is Verdict.ELSEWHERE or progress.opens:
        progress.round |= {endpoint}
    everywhere = len(progress.round) == len(session.endpoints.addresses)
    wait = 0.0
    if decision is Verdict.BACK_OFF or everywhere:
        progress.backoff = progress.backoff or Backoff(session.random)
        wait = progress.backoff.next_wait()
    if everywhere:
        progress.round = frozenset()
    if now + wait >= progress.deadline:
        raise _conclusion(progress)
    return wait


def _take_note(
    session: Session, progress: _Progress, endpoint: str, failure: Failure, now: float
) -> None:
    if isinstance(failure, NoAnswer) and failure.silence is Silence.FOREIGN and progress.was_sent:
        # A namestore server was proven to be there: it is an older one.
        failure = NotImplementedYet(
            f"the server at {endpoint} does not know {progress.method.name}; it is older than this"
            " client"
        )
    if may_have_been_applied(failure, was_sent=progress.was_sent):
        progress.uncertain = True
    if blames_endpoint(failure):
        session.endpoints.note_failure(endpoint, now)
    if isinstance(failure, NoAnswer):
        progress.silences += failure.silence is Silence.TIMED_OUT
        if failure.silence is Silence.FOREIGN:
            progress.foreign |= {endpoint}
    progress.details = with_finding(progress.details or {}, endpoint, failure)
    progress.last = failure
    _log.info("attempt.failed endpoint=%s method=%s %s", endpoint, progress.method.name, failure)


def _conclusion(progress: _Progress) -> NamestoreError:
    """What the caller gets to hear. The failure that led to it stays attached as the cause."""
    last = progress.last
    if isinstance(last, NamestoreError) and settles(last):
        return last
    findings = "; ".join(f"{where}: {what}" for where, what in (progress.details or {}).items())
    conclusion: NamestoreError
    if progress.method.writes and progress.uncertain:
        method = progress.method
        conclusion = OutcomeUnknown(
            f"{method.name} may have been applied; {method.retry_advice} ({findings})",
            **identity_of(progress.request),
        )
    elif isinstance(last, NamestoreError) and not isinstance(last, OutcomeUnknown):
        return last
    elif progress.ever_sent:
        conclusion = Unavailable(
            f"no answer to {progress.method.name} within {progress.timeout:g} s ({findings})"
        )
    else:
        conclusion = Unreachable(f"no endpoint could be reached ({findings})")
    conclusion.__cause__ = last
    return conclusion
