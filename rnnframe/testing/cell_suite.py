"""What all checks of a cell share: the cell, the cases that it is put through, and what it declares."""

from collections.abc import Iterator
from typing import ClassVar, get_args

from rnnframe.contracts.layer import Layer, looks_up
from rnnframe.contracts.retention import TapeRetention
from rnnframe.registry.specs import with_inner_layers
from rnnframe.testing.blocks import Bench, Given
from rnnframe.testing.products import WatchedBlock
from rnnframe.testing.suite import Suite, fail, skip

SHAPES = ((5, 3), (4, 1), (1, 3), (1, 1))  # steps and batch of a block


class CellSuite(Suite):
    """A cell and the inputs that it is tried with.

    cell: the cell or its spec, with few units, as differences are taken along every parameter. inputs: the width of x.
    lookup: whether x may also be integers that are looked up in U, if there is one. tolerance: of differences, relative
    to the largest entry of an array. seeds: of parameters and data. dtypes: what the cell computes in; "float64" must
    be among them.
    """

    kind: ClassVar[str] = "cell"
    cell: ClassVar[Layer | str]
    inputs: ClassVar[int] = 4
    lookup: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-6
    seeds: ClassVar[tuple[int, ...]] = (0, 1)
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")

    def bench(self, seed: int = 0, dtype: str = "float64") -> Bench:
        """Return the cell with random parameters."""
        subject: Layer = self.subject
        return Bench(subject, self.inputs, dtype, seed)

    @property
    def looked_up(self) -> bool:
        """Whether x is also tried as integers."""
        subject: Layer = self.subject
        return self.lookup and looks_up(subject, self.inputs)

    def cases(self, dtype: str = "float64") -> Iterator[tuple[Bench, Given]]:
        """Yield the cell with inputs of every kind and shape."""
        for seed in self.seeds:
            for steps, batch in SHAPES:
                for lookup in (False, True)[: 1 + self.looked_up]:
                    bench = self.bench(seed, dtype)
                    yield bench, bench.given(steps, batch, seed, lookup=lookup)

    def test_what_the_cell_declares_fits_together(self) -> None:
        """Names and sizes of parameters, state, tape, working arrays and derived arrays can be made into buffers."""
        cell: Layer = self.subject
        state, tape = dict(cell.state(self.inputs)), dict(cell.tape(self.inputs))
        parameters = dict(cell.parameters(self.inputs))
        derived, scratch = dict(cell.derived(self.inputs)), dict(cell.scratch(self.inputs))
        output, width = cell.output, cell.width(self.inputs)
        if tape.get(output) != width:
            fail(f"tape(inputs)[{output!r}] is {tape.get(output)}; {output} is the output, so its width is {width}")
        if not tape.keys() >= {*cell.unrounded}:
            fail(f"unrounded names {sorted({*cell.unrounded} - tape.keys())}, which tape() does not have")
        for where, widths in (("state", state), ("tape", tape)):
            for name, size in widths.items():
                _expect_sizes(f"{where}(inputs)[{name!r}]", (size,))
        for name in state.keys() & tape.keys():
            if state[name] != tape[name]:
                fail(f"{name!r} is {state[name]} wide in state() and {tape[name]} in tape(); they are one array")
        for where, shapes in (("parameters", parameters), ("derived", derived), ("scratch", scratch)):
            for name, shape in shapes.items():
                _expect_sizes(f"{where}(inputs)[{name!r}]", shape if isinstance(shape, tuple) else (shape,))
        for name in parameters.keys() & derived.keys():
            fail(f"{name!r} is in parameters() and in derived(); give the derived array a name of its own")
        for name in (*state, *tape, *parameters, *derived, *scratch):
            if not isinstance(name, str) or not all(name.split(".")):
                fail(f"{name!r} is no name for an array; use letters, with a dot only between a group and a name")

    def test_a_layer_that_says_it_multiplies_nothing_computes_no_product_of_matrices(self) -> None:
        """`multiplies` is false where a precision has no operands to round. A row that is looked up is no product."""
        if any(layer.multiplies for layer in with_inner_layers([self.subject])):
            skip("the layer multiplies matrices, or one in its brackets does")
        for bench, given in self.cases():
            if given.x.ndim == 2 or not self.looked_up:
                block = WatchedBlock(bench, given)
                block.forward()
                block.backward(dx=given.x.ndim == 3)
                for retention in get_args(TapeRetention):
                    block.rebuild(retention)


def _expect_sizes(what: str, sizes: tuple[object, ...]) -> None:
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        fail(f"{what} is {sizes if len(sizes) > 1 else sizes[0]!r}; expected integers of at least 1")
