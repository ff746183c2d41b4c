"""Training a character-level language model: options, epochs, validation, checkpoints.

The text is read as parallel streams, batch by batch; the state is carried from one batch into the next (and the
gradient is not), and begins with zeros at every epoch. Nothing is drawn at random after the starting values, so
parameters, slots, state and position are all that a resumed run needs to go on bit for bit.
"""

import os
import time
from collections.abc import Callable
from typing import Any, Literal

import attrs
from attrs.validators import and_, ge, gt, in_, lt, optional

from rnnframe.arrays import Arrays
from rnnframe.characters import Corpus
from rnnframe.checkpoints import Checkpoint
from rnnframe.engine import Engine
from rnnframe.errors import NonFiniteError, RunError
from rnnframe.network import Network
from rnnframe.registry import Registry
from rnnframe.runs import RunFolder
from rnnframe.specs import render
from rnnframe.tensors import restore
from rnnframe.trainer import StepResult, Trainer

KEPT = 2
"""Checkpoints that stay in a run folder."""

_ABOVE_ZERO: Any = optional(gt(0))


def _specs(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class TrainingOptions:
    """The options of `rnnframe train`, on the command line and in a configuration file."""

    data: str | None = attrs.field(
        default=None,
        metadata={"help": "UTF-8 text file; by default the Python documentation topics of this interpreter"},
    )
    cell: tuple[str, ...] = attrs.field(
        default=("lstm:hidden=256",),
        converter=_specs,
        metadata={"help": "cell of a layer; several from the input upwards"},
    )
    layers: int = attrs.field(default=1, validator=ge(1), metadata={"help": "how often the cells are stacked"})
    store: str = attrs.field(default="full-history", metadata={"help": "what is remembered of the past"})
    optimizer: str = attrs.field(default="adam:lr=5e-3", metadata={"help": "rule of the updates"})
    rate: str = attrs.field(default="cosine:floor=0.05", metadata={"help": "learning-rate schedule"})
    clip: float | None = attrs.field(
        default=1.0,
        validator=_ABOVE_ZERO,
        metadata={"help": "largest global norm of the gradient; none: no limit"},
    )
    batch: int = attrs.field(default=32, validator=ge(1), metadata={"help": "streams read side by side"})
    steps: int = attrs.field(default=64, validator=ge(1), metadata={"help": "characters in a training sequence"})
    epochs: int = attrs.field(default=6, validator=ge(1), metadata={"help": "passes over the text"})
    held_out: float = attrs.field(
        default=0.1, validator=and_(gt(0), lt(1)), metadata={"help": "part of the text kept for validation, its end"}
    )
    seed: int = attrs.field(default=0, validator=ge(0), metadata={"help": "of the starting values"})
    embedding_std: float = attrs.field(
        default=2.0, validator=gt(0.0), metadata={"help": "spread of the starting rows of U, one row a character"}
    )
    dtype: Literal["float32", "float64"] = attrs.field(
        default="float32", validator=in_(("float32", "float64")), metadata={"help": "of parameters and states"}
    )
    chunk: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "steps per chunk; none: 512 rows with the batch"},
    )
    shards: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "threads that share the batch; none: as many as cores with 4 samples each"},
    )
    save_every: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "batches between checkpoints; none: an epoch"}
    )
    plugin: tuple[str, ...] = attrs.field(default=(), converter=_specs)
    """Plugin files and modules that the cells, the store and the optimizer are from; `rnnframe --plugin` names them."""

    def settled(self) -> "TrainingOptions":
        """Return the options with the number of shards fixed, which the last bits of a result depend on."""
        return self if self.shards else attrs.evolve(self, shards=max(1, min(os.cpu_count() or 1, self.batch // 4)))


@attrs.define(kw_only=True)
class Progress:
    """Where a training is: all of it, with parameters, slots and state, goes into a checkpoint.

    `loss_sum` and `count` are of the running epoch, the two losses of the last finished one.
    """

    epoch: int = 0
    batch: int = 0
    updates: int = 0
    loss_sum: float = 0.0
    count: int = 0
    train_loss: float | None = None
    valid_loss: float | None = None


@attrs.frozen(kw_only=True)
class Moment:
    """What is shown of a training after each batch; the losses are in nats per character."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    valid_loss: float | None
    characters_per_second: float
    peak_bytes: int
    epoch_ended: bool


class Training:
    """A training of a fresh network on a corpus, written to a run folder if there is one."""

    def __init__(self, options: TrainingOptions, corpus: Corpus, registry: Registry, run: RunFolder | None = None):
        self.options = options
        self.corpus = corpus
        self.run = run
        size = len(corpus.vocabulary)
        self.network = Network(
            cells=[*options.cell] * options.layers,
            head=f"softmax:classes={size}",
            inputs=size,
            seed=options.seed,
            dtype=options.dtype,
            embedding_std=options.embedding_std,
            registry=registry,
        )
        engine = Engine(self.network, options.store, options.chunk, options.shards or 1, registry)
        self.batches = -(-len(corpus.train) // options.steps)
        rate = registry.learning_rate(options.rate).over(options.epochs * self._updates_per_epoch(engine))
        self.trainer = Trainer(engine, options.optimizer, options.clip, rate, registry)
        self.progress = Progress()
        self.state: Arrays | None = None

    def settled_options(self) -> TrainingOptions:
        """Return the options with the store that is really used: what chose it may choose otherwise another day."""
        engine, options = self.trainer.engine, self.options
        plan = engine.plan(min(options.steps, len(self.corpus.train)), options.batch)
        if plan.store == engine.store:
            return options
        return attrs.evolve(options, store=render(plan.store), chunk=plan.grid.longest)

    def plugins(self, registry: Registry) -> tuple[str, ...]:
        """Return the files and modules, named by the user and not installed, that this training needs."""
        engine, optimizer = self.trainer.engine, self.trainer.optimizer
        used = [("cell", cell.name) for cell in self.network.cells]
        used += [("store", engine.store.name), ("optimizer", optimizer.name)]
        owners = [owner for owner in (registry.owner(kind, name) for kind, name in used) if owner]
        return tuple(sorted({owner.source for owner in owners if owner.source}))

    def _updates_per_epoch(self, engine: Engine) -> int:
        full, rest = divmod(len(self.corpus.train), self.options.steps)
        lengths = [(self.options.steps, full), (rest, 1 if rest else 0)]
        return sum(n * max(1, engine.plan(steps, self.options.batch).simulation.updates) for steps, n in lengths if n)

    def resume(self) -> None:
        """Take parameters, slots, state and progress from the run folder's checkpoint."""
        assert self.run is not None
        where = f"the checkpoint of {str(self.run.path)!r}"
        checkpoint = self.run.load()
        groups = checkpoint.groups
        restore(self.network.parameters, groups.get("parameters", {}), where)
        restore(self.trainer.slots, groups.get("slots", {}), where)
        if "state" in groups:
            state = self.network.new_state(self.options.batch)
            restore(state, groups["state"], where)
            self.state = state
        try:
            metrics_size, text = checkpoint.progress.pop("metrics_size"), checkpoint.progress.pop("text")
            self.progress = Progress(**checkpoint.progress)
            self.trainer.updates = self.progress.updates
        except (KeyError, TypeError):
            raise RunError(f"{where} is of another version: progress {checkpoint.progress}") from None
        if text != self.corpus.digest:
            raise RunError(f"the text has changed since {where} was made; put the old one back or start a new run")
        self.run.cut_metrics(metrics_size)

    def save(self) -> None:
        """Write a checkpoint and the weights, if there is a run folder."""
        if self.run is None:
            return
        groups = {"parameters": dict(self.network.parameters), "slots": dict(self.trainer.slots)}
        if self.state is not None:
            groups["state"] = dict(self.state)
        now = self.progress
        progress = attrs.asdict(now) | {"metrics_size": self.run.metrics_size(), "text": self.corpus.digest}
        model = {"network": self.network.specs(), "vocabulary": self.corpus.vocabulary.characters}
        number = now.epoch * self.batches + now.batch
        self.run.save(Checkpoint(number=number, groups=groups, progress=progress, model=model), keep=KEPT)

    def go(self, watch: Callable[[Moment], None], stop: Callable[[], bool]) -> bool:
        """Train to the end, or until `stop` says so after a batch; return whether the end was reached.

        Raises `NonFiniteError` with the batch named; the checkpoint before it stays.
        """
        options, progress, train = self.options, self.progress, self.corpus.train
        clock = _Clock()
        while progress.epoch < options.epochs:
            start = progress.batch * options.steps
            x, y = train.x[start : start + options.steps], train.y[start : start + options.steps]
            try:
                outcome = self.trainer.step(x, y, self.state)
            except NonFiniteError as error:
                raise NonFiniteError(f"epoch {progress.epoch + 1}, batch {progress.batch + 1}: {error}") from None
            self._advance(outcome)
            clock.count(outcome.count)
            ended = progress.batch == self.batches
            if ended:
                self._end_epoch(outcome, clock)
            if ended or (options.save_every and progress.batch % options.save_every == 0):
                self.save()
            watch(self._moment(outcome, clock, ended))
            if stop() and progress.epoch < options.epochs:
                self.save()
                return False
        return True

    def _advance(self, outcome: StepResult) -> None:
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
            }
            self.run.append(record)

    def _end_epoch(self, outcome: StepResult, clock: "_Clock") -> None:
        progress = self.progress
        clock.pause()
        progress.train_loss = progress.loss_sum / progress.count
        progress.valid_loss = self.evaluate()
        clock.go_on()
        progress.epoch, progress.batch, progress.loss_sum, progress.count = progress.epoch + 1, 0, 0.0, 0
        self.state = None
        if self.run is not None:
            record = {
                "kind": "epoch",
                "epoch": progress.epoch,
                "update": progress.updates,
                "train_loss": progress.train_loss,
                "valid_loss": progress.valid_loss,
                "characters_per_second": clock.rate,
                "peak_bytes": outcome.report.peak_bytes,
            }
            self.run.append(record)

    def evaluate(self) -> float:
        """Return the loss on the held-out text in nats per character."""
        valid = self.corpus.valid
        return self.trainer.engine.evaluate(valid.x, valid.y).loss

    def _moment(self, outcome: StepResult, clock: "_Clock", ended: bool) -> Moment:
        progress = self.progress
        return Moment(
            epoch=progress.epoch if ended else progress.epoch + 1,
            epochs=self.options.epochs,
            batch=self.batches if ended else progress.batch,
            batches=self.batches,
            loss=progress.train_loss if ended and progress.train_loss else progress.loss_sum / max(1, progress.count),
            valid_loss=progress.valid_loss,
            characters_per_second=clock.rate,
            peak_bytes=outcome.report.peak_bytes,
            epoch_ended=ended,
        )


class _Clock:
    """Characters per second of training, validation left out."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._paused = 0.0
        self._characters = 0

    def count(self, characters: int) -> None:
        self._characters += characters

    def pause(self) -> None:
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        self._started += time.perf_counter() - self._paused

    @property
    def rate(self) -> float:
        return self._characters / max(1e-9, time.perf_counter() - self._started)
