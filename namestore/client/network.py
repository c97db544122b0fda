"""The seam to the network: one attempt at one endpoint, and the effects that ask for it.

Nothing here retries, chooses an endpoint or knows what a name is; that is `session`. The layer that
lets concurrent calls share round trips, `sharing`, is a `Network` around another one.

Invariant: an attempt ends in exactly one of three ways: an answer; an error that a namestore
server stated itself; or `NoAnswer`, after which nobody here knows what the server did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from namestore.client.methods import Method
from namestore.core.value import value
from namestore.errors import NamestoreError


class Silence(Enum):
    """How an attempt ended without an answer of a namestore server."""

    LOST = auto()  # no connection, or it broke
    UNSENT = auto()  # it never left the client: certainly not applied
    TIMED_OUT = auto()  # nothing came in time
    FOREIGN = auto()  # something answered that does not know the method, or not the protocol


class NoAnswer(Exception):
    """No namestore server answered the attempt. Never leaves the client package."""

    def __init__(self, endpoint: str, silence: Silence, detail: str) -> None:
        super().__init__(f"{endpoint}: {detail}")
        self.endpoint = endpoint
        self.silence = silence
        self.detail = detail


Failure = NamestoreError | NoAnswer
Done = Callable[[Message | Failure], None]


class Network(Protocol):
    """Carries single attempts. Every method may be called from any thread, also at once.

    After `close`, and while it runs, `call`, `submit` and `stream` raise `ClientMisuse`, and what
    was under way ends in `NoAnswer` or `ClientMisuse`.
    """

    def call(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        left: float | None = None,
    ) -> Message:
        """Sends one request and blocks until it is answered, `timeout` seconds at most.

        Where it may have to wait to be sent, `timeout` begins when it is, and the wait ends `left`
        seconds from now (None: `timeout`).

        Raises:
            NamestoreError: Stated by the server.
            NoAnswer: Nobody knows what the server did.
        """
        ...

    def submit(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None = None,
    ) -> Callable[[], None]:
        """Sends one request without waiting; `timeout` and `left` as for `call`.

        `done` is called exactly once, on any thread (the caller's included), with the answer or
        the failure that `call` would raise. It must return soon and not raise.

        Returns:
            A function that gives the attempt up. Calling it twice or too late does nothing.
        """
        ...

    def stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """Opens a stream: its messages (blocking, raising as `call` does), and what ends it."""
        ...

    def close(self) -> None:
        """Gives up what is under way and frees everything. May be called twice."""
        ...


class Conversing(Network, Protocol):
    """A network that also carries streams in both directions."""

    def converse(
        self, endpoint: str, method: Method[Any, Any], requests: Iterator[Message]
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """Opens a stream that sends what `requests` yields, on a thread of its own.

        Returns:
            What comes back (blocking, raising as `call` does), and what ends it.
        """
        ...


@value
class Send:
    """Effect: one attempt. Resumes with the answer, or has the failure thrown in.

    `timeout` and `left` as for `Network.call`.
    """

    endpoint: str
    method: Method[Any, Any]
    request: Message
    timeout: float
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """Effect: opens a stream at one endpoint, and waits for its first message so many seconds.

    Resumes with the `Flow` and that message, or has the failure thrown in.
    """

    endpoint: str
    method: Method[Any, Any]
    request: Message
    timeout: float


@dataclass(frozen=True, slots=True)
class Take:
    """Effect: the next message of an open `Flow`, waited for so many seconds.

    Resumes with it, or has the failure thrown in: `TIMED_OUT` if none came. Nothing is lost when
    whoever waits gives up.
    """

    flow: Any
    timeout: float


@dataclass(frozen=True, slots=True)
class SendAll:
    """Effect: several attempts at once. Resumes with a list of answers or failures, in order."""

    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Effect: an attempt nobody waits for. Resumes at once, and never has a failure thrown in.

    `done` gets the answer or the failure, on any thread.
    """

    send: Send
    done: Done


@dataclass(frozen=True, slots=True)
class Sleep:
    """Effect: resumes after that many seconds, and never has a failure thrown in."""

    seconds: float


Effect = Send | Open | Take | SendAll | Ask | Sleep

ResultT = TypeVar("ResultT")
Operation = Generator[Effect, Any, ResultT]
