"""The commands about namespaces and their policies: namespace check, policy."""

from __future__ import annotations

import tomllib

import click

from namestore.cli.check_command import check_command
from namestore.cli.connection import session_of
from namestore.cli.exits import DONE
from namestore.cli.group import reads_only
from namestore.cli.options import shared_options
from namestore.cli.policy_files import example_text
from namestore.policy import policy_from, policy_to


@click.group("namespace")
def namespace_command() -> None:
    """Say what a namespace demands of its names, and what a policy would do to them."""


@namespace_command.command("policy")
@shared_options
@click.pass_context
def policy_command(ctx: click.Context) -> int:
    """Print an example of a policy file, with every field explained.

    To begin with: namestore-cli namespace policy > policy.toml
    """
    reads_only(ctx)
    text = example_text()
    value = {"policy": policy_to(policy_from(tomllib.loads(text)))}
    session_of(ctx).printer.result(text.rstrip("\n"), value)
    return DONE


namespace_command.add_command(check_command)
