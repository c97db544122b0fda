"""A stream of messages from one node, taken one after the other by who has not for ever to wait.

Not responsible for what the messages mean, nor for going on elsewhere when a stream broke.
Invariant: whoever waits for a message hears of it, of the stream's end, or of a failure, within the
time that was given; after a failure the stream is given up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from namestore.client.incoming import Incoming
from namestore.client.methods import Method
from namestore.client.network import Network, NoAnswer, Silence


class Flow:
    """An open stream. `take` belongs to one thread at a time; `close` is for any.

    Args:
        endpoint: Where its node is.
        messages: Blocking, raising as `Network.call` does.
        cancel: Ends it. For any thread, at any time.
    """

    def __init__(
        self, endpoint: str, messages: Iterator[Message], cancel: Callable[[], None]
    ) -> None:
        self.endpoint = endpoint
        self._messages = messages
        self._cancel = cancel
        self._incoming: Incoming | None = None

    @property
    def incoming(self) -> Incoming:
        """What is left of it, read ahead from now on: then nothing else may take from it."""
        if self._incoming is None:
            self._incoming = Incoming(self.endpoint, self._messages)
        return self._incoming

    @classmethod
    def open(
        cls, network: Network, endpoint: str, method: Method[Any, Any], request: Message
    ) -> Flow:
        """Begins a stream, and waits for nothing. Raises `ClientMisuse`: the network is closed."""
        return cls(endpoint, *network.stream(endpoint, method, request))

    def begun(self, timeout: float) -> tuple[Flow, Message]:
        """This stream and its first message. Raises as `take`; it is closed then."""
        try:
            first = self.take(timeout)
            if first is None:
                raise NoAnswer(self.endpoint, Silence.LOST, "ended the stream before it began")
            return self, first
        except BaseException:
            self.close()
            raise

    def take(self, timeout: float) -> Message | None:
        """The next message; None: the node ended the stream, and said that this was all.

        Args:
            timeout: Seconds.

        Raises:
            NamestoreError: Stated by the node.
            NoAnswer: The stream broke, or nothing came in time.
        """
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._cancel()

        timer = threading.Timer(timeout, give_up)
        timer.daemon = True
        timer.start()
        try:
            return next(self._messages, None)
        except NoAnswer:
            if late.is_set():
                detail = f"sent nothing for {timeout:g} s"
                raise NoAnswer(self.endpoint, Silence.TIMED_OUT, detail) from None
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Ends the stream. May be called twice."""
        self._cancel()
        if self._incoming is not None:
            self._incoming.close()
