"""What all checks of a cell share: the cell, the cases that it is put through, and what it declares."""

from collections.abc import Iterator
from typing import ClassVar

from rnnframe.contracts.cell import Cell
from rnnframe.testing.blocks import Bench, Given
from rnnframe.testing.suite import Suite, fail

SHAPES = ((5, 3), (4, 1), (1, 3), (1, 1))  # steps and batch of a block


class CellSuite(Suite):
    """A cell and the inputs that it is tried with.

    cell: the cell or its spec, with few units, as differences are taken along every parameter. inputs: the width of x.
    lookup: whether x may also be integers that are looked up in U. tolerance: of differences, relative to the largest
    entry of an array. seeds: of parameters and data. dtypes: what the cell computes in; "float64" must be among them.
    """

    kind: ClassVar[str] = "cell"
    cell: ClassVar[Cell | str]
    inputs: ClassVar[int] = 4
    lookup: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-6
    seeds: ClassVar[tuple[int, ...]] = (0, 1)
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")

    def bench(self, seed: int = 0, dtype: str = "float64") -> Bench:
        """Return the cell with random parameters."""
        subject: Cell = self.subject
        return Bench(subject, self.inputs, dtype, seed)

    def cases(self, dtype: str = "float64") -> Iterator[tuple[Bench, Given]]:
        """Yield the cell with inputs of every kind and shape."""
        for seed in self.seeds:
            for steps, batch in SHAPES:
                for lookup in (False, True)[: 1 + self.lookup]:
                    bench = self.bench(seed, dtype)
                    yield bench, bench.given(steps, batch, seed, lookup=lookup)

    def test_what_the_cell_declares_fits_together(self) -> None:
        """Names and sizes of parameters, state, tape, working arrays and derived arrays can be made into buffers."""
        cell: Cell = self.subject
        state, tape, parameters = dict(cell.state()), dict(cell.tape()), dict(cell.parameters(self.inputs))
        derived, scratch = dict(cell.derived(self.inputs)), dict(cell.scratch(self.inputs))
        for where, widths in (("state", state), ("tape", tape)):
            if widths.get("h") != cell.hidden:
                fail(f"{where}()['h'] is {widths.get('h')}; h is the output, so its width is hidden={cell.hidden}")
            for name, width in widths.items():
                _expect_sizes(f"{where}()[{name!r}]", (width,))
        for name in state.keys() & tape.keys():
            if state[name] != tape[name]:
                fail(f"{name!r} has the width {state[name]} in state() and {tape[name]} in tape(); they are one array")
        for where, shapes in (("parameters", parameters), ("derived", derived), ("scratch", scratch)):
            for name, shape in shapes.items():
                _expect_sizes(f"{where}(inputs)[{name!r}]", shape if isinstance(shape, tuple) else (shape,))
        if not parameters:
            fail("parameters(inputs) is empty; a cell without parameters has nothing to learn")
        for name in parameters.keys() & derived.keys():
            fail(f"{name!r} is in parameters() and in derived(); give the derived array a name of its own")
        for name in (*state, *tape, *parameters, *derived, *scratch):
            if not isinstance(name, str) or not name or "." in name:
                fail(f"{name!r} is no name for an array; use letters without a dot")


def _expect_sizes(what: str, sizes: tuple[object, ...]) -> None:
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        fail(f"{what} is {sizes if len(sizes) > 1 else sizes[0]!r}; expected integers of at least 1")
