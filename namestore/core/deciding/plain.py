"""Plain registers: one name, for good, not judged. Nearly all of what is asked.

Responsible for granting those that nothing stands in the way of, and for refusing those whose name
somebody else holds for good, from the fields of the command to the bytes of the state, without
values in between. Everything else is left to the general way: requests decided before,
reservations, namespaces with a policy.

Invariant: what is decided here the general way would have decided so, with the same bytes at the
same keys. tests/properties/test_plain_registers.py decides the same entries both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from namestore.core import state as st
from namestore.core.commands import Command, fingerprint
from namestore.core.commands.decoding import command_of, read_fields
from namestore.core.commands.kinds import PlainFields, is_plain
from namestore.core.deciding.remembering import remembered_whole
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.outcomes import Decision, Outcome, Verdict, decode_decision, encode_taken
from namestore.core.packing import packer
from namestore.core.records import PLAIN_FORMAT, Record, is_plain_of_another

# Where its outcome would be kept, where its name is, and its fields. No class: one of these is made
# for every name on every node.
Plain = tuple[bytes, bytes, PlainFields]
# A revision: granted plainly, under that. Bytes: a decision as it is remembered. Values are made of
# these only where somebody waits.
Told = int | bytes | Decision


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


def decide(
    step: Step, asked: Sequence[Plain | Command], commands: Sequence[bytes], told: list[Told]
) -> int:
    """Decides the next plain registers, up to the first that is left to the general way.

    The bytes are those of `encode_record`. Returns how many commands are decided by now.

    Args:
        step: The entry being decided; it has read where their outcomes and names are kept.
        asked: All of the entry.
        commands: The same as they were written.
        told: What became of those before; added to.
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
        if known[outcome_key] is not None or (has_policies and step.space_of(name).judges):
            break
        if known[name_key] is not None:
            refused = _refuse(step, item, commands[len(told)], revision)
            if refused is None:
                break
            told.append(refused)
            continue
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


def _refuse(step: Step, item: Plain, data: bytes, revision: int) -> bytes | None:
    """Refuses a name that somebody else holds for good; None: nothing was decided."""
    outcome_key, name_key, fields = item
    held = step.known[name_key]
    if held is None or not is_plain_of_another(held, fields[1]):
        return None
    decision = encode_taken(revision, fields[2], held)
    step.put(outcome_key, remembered_whole(fingerprint(data), step.time_ms, decision))
    step.remembered.append(fields[1])
    return decision


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
        elif isinstance(became, bytes):
            made.append(decode_decision(became))
        elif isinstance(item, tuple):
            made.append(_granted(item[2], became, time_ms))
    return made


def _granted(fields: PlainFields, revision: int, time_ms: int) -> Decision:
    _, request_id, name, shown, owner, payload = fields
    record = Record(name, shown or name, owner, payload, request_id, revision, revision, time_ms)
    return (Outcome(Verdict.GRANTED, revision, record),)
