"""Who asks the same joins those who asked it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from namestore.client import methods
from namestore.client.methods import Method
from namestore.client.network import Done, Failure, NoAnswer, Silence
from namestore.client.questions import Questions
from namestore.errors import ClientMisuse, NoLeader
from namestore.v1.cluster_pb2 import StatusRequest, StatusResponse
from tests.unit.client.fake_network import FakeClock
from tests.unit.client.fake_streams import FakeConversing


class Slow(FakeConversing):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[str, float, Done]] = []

    def submit(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None = None,
    ) -> Callable[[], None]:
        if self.closed:
            raise ClientMisuse("closed")
        self.waiting.append((endpoint, timeout, done))
        return lambda: None


class Asked:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.network = Slow()
        self.questions = Questions(self.network, self.clock)
        self.heard: list[Message | Failure] = []

    def ask(self, endpoint: str = "a:1", timeout: float = 1.0) -> Callable[[], None]:
        return self.questions.ask(
            endpoint, methods.STATUS, StatusRequest(), timeout, self.heard.append
        )


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_many_askers_are_one_question(asked: Asked) -> None:
    """Thousands who want to know the same ask once, and all hear the answer."""
    for _ in range(1000):
        asked.ask()
    ((_, _, done),) = asked.network.waiting
    answer = StatusResponse(node_id="n1")
    done(answer)
    assert asked.heard == [answer] * 1000


def test_an_answer_is_not_kept(asked: Asked) -> None:
    """Who asks after it came asks anew."""
    asked.ask()
    asked.network.waiting[0][2](StatusResponse())
    asked.ask()
    assert len(asked.network.waiting) == 2
    assert len(asked.heard) == 1


def test_endpoints_are_asked_apart(asked: Asked) -> None:
    """The answer of one says nothing about another."""
    asked.ask("a:1")
    asked.ask("b:1")
    assert [endpoint for endpoint, _, _ in asked.network.waiting] == ["a:1", "b:1"]


def test_who_has_less_time_asks_for_himself(asked: Asked) -> None:
    """Joined to a slower one he would be answered too late; both are answered once."""
    asked.ask(timeout=5.0)
    asked.ask(timeout=1.0)
    asked.ask(timeout=2.0)
    assert [timeout for _, timeout, _ in asked.network.waiting] == [5.0, 1.0]
    for _, _, done in asked.network.waiting:
        done(StatusResponse())
    assert len(asked.heard) == 3


@pytest.mark.parametrize(
    "failure", (NoAnswer("a:1", Silence.TIMED_OUT, "does not answer"), NoLeader("none", hint="n2"))
)
def test_everybody_gets_a_failure_of_his_own(asked: Asked, failure: Any) -> None:
    """It is raised by each of them."""
    asked.ask()
    asked.ask()
    asked.network.waiting[0][2](failure)
    assert [str(each) for each in asked.heard] == [str(failure)] * 2
    assert [type(each) for each in asked.heard] == [type(failure)] * 2
    assert len({id(each) for each in (*asked.heard, failure)}) == 3


def test_who_leaves_hears_nothing_and_the_others_do(asked: Asked) -> None:
    """Even the one who asked first."""
    leave = asked.ask()
    asked.ask()
    leave()
    leave()
    asked.network.waiting[0][2](StatusResponse())
    assert len(asked.heard) == 1


def test_a_closed_network_is_told_to_who_asks(asked: Asked) -> None:
    """As a failure, to each who waits."""
    asked.network.closed = True
    asked.ask()
    assert [type(each) for each in asked.heard] == [ClientMisuse]
