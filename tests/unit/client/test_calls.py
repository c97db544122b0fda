"""One call carried through, on a fake network and simulated time, in both flavours alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from namestore import errors
from namestore.client.network import NoAnswer, Silence
from namestore.rpc.batches import member_requests
from namestore.v1 import registry_pb2 as registry
from tests.unit.client.fake_network import Scene, granted, taken

Stage = Callable[..., Scene]


@pytest.fixture(params=("blocking", "asyncio"))
def stage(request: pytest.FixtureRequest) -> Stage:
    return lambda **options: Scene(request.param, **options)


def lost(endpoint: str = "a:1") -> NoAnswer:
    return NoAnswer(endpoint, Silence.LOST, "connection reset")


def silent(endpoint: str = "a:1") -> NoAnswer:
    return NoAnswer(endpoint, Silence.TIMED_OUT, "does not answer in time")


def request_ids(scene: Scene) -> set[bytes]:
    return {sent.request.request_id for sent in scene.network.of("Register")}


def test_register_granted_is_true_and_carries_the_record(stage: Stage) -> None:
    """A granted request is true, and hands out its record, revision and request_id."""
    scene = stage()
    result = scene.register("user:alice", owner="account-17", payload=b"x")
    assert result
    assert result.refusal is None
    assert (result.record.name, result.record.owner) == ("user:alice", "account-17")
    assert result.record.payload == b"x"
    assert len(result.request_id) == 16
    assert request_ids(scene) == {result.request_id}


def test_register_taken_is_an_answer(stage: Stage) -> None:
    """A taken name is a false result with the record in the way, and not sent twice."""
    scene = stage()
    scene.nodes["a:1"].script = [taken]
    result = scene.register("user:alice")
    assert not result
    assert result.refusal.name == "TAKEN"
    assert result.record.owner == "somebody"
    assert len(scene.network.of("Register")) == 1


def test_requests_of_their_own_have_ids_of_their_own(stage: Stage) -> None:
    """Two calls are two requests: each draws a fresh request_id."""
    scene = stage()
    scene.register("user:alice")
    scene.register("user:alice")
    assert len(request_ids(scene)) == 2


@pytest.mark.parametrize(
    "failure",
    (
        lost(),
        silent(),
        errors.OutcomeUnknown("?"),
        errors.NoQuorum("?"),
        errors.NoLeader("?"),
        errors.ShuttingDown("?"),
    ),
    ids=lambda failure: str(getattr(failure, "silence", type(failure).__name__)),
)
def test_a_failed_write_goes_elsewhere_under_the_same_request_id(
    stage: Stage, failure: Any
) -> None:
    """Whatever may be repeated is repeated at another endpoint, as the very same message."""
    scene = stage()
    scene.nodes["a:1"].script = [failure]
    result = scene.register("user:alice")
    first, second = scene.network.of("Register")
    assert result
    assert (first.endpoint, second.endpoint) == ("a:1", "b:1")
    assert first.request == second.request


@pytest.mark.parametrize(
    "error",
    (
        errors.InvalidName("no"),
        errors.NameNotFound("no"),
        errors.NotOwner("no"),
        errors.PermissionDenied("no"),
        errors.NotImplementedYet("no"),
    ),
    ids=lambda error: type(error).__name__,
)
def test_a_decision_of_the_server_is_raised_at_once(
    stage: Stage, error: errors.NamestoreError
) -> None:
    """What another attempt cannot change is never attempted again."""
    scene = stage()
    scene.nodes["a:1"].script = [error]
    with pytest.raises(type(error)) as caught:
        scene.release("user:alice", "me")
    assert caught.value is error
    assert len(scene.network.of("Release")) == 1


def test_nothing_reachable_is_unreachable_and_nothing_was_sent(stage: Stage) -> None:
    """Where nobody listens the write is certainly not applied: it was never sent."""
    scene = stage()
    for node in scene.nodes.values():
        node.state = "refuse"
    with pytest.raises(errors.Unreachable, match="b:1: Connection refused"):
        scene.register("user:alice", timeout=2)
    assert scene.network.of("Register") == []
    assert 100 < scene.clock.now <= 102


def test_an_unknown_outcome_stays_unknown_whatever_comes_after(stage: Stage) -> None:
    """After one attempt that may have been applied, "certainly not" would be a lie."""
    scene = stage()
    scene.nodes["a:1"].script = [lost()]
    for node in scene.nodes.values():
        node.script += [errors.NoQuorum("no majority")] * 1000
    with pytest.raises(errors.OutcomeUnknown) as caught:
        scene.register("user:alice")
    assert request_ids(scene) == {caught.value.request_id}
    assert caught.value.metadata["name"] == "user:alice"


def test_an_unknown_order_does_not_speak_of_a_request_id(stage: Stage) -> None:
    """Orders about the cluster have none: they are asked for again as they are."""
    scene = stage()
    for node in scene.nodes.values():
        node.script = [lost(node.endpoint)] * 1000
    with pytest.raises(errors.OutcomeUnknown, match="ask again to learn") as caught:
        scene.remove_member("n3", timeout=2)
    assert "request_id" not in caught.value.message


def test_after_an_unknown_outcome_a_refused_access_is_no_answer(stage: Stage) -> None:
    """Only the registry's own decision settles what an earlier attempt did."""
    scene = stage()
    scene.nodes["a:1"].script = [lost()]
    scene.nodes["b:1"].script = [errors.PermissionDenied("token expired")]
    with pytest.raises(errors.OutcomeUnknown):
        scene.register("user:alice")


def test_after_an_unknown_outcome_the_registrys_decision_settles_it(stage: Stage) -> None:
    """The registry answers a retry as it answered the first attempt, so its refusal is final."""
    scene = stage()
    scene.nodes["a:1"].script = [lost()]
    scene.nodes["b:1"].script = [errors.NotOwner("no")]
    with pytest.raises(errors.NotOwner):
        scene.release("user:alice", "me")


def test_only_certain_refusals_end_in_what_the_server_said(stage: Stage) -> None:
    """When every attempt was certainly not applied, the last such error is raised."""
    scene = stage()
    for node in scene.nodes.values():
        node.script = [errors.NoQuorum("no majority")] * 1000
    with pytest.raises(errors.NoQuorum):
        scene.register("user:alice", timeout=3)
    assert scene.clock.now <= 103


def test_an_unknown_outcome_can_be_asked_for_again(stage: Stage) -> None:
    """The request_id of an OutcomeUnknown, given to register, continues the same request."""
    scene = stage(nodes=1)
    scene.nodes["a:1"].script = [lost()] * 1000
    with pytest.raises(errors.OutcomeUnknown) as caught:
        scene.register("user:alice")
    scene.nodes["a:1"].script = []
    result = scene.register("user:alice", request_id=caught.value.request_id)
    assert result.request_id == caught.value.request_id
    assert len(request_ids(scene)) == 1


def test_a_read_is_never_of_unknown_outcome(stage: Stage) -> None:
    """A read that got no answer changed nothing: it is unavailable."""
    scene = stage()
    for node in scene.nodes.values():
        node.script = [lost(node.endpoint)] * 1000
    with pytest.raises(errors.Unavailable, match="no answer to Lookup within 5 s"):
        scene.lookup("user:alice")


def test_a_hanging_endpoint_costs_one_second_then_another_is_asked(stage: Stage) -> None:
    """A stopped leader delays a call by about a second, not by the whole timeout."""
    scene = stage()
    scene.register("user:first")
    scene.nodes["a:1"].state = "hang"
    started = scene.clock.now
    assert scene.register("user:alice")
    assert scene.clock.now - started == pytest.approx(1.0)
    scene.register("user:bob")
    assert scene.clock.now - started == pytest.approx(1.0)


def test_a_slow_cluster_gets_more_time_with_each_silence(stage: Stage) -> None:
    """Patience doubles, so that a cluster slower than one second is not asked for ever."""
    scene = stage()
    for node in scene.nodes.values():
        node.script = [silent(node.endpoint)]
    assert scene.register("user:alice", timeout=20)
    assert [sent.timeout for sent in scene.network.of("Register")] == [1.0, 2.0, 4.0, 8.0]


def test_a_single_endpoint_gets_the_whole_timeout(stage: Stage) -> None:
    """With nowhere else to go, cutting an attempt short would gain nothing."""
    scene = stage(nodes=1)
    scene.register("user:alice", timeout=7)
    assert scene.network.of("Register")[0].timeout == pytest.approx(7)


def test_no_call_lasts_longer_than_its_timeout(stage: Stage) -> None:
    """Attempts, waits and retries together keep within the timeout."""
    scene = stage()
    for node in scene.nodes.values():
        node.state = "hang"
    with pytest.raises(errors.Unreachable):
        scene.register("user:alice", timeout=4)
    assert scene.clock.now <= 104.01


def test_overloaded_waits_before_it_asks_again(stage: Stage) -> None:
    """An overloaded node is given time: the next attempt comes after a wait."""
    scene = stage()
    scene.nodes["a:1"].script = [errors.Overloaded("busy")]
    assert scene.register("user:alice")
    assert scene.clock.now > 100


def test_foreign_servers_everywhere_are_reported_at_once(stage: Stage) -> None:
    """Waiting does not turn a stranger into a namestore server."""
    scene = stage()
    for node in scene.nodes.values():
        node.state = "foreign"
    with pytest.raises(errors.Unreachable, match="a:1: answers, but not as a namestore server"):
        scene.register("user:alice")
    assert scene.clock.now == 100


def test_a_silence_does_not_hide_what_was_found_before(stage: Stage) -> None:
    """The last attempt is cut short by the deadline: that is not what is wrong with the node."""
    scene = stage(nodes=1)
    node = scene.nodes["a:1"]
    answers = iter(("refuse", "refuse", "hang"))
    answer = node.answer

    def answers_then_is_silent(*request: Any) -> Any:
        node.state = next(answers, "hang")
        return answer(*request)

    node.answer = answers_then_is_silent
    with pytest.raises(errors.Unreachable) as caught:
        scene.register("user:alice", timeout=4)
    assert "(a:1: Connection refused, then does not answer in time)" in str(caught.value)


def test_an_older_server_that_lacks_the_call_is_named(stage: Stage) -> None:
    """A namestore server that does not know a method is older; the write was not applied."""
    scene = stage()
    scene.nodes["a:1"].script = [NoAnswer("a:1", Silence.FOREIGN, "Method not found!")]
    with pytest.raises(errors.NotImplementedYet, match="a:1 does not know Confirm; it is older"):
        scene.confirm("user:alice", "me")


def test_endpoints_of_two_clusters_are_refused(stage: Stage) -> None:
    """Two clusters would each grant the same name: the mixture is an error, not a failover."""
    scene = stage()
    scene.register("user:alice")
    scene.nodes["b:1"].status.cluster_name = "another"
    scene.nodes["a:1"].state = "refuse"
    scene.nodes["c:1"].state = "refuse"
    with pytest.raises(errors.OutcomeUnknown, match="belongs to the cluster 'another'"):
        scene.register("user:bob")
    with pytest.raises(errors.ConfigError, match="give the endpoints of one cluster"):
        scene.lookup("user:bob")
    assert [sent.endpoint for sent in scene.network.of("Lookup")] == []


def test_calls_move_to_the_leader_once_it_is_known(stage: Stage) -> None:
    """The nodes are asked who leads beside the calls, and the next call goes there."""
    scene = stage()
    for node in scene.nodes.values():
        node.status.leader_id = "n3"
    scene.register("user:first")
    scene.register("user:second")
    assert [sent.endpoint for sent in scene.network.of("Register")] == ["a:1", "c:1"]


def test_the_leader_is_followed_when_it_changes(stage: Stage) -> None:
    """Now and then the leader's endpoint is asked again, and its word is taken."""
    scene = stage()
    scene.register("user:first")
    for node in scene.nodes.values():
        node.status.leader_id = "n2"
    for _ in range(4):
        scene.clock.sleep(11)
        scene.register("user:next")
    assert scene.network.of("Register")[-1].endpoint == "b:1"


def test_an_unproven_endpoint_is_asked_for_its_status_first(stage: Stage) -> None:
    """No write is sent to an endpoint before a namestore server has answered there."""
    scene = stage(nodes=1)
    scene.register("user:alice")
    scene.register("user:bob")
    assert [sent.method for sent in scene.network.sent] == ["Status", "Register", "Register"]


def test_register_many_keeps_order_and_owners(stage: Stage) -> None:
    """One result per name, in order; pairs bring their own owner."""
    scene = stage()
    results = scene.register_many(["user:a", ("user:b", "bo")], owner="al")
    assert [result.record.owner for result in results] == ["al", "bo"]
    assert [result.name for result in results] == ["user:a", "user:b"]
    assert len({result.request_id for result in results}) == 2


def test_register_many_splits_what_is_too_long_for_one_request(stage: Stage) -> None:
    """More than 1000 names travel in parts, and the results come back as one list."""
    scene = stage()
    results = scene.register_many([f"user:{n}" for n in range(2500)])
    sizes = [len(sent.request.names) for sent in scene.network.of("RegisterMany")]
    assert sizes == [1000, 1000, 500]
    assert [result.name for result in results] == [f"user:{n}" for n in range(2500)]


def test_register_many_all_or_nothing_is_never_split(stage: Stage) -> None:
    """All or nothing is one request: beyond 1000 names it is refused before it is sent."""
    scene = stage()
    with pytest.raises(errors.InvalidRequest, match="at most 1000"):
        scene.register_many([f"user:{n}" for n in range(1001)], all_or_nothing=True)
    assert scene.network.sent == []
    scene.register_many(["user:a", "user:b"], all_or_nothing=True)
    assert scene.network.of("RegisterMany")[0].request.mode == 1


def test_register_many_cut_short_says_what_was_decided_and_goes_on(stage: Stage) -> None:
    """After a part was granted, the whole is never "certainly not applied"; a retry continues."""
    scene = stage(nodes=1)
    names = [f"user:{n}" for n in range(1500)]

    def first_part(request: Any) -> Any:
        results = [granted(one) for one in member_requests(request)]
        return registry.RegisterManyResponse(results=results)

    scene.nodes["a:1"].script = [first_part, *[errors.NoQuorum("no majority")] * 1000]
    with pytest.raises(errors.OutcomeUnknown, match="the first 1000 names") as caught:
        scene.register_many(names)
    assert caught.value.metadata["decided"] == "1000"
    before = scene.network.of("RegisterMany")
    scene.nodes["a:1"].script = []
    scene.register_many(names, request_id=caught.value.request_id)
    after = scene.network.of("RegisterMany")[len(before) :]
    assert [sent.request for sent in after] == [before[0].request, before[-1].request]


def test_lookup_says_who_or_none(stage: Stage) -> None:
    """A held name gives its record, a free one None."""
    scene = stage()
    record = registry.NameRecord(name="user:a", owner="me")
    scene.nodes["a:1"].script = [registry.LookupResponse(found=True, record=record)]
    assert scene.lookup("user:a", stale=True).owner == "me"
    assert scene.lookup("user:a") is None
    assert [sent.request.consistency for sent in scene.network.of("Lookup")] == [1, 0]


def test_contains_is_lookup_as_a_truth_value(stage: Stage) -> None:
    """`contains` answers whether somebody holds the name."""
    scene = stage()
    scene.nodes["a:1"].script = [registry.LookupResponse(found=True)]
    assert scene.contains("user:a") is True
    assert scene.contains("user:a") is False


def test_list_reads_all_pages(stage: Stage) -> None:
    """Pages are followed by their tokens until one is the last."""
    scene = stage()
    page = registry.ListResponse
    scene.nodes["a:1"].script = [
        page(records=[registry.NameRecord(name="user:a")], next_page_token="t"),
        page(records=[registry.NameRecord(name="user:b")]),
    ]
    assert [record.name for record in scene.list("user:")] == ["user:a", "user:b"]
    assert [sent.request.page_token for sent in scene.network.of("List")] == ["", "t"]


def test_status_asks_every_endpoint_and_raises_for_none(stage: Stage) -> None:
    """Each endpoint has its entry: the node's status, or the error met there."""
    scene = stage()
    scene.nodes["b:1"].state = "refuse"
    first, second, third = scene.status()
    assert (first.node.node_id, third.node.node_id) == ("n1", "n3")
    assert second.node is None
    assert isinstance(second.error, errors.Unreachable)
    assert [entry.endpoint for entry in scene.status("c:1")] == ["c:1"]


def test_a_closed_client_says_so(stage: Stage) -> None:
    """Every call on a closed client is a misuse, and closing twice is none."""
    scene = stage()
    scene.close()
    scene.close()
    assert scene.network.closed == 1
    for method, arguments in (("register", ("user:a",)), ("list", ()), ("status", ())):
        with pytest.raises(errors.ClientMisuse, match="closed"):
            getattr(scene, method)(*arguments)


@pytest.mark.parametrize("timeout", (0, -1, float("nan")))
def test_a_timeout_must_be_positive(stage: Stage, timeout: float) -> None:
    """A timeout that leaves no time is refused, and nothing is sent."""
    scene = stage()
    with pytest.raises(errors.InvalidRequest, match="timeout"):
        scene.register("user:a", timeout=timeout)
    assert scene.network.sent == []


def test_an_answer_survives_a_close_right_after_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was granted is reported, even if the question who leads can no longer be asked."""
    scene = stage()

    def closed(*arguments: Any) -> Any:
        del arguments
        raise errors.ClientMisuse("this client is closed")

    if scene.flavour == "blocking":
        monkeypatch.setattr(scene.network, "submit", closed)
    else:
        scene.nodes["a:1"].script = [
            lambda request: (scene.store._driver.close(), granted(request))[1]
        ]
    assert scene.register("user:alice")


def test_closing_during_a_wait_leaves_a_sent_write_unknown(stage: Stage) -> None:
    """A client closed between two attempts cannot know what became of the first."""
    scene = stage(nodes=1)

    def lose_and_close(request: Any) -> Any:
        del request
        scene.store._driver.close()
        return lost()

    scene.nodes["a:1"].script = [lose_and_close]
    with pytest.raises(errors.OutcomeUnknown):
        scene.register("user:alice")


def test_slow_answers_make_patient(stage: Stage) -> None:
    """A cluster that is merely slow is not asked at one node after the other; half of a call's time
    is left to ask elsewhere, and quick answers make hasty again."""
    scene = stage(timeout=10.0)
    scene.register("user:first")
    assert scene.network.of("Register")[-1].timeout == 1.0

    def slowly(request: Any) -> registry.RegisterResponse:
        scene.clock.sleep(0.9)
        return granted(request)

    scene.nodes["a:1"].script = [slowly]
    scene.register("user:slow")
    scene.register("user:next")
    assert scene.network.of("Register")[-1].timeout == pytest.approx(2.7)
    scene.register("user:hurried", timeout=3.0)
    assert scene.network.of("Register")[-1].timeout == pytest.approx(1.5)
    for number in range(50):
        scene.register(f"user:{number}")
    assert scene.network.of("Register")[-1].timeout == 1.0
