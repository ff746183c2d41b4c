"""Starting values that the built-in cells share: of U, W and biases, and of the state.

By default U and W are drawn uniformly from ±1/√H. `init=orthogonal` makes the part of W that belongs to each gate an
orthogonal matrix, which neither stretches nor shrinks what is sent through it (Saxe, McClelland & Ganguli 2014,
arXiv 1312.6120; Le, Jaitly & Hinton 2015, arXiv 1504.00941), and draws U by Glorot's rule. `init=glorot` draws both by
Glorot's rule, again gate by gate: uniformly from ±√(6 / (rows + columns)), so that values and gradients keep their size
(Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", AISTATS).
"""

from collections.abc import Callable
from typing import Any, Literal

import attrs
import numpy as np
from attrs.validators import in_, optional

from rnnframe.plugin import START, Array, Arrays, Widths

Init = Literal["orthogonal", "glorot"] | None
INITS = ("orthogonal", "glorot")


def init_option() -> Any:
    """Return the option that says how U and W start."""
    return attrs.field(
        default=None,
        validator=optional(in_(INITS)),
        metadata={"help": "starting values: W orthogonal and U by Glorot's rule, or both so; none: ±1/√H"},
    )


def forget_bias_option() -> Any:
    """Return the option of f's bias: Gers, Schmidhuber & Cummins (2000); one: Jozefowicz et al. (2015), ICML."""
    return attrs.field(default=1.0, metadata={"help": "starting value of f's bias"})


def start_option() -> Any:
    """Return the option that makes the state before the first step a parameter."""
    return attrs.field(
        default=None,
        validator=optional(in_(("learnt",))),
        metadata={"help": "what the state begins with: values that are learnt; none: zeros"},
    )


def learnt_starts(start: str | None, state: Widths) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters that the states begin with, where they are learnt."""
    return {} if start is None else {f"{name}{START}": (width,) for name, width in state.items()}


def fill_zero(parameters: Arrays) -> None:
    """Make all vectors zero: biases, peepholes, and learnt starts of the state."""
    for array in parameters.values():
        if array.ndim == 1:
            array.fill(0)


def fill_matrices(parameters: Arrays, hidden: int, init: Init, rng: np.random.Generator) -> None:
    """Draw U [inputs, gates·H], then W [rows, gates·H], and last, as W, a projection P [H, rows] where there is one."""
    for name in ("U", "W", "P"):
        if name not in parameters:
            continue
        if init is None:
            fill_uniform(parameters[name], hidden, rng)
        else:
            fill = fill_orthogonal if init == "orthogonal" and name != "U" else fill_glorot
            _fill_gates(parameters[name], hidden, fill, rng)


def _fill_gates(
    array: Array, hidden: int, fill: Callable[[Array, np.random.Generator], None], rng: np.random.Generator
) -> None:
    for first in range(0, array.shape[1], hidden):
        fill(array[:, first : first + hidden], rng)


def fill_uniform(array: Array, hidden: int, rng: np.random.Generator) -> None:
    """Draw from U(-1/sqrt(H), 1/sqrt(H)), the range that keeps sums over H units at the size of one."""
    bound = 1 / np.sqrt(hidden)
    array[...] = rng.uniform(-bound, bound, array.shape)


def fill_glorot(array: Array, rng: np.random.Generator) -> None:
    """Draw from U(-a, a), a = √(6 / (rows + columns))."""
    bound = np.sqrt(6 / sum(array.shape))
    array[...] = rng.uniform(-bound, bound, array.shape)


def fill_orthogonal(array: Array, rng: np.random.Generator) -> None:
    """Draw an orthogonal matrix, all alike probable; of one that is not square, the rows or columns are orthonormal.

    The Q of a Gaussian matrix with a positive diagonal of R: Mezzadri (2007), Notices of the AMS 54.
    """
    rows, columns = array.shape
    drawn = rng.normal(size=(max(rows, columns), min(rows, columns)))
    Q, R = np.linalg.qr(drawn)
    Q *= np.where(np.diag(R) < 0, -1, 1)
    array[...] = Q if rows >= columns else Q.T
