"""Random models of torch.nn before and after `rft.accelerate`: outputs, gradients, draws and manners are the same."""

import copy
import io
import pickle
import random

import pytest
from proofs import examples

from rnnframe.errors import DataError, UsageError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")
pytest.importorskip("numba", reason="numba is not installed: pip install 'rnnframe[fast]'")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import rnnframe_torch as rft  # noqa: E402

DOUBLE = torch.float64
STORES = ["full-history", "checkpoint", "checkpoint:slots=2", "checkpoint:policy=mixed,slots=3", "auto:budget=1MiB"]
torch_warns = pytest.mark.filterwarnings("ignore")  # of what torch itself does on the way
COPIES = {
    "itself": lambda module: module,
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "save": lambda module: torch.load(io.BytesIO(saved(module)), weights_only=False),
}


def saved(module):
    file = io.BytesIO()
    torch.save(module, file)
    return file.getvalue()


class Case:
    """One model with its data and its loss, all drawn from a seed."""

    def __init__(self, seed):
        self.seed, draw = seed, random.Random(seed)
        torch.manual_seed(seed)
        self.kind = draw.choice(["LSTM", "GRU", "RNN"])
        layers, two, first = draw.randint(1, 3), draw.random() < 0.4, draw.random() < 0.5
        inputs, hidden = draw.randint(1, 6), draw.randint(1, 7)
        steps, batch = draw.choice([1, 2, 3, 17, 60]), draw.choice([1, 2, 5])
        options = {"num_layers": layers, "bidirectional": two, "batch_first": first, "bias": draw.random() < 0.8}
        options |= {"dropout": draw.choice([0, 0.4])} if layers > 1 else {}
        options |= {"nonlinearity": draw.choice(["tanh", "relu"])} if self.kind == "RNN" else {}
        self.module = getattr(nn, self.kind)(inputs, hidden, dtype=DOUBLE, **options).train(draw.random() < 0.8)
        for parameter in self.module.parameters():
            parameter.requires_grad_(draw.random() < 0.8)
        self.form = draw.choice(["padded", "padded", "packed", "sorted", "sequences", "unbatched"])
        shape = (batch, steps) if first else (steps, batch)
        self.x = torch.randn(*((steps,) if self.form == "unbatched" else shape), inputs, dtype=DOUBLE)
        rows = (layers * (1 + two), *(() if self.form == "unbatched" else (batch,)), hidden)
        self.states = [torch.randn(rows, dtype=DOUBLE) for _ in range(1 + (self.kind == "LSTM"))]
        self.wants = [draw.random() < 0.6 for _ in range(3)]
        self.given = draw.random() < 0.6
        self.lengths = sorted((draw.randint(1, steps) for _ in range(batch)), reverse=True)
        self.lengths[0] = steps
        if self.form == "packed":
            draw.shuffle(self.lengths)
        self.view = draw.choice(["whole", "offset", "transposed", "strided", "expanded", "signs"])
        self.loss = draw.choice(["all", "outputs", "state", "in place", "twice", "slices"])
        self.store, self.copied = draw.choice(STORES), draw.choice([*COPIES])

    def __repr__(self):
        kept = ("seed", "form", "view", "loss", "store", "copied", "given", "wants", "lengths")
        return f"{self.module} {[(name, getattr(self, name)) for name in kept]}"

    def seen(self, x):
        """Return x in another layout in memory, with a graph to x itself."""
        if self.view == "offset":
            return torch.cat([x.new_zeros(7), x.reshape(-1)])[7:].view(x.shape)
        if self.view == "transposed":
            return x.transpose(0, 1).contiguous().transpose(0, 1)
        if self.view == "strided":
            return torch.stack([x, x + 1], -1)[..., 0]
        if self.view == "expanded":
            return x[:1].expand(x.shape)
        return torch.complex(x, -x).conj().imag if self.view == "signs" else x

    def input(self, x):
        first = self.module.batch_first
        if self.form in ("packed", "sorted"):
            return pack_padded_sequence(x, self.lengths, first, enforce_sorted=self.form == "sorted")
        if self.form == "sequences":
            rows = x if first else x.transpose(0, 1)
            return pack_sequence([row[:n] for row, n in zip(rows, self.lengths, strict=True)], enforce_sorted=False)
        return x

    def total(self, outputs, states):
        draw = torch.Generator().manual_seed(self.seed)
        weights = [torch.randn(each.shape, dtype=DOUBLE, generator=draw) for each in (outputs, *states)]
        if self.loss == "in place":
            outputs.mul_(2.0)
            states[0].add_(1.0)
            return (outputs**2 * weights[0]).sum() + (states[0] ** 2 * weights[1]).sum()
        if self.loss == "outputs":
            return (outputs * weights[0]).sum()
        if self.loss == "state":
            return (states[-1] * weights[-1]).sum()
        if self.loss == "twice":
            return (outputs * weights[0]).sum() + outputs.tanh().sum() + (states[0] * outputs.mean()).sum()
        if self.loss == "slices":
            return (outputs[-1] ** 2).sum() + states[0][-1].sum()
        return sum((each * weight).sum() for each, weight in zip((outputs, *states), weights, strict=True))

    def run(self, module):
        """Return the forms of what came out, and its numbers with all gradients."""
        torch.manual_seed(self.seed)
        x = self.x.clone().requires_grad_(self.wants[0])
        states = [each.clone().requires_grad_(want) for each, want in zip(self.states, self.wants[1:], strict=False)]
        given = (tuple(states) if self.kind == "LSTM" else states[0]) if self.given else None
        found, after = module(self.input(self.seen(x)), given)
        outputs = found.data if isinstance(found, PackedSequence) else found
        ends = list(after) if self.kind == "LSTM" else [after]
        forms = [(each.shape, each.dtype, each.requires_grad) for each in (outputs, *ends)]
        if isinstance(found, PackedSequence):
            forms += [None if each is None else each.tolist() for each in found[1:]]
        numbers = [each.detach().clone() for each in (outputs, *ends)]
        loss = self.total(outputs, ends)
        if loss.requires_grad:
            loss.backward()
        slopes = [each.grad for each in (x, *states, *module.parameters())]
        return forms, [*numbers, *slopes, torch.rand(1)]


def check(seed):
    case = Case(seed)
    ours = copy.deepcopy(case.module)
    assert rft.accelerate(ours, case.store).left == {}
    ours = COPIES[case.copied](ours)
    (forms, numbers), (expected_forms, expected) = case.run(ours), case.run(case.module)
    assert forms == expected_forms, case
    for one, other in zip(numbers, expected, strict=True):
        assert (one is None) == (other is None), case
        if one is not None:
            assert one.shape == other.shape, case
            assert torch.allclose(one, other, rtol=0, atol=1e-11 * max(1.0, float(other.abs().max()))), case


def test_random_models_compute_and_train_the_same():
    for seed in range(examples(60)):
        check(seed)


def pair(kind="GRU", **options):
    """Return torch's module and the same accelerated."""
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(3, 4, dtype=DOUBLE, **options)
    ours = copy.deepcopy(theirs)
    rft.accelerate(ours)
    return ours, theirs


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_batch_of_no_samples_comes_out_as_torch_gives_it(kind):
    for options in ({}, {"num_layers": 2, "bidirectional": True, "batch_first": True}):
        found = []
        for module in pair(kind, **options):
            x = torch.randn((0, 5, 3) if options else (5, 0, 3), dtype=DOUBLE, requires_grad=True)
            outputs, after = module(x)
            outputs.sum().backward()
            ends = after if isinstance(after, tuple) else (after,)
            found.append([outputs, *ends, x.grad, *(each.grad for each in module.parameters())])
        for one, other in zip(*found, strict=True):
            assert one.shape == other.shape
            assert torch.equal(one, other)


@torch_warns
@pytest.mark.parametrize("reentrant", [True, False])
def test_segments_of_torch_checkpoint_around_it_give_the_same(reentrant):
    found = []
    for module in pair(num_layers=2):
        x = torch.linspace(-1, 1, 54, dtype=DOUBLE).reshape(9, 2, 3).requires_grad_()
        outputs = checkpoint(lambda z, m=module: m(m(z)[0][..., :3])[0], x, use_reentrant=reentrant)
        outputs.square().sum().backward()
        found.append([each.grad for each in (x, *module.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


def test_hooks_of_modules_see_the_same_in_both_directions():
    found = []
    for module in pair():
        seen = []
        module.register_forward_pre_hook(lambda module, given: (given[0] * 2,))
        module.register_forward_hook(lambda module, given, out: (out[0] + 1, out[1]))
        module.register_full_backward_pre_hook(lambda module, slopes, seen=seen: seen.extend(slopes))
        module.register_full_backward_hook(lambda module, into, out, seen=seen: seen.extend((*into, *out)))
        x = torch.ones(5, 2, 3, dtype=DOUBLE, requires_grad=True)
        outputs, after = module(x)
        (outputs.sum() + after.square().sum()).backward()
        found.append([*seen, x.grad])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


def test_gradcheck_of_torch_agrees():
    ours, _ = pair(num_layers=2, bidirectional=True)
    x = torch.randn(3, 2, 3, dtype=DOUBLE, requires_grad=True)
    h = torch.randn(4, 2, 4, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, h, *_: ours(x, h), (x, h, *ours.parameters()), fast_mode=True)


def test_a_list_of_states_is_a_pair_of_states():
    for shape in ((1, 4), (1, 2, 4)):
        x = torch.ones(5, *shape[1:-1], 3, dtype=DOUBLE)
        states = [torch.ones(shape, dtype=DOUBLE), -torch.ones(shape, dtype=DOUBLE)]
        found = [module(x, states)[0] for module in pair("LSTM")]
        assert torch.allclose(*found, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "shape", "hx", "error", "told"),
    [
        ("LSTM", (5, 2, 3), torch.ones(1, 2, 4, dtype=DOUBLE), UsageError, r"hx is Tensor; expected a pair"),
        ("GRU", (5, 2, 3), (torch.ones(1, 2, 4, dtype=DOUBLE),), UsageError, "hx is tuple; expected a tensor"),
        ("GRU", (5, 2, 3), torch.ones(1, 2, 4), UsageError, r"hx is torch\.float32 and x is torch\.float64"),
        ("GRU", (5, 2, 3), torch.ones(1, 2, 4, device="meta"), UsageError, "hx is on meta; expected a CPU"),
        ("GRU", (5, 2, 3), torch.ones(1, 4, dtype=DOUBLE), DataError, "hx has 2 dimensions"),
        ("GRU", (5, 3), torch.ones(1, 1, 4, dtype=DOUBLE), DataError, "hx has 3 dimensions.*no batch"),
    ],
)
def test_a_state_that_does_not_fit_is_told_in_one_line(kind, shape, hx, error, told):
    ours, theirs = pair(kind)
    x = torch.ones(shape, dtype=DOUBLE)
    with pytest.raises(error, match=told) as raised:
        ours(x, hx)
    assert "\n" not in str(raised.value)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of any class: torch refuses each of these too
        theirs(x, hx)


def test_autocast_does_not_make_parameters_of_another_type_fit():
    module = nn.GRU(3, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert "bfloat16" in rft.accelerate(module).left[""]
        with pytest.raises(UsageError, match=r"its parameters are torch\.bfloat16"):
            rft.GRU(3, 4).bfloat16()(torch.ones(5, 2, 3))


@torch_warns
def test_a_derivative_forward_is_refused_without_a_graph_too():
    ours, _ = pair()
    x = torch.ones(5, 2, 3, dtype=DOUBLE)
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="forward mode AD"):
            ours(dual)


@torch_warns
def test_a_trace_is_refused_in_one_line():
    with pytest.raises(UsageError, match="cannot be traced or exported") as raised:
        torch.jit.trace(pair()[0], torch.ones(5, 2, 3, dtype=DOUBLE))
    assert "\n" not in str(raised.value)


class Model(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.below, self.recurrent, self.above = nn.Linear(3, 3, dtype=DOUBLE), recurrent, nn.Linear(4, 2, dtype=DOUBLE)

    def forward(self, x):
        outputs, _ = self.recurrent(self.below(x))
        return self.above(outputs)


@pytest.mark.slow
@torch_warns
def test_torch_compile_compiles_what_is_around_it_and_around_unroll():
    model = Model(pair()[0])
    x = torch.randn(5, 2, 3, dtype=DOUBLE)
    compiled = torch.compile(model, backend="aot_eager")
    for n in range(3):
        for run, mode in ((compiled, torch.enable_grad), (compiled, torch.no_grad)):
            with mode():
                assert torch.allclose(run(x + n), model(x + n), rtol=0, atol=1e-12)
        found, expected = (
            torch.autograd.grad(each(x + n).square().sum(), list(model.parameters())) for each in (compiled, model)
        )
        for one, other in zip(found, expected, strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-12)
    cell = nn.GRUCell(3, 4, dtype=DOUBLE)

    def step(x, h):
        h = cell(x, h)
        return h, h

    def function(x):
        outputs, _ = rft.unroll(step, x, x.new_zeros(2, 4), "checkpoint", chunk=2, extra=[*cell.parameters()])
        return outputs * 2

    found, expected = (
        torch.autograd.grad(each(x).square().sum(), list(cell.parameters()))
        for each in (torch.compile(function, backend="aot_eager"), function)
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
