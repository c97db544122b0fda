"""What Hypothesis draws: names that collide for the registry, anything for the codecs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from namestore.core.commands import Command, Register, RegisterAll, Release, Wanted
from namestore.core.limits import PAYLOAD_BYTES_MAX, REQUEST_ID_BYTES_MAX
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.records import Record

NAMES = ("user:a", "user:b", "user:c", "post:a")


class Ask(NamedTuple):
    """One call before it has its request_id.

    Attributes:
        make: The command, once the request_id is known.
        past: None: a new request. Otherwise the place, counted back, of an earlier one.
        same: With `past`: repeat that request as it was; otherwise only its request_id is taken.
    """

    make: Callable[[bytes], Command]
    past: int | None
    same: bool


_wanted = st.builds(
    Wanted,
    st.sampled_from(NAMES),
    st.sampled_from(("user:a", "User:A")),
    st.sampled_from(("ann", "bob")),
    st.sampled_from((b"", b"pay")),
)
_several = st.lists(_wanted, min_size=1, max_size=3, unique_by=lambda wanted: wanted.name)


def _register(wanted: Wanted) -> Callable[[bytes], Command]:
    return lambda request_id: Register(request_id, wanted)


def _register_all(many: list[Wanted]) -> Callable[[bytes], Command]:
    return lambda request_id: RegisterAll(request_id, tuple(many))


def _release(name: str, owner: str, fence: int) -> Callable[[bytes], Command]:
    return lambda request_id: Release(request_id, name, owner, fence)


_makes = st.one_of(
    _wanted.map(_register),
    _several.map(_register_all),
    st.builds(
        _release,
        st.sampled_from(NAMES),
        st.sampled_from(("ann", "bob")),
        st.sampled_from((0, 0, 1, 2)),
    ),
)

asks = st.builds(
    Ask,
    _makes,
    st.one_of(st.none(), st.none(), st.integers(0, 12)),
    st.sampled_from((True, True, True, False)),
)

text = st.text(max_size=20)
any_wanted = st.builds(
    Wanted,
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20),
    text,
    st.binary(max_size=PAYLOAD_BYTES_MAX),
)
request_ids = st.binary(min_size=1, max_size=REQUEST_ID_BYTES_MAX)
uint64 = st.integers(0, 2**64 - 1)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Register, request_ids, any_wanted),
    st.builds(
        RegisterAll,
        request_ids,
        st.lists(any_wanted, min_size=1, max_size=4, unique_by=lambda item: item.name).map(tuple),
    ),
    st.builds(Release, request_ids, st.text(min_size=1, max_size=20), text, uint64),
)
revisions = st.integers(0, 2**62)
records = st.builds(
    lambda name, display, owner, payload, request_id, created, changed, time_ms: Record(
        name, display, owner, payload, request_id, created, created + changed, time_ms
    ),
    text,
    st.text(min_size=1, max_size=20),
    text,
    st.binary(max_size=40),
    request_ids,
    revisions,
    revisions,
    revisions,
)
outcomes = st.builds(Outcome, st.sampled_from(Verdict), revisions, st.none() | records)


def resolve(ask: Ask, past: list[Command], number: int) -> Command:
    """The command of an ask, given the earlier ones; `number` makes a new request_id unique."""
    if ask.past is None or not past:
        return ask.make(f"r{number}".encode())
    earlier = past[-1 - ask.past % len(past)]
    return earlier if ask.same else ask.make(earlier.request_id)
