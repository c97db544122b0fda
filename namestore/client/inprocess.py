"""The network that is none: calls go to a node's gateway in the same process.

The gateway lives on an event loop of its own, in a thread that belongs to this network; callers
reach it from any thread or loop. Not responsible for the node behind it: `on_close` ends that.

Invariant: the gateway is touched on its own loop only.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from google.protobuf.message import Message

from namestore.client.inprocess_streams import InProcessStream
from namestore.client.methods import Method
from namestore.client.network import Done, Failure, NoAnswer, Silence
from namestore.errors import ClientMisuse, InvalidRequest, NamestoreError, NotImplementedYet

# The gateway answers within the timeout; this much later it is taken for stuck.
_GRACE_SECONDS = 1.0
_STOP_SECONDS = 5.0

# Methods of the gateway are coroutines (request, timeout) -> response, named as here.
_GATEWAY_NAMES = {
    "Register": "register",
    "RegisterMany": "register_many",
    "Lookup": "lookup",
    "LookupMany": "lookup_many",
    "Release": "release",
    "Update": "update",
    "Confirm": "confirm",
    "Rename": "rename",
    "List": "list",
    "History": "history",
    "PutNamespace": "put_namespace",
    "GetNamespace": "get_namespace",
    "ListNamespaces": "list_namespaces",
    "Status": "status",
}
# These are async generators (request, seconds until the first message) -> messages.
_GATEWAY_STREAMS = {"Export": "export", "Watch": "watch"}
_STREAM_BEGINS_SECONDS = 5.0
# Orders that a node by itself cannot be given.
_OF_CLUSTERS = frozenset(("AddMember", "RemoveMember", "TransferLeadership"))


class InProcessNetwork:
    """A `Network` whose only endpoint is a gateway in this process.

    Args:
        gateway: With the methods of `namestore.server.gateway.Gateway`; one that it lacks answers
            `NotImplementedYet`.
        on_close: Called once, after the last call was given up.
        beside: Runs on the gateway's loop, beside the calls, until the network is closed.
    """

    def __init__(
        self,
        gateway: object,
        on_close: Callable[[], None],
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._gateway = gateway
        self._on_close = on_close
        self._beside = beside
        self._lock = threading.Lock()
        self._closed = False
        self._fatal: NamestoreError | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="namestore-embedded", daemon=True)
        self._thread.start()

    def fail(self, error: NamestoreError) -> None:
        """The node had to stop: every later call raises `error`. Any thread."""
        self._fatal = error

    def call(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        left: float | None = None,
    ) -> Message:
        """See `Network.call`."""
        del left  # it is sent at once
        future = self._start(method, request, timeout)
        try:
            return future.result(timeout + _GRACE_SECONDS)
        except BaseException as error:
            future.cancel()
            if isinstance(error, (Exception, concurrent.futures.CancelledError)):
                raise _failure(endpoint, error) from error
            raise

    def submit(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None = None,
    ) -> Callable[[], None]:
        """See `Network.submit`."""
        del left  # it is sent at once

        def finished(ended: concurrent.futures.Future[Message]) -> None:
            if ended.cancelled():
                done(NoAnswer(endpoint, Silence.LOST, "the call was given up"))
                return
            error = ended.exception()
            done(ended.result() if error is None else _failure(endpoint, error))

        future = self._start(method, request, timeout)
        future.add_done_callback(finished)

        def cancel() -> None:
            future.cancel()

        return cancel

    def stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """See `Network.stream`."""
        open_source = getattr(self._gateway, _GATEWAY_STREAMS.get(method.name, ""), None)
        if open_source is None:
            raise NotImplementedYet(f"an embedded registry does not serve {method.name} yet")
        stream = InProcessStream(
            open_source(request, _STREAM_BEGINS_SECONDS),
            self._begin,
            lambda error: _failure(endpoint, error),
        )
        return stream.messages(), stream.cancel

    def close(self) -> None:
        """See `Network.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._on_close()

    def _start(
        self, method: Method[Any, Any], request: Message, timeout: float
    ) -> concurrent.futures.Future[Message]:
        if method.name in _OF_CLUSTERS:
            raise InvalidRequest(
                "an embedded registry is one node by itself: nobody joins or leaves it, and "
                "nobody else can lead"
            )
        answer = getattr(self._gateway, _GATEWAY_NAMES.get(method.name, ""), None)
        if answer is None:
            raise NotImplementedYet(f"an embedded registry does not serve {method.name} yet")
        return self._begin(lambda: answer(request, timeout))

    def _begin(
        self, work: Callable[[], Coroutine[Any, Any, Any]]
    ) -> concurrent.futures.Future[Any]:
        """Runs work on the loop, unless that ended."""
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            if self._closed:
                raise ClientMisuse("this registry is closed; open it again")
            return asyncio.run_coroutine_threadsafe(work(), self._loop)

    def _run(self) -> None:
        """The thread of the loop: serves until it is stopped, then gives up what is left."""
        asyncio.set_event_loop(self._loop)
        # Kept: a loop forgets the tasks that nobody else knows of.
        task = self._loop.create_task(self._beside()) if self._beside is not None else None
        try:
            self._loop.run_forever()
            del task
            self._loop.run_until_complete(_wind_down())
        finally:
            self._loop.close()


async def _wind_down() -> None:
    """Gives up every other task of the running loop, and waits for it to end."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    # Streams that nobody takes from just now hold pictures of the state.
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()


def _failure(endpoint: str, error: BaseException) -> Failure:
    """What an exception of a call means to the session."""
    if isinstance(error, NamestoreError):
        return error
    if isinstance(error, TimeoutError):
        return NoAnswer(endpoint, Silence.TIMED_OUT, "does not answer in time")
    if isinstance(error, concurrent.futures.CancelledError):
        return NoAnswer(endpoint, Silence.LOST, "the registry was closed during the call")
    failure = NoAnswer(endpoint, Silence.LOST, f"the registry failed: {error!r}")
    failure.__cause__ = error
    return failure
