"""Where the nodes and callers of a run stand, and how the ways between them are broken.

A *place* is a node or a group of callers. `Namespaces` gives each a network namespace and has every
packet pass `wires`; `Loopback` is for where that is not to be had: all stand on the loopback
interface, and on the ways between them TCP proxies that can be cut. Not responsible for the
processes in the places.

Invariant: the run itself, which asks the nodes what they do, reaches each of them always.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from namestore.localcluster.ports import free_ports
from tests.support.proxy import Proxy
from tests.torture import kernel
from tests.torture.enter import CLOCK_FORMAT, UNCHANGED
from tests.torture.wires import CUT, Link, Wires

GRPC_PORT, RAFT_PORT = 7101, 7201
CALLERS = ("here", "there")
_NETWORK = "10.213.57"
_RUN_HOST = 254
_DEVICE = "tun0"
_DISK_BYTES = 96 * 1024 * 1024

Pairs = Iterable[tuple[str, str]]
Addresses = dict[str, tuple[str, str]]  # by node: gRPC and Raft, as host:port


class Ground(Protocol):
    """Nodes and callers in their places, while it is entered.

    Attributes:
        kind: For people.
        open_network: Addresses are not loopback ones.
        directed: One direction of a way can be broken without the other.
        rough: Ways can be slow and lossy.
        disks: Nodes that have a small disk of their own, each with its size in bytes.
    """

    kind: str
    open_network: bool
    directed: bool
    rough: bool
    disks: Mapping[str, int]

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def command(self, place: str) -> tuple[str, ...]:
        """What runs a module in a place: the module's name and its arguments follow."""

    def addresses(self) -> Addresses:
        """Where the nodes listen."""

    def seen_by(self, place: str) -> Addresses:
        """The same as a place is to reach them, its own left out."""

    def set_links(self, pairs: Pairs, link: Link) -> None:
        """How these ways are from now on."""

    def heal(self) -> None:
        """All ways are good again."""

    def move_clock(self, node_id: str, seconds: float) -> None:
        """How far a node's wall clock is off from now on."""

    def make_disk(self, node_id: str, place: Path) -> None:
        """Mounts the small disk of a node that has one, empty."""

    @property
    def packets(self) -> tuple[int, int] | None:
        """Delivered and lost so far; None: they are not seen here."""


class _Clocks:
    """Files that tell processes how far their wall clocks are off."""

    def __init__(self, directory: Path, node_ids: Sequence[str]) -> None:
        self._paths = {node_id: directory / f"{node_id}.clock" for node_id in node_ids}
        for node_id in node_ids:
            self.move(node_id, 0.0)

    def path(self, place: str) -> str:
        path = self._paths.get(place)
        return UNCHANGED if path is None else str(path)

    def move(self, node_id: str, seconds: float) -> None:
        path = self._paths[node_id]
        # In place: processes have it mapped.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, struct.pack(CLOCK_FORMAT, int(seconds * 1e9)), 0)
        finally:
            os.close(descriptor)


def _enter(net: str, clock: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.torture.enter", net, clock, str(os.getpid()))


class Namespaces:
    """A network namespace for each place. Only in the run's own namespaces (`isolation`)."""

    kind = "network namespaces"
    open_network = True
    directed = True
    rough = True

    def __init__(
        self, directory: Path, node_ids: Sequence[str], seed: int, small_disks: Iterable[str]
    ) -> None:
        self.disks: Mapping[str, int] = dict.fromkeys(small_disks, _DISK_BYTES)
        self._node_ids = tuple(node_ids)
        self._clocks = _Clocks(directory, node_ids)
        self._wires = Wires(seed)
        self._nets: dict[str, int] = {}
        self._mounted: list[Path] = []

    def __enter__(self) -> Self:
        kernel.bring_up("lo")
        self._wires.attach("run", f"{_NETWORK}.{_RUN_HOST}", kernel.open_tunnel(_DEVICE))
        kernel.bring_up(_DEVICE, f"{_NETWORK}.{_RUN_HOST}")
        for host, place in enumerate((*self._node_ids, *CALLERS), 1):
            self._make(place, f"{_NETWORK}.{host}")
        self._wires.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wires.__exit__(kind, error, traceback)
        for net in self._nets.values():
            os.close(net)
        while self._mounted:
            kernel.unmount(self._mounted.pop())

    def command(self, place: str) -> tuple[str, ...]:
        net = f"/proc/{os.getpid()}/fd/{self._nets[place]}"
        return _enter(net, self._clocks.path(place))

    def addresses(self) -> Addresses:
        return {
            node_id: (f"{_NETWORK}.{host}:{GRPC_PORT}", f"{_NETWORK}.{host}:{RAFT_PORT}")
            for host, node_id in enumerate(self._node_ids, 1)
        }

    def seen_by(self, place: str) -> Addresses:
        return {node: seen for node, seen in self.addresses().items() if node != place}

    def set_links(self, pairs: Pairs, link: Link) -> None:
        self._wires.set(pairs, link)

    def heal(self) -> None:
        self._wires.heal()

    def move_clock(self, node_id: str, seconds: float) -> None:
        self._clocks.move(node_id, seconds)

    def make_disk(self, node_id: str, place: Path) -> None:
        if place in self._mounted:
            kernel.unmount(place)
            self._mounted.remove(place)
        place.mkdir(exist_ok=True)
        kernel.mount("tmpfs", place, f"size={self.disks[node_id]},mode=700")
        self._mounted.append(place)

    @property
    def packets(self) -> tuple[int, int] | None:
        return self._wires.passed, self._wires.lost

    def _make(self, place: str, address: str) -> None:
        """A thread leaves for a new namespace and furnishes it; the open file keeps it."""
        failures: list[OSError] = []

        def furnish() -> None:
            try:
                kernel.unshare(kernel.NEW_NET)
                kernel.bring_up("lo")
                self._wires.attach(place, address, kernel.open_tunnel(_DEVICE))
                kernel.bring_up(_DEVICE, address)
                flags = os.O_RDONLY | os.O_CLOEXEC
                self._nets[place] = os.open("/proc/thread-self/ns/net", flags)
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=furnish)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]


class Loopback:
    """Everybody on the loopback interface, with a TCP proxy on each way that can be cut."""

    kind = "loopback addresses and TCP proxies"
    open_network = False
    directed = False
    rough = False
    disks: Mapping[str, int] = {}

    def __init__(self, directory: Path, node_ids: Sequence[str]) -> None:
        self._clocks = _Clocks(directory, node_ids)
        ports = free_ports(2 * len(node_ids))
        self._addresses = {
            node_id: (f"127.0.0.1:{ports[2 * n]}", f"127.0.0.1:{ports[2 * n + 1]}")
            for n, node_id in enumerate(node_ids)
        }
        self._ways: dict[tuple[str, str], tuple[Proxy, Proxy]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for source in (*self._addresses, *CALLERS):
            for target, addresses in self._addresses.items():
                if source != target:
                    grpc, raft = (self._stack.enter_context(Proxy(to)) for to in addresses)
                    self._ways[source, target] = (grpc, raft)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def command(self, place: str) -> tuple[str, ...]:
        return _enter(UNCHANGED, self._clocks.path(place))

    def addresses(self) -> Addresses:
        return self._addresses

    def seen_by(self, place: str) -> Addresses:
        return {
            target: (grpc.address, raft.address)
            for (source, target), (grpc, raft) in self._ways.items()
            if source == place
        }

    def set_links(self, pairs: Pairs, link: Link) -> None:
        if link != CUT:
            raise ValueError("a proxy can only be cut")
        for source, target in pairs:
            # A connection carries both directions, whoever dialed.
            for way in ((source, target), (target, source)):
                for proxy in self._ways.get(way, ()):
                    proxy.cut()

    def heal(self) -> None:
        for proxies in self._ways.values():
            for proxy in proxies:
                proxy.heal()

    def move_clock(self, node_id: str, seconds: float) -> None:
        self._clocks.move(node_id, seconds)

    def make_disk(self, node_id: str, place: Path) -> None:
        raise ValueError(f"{node_id} has no small disk here")

    @property
    def packets(self) -> tuple[int, int] | None:
        return None
