"""The command that says what a policy would do to names that exist: namespace check."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import click

from namestore.cli.checking import KINDS, Check, Counts, LineFinding, words
from namestore.cli.connection import Session, session_of
from namestore.cli.exits import DONE, REFUSED, UNAVAILABLE
from namestore.cli.group import reads_only
from namestore.cli.inputs import opened, size_of
from namestore.cli.lines import NotText, read_lines
from namestore.cli.options import shared_options
from namestore.cli.output import shown
from namestore.cli.policy_files import chosen_policy, policy_options
from namestore.cli.progress import Bar, ProgressView, progress_view
from namestore.core.names import canonical_name
from namestore.errors import InvalidName
from namestore.policy import Policy


@click.command("check")
@click.argument("namespace")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@policy_options
@click.option(
    "--whole-names", is_flag=True, help="The lines begin with NAMESPACE:, as export writes them."
)
@click.option(
    "--ignore",
    multiple=True,
    type=click.Choice([words(kind) for kind in KINDS]),
    help="Count such findings, but do not list them, nor end with 1 for them. May be repeated.",
)
@click.option("--quiet", is_flag=True, help="Only the summary.")
@shared_options
@click.pass_context
def check_command(
    ctx: click.Context,
    /,
    namespace: str,
    file: str,
    whole_names: bool,
    ignore: tuple[str, ...],
    quiet: bool,
    **policy: Any,
) -> int:
    """Say what a policy would do to the names in FILE, one a line ('-': standard input).

    No registry is asked, and nothing changes. Of names that exclude each other the first one
    stays, so list the oldest or the most used first. The exit code is 1 if anything is found.
    """
    reads_only(ctx)
    prefix = _checked_prefix(namespace)
    run = _Run(
        session_of(ctx),
        chosen_policy(policy),
        prefix if whole_names else "",
        ignored=frozenset(kind for kind in KINDS if words(kind) in ignore),
        quiet=quiet,
    )
    with opened(file) as stream:
        return run(stream)


class _Run:
    """One check: the file, the progress, what is printed and how it ends."""

    def __init__(
        self,
        session: Session,
        policy: Policy,
        prefix: str,
        *,
        ignored: frozenset[str],
        quiet: bool,
    ) -> None:
        self._session = session
        self._policy = policy
        self._prefix = prefix
        self._ignored = ignored
        self._quiet = quiet

    def __call__(self, stream: BinaryIO) -> int:
        session = self._session
        clock = session.environment.clock
        start = clock()
        view = progress_view(
            silent=session.choices.as_json, bytes_total=size_of(stream), clock=clock
        )
        say = self._printing(view)
        check = Check(self._policy, self._prefix, say, view.advance)
        try:
            with view:
                check.run(read_lines(stream))
        except NotText as error:
            raise click.UsageError(str(error)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            after = check.counts.lines
            session.printer.note(f"error: the file cannot be read after line {after:,}: {error}")
            return UNAVAILABLE
        self._finish(check.counts, clock() - start)
        counted = (count for kind, count in check.counts.kinds.items() if kind not in self._ignored)
        return REFUSED if sum(counted) else DONE

    def _printing(self, view: ProgressView) -> Callable[[LineFinding], None]:
        """Where findings go: standard output, but above the bar where both are one screen."""
        printer = self._session.printer
        screen = isinstance(view, Bar) and sys.stdout is not None and sys.stdout.isatty()

        def say(finding: LineFinding) -> None:
            if self._quiet or finding.kind in self._ignored:
                return
            line = f"line {finding.line}: {words(finding.kind)}: {shown(finding.message)}"
            if screen:
                view.note(line)
            else:
                printer.result(line, _finding_json(finding))

        return say

    def _finish(self, counts: Counts, seconds: float) -> None:
        printer = self._session.printer
        if counts.unterminated:
            printer.note(
                f"line {counts.lines:,} does not end with a newline; import takes it for cut off"
            )
        stays = counts.lines - counts.findings
        line = (
            f"checked {counts.lines:,} lines in {seconds:.1f} s: {counts.text()}; "
            f"{stays:,} can stay as they are"
        )
        summary = {
            "lines": counts.lines,
            "as_they_are": stays,
            **counts.json(),
            "seconds": round(seconds, 3),
        }
        printer.result(line, {"summary": summary})


def _finding_json(finding: LineFinding) -> dict[str, Any]:
    return {
        "line": finding.line,
        "conflict": finding.kind,
        "name": finding.name,
        "other": finding.other,
        "message": finding.message,
    }


def _checked_prefix(namespace: str) -> str:
    prefix = namespace.removesuffix(":") + ":"
    try:
        canonical_name(f"{prefix}a")
    except InvalidName as error:
        raise click.UsageError(f"{namespace!a} is no namespace: {error.message}") from error
    return prefix
