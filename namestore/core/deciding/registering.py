"""Register and RegisterAll: all of the names or none; for one name that is simply: if it is free.

Invariants: a name is granted only where no record stands; a request that holds a name is
recognised by the holding as long as it lasts, after the outcome table has forgotten it.
"""

from __future__ import annotations

from namestore.core.commands import Wanted
from namestore.core.deciding import obstacles
from namestore.core.deciding.holdings import begin, standing
from namestore.core.deciding.obstacles import Claims
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.namespaces import NamespaceState
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.records import Record

_NO_CLAIMS = Claims()


def register(step: Step, request_id: bytes, many: tuple[Wanted, ...]) -> tuple[Decision, bool]:
    """Decides the names of one request; the second value says that they were granted just now."""
    if step.has_policies and not all(
        obstacles.is_judged(step.space_of(wanted.name), wanted.judged) for wanted in many
    ):
        return (Outcome(Verdict.POLICY_CHANGED, step.revision),) * len(many), False
    # Where no namespace has a policy nothing is claimed.
    claims = Claims() if step.has_policies else _NO_CLAIMS
    found = [_obstacle(step, request_id, wanted, claims) for wanted in many]
    if not any(found):
        return tuple(_grant(step, request_id, wanted) for wanted in many), True
    not_tried = Outcome(Verdict.NOT_TRIED, step.revision)
    # What expired on the way moved the revision: all of a decision is said at the same one.
    return tuple(
        not_tried
        if outcome is None
        else Outcome(
            outcome.verdict, step.revision, outcome.record, outcome.until_ms, outcome.in_way
        )
        for outcome in found
    ), False


def granted_record(
    request_id: bytes, wanted: Wanted, revision: int, time_ms: int, space: NamespaceState
) -> Record:
    """The record of a name that is granted at that revision and time."""
    return Record(
        wanted.name,
        wanted.display_name,
        wanted.owner,
        wanted.payload,
        request_id,
        revision,
        revision,
        time_ms,
        _expire_time_ms(wanted.ttl_ms, time_ms, space),
        obstacles.keys_of(space, wanted.judged) if wanted.judged else (),
        space.judges and space.counts,
    )


def _obstacle(step: Step, request_id: bytes, wanted: Wanted, claims: Claims) -> Outcome | None:
    """Why the name is not granted, or that it was granted to this request before."""
    name = wanted.name
    holder = standing(step, name)
    if holder is not None:
        return _stands(step, request_id, wanted, holder)
    space = step.space_of(name)
    if not space.judges:
        return None
    keys = obstacles.keys_of(space, wanted.judged)
    return (
        obstacles.held_back(step, name, wanted.owner)
        or obstacles.look_alike(step, name, wanted.owner, keys)
        or obstacles.of_one_request(step, name, keys, claims)
        or obstacles.owner_limit(step, name, wanted.owner, space, claims)
    )


def _stands(step: Step, request_id: bytes, wanted: Wanted, holder: Record) -> Outcome:
    """How a name fares that is held already."""
    if holder.request_id != request_id:
        return obstacles.seen(holder, Verdict.TAKEN, step)
    # A retry so late that the outcome table has forgotten it; the holding itself remembers.
    # Unless the content gives it away as another request under a request_id used before.
    if holder.mod_revision == holder.create_revision and not _asks_for(wanted, holder):
        return Outcome(Verdict.REQUEST_ID_REUSED, step.revision)
    return obstacles.seen(holder, Verdict.GRANTED, step)


def _grant(step: Step, request_id: bytes, wanted: Wanted) -> Outcome:
    space = step.space_of(wanted.name)
    record = granted_record(request_id, wanted, step.revision + 1, step.time_ms, space)
    begin(step, record, EventKind.REGISTERED)
    return obstacles.seen(record, Verdict.GRANTED, step)


def _asks_for(wanted: Wanted, holder: Record) -> bool:
    return (wanted.display_name or wanted.name, wanted.owner, wanted.payload) == (
        holder.display_name,
        holder.owner,
        holder.payload,
    )


def _expire_time_ms(ttl_ms: int | None, time_ms: int, space: NamespaceState) -> int:
    if ttl_ms is None:
        return 0
    policy = space.in_force
    asked_ms = ttl_ms or policy.reservation_default_s * 1000
    return time_ms + min(asked_ms, policy.reservation_longest_s * 1000)
