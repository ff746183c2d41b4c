"""Two directions that meet at every step: stages beside torch, under every exact store, in what memory, and refused."""

import copy
import pickle
import re
import tracemalloc

import numpy as np
import pytest
from rank_groups import each_rank
from two_way_gru import names, network_of, torch_gru

import rnnframe as rf
from rnnframe.errors import DataError, NonFiniteError, OptionError, UsageError
from rnnframe.inspection.gradients import gradient_health
from rnnframe.inspection.watched import watch
from rnnframe.testing import check_gradients
from rnnframe.training.non_finite import first_non_finite

torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")

STEPS, BATCH, INPUTS, HIDDEN = 11, 5, 3, 4
LENGTHS = np.array([10, 3, 7, 1, 9])  # the last of the eleven steps is nobody's
EVERY, LAST = "softmax:classes=3", "softmax:classes=3,at=last"
GRU = "bidirectional(gru:hidden=4)"
MASKED = "bidirectional(gru:hidden=4,weight_drop=0.3,recurrent_dropout=0.2)"
STACKS = {
    "one": ([GRU], EVERY),
    "two": (["bidirectional(gru:hidden=3)", "bidirectional(lstm:hidden=2)"], EVERY),
    "learnt": (["bidirectional(lstm:hidden=3,start=learnt)", "gru:hidden=3,start=learnt"], EVERY),
    "above": ([GRU, "dense:units=5", "dropout:rate=0.2", "lstm:hidden=3"], EVERY),
    "below": (["dense:units=4", "elman:hidden=3", "bidirectional(lru:units=3,states=2)"], EVERY),
    "between": ([MASKED, "layer-norm", "dropout:rate=0.2", MASKED, "dropout:rate=0.2"], EVERY),
    "attention": ([GRU, "attention-pool"], LAST),
    "pooled": ([GRU, "bidirectional(gru:hidden=3)", "mean-pool"], LAST),
    "last": (["dense:units=4", GRU, "gru:hidden=3"], LAST),
}
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=3",
    "checkpoint:policy=uniform,slots=3",
    "checkpoint:slots=2,medium=disk:path=FOLDER",
]


def network(cells, head=EVERY, dtype="float64", inputs=INPUTS):
    return network_of(cells, head, inputs, dtype)


def data(head=EVERY, steps=STEPS, batch=BATCH, dtype="float64", inputs=INPUTS):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(steps, batch, inputs)).astype(dtype)
    return x, rng.integers(0, 3, batch if head.endswith("last") else (steps, batch))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_equals_torch(layers, kernels, lengths):
    made, (x, y) = network([GRU] * layers), data()
    gru, linear = torch_gru(made, layers)
    steps = np.full(BATCH, STEPS) if lengths is None else lengths
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(x), torch.from_numpy(steps), enforce_sorted=False)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(gru(packed)[0])
    logits, longest = linear(outputs), steps.max()
    real = torch.from_numpy(np.arange(longest)[:, None] < steps)
    loss = torch.nn.functional.cross_entropy(logits[real], torch.from_numpy(y[:longest])[real])
    loss.backward()
    result = rf.Engine(made, "checkpoint:slots=2", chunk=3, shards=2, kernels=kernels).gradients(x, y, lengths=lengths)
    assert abs(result.loss - loss.item()) < 1e-12
    for group, suffix in names(layers):
        for ours, theirs in (("U", "weight_ih"), ("W", "weight_hh"), ("b", "bias_ih")):
            witness = getattr(gru, f"{theirs}_{suffix}").grad.numpy().T
            assert np.abs(witness).max() > 1e-4
            assert np.abs(result.gradients[f"{group}.{ours}"] - witness).max() < 1e-12
        witness = getattr(gru, f"bias_hh_{suffix}").grad.numpy()[2 * HIDDEN :]
        assert np.abs(result.gradients[f"{group}.bn"] - witness).max() < 1e-12
    assert np.abs(result.gradients["head.V"] - linear.weight.grad.numpy().T).max() < 1e-12
    predicted = rf.Inference(made, chunk=4, kernels=kernels).predict(x, lengths=lengths)[0]
    expected = torch.where(real[..., None], torch.softmax(logits, 2), 0).detach().numpy()
    assert predicted.shape == (STEPS, BATCH, 3)
    assert np.abs(predicted[:longest] - expected).max() < 1e-12
    assert not predicted[longest:].any()


QUICK = ("one", "learnt", "below")
DIFFERENCES = [pytest.param(*STACKS[name], id=name, marks=[] if name in QUICK else pytest.mark.slow) for name in STACKS]


@pytest.mark.parametrize(("cells", "head"), DIFFERENCES)
def test_gradients_equal_finite_differences(cells, head):
    x, y = data(head, steps=5, batch=3, inputs=2)
    small = network([re.sub("(hidden|units)=[345]", r"\1=2", cell) for cell in cells], head, inputs=2)
    engine = rf.Engine(small, "checkpoint:slots=2", chunk=2, shards=1, kernels="numpy", seed=2)
    check_gradients(engine, x, y, lengths=[4, 1, 3])


def test_an_embedding_is_tied_over_the_stages():
    made = network(["embedding:size=4,tie=yes", "bidirectional(gru:hidden=2)"], inputs=3)
    x = np.random.default_rng(4).integers(0, 3, (5, 3))
    check_gradients(rf.Engine(made, chunk=2, shards=1, kernels="numpy"), x, (x + 1) % 3, lengths=[4, 1, 3])


@pytest.mark.parametrize(("cells", "head"), STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_exact_stores_give_the_same_bits_in_the_bytes_that_were_planned(cells, head, lengths, tmp_path):
    made, (x, y) = network(cells, head, dtype="float32"), data(head, dtype="float32")
    weights = np.random.default_rng(2).uniform(0.5, 2, y.shape)

    def run(store, shards):
        kernels = "auto" if cells == STACKS["two"][0] else "numpy"
        spec = store.replace("FOLDER", str(tmp_path))
        engine = rf.Engine(made, spec, chunk=2, shards=shards, kernels=kernels, seed=3)
        result = engine.gradients(x, y, lengths=lengths, weights=weights)
        report = result.report
        assert 0.98 * report.predicted_bytes <= report.peak_bytes <= report.predicted_bytes
        engine.gradients(x[:4], y[:4] if y.ndim == 2 else y)  # which leaves its values in the same buffers
        engine.draws = 0
        again = engine.gradients(x, y, lengths=lengths, weights=weights)
        assert np.array_equal(again.gradients.flat, result.gradients.flat)
        return result

    for shards in (1, 2):
        first, *others = (run(store, shards) for store in STORES)
        assert np.abs(first.gradients.flat).max() > 0
        for other in others:
            assert other.loss == first.loss
            assert np.array_equal(other.gradients.flat, first.gradients.flat)
            assert np.array_equal(other.state.flat, first.state.flat)
            assert np.array_equal(other.state_gradient.flat, first.state_gradient.flat)
    rebuilt = run("states", 1)  # gates from states, to rounding
    assert np.allclose(rebuilt.gradients.flat, first.gradients.flat, rtol=1e-3, atol=1e-5)


def test_masks_do_not_depend_on_chunks_and_shards():
    cells, head = STACKS["between"]
    made, (x, y) = network(cells, head), data(head)
    runs = [
        rf.Engine(made, chunk=c, shards=s, seed=1).gradients(x, y, lengths=LENGTHS)
        for c, s in ((1, 1), (4, 2), (11, 5))
    ]
    for other in runs[1:]:
        assert np.allclose(other.gradients.flat, runs[0].gradients.flat, rtol=1e-10, atol=1e-12)
    unmasked = rf.Inference(made).evaluate(x, y, lengths=LENGTHS)
    assert not np.isclose(unmasked.loss, runs[0].loss)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", ["between", "pooled"])
def test_ranks_give_the_bits_of_shards_and_hold_their_share_of_what_stands_between_stages(name, lengths):
    cells, head = STACKS[name]
    made, (x, y) = network(cells, head), data(head)
    alone = rf.Engine(made, "checkpoint:slots=2", chunk=3, shards=4, kernels="numpy").gradients(x, y, lengths=lengths)

    def of_rank(group):
        engine = rf.Engine(copy.deepcopy(made), "checkpoint:slots=2", 3, 4, kernels="numpy", group=group)
        result = engine.gradients(x, y, lengths=lengths)
        return result, engine._executor._held.nbytes

    for ranks, own in ((2, (2, 3)), (4, (1, 1, 1, 2))):
        for (result, held), samples in zip(each_rank(ranks, of_rank), own, strict=True):
            assert result.loss == alone.loss
            assert np.array_equal(result.gradients.flat, alone.gradients.flat)
            assert np.array_equal(result.state.flat, alone.state.flat)
            assert np.array_equal(result.state_gradient.flat, alone.state_gradient.flat)
            assert 0.98 * result.report.predicted_bytes <= result.report.peak_bytes <= result.report.predicted_bytes
            steps = STEPS if lengths is None else max(LENGTHS)
            widest = max(stage.outputs_width for stage in made.stages[:-1])
            assert held == len(made.stages) * steps * samples * widest * made.dtype.itemsize


def test_a_value_behind_the_end_is_never_read_and_a_wrong_one_is_named():
    made, (x, y) = network(*STACKS["two"]), data()
    clean = rf.Engine(made).gradients(x, y, lengths=LENGTHS)
    spoilt = x.copy()
    for sample, length in enumerate(LENGTHS):
        spoilt[length:, sample] = np.nan
    assert np.array_equal(rf.Engine(made).gradients(spoilt, y, lengths=LENGTHS).gradients.flat, clean.gradients.flat)
    spoilt[8, 4] = np.nan
    with pytest.raises(DataError, match="x holds NaN or infinite values, the first at step 8"):
        rf.Engine(made, chunk=2, shards=1).gradients(spoilt, y, lengths=LENGTHS)
    grows = network(["bidirectional(elman:hidden=4,activation=relu)"], dtype="float32")
    grows.parameters.flat[:] = 1e20
    with pytest.raises(NonFiniteError):  # what a stage below has computed is not called the caller's x
        rf.Engine(grows).gradients(x, y)
    assert first_non_finite(grows, rf.Batch(x, y), None) == "step 1, layer0 (forward.h)"


def test_an_evaluation_is_that_of_the_training():
    made, (x, y) = network(*STACKS["above"]), data()
    plain = network(["bidirectional(gru:hidden=4)", "dense:units=5", "lstm:hidden=3"])
    result = rf.Engine(plain, chunk=4).gradients(x, y, lengths=LENGTHS)
    inference = rf.Inference(plain, chunk=3)
    evaluation, predictions, losses = inference.judge_steps(rf.Batch(x, y, LENGTHS))
    assert abs(evaluation.loss - result.loss) < 1e-12
    assert abs(losses.sum() / LENGTHS.sum() - result.loss) < 1e-12
    assert np.array_equal(predictions, inference.predict(x, lengths=LENGTHS)[0])
    assert all(np.allclose(evaluation.state[name], result.state[name], rtol=1e-12) for name in result.state)
    outputs = rf.Inference(rf.Network([GRU], None, INPUTS, dtype="float64")).predict(x, lengths=LENGTHS)[0]
    assert outputs.shape == (STEPS, BATCH, 2 * HIDDEN)
    assert rf.Engine(made).evaluate(x, y).loss > 0


def test_copies_and_files_compute_the_same_bits(tmp_path):
    made, (x, y) = network(*STACKS["between"]), data()
    engine, inference = rf.Engine(made, "checkpoint:slots=2", chunk=3), rf.Inference(made, chunk=3)
    first, predicted = engine.gradients(x, y), inference.predict(x)[0]
    made.save(tmp_path / "stages.safetensors")
    loaded = rf.load_model(tmp_path / "stages.safetensors").network
    for copied in (copy.deepcopy(engine), pickle.loads(pickle.dumps(engine)), rf.Engine(loaded, engine.store, 3)):
        copied.draws = 0
        assert np.array_equal(copied.gradients(x, y).gradients.flat, first.gradients.flat)
        copied.network.parameters.flat *= 0.5  # which its stages share
        assert not np.array_equal(copied.evaluate(x, y).loss, engine.evaluate(x, y).loss)
    for copied in (copy.deepcopy(inference), pickle.loads(pickle.dumps(inference))):
        assert np.array_equal(copied.predict(x)[0], predicted)


def test_what_needs_one_direction_is_refused():
    made, (x, y) = network(*STACKS["below"]), data()
    with pytest.raises(OptionError, match="truncates, and a layer of two directions needs whole sequences"):
        rf.Engine(made, "circular-queue:k1=2,k2=4").gradients(x, y)
    with pytest.raises(OptionError, match="its length must be known"):
        rf.Engine(made, "checkpoint:policy=online,slots=3").plan(None, BATCH)
    with pytest.raises(DataError, match="x is a stream"):
        rf.Engine(made, "checkpoint:policy=online,slots=3").gradients(iter([(x, y)]), None)
    for run in (rf.Engine(made).gradients, rf.Inference(made).evaluate):
        with pytest.raises(DataError, match="a state is given"):
            run(x, y, state=made.new_state(BATCH))
        with pytest.raises(DataError, match="resets cut a sample"):
            run(x, y, resets=np.zeros((STEPS, BATCH), bool))
    with pytest.raises(UsageError, match="a sweep hands out outputs step by step"):
        rf.Engine(made).sweep(x, lambda part, outputs: outputs)
    with pytest.raises(OptionError, match="needs the end of a sequence before its first step"):
        made.stream()
    with pytest.raises(OptionError, match="run in 3 stages"):
        gradient_health(rf.Engine(made), rf.Batch(x, y))
    with pytest.raises(OptionError, match="run in 3 stages"):
        watch(made, rf.Engine(made).plan(STEPS, BATCH), None)


def held_at_the_peak(engine, x, y):
    """Return the bytes that an engine's run takes, its threads and blocks of Python's objects among them."""
    tracemalloc.start()
    try:
        result = engine.gradients(x, y)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def run_within(budget, steps, batch, hidden):
    # the parameters as they start: those of `network` let the gradient of many steps overflow
    made = rf.Network([f"bidirectional(gru:hidden={hidden})"] * 2, EVERY, INPUTS, dtype="float32")
    x, y = data(steps=steps, batch=batch, dtype="float32")
    whole = rf.Engine(made, chunk=64, shards=1).gradients(x, y)
    engine = rf.Engine(made, f"auto:budget={budget}", chunk=64, shards=1)
    engine.gradients(x[:2], y[:2])  # performs the late imports
    result, taken = held_at_the_peak(rf.Engine(made, f"auto:budget={budget}", chunk=64, shards=1), x, y)
    held = result.report.peak_bytes
    assert held <= budget < whole.report.peak_bytes / 1.5
    assert abs(held / result.report.predicted_bytes - 1) < 0.02
    others = 4 * made.parameters.nbytes + result.report.data_bytes  # gradients, and their copies
    assert held <= taken < 1.02 * (held + others)
    assert np.isfinite(whole.gradients.flat).all()
    assert np.array_equal(result.gradients.flat, whole.gradients.flat)
    return result


def test_a_thousand_steps_fit_into_a_budget():
    run_within(5 << 20, 1_000, 4, 32)


@pytest.mark.slow
def test_ten_thousand_steps_fit_into_a_budget():
    result = run_within(250 << 20, 10_000, 8, 128)  # 234 MiB of it stand between the stages
    assert result.report.steps == 10_000
