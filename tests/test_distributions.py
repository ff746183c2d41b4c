"""Plugins as distributions outside this tree, in a fresh environment: the examples, and what `rnnframe new` writes.

The environment sees what is installed in this one, and needs no network.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from rnnframe.cli.new import COMMANDS

ROOT = Path(__file__).parent.parent
EXAMPLES = {"plugin-template": ("cell", "ugrnn"), "medium": ("medium", "zlib")}
CHECKED = {"plugin-template": "ugrnn:hidden=2", "medium": "zlib:level=9"}
PROVIDES = {kind: "cell" if kind == "layer" else kind for kind in COMMANDS}  # KIND of `rnnframe new` -> of the registry
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # of this run
COMMAND = re.compile(r"^    ((?:rnnframe|pip|pytest) [^\n]+)$", re.MULTILINE)
TEXT = "".join(f"{n}: the quick brown fox jumps {n * 7 % 13} times.\n" for n in range(30))
NUMBERS = "".join(f"{n % 9 - n % 2 / 2}\n" for n in range(600))
SMALL = ("--batch", "4", "--steps", "16", "--epochs", "1", "--quiet")


def _builder() -> tuple[int, ...]:
    try:
        return tuple(map(int, version("setuptools").split(".")[:2]))
    except PackageNotFoundError:
        return ()


pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pip") is None or _builder() < (70, 1),
    reason="no pip, or no setuptools >= 70.1, which builds wheels on its own",
)


class Environment:
    """A virtual environment, and a folder in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", symlinks=True)
        self.python = str(folder / "venv" / "bin" / "python")
        self.work = folder / "work"
        self.work.mkdir()
        (self.work / "text.txt").write_text(TEXT)
        (self.work / "numbers.txt").write_text(NUMBERS)
        paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        site = Path(sysconfig.get_path("purelib", "venv", paths))
        # what is installed here, be it in place: a line that begins with "import" is run
        (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")

    def type(self, command: str) -> str:
        """Type a command as a reader would, and return what it prints."""
        program, *words = shlex.split(command)
        if program == "pip":
            words += ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
        if program == "pytest":
            words += ["-q", "-p", "no:cacheprovider", "-W", "error"]
        done = subprocess.run(
            [self.python, "-m", program, *words],
            cwd=self.work,
            env=ENVIRONMENT | {"RNNFRAME_STRICT_PLUGINS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def train(self, options: str) -> list[float]:
        """Train for a few steps and return the loss of each."""
        run = self.work / re.sub(r"\W+", "-", options)
        data = "numbers.txt" if "--task" in options else "text.txt"
        self.type(f"rnnframe train {options} --data {data} {' '.join(SMALL)} --out {run}")
        records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        return [record["loss"] for record in records if "loss" in record]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    """Install copies of the examples from outside the tree, and a new plugin of each kind."""
    made = Environment(tmp_path_factory.mktemp("outside"))
    for example in EXAMPLES:
        shutil.copytree(ROOT / "examples" / example, made.work / example)
    made.printed = {kind: made.type(f"rnnframe new {kind} my-{kind}") for kind in COMMANDS}
    editable = " ".join(f"--editable ./rnnframe-my-{kind}" for kind in COMMANDS)
    made.type(f"pip install {editable} {' '.join(f'./{example}' for example in EXAMPLES)}")
    return made


def test_plugins_lists_each_as_ok_with_provider_and_version(environment):
    records = {record["name"]: record for record in json.loads(environment.type("rnnframe plugins --json"))["plugins"]}
    for kind, name in [*EXAMPLES.values(), *((PROVIDES[kind], f"my-{kind}") for kind in COMMANDS)]:
        record = records[name]
        assert (record["status"], record["distribution"], record["version"]) == ("ok", f"rnnframe-{name}", "0.1.0")
        assert record["provides"] == {kind: [name]}


@pytest.mark.parametrize("folder", EXAMPLES)
def test_an_example_passes_its_own_tests_and_the_checks(environment, folder):
    assert " passed" in environment.type(f"pytest ./{folder}")
    environment.type(f"rnnframe check {CHECKED[folder]}")


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_new_writes_passes_its_tests_untouched_and_works(environment, kind):
    install, test, use = COMMAND.findall(environment.printed[kind])
    assert install == f"pip install --editable ./rnnframe-my-{kind}"
    assert " passed" in environment.type(test)
    if kind == "kernels" and importlib.util.find_spec("numba") is None:
        pytest.skip("no numba, which the kernels are compiled by")
    if use.startswith("rnnframe train "):
        losses = environment.train(use.removeprefix("rnnframe train "))
        assert losses[-1] < losses[0]
    else:
        assert "bit-identical" in environment.type(f"{use} --batch 4 --steps 100 --store checkpoint")


@pytest.mark.parametrize("options", ["--cell ugrnn:hidden=16", "--store checkpoint:slots=2,medium=zlib:level=6"])
def test_the_examples_train(environment, options):
    losses = environment.train(options)
    assert losses[-1] < losses[0]


def test_the_page_on_publishing_works_command_by_command(environment):
    commands = COMMAND.findall((ROOT / "docs" / "how-to" / "publish-a-plugin.md").read_text())
    assert len(commands) >= 7
    for command in commands:
        environment.type(command)
    assert [path.name for path in (environment.work / "dist").iterdir()] == ["rnnframe_patient-0.1.0-py3-none-any.whl"]
