"""The network over gRPC: one synchronous channel for each endpoint, for both flavours.

grpc.aio allows one event loop in a process; the synchronous channels serve any number of threads
and loops, and a blocking call needs no thread but the caller's. Not responsible for retries: the
ones gRPC could make by itself are switched off.

Invariant: an error counts as stated by a server only if it carries the details that only a
namestore server attaches. Every other error was made by a channel, a proxy or a stranger.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import Message

from namestore.client.methods import CLUSTER_SERVICE, NAMESPACES_SERVICE, REGISTRY_SERVICE, Method
from namestore.client.network import Done, Failure, NoAnswer, Silence
from namestore.errors import ClientMisuse
from namestore.rpc.status import DETAILS_KEY, error_from_rpc
from namestore.v1.cluster_pb2_grpc import ClusterStub
from namestore.v1.namespaces_pb2_grpc import NamespacesStub
from namestore.v1.registry_pb2_grpc import NameRegistryStub

_ACCEPT_TIMEOUT_SECONDS = 0.2

_OPTIONS: list[tuple[str, Any]] = [
    # Retries are the session's, under request ids.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # A cluster is reached directly: an HTTP proxy in the environment is meant for other traffic.
    ("grpc.enable_http_proxy", 0),
    # Each client sees its own connections, so that closing or losing one concerns nobody else.
    ("grpc.use_local_subchannel_pool", 1),
    # A restarted node is found again soon; the session's own backoff spares the dead ones.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A stream may be open for ever: a connection that leads nowhere is noticed.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # 1000 records with their longest names and payloads fit.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
]


class _Peer:
    """The channel to one endpoint. `answered`: a namestore server answered there before."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.answered = False
        self.channel = grpc.insecure_channel(endpoint, options=_OPTIONS)
        self._stubs: dict[str, object] = {
            REGISTRY_SERVICE: NameRegistryStub(self.channel),
            NAMESPACES_SERVICE: NamespacesStub(self.channel),
            CLUSTER_SERVICE: ClusterStub(self.channel),
        }

    def invoker(self, method: Method[Any, Any]) -> Any:
        """The callable for that rpc."""
        return getattr(self._stubs[method.service], method.name)

    def failure(self, error: Any) -> Failure:
        """What a failed call means; never raises."""
        if states(error):
            self.answered = True
        return failure_of(self.endpoint, error, self._describe)

    def _describe(self, code: grpc.StatusCode, text: str) -> str:
        """For people. Nothing is decided by it."""
        reason = text.rpartition(": ")[2].rstrip("]") or code.name
        if code is grpc.StatusCode.UNAVAILABLE and not self.answered and self._accepts():
            return f"answers, but not as a namestore server ({reason})"
        return reason

    def _accepts(self) -> bool:
        host, _, port = self.endpoint.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _ACCEPT_TIMEOUT_SECONDS):
                return True
        except OSError:
            return False


class GrpcNetwork:
    """A `Network` over plaintext gRPC channels, each opened when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._peers: dict[str, _Peer] = {}
        self._closed = False

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
        peer = self._peer(endpoint)
        try:
            response: Message = _open(lambda: peer.invoker(method)(request, timeout=timeout))
        except grpc.RpcError as error:
            raise peer.failure(error) from error
        peer.answered = True
        return response

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
        peer = self._peer(endpoint)

        def finished(call: Any) -> None:
            if call.cancelled():
                done(NoAnswer(endpoint, Silence.LOST, "the call was given up"))
                return
            error = call.exception()
            if error is None:
                peer.answered = True
                done(call.result())
            else:
                done(peer.failure(error))

        future = _open(lambda: peer.invoker(method).future(request, timeout=timeout))
        future.add_done_callback(finished)
        cancel: Callable[[], None] = future.cancel
        return cancel

    def stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """See `Network.stream`."""
        peer = self._peer(endpoint)
        call = _open(lambda: peer.invoker(method)(request))
        return _messages(peer, call), call.cancel

    def converse(
        self, endpoint: str, method: Method[Any, Any], requests: Iterator[Message]
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """See `Conversing.converse`."""
        peer = self._peer(endpoint)
        call = _open(lambda: peer.invoker(method)(requests))
        return _messages(peer, call), call.cancel

    def close(self) -> None:
        """See `Network.close`."""
        with self._lock:
            self._closed = True
            peers = list(self._peers.values())
            self._peers.clear()
        for peer in peers:
            peer.channel.close()

    def _peer(self, endpoint: str) -> _Peer:
        with self._lock:
            if self._closed:
                raise ClientMisuse("this client is closed; make another NameStore")
            peer = self._peers.get(endpoint)
            if peer is None:
                peer = self._peers[endpoint] = _Peer(endpoint)
            return peer


def states(error: Any) -> bool:
    """A namestore server said this itself."""
    return any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())


def failure_of(
    endpoint: str, error: Any, describe: Callable[[grpc.StatusCode, str], str]
) -> Failure:
    """What the failure of a call means to the session.

    Args:
        endpoint: Where it was tried.
        error: The `grpc.RpcError`, or what looks like one.
        describe: Puts into words, for people, that no answer came.
    """
    if states(error):
        return error_from_rpc(error)
    code: grpc.StatusCode = error.code()
    text: str = error.details() or ""
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return NoAnswer(
            endpoint, Silence.FOREIGN, f"answers, but not as a namestore server ({text})"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return NoAnswer(endpoint, Silence.TIMED_OUT, "does not answer in time")
    return NoAnswer(endpoint, Silence.LOST, describe(code, text))


def _messages(peer: _Peer, call: Any) -> Iterator[Message]:
    try:
        yield from call
    except grpc.RpcError as error:
        raise peer.failure(error) from error


def _open(start: Callable[[], Any]) -> Any:
    """Starts a call. gRPC states that a channel is closed by a bare ValueError."""
    try:
        return start()
    except ValueError as error:
        raise ClientMisuse("this client was closed while a call began") from error
