"""`namestore-cli`: all commands, put together."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import click

from namestore import __version__
from namestore.cli.changing import confirm_command, rename_command, update_command
from namestore.cli.completion import completion_command
from namestore.cli.exits import INTERRUPTED
from namestore.cli.exporting import export_command
from namestore.cli.group import PROGRAM, CommandLine
from namestore.cli.import_command import import_command
from namestore.cli.members import members_command
from namestore.cli.namespaces import namespace_command
from namestore.cli.options import owner_option, shared_options
from namestore.cli.reading import history_command, list_command, lookup_command
from namestore.cli.registering import register_command, release_command, slug_command
from namestore.cli.status import status_command
from namestore.cli.watching import watch_command
from namestore.streams import end_process, occupy_closed_descriptors


@click.group(
    PROGRAM,
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done or granted; 1 refused; 2 bad usage or bad name; 3 unavailable, "
    "certainly not done; 4 outcome unknown; 130 interrupted.",
)
@owner_option
@shared_options
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Register unique names, once and for ever, and look them up.

    Options stand before or after the command.
    """


for _command in (
    register_command,
    lookup_command,
    confirm_command,
    update_command,
    rename_command,
    release_command,
    slug_command,
    list_command,
    history_command,
    watch_command,
    import_command,
    export_command,
    status_command,
    namespace_command,
    members_command,
    completion_command,
):
    cli.add_command(_command)


def main() -> None:
    """The entry point of the console script."""
    occupy_closed_descriptors()
    sys.unraisablehook = _interrupted_aside
    try:
        _run()
    except KeyboardInterrupt:  # a second one, while the first was being answered
        _leave()


def _run() -> None:
    try:
        cli.main()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _leave()
        raise


def _interrupted_aside(dropped: sys.UnraisableHookArgs) -> None:
    """An interrupt that met a destructor would be printed and dropped: it ends the process, too."""
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        _leave()
    sys.__unraisablehook__(dropped)


def _leave() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_process(INTERRUPTED)
