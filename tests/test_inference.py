"""Running a network forward only: step by step, judging and predicting at once, each chunk once."""

from collections.abc import Iterable, Iterator, Mapping

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.contracts.dataset import Examples, Predicted
from rnnframe.errors import DataError
from rnnframe.runs.scoring import predictions, score

pytestmark = pytest.mark.usefixtures("each_kernels")

INPUTS, STEPS, BATCH = 5, 40, 3
CELLS = [["elman:hidden=4"], ["lstm:hidden=6", "gru:hidden=4"], ["gru:hidden=4,reset=before"]]
LENGTHS = np.array([7, 40, 21])


def network_of(cells: list[str]) -> rf.Network:
    return rf.Network(cells, "softmax:classes=4", INPUTS, seed=2)


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(STEPS, BATCH, INPUTS)).astype("float32"), rng.integers(0, 4, (STEPS, BATCH))


@pytest.mark.parametrize("cells", CELLS, ids=str)
def test_a_network_whose_parameters_are_fixed_computes_the_same_bits_step_by_step(cells: list[str]) -> None:
    x, _ = data()
    fixed, free = rf.Inference(network_of(cells), chunk=1), rf.Inference(network_of(cells), chunk=1)
    state = other = None
    with fixed.fixed():
        for step in x:
            outputs, state = fixed.predict(step[None], state)
            expected, other = free.predict(step[None], other)
            assert np.array_equal(outputs, expected)
    assert np.array_equal(state.flat, other.flat)


@pytest.mark.parametrize("cells", CELLS, ids=str)
def test_parameters_that_were_written_to_count_from_the_next_call_on_unless_they_are_fixed(cells: list[str]) -> None:
    x, _ = data()
    network = network_of(cells)
    inference = rf.Inference(network)
    with inference.fixed():
        before, _ = inference.predict(x)
    network.parameters.flat[:] *= 1.5
    with inference.fixed():
        within, _ = inference.predict(x)
    after, _ = inference.predict(x)
    assert not np.allclose(after, before)
    assert np.array_equal(within, after)
    assert np.array_equal(after, rf.Inference(network).predict(x)[0])


def test_an_engine_reverses_with_new_weights_after_its_network_was_run_forward_alone() -> None:
    x, y = data()
    network = network_of(["lstm:hidden=6"])
    engine = rf.Engine(network)
    engine.gradients(x, y)
    network.parameters.flat[:] *= 1.5
    engine.predict(x)
    found = engine.gradients(x, y).gradients.flat
    assert np.array_equal(found, rf.Engine(network).gradients(x, y).gradients.flat)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_judging_is_evaluating_and_predicting_at_once(lengths: np.ndarray | None) -> None:
    x, y = data()
    inference = rf.Inference(network_of(["lstm:hidden=6"]), chunk=8)
    judged, outputs = inference.judge(x, y, lengths=lengths)
    evaluated = inference.evaluate(x, y, lengths=lengths)
    predicted, state = inference.predict(x, lengths=lengths)
    assert (judged.loss, judged.count) == (evaluated.loss, evaluated.count)
    assert np.array_equal(outputs, predicted)
    assert np.array_equal(judged.state.flat, evaluated.state.flat)
    assert np.array_equal(judged.state.flat, state.flat)


@attrs.frozen(eq=False)
class Parts(Examples):
    """A sequence in parts of eight steps; the third has no targets. `asked` of them are measured."""

    asked: int
    name: str = "parts"
    targets: bool = True

    def batches(self) -> Iterator[rf.Batch]:
        x, y = data()
        for start in range(0, STEPS, 8):
            given = y[start : start + 8] if self.targets and start != 16 else None
            yield rf.Batch(x[start : start + 8], given, carry=start > 0)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        found = [float(each.outputs.sum()) for each, _ in zip(predicted, range(self.asked), strict=False)]
        return {"sum": sum(found)}

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, np.ndarray]]:
        return iter(())


@pytest.mark.parametrize("asked", [0, 1, 3, 5])
def test_a_score_runs_each_batch_once_whatever_is_measured(asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(["elman:hidden=4"])
    run = []
    forward = rf.Network.forward
    monkeypatch.setattr(rf.Network, "forward", lambda self, *rest: run.append(1) or forward(self, *rest))
    found = score(rf.Inference(network), Parts(asked))
    assert len(run) == STEPS // 8

    x, y = data()
    counted = np.r_[0:16, 24:40]
    each = [rf.Inference(network).evaluate(x[:n], y[:n]) for n in range(1, STEPS + 1)]
    sums = np.diff([0.0, *(outcome.loss * outcome.count for outcome in each)])
    assert found.count == len(counted) * BATCH
    assert found.loss == pytest.approx(sums[counted].sum() / found.count, rel=1e-5)
    whole = [part.outputs.sum() for part in predictions(rf.Inference(network), Parts(asked))]
    assert found.measures["sum"] == pytest.approx(float(sum(whole[:asked])), rel=1e-6)


def test_examples_without_any_targets_cannot_be_judged() -> None:
    with pytest.raises(DataError, match=r"^parts has no targets to judge by; add them, or use `rnnframe predict`$"):
        score(rf.Inference(network_of(["elman:hidden=4"])), Parts(5, targets=False))


def test_two_that_predict_by_turns_leave_nothing_fixed() -> None:
    network = network_of(["lstm:hidden=6"])
    inference = rf.Inference(network)
    pairs = list(zip(predictions(inference, Parts(0)), predictions(inference, Parts(0)), strict=True))
    assert len(pairs) == STEPS // 8
    x, _ = data()
    network.parameters.flat[:] *= 1.5
    assert np.array_equal(inference.predict(x)[0], rf.Inference(network).predict(x)[0])
