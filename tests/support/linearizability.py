"""Two judges of a registry's history, independent of namestore and of each other.

`check_revisions` believes the revisions that the answers carry and checks that they can be true:
one order of all changes that agrees with real time, in which every answer is what that order
gives. O(n log n).

`check_names` believes nothing but the answers: for each name it searches for some order that agrees
with real time and explains every answer (Wing and Gong 1993; the memory of configurations tried is
Lowe's, 2017). Names are independent, so the searches are small.

Both take an unknown outcome as done at any time after its call, or as never done; and a refusal
that does not say whose the name is as: anybody's but its caller's, at some moment of the call.
"""

from __future__ import annotations

from tests.support.answers import Violation
from tests.support.history import Operation
from tests.support.revision_judge import check_revisions
from tests.support.search_judge import check_names

__all__ = ["Violation", "check", "check_names", "check_revisions"]


def check(operations: list[Operation]) -> None:
    """Both judges. Raises `Violation`."""
    check_revisions(operations)
    check_names(operations)
