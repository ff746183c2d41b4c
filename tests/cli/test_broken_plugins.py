"""The command line where every way in which a plugin can be broken is installed at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from broken_plugins import BROKEN, GOOD, lay_out

from .conftest import SMALL, TEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    for n, (source, _) in enumerate(BROKEN.values()):
        lay_out(made, f"broken-{n}", source, point=f"broken-{n}")
    lay_out(made, "good", GOOD.format(cell="kept"), point="good")
    (made / "text.txt").write_text(TEXT)
    return made


@pytest.fixture
def typed(folder: Path):
    def run(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "rnnframe", *map(str, words)]
        paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths, "RNNFRAME_STRICT_PLUGINS": "0"}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    return run


def test_help_is_as_ever(typed) -> None:
    done = typed("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "train" in done.stdout


def test_plugins_lists_each_with_its_reason(typed) -> None:
    done = typed("plugins", "--json")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == len(BROKEN)
    records = {record["name"]: record for record in json.loads(done.stdout)["plugins"]}
    for n, (_, reason) in enumerate(BROKEN.values()):
        record = records[f"broken-{n}"]
        assert (record["status"], record["distribution"], record["version"]) == ("broken", f"broken-{n}", "1.2")
        assert reason in record["reason"]
    assert {record["status"] for name, record in records.items() if not name.startswith("broken-")} == {"ok"}


def test_train_goes_on_with_the_plugins_that_work(typed, folder: Path) -> None:
    done = typed("train", "--data", folder / "text.txt", *SMALL, "--cell", "kept:hidden=8", "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == len(BROKEN)
