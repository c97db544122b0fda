"""Callers that wait to read: answered once, only by a round that began after they came."""

from __future__ import annotations

from typing import Any

import pytest

from namestore.errors import NoQuorum, Overloaded, ShuttingDown
from namestore.raft.reads import Read, Reads


class Reader:
    """One caller and what it heard; None is leave to read."""

    def __init__(self, deadline: float = 10.0) -> None:
        self.heard: list[Any] = []
        self.read = Read(deadline, self.heard.append)


def _taken_in(book: Reads, *readers: Reader) -> None:
    for reader in readers:
        assert book.put(reader.read) is None
    book.take_in()


def test_reads_are_taken_in_in_order() -> None:
    """They wait for a round to begin."""
    book, readers = Reads(10), [Reader(), Reader()]
    _taken_in(book, *readers)
    assert list(book.waiting) == [reader.read for reader in readers]
    assert book.empty


def test_reads_are_bounded_until_they_are_answered() -> None:
    """Taking in makes no room, an answer does, once."""
    book, first = Reads(1), Reader()
    _taken_in(book, first)
    assert isinstance(book.put(Reader().read), Overloaded)
    book.answer(first.read, None)
    book.answer(first.read, NoQuorum(""))
    assert first.heard == [None]
    assert book.put(Reader().read) is None
    assert isinstance(book.put(Reader().read), Overloaded)


def test_reads_of_other_nodes_take_no_room_here() -> None:
    """Those nodes bound them."""
    book = Reads(1)
    book.answer(Read(1.0, origin=("b", 7)), None)
    assert book.put(Reader().read) is None
    assert isinstance(book.put(Reader().read), Overloaded)


def test_a_callback_that_raises_harms_nobody() -> None:
    """Consensus goes on (defect 12)."""

    def fail(_: Any) -> None:
        raise RuntimeError("event loop is closed")

    book, read = Reads(10), Read(1.0, fail)
    assert book.put(read) is None
    book.answer(read, None)
    assert read.answered


def test_after_a_change_of_leader_no_round_counts() -> None:
    """Every read of ours begins anew; those of other nodes are theirs to repeat."""
    book, confirming, asked, waits = Reads(10), Reader(), Reader(), Reader()
    _taken_in(book, waits)
    confirming.read.round, confirming.read.index = 4, 17
    book.confirming.extend([confirming.read, Read(9.0, origin=("b", 7))])
    book.asked[3] = (0.0, [asked.read])
    book.try_again()
    assert set(map(id, book.waiting)) == {id(r.read) for r in (confirming, asked, waits)}
    assert all((read.round, read.index) == (0, 0) for read in book.waiting)
    assert not book.confirming
    assert not book.asked


def test_a_confirmed_read_stays_confirmed_when_the_leader_changes() -> None:
    """Its index was committed when it came: it only waits for its own node to apply it."""
    book, reader = Reads(10), Reader()
    reader.read.index = 17
    book.applying.append(reader.read)
    book.try_again()
    assert book.applying == [reader.read]
    assert reader.read.index == 17


def test_a_question_without_an_answer_is_asked_again() -> None:
    """Only what was sent before that moment, and only for who still waits."""
    book, old, answered, fresh = Reads(10), Reader(), Reader(), Reader()
    answered.read.answered = True
    book.asked = {1: (1.0, [old.read, answered.read]), 2: (5.0, [fresh.read])}
    book.ask_again(sent_before=4.0)
    assert list(book.waiting) == [old.read]
    assert list(book.asked) == [2]


@pytest.mark.parametrize("place", ("waiting", "confirming", "asked", "applying"))
def test_a_deadline_ends_the_wait_wherever_it_is_spent(place: str) -> None:
    """And nothing is kept of it."""
    book, late = Reads(10), Reader(deadline=3.0)
    if place == "asked":
        book.asked[1] = (0.0, [late.read])
    else:
        getattr(book, place).append(late.read)
    book.expire(2.9, NoQuorum("why not"))
    assert late.heard == []
    book.expire(3.0, NoQuorum("why not"))
    assert [type(heard) for heard in late.heard] == [NoQuorum]
    assert [*book.waiting, *book.confirming, *book.asked, *book.applying] == []


def test_everybody_is_answered_when_the_node_stops() -> None:
    """Also who came in and was not looked at yet; whoever comes later is sent elsewhere."""
    book, waits, applying = Reads(10), Reader(), Reader()
    assert book.put(waits.read) is None
    book.applying.append(applying.read)
    book.fail_all()
    assert [type(heard) for heard in waits.heard + applying.heard] == [ShuttingDown] * 2
    assert isinstance(book.put(Reader().read), ShuttingDown)
