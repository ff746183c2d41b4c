"""Block kernels of linear-attention: one product for all steps, then span by span for each head of a sample.

The formulas are those of `rnnframe_cells.attention`. 1 - σ(z) is 2t / (1 + t) with t = tanh(u / 2) and u = -log σ(z),
which is right where u is small.
"""

from typing import Any, NamedTuple

import numpy as np

from rnnframe.plugin import Array
from rnnframe_cells.attention import SLOWER, SPAN
from rnnframe_compiled.attention_spans import (
    Right,
    Rooms,
    Rows,
    add_earlier,
    add_later,
    begin_span,
    fade_and_add,
    right_of,
    rooms_of,
    take,
    whole_product,
    write_scores,
)
from rnnframe_compiled.functions import log_sigmoid, tanh
from rnnframe_compiled.groups import Inputs
from rnnframe_compiled.lanes import address_of, bytes_of
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.packing import transposed_at
from rnnframe_compiled.products import add_values
from rnnframe_compiled.rowwise import rowwise
from rnnframe_compiled.sums import Gradients, add_sums_gradients, write_sums


class Packed(NamedTuple):
    """U, packed by `pack_columns`, and b behind zeros for q, k and v [columns]."""

    PU: Array
    bias: Array


class Tape(NamedTuple):
    """q, k, v and log γ [L, B, columns]; S [2, B, heads·keys·values], around the block; y [L, B, heads·values].

    Only rows 0 and 1 of S are read and written.
    """

    made: Array
    S: Array
    y: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`, also for the rooms of a span; the gradients of q, k, v and z."""

    work: Array
    dmade: Array


class Block(NamedTuple):
    """The sizes of a block: steps, samples, heads, keys and values."""

    steps: int
    samples: int
    heads: int
    keys: int
    values: int


class Span(NamedTuple):
    """The rows of a span of one head of a sample: q, k and v (or their gradients), and those of y."""

    q: Rows
    k: Rows
    v: Rows
    y: Rows


@rowwise(sums=0)
def fading(z: Any) -> Any:
    """Return log γ."""
    return log_sigmoid(z) * (1 / SLOWER)


@rowwise(sums=0)
def reverse_fading(d: Any, log_decay: Any) -> Any:
    """Return the gradient of z from that of log γ."""
    t = tanh(log_decay * (-SLOWER / 2))
    return d * (t / (t + 1.0) * (2 / SLOWER))


@rowwise(sums=1, lines=4)
def dot(x: Any, y: Any) -> Any:
    """Return the sum of x ∘ y."""
    return x * y


@rowwise(sums=1)
def of_exponent(q: Any, dq: Any, k: Any, dk: Any) -> Any:
    """Return the sum of q ∘ dq - k ∘ dk."""
    return q.fma(dq, k * dk * -1.0)


@part
def block_of(heads: int, made: Array, y: Array, S: Array) -> Block:
    """Return the sizes of a block."""
    return Block(made.shape[0], made.shape[1], heads, S.shape[-1] // y.shape[2], y.shape[2] // heads)


@part
def span_of(unit: Any, block: Block, r: int, h: int, t: int, made: Array, y: Array) -> Span:
    """Return the rows of a head of a sample from step t on, in made (or its gradients) and y (or its)."""
    z = bytes_of(unit)
    heads, keys, values = block.heads, block.keys, block.values
    row, columns, width = t * block.samples + r, made.shape[2], y.shape[2]
    at, stride = address_of(made) + row * columns * z, block.samples * columns
    return Span(
        Rows(at + h * keys * z, stride, keys),
        Rows(at + (heads + h) * keys * z, stride, keys),
        Rows(at + (2 * heads * keys + h * values) * z, stride, values),
        Rows(address_of(y) + (row * width + h * values) * z, block.samples * width, values),
    )


@part
def log_decays(block: Block, r: int, h: int, t: int, n: int, made: Array) -> Array:
    """Return log γ of a head of a sample in n steps from t on."""
    return made[t : t + n, r, made.shape[2] - block.heads + h]


@kernel
def forward(unit: Any, heads: int, inputs: Inputs, packed: Packed, tape: Tape, work: Array) -> None:
    """Run the block: write q, k, v and log γ, y, and S after it."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    block = block_of(heads, tape.made, tape.y, tape.S)
    write_sums(unit, inputs, packed.PU, packed.bias, tape.made)
    columns, size = tape.made.shape[2], block.keys * block.values
    for row in range(block.steps * block.samples):
        gate = address_of(tape.made) + ((row + 1) * columns - heads) * z
        fading(unit, heads, (gate,), (), (gate,))
    rooms = rooms_of(unit, work, block.keys, block.values)
    for r in range(block.samples):
        for h in range(heads):
            before = address_of(tape.S) + (r * heads + h) * size * z
            after = before + block.samples * heads * size * z
            for t in range(0, block.steps, SPAN):
                forward_span(unit, block, r, h, t, tape, after if t else before, after, rooms)


@part
def forward_span(unit: Any, block: Block, r: int, h: int, t: int, tape: Tape, S: int, after: int, rooms: Rooms) -> None:
    """Write y of a span and, from S before it, S after it."""
    n, keys, values, scale = min(SPAN, block.steps - t), block.keys, block.values, block.keys**-0.5
    span = span_of(unit, block, r, h, t, tape.made, tape.y)
    begin_span(unit, log_decays(block, r, h, t, n, tape.made), n, scale, rooms)
    write_scores(unit, n, span.q, span.k, scale, rooms)
    take(unit, n, span.q, rooms.reached, rooms)
    right = right_of(unit, keys, Rows(S, values, values), rooms)
    whole_product(unit, (rooms.left, keys, np.intp(1)), n, right, rooms, span.y)
    right = right_of(unit, n, span.v, rooms)
    add_earlier(unit, n, right, rooms, span.y)
    fade_and_add(unit, span.k, rooms.remains, right, rooms, S, after)


@kernel
def backward(
    unit: Any, heads: int, inputs: Inputs, tape: Tape, dh: Array, dS: Array, scratch: Scratch, gradients: Gradients
) -> None:
    """Reverse the block: dh [L, B, heads·values] are the gradients of y.

    dS [B, heads·keys·values] is the gradient of S after the block, and becomes that of S before it.
    """
    tape, scratch, gradients = Tape(*tape), Scratch(*scratch), Gradients(*gradients)
    z, dmade = bytes_of(unit), scratch.dmade
    block = block_of(heads, tape.made, dh, dS)
    columns, size = dmade.shape[2], block.keys * block.values
    rooms = rooms_of(unit, scratch.work, block.keys, block.values)
    for r in range(block.samples):
        for h in range(heads):
            of_head = (r * heads + h) * size * z
            before, d = address_of(tape.S) + of_head, address_of(dS) + of_head
            after = before + block.samples * heads * size * z
            reaching = dot(unit, size, (after, d), (), ())[0]
            for t in range(0, block.steps, SPAN):
                reverse_queries(unit, block, r, h, t, tape, dh, dmade, rooms.S if t else before, rooms)
            for t in range((block.steps - 1) // SPAN * SPAN, -1, -SPAN):
                reverse_span(unit, block, r, h, t, tape, dh, dmade, d, rooms)
            reverse_decays(unit, block, r, h, tape, dmade, reaching)
    for row in range(block.steps * block.samples):
        gate = ((row + 1) * columns - heads) * z
        dz = address_of(dmade) + gate
        reverse_fading(unit, heads, (dz, address_of(tape.made) + gate), (), (dz,))
        add_values(unit, heads, dz, address_of(gradients.b))
    add_sums_gradients(unit, inputs, dmade, address_of(gradients.U), 0, scratch.work)


@part
def reverse_queries(
    unit: Any, block: Block, r: int, h: int, t: int, tape: Tape, dh: Array, dmade: Array, S: int, rooms: Rooms
) -> None:
    """Write what reaches q of a span through S before it, and S after it to its room, unless it is the last."""
    n, keys, values = min(SPAN, block.steps - t), block.keys, block.values
    span, d = span_of(unit, block, r, h, t, tape.made, dh), span_of(unit, block, r, h, t, dmade, dh)
    begin_span(unit, log_decays(block, r, h, t, n, tape.made), n, keys**-0.5, rooms)
    take(unit, n, span.y, rooms.reached, rooms)
    transposed_at(unit, S, keys, values, values, rooms.right)
    whole_product(unit, (rooms.left, values, np.intp(1)), n, Right(rooms.right, values, keys), rooms, d.q)
    if t + n < block.steps:
        fade_and_add(unit, span.k, rooms.remains, right_of(unit, n, span.v, rooms), rooms, S, rooms.S)


@part
def reverse_span(
    unit: Any, block: Block, r: int, h: int, t: int, tape: Tape, dh: Array, dmade: Array, dS: int, rooms: Rooms
) -> None:
    """Write the gradients of k and v of a span, add to those of q, and make dS that before the span."""
    n, keys, values, scale = min(SPAN, block.steps - t), block.keys, block.values, block.keys**-0.5
    span, d = span_of(unit, block, r, h, t, tape.made, dh), span_of(unit, block, r, h, t, dmade, dh)
    begin_span(unit, log_decays(block, r, h, t, n, tape.made), n, scale, rooms)
    take(unit, n, span.v, rooms.remains, rooms)
    transposed_at(unit, dS, keys, values, values, rooms.right)
    whole_product(unit, (rooms.left, values, np.intp(1)), n, Right(rooms.right, values, keys), rooms, d.k)
    take(unit, n, span.k, rooms.remains, rooms)
    right = right_of(unit, keys, Rows(dS, values, values), rooms)
    whole_product(unit, (rooms.left, keys, np.intp(1)), n, right, rooms, d.v)
    write_scores(unit, n, span.q, span.k, scale, rooms)
    right = right_of(unit, n, span.y, rooms)
    add_later(unit, n, right, rooms, d.v)
    fade_and_add(unit, span.q, rooms.reached, right, rooms, dS, dS)
    write_scores(unit, n, span.y, span.v, scale, rooms)
    add_earlier(unit, n, right_of(unit, n, span.k, rooms), rooms, d.q)
    add_later(unit, n, right_of(unit, n, span.q, rooms), rooms, d.k)


@part
def reverse_decays(unit: Any, block: Block, r: int, h: int, tape: Tape, dmade: Array, reaching: Any) -> None:
    """Write the gradients of log γ of a head of a sample; `reaching` is what its sum over all steps gets from S."""
    z = bytes_of(unit)
    d, place = reaching, dmade.shape[2] - block.heads + h
    made, found = span_of(unit, block, r, h, 0, tape.made, tape.y), span_of(unit, block, r, h, 0, dmade, tape.y)
    for t in range(block.steps - 1, -1, -1):
        down = t * made.q.stride * z
        given = made.q.address + down, found.q.address + down, made.k.address + down, found.k.address + down
        d += of_exponent(unit, block.keys, given, (), ())[0]
        dmade[t, r, place] = d
