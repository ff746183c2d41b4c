"""mingru, minlstm and lru in torch, in several forms: h_t = a_t h_(t-1) + v_t over all steps of a sequence.

"loop" leaves each step to autograd. "scan" is a function of its own, with one fused operation a step in either
direction and everything else on whole arrays; "compiled scan" has what is around it fused by torch.compile.
"logarithms" is the parallel form of Heinsen (2023), arXiv 2311.06281, which mingru's paper uses.
"""

import torch


class Scan(torch.autograd.Function):
    """h_t = a_t h_(t-1) + v_t from h_0 = 0; a and v [T, B, H], or a [H] that is the same at all steps."""

    @staticmethod
    def forward(ctx, a, v):
        """One addcmul a step."""
        h, steps = torch.empty_like(v), a.ndim == v.ndim
        h[0] = v[0]
        for t in range(1, len(v)):
            torch.addcmul(v[t], a[t] if steps else a, h[t - 1], out=h[t])
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx, dh):
        """One addcmul a step; the gradient of a from whole arrays."""
        a, h = ctx.saved_tensors
        steps, d = a.ndim == h.ndim, torch.empty_like(h)
        d[-1] = dh[-1]
        conjugate = a.conj().resolve_conj()
        for t in range(len(h) - 2, -1, -1):
            torch.addcmul(dh[t], conjugate[t + 1] if steps else conjugate, d[t + 1], out=d[t])
        if not steps:
            return (d[1:] * h[:-1].conj()).sum((0, 1)), d
        da = torch.zeros_like(h)
        torch.mul(d[1:], h[:-1], out=da[1:])
        return da, d


def loop(a, v):
    """Return h, step by step."""
    h, found = torch.zeros_like(v[0]), []
    for a_t, v_t in zip(a.unbind() if a.ndim == v.ndim else [a] * len(v), v.unbind(), strict=True):
        h = torch.addcmul(v_t, a_t, h)
        found.append(h)
    return torch.stack(found)


def logarithms(log_a, log_v):
    """Return h from the logarithms of a and v."""
    passed = log_a.cumsum(0)
    return (passed + torch.logcumsumexp(log_v - passed, 0)).exp()


def positive(v):
    """Return mingru's g."""
    return torch.where(v > 0, v + 0.5, torch.sigmoid(v))


def mingru(sums):
    """Return a and v of mingru."""
    z, v = sums.chunk(2, -1)
    z = torch.sigmoid(z)
    return 1 - z, z * positive(v)


def minlstm(sums):
    """Return a and v of minlstm."""
    f, i, v = sums.chunk(3, -1)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    return f / (f + i), i / (f + i) * positive(v)


def log_positive(v):
    """Return log g."""
    softplus = torch.nn.functional.softplus
    return torch.where(v > 0, (torch.relu(v) + 0.5).log(), -softplus(-v))


def log_mingru(sums):
    """Return log a and log v of mingru."""
    z, v = sums.chunk(2, -1)
    softplus = torch.nn.functional.softplus
    return -softplus(z), -softplus(-z) + log_positive(v)


def log_minlstm(sums):
    """Return log a and log v of minlstm."""
    f, i, v = sums.chunk(3, -1)
    softplus = torch.nn.functional.softplus
    difference = softplus(-f) - softplus(-i)
    return -softplus(difference), -softplus(-difference) + log_positive(v)


def layer(cell: str, form: str):
    """Return a function of x and parameters that returns the outputs [T, B, width]."""
    scan = loop if form == "loop" else Scan.apply
    if cell == "lru":
        return lambda x, p: lru(x, p, scan)
    if form == "logarithms":
        factors, scan = {"mingru": log_mingru, "minlstm": log_minlstm}[cell], logarithms
    else:
        factors = {"mingru": mingru, "minlstm": minlstm}[cell]
    if form == "compiled scan":
        factors = torch.compile(factors, dynamic=False)
    return lambda x, p: scan(*factors(torch.nn.functional.linear(x, p["U"].T, p["b"])))


def lru(x, p, scan):
    """Return y of a linear recurrent unit."""
    factor = torch.exp(torch.complex(-torch.exp(p["nu"]), torch.exp(p["theta"])))
    real, imaginary = (x @ (p["U"] * torch.exp(p["gamma"]).repeat(2))).chunk(2, -1)
    s = scan(factor, torch.complex(real, imaginary))
    return torch.cat([s.real, s.imag], -1) @ p["C"] + p["b"]
