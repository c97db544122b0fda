"""Policies as people write them: a TOML file, or a few options; and an annotated example.

Responsible for reading them; what a field may be is said in `namestore.core.policies`. Invariant: a
file that is not wholly understood gives no policy.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from namestore.policy import Policy, Profile, policy_from, read_words

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

# A list of words beside the policy; its path is relative to the policy's file.
_WORDS_FILE: Final = "reserved_file"


def example_text() -> str:
    """A policy file with every field, explained."""
    return resources.files("namestore.cli").joinpath("policy.example.toml").read_text("utf-8")


def load_policy(path: Path) -> Policy:
    """The policy in a TOML file.

    Raises:
        click.UsageError: It cannot be read, or is no TOML.
        InvalidRequest: An unknown key, or a value that cannot be.
    """
    try:
        values = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path}: not TOML: {error}") from error
    words = values.pop(_WORDS_FILE, None)
    if words is not None:
        if not isinstance(words, str):
            raise click.UsageError(f"{path}: {_WORDS_FILE} is not the path of a file.")
        values["reserved"] = [*values.get("reserved", ()), *read_words(_text(path.parent / words))]
    return policy_from(values)


def policy_options(command: CallableT) -> CallableT:
    """Adds the options that say a policy: a file, or the fields that matter most."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_policy(given: dict[str, Any]) -> Policy:
    """The policy that the options of `policy_options` say.

    Raises:
        click.UsageError: Nothing was said, or a file and fields as well.
        InvalidRequest: What was said cannot be.
    """
    fields = {name: value for name, value in given.items() if value not in (None, False)}
    path = fields.pop("policy", None)
    if path is not None and fields:
        names = ", ".join("--" + name.replace("_", "-") for name in fields)
        raise click.UsageError(f"--policy and {names} exclude each other: say all in the file.")
    if path is not None:
        return load_policy(path)
    if not fields:
        raise click.UsageError(
            "say which policy: --policy FILE, or --profile and the options beside it; "
            "an example of a file: namestore-cli namespace policy"
        )
    return policy_from(fields)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not UTF-8: position {error.start + 1}.") from error


_OPTIONS: Final = (
    click.option(
        "--policy",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A TOML file; an example: namestore-cli namespace policy.",
    ),
    click.option(
        "--profile",
        type=click.Choice([profile.value for profile in Profile]),
        help="Instead of a file: the canonical form.",
    ),
    click.option("--look-alikes", is_flag=True, help="Names that look alike exclude each other."),
    click.option("--squeeze", is_flag=True, help="Case and - _ . make no difference."),
    click.option("--reserved-shipped", is_flag=True, help="Reserve the words of namestore's list."),
    click.option("--length-min", type=click.IntRange(min=1), metavar="N", help="Code points."),
    click.option("--length-max", type=click.IntRange(min=1), metavar="N", help="Code points."),
)
