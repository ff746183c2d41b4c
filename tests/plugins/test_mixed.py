"""Mixed checkpoints beside the optimum: a dynamic program written here, and another package's counts."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.plugin import Costs
from rnnframe.schedules import Grid, Save, Simulation
from rnnframe_checkpoint.mixed import Runs

MOST = 200
ROOMS = 1600


def simulated(chunks: int, room: int, alpha: int) -> Simulation:
    store, grid = rf.store(f"checkpoint:policy=mixed,slots={room}"), Grid(chunks, (1,))
    return rf.simulate(store.schedule(grid, Costs(snapshot=1, tape=alpha)), grid)


@cache
def published(alpha: int) -> np.ndarray:
    """Return C[t, m]: the fewest forward runs over t chunks in a room for m states, the first one included.

    C(t, m) = min( min_y y + C(y, m) + C(t-y, m-1), min_y y + C(y-1, m) + C(t-y, m-alpha) ): Gruslys et al. (2016), the
    internal and the hidden state mixed, by bytes. Written over whole rows of m; the schedule knows nothing of it.
    """
    C = np.full((MOST + 1, ROOMS + 1), 10**6)
    C[0] = 0
    C[1, 1:] = 1
    for t in range(2, MOST + 1):
        best = np.full(ROOMS + 1, 10**6)
        best[1:] = t * (t + 1) // 2
        for y in range(1, t):
            best[2:] = np.minimum(best[2:], y + C[y, 2:] + C[t - y, 1:-1])
            best[alpha + 1 :] = np.minimum(
                best[alpha + 1 :], y + C[y - 1, alpha + 1 :] + C[t - y, 1 : ROOMS + 1 - alpha]
            )
        C[t] = best
    return C


@pytest.mark.parametrize("alpha", [1, 3, 8])
def test_no_more_runs_than_the_optimum(alpha):
    compare_with_the_optimum(alpha, [*range(1, 10), 25, 57, 111, 200], [1, 2, 3, 5, 9, 14, 29, 77, 199, 800])


@pytest.mark.slow
@pytest.mark.parametrize("alpha", range(1, 9))
def test_no_more_runs_than_the_optimum_for_any_number_of_chunks_up_to_200(alpha, monkeypatch):
    # One table for each room serves all numbers of chunks: the decisions are the same, and made in minutes.
    table = cache(lambda alpha, room: Runs(alpha, room, MOST))
    monkeypatch.setattr("rnnframe_checkpoint.mixed.runs_of", lambda alpha, room, chunks: table(alpha, room))
    compare_with_the_optimum(alpha, range(1, MOST + 1), [*range(1, 12), 16, 23, 32, 51, 81, 106, 199, 500, ROOMS])


def compare_with_the_optimum(alpha, numbers, rooms):
    optimum = published(alpha)
    for chunks, room in product(numbers, rooms):
        runs = simulated(chunks, room, alpha).forward_chunks
        assert runs <= 1.02 * optimum[chunks, room], (chunks, room)


@given(st.integers(1, 2000), st.integers(1, 400), st.integers(1, 60))
def test_the_room_is_never_exceeded_and_no_state_takes_room_from_a_tape_needlessly(chunks, room, alpha):
    simulation = simulated(chunks, room, alpha)
    assert max((tapes - 1) * alpha + states for tapes, states in simulation.peaks) <= room
    if (chunks - 1) * alpha <= room:
        assert simulation.forward_chunks == chunks
        assert simulation.snapshots == 0


@given(st.integers(2, 200), st.integers(1, 20))
def test_with_room_for_half_of_the_tapes_half_of_the_chunks_are_not_run_again(chunks, alpha):
    half = chunks // 2
    assert simulated(chunks, half * alpha + 1, alpha).forward_chunks <= 1.02 * (2 * chunks - half)


@pytest.mark.parametrize("alpha", [1, 3, 8, 49])
def test_more_chunks_than_the_table_holds_are_near_the_bound_that_no_schedule_can_beat(alpha):
    """A chunk is run k times only where those run fewer times are as many as can be: Σ_k max(0, n - N_k)."""
    for chunks, room in product([300, 1000, 5000], [10, 50, 200, 1000]):
        reach, bound = [0] * room, 0
        while reach[-1] < chunks:
            bound += chunks - reach[-1]
            wider: list[int] = []
            for m in range(room):  # beside the state at the start
                first = m // alpha + 1
                state, tape = wider[m - 1] if m else 0, 1 + wider[m - alpha] if m >= alpha else 0
                wider.append(min(chunks, reach[m] + max(state, tape, first)))
            reach = wider
        assert simulated(chunks, room, alpha).forward_chunks <= 1.06 * bound


def test_without_room_for_a_tape_mixed_is_revolve():
    for chunks, slots in product([10, 100, 1000], [1, 3, 10]):
        grid, costs = Grid(chunks, (1,)), Costs(snapshot=1, tape=50)
        revolve = rf.store(f"checkpoint:policy=revolve,slots={slots}").schedule(grid, costs)
        assert simulated(chunks, slots, 50).forward_chunks == rf.simulate(revolve, grid).forward_chunks


@pytest.mark.parametrize("alpha", [2, 3, 5, 8, 16])
def test_with_room_for_few_tapes_mixed_is_about_as_good_as_revolve(alpha):
    for chunks, room in product([300, 3000], [alpha + 1, 2 * alpha, 3 * alpha + 1]):
        grid, costs = Grid(chunks, (1,)), Costs(snapshot=1, tape=alpha)
        revolve = rf.store(f"checkpoint:policy=revolve,slots={room}").schedule(grid, costs)
        assert simulated(chunks, room, alpha).forward_chunks <= 1.04 * rf.simulate(revolve, grid).forward_chunks


def test_a_million_chunks_start_at_once_and_stream():
    schedule = rf.store("checkpoint:policy=mixed,slots=100").schedule(Grid(10**6, (1,)), Costs(snapshot=1, tape=49))
    assert next(schedule) == Save(0)
    deepest = max(len(schedule.gi_frame.f_locals["points"]) for _, _ in zip(range(5000), schedule, strict=False))
    assert deepest <= 100


@pytest.mark.filterwarnings("ignore:Numba not available:RuntimeWarning")
@pytest.mark.parametrize(("chunks", "slots"), [(10, 2), (50, 4), (100, 3), (173, 9), (200, 12)])
def test_counts_agree_with_the_package_checkpoint_schedules(chunks, slots):
    """Its Revolve counts the same runs. Its mixed schedule has no state in its tapes, so ours needs no more."""
    package = pytest.importorskip("checkpoint_schedules")

    def runs(schedule) -> int:
        total = 0
        for action in schedule:
            if isinstance(action, package.Forward):
                total += min(action.args[1], chunks) - action.args[0]
            elif isinstance(action, package.EndForward):
                schedule.finalize(chunks)
        return total

    store, grid = rf.store(f"checkpoint:policy=revolve,slots={slots}"), Grid(chunks, (1,))
    ours = rf.simulate(store.schedule(grid, Costs(snapshot=1, tape=1)), grid).forward_chunks
    assert runs(package.MultistageCheckpointSchedule(chunks, slots, 0)) == ours
    with np.errstate(all="ignore"):
        theirs = package.MixedCheckpointSchedule(chunks, slots, storage=package.StorageType.RAM)
    assert simulated(chunks, slots, 1).forward_chunks <= runs(theirs)
