"""What an instance of the blog is told by its environment. Not responsible for using any of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import URL, make_url

# The drivers that can be awaited, for URLs that name only the kind of database.
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one instance runs.

    Attributes:
        database_url: This instance's own database: sqlite:///FILE or postgresql://…
        endpoints: The namestore cluster, the same for every instance.
        timeout: Seconds that namestore may take to answer once. A request asks at most twice.
        heal_seconds: How often unfinished requests are taken up again, and how old they are then;
            longer than a request takes, which is a little more than twice the timeout.
    """

    database_url: str = "sqlite:///blog.db"
    endpoints: str = "127.0.0.1:7101"
    timeout: float = 2.0
    heal_seconds: float = 10.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Settings from BLOG_DATABASE_URL, NAMESTORE_ENDPOINTS, BLOG_TIMEOUT, BLOG_HEAL_SECONDS."""
        return cls(
            database_url=environment.get("BLOG_DATABASE_URL", cls().database_url),
            endpoints=environment.get("NAMESTORE_ENDPOINTS", cls().endpoints),
            timeout=float(environment.get("BLOG_TIMEOUT", cls().timeout)),
            heal_seconds=float(environment.get("BLOG_HEAL_SECONDS", cls().heal_seconds)),
        )

    def async_database_url(self) -> URL:
        """The database's URL with a driver that can be awaited."""
        url = make_url(self.database_url)
        return url.set(drivername=_ASYNC_DRIVERS.get(url.drivername, url.drivername))
