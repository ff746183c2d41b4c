"""The conformance suite of media, and how much is saved."""

import numpy as np

import rnnframe as rf
from rnnframe import testing
from rnnframe.plugin import SnapshotLayout


class TestZlib(testing.MediumTests):
    medium = "zlib"


def new_state():
    return rf.Vector.zeros({"h": (32, 128)}, np.dtype("float32"))


def opened_with(numbers):
    state = new_state()
    state["h"][:] = numbers
    opened = rf.medium("zlib:level=9").open(SnapshotLayout(slots=1, state_bytes=state.nbytes, new_state=new_state))
    opened.save(0, state)
    return opened, state


def test_numbers_of_like_size_take_fewer_bytes():
    opened, state = opened_with(np.tanh(np.random.default_rng(0).normal(size=(32, 128))))
    assert opened.nbytes < 0.95 * state.nbytes


def test_what_cannot_be_compressed_is_kept_as_it_is():
    noise = np.random.default_rng(0).bytes(32 * 128 * 4)
    opened, state = opened_with(np.frombuffer(noise, "float32").reshape(32, 128))
    assert opened.nbytes == state.nbytes
    again = new_state()
    opened.load(0, again)
    assert again.flat.tobytes() == noise
