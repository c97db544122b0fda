"""Before anything is timed: each peer grants a name once, and refuses it from then on.

A figure of a peer that does not is worth nothing, so a run ends here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.interface import (
    BenchmarkError,
    BlockingClient,
    BlockingPeer,
    Client,
    Peer,
)

_RACERS = 8
_BATCH = 500


class _Awaited:
    """A blocking client, awaited."""

    def __init__(self, client: BlockingClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *arguments: asyncio.to_thread(method, *arguments)


async def connect(peer: Peer, callers: int) -> Client:
    """A client of either kind, to be awaited."""
    address = peer.address()
    kind = PEERS[peer.name]
    if hasattr(kind, "connect_blocking"):
        blocking = cast("type[BlockingPeer]", kind)
        made = await asyncio.to_thread(blocking.connect_blocking, address, callers)
        return cast("Client", _Awaited(made))
    return await kind.connect(address, callers)


async def verify(peer: Peer) -> None:
    """Tries every call on new names, twice, and with several clients at once.

    Raises:
        BenchmarkError: An answer is not what it must be.
    """
    clients = [await connect(peer, _RACERS) for _ in range(2)]
    try:
        await _grants_once(clients)
        await _batches(clients[0])
    finally:
        for client in clients:
            await client.close()


async def _grants_once(clients: Sequence[Client]) -> None:
    _same("a free name is found", await clients[0].lookup("user:verify-one"), False)
    answers = await asyncio.gather(
        *(clients[n % len(clients)].register("user:verify-one") for n in range(_RACERS))
    )
    _same("callers that were granted the same name", sum(answers), 1)
    _same("it is granted again", await clients[1].register("user:verify-one"), False)
    for client in clients:
        _same("a taken name is found", await client.lookup("user:verify-one"), True)


async def _batches(client: Client) -> None:
    each = [f"user:verify-each-{n}" for n in range(_BATCH)]
    _same("new names granted of a batch", await client.register_each(each), _BATCH)
    half = each[::2] + [f"{name}-new" for name in each[1::2]]
    _same("granted of a batch half of which is taken", await client.register_each(half), _BATCH / 2)
    together = [f"user:verify-all-{n}" for n in range(_BATCH)]
    _same("all or none, all free", await client.register_all(together), True)
    _same("all or none, one taken", await client.register_all(["user:x", together[0]]), False)
    _same("a name of a batch that was refused is taken", await client.lookup("user:x"), False)


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise BenchmarkError(f"{what}: {found!r}, not {expected!r}")
