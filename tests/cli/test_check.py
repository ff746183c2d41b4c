"""`rnnframe check`: the conformance suites at the command line."""

import json
from pathlib import Path

import pytest

from rnnframe.plugin import hookimpl

from .conftest import Run

CELL = """
from typing import ClassVar
import attrs
import numpy as np
from rnnframe.plugin import Cell, add_input_product, project

@attrs.frozen(kw_only=True)
class Leaky(Cell):
    name: ClassVar[str] = "leaky"
    hidden: int = attrs.field(default=8)
    leak: float = attrs.field(default=0.5)

    def parameters(self, inputs):
        return {"U": (inputs, self.hidden)}

    def initialize(self, parameters, rng):
        parameters["U"][...] = rng.normal(size=parameters["U"].shape)

    def state(self, inputs):
        return {"h": self.hidden}

    def tape(self, inputs):
        return {"h": self.hidden}

    def forward(self, block):
        x, tape = block.x, block.tape
        project(x, block.weights["U"], tape["h"][1:])
        for t in range(len(x)):
            tape["h"][t + 1] += self.leak * tape["h"][t]

    def backward(self, block, dh, dstate, gradients, dx):
        x, weights = block.x, block.weights
        for t in reversed(range(len(x))):
            dh[t] += dstate["h"]
            dstate["h"][...] = SIGN self.leak * dh[t]
        add_input_product(x, dh, gradients["U"], np.empty((len(gradients["U"]), self.hidden), dh.dtype))
        if dx is not None:
            np.matmul(dh, weights["U"].T, out=dx)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a module into the current folder, which is not on the import path."""
    monkeypatch.chdir(tmp_path)

    def written(module: str, sign: str) -> None:
        (tmp_path / f"{module}.py").write_text(CELL.replace("SIGN", sign))

    return written


@pytest.mark.parametrize(
    "what", ["elman", "gru:hidden=3,reset=before", "sgd:momentum=0.5", "mse", "rnnframe_cells.elman:Elman:hidden=2"]
)
def test_what_is_sound_passes_with_one_line_a_check(run: Run, what: str) -> None:
    outcome = run("check", what)
    assert outcome.code == 0
    assert outcome.err == ""
    assert "  ok      the options written down make an equal object" in outcome.out.splitlines()
    assert "FAILED" not in outcome.out


def test_a_class_in_a_file_of_the_current_folder_is_checked_without_being_installed(run: Run, write) -> None:
    write("sound_cell", "+")
    outcome = run("check", "sound_cell:Leaky:leak=0.25")
    assert outcome.code == 0, outcome.out
    assert outcome.out.startswith("cell leaky:hidden=5,leak=0.25\n")


def test_what_is_wrong_is_told_with_both_values_and_exit_code_1(run: Run, write) -> None:
    write("wrong_cell", "-")
    outcome = run("check", "wrong_cell:Leaky")
    assert outcome.code == 1
    assert "  FAILED  gradients are those of finite differences" in outcome.out
    assert "gradient of U, dense inputs, block of 5, batch of 3, is not what finite differences give" in outcome.out
    assert "analytic                  numeric   relative" in outcome.out


def test_a_task_is_checked_on_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_text("level\n" + "".join(f"{n % 7}\n" for n in range(90)))
    outcome = run("check", "forecast:horizon=2", "--data", tmp_path / "small.csv")
    assert outcome.code == 0, outcome.out
    assert "\n  ok      what is learnt comes back from a file\n" in outcome.out
    refused = run("check", "lstm:hidden=2", "--data", tmp_path / "small.csv")
    assert refused.code == 2
    assert "--data is for tasks, and 'lstm:hidden=2' is a cell; leave it out" in refused.err


def test_for_programs_there_is_json(run: Run) -> None:
    found = json.loads(run("check", "sgd", "--json").out)
    assert (found["kind"], found["passed"]) == ("optimizer", True)
    by_name = {outcome["check"]: outcome for outcome in found["outcomes"]}
    assert by_name["test_every_slot_is_used"]["status"] == "ok"
    assert by_name["test_every_update_is_that_of_the_reference"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lstmm"], "unknown name 'lstmm'; did you mean 'lstm'?"),
        (["lstm", "--kind", "stove"], "unknown kind 'stove'"),
        (["lstm", "--kind", "optimizer"], "unknown optimizer 'lstm'"),
        (["no_such_module:Cell"], "module 'no_such_module' cannot be imported: ModuleNotFoundError"),
        (["rnnframe_cells.lstm:LSTMs"], "unknown class of module 'rnnframe_cells.lstm': 'LSTMs'; did you mean 'LSTM'?"),
        (["pathlib:Path"], "'pathlib:Path' is not a subclass of any of rnnframe.plugin.Layer, "),
        (["lstm:hidden=0"], "'hidden' must be >= 1: 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line(run: Run, words: list[str], message: str) -> None:
    outcome = run("check", *words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_name_of_two_kinds_needs_the_kind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import attrs

    import rnnframe as rf

    class Plugin:
        @hookimpl
        def rnnframe_optimizers(self):
            sgd = rf.default_registry().find("optimizer", "sgd")
            options = {"frozen": True, "kw_only": True, "class_body": {"name": "elman"}}
            return [attrs.make_class("Elman", [], bases=(sgd,), **options)]

    registry = rf.Registry.installed()
    registry.register(Plugin(), "homonym")
    monkeypatch.setattr("rnnframe.cli.check.default_registry", lambda: registry)
    outcome = run("check", "elman")
    assert outcome.code == 2
    assert outcome.err == "rnnframe: error: 'elman' is the name of cell and of optimizer; add --kind cell\n"
    assert run("check", "elman", "--kind", "optimizer").out.startswith("optimizer elman:")
