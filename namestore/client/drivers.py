"""Carry the effects of an operation out: in the caller's thread, or on the caller's event loop.

Not responsible for any decision: both drivers run the same operations over the same networks.

Both refuse to work where the network cannot: after `close`, and in a forked child, which would
share its parent's sockets without the threads that serve them. Invariant: the network is touched
only after that check.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import Message

from namestore.client.flow import Flow
from namestore.client.inbox import Inbox
from namestore.client.incoming import Incoming
from namestore.client.methods import Method
from namestore.client.network import (
    Ask,
    Effect,
    Failure,
    Network,
    NoAnswer,
    Open,
    Operation,
    Send,
    SendAll,
    Silence,
    Sleep,
    Take,
)
from namestore.errors import ClientMisuse, NamestoreError

ResultT = TypeVar("ResultT")

# How often this process was forked off another: cheaper to look at than its id.
_forks = 0


def _forked() -> None:
    global _forks  # of the process, as is what it counts
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class Driver:
    """What both drivers share: the guarded network."""

    def __init__(self, network: Network) -> None:
        self._guarded = network
        self._made_after = _forks
        self._closed = False

    def _network(self) -> Network:
        if _forks != self._made_after:
            raise ClientMisuse(
                "this client was made before a fork and cannot be used in the child; "
                "make a NameStore in the child, after the fork"
            )
        if self._closed:
            raise ClientMisuse("this client is closed; make another NameStore")
        return self._guarded

    def open_stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """Opens a stream whose messages are taken in the caller's thread."""
        return self._network().stream(endpoint, method, request)

    def _flow(self, effect: Open) -> Flow:
        return Flow.open(self._network(), effect.endpoint, effect.method, effect.request)

    def _incoming(self, flow: Flow) -> Incoming:
        self._network()
        return flow.incoming

    def close(self) -> None:
        """Closes the network.

        A second call does nothing, nor does one in a forked child: its parent uses the connections.
        """
        if not self._closed:
            self._closed = True
            atexit.unregister(self.close)
            if _forks == self._made_after:
                self._guarded.close()

    def close_at_exit(self) -> None:
        """Has `close` called when the process ends, unless it was called before."""
        atexit.register(self.close)

    def _ask(self, effect: Ask) -> None:
        """Never fails: the call beside which it is asked may have been answered already."""
        send = effect.send
        try:
            network = self._network()
            network.submit(send.endpoint, send.method, send.request, send.timeout, effect.done)
        except (NamestoreError, NoAnswer) as failure:
            effect.done(failure)


class BlockingDriver(Driver):
    """Runs operations in the calling thread. Thread-safe.

    Args:
        sleep: For tests; seconds.
    """

    def __init__(self, network: Network, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(network)
        self._sleep = sleep
        self._warned = False

    def run(self, operation: Operation[ResultT]) -> ResultT:
        """Runs an operation to its end and returns, or raises, what it does."""
        self._warn_inside_event_loop()
        outcome: object = None
        try:
            while True:
                if isinstance(outcome, (NamestoreError, NoAnswer)):
                    effect = operation.throw(outcome)
                else:
                    effect = operation.send(outcome)
                outcome = self._perform(effect)
        except StopIteration as finished:
            result: ResultT = finished.value
            return result
        finally:
            operation.close()

    def _warn_inside_event_loop(self) -> None:
        if self._warned:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        self._warned = True
        warnings.warn(
            "a blocking namestore client is used inside a running event loop and blocks it; "
            "use namestore.aio.NameStore there",
            RuntimeWarning,
            stacklevel=5,
        )

    def _perform(self, effect: Effect) -> object:
        """What the operation is resumed with; a failure is thrown into it."""
        try:
            match effect:
                case Send(endpoint, method, request, timeout, left):
                    return self._network().call(endpoint, method, request, timeout, left)
                case Open():
                    return self._flow(effect).begun(effect.timeout)
                case Take(flow, timeout):
                    return self._incoming(flow).take(timeout)
                case Sleep(seconds):
                    self._sleep(seconds)
                case Ask():
                    self._ask(effect)
                case SendAll(sends):
                    return self._send_all(sends)
        except (NamestoreError, NoAnswer) as failure:
            return failure
        return None

    def _send_all(self, sends: tuple[Send, ...]) -> list[Message | Failure]:
        answers: queue.SimpleQueue[tuple[int, Message | Failure]] = queue.SimpleQueue()
        network = self._network()
        gathered: list[Message | Failure] = [_unanswered(send) for send in sends]
        for index, send in enumerate(sends):
            network.submit(
                send.endpoint,
                send.method,
                send.request,
                send.timeout,
                lambda answer, index=index: answers.put((index, answer)),  # type: ignore[misc]
            )
        for _ in sends:
            index, answer = answers.get()
            gathered[index] = answer
        return gathered


class AsyncDriver(Driver):
    """Runs operations on whichever event loop the caller runs, several of them if need be.

    Networks call back from threads of their own; the loop is woken thread-safely.

    Args:
        sleep: For tests; a coroutine function of seconds.
    """

    def __init__(self, network: Network, sleep: Callable[[float], Any] = asyncio.sleep) -> None:
        super().__init__(network)
        self._sleep = sleep
        self._inbox: Inbox | None = None

    async def run(self, operation: Operation[ResultT]) -> ResultT:
        """Runs an operation to its end. Cancelling it gives the attempt under way up."""
        outcome: object = None
        try:
            while True:
                if isinstance(outcome, (NamestoreError, NoAnswer)):
                    effect = operation.throw(outcome)
                else:
                    effect = operation.send(outcome)
                try:
                    if type(effect) is Send:  # by far the commonest, on the way of every call
                        outcome = await self._send(effect)
                    else:
                        outcome = await self._perform(effect)
                except (NamestoreError, NoAnswer) as failure:
                    outcome = failure
        except StopIteration as finished:
            result: ResultT = finished.value
            return result
        finally:
            operation.close()

    async def _perform(self, effect: Effect) -> object:
        match effect:
            case Open():
                return await self._open(effect)
            case Take(flow, timeout):
                return await self._incoming(flow).taken(timeout)
            case Sleep(seconds):
                await self._sleep(seconds)
            case Ask():
                self._ask(effect)
            case SendAll(sends):
                return list(await asyncio.gather(*(self._send(send) for send in sends)))
        return None

    async def _send(self, send: Send) -> Message | Failure:
        inbox = self._inbox_of(asyncio.get_running_loop())
        answered: asyncio.Future[Message | Failure] = inbox.loop.create_future()
        cancel = self._network().submit(
            send.endpoint,
            send.method,
            send.request,
            send.timeout,
            partial(inbox.put, answered),
            send.left,
        )
        try:
            return await answered
        finally:
            if not answered.done() or answered.cancelled():
                cancel()

    async def _open(self, effect: Open) -> tuple[Flow, Message]:
        flow = self._flow(effect)
        try:
            return await asyncio.to_thread(flow.begun, effect.timeout)
        except asyncio.CancelledError:
            flow.close()
            raise

    def _inbox_of(self, loop: asyncio.AbstractEventLoop) -> Inbox:
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            # The one of another loop lives on in the calls that wait there.
            inbox = self._inbox = Inbox(loop)
        return inbox


def _unanswered(send: Send) -> NoAnswer:
    return NoAnswer(send.endpoint, Silence.LOST, "was not asked")
