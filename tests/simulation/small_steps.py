"""Bounds that a simulated run would hardly reach, made small: then steps are several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from namestore.core.deciding import each, step, sweeping
from namestore.server import carrying, exporting, feed, housekeeping, tail

# Module and name to the bound. None of them changes what is decided, but how far back history
# reaches: there all nodes must have the same.
_SMALL: tuple[tuple[Any, str, int], ...] = (
    (step, "CHUNK_EVENTS_MAX", 4),
    (each, "LOOK_AT_ONCE_MIN", 2),
    (sweeping, "CHUNK_EVENTS_MAX", 4),
    (carrying, "NAMES_AT_ONCE", 2),
    (exporting, "_PAGE_NAMES_MAX", 3),
    (feed, "STEP_EVENTS_MAX", 3),
    (feed, "EVENTS_MAX", 6),
    (feed, "_READ_AT_ONCE", 1),
    (tail, "EVENTS_MAX", 6),
    (housekeeping, "EXPIRED_AT_ONCE", 2),
)


@contextmanager
def small_steps() -> Iterator[None]:
    """While it lasts, the bounds are small."""
    before = [(module, name, getattr(module, name)) for module, name, _ in _SMALL]
    for module, name, bound in _SMALL:
        setattr(module, name, bound)
    try:
        yield
    finally:
        for module, name, bound in before:
            setattr(module, name, bound)
