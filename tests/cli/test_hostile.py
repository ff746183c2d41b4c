"""Plugins, files and names that do harm, by mistake or on purpose: one line, the right exit code, and nothing lost."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import rnnframe as rf
from rnnframe.errors import RunError, ScheduleError
from rnnframe.runs.folder import RunFolder
from rnnframe.schedules import Drop, Forward, Grid, Reverse, Save, Update
from rnnframe.storage.locks import is_lock

from .conftest import Run

CELL = """
import attrs
from typing import ClassVar
from rnnframe_cells import Elman

@attrs.frozen(kw_only=True)
class Ending(Elman):
    name: ClassVar[str] = "ending"
    def forward(self, block):
        raise {error}
"""
DRAWING = """
import attrs, numpy as np
from typing import ClassVar
from rnnframe_cells import Elman

@attrs.frozen(kw_only=True)
class Drawing(Elman):
    name: ClassVar[str] = "drawing"
    def forward(self, block):
        super().forward(block)
        block.tape["h"][1:] *= np.random.default_rng().random(block.tape["h"][1:].shape) > 0.5
"""
OPTIMIZER = """
import attrs, numpy as np
from typing import ClassVar
from rnnframe_optimizers.sgd import SGD

@attrs.frozen(kw_only=True)
class Breaking(SGD):
    name: ClassVar[str] = "breaking"
    def slots(self):
        return ["slot"]
    def update(self, parameters, gradients, slots, *rest):
        {wrong}[:] = np.nan
"""
TASK = """
import attrs
from typing import ClassVar
from rnnframe_tasks.adding import Adding

@attrs.frozen(kw_only=True)
class Failing(Adding):
    name: ClassVar[str] = "failing"
    def open(self, setting):
        raise {error}
"""


@pytest.fixture
def plugin(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "hostile.py"
        path.write_text(text)
        return path

    return write


ERRORS = ("SystemExit(0)", "BaseException('gone')", "GeneratorExit()")


@pytest.mark.parametrize("error", ERRORS)
def test_a_plugin_that_ends_the_program_at_import_is_broken(run: Run, plugin, error: str) -> None:
    outcome = run("--plugin", plugin(f"raise {error}"), "plugins")
    assert outcome.code == 1
    assert re.fullmatch(r"rnnframe: error: .*hostile.* is broken: .*\n", outcome.err)


@pytest.mark.parametrize("error", ERRORS[:2])
def test_a_cell_that_ends_the_program_is_an_error_that_names_it(run: Run, text: Path, plugin, error: str) -> None:
    words = ("--data", text, "--cell", "ending:hidden=8", "--batch", 4, "--steps", 16, "--quiet", "--sample", 0)
    outcome = run("--plugin", plugin(CELL.format(error=error)), "train", *words)
    assert outcome.code == 1
    assert "hostile" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_cell_that_draws_masks_of_its_own_is_an_error_that_names_it(run: Run, text: Path, plugin) -> None:
    words = ("--data", text, "--cell", "drawing:hidden=8", "--batch", 4, "--steps", 16, "--quiet", "--sample", 0)
    outcome = run("--plugin", plugin(DRAWING), "train", *words)
    assert outcome.code == 1
    assert "gave other values of 'h' the second time" in outcome.err
    assert "in layer0, cell 'drawing' of plugin 'hostile'" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("error", [*ERRORS[:2], "ZeroDivisionError('odd')"])
def test_a_task_that_fails_is_an_error_that_names_its_plugin(run: Run, plugin, error: str) -> None:
    outcome = run("--plugin", plugin(TASK.format(error=error)), "train", "--task", "failing", "--quiet")
    assert outcome.code == 1
    assert "task 'failing' of plugin 'hostile'" in outcome.err
    assert outcome.err.count("\n") == 1


def test_what_a_plugin_prints_while_it_is_loaded_is_not_in_the_output_for_programs(run: Run, plugin) -> None:
    text = "import rnnframe.plugin\nprint('import')\n@rnnframe.plugin.hookimpl\ndef rnnframe_cells():\n"
    outcome = run("--plugin", plugin(text + "    print('hook')\n    return []\n"), "plugins", "--json")
    json.loads(outcome.out)
    assert outcome.err.splitlines() == ["import", "hook"]


PRINTING = """
import attrs
from typing import ClassVar
from rnnframe_cells import Elman

@attrs.frozen(kw_only=True)
class Printing(Elman):
    name: ClassVar[str] = "printing"
    def forward(self, block):
        print("forward")
        super().forward(block)
"""


@pytest.mark.parametrize("command", ["train", "plan"])
def test_what_a_plugin_prints_while_a_command_runs_is_not_in_the_json(
    run: Run, text: Path, plugin, command: str
) -> None:
    words = ("--cell", "printing:hidden=8", "--batch", 4, "--steps", 16, "--json")
    words += ("--data", text, "--quiet", "--sample", 0, "--no-out", "--epochs", 1) if command == "train" else ()
    outcome = run("--plugin", plugin(PRINTING), command, *words)
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)
    assert "forward" in outcome.err


def test_events_are_not_written_through_a_link_out_of_the_run_folder(run: Run, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    (tmp_path / "elsewhere").mkdir()
    (trained / "tensorboard").symlink_to(tmp_path / "elsewhere")
    outcome = run("train", "--resume", trained, "--epochs", 3, "--tensorboard")
    assert outcome.code == 2
    assert "would follow a link out of the run folder" in outcome.err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_lock_that_cannot_be_written_keeps_the_mark_of_a_run(trained: Path) -> None:
    script = (
        "import resource; from pathlib import Path; from rnnframe.storage.locks import Lock\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        f"Lock.take(Path({str(trained / 'run.lock')!r}), 'it')"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode
    assert is_lock(trained / "run.lock")


@pytest.mark.parametrize(("wrong", "named"), [("parameters", "layer0.U"), ("slots['slot']", "its slot slot")])
def test_what_is_not_finite_is_never_saved(
    run: Run, text: Path, plugin, tmp_path: Path, wrong: str, named: str
) -> None:
    words = ("--data", text, "--cell", "elman:hidden=8", "--batch", 4, "--steps", 16, "--quiet", "--sample", 0)
    words = (*words, "--optimizer", "breaking", "--save-every", 1, "--out", tmp_path / "run")
    outcome = run("--plugin", plugin(OPTIMIZER.format(wrong=wrong)), "train", *words)
    assert outcome.code == 1
    assert "optimizer 'breaking' of plugin 'hostile'" in outcome.err
    assert f"wrote NaN or infinite values into {named}" in outcome.err
    for file in (tmp_path / "run").rglob("*.safetensors"):  # what was saved before the first update
        with safe_open(file, framework="numpy") as opened:
            assert all(np.isfinite(opened.get_tensor(name)).all() for name in opened.keys())  # noqa: SIM118 - not iterable


def saving():
    yield Forward(0, 4, keep=True)
    yield Reverse(4, 0)
    while True:
        yield Save(0)
        yield Drop(0)


def updating():
    while True:
        yield Update()


@pytest.mark.parametrize("schedule", [saving, updating])
def test_a_schedule_without_an_end_is_found(schedule) -> None:
    with pytest.raises(ScheduleError, match="the schedule has no end"):
        rf.simulate(schedule(), Grid(4, (1,)))


@pytest.fixture
def trained(train: Run, tmp_path: Path) -> Path:
    assert train("--out", tmp_path / "run", "--save-every", 5).code == 0
    return tmp_path / "run"


@pytest.mark.parametrize("way", ["the path", "a link", "a hard link"])
def test_predictions_never_replace_the_data(run: Run, tmp_path: Path, way: str) -> None:
    series = tmp_path / "series.csv"
    series.write_text("a\n" + "".join(f"{np.sin(n / 3)}\n" for n in range(200)))
    words = ("--cell", "elman:hidden=4", "--quiet", "--epochs", 1, "--batch", 2, "--steps", 8)
    assert run("train", "--task", "forecast", "--data", series, *words, "--out", tmp_path / "run").code == 0
    out, before = tmp_path / "out.csv", series.read_bytes()
    if way == "the path":
        out = tmp_path / "run" / ".." / "series.csv"
    elif way == "a link":
        out.symlink_to(series)
    else:
        os.link(series, out)
    outcome = run("predict", tmp_path / "run", "--data", series, "--out", out)
    assert outcome.code == 2
    assert "which it would replace" in outcome.err
    assert series.read_bytes() == before


def test_predictions_need_a_name(run: Run, tmp_path: Path) -> None:
    outcome = run("predict", tmp_path, "--data", "x", "--out", "")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--out '' names no file" in outcome.err


def test_a_run_goes_on_without_its_metrics(run: Run, trained: Path) -> None:
    (trained / "metrics.jsonl").unlink()
    outcome = run("train", "--resume", trained, "--epochs", 3)
    assert outcome.code == 0, outcome.err
    assert "metrics.jsonl' is missing; its metrics start again from here" in outcome.err
    assert (trained / "metrics.jsonl").stat().st_size


def test_a_flipped_bit_in_a_checkpoint_is_found(trained: Path) -> None:
    checkpoints = RunFolder.open(trained).checkpoints
    file = checkpoints.path(checkpoints.newest())
    data = bytearray(file.read_bytes())
    for place in (len(data) - 3, data.index(b"progress") + 40):
        damaged = bytearray(data)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(RunError, match=r"damaged|progress|say"):
            checkpoints.read(checkpoints.newest())


def test_a_file_without_checksums_is_read(trained: Path) -> None:
    file = trained / "weights.safetensors"
    with safe_open(file, framework="numpy") as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        about = json.loads(opened.metadata()["rnnframe"])
    assert set(about.pop("sha256")) == {"", *arrays}
    save_file(arrays, file, {"rnnframe": json.dumps(about)})
    assert rf.load_model(file).network.parameters


def test_a_file_that_describes_a_network_larger_than_its_arrays_takes_no_memory(trained: Path) -> None:
    file = trained / "weights.safetensors"
    with safe_open(file, framework="numpy") as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        about = json.loads(opened.metadata()["rnnframe"])
    about["model"]["network"]["cells"] = ["elman:hidden=100000000"]
    del about["sha256"]
    save_file(arrays, file, {"rnnframe": json.dumps(about)})
    with pytest.raises(RunError, match=r"describes a network of .* parameters and holds"):
        rf.load_model(file)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs a system with devices")
@pytest.mark.parametrize("task", ["characters", "forecast"])
def test_a_device_without_an_end_is_no_data_file(run: Run, task: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").symlink_to("/dev/zero")
    outcome = run("train", "--task", task, "--data", tmp_path / "data.csv", "--quiet")
    assert outcome.code == 2
    assert "it is a device, which may have no end" in outcome.err
