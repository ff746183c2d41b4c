"""Batches with lengths and resets, and the same samples run one by one."""

import itertools

import attrs
import numpy as np
from hypothesis import strategies as st

import rnnframe as rf

INPUTS = 3
CELLS = [
    "elman:hidden=4",
    "elman:hidden=5,activation=identity",
    "lstm:hidden=3",
    "gru:hidden=4",
    "gru:hidden=3,reset=before",
]
HEADS = ["softmax:classes=5", "softmax:classes=3,at=last", "mse:outputs=2", "bernoulli:outputs=2,at=last"]


@attrs.frozen(kw_only=True)
class Batch:
    """What `Engine.gradients` takes; behind the ends there is nothing that may be looked at."""

    x: np.ndarray
    y: np.ndarray
    state: rf.Vector
    lengths: np.ndarray | None
    resets: np.ndarray | None
    last_only: bool

    @property
    def all(self):
        return self.x, self.y, self.state, self.lengths, self.resets

    def length(self, sample):
        return len(self.x) if self.lengths is None else self.lengths[sample]

    def alone(self, sample):
        """Return one sample without its padding, as `Engine.gradients` takes it; it has its resets."""
        here, length = slice(sample, sample + 1), self.length(sample)
        y = self.y[here] if self.last_only else self.y[:length, here]
        resets = None if self.resets is None else self.resets[:length, here]
        return self.x[:length, here], y, {name: value[here] for name, value in self.state.items()}, None, resets


@attrs.frozen(kw_only=True)
class Case:
    """A network, and how its batch, time and data are cut."""

    cells: tuple[str, ...]
    head: str
    lengths: tuple[int, ...]
    cut: str
    often: float
    chunk: int
    shards: int
    lookup: bool
    seed: int
    dtype: str = "float64"

    def network(self):
        network = rf.Network(self.cells, self.head, INPUTS, dtype=self.dtype)
        rng = np.random.default_rng(self.seed)
        network.parameters.flat[:] = rng.normal(scale=0.5, size=network.parameters.flat.shape)
        return network

    def batch(self, network):
        rng, head = np.random.default_rng(self.seed + 1), network.head
        steps, samples = max(self.lengths), len(self.lengths)
        lead = (steps, samples)
        x = rng.integers(0, INPUTS, lead) if self.lookup else rng.normal(size=(*lead, INPUTS)).astype(self.dtype)
        y = (
            rng.integers(0, head.width, lead)
            if head.loss.target_width is None
            else rng.uniform(size=(*lead, head.width))
        )
        if head.loss.at == "last":
            y = y[-1]
        state = network.new_state(samples)
        state.flat[:] = rng.normal(size=state.flat.shape)
        lengths = np.array(self.lengths) if "lengths" in self.cut else None
        if lengths is not None:
            behind = np.arange(steps)[:, None] >= lengths
            x[behind] = -7 if self.lookup else np.nan
            if head.loss.at == "every":
                y[behind] = -7 if head.loss.target_width is None else np.nan
        resets = rng.random(lead) < self.often if "resets" in self.cut else None
        return Batch(x=x, y=y, state=state, lengths=lengths, resets=resets, last_only=head.loss.at == "last")

    def engine(self, network, store="full-history"):
        return rf.Engine(network, store, chunk=self.chunk, shards=self.shards)


def cases(heads=HEADS, cells=CELLS, dtypes=("float64",)):
    return st.builds(
        Case,
        cells=st.lists(st.sampled_from(cells), min_size=1, max_size=2).map(tuple),
        head=st.sampled_from(heads),
        lengths=st.lists(st.integers(1, 25), min_size=1, max_size=6).map(tuple),
        cut=st.sampled_from(["lengths", "resets", "lengths and resets"]),
        often=st.sampled_from([0.05, 0.3, 1.0]),
        chunk=st.integers(1, 30),
        shards=st.integers(1, 3),
        lookup=st.booleans(),
        seed=st.integers(0, 2**20),
        dtype=st.sampled_from(dtypes),
    )


@attrs.frozen(kw_only=True)
class Alone:
    """What the samples of a batch give one by one: sums of losses and gradients, and the states of each."""

    count: int
    loss: float
    gradient: np.ndarray
    state: dict
    state_gradient: dict


def one_by_one(network, batch):
    """Run each stretch of each sample between two resets by itself, in one block of full history."""
    parts = [_stretches(network, batch, sample) for sample in range(batch.x.shape[1])]
    return Alone(
        count=sum(part.count for part in parts),
        loss=sum(part.loss for part in parts),
        gradient=np.sum([part.gradient for part in parts], axis=0),
        state={name: np.concatenate([part.state[name] for part in parts]) for name in batch.state},
        state_gradient={name: np.concatenate([part.state_gradient[name] for part in parts]) for name in batch.state},
    )


def _stretches(network, batch, sample):
    x, y, state, _, resets = batch.alone(sample)
    begins = [] if resets is None else np.flatnonzero(resets[:, 0]).tolist()
    zeros = {name: np.zeros_like(value) for name, value in state.items()}
    engine = rf.Engine(network, chunk=len(x))
    count, loss, gradient, state_gradient = 0, 0.0, np.zeros_like(network.parameters.flat), zeros
    for start, stop in itertools.pairwise(sorted({0, *begins, len(x)})):
        last_only = network.head.loss.at == "last"
        if start in begins:
            state = zeros
        if last_only and stop < len(x):
            continue  # no loss, and nothing that comes after depends on it
        result = engine.gradients(x[start:stop], y if last_only else y[start:stop], state)
        count, loss = count + result.count, loss + result.loss * result.count
        gradient = gradient + result.gradients.flat * result.count
        state = result.state
        if start == 0 and 0 not in begins:
            state_gradient = {name: value * result.count for name, value in result.state_gradient.items()}
    return Alone(count=count, loss=loss, gradient=gradient, state=dict(state), state_gradient=state_gradient)


PLAIN = Case(
    cells=("lstm:hidden=4", "gru:hidden=3"),
    head="softmax:classes=5",
    lengths=(9, 3, 17, 1, 17, 6),
    cut="lengths and resets",
    often=0.1,
    chunk=4,
    shards=1,
    lookup=False,
    seed=2,
)


def near(one, other):
    """Assert equality to the rounding of double precision."""
    assert np.abs(one - other).max(initial=0) <= 1e-10 * max(1, np.abs(other).max(initial=0))
