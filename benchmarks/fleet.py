"""The peers of a run: which can run here, started together, ended whatever happens.

Invariant: all data lies below one temporary directory, which this module made and removes.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.interruption import SIGNALS
from benchmarks.peers.catalogue import PEERS, missing
from benchmarks.peers.interface import BenchmarkError, Peer


class Fleet:
    """Peers by name. As a context manager it ends those it started, and removes their data."""

    def __init__(self, directory: Path | None) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="namestore-benchmark-", dir=directory))
        self._started = 0
        self.running: dict[str, Peer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not leave half of them running.
        kept = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
        try:
            for peer in self.running.values():
                peer.stop()
        finally:
            shutil.rmtree(self._path)
            for number, handler in kept.items():
                signal.signal(number, handler)

    @property
    def path(self) -> Path:
        return self._path

    def start(self, name: str) -> Peer:
        """Starts a peer that stays until the end."""
        peer = PEERS[name]()
        self.running[name] = peer
        peer.start(self.new_directory(name))
        return peer

    @contextmanager
    def only(self, peer: Peer) -> Iterator[Peer]:
        """Starts a peer of its own for a while; its data is removed at once."""
        directory = self.new_directory(peer.name)
        try:
            peer.start(directory)
            yield peer
        finally:
            peer.stop()
            shutil.rmtree(directory)

    def drop(self, name: str) -> None:
        """Ends a peer that is not to take part any longer."""
        self.running.pop(name).stop()

    def new_directory(self, name: str) -> Path:
        """An empty one, removed at the end; named after whom it is for."""
        self._started += 1
        directory = self._path / f"{name}-{self._started}"
        directory.mkdir()
        return directory


def choose(wanted: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Which of these peers can run here; and, by name, what the others would need.

    Raises:
        BenchmarkError: There is no peer of such a name.
    """
    able, skipped = [], {}
    for name in wanted:
        if name not in PEERS:
            raise BenchmarkError(f"no peer {name!r}; there are {', '.join(PEERS)}")
        debian, python = missing(PEERS[name].needs)
        steps = [f"apt install {' '.join(debian)}"] * bool(debian)
        steps += [f"pip install {' '.join(python)}"] * bool(python)
        if steps:
            skipped[name] = "; ".join(steps)
        else:
            able.append(name)
    return able, skipped
