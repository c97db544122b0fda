"""Errors <-> gRPC status: one table, read in both directions.

An error travels as a google.rpc.Status in the trailing metadata whose details hold one
google.rpc.ErrorInfo: domain "namestore", the error's `REASON`, and its metadata. Identity is the
reason, never the text. For one item of a session a `CallError` says the same.

What a *channel* says is something else than what a server says. A status without our ErrorInfo was
made by a channel, a proxy or the gRPC runtime, none of which knows whether the server had already
acted: such UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL, UNKNOWN (and whatever else is not
plainly a refusal to look at the request) reads as `OutcomeUnknown`. That is the truth about a
write; whoever sent a *read* knows that repeating it harms nothing, and may treat it as
unavailability.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError

# googleapis-common-protos ships no types, and stubs under typings/ would hide google.protobuf's.
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from namestore import errors
from namestore.v1 import registry_pb2 as pb

DOMAIN = "namestore"
DETAILS_KEY = "grpc-status-details-bin"
# Trailing metadata is limited to some 8 KiB by default, and the text travels twice.
_TEXT_CHARS_MAX = 600

# The table. The reason is the class's own REASON.
STATUS_OF_ERROR: dict[type[errors.NamestoreError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidName: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NameNotFound: grpc.StatusCode.NOT_FOUND,
    errors.NotOwner: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StaleFence: grpc.StatusCode.FAILED_PRECONDITION,
    errors.OwnerLimit: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ChangeUnderWay: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RevisionCompacted: grpc.StatusCode.OUT_OF_RANGE,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotImplementedYet: grpc.StatusCode.UNIMPLEMENTED,
    errors.NoQuorum: grpc.StatusCode.UNAVAILABLE,
    errors.NoLeader: grpc.StatusCode.UNAVAILABLE,
    errors.ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.OutcomeUnknown: grpc.StatusCode.ABORTED,
}
_ERROR_OF_REASON = {error.REASON: error for error in STATUS_OF_ERROR}
_CODE_OF_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

# Our domain, but a reason this version does not know: a newer server. The status code still
# answers the first question, whether it happened.
_ERROR_OF_STATUS: dict[grpc.StatusCode, type[errors.NamestoreError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND: errors.Refused,
    grpc.StatusCode.FAILED_PRECONDITION: errors.Refused,
    grpc.StatusCode.OUT_OF_RANGE: errors.Refused,
    grpc.StatusCode.UNAUTHENTICATED: errors.AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: errors.AccessDenied,
    grpc.StatusCode.UNIMPLEMENTED: errors.NotImplementedYet,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Unavailable,
}

# Not ours at all, yet plainly said before anything could have been applied.
_ERROR_OF_FOREIGN_STATUS: dict[grpc.StatusCode, type[errors.NamestoreError]] = {
    grpc.StatusCode.UNIMPLEMENTED: errors.NotImplementedYet,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
}


def status_code(error: errors.NamestoreError) -> grpc.StatusCode:
    """The gRPC status code an error travels under.

    An error that has no reason to travel (a fault inside the node) goes as OUTCOME_UNKNOWN.
    """
    return STATUS_OF_ERROR.get(type(error), grpc.StatusCode.ABORTED)


def rich_status(
    error: errors.NamestoreError, code: grpc.StatusCode | None = None
) -> status_pb2.Status:
    """The google.rpc.Status of an error.

    Args:
        error: What went wrong.
        code: Overrides the table's status code, as the contract allows for some reasons.
    """
    info = error_details_pb2.ErrorInfo(
        reason=_reason(error), domain=DOMAIN, metadata=dict(error.metadata)
    )
    number, _ = (code or status_code(error)).value
    status = status_pb2.Status(code=number, message=_text(error))
    status.details.add().Pack(info)
    return status


def trailing_metadata(status: status_pb2.Status) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that carries a status's details."""
    return ((DETAILS_KEY, status.SerializeToString()),)


def error_from_rpc(error: grpc.RpcError) -> errors.NamestoreError:
    """The exception a failed call stands for; see this module's docstring for foreign statuses.

    Args:
        error: As raised by a blocking or an asyncio stub.
    """
    call: Any = error
    code: grpc.StatusCode = call.code()
    text: str = call.details() or ""
    stated = _stated(call.trailing_metadata() or ())
    if stated is None:
        return _foreign_error(code, text)
    # A call that was given up just as its answer came has gRPC's own text, and our details.
    info, message = stated
    return _stated_error(info.reason, code, message or text, info.metadata)


def call_error(error: errors.NamestoreError, code: grpc.StatusCode | None = None) -> pb.CallError:
    """What `rich_status` says, for one item of a session."""
    number, _ = (code or status_code(error)).value
    return pb.CallError(
        code=number, message=_text(error), reason=_reason(error), metadata=error.metadata
    )


def error_from_call_error(error: pb.CallError) -> errors.NamestoreError:
    """The exception that an item of a session failed with."""
    code = _CODE_OF_NUMBER.get(error.code, grpc.StatusCode.UNKNOWN)
    return _stated_error(error.reason, code, error.message, error.metadata)


def _stated_error(
    reason: str, code: grpc.StatusCode, text: str, metadata: Mapping[str, str]
) -> errors.NamestoreError:
    kind = _ERROR_OF_REASON.get(reason) or _ERROR_OF_STATUS.get(code, errors.OutcomeUnknown)
    found = kind(text)
    found.metadata.update(metadata)
    return found


def _text(error: errors.NamestoreError) -> str:
    text = error.message
    return text if len(text) <= _TEXT_CHARS_MAX else text[: _TEXT_CHARS_MAX - 1] + "…"


def _reason(error: errors.NamestoreError) -> str:
    return error.REASON if type(error) in STATUS_OF_ERROR else errors.OutcomeUnknown.REASON


def _stated(
    metadata: Iterable[tuple[str, Any]],
) -> tuple[error_details_pb2.ErrorInfo, str] | None:
    """What a namestore server said went wrong, and in which words."""
    for key, value in metadata:
        if key != DETAILS_KEY:
            continue
        try:
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == DOMAIN:
                    return info, status.message
        except DecodeError:
            return None  # not written by namestore: read as a foreign status
    return None


def _foreign_error(code: grpc.StatusCode, text: str) -> errors.NamestoreError:
    kind = _ERROR_OF_FOREIGN_STATUS.get(code, errors.OutcomeUnknown)
    if kind is errors.NotImplementedYet:
        return kind(f"the server there does not know this call; is it a namestore node? ({text})")
    return kind(f"{code.name}: {text}" if text else code.name)
