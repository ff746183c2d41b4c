"""Training a network on a task: epochs, validation, metrics, checkpoints.

Every batch follows from the data, the options and its number, and the state is carried where the batch says so (the
gradient is not); so parameters, slots, state and position are all that a resumed run needs to go on bit for bit.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import attrs

from rnnframe.arrays import Array, Vector
from rnnframe.checkpoints import Checkpoint
from rnnframe.engine import Engine
from rnnframe.errors import NonFiniteError, RunError
from rnnframe.inference import Inference
from rnnframe.kernels import NUMPY, choose, kernels_used
from rnnframe.models import Model
from rnnframe.network import Network
from rnnframe.options import TrainingOptions
from rnnframe.registry import Registry
from rnnframe.runs import RunFolder
from rnnframe.scoring import Score, score
from rnnframe.specs import render
from rnnframe.tasks import Batch, Dataset, Task
from rnnframe.tensors import restore
from rnnframe.trainer import StepResult, Trainer

KEPT = 2
"""Checkpoints that stay in a run folder."""


@attrs.define(kw_only=True)
class Progress:
    """Where a training is: all of it, with parameters, slots and state, goes into a checkpoint.

    `loss_sum` and `count` are of the running epoch, the two losses and the measures of the last finished one.
    """

    epoch: int = 0
    batch: int = 0
    updates: int = 0
    loss_sum: float = 0.0
    count: int = 0
    train_loss: float | None = None
    valid_loss: float | None = None
    measures: dict[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Moment:
    """What is shown of a training after each batch; the losses are in the task's unit."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    valid_loss: float | None
    measures: Mapping[str, float]
    unit: str
    steps_per_second: float
    peak_bytes: int
    kernels: str
    epoch_ended: bool


class Training:
    """A training of a fresh network on the data of a task, written to a run folder if there is one."""

    def __init__(
        self, options: TrainingOptions, task: Task, data: Dataset, registry: Registry, run: RunFolder | None = None
    ) -> None:
        self.options = options
        self.data = data
        self.run = run
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
        self.trainer = Trainer(engine, options.optimizer, options.clip, rate, registry)
        self.progress = Progress()
        self.state: Vector | None = None

    def settled_options(self) -> TrainingOptions:
        """Return the options with the store, shards and kernels that are really used, to go on with them for sure.

        What chose a store may choose otherwise another day, and shards or kernels on another machine.
        """
        engine, options = self.trainer.engine, self.options
        plans = engine.shard_plans(*max(self.shapes))
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

    def _updates_per_epoch(self, engine: Engine) -> int:
        return sum(n * max(1, engine.plan(*shape).simulation.updates) for shape, n in self.shapes.items())

    def resume(self) -> None:
        """Take parameters, slots, state and progress from the run folder's checkpoint."""
        assert self.run is not None
        where = f"the checkpoint of {str(self.run.path)!r}"
        checkpoint = self.run.load()
        groups, progress = checkpoint.groups, checkpoint.progress
        try:
            metrics_size, digest = progress.pop("metrics_size"), progress.pop("data")
            self.progress = Progress(**progress)
        except (KeyError, TypeError):
            raise RunError(f"{where} is of another version: progress {progress}") from None
        if digest != self.data.digest:
            raise RunError(f"the data has changed since {where} was made; put the old one back or start a new run")
        restore(self.model.network.parameters, groups.get("parameters", {}), where)
        restore(self.trainer.slots, groups.get("slots", {}), where)
        if "state" in groups:
            self.state = self._state_like(groups["state"], where)
        self.trainer.updates = self.progress.updates
        self.run.cut_metrics(metrics_size)

    def _state_like(self, saved: dict[str, Array], where: str) -> Vector:
        state = self.model.network.new_state(max((len(array) for array in saved.values() if array.ndim), default=1))
        restore(state, saved, where)
        return state

    def save(self) -> None:
        """Write a checkpoint and the weights, if there is a run folder."""
        if self.run is None:
            return
        groups = {"parameters": dict(self.model.network.parameters), "slots": dict(self.trainer.slots)}
        if self.state is not None:
            groups["state"] = dict(self.state)
        now = self.progress
        progress = attrs.asdict(now) | {"metrics_size": self.run.metrics_size(), "data": self.data.digest}
        number = now.epoch * self.data.batches + now.batch
        checkpoint = Checkpoint(number=number, groups=groups, progress=progress, model=self.model.describe())
        self.run.save(checkpoint, keep=KEPT)

    def go(self, watch: Callable[[Moment], None], stop: Callable[[], bool]) -> bool:
        """Train to the end, or until `stop` says so after a batch; return whether the end was reached.

        Raises `NonFiniteError` with the batch named; the checkpoint before it stays.
        """
        options, progress, batches = self.options, self.progress, self.data.batches
        clock = _Clock()
        while progress.epoch < options.epochs:
            batch = self.data.batch(progress.epoch, progress.batch)
            clock.start()
            try:
                state = self.state if batch.carry else None
                outcome = self.trainer.step(batch.x, batch.y, state, batch.lengths, batch.resets)
            except NonFiniteError as error:
                raise NonFiniteError(f"epoch {progress.epoch + 1}, batch {progress.batch + 1}: {error}") from None
            clock.stop(batch.steps)
            self._advance(batch, outcome, clock)
            ended = progress.batch == batches
            if ended:
                self._end_epoch(outcome, clock)
            if ended or (options.save_every and progress.batch % options.save_every == 0):
                self.save()
            watch(self._moment(outcome, clock, ended))
            if stop() and progress.epoch < options.epochs:
                self.save()
                return False
        return True

    def _advance(self, batch: Batch, outcome: StepResult, clock: "_Clock") -> None:
        progress = self.progress
        self.state = outcome.state
        progress.batch += 1
        progress.updates = self.trainer.updates
        progress.loss_sum += outcome.loss * outcome.count
        progress.count += outcome.count
        if self.run is not None:
            record = {
                "kind": "batch",
                "epoch": progress.epoch + 1,
                "batch": progress.batch,
                "update": progress.updates,
                "loss": outcome.loss,
                "gradient_norm": outcome.gradient_norm,
                "learning_rate": outcome.learning_rate,
                "steps": batch.steps,
                "seconds": clock.last,
                "peak_bytes": outcome.report.peak_bytes,
            }
            self.run.append(record)

    def _end_epoch(self, outcome: StepResult, clock: "_Clock") -> None:
        progress = self.progress
        progress.train_loss = progress.loss_sum / progress.count
        judged = self.evaluate()
        progress.valid_loss, progress.measures = judged.loss, dict(judged.measures)
        progress.epoch, progress.batch, progress.loss_sum, progress.count = progress.epoch + 1, 0, 0.0, 0
        if self.run is not None:
            record = {
                "kind": "epoch",
                "epoch": progress.epoch,
                "update": progress.updates,
                "train_loss": progress.train_loss,
                "valid_loss": progress.valid_loss,
                "measures": progress.measures,
                "steps_per_second": clock.rate,
                "peak_bytes": outcome.report.peak_bytes,
            }
            self.run.append(record)

    def evaluate(self) -> Score:
        """Return how well the network does on the held-out part."""
        running = self.trainer.engine.running
        return score(Inference(running, self.options.chunk, NUMPY), self.data.valid)

    def _moment(self, outcome: StepResult, clock: "_Clock", ended: bool) -> Moment:
        progress = self.progress
        return Moment(
            epoch=progress.epoch if ended else progress.epoch + 1,
            epochs=self.options.epochs,
            batch=self.data.batches if ended else progress.batch,
            batches=self.data.batches,
            loss=progress.train_loss if ended and progress.train_loss else progress.loss_sum / max(1, progress.count),
            valid_loss=progress.valid_loss,
            measures=progress.measures,
            unit=self.model.task.unit,
            steps_per_second=clock.rate,
            peak_bytes=outcome.report.peak_bytes,
            kernels=kernels_used(outcome.report.kernels),
            epoch_ended=ended,
        )


class _Clock:
    """Steps per second of training; validation and the making of batches are left out."""

    def __init__(self) -> None:
        self.last = self._seconds = self._started = 0.0
        self._steps = 0

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self, steps: int) -> None:
        self.last = time.perf_counter() - self._started
        self._seconds += self.last
        self._steps += steps

    @property
    def rate(self) -> float:
        return self._steps / max(1e-9, self._seconds)
