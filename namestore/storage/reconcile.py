"""Whether a log and a state, each sound, belong together.

The state is what the log's entries made of it, so its last applied entry is in the log, with the
same term, or just before the log's first. There is one way to differ without damage: a crash after
a snapshot was installed and before the log was told.
"""

from __future__ import annotations

from namestore.errors import DiskDamaged
from namestore.storage.damage import REMEDY
from namestore.storage.interfaces import LogStore, StateStore


def reconcile(log: LogStore, state: StateStore) -> None:
    """Lets the log go on from an installed snapshot; refuses any other disagreement.

    Afterwards log.first_index - 1 <= applied index <= commit index <= log.last_index.

    Raises:
        DiskDamaged: Entries are missing, or are not those that were applied.
        DiskFailed: The log could not be synced.
    """
    applied, term = state.meta.applied_index, state.meta.applied_term
    if applied < log.first_index - 1:
        raise _disagreement(
            f"the state ends at entry {applied}, and the log begins at {log.first_index}: the "
            "entries between are missing"
        )
    if log.term_at(applied) != term:
        _continue_from_snapshot(log, state)
    elif applied > log.commit_index:
        # What was applied was committed; the log hears of that with its next sync only.
        log.save_commit(applied)


def _continue_from_snapshot(log: LogStore, state: StateStore) -> None:
    applied, term = state.meta.applied_index, state.meta.applied_term
    if applied != state.installed_index:
        raise _disagreement(
            f"the state has applied entry {applied} of term {term}, and the log, from "
            f"{log.first_index} to {log.last_index}, does not have it"
        )
    if applied <= log.commit_index:
        raise _disagreement(
            f"a snapshot says entry {applied} is of term {term}, and the log has committed it with "
            f"term {log.term_at(applied)}"
        )
    log.reset(applied, term)
    log.sync()


def _disagreement(finding: str) -> DiskDamaged:
    return DiskDamaged(f"log/ and state/ of the data directory disagree: {finding}. {REMEDY}")
