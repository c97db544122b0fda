"""A namestore server that answers from a script, and servers of other kinds, on loopback.

Real gRPC over real sockets: for what a fake network cannot show.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from namestore import errors
from namestore.rpc.status import rich_status, status_code, trailing_metadata
from namestore.v1 import cluster_pb2, cluster_pb2_grpc, registry_pb2, registry_pb2_grpc

Step = errors.NamestoreError | grpc.StatusCode | Callable[[Any], Any]


class ScriptedServer:
    """One node, on a free port unless told which. Grants every name once.

    Before that, each call of the registry takes one step off the script: an error that is answered
    as a server states it; a status code that is answered as a channel makes it, without details;
    or a function of the request, which may wait.
    """

    def __init__(self, node_id: str = "n1", endpoint: str = "127.0.0.1:0") -> None:
        self.script: list[Step] = []
        self.seen: list[Any] = []
        self.names: dict[str, registry_pb2.RegisterRequest] = {}
        self.status = cluster_pb2.StatusResponse(
            node_id=node_id, cluster_name="test", leader_id="n1", role=cluster_pb2.LEADER
        )
        self._workers = ThreadPoolExecutor(16)
        self._server = grpc.server(self._workers, options=[("grpc.so_reuseport", 0)])
        registry_pb2_grpc.add_NameRegistryServicer_to_server(
            _Registry(self),  # type: ignore[abstract]  # the calls it lacks answer UNIMPLEMENTED
            self._server,
        )
        cluster_pb2_grpc.add_ClusterServicer_to_server(
            _Cluster(self),  # type: ignore[abstract]  # the same
            self._server,
        )
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port(endpoint)}"
        self._server.start()

    def stop(self) -> None:
        """Drops every connection and gives the port up."""
        self._server.stop(0).wait()
        self._workers.shutdown(wait=True)

    def answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        """One step of the script, or None: the ordinary answer."""
        self.seen.append(request)
        if not self.script:
            return None
        step = self.script.pop(0)
        if isinstance(step, errors.NamestoreError):
            context.set_trailing_metadata(trailing_metadata(rich_status(step)))
            context.abort(status_code(step), step.message)
        if isinstance(step, grpc.StatusCode):
            context.abort(step, "made by something between")
        return step(request)

    def register(self, request: registry_pb2.RegisterRequest) -> registry_pb2.RegisterResponse:
        """As a registry does: the first request is granted the name, and all its retries."""
        holder = self.names.setdefault(request.name, request)
        registered = holder.request_id == request.request_id
        return registry_pb2.RegisterResponse(
            registered=registered,
            refusal=registry_pb2.REFUSAL_UNSPECIFIED if registered else registry_pb2.TAKEN,
            record=registry_pb2.NameRecord(name=request.name, owner=holder.owner),
            revision=len(self.names),
        )


class _Registry(registry_pb2_grpc.NameRegistryServicer):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def Register(  # noqa: N802  # the contract's name
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        return self._server.answer(request, context) or self._server.register(request)

    def Lookup(  # noqa: N802  # the contract's name
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        holder = self._server.names.get(request.name)
        return self._server.answer(request, context) or registry_pb2.LookupResponse(
            found=holder is not None
        )

    def Watch(  # noqa: N802  # the contract's name
        self, request: Any, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        yield registry_pb2.Event(revision=1, kind=registry_pb2.Event.REGISTERED)
        self._server.answer(request, context)


class _Cluster(cluster_pb2_grpc.ClusterServicer):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def Status(  # noqa: N802  # the contract's name
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        del request, context
        return self._server.status


@contextmanager
def scripted_server(**options: Any) -> Iterator[ScriptedServer]:
    """A scripted server, stopped at the end."""
    server = ScriptedServer(**options)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def foreign_grpc_server() -> Iterator[str]:
    """The endpoint of a gRPC server that serves nothing of namestore."""
    with ThreadPoolExecutor(1) as workers:
        server = grpc.server(workers, options=[("grpc.so_reuseport", 0)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


@contextmanager
def plain_tcp_server(reply: bytes | None) -> Iterator[str]:
    """The endpoint of a server that answers every connection with `reply` and closes it.

    None: it accepts connections and says nothing, as a stopped process does.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            if reply is not None:
                connection.recv(16)
                connection.sendall(reply)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in kept:
            connection.close()


def closed_port() -> str:
    """An endpoint where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
