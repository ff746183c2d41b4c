"""`rnnframe new`."""

import ast
import importlib.util
import keyword
import os
import re
import shlex
import tempfile
from importlib import resources
from pathlib import Path

import attrs
import click

from rnnframe.errors import RnnframeError, UsageError, unknown_name
from rnnframe.registry.registry import default_registry

OPTIONS = {
    "cell": "--cell {}:hidden=64",
    "store": "--store {}",
    "optimizer": "--optimizer {}",
    "medium": "--store checkpoint:slots=8,medium={}",
}
PREFIX = "rnnframe-"
WORDS = re.compile(r"rnnframe-example|rnnframe_example|test_example|Example|example|KIND|OPTIONS")


@attrs.frozen
class Distribution:
    """What a plugin of some kind and name is called in its files."""

    kind: str
    name: str

    @property
    def folder(self) -> str:
        """The name of the distribution, and of its folder."""
        return PREFIX + self.name

    @property
    def module(self) -> str:
        """What is imported."""
        return self.folder.replace("-", "_")

    @property
    def test(self) -> str:
        """The module of the tests."""
        return "test_" + self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """The class of the plugin."""
        return "".join(word[0].upper() + word[1:] for word in self.name.split("-"))

    @property
    def options(self) -> str:
        """What makes a command use the plugin."""
        return OPTIONS[self.kind].format(self.name)

    def files(self) -> dict[str, str]:
        """Return path -> text."""
        templates = {
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            f"{self.module}.py": f"{self.kind}.py",
            f"tests/{self.test}.py": f"{self.kind}_tests.py",
        }
        return {path: WORDS.sub(self._word, _template(name)) for path, name in templates.items()}

    def _word(self, match: re.Match[str]) -> str:
        return {
            "rnnframe-example": self.folder,
            "rnnframe_example": self.module,
            "test_example": self.test,
            "Example": self.class_name,
            "example": self.name,
            "KIND": self.kind,
            "OPTIONS": self.options,
        }[match[0]]


@click.command("new", short_help="Write a new cell, store, optimizer or medium, ready to be installed.")
@click.argument("kind", metavar="cell|store|optimizer|medium")
@click.argument("name", metavar="NAME")
@click.option("--into", default=".", metavar="FOLDER", help="where its folder is made; by default here")
def command(kind: str, name: str, into: str) -> None:
    """Write a distribution with a working plugin called NAME, its tests and a README, in the folder rnnframe-NAME.

    Put your formula, strategy, rule or place in the place of the one that is there.
    """
    if kind not in OPTIONS:
        raise unknown_name("kind", kind, OPTIONS)
    made = Distribution(kind, name)
    _check(made)
    folder = Path(into, made.folder)
    files = made.files()
    _write(folder, files)
    place = shlex.quote(str(folder) if folder.is_absolute() else f"./{folder}")
    click.echo(f"{folder} has {', '.join(files)}\n\nNext:")
    for line in (f"pip install --editable {place}", f"pytest {place}", f"rnnframe train {made.options}"):
        click.echo(f"    {line}")


def _check(made: Distribution) -> None:
    """Raise `UsageError` unless the name suits a plugin, a distribution, a module and a class, and none is taken."""
    name, registry = made.name, default_registry()
    if name.startswith(PREFIX):
        raise UsageError(f"the distribution is called {PREFIX}NAME anyway; write {name.removeprefix(PREFIX)!r}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"{name!r} cannot name a plugin and its distribution; "
            "use small letters, digits and single hyphens, such as my-cell"
        )
    if name in registry.names(made.kind):
        owner = registry.owner(made.kind, name)
        raise UsageError(f"{made.kind} {name!r} is already provided by {owner}; choose another name")
    if importlib.util.find_spec(made.module) is not None:
        raise UsageError(f"{name!r} would make a module {made.module!r}, and there is one; choose another name")
    names = {node.id for node in ast.walk(ast.parse(_template(f"{made.kind}.py"))) if isinstance(node, ast.Name)}
    if made.class_name in names - {"Example"} or keyword.iskeyword(made.class_name):
        raise UsageError(
            f"{name!r} would make a class {made.class_name!r}, which means another thing there; choose another name"
        )


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write all files, or none: beside, then under the right name."""
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {str(folder.parent)!r}; make it, or give another with --into")
    if os.path.lexists(folder):
        raise UsageError(f"{str(folder)!r} is there already; choose another name, or another folder with --into")
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as beside:
            for path, text in files.items():
                file = Path(beside, folder.name, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
            Path(beside, folder.name).rename(folder)
    except OSError as error:
        raise RnnframeError(f"cannot write {str(folder)!r}: {error.strerror or error}") from None


def _template(name: str) -> str:
    return resources.files("rnnframe.templates").joinpath(name).read_text(encoding="utf-8")
