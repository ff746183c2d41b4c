"""Stores of other people that fail: left out where others can go on, named where they were asked for."""

import json
from pathlib import Path
from textwrap import dedent

import pytest

import rnnframe as rf
from rnnframe.registry.registry import using

from .conftest import Run

STORE = """
    import attrs
    from rnnframe.plugin import Forward, Load, Reverse, StateStore

    @attrs.frozen(kw_only=True)
    class Theirs(StateStore):
        name = "theirs"
        {field}

        def schedule(self, grid, costs):
            yield Forward(0, grid.chunks, keep=True)
            yield Reverse(grid.chunks, 0)

        {method}
"""
FAILING = {
    "a fit that raises": (
        "fit = classmethod(lambda cls, grid, costs, budget: 1 // 0)",
        "ZeroDivisionError: ",
    ),
    "a schedule that raises": (
        "def schedule(self, grid, costs): yield [][0]",
        "IndexError: list index out of range",
    ),
    "a schedule that cannot be executed": (
        "def schedule(self, grid, costs): yield Load(7)",
        "action 1 of the schedule, Load(slot=7): slot 7 holds nothing",
    ),
    "a schedule that is a list": (
        "def schedule(self, grid, costs): return [Forward(0, 1, keep=True)]",
        "a schedule is a generator of actions, not a list; yield them",
    ),
    "a schedule that yields from a list": (
        "def schedule(self, grid, costs): yield from [Forward(0, 1, keep=True), Reverse(1, 0)]",
        "the schedule yields from a list_iterator, which cannot be told how far a Forward got; "
        "yield the actions one by one",
    ),
    "a resolve that raises": (
        "def resolve(self, problem): raise KeyError('chunk')",
        "KeyError: 'chunk'",
    ),
    "a grid that is none": (
        "def grid(self, steps, chunk): return None",
        "AttributeError: 'NoneType' object has no attribute 'longest'",
    ),
}
ASKED_BY_AUTO = {name: case for name, case in FAILING.items() if name.split()[1] in ("fit", "schedule")}
ASKED_BY_A_PLAN = {name: case for name, case in FAILING.items() if name.split()[1] != "fit"}
SMALL = ("--cell", "elman:hidden=8", "--inputs", 3, "--batch", 2, "--steps", 40, "--chunk", 4)


def written(folder: Path, method: str, field: str = "") -> Path:
    path = folder / "mine.py"
    path.write_text(dedent(STORE).format(method=method, field=field))
    return path


@pytest.mark.parametrize(("method", "reason"), ASKED_BY_A_PLAN.values(), ids=ASKED_BY_A_PLAN)
def test_plan_leaves_a_failing_store_out_and_says_so_once(run: Run, tmp_path: Path, method: str, reason: str) -> None:
    path = written(tmp_path, method)
    outcome = run("--plugin", path, "plan", *SMALL, "--json")
    assert outcome.code == 0
    planned = [plan["asked"] for plan in json.loads(outcome.out)["plans"]]
    assert planned == [plan["asked"] for plan in json.loads(run("plan", *SMALL, "--json").out)["plans"]]
    assert outcome.err == f"rnnframe: store 'theirs' of plugin 'mine' of {path} is left out: {reason}\n"


@pytest.mark.parametrize(("method", "reason"), ASKED_BY_AUTO.values(), ids=ASKED_BY_AUTO)
def test_auto_does_without_a_failing_store_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, reason: str
) -> None:
    registry = rf.Registry.installed()
    path = written(tmp_path, method)
    registry.add_local(str(path))
    with using(registry):
        engine = rf.Engine(rf.Network(["elman:hidden=8"], "mse", 3), "auto:budget=1MiB")
        plans = [engine.plan(steps, 4) for steps in (400, 50)]
    assert {plan.store.name for plan in plans} <= {"full-history", "checkpoint"}
    err = capsys.readouterr().err
    assert err.startswith(f"rnnframe: store 'theirs' of plugin 'mine' of {path} is left out: {reason}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("method", "reason"), ASKED_BY_A_PLAN.values(), ids=ASKED_BY_A_PLAN)
def test_a_failing_store_that_was_asked_for_is_an_error_that_names_its_plugin(
    run: Run, tmp_path: Path, method: str, reason: str
) -> None:
    path = written(tmp_path, method)
    outcome = run("--plugin", path, "plan", *SMALL, "--store", "theirs")
    assert outcome.code == 1
    assert outcome.err == f"rnnframe: error: store 'theirs' of plugin 'mine' of {path}: {reason}\n"


def test_plan_asks_no_store_that_needs_options(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, "", field="window: int = attrs.field()")
    outcome = run("--plugin", path, "plan", *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    assert "theirs" not in outcome.out
    assert "theirs:window=3" in run("--plugin", path, "plan", *SMALL, "--store", "theirs:window=3").out
