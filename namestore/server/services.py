"""The gRPC services: they translate, and nothing else.

Built from tables rather than from the generated servicers, because those answer a request that
cannot be decoded with a bare INTERNAL before any code of ours runs; here the decoder hands on what
it met, and the caller is told INVALID_ARGUMENT like for every other bad request.

Invariants: every error leaves with an ErrorInfo. An exception that nobody foresaw is logged with
its traceback; under a write it is answered as an unknown outcome, since it may have come after
the write was handed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message

from namestore.errors import (
    InvalidRequest,
    NamestoreError,
    NotImplementedYet,
    OutcomeUnknown,
    Overloaded,
)
from namestore.logs import get_logger
from namestore.rpc import status
from namestore.server.frames import Frames
from namestore.server.gateway import Gateway
from namestore.server.sessions import Session
from namestore.v1 import cluster_pb2, namespaces_pb2, registry_pb2

_log = get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, float], Awaitable[Message]]
# None: it has begun, with nothing to send yet.
Answers = Callable[[Any, float], AsyncGenerator[Any, None]]

_SERVICES = {
    service.full_name: service
    for module in (registry_pb2, cluster_pb2, namespaces_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
}
SERVICE_NAMES = tuple(_SERVICES)
REGISTRY_SERVICE = "namestore.v1.NameRegistry"
CLUSTER_SERVICE = "namestore.v1.Cluster"
NAMESPACES_SERVICE = "namestore.v1.Namespaces"

# The part of a caller's deadline that is kept for the way back, so that our answer, with its
# details, arrives before the caller's own clock cuts it off.
_WAY_BACK_SHARE = 0.1
_WAY_BACK_SECONDS_MAX = 0.1
# For what may take minutes: without a deadline of the caller's, and at most.
_PATIENCE_S, _PATIENCE_S_MAX = 60.0, 3600.0
# A stream whose caller takes nothing for so long is ended.
_UNTAKEN_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Stands in for a request whose bytes are not that message."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Call:
    """One method that is served.

    Attributes:
        writes: An unforeseen end leaves its outcome unknown.
        patient: It may take minutes: the caller's own deadline counts, not the node's limit.
    """

    answer: Answer
    writes: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class _Feed:
    """A stream of answers that is served; takes a request, and seconds until its first answer."""

    answers: Answers


@dataclass(frozen=True, slots=True)
class _Conversation:
    """A stream in both directions that is served."""

    frames: Frames


_Served = _Call | _Feed | _Conversation


def handlers(gateway: Gateway, request_timeout: float) -> tuple[grpc.GenericRpcHandler, ...]:
    """The handlers of all services, declared ones that are not served yet included.

    Args:
        gateway: Does the work.
        request_timeout: Seconds that no call waits longer than.
    """
    orders = gateway.orders
    frames = Frames(gateway, request_timeout, lambda seconds: time_left(seconds, request_timeout))
    served: dict[str, dict[str, _Served]] = {
        REGISTRY_SERVICE: {
            "Register": _Call(gateway.register, writes=True),
            "RegisterMany": _Call(gateway.register_many, writes=True),
            "Lookup": _Call(gateway.lookup),
            "LookupMany": _Call(gateway.lookup_many),
            "Release": _Call(gateway.release, writes=True),
            "Update": _Call(gateway.update, writes=True),
            "Confirm": _Call(gateway.confirm, writes=True),
            "Rename": _Call(gateway.rename, writes=True),
            "List": _Call(gateway.list),
            "History": _Call(gateway.history),
            "Export": _Feed(gateway.export),
            "Watch": _Feed(gateway.watch),
            "Session": _Conversation(frames),
        },
        CLUSTER_SERVICE: {
            "Status": _Call(gateway.status),
            "AddMember": _Call(orders.add_member, writes=True, patient=True),
            "RemoveMember": _Call(orders.remove_member, writes=True, patient=True),
            "TransferLeadership": _Call(orders.transfer_leadership, writes=True),
        },
        NAMESPACES_SERVICE: {
            "PutNamespace": _Call(gateway.put_namespace, writes=True, patient=True),
            "GetNamespace": _Call(gateway.get_namespace),
            "ListNamespaces": _Call(gateway.list_namespaces),
        },
    }
    return tuple(
        grpc.method_handlers_generic_handler(
            name, _method_handlers(service, served.get(name, {}), request_timeout)
        )
        for name, service in _SERVICES.items()
    )


def _method_handlers(
    service: Any, calls: Mapping[str, _Served], request_timeout: float
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    behaviour: Callable[[Any, Context], Awaitable[Any]]
    for method in service.methods:
        name = f"{service.name}/{method.name}"
        match calls.get(method.name):
            case _Call() as call:
                behaviour = _serve(name, call, request_timeout)
            case _Feed(answers):
                behaviour = _feed(name, answers, request_timeout)
            case _Conversation(frames):
                behaviour = _converse(name, frames)
            case None:
                behaviour = _refuse(f"{service.name}.{method.name}")
        made[method.name] = _KINDS[method.client_streaming, method.server_streaming](
            behaviour,
            request_deserializer=_decoder(method.input_type._concrete_class),
            response_serializer=_encode,
        )
    return made


# By whether the caller streams, and whether the server does.
_KINDS: dict[tuple[bool, bool], Callable[..., grpc.RpcMethodHandler[Any, Any]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _serve(
    method: str, call: _Call, request_timeout: float
) -> Callable[[Any, Context], Awaitable[Message]]:
    async def handle(request: Any, context: Context) -> Message:
        try:
            _check_decoded(request)
            remaining = context.time_remaining()
            if call.patient:
                timeout = time_left(remaining or _PATIENCE_S, _PATIENCE_S_MAX)
            else:
                timeout = time_left(remaining, request_timeout)
            return await call.answer(request, timeout)
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves with its details
            return await _fail(method, context, error, writes=call.writes)

    return handle


def _feed(
    method: str, answers: Answers, request_timeout: float
) -> Callable[[Any, Context], Awaitable[None]]:
    async def handle(request: Any, context: Context) -> None:
        try:
            _check_decoded(request)
            timeout = time_left(context.time_remaining(), request_timeout)
            async with aclosing(answers(request, timeout)) as messages:
                async for message in messages:
                    await _write(context, message)
        except Exception as error:  # noqa: BLE001  # as above
            await _fail(method, context, error, writes=False)

    return handle


async def _write(context: Context, message: Message | None) -> None:
    """Returns when there is room for the next."""
    try:
        async with asyncio.timeout(_UNTAKEN_S_MAX):
            if message is None:
                await context.send_initial_metadata(())
            else:
                await context.write(message)
    except TimeoutError:
        raise Overloaded(
            f"the caller took nothing for {_UNTAKEN_S_MAX:g} s; go on from what was taken"
        ) from None


def _check_decoded(request: Any) -> None:
    if isinstance(request, _Undecodable):
        raise InvalidRequest(f"the request cannot be decoded: {request.reason}")


async def _fail(method: str, context: Context, error: Exception, *, writes: bool) -> NoReturn:
    """Ends a call with what went wrong; of what nobody foresaw a caller hears no details."""
    if isinstance(error, NamestoreError) and type(error) in status.STATUS_OF_ERROR:
        await _abort(context, error)
    _log.exception("call.failed", method=method)
    unknown = OutcomeUnknown("the node met an error of its own; its log says more")
    await _abort(context, unknown, None if writes else grpc.StatusCode.INTERNAL)


def _converse(method: str, frames: Frames) -> Callable[[Any, Context], Awaitable[None]]:
    async def handle(requests: Any, context: Context) -> None:
        del requests  # the same messages as the context gives
        try:
            await Session(frames, context).run()
        except NamestoreError as error:
            await _abort(context, error)
        except Exception:  # noqa: BLE001  # mostly a caller who left in the middle of an answer
            _log.exception("session.failed", method=method)
            await _abort(context, OutcomeUnknown("the node met an error of its own"))

    return handle


def _refuse(method: str) -> Callable[[Any, Context], Awaitable[Any]]:
    async def handle(request: Any, context: Context) -> Any:
        del request
        await _abort(
            context,
            NotImplementedYet(
                f"{method} is declared for a later version of namestore; this one does not serve it"
            ),
        )

    return handle


def time_left(caller_seconds: float | None, request_timeout: float) -> float:
    """Seconds a call may take here: the caller's, less the way back, and never above the limit."""
    if caller_seconds is None:
        return request_timeout
    way_back = min(_WAY_BACK_SECONDS_MAX, caller_seconds * _WAY_BACK_SHARE)
    return min(caller_seconds - way_back, request_timeout)


async def _abort(
    context: Context, error: NamestoreError, code: grpc.StatusCode | None = None
) -> NoReturn:
    rich = status.rich_status(error, code)
    await context.abort(
        code or status.status_code(error), rich.message, status.trailing_metadata(rich)
    )


def _decoder(message: type[Message]) -> Callable[[bytes], Message | _Undecodable]:
    def decode(data: bytes) -> Message | _Undecodable:
        try:
            return message.FromString(data)
        except (DecodeError, ValueError) as error:
            return _Undecodable(str(error))

    return decode


def _encode(message: Message) -> bytes:
    return message.SerializeToString()
