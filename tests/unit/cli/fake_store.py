"""A registry in a dictionary, with the face that the command line calls, and time that stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from namestore.cli.options import Target
from namestore.client.histories import Holding, NameHistory
from namestore.client.namespace_values import NamespaceState, PolicyConflict, PutResult
from namestore.client.values import (
    EndpointStatus,
    LookupResult,
    MemberState,
    NameEvent,
    NameRecord,
    NewName,
    NodeRole,
    NodeStatus,
    Refusal,
    RegisterResult,
    RenameResult,
)
from namestore.core.names import canonical_name
from namestore.errors import NameNotFound, NamestoreError, NameTaken, NotOwner, StaleFence
from namestore.policy import Policy

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


class FakeStore:
    """What is registered is kept; `before` is called with every call's name and may raise.

    Attributes:
        targets: What it was opened for.
        batches: The names of each `register_many`, as they were sent.
        events: What a `watch` tells; then it ends with `feed_end`.
        watched: Prefix, first revision and whether it was squashed, of each `watch`.
        request_ids: Of each `register`, `release` and other change.
        refusals: What a `register` of that name is answered.
    """

    def __init__(self) -> None:
        self.records: dict[str, NameRecord] = {}
        self.revision = 0
        self.before: Callable[[str, Any], None] = lambda method, asked: None
        self.after: Callable[[str, Any], None] = lambda method, asked: None
        self.refusals: dict[str, RegisterResult] = {}
        self.redirects: dict[str, str] = {}
        self.holdings: dict[str, tuple[Holding, ...]] = {}
        self.namespaces: dict[str, NamespaceState] = {}
        self.conflicts: tuple[PolicyConflict, ...] = ()
        self.statuses: list[EndpointStatus] = [status_of("n1", NodeRole.LEADER)]
        self.members = [member_of("n1"), member_of("n2"), member_of("n3")]
        self.events: list[NameEvent] = []
        self.watched: list[tuple[str, int, bool]] = []
        self.feed_end: BaseException = KeyboardInterrupt()
        self.targets: list[Target] = []
        self.timeouts: list[float] = []
        self.batches: list[list[str]] = []
        self.request_ids: list[bytes | None] = []
        self.closed = False
        self._lock = threading.Lock()

    def open(self, target: Target, timeout: float) -> FakeStore:
        self.targets.append(target)
        self.timeouts.append(timeout)
        return self

    def holds(
        self,
        name: str,
        owner: str = "",
        payload: bytes = b"",
        ttl: float | timedelta | None = None,
    ) -> NameRecord:
        """Registers a name beforehand."""
        canonical = canonical_name(name)
        self.revision += 1
        self.records[canonical] = NameRecord(
            name=canonical,
            display_name=name,
            owner=owner,
            payload=payload,
            create_revision=self.revision,
            mod_revision=self.revision,
            create_time=EPOCH + timedelta(seconds=self.revision),
            expire_time=None if ttl is None else EPOCH + _lasting(ttl),
        )
        return self.records[canonical]

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
        self.request_ids.append(request_id)
        self.before("register", name)
        result = self._register(name, owner, payload, request_id or b"\x00", ttl)
        self.after("register", name)
        return result

    def register_many(
        self, names: Sequence[NewName], *, timeout: float | None = None
    ) -> list[RegisterResult]:
        with self._lock:
            wanted = [item.name for item in names]
            self.batches.append(wanted)
            self.before("register_many", wanted)
            results = [
                self._register(item.name, item.owner or "", item.payload or b"", b"\x00", item.ttl)
                for item in names
            ]
            self.after("register_many", wanted)
            return results

    def _register(
        self,
        name: str,
        owner: str,
        payload: bytes,
        request_id: bytes,
        ttl: float | timedelta | None,
    ) -> RegisterResult:
        if (refused := self.refusals.get(name)) is not None:
            return replace(refused, name=name, revision=self.revision, request_id=request_id)
        found = self.records.get(canonical_name(name))
        record = found or self.holds(name, owner, payload, ttl)
        refusal = Refusal.TAKEN if found else None
        return RegisterResult(name, found is None, refusal, record, self.revision, request_id)

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
        self.before("register_slug", (prefix, slug, short, attempts))
        name = prefix + (slug or "0123456789abcdef0123456789abcdef01234567"[: 7 if short else 40])
        if found := self.records.get(name):
            raise NameTaken(f"{name} was refused: TAKEN", found, name=name, refusal="TAKEN")
        return self.holds(name, owner)

    def resolve(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> LookupResult:
        self.before("lookup", (name, stale))
        canonical = canonical_name(name)
        redirect = self.records.get(self.redirects.get(canonical, ""))
        return LookupResult(name, self.records.get(canonical), redirect, self.revision)

    def history(
        self, name: str, *, stale: bool = False, timeout: float | None = None
    ) -> NameHistory:
        self.before("history", (name, stale))
        return NameHistory(self.holdings.get(name, ()), self.revision, 2)

    def _held_by(self, name: str, owner: str, fence: int) -> NameRecord:
        found = self.records.get(canonical_name(name))
        if found is None:
            raise NameNotFound(f"nobody holds {name}")
        if found.owner != owner:
            raise NotOwner(f"{name} is held by {found.owner}")
        if fence not in (0, found.create_revision):
            raise StaleFence(f"{name} was registered anew at revision {found.create_revision}")
        self.revision += 1
        return found

    def _changed(self, record: NameRecord, **changes: Any) -> NameRecord:
        changed = replace(record, mod_revision=self.revision, **changes)
        self.records[changed.name] = changed
        return changed

    def confirm(
        self,
        name: str,
        *,
        owner: str = "",
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> NameRecord:
        self.request_ids.append(request_id)
        self.before("confirm", name)
        return self._changed(self._held_by(name, owner, create_revision), expire_time=None)

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
        self.request_ids.append(request_id)
        self.before("update", name)
        found = self._held_by(name, owner, create_revision)
        return self._changed(
            found,
            payload=found.payload if payload is None else payload,
            owner=owner if new_owner is None else new_owner,
        )

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
        identity = request_id or b"\x00"
        self.request_ids.append(request_id)
        self.before("rename", (from_name, to_name))
        if found := self.records.get(canonical_name(to_name)):
            return RenameResult(False, Refusal.TAKEN, found, identity, self.revision)
        old = self._held_by(from_name, owner, create_revision)
        del self.records[old.name]
        self.redirects[old.name] = canonical_name(to_name)
        new = self.holds(to_name, owner, old.payload)
        return RenameResult(True, None, new, identity, self.revision)

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
        self.before("put_namespace", (namespace, expected_version, check_only))
        state = self.get_namespace(namespace)
        if state.policy_version != expected_version:
            raise StaleFence(f"version {state.policy_version} is in force")
        accepted = not self.conflicts
        if accepted and not check_only:
            self.revision += 1
            state = NamespaceState(namespace, self.revision, policy, 0, None, None)
            self.namespaces[namespace] = state
        count = len(self.conflicts)
        return PutResult(accepted, state, self.conflicts[:1], count, request_id or b"\x00")

    def get_namespace(self, namespace: str, *, timeout: float | None = None) -> NamespaceState:
        self.before("get_namespace", namespace)
        nothing = NamespaceState(namespace, 0, None, 0, None, None)
        return self.namespaces.get(namespace, nothing)

    def list_namespaces(self, *, timeout: float | None = None) -> list[NamespaceState]:
        self.before("list_namespaces", None)
        return [self.namespaces[name] for name in sorted(self.namespaces)]

    def release(
        self,
        name: str,
        *,
        owner: str = "",
        create_revision: int = 0,
        request_id: bytes | None = None,
        timeout: float | None = None,
    ) -> int:
        self.request_ids.append(request_id)
        self.before("release", name)
        found = self._held_by(name, owner, create_revision)
        del self.records[found.name]
        return self.revision

    def list(self, prefix: str = "", *, timeout: float | None = None) -> Iterator[NameRecord]:
        self.before("list", -1)
        for position, name in enumerate(sorted(self.records)):
            if name.startswith(prefix):
                self.before("list", position)
                yield self.records[name]

    @contextmanager
    def export(self, prefix: str = "", *, timeout: float | None = None) -> Iterator[FakePicture]:
        """As a node does: what is changed from now on is not seen."""
        self.before("export", -1)
        yield FakePicture(self, prefix)

    def status(self, *, timeout: float | None = None) -> Sequence[EndpointStatus]:
        self.before("status", None)
        return self.statuses

    def add_member(
        self,
        node_id: str,
        raft_address: str,
        grpc_address: str,
        *,
        timeout: float | None = None,
    ) -> list[MemberState]:
        self.before("add_member", (node_id, timeout))
        self.members.append(MemberState(node_id, raft_address, grpc_address, voter=True))
        return self.members

    def remove_member(self, node_id: str, *, timeout: float | None = None) -> list[MemberState]:
        self.before("remove_member", (node_id, timeout))
        self.members = [member for member in self.members if member.node_id != node_id]
        return self.members

    def transfer_leadership(self, node_id: str = "", *, timeout: float | None = None) -> str:
        self.before("transfer_leadership", (node_id, timeout))
        return node_id or "n2"

    def watch(
        self,
        prefix: str = "",
        *,
        from_revision: int = 0,
        squash: bool = False,
        timeout: float | None = None,
    ) -> FakeFeed:
        self.before("watch", (prefix, timeout))
        self.watched.append((prefix, from_revision, squash))
        return FakeFeed(self)

    def close(self) -> None:
        self.closed = True


class FakeFeed:
    """Tells the store's events, and ends as the store says."""

    def __init__(self, store: FakeStore) -> None:
        self.revision = 40
        self.closed = False
        self._store = store

    def __iter__(self) -> Iterator[NameEvent]:
        for event in self._store.events:
            self.revision = event.revision
            yield event
        raise self._store.feed_end

    def __enter__(self) -> FakeFeed:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


class FakePicture:
    """What was held when it was made."""

    def __init__(self, store: FakeStore, prefix: str) -> None:
        self.revision = store.revision
        self.records = [store.records[n] for n in sorted(store.records) if n.startswith(prefix)]
        self._before = store.before

    def __iter__(self) -> Iterator[NameRecord]:
        for position, record in enumerate(self.records):
            self._before("export", position)
            yield record


def _lasting(ttl: float | timedelta) -> timedelta:
    return ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)


def member_of(node_id: str, *, voter: bool = True) -> MemberState:
    """A member at addresses that are made of its id."""
    number = node_id[1:]
    return MemberState(node_id, f"127.0.0.1:720{number}", f"127.0.0.1:710{number}", voter)


def status_of(
    node_id: str, role: NodeRole, *, applied: int = 20, has_quorum: bool = True
) -> EndpointStatus:
    """What a healthy node, or one without a majority, says of itself."""
    node = NodeStatus(
        node_id=node_id,
        cluster_name="test",
        role=role,
        leader_id="n1" if has_quorum else "",
        leader_grpc_address="127.0.0.1:7101" if has_quorum else "",
        term=3,
        commit_index=applied,
        applied_index=applied,
        revision=applied - 3,
        name_count=11,
        response_time_ms_mean=1.25,
        error_rate=0.005,
        region="eu",
        uptime=timedelta(seconds=90),
        has_quorum=has_quorum,
        last_heartbeat=EPOCH,
        version="0.1.0",
        peers=(),
        members=(),
    )
    return EndpointStatus(f"127.0.0.1:710{node_id[1:]}", node, None)


def endpoint_error(endpoint: str, error: NamestoreError) -> EndpointStatus:
    """An endpoint that gave no status."""
    return EndpointStatus(endpoint, None, error)


class InlineExecutor(Executor):
    """Runs each call where and when it is submitted: no thread, always the same order."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - the future hands it on, as executors do
            future.set_exception(error)
        return future


class ReversingExecutor(Executor):
    """Runs nothing until a result is asked for, and then the newest call first."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = _Asked(self)
        self.waiting.append(lambda: future.set_result(fn(*args, **kwargs)))
        return future

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop()()


class _Asked(Future[Any]):
    def __init__(self, executor: ReversingExecutor) -> None:
        super().__init__()
        self._executor = executor

    def result(self, timeout: float | None = None) -> Any:
        self._executor.run()
        return super().result(0)
