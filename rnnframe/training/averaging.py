"""The exponential moving average of the parameters, with which a network is evaluated while it trains.

Averages of the weights along a training generalize better than its last weights: Polyak & Juditsky (1992),
"Acceleration of stochastic approximation by averaging". The average here is the one of Kingma & Ba (2015, arXiv
1412.6980, section 7.2), without its bias towards the start: the weights after update k of t count decay^(t - k), and
these factors are divided by their sum, (1 - decay^t) / (1 - decay). What is kept is the corrected average itself,

    average_t = average_(t-1) + (1 - decay) / (1 - decay^t) (weights_t - average_(t-1)),

so that it is one array, and follows from the weights and the number of updates alone.
"""

from typing import Any, ClassVar, Self

import attrs
import numpy as np
from attrs.validators import and_, ge, lt

from rnnframe.arrays import Vector
from rnnframe.errors import OptionError
from rnnframe.registry.specs import Spec, build

BLOCK = 1 << 14
"""Parameters that are averaged at once: their difference stays in the cache, and is the only other memory."""

_DECAY: Any = and_(ge(0.0), lt(1.0))


@attrs.frozen(kw_only=True)
class ExponentialAverage:
    """The options of an average over the updates of a training.

    Parameters
    ----------
    decay
        How much less the weights of an update count than those of the next one: 0.999 averages about 1,000 updates.

    Raises
    ------
    ValueError
        For a decay that is not in [0, 1).
    """

    name: ClassVar[str] = "ema"

    decay: float = attrs.field(default=0.999, validator=_DECAY)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "ema:decay=0.999"; raises `OptionError`."""
        spec = Spec.parse(text, "average")
        if spec.name != cls.name:
            raise OptionError(f"average {spec.name!r} is invalid; expected {cls.name}, as in ema:decay=0.999")
        return build(cls, spec.options, "average", spec.name)


class AveragedParameters:
    """The average of parameters after every update so far; those that a training begins with before the first.

    Parameters
    ----------
    options
        How much each update counts.
    parameters
        Those that are averaged, as they are at the beginning.

    Attributes
    ----------
    values
        The average, by name. With the number of updates, a resumed training needs no more.
    """

    def __init__(self, options: ExponentialAverage, parameters: Vector) -> None:
        self.options = options
        self.values = parameters.copy()
        self._room = np.empty(min(BLOCK, parameters.flat.size), parameters.flat.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the average."""
        return self.values.nbytes

    def add(self, parameters: Vector, update: int) -> None:
        """Take the parameters in after an update, which counts from 1."""
        share = (1 - self.options.decay) / (1 - self.options.decay**update)
        if share >= 1:
            self.values.copy_from(parameters)
            return
        mean, new = self.values.flat, parameters.flat
        for start in range(0, mean.size, BLOCK):
            part = mean[start : start + BLOCK]
            change = np.subtract(new[start : start + BLOCK], part, out=self._room[: part.size])
            change *= mean.dtype.type(share)
            part += change
