"""A command line over a registry in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from namestore.cli.connection import Environment
from namestore.cli.main import cli
from tests.unit.cli.fake_store import FakeStore, InlineExecutor

Run = Callable[..., Result]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def run(store: FakeStore) -> Run:
    """Runs `namestore-cli` with these arguments; time stands still unless a clock is given."""

    def run_cli(
        *args: str,
        stdin: str | bytes = b"",
        env: dict[str, str] | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> Result:
        environment = Environment(store.open, clock, lambda workers: InlineExecutor())
        return CliRunner().invoke(cli, args, input=stdin, env=env, obj=environment)

    return run_cli
