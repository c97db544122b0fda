"""The stores in memory fail as those on disks do, and no more than that."""

from __future__ import annotations

import random

import pytest

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.errors import DiskDamaged
from tests.support.memory_stores import MemoryState


def _state(*keys: bytes) -> MemoryState:
    """A state with these keys, durable."""
    state, meta = MemoryState(), StateMeta(applied_index=1, applied_term=1)
    state.write(dict.fromkeys(keys, b"old") | {META_KEY: encode_meta(meta)}, meta)
    state.flush()
    return state


@pytest.mark.parametrize("newer", (b"new", None))
@pytest.mark.parametrize("seed", range(8))
def test_what_was_changed_since_hides_a_damaged_block(newer: bytes | None, seed: int) -> None:
    """A change that is not flushed yet is in memory: what is read then is not in the block. A
    snapshot of that has no damage to carry."""
    state = _state(b"x")
    meta = StateMeta(applied_index=2, applied_term=1)
    state.write({b"x": newer, META_KEY: encode_meta(meta)}, meta)
    state.damage(random.Random(seed))
    assert state.get_many([b"x"]) == [newer]
    assert not state.unreadable
    assert state.checkpoint().files()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_in_a_damaged_block_is_found_and_not_sent(seed: int) -> None:
    """Reading it fails, and so does reading the snapshot before it is sent."""
    state = _state(b"x")
    state.damage(random.Random(seed))
    (key, *_) = state.unreadable
    with pytest.raises(DiskDamaged):
        state.get_many([key])
    with pytest.raises(DiskDamaged):
        state.checkpoint().files()
