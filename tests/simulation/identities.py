"""Identities of requests that nobody chose, drawn from the seed and not from the system."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from namestore.rpc import identities


@contextmanager
def seeded_identities(seed: int) -> Iterator[None]:
    """While it lasts, `draw_request_id` depends on the seed alone."""
    rng, drawn, draw = random.Random(f"identities {seed}"), identities._drawn, identities._draw
    before = list(drawn)
    drawn.clear()
    identities._draw = lambda: drawn.append(rng.randbytes(identities.REQUEST_ID_BYTES))
    try:
        yield
    finally:
        identities._draw = draw
        drawn[:] = before
