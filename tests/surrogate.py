"""What a truncated gradient is the exact gradient of, computed in a way that knows no backward pass.

The surrogate of a window is its loss as a function of the parameters, with the state that precedes the window held
constant. Its derivative along a parameter p is Im L(p + iε) / ε, exact to the last places because nothing is
subtracted (Squire & Trapp 1998). All parameters are stepped at once: each array has one more axis in front, along
which another entry of the parameters has the imaginary part.
"""

import math

import numpy as np

IMAGINARY = 1e-30


def arrays_of(flat, shapes):
    """Cut a flat vector, or rows of flat vectors [P, n], into arrays by name."""
    found, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        found[name] = flat[..., start:stop].reshape(*flat.shape[:-1], *shape)
        start = stop
    return found


def stepped(flat):
    """Return [P, P]: row p has an imaginary part at entry p."""
    return flat + 1j * IMAGINARY * np.eye(len(flat))


def slope(value):
    """Return the derivatives [P] of a value [P] computed from stepped parameters."""
    return value.imag / IMAGINARY


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def columns(bias):
    """Make rows of a bias [P, n] or [n] that add to [P, B, n] or [B, n]."""
    return bias[..., None, :]


def step(cells, p, x, state):
    """Return the state after one step: `p` by name, x [B, inputs]."""
    after = {}
    for n, cell in enumerate(cells):
        U, W, b, h = p[f"layer{n}.U"], p[f"layer{n}.W"], p[f"layer{n}.b"], state[f"layer{n}.h"]
        z = x @ U + h @ W + columns(b)
        if cell == "elman":
            x = np.tanh(z)
        else:
            i, f, g, o = np.split(z, 4, axis=-1)
            c = sigmoid(f) * state[f"layer{n}.c"] + sigmoid(i) * np.tanh(g)
            x = sigmoid(o) * np.tanh(c)
            after[f"layer{n}.c"] = c
        after[f"layer{n}.h"] = x
    return after


def cross_entropy(cells, p, state, y):
    """Return -Σ log softmax(h V + c)_y over the batch."""
    o = state[f"layer{len(cells) - 1}.h"] @ p["head.V"] + columns(p["head.c"])
    chosen = np.take_along_axis(o, np.broadcast_to(y[:, None], (*o.shape[:-1], 1)), axis=-1)[..., 0]
    return (np.log(np.exp(o).sum(axis=-1)) - chosen).sum(axis=-1)


def windows(steps, k1, k2):
    """Yield (first step of the window, first step whose loss counts, end)."""
    for t in range(0, steps, k1):
        yield max(0, t + k1 - k2), t, min(t + k1, steps)


def window_loss(cells, weights, x, y, states, window):
    """Return the summed loss of a window; `weights[t]` are the arrays at step t, `states[t]` the state before it."""
    first, counted_from, end = window
    state, loss = states[first], 0.0
    for t in range(first, end):
        state = step(cells, weights[t], x[t], state)
        if t >= counted_from:
            loss = loss + cross_entropy(cells, weights[t], state, y[t])
    return loss
