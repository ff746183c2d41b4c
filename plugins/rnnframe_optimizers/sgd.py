"""Stochastic gradient descent, with momentum as in Sutskever, Martens, Dahl & Hinton (2013)."""

from typing import ClassVar

import attrs
from attrs.validators import and_, ge, lt

from rnnframe.plugin import Array
from rnnframe_optimizers.pieces import ElementwiseOptimizer, decay_field, lr_field


@attrs.frozen(kw_only=True)
class SGD(ElementwiseOptimizer):
    """v ← μ v + g + λ p;  p ← p - lr v, or with nesterov p ← p - lr (g + λ p + μ v). torch's form of both."""

    name: ClassVar[str] = "sgd"
    lr: float = lr_field(0.1)
    momentum: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)), metadata={"help": "momentum μ"})
    nesterov: bool = attrs.field(default=False, metadata={"help": "look ahead by one momentum step"})
    weight_decay: float = decay_field()

    @nesterov.validator
    def _nesterov_needs_momentum(self, _: object, nesterov: bool) -> None:
        if nesterov and not self.momentum:
            raise ValueError("'nesterov' needs momentum > 0: momentum=0.0")

    def slots(self) -> tuple[str, ...]:
        """The velocity v, where there is momentum."""
        return ("velocity",) if self.momentum else ()

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        if self.weight_decay:
            g += self.weight_decay * p
        for v in slots:
            v *= self.momentum
            v += g
            if self.nesterov:
                g += self.momentum * v
            else:
                g[...] = v
        g *= lr
        p -= g
