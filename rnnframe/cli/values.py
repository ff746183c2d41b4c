"""The values that a shell completes: names of plugins, runs and files, by the name of the option or argument."""

from collections.abc import Iterable, Mapping

import click
from click.shell_completion import CompletionItem

from rnnframe.contracts.kernels import AUTO, NUMPY
from rnnframe.registry.kinds import KINDS
from rnnframe.registry.registry import Registry
from rnnframe.runs.places import RUNS

KIND_OF: Mapping[str, str] = {
    "cell": "cell",
    "draw": "store",
    "head": "loss",
    "kernels": "kernels",
    "observer": "observer",
    "optimizer": "optimizer",
    "rate": "learning rate",
    "store": "store",
    "task": "task",
}
"""Name of an option or argument -> the kind of plugin that it takes."""
WORDS: Mapping[str, tuple[str, ...]] = {
    "checkpoint": ("best", "last"),
    "dtype": ("float32", "float64"),
    "kernels": (AUTO, NUMPY),
    "on_nonfinite": ("stop", "skip"),
    "precision": ("bfloat16",),
}
"""Name of an option -> words that it takes, beside names of plugins."""
RUN_NAMES = ("resume", "run", "runs")
FILES = ("config", "data", "into", "out", "plot")


class Value(click.types.StringParamType):
    """A text that a shell can complete, by the name of its option or argument."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin with `incomplete`, or ask the shell for files."""
        if param.name in FILES:
            return [CompletionItem(incomplete, type="file")]
        found = _values(str(param.name), str(ctx.command.name))
        return [CompletionItem(value) for value in dict.fromkeys(found) if value.startswith(incomplete)]


def completed(command: click.Command) -> click.Command:
    """Return the command with options and arguments whose values a shell can complete."""
    for param in command.params:
        if type(param.type) is click.types.StringParamType:
            param.type = Value()
    return command


def _values(name: str, command: str) -> Iterable[str]:
    if name in RUN_NAMES:
        return sorted(str(path.parent) for path in RUNS.glob("*/config.toml"))
    if (name, command) == ("kind", "new"):
        from rnnframe.cli.new import COMMANDS  # only here: this module is imported by every command

        return sorted(COMMANDS)
    kinds = [*KINDS] if name == "name" and command in ("show", "check") else [KIND_OF[name]] if name in KIND_OF else []
    registry = Registry.installed(strict=False, tell=lambda line: None) if kinds else None
    names = [known for kind in kinds if registry for known in registry.names(kind)]
    return [*names, *WORDS.get(name, ())]
