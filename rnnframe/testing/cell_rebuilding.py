"""Checks of a cell whose tape need not be kept as a whole."""

from rnnframe.contracts.retention import TapeRetention
from rnnframe.testing.blocks import Block
from rnnframe.testing.cell_suite import CellSuite
from rnnframe.testing.suite import fail, skip
from rnnframe.testing.tables import expect_close, expect_same_bits

ROUNDING = 1e-10
TITLES = "rebuilt", "kept"


class CellRebuildingChecks(CellSuite):
    """What `retained_arrays` leaves out of a tape, and `rebuild` makes again."""

    def test_what_a_whole_tape_leaves_out_is_made_again_bit_for_bit(self) -> None:
        """What `retained_arrays("whole")` leaves out, `rebuild` makes again to the last bit."""
        for block, whole in self._rebuilt("whole"):
            for name, array in whole.tape.items():
                expect_same_bits(f"tape[{name!r}], {block.given.where},", block.tape[name], array, TITLES)

    def test_a_lean_tape_is_made_again_bit_for_bit(self) -> None:
        """What `retained_arrays("lean")` leaves out, `rebuild` makes again to the last bit."""
        for block, whole in self._rebuilt("lean"):
            for name, array in whole.tape.items():
                what = f"tape[{name!r}], {block.given.where},"
                expect_same_bits(what, block.tape[name], array, TITLES)

    def test_a_tape_of_states_is_made_again_to_rounding(self) -> None:
        """`rebuild` makes what `retained_arrays("states")` leaves out; the gradients are the same to rounding."""
        for block, whole in self._rebuilt("states"):
            for name, array in whole.tape.items():
                expect_close(f"tape[{name!r}], {block.given.where},", block.tape[name], array, ROUNDING, TITLES)
            block.backward()
            whole.backward()
            for name, value in whole.slopes().items():
                if name != "x" or block.given.x.ndim == 3:
                    what = f"gradient of {name}, {block.given.where},"
                    expect_close(what, block.slopes()[name], value, ROUNDING, TITLES)

    def _rebuilt(self, retention: TapeRetention) -> list[tuple[Block, Block]]:
        """Return blocks with a rebuilt tape beside blocks that kept it."""
        cell = self.subject
        kept, whole = set(cell.retained_arrays(self.inputs, retention)), set(cell.tape(self.inputs))
        if not kept <= whole:
            fail(f"retained_arrays({retention!r}) names {sorted(kept - whole)}, which tape() does not have")
        if kept == whole:
            skip(f"retained_arrays({retention!r}) keeps all of the tape")
        pairs = []
        for bench, given in self.cases():
            block, twin = bench.block(given), bench.block(given)
            block.forward()
            twin.forward()
            weights = bench.weights.contents()
            block.rebuild(retention)
            block.verify("rebuild")
            for name in kept:
                what = f"tape[{name!r}], which was kept,"
                expect_same_bits(what, block.tape[name], twin.tape[name], ("after rebuild", "before"))
            for name, array in weights.items():
                expect_same_bits(f"weights[{name!r}]", bench.weights[name], array, ("after rebuild", "before"))
            pairs.append((block, twin))
        return pairs
