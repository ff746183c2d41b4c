"""The time of a chunk, and of a state's way to a medium and back, on this machine: to predict the seconds of a run.

Each is measured once, in some tens of milliseconds, or in a few repetitions where one takes longer.
"""

import functools
import itertools
import time
from collections.abc import Callable

import attrs
import numpy as np

from rnnframe.contracts.medium import Medium, SnapshotLayout
from rnnframe.contracts.retention import StoredTapes
from rnnframe.data.held import HeldSteps, Links
from rnnframe.data.pieces import Block
from rnnframe.engine.blas import one_thread
from rnnframe.engine.plan import Plan
from rnnframe.engine.stages import parts_of
from rnnframe.engine.team import Signals
from rnnframe.engine.threads import ShardThreads
from rnnframe.network.network import Network

SECONDS = 0.05  # spent on each direction


@attrs.frozen
class ChunkTime:
    """The seconds of one chunk forward and in reverse, including its head and loss.

    `below` are those of forward alone through all stages but the last, which a network of stages runs once more.
    """

    forward: float
    reverse: float
    below: float = 0.0


@attrs.frozen
class TransferTime:
    """The seconds of saving a state in a medium, and of loading one from there."""

    save: float
    load: float


class Calibration:
    """Measures chunks of a network on random data, in as many threads as shards, and keeps the results.

    The media of stores, whoever provides them, are measured in the same way with states of the network.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._forward: dict[tuple[int, int, int, bool], tuple[float, float]] = {}
        self._reverse: dict[tuple[int, int, int, StoredTapes], float] = {}
        self._transfers: dict[tuple[Medium, int, int], TransferTime] = {}

    def seconds(self, plan: Plan) -> float | None:
        """Return the predicted seconds of a plan; None if its length is unknown."""
        if plan.grid.steps is None:
            return None
        chunk = self.chunk(plan.grid.longest, plan.batch, plan.costs.shards, plan.store.tape_retention)
        per_step = chunk.forward * plan.simulation.forward_steps + chunk.reverse * plan.simulation.reverse_steps
        once_more = chunk.below * plan.grid.steps
        return (per_step + once_more) / plan.grid.longest + self._transfer_seconds(plan)

    def _transfer_seconds(self, plan: Plan) -> float:
        """Return the seconds of all ways to the store's medium and back."""
        done, medium = plan.simulation, plan.store.medium
        if medium is None or not done.far_saves:
            return 0.0
        each = self.transfer(medium, plan.batch, plan.costs.shards)
        return each.save * done.far_saves + each.load * done.far_loads

    def transfer(self, medium: Medium, batch: int, shards: int = 1) -> TransferTime:
        """Return the times of a state in a medium, in each of several threads; raises `OptionError` without room."""
        key = medium, batch, shards
        if key not in self._transfers:
            with self.network.registry.blame("medium", type(medium)):
                places = [_Place(self.network, medium, batch) for _ in range(shards)]
                saved = _slowest([place.save for place in places])
                self._transfers[key] = TransferTime(saved, _slowest([place.load for place in places]))
        return self._transfers[key]

    def chunk(self, steps: int, batch: int, shards: int = 1, retention: StoredTapes = "whole") -> ChunkTime:
        """Return the times of a chunk in each of several threads; the reverse rebuilds the arrays that are not kept.

        `batch` is the number of samples of one shard.
        """
        size, forward_as = (steps, batch, shards), (steps, batch, shards, retention == "bfloat16")
        if (*size, retention) not in self._reverse:
            parts = parts_of(self.network)
            chunks = [[_Chunk(part, steps, batch, retention) for _ in range(shards)] for part in parts]
            with one_thread():
                if forward_as not in self._forward:
                    times = [_slowest([chunk.forward for chunk in part]) for part in chunks]
                    self._forward[forward_as] = sum(times), sum(times[:-1])
                self._reverse[*size, retention] = sum(_slowest([chunk.reverse for chunk in part]) for part in chunks)
        forward, below = self._forward[forward_as]
        return ChunkTime(forward, self._reverse[*size, retention], below)


class _Chunk:
    """One chunk of random data of one shard, which can be run repeatedly."""

    def __init__(self, network: Network, steps: int, batch: int, kept: StoredTapes) -> None:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((steps, batch, network.inputs)).astype(network.dtype)
        loss = network.data_format.targets
        y = None
        if loss is not None:
            width = () if loss.target_width is None else (loss.target_width,)
            y = loss.targets(np.zeros((steps, batch, *width), np.int64), network.dtype)
        block = Block.whole(x, y)
        if network.reads_stage:
            below = HeldSteps(np.zeros_like(x), np.full(batch, steps), both_ways=False)
            network = network.linked(Links(below=below))
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


class _Place:
    """A few slots of a medium, which random states of one shard are written to and read from in turn."""

    def __init__(self, network: Network, medium: Medium, batch: int) -> None:
        state = network.new_state(batch)
        state.flat[...] = np.random.default_rng(0).standard_normal(state.flat.size)
        slots = range(4)
        self._open = medium.open(
            SnapshotLayout(
                slots=len(slots), state_bytes=state.nbytes, new_state=functools.partial(network.new_state, batch)
            )
        )
        for slot in slots:
            self._open.save(slot, state)
        self._state, self._written, self._read = state, itertools.cycle(slots), itertools.cycle(reversed(slots))

    def save(self) -> None:
        """Save in a slot that was dropped, as a schedule does."""
        slot = next(self._written)
        self._open.drop(slot)
        self._open.save(slot, self._state)

    def load(self) -> None:
        """Load the next of the slots, the newest first, as a schedule does."""
        self._open.load(next(self._read), self._state)


def _slowest(works: list[Callable[[], object]]) -> float:
    """Return the usual seconds of the slowest of these, each in its own thread."""
    times = [0.0 for _ in works]

    def time_one(n: int, signals: Signals) -> None:
        signals.barrier()
        times[n] = usual_seconds(works[n])

    ShardThreads().run(time_one, len(works), on_barrier=lambda: None)
    return max(times)


def usual_seconds(work: Callable[[], object]) -> float:
    """Return the seconds of the lower quartile: other work on the machine makes times longer, never shorter."""
    work()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 4 or time.perf_counter() - begun < SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.quantile(times, 0.25))
