"""Training a network on a task: epochs, validation, metrics, checkpoints.

Every batch follows from the data, the options and its number, and the state is carried where the batch says so (the
gradient is not); so parameters, slots, state and position are all that a resumed run needs to go on bit for bit. A
thread makes the next batch while one is trained on.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Self

import attrs

from rnnframe.contracts.dataset import Dataset
from rnnframe.contracts.reducer import Group
from rnnframe.contracts.task import Task
from rnnframe.engine.blas import one_thread
from rnnframe.engine.ranks import ALONE
from rnnframe.errors import UsageError
from rnnframe.registry.files import check_named
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import build, chosen_options
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.layout import CONFIG
from rnnframe.runs.model import TaskModel
from rnnframe.runs.recording import MetricsFile
from rnnframe.runs.scoring import Score
from rnnframe.training.checkpointing import begin_together, learnt_before, resume_training
from rnnframe.training.loop import TrainingLoop
from rnnframe.training.options import TrainingOptions
from rnnframe.training.preparation import prepare
from rnnframe.training.progress import Progress
from rnnframe.training.reporting import Observing, Watchers


class Training:
    """Trains a network on the data of a task, as `rnnframe train` does.

    Parameters
    ----------
    options
        What is trained, on what and how; `TrainingOptions()` by default.
    observers
        Who receives its events: specs such as "progress", observers, or watchers of your own.
    run
        Where the run is written: a new folder, or a `RunFolder`; one that was resumed is gone on with. Nothing is
        written by default.
    task
        The task, where it is an object and not named in `options`.
    data
        The data that the task has opened, where that was done before.
    registry
        The plugins; by default those that are installed.
    group
        The processes that train together. Rank 0 has the run folder and the observers, the others none; each calls the
        same methods.

    Attributes
    ----------
    options
        The options as they were settled: with the store, the shards and the kernels that are really used.
    trainer
        What updates the parameters.
    progress
        Where the training is, with the last losses.

    Raises
    ------
    UsageError
        For options that are wrong, data that does not fit, or an observer that cannot be used.
    RunError
        Where the run folder cannot be written or gone on with.

    Notes
    -----
    A training with a run folder holds its lock until `close`, or the end of a `with` block.
    """

    def __init__(
        self,
        options: TrainingOptions | None = None,
        *,
        observers: Iterable[Observing] = (),
        run: RunFolder | str | Path | None = None,
        task: Task | None = None,
        data: Dataset | None = None,
        registry: Registry | None = None,
        group: Group | None = None,
    ) -> None:
        group = group or ALONE
        registry = registry or default_registry()
        self.run = folder = run if isinstance(run, RunFolder | None) else RunFolder.fresh(run)
        try:
            watchers = Watchers.open(observers, folder.path if folder else None, registry)
            options = options or TrainingOptions()
            learnt = learnt_before(folder, group) if options.init_from is not None else None
            self._prepared = prepared = prepare(options, task, data, registry, group, learnt)
            self.options, self.data = prepared.options, prepared.data
            self.trainer = prepared.trainer
            self.progress, state = Progress(), None
            if folder is not None:
                watchers.own.append(MetricsFile(folder))
                if folder.locked:
                    self.progress, state = resume_training(folder, prepared)
            self.progress, state = begin_together(group, prepared, self.progress, state)
            self._loop = TrainingLoop(prepared, self.progress, state, watchers, folder)
            self._begin()
        except BaseException:
            self.close()
            raise

    @classmethod
    def resume(
        cls,
        path: str | Path,
        *,
        epochs: int | None = None,
        patience: int | None = None,
        observers: Iterable[Observing] = (),
        task: Task | None = None,
        data: Dataset | None = None,
        registry: Registry | None = None,
    ) -> Self:
        """Go on with the run in a folder from its newest checkpoint, bit for bit.

        Parameters
        ----------
        path
            The run folder.
        epochs, patience
            The only options that may change; None leaves them as they were.
        observers, task, data, registry
            As for a new training.

        Returns
        -------
        Training
            Where the run was; `fit` trains on. `ended` tells whether there is nothing more to train.

        Raises
        ------
        RunError
            Where the folder holds no run, or its data has changed.
        UsageError
            Where it needs a plugin that is not there.
        """
        registry = registry or default_registry()
        run = RunFolder.resume(path)
        try:
            changes = {"epochs": epochs, "patience": patience}
            written = run.config() | {name: value for name, value in changes.items() if value is not None}
            options = build(TrainingOptions, written, "configuration", str(run.path / CONFIG))
            check_named(options.plugin, registry.records, f"run {str(path)!r}")
        except BaseException:
            run.close()
            raise
        return cls(options, observers=observers, run=run, task=task, data=data, registry=registry)

    def _begin(self) -> None:
        """Write the options of a run that has something to train; a new one gets its first checkpoint."""
        if self.run is None or self.ended:
            return
        config = chosen_options(attrs.evolve(self.options, plugin=self.plugins))
        if self.run.locked:
            self.run.write_config(config, self.data.remarks)
        else:
            self.run.begin(config, self.data.remarks)
            self.save()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the run folder, so that others may train there."""
        if self.run is not None:
            self.run.close()

    @cached_property
    def model(self) -> TaskModel:
        """The network with its task and what was learnt from the data; its parameters change while it is trained.

        With the option `average`, they are the averages.
        """
        model, average = self._prepared.model, self.trainer.average
        if average is None:
            return model
        return attrs.evolve(model, network=model.network.with_parameters(average.values))

    @property
    def plugins(self) -> tuple[str, ...]:
        """The files and modules, named by the user and not installed, that this training needs."""
        return self._prepared.plugins

    @property
    def number(self) -> int:
        """Batches trained so far, in all epochs."""
        return self._loop.number

    @property
    def ended(self) -> str | None:
        """Why there is nothing more to train, if so."""
        return self._loop.ended

    def fit(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the end, or until `stop` says so; call it again to go on.

        Parameters
        ----------
        stop
            Is asked after each batch whether to stop, and five times a second while the next batch is waited for, as
            where it comes from a pipe.

        Returns
        -------
        bool
            Whether the end was reached.

        Raises
        ------
        NonFiniteError
            With the batch, the step and the layer where a loss or a gradient was not finite, unless such batches are
            to be skipped. The checkpoint before it stays.
        RunError
            Where the run folder cannot be written.
        """
        if self.run is not None and not self.run.locked:
            raise UsageError(f"the run folder {str(self.run.path)!r} is closed; go on with Training.resume(path)")
        with one_thread():
            return self._loop.run(stop)

    def save(self) -> None:
        """Write a checkpoint, and the weights where none were better, if there is a run folder; raises `RunError`."""
        self._loop.save()

    def evaluate(self) -> Score:
        """Return how well the network does on the held-out part of the data."""
        return self._loop.validation.score()
