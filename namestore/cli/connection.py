"""From a target to an open registry. The only place of the command line that builds one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

import click

from namestore import logs
from namestore.cli.options import Choices, Target, choices_of
from namestore.cli.output import Printer
from namestore.cli.store import Store

DEFAULT_TIMEOUT: Final = 5.0

# Arguments: where, and how many seconds a call may take.
OpenStore = Callable[[Target, float], Store]


@dataclass(frozen=True, slots=True)
class Environment:
    """What the command line needs of the world; tests put their own in its place.

    Attributes:
        open_store: Opens a registry.
        clock: Seconds that never run backwards.
        executor: Runs so many calls at once.
    """

    open_store: OpenStore
    clock: Callable[[], float] = monotonic
    executor: Callable[[int], Executor] = ThreadPoolExecutor


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command."""

    choices: Choices
    printer: Printer
    environment: Environment

    @contextmanager
    def store(self, *, timeout: float = DEFAULT_TIMEOUT) -> Iterator[Store]:
        """The registry that was asked for, closed at the end.

        Args:
            timeout: Seconds per call, unless `--timeout` says otherwise.
        """
        opened = self.environment.open_store(self.choices.target(), self.timeout(timeout))
        try:
            yield opened
        finally:
            opened.close()

    def timeout(self, default: float = DEFAULT_TIMEOUT) -> float:
        """Seconds per call."""
        return self.choices.timeout if self.choices.timeout is not None else default


def session_of(ctx: click.Context) -> Session:
    """The session of the command that is being run."""
    choices = choices_of(ctx)
    environment = ctx.find_object(Environment) or Environment(open_store)
    return Session(choices, Printer(as_json=choices.as_json), environment)


def open_store(target: Target, timeout: float) -> Store:
    """Opens the real thing.

    Logs go to standard error: standard output is for results. The imports stand here because they
    cost a third of a second, which `--help` and completing a word in a shell should not.

    Raises:
        ConfigError: The cluster.toml, or an address, cannot work.
        StorageError: The directory cannot be used as it is.
    """
    # What an embedded node does is of no interest here unless it goes wrong.
    logs.configure(level="warning", stream=sys.stderr)
    if target.data_dir is not None:
        from namestore import embedded

        near: Store = embedded.open(target.data_dir)
        return near
    from namestore import NameStore

    return NameStore(_endpoints(target), timeout=timeout)


def _endpoints(target: Target) -> str:
    if target.config is None:
        return target.endpoints or ""
    from namestore.config import load

    return ",".join(node.grpc for node in load(target.config).nodes)
