"""The client over real gRPC, both flavours, against servers that answer from a script."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from namestore import NameStore, aio, errors
from tests.support.servers import (
    ScriptedServer,
    closed_port,
    foreign_grpc_server,
    plain_tcp_server,
    scripted_server,
)

Run = Callable[..., Any]


class _Blocking:
    """Calls one method of a blocking client made for it."""

    def __call__(self, endpoints: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        with NameStore(endpoints) as store:
            returned = getattr(store, method)(*args, **kwargs)
            return list(returned) if isinstance(returned, Iterator) else returned


class _Asyncio:
    """The same with an asyncio client, on a loop made for it."""

    def __call__(self, endpoints: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        async def use() -> Any:
            async with aio.NameStore(endpoints) as store:
                returned = getattr(store, method)(*args, **kwargs)
                if hasattr(returned, "__aiter__"):
                    return [item async for item in returned]
                return await returned

        return asyncio.run(use())


@pytest.fixture(params=(_Blocking(), _Asyncio()), ids=("blocking", "asyncio"))
def run(request: pytest.FixtureRequest) -> Run:
    flavour: Run = request.param
    return flavour


@pytest.fixture
def servers() -> Iterator[list[ScriptedServer]]:
    """Three nodes, of which the first leads."""
    with ExitStack() as stack:
        yield [stack.enter_context(scripted_server(node_id=f"n{n}")) for n in (1, 2, 3)]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as made:
        yield made


def test_register_and_lookup_reach_a_server(run: Run, server: ScriptedServer) -> None:
    """The plain case: granted, then taken, then found."""
    assert run(server.endpoint, "register", "user:alice", "me")
    second = run(server.endpoint, "register", "user:alice", "you")
    assert not second
    assert second.record.owner == "me"
    assert run(server.endpoint, "contains", "user:alice")


def test_an_error_stated_by_the_server_arrives_as_its_class(
    run: Run, server: ScriptedServer
) -> None:
    """Identity is the reason in the details; metadata comes along."""
    server.script = [errors.InvalidName("no such namespace", field="name")]
    with pytest.raises(errors.InvalidName, match="no such namespace") as caught:
        run(server.endpoint, "register", "user:alice")
    assert caught.value.metadata["field"] == "name"
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL))
def test_a_status_without_details_leaves_a_write_unknown(
    run: Run, server: ScriptedServer, code: grpc.StatusCode
) -> None:
    """What a channel or a proxy makes up says nothing about the server: retried, then unknown."""
    server.script = [code] * 1000
    with pytest.raises(errors.OutcomeUnknown) as caught:
        run(server.endpoint, "register", "user:alice", timeout=0.4)
    assert {request.request_id for request in server.seen} == {caught.value.request_id}
    assert len(server.seen) > 1


def test_an_answer_lost_on_the_way_is_found_by_the_retry(run: Run, server: ScriptedServer) -> None:
    """The server granted the name and the answer was lost: the retry hears "granted"."""

    first = threading.Event()

    def granted_but_unheard(request: Any) -> Any:
        server.register(request)
        first.set()
        raise RuntimeError("the handler breaks after it has granted the name")

    server.script = [granted_but_unheard]
    assert run(server.endpoint, "register", "user:alice")
    assert first.is_set()
    assert len(server.seen) == 2


def test_nobody_listening_is_unreachable(run: Run) -> None:
    """Connection refused everywhere: certainly not applied, with each endpoint's finding."""
    one, two = closed_port(), closed_port()
    with pytest.raises(errors.Unreachable, match="Connection refused") as caught:
        run(f"{one},{two}", "register", "user:alice", timeout=0.3)
    assert one in caught.value.message
    assert two in caught.value.message


def test_a_host_that_does_not_exist_is_unreachable(run: Run) -> None:
    """A name that resolves to nothing ends like a closed port."""
    with pytest.raises(errors.Unreachable, match=r"no-such-host\.invalid:7101"):
        run("no-such-host.invalid:7101", "lookup", "user:alice", timeout=0.3)


def test_a_foreign_grpc_server_is_recognised_at_once(run: Run) -> None:
    """A gRPC server of another kind does not know the service, and waiting does not help."""
    with foreign_grpc_server() as endpoint:
        with pytest.raises(
            errors.Unreachable, match=f"{endpoint}: answers, but not as a namestore server"
        ):
            run(endpoint, "register", "user:alice", timeout=60)


@pytest.mark.parametrize(
    "reply", (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad", b"220 smtp\r\n", b"")
)
def test_a_server_of_another_protocol_is_described(run: Run, reply: bytes) -> None:
    """Something listens there, but it is no namestore server: the message says so."""
    heard = ""
    with plain_tcp_server(reply) as endpoint:
        for timeout in (0.3, 3, 30):  # a busy machine hears what it says later
            with pytest.raises(errors.Unreachable) as caught:
                run(endpoint, "register", "user:alice", timeout=timeout)
            heard = caught.value.message
            if "answers, but" in heard:
                break
    assert "answers, but not as a namestore server" in heard


def test_a_port_that_accepts_and_says_nothing_is_passed_over(
    run: Run, server: ScriptedServer
) -> None:
    """A stopped process keeps its port: the call goes elsewhere well within its timeout."""
    with plain_tcp_server(None) as endpoint:
        assert run(f"{endpoint},{server.endpoint}", "register", "user:alice", timeout=30)
        with pytest.raises(errors.Unreachable, match="does not answer in time"):
            run(endpoint, "register", "user:bob", timeout=0.3)


def test_a_server_that_goes_away_is_replaced_by_another(servers: list[ScriptedServer]) -> None:
    """A client keeps working while any endpoint does, and the write keeps its request_id."""
    with NameStore([server.endpoint for server in servers]) as store:
        for number, server in enumerate(servers[:2]):
            assert store.register(f"user:{number}", timeout=30)
            server.stop()
        assert store.register("user:last", timeout=30)
    assert "user:last" in servers[2].names


def test_a_restarted_server_is_found_again(server: ScriptedServer) -> None:
    """One endpoint, gone and back: the client needs no restart of its own."""
    with NameStore(server.endpoint) as store:
        assert store.register("user:alice", timeout=30)
        server.stop()
        with pytest.raises((errors.OutcomeUnknown, errors.Unreachable)):
            store.register("user:bob", timeout=0.3)
        with scripted_server(endpoint=server.endpoint):
            assert store.register("user:carol", timeout=30)


def test_one_client_serves_many_threads(server: ScriptedServer) -> None:
    """Concurrent calls do not mix: of many callers for one name exactly one is granted it."""
    with NameStore(server.endpoint) as store, ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda _: store.register("user:alice", timeout=30), range(40)))
    assert sum(map(bool, results)) == 1
    assert len({result.request_id for result in results}) == 40


def test_one_async_client_serves_many_loops(server: ScriptedServer) -> None:
    """An asyncio client is not bound to the loop it was first used on."""
    store = aio.NameStore(server.endpoint)

    async def race() -> list[bool]:
        calls = (store.register(f"user:{n}", timeout=30) for n in range(20))
        return [bool(result) for result in await asyncio.gather(*calls)]

    assert asyncio.run(race()) == [True] * 20
    assert asyncio.run(race()) == [False] * 20
    asyncio.run(store.close())


def test_cancelling_gives_the_attempt_up(server: ScriptedServer) -> None:
    """A cancelled task ends at once, and the client goes on working."""
    waiting = threading.Event()
    release = threading.Event()

    def hold(request: Any) -> Any:
        del request
        waiting.set()
        release.wait(30)

    async def use() -> None:
        async with aio.NameStore(server.endpoint) as store:
            server.script = [hold]
            task = asyncio.create_task(store.register("user:alice", timeout=30))
            await asyncio.to_thread(waiting.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.register("user:bob", timeout=30)

    try:
        asyncio.run(use())
    finally:
        release.set()


def test_watch_calls_the_server_and_raises_what_it_says(run: Run, server: ScriptedServer) -> None:
    """The stream is opened for real; an error of the server ends it as that error."""
    server.script = [errors.NotImplementedYet("a later version")]
    with pytest.raises(errors.NotImplementedYet, match="a later version"):
        run(server.endpoint, "watch", "user:")


def test_close_ends_the_calls_under_way(server: ScriptedServer) -> None:
    """A call that waits while the client is closed ends, as unknown; later ones are misuse."""
    waiting, release = threading.Event(), threading.Event()

    def hold(request: Any) -> Any:
        del request
        waiting.set()
        release.wait(30)

    server.script = [hold]
    store = NameStore(server.endpoint)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(store.register, "user:alice", timeout=60)
        assert waiting.wait(30)
        store.close()
        try:
            with pytest.raises(errors.OutcomeUnknown):
                call.result(30)
        finally:
            release.set()
    with pytest.raises(errors.ClientMisuse, match="closed"):
        store.register("user:bob")


def test_after_a_fork_the_child_is_told_and_can_make_its_own(server: ScriptedServer) -> None:
    """The parent's client refuses in the child; a client made there works; the parent's lives."""
    program = textwrap.dedent(
        """
        import os, sys
        from namestore import NameStore, errors
        parents = NameStore(sys.argv[1], timeout=30)
        assert parents.register("user:parent")
        child = os.fork()
        if child == 0:
            try:
                parents.register("user:child")
            except errors.ClientMisuse as error:
                print(error, flush=True)
            parents.close()
            with NameStore(sys.argv[1], timeout=30) as own:
                print(bool(own.register("user:child")), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(status, bool(parents.register("user:after")), flush=True)
        parents.close()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, server.endpoint],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first, *rest = done.stdout.splitlines()
    assert "make a NameStore in the child, after the fork" in first, done.stderr
    assert rest == ["True", "0 True"]
