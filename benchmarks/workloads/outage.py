"""How long nobody is granted a name when the leader is killed with -9, at equal election timeouts.

Callers call all the time, each through a client that goes on by itself; the outage is the longest
time between two answers that follow each other, from just before the kill until service is back.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Sequence
from functools import partial

from benchmarks.peers.etcd import Etcd
from benchmarks.peers.interface import BenchmarkError, FailoverPeer, Registering
from benchmarks.peers.namestore import Namestore
from benchmarks.samples import OUTAGE
from benchmarks.workloads.context import Context, in_turn, say

NAME, TITLE = "outage", "seconds without an answer after kill -9 of the leader"
PEERS: dict[str, type[FailoverPeer]] = {Namestore.name: Namestore, Etcd.name: Etcd}
_CALLERS = 16
_BEFORE_SECONDS = 1.0
_CALM_SECONDS = 3.0  # more than the longest election timeout: a second election would be seen
_WAIT_SECONDS = 60.0


def run(context: Context, wanted: Sequence[str]) -> None:
    """All rounds, in clusters of their own: they are killed again and again."""
    peers = [name for name in wanted if name in PEERS]
    for name in peers:
        say(f"starting {name} to kill its leaders")
    clusters = {name: PEERS[name]() for name in peers}
    try:
        for name, cluster in clusters.items():
            cluster.set_election_timeout(context.plan.election_ms)
            cluster.start(context.fleet.new_directory(name))
        for number in range(context.plan.rounds):
            for name in in_turn(peers, number):
                cluster = clusters[name]
                context.take(NAME, name, number, partial(_measure, cluster))
    finally:
        for cluster in clusters.values():
            cluster.stop()


def _measure(cluster: FailoverPeer) -> dict[str, float]:
    leader = cluster.leader()
    try:
        seconds = asyncio.run(_outage(cluster, leader))
    finally:
        cluster.restart(leader)  # by this thread: a server ends with the one that started it
    return {OUTAGE: seconds}


async def _outage(cluster: FailoverPeer, leader: str) -> float:
    answered: list[float] = []
    client = await cluster.connect_persistent(cluster.address())
    callers = [asyncio.create_task(_call(client, answered)) for _ in range(_CALLERS)]
    try:
        await asyncio.sleep(_BEFORE_SECONDS)
        if not answered:
            raise BenchmarkError("nothing was granted before the kill")
        killed = time.monotonic()
        await asyncio.to_thread(cluster.kill, leader)
        await _service_back(answered, killed)
    finally:
        for caller in callers:
            caller.cancel()
        ended = await asyncio.gather(*callers, return_exceptions=True)
        await client.close()
    for error in ended:
        if not isinstance(error, asyncio.CancelledError):
            raise BenchmarkError(f"a caller ended: {error!r}")
    return longest_gap(answered, killed)


async def _call(client: Registering, answered: list[float]) -> None:
    mine = secrets.token_hex(8)
    for number in itertools.count():
        await client.register(f"user:{mine}-{number}")
        answered.append(time.monotonic())


async def _service_back(answered: list[float], killed: float) -> None:
    """Waits until answers have come without a long pause for a while."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        await asyncio.sleep(0.1)
        now = time.monotonic()
        if now > deadline:
            raise BenchmarkError(f"no service {_WAIT_SECONDS:g} s after the leader was killed")
        calm_since = max(now - _CALM_SECONDS, killed)
        recent = [moment for moment in answered if moment >= calm_since]
        if now - killed > 2 * _CALM_SECONDS and recent and recent[0] - calm_since < 1.0:
            return


def longest_gap(answered: Sequence[float], killed: float) -> float:
    """Between two answers in a row, of those of which the second came after the kill."""
    pairs = itertools.pairwise(answered)
    return max(after - before for before, after in pairs if after >= killed)
