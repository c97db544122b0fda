"""What a policy would do to names that exist, before it is put in force.

Reads the names once, in any order, and reports as it goes. It keeps the keys of each name: about
120 bytes for a name of ordinary length, so a million names take some 120 MB.
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
    MOVED = "MOVED"
    EQUAL = "EQUAL"
    LOOK_ALIKE = "LOOK_ALIKE"


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


def check(policy: Policy, labels: Iterable[str]) -> Iterator[Finding]:
    """Finds the names that a policy would refuse, make equal, or take for look-alikes.

    A label that occurs several times in the same spelling is one name. Of names that exclude each
    other the first one stays and each later one is reported with it. A name is reported once, for
    the first kind of conflict that applies.

    Args:
        policy: To be checked.
        labels: As their holders write them, without the namespace.

    Raises:
        InvalidRequest: The policy itself cannot be; at the first step.
    """
    return _check(policy, ((label, label, False) for label in labels))


def check_spelled(policy: Policy, labels: Iterable[str]) -> Iterator[Finding]:
    """Finds what `check` does, and the names whose spelling would not be what they are stored as.

    A label that excludes no other and whose canonical form is another is `MOVED`: it may be
    registered as it is written, and is found and compared as its canonical form.

    Args:
        policy: To be checked.
        labels: As their holders write them, without the namespace.

    Raises:
        InvalidRequest: The policy itself cannot be; at the first step.
    """
    return _check(policy, ((label, label, False) for label in labels), spelling=True)


def check_held(policy: Policy, names: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Finds the names of a namespace that could not be kept under a new policy.

    As `check`, and besides: a name whose canonical form would be another is `MOVED`, because it
    would not be found any more.

    Args:
        policy: To be checked.
        names: The canonical label, and the label as it is shown, of each name held.

    Raises:
        InvalidRequest: The policy itself cannot be; at the first step.
    """
    return _check(policy, ((canonical, original, True) for canonical, original in names))


def _check(
    policy: Policy, names: Iterable[tuple[str, str, bool]], *, spelling: bool = False
) -> Iterator[Finding]:
    judge = Judge(policy)
    first_by_key: dict[str, str] = {}
    for name, original, held in names:
        judged = judge.judge(original)
        if isinstance(judged, Refusal):
            yield _refused(name, judged)
        elif held and judged.canonical != name:
            yield _moved(name, judged)
        elif first := _first_in_the_way(first_by_key, name, judged):
            yield _excluded(judge, name, judged, first)
        elif spelling and judged.canonical != name:
            yield _moved(name, judged)


def _first_in_the_way(first_by_key: dict[str, str], name: str, judged: Judged) -> str | None:
    """The earlier name that has a key of this one; None: there is none, and now it has them."""
    # All keys of a policy are of one kind, so their texts can be told apart by themselves.
    keys = [text for _, text in judged.keys] or [judged.canonical]
    for key in keys:
        first = first_by_key.get(key, name)
        if first != name:
            return first
    for key in keys:
        # Equal texts share one object, so that most keys cost no memory of their own.
        first_by_key[name if key == name else key] = name
    return None


def _refused(name: str, refusal: Refusal) -> Finding:
    reserved = refusal.reason is Reason.RESERVED_WORD
    conflict = Conflict.RESERVED if reserved else Conflict.INVALID
    return Finding(conflict, name, refusal.word, refusal.message)


def _moved(name: str, judged: Judged) -> Finding:
    message = f"{shown(name)} would be stored as {shown(judged.canonical)}"
    return Finding(Conflict.MOVED, name, judged.canonical, message)


def _excluded(judge: Judge, name: str, judged: Judged, first: str) -> Finding:
    """The name and the earlier name `first` have one key; says what makes them one."""
    earlier = judge.judge(first)
    if isinstance(earlier, Judged) and earlier.canonical == judged.canonical:
        message = f"{shown(name)} and {shown(first)} are the same name, {shown(judged.canonical)}"
        return Finding(Conflict.EQUAL, name, first, message)
    if isinstance(earlier, Judged) and judged.squeezed and earlier.squeezed == judged.squeezed:
        message = f"{shown(name)} and {shown(first)} differ only in punctuation or case"
        return Finding(Conflict.EQUAL, name, first, message)
    return Finding(Conflict.LOOK_ALIKE, name, first, f"{shown(name)} looks like {shown(first)}")
