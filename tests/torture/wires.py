"""The network between the places of a run: every packet passes through here, or does not.

A place's network device is a file (`kernel.open_tunnel`); what one place sends is read from its
file and written into the file of the place it is for, as the link between the two says: at once,
late, twice, out of order or never. So each direction of each link is broken by itself, and no
queueing discipline, bridge or filter of the kernel is needed. Not responsible for who is where.

Invariant: a packet goes only to the place whose address it carries, and only over a link that
exists and is not cut.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

_PACKET_BYTES_MAX = 65_536
_READS_PER_TURN = 64
_IDLE_SECONDS = 0.5
_LATE_PACKETS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Link:
    """One direction between two places.

    Attributes:
        cut: Nothing gets through.
        delay: Seconds that every packet takes.
        jitter: Seconds, up to which more or less.
        loss: The share of packets that get lost, 0 to 1.
        reorder: The share that overtakes: sent without the delay.
        duplicate: The share that comes twice.
    """

    cut: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0


CUT = Link(cut=True)
PERFECT = Link()


class Wires:
    """A switch in a thread of its own, while it is entered.

    Attributes:
        passed: Packets that were delivered.
        lost: Packets that were not, because of what a link is set to.
    """

    def __init__(self, seed: int) -> None:
        self.passed = 0
        self.lost = 0
        self._random = Random(f"{seed}/wires")
        self._devices: dict[bytes, int] = {}  # by address
        self._places: dict[str, bytes] = {}
        # Replaced as a whole, so that the thread needs no lock to read it.
        self._links: dict[tuple[bytes, bytes], Link] = {}
        self._late: list[tuple[float, int, int, bytes]] = []
        self._count = itertools.count()
        self._poll = select.epoll()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wires", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._poll.close()
        for device in self._devices.values():
            os.close(device)

    def attach(self, place: str, address: str, device: int) -> None:
        """A place's device, from now on this object's to close. It must not block."""
        packed = socket.inet_aton(address)
        self._places[place] = packed
        self._devices[packed] = device
        self._poll.register(device, select.EPOLLIN)

    def set(self, pairs: Iterable[tuple[str, str]], link: Link) -> None:
        """What links (from one place to another) are like from now on."""
        changed = dict(self._links)
        for source, target in pairs:
            changed[self._places[source], self._places[target]] = link
        self._links = changed

    def heal(self) -> None:
        """Every link is perfect again; what is late stays late."""
        self._links = {}

    def _run(self) -> None:
        addresses = self._devices
        while not self._ended.is_set():
            ready = {device for device, _ in self._poll.poll(self._pause())}
            for address, device in list(addresses.items()):
                if device in ready:
                    self._drain(address, device)
            self._deliver_late()

    def _pause(self) -> float:
        if not self._late:
            return _IDLE_SECONDS
        return min(_IDLE_SECONDS, max(0.0, self._late[0][0] - time.monotonic()))

    def _drain(self, source: bytes, device: int) -> None:
        for _ in range(_READS_PER_TURN):
            try:
                packet = os.read(device, _PACKET_BYTES_MAX)
            except OSError:  # no more for now, or the device is not up (yet)
                return
            # IPv4 only (RFC 791: version in the first byte, destination in bytes 16 to 19).
            if len(packet) >= 20 and packet[0] >> 4 == 4:
                self._carry(source, packet[16:20], packet)

    def _carry(self, source: bytes, target: bytes, packet: bytes) -> None:
        device = self._devices.get(target)
        if device is None:
            return
        link = self._links.get((source, target))
        if link is None:
            self._write(device, packet)
            return
        draw = self._random.random
        if link.cut or draw() < link.loss:
            self.lost += 1
            return
        for _ in range(2 if draw() < link.duplicate else 1):
            delay = link.delay + link.jitter * (2 * draw() - 1)
            if delay <= 0 or draw() < link.reorder:
                self._write(device, packet)
            elif len(self._late) < _LATE_PACKETS_MAX:
                due = time.monotonic() + delay
                heapq.heappush(self._late, (due, next(self._count), device, packet))

    def _deliver_late(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, device, packet = heapq.heappop(self._late)
            self._write(device, packet)

    def _write(self, device: int, packet: bytes) -> None:
        try:
            os.write(device, packet)
        except OSError:  # its queue is full: a network drops then
            self.lost += 1
        else:
            self.passed += 1
