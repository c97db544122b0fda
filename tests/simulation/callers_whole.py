"""Callers of the whole API, on simulated time: they draw wishes, ask, and keep a record.

They use the client library's real session, as `callers_real` do; what goes into the record is what
was sent and what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.message import Message

from namestore.client.methods import EXPORT, Method
from namestore.client.network import Failure, NoAnswer, Operation, Send, Take
from namestore.client.session import Session, call, opened
from namestore.errors import NamestoreError, OutcomeUnknown, Unreachable
from namestore.v1 import registry_pb2 as pb
from tests.simulation.callers_real import Client
from tests.simulation.flows import FlowDriver
from tests.simulation.lines import Lines
from tests.simulation.names_asked import Asked
from tests.simulation.names_wishes import Wish, Wishes
from tests.simulation.plan import Plan
from tests.simulation.world import World
from tests.support import history

_PAGE_S = 7.0
_ASKS_AGAIN = 0.5  # of those whose outcome is unknown


class _Driver(FlowDriver):
    """Notes which life of which node answered."""

    def __init__(self, world: World, network: Any, hosts: Sequence[Any], lines: Lines) -> None:
        super().__init__(world, network, lines)
        self._hosts = {host.node_id: host for host in hosts}
        self.told_by: tuple[str, int] | None = None

    def _send(self, send: Send, then: Callable[[Message | Failure], None]) -> None:
        host = self._hosts[send.endpoint.partition(":")[0]]
        life = host.lives

        def heard(answer: Message | Failure) -> None:
            self.told_by = (host.node_id, life) if host.lives == life else None
            then(answer)

        super()._send(send, heard)


class WholeCaller:
    """One caller, one call at a time.

    Attributes:
        asked: Everything it asked and heard.
        record: Empty: what is judged by others.
        stopped: It begins nothing new.
        idle: Nothing is under way.
        served: Calls that were answered.
        pause: Seconds between two calls, at most.
    """

    def __init__(
        self,
        world: World,
        client: Client,
        plan: Plan,
        number: int,
        hosts: Sequence[Any],
        lines: Lines,
    ) -> None:
        self.world, self.plan, self.number = world, plan, number
        self.asked: list[Asked] = []
        self.record: list[history.Operation] = []
        self.stopped = False
        self.idle = True
        self.served = 0
        self.pause = plan.pause
        self._session = client.session
        self._driver = _Driver(world, client.network, hosts, lines)
        self._rng = Random(world.rng.getrandbits(64))
        self._wishes = Wishes(self._rng, plan.lives, first=number == 0)

    def begin(self) -> None:
        """Starts the next call after a while."""
        self.idle = True
        self.world.after(self.pause * self._rng.random(), self._next)

    def _next(self) -> None:
        if not self.stopped:
            self.idle = False
            self._ask(self._wishes.draw())

    def _ask(self, wish: Wish) -> None:
        method, request, after = wish
        asked = Asked(f"whole {self.number}", method, request, self.world.now, after)
        self.asked.append(asked)

        def heard(answer: Any) -> None:
            if not isinstance(answer, Message | NamestoreError):
                raise TypeError(f"no answer: {answer!r}")
            asked.hear(answer, self.world.now)
            asked.told_by = self._driver.told_by
            self.served += asked.answered
            self._wishes.learn(request, answer)
            doubts = method.writes and isinstance(answer, OutcomeUnknown) and not self.stopped
            if doubts and self._rng.random() < _ASKS_AGAIN:
                self._ask(wish)
            else:
                self.begin()

        seconds = self.plan.lines.call_timeout
        carried = exported if method is EXPORT else call
        self._driver.run(carried(self._session, method, request, seconds), heard)


def exported(
    session: Session, method: Method[Any, Any], request: Any, seconds: float
) -> Operation[pb.ExportResponse]:
    """A whole export as one answer."""
    flow, first = yield from opened(session, method, request, seconds)
    whole = pb.ExportResponse()
    whole.CopyFrom(first)
    while not whole.HasField("name_count"):
        try:
            whole.MergeFrom((yield Take(flow, _PAGE_S)))
        except NoAnswer as failure:
            raise Unreachable(f"the export broke off: {failure}") from failure
    flow.close()
    return whole
