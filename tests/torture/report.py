"""What a run has to tell: what was asked, what was broken, and how long nobody was answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.history import Operation, Said
from tests.torture.judging import quantile

_LATER = (Said.UNKNOWN, Said.NOT_DONE)


@dataclass
class Report:
    """Figures of a run.

    Attributes:
        seconds: How long callers asked.
        stale_reads: That were answered.
        elections: Leaders that were seen, each once for its term.
        terms: The newest term.
        looks: How often all nodes were asked what they do; views: how many of them answered.
        look_age: Seconds from the last of these to the end of the watch.
        outages: Seconds after each kill of a leader, while nothing else was broken.
        kept: Names that were granted and never given back.
    """

    seconds: float = 0.0
    operations: Counter[str] = field(default_factory=Counter)
    stale_reads: int = 0
    names: int = 0
    kept: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    episodes: int = 0
    elections: int = 0
    terms: int = 0
    looks: int = 0
    views: int = 0
    look_age: float = 0.0
    outages: Sequence[float] = ()
    packets: tuple[int, int] | None = None

    def count(self, operations: Iterable[Operation]) -> None:
        """Counts calls by what was asked and heard."""
        for operation in operations:
            self.operations[f"{operation.ask.value}: {operation.said.value}"] += 1

    def lines(self) -> list[str]:
        """For people."""
        told = ["calls by answer:"]
        told += [f"  {count:>9,}  {what}" for what, count in sorted(self.operations.items())]
        told += [f"  {self.stale_reads:>9,}  stale lookup: answered", "faults by kind:"]
        told += [f"  {count:>9,}  {kind}" for kind, count in sorted(self.faults.items())]
        if self.packets is not None:
            told.append(f"packets: {self.packets[0]:,} delivered, {self.packets[1]:,} lost")
        told.append(f"elections: {self.elections} leaders seen, the newest in term {self.terms}")
        told.append(
            f"watch: looked {self.looks:,} times and got {self.views:,} views, the last look "
            f"{self.look_age:.1f} s before its end"
        )
        told.append(self._outage())
        return told

    def _outage(self) -> str:
        """The measure is of few kills at times: then its p99 is its maximum, and says no more."""
        told = f"time without answers after a leader's death: {len(self.outages)} kills of it alone"
        if not self.outages:
            return told
        shares = (("min", 0.0), ("median", 0.5), ("p99", 0.99), ("max", 1.0))
        figures = (f"{name} {quantile(self.outages, share):.2f} s" for name, share in shares)
        return f"{told}, {', '.join(figures)}"

    def summary(self) -> str:
        """The last line, when nothing was found."""
        asked = sum(self.operations.values()) + self.stale_reads
        open_ended = sum(
            count
            for what, count in self.operations.items()
            if what.endswith(tuple(said.value for said in _LATER))
        )
        return (
            f"no violation: {asked:,} calls ({open_ended:,} without a decision) about "
            f"{self.names:,} names, {sum(self.faults.values())} faults in {self.episodes} "
            f"episodes, {self.elections} elections, {self.kept:,} kept names all there, replicas "
            f"equal, in {self.seconds:.0f} s"
        )
