"""The equations of an LSTM over a block of steps, forward and in reverse; `rnnframe_cells.lstm` says what they mean.

In reverse, with dh_t and dc_t of what follows:

    dh_t += dz_(t+1) Wᵀ                      dz_o = dh_t ∘ tanh c_t ∘ o (1 - o)
    dc_t += dh_t ∘ o (1 - tanh² c_t)         dz_i = dc_t ∘ g ∘ i (1 - i)
    dc_(t-1) = dc_t ∘ f                      dz_f = dc_t ∘ c_(t-1) ∘ f (1 - f)
                                             dz_g = dc_t ∘ i ∘ (1 - g²)

With a projection dh_t Pᵀ stands for dh_t in all but the first. A weight P or g_h is there where the option is.
"""

from collections.abc import Sequence

import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, add_column_sums, project
from rnnframe_cells.masks import join_zone, split_zone, zone_out
from rnnframe_cells.norms import normalize, scale, take_back

Zone = Array | None
"""1 where a state changes at a step and 0 where it stays; None where it always changes."""


def write_sums(block: BlockPass) -> None:
    """Write x U + b into the gates."""
    weights, gates = block.weights, block.tape["gates"]
    project(block.x, weights["U"], gates)
    if "g_x" in weights:
        scale(gates, weights["g_x"], block.scratch["inverse"])
    gates += weights["b"]


def activate(z: Array, weights: Arrays) -> None:
    """Make gates of z in place: σ of the columns i, f and o, tanh of g's."""
    z *= weights["factor"]
    np.tanh(z, out=z)
    z *= weights["factor"]
    z += weights["offset"]


def advance(block: BlockPass, gates: Sequence[Array], t: int, zone: tuple[Zone, Zone]) -> None:
    """Make c and h after step t from the gates i, f, g, o of all steps and what was before."""
    weights, c, h, product = block.weights, block.tape["c"], block.tape["h"], block.scratch["tanh_c"][0]
    i, f, g, o = gates
    c_t, h_t = c[t + 1], h[t + 1]
    np.multiply(f[t], c[t], out=c_t)
    np.multiply(i[t], g[t], out=product)
    c_t += product
    made = product if "P" in weights else h_t
    write_tanh(weights, c_t, made, made, block.scratch["inverse_c"][0] if "g_c" in weights else None)
    made *= o[t]
    if "P" in weights:
        np.matmul(made, weights["P"], out=h_t)
    zone_out(c_t, c[t], zone[0])
    zone_out(h_t, h[t], zone[1])


def write_tanh(weights: Arrays, c: Array, n: Array, out: Array, inverse: Array | None) -> None:
    """Write what o is multiplied by: tanh of c or, with a norm, of c normalized, which is written into n."""
    if inverse is None:
        np.tanh(c, out=out)
        return
    normalize(c, n, inverse)
    np.multiply(n, weights["g_c"], out=out)
    out += weights["b_c"]
    np.tanh(out, out=out)


def write_slopes(block: BlockPass, of_c: Zone) -> None:
    """Write all that depends on neither dh nor dc, for the whole block.

    dz has then what meets dc (i, f, g) and dh (o) there, tanh_c the factor of dh in dc, and `made` o ∘ tanh c.
    """
    gates, c, scratch = block.tape["gates"], block.tape["c"], block.scratch
    dz, slope = scratch["dz"], scratch["tanh_c"]
    i, f, g, o = np.split(gates, 4, axis=2)
    dz_i, dz_f, dz_g, dz_o = np.split(dz, 4, axis=2)
    made = c[1:]
    if of_c is not None:  # c as it would be if every unit changed
        made = np.multiply(f, c[:-1], out=slope)
        np.multiply(i, g, out=dz_i)
        made += dz_i
    write_tanh(block.weights, made, scratch.get("n_c", slope), slope, scratch.get("inverse_c"))
    if "P" in block.weights:
        np.multiply(o, slope, out=scratch["made"])
    np.subtract(1, gates, out=dz)
    dz *= gates  # σ' for the columns i, f, o
    np.multiply(g, g, out=dz_g)
    np.subtract(1, dz_g, out=dz_g)
    dz_i *= g
    dz_f *= c[:-1]
    dz_g *= i
    dz_o *= slope
    np.multiply(slope, slope, out=slope)
    np.subtract(1, slope, out=slope)
    slope *= o


def reverse_steps(block: BlockPass, dh: Array, dstate: Arrays, mask: Array | None, zones: tuple[Zone, Zone]) -> None:
    """Make dz of what `write_slopes` has left, step by step from the last; dstate becomes that before the block.

    With a projection dh becomes what meets `made` in dP. With a norm the gradient of h W before it stands in dn.
    """
    weights, f, scratch = block.weights, np.split(block.tape["gates"], 4, axis=2)[1], block.scratch
    dz, slope, (of_c, of_h) = scratch["dz"], scratch["tanh_c"], zones
    dz_i, dz_f, dz_g, dz_o = np.split(dz, 4, axis=2)
    dh_t, dc = dstate["h"], dstate["c"]
    through = np.empty_like(dc) if "P" in weights else None
    of_norm = np.empty_like(dc) if "g_c" in weights else None
    product = dz[0] if of_norm is None else np.empty_like(dz[0])
    for t in reversed(range(block.steps)):
        dh_t += dh[t]
        new_h = split_zone(dh_t, None if of_h is None else of_h[t])
        new_c = split_zone(dc, None if of_c is None else of_c[t])
        of_made = new_h
        if through is not None:
            np.copyto(dh[t], new_h)
            of_made = np.matmul(new_h, weights["PT"], out=through)
        slope[t] *= of_made
        if of_norm is None:
            new_c += slope[t]
        else:
            np.multiply(slope[t], weights["g_c"], out=of_norm)
            room = product[:, : dc.shape[1]]
            take_back(of_norm, scratch["n_c"][t], scratch["inverse_c"][t], scratch["mean"][t], room)
            new_c += of_norm
        dz_i[t] *= new_c
        dz_f[t] *= new_c
        dz_g[t] *= new_c
        dz_o[t] *= of_made
        new_c *= f[t]
        join_zone(dc, new_c)
        dq = dz[t]
        if of_norm is not None:
            dq = np.multiply(dz[t], weights["g_h"], out=scratch["dn"][t])
            take_back(dq, scratch["n"][t], scratch["inverse"][t], scratch["mean"][t], product)
        np.matmul(dq, weights["WT"], out=new_h)
        if mask is not None:
            new_h *= mask
        join_zone(dh_t, new_h)


def reverse_norms(block: BlockPass, gradients: Arrays) -> Array:
    """Add to the gradients of the scales, and return that of x U before its norm; h W and c have gone before."""
    weights, scratch = block.weights, block.scratch
    dz, dn, n, inverse = scratch["dz"], scratch["dn"], scratch["n"], scratch["inverse"]
    gradients["g_h"][...] += np.einsum("lbi,lbi->i", dz, n)
    gradients["g_c"][...] += np.einsum("lbi,lbi->i", scratch["tanh_c"], scratch["n_c"])
    add_column_sums(scratch["tanh_c"], gradients["b_c"])
    project(block.x, weights["U"], n)
    normalize(n, n, inverse)
    gradients["g_x"][...] += np.einsum("lbi,lbi->i", dz, n)
    np.multiply(dz, weights["g_x"], out=dn)
    take_back(dn, n, inverse, scratch["mean"], n)
    return dn
