"""PutNamespace, IndexNames and AbandonPolicy: how a policy comes over names that exist.

Invariants: under a policy in force every name of the namespace was judged, has the keys that it
demands, and is counted if it counts; while a policy is pending that holds for the names up to its
cursor and for those registered since. A pending policy ends in force or abandoned, and never undoes
the one before.
"""

from __future__ import annotations

from dataclasses import replace

from namestore.core.commands import AbandonPolicy, IndexNames, KeepEvents, PutNamespace
from namestore.core.deciding.holdings import index, standing
from namestore.core.deciding.obstacles import look_alike
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.limits import BATCH_REQUESTS_MAX
from namestore.core.namespaces import NamespaceState, judges_alike, read_policy
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.records import Record

# Names that one command may walk over: those it brings, and as many judged at birth.
_WALK_MAX = 2 * BATCH_REQUESTS_MAX


def put_namespace(step: Step, command: PutNamespace) -> Outcome:
    """Puts a policy in force, or begins to carry it over the names that exist."""
    namespace, space = command.namespace, step.space(command.namespace)
    if space.version != command.expected_version:
        return Outcome(Verdict.STALE_FENCE, step.revision)
    if space.pending_version and space.pending != command.policy:
        return Outcome(Verdict.POLICY_BUSY, step.revision)
    if space.pending_version:  # asked for twice: whoever began is joined
        return Outcome(Verdict.POLICY_PENDING, space.pending_version)
    policy = read_policy(command.policy)
    if judges_alike(space.in_force, policy) or not step.names_after(namespace, "", 1):
        version = step.tell(EventKind.POLICY_ACTIVE, namespace, b"")
        step.put_space(namespace, NamespaceState(version, command.policy))
        return Outcome(Verdict.POLICY_ACTIVE, step.revision)
    version = step.tell(EventKind.POLICY_PENDING, namespace, b"")
    step.put_space(
        namespace, replace(space, pending_version=version, pending=command.policy, cursor="")
    )
    return Outcome(Verdict.POLICY_PENDING, step.revision)


def index_names(step: Step, command: IndexNames) -> Outcome:
    """Carries the pending policy further; at the last name it comes into force."""
    namespace, space = command.namespace, step.space(command.namespace)
    if space.pending_version != command.version:
        return Outcome(Verdict.STALE_FENCE, step.revision)
    judged = dict(command.names)
    policy = space.to_come
    counts = policy is not None and policy.names_per_owner_max > 0
    cursor = space.cursor
    names = step.names_after(namespace, cursor, _WALK_MAX)
    reached_end = len(names) < _WALK_MAX
    for name in names:
        record = standing(step, name)
        # What is younger than the pending policy was judged under it before it was granted.
        if record is not None and record.create_revision < space.pending_version:
            if name not in judged:
                reached_end = False
                break
            collision = look_alike(step, name, None, judged[name])
            if collision is not None:
                _abandon(step, namespace, space)
                return _collided(step, record, collision)
            index(step, record, judged[name], counted=counts)
        cursor = name
    if reached_end:
        step.put_space(namespace, NamespaceState(space.pending_version, space.pending))
        step.tell(EventKind.POLICY_ACTIVE, namespace, b"")
        return Outcome(Verdict.POLICY_ACTIVE, step.revision)
    step.put_space(namespace, replace(space, cursor=cursor))
    return Outcome(Verdict.POLICY_PENDING, step.revision)


def _collided(step: Step, record: Record, collision: Outcome) -> Outcome:
    """Says of a name that could not be kept which other one is in its way: held, or held back."""
    in_way, other = record.name, collision.record
    if other is None:
        in_way, other = collision.in_way, record.shown()
    return Outcome(Verdict.POLICY_ABANDONED, step.revision, other, collision.until_ms, in_way)


def abandon_policy(step: Step, command: AbandonPolicy) -> Outcome:
    """Drops a pending policy."""
    space = step.space(command.namespace)
    if space.pending_version != command.version:
        return Outcome(Verdict.STALE_FENCE, step.revision)
    _abandon(step, command.namespace, space)
    return Outcome(Verdict.POLICY_ABANDONED, step.revision)


def keep_events(step: Step, command: KeepEvents) -> Outcome:
    """Says how far back the change feed reaches from now on."""
    step.events_kept_max = command.count_max
    step.events_kept_ms = command.age_ms_max
    return Outcome(Verdict.ACCEPTED, step.revision)


def _abandon(step: Step, namespace: str, space: NamespaceState) -> None:
    step.put_space(namespace, replace(space, pending_version=0, pending=b"", cursor=""))
    step.tell(EventKind.POLICY_ABANDONED, namespace, b"")
