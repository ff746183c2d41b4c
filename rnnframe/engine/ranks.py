"""Ranks share the parts of a batch: each process of a group runs some of its shards.

`shards` counts the parts P of a batch over all ranks. Rank r of N runs the parts from r·P/N on, P/N of them, which must
be a power of two: then its sum of gradients is a branch of the tree in which one process with P shards adds up all of
them (`rnnframe.arrays.tree`), and the sum over the ranks has its bits. All ranks plan the whole batch and know the
columns of every part, so that they follow one schedule. Where a small batch leaves a rank without samples, the rank
runs the last part along, to keep step at every update, and what it finds is left out.

A state of the whole batch is right in a rank's own columns alone until `complete` gathers it. It is passed on as it is
from batch to batch, as long as the parts are ranges of columns; parts that are dealt by length are other samples at
each batch, so there it is gathered before and after.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.reducer import Alone, Group
from rnnframe.data.columns import Columns, numbers_of
from rnnframe.errors import OptionError

ALONE = Alone()


def parts_of_each(shards: int, group: Group) -> int:
    """Return how many parts each rank runs; raises `OptionError` where they cannot be shared with the same bits."""
    each, rest = divmod(shards, group.size)
    if rest or each & (each - 1):
        fit = ", ".join(str(group.size << power) for power in range(3))
        raise OptionError(
            f"shards={shards} cannot be shared by {group.size} ranks; expected a number of shards for which each rank "
            f"has 1, 2, 4, 8, ...: {fit}, ..."
        )
    return each


@attrs.frozen(eq=False)
class Share:
    """What of one batch a rank runs.

    Parameters
    ----------
    group : Group
        The ranks.
    each : int or None
        Parts of each rank, the last ones fewer where the batch is small; None for all parts, in one process.
    columns : sequence of slice or Array
        The samples of every part, over all ranks.
    """

    group: Group
    each: int | None
    columns: Sequence[Columns]

    @property
    def active(self) -> int:
        """The number of ranks that have samples: the first ones."""
        return 1 if self.each is None else -(-len(self.columns) // self.each)

    @property
    def counts(self) -> bool:
        """Whether this rank is one of them."""
        return self.group.rank < self.active

    @property
    def parts(self) -> slice:
        """The numbers of the parts that this rank runs."""
        return self._parts_of(self.group.rank if self.counts else self.active - 1)

    @property
    def own(self) -> Sequence[Columns]:
        """The samples of the parts that this rank runs."""
        return self.columns[self.parts]

    @property
    def dealt(self) -> bool:
        """Whether the parts are samples of this batch's lengths, and others in the next batch."""
        return not isinstance(self.columns[0], slice)

    def _parts_of(self, rank: int) -> slice:
        if self.each is None:
            return slice(0, len(self.columns))
        return slice(rank * self.each, min((rank + 1) * self.each, len(self.columns)))

    def join(self, model: Any, states: Sequence[Any], batch: int, factor: float = 1.0) -> Any:
        """Return a state of the whole batch from those of this rank's parts; zero in the columns of other ranks."""
        if self.group.size == 1:
            return model.join_states(states, self.columns, factor)
        whole = model.new_state(batch)
        whole.zero()
        for state, where in zip(states, self.own, strict=True):
            for name, values in state.items():
                whole[name][where] = values
        if factor != 1.0:
            whole.scale(factor)
        return whole

    def complete(self, state: Any) -> Any:
        """Return a state with the columns of all ranks, gathered; each rank calls it. What is given stays as it is."""
        if self.group.size == 1 or not state:
            return state
        whole = Vector({name: np.shape(values) for name, values in state.items()}, _dtype_of(state))
        own = self._samples_of(self.group.rank)
        gathered = self.group.gather({name: np.asarray(values)[own] for name, values in state.items()})
        for rank, arrays in enumerate(gathered):
            for name, values in arrays.items():
                whole[name][self._samples_of(rank)] = values
        return whole

    def _samples_of(self, rank: int) -> Array:
        """Return the numbers of the samples that a rank has; none where the batch is too small for it."""
        return numbers_of(self.columns[self._parts_of(rank)] if rank < self.active else [])


def _dtype_of(state: Any) -> np.dtype[Any]:
    return np.result_type(*state.values())
