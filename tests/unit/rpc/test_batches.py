"""Batches whose names differ in nothing else: taken, refused and answered as if spelled out."""

from __future__ import annotations

from typing import Any

import pytest

from namestore.core.commands import (
    Register,
    RegisterAll,
    RegisterEach,
    RegisterTogether,
    Wanted,
    encode_command,
    members,
    spelled_out,
)
from namestore.core.limits import BATCH_REQUESTS_MAX, PAYLOAD_BYTES_MAX, REQUEST_ID_BYTES_MAX
from namestore.errors import InvalidRequest
from namestore.rpc import requests
from namestore.rpc.batches import member_requests
from namestore.v1 import registry_pb2 as pb

ALL = pb.RegisterManyRequest.ALL_OR_NOTHING


def short(*names: str, **fields: Any) -> pb.RegisterManyRequest:
    return pb.RegisterManyRequest(
        names=names, **{"owner": "ann", "payload": b"p", "request_id": b"r" * 16} | fields
    )


def test_an_independent_batch_is_one_command() -> None:
    """The names as they are, and once what they have in common."""
    commands = requests.register_many_commands(short("user:a", "user:\u00e9"))
    assert commands == [RegisterEach(b"r" * 16, ("user:a", "user:\u00e9"), "ann", b"p")]


@pytest.mark.parametrize("mode", (pb.RegisterManyRequest.INDEPENDENT, ALL))
@pytest.mark.parametrize("names", (("user:a", "user:b"), ("user:a", "user:e\u0301")))
def test_it_means_what_its_requests_would_mean(names: tuple[str, ...], mode: Any) -> None:
    """Names in NFC and others, in both modes: the same registers, under the same request_ids."""
    request = short(*names, mode=mode)
    spelled = pb.RegisterManyRequest(requests=member_requests(request), mode=mode)
    found = requests.register_many_commands(request)
    commands = [one for command in found for one in spelled_out(command)]
    assert commands == requests.register_many_commands(spelled)


def test_members_are_numbered_behind_the_request_id() -> None:
    """As the wire contract says it: two bytes, the higher one first."""
    request = short(*(f"user:{number}" for number in range(258)))
    ids = [member.request_id for member in member_requests(request)]
    assert ids[0] == b"r" * 16 + b"\0\0"
    assert ids[257] == b"r" * 16 + b"\1\1"


def test_all_or_nothing_goes_by_the_first_members_id() -> None:
    """As it does where each request is spelled out; the names are said once."""
    (command,) = requests.register_many_commands(short("user:a", "user:b", mode=ALL))
    assert command == RegisterTogether(b"r" * 16 + b"\0\0", ("user:a", "user:b"), "ann", b"p")
    (command,) = requests.register_many_commands(short("user:a", "user:e\u0301", mode=ALL))
    wanted = (("user:a", "user:a"), ("user:\u00e9", "user:e\u0301"))
    assert command == RegisterAll(
        b"r" * 16 + b"\0\0", tuple(Wanted(*names, "ann", b"p") for names in wanted)
    )


def test_a_batch_without_a_request_id_gets_one() -> None:
    """For all of its names."""
    (command,) = requests.register_many_commands(short("user:a", request_id=b""), lambda: b"drawn")
    assert isinstance(command, RegisterEach)
    assert next(members(command)) == Register(b"drawn\0\0", Wanted("user:a", "user:a", "ann", b"p"))


def test_the_largest_batch_is_taken() -> None:
    """Every limit is inclusive, and the log takes what was taken here."""
    names = [f"user:{number}" for number in range(BATCH_REQUESTS_MAX)]
    largest = short(
        *names, payload=b"p" * PAYLOAD_BYTES_MAX, request_id=b"r" * (REQUEST_ID_BYTES_MAX - 2)
    )
    (command,) = requests.register_many_commands(largest)
    assert encode_command(command)


@pytest.mark.parametrize(
    ("request_", "field"),
    (
        (short(*["user:a"] * (BATCH_REQUESTS_MAX + 1)), "names"),
        (short("user:a", requests=[pb.RegisterRequest(name="user:b")]), "names"),
        (short(owner="", payload=b""), "request_id"),
        (short(payload=b"", request_id=b"", requests=[pb.RegisterRequest(name="a:b")]), "owner"),
        (short("user:a", "nonsense"), "names[1]"),
        (short("user:a", ""), "names[1]"),
        (short("user:a", owner="o" * 257), "owner"),
        (short("user:a", payload=b"p" * 1025), "payload"),
        (short("user:a", request_id=b"r" * 63), "request_id"),
        (short("user:a", "user:b", "user:a", mode=ALL), "names[2]"),
        (short("user:e\u0301", "user:\u00e9", mode=ALL), "names[1]"),
    ),
)
def test_what_is_refused_is_named(request_: pb.RegisterManyRequest, field: str) -> None:
    """Nothing of such a batch is proposed."""
    with pytest.raises(InvalidRequest) as caught:
        requests.register_many_commands(request_)
    assert caught.value.metadata == {"field": field}
