"""The pieces that a chunk is cut into, what cells and schedules see of them, and what is refused."""

import attrs
import numpy as np
import pytest
from cut_cases import PLAIN, cases, near, one_by_one
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples

import rnnframe as rf
from rnnframe.data.columns import deal_by_length, split_batch
from rnnframe.data.pieces import cut
from rnnframe.errors import DataError
from rnnframe.schedules import Drop, Forward, Load, Reverse, Save


@given(
    st.integers(1, 40),
    st.lists(st.integers(-5, 50), min_size=1, max_size=6).map(sorted),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(0, 99),
)
def test_the_spans_of_a_chunk_are_its_running_samples_step_by_step(steps, ends, often, seed):
    resets = np.random.default_rng(seed).random((steps, len(ends))) < often
    spans = list(cut(steps, len(ends), np.array(ends), resets))
    # each step with a running sample is in one span, in order, with just these samples
    for span in spans:
        for t in range(span.start, span.stop):
            assert [end > t for end in ends] == [n >= span.first for n in range(len(ends))]
    assert [t for span in spans for t in range(span.start, span.stop)] == list(range(min(steps, max(ends))))
    # and at its first step alone a sample may start again
    begun = {
        (span.start, span.first + n) for span in spans if span.reset_samples is not None for n in span.reset_samples
    }
    assert begun == {(t, n) for t, n in np.argwhere(resets).tolist() if t < ends[n]}
    assert [span.ending for span in spans] == [ends.count(span.stop) for span in spans]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 6))
def test_the_shards_are_dealt_every_sample_once_and_about_as_many_steps(lengths, shards):
    lengths = np.array(lengths)
    sizes = [part.stop - part.start for part in split_batch(len(lengths), shards)]
    parts = deal_by_length(lengths, sizes)
    assert [len(part) for part in parts] == sizes
    assert sorted(np.concatenate(parts)) == list(range(len(lengths)))
    assert all((np.diff(lengths[part]) >= 0).all() for part in parts)
    if len(set(sizes)) == 1:
        dealt = [lengths[part].sum() for part in parts]
        assert max(dealt) - min(dealt) <= lengths.max()


def test_a_sample_that_has_ended_costs_nothing_and_no_cell_is_called_for_nobody():
    class Counting(type(rf.cell("elman:hidden=3"))):
        forward_sizes, backward_sizes = [], []

        def forward(self, block):
            self.forward_sizes.append(block.x.shape[:2])
            super().forward(block)

        def backward(self, block, *others):
            self.backward_sizes.append(block.x.shape[:2])
            super().backward(block, *others)

    network = rf.Network([Counting(hidden=3)], "mse:outputs=1", 2)
    lengths = np.array([5, 31, 12, 1, 12, 30])
    x, y = np.ones((40, 6, 2)), np.ones((40, 6, 1))
    engine = rf.Engine(network, chunk=7, kernels="numpy")
    engine.gradients(x, y, lengths=lengths)  # the first chunks of a layer from elsewhere are run twice, as a check
    Counting.forward_sizes.clear()
    Counting.backward_sizes.clear()
    engine.gradients(x, y, lengths=lengths)
    for sizes in (Counting.forward_sizes, Counting.backward_sizes):
        assert sum(steps * samples for steps, samples in sizes) == lengths.sum()
        assert min(min(size) for size in sizes) > 0
        assert sum(steps for steps, _ in sizes) == lengths.max()


def test_the_final_state_of_a_sample_that_has_ended_survives_a_schedule_that_goes_back():
    class Back(type(rf.store("full-history"))):
        """Comes back to the last chunk from the tape before it, with the states of another time at hand."""

        def schedule(self, grid, costs):
            last = grid.chunks - 1
            yield Save(0)
            yield Forward(0, last, keep=True)
            yield Forward(last, last + 1, keep=False)
            yield Load(0)
            yield Drop(0)
            yield Load(None)
            yield Forward(last, last + 1, keep=True)
            yield Reverse(last + 1, 0)

    network = PLAIN.network()
    batch = PLAIN.batch(network)
    expected = PLAIN.engine(network).gradients(*batch.all)
    result = PLAIN.engine(network, Back()).gradients(*batch.all)
    assert np.array_equal(result.state.flat, expected.state.flat)
    assert np.array_equal(result.gradients.flat, expected.gradients.flat)


@attrs.frozen(kw_only=True)
class Fading(type(rf.cell("elman:hidden=3"))):
    """h_t = x_t U + h_(t-1) W + b k_(t-1), k_t = k_(t-1) / 2: k is not in the tape, and the reverse reads it."""

    name = "fading"

    def state(self, inputs):
        return {"h": self.hidden, "k": self.hidden}

    def tape(self, inputs):
        return {"h": self.hidden}

    def retained_arrays(self, inputs, retention):
        return tuple(self.tape(inputs))

    def scratch(self, inputs):
        return {"dz": self.hidden}

    def derived(self, inputs):
        return {}

    def derive_reverse(self, weights):
        pass

    def forward(self, block):
        weights, x, tape = block.weights, block.x, block.tape
        k = tape["k"][0]
        for t in range(len(x)):
            tape["h"][t + 1] = x[t] @ weights["U"] + tape["h"][t] @ weights["W"] + weights["b"] * k
            k = k / 2
        tape["k"][1] = k

    def backward(self, block, dh, dstate, gradients, dx):
        weights, x, tape = block.weights, block.x, block.tape
        for t in reversed(range(len(x))):
            k = tape["k"][0] / 2**t
            dz = dh[t] + dstate["h"]
            gradients["U"] += x[t].T @ dz
            gradients["W"] += tape["h"][t].T @ dz
            gradients["b"] += (dz * k).sum(axis=0)
            dstate["h"][...] = dz @ weights["W"].T
            dstate["k"][...] = dstate["k"] / 2 + dz * weights["b"]
            if dx is not None:
                dx[t] = dz @ weights["U"].T


@given(cases(cells=[Fading(hidden=3), "gru:hidden=3"]))
@settings(max_examples=examples(40))
def test_a_state_of_which_no_step_is_kept_is_cut_as_well(case):
    case = attrs.evolve(case, lookup=False)
    network = case.network()
    batch = case.batch(network)
    alone = one_by_one(network, batch)
    for store in ("full-history", "checkpoint:policy=mixed,slots=3"):
        result = case.engine(network, store).gradients(*batch.all)
        near(result.gradients.flat, alone.gradient / alone.count)
        for name in batch.state:
            near(result.state[name], alone.state[name])
            near(result.state_gradient[name], alone.state_gradient[name] / alone.count)


X, Y = np.zeros((4, 3, 2)), np.zeros((4, 3, 1))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lengths", [1, 2], "lengths has shape [2] and holds int64; expected integers [3], one a sample"),
        ("lengths", [[1, 2, 3]], "lengths has shape [1, 3] and holds int64; expected integers [3], one a sample"),
        ("lengths", 3, "lengths has shape [] and holds int64; expected integers [3], one a sample"),
        ("lengths", [1.0, 2.0, 3.0], "lengths has shape [3] and holds float64; expected integers [3], one a sample"),
        ("lengths", [True] * 3, "lengths has shape [3] and holds bool; expected integers [3], one a sample"),
        ("lengths", [1, 0, 3], "lengths holds 0; x with 4 steps takes 1 to 4"),
        ("lengths", [1, -2, 3], "lengths holds -2; x with 4 steps takes 1 to 4"),
        ("lengths", [1, 5, 3], "lengths holds 5; x with 4 steps takes 1 to 4"),
        ("lengths", [[1], [1, 2]], "lengths is no rectangular array: "),
        ("lengths", None, None),
        ("resets", np.zeros((4, 3)), "resets has shape [4, 3] and holds float64; expected booleans [4, 3], as x has"),
        (
            "resets",
            np.zeros((3, 4), bool),
            "resets has shape [3, 4] and holds bool; expected booleans [4, 3], as x has",
        ),
        ("resets", [True], "resets has shape [1] and holds bool; expected booleans [4, 3], as x has"),
        ("resets", "yes", "resets has shape [] and holds <U3; expected booleans [4, 3], as x has"),
        ("resets", np.ma.zeros((4, 3), bool), "resets is a masked array, and masks are not heeded; "),
    ],
)
def test_lengths_and_resets_of_the_wrong_kind_are_refused_in_one_line(name, value, message):
    engine = rf.Engine(rf.Network(["gru:hidden=3"], "mse:outputs=1", 2))
    if message is None:
        assert engine.gradients(X, Y, **{name: value}).count == 12
        return
    for work in (engine.gradients, engine.evaluate, rf.Trainer(engine).step):
        with pytest.raises(DataError) as refusal:
            work(X, Y, **{name: value})
        assert str(refusal.value).startswith(message)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("name", "value"), [("lengths", [1, 2, 3]), ("resets", np.zeros((4, 3), bool))])
def test_lengths_and_resets_beside_a_stream_are_refused(name, value):
    engine = rf.Engine(rf.Network(["gru:hidden=3"], "mse:outputs=1", 2))
    with pytest.raises(DataError, match=f"{name} go with arrays; a stream yields them itself: "):
        engine.gradients(iter([(X, Y)]), None, **{name: value})


def test_what_is_wrong_before_the_end_of_a_sample_is_still_refused():
    x = X.copy()
    x[2, 1] = np.nan
    engine = rf.Engine(rf.Network(["gru:hidden=3"], "mse:outputs=1", 2))
    assert engine.gradients(x, Y, lengths=[4, 2, 4]).count == 10
    with pytest.raises(DataError, match="x holds NaN or infinite values, the first at step 2"):
        engine.gradients(x, Y, lengths=[4, 3, 4])
