"""The one exception tree of namestore.

The first split answers what a caller needs to know first: *did it happen?*

    NamestoreError
    ├── InvalidRequest          never applied; change the request
    │   └── InvalidName
    ├── Refused                 never applied; the registry's state does not allow it
    │   ├── NameNotFound
    │   ├── NotOwner
    │   ├── StaleFence
    │   ├── OwnerLimit          the new owner has as many names there as may be
    │   ├── RevisionCompacted
    │   ├── ChangeUnderWay      one change of the cluster, or of a policy, at a time
    │   ├── NameTaken           (client) the slug or reservation asked for was not granted
    │   ├── ReservationExpired  (client) it ended before it was confirmed
    │   └── SlugsExhausted      (client) every attempt met a name that was taken
    ├── AccessDenied            never applied; who you are, or what you may do
    │   ├── Unauthenticated
    │   └── PermissionDenied
    ├── NotImplementedYet       never applied; declared, but served by a later version
    ├── Unavailable             certainly not applied; retry
    │   ├── NoQuorum
    │   ├── NoLeader
    │   ├── Overloaded          back off first
    │   ├── ShuttingDown        retry at another node
    │   └── Unreachable         (client) no endpoint could be reached at all
    ├── OutcomeUnknown          may have been applied; retry with the same request_id
    ├── ClientMisuse            (client) closed, used after a fork, or from a foreign event loop
    ├── ConfigError             a configuration that cannot work; names key, value and remedy
    ├── StorageError            a data directory that cannot be used as it is
    │   ├── DirectoryInUse
    │   ├── DiskDamaged         checksum, gap, foreign or newer store; names file and remedy
    │   └── DiskFailed          a write or sync failed; the process must stop
    ├── MemberRemoved           this node was removed from its cluster; the process stops
    └── InvariantViolation      a promise of the design is broken; the process must stop

`REASON` is the `reason` of the google.rpc.ErrorInfo that carries the error over the wire; the
table that pairs it with a gRPC status code is `namestore.rpc.status`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class NamestoreError(Exception):
    """Root of everything namestore raises on purpose.

    Attributes:
        message: For people; its text may change between versions.
        metadata: What a program may read: `field`, `oldest_revision`, … as strings.
    """

    REASON: ClassVar[str] = ""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = metadata


class InvalidRequest(NamestoreError):
    """The request can never succeed as it is. `metadata["field"]` says which field."""

    REASON = "INVALID_ARGUMENT"


class InvalidName(InvalidRequest):
    """A name that no registry would take."""

    REASON = "INVALID_NAME"


class Refused(NamestoreError):
    """The registry decided, and the answer is no."""


class NameNotFound(Refused):
    """Nobody holds the name."""

    REASON = "NAME_NOT_FOUND"


class NotOwner(Refused):
    """Somebody else holds the name."""

    REASON = "NOT_OWNER"


class StaleFence(Refused):
    """The name was registered anew since the caller's `create_revision`.

    Of a namespace: another policy is in force than the one that was to be replaced.
    """

    REASON = "STALE_FENCE"


class OwnerLimit(Refused):
    """The new owner has as many names in the namespace as its policy allows."""

    REASON = "OWNER_LIMIT"


class RevisionCompacted(Refused):
    """The feed no longer reaches back that far; see `metadata["oldest_revision"]`."""

    REASON = "REVISION_COMPACTED"


class NameTaken(Refused):
    """A chosen slug or a reservation was not granted; `metadata["refusal"]` says why, as TAKEN.

    Attributes:
        record: The `namestore.client.values.NameRecord` in the way, or None.
    """

    def __init__(self, message: str, record: Any = None, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.record = record


class ReservationExpired(Refused):
    """A reservation ended before it was confirmed: its name may be somebody else's by now.

    Attributes:
        record: The `namestore.client.values.NameRecord` of the reservation that ended.
    """

    def __init__(self, message: str, record: Any = None, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.record = record


class ChangeUnderWay(Refused):
    """Another change of the cluster, or of a namespace's policy, is not finished yet."""

    REASON = "CHANGE_UNDER_WAY"


class SlugsExhausted(Refused):
    """Every slug that was tried is taken."""


class AccessDenied(NamestoreError):
    """The caller may not do this."""


class Unauthenticated(AccessDenied):
    """The caller did not prove who it is."""

    REASON = "UNAUTHENTICATED"


class PermissionDenied(AccessDenied):
    """The caller is known, and may not do this."""

    REASON = "PERMISSION_DENIED"


class NotImplementedYet(NamestoreError):
    """The call is declared, and a later version will serve it."""

    REASON = "NOT_IMPLEMENTED"


class Unavailable(NamestoreError):
    """Certainly not applied: retry, with or without the same request_id."""


class NoQuorum(Unavailable):
    """The node reaches no majority of the cluster."""

    REASON = "NO_QUORUM"


class NoLeader(Unavailable):
    """The node reaches a majority, but no leader was found in time."""

    REASON = "NO_LEADER"


class Overloaded(Unavailable):
    """More is waiting than the node lets wait: back off, then retry."""

    REASON = "OVERLOADED"


class ShuttingDown(Unavailable):
    """The node is about to stop and takes no more calls: retry at another one."""

    REASON = "SHUTTING_DOWN"


class Unreachable(Unavailable):
    """No endpoint could be connected to before the request was sent to any."""


class OutcomeUnknown(NamestoreError):
    """The request may have been applied, or may still be: retry with the same request_id."""

    REASON = "OUTCOME_UNKNOWN"

    @property
    def request_id(self) -> bytes | None:
        """Of the request whose outcome is unknown, where a client raised it: to send it again."""
        text = self.metadata.get("request_id")
        return bytes.fromhex(text) if text else None


class ClientMisuse(NamestoreError):
    """The client object cannot be used here; the message says why and what to do."""


class ConfigError(NamestoreError):
    """A configuration that cannot work. The message names the key, its value and the remedy."""


class StorageError(NamestoreError):
    """A data directory that cannot be used as it is."""


class DirectoryInUse(StorageError):
    """Another process has the data directory open."""


class DiskDamaged(StorageError):
    """What is on the disk cannot be trusted. The message names file, finding and remedy."""


class DiskFailed(StorageError):
    """A write or a sync failed. Never retried as if nothing had been lost: the process stops."""


class InvariantViolation(NamestoreError):
    """A promise of the design is broken: going on could give a name away twice."""


class MemberRemoved(NamestoreError):
    """This node was removed from its cluster: it has nothing left to do here."""
