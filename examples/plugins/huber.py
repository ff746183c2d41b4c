"""The loss of Huber (1964): squared near the target, straight where the error is large."""

import attrs
import numpy as np

from rnnframe.plugin import Loss


@attrs.frozen(kw_only=True)
class Huber(Loss):
    """Half of the squared error up to `delta`, then a line; averaged over the outputs."""

    name = "huber"
    outputs: int = attrs.field(default=1, metadata={"help": "number of outputs"})
    delta: float = attrs.field(default=1.0, metadata={"help": "error from which on the loss is a line"})

    @property
    def width(self):
        return self.outputs

    def losses_and_gradients(self, o, y):
        error = o - y
        near = np.clip(error, -self.delta, self.delta)
        o[...] = near / self.width
        return (near * (error - near / 2)).mean(axis=1)
