"""What an answer says about who holds a name: the words that both judges of a history use.

Not responsible for the order of answers (`revision_judge`, `search_judge`). Invariant: what an
answer does not tell fits anything that it may have left untold, and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.support.history import Operation, Said, requests


class Violation(AssertionError):
    """The history cannot be that of one registry. The message shows where it breaks."""


class Holder(NamedTuple):
    """Who holds a name, and since which revision; 0: not known yet."""

    owner: str
    revision: int


CHANGES = (Said.GRANTED, Said.RELEASED)


def revision_of(operation: Operation) -> int:
    """Of its answer; 0: not given."""
    return operation.revision or 0


def is_nameless(operation: Operation) -> bool:
    """It tells that somebody holds the name who is not its caller, and not who."""
    return operation.said is Said.NOT_OWNER and not operation.holder_owner


def may_tell_of(operation: Operation, owner: str) -> bool:
    """Whether an answer that somebody holds the name can mean this owner."""
    if operation.said is Said.NOT_OWNER and owner == operation.owner:
        return False
    return is_nameless(operation) or owner == operation.holder_owner


def holder_after(operation: Operation, before: Holder | None) -> Holder | None:
    """Who holds the name once the answer was given."""
    match operation.said:
        case Said.GRANTED:
            return Holder(operation.owner, revision_of(operation))
        case Said.RELEASED | Said.NOT_FOUND:
            return None
        case _:
            return before


def merged(operations: list[Operation]) -> list[Operation]:
    """One operation per request. Raises `Violation` if its attempts heard different answers."""
    try:
        return requests(operations)
    except AssertionError as error:
        raise Violation(str(error)) from error
