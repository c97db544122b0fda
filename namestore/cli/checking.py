"""A list of names, judged by a policy before anybody migrates; no registry is asked.

Responsible for the lines and the counts; what a conflict is, `namestore.policy` says. Invariant:
every line of the file is counted once, and a line has at most one finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from namestore.cli.lines import Line
from namestore.policy import Conflict, Policy, check_spelled

UNREADABLE: Final = "UNREADABLE"
# As the summary has them, worst first.
KINDS: Final = (UNREADABLE, *(kind.value for kind in Conflict))

_LINES_PER_ADVANCE: Final = 2000


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What is wrong with one line.

    Attributes:
        line: Counted from 1.
        kind: One of `KINDS`.
        name: The label as the file has it; empty: the line cannot be read.
        other: See `namestore.policy.Finding`.
        message: A sentence for people.
    """

    line: int
    kind: str
    name: str
    other: str
    message: str


@dataclass(slots=True)
class Counts:
    """What was read so far."""

    lines: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    unterminated: bool = False

    @property
    def findings(self) -> int:
        """Lines that cannot stay as they are."""
        return self.kinds.total()

    def brief(self) -> str:
        """In a few words, for a line that changes while one looks at it."""
        return f"{self.lines:,} lines  {self.findings:,} findings"

    def text(self) -> str:
        """In full."""
        return ", ".join(f"{words(kind)} {self.kinds[kind]:,}" for kind in KINDS)

    def json(self) -> dict[str, Any]:
        """The same for programs."""
        return {words(kind, "_"): self.kinds[kind] for kind in KINDS}


class Check:
    """One reading of one file. Used once.

    Args:
        policy: To be judged by.
        prefix: Of whole names, "user:"; empty: the lines are labels.
        found: Takes what is found, in the order of the lines.
        advance: Takes the bytes read and the counts in words.
    """

    def __init__(
        self,
        policy: Policy,
        prefix: str,
        found: Callable[[LineFinding], None],
        advance: Callable[[int, str], None],
    ) -> None:
        self.counts = Counts()
        self._policy = policy
        self._prefix = prefix
        self._found = found
        self._advance = advance

    def run(self, lines: Iterator[Line]) -> None:
        """Reads all lines.

        Raises:
            NotText: See `read_lines`.
            InvalidRequest: The policy cannot be.
        """
        # The check takes a label, yields at most one finding of it, and only then takes the next;
        # so a finding belongs to the line that was read last.
        for kind, name, other, message in check_spelled(self._policy, self._labels(lines)):
            self._note(kind.value, name, other, message)

    def _labels(self, lines: Iterator[Line]) -> Iterator[str]:
        for line in lines:
            self.counts.lines = line.number
            self.counts.unterminated = not line.terminated
            if line.number % _LINES_PER_ADVANCE == 0:
                self._advance(line.end_offset, self.counts.brief())
            if problem := self._problem(line):
                self._note(UNREADABLE, "", "", problem)
            else:
                yield line.content[len(self._prefix) :]

    def _note(self, kind: str, name: str, other: str, message: str) -> None:
        self.counts.kinds[kind] += 1
        self._found(LineFinding(self.counts.lines, kind, name, other, message))

    def _problem(self, line: Line) -> str:
        if line.problem:
            return line.problem
        if not line.content.strip(" \t"):
            return "the line is empty"
        if not line.content.startswith(self._prefix):
            return f"the name does not begin with {self._prefix}"
        return ""


def words(kind: str, space: str = "-") -> str:
    """A kind of finding as a person, or an option, has it."""
    return kind.lower().replace("_", space)
