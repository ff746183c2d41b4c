"""`plan`: what each store would hold and do for a cell, before anything is trained."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch

from rnnframe import Engine
from rnnframe.plugin import DataError, UsageError, human_bytes, render
from rnnframe_torch.cells import CellModel
from rnnframe_torch.measuring import measured_model
from rnnframe_torch.sources import Block, Tensors, batch_of
from rnnframe_torch.surroundings import draws_restored
from rnnframe_torch.tables import table
from rnnframe_torch.trees import Leaves, cut, detached, nbytes
from rnnframe_torch.values import State, Tape

STORES = ("full-history", "checkpoint", "checkpoint:policy=revolve")
TRUNCATING = ("circular-queue",)

TURNS = 3
"""How often a chunk is timed; the quickest counts, as other work makes times longer and never shorter."""


@attrs.frozen(kw_only=True)
class StorePlan:
    """What one store would hold and do.

    Parameters
    ----------
    store : str
        Its spec, with the options that it chose.
    chunk : int
        Steps of a chunk.
    nbytes : int or None
        Bytes of graphs, states and gradients at the peak; None where there is no bound.
    forward_steps : int
        Steps run forward, with those that are run again.
    seconds : float
        Predicted time of the forward and the backward pass.
    exact : bool
        Whether the gradient is that of the whole sequence.
    """

    store: str
    chunk: int
    nbytes: int | None
    forward_steps: int
    seconds: float
    exact: bool


@attrs.frozen
class Plans:
    """The plans of several stores for one cell; printed, they are a table.

    Parameters
    ----------
    rows : tuple of StorePlan
        One for each store.
    steps : int
        Length of the sequence.
    outside_bytes : int
        Bytes that come on top whatever the store: the outputs and their gradient, where the outputs are handed out.
    """

    rows: tuple[StorePlan, ...]
    steps: int
    outside_bytes: int

    def __str__(self) -> str:
        """Return the table, and below it what is not in it."""
        lines = table(
            ["store", "chunk", "bytes", "forward/T", "time", "gradient"],
            [
                [
                    row.store,
                    str(row.chunk),
                    human_bytes(row.nbytes),
                    f"{row.forward_steps / self.steps:.2f}",
                    f"{row.seconds:.3g} s",
                    "exact" if row.exact else "truncated",
                ]
                for row in self.rows
            ],
        )
        if self.outside_bytes:
            lines.append(f"outputs and their gradient come on top: {human_bytes(self.outside_bytes)}")
        return "\n".join(lines)


def plan(
    cell: Callable[..., Any],
    x: Any,
    state: Any,
    y: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    steps: int | None = None,
    stores: Sequence[str] = (),
    budget: str | int | None = None,
    chunk: int | None = None,
    whole_chunks: bool = False,
    extra: Sequence[torch.Tensor] = (),
) -> Plans:
    """Return what each store would hold, and how long a forward and a backward pass would take.

    Parameters
    ----------
    cell, x, state, chunk, whole_chunks, extra
        As `unroll` takes them. At least as many steps of x as a chunk has make a good prediction of the time.
    y, loss_fn
        As `unroll_loss` takes them; without them the outputs are handed out, as `unroll` does it.
    steps : int or None
        The length to plan for; by default that of x.
    stores : sequence of str
        Specs of stores; by default the usual ones.
    budget : str, int or None
        Bytes, such as "64MiB": also what store auto chooses within them.

    Returns
    -------
    Plans
        `print` shows them as a table.

    Raises
    ------
    UsageError
        For a cell that cannot be run again, and a store that truncates where there is no loss.
    DataError
        For a cell that returns something else.
    OptionError
        For an invalid store or budget.
    """
    if (y is None) != (loss_fn is None):
        raise UsageError("plan needs y and loss_fn together, as unroll_loss does; or neither, as unroll")
    model, leaves, start = measured_model(cell, loss_fn, x, state, y, whole_chunks, extra)
    batch = batch_of(leaves)
    length = Tensors(leaves, batch).steps if steps is None else steps
    if length is None or length < 1:
        raise DataError(f"steps={length!r} is invalid; expected a length of at least 1")
    model.source = Tensors(leaves, batch, y)
    specs = [*(stores or (*STORES, *(TRUNCATING if loss_fn is not None else ())))]
    specs += [] if budget is None else [f"auto:budget={budget}"]
    chunk_times = _ChunkTimes(model, detached(leaves), start, y)
    rows = []
    for spec in specs:
        made = Engine(_any(model), spec, chunk=chunk, shards=1).plan(length, batch)
        if loss_fn is None and not made.store.exact:
            raise UsageError(
                f"store {made.store.name!r} truncates: plan it with y and loss_fn, as unroll_loss takes them"
            )
        forward, graph, reverse = chunk_times.per_step(made.grid.longest)
        again = made.simulation.forward_steps - length
        seconds = again * forward + length * graph + made.simulation.reverse_steps * reverse
        rows.append(
            StorePlan(
                store=render(made.store),
                chunk=made.grid.longest,
                nbytes=made.predicted_bytes,
                forward_steps=made.simulation.forward_steps,
                seconds=seconds,
                exact=made.exact,
            )
        )
    outside = 0 if loss_fn is not None else 2 * length * nbytes(model.measured.outputs)
    return Plans(tuple(rows), length, outside)


def _any(model: Any) -> Any:
    return model


class _ChunkTimes:
    """Seconds of a step, from one chunk of the caller's own data for each length that is asked for."""

    def __init__(self, model: CellModel, x: Leaves, state: Leaves, y: Any) -> None:
        self._model, self._x, self._state, self._y = model, x, state, y
        self._known: dict[int, tuple[float, float, float]] = {}

    def per_step(self, steps: int) -> tuple[float, float, float]:
        """Return seconds of a step forward without a graph, forward with one, and back."""
        steps = min(steps, next(int(leaf.shape[0]) for leaf in self._x if isinstance(leaf, torch.Tensor)))
        if steps not in self._known:
            with draws_restored(self._model.devices), torch.inference_mode(False):
                turns = [self._once(steps) for _ in range(TURNS)]
            forward, graph, reverse = (min(column) / steps for column in zip(*turns, strict=True))
            self._known[steps] = forward, graph, reverse
        return self._known[steps]

    def _once(self, steps: int) -> tuple[float, float, float]:
        model, block = self._model, Block(0, steps, cut(self._x, 0, steps))
        times = [time.perf_counter()]
        for kept in (False, True):
            tape = Tape(kept=kept)
            model.forward(model.weights, block, State(list(self._state)), tape, model.new_scratch(steps, 1))
            times.append(time.perf_counter())
        slope = State([None] * len(self._state))
        model.reverse(model.weights, self._with_targets(block, tape), tape, slope, model.new_gradients(), None)
        times.append(time.perf_counter())
        forward, graph, reverse = (after - before for before, after in itertools.pairwise(times))
        return forward, graph, reverse

    def _with_targets(self, block: Block, tape: Tape) -> Block:
        dx = [torch.zeros_like(x) if wanted else None for x, wanted in zip(block.x, self._model.x_wanted, strict=True)]
        if self._y is None:
            dout = [torch.ones_like(leaf) if isinstance(leaf, torch.Tensor) else None for leaf in tape.outputs]
            return attrs.evolve(block, dout=dout, dx=dx)
        targets = Tensors(self._x, 1, self._y).with_targets(0, block, None, None)
        return attrs.evolve(targets, dx=dx)
