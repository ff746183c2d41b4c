"""Where a NaN or an infinity came from: looked for only after a loss or a gradient turned out not to be finite."""

from collections.abc import Iterator

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.data.batch import Batch
from rnnframe.data.both_ways import BothWays
from rnnframe.data.draws import Draw
from rnnframe.data.held import HeldSteps, Links
from rnnframe.data.source import Source
from rnnframe.data.staging import Staging
from rnnframe.network.network import Network

CHUNK = 64
"""Steps that are run at once."""


@np.errstate(all="ignore")
def first_non_finite(network: Network, batch: Batch, state: Arrays | None, draw: Draw | None = None) -> str:
    """Return the first place of a forward sweep that holds a value which is not finite: step, layer and array.

    Step 0 is the batch's first. Weights come before steps; where all steps are finite, the gradient alone is not.
    """
    for name, view in network.parameters.items():
        if not np.isfinite(view).all():
            return f"the parameters {name}, before any step"
    for start, number, arrays in _layers(network, batch, state, draw):
        broken = {name: _first_step(array) for name, array in arrays.items()}
        found = [(step, name) for name, step in broken.items() if step is not None]
        if found:
            step, name = min(found)
            layer = "the head" if number >= len(network.layers) else network.layers[number].prefix
            return f"step {start + step}, {layer} ({name})"
    return "the reverse sweep: every value of the forward sweep is finite"


def _layers(
    network: Network, batch: Batch, state: Arrays | None, draw: Draw | None
) -> Iterator[tuple[int, int, Arrays]]:
    """Run a batch forward, piece by piece; yield first step, number of the layer, and the arrays [steps, ...] made."""
    network.derive_forward(draw)
    stages = network.stages
    if not stages:
        yield from _layers_of(network, network.open_inputs(batch), state, draw)
        return
    source = network.open_inputs(batch)
    assert isinstance(source, BothWays)  # as a network with stages opens it
    x = batch.x
    for stage in stages:
        left = np.empty((source.length, source.batch, stage.outputs_width), stage.dtype)
        outputs = HeldSteps(left, source.sample_ends, stage.both_ways) if stage is not stages[-1] else None
        opened = stage.open_inputs(source.batch_of(x, targets=False))
        yield from _layers_of(stage.linked(Links(outputs=outputs)), opened, None, draw)
        x = left


def _layers_of(
    network: Network, source: Source, state: Arrays | None, draw: Draw | None
) -> Iterator[tuple[int, int, Arrays]]:
    """Do the same with a network of one sweep."""
    (columns,) = source.deal(1)
    assert source.steps is not None  # a batch has an end
    steps, start, longest = min(CHUNK, source.steps), 0, source.steps
    running, tape = network.new_state(source.batch), network.new_tapes(steps, source.batch).make()
    scratch = network.new_scratch(steps, source.batch)
    network.fill_state(running, state, source.batch, columns)
    staging = Staging()
    while start != source.steps and (block := source.block(start, min(start + steps, longest), columns, staging)):
        network.forward(network.weights, block.drawn(draw), running, tape, scratch)
        staging.begin()
        begin = start
        for arrays in tape.pieces:
            for layer, made in zip(network.layers, arrays, strict=True):
                states = layer.state
                yield begin, layer.number, {name: a[1:] if name in states else a for name, a in made.items()}
            top = network.layers[-1].output(arrays[-1])
            yield begin, network.layers[-1].number + 1, {"outputs": network.readout(network.weights, top, scratch)}
            begin += len(top)
        start += block.steps


def _first_step(array: Array) -> int | None:
    """Return the first step [steps, ...] at which an array is not finite."""
    wrong = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return int(wrong.argmax()) if wrong.any() else None
