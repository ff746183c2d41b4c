"""All layers of a network on one line, and layers made of layers."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.registry.specs import render
from rnnframe.registry.stacks import USUAL, split_stack, stacked


def test_a_stack_is_split_at_spaces_outside_of_brackets_and_repeated():
    text = " dropout:rate=0.2  2*residual(layer-norm 3*gru:hidden=4):x=1\nlstm "
    block = "residual(layer-norm 3*gru:hidden=4):x=1"
    assert split_stack(text) == ("dropout:rate=0.2", block, block, "lstm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gru(", "the brackets do not match; write name"),
        ("gru) lstm (", "the brackets do not match; write name"),
        ("  ", "these are 0 layers; write 1 to 1000 specs"),
        ("1001*gru", "these are 1001 layers; write 1 to 1000 specs"),
    ],
)
def test_what_is_no_stack_is_refused_in_one_line(text, message):
    with pytest.raises(OptionError, match=message):
        split_stack(text)


def test_layers_are_a_number_of_cells_or_a_stack_and_not_both():
    assert stacked(["gru", "lstm"], 2) == ("gru", "lstm", "gru", "lstm")
    assert stacked(USUAL, "gru lstm") == ("gru", "lstm")
    with pytest.raises(OptionError, match="names every layer; leave out cell='gru'"):
        stacked(["gru"], "lstm")
    for wrong in (0, 1001):
        with pytest.raises(ValueError, match="'layers' must be from 1 to 1000"):
            rf.TrainingOptions(layers=wrong)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("residual", r"cell 'residual' needs 'layers'; write residual\(layer layer\)"),
        ("residual(gru", "a bracket is not closed"),
        ("gru(lstm)", "'layers' is unknown|unknown option|is made of no layers"),
        ("residual(nothing)", "unknown cell 'nothing'"),
        ("residual(gru:hidden=0)", "'hidden' must be >= 1"),
    ],
)
def test_a_wrong_block_is_refused_in_one_line(spec, message):
    with pytest.raises(rf.errors.UsageError, match=message):
        rf.cell(spec)


def test_a_block_that_changes_the_width_is_refused():
    with pytest.raises(OptionError, match="its layers make 3 values of 4; let them end as wide as they begin"):
        rf.Network(["residual(gru:hidden=3)"], "mse", 4)


def test_a_residual_block_adds_what_its_layers_make_to_what_comes_in():
    x = np.random.default_rng(0).normal(size=(7, 2, 4)).astype("f")
    whole, part = rf.Network(["residual(gru:hidden=4)"], None, 4), rf.Network(["gru:hidden=4"], None, 4)
    part.parameters.flat[:] = whole.parameters.flat
    assert list(whole.parameters) == [name.replace("layer0.", "layer0.0.") for name in part.parameters]
    made, state = rf.Inference(whole, kernels="numpy").predict(x)
    alone, state_alone = rf.Inference(part, kernels="numpy").predict(x)
    assert np.array_equal(made, x + alone)
    assert np.array_equal(state["layer0.0.h"], state_alone["layer0.h"])


def test_a_network_of_blocks_is_saved_and_loaded(tmp_path):
    network = rf.Network(
        split_stack("embedding:size=4 2*highway(layer-norm gru:hidden=4) dropout"), "softmax:classes=3", 9
    )
    network.save(tmp_path / "model.safetensors")
    again = rf.load_model(tmp_path / "model.safetensors").network
    assert list(map(render, again.cells)) == list(map(render, network.cells))
    assert again.parameters.flat.tobytes() == network.parameters.flat.tobytes()


def test_a_training_of_a_stack_goes_on_from_its_folder(tmp_path):
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 60)
    options = rf.TrainingOptions(
        data=str(tmp_path / "text.txt"),
        layers="embedding:size=6 2*residual(dropout:rate=0.2 mingru:hidden=6) lstm:hidden=5",
        batch=4,
        steps=16,
        epochs=1,
    )
    with rf.Training(options, run=tmp_path / "run") as first:
        first.fit(lambda: first.number == 3)
    with rf.Training.resume(tmp_path / "run") as resumed, rf.Training(options) as whole:
        assert resumed.fit()
        assert whole.fit()
    found, wanted = resumed.model.network.parameters, whole.model.network.parameters
    assert found.flat.tobytes() == wanted.flat.tobytes()
