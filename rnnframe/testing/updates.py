"""An optimizer at work: on vectors between guard zones, and down a function."""

from typing import Any

import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.optimizer import NamedOptimizer, NamedParameter, Optimizer
from rnnframe.testing.guarded import Guarded
from rnnframe.testing.problems import Problem
from rnnframe.testing.suite import fail

RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1.5e-3, 3e-4)


class Updates:
    """Parameters and slots between guard zones, and an optimizer that is at work on them."""

    def __init__(self, optimizer: Optimizer, start: Array) -> None:
        self.optimizer = optimizer
        self.vectors = Guarded("vectors", {"p": start.shape, "g": start.shape}, start.dtype)
        self.slots = Guarded("slots", dict.fromkeys(optimizer.slots(), (len(start),)), start.dtype)
        self.slots.fill(0)
        self.parameters = self.vectors["p"]
        self.parameters[...] = start
        self.step = 0

    def update(self, gradient: Array, lr: float | None = None) -> None:
        """Make the next update; afterwards the gradient is NaN."""
        self.step += 1
        self.vectors["g"][...] = gradient
        vectors, rate = self.vectors.handed(), self.optimizer.lr if lr is None else lr
        with np.errstate(all="ignore"):
            given: Any = self.optimizer.update(vectors["p"], vectors["g"], self.slots.handed(), self.step, rate)
        if given is not None:
            fail("update returns a value; it changes the parameters in place and returns None")
        self.vectors.verify("update")
        self.slots.verify("update")
        self.vectors["g"].fill(np.nan)


class NamedRun:
    """One named parameter with its slots between guard zones, and an optimizer that is at work on it."""

    def __init__(self, optimizer: NamedOptimizer, name: str, start: Array) -> None:
        self.optimizer = optimizer
        self.name = name
        self.arrays = Guarded("parameter", {"value": start.shape, "gradient": start.shape}, start.dtype)
        self.slots = Guarded("slots", optimizer.slot_shapes(name, start.shape), start.dtype)
        self.slots.fill(0)
        self.value = self.arrays["value"]
        self.value[...] = start
        self.step = 0

    def update(self, gradient: Array, lr: float | None = None) -> None:
        """Make the next update; afterwards the gradient is NaN."""
        self.step += 1
        self.arrays["gradient"][...] = gradient
        parameter = NamedParameter(name=self.name, slots=self.slots.handed(), **self.arrays.handed())
        with np.errstate(all="ignore"):
            self.optimizer.update_parameter(parameter, self.step, self.optimizer.lr if lr is None else lr)
        self.arrays.verify("update_parameter")
        self.slots.verify("update_parameter")
        self.arrays["gradient"].fill(np.nan)


def rates_for(optimizer: Optimizer) -> list[float]:
    """Return learning rates to try, that of the optimizer first."""
    return sorted({optimizer.lr, *RATES}, key=lambda rate: abs(np.log(rate / (optimizer.lr or 1))))


def descend(optimizer: Optimizer, problem: Problem, updates: int, rate: float, enough: float) -> float:
    """Return the share of the starting loss that is left at the end, or as soon as it is little enough."""
    p = np.array(problem.start)
    slots = {name: np.zeros_like(p) for name in optimizer.slots()}
    first = problem.loss(p)
    with np.errstate(all="ignore"):
        for n in range(updates):
            optimizer.update(p, problem.gradient(p), slots, n + 1, rate * (1 - n / updates))
            if n % 100 == 99:
                share = problem.loss(p) / first
                if not share < 1e6:
                    return float("inf")
                if share <= enough / 10:
                    return float(share)
        share = problem.loss(p) / first
    return float(share) if np.isfinite(share) else float("inf")


def random_walk(size: int, updates: int, dtype: str, *, scales: bool = False) -> tuple[Array, list[Array]]:
    """Return starting parameters and gradients, with `scales` of very different sizes."""
    rng = np.random.default_rng(5)
    start = rng.normal(size=size).astype(dtype)
    sizes = 10.0 ** rng.uniform(-4, 1, updates) if scales else np.ones(updates)
    return start, [(rng.normal(size=size) * scale).astype(dtype) for scale in sizes]
