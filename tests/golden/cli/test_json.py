"""The objects that `--json` prints, byte for byte: programs read them.

A field may be added at the end of an object; then the files are written anew with
`REWRITE_GOLDEN=1 pytest tests/golden/cli`, and the difference is part of the review.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from namestore import errors
from namestore.cli.connection import Environment
from namestore.cli.main import cli
from namestore.client.histories import Ending, Holding
from namestore.client.namespace_values import NamespaceState
from namestore.client.values import (
    EndpointStatus,
    NameEvent,
    NodeRole,
    PeerState,
    Refusal,
    RegisterResult,
)
from namestore.policy import Policy, Profile
from tests.unit.cli.fake_store import (
    EPOCH,
    FakeStore,
    InlineExecutor,
    endpoint_error,
    member_of,
    status_of,
)

HERE = Path(__file__).parent
IMPORTED = (
    b"name,owner\nuser:new,o\nuser:alice,account-17\nuser:alice,somebody\n\nnonsense,o\n"
    b"user:\xff,o\nuser:x,o,extra\nuser:tor"
)

# File: arguments, standard input, exit code.
CASES: dict[str, tuple[tuple[str, ...], bytes, int]] = {
    "register": (
        ("register", "user:bob", "user:alice", "nonsense", "--owner", "o", "--payload", "p"),
        b"",
        2,
    ),
    "lookup": (("lookup", "user:alice", "user:nobody"), b"", 1),
    "release": (("release", "user:alice", "--owner", "account-17"), b"", 0),
    "release_not_owner": (("release", "user:alice"), b"", 1),
    "slug": (("slug", "post:", "--owner", "o"), b"", 0),
    "slug_taken": (("slug", "post:", "hello"), b"", 1),
    "list": (("list", "user:"), b"", 0),
    "status": (("status",), b"", 0),
    "members_list": (("members", "list"), b"", 0),
    "members_add": (
        ("members", "add", "n4", "--raft", "127.0.0.1:7204", "--grpc", "127.0.0.1:7104"),
        b"",
        0,
    ),
    "members_remove": (("members", "remove", "n3"), b"", 0),
    "members_transfer": (("members", "transfer", "n2"), b"", 0),
    "import": (("import", "-"), IMPORTED, 2),
    "export": (("export",), b"", 0),
    "register_ttl": (("register", "user:bob", "--ttl", "15m"), b"", 0),
    "register_refused": (
        ("register", "user:held", "user:admin", "user:a1ice", "user:x"),
        b"",
        2,
    ),
    "confirm": (("confirm", "user:reserved", "--owner", "o"), b"", 0),
    "update": (
        ("update", "user:alice", "--owner", "account-17", "--new-owner", "b", "--payload", "p"),
        b"",
        0,
    ),
    "rename": (("rename", "user:alice", "user:alina", "--owner", "account-17"), b"", 0),
    "rename_taken": (("rename", "user:alice", "post:hello", "--owner", "account-17"), b"", 1),
    "history": (("history", "user:alice"), b"", 0),
    "lookup_redirect": (("lookup", "user:old", "user:reserved"), b"", 1),
    "namespace_set": (("namespace", "set", "post", "--profile", "slug"), b"", 0),
    "namespace_get": (("namespace", "get", "user"), b"", 0),
    "namespace_list": (("namespace", "list"), b"", 0),
    "namespace_check": (
        ("namespace", "check", "user", "-", "--profile", "username", "--look-alikes"),
        "alice\na1ice\nALICE\na b\n\n\u0430lice\n".encode() + b"\xff\nBob\n",
        1,
    ),
    "namespace_policy": (("namespace", "policy"), b"", 0),
    "watch": (("watch", "--count", "2"), b"", 0),
    "usage": (("lookup",), b"", 2),
}


# Cases that need more than names.
LIFE = {
    "register_refused",
    "confirm",
    "rename",
    "history",
    "lookup_redirect",
    "namespace_get",
    "namespace_list",
    "watch",
}


def with_members(answer: EndpointStatus) -> EndpointStatus:
    """A leader that has one follower behind it and one that is away."""
    assert answer.node is not None
    node = replace(
        answer.node,
        members=(member_of("n1"), member_of("n2", voter=False), member_of("n3")),
        peers=(
            PeerState("n2", connected=True, lag_entries=3, match_index=17),
            PeerState("n3", connected=False, lag_entries=None, match_index=None),
        ),
        warnings=("n2 does not count yet",),
    )
    return replace(answer, node=node)


def registry() -> FakeStore:
    store = FakeStore()
    store.holds("user:alice", "account-17", b"\x00\xff")
    store.holds("user:\u00e9", "\u00fc\n")
    store.holds("post:hello", "author")
    store.statuses = [
        with_members(status_of("n1", NodeRole.LEADER)),
        status_of("n2", NodeRole.FOLLOWER, applied=17, has_quorum=False),
        endpoint_error("127.0.0.1:7103", errors.Unreachable("connection refused")),
    ]
    return store


def with_life(store: FakeStore) -> FakeStore:
    """Reservations, redirects, refusals of every kind, a history and a policy."""
    store.holds("user:reserved", "o", ttl=60)
    store.redirects["user:old"] = "user:alice"
    alice = store.records["user:alice"]
    refused = RegisterResult("", False, None, None, 0, b"")
    store.refusals = {
        "user:held": replace(refused, refusal=Refusal.HELD_BACK, until=EPOCH),
        "user:admin": replace(
            refused, refusal=Refusal.RESERVED_WORD, in_way="adm*", message="it is reserved"
        ),
        "user:a1ice": replace(refused, refusal=Refusal.CONFUSABLE, record=alice),
        "user:x": replace(
            refused,
            refusal=Refusal.INVALID_BY_POLICY,
            message="too short",
            policy_reason="TOO_SHORT",
        ),
    }
    later = EPOCH + timedelta(days=1)
    store.holdings["user:alice"] = (
        Holding("a", EPOCH, later, 3, Ending.HANDED_OVER, 7),
        Holding("account-17", later, None, 3, None, None),
    )
    store.events = [
        NameEvent(7, "RENAMED", alice, EPOCH, other_name="user:old"),
        NameEvent(8, "POLICY_ACTIVE", None, later, namespace="user"),
    ]
    store.namespaces["user"] = NamespaceState(
        "user", 5, Policy(profile=Profile.USERNAME), 9, Policy(look_alikes=True), "user:m"
    )
    return store


@pytest.mark.parametrize("case", tuple(CASES))
def test_json_is_as_it_was_released(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One object a line, nothing else on standard output, and the exit code beside it."""
    arguments, given, code = CASES[case]
    drawn = iter(range(1, 100))
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes([next(drawn)]) * size)
    store = with_life(registry()) if case in LIFE else registry()
    environment = Environment(store.open, lambda: 0.0, lambda workers: InlineExecutor())
    result = CliRunner().invoke(cli, ["--json", *arguments], input=given, obj=environment)
    path = HERE / f"{case}.jsonl"
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(result.stdout)
    assert result.stdout == path.read_text()
    assert result.exit_code == code


@pytest.mark.parametrize(
    ("error", "case", "code"),
    (
        (errors.NoQuorum("node n1 reaches no majority"), "error_unavailable", 3),
        (errors.OutcomeUnknown("the answer was lost"), "error_unknown", 4),
    ),
)
def test_json_errors_are_as_they_were_released(
    error: errors.NamestoreError, case: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is an object with `error`, its reason, and `message`."""
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes(size))
    store = registry()

    def fail(method: str, asked: object) -> None:
        raise error

    store.before = fail
    result = CliRunner().invoke(
        cli, ["--json", "register", "user:a", "user:b"], obj=Environment(store.open)
    )
    path = HERE / f"{case}.jsonl"
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(result.stdout)
    assert result.stdout == path.read_text()
    assert result.exit_code == code
