"""Block kernels of the GRU with reset=before; the formulas are those of `rnnframe_cells.gru`, on lanes."""

from typing import Any

from numba import njit

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_gradients, add_looked_up
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.products import add, add_values, multiply, multiply_both


@lanewise
def reset_of(s_r: Any, s_z: Any, h_old: Any) -> Any:
    """Return r, z and r h."""
    r = sigmoid(s_r)
    return r, sigmoid(s_z), r * h_old


@lanewise
def step(s_n: Any, z: Any, h_old: Any) -> Any:
    """Return n and h."""
    n = tanh(s_n)
    return n, z.fma(h_old - n, n)


@lanewise
def reverse_step(z: Any, n: Any, h_old: Any, dh: Any) -> Any:
    """Return the gradients of the sums of z and n, and dh's way past the gates."""
    return dh * (h_old - n) * (z * (1.0 - z)), dh * (1.0 - z) * (1.0 - n * n), dh * z


@lanewise
def reverse_reset(r: Any, h_old: Any, ds: Any, dh: Any) -> Any:
    """Return the gradient of r's sum, that of h through r h as well, and r h."""
    return ds * h_old * (r * (1.0 - r)), ds.fma(r, dh), r * h_old


@njit(nogil=True, cache=True)
def forward(
    unit: Any,
    x: int,
    step_bytes: int,
    I: int,
    numbers: Array,
    sums: Array,
    PUrz: Array,
    PUn: Array,
    PWrz: Array,
    PWn: Array,
    bias: Array,
    gates: Array,
    h: Array,
    reset: Array,
) -> None:
    """Run the block with reset=before; `reset` [L, B, H] is overwritten, its first step holds r h."""
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = h.shape[0] - 1, h.shape[1], h.shape[2]
    rows, b, at_gates, at_h, rh = (
        address_of(sums),
        address_of(bias),
        address_of(gates),
        address_of(h),
        address_of(reset),
    )
    for t in range(L):
        g, before = at_gates + t * B * 3 * H * z, at_h + t * B * H * z
        xs = x + t * step_bytes
        multiply_both(unit, xs, I, address_of(PUrz), before, H, address_of(PWrz), b, B, 2 * H, g, 3 * H)
        for r in range(B):
            for j in range(0, H, V):
                a, here = g + (r * 3 * H + j) * z, (r * H + j) * z
                if len(numbers):
                    u = rows + (numbers[t * B + r] * 3 * H + j) * z
                    add(unit, H - j, (a, u), (a,))
                    add(unit, H - j, (a + H * z, u + H * z), (a + H * z,))
                reset_of(unit, H - j, (a, a + H * z, before + here), (a, a + H * z, rh + here))
        multiply_both(unit, xs, I, address_of(PUn), rh, H, address_of(PWn), b + 2 * H * z, B, H, g + 2 * H * z, 3 * H)
        for r in range(B):
            for j in range(0, H, V):
                a, here = g + (r * 3 * H + j) * z, (r * H + j) * z
                c = a + 2 * H * z
                if len(numbers):
                    add(unit, H - j, (c, rows + (numbers[t * B + r] * 3 * H + 2 * H + j) * z), (c,))
                step(unit, H - j, (c, a + H * z, before + here), (c, before + here + B * H * z))


@njit(nogil=True, cache=True)
def backward(
    unit: Any,
    x: int,
    step_bytes: int,
    I: int,
    numbers: Array,
    PWTrz: Array,
    PWTn: Array,
    gates: Array,
    h: Array,
    dh: Array,
    carried: Array,
    d: Array,
    reset: Array,
    dU: Array,
    dW: Array,
    db: Array,
    work: Array,
) -> None:
    """Reverse the block with reset=before; d [L, B, 3H] becomes the gradients of the sums, `reset` [L, B, H] r h."""
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = h.shape[0] - 1, h.shape[1], h.shape[2]
    at_gates, at_h, at_dh, at_d, rh = address_of(gates), address_of(h), address_of(dh), address_of(d), address_of(reset)
    dh_t, size, zeros = address_of(carried), B * H, address_of(work)
    work[:V] = 0
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        ds = rh + t * size * z  # until it is overwritten by r h
        for r in range(B):
            for j in range(0, H, V):
                row = t * B + r
                g, s = at_gates + (row * 3 * H + j) * z, at_d + (row * 3 * H + j) * z
                past = dh_t + (r * H + j) * z
                reverse_step(
                    unit,
                    H - j,
                    (g + H * z, g + 2 * H * z, at_h + (row * H + j) * z, past),
                    (s + H * z, s + 2 * H * z, past),
                )
        multiply(unit, at_d + (t * B * 3 * H + 2 * H) * z, B, 3 * H, H, address_of(PWTn), H, (zeros, 0, 0), ds)
        for r in range(B):
            for j in range(0, H, V):
                row = t * B + r
                past, product = dh_t + (r * H + j) * z, ds + (r * H + j) * z
                reverse_reset(
                    unit,
                    H - j,
                    (at_gates + (row * 3 * H + j) * z, at_h + (row * H + j) * z, product, past),
                    (at_d + (row * 3 * H + j) * z, past, product),
                )
        if t:
            add_values(unit, size, at_dh + (t - 1) * size * z, dh_t)
        multiply(unit, at_d + t * B * 3 * H * z, B, 3 * H, 2 * H, address_of(PWTrz), H, (dh_t, H, V), dh_t)
    u, w, b = address_of(dU) if x else 0, address_of(dW), address_of(db)
    u_n = u + 2 * H * z if x else 0
    add_gradients(unit, x, step_bytes, B, I, at_h, H, at_d, 3 * H, 2 * H, L * B, u, w, b, 3 * H, work)
    add_gradients(
        unit,
        x,
        step_bytes,
        B,
        I,
        rh,
        H,
        at_d + 2 * H * z,
        3 * H,
        H,
        L * B,
        u_n,
        w + 2 * H * z,
        b + 2 * H * z,
        3 * H,
        work,
    )
    if len(numbers):
        add_looked_up(unit, numbers, at_d, 3 * H, 3 * H, address_of(dU), 3 * H)
