"""A registry in the caller's own process: one durable node, no server, no port for callers.

Meant for tests, tools and sites of one process: names are as unique and as durable as on a cluster
of one node. Not meant for several processes: a second one that opens the directory is refused.

Invariant: the directory is given up only after the node has stopped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from os import PathLike, fspath
from pathlib import Path
from random import Random

from namestore.client.asynchronous import NameStore as AsyncNameStore
from namestore.client.blocking import NameStore
from namestore.client.endpoints import Endpoints
from namestore.client.inprocess import InProcessNetwork
from namestore.client.requests import checked_timeout
from namestore.client.session import Session
from namestore.config import ClusterConfig, NodeConfig, RaftConfig
from namestore.errors import InvalidRequest, InvariantViolation, NamestoreError, NoLeader
from namestore.raft.node import open_replica
from namestore.server.gateway import Gateway
from namestore.server.housekeeping import Housekeeping

_NODE_ID = "embedded"
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005

_log = logging.getLogger("namestore.embedded")


def open(path: str | PathLike[str], *, timeout: float = 5.0) -> NameStore:  # noqa: A001  # the contract's name
    """Opens the registry in a directory, made if it is not there, and returns its client.

    Closing the client stops the registry; the end of the process closes it too. Open it after a
    fork, not before.

    Args:
        path: The directory. Its registry can be opened by one process at a time.
        timeout: Seconds that a call may take unless it says otherwise.

    Raises:
        InvalidRequest: The path is empty.
        DirectoryInUse: Another process, or another client here, has it open.
        StorageError: The directory cannot be used as it is, or holds something else.
        NoLeader: The registry did not begin to serve within 10 seconds.
    """
    session = _session(timeout)
    return NameStore.over(_start(_checked(path)), session, close_at_exit=True)


async def open_async(path: str | PathLike[str], *, timeout: float = 5.0) -> AsyncNameStore:
    """The same as `open` for asyncio: the client is a `namestore.aio.NameStore`."""
    session = _session(timeout)
    network = await asyncio.to_thread(_start, _checked(path))
    return AsyncNameStore.over(network, session, close_at_exit=True)


def _session(timeout: float) -> Session:
    return Session(Endpoints((_NODE_ID,), Random()), checked_timeout(timeout))


def _checked(path: str | PathLike[str]) -> Path:
    """An empty path would be the working directory, which nobody means by it."""
    if not fspath(path):
        raise InvalidRequest("path is empty; name a directory", field="path")
    return Path(path)


def _start(path: Path) -> InProcessNetwork:
    """Starts the node and waits until it serves."""
    config = _config(path)
    networks: list[InProcessNetwork] = []
    failures: list[NamestoreError] = []

    def on_fatal(error: Exception) -> None:
        _log.critical("embedded.failed path=%s: %s", path, error)
        stopped = error if isinstance(error, NamestoreError) else InvariantViolation(repr(error))
        failures.append(stopped)
        for network in networks:
            network.fail(stopped)

    replica = open_replica(config, _NODE_ID, on_fatal=on_fatal)
    replica.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not replica.status().serving:
            if failures:
                raise failures[0]
            if time.monotonic() > deadline:
                raise NoLeader(f"the registry in {path} did not begin to serve in time")
            time.sleep(_POLL_SECONDS)
        gateway = Gateway(replica, config, _NODE_ID)
        network = InProcessNetwork(
            gateway,
            on_close=lambda: replica.stop(_STOP_SECONDS),
            beside=Housekeeping(replica, gateway).run,
        )
    except BaseException:
        replica.stop(_STOP_SECONDS)
        raise
    networks.append(network)
    return network


def _config(path: Path) -> ClusterConfig:
    """A cluster of one. It talks to nobody, so it may elect itself without waiting for others."""
    node = NodeConfig(id=_NODE_ID, grpc="127.0.0.1:0", raft="127.0.0.1:0", data_dir=path)
    timings = RaftConfig(heartbeat_ms=20, election_timeout_ms_min=60, election_timeout_ms_max=120)
    return ClusterConfig(name=_NODE_ID, nodes=(node,), raft=timings)
