"""The commands about the life of a name and of a namespace: what they say, and how they end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from namestore import errors
from namestore.client.histories import Ending, Holding, NameHistory
from namestore.client.namespace_values import ConflictKind, PolicyConflict
from namestore.client.values import Refusal, RegisterResult
from namestore.policy import Policy, Profile
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import EPOCH, FakeStore

REFUSED = RegisterResult("", False, None, None, 0, b"")


@pytest.mark.parametrize(
    ("ttl", "seconds"), (("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("7d", 604800))
)
def test_a_reservation_lasts_as_long_as_is_typed(
    run: Run, store: FakeStore, ttl: str, seconds: float
) -> None:
    """In seconds, or with s, m, h or d; its end is told."""
    result = run("register", "user:a", "--ttl", ttl)
    assert store.records["user:a"].expire_time == EPOCH + timedelta(seconds=seconds)
    assert " until 2030-01-" in result.stdout


@pytest.mark.parametrize("ttl", ("", "-1", "2 weeks", "1w", "nan"))
def test_what_is_no_time_is_bad_usage(run: Run, store: FakeStore, ttl: str) -> None:
    """Nothing is registered, least of all for ever."""
    assert run("register", "user:a", f"--ttl={ttl}").exit_code == 2
    assert store.records == {}


def test_without_a_time_a_name_is_for_ever(run: Run, store: FakeStore) -> None:
    """No end is told."""
    result = run("register", "user:a")
    assert store.records["user:a"].expire_time is None
    assert "until" not in result.stdout


def test_confirm_makes_a_reservation_permanent(run: Run, store: FakeStore) -> None:
    """By its owner alone; of a name that is not there, code 1."""
    store.holds("user:a", "o", ttl=60)
    assert run("confirm", "user:a").exit_code == 1
    assert store.records["user:a"].expire_time is not None
    result = run("confirm", "user:a", "--owner", "o")
    assert result.stdout == "confirmed  user:a  owner=o  revision=2\n"
    assert store.records["user:a"].expire_time is None
    assert run("confirm", "user:b").exit_code == 1


def test_update_changes_only_what_is_given(run: Run, store: FakeStore) -> None:
    """Payload or owner; neither is bad usage, and a stale fence is refused."""
    store.holds("user:a", "o", b"old")
    run("update", "user:a", "--owner", "o", "--new-owner", "p")
    assert (store.records["user:a"].owner, store.records["user:a"].payload) == ("p", b"old")
    run("update", "user:a", "--owner", "p", "--payload", "")
    assert (store.records["user:a"].owner, store.records["user:a"].payload) == ("p", b"")
    assert run("update", "user:a", "--owner", "p").exit_code == 2
    fenced = ("update", "user:a", "--owner", "p", "--payload", "x", "--create-revision", "9")
    assert run(*fenced).exit_code == 1
    assert store.records["user:a"].payload == b""


def test_rename_takes_one_and_gives_the_other_back(run: Run, store: FakeStore) -> None:
    """If the new one cannot be had, the old one stays, and what is in the way is told."""
    store.holds("user:a", "o")
    store.holds("user:taken", "somebody")
    refused = run("rename", "user:a", "user:taken", "--owner", "o")
    assert refused.exit_code == 1
    assert refused.stdout.startswith("taken  user:taken  by somebody")
    assert "user:a" in store.records
    assert run("rename", "user:a", "nonsense", "--owner", "o").exit_code == 2
    done = run("rename", "user:a", "user:b", "--owner", "o")
    assert done.exit_code == 0
    assert done.stdout.startswith("renamed  user:a  user:b  owner=o")
    assert sorted(store.records) == ["user:b", "user:taken"]


@pytest.mark.parametrize(
    "arguments", (("confirm", "user:a"), ("rename", "user:a", "user:b"), ("release", "user:a"))
)
def test_a_fence_keeps_a_later_holding_as_it_is(
    run: Run, store: FakeStore, arguments: tuple[str, ...]
) -> None:
    """Another holding than the one that was meant: refused, and nothing is changed."""
    held = store.holds("user:a", ttl=60)
    assert run(*arguments, "--create-revision", "9").exit_code == 1
    assert store.records == {"user:a": held}
    assert run(*arguments, "--create-revision", "1").exit_code == 0


def test_lookup_tells_where_a_renamed_name_went(run: Run, store: FakeStore) -> None:
    """It is free all the same: code 1."""
    store.holds("user:a", "o")
    run("rename", "user:a", "user:b", "--owner", "o")
    result = run("lookup", "user:a")
    assert result.stdout.startswith("renamed  user:a  now user:b  owner=o")
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    (
        ("confirm", "user:a"),
        ("update", "user:a", "--payload", "x"),
        ("rename", "user:a", "user:b"),
    ),
)
def test_unknown_outcome_of_a_change_says_how_to_ask_again(
    run: Run, store: FakeStore, arguments: tuple[str, ...]
) -> None:
    """With the very request_id that was sent; and given back, it is the one that is sent."""

    def lose(method: str, asked: object) -> None:
        raise errors.OutcomeUnknown("the answer was lost")

    store.before = lose
    result = run(*arguments)
    (identity,) = store.request_ids
    assert identity is not None
    assert result.exit_code == 4
    assert f"--request-id hex:{identity.hex()}" in result.stderr
    run(*arguments, "--request-id", f"hex:{identity.hex()}")
    assert store.request_ids[1] == identity


@pytest.mark.parametrize(
    ("refused", "line", "code"),
    (
        (
            RegisterResult("", False, Refusal.HELD_BACK, None, 0, b"", until=EPOCH),
            "held back  user:x  until 2030-01-01T00:00:00.000Z",
            1,
        ),
        (
            RegisterResult("", False, Refusal.CONFUSABLE, None, 0, b"", in_way="user:y"),
            "look-alike  user:x  because of user:y",
            1,
        ),
        (
            RegisterResult("", False, Refusal.RESERVED_WORD, None, 0, b"", message="it is \x1b"),
            "reserved  user:x  it is \\x1b",
            1,
        ),
        (
            RegisterResult("", False, Refusal.INVALID_BY_POLICY, None, 0, b"", message="short"),
            "invalid  user:x  short",
            2,
        ),
        (RegisterResult("", False, Refusal.OWNER_LIMIT, None, 0, b""), "owner limit  user:x", 1),
    ),
)
def test_a_refusal_says_what_is_in_the_way(
    run: Run, store: FakeStore, refused: RegisterResult, line: str, code: int
) -> None:
    """And until when; a name that the policy takes from nobody is a bad name."""
    store.refusals["user:x"] = refused
    result = run("register", "user:x")
    assert (result.stdout, result.exit_code) == (f"{line}\n", code)


def test_history_is_a_line_for_each_holding(run: Run, store: FakeStore) -> None:
    """Who, from when to when, and what ended it; nothing known is code 1."""
    later = EPOCH + timedelta(days=1)
    store.holdings["user:a"] = (
        Holding("x", EPOCH, later, 3, Ending.RENAMED_AWAY, 7),
        Holding("", later, None, 9, None, None),
    )
    result = run("history", "user:a")
    assert result.stdout.splitlines() == [
        "2030-01-01T00:00:00.000Z  to 2030-01-02T00:00:00.000Z  owner=x  revision=3  renamed away",
        '2030-01-02T00:00:00.000Z  to now  owner=""  revision=9',
    ]
    assert "before revision 2" in result.stderr
    assert run("history", "user:b").exit_code == 1


def test_history_that_reaches_back_to_the_beginning_says_nothing_of_it(
    run: Run, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before revision 1 there was nothing that could have ended."""
    whole = NameHistory((), 9, 1)
    monkeypatch.setattr(store, "history", lambda name, stale, timeout: whole)
    assert "before revision" not in run("history", "user:a").stderr


def test_namespace_set_replaces_the_policy_in_force(run: Run, store: FakeStore) -> None:
    """The version it replaces is looked up, unless one is expected."""
    assert run("namespace", "set", "user", "--profile", "slug").exit_code == 0
    assert run("namespace", "set", "user", "--profile", "username").exit_code == 0
    policy = store.namespaces["user"].policy
    assert policy == Policy(profile=Profile.USERNAME)
    stale = run("namespace", "set", "user", "--profile", "slug", "--expect", "0")
    assert stale.exit_code == 1
    assert store.namespaces["user"].policy == policy


def test_namespace_set_lists_the_names_in_the_way(run: Run, store: FakeStore) -> None:
    """Nothing is changed; how many more there are is told, and how to see them."""
    conflict = PolicyConflict(ConflictKind.EQUAL, "user:A", "user:a", "they are the same")
    store.conflicts = (conflict, conflict, conflict)
    result = run("namespace", "set", "user", "--profile", "username")
    assert result.stdout == "refused  user  3 names are in the way\n"
    assert "user:A: equal: they are the same" in result.stderr
    assert "and 2 more" in result.stderr
    assert (result.exit_code, store.namespaces) == (1, {})


def test_namespace_dry_run_changes_nothing(run: Run, store: FakeStore) -> None:
    """It says that the policy would be accepted."""
    result = run("namespace", "set", "user", "--profile", "slug", "--dry-run")
    assert "would be accepted" in result.stdout
    assert store.namespaces == {}


def test_namespace_get_and_list_show_what_differs_from_the_default(
    run: Run, store: FakeStore
) -> None:
    """One without a policy is code 1."""
    run("namespace", "set", "user", "--profile", "username", "--look-alikes", "--length-min", "3")
    shown = "user  version 1  username length_min=3 look_alikes\n"
    assert run("namespace", "get", "user").stdout == shown
    assert run("namespace", "list").stdout == shown
    assert run("namespace", "get", "post").exit_code == 1
    listed = json.loads(run("--json", "namespace", "list").stdout)
    assert listed["policy"]["look_alikes"] is True
