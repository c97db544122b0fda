"""What becomes of a name after it was registered: the calls, for both faces of the client.

They hold no logic: every method names an operation and runs it; see `changes`, `reserving` and
`histories`. What all calls share is said at `namestore.NameStore`.
"""

from __future__ import annotations

from datetime import timedelta

from namestore.client import changes
from namestore.client.histories import NameHistory, history
from namestore.client.namespaces import AsyncNamespaces, BlockingNamespaces
from namestore.client.reserving import AsyncReservation, BlockingReservation, Wish
from namestore.client.values import NameRecord, RenameResult


class BlockingLife(BlockingNamespaces):
    """Changes, reservations and histories, blocking. Used through `namestore.NameStore`."""

    def update(
        self,
        name: str,
        owner: str = "",
        *,
        payload: bytes | None = None,
        new_owner: str | None = None,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        """Changes the payload, hands the name over, or both; None: unchanged.

        Returns the new record. Handing over keeps the `create_revision`. With a `create_revision`,
        only that very holding is changed.

        Raises:
            NameNotFound, NotOwner, StaleFence: It was not changed.
            OwnerLimit: The new owner has as many names as the namespace's policy allows.

        Retry: with the `request_id` of the `OutcomeUnknown`.
        """
        operation = changes.update(
            self._session, name, owner, payload, new_owner, create_revision, request_id, timeout
        )
        return self._driver.run(operation)

    def confirm(
        self,
        name: str,
        owner: str = "",
        *,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        """Makes a reservation (a name registered with `ttl`) permanent. Returns its record.

        Of a permanent name it changes nothing. With a `create_revision`, only that very holding is
        confirmed.

        Raises:
            NameNotFound, NotOwner, StaleFence: It was not confirmed: it ended before.

        Retry: with the `request_id` of the `OutcomeUnknown`.
        """
        operation = changes.confirm(
            self._session, name, owner, create_revision, request_id, timeout
        )
        return self._driver.run(operation)

    def rename(
        self,
        from_name: str,
        to_name: str,
        owner: str = "",
        *,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> RenameResult:
        """Takes `to_name` and gives `from_name` back in one step. False if `to_name` is refused.

        With a `create_revision`, only that very holding of `from_name` is renamed.

        Raises:
            NameNotFound, NotOwner, StaleFence: `from_name` is not this owner's.

        Retry: with the `request_id` of the `OutcomeUnknown`.
        """
        operation = changes.rename(
            self._session, from_name, to_name, owner, create_revision, request_id, timeout
        )
        return self._driver.run(operation)

    def reserve(
        self,
        name: str,
        owner: str = "",
        payload: bytes = b"",
        *,
        ttl: float | timedelta = 0,
        timeout: float | None = None,
    ) -> BlockingReservation:
        """Reserves a name for the time of a block.

            with names.reserve("user:alice", owner="account-17", ttl=60) as reservation:
                insert_the_user_row()

        The name is confirmed if the block succeeds and released if it raises. If the process dies
        in between, the name is free again after `ttl` seconds.

        Args:
            name: To be reserved.
            owner: Who will hold it.
            payload: At most 1 KiB.
            ttl: Seconds, or a timedelta: longer than the block may take. 0: what the namespace's
                policy says, 10 minutes where it says nothing. The policy's longest bounds it.
            timeout: Seconds, for each of the two calls.

        Raises:
            NameTaken: At the beginning: it was refused; `record` is the one in the way.
            ReservationExpired: At the end: its time was over before. What the block did must be
                undone, as somebody else may hold the name.
            OutcomeUnknown: At the beginning: it may be reserved, until its time is over. At the
                end: it may be permanent; `confirm` with this `request_id` tells. At the end
                `Unavailable` is possible too: it is still reserved, for what is left of its time.

        Retry: the whole, after any of these but the two last; then `confirm`.
        """
        wish = Wish(name, owner, payload, ttl, timeout)
        return BlockingReservation(self._driver, self._session, wish)

    def history(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> NameHistory:
        """Who held a name, from when to when, as far back as history is kept."""
        return self._driver.run(history(self._session, name, stale, timeout))


class AsyncLife(AsyncNamespaces):
    """Changes, reservations and histories, awaited. Used through `namestore.aio.NameStore`."""

    async def update(
        self,
        name: str,
        owner: str = "",
        *,
        payload: bytes | None = None,
        new_owner: str | None = None,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        """Changes the payload, or hands the name over; see `namestore.NameStore.update`."""
        operation = changes.update(
            self._session, name, owner, payload, new_owner, create_revision, request_id, timeout
        )
        return await self._driver.run(operation)

    async def confirm(
        self,
        name: str,
        owner: str = "",
        *,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        """Makes a reservation permanent; see `namestore.NameStore.confirm`."""
        operation = changes.confirm(
            self._session, name, owner, create_revision, request_id, timeout
        )
        return await self._driver.run(operation)

    async def rename(
        self,
        from_name: str,
        to_name: str,
        owner: str = "",
        *,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> RenameResult:
        """Takes one name and gives another back; see `namestore.NameStore.rename`."""
        operation = changes.rename(
            self._session, from_name, to_name, owner, create_revision, request_id, timeout
        )
        return await self._driver.run(operation)

    def reserve(
        self,
        name: str,
        owner: str = "",
        payload: bytes = b"",
        *,
        ttl: float | timedelta = 0,
        timeout: float | None = None,
    ) -> AsyncReservation:
        """`async with`: reserves a name for a block; see `namestore.NameStore.reserve`."""
        wish = Wish(name, owner, payload, ttl, timeout)
        return AsyncReservation(self._driver, self._session, wish)

    async def history(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> NameHistory:
        """Who held a name; see `namestore.NameStore.history`."""
        return await self._driver.run(history(self._session, name, stale, timeout))
