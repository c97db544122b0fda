"""The judge's own questions: each lets pass what can be, and finds what cannot."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from tests.support.history import Ask, Operation, Said
from tests.support.linearizability import Violation
from tests.torture.judging import (
    BATCH_OWNER,
    check_batches,
    check_kept,
    check_stale,
    outages,
    quantile,
)
from tests.torture.recording import Recorded, RecordedHistory, StaleRead

NAME = "user:a"


def register(
    owner: str, said: Said = Said.GRANTED, revision: int | None = 1, at: float = 0
) -> Operation:
    return Operation("c", Ask.REGISTER, NAME, owner, f"r-{owner}-{at}", at, at + 1, said, revision)


def release(
    owner: str, said: Said = Said.RELEASED, revision: int | None = 2, at: float = 2
) -> Operation:
    return Operation("c", Ask.RELEASE, NAME, owner, f"l-{owner}-{at}", at, at + 1, said, revision)


def seen(revision: int, owner: str = "", since: int = 0, at: float = 10) -> StaleRead:
    return StaleRead("c", NAME, at, at + 1, revision, owner, since)


@pytest.mark.parametrize(
    "read",
    (seen(0), seen(1, "ann", 1), seen(2), seen(7), seen(8, "bob", 8)),
)
def test_a_stale_read_may_show_any_past(read: StaleRead) -> None:
    """Each state that was, at its revision, however long ago; what is unknown may have happened."""
    history = [register("ann"), release("ann"), register("bob", Said.UNKNOWN, None, at=4)]
    check_stale(history, [read])


@pytest.mark.parametrize(
    "read",
    (
        seen(1),  # held then
        seen(2, "ann", 1),  # released then
        seen(5, "eve", 5),  # nobody asked
        seen(1, "ann", 3),  # from the future
        seen(9, "bob", 8, at=1),  # before it was asked for
        seen(1, "ann", 0),  # a grant at another revision
    ),
)
def test_a_stale_read_shows_nothing_that_never_was(read: StaleRead) -> None:
    """Not even for a moment, on a node that is behind."""
    history = [register("ann"), release("ann"), register("bob", Said.UNKNOWN, None, at=4)]
    with pytest.raises(Violation):
        check_stale(history, [read])


def test_an_unknown_release_explains_an_absence() -> None:
    """It may have happened."""
    check_stale([register("ann"), release("ann", Said.UNKNOWN, None)], [seen(5)])


def test_a_grant_is_seen_before_the_retry_that_tells_of_it() -> None:
    """Its first attempt took effect, and its answer was lost; a later one heard."""
    first = Operation("c", Ask.REGISTER, NAME, "ann", "1", 0, inf, Said.UNKNOWN)
    retry = Operation("c", Ask.REGISTER, NAME, "ann", "1", 20, 21, Said.GRANTED, 1)
    check_stale([first, retry], [seen(1, "ann", 1)])
    with pytest.raises(Violation):
        check_stale([retry], [seen(1, "ann", 1)])


def batch(name: str, said: Said, holder: str = "") -> Operation:
    owner = f"{BATCH_OWNER}1"
    return Operation("c", Ask.REGISTER, name, owner, name, 0, 1, said, 1, holder)


def test_a_batch_is_granted_whole_or_not_at_all() -> None:
    """What a batch was granted, or is seen to hold, is all of it."""
    whole = [batch("user:a", Said.GRANTED), batch("user:b", Said.GRANTED)]
    check_batches(whole)
    check_batches([batch("user:a", Said.UNKNOWN), batch("user:b", Said.UNKNOWN)])
    with pytest.raises(Violation, match="user:b"):
        check_batches([whole[0], batch("user:b", Said.UNKNOWN)])
    held = Operation("c", Ask.LOOKUP, "user:a", "", "", 2, 3, Said.FOUND, None, f"{BATCH_OWNER}1")
    with pytest.raises(Violation, match="has"):
        check_batches([batch("user:a", Said.UNKNOWN), batch("user:b", Said.UNKNOWN), held])


def found(owner: str) -> Operation:
    said = Said.FOUND if owner else Said.NOT_FOUND
    return Operation("the end", Ask.LOOKUP, NAME, "", "", 9, 10, said, None, owner)


def test_a_name_that_was_kept_is_there() -> None:
    """Granted, never given back, and its owner's at the end."""
    assert check_kept([register("ann")], [found("ann")]) == 1
    for end in ("", "bob"):
        with pytest.raises(Violation):
            check_kept([register("ann")], [found(end)])
    assert check_kept([register("ann"), release("ann", Said.UNKNOWN, None)], [found("")]) == 0
    refused = [register("ann"), release("bob", Said.NOT_OWNER, None)]
    assert check_kept(refused, [found("ann")]) == 1
    with pytest.raises(Violation):
        check_kept(refused, [found("")])


def test_an_outage_ends_with_the_first_write_asked_for_after_its_beginning() -> None:
    """Not with one that was under way; and never, if none was decided."""
    before = Operation("c", Ask.REGISTER, NAME, "x", "1", 0.5, 1.5, Said.TAKEN, 1)
    read = Operation("c", Ask.LOOKUP, NAME, "", "", 1.1, 1.2, Said.FOUND, None)
    after = Operation("c", Ask.REGISTER, NAME, "x", "2", 2.0, 3.5, Said.TAKEN, 1)
    assert outages([before, read, after], [1.0, 3.0]) == [2.5, inf]


def test_quantiles_are_values_that_occurred() -> None:
    """By nearest rank."""
    values = [float(number) for number in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert quantile([7.0], 0.99) == 7.0


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """Calls with their answers, calls without, and stale reads."""
    path = tmp_path / "calls.jsonl"
    with RecordedHistory(path) as history:
        with history.call("c", Ask.REGISTER, NAME, "ann", "01") as call:
            call.answer(Said.TAKEN, 5, "bob", 3)
        with history.call("c", Ask.RELEASE, NAME, "ann", "02"):
            pass
        with history.call("c", Ask.LOOKUP, NAME) as call:
            call.answer(Said.NOT_DONE)
        history.stale(seen(4, "bob", 3))
    recorded = Recorded()
    recorded.read(path)
    taken, unknown, refused = recorded.operations
    assert (taken.said, taken.revision, taken.holder_owner) == (Said.TAKEN, 5, "bob")
    assert taken.called <= taken.returned < inf
    assert (unknown.said, unknown.returned, unknown.request_id) == (Said.UNKNOWN, inf, "02")
    assert refused.said is Said.NOT_DONE
    assert recorded.stale == [seen(4, "bob", 3)]


def test_a_call_under_way_when_its_process_ended_is_unknown(tmp_path: Path) -> None:
    """Its first line is in the file before it leaves; half a line is none."""
    path = tmp_path / "calls.jsonl"
    with RecordedHistory(path) as history, history.call("c", Ask.REGISTER, NAME, "ann", "01"):
        under_way = path.read_text()
    path.write_text(under_way + '{"answer":0,"said":"GRA')
    recorded = Recorded()
    recorded.read(path)
    assert [operation.said for operation in recorded.operations] == [Said.UNKNOWN]
