"""The command line with plugins in files, with broken ones, and with hook calls shown."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from .conftest import SMALL, Run

PLUGIN = """
    import attrs
    import rnnframe as rf
    from rnnframe_cells import Elman
    from rnnframe_full_history import FullHistory
    from rnnframe_optimizers import SGD

    @attrs.frozen(kw_only=True)
    class Copy(Elman):
        name = "copy"

    @attrs.frozen(kw_only=True)
    class Keep(FullHistory):
        name = "keep"

    @attrs.frozen(kw_only=True)
    class Plain(SGD):
        name = "plain"
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(dedent(PLUGIN))
    return path


TINY = ("--cell", "copy:hidden=4", "--inputs", 3, "--batch", 2, "--steps", 20)


@pytest.mark.parametrize(
    "words",
    [("plan", *TINY), ("compare", *TINY, "--store", "keep"), ("explain", "copy"), ("show", "keep"), ("plugins",)],
    ids=lambda words: words[0],
)
def test_every_command_knows_the_plugins_of_a_file(run: Run, plugin: Path, words: tuple[object, ...]) -> None:
    outcome = run("--plugin", plugin, *words)
    assert (outcome.code, outcome.err) == (0, "")
    assert "keep" in outcome.out or words[0] == "explain"
    assert run(*words).code == (0 if words == ("plugins",) else 2)  # and forgets them afterwards


def test_plugins_lists_a_file_as_the_provider(run: Run, plugin: Path) -> None:
    line = run("--plugin", plugin, "plugins").out.splitlines()[-1]
    assert line.split()[:3] == ["mine", "ok", str(plugin)]
    assert line.endswith("cells: copy; optimizers: plain; stores: keep")
    assert json.loads(run("--plugin", plugin, "plugins", "--json").out)["plugins"][-1]["source"] == str(plugin)


MINE = ("--cell", "copy:hidden=8", "--store", "keep", "--optimizer", "plain:lr=0.5")


def test_a_run_writes_down_the_files_it_needs_and_every_command_on_it_asks_for_them(
    run: Run, text: Path, plugin: Path, tmp_path: Path
) -> None:
    folder, small = tmp_path / "run", ("--data", text, *SMALL, *MINE)
    stopped = run("--plugin", plugin, "train", *small, "--out", folder, "--stop-after", 7)
    assert f"; go on with: rnnframe --plugin {plugin} train --resume {folder}" in stopped.err
    assert tomllib.loads((folder / "config.toml").read_text())["plugin"] == [str(plugin)]

    for words in (("train", "--resume", folder), ("sample", folder), ("evaluate", folder)):
        outcome = run(*words)
        assert (outcome.code, outcome.err) == (
            2,
            f"rnnframe: error: run '{folder}' needs the plugin '{plugin}'; "
            f"name it: rnnframe --plugin {plugin} COMMAND ...\n",
        )
    assert run("train", "--config", folder / "config.toml").code == 2

    moved = tmp_path / "elsewhere" / "mine.py"
    moved.parent.mkdir()
    plugin.rename(moved)
    absent = run("train", "--resume", folder)
    assert absent.err == (
        f"rnnframe: error: run '{folder}' needs the plugin file '{plugin}', which is not there; put it back\n"
    )
    assert run("--plugin", moved, "train", "--resume", folder, "--quiet").code == 0
    assert tomllib.loads((folder / "config.toml").read_text())["plugin"] == [str(moved)]
    assert run("--plugin", moved, "sample", folder, "--length", 5).code == 0
    assert run("--plugin", moved, "evaluate", folder).code == 0

    run("--plugin", moved, "train", *small, "--out", tmp_path / "whole")
    assert (tmp_path / "whole" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()


def test_a_run_that_needs_no_plugin_file_names_none(run: Run, text: Path, plugin: Path, tmp_path: Path) -> None:
    run("--plugin", plugin, "train", "--data", text, *SMALL, "--epochs", 1, "--out", tmp_path / "run")
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["plugin"] == []
    assert run("sample", tmp_path / "run", "--length", 5).code == 0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "there is no such file"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "it has no hook implementation and defines no class"),
    ],
)
def test_a_plugin_file_that_is_wrong_is_one_line(run: Run, tmp_path: Path, source: str | None, reason: str) -> None:
    path = tmp_path / "wrong.py"
    if source is not None:
        path.write_text(source)
    outcome = run("--plugin", path, "plugins")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"rnnframe: error: plugin 'wrong' of {path} is broken: {reason}")
    assert outcome.err.count("\n") == 1


def started(*words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rnnframe", *map(str, words)],
        env={**os.environ, "RNNFRAME_STRICT_PLUGINS": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_names_plugins_and_the_program_goes_on_without_a_broken_one(
    plugin: Path, tmp_path: Path, text: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no licence')")
    named = {"RNNFRAME_PLUGINS": f"{plugin},{broken}"}
    said = f"rnnframe: plugin 'broken' of {broken} is broken and left out: SystemExit: no licence\n"
    assert (started("--help", **named).returncode, started("--help", **named).stderr) == (0, "")
    listed = started("plugins", **named)
    assert (listed.returncode, listed.stderr) == (0, said)
    assert ["broken", "broken", str(broken)] in [line.split()[:3] for line in listed.stdout.splitlines()]
    trained = started("train", "--data", text, *SMALL, *MINE, "--epochs", 1, **named)
    assert (trained.returncode, trained.stderr) == (0, said)
    compared = started("compare", *TINY, "--store", "keep", **named)
    assert (compared.returncode, compared.stderr) == (0, said)


def test_trace_shows_every_hook_call_on_stderr(run: Run, plugin: Path) -> None:
    outcome = run("--trace", "--plugin", plugin, "explain", "copy")
    lines = outcome.err.splitlines()
    begun = "rnnframe: trace: rnnframe_cells() of rnnframe:cells gave Elman, LSTM, GRU"
    assert any(line.startswith(begun) for line in lines)
    assert f"rnnframe: trace: rnnframe_cells() of {plugin}:mine gave Copy" in lines
    assert all(line.startswith("rnnframe: trace: rnnframe_") for line in lines)
    assert "o_t, do_t" in outcome.out
    assert run("explain", "gru").err == ""


def test_an_option_of_the_program_after_the_command_is_told_where_it_stands(run: Run, plugin: Path) -> None:
    outcome = run("explain", "copy", "--plugin", plugin)
    assert outcome.code == 2
    assert outcome.err == (
        "rnnframe: error: rnnframe explain has no option '--plugin'; "
        "it stands before the command: rnnframe --plugin ... COMMAND\n"
    )


PARTS = """
import attrs
from rnnframe_compact import Float16
from rnnframe_rates.rates import Constant

@attrs.frozen(kw_only=True)
class MyMedium(Float16):
    name = "my-medium"

@attrs.frozen(kw_only=True)
class MyRate(Constant):
    name = "my-rate"
"""


@pytest.mark.parametrize(
    "words",
    [("--store", "checkpoint:slots=3,medium=my-medium", "--chunk", 3), ("--rate", "my-rate")],
)
def test_a_run_writes_down_the_file_of_a_medium_or_a_learning_rate_and_goes_on_with_it(
    run: Run, text: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    file, folder = tmp_path / "parts.py", tmp_path / "run"
    file.write_text(PARTS)
    begun = ("--data", text, *SMALL, *words, "--out")
    assert run("--plugin", file, "train", *begun, folder, "--stop-after", 5).code == 0
    assert tomllib.loads((folder / "config.toml").read_text())["plugin"] == [str(file)]
    refused = run("train", "--resume", folder)
    assert refused.code == 2
    assert f"needs the plugin '{file}'; name it: rnnframe --plugin {file}" in refused.err
    assert run("--plugin", file, "train", "--resume", folder, "--quiet").code == 0
    assert run("--plugin", file, "train", *begun, tmp_path / "whole").code == 0
    assert (tmp_path / "whole" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
