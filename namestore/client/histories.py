"""Who held a name, from when to when: the question and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from namestore.client import methods
from namestore.client.network import Operation
from namestore.client.requests import checked_name, consistency
from namestore.client.session import Session, call
from namestore.client.times import time_from
from namestore.v1 import registry_pb2 as registry


class Ending(Enum):
    """What ended a holding. `OTHER`: something that this version does not know."""

    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    RENAMED_AWAY = "RENAMED_AWAY"
    HANDED_OVER = "HANDED_OVER"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Holding:
    """One owner's time with a name.

    Attributes:
        from_time: In the log's time, UTC, as is `to_time`.
        to_time: None: still held.
        create_revision: Of the holding; the same for all owners it was handed over to.
        ended_by: None: still held.
        end_revision: Of the change that ended it; None: still held.
    """

    owner: str
    from_time: datetime
    to_time: datetime | None
    create_revision: int
    ended_by: Ending | None
    end_revision: int | None


@dataclass(frozen=True, slots=True)
class NameHistory:
    """All that is known of who held a name.

    Attributes:
        holdings: Oldest first; the newest 1000 where there are more.
        revision: What the answer reflects.
        oldest_revision: Holdings that ended before it are not known any more.
    """

    holdings: tuple[Holding, ...]
    revision: int
    oldest_revision: int


def history(
    session: Session, name: str, stale: bool, timeout: float | None
) -> Operation[NameHistory]:
    """See `NameStore.history`."""
    request = registry.HistoryRequest(name=checked_name(name), consistency=consistency(stale))
    response = yield from call(session, methods.HISTORY, request, session.seconds(timeout))
    holdings = tuple(_holding(message) for message in response.holdings)
    return NameHistory(holdings, response.revision, response.oldest_revision)


def _holding(message: registry.HistoryResponse.Holding) -> Holding:
    ended = message.HasField("to_time")
    return Holding(
        owner=message.owner,
        from_time=time_from(message.from_time),
        to_time=time_from(message.to_time) if ended else None,
        create_revision=message.create_revision,
        ended_by=_ENDINGS.get(message.ended_by, Ending.OTHER) if ended else None,
        end_revision=message.end_revision if ended else None,
    )


_ENDINGS = {
    registry.Event.RELEASED: Ending.RELEASED,
    registry.Event.EXPIRED: Ending.EXPIRED,
    registry.Event.RENAMED_AWAY: Ending.RENAMED_AWAY,
    registry.Event.HANDED_OVER: Ending.HANDED_OVER,
}
