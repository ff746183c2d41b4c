import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.characters import Vocabulary
from rnnframe.errors import RunError
from rnnframe.runs import Checkpoint, RunFolder, load_model, read_tensors, to_toml

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.text(st.characters(codec="utf-8"))),
)


@given(st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), VALUES))
def test_options_come_back_from_toml_as_they_were(values: dict) -> None:
    assert tomllib.loads(to_toml(values)) == values


@pytest.fixture
def network() -> rf.Network:
    return rf.Network(cells=["gru:hidden=4"], head="softmax:classes=3", inputs=3, seed=1)


def test_arrays_come_back_bit_for_bit_whatever_their_memory_order(tmp_path: Path, network: rf.Network) -> None:
    given = np.asfortranarray(np.random.default_rng(0).standard_normal((5, 7)))
    run = RunFolder.create(tmp_path / "run", {}, force=False)
    run.save(Checkpoint({"slots": {"velocity": given, "turned": given.T}}, {"epoch": 3}), network, Vocabulary("abc"))
    back = run.load()
    assert np.array_equal(back.groups["slots"]["velocity"], given)
    assert np.array_equal(back.groups["slots"]["turned"], given.T)
    assert back.progress == {"epoch": 3}


def test_weights_alone_make_the_network_again(tmp_path: Path, network: rf.Network) -> None:
    run = RunFolder.create(tmp_path / "run", {}, force=False)
    run.save(Checkpoint({}, {}), network, Vocabulary("abc"))
    twin, vocabulary = load_model(tmp_path / "run" / "weights.safetensors")
    assert twin.cells == network.cells
    assert twin.head == network.head
    assert np.array_equal(twin.parameters.flat, network.parameters.flat)
    assert vocabulary.characters == "abc"


def test_a_save_that_fails_keeps_the_checkpoint_that_was_there(
    tmp_path: Path, network: rf.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path / "run", {}, force=False)
    run.save(Checkpoint({"slots": {"a": np.ones(3)}}, {"epoch": 1}), network, Vocabulary("abc"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*checkpoint.safetensors': No space left on device"):
        run.save(Checkpoint({"slots": {"a": np.zeros(3)}}, {"epoch": 2}), network, Vocabulary("abc"))
    assert run.load().progress == {"epoch": 1}
    assert not list(run.path.glob("*.new"))


def test_equal_runs_write_equal_files(tmp_path: Path, network: rf.Network) -> None:
    for name in "ab":
        run = RunFolder.create(tmp_path / name, {}, force=False)
        run.save(Checkpoint({"slots": {"v": np.ones(3)}}, {"epoch": 1, "batch": 2}), network, Vocabulary("abc"))
    for file in ("weights.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_weights_of_another_shape_are_refused(tmp_path: Path, network: rf.Network) -> None:
    run = RunFolder.create(tmp_path / "run", {}, force=False)
    run.save(Checkpoint({}, {}), network, Vocabulary("abc"))
    tensors, about = read_tensors(run.path / "weights.safetensors")
    tensors["layer0.W"] = tensors["layer0.W"][:2]
    run._write_tensors("weights.safetensors", tensors, about)
    with pytest.raises(RunError, match=r"layer0.W is float32 \[2, 12\]; expected float32 \[4, 12\]"):
        load_model(run.path)
