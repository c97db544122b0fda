"""What the calls of `Namespaces` mean on a node, free of gRPC.

A new policy is judged here against every name of its namespace, at one revision, before it is
proposed; what was registered since the core notices when the policy is carried out. Which steps
that takes is `carrying`; the leader's housekeeping takes them as well, should this node stop.

Invariant: a policy that names of this picture could not be kept under is never proposed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from namestore.core.commands import PutNamespace, encode_command
from namestore.core.namespaces import NamespaceState, judges_alike, read_policy
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.reading import decided_before, namespace_state, namespaces, records
from namestore.errors import (
    ChangeUnderWay,
    InvalidRequest,
    InvariantViolation,
    OutcomeUnknown,
    Overloaded,
    StaleFence,
    Unavailable,
)
from namestore.logs import get_logger
from namestore.policy import Finding, check_held
from namestore.rpc import policies
from namestore.server import carrying
from namestore.server.judges import judge_of
from namestore.storage.interfaces import StateView
from namestore.v1 import namespaces_pb2 as pb

T = TypeVar("T")

_log = get_logger(__name__)

CONFLICTS_LISTED_MAX = 100
_CARRYING_SHARE = 0.9


class Desk(carrying.Carriers, Protocol):
    """What these calls need of a gateway."""

    def calls(self, count: int = 1) -> AbstractContextManager[None]:
        """Around a call."""
        ...


@dataclass(slots=True)
class _Check:
    """What was found before a policy is proposed.

    Attributes:
        space: How the namespace stands.
        before: What the same request was told, if it was decided.
        findings: The first of those names that could not stay.
        count: How many there are.
        dropped: It was pending, and is not any more.
    """

    space: NamespaceState
    before: Outcome | None = None
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    dropped: bool = False

    def add(self, finding: Finding) -> None:
        """One more name that could not stay."""
        self.count += 1
        if len(self.findings) < CONFLICTS_LISTED_MAX:
            self.findings.append(finding)


class Namespaces:
    """`PutNamespace`, `GetNamespace` and `ListNamespaces`, on one node.

    Args:
        desk: The gateway.
        clock: Monotonic seconds.
    """

    def __init__(self, desk: Desk, clock: Callable[[], float]) -> None:
        self._desk = desk
        self._clock = clock

    async def get(self, request: pb.GetNamespaceRequest, timeout: float) -> pb.GetNamespaceResponse:
        """Where a namespace stands."""
        with self._desk.calls():
            name = policies.namespace_name(request.name, "name")
            space = await self._stands(name, self._clock() + timeout)
            response = pb.GetNamespaceResponse()
            policies.fill_namespace(response.namespace, name, space)
            return response

    async def list(
        self, request: pb.ListNamespacesRequest, timeout: float
    ) -> pb.ListNamespacesResponse:
        """Every namespace that has a policy."""
        del request  # nothing is asked
        with self._desk.calls():
            found = await self._read(namespaces, self._clock() + timeout)
            response = pb.ListNamespacesResponse()
            for name, space in found.items():
                policies.fill_namespace(response.namespaces.add(), name, space)
            return response

    async def put(self, request: pb.PutNamespaceRequest, timeout: float) -> pb.PutNamespaceResponse:
        """Gives a namespace a policy; answers when it is in force, refused, or time is up."""
        with self._desk.calls():
            command = policies.put_command(request)
            deadline = self._clock() + timeout
            await asyncio.to_thread(judge_of, command.policy)  # it may be no policy after all
            check = await self._read(partial(self._check, command, deadline), deadline)
            if check.before is None:
                _refuse_what_changed(check.space, command)
                if check.count or request.check_only:
                    return _answer(command.namespace, check)
            version = await self._propose(command, deadline)
            try:
                return await self._carried(command, version, deadline)
            except Unavailable as error:
                # Only how it stands could not be read: the policy itself was taken.
                raise OutcomeUnknown(
                    f"the policy was taken, and what became of it is not known ({error.message}); "
                    "GetNamespace tells, or the same request asked again"
                ) from error

    # -- within -----------------------------------------------------------------------------

    async def _propose(self, command: PutNamespace, deadline: float) -> int:
        """Proposes a policy; returns the version that is to be carried out, 0: none is."""
        timeout = deadline - self._clock()
        decisions = await self._desk.decide([encode_command(command)], 1, timeout)
        outcome = decisions[0][0]
        match outcome.verdict:
            case Verdict.POLICY_ACTIVE:
                return 0
            case Verdict.POLICY_PENDING:
                return outcome.revision
            case Verdict.STALE_FENCE:
                raise _stale(0)
            case Verdict.POLICY_BUSY:
                raise _busy()
            case Verdict.REQUEST_ID_REUSED:
                raise InvalidRequest(
                    "request_id was used for a different request before", field="request_id"
                )
            case verdict:
                raise InvariantViolation(f"a policy was decided as {verdict.name}")

    async def _carried(
        self, command: PutNamespace, version: int, deadline: float
    ) -> pb.PutNamespaceResponse:
        """The answer to a policy that was taken, once it is in force or time is up."""
        namespace, finding = command.namespace, None
        if version:
            # What is left is for the answer, which says how far it is.
            patience = (deadline - self._clock()) * _CARRYING_SHARE
            try:
                finding = await carrying.carry(
                    self._desk, namespace, version, patience, self._clock
                )
            except (OutcomeUnknown, Unavailable):
                _log.info("policy.left", namespace=namespace, version=version)
        space = await self._stands(namespace, deadline)
        check = _Check(space)
        if finding is not None:
            check.add(finding)
        elif version not in (0, space.pending_version) and space.version < version:
            # Dropped by somebody else: what stood in its way is still there, as a rule.
            await self._read(partial(self._look_at_names, command, deadline, check), deadline)
            check.dropped = True
        return _answer(namespace, check)

    def _check(self, command: PutNamespace, deadline: float, view: StateView) -> _Check:
        """What this picture says of the policy. In a thread; stops at the deadline."""
        check = _Check(namespace_state(view, command.namespace))
        before = decided_before(view, command)
        if before is not None:
            check.before = before[0]
        elif check.space.version == command.expected_version and not check.space.pending_version:
            self._look_at_names(command, deadline, check, view)
        return check

    def _look_at_names(
        self, command: PutNamespace, deadline: float, check: _Check, view: StateView
    ) -> None:
        policy = read_policy(command.policy)
        if judges_alike(check.space.in_force, policy):
            return
        held = self._held(view, command.namespace, deadline)
        for finding in check_held(carrying.judged_without_words(policy), held):
            check.add(finding)

    def _held(self, view: StateView, namespace: str, deadline: float) -> Iterator[tuple[str, str]]:
        """The canonical label, and the one that is shown, of each name of a namespace."""
        for record in records(view, f"{namespace}:"):
            if self._clock() >= deadline:
                raise Overloaded("the names could not be looked at in time; allow more")
            yield record.name.partition(":")[2], record.display_name.partition(":")[2]

    async def _stands(self, namespace: str, deadline: float) -> NamespaceState:
        return await self._read(lambda view: namespace_state(view, namespace), deadline)

    async def _read(self, read: Callable[[StateView], T], deadline: float) -> T:
        await self._desk.catch_up(max(0.0, deadline - self._clock()))
        return await self._desk.read_aside(read, deadline)


def _refuse_what_changed(space: NamespaceState, command: PutNamespace) -> None:
    """Another policy than the caller thinks is in force, or on its way."""
    if space.version != command.expected_version:
        raise _stale(space.version)
    if space.pending_version and space.pending != command.policy:
        raise _busy()


def _stale(version: int) -> StaleFence:
    metadata = {"policy_version": str(version)} if version else {}
    return StaleFence("another policy is in force than the one to be replaced", **metadata)


def _busy() -> ChangeUnderWay:
    return ChangeUnderWay("another policy of the namespace is being put in force; ask again later")


def _answer(namespace: str, check: _Check) -> pb.PutNamespaceResponse:
    accepted = not check.count and not check.dropped
    response = pb.PutNamespaceResponse(accepted=accepted, conflict_count=check.count)
    policies.fill_namespace(response.namespace, namespace, check.space)
    for finding in check.findings:
        response.conflicts.append(policies.conflict_message(namespace, finding))
    return response
