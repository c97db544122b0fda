"""Identities that are drawn many at a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from namestore.rpc import identities


def test_no_identity_is_drawn_twice() -> None:
    """By whichever thread, and across the seams of what is drawn at once."""
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda _: identities.draw_request_id(), range(5000)))
    assert len(set(drawn)) == 5000
    assert {len(identity) for identity in drawn} == {identities.REQUEST_ID_BYTES}


def test_a_forked_child_draws_its_own() -> None:
    """It begins with nothing of what its parent has drawn."""
    identities.draw_request_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(identities.draw_request_id() for _ in range(200)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 65536)
    os.close(reader)
    os.close(writer)
    ours = {identities.draw_request_id() for _ in range(600)}
    assert len(theirs) == 200 * identities.REQUEST_ID_BYTES
    assert not {theirs[start : start + 16] for start in range(0, len(theirs), 16)} & ours
