"""What PySyncObj breaks: its leaders, votes, commits and states, and what its callers were told.

It does not stop at the first finding, as namestore's watch does: all that a run breaks is noted,
and what its callers were told is judged in any case, because that is what they suffer from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.simulation.run import Run, check_history
from tests.simulation.watch import Violation, Watch
from tests.support.history import Ask, Operation, Said

TWICE, LOST = "a name granted twice", "an acknowledged name lost"
# What callers suffer from; it weighs more than the rest, and liveness less.
LIES = (TWICE, LOST, "history by revision", "history")


class PlainWatch(Watch):
    """The checker of PySyncObj.

    Attributes:
        found: Name of the check to what it found first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._voted: dict[tuple[int, str], str] = {}
        self._entry_at: dict[int, Any] = {}
        self._holders_at: dict[int, int] = {}

    def note(self, check: str, told: str) -> None:
        """Something does not hold."""
        self.found.setdefault(check, told)

    def started(self, host: Any) -> None:
        """It replays its whole journal."""
        self._seen_commit[host.node_id] = 1

    def dies(self, host: Any) -> None:
        """What it knew shows in what the others know."""

    def died(self, host: Any) -> None:
        """What is left of its files shows when it starts again."""

    def fatal(self, host: Any, error: Exception) -> None:
        self.note("starts again", f"{host.node_id}: {error!r}")

    def said(self, host: Any, target: str, message: dict[str, Any]) -> None:
        self.messages += 1
        if message["type"] == "request_vote":
            self.elections += 1
            self._vote(host.node_id, message["term"], host.node_id, None)
        elif message["type"] == "response_vote":
            self._vote(host.node_id, message["term"], target, None)

    def _vote(self, node_id: str, term: int, given: str, durable: str | None) -> None:
        if self._voted.setdefault((term, node_id), given) != given:
            self.note("one vote a term", f"{node_id} votes twice in term {term}")

    def turned(self, host: Any) -> None:
        engine = host.engine
        if engine._isLeader():
            other = self._leaders.setdefault(engine.raftCurrentTerm, host.node_id)
            if other != host.node_id:
                self.note("one leader a term", f"{other} and {host.node_id}")
        commit, seen = engine.raftCommitIndex, self._seen_commit[host.node_id]
        if commit > seen:
            self._commits(host, seen + 1, commit)
        self._seen_commit[host.node_id] = commit
        applied = engine.raftLastApplied
        holders = hash(tuple(sorted(engine.holders.items())))
        if self._holders_at.setdefault(applied, holders) != holders:
            self.note("equal states", f"{host.node_id} differs from others at {applied}")

    def _commits(self, host: Any, first: int, commit: int) -> None:
        for index in range(first, commit + 1):
            entry = host.entry(index)
            if entry is not None and self._entry_at.setdefault(index, entry) != entry:
                self.note("committed for good", f"{host.node_id} commits another entry {index}")
        entry = host.entry(commit)
        if commit <= self.committed_index or entry is None:
            return
        self.committed_index = commit
        count = sum(other.holds(commit, entry) for other in self.hosts)
        if count <= len(self.hosts) // 2:
            self.note("commit on a majority", f"entry {commit} stands on {count} nodes")

    def end(self, hosts: list[Any]) -> None:
        if any(host.engine.holders != hosts[0].engine.holders for host in hosts):
            self.note("equal states", "the replicas differ at the end")

    # -- judging ----------------------------------------------------------------------------

    def judge(self, record: list[Operation]) -> None:
        """Raises the gravest `Violation` of the run, if there is one."""
        for name in sorted({operation.name for operation in record}):
            self._judge_name([each for each in record if each.name == name])
        try:
            check_history(record)
        except Violation as violation:
            self.note(violation.check, str(violation))
        if self.found:
            check = min(self.found, key=_gravity)
            raise Violation(check, self.found[check], tuple(sorted(self.found, key=_gravity)))

    def _judge_name(self, operations: list[Operation]) -> None:
        """Only what admits of no excuse: nobody even tried to release what was granted."""
        releases = [
            each
            for each in operations
            if each.ask is Ask.RELEASE and each.said in (Said.RELEASED, Said.UNKNOWN)
        ]

        def excused(owners: set[str], after: float, before: float) -> bool:
            return any(
                each.owner in owners and each.returned >= after and each.called <= before
                for each in releases
            )

        for grant in operations:
            for other in operations if grant.said is Said.GRANTED else ():
                if other.called < grant.called or other.request_id == grant.request_id:
                    continue
                end = max(grant.returned, other.returned)
                gone = other.said is Said.NOT_FOUND and other.called > grant.returned
                if gone and not excused({grant.owner}, grant.called, end):
                    self.note(LOST, f"{grant} and {other}")
                again = other.said is Said.GRANTED
                if again and not excused({grant.owner, other.owner}, grant.called, end):
                    self.note(TWICE, f"{grant} and {other}")


def audit(run: Run) -> list[Operation]:
    """In the end every name is looked up at every node that runs, one after another."""
    record: list[Operation] = []
    for host in run.hosts:
        for name in sorted({each.name for each in run.record}) if host.running else ():
            asked = Operation("audit", Ask.LOOKUP, name, "", "", run.world.now)
            heard: list[Any] = []
            host.ask(asked, 2.0, heard.append)
            run.world.run(run.world.now + 2.0, lambda heard=heard: bool(heard))
            if heard and isinstance(heard[0], dict):
                asked = replace(asked, returned=run.world.now, **heard[0])
            record.append(asked)
    return record


def _gravity(check: str) -> tuple[int, str]:
    if check in LIES:
        return LIES.index(check), check
    return len(LIES) + (check == "liveness"), check
