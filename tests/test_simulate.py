"""What the simulator refuses, and what it says."""

import inspect
from contextlib import nullcontext

import pytest

import rnnframe as rf
from rnnframe.errors import ScheduleError
from rnnframe.schedules import Drop, Forget, Forward, Grid, Load, Reverse, Save, Simulation, Update

WRONG = {
    "it reverses without a tape": (
        [Forward(0, 2, keep=False), Reverse(2, 0)],
        "action 2 of the schedule, Reverse(stop=2, start=0, losses_from=0, keep=False): "
        "the tape of chunk 1 is not the next in the ring",
    ),
    "it reverses what it has reversed": (
        [Forward(0, 2, keep=True), Reverse(2, 0), Reverse(2, 0)],
        "action 3 of the schedule, Reverse(stop=2, start=0, losses_from=0, keep=False): "
        "the tape of chunk 1 is not the next in the ring",
    ),
    "it reverses from the left": (
        [Forward(0, 2, keep=True), Reverse(1, 0), Reverse(2, 1)],
        "action 2 of the schedule, Reverse(stop=1, start=0, losses_from=0, keep=False): "
        "the tape of chunk 0 is not the next in the ring",
    ),
    "it reverses what it forgot": (
        [Forward(0, 2, keep=True), Forget(1), Reverse(2, 0, keep=True)],
        "action 3 of the schedule, Reverse(stop=2, start=0, losses_from=0, keep=True): "
        "the tape of chunk 0 is not the next in the ring",
    ),
    "it reverses nothing": (
        [Forward(0, 2, keep=True), Reverse(1, 1)],
        "action 2 of the schedule, Reverse(stop=1, start=1, losses_from=0, keep=False): the range is empty",
    ),
    "it reverses forwards": (
        [Forward(0, 2, keep=True), Reverse(0, 2)],
        "action 2 of the schedule, Reverse(stop=0, start=2, losses_from=0, keep=False): the range is empty",
    ),
    "it loads what it never saved": (
        [Save(0), Load(1)],
        "action 2 of the schedule, Load(slot=1): slot 1 holds nothing",
    ),
    "it loads what it dropped": (
        [Save(0), Drop(0), Load(0)],
        "action 3 of the schedule, Load(slot=0): slot 0 holds nothing",
    ),
    "it saves over a snapshot": (
        [Forward(0, 1, keep=False), Save(3), Forward(1, 2, keep=False), Save(3)],
        "action 4 of the schedule, Save(slot=3, far=False): slot 3 still holds the state before chunk 1",
    ),
    "it drops an empty slot": (
        [Drop(0)],
        "action 1 of the schedule, Drop(slot=0): slot 0 holds nothing",
    ),
    "it drops a slot twice": (
        [Save(0), Drop(0), Drop(0)],
        "action 3 of the schedule, Drop(slot=0): slot 0 holds nothing",
    ),
    "it begins where the state is not": (
        [Forward(1, 2, keep=True)],
        "action 1 of the schedule, Forward(start=1, stop=2, keep=True): the current state precedes chunk 0",
    ),
    "it goes back without loading": (
        [Forward(0, 2, keep=False), Forward(0, 2, keep=True)],
        "action 2 of the schedule, Forward(start=0, stop=2, keep=True): the current state precedes chunk 2",
    ),
    "it runs past the end": (
        [Forward(0, 3, keep=True)],
        "action 1 of the schedule, Forward(start=0, stop=3, keep=True): the sequence has 2 chunks",
    ),
    "it runs backwards": (
        [Forward(0, 2, keep=False), Forward(2, 1, keep=False)],
        "action 2 of the schedule, Forward(start=2, stop=1, keep=False): the sequence has 2 chunks",
    ),
    "it runs over a chunk whose tape waits": (
        [Save(0), Forward(0, 2, keep=True), Load(0), Forward(0, 1, keep=True)],
        "action 4 of the schedule, Forward(start=0, stop=1, keep=True): the ring already holds the tape of chunk 1",
    ),
    "it counts a loss twice": (
        [Forward(0, 2, keep=True), Reverse(2, 0, keep=True), Reverse(2, 1, keep=True)],
        "action 3 of the schedule, Reverse(stop=2, start=1, losses_from=0, keep=True): "
        "the losses of chunks [1, 2) count twice",
    ),
    "it counts the losses of a recomputed chunk again": (
        [Save(0), Forward(0, 2, keep=True), Reverse(2, 0), Load(0), Drop(0), Forward(0, 1, keep=True), Reverse(1, 0)],
        "action 7 of the schedule, Reverse(stop=1, start=0, losses_from=0, keep=False): "
        "the losses of chunks [0, 1) count twice",
    ),
    "it leaves losses out": (
        [Forward(0, 2, keep=True), Reverse(2, 0, losses_from=1)],
        "the schedule counts the losses of chunks [(1, 2)], not of all 2",
    ),
    "it stops before the end": (
        [Forward(0, 1, keep=True), Reverse(1, 0)],
        "the schedule counts the losses of chunks [(0, 1)], not of all 2",
    ),
    "it does nothing": (
        [],
        "the schedule counts the losses of chunks [], not of all 2",
    ),
    "it leaves a tape over": (
        [Forward(0, 2, keep=True), Reverse(2, 0, keep=True), Forget(1)],
        "the schedule ends with 1 tapes in the ring and slots [] in use",
    ),
    "it leaves snapshots over": (
        [Save(7), Forward(0, 2, keep=True), Save(3), Reverse(2, 0), Update()],
        "the schedule ends with 0 tapes in the ring and slots [3, 7] in use",
    ),
    "it yields what is no action": (
        ["forward"],
        "a schedule yields actions (Forward, Reverse, ...), not 'forward'",
    ),
}


@pytest.mark.parametrize(("actions", "message"), WRONG.values(), ids=WRONG)
def test_a_schedule_over_two_chunks_is_refused_where(actions, message):
    def schedule():
        for action in actions:
            _ = yield action  # a list that is yielded from could not take the executor's answer

    with pytest.raises(ScheduleError) as refusal:
        rf.simulate(schedule(), Grid(10, (5,)))
    assert str(refusal.value) == message


def test_the_first_wrong_action_is_the_one_that_is_reported():
    def schedule():
        yield Save(0)
        yield Load(1)
        yield Load(2)

    with pytest.raises(ScheduleError, match=r"^action 2 .*slot 1 holds nothing$"):
        rf.simulate(schedule(), Grid(10, (5,)))


@pytest.mark.parametrize(("grid", "refused"), [(Grid(10, (5,)), True), (Grid(None, (5,)), False)])
def test_a_schedule_that_is_followed_no_further_is_closed(grid, refused):
    def passing():
        chunk = 0
        while True:
            yield Forward(chunk, chunk + 1, keep=False)
            chunk += 1

    schedule = passing()
    with pytest.raises(ScheduleError) if refused else nullcontext():
        rf.simulate(schedule, grid)
    assert inspect.getgeneratorstate(schedule) == inspect.GEN_CLOSED


def test_a_generator_is_told_where_its_forward_ended_and_nothing_after_other_actions():
    answers = []

    def schedule():
        answers.append((yield Forward(0, None, keep=True)))
        answers.append((yield Reverse(3, 0)))
        answers.append((yield Update()))

    rf.simulate(schedule(), Grid(11, (4,)))
    assert answers == [3, None, None]


def test_peaks_and_totals_by_hand():
    # given three chunks of 4, 4 and 2 steps; the first two are run once more for their tapes
    def schedule():
        yield Save(0)
        yield Forward(0, 2, keep=False)
        yield Forward(2, 3, keep=True)
        yield Reverse(3, 2)
        yield Load(0)
        yield Forward(0, 2, keep=True)
        yield Reverse(2, 0)
        yield Drop(0)
        yield Update()

    assert rf.simulate(schedule(), Grid(10, (4,))) == Simulation(
        peaks=((2, 1),),
        far_snapshots=0,
        versions=0,
        forward_chunks=5,
        forward_steps=18,
        reverse_chunks=3,
        reverse_steps=10,
        updates=1,
        actions=9,
    )


def test_the_tape_of_a_chunk_that_is_only_passed_counts_while_others_wait():
    def schedule():
        yield Forward(0, 1, keep=True)
        yield Save(0)
        yield Forward(1, 2, keep=False)
        yield Reverse(1, 0)
        yield Load(0)
        yield Drop(0)
        yield Forward(1, 2, keep=True)
        yield Reverse(2, 1)

    assert rf.simulate(schedule(), Grid(10, (5,))).tapes == 2


def test_an_endless_run_that_keeps_nothing_is_bounded_and_one_that_keeps_all_is_not():
    def endless(keep):
        yield Forward(0, None, keep=keep)

    assert not rf.simulate(endless(True), Grid(None, (5,))).bounded
    assert rf.simulate(endless(False), Grid(None, (5,))).bounded


def test_an_endless_schedule_that_keeps_ever_more_snapshots_is_unbounded():
    def hoard():
        chunk = 0
        while True:
            yield Save(chunk)
            yield Forward(chunk, chunk + 1, keep=False)
            chunk += 1

    assert not rf.simulate(hoard(), Grid(None, (1,))).bounded
