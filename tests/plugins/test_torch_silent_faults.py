"""What `unroll` and `unroll_loss` once computed wrongly in silence: now computed as plain autograd does, or told."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from rnnframe.errors import DataError, RnnframeError, UsageError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")

from torch import nn  # noqa: E402

import rnnframe_torch as rft  # noqa: E402

T, B, I, H = 12, 4, 3, 4
DOUBLE = torch.float64


class Cell(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.gru, self.drop = nn.GRUCell(I, H, dtype=DOUBLE), nn.Dropout(dropout)

    def forward(self, x, h):
        h = self.gru(x, h)
        return self.drop(h), h


class Chunk(nn.Module):
    """A cell of chunks that returns what `pick` makes of its outputs."""

    def __init__(self, pick):
        super().__init__()
        self.gru, self.pick = nn.GRU(I, H, dtype=DOUBLE), pick

    def forward(self, x, h):
        outputs, h = self.gru(x, h)
        return self.pick(outputs), h


def plain(cell, x, h):
    outputs = []
    for x_t in x:
        output, h = cell(x_t, h)
        outputs.append(output)
    return torch.stack(outputs), h


def squares(outputs, y):
    return ((outputs - y) ** 2).sum()


def data(batch=B):
    torch.manual_seed(0)
    return (
        torch.randn(T, batch, I, dtype=DOUBLE),
        torch.randn(T, batch, H, dtype=DOUBLE),
        torch.zeros(batch, H, dtype=DOUBLE),
    )


def test_a_loss_that_trains_a_readout_of_its_surroundings_names_it_or_is_told():
    (x, y, h), cell, readout = data(), Cell(), nn.Linear(H, H, dtype=DOUBLE)

    def loss_fn(outputs, y):
        return squares(readout(outputs), y)

    with pytest.raises(UsageError, match=r"tensor \[4, 4\] that requires a gradient.*extra="):
        rft.unroll_loss(cell, x, y, loss_fn, h, "checkpoint", chunk=5)
    loss, _ = rft.unroll_loss(cell, x, y, loss_fn, h, "checkpoint", chunk=5, extra=[*readout.parameters()])
    trained = [*cell.parameters(), *readout.parameters()]
    expected = torch.autograd.grad(loss_fn(plain(cell, x, h)[0], y), trained)
    for one, other in zip(torch.autograd.grad(loss, trained), expected, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)
    with torch.no_grad():  # where nothing is trained, nothing needs a name
        assert torch.equal(rft.unroll_loss(cell, x, y, loss_fn, h, "checkpoint", chunk=5)[0], loss)


def stream_of(x, y):
    return iter([(x[:5], y[:5]), (x[5:], y[5:])])


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda x, y, h: rft.unroll_loss(Cell(), x, y.requires_grad_(), squares, h), UsageError, "y requires a grad"),
        (lambda x, y, h: rft.unroll_loss(Cell(), x, y[:-1], squares, h), DataError, r"y has tensors of \[11\] steps"),
        (
            lambda x, y, h: rft.unroll_loss(Cell(), x, [y, y[0, 0, 0]], squares, h),
            DataError,
            r"y has tensors of \[0, 12",
        ),
        (
            lambda x, y, h: rft.unroll_loss(Cell(), stream_of(x.requires_grad_(), y), None, squares, h, "full-history"),
            UsageError,
            "x of the stream requires a gradient",
        ),
        (
            lambda x, y, h: rft.unroll_loss(Cell(), iter([(x, y), (x, y[1:])]), None, squares, h, "full-history"),
            DataError,
            r"\[12\] steps in x and \[11\] in y",
        ),
        (
            lambda x, y, h: rft.unroll(Chunk(lambda o: o[-1]), x, h[None], chunk=4, whole_chunks=True),
            DataError,
            r"outputs as float64 \[4, 4\] for a chunk of 1 steps",
        ),
        (
            lambda x, y, h: rft.unroll(Chunk(lambda o: o[-1:]), x, h[None], chunk=4, whole_chunks=True),
            DataError,
            r"outputs as float64 \[1, 4, 4\] for 2 steps; expected float64 \[2, 4, 4\]",
        ),
        (
            lambda x, y, h: rft.unroll(lambda x, n: (x if n[0] < 4 else x[:1], n + 1), x, torch.zeros(1), chunk=1),
            DataError,
            r"float64 \[1, 1, 3\] for 1 steps; expected float64 \[1, 4, 3\]",
        ),
        (
            lambda x, y, h: rft.unroll(lambda x, n: (x if n[0] < 4 else x[:1], n + 1), x, torch.zeros(1), chunk=8),
            DataError,
            r"in one step and .* in another",
        ),
        (
            lambda x, y, h: rft.unroll(lambda x, n: ([x] if n[0] < 4 else [x, x], n + 1), x, torch.zeros(1), chunk=1),
            DataError,
            "outputs of another form",
        ),
        (lambda x, y, h: rft.unroll(Cell(), x.to("meta"), h.to("meta")), UsageError, r"x is float64 .* on the meta"),
    ],
)
def test_what_would_be_computed_wrongly_is_told_in_one_line(call, error, told):
    for mode in (torch.enable_grad, torch.no_grad):
        if mode is torch.no_grad and "requires" in told:
            continue
        with mode(), pytest.raises(error, match=told) as raised:
            call(*data())
        assert "\n" not in str(raised.value)
        assert isinstance(raised.value, RnnframeError)


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=1"])
def test_eval_between_the_passes_changes_nothing_of_what_was_computed(store):
    (x, _, h), cell = data(), Cell(dropout=0.5)
    found = []
    for run in (plain, lambda cell, x, h: rft.unroll(cell, x, h, store, chunk=4)):
        torch.manual_seed(3)
        cell.train()
        outputs, _ = run(cell, x, h)
        cell.eval()
        found.append([outputs.detach(), *torch.autograd.grad(outputs.square().sum(), list(cell.parameters()))])
        assert not any(module.training for module in cell.modules())
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


def test_buffers_of_modules_that_a_function_calls_are_found_too_and_restored():
    (x, _, h), cell, norm = data(), Cell(), nn.BatchNorm1d(H, dtype=DOUBLE)

    def normed(x, h):
        h = cell(x, h)[1]
        return norm(h), h

    with pytest.raises(UsageError, match="changes its buffer 'BatchNorm1d"):
        rft.unroll(normed, x, h, extra=[*cell.parameters(), *norm.parameters()])
    assert int(norm.num_batches_tracked) == 0
    assert not nn.modules.module._global_forward_pre_hooks

    class Counting(Cell):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x, h):
            self.calls = self.calls + 1
            return super().forward(x, h)

    counting = Counting()
    with pytest.raises(UsageError, match="changes its buffer 'calls'"):
        rft.unroll(counting, x, h)
    assert float(counting.calls) == 0


@pytest.mark.parametrize("store", ["full-history", "checkpoint"])
def test_a_batch_of_no_samples_is_computed_as_plain_torch_does(store):
    (x, _, h), cell = data(0), Cell()
    outputs, after = rft.unroll(cell, x, h, store, chunk=4)
    expected, then = plain(cell, x, h)
    assert (outputs.shape, after.shape) == (expected.shape, then.shape)
    for slope in torch.autograd.grad(outputs.sum(), list(cell.parameters())):
        assert not slope.any()


@pytest.mark.filterwarnings("ignore")  # torch warns of what it does itself
def test_a_derivative_forward_is_refused_without_a_graph_too():
    x, _, h = data()
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="forward mode AD"):
            rft.unroll(Cell(), dual, h)


def flushed():
    """Return whether this thread counts numbers that are nearly too small as zero."""
    return bool(torch.full((1,), 1e-39).mul(1.0).item() == 0)


class Seen(torch.autograd.Function):
    """Passes its input on, and calls `look` on the way back."""

    @staticmethod
    def forward(ctx, x, look):
        ctx.look = look
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        ctx.look()
        return slope, None


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot flush")
def test_the_way_back_flushes_denormals_in_its_own_thread_and_leaves_them_as_they_were():
    (x, _, h), cell, seen = data(), Cell(), []

    def backward(look):
        x_seen = x.clone().requires_grad_()
        step = lambda x_t, h: (cell(Seen.apply(x_t, look), h)[1],) * 2  # noqa: E731
        rft.unroll(step, x_seen, h, "checkpoint", chunk=4, extra=[*cell.parameters()])[0].sum().backward()

    def fail():
        raise ArithmeticError("in the middle")

    with ThreadPoolExecutor(1) as other:
        assert not other.submit(flushed).result()  # a thread that begins later takes over how its maker is set
        backward(lambda: seen.append((flushed(), other.submit(flushed).result())))
    assert set(seen) == {(True, False)}
    assert not flushed()
    with pytest.raises(ArithmeticError):
        backward(fail)
    assert not flushed()
    torch.set_flush_denormal(True)
    try:
        backward(lambda: None)
        assert flushed()
    finally:
        torch.set_flush_denormal(False)
