"""`rnnframe completion`."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_RNNFRAME_COMPLETE"
"""What tells the program to answer a shell; click derives it from the program's name."""


@click.command("completion", short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, and names of plugins, runs and files.

    For bash or zsh put this line into ~/.bashrc or ~/.zshrc, with the name of the shell:

    eval "$(rnnframe completion bash)"

    For fish, type once: rnnframe completion fish > ~/.config/fish/completions/rnnframe.fish
    """
    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(context.find_root().command, {}, "rnnframe", VARIABLE).source())
