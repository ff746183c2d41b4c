"""The loop: the one place where gradients are accumulated.

It knows neither what a strategy is for nor what a state or a tape looks like: a store's schedule says what to do, the
model makes the buffers and works on them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnframe.contracts.model import ChunkModel
from rnnframe.data.source import Reader
from rnnframe.engine.memory import Memory
from rnnframe.engine.totals import ShardTotals
from rnnframe.schedules import Action, Drop, Forget, Forward, Load, Reverse, Save, Schedule, Update


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite ends the run: one error says it
def execute(
    schedule: Schedule,
    reader: Reader,
    model: ChunkModel[Any, Any, Any],
    memory: Memory,
    totals: ShardTotals,
    update: Callable[[], None],
) -> None:
    """Execute a schedule over the chunks that a reader hands out: THE loop."""
    weights, ring, states = model.weights, memory.ring, memory.states
    state, dstate, gradients, scratch = memory.state, memory.dstate, memory.gradients, memory.scratch
    ended_at: int | None = None  # the chunk at which the last Reverse ended
    reached: int | None = None
    while (action := _next(schedule, reached)) is not None:
        reached = None
        match action:
            case Forward(start, stop, keep=keep):
                reached = start
                for block in reader.blocks(start, stop):  # fewer where the source ends before
                    model.forward(weights, block, state, ring.tape(reached, block, weights, keep=keep), scratch)
                    totals.ran(reached, block.steps)
                    reached += 1
                if reached == totals.chunks:  # as far as anyone has been: perhaps after the last step
                    memory.final.copy_from(state)
            case Reverse(stop, start, losses_from=first, keep=keep):
                if stop != ended_at:
                    memory.start_dstate(at_end=stop == reader.grid.chunks)
                for depth, chunk in enumerate(range(stop - 1, start - 1, -1)):
                    taped = ring.from_right(depth if keep else 0)
                    block = reader.again(chunk, taped.block, losses=chunk >= first)
                    loss = model.reverse(taped.weights, block, taped.tape, dstate, gradients, scratch)
                    totals.reversed(block.steps, loss, block.count)
                    if not keep:
                        ring.pop()
                        reader.release(chunk)
                    del taped  # a tape that was released is freed before the next one is made
                ended_at = start
            case Forget(before):
                for chunk in ring.forget(before):
                    reader.release(chunk)
            case Save(slot, far=far):
                states.save(slot, state, far)
            case Load(slot):
                if slot is None:
                    model.resume(ring.from_right(0).tape, state)
                else:
                    states.load(slot, state)
            case Drop(slot):
                states.drop(slot)
            case Update():
                update()


def _next(schedule: Schedule, reached: int | None) -> Action | None:
    """Answer the last action with the chunk that it reached, and return the next one; None at the end."""
    try:
        return schedule.send(reached)
    except StopIteration:
        return None
