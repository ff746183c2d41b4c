"""How long a chunk takes on this machine: measured in some tens of milliseconds, to predict a run's seconds."""

import itertools
import time
from collections.abc import Callable

import attrs
import numpy as np

from rnnframe.blas import one_thread
from rnnframe.contracts import Tapes
from rnnframe.network import Network
from rnnframe.plan import Plan

SECONDS = 0.05  # spent on each direction


@attrs.frozen
class ChunkTime:
    """Seconds that one chunk takes forward and in reverse, its head and loss included."""

    forward: float
    reverse: float


class Calibration:
    """Measures chunks of a network on random data, and remembers what it measured."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._forward: dict[tuple[int, int], float] = {}
        self._reverse: dict[tuple[int, int, Tapes], float] = {}

    def seconds(self, plan: Plan) -> float | None:
        """Return how long a plan will take; None where the length is not known."""
        if plan.grid.steps is None:
            return None
        chunk = self.chunk(plan.grid.longest, plan.batch, plan.store.tapes)
        per_step = chunk.forward * plan.simulation.forward_steps + chunk.reverse * plan.simulation.reverse_steps
        return per_step / plan.grid.longest

    def chunk(self, steps: int, batch: int, tapes: Tapes = "whole") -> ChunkTime:
        """Return the times of a chunk of that size; the reverse rebuilds what was not kept of the tape."""
        if (steps, batch, tapes) not in self._reverse:
            with one_thread():
                self._measure(steps, batch, tapes)
        return ChunkTime(self._forward[steps, batch], self._reverse[steps, batch, tapes])

    def _measure(self, steps: int, batch: int, kept: Tapes) -> None:
        network, rng = self.network, np.random.default_rng(0)
        x = rng.standard_normal((steps, batch, network.inputs)).astype(network.dtype)
        shape = (steps, batch) if network.head.target_dims == 1 else (steps, batch, network.head.width)
        y = network.head.targets(np.zeros(shape, np.int64), network.dtype)
        state, dstate = network.new_state(batch), network.new_state(batch)
        scratch, gradients = network.new_scratch(steps, batch), network.new_gradients()
        working = network.new_working(steps, batch, kept)
        # Four of them, so that a chunk's tape is not all in the cache.
        tapes = [network.new_tape(steps, batch, kept, working=working) for _ in range(4)]
        weights = network.weights
        for tape in tapes:
            network.forward(weights, x, state, tape, scratch)
        turn = itertools.cycle(tapes)
        if (steps, batch) not in self._forward:
            self._forward[steps, batch] = _usual(lambda: network.forward(weights, x, state, next(turn), scratch))
        self._reverse[steps, batch, kept] = _usual(
            lambda: network.reverse(weights, x, y, next(turn), dstate, gradients, scratch)
        )


def _usual(work: Callable[[], object]) -> float:
    """Return the seconds of the lower quartile: what else the machine does makes times longer, never shorter."""
    work()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 4 or time.perf_counter() - begun < SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.quantile(times, 0.25))
