"""Fills a peer with names, from this process, through its client's batches."""

from __future__ import annotations

import asyncio
import itertools

from benchmarks.load import seen_name
from benchmarks.peers.interface import BenchmarkError, Peer
from benchmarks.workloads.context import say
from benchmarks.workloads.verify import connect

_CALLERS = 8
_SAY_EACH = 1_000_000


async def load_names(peer: Peer, count: int, batch: int) -> None:
    """Registers the names `seen_name(0)` to `seen_name(count - 1)`.

    Raises:
        BenchmarkError: One of them was not granted.
    """
    client = await connect(peer, _CALLERS)
    starts = itertools.count(0, batch)

    async def caller() -> None:
        while (start := next(starts)) < count:
            names = [seen_name(number) for number in range(start, min(start + batch, count))]
            granted = await client.register_each(names)
            if granted != len(names):
                raise BenchmarkError(f"{granted} of {len(names)} new names were granted")
            if start and start % _SAY_EACH < batch:
                say(f"  {peer.name}: {start:,} names")

    try:
        await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    finally:
        await client.close()
