"""The graph of a chunk: its nodes, and the tensors that they save."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs
import torch

from rnnframe_torch.trees import is_float

SAVED = "_saved_"


@attrs.frozen(kw_only=True)
class SavedTensor:
    """A tensor that a graph keeps for the way back.

    Parameters
    ----------
    operation : str
        The operation that needs it, as torch names its derivative: "Addmm".
    name : str
        What it is there; "" where the operation does not say, and "output" for one that a loss may ask for.
    form : str
        Type and shape: "float32 [32, 128]".
    nbytes : int
        Bytes of its storage, which several tensors may share.
    """

    operation: str
    name: str
    form: str
    nbytes: int


def nodes(leaves: Iterable[Any], ends: Collection[int] = ()) -> list[Any]:
    """Return the nodes of the graph of some tensors, each once; those whose `id` is in `ends` are not followed."""
    waiting = [leaf.grad_fn for leaf in leaves if is_float(leaf) and leaf.grad_fn is not None]
    found: dict[Any, None] = {}
    while waiting:
        node = waiting.pop()
        if node in found or id(node) in ends:
            continue
        found[node] = None
        waiting.extend(following for following, _ in node.next_functions if following is not None)
    return list(found)


def saved(node: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and value of every tensor that a node keeps."""
    named = {name.removeprefix(SAVED): getattr(node, name) for name in dir(node) if name.startswith(SAVED)}
    values = named or {"": getattr(node, "saved_tensors", ())}
    for name, value in values.items():
        for tensor in value if isinstance(value, tuple | list) else (value,):
            if isinstance(tensor, torch.Tensor):
                yield name, tensor


def operation(node: Any) -> str:
    """Return the name of an operation without what torch adds: AddmmBackward0 is Addmm."""
    name: str = node.name().rpartition("::")[2].rstrip("0123456789")
    return name.removesuffix("Backward") or name
