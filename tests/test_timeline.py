"""A schedule as runs and bars: against the simulation, and against itself."""

from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_schedules import STORES, cases

import rnnframe as rf
from rnnframe.engine.plan import Plan
from rnnframe.errors import OptionError
from rnnframe.inspection.condense import COLUMNS, bytes_held, condensed_timeline
from rnnframe.inspection.timeline import Bar, Timeline, follow, timeline_of
from rnnframe.plugin import Costs, StateStore
from rnnframe.schedules import Drop, Forward, Load, Reverse, Save

ratios = st.floats(0.5, 4)


def plan_of(case) -> Plan:
    store, steps, chunk, costs = case
    grid = store.grid(steps, min(chunk, steps))
    simulation = rf.simulate(store.schedule(grid, costs), grid, stored_weights=store.stores_weights)
    return Plan(store=store, grid=grid, batch=1, planning_costs=costs, costs=costs, simulation=simulation)


def peaks(timeline: Timeline) -> tuple[int, int, int]:
    return tuple(max(getattr(held, what) for held in timeline.held) for what in ("tapes", "snapshots", "versions"))


@given(cases(*STORES), ratios)
def test_a_timeline_holds_and_does_what_the_simulation_says(case, reverse_work):
    plan = plan_of(case)
    timeline, simulation = timeline_of(plan, reverse_work), plan.simulation
    forward = [run.last - run.first for run in timeline.runs if run.kind != "reverse"]
    reverse = [run.first - run.last for run in timeline.runs if run.kind == "reverse"]
    assert (sum(forward), sum(reverse)) == (simulation.forward_steps, simulation.reverse_steps)
    assert all(steps > 0 for steps in forward + reverse)
    assert timeline.work == pytest.approx(sum(forward) + reverse_work * sum(reverse))
    assert peaks(timeline) == (simulation.tapes, simulation.snapshots, simulation.versions)


@given(cases(*STORES), ratios)
def test_runs_follow_one_another_without_a_gap(case, reverse_work):
    timeline = timeline_of(plan_of(case), reverse_work)
    assert timeline.runs[0].begun == 0
    assert timeline.runs[-1].ended == pytest.approx(timeline.work)
    assert all(one.ended == next_one.begun for one, next_one in pairwise(timeline.runs))


@given(cases(*STORES), st.sampled_from([1.0, 2.0]))  # whole numbers: moments are compared
def test_the_bars_of_a_moment_are_what_is_held_then(case, reverse_work):
    timeline = timeline_of(plan_of(case), reverse_work)
    for held, after in pairwise(timeline.held):
        middle = (held.at + after.at) / 2
        if middle == held.at:  # two changes at one moment
            continue
        there = [bar for bar in timeline.bars if bar.made < middle < bar.released]
        passing = any(run.kind == "forward" and run.begun < middle < run.ended for run in timeline.runs)
        assert sum(bar.kind == "tape" for bar in there) + passing == held.tapes
        assert sum(bar.kind == "snapshot" for bar in there) == held.snapshots
    assert attrs.evolve(timeline.held[-1], at=0) == type(held)(0, 0, 0, 0, 0)


@given(cases(*STORES))
def test_every_reversed_step_has_its_tape_at_that_moment(case):
    timeline = timeline_of(plan_of(case), 1.0)
    for run in timeline.runs:
        if run.kind == "reverse":
            there = [bar for bar in timeline.bars if bar.kind == "tape" and bar.made < run.begun < bar.released]
            covered = {step for bar in there for step in range(bar.start, bar.stop)}
            assert covered >= set(range(run.last, run.first))


@attrs.frozen(kw_only=True)
class HalfFarHalfTaped(StateStore):
    """Keep the tapes of the first half, save the state after it far away, and go back and forth between the two."""

    name = "half"

    def schedule(self, grid, costs):
        half = grid.chunks // 2
        yield Forward(0, half, keep=True)
        yield Save(0, far=True)
        yield Forward(half, grid.chunks - 1, keep=False)
        yield Load(0)
        yield Forward(half, grid.chunks, keep=True)
        yield Reverse(grid.chunks, half + 1)
        yield Load(None)  # the state after chunk `half`
        yield Save(1)
        yield Drop(1)
        yield Drop(0)
        yield Reverse(half + 1, 0)


def test_far_snapshots_and_states_out_of_the_ring_stand_where_they_belong():
    timeline = timeline_of(plan_of((HalfFarHalfTaped(), 60, 10, Costs(snapshot=1, tape=1))), 1.0)
    assert [bar for bar in timeline.bars if bar.kind != "tape"] == [
        Bar("snapshot", 30 + 20 + 30 + 20, 30 + 20 + 30 + 20, 40, 40),
        Bar("far", 30, 30 + 20 + 30 + 20, 30, 30),
    ]
    assert [(run.kind, run.first, run.last) for run in timeline.runs] == [
        ("taping", 0, 30),
        ("forward", 30, 50),
        ("taping", 30, 60),
        ("reverse", 60, 40),
        ("reverse", 40, 0),
    ]
    assert max(held.far for held in timeline.held) == 1


def test_a_plan_of_unknown_length_is_refused():
    network = rf.Network(cells=["elman:hidden=2"], head="mse:outputs=1", inputs=1)
    plan = rf.Engine(network, "circular-queue").plan(None, 1)
    with pytest.raises(OptionError, match="unknown length cannot be drawn"):
        follow(plan)


@given(cases(*STORES))
def test_a_short_timeline_is_not_condensed(case):
    plan = plan_of(case)
    whole = timeline_of(plan)
    if max(len(whole.runs), len(whole.bars), len(whole.held)) <= 1000:
        condensed = condensed_timeline(plan)
        assert condensed.runs == tuple(sorted(whole.runs, key=lambda run: run.begun))
        assert attrs.evolve(condensed, runs=whole.runs) == whole


@given(cases(*STORES), st.integers(5, 60))
def test_a_condensed_timeline_has_few_marks_and_loses_nothing(case, marks):
    plan = plan_of(case)
    whole, condensed = timeline_of(plan), condensed_timeline(plan, marks=marks)
    assert (condensed.all_runs, condensed.all_bars) == (len(whole.runs), len(whole.bars))
    assert len(condensed.bars) <= marks
    assert len(condensed.runs) <= max(marks, 4 * COLUMNS)
    for kinds, old, new in (("runs", whole.runs, condensed.runs), ("bars", whole.bars, condensed.bars)):
        for one in old:
            assert any(covers(other, one) for other in new), (kinds, one)
    most = max(bytes_held(plan, held) for held in whole.held)
    assert max(bytes_held(plan, held) for held in condensed.held) == most
    assert [held.at for held in condensed.held] == sorted(held.at for held in condensed.held)


def covers(mark, one) -> bool:
    """Whether a mark is of the same kind and covers a run or a bar in both directions."""
    if mark.kind != one.kind:
        return False
    (x0, x1, *ys), (a0, a1, *bs) = attrs.astuple(mark)[1:], attrs.astuple(one)[1:]
    return x0 <= a0 and a1 <= x1 and min(ys) <= min(bs) and max(bs) <= max(ys)


@pytest.mark.parametrize("spec", ["full-history", "checkpoint", "checkpoint:policy=revolve,slots=9", "circular-queue"])
def test_a_hundred_thousand_steps_become_two_thousand_marks(spec):
    network = rf.Network(cells=["elman:hidden=2"], head="mse:outputs=1", inputs=1)
    timeline = condensed_timeline(rf.Engine(network, spec, chunk=20).plan(100_000, 1))
    assert timeline.all_bars >= 5000
    assert len(timeline.runs) + len(timeline.bars) <= 2200
    assert len(timeline.held) <= 1000
