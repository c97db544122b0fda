"""What a simulated node does unasked, and how it ends when it is told to.

The real housekeeping, whose unforeseen exceptions are failures of the run; and the order of steps
of `namestore.server.node` from SIGTERM on, without gRPC's own server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from namestore.config import ClusterConfig
from namestore.errors import NamestoreError
from namestore.raft.replica import Role
from namestore.server.housekeeping import Housekeeping

_CALLS_END_WITHIN_S, _HAND_OVER_S = 3.0, 1.0


class House(Housekeeping):
    """Housekeeping of one life of a node."""

    def __init__(self, server: Any, config: ClusterConfig) -> None:
        host, gateway = server.replica.host, server.gateway
        super().__init__(
            server.replica,
            gateway,
            config.history,
            clock=server.loop.time,
        )
        self._host, self._failures = host, server.failures

    def _look(self, now_ms: int, view: Any) -> Any:
        return self._alarmed(lambda: super(House, self)._look(now_ms, view))

    async def _expire(self, found: Any, now_ms: int) -> float:
        return await self._watched(super()._expire(found, now_ms))

    async def _carry_on(self, found: Any) -> float:
        return await self._watched(super()._carry_on(found))

    async def _watched(self, work: Any) -> float:
        try:
            seconds: float = await work
        except Exception as error:
            self._note(error)
            raise
        return seconds

    def _alarmed(self, look: Callable[[], Any]) -> Any:
        try:
            return look()
        except Exception as error:
            self._note(error)
            raise

    def _note(self, error: Exception) -> None:
        if not isinstance(error, NamestoreError):
            self._failures.append(error)


async def drain(server: Any, ended: Callable[[], None]) -> None:
    """From SIGTERM on, until only the replica is left."""
    gateway = server.gateway
    gateway.begin_drain()
    with suppress(TimeoutError):
        async with asyncio.timeout(_CALLS_END_WITHIN_S):
            await gateway.drained()
    if server.replica.status().role is Role.LEADER:
        with suppress(NamestoreError):
            await gateway.orders.hand_over(None, _HAND_OVER_S)
    ended()
