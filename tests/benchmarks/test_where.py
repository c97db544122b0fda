"""Stacks of a sampling profiler, laid at the doors of the parts they are in."""

from __future__ import annotations

import pytest

from benchmarks.where import part_of

_SERVE = ("main (namestore/server/main.py:160)", "run (asyncio/runners.py:190)")
_LOOP = (*_SERVE, "Handle._run (asyncio/events.py:80)")


@pytest.mark.parametrize(
    ("frames", "part"),
    (
        ((*_LOOP, "Frames.begin (namestore/server/frames.py:160)"), "server"),
        ((*_LOOP, "f (namestore/server/calls.py:1)", "g (namestore/rpc/fields.py:2)"), "rpc"),
        (("f (namestore/raft/engine.py:5)", "write (namestore/storage/rocks.py:1)"), "storage"),
        (
            ("f (namestore/raft/engine.py:5)", "g (namestore/raft/transport/tcp.py:1)"),
            "raft/transport",
        ),
        (("f (namestore/raft/engine.py:5)", "packb (msgpack/__init__.py:36)"), "raft"),
        (("f (/opt/x/namestore/core/registry.py:5)",), "core"),
        (_LOOP, "asyncio, grpcio"),
        ((*_SERVE, "f (asyncio/base_events.py:7)"), "asyncio, grpcio"),
        ((), "asyncio, grpcio"),
    ),
)
def test_a_stack_belongs_to_its_innermost_part(frames: tuple[str, ...], part: str) -> None:
    """Libraries count for who calls them, and the frames around an event loop for nobody."""
    assert part_of(frames) == part
