"""Who belongs to the cluster: the calls of operators, for both faces of the client.

They hold no logic but what a request and its answer look like; see `session` for retries. A change
names the state that is wanted, so asking again is always the same request.
"""

from __future__ import annotations

from namestore.client import methods
from namestore.client.drivers import AsyncDriver, BlockingDriver
from namestore.client.face import Face
from namestore.client.network import Operation
from namestore.client.session import Session, call
from namestore.client.states import MemberState, members_from
from namestore.v1 import cluster_pb2 as cluster

Members = tuple[MemberState, ...]

# Seconds that changes may take unless the caller says otherwise.
ADD_SECONDS = 600.0
REMOVE_SECONDS = 60.0
TRANSFER_SECONDS = 15.0


def _members(session: Session, timeout: float | None) -> Operation[Members]:
    request = cluster.StatusRequest()
    response = yield from call(session, methods.STATUS, request, session.seconds(timeout))
    return members_from(response.members)


def _add_member(
    session: Session, node_id: str, raft_address: str, grpc_address: str, timeout: float | None
) -> Operation[Members]:
    member = cluster.Member(
        node_id=node_id, raft_address=raft_address, grpc_address=grpc_address, voter=True
    )
    request = cluster.AddMemberRequest(member=member)
    seconds = session.seconds(ADD_SECONDS if timeout is None else timeout)
    response = yield from call(session, methods.ADD_MEMBER, request, seconds)
    return members_from(response.members)


def _remove_member(session: Session, node_id: str, timeout: float | None) -> Operation[Members]:
    request = cluster.RemoveMemberRequest(node_id=node_id)
    seconds = session.seconds(REMOVE_SECONDS if timeout is None else timeout)
    response = yield from call(session, methods.REMOVE_MEMBER, request, seconds)
    return members_from(response.members)


def _transfer(session: Session, node_id: str, timeout: float | None) -> Operation[str]:
    request = cluster.TransferLeadershipRequest(node_id=node_id)
    seconds = session.seconds(TRANSFER_SECONDS if timeout is None else timeout)
    response = yield from call(session, methods.TRANSFER_LEADERSHIP, request, seconds)
    return response.leader_id


class BlockingMembership(Face[BlockingDriver]):
    """The calls of operators, blocking. Used through `namestore.NameStore`."""

    def members(self, *, timeout: float | None = None) -> Members:
        """Who belongs to the cluster, as one of its nodes sees it just now."""
        return self._driver.run(_members(self._session, timeout))

    def add_member(
        self,
        node_id: str,
        raft_address: str,
        grpc_address: str,
        *,
        timeout: float | None = None,
    ) -> Members:
        """Has a node join; returns the members once it holds all names and counts.

        The node should run already, with a configuration that names it. Adding a member that is
        one already changes nothing.

        Args:
            node_id: Of the newcomer.
            raft_address: host:port where the other nodes reach it.
            grpc_address: host:port where callers reach it.
            timeout: Seconds; 600 unless given: it has to catch up first.

        Raises:
            ChangeUnderWay: Another change is not finished; nothing was done.
            OutcomeUnknown: It may be joining.

        Retry: safe, and goes on with what was begun.
        """
        operation = _add_member(self._session, node_id, raft_address, grpc_address, timeout)
        return self._driver.run(operation)

    def remove_member(self, node_id: str, *, timeout: float | None = None) -> Members:
        """Has a node leave; returns the members that are left. It stops by itself once it knows.

        A leader hands leadership over first. Removing what is no member changes nothing.

        Raises:
            ChangeUnderWay: Another change is not finished; nothing was done.
            NoQuorum: Too few of the others are connected to go on without it.
            OutcomeUnknown: It may have been removed.

        Retry: safe.
        """
        return self._driver.run(_remove_member(self._session, node_id, timeout))

    def transfer_leadership(self, node_id: str = "", *, timeout: float | None = None) -> str:
        """Has another node lead (empty: the one that is furthest); returns the leader's id.

        Raises:
            ChangeUnderWay: Leadership is on its way elsewhere.
            OutcomeUnknown: It was not taken over in time, or nobody knows; see `status`.

        Retry: safe.
        """
        return self._driver.run(_transfer(self._session, node_id, timeout))


class AsyncMembership(Face[AsyncDriver]):
    """The calls of operators, awaited. Used through `namestore.aio.NameStore`."""

    async def members(self, *, timeout: float | None = None) -> Members:
        """Who belongs to the cluster; see `namestore.NameStore.members`."""
        return await self._driver.run(_members(self._session, timeout))

    async def add_member(
        self,
        node_id: str,
        raft_address: str,
        grpc_address: str,
        *,
        timeout: float | None = None,
    ) -> Members:
        """Has a node join; see `namestore.NameStore.add_member`."""
        operation = _add_member(self._session, node_id, raft_address, grpc_address, timeout)
        return await self._driver.run(operation)

    async def remove_member(self, node_id: str, *, timeout: float | None = None) -> Members:
        """Has a node leave; see `namestore.NameStore.remove_member`."""
        return await self._driver.run(_remove_member(self._session, node_id, timeout))

    async def transfer_leadership(self, node_id: str = "", *, timeout: float | None = None) -> str:
        """Has another node lead; see `namestore.NameStore.transfer_leadership`."""
        return await self._driver.run(_transfer(self._session, node_id, timeout))
