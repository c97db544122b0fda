"""What namespaces demand of their names: the calls, for both faces of the client.

They hold no logic but what a request and its answer look like; see `session` for retries.
"""

from __future__ import annotations

from namestore.client import methods
from namestore.client.membership import AsyncMembership, BlockingMembership
from namestore.client.namespace_values import (
    NamespaceState,
    PutResult,
    namespace_from,
    policy_message,
    put_result_from,
)
from namestore.client.network import Operation
from namestore.client.requests import checked_owner, checked_revision, drawn_request_id
from namestore.client.session import Session, call
from namestore.core.policies import Policy
from namestore.errors import InvalidRequest
from namestore.v1 import namespaces_pb2 as pb

# Seconds that a policy may take to come into force, unless the caller says otherwise.
PUT_SECONDS = 60.0


def _put(
    session: Session,
    namespace: str,
    policy: Policy,
    expected_version: int,
    check_only: bool,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[PutResult]:
    if not isinstance(policy, Policy):
        raise InvalidRequest(
            f"policy is {type(policy).__name__}; give a namestore.policy.Policy", field="policy"
        )
    identity = drawn_request_id(request_id)
    request = pb.PutNamespaceRequest(
        namespace=pb.Namespace(name=_checked(namespace), policy=policy_message(policy)),
        request_id=identity,
        expected_version=checked_revision(expected_version, "expected_version"),
        check_only=check_only,
    )
    seconds = session.seconds(PUT_SECONDS if timeout is None else timeout)
    response = yield from call(session, methods.PUT_NAMESPACE, request, seconds)
    return put_result_from(response, identity)


def _get(session: Session, namespace: str, timeout: float | None) -> Operation[NamespaceState]:
    request = pb.GetNamespaceRequest(name=_checked(namespace))
    response = yield from call(session, methods.GET_NAMESPACE, request, session.seconds(timeout))
    return namespace_from(response.namespace)


def _list(session: Session, timeout: float | None) -> Operation[list[NamespaceState]]:
    request = pb.ListNamespacesRequest()
    response = yield from call(session, methods.LIST_NAMESPACES, request, session.seconds(timeout))
    return [namespace_from(namespace) for namespace in response.namespaces]


def _checked(namespace: str) -> str:
    return checked_owner(namespace, "namespace")


class BlockingNamespaces(BlockingMembership):
    """The calls about namespaces, blocking. Used through `namestore.NameStore`."""

    def put_namespace(
        self,
        namespace: str,
        policy: Policy,
        *,
        expected_version: int = 0,
        check_only: bool = False,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Gives a namespace a policy, or another one. False: names that exist are in the way.

        The names are judged first; if some could not stay as they are, nothing is changed and they
        are listed. The answer comes when the policy is in force, or, where there are many names,
        near the end of the time given with `namespace.pending_version` set: the cluster goes on by
        itself, and `get_namespace` tells how far it is.

        Args:
            namespace: Its name, without a colon.
            policy: Every field of it; what the earlier policy said is gone.
            expected_version: The `policy_version` that this one replaces; 0: there is none yet.
            check_only: Judge the names, and change nothing.
            request_id: Of an earlier call whose outcome is unknown.
            timeout: Seconds for everything; 60 unless given.

        Raises:
            StaleFence: Another policy is in force than the one expected.
            ChangeUnderWay: Another policy is pending.

        Retry: with the `request_id` of the `OutcomeUnknown`.
        """
        operation = _put(
            self._session, namespace, policy, expected_version, check_only, request_id, timeout
        )
        return self._driver.run(operation)

    def get_namespace(self, namespace: str, *, timeout: float | None = None) -> NamespaceState:
        """Where a namespace stands. One that nobody gave a policy has version 0."""
        return self._driver.run(_get(self._session, namespace, timeout))

    def list_namespaces(self, *, timeout: float | None = None) -> list[NamespaceState]:
        """Every namespace that has a policy, or a pending one, in byte order."""
        return self._driver.run(_list(self._session, timeout))


class AsyncNamespaces(AsyncMembership):
    """The calls about namespaces, awaited. Used through `namestore.aio.NameStore`."""

    async def put_namespace(
        self,
        namespace: str,
        policy: Policy,
        *,
        expected_version: int = 0,
        check_only: bool = False,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Gives a namespace a policy; see `namestore.NameStore.put_namespace`."""
        operation = _put(
            self._session, namespace, policy, expected_version, check_only, request_id, timeout
        )
        return await self._driver.run(operation)

    async def get_namespace(
        self, namespace: str, *, timeout: float | None = None
    ) -> NamespaceState:
        """Where a namespace stands; see `namestore.NameStore.get_namespace`."""
        return await self._driver.run(_get(self._session, namespace, timeout))

    async def list_namespaces(self, *, timeout: float | None = None) -> list[NamespaceState]:
        """Every namespace with a policy; see `namestore.NameStore.list_namespaces`."""
        return await self._driver.run(_list(self._session, timeout))
