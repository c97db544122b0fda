"""The switch between the places, on pairs of sockets instead of network devices."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.eventually import eventually
from tests.torture.wires import CUT, PERFECT, Link, Wires

ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
Ends = dict[str, socket.socket]


@pytest.fixture
def ends() -> Iterator[tuple[Wires, Ends]]:
    """Three places, and what stands at the far end of their devices."""
    wires, far = Wires(1), Ends()
    with ExitStack() as stack:
        for place, address in ADDRESSES.items():
            near, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            near.setblocking(False)
            end.settimeout(5)
            far[place] = stack.enter_context(end)
            wires.attach(place, address, near.detach())
        stack.enter_context(wires)
        yield wires, far


def packet(source: str, target: str, text: str = "") -> bytes:
    """An IPv4 header, as far as it matters here, and a text."""
    addresses = (socket.inet_aton(ADDRESSES[place]) for place in (source, target))
    return struct.pack("!B11x4s4s", 0x45, *addresses) + text.encode()


def send(ends: Ends, source: str, target: str, text: str = "") -> bytes:
    sent = packet(source, target, text)
    ends[source].send(sent)
    return sent


def silent(end: socket.socket) -> bool:
    """Nothing more is waiting."""
    end.setblocking(False)
    try:
        end.recv(100)
    except BlockingIOError:
        return True
    finally:
        end.settimeout(5)
    return False


def test_a_packet_goes_where_it_is_addressed(ends: tuple[Wires, Ends]) -> None:
    """To that place, once, and to no other."""
    wires, far = ends
    sent = send(far, "a", "b")
    assert far["b"].recv(100) == sent
    assert silent(far["b"])
    assert silent(far["c"])
    eventually(lambda: wires.passed == 1, "it is counted once it is delivered", timeout=5)


def test_a_cut_is_of_one_direction(ends: tuple[Wires, Ends]) -> None:
    """What is cut from a to b is open from b to a; and after healing both are."""
    wires, far = ends
    wires.set([("a", "b")], CUT)
    send(far, "a", "b", "lost")
    back = send(far, "b", "a")
    assert far["a"].recv(100) == back
    wires.heal()
    again = send(far, "a", "b", "again")
    assert far["b"].recv(100) == again
    assert wires.lost == 1


def test_a_delay_is_kept(ends: tuple[Wires, Ends]) -> None:
    """A late packet comes no earlier than its delay, and those of other links do not wait."""
    wires, far = ends
    wires.set([("a", "b")], Link(delay=0.2))
    began = time.monotonic()
    late, prompt = send(far, "a", "b"), send(far, "a", "c")
    assert far["c"].recv(100) == prompt
    assert far["b"].recv(100) == late
    assert time.monotonic() - began >= 0.2


def test_what_is_lost_and_doubled_follows_the_shares(ends: tuple[Wires, Ends]) -> None:
    """All of it at 1, none of it at 0."""
    wires, far = ends
    wires.set([("a", "b")], Link(loss=1.0))
    wires.set([("a", "c")], Link(duplicate=1.0))
    send(far, "a", "b")
    twice = send(far, "a", "c")
    assert [far["c"].recv(100) for _ in range(2)] == [twice, twice]
    wires.set([("a", "b")], PERFECT)
    once = send(far, "a", "b", "once")
    assert far["b"].recv(100) == once
    assert wires.lost == 1


def test_overtaking_packets_come_first(ends: tuple[Wires, Ends]) -> None:
    """With reordering, a later packet passes an earlier one that is delayed."""
    wires, far = ends
    wires.set([("a", "b")], Link(delay=0.3))
    first = send(far, "a", "b", "first")
    # The switch has taken it over before the link changes: what comes behind it has arrived.
    behind = send(far, "a", "c")
    assert far["c"].recv(100) == behind
    wires.set([("a", "b")], Link(delay=0.3, reorder=1.0))
    second = send(far, "a", "b", "second")
    assert [far["b"].recv(100) for _ in range(2)] == [second, first]


def test_what_is_no_packet_is_ignored(ends: tuple[Wires, Ends]) -> None:
    """Other protocols, short packets and addresses of nobody: the switch goes on."""
    wires, far = ends
    far["a"].send(b"\x60" + bytes(60))
    far["a"].send(b"\x45")
    far["a"].send(packet("a", "b")[:16] + socket.inet_aton("10.9.9.9"))
    sent = send(far, "a", "b")
    assert far["b"].recv(100) == sent
    eventually(lambda: wires.passed == 1, "it is counted once it is delivered", timeout=5)


def test_the_end_closes_the_devices() -> None:
    """Nothing of the switch stays open."""
    wires = Wires(1)
    near, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    device = near.detach()
    with end:
        with wires:
            wires.attach("a", ADDRESSES["a"], device)
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(device)
