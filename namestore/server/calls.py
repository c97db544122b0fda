"""What the calls of `NameRegistry` mean on a node: the service logic, free of gRPC.

Takes and returns protobuf messages, and raises `NamestoreError`; the gRPC services translate, and
an embedded registry calls it directly. How a call gets its answer is the gateway's business.

Invariant: every call is checked against the limits of the contract before anything is done for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from namestore.core.commands import Command
from namestore.rpc import changes, requests, responses
from namestore.rpc.batches import is_short
from namestore.rpc.responses import Answer
from namestore.server import reading
from namestore.storage.interfaces import StateView
from namestore.v1 import registry_pb2 as pb

T = TypeVar("T")


class RegistryCalls(ABC):
    """The calls of `NameRegistry` that are one request and one answer.

    Every method takes its request and a timeout in seconds, may be called concurrently and
    cancelled at any time; a write that is cancelled may still be applied.
    """

    @abstractmethod
    def calls(self, count: int = 1) -> AbstractContextManager[None]:
        """Around calls of the registry: refused while draining, counted, and measured."""

    @abstractmethod
    async def settle(self, commands: Sequence[Command], timeout: float) -> Sequence[Answer]:
        """Carries commands to their answers; see `settling.settle`. Within `calls`.

        Args:
            commands: 1 to 1000, in NFC and not judged.
            timeout: Seconds.
        """

    @abstractmethod
    async def read(
        self,
        read: Callable[[StateView], T],
        count: int,
        consistency: pb.Consistency.ValueType,
        timeout: float,
    ) -> T:
        """What `read` finds in a picture of the state. Within `calls`.

        Args:
            read: Called on this thread, or on another one if `count` is large.
            count: How many names it reads at most.
            consistency: Of the picture.
            timeout: Seconds.
        """

    # -- writes -----------------------------------------------------------------------------

    async def register(self, request: pb.RegisterRequest, timeout: float) -> pb.RegisterResponse:
        """Takes a name if nobody holds it."""
        with self.calls():
            answers = await self.settle([requests.register_command(request)], timeout)
            return responses.register_response(answers[0])

    async def register_many(
        self, request: pb.RegisterManyRequest, timeout: float
    ) -> pb.RegisterManyResponse:
        """Takes up to 1000 names: each for itself, or all of them or none."""
        with self.calls():
            answers = await self.settle(requests.register_many_commands(request), timeout)
            return responses.register_many_response(answers, short=is_short(request))

    async def release(self, request: pb.ReleaseRequest, timeout: float) -> pb.ReleaseResponse:
        """Gives a name back."""
        with self.calls():
            answers = await self.settle([changes.release_command(request)], timeout)
            return responses.release_response(answers[0])

    async def update(self, request: pb.UpdateRequest, timeout: float) -> pb.UpdateResponse:
        """Changes the payload, the owner, or both."""
        with self.calls():
            answers = await self.settle([changes.update_command(request)], timeout)
            return responses.update_response(answers[0])

    async def confirm(self, request: pb.ConfirmRequest, timeout: float) -> pb.ConfirmResponse:
        """Makes a reservation permanent."""
        with self.calls():
            answers = await self.settle([changes.confirm_command(request)], timeout)
            return responses.confirm_response(answers[0])

    async def rename(self, request: pb.RenameRequest, timeout: float) -> pb.RenameResponse:
        """Takes one name and gives another back, in one step."""
        with self.calls():
            answers = await self.settle([changes.rename_command(request)], timeout)
            return responses.rename_response(answers[0])

    # -- reads ------------------------------------------------------------------------------

    async def lookup(self, request: pb.LookupRequest, timeout: float) -> pb.LookupResponse:
        """Says who holds a name."""
        with self.calls():
            name = requests.lookup_name(request)
            found = await self.find([name], request.consistency, timeout)
            return found.results[0]

    async def lookup_many(
        self, request: pb.LookupManyRequest, timeout: float
    ) -> pb.LookupManyResponse:
        """Says who holds each of up to 1000 names, all at one revision."""
        with self.calls():
            return await self.find(requests.lookup_names(request), request.consistency, timeout)

    async def list(self, request: pb.ListRequest, timeout: float) -> pb.ListResponse:
        """One page of the names that begin with a prefix."""
        with self.calls():
            page = requests.list_page(request)
            read = partial(reading.list_page, page=page)
            return await self.read(read, page.size, request.consistency, timeout)

    async def history(self, request: pb.HistoryRequest, timeout: float) -> pb.HistoryResponse:
        """Who held a name, from when to when."""
        with self.calls():
            read = partial(reading.history, name=requests.history_name(request))
            return await self.read(read, reading.MANY, request.consistency, timeout)

    async def find(
        self, names: Sequence[str], consistency: pb.Consistency.ValueType, timeout: float
    ) -> pb.LookupManyResponse:
        """Reads who holds names (in NFC), all at one revision. Within `calls`."""
        read = partial(reading.lookup, names=names)
        return await self.read(read, len(names), consistency, timeout)
