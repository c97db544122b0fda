"""Where a namespace stands with its policies, and its bytes in the state store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from namestore.core.packing import check_types, pack, unpack_fields
from namestore.core.policies import Policy, decode_policy
from namestore.errors import InvariantViolation

NAMESPACE_FORMAT = 1

_TYPES = (int, int, bytes, int, bytes, str)
_NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """The policy in force, and the one that is being carried over the names that exist.

    Attributes:
        version: The revision under which the policy in force was put; 0: there is none.
        policy: Encoded; empty: there is none.
        pending_version: The revision under which the pending policy was put; 0: there is none.
        pending: Encoded; empty: there is none.
        cursor: Every name up to this one was judged under the pending policy, its keys are in
            the index, and it is counted if that policy counts. Empty: none was looked at.
    """

    version: int = 0
    policy: bytes = b""
    pending_version: int = 0
    pending: bytes = b""
    cursor: str = ""

    @property
    def in_force(self) -> Policy:
        """The policy in force; `Policy()` if there is none."""
        return read_policy(self.policy) if self.policy else _NO_POLICY

    @property
    def to_come(self) -> Policy | None:
        """The pending policy."""
        return read_policy(self.pending) if self.pending else None

    @property
    def counts(self) -> bool:
        """Names registered now are counted, for the policy in force or for the pending one."""
        to_come = self.to_come
        return bool(self.in_force.names_per_owner_max or (to_come and to_come.names_per_owner_max))

    @property
    def judges(self) -> bool:
        """It has a policy, or a pending one."""
        return self.version > 0 or self.pending_version > 0

    @property
    def demanded(self) -> tuple[int, ...]:
        """The versions of the policies under which a name must have been judged."""
        return tuple(version for version in (self.version, self.pending_version) if version)


@lru_cache(maxsize=256)
def read_policy(data: bytes) -> Policy:
    """`decode_policy`, remembered: policies are read for every name and hardly ever change."""
    return decode_policy(data)


def encode_namespace(space: NamespaceState) -> bytes:
    """The bytes of a namespace's standing."""
    return pack(
        (
            NAMESPACE_FORMAT,
            space.version,
            space.policy,
            space.pending_version,
            space.pending,
            space.cursor,
        )
    )


def decode_namespace(data: bytes) -> NamespaceState:
    """The reverse of `encode_namespace`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a namespace")
    if fields[0] != NAMESPACE_FORMAT:
        raise InvariantViolation(f"namespace format {fields[0]} is not known here")
    check_types(fields, _TYPES, "a namespace")
    return NamespaceState(*fields[1:])


def namespace_of(name: str) -> str:
    """What stands before the first colon of a canonical name."""
    return name.partition(":")[0]


def judges_alike(one: Policy, other: Policy) -> bool:
    """Names that are valid and unique under one are so under the other, with the same keys.

    What differs concerns the life of names only: then no name has to be looked at.
    """
    return _judging(one) == _judging(other)


def _judging(policy: Policy) -> tuple[object, ...]:
    return (
        policy.profile,
        policy.length_min,
        policy.length_max,
        policy.squeeze,
        policy.look_alikes,
        policy.email_tag_domains,
        policy.email_dotless_domains,
        policy.names_per_owner_max > 0,
    )
