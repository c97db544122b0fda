"""Instances of the blog for a test: in this process, each with a database of its own.

They share one registry, as they would share one cluster. SQLite, unless BLOG_TEST_DATABASE_URLS
names two databases, parted by a space; their tables are dropped first.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from examples.blog.app import create_app
from examples.blog.database import Table
from examples.blog.names import Names
from examples.blog.settings import Settings
from namestore import embedded
from namestore.aio import NameStore

# So long that an instance heals at its start, and never again during a test.
NEVER_SECONDS = 3600.0

StartInstance = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[NameStore]:
    """The registry that all instances share."""
    async with await embedded.open_async(tmp_path / "names", timeout=30) as store:
        yield store


@pytest.fixture
async def database_urls(tmp_path: Path) -> list[str]:
    """Two empty databases."""
    given = os.environ.get("BLOG_TEST_DATABASE_URLS", "").split()
    for url in given:
        engine = create_async_engine(Settings(database_url=url).async_database_url())
        async with engine.begin() as connection:
            await connection.run_sync(Table.metadata.drop_all)
        await engine.dispose()
    return given or [f"sqlite:///{tmp_path}/blog-{number}.db" for number in (1, 2)]


@pytest.fixture
def start_instance() -> StartInstance:
    """Starts an instance; its client speaks to it without a socket."""

    @asynccontextmanager
    async def start(
        database_url: str, store: Names | None = None, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        settings = {"heal_seconds": NEVER_SECONDS, **settings}
        app = create_app(Settings(database_url=database_url, **settings), store)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://blog") as client,
        ):
            yield client

    return start


@pytest.fixture
async def instances(
    registry: NameStore, database_urls: list[str], start_instance: StartInstance
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two instances, with two databases and one registry."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(start_instance(url, registry)) for url in database_urls
        ]
