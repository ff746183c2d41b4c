"""Checks of a cell's `backward`: right, added, and free of what was not declared."""

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.testing.blocks import Bench, Given
from rnnframe.testing.cell_suite import CellSuite
from rnnframe.testing.differences import expect_slopes
from rnnframe.testing.suite import fail, skip
from rnnframe.testing.tables import expect_close, expect_same_bits

ROUNDING = 1e-11  # of float64 sums in another order, relative to the largest entry


class CellGradientChecks(CellSuite):
    """The gradients of a block of a cell."""

    def test_gradients_are_those_of_finite_differences(self) -> None:
        """For every parameter, for dense x and for every state: what `backward` gives is the slope of the outputs."""
        for bench, given in self.cases():
            if given.x.ndim == 3:
                self._expect_slopes(bench, given)

    def test_gradients_of_looked_up_inputs_are_those_of_finite_differences(self) -> None:
        """The same where x holds row numbers of U."""
        self._only_with_lookup()
        for bench, given in self.cases():
            if given.x.ndim == 2:
                self._expect_slopes(bench, given)

    def test_a_looked_up_row_is_the_product_with_a_row_of_the_identity(self) -> None:
        """x = k gives what the dense x that is one at k and zero elsewhere gives, forward and backward."""
        self._only_with_lookup()
        for bench, given in self.cases():
            if given.x.ndim == 3:
                continue
            one_hot = Given(np.eye(self.inputs)[given.x], given.state, given.dh, given.dstate)
            looked_up, dense = bench.block(given).run(), bench.block(one_hot).run()
            titles = "looked up", "dense"
            expect_close(f"outputs, {given.where}", looked_up.outputs, dense.outputs, ROUNDING, titles)
            found = looked_up.slopes()
            for name, wanted in dense.slopes().items():
                if name != "x":
                    expect_close(f"gradient of {name}, {given.where}", found[name], wanted, ROUNDING, titles)

    def test_backward_adds_into_the_gradients(self) -> None:
        """What was in the gradients stays: reversing twice gives twice as much, and starting elsewhere adds to that."""
        for bench, given in self.cases():
            block = bench.block(given).run()
            once = block.gradients.contents()
            block.backward()
            titles = "found", "expected"
            hint = "add into gradients, as in gradients[name] += ..."
            for name, array in block.gradients.items():
                expect_close(f"gradient of {name} after two reverses ({hint})", array, 2 * once[name], ROUNDING, titles)
            start = np.random.default_rng(0)
            begun = {name: start.normal(size=array.shape) for name, array in once.items()}
            for name, array in block.gradients.items():
                array[...] = begun[name]
            block.backward()
            for name, array in block.gradients.items():
                wanted = begun[name] + once[name]
                expect_close(f"gradient of {name} added to another ({hint})", array, wanted, 1e-10, titles)

    def test_the_gradient_of_the_inputs_is_written_everywhere_and_only_when_asked_for(self) -> None:
        """dx holds no stale value afterwards, and dx=None changes nothing else."""
        for bench, given in self.cases():
            asked, unasked = bench.block(given), bench.block(given)
            for block in (asked, unasked):
                block.forward()
            asked.backward()
            unasked.backward(dx=False)
            if np.isnan(asked.buffers["dx"]).any():
                fail(f"dx is not written everywhere, {given.where}: {_missing(asked.buffers['dx'])}")
            if not np.isnan(unasked.buffers["dx"]).all():
                fail("backward writes into dx though it was given None")
            found, wanted = unasked.slopes(), {k: v for k, v in asked.slopes().items() if k != "x"}
            self._expect_same(f"with dx=None, {given.where}", found, wanted)

    def test_x_may_be_columns_of_a_wider_block_where_the_cell_says_so(self) -> None:
        """Where `accepts_strided_steps` holds, x whose steps are apart gives the bits of a dense one."""
        cases = [(bench, given) for bench, given in self.cases() if bench.cell.accepts_strided_steps(bench.inputs)]
        if not cases:
            skip("the cell takes dense blocks alone")
        for bench, given in cases:
            dense, block = bench.block(given).run(), bench.block(given)
            steps, batch, *rest = given.x.shape
            wide = np.full((steps, batch + 3, *rest), 0 if not rest else np.nan, given.x.dtype)
            block.x = wide[:, 1 : 1 + batch]
            block.x[...] = given.x
            block.run()
            self._expect_same(f"of columns, {given.where}", dict(block.tape), dict(dense.tape))
            self._expect_same(f"of columns, {given.where}", block.slopes(), dense.slopes())

    def test_backward_needs_nothing_but_what_it_is_handed(self) -> None:
        """Nothing is kept aside in forward: neither another block in between nor spoilt buffers change anything."""
        for bench, given in self.cases():
            straight = bench.block(given).run()
            block = bench.block(given)
            block.forward()
            x, block.x = block.x, given.x.copy()
            x.fill(0 if given.x.ndim == 2 else np.nan)
            block.scratch.fill(np.nan)
            steps, batch = given.x.shape[:2]
            bench.block(bench.given(steps + 2, batch + 1, seed=77, lookup=given.x.ndim == 2)).run()
            block.backward()
            self._expect_same(f"after another block, {given.where}", block.slopes(), straight.slopes())
            found = block.slopes()
            block.scratch.fill(np.nan)
            block.buffers["dh"].fill(np.nan)
            block.tape.fill(np.nan)
            self._expect_same("after tape, dh and working arrays were used again", block.slopes(), found)

    def test_backward_leaves_tape_inputs_and_weights_as_they_are(self) -> None:
        """Overlapping windows reverse one tape several times."""
        for bench, given in self.cases():
            block = bench.block(given)
            block.forward()
            tape, weights = block.tape.contents(), bench.weights.contents()
            block.backward()
            if not np.array_equal(block.x, given.x):
                fail("backward writes into x")
            for what, now, before in (("tape", block.tape, tape), ("weights", bench.weights, weights)):
                for name, array in before.items():
                    expect_same_bits(f"{what}[{name!r}] after backward", now[name], array, ("after", "before"))
            once = block.slopes()
            block.gradients.fill(0)
            block.backward()
            self._expect_same("at the second reverse of one tape", block.slopes(), once)

    def test_backward_computes_the_same_whatever_the_buffers_held(self) -> None:
        """Stale values in working arrays and dx have no effect, to the last bit."""
        for bench, given in self.cases():
            wanted = bench.block(given).run().slopes()
            for garbage in (0.0, 1e3):
                block = bench.block(given)
                block.forward()
                block.backward(garbage)
                self._expect_same(f"working arrays filled with {garbage}, {given.where}", block.slopes(), wanted)

    def test_two_blocks_give_the_gradients_of_one(self) -> None:
        """Cutting a block anywhere changes nothing but the rounding: dstate is carried from block to block."""
        for bench, given in self.cases():
            steps = len(given.x)
            whole = bench.block(given).run()
            for cut in range(1, steps):
                first = bench.block(given.part(0, cut, given.state, given.dstate))
                first.forward()
                after = {name: value.copy() for name, value in first.last_state.items()}
                second = bench.block(given.part(cut, steps, after, given.dstate)).run()
                carried = second.dstate.contents()
                for name, array in first.gradients.items():
                    array[...] = second.gradients[name]
                first.given = given.part(0, cut, given.state, carried)
                first.backward()
                found = {**first.slopes(), "x": np.concatenate([first.buffers["dx"], second.buffers["dx"]])}
                for name, wanted in whole.slopes().items():
                    what = f"gradient of {name}, {given.where} cut after {cut}"
                    expect_close(what, found[name], wanted, ROUNDING, ("two blocks", "one block"))

    def _only_with_lookup(self) -> None:
        if not self.looked_up:
            skip("x is never looked up")

    def _expect_slopes(self, bench: Bench, given: Given) -> None:
        block = bench.block(given).run()
        slopes = block.slopes()

        def loss() -> float:
            bench.derive()
            block.forward()
            return block.loss()

        points = {name: bench.weights[name] for name in bench.parameters}
        points |= {f"state {name}": value for name, value in given.state.items()}
        points |= {"x": block.x} if given.x.ndim == 3 else {}
        for name, point in points.items():
            expect_slopes(f"gradient of {name}, {given.where},", slopes[name], point, loss, self.tolerance, seed=0)

    def _expect_same(self, what: str, found: Arrays, wanted: Arrays) -> None:
        for name, value in wanted.items():
            expect_same_bits(f"gradient of {name} {what}", found[name], value, ("found", "expected"))


def _missing(array: Array) -> str:
    return f"still NaN at {np.argwhere(np.isnan(array))[0].tolist()}"
