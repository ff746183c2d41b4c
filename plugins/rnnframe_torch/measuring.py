"""What a cell takes and does, found on chunks of one and of two steps of the caller's own data."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from rnnframe.plugin import DataError, UsageError
from rnnframe_torch.buffers import Buffers
from rnnframe_torch.cells import CellModel
from rnnframe_torch.checks import check_lengths, refuse_meta
from rnnframe_torch.graphs import nodes
from rnnframe_torch.needs import Line
from rnnframe_torch.sources import Block
from rnnframe_torch.surroundings import draws_now, draws_restored
from rnnframe_torch.trees import Leaves, cut, detached, nbytes
from rnnframe_torch.values import State, Tape

NODE = 700
"""Bytes of a node of a graph beside its tensors, as measured with torch 2."""

TENSOR = 1000
"""Bytes of a tensor beside its numbers, with what the C library leaves unused between two of them."""


def measured_model(
    cell: Any,
    loss: Any,
    x: Any,
    state: Any,
    y: Any,
    whole_chunks: bool,
    extra: Sequence[torch.Tensor],
    *,
    x_is_trained: bool = True,
) -> tuple[CellModel, Leaves, Leaves]:
    """Return a cell with what it takes, and the leaves of x and of the first state; raises what `unroll` raises."""
    check_lengths(x, y)
    for tree, root in ((x, "x"), (state, "state"), (y, "y")):
        refuse_meta(tree, root)
    model = CellModel(cell, loss, x, state, whole_chunks, extra)
    leaves = pytree.tree_leaves(x)
    if not x_is_trained:
        model.x_wanted = [False] * len(leaves)
    start = list(model.template)
    _measure(model, detached(leaves), start, y)
    return model, leaves, start


def _measure(model: CellModel, x: Leaves, state: Leaves, y: Any) -> None:
    """Write into `model.measured` what the cell takes; the generators and buffers are left as they were."""
    steps = min(2, next(int(leaf.shape[0]) for leaf in x if isinstance(leaf, torch.Tensor)))
    buffers = Buffers(model.runner)
    model.measured.draws = True  # until it is known
    with draws_restored(model.devices), torch.inference_mode(False), buffers.watched():
        before = draws_now(model.devices)
        found = [_chunk(model, x, state, y, count) for count in range(1, steps + 1)]
        after = draws_now(model.devices)
        model.measured.draws = not all(map(torch.equal, before, after))
    if buffers.changed:
        raise UsageError(
            f"the cell changes its buffer {buffers.changed[0]!r}, which would change again whenever a chunk is run "
            "again; make it part of the state, or call eval() on that module"
        )
    tapes, losses = [each[0] for each in found], [each[1] for each in found]
    step = max(0, tapes[-1] - tapes[0]) if steps == 2 else tapes[0]
    model.measured.tape = Line(max(0, tapes[0] - step), step)
    passing = 2 * nbytes(model.measured.outputs) + 2 * nbytes(cut(x, 0, 1)) + nbytes(state)
    model.measured.reverse = Line(2 * nbytes(model.trained) + nbytes(state), passing)
    if y is not None and steps == 2 and not model.measured.draws:
        _check_sum(model, x, state, y, losses[1], losses[0])


def _chunk(model: CellModel, x: Leaves, state: Leaves, y: Any, steps: int) -> tuple[int, float, Leaves]:
    """Return the bytes of the tape of a chunk, its loss and its outputs."""
    outside = [*model.weights.tensors.values(), *model.extra, *x, *state]
    skipped = {storage(each) for each in outside if isinstance(each, torch.Tensor)}
    held: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if storage(tensor) not in skipped:
            held[storage(tensor)] = tensor.untyped_storage()
        return tensor

    tape = Tape(kept=True)
    block = Block(0, steps, cut(x, 0, steps))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.forward(model.weights, block, State(list(state)), tape, model.new_scratch(steps, 1))
    for leaf in (*tape.outputs, *tape.graph_after):
        if isinstance(leaf, torch.Tensor):
            pack(leaf)
    loss = 0.0
    if y is not None:
        with torch.enable_grad(), model.settings(()):
            summed = model.loss_of(model.weights, tape.outputs, _steps(y, 0, steps))
        _nodes(model, tape, [summed])
        loss = float(summed.detach())
    count = _nodes(model, tape, [*tape.outputs, *tape.graph_after])
    return sum(each.nbytes() + TENSOR for each in held.values()) + NODE * count, loss, tape.outputs


def _steps(y: Any, start: int, stop: int) -> Any:
    return pytree.tree_map(lambda leaf: cut([leaf], start, stop)[0], y)


def storage(tensor: torch.Tensor) -> int:
    """Return what tells one piece of memory from another: several tensors may share it."""
    return tensor.untyped_storage().data_ptr()


def _nodes(model: CellModel, tape: Tape, ends_in: Leaves) -> int:
    """Return the number of nodes of a graph; raises `UsageError` for a trained tensor that nobody named."""
    known = {id(each) for each in (*model.weights.tensors.values(), *model.extra, *tape.before, *tape.x)}
    ends = {id(each.grad_fn) for each in model.extra if each.grad_fn is not None}
    found = nodes(ends_in, ends)
    for node in found if model.grad_enabled else ():
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) not in known:
            raise UsageError(
                f"the cell or the loss uses a tensor {list(variable.shape)} that requires a gradient and is no "
                "parameter of its module; name it in extra=[...]"
            )
    return len(found)


def _check_sum(model: CellModel, x: Leaves, state: Leaves, y: Any, both: float, first: float) -> None:
    """Raise `DataError` for a loss that is a mean over the steps of a chunk."""
    with torch.no_grad():
        outputs, _ = model.run(model.weights, cut(x, 0, 2), list(state))
        last = [leaf[1:2] if isinstance(leaf, torch.Tensor) else leaf for leaf in outputs]
        with model.settings(()):
            second = float(model.loss_of(model.weights, last, _steps(y, 1, 2)))
    expected = first + second
    if abs(both - expected) > 1e-2 * (abs(first) + abs(second)) + 1e-12:
        raise DataError(
            f"loss_fn gives {both:.4g} for two steps and {first:.4g} and {second:.4g} for each; it must sum over "
            "steps: use reduction='sum', and divide the result"
        )
