"""Many names, registered in batches, several of them under way at once.

Responsible for the order: rows are reported as they stand in the file, whatever order their
batches are answered in, and of two rows that exclude each other (by their `marks`, such as the
name) the first is decided first. Not for reading (`rows`), telling (`Report`) or retrying (the
store). Invariant: every row up to `Outcome.decided_line` has been decided and reported, and no row
after `sent_line` was ever sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

from namestore.cli.exits import exit_code
from namestore.cli.interruption import Interruption
from namestore.cli.rows import INVALID_LINE, Problem, Row
from namestore.client.values import NewName, RegisterResult
from namestore.errors import InvalidRequest, NamestoreError

Answer = RegisterResult | NamestoreError
RegisterMany = Callable[[Sequence[NewName]], Sequence[RegisterResult]]
# What no two rows that are sent at once may have in common; raises `NamestoreError`.
Marks = Callable[[Row], set[str]]

# A batch is closed after so many rows even if hardly any of them is valid.
_ROWS_PER_NAME_MAX = 10


class Report(Protocol):
    """Hears of every row, in the order of the file, on the importing thread."""

    def decided(self, row: Row, result: RegisterResult, *, already_yours: bool) -> None:
        """The registry answered."""
        ...

    def invalid(self, problem: Problem) -> None:
        """The row was not sent, or the server would not have it."""
        ...

    def undecided(self, row: Row, error: NamestoreError) -> None:
        """The row was sent, and no answer came that decides it."""
        ...

    def settled(self, offset: int) -> None:
        """Everything up to this byte of the file has been reported."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is sent at once: names in a batch, batches under way."""

    batch_names: int = 500
    batches_in_flight: int = 4


@dataclass(slots=True)
class Outcome:
    """How far an import came.

    Attributes:
        decided_line: Every row up to this line has its final answer.
        sent_line: No row after this line was sent.
        error: What stopped it: the gravest of the errors met.
        unread: Why the file could not be read further; empty: it was read to its end.
        interrupted: It was stopped by the user.
        abandoned: It was stopped by the user without waiting for the answers under way.
    """

    decided_line: int = 0
    sent_line: int = 0
    error: NamestoreError | None = None
    unread: str = ""
    interrupted: bool = False
    abandoned: bool = False

    @property
    def complete(self) -> bool:
        """The whole file was decided."""
        return not (self.error or self.unread or self.interrupted)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows on their way. `future` is None when none of them is to be sent."""

    items: list[Row | Problem]
    marks: set[str]
    future: Future[list[Answer]] | None


class Importer:
    """Carries one import through. Used once, on one thread."""

    def __init__(
        self,
        register_many: RegisterMany,
        report: Report,
        *,
        owner: str,
        limits: Limits,
        interruption: Interruption,
        executor: Executor,
        marks: Marks = lambda row: {row.canonical},
    ) -> None:
        self._marks = marks
        self._executor = executor
        self._register_many = register_many
        self._report = report
        self._owner = owner
        self._limits = limits
        self._interruption = interruption
        self._flight: deque[_Batch] = deque()
        self._outcome = Outcome()

    def run(self, rows: Iterator[Row | Problem]) -> Outcome:
        """Sends the rows and reports each.

        Returns when all is decided, or when something stopped it and the batches under way ended.

        Raises:
            NotText: See `read_lines`; nothing was sent.
            NoSuchFormat: See `read_rows`; nothing was sent.
        """
        outcome = self._outcome
        try:
            self._send_all(rows)
            while self._flight:
                self._settle_oldest()
        except KeyboardInterrupt:
            # The second one, or one from elsewhere: nobody waits for what is under way.
            outcome.interrupted = outcome.abandoned = True
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)
        return outcome

    def _send_all(self, rows: Iterator[Row | Problem]) -> None:
        batches = self._batches(rows)
        while self._outcome.error is None:
            try:
                with self._interruption.reading():
                    items = next(batches, None)
            except KeyboardInterrupt:
                self._outcome.interrupted = True
                return
            except OSError as error:
                self._outcome.unread = f"the file could not be read further: {error}"
                return
            if items is None:
                return
            try:
                marks = self._marks_of(items)
            except NamestoreError as error:
                self._outcome.error = error
                return
            self._make_room(marks)
            if self._outcome.error is None:
                self._flight.append(_Batch(items, marks, self._submit(items)))
                self._outcome.sent_line = items[-1].last_line

    def _marks_of(self, items: Sequence[Row | Problem]) -> set[str]:
        found: set[str] = set()
        for item in items:
            if isinstance(item, Row):
                found |= self._marks(item)
        return found

    def _batches(self, rows: Iterator[Row | Problem]) -> Iterator[list[Row | Problem]]:
        size = self._limits.batch_names
        items: list[Row | Problem] = []
        names = 0
        for item in rows:
            items.append(item)
            names += isinstance(item, Row)
            if names == size or len(items) == size * _ROWS_PER_NAME_MAX:
                yield items
                items, names = [], 0
        if items:
            yield items

    def _make_room(self, marks: set[str]) -> None:
        """Waits until another batch with these marks may be sent.

        Two batches with one in common never travel together: the later row could win.
        """
        while self._flight and (
            len(self._flight) >= self._limits.batches_in_flight
            or self._is_done(self._flight[0])
            or any(not marks.isdisjoint(batch.marks) for batch in self._flight)
        ):
            self._settle_oldest()

    @staticmethod
    def _is_done(batch: _Batch) -> bool:
        return batch.future is None or batch.future.done()

    def _submit(self, items: Sequence[Row | Problem]) -> Future[list[Answer]] | None:
        wanted = [
            NewName(item.name, item.owner or self._owner, item.payload, item.ttl)
            for item in items
            if isinstance(item, Row)
        ]
        return self._executor.submit(self._send, wanted) if wanted else None

    def _send(self, wanted: Sequence[NewName]) -> list[Answer]:
        """Runs on a thread of the executor. A batch that is refused for one bad item is halved."""
        try:
            return list(self._register_many(wanted))
        except InvalidRequest as error:
            if len(wanted) == 1:
                return [error]
            middle = len(wanted) // 2
            return self._send(wanted[:middle]) + self._send(wanted[middle:])
        except NamestoreError as error:
            return [error] * len(wanted)

    def _settle_oldest(self) -> None:
        batch = self._flight[0]
        answers = iter(batch.future.result() if batch.future else ())
        for item in batch.items:
            if isinstance(item, Problem):
                self._report.invalid(item)
            else:
                self._settle(item, next(answers))
        self._flight.popleft()
        last = batch.items[-1]
        self._decided_through(last.last_line)
        self._report.settled(last.end_offset)

    def _settle(self, row: Row, answer: Answer) -> None:
        match answer:
            case RegisterResult():
                record = answer.record
                mine = record is not None and record.owner == (row.owner or self._owner)
                already_yours = mine and not answer.registered
                self._report.decided(row, answer, already_yours=already_yours)
            case InvalidRequest():
                self._report.invalid(_refused_by_server(row, answer))
            case _:
                self._decided_through(row.line - 1)
                if self._outcome.error is None or exit_code(answer) > exit_code(
                    self._outcome.error
                ):
                    self._outcome.error = answer
                self._report.undecided(row, answer)

    def _decided_through(self, line: int) -> None:
        """All rows up to `line` are decided, unless an earlier one is known not to be."""
        if self._outcome.error is None:
            self._outcome.decided_line = line


def _refused_by_server(row: Row, error: InvalidRequest) -> Problem:
    return Problem(
        row.line,
        row.last_line,
        row.name,
        error.REASON or INVALID_LINE,
        error.message,
        row.end_offset,
    )
