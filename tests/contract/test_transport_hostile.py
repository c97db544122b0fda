"""What may come to a node's port from anybody, and from a peer that lies.

After each attack nothing was handed to the engine, and two honest nodes still talk.
"""

from __future__ import annotations

import pickle
import random
import socket
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from namestore.raft.transport.framing import frame
from namestore.raft.transport.hello import ACCEPTED, PING_FRAME, hello_frame
from namestore.raft.transport.messages import encode
from namestore.raft.transport.network import TransportLimits
from tests.support.certificates import Authority
from tests.support.transports import Stage, Station, assert_honest_peers_talk, hello_of

MESSAGE = frame(encode({"type": "timeout_now", "term": 66}))


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


class Attacker:
    """A raw connection that never blocks."""

    def __init__(self, station: Station) -> None:
        self.socket = socket.create_connection(("127.0.0.1", station.port))
        self.socket.setblocking(False)
        self.heard = b""

    def say(self, data: bytes) -> None:
        """Sends what the kernel takes."""
        try:
            self.socket.send(data)
        except (BlockingIOError, ConnectionError):
            return

    @property
    def thrown_out(self) -> bool:
        """The other side has closed."""
        try:
            while data := self.socket.recv(65536):
                self.heard += data
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return True


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def attackers(stage: Stage) -> Iterator[list[Attacker]]:
    made: list[Attacker] = []
    yield made
    for attacker in made:
        attacker.socket.close()


GARBAGE = {
    "random bytes": random.Random(1).randbytes(5_000),
    "zero length": bytes(4),
    "huge length": struct.pack(">I", 0xFFFFFFFF) + bytes(100),
    "a large frame before the hello": struct.pack(">I", 100_000) + bytes(1_000),
    "an http request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a message before the hello": MESSAGE,
    "a ping before the hello": PING_FRAME,
    "a hello with a field too many": frame(msgpack.packb([1, 1, "test", "", "n2", "", True, 0])),
    "a hello with wrong types": frame(msgpack.packb([1, True, "test", "", "n2", "", 1])),
    "a map": frame(msgpack.packb({"type": "hello"})),
    "an extension": frame(b"\xd4\x05x"),
    "an array of four billion": frame(b"\xdd\xff\xff\xff\xff"),
    "a deep nest": frame(b"\x91" * 4_000),
    "bad utf-8": frame(b"\x97\x01\x01\xa1\xff\xa0\xa0\xa0\xc3"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_from_a_stranger_closes_its_connection(
    stage: Stage, attackers: list[Attacker], garbage: bytes
) -> None:
    """Whatever is not a small, exact hello ends the connection it came on, and nothing else."""
    a, b = stage.pair()
    attackers.append(Attacker(a))
    attackers[0].say(garbage)
    stage.until(lambda: attackers[0].thrown_out)
    assert_honest_peers_talk(stage, a, b)


def test_pickles_are_never_loaded(stage: Stage, attackers: list[Attacker], tmp_path: Path) -> None:
    """Neither before nor after a hello does anything that arrives get executed."""
    a, b = stage.pair()
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))
    for payload in (bomb, frame(bomb), hello_frame(hello_of("n9")) + frame(bomb)):
        attackers.append(Attacker(a))
        attackers[-1].say(payload)
    stage.until(lambda: all(attacker.thrown_out for attacker in attackers))
    assert not (tmp_path / "executed").exists()
    assert_honest_peers_talk(stage, a, b)


AFTER_HELLO = {
    "random bytes": random.Random(2).randbytes(5_000),
    "huge length": struct.pack(">I", 0xFFFFFFFF),
    "a second hello": hello_frame(hello_of("n9")),
    "an unknown type": frame(msgpack.packb([99])),
    "a negative term": frame(msgpack.packb([29, -1])),
    "a term beyond 63 bits": frame(msgpack.packb([29, 1 << 63])),
    "a truth value for a term": frame(msgpack.packb([29, True])),
    "nested lists": frame(b"\x92" + b"\xdc\x40\x00" * 5_000),
    "trailing bytes": frame(msgpack.packb([29, 1]) + b"\0"),
    "an answer that belongs to the other side": frame(b"\x91\x04"),
}


@pytest.mark.parametrize("garbage", AFTER_HELLO.values(), ids=AFTER_HELLO.keys())
def test_garbage_after_a_valid_hello_closes_the_connection(
    stage: Stage, attackers: list[Attacker], garbage: bytes
) -> None:
    """A hello earns no trust in what follows: each message is checked to the last field."""
    a, b = stage.pair()
    attackers.append(Attacker(a))
    attackers[0].say(hello_frame(hello_of("n9")) + garbage)
    stage.until(lambda: attackers[0].thrown_out)
    assert_honest_peers_talk(stage, a, b)


def test_declared_lengths_reserve_no_memory(stage: Stage, attackers: list[Attacker]) -> None:
    """A peer that announces 16 MiB and sends a little is held at the little."""
    a, b = stage.pair()
    tracemalloc.start()
    for number in range(20):
        attackers.append(Attacker(a))
        attackers[-1].say(hello_frame(hello_of(f"m{number}")) + struct.pack(">I", 16 << 20))
    stage.until(lambda: all(attacker.thrown_out or attacker.heard for attacker in attackers))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert_honest_peers_talk(stage, a, b)


@pytest.mark.parametrize("encrypted", (False, True), ids=["clear", "tls"])
def test_half_a_handshake_left_open_is_ended(
    stage: Stage, attackers: list[Attacker], authority: Authority, encrypted: bool
) -> None:
    """Silence, and a hello that comes byte by byte, end with the time a greeting may take."""
    now = [0.0]
    tls = authority.issue if encrypted else None
    limits = TransportLimits(peer_timeout_ms=10_000_000)
    a, b = stage.pair(clock=lambda: now[0], tls=tls, limits=limits)
    silent, slow = Attacker(a), Attacker(a)
    attackers += [silent, slow]
    hello = b"\x16\x03\x01\x02\x00" if encrypted else hello_frame(hello_of("n9"))
    for byte in hello.ljust(20, b"\0")[:20]:
        slow.say(bytes([byte]))
        for _ in range(3):
            stage.round()
        now[0] += 0.4
    stage.until(lambda: silent.thrown_out and slow.thrown_out)
    assert_honest_peers_talk(stage, a, b)


def test_a_crowd_of_strangers_keeps_no_peer_out(stage: Stage, attackers: list[Attacker]) -> None:
    """There are only so many connections without a hello; the oldest gives way to a new one."""
    a, b = stage.pair(limits=TransportLimits(strangers_max=8))
    attackers += [Attacker(a) for _ in range(30)]
    stage.until(lambda: sum(attacker.thrown_out for attacker in attackers) == 22)
    c = stage.station("n3")
    c.meet(a)
    stage.until(lambda: c.sees("n1"))
    assert_honest_peers_talk(stage, a, b)


def test_a_peer_that_pings_and_never_reads_is_owed_nothing(
    stage: Stage, attackers: list[Attacker]
) -> None:
    """Pongs nobody reads are not collected."""
    a, b = stage.pair()
    attackers.append(Attacker(a))
    attackers[0].say(hello_frame(hello_of("n9")))
    for _ in range(200):
        attackers[0].say(PING_FRAME * 2_000)
        a.transport.poll(0)
    incoming = a.transport._board._reception.incoming["n9"]
    assert incoming.connection.queued_bytes < 2_000
    assert_honest_peers_talk(stage, a, b)


def test_a_flood_from_one_peer_does_not_silence_another(
    stage: Stage, attackers: list[Attacker]
) -> None:
    """Each poll takes a bounded share from every link."""
    a, b = stage.pair()
    attackers.append(Attacker(a))
    attackers[0].say(hello_frame(hello_of("n9")))
    for _ in range(20):
        attackers[0].say(MESSAGE * 1_000)
    assert b.send("n1", {"type": "timeout_now", "term": 8})
    b.transport.flush()
    stage.until(lambda: a.messages)
    for _ in range(3):
        a.transport.poll(0.001)
    assert a.terms("n2") == [8]
    assert len(a.terms("n9")) <= 64 * 20
    stage.until(lambda: len(a.terms("n9")) >= 5_000)


def test_a_replayed_hello_is_worth_nothing_with_tls(
    stage: Stage, attackers: list[Attacker], authority: Authority
) -> None:
    """The bytes of somebody's hello do not stand for its key."""
    a, b = stage.pair(tls=authority.issue)
    attackers.append(Attacker(a))
    attackers[0].say(hello_frame(hello_of("n2")) + MESSAGE)
    stage.until(lambda: attackers[0].thrown_out)
    assert_honest_peers_talk(stage, a, b)


def test_only_listening_links_carry_messages_to_the_engine(stage: Stage) -> None:
    """Each side's schema holds what that side may say, no more."""
    assert ACCEPTED.decode(b"\x91\x03") == {"type": "ping"}
    a, b = stage.pair()
    link = b.transport._board._reception.incoming["n1"]
    link.connection.queue(MESSAGE)
    stage.until(lambda: a.changes[-1] == ("down", "n2"))
    assert a.messages == []
