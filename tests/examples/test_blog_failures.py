"""The blog of examples/ when something breaks: crashes between its writes, namestore away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from namestore.aio import NameStore
from namestore.client.values import NameRecord, RegisterResult
from namestore.errors import NoQuorum, OutcomeUnknown
from tests.examples.conftest import StartInstance
from tests.support.servers import closed_port

ALICE = {"username": "alice"}
KEY = {"Idempotency-Key": "k"}


class Crash(BaseException):
    """The end of the process, as far as the code that runs can tell: nothing handles it."""


class FaultyNames:
    """The registry, with faults before and after its calls: one each, in order; None: no fault."""

    def __init__(self, registry: NameStore) -> None:
        self._registry = registry
        self.before: list[BaseException | None] = []
        self.after: list[BaseException | None] = []
        self.asked: list[tuple[str, bytes | None]] = []

    async def register(
        self, name: str, owner: str = "", *, request_id: bytes | None = None
    ) -> RegisterResult:
        self.asked.append((name, request_id))
        _next_fault(self.before)
        result = await self._registry.register(name, owner, request_id=request_id)
        _next_fault(self.after)
        return result

    async def lookup(self, name: str) -> NameRecord | None:
        return await self._registry.lookup(name)


def _next_fault(faults: list[BaseException | None]) -> None:
    fault = faults.pop(0) if faults else None
    if fault is not None:
        raise fault


@contextmanager
def failing_statements(beginning: str) -> Iterator[None]:
    """Meanwhile, the database goes away at every statement that begins so."""

    def fail(*arguments: Any) -> None:
        statement = arguments[2]
        if statement.startswith(beginning):
            raise OperationalError(statement, None, ConnectionError("the database is away"))

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", fail)


@pytest.fixture
def names(registry: NameStore) -> FaultyNames:
    return FaultyNames(registry)


@pytest.fixture
def database_url(database_urls: list[str]) -> str:
    return database_urls[0]


async def read_once_there(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """What healing will bring, once it has."""
    async with asyncio.timeout(30):
        while True:
            answer = await client.get(path)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(0.01)


async def test_a_crash_between_name_and_row_is_healed_by_the_next_start(
    names: FaultyNames, registry: NameStore, database_url: str, start_instance: StartInstance
) -> None:
    """A name without a row: taken for everybody, until its own pending request is finished."""
    names.after = [Crash()]
    async with start_instance(database_url, names) as client:
        with pytest.raises(Crash):
            await client.post("/users", json=ALICE, headers=KEY)
        assert (await client.get("/users/alice")).status_code == 404
        record = await registry.lookup("user:alice")
        assert record is not None
        assert (await client.post("/users", json=ALICE)).status_code == 409
    async with start_instance(database_url, names) as client:
        user = await read_once_there(client, "/users/alice")
        assert user["id"] == record.owner
        again = await client.post("/users", json=ALICE, headers=KEY)
        assert (again.status_code, again.json()) == (201, user)
        asked = [request_id for name, request_id in names.asked]
        assert asked[0] == asked[2] != asked[1]


async def test_a_crash_before_the_name_is_healed_by_the_next_start(
    names: FaultyNames, registry: NameStore, database_url: str, start_instance: StartInstance
) -> None:
    """A pending request and nothing else: whether it was asked nobody knows, so it is asked."""
    names.before = [Crash()]
    async with start_instance(database_url, names) as client:
        with pytest.raises(Crash):
            await client.post("/posts", json={"title": "t", "body": "b", "slug": "hello"})
        assert not await registry.contains("post:hello")
    async with start_instance(database_url, names) as client:
        assert (await read_once_there(client, "/posts/hello"))["title"] == "t"


async def test_the_owner_who_retries_heals_their_own_sign_up(
    names: FaultyNames, database_urls: list[str], start_instance: StartInstance
) -> None:
    """After the crash the client sends its request again, to the other instance: it is theirs."""
    names.after = [Crash()]
    async with (
        start_instance(database_urls[0], names) as crashed,
        start_instance(database_urls[1], names) as other,
    ):
        with pytest.raises(Crash):
            await crashed.post("/users", json=ALICE, headers=KEY)
        answer = await other.post("/users", json=ALICE, headers=KEY)
        assert answer.status_code == 201
        assert (await crashed.post("/users", json=ALICE, headers=KEY)).json() == answer.json()


async def test_a_database_that_fails_after_the_name_is_healed(
    registry: NameStore, database_url: str, start_instance: StartInstance
) -> None:
    """503, as long as the row cannot be written; then the retry writes it."""
    async with start_instance(database_url, registry, heal_seconds=0.01) as client:
        with failing_statements("INSERT INTO users"):
            answer = await client.post("/users", json=ALICE, headers=KEY)
            assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
            assert await registry.contains("user:alice")
        await read_once_there(client, "/users/alice")


async def test_a_lost_answer_is_asked_for_again_under_the_same_id(
    names: FaultyNames, database_url: str, start_instance: StartInstance
) -> None:
    """The name was granted and the answer lost: the second attempt hears "granted" as well."""
    names.after = [OutcomeUnknown("lost")]
    async with start_instance(database_url, names) as client:
        assert (await client.post("/users", json=ALICE)).status_code == 201
    assert len(names.asked) == 2
    assert names.asked[0] == names.asked[1]


@pytest.mark.parametrize("second", (OutcomeUnknown("lost"), NoQuorum("gone")), ids=repr)
async def test_an_outcome_that_stays_unknown_is_finished_later(
    names: FaultyNames, database_url: str, start_instance: StartInstance, second: Exception
) -> None:
    """503 with the key to retry under; the request stays pending, and is healed without a retry.

    A second attempt that certainly did nothing does not make the first one known.
    """
    names.before, names.after = [None, second], [OutcomeUnknown("lost")]
    async with start_instance(database_url, names) as client:
        answer = await client.post("/users", json=ALICE)
        assert (answer.status_code, answer.json()["error"]) == (503, "outcome_unknown")
        assert answer.headers["Idempotency-Key"] in answer.json()["what_to_do"]
        assert int(answer.headers["Retry-After"]) > 0
    async with start_instance(database_url, names) as client:
        await read_once_there(client, "/users/alice")


async def test_what_certainly_was_not_done_is_not_done_later(
    names: FaultyNames, registry: NameStore, database_url: str, start_instance: StartInstance
) -> None:
    """503 says that nothing was done, and no healing makes a liar of it; a retry is served."""
    names.before = [NoQuorum("two of three are away"), Crash()]
    async with start_instance(database_url, names) as client:
        answer = await client.post("/users", json=ALICE, headers=KEY)
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        with pytest.raises(Crash):
            await client.post("/users", json={"username": "bob"})
    async with start_instance(database_url, names) as client:
        # The oldest are healed first: when bob is there, alice's turn would have been.
        await read_once_there(client, "/users/bob")
        assert [name for name, _ in names.asked] == ["user:alice", "user:bob", "user:bob"]
        assert not await registry.contains("user:alice")
        assert (await client.post("/users", json=ALICE, headers=KEY)).status_code == 201


async def test_an_unknown_outcome_outlives_a_retry_that_did_nothing(
    names: FaultyNames, database_url: str, start_instance: StartInstance
) -> None:
    """ "Certainly not done" speaks for the retry alone: the request before it stays pending."""
    names.after = [OutcomeUnknown("lost"), OutcomeUnknown("lost")]
    async with start_instance(database_url, names) as client:
        answer = await client.post("/users", json=ALICE, headers=KEY)
        assert answer.json()["error"] == "outcome_unknown"
        names.before = [NoQuorum("gone")]
        answer = await client.post("/users", json=ALICE, headers=KEY)
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    async with start_instance(database_url, names) as client:
        await read_once_there(client, "/users/alice")


async def test_a_namestore_that_is_away_costs_a_request_its_timeout_and_no_more(
    database_url: str, start_instance: StartInstance
) -> None:
    """No endpoint answers: 503 with Retry-After, and reading the blog goes on meanwhile."""
    async with start_instance(database_url, endpoints=closed_port(), timeout=0.3) as client:
        sign_up = asyncio.create_task(client.post("/users", json=ALICE))
        assert (await client.get("/users/alice")).status_code == 404
        answer = await asyncio.wait_for(sign_up, 30)
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "2"
