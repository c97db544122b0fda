"""Carrying a pending policy over the names that exist, step by step, to its end.

A step reads the names that come next, judges them under the pending policy, and proposes what was
found. Whoever takes steps needs no memory: each begins where the state says that the last one
ended, so any node may go on when another stopped, and two at once do no harm.

Invariant: a policy is dropped only if a name that exists could not be kept under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, TypeVar

from namestore.core.commands import AbandonPolicy, IndexNames, encode_command
from namestore.core.namespaces import read_policy
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.policies import Policy
from namestore.core.reading import names_to_index, namespace_state
from namestore.core.records import Record
from namestore.errors import OutcomeUnknown
from namestore.policy import Conflict, Finding, Judge, Refusal
from namestore.rpc.identities import draw_request_id
from namestore.server.rulebook import judge_label
from namestore.storage.interfaces import StateView

T = TypeVar("T")

# The keys of so many names fit into one command, however long the names are.
NAMES_AT_ONCE = 250


class Carriers(Protocol):
    """What carrying needs of a gateway."""

    def chores(self) -> AbstractContextManager[None]:
        """Around work that nobody waits for: refused while draining."""
        ...

    async def decide(
        self, encoded: Sequence[bytes], names: int, timeout: float
    ) -> Sequence[Decision]:
        """Hands encoded commands to the replica; raises `NamestoreError`."""
        ...

    async def catch_up(self, timeout: float) -> None:
        """Returns once the replica's view reflects what was answered before; or raises."""
        ...

    async def read_aside(self, read: Callable[[StateView], T], deadline: float) -> T:
        """Reads in a thread of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next for a pending policy.

    Attributes:
        command: To be proposed.
        finding: Why the policy must be dropped; None: it need not.
    """

    command: IndexNames | AbandonPolicy
    finding: Finding | None = None


def judged_without_words(policy: Policy) -> Policy:
    """The policy as names that exist are judged: words reserved later do not take names away."""
    return replace(policy, reserved=(), reserved_shipped=False)


def next_step(view: StateView, namespace: str, version: int) -> Step | None:
    """The next step for that pending policy; None: it is not pending any more."""
    space = namespace_state(view, namespace)
    if space.pending_version != version:
        return None
    names: list[tuple[str, tuple[tuple[int, str], ...]]] = []
    judge = _judge_of(space.pending)
    for record in names_to_index(view, namespace, NAMES_AT_ONCE) or ():
        keys = _keys(judge, record)
        if isinstance(keys, Finding):
            return Step(AbandonPolicy(draw_request_id(), namespace, version), keys)
        names.append((record.name, keys))
    return Step(IndexNames(namespace, version, tuple(names)))


async def carry(
    carriers: Carriers, namespace: str, version: int, timeout: float, clock: Callable[[], float]
) -> Finding | None:
    """Takes steps until that policy is not pending any more.

    Args:
        carriers: Reads and proposes.
        namespace: Whose.
        version: Of the pending policy.
        timeout: Seconds.
        clock: Monotonic seconds.

    Returns:
        The name for which it was dropped; None: it is in force, or somebody else ended it.

    Raises:
        NamestoreError: It could not be carried further for now.
    """
    deadline = clock() + timeout
    while True:
        if clock() >= deadline:
            raise OutcomeUnknown("the policy is still being put in force; GetNamespace tells")
        # A node that is about to stop leaves the rest to the others.
        with carriers.chores():
            await carriers.catch_up(deadline - clock())
            step = await carriers.read_aside(
                lambda view: next_step(view, namespace, version), deadline
            )
            if step is None:
                return None
            outcome = await take(carriers, step, deadline - clock())
        if outcome.verdict is Verdict.POLICY_ABANDONED:
            return step.finding or collision(outcome)
        if outcome.verdict is not Verdict.POLICY_PENDING:
            return None
        await asyncio.sleep(0)  # other calls go first


async def take(carriers: Carriers, step: Step, timeout: float) -> Outcome:
    """Proposes a step; says what became of it."""
    command = step.command
    names = max(1, len(command.names)) if isinstance(command, IndexNames) else 1
    decisions = await carriers.decide([encode_command(command)], names, timeout)
    return decisions[0][0]


def collision(outcome: Outcome) -> Finding:
    """The two names that have one key, as the core met them; one of them may be held back."""
    in_way = outcome.in_way.partition(":")[2]
    other = "" if outcome.record is None else outcome.record.name.partition(":")[2]
    if outcome.until_ms:
        message = f"{other!a} looks like {in_way!a}, which is held back for its last owner"
        return Finding(Conflict.LOOK_ALIKE, other, in_way, message)
    message = f"{in_way!a} and {other!a} exclude each other under the policy"
    return Finding(Conflict.LOOK_ALIKE, in_way, other, message)


@lru_cache(maxsize=8)
def _judge_of(policy: bytes) -> Judge:
    return Judge(judged_without_words(read_policy(policy)))


def _keys(judge: Judge, record: Record) -> tuple[tuple[int, str], ...] | Finding:
    """The unique keys of a name that stays as it is, or why it cannot."""
    label = record.name.partition(":")[2]
    judged = judge_label(judge, record.display_name.partition(":")[2])
    if isinstance(judged, Refusal):
        return Finding(Conflict.INVALID, label, "", judged.message)
    if judged.canonical != label:
        message = f"{label!a} would be stored as {judged.canonical!a}"
        return Finding(Conflict.MOVED, label, judged.canonical, message)
    return tuple((int(kind), key) for kind, key in judged.keys)
