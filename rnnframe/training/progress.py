"""Where a training is: with parameters, slots and state all that a resumed run needs."""

import math
from collections.abc import Mapping
from typing import Any

import attrs
from attrs.validators import and_, deep_mapping, ge, instance_of, le, optional

from rnnframe.errors import RunError

_COUNTER: Any = and_(instance_of(int), ge(0), le(2**53))
_LOSS: Any = instance_of((float, int))
_WEIGHT: Any = and_(instance_of((float, int)), ge(0), le(2**53))


def _counter() -> int:
    counter: int = attrs.field(default=0, validator=_COUNTER)
    return counter


def _loss() -> float | None:
    loss: float | None = attrs.field(default=None, validator=optional(_LOSS))
    return loss


@attrs.define(kw_only=True)
class Progress:
    """Where a training is; every checkpoint contains it.

    Attributes
    ----------
    epoch, batch
        Finished epochs, and finished batches of the running epoch.
    updates
        Updates of the parameters.
    draws
        Runs of the engine, each with random masks of its own.
    loss_sum, count
        Sum and number of the losses of the running epoch.
    train_loss
        Mean loss of the last finished epoch.
    valid_loss, measures
        Results of the last evaluation.
    best_loss, best_measures, best
        The lowest `valid_loss`, the measures beside it, and the number of the checkpoint that has it.
    stale
        Evaluations since the best one.
    skipped
        Batches whose loss or gradient was not finite.
    gradient_norm, learning_rate
        Of the last update.
    waiting_batches, waiting_count, waiting_loss
        Batches, losses and sum of losses that are accumulated for the next update.
    gathered_from, falls_from
        Where the gradients of the coming update, and those of the first update after the warm-up, began to be gathered
        (`Course`).
    metrics_size
        Size of the metrics file in bytes.
    data
        Digest of the data.
    blas
        What computed matrix products, as far as it is known: the last bits depend on it.
    """

    epoch: int = _counter()
    batch: int = _counter()
    updates: int = _counter()
    draws: int = _counter()
    loss_sum: float = attrs.field(default=0.0, validator=_LOSS)
    count: float = attrs.field(default=0, validator=_WEIGHT)
    train_loss: float | None = _loss()
    valid_loss: float | None = _loss()
    measures: dict[str, float] = attrs.field(factory=dict, validator=deep_mapping(instance_of(str), _LOSS))
    best_loss: float | None = _loss()
    best_measures: dict[str, float] = attrs.field(factory=dict, validator=deep_mapping(instance_of(str), _LOSS))
    best: int | None = attrs.field(default=None, validator=optional(_COUNTER))
    stale: int = _counter()
    skipped: int = _counter()
    gradient_norm: float = attrs.field(default=0.0, validator=_LOSS)
    learning_rate: float = attrs.field(default=0.0, validator=_LOSS)
    waiting_batches: int = _counter()
    waiting_count: float = attrs.field(default=0, validator=_WEIGHT)
    waiting_loss: float = attrs.field(default=0.0, validator=_LOSS)
    gathered_from: float = attrs.field(default=0.0, validator=_WEIGHT)
    falls_from: float | None = attrs.field(default=None, validator=optional(_WEIGHT))
    metrics_size: int = _counter()
    data: str = attrs.field(default="", validator=instance_of(str))
    blas: str = attrs.field(default="", validator=instance_of(str))

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> "Progress":
        """Return the progress from the values in a checkpoint; raises `RunError` where they are none."""
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            reason = error.args[0] if error.args else error
            raise RunError(f"{where} is damaged or of another version: {reason}") from None

    def number(self, batches: int) -> int:
        """Return how many batches are done in all, where an epoch has so many."""
        return self.epoch * batches + self.batch

    def add(self, loss: float, count: float) -> None:
        """Count a batch with the mean and the number of its losses."""
        self.batch += 1
        self.loss_sum += loss * count
        self.count += count

    def skip(self) -> None:
        """Count a batch from which no update was made."""
        self.batch += 1
        self.skipped += 1

    def judge(self, loss: float, measures: Mapping[str, float], number: int) -> bool:
        """Record an evaluation after `number` batches in all; return whether it is the best so far."""
        self.valid_loss, self.measures = loss, dict(measures)
        if math.isfinite(loss) and (self.best_loss is None or loss < self.best_loss):
            self.best_loss, self.best, self.stale = loss, number, 0
            self.best_measures = self.measures
            return True
        self.stale += 1
        return False

    def end_epoch(self) -> None:
        """Take the mean of the epoch's losses and begin the next one."""
        self.train_loss = self.loss_sum / (self.count or 1)
        self.epoch, self.batch, self.loss_sum, self.count = self.epoch + 1, 0, 0.0, 0
