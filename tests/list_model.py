"""A model whose arrays are Python lists: what the loop can run without numpy.

One unit a sample, h_t = tanh(u x_t + w h_(t-1)). The loss of a step is (v h_t - y_t)² / 2.
"""

import math

from rnnframe.contracts.model import ChunkBytes
from rnnframe.data.pieces import Block, Piece, Span


class Numbers(list):
    """A list of numbers that can do what the loop asks of a state or of gradients."""

    nbytes = 0

    def zero(self):
        self[:] = [0.0] * len(self)

    def add(self, other):
        self[:] = [a + b for a, b in zip(self, other, strict=True)]

    def scale(self, factor):
        self[:] = [a * factor for a in self]

    def copy_from(self, other):
        self[:] = other

    def copy(self):
        return Numbers(self)


class Parameters(Numbers):
    """u, w and v."""

    def copy(self):
        return Parameters(self)

    def complete(self, gradients):
        pass


class Tape:
    """x_t, h_(t-1) and h_t of each step of a chunk, and the state after it."""

    extra_bytes = 0

    def __init__(self):
        self.steps, self.after = [], []


class Tapes:
    """Makes tapes, which share nothing."""

    nbytes = 0

    def make(self, room=None):
        return Tape()

    def passing(self):
        return None


class Scratch:
    nbytes = 0


class Lists:
    """A source over lists x[t][b] and y[t][b]."""

    data_bytes = 0

    def __init__(self, x, y):
        self.x, self.y, self.steps, self.batch = x, y, len(x), len(x[0])

    def deal(self, shards):
        return [slice(self.batch * n // shards, self.batch * (n + 1) // shards) for n in range(shards)]

    def ends(self, columns):
        return []

    def block(self, start, stop, columns, staging):
        stop = min(stop, self.steps)
        x = [row[columns] for row in self.x[start:stop]]
        span = Span(start=0, stop=stop - start, first=0, ending=0, reset_samples=None)
        return Block(stop - start, [span], [Piece(x, start=start, samples=columns)])

    def again(self, start, block, columns, staging):
        return self.block(start, start + block.steps, columns, staging)

    def with_targets(self, start, block, columns, staging):
        (piece,) = block.pieces
        y = [row[columns] for row in self.y[start : start + block.steps]]
        wanted = Piece(piece.x, y, start=start, samples=columns, losses=True, count=len(y) * len(y[0]))
        return Block(block.steps, block.spans, [wanted])

    def release(self, start):
        pass


class ListModel:
    """u, w, v in a list; a state is a list with one number a sample."""

    kernels, recurrent_work, buffers_key, registry = ("lists",), 1, None, None

    def __init__(self, u, w, v):
        self.weights = Parameters([u, w, v])

    def on(self, kernels):
        return self

    def open(self, batch):
        return Lists(batch.x, batch.y)

    def usual_chunk(self, batch):
        return 3

    @property
    def both_ways(self):
        return False

    @property
    def least_rows(self):
        return None

    def chunk_bytes(self, steps, batch, retention):
        return ChunkBytes(state=8 * batch, tape=24 * steps * batch, shared=0, scratch=0)

    def new_gradients(self):
        return Numbers([0.0] * 3)

    def new_state(self, batch, room=None):
        return Numbers([0.0] * batch)

    def new_arena(self, nbytes):
        return None  # lists cannot share memory

    def new_tapes(self, steps, batch, retention):
        return Tapes()

    def new_scratch(self, steps, batch):
        return Scratch()

    def fill_state(self, state, given, batch, columns):
        state[:] = [0.0] * len(state) if given is None else given[columns]

    def join_states(self, parts, columns, factor=1.0):
        return Numbers(factor * value for part in parts for value in part)

    def derive(self, draw=None):
        pass

    def forward(self, weights, block, state, tape, scratch):
        u, w, _ = weights
        tape.steps = []
        for x in block.pieces[0].x:
            before = list(state)
            state[:] = [math.tanh(u * x_b + w * h) for x_b, h in zip(x, before, strict=True)]
            tape.steps.append((x, before, list(state)))
        tape.after = list(state)

    def resume(self, tape, state):
        state[:] = tape.after

    def reverse(self, weights, block, tape, dstate, gradients, scratch):
        _, w, v = weights
        (piece,), loss = block.pieces, 0.0
        for t in reversed(range(len(tape.steps))):
            x, before, after = tape.steps[t]
            for b in range(len(x)):
                dh = dstate[b]
                if piece.losses:
                    error = v * after[b] - piece.y[t][b]
                    loss += error * error / 2
                    gradients[2] += error * after[b]
                    dh += error * v
                dz = dh * (1 - after[b] * after[b])
                gradients[0] += dz * x[b]
                gradients[1] += dz * before[b]
                dstate[b] = dz * w
        return loss
