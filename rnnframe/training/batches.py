"""Training on one batch after the other."""

from collections.abc import Iterator

from rnnframe.arrays import Vector
from rnnframe.contracts.records import BatchRecord, SkippedRecord
from rnnframe.data.batch import Batch
from rnnframe.data.draws import Draw
from rnnframe.errors import NonFiniteError
from rnnframe.training.clock import Clock
from rnnframe.training.non_finite import first_non_finite
from rnnframe.training.own_batches import OwnBatches
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress


def batches_from(prepared: Prepared, progress: Progress, epochs: int) -> Iterator[Batch]:
    """Yield the batches from where a training is to the end of its last epoch; a thread of its own goes through them.

    A rank of several makes its own samples, unless the gradient of whole batches is watched.

    `progress` is read when the first batch is asked for and not after that.
    """
    made = OwnBatches(prepared.data, prepared.trainer.engine, whole=prepared.options.watch_gradients)
    first, start = progress.epoch, progress.batch
    for epoch in range(first, epochs):
        for number in range(start, prepared.data.batches):
            yield made.batch(epoch, number)
        start = 0


class BatchTraining:
    """Trains on batches and counts them in `progress`. `state` is carried from one to the next where they say so."""

    def __init__(self, prepared: Prepared, progress: Progress, state: Vector | None = None) -> None:
        self.progress = progress
        self.state = state
        self.clock = Clock()
        self.peak_bytes = 0
        self._trainer = prepared.trainer
        self._data = prepared.data
        self._skips = prepared.options.on_nonfinite == "skip"
        self._watches = prepared.options.watch_gradients
        self.latest: tuple[Batch, Vector | None] | None = None
        """The last batch and the state before it, where gradients are watched."""

    def take(self, batch: Batch) -> BatchRecord | SkippedRecord:
        """Train on a batch, or skip it; raises `NonFiniteError` where it may not be skipped."""
        progress, before = self.progress, self.state if batch.carry else None
        self._begin_batch()
        self.latest = (batch, before) if self._watches else None
        try:
            outcome = self._trainer.step(batch.x, batch.y, before, batch.lengths, batch.resets, batch.weights)
        except NonFiniteError as error:
            return self._skip(batch, before, error)
        self.clock.stop(batch.steps)
        self.state, self.peak_bytes = outcome.state, outcome.report.peak_bytes
        progress.add(outcome.loss, outcome.count)
        progress.updates = self._trainer.updates
        gradient_norm, learning_rate = self._trainer.last
        return BatchRecord(
            epoch=progress.epoch + 1,
            batch=progress.batch,
            update=progress.updates,
            loss=outcome.loss,
            count=outcome.count,
            gradient_norm=gradient_norm,
            learning_rate=learning_rate,
            steps=batch.steps,
            seconds=self.clock.last,
            peak_bytes=self.peak_bytes,
        )

    def _begin_batch(self) -> None:
        course, waiting = self._trainer.course, self._trainer.accumulation
        if course is not None:
            course.begin(self.progress.epoch, self.progress.batch, waiting=waiting is not None and waiting.batches > 0)

    def _skip(self, batch: Batch, before: Vector | None, error: NonFiniteError) -> SkippedRecord:
        """Leave a batch out whose loss or gradient is not finite; the next one begins with a state of zeros."""
        progress = self.progress
        engine = self._trainer.engine
        before = None if before is None else engine.complete_state(before)
        whole = self._data.batch(progress.epoch, progress.batch) if engine.group.size > 1 else batch
        place = first_non_finite(engine.running, whole, before, Draw(engine.seed, engine.draws))
        reason = f"epoch {progress.epoch + 1}, batch {progress.batch + 1}: {error}; not finite first: {place}"
        if not self._skips:
            raise NonFiniteError(reason) from None
        self.state = None
        progress.skip()
        progress.updates = self._trainer.updates
        if progress.batch == self._data.batches and not progress.count:
            raise NonFiniteError(f"every batch of an epoch was skipped; the last: {reason}") from None
        return SkippedRecord(epoch=progress.epoch + 1, batch=progress.batch, update=progress.updates, reason=reason)

    def finish_epoch(self) -> None:
        """Make the update that accumulated batches wait for, and begin the next epoch; raises `NonFiniteError`."""
        now = self.progress
        try:
            self._trainer.finish()
        except NonFiniteError as error:
            raise NonFiniteError(f"last update of epoch {now.epoch + 1}, batch {now.batch}: {error}") from None
        now.updates = self._trainer.updates
        now.end_epoch()
