"""The steps of a plain LSTM for one sample: the equations of `rnnframe_cells.lstm_steps`, on vectors.

A step of one sample computes so little that calling numpy takes the time. So there are as few calls as possible, each
on whole vectors: i and f meet g and c as one vector, and what is multiplied by dc or dh meets a vector of three dc and
one dh. Such vectors stay where they are, as views of a part take longer to make than its values to copy.
"""

import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass


def run_vectors(block: BlockPass) -> None:
    """Make gates of their sums x U + b, and c and h, step by step."""
    weights, tape = block.weights, block.tape
    W, factor, offset = weights["W"], weights["factor"], weights["offset"]
    gates, c, h = (tape[name][:, 0] for name in ("gates", "c", "h"))
    H, dtype = h.shape[1], h.dtype
    ifgo, gc, product, tanh_c = (np.empty(count * H, dtype) for count in (4, 2, 2, 1))
    i_f, g_now, o = ifgo[: 2 * H], ifgo[2 * H : 3 * H], ifgo[3 * H :]
    g, c_now = gc[:H], gc[H:]
    i_g, f_c = product[:H], product[H:]
    h_now = h[0].copy()
    c_now[...] = c[0]
    add, multiply, tanh, times = np.add, np.multiply, np.tanh, h_now.dot
    for z, c_next, h_next in zip(gates, c[1:], h[1:], strict=True):
        times(W, ifgo)
        add(ifgo, z, ifgo)
        multiply(ifgo, factor, ifgo)
        tanh(ifgo, ifgo)
        multiply(ifgo, factor, ifgo)
        add(ifgo, offset, ifgo)
        g[...] = g_now
        multiply(i_f, gc, product)
        add(i_g, f_c, c_now)
        tanh(c_now, tanh_c)
        multiply(o, tanh_c, h_now)
        z[...] = ifgo
        c_next[...] = c_now
        h_next[...] = h_now


def reverse_vectors(block: BlockPass, dh: Array, dstate: Arrays) -> None:
    """Make dz of what `write_slopes` has left, step by step from the last; dstate becomes that before the block."""
    WT, scratch = block.weights["WT"], block.scratch
    dz, slope, own = scratch["dz"][:, 0], scratch["tanh_c"][:, 0], dh[:, 0]
    H = own.shape[1]
    f = block.tape["gates"][:, 0, H : 2 * H]
    met = np.empty((4, H), dz.dtype)
    flat, dc, copies, dh_now = met.reshape(-1), met[0], met[1:3], met[3]
    dc[...], dh_now[...] = dstate["c"][0], dstate["h"][0]
    add, multiply = np.add, np.multiply
    for dz_t, of_dc, f_t, dh_own in zip(dz[::-1], slope[::-1], f[::-1], own[::-1], strict=True):
        add(dh_now, dh_own, dh_now)
        multiply(of_dc, dh_now, of_dc)
        add(dc, of_dc, dc)
        copies[...] = dc
        multiply(dz_t, flat, dz_t)
        multiply(dc, f_t, dc)
        dz_t.dot(WT, dh_now)
    dstate["c"][0], dstate["h"][0] = dc, dh_now
