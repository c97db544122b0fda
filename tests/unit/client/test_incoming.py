"""A stream that is read ahead: in order, bounded, and lost by nobody who gives up waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
from google.protobuf.message import Message

from namestore import errors
from namestore.client.incoming import MESSAGES_MAX, Incoming
from namestore.client.network import NoAnswer, Silence
from namestore.v1 import registry_pb2 as pb
from tests.support.eventually import eventually

WAIT = 30.0


class Source:
    """Yields what is put into it; None ends it, an exception is raised."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Message | Exception | None] = SimpleQueue()
        self.taken = 0

    def put(self, *items: Message | Exception | None) -> None:
        for item in items:
            self.queue.put(item)

    def __iter__(self) -> Iterator[Message]:
        while (item := self.queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            self.taken += 1
            yield item


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.put(None)


def event(revision: int) -> pb.Event:
    return pb.Event(revision=revision)


def revision(message: Message) -> int:
    assert isinstance(message, pb.Event)
    return message.revision


def test_messages_come_in_order_and_then_the_end(source: Source) -> None:
    """What was read before the stream broke is handed out first; the end stays the end."""
    incoming = Incoming("a:1", iter(source))
    source.put(event(1), event(2), errors.ShuttingDown("bye"))
    assert [revision(incoming.take(WAIT)) for _ in range(2)] == [1, 2]
    for _ in range(2):
        with pytest.raises(errors.ShuttingDown):
            incoming.take(WAIT)


@pytest.mark.parametrize(
    ("end", "detail"), ((None, "ended the stream"), (ValueError("odd"), "odd")), ids=("end", "odd")
)
def test_every_end_is_told(source: Source, end: Exception | None, detail: str) -> None:
    """A node that has no more to say, and a fault of the channel, are no answer."""
    incoming = Incoming("a:1", iter(source))
    source.put(end)
    with pytest.raises(NoAnswer, match=detail) as caught:
        incoming.take(WAIT)
    assert caught.value.silence is Silence.LOST


def test_what_is_read_ahead_is_bounded(source: Source) -> None:
    """A caller who takes nothing keeps the node from sending, not the memory from ending."""
    incoming = Incoming("a:1", iter(source))
    source.put(*(event(number) for number in range(3 * MESSAGES_MAX)))
    eventually(lambda: source.taken > MESSAGES_MAX, "it reads ahead")
    assert source.taken == MESSAGES_MAX + 1  # the one that found no room
    taken = [revision(incoming.take(WAIT)) for _ in range(3 * MESSAGES_MAX)]
    assert taken == [*range(3 * MESSAGES_MAX)]
    incoming.close()


def test_giving_up_loses_nothing(source: Source) -> None:
    """Of either flavour: what comes a moment later is there for the next who asks."""
    incoming = Incoming("a:1", iter(source))
    with pytest.raises(NoAnswer) as caught:
        incoming.take(0.01)
    assert caught.value.silence is Silence.TIMED_OUT

    async def impatient() -> list[int]:
        with pytest.raises(NoAnswer) as caught:
            await incoming.taken(0.01)
        assert caught.value.silence is Silence.TIMED_OUT
        waiting = asyncio.ensure_future(incoming.taken(WAIT))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        source.put(event(1), event(2))
        return [revision(await incoming.taken(WAIT)) for _ in range(2)]

    assert asyncio.run(impatient()) == [1, 2]
    incoming.close()


def test_closing_wakes_whoever_waits(source: Source) -> None:
    """In a thread and in a loop; later waits end at once, and the reader goes."""
    incoming = Incoming("a:1", iter(source))
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(incoming.take, WAIT)
        incoming.close()
        with pytest.raises(NoAnswer, match="closed"):
            waiting.result(WAIT)

    async def wait() -> None:
        other = Incoming("b:1", iter(source))
        task = asyncio.ensure_future(other.taken(WAIT))
        await asyncio.sleep(0)
        threading.Thread(target=other.close).start()
        with pytest.raises(NoAnswer, match="closed"):
            await task
        with pytest.raises(NoAnswer, match="closed"):
            await other.taken(WAIT)

    asyncio.run(wait())
    source.put(event(1), event(2), None)


def test_a_loop_that_is_gone_is_no_matter(source: Source) -> None:
    """What comes for a task whose loop was closed meanwhile is kept for the next caller."""
    incoming = Incoming("a:1", iter(source))

    async def begin() -> None:
        task = asyncio.ensure_future(incoming.taken(WAIT))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(begin())
    source.put(event(1))
    assert revision(incoming.take(WAIT)) == 1
    incoming.close()
