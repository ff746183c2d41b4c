"""Where chunks of tensors come from: tensors over the whole of time, or an iterator of blocks."""

from collections.abc import Iterator
from typing import Any

import attrs
import torch
from torch.utils import _pytree as pytree

from rnnframe.plugin import DataError
from rnnframe_torch.checks import check_block, refuse_gradients
from rnnframe_torch.trees import Leaves, cut


@attrs.frozen(eq=False)
class Block:
    """The data of one chunk.

    Parameters
    ----------
    start, steps
        The first step, and how many.
    x : list
        Inputs, leaf by leaf, [steps, ...] each.
    out : list
        Room for the outputs; empty where they are not returned.
    y : pytree
        Targets; None where no loss is asked for.
    dout : list or None
        dL/d(outputs), leaf by leaf, None for zeros; None where no gradient of outputs is asked for.
    dx : list
        Where dL/dx is added, leaf by leaf; None for a leaf that has none.
    """

    start: int
    steps: int
    x: Leaves
    out: Leaves = attrs.field(factory=list)
    y: Any = None
    dout: Leaves | None = None
    dx: Leaves = attrs.field(factory=list)
    retained: bool = False
    count: float = 0  # losses are summed: nothing is divided

    def retained_part(self) -> "Block":
        """Return what stays with the tape: where it is; the tape has the inputs in its graph."""
        return Block(self.start, self.steps, [])

    def drawn(self, draw: Any) -> "Block":
        """Random draws follow torch's generators."""
        return self


class Tensors:
    """Tensors [T, ...]; outputs and gradients of the same length beside them."""

    data_bytes = 0

    def __init__(self, x: Leaves, batch: int, y: Any = None) -> None:
        self.x, self.y, self.batch = x, y, batch
        self.steps: int | None = next(int(leaf.shape[0]) for leaf in x if isinstance(leaf, torch.Tensor))
        self.out: Leaves = []
        self.dout: Leaves | None = None
        self.dx: Leaves = []

    def deal(self, shards: int) -> list[Any]:
        """All samples are one part."""
        return [slice(None)]

    def ends(self, columns: Any) -> list[int]:
        """All samples end together."""
        return []

    def cuts(self, columns: Any) -> None:
        """Nothing is cut."""

    def block(self, start: int, stop: int, columns: Any, staging: Any) -> Block:
        """Return views of the inputs, and of the room for outputs."""
        stop = min(stop, self.steps or stop)
        return Block(start, stop - start, cut(self.x, start, stop), cut(self.out, start, stop))

    def again(self, start: int, block: Block, columns: Any, staging: Any) -> Block:
        """Return where dL/dx goes."""
        return attrs.evolve(block, dx=cut(self.dx, start, start + block.steps))

    def with_targets(self, start: int, block: Block, columns: Any, staging: Any) -> Block:
        """Return the block with its targets, or with dL/d(outputs)."""
        stop = start + block.steps
        dout = None if self.dout is None else cut(self.dout, start, stop)
        return attrs.evolve(block, y=pytree.tree_map(lambda leaf: cut([leaf], start, stop)[0], self.y), dout=dout)

    def release(self, start: int) -> None:
        """Nothing is held."""


def batch_of(leaves: Leaves) -> int:
    """Return how many samples tensors [T, B, ...] hold, at least 1; 1 for those without a second dimension."""
    first = next(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    return max(1, int(first.shape[1])) if first.ndim > 1 else 1


class Stream:
    """Pairs (x, y) of blocks of any length; what was read is held until its chunk is reversed."""

    steps = None

    def __init__(self, pairs: Iterator[Any], batch: int) -> None:
        self.batch, self.data_bytes = batch, 0
        self._pairs = iter(pairs)
        self._rest: Any = None
        self._refuses_gradients = torch.is_grad_enabled()  # it is off where the blocks are read
        self._held: dict[int, Any] = {}

    def peek(self) -> Any:
        """Return the pair that comes next; None at the end."""
        while self._rest is None or not _length(self._rest):
            self._rest = next(self._pairs, None)
            if self._rest is None:
                return None
            if not isinstance(self._rest, tuple) or len(self._rest) != 2:
                raise DataError(f"the stream yielded {type(self._rest).__name__}; expected pairs (x, y) of blocks")
            check_block(*self._rest)
            if self._refuses_gradients:
                for tree, root in zip(self._rest, "xy", strict=True):
                    refuse_gradients(tree, f"{root} of the stream", "there is none for a stream")
        return self._rest

    def deal(self, shards: int) -> list[Any]:
        """All samples are one part."""
        return [slice(None)]

    def ends(self, columns: Any) -> list[int]:
        """All samples end together."""
        return []

    def cuts(self, columns: Any) -> None:
        """Nothing is cut."""

    def block(self, start: int, stop: int, columns: Any, staging: Any) -> Block | None:
        """Return the steps [start, stop), or fewer at the end; those that were read before as they were."""
        if start not in self._held:
            parts, need = [], stop - start
            while need and self.peek() is not None:
                took = min(need, _length(self._rest))
                parts.append(_steps(self._rest, 0, took))
                self._rest, need = _steps(self._rest, took, None), need - took
            if not parts:
                return None
            self._held[start] = parts[0] if len(parts) == 1 else pytree.tree_map(_joined, *parts)
        pair = self._held[start]
        return Block(start, _length(pair), [_no_graph(leaf) for leaf in pytree.tree_leaves(pair[0])])

    def again(self, start: int, block: Block, columns: Any, staging: Any) -> Block:
        """Return the block as it is: no gradient of a stream is asked for."""
        return block

    def with_targets(self, start: int, block: Block, columns: Any, staging: Any) -> Block:
        """Return the block with its targets."""
        return attrs.evolve(block, y=self._held[start][1])

    def release(self, start: int) -> None:
        """Let go of a block."""
        self._held.pop(start, None)


def _no_graph(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, torch.Tensor) else leaf


def _joined(*leaves: Any) -> Any:
    return torch.cat(leaves) if isinstance(leaves[0], torch.Tensor) else leaves[0]


def _length(pair: Any) -> int:
    return next(int(leaf.shape[0]) for leaf in pytree.tree_leaves(pair) if isinstance(leaf, torch.Tensor))


def _steps(pair: Any, start: int, stop: int | None) -> Any:
    return pytree.tree_map(lambda leaf: leaf[start:stop] if isinstance(leaf, torch.Tensor) else leaf, pair)
