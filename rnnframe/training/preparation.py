"""From options to all that a training is made of: data, network, engine, trainer."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from rnnframe.contracts.dataset import Dataset
from rnnframe.contracts.kernels import BOTH, NUMPY
from rnnframe.contracts.reducer import Group
from rnnframe.contracts.store import StateStore
from rnnframe.contracts.task import Task
from rnnframe.engine.engine import Engine
from rnnframe.engine.ranks import ALONE
from rnnframe.errors import GroupError, OptionError, UsageError
from rnnframe.inspection.gradients import check_watchable
from rnnframe.network.network import Network
from rnnframe.registry.kinds import kind_of
from rnnframe.registry.registry import Registry
from rnnframe.registry.specs import render, with_inner_layers
from rnnframe.registry.stacks import stacked
from rnnframe.runs.model import TaskModel
from rnnframe.training.course import Course
from rnnframe.training.opening import open_data, with_valid_file
from rnnframe.training.options import TrainingOptions
from rnnframe.training.starting import Start
from rnnframe.training.trainer import Trainer
from rnnframe.training.windows import RealUpdates


@attrs.frozen(kw_only=True, eq=False)
class Prepared:
    """All that a training is made of, and its options as they were settled."""

    options: TrainingOptions
    data: Dataset
    model: TaskModel
    trainer: Trainer
    registry: Registry

    @property
    def plugins(self) -> tuple[str, ...]:
        """The files and modules, named by the user and not installed, that the training needs."""
        network, trainer = self.model.network, self.trainer
        used: list[Any] = [
            *with_inner_layers(network.cells),
            self.model.task,
            trainer.engine.store,
            trainer.optimizer,
            trainer.rate,
        ]
        used += [] if network.head is None else [network.head.loss, network.head.readout]
        used += [] if trainer.engine.store.medium is None else [trainer.engine.store.medium]
        used += trainer.engine.running.kernels_used
        named = [(kind_of(type(each)), each.name) for each in used]
        owners = [owner for owner in (self.registry.owner(kind, name) for kind, name in named) if owner]
        return tuple(sorted({owner.source for owner in owners if owner.source}))


def prepare(
    options: TrainingOptions,
    task: Task | None,
    data: Dataset | None,
    registry: Registry,
    group: Group = ALONE,
    learnt: Mapping[str, Any] | None = None,
) -> Prepared:
    """Open what is not given, settle the options, and make the network and its trainer of them; raises `UsageError`.

    In a group, rank 0 settles the options for all. learnt: what the checkpoint of a training that started from a run
    says was learnt, where it is resumed.
    """
    if group.size > 1 and options.data == "-":
        raise UsageError("standard input goes to one process alone; give --data FILE where ranks share a training")
    named = registry.task(options.task) if task is None else task
    start = _start(options, named, registry, learnt)
    options = options if start is None else start.options
    opened = open_data(options, named, registry, start and start.learnt) if data is None else data
    options = with_valid_file(options)
    opened = attrs.evolve(opened, remarks=(*start.remarks(named), *opened.remarks)) if start else opened
    network = _network(options, opened, registry)
    if start is not None:
        start.begin(network)
    _check_directions(named, network)
    shapes = {opened.shape(number) for number in range(opened.batches)}
    if task is not None or ":" in options.task:
        options = attrs.evolve(options, task=render(named))  # which may know better where its files are
    _check_alike(options, opened, group)
    if group.size > 1 and options.shards is None:
        options = attrs.evolve(options, shards=group.size)
    options = group.tell(settled(options, network, max(shapes), registry) if group.rank == 0 else None)
    engine = Engine(
        network, options.store, options.chunk, options.shards, registry, options.kernels, options.seed, group
    )
    if options.watch_gradients:
        check_watchable(engine.store, network)
    rate = registry.learning_rate(options.rate)
    trainer = Trainer(
        engine,
        options.optimizer,
        options.clip,
        rate,
        registry,
        options.accumulate,
        options.groups,
        options.average,
    )
    trainer.course = _course(options, opened, engine)
    if options.accumulate > 1 and any(engine.plan(*shape).simulation.updates > 1 for shape in shapes):
        trainer.check_accumulation(opened.batch(0, 0), *opened.shape(0))  # its weights say where losses are
    model = TaskModel(network=network, task=named, learnt=opened.learnt)
    return Prepared(options=options, data=opened, model=model, trainer=trainer, registry=registry)


def _start(options: TrainingOptions, task: Task, registry: Registry, learnt: Mapping[str, Any] | None) -> Start | None:
    if options.init_from is None:
        return None
    options.setting(task)  # a task that cannot start so says so before anything is read
    return Start.read(options, task, registry) if learnt is None else Start.resumed(options, task, learnt)


def _check_directions(task: Task, network: Network) -> None:
    """Raise `OptionError` for layers that would read what they are to predict."""
    if task.predicts_inputs and network.both_ways:
        raise OptionError(
            f"task {task.name!r} predicts what comes next, and layers of two directions read it in x; "
            "take layers of one direction"
        )


def _network(options: TrainingOptions, data: Dataset, registry: Registry) -> Network:
    return Network(
        cells=stacked(options.cell, options.layers),
        head=data.head,
        inputs=data.inputs,
        seed=options.seed,
        dtype=options.dtype,
        embedding_std=options.embedding_std if data.looked_up else None,
        registry=registry,
    )


def _check_alike(options: TrainingOptions, data: Dataset, group: Group) -> None:
    """Raise `GroupError` where a rank was given other options than rank 0, or has read other data."""
    told = group.gather((options, data.digest))
    for rank, (its_options, its_digest) in enumerate(told):
        if its_options != told[0][0]:
            raise GroupError(f"{group.where(rank)} has other options than {group.where(0)}; start all with the same")
        if its_digest != told[0][1]:
            raise GroupError(f"{group.where(rank)} has read other data than {group.where(0)}; give all the same file")


def settled(options: TrainingOptions, network: Network, shape: tuple[int, int], registry: Registry) -> TrainingOptions:
    """Return the options with the data's full path, and the store, shards and kernels that will really be used.

    What chose a store or a chunk length may choose otherwise another day, and shards or kernels on another machine.
    `shape` is that of the longest batch.
    """
    if options.data not in (None, "-"):  # standard input has no path
        options = attrs.evolve(options, data=str(Path(options.data).absolute()))
    engine = Engine(network, options.store, options.chunk, options.shards, registry, options.kernels)
    plans = engine.run_plan(*shape).shards
    kernels = BOTH.join(render(each) for each in engine.running.kernels_used) or NUMPY
    options = attrs.evolve(options, shards=len(plans), kernels=kernels)
    if plans[0].store == engine.store and type(engine.store).chunk_for is StateStore.chunk_for:
        return options
    return attrs.evolve(options, store=render(plans[0].store), chunk=plans[0].grid.longest)


def _course(options: TrainingOptions, data: Dataset, engine: Engine[Network]) -> Course:
    """Return the course of a training, with the updates that are planned for each batch."""
    real = RealUpdates(engine)
    planned = (1 if options.accumulate > 1 else real.planned(*data.shape(number)) for number in range(data.batches))
    starts = tuple(itertools.accumulate(planned, initial=0))
    return Course(starts=starts, epochs=options.epochs, accumulate=options.accumulate)
