"""What callers were told was certainly not done, beside the log: it must not be there.

The judges of histories find such a lie only where somebody sees what it led to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from namestore.core.commands import decode_command, decode_entry, spelled_out
from namestore.raft.following import KIND_COMMANDS
from namestore.storage.interfaces import LogEntry
from tests.simulation.watch import Violation
from tests.support.history import Operation, Said


def check_denied(
    callers: Iterable[Any], echoes: list[Operation], committed: Iterable[LogEntry]
) -> None:
    """Raises `Violation` if a request is in the log that was called certainly not done.

    Args:
        callers: With their `record`, and the request_ids that they were `denied`.
        echoes: What came once more, on its own account.
        committed: The log.
    """
    denied: set[str] = set()
    maybe = {operation.request_id for operation in echoes}
    for caller in callers:
        denied |= getattr(caller, "denied", set())
        maybe |= {each.request_id for each in caller.record if each.said is not Said.NOT_DONE}
    denied -= maybe
    if not denied:
        return
    for entry in committed:
        if entry.command[0] != KIND_COMMANDS:
            continue
        for data in decode_entry(entry.command[1:]).commands:
            for command in spelled_out(decode_command(data)):
                identity = getattr(command, "request_id", b"").hex()
                if identity in denied:
                    told = f"{command} is entry {entry.index}, and was called certainly not done"
                    raise Violation("certainly not done", told)
