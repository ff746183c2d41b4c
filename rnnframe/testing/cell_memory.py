"""The checks of the suite of cells that compare what a block allocates with what the cell declares."""

import tracemalloc

from rnnframe.testing.blocks import Bench
from rnnframe.testing.cell_suite import CellSuite
from rnnframe.testing.suite import fail

OBJECTS = 512
"""Bytes that a cell may take for each step of a block, whatever the samples: views, and other objects of Python."""


class CellMemoryChecks(CellSuite):
    """What a block takes for itself."""

    def test_working_arrays_are_declared(self) -> None:
        """Nothing that grows with the steps of a block is made beside the declared arrays: budgets rest on them."""
        steps, samples = (32, 128), 128
        for direction in ("forward", "backward"):
            peaks = [_peak(self.bench(), count, samples, direction) for count in steps]
            beyond = (peaks[1] - peaks[0]) / (steps[1] - steps[0])
            if beyond > OBJECTS:
                fail(
                    f"{direction} makes {beyond / samples:.0f} bytes of its own for each sample and step; write into "
                    "arrays that scratch(inputs) declares, by out="
                )


def _peak(bench: Bench, steps: int, samples: int, direction: str) -> int:
    """Return the most bytes that a direction of a block takes at a time beside those that are there."""
    block = bench.block(bench.given(steps, samples))
    block.forward()
    run = block.forward if direction == "forward" else block.backward
    run()  # what is made once
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
