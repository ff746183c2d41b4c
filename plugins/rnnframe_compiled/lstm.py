"""Block kernels of the LSTM: the gates are computed while the sums of their tile are still at hand.

The formulas are those of `rnnframe_cells.lstm`, on lanes.
"""

from typing import Any

from numba import njit

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_block_gradients
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.moves import expect_read, expect_write
from rnnframe_compiled.products import (
    FEW,
    NEAR,
    ROWS4,
    add_gates,
    add_values,
    multiply,
    multiply_few,
)
from rnnframe_compiled.tiles import both4


@lanewise
def step(z_i: Any, z_f: Any, z_g: Any, z_o: Any, c_old: Any) -> Any:
    """Return the gates, c and h."""
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)
    c = f.fma(c_old, i * g)
    return i, f, g, o, c, o * tanh(c)


@lanewise
def remember(i: Any, f: Any, g: Any, o: Any, c_old: Any) -> Any:
    """Return c and h from the gates: as in `step`."""
    c = f.fma(c_old, i * g)
    return c, o * tanh(c)


@lanewise
def reverse_step(i: Any, f: Any, g: Any, o: Any, c: Any, c_old: Any, dh: Any, dc: Any) -> Any:
    """Return the gradients of the gates' sums, and dc of the step before."""
    y = tanh(c)
    dc = (dh * o).fma(1.0 - y * y, dc)
    dz_i = dc * g * (i * (1.0 - i))
    dz_f = dc * c_old * (f * (1.0 - f))
    dz_g = dc * i * (1.0 - g * g)
    dz_o = dh * y * (o * (1.0 - o))
    return dz_i, dz_f, dz_g, dz_o, dc * f


@njit(nogil=True, cache=True)
def forward(
    unit: Any,
    x: int,
    step_bytes: int,
    I: int,
    numbers: Array,
    sums: Array,
    PU: Array,
    PW: Array,
    Pb: Array,
    gates: Array,
    c: Array,
    h: Array,
    work: Array,
) -> None:
    """Run the block: x [L, B, I] at an address, or rows of `sums` with the numbers [L·B] that are added.

    The rows of a step of x are dense; its steps are so many bytes `step_bytes`.
    """
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = gates.shape[0], gates.shape[1], h.shape[2]
    pu, pw, pb, rows = address_of(PU), address_of(PW), address_of(Pb), address_of(sums)
    at_gates, at_c, at_h = address_of(gates), address_of(c), address_of(h)
    buffer = address_of(work) + (len(work) - ROWS4 * 4 * V) * z
    tiles = -(-B // ROWS4)
    panels = -(-H // V)
    for t in range(L):
        for number in range(panels):
            p = panels - 1 - number if t % 2 else number  # to and fro: what was read last is still near
            n = min(V, H - p * V)
            column = p * V
            weights_u, weights_w = pu + p * I * 4 * V * z, pw + p * H * 4 * V * z
            for i in range(tiles):
                first = B * i // tiles
                count = B * (i + 1) // tiles - first
                row = t * B + first
                both4(
                    unit,
                    count,
                    V,
                    (pb + p * 4 * V * z, 0, V),
                    (buffer, 4 * V, V),
                    (x + t * step_bytes + first * I * z, I, 1, weights_u, 4 * V, I),
                    (at_h + row * H * z, H, 1, weights_w, 4 * V, H),
                )
                for r in range(count):
                    a = buffer + r * 4 * V * z
                    if len(numbers):
                        add_gates(unit, n, 4, rows + (numbers[row + r] * 4 * H + column) * z, H, a)
                    q = at_gates + ((row + r) * 4 * H + column) * z
                    here = ((row + r) * H + column) * z
                    after = here + B * H * z
                    for g in range(4):
                        expect_write(q + (B * 4 * H + g * H) * z)
                    expect_write(at_c + after + B * H * z)
                    expect_write(at_h + after + B * H * z)
                    step(
                        unit,
                        n,
                        (a, a + V * z, a + 2 * V * z, a + 3 * V * z, at_c + here),
                        (q, q + H * z, q + 2 * H * z, q + 3 * H * z, at_c + after, at_h + after),
                    )


@lanewise
def gates_of(z_i: Any, z_f: Any, z_g: Any, z_o: Any) -> Any:
    """Return the gates: as in `step`."""
    return sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)


@njit(nogil=True, cache=True)
def activate(unit: Any, gates: Array) -> None:
    """Make gates of their sums, in place."""
    z = bytes_of(unit)
    H = gates.shape[2] // 4
    place = address_of(gates)
    for row in range(gates.shape[0] * gates.shape[1]):
        for j in range(0, H, BYTES // z):
            q = place + (row * 4 * H + j) * z
            four = (q, q + H * z, q + 2 * H * z, q + 3 * H * z)
            gates_of(unit, H - j, four, four)


@njit(nogil=True, cache=True)
def rebuild(unit: Any, gates: Array, c: Array, h: Array) -> None:
    """Make c and h again from the gates."""
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = gates.shape[0], gates.shape[1], h.shape[2]
    at_gates, at_c, at_h = address_of(gates), address_of(c), address_of(h)
    for row in range(L * B):
        for j in range(0, H, V):
            q = at_gates + (row * 4 * H + j) * z
            here = (row * H + j) * z
            after = here + B * H * z
            remember(
                unit, H - j, (q, q + H * z, q + 2 * H * z, q + 3 * H * z, at_c + here), (at_c + after, at_h + after)
            )


@njit(nogil=True, cache=True)
def backward(
    unit: Any,
    x: int,
    step_bytes: int,
    I: int,
    numbers: Array,
    PWT: Array,
    gates: Array,
    c: Array,
    h: Array,
    dh: Array,
    dh_state: Array,
    dc_state: Array,
    dz: Array,
    dU: Array,
    dW: Array,
    db: Array,
    work: Array,
) -> None:
    """Reverse the block."""
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = gates.shape[0], gates.shape[1], h.shape[2]
    at_gates, at_c, at_dh, at_dz = address_of(gates), address_of(c), address_of(dh), address_of(dz)
    dh_t, dc_t, pwt, size = address_of(dh_state), address_of(dc_state), address_of(PWT), B * H
    work[:V] = 0
    zeros = address_of(work)
    few = B < FEW and 4 * H * H * z > NEAR
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, V):
                q = at_gates + (row * 4 * H + j) * z
                d = at_dz + (row * 4 * H + j) * z
                here = (row * H + j) * z
                carried = (r * H + j) * z
                for g in range(4):
                    expect_read(q + (g * H - B * 4 * H) * z)
                expect_read(at_c + here - B * H * z)
                expect_read(at_dh + here - B * H * z)
                reverse_step(
                    unit,
                    H - j,
                    (
                        q,
                        q + H * z,
                        q + 2 * H * z,
                        q + 3 * H * z,
                        at_c + here + B * H * z,
                        at_c + here,
                        dh_t + carried,
                        dc_t + carried,
                    ),
                    (d, d + H * z, d + 2 * H * z, d + 3 * H * z, dc_t + carried),
                )
        given = (at_dh + (t - 1) * size * z, H, V) if t else (zeros, 0, 0)
        d = at_dz + t * B * 4 * H * z
        if few:
            multiply_few(unit, d, B, 4 * H, 4 * H, pwt, H, given, dh_t, t % 2)
        else:
            multiply(unit, d, B, 4 * H, 4 * H, pwt, H, given, dh_t)
    add_block_gradients(unit, x, step_bytes, I, numbers, h, dz, dU, dW, db, work)
