"""The stream of one caller: frames in, answers out in any order, both bounded.

Not responsible for what an item means; see `frames`. Belongs to the gateway's event loop.

Invariants: no more items of one stream wait than the window holds; those beyond it are refused at
once. What waits to be written is bounded: from a caller who does not read, nothing is read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import grpc

from namestore.errors import InvalidRequest, Overloaded
from namestore.server.frames import GROUP_ITEMS_MAX, Frames, refuse
from namestore.v1 import registry_pb2 as pb

# Items of one stream that may wait for their answer, the way to the caller included; and those of
# one message.
WINDOW_ITEMS = 4096


class Stream(Protocol):
    """What a session needs of `grpc.aio.ServicerContext`."""

    async def read(self) -> Any:
        """The next message; `grpc.aio.EOF` when there are no more."""
        ...

    async def write(self, message: Any) -> None:
        """Returns once there is room for the next."""
        ...


class Session:
    """One stream. `run` it once.

    Args:
        frames: Does the work.
        stream: Where frames come from and answers go to.
    """

    def __init__(self, frames: Frames, stream: Stream) -> None:
        self._frames = frames
        self._stream = stream
        # Items that are begun or refused, and whose answer is not written yet.
        self._unwritten = 0
        self._outbox: deque[pb.SessionResponse] = deque()
        self._filled = asyncio.Event()
        self._written = asyncio.Event()

    async def run(self) -> None:
        """Serves until the caller half-closes, and then until everything is answered.

        Raises:
            InvalidRequest: A message that is none; the stream cannot go on.
        """
        tasks = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while (request := await self._stream.read()) is not grpc.aio.EOF:
            self._take(request)
            # Twice: the refusals of a caller who overran the window have their place as well.
            await self._at_most(2 * WINDOW_ITEMS)
        await self._at_most(0)

    def _take(self, request: Any) -> None:
        if not isinstance(request, pb.SessionRequest):
            raise InvalidRequest(f"the message cannot be decoded: {request.reason}")
        items = request.items
        if len(items) > WINDOW_ITEMS:
            raise InvalidRequest(
                f"the message holds {len(items)} items; at most {WINDOW_ITEMS} go into one",
                field="items",
            )
        room = max(0, WINDOW_ITEMS - self._unwritten)
        self._unwritten += len(items)
        if len(items) <= room:
            self._frames.begin(items, self._deliver)
            return
        self._frames.begin(items[:room], self._deliver)
        refused = pb.SessionResponse()
        overloaded = Overloaded(
            f"{WINDOW_ITEMS} items of this stream wait to be answered, and no more may; "
            "send the next as answers come"
        )
        for item in items[room:]:
            refuse(refused, item.id, overloaded)
        self._deliver(refused)

    def _deliver(self, response: pb.SessionResponse) -> None:
        """Takes answers to be written. On the loop, at any time, also when nobody listens."""
        last = self._outbox[-1] if self._outbox else None
        if last is not None and len(last.answers) + len(response.answers) <= GROUP_ITEMS_MAX:
            last.MergeFrom(response)
        else:
            self._outbox.append(response)
        self._filled.set()

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._outbox:
                response = self._outbox.popleft()
                await self._stream.write(response)
                self._unwritten -= len(response.answers)
                self._written.set()

    async def _at_most(self, unwritten: int) -> None:
        """Waits until no more items than that have their answer before them."""
        while self._unwritten > unwritten:
            self._written.clear()
            await self._written.wait()
