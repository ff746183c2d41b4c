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
    ("text", "layers"),
    [
        ("2*(gru lstm)", "gru lstm gru lstm"),
        (
            "2*(lstm:hidden=320,weight_drop=0.3 dropout:rate=0.3)",
            "lstm:hidden=320,weight_drop=0.3 dropout:rate=0.3 " * 2,
        ),
        ("elman 2*( gru\n3*(lstm) )", "elman gru lstm lstm lstm gru lstm lstm lstm"),
        ("02*(1*(gru))", "gru gru"),
        ("500*(gru lstm)", "gru lstm " * 500),
        ("2*(2*highway(gru))", "highway(gru) " * 4),
    ],
)
def test_a_number_before_brackets_repeats_the_layers_in_them(text, layers):
    assert split_stack(text) == tuple(layers.split())


def test_layers_in_the_brackets_of_a_block_are_repeated_in_groups_too():
    one, other = (
        rf.cell("residual(2*(dropout 2*gru:hidden=4))"),
        rf.cell(f"residual({'dropout gru:hidden=4 gru:hidden=4 ' * 2})"),
    )
    assert one == other
    assert rf.cell(render(one)) == one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3*()", "'3*()' repeats nothing; write what, as in 2*gru or 2*(gru dropout)"),
        ("3*( )", "'3*( )' repeats nothing"),
        ("gru 3*", "'3*' repeats nothing"),
        ("0*(gru)", "'0*(gru)' repeats so often; write a number from 1 to 1000 before *"),
        ("lstm 00*gru", "'00*gru' repeats so often"),
        (f"{'9' * 5000}*(gru)", "repeats so often; write a number from 1 to 1000"),
        ("2*3*lstm", "'2*3*lstm' has two numbers; write their product, or 2*(3*gru dropout)"),
        ("2*3*(lstm)", "has two numbers"),
        ("(gru lstm)", "'(gru lstm)' has no name and no number; write 2*(layer layer), or leave the brackets out"),
        ("2*(gru):hidden=4", "':hidden=4' stands behind a group; write the options of a layer behind its name"),
        ("2*(gru)(lstm)", "'(lstm)' stands behind a group"),
        ("2*(gru", "the brackets do not match"),
        ("501*(gru lstm)", "these are 1002 layers; write 1 to 1000 specs"),
        ("100*(100*(gru))", "these are 10000 layers; write 1 to 1000 specs"),
        ("600*gru 600*gru", "these are more than 1000 layers; write 1 to 1000 specs"),
        ("1*(" * 30 + "gru" + ")" * 30, "brackets stand more than 20 deep"),
    ],
)
def test_a_group_that_is_none_is_refused_in_one_line(text, message):
    with pytest.raises(OptionError) as raised:
        split_stack(text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gru(", "the brackets do not match; write name"),
        ("gru) lstm (", "the brackets do not match; write name"),
        ("  ", "these are 0 layers; write 1 to 1000 specs"),
        ("1001*gru", "these are 1001 layers; write 1 to 1000 specs"),
        ("9999*gru", "these are 9999 layers; write 1 to 1000 specs"),
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
        layers="embedding:size=6 2*(residual(dropout:rate=0.2 mingru:hidden=6) dropout:rate=0.1) lstm:hidden=5",
        batch=4,
        steps=16,
        epochs=1,
    )
    with rf.Training(options, run=tmp_path / "run") as first:
        first.fit(lambda: first.number == 3)
    with rf.Training.resume(tmp_path / "run") as resumed, rf.Training(options) as whole:
        assert resumed.fit()
        assert whole.fit()
    assert [cell.name for cell in rf.load_model(tmp_path / "run").network.cells[1:5]] == ["residual", "dropout"] * 2
    found, wanted = resumed.model.network.parameters, whole.model.network.parameters
    assert found.flat.tobytes() == wanted.flat.tobytes()
