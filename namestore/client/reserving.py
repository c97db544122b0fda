"""A reservation held for the time of a block: confirmed if the block succeeds, else released.

The steps are generators, as in `operations`; the two context managers only run them. Invariant: a
block that ended without an exception ends without one only if its name was confirmed; a block that
raised raises the same, whatever becomes of the release.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType

from namestore.client.changes import confirm
from namestore.client.drivers import AsyncDriver, BlockingDriver
from namestore.client.network import Operation
from namestore.client.operations import register, release
from namestore.client.session import Session
from namestore.client.values import NameRecord
from namestore.errors import (
    ClientMisuse,
    NameNotFound,
    NamestoreError,
    NameTaken,
    NotOwner,
    ReservationExpired,
    StaleFence,
)

_log = logging.getLogger("namestore.client")

# What a server says when the reservation is not there any more.
_GONE = (NameNotFound, NotOwner, StaleFence)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A name that is reserved for the time of a block.

    Attributes:
        record: As it was granted.
    """

    record: NameRecord

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.record.name

    @property
    def create_revision(self) -> int:
        """Of the holding; stays what it is when it is confirmed, so it serves as a fence."""
        return self.record.create_revision

    @property
    def expire_time(self) -> datetime | None:
        """When it ends unless it is confirmed before, in the log's time, UTC."""
        return self.record.expire_time


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be reserved: the arguments of `NameStore.reserve`."""

    name: str
    owner: str
    payload: bytes
    ttl: float | timedelta
    timeout: float | None


def begin(session: Session, wish: Wish) -> Operation[Reservation]:
    """Takes the name until its time is over.

    Raises:
        NameTaken: It was refused.
    """
    result = yield from register(
        session, wish.name, wish.owner, wish.payload, wish.ttl, None, wish.timeout
    )
    if result.registered and result.record is not None:
        return Reservation(result.record)
    refusal = result.refusal.name if result.refusal else "OTHER"
    raise NameTaken(
        f"{wish.name!a} was refused: {refusal}", result.record, name=wish.name, refusal=refusal
    )


def keep(session: Session, wish: Wish, reservation: Reservation) -> Operation[None]:
    """Makes the name permanent.

    Raises:
        ReservationExpired: Its time was over before.
    """
    fence = reservation.create_revision
    try:
        yield from confirm(session, reservation.name, wish.owner, fence, None, wish.timeout)
    except _GONE as error:
        raise ReservationExpired(
            f"the reservation of {reservation.name!a} ended before it was confirmed "
            f"({error.message})",
            reservation.record,
            name=reservation.name,
        ) from error


def let_go(
    session: Session, wish: Wish, reservation: Reservation, cause: BaseException
) -> Operation[None]:
    """Gives the name back because of `cause`.

    What hinders it is noted there, and raised nowhere: the reservation ends by itself.
    """
    fence = reservation.create_revision
    try:
        yield from release(session, reservation.name, wish.owner, fence, None, wish.timeout)
    except _GONE:
        _log.debug("reservation.over name=%r", reservation.name)
    except NamestoreError as error:
        _log.warning("reservation.left name=%r: %s", reservation.name, error)
        cause.add_note(
            f"namestore: the reservation of {reservation.name!a} could not be released "
            f"({error.message}); it ends by itself at {reservation.expire_time}"
        )


class _Block:
    """What both flavours of a block share."""

    def __init__(self, session: Session, wish: Wish) -> None:
        self._session = session
        self._wish = wish
        self._reservation: Reservation | None = None
        self._used = False

    def _beginning(self) -> Operation[Reservation]:
        if self._used:
            raise ClientMisuse("a reservation serves for one block; call reserve again")
        self._used = True
        return begin(self._session, self._wish)

    def _end(self, error: BaseException | None) -> Operation[None]:
        reservation = self._reservation
        if reservation is None:
            raise ClientMisuse("this reservation was never entered")
        if error is None:
            return keep(self._session, self._wish, reservation)
        return let_go(self._session, self._wish, reservation, error)


class BlockingReservation(_Block):
    """`with names.reserve(…) as reservation`; see `namestore.NameStore.reserve`."""

    def __init__(self, driver: BlockingDriver, session: Session, wish: Wish) -> None:
        super().__init__(session, wish)
        self._driver = driver

    def __enter__(self) -> Reservation:
        self._reservation = self._driver.run(self._beginning())
        return self._reservation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._driver.run(self._end(error))


class AsyncReservation(_Block):
    """`async with names.reserve(…) as reservation`; see `namestore.NameStore.reserve`."""

    def __init__(self, driver: AsyncDriver, session: Session, wish: Wish) -> None:
        super().__init__(session, wish)
        self._driver = driver

    async def __aenter__(self) -> Reservation:
        self._reservation = await self._driver.run(self._beginning())
        return self._reservation

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._driver.run(self._end(error))
