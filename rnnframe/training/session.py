"""Training a network on a task: epochs, validation, metrics, checkpoints.

Every batch follows from the data, the options and its number, and the state is carried where the batch says so (the
gradient is not); so parameters, slots, state and position are all that a resumed run needs to go on bit for bit. A
thread makes the next batch while one is trained on.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

import attrs

from rnnframe.arrays import Vector
from rnnframe.contracts.kernels import NUMPY
from rnnframe.contracts.records import (
    BatchRecord,
    CheckpointRecord,
    EndRecord,
    EpochRecord,
    EvaluationRecord,
    SkippedRecord,
    StartRecord,
)
from rnnframe.contracts.task import Dataset, Task
from rnnframe.data.batch import Batch
from rnnframe.data.prefetch import Prefetch
from rnnframe.engine.engine import Engine
from rnnframe.engine.inference import Inference
from rnnframe.errors import NonFiniteError, RunError
from rnnframe.network.network import Network
from rnnframe.registry.kernels import choose, kernels_used
from rnnframe.registry.registry import Registry
from rnnframe.registry.specs import chosen_options, render
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.model import Model
from rnnframe.training.clock import Clock
from rnnframe.training.non_finite import first_non_finite
from rnnframe.training.options import TrainingOptions
from rnnframe.training.progress import Progress
from rnnframe.training.reporting import Watchers
from rnnframe.training.resume import checkpoint_of, restore_training
from rnnframe.training.scoring import Score, score
from rnnframe.training.trainer import Trainer

POLL_SECONDS = 0.2
"""Seconds for which a batch is waited for before it is asked whether to stop."""


class Training:
    """A training of a fresh network on the data of a task, written to a run folder if there is one."""

    def __init__(
        self, options: TrainingOptions, task: Task, data: Dataset, registry: Registry, run: RunFolder | None = None
    ) -> None:
        self.options = options
        self.data = data
        self.run = run
        self.watchers = Watchers()
        network = Network(
            cells=[*options.cell] * options.layers,
            head=data.head,
            inputs=data.inputs,
            seed=options.seed,
            dtype=options.dtype,
            embedding_std=options.embedding_std if data.looked_up else None,
            registry=registry,
        )
        self.model = Model(network=network, task=task, learnt=data.learnt)
        self.shapes = Counter(data.shape(number) for number in range(data.batches))
        kernels = choose(options.kernels, registry)
        self._kernels = kernels.name if kernels else NUMPY
        engine = Engine(network, options.store, options.chunk, options.shards, registry, kernels or NUMPY)
        rate = registry.learning_rate(options.rate).over(options.epochs * self._updates_per_epoch(engine))
        self.trainer = Trainer(engine, options.optimizer, options.clip, rate, registry, options.accumulate)
        for shape in self.shapes:
            self.trainer.check_accumulation(*shape)
        self.progress = Progress()
        self.clock = Clock()
        self.peak_bytes = 0
        self.state: Vector | None = None

    def resolved_options(self) -> TrainingOptions:
        """Return the options with the store, shards and kernels that are really used, to go on with them for sure.

        What chose a store may choose otherwise another day, and shards or kernels on another machine.
        """
        engine, options = self.trainer.engine, self.options
        plans = engine.run_plan(*max(self.shapes)).shards
        options = attrs.evolve(options, shards=len(plans), kernels=self._kernels)
        if plans[0].store == engine.store:
            return options
        return attrs.evolve(options, store=render(plans[0].store), chunk=plans[0].grid.longest)

    def plugins(self, registry: Registry) -> tuple[str, ...]:
        """Return the files and modules, named by the user and not installed, that this training needs."""
        engine, optimizer = self.trainer.engine, self.trainer.optimizer
        used = [("cell", cell.name) for cell in self.model.network.cells]
        used += [("task", self.model.task.name), ("store", engine.store.name), ("optimizer", optimizer.name)]
        used += [("kernels", self._kernels)]
        owners = [owner for owner in (registry.owner(kind, name) for kind, name in used) if owner]
        return tuple(sorted({owner.source for owner in owners if owner.source}))

    def _updates_per_epoch(self, engine: Engine[Network]) -> int:
        if self.options.accumulate > 1:
            return -(-self.data.batches // self.options.accumulate)
        return sum(n * max(1, engine.plan(*shape).simulation.updates) for shape, n in self.shapes.items())

    def resume(self) -> None:
        """Take parameters, slots, state and progress from the run folder's checkpoint; raises `RunError`."""
        assert self.run is not None
        where = f"the checkpoint of {str(self.run.path)!r}"
        checkpoint = self.run.load()
        self.progress = Progress.read(checkpoint.progress, where)
        if self.progress.data != self.data.digest:
            raise RunError(f"the data has changed since {where} was made; put the old one back or start a new run")
        if self.progress.batch >= self.data.batches:
            raise RunError(f"{where} is after batch {self.progress.batch} of an epoch, which has {self.data.batches}")
        self.state = restore_training(checkpoint, self.progress, self.model, self.trainer, where)
        self.run.cut_metrics(self.progress.metrics_size)
        self.run.mend_weights(checkpoint)

    def save(self) -> None:
        """Write a checkpoint, and the weights where none were better, if there is a run folder."""
        if self.run is not None:
            self.progress.data, self.progress.metrics_size = self.data.digest, self.run.metrics_size()
            checkpoint = checkpoint_of(self.model, self.trainer, self.progress, self.state, self.number)
            self.run.save(checkpoint, keep=self.options.keep)
            path, best = self.run.checkpoints.path(self.number), checkpoint.best == self.number
            self.watchers.on_checkpoint(CheckpointRecord(number=self.number, path=str(path), best=best))

    @property
    def number(self) -> int:
        """Batches trained so far, in all epochs."""
        return self.progress.epoch * self.data.batches + self.progress.batch

    @property
    def ended(self) -> str | None:
        """Why there is nothing more to train, if so."""
        patience = self.options.patience
        if self.progress.epoch >= self.options.epochs:
            return f"has finished its {self.progress.epoch} epochs; give a larger --epochs to go on"
        if patience is not None and self.progress.stale >= patience:
            return f"ended after {self.progress.stale} evaluations without a better one; give a larger --patience"
        return None

    def go(self, stop: Callable[[], bool]) -> bool:
        """Train to the end, or until `stop` says so after a batch; return whether the end was reached.

        While the next batch is waited for, as where it comes from a pipe, `stop` is asked five times a second.
        Raises `NonFiniteError` with the batch, the step and the layer named, unless such batches are to be skipped;
        the checkpoint before it stays.
        """
        self.watchers.on_start(self._start())
        try:
            finished = self._go(stop)
        except BaseException as error:
            self.watchers.on_end(self._end("failed", f"{type(error).__name__}: {error}"))
            raise
        self.watchers.on_end(self._end("finished" if finished else "stopped"))
        return finished

    def _go(self, stop: Callable[[], bool]) -> bool:
        with Prefetch(self._coming()) as coming:
            while not self.ended:
                self.clock.start()
                while not coming.wait(POLL_SECONDS):
                    if stop():
                        coming.leave()
                        self.save()
                        return False
                self._do(next(coming))
                epoch_ended = self.progress.batch == self.data.batches
                better = False
                if epoch_ended:
                    better = self._end_epoch()
                elif self._due(self.options.evaluate_every):
                    better = self._evaluate_midway()
                if better or epoch_ended or self._due(self.options.save_every) or self.ended:
                    self.save()
                if stop() and not self.ended:
                    self.save()
                    return False
        return True

    def _coming(self) -> Iterator[Batch]:
        """Yield the batches from here to the end of the last epoch; a thread of its own goes through them."""
        start = self.progress.batch
        for epoch in range(self.progress.epoch, self.options.epochs):
            for number in range(start, self.data.batches):
                yield self.data.batch(epoch, number)
            start = 0

    def _due(self, every: int | None) -> bool:
        return every is not None and self.progress.batch % every == 0

    def _do(self, batch: Batch) -> None:
        """Train on a batch, or skip it."""
        progress, before = self.progress, self.state if batch.carry else None
        try:
            outcome = self.trainer.step(batch.x, batch.y, before, batch.lengths, batch.resets)
        except NonFiniteError as error:
            self._skip(batch, before, error)
            return
        self.clock.stop(batch.steps)
        self.state, self.peak_bytes = outcome.state, outcome.report.peak_bytes
        progress.add(outcome.loss, outcome.count)
        progress.updates = self.trainer.updates
        gradient_norm, learning_rate = self.trainer.last
        self.watchers.on_batch(
            BatchRecord(
                epoch=progress.epoch + 1,
                batch=progress.batch,
                update=progress.updates,
                loss=outcome.loss,
                count=outcome.count,
                gradient_norm=gradient_norm,
                learning_rate=learning_rate,
                steps=batch.steps,
                seconds=self.clock.last,
                peak_bytes=outcome.report.peak_bytes,
            )
        )

    def _skip(self, batch: Batch, before: Vector | None, error: NonFiniteError) -> None:
        """Leave a batch out whose loss or gradient is not finite; the next one begins with a state of zeros."""
        progress = self.progress
        place = first_non_finite(self.trainer.engine.running, batch, before)
        reason = f"epoch {progress.epoch + 1}, batch {progress.batch + 1}: {error}; not finite first: {place}"
        if self.options.on_nonfinite == "stop":
            raise NonFiniteError(reason) from None
        self.state = None
        progress.skip()
        progress.updates = self.trainer.updates
        if progress.batch == self.data.batches and not progress.count:
            raise NonFiniteError(f"every batch of an epoch was skipped; the last: {reason}") from None
        self.watchers.on_skipped(
            SkippedRecord(epoch=progress.epoch + 1, batch=progress.batch, update=progress.updates, reason=reason)
        )

    def _evaluate_midway(self) -> bool:
        now = self.progress
        better = self._judge(self.number, f"epoch {now.epoch + 1}, batch {now.batch}")
        self.watchers.on_evaluation(
            EvaluationRecord(
                epoch=now.epoch + 1,
                batch=now.batch,
                update=now.updates,
                valid_loss=now.valid_loss or 0.0,
                measures=now.measures,
            )
        )
        return better

    def _end_epoch(self) -> bool:
        now = self.progress
        try:
            self.trainer.finish()
        except NonFiniteError as error:
            raise NonFiniteError(f"last update of epoch {now.epoch + 1}, batch {now.batch}: {error}") from None
        now.updates = self.trainer.updates
        epoch, batch = now.epoch + 1, now.batch
        now.end_epoch()
        better = self._judge(self.number, f"epoch {epoch}, batch {batch}")
        self.watchers.on_epoch(
            EpochRecord(
                epoch=now.epoch,
                update=now.updates,
                train_loss=now.train_loss or 0.0,
                valid_loss=now.valid_loss or 0.0,
                measures=now.measures,
                skipped=now.skipped,
                steps_per_second=self.clock.rate,
                peak_bytes=self.peak_bytes,
            )
        )
        return better

    def _judge(self, number: int, place: str) -> bool:
        try:
            judged = self.evaluate()
        except NonFiniteError as error:
            if self.options.on_nonfinite == "stop":
                raise NonFiniteError(f"evaluation after {place}: {error}") from None
            return self.progress.judge(math.inf, {}, number)
        return self.progress.judge(judged.loss, judged.measures, number)

    def evaluate(self) -> Score:
        """Return how well the network does on the held-out part."""
        running = self.trainer.engine.running
        return score(Inference(running, self.options.chunk, NUMPY), self.data.valid)

    def _start(self) -> StartRecord:
        now = self.progress
        return StartRecord(
            task=render(self.model.task),
            unit=self.model.task.unit,
            options=chosen_options(self.options),
            parameters=self.model.network.parameters.flat.size,
            kernels=kernels_used(self.trainer.engine.running.kernels),
            epochs=self.options.epochs,
            batches=self.data.batches,
            epoch=now.epoch + 1,
            batch=now.batch,
            update=now.updates,
            loss=now.loss_sum / max(1, now.count),
            count=now.count,
            valid_loss=now.valid_loss,
            measures=now.measures,
        )

    def _end(self, outcome: Literal["finished", "stopped", "failed"], reason: str = "") -> EndRecord:
        now = self.progress
        return EndRecord(
            outcome=outcome,
            reason=reason,
            epoch=now.epoch + 1,
            batch=now.batch,
            update=now.updates,
            valid_loss=now.valid_loss,
            measures=now.measures,
        )
