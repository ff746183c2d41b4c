"""Pytrees of tensors: flattened, named, cut along time and compared."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch.utils import _pytree as pytree

Leaves: TypeAlias = list[Any]
"""Leaves of a pytree in its order: tensors, and None or Python values that are passed on as they are."""


def names(tree: Any, root: str) -> list[str]:
    """Return a name for each leaf, such as `state['h'][0]`."""
    paths, _ = pytree.tree_flatten_with_path(tree)
    return [root + pytree.keystr(path) for path, _ in paths]


def is_float(leaf: Any) -> bool:
    """Whether a leaf can have a gradient."""
    return isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())


def wants(leaf: Any) -> bool:
    """Whether a leaf asks for its gradient."""
    return isinstance(leaf, torch.Tensor) and leaf.requires_grad


def detached(leaves: Sequence[Any]) -> Leaves:
    """Return the leaves without their graph; they share memory and version counters."""
    return [leaf.detach() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]


def alone(leaf: Any) -> Any:
    """Return a detached leaf that keeps no larger storage alive than its own."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    leaf = leaf.detach()
    return leaf if leaf.untyped_storage().nbytes() <= leaf.nbytes else leaf.clone()


def cut(leaves: Sequence[Any], start: int, stop: int) -> Leaves:
    """Return the steps [start, stop) of each leaf."""
    return [leaf[start:stop] if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]


def nbytes(leaves: Sequence[Any]) -> int:
    """Return the bytes of all tensors."""
    return sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))


def form(leaf: Any) -> Any:
    """Return what two leaves must share to stand for each other."""
    return (tuple(leaf.shape), leaf.dtype, leaf.device) if isinstance(leaf, torch.Tensor) else type(leaf)


def describe(leaf: Any) -> str:
    """Return a leaf's form in words, such as "float32 [4, 8]"."""
    if isinstance(leaf, torch.Tensor):
        return f"{str(leaf.dtype).removeprefix('torch.')} {list(leaf.shape)}"
    return repr(leaf)


def version(leaf: Any) -> int:
    """Return a number that grows when a tensor is changed in place; 0 where torch keeps none."""
    return leaf._version if isinstance(leaf, torch.Tensor) and not leaf.is_inference() else 0
