"""Callers that wait for a decision: each is answered once, and told the truth."""

from __future__ import annotations

from typing import Any

import pytest

from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.errors import NoLeader, OutcomeUnknown, Overloaded, ShuttingDown
from namestore.raft.proposals import Proposal, Proposals


class Caller:
    """One caller and what it heard."""

    def __init__(
        self, count: int = 1, deadline: float = 10.0, relayed: bool = False, size: int = 4
    ) -> None:
        self.heard: list[Any] = []
        commands = [b"x" * size] * count
        self.proposal = Proposal(commands, deadline, self.heard.append, relayed=relayed)


def _book(names_max: int = 100, bytes_max: int = 10_000) -> Proposals:
    return Proposals(names_max, bytes_max)


def _taken_in(book: Proposals, *callers: Caller) -> None:
    for caller in callers:
        assert book.queue.put(caller.proposal) is None
    book.take_in()


def _decision(revision: int) -> Decision:
    return (Outcome(Verdict.NAME_NOT_FOUND, revision),)


def test_proposals_are_taken_in_in_order() -> None:
    """First come, first proposed."""
    book, callers = _book(), [Caller() for _ in range(3)]
    _taken_in(book, *callers)
    assert list(book.waiting) == [caller.proposal for caller in callers]
    assert book.queue.empty


@pytest.mark.parametrize("book", (_book(names_max=3), _book(bytes_max=12)), ids=("names", "bytes"))
def test_what_waits_is_bounded_until_it_is_answered(book: Proposals) -> None:
    """In commands and in bytes; taking in makes no room, an answer does."""
    first, second, third = Caller(2), Caller(2), Caller(2)
    _taken_in(book, first)
    assert isinstance(book.queue.put(second.proposal), Overloaded)
    book.answer(first.proposal, NoLeader(""))
    assert book.queue.put(third.proposal) is None


def test_a_caller_is_answered_once() -> None:
    """Whatever comes later is for nobody, and makes no room a second time."""
    book, caller = _book(names_max=1), Caller()
    _taken_in(book, caller)
    book.answer(caller.proposal, NoLeader(""))
    book.answer(caller.proposal, [_decision(1)])
    assert [type(heard) for heard in caller.heard] == [NoLeader]
    assert book.queue.put(Caller().proposal) is None
    assert isinstance(book.queue.put(Caller().proposal), Overloaded)


def test_a_callback_that_raises_harms_nobody() -> None:
    """The next caller is answered all the same (defect 12)."""

    def fail(_: Any) -> None:
        raise RuntimeError("event loop is closed")

    book, other = _book(), Caller()
    bad = Proposal([b"x"], 10.0, fail)
    book.decided([bad, other.proposal], [_decision(1), _decision(2)])
    assert bad.answered
    assert other.heard == [[_decision(2)]]


def test_decisions_are_shared_by_the_number_of_commands() -> None:
    """Also past a caller that was answered before."""
    book, callers = _book(), [Caller(2), Caller(1), Caller(3)]
    callers[1].proposal.answered = True
    book.decided([caller.proposal for caller in callers], [_decision(n) for n in range(6)])
    assert callers[0].heard == [[_decision(0), _decision(1)]]
    assert callers[1].heard == []
    assert callers[2].heard == [[_decision(3), _decision(4), _decision(5)]]


def test_a_change_of_leader_puts_everything_back_oldest_first() -> None:
    """What was in the log, then what was forwarded, then what waited."""
    book = _book()
    waits, logged, later, forwarded = Caller(), Caller(), Caller(), Caller()
    _taken_in(book, waits)
    book.in_log = {9: [later.proposal], 4: [logged.proposal]}
    book.forwarded = {1: (0.0, [forwarded.proposal])}
    book.try_again()
    expected = [logged, later, forwarded, waits]
    assert list(book.waiting) == [caller.proposal for caller in expected]
    assert not book.in_log
    assert not book.forwarded


@pytest.mark.parametrize(("attempted", "answer"), ((True, OutcomeUnknown), (False, NoLeader)))
def test_what_was_relayed_is_given_back_at_a_change_of_leader(
    attempted: bool, answer: type
) -> None:
    """The node it came from tries again by itself; "not applied" only if it never was in a log."""
    book, caller = _book(), Caller(relayed=True)
    _taken_in(book, caller)
    caller.proposal.attempted = attempted
    book.try_again()
    assert [type(heard) for heard in caller.heard] == [answer]
    assert not book.waiting


def test_what_was_forwarded_without_an_answer_is_forwarded_anew() -> None:
    """Only what was sent before that moment, and only for who still waits."""
    book, old, answered, fresh = _book(), Caller(), Caller(), Caller()
    answered.proposal.answered = True
    book.forwarded = {
        1: (1.0, [old.proposal, answered.proposal]),
        2: (5.0, [fresh.proposal]),
    }
    book.forward_again(sent_before=4.0)
    assert list(book.waiting) == [old.proposal]
    assert list(book.forwarded) == [2]


@pytest.mark.parametrize("place", ("waiting", "in_log", "forwarded"))
@pytest.mark.parametrize(("attempted", "answer"), ((True, OutcomeUnknown), (False, NoLeader)))
def test_a_deadline_ends_the_wait_wherever_it_is_spent(
    place: str, attempted: bool, answer: type
) -> None:
    """ "Certainly not applied" is said only of what was never handed to a log."""
    book, late, other = _book(), Caller(deadline=3.0), Caller(deadline=9.0)
    _taken_in(book, late, other)
    late.proposal.attempted = attempted
    if place != "waiting":
        batch = [book.waiting.popleft() for _ in range(2)]
        if place == "in_log":
            book.in_log[7] = batch
        else:
            book.forwarded[7] = (0.0, batch)
    book.expire(2.9, NoLeader("why not"))
    assert late.heard == []
    book.expire(3.0, NoLeader("why not"))
    assert [type(heard) for heard in late.heard] == [answer]
    assert other.heard == []
    assert late.proposal not in book.waiting


def test_everybody_is_answered_when_the_node_stops() -> None:
    """Also who came in and was not looked at yet; whoever comes later is sent elsewhere."""
    book, waits, logged, comes = _book(), Caller(), Caller(), Caller()
    logged.proposal.attempted = True
    book.in_log[3] = [logged.proposal]
    assert book.queue.put(waits.proposal) is None
    book.fail_all(ShuttingDown("stopping"))
    assert [type(heard) for heard in waits.heard + logged.heard] == [ShuttingDown, OutcomeUnknown]
    assert isinstance(book.queue.put(comes.proposal), ShuttingDown)
    assert not book.waiting
    assert not book.in_log


def test_each_deadline_is_kept_in_whatever_order_they_come() -> None:
    """Looked at only when one may have passed, and none is passed over: also one that comes later
    and is due earlier, and those that are put back."""
    book = _book()
    long, short, later = Caller(deadline=50.0), Caller(deadline=20.0), Caller(deadline=10.0)
    _taken_in(book, long, short)
    book.expire(5.0, NoLeader(""))
    _taken_in(book, later)
    _taken_in(book, Caller(deadline=90.0))
    book.expire(10.0, NoLeader(""))
    assert [len(caller.heard) for caller in (long, short, later)] == [0, 0, 1]
    batch = [book.waiting.popleft() for _ in range(2)]
    book.forwarded[1] = (10.0, batch)
    book.expire(15.0, NoLeader(""))
    book.forward_again(12.0)
    book.expire(20.0, NoLeader(""))
    assert [len(caller.heard) for caller in (long, short, later)] == [0, 1, 1]
    book.expire(50.0, NoLeader(""))
    assert [len(caller.heard) for caller in (long, short, later)] == [1, 1, 1]


def test_who_waits_for_no_leader_is_answered_now() -> None:
    """But not those that may be in a log: they keep their time."""
    book = _book()
    waits, attempted = Caller(), Caller()
    attempted.proposal.attempted = True
    _taken_in(book, waits, attempted)
    book.expire(1.0, NoLeader(""))
    book.hurry(2.0)
    book.expire(2.0, NoLeader("none"))
    assert [type(answer) for answer in waits.heard] == [NoLeader]
    assert attempted.heard == []
    book.expire(10.0, NoLeader(""))
    assert [type(answer) for answer in attempted.heard] == [OutcomeUnknown]
