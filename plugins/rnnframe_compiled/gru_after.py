"""Block kernels of the GRU with reset=after; the formulas are those of `rnnframe_cells.gru`, on lanes."""

from typing import Any

from numba import njit

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_gradients, add_looked_up
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.moves import expect_read, expect_write
from rnnframe_compiled.products import ROWS4, add_gates, add_values, multiply
from rnnframe_compiled.tiles import candidate_tile


@lanewise
def step(s_r: Any, s_z: Any, s_n: Any, q: Any, h_old: Any) -> Any:
    """Return r, z, n, q and h, where r scales q = h W + bn."""
    r, z = sigmoid(s_r), sigmoid(s_z)
    n = tanh(r.fma(q, s_n))
    return r, z, n, q, z.fma(h_old - n, n)


@lanewise
def gates_of(s_r: Any, s_z: Any, s_n: Any, q: Any) -> Any:
    """Return r, z and n: as in `step`."""
    r, z = sigmoid(s_r), sigmoid(s_z)
    return r, z, tanh(r.fma(q, s_n))


@lanewise
def remember(z: Any, n: Any, h_old: Any) -> Any:
    """Return h from the gates: as in the steps."""
    return z.fma(h_old - n, n)


@lanewise
def reverse_step(r: Any, z: Any, n: Any, q: Any, h_old: Any, dh: Any) -> Any:
    """Return the gradients of the sums of r and z, of q and of n's sum, and dh's way past the gates."""
    d_n = dh * (1.0 - z) * (1.0 - n * n)
    d_z = dh * (h_old - n) * (z * (1.0 - z))
    return d_n * q * (r * (1.0 - r)), d_z, d_n * r, d_n, dh * z


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
    q: Array,
    h: Array,
    work: Array,
) -> None:
    """Run the block with reset=after; x and `sums` as in `rnnframe_compiled.lstm.forward`."""
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = q.shape
    pu, pw, pb, rows = address_of(PU), address_of(PW), address_of(Pb), address_of(sums)
    at_gates, at_q, at_h = address_of(gates), address_of(q), address_of(h)
    buffer = address_of(work) + (len(work) - ROWS4 * 4 * V) * z
    tiles = -(-B // ROWS4)
    panels = -(-H // V)
    for t in range(L):
        for p in range(panels):
            n = min(V, H - p * V)
            column = p * V
            for i in range(tiles):
                first = B * i // tiles
                count = B * (i + 1) // tiles - first
                row = t * B + first
                candidate_tile(
                    unit,
                    count,
                    V,
                    (pb + p * 4 * V * z, 0, V),
                    (buffer, 4 * V, V),
                    (x + t * step_bytes + first * I * z, I, 1, pu + p * I * 3 * V * z, 3 * V, I),
                    (at_h + row * H * z, H, 1, pw + p * H * 3 * V * z, 3 * V, H),
                )
                for r in range(count):
                    a = buffer + r * 4 * V * z
                    if len(numbers):
                        add_gates(unit, n, 3, rows + (numbers[row + r] * 3 * H + column) * z, H, a)
                    g = at_gates + ((row + r) * 3 * H + column) * z
                    here = ((row + r) * H + column) * z
                    after = here + B * H * z
                    for k in range(3):
                        expect_write(g + (B * 3 * H + k * H) * z)
                    expect_write(at_q + after)
                    expect_write(at_h + after + B * H * z)
                    step(
                        unit,
                        n,
                        (a, a + V * z, a + 2 * V * z, a + 3 * V * z, at_h + here),
                        (g, g + H * z, g + 2 * H * z, at_q + here, at_h + after),
                    )


@njit(nogil=True, cache=True)
def activate(unit: Any, gates: Array, q: Array) -> None:
    """Make gates of their sums and q, in place."""
    z = bytes_of(unit)
    L, B, H = q.shape
    for row in range(L * B):
        for j in range(0, H, BYTES // z):
            g = address_of(gates) + (row * 3 * H + j) * z
            gates_of(
                unit,
                H - j,
                (g, g + H * z, g + 2 * H * z, address_of(q) + (row * H + j) * z),
                (g, g + H * z, g + 2 * H * z),
            )


@njit(nogil=True, cache=True)
def rebuild(unit: Any, gates: Array, h: Array) -> None:
    """Make h again from the gates."""
    z = bytes_of(unit)
    L, B, H = h.shape[0] - 1, h.shape[1], h.shape[2]
    for row in range(L * B):
        for j in range(0, H, BYTES // z):
            g = address_of(gates) + (row * 3 * H + j) * z
            here = address_of(h) + (row * H + j) * z
            remember(unit, H - j, (g + H * z, g + 2 * H * z, here), (here + B * H * z,))


@njit(nogil=True, cache=True)
def backward(
    unit: Any,
    x: int,
    step_bytes: int,
    I: int,
    numbers: Array,
    PWT: Array,
    gates: Array,
    q: Array,
    h: Array,
    dh: Array,
    carried: Array,
    d: Array,
    dU: Array,
    dW: Array,
    db: Array,
    dbn: Array,
    work: Array,
) -> None:
    """Reverse the block with reset=after; d [L, B, 4H] receives dL/dsum of r and z, dL/dq, and dL/dsum of n."""
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = q.shape
    at_gates, at_q, at_h, at_dh, at_d = address_of(gates), address_of(q), address_of(h), address_of(dh), address_of(d)
    dh_t, size = address_of(carried), B * H
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, V):
                g = at_gates + (row * 3 * H + j) * z
                here = (row * H + j) * z
                s = at_d + (row * 4 * H + j) * z
                past = dh_t + (r * H + j) * z
                for k in range(3):
                    expect_read(g + (k * H - B * 3 * H) * z)
                expect_read(at_q + here - size * z)
                expect_read(at_h + here - size * z)
                expect_read(at_dh + here - size * z)
                reverse_step(
                    unit,
                    H - j,
                    (g, g + H * z, g + 2 * H * z, at_q + here, at_h + here, past),
                    (s, s + H * z, s + 2 * H * z, s + 3 * H * z, past),
                )
        if t:
            add_values(unit, size, at_dh + (t - 1) * size * z, dh_t)
        multiply(unit, at_d + t * B * 4 * H * z, B, 4 * H, 3 * H, address_of(PWT), H, (dh_t, H, V), dh_t)
    u, w, b = address_of(dU) if x else 0, address_of(dW), address_of(db)
    u_n = u + 2 * H * z if x else 0
    add_gradients(unit, x, step_bytes, B, I, at_h, H, at_d, 4 * H, 2 * H, L * B, u, w, b, 3 * H, work)
    add_gradients(
        unit, 0, 0, B, 0, at_h, H, at_d + 2 * H * z, 4 * H, H, L * B, 0, w + 2 * H * z, address_of(dbn), 3 * H, work
    )
    add_gradients(
        unit, x, step_bytes, B, I, at_h, H, at_d + 3 * H * z, 4 * H, H, L * B, u_n, 0, b + 2 * H * z, 3 * H, work
    )
    if len(numbers):
        u = address_of(dU)
        add_looked_up(unit, numbers, at_d, 4 * H, 2 * H, u, 3 * H)
        add_looked_up(unit, numbers, at_d + 3 * H * z, 4 * H, H, u + 2 * H * z, 3 * H)
