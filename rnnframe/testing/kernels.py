"""The conformance suite of kernels: their twins declare and compute what the layers do that they replace."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.kernels import NUMPY, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.data.draws import Draw
from rnnframe.engine.engine import Engine
from rnnframe.engine.inference import Inference
from rnnframe.network.network import Network
from rnnframe.network.stream import Stream
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import Spec, field_types
from rnnframe.testing.cells import CellTests
from rnnframe.testing.kernel_rounding import KernelRoundingChecks
from rnnframe.testing.reference_stores import KeepAll, Recompute
from rnnframe.testing.suite import CheckReport, fail, run, skip
from rnnframe.testing.tables import expect_all_close, expect_close, expect_same_bits

STEPS, BATCH, INPUTS, UNITS = 11, 5, 4, "5"
HEADS = ("mse:outputs=2", "softmax:classes=3", "bernoulli:outputs=2")
RESULTS = "gradients", "state", "state_gradient"


class KernelsTests(KernelRoundingChecks):
    """All that kernels must hold to. Those that cannot be used here, as `missing` says, are not checked further.

        class TestMyKernels(rnnframe.testing.KernelsTests):
            kernels = MyKernels()

    kernels: the kernels or their spec. tolerances: of loss, gradients and states, relative to the largest entry of an
    array, by the type that is computed in.
    """

    kind: ClassVar[str] = "kernels"
    kernels: ClassVar[Kernels | str]
    tolerances: ClassVar[dict[str, float]] = {"float32": 1e-4, "float64": 1e-10}

    def twins(self, dtype: str) -> Iterator[tuple[Layer, Layer]]:
        """Yield every cell that `cells` names, of a few units, and its twin."""
        subject: Kernels = self.subject
        if subject.missing():
            skip(subject.missing())
        for spec in subject.cells():
            cell = _cell(spec)
            twin = subject.twin(cell, np.dtype(dtype))
            if twin is None:
                fail(f"cells() names {spec!r}, and twin() has none for it in {dtype}")
            subject.prepare(twin, np.dtype(dtype))
            yield cell, twin

    def test_what_is_missing_is_said_in_one_line(self) -> None:
        """`missing` returns a line of text, empty where nothing is missing, and the same again."""
        reason: Any = self.subject.missing()
        if not isinstance(reason, str) or "\n" in reason:
            fail(f"missing() returned {reason!r}; expected one line of text, empty where the kernels can be used")
        if self.subject.missing() != reason:
            fail(f"missing() returned {reason!r} and then {self.subject.missing()!r}")

    def test_cells_are_named_and_have_twins(self) -> None:
        """`rnnframe warmup` and this suite know what there is from `cells`."""
        for dtype in self.tolerances:
            if not list(self.twins(dtype)):
                fail("cells() is empty; name a cell of every kind of code, such as 'lstm'")

    def test_a_subclass_of_a_cell_has_no_twin(self) -> None:
        """A subclass may compute in its own way: a twin would replace it in silence."""
        for cell, _ in self.twins("float64"):
            cls = attrs.frozen(kw_only=True)(type("Other", (type(cell),), {"name": f"other-{cell.name}"}))
            other: Layer = cls(**attrs.asdict(cell, recurse=False))
            if self.subject.twin(other, np.dtype("float64")) is not None:
                fail(f"a subclass of {type(cell).__name__} got a twin; compare type(layer), not what it inherits")

    def test_a_twin_declares_what_its_cell_declares(self) -> None:
        """Parameters, state, tape, what of it is retained, width and output are the same, so every store works."""
        for dtype in self.tolerances:
            for cell, twin in self.twins(dtype):
                for what, of_cell, of_twin in zip(DECLARED, _declared(cell), _declared(twin), strict=True):
                    if of_cell != of_twin:
                        fail(f"{what} of the twin of {cell.name!r} is {of_twin}; expected {of_cell}, as of the cell")

    def test_a_twin_keeps_to_the_suite_of_cells(self) -> None:
        """Blocks, cuts, buffers, differences: all that a cell must hold to."""
        for cell, twin in self.twins("float64"):
            report = run(type("Twin", (TwinTests,), {"cell": twin, "inputs": INPUTS})())
            for failed in report.failed:
                fail(f"the twin of {cell.name!r}: {failed.title}: {failed.message}")

    def test_networks_compute_the_same_on_the_kernels_as_on_numpy(self) -> None:
        """Loss, gradients and states are those of the cell as it is written, to rounding, with any head and input."""
        for dtype, tolerance in self.tolerances.items():
            for cell, twin in self.twins(dtype):
                for head in HEADS:
                    network = _network(cell, head, dtype)
                    for x, y, lengths in _inputs(network):
                        mine, numpys = (
                            Engine(network, KeepAll(), chunk=4, shards=1, kernels=kernels).gradients(
                                x, y, None, lengths
                            )
                            for kernels in (self.subject, NUMPY)
                        )
                        if mine.report.kernels != (self.subject.name,) * 2:
                            fail(f"the layers are computed by {mine.report.kernels}, not by {type(twin).__name__}")
                        where = f"on {cell.name!r} with {head}, {dtype}, {_kind(x, lengths)}"
                        expect_close(f"loss {where}", *_losses(mine, numpys), tolerance, TITLES)
                        for what in RESULTS:
                            arrays = getattr(mine, what), getattr(numpys, what)
                            expect_all_close(f"{what} of {{}} {where}", *arrays, tolerance, TITLES)

    def test_recomputed_chunks_give_the_same_bits(self) -> None:
        """On these kernels too, a store that recomputes gives the bits of one that keeps everything."""
        for dtype in self.tolerances:
            for cell, _ in self.twins(dtype):
                network = _network(cell, HEADS[0], dtype)
                x, y, _ = next(iter(_inputs(network)))
                kept, again = (
                    Engine(network, store, chunk=4, kernels=self.subject).gradients(x, y)
                    for store in (KeepAll(), Recompute())
                )
                for what in RESULTS:
                    for name, value in getattr(kept, what).items():
                        place = f"{what} of {name} on {cell.name!r}, {dtype},"
                        expect_same_bits(place, getattr(again, what)[name], value, ("recomputed", "kept"))

    def test_masks_are_those_that_numpy_writes(self) -> None:
        """Random masks follow from seed, run, layer, sample and step alone, whoever writes them."""
        if self.subject.missing():
            skip(self.subject.missing())
        for dtype in self.tolerances:
            for samples in (slice(1, 4), np.array([5, 0, 2])):
                for start in (None, 3):
                    masks = [np.full((2, 3, 21)[start is None :], np.nan, dtype) for _ in range(2)]
                    for mask, draw in zip(masks, (Draw(7, 1, self.subject.write_mask), Draw(7, 1)), strict=True):
                        draw.write_mask(mask, 0.4, 2, "inputs", samples, start)
                    expect_same_bits(f"a mask of {samples}, {dtype},", masks[0], masks[1], TITLES)

    def test_a_stream_gives_the_bits_of_predicting_a_step_at_a_time(self) -> None:
        """What `joined` returns computes what the parts of a step compute one by one."""
        for dtype in self.tolerances:
            for cell, _ in self.twins(dtype):
                for head in HEADS:
                    network = _network(cell, head, dtype)
                    for x, _, lengths in _inputs(network):
                        if lengths is None:
                            stream, inference = network.stream(BATCH, self.subject), Inference(network, 1, self.subject)
                            where = f"on {cell.name!r} with {head}, {dtype}, {_kind(x, lengths)}"
                            _compare_steps(stream, inference, x, where)

    def test_twins_can_be_copied_and_pickled(self) -> None:
        """Engines are, and networks of worker processes."""
        for cell, _ in self.twins("float64"):
            network = _network(cell, HEADS[0], "float64")
            x, y, _ = next(iter(_inputs(network)))
            engine = Engine(network, kernels=self.subject, shards=1)
            expected = engine.gradients(x, y)
            for how, other in (("copied", copy.deepcopy(engine)), ("pickled", pickle.loads(pickle.dumps(engine)))):
                found = other.gradients(x, y).gradients.flat
                expect_same_bits(f"gradients on {cell.name!r}, {how},", found, expected.gradients.flat, (how, "first"))


class TwinTests(CellTests):
    """What a twin must hold to of the suite of cells.

    A twin is of one type, is written down by nobody, and may have working arrays for more rows than are tried here.
    """

    dtypes = ("float64",)
    seeds = (0,)
    test_the_options_written_down_make_an_equal_object = None  # type: ignore[assignment]
    test_declared_working_arrays_are_used = None  # type: ignore[assignment]


TITLES = ("kernels", "numpy")
RETAINED = "what is retained (lean)", "what is retained (states)"
DECLARED = ("parameters", "state", "tape", "width", "output", "what is never rounded", *RETAINED)


def _declared(layer: Layer) -> tuple[Any, ...]:
    return (
        *(dict(declare(INPUTS)) for declare in (layer.parameters, layer.state, layer.tape)),
        layer.width(INPUTS),
        layer.output,
        sorted(layer.unrounded),
        sorted(layer.retained_arrays(INPUTS, "lean")),
        sorted(layer.retained_arrays(INPUTS, "states")),
    )


def _cell(spec: str) -> Layer:
    registry, parsed = default_registry(), Spec.parse(spec, "cell")
    cls, options = registry.find("cell", parsed.name), dict(parsed.options)
    if "hidden" in field_types(cls):
        options.setdefault("hidden", UNITS)
    made: Layer = registry.build(cls, options, "cell", parsed.name)
    return made


def _network(cell: Layer, head: str, dtype: str) -> Network:
    network = Network([cell, cell], head, INPUTS, dtype=dtype)
    network.parameters.flat[:] = np.random.default_rng(3).normal(scale=0.5, size=network.parameters.flat.shape)
    return network


def _inputs(network: Network) -> Iterator[tuple[Array, Array, Array | None]]:
    """Yield dense inputs, those that are looked up where there is a U for that, and samples of several lengths."""
    rng = np.random.default_rng(4)
    assert network.head is not None
    loss = network.head.loss
    x = rng.normal(size=(STEPS, BATCH, INPUTS)).astype(network.dtype)
    if loss.target_width is None:
        y: Array = rng.integers(0, loss.width, (STEPS, BATCH))
    else:
        y = rng.integers(0, 2, (STEPS, BATCH, loss.target_width)).astype(network.dtype)
    yield x, y, None
    if network.data_format.lookup:
        yield rng.integers(0, INPUTS, (STEPS, BATCH)), y, None
    yield x, y, rng.integers(1, STEPS + 1, BATCH)


def _compare_steps(stream: Stream, inference: Inference[Network], x: Array, where: str) -> None:
    state = None
    for values in x:
        outputs, state = inference.predict(values[None], state)
        expect_same_bits(f"a step {where}", stream.step(values), outputs[0], ("stream", "predict"))
    assert state is not None
    expect_same_bits(f"the state {where}", stream.state.flat, state.flat, ("stream", "predict"))


def _kind(x: Array, lengths: Array | None) -> str:
    return "looked-up inputs" if x.ndim == 2 else "dense inputs" if lengths is None else "samples of several lengths"


def _losses(mine: Any, numpys: Any) -> tuple[Array, Array]:
    return np.asarray([mine.loss]), np.asarray([numpys.loss])


def check_kernels(kernels: Kernels | str) -> CheckReport:
    """Put kernels through `KernelsTests` without pytest."""
    return run(type("Checked", (KernelsTests,), {"kernels": kernels})())
