"""The gRPC server of a node: its options, its services, its port."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from namestore.config import LimitsConfig
from namestore.errors import ConfigError
from namestore.server import services
from namestore.server.gateway import Gateway

# 1000 requests of the largest kind and the records in their way fit.
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# Beyond what admission lets wait, so that callers hear OVERLOADED with its details from us rather
# than a bare refusal from the gRPC runtime.
_CALLS_BEYOND_ADMISSION = 2_000


def make_server(limits: LimitsConfig) -> grpc.aio.Server:
    """A server without services, not yet bound and not yet started."""
    return grpc.aio.server(
        options=_options(), maximum_concurrent_rpcs=_concurrent_calls_max(limits)
    )


def add_services(
    server: grpc.aio.Server,
    gateway: Gateway,
    health_service: health.aio.HealthServicer,
    limits: LimitsConfig,
) -> None:
    """Gives the server every service of a node. Before it starts."""
    server.add_generic_rpc_handlers(services.handlers(gateway, limits.request_timeout_ms / 1000))
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    names = (*services.SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


def bind(server: grpc.aio.Server, address: str) -> str:
    """Takes the port; returns the address with the port that was taken, a free one for port 0.

    Raises:
        ConfigError: It cannot be had.
    """
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise ConfigError(
            f"cannot serve at {address}: another process uses the port, or the address is not one "
            "of this machine; end that process, or configure another grpc address"
        )
    return f"{address.rpartition(':')[0]}:{port}"


async def watch_health(gateway: Gateway, health_service: health.aio.HealthServicer) -> None:
    """Sets what the health service says of the registry to what is true now."""
    await health_service.set(
        services.REGISTRY_SERVICE,
        health_pb2.HealthCheckResponse.SERVING
        if gateway.serving
        else health_pb2.HealthCheckResponse.NOT_SERVING,
    )


def _concurrent_calls_max(limits: LimitsConfig) -> int:
    # Writes and reads are admitted apart.
    return 2 * limits.pending_commands_max + limits.watchers_max + _CALLS_BEYOND_ADMISSION


def _options() -> list[tuple[str, int]]:
    return [
        # Two nodes told to use one port must not silently share it.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        # A caller that vanished is noticed within half a minute, and may itself ask as often.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ]
