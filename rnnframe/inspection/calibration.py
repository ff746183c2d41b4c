"""The time of a chunk on this machine: measured in some tens of milliseconds, to predict the seconds of a run."""

import itertools
import time
from collections.abc import Callable

import attrs
import numpy as np

from rnnframe.contracts.layer import TapeRetention
from rnnframe.data.pieces import Block
from rnnframe.engine.blas import one_thread
from rnnframe.engine.plan import Plan
from rnnframe.engine.threads import ShardThreads
from rnnframe.network.network import Network

SECONDS = 0.05  # spent on each direction


@attrs.frozen
class ChunkTime:
    """The seconds of one chunk forward and in reverse, including its head and loss."""

    forward: float
    reverse: float


class Calibration:
    """Measures chunks of a network on random data, in as many threads as shards, and keeps the results."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._forward: dict[tuple[int, int, int], float] = {}
        self._reverse: dict[tuple[int, int, int, TapeRetention], float] = {}

    def seconds(self, plan: Plan) -> float | None:
        """Return the predicted seconds of a plan; None if its length is unknown."""
        if plan.grid.steps is None:
            return None
        chunk = self.chunk(plan.grid.longest, plan.batch, plan.costs.shards, plan.store.tape_retention)
        per_step = chunk.forward * plan.simulation.forward_steps + chunk.reverse * plan.simulation.reverse_steps
        return per_step / plan.grid.longest

    def chunk(self, steps: int, batch: int, shards: int = 1, retention: TapeRetention = "whole") -> ChunkTime:
        """Return the times of a chunk in each of several threads; the reverse rebuilds the arrays that are not kept.

        `batch` is the number of samples of one shard.
        """
        size = steps, batch, shards
        if (*size, retention) not in self._reverse:
            chunks = [_Chunk(self.network, steps, batch, retention) for _ in range(shards)]
            with one_thread():
                if size not in self._forward:
                    self._forward[size] = _slowest([chunk.forward for chunk in chunks])
                self._reverse[*size, retention] = _slowest([chunk.reverse for chunk in chunks])
        return ChunkTime(self._forward[size], self._reverse[*size, retention])


class _Chunk:
    """One chunk of random data of one shard, which can be run repeatedly."""

    def __init__(self, network: Network, steps: int, batch: int, kept: TapeRetention) -> None:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((steps, batch, network.inputs)).astype(network.dtype)
        loss = None if network.head is None else network.head.loss
        y = None
        if loss is not None:
            width = () if loss.target_width is None else (loss.target_width,)
            y = loss.targets(np.zeros((steps, batch, *width), np.int64), network.dtype)
        block = Block.whole(x, y)
        state, dstate = network.new_state(batch), network.new_state(batch)
        scratch, gradients = network.new_scratch(steps, batch), network.new_gradients()
        made = network.new_tapes(steps, batch, kept)
        # Four of them, so that a chunk's tape is not all in the cache.
        tapes = [made.make() for _ in range(4)]
        weights, turn = network.weights, itertools.cycle(tapes)
        for tape in tapes:
            network.forward(weights, block, state, tape, scratch)
        self.forward = lambda: network.forward(weights, block, state, next(turn), scratch)
        self.reverse = lambda: network.reverse(weights, block, next(turn), dstate, gradients, scratch)


def _slowest(works: list[Callable[[], object]]) -> float:
    """Return the usual seconds of the slowest of these, each in its own thread."""
    times = [0.0 for _ in works]

    def time_one(n: int, barrier: Callable[[], None], check: Callable[[], None]) -> None:
        barrier()
        times[n] = _usual(works[n])

    ShardThreads().run(time_one, len(works), on_barrier=lambda: None)
    return max(times)


def _usual(work: Callable[[], object]) -> float:
    """Return the seconds of the lower quartile: other work on the machine makes times longer, never shorter."""
    work()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 4 or time.perf_counter() - begun < SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.quantile(times, 0.25))
