"""policy=online: snapshots that move along with a sequence whose end nobody knows."""

import itertools
import tracemalloc
from functools import cache
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreter import follow

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.plugin import Costs
from rnnframe.schedules import Forward, Grid, Load

COSTS = Costs(snapshot=1, tape=1)


def schedule_of(slots, chunks=None):
    store = rf.store(f"checkpoint:policy=online,slots={slots}")
    return store.schedule(Grid(chunks, (1,)), COSTS)


def runs_to_the_end(chunks, slots):
    """Return how many chunks are run forward where the source is found to end after `chunks`."""
    return follow(schedule_of(slots), [1] * chunks).forwards.total()


@cache
def beyond_one_run(chunks, slots):
    """Griewank & Walther (2000), proposition 1: what reversing with known length costs beyond the runs with a tape."""
    t = next(t for t in itertools.count() if comb(slots + t, t) >= chunks)
    return t * chunks - (comb(slots + t, t - 1) if t else 0)


def fewest(chunks, slots):
    """Return how many runs forward no schedule can do without that finds the end only by asking for more.

    With one more chunk, run once with a tape at the end of the way out, it would be a schedule for chunks + 1.
    """
    return beyond_one_run(chunks + 1, slots) + chunks


def runs_with(starts, chunks, slots):
    """Return the runs forward where the way out leaves snapshots at these chunks, of which one may be at the end."""
    cuts = [*(start for start in starts if start < chunks), chunks]
    back = sum(beyond_one_run(stop - start, slots - n) for n, (start, stop) in enumerate(itertools.pairwise(cuts)))
    return 2 * chunks + back


@given(st.integers(0, 300), st.integers(1, 40))
def test_wherever_the_source_ends_every_chunk_is_reversed_once_within_the_slots_and_the_tape_of_one(chunks, slots):
    seen = follow(schedule_of(slots), [1] * chunks)
    assert seen.reversals == list(reversed(range(chunks)))
    assert seen.most_snapshots <= slots
    assert seen.slots_used <= set(range(slots))
    assert seen.most_tapes <= 1


@given(st.integers(1, 300), st.integers(1, 40))
def test_a_known_end_changes_nothing_before_it(chunks, slots):
    unknown = follow(schedule_of(slots), [1] * chunks)
    known = follow(schedule_of(slots, chunks), [1] * chunks)
    way_out = next(place for place, action in enumerate(known.actions) if isinstance(action, Load))
    assert known.actions[:way_out] == unknown.actions[:way_out]
    assert known.forwards.total() <= unknown.forwards.total()


@pytest.mark.parametrize("slots", range(1, 11))
def test_in_the_range_of_stumm_and_walther_at_most_one_run_is_lost(slots):
    for chunks in range(1, comb(slots + 2, 2)):
        assert 0 <= runs_to_the_end(chunks, slots) - fewest(chunks, slots) <= 1
        assert follow(schedule_of(slots, chunks), [1] * chunks).forwards.total() == fewest(chunks, slots)


@pytest.mark.parametrize("slots", [2, 3, 4, 5])
def test_no_placement_loses_nothing_wherever_the_source_ends(slots):
    # given every way to move snapshots along, as long as it has lost nothing
    ways = {(0,)}
    for chunks in range(1, comb(slots + 2, 2)):
        saved = {
            (*way[:n], *way[n + 1 :], chunks) if len(way) == slots else (*way, chunks)
            for way in ways
            for n in range(1, slots)
        }
        ways = {way for way in ways | saved if runs_with(way, chunks, slots) == fewest(chunks, slots)}
    assert not ways


@pytest.mark.parametrize(("slots", "most"), [(2, 1.19), (4, 1.08), (8, 1.03), (16, 1.02)])
def test_beyond_that_range_a_few_hundredths_are_lost(slots, most):
    for chunks in itertools.islice(itertools.count(comb(slots + 2, 2), 29), 25):
        assert 1 <= runs_to_the_end(chunks, slots) / fewest(chunks, slots) <= most


def moved_by_levels(slots, ends):
    """Yield the snapshots that Wang, Moin & Iaccarino (2009) hold when 1, 2, ... chunks were run, by their levels."""
    held = [(0, float("inf"))]
    for end in range(1, ends):
        dispensable = [n for n, (_, level) in enumerate(held) if any(level < later for _, later in held[n + 1 :])]
        if len(held) < slots:
            held.append((end, 0))
        elif dispensable:
            held.pop(dispensable[-1])
            held.append((end, 0))
        else:
            held[-1] = end, held[-1][1] + 1
        yield end, [start for start, _ in held]


@pytest.mark.parametrize("slots", [3, 8])
def test_places_chosen_by_cost_recompute_less_than_those_chosen_by_levels(slots):
    lost = {"cost": 0, "levels": 0}
    for chunks, starts in moved_by_levels(slots, 250):
        lost["levels"] += runs_with(starts, chunks, slots) - fewest(chunks, slots)
        lost["cost"] += runs_to_the_end(chunks, slots) - fewest(chunks, slots)
    assert lost["cost"] < 0.4 * lost["levels"]


def test_a_source_without_end_is_simulated_to_a_bound():
    store = rf.store("checkpoint:policy=online,slots=7")
    simulation = rf.simulate(store.schedule(Grid(None, (4,)), COSTS), Grid(None, (4,)))
    assert (simulation.bounded, simulation.tapes, simulation.snapshots) == (True, 1, 7)


def go_out(schedule, chunks):
    """Let the source give that many chunks."""
    action = next(schedule)
    for reached in range(1, chunks + 1):
        while not isinstance(action, Forward):
            action = next(schedule)
        action = schedule.send(reached)


def test_a_schedule_over_many_chunks_streams():
    peaks = []
    for chunks in (4_000, 16_000):
        tracemalloc.start()
        go_out(schedule_of(6), chunks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= peaks[0] + 2**20  # remembered values of E, of which there is a bounded number
    assert peaks[1] <= 4 * 2**20


@pytest.mark.parametrize(("options", "snapshots"), [("", 32), (",slots=3", 3), (",budget=900", 7), (",budget=899", 6)])
def test_slots_are_those_asked_for_or_those_that_fit(options, snapshots):
    costs = Costs(snapshot=100, tape=150, fixed=50)
    store = rf.store("checkpoint:policy=online" + options)
    grid = Grid(None, (1,))
    assert rf.simulate(store.schedule(grid, costs), grid).snapshots == snapshots


def test_a_budget_without_room_for_a_state_is_refused():
    store = rf.store("checkpoint:policy=online,budget=299")
    with pytest.raises(OptionError, match=r"does not fit into 299 B at .* is enough is 300 B \(budget=300\)"):
        next(store.schedule(Grid(None, (1,)), Costs(snapshot=100, tape=150, fixed=50)))


@pytest.mark.parametrize(("policy", "unknown"), [("uniform", False), ("revolve", False), ("online", True)])
def test_only_this_policy_can_do_without_a_length(policy, unknown):
    assert rf.store(f"checkpoint:policy={policy}").unknown_length is unknown
