"""Layers that would give wrong gradients without an error: refused, in one line that names the layer and its plugin."""

from typing import ClassVar

import attrs
import numpy as np
import pytest
from step_cells import StepElman

import rnnframe as rf
from rnnframe.errors import PluginError
from rnnframe.plugin import Cell, StepCell

STEPS, BATCH, INPUTS = 20, 3, 2


def data(dtype="float64"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(STEPS, BATCH, INPUTS)).astype(dtype), rng.normal(size=(STEPS, BATCH, 1)).astype(dtype)


def engine_of(*cells, **options):
    return rf.Engine(rf.Network(cells, "mse:outputs=1", INPUTS, dtype="float64"), **options)


@attrs.frozen(kw_only=True)
class Stateless(StepCell):
    """A cell whose step passes nothing on: its outputs were read one row too late."""

    name: ClassVar[str] = "stateless"
    reverse: ClassVar[str] = "auto"

    def parameters(self, inputs):
        return {"U": (inputs, self.hidden)}

    def state(self, inputs):
        return {}

    def tape(self, inputs):
        return {"h": self.hidden}

    def step(self, p, xU, state):
        return {"h": np.tanh(xU)}


@attrs.frozen(kw_only=True)
class Narrow(Cell):
    """A cell whose output is narrower than it says."""

    name: ClassVar[str] = "narrow"

    def parameters(self, inputs):
        return {}

    def initialize(self, parameters, rng):
        pass

    def state(self, inputs):
        return {"h": self.hidden - 1}

    def tape(self, inputs):
        return {"h": self.hidden - 1}

    def forward(self, block):
        block.tape["h"][1:] = 0

    def backward(self, block, dh, dstate, gradients, dx):
        pass


@pytest.mark.parametrize("place", [0, 1])
def test_a_cell_without_its_output_in_the_state_is_refused(place):
    cells = ["elman:hidden=4", "elman:hidden=4"]
    cells[place] = Stateless(hidden=4)
    with pytest.raises(PluginError, match=rf"layer{place}, cell 'stateless' of .*derive from rnnframe\.plugin\.Layer"):
        rf.Network(cells, "mse:outputs=1", INPUTS)


def test_an_output_of_another_width_is_refused():
    with pytest.raises(
        PluginError, match=r"layer0, cell 'narrow' of .*'h' is 3 wide in tape\(\); expected its width 4"
    ):
        rf.Network([Narrow(hidden=4)], "mse:outputs=1", INPUTS)


class Masks:
    """Where the cells of this file draw from."""

    rng = np.random.default_rng(0)


@attrs.frozen(kw_only=True)
class Dropping(StepElman):
    """Dropout as many would write it: a mask of its own at every call."""

    name: ClassVar[str] = "dropping"

    def step(self, p, xU, state):
        h = super().step(p, xU, state)["h"]
        return {"h": h * (Masks.rng.random(h.shape) > 0.5)}


@attrs.frozen(kw_only=True)
class Counting(StepElman):
    """A cell that keeps the number of its calls."""

    name: ClassVar[str] = "counting"
    calls: ClassVar[list[int]] = []

    def step(self, p, xU, state):
        self.calls.append(1)
        return {"h": np.tanh(xU + state["h"] @ p["W"] + p["b"]) / len(self.calls)}


@pytest.mark.parametrize("cell", [Dropping, Counting])
@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=2", "states", "circular-queue:k1=4,k2=8"])
@pytest.mark.parametrize("shards", [1, 2])
def test_a_chunk_that_is_not_the_same_again_is_refused(cell, store, shards):
    engine = engine_of("elman:hidden=4", cell(hidden=4), store=store, chunk=5, shards=shards)
    with pytest.raises(PluginError, match=r"a chunk, run twice, gave other values of 'h'") as raised:
        engine.gradients(*data())
    assert any(f"layer1, cell '{cell.name}' of" in note for note in raised.value.__notes__)


def test_a_cell_that_draws_is_refused_in_a_sweep_too():
    engine = engine_of(Dropping(hidden=4))
    with pytest.raises(PluginError, match="run twice"):
        engine.sweep(data()[0], lambda part, outputs: outputs)


def test_the_check_changes_no_bit_and_runs_twice_from_zeros_and_from_another_state():
    calls = []

    @attrs.frozen(kw_only=True)
    class Told(StepElman):
        name: ClassVar[str] = "told"

        def forward(self, block):
            calls.append(block.start)
            super().forward(block)

    expected = engine_of("elman:hidden=4", kernels="numpy", chunk=5).gradients(*data())
    engine = engine_of(Told(hidden=4), chunk=5)
    engine.network.parameters.flat[:] = rf.Network(
        ["elman:hidden=4"], "mse:outputs=1", INPUTS, dtype="float64"
    ).parameters.flat
    first, second = engine.gradients(*data()), engine.gradients(*data())
    assert calls == [0, 0, 5, 5, 10, 15, 0, 5, 10, 15]
    assert np.array_equal(first.gradients.flat, second.gradients.flat)
    assert first.loss == pytest.approx(expected.loss, rel=1e-12)


def test_evaluation_runs_nothing_twice():
    engine = engine_of(Dropping(hidden=4))
    assert np.isfinite(engine.evaluate(*data()).loss)  # dropout that is on, but no gradient follows from it
