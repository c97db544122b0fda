"""Why a node does not take part, in sentences for people: how it stands in its cluster.

It decides nothing; what is said here follows from who greeted whom, and with what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from namestore.raft.bootstrap import Greeting
from namestore.raft.membership import Member, Membership


@dataclass(frozen=True, slots=True)
class Standing:
    """What a node knows of its place.

    Attributes:
        own: As its own file has it.
        initial: All members of that file.
        membership: The newest in its log; `initial` while the log is empty.
        is_new: Its log is empty.
        counts: It is a voter by `membership`.
        refusals: Node id -> why it and this node do not speak to each other.
    """

    own: Member
    initial: Membership
    membership: Membership
    is_new: bool
    counts: bool
    refusals: Mapping[str, str]

    def warnings(self, greeting_of: Callable[[str], Greeting | None]) -> tuple[str, ...]:
        """What somebody should look at; mostly nothing."""
        found = [f"no connection to {', '.join(peers)}: {why}" for why, peers in self._refused()]
        place = self._new(greeting_of) if self.is_new else self._known()
        return (*found, place) if place else tuple(found)

    def _refused(self) -> list[tuple[str, list[str]]]:
        """Each reason once, with all whom it keeps away, in order."""
        by_reason: dict[str, list[str]] = {}
        for peer, why in sorted(self.refusals.items()):
            by_reason.setdefault(why, []).append(peer)
        return list(by_reason.items())

    def _new(self, greeting_of: Callable[[str], Greeting | None]) -> str:
        others = [m.node_id for m in self.initial.members if m.node_id != self.own.node_id]
        greetings = {other: greeting_of(other) for other in others}
        running = [other for other, hello in greetings.items() if hello and not hello.fresh]
        if running:
            return f"waiting to be added: this node is new, and the cluster runs; run {self._add()}"
        missing = [other for other, hello in greetings.items() if hello is None]
        if missing and not self.refusals:  # these say what there is to be done
            return (
                "waiting for the others: a new cluster begins once all nodes of its file are "
                f"connected; missing: {', '.join(missing)}"
            )
        return ""

    def _known(self) -> str:
        node_id = self.own.node_id
        if self.membership.get(node_id) is None:
            return (
                f"waiting to be added: {node_id} is not a member, or not any more; stop it, or "
                f"run {self._add()}"
            )
        if not self.counts:
            return (
                f"{node_id} does not count yet: it catches up while it is being added; if nobody "
                f"waits for that, run {self._add()}"
            )
        return ""

    def _add(self) -> str:
        own = self.own
        return (
            f"namestore-cli members add {own.node_id} --raft {own.raft_address} "
            f"--grpc {own.grpc_address}"
        )
