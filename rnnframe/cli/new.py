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

COMMANDS = {
    "cell": "train --cell {}:hidden=64",
    "kernels": "train --cell indrnn:hidden=64 --kernels {}",
    "layer": "train --cell lstm:hidden=64 --cell {}",
    "loss": "compare --head {}:outputs=2 --cell gru:hidden=16 --steps 200",
    "medium": "train --store checkpoint:slots=8,medium={}",
    "observer": "train --observer {}",
    "optimizer": "train --optimizer {}",
    "readout": "compare --head mse:outputs=2,readout={} --cell gru:hidden=16 --steps 200",
    "store": "train --store {}",
    "task": "train --task {}",
}
"""What can be written -> the command that uses it."""
NEEDS = {"kernels": ("numba>=0.60",)}
"""What the plugin imports beside rnnframe."""
PREFIX = "rnnframe-"
WORDS = re.compile(r"rnnframe-example|rnnframe_example|test_example|\b(?:Example|example|KIND|COMMAND|NEEDS)\b")


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
    def command(self) -> str:
        """What uses the plugin."""
        return COMMANDS[self.kind].format(self.name)

    @property
    def needs(self) -> str:
        """What it depends on, as in pyproject.toml."""
        return '", "'.join(("rnnframe", *NEEDS.get(self.kind, ())))

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
            "COMMAND": self.command,
            "NEEDS": self.needs,
        }[match[0]]


@click.command("new", short_help="Write a new plugin of any kind, ready to be installed.")
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.option("--into", default=".", metavar="FOLDER", help="where to create its folder; by default here")
def command(kind: str, name: str, into: str) -> None:
    """Write a package with a working plugin called NAME, its tests and a README, into the folder rnnframe-NAME.

    KIND is cell, kernels, layer, loss, medium, observer, optimizer, readout, store or task. Replace the formula, rule
    or strategy in the plugin with yours.
    """
    if kind not in COMMANDS:
        raise unknown_name("kind", kind, COMMANDS)
    made = Distribution(kind, name)
    _check(made)
    folder = Path(into, made.folder)
    files = made.files()
    _write(folder, files)
    place = shlex.quote(str(folder) if folder.is_absolute() else f"./{folder}")
    click.echo(f"{folder} has {', '.join(files)}\n\nNext:")
    for line in (f"pip install --editable {place}", f"pytest {place}", f"rnnframe {made.command}"):
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
    if name in registry.names(kind := "cell" if made.kind == "layer" else made.kind):
        owner = registry.owner(kind, name)
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
