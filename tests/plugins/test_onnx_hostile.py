"""ONNX models that are damaged, hostile or not one stack: read as what onnxruntime computes, or refused in one line."""

import random
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import rnnframe as rf
from rnnframe.errors import DataError, OptionError, RnnframeError

onnx = pytest.importorskip("onnx", reason="onnx writes and reads the models")

from onnx import helper, numpy_helper  # noqa: E402

from rnnframe_onnx import from_onnx, to_onnx  # noqa: E402
from rnnframe_onnx.commands import export_command, import_command  # noqa: E402

STACKS = [
    (["lstm:hidden=3", "gru:hidden=3"], "softmax:classes=4", {}),
    (["elman:hidden=3,activation=identity"], "mse:outputs=2", {"lengths": True}),
    (["bidirectional(gru:hidden=3)"], "softmax:classes=4,at=last", {"looked_up": True}),
    (["embedding:size=4,tie=yes", "lstm:hidden=4"], "softmax:classes=5,readout=tied", {"looked_up": True}),
]


def model(number: int = 0) -> onnx.ModelProto:
    cells, head, options = STACKS[number]
    return to_onnx(rf.Network(cells, head, 5, seed=1), **options)


def node(given: onnx.ModelProto, op: str, place: int = 0) -> onnx.NodeProto:
    return [each for each in given.graph.node if each.op_type == op][place]


def weights(given: onnx.ModelProto, name: str, change) -> None:
    tensor = next(each for each in given.graph.initializer if each.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))


def drop(given: onnx.NodeProto, *names: str) -> None:
    for each in [each for each in given.attribute if each.name in names]:
        given.attribute.remove(each)


def rename_weights(given, name, dims):
    next(each for each in given.graph.initializer if each.name == name).dims[:] = dims


DAMAGES = {
    "an array of another size than it says": lambda m: rename_weights(m, "layer0.W", [1, 2, 3]),
    "a bias that fits no row": lambda m: weights(m, "head.c", lambda c: np.zeros(7, c.dtype)),
    "weights without axes": lambda m: weights(m, "layer0.R", lambda R: np.zeros((), R.dtype)),
    "weights that are texts": lambda m: weights(m, "layer0.W", lambda W: W.astype(str).astype(object)),
    "weights that are integers": lambda m: weights(m, "layer0.W", lambda W: W.astype(np.int64)),
    "weights that are not finite": lambda m: weights(m, "layer0.R", lambda R: np.full_like(R, np.nan)),
    "axes within axes": lambda m: weights(m, node(m, "Squeeze").input[1], lambda axes: axes.reshape(1, 1)),
    "a direction that is no text": lambda m: node(m, "LSTM").attribute.append(
        helper.make_attribute("direction", b"\xff\xfe")
    ),
    "no weights": lambda m: node(m, "LSTM").input.__delitem__(slice(1, None)),
    "a circle": lambda m: node(m, "LSTM").input.__setitem__(0, node(m, "Softmax").output[0]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("as_file", [True, False])
def test_a_damaged_model_is_refused_in_one_line(tmp_path: Path, damage: str, as_file: bool) -> None:
    given = model()
    DAMAGES[damage](given)
    if as_file:
        (tmp_path / "model.onnx").write_bytes(given.SerializeToString())
    with pytest.raises(RnnframeError) as refusal:
        from_onnx(tmp_path / "model.onnx" if as_file else given)
    assert str(refusal.value).isprintable()


def beside(given: onnx.ModelProto) -> None:
    """Let the head read the first layer, and the second one nobody."""
    node(given, "MatMul").input[0] = node(given, "Squeeze").output[0]


def between(given: onnx.ModelProto) -> None:
    """Let the second layer begin with what the first one leaves, as a decoder does."""
    node(given, "GRU").input[5] = node(given, "LSTM").output[1]


def other_output(given: onnx.ModelProto) -> None:
    """Give out the states of the last layer, beside whose product nobody sees."""
    last = next(each for each in given.graph.node if given.graph.output[0].name in each.output)
    last.op_type = "Identity"
    del last.input[:]
    last.input.extend([node(given, "MatMul").input[0]])
    drop(last, "axis")


@pytest.mark.parametrize(
    ("number", "change", "words"),
    [
        (0, beside, "which is not what the last layer computes"),
        (0, between, "expected one path from layer to layer"),
        (0, other_output, "no output of the model is what its last layer or head computes"),
        (1, lambda m: drop(node(m, "RNN"), "activation_alpha"), "has activations="),
    ],
    ids=["a layer beside", "an encoder and a decoder", "a product beside", "a slope of one's own"],
)
def test_a_model_that_is_no_stack_of_layers_is_not_read_as_one(number, change, words) -> None:
    given = model(number)
    change(given)
    onnx.checker.check_model(given)
    with pytest.raises(OptionError, match=words):
        from_onnx(given)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device here")
def test_a_device_without_an_end_is_no_model() -> None:
    with pytest.raises(DataError, match="cannot read '/dev/zero' as an ONNX model: it is a device"):
        from_onnx("/dev/zero")


def test_arrays_in_files_elsewhere_are_not_read(tmp_path: Path) -> None:
    given, folder = model(), tmp_path / "model"
    folder.mkdir()
    tensor = next(each for each in given.graph.initializer if each.name == "layer0.W")
    (tmp_path / "secret").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, "../secret")
    tensor.ClearField("raw_data")
    (folder / "model.onnx").write_bytes(given.SerializeToString())
    with pytest.raises(DataError, match=r"cannot read .* as an ONNX model"):
        from_onnx(folder / "model.onnx")


@pytest.mark.parametrize("command", [import_command, export_command], ids=["import", "export"])
@pytest.mark.parametrize("link", [False, True])
def test_no_command_replaces_the_file_that_it_reads(tmp_path: Path, command, link: bool) -> None:
    path = tmp_path / "model"
    if command is import_command:
        path.write_bytes(model().SerializeToString())
    else:
        rf.Network(["lstm:hidden=3"], "softmax:classes=4", 5).save(path)
    out, before = path, path.read_bytes()
    if link:
        out = tmp_path / "out"
        out.hardlink_to(path)
    outcome = CliRunner().invoke(command, [str(path), str(out)])
    assert "which it would replace; give another file" in str(outcome.exception)
    assert path.read_bytes() == before


def damaged(given: onnx.ModelProto, rng: random.Random) -> None:
    """Change inputs, outputs, attributes, operators and arrays of a model at random."""
    graph = given.graph
    names = [name for each in graph.node for name in (*each.input, *each.output)] + [""]
    for _ in range(rng.randint(1, 2)):
        one, kind = rng.choice(graph.node), rng.randrange(5)
        if kind == 0 and one.input:
            one.input[rng.randrange(len(one.input))] = rng.choice(names)
        elif kind == 1 and one.attribute:
            each = rng.choice(one.attribute)
            each.i = rng.choice((-99, -1, 0, 1, 7))
            for place in range(len(each.ints)):
                each.ints[place] = rng.choice((-9, 0, 1, 2))
        elif kind == 2 and one.attribute:
            del one.attribute[rng.randrange(len(one.attribute))]
        elif kind == 3:
            tensor = rng.choice(graph.initializer)
            array = numpy_helper.to_array(tensor)
            array = rng.choice((array[..., :0], array[..., None], array[:1], array.astype("f8"), array.reshape(-1)))
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        else:
            one.op_type = rng.choice(("LSTM", "GRU", "RNN", "Identity", "Squeeze", "Transpose", "MatMul", "Softmax"))


def late(*_: object) -> None:
    raise TimeoutError("still reading")


@pytest.mark.parametrize("number", range(len(STACKS)))
def test_models_damaged_at_random_are_read_as_onnxruntime_computes_them_or_refused(number: int) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is the independent implementation")
    quiet = runtime.SessionOptions()
    quiet.log_severity_level, quiet.intra_op_num_threads = 4, 1
    rng, data = random.Random(number), np.random.default_rng(number)
    whole, compared = model(number), 0
    for _ in range(150):
        given = onnx.ModelProto.FromString(whole.SerializeToString())
        damaged(given, rng)
        try:
            if hasattr(signal, "SIGALRM"):
                signal.signal(signal.SIGALRM, late)
                signal.alarm(20)
            network, left_out = from_onnx(given)
        except RnnframeError:
            continue
        finally:
            if hasattr(signal, "SIGALRM"):
                signal.alarm(0)
        try:
            session = runtime.InferenceSession(given.SerializeToString(), quiet, ["CPUExecutionProvider"])
            feed = {each.name: _given(each, network.inputs, data) for each in session.get_inputs()}
            outputs = session.run(None, feed)
        except Exception:  # of another strictness, as for types
            continue
        if left_out or "at=last" in str(network.specs()["head"]):
            continue
        x = feed[session.get_inputs()[0].name]
        mine, _state = rf.Inference(network, kernels="numpy").predict(x)
        compared += 1
        assert any(mine.shape == each.shape and np.allclose(mine, each, atol=1e-4) for each in outputs), given
    assert compared or number == 2


def _given(each, inputs: int, data: np.random.Generator) -> np.ndarray:
    sizes = [
        size if isinstance(size, int) else (7, 3)[place] if place < 2 else 3 for place, size in enumerate(each.shape)
    ]
    if "int" in each.type:
        kind = np.int32 if "int32" in each.type else np.int64
        return np.full(3, 7, kind) if len(sizes) == 1 else data.integers(0, inputs, (7, 3)).astype(kind)
    if each.name == "x":
        return data.normal(size=(7, 3, inputs)).astype("f4")
    return np.zeros([size if isinstance(size, int) else 3 for size in each.shape], "f4")
