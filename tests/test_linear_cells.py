"""Cells beside torch, whose autograd follows the papers' formulas step by step; gates that are exactly zero."""

import numpy as np
import pytest

import rnnframe as rf

STEPS, BATCH, INPUTS = 9, 3, 4
CELLS = ["mingru:hidden=5", "minlstm:hidden=5", "indrnn:hidden=5", "indrnn:hidden=5,activation=tanh"]
CELLS += ["lru:units=3,states=4", "rglru", "peephole-lstm:hidden=3", "slstm:hidden=3"]
CELLS += ["selective-ssm:states=3,rank=2", "linear-attention:heads=2,keys=3,values=4"]
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=3",
]


def network(spec, head=None, dtype="float64"):
    made = rf.Network([spec], head, INPUTS, dtype=dtype)
    if not spec.startswith("lru"):  # whose starting values must stay inside the circle
        made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.6, size=made.parameters.flat.shape)
    return made


def attention(torch, p, x, heads, keys, values):
    """Return (q kᵀ ∘ D) v over all steps at once, which is quadratic in them; D_ts = γ_(s+1) ... γ_t for s ≤ t."""
    made = (x @ p["U"]).transpose(0, 1)
    q, k, v, z = made.split([heads * keys, heads * keys, heads * values, heads], dim=2)
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    decay = torch.sigmoid(z + p["b"]).pow(1 / 16).transpose(1, 2)
    steps = len(x)
    D = torch.ones(len(made), heads, steps, steps, dtype=x.dtype).tril()
    for t in range(1, steps):
        D[:, :, t, :t] = D[:, :, t - 1, :t].clone() * decay[:, :, t, None]
    y = (q @ k.transpose(2, 3) / keys**0.5 * D) @ v
    return y.permute(2, 0, 1, 3).flatten(2)


def formula(torch, spec, p, x):
    """Return the outputs [T, B, width] of the papers' formulas."""
    s, name = torch.sigmoid, spec.partition(":")[0]
    if name == "linear-attention":
        return attention(torch, p, x, heads=2, keys=3, values=4)
    g = lambda v: torch.where(v > 0, v + 0.5, s(v))  # noqa: E731
    width = {"rglru": INPUTS, "lru": 4}.get(name, 3 if name in ("peephole-lstm", "slstm") else 5)
    shape = (INPUTS, 3) if name == "selective-ssm" else (width,)
    h = torch.zeros(BATCH, *shape, dtype=torch.complex128 if name == "lru" else x.dtype)
    c, n, outputs = torch.zeros_like(h), torch.zeros_like(h), []
    for x_t in x:
        match name:
            case "mingru":
                z, v = (x_t @ p["U"] + p["b"]).chunk(2, dim=1)
                h = (1 - s(z)) * h + s(z) * g(v)
            case "minlstm":
                f, i, v = (x_t @ p["U"] + p["b"]).chunk(3, dim=1)
                h = s(f) / (s(f) + s(i)) * h + s(i) / (s(f) + s(i)) * g(v)
            case "indrnn":
                z = x_t @ p["U"] + p["w"] * h + p["b"]
                h = torch.tanh(z) if spec.endswith("tanh") else torch.relu(z)
            case "rglru":
                r, i = s(x_t @ p["K"] + p["b"]).chunk(2, dim=1)
                a = s(p["L"]) ** (8 * r)
                h = a * h + torch.sqrt(1 - a**2) * i * x_t
            case "lru":
                factor = torch.exp(torch.complex(-torch.exp(p["nu"]), torch.exp(p["theta"])))
                real, imaginary = (x_t @ p["U"]).chunk(2, dim=1)
                h = factor * h + torch.exp(p["gamma"]) * torch.complex(real, imaginary)
                outputs.append(torch.cat([h.real, h.imag], dim=1) @ p["C"] + p["b"])
                continue
            case "selective-ssm":
                d, B, C = (x_t @ p["K"]).split([2, 3, 3], dim=1)
                step = torch.nn.functional.softplus(d @ p["R"] + p["b"])[:, :, None]
                h = torch.exp(-step * torch.exp(p["logA"])) * h + step * B[:, None] * x_t[:, :, None]
                outputs.append((h * C[:, None]).sum(dim=2) + p["D"] * x_t)
                continue
            case "peephole-lstm":
                i, f, u, o = (x_t @ p["U"] + h @ p["W"] + p["b"]).chunk(4, dim=1)
                p_i, p_f, p_o = p["p"].chunk(3)
                c_new = s(f + p_f * c) * c + s(i + p_i * c) * torch.tanh(u)
                h, c = s(o + p_o * c_new) * torch.tanh(c_new), c_new
            case "slstm":  # without m, which changes nothing but the range of numbers
                z, i, f, o = (x_t @ p["U"] + h @ p["W"] + p["b"]).chunk(4, dim=1)
                c, n = s(f) * c + torch.exp(i) * torch.tanh(z), s(f) * n + torch.exp(i)
                h = s(o) * c / n
        outputs.append(h)
    return torch.stack(outputs)


@pytest.mark.parametrize(
    ("spec", "steps", "chunk"), [*((spec, STEPS, 2) for spec in CELLS), *((spec, 80, 75) for spec in CELLS[-1:])]
)
def test_outputs_and_gradients_are_those_of_the_formula(spec, steps, chunk):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    made, x = network(spec), rng.normal(size=(steps, BATCH, INPUTS))
    dy, found = rng.normal(size=(steps, BATCH, made.outputs_width)), {}
    found["y"], found["dx"] = np.empty_like(dy), np.empty_like(x)

    def take(name):
        def taken(part, values):
            found[name][part.start : part.stop, part.samples] = values

        return taken

    result = rf.Engine(made, "checkpoint:policy=revolve,slots=1", chunk, shards=1, kernels="numpy").sweep(
        x, lambda part, _: dy[part.start : part.stop, part.samples], outputs=take("y"), input_gradient=take("dx")
    )
    p = {name.removeprefix("layer0."): torch.tensor(v, requires_grad=True) for name, v in made.parameters.items()}
    given = torch.tensor(x, requires_grad=True)
    y = formula(torch, spec, p, given)
    y.backward(torch.tensor(dy))
    assert np.allclose(found["y"], y.detach().numpy(), rtol=1e-11, atol=1e-12)
    assert np.allclose(found["dx"], given.grad.numpy(), rtol=1e-9, atol=1e-11)
    for name, value in p.items():
        assert np.allclose(result.gradients[f"layer0.{name}"], value.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("spec", CELLS)
def test_every_exact_store_gives_the_same_bits_and_holds_what_was_planned(spec):
    made, rng = network(spec, "mse:outputs=2"), np.random.default_rng(2)
    x, y = rng.normal(size=(STEPS, BATCH, INPUTS)), rng.normal(size=(STEPS, BATCH, 2))
    for cuts in ({}, {"lengths": np.array([9, 2, 5])}):
        found = [rf.Engine(made, store, 2).gradients(x, y, **cuts) for store in STORES]
        assert len({result.gradients.flat.tobytes() for result in found}) == 1
        assert len({result.loss for result in found}) == 1
    for store in STORES:
        report = rf.Engine(made, store, 2).gradients(x, y).report
        assert report.predicted_bytes == report.peak_bytes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [-200.0, 200.0])
@pytest.mark.parametrize("spec", ["mingru:hidden=5", "minlstm:hidden=5", "rglru", "slstm:hidden=5", *CELLS[-2:]])
def test_gates_that_are_exactly_zero_or_one_leave_gradients_finite(spec, bias, dtype):
    made = network(spec, "mse:outputs=2", dtype)
    made.parameters["layer0.b"].fill(bias)
    x = np.random.default_rng(3).normal(size=(STEPS, BATCH, INPUTS)).astype(dtype)
    result = rf.Engine(made).gradients(x, np.zeros((STEPS, BATCH, 2), dtype))
    assert np.isfinite(result.gradients.flat).all()
