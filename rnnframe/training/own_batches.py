"""Batches of which a rank makes its own samples alone, where its dataset can: `Dataset.columns`."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.dataset import Dataset
from rnnframe.contracts.reducer import Group
from rnnframe.data.batch import Batch
from rnnframe.data.columns import deal, numbers_of
from rnnframe.data.own_columns import OwnColumns, places_of
from rnnframe.engine.engine import Engine
from rnnframe.engine.ranks import Share, parts_of_each
from rnnframe.network.network import Network


class OwnBatches:
    """The batches of a dataset as one rank of a training reads them; in one process they are whole.

    Parameters
    ----------
    data
        The dataset.
    engine
        Whose ranks share each batch.
    whole
        Whether every rank needs whole batches.
    """

    def __init__(self, data: Dataset, engine: Engine[Network], *, whole: bool = False) -> None:
        targets = engine.network.data_format.targets
        self._data, self._group = data, engine.group
        self._shards = engine.shards or engine.group.size
        self._whole = whole or engine.group.size == 1
        self._last = targets is not None and targets.at == "last"

    def batch(self, epoch: int, number: int) -> Batch:
        """Return a batch; its arrays hold the samples of this rank alone where the dataset can make those."""
        if self._whole:
            return self._data.batch(epoch, number)
        chosen = _Chosen(self._group, self._shards)
        made = self._data.columns(epoch, number, chosen.choose)
        return self._data.batch(epoch, number) if made is None else chosen.in_place(made, last=self._last)


class _Chosen:
    """Which samples of a batch are those of a rank: dealt as the engine deals them, by their lengths."""

    def __init__(self, group: Group, shards: int) -> None:
        self._group, self._shards = group, shards
        self._samples = 0
        self._lengths: Array | None = None
        self._share: Share | None = None

    def choose(self, samples: int, lengths: Array | None) -> Array:
        """Return the numbers of the samples of this rank, in the order of its parts."""
        self._samples, self._lengths = samples, lengths
        each = parts_of_each(self._shards, self._group)
        self._share = Share(self._group, each, deal(samples, lengths, self._shards))
        return numbers_of(self._share.own)

    def in_place(self, made: Batch, *, last: bool) -> Batch:
        """Return some samples as a batch of all; `last` says that targets are those of the last steps alone."""
        assert self._share is not None  # as the dataset has asked for the samples
        places = places_of(self._share.own, self._samples)
        steps = len(made.x) if self._lengths is None else max(len(made.x), int(self._lengths.max()))

        def along(values: Any, *, has_steps: bool) -> Any:
            if values is None:
                return None
            if has_steps:
                return OwnColumns(values, places, steps)
            whole = np.zeros((self._samples, *values.shape[1:]), values.dtype)
            whole[places >= 0] = values[places[places >= 0]]
            return whole

        weights = made.weights
        return attrs.evolve(
            made,
            x=along(made.x, has_steps=True),
            y=along(made.y, has_steps=not last),
            lengths=self._lengths,
            resets=along(made.resets, has_steps=True),
            weights=along(weights, has_steps=weights is not None and weights.ndim == 2),
        )


def own_part(batch: Batch) -> Batch:
    """Return those samples of a batch that are here, as a batch of their own."""
    if not isinstance(batch.x, OwnColumns):
        return batch
    here = np.flatnonzero(batch.x.places >= 0)
    order = here[np.argsort(batch.x.places[here])]

    def along(values: Any) -> Any:
        if values is None:
            return None
        return values.values if isinstance(values, OwnColumns) else values[order]

    arrays = {name: along(getattr(batch, name)) for name in ("x", "y", "lengths", "resets", "weights")}
    return attrs.evolve(batch, **arrays)
