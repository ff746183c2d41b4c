"""ONNX models: onnxruntime and onnx's own evaluator compute what we do, and the same bits come back from a model."""

import itertools
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError, UsageError

onnx = pytest.importorskip("onnx", reason="onnx writes and reads the models")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is the independent implementation")

from onnx import helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from rnnframe_onnx import from_onnx, to_onnx  # noqa: E402

INPUTS, OUTPUTS = 3, 4
CELLS = {
    "lstm": ["lstm:hidden=5"],
    "gru after": ["gru:hidden=5,reset=after"],
    "gru before": ["gru:hidden=5,reset=before"],
    **{f"elman {f}": [f"elman:hidden=5,activation={f}"] for f in ("tanh", "relu", "sigmoid", "identity")},
    "peephole": ["peephole-lstm:hidden=5"],
    "mixed": ["lstm:hidden=4", "gru:hidden=5,reset=before", "elman:hidden=6", "gru:hidden=3"],
}
HEADS = {
    "softmax": f"softmax:classes={OUTPUTS}",
    "bernoulli": f"bernoulli:outputs={OUTPUTS}",
    "mse": f"mse:outputs={OUTPUTS}",
    "last": f"softmax:classes={OUTPUTS},at=last",
    "none": None,
}


def network_of(cells, head="softmax", dtype="float32", seed=1):
    cells = CELLS[cells] if isinstance(cells, str) else cells
    network = rf.Network(cells, HEADS.get(head, head), INPUTS, dtype=dtype)
    network.parameters.flat[:] = np.random.default_rng(seed).normal(scale=0.4, size=network.parameters.flat.shape)
    return network


def in_runtime(model):
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level, quiet.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), quiet, ["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return lambda given: dict(zip(names, session.run(None, given), strict=True))


def in_reference(model):
    evaluator = ReferenceEvaluator(model)
    return lambda given: dict(zip(evaluator.output_names, evaluator.run(None, given), strict=True))


def compare(network, run, steps, batch, *, looked_up=False, lengths=None, places=1e-6):
    """Assert that predictions and states are ours, from a random state, with the states fed back once."""
    rng = np.random.default_rng(steps * 10 + batch)
    inference, state = rf.Inference(network), network.new_state(batch)
    state.flat[:] = rng.normal(scale=0.4, size=state.flat.shape)
    at_last = network.head is not None and network.head.loss.at == "last"
    given = {name: value.copy() for name, value in state.items()}
    for _ in range(2):
        x = rng.normal(size=(steps, batch, INPUTS)).astype(network.dtype)
        x = rng.integers(0, INPUTS, (steps, batch)) if looked_up else x
        wanted, state = inference.predict(x, state, lengths)
        given |= {"x": x} | ({} if lengths is None else {"lengths": lengths.astype(np.int32)})
        found = run(given)
        ends = np.full(batch, steps) if lengths is None else lengths
        if at_last:
            wanted = wanted[ends - 1, np.arange(batch)]
            assert np.abs(found["predictions"] - wanted).max() <= places
        else:
            assert np.abs(found["predictions"] - wanted)[np.arange(steps)[:, None] < ends].max() <= places
        for name, value in state.items():
            assert np.abs(found[f"next.{name}"] - value).max() <= places, name
            given[name] = found[f"next.{name}"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("cells", CELLS)
def test_onnxruntime_computes_the_same(cells: str, head: str) -> None:
    network = network_of(cells, head)
    plain, lengths = in_runtime(to_onnx(network)), in_runtime(to_onnx(network, lengths=True))
    looked_up = in_runtime(to_onnx(network, looked_up=True))
    for steps, batch in itertools.product((1, 7), (1, 3)):
        compare(network, plain, steps, batch)
        compare(network, looked_up, steps, batch, looked_up=True)
    compare(network, lengths, 7, 3, lengths=np.array([7, 2, 5]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "cells", ["lstm", "gru after", "gru before", "elman tanh", "peephole", "mixed"]
)  # its RNN has Tanh alone
def test_the_reference_evaluator_computes_the_same(cells: str, head: str, dtype: str) -> None:
    # of elman it has tanh alone
    network = network_of(cells, head, dtype)
    plain, looked_up = in_reference(to_onnx(network)), in_reference(to_onnx(network, looked_up=True))
    for steps, batch in itertools.product((1, 7), (1, 3)):
        compare(network, plain, steps, batch, places=1e-6 if dtype == "float32" else 1e-12)
        compare(network, looked_up, steps, batch, looked_up=True, places=1e-6 if dtype == "float32" else 1e-12)


TWO = {
    "lstm": ["bidirectional(lstm:hidden=4)"],
    "stacked": ["bidirectional(gru:hidden=4,reset=before)"] * 2,
    "below": ["bidirectional(peephole-lstm:hidden=4)", "gru:hidden=3"],
    "above": ["elman:hidden=3", "bidirectional(elman:hidden=2,activation=relu)"],
}


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("head", ["softmax", "last", "none"])
@pytest.mark.parametrize("cells", TWO)
def test_two_directions_are_computed_alike_and_come_back(cells: str, head: str, looked_up: bool) -> None:
    network, rng, lengths = network_of(TWO[cells], head), np.random.default_rng(2), np.array([7, 2, 5])
    model = to_onnx(network, looked_up=looked_up, lengths=True)
    x = rng.integers(0, INPUTS, (7, 3)) if looked_up else rng.normal(size=(7, 3, INPUTS)).astype("f4")
    wanted = rf.Inference(network).predict(x, lengths=lengths)[0]
    found = in_runtime(model)({"x": x, "lengths": lengths.astype("i4")})["predictions"]
    real = np.arange(7)[:, None] < lengths
    differences = found - wanted[lengths - 1, np.arange(3)] if head == "last" else (found - wanted)[real]
    assert np.abs(differences).max() <= 1e-6
    again, left_out = from_onnx(model)
    assert (again.specs(), left_out) == (network.specs(), ())
    assert np.array_equal(again.parameters.flat, network.parameters.flat)


LEARNT = {
    "elman": ["elman:hidden=5,start=learnt"],
    "lstm": ["lstm:hidden=5,start=learnt"],
    "peephole": ["peephole-lstm:hidden=5,start=learnt"],
    "below": ["gru:hidden=4,reset=before,start=learnt", "lstm:hidden=5"],
    "above": ["lstm:hidden=5", "gru:hidden=4,start=learnt"],
}


@pytest.mark.parametrize("head", ["softmax", "last", "none"])
@pytest.mark.parametrize("cells", LEARNT)
def test_learnt_starts_are_the_defaults_of_states_which_can_still_be_given(cells: str, head: str) -> None:
    network = network_of(LEARNT[cells], head)
    plain, lengths = (to_onnx(network, lengths=lengths) for lengths in (False, True))
    run, places = in_runtime(plain), 1e-6
    for steps, batch in itertools.product((1, 7), (1, 3)):
        compare(network, run, steps, batch)
        compare(network, in_reference(plain), steps, batch)
        x = np.random.default_rng(steps).normal(size=(steps, batch, INPUTS)).astype("f4")
        wanted, state = rf.Inference(network).predict(x)
        others = {name: value for name, value in network.new_state(batch).items() if is_zero(network, name)}
        found = run({"x": x, **others})
        last = wanted[-1] if head == "last" else wanted
        assert np.abs(found["predictions"] - last).max() <= places
        assert all(np.abs(found[f"next.{name}"] - value).max() <= places for name, value in state.items())
        zeros = {name: np.zeros_like(value) for name, value in state.items()}
        assert np.abs(run({"x": x, **zeros})["predictions"] - last).max() > places  # it matters what they begin with
    compare(network, in_runtime(lengths), 7, 3, lengths=np.array([7, 2, 5]))


def is_zero(network: rf.Network, state: str) -> bool:
    return f"{state}.start" not in network.parameters


def test_learnt_starts_of_two_directions_are_those_of_onnxruntime() -> None:
    cells = ["bidirectional(lstm:hidden=4,start=learnt)", "bidirectional(gru:hidden=4,start=learnt)"]
    network, lengths = network_of([*cells, "elman:hidden=3,start=learnt"]), np.array([7, 2, 5])
    model = to_onnx(network, lengths=True)
    x = np.random.default_rng(2).normal(size=(7, 3, INPUTS)).astype("f4")
    found = in_runtime(model)({"x": x, "lengths": lengths.astype("i4")})["predictions"]
    wanted = rf.Inference(network).predict(x, lengths=lengths)[0]
    assert np.abs(found - wanted)[np.arange(7)[:, None] < lengths].max() <= 1e-6
    again, left_out = from_onnx(model)
    assert (again.specs(), left_out) == (network.specs(), ())
    assert np.array_equal(again.parameters.flat, network.parameters.flat)


@pytest.mark.parametrize("cells", LEARNT)
def test_learnt_starts_come_back_those_of_zeros_too(cells: str) -> None:
    for network in (network_of(LEARNT[cells]), rf.Network(LEARNT[cells], HEADS["softmax"], INPUTS)):
        again, left_out = from_onnx(to_onnx(network))
        assert (again.specs(), left_out) == (network.specs(), ())
        assert again.parameters.flat.tobytes() == network.parameters.flat.tobytes()


def test_a_start_that_differs_between_samples_or_is_changed_on_its_way_is_refused_by_name() -> None:
    def with_start(shape):
        model = to_onnx(network_of("lstm"))
        (node,) = (each for each in model.graph.node if each.output[0] == "first.layer0.h")
        place = list(model.graph.node).index(node)
        arrays = {"start": np.ones(shape, "f4"), "sizes": np.array([1, 3, 5])}
        model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in arrays.items())
        model.graph.node.remove(node)
        model.graph.node.insert(place, helper.make_node("Expand", ["start", "sizes"], ["first.layer0.h"]))
        return model

    again, _ = from_onnx(with_start((1, 1, 5)))  # c begins with zeros
    assert again.cells[0] == rf.cell("lstm:hidden=5,start=learnt")
    assert (again.parameters["layer0.h.start"] == 1).all()
    assert (again.parameters["layer0.c.start"] == 0).all()
    with pytest.raises(OptionError, match=r"makes a state of the shape \[1, 3, 5\]; expected one row for all samples"):
        from_onnx(with_start((1, 3, 5)))
    with pytest.raises(OptionError, match=r"begins with states of the shape \[1, 1, 1\]; expected \[1, 1, 5\]"):
        from_onnx(with_start((1, 1, 1)))
    model = with_start((1, 1, 5))
    (node,) = (each for each in model.graph.node if each.op_type == "Expand")
    node.output[0] = "before"
    place = list(model.graph.node).index(node)
    model.graph.node.insert(place + 1, helper.make_node("Cast", ["before"], ["first.layer0.h"], to=1))
    with pytest.raises(OptionError, match="makes something else of a state that is not zero"):
        from_onnx(model)


EMBEDDED = {
    "tied": (["embedding:size=5,tie=yes", "lstm:hidden=4", "gru:hidden=5"], f"softmax:classes={INPUTS}"),
    "tied, last": (["embedding:size=5,tie=yes", "gru:hidden=5"], f"softmax:classes={INPUTS},at=last"),
    "own readout": (["embedding:size=6,std=0.5", "gru:hidden=5"], f"mse:outputs={OUTPUTS}"),
    "no head": (["embedding:size=2", "elman:hidden=5"], None),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("cells", "head"), EMBEDDED.values(), ids=EMBEDDED)
def test_an_embedding_and_a_readout_tied_to_it_are_computed_alike_and_come_back(cells, head, dtype) -> None:
    network = network_of(cells, head, dtype)
    plain, lengths = (to_onnx(network, looked_up=True, lengths=lengths) for lengths in (False, True))
    run, places = (in_runtime, 1e-6) if dtype == "float32" else (in_reference, 1e-12)
    for steps, batch in itertools.product((1, 7), (1, 3)):
        compare(network, run(plain), steps, batch, looked_up=True, places=places)
    if dtype == "float32":
        compare(network, run(lengths), 7, 3, looked_up=True, lengths=np.array([7, 2, 5]))
    assert [array.name for array in plain.graph.initializer].count("layer0.U") == 1
    assert not network.head or ("head.V" in {a.name for a in plain.graph.initializer}) == (
        "head.V" in network.parameters
    )
    again, left_out = from_onnx(plain)
    assert (again.specs(), left_out) == (network.specs(), ())
    assert again.parameters.flat.tobytes() == network.parameters.flat.tobytes()


def test_a_tied_embedding_below_two_directions_comes_back() -> None:
    network = network_of(["embedding:size=8,tie=yes", "bidirectional(gru:hidden=4)"], f"softmax:classes={INPUTS}")
    model = to_onnx(network, looked_up=True)
    x = np.random.default_rng(0).integers(0, INPUTS, (7, 3))
    assert np.abs(in_runtime(model)({"x": x})["predictions"] - rf.Inference(network).predict(x)[0]).max() <= 1e-6
    again, _ = from_onnx(model)
    assert again.specs() == network.specs()
    assert again.parameters.flat.tobytes() == network.parameters.flat.tobytes()


def test_rows_that_the_head_no_longer_has_are_read_as_a_network_without_an_embedding() -> None:
    network = network_of(*EMBEDDED["tied"])
    model = to_onnx(network, looked_up=True)
    (node,) = (each for each in model.graph.node if each.op_type == "Transpose")
    model.graph.node.remove(node)
    V = 2 * network.parameters["layer0.U"].T
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(V), "head.V"))
    again, _ = from_onnx(model)
    assert [cell.name for cell in again.cells] == ["lstm", "gru"]
    assert np.array_equal(again.parameters["head.V"], V)
    x, state = np.random.default_rng(0).integers(0, INPUTS, (7, 3)), network.new_state(3)
    found = in_runtime(model)({"x": x, **state})["predictions"]
    assert np.abs(found - rf.Inference(again).predict(x)[0]).max() <= 1e-6


def test_an_embedding_that_cannot_be_written_is_refused_in_one_line() -> None:
    with pytest.raises(OptionError, match="add --looked-up, or looked_up=True"):
        to_onnx(network_of(*EMBEDDED["tied"]))
    with pytest.raises(OptionError, match="an embedding alone cannot be written as ONNX"):
        to_onnx(network_of(["embedding:size=5"], "none"), looked_up=True)
    with pytest.raises(OptionError, match="layer1 is a 'embedding', for which ONNX has no operator"):
        to_onnx(network_of(["lstm:hidden=3", "embedding:size=5"], "none"))


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("cells", CELLS)
def test_the_same_bits_come_back(cells: str, head: str, dtype: str, looked_up: bool) -> None:
    network = network_of(cells, head, dtype)
    again, left_out = from_onnx(to_onnx(network, looked_up=looked_up))
    assert (again.specs()["head"], again.inputs, again.dtype) == (network.specs()["head"], INPUTS, network.dtype)
    assert [str(cell) for cell in again.cells] == [str(cell) for cell in network.cells]
    assert again.parameters.flat.tobytes() == network.parameters.flat.tobytes()
    assert left_out == ()


@pytest.mark.parametrize("cells", ["lstm", "gru after"])
def test_swapped_gates_are_noticed(cells: str) -> None:
    network = network_of(cells)
    model = to_onnx(network)
    for array in model.graph.initializer:
        if array.name in ("layer0.W", "layer0.R", "layer0.B"):
            axis, parts = (1, 4 if cells == "lstm" else 3)
            value = numpy_helper.to_array(array)
            first, second, *rest = np.split(value, parts * (2 if array.name == "layer0.B" else 1), axis)
            array.CopyFrom(numpy_helper.from_array(np.concatenate([second, first, *rest], axis), array.name))
    with pytest.raises(AssertionError):
        compare(network, in_runtime(model), 7, 3)


def node_tests():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnx makes the cases of all operators, some of which overflow as intended
        return [case for case in collect_testcases("") if case.model.graph.node[0].op_type in ("RNN", "LSTM", "GRU")]


def test_the_node_tests_of_onnx_pass_or_are_refused_by_name() -> None:
    passed, refused = [], {}
    for case in node_tests():
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        node, (given, wanted) = model.graph.node[0], case.data_sets[0]
        values = dict(zip([each.name for each in model.graph.input], given, strict=True))
        constant = [name for name in node.input[1:4] if name] + [name for name in node.input[7:8] if name]
        model.graph.initializer.extend(numpy_helper.from_array(values[name], name) for name in constant)
        try:
            network, _ = from_onnx(model)
        except OptionError as error:
            refused[case.name] = str(error)
            continue
        batch_first = any(each.name == "layout" and each.i for each in node.attribute)
        x = values[node.input[0]]
        x = x.swapaxes(0, 1) if batch_first else x
        lengths = values[node.input[4]] if len(node.input) > 4 and node.input[4] else None
        state = network.new_state(x.shape[1])
        state.flat[:] = 0
        for name, source in zip(("layer0.h", "layer0.c"), node.input[5:7], strict=False):
            if source:
                state[name][...] = values[source].squeeze(1 if batch_first else 0)
        two = network.both_ways  # and no case gives such an operator a state, or the batch first
        h, final = rf.Inference(network).predict(x, None if two else state, lengths)
        if two:
            every = np.stack(np.split(h, 2, axis=2), axis=1)
            last = np.stack([final[f"layer0.{way}.h"] for way in ("forward", "reverse")])
        else:
            every, last = h[:, None], final["layer0.h"][None]
        if batch_first:
            every, last = h.swapaxes(0, 1)[:, :, None], final["layer0.h"][:, None]
        ours = [array for array, name in zip((every, last), node.output, strict=False) if name]
        assert ours, case.name
        for found, array in zip(ours, wanted, strict=False):
            np.testing.assert_allclose(found, array, rtol=1e-5, atol=1e-6, err_msg=case.name)
        passed.append(case.name)
    assert len(passed) >= 12, passed
    assert "test_lstm_with_peepholes" in passed
    assert any("bidirectional" in name for name in passed), passed
    assert all("direction=reverse" in why for why in refused.values()), refused


def changed(network, **attributes):
    """Return a model with some attributes of its first operator set."""
    model = to_onnx(network)
    node = next(each for each in model.graph.node if each.op_type in ("RNN", "LSTM", "GRU"))
    for name, value in attributes.items():
        node.attribute.append(helper.make_attribute(name, value))
    return model


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"direction": "reverse"}, "LSTM 'layer0' has direction=reverse, which no cell here has"),
        ({"clip": 1.0}, "has clip=1.0, which"),
        ({"input_forget": 1}, "has input_forget=1, which"),
        ({"activations": ["Sigmoid", "Tanh", "Relu"]}, r"has activations=\['Sigmoid', 'Tanh', 'Relu'\], which"),
        ({"layout": 1}, "has layout=1"),
    ],
)
def test_attributes_that_no_cell_has_are_refused_by_name(attributes, why: str) -> None:
    cells = ["lstm:hidden=5"] if "layout" not in attributes else ["lstm:hidden=5"] * 2
    model = changed(network_of(cells), **attributes)
    if "layout" in attributes:  # the first layer alone: its outputs are not what the second reads
        with pytest.raises(OptionError):
            from_onnx(model)
        return
    with pytest.raises(OptionError, match=why):
        from_onnx(model)


def test_an_operator_on_the_path_that_is_unknown_is_refused_by_name() -> None:
    model = to_onnx(network_of("lstm"))
    squeeze = next(node for node in model.graph.node if node.output[0] == "layer0.y")
    squeeze.output[0] = "before"
    place = list(model.graph.node).index(squeeze) + 1
    model.graph.node.insert(place, helper.make_node("Exp", ["before"], ["layer0.y"], name="strange"))
    with pytest.raises(OptionError, match="Exp 'strange' is not part of a network here"):
        from_onnx(model)


def test_what_has_no_operator_is_refused_by_name() -> None:
    from rnnframe_heads import MeanSquaredError

    class OtherLoss(MeanSquaredError):  # noqa: N818
        name = "odd"

    with pytest.raises(OptionError, match="predictions of loss 'odd' cannot be written as ONNX; those of softmax, "):
        to_onnx(network_of("lstm", OtherLoss(outputs=2)))


def typed(*words: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([sys.executable, "-m", "rnnframe", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_a_forecast_takes_and_gives_raw_values(tmp_path: Path) -> None:
    steps = np.arange(120)
    series = np.stack([3e5 + steps * 7.0, 40 * np.sin(steps / 9)], axis=1)
    rows = "\n".join(f"{a:.3f},{b:.3f}" for a, b in series)
    (tmp_path / "series.csv").write_text(f"a,b\n{rows}\n")
    options = rf.TrainingOptions(
        task="forecast:column=a,also=b,horizon=3", data=str(tmp_path / "series.csv"), cell="gru:hidden=6", epochs=1
    )
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    typed("export", tmp_path / "run", tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    about = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert about["rnnframe.learnt"]["columns"] == ["a", "b"]
    wanted = rf.load_model(tmp_path / "run").predict(tmp_path / "series.csv")
    read = np.round(series, 3)[:, None]
    for run in (in_runtime(model), in_reference(model)):
        found = run({"x": read, "layer0.h": np.zeros((1, 6), "f4")})["predictions"]
        spread = about["rnnframe.learnt"]["spread"][0]
        for k in range(3):
            assert np.abs(found[:, 0, k] - wanted[f"a+{k + 1}"]).max() <= 1e-6 * spread
    said = typed("import", tmp_path / "model.onnx", tmp_path / "back.safetensors")
    assert "without Sub before the first layer" in said.stderr
    again, first = (rf.load_model(tmp_path / name).network for name in ("back.safetensors", "run"))
    assert again.parameters.flat.tobytes() == first.parameters.flat.tobytes()


def test_a_forecast_of_differences_takes_the_rows_before_and_gives_raw_values(tmp_path: Path) -> None:
    lag, horizon, steps = 4, 6, np.arange(120)
    series = np.round(np.stack([3e5 + steps * 7.0 + 90 * np.sin(steps / 3), 40 * np.sin(steps / 9)], axis=1), 3)
    rows = "\n".join(f"{a:.3f},{b:.3f}" for a, b in series)
    (tmp_path / "series.csv").write_text(f"a,b\n{rows}\n")
    task = f"forecast:column=a,also=b,horizon={horizon},difference={lag}"
    options = rf.TrainingOptions(task=task, data=str(tmp_path / "series.csv"), cell="gru:hidden=6", epochs=1)
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    typed("export", tmp_path / "run", tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    about = {each.key: json.loads(each.value) for each in model.metadata_props}
    wanted = rf.load_model(tmp_path / "run").predict(tmp_path / "series.csv")
    wanted = np.stack([wanted[f"a+{k + 1}"] for k in range(horizon)], axis=1)
    close = 1e-6 * about["rnnframe.learnt"]["spread"][0] + 1e-6  # a sum of values of 3e5, and a few float32 changes
    for run in (in_runtime(model), in_reference(model)):
        given, found = {"before": series[:lag, None], "layer0.h": np.zeros((1, 6), "f4")}, []
        for piece in np.split(series[lag:, None], [1, 3, 50]):  # fewer rows than the lag, too
            made = run(given | {"x": piece})
            given = {"before": made["next.before"], "layer0.h": made["next.layer0.h"]}
            found.append(made["predictions"][:, 0])
        assert np.abs(np.concatenate(found) - wanted[-(len(series) - lag) :]).max() <= close


def test_a_text_model_looks_characters_up_and_carries_its_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    options = rf.TrainingOptions(
        task="characters", data=str(tmp_path / "text.txt"), cell="lstm:hidden=6", steps=16, batch=4, epochs=1
    )
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    typed("export", tmp_path / "run", tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    characters = next(json.loads(e.value) for e in model.metadata_props if e.key == "rnnframe.learnt")["characters"]
    assert characters == "".join(sorted(set("the quick brown fox jumps over the lazy dog. ")))
    x = np.array([[characters.index(c)] for c in "the fox"])
    network = rf.load_model(tmp_path / "run").network
    zero = {name: np.zeros((1, 6), "f4") for name in ("layer0.h", "layer0.c")}
    found = in_runtime(model)({"x": x, **zero})["predictions"]
    assert np.abs(found - rf.Inference(network).predict(x)[0]).max() <= 1e-6


def test_bad_files_and_a_missing_package_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    said = typed("import", tmp_path / "bad.onnx", tmp_path / "out", code=2).stderr
    assert said.startswith("rnnframe: error: cannot read ")
    assert said.count("\n") == 1
    monkeypatch.setattr("rnnframe_onnx.commands.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'not installed; run: pip install "rnnframe\[onnx\]"'):
        to_onnx(network_of("lstm"))


def test_neither_onnx_is_imported_by_the_package_or_its_help() -> None:
    program = (
        "import sys, rnnframe as rf\nrf.default_registry()\n"
        "from rnnframe.__main__ import main\n"
        "sys.argv = ['rnnframe', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'onnx', 'onnxruntime', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert "export" in done.stdout
