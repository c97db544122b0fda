"""Which rows of an import exclude each other: by their names, or by what policies make of them.

Of two such rows the first is to be decided first, so they never travel at the same time. The
registry has the last word on who is granted what; here is only found what may not overtake what.

Invariant: rows without a mark in common exclude each other by no policy that was in force, or
pending, when the import came to their namespace.
"""

from __future__ import annotations

from collections.abc import Callable

from namestore.cli.rows import Row
from namestore.client.namespace_values import NamespaceState
from namestore.errors import NotImplementedYet
from namestore.policy import Judge, Judged

# Says where a namespace stands; raises `NamestoreError`.
GetNamespace = Callable[[str], NamespaceState]


class Exclusions:
    """The marks of rows. Asks for each namespace once, when its first row comes. One thread."""

    def __init__(self, get_namespace: GetNamespace) -> None:
        self._get_namespace = get_namespace
        self._judges: dict[str, tuple[Judge, ...]] = {}

    def marks(self, row: Row) -> set[str]:
        """What another row must not have in common with this one, if both are sent at once.

        Raises:
            NamestoreError: Nobody says what the policy of its namespace is.
        """
        found = {row.canonical}
        namespace, _, label = row.name.partition(":")
        for judge in self._judges_of(namespace):
            judged = judge.judge(label)
            if isinstance(judged, Judged):
                found.add(f"{namespace}:{judged.canonical}")
                # No name has a blank before its colon: these are apart from the names.
                found.update(f"{int(kind)} {namespace}:{key}" for kind, key in judged.keys)
        return found

    def _judges_of(self, namespace: str) -> tuple[Judge, ...]:
        judges = self._judges.get(namespace)
        if judges is None:
            judges = self._judges[namespace] = self._asked(namespace)
        return judges

    def _asked(self, namespace: str) -> tuple[Judge, ...]:
        try:
            state = self._get_namespace(namespace)
        except NotImplementedYet:
            return ()  # an older registry: it has no policies
        return tuple(
            Judge(policy) for policy in (state.policy, state.pending_policy) if policy is not None
        )
