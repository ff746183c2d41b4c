"""A PyTorch cell as a `ChunkModel`: what the loop of rnnframe runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _pytree as pytree

from rnnframe.plugin import DataError, OptionError, UsageError
from rnnframe_torch.needs import ChunkBytes, Measured
from rnnframe_torch.runner import Runner
from rnnframe_torch.sources import Block
from rnnframe_torch.surroundings import Autocast, Modes, denormals_flushed, devices_of, draw_from, draws_now
from rnnframe_torch.trees import Leaves, describe, detached, form, is_float, names, nbytes, version, wants
from rnnframe_torch.values import Gradients, Parameters, State, Tape, Tapes


class Sums:
    """What the state after each chunk added up to, by its first step: a replay must agree."""

    nbytes = 0

    def __init__(self) -> None:
        self.by_start: dict[int, float] = {}


class CellModel:
    """A cell, with or without a loss, for one run.

    Parameters
    ----------
    cell, loss : callables
        What is run; loss is None where the outputs are handed out.
    x, state : pytrees
        As the caller gave them: only their form is read.
    whole_chunks : bool
        Whether the cell takes chunks rather than steps.
    extra : sequence of Tensor
        Trained tensors that are in no module.
    """

    kernels, recurrent_work, buffers_key, registry = ("torch",), 1, None, None

    def __init__(self, cell: Any, loss: Any, x: Any, state: Any, whole_chunks: bool, extra: Sequence[Any]) -> None:
        self.runner = Runner(cell, loss, whole_chunks)
        self.modes = Modes(self.runner)
        self.grad_enabled = torch.is_grad_enabled()
        parameters = self.runner.parameters_by_name()
        self.extra = [tensor for tensor in extra if tensor.requires_grad]
        self.trained = [each for each in self.runner.parameters() if each.requires_grad] + self.extra
        self.weights = Parameters(parameters)
        x_leaves, self.x_form = pytree.tree_flatten(x)
        leaves, self.state_form = pytree.tree_flatten(state)
        self.state_names = names(state, "state")
        self.x_names, self.x_wanted = names(x, "x"), [wants(leaf) for leaf in x_leaves]
        self.template = detached(leaves)
        self.devices = devices_of([*x_leaves, *leaves, *self.trained])
        self.autocast = Autocast(self.devices)
        self.measured = Measured()
        self.source: Any = None
        self.goes_back = True
        """Whether gradients are asked for; without them a tape holds the outputs of its chunk, for the loss."""

    # what the plan asks for

    def on(self, kernels: Any) -> "CellModel":
        """Return the cell itself: kernels have no twin of it."""
        return self

    def open(self, batch: Any) -> Any:
        """Return the source of the run."""
        return self.source

    def usual_chunk(self, batch: int) -> int:
        """Return 64 steps: what a chunk costs beside its steps is then a small part."""
        return 64

    @property
    def both_ways(self) -> bool:
        """It does not."""
        return False

    @property
    def least_rows(self) -> None:
        """None: shorter chunks than usual take a fifth more time, and more."""
        return None

    def chunk_bytes(self, steps: int, batch: int, retention: Any) -> ChunkBytes:
        """Return the measured bytes; a graph is always kept whole, and never rounded."""
        if retention == "bfloat16":
            raise OptionError("tapes of torch are graphs, which are kept as they are; leave keep=bfloat16 out")
        state = nbytes([*self.template, *(draws_now(self.devices) if self.measured.draws else ())])
        return ChunkBytes(max(1, state), max(1, self.measured.tape.at(steps)), 0, self.measured.reverse.at(steps))

    def new_gradients(self) -> Gradients:
        """Return no gradients yet."""
        return Gradients(self.trained)

    def new_state(self, batch: int, room: Any = None) -> State:
        """Return a state in the form of the first."""
        return State(list(self.template), draws_now(self.devices) if self.measured.draws else ())

    def new_arena(self, nbytes: int) -> None:
        """Decline: torch allocates."""

    def new_tapes(self, steps: int, batch: int, retention: Any) -> Tapes:
        """Return what makes tapes."""
        return Tapes()

    def new_scratch(self, steps: int, batch: int) -> Sums:
        """Return the sums that replays are checked with."""
        return Sums()

    def fill_state(self, state: State, given: Any, batch: int, columns: Any) -> None:
        """Begin from leaves, or with a gradient of zeros."""
        state.put([None] * len(self.template) if given is None else list(given), state.draws)

    def join_states(self, parts: Sequence[State], columns: Any, factor: float = 1.0) -> State:
        """Return the state of the one shard."""
        return parts[0].copy()

    def derive(self, draw: Any = None) -> None:
        """Nothing is derived from the parameters."""

    # what the loop calls

    def forward(self, weights: Parameters, block: Block, state: State, tape: Tape, scratch: Sums) -> None:
        """Run one chunk, with a graph where its tape is kept."""
        graph = tape.kept and self.goes_back
        tape.before = [_leaf(leaf) if graph and is_float(leaf) else leaf for leaf in state.leaves]
        wanted = self.x_wanted if graph else [False] * len(block.x)
        tape.x = [_leaf(leaf) if want else leaf for leaf, want in zip(block.x, wanted, strict=True)]
        seen = [version(leaf) for leaf in (*block.x, *state.leaves)]
        with self.settings(state.draws), torch.set_grad_enabled(graph):
            generator = None if self.measured.draws else torch.get_rng_state()
            outputs, after = self.run(weights, tape.x, tape.before)
        if generator is not None and not torch.equal(generator, torch.get_rng_state()):
            raise UsageError(
                f"the cell drew random numbers in steps {block.start} to {block.start + block.steps - 1}, and none "
                "when it was measured; draw in every step, or in none"
            )
        self._check_changes([*block.x, *state.leaves], seen)
        for room, output in zip(block.out, outputs, strict=False):
            if isinstance(room, torch.Tensor):
                room.copy_(output.detach())
        if tape.kept:
            tape.outputs, tape.graph_after = outputs, after
        tape.close(after, draws_now(self.devices) if self.measured.draws else ())
        self.check_form(tape.after.leaves)
        self._check_replay(block.start, tape.after, scratch)
        state.copy_from(tape.after)

    def resume(self, tape: Tape, state: State) -> None:
        """Go on from the state after the chunk."""
        state.copy_from(tape.after)

    def reverse(
        self, weights: Parameters, block: Block, tape: Tape, dstate: State, gradients: Gradients, scratch: Any
    ) -> float:
        """Run `torch.autograd.grad` through the graph of one chunk."""
        if not self.goes_back:
            with torch.no_grad(), self.settings(()):
                return float(self.loss_of(weights, tape.outputs, block.y))
        roots, slopes, loss = [*tape.graph_after], list(dstate.leaves), None
        with torch.enable_grad(), self.settings(()):
            if block.dout is not None:
                roots, slopes = [*tape.outputs, *roots], [*block.dout, *slopes]
            elif block.y is not None:
                loss = self.loss_of(weights, tape.outputs, block.y)
                roots, slopes = [loss, *roots], [torch.ones_like(loss), *slopes]
        pairs = [(a, b) for a, b in zip(roots, slopes, strict=True) if b is not None and is_float(a)]
        pairs = [(a, b) for a, b in pairs if a.requires_grad]
        places = [n for n, leaf in enumerate(tape.before) if is_float(leaf)]
        x_places = [n for n, leaf in enumerate(tape.x) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
        trained = [*weights.trained, *self.extra]
        inputs = [tape.x[n] for n in x_places] + [tape.before[n] for n in places] + trained
        found: Any = [None] * len(inputs)
        if pairs and inputs:
            with denormals_flushed():
                found = torch.autograd.grad(
                    [a for a, _ in pairs], inputs, [b for _, b in pairs], retain_graph=True, allow_unused=True
                )
        with torch.no_grad():
            for n, slope in zip(x_places, found, strict=False):
                if slope is not None:
                    block.dx[n].add_(slope)
            below: Leaves = [None] * len(tape.before)
            for n, slope in zip(places, found[len(x_places) :], strict=False):
                below[n] = slope
            for n, slope in enumerate(found[len(x_places) + len(places) :]):
                gradients.add_leaf(n, slope)
        dstate.put(below, ())
        return 0.0 if loss is None else float(loss.detach())

    # the cell itself

    def run(self, weights: Parameters, x: Leaves, before: Leaves) -> tuple[Leaves, Leaves]:
        """Return the leaves of outputs and state of a chunk."""
        state = pytree.tree_unflatten(before, self.state_form)
        outputs, after = torch.func.functional_call(
            self.runner, weights.tensors, ("run", x, self.x_form, state), tie_weights=False
        )
        leaves, output_form = pytree.tree_flatten(outputs)
        self.measured.agree(leaves, output_form, next(each.shape[0] for each in x if isinstance(each, torch.Tensor)))
        after_leaves, after_form = pytree.tree_flatten(after)
        if after_form != self.state_form:
            now, first = (" ".join(str(each).split()) for each in (after_form, self.state_form))
            raise DataError(f"the cell returned a state of another form, {now}; expected {first}")
        return leaves, after_leaves

    def loss_of(self, weights: Parameters, outputs: Leaves, y: Any) -> torch.Tensor:
        """Return the summed loss of a chunk."""
        tree = pytree.tree_unflatten(outputs, self.measured.output_form)
        loss = torch.func.functional_call(self.runner, weights.tensors, ("loss", tree, y), tie_weights=False)
        if not isinstance(loss, torch.Tensor) or loss.ndim:
            raise DataError(f"loss_fn returned {describe(loss)}; expected one number, the sum over the chunk")
        return loss

    @contextmanager
    def settings(self, draws: Sequence[torch.Tensor]) -> Iterator[None]:
        """Run with the caller's autocast, the modes of the modules and the generators as they were."""
        if draws:
            draw_from(draws, self.devices)
        with self.autocast.on(), self.modes.on():
            yield

    def check_form(self, after: Leaves) -> None:
        """Raise `DataError` where a state does not have the form of the first."""
        for name, leaf, first in zip(self.state_names, after, self.template, strict=True):
            if form(leaf) != form(first):
                raise DataError(
                    f"the cell returned {name} as {describe(leaf)}; expected {describe(first)}, as at first"
                )

    def _check_changes(self, leaves: Leaves, seen: list[int]) -> None:
        for name, leaf, before in zip([*self.x_names, *self.state_names], leaves, seen, strict=True):
            if version(leaf) != before:
                raise UsageError(f"the cell changes {name} in place; return a new tensor, as in `h = h + dh`")

    def _check_replay(self, start: int, after: State, sums: Sums) -> None:
        tensors = [leaf for leaf in after.leaves if is_float(leaf)]
        if not tensors:
            return
        now = sum(float(leaf.abs().sum(dtype=torch.float64)) for leaf in tensors)
        first = sums.by_start.setdefault(start, now)
        if abs(now - first) > 1e-4 * abs(first) + 1e-12:
            raise UsageError(
                f"the cell gave another state when the chunk from step {start} was run again; let what changes between "
                "two runs, as a counter or numbers drawn outside of torch, be part of the state"
            )


def _leaf(leaf: Any) -> Any:
    return leaf.detach().requires_grad_() if is_float(leaf) else leaf
