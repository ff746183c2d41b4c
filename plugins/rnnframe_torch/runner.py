"""A cell and a loss as one module: parameters are exchanged for a run, steps are put together to chunks."""

from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from rnnframe.plugin import DataError, UsageError
from rnnframe_torch.trees import describe


class Runner(nn.Module):
    """A cell and a loss under one roof, so that one `functional_call` exchanges the parameters of both."""

    def __init__(self, cell: Any, loss: Any, whole_chunks: bool) -> None:
        super().__init__()
        self.cell_module, self.loss_module = module_of(cell), module_of(loss)
        self.call, self.loss, self.whole_chunks = (cell,), (loss,), whole_chunks

    def parameters_by_name(self) -> dict[str, torch.Tensor]:
        """Return every parameter under each name that needs an exchange: once a module, in the order of `parameters`.

        A module in two places has one name, a parameter in two modules has two.
        """
        return {
            f"{place}.{name}": each
            for place, module in self.named_modules()
            for name, each in module._parameters.items()
            if each is not None
        }

    def forward(self, kind: str, *arguments: Any) -> Any:
        """Run the cell over a chunk, or the loss of one."""
        if kind == "loss":
            return self.loss[0](*arguments)
        x, x_form, state = arguments
        cell = self.call[0]
        if self.whole_chunks:
            return _pair(cell(pytree.tree_unflatten(x, x_form), state))
        steps = next(leaf.shape[0] for leaf in x if isinstance(leaf, torch.Tensor))
        columns = [leaf.unbind(0) if isinstance(leaf, torch.Tensor) else [leaf] * steps for leaf in x]
        outputs = []
        for leaves in zip(*columns, strict=True):
            output, state = _pair(cell(pytree.tree_unflatten(list(leaves), x_form), state))
            outputs.append(output)
        try:
            return pytree.tree_map(_stacked, *outputs), state
        except (RuntimeError, ValueError):
            _check_alike(outputs)
            raise


def _stacked(*leaves: Any) -> Any:
    return torch.stack(leaves) if isinstance(leaves[0], torch.Tensor) else leaves[0]


def _check_alike(outputs: list[Any]) -> None:
    """Raise `DataError` where steps have outputs of different forms."""
    first, *others = ([describe(leaf) for leaf in pytree.tree_leaves(each)] for each in outputs)
    for other in others:
        if other != first:
            raise DataError(f"the cell returned outputs {other} in one step and {first} in another; expected one form")


def _pair(returned: Any) -> Any:
    if not isinstance(returned, tuple) or len(returned) != 2:
        kind = type(returned).__name__
        raise DataError(f"the cell returned {kind}; expected a pair (output, state), such as `return h, (h, c)`")
    return returned


def module_of(call: Any) -> nn.Module | None:
    """Return the module whose parameters a callable uses."""
    owner = getattr(call, "__self__", call)
    if isinstance(owner, nn.parallel.DistributedDataParallel):
        raise UsageError("the cell is a DistributedDataParallel; wrap the module that calls `unroll` instead")
    return owner if isinstance(owner, nn.Module) else None
