"""An optimizer for rnnframe: Signum, the sign of a momentum.

Bernstein, Wang, Azizzadenesheli & Anandkumar (2018), "signSGD", arXiv 1802.04434. Put your rule in the place of this
one: `slots` names what is remembered between updates, `update` makes one.
"""

from collections.abc import Iterable
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge, lt

from rnnframe.arrays import Array, Arrays
from rnnframe.plugin import Optimizer, hookimpl


@attrs.frozen(kw_only=True)
class Example(Optimizer):
    """m ← β m + (1 - β) g;  p ← p - lr sign(m)."""

    name: ClassVar[str] = "example"
    lr: float = attrs.field(default=1e-3, validator=ge(0), metadata={"help": "learning rate: how far each step goes"})
    beta: float = attrs.field(default=0.9, validator=[ge(0), lt(1)], metadata={"help": "how slowly m forgets, β"})

    def slots(self) -> tuple[str, ...]:
        """The momentum m."""
        return ("m",)

    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """One update, in place; `lr` is the scheduled learning rate."""
        m = slots["m"]
        m *= self.beta
        m += (1 - self.beta) * gradients
        parameters -= lr * np.sign(m)


@hookimpl
def rnnframe_optimizers() -> Iterable[type[Optimizer]]:
    """Provide the optimizer."""
    return [Example]
