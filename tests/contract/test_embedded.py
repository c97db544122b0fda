"""The embedded registry: the same client over a node in this process and a directory on disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from namestore import NameStore, embedded, errors
from namestore.client.endpoints import Endpoints
from namestore.client.inprocess import InProcessNetwork
from namestore.client.session import Session
from namestore.v1.cluster_pb2 import StatusResponse


def test_names_are_granted_once_and_survive_reopening(tmp_path: Path) -> None:
    """What was granted before a close is held after the next open."""
    with embedded.open(tmp_path / "names") as store:
        first = store.register("user:alice", "me", b"payload")
        assert first
        assert not store.register("user:alice", "you")
        assert store.register("user:alice", "me", b"payload", request_id=first.request_id)
    with embedded.open(tmp_path / "names") as store:
        record = store.lookup("user:alice")
        assert record == first.record
        assert not store.register("user:alice", "you")
        assert store.release("user:alice", "me") > first.revision
        assert store.register("user:alice", "you")


def test_the_calls_of_the_interface_work(tmp_path: Path) -> None:
    """Batches, pages, slugs and status: the same interface as over a cluster."""
    with embedded.open(tmp_path) as store:
        names = [f"user:{n:04}" for n in range(1200)]
        assert all(store.register_many(names, "me", timeout=60))
        assert [record.name for record in store.list("user:")] == names
        found = store.lookup_many([names[0], "user:free"])
        assert [record is not None for record in found] == [True, False]
        assert store.register_slug("post:", short=True).name.startswith("post:")
        with pytest.raises(errors.NameTaken):
            store.register_slug("user:", slug="0000")
        (entry,) = store.status()
        assert entry.node is not None
        assert entry.node.name_count == 1201
        assert store.confirm(names[0], "me").name == names[0]


def test_an_embedded_registry_has_no_members_to_change(tmp_path: Path) -> None:
    """It says why, and not that a newer server would help."""
    with embedded.open(tmp_path) as store:
        for order in (
            lambda: store.add_member("n4", "127.0.0.1:7204", "127.0.0.1:7104"),
            lambda: store.remove_member("n4"),
            lambda: store.transfer_leadership(),
        ):
            with pytest.raises(errors.InvalidRequest, match="one node by itself"):
                order()
        assert len(store.members()) == 1


def test_a_race_in_one_process_has_one_winner(tmp_path: Path) -> None:
    """Many threads ask for one name, and one is granted it."""
    with embedded.open(tmp_path) as store, ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda _: store.register("user:alice", timeout=60), range(32)))
    assert sum(map(bool, results)) == 1


def test_the_async_flavour_serves_the_same_directory(tmp_path: Path) -> None:
    """`open_async` gives the asyncio client; concurrent calls are all answered."""

    async def use() -> list[bool]:
        async with await embedded.open_async(tmp_path) as store:
            calls = (store.register(f"user:{n % 10}", timeout=60) for n in range(40))
            return [bool(result) for result in await asyncio.gather(*calls)]

    assert sum(asyncio.run(use())) == 10
    with embedded.open(tmp_path) as store:
        assert "user:9" in store


def test_a_directory_serves_one_process_at_a_time(tmp_path: Path) -> None:
    """A second process is refused, clearly, and the first goes on; so is a second client here."""
    program = textwrap.dedent(
        """
        import sys
        from namestore import embedded, errors
        try:
            embedded.open(sys.argv[1])
        except errors.DirectoryInUse as error:
            print(error)
        """
    )
    with embedded.open(tmp_path) as store:
        done = _python(program, tmp_path)
        assert f"{tmp_path}: process" in done.stdout, done.stderr
        with pytest.raises(errors.DirectoryInUse):
            embedded.open(tmp_path)
        assert store.register("user:alice")


def test_a_registry_left_open_is_closed_at_the_end_of_the_process(tmp_path: Path) -> None:
    """Forgetting to close costs nothing: the process ends, and the next one opens it."""
    program = textwrap.dedent(
        """
        import sys
        from namestore import embedded
        store = embedded.open(sys.argv[1])
        assert store.register("user:alice")
        """
    )
    done = _python(program, tmp_path)
    assert done.returncode == 0, done.stderr
    with embedded.open(tmp_path) as store:
        assert "user:alice" in store


def test_a_directory_that_cannot_be_used_is_a_storage_error(tmp_path: Path) -> None:
    """A file where the directory should be is said to be one, and nothing is left running."""
    (tmp_path / "file").write_text("x")
    before = threading.active_count()
    with pytest.raises(errors.StorageError, match="file"):
        embedded.open(tmp_path / "file")
    assert threading.active_count() == before


def test_a_directory_of_other_files_is_left_alone(tmp_path: Path) -> None:
    """It is no registry, and nothing is put there."""
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(errors.StorageError, match=r"thesis\.tex; name an empty"):
        embedded.open(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_path_is_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not mean the working directory."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.InvalidRequest, match="path is empty"):
        embedded.open("")
    with pytest.raises(errors.InvalidRequest, match="path is empty"):
        asyncio.run(embedded.open_async(""))
    assert list(tmp_path.iterdir()) == []


class _Gateway:
    """Answers its status; everything else waits, or breaks, as told."""

    def __init__(self) -> None:
        self.waiting = threading.Event()

    async def status(self, request: Any, timeout: float) -> StatusResponse:
        del request, timeout
        return StatusResponse(node_id="embedded", cluster_name="embedded", leader_id="embedded")

    async def register(self, request: Any, timeout: float) -> Any:
        del request, timeout
        self.waiting.set()
        await asyncio.Event().wait()

    async def release(self, request: Any, timeout: float) -> Any:
        del request, timeout
        raise RuntimeError("broken")


class _Closings:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def gateway() -> _Gateway:
    return _Gateway()


@pytest.fixture
def closings() -> _Closings:
    return _Closings()


@pytest.fixture
def network(gateway: _Gateway, closings: _Closings) -> Iterator[InProcessNetwork]:
    made = InProcessNetwork(gateway, closings)
    yield made
    made.close()


@pytest.fixture
def store(network: InProcessNetwork) -> NameStore:
    return NameStore.over(network, Session(Endpoints(("embedded",), Random(0)), 5.0))


def test_closing_leaves_a_waiting_write_unknown(
    store: NameStore, gateway: _Gateway, closings: _Closings
) -> None:
    """A write under way when the registry closes may have been applied; the node stops once."""
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(store.register, "user:alice", timeout=60)
        assert gateway.waiting.wait(30)
        store.close()
        with pytest.raises(errors.OutcomeUnknown):
            call.result(30)
    store.close()
    assert closings.count == 1


def test_a_stuck_gateway_does_not_hold_its_caller(store: NameStore) -> None:
    """A call ends soon after its timeout even if the node never answers."""
    with pytest.raises(errors.OutcomeUnknown):
        store.register("user:alice", timeout=0.05)


def test_a_fault_of_the_node_leaves_a_write_unknown(store: NameStore) -> None:
    """An exception nobody foresaw says nothing about the write; it stays attached."""
    with pytest.raises(errors.OutcomeUnknown, match="broken"):
        store.release("user:alice", timeout=0.1)


def test_a_node_that_stopped_says_why(store: NameStore, network: InProcessNetwork) -> None:
    """After the disk failed every call hears of it."""
    network.fail(errors.DiskFailed("the disk is full"))
    with pytest.raises(errors.DiskFailed, match="the disk is full"):
        store.lookup("user:alice")


def _python(program: str, *args: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
