"""Names are judged by their namespace's policy before the log, by the one in force."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from namestore import errors
from namestore.config import dev_config
from namestore.core.commands import IndexNames, PutNamespace, Rename, decode_command
from namestore.core.policies import Policy, Profile, encode_policy
from namestore.server.frames import Frames
from namestore.server.gateway import Gateway
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica

WAIT = 30.0
ALL = pb.RegisterManyRequest.ALL_OR_NOTHING
USERNAME = Policy(profile=Profile.USERNAME, look_alikes=True, reserved=("admin", "root*"))


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def gateway(replica: FakeReplica) -> Gateway:
    return Gateway(replica, dev_config("unused"), "dev")


def govern(replica: FakeReplica, policy: Policy, version: int = 0) -> int:
    """Gives `user` a policy, behind the gateway's back; returns its version."""
    put = PutNamespace(f"p{version}".encode(), "user", encode_policy(policy), version)
    outcome = replica.registry.decide(put)[0]
    if outcome.verdict.name == "POLICY_PENDING":
        replica.registry.decide(IndexNames("user", outcome.revision, ()))
    return outcome.revision


def wish(name: str, owner: str = "ann", **fields: Any) -> pb.RegisterRequest:
    return pb.RegisterRequest(name=name, owner=owner, **fields)


class LateView:
    """A node whose own picture lags: it shows what was, until the first barrier has passed."""

    def __init__(self, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch) -> None:
        self.replica, self.passed, self.old = replica, False, replica.registry.view()
        now, barrier = replica.view, replica.read_barrier

        def view() -> Any:
            if self.passed:
                return now()
            from contextlib import nullcontext

            return nullcontext(self.old)

        def read_barrier(timeout: float, done: Any) -> None:
            self.passed = True
            barrier(timeout, done)

        monkeypatch.setattr(replica, "view", view)
        monkeypatch.setattr(replica, "read_barrier", read_barrier)


async def test_without_a_policy_nothing_is_judged(gateway: Gateway, replica: FakeReplica) -> None:
    """One proposal, no barrier, and the command is what it always was."""
    await gateway.register(wish("user:Admin", request_id=b"r"), WAIT)
    assert (len(replica.calls.proposals), replica.calls.barriers) == (1, 0)
    command = decode_command(replica.calls.proposals[0][0])
    assert (command.wanted.name, command.wanted.judged) == ("user:Admin", ())  # type: ignore[union-attr]


async def test_a_name_is_stored_as_the_policy_spells_it(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """And shown as it was written; every other call finds it by any spelling."""
    govern(replica, USERNAME)
    granted = await gateway.register(wish("user:Zoé"), WAIT)
    assert granted.registered
    assert (granted.record.name, granted.record.display_name) == ("user:zoé", "user:Zoé")
    assert replica.calls.barriers == 0
    lookup = pb.LookupRequest(name="user:ZOÉ")
    assert (await gateway.lookup(lookup, WAIT)).record == granted.record
    update = pb.UpdateRequest(name="user:ZOé", owner="ann", payload=b"x")
    assert (await gateway.update(update, WAIT)).record.name == "user:zoé"
    confirm = pb.ConfirmRequest(name="user:ZOé", owner="ann")
    assert (await gateway.confirm(confirm, WAIT)).record.name == "user:zoé"
    told = await gateway.history(pb.HistoryRequest(name="user:ZOÉ"), WAIT)
    assert [holding.owner for holding in told.holdings] == ["ann"]
    rename = pb.RenameRequest(from_name="user:ZOÉ", to_name="user:Bea", owner="ann")
    assert (await gateway.rename(rename, WAIT)).record.name == "user:bea"
    released = await gateway.release(pb.ReleaseRequest(name="user:BEA", owner="ann"), WAIT)
    assert released.released


async def test_a_policy_refuses_with_its_reason(gateway: Gateway, replica: FakeReplica) -> None:
    """Reserved, invalid, alike: each says what is in the way; nothing of it is proposed."""
    govern(replica, USERNAME)
    reserved = await gateway.register(wish("user:Rooter"), WAIT)
    assert (reserved.registered, reserved.refusal) == (False, pb.RESERVED_WORD)
    assert reserved.in_way == "root*"
    assert "reserved word" in reserved.message
    invalid = await gateway.register(wish("user:two words"), WAIT)
    assert (invalid.refusal, invalid.policy_reason) == (
        pb.INVALID_BY_POLICY,
        "FORBIDDEN_CHARACTER",
    )
    assert (invalid.revision, replica.calls.proposals) == (1, [])
    await gateway.register(wish("user:paypal"), WAIT)
    alike = await gateway.register(wish("user:paypa1", owner="bob"), WAIT)
    assert (alike.refusal, alike.record.name) == (pb.CONFUSABLE, "user:paypal")
    rename = pb.RenameRequest(from_name="user:paypal", to_name="user:admin", owner="ann")
    renamed = await gateway.rename(rename, WAIT)
    assert (renamed.renamed, renamed.refusal) == (False, pb.RESERVED_WORD)
    assert renamed.in_way == "admin"


async def test_a_look_that_is_too_long_to_be_kept_is_refused(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """One character may look like eighteen: the request is refused, and its neighbours are not."""
    govern(replica, Policy(look_alikes=True))
    batch = [wish("user:" + "\ufdfa" * 170), wish("user:\ufdfa")]
    results = (await gateway.register_many(pb.RegisterManyRequest(requests=batch), WAIT)).results
    assert (results[0].refusal, results[0].policy_reason) == (pb.INVALID_BY_POLICY, "TOO_LONG")
    assert results[1].registered


async def test_what_no_policy_can_spell_is_held_by_nobody(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Looking it up is no error, nor is it found."""
    govern(replica, USERNAME)
    assert not (await gateway.lookup(pb.LookupRequest(name="user:two words"), WAIT)).found
    with pytest.raises(errors.NameNotFound):
        await gateway.release(pb.ReleaseRequest(name="user:two words", owner="ann"), WAIT)


async def test_a_batch_is_judged_name_by_name(gateway: Gateway, replica: FakeReplica) -> None:
    """Independent: what fits is granted. All or nothing: one that does not fit refuses all."""
    govern(replica, USERNAME)
    batch = [wish("user:Ann"), wish("user:admin"), wish("post:Any")]
    results = (await gateway.register_many(pb.RegisterManyRequest(requests=batch), WAIT)).results
    assert [result.registered for result in results] == [True, False, True]
    assert [result.refusal for result in results] == [0, pb.RESERVED_WORD, 0]
    batch = [wish("user:Bea"), wish("user:admin")]
    request = pb.RegisterManyRequest(requests=batch, mode=ALL)
    results = (await gateway.register_many(request, WAIT)).results
    assert [(r.registered, r.refusal) for r in results] == [(False, 0), (False, pb.RESERVED_WORD)]
    assert not (await gateway.lookup(pb.LookupRequest(name="user:bea"), WAIT)).found
    batch = [wish("user:Bea"), wish("user:bea")]
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.register_many(pb.RegisterManyRequest(requests=batch, mode=ALL), WAIT)
    assert caught.value.metadata == {"field": "requests[1].name"}


async def test_a_node_that_does_not_know_the_policy_judges_again(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry hands back what was not judged; the request goes again, under its request_id."""
    late = LateView(replica, monkeypatch)
    govern(replica, USERNAME)
    granted = await gateway.register(wish("user:Ann", request_id=b"r"), WAIT)
    assert (granted.registered, granted.record.name) == (True, "user:ann")
    assert late.passed
    first, second = (decode_command(commands[0]) for commands in replica.calls.proposals)
    assert first.request_id == second.request_id == b"r"  # type: ignore[union-attr]


async def test_only_what_was_handed_back_goes_again(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour that was decided stays decided."""
    LateView(replica, monkeypatch)
    govern(replica, USERNAME)
    batch = pb.RegisterManyRequest(requests=[wish("user:Ann"), wish("post:x"), wish("user:admin")])
    results = (await gateway.register_many(batch, WAIT)).results
    assert [result.registered for result in results] == [True, True, False]
    assert [len(commands) for commands in replica.calls.proposals] == [3, 1]


async def test_nothing_is_refused_by_a_policy_of_yesterday(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that lags and would refuse asks for the present policy first."""
    version = govern(replica, USERNAME)
    LateView(replica, monkeypatch)
    govern(replica, Policy(profile=Profile.USERNAME, look_alikes=True), version)
    assert (await gateway.register(wish("user:admin"), WAIT)).registered


async def test_a_retry_of_a_granted_request_is_granted_whatever_the_policy(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """It was asked before the policy: its answer does not change, alone or in a batch."""
    request = wish("user:admin", request_id=b"r")
    first = await gateway.register(request, WAIT)
    batch = pb.RegisterManyRequest(requests=[wish("user:root", request_id=b"b")], mode=ALL)
    many = await gateway.register_many(batch, WAIT)
    version = govern(replica, Policy(reserved=("admin", "root")))
    assert version == 3
    assert await gateway.register(request, WAIT) == first
    assert await gateway.register_many(batch, WAIT) == many
    other = await gateway.register(wish("user:admin", request_id=b"other"), WAIT)
    assert other.refusal == pb.RESERVED_WORD


async def test_a_refusal_needs_a_majority(gateway: Gateway, replica: FakeReplica) -> None:
    """Without one this node cannot know what is in force: it says so, and refuses nothing."""
    govern(replica, USERNAME)
    replica.switches.quorum = False
    with pytest.raises(errors.NoQuorum):
        await gateway.register(wish("user:admin"), WAIT)


async def test_what_was_decided_is_never_called_not_applied(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a frame is granted, then the quorum goes: the others' error is theirs alone."""
    govern(replica, USERNAME)
    decide = replica.propose

    def propose(commands: Any, timeout: float, done: Any) -> None:
        decide(commands, timeout, done)
        replica.switches.quorum = False

    monkeypatch.setattr(replica, "propose", propose)
    answers: dict[int, pb.SessionResponse.Answer] = {}
    frames = Frames(gateway, 5.0, lambda seconds: seconds)
    items = [
        pb.SessionRequest.Item(id=1, register=wish("user:Ann")),
        pb.SessionRequest.Item(id=2, register=wish("user:admin")),
    ]
    frames.begin(items, lambda response: answers.update({a.id: a for a in response.answers}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert answers[1].register.registered
    assert answers[2].error.reason == "NO_QUORUM"


async def test_a_batch_of_which_a_part_was_decided_is_unknown(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer stands for all of them, so it never says "certainly not" of what was granted."""
    govern(replica, USERNAME)
    decide = replica.propose

    def propose(commands: Any, timeout: float, done: Any) -> None:
        decide(commands, timeout, done)
        replica.switches.quorum = False

    wishes = [wish("user:Ann", request_id=b"a"), wish("user:admin", request_id=b"b")]
    batch = pb.RegisterManyRequest(requests=wishes)
    other = pb.RegisterManyRequest(requests=[wish("user:admin"), wish("user:root")])
    with monkeypatch.context() as patch:
        patch.setattr(replica, "propose", propose)
        with pytest.raises(errors.OutcomeUnknown):
            await gateway.register_many(batch, WAIT)
        with pytest.raises(errors.NoQuorum):
            await gateway.register_many(other, WAIT)
    replica.switches.quorum = True
    results = (await gateway.register_many(batch, WAIT)).results
    assert [result.registered for result in results] == [True, False]


async def test_what_was_refused_stays_refused(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the policy in force; that its neighbour could not be proposed does not concern it."""
    LateView(replica, monkeypatch)
    govern(replica, USERNAME)
    decide = replica.propose

    def propose(commands: Any, timeout: float, done: Any) -> None:
        replica.switches.overloaded = bool(replica.calls.proposals)
        decide(commands, timeout, done)

    monkeypatch.setattr(replica, "propose", propose)
    answers: dict[int, pb.SessionResponse.Answer] = {}
    frames = Frames(gateway, 5.0, lambda seconds: seconds)
    items = [
        pb.SessionRequest.Item(id=1, register=wish("user:admin")),
        pb.SessionRequest.Item(id=2, register=wish("user:Ann")),
    ]
    frames.begin(items, lambda response: answers.update({a.id: a for a in response.answers}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert answers[1].register.refusal == pb.RESERVED_WORD
    assert answers[2].error.reason == "OVERLOADED"


async def test_items_of_a_stream_are_judged_like_calls(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Each by its own namespace; every change of a holding works there too."""
    govern(replica, USERNAME)
    answers: dict[int, pb.SessionResponse.Answer] = {}
    frames = Frames(gateway, 5.0, lambda seconds: seconds)
    item = pb.SessionRequest.Item
    frames.begin(
        [
            item(id=1, register=wish("user:Ann")),
            item(id=2, register=wish("user:admin")),
            item(id=3, update=pb.UpdateRequest(name="user:ANN", owner="ann", payload=b"x")),
            item(id=4, confirm=pb.ConfirmRequest(name="user:Ann", owner="ann")),
            item(
                id=5, rename=pb.RenameRequest(from_name="user:ANN", to_name="user:B", owner="ann")
            ),
            item(
                id=6, rename=pb.RenameRequest(from_name="user:b", to_name="user:root", owner="ann")
            ),
            item(id=7, release=pb.ReleaseRequest(name="user:B", owner="bob")),
        ],
        lambda response: answers.update({a.id: a for a in response.answers}),
    )
    for _ in range(20):
        await asyncio.sleep(0)
    assert answers[1].register.record.name == "user:ann"
    assert answers[2].register.refusal == pb.RESERVED_WORD
    assert answers[3].update.record.payload == b"x"
    assert answers[4].confirm.record.name == "user:ann"
    assert (answers[5].rename.renamed, answers[5].rename.record.name) == (True, "user:b")
    assert answers[6].rename.refusal == pb.RESERVED_WORD
    assert answers[7].error.reason == "NOT_OWNER"


async def test_a_pending_policy_is_demanded_too(gateway: Gateway, replica: FakeReplica) -> None:
    """What is registered meanwhile fits both policies, in one spelling."""
    await gateway.register(wish("user:old"), WAIT)
    put = PutNamespace(b"p", "user", encode_policy(USERNAME), 0)
    assert replica.registry.decide(put)[0].verdict.name == "POLICY_PENDING"
    assert (await gateway.register(wish("user:new"), WAIT)).registered
    refused = await gateway.register(wish("user:New2"), WAIT)
    assert (refused.refusal, refused.policy_reason) == (pb.INVALID_BY_POLICY, "BAD_FORM")
    assert "'new2'" in refused.message
    assert (await gateway.register(wish("user:admin"), WAIT)).refusal == pb.RESERVED_WORD


async def test_a_policy_that_never_settles_ends_in_overloaded(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certainly not applied, and within a bounded number of rounds."""
    old = replica.registry.view()
    govern(replica, USERNAME)
    from contextlib import nullcontext

    monkeypatch.setattr(replica, "view", lambda: nullcontext(old))
    with pytest.raises(errors.Overloaded, match="keeps changing"):
        await gateway.register(wish("user:ann"), WAIT)
    assert 1 < len(replica.calls.proposals) < 20
    assert replica.registry.record("user:ann") is None


def test_a_rename_is_a_command_of_both_names() -> None:
    """Its fields are those of the request."""
    from namestore.rpc.changes import rename_command

    request = pb.RenameRequest(
        from_name="user:a", to_name="user:E\u0301", owner="o", request_id=b"r", create_revision=3
    )
    expected = Rename(b"r", "user:a", "user:\u00c9", "user:E\u0301", "o", (), 3)
    assert rename_command(request) == expected


# As nobody spells them: neither composed nor in small letters.
ZOE, BEA, TWO = "user:Zoe\u0301", "user:Be\u0301a", ("user:E\u0301-1", "user:E\u0301-2")


async def write_all(gateway: Gateway) -> list[Any]:
    """Every kind of write under a request_id of its own; at the end no name is held."""
    batch = [wish(name, request_id=f"m-{name[-1]}".encode()) for name in TWO]
    changed = pb.UpdateRequest(name=ZOE, owner="ann", request_id=b"u", payload=b"x")
    confirmed = pb.ConfirmRequest(name=ZOE, owner="ann", request_id=b"c")
    renamed = pb.RenameRequest(from_name=ZOE, to_name=BEA, owner="ann", request_id=b"n")
    answers: list[Any] = [
        await gateway.register(wish(ZOE, request_id=b"r"), WAIT),
        await gateway.update(changed, WAIT),
        await gateway.confirm(confirmed, WAIT),
        await gateway.rename(renamed, WAIT),
        await gateway.register_many(pb.RegisterManyRequest(requests=batch, mode=ALL), WAIT),
    ]
    for name in (BEA, *TWO):
        gone = pb.ReleaseRequest(name=name, owner="ann", request_id=f"g{name}".encode())
        answers.append(await gateway.release(gone, WAIT))
    return answers


async def refuses_another(gateway: Gateway) -> bool:
    """Another request under an old request_id is told so, once and for all."""
    for name in ("user:other", ZOE):
        with pytest.raises(errors.InvalidRequest, match="different request"):
            await gateway.register(wish(name, owner="bob", request_id=b"r"), WAIT)
    return True


@pytest.mark.parametrize("profile", (Profile.EXACT, Profile.USERNAME))
async def test_a_retry_across_the_first_policy_is_known_by_what_was_asked(
    gateway: Gateway, replica: FakeReplica, profile: Profile
) -> None:
    """However the policy would have spelled the names: the same answers, and nothing is done."""
    before = await write_all(gateway)
    govern(replica, Policy(profile=profile, look_alikes=True))
    revision = replica.registry.meta.revision
    assert await write_all(gateway) == before
    assert await refuses_another(gateway)
    assert replica.registry.meta.revision == revision


async def test_a_retry_at_a_node_that_knows_no_policy_is_known_by_what_was_asked(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was judged when it was decided, and comes again to a node that lags far behind."""
    late = LateView(replica, monkeypatch)
    late.passed = True
    govern(replica, USERNAME)
    before = await write_all(gateway)
    revision = replica.registry.meta.revision
    for again in range(2):
        late.passed = bool(again)
        assert await write_all(gateway) == before
    late.passed = False
    assert await refuses_another(gateway)
    assert replica.registry.meta.revision == revision


async def test_a_retry_that_a_later_policy_refuses_is_known_by_what_was_asked(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Granted under one policy and given back; the next takes no such name from anybody."""
    version = govern(replica, Policy())
    alone = wish(f"{ZOE} and I", request_id=b"r")
    batch = pb.RegisterManyRequest(requests=[wish(f"{BEA} too", request_id=b"b")], mode=ALL)
    first, many = await gateway.register(alone, WAIT), await gateway.register_many(batch, WAIT)
    assert first.registered
    for name in (alone.name, batch.requests[0].name):
        await gateway.release(pb.ReleaseRequest(name=name, owner="ann"), WAIT)
    govern(replica, USERNAME, version)
    fresh = wish(alone.name, request_id=b"fresh")
    assert (await gateway.register(fresh, WAIT)).refusal == pb.INVALID_BY_POLICY
    assert await gateway.register(alone, WAIT) == first
    assert await gateway.register_many(batch, WAIT) == many
