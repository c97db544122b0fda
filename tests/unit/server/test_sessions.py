"""One caller's stream: what is bounded, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from namestore import errors
from namestore.config import dev_config
from namestore.rpc.status import error_from_call_error
from namestore.server.frames import Frames
from namestore.server.gateway import Gateway
from namestore.server.sessions import WINDOW_ITEMS, Session
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica


class Pipe:
    """A caller's end of a stream: `sent` is read by the session, `got` is what it wrote."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.got: list[pb.SessionResponse.Answer] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.reads = 0
        self.broken = False

    async def read(self) -> Any:
        self.reads += 1
        return await self.sent.get()

    async def write(self, message: pb.SessionResponse) -> None:
        await self.reading.wait()
        if self.broken:
            raise ConnectionResetError("the caller has gone")
        self.got.extend(message.answers)

    def send(self, ids: range) -> None:
        """One frame: a new name for each id."""
        self.sent.put_nowait(
            pb.SessionRequest(
                items=[
                    pb.SessionRequest.Item(id=n, register=pb.RegisterRequest(name=f"user:{n}"))
                    for n in ids
                ]
            )
        )

    def granted(self) -> list[int]:
        return [answer.id for answer in self.got if answer.register.registered]

    def refused(self) -> list[int]:
        return [
            answer.id
            for answer in self.got
            if isinstance(error_from_call_error(answer.error), errors.Overloaded)
            and answer.HasField("error")
        ]


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def session(replica: FakeReplica, pipe: Pipe) -> asyncio.Task[None]:
    # A clock that stands: how long something waited is another test's subject.
    gateway = Gateway(replica, dev_config("unused"), "dev", clock=lambda: 0.0)
    return asyncio.create_task(Session(Frames(gateway, 5.0, lambda seconds: seconds), pipe).run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # counts turns of this very loop
            await asyncio.sleep(0)


async def test_everything_is_answered_after_a_half_close(replica: FakeReplica, pipe: Pipe) -> None:
    """The caller sends no more: what it sent is still decided and told."""
    running = session(replica, pipe)
    replica.switches.hold = True
    pipe.send(range(3))
    pipe.send(range(3, 5))
    pipe.sent.put_nowait(grpc.aio.EOF)
    await until(lambda: len(replica.calls.proposals) == 2)
    assert not running.done()
    replica.let_go()
    await running
    assert sorted(pipe.granted()) == [0, 1, 2, 3, 4]


async def test_items_beyond_the_window_are_refused_at_once(
    replica: FakeReplica, pipe: Pipe
) -> None:
    """Each for itself, with OVERLOADED; those within it are decided, and then there is room."""
    running = session(replica, pipe)
    replica.switches.hold = True
    pipe.send(range(WINDOW_ITEMS - 2))
    pipe.send(range(10_000, 10_005))
    await until(lambda: len(pipe.got) == 3)
    assert pipe.refused() == [10_002, 10_003, 10_004]
    replica.let_go()
    await until(lambda: len(pipe.granted()) == WINDOW_ITEMS)
    pipe.send(range(20_000, 20_010))
    pipe.sent.put_nowait(grpc.aio.EOF)
    await running
    assert len(pipe.granted()) == WINDOW_ITEMS + 10


async def test_a_caller_who_does_not_read_is_not_read_from(
    replica: FakeReplica, pipe: Pipe
) -> None:
    """What waits to be written is bounded: window and refusals, then the stream stands still."""
    running = session(replica, pipe)
    pipe.reading.clear()
    for part in range(8):
        pipe.send(range(part * WINDOW_ITEMS, (part + 1) * WINDOW_ITEMS))
    await until(lambda: pipe.reads >= 3)
    for _ in range(100):
        await asyncio.sleep(0)
    assert pipe.reads == 3
    assert pipe.sent.qsize() == 5
    pipe.reading.set()
    pipe.sent.put_nowait(grpc.aio.EOF)
    await running
    assert len(pipe.got) == 8 * WINDOW_ITEMS


async def test_a_message_of_too_many_items_ends_the_stream(
    replica: FakeReplica, pipe: Pipe
) -> None:
    """Nothing of it is begun."""
    running = session(replica, pipe)
    pipe.send(range(WINDOW_ITEMS + 1))
    with pytest.raises(errors.InvalidRequest, match="4097 items"):
        await running
    assert replica.calls.proposals == []


async def test_a_caller_who_left_ends_the_stream(replica: FakeReplica, pipe: Pipe) -> None:
    """An answer that cannot be written ends the reading as well; writes go on to be decided."""
    pipe.broken = True
    running = session(replica, pipe)
    pipe.send(range(2))
    with pytest.raises(ConnectionResetError):
        await running
    assert len(replica.calls.proposals) == 1


async def test_a_cancelled_stream_leaves_no_task(replica: FakeReplica, pipe: Pipe) -> None:
    """The runtime cancels it when the connection breaks; late answers go nowhere."""
    replica.switches.hold = True
    running = session(replica, pipe)
    pipe.send(range(2))
    await until(lambda: bool(replica.calls.proposals))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    replica.let_go()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert pipe.got == []
