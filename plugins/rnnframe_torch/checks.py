"""What a caller hands over, checked: tensors of one length, with numbers, with the gradients that are given."""

from typing import Any

import torch
from torch.utils import _pytree as pytree

from rnnframe.plugin import DataError, UsageError
from rnnframe_torch.trees import describe, names, wants


def check_lengths(x: Any, y: Any) -> None:
    """Raise `DataError` where the tensors of x and y are not of one length."""
    lengths = _lengths(x)
    if len(lengths) != 1 or 0 in lengths:
        raise DataError(f"x has tensors of {sorted(lengths)} steps; expected one length of at least 1, time first")
    others = _lengths(y)
    if others - lengths:
        raise DataError(
            f"y has tensors of {sorted(others)} steps; expected {lengths.pop()}, as x; what is no target of a step "
            "belongs into loss_fn"
        )


def check_block(x: Any, y: Any) -> None:
    """Raise `DataError` where a block of a stream does not have one length; it may be empty."""
    if len(_lengths(x) | _lengths(y)) > 1:
        raise DataError(
            f"the stream yielded tensors of {sorted(_lengths(x))} steps in x and {sorted(_lengths(y))} in y; "
            "expected one length for each block, time first"
        )


def refuse_gradients(tree: Any, root: str, why: str) -> None:
    """Raise `UsageError` for a tensor that asks for a gradient which is not given."""
    for name, leaf in zip(names(tree, root), pytree.tree_leaves(tree), strict=True):
        if wants(leaf):
            raise UsageError(f"{name} requires a gradient, and {why}; detach it")


def refuse_meta(tree: Any, root: str) -> None:
    """Raise `UsageError` for a tensor without numbers."""
    for name, leaf in zip(names(tree, root), pytree.tree_leaves(tree), strict=True):
        if isinstance(leaf, torch.Tensor) and leaf.is_meta:
            raise UsageError(f"{name} is {describe(leaf)} on the meta device; expected a tensor with numbers")


def _lengths(tree: Any) -> set[int]:
    leaves = pytree.tree_leaves(tree)
    return {int(leaf.shape[0]) if leaf.ndim else 0 for leaf in leaves if isinstance(leaf, torch.Tensor)}
