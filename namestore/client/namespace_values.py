"""Namespaces and their policies as applications see them.

Not responsible for what a policy means, see `namestore.policy`, nor for how it travels, see
`namestore.rpc.policies`. Invariant: as in `values`, a field the server did not set is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from namestore.core.policies import Policy
from namestore.rpc.policies import fill_policy, policy_of
from namestore.v1 import namespaces_pb2 as pb


class ConflictKind(Enum):
    """How a name and a policy disagree. `OTHER`: a kind that this version does not know."""

    INVALID = "INVALID"
    MOVED = "MOVED"
    EQUAL = "EQUAL"
    LOOK_ALIKE = "LOOK_ALIKE"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class PolicyConflict:
    """A name that could not stay as it is.

    Attributes:
        name: Canonical, namespace included.
        other: Another name, or the form that this one would have; empty for an invalid one.
        message: A sentence for people; may change.
    """

    kind: ConflictKind
    name: str
    other: str
    message: str


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """Where a namespace stands.

    Attributes:
        policy_version: The revision under which the policy in force was put; 0: there is none.
        policy: In force; None: there is none.
        pending_version: Of a policy that is being carried over the names that exist; 0: none.
        pending_policy: That one; None: there is none.
        pending_through: Every name up to this one was looked at for it; None: none yet.
    """

    name: str
    policy_version: int
    policy: Policy | None
    pending_version: int
    pending_policy: Policy | None
    pending_through: str | None


@dataclass(frozen=True, slots=True)
class PutResult:
    """The answer to a policy. True if the policy is in force, or pending.

    Attributes:
        accepted: False: names are in the way, and nothing was changed.
        namespace: How it stands now.
        conflicts: At most 100 of them.
        conflict_count: How many there are.
        request_id: Under which the request can be sent again.
    """

    accepted: bool
    namespace: NamespaceState
    conflicts: tuple[PolicyConflict, ...]
    conflict_count: int
    request_id: bytes

    def __bool__(self) -> bool:
        return self.accepted


def policy_message(policy: Policy) -> pb.Policy:
    """The policy as the wire has it."""
    message = pb.Policy()
    fill_policy(message, policy)
    return message


def namespace_from(message: pb.Namespace) -> NamespaceState:
    """The namespace as an application sees it."""
    pending = message.HasField("pending_policy")
    return NamespaceState(
        name=message.name,
        policy_version=message.policy_version,
        policy=policy_of(message.policy) if message.HasField("policy") else None,
        pending_version=message.pending_version,
        pending_policy=policy_of(message.pending_policy) if pending else None,
        pending_through=message.pending_through or None,
    )


def put_result_from(message: pb.PutNamespaceResponse, request_id: bytes) -> PutResult:
    """The answer to a policy under `request_id`."""
    return PutResult(
        accepted=message.accepted,
        namespace=namespace_from(message.namespace),
        conflicts=tuple(_conflict(conflict) for conflict in message.conflicts),
        conflict_count=message.conflict_count,
        request_id=request_id,
    )


def _conflict(message: pb.PolicyConflict) -> PolicyConflict:
    kind = _KINDS.get(message.kind, ConflictKind.OTHER)
    return PolicyConflict(kind, message.name, message.other, message.message)


_KINDS = {
    pb.PolicyConflict.INVALID: ConflictKind.INVALID,
    pb.PolicyConflict.MOVED: ConflictKind.MOVED,
    pb.PolicyConflict.EQUAL: ConflictKind.EQUAL,
    pb.PolicyConflict.LOOK_ALIKE: ConflictKind.LOOK_ALIKE,
}
