"""A gRPC server that does nothing: `python -m benchmarks.empty_handler HOST:PORT`.

What grpcio's asyncio server costs by itself: it decodes a Register, and answers that it is taken.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from namestore.v1 import registry_pb2

_ANSWER = registry_pb2.RegisterResponse(
    refusal=registry_pb2.TAKEN,
    record=registry_pb2.NameRecord(name="user:unary", owner="account-17"),
    revision=1,
)


async def register(request: Any, context: Any) -> Any:
    """Answers with the same message each time."""
    return _ANSWER


async def serve(address: str) -> None:
    """Until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(
        register,
        request_deserializer=registry_pb2.RegisterRequest.FromString,
        response_serializer=registry_pb2.RegisterResponse.SerializeToString,
    )
    methods = grpc.method_handlers_generic_handler(
        "namestore.v1.NameRegistry", {"Register": handler}
    )
    server.add_generic_rpc_handlers((methods,))
    if not server.add_insecure_port(address):
        raise SystemExit(f"cannot listen on {address}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
