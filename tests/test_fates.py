"""What a store does with the arrays of a step, read off its schedule and not off its name."""

import attrs
import pytest

import rnnframe as rf
from rnnframe.inspection.array_storage import ScheduleSummary
from rnnframe.inspection.needs import Dependency
from rnnframe.inspection.timeline import timeline_of
from rnnframe.plugin import StateStore
from rnnframe.schedules import Drop, Forward, Load, Reverse, Save

ROLES = ("input", "state", "tape", "parameter", "output")


def habits_of(store, cell="elman:hidden=2", steps=400, chunk=10) -> ScheduleSummary:
    network = rf.Network(cells=[cell], head="mse:outputs=1", inputs=1)
    return ScheduleSummary.of(rf.Engine(network, store, chunk=chunk).plan(steps, 1), network.cells[0], 1)


def fates(store) -> dict[str, str]:
    habits = habits_of(store)
    return {role: habits.fate(Dependency("array", role, 1, ())).words for role in ROLES}


def test_full_history_keeps_all_but_inputs_and_outputs():
    assert fates("full-history") == {
        "input": "read again",
        "state": "kept",
        "tape": "kept",
        "parameter": "one copy",
        "output": "never stored",
    }


@pytest.mark.parametrize(
    ("weights", "copies"),
    [("current", "one copy, newer than the tapes"), ("stored", "old ones kept while their tapes wait")],
)
def test_a_circular_queue_keeps_k2_steps_and_old_weights_where_it_stores_them(weights, copies):
    found = fates(f"circular-queue:k1=30,k2=75,weights={weights}")
    assert (found["state"], found["tape"], found["parameter"]) == ("kept for 75 steps", "kept for 75 steps", copies)


def test_a_queue_as_long_as_the_sequence_keeps_all():
    assert fates("circular-queue:k1=400,k2=400")["tape"] == "kept"


def test_checkpoints_recompute_but_for_a_longer_last_segment():
    assert fates("checkpoint:slots=3")["tape"] == "recomputed for 75%"
    assert fates("checkpoint:slots=3")["state"] == "kept at 3 places and in tapes of 100 steps, else recomputed"
    assert fates("checkpoint:policy=revolve,slots=2")["tape"] == "recomputed"


def test_states_in_the_tapes_that_a_budget_leaves_room_for_are_counted():
    # given room for 16 of 40 tapes and for hardly a state beside them
    network = rf.Network(cells=["elman:hidden=2"], head="mse:outputs=1", inputs=1)
    costs = rf.Engine(network, "full-history", chunk=10).plan(400, 1).costs
    budget = costs.fixed + 16 * costs.tape + costs.snapshot
    habits = habits_of(f"checkpoint:budget={budget}")
    found = habits.fate(Dependency("h_t", "state", 1, ())).words
    # then what explain says of h is what the ring holds at its peak, tapes and states together
    kept = timeline_of(rf.Engine(network, f"checkpoint:budget={budget}", chunk=10).plan(400, 1)).held
    tapes, states = max(held.tapes for held in kept), max(held.snapshots for held in kept)
    assert tapes >= 12
    place = "place" if states == 1 else "places"
    assert found == f"kept at {states} {place} and in tapes of {10 * tapes} steps, else recomputed"


@pytest.mark.parametrize(
    ("store", "gates", "state"),
    [
        ("states", "rebuilt", {"h": "kept", "c": "rebuilt"}),
        ("full-history:keep=lean", "kept", {"h": "rebuilt", "c": "rebuilt"}),
        ("full-history:keep=bfloat16", "kept in bfloat16", {"h": "kept", "c": "kept in bfloat16"}),
    ],
)
def test_what_a_tape_leaves_out_is_rebuilt_and_what_it_rounds_is_told(store, gates, state):
    habits = habits_of(store, "lstm:hidden=2")
    assert habits.fate(Dependency("gates_t", "tape", 1, ())).words == gates
    for name, words in state.items():
        for array in (f"{name}_t", f"{name}_(t-1)"):
            assert habits.fate(Dependency(array, "state", 1, ())).words == words


def test_a_store_that_nobody_knows_is_judged_by_what_it_does():
    @attrs.frozen(kw_only=True)
    class KeepsTheSecondHalf(StateStore):
        name = "second-half"

        def schedule(self, grid, costs):
            half = grid.chunks // 2
            yield Save(7)
            yield Forward(0, half, keep=False)
            yield Forward(half, grid.chunks, keep=True)
            yield Reverse(grid.chunks, half)
            yield Load(7)
            yield Drop(7)
            yield Forward(0, half, keep=True)
            yield Reverse(half, 0)

    found = fates(KeepsTheSecondHalf())
    assert (found["state"], found["tape"]) == (
        "kept at 1 place and in tapes of 200 steps, else recomputed",
        "recomputed for 50%",
    )
