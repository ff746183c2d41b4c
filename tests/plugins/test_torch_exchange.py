"""Networks as modules of PyTorch and back: the same outputs, the same bits."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")

from torch import nn  # noqa: E402

import rnnframe as rf  # noqa: E402
import rnnframe_torch as rft  # noqa: E402
from rnnframe.errors import OptionError, UsageError  # noqa: E402

CELLS = [
    ["lstm:hidden=7"],
    ["gru:hidden=7,reset=after"] * 2,
    ["elman:hidden=5", "elman:hidden=5,activation=relu", "lstm:hidden=6", "lstm:hidden=6"],
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cells", CELLS, ids=["lstm", "two gru", "mixed"])
@pytest.mark.parametrize("head", ["mse:outputs=3", None])
def test_a_network_gives_the_same_there_and_comes_back_bit_for_bit(cells, dtype, head):
    network = rf.Network(cells, head, inputs=4, dtype=dtype, seed=3)
    module = rft.to_torch(network)
    x = np.random.default_rng(0).standard_normal((9, 2, 4)).astype(dtype)
    outputs, _ = module(torch.from_numpy(x))
    if head is not None:
        expected, _ = rf.Engine(network).predict(x)
        assert np.abs(outputs.detach().numpy() - expected).max() < (1e-12 if dtype == "float64" else 1e-6)
    again = rft.from_torch(module, None if head is None else "mse")
    assert [spec.name for spec in again.cells] == [spec.name for spec in network.cells]
    for name, array in network.parameters.items():
        assert array.tobytes() == again.parameters[name].tobytes(), name


def test_looked_up_inputs_and_a_state_that_is_carried():
    network = rf.Network(["gru:hidden=7,reset=after"], "softmax:classes=5", inputs=5, seed=1)
    module, x = rft.to_torch(network), np.random.default_rng(0).integers(0, 5, (8, 3))
    first, state = module(torch.from_numpy(x[:4]))
    second, _ = module(torch.from_numpy(x[4:]), state)
    logits = torch.cat([first, second])
    expected, _ = rf.Engine(network).predict(x)
    assert np.abs(torch.softmax(logits, -1).detach().numpy() - expected).max() < 1e-6


def test_a_model_with_an_embedding_is_taken_over_from_any_module():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn, self.out = nn.Embedding(11, 6), nn.RNN(6, 8, nonlinearity="relu"), nn.Linear(8, 11)

        def forward(self, x):
            return self.out(self.rnn(self.table(x))[0])

    torch.manual_seed(0)
    model, x = Model(), torch.randint(0, 11, (6, 2))
    network = rft.from_torch(model, "softmax")
    expected = torch.softmax(model(x), -1).detach().numpy()
    assert str(network.cells[0].activation) == "relu"
    assert np.abs(rf.Engine(network).predict(x.numpy())[0] - expected).max() < 1e-6


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_a_projection_goes_both_ways():
    torch.manual_seed(0)
    lstm, x = nn.LSTM(2, 5, 2, proj_size=3), torch.randn(6, 2, 2)
    again = rft.to_torch(rft.from_torch(lstm))
    assert torch.allclose(again(x)[0], lstm(x)[0], atol=1e-6)


def test_two_directions_come_from_torch():
    torch.manual_seed(0)
    gru, x = nn.GRU(2, 3, 2, bidirectional=True), torch.randn(6, 2, 2)
    network = rft.from_torch(gru)
    assert np.abs(rf.Engine(network).predict(x.numpy())[0] - gru(x)[0].detach().numpy()).max() < 1e-6
    assert torch.allclose(rft.to_torch(network)(x)[0], gru(x)[0], atol=1e-6)
    with pytest.raises(UsageError, match="reads where two directions end"):
        rft.to_torch(rf.Network(["bidirectional(gru:hidden=3)"], "softmax:classes=2,at=last", 2))


def test_what_has_no_counterpart_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"Linear holds no nn.RNN, nn.LSTM or nn.GRU"):
        rft.from_torch(nn.Linear(2, 2))
    dropped = nn.LSTM(2, 3, 2, dropout=0.5)
    with pytest.raises(UsageError, match=r"the dropout of 'LSTM' is not taken over; call eval\(\)"):
        rft.from_torch(dropped)
    assert len(rft.from_torch(dropped.eval()).cells) == 2
    with pytest.raises(OptionError, match="which PyTorch does not have"):
        rft.to_torch(rf.Network(["mingru:hidden=3"], None, inputs=2))
