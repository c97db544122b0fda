"""Which requests are taken, as which commands, and with which words the others are refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from google.protobuf.duration_pb2 import Duration

from namestore.core.commands import Register, RegisterAll, Release, Wanted, encode_command
from namestore.core.limits import (
    BATCH_REQUESTS_MAX,
    LABEL_BYTES_MAX,
    OWNER_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    REQUEST_ID_BYTES_MAX,
)
from namestore.errors import InvalidName, InvalidRequest
from namestore.rpc import changes, pages, requests
from namestore.v1 import registry_pb2 as pb

ALL = pb.RegisterManyRequest.ALL_OR_NOTHING


def many(*names: str, mode: pb.RegisterManyRequest.Mode.ValueType = 0) -> pb.RegisterManyRequest:
    items = [pb.RegisterRequest(name=name) for name in names]
    return pb.RegisterManyRequest(requests=items, mode=mode)


def counting() -> Callable[[], bytes]:
    numbers = count(1)
    return lambda: b"drawn-%d" % next(numbers)


def test_register_becomes_a_canonical_command() -> None:
    """The name is canonical, what the caller wrote is kept beside it."""
    request = pb.RegisterRequest(name="user:e\u0301", owner="o", request_id=b"r" * 16, payload=b"p")
    assert requests.register_command(request) == Register(
        b"r" * 16, Wanted("user:\u00e9", "user:e\u0301", "o", b"p")
    )


def test_register_without_request_id_gets_one_of_its_own() -> None:
    """Two calls without an id are two requests."""
    request = pb.RegisterRequest(name="user:a")
    one, other = (requests.register_command(request).request_id for _ in range(2))
    assert len(one) == 16
    assert one != other


def test_the_largest_request_is_taken() -> None:
    """Every limit is inclusive, and the log takes what was taken here."""
    request = pb.RegisterRequest(
        name="a" * 32 + ":" + "x" * LABEL_BYTES_MAX,
        owner="é" * (OWNER_BYTES_MAX // 2),
        request_id=b"r" * REQUEST_ID_BYTES_MAX,
        payload=b"p" * PAYLOAD_BYTES_MAX,
    )
    assert encode_command(requests.register_command(request))


@pytest.mark.parametrize(
    ("request_", "kind", "field"),
    (
        (pb.RegisterRequest(), InvalidName, "name"),
        (pb.RegisterRequest(name="alice"), InvalidName, "name"),
        (pb.RegisterRequest(name="user:" + "x" * 513), InvalidName, "name"),
        (pb.RegisterRequest(name="user:" + "x" * 1_000_000), InvalidName, "name"),
        (pb.RegisterRequest(name="user:a\n"), InvalidName, "name"),
        (pb.RegisterRequest(name="user:a", owner="é" * 129), InvalidRequest, "owner"),
        (pb.RegisterRequest(name="user:a", payload=b"p" * 1025), InvalidRequest, "payload"),
        (pb.RegisterRequest(name="user:a", request_id=b"r" * 65), InvalidRequest, "request_id"),
        (pb.RegisterRequest(name="user:a", ttl=Duration(seconds=-1)), InvalidRequest, "ttl"),
        (pb.RegisterRequest(name="user:a", ttl=Duration(nanos=-1)), InvalidRequest, "ttl"),
        (
            pb.RegisterRequest(name="user:a", ttl=Duration(seconds=400_000_000_000)),
            InvalidRequest,
            "ttl",
        ),
    ),
)
def test_register_refuses_and_names_the_field(
    request_: pb.RegisterRequest, kind: type[Exception], field: str
) -> None:
    """Alone, and as the second of a batch, where the field says which one it is."""
    with pytest.raises(kind) as alone:
        requests.register_command(request_)
    assert vars(alone.value)["metadata"] == {"field": field}
    batch = pb.RegisterManyRequest(requests=[pb.RegisterRequest(name="user:first"), request_])
    with pytest.raises(kind) as inside:
        requests.register_many_commands(batch)
    assert vars(inside.value)["metadata"] == {"field": f"requests[1].{field}"}
    assert f"requests[1].{field}" in str(inside.value)


def test_a_ttl_out_of_bounds_hears_both_of_them() -> None:
    """Who was too high by far is not told that it must not be negative."""
    request = pb.RegisterRequest(name="user:a", ttl=Duration(seconds=400_000_000_000))
    with pytest.raises(InvalidRequest, match="0 to 315,576,000,000 seconds"):
        requests.register_command(request)


def test_independent_batch_is_one_command_for_each() -> None:
    """Each request keeps its id or gets its own; a name may come twice: one of the two is taken."""
    commands = requests.register_many_commands(many("user:a", "user:a"), counting())
    assert commands == [
        Register(b"drawn-1", Wanted("user:a", "user:a", "")),
        Register(b"drawn-2", Wanted("user:a", "user:a", "")),
    ]


def test_all_or_nothing_batch_is_one_command() -> None:
    """The first request's id identifies the whole."""
    commands = requests.register_many_commands(many("user:a", "mail:a", mode=ALL), counting())
    wanted = (Wanted("user:a", "user:a", ""), Wanted("mail:a", "mail:a", ""))
    assert commands == [RegisterAll(b"drawn-1", wanted)]


@pytest.mark.parametrize(
    ("request_", "field"),
    (
        (many(), "requests"),
        (many(*["user:a"] * (BATCH_REQUESTS_MAX + 1)), "requests"),
        (many("user:a", "user:b", "user:a", mode=ALL), "requests[2].name"),
        (many("user:e\u0301", "user:\u00e9", mode=ALL), "requests[1].name"),
        (
            pb.RegisterManyRequest(
                requests=[pb.RegisterRequest(name=f"user:{n}", request_id=b"r") for n in "ab"]
            ),
            "requests[1].request_id",
        ),
    ),
)
def test_batch_refuses_what_excludes_itself(request_: pb.RegisterManyRequest, field: str) -> None:
    """None, too many, one name twice in all-or-nothing, one request_id twice in independent."""
    with pytest.raises(InvalidRequest) as caught:
        requests.register_many_commands(request_)
    assert caught.value.metadata == {"field": field}


def test_an_unknown_mode_or_consistency_is_refused() -> None:
    """A number this version does not know may mean anything: it is not taken for the default."""
    batch, lookup = many("user:a"), pb.LookupRequest(name="user:a")
    batch.MergeFromString(b"\x10\x07")
    lookup.MergeFromString(b"\x10\x07")
    with pytest.raises(InvalidRequest, match="mode 7"):
        requests.register_many_commands(batch)
    with pytest.raises(InvalidRequest, match="consistency 7"):
        requests.lookup_name(lookup)


def test_release_and_lookups_are_canonical_too() -> None:
    """Every way to name a name goes through the same form."""
    request = pb.ReleaseRequest(name="user:e\u0301", owner="o", request_id=b"r", create_revision=7)
    assert changes.release_command(request) == Release(b"r", "user:\u00e9", "o", 7)
    assert requests.lookup_name(pb.LookupRequest(name="user:e\u0301")) == "user:\u00e9"
    with pytest.raises(InvalidName) as caught:
        requests.lookup_names(pb.LookupManyRequest(names=["user:a", "b"]))
    assert caught.value.metadata == {"field": "names[1]"}
    with pytest.raises(InvalidRequest, match="1 to 1000"):
        requests.lookup_names(pb.LookupManyRequest())


def test_list_pages_are_bounded_and_tokens_belong_to_their_prefix() -> None:
    """A token comes back whole and with the prefix it was made for, or is refused."""
    token = pages.write_token("user:m\u00e9", "user:")
    page = requests.list_page(pb.ListRequest(prefix="user:", page_token=token))
    assert (page.prefix, page.after, page.size) == ("user:", "user:m\u00e9", 1000)
    flipped = ("B" if token[-5] != "B" else "C").join((token[:-5], token[-4:]))
    bad = (
        pb.ListRequest(prefix="post:", page_token=token),
        pb.ListRequest(prefix="user:", page_token=flipped),
        pb.ListRequest(prefix="user:", page_token="é"),
        pb.ListRequest(prefix="user:", page_token="A" * 5000),
    )
    for request in bad:
        with pytest.raises(InvalidRequest) as caught:
            requests.list_page(request)
        assert caught.value.metadata == {"field": "page_token"}
    with pytest.raises(InvalidRequest, match="page_size is 1001"):
        requests.list_page(pb.ListRequest(page_size=1001))
    with pytest.raises(InvalidRequest, match="prefix"):
        requests.list_page(pb.ListRequest(prefix="x" * 600))
