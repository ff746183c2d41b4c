"""The equations of a GRU over a block of steps, in reverse above all; `rnnframe_cells.gru` says what they mean.

The two forms differ in what r scales:

    dz_n = dh_t ∘ (1 - z)(1 - n²)
    dz_z = dh_t ∘ (h_(t-1) - n) ∘ z (1 - z)

    reset=after:   dq = dz_n ∘ r                           reset=before:  ds = dz_n W_nᵀ
                   dz_r = dz_n ∘ q ∘ r (1 - r)                            dz_r = ds ∘ h_(t-1) ∘ r (1 - r)
                   dh_(t-1) = dh_t ∘ z                                    dh_(t-1) = dh_t ∘ z + ds ∘ r
                              + [dz_r, dz_z, dq] Wᵀ                                  + [dz_r, dz_z] Wᵀ

A weight bn is there with reset=after, g_h with a norm.
"""

import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, add_product, project, rows
from rnnframe_cells.masks import join_zone, split_zone
from rnnframe_cells.norms import normalize, scale, take_back


def write_sums(block: BlockPass) -> None:
    """Write x U + b into the gates."""
    gates, weights = block.tape["gates"], block.weights
    project(block.x, weights["U"], gates)
    if "g_x" in weights:
        for columns in _normed(gates.shape[2]):
            scale(gates[..., columns], weights["g_x"][columns], block.scratch["inverse"])
    gates += weights["b"]


def _normed(width: int) -> tuple[slice, slice]:
    """Return the columns of r and z, and those of n: each part has a mean and a deviation of its own."""
    return slice(None, width // 3 * 2), slice(width // 3 * 2, None)


def norm_product(block: BlockPass, product: Array, columns: slice) -> None:
    """Normalize some columns of h W, of one step or of a block, in place."""
    inverse = block.scratch["inverse"]
    scale(product, block.weights["g_h"][columns], inverse[0] if product.ndim == 2 else inverse)


def sigmoid(z: Array) -> None:
    """σ(z) = tanh(z/2)/2 + 1/2, in place."""
    z *= 0.5
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5


def write_slopes(block: BlockPass, before: Array) -> None:
    """Write what meets dh into dz, for the whole block; `before` is h_(t-1) as W sees it."""
    tape, scratch = block.tape, block.scratch
    r, z, n = np.split(tape["gates"], 3, axis=2)
    dz_r, dz_z, dz_n = np.split(scratch["dz"], 3, axis=2)
    extra = scratch["extra"]
    np.subtract(tape["h"][:-1], n, out=dz_z)
    dz_z *= z
    np.subtract(1, z, out=extra)
    dz_z *= extra
    np.multiply(n, n, out=dz_n)
    np.subtract(1, dz_n, out=dz_n)
    dz_n *= extra
    np.subtract(1, r, out=dz_r)
    dz_r *= r
    dz_r *= tape["q"] if "bn" in block.weights else before


def reverse_steps(block: BlockPass, dh: Array, dh_t: Array, mask: Array | None, zone: Array | None) -> None:
    """Make dz of what `write_slopes` has left, step by step from the last; dh_t becomes dL/dh before the block.

    `extra` is then dq with reset=after, else dz_n; with a norm the gradient of h W before it stands in dn. dh is
    overwritten.
    """
    weights, scratch = block.weights, block.scratch
    r, z, _ = np.split(block.tape["gates"], 3, axis=2)
    dz, extra = scratch["dz"], scratch["extra"]
    dz_r, dz_z, dz_n = np.split(dz, 3, axis=2)
    of_rz, of_n = _normed(dz.shape[2])
    normed = "g_h" in weights
    product = np.empty_like(dz[0]) if normed else dz[0]
    for t in reversed(range(block.steps)):
        dh_t += dh[t]
        new = split_zone(dh_t, None if zone is None else zone[t])
        dz_z[t] *= new
        dz_n[t] *= new
        new *= z[t]
        join_zone(dh_t, new)
        through = dh[t]  # free from here on: a working array of the right shape
        if "bn" in weights:
            dz_r[t] *= dz_n[t]
            dq = np.multiply(dz_n[t], r[t], out=extra[t])
            if normed:
                dq = _through_norm(block, dq, t, of_n, "inverse_n", product)
            np.matmul(dq, weights["WnT"], out=through)
        else:
            np.copyto(extra[t], dz_n[t])
            np.matmul(extra[t], weights["WnT"], out=through)
            dz_r[t] *= through
            through *= r[t]
        _add_masked(dh_t, through, mask)
        dq = dz[t, :, of_rz]
        if normed:
            dq = _through_norm(block, dq, t, of_rz, "inverse", product)
        np.matmul(dq, weights["WrzT"], out=through)
        _add_masked(dh_t, through, mask)


def _through_norm(block: BlockPass, d: Array, t: int, columns: slice, inverse: str, product: Array) -> Array:
    """Return the gradient of some columns of h W at a step, in dn, of that of h W normalized and scaled."""
    scratch = block.scratch
    d = np.multiply(d, block.weights["g_h"][columns], out=scratch["dn"][t, :, columns])
    take_back(d, scratch["n"][t, :, columns], scratch[inverse][t], scratch["mean"][t], product[:, columns])
    return d


def _add_masked(total: Array, value: Array, mask: Array | None) -> None:
    """Add the gradient of h as W sees it to that of h."""
    if mask is not None:
        value *= mask
    total += value


def add_recurrent_gradient(block: BlockPass, before: Array, dW: Array) -> None:
    """Add to dW, without a norm; dz and `extra` are overwritten."""
    scratch = block.scratch
    dz, extra, panel = scratch["dz"], scratch["extra"], scratch["panel"]
    of_rz, of_n = _normed(dz.shape[2])
    if "bn" in block.weights:
        np.copyto(dz[:, :, of_n], extra)  # from here on dz holds the gradient of h W
        add_product(before, dz, dW, panel)
    else:
        r = block.tape["gates"][:, :, : extra.shape[2]]
        np.multiply(r, before, out=extra)
        add_product(before, dz[:, :, of_rz], dW[:, of_rz], panel)
        add_product(extra, dz[:, :, of_n], dW[:, of_n], panel)


def normalize_products(block: BlockPass, before: Array) -> None:
    """Write h W normalized into the scratch, with large products."""
    n = block.scratch["n"]
    np.matmul(rows(before), block.weights["W"], out=rows(n))
    for columns, inverse in zip(_normed(n.shape[2]), ("inverse", "inverse_n"), strict=True):
        normalize(n[..., columns], n[..., columns], block.scratch[inverse])


def reverse_norms(block: BlockPass, gradients: Arrays) -> Array:
    """Add to the gradients of the scales, and return that of x U before its norm; that of h W has gone before."""
    weights, scratch = block.weights, block.scratch
    dz, dn, n = scratch["dz"], scratch["dn"], scratch["n"]
    of_rz, of_n = _normed(dz.shape[2])
    gradients["g_h"][of_rz] += np.einsum("lbi,lbi->i", dz[..., of_rz], n[..., of_rz])
    gradients["g_h"][of_n] += np.einsum("lbi,lbi->i", scratch["extra"], n[..., of_n])
    project(block.x, weights["U"], n)
    np.multiply(dz, weights["g_x"], out=dn)
    for columns in (of_rz, of_n):
        part = n[..., columns]
        normalize(part, part, scratch["inverse"])
        gradients["g_x"][columns] += np.einsum("lbi,lbi->i", dz[..., columns], part)
        take_back(dn[..., columns], part, scratch["inverse"], scratch["mean"], part)
    return dn
