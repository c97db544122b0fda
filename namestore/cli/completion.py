"""The command that prints a shell's completion script."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from namestore.cli.exits import DONE
from namestore.cli.group import PROGRAM
from namestore.streams import emit

_VARIABLE: Final = "_NAMESTORE_CLI_COMPLETE"

_INSTALL: Final = {
    "bash": f"# To install:  {PROGRAM} completion bash > ~/.namestore-complete.bash\n"
    "#              echo '. ~/.namestore-complete.bash' >> ~/.bashrc",
    "zsh": f"# To install:  {PROGRAM} completion zsh > ~/.namestore-complete.zsh\n"
    "#              echo '. ~/.namestore-complete.zsh' >> ~/.zshrc   (after compinit)",
    "fish": f"# To install:  {PROGRAM} completion fish > ~/.config/fish/completions/{PROGRAM}.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(_INSTALL)))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> int:
    """Print what completes commands and options in SHELL; its first lines say how to install it."""
    script_class = get_completion_class(shell)
    if script_class is None:
        raise click.UsageError(f"the installed click cannot complete in {shell}.")
    script = script_class(ctx.find_root().command, {}, PROGRAM, _VARIABLE)
    # The script itself, not script.source(): that would start a shell to ask for its version.
    emit(f"{_INSTALL[shell]}\n{script.source_template % script.source_vars()}")
    return DONE
