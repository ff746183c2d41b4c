"""The conformance suite of cells."""

from typing import get_args

import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.retention import TapeRetention
from rnnframe.registry.specs import with_inner_layers
from rnnframe.testing.blocks import Block
from rnnframe.testing.cell_gradients import ROUNDING, CellGradientChecks
from rnnframe.testing.cell_memory import CellMemoryChecks
from rnnframe.testing.cell_networks import CellNetworkChecks
from rnnframe.testing.cell_rebuilding import CellRebuildingChecks
from rnnframe.testing.guarded import Guarded
from rnnframe.testing.products import WatchedBlock
from rnnframe.testing.suite import CheckReport, fail, run, skip
from rnnframe.testing.tables import expect_close, expect_same_bits


class CellTests(CellMemoryChecks, CellRebuildingChecks, CellNetworkChecks, CellGradientChecks):
    """All that a cell must hold to.

        class TestMyCell(rnnframe.testing.CellTests):
            cell = MyCell(hidden=5)

    cell: the cell or its spec; a few units are enough. inputs: the width of x. lookup: False for a cell that takes no
    integers.
    """

    def test_initialize_fills_every_parameter_and_follows_the_generator(self) -> None:
        """No parameter is left unset or not finite, and one seed always gives the same values."""
        cell: Layer = self.subject
        shapes = cell.parameters(self.inputs)
        for dtype in self.dtypes:
            first, second = (Guarded("parameters", shapes, np.dtype(dtype)) for _ in range(2))
            for parameters in (first, second):
                cell.initialize(parameters.handed(), np.random.default_rng(7))
                parameters.verify("initialize")
                np.random.default_rng().random()
            for name, array in first.items():
                if not np.isfinite(array).all():
                    fail(f"initialize leaves {name!r} unset or not finite: {array[~np.isfinite(array)][0]}")
                what = f"parameter {name!r} drawn twice from one seed (draw from the generator that is handed in)"
                expect_same_bits(what, second[name], array, ("second", "first"))

    def test_derived_arrays_follow_from_the_parameters_alone(self) -> None:
        """`derive` and `derive_reverse` fill them all, whatever they held, and leave the parameters alone."""
        bench = self.bench()
        before = bench.weights.contents()
        bench.draw(1)
        other = bench.weights.contents()
        bench.draw(0)
        for name in bench.weights.keys() - set(bench.parameters):
            if not np.isfinite(bench.weights[name]).all():
                fail(f"derive leaves {name!r} unset or not finite")
        for name, array in before.items():
            what = f"{name!r} after other parameters were there in between"
            expect_same_bits(what, bench.weights[name], array, ("after", "before"))
        for name in bench.parameters:
            bench.weights[name][...] = other[name]
        self.subject.derive(bench.weights.handed())  # over the values of before, not over NaN
        self.subject.derive_reverse(bench.weights.handed())
        for name, array in other.items():
            what = f"{name!r} derived over stale values"
            expect_same_bits(what, bench.weights[name], array, ("found", "expected"))
        bench.weights.verify("derive")

    def test_forward_reads_no_array_that_is_derived_for_the_reverse_alone(self) -> None:
        """Where nothing is reversed, `derive_reverse` is not called."""
        bench = self.bench()
        given = bench.given(3, 2)
        expected = self._forward(bench.block(given))
        for name in bench.weights.keys() - set(bench.parameters):
            bench.weights[name].fill(np.nan)
        self.subject.derive(bench.weights.handed())
        found = self._forward(bench.block(given))
        for name, wanted in expected.tape.items():
            what = f"tape[{name!r}] without derive_reverse"
            expect_same_bits(what, found.tape[name], wanted, ("found", "expected"))

    def test_forward_follows_the_weights_that_it_is_handed(self) -> None:
        """No copy of the weights is kept from one block to the next."""
        bench, other = self.bench(0), self.bench(1)
        given = bench.given(3, 2)
        first = self._forward(bench.block(given))
        self._forward(other.block(given))
        bench.draw(1)
        expected, found = self._forward(other.block(given)), self._forward(bench.block(given))
        for name, wanted in expected.tape.items():
            expect_same_bits(
                f"tape[{name!r}] after the weights changed", found.tape[name], wanted, ("found", "expected")
            )
        if bench.parameters and all(np.array_equal(array, first.tape[name]) for name, array in found.tape.items()):
            fail("the outputs do not depend on the weights")

    def test_forward_writes_all_of_its_tape_and_nothing_else(self) -> None:
        """All of the tape is set but row 0 of the states; that, x, the weights and all other memory are untouched."""
        for dtype in self.dtypes:
            for bench, given in self.cases(dtype):
                weights = bench.weights.contents()
                block = self._forward(bench.block(given))
                block.verify("forward")
                if not np.array_equal(block.x, given.x):
                    fail("forward writes into x")
                for name, array in weights.items():
                    expect_same_bits(
                        f"weights[{name!r}] after forward", bench.weights[name], array, ("after", "before")
                    )
                for name, value in given.state.items():
                    what = f"tape[{name!r}][0], the state before the block,"
                    expect_same_bits(what, block.tape[name][0], value, ("after", "before"))
                for name, array in block.tape.items():
                    if np.isnan(array).any():
                        place = np.argwhere(np.isnan(array))[0].tolist()
                        fail(
                            f"tape[{name!r}] is NaN at {place}, {given.where}: forward does not write it, "
                            "or reads what it has not written"
                        )

    def test_backward_writes_nothing_but_its_results(self) -> None:
        """Gradients, dstate, dx, dh and working arrays are written in place, and nothing beside them."""
        for dtype in self.dtypes:
            for bench, given in self.cases(dtype):
                block = bench.block(given).run()
                block.verify("backward")
                for name, value in block.slopes().items():
                    if not np.isfinite(value).all() and not (name == "x" and given.x.ndim == 2):
                        fail(f"gradient of {name} is not finite, {given.where}: backward reads what was not written")

    def test_forward_computes_the_same_whatever_the_buffers_held(self) -> None:
        """A recomputed block gives the same tape and state to the last bit, over any stale values."""
        for bench, given in self.cases():
            wanted = self._forward(bench.block(given))
            for garbage in (np.nan, 0.0, 1e3):
                again = bench.block(given)
                again.forward(garbage)
                for name, array in wanted.tape.items():
                    what = f"tape[{name!r}] over buffers filled with {garbage}, {given.where}"
                    expect_same_bits(what, again.tape[name], array, ("again", "first"))

    def test_two_blocks_give_the_states_of_one(self) -> None:
        """Cutting a block anywhere changes nothing but the rounding."""
        for bench, given in self.cases():
            whole = self._forward(bench.block(given))
            for cut in range(1, len(given.x)):
                first = self._forward(bench.block(given.part(0, cut, given.state, given.dstate)))
                after = {name: value.copy() for name, value in first.last_state.items()}
                second = self._forward(bench.block(given.part(cut, len(given.x), after, given.dstate)))
                for name in given.state:
                    what = f"state {name!r} after {given.where} cut after {cut}"
                    titles = "two blocks", "one block"
                    expect_close(what, second.last_state[name], whole.last_state[name], ROUNDING, titles)

    def test_float32_gives_the_numbers_of_float64_to_its_precision(self) -> None:
        """Both precisions compute the same function."""
        if "float32" not in self.dtypes:
            skip("the cell does not compute in float32")
        for (single, given), (double, _) in zip(self.cases("float32"), self.cases("float64"), strict=True):
            for name in double.parameters:
                double.weights[name][...] = single.weights[name]
            double.derive()
            a, b = single.block(given).run(), double.block(given).run()
            for name in a.tape:
                what = f"tape[{name!r}], {given.where},"
                expect_close(what, a.tape[name], b.tape[name], 1e-3, ("float32", "float64"))
            for name, value in b.slopes().items():
                if name != "x" or given.x.ndim == 3:
                    what = f"gradient of {name}, {given.where},"
                    expect_close(what, a.slopes()[name], value, 1e-3, ("float32", "float64"))

    def test_declared_working_arrays_are_used(self) -> None:
        """No part of a working array is declared and never touched, in any direction and with any kind of input."""
        touched: dict[str, Array] = {}
        sizes = dict(self.subject.scratch(self.inputs))
        for bench, given in self.cases():
            if given.x.shape[:2] != (5, 3):
                continue
            block = bench.block(given)
            block.forward()
            seen = {name: ~np.isnan(array) for name, array in block.scratch.items()}
            block.backward()
            for name, array in block.scratch.items():
                used = seen[name] | ~np.isnan(array)
                touched[name] = touched[name] | used if name in touched else used
        for name, used in touched.items():
            axes = range(used.ndim) if isinstance(sizes[name], tuple) else [used.ndim - 1]
            for axis in axes:
                along = used.any(axis=tuple(other for other in range(used.ndim) if other != axis))
                if not along.all():
                    fail(
                        f"scratch(inputs)[{name!r}] is {sizes[name]}: of {along.size} items along its axis {axis} "
                        f"only {int(along.sum())} are used; declare no more than is needed"
                    )

    def test_derived_arrays_are_used(self) -> None:
        """No array is derived that neither direction reads."""
        for name in self.bench().weights.keys() - set(self.bench().parameters):
            for bench, given in self.cases():
                before = {**self._forward(bench.block(given)).tape, **bench.block(given).run().slopes()}
                bench.weights[name].fill(np.nan)
                after = {**self._forward(bench.block(given)).tape, **bench.block(given).run().slopes()}
                if any(not np.array_equal(before[key], after[key], equal_nan=True) for key in before):
                    break
            else:
                fail(f"derived(inputs)[{name!r}] is never read; leave it out")

    def test_a_layer_that_says_it_multiplies_nothing_computes_no_product_of_matrices(self) -> None:
        """`multiplies` is false where a precision has no operands to round. A row that is looked up is no product."""
        if any(layer.multiplies for layer in with_inner_layers([self.subject])):
            skip("the layer multiplies matrices, or one in its brackets does")
        for bench, given in self.cases():
            if given.x.ndim == 2 or not self.looked_up:
                block: Block = WatchedBlock(bench, given)
                block.forward()
                block.backward(dx=given.x.ndim == 3)
                for retention in get_args(TapeRetention):
                    block.rebuild(retention)

    def _forward(self, block: Block) -> Block:
        block.forward()
        return block


def check_cell(cell: Layer | str, inputs: int = 4) -> CheckReport:
    """Put a cell through `CellTests` without pytest."""
    suite = type("Checked", (CellTests,), {"cell": cell, "inputs": inputs})
    return run(suite())
