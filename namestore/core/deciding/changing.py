"""Release, Confirm, Update, Rename and Expire: what may become of a name that is held.

Invariants: only the owner changes a holding, and only the one that his fence names; a rename takes
one name and lets go of the other in one step, or does neither.
"""

from __future__ import annotations

from dataclasses import replace

from namestore.core.commands import Confirm, Expire, Release, Rename, Update
from namestore.core.deciding import obstacles
from namestore.core.deciding.holdings import begin, change, end, standing
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.namespaces import namespace_of
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.records import Record


def release(step: Step, command: Release) -> Outcome:
    """Gives a name back."""
    record = _held(step, command, command.name)
    if isinstance(record, Outcome):
        return record
    end(step, record, EventKind.RELEASED)
    return obstacles.seen(record, Verdict.RELEASED, step)


def confirm(step: Step, command: Confirm) -> Outcome:
    """Makes a reservation permanent."""
    record = _held(step, command, command.name)
    if isinstance(record, Outcome):
        return record
    if record.expire_time_ms:
        old = record
        record = replace(old, expire_time_ms=0, mod_revision=step.revision + 1)
        change(step, old, record, EventKind.CONFIRMED)
    return obstacles.seen(record, Verdict.CONFIRMED, step)


def update(step: Step, command: Update) -> Outcome:
    """Changes payload or owner; asking for what is already so changes nothing."""
    old = _held(step, command, command.name)
    if isinstance(old, Outcome):
        return old
    new = old
    if command.payload is not None:
        new = replace(new, payload=command.payload)
    kind = EventKind.UPDATED
    if command.new_owner is not None and command.new_owner != old.owner:
        space = step.space_of(old.name)
        limit = obstacles.owner_limit(step, old.name, command.new_owner, space)
        if limit is not None:
            return limit
        kind, revision = EventKind.HANDED_OVER, step.revision + 1
        new = replace(
            new, owner=command.new_owner, owner_revision=revision, owner_time_ms=step.time_ms
        )
    if new != old:
        new = replace(new, mod_revision=step.revision + 1)
        change(step, old, new, kind)
    return obstacles.seen(new, Verdict.UPDATED, step)


def rename(step: Step, command: Rename) -> Outcome:
    """Takes the new name and lets go of the old one, in one step."""
    to_name, space = command.to_name, step.space_of(command.to_name)
    if not obstacles.is_judged(space, command.judged):
        return Outcome(Verdict.POLICY_CHANGED, step.revision)
    done = _renamed_before(step, command)
    if done is not None:
        return done
    old = _held(step, command, command.from_name)
    if isinstance(old, Outcome):
        return old
    obstacle = _obstacle_to_rename(step, command)
    if obstacle is not None:
        return replace(obstacle, revision=step.revision)
    to_revision = step.revision + 2
    end(step, old, EventKind.RENAMED_AWAY, to_name, to_revision)
    new = Record(
        to_name,
        command.display_name or to_name,
        old.owner,
        old.payload,
        command.request_id,
        to_revision,
        to_revision,
        step.time_ms,
        old.expire_time_ms,
        obstacles.keys_of(space, command.judged),
        space.counts,
    )
    begin(step, new, EventKind.RENAMED, command.from_name)
    return obstacles.seen(new, Verdict.RENAMED, step)


def expire(step: Step, command: Expire) -> Decision:
    """Ends the reservations whose time is up and that are still those the command means."""
    outcomes = []
    for item in command.items:
        record = step.record(item.name)
        if (
            record is None
            or record.create_revision != item.create_revision
            or record.expire_time_ms != item.expire_time_ms
            or not record.has_expired(step.time_ms)
        ):
            outcomes.append(Outcome(Verdict.NOT_EXPIRED, step.revision))
        else:
            end(step, record, EventKind.EXPIRED)
            outcomes.append(obstacles.seen(record, Verdict.EXPIRED, step))
    return tuple(outcomes)


def _held(step: Step, command: Release | Confirm | Update | Rename, name: str) -> Record | Outcome:
    """The record that the command may change, or why it may not."""
    record = standing(step, name)
    if record is None:
        return Outcome(Verdict.NAME_NOT_FOUND, step.revision)
    if step.records_remember and record.request_id == command.request_id:
        return Outcome(Verdict.REQUEST_ID_REUSED, step.revision)
    if record.owner != command.owner:
        return obstacles.seen(record, Verdict.NOT_OWNER, step)
    if command.create_revision not in (0, record.create_revision):
        return obstacles.seen(record, Verdict.STALE_FENCE, step)
    return record


def _obstacle_to_rename(step: Step, command: Rename) -> Outcome | None:
    name, owner, leaving = command.to_name, command.owner, command.from_name
    holder = standing(step, name)
    if holder is not None:
        return obstacles.seen(holder, Verdict.TAKEN, step)
    space = step.space_of(name)
    keys = obstacles.keys_of(space, command.judged)
    found = obstacles.held_back(step, name, owner) or obstacles.look_alike(
        step, name, owner, keys, leaving
    )
    if found is None and namespace_of(name) != namespace_of(leaving):
        found = obstacles.owner_limit(step, name, owner, space)
    return found


def _renamed_before(step: Step, command: Rename) -> Outcome | None:
    """A retry so late that only the new holding remembers it is answered as it was."""
    holder = standing(step, command.to_name)
    if holder is None or holder.request_id != command.request_id:
        return None
    if (holder.owner, holder.display_name) != (
        command.owner,
        command.display_name or command.to_name,
    ):
        return Outcome(Verdict.REQUEST_ID_REUSED, step.revision)
    return obstacles.seen(holder, Verdict.RENAMED, step)
