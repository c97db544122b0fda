"""Which peers there are, and what of them is missing here."""

from __future__ import annotations

import importlib.util

from benchmarks.peers.etcd import Etcd
from benchmarks.peers.interface import AsyncPeer, BlockingPeer, Needs
from benchmarks.peers.namestore import Namestore
from benchmarks.peers.postgres import Postgres, ReplicatedPostgres
from benchmarks.peers.redis import Redis
from benchmarks.peers.zookeeper import ZooKeeper
from benchmarks.processes import find_program

_ALL: tuple[type[AsyncPeer] | type[BlockingPeer], ...] = (
    *(Namestore, Etcd, ZooKeeper),
    *(Postgres, ReplicatedPostgres, Redis),
)
PEERS = {peer.name: peer for peer in _ALL}


def missing(needs: Needs) -> tuple[list[str], list[str]]:
    """Debian packages and Python packages that would have to be installed."""
    debian = {p for program, p in needs.programs.items() if find_program(program) is None}
    python = {p for module, p in needs.modules.items() if not importlib.util.find_spec(module)}
    return sorted(debian), sorted(python)
