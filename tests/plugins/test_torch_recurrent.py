"""`rft.LSTM`, `GRU` and `RNN` beside torch.nn's: the same parameters, outputs and gradients, and the same manners."""

import copy
import io
import itertools
import pickle
import subprocess
import sys
import threading

import pytest

from rnnframe.errors import DataError, OptionError, RnnframeError, UsageError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")
pytest.importorskip("numba", reason="numba is not installed: pip install 'rnnframe[fast]'")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence  # noqa: E402

import rnnframe_torch as rft  # noqa: E402

T, B, I, H = 70, 3, 5, 7
LENGTHS = [30, 70, 1]
KINDS = ["LSTM", "GRU", "RNN"]
PLACES = {torch.float32: (1e-6, 1e-5), torch.float64: (1e-12, 1e-12)}


def both(kind, seed=0, **options):
    """Return torch's module and ours, with the same parameters."""
    made = []
    for package in (nn, rft):
        torch.manual_seed(seed)
        made.append(getattr(package, kind)(I, H, **options))
    return made


def run(module, x, lengths=None):
    """Return outputs and states, and the gradients of a loss of all of them: x, states, parameters."""
    dtype = x.dtype
    rows = module.num_layers * (2 if module.bidirectional else 1)
    draw = torch.Generator().manual_seed(1)
    x = x.clone().requires_grad_()
    widths = module.proj_size or H, H
    states = [torch.randn(rows, B, width, generator=draw, dtype=dtype).requires_grad_() for width in widths]
    pair = isinstance(module, nn.LSTM)
    given = x if lengths is None else pack_padded_sequence(x, lengths, module.batch_first, enforce_sorted=False)
    torch.manual_seed(2)
    output, after = module(given, tuple(states) if pair else states[0])
    found = [output if lengths is None else output.data, *(after if pair else [after])]
    loss = sum((each * torch.randn(each.shape, generator=draw, dtype=dtype)).sum() for each in found)
    for parameter in module.parameters():
        parameter.grad = None
    loss.backward()
    wanted = [x, *states[: 1 + pair], *module.parameters()]
    return [each.detach() for each in found], [each.grad for each in wanted]


def assert_equal(ours, theirs, dtype=torch.float64):
    near, slope = PLACES[dtype]
    for one, other in zip(ours[0], theirs[0], strict=True):
        assert torch.allclose(one, other, rtol=0, atol=near)
    for one, other in zip(ours[1], theirs[1], strict=True):
        assert torch.allclose(one, other, rtol=0, atol=slope * max(1.0, float(other.abs().max())))


CASES = [
    {"num_layers": 1},
    {"num_layers": 2, "bias": False},
    {"num_layers": 3, "batch_first": True},
    {"num_layers": 3, "dropout": 0.3},
    {"num_layers": 1, "bidirectional": True, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "dropout": 0.3},
]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "packed"])
@pytest.mark.parametrize("dtype", PLACES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_states_and_gradients_are_torchs(kind, dtype, lengths):
    for options in CASES:
        theirs, ours = both(kind, dtype=dtype, **options)
        shape = (B, T, I) if options.get("batch_first") else (T, B, I)
        x = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(3))
        found, expected = run(ours, x, lengths), run(theirs, x, lengths)
        assert_equal(found, expected, dtype)
        assert [each.stride() for each in found[0]] == [each.stride() for each in expected[0]], options


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_of_options_is_torchs(kind):
    for dtype, layers, two, first, dropout, bias, lengths in itertools.product(
        PLACES, (1, 2, 3), (False, True), (False, True), (0.0, 0.3), (False, True), (None, LENGTHS)
    ):
        if dropout and layers == 1:
            continue
        options = {"num_layers": layers, "bidirectional": two, "batch_first": first, "dropout": dropout, "bias": bias}
        theirs, ours = both(kind, dtype=dtype, **options)
        x = torch.randn((B, T, I) if first else (T, B, I), dtype=dtype)
        assert_equal(run(ours, x, lengths), run(theirs, x, lengths), dtype)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "packed"])
@pytest.mark.parametrize("dtype", [pytest.param(torch.float32, marks=pytest.mark.slow), torch.float64], ids=str)
def test_a_projection_is_torchs(dtype, lengths):
    for options in CASES:
        theirs, ours = both("LSTM", dtype=dtype, proj_size=3, **options)
        x = torch.randn((B, T, I) if options.get("batch_first") else (T, B, I), dtype=dtype)
        assert_equal(run(ours, x, lengths), run(theirs, x, lengths), dtype)
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor)
        assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_a_projection_begins_with_zeros_and_gives_one_result_under_every_exact_store():
    x, found = torch.randn(300, B, I, dtype=torch.float64), []
    for store in ("full-history", "full-history:keep=lean", "checkpoint:slots=3"):
        theirs, ours = both("LSTM", num_layers=2, proj_size=3, dtype=torch.float64)
        ours.store = store
        for mine, other in zip(ours(x)[1], theirs(x)[1], strict=True):
            assert torch.allclose(mine, other, rtol=0, atol=1e-12)
        found.append(run(ours, x))
    assert_equal(found[0], found[1])
    assert_equal(found[0], found[2])


def test_rnn_takes_relu_as_torch_does():
    theirs, ours = both("RNN", nonlinearity="relu", dtype=torch.float64)
    x = torch.randn(T, B, I, dtype=torch.float64)
    assert_equal(run(ours, x), run(theirs, x))


@pytest.mark.parametrize("store", ["checkpoint:slots=3", "checkpoint:policy=mixed,slots=3", "auto:budget=1MiB"])
@pytest.mark.parametrize("lengths", [None, [300, 2000, 3]], ids=["whole", "packed"])
def test_every_exact_store_gives_the_same(store, lengths):
    x, found = torch.randn(2000, B, I, dtype=torch.float64), []
    for each in ("full-history", store):
        torch.manual_seed(0)
        found.append(run(rft.LSTM(I, H, 2, store=each, dtype=torch.float64), x, lengths))
    assert_equal(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_go_both_ways_bit_for_bit(kind):
    theirs, ours = both(kind, num_layers=2, bidirectional=True)
    other = getattr(rft, kind)(I, H, 2, bidirectional=True)
    other.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(other.state_dict())
    for name, tensor in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], tensor)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert isinstance(ours, getattr(nn, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", [False, True])
def test_inputs_without_a_batch_and_states_that_are_left_out(kind, first):
    theirs, ours = both(kind, num_layers=2, batch_first=first)
    x = torch.randn(T, I)
    for state in (None, (torch.randn(2, H), torch.randn(2, H))):
        given = state if kind == "LSTM" or state is None else state[0]
        (one, after), (other, then) = ours(x, given), theirs(x, given)
        assert one.shape == other.shape == (T, H)
        for a, b in zip(after, then, strict=True):
            assert torch.allclose(a, b, atol=1e-6)
            assert a.shape == b.shape


def test_a_packed_sequence_comes_out_with_its_order():
    theirs, ours = both("LSTM", bidirectional=True)
    packed = pack_padded_sequence(torch.randn(T, B, I), LENGTHS, enforce_sorted=False)
    (one, (h, c)), (other, (h2, c2)) = ours(packed), theirs(packed)
    assert isinstance(one, PackedSequence)
    for a, b in zip(one[1:], other[1:], strict=True):
        assert torch.equal(a, b)
    padded, lengths = pad_packed_sequence(one)
    assert torch.allclose(padded, pad_packed_sequence(other)[0], atol=1e-6)
    assert lengths.tolist() == LENGTHS
    assert torch.allclose(h, h2, atol=1e-6)
    assert torch.allclose(c, c2, atol=1e-6)


def test_modes_of_torch_keep_no_graph_and_give_the_same_outputs():
    theirs, ours = both("LSTM", num_layers=2, dropout=0.5)
    x = torch.randn(T, B, I)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.manual_seed(5)
            trained = ours(x)[0]
            torch.manual_seed(5)
            assert torch.allclose(trained, theirs(x)[0], atol=1e-6)
            assert not trained.requires_grad
    ours.eval()
    theirs.eval()
    assert torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-6)
    assert ours(x)[0].requires_grad


def test_autocast_computes_in_the_type_of_the_parameters():
    ours = rft.LSTM(I, H)
    x = torch.randn(T, B, I)
    expected = ours(x.bfloat16().float())[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(x.bfloat16())[0], expected)


def test_copies_pickles_and_saved_modules_compute_the_same():
    ours = rft.LSTM(I, H, 2, store="checkpoint:slots=3")
    x = torch.randn(T, B, I)
    expected = ours(x)[0]
    expected.sum().backward()
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(file, weights_only=False)):
        assert torch.equal(other(x)[0], expected)
        assert other.store == ours.store
        with torch.no_grad():
            other.weight_hh_l0.zero_()
        assert not torch.equal(other(x)[0], expected)
    assert torch.equal(ours(x)[0], expected)


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


def test_parametrized_weights_are_used_and_trained():
    found = []
    for module in both("LSTM", dtype=torch.float64):
        nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", Halved())
        found.append(run(module, torch.ones(T, B, I, dtype=torch.float64)))
    assert_equal(*found[::-1])


def test_weights_that_differ_from_call_to_call_belong_to_their_call():
    theirs, ours = both("LSTM", dtype=torch.float64)
    x = torch.randn(T, B, I, dtype=torch.float64)
    found = []
    for module in (ours, theirs):
        scale = torch.ones((), dtype=torch.float64, requires_grad=True)
        weight = module.weight_hh_l0
        outputs = []
        for factor in (1.0, 0.5, 0.25):
            del module.weight_hh_l0
            module.weight_hh_l0 = weight * factor * scale
            outputs.append(module(x)[0])
        slopes = [torch.autograd.grad(output.sum(), [scale, module.weight_ih_l0]) for output in outputs]
        found.append(([each.detach() for each in outputs], [each for pair in slopes for each in pair]))
    assert_equal(*found)


class Twice(nn.Module):
    """One module in two places."""

    def __init__(self, kind):
        super().__init__()
        self.below = kind(H, H, dtype=torch.float64)
        self.above = self.below

    def forward(self, x):
        return self.above(self.below(x)[0])[0]


def test_shared_modules_and_sums_of_gradients():
    torch.manual_seed(0)
    theirs = Twice(nn.GRU)
    ours = Twice(rft.GRU)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, H, dtype=torch.float64)
    for module in (theirs, ours):
        for _ in range(2):  # gradients add up
            module(x).square().sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-12, atol=1e-12)


def test_two_forward_passes_before_their_ways_back_in_any_order():
    theirs, ours = both("LSTM", dtype=torch.float64)
    xs = [torch.randn(T, B, I, dtype=torch.float64) for _ in range(3)]
    for order in ((0, 1, 2), (2, 0, 1)):
        found = []
        for module in (ours, theirs):
            outputs = [module(x)[0] for x in xs]
            found.append([torch.autograd.grad(outputs[n].square().sum(), list(module.parameters())) for n in order])
        for one, other in zip(*found, strict=True):
            assert_equal(([], one), ([], other))


def test_only_what_is_wanted_has_a_gradient():
    theirs, ours = both("LSTM", dtype=torch.float64)
    for module in (theirs, ours):
        module.weight_hh_l0.requires_grad_(False)
        module.bias_ih_l0.requires_grad_(False)
        x = torch.ones(T, B, I, dtype=torch.float64)
        _, (_, c) = module(x)
        c.sum().backward()  # the outputs are not used
        assert module.weight_hh_l0.grad is None
        assert module.bias_ih_l0.grad is None
    assert torch.allclose(ours.weight_ih_l0.grad, theirs.weight_ih_l0.grad, rtol=1e-12, atol=1e-12)
    for parameter in ours.parameters():
        parameter.requires_grad_(False)
    assert not ours(x)[0].requires_grad


def test_going_back_twice_is_refused_as_torch_does_and_kept_graphs_can():
    ours = rft.LSTM(I, H, store="checkpoint:slots=2")
    loss = ours(torch.randn(T, B, I, requires_grad=True))[0].sum()
    loss.backward(retain_graph=True)
    first = [parameter.grad.clone() for parameter in ours.parameters()]
    loss.backward()
    for parameter, once in zip(ours.parameters(), first, strict=True):
        assert torch.equal(parameter.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_second_derivative_and_a_change_in_place_are_refused():
    ours = rft.LSTM(I, H)
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(ours(torch.randn(T, B, I))[0].sum(), ours.weight_hh_l0, create_graph=True)
    loss = ours(torch.randn(T, B, I))[0].sum()
    with torch.no_grad():
        ours.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_threads_can_use_one_module_at_once():
    ours, xs = rft.LSTM(I, H, 2), [torch.randn(T, B, I) for _ in range(8)]
    expected = [torch.autograd.grad(ours(x)[0].square().sum(), list(ours.parameters())) for x in xs]
    found = [None] * len(xs)

    def work(n):
        for _ in range(3):
            found[n] = torch.autograd.grad(ours(xs[n])[0].square().sum(), list(ours.parameters()))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(xs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: rft.LSTM(I, H, proj_size=3, device="meta"), UsageError, "meta; expected a CPU"),
        (lambda: rft.GRU(I, H, device="meta"), UsageError, "meta; expected a CPU"),
        (lambda: rft.RNN(I, H, dtype=torch.float16), UsageError, "float16; expected float32 or float64"),
        (lambda: rft.LSTM(I, H, store="circular-queue:k1=4,k2=8")(torch.ones(T, B, I)), UsageError, "truncates"),
        (lambda: rft.LSTM(I, H).half()(torch.ones(T, B, I).half()), UsageError, "float16"),
        (lambda: rft.LSTM(I, H)(torch.full((T, B, I), torch.nan)), DataError, "NaN"),
        (lambda: rft.LSTM(I, H)(torch.ones(T)), DataError, "1 dimensions"),
        (lambda: rft.LSTM(I, H, store="nothing")(torch.ones(T, B, I)), RnnframeError, "nothing"),
    ],
)
def test_what_cannot_be_computed_is_told_in_one_line(make, error, told):
    with pytest.raises(error, match=told) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("given", [torch.ones(T, B, I + 1), torch.ones(T, B, I).double()])
def test_shapes_and_types_are_refused_as_torch_refuses_them(given):
    raised = []
    for module in both("LSTM"):
        with pytest.raises((RuntimeError, ValueError)) as told:
            module(given)
        raised.append((type(told.value), str(told.value)))
    assert raised[0] == raised[1]


def test_without_numba_one_line_says_what_to_install(monkeypatch):
    import rnnframe_compiled

    monkeypatch.setattr(rnnframe_compiled, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'rnnframe\[fast\]'") as told:
        rft.LSTM(I, H)
    assert "\n" not in str(told.value)


def test_a_budget_keeps_a_fraction_of_what_torch_keeps():
    """The peak of the resident set above outputs and their gradient, in a process of its own."""
    program = """
import sys, torch, rnnframe_torch as rft
from pathlib import Path
def status(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))
torch.set_num_threads(1)
module = rft.LSTM(16, 64, store="auto:budget=4MiB")
x = torch.randn(4000, 8, 16)
slope = torch.ones(4000, 8, 64)
module(x[:200])[0].backward(slope[:200])
Path("/proc/self/clear_refs").write_text("5")
idle = status("VmRSS")
module(x)[0].backward(slope)
print(status("VmHWM") - idle - slope.nbytes)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 8 * 2**20  # full history would keep 47 MiB
