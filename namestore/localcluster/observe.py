"""What the nodes say about themselves, asked over gRPC from outside, as any caller could.

Responsible for asking several nodes at once and in bounded time. Not for what runs on this machine
(`node_process`). Never raises for a node that does not answer: that is an observation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import grpc
from grpc_health.v1 import health_pb2

from namestore.localcluster.interrupts import interrupts_held
from namestore.v1 import cluster_pb2, cluster_pb2_grpc, registry_pb2, registry_pb2_grpc

SERVICE = "namestore.v1.NameRegistry"
_PAGE_SIZE = 1000

_CHANNEL_OPTIONS = (
    # A proxy of the environment is for the way out; these calls stay on this machine.
    ("grpc.enable_http_proxy", 0),
    # Else channels share connections, and with them the growing wait after failed attempts: a node
    # that has just come up would not be seen for a while.
    ("grpc.use_local_subchannel_pool", 1),
)


class Health(Enum):
    """What a node's gRPC port says when asked for the registry's health."""

    SERVING = "serving"
    NOT_SERVING = "not serving"
    NO_ANSWER = "no answer"
    FOREIGN = "not a namestore node"


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node's answers. `status` is None when there was none."""

    health: Health
    status: cluster_pb2.StatusResponse | None = None

    @property
    def leads(self) -> bool:
        """It takes itself for the leader."""
        return self.status is not None and self.status.role == cluster_pb2.LEADER


def open_channel(endpoint: str) -> grpc.Channel:
    """A plain channel to one node, for calls from this machine to itself. Close it."""
    return grpc.insecure_channel(endpoint, options=_CHANNEL_OPTIONS)


def observe(endpoints: Mapping[str, str], timeout: float = 1.0) -> dict[str, NodeView]:
    """Asks every endpoint (by node id) for health and status, all at the same time.

    Args:
        endpoints: host:port by node id.
        timeout: Seconds after which a node that did not answer counts as one that does not.
    """
    channels = {node_id: open_channel(endpoint) for node_id, endpoint in endpoints.items()}
    try:
        # A channel in whose making of a call an interrupt came may never close.
        with interrupts_held():
            asked = {
                node_id: (
                    _health_check(channel).future(
                        health_pb2.HealthCheckRequest(service=SERVICE), timeout=timeout
                    ),
                    cluster_pb2_grpc.ClusterStub(channel).Status.future(
                        cluster_pb2.StatusRequest(), timeout=timeout
                    ),
                )
                for node_id, channel in channels.items()
            }
        return {node_id: _view(*calls) for node_id, calls in asked.items()}
    finally:
        for channel in channels.values():
            channel.close()


def names_digest(endpoint: str, timeout: float = 10.0) -> str:
    """A checksum over every record that one node holds, in order, read from that node alone.

    Two nodes with the same digest hold the same names, owners, payloads and revisions.

    Args:
        endpoint: host:port of the node.
        timeout: Seconds for each page of 1000 names.

    Raises:
        grpc.RpcError: The node did not answer.
    """
    digest = hashlib.sha256()
    page_token = ""
    with open_channel(endpoint) as channel:
        stub = registry_pb2_grpc.NameRegistryStub(channel)
        while True:
            page = stub.List(
                registry_pb2.ListRequest(
                    page_size=_PAGE_SIZE, page_token=page_token, consistency=registry_pb2.STALE
                ),
                timeout=timeout,
            )
            for record in page.records:
                encoded = record.SerializeToString(deterministic=True)
                digest.update(len(encoded).to_bytes(4, "big") + encoded)
            page_token = page.next_page_token
            if not page_token:
                return digest.hexdigest()


def _health_check(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]:
    # Spelled out because the published type stubs of the health stub do not know its calls.
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )


def _view(
    health_call: grpc.Future[health_pb2.HealthCheckResponse],
    status_call: grpc.Future[cluster_pb2.StatusResponse],
) -> NodeView:
    try:
        serving = health_call.result().status == health_pb2.HealthCheckResponse.SERVING
        health = Health.SERVING if serving else Health.NOT_SERVING
    except grpc.RpcError as error:
        health = _health_of(error)
    try:
        return NodeView(health, status_call.result())
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return NodeView(Health.FOREIGN)
        return NodeView(health)


def _health_of(error: grpc.RpcError) -> Health:
    foreign = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND)
    return Health.FOREIGN if error.code() in foreign else Health.NO_ANSWER
