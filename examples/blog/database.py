"""The tables of one instance: its users, its posts, and the requests it has taken up.

No index on a username or a slug is unique, on purpose. Such an index would hold within this
database alone, while the one beside it gave the same name away; worse, it would turn a row that
replication brings into an error. That a name is given once is namestore's to promise.

Invariant: a user or a post has the id of the request that made it, so that making it twice makes
one row, here and in any other instance that carries the same request out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, URL, DateTime, Dialect, String, Text, TypeDecorator
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool


class UtcTime(TypeDecorator[datetime]):
    """A point in time, in UTC. SQLite keeps no time zone and gives it back without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """What the tables share."""


class UserRow(Table):
    """Somebody who signed up. The id is the owner of their name in namestore."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    username: Mapped[str] = mapped_column(String(512), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class PostRow(Table):
    """A post. Without an author it is anonymous."""

    __tablename__ = "posts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    slug: Mapped[str] = mapped_column(String(512), index=True)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(512))
    author_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class RequestRow(Table):
    """A request for a name, written down before namestore is asked.

    Attributes:
        id: The request_id namestore is asked under, in hexadecimal.
        content: What is to be made, whole: after a crash nothing else is known.
        attempts: How often namestore was about to be asked.
        status: Of the answer; None while there is none: the request is pending.
    """

    __tablename__ = "requests"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    attempts: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    status: Mapped[int | None] = mapped_column(index=True)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)


async def create_tables(engine: AsyncEngine) -> None:
    """Makes the tables that are missing."""
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)


def make_engine(url: URL) -> AsyncEngine:
    """An engine for that database.

    SQLite's connections are cheap to open, and none is kept: one that a cancelled request left in
    the pool would be closed by nobody.
    """
    if url.get_backend_name() == "sqlite":
        return create_async_engine(url, poolclass=NullPool)
    return create_async_engine(url, pool_pre_ping=True)
