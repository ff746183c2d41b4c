"""The trainer: from gradients to changed parameters."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import attrs

from rnnframe.arrays import Arrays, Vector
from rnnframe.contracts.learning_rate import LearningRate
from rnnframe.contracts.optimizer import Optimizer
from rnnframe.data.batch import Batch
from rnnframe.engine.engine import Engine
from rnnframe.engine.ranks import Share
from rnnframe.engine.report import Outcome, Report
from rnnframe.engine.run import Unreduced
from rnnframe.errors import NonFiniteError, OptionError
from rnnframe.network.network import Network
from rnnframe.registry.blame import BlameNote
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.training.accumulation import Accumulation
from rnnframe.training.averaging import AveragedParameters, ExponentialAverage
from rnnframe.training.course import Course
from rnnframe.training.groups import ParameterGroup
from rnnframe.training.norms import first_non_finite_name, global_norm
from rnnframe.training.step_result import StepResult
from rnnframe.training.updates import updates_of
from rnnframe.training.windows import RealUpdates


class Trainer:
    """Updates a network's parameters from the gradients of an engine.

    Parameters
    ----------
    engine
        Computes the gradients of its network.
    optimizer
        An optimizer or a spec such as "adam:lr=2e-3".
    clip
        Largest global norm of the gradients of all parameters that are not frozen (Pascanu, Mikolov & Bengio 2013);
        None for no limit.
    rate
        A learning-rate schedule such as "cosine:updates=1000,warmup=50".
    registry
        Where names are looked up; by default the network's own.
    accumulate
        Sequences whose gradients make one update together, as if they were one batch; `finish` makes the update early.
        Not for stores that update after every window.
    groups
        Parameters that are frozen, or have a learning rate or weight decay of their own: each a `ParameterGroup` or a
        text such as "head.*:lr=0.1,decay=0".
    average
        An average of the parameters over the updates, such as "ema:decay=0.999", for `averaged`; None for none.

    Attributes
    ----------
    updates
        Number of updates so far.
    slots
        What the optimizer remembers, by name: "mean", or "layer0.W.mean" where it takes named parameters.
    accumulation
        Gradients that wait for an update; None with one sequence an update.
    average
        The averaged parameters; None without an average.
    frozen
        Names of the parameters that are frozen.
    course
        How much of a training is done; None outside of a training, where a schedule needs a number of updates.

    Raises
    ------
    OptionError
        Where an option is out of range, or a group cannot be applied.
    UnknownNameError
        Where there is no such optimizer or schedule, or a group matches no parameter.

    Notes
    -----
    `updates`, `slots`, `accumulation`, `average`, `engine.draws`, the parameters and the carried state are all that a
    later trainer with the same arguments needs to go on bit for bit.
    """

    def __init__(
        self,
        engine: Engine[Network],
        optimizer: str | Optimizer = "adam",
        clip: float | None = None,
        rate: str | LearningRate = "constant",
        registry: Registry | None = None,
        accumulate: int = 1,
        groups: Iterable[ParameterGroup | str] = (),
        average: str | None = None,
    ) -> None:
        registry = registry or engine.network.registry or default_registry()
        if accumulate < 1:
            raise OptionError(f"accumulate={accumulate!r} is out of range; expected at least 1 sequence")
        if clip is not None and not clip > 0:
            raise OptionError(f"clip={clip!r} is out of range; expected a norm above 0, or None")
        self.engine = engine
        self.optimizer = registry.optimizer(optimizer)
        self.clip = clip
        self.rate = registry.learning_rate(rate)
        self.updates = 0
        self.course: Course | None = None
        parameters = engine.network.parameters
        self._applied, self.frozen = updates_of(self.optimizer, parameters.shapes, groups, registry.describe)
        self._rate_note = BlameNote("an update", "learning rate", type(self.rate), registry.describe)
        self.slots = self._applied.new_slots(parameters)
        self.accumulation = None
        if accumulate > 1:
            self.accumulation = Accumulation(parameters, accumulate, engine.group, engine.shards)
        self.average = None if average is None else AveragedParameters(ExponentialAverage.parse(average), parameters)
        self._norm = self._lr = 0.0
        self._real = RealUpdates(engine)
        self._batch: Batch | None = None

    def check_accumulation(self, batch: Batch, steps: int, samples: int) -> None:
        """Raise `OptionError` where updates fall inside a batch; a stream has that many steps and samples."""
        if self.accumulation and (self._real.of(batch) or self._real.planned(steps, samples)) > 1:
            raise OptionError(
                f"accumulate={self.accumulation.size} makes fewer updates than one a sequence, store "
                f"{self.engine.store.name!r} makes more (one a window); leave it out, or take an exact store"
            )

    def step(
        self,
        x: Any,
        y: Any,
        state: Arrays | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> StepResult:
        """Train on one sequence. Exact stores make one update at its end, truncated ones make one after every window.

        Parameters
        ----------
        x, y, state, lengths, resets, weights
            As `Engine.gradients` takes them.

        Returns
        -------
        StepResult
            Loss, state after the last step, and the last update.

        Raises
        ------
        NonFiniteError
            Where a loss or a gradient is not finite. That update is not made; those of earlier windows stay. A sequence
            that would be accumulated is left out.
        """
        batch = Batch(x, y, lengths, resets, weights=weights)
        if self.accumulation is None:
            self._batch = batch
            result = self.engine.run(batch.x, batch.y, state, self._take, batch.lengths, batch.resets, batch.weights)
            self._batch = None
        else:
            result = self._accumulate(self.accumulation, batch, state)
        return StepResult(
            loss=result.loss,
            count=result.count,
            state=result.state,
            gradient_norm=self._norm,
            learning_rate=self._lr,
            report=self._with_average(result.report),
        )

    def _with_average(self, report: Report) -> Report:
        return report if self.average is None else attrs.evolve(report, average_bytes=self.average.nbytes)

    @property
    def averaged(self) -> Network:
        """The network to evaluate and keep, on the engine's kernels: with an average that of the parameters.

        A new object each time, whose parameters follow the training; the network that is trained, without an average.
        """
        running = self.engine.running
        return running if self.average is None else running.with_parameters(self.average.values)

    def _accumulate(self, waiting: Accumulation, batch: Batch, state: Arrays | None) -> Outcome:
        def add(share: Share, gradients: Sequence[Vector], outcome: Outcome) -> None:
            self.check_accumulation(batch, outcome.report.steps, outcome.report.batch)
            waiting.add(share, gradients, outcome, self.frozen)

        taken = Unreduced(add)
        outcome = self.engine.run(batch.x, batch.y, state, taken, batch.lengths, batch.resets, batch.weights)
        if waiting.full:
            self.finish()
        return outcome

    @property
    def last(self) -> tuple[float, float]:
        """Gradient norm and learning rate of the last update; zeros before the first."""
        return self._norm, self._lr

    @last.setter
    def last(self, values: tuple[float, float]) -> None:
        self._norm, self._lr = values

    def finish(self) -> None:
        """Make the update that accumulated sequences are waiting for, if there are any; all ranks call it."""
        if self.accumulation and self.accumulation.batches:
            try:
                self._take(*self.accumulation.mean())
            finally:
                self.accumulation.clear()

    def _check(self, gradients: Vector, loss: float) -> float:
        """Return the norm of the gradients that count: those of frozen parameters become zero.

        Raises `NonFiniteError`.
        """
        for name in self.frozen:
            gradients[name].fill(0)
        norm = global_norm(gradients)
        if not math.isfinite(norm):
            raise NonFiniteError(
                f"the gradient's norm is {norm} at update {self.updates + 1} (loss {loss:.6g}, "
                f"first in {first_non_finite_name(gradients)}); lower the learning rate or set clip"
            )
        return norm

    def _take(self, gradients: Vector, loss: float) -> None:
        norm = self._check(gradients, loss)
        if self.clip is not None and norm > self.clip:
            gradients.flat *= gradients.flat.dtype.type(self.clip / norm)
        share = None if self.course is None else self.course.share(self.updates + 1, self.rate.warmup)
        with self._rate_note:
            lr = self.optimizer.lr * self.rate.factor(self.updates + 1, share)
        self.updates += 1
        self._applied.apply(self.engine.network.parameters, gradients, self.slots, self.updates, lr)
        if self.average is not None:
            self.average.add(self.engine.network.parameters, self.updates)
        self._norm, self._lr = norm, lr
        if self.course and self._batch:
            self.course.advance(partial(self._real.of, self._batch))
