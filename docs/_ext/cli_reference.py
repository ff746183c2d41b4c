"""Write docs/reference/cli.md from the program: `python docs/_ext/cli_reference.py`. A test compares the two."""

import inspect
from pathlib import Path

import click

from rnnframe.cli import with_commands

PAGE = Path(__file__).parent.parent / "reference" / "cli.md"
HEAD = """\
# Command line

`rnnframe COMMAND --help` prints the text of this page. `rnnframe show NAME` explains the options of a cell, store,
optimizer, head or medium. Exit code 2 means wrong use, 1 failed work, 130 and 143 an interrupted run.
"""


def reference() -> str:
    """Return the page: the group, then each command in the order of `rnnframe --help`, with usage and options."""
    group = with_commands()
    group_context = click.Context(group, info_name="rnnframe", **group.context_settings)
    parts = [HEAD, *_described(group, group_context), _commands(group, group_context)]
    for name in group.list_commands(group_context):
        command = group.get_command(group_context, name)
        assert command is not None
        context = click.Context(command, parent=group_context, info_name=name)
        parts += [f"## rnnframe {name}\n", *_described(command, context)]
    return "\n".join(parts)


def _described(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
    rows = [option.get_help_record(context) or ("", "") for option in options]
    table = ["| option | meaning |", "|---|---|", *(f"| `{_cell(names)}` | {_cell(text)} |" for names, text in rows)]
    return [f"    {usage}\n", f"{inspect.cleandoc(command.help or '')}\n", "\n".join(table) + "\n"]


def _commands(group: click.Group, context: click.Context) -> str:
    table = ["| command | what it does |", "|---|---|"]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        table.append(f"| [{name}](#rnnframe-{name}) | {command.get_short_help_str(100)} |")
    return "\n".join(table) + "\n"


def _cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference())
