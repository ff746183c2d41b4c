"""Models that PyTorch has exported to ONNX are read as networks, whose outputs are those of the module."""

import io
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rnnframe[torch]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'rnnframe[onnx]'")

from torch import nn  # noqa: E402

import rnnframe as rf  # noqa: E402
from rnnframe.errors import OptionError  # noqa: E402
from rnnframe_onnx import from_onnx  # noqa: E402

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Model(nn.Module):
    """A recurrent module with what people put below and above it."""

    def __init__(self, kind: str, layers: int, batch_first: bool, embedding: bool, last: bool, head: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 5) if embedding else nn.Identity()
        self.rnn = KINDS[kind](5, 6, layers, batch_first=batch_first)
        self.out = nn.Linear(6, 4) if head else nn.Identity()
        self.last, self.axis = last, 1 if batch_first else 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, _ = self.rnn(self.table(x))
        return self.out(h.select(self.axis, -1) if self.last else h)


def exported(model: nn.Module, x: torch.Tensor, *, dynamo: bool) -> onnx.ModelProto:
    """Return the model that torch writes, by its older exporter or by the newer one."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            pytest.importorskip("onnxscript", reason="torch's newer exporter needs it: pip install onnxscript")
            return torch.onnx.export(model.eval(), (x,), dynamo=True, verbose=False).model_proto
        torch.onnx.export(model.eval(), (x,), file, dynamo=False)
    return onnx.load_from_string(file.getvalue())


@pytest.mark.parametrize("dynamo", [False, True], ids=["older exporter", "newer exporter"])
@pytest.mark.parametrize(("layers", "batch_first"), [(1, False), (2, True)], ids=["time first", "batch first"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_module_with_a_linear_gives_the_same_outputs(kind, layers, batch_first, dynamo):
    torch.manual_seed(1)
    model, x = Model(kind, layers, batch_first, False, False, True), torch.randn(7, 3, 5)
    given = x.transpose(0, 1) if batch_first else x
    network, left_out = from_onnx(exported(model, given, dynamo=dynamo))
    expected = model(given).detach().numpy()
    expected = expected.swapaxes(0, 1) if batch_first else expected
    assert left_out == ()
    assert len(network.cells) == layers
    assert np.abs(rf.Engine(network).predict(x.numpy())[0] - expected).max() < 1e-6


@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
def test_an_rnn_by_the_older_exporter(batch_first):
    """The newer one writes it as single steps, without an RNN."""
    model, x = Model("rnn", 2, batch_first, False, False, True), torch.randn(7, 3, 5)
    given = x.transpose(0, 1) if batch_first else x
    network, _ = from_onnx(exported(model, given, dynamo=False))
    expected = model(given).detach().numpy()
    expected = expected.swapaxes(0, 1) if batch_first else expected
    assert np.abs(rf.Engine(network).predict(x.numpy())[0] - expected).max() < 1e-6
    with pytest.raises(OptionError, match="the model has no RNN, LSTM or GRU"):
        from_onnx(exported(model, given, dynamo=True))


@pytest.mark.parametrize("dynamo", [False, True], ids=["older exporter", "newer exporter"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_an_embedding_below_and_the_last_step_above(kind, dynamo):
    torch.manual_seed(2)
    model, x = Model(kind, 1, True, True, True, True), torch.randint(0, 9, (7, 3))
    network, _ = from_onnx(exported(model, x.T, dynamo=dynamo))
    assert network.inputs == 9
    assert "at=last" in network.specs()["head"]
    got, _ = rf.Engine(network).predict(x.numpy())
    assert np.abs(got[-1] - model(x.T).detach().numpy()).max() < 1e-6


def test_what_no_network_has_is_refused_by_name():
    with pytest.raises(OptionError, match="takes the last step of both directions"):
        from_onnx(exported(Both("lstm", last=True), torch.randn(7, 3, 5), dynamo=False))
    relu = nn.Sequential(Model("gru", 1, False, False, False, False), nn.ReLU())
    with pytest.raises(OptionError, match=r"Relu .* is not part of a network here"):
        from_onnx(exported(relu, torch.randn(7, 3, 5), dynamo=False))


def test_a_reshape_that_mixes_time_and_samples_is_not_read_as_one_that_drops_an_axis():
    model = exported(Model("lstm", 1, False, False, False, True), torch.randn(7, 3, 5), dynamo=True)
    (reshape,) = (node for node in model.graph.node if node.op_type == "Reshape")
    for initializer in model.graph.initializer:
        if initializer.name == reshape.input[1]:
            initializer.CopyFrom(onnx.numpy_helper.from_array(np.array([3, 7, 6]), initializer.name))
    with pytest.raises(OptionError, match="does more than take away the axis of the directions"):
        from_onnx(model)


class Both(nn.Module):
    """Two directions in two layers, and a Linear of every step or of the last one."""

    def __init__(self, kind: str, *, last: bool) -> None:
        super().__init__()
        self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](5, 6, 2, bidirectional=True)
        self.head, self.last = nn.Linear(12, 4), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.rnn(x)[0]
        return self.head(h[-1] if self.last else h)


@pytest.mark.parametrize("dynamo", [False, True], ids=["older exporter", "newer exporter"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_two_directions_are_read(kind, dynamo):
    torch.manual_seed(3)
    model, x = Both(kind, last=False), torch.randn(7, 3, 5)
    network, _ = from_onnx(exported(model, x, dynamo=dynamo))
    assert [cell.name for cell in network.cells] == ["bidirectional"] * 2
    assert np.abs(rf.Engine(network).predict(x.numpy())[0] - model(x).detach().numpy()).max() < 1e-6
