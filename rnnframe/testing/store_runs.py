"""Checks of a store at work in a network: the right gradient, the bytes and the work that were predicted."""

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.kernels import NUMPY
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import Plan
from rnnframe.engine.report import Result
from rnnframe.errors import OptionError
from rnnframe.network.network import Network
from rnnframe.testing.differences import DIRECTIONS
from rnnframe.testing.reference_stores import KeepAll
from rnnframe.testing.store_suite import Case, StoreSuite, follow
from rnnframe.testing.suite import fail, skip
from rnnframe.testing.surrogate import Surrogate
from rnnframe.testing.tables import expect_close, expect_same_bits

STREAMED = (1, 2, 7, 12, 13, 29)  # steps of streams
ROUNDING = 1e-10
REBUILT = {"float32": 1e-4, "float64": 1e-10}  # gradients from tapes that are rebuilt from states
HALVED = 0.02  # of the norm of a gradient, from tapes of half the bits
SMALL = 96 * 1024  # bytes of objects, views and working arrays that are not counted
TITLES = "store", "full history"


class StoreRunChecks(StoreSuite):
    """What a run with the store gives, holds and does."""

    def test_an_exact_store_gives_the_bits_of_full_history(self) -> None:
        """Loss, gradients and states are equal to the last bit over the same chunks, in one thread and in several.

        To rounding only where tapes are rebuilt from states.
        """
        if not self.subject.exact:
            skip("the store truncates")
        self._only_with_states_as_they_were()
        self._only_with_tapes_as_they_were()
        for dtype in ("float32", "float64"):
            for case, engine, plan in self.engines(dtype):
                data = self.data(case, dtype)
                found, wanted = engine.gradients(*data), self._full(plan, case, dtype).gradients(*data)
                expect_same_bits(f"loss, {case}", np.array(found.loss), np.array(wanted.loss), TITLES)
                for name, value in _arrays(wanted).items():
                    what = f"{name}, {case}, {dtype}"
                    if plan.store.tape_retention == "states":
                        expect_close(what, _arrays(found)[name], value, REBUILT[dtype], TITLES)
                    else:
                        expect_same_bits(what, _arrays(found)[name], value, TITLES)

    def test_the_loss_and_the_last_state_are_those_of_full_history(self) -> None:
        """Truncation changes gradients alone: each loss counts once, and the state is carried over every window."""
        self._only_with_states_as_they_were()
        for case, engine, plan in self.engines():
            data = self.data(case)
            found, wanted = engine.gradients(*data), self._full(plan, case, "float64").gradients(*data)
            if found.count != wanted.count:
                fail(f"{case}: {found.count} losses count, of {wanted.count}")
            expect_close(f"loss, {case}", np.array(found.loss), np.array(wanted.loss), ROUNDING, TITLES)
            for name, value in wanted.state.items():
                expect_close(f"last state {name}, {case}", found.state[name], value, ROUNDING, TITLES)

    def test_tapes_in_bfloat16_give_the_gradient_to_rounding(self) -> None:
        """Where an exact store keeps such tapes: near the gradient of full history, in the norm of all parameters."""
        if not self.rounds_tapes or not self.subject.exact:
            skip("the store keeps tapes as they are, or truncates")
        self._only_with_states_as_they_were()
        for case, engine, plan in self.engines():
            data = self.data(case)
            found, wanted = (each.gradients(*data).gradients.flat for each in (engine, self._full(plan, case, "")))
            error = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
            if not error <= HALVED:
                fail(f"{case}: the gradient is off by {error:.1%} of full history's; expected {HALVED:.0%} at most")

    def test_the_gradient_is_that_of_its_windows(self) -> None:
        """Along random directions: the slope of the losses of the windows, each from a state that is held constant."""
        self._only_with_states_as_they_were()
        self._only_with_tapes_as_they_were()
        for case, engine, plan in self.engines():
            x, y, state = self.data(case)
            gradient = engine.gradients(x, y, state).gradients.flat
            flat = engine.network.parameters.flat.copy()
            surrogate = Surrogate(engine.network, x, y, state, [flat] * case.steps)
            windows = self.windows(case.steps) or self._windows_of(plan)
            for direction in _directions(flat.size):
                self._expect_slope(f"{case}", surrogate.slope(windows, direction) / y[..., 0].size, gradient, direction)

    def test_with_stored_weights_the_gradient_is_that_of_the_weights_of_their_time(self) -> None:
        """Each window's gradient at its update is the slope with every step run by the weights that it was run with."""
        if not self.subject.stores_weights:
            skip("the store keeps no old weights")
        self._only_with_tapes_as_they_were()
        for case, engine, plan in self.engines():
            if case.shards == 1:
                self._expect_weights_of_their_time(case, engine, plan)

    def test_a_run_holds_and_does_what_was_predicted(self) -> None:
        """Bytes held are never above those predicted, and steps run are exactly those of the simulation."""
        for case, engine, plan in self.engines():
            report = engine.gradients(*self.data(case)).report
            if report.predicted_bytes is None or report.peak_bytes > report.predicted_bytes:
                fail(f"{case}: {report.peak_bytes} bytes are held, predicted were {report.predicted_bytes}")
            did = report.forward_steps, report.reverse_steps
            planned = plan.simulation.forward_steps, plan.simulation.reverse_steps
            if did != planned:
                fail(f"{case}: {did[0]} steps forward and {did[1]} back were run, simulated were {planned}")

    def test_the_bytes_of_a_run_are_the_bytes_measured(self) -> None:
        """What Python allocates while updates are made is what was predicted, but for gradients, data and objects."""
        if tracemalloc.is_tracing():
            skip("allocations are traced already")
        network = Network(["lstm:hidden=32"], "mse:outputs=2", 8)
        engine = Engine(network, self.subject, chunk=16, kernels=NUMPY)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(320, 16, 8)).astype("float32"), rng.normal(size=(320, 16, 2)).astype("float32")
        try:
            predicted = engine.plan(*x.shape[:2]).predicted_bytes
        except OptionError as refusal:
            skip(f"the store refuses a larger network: {refusal}")
        if predicted is None:
            fail("no bound is predicted for a sequence of known length")
        gc.collect()
        tracemalloc.start()
        try:
            report = engine.run(x, y, None, lambda gradient, _: _descend(network, gradient.flat)).report
            measured = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        most = predicted + 3 * network.parameters.nbytes + x.nbytes + SMALL
        if measured > most or report.peak_bytes > predicted:
            fail(f"{measured} bytes were allocated and {report.peak_bytes} reported; {predicted} were predicted")

    def test_an_engine_that_is_used_again_gives_the_same_bits(self) -> None:
        """Nothing of an earlier, longer or shorter sequence is left in the store's slots."""
        for case, engine, _ in self.engines():
            data, longer = self.data(case), Case(case.steps + 9, case.batch, case.chunk, case.shards)
            first = engine.gradients(*data)
            engine.gradients(*self.data(longer))
            again = engine.gradients(*data)
            for name, value in _arrays(first).items():
                expect_same_bits(f"{name} of a second run, {case}", _arrays(again)[name], value, ("second", "first"))

    def test_a_source_of_unknown_length_is_served_or_refused_as_declared(self) -> None:
        """With unknown_length = True a stream gives what the same steps in one array give; else it is refused."""
        if not self.subject.unknown_length:
            self._expect_refusal()
            return
        for steps in STREAMED:
            case = Case(steps, 2, 3)
            x, y, state = self.data(case)
            engine = Engine(self.network(), self.subject, chunk=case.chunk, kernels=NUMPY)
            for block in (1, 4, steps):
                found, wanted = engine.gradients(_blocks(x, y, block), None, state), engine.gradients(x, y, state)
                if found.count != wanted.count:
                    fail(f"stream of {steps} steps in blocks of {block}: {found.count} of {wanted.count} losses count")
                for name, value in _arrays(wanted).items():
                    what = f"{name}, stream of {steps} steps in blocks of {block},"
                    expect_close(what, _arrays(found)[name], value, ROUNDING, ("stream", "array"))

    def _only_with_states_as_they_were(self) -> None:
        medium = self.subject.medium
        if medium is not None and not medium.exact:
            skip("the medium of the store does not give states back bit for bit")

    def _only_with_tapes_as_they_were(self) -> None:
        if self.rounds_tapes:
            skip("the store rounds tapes")

    def _full(self, plan: Plan, case: Case, dtype: str) -> Engine[Any]:
        return Engine(self.network(dtype), KeepAll(cut=plan.grid), chunk=case.chunk, shards=case.shards, kernels=NUMPY)

    def _windows_of(self, plan: Plan) -> list[tuple[int, int, int]]:
        return follow(plan.schedule(), plan.grid, stored_weights=plan.store.stores_weights).windows()

    def _expect_slope(self, where: str, numeric: float, gradient: Array, direction: Array) -> None:
        analytic = float(gradient @ direction)
        if not abs(analytic - numeric) <= self.tolerance * max(abs(numeric), float(np.abs(gradient).max())):
            fail(f"{where}: along a random direction the gradient is {analytic:.12g}, its windows have {numeric:.12g}")

    def _expect_weights_of_their_time(self, case: Case, engine: Engine[Any], plan: Plan) -> None:
        network, (x, y, state) = engine.network, self.data(case)
        parameters, gradients = [network.parameters.flat.copy()], list[Array]()

        def take(gradient: Vector, _: float) -> None:
            gradients.append(gradient.flat.copy())
            _descend(network, gradients[-1])
            parameters.append(network.parameters.flat.copy())

        engine.run(x, y, state, take)
        followed = follow(plan.schedule(), plan.grid, stored_weights=True)
        at = [parameters[version] for version in followed.versions()]
        surrogate = Surrogate(network, x, y, state, at)
        windows = self.windows(case.steps) or followed.windows()
        for window, gradient in zip(windows, gradients, strict=False):
            counted = (window[2] - window[1]) * case.batch
            for direction in _directions(gradient.size):
                slope = surrogate.slope([window], direction) / counted
                self._expect_slope(f"{case}, window {window}", slope, gradient, direction)

    def _expect_refusal(self) -> None:
        x, y, state = self.data(Case(5, 2, 2))
        try:
            Engine(self.network(), self.subject, chunk=2, kernels=NUMPY).gradients(_blocks(x, y, 2), None, state)
        except OptionError:
            return
        fail("a stream is served though unknown_length is False; write unknown_length = True")


def _arrays(result: Result) -> dict[str, Array]:
    named = (("gradient of", result.gradients), ("last state", result.state))
    return {f"{what} {name}": value for what, arrays in named for name, value in arrays.items()}


def _blocks(x: Array, y: Array, length: int) -> Iterator[tuple[Array, Array]]:
    return ((x[start : start + length].copy(), y[start : start + length].copy()) for start in range(0, len(x), length))


def _directions(size: int) -> list[Array]:
    rng = np.random.default_rng(9)
    return [rng.normal(size=size) / np.sqrt(size) for _ in range(DIRECTIONS)]


def _descend(network: Network, gradient: Array) -> None:
    network.parameters.flat -= network.dtype.type(0.05) * gradient
