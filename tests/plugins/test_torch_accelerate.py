"""`rft.accelerate`: modules inside a model are computed by compiled kernels, and stay what they are."""

import pytest

from rnnframe.errors import OptionError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")
pytest.importorskip("numba", reason="numba is not installed: pip install 'rnnframe[fast]'")

from torch import nn  # noqa: E402

import rnnframe_torch as rft  # noqa: E402


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.LSTM(3, 4, batch_first=True)
        self.more = nn.ModuleList([nn.GRU(4, 4), nn.RNN(4, 4, nonlinearity="relu")])
        self.shared = self.first

    def forward(self, x):
        x = self.first(x)[0].transpose(0, 1)
        for module in self.more:
            x = module(x)[0]
        return x


def test_the_model_computes_the_same_with_the_same_parameters_modules_and_hooks():
    torch.manual_seed(0)
    model, x, seen = Model(), torch.randn(2, 30, 3), []
    model.first.register_forward_hook(lambda module, given, found: seen.append(type(module)))
    parameters, modules, saved = list(model.parameters()), list(model.modules()), model.state_dict()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = model(x)
    slopes = torch.autograd.grad(expected.square().sum(), parameters)
    done = rft.accelerate(model, store="auto:budget=1MiB")
    assert done.replaced == ("first", "more.0", "more.1")
    assert done.left == {}
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert all(one is other for one, other in zip(model.modules(), modules, strict=True))
    assert list(model.state_dict()) == list(saved)
    assert [type(each) for each in (model.first, *model.more)] == [rft.LSTM, rft.GRU, rft.RNN]
    assert model.first.store == "auto:budget=1MiB"
    found = model(x)
    assert torch.allclose(found, expected, atol=1e-6)
    for one, other in zip(torch.autograd.grad(found.square().sum(), parameters), slopes, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    model(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model(x), found)
    assert seen == [nn.LSTM] + [rft.LSTM] * 3


class Own(nn.LSTM):
    """Somebody's own class."""


def test_what_is_left_is_told_with_its_reason():
    model = nn.ModuleDict(
        {
            "projected": nn.LSTM(3, 4, proj_size=2),
            "halved": nn.GRU(3, 4).half(),
            "own": Own(3, 4),
            "done": rft.LSTM(3, 4),
            "cell": nn.LSTMCell(3, 4),
            "plain": nn.LSTM(3, 4),
        }
    )
    done = rft.accelerate(model)
    assert done.replaced == ("projected", "plain")
    assert list(done.left) == ["halved", "own", "done"]
    for name, reason in zip(done.left, ["float16", "is a Own", "already"], strict=True):
        assert reason in done.left[name]
    assert str(done).splitlines()[:2] == ["projected: on compiled kernels", "plain: on compiled kernels"]
    assert len(str(done).splitlines()) == 5


def test_the_model_can_be_the_module_itself():
    module = nn.GRU(3, 4)
    assert str(rft.accelerate(module)) == "the model: on compiled kernels"
    assert isinstance(module, rft.GRU)


def test_without_numba_nothing_is_replaced(monkeypatch):
    import rnnframe_compiled

    monkeypatch.setattr(rnnframe_compiled, "find_spec", lambda name: None)
    module = nn.GRU(3, 4)
    with pytest.raises(OptionError, match="numba is not installed"):
        rft.accelerate(module)
    assert type(module) is nn.GRU
