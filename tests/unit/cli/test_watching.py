"""`watch`: what it prints, as it comes, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namestore import errors
from namestore.cli import watching
from namestore.client.values import NameEvent
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import EPOCH, FakeStore

NOW, LATER = "2030-01-01T00:00:00.000Z", "2030-01-01T00:01:00.000Z"


@pytest.fixture
def filled(store: FakeStore) -> FakeStore:
    """A store whose feed tells one change of each sort."""
    alice, reserved = store.holds("user:alice", "ann", b"p"), store.holds("user:b\u00f6b", ttl=60)
    store.events = [
        NameEvent(41, "REGISTERED", reserved, EPOCH),
        NameEvent(42, "RENAMED_AWAY", alice, EPOCH, other_name="user:al"),
        NameEvent(43, "RENAMED", alice, EPOCH, other_name="user:al\x1b"),
        NameEvent(45, "POLICY_ACTIVE", None, EPOCH, namespace="user"),
    ]
    return store


def test_each_change_is_one_line(run: Run, filled: FakeStore) -> None:
    """Its revision, its moment, what happened to which name of whom, and what belongs to it."""
    result = run("watch", "user:", "--from-revision", "41")
    assert result.stdout.splitlines() == [
        f'41  {NOW}  registered  user:b\u00f6b  owner=""  until {LATER}',
        f"42  {NOW}  renamed away  user:alice  owner=ann  to user:al",
        f"43  {NOW}  renamed  user:alice  owner=ann  from user:al\\x1b",
        f"45  {NOW}  policy active  namespace user",
    ]
    assert filled.watched == [("user:", 41, False)]
    assert filled.closed


def test_each_change_is_one_object(run: Run, filled: FakeStore) -> None:
    """With all fields, those that do not apply as null."""
    result = run("watch", "--json", "--from-revision", "7", "--squash")
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["revision"] for each in objects] == [41, 42, 43, 45]
    assert objects[1]["record"]["name"] == "user:alice"
    assert (objects[1]["kind"], objects[1]["other_name"]) == ("RENAMED_AWAY", "user:al")
    assert (objects[3]["record"], objects[3]["namespace"]) == (None, "user")
    assert filled.watched == [("", 7, True)]


def test_it_ends_after_as_many_as_asked_for(run: Run, filled: FakeStore) -> None:
    """That is done: code 0, and nothing on standard error."""
    result = run("watch", "--count", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 2
    assert filled.watched == [("", 0, False)]


def test_an_interrupt_says_where_to_go_on(run: Run, filled: FakeStore) -> None:
    """Behind the last change that was printed; with no change at all, where the feed began."""
    result = run("watch")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; to go on from here: --from-revision 46\n"
    filled.events = []
    assert "--from-revision 41\n" in run("watch").stderr


def test_a_change_that_was_not_printed_is_gone_on_from(
    run: Run, filled: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt in the middle of a line does not lose the change."""

    def interrupted(event: NameEvent) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "_event_line", interrupted)
    result = run("watch")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "--from-revision 41\n" in result.stderr


def test_a_feed_that_cannot_go_on_says_why(run: Run, filled: FakeStore) -> None:
    """What is not kept any more is refused, with the oldest revision that is."""
    filled.feed_end = errors.RevisionCompacted("not kept", oldest_revision="77")
    result = run("watch", "--json")
    assert result.exit_code == 1
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["error"], last["metadata"]) == ("REVISION_COMPACTED", {"oldest_revision": "77"})


def test_a_registry_that_is_away_is_unavailable(run: Run, store: FakeStore) -> None:
    """Nothing was watched: code 3."""

    def away(method: str, asked: Any) -> None:
        raise errors.Unreachable("nobody is there")

    store.before = away
    assert run("watch").exit_code == 3


def test_squashing_is_about_what_was_missed(run: Run, store: FakeStore) -> None:
    """From now on nothing was: that is a mistake of whoever types it."""
    assert run("watch", "--squash").exit_code == 2
    assert run("watch", "--from-revision", "0").exit_code == 2
    assert store.watched == []


def test_the_timeout_is_for_finding_a_node(run: Run, store: FakeStore) -> None:
    """Unless given it is the client's; a quiet feed is never ended by it."""
    asked: list[Any] = []
    store.before = lambda method, details: asked.append(details)
    run("watch", "user:", "--timeout", "2.5")
    run("watch", "user:")
    assert asked == [("user:", 2.5), ("user:", None)]
