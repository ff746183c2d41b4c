"""Products of whole blocks that become gradients, at addresses."""

from typing import Any

import numpy as np

from rnnframe.plugin import Array
from rnnframe_compiled.groups import Gradients, Inputs, Matrix, Panel, Steps, Targets
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import part
from rnnframe_compiled.packing import pack_transposed
from rnnframe_compiled.pairs import copy_term, operand, paired, words_for
from rnnframe_compiled.products import add_values, copy, multiply, multiply_panel
from rnnframe_compiled.rare import rare
from rnnframe_compiled.shared import shared
from rnnframe_compiled.tiles import WIDE

TERMS = 192
"""Rows of a block whose part of a gradient is added at once: few enough to stay near, with what they meet there.

Measure another number with `python -m tests.benchmarks speed --only compiled --shapes 2,3,4`.
"""


DEPTH = 256
"""Terms of dL/dx that are added at once, for BAND rows: few enough that the rows and their part of Uᵀ stay near.

Measure another number with `python -m tests.benchmarks drop-in --modules LSTM --threads 1 --shapes 0 3`.
"""
BAND = 192
"""Rows of dL/dx that meet a part of Uᵀ in turn: see DEPTH."""


@part
def gather(unit: Any, x: Steps, start: int, count: int, target: int) -> None:
    """Write the rows [start, start + count) of x, all its steps' samples in turn, one behind the other."""
    z = bytes_of(unit)
    L, B, I = BYTES // z, x.samples, x.width
    row = start
    while row < start + count:
        t = row // B
        stop = min(start + count, (t + 1) * B)
        size, source, into = (
            (stop - row) * I,
            x.address + t * x.step_bytes + (row - t * B) * I * z,
            target + (row - start) * I * z,
        )
        for j in range(0, size, L):
            copy(unit, size - j, (source + j * z,), (into + j * z,))
        row = stop


@part
def pair_columns(unit: Any, rows: int, width: int, source: int, target: int) -> tuple[int, int]:
    """Return the left matrix of a product whose terms are these rows, [rows, width] without gaps, and their stride.

    Where terms are paired, words of two rows are written to `target`, each of their rows in whole vectors.
    """
    if not paired(unit):
        return source, width
    z = bytes_of(unit)
    L = BYTES // z
    stride = -(-width // L) * L
    for k in range(words_for(unit, rows)):
        for j in range(0, width, L):
            copy_term(unit, width - j, k, rows, source + j * z, width, target + (k * stride + j) * z)
    return target, stride


@part
def room_for_columns(unit: Any, width: int) -> int:
    """Return the bytes that `pair_columns` needs for TERMS rows; 0 where terms are not paired."""
    return TERMS // 2 * -(-width // (BYTES // bytes_of(unit))) * BYTES if paired(unit) else 0


@part
def add_gradients(unit: Any, x: Steps, h: Matrix, dz: Matrix, to: Targets, work: Array) -> None:
    """Add xᵀ·dz to the gradient of U, hᵀ·dz to that of W and the column sums of dz to that of b.

    x [rows, I], h [rows, H] and dz [rows, width]; the rows of h are dense. `work` has room for a vector, for pairs of
    TERMS rows of h and x where terms are paired, for TERMS rows of a panel, and for as many of x where its steps are
    not dense. Gradients of b are sums of float32, paired or not.
    """
    work[0] = 1
    of_x, of_h = (x.address, x.step_bytes, x.samples, x.width), (h.address, h.width)
    of_dz, into = (dz.address, dz.rows, dz.width, dz.stride), (to.U, to.W, to.b, to.stride)
    gradient_products(unit, of_x + of_h + of_dz + into + (address_of(work),))


@shared
def gradient_products(
    unit: Any,
    x_address: int,
    step_bytes: int,
    samples: int,
    I: int,
    h: int,
    H: int,
    dz: int,
    rows: int,
    width: int,
    dz_stride: int,
    to_U: int,
    to_W: int,
    to_b: int,
    stride: int,
    one: int,
) -> int:
    """Do what `add_gradients` does, with the members of its groups; `one` is where the working array begins, with 1."""
    z = bytes_of(unit)
    L, x = BYTES // z, Steps(x_address, step_bytes, samples, I)
    words_h = one + BYTES
    words_x = words_h + room_for_columns(unit, H)
    panel = words_x + room_for_columns(unit, I)
    vectors = -(-width // L)
    gathered = panel + TERMS * min(WIDE, vectors) * BYTES
    dense = x.step_bytes == x.samples * I * z
    for start in range(0, rows, TERMS):
        terms = min(TERMS, rows - start)
        steps = x.address + start * I * z
        if to_U and not dense:
            steps = gathered
            gather(unit, x, start, terms, steps)
        pairs = words_for(unit, terms)
        if to_U:
            steps, x_stride = pair_columns(unit, terms, I, steps, words_x)
        else:
            x_stride = I
        if to_W:
            left, h_stride = pair_columns(unit, terms, H, h + start * H * z, words_h)
        else:
            left, h_stride = h, H
        for p in range(0, vectors, WIDE):
            across = min(WIDE, vectors - p)
            last = min(L, width - (p + across - 1) * L)
            source, width_of_panel = dz + (start * dz_stride + p * L) * z, (across - 1) * L + last
            if to_b and paired(unit):
                for k in range(terms):
                    add_values(unit, width_of_panel, source + k * dz_stride * z, to_b + p * BYTES)
            for k in range(pairs):
                for v in range(across):
                    n, place = L if v < across - 1 else last, source + v * BYTES
                    copy_term(unit, n, k, terms, place, dz_stride, panel + (k * across + v) * BYTES)
            right = Panel(panel, pairs, across, last)
            if to_W:
                c = to_W + p * BYTES
                multiply_panel(unit, left, H, 1, h_stride, right, (c, stride, L), c, stride)
            if to_U:
                c = to_U + p * BYTES
                multiply_panel(unit, steps, I, 1, x_stride, right, (c, stride, L), c, stride)
            if to_b and not paired(unit):
                c = to_b + p * BYTES
                multiply_panel(unit, one, np.intp(1), 1, np.intp(0), right, (c, stride, L), c, stride)
    return 0


@rare("gradients of inputs")
def input_gradient(unit: Any, d: Array, columns: int, U: Array, dx: Array, work: Array) -> None:
    """dx [L, B, I] = the first columns of d [L, B, width] · Uᵀ, of U [I, columns].

    `work` has room for a vector and for DEPTH terms of Uᵀ, which is packed as it is needed.
    """
    z = bytes_of(unit)
    V = BYTES // z
    L, B, I = dx.shape
    rows, width, room = L * B, d.shape[2], work[V:]
    work[:V] = 0
    for k in range(0, columns, DEPTH):
        terms = min(DEPTH, columns - k)
        pack_transposed(unit, U, k, terms, room)
        for r in range(0, rows, BAND):
            here = address_of(dx) + r * I * z
            band = Matrix(address_of(d) + (r * width + k) * z, min(BAND, rows - r), terms, width)
            multiply(unit, band, address_of(room), I, (here, I, V) if k else (address_of(work), 0, 0), here)


@rare("gradients of inputs")
def input_gradient_of_pairs(unit: Any, d: Array, columns: int, PUT: Array, dx: Array, work: Array, left: Array) -> None:
    """Do what `input_gradient` does where terms are paired; Uᵀ is packed by `pack_transposed`, `left` is room for d."""
    L, B, I = dx.shape
    work[: BYTES // bytes_of(unit)] = 0
    zeros, terms = (address_of(work), 0, 0), words_for(unit, columns)
    at_d = operand(unit, L * B, columns, d.shape[2], address_of(d), address_of(left))
    multiply(unit, Matrix(at_d, L * B, terms, terms), address_of(PUT), I, zeros, address_of(dx))


@part
def add_looked_up(unit: Any, numbers: Array, dz: Matrix, dU: int, stride: int) -> None:
    """Add each row of dz to the row of dU that was looked up, in the order of the rows; rows of dU are `stride` apart.

    numbers [rows], dz [rows, width].
    """
    z = bytes_of(unit)
    for k in range(len(numbers)):
        source, target = dz.address + k * dz.stride * z, dU + np.intp(numbers[k]) * stride * z
        add_values(unit, dz.width, source, target)


@part
def add_block_gradients(unit: Any, inputs: Inputs, h: Array, dz: Array, gradients: Gradients, work: Array) -> None:
    """Add to the gradients of U, W and b, whose columns are those of dz [L, B, gates·H]; h [L + 1, B, H]."""
    L, B, width = dz.shape
    H, x = h.shape[2], inputs.address
    steps, hs = Steps(x, inputs.step_bytes, B, inputs.width), Matrix(address_of(h), L * B, H, H)
    sums, u = Matrix(address_of(dz), L * B, width, width), address_of(gradients.U)
    to = Targets(u if x else 0, address_of(gradients.W), address_of(gradients.b), width)
    add_gradients(unit, steps, hs, sums, to, work)
    if len(inputs.numbers):
        add_looked_up(unit, inputs.numbers, sums, u, width)
