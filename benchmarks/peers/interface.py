"""What a system must offer to be compared: its servers, and callers through its Python client.

A *peer* is a system as it is run here, with its own processes and data. A *client* is what one
process of callers shares, as an application would. Invariant: every peer acknowledges a name only
after a majority of its nodes (one, where it has one) has synced it to disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

OWNER = "account-17"

# What a process of callers needs to find the servers; goes to it as JSON.
Address = dict[str, list[str]]


class BenchmarkError(Exception):
    """The run cannot go on, and its figures would mean nothing. The message says why."""


@contextmanager
def failures_of_peers() -> Iterator[None]:
    """Whatever a client library raises inside is a failure of its peer, and not of the run."""
    try:
        yield
    except BenchmarkError:
        raise
    except Exception as error:
        raise BenchmarkError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be there before a peer can be started.

    Attributes:
        programs: Absolute paths, or names searched on PATH; each with its Debian package.
        modules: Importable Python modules; each with its package on the index.
    """

    programs: dict[str, str]
    modules: dict[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the report says of a peer.

    Attributes:
        title: Name and number of nodes.
        durable: When it acknowledges, and by which settings.
        client: The library its callers use, and how.
        batch: How many names travel at once: each by itself, and all or none.
        lookup: What a look-up promises here.
    """

    title: str
    durable: str
    client: str
    batch: str
    lookup: str


class Registering(Protocol):
    """The least that callers need."""

    async def register(self, name: str) -> bool:
        """Takes a name if it is free; whether it did."""
        ...

    async def close(self) -> None:
        """Ends the connections."""
        ...


class Client(Registering, Protocol):
    """Shared by all asyncio callers of one process."""

    async def register_each(self, names: Sequence[str]) -> int:
        """Takes those that are free, in one round trip if possible; how many."""
        ...

    async def register_all(self, names: Sequence[str]) -> bool:
        """Takes all in one atomic step, or none. Raises NotImplementedError if it cannot."""
        ...

    async def lookup(self, name: str) -> bool:
        """Whether somebody holds the name, as strictly as the peer can say."""
        ...


class BlockingClient(Protocol):
    """As `Client`, shared by threads: for libraries that only block."""

    def register(self, name: str) -> bool: ...

    def register_each(self, names: Sequence[str]) -> int: ...

    def register_all(self, names: Sequence[str]) -> bool: ...

    def lookup(self, name: str) -> bool: ...

    def close(self) -> None: ...


class Peer(Protocol):
    """One system. Started at most once; `stop` may be called at any time, more than once.

    Attributes:
        name: One word, as on the command line.
        needs: Of this machine.
        facts: For the report.
    """

    name: str
    needs: Needs
    facts: Facts

    def version(self) -> str:
        """Of the servers, as they say themselves."""
        ...

    def start(self, directory: Path) -> None:
        """Starts all servers on free loopback ports, with data below an existing empty directory.

        Returns once names can be taken. Raises BenchmarkError, with what the servers last said.
        """
        ...

    def stop(self) -> None:
        """Ends every process that was started."""
        ...

    def address(self) -> Address:
        """For `connect`; the leader first, where there is one."""
        ...

    def pids(self) -> dict[str, list[int]]:
        """By server, its processes."""
        ...

    def data(self) -> dict[str, Path]:
        """By server, where its data lies."""
        ...


@runtime_checkable
class RenewedPeer(Peer, Protocol):
    """A peer that is slower for what it was asked before, until it is started again."""

    def renew(self) -> None:
        """Starts all servers again, with the data they have; returns once they serve."""
        ...


def renew(peers: Iterable[Peer]) -> None:
    """Each of those peers at its best: what was asked of it before does not count.

    Raises:
        BenchmarkError: One of them does not serve again.
    """
    with failures_of_peers():
        for peer in peers:
            if isinstance(peer, RenewedPeer):
                peer.renew()


class AsyncPeer(Peer, Protocol):
    """A peer whose library has an asyncio face, the one that is measured."""

    @staticmethod
    async def connect(address: Address, callers: int) -> Client:
        """For as many callers as said, in whatever process this is called."""
        ...


class BlockingPeer(Peer, Protocol):
    """A peer whose library only blocks."""

    @staticmethod
    def connect_blocking(address: Address, callers: int) -> BlockingClient:
        """For as many threads as said."""
        ...


class FailoverPeer(AsyncPeer, Protocol):
    """A peer whose leader can be killed and brought back."""

    def set_election_timeout(self, least_ms: int) -> None:
        """Before `start`: drawn from [least_ms, 2 * least_ms), with heartbeats each 100 ms."""
        ...

    def leader(self) -> str:
        """The server that leads. Raises BenchmarkError when none does for ten seconds."""
        ...

    def kill(self, server: str) -> None:
        """kill -9."""
        ...

    def restart(self, server: str) -> None:
        """Starts it again and waits until it serves."""
        ...

    @staticmethod
    async def connect_persistent(address: Address) -> Registering:
        """A client whose calls go on by themselves, from server to server, until answered."""
        ...
