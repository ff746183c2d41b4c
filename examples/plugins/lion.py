"""Lion: Chen et al. (2023), "Symbolic discovery of optimization algorithms", arXiv 2302.06675."""

import attrs
import numpy as np

from rnnframe.plugin import Optimizer


@attrs.frozen(kw_only=True)
class Lion(Optimizer):
    """p ← p - lr (sign(β1 m + (1 - β1) g) + λ p);  m ← β2 m + (1 - β2) g."""

    name = "lion"
    lr: float = attrs.field(default=3e-4, metadata={"help": "learning rate, 3 to 10 times smaller than Adam's"})
    beta1: float = attrs.field(default=0.9, metadata={"help": "share of m in the step"})
    beta2: float = attrs.field(default=0.99, metadata={"help": "how slowly m forgets"})
    weight_decay: float = attrs.field(default=0.0, metadata={"help": "decoupled weight decay λ"})

    def slots(self):
        return ("m",)

    def update(self, parameters, gradients, slots, step, lr):
        m = slots["m"]
        parameters -= lr * (np.sign(self.beta1 * m + (1 - self.beta1) * gradients) + self.weight_decay * parameters)
        m += (1 - self.beta2) * (gradients - m)
