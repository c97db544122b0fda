"""The part of `namestore.NameStore` that the commands call.

A seam: the commands know this face only, so that their tests run on a fake. Every method may block
for `timeout` seconds, raises only `NamestoreError`, and may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from namestore.client.histories import NameHistory
from namestore.client.namespace_values import NamespaceState, PutResult
from namestore.client.values import (
    EndpointStatus,
    LookupResult,
    MemberState,
    NameEvent,
    NameRecord,
    NewName,
    RegisterResult,
    RenameResult,
)
from namestore.policy import Policy


class Picture(Protocol):
    """Records in byte order, as all of them were at one revision; iterated once."""

    @property
    def revision(self) -> int:
        """That revision."""
        ...

    def __iter__(self) -> Iterator[NameRecord]:
        """Raises `Unavailable` when it broke off: begin another."""
        ...


class Changes(Protocol):
    """An open feed of changes; see `namestore.client.feeds.Feed`."""

    @property
    def revision(self) -> int:
        """Everything wanted up to this one was handed out."""
        ...

    def __iter__(self) -> Iterator[NameEvent]: ...

    def __enter__(self) -> Changes: ...

    def __exit__(self, *_: object) -> None: ...


class Store(Protocol):
    """A registry, near or far. See `namestore.NameStore` for what each method promises."""

    def register(
        self,
        name: str,
        *,
        owner: str = "",
        payload: bytes = b"",
        ttl: float | None = None,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> RegisterResult:
        """Takes a name if nobody holds it."""
        ...

    def register_many(
        self, names: Sequence[NewName], *, timeout: float | None = None
    ) -> Sequence[RegisterResult]:
        """Takes each of up to 1000 names for itself; one result per name, in order."""
        ...

    def register_slug(
        self,
        prefix: str,
        slug: str | None = None,
        *,
        owner: str = "",
        short: bool = False,
        attempts: int = 16,
        timeout: float | None = None,
    ) -> NameRecord:
        """Takes the given slug, or a generated one."""
        ...

    def resolve(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> LookupResult:
        """Says who holds a name, and where a renamed one went."""
        ...

    def history(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> NameHistory:
        """Says who held a name, from when to when."""
        ...

    def confirm(
        self,
        name: str,
        *,
        owner: str = "",
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        """Makes a reservation permanent."""
        ...

    def update(
        self,
        name: str,
        *,
        owner: str = "",
        payload: bytes | None = None,
        new_owner: str | None = None,
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        """Changes what is given, and leaves the rest."""
        ...

    def rename(
        self,
        from_name: str,
        to_name: str,
        *,
        owner: str = "",
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> RenameResult:
        """Takes one name and gives another back, in one step."""
        ...

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
        """Gives a namespace a policy, unless names are in the way."""
        ...

    def get_namespace(self, namespace: str, *, timeout: float | None = None) -> NamespaceState:
        """Says where a namespace stands."""
        ...

    def list_namespaces(self, *, timeout: float | None = None) -> Sequence[NamespaceState]:
        """The namespaces that have a policy, or a pending one."""
        ...

    def release(
        self,
        name: str,
        *,
        owner: str = "",
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> int:
        """Gives a name back; returns the revision from which on it is free."""
        ...

    def list(self, prefix: str = "", *, timeout: float | None = None) -> Iterator[NameRecord]:
        """The names that begin with `prefix`, in byte order, page by page."""
        ...

    def export(
        self, prefix: str = "", *, timeout: float | None = None
    ) -> AbstractContextManager[Picture]:
        """The names that begin with `prefix`, as they are now."""
        ...

    def watch(
        self,
        prefix: str = "",
        *,
        from_revision: int = 0,
        squash: bool = False,
        timeout: float | None = None,
    ) -> Changes:
        """What changed since a revision, then what changes."""
        ...

    def status(self, *, timeout: float | None = None) -> Sequence[EndpointStatus]:
        """What each endpoint says of itself, in the order in which the endpoints were given."""
        ...

    def add_member(
        self,
        node_id: str,
        raft_address: str,
        grpc_address: str,
        *,
        timeout: float | None = None,
    ) -> Sequence[MemberState]:
        """Has a node join; returns the members once it counts."""
        ...

    def remove_member(self, node_id: str, *, timeout: float | None = None) -> Sequence[MemberState]:
        """Has a node leave; returns the members that are left."""
        ...

    def transfer_leadership(self, node_id: str = "", *, timeout: float | None = None) -> str:
        """Has another node lead; returns its id."""
        ...

    def close(self) -> None:
        """Frees everything."""
        ...
