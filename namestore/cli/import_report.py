"""What an import says: about each row, and at its end.

With `--json` every row and the summary are objects on standard output. Without it only rows that
need somebody's attention are named, on standard error or in the report file, and the summary is one
line. A name that the same owner holds already needs no attention: that is what a second run finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from namestore.cli.exits import (
    BAD_USAGE,
    DONE,
    INTERRUPTED,
    REFUSED,
    UNAVAILABLE,
    advice,
    exit_code,
    reason,
)
from namestore.cli.importing import Outcome
from namestore.cli.output import Printer, shown
from namestore.cli.refusals import REFUSAL_WORDS, refusal_text
from namestore.cli.rows import Problem, Row
from namestore.client.values import Refusal, RegisterResult
from namestore.errors import NamestoreError, OutcomeUnknown

_AGAIN: Final = "run the same command again: what was granted already comes back as already yours"


@dataclass(slots=True)
class Tally:
    """How many rows fared how. `taken` includes those that are already yours."""

    granted: int = 0
    taken: int = 0
    already_yours: int = 0
    refused: int = 0
    invalid: int = 0
    unknown: int = 0
    not_done: int = 0

    @property
    def answered(self) -> int:
        """Rows that the registry decided."""
        return self.granted + self.taken + self.refused

    @property
    def taken_by_others(self) -> int:
        """Rows whose name somebody else holds."""
        return self.taken - self.already_yours

    def exit_code(self) -> int:
        """What the rows alone call for."""
        if self.invalid:
            return BAD_USAGE
        return REFUSED if self.taken_by_others or self.refused else DONE

    def brief(self) -> str:
        """In a few words, for a line that changes while one looks at it."""
        return f"granted {self.granted:,}  taken {self.taken:,}  invalid {self.invalid:,}"

    def text(self) -> str:
        """In full."""
        refused = f", refused {self.refused:,}" if self.refused else ""
        return (
            f"granted {self.granted:,}, taken {self.taken:,} (already yours "
            f"{self.already_yours:,}, by others {self.taken_by_others:,}){refused}, "
            f"invalid {self.invalid:,}"
        )


class RowReport:
    """Counts every row, and reports it as was asked."""

    def __init__(
        self,
        printer: Printer,
        note: Callable[[str], None],
        advance: Callable[[int, str], None],
        *,
        quiet: bool,
    ) -> None:
        """See the class.

        Args:
            printer: Takes the objects of `--json`.
            note: Takes a line about a row that needs attention.
            advance: Takes the bytes done, and the tally in words.
            quiet: Leave out the lines about taken names.
        """
        self.tally = Tally()
        self._printer = printer
        self._note = note
        self._advance = advance
        self._quiet = quiet

    def decided(self, row: Row, result: RegisterResult, *, already_yours: bool) -> None:
        """The registry answered."""
        tally = self.tally
        word = "granted" if result.registered else REFUSAL_WORDS[result.refusal]
        if result.registered:
            tally.granted += 1
        elif result.refusal is Refusal.TAKEN:
            tally.taken += 1
            tally.already_yours += already_yours
        else:
            tally.refused += 1
        if not (result.registered or already_yours or self._quiet):
            why = refusal_text(result)
            self._note(f"{_lines(row)}: {word}: {shown(row.canonical)} {why}".rstrip())
        if self._printer.as_json:
            self._print(row, _decided_json(result, already_yours=already_yours))

    def invalid(self, problem: Problem) -> None:
        """The row cannot be registered."""
        self.tally.invalid += 1
        text = f"{shown(problem.text)}: " if problem.text else ""
        self._note(f"{_lines(problem)}: invalid: {text}{shown(problem.message)}")
        if self._printer.as_json:
            value = {
                "line": problem.line,
                "name": problem.text,
                "result": "invalid",
                "error": problem.reason,
                "message": problem.message,
            }
            self._printer.result("", value)

    def undecided(self, row: Row, error: NamestoreError) -> None:
        """No answer came that decides the row. Too many of these for a line each."""
        unknown = exit_code(error) > UNAVAILABLE
        if unknown:
            self.tally.unknown += 1
        else:
            self.tally.not_done += 1
        if self._printer.as_json:
            result = "unknown" if unknown else "not done"
            value = {"result": result, "error": reason(error), "message": error.message}
            self._print(row, value)

    def settled(self, offset: int) -> None:
        """Moves the progress on."""
        self._advance(offset, self.tally.brief())

    def _print(self, row: Row, value: dict[str, Any]) -> None:
        self._printer.result("", {"line": row.line, "name": row.canonical, **value})


def finish(printer: Printer, tally: Tally, outcome: Outcome, *, lines: int, seconds: float) -> int:
    """Prints how the import ended, and returns the exit code."""
    rate = tally.answered / seconds if seconds > 0 else 0.0
    if not outcome.complete:
        _say_why(printer, tally, outcome)
        lines = outcome.decided_line
    code = _exit_code(tally, outcome)
    line = (
        f"imported {lines:,} lines in {seconds:.1f} s ({rate:,.0f} names/s): {tally.text()}"
        + (f", unknown {tally.unknown:,}" if tally.unknown else "")
        + (f", not done {tally.not_done:,}" if tally.not_done else "")
    )
    printer.result(line, {"summary": _summary(tally, outcome, lines, seconds, rate)})
    return code


def _exit_code(tally: Tally, outcome: Outcome) -> int:
    if outcome.interrupted:
        return INTERRUPTED
    code = tally.exit_code()
    if outcome.unread:
        code = max(code, UNAVAILABLE)
    if outcome.error is not None:
        code = max(code, exit_code(outcome.error))
    return code


def _say_why(printer: Printer, tally: Tally, outcome: Outcome) -> None:
    decided, sent = outcome.decided_line, outcome.sent_line
    if outcome.interrupted:
        printer.note("interrupted")
    if outcome.error is not None:
        printer.note(f"stopped: {shown(outcome.error.message, chars_max=2000)}")
        if not isinstance(outcome.error, OutcomeUnknown) and (hint := advice(outcome.error)):
            printer.note(f"  {hint}")
    if outcome.unread:
        printer.note(f"stopped: {outcome.unread}")
    printer.note(f"  every line up to {decided:,} is decided; nothing after line {sent:,} was sent")
    if outcome.abandoned and sent > decided:
        printer.note(f"  names in lines {decided + 1:,} to {sent:,} may have been registered")
    elif sent > decided:
        printer.note(
            f"  of lines {decided + 1:,} to {sent:,}, {tally.unknown:,} names may have been "
            f"registered and {tally.not_done:,} certainly were not; the others are decided"
        )
    printer.note(f"  {_AGAIN}")


def _summary(
    tally: Tally, outcome: Outcome, lines: int, seconds: float, rate: float
) -> dict[str, Any]:
    error = outcome.error
    return {
        "lines": lines,
        "granted": tally.granted,
        "taken": tally.taken,
        "already_yours": tally.already_yours,
        "taken_by_others": tally.taken_by_others,
        "refused": tally.refused,
        "invalid": tally.invalid,
        "unknown": tally.unknown,
        "not_done": tally.not_done,
        "complete": outcome.complete,
        "interrupted": outcome.interrupted,
        "decided_through_line": lines if outcome.complete else outcome.decided_line,
        "sent_through_line": lines if outcome.complete else outcome.sent_line,
        "error": reason(error) if error else ("UNREADABLE" if outcome.unread else None),
        "message": error.message if error else (outcome.unread or None),
        "seconds": round(seconds, 3),
        "names_per_second": round(rate, 1),
    }


def _decided_json(result: RegisterResult, *, already_yours: bool) -> dict[str, Any]:
    record = result.record
    value: dict[str, Any] = {
        "result": "granted" if result.registered else "refused",
        "refusal": result.refusal.value if result.refusal else None,
        "owner": record.owner if record else None,
        "create_revision": record.create_revision if record else None,
    }
    if not result.registered:
        value["already_yours"] = already_yours
    return value


def _lines(item: Row | Problem) -> str:
    if item.line == item.last_line:
        return f"line {item.line}"
    return f"lines {item.line} to {item.last_line}"
