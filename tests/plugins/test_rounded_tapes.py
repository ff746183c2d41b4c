"""Tapes kept in bfloat16: half of the bytes, the loss and the states bit for bit, gradients to rounding."""

import json

import attrs
import numpy as np
import pytest
from adding_batches import adding_batch

import rnnframe as rf
from rnnframe.arrays import Rounding, round_to_bfloat16, widen_bfloat16
from rnnframe.errors import OptionError
from rnnframe.network import chunk_model, shared_arrays
from rnnframe.plugin import hookimpl
from rnnframe.registry.kernels import choose
from rnnframe.registry.registry import default_registry
from rnnframe.testing import check_cell

FULL = "full-history:keep=bfloat16"
STORES = [
    FULL,
    "checkpoint:slots=3,keep=bfloat16",
    "checkpoint:policy=revolve,slots=2,keep=bfloat16",
    "checkpoint:policy=mixed,slots=40,keep=bfloat16",
    "checkpoint:policy=online,slots=3,keep=bfloat16",
]
CELLS = {
    "lstm": ["lstm:hidden=12"],
    "gru": ["gru:hidden=12", "gru:hidden=9,reset=before"],
    "elman": ["elman:hidden=12", "elman:hidden=8"],
    "norm": ["lstm:hidden=8,norm=layer,projection=5", "layer-norm", "dropout:rate=0.3"],
    "linear": ["mingru:hidden=9", "lru:units=6,states=4", "rglru"],
    "selective": ["dense:units=6", "selective-ssm:states=3", "linear-attention:heads=2,keys=3,values=3"],
    "slstm": ["slstm:hidden=7", "residual(peephole-lstm:hidden=7)"],
    "convolution": ["convolution:taps=3", "indrnn:hidden=8", "highway(elman:hidden=8)"],
}
STEPS, BATCH, INPUTS, CLASSES = 67, 6, 5, 7


def kernels_here():
    return ["numpy", *(["auto"] if choose("auto", default_registry()) else [])]


def engine(store, cells, kernels="numpy", head=f"softmax:classes={CLASSES}", **how):
    return rf.Engine(rf.Network(cells, head, INPUTS, seed=2), store, kernels=kernels, **{"chunk": 8, **how})


def batch(steps=STEPS):
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, BATCH, INPUTS)).astype("f4"), rng.integers(0, CLASSES, (steps, BATCH))


def error(found, expected):
    found, expected = (result.gradients.flat.astype(float) for result in (found, expected))
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def rounded(values):
    """What bfloat16 makes of numbers, found in float64 from the two neighbours: the nearer one, of equal ones the even.

    It shares nothing with the code: neighbours are those with 8 significant bits, by frexp.
    """
    values = np.asarray(values, np.float64)
    _, power = np.frexp(values)
    unit = np.ldexp(1.0, np.maximum(power, -125) - 8)
    return np.round(values / unit) * unit  # of halves, numpy rounds to the even


@pytest.mark.parametrize("kernels", kernels_here())
def test_numbers_are_rounded_to_the_nearest_and_to_even(kernels):
    rounding = shared_arrays.rounding_by(choose(kernels, default_registry()))
    narrow, widen = rounding.to_bfloat16, rounding.widen
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 40_001, np.uint32)
    bits[:20_000] = bits[:20_000] & 0xFFFF0000 | 0x8000  # half between two
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers) & (np.abs(numbers) < 3e38)]
    halves, found = np.zeros(len(numbers), np.uint16), np.zeros(len(numbers), np.float32)
    narrow(numbers, halves)
    widen(halves, found)
    assert np.array_equal(found, rounded(numbers))
    odd = np.array([np.inf, -np.inf, np.nan, -0.0, 3.4e38], np.float32)
    narrow(odd, halves[:5])
    widen(halves[:5], found[:5])
    assert np.array_equal(found[:5], [np.inf, -np.inf, np.nan, -0.0, np.inf], equal_nan=True)
    assert np.signbit(found[3])
    no_numbers = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001], np.uint32).view(np.float32)
    narrow(no_numbers, halves[:3])
    widen(halves[:3], found[:3])
    assert np.isnan(found[:3]).all()


def test_numbers_are_rounded_as_torch_rounds_them():
    torch = pytest.importorskip("torch")
    numbers = np.random.default_rng(1).integers(0, 1 << 32, 30_000, np.uint32).view(np.float32)
    halves, found = np.zeros(len(numbers), np.uint16), np.zeros(len(numbers), np.float32)
    round_to_bfloat16(numbers, halves)
    widen_bfloat16(halves, found)
    wanted = torch.from_numpy(numbers).bfloat16().float().numpy()
    assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize("kernels", kernels_here())
@pytest.mark.parametrize("name", CELLS)
def test_loss_and_state_keep_their_bits_and_gradients_are_off_by_rounding(name, kernels):
    x, y = batch()
    expected = engine("full-history", CELLS[name], kernels).gradients(x, y)
    found = [engine(store, CELLS[name], kernels).gradients(x, y) for store in STORES]
    for store, result in zip(STORES, found, strict=True):
        assert result.loss == expected.loss
        assert np.array_equal(result.state.flat, expected.state.flat)
        assert np.array_equal(result.gradients.flat, found[0].gradients.flat)  # whatever is kept or run again
        assert np.array_equal(result.state_gradient.flat, found[0].state_gradient.flat)
        assert result.report.peak_bytes == result.report.predicted_bytes, store
        assert not result.report.exact
    if name == "lstm":
        assert found[0].report.peak_bytes < expected.report.peak_bytes
    assert 0 < error(found[0], expected) < 1e-2


@pytest.mark.parametrize(
    ("cells", "share"),
    [
        (["lstm:hidden=64"], 7 / 12),  # 5 H in two bytes and the outputs in four, of 6 H in four
        (["gru:hidden=64"], 6 / 10),
        (["gru:hidden=64,reset=before"], 5 / 8),
        (["elman:hidden=64"], 1),  # its outputs are all that it leaves
        (["lstm:hidden=64"] * 3, 19 / 36),
        (["lstm:hidden=64", "dense:units=1"], 0.5),
    ],
)
def test_half_of_the_bytes_wait_but_for_the_outputs_of_the_top_layer(cells, share):
    network = rf.Network(cells, "mse:outputs=1", 3)
    steps = 1000  # so many that the rows before and after a chunk do not matter
    assert network.chunk_bytes(steps, 8, "bfloat16").tape == pytest.approx(
        share * network.chunk_bytes(steps, 8).tape, rel=0.01
    )


def test_the_bytes_of_a_chunk_are_its_arrays_and_the_rows_before_and_after_it():
    H, L, B = 5, 7, 3
    numbers = L * 4 * H + (L + 1) * H  # gates and c
    wanted = B * (2 * numbers + 4 * (L + 1) * H + 4 * 2 * H)  # h, and the two rows of c
    found = rf.Network([f"lstm:hidden={H}"], "mse:outputs=1", 3).chunk_bytes(L, B, "bfloat16")
    assert wanted <= found.tape < wanted + 64 + 4


def test_gradients_are_those_of_the_rounded_states():
    """By hand: the lower of two Elman layers is reversed with rounded states, but for the one before each chunk."""
    L, H = 4, 3
    network = rf.Network([f"elman:hidden={H}", f"elman:hidden={H}"], "mse:outputs=2", INPUTS, seed=4)
    rng = np.random.default_rng(2)
    network.parameters.flat[:] = rng.normal(scale=0.6, size=network.parameters.flat.shape)
    x, y = rng.normal(size=(11, BATCH, INPUTS)).astype("f4"), rng.normal(size=(11, BATCH, 2)).astype("f4")
    p = {name: value.astype(float) for name, value in network.parameters.items()}

    def by_hand(keep):
        states = [np.zeros((12, BATCH, H)) for _ in range(2)]
        for n, h in enumerate(states):
            below = x if n == 0 else states[0][1:]
            for t in range(11):
                z = below[t] @ p[f"layer{n}.U"] + h[t] @ p[f"layer{n}.W"] + p[f"layer{n}.b"]
                h[t + 1] = np.tanh(z)
        low, high = keep(states[0]), states[1]
        do = (high[1:] @ p["head.V"] + p["head.c"] - y) / (11 * BATCH)  # 2 (o - y) / outputs
        found = {name: np.zeros_like(value) for name, value in p.items()}
        found["head.V"], found["head.c"] = np.einsum("tbh,tbo->ho", high[1:], do), do.sum((0, 1))
        carried = [np.zeros((BATCH, H)) for _ in range(2)]
        for t in reversed(range(11)):
            before = states[0][t] if t % L == 0 else low[t]
            dz = (do[t] @ p["head.V"].T + carried[1]) * (1 - high[t + 1] ** 2)
            dz_low = (dz @ p["layer1.U"].T + carried[0]) * (1 - low[t + 1] ** 2)
            for n, (d, reads, state) in enumerate([(dz_low, x[t], before), (dz, low[t + 1], high[t])]):
                found[f"layer{n}.U"] += reads.T @ d
                found[f"layer{n}.W"] += state.T @ d
                found[f"layer{n}.b"] += d.sum(0)
            carried = [dz_low @ p["layer0.W"].T, dz @ p["layer1.W"].T]
        return found

    exact, halved = by_hand(lambda h: h), by_hand(lambda h: rounded(h.astype("f4")))
    for store, wanted in (("full-history", exact), (FULL, halved)):
        result = rf.Engine(network, store, chunk=L, shards=1, kernels="numpy").gradients(x, y)
        for name, value in wanted.items():
            assert np.abs(result.gradients[name] - value).max() < 2e-6 * np.abs(value).max(), (store, name)
    assert max(np.abs(exact[name] - halved[name]).max() / np.abs(exact[name]).max() for name in exact) > 1e-4


@pytest.mark.parametrize("kernels", kernels_here())
def test_cuts_and_resets_keep_the_loss_and_the_states_too(kernels):
    x, y = batch()
    rng = np.random.default_rng(3)
    given = {"lengths": np.array([67, 50, 3, 16, 41, 8]), "resets": rng.random((STEPS, BATCH)) < 0.05}
    state = engine("full-history", CELLS["gru"]).gradients(x, y).state

    def beside(result):
        return result.report.peak_bytes - result.report.predicted_bytes

    for cells, start in ((CELLS["gru"], state), (["lstm:hidden=6,start=learnt", "convolution:taps=3", "gru"], None)):
        expected = engine("full-history", cells, kernels, shards=2).gradients(x, y, start, **given)
        found = [engine(store, cells, kernels, shards=2).gradients(x, y, start, **given) for store in STORES[:4]]
        for result in found:
            assert result.loss == expected.loss
            assert np.array_equal(result.state.flat, expected.state.flat)
            assert np.array_equal(result.gradients.flat, found[0].gradients.flat)
            assert beside(result) <= beside(expected)  # states that a convolution has more of where chunks are cut
        assert 0 < error(found[0], expected) < 1e-2


@pytest.mark.parametrize("at", ["last", "every"])
def test_two_directions_keep_the_loss_too(at):
    cells = ["bidirectional(lstm:hidden=5)", "gru:hidden=4", "mean-pool"][: 2 if at == "every" else None]
    x, y = batch()
    head = f"softmax:classes={CLASSES}" + ",at=last" * (at == "last")
    results = [
        engine(store, cells, head=head).gradients(x, y[0] if at == "last" else y)
        for store in ("full-history", FULL, STORES[1])
    ]
    for result in results[1:]:
        assert result.loss == results[0].loss
        assert 0 < error(result, results[0]) < 1e-2
        assert result.report.peak_bytes == result.report.predicted_bytes
    assert np.array_equal(results[1].gradients.flat, results[2].gradients.flat)


def test_the_outputs_that_a_loss_outside_sees_are_exact():
    x, _ = batch()
    made = rf.Network(CELLS["gru"], None, INPUTS, seed=2)

    class Outside:
        def __init__(self):
            self.seen, self.pulled = (np.zeros((STEPS, BATCH, 9), "f4") for _ in range(2))

        def outputs(self, part, outputs):
            self.seen[part.index] = outputs

        def pull(self, part, outputs):
            self.pulled[part.index] = outputs
            return np.cos(outputs)

    clients = Outside(), Outside()
    found = [
        rf.Engine(made, store, chunk=8, kernels="numpy").sweep(x, client.pull, outputs=client.outputs)
        for store, client in zip(("full-history", FULL), clients, strict=True)
    ]
    assert np.array_equal(clients[0].pulled, clients[1].pulled)
    assert np.array_equal(clients[1].seen, clients[1].pulled)
    assert 0 < error(found[1], found[0]) < 1e-2


def test_only_what_waits_is_rounded_and_once_for_each_reverse_made_wide(monkeypatch):
    calls = []

    def counted(name, work):
        return lambda source, target: (calls.append(name), work(source, target))

    rounding = Rounding(counted("round", round_to_bfloat16), counted("widen", widen_bfloat16))
    monkeypatch.setattr(chunk_model, "rounding_by", lambda kernels: rounding)
    made = engine("checkpoint:policy=revolve,slots=2,keep=bfloat16", CELLS["lstm"], shards=1)
    calls.clear()
    report = made.gradients(*batch()).report
    assert report.forward_steps > 2 * STEPS  # most chunks are run for the state behind them alone
    reversed_chunks = -(-STEPS // 8)
    assert calls.count("widen") == calls.count("round") == reversed_chunks
    assert report.reverse_steps == STEPS


def test_a_tape_that_is_reversed_again_and_again_gives_the_same():
    x, y = batch()
    cells = ["lstm:hidden=9", "gru:hidden=8"]

    def windows(store):
        gradients = []
        engine(store, cells).run(x, y, None, lambda gradient, _: gradients.append(gradient.flat.copy()))
        return np.array(gradients)

    queue = "circular-queue:k1=8,k2=24"
    exact, found = windows(queue), windows(f"{queue},keep=bfloat16")
    errors = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert len(errors) == 9
    assert (errors > 0).all()
    assert (errors < 1e-2).all()


def test_a_layer_names_arrays_that_must_not_be_rounded():
    cell = type(rf.cell("elman"))

    @attrs.frozen(kw_only=True)
    class Placed(cell):
        """An Elman cell that looks its inputs up again in the reverse, by their places from 1000 on."""

        name = "placed"
        unrounded = ("place",)

        def tape(self, inputs):
            return {**super().tape(inputs), "place": 1}

        def forward(self, block):
            super().forward(block)
            block.tape["place"][...] = 1001 + np.arange(block.steps)[:, None, None]

        def backward(self, block, dh, dstate, gradients, dx):
            places = block.tape["place"][..., 0].astype(int) - 1001
            assert (places == np.arange(block.steps)[:, None]).all()
            super().backward(block, dh, dstate, gradients, dx)

    def run(*cells):
        return engine(FULL, cells).gradients(*batch())

    below = [Placed(hidden=6), "gru:hidden=5"]
    assert 0 < error(run(*below), engine("full-history", below).gradients(*batch())) < 1e-2
    for around in ("residual", "highway"):
        wrapped = attrs.evolve(rf.cell(f"{around}(elman:hidden={INPUTS})"), layers=(Placed(hidden=INPUTS),))
        assert run(wrapped, "gru:hidden=5").loss > 0
    kept = rf.Network(["bidirectional(mean-pool)", "gru:hidden=3"], "mse:at=last", 2).stages
    shapes = kept[0]._tape_shapes(9, 2, "bfloat16").kept
    assert {"layer0.forward.n", "layer0.reverse.n"} <= shapes.keys()


def test_a_name_that_the_tape_does_not_have_is_found_by_the_suite_of_cells():
    @attrs.frozen(kw_only=True)
    class Mistaken(type(rf.cell("elman"))):
        name = "mistaken"
        unrounded = ("places",)

    (failed,) = check_cell(Mistaken(hidden=3)).failed
    assert failed.message == "unrounded names ['places'], which tape() does not have"


def test_float64_and_graphs_of_torch_are_refused_in_one_line():
    network = rf.Network(["lstm:hidden=3"], "mse", 2, dtype="float64")
    for store in STORES[:2]:
        with pytest.raises(
            OptionError, match=r"bfloat16 .*need a network of dtype float32, not float64; take keep=lean"
        ):
            rf.Engine(network, store)
    torch = pytest.importorskip("torch")
    import rnnframe_torch as rft

    class Cell(torch.nn.GRUCell):
        def forward(self, x, h):
            h = super().forward(x, h)
            return h, h

    with pytest.raises(OptionError, match="leave keep=bfloat16 out"):
        rft.unroll(Cell(3, 4), torch.ones(5, 2, 3), torch.zeros(2, 4), store=FULL)


def test_a_store_that_rounds_is_never_chosen_by_a_budget():
    class Halved(type(rf.store("full-history"))):
        name = "halved"

        @classmethod
        def fit(cls, problem, length, budget):
            return [cls(keep="bfloat16")]

    class Plugin:
        @hookimpl
        def rnnframe_state_stores(self):
            return [attrs.frozen(kw_only=True)(Halved)]

    registry = rf.Registry.installed()
    registry.register(Plugin(), "halved")
    made = rf.Network(["lstm:hidden=32"], "mse", 5)
    whole, half = (rf.Engine(made, store).plan(1000, 16).predicted_bytes for store in ("full-history", FULL))
    plan = rf.Engine(made, f"auto:budget={(whole + half) // 2}", registry=registry).plan(1000, 16)
    assert plan.store.name == "checkpoint"
    assert plan.exact


def test_plan_compare_and_explain_say_that_it_is_not_exact(run_command):
    words = ("--cell", "lstm:hidden=8", "--inputs", 2, "--steps", 90, "--batch", 4, "--kernels", "numpy")
    planned = json.loads(
        run_command("plan", *words, "--chunk", 10, "--store", FULL, "--store", "full-history", "--json")
    )["plans"]
    assert [(row["exact"], row["gradient"]) for row in planned] == [(False, "rounded"), (True, "exact")]
    assert planned[0]["predicted_bytes"] < planned[1]["predicted_bytes"]
    compared = json.loads(run_command("compare", *words, "--chunk", 10, "--store", FULL, "--json"))["stores"][1]
    assert compared["predicted_bytes"] == compared["held_bytes"]
    assert not compared["exact"]
    assert not compared["bit_identical"]
    assert 0 < compared["relative_error"] < 1e-2
    explained = run_command("explain", "lstm:hidden=8", "--store", FULL)
    assert "kept in bfloat16" in explained
    assert "Kept in bfloat16: half of them." in explained
    assert "half of them" not in run_command("explain", "lstm:hidden=8")


def test_a_training_goes_on_bit_for_bit(run_command, tmp_path):
    rows = np.cumsum(np.random.default_rng(0).normal(size=(400, 2)), 0)
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    how = ("--task", "forecast", "--data", tmp_path / "rows.csv", "--cell", "lstm:hidden=8", "--batch", 4, "--quiet")
    how = (*how, "--steps", 16, "--epochs", 2, "--store", FULL, "--shards", 1, "--kernels", "numpy")
    run_command("train", *how, "--out", tmp_path / "whole")
    run_command("train", *how, "--out", tmp_path / "part", "--stop-after", 3)
    run_command("train", "--resume", tmp_path / "part", "--quiet")
    whole, part = (rf.load_model(tmp_path / name, "last").network for name in ("whole", "part"))
    assert np.array_equal(whole.parameters.flat, part.parameters.flat)


def test_the_adding_task_is_learnt_as_with_exact_gradients():
    def losses(store):
        rng = np.random.default_rng(0)
        network = rf.Network(["lstm:hidden=32"], "mse:outputs=1,at=last", 2)
        trainer = rf.Trainer(rf.Engine(network, store, chunk=5, shards=1), "adam:lr=0.01")

        return [trainer.step(*adding_batch(rng)).loss for _ in range(400)]

    exact, found = losses("full-history"), losses(FULL)
    assert found[0] == exact[0]
    assert found != exact
    assert np.mean(found[:10]) > 0.15  # always to say 1 gives 1/6
    assert np.mean(found[-20:]) < 0.02
