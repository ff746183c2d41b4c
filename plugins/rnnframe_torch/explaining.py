"""`explain`: what a cell keeps of each step for the way back, and what the state is beside it."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch

from rnnframe.plugin import UsageError, human_bytes
from rnnframe_torch.cells import CellModel
from rnnframe_torch.graphs import SavedTensor, nodes, operation, saved
from rnnframe_torch.measuring import measured_model, storage
from rnnframe_torch.needs import Line
from rnnframe_torch.sources import Block
from rnnframe_torch.surroundings import draws_restored
from rnnframe_torch.tables import table
from rnnframe_torch.trees import Leaves, cut, describe, detached, nbytes
from rnnframe_torch.values import State, Tape

SHOWN = 12
"""Lines of the printed table; the rest is added up in one more."""


@attrs.frozen(kw_only=True)
class Explanation:
    """What one step keeps; printed, it is a table and the sentences that follow from it.

    Parameters
    ----------
    tensors : tuple of SavedTensor
        What the graph of a chunk of one step keeps, the largest first; parameters, x and the first state are not in it.
    tape : Line
        Measured bytes of the graph of a chunk: `tape.at(steps)`.
    state_bytes : int
        Bytes of a state, from which the graph can be made again.
    steps : int
        Length of x.
    """

    tensors: tuple[SavedTensor, ...]
    tape: Line
    state_bytes: int
    steps: int

    def __str__(self) -> str:
        """Return the table and the sentences."""
        total = sum(each.nbytes for each in self.tensors) or 1
        rows = [
            [
                human_bytes(each.nbytes),
                f"{each.nbytes / total:.0%}",
                ": ".join(filter(None, (each.operation, each.name))),
                each.form,
            ]
            for each in self.tensors[:SHOWN]
        ]
        rest = self.tensors[SHOWN:]
        if rest:
            size = sum(each.nbytes for each in rest)
            rows.append([human_bytes(size), f"{size / total:.0%}", f"{len(rest)} smaller ones", ""])
        whole, root = self.tape.at(self.steps), max(1, round(self.steps**0.5))
        apart = self.state_bytes * -(-self.steps // root) + self.tape.at(root)
        return "\n".join(
            [
                f"Kept for the way back by a chunk of one step, {human_bytes(total)} in all:",
                *table(["bytes", "share", "saved by", "what"], rows),
                f"Each further step of a chunk adds {human_bytes(self.tape.step)}, with what torch keeps of a node.",
                f"A state has {human_bytes(self.state_bytes)}: all the rest can be computed again from it.",
                f"Over {self.steps:,} steps, with every step kept (full-history): {human_bytes(whole)};",
                f"a state every {root} steps and the graph of {root} steps (checkpoint): {human_bytes(apart)}.",
            ]
        )


def explain(
    cell: Callable[..., Any],
    x: Any,
    state: Any,
    y: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    whole_chunks: bool = False,
    extra: Sequence[torch.Tensor] = (),
) -> Explanation:
    """Return which saved tensors of a cell weigh most, and how large its state is beside them.

    Parameters
    ----------
    cell, x, state, y, loss_fn, whole_chunks, extra
        As `plan` takes them.

    Returns
    -------
    Explanation
        `print` shows it.

    Raises
    ------
    UsageError
        For a cell that cannot be run again.
    DataError
        For a cell that returns something else.
    """
    if (y is None) != (loss_fn is None):
        raise UsageError("explain needs y and loss_fn together, as unroll_loss does; or neither, as unroll")
    model, leaves, start = measured_model(cell, loss_fn, x, state, y, whole_chunks, extra)
    steps = next(int(leaf.shape[0]) for leaf in leaves if isinstance(leaf, torch.Tensor))
    return Explanation(
        tensors=_saved_tensors(model, detached(leaves), start),
        tape=model.measured.tape,
        state_bytes=nbytes(start),
        steps=steps,
    )


def _saved_tensors(model: CellModel, x: Leaves, state: Leaves) -> tuple[SavedTensor, ...]:
    tape, block = Tape(kept=True), Block(0, 1, cut(x, 0, 1))
    with draws_restored(model.devices), torch.inference_mode(False):
        model.forward(model.weights, block, State(list(state)), tape, model.new_scratch(1, 1))
    outside = [*model.weights.tensors.values(), *model.extra, *x, *state]
    seen = {storage(each) for each in outside if isinstance(each, torch.Tensor)}
    found: list[SavedTensor] = []

    def add(operation: str, name: str, tensor: torch.Tensor) -> None:
        if storage(tensor) not in seen:
            seen.add(storage(tensor))
            size = tensor.untyped_storage().nbytes()
            form = describe(tensor) + (", part of a larger one" if size > tensor.nbytes else "")
            found.append(SavedTensor(operation=operation, name=name, form=form, nbytes=size))

    ends = {id(each.grad_fn) for each in model.extra if each.grad_fn is not None}
    for node in nodes([*tape.outputs, *tape.graph_after], ends):
        for name, tensor in saved(node):
            add(operation(node), name, tensor)
    for leaf in (*tape.outputs, *tape.graph_after):
        if isinstance(leaf, torch.Tensor):
            add("what the cell returns", "", leaf)
    return tuple(sorted(found, key=lambda each: -each.nbytes))
