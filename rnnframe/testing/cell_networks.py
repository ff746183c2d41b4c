"""Checks of a cell in a network: in a stack, in chunks of uneven length, recomputed, and in threads."""

from typing import Any

import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.kernels import NUMPY
from rnnframe.data.draws import Draw
from rnnframe.engine.engine import Engine
from rnnframe.engine.inference import Inference
from rnnframe.network.network import Network
from rnnframe.testing.cell_suite import CellSuite
from rnnframe.testing.differences import DIRECTIONS, RESOLUTION
from rnnframe.testing.reference_stores import KeepAll, Recompute
from rnnframe.testing.suite import fail
from rnnframe.testing.tables import expect_close, expect_same_bits

STEPS, BATCH, OUTPUTS = 7, 3, 2


class CellNetworkChecks(CellSuite):
    """A cell among others."""

    def test_in_a_stack_the_gradients_of_the_loss_are_those_of_finite_differences(self) -> None:
        """Two layers and a readout: along random directions the loss changes as the gradient says."""
        network, data = self._network("float64"), self._data("float64")
        for chunk in (1, 3, STEPS):
            gradient = Engine(network, KeepAll(), chunk=chunk, kernels=NUMPY).gradients(*data).gradients.flat
            inference = Inference(network, chunk, NUMPY, draw=Draw(0, 0))  # the masks of an engine's first run
            rng = np.random.default_rng(5)
            for _ in range(DIRECTIONS):
                direction = rng.normal(size=gradient.shape) / np.sqrt(gradient.size)
                found = float(gradient @ direction)
                numeric = [_slope(inference, data, direction, step) for step in (1e-3, 1e-5)]
                near = self.tolerance * max(float(np.abs(gradient).max()), abs(found)) + RESOLUTION / 1e-3
                if min(abs(found - value) for value in numeric) > near:
                    fail(f"two layers, chunks of {chunk}: analytic slope {found:.12g}, numeric {numeric[0]:.12g}")

    def test_in_a_network_recomputed_blocks_give_the_same_bits(self) -> None:
        """Loss, gradients and state are equal to the last bit whether tapes are kept or made again."""
        for dtype in self.dtypes:
            for chunk in (1, 3, STEPS):
                network, data = self._network(dtype), self._data(dtype)
                kept, again = (
                    Engine(network, store, chunk=chunk, kernels=NUMPY).gradients(*data)
                    for store in (KeepAll(), Recompute())
                )
                for what in ("gradients", "state", "state_gradient"):
                    one: Vector = getattr(again, what)
                    other: Vector = getattr(kept, what)
                    for name in other:
                        place = f"{what} of {name}, chunks of {chunk}, {dtype},"
                        expect_same_bits(place, one[name], other[name], ("recomputed", "kept"))

    def test_in_threads_the_gradients_are_those_of_one(self) -> None:
        """Parts of the batch in threads of their own share the cell, and nothing else."""
        network, data = self._network("float64"), self._data("float64")
        one, two = (
            Engine(network, KeepAll(), chunk=3, shards=shards, kernels=NUMPY).gradients(*data) for shards in (1, 2)
        )
        for name, wanted in one.gradients.items():
            expect_close(f"gradient of {name}", two.gradients[name], wanted, 1e-10, ("two threads", "one"))

    def test_random_masks_are_the_same_for_every_chunk_length(self) -> None:
        """A mask follows from the draw, the layer, the sample and the step of the sequence, not from the block."""
        network, data = self._network("float64"), self._data("float64")
        one, *others = (Engine(network, KeepAll(), chunk=chunk, kernels=NUMPY) for chunk in (STEPS, 1, 3))
        wanted = one.gradients(*data)
        for engine in others:
            found, titles = engine.gradients(*data), (f"chunks of {engine.chunk}", "one chunk")
            for name, value in wanted.gradients.items():
                expect_close(f"gradient of {name}", found.gradients[name], value, 1e-10, titles)

    def test_random_masks_follow_the_draw_and_there_are_none_in_evaluation(self) -> None:
        """One draw gives the same bits each time; in evaluation a sample gives the same wherever it stands."""
        network, (x, _) = self._network("float64"), self._data("float64")
        for draw in (None, Draw(0, 0), Draw(0, 1)):
            first, second = (Inference(network, STEPS, NUMPY, draw=draw).predict(x)[0] for _ in range(2))
            expect_same_bits(f"predictions with {draw}", second, first, ("second", "first"))
        inference = Inference(network, STEPS, NUMPY)
        found, titles = inference.predict(x[:, ::-1])[0][:, ::-1], ("samples the other way round", "as they stand")
        expect_close("predictions", found, inference.predict(x)[0], 1e-10, titles)

    def _network(self, dtype: str) -> Network:
        cell = self.subject
        network = Network([cell, cell], f"mse:outputs={OUTPUTS}", self.inputs, dtype=dtype)
        rng = np.random.default_rng(3)
        network.parameters.flat[:] = rng.normal(scale=0.5, size=network.parameters.flat.shape)
        return network

    def _data(self, dtype: str) -> tuple[Array, Array]:
        rng = np.random.default_rng(4)
        x, y = rng.normal(size=(STEPS, BATCH, self.inputs)), rng.normal(size=(STEPS, BATCH, OUTPUTS))
        return x.astype(dtype), y.astype(dtype)


def _slope(inference: Inference[Any], data: tuple[Array, Array], direction: Array, step: float) -> float:
    network = inference.network
    start = network.parameters.flat.copy()
    values = []
    try:
        for factor in (1, -1, 2, -2):
            network.parameters.flat[:] = start + factor * step * direction
            values.append(inference.evaluate(*data).loss)
    finally:
        network.parameters.flat[:] = start
        network.weights.derive()
    near, far = values[0] - values[1], values[2] - values[3]
    return (8 * near - far) / (12 * step)
