"""Layers that are no cells: without a state, with an output of another name, alone or between cells."""

from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.plugin import Layer, add_column_sums, add_product, hookimpl, panel_shape, rows, write_input_gradient
from rnnframe.testing import CellTests, check_gradients, run


@attrs.frozen(kw_only=True)
class Dense(Layer):
    """y_t = tanh(x_t U + b), with no state."""

    name: ClassVar[str] = "tanh-units"
    output: ClassVar[str] = "y"
    units: int = 4

    def width(self, inputs):
        return self.units

    def parameters(self, inputs):
        return {"U": (inputs, self.units), "b": (self.units,)}

    def initialize(self, parameters, rng):
        parameters["U"][...] = rng.normal(size=parameters["U"].shape)
        parameters["b"].fill(0)

    def tape(self, inputs):
        return {"y": self.units}

    def scratch(self, inputs):
        return {"dz": self.units, "panel": panel_shape(inputs, self.units)}

    def forward(self, block):
        y = block.tape["y"]
        np.matmul(rows(block.x), block.weights["U"], out=rows(y))
        y += block.weights["b"]
        np.tanh(y, out=y)

    def backward(self, block, dh, dstate, gradients, dx):
        y, dz = block.tape["y"], block.scratch["dz"]
        np.multiply(y, y, out=dz)
        np.subtract(1, dz, out=dz)
        dz *= dh
        add_product(block.x, dz, gradients["U"], block.scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, block.weights["U"], dx)


STACKS = {
    "alone": [Dense(units=3)],
    "below a cell": [Dense(units=5), "lstm:hidden=4"],
    "above a cell": ["gru:hidden=4", Dense(units=3)],
    "between cells": ["elman:hidden=4", Dense(units=6), "lstm:hidden=3"],
}


@pytest.mark.parametrize("lengths", [None, [11, 2, 7]], ids=["whole", "lengths"])
@pytest.mark.parametrize("store", ["full-history", "checkpoint:policy=revolve,slots=1"])
@pytest.mark.parametrize("cells", STACKS.values(), ids=STACKS)
def test_a_layer_without_a_state_has_the_gradients_of_differences(cells, store, lengths):
    network = rf.Network(cells, "mse:outputs=2", 3, dtype="float64")
    network.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.5, size=network.parameters.flat.shape)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(11, 3, 3)), rng.normal(size=(11, 3, 2))
    check_gradients(rf.Engine(network, store, chunk=3), x, y, lengths=lengths)


def test_no_step_is_lost_and_every_store_gives_the_same_bits():
    network = rf.Network([Dense(units=3)], "mse:outputs=2", 3, dtype="float64")
    x = np.random.default_rng(1).normal(size=(11, 3, 3))
    y = np.zeros((11, 3, 2))
    predicted, state = rf.Inference(network).predict(x)
    p = network.parameters
    assert np.allclose(predicted, np.tanh(x @ p["layer0.U"] + p["layer0.b"]) @ p["head.V"] + p["head.c"])
    assert list(state) == []
    found = [rf.Engine(network, store, chunk=3).gradients(x, y) for store in ("full-history", "checkpoint", "states")]
    assert len({result.gradients.flat.tobytes() for result in found}) == 1
    assert len({result.loss for result in found}) == 1


def test_a_layer_passes_the_suite_of_cells_without_looking_things_up():
    report = run(type("TestDense", (CellTests,), {"cell": Dense(units=3), "lookup": False})())
    assert report.passed, str(report)


def test_a_layer_is_a_plugin_like_any_cell():
    class Plugin:
        @hookimpl
        def rnnframe_cells(self):
            return [Dense]

    registry = rf.Registry.installed()
    registry.register(Plugin(), "tanh-units")
    network = rf.Network(["tanh-units:units=7", "lstm:hidden=3"], "mse", 2, registry=registry)
    assert network.parameters["layer1.U"].shape == (7, 12)
    assert network.specs()["cells"][0] == "tanh-units:units=7"


def test_what_a_cell_is_handed_says_where_it_is():
    seen = []

    class Watching(type(rf.cell("elman"))):
        def forward(self, block):
            samples = list(range(6))[block.samples] if isinstance(block.samples, slice) else block.samples.tolist()
            seen.append((block.layer, block.start, block.steps, samples, block.training, block.inputs))
            super().forward(block)

    network = rf.Network([Watching(hidden=2)], "mse", 3)
    x, y = np.zeros((5, 6, 3)), np.zeros((5, 6, 1))
    engine = rf.Engine(network, chunk=3, shards=2, kernels="numpy", seed=7)
    engine.gradients(x, y)  # the first chunks of a layer from elsewhere are run twice
    seen.clear()
    engine.gradients(x, y)
    assert sorted(seen) == [
        (0, 0, 3, [0, 1, 2], True, 3),
        (0, 0, 3, [3, 4, 5], True, 3),
        (0, 3, 2, [0, 1, 2], True, 3),
        (0, 3, 2, [3, 4, 5], True, 3),
    ]
    assert engine.draws == 2
    seen.clear()
    engine.predict(x)
    assert {training for *_, training, _ in seen} == {False}
    seen.clear()
    lengths = np.array([5, 1, 3, 3, 2, 4])
    rf.Engine(network, chunk=5, shards=1, kernels="numpy").gradients(x, y, lengths=lengths)
    for _, start, steps, samples, _, _ in seen:
        assert all(start + steps <= lengths[sample] for sample in samples)
    assert sum(steps * len(samples) for _, _, steps, samples, _, _ in seen) == lengths.sum()


def test_a_first_layer_that_cannot_be_looked_up_in_is_named() -> None:
    with pytest.raises(rf.RnnframeError, match=r"the first layer, dropout:.*, has no parameter U"):
        rf.Network(cells=["dropout", "gru:hidden=3"], head="softmax:classes=4", inputs=4, embedding_std=2.0)
