"""Who counted when: the watch's own book of memberships, by disk.

A voter is a node id with the data directory it joined with: another directory under the same id is
another voter. Independent of the engine's arithmetic: it reads memberships from the entries that
pass by, and finds out for itself which of them a log goes by (the newest in it, committed or not;
Raft thesis, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from namestore.raft.membership import decode_membership
from namestore.storage.interfaces import LogEntry

_KIND_MEMBERSHIP = 2

# A node id, and the incarnation of its data directory; "" for any.
Disk = tuple[str, str]


class Config(NamedTuple):
    """A membership in a log.

    Attributes:
        voters: Node ids to incarnations.
        members: Voters, and those that are to become some.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    voters: dict[str, str]
    members: frozenset[str]

    def majority(self, disks: Iterable[Disk]) -> bool:
        """Whether these disks contain a majority of the voters."""
        found = {i for i, incarnation in disks if self.voters.get(i, "?") in ("", incarnation)}
        return 2 * len(found) > len(self.voters)

    def differs_by(self, other: Config) -> int:
        """How many voters the two do not share."""
        return len(set(self.voters.items()) ^ set(other.voters.items()))


class Book:
    """All memberships of one run."""

    def __init__(self, founders: Iterable[str]) -> None:
        ids = list(founders)
        founding = Config(0, 0, dict.fromkeys(ids, ""), frozenset(ids))
        self._configs = {(0, 0): founding}
        self.committed = [founding]
        # Disks that have ever counted in a committed membership.
        self.once_voters: set[Disk] = set()
        # Disks to the lives of their processes that know they count, or knew it.
        self._counted: dict[Disk, int] = {}
        # And to the lives of those who do not know it yet, with the membership that says so.
        self._unheard: dict[Disk, tuple[int, Config]] = {}
        # Nodes whose log changed since it was last compared with what they go by.
        self._changed: set[str] = set()

    @property
    def newest(self) -> Config:
        """The newest that is committed."""
        return self.committed[-1]

    @property
    def in_flight(self) -> list[Config]:
        """Those in some log that are not committed, and may never be."""
        return [c for c in self._configs.values() if c.index > self.newest.index]

    def read(self, entry: LogEntry) -> Config | None:
        """Takes down the membership that an entry holds, if it holds one."""
        if entry.command[0] != _KIND_MEMBERSHIP:
            return None
        membership = decode_membership(entry.command[1:])
        voters = {m.node_id: m.incarnation for m in membership.members if m.voter}
        members = frozenset(m.node_id for m in membership.members)
        config = Config(entry.index, entry.term, voters, members)
        return self._configs.setdefault((entry.index, entry.term), config)

    def commits(self, entry: LogEntry, hosts: list[Any]) -> None:
        """An entry is committed."""
        config = self.read(entry)
        if config is None or config.index <= self.newest.index:
            return
        self.committed.append(config)
        self.once_voters |= set(config.voters.items())
        for host in hosts:
            disk = (host.node_id, host.drive.incarnation)
            if host.running and disk in config.voters.items():
                self._unheard[disk] = (host.lives, config)
                self._hears(host)

    def _hears(self, host: Any) -> None:
        """Who has not received yet that it counts does not know it.

        A newcomer that was made a voter, and removed, before it heard of either waits for being
        added as ever.
        """
        disk = (host.node_id, host.drive.incarnation)
        if disk in self._unheard:
            lives, config = self._unheard[disk]
            if lives == host.lives and _holds(host.log, config):
                self._counted[disk] = lives
                del self._unheard[disk]

    def counts_from(self, host: Any) -> None:
        """A process starts, and knows whether it counts."""
        disk = (host.node_id, host.drive.incarnation)
        if disk in self.in_force(host.log).voters.items():
            self._counted[disk] = host.lives

    def in_force(self, log: Any, end: int | None = None) -> Config:
        """What a log goes by; or would, if it ended at `end`."""
        end = log.last_index if end is None else end
        for config in sorted(self._configs.values(), key=lambda c: c[:2], reverse=True):
            if config.index > end:
                continue
            if config.index < log.first_index:
                if config in self.committed:
                    return config
            elif _holds(log, config):
                return config
        return self._configs[(0, 0)]

    def log_changed(self, host: Any) -> None:
        """What a node goes by is to be looked at when its turn is over."""
        self._changed.add(host.node_id)

    def misjudged(self, host: Any) -> str:
        """How what a node goes by differs from what its log says; empty: not at all."""
        if host.node_id not in self._changed:
            return ""
        self._changed.discard(host.node_id)
        self._hears(host)
        config, membership = self.in_force(host.log), host.engine.membership
        voters = {m.node_id: m.incarnation for m in membership.members if m.voter}
        if config.index == 0 or voters == config.voters:
            return ""  # until the first membership it goes by its file
        return f"{host.node_id} counts {sorted(voters)}, and its log says {config}"

    def left_behind(self, hosts: list[Any]) -> list[str]:
        """Those who count no more and do not know it, or go on although they learned it.

        Who knows no leader by name asks in vain: these are left out.
        """
        newest = self.newest
        found: list[str] = []
        if newest.index == 0:
            return found  # no membership was ever agreed on: these are not our nodes
        leading = [other for other in hosts if other.leads]
        leader = max(leading, key=lambda other: other.term, default=None)
        for host in hosts:
            disk = (host.node_id, host.drive.incarnation)
            if not host.running or disk in newest.voters.items() or disk not in self.once_voters:
                continue
            knows = self.in_force(host.log, host.engine.commit_index)
            if disk not in knows.voters.items():
                stays = self._counted.get(disk) == host.lives
            else:
                believes = self.in_force(host.log)
                stays = leader is not None and leader.node_id in believes.members
            if stays:
                found.append(host.node_id)
        return found


def _holds(log: Any, config: Config) -> bool:
    """The entry that says so is in a log, or was, before what it begins with."""
    if config.index > log.last_index:
        return False
    return bool(config.index < log.first_index or log.peek_term(config.index) == config.term)
