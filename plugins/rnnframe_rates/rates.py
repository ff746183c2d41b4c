"""Learning-rate schedules: a factor for the optimizer's `lr` at each update, each with a linear warm-up.

With u updates done since the warm-up and n updates in all after it, the factor is the following; where no n was given,
u/n is the share of the training after its warm-up that is done.

    constant      1
    linear        1 - (1 - floor) u/n
    cosine        floor + (1 - floor) (1 + cos(π u/n)) / 2         Loshchilov & Hutter (2017), arXiv 1608.03983
    exponential   max(floor, rate^(u/every))
    step          max(floor, rate^⌊u/every⌋)
"""

import math
from typing import ClassVar

import attrs
from attrs.validators import and_, ge, gt, le, optional

from rnnframe.plugin import LearningRate, OptionError


def _floor_field() -> float:
    field: float = attrs.field(default=0.0, validator=and_(ge(0), le(1)), metadata={"help": "smallest factor"})
    return field


@attrs.frozen(kw_only=True)
class Constant(LearningRate):
    """The same rate from the warm-up on."""

    name: ClassVar[str] = "constant"

    def decay(self, done: int, share: float | None = None) -> float:
        """One."""
        return 1.0


@attrs.frozen(kw_only=True)
class _Fall(LearningRate):
    """A fall from 1 to `floor` over `updates` updates."""

    updates: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "updates of the whole training, warm-up included; none: to the end of the training"},
    )
    floor: float = _floor_field()

    def progress(self, done: int, share: float | None) -> float:
        """Return u/n in 0..1; raises `OptionError` where neither n nor the end of the training is known."""
        if self.updates is not None:
            return min(1.0, done / max(1, self.updates - self.warmup))
        if share is None:
            raise OptionError(f"learning rate {self.name!r} needs 'updates'; write {self.name}:updates=...")
        return share


@attrs.frozen(kw_only=True)
class Linear(_Fall):
    """A straight fall to `floor`."""

    name: ClassVar[str] = "linear"

    def decay(self, done: int, share: float | None = None) -> float:
        """1 - (1 - floor) u/n."""
        return 1 - (1 - self.floor) * self.progress(done, share)


@attrs.frozen(kw_only=True)
class Cosine(_Fall):
    """Half a cosine wave down to `floor`."""

    name: ClassVar[str] = "cosine"

    def decay(self, done: int, share: float | None = None) -> float:
        """Floor + (1 - floor) (1 + cos(π u/n)) / 2."""
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * self.progress(done, share))) / 2


@attrs.frozen(kw_only=True)
class _Decay(LearningRate):
    rate: float = attrs.field(
        default=0.5, validator=and_(gt(0), le(1)), metadata={"help": "factor per `every` updates"}
    )
    every: int = attrs.field(default=1000, validator=ge(1), metadata={"help": "updates"})
    floor: float = _floor_field()


@attrs.frozen(kw_only=True)
class Exponential(_Decay):
    """A smooth fall by `rate` per `every` updates."""

    name: ClassVar[str] = "exponential"

    def decay(self, done: int, share: float | None = None) -> float:
        """rate^(u/every), not below the floor."""
        return max(self.floor, float(self.rate ** (done / self.every)))


@attrs.frozen(kw_only=True)
class Step(_Decay):
    """A fall by `rate` every `every` updates."""

    name: ClassVar[str] = "step"

    def decay(self, done: int, share: float | None = None) -> float:
        """rate^⌊u/every⌋, not below the floor."""
        return max(self.floor, float(self.rate ** (done // self.every)))
