"""What must hold after every step of every node, checked from outside, by who sees them all.

Independent of the code under test: it keeps its own book. The checks and where they come from:

* one leader a term, one vote a term, no term taken back (Raft paper, 5.2);
* a leader was voted for by a majority of the disks of the membership it goes by;
* memberships change one voter at a time, one after the other; nodes go by the newest (thesis, 4.1);
* two logs that hold an entry of one index and term are equal up to there (5.3, log matching);
* a leader holds everything committed in earlier terms (5.4, leader completeness);
* what somebody calls committed, a majority holds durably, of those who count just there, and it
  never becomes anything else;
* a leader begins to commit with an entry of its own term (5.4.2);
* states are equal at equal index, however a node came by its state;
* nothing is said that speaks for what is not yet durable; a read sees all committed before it;
* what a log was said to hold stays in it while that leader's term lasts (5.3);
* nobody finds damage on a disk that was not damaged, nor is answered from one that was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from namestore.core.state import StateMeta
from namestore.errors import DiskDamaged, DiskFailed
from namestore.raft.following import KIND_MEMBERSHIP
from namestore.raft.replica import Role
from namestore.storage.interfaces import LogEntry
from tests.simulation.book import Book
from tests.simulation.digests import digest_of, mark


class Violation(AssertionError):
    """An invariant of the design does not hold. `check` names it, `broken` all that do not."""

    def __init__(self, check: str, told: str, broken: tuple[str, ...] = ()) -> None:
        super().__init__(f"{check}: {told}")
        self.check = check
        self.broken = broken or (check,)


class Watch:
    """The checker of invariants.

    Attributes:
        committed_index: The last entry that anybody knew to be committed.
        trail: What was noteworthy, hashed: two runs of one seed end with the same.
        book: Who counted when.
        counts: What else happened, by name.
    """

    def __init__(self) -> None:
        self.hosts: list[Any] = []
        self.committed_index = 0
        self.elections = self.messages = self.snapshots = 0
        self.counts: Counter[str] = Counter()
        self.book = Book(())
        self.trail = hashlib.blake2b(digest_size=16)
        self._leaders: dict[int, str] = {}
        # Term, and disk, to whom it voted for.
        self._votes: dict[int, dict[tuple[str, str], str]] = {}
        # Disks that are gone, with the logs that were on them.
        self._gone: dict[tuple[str, str], Any] = {}
        self._terms: dict[str, int] = {}
        # Disk to the term it acknowledged entries in last, and the newest of these.
        self._acknowledged: dict[tuple[str, str], tuple[int, int]] = {}
        # Index and term to the entry and the term of the one before it.
        self._entries: dict[tuple[int, int], tuple[bytes, int | None]] = {}
        self._committed: dict[int, LogEntry] = {}
        self._committed_in_term: dict[int, int] = {}
        self._seen_commit: dict[str, int] = {}
        self._states: dict[int, int] = {0: 0}
        self._state: dict[str, int] = {}
        self._arrivals: set[tuple[str, bytes]] = set()
        self._found: Violation | None = None

    def begin(self, hosts: list[Any], founders: list[str]) -> None:
        """All machines, and those that the cluster begins with."""
        self.hosts, self.book = hosts, Book(founders)

    # -- turns ------------------------------------------------------------------------------

    def started(self, host: Any) -> None:
        """A process is up again: everything that was committed there is looked at anew."""
        self._seen_commit[host.node_id] = 0
        if host.log.term < self._terms.get(host.node_id, 0):
            raise Violation("term kept", f"{host.node_id} has forgotten its term")
        self._check_state(host, host.state.meta.applied_index)
        self.book.counts_from(host)
        self.turned(host)

    def dies(self, host: Any) -> None:
        """A process is about to die in the middle of a turn; what it calls committed stays so."""
        self._new_commit(host, host.engine.commit_index)

    def died(self, host: Any) -> None:
        """A process is gone; its state may have lost its newest changes."""
        self._state[host.node_id] = digest_of(host.state)

    def wiped(self, host: Any) -> None:
        """A machine gets an empty disk: what the old one had acknowledged, it had."""
        self._gone[(host.node_id, host.drive.incarnation)] = host.log
        self._terms.pop(host.node_id, None)
        self._state[host.node_id] = 0

    def arrives(self, host: Any, snapshot_id: bytes) -> None:
        """A snapshot begins to arrive, or goes on after a restart."""
        if (host.node_id, snapshot_id) not in self._arrivals:
            self._arrivals.add((host.node_id, snapshot_id))
            self.counts["snapshots begun"] += 1

    def distrusts(self, host: Any) -> None:
        """A node does not trust its disk."""
        self.counts["damage found"] += 1
        self._note("damaged", host.node_id)

    def retires(self, host: Any) -> None:
        """A node ends because it was removed.

        It may lead: by a membership that leaves it out, until that is committed (thesis, 4.2.2).
        """
        self._new_commit(host, host.engine.commit_index)
        if (host.node_id, host.drive.incarnation) in self.book.newest.voters.items():
            raise Violation("removed for good", f"{host.node_id} ends, and it counts")
        self._note("retires", host.node_id)

    def turned(self, host: Any) -> None:
        """A node finished a turn."""
        if self._found is not None:
            raise self._found
        engine = host.engine
        if misjudged := self.book.misjudged(host):
            raise Violation("goes by its log", misjudged)
        if engine.role is Role.LEADER and self._leaders.get(engine.term) != host.node_id:
            self._new_leader(host)
        if engine.commit_index > self._seen_commit[host.node_id]:
            self._new_commit(host, engine.commit_index)
        if host.state.meta.applied_index > engine.commit_index:
            raise Violation("applied <= committed", f"{host.node_id} applied more than that")

    def _new_leader(self, host: Any) -> None:
        term = host.engine.term
        other = self._leaders.setdefault(term, host.node_id)
        if other != host.node_id:
            raise Violation("one leader a term", f"{other} and {host.node_id} lead in term {term}")
        config = self.book.in_force(host.log)
        votes = self._votes.get(term, {})
        voted = {disk for disk, given in votes.items() if given == host.node_id}
        if host.log.durable_vote == (term, host.node_id):
            voted.add((host.node_id, host.drive.incarnation))  # alone, it asks nobody
        if not config.majority(voted):
            raise Violation("voted in", f"{host.node_id} leads in term {term} by {sorted(voted)}")
        needed = max((i for t, i in self._committed_in_term.items() if t < term), default=0)
        entry = self._committed.get(needed)
        if entry is not None and host.log.peek_term(needed) not in (entry.term, None):
            raise Violation("leader completeness", f"{host.node_id} has another entry {needed}")
        if host.log.last_index < needed:
            raise Violation("leader completeness", f"{host.node_id} leads without entry {needed}")
        self._note("leads", host.node_id, term)

    def _new_commit(self, host: Any, commit: int) -> None:
        log, node_id = host.log, host.node_id
        for index in range(max(self._seen_commit[node_id] + 1, log.first_index), commit + 1):
            entry = log.peek(index)
            if entry is None:
                continue
            if self._committed.setdefault(index, entry) != entry:
                raise Violation("committed for good", f"{node_id} commits another entry {index}")
            if index > self.committed_index:
                self.book.commits(entry, self.hosts)
        self._seen_commit[node_id] = commit
        if commit > self.committed_index:
            self._check_majority(host, commit)
            if host.leads and log.peek_term(commit) != host.engine.term:
                raise Violation("own term first", f"{node_id} commits {commit} of an older term")
            self.committed_index = commit
            term = host.engine.term
            self._committed_in_term[term] = max(commit, self._committed_in_term.get(term, 0))
            self._note("commits", node_id, commit)

    def _check_majority(self, host: Any, commit: int) -> None:
        term, config = host.log.peek_term(commit), self.book.in_force(host.log)
        disks = {(other.node_id, other.drive.incarnation): other.log for other in self.hosts}
        holders = [d for d, log in (disks | self._gone).items() if log.has_durably(commit, term)]
        if not config.majority(holders):
            raise Violation(
                "commit on a majority",
                f"{host.node_id} in term {host.engine.term} calls entry {commit} committed, and of "
                f"{sorted(config.voters)} only {sorted(holders)} hold it durably",
            )

    # -- changes ----------------------------------------------------------------------------

    def appends(self, host: Any, entries: list[LogEntry]) -> None:
        """Entries are about to be added to a log."""
        if host.leads and any(entry.command[0] == KIND_MEMBERSHIP for entry in entries):
            # What is committed by now, a majority of those holds who count until now.
            self._new_commit(host, host.engine.commit_index)
        self.book.log_changed(host)
        before = host.log.last_term
        for entry in entries:
            mark = (entry.command, before)
            if self._entries.setdefault((entry.index, entry.term), mark) != mark:
                raise Violation(
                    "log matching", f"{host.node_id} has another entry {entry.index, entry.term}"
                )
            before = entry.term
            if entry.command[0] == KIND_MEMBERSHIP:
                self._check_change(host, entry)

    def removes(self, host: Any, start: int) -> None:
        """A log is about to lose its entries from there on, but for those below, to a snapshot.

        What is committed may be among them: who was away hears late of a leader that committed
        nothing there, and later of the one that committed what it had. The others must hold it, and
        the node itself must not have called it committed. What it acknowledged, only a newer leader
        may have it remove.
        """
        log = host.log
        term, newest = self._acknowledged.get((host.node_id, host.drive.incarnation), (0, 0))
        if term == host.engine.term and start <= min(newest, log.last_index):
            raise Violation(
                "acknowledged and kept",
                f"{host.node_id} removes entries from {start} on, which it acknowledged up to "
                f"{newest} in the same term {term}",
            )
        disks = ((each, (each.node_id, each.drive.incarnation)) for each in self.hosts)
        others = {disk: each.log for each, disk in disks if each is not host}
        for index in range(max(start, log.first_index), log.last_index + 1):
            entry = log.peek(index)
            if entry is None or self._committed.get(index) != entry:
                continue
            holders = [d for d, other in others.items() if other.has_durably(index, entry.term)]
            knew = index <= self._seen_commit[host.node_id]
            if knew or not self.book.newest.majority(holders):
                raise Violation("committed for good", f"{host.node_id} removes entry {index}")

    def _check_change(self, host: Any, entry: LogEntry) -> None:
        """A membership is put into a log; by a leader: it begins a change."""
        before, after = self.book.in_force(host.log), self.book.read(entry)
        begins = host.leads and entry.term == host.engine.term
        if after is None or not begins or before.index == 0:
            return
        if before.index > host.engine.commit_index:
            raise Violation("one change at a time", f"{before} is not committed before {after}")
        if host.log.peek_term(host.engine.commit_index) != entry.term:
            raise Violation("one change at a time", f"{after} before an entry of its own term")
        if before.differs_by(after) > 1:
            raise Violation("one change at a time", f"from {before} to {after} in one step")

    def writes(self, host: Any, changes: Any, meta: StateMeta, write: Any) -> None:
        """A state changes."""
        state, keys = host.state, list(changes)
        digest = self._state.get(host.node_id, 0)
        values = state.peek()
        for key in keys:
            digest += mark(key, changes[key]) - mark(key, values.get(key))
        write(changes, meta)
        self._state[host.node_id] = digest
        self._check_state(host, meta.applied_index)

    def installs(self, host: Any, directory: Any, install: Any) -> None:
        """A snapshot replaces a state."""
        install(directory)
        self.snapshots += 1
        self.book.log_changed(host)
        self._state[host.node_id] = digest_of(host.state)
        self._note("installs", host.node_id, host.state.meta.applied_index)
        if host.state.unreadable:
            raise Violation("damage stays where it is", f"{host.node_id} takes over bad blocks")
        self._check_state(host, host.state.meta.applied_index)

    def _check_state(self, host: Any, applied: int) -> None:
        digest = self._state.get(host.node_id, 0)
        if self._states.setdefault(applied, digest) != digest:
            raise Violation("equal states", f"{host.node_id} differs from others at {applied}")

    def end(self, hosts: list[Any]) -> None:
        """Everything is quiet: all states are equal, and are what was counted."""
        digests = {host.node_id: digest_of(host.state) for host in hosts}
        if len(set(digests.values())) != 1:
            raise Violation("equal states", f"the replicas differ at the end: {digests}")
        for host in hosts:
            if digests[host.node_id] != self._state.get(host.node_id, 0):
                raise Violation("equal states", f"{host.node_id} changed behind our back")
            if host.unanswered:
                raise Violation("answered", f"{host.node_id} left {host.unanswered} waiting")

    # -- messages and callers ---------------------------------------------------------------

    def said(self, host: Any, target: str, message: dict[str, Any]) -> None:
        """A message leaves: whatever it speaks for must be durable by now."""
        self.messages += 1
        kind, log, node_id = message["type"], host.log, host.node_id
        self._note(kind, node_id, target, message.get("term"), message.get("index"))
        if kind not in ("append_result", "request_vote", "vote_result") or message.get("pre_vote"):
            return
        term, vote = log.durable_vote
        if term < message["term"]:
            raise Violation("durable before said", f"{node_id} speaks in term {message['term']}")
        # A newer term is durable: what was held of the old one binds nobody any more, but counts.
        overtaken, self._terms[node_id] = term > message["term"], term
        if kind == "append_result":
            unsynced = message["success"] and log.durable_last_index < message["index"]
            if unsynced and not overtaken:
                raise Violation("durable before said", f"{node_id} acknowledges unsynced entries")
            if message["success"]:
                disk = node_id, host.drive.incarnation
                said = message["term"], message["index"]
                self._acknowledged[disk] = max(said, self._acknowledged.get(disk, said))
        elif kind == "request_vote":
            self.elections += 1
            self._vote(host, message["term"], node_id, node_id if overtaken else vote)
        elif message["granted"]:
            self._vote(host, message["term"], target, target if overtaken else vote)

    def _vote(self, host: Any, term: int, given: str, durable: str | None) -> None:
        node_id, votes = host.node_id, self._votes.setdefault(term, {})
        if votes.setdefault((node_id, host.drive.incarnation), given) != given:
            raise Violation("one vote a term", f"{node_id} votes twice in term {term}")
        if durable != given:
            raise Violation("durable before said", f"{node_id} votes before it is durable")

    def read(self, host: Any, committed: int) -> None:
        """A read is answered that came when `committed` was committed somewhere."""
        if host.state.meta.applied_index < committed and self._found is None:
            # Raised at the end of the turn: an engine survives what its callers raise.
            self._found = Violation(
                "reads see all before", f"{host.node_id} answers from an older state"
            )

    def clock_set(self, host: Any) -> None:
        """The wall clock of a node is about to be set."""

    def fatal(self, host: Any, error: Exception) -> None:
        """A node stopped itself, and neither disk nor configuration is at fault."""
        check = "no node stops itself"
        if isinstance(error, DiskFailed | DiskDamaged):
            check = "disk fault" if isinstance(error, DiskFailed) else "damage stays where it is"
        raise Violation(check, f"{host.node_id}: {error!r}") from error

    def _note(self, *what: Any) -> None:
        self.trail.update(repr(what).encode())
