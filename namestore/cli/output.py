"""What the commands print: a line for a person, or an object for a program.

Standard output carries one entry per result, either all lines or all JSON objects. Whatever a
person needs beside the results goes to standard error. Text that came from elsewhere (owners,
display names) is escaped before it reaches a terminal: it may hold control sequences.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from namestore.cli.exits import advice, reason
from namestore.client.values import EndpointStatus, NameRecord
from namestore.errors import NamestoreError
from namestore.streams import emit, emit_beside, tell

Json = Mapping[str, Any]

_SHOWN_CHARS_MAX: Final = 200


class Printer:
    """Prints results and errors in the form that was asked for."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, line: str, value: Json) -> None:
        """Prints one result: `value` with `--json`, else `line`."""
        emit(json_line(value) if self.as_json else line)

    def error(self, error: NamestoreError, *, about: str = "", **context: str) -> None:
        """Says what went wrong and what to do next.

        Args:
            error: What went wrong.
            about: What it concerns, such as the name, unless the message names it.
            context: Goes into the JSON object as it is.
        """
        subject = f"{shown(about)}: " if about and about not in error.message else ""
        self.note(f"error: {subject}{shown(error.message, chars_max=2000)}")
        if hint := advice(error):
            self.note(f"  {hint}")
        if self.as_json:
            value = {**error_json(reason(error), error.message, **context)}
            if error.metadata:
                value["metadata"] = error.metadata
            emit_beside(json_line(value))

    def usage_error(self, message: str) -> None:
        """Says that the command line itself cannot be carried out."""
        if self.as_json:
            emit_beside(json_line(error_json("USAGE", message)))

    def note(self, line: str) -> None:
        """Says something to a person, on standard error."""
        tell(line)


def error_json(reason_text: str, message: str, **context: str) -> Json:
    """The object that stands for an error."""
    return {**context, "error": reason_text, "message": message}


def print_warnings(printer: Printer, answers: Sequence[EndpointStatus]) -> None:
    """What the nodes say that somebody should look at, on standard error."""
    for answer in answers:
        for warning in answer.node.warnings if answer.node is not None else ():
            printer.note(f"{shown(answer.endpoint)}: {shown(warning, chars_max=1000)}")


def json_line(value: Json) -> str:
    """One object on one line. ASCII only, so that no terminal or locale can spoil it."""
    return json.dumps(value, separators=(",", ":"))


def record_json(record: NameRecord) -> dict[str, Any]:
    """All fields of a record; the payload in base64, times in RFC 3339."""
    return {
        "name": record.name,
        "display_name": record.display_name,
        "owner": record.owner,
        "payload": base64.b64encode(record.payload).decode("ascii"),
        "create_revision": record.create_revision,
        "mod_revision": record.mod_revision,
        "create_time": time_text(record.create_time),
        "expire_time": time_text(record.expire_time) if record.expire_time else None,
    }


def record_line(record: NameRecord) -> str:
    """What a person wants to know of a record."""
    parts = [
        shown(record.name),
        f"owner={shown_owner(record.owner)}",
        f"revision={record.create_revision}",
        f"since {time_text(record.create_time)}",
    ]
    if record.display_name != record.name:
        parts.append(f"as {shown(record.display_name)}")
    if record.payload:
        parts.append(f"payload={len(record.payload)} bytes")
    if record.expire_time:
        parts.append(f"until {time_text(record.expire_time)}")
    return "  ".join(parts)


def holder_text(record: NameRecord | None) -> str:
    """Who holds the name that was refused, and since when."""
    if record is None:
        return ""
    return f"by {shown_owner(record.owner)} since {time_text(record.create_time)}"


def time_text(time: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown_owner(owner: str) -> str:
    """The owner; visibly so when it is empty."""
    return shown(owner) if owner else '""'


def shown(text: str, *, chars_max: int = _SHOWN_CHARS_MAX) -> str:
    """The text with everything unprintable escaped, and cut at a length that a person reads."""
    safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return safe if len(safe) <= chars_max else f"{safe[: chars_max - 1]}…"


def speak_safely() -> None:
    """Lets standard output and error escape what their encoding lacks, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
