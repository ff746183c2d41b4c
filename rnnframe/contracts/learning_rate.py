"""Learning-rate schedules: a factor for the optimizer's `lr` at each update, each with a linear warm-up.

With u updates done since the warm-up and n updates in all after it, the factor is the following; where no n was given,
u/n is the share of the training after its warm-up that is done.

    constant      1
    linear        1 - (1 - floor) u/n
    cosine        floor + (1 - floor) (1 + cos(π u/n)) / 2         Loshchilov & Hutter (2017), arXiv 1608.03983
    exponential   max(floor, rate^(u/every))
    step          max(floor, rate^⌊u/every⌋)
"""

import abc
from typing import ClassVar

import attrs
from attrs.validators import ge


@attrs.frozen(kw_only=True)
class LearningRate(abc.ABC):
    """A factor from 0 to 1 as a function of the number of the update, which counts from 1.

    Parameters
    ----------
    warmup : int
        Updates in which the factor rises from 0 to 1.
    """

    name: ClassVar[str]
    warmup: int = attrs.field(
        default=0, validator=ge(0), metadata={"help": "updates that rise from 0 to the full rate"}
    )

    def factor(self, update: int, share: float | None = None) -> float:
        """Return the factor of an update; the first is number 1.

        share: how much of the training after the warm-up is done, 0 to 1; None where nobody knows the end.
        """
        if update <= self.warmup:
            return update / (self.warmup + 1)
        return self.decay(update - 1 - self.warmup, share)

    @abc.abstractmethod
    def decay(self, done: int, share: float | None = None) -> float:
        """Return the factor after `done` updates since the warm-up, which are that share of those to come."""
