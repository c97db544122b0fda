"""The retry table: what may be repeated, and when."""

from __future__ import annotations

from random import Random

import pytest

from namestore import errors
from namestore.client.network import NoAnswer, Silence
from namestore.client.retry import (
    BACKOFF_SECONDS_MAX,
    BACKOFF_SECONDS_MIN,
    Backoff,
    Verdict,
    blames_endpoint,
    may_have_been_applied,
    settles,
    verdict,
)


def every(root: type[errors.NamestoreError]) -> list[type[errors.NamestoreError]]:
    return [root, *(below for sub in root.__subclasses__() for below in every(sub))]


@pytest.mark.parametrize("kind", every(errors.NamestoreError), ids=lambda kind: kind.__name__)
def test_only_unavailable_and_unknown_are_repeated(kind: type[errors.NamestoreError]) -> None:
    """A request is repeated only after "certainly not applied" or "unknown"."""
    repeated = verdict(kind("?")) is not Verdict.GIVE_UP
    assert repeated is issubclass(kind, (errors.Unavailable, errors.OutcomeUnknown))


@pytest.mark.parametrize("kind", every(errors.NamestoreError), ids=lambda kind: kind.__name__)
def test_only_an_unknown_outcome_leaves_doubt(kind: type[errors.NamestoreError]) -> None:
    """What a server states leaves doubt only if it states so."""
    doubt = may_have_been_applied(kind("?"), was_sent=True)
    assert doubt is issubclass(kind, errors.OutcomeUnknown)
    settled = issubclass(kind, errors.Refused) and kind is not errors.ChangeUnderWay
    assert settles(kind("?")) is settled


def test_a_change_under_way_may_be_ones_own() -> None:
    """Refused at once, unless an earlier attempt may have begun it: then it is waited for."""
    refused = errors.ChangeUnderWay("?")
    assert verdict(refused) is Verdict.GIVE_UP
    assert verdict(refused, uncertain=True) is Verdict.BACK_OFF


@pytest.mark.parametrize(
    ("silence", "was_sent", "doubt"),
    (
        (Silence.LOST, True, True),
        (Silence.TIMED_OUT, True, True),
        (Silence.FOREIGN, True, False),
        (Silence.UNSENT, True, False),
        (Silence.LOST, False, False),
        (Silence.TIMED_OUT, False, False),
    ),
)
def test_silence_leaves_doubt_only_about_what_was_sent(
    silence: Silence, was_sent: bool, doubt: bool
) -> None:
    """A write that never left is certainly not applied; one that did, may be."""
    assert may_have_been_applied(NoAnswer("a:1", silence, "?"), was_sent=was_sent) is doubt


def test_backoff_stays_within_its_bounds_and_grows() -> None:
    """Waits lie between the shortest and the longest, and reach the longest."""
    backoff = Backoff(Random(7))
    waits = [backoff.next_wait() for _ in range(200)]
    assert all(BACKOFF_SECONDS_MIN <= wait <= BACKOFF_SECONDS_MAX for wait in waits)
    assert max(waits) == BACKOFF_SECONDS_MAX
    assert waits[0] <= 3 * BACKOFF_SECONDS_MIN


@pytest.mark.parametrize("silence", Silence)
def test_an_endpoint_is_blamed_for_its_silence(silence: Silence) -> None:
    """But not for what was never sent there."""
    failure = NoAnswer("a:1", silence, "")
    assert blames_endpoint(failure) is (silence is not Silence.UNSENT)
    assert verdict(failure) is Verdict.ELSEWHERE
