"""Deliberate faults above the engine: in the gateway of a node, and in the client library.

Each replaces a function or a class of namestore by one with a rule broken, for as long as a run
lasts. See `tests.simulation.mutants_agreement`.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

from namestore.client import line, retry, session
from namestore.client.network import NoAnswer, Silence
from namestore.errors import NoLeader, Unavailable
from namestore.server import bridge, frames, gateway
from namestore.server.barriers import ReadBarriers
from namestore.server.bridge import Reply
from namestore.v1 import registry_pb2 as pb


class Planted:
    """A fault that is planted into modules, and taken out again.

    Attributes:
        replaced: Module or class, name, and what stands there meanwhile.
    """

    replaced: ClassVar[tuple[tuple[Any, str, Any], ...]]

    @classmethod
    @contextmanager
    def planted(cls) -> Iterator[None]:
        """While it lasts, the fault is there."""
        before = [(module, name, getattr(module, name)) for module, name, _ in cls.replaced]
        for module, name, value in cls.replaced:
            setattr(module, name, value)
        try:
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)


# -- the gateway ------------------------------------------------------------------------------


class DeniesHandedOn(Planted):
    """The gateway says "certainly not" of a request that it handed on and heard nothing of."""

    replaced = ((gateway, "_not_heard", lambda: NoLeader("no answer came in time")),)


class _NoBarriers(ReadBarriers):
    async def wait(self, timeout: float) -> None:
        del timeout


class ReadsWithoutBarrier(Planted):
    """The gateway answers linearizable reads at once, from the state it has."""

    replaced = ((gateway, "ReadBarriers", _NoBarriers),)


class _LateJoiners(ReadBarriers):
    _issued: Any = None

    async def wait(self, timeout: float) -> None:
        if not self._under_way or self._gathering is not None:
            await super().wait(timeout)
            return
        reply: Reply[None] = Reply(self._mailbox, timeout, self._late, lambda: None)
        self._issued.replies.append(reply)
        await reply.future

    def _issue(self) -> None:
        self._issued = self._gathering
        super()._issue()


class JoinsIssuedBarrier(Planted):
    """A read joins a barrier that was issued before the read came."""

    replaced = ((gateway, "ReadBarriers", _LateJoiners),)


class _Unsettled(Reply[Any]):
    def settle(self, result: Any) -> None:
        if not self.future.cancelled():
            super().settle(result)


class KeepsRoomOfGivenUp(Planted):
    """What was admitted for a call that was given up is counted for ever."""

    replaced = ((gateway, "Reply", _Unsettled), (bridge, "Reply", _Unsettled))


_write = frames.Frames._write


async def _backwards(shared: Any, group: Any) -> Any:
    group.ids.reverse()
    return await _write(shared, group)


class AnswersAnother(Planted):
    """The answers of a frame are given to its items in the wrong order."""

    replaced = ((frames.Frames, "_write", _backwards),)


# -- the client library -----------------------------------------------------------------------

_attempt = session._attempt
_conclusion = session._conclusion
_may_have_been_applied = retry.may_have_been_applied


def _under_new_name(shared: Any, progress: Any, endpoint: str) -> Generator[Any, Any, Any]:
    request = progress.request
    if progress.ever_sent and isinstance(request, pb.RegisterRequest | pb.ReleaseRequest):
        progress.request = copy.copy(request)
        progress.request.request_id = bytes(byte ^ 1 for byte in request.request_id)
    return (yield from _attempt(shared, progress, endpoint))


class RetriesAsAnother(Planted):
    """The client sends a write again under another request_id."""

    replaced = ((session, "_attempt", _under_new_name),)


def _unless_lost(failure: Any, *, was_sent: bool) -> bool:
    lost = isinstance(failure, NoAnswer) and failure.silence is Silence.LOST
    return not lost and _may_have_been_applied(failure, was_sent=was_sent)


class BelievesTheChannel(Planted):
    """The client takes a broken connection for "certainly not done"."""

    replaced = ((session, "may_have_been_applied", _unless_lost),)


def _last_word(progress: Any) -> Any:
    last = progress.last
    return last if isinstance(last, Unavailable) else _conclusion(progress)


class ForgetsItsDoubt(Planted):
    """The client believes the last attempt's "certainly not", whatever became of those before."""

    replaced = ((session, "_conclusion", _last_word),)


class SaysUnsent(Planted):
    """The client takes what was in a shared frame when its stream broke for never sent."""

    replaced = (
        (line, "Silence", SimpleNamespace(**Silence.__members__ | {"LOST": Silence.UNSENT})),
    )
