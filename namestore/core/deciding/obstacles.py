"""What stands in the way of taking a name: nothing, or the outcome that says what.

The order is that of what a caller can do least about: held, held back, taken by a look-alike, too
many. Expired reservations that are met end here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from namestore.core.commands import Judgement, UniqueKey
from namestore.core.deciding.holdings import names_with, owner_count, standing
from namestore.core.deciding.step import Step
from namestore.core.namespaces import NamespaceState, namespace_of
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.records import Record


@dataclass(slots=True)
class Claims:
    """What the names of one request claim together, so that they exclude each other as well.

    Attributes:
        keys: Kind, namespace and key, and the name that claims it.
        counts: Namespace and owner, and how many names more.
    """

    keys: dict[tuple[int, str, str], str] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)


def is_judged(space: NamespaceState, judged: tuple[Judgement, ...]) -> bool:
    """There is a judgement under each policy that the namespace has now."""
    versions = {judgement.version for judgement in judged}
    return versions.issuperset(space.demanded)


def keys_of(space: NamespaceState, judged: tuple[Judgement, ...]) -> tuple[UniqueKey, ...]:
    """The unique keys that the namespace's policies demand, in order."""
    demanded = space.demanded
    return tuple(
        sorted(
            {
                item
                for judgement in judged
                if judgement.version in demanded
                for item in judgement.keys
            }
        )
    )


def held_back(step: Step, name: str, owner: str) -> Outcome | None:
    """The name waits for its last owner, who is somebody else."""
    held = step.held_back(name)
    if held is None or held.until_ms <= step.time_ms or held.owner == owner:
        return None
    return Outcome(Verdict.HELD_BACK, step.revision, None, held.until_ms)


def look_alike(
    step: Step,
    name: str,
    owner: str | None,
    keys: Iterable[UniqueKey],
    leaving: str = "",
) -> Outcome | None:
    """A name that has one of these keys is held, or waits for an owner who is somebody else.

    Args:
        step: The entry being decided.
        name: Whose keys these are.
        owner: Who asks; None: nobody in particular.
        keys: Its unique keys.
        leaving: A name that is let go of in the same step.
    """
    namespace = namespace_of(name)
    for item in keys:
        for other in names_with(step, namespace, item):
            if other == leaving:
                break
            record = None if other == name else standing(step, other)
            if record is not None:
                return Outcome(Verdict.CONFUSABLE, step.revision, record.shown())
            held = step.held_back(other)
            if held is None or held.until_ms <= step.time_ms or item not in held.keys:
                continue
            if other != name and held.owner != owner:
                return Outcome(Verdict.HELD_BACK, step.revision, None, held.until_ms, other)
            break  # the newest decides, and it waits for whoever asks
    return None


def of_one_request(
    step: Step, name: str, keys: tuple[UniqueKey, ...], claims: Claims
) -> Outcome | None:
    """Another name of the same request has one of these keys; claims them otherwise."""
    namespace = namespace_of(name)
    places = [(kind, namespace, key) for kind, key in keys]
    for place in places:
        if place in claims.keys:
            return Outcome(Verdict.CONFUSABLE, step.revision, in_way=claims.keys[place])
    claims.keys.update(dict.fromkeys(places, name))
    return None


def owner_limit(
    step: Step, name: str, owner: str, space: NamespaceState, claims: Claims | None = None
) -> Outcome | None:
    """The owner has as many names in that namespace as its policy lets him have."""
    most = space.in_force.names_per_owner_max
    if not most:
        return None
    namespace = namespace_of(name)
    claimed = 0
    if claims is not None:
        claimed = claims.counts[namespace, owner]
        claims.counts[namespace, owner] += 1
    if owner_count(step, namespace, owner) + claimed < most:
        return None
    return Outcome(Verdict.OWNER_LIMIT, step.revision)


def seen(record: Record, verdict: Verdict, step: Step) -> Outcome:
    """An outcome with a record as callers see it."""
    return Outcome(verdict, step.revision, record.shown())
