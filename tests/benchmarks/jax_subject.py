"""jax as a subject: jit of the value and gradient of a lax.scan."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

from tests.benchmarks.problems import Problem


def lstm(p, z, state, H):
    """One step; z is x U + b."""
    h, c = state
    i, f, g, o = jnp.split(z + h @ p["W"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def gru(p, z, state, H):
    """One step, reset after the product."""
    (h,) = state
    hW = h @ p["W"]
    r, u = jnp.split(jax.nn.sigmoid(z[:, : 2 * H] + hW[:, : 2 * H]), 2, axis=1)
    n = jnp.tanh(z[:, 2 * H :] + r * hW[:, 2 * H :])
    h = n + u * (h - n)
    return (h,), h


def elman(p, z, state, H):
    """One step."""
    h = jnp.tanh(z + state[0] @ p["W"])
    return (h,), h


STEPS = {"lstm": lstm, "gru": gru, "elman": elman}


def prepare(problem: Problem, threads: int):
    """Return a function that computes the gradients of U and W once; the process is held to `threads` cores."""
    data, shape = problem.arrays(), problem.shape
    step = STEPS[problem.cell]
    start = (jnp.zeros((shape.B, shape.H)),) * (2 if problem.cell == "lstm" else 1)
    names = "UWb" if problem.setting == "layer" else "UWbV"
    parameters = {name: jnp.asarray(getattr(data, name)) for name in names}
    x, dh, y = jnp.asarray(data.x), jnp.asarray(data.dh), jnp.asarray(data.y)

    def loss(p, x, dh, y):
        z = x @ p["U"] + p["b"]
        h = jax.lax.scan(lambda state, z: step(p, z, state, shape.H), start, z)[1]
        if problem.setting == "layer":
            return (h * dh).sum()
        log_p = jax.nn.log_softmax(h @ p["V"])
        return -jnp.take_along_axis(log_p, y[..., None], axis=2).mean()

    gradients = jax.jit(jax.grad(loss))

    def run():
        found = jax.block_until_ready(gradients(parameters, x, dh, y))
        return [np.asarray(found[name]) for name in "UW"], 1

    return run
