"""Deliberate faults in the life of names: reservations, changes, policies, and what keeps house.

See `tests.simulation.mutants_agreement`; these are found only where callers ask for such things.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namestore.core import commands as core
from namestore.core import reading, registry
from namestore.core.deciding import changing, holdings, obstacles, policies, registering
from namestore.core.events import EventKind
from namestore.core.outcomes import Verdict
from namestore.core.records import Record, decode_record
from namestore.core.state import name_key
from namestore.errors import NoQuorum
from namestore.raft.engine import Engine
from namestore.raft.following import KIND_COMMANDS
from namestore.raft.log_time import LogTime
from namestore.rpc import responses
from namestore.server import housekeeping
from namestore.server import namespaces as desk
from namestore.server import reading as pages
from namestore.server.calls import RegistryCalls
from namestore.storage.interfaces import LogEntry
from namestore.v1 import registry_pb2 as pb
from tests.simulation.mutants_callers import Planted

# -- reservations and time --------------------------------------------------------------------


class ExpiresByOwnClock(Engine):
    """A node applies an entry at the time that its own clock shows, not at the log's."""

    def _apply(self, entry: LogEntry) -> None:
        if entry.command[0] == KIND_COMMANDS:
            read = core.decode_entry(entry.command[1:])
            own = core.Entry(self.settings.seams.wall_clock_ms(), read.commands, read.version)
            entry = entry._replace(command=entry.command[:1] + core.encode_entry(own))
        super()._apply(entry)


def _own_clock(time: Any, own_id: str, voters: Any, quorum: int) -> int:
    del own_id, voters, quorum
    read: int = time._wall_clock_ms()
    return read


class BelievesOneClock(Planted):
    """The log's time is what the leader's own clock shows."""

    replaced = ((LogTime, "now_ms", _own_clock),)


class StandsUntilClocksComeUp(Planted):
    """A new leader's idea of the time is that of what it had applied by its election."""

    replaced = ((LogTime, "applied", lambda log_time, time_ms: None),)


class EndsForgetRequests(Planted):
    """A name that is given back takes with it the memory of the request that was granted it."""

    replaced = ((holdings, "_remember_request", lambda step, record: None),)


def _unconfirmed(step: Any, command: core.Confirm) -> Any:
    record = changing._held(step, command, command.name)
    if not isinstance(record, Record):
        return record
    return obstacles.seen(record, Verdict.CONFIRMED, step)


class ConfirmIgnored(Planted):
    """A confirmation is answered, and the reservation ends all the same."""

    replaced = ((changing, "confirm", _unconfirmed),)


def _everybody(view: Any, names: Any) -> list[Any]:
    values = view.get_many([name_key(name) for name in names])
    return [
        None if value is None else decode_record(name, value).shown()
        for name, value in zip(names, values, strict=True)
    ]


class ReadsExpired(Planted):
    """A look-up shows reservations that are over until somebody has freed them."""

    replaced = ((reading, "lookup", _everybody),)


_hold_back = holdings._hold_back


def _used(step: Any, record: Any, to_name: str, to_revision: int) -> None:
    _hold_back(step, replace(record, expire_time_ms=0), to_name, to_revision)


class ReservationsBurn(Planted):
    """A name that was only reserved is held back as if it had been used."""

    replaced = ((holdings, "_hold_back", _used),)


async def _nothing_over(house: Any, found: Any, now_ms: int) -> float:
    del house, found, now_ms
    return housekeeping.PAUSE_S


class NobodyFrees(Planted):
    """The leader leaves reservations that are over to whoever asks for the name."""

    replaced = ((housekeeping.Housekeeping, "_expire", _nothing_over),)


_look_around = housekeeping.Housekeeping._look


def _by_its_own_clock(house: Any, now_ms: int, view: Any) -> Any:
    del now_ms
    return _look_around(house, int(house._host.clock() * 1000) + house._host.skew_ms, view)


class FreesBySlowClock(Planted):
    """The leader frees what is over by its own clock, however far that is behind the others."""

    replaced = ((housekeeping.Housekeeping, "_look", _by_its_own_clock),)


# -- changes ----------------------------------------------------------------------------------

_held = changing._held


def _any_holding(step: Any, command: Any, name: str) -> Any:
    return _held(step, replace(command, create_revision=0), name)


class FenceIgnored(Planted):
    """A change meets whichever holding there is, not only the one that it names."""

    replaced = ((changing, "_held", _any_holding),)


def _anybodys(step: Any, command: Any, name: str) -> Any:
    record = holdings.standing(step, name)
    owner = command.owner if record is None else record.owner
    return _held(step, replace(command, owner=owner), name)


class OwnerIgnored(Planted):
    """Anybody may change a name."""

    replaced = ((changing, "_held", _anybodys),)


def _first_owners(step: Any, command: Any, name: str) -> Any:
    record = _held(step, command, name)
    if not isinstance(record, Record) or not record.owner_revision:
        return record
    return obstacles.seen(record, Verdict.NOT_OWNER, step)


class HeirsRefused(Planted):
    """Who was handed a name is told that it is not his."""

    replaced = ((changing, "_held", _first_owners),)


async def _rename_in_two(calls: Any, request: Any, timeout: float) -> pb.RenameResponse:
    with calls.calls():
        wanted = core.Wanted(request.to_name, "", request.owner)
        (answer,) = await calls.settle([core.Register(request.request_id, wanted)], timeout)
        if isinstance(answer, responses.Unfit) or answer[0].verdict is not Verdict.GRANTED:
            return responses.rename_response(answer)
        release = core.Release(request.request_id + b"2", request.from_name, request.owner)
        await calls.settle([release], timeout)
        return pb.RenameResponse(renamed=True, record=responses.name_record(answer[0].record))


class RenameInTwoSteps(Planted):
    """A rename is a register and then a release."""

    replaced = ((RegistryCalls, "rename", _rename_in_two),)


_register = registering.register


def _what_is_free(step: Any, request_id: bytes, many: Any) -> Any:
    each = [_register(step, request_id, (wanted,)) for wanted in many]
    return tuple(decision[0] for decision, _ in each), all(granted for _, granted in each)


class TakesSomeOfAll(Planted):
    """Of names that are asked for all or none, those that are free are taken."""

    replaced = ((registry, "register", _what_is_free),)


_keep_holding = holdings._keep_holding


def _unless_handed_over(step: Any, record: Any, kind: EventKind, revision: int) -> None:
    if kind is not EventKind.HANDED_OVER:
        _keep_holding(step, record, kind, revision)


class HistoryForgetsOwners(Planted):
    """A history says nothing of those who handed a name over."""

    replaced = ((holdings, "_keep_holding", _unless_handed_over),)


def _past_the_next(view: Any, *, page: Any) -> pb.ListResponse:
    response = _list_page(view, page=page)
    if response.next_page_token:
        del response.records[-1]
    return response


_list_page = pages.list_page


class PagesSkip(Planted):
    """A page leaves out its last name, and the next one goes on behind it."""

    replaced = ((pages, "list_page", _past_the_next),)


# -- policies ---------------------------------------------------------------------------------


class HoldBackForgotten(Planted):
    """A name that waits for its last owner is given to anybody."""

    replaced = ((obstacles, "held_back", lambda *arguments: None),)


class LooksUnchecked(Planted):
    """A name is granted beside one that looks like it."""

    replaced = ((obstacles, "look_alike", lambda *arguments: None),)


class JudgedByAnyPolicy(Planted):
    """A name is granted that was judged by a policy of yesterday."""

    replaced = ((obstacles, "is_judged", lambda space, judged: True),)


class PolicyAtOnce(Planted):
    """A policy is in force at once, whatever names there are."""

    replaced = ((policies, "judges_alike", lambda one, other: True),)


def _to_anybody(view: Any, name: str) -> Any:
    left = None if reading.lookup(view, [name])[0] is not None else reading._left_of(view, name)
    return reading.lookup(view, [left.redirect])[0] if left is not None and left.redirect else None


class RedirectsToAnybody(Planted):
    """A renamed name leads to whoever holds the new one by now."""

    replaced = ((reading, "redirected", _to_anybody),)


async def _nothing_pending(house: Any, found: Any) -> float:
    del house, found
    return housekeeping.PAUSE_S


class NobodyCarriesOn(Planted):
    """A policy whose node died is left pending."""

    replaced = ((housekeeping.Housekeeping, "_carry_on", _nothing_pending),)


class DeniesTakenPolicy(Planted):
    """A policy that was taken, and cannot be read any more, is called certainly not done."""

    replaced = ((desk, "OutcomeUnknown", NoQuorum),)
