"""One answer for each of several names: what happens when one of them fails or the user stops.

Invariant: every name given gets exactly one result, in order; a name that was never sent says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from namestore.cli.exits import DONE, INTERRUPTED, exit_code
from namestore.cli.output import Printer, error_json, json_line, shown
from namestore.errors import InvalidRequest, NamestoreError, Refused
from namestore.streams import emit_beside

# Does one name, prints its result, and returns the exit code.
Act = Callable[[str], int]


def each_name(printer: Printer, names: Sequence[str], act: Act, *, writes: bool) -> int:
    """Acts on each name in turn and returns the worst exit code.

    A name that is refused or invalid does not stop the others. Any other error does: the next name
    would meet the same, after the same wait.
    """
    worst = DONE
    for position, name in enumerate(names):
        rest = names[position + 1 :]
        try:
            worst = max(worst, act(name))
        except (InvalidRequest, Refused) as error:
            printer.error(error, about=name, name=name)
            worst = max(worst, exit_code(error))
        except NamestoreError as error:
            printer.error(error, about=name, name=name)
            _not_tried(printer, rest)
            return max(worst, exit_code(error))
        except KeyboardInterrupt:
            _interrupted(printer, name, writes=writes)
            _not_tried(printer, rest)
            return INTERRUPTED
    return worst


def _interrupted(printer: Printer, name: str, *, writes: bool) -> None:
    message = "interrupted before the answer"
    if writes:
        message += ": it may have been done; run it again to learn"
    _said(printer, name, "INTERRUPTED", message)


def _not_tried(printer: Printer, names: Sequence[str]) -> None:
    for name in names:
        _said(printer, name, "NOT_TRIED", "not tried, because of the above")


def _said(printer: Printer, name: str, reason: str, message: str) -> None:
    printer.note(f"{shown(name)}: {message}")
    if printer.as_json:
        emit_beside(json_line(error_json(reason, message, name=name)))
