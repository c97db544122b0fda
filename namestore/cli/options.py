"""The options that every command understands, before or after its name, and what they add up to.

Responsible for gathering and checking them. Nothing is opened here: `connection` does that, once a
command needs a registry.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import click

DEFAULT_ENDPOINTS: Final = "127.0.0.1:7101"
ENDPOINTS_VARIABLE: Final = "NAMESTORE_ENDPOINTS"

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

_ADDRESS_OPTIONS: Final = ("endpoints", "data_dir", "config")


@dataclass(frozen=True, slots=True)
class Target:
    """Which registry: exactly one of the three is set.

    Attributes:
        endpoints: host:port,host:port,…
        data_dir: Of a registry in this process.
        config: A cluster.toml that names the nodes.
    """

    endpoints: str | None = None
    data_dir: Path | None = None
    config: Path | None = None


class _Seconds(click.FloatRange):
    """A length of time that ends: neither nan nor inf, which `FloatRange` lets through."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a finite number of seconds.", param, ctx)
        return seconds


@dataclass(slots=True)
class Choices:
    """What was given, wherever it stood. A value given after the command's name prevails."""

    values: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, value: Any) -> None:
        """Remembers an option that was given."""
        self.values[name] = value

    @property
    def as_json(self) -> bool:
        """One JSON object per result."""
        return bool(self.values.get("as_json"))

    @property
    def timeout(self) -> float | None:
        """Seconds per call. None: what the command finds fitting."""
        value: float | None = self.values.get("timeout")
        return value

    @property
    def owner(self) -> str:
        """Who acts."""
        return str(self.values.get("owner", ""))

    def target(self) -> Target:
        """Which registry to talk to.

        Raises:
            click.UsageError: More than one was named.
        """
        given = [name for name in _ADDRESS_OPTIONS if name in self.values]
        if len(given) > 1:
            names = " and ".join("--" + name.replace("_", "-") for name in given)
            raise click.UsageError(f"{names} exclude each other: give one of them.")
        if given:
            return Target(**{given[0]: self.values[given[0]]})
        return Target(endpoints=os.environ.get(ENDPOINTS_VARIABLE) or DEFAULT_ENDPOINTS)


def shared_options(command: CallableT) -> CallableT:
    """Adds the options that stand before or after a command's name."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def owner_option(command: CallableT) -> CallableT:
    """Adds `--owner`, for the commands that act as somebody."""
    return _OWNER(command)


def _noted(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    choices = choices_of(ctx)
    if value is not None and value is not False and parameter.name is not None:
        choices.note(parameter.name, value)


def _named_directory(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """An empty path would be the working directory: a variable of the script was not set."""
    if value == "":
        raise click.BadParameter("an empty path; name a directory.", ctx, parameter)
    _noted(ctx, parameter, Path(value) if value is not None else None)


def choices_of(ctx: click.Context) -> Choices:
    """What was given so far."""
    choices: Choices = ctx.find_root().meta.setdefault("namestore.cli.choices", Choices())
    return choices


def _shared(*names: str, **attributes: Any) -> Callable[[CallableT], CallableT]:
    settings = {"callback": _noted, "default": None, **attributes}
    return click.option(*names, expose_value=False, **settings)


_OWNER: Final = _shared("--owner", metavar="OWNER", help="Who holds the name.  [default: '']")

_SHARED: Final = (
    _shared(
        "--endpoints",
        metavar="A,B,C",
        help=f"Nodes to talk to, as host:port.  [env: {ENDPOINTS_VARIABLE}; "
        f"default: {DEFAULT_ENDPOINTS}]",
    ),
    _shared(
        "--data-dir",
        type=click.Path(file_okay=False),
        callback=_named_directory,
        metavar="DIR",
        help="A registry in this process, kept in DIR; no server needed.",
    ),
    _shared(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Take the nodes from a cluster.toml.",
    ),
    _shared(
        "--timeout",
        type=_Seconds(),
        metavar="SECONDS",
        help="How long a call may take, retries included.",
    ),
    _shared("--json", "as_json", is_flag=True, help="One JSON object per result."),
)
