"""A machine with namestore's real engine on it: codec, log, state, snapshots and all."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pysyncobj.node import Node

from namestore.errors import DiskDamaged, NamestoreError, OutcomeUnknown, Unavailable
from namestore.raft.engine import Engine
from namestore.raft.membership import Member, Membership
from namestore.raft.orders import Order, Transfer
from namestore.raft.settings import Identity, Seams, Settings
from namestore.raft.transport.hello import PROTOCOL_VERSION, Hello
from namestore.raft.transport.messages import decode, encode
from namestore.rpc.status import error_from_rpc
from namestore.server.gateway import Gateway
from namestore.storage.reconcile import reconcile
from tests.simulation.drive import Drive, hook
from tests.simulation.gateway_host import NodeServer, cluster_config
from tests.simulation.machine import Killed, Machine
from tests.simulation.served import Call
from tests.simulation.transport import SimTransport
from tests.simulation.wire import StatedError, heard, question, refused
from tests.support.history import Operation

_TABLE = frozenset({"entries", "commands", "decisions", "data", "files"})


class EngineHost(Machine):
    """A node of namestore.

    Attributes:
        server: Of this life.
        attempts: Of the client library, that reached this life of the process.
    """

    engine_class: type[Engine] = Engine
    gateway_class: type[Gateway] = Gateway
    engine: Engine
    server: NodeServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.attempts: dict[Any, None] = {}
        self._said: tuple[Any, ...] = ()
        self._full_until = 0.0
        self._use(Drive(self.world.rng, self.plan.disk.tail_bytes))

    # -- the process ------------------------------------------------------------------------

    def _boot(self) -> None:
        self.drive.open(full=self.world.now < self._full_until)
        reconcile(self.log, self.state)
        file = sorted(self.file.items())
        initial = Membership(tuple(Member(i, address, f"{i}:2") for i, address in file))
        self.transport = SimTransport(self, {i: Node(i) for i in self.file if i != self.node_id})
        seams = Seams(
            log=self.log,
            state=self.state,
            clock=self.monotonic,
            wall_clock_ms=lambda: int(self.clock() * 1000) + self.skew_ms,
            rng=random.Random(self.world.rng.getrandbits(64)),
            background=self.background,
            incoming=self.incoming,
        )
        identity = Identity(self.node_id, self.drive.incarnation, initial)
        self.engine = self.engine_class(
            self.transport, Settings(identity, seams, bounds=self.plan.bounds)
        )
        self.server = NodeServer(self, cluster_config(self.file, self.plan), self.gateway_class)

    def _step(self) -> float:
        self.engine.doTick(0.0)
        self.server.check_failures()
        if self.world.trace is not None:
            self._tell_changes()
        if self.engine.removed:
            self._retire()
        return self.engine._nap()

    def _retire(self) -> None:
        """The cluster removed it: it answers whoever waits, flushes and ends."""
        self.watch.retires(self)
        self.engine.answer_everybody()
        self.state.flush()
        self.on, self.ended = False, "removed"
        raise Killed

    def _fall_silent(self) -> None:
        self.server.die()
        attempts, self.attempts = self.attempts, {}
        for attempt in attempts:
            attempt.node_died()

    def _lose(self) -> None:
        self.drive.power_off(self.world.rng)
        self.watch.died(self)

    def drain(self) -> None:
        """SIGTERM: it finishes what is under way, hands over, and ends; and is started again."""
        if self.running and self.world.now >= self.paused_until:
            self.world.say(f"{self.node_id} drains")
            self.server.drain(lambda: self.post(self._end_gently))

    def _end_gently(self) -> None:
        self.engine.answer_everybody()
        self.state.flush()
        raise Killed

    def put_away(self) -> None:
        if self.running:
            self.server.shut()

    def wipe(self) -> None:
        """Gives the machine, which must not run, an empty disk in the place of the one it has."""
        self.watch.wiped(self)
        self._use(Drive(self.world.rng, self.plan.disk.tail_bytes))

    def ends(self, error: NamestoreError) -> None:
        if isinstance(error, DiskDamaged) and self.drive.damaged:
            self.on, self.ended = False, "damaged"
            self.watch.distrusts(self)
            self.world.say(f"{self.node_id} does not trust its disk: {error}")
        else:
            super().ends(error)

    def _use(self, drive: Drive) -> None:
        self.drive = drive
        self.log, self.state, self.incoming = drive.log, drive.state, drive.incoming
        hook(self, drive)

    @property
    def disk_fails(self) -> bool:
        return self.log.disk_fails or self.state.disk_fails

    def fill_disk(self, seconds: float) -> None:
        """The disk is full for so long, and until the process was started again."""
        self._full_until = self.world.now + seconds
        self.drive.fill()

    def mend_disk(self) -> None:
        self._full_until = 0.0

    @property
    def leads(self) -> bool:
        return self.running and self.engine.is_leader

    @property
    def term(self) -> int:
        """In which it believes to be."""
        return self.engine.term

    @property
    def position(self) -> tuple[int, int]:
        """Where its log and its state end."""
        return self.log.last_index, self.state.meta.applied_index

    def hand_over(self, node_id: str = "") -> None:
        """Asks it to give up leadership, to that node or to any."""
        if self.leads and node_id != self.node_id:
            self.order(Transfer(node_id), 2.0, lambda answer: None)

    def order(self, order: Order, timeout: float, done: Callable[[Any], None]) -> None:
        """Hands an operator's order to the process, which carries it out or has it carried out."""
        self.post(lambda: self.engine.order(order, timeout, done))

    def post(self, call: Callable[[], None]) -> None:
        """Has it called before the next turn."""
        self._jobs.append(call)
        self.schedule_turn(0.0)

    # -- messages ---------------------------------------------------------------------------

    def packed(self, message: dict[str, Any]) -> bytes:
        return encode(message)

    def unpacked(self, data: Any) -> dict[str, Any]:
        return decode(data)

    def hello(self) -> Hello:
        engine = self.engine
        return Hello(
            protocol=PROTOCOL_VERSION,
            cluster_name="sim",
            cluster_id=engine.agreed_membership.cluster_id,
            node_id=self.node_id,
            incarnation=self.drive.incarnation,
            raft_address=self.address,
            membership_index=engine.agreed_index if engine.is_voter else 0,
            fresh=engine.is_new,
        )

    def accepts(self, peer: Machine) -> bool:
        hello = peer.hello()
        return hello is not None and not self.engine.reason_to_refuse(hello)

    def finds(self, peer: Machine) -> bool:
        return self.transport.addresses.get(peer.node_id) == peer.address

    def saying(self, target: str, message: dict[str, Any]) -> None:
        if self.world.trace is not None:
            shown = ", ".join(
                f"{key} {f'[{len(value)}]' if key in _TABLE else _short(value)}"
                for key, value in message.items()
                if key != "type"
            )
            self.world.say(f"{self.node_id} -> {target}: {message['type']}: {shown}")
        self.watch.said(self, target, message)

    def _tell_changes(self) -> None:
        engine = self.engine
        now = (
            f"term {engine.term}, {engine.role.value}, leader {engine.leader_id}",
            f"committed {engine.commit_index}, applied {engine.applied_index}",
        )
        if now != self._said:
            self._said = now
            self.world.say(f"{self.node_id} is now in {now[0]}; {now[1]}")

    # -- callers ----------------------------------------------------------------------------

    @property
    def unanswered(self) -> int:
        """Calls under way in this life of the process."""
        return self.server.unanswered if self.running else 0

    def check_at_rest(self) -> None:
        """Nobody asks any more, and all are answered. Raises `Violation` unless that shows."""
        if self.running:
            self.server.check_at_rest()
            self.server.check_failures()

    def ask(self, operation: Operation, patience: float, answered: Callable[[Any], None]) -> None:
        asked = question(operation)

        def reply(answer: bytes | StatedError) -> None:
            if isinstance(answer, StatedError):
                error = error_from_rpc(answer)
                not_decided = isinstance(error, OutcomeUnknown | Unavailable)
                answered(error if not_decided else refused(error))
            else:
                answered(heard(asked.method.response_type.FromString(answer)))

        data = asked.request.SerializeToString()
        self.server.begin(Call(asked.method.path, data, patience, reply))


def _short(value: Any) -> Any:
    return value.hex()[:8] if isinstance(value, bytes) else value
