"""Whether, where and when a failed attempt is repeated. Pure: no clock, no I/O, one table.

Keyed on the class of the error, never on its text. Not responsible for choosing the endpoint.

Invariant: an error that says "certainly not applied" reaches the caller only if no attempt of the
same request may have been applied. The one exception is `Refused`: a registry that decided under
the request's id has settled what all the attempts together did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from namestore.client.network import Failure, NoAnswer, Silence
from namestore.errors import (
    ChangeUnderWay,
    NamestoreError,
    OutcomeUnknown,
    Overloaded,
    Refused,
    ShuttingDown,
    Unavailable,
    Unreachable,
)

BACKOFF_SECONDS_MIN = 0.02
BACKOFF_SECONDS_MAX = 1.0


class Verdict(Enum):
    """What to do after a failed attempt."""

    GIVE_UP = auto()  # repeating cannot help: raise
    ELSEWHERE = auto()  # another endpoint at once; back off when all of them failed in this round
    BACK_OFF = auto()  # wait first, wherever the next attempt goes


def verdict(failure: Failure, *, uncertain: bool = False) -> Verdict:
    """What to do after `failure`, if the request may be repeated at all and time is left.

    `uncertain`: an earlier attempt of the request may have been applied.
    """
    match failure:
        case Overloaded():
            return Verdict.BACK_OFF
        case ChangeUnderWay() if uncertain:
            return Verdict.BACK_OFF  # it may well be this very request that is under way
        case NoAnswer() | Unavailable() | OutcomeUnknown():
            return Verdict.ELSEWHERE
        case _:
            return Verdict.GIVE_UP


def may_have_been_applied(failure: Failure, *, was_sent: bool) -> bool:
    """True if a write that met `failure` may have changed the registry.

    `was_sent`: the write itself was handed to the network, not only the question before it,
    whether a namestore server is there at all.
    """
    match failure:
        case OutcomeUnknown():
            return was_sent
        case NoAnswer(silence=silence):
            # FOREIGN: the peer said that it does not know the method.
            return was_sent and silence not in (Silence.FOREIGN, Silence.UNSENT)
        case _:
            return False


def blames_endpoint(failure: Failure) -> bool:
    """True if other calls had better avoid the endpoint for a while."""
    if isinstance(failure, NoAnswer):
        return failure.silence is not Silence.UNSENT
    return isinstance(failure, ShuttingDown)


def settles(failure: NamestoreError) -> bool:
    """True if the failure says what became of the request, even after attempts left unknown."""
    return isinstance(failure, Refused) and not isinstance(failure, ChangeUnderWay)


def with_finding(findings: Mapping[str, str], endpoint: str, failure: Failure) -> Mapping[str, str]:
    """What a call found at each endpoint, for people, after one more failure.

    A silence does not hide what was found before: the last attempt is often cut short.
    """
    found = failure.detail if isinstance(failure, NoAnswer) else failure.message
    silent = isinstance(failure, NoAnswer) and failure.silence is Silence.TIMED_OUT
    before = findings.get(endpoint, "").removesuffix(f", then {found}")
    if silent and before and before != found:
        found = f"{before}, then {found}"
    return {**findings, endpoint: found}


def error_of(failure: Failure) -> NamestoreError:
    """A failure of a read that is not repeated, as a caller may see it."""
    if isinstance(failure, NamestoreError):
        return failure
    error = Unreachable(str(failure))
    error.__cause__ = failure
    return error


@dataclass(slots=True)
class Backoff:
    """Decorrelated jitter: each wait lies between the shortest and three times the one before.

    Many clients that failed at the same moment do not come back at the same moment.
    """

    random: Random
    _previous: float = field(default=BACKOFF_SECONDS_MIN)

    def next_wait(self) -> float:
        """Seconds; BACKOFF_SECONDS_MIN <= wait <= BACKOFF_SECONDS_MAX."""
        wait = self.random.uniform(BACKOFF_SECONDS_MIN, self._previous * 3)
        self._previous = min(wait, BACKOFF_SECONDS_MAX)
        return self._previous
