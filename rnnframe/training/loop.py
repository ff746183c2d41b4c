"""The loop of a training: batches, evaluations and checkpoints, each when it is time."""

from collections.abc import Callable

from rnnframe.arrays import Vector
from rnnframe.contracts.records import BatchRecord
from rnnframe.data.batch import Batch
from rnnframe.data.prefetch import Prefetch
from rnnframe.runs.folder import RunFolder
from rnnframe.training.batches import BatchTraining, batches_from
from rnnframe.training.checkpointing import save_training
from rnnframe.training.events import end_of, epoch_of, evaluation_of, start_of
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress
from rnnframe.training.reporting import Watchers
from rnnframe.training.validation import Validation
from rnnframe.training.watching import look

POLL_SECONDS = 0.2
"""Seconds for which a batch is waited for before it is asked whether to stop."""


class TrainingLoop:
    """Goes through the batches that are left, and tells the watchers. `state` is the one to begin with, if any."""

    def __init__(
        self,
        prepared: Prepared,
        progress: Progress,
        state: Vector | None,
        watchers: Watchers,
        run: RunFolder | None,
    ) -> None:
        self._prepared = prepared
        self._progress = progress
        self._watchers = watchers
        self._run = run
        self._running = False
        self._group = prepared.trainer.engine.group
        self._batches = BatchTraining(prepared, progress, state)
        self.validation = Validation(prepared)

    @property
    def number(self) -> int:
        """Batches trained so far, in all epochs."""
        return self._progress.number(self._prepared.data.batches)

    @property
    def ended(self) -> str | None:
        """Why there is nothing more to train, if so."""
        now, patience = self._progress, self._prepared.options.patience
        if now.epoch >= self._prepared.options.epochs:
            return f"has finished its {now.epoch} epochs; give a larger --epochs to go on"
        if patience is not None and now.stale >= patience:
            return f"ended after {now.stale} evaluations without a better one; give a larger --patience"
        return None

    def run(self, stop: Callable[[], bool]) -> bool:
        """Train to the end, or until `stop` says so; return whether the end was reached."""
        self._watchers.on_start(start_of(self._prepared, self._progress))
        self._running = True
        try:
            finished = self._train(stop)
        except BaseException as error:
            self._watchers.on_end(end_of(self._progress, "failed", f"{type(error).__name__}: {error}"))
            raise
        finally:
            self._running = False
        self._watchers.on_end(end_of(self._progress, "finished" if finished else "stopped"))
        return finished

    def save(self) -> None:
        """Write a checkpoint, and the weights where none were better, if there is a run folder; raises `RunError`."""
        trainer, state = self._prepared.trainer, self._batches.state
        if state is not None:
            state = trainer.engine.complete_state(state)
        if trainer.accumulation is not None:
            trainer.accumulation.complete()
        if self._run is not None:
            record = save_training(self._run, self._prepared, self._progress, state)
            if self._running:  # watchers are told of nothing before the start
                self._watchers.on_checkpoint(record)

    def _train(self, stop: Callable[[], bool]) -> bool:
        with Prefetch(batches_from(self._prepared, self._progress, self._prepared.options.epochs)) as coming:
            while not self.ended:
                self._batches.clock.start()
                while not coming.wait(POLL_SECONDS):
                    if self._group.size == 1 and stop():
                        coming.leave()
                        self.save()
                        return False
                self._take(next(coming))
                if any(self._group.gather(stop())) and not self.ended:
                    self.save()
                    return False
        return True

    def _take(self, batch: Batch) -> None:
        """Train on a batch, then evaluate and save if it is time."""
        options = self._prepared.options
        record = self._batches.take(batch)
        if isinstance(record, BatchRecord):
            self._watchers.on_batch(record)
        else:
            self._watchers.on_skipped(record)
        better, epoch_ended = False, self._progress.batch == self._prepared.data.batches
        if epoch_ended:
            better = self._end_epoch()
        elif self._due(options.evaluate_every):
            better = self._judge(f"epoch {self._progress.epoch + 1}, batch {self._progress.batch}")
            self._watchers.on_evaluation(evaluation_of(self._progress))
            self._look()
        if better or epoch_ended or self._due(options.save_every) or self.ended:
            self.save()

    def _end_epoch(self) -> bool:
        place = f"epoch {self._progress.epoch + 1}, batch {self._progress.batch}"
        self._batches.finish_epoch()
        better = self._judge(place)
        self._watchers.on_epoch(epoch_of(self._progress, self._batches.clock.rate, self._batches.peak_bytes))
        self._look()
        return better

    def _look(self) -> None:
        if self._batches.latest is None:
            return
        batch, before = self._batches.latest
        whole = None if before is None else self._prepared.trainer.engine.complete_state(before)
        if self._group.rank == 0 and (record := look(self._prepared, self._progress, batch, whole)):
            self._watchers.on_gradients(record)

    def _judge(self, place: str) -> bool:
        return self.validation.judge(self._progress, self.number, place)

    def _due(self, every: int | None) -> bool:
        return every is not None and self._progress.batch % every == 0
