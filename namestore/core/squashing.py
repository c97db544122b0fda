"""Which changes still matter to somebody who missed them: the latest of each name.

Needs no memory of what was looked at before: the state says of every name which change was its
last one. Invariant: of the changes of one name, up to the revision of the picture, exactly one is
the latest, so whoever is told the latest of every part knows each name as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from namestore.core import state as st
from namestore.core.events import ENDS_HOLDING, Event
from namestore.core.reading import Picture
from namestore.core.records import decode_record


def latest(view: Picture, events: Sequence[Event]) -> list[Event]:
    """Those that no later change of the same name has replaced; events of policies always stay.

    Args:
        view: At or after the newest of them.
        events: In order, not forgotten by the feed.
    """
    names = list({event.name: None for event in events if event.record is not None})
    found = view.get_many([st.name_key(name) for name in names])
    # As it is kept: a reservation that is over changed nothing yet, its end will be an event.
    newest = {
        name: decode_record(name, data).mod_revision
        for name, data in zip(names, found, strict=True)
        if data is not None
    }
    return [event for event in events if event.record is None or _is_latest(view, event, newest)]


def _is_latest(view: Picture, event: Event, newest: dict[str, int]) -> bool:
    if event.name in newest:
        return newest[event.name] == event.revision
    return event.kind in ENDS_HOLDING and not _ended_later(view, event.name, event.revision)


def _ended_later(view: Picture, name: str, revision: int) -> bool:
    """Another holding of the name ended after that revision."""
    start = st.holding_key(name, revision + 1)
    # Longer keys are of a name that goes on behind a zero.
    return any(len(key) == len(start) for key, _ in view.scan(start, start[:-8]))
