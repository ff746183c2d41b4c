"""Commands that plugins add to `rnnframe`: of a distribution that is installed, and of a file."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from broken_plugins import BROKEN, lay_out

from .conftest import Run

COMMANDS = """
    import click
    from rnnframe.plugin import hookimpl

    @click.command("{name}", short_help="Say what the registry knows.")
    @click.argument("kind")
    @click.option("--loud", is_flag=True)
    def command(kind, loud):
        import rnnframe as rf

        names = ",".join(rf.default_registry().names(kind))
        click.echo(names.upper() if loud else names)

    @hookimpl
    def rnnframe_commands():
        return [command]
"""


@pytest.fixture
def typed(tmp_path: Path):
    """Type a command where the distributions in a folder are installed."""

    def run(*words: object, **more: str) -> "subprocess.CompletedProcess[str]":
        paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths, "RNNFRAME_STRICT_PLUGINS": "0", **more}
        command = [sys.executable, "-m", "rnnframe", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_command_of_an_installed_plugin_is_listed_and_runs(typed, tmp_path: Path) -> None:
    lay_out(tmp_path, "names-of", COMMANDS.format(name="names"), point="names")
    overview = typed("--help")
    assert (overview.returncode, overview.stderr) == (0, "")
    line = re.search(r"^  names +Say what the registry knows\.$", overview.stdout, re.MULTILINE)
    assert line
    assert overview.stdout.index("warmup") < line.start()
    done = typed("names", "store", "--loud")
    assert (done.returncode, done.stderr) == (0, "")
    assert "FULL-HISTORY" in done.stdout.split(",")
    assert typed("names", "--help").stdout.startswith("Usage: rnnframe names [OPTIONS] KIND")
    (record,) = [r for r in json.loads(typed("plugins", "--json").stdout)["plugins"] if r["name"] == "names"]
    assert (record["status"], record["provides"]) == ("ok", {"command": ["names"]})
    assert "commands: names" in typed("plugins").stdout


def test_wrong_use_of_a_plugins_command_is_one_line(typed, tmp_path: Path) -> None:
    lay_out(tmp_path, "names-of", COMMANDS.format(name="names"), point="names")
    assert (typed("names").returncode, typed("names").stderr) == (2, "rnnframe: error: Missing argument 'KIND'.\n")
    missed = typed("nmes", "store")
    assert missed.returncode == 2
    assert "unknown command 'nmes'; did you mean 'names'?" in missed.stderr
    failed = typed("names", "colour")
    assert failed.returncode == 1
    assert failed.stderr == (
        "rnnframe: error: KeyError: 'colour' (in command 'names' of plugin 'names' of names-of 1.2; "
        "RNNFRAME_TRACEBACK=1 shows where)\n"
    )


def test_a_name_that_is_taken_leaves_that_command_out_and_names_both(typed, tmp_path: Path) -> None:
    lay_out(tmp_path, "first", COMMANDS.format(name="names"), point="a")
    lay_out(tmp_path, "second", COMMANDS.format(name="names"), point="b")
    lay_out(tmp_path, "third", COMMANDS.format(name="train"), point="c")
    lines = (
        "rnnframe: command 'names' of plugin 'b' of second 1.2 is left out: "
        "plugin 'a' of first 1.2 has a command of that name; rename it\n"
        "rnnframe: command 'train' of plugin 'c' of third 1.2 is left out: "
        "rnnframe itself has a command of that name; rename it\n"
    )
    overview = typed("--help")
    assert (overview.returncode, overview.stderr) == (0, lines)
    assert "Train a network on a task." in overview.stdout
    done = typed("names", "store")
    assert (done.returncode, done.stderr) == (0, lines)
    assert typed("train", "--help").stderr == ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("[3]", "rnnframe_commands returned 3, which is no click command"),
        ("3", "rnnframe_commands must return an iterable of commands, not 3"),
        ("[click.Command(None)]", "the name of command None must be a word such as 'serve'"),
        ("[click.Command('two words')]", "the name of command 'two words' must be a word such as 'serve'"),
        ("[click.Command('-x')]", "the name of command '-x' must be a word such as 'serve'"),
        ("[1 / 0]", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_plugin_takes_nothing_down(typed, tmp_path: Path, answer: str, reason: str) -> None:
    lay_out(tmp_path, "bad", COMMANDS.format(name="names").replace("[command]", answer), point="bad")
    lay_out(tmp_path, "good", COMMANDS.format(name="good"), point="good")
    assert (typed("--help").returncode, typed("--help").stderr) == (0, "")
    assert "good" in typed("--help").stdout
    done = typed("good", "store")
    assert done.returncode == 0
    assert done.stderr == f"rnnframe: plugin 'bad' of bad 1.2 is broken and left out: {reason}\n"
    assert typed("--help", RNNFRAME_STRICT_PLUGINS="1").returncode == 0


def test_commands_are_there_beside_every_way_to_be_broken(typed, tmp_path: Path) -> None:
    for number, (source, _) in enumerate(BROKEN.values()):
        lay_out(tmp_path, f"broken-{number}", source, point=f"broken-{number}")
    lay_out(tmp_path, "good", COMMANDS.format(name="good"), point="good")
    overview = typed("--help")
    assert (overview.returncode, overview.stderr) == (0, "")
    assert "good" in overview.stdout
    assert typed("good", "store").returncode == 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(dedent(COMMANDS.format(name="names")))
    return path


def test_a_command_of_a_file_is_listed_and_runs_with_the_plugins_of_that_file(run: Run, file: Path) -> None:
    outcome = run("--plugin", file, "names", "cell")
    assert (outcome.code, outcome.err) == (0, "")
    assert "lstm" in outcome.out.strip().split(",")
    for words in (("--plugin", file, "--help"), ("--help", "--plugin", file)):
        overview = run(*words)
        assert (overview.code, overview.err) == (0, "")
        assert "Say what the registry knows." in overview.out
    assert "unknown command 'names'" in run("names", "cell").err  # and is forgotten afterwards
    assert "Say what" not in run("--help").out


def test_a_command_sees_the_other_plugins_that_were_named(run: Run, file: Path, tmp_path: Path) -> None:
    (tmp_path / "cell.py").write_text(
        "import attrs\nfrom rnnframe_cells import Elman\n\n"
        "@attrs.frozen(kw_only=True)\nclass Copy(Elman):\n    name = 'copy'\n"
    )
    outcome = run("--plugin", tmp_path / "cell.py", "--plugin", file, "names", "cell")
    assert "copy" in outcome.out.strip().split(",")


def test_help_with_a_broken_file_lists_the_rest(run: Run, file: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("1 / 0")
    outcome = run("--plugin", tmp_path / "wrong.py", "--plugin", file, "--help")
    assert outcome.code == 0
    assert outcome.err == (
        f"rnnframe: plugin 'wrong' of {tmp_path / 'wrong.py'} is broken: ZeroDivisionError: division by zero\n"
    )
    assert "Say what the registry knows." in outcome.out


def test_a_command_of_the_program_loads_no_plugin_for_its_name() -> None:
    code = (
        "import sys; sys.argv = ['rnnframe', 'train', '--help']\n"
        "from rnnframe.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('rnnframe_')])"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.splitlines()[-1] == "[]"
