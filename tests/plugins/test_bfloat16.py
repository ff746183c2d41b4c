"""Products of bfloat16 operands: beside torch, which rounds the same operands, and beside themselves."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from adding_batches import adding_batch

import rnnframe as rf
from rnnframe.errors import OptionError

place = pytest.importorskip("rnnframe_compiled.place", reason="numba is not installed")

with place.kept():
    from llvmlite import ir
    from numba import njit
    from numba.core import types
    from numba.extending import intrinsic

    from rnnframe_compiled import pairs, processor
    from rnnframe_compiled.lanes import BFLOAT16, BYTES, INT32, INT64, address, load, store, vector_type

REST = [pytest.param(cell, marks=pytest.mark.slow) for cell in ("gru", "gru:reset=before", "elman")]
CELLS = ["lstm", *REST]  # every kind is code of its own, which is compiled first
STEPS, BATCH, INPUTS, CLASSES = 9, 8, 7, 5


def spec(cell, hidden):
    return f"{cell}{',' if ':' in cell else ':'}hidden={hidden}"


def network_of(cell, hidden=(19, 16), head=f"softmax:classes={CLASSES}", precision="bfloat16", inputs=INPUTS, seed=3):
    network = rf.Network([spec(cell, units) for units in hidden], head, inputs, precision=precision)
    network.parameters.flat[:] = np.random.default_rng(seed).normal(0, 0.3, network.parameters.flat.shape)
    return network


def data_of(steps=STEPS, batch=BATCH, inputs=INPUTS, looked_up=False, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, inputs, (steps, batch)) if looked_up else rng.normal(size=(steps, batch, inputs))
    return x if looked_up else x.astype(np.float32), rng.integers(0, CLASSES, (steps, batch))


def compiled(network, store="full-history", **options):
    return rf.Engine(network, store, **({"chunk": 4, "shards": 1, "kernels": "compiled"} | options))


class Witness:
    """The same networks in torch, whose bfloat16 rounds the operands of each product and of those of its reverse."""

    def __init__(self, network, rounds=True):
        import torch

        self.torch, self.network, self.product = torch, network, self._product(torch, rounds)
        self.weights = {name: torch.tensor(value, requires_grad=True) for name, value in network.parameters.items()}

    @staticmethod
    def _product(torch, rounds):
        def rounded(x):
            return x.bfloat16().float() if rounds else x

        class Product(torch.autograd.Function):
            @staticmethod
            def forward(context, a, b):
                context.save_for_backward(a, b)
                return rounded(a) @ rounded(b)

            @staticmethod
            def backward(context, d):
                a, b = context.saved_tensors
                return rounded(d) @ rounded(b).T, rounded(a).T @ rounded(d)

        return Product.apply

    def gradients(self, x, y):
        """Return the loss and the gradients by name."""
        torch = self.torch
        looked_up = x.dtype.kind == "i"
        rows = list(torch.tensor(x))
        for number, cell in enumerate(self.network.cells):
            weights = {
                name: self.weights[f"layer{number}.{name}"] for name in self.network.parameters.group(f"layer{number}")
            }
            rows = self.layer(cell, weights, rows, looked_up and number == 0)
        outputs = torch.stack([self.product(h, self.weights["head.V"]) + self.weights["head.c"] for h in rows])
        total = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), torch.tensor(y).flatten(), reduction="sum")
        total.backward()  # the gradient is divided afterwards, as the engine divides it
        count = y.size
        return total.item() / count, {name: value.grad.numpy() / count for name, value in self.weights.items()}

    def layer(self, cell, weights, rows, looked_up):
        torch, H = self.torch, cell.hidden
        U, W, b = (weights[name] for name in "UWb")
        h = c = torch.zeros(len(rows[0]), H)
        outputs = []
        for x in rows:
            s = (U[x] if looked_up else self.product(x, U)) + b
            if cell.name == "lstm":
                i, f, g, o = (s + self.product(h, W)).split(H, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            elif cell.name == "elman":
                h = torch.tanh(s + self.product(h, W))
            else:
                s_r, s_z, s_n = s.split(H, 1)
                if cell.reset == "after":
                    q_r, q_z, q = self.product(h, W).split(H, 1)
                    r, z = torch.sigmoid(s_r + q_r), torch.sigmoid(s_z + q_z)
                    n = torch.tanh(s_n + r * (q + weights["bn"]))
                else:
                    q_r, q_z = self.product(h, W[:, : 2 * H]).split(H, 1)
                    r, z = torch.sigmoid(s_r + q_r), torch.sigmoid(s_z + q_z)
                    n = torch.tanh(s_n + self.product(r * h, W[:, 2 * H :]))
                h = n + z * (h - n)
            outputs.append(h)
        return outputs


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_losses_and_gradients_are_those_of_rounded_operands_and_sums_of_float32(cell, looked_up):
    pytest.importorskip("torch", reason="torch is not installed")
    errors = []
    for seed in range(5):
        network = network_of(cell, hidden=(5, 4), inputs=3, seed=seed)
        x, y = data_of(steps=5, batch=3, inputs=3, looked_up=looked_up, seed=seed)
        found = compiled(network, chunk=3).gradients(x, y)
        loss, gradients = Witness(network).gradients(x, y)
        _, unrounded = Witness(network, rounds=False).gradients(x, y)
        errors.append([abs(found.loss - loss)])
        for name, wanted in gradients.items():
            errors[-1].append(np.abs(found.gradients[name] - wanted).max() / np.abs(wanted).max())
        assert max(np.abs(found.gradients[name] - value).max() for name, value in unrounded.items()) > 2e-5
    # where torch's own rounding moves a value over the edge between two numbers of bfloat16, all that follows differs
    assert np.median(np.max(errors, axis=1)) <= 2e-6


@pytest.mark.parametrize("cell", CELLS)
def test_exact_stores_give_equal_bits_and_hold_what_was_planned(cell):
    network = network_of(cell)
    x, y = data_of(steps=30)
    expected = compiled(network).gradients(x, y)
    for store in ("full-history:keep=lean", "states", "checkpoint:slots=2", "checkpoint:policy=mixed,slots=9"):
        found = compiled(network, store).gradients(x, y)
        assert found.loss == expected.loss
        assert np.array_equal(found.gradients.flat, expected.gradients.flat), store
        assert found.report.precision == "bfloat16"
        assert found.report.peak_bytes == pytest.approx(found.report.predicted_bytes, rel=0.02)


@pytest.mark.parametrize("cell", CELLS)
def test_some_samples_alone_are_predicted_as_among_others_and_step_by_step(cell):
    network = network_of(cell)
    x, _ = data_of()
    together, _ = rf.Inference(network, kernels="compiled").predict(x)
    for some in ([3], [0, 5], [7, 1, 2, 4, 6]):
        apart, _ = rf.Inference(network, kernels="compiled").predict(np.ascontiguousarray(x[:, some]))
        assert np.array_equal(apart, together[:, some])
    stream = network.stream(BATCH, kernels="compiled")
    assert np.array_equal(np.stack([stream.step(row) for row in x]), together)
    assert np.array_equal(compiled(network).predict(x)[0], together)
    assert not np.array_equal(rf.Inference(network.in_precision(None), kernels="compiled").predict(x)[0], together)


def test_the_dtype_of_parameters_states_and_gradients_is_that_of_the_network():
    found = compiled(network_of("lstm", precision=None), precision="bfloat16").gradients(*data_of())
    assert {value.dtype.name for value in (found.gradients.flat, found.state.flat, found.state_gradient.flat)} == {
        "float32"
    }


def test_samples_that_end_and_begin_anew_and_inputs_in_two_shards():
    network = network_of("lstm")
    x, y = data_of()
    lengths, resets = np.array([9, 3, 1, 9, 5, 7, 2, 8]), np.random.default_rng(0).random(x.shape[:2]) < 0.2
    whole, lean = (compiled(network, store, shards=2) for store in ("full-history", "checkpoint:slots=2"))
    one, other = (engine.gradients(x, y, None, lengths, resets) for engine in (whole, lean))
    assert np.array_equal(one.gradients.flat, other.gradients.flat)
    alone = compiled(network).gradients(x, y, None, lengths, resets).gradients.flat
    assert np.abs(one.gradients.flat - alone).max() <= 1e-3 * np.abs(alone).max()


WITHOUT_PRODUCTS = ["dropout:rate=0.2", "layer-norm", "convolution", "mean-pool", "max-pool"]


def test_layers_that_multiply_nothing_stand_beside_rounded_products():
    cells = ["embedding:size=7", *WITHOUT_PRODUCTS, "residual(layer-norm lstm:hidden=7 dropout)"]
    network = rf.Network(cells, f"softmax:classes={CLASSES}", INPUTS, precision="bfloat16")
    x, y = data_of(looked_up=True)
    found = compiled(network)
    assert set(found.running.kernels) == {"numpy", "residual(numpy compiled numpy)"}
    rounded = found.gradients(x, y).gradients
    exact = rf.Engine(network.in_precision(None), chunk=4, shards=1, kernels="compiled").gradients(x, y).gradients
    assert not np.array_equal(rounded.flat, exact.flat)
    assert np.abs(rounded.flat - exact.flat).max() < 0.03 * np.abs(exact.flat).max()


def test_a_network_that_multiplies_nothing_needs_no_compiled_kernels():
    cells = [*WITHOUT_PRODUCTS, "residual(dropout layer-norm)"]
    given, _ = data_of()
    made = [rf.Network(cells, None, INPUTS, precision=precision) for precision in ("bfloat16", None)]
    assert np.array_equal(*(rf.Inference(network, kernels="numpy").predict(given)[0] for network in made))


def test_a_block_around_an_lstm_rounds_what_the_lstm_alone_rounds():
    made = [
        rf.Network([cell], None, INPUTS, precision="bfloat16") for cell in ("residual(lstm:hidden=7)", "lstm:hidden=7")
    ]
    made[0].parameters.flat[:] = made[1].parameters.flat
    x, _ = data_of()
    block, alone = (rf.Inference(network, kernels="compiled").predict(x)[0] for network in made)
    assert np.array_equal(block, x + alone)


def test_a_saved_network_keeps_its_precision(tmp_path):
    network = network_of("lstm")
    network.save(tmp_path / "net.safetensors")
    model = rf.load_model(tmp_path / "net.safetensors", kernels="compiled")
    x, _ = data_of()
    assert model.network.precision == "bfloat16"
    assert np.array_equal(model.predict(x), rf.Inference(network, kernels="compiled").predict(x)[0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: rf.Engine(network_of("lstm"), kernels="numpy"),
            "kernels numpy have no such products for the layer 'lstm'",
        ),
        (lambda: rf.Engine(network_of("indrnn"), kernels="compiled"), "no such products for the layer 'indrnn'"),
        (lambda: rf.Engine(network_of("lstm:recurrent_dropout=0.1"), kernels="compiled"), "the layer 'lstm'"),
        (lambda: compiled(rf.Network(["dense:units=3"], None, 3, precision="bfloat16")), "the layer 'dense'"),
        (lambda: compiled(rf.Network(["highway(dropout)"], None, 3, precision="bfloat16")), "the layer 'highway'"),
        (lambda: compiled(rf.Network(["attention-pool"], None, 3, precision="bfloat16")), "the layer 'attention-pool'"),
        (
            lambda: compiled(
                rf.Network(["residual(dropout residual(mingru:hidden=3))"], None, 3, precision="bfloat16")
            ),
            "the layer 'mingru'",
        ),
        (
            lambda: rf.Network(["lstm:hidden=2"], None, 2, dtype="float64", precision="bfloat16"),
            "dtype float32, not float64",
        ),
        (lambda: rf.Network(["lstm:hidden=2"], None, 2, precision="float16"), "float16' is unknown"),
        (
            lambda: compiled(network_of("lstm", inputs=5000)).predict(np.zeros((2, 2, 5000), "f4")),
            "up to 4096 dense inputs",
        ),
    ],
)
def test_what_has_no_such_products_is_refused_by_name(make, said):
    with pytest.raises(OptionError, match="precision='.*" + said):
        make()


def test_the_adding_task_is_learnt():
    rng = np.random.default_rng(0)
    network = rf.Network(["lstm:hidden=32"], "mse:outputs=1,at=last", 2, precision="bfloat16")
    trainer = rf.Trainer(rf.Engine(network, kernels="compiled", shards=1), "adam:lr=0.01")

    losses = [trainer.step(*adding_batch(rng)).loss for _ in range(400)]
    assert np.mean(losses[:10]) > 0.15  # always to say 1 gives 1/6
    assert np.mean(losses[-20:]) < 0.02


def _words_code(code):
    @intrinsic
    def one(typingctx, left, right, total):
        def emit(_, builder, signature, values):
            vector = vector_type(BFLOAT16)
            words = ir.VectorType(INT32, vector.count)
            given = [load(builder, address(builder, BFLOAT16, place), vector) for place in values]
            left, right = (builder.bitcast(value, words) for value in given[:2])
            store(builder, code(builder, left, right, given[2]), address(builder, BFLOAT16, values[2]))
            return ir.Constant(INT64, 0)

        return types.intp(types.intp, types.intp, types.intp), emit

    @njit
    def run(left, right, total, count):
        for n in range(0, 4 * count, BYTES):
            one(left + n, right + n, total + n)

    def apply(left, right, total):
        total = total.copy()
        run(left.ctypes.data, right.ctypes.data, total.ctypes.data, len(total))
        return total

    return apply


@pytest.mark.skipif(not pairs.INSTRUCTION, reason="this processor has no VDPBF16PS")
def test_the_instruction_and_the_code_for_other_processors_give_the_same_bits():
    rng = np.random.default_rng(0)
    by_instruction, by_halves = map(_words_code, (pairs.by_instruction, pairs.by_halves))
    count = 1 << 16
    for scale in (1.0, 1e-18, 1e-19, 1e-30, 1e18, 1e30):
        left, right = (_words(rng.normal(0, scale, 2 * count)) for _ in range(2))
        for of_total in (1.0, scale * scale, 1e-38):
            with np.errstate(over="ignore"):
                total = rng.normal(0, of_total, count).astype(np.float32)
            found = [run(left, right, total).view(np.uint32) for run in (by_instruction, by_halves)]
            assert np.array_equal(*found)
    left, right, total = (rng.integers(0, 1 << 32, count, np.uint32) for _ in range(3))  # infinities and NaN among them
    found = [run(left, right, total.view(np.float32)) for run in (by_instruction, by_halves)]
    assert np.array_equal(*found, equal_nan=True)


def _words(values):
    bits = values.astype(np.float32).view(np.uint32).reshape(-1, 2) >> 16
    return (bits[:, 0] | bits[:, 1] << 16).astype(np.uint32)


BITS = """
import hashlib
import numpy as np
import rnnframe as rf
from rnnframe_compiled.lanes import BYTES
from rnnframe_compiled.pairs import INSTRUCTION

print(INSTRUCTION, BYTES)
for cell in ("lstm:hidden=37", "gru:hidden=37", "gru:hidden=37,reset=before", "elman:hidden=37"):
    network = rf.Network([cell, cell], "softmax:classes=21", 11, precision="bfloat16")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 13, 11)).astype("float32"), rng.integers(0, 21, (9, 13))
    result = rf.Engine(network, chunk=4, shards=1, kernels="compiled").gradients(x, y)
    print(cell, result.loss, hashlib.sha256(result.gradients.flat.tobytes()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("without", ["avx512bf16", "avx512"])
def test_networks_have_the_same_bits_on_processors_without_the_instruction(without):
    if not pairs.INSTRUCTION:
        pytest.skip("this processor has no VDPBF16PS")
    features = ",".join(name.replace(f"+{without}", f"-{without}") for name in processor.FEATURES.split(","))
    name = processor.NAME if without == "avx512bf16" else "haswell"
    here, there = (
        subprocess.run([sys.executable, "-c", BITS], capture_output=True, text=True, check=True, env=os.environ | other)
        for other in ({}, {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features})
    )
    first, *bits = here.stdout.splitlines()
    other_first, *other_bits = there.stdout.splitlines()
    assert first.startswith("True")
    assert other_first.startswith("False")
    assert other_bits == bits


def test_a_run_goes_on_bit_for_bit_and_is_judged_in_its_precision(run_command, tmp_path):
    rows = np.cumsum(np.random.default_rng(0).normal(size=(400, 2)), 0)
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    how = ("--task", "forecast", "--data", tmp_path / "rows.csv", "--cell", "lstm:hidden=8", "--batch", 4, "--quiet")
    how = (*how, "--steps", 16, "--epochs", 2, "--kernels", "compiled", "--precision", "bfloat16", "--shards", 1)
    run_command("train", *how, "--out", tmp_path / "whole")
    run_command("train", *how, "--out", tmp_path / "part", "--stop-after", 3)
    run_command("train", "--resume", tmp_path / "part", "--quiet")
    whole, part = (rf.load_model(tmp_path / name, "last").network for name in ("whole", "part"))
    assert whole.precision == part.precision == "bfloat16"
    assert np.array_equal(whole.parameters.flat, part.parameters.flat)
    records = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    judged = json.loads(run_command("evaluate", tmp_path / "whole", "--checkpoint", "last", "--json"))
    assert judged["loss"] == [record["valid_loss"] for record in records if record["kind"] == "epoch"][-1]
    words = ("--cell", "lstm:hidden=8", "--inputs", 2, "--steps", 9, "--batch", 2, "--store", "full-history")
    assert "kernels: compiled (bfloat16)" in run_command("plan", *words, "--precision", "bfloat16")
    assert "kernels: compiled\n" in run_command("plan", *words)


def test_a_training_on_text_ends_with_a_sample_of_it(run_command, tmp_path):
    (tmp_path / "text.txt").write_text("we hold these words " * 60)
    how = ("train", "--data", tmp_path / "text.txt", "--cell", "lstm:hidden=8", "--batch", 2, "--steps", 16)
    how = (*how, "--precision", "bfloat16", "--epochs", 1, "--out", tmp_path / "run", "--sample", 7)
    assert "--- a sample of 7 characters" in run_command(*how)
