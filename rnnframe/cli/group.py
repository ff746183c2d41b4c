"""The group `rnnframe`: its own commands, and those of plugins."""

import importlib
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import click
from click.shell_completion import CompletionItem

from rnnframe.cli.output import json_alone
from rnnframe.cli.values import completed
from rnnframe.errors import PluginError, RnnframeError, unknown_name
from rnnframe.registry.discovery import may_have_commands
from rnnframe.registry.records import PluginRecord
from rnnframe.registry.registry import Registry, default_registry

_PREFIX = "rnnframe.cli."
SOURCES, REGISTRY, COMMANDS, JSON = (_PREFIX + name for name in ("sources", "registry", "commands", "json"))
"""What stands in the context: the files of `--plugin`, the registry with them, the commands of plugins, and whether
JSON is asked for."""


class PluginGroup(click.Group):
    """A group that takes in the commands of plugins, and suggests the nearest command for a misspelt one.

    Plugins are loaded only where the name of a command is not one of the group's own, and for `--help`. A command of
    the group's own is imported when it is used: `groups` has its line of the help, and `rnnframe.cli.NAME` the command.
    """

    groups: Mapping[str, Mapping[str, str]]
    """What people do -> names of commands of the group's own, and what `--help` says of each."""

    @property
    def own(self) -> dict[str, str]:
        """The commands of the group's own, and what `--help` says of each."""
        return {name: line for commands in self.groups.values() for name, line in commands.items()}

    def load(self, name: str) -> click.Command:
        """Return a command of the group's own."""
        if name not in self.commands:
            self.add_command(completed(importlib.import_module(f"rnnframe.cli.{name}").command))
        return self.commands[name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and what they do, without importing those of the group's own."""
        plugins = {name: self.get_command(ctx, name) for name in self.list_commands(ctx) if name not in self.own}
        helps = {name: command.get_short_help_str(200) for name, command in plugins.items() if command}
        plugin_commands = {"Commands of plugins": helps} if helps else {}
        longest = max(map(len, [*self.own, *helps]))
        for title, commands in {**self.groups, **plugin_commands}.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), line) for name, line in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return commands and options that begin with `incomplete`, without importing the commands."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self.own.get(name)) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take note of `--plugin` before any option acts, since `--help` lists the commands of these files too."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[SOURCES] = tuple(given.get("plugin") or ())
        ctx.meta[JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; raises `UnknownNameError` with the nearest one."""
        name = args[0] if args else ""
        if args and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise unknown_name("command", name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of the group's own, else that of a plugin."""
        if cmd_name in self.own:
            return self.load(cmd_name)
        if SOURCES not in ctx.meta:
            return None
        if COMMANDS not in ctx.meta:
            ctx.meta[COMMANDS] = self._offered(registry_of(ctx))
        found = ctx.meta[COMMANDS].get(cmd_name)
        return found[1] if found else None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        if SOURCES not in ctx.meta:  # nothing was typed: the group alone is looked at
            return sorted(self.own)
        if COMMANDS not in ctx.meta:
            ctx.meta[COMMANDS] = self._offered(_registry_for_help(ctx.meta[SOURCES]))
        return [*sorted(self.own), *sorted(ctx.meta[COMMANDS])]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what is raised inside that of a plugin names the plugin."""
        own = (ctx.args or [""])[0] in self.own or bool(set(getattr(ctx, "_protected_args", ())) & set(self.own))
        try:
            with json_alone() if ctx.meta[JSON] and own else nullcontext():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, RnnframeError):
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and ctx.invoked_subcommand in self.own:  # such as SystemExit(0)
                notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
                raise PluginError(f"a plugin raised {error!r}{notes}; it must raise an Exception") from error
            found = ctx.meta.get(COMMANDS, {}).get(ctx.invoked_subcommand)
            if found:
                error.add_note(f"in command {ctx.invoked_subcommand!r} of {found[0]}")
            raise

    def _offered(self, registry: Registry) -> dict[str, tuple[PluginRecord, click.Command]]:
        """Return the commands of plugins by name; one whose name is taken is left out with a line on stderr."""
        offered: dict[str, tuple[PluginRecord, click.Command]] = {}
        for record, command in registry.commands:
            name = str(command.name)
            if name in self.own or name in offered:
                owner = offered[name][0] if name in offered else "rnnframe itself"
                tell(f"command {name!r} of {record} is left out: {owner} has a command of that name; rename it")
            else:
                offered[name] = record, command
        return offered


def tell(line: str) -> None:
    """Print a line about the program on stderr."""
    click.echo(f"rnnframe: {line}", err=True)


def registry_of(ctx: click.Context) -> Registry:
    """Return the registry with the plugins that were named before the command."""
    if REGISTRY not in ctx.meta:
        trace, sources = ctx.params.get("trace"), ctx.meta[SOURCES]
        if trace or sources:
            registry = Registry.installed(trace=(lambda line: tell(f"trace: {line}")) if trace else None)
            for source in sources:
                registry.add_local(source)
        else:
            registry = default_registry()
        ctx.meta[REGISTRY] = registry
    found: Registry = ctx.meta[REGISTRY]
    return found


def _registry_for_help(sources: tuple[str, ...]) -> Registry:
    """Return the plugins that may have commands. Installed ones that fail stay silent."""
    registry = Registry.installed(may_have_commands(), strict=False, tell=lambda line: None)
    for source in sources:
        try:
            registry.add_local(source)
        except PluginError as error:
            tell(str(error))
    return registry
