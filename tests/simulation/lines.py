"""The network between callers and nodes: slow, lossy, silent, broken, and late.

Carries the bytes of one attempt to a node's server and those of the answer back. What the official
client would hear from its channel, it hears here: a connection that is refused or breaks, its own
clock running out; and, if the answer gets through, exactly what the server said. A request may
arrive once more long after it was answered; what the node then says is kept, to be judged.

Invariant: an attempt ends in exactly one answer, by its timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from namestore.client.grpc_network import failure_of
from namestore.client.methods import Method
from namestore.client.network import Failure
from namestore.errors import NamestoreError
from tests.simulation.names_asked import Asked
from tests.simulation.plan import LineFaults, Plan
from tests.simulation.served import Call, too_late, unavailable
from tests.simulation.wire import Fields, StatedError, asked, heard_each, is_plain
from tests.simulation.world import World
from tests.support.history import Operation, Said

_DELAY_MIN_S = 0.0003
# A dead node's address answers at once, mostly; or nobody does.
REFUSED = 0.7
_SILENCES_S = (0.5, 2.0, 6.0)

Done = Callable[[Message | Failure], None]


class Lines:
    """All lines between callers and nodes.

    Attributes:
        echoes: What was heard from requests that arrived once more.
        late: The same, of callers of the whole API.
    """

    def __init__(self, world: World, hosts: list[Any], plan: Plan) -> None:
        self.world, self.hosts = world, {host.node_id: host for host in hosts}
        self.faults: LineFaults = plan.lines
        self.loss = plan.client_loss
        self.echoes: list[Operation] = []
        self.late: list[Asked] = []
        self._silent_until: dict[str, float] = {}
        self._until = 0.0

    # -- what goes wrong --------------------------------------------------------------------

    def begin(self, span: float) -> None:
        """For so many seconds, nodes fall silent now and then."""
        self._until = self.world.now + span
        if self.faults.silent_every:
            self._fall_silent_later()

    def _fall_silent_later(self) -> None:
        rng = self.world.rng

        def happen() -> None:
            if self.world.now < self._until:
                node_id, seconds = rng.choice(list(self.hosts)), rng.choice(_SILENCES_S)
                self.world.say(f"-- no caller reaches {node_id} for {seconds} s")
                self._silent_until[node_id] = self.world.now + seconds
                self._fall_silent_later()

        self.world.after(rng.expovariate(1 / self.faults.silent_every), happen)

    def calm(self) -> None:
        """Every line is as good as new; what is late still arrives."""
        self.faults = replace(LineFaults(), lag_max=self.faults.lag_max)
        self.loss = 0.0
        self._silent_until.clear()

    def loses(self, node_id: str) -> bool:
        """What is sent between a caller and that node just now does not arrive."""
        return self.world.chance(self.loss) or self.silence(node_id) > 0

    def silence(self, node_id: str) -> float:
        """Seconds until callers reach that node; mostly 0."""
        return max(0.0, self._silent_until.get(node_id, 0.0) - self.world.now)

    def delay(self) -> float:
        """Seconds on the way."""
        world, faults = self.world, self.faults
        seconds = _DELAY_MIN_S + faults.delay_max * world.rng.random()
        if world.chance(faults.slow_chance):
            seconds += faults.slow_max * world.rng.random()
        return seconds

    # -- attempts ---------------------------------------------------------------------------

    def send(
        self,
        caller: str,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
    ) -> None:
        """One attempt of the official client, as `namestore.client.network.Network` has it."""
        attempt = Attempt(self, endpoint.partition(":")[0], method, request.SerializeToString())
        if self.world.trace is not None:
            self.world.say(f"{caller} -> {endpoint}: {method.name} {shown(request)}")

        def answered(answer: bytes | StatedError) -> None:
            heard = self.decoded(endpoint, method, answer)
            if self.world.trace is not None:
                self.world.say(f"{caller} <- {endpoint}: {shown(heard)}")
            done(heard)

        attempt.begin(timeout, answered)
        if method.writes and self.world.chance(self.faults.late_chance):
            self.repeat(attempt, request, timeout)

    def repeat(self, attempt: Attempt, request: Message, timeout: float) -> None:
        """The same bytes will arrive once more."""
        note = self._note_of(attempt.method, request)

        def echoed(answer: bytes | StatedError) -> None:
            heard = self.decoded("", attempt.method, answer)
            if self.world.trace is not None:
                self.world.say(f"late <- {attempt.node_id}: {shown(heard)}")
            note(heard)

        late = self.faults.late_max * self.world.rng.random()
        again = Attempt(self, attempt.node_id, attempt.method, attempt.data)
        self.world.after(late, lambda: again.arrive(timeout, echoed))

    def _note_of(
        self, method: Method[Any, Any], request: Message
    ) -> Callable[[Message | Failure], None]:
        if is_plain(request):
            operations = asked(request)
            note = self.echo(operations)
            return lambda heard: note(heard_each(request, heard, len(operations)))
        late = Asked("late", method, request, self.world.now, late=True)
        self.late.append(late)
        return lambda heard: late.hear(heard, self.world.now)

    def echo(self, operations: list[Operation]) -> Callable[[list[Fields]], None]:
        """Keeps what may have been done once more; takes down what is heard of it."""
        first, now = len(self.echoes), self.world.now
        self.echoes += [replace(operation, called=now) for operation in operations]

        def heard(each: list[Fields]) -> None:
            for place, fields in enumerate(each, first):
                if fields["said"] is not Said.UNKNOWN:
                    echo = replace(self.echoes[place], returned=self.world.now, **fields)
                    self.echoes[place] = echo

        return heard

    @staticmethod
    def decoded(
        endpoint: str, method: Method[Any, Any], answer: bytes | StatedError
    ) -> Message | Failure:
        """What a caller's end of a channel makes of what came."""
        if isinstance(answer, StatedError):
            return failure_of(endpoint, answer, lambda code, text: text or code.name)
        response: Message = method.response_type.FromString(answer)
        return response


class Attempt:
    """One request on its way to one node, and what comes back."""

    def __init__(self, lines: Lines, node_id: str, method: Method[Any, Any], data: bytes) -> None:
        self.lines, self.node_id, self.method, self.data = lines, node_id, method, data
        self._done: Callable[[bytes | StatedError], None] | None = None
        self._give_up: Callable[[], None] = lambda: None
        self._at: Any = None

    def begin(self, timeout: float, done: Callable[[bytes | StatedError], None]) -> None:
        """Sends it."""
        lines, world = self.lines, self.lines.world
        self._done = done
        world.after(timeout, self._too_late)
        if not lines.loses(self.node_id):
            world.after(lines.delay(), lambda: self._reach(timeout))

    def _reach(self, timeout: float) -> None:
        host, world = self.lines.hosts[self.node_id], self.lines.world
        if not host.running:
            if world.rng.random() < REFUSED:
                self._hear_later(unavailable("connection refused"))
            return
        if world.chance(self.lines.faults.break_chance):
            self._hear_later(unavailable("Connection reset by peer"))
            if world.rng.random() < 0.5:
                return
        self._at = host
        host.attempts[self] = None
        self.arrive(timeout, self._hear_later)

    def arrive(self, timeout: float, answered: Callable[[bytes | StatedError], None]) -> None:
        """It is there, if anybody is. A paused process finds it when it goes on."""
        host = self.lines.hosts[self.node_id]
        if not host.running:
            return
        server = host.server
        call = Call(self.method.path, self.data, timeout, answered)
        self._give_up = lambda: server.give_up(call)
        server.begin(call)

    def node_died(self) -> None:
        """The process it reached is gone: mostly the connection breaks, and the caller is told."""
        if self.lines.world.rng.random() < REFUSED:
            self._hear_later(unavailable("Socket closed"))

    def _hear_later(self, answer: bytes | StatedError) -> None:
        """It leaves the node, and may get through."""
        lines = self.lines
        if self._done is not None and not lines.loses(self.node_id):
            lines.world.after(lines.delay(), lambda: self._hear(answer))

    def _hear(self, answer: bytes | StatedError) -> None:
        done, self._done = self._done, None
        if self._at is not None:
            self._at.attempts.pop(self, None)
        if done is not None:
            done(answer)

    def _too_late(self) -> None:
        if self._done is None:
            return
        lines = self.lines
        if not lines.loses(self.node_id):
            lines.world.after(lines.delay(), self._give_up)
        self._hear(too_late())


def shown(message: Any) -> str:
    """For the trace."""
    if isinstance(message, Message):
        return " ".join(str(message).split())
    kind = message.REASON if isinstance(message, NamestoreError) else type(message).__name__
    return f"{kind}: {message}"
