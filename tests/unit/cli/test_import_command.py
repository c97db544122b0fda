"""The import command: what it says about a file, and the code it ends with."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from namestore import errors
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore


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


@pytest.mark.parametrize("kind", ("itself", "link", "hard link"))
def test_report_never_overwrites_the_import(
    run: Run, store: FakeStore, tmp_path: Path, kind: str
) -> None:
    """By whatever name it goes: bad usage, the file as it was, and nothing sent."""
    names, other = tmp_path / "names", tmp_path / "other"
    names.write_text(numbered(3))
    report = names if kind == "itself" else other
    if kind == "link":
        other.symlink_to(names)
    elif kind == "hard link":
        other.hardlink_to(names)
    result = run("import", str(names), "--report", str(report))
    assert result.exit_code == 2
    assert "would be overwritten" in result.stderr
    assert names.read_text() == numbered(3)
    assert (store.targets, store.records) == ([], {})
