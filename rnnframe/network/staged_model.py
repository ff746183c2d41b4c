"""A stack of layers whose two directions meet at every step, as a model of several: its stages."""

import copy
from typing import Any, Self, cast

import attrs

from rnnframe.contracts.head import Head
from rnnframe.data.held import Links
from rnnframe.network.chunk_model import LayerModel
from rnnframe.network.feeds import LossFeed, StageFeed
from rnnframe.network.placed import PlacedLayer
from rnnframe.network.scratch import ScratchForm
from rnnframe.network.stages import cut_into_stages
from rnnframe.network.weights import Weights


class StagedLayerModel(LayerModel):
    """A stack of layers and a head, which is run in stages where it must be.

    A stage is a model of the same class. It has some of the layers, and the weights that are made for the whole stack.
    """

    _is_stage: bool = False
    _stages: tuple[Any, ...] | None = None

    def _compute_with(self, layers: tuple[PlacedLayer, ...], head: Head | None, weights: Weights) -> None:
        super()._compute_with(layers, head, weights)
        self._stages = None

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle no stages: they are made again when they are first asked for."""
        return {name: value for name, value in super().__getstate__().items() if name != "_stages"}

    @property
    def stages(self) -> tuple[Self, ...]:
        """The parts that are run one after the other over all of time, from the inputs upwards; none for one sweep."""
        if self._is_stage:
            return ()
        if self._stages is None:
            cut = cut_into_stages(self.layers, self._stack.head)
            self._stages = tuple(self._stage(layers, first=layers is cut[0], last=layers is cut[-1]) for layers in cut)
        return self._stages if len(self._stages) > 1 else ()

    def _stage(self, layers: tuple[PlacedLayer, ...], *, first: bool, last: bool) -> Self:
        """Return some layers as a model of their own, with their part of the weights."""
        stage, weights = copy.copy(self), self.weights.part(layers, head=last)
        stage.inputs, stage.head, stage._is_stage = layers[0].inputs, self.head if last else None, True
        stage._compute_with(layers, self._stack.head if last else None, cast(Weights, weights))
        stage._is_below = not last
        stage._form, stage.reads_stage = ScratchForm(layers, stage._stack.head, not first), not first
        return stage

    def linked(self, links: Links) -> Self:
        """Return this stage with what it shares with the others."""
        linked, loss = copy.copy(self), LossFeed(self._stack.head, self._head_note)
        linked._stack = attrs.evolve(self._stack, feed=StageFeed(links, loss))
        return linked

    @property
    def _tape_row(self) -> int:
        """Bytes that a step of one sample leaves for its reverse in the largest stage."""
        return max((stage._tape_row for stage in self.stages), default=super()._tape_row)
