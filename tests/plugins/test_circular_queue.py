from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreter import follow, lengths

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.plugin import Costs
from rnnframe.schedules import Forget, Forward, Grid, Reverse, Update
from rnnframe_circular_queue import CircularQueue

COSTS = Costs(snapshot=1, tape=1)


@st.composite
def queues(draw):
    k1 = draw(st.integers(1, 30))
    return CircularQueue(k1=k1, k2=k1 + draw(st.integers(0, 60)), weights=draw(st.sampled_from(["current", "stored"])))


CHUNKS = st.integers(1, 40)


@given(queues(), st.integers(1, 200), CHUNKS)
def test_every_window_begins_k2_steps_before_its_end_and_counts_the_newest_k1_losses(queue, steps, chunk):
    grid = queue.grid(steps, min(chunk, steps))
    sweeps = [a for a in follow(queue.schedule(grid, COSTS), lengths(grid)).actions if isinstance(a, Reverse)]
    assert [
        (grid.span(sweep.start)[0], grid.span(sweep.losses_from)[0], grid.span(sweep.stop - 1)[1]) for sweep in sweeps
    ] == [(max(0, t + queue.k1 - queue.k2), t, min(t + queue.k1, steps)) for t in range(0, steps, queue.k1)]


@given(queues(), st.integers(1, 200), CHUNKS)
def test_the_ring_never_holds_more_than_k2_steps_and_every_k1_steps_may_update(queue, steps, chunk):
    grid = queue.grid(steps, min(chunk, steps))
    seen = follow(queue.schedule(grid, COSTS), lengths(grid))
    assert seen.most_steps_of_tape <= queue.k2
    assert seen.updates == ceil(steps / queue.k1)
    assert set(seen.forwards.values()) == {1}
    assert seen.most_snapshots == 0


@given(st.integers(1, 200), st.integers(0, 60), st.integers(0, 60), CHUNKS)
def test_a_queue_whose_first_window_covers_the_sequence_is_full_history(steps, k1_beyond, k2_beyond, chunk):
    queue = CircularQueue(k1=steps + k1_beyond, k2=steps + k1_beyond + k2_beyond)
    grid = queue.grid(steps, min(chunk, steps))
    seen = follow(queue.schedule(grid, COSTS), lengths(grid))
    assert seen.reversals == list(reversed(range(len(lengths(grid)))))
    assert lengths(grid) == lengths(rf.store("full-history").grid(steps, min(chunk, steps)))


@given(queues(), CHUNKS)
def test_an_endless_source_needs_no_more_than_a_source_of_many_windows(queue, chunk):
    grid = queue.grid(None, chunk)
    windows = 2 * ceil(queue.k2 / queue.k1) + 3
    enough = lengths(grid, windows * len(grid.pattern))

    seen = follow(queue.schedule(grid, COSTS), enough, stored_weights=queue.stores_weights)
    endless = rf.simulate(queue.schedule(grid, COSTS), grid, stored_weights=queue.stores_weights)

    assert endless.bounded
    assert endless.tapes == seen.most_tapes
    assert endless.versions == seen.most_versions
    assert endless.snapshots == 0


@given(queues(), CHUNKS, st.integers(1, 60))
def test_a_source_that_ends_inside_a_window_still_has_its_losses_reversed_and_its_update(queue, chunk, chunks):
    grid = queue.grid(None, chunk)
    length = lengths(grid, chunks)

    seen = follow(queue.schedule(grid, COSTS), length)  # asserts that each loss counts once and nothing is left

    assert seen.updates == ceil(sum(length) / queue.k1)
    order = [type(action) for action in seen.actions if isinstance(action, Reverse | Update)]
    assert order == [Reverse, Update] * seen.updates
    assert seen.most_steps_of_tape <= queue.k2


def test_windows_by_hand():
    # given windows of 5 steps of which 2 are new, over 7 steps
    queue = CircularQueue(k1=2, k2=5)
    grid = queue.grid(7, 2)
    # then windows end at 2, 4, 6, 7 and begin at 0, 0, 1, 3: chunks of two steps would miss 1 and 3
    assert grid == Grid(7, (1, 1))
    seen = follow(queue.schedule(grid, COSTS), [1] * 7)
    assert [action for action in seen.actions if not isinstance(action, Forget)] == [
        Forward(0, 2, keep=True),
        Reverse(2, 0, losses_from=0, keep=True),
        Update(),
        Forward(2, 4, keep=True),
        Reverse(4, 0, losses_from=2, keep=True),
        Update(),
        Forward(4, 6, keep=True),
        Reverse(6, 1, losses_from=4, keep=True),
        Update(),
        Forward(6, 7, keep=True),
        Reverse(7, 3, losses_from=6, keep=True),
        Update(),
    ]


def test_windows_are_cut_at_their_starts_only_where_one_begins_after_the_first_step():
    # given k1=4 and k2=10: the first window that does not reach back to the start is that of step 8, from step 2 on
    queue = CircularQueue(k1=4, k2=10)
    assert lengths(queue.grid(8, 4)) == [4, 4]
    assert lengths(queue.grid(9, 4)) == [2, 2, 2, 2, 1]


@pytest.mark.parametrize(
    ("k2", "weights", "versions"), [(20, "current", 0), (20, "stored", 3), (5, "stored", 0), (7, "stored", 1)]
)
def test_old_weights_are_kept_only_where_asked_for_and_a_tape_waits_to_be_reversed_again(k2, weights, versions):
    # k2=20: of a window's four tapes three are reversed again after the update, each with the weights of its time
    queue = CircularQueue(k1=5, k2=k2, weights=weights)
    grid = queue.grid(100, 5)
    assert rf.simulate(queue.schedule(grid, COSTS), grid, stored_weights=queue.stores_weights).versions == versions


def test_a_queue_shorter_than_what_is_new_is_refused_because_losses_would_be_lost():
    with pytest.raises(OptionError, match="'k2' must be >= k1=8, or 3 of every 8 losses are lost: 5"):
        rf.store("circular-queue:k1=8,k2=5")
