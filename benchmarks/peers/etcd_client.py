"""etcd's API from Python: grpcio and etcd's own messages, with nothing between.

The fastest way a Python application has; the packaged clients wrap these same calls. A name is
taken by a transaction: if it was never created, put it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import grpc
import grpc.aio

from benchmarks.peers.interface import OWNER, Address

# Compiled when imported, by grpcio-tools: no generated file to keep up to date.
pb: Any = cast("Callable[[str], Any]", grpc.protos)("benchmarks/peers/etcd.proto")

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
)
_VALUE = OWNER.encode()
# Of an attempt while the leader may be dead. A server without a leader waits seconds to say so.
_ATTEMPT_SECONDS = 0.25
_PAUSE_SECONDS = 0.01


def key_of(name: str) -> bytes:
    """The key under which etcd keeps a name."""
    return b"names/" + name.encode()


def take(names: Sequence[str]) -> Any:
    """The transaction that takes all of these names, or none."""
    keys = [key_of(name) for name in names]
    return pb.TxnRequest(
        compare=[pb.Compare(target=pb.Compare.CREATE, key=k, create_revision=0) for k in keys],
        success=[pb.RequestOp(request_put=pb.PutRequest(key=k, value=_VALUE)) for k in keys],
    )


def take_each(names: Sequence[str]) -> Any:
    """The transaction that takes those of these names that are free: one in it for each."""
    return pb.TxnRequest(success=[pb.RequestOp(request_txn=take([name])) for name in names])


class Api:
    """The calls of one channel, blocking or asyncio as the channel is."""

    def __init__(self, channel: Any) -> None:
        self.txn = channel.unary_unary(
            "/etcdserverpb.KV/Txn",
            request_serializer=pb.TxnRequest.SerializeToString,
            response_deserializer=pb.TxnResponse.FromString,
        )
        self.range = channel.unary_unary(
            "/etcdserverpb.KV/Range",
            request_serializer=pb.RangeRequest.SerializeToString,
            response_deserializer=pb.RangeResponse.FromString,
        )
        self.status = channel.unary_unary(
            "/etcdserverpb.Maintenance/Status",
            request_serializer=pb.StatusRequest.SerializeToString,
            response_deserializer=pb.StatusResponse.FromString,
        )


class EtcdClient:
    """Callers of one process share one channel, to the leader: no hop from a follower to it."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.aio.insecure_channel(endpoint, OPTIONS)
        self._api = Api(self._channel)

    @classmethod
    async def connect(cls, address: Address) -> EtcdClient:
        client = cls(address["endpoints"][0])
        await client._channel.channel_ready()
        return client

    async def register(self, name: str) -> bool:
        return bool((await self._api.txn(take([name]))).succeeded)

    async def register_each(self, names: Sequence[str]) -> int:
        response = await self._api.txn(take_each(names))
        return sum(each.response_txn.succeeded for each in response.responses)

    async def register_all(self, names: Sequence[str]) -> bool:
        return bool((await self._api.txn(take(names))).succeeded)

    async def lookup(self, name: str) -> bool:
        return bool((await self._api.range(pb.RangeRequest(key=key_of(name)))).kvs)

    async def close(self) -> None:
        await self._channel.close()


class PersistentEtcdClient:
    """Tries one server after the other until one answers: for measuring outages.

    A transaction that was tried twice may find that its first attempt took the name: its answer
    says that there is service, not who was granted the name.
    """

    def __init__(self, address: Address) -> None:
        # A channel that lost its server comes back soon, not after grpc's two minutes at most.
        options = (*OPTIONS, ("grpc.max_reconnect_backoff_ms", 500))
        self._channels = [
            grpc.aio.insecure_channel(endpoint, options) for endpoint in address["endpoints"]
        ]
        self._apis = [Api(channel) for channel in self._channels]
        self._best = 0

    async def register(self, name: str) -> bool:
        request = take([name])
        while True:
            tried = self._best
            try:
                response = await self._apis[tried].txn(request, timeout=_ATTEMPT_SECONDS)
            except grpc.aio.AioRpcError:
                if self._best == tried:
                    self._best = (tried + 1) % len(self._apis)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            return bool(response.succeeded)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
