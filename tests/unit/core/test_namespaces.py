"""How a policy comes over the names of a namespace, and what it asks of requests."""

from __future__ import annotations

import pytest

from namestore.core import reading
from namestore.core.commands import (
    AbandonPolicy,
    IndexNames,
    Judgement,
    PutNamespace,
    Register,
    Wanted,
)
from namestore.core.outcomes import Verdict
from namestore.core.policies import HoldBack, Policy, encode_policy
from tests.support.lives import Life, looks
from tests.support.registry_driver import register, release

LOOKS = Policy(look_alikes=True)


def _space(life: Life, namespace: str = "user") -> tuple[int, int]:
    space = reading.namespace_state(life.registry.view(), namespace)
    return space.version, space.pending_version


def _named(life: Life) -> list[str] | None:
    records = reading.names_to_index(life.registry.view(), "user")
    return None if records is None else [record.name for record in records]


def test_a_policy_for_an_empty_namespace_is_in_force_at_once() -> None:
    """Its version is the revision of the change that put it."""
    life = Life()
    life.take("post:a")
    assert life.put(LOOKS) == "POLICY_ACTIVE"
    assert _space(life) == (2, 0)
    assert list(reading.namespaces(life.registry.view())) == ["user"]
    assert _space(life, "post") == (0, 0)


def test_a_policy_that_judges_alike_is_in_force_at_once() -> None:
    """What concerns the life of names only needs no look at them."""
    life = Life(LOOKS)
    life.take("user:lo")
    assert life.put(Policy(look_alikes=True, hold_back=HoldBack.fixed(60))) == "POLICY_ACTIVE"
    assert life.take("user:10", "bob") == "CONFUSABLE"


@pytest.mark.parametrize("expected", (0, 2, 9))
def test_a_policy_replaces_the_one_it_means(expected: int) -> None:
    """Two who change a policy at once do not undo each other unseen."""
    life = Life(LOOKS)
    assert _space(life) == (1, 0)
    put = PutNamespace(b"other", "user", encode_policy(Policy()), expected)
    assert life.registry.decide(put)[0].verdict is Verdict.STALE_FENCE
    assert _space(life) == (1, 0)


def test_a_policy_is_carried_over_the_names_that_exist() -> None:
    """Pending until the last name is indexed; from then on each name excludes its look-alikes."""
    life = Life()
    for name in ("user:a", "user:lo", "user:x", "post:a"):
        life.take(name)
    assert life.put(LOOKS) == "POLICY_PENDING"
    assert _space(life) == (0, 5)
    assert _named(life) == ["user:a", "user:lo", "user:x"]
    assert life.index("user:a", "user:lo") == "POLICY_PENDING"
    assert _named(life) == ["user:x"]
    assert life.index("user:x") == "POLICY_ACTIVE"
    assert _space(life) == (5, 0)
    assert _named(life) is None
    assert life.take("user:10", "bob") == "CONFUSABLE"


def test_the_core_trusts_nobody_for_completeness() -> None:
    """A name that was left out, or indexed late or twice, stops the walk and spoils nothing."""
    life = Life()
    for name in ("user:a", "user:b", "user:c"):
        life.take(name)
    life.put(LOOKS)
    assert life.index("user:c") == "POLICY_PENDING"
    assert _named(life) == ["user:a", "user:b", "user:c"]
    assert life.index("user:a", "user:c") == "POLICY_PENDING"
    assert life.index("user:a", "user:c") == "POLICY_PENDING"
    assert _named(life) == ["user:b", "user:c"]
    assert life.index("user:b", "user:c", "user:gone") == "POLICY_ACTIVE"


def test_names_registered_meanwhile_are_under_both_policies() -> None:
    """They need a judgement under the pending one, exclude each other by it, and need no index."""
    life = Life()
    life.take("user:a")
    life.put(LOOKS)
    plain = register("plain", "user:lo")
    assert life.registry.decide(plain)[0].verdict is Verdict.POLICY_CHANGED
    assert life.take("user:lo") == "GRANTED"
    assert life.take("user:10", "bob") == "CONFUSABLE"
    assert _named(life) == ["user:a"]
    assert life.index("user:a") == "POLICY_ACTIVE"
    assert life.take("user:10", "bob") == "CONFUSABLE"


def test_a_request_judged_under_the_pending_policy_is_judged_once_it_is_in_force() -> None:
    """What was on its way while the policy came into force need not be judged again."""
    life = Life()
    life.take("user:a")
    life.put(LOOKS)
    on_its_way = Register(b"r", life.wanted("user:b"))
    life.index("user:a")
    assert life.registry.decide(on_its_way)[0].verdict is Verdict.GRANTED


def test_two_names_that_look_alike_abandon_a_policy() -> None:
    """The answer names both; the policy before stays in force, and nothing else has changed."""
    life = Life()
    for name in ("user:10", "user:lo"):
        life.take(name)
    life.put(LOOKS)
    pending = _space(life)[1]
    names = tuple((name, looks(name)) for name in ("user:10", "user:lo"))
    (outcome,) = life.registry.decide(IndexNames("user", pending, names))
    assert outcome.verdict is Verdict.POLICY_ABANDONED
    assert outcome.record is not None
    assert (outcome.record.name, outcome.in_way) == ("user:10", "user:lo")
    assert _space(life) == (0, 0)
    assert life.registry.names() == {"user:10", "user:lo"}
    assert life.take("user:1o", "bob") == "GRANTED"


def test_keys_left_by_an_abandoned_policy_exclude_nobody() -> None:
    """They go with their names, and a later policy finds its way."""
    life = Life()
    for name in ("user:10", "user:lo"):
        life.take(name)
    life.put(LOOKS)
    life.index("user:10", "user:lo")
    life.registry.decide(release("gone", "user:10"))
    assert not [key for key in life.registry.state.content if key[:1] == b"k"]
    assert life.put(LOOKS) == "POLICY_PENDING"
    assert life.index("user:lo") == "POLICY_ACTIVE"
    assert life.take("user:10", "bob") == "CONFUSABLE"


def test_one_policy_is_pending_at_a_time_and_can_be_abandoned() -> None:
    """Whoever finds one pending goes on with it, or drops it."""
    life = Life()
    life.take("user:a")
    life.put(LOOKS)
    pending = _space(life)[1]
    assert life.put(Policy()) == "POLICY_BUSY"
    wrong = AbandonPolicy(b"wrong", "user", pending + 1)
    assert life.registry.decide(wrong)[0].verdict is Verdict.STALE_FENCE
    drop = AbandonPolicy(b"drop", "user", pending)
    assert life.registry.decide(drop)[0].verdict is Verdict.POLICY_ABANDONED
    assert _space(life) == (0, 0)
    late = IndexNames("user", pending, (("user:a", looks("user:a")),))
    assert life.registry.decide(late)[0].verdict is Verdict.STALE_FENCE


def test_the_policy_that_is_pending_can_be_asked_for_again() -> None:
    """Under another request, or the same one once more: both hear which change they wait for."""
    life = Life()
    life.take("user:a")
    life.put(LOOKS)
    pending, revision = _space(life)[1], life.registry.meta.revision
    put = PutNamespace(b"again", "user", encode_policy(LOOKS), 0)
    for _ in range(2):
        (outcome,) = life.registry.decide(put)
        assert (outcome.verdict, outcome.revision) == (Verdict.POLICY_PENDING, pending)
    assert life.registry.meta.revision == revision
    life.index("user:a")
    assert life.registry.decide(put)[0].verdict is Verdict.POLICY_PENDING
    assert _space(life) == (pending, 0)


def test_names_are_counted_when_a_limit_comes() -> None:
    """Those that exist and those registered meanwhile, each once."""
    life = Life()
    life.take("user:a")
    life.put(Policy(names_per_owner_max=3))
    life.take("user:0")
    life.index("user:a")
    assert reading.owner_count(life.registry.view(), "user", "ann") == 2
    assert life.take("user:b") == "GRANTED"
    assert life.take("user:c") == "OWNER_LIMIT"


def test_a_namespace_of_thousands_is_walked_in_bounded_steps() -> None:
    """Names judged at birth count as walked over, so a command does not walk for ever."""
    life = Life()
    life.take("user:a")
    life.put(LOOKS)
    judged = (Judgement(2),)
    for start in range(0, 2500, 500):
        life.registry.apply(
            *(
                Register(b"%d" % n, Wanted(f"user:{n:05}", "", "ann", b"", judged))
                for n in range(start, start + 500)
            )
        )
    assert life.index() == "POLICY_PENDING"
    assert reading.namespace_state(life.registry.view(), "user").cursor == "user:01999"
    assert life.index("user:a") == "POLICY_ACTIVE"


# -- judgements -------------------------------------------------------------------------------


def test_a_request_judged_under_another_policy_changes_nothing_and_is_not_remembered() -> None:
    """The proposer judges again, under the same request_id."""
    life = Life(LOOKS)
    old = Register(b"r", life.wanted("user:a"))
    life.put(Policy(look_alikes=True, hold_back=HoldBack.fixed(60)))
    revision = life.registry.meta.revision
    for _ in range(2):
        assert life.registry.decide(old)[0].verdict is Verdict.POLICY_CHANGED
    assert life.registry.meta.revision == revision
    again = Register(b"r", life.wanted("user:a"))
    assert life.registry.decide(again)[0].verdict is Verdict.GRANTED
    assert life.registry.decide(old) == life.registry.decide(again)


def test_a_retry_across_a_change_of_policy_is_the_same_request() -> None:
    """It was granted without a policy; judged under one, it hears the same."""
    life = Life()
    (first,) = life.registry.decide(register("r", "user:a"))
    life.put(LOOKS)
    life.index("user:a")
    retry = Register(b"r", life.wanted("user:a"))
    assert life.registry.decide(retry)[0] == first
    life.registry.decide(release("gone", "user:a"))
    assert life.registry.decide(retry)[0] == first
    assert life.registry.names() == set()


def test_a_request_is_known_before_it_is_judged() -> None:
    """A policy that would refuse the name today does not take back what was granted."""
    life = Life()
    command = register("r", "user:a")
    assert reading.decided_before(life.registry.view(), command) is None
    decision = life.registry.decide(command)
    assert reading.decided_before(life.registry.view(), command) == decision
    other = reading.decided_before(life.registry.view(), register("r", "user:a", "somebody else"))
    assert other is not None
    assert other[0].verdict is Verdict.REQUEST_ID_REUSED
    life.registry.decide(release("refused", "user:nobody"))
    other = reading.decided_before(life.registry.view(), register("refused", "user:b"))
    assert other is not None
    assert other[0].verdict is Verdict.REQUEST_ID_REUSED
