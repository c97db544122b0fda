"""Importing: batches, order, interrupts, and what is said at the end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from namestore import errors
from namestore.cli.importing import Importer, Limits, Outcome
from namestore.cli.interruption import Interruption
from namestore.cli.progress import Bar, Lines, progress_view
from namestore.cli.rows import Problem, Row
from namestore.client.values import RegisterResult
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore, InlineExecutor, ReversingExecutor


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def numbered(count: int) -> str:
    return "".join(f"user:n{number:04}\n" for number in range(1, count + 1))


def test_import_grants_then_finds_all_yours(run: Run) -> None:
    """Imported again: all taken, none granted, and nothing to complain about."""
    first = run("import", "-", "--owner", "o", stdin=numbered(3))
    second = run("import", "-", "--owner", "o", stdin=numbered(3))
    assert "granted 3, taken 0 (already yours 0, by others 0), invalid 0" in first.stdout
    assert "granted 0, taken 3 (already yours 3, by others 0), invalid 0" in second.stdout
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert second.stderr == ""


def test_import_names_the_lines_that_others_hold(run: Run, store: FakeStore) -> None:
    """With number, holder and since when; not under --quiet. Exit code 1 either way."""
    store.holds("user:n0002", "somebody")
    result = run("import", "-", "--owner", "o", stdin=numbered(3))
    quiet = run("import", "-", "--owner", "o", "--quiet", stdin=numbered(3))
    assert result.stderr == (
        "line 2: taken: user:n0002 by somebody since 2030-01-01T00:00:01.000Z\n"
    )
    assert "by others 1" in quiet.stdout
    assert quiet.stderr == ""
    assert (result.exit_code, quiet.exit_code) == (1, 1)


def test_invalid_lines_are_reported_and_the_rest_is_registered(run: Run, store: FakeStore) -> None:
    """Exit code 2; no invalid name is ever sent."""
    data = b"user:a\nnonsense\nuser:\xff\nuser:b\nuser:tor"
    result = run("import", "-", stdin=data)
    assert result.exit_code == 2
    assert sorted(store.records) == ["user:a", "user:b"]
    assert store.batches == [["user:a", "user:b"]]
    starts = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert starts == ["line 2", "line 3", "line 5"]
    assert "imported 5 lines" in result.stdout
    assert "invalid 3" in result.stdout


def test_import_takes_owners_from_csv(run: Run, store: FakeStore) -> None:
    """An empty owner stands for that of --owner."""
    run("import", "-", "--owner", "d", stdin="name,owner\nuser:a,x\nuser:b,\n")
    assert {name: record.owner for name, record in store.records.items()} == {
        "user:a": "x",
        "user:b": "d",
    }


def test_namespace_makes_names_of_words(run: Run, store: FakeStore) -> None:
    """With or without its colon; one that cannot be is refused before anything is sent."""
    run("import", "-", "--namespace", "user", stdin="a\n")
    run("import", "-", "--namespace", "user:", stdin="b\n")
    assert sorted(store.records) == ["user:a", "user:b"]
    assert run("import", "-", "--namespace", "User", stdin="c\n").exit_code == 2
    assert run("import", "-", "--namespace", "a", "--prefix", "b:", stdin="c\n").exit_code == 2


def test_report_file_takes_the_lines(run: Run, tmp_path: Path) -> None:
    """Standard error stays free for other things."""
    report = tmp_path / "report.txt"
    result = run("import", "-", "--report", str(report), stdin="nonsense\n")
    assert report.read_text().startswith("line 1: invalid: nonsense: ")
    assert result.stderr == ""


def test_file_of_another_encoding_is_bad_usage(run: Run, store: FakeStore) -> None:
    """So is a CSV file with other columns."""
    assert run("import", "-", stdin="user:a\n".encode("utf-16")).exit_code == 2
    assert run("import", "-", stdin="name,owner,age\n").exit_code == 2
    assert run("import", "/nowhere").exit_code == 2
    assert store.batches == []


def test_batches_hold_as_many_names_as_was_said(run: Run, store: FakeStore) -> None:
    """The last one what is left."""
    run("import", "-", "--batch", "4", stdin=numbered(10))
    assert [len(batch) for batch in store.batches] == [4, 4, 2]
    assert run("import", "-", "--batch", "1001", stdin="").exit_code == 2


def test_server_that_finds_one_name_invalid_costs_only_that_name(
    run: Run, store: FakeStore
) -> None:
    """Another version of Unicode may judge otherwise: the batch is halved until it is found."""

    def judge(method: str, asked: list[str]) -> None:
        if "user:n0005" in asked:
            raise errors.InvalidName("not by my tables")

    store.before = judge
    result = run("import", "-", stdin=numbered(8))
    assert result.exit_code == 2
    assert len(store.records) == 7
    assert result.stderr == "line 5: invalid: user:n0005: not by my tables\n"


@pytest.mark.parametrize(
    ("error", "code", "count"),
    (
        (errors.OutcomeUnknown("lost"), 4, "unknown"),
        (errors.NoQuorum("no majority"), 3, "not_done"),
        (errors.PermissionDenied("not you"), 1, "not_done"),
    ),
)
def test_import_stops_where_it_is_no_longer_certain(
    run: Run, store: FakeStore, error: errors.NamestoreError, code: int, count: str
) -> None:
    """It says up to which line all is decided, and that running it again is safe."""

    def fail(method: str, asked: list[str]) -> None:
        if "user:n0003" in asked:
            raise error

    store.before = fail
    arguments = ("import", "-", "--batch", "2", "--in-flight", "1")
    result = run(*arguments, stdin=numbered(9))
    assert result.exit_code == code
    assert "every line up to 2 is decided; nothing after line 4 was sent" in result.stderr
    assert "run the same command again" in result.stderr
    summary = objects(run("--json", *arguments, stdin=numbered(9)).stdout)[-1]["summary"]
    assert isinstance(summary, dict)
    assert summary[count] == 2
    assert (summary["complete"], summary["decided_through_line"]) == (False, 2)


def test_rerun_after_lost_answers_finds_them_already_yours(run: Run, store: FakeStore) -> None:
    """What was registered although its answer was lost counts as yours the second time."""
    calls = iter(range(10))

    def lose(method: str, asked: object) -> None:
        if next(calls) == 1:
            raise errors.OutcomeUnknown("lost")

    store.after = lose
    first = run("import", "-", "--batch", "2", "--in-flight", "1", stdin=numbered(6))
    second = run("import", "-", "--batch", "2", "--in-flight", "1", stdin=numbered(6))
    assert first.exit_code == 4
    assert second.exit_code == 0
    assert "granted 2, taken 4 (already yours 4, by others 0)" in second.stdout


def test_interrupt_waits_for_what_is_under_way(run: Run, store: FakeStore) -> None:
    """Then all that was sent is decided, and it says which line that is."""

    def interrupt(method: str, asked: list[str]) -> None:
        if "user:n0003" in asked:
            os.kill(os.getpid(), signal.SIGINT)

    store.before = interrupt
    result = run("import", "-", "--batch", "2", stdin=numbered(9))
    assert result.exit_code == 130
    assert "every line up to 4 is decided; nothing after line 4 was sent" in result.stderr
    assert sorted(store.records) == [f"user:n000{number}" for number in range(1, 5)]


def test_second_interrupt_ends_at_once(run: Run, store: FakeStore) -> None:
    """Then it is not known what became of the batch under way, and it says so."""

    def interrupt(method: str, asked: list[str]) -> None:
        if "user:n0003" in asked:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    store.before = interrupt
    result = run("import", "-", "--batch", "2", stdin=numbered(9))
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert len(store.records) <= 4


def test_progress_without_a_terminal_is_a_line_now_and_then(run: Run) -> None:
    """One in five seconds at most; none with --json."""
    ticks = iter(range(0, 1000, 2))
    result = run("import", "-", "--batch", "1", stdin=numbered(9), clock=lambda: next(ticks))
    lines = result.stderr.splitlines()
    assert 1 <= len(lines) <= 4
    assert all(line.startswith("granted ") for line in lines)


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
    rows: Iterator[Row | Problem], executor: InlineExecutor | ReversingExecutor
) -> tuple[FakeStore, Heard, Outcome]:
    store, heard = FakeStore(), Heard()
    with Interruption(notify=lambda: None) as interruption:
        importer = Importer(
            store.register_many,
            heard,
            owner="o",
            limits=Limits(batch_names=2, batches_in_flight=3),
            interruption=interruption,
            executor=executor,
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


def test_bar_shows_how_far_it_is_and_lets_lines_through(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal: a share, the tally in words, and whole lines about single rows above it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with Bar(200) as bar:
        bar.advance(100, "granted 7  taken 0  invalid 1")
        bar.note("line 3: invalid: [bold]x[/bold]" + "y" * 100)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "50%" in shown.err
    assert "granted 7  taken 0  invalid 1" in shown.err
    assert "[bold]x[/bold]" + "y" * 100 in shown.err


def test_view_is_silent_plain_or_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar only where somebody watches standard error, and never with --json."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert isinstance(progress_view(silent=False, bytes_total=None, clock=lambda: 0.0), Bar)
    assert isinstance(progress_view(silent=True, bytes_total=None, clock=lambda: 0.0), Lines)
