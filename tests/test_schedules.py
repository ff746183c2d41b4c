"""Every store's schedule, over any number of steps: valid, exact or bounded as promised, and simulated truly."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreter import Record, follow, lengths
from proofs import examples

import rnnframe as rf
from rnnframe.plugin import Costs, StateStore
from rnnframe.schedules import Forward, Grid, Simulation
from rnnframe.sizes import ByteSize

COSTS = st.builds(Costs, snapshot=st.integers(1, 1000), tape=st.integers(1, 1000))


def checkpoints(policy, chunks):
    slots = st.none() | st.integers(1, chunks + 3)
    return slots.map(lambda slots: rf.default_registry().find("store", "checkpoint")(policy=policy, slots=slots))


def budgets():
    """Budgets that are large enough for the least that mixed needs: one state and one tape."""
    make = rf.default_registry().find("store", "checkpoint")
    return st.integers(2000, 300_000).map(lambda budget: make(budget=ByteSize(budget)))


def far_away(chunks):
    make = rf.default_registry().find("store", "checkpoint")
    return st.tuples(st.none() | st.integers(1, chunks + 3), st.sampled_from(["disk:path=.", "float16"])).map(
        lambda chosen: make(slots=chosen[0], medium=rf.medium(chosen[1]))
    )


def queues():
    make = rf.default_registry().find("store", "circular-queue")
    windows = st.tuples(st.integers(1, 60), st.integers(0, 80), st.sampled_from(["current", "stored"]))
    return windows.map(lambda window: make(k1=window[0], k2=window[0] + window[1], weights=window[2]))


STORES = {
    "full-history": lambda chunks: st.just(rf.store("full-history")),
    "states": lambda chunks: st.just(rf.store("states")),
    "circular-queue": lambda chunks: queues(),
    "checkpoint": lambda chunks: st.one_of(
        checkpoints("uniform", chunks),
        checkpoints("revolve", chunks),
        checkpoints("mixed", chunks),
        checkpoints("online", chunks),
        budgets(),
        far_away(chunks),
    ),
}


@st.composite
def cases(draw, *names):
    steps, chunk = draw(st.integers(1, 300)), draw(st.integers(1, 40))
    store = draw(STORES[draw(st.sampled_from(names))](ceil(steps / chunk)))
    return store, steps, chunk, draw(COSTS)


def followed(store: StateStore, grid: Grid, costs: Costs) -> Record:
    return follow(store.schedule(grid, costs), lengths(grid), stored_weights=store.stores_weights)


def test_every_store_that_rnnframe_brings_is_tested_here():
    registry = rf.default_registry()
    brought = {n for n in registry.names("store") if registry.owner("store", n).distribution == "rnnframe"}
    assert brought == set(STORES) | {"auto"}  # which has no schedule of its own: it chooses another store


@settings(max_examples=examples(200))
@given(cases(*STORES))
def test_a_simulation_reports_what_following_the_schedule_action_by_action_counts(case):
    store, steps, chunk, costs = case
    grid = store.grid(steps, min(chunk, steps))
    length = lengths(grid)

    seen = followed(store, grid, costs)

    assert rf.simulate(store.schedule(grid, costs), grid, stored_weights=store.stores_weights) == Simulation(
        peaks=seen.most_together(),
        far_snapshots=seen.most_far,
        far_saves=seen.far_saves,
        far_loads=seen.far_loads,
        versions=seen.most_versions,
        forward_chunks=seen.forwards.total(),
        forward_steps=sum(length[chunk] * times for chunk, times in seen.forwards.items()),
        reverse_chunks=len(seen.reversals),
        reverse_steps=sum(length[chunk] for chunk in seen.reversals),
        updates=seen.updates,
        actions=len(seen.actions),
        bounded=True,
    )


@given(cases(*STORES))
def test_chunks_cover_the_sequence_and_none_is_longer_than_asked(case):
    store, steps, chunk, _ = case
    length = lengths(store.grid(steps, min(chunk, steps)))
    assert sum(length) == steps
    assert all(1 <= each <= chunk for each in length)


@given(cases("full-history", "checkpoint"))
def test_an_exact_store_reverses_every_chunk_once_from_the_last_to_the_first_in_one_go(case):
    store, steps, chunk, costs = case
    grid = store.grid(steps, min(chunk, steps))
    assert store.exact
    seen = followed(store, grid, costs)
    assert seen.reversals == list(reversed(range(len(lengths(grid)))))
    assert seen.updates == 0


@given(cases("full-history"))
def test_full_history_runs_every_chunk_once(case):
    store, steps, chunk, costs = case
    grid = store.grid(steps, min(chunk, steps))
    assert set(followed(store, grid, costs).forwards.values()) == {1}


@given(cases("checkpoint").filter(lambda case: case[0].policy in ("uniform", "revolve", "online")))
def test_checkpoints_stay_within_their_slots_and_the_tapes_of_one_segment(case):
    store, steps, chunk, costs = case
    grid = store.grid(steps, min(chunk, steps))
    chunks = len(lengths(grid))
    seen = followed(store, grid, costs)
    slots = store.slots or seen.most_snapshots
    assert seen.most_snapshots <= slots
    assert seen.slots_used <= set(range(slots))
    assert seen.most_tapes <= (ceil(chunks / (slots + 1)) if store.policy == "uniform" else 1)


@given(cases("checkpoint").filter(lambda case: case[0].policy == "uniform"))
def test_uniform_checkpoints_run_no_chunk_more_than_twice_and_the_last_segment_once(case):
    store, steps, chunk, costs = case
    grid = store.grid(steps, min(chunk, steps))
    seen = followed(store, grid, costs)
    last_segment = next(action for action in seen.actions if isinstance(action, Forward) and action.keep)
    assert {n: times for n, times in seen.forwards.items() if n >= last_segment.start} == dict.fromkeys(
        range(last_segment.start, last_segment.stop), 1
    )
    assert all(times == 2 for n, times in seen.forwards.items() if n < last_segment.start)


@pytest.mark.parametrize("chunk", [1, 3])
def test_a_source_of_unknown_length_is_kept_without_bound_by_full_history(chunk):
    store = rf.store("full-history")
    grid = store.grid(None, chunk)
    assert not rf.simulate(store.schedule(grid, Costs(snapshot=1, tape=1)), grid).bounded


def test_full_history_of_a_source_that_ends_reverses_all_of_it():
    schedule = rf.store("full-history").schedule(Grid(None, (4,)), Costs(snapshot=1, tape=1))
    assert follow(schedule, [4, 4, 1]).reversals == [2, 1, 0]
