"""Orders of operators on their way: carried out by the leader, wherever they are given.

Not responsible for what they do: see `changes` and `transfers`. Invariant: whoever gave an order is
answered once, at the latest at its deadline.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from namestore.errors import InvalidRequest, NamestoreError, NoLeader, OutcomeUnknown
from namestore.raft.base import Message
from namestore.raft.orders import (
    Order,
    OrderAnswer,
    Transfer,
    decode_answer,
    decode_order,
    encode_answer,
    encode_order,
)
from namestore.raft.settings import Settings
from namestore.raft.transfers import OrderDone, Transfers


@dataclass(frozen=True, slots=True)
class _Ordered:
    """An order that was sent to a leader."""

    order: Order
    deadline: float
    leader_id: str
    done: OrderDone


class Ordering(Transfers):
    """The layer of orders."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._ordered: dict[int, _Ordered] = {}
        super().__init__(transport, settings)
        self._handlers |= {"order": self._on_order, "order_result": self._on_order_result}

    def order(self, order: Order, timeout: float, done: OrderDone) -> None:
        """Carries out an order here or has the leader do it. `done` is called once, in time."""
        deadline = self._clock() + timeout
        if self.is_leader:
            self._carry_out(order, deadline, self.commit_index, done)
            return
        number, leader_id = self._number(), self.leader_id
        message: Message = {
            "type": "order",
            "request": number,
            "timeout_ms": max(1, int(timeout * 1000)),
            "known_index": self.commit_index,
            "body": encode_order(order),
        }
        if leader_id is None or not self._send(leader_id, message):
            done(self._why_not())
        else:
            self._ordered[number] = _Ordered(order, deadline, leader_id, done)

    def _on_order(self, peer: str, message: Message) -> None:
        number = message["request"]
        if self._is_repeated(peer, number):
            return

        def done(answer: OrderAnswer) -> None:
            body = encode_answer(answer)
            self._send(peer, {"type": "order_result", "request": number, "body": body})

        if not self.is_leader:
            done(NoLeader(f"node {self.node_id} does not lead; retry"))
            return
        try:
            order = decode_order(message["body"])
        except ValueError as error:
            done(InvalidRequest(str(error)))
            return
        timeout = min(message["timeout_ms"] / 1000, 3600.0)
        self._carry_out(order, self._clock() + timeout, message["known_index"], done)

    def _on_order_result(self, peer: str, message: Message) -> None:
        waiting = self._ordered.pop(message["request"], None)
        if waiting is not None:
            waiting.done(decode_answer(message["body"]))

    @abstractmethod
    def _carry_out(self, order: Order, deadline: float, known_index: int, done: OrderDone) -> None:
        """Carries out an order on this leader.

        Args:
            order: What is to be done.
            deadline: `clock` seconds.
            known_index: What was committed, as the node knew that the order was given to.
            done: Called once, in time.
        """

    # -- orders sent to a leader ------------------------------------------------------------

    def _finish_ordered(self, now: float) -> None:
        """Answers those whose leader is lost, or silent for too long."""
        for number, waiting in list(self._ordered.items()):
            answer: OrderAnswer | None = None
            if self.leader_id != waiting.leader_id or not self.is_connected(waiting.leader_id):
                lost = OutcomeUnknown("the leader changed meanwhile; look at the members")
                # That leadership changed is what a transfer asks for.
                answer = self.leader_id if isinstance(waiting.order, Transfer) else lost
            if answer is None and now >= waiting.deadline:
                answer = OutcomeUnknown("the leader did not answer in time; look at the members")
            if answer is not None:
                del self._ordered[number]
                waiting.done(answer)

    def _drop_orders(self, error: NamestoreError) -> None:
        """The node stops: nobody is left waiting."""
        self._drop_transfers(error)
        ordered, self._ordered = self._ordered, {}
        for waiting in ordered.values():
            waiting.done(error)
