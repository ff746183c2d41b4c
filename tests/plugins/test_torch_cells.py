"""PyTorch cells under every store: the gradients are those of plain autograd, the refusals are one line."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples

from rnnframe.errors import UsageError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")

from torch import nn  # noqa: E402

import rnnframe_torch as rft  # noqa: E402

EXACT = [
    "full-history",
    "checkpoint",
    "checkpoint:policy=revolve,slots=2",
    "circular-queue:k1=100,k2=100",
    "auto:budget=1MiB",
]
T, B, I, H = 13, 3, 4, 5


class LSTMStep(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.cell = nn.LSTMCell(I, H, dtype=dtype)

    def forward(self, x, state):
        h, c = self.cell(x, state)
        return h, (h, c)


class GRUStep(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.cell = nn.GRUCell(I, H, dtype=dtype)

    def forward(self, x, h):
        h = self.cell(x, h)
        return h, h


class NormedDropout(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.cell, self.norm, self.drop = (
            nn.GRUCell(I, H, dtype=dtype),
            nn.LayerNorm(H, dtype=dtype),
            nn.Dropout(0.4),
        )

    def forward(self, x, h):
        h = self.norm(self.cell(x, self.drop(h)))
        return self.drop(h), h


class Attention(nn.Module):
    """Attends over a memory that is part of the state."""

    def __init__(self, dtype):
        super().__init__()
        self.query, self.cell = nn.Linear(H, I, dtype=dtype), nn.GRUCell(2 * I, H, dtype=dtype)

    def forward(self, x, state):
        h, memory = state
        scores = torch.softmax(torch.einsum("bi,mbi->mb", self.query(h), memory), 0)
        h = self.cell(torch.cat([x, torch.einsum("mb,mbi->bi", scores, memory)], 1), h)
        return h, (h, memory)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, slope):
        (v,) = ctx.saved_tensors
        return slope / (1 + 10 * v.abs()) ** 2


class Spiking(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.into = nn.Linear(I, H, dtype=dtype)

    def forward(self, x, state):
        v = 0.9 * state["v"] + self.into(x) - state["spikes"]["out"]
        s = Spike.apply(v - 0.2)
        return {"s": s, "v": v}, {"v": v, "spikes": {"out": s, "count": state["spikes"]["count"] + (s > 0).long()}}


class Chunked(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.lstm = nn.LSTM(I, H, dtype=dtype)

    def forward(self, x, state):
        return self.lstm(x, state)


def zeros(*shape, dtype):
    return torch.zeros(*shape, dtype=dtype)


STATES = {
    LSTMStep: lambda b, d: (zeros(b, H, dtype=d) + 0.1, zeros(b, H, dtype=d) - 0.2),
    GRUStep: lambda b, d: zeros(b, H, dtype=d) + 0.1,
    NormedDropout: lambda b, d: zeros(b, H, dtype=d) + 0.1,
    Attention: lambda b, d: (zeros(b, H, dtype=d), torch.linspace(-1, 1, 6 * b * I, dtype=d).reshape(6, b, I)),
    Spiking: lambda b, d: {
        "v": zeros(b, H, dtype=d) + 0.1,
        "spikes": {"out": zeros(b, H, dtype=d), "count": torch.zeros(b, H, dtype=torch.int64)},
    },
    Chunked: lambda b, d: (zeros(1, b, H, dtype=d) + 0.1, zeros(1, b, H, dtype=d)),
}


def leaves(tree):
    from torch.utils._pytree import tree_leaves

    return tree_leaves(tree)


def problem(kind, steps=T, batch=B, dtype=torch.float64):
    torch.manual_seed(1)
    cell, x = kind(dtype), torch.randn(steps, batch, I, dtype=dtype, requires_grad=True)
    state = STATES[kind](batch, dtype)
    for leaf in leaves(state):
        if leaf.is_floating_point():
            leaf.requires_grad_()
    return cell, x, state


def plain(cell, x, state, whole_chunks, chunk):
    """Return outputs and state by plain autograd; chunks of random cells draw in the same order, step by step."""
    if whole_chunks:
        return cell(x, state)
    outputs = []
    for x_t in x:
        output, state = cell(x_t, state)
        outputs.append(output)
    from torch.utils._pytree import tree_map

    return tree_map(lambda *each: torch.stack(each), *outputs), state


def loss_of(outputs, state):
    return sum((leaf.double() ** 2 * (n + 1)).sum() for n, leaf in enumerate([*leaves(outputs), *leaves(state)]))


def gradients(run, cell, x, state):
    torch.manual_seed(7)
    outputs, after = run()
    wanted = [*cell.parameters(), x, *(leaf for leaf in leaves(state) if leaf.requires_grad)]
    found = torch.autograd.grad(loss_of(outputs, after), wanted, allow_unused=True)
    return [*(leaf.detach() for leaf in leaves((outputs, after))), *found, torch.rand(1)]


def close(a, b, dtype):
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    for one, other in zip(a, b, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert float((one - other).abs().max()) <= bound * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("kind", STATES)
def test_gradients_are_those_of_plain_autograd_and_the_same_bits_in_every_exact_store(kind, dtype):
    cell, x, state = problem(kind, dtype=dtype)
    expected = gradients(lambda: plain(cell, x, state, kind is Chunked, 4), cell, x, state)
    results = []
    for store in [*EXACT[:3], EXACT[4]]:
        run = lambda: rft.unroll(cell, x, state, store, chunk=4, whole_chunks=kind is Chunked)  # noqa: B023, E731
        results.append(gradients(run, cell, x, state))
        close(results[-1], expected, dtype)
    for other in results[1:]:
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@settings(max_examples=examples(40), deadline=None)
@given(
    steps=st.integers(1, 20),
    batch=st.integers(1, 3),
    chunk=st.integers(1, 7),
    slots=st.integers(1, 4),
    kind=st.sampled_from([LSTMStep, NormedDropout, Spiking]),
)
def test_gradients_hold_for_any_length_chunk_and_number_of_slots(steps, batch, chunk, slots, kind):
    cell, x, state = problem(kind, steps, batch)
    expected = gradients(lambda: plain(cell, x, state, False, chunk), cell, x, state)
    for store in ("full-history", f"checkpoint:policy=revolve,slots={slots}"):
        close(gradients(lambda: rft.unroll(cell, x, state, store, chunk=chunk), cell, x, state), expected, x.dtype)  # noqa: B023


def squares(outputs, y):
    return ((outputs - y) ** 2).sum()


@pytest.mark.parametrize("store", EXACT)
def test_a_loss_inside_gives_the_same_gradients_and_trains_its_own_parameters(store):
    cell, x, _ = problem(LSTMStep)
    readout = nn.Linear(H, 2, dtype=torch.float64)

    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.readout = readout

        def forward(self, outputs, y):
            return squares(self.readout(outputs), y)

    y, state = torch.randn(T, B, 2, dtype=torch.float64), tuple(zeros(B, H, dtype=torch.float64) for _ in range(2))
    wanted = [*cell.parameters(), *readout.parameters(), x]
    expected = squares(readout(plain(cell, x, state, False, 4)[0]), y)
    loss, after = rft.unroll_loss(cell, x, y, Loss(), state, store, chunk=4)
    close(
        [loss.detach(), *torch.autograd.grad(loss / 3, wanted)],
        [expected.detach(), *torch.autograd.grad(expected / 3, wanted)],
        torch.float64,
    )
    assert not any(leaf.requires_grad for leaf in after)


@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (3, 7), (2, 9)])
def test_windows_give_the_gradient_of_a_surrogate_with_detached_states(k1, k2):
    cell, x, _ = problem(GRUStep)
    x, y, start = x.detach(), torch.randn(T, B, H, dtype=torch.float64), zeros(B, H, dtype=torch.float64)
    states = [start]
    with torch.no_grad():
        for x_t in x:
            states.append(cell(x_t, states[-1])[1])
    total = 0
    for first in range(0, T, k1):
        stop = min(first + k1, T)
        h = states[max(0, first + k1 - k2)]
        for t in range(max(0, first + k1 - k2), stop):
            h = cell(x[t], h)[1]
            total = total + (squares(h, y[t]) if t >= first else 0)
    expected = torch.autograd.grad(total, list(cell.parameters()))
    loss, _ = rft.unroll_loss(cell, x, y, squares, start, f"circular-queue:k1={k1},k2={k2}")
    close(torch.autograd.grad(loss, list(cell.parameters())), expected, torch.float64)


@pytest.mark.parametrize("store", ["full-history", "checkpoint:policy=online,slots=3", "circular-queue:k1=20,k2=20"])
def test_a_stream_of_unknown_length_gives_the_same(store):
    cell, x, _ = problem(GRUStep)
    x, y, start = x.detach(), torch.randn(T, B, H, dtype=torch.float64), zeros(B, H, dtype=torch.float64)
    expected = torch.autograd.grad(squares(plain(cell, x, start, False, 4)[0], y), list(cell.parameters()))
    blocks = ((x[n : n + 5], y[n : n + 5]) for n in range(0, T, 5))
    loss, _ = rft.unroll_loss(cell, blocks, None, squares, start, store, chunk=4)
    close(torch.autograd.grad(loss, list(cell.parameters())), expected, torch.float64)


def test_snapshots_go_to_a_disk_and_come_back(tmp_path):
    for kind in (LSTMStep, NormedDropout, Spiking):
        cell, x, state = problem(kind)
        expected = gradients(lambda: rft.unroll(cell, x, state, "full-history", chunk=2), cell, x, state)  # noqa: B023
        far = f"checkpoint:slots=1,medium=disk:path={tmp_path}"
        try:
            found = gradients(lambda: rft.unroll(cell, x, state, far, chunk=2), cell, x, state)  # noqa: B023
        except UsageError as error:
            pytest.fail(str(error))
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_second_backward_runs_out_again_with_the_same_draws():
    cell, x, state = problem(NormedDropout)
    outputs, _ = rft.unroll(cell, x, state, "checkpoint", chunk=4)
    first = torch.autograd.grad(outputs.sum(), x, retain_graph=True)
    torch.rand(3)
    close(torch.autograd.grad(outputs.sum(), x), first, torch.float64)


def test_hooks_run_once_and_frozen_shared_and_parametrized_weights_are_right():
    cell, x, state = problem(LSTMStep)
    nn.utils.parametrizations.weight_norm(cell.cell, "weight_hh")
    cell.cell.bias_hh.requires_grad_(False)
    cell.again, cell.tied = cell.cell, nn.Linear(I, 4 * H)
    cell.tied.weight = cell.cell.weight_ih
    calls = []
    cell.cell.weight_ih.register_hook(lambda slope: calls.append(slope))
    loss_of(*plain(cell, x, state, False, 4)).backward()
    expected = [None if each.grad is None else each.grad.clone() for each in cell.parameters()]
    cell.zero_grad()
    calls.clear()
    loss_of(*rft.unroll(cell, x, state, "checkpoint", chunk=4)).backward()
    assert len(calls) == 1
    close([each.grad for each in cell.parameters()], expected, torch.float64)


def test_autocast_of_the_caller_holds_when_chunks_run_again():
    cell, x, state = problem(GRUStep, dtype=torch.float32)

    def run(store):
        with torch.autocast("cpu", torch.bfloat16):
            return rft.unroll(cell, x, state, store, chunk=4)

    results = [gradients(lambda: run(store), cell, x, state) for store in EXACT[:3]]  # noqa: B023
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_kept_and_the_outputs_are_the_same(mode):
    cell, x, state = problem(LSTMStep)
    expected = plain(cell, x, state, False, 4)[0]
    with mode():
        outputs, _ = rft.unroll(cell, x, state, chunk=4)
    assert not outputs.requires_grad
    assert torch.equal(outputs, expected.detach())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("store", ["full-history", "checkpoint:policy=online,slots=3", "circular-queue:k1=3,k2=7"])
def test_without_gradients_a_loss_is_computed_and_no_step_is_run_twice_or_back(store, mode, monkeypatch):
    cell, x, _ = problem(GRUStep)
    x, y, start = x.detach(), torch.randn(T, B, H, dtype=torch.float64), zeros(B, H, dtype=torch.float64)
    outputs, states = plain(cell, x, start, False, 4)
    expected = squares(outputs, y)
    steps = []
    cell.register_forward_hook(lambda *_: steps.append(torch.is_grad_enabled()))
    monkeypatch.setattr(torch.autograd, "grad", None)  # it cannot be called
    blocks = ((x[n : n + 5], y[n : n + 5]) for n in range(0, T, 5))
    for inputs, targets in [(x, y), (blocks, None)]:
        steps.clear()
        with mode():
            loss, after = rft.unroll_loss(cell, inputs, targets, squares, start, store, chunk=3)
        assert not loss.requires_grad
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
        assert torch.equal(after, states.detach())
        measured = len(steps) - T  # on a chunk of one step and of two, once at the beginning
        assert steps[measured:] == [False] * T
        assert measured <= 6


def test_tensors_outside_of_a_module_are_named_or_refused():
    w = torch.full((I, I), 0.3, dtype=torch.float64, requires_grad=True)
    x, start = torch.randn(T, B, I, dtype=torch.float64), zeros(B, I, dtype=torch.float64)

    def cell(x_t, h):
        h = torch.tanh(x_t + h @ w)
        return h, h

    (expected,) = torch.autograd.grad(plain(cell, x, start, False, 4)[0].sum(), w)
    (found,) = torch.autograd.grad(rft.unroll(cell, x, start, "checkpoint", chunk=3, extra=[w])[0].sum(), w)
    close([found], [expected], torch.float64)
    with pytest.raises(UsageError, match=r"uses a tensor \[4, 4\] that requires a gradient.*extra="):
        rft.unroll(cell, x.requires_grad_(), start)


def test_what_cannot_be_run_again_is_refused_in_one_line():
    x, start = torch.randn(T, B, I, requires_grad=True), torch.zeros(B, I)
    normed = nn.BatchNorm1d(I)

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = normed

        def forward(self, x, h):
            return self.norm(x + h), h

    with pytest.raises(UsageError, match="changes its buffer 'norm"):
        rft.unroll(Normed(), x, start)
    assert int(normed.num_batches_tracked) == 0
    with pytest.raises(UsageError, match="changes state in place"):
        rft.unroll(lambda x_t, h: (x_t, h.detach().add_(1)), x, start)
    outputs, _ = rft.unroll(lambda x_t, h: (x_t * 2, h), x, start)
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(outputs.sum(), x, create_graph=True)
    with pytest.raises(UsageError, match="use reduction='sum'"):
        rft.unroll_loss(lambda x_t, h: (x_t, h), x, x.detach(), lambda o, y: (o + 1 - y).mean(), start)
    with pytest.raises(UsageError, match=r"state as float32 \[1\]; expected float32 \[3, 4\]"):
        rft.unroll(lambda x_t, h: (x_t, h.new_zeros(1)), x, start)
    with pytest.raises(UsageError, match="truncates"):
        rft.unroll(lambda x_t, h: (x_t, h), x, start, "circular-queue:k1=4,k2=4")
    count = iter(range(1000))
    with pytest.raises(UsageError, match="gave another state when the chunk"):
        rft.unroll(lambda x_t, h: (x_t, h + x_t * next(count)), x, start, "checkpoint", chunk=2)[0].sum().backward()


def _rank(rank, port, results):
    import os

    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=2)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = LSTMStep(torch.float64)

        def forward(self, x, state):
            return rft.unroll(self.cell, x, state, "checkpoint", chunk=4)[0]

    cell, x, state = problem(LSTMStep, batch=4)
    model = Model()
    model.cell.load_state_dict(cell.state_dict())
    mine = slice(2 * rank, 2 * rank + 2)
    shared = nn.parallel.DistributedDataParallel(model)
    shared(x[:, mine].detach(), tuple(leaf[mine].detach() for leaf in state)).pow(2).sum().backward()
    results.put([each.grad.numpy() for each in model.parameters()])
    dist.destroy_process_group()


def test_two_processes_of_distributed_data_parallel_average_the_gradients():
    import socket

    import torch.multiprocessing as mp

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    results = context.Queue()
    ranks = [context.Process(target=_rank, args=(rank, port, results)) for rank in range(2)]
    for each in ranks:
        each.start()
    found = [results.get(timeout=120) for _ in ranks]
    for each in ranks:
        each.join()
    cell, x, state = problem(LSTMStep, batch=4)
    plain(cell, x, state, False, 4)[0].pow(2).sum().backward()
    expected = [each.grad / 2 for each in cell.parameters()]
    for each in found:
        close([torch.from_numpy(slope) for slope in each], expected, torch.float64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cell_runs_on_its_device():
    cell, x, _ = problem(NormedDropout)
    cell, x = cell.cuda(), x.detach().cuda().requires_grad_()
    state = zeros(B, H, dtype=torch.float64).cuda()
    expected = gradients(lambda: plain(cell, x, state, False, 4), cell, x, state)
    close(gradients(lambda: rft.unroll(cell, x, state, "checkpoint", chunk=4), cell, x, state), expected, x.dtype)


def test_the_core_never_imports_torch():
    code = "import sys, rnnframe, rnnframe.cli; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
