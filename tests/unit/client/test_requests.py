"""What an application passes, before it is sent."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from namestore.client.batches import member_request_ids, requests_for, results_from
from namestore.client.requests import (
    checked_revision,
    checked_timeout,
    drawn_request_id,
    register_request,
    several,
)
from namestore.client.values import NewName
from namestore.errors import InvalidName, InvalidRequest, OutcomeUnknown
from namestore.rpc.batches import member_requests, member_results
from namestore.v1 import registry_pb2 as pb


@pytest.mark.parametrize(
    ("ttl", "seconds"), ((600, 600.0), (0.25, 0.25), (timedelta(hours=1), 3600))
)
def test_ttl_is_seconds_or_a_timedelta(ttl: Any, seconds: float) -> None:
    """Both spellings reach the wire as the same duration."""
    request = register_request("user:a", "", b"", ttl, b"id")
    assert request.ttl.ToTimedelta().total_seconds() == seconds


def test_without_ttl_the_request_is_permanent() -> None:
    """An absent ttl stays absent on the wire."""
    assert not register_request("user:a", "", b"", None, b"id").HasField("ttl")


@pytest.mark.parametrize(
    ("arguments", "field"),
    (
        (("user:a", 7, b"", None), "owner"),
        (("user:a", "\udfff", b"", None), "owner"),
        (("user:a", "", "text", None), "payload"),
        (("user:a", "", b"", -1), "ttl"),
        (("user:a", "", b"", float("nan")), "ttl"),
    ),
)
def test_what_cannot_be_sent_names_its_field(
    arguments: tuple[Any, Any, Any, Any], field: str
) -> None:
    """The error says which argument it is about."""
    with pytest.raises(InvalidRequest) as caught:
        register_request(*arguments, b"id")
    assert caught.value.metadata["field"] == field


def test_what_is_out_of_bounds_hears_both_of_them() -> None:
    """Who was too high by far is not told to give 0 or more."""
    with pytest.raises(InvalidRequest, match="0 to 1,000,000,000 seconds"):
        register_request("user:a", "", b"", 1e12, b"id")
    with pytest.raises(InvalidRequest, match=f"at most {2**64 - 1}"):
        checked_revision(2**64)
    assert checked_revision(2**64 - 1) == 2**64 - 1


@pytest.mark.parametrize("name", (7, None, b"user:a", "user:\ud800"))
def test_a_name_that_is_not_text_is_an_invalid_name(name: Any) -> None:
    """A name is text that has UTF-8; everything else about it is the server's to judge."""
    with pytest.raises(InvalidName):
        register_request(name, "", b"", None, b"id")


def test_request_id_is_drawn_or_kept() -> None:
    """A given id is kept; else 16 random bytes are drawn, new each time."""
    assert drawn_request_id(b"mine") == b"mine"
    assert len({drawn_request_id(None) for _ in range(50)}) == 50
    for bad in (b"", b"x" * 65, "text"):
        with pytest.raises(InvalidRequest):
            drawn_request_id(bad)


def test_members_of_a_batch_have_lasting_ids_of_their_own() -> None:
    """The same batch sent again carries the same ids; no two members share one."""
    ids = list(islice(member_request_ids(b"whole"), 100))
    assert ids == list(islice(member_request_ids(b"whole"), 100))
    assert len(set(ids)) == 100
    assert next(member_request_ids(b"other")) not in ids


def test_batch_fills_in_what_a_name_leaves_open() -> None:
    """Defaults of the call hold unless the name brings its own."""
    (request,) = requests_for(
        ["user:a", ("user:b", "bo"), NewName("user:c", payload=b"c", ttl=5), NewName("user:d", "")],
        "al",
        b"p",
        9,
        b"whole",
        0,
    )
    made = request.requests
    assert [request.owner for request in made] == ["al", "bo", "al", ""]
    assert [request.payload for request in made] == [b"p", b"p", b"c", b"p"]
    assert [request.ttl.seconds for request in made] == [9, 9, 5, 9]


@pytest.mark.parametrize("names", ("user:alice", b"user:alice"))
def test_one_text_is_not_many_names(names: Any) -> None:
    """A single text would be taken apart into letters: it is refused."""
    with pytest.raises(InvalidRequest, match="give a list"):
        several(names)


@pytest.mark.parametrize("wanted", (("a", "b", "c"), 7, None))
def test_a_batch_of_something_else_is_refused(wanted: Any) -> None:
    """Members are names, pairs or NewName."""
    with pytest.raises(InvalidName):
        requests_for([wanted], "", b"", None, b"whole", 0)


def test_a_batch_is_short_where_only_the_names_differ() -> None:
    """It says owner and payload once, and means the same as spelled out, request_ids included."""
    names = [f"user:{number}" for number in range(1001)]
    short = requests_for(names, "al", b"p", None, b"whole", 0)
    assert [len(request.names) for request in short] == [1000, 1]
    assert not any(request.requests for request in short)
    long = requests_for([*names, ("user:else", "x")], "al", b"p", None, b"whole", 0)
    spelled = [each for request in long for each in request.requests]
    assert [each for request in short for each in member_requests(request)] == spelled[:-1]
    ids = [each.request_id for request in short for each in member_requests(request)]
    assert ids == list(islice(member_request_ids(b"whole"), 1001))


@pytest.mark.parametrize("bad", ("user:\ud800", 7, None, b"user:a"))
def test_a_name_that_cannot_be_sent_is_refused_in_the_short_form_too(bad: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidName):
        requests_for(["user:a", bad], "", b"", None, b"whole", 0)


def test_the_short_answer_is_what_as_many_results_would_have_said() -> None:
    """Names that were granted in order: the same values as from results, name by name."""
    (request,) = requests_for(["user:a", "user:b"], "al", b"p", None, b"whole", 0)
    short = pb.RegisterManyResponse()
    short.granted.first_revision = 41
    short.granted.create_time.FromMilliseconds(1_700_000_000_123)
    spelled = pb.RegisterManyResponse(results=member_results(request, short))
    found = results_from(request, short)
    assert found == results_from(request, spelled)
    assert [result.record.create_revision for result in found if result.record] == [41, 42]


@pytest.mark.parametrize("names", (["user:a", "user:b"], [("user:a", "x"), ("user:b", "y")]))
@pytest.mark.parametrize("count", (0, 1, 3))
def test_an_answer_that_does_not_fit_is_no_answer(names: Any, count: int) -> None:
    """Never a result under another name, nor fewer than were asked for: it is unknown."""
    (request,) = requests_for(names, "", b"", None, b"whole", 0)
    with pytest.raises(OutcomeUnknown):
        results_from(request, pb.RegisterManyResponse(results=[pb.RegisterResponse()] * count))
    both = pb.RegisterManyResponse(results=[pb.RegisterResponse()] * (count + 1))
    both.granted.first_revision = 1
    with pytest.raises(OutcomeUnknown):
        results_from(request, both)


def test_the_short_answer_to_a_long_request_is_no_answer() -> None:
    """It says nothing of owners that differ."""
    (request,) = requests_for([("user:a", "x"), ("user:b", "y")], "", b"", None, b"whole", 0)
    short = pb.RegisterManyResponse()
    short.granted.first_revision = 1
    with pytest.raises(OutcomeUnknown):
        results_from(request, short)


def test_names_that_bring_the_same_are_alike() -> None:
    """However an application says it, names that differ in nothing else travel short."""
    expected = requests_for(["user:a", "user:b"], "al", b"p", None, b"whole", 0)
    pairs = [("user:a", "al"), NewName("user:b", "al", b"p")]
    assert requests_for(pairs, "other", b"p", None, b"whole", 0) == expected
    for differs in (
        NewName("user:b"),
        NewName("user:b", "al", b"q"),
        NewName("user:b", "al", ttl=1),
    ):
        (request,) = requests_for([("user:a", "al"), differs], "x", b"p", None, b"whole", 0)
        assert (len(request.names), len(request.requests)) == (0, 2)
    assert requests_for([], "al", b"p", 9, b"whole", 0) == []


@pytest.mark.parametrize("names", (None, 7))
def test_what_cannot_be_listed_is_refused(names: Any) -> None:
    """As an error of namestore's, which says what to give instead."""
    with pytest.raises(InvalidRequest, match="give a list"):
        several(names)


@pytest.mark.parametrize("seconds", ("5", "soon", None, float("nan"), 0, -1))
def test_a_timeout_is_a_positive_number(seconds: Any) -> None:
    """Anything else is refused before a thing is sent."""
    with pytest.raises(InvalidRequest) as caught:
        checked_timeout(seconds)
    assert caught.value.metadata == {"field": "timeout"}


def test_a_ttl_that_is_no_time_is_refused() -> None:
    """As an error of namestore's."""
    with pytest.raises(InvalidRequest) as caught:
        register_request("user:a", "", b"", "soon", b"id")  # type: ignore[arg-type]
    assert caught.value.metadata == {"field": "ttl"}
