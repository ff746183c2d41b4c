"""What is planned and explained of a PyTorch cell is what plain autograd keeps and what really runs."""

import weakref

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")

from torch import nn  # noqa: E402

import rnnframe as rf  # noqa: E402
import rnnframe_torch as rft  # noqa: E402
from rnnframe.errors import DataError, OptionError, UsageError  # noqa: E402

T, B, I, H = 192, 32, 6, 64  # three chunks of 64 steps


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads that wait for work of this size take time from the other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.calls = nn.LSTMCell(I, H), 0

    def forward(self, x, state):
        self.calls += 1
        h, c = self.cell(x, state)
        return h, (h, c)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v + 0)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, slope):
        return slope / (1 + ctx.saved_tensors[0].abs()) ** 2


def problem(steps=T):
    torch.manual_seed(0)
    return Counted(), torch.randn(steps, B, I), (torch.zeros(B, H), torch.zeros(B, H))


def squares(outputs, y):
    return ((outputs - y) ** 2).sum()


def kept_by_autograd(cell, x, state):
    """Return the bytes that a graph of all steps keeps beside parameters and x, each piece of memory once."""
    outside = {each.untyped_storage().data_ptr() for each in (*cell.parameters(), x, *state)}
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    outputs = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        for x_t in x:
            output, state = cell(x_t, state)
            outputs.append(output)
    for leaf in state:
        kept[leaf.untyped_storage().data_ptr()] = leaf.untyped_storage()
    return sum(each.nbytes() for place, each in kept.items() if place not in outside), outputs


def test_full_history_is_planned_with_the_bytes_that_autograd_keeps_and_checkpoint_with_a_part_of_them():
    cell, x, state = problem()
    planned = {row.store.partition(":")[0]: row for row in rft.plan(cell, x, state).rows}
    kept, _ = kept_by_autograd(cell, x, state)
    nodes = 16 * 1024 * T  # what torch keeps of the nodes of a step, which no hook sees
    stacked = T * B * H * 4  # the outputs of a chunk are a tensor of their own
    assert kept <= planned["full-history"].nbytes <= 1.15 * (kept + stacked + nodes)
    assert planned["checkpoint"].nbytes < planned["full-history"].nbytes / 2
    assert all(row.exact and row.seconds > 0 for row in planned.values())


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=3", "checkpoint:policy=revolve,slots=2"])
def test_as_many_steps_are_run_as_were_planned(store):
    cell, x, state = problem()
    y = torch.zeros(T, B, H)
    (row,) = rft.plan(cell, x, state, y, squares, stores=[store], chunk=8).rows
    rft.unroll_loss(cell, x[:2], y[:2], squares, state, store, chunk=8)
    cell.calls = 0
    rft.unroll_loss(cell, x[:1], y[:1], squares, state, store, chunk=8)
    measuring = cell.calls - 1  # of one step; with two steps and their loss one more chunk is looked at
    cell.calls = 0
    rft.unroll_loss(cell, x, y, squares, state, store, chunk=8)
    looked_at = cell.calls - row.forward_steps
    assert measuring <= looked_at <= 5
    assert row.forward_steps >= T


def test_a_plan_is_for_any_length_and_says_what_comes_on_top():
    cell, x, state = problem(20)
    short = rft.plan(cell, x, state, budget="6MiB")
    long = rft.plan(cell, x, state, steps=10_000, budget="6MiB", stores=["full-history"])
    assert long.rows[0].nbytes > 300 * short.rows[0].nbytes
    assert long.rows[1].nbytes <= 6 * 2**20
    assert long.rows[1].store == "checkpoint:budget=6MiB"
    assert long.outside_bytes == 2 * 10_000 * B * H * 4
    printed = str(long).splitlines()
    assert printed[0].split() == ["store", "chunk", "bytes", "forward/T", "time", "gradient"]
    assert printed[-1] == "outputs and their gradient come on top: 156.2 MiB"
    assert rft.plan(cell, x, state, torch.zeros(20, B, H), squares).rows[-1].exact is False


def test_planning_leaves_generators_gradients_and_buffers_alone():
    cell = nn.Sequential(nn.Dropout(0.5))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    rft.plan(lambda x, h: (cell(x + h), cell(h)), torch.randn(9, B, H), torch.zeros(B, H), extra=())
    torch.manual_seed(3)
    assert torch.equal(before, torch.get_rng_state())
    counted, x, state = problem(9)
    rft.plan(counted, x, state)
    assert all(each.grad is None for each in counted.parameters())


def test_what_is_explained_adds_up_to_what_autograd_keeps_of_a_step():
    cell, x, state = problem()
    explained = rft.explain(cell, x, state)
    kept, outputs = kept_by_autograd(cell, x[:1], state)
    stacked = outputs[0].nbytes  # the chunk's outputs are a tensor of their own
    assert sum(each.nbytes for each in explained.tensors) == kept + stacked
    assert explained.state_bytes == 2 * B * H * 4
    gates = explained.tensors[0]
    assert (gates.operation, gates.nbytes) == ("Mul", 4 * B * H * 4)
    assert "part of a larger one" in gates.form
    assert "A state has 16.0 KiB" in str(explained)


def test_the_largest_saved_tensor_is_named_also_that_of_an_operation_from_elsewhere():
    torch.manual_seed(0)
    wide = nn.Linear(H, 50 * H)

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = wide

        def forward(self, x, h):
            spikes = Spike.apply(self.wide(h))
            return spikes, torch.tanh(h + spikes[:, :H])

    first = rft.explain(Cell(), torch.zeros(5, B, 1), torch.zeros(B, H)).tensors
    assert ("Spike", "", f"float32 [{B}, {50 * H}]") in [(each.operation, each.name, each.form) for each in first[:3]]
    assert ("Tanh", "result", f"float32 [{B}, {H}]") in [(each.operation, each.name, each.form) for each in first]


def test_what_cannot_be_planned_is_refused_in_one_line():
    cell, x, state = problem(9)
    with pytest.raises(UsageError, match="plan needs y and loss_fn together"):
        rft.plan(cell, x, state, torch.zeros(9, B, H))
    with pytest.raises(UsageError, match="store 'circular-queue' truncates: plan it with y and loss_fn"):
        rft.plan(cell, x, state, stores=["circular-queue:k1=4,k2=4"])
    with pytest.raises(DataError, match="steps=0 is invalid"):
        rft.plan(cell, x, state, steps=0)
    with pytest.raises(OptionError, match="budget"):
        rft.plan(cell, x, state, budget="many")
    with pytest.raises(UsageError, match="explain needs y and loss_fn together"):
        rft.explain(cell, x, state, loss_fn=squares)


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=3", "checkpoint:policy=revolve,slots=2"])
def test_no_more_graphs_are_alive_than_were_planned(store, monkeypatch):
    """A graph that was reversed is freed before the next chunk is run."""
    from rnnframe_torch import values

    alive, most = weakref.WeakSet(), [0]

    class Watched(values.Tape):
        def __init__(self, *, kept):
            super().__init__(kept=kept)
            if kept:
                alive.add(self)
                most[0] = max(most[0], len(alive))

    cell, x, state = problem(64)
    y = torch.zeros(64, B, H)
    run = rf.Engine(rft.unrolling.measured_model(cell, squares, x, state, y, False, ())[0], store, chunk=8, shards=1)
    planned = run.plan(64, B).simulation.tapes
    monkeypatch.setattr(values, "Tape", Watched)
    rft.unroll_loss(cell, x, y, squares, state, store, chunk=8)
    assert most[0] == planned
