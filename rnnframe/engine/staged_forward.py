"""Running the stages of a network forward: the outputs of each at all steps are held until the next has read them."""

from typing import Any

import numpy as np

from rnnframe.arrays import Vector
from rnnframe.contracts.model import PredictingModel
from rnnframe.data.both_ways import BothWays
from rnnframe.data.draws import Draw
from rnnframe.data.held import HeldSteps
from rnnframe.data.source import Source
from rnnframe.data.sweep import Part
from rnnframe.engine.forward import ForwardPass
from rnnframe.engine.stages import parts_of


def forward_pass(network: PredictingModel[Any, Any, Any], chunk: int | None) -> ForwardPass:
    """Return what runs a network forward, in chunks of `chunk` steps."""
    return ForwardPass(network, chunk) if len(parts_of(network)) == 1 else StagedForwardPass(network, chunk)


class StagedForwardPass(ForwardPass):
    """Runs a network forward stage by stage; what `ForwardPass` says of chunks is told of the last stage."""

    def __init__(self, network: PredictingModel[Any, Any, Any], chunk: int | None) -> None:
        *below, top = parts_of(network)
        super().__init__(top, chunk)
        self._whole, self._below = network, [ForwardPass(stage, chunk) for stage in below]

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle no buffers, and no stages: they belong to the network."""
        return {"network": self._whole, "_chunk": self._chunk}

    def __setstate__(self, state: dict[str, Any]) -> None:
        StagedForwardPass.__init__(self, state["network"], state["_chunk"])

    def reach_top(self, source: Source, given: Any | None, draw: Draw | None = None) -> Source:
        """Run all stages but the last, and return what the last one reads; raises `DataError` for a state."""
        assert isinstance(source, BothWays)  # as a network with stages opens it
        whole = self._whole
        whole.fill_state(whole.new_state(source.batch), given, source.batch, slice(None))
        x = source.given.x
        for one in self._below:
            x = self._outputs(one, one.network.open_inputs(source.batch_of(x, targets=False)), source, draw)
        opens = self.network.open_inputs if source.given.y is None else self.network.open
        top: Source = opens(source.batch_of(x, targets=True))
        return top

    def _outputs(self, stage: ForwardPass, opened: Source, source: BothWays, draw: Draw | None) -> Any:
        """Return the outputs of a stage at all steps, [T, B, width]."""
        network = stage.network
        values = np.empty((source.length, source.batch, network.outputs_width), network.dtype)
        held = HeldSteps(values, source.sample_ends, network.both_ways)
        for passed in stage.chunks(opened, None, draw):
            for piece, h in network.outputs(passed.block, passed.tape):
                held.write(Part(piece.start, piece.start + len(h), piece.samples), h)
        return values

    def final(self, source: Source) -> Vector:
        """Return the state of all stages after their last chunks."""
        whole: Vector = self._whole.new_state(source.batch)
        for state in (super().final(source), *(one.final(source) for one in self._below)):
            for name, values in state.items():
                whole[name][...] = values
        return whole
