"""namespace check: which lines of a file a policy would not take, without asking any registry."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from namestore.cli.checking import KINDS
from namestore.cli.policy_files import example_text
from namestore.policy import Policy, Profile, policy_from
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore

USERS = ("--profile", "username", "--look-alikes", "--reserved-shipped")


def check(run: Run, stdin: str | bytes, *options: str) -> list[tuple[object, object]]:
    """Line and kind of each finding."""
    result = run("--json", "namespace", "check", "user", "-", *(options or USERS), stdin=stdin)
    *found, _ = [json.loads(line) for line in result.stdout.splitlines()]
    return [(item["line"], item["conflict"]) for item in found]


def test_every_kind_is_found_with_its_line(run: Run) -> None:
    """One finding for a line at most; of names that exclude each other the first one stays."""
    names = "alice\nbob\nAlice\na1ice\nadmin\na b\nCarol\nzoe\n"
    assert check(run, names) == [
        (3, "EQUAL"),
        (4, "LOOK_ALIKE"),
        (5, "RESERVED"),
        (6, "INVALID"),
        (7, "MOVED"),
    ]


def test_lines_that_cannot_be_read_are_findings_in_their_place(run: Run) -> None:
    """Bytes that are not UTF-8, empty lines and huge ones stop nothing, and say what they are."""
    data = b"\n".join((b"alice", b"a\xff", b"", b" \t", b"x" * 70000, b"ALICE", b""))
    result = run("namespace", "check", "user", "-", *USERS, stdin=data)
    assert result.stdout.splitlines()[:-1] == [
        "line 2: unreadable: not UTF-8: byte 0xff at position 2",
        "line 3: unreadable: the line is empty",
        "line 4: unreadable: the line is empty",
        "line 5: unreadable: the line is longer than 64 KiB",
        "line 6: equal: 'ALICE' and 'alice' are the same name, 'alice'",
    ]
    assert result.exit_code == 1


def test_summary_counts_every_line_once(run: Run) -> None:
    """The kinds and the lines that can stay add up to the lines of the file."""
    stdin = "alice\nAlice\nBob\n\na b\nzoe"
    result = run("--json", "namespace", "check", "user", "-", *USERS, stdin=stdin)
    summary = json.loads(result.stdout.splitlines()[-1])["summary"]
    counts = {kind: summary[kind.lower()] for kind in KINDS}
    assert counts == dict.fromkeys(KINDS, 1) | {"RESERVED": 0, "LOOK_ALIKE": 0}
    assert summary["as_they_are"] + sum(counts.values()) == summary["lines"] == 6
    assert "line 6 does not end with a newline" in result.stderr


def test_code_is_0_only_without_findings(run: Run) -> None:
    """What is ignored is counted, but neither listed nor decisive."""
    clean = run("namespace", "check", "user", "-", *USERS, stdin="alice\nbob\n")
    moved = run("namespace", "check", "user", "-", *USERS, stdin="Alice\n")
    ignored = run("namespace", "check", "user", "-", *USERS, "--ignore", "moved", stdin="Alice\n")
    assert (clean.exit_code, moved.exit_code, ignored.exit_code) == (0, 1, 0)
    (summary,) = ignored.stdout.splitlines()
    assert "moved 1" in summary


def test_quiet_is_the_summary_alone(run: Run) -> None:
    """And ends as it would otherwise."""
    result = run("namespace", "check", "user", "-", *USERS, "--quiet", stdin="Alice\n\n")
    assert len(result.stdout.splitlines()) == 1
    assert result.exit_code == 1


def test_no_registry_is_asked(run: Run, store: FakeStore) -> None:
    """It is a dry run: none is opened."""
    run("namespace", "check", "user", "-", *USERS, stdin="alice\n")
    assert store.targets == []


def test_whole_names_are_those_of_export(run: Run) -> None:
    """Of this namespace; a line of another is told apart."""
    stdin = "user:alice\npost:alice\nuser:ALICE\n"
    found = check(run, stdin, *USERS, "--whole-names")
    assert found == [(2, "UNREADABLE"), (3, "EQUAL")]


def test_policy_file_says_all(run: Run, tmp_path: Path) -> None:
    """With reserved words from a file beside it."""
    (tmp_path / "words.txt").write_text("root* # staff\n")
    policy = tmp_path / "p.toml"
    policy.write_text('profile = "slug"\nreserved = ["acme"]\nreserved_file = "words.txt"\n')
    found = check(run, "acme\nrooted\nok\n", "--policy", str(policy))
    assert found == [(1, "RESERVED"), (2, "RESERVED")]


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("profile = ", "not TOML"),
        ('profil = "slug"', "did you mean profile?"),
        ("length_min = 0", "length_min"),
        ('reserved_file = "nowhere.txt"', "cannot be read"),
        ("reserved_file = 7", "not the path of a file"),
    ),
)
def test_policy_that_is_not_understood_is_bad_usage(
    run: Run, tmp_path: Path, text: str, said: str
) -> None:
    """Nothing is checked by half a policy."""
    policy = tmp_path / "p.toml"
    policy.write_text(text)
    result = run("namespace", "check", "user", "-", "--policy", str(policy), stdin="a\n")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "options",
    (
        ("user",),
        ("user", "--look-alikes", "--policy", "{policy}"),
        ("User", "--profile", "slug"),
        ("user", "--profile", "email", "--squeeze"),
    ),
)
def test_impossible_options_are_bad_usage(
    run: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """No policy, two of them, no namespace, or fields that exclude each other."""
    policy = tmp_path / "p.toml"
    policy.write_text("")
    namespace, *rest = (option.format(policy=policy) for option in options)
    assert run("namespace", "check", namespace, "-", *rest, stdin="a\n").exit_code == 2


def test_example_is_a_policy_and_names_every_field(run: Run) -> None:
    """What is printed can be given to --policy, and leaves no field unmentioned."""
    printed = run("namespace", "policy").stdout
    assert policy_from(tomllib.loads(printed)).profile is Profile.USERNAME
    assert printed.rstrip() == example_text().rstrip()
    for field in fields(Policy):
        assert field.name in printed


def test_progress_is_a_line_now_and_then(run: Run) -> None:
    """Elsewhere than on a terminal; with the share that is done where it is known."""
    ticks = iter(range(0, 1000, 6))
    stdin = "".join(f"name{number}\n" for number in range(4000))
    options = ("namespace", "check", "user", "-", *USERS)
    result = run(*options, stdin=stdin, clock=lambda: next(ticks))
    assert result.stderr.splitlines()[0] == "2,000 lines  0 findings"
