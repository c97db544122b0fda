"""The judges are judged: good histories pass both, each kind of bad one is found."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.history import History, Operation, Said
from tests.support.linearizability import Violation, check, check_names, check_revisions
from tests.unit.support.histories import (
    BAD,
    GOOD,
    LOOK,
    REG,
    REL,
    op,
    refused,
    unknown,
)

Judge = Callable[[list[Operation]], None]
both = pytest.mark.parametrize("judge", (check_revisions, check_names))

# Only the revisions tell.
BAD_REVISIONS: dict[str, list[Operation]] = {
    "two changes at one revision": [
        op(REG, "ann", 0, 9, Said.GRANTED, 1),
        replace(op(REG, "bob", 0, 9, Said.GRANTED, 1), name="user:b"),
    ],
    "revisions against real time": [
        op(REG, "ann", 0, 1, Said.GRANTED, 2),
        replace(op(REG, "bob", 2, 3, Said.GRANTED, 1), name="user:b"),
    ],
    "a read behind another name's change": [
        op(REG, "ann", 0, 1, Said.GRANTED, 2),
        replace(op(LOOK, "x", 2, 3, Said.NOT_FOUND, 1), name="user:b"),
    ],
    "reads that go backwards": [
        op(LOOK, "x", 0, 1, Said.NOT_FOUND, 7),
        op(LOOK, "x", 2, 3, Said.NOT_FOUND, 6),
    ],
    "refused for a holding that began under another name": [
        replace(op(REG, "bob", 0, 9, Said.GRANTED, 1), name="user:b"),
        unknown(REG, "cid", 0),
        refused("ann", 3, 4, since=1),
    ],
    "refused for a holding that began too early": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2, "first"),
        unknown(REG, "bob", 2),
        refused("ann", 3, 4, since=2),
    ],
    "a change without a revision": [op(REG, "ann", 0, 1, Said.GRANTED)],
    "a revision too few for what happened between": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2),
        op(REG, "bob", 2, 9, Said.GRANTED, 2),
    ],
}


@both
@pytest.mark.parametrize("name", GOOD)
def test_good_history_passes(judge: Judge, name: str) -> None:
    """What one registry can have answered is accepted."""
    judge(GOOD[name])


@both
@pytest.mark.parametrize("name", BAD)
def test_bad_history_is_found(judge: Judge, name: str) -> None:
    """What no registry can have answered is found, by each judge alone."""
    with pytest.raises(Violation):
        judge(BAD[name])


@pytest.mark.parametrize("name", BAD_REVISIONS)
def test_bad_revisions_are_found(name: str) -> None:
    """Revisions that cannot be the order of the changes are found."""
    with pytest.raises(Violation):
        check(BAD_REVISIONS[name])


def test_search_stays_small_for_a_great_race() -> None:
    """Many concurrent callers of one name, half of them without an answer, are judged at once."""
    winner = op(REG, "w", 0, 100, Said.GRANTED, 1)
    losers = [op(REG, f"l{n}", 0, 100, Said.TAKEN, 1, ("w", 1)) for n in range(60)]
    lost = [unknown(REG, f"u{n}", 0) for n in range(60)]
    check([*lost, *losers, winner])
    with pytest.raises(Violation):
        check_names([*lost, *losers, winner, op(REG, "z", 0, 100, Said.GRANTED, 2)])


def test_search_stays_small_for_many_unknown_outcomes() -> None:
    """Which of fifty lost requests explains an answer makes no difference if they ask the same."""
    lost = [
        unknown(ask, who, called=place, request=f"{who}-{ask.value}-{place}")
        for place in range(50)
        for who in ("a", "b")
        for ask in (REG, REL)
    ]
    seen = [
        op(LOOK, "r", 100 + place, 100.5 + place, Said.FOUND, at, ("ab"[place % 2], at))
        for place, at in enumerate(range(1, 80, 2))
    ]
    check_names([*lost, *seen])
    with pytest.raises(Violation):
        check_names([*lost, *seen, op(LOOK, "r", 200, 201, Said.FOUND, 99, ("c", 99))])


def test_search_stays_small_for_refusals_that_name_nobody() -> None:
    """Whoever of many it was that held the name: one of them does, and two at once do not."""
    lost = [unknown(REG, f"u{n}", 0) for n in range(40)]
    refusals = [refused(f"r{n}", 1, 100, since=1) for n in range(40)]
    check([*lost, *refusals])
    with pytest.raises(Violation):
        check_names([*lost, *refusals, refused("z", 1, 100, since=2)])


def test_history_records_calls_and_leaves_the_unanswered_open() -> None:
    """An exception leaves a call unknown and open; an answer closes it."""
    ticks = iter(range(10))
    history = History(lambda: next(ticks))
    with history.call("c", REG, "user:a", "ann", "r1") as call:
        call.answer(Said.GRANTED, 1)
    with pytest.raises(OSError, match="gone"), history.call("c", REG, "user:a", "bob", "r2"):
        raise OSError("gone")

    granted, open_call = history.operations
    assert (granted.called, granted.returned, granted.revision) == (0, 1, 1)
    assert (open_call.said, open_call.called) == (Said.UNKNOWN, 2)
    assert open_call.returned == float("inf")


def sequential(seed: int, size: int) -> list[Operation]:
    """A history that a registry gave: done one by one at whole times, called and returned around.

    Some answers get lost, whether the operation was done or not.
    """
    chance = random.Random(seed)
    held: dict[str, tuple[str, int]] = {}
    revision = 0
    history: list[Operation] = []
    for time in range(size):
        name = chance.choice(("user:a", "user:b"))
        owner = chance.choice(("ann", "bob"))
        ask = chance.choice((REG, REG, REL, LOOK))
        answer: tuple[Said, int, tuple[str, int]]
        lost = ask is not LOOK and chance.random() < 0.2
        done = not lost or chance.random() < 0.5
        holder = held.get(name)
        if ask is REG and holder is None:
            answer = (Said.GRANTED, revision + 1, ("", 0))
        elif ask is REL and holder is not None and holder[0] == owner:
            answer = (Said.RELEASED, revision + 1, ("", 0))
        elif holder is None:
            answer = (Said.NOT_FOUND, revision, ("", 0))
        else:
            said = {REG: Said.TAKEN, REL: Said.NOT_OWNER, LOOK: Said.FOUND}[ask]
            answer = (said, revision, holder)
        if done and answer[0] in (Said.GRANTED, Said.RELEASED):
            revision += 1
            held.pop(name, None)
            if ask is REG:
                held[name] = (owner, revision)
        operation = op(
            ask,
            owner,
            time - chance.uniform(0, 4),
            time + chance.uniform(0, 4),
            answer[0],
            answer[1],
            answer[2],
            request=f"r{time}",
        )
        operation = replace(operation, name=name)
        if lost:
            open_end = float("inf")
            operation = replace(unknown(ask, owner, operation.called, f"r{time}"), name=name)
            operation = replace(operation, returned=open_end)
        history.append(operation)
    chance.shuffle(history)
    return history


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_histories_of_a_registry_pass(seed: int, size: int) -> None:
    """Whatever overlaps and whatever gets lost: a true history is accepted by both judges."""
    check(sequential(seed, size))


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_histories_pass_whatever_is_left_untold(seed: int, size: int) -> None:
    """Refusals that do not say whose the name is, and answers without their revision: what was
    true is accepted by both judges."""
    chance = random.Random(seed)
    check([untold(each, chance) for each in sequential(seed, size)])


def untold(operation: Operation, chance: random.Random) -> Operation:
    """The same answer, with less of what it could tell."""
    if operation.said is Said.NOT_OWNER and chance.random() < 0.8:
        since = chance.choice((0, operation.holder_revision))
        operation = replace(operation, holder_owner="", holder_revision=since)
    if operation.said in (Said.NOT_OWNER, Said.NOT_FOUND, Said.FOUND) and chance.random() < 0.8:
        operation = replace(operation, revision=None)
    return operation


@given(st.integers(0, 2**32), st.integers(0, 40), st.booleans())
def test_a_refusal_of_the_owner_is_found(seed: int, size: int, tells: bool) -> None:
    """A release of what its caller holds, before and after, is never refused rightly."""
    end = 1_000.0
    history = sequential(seed, size)
    top = max((each.revision or 0 for each in history), default=0) + 50
    held = replace(op(REG, "zoe", end, end + 1, Said.GRANTED, top), name="user:z")
    lie = replace(refused("zoe", end + 2, end + 3, since=top if tells else 0), name="user:z")
    for judge in (check_revisions, check_names):
        judge([*history, held])
        with pytest.raises(Violation):
            judge([*history, held, lie])


@given(st.integers(0, 2**32))
def test_a_grant_added_to_a_held_name_is_found(seed: int) -> None:
    """A second grant while the first holding was read before and after is always found."""
    end = 1_000.0
    history = sequential(seed, 20)
    top = max((each.revision or 0 for each in history), default=0) + 50
    held = replace(op(REG, "zoe", end, end + 1, Said.GRANTED, top), name="user:z")
    twice = replace(op(REG, "yan", end, end + 9, Said.GRANTED, top + 1), name="user:z")
    for judge in (check_revisions, check_names):
        judge([*history, held])
        with pytest.raises(Violation):
            judge([*history, held, twice])


@given(st.integers(0, 2**32))
def test_a_read_of_the_past_is_found(seed: int) -> None:
    """Any answer moved behind the end of time, where later changes had returned, is found."""
    history = sequential(seed, 30)
    reads = [each for each in history if each.ask is LOOK]
    newest = max((each.revision or 0 for each in history if each.answered), default=0)
    for read in reads:
        if (read.revision or 0) < newest:
            moved = replace(read, called=1_000.0, returned=1_001.0)
            with pytest.raises(Violation):
                check_revisions([each for each in history if each is not read] + [moved])
