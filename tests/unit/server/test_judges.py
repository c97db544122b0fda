"""Judges are made in threads, once, and judge at once from then on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from namestore.config import dev_config
from namestore.core.commands import PutNamespace
from namestore.core.policies import Policy, Profile, encode_policy
from namestore.server import judges
from namestore.server.gateway import Gateway
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica

WAIT = 30.0
ROOT = Path(__file__).parents[3]
FRESH = """
import sys
from namestore.core.policies import Policy, Profile, encode_policy
from namestore.server import judges
from namestore.policy import tables
read, packaged = [], tables._packaged
tables._packaged = lambda name: read.append(name) or packaged(name)
policy = encode_policy(Policy(profile=Profile[sys.argv[1]], look_alikes=True))
judge = judges.judge_of(policy)
assert read, "the test looks at the wrong place"
del read[:]
for label in ("alice", "Zo\\u00e9", "zo\\u00e9@ex\\u00e4mple.org", "\\u0430lice", "a-b"):
    judge.judge(label)
assert not read, read
assert judges.at_hand(policy) is judge
"""
USERNAME = encode_policy(Policy(profile=Profile.USERNAME, look_alikes=True, reserved_shipped=True))


@pytest.fixture(autouse=True)
def nothing_is_made() -> Iterator[None]:
    """As in a process that was just started, as far as judges go."""
    kept = dict(judges._kept)
    judges._kept.clear()
    yield
    judges._kept.update(kept)


@pytest.fixture
def made_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads in which judges are made."""
    threads: list[int] = []
    judge = judges.Judge

    def noted(policy: Policy) -> Any:
        threads.append(threading.get_ident())
        return judge(policy)

    monkeypatch.setattr(judges, "Judge", noted)
    return threads


@pytest.fixture
def gateway() -> Gateway:
    """Of a node that learned of a policy, and was asked nothing since."""
    replica = FakeReplica()
    replica.registry.decide(PutNamespace(b"p", "user", USERNAME, 0))
    return Gateway(replica, dev_config("unused"), "dev")


@pytest.mark.parametrize("call", ("register", "lookup", "lookup_many", "history"))
async def test_no_judge_is_made_on_the_event_loop(
    gateway: Gateway, made_in: list[int], call: str
) -> None:
    """Whichever call is the first under a policy: the others go on meanwhile."""
    request: Any = {
        "register": pb.RegisterRequest(name="user:Zo\u00e9"),
        "lookup": pb.LookupRequest(name="user:Zo\u00e9"),
        "lookup_many": pb.LookupManyRequest(names=[f"user:Zo\u00e9{n}" for n in range(100)]),
        "history": pb.HistoryRequest(name="user:Zo\u00e9"),
    }[call]
    await getattr(gateway, call)(request, WAIT)
    await getattr(gateway, call)(request, WAIT)
    assert len(made_in) == 1
    assert threading.get_ident() not in made_in


@pytest.mark.parametrize("profile", (Profile.USERNAME, Profile.EMAIL))
def test_a_judge_that_was_made_loads_nothing_more(profile: Profile) -> None:
    """The tables are read when it is made, and not with the first name that needs them."""
    # In a process of its own: here they were read long ago.
    subprocess.run([sys.executable, "-c", FRESH, profile.name], cwd=ROOT, check=True, timeout=60)


def test_judges_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first."""
    monkeypatch.setattr(judges, "_KEPT_MAX", 2)
    policies = [encode_policy(Policy(length_max=length)) for length in (10, 20, 30)]
    for policy in policies:
        judges.judge_of(policy)
    with pytest.raises(judges.NotAtHand):
        judges.at_hand(policies[0])
    assert judges.at_hand(policies[1])
    assert len(judges._kept) == 2
