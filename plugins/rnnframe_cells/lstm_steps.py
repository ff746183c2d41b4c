"""The equations of an LSTM over a block of steps, forward and in reverse; `rnnframe_cells.lstm` says what they mean.

In reverse, with dh_t and dc_t of what follows:

    dh_t += dz_(t+1) Wᵀ                      dz_o = dh_t ∘ tanh c_t ∘ o (1 - o)
    dc_t += dh_t ∘ o (1 - tanh² c_t)         dz_i = dc_t ∘ g ∘ i (1 - i)
    dc_(t-1) = dc_t ∘ f                      dz_f = dc_t ∘ c_(t-1) ∘ f (1 - f)
                                             dz_g = dc_t ∘ i ∘ (1 - g²)

With a projection dh_t Pᵀ stands for dh_t in all but the first. A weight P or g_h is there where the option is.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, add_column_sums, project
from rnnframe_cells.masks import join_zone, split_zone, zone_out
from rnnframe_cells.norms import normalize, scale, take_back

Zone = Array | None
"""1 where a state changes at a step and 0 where it stays; None where it always changes."""
Step = tuple[Any, ...]
"""The gates i, f, g and o of a step, c before and after it, h likewise, and the zones of c and of h: a view of each."""


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


def steps_of(block: BlockPass, zones: tuple[Zone, Zone]) -> Iterator[Step]:
    """Yield the steps of a block; views are made for each array in turn, which is faster than where they are needed."""
    c, h = block.tape["c"], block.tape["h"]
    of_states = (repeat(None) if zone is None else zone for zone in zones)
    return zip(*np.split(block.tape["gates"], 4, axis=2), c, c[1:], h, h[1:], *of_states, strict=False)


def advance(block: BlockPass, step: Step, product: Array) -> None:
    """Make c and h after a step from its gates and what was before; `product` [B, H] is working memory."""
    weights = block.weights
    i, f, g, o, c_old, c, h_old, h, of_c, of_h = step
    np.multiply(f, c_old, out=c)
    np.multiply(i, g, out=product)
    c += product
    made = product if "P" in weights else h
    write_tanh(weights, c, made, made, block.scratch["inverse_c"][0] if "g_c" in weights else None)
    made *= o
    if "P" in weights:
        np.matmul(made, weights["P"], out=h)
    zone_out(c, c_old, of_c)
    zone_out(h, h_old, of_h)


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
    weights, scratch = block.weights, block.scratch
    f, dz, slope = np.split(block.tape["gates"], 4, axis=2)[1], scratch["dz"], scratch["tanh_c"]
    dh_t, dc = dstate["h"], dstate["c"]
    through = np.empty_like(dc) if "P" in weights else None
    of_norm = np.empty_like(dc) if "g_c" in weights else None
    product = dz[0] if of_norm is None else np.empty_like(dz[0])
    of_c, of_h = (repeat(None) if zone is None else zone[::-1] for zone in zones)
    dz_ifg, dz_o = np.split(dz.reshape(*dz.shape[:2], 4, -1), [3], axis=2)
    made = dz_ifg, dz_o[:, :, 0], dz, slope, f, dh
    steps = zip(reversed(range(block.steps)), of_c, of_h, *(array[::-1] for array in made), strict=False)
    for t, c_changes, h_changes, of_ifg, of_o, dq, of_dc, f_t, dh_own in steps:
        dh_t += dh_own
        new_h, new_c = split_zone(dh_t, h_changes), split_zone(dc, c_changes)
        of_made = new_h
        if through is not None:
            np.copyto(dh_own, new_h)
            of_made = np.matmul(new_h, weights["PT"], out=through)
        of_dc *= of_made
        if of_norm is None:
            new_c += of_dc
        else:
            np.multiply(of_dc, weights["g_c"], out=of_norm)
            room = product[:, : dc.shape[1]]
            take_back(of_norm, scratch["n_c"][t], scratch["inverse_c"][t], scratch["mean"][t], room)
            new_c += of_norm
        of_ifg *= new_c[:, None]
        of_o *= of_made
        new_c *= f_t
        join_zone(dc, new_c)
        if of_norm is not None:
            dq = np.multiply(dq, weights["g_h"], out=scratch["dn"][t])
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
