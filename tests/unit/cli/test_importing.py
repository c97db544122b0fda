"""Importing: the order of batches, interrupts, and files that break off."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from namestore import errors
from namestore.cli.exclusions import Exclusions
from namestore.cli.importing import Importer, Limits, Outcome
from namestore.cli.interruption import Interruption
from namestore.cli.rows import Problem, Row
from namestore.client.namespace_values import NamespaceState
from namestore.client.values import RegisterResult
from namestore.policy import Policy, Profile
from tests.unit.cli.fake_store import FakeStore, InlineExecutor, ReversingExecutor


class Heard:
    """What a report was told, in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []

    def decided(self, row: Row, result: RegisterResult, *, already_yours: bool) -> None:
        word = "granted" if result.registered else "taken"
        self.lines.append((row.line, "already yours" if already_yours else word))

    def invalid(self, problem: Problem) -> None:
        self.lines.append((problem.line, "invalid"))

    def undecided(self, row: Row, error: errors.NamestoreError) -> None:
        self.lines.append((row.line, "undecided"))

    def settled(self, offset: int) -> None:
        """Of no interest here."""


def row_at(line: int, name: str, owner: str = "o") -> Row:
    return Row(line, line, name, name, owner, line * 10)


def import_rows(
    rows: Iterator[Row | Problem],
    executor: InlineExecutor | ReversingExecutor,
    store: FakeStore | None = None,
) -> tuple[FakeStore, Heard, Outcome]:
    store, heard = store or FakeStore(), Heard()
    with Interruption(notify=lambda: None) as interruption:
        importer = Importer(
            store.register_many,
            heard,
            owner="o",
            limits=Limits(batch_names=2, batches_in_flight=3),
            interruption=interruption,
            executor=executor,
            marks=Exclusions(store.get_namespace).marks,
        )
        outcome = importer.run(rows)
    return store, heard, outcome


def test_reports_keep_the_order_of_the_file() -> None:
    """Also when the batches are answered in another order, and between them lines are invalid."""
    bad = Problem(4, 4, "x", "INVALID_NAME", "no", 40)
    rows = [row_at(line, f"user:{line}") for line in range(1, 10) if line != 4]
    store, heard, outcome = import_rows(iter([*rows[:3], bad, *rows[3:]]), ReversingExecutor())
    assert [line for line, _ in heard.lines] == list(range(1, 10))
    assert store.batches[0] != ["user:1", "user:2"]
    assert outcome.decided_line == 9


def test_first_of_two_equal_names_wins() -> None:
    """Whatever order batches are answered in, two with a name in common never travel together."""
    names = ["user:a", "user:b", "user:c", "user:a", "user:d", "user:a"]
    rows = [row_at(line, name, f"o{line}") for line, name in enumerate(names, 1)]
    store, heard, _ = import_rows(iter(rows), ReversingExecutor())
    assert store.records["user:a"].owner == "o1"
    assert dict(heard.lines) == {
        1: "granted", 2: "granted", 3: "granted", 4: "taken", 5: "granted", 6: "taken",
    }  # fmt: skip


def judged_by(policy: Policy, *, pending: bool = False) -> FakeStore:
    """A registry whose `user` has a policy; it grants whatever comes, so that order shows."""
    store = FakeStore()
    of_both = (0, None, 7, policy, None) if pending else (7, policy, 0, None, None)
    store.namespaces["user"] = NamespaceState("user", *of_both)
    return store


@pytest.mark.parametrize("pending", (False, True), ids=("in force", "pending"))
@pytest.mark.parametrize(
    ("first", "later"),
    (("Alice", "aLICE"), ("paypal", "paypa1"), ("paypaI", "paypal")),
    ids=("one name", "look-alikes", "look-alikes as they are shown"),
)
def test_first_of_two_lines_that_only_a_policy_joins_is_sent_first(
    pending: bool, first: str, later: str
) -> None:
    """Whatever order batches are answered in, what excludes each other never travels together."""
    store = judged_by(Policy(profile=Profile.USERNAME, look_alikes=True), pending=pending)
    labels = [first, "b", "c", later, "d", "e"]
    rows = [row_at(line, f"user:{label}") for line, label in enumerate(labels, 1)]
    import_rows(iter(rows), ReversingExecutor(), store)
    sent = [name for batch in store.batches for name in batch]
    assert sent.index(f"user:{first}") < sent.index(f"user:{later}")
    assert sorted(sent) == sorted(row.name for row in rows)


def test_without_a_policy_other_spellings_travel_together() -> None:
    """Where nothing joins them, nothing waits."""
    labels = ["Alice", "b", "c", "aLICE"]
    rows = [row_at(line, f"user:{label}") for line, label in enumerate(labels, 1)]
    store, _, _ = import_rows(iter(rows), ReversingExecutor())
    assert store.batches == [["user:c", "user:aLICE"], ["user:Alice", "user:b"]]


def test_each_namespace_is_asked_for_once_and_nothing_is_sent_without_an_answer() -> None:
    """Who cannot say what the policy is cannot register either; an older registry has none."""
    store, asked = FakeStore(), []
    store.before = lambda method, what: asked.append(what) if "namespace" in method else None
    rows = [row_at(line, f"{space}:{line}") for line, space in enumerate("ppqqpq", 1)]
    import_rows(iter(rows), InlineExecutor(), store)
    assert asked == ["p", "q"]

    def fail(error: errors.NamestoreError) -> Callable[[str, object], None]:
        def before(method: str, what: object) -> None:
            if method == "get_namespace":
                raise error

        return before

    store = FakeStore()
    store.before = fail(errors.NoQuorum("no majority"))
    _, heard, outcome = import_rows(iter(rows), InlineExecutor(), store)
    assert (store.batches, heard.lines, outcome.decided_line) == ([], [], 0)
    assert isinstance(outcome.error, errors.NoQuorum)
    store.before = fail(errors.NotImplementedYet("an older server"))
    _, _, outcome = import_rows(iter(rows), InlineExecutor(), store)
    assert outcome.complete


def test_interrupt_while_reading_sends_nothing_more() -> None:
    """Standard input may never end: waiting for it is broken off at once."""

    def rows() -> Iterator[Row | Problem]:
        for line in range(1, 6):
            yield row_at(line, f"user:{line}")
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("reading went on after the interrupt")

    store, heard, outcome = import_rows(rows(), InlineExecutor())
    assert outcome.interrupted
    assert not outcome.abandoned
    assert (outcome.decided_line, outcome.sent_line) == (4, 4)
    assert len(store.records) == 4
    assert len(heard.lines) == 4


def test_file_that_breaks_off_is_reported_after_what_was_read() -> None:
    """A disk or a network share may fail in the middle."""

    def rows() -> Iterator[Row | Problem]:
        yield row_at(1, "user:a")
        yield row_at(2, "user:b")
        raise OSError("input/output error")

    _, heard, outcome = import_rows(rows(), InlineExecutor())
    assert "input/output error" in outcome.unread
    assert (outcome.decided_line, outcome.complete) == (2, False)
    assert len(heard.lines) == 2


def test_interrupt_handler_is_put_back() -> None:
    """After an import Ctrl-C means again what it meant before."""
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
