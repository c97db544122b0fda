"""One stream to one endpoint: frames go out when there is something to send, answers come in.

Two threads belong to it, and end with it: gRPC's, which asks for the next message to send and waits
there, and one that reads. Not responsible for what becomes of calls when it ends.

Invariant: after `ended` was called nothing is taken to be sent.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.message import Message

from namestore.client.methods import SESSION
from namestore.client.network import Conversing, Failure, NoAnswer, Silence
from namestore.errors import NamestoreError
from namestore.v1 import registry_pb2 as pb

_JOIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ends:
    """What a stream asks and tells. All are called on its threads.

    Attributes:
        take: The next message; None: there is nothing to send now.
        heard: Answers that came.
        ended: Called once: why it ended, None if the server had nothing more to say.
    """

    take: Callable[[SessionStream], pb.SessionRequest | None]
    heard: Callable[[pb.SessionResponse], None]
    ended: Callable[[SessionStream, Failure | None], None]


class SessionStream:
    """A stream, opened when it is made.

    Raises:
        ClientMisuse: The network is closed.
    """

    def __init__(self, network: Conversing, endpoint: str, ends: Ends) -> None:
        self._endpoint = endpoint
        self._ends = ends
        # Each token: there may be something to send. None: no more.
        self._tokens: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._messages, self._cancel = network.converse(endpoint, SESSION, self._outgoing())
        self._reader = threading.Thread(
            target=self._read, name=f"namestore-session-{endpoint}", daemon=True
        )
        self._reader.start()

    def wake(self) -> None:
        """There may be something to send. Any thread; never blocks."""
        self._tokens.put(True)

    def close(self) -> None:
        """Ends it. Any thread, also twice."""
        self._tokens.put(None)
        self._cancel()
        if threading.current_thread() is not self._reader:
            self._reader.join(_JOIN_SECONDS)

    def _outgoing(self) -> Iterator[Message]:
        while self._tokens.get():
            request = self._ends.take(self)
            if request is not None:
                yield request

    def _read(self) -> None:
        failure: Failure | None = None
        try:
            for message in self._messages:
                if isinstance(message, pb.SessionResponse):
                    self._ends.heard(message)
        except (NamestoreError, NoAnswer) as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # whoever waits must hear that it has ended
            failure = NoAnswer(self._endpoint, Silence.LOST, f"the stream failed: {error!r}")
            failure.__cause__ = error
            self._cancel()
        self._ends.ended(self, failure)
        self._tokens.put(None)


OpenStream = Callable[[Conversing, str, Ends], SessionStream]
