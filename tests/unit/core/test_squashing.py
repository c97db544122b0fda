"""Squashing: of each name the latest change, told part by part, nothing kept of those before."""

from __future__ import annotations

from random import Random

import pytest

from namestore.core import reading
from namestore.core.commands import Release
from namestore.core.events import Event, EventKind
from namestore.core.squashing import latest
from namestore.policy import Policy
from tests.support.lives import Life

NAMES = [f"user:{letter}" for letter in "abcde"]


def _events(life: Life, first: int = 1, count: int = 100_000) -> list[Event]:
    return reading.events(life.registry.view(), first, count).events


def _live_on(life: Life, rng: Random) -> None:
    """One thing happens to some name, or is refused."""
    name, owner = rng.choice(NAMES), rng.choice(("ann", "bob"))
    match rng.randrange(7):
        case 0 | 1:
            life.take(name, owner, rng.choice((None, None, 5000)))
        case 2:
            life.registry.decide(Release(life.request_id(), name, owner))
        case 3:
            life.update(name, owner, rng.choice(("ann", "bob")))
        case 4:
            life.rename(name, rng.choice(NAMES), owner)
        case 5:
            life.confirm(name, owner)
        case 6:
            life.pass_seconds(rng.choice((1, 10)))


@pytest.mark.parametrize("seed", range(40))
def test_each_name_is_told_as_it_was_left(seed: int) -> None:
    """Read in parts of any length, while more happens: the last change of every name is told."""
    rng, life = Random(seed), Life()
    for _ in range(60):
        _live_on(life, rng)
    told: dict[str, int] = {}
    revision = 1
    while True:
        view = life.registry.view()
        part = reading.events(view, revision, rng.randrange(1, 12)).events
        kept = latest(view, part)
        assert kept == [event for event in part if event in kept]
        told.update((event.name, event.revision) for event in kept)
        revision += len(part)
        if revision > view.meta.revision:
            break
        for _ in range(rng.randrange(3)):
            _live_on(life, rng)
    assert told == {event.name: event.revision for event in _events(life)}


@pytest.mark.parametrize("seed", range(10))
def test_at_one_moment_each_name_is_told_once(seed: int) -> None:
    """Of everything that happened, as many changes stay as there are names."""
    rng, life = Random(seed), Life()
    for _ in range(80):
        _live_on(life, rng)
    names = [event.name for event in latest(life.registry.view(), _events(life))]
    assert sorted(names) == sorted(set(names))
    assert set(names) == {event.name for event in _events(life)}


def test_a_policy_is_no_state_of_a_name() -> None:
    """Its events stay, and those of names are none the worse for it."""
    life = Life(Policy(length_max=9))
    life.take("user:a")
    life.registry.decide(Release(life.request_id(), "user:a", "ann"))
    kinds = [event.kind for event in latest(life.registry.view(), _events(life))]
    assert kinds[-1] is EventKind.RELEASED
    assert kinds[:-1] == [event.kind for event in _events(life) if event.record is None] != []


def test_a_reservation_that_is_over_is_told_until_its_end_is() -> None:
    """Nobody holds it, but no change says so yet: the next one will."""
    life = Life()
    life.take("user:a", ttl_ms=1000)
    life.pass_seconds(2)
    assert [e.revision for e in latest(life.registry.view(), _events(life))] == [1]
    life.take("user:a")
    assert [e.revision for e in latest(life.registry.view(), _events(life))] == [3]
