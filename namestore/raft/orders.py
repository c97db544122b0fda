"""What an operator may order of a cluster, as values, and their bytes between two nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

from namestore.errors import (
    ChangeUnderWay,
    InvalidRequest,
    NamestoreError,
    NoLeader,
    NoQuorum,
    OutcomeUnknown,
    Overloaded,
    ShuttingDown,
)
from namestore.raft.membership import Membership, decode_membership, encode_membership

# Errors that an order may end in, by the reason that travels.
_ERRORS: dict[str, type[NamestoreError]] = {
    error.REASON: error
    for error in (
        ChangeUnderWay,
        InvalidRequest,
        NoLeader,
        NoQuorum,
        OutcomeUnknown,
        Overloaded,
        ShuttingDown,
    )
}


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand leadership to that member; empty: to the most caught-up one."""

    node_id: str = ""


@dataclass(frozen=True, slots=True)
class Add:
    """Add a voter, reached by the other nodes at `raft_address`."""

    node_id: str
    raft_address: str
    grpc_address: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a member."""

    node_id: str


Order = Transfer | Add | Remove
# The new leader's id after a transfer, the membership after a change, or what went wrong.
OrderAnswer = str | Membership | NamestoreError

_TRANSFER, _ADD, _REMOVE = 1, 2, 3
_KINDS: dict[int, Callable[..., Order]] = {_TRANSFER: Transfer, _ADD: Add, _REMOVE: Remove}


def encode_order(order: Order) -> bytes:
    """The bytes of an order."""
    match order:
        case Transfer(node_id):
            fields: tuple[Any, ...] = (_TRANSFER, node_id)
        case Add(node_id, raft_address, grpc_address):
            fields = (_ADD, node_id, raft_address, grpc_address)
        case Remove(node_id):
            fields = (_REMOVE, node_id)
    packed: bytes = msgpack.packb(fields)
    return packed


def decode_order(data: bytes) -> Order:
    """The reverse of `encode_order`. Raises ValueError: not an order."""
    try:
        kind, *fields = msgpack.unpackb(data)
        if not all(type(field) is str for field in fields):
            raise ValueError("a field of an order is not text")
        order: Order = _KINDS[kind](*fields)
        return order
    except (KeyError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"not an order: {error}") from error


def encode_answer(answer: OrderAnswer) -> bytes:
    """The bytes of what became of an order."""
    match answer:
        case str():
            fields: tuple[Any, ...] = ("leader", answer)
        case Membership():
            fields = ("members", encode_membership(answer))
        case NamestoreError():
            fields = ("error", answer.REASON, answer.message)
    packed: bytes = msgpack.packb(fields)
    return packed


def decode_answer(data: bytes) -> OrderAnswer:
    """The reverse of `encode_answer`. Raises ValueError: not an answer."""
    try:
        kind, *fields = msgpack.unpackb(data)
        if kind == "leader":
            return str(fields[0])
        if kind == "members":
            return decode_membership(fields[0])
        return _ERRORS.get(fields[0], OutcomeUnknown)(str(fields[1]))
    except (IndexError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"not an answer to an order: {error}") from error
