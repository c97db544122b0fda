"""What a policy would do to names that exist, before it is put in force.

Reads the names once, in any order, and reports as it goes. It keeps one key for each name: about
150 bytes for a name of ordinary length, so a million names take some 150 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from namestore.core.policies import Policy
from namestore.policy.judging import Judge, Judged, Refusal
from namestore.policy.refusing import Reason, shown


class Conflict(StrEnum):
    """How a name and a policy disagree. The words may be shown to programs: never re-used."""

    INVALID = "INVALID"
    RESERVED = "RESERVED"
    EQUAL = "EQUAL"
    LOOK_ALIKE = "LOOK_ALIKE"
    MOVED = "MOVED"


class Finding(NamedTuple):
    """One name that could not stay as it is.

    Attributes:
        conflict: What kind of disagreement.
        name: The label, as it was read.
        other: The earlier label that it is equal to or looks like, the reserved word that it
            meets, or its canonical form; empty for an invalid one.
        message: A sentence for people.
    """

    conflict: Conflict
    name: str
    other: str
    message: str


def check(policy: Policy, names: Iterable[str], held: bool = False) -> Iterator[Finding]:
    """Finds the names that a policy would refuse, make equal, or take for look-alikes.

    A name that occurs several times in the same spelling is one name. Of names that exclude each
    other the first one stays and each later one is reported with it. A name is reported once, for
    the first of: invalid or reserved; equal or look-alike; moved.

    Args:
        policy: To be checked.
        names: Labels, without their namespace.
        held: They are canonical forms under the policy in force, so a label whose canonical form
            would be another is reported as well (`MOVED`): it would not be found any more.

    Raises:
        InvalidRequest: The policy itself cannot be; at the first step.
    """
    judge = Judge(policy)
    first_by_key: dict[str, str] = {}
    for name in names:
        judged = judge.judge(name)
        if isinstance(judged, Refusal):
            yield _refused(name, judged)
            continue
        if first := _first_in_the_way(first_by_key, judged):
            yield _excluded(judge, judged, first)
        elif held and judged.canonical != name:
            message = f"{shown(name)} would be stored as {shown(judged.canonical)}"
            yield Finding(Conflict.MOVED, name, judged.canonical, message)


def _first_in_the_way(first_by_key: dict[str, str], judged: Judged) -> str | None:
    """The earlier label that has a key of this one; None: there is none, and now it has them."""
    name = judged.original
    keys = judged.keys or (judged.canonical,)
    for key in keys:
        first = first_by_key.get(key, name)
        if first != name:
            return first
    for key in keys:
        # Equal texts share one object, so that most keys cost no memory of their own.
        first_by_key.setdefault(name if key == name else key, name)
    return None


def _refused(name: str, refusal: Refusal) -> Finding:
    reserved = refusal.reason is Reason.RESERVED_WORD
    conflict = Conflict.RESERVED if reserved else Conflict.INVALID
    return Finding(conflict, name, refusal.word, refusal.message)


def _excluded(judge: Judge, judged: Judged, first: str) -> Finding:
    """`judged` and the earlier label `first` have one key; says what makes them one."""
    name = judged.original
    earlier = judge.judge(first)
    if isinstance(earlier, Judged) and earlier.canonical == judged.canonical:
        message = f"{shown(name)} and {shown(first)} are the same name, {shown(judged.canonical)}"
        return Finding(Conflict.EQUAL, name, first, message)
    if isinstance(earlier, Judged) and judged.squeezed and earlier.squeezed == judged.squeezed:
        message = f"{shown(name)} and {shown(first)} differ only in punctuation or case"
        return Finding(Conflict.EQUAL, name, first, message)
    message = f"{shown(name)} looks like {shown(first)}"
    return Finding(Conflict.LOOK_ALIKE, name, first, message)
