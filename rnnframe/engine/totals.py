"""What a run of the loop adds up: losses, counts and gradients, by shard, over all shards and over all ranks."""

import math
from collections.abc import Sequence
from typing import Any

import attrs

from rnnframe.arrays.tree import add_in_tree
from rnnframe.engine.ranks import Share
from rnnframe.errors import NonFiniteError


@attrs.define
class ShardTotals:
    """What one shard's loop has done: losses and their weights since the last update; chunks and steps in all.

    `chunks` and `steps` tell how far it got, `forward_steps` and `reverse_steps` count every time a step was run.
    """

    loss: float = 0.0
    count: float = 0
    chunks: int = 0
    steps: int = 0
    forward_steps: int = 0
    reverse_steps: int = 0

    def ran(self, chunk: int, steps: int) -> None:
        """Count a chunk that was run forward, for the first time or again."""
        self.forward_steps += steps
        if chunk == self.chunks:
            self.chunks += 1
            self.steps += steps

    def reversed(self, steps: int, loss: float, count: float) -> None:
        """Count a chunk that was reversed, with the losses that it injected."""
        self.reverse_steps += steps
        self.loss += loss
        self.count += count


class RunTotals:
    """The sums over shards, of all ranks: gradients and losses since the last update, losses in all.

    Parameters
    ----------
    gradients : sequence of Values
        Those of each shard of this rank.
    share : Share
        Who else adds to the sums.
    """

    def __init__(self, gradients: Sequence[Any], share: Share) -> None:
        self.shards = [ShardTotals() for _ in gradients]
        self.loss, self.updates = 0.0, 0
        self.count: float = 0
        self._gradients = gradients
        self._share = share
        self._losses: list[tuple[float, float]] = []

    @property
    def mean_loss(self) -> float:
        """The mean of all losses that were reduced."""
        return self.loss / (self.count or 1)

    def collect(self) -> float:
        """Ask all ranks for their losses since the last update; return the sum of the weights of these losses.

        That is their number, where they are unweighted.
        """
        own = [(shard.loss, shard.count) for shard in self.shards] if self._share.counts else []
        self._losses = [pair for pairs in self._share.group.gather(own) for pair in pairs]
        return sum(count for _, count in self._losses)

    def take_losses(self) -> tuple[float, float]:
        """Count the losses that were collected, whose sums start again at zero; return their count and sum.

        Raises `NonFiniteError` where the loss is not finite, on all ranks.
        """
        count, loss = sum(count for _, count in self._losses), math.fsum(loss for loss, _ in self._losses)
        self.count, self.loss = self.count + count, self.loss + loss
        for shard in self.shards:
            shard.count, shard.loss = 0, 0.0
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is {loss}; lower the learning rate, clip the gradients, or check the data")
        return count, loss

    def reduce(self) -> tuple[Any, float]:
        """Add up what was collected in a fixed order, divide once by the count, and return mean gradient and mean loss.

        The sums of losses start again at zero. Raises `NonFiniteError` where the loss is not finite, on all ranks.
        """
        count, loss = self.take_losses()
        total = add_in_tree(self._gradients, lambda total, other: total.add(other))
        if self._share.group.size > 1:
            self._share.group.sum(total.flat, self._share.active)
        total.scale(1 / (count or 1))
        return total, loss / (count or 1)

    def begin(self) -> None:
        """Start new sums of gradients after an update."""
        for gradients in self._gradients:
            gradients.zero()
