from functools import cache
from math import ceil, comb, isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.plugin import Costs
from rnnframe.schedules import Simulation

COSTS = Costs(snapshot=1, tape=1)


def simulated(policy: str, chunks: int, slots: int | str, costs: Costs = COSTS) -> Simulation:
    store = rf.store(f"checkpoint:policy={policy},slots={slots}")
    grid = store.grid(chunks, 1)
    return rf.simulate(store.schedule(grid, costs), grid)


def fewest(chunks: int, slots: int) -> int:
    """Griewank & Walther (2000), proposition 1."""
    t = 0
    while comb(slots + t, t) < chunks:
        t += 1
    return t * chunks - (comb(slots + t, t - 1) if t else 0)


@cache
def searched(chunks: int, slots: int) -> int:
    """The fewest recomputations found by trying every place for the next snapshot."""
    if chunks == 1:
        return 0
    if slots == 1:
        return chunks * (chunks - 1) // 2
    return min(ahead + searched(ahead, slots) + searched(chunks - ahead, slots - 1) for ahead in range(1, chunks))


@pytest.mark.parametrize("slots", range(1, 13))
def test_revolve_recomputes_no_more_than_the_best_of_all_placements(slots):
    for chunks in range(1, 61):
        recomputed = simulated("revolve", chunks, slots).forward_chunks - chunks
        assert recomputed == searched(chunks, slots)
        assert recomputed == fewest(chunks, slots)


def test_revolve_keeps_to_the_closed_form_over_a_hundred_thousand_chunks():
    simulation = simulated("revolve", 100_000, 30)
    assert simulation.forward_chunks - 100_000 == fewest(100_000, 30)
    assert (simulation.tapes, simulation.snapshots) == (1, 30)


@given(st.integers(1, 300), st.integers(1, 40))
def test_uniform_holds_the_tapes_of_one_segment_and_runs_all_but_the_last_twice(chunks, slots):
    simulation = simulated("uniform", chunks, slots)
    assert simulation.tapes == ceil(chunks / (slots + 1))
    assert simulation.snapshots == min(slots, chunks - 1)
    assert simulation.forward_chunks <= 2 * chunks - chunks // (slots + 1)


@given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 50))
def test_uniform_left_to_itself_takes_the_slots_that_need_the_least_memory(chunks, snapshot, tape):
    simulation = simulated("uniform", chunks, "none", Costs(snapshot=snapshot, tape=tape))
    least = min(slots * snapshot + ceil(chunks / (slots + 1)) * tape for slots in range(chunks))
    assert simulation.snapshots * snapshot + simulation.tapes * tape == least


@pytest.mark.parametrize("chunks", [1, 2, 10, 99, 100])
def test_revolve_left_to_itself_takes_the_square_root_of_the_chunks(chunks):
    assert simulated("revolve", chunks, "none").snapshots == isqrt(chunks)


@pytest.mark.parametrize(("policy", "most"), [("uniform", 1), ("revolve", 2)])
def test_more_slots_than_chunks_are_not_used(policy, most):
    # given two chunks: uniform saves before the first of two segments; revolve also keeps the start of the second
    assert simulated(policy, 2, 50).snapshots == most
