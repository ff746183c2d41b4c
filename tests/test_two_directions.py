"""Two directions that meet at the head: beside torch, under every exact store, and what they refuse."""

import numpy as np
import pytest
from two_way_gru import network_of, torch_gru

import rnnframe as rf
from rnnframe.errors import DataError, OptionError, UsageError
from rnnframe.testing import check_gradients

torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")

STEPS, BATCH, INPUTS, HIDDEN = 11, 5, 3, 4
LENGTHS = np.array([11, 3, 7, 1, 10])
HEAD = "softmax:classes=3,at=last"
MASKED = "gru:hidden=4,weight_drop=0.3,recurrent_dropout=0.2"
STACKS = {
    "ends": ["bidirectional(gru:hidden=4)"],
    "lstm": ["bidirectional(lstm:hidden=4)", "dropout:rate=0.2", "dense:units=5"],
    "mean": ["bidirectional(gru:hidden=4)", "mean-pool", "layer-norm"],
    "max": ["bidirectional(elman:hidden=4)", "max-pool"],
    "lru": ["bidirectional(lru:units=4,states=2)", "mean-pool"],
}
STORES = [
    "full-history",
    "full-history:keep=lean",
    "states",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=3",
    "checkpoint:policy=uniform,slots=3",
]


def network(cells, head=HEAD, dtype="float64", inputs=INPUTS):
    return network_of(cells, head, inputs, dtype)


def data(lookup=False, steps=STEPS, batch=BATCH, dtype="float64"):
    rng = np.random.default_rng(1)
    x = rng.integers(0, INPUTS, (steps, batch)) if lookup else rng.normal(size=(steps, batch, INPUTS)).astype(dtype)
    return x, rng.integers(0, 3, batch)


@pytest.mark.parametrize("pool", ["ends", "mean", "max"])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_equals_torch_with_lengths(pool, kernels):
    made = network([*STACKS["ends"], *({"ends": [], "mean": ["mean-pool"], "max": ["max-pool"]}[pool])])
    x, y = data()
    gru, linear = torch_gru(made, 1)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(x), torch.from_numpy(LENGTHS), enforce_sorted=False
    )
    packed_outputs, ends = gru(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_outputs)
    real = torch.from_numpy(np.arange(STEPS)[:, None, None] < LENGTHS[:, None])
    read = {
        "ends": lambda: torch.cat([ends[0], ends[1]], 1),
        "mean": lambda: outputs.sum(0) / torch.from_numpy(LENGTHS)[:, None],
        "max": lambda: outputs.masked_fill(~real, -np.inf).max(0).values,
    }[pool]()
    loss = torch.nn.functional.cross_entropy(linear(read), torch.from_numpy(y))
    loss.backward()
    result = rf.Engine(made, "checkpoint:slots=2", chunk=2, shards=1, kernels=kernels).gradients(x, y, lengths=LENGTHS)
    assert abs(result.loss - loss.item()) < 1e-12
    for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
        for ours, theirs in (("U", "weight_ih"), ("W", "weight_hh"), ("b", "bias_ih")):
            witness = getattr(gru, f"{theirs}_l0{suffix}").grad.numpy().T
            assert np.abs(result.gradients[f"layer0.{direction}.{ours}"] - witness).max() < 1e-12
    assert np.abs(result.gradients["head.V"] - linear.weight.grad.numpy().T).max() < 1e-12
    predicted = rf.Inference(made, kernels=kernels).predict(x, lengths=LENGTHS)[0]
    last = predicted[LENGTHS - 1, np.arange(BATCH)]
    assert np.abs(last - torch.softmax(linear(read), 1).detach().numpy()).max() < 1e-12


@pytest.mark.parametrize("cells", STACKS.values(), ids=STACKS)
def test_gradients_equal_finite_differences(cells):
    x, y = data()
    small = network([cell.replace("=4", "=3").replace("=5", "=2") for cell in cells])
    engine = rf.Engine(small, "checkpoint:slots=2", chunk=4, shards=1, kernels="numpy")
    check_gradients(engine, x, y, lengths=LENGTHS)


@pytest.mark.parametrize("cells", [*STACKS.values(), [f"bidirectional({MASKED})"]], ids=[*STACKS, "masked"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_exact_stores_give_the_same_bits(cells, shards, lengths):
    made, (x, y) = network(cells, dtype="float32"), data(dtype="float32")
    weights = np.arange(1.0, BATCH + 1)

    def run(store):
        kernels = "auto" if cells == STACKS["ends"] else "numpy"
        engine = rf.Engine(made, store, chunk=2, shards=shards, kernels=kernels, seed=3)
        return engine.gradients(x, y, lengths=lengths, weights=weights)

    first, *others = map(run, STORES)
    assert np.abs(first.gradients.flat).max() > 0
    for store, other in zip(STORES[1:], others, strict=True):
        # `states` rebuilds gates from states, to rounding
        close = store == "states"
        assert other.loss == first.loss
        if close:
            assert np.allclose(other.gradients.flat, first.gradients.flat, rtol=1e-4, atol=1e-6)
        else:
            assert np.array_equal(other.gradients.flat, first.gradients.flat)
        assert other.report.peak_bytes <= other.report.predicted_bytes


def test_masks_do_not_depend_on_chunks_and_shards():
    made, (x, y) = network([f"bidirectional({MASKED})", "dropout"]), data()
    runs = [
        rf.Engine(made, chunk=c, shards=s, seed=1).gradients(x, y, lengths=LENGTHS)
        for c, s in ((1, 1), (4, 2), (11, 5))
    ]
    for other in runs[1:]:
        assert np.allclose(other.gradients.flat, runs[0].gradients.flat, rtol=1e-10, atol=1e-12)
    unmasked = rf.Engine(network(STACKS["ends"])).gradients(x, y, lengths=LENGTHS)
    assert not np.isclose(unmasked.loss, runs[0].loss)


def test_row_numbers_are_looked_up_in_both_directions():
    made, (numbers, y) = network(STACKS["ends"]), data(lookup=True)
    dense = np.eye(INPUTS)[numbers]
    looked_up, multiplied = (rf.Engine(made).gradients(x, y, lengths=LENGTHS) for x in (numbers, dense))
    assert np.allclose(looked_up.gradients.flat, multiplied.gradients.flat, rtol=1e-12, atol=1e-14)
    rows = rf.Network(STACKS["ends"], HEAD, 40, embedding_std=2.0).parameters
    assert all(1.5 < rows[f"layer0.{direction}.U"].std() < 2.5 for direction in ("forward", "reverse"))


def test_a_value_behind_the_end_is_never_read_and_a_wrong_one_is_named():
    made, (x, y) = network(STACKS["mean"]), data()
    clean = rf.Engine(made).gradients(x, y, lengths=LENGTHS)
    spoilt = x.copy()
    for sample, length in enumerate(LENGTHS):
        spoilt[length:, sample] = np.nan
    assert np.array_equal(rf.Engine(made).gradients(spoilt, y, lengths=LENGTHS).gradients.flat, clean.gradients.flat)
    spoilt[9, 4] = np.nan
    with pytest.raises(DataError, match="the first at step 9"):
        rf.Engine(made, chunk=2, shards=1).gradients(spoilt, y, lengths=LENGTHS)


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("bidirectional(gru lstm)", "has 2 layers; expected one"),
        ("bidirectional(bidirectional(gru))", "expected one of one direction"),
        ("residual(bidirectional(gru:hidden=2))", "holds a layer of two directions"),
    ],
)
def test_layers_that_cannot_stand_there_are_refused(cell, match):
    with pytest.raises(OptionError, match=match):
        rf.Network([cell], HEAD, INPUTS)


def test_what_needs_one_direction_is_refused():
    made, (x, y) = network(STACKS["ends"]), data()
    with pytest.raises(OptionError, match="truncates, and a layer of two directions needs whole sequences"):
        rf.Engine(made, "circular-queue:k1=2,k2=4").gradients(x, y)
    with pytest.raises(DataError, match="x is a stream"):
        rf.Engine(made, "checkpoint:policy=online,slots=3").gradients(iter([(x, y)]), None)
    with pytest.raises(DataError, match="a state is given"):
        rf.Engine(made).gradients(x, y, state=made.new_state(BATCH))
    with pytest.raises(DataError, match="resets cut a sample"):
        rf.Engine(made).gradients(x, y, resets=np.zeros((STEPS, BATCH), bool))
    with pytest.raises(UsageError, match="a sweep hands out outputs step by step"):
        rf.Engine(made).sweep(x, lambda part, outputs: outputs)
    with pytest.raises(OptionError, match="needs the end of a sequence before its first step"):
        made.stream()


def test_copies_and_files_compute_the_same_bits(tmp_path):
    made, (x, _) = network(STACKS["mean"]), data()
    made.save(tmp_path / "two.safetensors")
    again = rf.load_model(tmp_path / "two.safetensors")
    assert again.network.specs()["cells"][0].startswith("bidirectional(gru:hidden=4")
    assert np.array_equal(again.predict(x), rf.Inference(made).predict(x)[0])


@pytest.mark.slow
def test_ten_thousand_steps_fit_into_a_budget():
    made = network(["bidirectional(gru:hidden=64)", "mean-pool"], dtype="float32")
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(10_000, 8, INPUTS)).astype(np.float32), rng.integers(0, 3, 8)
    whole = rf.Engine(made, chunk=64, shards=1).gradients(x, y)
    result = rf.Engine(made, "auto:budget=8MiB", chunk=64, shards=1).gradients(x, y)
    assert result.report.peak_bytes <= 8 << 20 < whole.report.peak_bytes / 10
    assert abs(result.report.peak_bytes / result.report.predicted_bytes - 1) < 0.02
    assert np.array_equal(result.gradients.flat, whole.gradients.flat)


def write_sequences(path):
    """Write sequences whose class is the sign of their first value, which the last steps do not show."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(48, 12, 2))
    lengths = rng.integers(4, 13, 48)
    np.savez(path, x=x, y=(x[:, 0, 0] > 0).astype(int), lengths=lengths)


def test_a_training_goes_on_with_the_same_bits(tmp_path):
    write_sequences(tmp_path / "signs.npz")

    def options(epochs):
        return rf.TrainingOptions(
            task="classify:axes=ntc",
            data=str(tmp_path / "signs.npz"),
            layers="bidirectional(gru:hidden=6,recurrent_dropout=0.1) dropout:rate=0.1 ",
            store="checkpoint:slots=2",
            rate="constant",
            epochs=epochs,
            batch=8,
            chunk=2,
        )

    with rf.Training(options(4), run=tmp_path / "whole") as whole:
        whole.fit()
    with rf.Training(options(2), run=tmp_path / "cut") as cut:
        cut.fit()
    with rf.Training.resume(tmp_path / "cut", epochs=4) as again:
        again.fit()
    first, second = (rf.load_model(tmp_path / run, "last").network.parameters.flat for run in ("whole", "cut"))
    assert np.array_equal(first, second)
    score = rf.load_model(tmp_path / "whole").evaluate(tmp_path / "signs.npz")
    assert 0 < score.loss < 0.7
