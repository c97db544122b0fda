"""When a peer is dialed again, and how often a thing is logged."""

from __future__ import annotations

import random

from pysyncobj.node import Node

from namestore.raft.transport.addresses import SocketAddress
from namestore.raft.transport.dialing import Peer
from namestore.raft.transport.quiet_log import QuietLog


def pauses(peer: Peer, count: int) -> list[float]:
    rng = random.Random(3)
    found = []
    for _ in range(count):
        peer.pause(0.0, 1.0, rng)
        found.append(peer.next_dial_at)
    return found


def test_pauses_grow_with_the_failures_within_a_bound() -> None:
    """A dead peer is not hammered, and a healed one is found again soon; no two march in step."""
    found = pauses(Peer(Node("n2"), "h:1", 0.0), 8)
    for pause, most in zip(found, (1, 2, 4, 8, 8, 8, 8, 8), strict=True):
        assert most / 2 <= pause <= most
    assert len(set(found)) == 8


def test_after_a_connection_the_first_pause_is_short_again() -> None:
    """The count of failures ends with a success."""
    peer = Peer(Node("n2"), "h:1", 0.0)
    pauses(peer, 5)
    peer.connected()
    assert pauses(peer, 1)[0] <= 1


def test_a_peer_that_was_heard_is_dialed_soon_but_not_at_once_again() -> None:
    """It is there; still, one dial in each shortest pause is enough."""
    peer = Peer(Node("n2"), "h:1", 0.0)
    addresses = [SocketAddress(2, ("127.0.0.1", 1))]
    pauses(peer, 5)
    peer.choose(addresses, 10.0)
    peer.next_dial_at = 18.0
    peer.hurry(1.0)
    assert peer.next_dial_at == 11.0
    peer.hurry(5.0)
    assert peer.next_dial_at == 11.0


def test_the_addresses_of_a_host_take_turns_and_one_that_works_is_kept() -> None:
    """A host with a dead address is still reached."""
    first, second = (SocketAddress(2, (f"127.0.0.{n}", 1)) for n in (1, 2))
    peer = Peer(Node("n2"), "h:1", 0.0)
    assert [peer.choose([first, second], 0.0) for _ in range(2)] == [first, second]
    peer.connected()
    assert peer.choose([first, second], 0.0) == second
    assert peer.choose([first, second], 0.0) == first


class Recorder:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **details: object) -> None:
        """Records."""
        self.lines.append((event, details))


def test_the_same_event_is_logged_once_in_a_while_with_the_count_left_out() -> None:
    """A peer that fails a thousand times a second does not fill the disk."""
    now, log = [0.0], Recorder()
    quiet = QuietLog(log, lambda: now[0], interval_s=5)
    for _ in range(10):
        quiet.warning("e", "n2", reason="r")
    quiet.warning("e", "n3", reason="r")
    now[0] = 5.0
    quiet.warning("e", "n2", reason="r")
    assert log.lines == [
        ("e", {"reason": "r"}),
        ("e", {"reason": "r"}),
        ("e", {"reason": "r", "left_out": 9}),
    ]


def test_a_thousand_subjects_take_bounded_memory() -> None:
    """Strangers choose where they come from: what is remembered of them is bounded."""
    quiet = QuietLog(Recorder(), lambda: 0.0)
    for number in range(1_000):
        quiet.warning("e", str(number))
    assert len(quiet._seen) == 256
