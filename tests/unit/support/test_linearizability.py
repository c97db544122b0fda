"""The judges are judged: good histories pass both, each kind of bad one is found."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.history import Ask, History, Operation, Said
from tests.support.linearizability import Violation, check, check_names, check_revisions

REG, REL, LOOK = Ask.REGISTER, Ask.RELEASE, Ask.LOOKUP
Judge = Callable[[list[Operation]], None]
both = pytest.mark.parametrize("judge", (check_revisions, check_names))


def op(
    ask: Ask,
    who: str,
    called: float,
    returned: float,
    said: Said,
    revision: int | None = None,
    holder: tuple[str, int] = ("", 0),
    request: str = "",
) -> Operation:
    """One operation on `user:a`; the request is `who`'s only one of its kind unless told."""
    request_id = "" if ask is LOOK else request or f"{who}-{ask.value}"
    owner = "" if ask is LOOK else who
    return Operation(
        who, ask, "user:a", owner, request_id, called, returned, said, revision, *holder
    )


def unknown(ask: Ask, who: str, called: float, request: str = "") -> Operation:
    return op(ask, who, called, float("inf"), Said.UNKNOWN, request=request)


ANN = ("ann", 1)

GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [
        op(LOOK, "x", 0, 1, Said.NOT_FOUND, 0),
        op(REG, "ann", 2, 3, Said.GRANTED, 1),
        op(REG, "bob", 4, 5, Said.TAKEN, 1, ANN),
        op(LOOK, "x", 6, 7, Said.FOUND, 1, ANN),
        op(REL, "bob", 8, 9, Said.NOT_OWNER, None, ANN),
        op(REL, "ann", 10, 11, Said.RELEASED, 2),
        op(LOOK, "x", 12, 13, Said.NOT_FOUND, 2),
        op(REG, "bob", 14, 15, Said.GRANTED, 3, request="again"),
    ],
    "a race, answered out of order": [
        op(REG, "bob", 0, 1, Said.TAKEN, 1, ANN),
        op(REG, "ann", 0, 9, Said.GRANTED, 1),
    ],
    "a read during a register may see either": [
        op(REG, "ann", 0, 9, Said.GRANTED, 5),
        op(LOOK, "x", 1, 2, Said.NOT_FOUND, 4),
        op(LOOK, "y", 3, 4, Said.FOUND, 5, ("ann", 5)),
    ],
    "an unknown register that was": [
        unknown(REG, "ann", 0),
        op(REG, "bob", 5, 6, Said.TAKEN, 1, ANN),
    ],
    "an unknown register that was not": [
        unknown(REG, "ann", 0),
        op(REG, "bob", 5, 6, Said.GRANTED, 1),
    ],
    "an unknown release that was, and one that was not": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2),
        unknown(REL, "ann", 2, "again"),
        op(LOOK, "x", 3, 4, Said.FOUND, 1, ANN),
        op(REG, "bob", 5, 6, Said.GRANTED, 3),
    ],
    "unknown release and unknown register together": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2),
        unknown(REG, "bob", 2),
        op(LOOK, "x", 3, 4, Said.FOUND, 3, ("bob", 3)),
    ],
    "a retry learns that it won": [
        unknown(REG, "ann", 0),
        op(REG, "bob", 2, 3, Said.TAKEN, 1, ANN),
        op(REG, "ann", 4, 5, Said.GRANTED, 1),
    ],
    "a retry after the release hears the same": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(REG, "ann", 4, 5, Said.GRANTED, 1),
        op(LOOK, "x", 6, 7, Said.NOT_FOUND, 2),
    ],
    "certainly not done, then by another": [
        op(REG, "ann", 0, 1, Said.NOT_DONE),
        op(REG, "bob", 2, 3, Said.GRANTED, 1),
    ],
}

# What both judges must find.
BAD: dict[str, list[Operation]] = {
    "double grant": [
        op(REG, "ann", 0, 9, Said.GRANTED, 1),
        op(REG, "bob", 0, 9, Said.GRANTED, 2),
    ],
    "lost grant": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.NOT_FOUND, 1),
    ],
    "stale read after a release": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(LOOK, "x", 4, 5, Said.FOUND, 1, ANN),
    ],
    "stale read before a grant": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.NOT_FOUND, 0),
        op(LOOK, "x", 4, 5, Said.FOUND, 1, ANN),
    ],
    "release by another": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "bob", 2, 3, Said.RELEASED, 2),
    ],
    "the owner refused": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.NOT_OWNER, 1, ANN),
    ],
    "taken by nobody": [op(REG, "bob", 0, 1, Said.TAKEN, 1, ANN)],
    "taken before it was asked for": [
        op(REG, "bob", 0, 1, Said.TAKEN, 1, ANN),
        op(REG, "ann", 2, 3, Said.GRANTED, 1),
    ],
    "an unknown register seen before it was called": [
        op(LOOK, "x", 0, 1, Said.FOUND, 1, ANN),
        unknown(REG, "ann", 2),
    ],
    "an unknown register done twice": [
        unknown(REG, "ann", 0),
        op(LOOK, "x", 1, 2, Said.FOUND, 1, ANN),
        op(REL, "ann", 3, 4, Said.RELEASED, 2),
        op(LOOK, "x", 5, 6, Said.FOUND, 3, ("ann", 3)),
    ],
    "certainly not done, and done": [
        op(REG, "ann", 0, 1, Said.NOT_DONE),
        op(LOOK, "x", 2, 3, Said.FOUND, 1, ANN),
    ],
    "a retry that heard otherwise": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REG, "ann", 2, 3, Said.TAKEN, 1, ANN),
    ],
    "a late duplicate that took effect": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(REG, "ann", 4, 5, Said.GRANTED, 3),
    ],
    "another holding of the same owner": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.FOUND, 2, ("ann", 2)),
    ],
}

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
