"""Quantiles of real targets by the pinball loss (Koenker & Bassett 1978): three outputs a column, one target."""

import attrs
import numpy as np

from rnnframe.plugin import Loss


@attrs.frozen(kw_only=True)
class Quantile(Loss):
    """Pinball loss; outputs stand column by column, each with all its quantiles."""

    name = "quantile"
    columns: int = attrs.field(default=1, metadata={"help": "real values of a target"})
    quantiles: tuple[float, ...] = attrs.field(default=(0.1, 0.5, 0.9), metadata={"help": "such as 0.1;0.5;0.9"})

    @property
    def width(self):
        return self.columns * len(self.quantiles)

    @property
    def target_width(self):
        return self.columns

    def losses_and_gradients(self, o, y):
        q = np.tile(np.array(self.quantiles, o.dtype), self.columns)
        missing = np.repeat(y, len(self.quantiles), axis=1) - o
        o[...] = np.where(missing > 0, -q, 1 - q)
        return np.maximum(q * missing, (q - 1) * missing).sum(axis=1)
