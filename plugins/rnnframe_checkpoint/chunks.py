"""The default chunk length of a checkpointing store.

A state can only be saved between chunks, so a sequence of one chunk or two leaves nothing to save. Halving the chunks
of a sequence that has few frees up to half of the bytes; in a long one it frees nearly nothing, since equal segments
then hold as many steps as before. The network says below which length chunks would become slow (`Problem.least_chunk`).
"""

from rnnframe.plugin import OptionError, Problem, StateStore

WORTH = 0.75
"""The share of the bytes that twice as many chunks may still hold: they are not made for less than a quarter."""


def worthwhile(store: StateStore, problem: Problem) -> int:
    """Return the usual chunk length, halved for as long as that frees a quarter of the bytes and costs little time."""
    best = problem.default_chunk
    held = _held(store, problem, best)
    for length in problem.shorter_chunks:
        fewer = _held(store, problem, length)
        if fewer > WORTH * held:
            break
        best, held = length, fewer
    return best


def longest_within(store: StateStore, problem: Problem) -> int:
    """Return the usual chunk length, halved until the store's schedule keeps to its budget.

    Raises `OptionError` where it does not with chunks of one step.
    """
    length = problem.default_chunk
    while length > 1:
        try:
            problem.simulated(store, length)
        except OptionError:
            length = -(-length // 2)
        else:
            break
    return length


def _held(store: StateStore, problem: Problem, length: int) -> int:
    simulation, costs = problem.simulated(store, length)
    return costs.held(simulation)
