"""The commands about namespaces and their policies: namespace set, get, list, check, policy."""

from __future__ import annotations

import secrets
import tomllib
from typing import Any, Final

import click

from namestore.cli.check_command import check_command
from namestore.cli.connection import Session, session_of
from namestore.cli.exits import DONE, REFUSED
from namestore.cli.group import reads_only
from namestore.cli.identity import given_identity, request_id_option, say_how_to_ask_again
from namestore.cli.options import shared_options
from namestore.cli.output import shown
from namestore.cli.policy_files import chosen_policy, example_text, policy_options
from namestore.client.namespace_values import NamespaceState, PolicyConflict, PutResult
from namestore.errors import OutcomeUnknown
from namestore.policy import Policy, policy_from, policy_to

# A policy is carried over all names that exist.
_SET_SECONDS: Final = 600.0


@click.group("namespace")
def namespace_command() -> None:
    """Say what a namespace demands of its names, and what a policy would do to them."""


@namespace_command.command("set")
@click.argument("namespace")
@policy_options
@click.option(
    "--expect",
    type=click.IntRange(min=0),
    metavar="VERSION",
    help="Replace only this version; 0: only if there is none.  [default: the one in force]",
)
@click.option("--dry-run", is_flag=True, help="Have the names judged, and change nothing.")
@request_id_option
@shared_options
@click.pass_context
def set_command(
    ctx: click.Context,
    /,
    namespace: str,
    expect: int | None,
    dry_run: bool,
    request_id: str | None,
    **policy: Any,
) -> int:
    """Give NAMESPACE a policy; every field that is not given has its default.

    Names that could not stay as they are are listed, and nothing is changed.
    """
    chosen = chosen_policy(policy)
    session = session_of(ctx)
    identity = given_identity(request_id) or secrets.token_bytes(16)
    timeout = session.timeout(_SET_SECONDS)
    with session.store(timeout=_SET_SECONDS) as store:
        if expect is None:
            expect = store.get_namespace(namespace, timeout=timeout).policy_version
        try:
            result = store.put_namespace(
                namespace,
                chosen,
                expected_version=expect,
                check_only=dry_run,
                request_id=identity,
                timeout=timeout,
            )
        except OutcomeUnknown as error:
            session.printer.note(f"and with --expect {expect}:")
            say_how_to_ask_again(session, error, identity)
            raise
    return _print_put(session, result, dry_run=dry_run)


@namespace_command.command("get")
@click.argument("namespace")
@shared_options
@click.pass_context
def get_command(ctx: click.Context, namespace: str) -> int:
    """Show where NAMESPACE stands. The exit code is 1 if it has no policy, nor a pending one."""
    reads_only(ctx)
    session = session_of(ctx)
    with session.store() as store:
        state = store.get_namespace(namespace, timeout=session.timeout())
    _print_state(session, state)
    return DONE if state.policy or state.pending_policy else REFUSED


@namespace_command.command("list")
@shared_options
@click.pass_context
def list_command(ctx: click.Context) -> int:
    """Show every namespace that has a policy, or a pending one."""
    reads_only(ctx)
    session = session_of(ctx)
    with session.store() as store:
        for state in store.list_namespaces(timeout=session.timeout()):
            _print_state(session, state)
    return DONE


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


def _print_put(session: Session, result: PutResult, *, dry_run: bool) -> int:
    state = result.namespace
    if result.accepted:
        word = "would be accepted" if dry_run else "in force"
        if state.pending_version and not dry_run:
            word = "pending; see how far it is with: namestore-cli namespace get"
        line = f"{shown(state.name)}  version {state.policy_version}  {word}"
    else:
        line = f"refused  {shown(state.name)}  {result.conflict_count:,} names are in the way"
    value = {
        "accepted": result.accepted,
        "dry_run": dry_run,
        "namespace": _state_json(state),
        "conflict_count": result.conflict_count,
        "conflicts": [_conflict_json(conflict) for conflict in result.conflicts],
        "request_id": f"hex:{result.request_id.hex()}",
    }
    session.printer.result(line, value)
    for conflict in result.conflicts:
        word = conflict.kind.value.lower().replace("_", "-")
        session.printer.note(f"{shown(conflict.name)}: {word}: {shown(conflict.message)}")
    if len(result.conflicts) < result.conflict_count:
        left = result.conflict_count - len(result.conflicts)
        session.printer.note(f"and {left:,} more; all of them: namestore-cli namespace check")
    return DONE if result.accepted else REFUSED


def _print_state(session: Session, state: NamespaceState) -> None:
    line = f"{shown(state.name)}  version {state.policy_version}  {_policy_text(state.policy)}"
    if state.pending_policy is not None:
        through = shown(state.pending_through or "none yet")
        pending = _policy_text(state.pending_policy)
        line += f"  pending version {state.pending_version}: {pending}, through {through}"
    session.printer.result(line, _state_json(state))


def _policy_text(policy: Policy | None) -> str:
    """The fields that differ from their defaults."""
    if policy is None:
        return "no policy"
    default = policy_to(Policy())
    fields = {k: v for k, v in policy_to(policy).items() if v != default[k] and k != "profile"}
    words = (key if value is True else f"{key}={value}" for key, value in fields.items())
    return shown(" ".join((policy.profile.value, *words)))


def _state_json(state: NamespaceState) -> dict[str, Any]:
    return {
        "namespace": state.name,
        "policy_version": state.policy_version,
        "policy": policy_to(state.policy) if state.policy else None,
        "pending_version": state.pending_version,
        "pending_policy": policy_to(state.pending_policy) if state.pending_policy else None,
        "pending_through": state.pending_through,
    }


def _conflict_json(conflict: PolicyConflict) -> dict[str, Any]:
    return {
        "conflict": conflict.kind.value,
        "name": conflict.name,
        "other": conflict.other,
        "message": conflict.message,
    }
