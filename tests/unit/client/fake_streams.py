"""A network whose streams end in the test: it sees each frame, and answers when it likes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from namestore.client.methods import Method
from namestore.client.network import Done, Failure, NoAnswer
from namestore.errors import ClientMisuse, NamestoreError
from namestore.v1 import registry_pb2 as pb

# Every wait of these tests ends by then, in a failure.
PATIENCE_SECONDS = 30.0


class FakeStream:
    """One stream, as the server has it. Its threads are the test's to end: `end` it."""

    def __init__(self, requests: Iterator[Message]) -> None:
        self._frames: queue.SimpleQueue[pb.SessionRequest] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Message | Failure | None] = queue.SimpleQueue()
        self.cancelled = threading.Event()
        self._sender = threading.Thread(target=self._send, args=(requests,), daemon=True)
        self._sender.start()

    def frame(self) -> pb.SessionRequest:
        """The next frame that the client sent."""
        return self._frames.get(timeout=PATIENCE_SECONDS)

    @property
    def quiet(self) -> bool:
        """No frame is there that was not taken."""
        return self._frames.empty()

    def answer(self, *answers: pb.SessionResponse.Answer) -> None:
        """Sends these in one message."""
        self._answers.put(pb.SessionResponse(answers=answers))

    def grant(self, *items: pb.SessionRequest.Item) -> None:
        """Each of these names is granted."""
        self.answer(*(granted(item) for item in items))

    def end(self, failure: Failure | None = None) -> None:
        """The stream ends, by itself or by that failure."""
        self._answers.put(failure)

    def messages(self) -> Iterator[Message]:
        """What the client reads."""
        while (answer := self._answers.get()) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def cancel(self) -> None:
        self.cancelled.set()
        self._answers.put(None)

    def _send(self, requests: Iterator[Message]) -> None:
        for request in requests:
            # As it leaves the process: later changes of the message would not be seen.
            self._frames.put(pb.SessionRequest.FromString(request.SerializeToString()))


def granted(item: pb.SessionRequest.Item) -> pb.SessionResponse.Answer:
    return pb.SessionResponse.Answer(
        id=item.id,
        register=pb.RegisterResponse(
            registered=True, record=pb.NameRecord(name=item.register.name), revision=item.id
        ),
    )


class FakeConversing:
    """A `Conversing` network. `singly`: what went by itself, and is answered by `answer_singly`."""

    def __init__(self) -> None:
        self._opened: queue.SimpleQueue[FakeStream] = queue.SimpleQueue()
        self.singly: list[tuple[str, Any]] = []
        self.answer_singly: Callable[[Any], Message | Failure] = lambda request: (
            pb.RegisterResponse(registered=True)
        )
        self.closed = False
        self.broken: Exception | None = None

    def stream_opened(self) -> FakeStream:
        """The next stream that the client opened."""
        return self._opened.get(timeout=PATIENCE_SECONDS)

    def converse(
        self, endpoint: str, method: Method[Any, Any], requests: Iterator[Message]
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        if self.closed:
            raise ClientMisuse("closed")
        if self.broken is not None:
            raise self.broken
        stream = FakeStream(requests)
        self._opened.put(stream)
        return stream.messages(), stream.cancel

    def call(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        left: float | None = None,
    ) -> Message:
        self.singly.append((method.name, request))
        answer = self.answer_singly(request)
        if isinstance(answer, (NamestoreError, NoAnswer)):
            raise answer
        return answer

    def submit(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None = None,
    ) -> Callable[[], None]:
        self.singly.append((method.name, request))
        done(self.answer_singly(request))
        return lambda: None

    def stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        self.singly.append((method.name, request))
        return iter(()), lambda: None

    def close(self) -> None:
        self.closed = True
