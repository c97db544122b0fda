"""The commands of operators: what they say, and the code they end with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from namestore import errors
from namestore.cli.members import _progress_line
from namestore.client.values import NodeRole, NodeStatus, PeerState
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore, endpoint_error, member_of, status_of

ADD = ("members", "add", "n4", "--raft", "127.0.0.1:7204", "--grpc", "127.0.0.1:7104")


def leader(**changes: object) -> NodeStatus:
    node = status_of("n1", NodeRole.LEADER).node
    assert node is not None
    return replace(node, **changes)  # type: ignore[arg-type]  # the test's fields are the class's


def test_list_shows_what_the_leader_knows(run: Run, store: FakeStore) -> None:
    """The leader's view prevails over a follower's; warnings of every node go to stderr."""
    members = (member_of("n1"), member_of("n2", voter=False), member_of("n3"))
    peers = (PeerState("n2", True, 1200, 10), PeerState("n3", False, None, None))
    answer = status_of("n1", NodeRole.LEADER)
    follower = status_of("n2", NodeRole.FOLLOWER, applied=99)
    assert follower.node is not None
    store.statuses = [
        replace(follower, node=replace(follower.node, warnings=("look here",))),
        replace(answer, node=leader(members=members, peers=peers)),
    ]
    result = run("members", "list")
    assert result.stdout.splitlines() == [
        "n1  counts  raft=127.0.0.1:7201  grpc=127.0.0.1:7101  leads",
        "n2  catching up  raft=127.0.0.1:7202  grpc=127.0.0.1:7102  lacks 1,200 entries",
        "n3  counts  raft=127.0.0.1:7203  grpc=127.0.0.1:7103  not connected",
    ]
    assert result.stderr == "127.0.0.1:7102: look here\n"
    assert result.exit_code == 0


def test_list_needs_one_node_that_answers(run: Run, store: FakeStore) -> None:
    """Nobody answers: unavailable."""
    store.statuses = [endpoint_error("127.0.0.1:7101", errors.Unreachable("refused"))]
    assert run("members", "list").exit_code == 3


def test_add_says_what_to_do_next(run: Run) -> None:
    """The members afterwards on stdout; the files and the callers are still to be told."""
    result = run(*ADD)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == (
        "n4  counts  raft=127.0.0.1:7204  grpc=127.0.0.1:7104"
    )
    assert "[[nodes]] of every node's file" in result.stderr
    assert "4 members survive no more losses than 3" in result.stderr


def test_remove_says_that_the_node_stops(run: Run, store: FakeStore) -> None:
    """Its data stays."""
    result = run("members", "remove", "n3")
    assert result.exit_code == 0
    assert [member.node_id for member in store.members] == ["n1", "n2"]
    assert "data directory stays" in result.stderr


def test_remove_of_a_stranger_says_that_nothing_was_changed(run: Run, store: FakeStore) -> None:
    """A mistyped id does not sound like success, nor ends like it."""
    answer = status_of("n1", NodeRole.LEADER)
    store.statuses = [replace(answer, node=leader(members=tuple(store.members)))]
    result = run("members", "remove", "n9")
    assert result.exit_code == 1
    assert "n9 was no member before: nothing was changed" in result.stderr
    assert "no member any more" not in result.stderr
    assert len(result.stdout.splitlines()) == 3
    result = run("members", "remove", "n3")
    assert (result.exit_code, "n3 is no member any more" in result.stderr) == (0, True)


def test_a_node_that_lags_does_not_say_who_is_a_stranger(run: Run, store: FakeStore) -> None:
    """Only the leader knows; where nobody leads the answer to the order is all there is."""
    answer = status_of("n1", NodeRole.FOLLOWER)
    store.statuses = [
        replace(answer, node=leader(role=NodeRole.FOLLOWER, members=(store.members[0],)))
    ]
    assert run("members", "remove", "n3").exit_code == 0


def test_transfer_names_the_leader(run: Run) -> None:
    """With an id, or whoever is furthest."""
    assert run("members", "transfer").stdout == "n2 leads\n"
    assert run("members", "transfer", "n3").stdout == "n3 leads\n"


@pytest.mark.parametrize(
    ("error", "code"),
    (
        (errors.ChangeUnderWay("n5 is being added"), 1),
        (errors.InvalidRequest("no address"), 2),
        (errors.NoQuorum("too few"), 3),
        (errors.OutcomeUnknown("the leader changed"), 4),
    ),
)
def test_a_change_that_fails_has_its_code(
    run: Run, store: FakeStore, error: errors.NamestoreError, code: int
) -> None:
    """Refused, wrong, certainly not done, perhaps done."""

    def fail(method: str, asked: object) -> None:
        if method != "status":
            raise error

    store.before = fail
    assert run("members", "remove", "n3").exit_code == code


def test_a_change_has_more_time_than_a_call(run: Run, store: FakeStore) -> None:
    """A newcomer may need minutes, unless --timeout says otherwise."""
    asked: list[tuple[str, object]] = []
    store.before = lambda method, what: asked.append((method, what))
    run(*ADD)
    run(*ADD, "--timeout", "7")
    assert asked == [("add_member", ("n4", 600.0)), ("add_member", ("n4", 7.0))]


def test_progress_says_how_far_the_newcomer_is() -> None:
    """In entries while it is connected; else what to look at."""
    assert "take n4 in" in _progress_line(None, "n4")
    assert "take n4 in" in _progress_line(leader(peers=()), "n4")
    away = leader(peers=(PeerState("n4", False, None, None),))
    assert "does it run" in _progress_line(away, "n4")
    behind = leader(peers=(PeerState("n4", True, 18_000, 12_000),))
    assert _progress_line(behind, "n4") == "n4 has 12,000 of 30,000 entries"
