"""Plain registers: one name, for good, not judged. Nearly all of what is asked.

Responsible for granting those that nothing stands in the way of, from the fields of the command to
the bytes of the state, without values in between. Everything else is left to the general way:
requests decided before, names that are held, namespaces with a policy.

Invariant: what is granted here the general way would have granted, with the same bytes at the same
keys. tests/properties/test_plain_registers.py decides the same entries both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from namestore.core import state as st
from namestore.core.commands import Command
from namestore.core.commands.decoding import command_of, read_fields
from namestore.core.commands.kinds import PlainFields, is_plain
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.packing import packer
from namestore.core.records import PLAIN_FORMAT, Record

# Where its outcome would be kept, where its name is, and its fields. No class: one of these is made
# for every name on every node.
Plain = tuple[bytes, bytes, PlainFields]
# A revision: granted plainly, under that. Values are made of it only where somebody waits.
Told = int | Decision


def read_commands(commands: Sequence[bytes]) -> list[Plain | Command]:
    """The commands of an entry, in order; plain registers as such.

    Raises:
        MalformedCommand: One of them is not what `encode_command` writes.
    """
    read: list[Plain | Command] = []
    for data in commands:
        fields = read_fields(data)
        if is_plain(fields):
            outcome_key = st.OUTCOME_PREFIX + fields[1]
            read.append((outcome_key, st.NAME_PREFIX + fields[2].encode(), fields))
        else:
            read.append(command_of(fields))
    return read


def grant(step: Step, asked: Sequence[Plain | Command], told: list[Told]) -> int:
    """Grants the next plain registers, up to the first that something is in the way of.

    The bytes are those of `encode_record`. Returns how many commands are decided by now.

    Args:
        step: The entry being decided; it has read where their outcomes and names are kept.
        asked: All of the entry.
        told: What became of those before; a revision is added for each grant.
    """
    if len(told) == len(asked) or not isinstance(asked[len(told)], tuple):
        return len(told)
    if not step.records_remember:  # an old entry, and there is more to write
        return len(told)
    pack = packer()
    known, changes = step.known, step.changes
    tell = step.happened.append
    revision, time_ms, tells = step.revision, step.time_ms, step.tells
    has_policies = step.has_policies
    for item in islice(asked, len(told), None):
        if not isinstance(item, tuple):
            break
        outcome_key, name_key, (_, request_id, name, shown, owner, payload) = item
        if known[outcome_key] is not None or known[name_key] is not None:
            break
        if has_policies and step.space_of(name).judges:
            break
        revision += 1
        shown = "" if shown == name else shown
        record = pack((PLAIN_FORMAT, shown, owner, payload, request_id, revision, 0, time_ms))
        known[name_key] = changes[name_key] = record
        if tells:
            tell((EventKind.REGISTERED, name, record))
        told.append(revision)
    step.name_count += revision - step.revision
    step.revision = revision
    return len(told)


def decisions(
    told: Sequence[Told], asked: Sequence[Plain | Command], time_ms: int
) -> list[Decision]:
    """What the callers of an entry are told, in order.

    Args:
        told: What became of each command.
        asked: The commands.
        time_ms: The entry's log time.
    """
    made: list[Decision] = []
    for became, item in zip(told, asked, strict=True):
        if isinstance(became, tuple):
            made.append(became)
        elif isinstance(item, tuple):
            made.append(_granted(item[2], became, time_ms))
    return made


def _granted(fields: PlainFields, revision: int, time_ms: int) -> Decision:
    _, request_id, name, shown, owner, payload = fields
    record = Record(name, shown or name, owner, payload, request_id, revision, revision, time_ms)
    return (Outcome(Verdict.GRANTED, revision, record),)
