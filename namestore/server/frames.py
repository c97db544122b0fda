"""Many calls that arrived together are decided together, at about the price of one.

A frame's writes become one proposal and its look-ups share one barrier and one reading of the
state; there is no task, timer or wake-up for each of its items. Not responsible for the stream they
came on; see `sessions`. Belongs to the gateway's event loop.

Items whose timeouts differ much go in groups of their own, as one proposal has one timeout: a group
takes the shortest of its members', which is more than half of the longest.

Invariants: every item is answered exactly once, within its timeout. An error of one item is its
own: what was wrong with it was found before anything of the frame was handed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc

from namestore.core.commands import Command
from namestore.errors import InvalidRequest, NamestoreError, NotImplementedYet, OutcomeUnknown
from namestore.logs import get_logger
from namestore.rpc import changes, requests, responses, status
from namestore.rpc.responses import Answer
from namestore.server.gateway import Gateway
from namestore.v1 import registry_pb2 as pb

_log = get_logger(__name__)

# What one proposal may hold, and one message of answers well below what stock clients take.
GROUP_ITEMS_MAX = 1000

Item = pb.SessionRequest.Item
Deliver = Callable[[pb.SessionResponse], None]


@dataclass(frozen=True, slots=True)
class _Write:
    """How a kind of item becomes a command, and what became of that its answer.

    `respond` fills the answer in, or raises what became of it.
    """

    command: Callable[[Any], Command]
    respond: Callable[[Answer, pb.SessionResponse.Answer], None]


def _register(answer: Answer, response: pb.SessionResponse.Answer) -> None:
    responses.fill_register(response.register, answer)


def _release(answer: Answer, response: pb.SessionResponse.Answer) -> None:
    response.release.CopyFrom(responses.release_response(answer))


def _update(answer: Answer, response: pb.SessionResponse.Answer) -> None:
    response.update.CopyFrom(responses.update_response(answer))


def _confirm(answer: Answer, response: pb.SessionResponse.Answer) -> None:
    response.confirm.CopyFrom(responses.confirm_response(answer))


def _rename(answer: Answer, response: pb.SessionResponse.Answer) -> None:
    response.rename.CopyFrom(responses.rename_response(answer))


_WRITES = {
    "register": _Write(requests.register_command, _register),
    "release": _Write(changes.release_command, _release),
    "update": _Write(changes.update_command, _update),
    "confirm": _Write(changes.confirm_command, _confirm),
    "rename": _Write(changes.rename_command, _rename),
}


@dataclass(slots=True)
class _Group:
    """Items that share a fate until they are decided.

    Attributes:
        timeout_ms: The shortest of its members'.
        ids: Of its members; `work` and `writes` belong to them, place by place.
        work: Commands that are not judged yet, or names; both in NFC.
    """

    timeout_ms: int
    ids: list[int] = field(default_factory=list)
    work: list[Any] = field(default_factory=list)
    writes: list[_Write] = field(default_factory=list)


class _Frame:
    """One frame being sorted: its groups, and the answers that are known already."""

    def __init__(self, limit_ms: int) -> None:
        self.limit_ms = limit_ms
        self.groups: dict[tuple[str, int], _Group] = {}
        # Where the item before this one went, and by what: mostly the next one goes there as well.
        self._last_by: tuple[str, int] | None = None
        self._last = _Group(0)
        self.full: list[tuple[str, _Group]] = []
        self.refused = pb.SessionResponse()

    def sort_in(self, item: Item) -> None:
        """Checks an item and puts it into its group; raises what is wrong with it."""
        call = item.WhichOneof("call")
        write = _WRITES.get(call or "")
        if write is not None:
            command = write.command(getattr(item, call or ""))
            group = self._group("write", item)
            group.writes.append(write)
            group.work.append(command)
        elif call == "lookup":
            name = requests.lookup_name(item.lookup)
            kind = "stale" if item.lookup.consistency == pb.STALE else "linearizable"
            group = self._group(kind, item)
            group.work.append(name)
        elif call is None:
            raise InvalidRequest("the item holds no call that this version knows", field="call")
        else:
            raise NotImplementedYet(f"{call} is declared for a later version of namestore")
        group.ids.append(item.id)

    def _group(self, kind: str, item: Item) -> _Group:
        timeout_ms = item.timeout_ms
        last = self._last
        if self._last_by == (kind, timeout_ms) and len(last.ids) < GROUP_ITEMS_MAX:
            return last
        self._last_by = kind, timeout_ms
        self._last = self._find_group(kind, min(timeout_ms or self.limit_ms, self.limit_ms))
        return self._last

    def _find_group(self, kind: str, timeout_ms: int) -> _Group:
        # Timeouts within a factor of two of each other are as good as the same.
        key = (kind, timeout_ms.bit_length())
        group = self.groups.get(key)
        if group is None or len(group.ids) >= GROUP_ITEMS_MAX:
            if group is not None:
                self.full.append((kind, group))
            group = self.groups[key] = _Group(timeout_ms)
        group.timeout_ms = min(group.timeout_ms, timeout_ms)
        return group


class Frames:
    """Answers frames through a gateway.

    Args:
        request_timeout: Seconds that no item waits longer than.
        time_left: From the caller's timeout in seconds to what may be used of it here.
    """

    def __init__(
        self, gateway: Gateway, request_timeout: float, time_left: Callable[[float], float]
    ) -> None:
        self._gateway = gateway
        self._limit_ms = max(1, int(request_timeout * 1000))
        self._time_left = time_left
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, items: Iterable[Item], deliver: Deliver) -> None:
        """Begins what the items ask for; `deliver` gets their answers, part by part, on the loop.

        Some may be delivered before this returns. What was begun goes on although nobody listens
        any more.
        """
        frame = _Frame(self._limit_ms)
        for item in items:
            try:
                frame.sort_in(item)
            except NamestoreError as error:
                refuse(frame.refused, item.id, error)
            except Exception:  # noqa: BLE001  # one item's fault must not reach its neighbours
                _log.exception("item.failed", call=item.WhichOneof("call"))
                refuse(frame.refused, item.id, _unforeseen())
        if frame.refused.answers:
            deliver(frame.refused)
        for kind, group in (*frame.full, *((key[0], group) for key, group in frame.groups.items())):
            work = self._write(group) if kind == "write" else self._find(group, kind == "stale")
            task = asyncio.get_running_loop().create_task(self._carry(group, work, deliver))
            # A loop keeps no hold of its tasks.
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(
        self, group: _Group, work: Coroutine[Any, Any, pb.SessionResponse], deliver: Deliver
    ) -> None:
        """Carries one group through, whatever becomes of it."""
        try:
            with self._gateway.calls(len(group.ids)):
                response = await work
        except NamestoreError as error:
            response = _refuse_all(group, error)
        except Exception:  # noqa: BLE001  # whatever it is, nobody is left waiting
            _log.exception("frame.failed", items=len(group.ids))
            code = None if group.writes else grpc.StatusCode.INTERNAL
            response = _refuse_all(group, _unforeseen(), code)
        finally:
            work.close()
        deliver(response)

    async def _write(self, group: _Group) -> pb.SessionResponse:
        timeout = self._time_left(group.timeout_ms / 1000)
        answers = await self._gateway.settle(group.work, timeout)
        response = pb.SessionResponse()
        add = response.answers.add
        for item_id, write, answer in zip(group.ids, group.writes, answers, strict=True):
            message = add()
            message.id = item_id
            try:
                write.respond(answer, message)
            except NamestoreError as error:
                message.error.CopyFrom(status.call_error(error))
        return response

    async def _find(self, group: _Group, stale: bool) -> pb.SessionResponse:
        timeout = self._time_left(group.timeout_ms / 1000)
        consistency = pb.STALE if stale else pb.LINEARIZABLE
        found = await self._gateway.find(group.work, consistency, timeout)
        response = pb.SessionResponse()
        add = response.answers.add
        for item_id, result in zip(group.ids, found.results, strict=True):
            add(id=item_id, lookup=result)
        return response


def refuse(
    response: pb.SessionResponse,
    item_id: int,
    error: NamestoreError,
    code: grpc.StatusCode | None = None,
) -> None:
    """Adds an item's error to the answers."""
    response.answers.add(id=item_id, error=status.call_error(error, code))


def _refuse_all(
    group: _Group, error: NamestoreError, code: grpc.StatusCode | None = None
) -> pb.SessionResponse:
    shared = status.call_error(error, code)
    response = pb.SessionResponse()
    for item_id in group.ids:
        response.answers.add(id=item_id, error=shared)
    return response


def _unforeseen() -> OutcomeUnknown:
    return OutcomeUnknown("the node met an error of its own; its log says more")
