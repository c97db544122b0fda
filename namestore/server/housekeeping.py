"""What a leader does unasked: it ends reservations, carries on policies, sets history's bounds.

One task per node, which acts only while its replica leads. Nothing depends on it: a reservation
that is over is nobody's the moment somebody meets it, and a policy may be carried on by any node.
But without it an idle cluster would tell nobody that a name is free, and a policy whose node died
would stay pending.

Invariants: everything it proposes is conditional, so that doing it twice, late, or by two nodes
that both believe to lead changes nothing more; a round is bounded work; it never ends by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from namestore.config import HistoryConfig
from namestore.config.model import DAY_MS
from namestore.core.commands import Expire, KeepEvents, encode_command
from namestore.core.namespaces import NamespaceState
from namestore.core.outcomes import Verdict
from namestore.core.reading import due_expirations, namespaces, next_expiration_ms
from namestore.errors import NamestoreError
from namestore.logs import get_logger
from namestore.raft.replica import Replica, Role
from namestore.rpc.identities import draw_request_id
from namestore.server import carrying
from namestore.storage.interfaces import StateView

_log = get_logger(__name__)

# Between two looks at most: who registers with a short time wakes nobody here.
PAUSE_S = 1.0
# After work that is not done yet, and after something that went wrong.
_NEXT_S = 0.01
_RETRY_S = 1.0
# The log's time may be a little behind what is known of it; asking more often does not move it.
_LOG_TIME_S = 0.25
# A new leader hears what time it is with the first answers.
_NEXT_TERM_S = 0.1
_TIMEOUT_S = 5.0
EXPIRED_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is to do.

    Attributes:
        expire: Reservations that are over.
        next_ms: When the next one ends; None: there is none.
        pending: Namespaces with a pending policy.
        keep: How far back the feed shall reach from now on; None: as it does.
    """

    expire: Expire | None
    next_ms: int | None
    pending: dict[str, NamespaceState]
    keep: KeepEvents | None


class Housekeeping:
    """The task of one node. Belongs to the gateway's event loop.

    Args:
        replica: Whose leadership counts.
        house: The gateway.
        history: How far back the feed shall reach; None: as it does.
        clock: Monotonic seconds.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        replica: Replica,
        house: carrying.Carriers,
        history: HistoryConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._replica = replica
        self._house = house
        self._history = history
        self._clock = clock
        self._sleep = sleep
        # How far each pending policy was when it was looked at: who carries it is left alone.
        self._seen: dict[str, NamespaceState] = {}
        self._seen_at = 0.0
        self._adopted: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Keeps house until it is cancelled."""
        while True:
            await self._sleep(await self.round())

    async def round(self) -> float:
        """Does what is due, within bounds; returns the seconds until it should be asked again."""
        status = self._replica.status()
        if status.role is not Role.LEADER:
            self._seen.clear()
            self._adopted.clear()
            return PAUSE_S
        if status.log_time_ms is None:
            return _NEXT_TERM_S
        try:
            with self._house.chores():
                found = await self._house.read_aside(
                    partial(self._look, status.log_time_ms), self._clock() + _TIMEOUT_S
                )
                if found.keep is not None:
                    await self._house.decide([encode_command(found.keep)], 1, _TIMEOUT_S)
                wait_s = await self._expire(found, status.log_time_ms)
                return min(wait_s, await self._carry_on(found))
        except NamestoreError as error:
            # Leadership or quorum was lost, or much is waiting: whoever leads then goes on.
            _log.info("housekeeping.put_off", reason=error.message)
        except Exception:  # noqa: BLE001  # it must not end; what is wrong is in the log
            _log.exception("housekeeping.failed")
        return _RETRY_S

    def _look(self, now_ms: int, view: StateView) -> _Found:
        """What there is to do at that time of the log. In a thread."""
        return _Found(
            due_expirations(view, now_ms, EXPIRED_AT_ONCE),
            next_expiration_ms(view),
            {
                name: space
                for name, space in (namespaces(view) if view.meta.namespace_count else {}).items()
                if space.pending_version
            },
            self._keep(view),
        )

    def _keep(self, view: StateView) -> KeepEvents | None:
        if self._history is None:
            return None
        events_max, age_ms_max = self._history.events_max, self._history.days_max * DAY_MS
        if (view.meta.events_kept_max, view.meta.events_kept_ms) == (events_max, age_ms_max):
            return None
        return KeepEvents(draw_request_id(), events_max, age_ms_max)

    async def _expire(self, found: _Found, now_ms: int) -> float:
        if found.expire is None:
            if found.next_ms is None:
                return PAUSE_S
            return min(max((found.next_ms - now_ms) / 1000, _NEXT_S), PAUSE_S)
        count = len(found.expire.items)
        decisions = await self._house.decide([encode_command(found.expire)], count, _TIMEOUT_S)
        ended = sum(outcome.verdict is Verdict.EXPIRED for outcome in decisions[0])
        _log.debug("housekeeping.expired", names=ended)
        return _NEXT_S if ended else _LOG_TIME_S

    async def _carry_on(self, found: _Found) -> float:
        """Takes one step with each pending policy that nobody else takes further."""
        before, waited = self._seen, self._clock() - self._seen_at >= PAUSE_S
        if waited or not before:
            self._seen, self._seen_at = found.pending, self._clock()
        pending = {(name, space.pending_version) for name, space in found.pending.items()}
        self._adopted &= pending
        if waited:
            stuck = (name for name, space in found.pending.items() if before.get(name) == space)
            self._adopted |= {(name, found.pending[name].pending_version) for name in stuck}
        for namespace, version in sorted(self._adopted):
            await self._step(namespace, version)
        return _NEXT_S if self._adopted else PAUSE_S

    async def _step(self, namespace: str, version: int) -> None:
        step = await self._house.read_aside(
            lambda view: carrying.next_step(view, namespace, version), self._clock() + _TIMEOUT_S
        )
        if step is None:
            return
        outcome = await carrying.take(self._house, step, _TIMEOUT_S)
        if outcome.verdict is Verdict.POLICY_ABANDONED:
            finding = step.finding or carrying.collision(outcome)
            _log.warning("policy.dropped", namespace=namespace, reason=finding.message)
        elif outcome.verdict is Verdict.POLICY_ACTIVE:
            _log.info("policy.in_force", namespace=namespace, version=version)
