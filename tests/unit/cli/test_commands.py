"""The small commands: what they say, and the code they end with."""

from __future__ import annotations

import json
import os
import signal

import pytest

from namestore import errors
from namestore.client.values import NodeRole
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore, endpoint_error, status_of


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_register_says_granted_then_taken(run: Run) -> None:
    """One line says what happened; taken is exit code 1."""
    granted = run("register", "user:alice", "--owner", "account-17")
    taken = run("register", "user:alice", "--owner", "account-18")
    assert granted.stdout == "granted  user:alice  owner=account-17  revision=1\n"
    assert taken.stdout == "taken  user:alice  by account-17 since 2030-01-01T00:00:01.000Z\n"
    assert (granted.exit_code, taken.exit_code) == (0, 1)


def test_worst_name_decides_the_code_and_stops_no_other(run: Run, store: FakeStore) -> None:
    """Taken (1) and invalid (2) together are 2, and the last name is still granted."""
    store.holds("user:taken", "o")
    result = run("register", "user:taken", "nonsense", "user:free")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1].startswith("granted  user:free")
    assert "nonsense" in result.stderr


def test_an_error_names_the_name_once(run: Run, store: FakeStore) -> None:
    """Where its text does not, the name stands before it."""
    assert run("register", "nonsense").stderr.count("nonsense") == 1
    assert run("release", "user:free").stderr.count("user:free") == 1
    store.before = lambda method, asked: (_ for _ in ()).throw(errors.NotOwner("somebody else"))
    assert "error: user:a: somebody else" in run("release", "user:a").stderr


def test_request_id_makes_it_the_same_request(run: Run, store: FakeStore) -> None:
    """Given as text or as hex; drawn at random otherwise, differently for each name."""
    run("register", "user:a", "--request-id", "order-1")
    run("register", "user:b", "--request-id", "hex:00ff")
    run("register", "user:c", "user:d")
    assert store.request_ids[:2] == [b"order-1", b"\x00\xff"]
    assert len(set(store.request_ids)) == 4


@pytest.mark.parametrize(
    "arguments",
    (
        ("user:a", "user:b", "--request-id", "x"),
        ("user:a", "--request-id", ""),
        ("user:a", "--request-id", "x" * 65),
        ("user:a", "--request-id", "hex:zz"),
    ),
)
def test_unusable_request_id_is_bad_usage(
    run: Run, store: FakeStore, arguments: tuple[str, ...]
) -> None:
    """Nothing is asked of the registry."""
    assert run("register", *arguments).exit_code == 2
    assert store.records == {}


def test_payload_is_taken_literally(run: Run, store: FakeStore) -> None:
    """No file is read and nothing is unescaped, and the help says so."""
    run("register", "user:a", "--payload", "@file\\n")
    assert store.records["user:a"].payload == b"@file\\n"
    assert "Taken literally" in run("register", "--help").stdout


def test_unknown_outcome_says_how_to_ask_again(run: Run, store: FakeStore) -> None:
    """With the very request_id that was sent."""

    def lose(method: str, asked: object) -> None:
        raise errors.OutcomeUnknown("the answer was lost")

    store.after = lose
    result = run("register", "user:a")
    (identity,) = store.request_ids
    assert identity is not None
    assert result.exit_code == 4
    assert f"--request-id hex:{identity.hex()}" in result.stderr


def test_names_after_an_outage_are_not_tried(run: Run, store: FakeStore) -> None:
    """Each name has its object, and the ones that were never sent say so."""

    def fail(method: str, asked: object) -> None:
        if asked == "user:b":
            raise errors.NoQuorum("no majority")

    store.before = fail
    result = run("--json", "register", "user:a", "user:b", "user:c")
    assert result.exit_code == 3
    first, second, third = objects(result.stdout)
    assert first["registered"] is True
    assert (second["name"], second["error"]) == ("user:b", "NO_QUORUM")
    assert (third["name"], third["error"]) == ("user:c", "NOT_TRIED")
    assert "user:c" not in store.records


def test_interrupt_says_what_was_and_was_not_done(run: Run, store: FakeStore) -> None:
    """The name under way may be registered; the next one is not."""

    def interrupt(method: str, asked: object) -> None:
        if asked == "user:b":
            os.kill(os.getpid(), signal.SIGINT)

    store.before = interrupt
    result = run("register", "user:a", "user:b", "user:c", "--json")
    assert result.exit_code == 130
    assert [item.get("error") for item in objects(result.stdout)] == [
        None,
        "INTERRUPTED",
        "NOT_TRIED",
    ]
    assert "user:b: interrupted before the answer: it may have been done" in result.stderr


def test_lookup_tells_held_from_free(run: Run, store: FakeStore) -> None:
    """Free is exit code 1, as grep has it."""
    store.holds("user:a", "o", b"xyz")
    result = run("lookup", "user:a", "user:b")
    assert result.exit_code == 1
    held, free = result.stdout.splitlines()
    assert held.startswith("held  user:a  owner=o  revision=1")
    assert "payload=3 bytes" in held
    assert free == "free  user:b"


def test_lookup_stale_asks_for_it(run: Run, store: FakeStore) -> None:
    """Nothing else does."""
    asked: list[object] = []
    store.before = lambda method, what: asked.append(what)
    run("lookup", "user:a")
    run("lookup", "--stale", "user:a")
    assert asked == [("user:a", False), ("user:a", True)]


def test_release_needs_the_owner_and_the_holding(run: Run, store: FakeStore) -> None:
    """Another owner, an older holding and a free name are refused with code 1."""
    store.holds("user:a", "o")
    assert run("release", "user:a", "--owner", "x").exit_code == 1
    assert run("release", "user:a", "--owner", "o", "--create-revision", "9").exit_code == 1
    done = run("release", "user:a", "--owner", "o", "--create-revision", "1")
    assert (done.exit_code, done.stdout) == (0, "released  user:a\n")
    assert run("release", "user:a", "--owner", "o").exit_code == 1


def test_slug_prints_the_permalink(run: Run) -> None:
    """Generated, or chosen; a chosen one that is taken is refused."""
    assert run("slug", "post:", "--short").stdout.startswith("granted  post:0123456  ")
    assert run("slug", "post:", "hello", "--owner", "o").exit_code == 0
    refused = run("slug", "post:", "hello")
    assert refused.exit_code == 1
    assert refused.stdout.startswith("taken  post:hello  by o since")


def test_slug_of_ones_own_is_never_shortened(run: Run, store: FakeStore) -> None:
    """--short is for generated slugs, so also for those that may follow a SHA that is taken."""
    refused = run("slug", "post:", "hello", "--short")
    assert refused.exit_code == 2
    assert "exclude each other" in refused.stderr
    assert (store.targets, store.records) == ([], {})
    assert run("slug", "post:", "abcdef0123", "--short").exit_code == 0


def test_list_shows_what_begins_with_the_prefix(run: Run, store: FakeStore) -> None:
    """In byte order, one a line."""
    for name in ("user:b", "user:a", "post:a"):
        store.holds(name)
    result = run("list", "user:")
    assert [line.split("  ")[0] for line in result.stdout.splitlines()] == ["user:a", "user:b"]


def test_text_from_elsewhere_cannot_command_the_terminal(run: Run, store: FakeStore) -> None:
    """Control sequences in an owner are shown, not obeyed."""
    store.holds("user:a", "\x1b[2J\nfake line")
    result = run("list")
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 1


def test_name_that_is_not_utf8_is_refused(run: Run) -> None:
    """The shell hands over any bytes."""
    result = run("register", b"user:\xff".decode(errors="surrogateescape"), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == "INVALID_NAME"


def test_status_shows_every_endpoint(run: Run, store: FakeStore) -> None:
    """Lag is counted from the furthest commit; who does not answer is shown as such."""
    store.statuses = [
        status_of("n1", NodeRole.LEADER, applied=20),
        status_of("n2", NodeRole.FOLLOWER, applied=17),
        endpoint_error("127.0.0.1:7103", errors.Unreachable("refused")),
    ]
    result = run("status")
    assert result.exit_code == 0
    head, first, second, third = result.stdout.splitlines()
    assert head.split()[:3] == ["endpoint", "node", "role"]
    assert first.split()[2:8] == ["leader", "3", "20", "17", "11", "0"]
    assert second.split()[7] == "3"
    assert third.split()[0] == "127.0.0.1:7103"
    assert third.split()[-1] == "unreachable"


def test_status_without_a_majority_is_unavailable(run: Run, store: FakeStore) -> None:
    """The table is printed all the same, and nobody who runs a node is told to start his first."""
    store.statuses = [status_of("n1", NodeRole.CANDIDATE, has_quorum=False)]
    result = run("status")
    assert result.exit_code == 3
    assert "no quorum" in result.stdout
    assert "start the nodes that do not run" in result.stderr
